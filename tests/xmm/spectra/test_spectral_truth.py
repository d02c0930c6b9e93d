"""Photons of a known source through the simulator's optics, extracted: its flux comes back; files of OGIP."""

import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from daxa.simulate import optics
from daxa.simulate.cameras.camera import CAMERAS
from daxa.simulate.sky import PointSource, SkyModel, around, power_law
from daxa.xmm.sky.tangent import to_xy
from daxa.xmm.task import run_task

POINTING, START, DURATION = (149.5917, -11.0642, 100.0), 6.0e8, 3000.0
NAMES = {"M1": "EMOS1", "PN": "EPN"}


@pytest.fixture(scope="module")
def readers():
    path = Path(__file__).parents[3] / "benchmarks" / "spectral_readers.py"
    spec = importlib.util.spec_from_file_location("spectral_readers", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=["M1", "PN"])
def extracted(request, tmp_path_factory, list_maker, calibration_env) -> dict:
    """Files of a spectrum whose photons fell on chips, and the photons that the telescope was sent."""
    camera, folder = CAMERAS[request.param], tmp_path_factory.mktemp(f"truth{request.param}")
    rng = np.random.default_rng(16)
    # Five arcmin off axis, a gap of the pn's chips within the region.
    ra, dec = (float(v) for v in around(*POINTING[:2], np.deg2rad(5.0 / 60), np.deg2rad(30.0)))
    source = PointSource("star", ra, dec, power_law(1.7, 2e-10))
    photons = SkyModel([source]).photons(
        START + 2, START + DURATION, lambda e: optics.drawn_area(camera, "Medium", e), rng
    )
    hits = optics.photon_hits(camera, photons, lambda time: POINTING, rng)
    hits = hits[rng.random(len(hits)) < 0.98]
    maker = list_maker(NAMES[camera.code])
    place = np.rint(hits.rawx) + rng.uniform(-0.5, 0.5, len(hits)), np.rint(hits.rawy)
    columns = maker.events(hits.time_s, hits.ccd, *place, np.rint(hits.energy_ev).astype(int))
    maker.write(folder / "events.fits", columns, DURATION, fraction=0.98)
    for extension in (0, 1):
        fits.setval(folder / "events.fits", "DATE-OBS", value="2017-01-05T10:40:00", ext=extension)
    last = 20479 if camera.is_pn else 11999
    x, y = (float(v) for v in to_xy(ra, dec, *POINTING[:2]))

    def run(task: str, **given) -> None:
        run_task(task, given, cwd=folder, env=calibration_env, out=io.StringIO(), err=io.StringIO())

    for name, inner in (("s.fits", f"circle({x},{y},800)"), ("b.fits", f"annulus({x},{y},2400,4000)")):
        run(
            "evselect", table="events.fits", withspectrumset=True, spectrumset=name, energycolumn="PI",
            spectralbinsize=5, withspecranges=True, specchannelmin=0, specchannelmax=last,
            expression=f"PATTERN<={4 if camera.is_pn else 12} && ((X,Y) IN {inner})",
        )  # fmt: skip
        run("backscale", spectrumset=name, badpixlocation="events.fits")
    bins = {"withenergybins": True, "energymin": 0.3, "energymax": 11.9, "nenergybins": 40}
    run("rmfgen", spectrumset="s.fits", rmfset="s.rmf", **bins)
    run(
        "arfgen",
        spectrumset="s.fits",
        arfset="s.arf",
        withrmfset=True,
        rmfset="s.rmf",
        badpixlocation="events.fits",
    )
    run("arfgen", spectrumset="s.fits", arfset="fine.arf", badpixlocation="events.fits")
    run(
        "specgroup", spectrumset="s.fits", groupedset="g.fits", mincounts=20, rmfset="s.rmf", arfset="s.arf",
        backgndset="b.fits",
    )  # fmt: skip
    return {"folder": folder, "source": source}


def test_flux_of_drawn_photons(extracted: dict):
    """Energies stand for channels here: area, share of the profile, gaps and live time alone decide."""
    folder = extracted["folder"]
    spectrum, header = fits.getdata(folder / "s.fits", 1, header=True)
    area = fits.getdata(folder / "fine.arf", 1)
    middle = 500.0 * (area["ENERG_LO"] + area["ENERG_HI"])
    width = np.diff(optics.EDGES_EV)
    for low, high in ((500, 1000), (1000, 2000), (2000, 5000), (5000, 10000)):
        band = (low < optics.CENTRES_EV) & (high > optics.CENTRES_EV)
        rate = np.interp(optics.CENTRES_EV, middle, area["SPECRESP"]) * extracted["source"].spectrum * width
        expected = header["EXPOSURE"] * rate[band].sum()
        counts = spectrum["COUNTS"][low // 5 : high // 5].sum()
        assert abs(counts - expected) < 4 * expected**0.5 + 0.005 * expected, (low, counts, expected)


def test_files_have_what_ogip_asks_for(extracted: dict, readers):
    files = readers.files_of(extracted["folder"] / "g.fits")
    assert sorted(files) == ["area", "background", "matrix", "spectrum"]
    for path in files.values():
        assert readers.lacking(path) == []
    # Readers take elements of vectors here, also where each row is one stretch of channels.
    with fits.open(files["matrix"]) as hdus:
        assert hdus["MATRIX"].data["F_CHAN"].ndim == 2


def test_what_is_lacking_is_found(extracted: dict, readers, tmp_path: Path):
    with fits.open(extracted["folder"] / "s.arf") as hdus:
        del hdus["SPECRESP"].header["TELESCOP"]
        hdus["SPECRESP"].header["HDUCLAS2"] = "AREA"
        hdus["SPECRESP"].data["ENERG_HI"][3] = 0
        hdus.writeto(tmp_path / "bad.arf")
    assert readers.lacking(tmp_path / "bad.arf") == [
        "SPECRESP: keyword TELESCOP",
        "SPECRESP: HDUCLAS2 is 'AREA'",
        "SPECRESP: energy bins that do not follow one another",
    ]
