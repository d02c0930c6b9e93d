"""Cleaned event lists of eROSITA."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

from daxa.archive import layout
from daxa.backend.contract import Task
from daxa.backend.software import SOFTWARE
from daxa.process.arguments import check_bool, check_quantity
from daxa.process.erosita.clean import ALLOWED, source_list
from daxa.process.options import Running, StepOptions, argument
from daxa.process.public import public
from daxa.process.runner import run_steps
from daxa.process.step import Piece, Recipe, Step
from daxa.process.tell import tell

if TYPE_CHECKING:
    from astropy.units import Quantity

    from daxa.archive import Archive

#: Flags of events that are corrupt, alone or with all of their frame.
CORRUPT = 0xC0000000


@dataclass(frozen=True, eq=False)
class CleanedOptions(StepOptions):
    """Options of `cleaned_evt_lists`."""

    lo_en: Quantity | None = argument(None, "Lower energy, 0.2 keV by default.")
    hi_en: Quantity | None = argument(None, "Upper energy, 10 keV by default.")
    flag: int = argument(
        CORRUPT, "Bits of FLAG; by default those of events that are corrupt, or in a corrupt frame."
    )
    flag_invert: bool = argument(
        True, "Leave out the events that have one of these bits; False keeps only them."
    )
    pattern: int = argument(15, "Sum of 1, 2, 4 and 8 for single to quadruple events.")
    gti: Literal["FLAREGTI", "GTI"] = argument(
        "FLAREGTI", "Good times of the list that events have to lie in: those without flares, or all."
    )

    def check(self) -> None:
        _ = self.band_kev
        check_bool("flag_invert", self.flag_invert)
        for name, low, high in (("flag", 0, 0xFFFFFFFF), ("pattern", 1, 15)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral):
                raise TypeError(f"{name}: expected an integer, got {value!r}")
            if not low <= int(value) <= high:
                raise ValueError(f"{name}: expected {low} to {high}, got {value}")
        if self.gti not in ("FLAREGTI", "GTI"):
            raise ValueError(f"gti: expected FLAREGTI or GTI, got {self.gti!r}")

    @cached_property
    def band_kev(self) -> tuple[float, float]:
        """Limits of the energy [keV]."""
        lo = 0.2 if self.lo_en is None else check_quantity("lo_en", self.lo_en, "keV")
        hi = 10.0 if self.hi_en is None else check_quantity("hi_en", self.hi_en, "keV")
        if not 0 <= lo < hi:
            raise ValueError(f"lo_en, hi_en: expected 0 <= lo_en < hi_en, got {lo:g} and {hi:g} keV")
        return lo, hi

    @property
    def flags(self) -> str:
        """The bits as the tasks take them."""
        return f"0x{self.flag:08x}"


def _recipe(piece: Piece, task: Task, options: CleanedOptions, insts: str, raw: bool) -> Recipe:
    energy = layout.energy_text(*options.band_kev)
    final = layout.final_events(piece.obs_id, insts, energy)
    return Recipe(
        [task],
        {"cleaned.fits": final},
        files={"final": final},
        settings={"en_key": f"en{energy}"},
        reads_raw=raw,
        raw_name=piece.obs_id,
    )


def _with_esass(piece: Piece, options: CleanedOptions) -> Recipe:
    """evtool: the flags it is given are those of events that it leaves out, unless ``flag_invert=yes``."""
    lo, hi = options.band_kev
    insts = source_list(piece)[1]
    task = Task(
        "evtool",
        eventfiles=str(piece.made("flaregti", "evt_list")),
        outfile="cleaned.fits",
        gti=options.gti,
        flag=options.flags,
        flag_invert=not options.flag_invert,
        pattern=options.pattern,
        emin=f"{lo:g}",
        emax=f"{hi:g}",
        image=False,
        events=True,
        clobber=True,
    )
    return _recipe(piece, task, options, insts, raw=False)


def _in_python(piece: Piece, options: CleanedOptions) -> Recipe:
    lo, hi = options.band_kev
    path, insts = source_list(piece)
    made = piece.made_if_any("flaregti", "evt_list")
    # Under the name that the folder of raw files has for the task; it lies there directly.
    table: Any = made if made is not None else piece.raw / path.name
    task = Task(
        "selecterosita",
        table=str(table),
        filteredset="cleaned.fits",
        gti=options.gti,
        lo=f"{1000 * lo:g}",
        hi=f"{1000 * hi:g}",
        patterns=options.pattern,
        flags=options.flags,
        keepflagged=not options.flag_invert,
    )
    return _recipe(piece, task, options, insts, raw=made is None)


_NAME, _MESSAGE = "cleaned_evt_lists", "Cleaning event lists"
CLEANED_BY_ESASS = Step(
    _NAME, _MESSAGE, "observation", _with_esass, needs=lambda inst, options: ("flaregti",), backend="esass"
)
CLEANED_IN_PYTHON = Step(_NAME, _MESSAGE, "observation", _in_python, backend="python")


def cleaning_step() -> Step[CleanedOptions]:
    """The step with eSASS where it is there, else in Python."""
    return CLEANED_IN_PYTHON if SOFTWARE["esass"].why_absent() else CLEANED_BY_ESASS


#: The places of the arguments are those of DAXA 0.3; what it lacks comes behind.
_ORDER = (
    "lo_en",
    "hi_en",
    "flag",
    "flag_invert",
    "pattern",
    "num_cores",
    "disable_progress",
    "timeout",
    "gti",
    "executor",
)


@public(CleanedOptions, order=_ORDER, mission="eROSITA")
def cleaned_evt_lists(obs_archive: Archive, options: CleanedOptions, running: Running) -> None:
    """Make the final event lists: without flares, corrupt events and energies that are not wanted.

    With eSASS, evtool makes them of what `flaregti` has made. Without, they are selected in Python, of what
    `flaregti` has made, or else of the archive's lists with the flare-free times that are in them.

    Warns
    -----
    UserWarning
        eSASS is not there, and events are selected in Python.

    Examples
    --------
    >>> from astropy.units import Quantity
    >>> daxa.process.erosita.cleaned_evt_lists(archive, Quantity(0.3, "keV"), Quantity(5, "keV"))
    """
    step = cleaning_step()
    if step is CLEANED_IN_PYTHON:
        tell(f"{_NAME}: {SOFTWARE['esass'].why_absent()}; without eSASS, events are selected in Python")
    run_steps(obs_archive, [(step, options)], ALLOWED, running)
