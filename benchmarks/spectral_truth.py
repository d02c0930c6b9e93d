"""Spectra whose truth is known: drawn, extracted by the tasks, fitted in Sherpa, and compared with the truth.

Usage (Sherpa is needed for ``fit`` only)::

    daxa demo                                               # makes ./daxa_demo: lists, calibration, truth
    python benchmarks/spectral_truth.py draw --demo daxa_demo --matrices DIR --out DIR [--runs 0-19]
    python benchmarks/spectral_truth.py fit --out DIR
    python benchmarks/spectral_truth.py raw --demo daxa_demo --out DIR      # the demo's own sources
    python benchmarks/spectral_truth.py table --out DIR                     # as in docs/spectral_truth.md
    python benchmarks/spectral_truth.py exact --out DIR --exact MATRIX ...
    python benchmarks/spectral_truth.py plot --out DIR --png FILE

``draw`` takes the cleaned lists of one observation of the demo for their frames, good times, bad pixels and
headers, and puts other events in. Photons go the way of the simulator: sky, area of mirrors, filter and
detector, vignetting, gratings, profile, chips, gaps; some are lost with frames, some arrive while the CCD is
read out. What the simulator knows of mirrors, filters and efficiencies comes to the tasks by calibration
files only. Channels are drawn from a real redistribution matrix (PN.rmf.gz and response.rmf.gz below
``--matrices``). Particles of a quiet orbit lie beneath.

``raw`` extracts the point sources of the demo's own lists, which came from raw files: there the simulator's
detector measured the charge of each photon, and the engine made energies of it. ``fit`` and ``table`` then
take what they find: drawn spectra, or these. ``exact`` folds the true spectra with real matrices, without
noise, and fits them with ours: what the matrix alone does to the results.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from spectral_fits import exact, fit_all, plot, quiet, table
from spectral_models import CLUSTER, POINTS

from daxa.simulate import optics
from daxa.simulate.cameras.camera import CAMERAS, Camera
from daxa.simulate.sky import BetaModel, PointSource, SkyModel, around
from daxa.xmm.task import run_task

OBS_ID = "0800010101"
LISTS = "daxa_output/archives/demo/processed_data/xmm_pointed"
MATRICES = {"PN": "PN.rmf.gz", "M1": "response.rmf.gz", "M2": "response.rmf.gz"}
LAST_PI = {"PN": 20479, "M1": 11999, "M2": 11999}
SELECTION = {
    "PN": "#XMMEA_EP && PATTERN<=4 && FLAG==0",
    "M1": "#XMMEA_EM && PATTERN<=12 && FLAG==0",
    "M2": "#XMMEA_EM && PATTERN<=12 && FLAG==0",
}
POINT_RADIUS, CLUSTER_RADIUS, BACKGROUND_RADIUS = 40.0, 180.0, 80.0
#: Middles of background circles [arcmin east and north of the pointing]; no source's light reaches there.
POINT_BACKGROUND, CLUSTER_BACKGROUND = (-2.0, -3.5), (9.5, 0.5)
CLUSTER_LIMIT = 420.0


@dataclass
class Template:
    """The list of a camera that gives everything but the events."""

    camera: Camera
    path: Path
    truth: dict[str, Any]
    pointing: tuple[float, float, float]
    env: dict[str, str]

    @cached_property
    def parts(self) -> Any:
        """Its extensions."""
        from astropy.io import fits

        with fits.open(self.path, memmap=False) as hdus:
            return [hdu.copy() for hdu in hdus]

    def extension(self, name: str) -> Any:
        """One of them."""
        return next(hdu for hdu in self.parts if hdu.name == name)

    @cached_property
    def good(self) -> dict[int, np.ndarray]:
        """Pixels without a flag: by CCD, shape (rows, columns)."""
        from daxa.xmm.ccf.calibration import Calibration
        from daxa.xmm.event.gti import GTI
        from daxa.xmm.fits.file import FitsFile
        from daxa.xmm.image.ccds import numbers_of_ccds, read_ccd
        from daxa.xmm.sky.geometry import CameraGeometry

        cal = Calibration.from_environment(self.env, Path())
        geometry = CameraGeometry.from_calibration(cal, self.camera.name, self.truth["start_s"])
        hdus = FitsFile(self.path)
        frames = [read_ccd(hdus, n, self.camera.name, GTI()) for n in numbers_of_ccds(hdus)]
        return {f.ccd: f.good_pixels(geometry, strict=True) for f in frames}

    @property
    def live(self) -> tuple[float, float]:
        """Share of the photons that are recorded, and share of these that come during the read-out."""
        mode = self.camera.mode(self.truth["submode"])
        live = np.mean([c["live_fraction"] for c in self.truth["ccds"].values()])
        during = 1 - mode.integration_s / mode.frame_time_s if self.camera.is_pn else mode.oot_fraction
        return float(live), float(during)

    def in_good_time(self, ccd: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Whether events lie in the good times of their CCDs."""
        kept = np.zeros(len(time), bool)
        for number in np.unique(ccd[ccd > 0]):
            gti = self.extension(f"STDGTI{number:02d}").data
            here = ccd == number
            for start, stop in zip(gti["START"], gti["STOP"], strict=True):
                kept |= here & (time >= start) & (time < stop)
        return kept

    def write(self, columns: dict[str, np.ndarray], path: Path) -> None:
        """The list with other events."""
        from astropy.io import fits

        events = self.extension("EVENTS")
        order = np.argsort(columns["TIME"])
        table = fits.BinTableHDU.from_columns(events.columns, nrows=len(order), fill=True, name="EVENTS")
        for name in table.columns.names:
            if name in columns:
                table.data[name] = columns[name][order]
        # Scalings and undefined values are those of the columns; the rest of the header is that of the list.
        for card in events.header.cards:
            if card.keyword not in table.header and card.keyword not in ("COMMENT", "HISTORY", ""):
                table.header.append(card)
        rest = [table if hdu.name == "EVENTS" else hdu for hdu in self.parts]
        fits.HDUList(rest).writeto(path, overwrite=True)


