"""Pictures of sky images, with their coordinates."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np


def sky_image(
    source: str | os.PathLike[str],
    picture: str | os.PathLike[str],
    title: str = "",
    *,
    unit: str = "counts",
    smooth_pixels: float = 1.0,
) -> Path:
    """Draw the image in the primary HDU of a FITS file as a PNG file.

    Parameters
    ----------
    source
        FITS file with a 2-D primary image and a celestial WCS.
    picture
        PNG file to write; replaced as a whole.
    title
        Heading; the file name by default.
    unit
        Label of the colour bar.
    smooth_pixels
        Gaussian sigma of the smoothing, in pixels; 0 for none.

    Raises
    ------
    ValueError
        The file holds no 2-D image.
    """
    from astropy.io import fits

    with fits.open(source) as hdus:
        data, header = hdus[0].data, hdus[0].header
        if data is None or data.ndim != 2:
            raise ValueError(f"{source}: the primary HDU is not a 2-D image")
        figure = _draw(np.asarray(data, float), header, title or Path(source).name, unit, smooth_pixels)
    picture = Path(picture)
    temporary = picture.with_name(f".{picture.name}.{os.getpid()}.part")
    try:
        figure.savefig(temporary, format="png", dpi=100)
        os.replace(temporary, picture)
    finally:
        temporary.unlink(missing_ok=True)
    return picture


def _draw(data: np.ndarray, header: Any, title: str, unit: str, smooth_pixels: float) -> Any:
    from astropy.visualization import AsinhStretch, ImageNormalize
    from astropy.wcs import WCS, FITSFixedWarning
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from scipy.ndimage import gaussian_filter

    with warnings.catch_warnings():
        # RADECSYS, as SAS writes it, is read but thought old-fashioned.
        warnings.simplefilter("ignore", FITSFixedWarning)
        wcs = WCS(header, naxis=2)
    data = np.nan_to_num(data)
    shown = gaussian_filter(data, smooth_pixels) if smooth_pixels else data
    positive = shown[shown > 0]
    top = float(np.percentile(positive, 99.7)) if positive.size else 1.0
    # The object interface needs no display and keeps no global state.
    figure = Figure(figsize=(7.2, 6.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(projection=wcs)
    drawn = axes.imshow(
        np.where(shown > 0, shown, np.nan),
        origin="lower",
        cmap="inferno",
        norm=ImageNormalize(vmin=0, vmax=top, stretch=AsinhStretch(0.05)),
        interpolation="nearest",
    )
    axes.set_facecolor("black")
    axes.grid(color="white", alpha=0.2, ls=":")
    axes.set_title(title, fontsize="medium")
    axes.set_xlabel("right ascension (FK5)")
    axes.set_ylabel("declination")
    _crop(axes, shown)
    figure.colorbar(drawn, ax=axes, label=unit, shrink=0.85)
    return figure


def _crop(axes: Any, shown: np.ndarray) -> None:
    """Leave out the empty margin."""
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    if rows.size and columns.size:
        margin = 5
        axes.set_xlim(columns[0] - margin, columns[-1] + margin)
        axes.set_ylim(rows[0] - margin, rows[-1] + margin)
