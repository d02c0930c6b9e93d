"""The search for sources on simulated fields: what is found, what is not, and how well it is measured.

Usage: ``python benchmarks/detection.py --json FILE [--fields 0-29] [--keep DIR]`` runs fields and adds them
to the file; ``python benchmarks/detection.py --json FILE --table`` prints the tables of docs/sources.md.

A field has point sources of the observed distribution of fluxes down to below what can be detected, spread
over the field of view; unresolved sources and the Galaxy; particles at the rates of a quiet orbit; three
cameras; 10, 20 or 40 ks. Every fifth field has three clusters besides. Raw files are simulated and reduced by
the whole chain, then :func:`daxa.process.xmm.find_sources` runs with its defaults, down to a likelihood of 6.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

#: Seconds of a field, by its number.
DURATIONS = (10_000.0, 20_000.0, 40_000.0)
#: Numbers of sources per square degree, N(> S): slopes beyond and below a flux [erg/cm2/s, 0.5 to 10 keV].
BREAK_FLUX, AT_BREAK, STEEP, FLAT, FAINTEST = 2.8e-14, 90.0, 1.5, 0.65, 3e-15
RADIUS_ARCMIN = 14.5
#: Core radii [arcsec] and fluxes of the clusters; their light ends at so many core radii.
CORES_ARCSEC, CLUSTER_FLUX, CLUSTER_LIMIT = (8.0, 16.0, 32.0), 2.5e-13, 20.0
CAMERAS = {1: "PN", 2: "M1", 3: "M2"}
BAND_EV = (200.0, 12000.0)
#: A detection belongs to a source nearer than this, or than so many of its errors [arcsec].
NEAR_ARCSEC, NEAR_ERRORS = 10.0, 4.0
#: Sources of fewer counts are not taken for the origin of a detection.
LEAST_COUNTS = 5.0
LIKELIHOODS = (6.0, 10.0)
PIXEL_ARCSEC = 4.0
COUNTS_EDGES = (10, 20, 30, 40, 60, 100, 200, 500, 1e9)
ANGLE_EDGES = (0, 4, 8, 11, 14)


def fluxes(area_deg2: float, rng: np.random.Generator) -> np.ndarray:
    """Fluxes of the sources on an area, the brightest first."""

    def beyond(flux: np.ndarray) -> np.ndarray:
        ratio = flux / BREAK_FLUX
        faint = AT_BREAK + AT_BREAK * STEEP / FLAT * (ratio**-FLAT - 1)
        return np.where(ratio > 1, AT_BREAK * ratio**-STEEP, faint)

    grid = np.geomspace(FAINTEST, 100 * BREAK_FLUX, 2000)[::-1]
    number = rng.poisson(area_deg2 * beyond(np.array([FAINTEST])))[0]
    return np.sort(np.interp(rng.random(number) * beyond(grid)[-1], beyond(grid), grid))[::-1]


def sky_of(number: int, ra_deg: float, dec_deg: float) -> Any:
    """Sources of a field."""
    from daxa.simulate.sky import BetaModel, PointSource, SkyModel, around, power_law, thermal

    rng = np.random.default_rng([number, 20])

    def place(largest_arcmin: float) -> tuple[float, float]:
        distance = np.deg2rad(largest_arcmin / 60) * np.sqrt(rng.random())
        ra, dec = around(ra_deg, dec_deg, distance, rng.uniform(0, 2 * np.pi))
        return float(ra), float(dec)

    sources: list[Any] = []
    for k, flux in enumerate(fluxes(np.pi * (RADIUS_ARCMIN / 60) ** 2, rng)):
        spectrum = power_law(float(np.clip(rng.normal(1.8, 0.2), 1.2, 2.6)), float(flux))
        sources.append(PointSource(f"point{k:03d}", *place(RADIUS_ARCMIN), spectrum))
    for core in CORES_ARCSEC if number % 5 == 4 else ():
        spectrum = thermal(3.0, CLUSTER_FLUX, 0.2)
        limit = CLUSTER_LIMIT * core
        sources.append(BetaModel(f"cluster{core:.0f}", *place(9.0), spectrum, core, 2 / 3, limit))
    # What is fainter, and the hot gas of the Galaxy, without a gradient.
    for name, spectrum in (
        ("unresolved", power_law(1.45, 4e-12)),
        ("galaxy", thermal(0.2, 2e-12, 0.0, equivalent_width_ev=0.0)),
    ):
        sources.append(BetaModel(name, ra_deg, dec_deg, spectrum, 100.0, 1 / 6, 1200.0))
    return SkyModel(sources)


def run(number: int, folder: Path) -> dict[str, Any]:
    """Simulate, reduce and search one field; what is true of it and what was found."""
    from astropy.io import fits

    from daxa.simulate.calibration.constituents import write_calibration
    from daxa.simulate.cameras.noise import Noise
    from daxa.simulate.observation import simulate_observation
    from daxa.simulate.sets.standard import describe_set

    duration = DURATIONS[number % len(DURATIONS)]
    description = describe_set(duration, Noise().scaled(0.3, 0.03))[number // 3 % 3]
    description = replace(description, flares=())
    p = description.pointing
    sky = sky_of(number, p.ra_deg, p.dec_deg)
    write_calibration(folder / "ccf")
    simulate_observation(description, sky, folder / "odf" / p.obs_id, folder / "truth", seed=number + 1)
    os.environ |= {
        "DAXA_OUTPUT": str(folder), "DAXA_BACKEND": "embedded", "DAXA_CCFPATH": str(folder / "ccf"),
        "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder),
    }  # fmt: skip
    from daxa.archive import Archive
    from daxa.mission import XMMPointed
    from daxa.process.simple import full_process_xmm
    from daxa.process.xmm import find_sources

    mission = XMMPointed(local=folder / "odf")
    mission.filter_on_obs_ids([p.obs_id])
    archive = Archive("field", mission)
    full_process_xmm(archive, num_cores=1, disable_progress=True)
    find_sources(archive, likelihood=min(LIKELIHOODS), num_cores=1, disable_progress=True)
    (search,) = archive.ledger.runs(process="find_sources")
    table = archive.obs_folder("xmm_pointed", p.obs_id) / "sources" / f"obsid{p.obs_id}-sources.fits"
    with (folder / "truth" / f"{p.obs_id}_sources.csv").open() as file:
        true = truth_of(list(csv.DictReader(file)), sky)
    return {
        "duration_s": duration,
        "cpu_s": search.cpu_s,
        "true": true,
        "found": found_in(fits.getdata(table, "SRCLIST")),
    }


def truth_of(rows: Sequence[dict[str, str]], sky: Any) -> list[dict[str, Any]]:
    """Of each source: place, angle, counts expected in all cameras, rate on axis of each in the band."""
    from daxa.simulate import optics
    from daxa.simulate.cameras.camera import CAMERAS as CODES
    from daxa.simulate.sky import CENTRES_EV, EDGES_EV

    inside = (BAND_EV[0] < CENTRES_EV) & (BAND_EV[1] > CENTRES_EV)
    area = {c: optics.effective_area(CODES[c], "Medium", CENTRES_EV) * np.diff(EDGES_EV) for c in CODES}
    result = []
    for k, source in enumerate(sky.sources):
        mine = [r for r in rows if int(r["number"]) == k]
        if source.name in ("unresolved", "galaxy"):
            continue
        result.append(
            {
                "name": source.name,
                "ra": source.ra_deg,
                "dec": source.dec_deg,
                "angle": float(np.mean([float(r["theta_arcmin"]) for r in mine])),
                "counts": sum(float(r["expected_hits"]) for r in mine),
                "recorded": sum(int(r["recorded"]) for r in mine),
                "clear": min(float(r["clear"]) for r in mine),
                "core": getattr(source, "core_arcsec", 0.0),
                "rate": {c: float((source.spectrum * area[c])[inside].sum()) for c in area},
            }
        )
    return result


def found_in(table: Any) -> list[dict[str, Any]]:
    """Of each detection: place, likelihood, counts, extent, rate of each camera."""
    result = []
    for number in np.unique(table["ML_ID_SRC"]):
        rows = table[(table["ML_ID_SRC"] == number) & (table["ID_BAND"] == 0)]
        whole = rows[rows["ID_INST"] == 0][0]
        names = ("RA", "DEC", "RADEC_ERR", "DET_ML", "SCTS", "SCTS_ERR", "EXT", "EXT_ERR", "EXT_ML", "OFFAX")
        cameras = {
            CAMERAS[int(r["ID_INST"])]: [float(r[n]) for n in ("RATE", "RATE_ERR", "MASKFRAC")]
            for r in rows
            if r["ID_INST"]
        }
        result.append({n: float(whole[n]) for n in names} | {"cameras": cameras})
    return result


def matched(field: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None, float]]:
    """Detections of a field, the brightest true source that each may be, and its distance [arcsec]."""
    from astropy.coordinates import SkyCoord

    true = sorted((t for t in field["true"] if t["counts"] >= LEAST_COUNTS), key=lambda t: -t["counts"])
    there = SkyCoord([t["ra"] for t in true], [t["dec"] for t in true], unit="deg")
    taken: set[int] = set()
    for found in sorted(field["found"], key=lambda f: -f["SCTS"]):
        distance = SkyCoord(found["RA"], found["DEC"], unit="deg").separation(there).arcsec
        near = max(NEAR_ARCSEC, NEAR_ERRORS * found["RADEC_ERR"])
        may = [k for k, d in enumerate(distance) if d < max(near, 0.5 * true[k]["core"]) and k not in taken]
        if may:
            taken.add(may[0])
            yield found, true[may[0]], float(distance[may[0]])
        else:
            yield found, None, float(distance.min())


def spread(values: Sequence[float]) -> float:
    """Half of the range that holds the middle 68 %: the standard deviation of a Gaussian."""
    low, high = np.percentile(values, [15.87, 84.13])
    return float(high - low) / 2


def print_tables(fields: Sequence[dict[str, Any]]) -> None:
    """What the fields show, as tables of docs/sources.md."""
    seconds = [field["cpu_s"] for field in fields]
    true = sum(len(field["true"]) for field in fields)
    print(
        f"{len(fields)} fields, {true} sources; CPU s of a search: median {np.median(seconds):.0f}, ", end=""
    )
    print(f"{min(seconds):.0f} to {max(seconds):.0f}\n")
    pairs = [[*pair, field] for field in fields for pair in matched(field)]
    for least in LIKELIHOODS:
        kept = [pair for pair in pairs if pair[0]["DET_ML"] >= least]
        completeness(fields, kept, least)
        spurious(fields, kept, least)
    points = [p for p in pairs if p[1] and not p[1]["core"] and not p[0]["EXT"]]
    accuracy(points, "counts expected", lambda p: p[1]["counts"], COUNTS_EDGES)
    accuracy(points, "off axis, arcmin", lambda p: p[1]["angle"], ANGLE_EDGES)
    extents(fields, pairs)


def _row(*cells: Any) -> None:
    print("| " + " | ".join(str(c) for c in cells) + " |")


def _head(*cells: str) -> None:
    _row(*cells)
    _row(*["---"] * len(cells))


def _bins(edges: Sequence[float]) -> Iterator[tuple[float, float, str]]:
    for low, high in pairwise(edges):
        yield low, high, f"{low:g} to {high:g}" if high < 1e9 else f"from {low:g}"


def completeness(fields: Sequence[dict[str, Any]], kept: Sequence[Any], least: float) -> None:
    """Share of the point sources that were found, by counts and angle."""
    print(f"Share found with DET_ML of at least {least:g} (number of sources):\n")
    _head("counts expected", *(f"{label} arcmin" for *_, label in _bins(ANGLE_EDGES)))
    found = {(id(p[2]), p[1]["name"]) for p in ((f, t, field) for f, t, _, field in kept) if p[1]}
    for low, high, label in _bins(COUNTS_EDGES):
        cells = []
        for inner, outer, _ in _bins(ANGLE_EDGES):
            here = [
                (id(field), t["name"]) in found
                for field in fields
                for t in field["true"]
                if not t["core"] and low <= t["counts"] < high and inner <= t["angle"] < outer
            ]
            cells.append(f"{np.mean(here):.2f} ({len(here)})" if here else "")
        _row(label, *cells)
    print()


def spurious(fields: Sequence[dict[str, Any]], kept: Sequence[Any], least: float) -> None:
    """Detections without a source in each field."""
    none = [p for p in kept if p[1] is None]
    number = [sum(p[3] is field for p in none) for field in fields]
    extended = sum(p[0]["EXT"] > 0 for p in none)
    print(f"Detections: {len(kept)}; without a source {len(none)}, {np.mean(number):.2f} per field ", end="")
    print(f"({max(number)} at most), {extended} of them extended, ", end="")
    print(f"{sum(p[0]['OFFAX'] > 11 for p in none)} beyond 11 arcmin.\n")


def accuracy(points: Sequence[Any], title: str, value: Any, edges: Sequence[float]) -> None:
    """Places and rates of point sources against the truth."""
    _head(
        title, "sources", "median offset, arcsec", "68 % within", "median offset / error",
        *(f"rate {c}: median found / true, pull" for c in CAMERAS.values()),
    )  # fmt: skip
    for low, high, label in _bins(edges):
        here = [p for p in points if low <= value(p) < high]
        if len(here) < 5:
            continue
        offsets = np.array([p[2] for p in here])
        # RADEC_ERR is the root of both axes' squares: offsets have the median sqrt(ln 2) = 0.83 of it.
        pulls = offsets / np.array([p[0]["RADEC_ERR"] for p in here])
        cells = []
        for camera in CAMERAS.values():
            rates = [
                (p[0]["cameras"][camera], p[1]["rate"][camera])
                for p in here
                if camera in p[0]["cameras"] and p[0]["cameras"][camera][2] > 0.7
            ]
            ratio = np.median([f[0] / t for f, t in rates])
            width = spread([(f[0] - ratio * t) / f[1] for f, t in rates])
            cells.append(f"{ratio:.3f}, {width:.2f}")
        within = np.percentile(offsets, 68)
        _row(
            label, len(here), f"{np.median(offsets):.2f}", f"{within:.2f}", f"{np.median(pulls):.2f}", *cells
        )
    print()


def extents(fields: Sequence[dict[str, Any]], pairs: Sequence[Any]) -> None:
    """Clusters that were found, and points that were taken for extended ones."""
    _head("core radius, arcsec", "clusters", "found", "as extended", "median of core radius", "rate / true")
    for core in CORES_ARCSEC:
        number = sum(t["core"] == core for field in fields for t in field["true"])
        here = [p for p in pairs if p[1] and p[1]["core"] == core]
        wide = [p for p in here if p[0]["EXT"] > 0]
        cells = ["", ""]
        if wide:
            sizes = [p[0]["EXT"] * PIXEL_ARCSEC for p in wide]
            cells = [f"{np.median(sizes):.1f}", f"{np.median([_rate_ratio(*p[:2]) for p in wide]):.2f}"]
        _row(f"{core:g}", number, len(here), len(wide), *cells)
    points = [p for p in pairs if p[1] and not p[1]["core"]]
    print(f"\nOf {len(points)} points found, {sum(p[0]['EXT'] > 0 for p in points)} are called extended.")


def _rate_ratio(found: dict[str, Any], true: dict[str, Any]) -> float:
    """Rate of a cluster in the cameras that see it, over the truth."""
    seen = [camera for camera, values in found["cameras"].items() if np.isfinite(values[0])]
    # The fit counts what lies beyond the limit of the simulated one, too.
    share = 1 - 1 / np.hypot(1, CLUSTER_LIMIT)
    return share * sum(found["cameras"][c][0] for c in seen) / sum(true["rate"][c] for c in seen)


def main() -> None:
    """Run fields, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--fields", default="", help="numbers, e.g. 0-4 or 3,7")
    parser.add_argument("--keep", type=Path, help="keep the folders of the fields here")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    for part in filter(None, arguments.fields.split(",")):
        first, _, last = part.partition("-")
        for number in range(int(first), int(last or first) + 1):
            with tempfile.TemporaryDirectory() as name:
                result = run(number, arguments.keep / f"{number}" if arguments.keep else Path(name))
            # Others may have been added in the meantime.
            known = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
            arguments.json.write_text(json.dumps(known | {str(number): result}) + "\n")
            print(f"field {number}: {len(result['found'])} found, {result['cpu_s']:.0f} CPU s", flush=True)
    if arguments.table:
        print_tables(list(json.loads(arguments.json.read_text()).values()))


if __name__ == "__main__":
    main()
