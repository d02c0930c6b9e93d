"""Figures and tables of docs/calibration.md, from real SAS products and the synthetic calibration set.

Run ``python docs/make_figures.py``. It reads ``../shared/data`` beside the repository, or the folder in
``DAXA_TEST_DATA``; without them there is nothing to compare with, and it says so and ends.
"""

from __future__ import annotations

import csv
import os
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from astropy.io import fits

from daxa.simulate import optics
from daxa.simulate.calibration.constituents import write_calibration
from daxa.simulate.cameras.camera import CAMERAS, J2000_S
from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.instruments.rgs.dispersion import m_lambda
from daxa.xmm.instruments.rgs.geometry import RgsGeometry
from daxa.xmm.response import area as response
from daxa.xmm.sky.geometry import CameraGeometry
from daxa.xmm.sky.tangent import from_xy, to_xy

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "img"
NAMES = {"EMOS1": "MOS1", "EMOS2": "MOS2", "EPN": "pn"}
CODES = {"EMOS1": "M1", "EMOS2": "M2", "EPN": "PN"}
#: Field of the coordinate rows: pointing and roll, and its mission time.
FIELD = (266.9655, -28.46583333333, 271.93)
FIELD_TIME_S = J2000_S + 86400 * 1517.0
#: Observation of the masks.
MASKED = (147.452625, 17.1264722222222, 114.215713500977)
MASKED_TIME_S = J2000_S + 86400 * 7614.2
#: Observation of the effective areas: pointing, and the place of the spectra.
OBSERVED = (359.430833, -32.614778, 51.6756)
SPECTRUM = {
    "EMOS1": (359.4493, -32.583194),
    "EMOS2": (359.4493, -32.583194),
    "EPN": (359.449583, -32.5825),
}
BANDS_KEV = (0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 4.5, 6.0, 8.0)


def row(*cells: object) -> None:
    """Print one row of a Markdown table."""
    print("| " + " | ".join(map(str, cells)) + " |")


def residuals(cal: Calibration, data: Path) -> None:
    """Largest differences from the coordinates that ecoordconv printed."""
    print("\n## coordinates\n")
    row(
        "camera",
        "rows",
        "CCD",
        "RAWX, RAWY [pixel]",
        "theta [arcsec]",
        "phi [rad]",
        "RA, Dec [1e-6 deg]",
        "X, Y",
    )
    for instrument, name in NAMES.items():
        path = data / "ecoordconv_0203930101" / f"ecoordconv_{name.lower()}.csv"
        real = np.genfromtxt(path, delimiter=",", names=True, dtype=None, encoding="ascii")
        camera = CameraGeometry.from_calibration(cal, instrument, FIELD_TIME_S)
        detx, dety = real["DETX"], real["DETY"]
        ccd, rawx, rawy = camera.det_to_raw(detx, dety)
        on = ccd > 0
        theta, phi = camera.det_to_tel(detx, dety)
        ra, dec = camera.det_to_sky(detx, dety, *FIELD)
        x, y = to_xy(ra, dec, *FIELD[:2])
        pixel = max(np.abs(rawx - real["RAWX"])[on].max(), np.abs(rawy - real["RAWY"])[on].max())
        row(
            name,
            len(real),
            f"{np.sum(ccd == real['centred_ccd'])} right",
            f"{pixel:.5f}",
            f"{np.abs(theta - real['theta_arcsec']).max():.5f}",
            f"{np.abs(phi - real['phi_rad']).max():.1e}",
            f"{np.abs(ra - real['RA']).max() * 1e6:.2f}, {np.abs(dec - real['DEC']).max() * 1e6:.3f}",
            f"{max(np.abs(x - real['X']).max(), np.abs(y - real['Y']).max()):.4f}",
        )


