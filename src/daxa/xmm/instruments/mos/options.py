"""What users of the MOS chain may choose: the parameters of its sub-tasks, under SAS's names and defaults.

``emchain`` and ``emproc`` take any of them as ``subtask:parameter=value``; some of ``emproc``'s own
parameters have the same names. Source: log of a real run (SAS 22.1), which prints them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.instruments.mos.badpixel_search import Search
from daxa.xmm.parameters import Parameter

#: Bits that disqualify an event for the bad-pixel search and, by default, for the event list.
REJECTION_FLAG = 0x762AA000


@dataclass(frozen=True)
class Emframes:
    """emframes: which tests flag frames, and whether dead time and sliding scale are worked out."""

    flagbadtimes: bool = True
    flagfifooverflow: bool = True
    setgatti: bool = True
    checknvalid: bool = True
    setdeadtime: bool = True


@dataclass(frozen=True)
class Emevents:
    """emevents: which tests flag events, which events are analysed again, what is randomised.

    ``withoffvarsets``: offsets used on board from the ODF instead of the calibration.
    ``tolfxy``: bin of the test for flickering in frames, columns and rows.
    """

    flagbadtimes: bool = True
    flagtruncatede1: bool = True
    withothernode: bool = True
    withoffvarsets: bool = False
    analysepatterns: bool = True
    flagbadpixels: bool = True
    keepsifluor: bool = False
    splitdiagonals: bool = True
    randomizeposition: bool = True
    maxeventsperrow: float = 4.0
    widthnexttorow: int = 10
    rejectrows: bool = True
    detectbadoffsets: bool = True
    rejectbade3: bool = True
    tolfxy: tuple[int, int, int] = (5, 2, 2)
    rejectflickering: bool = True
    randomizetime: bool = True

    def first_pass(self) -> Emevents:
        """As for the bad-pixel search: events stay as they were sent."""
        return replace(
            self, analysepatterns=False, flagbadpixels=False, splitdiagonals=False, randomizeposition=False,
            randomizetime=False,
        )  # fmt: skip


@dataclass(frozen=True)
class Emenergy:
    """emenergy: tests of the surroundings, the local background, corrections of the amplitude."""

    flagevents: bool = True
    correctcti: bool = True
    minenergy: float = 100.0
    maxperipix: int = 0
    fillminnumber: int = 10
    fillccdbkg: bool = True
    getccdbkg: bool = True
    rejectbade3e4: bool = True
    randomizeenergy: bool = True
    correctgain: bool = True

    def first_pass(self) -> Emenergy:
        """As for the bad-pixel search: amplitudes as they are."""
        return replace(self, correctcti=False, correctgain=False, randomizeenergy=False)


@dataclass(frozen=True)
class Emeventsproj:
    """emeventsproj: what goes into the image that is searched for bad pixels."""

    rejectbadevents: bool = True
    projectenergy: bool = False


@dataclass(frozen=True)
class Badpix:
    """badpix: which lists of bad pixels are taken, and whether only those inside the window."""

    getuplnkbadpix: bool = True
    getotherbadpix: bool = True
    getnewbadpix: bool = True
    windowfilter: bool = True


@dataclass
class Options:
    """Choices of a run of the chain.

    Attributes
    ----------
    emframes, emevents, emenergy, emeventsproj, embadpixfind, badpix
        Parameters of the sub-tasks.
    find_bad_pixels, low_energy_search, low_energy_ev, bad_pixel_gti
        Whether to search for bad pixels, and a last time below an energy; only in these times.
    use_bad_pixels
        Whether bad pixels, known or found, are used at all.
    reject_bad_events, rejection_flag, expression
        Which events are left out of the list: those with any of the flag bits, and those that the selection
        expression (if any) does not select.
    apply_ccd_gti, apply_flare_gti
        Whether events outside the good times of frames, or in flares, are left out.
    flare_bin_s, flare_max_rate
        Bin of the flare curve and greatest quiet rate [count/ks/arcmin2].
    full_output
        Whether the list keeps the raw columns.
    source
        RA and Dec [deg] of the source of timing mode.
    """

    emframes: Emframes = field(default_factory=Emframes)
    emevents: Emevents = field(default_factory=Emevents)
    emenergy: Emenergy = field(default_factory=Emenergy)
    emeventsproj: Emeventsproj = field(default_factory=Emeventsproj)
    embadpixfind: Search = field(default_factory=Search)
    badpix: Badpix = field(default_factory=Badpix)
    find_bad_pixels: bool = True
    low_energy_search: bool = True
    low_energy_ev: float = 500.0
    bad_pixel_gti: GTI | None = None
    use_bad_pixels: bool = True
    reject_bad_events: bool = True
    rejection_flag: int = REJECTION_FLAG
    expression: str = ""
    apply_ccd_gti: bool = True
    apply_flare_gti: bool = False
    flare_bin_s: float = 52.0
    flare_max_rate: float = 2.0
    full_output: bool = False
    source: tuple[float, float] | None = None

    def change(self, subtask: str, **values: Any) -> None:
        """Set parameters of a sub-task."""
        setattr(self, subtask, replace(getattr(self, subtask), **values))


SUBTASKS = ("emframes", "emevents", "emenergy", "emeventsproj", "embadpixfind", "badpix")


def subtask_parameters(subtask: str, options: Options | None = None) -> list[Parameter]:
    """Parameters of a sub-task with their defaults."""
    chosen = getattr(options or Options(), subtask)
    kinds = {bool: "bool", int: "int", float: "real", tuple: "list"}
    return [Parameter(f.name, kinds[type(v := getattr(chosen, f.name))], v) for f in fields(chosen)]


def parse_subtasks(options: Options, given: Mapping[str, Any], task_name: str) -> Options:
    """Set the parameters that are given as ``subtask:parameter``.

    Raises
    ------
    TaskError
        There is no such sub-task or parameter, or the value does not fit it.
    """
    for name in sorted(n for n in given if ":" in n):
        subtask, _, parameter = name.partition(":")
        known = {p.name: p for p in subtask_parameters(subtask)} if subtask in SUBTASKS else {}
        if parameter not in known:
            listed = ", ".join(known) or ", ".join(f"{s}:..." for s in SUBTASKS)
            raise TaskError(
                "unknownParameter", f"{task_name}: unknown parameter {name!r}; known are {listed}"
            )
        options.change(
            subtask, **{parameter: checked(name, known[parameter].parse(task_name, given[name]), task_name)}
        )
    return options


def checked(name: str, value: Any, task_name: str) -> Any:
    """A parsed value; lists (tolfxy) must be three whole numbers from 1.

    Raises
    ------
    TaskError
        They are not.
    """
    if not isinstance(value, (list, tuple)):
        return value
    try:
        numbers = tuple(int(v) for v in value)
    except ValueError:
        numbers = ()
    if len(numbers) != 3 or min(numbers) < 1:
        raise TaskError(
            "badParameter", f"{task_name}: parameter {name}: expected three numbers from 1, got {value!r}"
        )
    return numbers