def template(demo: Path, code: str, obs_id: str = OBS_ID) -> Template:
    """The list of a camera."""
    truth = json.loads((demo / "simulated/truth" / f"{obs_id}.json").read_text())
    exposure = next(e for e in truth["exposures"] if e["instrument"] == code)
    folder = demo / LISTS / obs_id
    path = folder / "events" / f"obsid{obs_id}-inst{code}-subexpALL-en-finalevents.fits"
    env = {"SAS_CCFPATH": str((demo / "simulated/ccf").resolve()), "SAS_CCF": str(folder / "ccf.cif")}
    return Template(CAMERAS[code], path, exposure, tuple(truth["pointing_deg"]), env)


# --- drawing ---------------------------------------------------------------------------------------


class Channels:
    """Draws channels from a redistribution matrix."""

    def __init__(self, path: Path) -> None:
        from daxa.xmm.spectra.ogip import read_matrix

        self.bins, limits, rows = read_matrix(path)
        self.width = round(float(np.median(np.diff(limits))))
        self.size = rows.shape[1]
        share = np.cumsum(rows, axis=1)
        share /= np.maximum(share[:, -1:], 1e-30)
        self.places = (share + np.arange(len(share))[:, None]).ravel()

    def pi(self, energy_ev: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """PI [eV] of photons; -1 outside the matrix."""
        row = np.searchsorted(self.bins, energy_ev, side="right") - 1
        inside = (row >= 0) & (row < len(self.bins) - 1)
        row = np.clip(row, 0, len(self.bins) - 2)
        place = np.searchsorted(self.places, row + rng.random(len(row)), side="right")
        channel = np.clip(place - row * self.size, 0, self.size - 1)
        return np.where(inside, channel * self.width + rng.integers(0, self.width, len(row)), -1)


@cache
def channels(path: Path) -> Channels:
    """Those of a file."""
    return Channels(path)


def place(pointing: tuple[float, float, float], offset: tuple[float, float]) -> tuple[float, float]:
    """RA and Dec so many arcmin east and north of the pointing."""
    east, north = offset
    ra, dec = around(*pointing[:2], np.deg2rad(np.hypot(east, north) / 60), np.arctan2(east, north))
    return float(ra), float(dec)


def skies(pointing: tuple[float, float, float]) -> dict[str, SkyModel]:
    """What is drawn, each in lists of its own."""
    points = [PointSource(p.name, *place(pointing, p.offset), p.spectrum(optics.CENTRES_EV)) for p in POINTS]
    cluster = BetaModel(
        CLUSTER.name,
        *place(pointing, CLUSTER.offset),
        CLUSTER.spectrum(optics.CENTRES_EV),
        limit_arcsec=CLUSTER_LIMIT,
    )
    return {"points": SkyModel(points), "cluster": SkyModel([cluster])}


def draw(
    t: Template, sky: SkyModel, matrix: Channels, rng: np.random.Generator, still: bool = False
) -> dict[str, np.ndarray]:
    """Columns of an event list; ``still``: without what comes while the CCD is read out."""
    camera, filter_name = t.camera, t.truth["filter"]
    start, stop = t.truth["start_s"], t.truth["stop_s"]
    photons = sky.photons(start, stop, lambda e: optics.drawn_area(camera, filter_name, e), rng)
    # photon_hits asks for the middle of the times; all look the same way.
    hits = optics.photon_hits(camera, photons, lambda time: t.pointing, rng)
    hits = optics.merge([hits, optics.particle_hits(camera, start, stop, rng)])
    live, during = t.live
    hits = hits[rng.random(len(hits)) < live]
    if camera.is_pn:
        # Spectra of the pn leave out what becomes events of three and four pixels.
        split = camera.pattern_fractions(hits.energy_ev)
        hits = hits[rng.random(len(hits)) < split[:, :2].sum(axis=1)]
    rawx, rawy = np.rint(hits.rawx).astype(int), np.rint(hits.rawy).astype(int)
    late = (rng.random(len(hits)) < during) & (hits.source >= 0)
    rawy[late] = rng.integers(1, camera.ny + 1, late.sum())
    ccd = hits.ccd.astype(int)
    kept = t.in_good_time(ccd, hits.time_s) & ~(late & still)
    for number in np.unique(ccd):
        here = np.flatnonzero(ccd == number)
        kept[here] &= t.good[number][rawy[here] - 1, rawx[here] - 1]
    pi = matrix.pi(hits.energy_ev, rng)
    kept &= (pi >= 0) & (pi <= LAST_PI[camera.code])
    ccd, rawx, rawy, pi, time = (v[kept] for v in (ccd, rawx, rawy, pi, hits.time_s))
    # Positions are spread over the pixel, as lists have it.
    spread = rng.uniform(-0.5, 0.5, (2, len(ccd)))
    detx, dety = camera.raw_to_det(ccd, rawx + spread[0], rawy + spread[1])
    seen = camera.in_fov(detx, dety)
    ra, dec = camera.det_to_sky(detx, dety, *t.pointing, 0.5 * (start + stop))
    x, y = plane(t).from_sky(ra, dec)
    return {
        "TIME": time, "RAWX": rawx, "RAWY": rawy, "DETX": np.rint(detx), "DETY": np.rint(dety),
        "X": np.rint(x), "Y": np.rint(y), "PHA": pi // 5, "PI": pi, "FLAG": np.where(seen, 0, 0x10000),
        "PATTERN": rng.choice([0, 1, 2, 3, 4], len(pi), p=[0.7, 0.1, 0.08, 0.07, 0.05]), "CCDNR": ccd,
        "TIME_RAW": time,
    }  # fmt: skip


@dataclass
class Plane:
    """The tangent plane of X and Y."""

    ra: float
    dec: float

    def from_sky(self, ra: np.ndarray, dec: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """X, Y of directions."""
        from astropy.wcs import WCS

        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.crval, wcs.wcs.crpix = [self.ra, self.dec], [25921, 25921]
        wcs.wcs.cdelt = [-0.05 / 3600, 0.05 / 3600]
        return tuple(wcs.wcs_world2pix(ra, dec, 1))


def plane(t: Template) -> Plane:
    """That of a list."""
    header = t.extension("EVENTS").header
    return Plane(header["REFXCRVL"], header["REFYCRVL"])


# --- extracting ------------------------------------------------------------------------------------


def circle(t: Template, sky_place: tuple[float, float], radius_arcsec: float) -> str:
    """A selection."""
    x, y = (float(v) for v in plane(t).from_sky(*sky_place))
    return f"((X,Y) IN circle({x:.4f},{y:.4f},{radius_arcsec / 0.05:.4f}))"


@dataclass
class Job:
    """A spectrum to extract: regions of source and background, and the list that a map of it is made of."""

    t: Template
    events: Path
    stem: Path
    source: str
    background: str
    map_of: tuple[str, Path] | None = None
    responses: Path | None = None
    matrix: Path | None = None
    said: io.StringIO = field(default_factory=io.StringIO)

    def run(self, task: str, **values: Any) -> None:
        """One task."""
        run_task(task, values, cwd=self.stem.parent, env=self.t.env, out=self.said, err=self.said)

    def make(self) -> Path:
        """All files; the grouped spectrum."""
        code = self.t.camera.code
        files = {kind: self.stem.with_name(f"{self.stem.name}_{kind}.fits") for kind in ("src", "bkg", "grp")}
        for kind, region in (("src", self.source), ("bkg", self.background)):
            self.run(
                "evselect", table=self.events, withspectrumset=True, spectrumset=files[kind],
                energycolumn="PI", spectralbinsize=5, withspecranges=True, specchannelmin=0,
                specchannelmax=LAST_PI[code], expression=f"{SELECTION[code]} && {region}",
            )  # fmt: skip
            self.run("backscale", spectrumset=files[kind], badpixlocation=self.events)
        # Area and matrix depend on the region and on pixels, not on the events in them.
        base = self.responses or self.stem
        arf = base.with_name(f"{base.name}.arf")
        rmf = self.matrix or base.with_name(f"{base.name}.rmf")
        if not rmf.exists():
            self.run("rmfgen", spectrumset=files["src"], rmfset=rmf)
        if not arf.exists():
            spread: dict[str, Any] = {}
            if self.map_of:
                # Another camera sees what falls into the gaps of this one.
                image, (other, events) = base.with_name(f"{base.name}_map.fits"), self.map_of
                self.run(
                    "evselect", table=events, withimageset=True, imageset=image, xcolumn="DETX",
                    ycolumn="DETY", imagebinning="binSize", ximagebinsize=100, yimagebinsize=100,
                    expression=SELECTION[other],
                )  # fmt: skip
                spread = {
                    "extendedsource": True, "detmaptype": "dataset", "detmaparray": f"{image}:",
                    "badpixmaptype": "dataset",
                }  # fmt: skip
            self.run(
                "arfgen", spectrumset=files["src"], arfset=arf, withrmfset=True, rmfset=rmf,
                badpixlocation=self.events, **spread,
            )  # fmt: skip
        self.run(
            "specgroup", spectrumset=files["src"], groupedset=files["grp"], mincounts=20, oversample=3,
            rmfset=rmf, arfset=arf, backgndset=files["bkg"],
        )  # fmt: skip
        return files["grp"]


def jobs(t: Template, sky: SkyModel, out: Path, run: int, kind: str) -> Iterator[tuple[str, Job]]:
    """Spectra of one list."""
    code = t.camera.code
    shape = {"points": (POINT_RADIUS, POINT_BACKGROUND), "cluster": (CLUSTER_RADIUS, CLUSTER_BACKGROUND)}
    radius, elsewhere = shape[kind]
    other = "M2" if code == "PN" else "PN"
    for source in sky.sources:
        yield (
            source.name,
            Job(
                t, list_of(out, kind, code), out / f"{source.name}_{code}_{run:02d}",
                circle(t, (source.ra_deg, source.dec_deg), radius),
                circle(t, place(t.pointing, elsewhere), BACKGROUND_RADIUS),
                (other, list_of(out, kind, other)) if kind == "cluster" else None,
                out / f"{source.name}_{code}",
            ),
        )  # fmt: skip


def list_of(out: Path, kind: str, code: str) -> Path:
    """File of a drawn list."""
    return out / f"events_{kind}_{code}.fits"


def share_in_region(t: Template, sky: SkyModel, radius_arcsec: float) -> float:
    """Share of a source's light that the mirrors put into a circle, wherever chips are."""
    rng = np.random.default_rng(1)
    source, camera = sky.sources[0], t.camera
    area = optics.effective_area(camera, t.truth["filter"], optics.CENTRES_EV)
    energy = rng.choice(optics.CENTRES_EV, 400_000, p=source.spectrum * area / np.sum(source.spectrum * area))
    ra, dec = source.directions(len(energy), rng)
    time = 0.5 * (t.truth["start_s"] + t.truth["stop_s"])
    det = camera.sky_to_det(ra, dec, *t.pointing, time)
    det = optics.scatter(camera, *det, energy, rng)
    middle = camera.sky_to_det(source.ra_deg, source.dec_deg, *t.pointing, time)
    return float(np.mean(np.hypot(det[0] - middle[0], det[1] - middle[1]) * 0.05 < radius_arcsec))


def draw_all(
    demo: Path, matrices: Path, out: Path, runs: list[int], codes: list[str], still: bool = False
) -> None:
    """Draw, extract and group everything."""
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    truth: dict[str, Any] = {p.name: {"flux": p.flux, "index": p.index} for p in POINTS}
    templates = [template(demo, code) for code in CAMERAS]
    for t in templates:
        flux = CLUSTER.flux * share_in_region(t, skies(t.pointing)["cluster"], CLUSTER_RADIUS)
        truth[f"cluster {t.camera.code}"] = {"flux": flux, "kt": CLUSTER.kt, "abundance": CLUSTER.abundance}
    (out / "truth.json").write_text(json.dumps(truth, indent=1))
    for run in runs:
        sky = skies(templates[0].pointing)
        for number, t in enumerate(templates):
            if t.camera.code not in codes and list_of(out, "cluster", t.camera.code).exists():
                continue
            matrix = channels(next(matrices.rglob(MATRICES[t.camera.code])))
            for kind, model in sky.items():
                rng = np.random.default_rng([run, number, kind == "cluster", 77])
                t.write(draw(t, model, matrix, rng, still), list_of(out, kind, t.camera.code))
        for t in templates:
            for kind, model in sky.items() if t.camera.code in codes else ():
                for name, job in jobs(t, model, out, run, kind):
                    job.make()
                    if run == runs[0]:
                        (out / f"{name}_{t.camera.code}.log").write_text(job.said.getvalue())
        print(f"run {run}", flush=True)


def raw_all(demo: Path, out: Path, codes: list[str]) -> None:
    """Spectra of the point sources of the demo, from the lists that came of raw files."""
    from daxa.simulate.sky import FIELD_SOURCES, cluster_field

    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    truth = {}
    sources = [s for s in cluster_field().sources if s.name.startswith("point")]
    folders = sorted((demo / LISTS).iterdir())
    for source, (_, _, index, flux) in zip(sources, FIELD_SOURCES, strict=True):
        truth[source.name] = {"flux": flux, "index": index}
        for run, folder in enumerate(folders):
            for code in codes:
                t = template(demo, code, folder.name)
                middle = source.ra_deg, source.dec_deg
                inner, outer = (circle(t, middle, radius) for radius in (90.0, 140.0))
                Job(
                    t, t.path.resolve(), out / f"{source.name}_{code}_{run:02d}", circle(t, middle, 35.0),
                    f"{outer} && !{inner}", matrix=out / f"{code}.rmf",
                ).make()  # fmt: skip
        print(source.name, flush=True)
    (out / "truth.json").write_text(json.dumps(truth, indent=1))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("draw", "raw", "fit", "exact", "table", "plot"))
    parser.add_argument("--demo", type=Path)
    parser.add_argument("--matrices", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--runs", default="0-19")
    parser.add_argument("--cameras", default="M1,M2,PN")
    parser.add_argument("--band", default="0.5-10")
    parser.add_argument("--png", type=Path)
    parser.add_argument("--exact", nargs="*", default=(), help="real matrices, for exact")
    parser.add_argument("--still", action="store_true", help="no photon comes while a CCD is read out")
    options = parser.parse_args(arguments)
    first, _, last = options.runs.partition("-")
    runs = list(range(int(first), int(last or first) + 1))
    codes = options.cameras.split(",")
    low, high = map(float, options.band.split("-"))
    if options.what == "draw":
        draw_all(options.demo, options.matrices, options.out, runs, codes, options.still)
    elif options.what == "fit":
        fit_all(options.out, (low, high), codes)
    elif options.what == "table":
        print("\n".join(table(options.out)))
    elif options.what == "raw":
        raw_all(options.demo, options.out, codes)
    elif options.what == "exact":
        found = quiet(exact, options.out, [Path(p) for p in options.exact])
        print("\n".join(found))
    else:
        plot(options.out, options.png, codes, (low, high))


if __name__ == "__main__":
    main()
