"""Checks of the data: CCDs in an anomalous state."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from daxa.archive import layout
from daxa.backend.contract import Task
from daxa.process.options import Running, StepOptions
from daxa.process.public import public
from daxa.process.runner import run_steps
from daxa.process.step import MOS, Piece, Recipe, Step
from daxa.process.xmm.setup import ALLOWED

if TYPE_CHECKING:
    from daxa.archive import Archive

#: Good; intermediate, bad below 1 keV; switched off; undetermined.
STATES = ("G", "I", "B", "O", "U")
_LINE = re.compile(r"CCD:\s*(?P<ccd>\d+)\s.*Status:\s*(?P<state>[A-Z])\s*$")


def check_states(name: str, states: Sequence[str]) -> tuple[str, ...]:
    """States of MOS CCDs as a tuple.

    Parameters
    ----------
    name
        Name of the argument.
    states
        What was given.

    Raises
    ------
    ValueError
        One is not G, I, B, O or U.
    """
    found = tuple(states)
    unknown = [s for s in found if s not in STATES]
    if unknown or not found:
        raise ValueError(f"{name}: expected some of {', '.join(STATES)}, got {states!r}")
    return found


def parse_emanom_out(
    log_file_path: str | os.PathLike[str], acceptable_states: Sequence[str] = ("G", "I", "U")
) -> list[int]:
    """CCDs whose state, by the log of emanom, is acceptable.

    Parameters
    ----------
    log_file_path
        Log of emanom.
    acceptable_states
        States to accept: G good, I intermediate and B bad below 1 keV, O off, U undetermined.

    Returns
    -------
    list of int
        CCD numbers.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        Unknown states, or a file without states.
    """
    accepted = check_states("acceptable_states", acceptable_states)
    path = Path(log_file_path)
    if not path.is_file():
        raise FileNotFoundError(f"log_file_path: no such file {path}")
    matches = [m for line in path.read_text(encoding="latin-1").splitlines() if (m := _LINE.search(line))]
    if not matches:
        raise ValueError(f"log_file_path: {path} has no line with the state of a CCD")
    states = {int(m["ccd"]): m["state"] for m in matches}
    # The central CCD has no corner outside the field of view, so the task may leave it out.
    states.setdefault(1, "G")
    return sorted(ccd for ccd, state in states.items() if state in accepted)


def _emanom(piece: Piece, options: StepOptions) -> Recipe:
    _, inst, exp_id = piece.where
    name = layout.anom_log(inst, exp_id)
    return Recipe(
        [
            Task(
                "emanom",
                eventfile=str(piece.made("emchain", "evt_list")),
                # Products of the archive are never changed once they are there.
                writekeys=False,
                keepcorner=False,
            )
        ],
        {name: name},
        env=piece.environment(),
        files={"log_path": name},
    )


EMANOM = Step(
    "emanom",
    "Checking for anomalous MOS CCDs",
    "exposure",
    _emanom,
    instruments=MOS,
    needs=lambda inst, options: ("emchain",),
)


@public(StepOptions)
def emanom(obs_archive: Archive, options: StepOptions, running: Running) -> None:
    """Find MOS CCDs with a raised low-energy background (task emanom). Needs `emchain`.

    Examples
    --------
    >>> daxa.emanom(archive)
    """
    run_steps(obs_archive, [(EMANOM, options)], ALLOWED, running)
