"""The step emevents: patterns, positions, bad pixels and flags of the events of one MOS CCD."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from daxa.xmm.formats.flags import MosFlag
from daxa.xmm.instruments.mos import badpixels as bp
from daxa.xmm.instruments.mos import energy, events
from daxa.xmm.instruments.mos.context import Messages, StepContext
from daxa.xmm.instruments.mos.events import Events
from daxa.xmm.instruments.mos.exposure import Calibrated, Ccd
from daxa.xmm.instruments.mos.offsets import LineOffsets, corrected, wrong_offsets
from daxa.xmm.instruments.mos.options import REJECTION_FLAG, Emevents
from daxa.xmm.instruments.mos.patterns import PatternLibrary
from daxa.xmm.instruments.seeds import MOS_POSITION, MOS_TIME

#: Silicon K fluorescence [eV] and the half-width of its range.
_SILICON_EV = (1740.0, 100.0)
#: Single events above this energy [eV] are mostly real: their E3 tells about offsets.
_OFFSET_TEST_EV = 500.0
#: Share of the frames in which a row may be rejected, and of good events, before a warning is due.
_MANY_FRAMES, _FEW_GOOD = 0.01, 0.1


def emevents(ccd: Ccd, pixels: bp.BadPixels | None, params: Emevents, context: StepContext) -> Calibrated:
    """Analyse a CCD's events again, flag them, and give them places in the camera and times.

    Parameters
    ----------
    ccd
        The CCD with the frames and events of emframes.
    pixels
        Bad pixels (badpix); None if there are none yet.
    params
        Parameters of the task.
    context
        What the steps of the CCD share.
    """
    messages, library = context.messages, context.library
    say = messages.lines_of("emevents")
    say(f" {len(ccd.raw):12d}  events in input")
    list_ = ccd.raw.take(np.arange(len(ccd.raw)))
    if ccd.file_type == "RIE" and (params.splitdiagonals or params.rejectbade3):
        messages.warn(
            "emevents",
            "getParamValues11",
            f"CCD {ccd.number}: splitdiagonals or rejectbade3, but not in imaging mode: ignored",
        )
    elif params.splitdiagonals:
        silicon = None
        if params.keepsifluor:
            gain = ccd.coefficients[0, 1]
            silicon = ((_SILICON_EV[0] - _SILICON_EV[1]) / gain, (_SILICON_EV[0] + _SILICON_EV[1]) / gain)
        list_, split = events.split_diagonals(list_, library, silicon)
        say(f" {split:12d}  diagonal events split in two")
    if params.flagbadpixels and pixels is not None:
        list_, changed = _cut_bad(list_, pixels, library, params.analysepatterns)
        say(f" {changed:12d}  events removed or modified by CUT_BAD")
    wrong = _flag_events(ccd, list_, params, library, messages)
    n = len(list_)
    shift = np.zeros((2, n))
    if params.randomizeposition:
        shift = context.random(MOS_POSITION).uniform(-0.5, 0.5, (2, n))
    detx, dety = context.geometry.raw_to_det(
        ccd.number, list_.rawx + shift[0], list_.rawy + shift[1], ccd.node
    )
    time = ccd.frames.time_s[list_.frame]
    if params.randomizetime:
        part = context.random(MOS_TIME).uniform(-0.5, 0.5, n)
        time = time + ccd.frames.integration_s[list_.frame] * part
    return Calibrated(list_, time, np.rint(detx), np.rint(dety), wrong)


def _cut_bad(
    list_: Events, pixels: bp.BadPixels, library: PatternLibrary, analyse: bool
) -> tuple[Events, int]:
    maps = pixels.maps
    changed = 0
    if pixels.bad.any():
        list_, changed = events.cut_bad(list_, library, maps["bright"] | maps["onboard"], split=analyse)
        dead = energy.at_pixels(maps["dead"], list_.rawx, list_.rawy)
        list_.flag[dead & (list_.rawx >= 1) & (list_.rawy >= 1)] |= MosFlag.ON_BADPIX
    return list_, changed


def _flag_events(
    ccd: Ccd, list_: Events, params: Emevents, library: PatternLibrary, messages: Messages
) -> LineOffsets:
    """The tests of emevents, in SAS's order; returns the wrong offsets found."""
    made, say, warn = ccd.frames, messages.lines_of("emevents"), messages.warn
    below, above = events.flag_thresholds(list_, *ccd.limits_adu)
    say(f" {below:12d}  events below the EMDH lower threshold")
    say(f" {above:12d}  events above the EMDH upper threshold")
    say(f" {len(list_):12d}  events in output")
    if params.flagbadtimes:
        bad = ~made.good[list_.frame]
        list_.flag[bad] |= MosFlag.IN_BAD_FRAME
        say(f" {int(bad.sum()):12d}  events outside good frames")
        list_.flag[made.spoiled[list_.frame]] |= MosFlag.IN_SPOILED_FRAME
    say(f" {events.flag_cosmic(list_):12d}  cosmic-ray events")
    outside = events.flag_window(list_, ccd.limits[:2], ccd.limits[2:])
    say(f" {outside:12d}  events outside window")
    if params.rejectrows:
        _reject_rows(ccd, list_, params, messages)
    wrong = LineOffsets.none(ccd.shape)
    if ccd.file_type != "RIE":
        wrong = _reject_surroundings(ccd, list_, params, library, say)
    truncated = 0
    if params.flagtruncatede1:
        truncated = events.flag_truncated(list_, made.gatti, ccd.offsets.column, ccd.offsets.row)
    if params.rejectflickering:
        flickering, most_expected = events.flag_flickering(
            list_, int(made.received.sum()), tolerance=params.tolfxy
        )
        say(f" maximum number of expected events per bin  {most_expected:.9g}")
        listed = "  ".join(map(str, params.tolfxy))
        say(f" {flickering:12d}  events detected as flickering at tolerances  {listed}")
    say(f" {truncated:12d}  events with truncated E1")
    good = float((list_.flag & REJECTION_FLAG == 0).mean()) if len(list_) else 0.0
    say(f" Fraction of good events : {good:.9f}")
    if len(list_) and good < _FEW_GOOD:
        warn(
            "emevents",
            "checkRejected10",
            f"CCD {ccd.number}: the fraction of good events {good:.6g} is less than {_FEW_GOOD:g}",
        )
    return wrong


