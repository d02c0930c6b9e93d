"""Geometry of the RGS: there and back, published check values, and numbers of real products."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from daxa.simulate.calibration.files import write_constituent
from daxa.simulate.calibration.rgs import rgs_constituents
from daxa.simulate.numbers import gratings as rgs_numbers
from daxa.xmm.ccf import UnknownLayout
from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.instruments.rgs import dispersion
from daxa.xmm.instruments.rgs.calibration import RgsCalibration
from daxa.xmm.instruments.rgs.geometry import RgsGeometry, chip_to_raw, node_shape, raw_to_chip, sun_angle
from daxa.xmm.sky.geometry import CameraGeometry

NAMES = ("RGS1", "RGS2")
ARCMIN = np.deg2rad(1 / 60)
#: What rgsangles (SAS 22.1) printed for ObsID 0802710101: middle of the exposure, median attitude, the
#: attitude of each spectrometer and its angle to the Sun.
MIDDLE_S = 625932129.184
MEDIAN = (150.485625, 55.70872222222222, 117.190536499)
PRINTED = {
    "RGS1": ((150.49536471135701, 55.682632690934199, 117.23984037619101), 1.5578592119738519),
    "RGS2": ((150.49735719295799, 55.678648397952003, 117.08093312219302), 1.5578095815519803),
}

ra = st.floats(0.0, 360.0)
dec = st.floats(-90.0, 90.0)
part = st.floats(0.0, 1.0)


@pytest.fixture(scope="module")
def cal(synthetic_ccf: Path) -> Calibration:
    return Calibration.for_observation([synthetic_ccf], "2017-11-01")


@pytest.fixture(scope="module")
def geometries(cal: Calibration) -> dict[str, RgsGeometry]:
    return {name: RgsCalibration(cal, name).geometry(MIDDLE_S) for name in NAMES}


# --- there and back ----------------------------------------------------------------------------------


@given(st.sampled_from(NAMES), st.integers(1, 9), st.integers(0, 1), part, part, st.sampled_from([1, 3]))
@settings(max_examples=80)
def test_pixel_to_angles_and_back(geometries, name, ccd, node, fx, fy, ocb) -> None:
    geometry = geometries[name]
    rawx, rawy = 0.51 + fx * (512 / ocb - 0.02), 0.51 + fy * (384 / ocb - 0.02)
    beta, xdsp = geometry.raw_to_angles(ccd, node, rawx, rawy, ocb)
    number, side, x, y = geometry.angles_to_raw(beta, xdsp, ocb)
    assert (number, side) == (ccd, node)
    np.testing.assert_allclose((x, y), (rawx, rawy), rtol=0, atol=1e-8)


@given(st.sampled_from(NAMES), ra, dec, st.floats(0, 360), st.floats(-20, 20), st.floats(-20, 20))
@settings(max_examples=80)
def test_offsets_to_sky_and_back(geometries, name, ra_pnt, dec_pnt, pa, along, across) -> None:
    attitude = ra_pnt, dec_pnt, pa
    offsets = along * ARCMIN, across * ARCMIN
    back = geometries[name].sky_to_offsets(*geometries[name].offsets_to_sky(*offsets, *attitude), *attitude)
    np.testing.assert_allclose(back, offsets, rtol=0, atol=1e-12)


@given(
    st.sampled_from(NAMES), ra, dec, st.floats(0, 360), st.floats(6, 36), st.integers(1, 2),
    st.floats(-3, 3), st.floats(-1.5, 1.5),
)  # fmt: skip
@settings(max_examples=80)
def test_sky_and_wavelength_to_pixel_and_back(
    geometries, name, ra_pnt, dec_pnt, pa, wavelength, order, along, across
) -> None:
    geometry, attitude = geometries[name], (ra_pnt, dec_pnt, pa)
    source = geometry.offsets_to_sky(along * ARCMIN, across * ARCMIN, *attitude)
    offsets = geometry.sky_to_offsets(*source, *attitude)
    ccd, node, rawx, rawy = geometry.angles_to_raw(*geometry.image(wavelength * order, *offsets))
    if ccd == 0:  # between two chips, or beyond the last ones
        assert np.isnan(rawx)
        assert np.isnan(rawy)
        return
    beta, xdsp = geometry.raw_to_angles(ccd, node, rawx, rawy)
    alpha = geometry.gratings.incidence_angle(offsets[0])
    found = dispersion.m_lambda(alpha, beta, geometry.gratings.spacing)
    assert found / order == pytest.approx(wavelength, abs=1e-9)
    assert xdsp == pytest.approx(geometry.gratings.f_over_l * offsets[1], abs=1e-12)
    assert dispersion.energy_ev(found, order) == pytest.approx(12398.42 / wavelength, rel=1e-7)


@given(part, st.sampled_from([1, 2, 3]), st.integers(0, 1))
def test_chip_coordinates_there_and_back(fraction, ocb, node) -> None:
    nx, _ = node_shape(ocb)
    rawx = 0.5 + fraction * (nx - 1e-3)
    side, back = chip_to_raw(raw_to_chip(node, rawx, ocb), ocb)
    assert side == node
    assert back == pytest.approx(rawx, abs=1e-9)


def test_nodes_are_the_two_halves_of_a_chip(geometries) -> None:
    # Documented: 171 x 128 binned pixels a node; both nodes' last columns touch in the middle.
    assert node_shape() == (171, 128)
    assert raw_to_chip([0, 1, 1], [171, 171, 1]).tolist() == [171, 172, 342]
    geometry = geometries["RGS1"]
    both = geometry.raw_to_sac(3, [0, 1], 512.5, 10.0, ocb=1)
    np.testing.assert_allclose(both[0], both[1], atol=1e-9)
    ends = geometry.raw_to_sac(3, [0, 1], 0.5, 10.0, ocb=1)
    assert np.linalg.norm(ends[1] - ends[0]) == pytest.approx(1024 * 0.027)


def test_arrays_of_any_shape(geometries) -> None:
    geometry = geometries["RGS2"]
    beta, xdsp = geometry.raw_to_angles(np.arange(1, 10)[:, None], [0, 1], 80.0, 60.0)
    assert beta.shape == xdsp.shape == (9, 2)
    assert all(v.shape == (9, 2) for v in geometry.angles_to_raw(beta, xdsp))
    assert geometry.angles_to_raw(np.full((2, 3), 0.2), 0.0)[0].tolist() == [[0] * 3] * 2


# --- published values --------------------------------------------------------------------------------


def test_dispersion_of_published_numbers(geometries) -> None:
    gratings = geometries["RGS1"].gratings
    wavelengths = np.array([5, 10, 15, 20, 25, 30, 35, 38.0])
    expected = [0.037450, 0.045258, 0.051905, 0.057793, 0.063135, 0.068060, 0.072652, 0.075273]
    beta = dispersion.diffraction_angle(gratings.alpha0_rad, wavelengths, gratings.spacing)
    np.testing.assert_allclose(beta, expected, rtol=0, atol=6e-7)
    back = dispersion.m_lambda(gratings.alpha0_rad, beta, gratings.spacing)
    np.testing.assert_allclose(back, wavelengths, rtol=1e-12)
    assert np.isnan(dispersion.diffraction_angle(0.03, 1e6, gratings.spacing))
    # The origin of the camera, from the header values that the handbook prints.
    at_origin = np.arctan2(562.63, 7471.78 - 795.54) - gratings.alpha0_rad
    assert at_origin == pytest.approx(0.056565, abs=1e-6)
    assert dispersion.m_lambda(gratings.alpha0_rad, at_origin, gratings.spacing) == pytest.approx(
        18.913, abs=1e-3
    )


def test_shift_of_an_off_axis_source(geometries) -> None:
    """The SAS user guide: an arcsecond along the dispersion is 2.3 mA in the first order."""
    geometry = geometries["RGS1"]
    gratings = geometry.gratings
    beta, _ = geometry.image([15.0, 30.0], 0.0)
    seen = dispersion.m_lambda(gratings.incidence_angle(ARCMIN / 60), beta, gratings.spacing)
    np.testing.assert_allclose(1e3 * (seen - [15.0, 30.0]), -2.3, rtol=0, atol=0.05)


def test_drift_correction_brings_events_back(geometries) -> None:
    geometry = geometries["RGS1"]
    gratings, source = geometry.gratings, 0.4 * ARCMIN
    factor = dispersion.drift_factor(float(gratings.incidence_angle(source)), gratings.f_over_l)
    wavelengths = np.array([8.0, 19.0, 33.0])
    reference, _ = geometry.image(wavelengths, source)
    for drift in (-0.03 * ARCMIN, 0.05 * ARCMIN):
        beta, _ = geometry.image(wavelengths, source + drift)
        corrected = dispersion.corrected_beta(beta, -drift, factor)
        # To first order in the drift, as the task does it.
        np.testing.assert_allclose(corrected, reference, rtol=0, atol=2e-8)
        assert np.all(np.abs(beta - reference) > 3e-6)


# --- real products -----------------------------------------------------------------------------------


class RealSpectrum:
    """A pipeline spectrum of RGS1: where it has exposure [Angstrom], and its angle of incidence."""

    def __init__(self, path: Path) -> None:
        with fits.open(path) as hdus:
            header, good = hdus["SPECTRUM"].header, hdus["SPECTRUM"].data["QUALITY"] == 0
        self.alpha, self.spacing = header["RGSALPHA"], header["LINE_SEP"]
        change = np.diff(np.concatenate([[0], good, [0]]).astype(int))
        edges = header["TCRVL1"] + header["TCDLT1"] * (np.arange(len(change)) - 0.5)
        begin, end = edges[change == 1], edges[change == -1]
        self.ends = begin[0], end[-1]
        # Bad columns leave a few channels out, a gap seven or more.
        self.gaps = [
            (a, b) for a, b in zip(end[:-1], begin[1:], strict=True) if b - a > 6.5 * header["TCDLT1"]
        ]

    def edges(self, geometry: RgsGeometry, ccd: int) -> tuple[float, float]:
        """Shortest and longest wavelength of a chip."""
        beta, _ = geometry.raw_to_angles(ccd, [0, 1], 0.5, 192.0, ocb=1)
        short, long = np.sort(dispersion.m_lambda(self.alpha, beta, self.spacing))
        return float(short), float(long)


@pytest.fixture(scope="module")
def spectrum(shared_data: Path) -> RealSpectrum:
    return RealSpectrum(shared_data / "rgs_0112880201" / "P0112880201R1S004SRSPEC1003.FTZ")


#: Chips of RGS1 from short to long wavelengths; CCD 7 is off.
LIVE = (9, 8, 6, 5, 4, 3, 2, 1)


def test_gaps_between_chips_of_a_real_spectrum(geometries, spectrum: RealSpectrum) -> None:
    """Channels without exposure hold the gaps, CCD 7 and what is beyond the ends, and little more.

    Two numbers of the synthetic chips, their spacing and a shift, are fitted to the same spectrum.
    """
    geometry = geometries["RGS1"]
    assert spectrum.spacing == pytest.approx(geometry.gratings.spacing, rel=1e-7)
    gaps = [(spectrum.edges(geometry, a)[1], spectrum.edges(geometry, b)[0]) for a, b in pairwise(LIVE)]
    assert len(spectrum.gaps) == len(gaps) == 7
    for (low, high), (left, right) in zip(spectrum.gaps, gaps, strict=True):
        assert low == pytest.approx(left, abs=0.03)
        assert high == pytest.approx(right, abs=0.03)
        assert low < left + 0.003
        assert high > right - 0.003
    assert 0 < spectrum.ends[0] - spectrum.edges(geometry, 9)[0] < 0.03
    assert 0 < spectrum.edges(geometry, 1)[1] - spectrum.ends[1] < 0.03


def test_published_numbers_alone_give_the_gaps(
    spectrum: RealSpectrum, tmp_path: Path, synthetic_ccf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing fitted: LINCOORD as the handbook prints it, chips of 1024 pixels with gaps of 0.5 mm."""
    monkeypatch.setattr(rgs_numbers, "CHIP_PITCH_MM", 1024 * 0.027 + 0.5)
    monkeypatch.setitem(rgs_numbers.CHIP_SHIFT_MM, "RGS1", 0.0)
    for constituent in rgs_constituents():
        if (constituent.scope, constituent.typeid) == ("RGS1", "LINCOORD"):
            write_constituent(constituent, tmp_path)
    for path in [*synthetic_ccf.glob("XMM_*.CCF"), *synthetic_ccf.glob("XRT1_XAREAEF*.CCF")]:
        (tmp_path / path.name).symlink_to(path)
    cal = Calibration.for_observation([tmp_path], "2001-07-09")
    geometry = RgsCalibration(cal, "RGS1").geometry(1.1e8)
    for (a, b), (low, high) in zip(pairwise(LIVE), spectrum.gaps, strict=True):
        middle = (spectrum.edges(geometry, a)[1] + spectrum.edges(geometry, b)[0]) / 2
        assert middle == pytest.approx((low + high) / 2, abs=0.03)


