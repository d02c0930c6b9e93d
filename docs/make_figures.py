"""Figures and tables of docs/calibration.md, from real SAS products and the synthetic calibration set.

Run ``python docs/make_figures.py``: it puts the tables between their marks in the page. It reads
``../shared/data`` beside the repository, or the folder in ``DAXA_TEST_DATA``; without them there is nothing
to compare with, and it says so and ends.
"""

from __future__ import annotations

import csv
import os
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from astropy.io import fits

from daxa.simulate import optics
from daxa.simulate.calibration.constituents import write_calibration
from daxa.simulate.cameras.camera import CAMERAS, J2000_S
from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.instruments.rgs.calibration import RgsCalibration
from daxa.xmm.instruments.rgs.dispersion import m_lambda
from daxa.xmm.response import area as response
from daxa.xmm.sky.geometry import CameraGeometry
from daxa.xmm.sky.tangent import from_xy, to_xy

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "img"
PAGE = ROOT / "docs" / "calibration.md"
FloatArray = npt.NDArray[np.float64]
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


def table(rows: list[list[object]]) -> str:
    """A table of Markdown; the first row is its head."""
    head, *rest = ("| " + " | ".join(map(str, cells)) + " |" for cells in rows)
    return "\n".join([head, "|" + "---|" * len(rows[0]), *rest])


def power(value: float) -> str:
    """A small number with one digit behind the point, such as 2.8e-6."""
    return f"{value:.1e}".replace("e-0", "e-")


def signed(value: float) -> str:
    """A number with two digits behind the point and its sign."""
    return f"{value:+.2f}".replace("-", "−")


def residuals(cal: Calibration, data: Path) -> list[list[object]]:
    """Largest differences from the coordinates that ecoordconv printed, which knows no heights of chips."""
    rows: list[list[object]] = [
        [
            "camera",
            "CCD",
            "RAWX, RAWY [pixel]",
            'theta ["]',
            "phi [rad]",
            "RA, Dec [1e-6 deg]",
            'X, Y [0.05"]',
        ]
    ]
    for instrument, name in NAMES.items():
        path = data / "ecoordconv_0203930101" / f"ecoordconv_{name.lower()}.csv"
        real = np.genfromtxt(path, delimiter=",", names=True, dtype=None, encoding="ascii")
        camera = CameraGeometry.from_calibration(cal, instrument, FIELD_TIME_S, heights=False)
        detx, dety = real["DETX"], real["DETY"]
        ccd, rawx, rawy = camera.det_to_raw(detx, dety)
        on = ccd > 0
        theta, phi = camera.det_to_tel(detx, dety)
        ra, dec = camera.det_to_sky(detx, dety, *FIELD)
        x, y = to_xy(ra, dec, *FIELD[:2])
        pixel = max(np.abs(rawx - real["RAWX"])[on].max(), np.abs(rawy - real["RAWY"])[on].max())
        rows.append(
            [
                name,
                f"{np.sum(ccd == real['centred_ccd'])} of {len(real)}",
                f"{pixel:.5f}",
                f"{np.abs(theta - real['theta_arcsec']).max():.5f}",
                power(np.abs(phi - real["phi_rad"]).max()),
                f"{np.abs(ra - real['RA']).max() * 1e6:.2f}, {np.abs(dec - real['DEC']).max() * 1e6:.3f}",
                f"{max(np.abs(x - real['X']).max(), np.abs(y - real['Y']).max()):.4f}",
            ]
        )
    return rows


