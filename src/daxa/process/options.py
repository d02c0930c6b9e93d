"""Options of steps: each default and each text is stated once, in a frozen dataclass of the step.

A field is made with :func:`argument`. :func:`~daxa.process.public.public` makes of it the signature and the
docstring of the step's public function; what users give is checked when the options are made::

    @dataclass(frozen=True, eq=False)
    class ChainOptions(StepOptions):
        process_unscheduled: bool = argument(True, "Process unscheduled sub-exposures too.")

        def check(self) -> None:
            check_bool("process_unscheduled", self.process_unscheduled)
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from daxa.archive.arguments import recordable
from daxa.process.arguments import check_cores, check_timeout

if TYPE_CHECKING:
    from astropy.units import Quantity


def argument(default: Any, text: str) -> Any:
    """A field that is an argument of a public function, with what its docstring says of it.

    Parameters
    ----------
    default
        Its default.
    text
        One or two sentences.
    """
    return field(default=default, metadata={"text": text})


@dataclass(frozen=True, eq=False)
class StepOptions:
    """Options of a step as users give them; what follows from them are properties.

    Raises
    ------
    TypeError, ValueError
        One of them is not usable; see `check`.
    """

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Refuse what is not usable, naming the argument."""

    def given(self) -> dict[str, Any]:
        """Argument of the public function -> value, from which the same options can be made again."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    def recorded(self) -> dict[str, Any]:
        """The same in the form that the ledger keeps."""
        return recordable(self.given())


@dataclass(frozen=True)
class Running:
    """How jobs are run: arguments that all steps share."""

    num_cores: int | None = argument(None, "Jobs at once; 90 % of the cores, rounded up, by default.")
    disable_progress: bool = argument(False, "No progress bars.")
    timeout: Quantity | None = argument(None, "Time limit of each job.")
    executor: Any = argument(
        None,
        "Where jobs run: an executor as of `concurrent.futures`, a client of Dask, the address of a "
        "scheduler of Dask, or ``dask``; on this machine by default. See `daxa.process.executors`.",
    )

    @property
    def cores(self) -> int:
        """Jobs at once."""
        return check_cores(self.num_cores)

    @property
    def limit_s(self) -> float | None:
        """Time limit of each job [s]."""
        return check_timeout(self.timeout)
