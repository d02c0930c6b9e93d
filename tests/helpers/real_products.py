"""Products that SAS made, made again by our tasks from the same lists, and compared number by number.

A product of SAS names in its header the task and the parameters that it was made with. They are given to our
task, with the list at hand in place of the one named there.
"""

from __future__ import annotations

import atexit
import gzip
import re
import shlex
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.event.gti import GTI
from daxa.xmm.image.exposure import wcs_functions
from daxa.xmm.screen.flares import histogram_method, intervals
from daxa.xmm.screen.qdp import qdp_text
from daxa.xmm.screen.quiet_times import gti_text
from daxa.xmm.select import dss
from daxa.xmm.select.exposures import ccd_tables, read_frames
from daxa.xmm.select.goodtimes import gti_hdu
from daxa.xmm.sky.geometry import CameraGeometry
from daxa.xmm.task import run_task

ESAS = "esas_0203930101"
OBSERVATIONS = ("0201901401", "0201903501")
BANDS = ("0.50-2.00", "2.00-10.00")
#: Keywords that tell who made a file, when, from what.
OF_THE_MAKER = ("XPROC", "XDAL", "CREATOR", "DATE", "VERIFIED", "HISTORY", "COMMENT", "CONTINUE", "")


@dataclass(frozen=True)
class Line:
    """One line of the table: what of a product is compared, in SAS's and in ours, and what comes of it."""

    product: str
    compared: str
    sas: str
    ours: str
    result: str
    equal: bool = True


def command(path: Path, number: int = 0) -> dict[str, str]:
    """Parameters of the task that made a file, as in its header."""
    words = shlex.split(fits.getheader(path)[f"XPROC{number}"].partition(" # ")[0])
    return dict(w.split("=", 1) for w in words[1:] if "=" in w)


def make_again(real: Path, table: Path, output: str, work: Path, **changed: Any) -> Path:
    """The same product of evselect from the list at hand; ``output`` is the parameter that names it."""
    given: dict[str, Any] = {k: v for k, v in command(real).items() if k != "with"}
    given |= {"table": str(table), output: "made.fits", f"with{output}": True}
    run_task("evselect", given | changed, cwd=work)
    return work / "made.fits"


def same(a: Any, b: Any) -> bool:
    """Whether two values of a keyword are equal; SAS writes real numbers with fifteen digits."""
    if isinstance(a, float) and isinstance(b, (int, float)):
        return bool(np.isclose(a, b, rtol=1e-13, atol=1e-13))
    if isinstance(a, str) and isinstance(b, str):
        # Where a long text goes on in another card, SAS may leave an ampersand in it.
        return a.replace("&", "") == b.replace("&", "")
    return bool(a == b)


def differing_keywords(ours: Mapping[str, Any], sas: Mapping[str, Any], *ignored: str) -> dict[str, Any]:
    """Keywords that only one header has, or that differ, with both values (ours first)."""
    left = (*OF_THE_MAKER[:-1], *ignored)
    keys = [k for k in dict.fromkeys((*sas, *ours)) if k and not k.startswith(left)]
    return {k: (ours.get(k), sas.get(k)) for k in keys if not same(ours.get(k), sas.get(k))}


def differing_columns(ours: fits.BinTableHDU, sas: fits.BinTableHDU) -> list[str]:
    """Columns whose values differ in any row, or that only one table has."""
    names = dict.fromkeys((*sas.columns.names, *ours.columns.names))
    both = set(sas.columns.names) & set(ours.columns.names)
    return [
        n
        for n in names
        if n not in both
        or not np.array_equal(ours.data[n], sas.data[n], equal_nan=ours.data[n].dtype.kind == "f")
    ]


