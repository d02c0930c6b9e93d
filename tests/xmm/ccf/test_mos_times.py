"""The part of a MOS frame that is not integrated."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from daxa.xmm.ccf.documented import MEASURED_TRANSFER_S
from daxa.xmm.ccf.mos_times import transfer_s


def _modeparam(frame, integration, said):
    table = {
        "MODE_ID": np.array([0, 1]),
        "FRAME_T": np.array([frame, (300.0, 2700.0)]),
        "INTEGRATION_T": np.array([integration, (292.5, 2694.0)]),
    }

    def lacks(extension: str, column: str, found: str) -> float:
        said.append(column)
        return MEASURED_TRANSFER_S

    return SimpleNamespace(table=lambda name: table, lacks=lacks)


@pytest.fixture
def said() -> list[str]:
    """What the file was said to lack."""
    return []


def test_whole_ccds_and_windows(said) -> None:
    file = _modeparam((2600.0, 2600.0), (2594.0, 2594.0), said)
    assert transfer_s(file, 0, 1) == pytest.approx(0.006)
    assert transfer_s(file, 0, 5) == pytest.approx(0.006)
    assert transfer_s(file, 1, 1) == pytest.approx(0.0075)
    assert transfer_s(file, 1, 5) == pytest.approx(0.006)
    assert not said


@pytest.mark.parametrize("integration", [2600.0, 2590.0, 0.0, 2700.0, np.nan])
def test_the_measured_number_stands_in_for_what_cannot_be(said, integration) -> None:
    file = _modeparam((2600.0, 2600.0), (integration, integration), said)
    assert transfer_s(file, 0, 2) == 0.006
    assert said == ["INTEGRATION_T"]


def test_fast_modes_lose_nothing_unless_the_file_says_so(said) -> None:
    assert transfer_s(_modeparam((1050.0, 2700.0), (1050.0, 2694.0), said), 0, 1, imaging=False) == 0.0
    assert transfer_s(_modeparam((1050.0, 2700.0), (1050.0, 2694.0), said), 5, 1) == 0.006
    assert said == ["INTEGRATION_T"]
