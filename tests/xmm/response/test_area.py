"""Ingredients of the effective area."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from daxa.simulate import optics
from daxa.simulate.cameras.camera import CAMERAS as SIMULATED
from daxa.xmm.ccf import UnknownLayout
from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.response import area as response
from daxa.xmm.sky.geometry import CameraGeometry

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


@pytest.mark.parametrize("instrument", ["EMOS1", "EMOS2"])
def test_gratings_shade_one_side_of_the_field(cal: Calibration, instrument: str) -> None:
    # The Users' Handbook: 0.44 to 0.45 of the light passes on axis.
    assert 0.44 <= response.grating_transmission(cal, instrument, 1000.0) <= 0.45
    theta, phi = np.linspace(0, 15, 16), np.arange(0, 2 * np.pi, np.pi / 8)
    mean = response.vignetting(cal, instrument, 1500.0, theta)
    around = response.vignetting(cal, instrument, 1500.0, theta[:, None], phi)
    np.testing.assert_allclose(around.mean(axis=1), mean, rtol=1e-12)
    np.testing.assert_allclose(around[:, 4], mean, rtol=1e-12)
    # 10 arcmin change the angle of incidence of 1.576 deg by 1.118 x 10 arcmin: 11.8 %.
    expected = 1 + np.cos(phi) * 0.118 * 0.55 / 0.45
    np.testing.assert_allclose(around[10] / mean[10], expected, rtol=0, atol=1e-3)
    area = response.effective_area(
        cal, instrument, 1500.0, 10.0, filter_name="Open", ccd=1, phi_rad=[0, np.pi]
    )
    assert area[0] / area[1] == pytest.approx(expected[0] / expected[8], rel=1e-3)


def test_sides_in_the_frames_of_the_cameras(cal: Calibration) -> None:
    """MOS1 sees more towards +DETY, MOS2 towards -DETX: both are towards the position angle on the sky."""
    for instrument, (x, y) in {"EMOS1": (0, 1), "EMOS2": (-1, 0)}.items():
        camera = CameraGeometry.from_calibration(cal, instrument, 5e8)
        x0, y0 = camera.optical_axis
        steps = 8000 * np.array([[x, y], [-x, -y], [y, x], [-y, -x]])
        theta, phi = camera.det_to_tel(x0 + steps[:, 0], y0 + steps[:, 1])
        more, less, *across = response.vignetting(cal, instrument, 1000.0, theta / 60, phi)
        assert more > across[0] * 1.05 > less * 1.1
        assert across[0] == pytest.approx(across[1], rel=1e-9)


def test_no_gratings_before_the_pn(cal: Calibration) -> None:
    assert np.all(response.grating_transmission(cal, "EPN", [500.0, 5000.0], 10.0, 3.0) == 1)
    phi = np.linspace(0, 6, 7)
    np.testing.assert_array_equal(
        response.vignetting(cal, "EPN", 1000.0, 9.0, phi),
        response.vignetting(cal, "EPN", 1000.0, 9.0) + 0 * phi,
    )


@pytest.mark.parametrize("code", ["M1", "M2", "PN"])
def test_gratings_of_engine_and_simulator(cal: Calibration, code: str) -> None:
    """A linear law for the angle of incidence here, rays and planes there."""
    camera = SIMULATED[code]
    theta, phi = np.linspace(0, 15, 31)[:, None], np.linspace(0, 2 * np.pi, 25)
    ours = response.grating_transmission(cal, camera.name, 1000.0, theta, phi)
    on_axis = response.grating_transmission(cal, camera.name, 1000.0)
    np.testing.assert_allclose(ours / on_axis, optics.gratings(camera, theta, phi), rtol=1e-3)


@pytest.mark.parametrize(
    ("code", "name", "place"),
    [
        ("M1", "MOS1", (359.4493, -32.583194)),
        ("M2", "MOS2", (359.4493, -32.583194)),
        ("PN", "PN", (359.449583, -32.5825)),
    ],
)
def test_area_at_the_place_of_real_spectra(cal: Calibration, shared_data: Path, code, name, place) -> None:
    """Real ARFs of a 40 arcsec circle within 5 % from 0.5 to 8 keV (the synthetic areas come from them)."""
    simulated, instrument = SIMULATED[code], SIMULATED[code].name
    camera = CameraGeometry.from_calibration(cal, instrument, 4.5e8)
    detx, dety = camera.sky_to_det(*place, 359.430833, -32.614778, 51.6756)
    theta, phi = camera.det_to_tel(detx, dety)
    with fits.open(shared_data / "arf_spectra_ngc7793" / f"{name}.arf.gz") as hdus:
        low, high, real = (
            np.asarray(hdus["SPECRESP"].data[c], float) for c in ("ENERG_LO", "ENERG_HI", "SPECRESP")
        )
    energy = (low + high) * 500
    ours = response.effective_area(
        cal, instrument, energy, theta / 60, filter_name="Medium", ccd=1 if code != "PN" else 4, phi_rad=phi
    ) * optics.encircled_fraction(simulated, energy, theta / 60, 40.0)
    if code == "PN":
        ours *= simulated.pattern_fractions(energy)[:, :2].sum(axis=1)
    for start, stop in pairwise(np.geomspace(500, 8000, 41)):
        here = (energy >= start) & (energy < stop)
        assert ours[here].mean() == pytest.approx(real[here].mean(), rel=0.05)


def test_gratings_without_their_files(synthetic_ccf: Path, tmp_path: Path, said) -> None:
    for path in synthetic_ccf.glob("*.CCF"):
        if "RGS2_QUANTUMEF" not in path.name:
            (tmp_path / path.name).symlink_to(path)
    cal = Calibration.for_observation([tmp_path], "2017-11-01")
    assert response.mirror_area(cal, "EMOS1", 1000.0) > 600
    assert said.fallbacks == {}
    assert response.grating_transmission(cal, "EMOS2", 1000.0) == pytest.approx(0.45)
    assert said.err.getvalue().count("(noGratingShare)") == 1
    assert "no RGS2_QUANTUMEF valid for" in said.err.getvalue()


def _gratings_table(synthetic_ccf: Path, folder: Path, **columns) -> Calibration:
    for path in synthetic_ccf.glob("*.CCF"):
        if "RGS1_QUANTUMEF" not in path.name:
            (folder / path.name).symlink_to(path)
    with fits.open(synthetic_ccf / "RGS1_QUANTUMEF_0015.CCF") as hdus:
        table = [fits.Column(name, "D", array=values) for name, values in columns.items()]
        hdus["RGA_OBSCURATE"] = fits.BinTableHDU.from_columns(table, name="RGA_OBSCURATE")
        hdus.writeto(folder / "RGS1_QUANTUMEF_0015.CCF")
    return Calibration.for_observation([folder], "2017-11-01")


def test_table_of_the_gratings_under_other_names(synthetic_ccf: Path, tmp_path: Path) -> None:
    cal = _gratings_table(
        synthetic_ccf,
        tmp_path,
        KAPPA_ERR=[0.01, 0.02, 0.02],
        E=[200.0, 1500.0, 9000.0],
        KAPPA=[0.5, 0.56, 0.6],
    )
    np.testing.assert_allclose(
        response.grating_transmission(cal, "EMOS1", [100.0, 850.0, 1500.0]), [0.5, 0.47, 0.44], rtol=1e-12
    )


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"ENERGY": [200.0, 9000.0], "LEFT": [0.45, 0.44]}, "no column OBSCURATE .*it has .*LEFT"),
        ({"ENERGY": [0.2, 9.0], "OBSCURATE": [0.45, 0.45]}, "about 0.55 at 1.5 keV; found 0.45"),
        ({"ENERGY": [200.0, 9000.0], "OBSCURATE": [55.0, 55.0]}, "about 0.55 at 1.5 keV; found 55.00"),
    ],
)
def test_other_tables_of_the_gratings_are_not_taken(
    synthetic_ccf: Path, tmp_path: Path, said, columns, message
) -> None:
    cal = _gratings_table(synthetic_ccf, tmp_path, **columns)
    assert response.grating_transmission(cal, "EMOS1", 1500.0) == pytest.approx(0.45)
    where = r"\(noGratingShare\), RGS1_QUANTUMEF_0015.CCF\[RGA_OBSCURATE\]"
    assert re.search(f"{where}: .*{message}", said.err.getvalue())


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
