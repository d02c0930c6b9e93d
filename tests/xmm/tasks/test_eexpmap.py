"""The exposure map of each camera: against live time times vignetting, and against flat fields."""

import io
from pathlib import Path

import numpy as np
import pytest
import real_products
from astropy.io import fits

from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.errors import TaskError
from daxa.xmm.response import area
from daxa.xmm.response.area import vignetting
from daxa.xmm.sky.tangent import from_xy
from daxa.xmm.task import run_task

START = 6.0e8
GRID = {
    "xcolumn": "X", "ycolumn": "Y", "imagebinning": "binSize", "ximagebinsize": 87, "yimagebinsize": 87,
    "ximagemin": 3649, "ximagemax": 48106, "withxranges": True, "yimagemin": 3649, "yimagemax": 48106,
    "withyranges": True,
}  # fmt: skip


def call(task, env, cwd, **arguments):
    out = io.StringIO()
    run_task(task, arguments, cwd=cwd, env=env, out=out)
    return out.getvalue()


def test_maps_of_discarded_lines_are_not_made(tmp_path):
    with pytest.raises(NotImplementedError, match="usedlimap"):
        run_task("eexpmap", {"usedlimap": True}, cwd=tmp_path)


@pytest.mark.parametrize("instrument", ["EMOS1", "EMOS2", "EPN"])
def test_map_is_live_time_times_vignetting(
    instrument, list_maker, write_attitude, calibration_env, tmp_path, geometry
):
    maker = list_maker(instrument)
    maker.write(tmp_path / "ev.fits", maker.flat(np.random.default_rng(1), 2000, START, START + 4000), 4000)
    write_attitude(tmp_path / "att.fits", [(START - 10, START + 4010, *maker.pointing)])
    call(
        "evselect",
        calibration_env,
        tmp_path,
        table="ev.fits",
        imageset="im.fits",
        expression="PI in [500:2000]",
        **GRID,
    )
    call(
        "eexpmap", calibration_env, tmp_path, imageset="im.fits", attitudeset="att.fits", eventset="ev.fits",
        expimageset="exp.fits", pimin=500, pimax=2000,
    )  # fmt: skip
    found = fits.getdata(tmp_path / "exp.fits")
    header = fits.getheader(tmp_path / "exp.fits")
    assert found.shape == (512, 512)
    assert header["BUNIT"] == "s"
    camera = geometry[instrument]
    cal = Calibration.from_environment(calibration_env, Path())
    live = fits.getheader(tmp_path / "ev.fits", "EVENTS")["LIVETIME"]
    rows, columns = (i.ravel() for i in np.indices(found.shape))
    ra, dec = from_xy(3649 - 0.5 + 87 * (columns + 0.5), 3649 - 0.5 + 87 * (rows + 0.5), *maker.pointing[:2])
    det = camera.sky_to_det(ra, dec, *maker.pointing)
    ccd, rawx, rawy = camera.det_to_raw(*det)
    nx, ny = camera.shape(camera.ccds[0])
    edge = 15 if instrument != "EPN" else 3
    inside = (ccd > 0) & (rawx > edge) & (rawx < nx - edge) & (rawy > edge) & (rawy < ny - edge)
    inside &= np.logical_and.reduce(
        [camera.in_fov(det[0] + a, det[1] + b) for a in (-99, 99) for b in (-99, 99)]
    )
    if instrument != "EPN":
        # The outer chips' edges lie over the central one.
        inside &= ~((ccd == 1) & (np.hypot(rawx - 300, rawy - 300) > 260))
    theta, phi = camera.det_to_tel(*det)
    expected = live * vignetting(cal, instrument, 1250.0, theta / 60, phi)
    assert inside.sum() > 10_000
    np.testing.assert_allclose(found.ravel()[inside], expected[inside], rtol=5e-3)


