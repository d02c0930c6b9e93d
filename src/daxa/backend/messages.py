"""Warnings and errors in the output of SAS tasks.

SAS prints ``** task: warning (Code), text``; nested tasks are ``parent::child``. What was silenced is counted
in a block headed by the code ``SummaryOfWarnings``. Codes may have blanks in them. Chains that are scripts
print ``chain: warning(code) !`` themselves, and the text below. What programs of HEASOFT and Python print has
neither task nor code, and is not taken; where it is software of other missions that runs, `Messages` is told,
and takes what these print: CIAO ``# tool (version): ERROR text``, NuSTARDAS ``task_version: Error: text``,
others of HEASOFT ``Task tool version terminating with status n``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_MESSAGE = re.compile(
    r"^\s*\*\*\s*(?P<task>[A-Za-z][\w.\-]*(?:::[\w.\-]+)*)\s*:\s*(?P<kind>warning|error)\s*"
    r"\((?P<code>[^()]*)\)\s*,?\s*(?P<text>.*)$",
    re.IGNORECASE,
)
#: How the chains that are scripts print.
_OF_SCRIPT = re.compile(
    r"^(?P<task>[a-z]\w*): (?P<kind>warning|error)\((?P<code>[^()]+)\)\s*!?\s*(?P<text>.*)$", re.ASCII
)
_SILENCED = re.compile(
    r"^\s*warning\s+(?P<code>\S.*?)\s+silently occurred\s+(?P<count>\d+)\s+times?", re.IGNORECASE
)

#: How programs of CIAO and HEASOFT print.
_OF_OTHERS = (
    re.compile(
        r"^\s*#\s*(?P<task>\w+)\s*(?:\([^()]*\))?\s*:?\s*(?P<kind>error|warning)\b\s*:?\s*(?P<text>.*)$",
        re.IGNORECASE | re.ASCII,
    ),
    re.compile(r"^(?P<task>[a-z]\w*?)_[\d.]+:\s*(?P<kind>error|warning)\b:?\s*(?P<text>.*)$", re.IGNORECASE),
    re.compile(r"^Task (?P<task>\w+) \S+ (?P<text>terminating with status -?\d+)$", re.ASCII),
)
#: Most messages of a kind that are kept; the others are counted.
LIMIT = 1000
#: Most kinds of messages that are counted.
_KINDS = 100
#: Longest line that is looked at.
_LONGEST = 20_000


def printable(text: str) -> str:
    r"""Text without what a terminal would obey: control characters are spelt out.

    Parameters
    ----------
    text
        The text.

    Examples
    --------
    >>> printable("red: " + chr(27) + "[31m")
    'red: \\x1b[31m'
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class Messages:
    """Warnings and errors in the output of tasks, line by line; a bounded number of them is kept.

    Parameters
    ----------
    others
        Take what programs of CIAO and HEASOFT print.
    """

    def __init__(self, others: bool = False) -> None:
        self._patterns = _OF_OTHERS if others else ()
        self._found: dict[str, list[dict[str, str]]] = {"warning": [], "error": []}
        self._more: dict[str, Counter[tuple[str, str]]] = {"warning": Counter(), "error": Counter()}
        self._summary_of: str | None = None

    def feed(self, line: str) -> None:
        """Look at a line.

        Parameters
        ----------
        line
            The line; of a very long one only the beginning counts.
        """
        line = line[:_LONGEST]
        if match := _MESSAGE.match(line) or _OF_SCRIPT.match(line):
            code = match["code"].strip()
            self._summary_of = match["task"] if code == "SummaryOfWarnings" else None
            if self._summary_of is None:
                self._add(match["kind"].lower(), match["task"], code, match["text"].strip())
        elif others := next((m for p in self._patterns if (m := p.match(line))), None):
            kind = (others.groupdict().get("kind") or "error").lower()
            self._add(kind, others["task"], kind, others["text"].strip())
        elif self._summary_of is not None:
            if match := _SILENCED.match(line):
                text = f"silently occurred {match['count']} times"
                self._add("warning", self._summary_of, match["code"], text)
            elif line.strip():
                self._summary_of = None

    def _add(self, kind: str, originator: str, name: str, message: str) -> None:
        if len(self._found[kind]) < LIMIT:
            found = {"originator": originator, "name": name, "message": message}
            self._found[kind].append({k: printable(v) for k, v in found.items()})
        elif len(self._more[kind]) < _KINDS or (originator, name) in self._more[kind]:
            self._more[kind][originator, name] += 1

    def found(self) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
        """Warnings and errors; of those that are too many the number, as one message of each name."""
        warnings, errors = (
            self._found[kind]
            + [
                {"originator": originator, "name": name, "message": f"and {count} more, which are in the log"}
                for (originator, name), count in self._more[kind].items()
            ]
            for kind in ("warning", "error")
        )
        return warnings, errors


def parse_messages(
    text: str | Iterable[str], others: bool = False
) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Find warnings and errors in the output of a task.

    Parameters
    ----------
    text
        Standard output or standard error, or its lines.
    others
        Take what programs of CIAO and HEASOFT print.

    Returns
    -------
    warnings, errors
        Dicts with ``originator`` (task; nested ones as ``parent::child``), ``name`` (code) and
        ``message``, in the order of the text. A line of a ``SummaryOfWarnings`` block is one warning with the
        silenced warning's name.

    Examples
    --------
    >>> parse_messages("** evselect: error (noEvents), nothing to select from")[1]
    [{'originator': 'evselect', 'name': 'noEvents', 'message': 'nothing to select from'}]
    """
    messages = Messages(others)
    for line in text.splitlines() if isinstance(text, str) else text:
        messages.feed(line)
    return messages.found()