def test_default_grids_of_rgsangles_fit_the_chips(geometries) -> None:
    """Defaults of SAS 22.1: a channel of beta is a binned pixel, and the grids hold every pixel."""
    for geometry in geometries.values():
        rawx = np.arange(1, 171)
        for ccd in geometry.ccds:
            beta, xdsp = geometry.raw_to_angles(ccd, 0, rawx, 64.5)
            assert np.mean(np.abs(np.diff(beta))) == pytest.approx(1.20799995784e-05, rel=0.005)
            corners, xdsp = geometry.raw_to_angles(ccd, [0, 0, 1, 1], 1, [1, 128, 1, 128])
            assert np.all((corners > 0.0357852391899) & (corners < 0.0357852391899 + 3400 * 1.208e-5))
            assert np.all(np.abs(xdsp) < 0.0009126)
            assert np.all(np.abs(xdsp) > 0.0009126 * 0.8)


def test_axes_are_where_rgsangles_found_them(geometries) -> None:
    # By construction of the synthetic boresight; the drift that all instruments share is in it.
    for name, (attitude, _) in PRINTED.items():
        np.testing.assert_allclose(geometries[name].pointing(*MEDIAN), attitude, rtol=0, atol=3e-8)


def test_axes_lie_near_the_centres_of_the_cameras(geometries, cal: Calibration) -> None:
    """RGS and MOS share a telescope: fits to different products put the axis near DETX = DETY = 0."""
    for rgs, camera in (("RGS1", "EMOS1"), ("RGS2", "EMOS2")):
        axis = geometries[rgs].pointing(*MEDIAN)
        detx, dety = CameraGeometry.from_calibration(cal, camera, MIDDLE_S).sky_to_det(*axis[:2], *MEDIAN)
        assert 0.05 * np.hypot(detx, dety) < 15.0


