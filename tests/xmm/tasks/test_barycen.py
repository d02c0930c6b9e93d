"""Event lists corrected to the barycentre: a pulsar seen from an orbit, keywords, and what is refused."""

import io
import shutil

import numpy as np
import pytest
from astropy.coordinates import EarthLocation, SkyCoord, get_body_barycentric_posvel
from astropy.io import fits
from astropy.time import Time, TimeDelta

from daxa.simulate.odf.orbit import MadeOrbit
from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import set_keywords
from daxa.xmm.task import run_task

START, DURATION = 6.0e8, 40_000.0
RA, DEC = 149.6, -11.06
PERIOD = 0.0891234567
ORBIT = MadeOrbit(START - 25_000)


def independent_correction(times):
    """By the way of light of astropy, and the orbit that was made."""
    tt = Time("1998-01-01", scale="tt") + TimeDelta(times, format="sec")
    centre = EarthLocation.from_geocentric(0, 0, 0, unit="m")
    source = SkyCoord(RA, DEC, unit="deg")
    light = Time(tt, location=centre).light_travel_time(source, "barycentric").to_value("s")
    scale = ((tt.tdb.jd1 - tt.jd1) + (tt.tdb.jd2 - tt.jd2)) * 86400
    beside = ORBIT.position_km(times)
    velocity = get_body_barycentric_posvel("earth", tt.tdb)[1].xyz.to_value("km/s").T
    normal = source.cartesian.xyz.value
    return light + scale + beside @ normal / 299792.458 + np.sum(velocity * beside, axis=1) / 299792.458**2


@pytest.fixture(scope="module")
def pulsar(tmp_path_factory, list_maker):
    """A folder with the list of a pulsar and the orbit's file."""
    folder = tmp_path_factory.mktemp("barycen")
    rng = np.random.default_rng(5)
    n = 6000
    pulse = np.sort(rng.integers(20_000, int((DURATION - 2000) / PERIOD), n))
    at_barycentre = START + PERIOD * (pulse + 0.002 * rng.standard_normal(n))
    knots = START + np.linspace(-1000, DURATION + 1000, 800)
    correction = independent_correction(knots)
    local = at_barycentre - np.interp(at_barycentre, knots + correction, correction)
    for _ in range(3):
        local = at_barycentre - np.interp(local, knots, correction)
    inside = (local > START) & (local < START + DURATION - 10)
    local, n = local[inside], int(inside.sum())
    maker = list_maker("EMOS1")
    events = maker.events(local, np.ones(n, int), np.full(n, 300.0), np.full(n, 300.0), np.full(n, 1500))
    maker.write(folder / "list.fits", events, DURATION)
    dates = {"DATE-OBS": "2017-01-05T10:38:50", "DATE-END": "2017-01-05T21:45:30"}
    set_keywords(folder / "list.fits", 0, {"RA_OBJ": RA, "DEC_OBJ": DEC, **dates})
    raw = folder / "odf"
    raw.mkdir()
    name = "3126_0800010101_SCX00000ROS.ASC"
    (raw / name).write_text("\n".join(ORBIT.lines(START - 3000, START + DURATION + 3000)) + "\n")
    return folder, pulse[inside]


def corrected(folder, name, env=None, **given):
    shutil.copy(folder / "list.fits", folder / name)
    err = io.StringIO()
    given = {"table": f"{name}:EVENTS", **given}
    run_task("barycen", given, cwd=folder, env=env or {}, out=io.StringIO(), err=err)
    return folder / name, err.getvalue()