@pytest.mark.parametrize("factor", [0.8, 1.1])
def test_ccds_count_by_their_efficiency(
    factor, list_maker, write_attitude, calibration_env, tmp_path, monkeypatch
):
    """A CCD that sees more or less than the one on the axis has more or less exposure; so do real maps."""
    maker = list_maker("EMOS1")
    maker.write(tmp_path / "ev.fits", maker.flat(np.random.default_rng(1), 200, START, START + 400), 400)
    write_attitude(tmp_path / "att.fits", [(START - 10, START + 410, *maker.pointing)])
    detector = {
        "xcolumn": "DETX",
        "ycolumn": "DETY",
        "imagebinning": "imageSize",
        "ximagesize": 200,
        "yimagesize": 200,
    }
    call("evselect", calibration_env, tmp_path, table="ev.fits", imageset="im.fits", **detector)
    given = {"imageset": "im.fits", "eventset": "ev.fits", "withdetcoords": True, "withvignetting": False}
    call("eexpmap", calibration_env, tmp_path, expimageset="equal.fits", **given)
    plain = area.quantum_efficiency

    def of_ccd_3(cal, instrument, ccd, energy_ev):
        return plain(cal, instrument, ccd, energy_ev) * (factor if ccd == 3 else 1.0)

    monkeypatch.setattr(area, "quantum_efficiency", of_ccd_3)
    call("eexpmap", calibration_env, tmp_path, expimageset="other.fits", **given)
    equal, other = (fits.getdata(tmp_path / f"{name}.fits") for name in ("equal", "other"))
    ratio = other[equal > 300] / equal[equal > 300]
    assert np.isclose(ratio, 1, atol=1e-3).sum() > 10_000
    assert np.isclose(ratio, factor, atol=1e-3).sum() > 2_000


def test_the_times_and_ccds_of_the_image_count(list_maker, write_attitude, calibration_env, tmp_path):
    maker = list_maker("EMOS1")
    maker.write(tmp_path / "ev.fits", maker.flat(np.random.default_rng(1), 2000, START, START + 4000), 4000)
    write_attitude(tmp_path / "att.fits", [(START - 10, START + 4010, *maker.pointing)])

    def largest(expression):
        call(
            "evselect",
            calibration_env,
            tmp_path,
            table="ev.fits",
            imageset="im.fits",
            expression=expression,
            **GRID,
        )
        err = io.StringIO()
        given = {
            "imageset": "im.fits",
            "attitudeset": "att.fits",
            "eventset": "ev.fits",
            "expimageset": "exp.fits",
        }
        run_task("eexpmap", given, cwd=tmp_path, env=calibration_env, out=io.StringIO(), err=err)
        found = fits.getdata(tmp_path / "exp.fits")
        return float(found.max()), int((found > 0).sum()), err.getvalue()

    whole, pixels, _ = largest("true")
    quarter, same, _ = largest(f"TIME in [{START + 1000}:{START + 2000}]")
    assert quarter == pytest.approx(whole / 4, rel=0.01)
    assert same == pixels
    outer, fewer, _ = largest("CCDNR in 2,3")
    assert outer < whole
    assert 0.15 < fewer / pixels < 0.35


@pytest.fixture(scope="module", params=["EMOS1", "EMOS2", "EPN"])
def flat(request, list_maker):
    """A camera and a million events spread evenly over its chips."""
    maker = list_maker(request.param)
    return maker, maker.flat(np.random.default_rng(3), 1_500_000, START, START + 4000)


@pytest.mark.slow
@pytest.mark.parametrize("band", [None, (500, 2000), (2000, 10000)], ids=["particles", "soft", "hard"])
def test_flat_field_divides_out(flat, band, write_attitude, calibration_env, tmp_path, geometry):
    """An evenly bright sky divided by the map of its band is flat to 2 %.

    Without a band: events spread evenly over the chips, divided by the un-vignetted map.
    """
    maker, columns = flat
    instrument, rng = maker.instrument, np.random.default_rng(4)
    low, high = band or (500, 2000)
    columns = columns | {"PI": rng.integers(low, high, len(columns["PI"]))}
    if band:
        cal = Calibration.from_environment(calibration_env, Path())
        off_axis, azimuth = geometry[instrument].det_to_tel(columns["DETX"], columns["DETY"])
        seen = vignetting(cal, instrument, (low + high) / 2, off_axis / 60, azimuth) > rng.random(
            len(azimuth)
        )
        columns = {k: v[seen] for k, v in columns.items()}
    maker.write(tmp_path / "ev.fits", columns, 4000)
    write_attitude(tmp_path / "att.fits", [(START - 10, START + 4010, *maker.pointing)])
    field = "(FLAG & 0x10000) == 0"
    call("evselect", calibration_env, tmp_path, table="ev.fits", imageset="im.fits", expression=field, **GRID)
    call(
        "eexpmap", calibration_env, tmp_path, imageset="im.fits", attitudeset="att.fits", eventset="ev.fits",
        expimageset="exp.fits", pimin=low, pimax=high, withvignetting=band is not None,
    )  # fmt: skip
    counts, exposure = fits.getdata(tmp_path / "im.fits").astype(float), fits.getdata(tmp_path / "exp.fits")
    assert counts[exposure == 0].sum() < 1e-3 * counts.sum()
    y, x = np.indices(counts.shape)
    ra, dec = from_xy(3649 + 87 * (x + 0.5), 3649 + 87 * (y + 0.5), *maker.pointing[:2])
    theta, _ = geometry[instrument].det_to_tel(*geometry[instrument].sky_to_det(ra, dec, *maker.pointing))
    rates, errors = [], []
    for row in range(0, 512, 32):
        for column in range(0, 512, 32):
            block = np.s_[row : row + 32, column : column + 32]
            near = theta[block] < 720
            seen = (exposure[block] > 0) & near
            if seen.sum() < 300:
                continue
            n = counts[block][near].sum()
            rates.append(n / exposure[block][near].sum())
            errors.append(np.sqrt(n) / exposure[block][near].sum())
    rates, errors = np.array(rates), np.array(errors)
    assert len(rates) > 30
    scatter = np.sqrt(max(np.var(rates) - np.mean(errors**2), 0)) / rates.mean()
    assert scatter < 0.02, scatter


