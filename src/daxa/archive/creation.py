"""Making archives so that nothing is lost: begun, ended, interrupted, replaced.

A file is written before anything else of an archive and removed when the archive stands. An archive that has
it is taken up where its creation stopped; one that lacks its state is restored from what is there.

Parameters
----------
layout
    Where the archive is.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import unicodedata
import warnings
from collections.abc import Collection, Iterator
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from daxa._version import __version__
from daxa.archive.layout import Layout
from daxa.archive.lock import hold
from daxa.exceptions import DAXAError

if TYPE_CHECKING:
    from daxa.mission import BaseMission

_LONGEST = 200


class State(Enum):
    """What there is of an archive."""

    ABSENT = "absent"
    BEGUN = "begun"
    #: Made once, but the file that says so is gone.
    UNTOLD = "untold"
    WHOLE = "whole"


def check_name(name: object) -> str:
    """A name that a folder can have everywhere, and a terminal can show.

    Parameters
    ----------
    name
        What was given as the name of an archive.

    Raises
    ------
    TypeError
        It is not text.
    ValueError
        It is empty, begins with a dot or a space, has a separator or a control character, or is longer than
        200 bytes.
    """
    if not isinstance(name, str):
        raise TypeError(f"archive_name: expected text, got {name!r}")
    odd = any(unicodedata.category(c) in ("Cc", "Cs") for c in name)
    unusable = not name.strip() or name.startswith(".") or "/" in name or os.sep in name or odd
    if unusable or name != name.strip():
        raise ValueError(f"archive_name: {name!r} is not usable as a folder name")
    if len(os.fsencode(name)) > _LONGEST:
        raise ValueError(f"archive_name: {name[:20]!r}... is longer than {_LONGEST} bytes")
    return name


def check_place(folder: Path) -> None:
    """Refuse a folder that cannot be written in one line.

    Parameters
    ----------
    folder
        Folder of the archives, DAXA_OUTPUT.

    Raises
    ------
    ValueError
        There is a line break or the like in its path.
    """
    if any(unicodedata.category(c) == "Cc" for c in str(folder)):
        raise ValueError(f"DAXA_OUTPUT: {str(folder)!r} has a line break or another control character in it")


def state(layout: Layout) -> State:
    """What there is of an archive.

    Parameters
    ----------
    layout
        Where the archive is, or would be.

    Raises
    ------
    FileNotFoundError
        There is something else of that name.
    """
    if not layout.root.exists():
        return State.ABSENT
    if not layout.save_info.is_dir():
        raise FileNotFoundError(
            f"{layout.root} exists but is not an archive: it has no folder {layout.save_info.name}"
        )
    if layout.creating.exists():
        return State.BEGUN
    if layout.process_info.exists():
        return State.WHOLE
    recorded = layout.ledger.exists() or layout.backup.exists()
    return State.UNTOLD if recorded and saved_missions(layout) else State.BEGUN


def saved_missions(layout: Layout) -> list[str]:
    """Names of the missions whose states are there."""
    return sorted(p.name.removesuffix("_state.json") for p in layout.save_info.glob("*_state.json"))


@contextlib.contextmanager
def alone(layout: Layout) -> Iterator[None]:
    """Keep other processes from making an archive of this name.

    Parameters
    ----------
    layout
        Where the archive is going to be.

    Raises
    ------
    DAXAError
        The folder of archives cannot be made, or another process is making an archive of this name.
    """
    try:
        layout.root.parent.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        raise DAXAError(f"{layout.root.parent}: cannot be made ({failure.strerror or failure})") from failure
    name = layout.root.name
    with hold(layout.name_lock, f"the archive {name} is being made", remove=True):
        yield


def begin(layout: Layout, names: list[str], ready: Collection[str] = ()) -> None:
    """Mark an archive's creation as begun; an archive never exists without the mark.

    Parameters
    ----------
    layout
        Where the archive is going to be.
    names
        Names of its missions.
    ready
        Names of those whose ready-made products are to be taken in.
    """
    content = json.dumps(
        {
            "begun": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "daxa_version": __version__,
            "mission_names": names,
            "use_preprocessed": sorted(ready),
        }
    )
    if layout.save_info.is_dir():
        layout.creating.write_text(content, encoding="utf-8")
        return
    _drop(layout.fresh)
    new = Layout(layout.fresh)
    new.save_info.mkdir(parents=True)
    new.creating.write_text(content, encoding="utf-8")
    os.rename(new.root, layout.root)


def begun_with_products(layout: Layout) -> set[str]:
    """Missions whose ready-made products an interrupted creation was to take in.

    Parameters
    ----------
    layout
        Where the archive is.
    """
    try:
        return set(json.loads(layout.creating.read_text(encoding="utf-8"))["use_preprocessed"])
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def take_back(layout: Layout, clobber: bool) -> None:
    """Undo a replacement that was interrupted, unless it is asked for again.

    Parameters
    ----------
    clobber
        Whether an existing archive is to be replaced.

    Warns
    -----
    UserWarning
        The archive is opened as it was before the replacement.
    """
    _drop(layout.gone)
    if not layout.aside.is_dir():
        return
    found = state(layout)
    if found is State.BEGUN and layout.creating.exists() and not clobber:
        _retire(layout.root, layout)
    elif found is not State.ABSENT:
        return
    os.rename(layout.aside, layout.root)
    _drop(layout.gone)
    if not clobber:
        warnings.warn(
            f"the archive {layout.root.name} was about to be replaced, and its successor was never finished: "
            "it is opened as it was; clobber=True replaces it",
            stacklevel=5,
        )


@contextlib.contextmanager
def replacing(layout: Layout, clobber: bool) -> Iterator[None]:
    """Put an existing archive aside until its successor stands; take it back if that fails.

    What is aside is whole at any moment, and is there only while its successor is not: it is renamed before
    it is deleted, and that before the successor's mark is taken away.

    Parameters
    ----------
    clobber
        Whether an existing archive is replaced; if not, nothing is put aside.

    Raises
    ------
    DAXAError
        The archive is being processed, or what an earlier call left cannot be deleted.

    Warns
    -----
    UserWarning
        The archive is deleted and made anew.
    """
    aside, moved = layout.aside, False
    found = state(layout)
    # If there is one aside and one begun, an earlier replacement was interrupted; it is completed.
    if clobber and found is not State.ABSENT and not (found is State.BEGUN and aside.exists()):
        with hold(layout.lock, f"the archive {layout.root.name} is being processed"):
            warnings.warn(f"the archive {layout.root.name} is deleted and made anew", stacklevel=6)
            _retire(aside, layout)
            os.rename(layout.root, aside)
            moved = True
    try:
        yield
    except BaseException:
        if moved:
            _retire(layout.root, layout)
            os.rename(aside, layout.root)
            _drop(layout.gone)
        raise
    if clobber:
        _retire(aside, layout)
    layout.creating.unlink(missing_ok=True)
    _drop(layout.gone)


def _retire(folder: Path, layout: Layout) -> None:
    """Take a folder out of use at once, whatever may happen while it is deleted."""
    _drop(layout.gone)
    if layout.gone.exists():
        raise DAXAError(f"{layout.gone}: is in the way, and cannot be deleted; please remove it")
    if folder.exists():
        os.rename(folder, layout.gone)


def _drop(folder: Path) -> None:
    """Delete a folder that is to go, and say what could not be deleted."""
    if folder.exists():
        shutil.rmtree(folder, onerror=lambda _, path, info: warnings.warn(f"{path}: {info[1]}", stacklevel=3))


def differences(given: list[BaseMission], here: list[BaseMission]) -> str:
    """How missions that were given differ from those of an existing archive; empty if they do not.

    Parameters
    ----------
    given
        Missions as the user has set them up.
    here
        Missions of the archive.
    """
    found = []
    present = {m.name: m for m in here}
    absent = [m.name for m in given if m.name not in present]
    if absent:
        found.append(f"it has no {', '.join(absent)}")
    for mission in given:
        own = present.get(mission.name)
        if own is None:
            continue
        new, old = ({str(o) for o in m.filtered_obs_ids} for m in (mission, own))
        if new != old:
            found.append(
                f"{mission.name}: {len(old)} observations, "
                f"{len(new - old)} of the {len(new)} given are not among them{_examples(new - old)}"
            )
        if set(mission.chosen_instruments) != set(own.chosen_instruments):
            found.append(
                f"{mission.name}: its instruments are {', '.join(own.chosen_instruments)}, "
                f"not {', '.join(mission.chosen_instruments)}"
            )
    return "; ".join(found)


def _examples(obs_ids: set[str]) -> str:
    if not obs_ids:
        return ""
    first = sorted(obs_ids)[:3]
    return f" ({', '.join(first)}{', ...' if len(obs_ids) > 3 else ''})"