def areas_of_view(cal: Calibration, data: Path) -> list[list[object]]:
    """Area of each MOS CCD within the field of view beside the printed one."""
    rows: list[list[object]] = [[""], ["printed [arcmin²]"], ["ours [arcmin²]"], ["difference [%]"]]
    with open(data / "logs" / "0802710101_mos_per_ccd.csv", encoding="ascii") as handle:
        for printed in csv.DictReader(handle):
            instrument = f"EMOS{printed['inst'][1]}"
            camera = CameraGeometry.from_calibration(cal, instrument, 6.26e8)
            plate = cal.misc(instrument, "PLATE_SCALE_X") * cal.misc(instrument, "PLATE_SCALE_Y") / 3600
            ours = camera.fov_mask(int(printed["ccd"])).sum() * plate
            real = float(printed["fov_area_arcmin2"])
            first = printed["ccd"] == "1"
            cells = (
                f"{NAMES[instrument]} 1" if first else printed["ccd"],
                f"{real:.3f}",
                f"{ours:.3f}",
                signed(100 * (ours / real - 1)),
            )
            for line, cell in zip(rows, cells, strict=True):
                line.append(cell)
    return rows


class Areas(NamedTuple):
    """Effective areas [cm2] of a camera at energies [eV]: real and ours."""

    energy: FloatArray
    real: FloatArray
    ours: FloatArray

    def ratio(self, edges: FloatArray) -> FloatArray:
        """Ours to the real one in bins of energy."""
        bins = [(self.energy >= a) & (self.energy < b) for a, b in pairwise(edges)]
        return np.array([self.ours[here].mean() / self.real[here].mean() for here in bins])


def effective_areas(cal: Calibration, data: Path) -> dict[str, Areas]:
    """Area at the place of real spectra, and their ARFs."""
    found = {}
    for instrument, name in NAMES.items():
        simulated = CAMERAS[CODES[instrument]]
        camera = CameraGeometry.from_calibration(cal, instrument, 4.5e8)
        detx, dety = camera.sky_to_det(*SPECTRUM[instrument], *OBSERVED)
        theta, phi = camera.det_to_tel(detx, dety)
        ccd, _, _ = camera.det_to_raw(detx, dety)
        with fits.open(data / "arf_spectra_ngc7793" / f"{name.upper()}.arf.gz") as hdus:
            rows = hdus["SPECRESP"].data
            low, high, real = (np.asarray(rows[c], float) for c in ("ENERG_LO", "ENERG_HI", "SPECRESP"))
        energy = (low + high) * 500
        ours = response.effective_area(
            cal, instrument, energy, theta / 60, filter_name="Medium", ccd=ccd, phi_rad=phi
        ) * optics.encircled_fraction(simulated, energy, theta / 60, 40.0)
        if instrument == "EPN":  # that spectrum holds singles and doubles only
            ours *= simulated.pattern_fractions(energy)[:, :2].sum(axis=1)
        found[name] = Areas(energy, real, ours)
    return found


def table_of_areas(areas: dict[str, Areas]) -> list[list[object]]:
    """Real area, ours, and their ratio in bands."""
    rows: list[list[object]] = [["keV", *(c for name in areas for c in (f"{name} [cm²]", "", ""))]]
    for low, high in pairwise(BANDS_KEV):
        cells = []
        for one in areas.values():
            here = (one.energy >= 1e3 * low) & (one.energy < 1e3 * high)
            real, ours = one.real[here].mean(), one.ours[here].mean()
            cells += [f"{real:.1f}", f"{ours:.1f}", f"{ours / real:.3f}"]
        rows.append([f"{low}–{high}", *cells])
    return rows