def test_angle_to_the_sun(geometries) -> None:
    for attitude, printed in PRINTED.values():
        assert sun_angle(*attitude[:2], MIDDLE_S) == pytest.approx(printed, abs=5e-7)


def test_incidence_of_a_real_source(geometries, shared_data: Path) -> None:
    # A target in the middle of the field: within 3 arcsec of the nominal angle along the dispersion.
    name = "P0112880201R1S004SRSPEC1003.FTZ"
    real = fits.getval(shared_data / "rgs_0112880201" / name, "RGSALPHA", "SPECTRUM")
    gratings = geometries["RGS1"].gratings
    assert abs(real - gratings.alpha0_rad) / gratings.f_over_l < 3 * ARCMIN / 60


# --- mistakes ----------------------------------------------------------------------------------------


def test_mistakes(geometries, cal: Calibration) -> None:
    with pytest.raises(ValueError, match="'EMOS1' is not one of RGS1, RGS2"):
        RgsCalibration(cal, "EMOS1").geometry(MIDDLE_S)
    for ccd, node in ((0, 0), (10, 0), (1, 2), (1, -1), (-1, 0)):
        with pytest.raises(ValueError, match="RGS1: no such CCD or node"):
            geometries["RGS1"].raw_to_angles(ccd, node, 1, 1)


def test_a_file_without_node_1_is_refused(synthetic_ccf: Path, tmp_path: Path) -> None:
    for path in synthetic_ccf.glob("*.CCF"):
        if path.name.startswith(("XMM_", "XRT1_XAREAEF", "RGS1_LINCOORD")):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with fits.open(tmp_path / "RGS1_LINCOORD_0008.CCF", mode="update") as hdus:
        hdus["LINCOORD"].data["NODE_ID"] = 0
    cal = Calibration.for_observation([tmp_path], "2017-11-01")
    with pytest.raises(
        UnknownLayout, match=r"RGS1_LINCOORD_0008.CCF\[LINCOORD\]: expected rows for the nodes"
    ):
        RgsCalibration(cal, "RGS1").geometry(MIDDLE_S)
