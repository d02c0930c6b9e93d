"""What users of the MOS chain may choose: the parameters of its sub-tasks, under SAS's names and defaults.

``emchain`` and ``emproc`` take any of them as ``step:parameter=value``; some of ``emproc``'s own
parameters have the same names. Source: log of a real run (SAS 22.1), which prints them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from daxa.xmm.event.gti import GTI
from daxa.xmm.parameters import option

#: Bits that disqualify an event for the bad-pixel search and, by default, for the event list.
REJECTION_FLAG = 0x762AA000


@dataclass(frozen=True)
class Emframes:
    """emframes: which tests flag frames, and whether dead time and sliding scale are worked out."""

    flagbadtimes: bool = option(True, "frames outside the good times of ingtiset are flagged")
    flagfifooverflow: bool = option(True, "frames whose queue of events overflowed on board are flagged")
    setgatti: bool = option(True, "the offset of the sliding scale is worked out for each frame")
    checknvalid: bool = option(
        True, "frames are flagged of which another number of events came than their counter announces"
    )
    setdeadtime: bool = option(
        True, "the part of each frame that cosmic rays cover is taken from its exposure"
    )


@dataclass(frozen=True)
class Emevents:
    """emevents: which tests flag events, which events are analysed again, what is randomised."""

    flagbadtimes: bool = option(True, "events in flagged frames are flagged IN_BAD_FRAME")
    flagtruncatede1: bool = option(
        True, "events whose brightest pixel is at the end of the converter are flagged REJECTED_BY_GATTI"
    )
    withothernode: bool = option(
        True, "events that the line between two nodes has cut are joined where both nodes are read"
    )
    withoffvarsets: bool = option(
        False, "offsets used on board come from the ODF (offset/variance files), not from the calibration"
    )
    analysepatterns: bool = option(
        True, "events with a bright bad pixel are taken apart, and the rest gets its pattern anew"
    )
    flagbadpixels: bool = option(
        True, "events on bad pixels of the list are flagged ON_BADPIX or taken apart"
    )
    keepsifluor: bool = option(
        False, "diagonal doubles with a pixel of the energy of silicon fluorescence are not split"
    )
    splitdiagonals: bool = option(True, "diagonal doubles become two single events flagged DIAGONAL")
    randomizeposition: bool = option(
        True, "DETX and DETY are random within the pixel, otherwise those of its centre"
    )
    maxeventsperrow: float = option(
        4.0, "a row of one frame with so many more events than it has on average is noisy", minimum=0
    )
    widthnexttorow: int = option(
        10, "how far along a row neighbours of a noisy row's events are flagged too", unit="pixel", minimum=0
    )
    rejectrows: bool = option(True, "events on and beside noisy rows are flagged ON_BADROW")
    detectbadoffsets: bool = option(
        True,
        "rows and columns with a wrong offset on board are looked for, their events flagged ON_BADOFFSET",
    )
    rejectbade3: bool = option(True, "events with very low charge around them (E3) are flagged UNDERSHOOT")
    tolfxy: tuple[int, int, int] = option(
        (5, 2, 2), "frames, columns and rows of a bin in the test for flickering pixels", minimum=1
    )
    rejectflickering: bool = option(True, "events of pixels that fire in bursts are flagged FLICKERING")
    randomizetime: bool = option(
        True, "times are random within the frame's integration, otherwise those of its centre"
    )

    def first_pass(self) -> Emevents:
        """As for the bad-pixel search: events stay as they were sent."""
        return replace(
            self, analysepatterns=False, flagbadpixels=False, splitdiagonals=False, randomizeposition=False,
            randomizetime=False,
        )  # fmt: skip


@dataclass(frozen=True)
class Emenergy:
    """emenergy: tests of the surroundings, the local background, corrections of the amplitude."""

    flagevents: bool = option(
        True, "events beside borders, bad pixels and bad lines are flagged (CLOSE_TO_...)"
    )
    correctcti: bool = option(True, "charge lost in transfer is added to the amplitude")
    minenergy: float = option(
        100.0, "events with a brighter main pixel measure the local background", unit="adu", minimum=0
    )
    maxperipix: int = option(
        0, "events with at most so many outer pixels above threshold measure the local background",
        minimum=0, maximum=16,
    )  # fmt: skip
    fillminnumber: int = option(
        10, "cells of the background map with fewer events are filled (fillccdbkg)", minimum=0
    )
    fillccdbkg: bool = option(
        True, "cells of the background map with few events get the value of their rows and columns"
    )
    getccdbkg: bool = option(True, "the local background is measured and taken off the amplitudes")
    rejectbade3e4: bool = option(
        True,
        "events whose surroundings (E3, E4) lie outside an ellipse of the calibration are flagged BAD_E3E4",
    )
    randomizeenergy: bool = option(True, "amplitudes get a random part between -0.5 and 0.5 adu")
    correctgain: bool = option(True, "PI is the energy in eV; otherwise it equals the amplitude")

    def first_pass(self) -> Emenergy:
        """As for the bad-pixel search: amplitudes as they are."""
        return replace(self, correctcti=False, correctgain=False, randomizeenergy=False)


@dataclass(frozen=True)
class Emeventsproj:
    """emeventsproj: what goes into the image that is searched for bad pixels."""

    rejectbadevents: bool = option(
        True, "flagged events stay out, but not those outside the field of view or truncated"
    )
    projectenergy: bool = option(
        False, "pixels hold charge [adu], E1 in the main pixel and E2 shared by the others; otherwise counts"
    )


@dataclass(frozen=True)
class Embadpixfind:
    """embadpixfind: what is bright or dark enough to be bad, and what is looked for."""

    probathreshold: float = option(
        1e-6, "accepted chance of a false detection per pixel", minimum=0, maximum=1
    )
    halfwidth2d: int = option(
        2, "half-size of the square around a pixel that it is compared with", unit="pixel", minimum=1
    )
    halfwidth1d: int = option(3, "lines on each side that a row or column is compared with", minimum=1)
    minratio: float = option(1.5, "bright pixels hold at least so many times their surroundings", minimum=0)
    maxratio: float = option(0.5, "dark pixels hold at most so many times their surroundings", minimum=0)
    niter: int = option(10, "greatest number of passes; the search ends when one finds nothing", minimum=0)
    findbright: bool = option(True, "bright pixels, rows and columns are listed")
    finddead: bool = option(True, "dark pixels, rows and columns are listed")
    findbadsegments: bool = option(True, "rows and columns, and parts of them, are searched too")
    usecal: bool = option(True, "pixels that the calibration calls bad are left out of the search")
    ignoreccfbright: bool = option(
        False, "pixels that the calibration calls bright are searched all the same (usecal)"
    )
    includedeadpixels: bool = option(True, "dead pixels of the calibration are added to the list")


@dataclass(frozen=True)
class Badpix:
    """badpix: which lists of bad pixels are taken, and whether only those inside the window."""

    getuplnkbadpix: bool = option(True, "pixels that are masked on board are taken")
    getotherbadpix: bool = option(True, "other bad pixels of the calibration are taken")
    getnewbadpix: bool = option(True, "pixels found in the observation are taken")
    windowfilter: bool = option(True, "only pixels inside the window are taken")


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
    embadpixfind: Embadpixfind = field(default_factory=Embadpixfind)
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


#: Steps whose parameters a chain takes as ``step:parameter``.
STEPS: dict[str, type] = {
    "emframes": Emframes,
    "emevents": Emevents,
    "emenergy": Emenergy,
    "emeventsproj": Emeventsproj,
    "embadpixfind": Embadpixfind,
    "badpix": Badpix,
}


def with_steps(options: Options, given: Mapping[str, Any]) -> Options:
    """Set the parsed parameters that are given as ``step:parameter``."""
    for name in sorted(n for n in given if ":" in n):
        step, _, parameter = name.partition(":")
        value = given[name]
        options.change(step, **{parameter: tuple(value) if isinstance(value, list) else value})
    return options