def plot_areas(areas: dict[str, Areas]) -> None:
    """Both areas over energy, and their ratio in 40 bins."""
    figure, axes = plt.subplots(2, 1, figsize=(7, 5), sharex=True, height_ratios=(2, 1), layout="constrained")
    edges = np.geomspace(500, 8000, 41)
    for name, one in areas.items():
        used = (one.energy > 300) & (one.energy < 10000)
        (line,) = axes[0].plot(one.energy[used] / 1e3, one.real[used], lw=2.5, alpha=0.4)
        axes[0].plot(one.energy[used] / 1e3, one.ours[used], lw=0.9, color=line.get_color(), label=name)
        ratio = one.ratio(edges)
        axes[1].step(np.sqrt(edges[1:] * edges[:-1]) / 1e3, 100 * (ratio - 1), where="mid", lw=1)
        print(f"{name}: largest difference in 40 bins {100 * np.abs(ratio - 1).max():.1f} %")
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
        print(f"{name}: {mask.sum():,} mask pixels, {outside} ({100 * outside / mask.sum():.2f} %) outside")
        # 0 neither, 1 ours only (bad columns, CCDs switched off), 2 both, 3 mask only.
        shown = np.where(mask, np.where(ours, 2, 3), ours.astype(int))
        axis.imshow(
            shown[::2, ::2], origin="lower", interpolation="nearest", vmin=0, vmax=3,
            cmap=matplotlib.colors.ListedColormap(["white", "#9db8d9", "#33475b", "#d0402b"]),
        )  # fmt: skip
        axis.set(title=name, xticks=[], yticks=[])
    figure.savefig(IMAGES / "outlines.png", dpi=80)


def chip_gaps(cal: Calibration, data: Path) -> list[list[object]]:
    """Gaps between the chips of RGS1 [Angstrom]: channels without exposure in a real spectrum, and ours."""
    with fits.open(data / "rgs_0112880201" / "P0112880201R1S004SRSPEC1003.FTZ") as hdus:
        header, good = hdus["SPECTRUM"].header, hdus["SPECTRUM"].data["QUALITY"] == 0
        first, step = header["TCRVL1"] - header["TCDLT1"] / 2, header["TCDLT1"]
    change = np.diff(np.concatenate([[0], good, [0]]).astype(int))
    begin, end = first + step * np.flatnonzero(change == 1), first + step * np.flatnonzero(change == -1)
    real = [(a, b) for a, b in zip(end[:-1], begin[1:], strict=True) if b - a > 6.5 * step]
    geometry = RgsCalibration(cal, "RGS1").geometry(FIELD_TIME_S)
    ends = []
    for ccd in (9, 8, 6, 5, 4, 3, 2, 1):
        beta, _ = geometry.raw_to_angles(ccd, [0, 1], 0.5, 192.0, ocb=1)
        ends.append(np.sort(m_lambda(header["RGSALPHA"], beta, geometry.gratings.spacing)))
    here = [*pairwise([np.zeros(2), *ends])]
    return [
        ["real", f"0–{begin[0]:.2f}", *(f"{a:.2f}–{b:.2f}" for a, b in real), f"{end[-1]:.2f}–"],
        [
            "here",
            f"0–{here[0][1][0]:.3f}",
            *(f"{a[1]:.3f}–{b[0]:.3f}" for a, b in here[1:]),
            f"{ends[-1][1]:.3f}–",
        ],
    ]


def tables(cal: Calibration, data: Path) -> dict[str, str]:
    """The tables of the page, by the names of their marks."""
    return {
        "coordinates": table(residuals(cal, data)),
        "gaps": table(chip_gaps(cal, data)),
        "fields of view": table(areas_of_view(cal, data)),
        "effective areas": table(table_of_areas(effective_areas(cal, data))),
    }


def calibration(folder: str | Path) -> Calibration:
    """The synthetic calibration set, written into a folder."""
    write_calibration(folder)
    return Calibration.for_observation([folder], "2012-11-01")


def main() -> None:
    """Make everything."""
    data = Path(os.environ.get("DAXA_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not data.is_dir():
        print(f"{data} is absent (set DAXA_TEST_DATA): nothing to compare with, the page stays as it is")
        return
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        cal = calibration(folder)
        text = PAGE.read_text(encoding="utf-8")
        for name, made in tables(cal, data).items():
            before, _, rest = text.partition(f"<!-- {name} -->\n")
            _, end, after = rest.partition(f"<!-- end of {name} -->\n")
            text = f"{before}<!-- {name} -->\n{made}\n{end}{after}"
        PAGE.write_text(text, encoding="utf-8")
        plot_areas(effective_areas(cal, data))
        outlines(cal, data)


if __name__ == "__main__":
    main()
