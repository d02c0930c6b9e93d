"""The step emenergy: energies of the events of one MOS CCD."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from daxa.xmm.formats.flags import MosFlag
from daxa.xmm.instruments.mos import badpixels as bp
from daxa.xmm.instruments.mos import energy, events
from daxa.xmm.instruments.mos.calibration import coherence_ellipse, energy_weights, transfer_loss
from daxa.xmm.instruments.mos.events import Events
from daxa.xmm.instruments.mos.exposure import Calibrated, Camera, Ccd
from daxa.xmm.instruments.mos.offsets import corrected
from daxa.xmm.instruments.mos.options import Emenergy
from daxa.xmm.instruments.mos.steps.emevents import log_line
from daxa.xmm.instruments.seeds import MOS_ENERGY


def emenergy(
    camera: Camera, ccd: Ccd, made: Calibrated, pixels: bp.BadPixels | None, params: Emenergy
) -> npt.NDArray[np.float64]:
    """Flag events by their surroundings, and measure their amplitudes and energies.

    Sets ``made.pha`` and ``made.pi`` (equal to the amplitude without ``correctgain``).

    Returns
    -------
    array
        Map of the local background, see :func:`~daxa.xmm.instruments.mos.energy.background_map`.
    """
    say = log_line(camera, "emenergy")
    list_ = made.events
    lines = ccd.lines + made.wrong
    if params.flagevents:
        maps = (pixels or bp.BadPixels(ccd.shape)).maps
        energy.flag_neighbours(list_, maps, ccd.limits, ccd.shape, lines.blind, ccd.node_limit)
    list_.flag[~camera.geometry.in_fov(made.detx, made.dety)] |= MosFlag.OUT_OF_FOV
    out = int((list_.flag & int(MosFlag.OUT_OF_FOV) != 0).sum())
    say(f" {out:12d}  events outside field of view")
    # Single pixels were sent without their surroundings.
    surroundings = ccd.file_type != "RIE"
    e3, e4 = corrected(list_, camera.library, made.wrong)
    level: npt.NDArray[np.float64] = np.zeros(len(list_))
    image = np.zeros((1, 1))
    ellipse = coherence_ellipse(camera)
    seen = replace(list_, e3=e3, e4=e4)
    if params.getccdbkg and surroundings:
        trial = replace(seen, flag=list_.flag.copy())
        if params.rejectbade3e4:
            bad = energy.flag_incoherent(trial, camera.library, 0.0, ellipse)
            say(f" {bad:12d}  events outside the ellipse in E3/E1, E4/E1")
        level, image, clipped = energy.background(
            trial,
            ccd.shape,
            min_energy_adu=params.minenergy,
            max_peripix=params.maxperipix,
            min_number=params.fillminnumber,
            fill=params.fillccdbkg,
        )
        say(f" {clipped:12d}  events rejected by   3.0      sigma clipping on E4 for CCDBKG")
    if params.rejectbade3e4 and surroundings:
        bad = energy.flag_incoherent(seen, camera.library, level, ellipse)
        say(f" {bad:12d}  events outside the ellipse in E3/E1, E4/E1")
    dither: npt.NDArray[np.float64] | float = 0.0
    if params.randomizeenergy:
        dither = camera.random(ccd.number, ccd.node, MOS_ENERGY).uniform(-0.5, 0.5, len(list_))
    if surroundings:
        made.pha = energy.amplitude(seen, camera.library, level, energy_weights(camera), dither)
    else:
        made.pha = np.asarray(list_.e1 + list_.e2 + dither, float)
    low = ccd.threshold_adu
    _count_outside(say, "PHA", made.pha, low, float(events.ADC_MAXIMUM))
    made.pi = energies(camera, ccd, list_, made.pha, params)
    if params.correctgain:
        ends = energy.apply_gain([low, events.ADC_MAXIMUM], [0, 0], ccd.coefficients)
        _count_outside(say, "PI", made.pi, *np.rint(ends))
    return image


def _count_outside(
    say: Callable[[str], None], name: str, values: npt.NDArray[np.float64], low: float, high: float
) -> None:
    number = int(((values < low) | (values > high)).sum())
    say(f" {number:12d}  events with {name} out of range {low:11.0f}  - {high:11.0f}")


def energies(
    camera: Camera, ccd: Ccd, list_: Events, pha: npt.NDArray[np.float64], params: Emenergy
) -> npt.NDArray[np.float64]:
    """Energies [eV] of amplitudes: charge transfer and gain (CTI_CORR, ENERGY)."""
    loss = None
    if params.correctcti:
        # Of the frames that came: a file of events knows no others.
        mean = float(ccd.frames.time_s[ccd.frames.received].mean())
        loss = transfer_loss(camera, ccd.number, ccd.node, ccd.shape, mean)
    return energy.energies(list_, pha, loss, ccd.coefficients if params.correctgain else None)
