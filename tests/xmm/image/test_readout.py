"""Events of the pn during its read-out."""

import pytest

from daxa.simulate.cameras.camera import CAMERAS
from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.errors import TaskError
from daxa.xmm.image.readout import readout_share


@pytest.fixture
def cal(calibration_env) -> Calibration:
    return Calibration.from_environment(calibration_env)


@pytest.mark.parametrize(
    ("submode", "share"),
    [
        # The shares that the users' handbook gives.
        ("PrimeFullWindow", 0.063),
        ("PrimeFullWindowExtended", 0.023),
        ("PrimeLargeWindow", 0.0016),
        ("PrimeSmallWindow", 0.011),
    ],
)
def test_shares_of_the_modes(cal, submode: str, share: float):
    assert readout_share(cal, submode) == pytest.approx(share, rel=0.05)
    assert readout_share(cal, submode) == CAMERAS["PN"].mode(submode).oot_fraction


def test_longer_frames_hold_fewer(cal):
    """Frames of 283 ms of the early extended mode: 0.0163 in scripts of the time."""
    assert readout_share(cal, "PrimeFullWindowExtended", 283.0) == pytest.approx(0.0163, rel=0.02)
    # What is but rounded is the frame of the table.
    assert readout_share(cal, "PrimeFullWindow", 73.0) == readout_share(cal, "PrimeFullWindow")


@pytest.mark.parametrize("submode", ["FastTiming", "FastBurst", "PrimePartialW2", ""])
def test_modes_without_are_refused(cal, submode: str):
    with pytest.raises(TaskError, match="is no imaging mode of the pn; give scale"):
        readout_share(cal, submode)
