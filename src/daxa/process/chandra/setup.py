"""What the Chandra observations of an archive hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daxa.process.contents import contents_step
from daxa.process.options import Running, StepOptions
from daxa.process.public import public
from daxa.process.runner import run_steps

if TYPE_CHECKING:
    from daxa.archive import Archive

ALLOWED = ("chandra",)
INSTRUMENTS = ("ACIS", "HRC")

PREPARE_CHANDRA_INFO = contents_step("prepare_chandra_info", "chandra")


@public(StepOptions, mission="Chandra")
def prepare_chandra_info(obs_archive: Archive, options: StepOptions, running: Running) -> None:
    """Find out what each observation holds, by the headers of its event lists.

    Fills `observation_summaries` and `process_observation` of the archive. The other steps call it themselves
    where it has not been called.

    Examples
    --------
    >>> daxa.process.chandra.prepare_chandra_info(archive)
    """
    run_steps(obs_archive, [(PREPARE_CHANDRA_INFO, options)], ALLOWED, running)
