"""Every picture the engine draws: quick looks of images, and the flare screening."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from daxa.xmm.screen.flares import FlareFit


def _figure(width: float, height: float) -> Any:
    # The object interface needs no display and keeps no global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        figure.savefig(temporary, format="png", dpi=110)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def plot_flares(path: Path, fit: FlareFit, time_s: np.ndarray, rate: np.ndarray, title: str) -> None:
    """Light curve with accepted times, and the histogram of rates with its Gaussian.

    Parameters
    ----------
    path
        PNG file to write.
    time_s, rate
        The 1 s light curve of the field of view, s and ct/s.
    """
    from daxa.xmm.screen.flares import gaussian

    figure = _figure(9, 5.4)
    top, bottom = figure.subplots(2, 1)
    hours = (time_s - time_s[0]) / 1000.0
    top.plot(hours, fit.smoothed, color="0.65", lw=0.8, label="rejected")
    top.plot(hours, np.where(fit.good, fit.smoothed, np.nan), color="C0", lw=1.0, label="accepted")
    top.axhspan(fit.low, fit.high, color="C0", alpha=0.12)
    top.set(xlabel="time since the start [ks]", ylabel="rate [ct/s]", title=title)
    top.set_yscale("symlog", linthresh=max(fit.high, 0.1))
    top.legend(loc="upper right", fontsize="small")
    shown = fit.histogram.rate < fit.centre + 12 * fit.sigma
    x = fit.histogram.rate[shown]
    bottom.step(x, fit.histogram.counts[shown], where="mid", color="0.3", lw=1.0)
    bottom.plot(x, gaussian(x, fit.norm, fit.centre, fit.sigma), color="C3", lw=1.2)
    for edge in (fit.low, fit.high):
        bottom.axvline(edge, color="C0", ls="--", lw=0.9)
    bottom.set(
        xlabel="rate [ct/s]",
        ylabel="samples",
        title=f"centre {fit.centre:.3f}, sigma {fit.sigma:.3f} ct/s",
    )
    _save(figure, path)


def plot_sky_image(
    path: Path,
    image: np.ndarray,
    header: Any,
    title: str,
    *,
    unit: str = "counts",
    smooth_pixels: float = 1.0,
) -> None:
    """A sky image with its coordinate grid.

    Parameters
    ----------
    path
        PNG file to write.
    image : (ny, nx) array
        The image; NaN and pixels outside the field are left blank.
    header
        FITS header with the celestial WCS.
    smooth_pixels
        Gaussian sigma of the smoothing, in pixels; 0 for none.
    """
    from astropy.visualization import AsinhStretch, ImageNormalize
    from astropy.wcs import WCS
    from scipy.ndimage import gaussian_filter

    data = np.nan_to_num(np.asarray(image, float))
    if smooth_pixels:
        data = gaussian_filter(data, smooth_pixels)
    positive = data[data > 0]
    top = float(np.percentile(positive, 99.7)) if positive.size else 1.0
    figure = _figure(7.2, 6.4)
    axes = figure.add_subplot(projection=WCS(header, naxis=2))
    shown = axes.imshow(
        np.where(data > 0, data, np.nan),
        origin="lower",
        cmap="inferno",
        norm=ImageNormalize(vmin=0, vmax=top, stretch=AsinhStretch(0.03)),
        interpolation="nearest",
    )
    axes.set_facecolor("black")
    axes.grid(color="white", alpha=0.2, ls=":")
    axes.set(xlabel="right ascension (FK5)", ylabel="declination", title=title)
    figure.colorbar(shown, ax=axes, label=unit, shrink=0.85)
    _save(figure, path)
