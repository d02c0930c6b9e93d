"""Barycentric times beside those of others: astropy, PINT, and lists that SAS corrected.

Usage::

    python benchmarks/barycentre.py [--ephemeris FILE.bsp] [--data FOLDER]

``--ephemeris`` is a file of JPL's ephemerides (PyPI: skyfield-data has DE421), which PINT and ours both read;
without it PINT is left out. ``--data`` is the folder of real files. PINT (PyPI: pint-pulsar) is needed for
its part only: make an environment of its own for it.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np

from daxa.simulate.odf.orbit import MadeOrbit
from daxa.xmm.odf.orbit import read_orbit
from daxa.xmm.odf.times import utc_to_tt
from daxa.xmm.timing.barycentre import Barycentre

#: Places of sources: RA and Dec [deg].
SOURCES = {"X2127+119": (322.4933325, 12.1676111), "Crab": (83.633083, 22.014500), "pole": (10.0, 88.0)}
TIMES = np.linspace(8e7, 7.5e8, 40)
#: Day from which mission times count (TT).
MJDREF = 50814.0
LIGHT_KM_S = 299792.458


def beside_astropy() -> None:
    """Way of light and difference of scales of time."""
    from astropy.coordinates import EarthLocation, SkyCoord
    from astropy.time import Time, TimeDelta

    tt = Time(MJDREF, format="mjd", scale="tt") + TimeDelta(TIMES, format="sec")
    centre = EarthLocation.from_geocentric(0, 0, 0, unit="m")
    for name, (ra, dec) in SOURCES.items():
        light = Time(tt, location=centre).light_travel_time(SkyCoord(ra, dec, unit="deg"), "barycentric")
        scale = ((tt.tdb.jd1 - tt.jd1) + (tt.tdb.jd2 - tt.jd2)) * 86400
        rest = 1e6 * (Barycentre(ra, dec).correction_s(TIMES) - light.to_value("s") - scale)
        print(f"astropy {name}: ours adds {rest.min():.3f} to {rest.max():.3f} us (field of the Sun)")


def beside_pint(path: Path) -> None:
    """Barycentric times of events at the centre of the Earth, by PINT with the same ephemeris."""
    import io

    import pint.logging
    from astropy.time import Time, TimeDelta
    from pint.models import get_model
    from pint.solar_system_ephemerides import load_kernel
    from pint.toa import get_TOAs_array

    pint.logging.setup("ERROR")
    name = path.stem
    load_kernel(name, path=str(path))
    tt = Time(MJDREF, format="mjd", scale="tt") + TimeDelta(TIMES, format="sec")
    for source, (ra, dec) in SOURCES.items():
        par = (
            f"PSR X\nRAJ {_text(ra / 15)}\nDECJ {_text(dec)}\nF0 1\nPEPOCH 54000\nUNITS TDB\nEPHEM {name}\n"
            "CLK TT(BIPM2019)\n"
        )
        model = get_model(io.StringIO(par), allow_T2=True)
        toas = get_TOAs_array(
            tt.utc, "geocenter", ephem=name, include_gps=False, include_bipm=False, planets=False
        )
        theirs = (model.get_barycentric_toas(toas).to_value("d") - MJDREF) * 86400
        for ephemeris in ("builtin", path.resolve().as_uri()):
            ours = TIMES + Barycentre(ra, dec, None, ephemeris).correction_s(TIMES)
            # Longdoubles of days keep 1 ns.
            off = 1e6 * np.asarray(theirs - ours, float)
            kind = "the Earth of astropy" if ephemeris == "builtin" else name
            print(
                f"PINT ({name}) {source}, ours with {kind}: {off.mean():+.3f} us on average, "
                f"{np.abs(off - off.mean()).max():.3f} us around it"
            )


def _text(value: float) -> str:
    sign, value = ("-" if value < 0 else ""), abs(value)
    whole = int(value)
    minutes = int((value - whole) * 60)
    return f"{sign}{whole:02d}:{minutes:02d}:{((value - whole) * 60 - minutes) * 60:.9f}"


def beside_sas(folder: Path) -> None:
    """Dates of exposures that SAS has corrected, and a Kepler orbit through what the spacecraft adds."""
    from astropy.io import fits
    from scipy.optimize import least_squares

    times, left, phases = [], [], []
    for name in ("0087350401_pn_eff_calclosed", "0087350101_pn_timing"):
        with fits.open(folder / "pn_timing_x2127" / f"{name}.lc.gz") as hdus:
            header, good = hdus[0].header, hdus["STDGTI04"].header
            for local, corrected, phase in (
                ("EXPSTART", "DATE-OBS", "PHASEBEG"),
                ("EXPSTOP", "DATE-END", "PHASEEND"),
            ):
                time = float(utc_to_tt(header[local]))
                barycentre = Barycentre(header["RA_OBJ"], header["DEC_OBJ"])
                sas = float(utc_to_tt(header[corrected])) - time
                times.append(time)
                phases.append(good[phase])
                left.append(sas - float(barycentre.correction_s([time])[0]))
    period = (times[-1] - times[-2]) / (phases[-1] - phases[-2])
    size = (398600.4418 * (period / 2 / np.pi) ** 2) ** (1 / 3) / LIGHT_KM_S
    mean = 2 * np.pi * (phases[0] + (np.array(times) - times[0]) / period)

    def light(p: np.ndarray) -> np.ndarray:
        anomaly = mean.copy()
        for _ in range(200):
            anomaly = mean + p[2] * np.sin(anomaly)
        return size * (p[0] * (np.cos(anomaly) - p[2]) + p[1] * np.sqrt(1 - p[2] ** 2) * np.sin(anomaly))

    fit = least_squares(lambda p: light(p) - left, [0.5, 0.5, 0.8])
    for time, value, rest in zip(times, left, fit.fun, strict=True):
        print(
            f"SAS at {time:.0f} s: {value:+.4f} s beside the centre of the Earth, {1e3 * rest:+.2f} ms "
            "beside an orbit"
        )
    print(f"period of the orbit by the headers {period / 3600:.2f} h, eccentricity fitted {fit.x[2]:.2f}")


def orbit_file() -> None:
    """Places from an orbit file of the assumed layout beside those it was made of."""
    made = MadeOrbit(6.0e8 + 40_000)
    first, last = 6.0e8, 6.0e8 + 172_000
    times = np.linspace(first, last, 20_001)
    orbit = read_orbit(made.lines(first, last, blocks=80), "made")
    off = np.linalg.norm(orbit.position_km(times) - made.position_km(times), axis=1)
    print(f"orbit file, a whole turn: within {1e3 * off.max():.0f} m ({1e6 * off.max() / LIGHT_KM_S:.3f} us)")


def main() -> None:
    """Compare what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ephemeris", type=Path)
    parser.add_argument("--data", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    beside_astropy()
    orbit_file()
    if given.data:
        beside_sas(given.data)
    if given.ephemeris:
        beside_pint(given.ephemeris)


if __name__ == "__main__":
    main()