def areas_of_view(cal: Calibration, data: Path) -> None:
    """Area of each MOS CCD within the field of view against the printed one."""
    print("\n## field of view\n")
    row("camera", "CCD", "printed [arcmin2]", "ours [arcmin2]", "difference [%]")
    with open(data / "logs" / "0802710101_mos_per_ccd.csv", encoding="ascii") as handle:
        for printed in csv.DictReader(handle):
            instrument = f"EMOS{printed['inst'][1]}"
            camera = CameraGeometry.from_calibration(cal, instrument, 6.26e8)
            plate = cal.misc(instrument, "PLATE_SCALE_X") * cal.misc(instrument, "PLATE_SCALE_Y") / 3600
            ours, real = (
                camera.fov_mask(int(printed["ccd"])).sum() * plate,
                float(printed["fov_area_arcmin2"]),
            )
            row(
                NAMES[instrument],
                printed["ccd"],
                f"{real:.3f}",
                f"{ours:.3f}",
                f"{100 * (ours / real - 1):+.2f}",
            )


def effective_areas(cal: Calibration, data: Path) -> None:
    """Area at the place of real spectra against their ARFs; table and figure."""
    print("\n## effective area\n")
    row("band [keV]", *(f"{n} real, ours [cm2], ours/real" for n in NAMES.values()))
    figure, axes = plt.subplots(2, 1, figsize=(7, 5), sharex=True, height_ratios=(2, 1), layout="constrained")
    columns = []
    for instrument, name in NAMES.items():
        simulated = CAMERAS[CODES[instrument]]
        camera = CameraGeometry.from_calibration(cal, instrument, 4.5e8)
        detx, dety = camera.sky_to_det(*SPECTRUM[instrument], *OBSERVED)
        theta, phi = camera.det_to_tel(detx, dety)
        ccd, _, _ = camera.det_to_raw(detx, dety)
        with fits.open(data / "arf_spectra_ngc7793" / f"{name.upper()}.arf.gz") as hdus:
            table = hdus["SPECRESP"].data
            low, high, real = (np.asarray(table[c], float) for c in ("ENERG_LO", "ENERG_HI", "SPECRESP"))
        energy = (low + high) * 500
        ours = response.effective_area(
            cal, instrument, energy, theta / 60, filter_name="Medium", ccd=ccd, phi_rad=phi
        ) * optics.encircled_fraction(simulated, energy, theta / 60, 40.0)
        if instrument == "EPN":  # that spectrum holds singles and doubles only
            ours *= simulated.pattern_fractions(energy)[:, :2].sum(axis=1)
        used = (energy > 300) & (energy < 10000)
        (line,) = axes[0].plot(energy[used] / 1e3, real[used], lw=2.5, alpha=0.4)
        axes[0].plot(energy[used] / 1e3, ours[used], lw=0.9, color=line.get_color(), label=name)
        edges = np.geomspace(500, 8000, 41)
        binned = [
            [np.mean(v[(energy >= a) & (energy < b)]) for v in (ours, real)] for a, b in pairwise(edges)
        ]
        ratio = np.array([a / b for a, b in binned])
        axes[1].step(np.sqrt(edges[1:] * edges[:-1]) / 1e3, 100 * (ratio - 1), where="mid", lw=1)
        cells = []
        for a, b in pairwise(BANDS_KEV):
            here = (energy >= 1e3 * a) & (energy < 1e3 * b)
            a_real, a_ours = real[here].mean(), ours[here].mean()
            cells.append(f"{a_real:.1f}, {a_ours:.1f}, {a_ours / a_real:.3f}")
        columns.append(cells)
        print(
            f"<!-- {name}: largest difference in 40 bins {100 * np.abs(ratio - 1).max():.1f} % -->",
            file=sys.stderr,
        )
    for i, (a, b) in enumerate(pairwise(BANDS_KEV)):
        row(f"{a}-{b}", *(cells[i] for cells in columns))
    axes[0].set(xscale="log", yscale="log", ylabel="area [cm$^2$]")
    axes[0].legend(title="wide: real ARF, thin: ours", frameon=False)
    axes[1].set(ylim=(-6, 6), xlabel="energy [keV]", ylabel="ours/real - 1 [%]")
    axes[1].set_xticks([0.3, 0.5, 1, 2, 4, 8], ["0.3", "0.5", "1", "2", "4", "8"])
    for level in (-5, 0, 5):
        axes[1].axhline(level, color="0.6", lw=0.6, ls="-" if level == 0 else "--")
    figure.savefig(IMAGES / "effective_area.png", dpi=90)