def _reject_rows(ccd: Ccd, list_: Events, params: Emevents, messages: Messages) -> None:
    """Flag events on and beside noisy rows of single frames."""
    say = messages.lines_of("emevents")
    noisy = events.flag_noisy_rows(
        list_, int(ccd.frames.received.sum()), max_above=params.maxeventsperrow, width=params.widthnexttorow
    )
    say(f" maximum number of expected events per row  {noisy.expected:.9g}")
    most = f"{params.maxeventsperrow:g}"
    say(f" {noisy.in_rows:12d}  events in rows with more than {most}  events above expected.")
    say(f" {noisy.beside:12d}  flagged events next to bad rows")
    if noisy.worst_share > _MANY_FRAMES:
        messages.warn(
            "emevents",
            "rejectRows12",
            f"Fraction of rejected frames {noisy.worst_share:.6g} exceeds 1% at some rows, "
            f"{noisy.worst_row} of CCD {ccd.number}",
        )


def _reject_surroundings(
    ccd: Ccd, list_: Events, params: Emevents, library: PatternLibrary, say: Callable[[str], None]
) -> LineOffsets:
    """Flag events of lines with a wrong offset, and those among very low charge; gives the offsets."""
    wrong = LineOffsets.none(ccd.shape)
    if params.detectbadoffsets:
        wrong = _wrong_offsets(ccd, list_)
        for name, lines in (("OFFSETX", wrong.column), ("OFFSETY", wrong.row)):
            if lines.any():
                say(f" {int((lines > 0).sum()):12d}  wrong {name}")
        hit = _on_lines(list_, wrong.column > 0, wrong.row > 0)
        list_.flag[hit] |= MosFlag.ON_BADOFFSET
        say(f" {int(hit.sum()):12d}  events on row/column with wrong offset")
    if params.rejectbade3:
        e3, _ = corrected(list_, library, wrong)
        low, threshold = events.flag_undershoot(replace(list_, e3=e3))
        say(f" {low:12d}  events with E3 < {threshold:12.0f}  + local median")
    return wrong


def _wrong_offsets(ccd: Ccd, list_: Events) -> LineOffsets:
    limit = (_OFFSET_TEST_EV - ccd.coefficients[0, 0]) / ccd.coefficients[0, 1]
    use = (list_.flag & REJECTION_FLAG == 0) & (list_.pattern == 0) & (list_.e1 > limit)
    column, row = (
        wrong_offsets(position[use], list_.e3[use], n)
        for position, n in zip((list_.rawx, list_.rawy), ccd.shape, strict=True)
    )
    return LineOffsets(column, row)


def _on_lines(list_: Events, column: npt.NDArray[np.bool_], row: npt.NDArray[np.bool_]) -> npt.NDArray:
    hit = np.zeros(len(list_), bool)
    for lines, position in ((column, list_.rawx), (row, list_.rawy)):
        if lines.any():
            inside = (position >= 1) & (position <= len(lines))
            hit |= inside & lines[np.clip(position - 1, 0, len(lines) - 1)]
    return hit
