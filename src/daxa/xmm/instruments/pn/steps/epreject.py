"""epreject: dark levels and detector noise of a raw event list of the pn.

Source: manual of epreject. The algorithms stand in :mod:`daxa.xmm.instruments.pn.reject`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.flags import PnFlag
from daxa.xmm.instruments.pn.clock import FAST_MODES
from daxa.xmm.instruments.pn.options import Epreject
from daxa.xmm.instruments.pn.rawlist import RawList
from daxa.xmm.instruments.pn.reject import (
    DarkLevels,
    FloatArray,
    Loading,
    NoiseMap,
    OffsetMap,
    band_image,
    brightness_shift,
    correction_area,
    loading_shift,
    noise_probability,
    residual_offsets,
)

_SOFT = (30, 40)
#: Channel of the first column of noise maps: the lowest amplitude that is telemetered.
_FIRST_CHANNEL = 20
Warn = Callable[[str, str], None]
Info = Callable[[str], None]


@dataclass(frozen=True)
class Corrections:
    """What the amplitudes of one CCD are corrected with, None where there is nothing.

    Attributes
    ----------
    offsets
        The offset map that was in use.
    levels
        Imaging modes: what dark levels are judged by.
    noise
        Imaging modes: maps of detector noise.
    loading
        Fast modes: X-ray loading.
    """

    offsets: OffsetMap | None = None
    levels: DarkLevels | None = None
    noise: Sequence[NoiseMap] = ()
    loading: Loading | None = None


def epreject(
    raw: RawList,
    submode: str,
    corrections: Corrections,
    options: Epreject,
    random: Callable[[], np.random.Generator],
    warn: Warn,
    info: Info,
) -> RawList:
    """Correct the amplitudes of a raw list for wrong dark levels, and flag noise.

    Parameters
    ----------
    raw
        The raw events.
    submode
        SUBMODE of the exposure.
    corrections
        What they are corrected with.
    options
        Switches.
    random
        Gives the generator for the choice of noise events.
    warn, info
        Where warnings and lines of the log go.

    Returns
    -------
    RawList
        With other amplitudes and flags. Events that fall below the telemetry threshold stay.
    """
    if submode in FAST_MODES:
        return _without_loading(raw, corrections, warn, info) if options.withxrlcorrection else raw
    if options.withxrlcorrection:
        warn("XRLcorrFastModeOnly", f"{submode} has no X-ray loading correction in epreject")
    raw = _with_right_dark_levels(raw, corrections, options.sigma, warn, info)
    if options.withnoisehandling:
        raw = _with_noise_flagged(raw, corrections.noise, submode, options, random, warn, info)
    return raw


def _with_right_dark_levels(
    raw: RawList, corrections: Corrections, sigma: float, warn: Warn, info: Info
) -> RawList:
    """By the offset map, else by the brightness of pixels at the lowest amplitude."""
    offsets, levels = corrections.offsets, corrections.levels
    area = correction_area(band_image(raw.rawx, raw.rawy, raw.pha, *_SOFT), list(raw.offsets))
    if offsets is not None and levels is not None:
        rest = residual_offsets(offsets.adu, levels.reference, levels.limit_adu)
        return _shifted(raw, np.where(area, rest, 0.0), f"offset map {offsets.name}", info)
    if levels is None or levels.reference is None or levels.shift_of is None:
        warn("NoOffsetMap", f"CCD {raw.ccd}: no offset map and no median map; amplitudes stay as they are")
        return raw
    warn("NoOffsetMap", f"CCD {raw.ccd}: no offset map; dark levels are judged by the brightness at 20 adu")
    image = band_image(raw.rawx, raw.rawy, raw.pha, _FIRST_CHANNEL, _FIRST_CHANNEL)
    shift = brightness_shift(image, levels.reference, area, levels.shift_of, sigma)
    return _shifted(raw, shift, f"brightness over {levels.name}", info)


def _shifted(raw: RawList, shift: FloatArray, name: str, info: Info) -> RawList:
    """With the amplitude to add of each pixel (200, 64), or of each column (64), added [adu]."""
    of_event = shift[raw.rawy - 1, raw.rawx - 1] if shift.ndim == 2 else shift[raw.rawx - 1]
    pha = np.rint(raw.pha + of_event).astype(np.int32)
    below = int(np.count_nonzero((pha < _FIRST_CHANNEL) & (raw.pha >= _FIRST_CHANNEL)))
    shifted = int(np.count_nonzero(pha != raw.pha))
    info(
        f" CCD {raw.ccd}: {name}: {shifted} of {len(pha)} events shifted, {below} of them below "
        f"{_FIRST_CHANNEL} adu"
    )
    return replace(raw, pha=pha, off_cor=of_event.astype(np.float32))


def _with_noise_flagged(
    raw: RawList,
    maps: Sequence[NoiseMap],
    submode: str,
    options: Epreject,
    random: Callable[[], np.random.Generator],
    warn: Warn,
    info: Info,
) -> RawList:
    if len(options.noiseparameters) != 1 + 12:
        raise TaskError(
            "noiseparameters", "noiseparameters: expected a limit and a factor for each of 12 CCDs"
        )
    if not maps:
        warn("notCalibrated", f"EPN_REJECT: no noise map for CCD {raw.ccd} in {submode}")
        return raw
    cutoff, factor = options.noiseparameters[0], options.noiseparameters[raw.ccd]
    chance = np.zeros(len(raw.pha))
    for noise in maps:
        rows, channels = noise.counts.shape
        expected = noise.counts * (raw.gti.total / noise.exposure_s)
        channel = raw.pha - _FIRST_CHANNEL
        mine = noise.columns[raw.rawx - 1] & (channel >= 0) & (channel < channels)
        cell = (raw.rawy[mine].astype(np.int64) - 1) * channels + channel[mine]
        spectra = np.bincount(cell, minlength=rows * channels).reshape(rows, channels)
        chance[mine] = noise_probability(spectra, expected, cutoff, factor).ravel()[cell]
    # One number per event, so that the choice does not depend on the others'.
    flagged = random().random(len(chance)) < chance
    info(f" CCD {raw.ccd}: {np.count_nonzero(flagged)} events flagged as detector noise")
    return replace(raw, flag=raw.flag | np.where(flagged, int(PnFlag.DETECTOR_NOISE), 0).astype(np.int32))


def _without_loading(raw: RawList, corrections: Corrections, warn: Warn, info: Info) -> RawList:
    if corrections.offsets is None:
        warn("NoOffsetMap", f"CCD {raw.ccd}: no offset map, no correction for X-ray loading")
        return raw
    if corrections.loading is None:
        return raw
    loading = corrections.loading
    shift = loading_shift(corrections.offsets.adu, loading.closed, loading.coefficient)
    info(f" CCD {raw.ccd}: X-ray loading: {shift.min():.2f} to {shift.max():.2f} adu are added back")
    return _shifted(raw, shift, f"offset map {corrections.offsets.name}", info)
