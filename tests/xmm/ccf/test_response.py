"""Ingredients of the effective area."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from daxa.xmm.ccf import UnknownLayout, response
from daxa.xmm.ccf.calibration import Calibration

CAMERAS = ("EMOS1", "EMOS2", "EPN")


@pytest.fixture(scope="module")
def cal(synthetic_ccf: Path) -> Calibration:
    return Calibration.for_observation([synthetic_ccf], "2017-11-01")


@pytest.mark.parametrize("instrument", CAMERAS)
def test_vignetting_is_the_table(cal: Calibration, instrument: str) -> None:
    constituent = cal.constituent({"EMOS1": "XRT1", "EMOS2": "XRT2", "EPN": "XRT3"}[instrument], "XAREAEF")
    table, step = constituent.table("VIGNETTING"), constituent.keyword("D_THETA", "VIGNETTING")
    theta = 60 * step * np.arange(table["VIGNETTING_FACTOR"].shape[1])
    values = response.vignetting(cal, instrument, table["ENERGY"][:, None], theta[None, :])
    np.testing.assert_allclose(values, table["VIGNETTING_FACTOR"], rtol=1e-12)
    middle = response.vignetting(cal, instrument, table["ENERGY"][3], (theta[1:] + theta[:-1]) / 2)
    row = table["VIGNETTING_FACTOR"][3]
    np.testing.assert_allclose(middle, (row[1:] + row[:-1]) / 2, rtol=1e-12)
    for energy in (1.0, 1234.5, 1e6):
        one, many = (response.vignetting(cal, instrument, e, theta + 3.0) for e in (energy, [[energy]]))
        np.testing.assert_allclose(one, many[0], rtol=1e-12)


@pytest.mark.parametrize("instrument", CAMERAS)
def test_vignetting_outside_the_table_is_held(cal: Calibration, instrument: str) -> None:
    assert response.vignetting(cal, instrument, 1500.0, 0.0) == pytest.approx(1.0)
    assert response.vignetting(cal, instrument, 1500.0, 500.0) == response.vignetting(
        cal, instrument, 1500.0, 90.0
    )
    low, high = response.vignetting(cal, instrument, [1.0, 1e6], 10.0)
    assert 0 < high < low < 1
    shape = response.vignetting(
        cal, instrument, np.ones((3, 1)) * 1000, np.ones(4), np.zeros((2, 1, 1))
    ).shape
    assert shape == (2, 3, 4)


@pytest.mark.parametrize("instrument", ["EMOS1", "EMOS2"])
def test_vignetting_of_the_synthetic_set_is_near_that_of_a_real_one(
    cal: Calibration, instrument: str
) -> None:
    for theta, kev1, kev5 in ((0.04, 0.9370, 0.9336), (0.12, 0.6799, 0.6609), (0.20, 0.4347, 0.4040)):
        assert response.vignetting(cal, instrument, 1000.0, 60 * theta) == pytest.approx(kev1, abs=0.02)
        assert response.vignetting(cal, instrument, 5000.0, 60 * theta) == pytest.approx(kev5, abs=0.02)


def test_product(cal: Calibration) -> None:
    energy = np.array([500.0, 1500.0, 6000.0])
    total = response.effective_area(cal, "EPN", energy, 8.0, filter_name="Medium", ccd=4)
    parts = (
        response.mirror_area(cal, "EPN", energy)
        * response.vignetting(cal, "EPN", energy, 8.0)
        * response.filter_transmission(cal, "EPN", "Medium", energy)
        * response.quantum_efficiency(cal, "EPN", 4, energy)
    )
    np.testing.assert_allclose(total, parts)
    assert np.all(response.filter_transmission(cal, "EPN", "Open", energy) == 1)
    assert np.all(response.filter_transmission(cal, "EPN", "Closed", energy) == 0)
    assert response.quantum_efficiency(cal, "EMOS1", [[1], [5]], energy).shape == (2, 3)


def test_wrong_names(cal: Calibration) -> None:
    with pytest.raises(UnknownLayout, match="EPN_FILTERTRANSX.*FILTER-GLASS"):
        response.filter_transmission(cal, "EPN", "Glass", 1000.0)
    with pytest.raises(ValueError, match="RGS1"):
        response.mirror_area(cal, "RGS1", 1000.0)
    with pytest.raises(UnknownLayout, match="QE_CCD13"):
        response.quantum_efficiency(cal, "EPN", 13, 1000.0)