# lists cut out of the sky ------------------------------------------------------------------------------
def image_line(name: str, ours: Path, sas: Path, *ignored: str) -> Line:
    """Pixels, keywords, good times and regions of two images."""
    with fits.open(ours) as a, fits.open(sas) as b:
        pixels = int(np.sum(a[0].data != b[0].data))
        keywords = differing_keywords(a[0].header, b[0].header, *ignored)
        tables = [h.name for h in a[1:]] != [h.name for h in b[1:]] or any(
            differing_columns(x, y) for x, y in zip(a[1:], b[1:], strict=True)
        )
        counts = [int(h[0].data.sum()) for h in (b, a)]
        what = f"{b[0].data.size} pixels, {len(b[0].header)} keywords, {len(b) - 1} tables"
    wrong = [f"{pixels} pixels"] * bool(pixels) + list(keywords) + ["tables"] * tables
    result = "differ: " + ", ".join(wrong) if wrong else "equal"
    return Line(name, what, f"{counts[0]} counts", f"{counts[1]} counts", result, not wrong)


def sky_images(data: Path, work: Path) -> list[Line]:
    """The eight images of the MOS cameras of two observations."""
    lines = []
    for obs_id in OBSERVATIONS:
        for camera in (1, 2):
            for band in BANDS:
                folder = data / f"sas_products_{obs_id}"
                real = folder / "images" / f"{obs_id}_mos{camera}_exp1-{band}keVimg.fits.gz"
                table = folder / "eclean" / f"mos{camera}_exp1_clean_evts.fits.gz"
                made = make_again(real, table, "imageset", work)
                # FRMTIMnn came later than SAS 14.
                name = f"image {obs_id} MOS{camera} {band} keV"
                lines.append(image_line(name, made, real, "XMMSEP", "FRMTIM"))
    return lines


def corner_images(data: Path, work: Path) -> list[Line]:
    """Two images of the corners of MOS1, from lists that were cut by a region in detector coordinates."""
    folder = data / ESAS
    lines = []
    for product, table in (("corimc", "corevc"), ("corn-image", "corn")):
        real = folder / f"mos1S001-{product}.fits.gz"
        made = make_again(real, folder / f"mos1S001-{table}.fits.gz", "imageset", work)
        fit = ("ELOW", "EHIGH", "NORM", "WIDTH", "CENTER", "H_", "L_")
        lines.append(image_line(f"corners 0203930101 MOS1 {product}", made, real, *fit))
    return lines


def corner_curve(data: Path, work: Path) -> list[Line]:
    """The light curve of the corners, in steps of a second.

    Its live time is a mean over events of the list that SAS took, of the whole camera, which is not at hand.
    """
    folder = data / ESAS
    real = folder / "mos1S001-corlc.fits.gz"
    made = make_again(real, folder / "mos1S001-corev.fits.gz", "rateset", work)
    with fits.open(made) as a, fits.open(real) as b:
        wrong = differing_columns(a["RATE"], b["RATE"])
        seconds = [h["RATE"].header["EXPOSURE"] for h in (b, a)]
        number = len(b["RATE"].data)
    wrong += ["EXPOSURE"] * (abs(seconds[1] - seconds[0]) > 0.1)
    return [
        Line(
            "light curve 0203930101 MOS1 corlc",
            f"{number} bins: TIME, RATE, ERROR; EXPOSURE",
            f"{seconds[0]:.4f} s",
            f"{seconds[1]:.4f} s",
            "differ: " + ", ".join(wrong) if wrong else "equal",
            not wrong,
        )
    ]


