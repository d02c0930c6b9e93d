"""Barycentric corrections beside astropy's and those that SAS made."""

from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import EarthLocation, SkyCoord
from astropy.io import fits
from astropy.time import Time, TimeDelta

from daxa.xmm.errors import TaskError
from daxa.xmm.odf.times import utc_to_tt
from daxa.xmm.timing.barycentre import Barycentre, ephemeris_of

RA, DEC = 322.4933325, 12.1676111


def test_the_way_of_light_is_that_of_astropy():
    times = np.linspace(1.2e8, 6.5e8, 12)
    tt = Time("1998-01-01", scale="tt") + TimeDelta(times, format="sec")
    centre = EarthLocation.from_geocentric(0, 0, 0, unit="m")
    light = Time(tt, location=centre).light_travel_time(SkyCoord(RA, DEC, unit="deg"), "barycentric")
    scale = (tt.tdb.jd1 - tt.jd1) + (tt.tdb.jd2 - tt.jd2)
    rest = Barycentre(RA, DEC).correction_s(times) - light.to_value("s") - scale * 86400
    # What is left is the delay in the field of the Sun, some 2 GM/c^3 = 10 us.
    assert (np.abs(rest) < 3e-5).all()
    assert np.ptp(rest) > 1e-6


def test_the_spacecraft_counts():
    times = np.array([4.0e8])
    away = Barycentre(RA, DEC, lambda t: np.array([[1.0e5, 0.0, 0.0]])).correction_s(times)
    ra, dec = np.radians([RA, DEC])
    more = float(away[0] - Barycentre(RA, DEC).correction_s(times)[0])
    assert more == pytest.approx(1e5 * np.cos(ra) * np.cos(dec) / 299792.458, abs=4e-5)


def test_many_times_are_interpolated():
    rng = np.random.default_rng(1)
    times = 4.0e8 + np.sort(rng.uniform(0, 3000, 500))
    barycentre = Barycentre(RA, DEC)
    alone = np.array([float(barycentre.correction_s(t)) for t in times[::100]])
    np.testing.assert_allclose(barycentre.correction_s(times)[::100], alone, atol=2e-9)
    assert barycentre.correction_s([]).shape == (0,)


def test_dates_that_sas_corrected(shared_data: Path):
    """Without the orbit, which is not at hand, they differ by what it adds."""
    folder, left = shared_data / "pn_timing_x2127", []
    for name in ("0087350401_pn_eff_calclosed", "0087350101_pn_timing"):
        header = fits.getheader(folder / f"{name}.lc.gz")
        assert (header["TIMESYS"], header["TIMEREF"]) == ("TDB", "SOLARSYSTEM")
        barycentre = Barycentre(header["RA_OBJ"], header["DEC_OBJ"])
        for local, corrected in (("EXPSTART", "DATE-OBS"), ("EXPSTOP", "DATE-END")):
            time = float(utc_to_tt(header[local]))
            sas = float(utc_to_tt(header[corrected])) - time
            left.append(sas - float(barycentre.correction_s([time])[0]))
    np.testing.assert_allclose(left, [-0.052, -0.082, -0.099, -0.203], atol=0.001)


def test_an_ephemeris_that_is_not_there_is_named(tmp_path):
    assert ephemeris_of("DE405", tmp_path) == ("builtin", "ERFA")
    with pytest.raises(TaskError, match="neither a file") as error:
        ephemeris_of("de999.bsp", tmp_path)
    assert error.value.code == "badEphemeris"