def test_attitude_drift_moves_the_map(list_maker, write_attitude, calibration_env, tmp_path):
    maker = list_maker("EMOS1")
    ra, dec, pa = maker.pointing
    maker.write(tmp_path / "ev.fits", maker.flat(np.random.default_rng(1), 2000, START, START + 4000), 4000)
    write_attitude(
        tmp_path / "att.fits",
        [(START - 10, START + 2000, ra, dec, pa), (START + 2000, START + 4010, ra, dec + 0.02, pa)],
    )
    call(
        "evselect", calibration_env, tmp_path, table="ev.fits", imageset="im.fits", expression="true", **GRID
    )
    log = call(
        "eexpmap", calibration_env, tmp_path, imageset="im.fits", attitudeset="att.fits", eventset="ev.fits",
        expimageset="exp.fits", pimin=500, pimax=2000, withvignetting=False,
    )  # fmt: skip
    assert "2 attitude bins" in log
    found = fits.getdata(tmp_path / "exp.fits")
    live = fits.getheader(tmp_path / "ev.fits", "EVENTS")["LIVETIME"]
    half = np.abs(found / live - 0.5) < 0.02
    assert np.percentile(found[found > 0], 99) == pytest.approx(live, rel=1e-3)
    assert half.sum() > 500


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pimin": "500 700"}, "lists of one length"),
        ({"pimin": 3000}, "must be below"),
        ({"eventset": "nothing.fits"}, "nothing.fits: no such file"),
    ],
)
def test_bad_arguments(change, message, list_maker, calibration_env, tmp_path):
    maker = list_maker("EMOS1")
    maker.write(tmp_path / "ev.fits", maker.flat(np.random.default_rng(1), 100, START, START + 100), 100)
    arguments = {
        "imageset": "im.fits", "attitudeset": "att.fits", "eventset": "ev.fits", "expimageset": "exp.fits",
        "pimin": 500, "pimax": 2000,
    }  # fmt: skip
    with pytest.raises(TaskError, match=message):
        call("eexpmap", calibration_env, tmp_path, **{**arguments, **change})
    assert not (tmp_path / "exp.fits").exists()


