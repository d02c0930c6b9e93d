"""Light curves of a source, corrected for what the camera has lost of it.

Sources: manual of epiclccorr, its log on a real observation (order of the steps, how curves are compared,
names of what is written), and a real corrected curve of twelve CCDs, in which ``RATE * FRACEXP * TIMEDEL`` is
a whole number, that of the events, in each of 2375 bins.

Parameters
----------
path
    File of a curve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import FitsFile, Hdu
from daxa.xmm.fits.schema import Column, Table, column, name_of_column, table
from daxa.xmm.select import dss
from daxa.xmm.select.dss import DataSubspace
from daxa.xmm.spectra.ogip import opened

FloatArray = npt.NDArray[np.float64]
RATE = "RATE"
#: Starts of bins that differ by less are equal [bins].
_SAME = 1e-3


@dataclass(frozen=True)
class Curve:
    """Events of a region in equal bins of time.

    Attributes
    ----------
    path
        Its file.
    start_s, width_s
        Start of the first bin [mission time] and length of each [s].
    counts, error
        Events in each bin and their error, shape (bins,).
    subspace
        What was selected.
    file, header
        The opened file and the header of its table.
    """

    path: Path
    start_s: float
    width_s: float
    counts: FloatArray
    error: FloatArray
    subspace: DataSubspace
    file: FitsFile
    header: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> Curve:
        """From a curve of evselect.

        Raises
        ------
        TaskError
            ``noFile``, ``notFits``: there is none. ``badRateSet``: it holds no table RATE with equal bins and
            the column RATE or COUNTS, or is corrected already.
        """
        file = opened(path)
        if RATE not in file:
            raise TaskError("badRateSet", f"{path}: no extension {RATE}")
        hdu = file[RATE]
        header = hdu.header
        if header.get("DEADAPP") is True or str(header.get("DEADAPP")).strip() == "T":
            raise TaskError("badRateSet", f"{path}[{RATE}]: DEADAPP is T: this curve is corrected already")
        width = _number(path, header, "TIMEDEL")
        if not width > 0:
            raise TaskError("badRateSet", f"{path}[{RATE}]: TIMEDEL is {width:g}, not a length of bins in s")
        counts, error = _counts(path, hdu, width)
        return cls(path, _start(path, hdu, width), width, counts, error, dss.read(file, header), file, header)

    @property
    def edges_s(self) -> FloatArray:
        """Edges of the bins [mission time], shape (bins + 1,)."""
        edges: FloatArray = self.start_s + self.width_s * np.arange(len(self.counts) + 1, dtype=float)
        return edges

    @property
    def stop_s(self) -> float:
        """End of the last bin [mission time]."""
        return float(self.edges_s[-1])

    def must_match(self, other: Curve) -> None:
        """Check that another curve has the same bins.

        Parameters
        ----------
        other
            The other one, that of the background.

        Raises
        ------
        TaskError
            ``differentBins``: start, length or number of its bins differ.
        """
        if (
            abs(self.start_s - other.start_s) <= _SAME * self.width_s
            and len(self.counts) == len(other.counts)
            and abs(self.width_s - other.width_s) * len(self.counts) <= _SAME * self.width_s
        ):
            return
        said = [
            f"{c.path.name}: {c.start_s:.6f} to {c.stop_s:.6f} s, {len(c.counts)} bins of {c.width_s:g} s"
            for c in (self, other)
        ]
        raise TaskError(
            "differentBins",
            f"source and background need equal start, stop and bins ({'; '.join(said)}): make both with the "
            "same timemin, timemax and timebinsize",
        )


def _number(path: Path, header: Mapping[str, Any], key: str) -> float:
    try:
        return float(header[key])
    except KeyError:
        raise TaskError("badRateSet", f"{path}[{RATE}]: no keyword {key}") from None
    except (TypeError, ValueError):
        raise TaskError("badRateSet", f"{path}[{RATE}]: {key} is {header[key]!r}, not a number") from None


def _start(path: Path, hdu: Hdu, width: float) -> float:
    """Start of the first bin: from TIME, whose values are middles of bins, or TSTART."""
    if name_of_column(hdu.columns, "TIME") is None or not hdu.rows:
        return _number(path, hdu.header, "TSTART")
    time = np.asarray(column(hdu, "TIME", str(path)), float)
    if len(time) > 1 and not np.all(np.abs(np.diff(time) - width) < _SAME * width):
        raise TaskError(
            "badRateSet", f"{path}[{RATE}]: values of TIME do not follow one another by TIMEDEL = {width:g} s"
        )
    return float(time[0]) - 0.5 * width


def _counts(path: Path, hdu: Hdu, width: float) -> tuple[FloatArray, FloatArray]:
    """Events in each bin and their error."""
    names = [n for n in ("COUNTS", "RATE", "ERROR") if name_of_column(hdu.columns, n) is not None]
    if "COUNTS" in names:
        counts = np.asarray(column(hdu, "COUNTS", str(path)), float)
    elif "RATE" in names:
        counts = np.asarray(column(hdu, "RATE", str(path)), float) * width
    else:
        raise TaskError("badRateSet", f"{path}[{RATE}]: no column RATE or COUNTS")
    error: FloatArray = np.sqrt(np.maximum(counts, 0.0))
    if "ERROR" in names and "COUNTS" not in names:
        error = np.asarray(column(hdu, "ERROR", str(path)), float) * width
    return counts, error


@dataclass(frozen=True)
class Background:
    """Events beside a source.

    Attributes
    ----------
    counts, error
        Events in each bin and their error, shape (bins,).
    live
        Live share of each bin, shape (bins,).
    scale
        Area of the source's region over that of the background's.
    """

    counts: FloatArray
    error: FloatArray
    live: FloatArray
    scale: float


def live_share(shares: Mapping[int, float], live: Mapping[int, FloatArray]) -> FloatArray:
    """Live share of each bin for light that falls on several CCDs.

    Parameters
    ----------
    shares
        How much of the light each CCD sees; the sum need not be 1.
    live
        Live share of each bin of each CCD, shape (bins,).

    Returns
    -------
    array
        Shape (bins,): the mean over CCDs, weighted with their light. Events over it are the most probable
        number of events without loss, also where a CCD sees nothing.

    Examples
    --------
    >>> live_share({1: 3.0, 2: 1.0}, {1: np.array([1.0, 0.0]), 2: np.array([0.6, 1.0])}).tolist()
    [0.9, 0.25]
    """
    total = sum(shares.values())
    result = np.zeros(len(next(iter(live.values()))))
    for ccd, share in shares.items():
        result += share / total * live[ccd]
    return result


def corrected_columns(
    counts: FloatArray,
    error: FloatArray,
    width_s: float,
    live: FloatArray,
    background: Background | None = None,
    factor: float = 1.0,
) -> dict[str, FloatArray]:
    """Rates without what is lost in time, without background, and as on the axis.

    Parameters
    ----------
    counts, error
        Events in each bin and their error, shape (bins,).
    width_s
        Length of a bin [s].
    live
        Live share of each bin, shape (bins,).
    background
        What is taken away; None: nothing.
    factor
        Rate on the axis over the rate in the region.

    Returns
    -------
    dict
        RATE, ERROR [count/s], FRACEXP and, with a background, BACKV and BACKE: the background that is taken
        away and its error, on the scale of RATE. Bins without live time (of the background, too) have NaN.

    Examples
    --------
    >>> corrected_columns(np.array([8.0]), np.array([3.0]), 10.0, np.array([0.8]))["RATE"].tolist()
    [1.0]
    """

    def rates(values: FloatArray, share: FloatArray, scale: float) -> FloatArray:
        out = np.full(len(values), np.nan)
        return np.divide(values * scale, width_s * share, out=out, where=share > 0)

    rate, sigma = (rates(v, live, factor) for v in (counts, error))
    columns = {"RATE": rate, "ERROR": sigma, "FRACEXP": live}
    if background is not None:
        scale = background.scale * factor
        value, spread = (rates(v, background.live, scale) for v in (background.counts, background.error))
        columns |= {"RATE": rate - value, "ERROR": np.hypot(sigma, spread), "BACKV": value, "BACKE": spread}
    return columns


def axis_factor(
    counts: FloatArray, seen_cm2: FloatArray, on_axis_cm2: FloatArray, smallest: float = 1e-3
) -> float:
    """Rate on the axis with all light over the rate in a region.

    Parameters
    ----------
    counts
        Spectrum of the source in the region, shape (energies,).
    seen_cm2, on_axis_cm2
        Area for the source in the region, and that on the axis without losses, shape (energies,).
    smallest
        Energies at which the region sees a smaller part of the area on the axis do not count.

    Returns
    -------
    float
        The mean of the ratio of the areas, weighted with the spectrum: each event stands for as many as the
        axis would have seen. NaN if nothing can be said.

    Examples
    --------
    >>> axis_factor(np.array([1.0, 3.0]), np.array([50.0, 40.0]), np.array([100.0, 80.0]))
    2.0
    """
    known = (seen_cm2 > smallest * on_axis_cm2) & (on_axis_cm2 > 0)
    total = float(counts[known].sum())
    if not total > 0:
        return float("nan")
    return float((counts[known] * on_axis_cm2[known] / seen_cm2[known]).sum() / total)


def rate_table(start_s: float, width_s: float, columns: Mapping[str, FloatArray]) -> Table:
    """The table RATE of a corrected curve.

    Parameters
    ----------
    start_s, width_s
        Start of the first bin [mission time] and length of each [s].
    columns
        Those of :func:`corrected_columns`.
    """
    units = {"FRACEXP": ""}
    schema = [Column("TIME", "D", "s"), *(Column(n, "E", units.get(n, "count/s")) for n in columns)]
    middle = start_s + width_s * (np.arange(len(columns["RATE"])) + 0.5)
    return table(schema, {"TIME": middle, **columns}, RATE)
