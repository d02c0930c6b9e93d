"""The step emenergy: energies of the events of one MOS CCD."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from daxa.xmm.formats.flags import MosFlag
from daxa.xmm.instruments.mos import badpixels as bp
from daxa.xmm.instruments.mos import energy, events
from daxa.xmm.instruments.mos.context import StepContext
from daxa.xmm.instruments.mos.events import Events
from daxa.xmm.instruments.mos.exposure import Calibrated, Ccd
from daxa.xmm.instruments.mos.offsets import corrected
from daxa.xmm.instruments.mos.options import Emenergy
from daxa.xmm.instruments.mos.patterns import PatternLibrary
from daxa.xmm.instruments.seeds import MOS_ENERGY


def emenergy(
    ccd: Ccd,
    made: Calibrated,
    pixels: bp.BadPixels | None,
    scale: energy.EnergyScale,
    params: Emenergy,
    context: StepContext,
) -> npt.NDArray[np.float64]:
    """Flag events by their surroundings, and measure their amplitudes and energies.

    Sets ``made.pha`` and ``made.pi``.

    Parameters
    ----------
    ccd, made
        The CCD, and its events after emevents, whose flags are set.
    pixels
        Bad pixels (badpix); None if there are none yet.
    scale
        What makes energies of amplitudes. ``correctcti`` and ``correctgain`` of the parameters are in it.
    params
        Parameters of the step.
    context
        What the steps of the CCD share.

    Returns
    -------
    array
        Map of the local background, see :func:`~daxa.xmm.instruments.mos.energy.background_map`.
    """
    say, library = context.messages.lines_of("emenergy"), context.library
    list_ = made.events
    lines = ccd.lines + made.wrong
    if params.flagevents:
        maps = (pixels or bp.BadPixels(ccd.shape)).maps
        energy.flag_neighbours(list_, maps, ccd.limits, ccd.shape, lines.blind, ccd.node_limit)
    list_.flag[~context.geometry.in_fov(made.detx, made.dety)] |= MosFlag.OUT_OF_FOV
    out = int((list_.flag & int(MosFlag.OUT_OF_FOV) != 0).sum())
    say(f" {out:12d}  events outside field of view")
    e3, e4 = corrected(list_, library, made.wrong)
    level, image, parts = np.zeros(len(list_)), np.zeros((1, 1)), scale.parts
    seen = replace(list_, e3=e3, e4=e4)
    if params.getccdbkg and parts is not None:
        level, image = _background(seen, ccd.shape, library, parts, params, say)
    if params.rejectbade3e4 and parts is not None:
        bad = energy.flag_incoherent(seen, library, level, parts.ellipse)
        say(f" {bad:12d}  events outside the ellipse in E3/E1, E4/E1")
    dither: npt.NDArray[np.float64] | float = 0.0
    if params.randomizeenergy:
        dither = context.random(MOS_ENERGY).uniform(-0.5, 0.5, len(list_))
    if parts is not None:
        made.pha = energy.amplitude(seen, library, level, parts.weights, dither)
    else:
        made.pha = np.asarray(list_.e1 + list_.e2 + dither, float)
    low = ccd.threshold_adu
    _count_outside(say, "PHA", made.pha, low, float(events.ADC_MAXIMUM))
    made.pi = energy.energies(list_, made.pha, scale.loss, scale.gain)
    if scale.gain is not None:
        ends = energy.apply_gain([low, events.ADC_MAXIMUM], [0, 0], scale.gain)
        _count_outside(say, "PI", made.pi, *np.rint(ends))
    return image


def _background(
    seen: Events,
    shape: tuple[int, int],
    library: PatternLibrary,
    parts: energy.Parts,
    params: Emenergy,
    say: Callable[[str], None],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Level of the local background at each event, and its map (CCDBKG); flags stay as they are."""
    trial = replace(seen, flag=seen.flag.copy())
    if params.rejectbade3e4:
        bad = energy.flag_incoherent(trial, library, 0.0, parts.ellipse)
        say(f" {bad:12d}  events outside the ellipse in E3/E1, E4/E1")
    level, image, clipped = energy.background(
        trial,
        shape,
        min_energy_adu=params.minenergy,
        max_peripix=params.maxperipix,
        min_number=params.fillminnumber,
        fill=params.fillccdbkg,
    )
    say(f" {clipped:12d}  events rejected by   3.0      sigma clipping on E4 for CCDBKG")
    return level, image


def _count_outside(
    say: Callable[[str], None], name: str, values: npt.NDArray[np.float64], low: float, high: float
) -> None:
    number = int(((values < low) | (values > high)).sum())
    say(f" {number:12d}  events with {name} out of range {low:11.0f}  - {high:11.0f}")
