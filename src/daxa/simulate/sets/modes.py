"""The set of modes: one short observation for each family of read-out modes, and one of odd exposures.

In each a pulsar is the target, at a place that all windows hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from daxa.simulate.cameras.noise import Noise
from daxa.simulate.cameras.readout import Exposure
from daxa.simulate.observation import Description
from daxa.simulate.odf.clock import tt_of_utc
from daxa.simulate.odf.housekeeping import Pointing, on_attitude_grid
from daxa.simulate.sky import FIELD_DEC_DEG, FIELD_RA_DEG, SkyModel, pulsar_field

TARGET, TARGET_RA_DEG, TARGET_DEC_DEG = "Pulsar", FIELD_RA_DEG, FIELD_DEC_DEG
#: Pointing from the target: degrees of RA and Dec, position angle. The target falls on row 189 of the pn's
#: CCD 4, and near the middle of both MOS cameras.
_OFFSET_DEG, _ANGLE_DEG = (0.69353 / 60, 1.50170 / 60), 150.375
_REVOLUTIONS = {3101: "2016-11-15T01:04:00", 3895: "2021-02-24T09:16:00"}
#: CCDs of MOS1 since December 2012.
MOS1_CCDS_LEFT = (1, 2, 4, 5, 7)
_FULL = "PrimeFullWindow"


def _plain(start_s: float, stop_s: float, modes: Sequence[str]) -> list[Exposure]:
    cameras = (("M1", "S001", 40.0), ("M2", "S002", 45.0), ("PN", "S003", 60.0))
    return [
        Exposure(instrument, exp_id, start_s + delay, stop_s - 10, submode=mode)
        for (instrument, exp_id, delay), mode in zip(cameras, modes, strict=True)
        if mode
    ]


def _odd(start_s: float, stop_s: float) -> list[Exposure]:
    """Exposures that are not all there, or do not see the sky; the pn's second one is stopped at once."""
    middle = start_s + 0.6 * (stop_s - start_s)
    return [
        Exposure("M1", "S001", start_s + 40, middle, ccds=MOS1_CCDS_LEFT),
        Exposure(
            "M1", "U004", middle + 30, middle + 60, ccds=MOS1_CCDS_LEFT, empty_ccds=(5,), missing_ccds=(7,)
        ),
        Exposure("M2", "S002", start_s + 45, stop_s - 10, filter="CalClosed"),
        Exposure("PN", "S003", start_s + 60, middle, filter="Closed"),
        Exposure("PN", "U005", middle + 60, middle + 65, filter="Closed", empty_ccds=(9,), missing_ccds=(5,)),
        Exposure("PN", "U006", middle + 90, stop_s - 10, filter="CalClosed"),
    ]


#: ObsID, revolution, start in it [s], the pulsar's period [s] and flux 0.5-10 keV [erg/cm2/s], exposures:
#: modes of MOS1, MOS2 and pn ("" for none), or a function of start and stop.
_FAMILIES: tuple[tuple[str, int, float, float, float, Any], ...] = (
    ("0800020101", 3101, 8000.0, 0.0897, 2e-11, ("PrimePartialW2", "PrimePartialW3", "PrimeSmallWindow")),
    ("0800020201", 3101, 28000.0, 0.731, 2e-11, ("PrimePartialW3", _FULL, "PrimeLargeWindow")),
    ("0800020301", 3101, 48000.0, 0.0334, 1e-10, ("FastUncompressed", "FastUncompressed", "FastTiming")),
    ("0800020401", 3101, 68000.0, 0.0334, 1e-9, ("", "", "FastBurst")),
    ("0800020501", 3895, 30000.0, 7.3, 1e-11, _odd),
)


def describe_modes(duration_s: float, noise: Noise) -> list[tuple[Description, SkyModel]]:
    """The observations of the set, each ``duration_s`` long, and what is seen in them.

    Parameters
    ----------
    duration_s
        Length of the exposures [s].
    noise
        Rates of everything that is not a photon.
    """
    result = []
    ra, dec = on_attitude_grid(TARGET_RA_DEG + _OFFSET_DEG[0], TARGET_DEC_DEG + _OFFSET_DEG[1])
    for obs_id, revolution, offset, period, flux, modes in _FAMILIES:
        first = tt_of_utc(_REVOLUTIONS[revolution])
        start = first + offset
        stop = start + duration_s
        pointing = Pointing(
            obs_id, revolution, TARGET, ra, dec, _ANGLE_DEG, TARGET_RA_DEG, TARGET_DEC_DEG, start, stop, first
        )
        exposures = modes(start, stop) if callable(modes) else _plain(start, stop, modes)
        sky = pulsar_field(TARGET_RA_DEG, TARGET_DEC_DEG, period_s=period, flux_erg=flux, epoch_s=start)
        result.append((Description(pointing, exposures, noise=noise), sky))
    return result
