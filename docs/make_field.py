"""The picture of README and of the first page: the field of `daxa demo`, docs/img/field.png.

Run ``python docs/make_field.py FOLDER`` on the folder of ``daxa demo``, ``daxa_demo`` by default.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from matplotlib.colors import AsinhNorm
from PIL import Image
from scipy.ndimage import gaussian_filter

PICTURE = Path(__file__).resolve().parent / "img" / "field.png"
#: Gaussian by which counts and exposure are smoothed [pixels], and least exposure, of the greatest.
WIDTH, LEAST = 1.2, 0.1


def main(folder: Path) -> None:
    """Draw smoothed counts over smoothed exposure, of all cameras and observations."""
    counts, header = fits.getdata(folder / "field_counts.fits", header=True)
    exposure = fits.getdata(folder / "field_exposure.fits")
    seen = exposure > LEAST * exposure.max()
    rate = np.where(seen, gaussian_filter(counts.astype(float), WIDTH), np.nan)
    rate /= np.where(seen, gaussian_filter(exposure.astype(float), WIDTH), 1)
    rate *= 1e6 / (3600**2 * abs(header["CDELT1"] * header["CDELT2"]))  # per arcsec2
    rows, columns = (np.flatnonzero(seen.any(axis)) for axis in (1, 0))
    figure = plt.figure(figsize=(7.2, 6.2), layout="constrained")
    axes = figure.add_subplot(projection=WCS(header))
    norm = AsinhNorm(1.5, 0, np.nanpercentile(rate, 99.9))
    drawn = axes.imshow(rate, norm=norm, cmap="inferno", origin="lower", interpolation="nearest")
    axes.set(xlim=(columns[0] - 9, columns[-1] + 9), ylim=(rows[0] - 9, rows[-1] + 9), facecolor="black")
    axes.set(xlabel="right ascension (FK5)", ylabel="declination")
    bar = figure.colorbar(drawn, ax=axes, shrink=0.85, label="10$^{-6}$ counts/s/arcsec²")
    bar.set_ticks([tick for tick in (0, 1, 3, 10, 30, 100) if tick < norm.vmax])
    drawing = io.BytesIO()
    figure.savefig(drawing, dpi=100)
    few = Image.open(drawing).convert("RGB").quantize(200, method=Image.Quantize.MAXCOVERAGE)
    few.save(PICTURE, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "daxa_demo"))