def test_the_period_of_a_pulsar(pulsar):
    folder, pulse = pulsar
    env = {"SAS_ODF": str(folder / "odf"), "DAXA_SYNTHETIC_CALIBRATION": "allow"}
    path, said = corrected(folder, "bary.fits", env)
    assert "orbitLayout" in said
    assert "noOrbit" not in said
    time = fits.getdata(path, "EVENTS")["TIME"] - START
    period = np.polyfit(pulse - pulse.mean(), time, 1)[0]
    assert abs(period / PERIOD - 1) < 1e-9
    # Without the spacecraft's place the pulses are late by its light.
    path, said = corrected(folder, "geocentre.fits")
    assert "noOrbit" in said
    assert "up to 0.4 s" in said
    shifted = fits.getdata(path, "EVENTS")["TIME"] - START
    assert 0.01 < np.ptp(shifted - time) < 0.5


def test_every_time_of_the_list(pulsar):
    folder, _ = pulsar
    path, _ = corrected(folder, "all.fits")
    with fits.open(folder / "list.fits") as old, fits.open(path) as new:
        assert [h.name for h in new] == [h.name for h in old]
        shift = new["EVENTS"].data["TIME"][0] - old["EVENTS"].data["TIME"][0]
        assert abs(shift) > 50
        for name in ("EVENTS", "STDGTI01", "EXPOSU01"):
            header = new[name].header
            assert (header["TIMESYS"], header["TIMEREF"], header["PLEPHEM"]) == ("TDB", "SOLARSYSTEM", "ERFA")
        for name, column in (("STDGTI01", "START"), ("STDGTI01", "STOP"), ("EXPOSU01", "TIME")):
            moved = new[name].data[column] - old[name].data[column]
            np.testing.assert_allclose(moved, shift, atol=3.0)
        for key in ("DATE-OBS", "DATE-END"):
            moved = (Time(new[0].header[key]) - Time(old[0].header[key])).sec
            assert moved == pytest.approx(shift, abs=3.0)
        header, before = new["STDGTI01"].header, old["STDGTI01"].header
        assert header["TSTART"] - before["TSTART"] == pytest.approx(shift, abs=3.0)
        assert new[0].header["XPROC0"].startswith(("barycen", old[0].header.get("XPROC0", "barycen")))
        np.testing.assert_array_equal(new["EVENTS"].data["PI"], old["EVENTS"].data["PI"])


def test_tables_that_are_not_asked_for_stay(pulsar):
    folder, _ = pulsar
    path, _ = corrected(folder, "some.fits", processgtis=False, processexposutables=False)
    with fits.open(folder / "list.fits") as old, fits.open(path) as new:
        np.testing.assert_array_equal(new["STDGTI01"].data["START"], old["STDGTI01"].data["START"])
        assert new["EXPOSU01"].header["TIMEREF"] == "LOCAL"


def test_what_cannot_be_corrected_is_named(pulsar):
    folder, _ = pulsar
    corrected(folder, "twice.fits")
    for given, code in [
        ({"table": "twice.fits:EVENTS"}, "alreadyCorrected"),
        ({"table": "list.fits:NOTHING"}, "noTable"),
        ({"table": "none.fits:EVENTS"}, "noFile"),
        ({"table": "list.fits", "timecolumn": "T"}, "noColumn"),
        ({"table": "list.fits", "ephemeris": "de.bsp"}, "badEphemeris"),
        ({"withtable": False, "time": 6e8}, "missingParameter"),
    ]:
        with pytest.raises(TaskError) as error:
            run_task("barycen", given, cwd=folder, env={}, out=io.StringIO(), err=io.StringIO())
        assert error.value.code == code
    shutil.copy(folder / "list.fits", folder / "nowhere.fits")
    set_keywords(folder / "nowhere.fits", 0, {"RA_OBJ": "", "DEC_OBJ": ""})
    with pytest.raises(TaskError, match="give srcra and srcdec"):
        run_task("barycen", {"table": "nowhere.fits"}, cwd=folder, env={}, out=io.StringIO())


def test_one_time(pulsar, capsys):
    given = {"withtable": False, "time": START, "srcra": RA, "srcdec": DEC}
    run_task("barycen", given, env={}, err=io.StringIO())
    assert "at the barycentre" in capsys.readouterr().out