def test_map_in_detector_coordinates(list_maker, calibration_env, tmp_path, geometry):
    """On a DETX, DETY image the map is the live time of the CCD under each pixel; no attitude is needed."""
    maker = list_maker("EMOS2")
    maker.write(tmp_path / "ev.fits", maker.flat(np.random.default_rng(1), 20000, START, START + 900), 900)
    call(
        "evselect", calibration_env, tmp_path, table="ev.fits", imageset="det.fits", xcolumn="DETX",
        ycolumn="DETY", imagebinning="binSize", ximagebinsize=200, yimagebinsize=200, withxranges=True,
        ximagemin=-20000, ximagemax=19999, withyranges=True, yimagemin=-20000, yimagemax=19999,
    )  # fmt: skip
    call(
        "eexpmap", calibration_env, tmp_path, imageset="det.fits", eventset="ev.fits", expimageset="exp.fits",
        withdetcoords=True, withvignetting=False, pimin=500, pimax=2000,
    )  # fmt: skip
    with fits.open(tmp_path / "det.fits") as image, fits.open(tmp_path / "exp.fits") as expmap:
        counts, found = image[0].data, expmap[0].data
        assert expmap[0].header["CTYPE1"] == image[0].header["CTYPE1"] == "DETX"
    live = fits.getheader(tmp_path / "ev.fits", "EVENTS")["LIVETIME"]
    centre = -20000 + 200 * np.arange(200) + 99.5
    detx, dety = np.meshgrid(centre, centre)
    chip = geometry["EMOS2"]
    inside = chip.in_fov(detx, dety) & (chip.det_to_raw(detx, dety)[0] > 0)
    assert found.shape == counts.shape == (200, 200)
    assert np.mean(np.abs(found[inside] / live - 1) < 0.01) > 0.97
    assert np.mean(found[~inside] == 0) > 0.97
    # Events lie where there is exposure, and nothing but edge pixels is without.
    seen = (counts > 0) & chip.in_fov(detx, dety)
    assert np.mean(found[seen] > 0) > 0.99
    call("evselect", calibration_env, tmp_path, table="ev.fits", imageset="im.fits", **GRID)
    wrong = {"imageset": "im.fits", "eventset": "ev.fits", "expimageset": "no.fits", "withdetcoords": True}
    with pytest.raises(TaskError, match="needs an image in DETX, DETY"):
        call("eexpmap", calibration_env, tmp_path, pimin=500, pimax=2000, **wrong)


def test_without_the_table_of_the_gratings_the_azimuth_is_averaged(
    list_maker, calibration_env, tmp_path, geometry
):
    maker = list_maker("EMOS2")
    maker.write(tmp_path / "ev.fits", maker.flat(np.random.default_rng(1), 2000, START, START + 900), 900)
    call(
        "evselect", calibration_env, tmp_path, table="ev.fits", imageset="det.fits", xcolumn="DETX",
        ycolumn="DETY", imagebinning="binSize", ximagebinsize=400, yimagebinsize=400, withxranges=True,
        ximagemin=-20000, ximagemax=19999, withyranges=True, yimagemin=-20000, yimagemax=19999,
    )  # fmt: skip
    with fits.open(calibration_env["SAS_CCF"]) as hdus:
        rows = hdus["CALINDEX"].data
        hdus["CALINDEX"].data = rows[~((rows["SCOPE"] == "RGS2") & (rows["TYPEID"] == "LINCOORD"))]
        hdus.writeto(tmp_path / "no_gratings.cif")
    env = {**calibration_env, "SAS_CCF": str(tmp_path / "no_gratings.cif")}
    err = io.StringIO()
    arguments = {
        "imageset": "det.fits", "eventset": "ev.fits", "expimageset": "exp.fits", "withdetcoords": True,
        "pimin": 500, "pimax": 2000,
    }  # fmt: skip
    run_task("eexpmap", arguments, cwd=tmp_path, env=env, out=err, err=err)
    assert "warning (noGratings)" in err.getvalue()
    assert "RGS2_LINCOORD" in err.getvalue()
    found = fits.getdata(tmp_path / "exp.fits")
    live = fits.getheader(tmp_path / "ev.fits", "EVENTS")["LIVETIME"]
    cal, camera = Calibration.from_environment(env, Path()), geometry["EMOS2"]
    # Places on either side of the axis, along the dispersion.
    columns, row = np.array([26, 77]), 47
    centre = -20000 + 400 * np.array([*columns, row]) + 199.5
    theta, _ = camera.det_to_tel(centre[:2], np.full(2, centre[2]))
    expected = live * vignetting(cal, "EMOS2", 1250.0, theta / 60)
    np.testing.assert_allclose(found[row, columns], expected, rtol=0.01)


@pytest.mark.slow
def test_real_maps_differ_from_ours_by_calibration_only(shared_data, tmp_path):
    """Real lists and attitude, simulated calibration: the ratio is one number per CCD and band.

    It is the same in both observations, whose times, pointings and lists are not.
    """
    lines = real_products.exposure_maps(shared_data, tmp_path)
    assert len(lines) == 8 + 4
    assert not [line for line in lines if not line.equal]
