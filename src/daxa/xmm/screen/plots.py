"""The picture of the flare screening."""

from __future__ import annotations

import io
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

    # Margins by hand: finding them means drawing everything twice.
    figure = Figure(figsize=(width, height))
    figure.subplots_adjust(left=0.08, right=0.98, bottom=0.1, top=0.94, hspace=0.5)
    FigureCanvasAgg(figure)
    return figure


def warm_up() -> None:
    """Load fonts, file formats and the reader of formulas, which the first picture of a process waits for."""
    figure = _figure(1, 1)
    figure.subplots().set_title("warm $10^0$")
    figure.savefig(io.BytesIO(), format="png")


def _save(figure: Any, path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        figure.savefig(temporary, format="png", dpi=110)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def plot_flares(path: Path, fit: FlareFit, time_s: np.ndarray, title: str) -> None:
    """Light curve with accepted times, and the histogram of rates with its Gaussian.

    Parameters
    ----------
    path
        PNG file to write.
    fit
        What was found.
    time_s
        Times of the light curve of the field of view [s], 1 s apart.
    title
        Title of the picture.
    """
    quiet = fit.quiet
    figure = _figure(9, 5.4)
    top, bottom = figure.subplots(2, 1)
    time_ks = (time_s - time_s[0]) / 1000.0
    top.plot(time_ks, fit.smoothed, color="0.65", lw=0.8, label="rejected")
    top.plot(time_ks, np.where(fit.good, fit.smoothed, np.nan), color="C0", lw=1.0, label="accepted")
    top.axhspan(fit.low, fit.high, color="C0", alpha=0.12)
    top.set(xlabel="time since the start [ks]", ylabel="rate [ct/s]")
    top.set_yscale("symlog", linthresh=max(fit.high, 0.1))
    top.legend(loc="upper right", fontsize="small")
    shown = fit.histogram.rate < quiet.centre + 12 * quiet.sigma
    x = fit.histogram.rate[shown]
    bottom.step(x, fit.histogram.counts[shown], where="mid", color="0.3", lw=1.0)
    bottom.plot(x, quiet(x), color="C3", lw=1.2)
    for edge in (fit.low, fit.high):
        bottom.axvline(edge, color="C0", ls="--", lw=0.9)
    bottom.set(
        xlabel="rate [ct/s]",
        ylabel="samples",
    )
    # A place of their own: to find it out, all labels would have to be laid out once more.
    top.set_title(title, y=1.0)
    bottom.set_title(f"centre {quiet.centre:.3f}, sigma {quiet.sigma:.3f} ct/s", y=1.0)
    _save(figure, path)
