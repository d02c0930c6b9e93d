"""Plain names: what tasks are told of files, wherever these are.

Paths end up in selections, lists of files and headers, each with rules of its own about blanks, commas and
letters. Tasks therefore see everything that they read under a name of its own in their scratch folder.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from daxa.backend.contract import Task
from daxa.backend.job import RAW

#: Beside letters and digits, what makes of a path a part of another one only.
_PART = "_.+-"


@dataclass
class Plain:
    """Tasks that name nothing outside their scratch folder.

    Attributes
    ----------
    links
        Name in the scratch folder -> what it stands for.
    env
        Environment variables; ``{work}`` stands for the scratch folder.
    summary
        The observation's summary, of which the job gets a copy that names the raw files' place.
    """

    tasks: list[Task]
    links: dict[str, Path]
    env: dict[str, str] = field(default_factory=dict)
    summary: Path | None = None


def plain(
    tasks: Iterable[Task],
    env: Mapping[str, str],
    used: Iterable[Path],
    raw: Path | None = None,
    raw_name: str = RAW,
) -> Plain:
    """Give everything that tasks read its plain name.

    Parameters
    ----------
    tasks, env
        As planned, with whole paths.
    used
        Products that they may name.
    raw
        Folder of the raw files, if it is there.
    raw_name
        Name that tasks see it under.
    """
    names: dict[str, str] = {}
    links: dict[str, Path] = {}
    places = list(used)
    for path in places:
        name = _free(path.name, {*links, raw_name})
        names[str(path)] = name
        links[name] = path
    if raw is not None:
        names[str(raw)] = raw_name
        links[raw_name] = raw
    # A path may begin with another: the longest first; so may the name of a file that is not one of them.
    ordered = sorted(names, key=len, reverse=True)

    def renamed(text: str) -> str:
        for path in ordered:
            if path in text:
                text = _renamed(text, path, names[path])
        return text

    named = [Task(t.name, **{k: renamed(v) for k, v in t.parameters.items()}) for t in tasks]
    found = Plain(named, links, dict(env))
    for variable in ("SAS_CCF", "SAS_ODF"):
        if env.get(variable, "") in names:
            found.env[variable] = f"{{work}}/{names[env[variable]]}"
    summary = names.get(env.get("SAS_ODF", ""))
    if summary is not None and summary != raw_name:
        found.summary = links.pop(summary)
    texts = [v for t in named for v in t.parameters.values()] + list(found.env.values())
    needed = {name for name in links if any(name in text for text in texts)} | ({raw_name} if raw else set())
    found.links = {name: path for name, path in links.items() if name in needed}
    return found


def _renamed(text: str, path: str, name: str) -> str:
    """A text with a path replaced by a name, but where it is a part of another path only."""
    first, *others = text.split(path)
    made = first
    for after in others:
        part = _goes_on(made[-1:]) or _goes_on(after[:1])
        made += (path if part else name) + after
    return made


def _goes_on(letter: str) -> bool:
    return letter.isalnum() or (letter != "" and letter in _PART)


def _free(name: str, taken: Collection[str]) -> str:
    """A name that is not taken yet."""
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{number}_{name}"
    return candidate