def outlines(cal: Calibration, data: Path) -> None:
    """Cameras' outlines on real detector masks; counts and figure."""
    from scipy.ndimage import binary_dilation

    print("\n## outlines\n")
    row("camera", "mask pixels", "more than a pixel outside ours", "share [%]")
    figure, axes = plt.subplots(1, 3, figsize=(9, 3.1), layout="constrained")
    for axis, (instrument, name) in zip(axes, NAMES.items(), strict=True):
        camera = CameraGeometry.from_calibration(cal, instrument, MASKED_TIME_S)
        with fits.open(data / "masks" / f"{name.upper()}_mask.fits.gz") as hdus:
            mask = np.asarray(hdus["MASK"].data) > 0
        down, across = np.indices(mask.shape)
        sky = from_xy(3425.5 + 50 * across, 3425.5 + 50 * down, *MASKED[:2])
        detx, dety = camera.sky_to_det(*sky, *MASKED)
        ours = (camera.det_to_raw(detx, dety)[0] > 0) & camera.in_fov(detx, dety)
        outside = int((mask & ~binary_dilation(ours, np.ones((3, 3)))).sum())
        row(name, f"{mask.sum():,}", outside, f"{100 * outside / mask.sum():.3f}")
        # 0 neither, 1 ours only (bad columns, CCDs switched off), 2 both, 3 mask only.
        shown = np.where(mask, np.where(ours, 2, 3), ours.astype(int))
        axis.imshow(
            shown[::2, ::2], origin="lower", interpolation="nearest", vmin=0, vmax=3,
            cmap=matplotlib.colors.ListedColormap(["white", "#9db8d9", "#33475b", "#d0402b"]),
        )  # fmt: skip
        axis.set(title=name, xticks=[], yticks=[])
    figure.savefig(IMAGES / "outlines.png", dpi=80)


def chip_gaps(cal: Calibration, data: Path) -> None:
    """Gaps between the chips of RGS1: channels without exposure in a real spectrum, and ours."""
    print("\n## RGS1 gaps\n")
    with fits.open(data / "rgs_0112880201" / "P0112880201R1S004SRSPEC1003.FTZ") as hdus:
        header, good = hdus["SPECTRUM"].header, hdus["SPECTRUM"].data["QUALITY"] == 0
        first, step = header["TCRVL1"] - header["TCDLT1"] / 2, header["TCDLT1"]
    change = np.diff(np.concatenate([[0], good, [0]]).astype(int))
    begin, end = first + step * np.flatnonzero(change == 1), first + step * np.flatnonzero(change == -1)
    real = [(a, b) for a, b in zip(end[:-1], begin[1:], strict=True) if b - a > 6.5 * step]
    geometry = RgsGeometry.from_calibration(cal, "RGS1", FIELD_TIME_S)
    ends = []
    for ccd in (9, 8, 6, 5, 4, 3, 2, 1):
        beta, _ = geometry.raw_to_angles(ccd, [0, 1], 0.5, 192.0, ocb=1)
        ends.append(np.sort(m_lambda(header["RGSALPHA"], beta, geometry.gratings.spacing)))
    for a, b in zip([(0.0, begin[0]), *real], pairwise([np.zeros(2), *ends]), strict=True):
        row(f"{a[0]:.2f}-{a[1]:.2f}", f"{b[0][1]:.3f}-{b[1][0]:.3f}")
    row(f"{end[-1]:.2f}-", f"{ends[-1][1]:.3f}-")


def main() -> None:
    """Make everything."""
    data = Path(os.environ.get("DAXA_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not data.is_dir():
        print(f"{data} is absent (set DAXA_TEST_DATA): nothing to compare with, figures stay as they are")
        return
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        write_calibration(folder)
        cal = Calibration.for_observation([folder], "2012-11-01")
        residuals(cal, data)
        areas_of_view(cal, data)
        effective_areas(cal, data)
        chip_gaps(cal, data)
        outlines(cal, data)


if __name__ == "__main__":
    main()
