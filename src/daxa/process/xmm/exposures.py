"""Which exposures are processed."""

from __future__ import annotations

from dataclasses import dataclass

from daxa.process.arguments import check_bool
from daxa.process.options import StepOptions, argument
from daxa.process.step import Piece


@dataclass(frozen=True, eq=False)
class ExposureOptions(StepOptions):
    """Options of the chains that begin with the raw files of an exposure."""

    process_unscheduled: bool = argument(True, "Process unscheduled sub-exposures too.")

    def check(self) -> None:
        check_bool("process_unscheduled", self.process_unscheduled)


def scheduling_wanted(piece: Piece, options: ExposureOptions) -> bool:
    """Whether an exposure is scheduled, or unscheduled ones are wanted too.

    Parameters
    ----------
    piece
        The sub-exposure.
    options
        Options of the chain.
    """
    return options.process_unscheduled or bool(piece.exposure["scheduled"])
