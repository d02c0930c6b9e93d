"""An observation with the composition of a real one: its detectors' noise, a faint source in the middle."""

from __future__ import annotations

from daxa.simulate.cameras.noise import Noise
from daxa.simulate.cameras.readout import Exposure
from daxa.simulate.numbers.noise import MOS_FRAME_S
from daxa.simulate.observation import Description, Flare
from daxa.simulate.odf.clock import tt_of_utc
from daxa.simulate.odf.housekeeping import Pointing, on_attitude_grid
from daxa.simulate.sets.modes import MOS1_CCDS_LEFT
from daxa.simulate.sky import SkyModel, faint_field

OBS_ID, REVOLUTION, TARGET = "0800040101", 3278, "NGC 3079"
START_UTC = "2017-11-01T10:42:37"
#: Pointing and target [deg], as in 0802710101.
POINTING_DEG, ANGLE_DEG = (150.485625, 55.708722), 117.1905
TARGET_DEG = 150.490835, 55.679722
#: Length of the MOS1 exposure [s]; seconds that the others begin later (the pn takes its offset map first).
DURATION_S = 21_457.2
_MOS2_DELAY_S, _PN_DELAY_S, _LEAD_S = 30.3, 1615.7, 45.0
#: Swing of the pointing (assumed).
_DRIFT_ARCSEC = 4.0


def describe_like_0802710101(
    duration_s: float = DURATION_S, *, events: float = 1.0
) -> tuple[Description, SkyModel]:
    """Describe an observation like 0802710101: MOS1 without CCD 3 and 6, all cameras in full frame.

    Parameters
    ----------
    duration_s
        Length of the MOS1 exposure.
    events
        Multiplies the rates of the noise.
    """
    noise = Noise.like_0802710101()
    if events != 1.0:
        noise = noise.scaled(events, events)
    start = tt_of_utc(START_UTC)
    stop = start + duration_s + _LEAD_S
    ra, dec = on_attitude_grid(*POINTING_DEG)
    pointing = Pointing(
        OBS_ID, REVOLUTION, TARGET, ra, dec, ANGLE_DEG, *TARGET_DEG, start, stop, start - 16_000.0,
        drift_arcsec=_DRIFT_ARCSEC,
    )  # fmt: skip
    first = start + _LEAD_S
    delay = min(_PN_DELAY_S, 0.08 * duration_s)
    exposures = [
        Exposure("M1", "S001", first, stop, ccds=MOS1_CCDS_LEFT, frame_time_s=MOS_FRAME_S["M1"]),
        Exposure("M2", "S002", first + _MOS2_DELAY_S, stop, frame_time_s=MOS_FRAME_S["M2"]),
        Exposure("PN", "S003", first + delay, stop),
    ]
    begin = first + 0.8 * duration_s
    flare = Flare(begin, begin + 0.015 * duration_s, strength=0.6)
    return Description(pointing, exposures, [flare], noise), faint_field(*TARGET_DEG)
