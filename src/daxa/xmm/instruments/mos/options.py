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

    flagbadtimes: bool = option(True, "flag frames outside the good times of ingtiset")
    flagfifooverflow: bool = option(True, "flag frames whose queue of events overflowed on board")
    setgatti: bool = option(True, "work out the offset of the sliding scale for each frame")
    checknvalid: bool = option(
        True, "flag frames of which not as many events came as their counter announces"
    )
    setdeadtime: bool = option(True, "take the part that cosmic rays cover off the exposure of each frame")


@dataclass(frozen=True)
class Emevents:
    """emevents: which tests flag events, which events are analysed again, what is randomised."""

    flagbadtimes: bool = option(True, "flag events of flagged frames (IN_BAD_FRAME)")
    flagtruncatede1: bool = option(
        True, "flag events whose main pixel is at the end of the converter (REJECTED_BY_GATTI)"
    )
    withothernode: bool = option(
        True, "join events that the line between two nodes has cut, where both nodes are read"
    )
    withoffvarsets: bool = option(
        False, "take the offsets used on board from the ODF (offset/variance files), not from the calibration"
    )
    analysepatterns: bool = option(
        True, "take events with a bright bad pixel apart, and find the pattern of the rest anew"
    )
    flagbadpixels: bool = option(
        True, "flag events on bad pixels of the list (ON_BADPIX), or take them apart"
    )
    keepsifluor: bool = option(
        False, "do not split diagonal doubles with a pixel of the energy of silicon fluorescence"
    )
    splitdiagonals: bool = option(True, "make two single events of a diagonal double, with the flag DIAGONAL")
    randomizeposition: bool = option(
        True, "make DETX and DETY random within the pixel; else they are those of its centre"
    )
    maxeventsperrow: float = option(
        4.0, "a row of one frame with so many more events than it has on average is noisy", minimum=0
    )
    widthnexttorow: int = option(
        10, "how far along a row neighbours of a noisy row's events are flagged too", unit="pixel", minimum=0
    )
    rejectrows: bool = option(True, "flag events on and beside noisy rows (ON_BADROW)")
    detectbadoffsets: bool = option(
        True,
        "look for rows and columns with a wrong offset on board, and flag their events (ON_BADOFFSET)",
    )
    rejectbade3: bool = option(True, "flag events with very low charge around them (E3, UNDERSHOOT)")
    tolfxy: tuple[int, int, int] = option(
        (5, 2, 2), "frames, columns and rows of a bin in the test for flickering pixels", minimum=1
    )
    rejectflickering: bool = option(True, "flag events of pixels that fire in bursts (FLICKERING)")
    randomizetime: bool = option(
        True, "make times random within the frame's integration; else they are those of its centre"
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

    flagevents: bool = option(True, "flag events beside borders, bad pixels and bad lines (CLOSE_TO_...)")
    correctcti: bool = option(True, "add the charge lost in transfer")
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
        True, "fill cells of the background map with few events from their rows and columns"
    )
    getccdbkg: bool = option(True, "measure the local background and take it off the amplitudes")
    rejectbade3e4: bool = option(
        True,
        "flag events whose surroundings (E3, E4) lie outside the calibration's ellipse (BAD_E3E4)",
    )
    randomizeenergy: bool = option(True, "add a random number between -0.5 and 0.5 adu to the amplitudes")
    correctgain: bool = option(True, "turn amplitudes into energies [eV] for PI; else it is the amplitude")

    def first_pass(self) -> Emenergy:
        """As for the bad-pixel search: amplitudes as they are."""
        return replace(self, correctcti=False, correctgain=False, randomizeenergy=False)


@dataclass(frozen=True)
class Emeventsproj:
    """emeventsproj: what goes into the image that is searched for bad pixels."""

    rejectbadevents: bool = option(
        True, "leave out flagged events, but not those outside the field of view or truncated"
    )
    projectenergy: bool = option(
        False, "sum charge [adu] (E1 in the main pixel, E2 shared by the others); else counts"
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
    findbright: bool = option(True, "list bright pixels, rows and columns")
    finddead: bool = option(True, "list dark pixels, rows and columns")
    findbadsegments: bool = option(True, "also search rows and columns, and parts of them")
    usecal: bool = option(True, "leave pixels that the calibration calls bad out of the search")
    ignoreccfbright: bool = option(
        False, "search pixels that the calibration calls bright all the same (usecal)"
    )
    includedeadpixels: bool = option(True, "add dead pixels of the calibration to the list")


@dataclass(frozen=True)
class Badpix:
    """badpix: which lists of bad pixels are taken, and whether only those inside the window."""

    getuplnkbadpix: bool = option(True, "take pixels that are masked on board")
    getotherbadpix: bool = option(True, "take other bad pixels of the calibration")
    getnewbadpix: bool = option(True, "take pixels found in the observation")
    windowfilter: bool = option(True, "take only pixels inside the window")


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
        """Set parameters of a sub-task.

        Parameters
        ----------
        subtask
            Its name.
        **values
            The parameters.
        """
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
    """Set the parsed parameters that are given as ``step:parameter``.

    Parameters
    ----------
    options
        Options of the chain.
    given
        ``step:parameter`` -> value.
    """
    for name in sorted(n for n in given if ":" in n):
        step, _, parameter = name.partition(":")
        value = given[name]
        options.change(step, **{parameter: tuple(value) if isinstance(value, list) else value})
    return options
