"""Warnings and errors in the output of SAS tasks.

SAS prints ``** task: warning (Code), text``; nested tasks are ``parent::child``. What was silenced is counted
in a block headed by the code ``SummaryOfWarnings``.
"""

from __future__ import annotations

import re

_MESSAGE = re.compile(
    r"^\s*\*\*\s*(?P<task>[A-Za-z][\w.\-]*(?:::[\w.\-]+)*)\s*:\s*(?P<kind>warning|error)\s*"
    r"\((?P<code>[^()]*)\)\s*,?\s*(?P<text>.*)$",
    re.IGNORECASE,
)
_SILENCED = re.compile(
    r"^\s*warning\s+(?P<code>\S+)\s+silently occurred\s+(?P<count>\d+)\s+times?", re.IGNORECASE
)


def parse_messages(text: str) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Find warnings and errors in the output of a task.

    Parameters
    ----------
    text
        Standard output or standard error.

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
    found: dict[str, list[dict[str, str]]] = {"warning": [], "error": []}
    summary_of: str | None = None
    for line in text.splitlines():
        if match := _MESSAGE.match(line):
            code = match["code"].strip()
            summary_of = match["task"] if code == "SummaryOfWarnings" else None
            if summary_of is None:
                found[match["kind"].lower()].append(
                    {"originator": match["task"], "name": code, "message": match["text"].strip()}
                )
        elif summary_of is not None:
            if match := _SILENCED.match(line):
                found["warning"].append(
                    {
                        "originator": summary_of,
                        "name": match["code"],
                        "message": f"silently occurred {match['count']} times",
                    }
                )
            elif line.strip():
                summary_of = None
    return found["warning"], found["error"]
