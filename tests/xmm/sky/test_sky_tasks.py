"""atthkgen, attcalc and ecoordconv as tasks."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.errors import TaskError
from daxa.xmm.odf.times import utc_to_tt
from daxa.xmm.sky.attcalc import SKY_NULL, sky_coordinates
from daxa.xmm.sky.attitude import ATTHK_COLUMNS, AttHk, Attitude
from daxa.xmm.task import run_task

START = utc_to_tt("2017-11-01T10:42:37")


@pytest.fixture
def env(spacecraft_odf: Path, synthetic_ccf: Path, tmp_path: Path) -> dict[str, str]:
    env = {"SAS_ODF": str(spacecraft_odf), "SAS_CCFPATH": str(synthetic_ccf)}
    run_task("cifbuild", {}, cwd=tmp_path, env=env, out=io.StringIO(), err=io.StringIO())
    return {**env, "SAS_CCF": str(tmp_path / "ccf.cif")}


def _events(path: Path, n: int = 500, **primary: object) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    data = {
        "TIME": np.sort(START + rng.uniform(100, 5900, n)),
        "DETX": rng.integers(-17000, 17000, n).astype(np.int16),
        "DETY": rng.integers(-17000, 17000, n).astype(np.int16),
    }
    data["DETX"][3] = -32768
    columns = [fits.Column("TIME", "D", "s", array=data["TIME"])]
    columns += [fits.Column(c, "I", "0.05 arcsec", array=data[c]) for c in ("DETX", "DETY")]
    table = fits.BinTableHDU.from_columns(columns, name="EVENTS")
    first = fits.PrimaryHDU()
    first.header["SYNTHCAL"] = True
    keywords = {"INSTRUME": "EPN", "DATAMODE": "IMAGING", "RA_NOM": 150.5, "DEC_NOM": 55.7, **primary}
    for header in (first.header, table.header):
        header.update({k: v for k, v in keywords.items() if v is not None})
    table.header["KEEPME"] = 17
    fits.HDUList([first, table, fits.ImageHDU(np.zeros(3), name="OTHER")]).writeto(path)
    return data


def _run(name: str, cwd: Path, env: dict[str, str], **arguments: object) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    run_task(name, arguments, cwd=cwd, env=env, out=out, err=err)
    return out.getvalue(), err.getvalue()


def test_atthkgen_file(env, tmp_path: Path) -> None:
    _run("atthkgen", tmp_path, env, atthkset="att.ds", timestep=2)
    with fits.open(tmp_path / "att.ds") as hdus:
        table = hdus["ATTHK"]
        assert table.columns.names == [c.name for c in ATTHK_COLUMNS]
        assert set(table.columns.formats) == {"D"}
        assert len(table.data) == 3001
        np.testing.assert_allclose(np.diff(table.data["TIME"]), 2.0)
        assert table.data["TIME"][0] == pytest.approx(START, abs=1e-6)
        header = hdus[0].header
        for name in [c.name for c in ATTHK_COLUMNS[1:]]:
            assert f"M{name}" in header
            assert f"A{name}" in header
        assert (header["NATT"], header["NGAHF"]) == (3001, 3001)
        assert header["MAHFRA"] == pytest.approx(150.485625, abs=0.8 / 3600)
        assert header["MAHFPA"] == 117.25
        assert header["ATT_SRC"] == "AHF"
        assert (header["OBS_ID"], header["OBS_MODE"]) == ("0802710101", "POINTING")
        assert 0 < header["TFIT_RMS"] < 5e-6
        assert header["RA_OBJ"] == pytest.approx(150.490835, abs=1e-4)
    assert AttHk.read(tmp_path / "att.ds").median == pytest.approx(AttHk.read(tmp_path / "att.ds").mean)


def test_atthkgen_of_a_time_range(env, tmp_path: Path) -> None:
    _run("atthkgen", tmp_path, env, withtimeranges=True, timebegin=START + 10, timeend=START + 20)
    assert len(AttHk.read(tmp_path / "atthk.dat").columns["TIME"]) == 11
    with pytest.raises(TaskError, match="no interval"):
        _run("atthkgen", tmp_path, env, withtimeranges=True, timebegin=5, timeend=5)
    with pytest.raises(TaskError, match="timestep"):
        _run("atthkgen", tmp_path, env, timestep=0)
    with pytest.raises(NotImplementedError, match="preqgti"):
        _run("atthkgen", tmp_path, env, withpreqgti=True)


def test_attcalc_adds_columns_and_keywords(env, tmp_path: Path) -> None:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.sky.geometry import CameraGeometry
    from daxa.xmm.sky.tangent import to_xy

    data = _events(tmp_path / "ev.fits")
    _run("atthkgen", tmp_path, env)
    log, _ = _run("attcalc", tmp_path, env, eventset="ev.fits", atthkset="atthk.dat", withmedianpnt=True)
    assert "Column X does not exist - creating" in log
    median = AttHk.read(tmp_path / "atthk.dat").median
    geometry = CameraGeometry.from_calibration(
        Calibration.from_environment(env, tmp_path), "EPN", START + 3000
    )
    with fits.open(tmp_path / "ev.fits") as hdus:
        table, header = hdus["EVENTS"], hdus["EVENTS"].header
        assert [h.name for h in hdus] == ["PRIMARY", "EVENTS", "OTHER"]
        assert table.columns["X"].format == "J"
        assert (table.data["X"][3], table.data["Y"][3]) == (SKY_NULL, SKY_NULL)
        keep = np.arange(len(table.data)) != 3
        ra, dec = geometry.det_to_sky(data["DETX"], data["DETY"], *median)
        x, y = to_xy(ra, dec, median[0], median[1])
        assert np.abs(table.data["X"][keep] - x[keep]).max() <= 0.51
        assert np.abs(table.data["Y"][keep] - y[keep]).max() <= 0.51
        assert header["REFXCRPX"] == header["REFYCRPX"] == 25921
        assert header["REFXCRVL"] == median[0]
        assert header["REFYCDLT"] == pytest.approx(1.38888888888889e-05, rel=1e-12)
        assert header["REFXLMAX"] == 51840
        assert header["REFXDMIN"] == table.data["X"][keep].min()
        assert header["REFYDMAX"] == table.data["Y"][keep].max()
        assert header["AVRG_PNT"] == "MEDIAN"
        assert (header["RA_PNT"], header["DEC_PNT"], header["PA_PNT"]) == median
        assert header["RADECSYS"] == "FK5"
        assert header["KEEPME"] == 17
        i = table.columns.names.index("X") + 1
        assert header[f"TCTYP{i}"] == "RA---TAN"
        assert (header[f"TLMIN{i}"], header[f"TLMAX{i}"]) == (1, 51840)
        assert "Source of attitude information: AHF" in str(header["HISTORY"])
    before = (tmp_path / "ev.fits").stat().st_mtime_ns
    _run("attcalc", tmp_path, env, eventset="ev.fits", atthkset="atthk.dat", refpointlabel="nom")
    assert (tmp_path / "ev.fits").stat().st_mtime_ns != before
    with fits.open(tmp_path / "ev.fits") as hdus:
        assert hdus["EVENTS"].header["REFXCRVL"] == 150.5
        assert hdus["EVENTS"].columns.names.count("X") == 1


def test_attcalc_with_a_fixed_attitude_and_large_plane(env, tmp_path: Path) -> None:
    _events(tmp_path / "ev.fits")
    _run(
        "attcalc", tmp_path, {k: v for k, v in env.items() if k != "SAS_ODF"}, eventset="ev.fits",
        attitudelabel="fixed", fixedra=10.0, fixeddec=-89.9, fixedposangle=20.0, refpointlabel="user",
        nominalra=11.0, nominaldec=-89.9, imagesize=1.0, calctlmax=True,
    )  # fmt: skip
    with fits.open(tmp_path / "ev.fits") as hdus:
        table = hdus["EVENTS"]
        placed = table.data["X"] != SKY_NULL
        assert table.header["REFXCRPX"] == 72001
        assert table.header["TLMAX4"] == table.data["X"][placed].max()
        assert table.header["RA_PNT"] == 10.0


@pytest.mark.parametrize(
    ("keywords", "code"),
    [
        ({"INSTRUME": "RGS1"}, "badInstrument"),
        ({"DATAMODE": "TIMING"}, "badDatamode"),
        ({"RA_NOM": None}, "noPntAttributes"),
    ],
)
def test_attcalc_refuses(env, tmp_path: Path, keywords: dict, code: str) -> None:
    _events(tmp_path / "ev.fits", **keywords)
    with pytest.raises(TaskError) as failure:
        _run("attcalc", tmp_path, env, eventset="ev.fits", refpointlabel="nom")
    assert failure.value.code == code
    assert "ev.fits" in failure.value.message


def test_attcalc_without_pointing_file_uses_the_nominal_one(env, tmp_path: Path) -> None:
    _events(tmp_path / "ev.fits")
    _, warnings = _run("attcalc", tmp_path, env, eventset="ev.fits", withatthkset=True)
    assert "warning (noAtthkgenFile)" in warnings
    with fits.open(tmp_path / "ev.fits") as hdus:
        assert hdus["EVENTS"].header["REFXCRVL"] == 150.5
        assert "RA_PNT" not in hdus["EVENTS"].header


def test_attcalc_of_no_file_and_no_events(env, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="nothing.fits"):
        _run("attcalc", tmp_path, env, eventset="nothing.fits")
    _events(tmp_path / "ev.fits", n=4)
    with fits.open(tmp_path / "ev.fits", mode="update") as hdus:
        hdus["EVENTS"].data = hdus["EVENTS"].data[:0]
    _, warnings = _run("attcalc", tmp_path, env, eventset="ev.fits", refpointlabel="nom")
    assert "warning (noEvents)" in warnings


def test_events_of_a_slew_and_of_no_attitude(synthetic_ccf: Path) -> None:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.sky.geometry import CameraGeometry
    from daxa.xmm.sky.tangent import to_xy

    cal = Calibration.for_observation([synthetic_ccf], "2017-01-01")
    geometry = CameraGeometry.from_calibration(cal, "EMOS2", 6e8)
    attitude = Attitude(
        np.array([0.0, 100.0]), np.array([90.0, 200.0]), np.array([10.0, 10.001]), np.array([20.0, 20.0]),
        np.array([359.9, 0.1]), np.zeros(2, bool),
    )  # fmt: skip
    time = np.concatenate([np.linspace(0, 200, 150_001), [230.0]])
    detx = np.resize(np.arange(-9000, 9000, 7), time.size)
    dety = np.resize(np.arange(9000, -9000, -11), time.size)
    x, y = sky_coordinates(time, detx, dety, geometry, attitude, 10.0, 20.0)
    assert x.dtype == np.int32
    assert (x[-1], y[-1]) == (SKY_NULL, SKY_NULL)
    ex, ey = to_xy(*geometry.det_to_sky(detx, dety, *attitude.at(time)), 10.0, 20.0)
    assert np.abs(x[:-1] - ex[:-1]).max() <= 0.5 + 1e-6
    assert np.abs(y[:-1] - ey[:-1]).max() <= 0.5 + 1e-6


def test_ecoordconv_task(env, tmp_path: Path, shared_data: Path) -> None:
    image = str(shared_data / "epic_pn_0124710801" / "PN_image.fits")
    lines, _ = _run(
        "ecoordconv", tmp_path, env, imageset=image, x=195.3617083, y=27.7594167, coordtype="eqpos"
    )
    values = {}
    for line in lines.splitlines():
        names, _, numbers = line.split(":- ", 1)[1].strip().rpartition(": ")
        if numbers:
            values[names] = [
                float(v) for v in numbers.split() if v.replace(".", "").replace("-", "").isdigit()
            ]
    assert values["X: Y"] == pytest.approx([25921, 25921], abs=0.1)
    assert values["IM_X: IM_Y"] == pytest.approx([(25921 - 40.5) / 80 + 1] * 2, abs=0.01)
    assert values["CENTRE CCD"] == values["CCD(s)"]
    x, y = values["IM_X: IM_Y"]
    again, _ = _run("ecoordconv", tmp_path, env, imageset=image, x=x, y=y, coordtype="impix")
    assert f" DETX: DETY: {values['DETX: DETY'][0]:.6g}"[:16] in again
    region, _ = _run("ecoordconv", tmp_path, env, imageset=image, srcexp="(X,Y) IN circle(25921,25921,9000)")
    assert " CCD(s): 1 2 4 5 7 8 10 11" in region
    with pytest.raises(TaskError, match="srcexp"):
        _run("ecoordconv", tmp_path, env, imageset=image, srcexp="triangle(1,2,3)")
    with pytest.raises(TaskError, match="CCD"):
        _run("ecoordconv", tmp_path, env, imageset=image, x=1, y=1, coordtype="raw", ccdno=99)


@pytest.mark.parametrize(
    "given",
    [
        {"x": 149.6, "y": -95},
        {"x": 400, "y": 10},
        {"x": "nan", "y": 10},
        {"srcexp": "(RA,DEC) IN circle(149.6,95,0.1)"},
    ],
)
def test_positions_that_are_none_are_refused(env, tmp_path: Path, shared_data: Path, given) -> None:
    image = str(shared_data / "epic_pn_0124710801" / "PN_image.fits")
    with pytest.raises(TaskError, match=r"expected a (right ascension of 0 to 360|number)"):
        _run("ecoordconv", tmp_path, env, imageset=image, coordtype="eqpos", **given)


def test_attitude_of_the_optical_monitor_is_refused(env, tmp_path: Path) -> None:
    _events(tmp_path / "ev.fits")
    before = (tmp_path / "ev.fits").read_bytes()
    with pytest.raises(NotImplementedError, match="attitudelabel=om.*tracking history"):
        _run("attcalc", tmp_path, env, eventset="ev.fits", attitudelabel="om")
    assert (tmp_path / "ev.fits").read_bytes() == before


def test_sky_keywords_are_those_of_a_real_list(env, tmp_path: Path, shared_data: Path) -> None:
    """Every keyword of the sky plane that a real product has inherited, except the extremes of its events."""
    _events(tmp_path / "ev.fits")
    with fits.open(shared_data / "epic_pn_0124710801" / "PN_image.fits") as hdus:
        real = hdus[0].header
    pointing = {"fixedra": real["RA_PNT"], "fixeddec": real["DEC_PNT"], "fixedposangle": real["PA_PNT"]}
    _run("attcalc", tmp_path, env, eventset="ev.fits", attitudelabel="fixed", refpointlabel="pnt", **pointing)
    names = [k for k in real if k.startswith("REF")] + ["EQUINOX", "RADECSYS", "RA_PNT", "DEC_PNT", "PA_PNT"]
    assert len(names) == 23
    with fits.open(tmp_path / "ev.fits") as hdus:
        for header in (hdus[0].header, hdus["EVENTS"].header):
            for name in names:
                if name[4:] in ("DMIN", "DMAX"):
                    assert isinstance(header[name], int)
                elif isinstance(real[name], float):
                    assert header[name] == pytest.approx(real[name], rel=1e-13), name
                else:
                    assert header[name] == real[name], name
