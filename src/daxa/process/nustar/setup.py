"""What the NuSTAR observations of an archive hold, and how NuSTARDAS names files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daxa.process.contents import contents_step
from daxa.process.options import Running, StepOptions
from daxa.process.public import public
from daxa.process.runner import run_steps
from daxa.process.step import Piece

if TYPE_CHECKING:
    from daxa.archive import Archive

ALLOWED = ("nustar_pointed",)
INSTRUMENTS = ("FPMA", "FPMB")

PREPARE_NUSTAR_INFO = contents_step("prepare_nustar_info", "nustar")


def stem(piece: Piece) -> str:
    """Beginning of the names of all files of an observation.

    Parameters
    ----------
    piece
        The observation, or an instrument of it.
    """
    return f"nu{piece.obs_id}"


def module(piece: Piece) -> str:
    """Beginning of the names of files of a module.

    Parameters
    ----------
    piece
        An instrument of an observation.
    """
    return f"{stem(piece)}{str(piece.inst)[-1]}"


@public(StepOptions, mission="NuSTAR")
def prepare_nustar_info(obs_archive: Archive, options: StepOptions, running: Running) -> None:
    """Find out what each observation holds, by the headers of its event lists.

    Fills `observation_summaries` and `process_observation` of the archive. The other steps call it themselves
    where it has not been called.

    Examples
    --------
    >>> daxa.process.nustar.prepare_nustar_info(archive)
    """
    run_steps(obs_archive, [(PREPARE_NUSTAR_INFO, options)], ALLOWED, running)