# flares ------------------------------------------------------------------------------------------------
def read_curve(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Times and rates of a light curve; nothing counted is zero."""
    data = fits.getdata(path, "RATE")
    return np.asarray(data["TIME"], float), np.nan_to_num(np.asarray(data["RATE"], float))


def data_rows(text: str) -> list[str]:
    """Rows of numbers of a QDP file."""
    return [line for line in text.splitlines() if re.fullmatch(r"\s+[\d.]+(\s+-?[\d.]+){13}", line)]


def flare_screening(data: Path, work: Path) -> list[Line]:
    """Fit, limits, good times and QDP file that espfilt made of the light curves of MOS1 and pn."""
    lines = []
    for name, camera in (("mos1S001", "MOS1"), ("pnS003", "pn")):
        folder = data / ESAS
        time_s, rate = read_curve(folder / f"{name}-fovlc.fits.gz")
        corner = read_curve(folder / f"{name}-corlc.fits.gz")[1]
        given = command(folder / f"{name}-fovlc.fits.gz", 1)
        fit = histogram_method(
            rate,
            np.ones(len(rate), bool),
            smooth_s=float(given["smooth"]),
            bin_s=float(given["binsize"]),
            range_scale=float(given["rangescale"]),
            allow_sigma=float(given["allowsigma"]),
            limits=(0.1, 6.5),
        )
        header = fits.getheader(folder / f"{name}-allimc.fits.gz")
        quiet = fit.quiet
        pairs = [
            (header["NORM"], quiet.norm),
            (header["CENTER"], quiet.centre),
            (header["WIDTH"], quiet.sigma),
        ]
        what = f"espfilt 0203930101 {camera}"
        texts = [f"{n:.3f}, {c:.4f}, {w:.4f}" for n, c, w in (tuple(p[i] for p in pairs) for i in (0, 1))]
        worst = max(abs(a / b - 1) for a, b in pairs)
        lines.append(Line(f"{what}: fit", "norm, centre, width", *texts, f"within {worst:.0e}", worst < 1e-6))

        with gzip.open(folder / f"{name}-hist.qdp.gz", "rt") as handle:
            sas = data_rows(handle.read())
        ours = data_rows(qdp_text(fit, rate, corner, fit.good, int(given["binsize"]), header["OBS_ID"]))
        limits = [tuple(float(row.split()[0]) for row in (r[-8], r[-6])) for r in (sas, ours)]
        texts = ["{:.3f} to {:.3f} ct/s".format(*pair) for pair in limits]
        lines.append(Line(f"{what}: limits", "printed digits", *texts, *_verdict(limits[0] == limits[1])))
        other = [(a, b) for a, b in zip(sas, ours, strict=True) if a != b]
        near = all(
            abs(float(x) - float(y)) < 1.5e-3
            for a, b in other
            for x, y in zip(a.split(), b.split(), strict=True)
        )
        lines.append(
            Line(
                f"{what}: QDP file",
                "histogram, model, both curves, whole and accepted",
                f"{len(sas)} rows",
                f"{len(ours)} rows",
                f"{len(other)} rows differ, in the last digit of the model" if near else "differ",
                near and len(other) < 10,
            )
        )
        lines.append(
            _good_times(
                f"{what}: good times", intervals(time_s, fit.good, 1.0), folder / f"{name}-gti.fits", work
            )
        )
    return lines


def _verdict(equal: bool, text: str = "differ") -> tuple[str, bool]:
    return ("equal" if equal else text), equal


def _good_times(what: str, gti: GTI, real: Path, work: Path) -> Line:
    """Intervals written as the task does, by gtibuild, beside the file of SAS: every edge and keyword."""
    (work / "gti.txt").write_text(gti_text(gti), encoding="ascii")
    run_task("gtibuild", {"file": "gti.txt", "table": "gti.fits"}, cwd=work)
    with fits.open(work / "gti.fits") as a, fits.open(real) as b:
        wrong = differing_columns(a[1], b[1]) + list(differing_keywords(a[1].header, b[1].header))
        sums = [f"{len(h[1].data)} intervals, {h[1].header['ONTIME']:.1f} s" for h in (b, a)]
    return Line(what, "edges and keywords", *sums, *_verdict(not wrong, "differ: " + ", ".join(wrong)))


def corner_spectra(data: Path, work: Path) -> list[Line]:
    """Spectra of the corners on six CCDs of MOS1, each of which a box cuts out."""
    folder = data / ESAS
    wrong, counts, seconds = [], [0, 0], [0.0, 0.0]
    for ccd in range(2, 8):
        with fits.open(folder / f"mos1S001-{ccd}oc.pi.gz") as hdus:
            real, header = hdus["SPECTRUM"].data["COUNTS"].copy(), hdus["SPECTRUM"].header
            given = {
                "table": str(folder / "mos1S001-corn.fits.gz"), "expression": header["SLCTEXPR"],
                "withspectrumset": True, "spectrumset": "made.pi", "energycolumn": "PI",
                "spectralbinsize": header["SPECDELT"], "withspecranges": True, "specchannelmin": 0,
                "specchannelmax": 11999,
            }  # fmt: skip
            run_task("evselect", given, cwd=work)
            made = fits.getdata(work / "made.pi", "SPECTRUM")["COUNTS"]
            exposure = fits.getheader(work / "made.pi", "SPECTRUM")["EXPOSURE"]
            same = np.array_equal(made, real) and abs(exposure - header["EXPOSURE"]) < 1e-3
            wrong += [] if same else [f"CCD {ccd}"]
            for k, (number, live) in enumerate(((real.sum(), header["EXPOSURE"]), (made.sum(), exposure))):
                counts[k] += int(number)
                seconds[k] += live
    sums = [f"{n} counts, {t:.3f} s" for n, t in zip(counts, seconds, strict=True)]
    name = "spectra of the corners 0203930101 MOS1, CCD 2 to 7"
    return [
        Line(name, "2400 channels each, EXPOSURE", *sums, *_verdict(not wrong, "differ: " + ", ".join(wrong)))
    ]


# lists -------------------------------------------------------------------------------------------------
LISTS = {
    "corev": "0203930101 MOS1 corev",
    "corevc": "0203930101 MOS1 corevc",
    "corn": "0203930101 MOS1 corn",
    "clean-filtered": "0203930101 MOS1 clean-filtered",
}


def corner_list(data: Path, work: Path) -> list[Line]:
    """The corners in the good times, from the corners of the whole exposure."""
    folder = data / ESAS
    real = folder / "mos1S001-corevc.fits.gz"
    (work / "mos1S001-gti.fits").write_bytes((folder / "mos1S001-gti.fits").read_bytes())
    made = make_again(real, folder / "mos1S001-corev.fits.gz", "filteredset", work)
    with fits.open(made) as a, fits.open(real) as b:
        # Our STDGTInn hold what is left; those of SAS stay, and the data subspace points at others.
        names = [
            h.name
            for h in b
            if isinstance(h, fits.BinTableHDU) and not h.name.startswith(("STDGTI", "GTI", "REG"))
        ]
        wrong = [f"{n}: {', '.join(c)}" for n in names if (c := differing_columns(a[n], b[n]))]
        counts = [len(h["EVENTS"].data) for h in (b, a)]
        rows = sum(len(b[n].data) for n in names)
        subspaces = [dss.read(h, h["EVENTS"].header).ccd_gti() for h in (b, a)]
        seconds = [sum(g.total for g in s.values()) for s in subspaces]
        apart = max(
            np.abs(x - y).max() if len(x) == len(y) else np.inf
            for ccd in subspaces[0]
            for x, y in [(np.r_[s.start, s.stop] for s in (subspaces[0][ccd], subspaces[1][ccd]))]
        )
    name = "list 0203930101 MOS1 corevc from corev"
    return [
        Line(
            name,
            f"{len(names)} tables, {rows} rows",
            f"{counts[0]} events",
            f"{counts[1]} events",
            *_verdict(not wrong, "; ".join(wrong)),
        ),
        Line(
            name + ": good times",
            "edges of 7 CCDs",
            f"{seconds[0]:.4f} s",
            f"{seconds[1]:.4f} s",
            f"within {apart:.0e} s",
            apart < 1e-6,
        ),
    ]


def live_times(data: Path, work: Path) -> list[Line]:
    """LIVETInn of lists, from their frames and the good times of their data subspace."""
    paths = {
        name: data / ESAS / f"mos1S001-{key}.fits.gz" for key, name in LISTS.items() if key.startswith("core")
    }
    for obs_id in OBSERVATIONS:
        for camera in (1, 2):
            folder = data / f"sas_products_{obs_id}" / "eclean"
            paths[f"{obs_id} MOS{camera}"] = folder / f"mos{camera}_exp1_clean_evts.fits.gz"
    lines = []
    for name, path in paths.items():
        with fits.open(path) as hdus:
            header = hdus["EVENTS"].header
            good = dss.read(hdus, header).ccd_gti()
            tables = ccd_tables(hdus, "EXPOSU")
            sas, ours = [], []
            for ccd, index in tables.items():
                if f"LIVETI{ccd:02d}" in header:
                    sas.append(header[f"LIVETI{ccd:02d}"])
                    ours.append(read_frames(hdus[index], header, name).livetime(good[ccd]))
        worst = max(abs(a - b) for a, b in zip(sas, ours, strict=True))
        sums = [f"{sum(v):.4f} s" for v in (sas, ours)]
        lines.append(
            Line(f"live times {name}", f"{len(sas)} CCDs", *sums, f"within {worst:.0e} s", worst < 1e-3)
        )
    return lines


def selections_again(data: Path, work: Path) -> list[Line]:
    """Regions, times, bits and intervals that real lists are cut by, applied again: nothing changes."""
    lines = []
    paths = {name: data / ESAS / f"mos1S001-{key}.fits.gz" for key, name in LISTS.items()}
    paths["0203930101 MOS2 filtered"] = data / ESAS / "filtered.fits.gz"
    paths["0203930101 MOS2 temp_events"] = data / ESAS / "temp_events.fits.gz"
    for name, path in paths.items():
        run_task(
            "evselect",
            {
                "table": str(path), "filteredset": "again.fits", "filtertype": "dataSubspace",
                "dssblock": f"{path}:EVENTS",
            },
            cwd=work,
        )  # fmt: skip
        with fits.open(path) as hdus, fits.open(work / "again.fits") as made:
            kept = [len(h["EVENTS"].data) for h in (hdus, made)]
            regions = [h for h in hdus if h.name.startswith("REG")]
            what = (
                f"{len(regions)} region tables of {len(regions[0].data)} shapes" if regions else "no region"
            )
        lines.append(
            Line(
                f"selection of {name}, applied again",
                what,
                f"{kept[0]} events",
                f"{kept[1]} events",
                *_verdict(kept[0] == kept[1]),
            )
        )
    return lines


# good times --------------------------------------------------------------------------------------------
def good_time_tasks(data: Path, work: Path) -> list[Line]:
    """Good times that tabgtigen made of light curves: every edge and keyword."""
    lines = []
    for curve, product in (
        ("epic_pn_0124710801/PN_rate.fits", "epic_pn_0124710801/PN_gti.fits"),
        (f"{ESAS}/P0203930101EMX000FBKTSR0000.FIT", f"{ESAS}/P0203930101EMX000FBKGTI0000.FIT"),
        (f"{ESAS}/P0203930101PNS003FBKTSR0000.FIT", f"{ESAS}/P0203930101PNS003FBKGTI0000.FIT"),
    ):
        given = command(data / product) | {"table": str(data / curve), "gtiset": "made.fits"}
        run_task("tabgtigen", given, cwd=work)
        with fits.open(work / "made.fits") as a, fits.open(data / product) as b:
            wrong = differing_columns(a[1], b[1]) + list(differing_keywords(a[1].header, b[1].header))
            sums = [f"{len(h[1].data)} intervals, {h[1].header['ONTIME']:.1f} s" for h in (b, a)]
        name = f"tabgtigen {Path(product).name}, {given['expression']}"
        lines.append(
            Line(name, "edges and keywords", *sums, *_verdict(not wrong, "differ: " + ", ".join(wrong)))
        )
    return lines


def housekeeping_times(data: Path, work: Path) -> list[Line]:
    """Good times of housekeeping: the same intervals, as our task writes them (its input is not at hand)."""
    lines = []
    for camera in (1, 2):
        real = data / ESAS / f"P0203930101M{camera}X000HK_GTI0000.FIT"
        made = gti_hdu(GTI.read(real))
        with fits.open(real) as hdus:
            wrong = differing_columns(made, hdus[1]) + list(differing_keywords(made.header, hdus[1].header))
            sums = [f"{h.header['ONTIME']:.4f} s" for h in (hdus[1], made)]
        name = f"hkgtigen 0203930101 MOS{camera}, form of the table"
        lines.append(
            Line(name, "columns, units, keywords", *sums, *_verdict(not wrong, "differ: " + ", ".join(wrong)))
        )
    return lines


# masks and exposure maps -------------------------------------------------------------------------------
def masks(data: Path, work: Path) -> list[Line]:
    """Detection masks that emask made of exposure maps, both by SAS."""
    lines = []
    for name in (
        "mos1S001{}-im-500-10000-ccd1", "mos1S001{}-im-500-10000", "mos1S001{}-im",
        "pnS003{}-im-det-500-10000", "pnS003{}-im",
    ):  # fmt: skip
        exposure, real = (data / ESAS / f"{name.format(kind)}.fits.gz" for kind in ("-exp", "-mask"))
        given = command(real) | {"expimageset": str(exposure), "detmaskset": "mask.fits"}
        run_task("emask", given, cwd=work)
        with fits.open(work / "mask.fits") as a, fits.open(real) as b:
            pixels = int(np.sum(a["MASK"].data != b["MASK"].data))
            sums = [f"{int(h['MASK'].data.sum())} pixels set" for h in (b, a)]
            size = b["MASK"].data.size
        what = f"mask 0203930101 {name.format('-mask')}"
        lines.append(Line(what, f"{size} pixels", *sums, *_verdict(not pixels, f"{pixels} pixels differ")))
    return lines


@cache
def simulated_calibration() -> dict[str, str]:
    """Environment with the simulated calibration for 2004: no real one is at hand."""
    from daxa.simulate.calibration.constituents import write_calibration

    folder = Path(tempfile.mkdtemp(prefix="calibration"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write_calibration(folder / "ccf")
    env = {"SAS_CCFPATH": str(folder / "ccf"), "DAXA_SYNTHETIC_CALIBRATION": "allow"}
    dated = {"withobservationdate": True, "observationdate": "2004-06-01T00:00:00"}
    run_task("cifbuild", dated, cwd=folder, env=env, out=StringIO())
    return env | {"SAS_CCF": str(folder / "ccf.cif")}


def chips_of_pixels(data: Path, obs_id: str, camera: int) -> np.ndarray:
    """CCD that each pixel of an image is on, well away from the edges of the chip; else 0."""
    folder = data / f"sas_products_{obs_id}"
    header = fits.getheader(folder / "images" / f"{obs_id}_mos{camera}_exp1-{BANDS[0]}keVimg.fits.gz")
    attitude = fits.getdata(folder / "emchain" / f"P{obs_id}OBX000ATTTSR0000.FIT.gz", "ATTHK")
    with fits.open(folder / "eclean" / f"mos{camera}_exp1_clean_evts.fits.gz") as hdus:
        good = dss.read(hdus, hdus["EVENTS"].header).ccd_gti()[1].contains(attitude["TIME"])
    pointing = [float(np.median(attitude[name][good])) for name in ("AHFRA", "AHFDEC", "AHFPA")]
    env = simulated_calibration()
    cal = Calibration.from_environment(env, Path())
    geometry = CameraGeometry.from_calibration(cal, f"EMOS{camera}", float(attitude["TIME"][0]))
    y, x = np.indices((header["NAXIS2"], header["NAXIS1"]), float)
    detector = geometry.sky_to_det(*wcs_functions(header)(x.ravel(), y.ravel()), *pointing)
    ccd, rawx, rawy = geometry.det_to_raw(*detector)
    inside = (np.abs(rawx - 300) < 285) & (np.abs(rawy - 300) < 285)
    return np.where(inside, ccd, 0).reshape(x.shape)


def exposure_maps(data: Path, work: Path) -> list[Line]:
    """Eight exposure maps from real lists and attitude, with simulated geometry, vignetting and gratings.

    Comparable are therefore the largest exposure, the covered pixels, and the ratio of the maps as far as the
    simulated calibration resembles the real one. What is calibration is the same in both observations.
    """
    lines = []
    ratios: dict[tuple[int, str], list[np.ndarray]] = {}
    for obs_id in OBSERVATIONS:
        for camera in (1, 2):
            chips = chips_of_pixels(data, obs_id, camera)
            for band, made, path in _make_maps(data, work, obs_id, camera):
                a, b = (fits.getdata(f).astype(float) for f in (made, path))
                both = (a > 0) & (b > 0)
                ratio = np.divide(a, b, out=np.zeros_like(a), where=both)
                middle = float(np.median(ratio[both]))
                by_chip = [float(np.median(ratio[both & (chips == ccd)])) for ccd in range(1, 8)]
                ratios.setdefault((camera, band), []).append(np.array(by_chip))
                most, area = abs(a.max() / b.max() - 1), abs((a > 0).sum() / (b > 0).sum() - 1)
                lines.append(
                    Line(
                        f"exposure map {obs_id} MOS{camera} {band} keV",
                        "largest exposure, covered pixels",
                        *(f"{m.max():.1f} s, {(m > 0).sum()}" for m in (b, a)),
                        f"median ratio {middle:.3f}",
                        bool(most < 1e-3 and area < 4e-3 and abs(middle - 1) < 0.02),
                    )
                )
    for (camera, band), (one, other) in ratios.items():
        apart = float(np.abs(one - other).max())
        texts = [" ".join(f"{v:.3f}" for v in values) for values in (one, other)]
        lines.append(
            Line(
                f"ours over SAS's, CCD 1 to 7 of MOS{camera}, {band} keV",
                "one observation, the other",
                *texts,
                f"the same within {apart:.4f}",
                apart < 1e-3,
            )
        )
    return lines


def _make_maps(data: Path, work: Path, obs_id: str, camera: int) -> list[tuple[str, Path, Path]]:
    """Maps of one camera in both bands: band, ours, SAS's."""
    folder = data / f"sas_products_{obs_id}"
    stem = f"{obs_id}_mos{camera}_exp1-{{}}keV{{}}.fits.gz"
    real = [folder / "images" / stem.format(band, "expmap") for band in BANDS]
    given = command(real[0]) | {
        "imageset": str(folder / "images" / stem.format(BANDS[0], "img")),
        "attitudeset": str(folder / "emchain" / f"P{obs_id}OBX000ATTTSR0000.FIT.gz"),
        "eventset": str(folder / "eclean" / f"mos{camera}_exp1_clean_evts.fits.gz"),
        "expimageset": "soft.fits hard.fits",
        "pimin": "500 2000",
        "pimax": "2000 10000",
    }
    run_task("eexpmap", given, cwd=work, env=simulated_calibration())
    return list(zip(BANDS, (work / "soft.fits", work / "hard.fits"), real, strict=True))


#: All parts of the table, in its order.
PARTS = (
    sky_images, corner_images, corner_curve, corner_spectra, corner_list, selections_again, live_times,
    good_time_tasks, housekeeping_times,
    flare_screening, masks, exposure_maps,
)  # fmt: skip
