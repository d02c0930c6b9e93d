"""Corrected light curves of all point sources of a simulated field, beside their rates on the axis.

Usage::

    python benchmarks/lightcurves.py DEMO [--bin 100] [--band 500 8000] [--cameras M1 M2 PN]

``DEMO`` is the folder that ``daxa demo`` made: three observations with ten sources 4 to 11 arcmin from the
axis, flares that were cut out, gaps in the exposures, and sources on the edges of CCDs. Curves are of circles
of 35 arcsec, with the background of an annulus without other sources. Printed are, by camera, the mean of
corrected over true rates and how they scatter.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.io import fits

from daxa.simulate import optics
from daxa.simulate.cameras.camera import CAMERAS
from daxa.simulate.sky import CENTRES_EV, EDGES_EV, cluster_field
from daxa.xmm.sky.tangent import to_xy
from daxa.xmm.task import run_task

#: Radius of the circle; inner and outer radius of the annulus; what is cut out around others [0.05 arcsec].
CIRCLE, ANNULUS, OTHERS = 700, (1400, 2200), 900
PATTERNS = {"PN": 4, "M1": 12, "M2": 12}


def true_rates(camera: str, glass: str, band: tuple[int, int]) -> dict[str, float]:
    """Rates on the axis [1/s] in a band, by the name of the source."""
    inside = (band[0] <= CENTRES_EV) & (band[1] > CENTRES_EV)
    area = optics.effective_area(CAMERAS[camera], glass, CENTRES_EV) * np.diff(EDGES_EV) * inside
    return {s.name: float(np.sum(s.spectrum * area)) for s in cluster_field().sources}


def selected_share(demo: Path, obs_id: str, camera: str, band: tuple[int, int]) -> float:
    """Share of recorded photons of point sources whose patterns are selected: of the pn one or two pixels."""
    if camera != "PN":
        return 1.0
    (path,) = (demo / "simulated/truth").glob(f"{obs_id}_PN*_photons.fits")
    table = fits.getdata(path, "PHOTONS")
    kept = table["KEPT"] & (table["SOURCE"] > 0)
    kept &= (table["ENERGY"] >= band[0]) & (table["ENERGY"] < band[1])
    return float(np.mean(table["NPIXELS"][kept] <= 2))


def curves(demo: Path, obs_id: str, camera: str, given: argparse.Namespace) -> list[tuple[float, ...]]:
    """Of each source: corrected over true mean rate, its error, chi^2 of a constant, bins."""
    folder = demo / "daxa_output/archives/demo/processed_data/xmm_pointed" / obs_id
    events = folder / f"events/obsid{obs_id}-inst{camera}-subexpALL-en-finalevents.fits"
    header = fits.getheader(events, "EVENTS")
    plane = fits.getheader(events)
    sky = [s for s in cluster_field().sources if s.name.startswith("point")]
    centre = plane["REFXCRVL"], plane["REFYCRVL"]
    places = np.array([[float(v) for v in to_xy(s.ra_deg, s.dec_deg, *centre)] for s in sky])
    truth = true_rates(camera, str(header["FILTER"]).strip(), tuple(given.band))
    share = selected_share(demo, obs_id, camera, tuple(given.band))
    env = {**os.environ, "SAS_CCFPATH": str(demo / "simulated/ccf")}
    env["SAS_CCF"] = str(next(folder.rglob("*.cif")))
    macro = "#XMMEA_EP" if camera == "PN" else "#XMMEA_EM"
    band = f"PI in [{given.band[0]}:{given.band[1]}]"
    select = f"{macro} && PATTERN <= {PATTERNS[camera]} && FLAG == 0 && {band}"
    found = []
    for source, (x, y) in zip(sky, places, strict=True):
        apart = np.hypot(*(places - (x, y)).T)
        cut = "".join(
            f" &&! ((X,Y) IN circle({a:.1f},{b:.1f},{OTHERS}))"
            for (a, b), d in zip(places, apart, strict=True)
            if CIRCLE < d < OTHERS + ANNULUS[1]
        )
        with tempfile.TemporaryDirectory() as name:
            shapes = {
                "s.lc": f"((X,Y) IN circle({x:.1f},{y:.1f},{CIRCLE}))",
                "b.lc": f"((X,Y) IN annulus({x:.1f},{y:.1f},{ANNULUS[0]},{ANNULUS[1]})){cut}",
            }

            def call(task: str, **parameters: object) -> None:
                run_task(task, parameters, cwd=name, env=env, out=io.StringIO(), err=io.StringIO())

            for file, shape in shapes.items():
                call(
                    "evselect", table=f"{events}:EVENTS", rateset=file, energycolumn="PI",
                    timebinsize=given.bin, maketimecolumn=True, makeratecolumn=True,
                    expression=f"{select} && {shape}",
                )  # fmt: skip
            call(
                "epiclccorr", srctslist="s.lc", eventlist=str(events), outset="c.lc", bkgtslist="b.lc",
                applyabsolutecorrections=True,
            )  # fmt: skip
            table = fits.getdata(Path(name) / "c.lc", "RATE")
        live = table["FRACEXP"] > 0.2
        weight = np.array(table["FRACEXP"][live], float)
        rate, error = (np.array(table[n][live], float) for n in ("RATE", "ERROR"))
        mean = np.sum(weight * rate) / weight.sum()
        sigma = np.sqrt(np.sum((weight * error) ** 2)) / weight.sum()
        true = share * truth[source.name]
        # Errors by the mean rate: roots of few counts are too small where there are few.
        of_source = mean / given.bin / weight
        of_background = (sigma**2 * len(rate) - mean / given.bin / weight.mean()).clip(0)
        spread = np.sqrt(of_source + of_background)
        found.append((mean / true, sigma / true, np.sum(((rate - mean) / spread) ** 2), len(rate) - 1))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("demo", type=Path)
    parser.add_argument("--bin", type=float, default=100.0)
    parser.add_argument("--band", type=int, nargs=2, default=(500, 8000))
    parser.add_argument("--cameras", nargs="+", default=["M1", "M2", "PN"])
    parser.add_argument("--observations", nargs="+", default=["0800010101", "0800010201", "0800010301"])
    given = parser.parse_args()
    begun, spent = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_utime
    number = 0
    for camera in given.cameras:
        rows = np.array([r for o in given.observations for r in curves(given.demo, o, camera, given)])
        number += len(rows)
        ratio, error = rows[:, 0], rows[:, 1]
        weight = error**-2
        mean = np.sum(weight * ratio) / weight.sum()
        pulls = (ratio - mean) / error
        worst = np.abs(pulls).argmax()
        print(
            f"{camera}: {len(rows)} curves, corrected over true {mean:.4f} +- {weight.sum() ** -0.5:.4f}, "
            f"pulls around it {np.std(pulls):.2f}, worst {ratio[worst]:.3f} +- {error[worst]:.3f}; "
            f"chi^2 of constants {rows[:, 2].sum():.0f} for {rows[:, 3].sum():.0f}",
            flush=True,
        )
    spent = resource.getrusage(resource.RUSAGE_SELF).ru_utime - spent
    print(f"{spent / number:.2f} CPU s per curve, {(time.perf_counter() - begun) / number:.2f} s")


if __name__ == "__main__":
    main()
