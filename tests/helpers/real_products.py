"""Products that SAS made, made again by our tasks from the same lists, and compared number by number.

A product of SAS names in its header the task and the parameters that it was made with. They are given to our
task, with the list at hand in place of the one named there.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

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
    header = fits.getheader(real, "RATE")
    # Without limits a curve spans its list; SAS made this one from the list of the whole camera.
    limits = {"withtimeranges": True, "timemin": header["TSTART"], "timemax": header["TSTOP"]}
    made = make_again(real, folder / "mos1S001-corev.fits.gz", "rateset", work, **limits)
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
