"""Exposure maps of the RGS: seconds per channel of wavelength (or beta) and cross-dispersion angle.

Source: manual of rgsfilter (grouping of frames by drift, format). Each channel is looked up at several places
of its area in the pixels of a node, so that a bad column takes its part of the channels that it touches.

Parameters
----------
header
    Header of the events, with the grids of the channels.
binning
    ``lambda`` or ``beta``: what the channels along the dispersion divide.
node
    Read-out node, 0 or 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.fits.hdus import image_hdu, primary_hdu
from daxa.xmm.formats.rgs import RgsFlag
from daxa.xmm.instruments.rgs.dispersion import diffraction_angle, drift_factor

if TYPE_CHECKING:
    from daxa.xmm.fits.hdus import ImageHDU, PrimaryHDU
    from daxa.xmm.instruments.rgs.geometry import RgsGeometry

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: Places per channel, along and across the dispersion.
_FINE = (5, 3)
#: Exposures below this part of the longest are rounding errors.
_NOTHING = 1.788e-7


@dataclass
class ExposureMap:
    """Part of the grid of channels.

    Attributes
    ----------
    image
        Seconds, shape (cross-dispersion, dispersion).
    first
        Channels of the first pixel, along and across (from 1).
    grids
        Middle of channel 1 and width, along and across.
    names
        Columns that the axes stand for, and their units.
    exposure_s
        Time of the frames.
    """

    image: FloatArray
    first: tuple[int, int]
    grids: tuple[tuple[float, float], tuple[float, float]]
    names: tuple[tuple[str, str], tuple[str, str]]
    exposure_s: float = 0.0

    def add(self, part: ExposureMap) -> None:
        """Add a part of the same grid.

        Parameters
        ----------
        part
            The part.
        """
        rows, columns = part.image.shape
        if not part.image.size:
            return
        x, y = part.first[0] - self.first[0], part.first[1] - self.first[1]
        self.image[y : y + rows, x : x + columns] += part.image
        self.exposure_s = max(self.exposure_s, part.exposure_s)

    def cards(self) -> dict[str, tuple[Any, str]]:
        """Keywords of the axes."""
        result: dict[str, tuple[Any, str]] = {}
        for i, (first, (value, width), (name, unit)) in enumerate(
            zip(self.first, self.grids, self.names, strict=True), start=1
        ):
            result |= {
                f"CTYPE{i}": (name, "axis"),
                f"CUNIT{i}": (unit, "unit"),
                f"CRPIX{i}": (1 - (first - 1), "pixel of channel 1"),
                f"CRVAL{i}": (value, "value there"),
                f"CDELT{i}": (width, "width of a channel"),
            }
        return result | {
            "DATAMAX": (self.exposure_s, "[s] longest exposure"),
            "EXPOSURE": (self.exposure_s, "[s] time of the frames"),
            "BUNIT": ("s", "unit of the image"),
        }

    def to_hdu(self, name: str, header: Mapping[str, Any]) -> ImageHDU:
        """As an extension; without axes if nothing was exposed.

        Parameters
        ----------
        name
            Name of the extension.
        header
            Keywords of the extension.
        """
        if not self.image.size or not self.exposure_s:
            hdu = image_hdu(name=name)
        else:
            hdu = image_hdu(self.image.astype(np.float32), name=name)
            for key, value in self.cards().items():
                hdu.header[key] = value
        for key, value in header.items():
            hdu.header[key] = value
        return hdu

    def to_primary(self) -> PrimaryHDU:
        """As the first image of a file."""
        hdu = primary_hdu(self.image.astype(np.float32))
        for key, value in self.cards().items():
            hdu.header[key] = value
        return hdu


@dataclass(frozen=True)
class NodePixels:
    """Pixels of one node's window whose events are kept: mask (rows, CHIPX), first and last CHIPX."""

    good: BoolArray
    span: tuple[int, int]


def _axes(header: Any, binning: str) -> tuple[list[tuple[float, float, int]], list[tuple[str, str]]]:
    names = {header[f"TTYPE{i}"]: i for i in range(1, header["TFIELDS"] + 1)}
    axes, labels = [], []
    along = ("MLAMBDA_CHANNEL", "M_LAMBDA") if binning == "lambda" else ("BETA_CHANNEL", "BETA_CORR")
    for name, of in (along, ("XDSP_CHANNEL", "XDSP_CORR")):
        i = names[name]
        axes.append((float(header[f"TCRVL{i}"]), float(header[f"TCDLT{i}"]), int(header[f"TLMAX{i}"])))
        labels.append((of, str(header[f"TCUNI{i}"])))
    return axes, labels


def combined_map(header: Any, binning: str) -> ExposureMap:
    """An empty map of all channels."""
    axes, labels = _axes(header, binning)
    (a, da, na), (b, db, nb) = axes
    return ExposureMap(np.zeros((nb, na)), (1, 1), ((a, da), (b, db)), (labels[0], labels[1]))


def node_pixels(
    node: int,
    tables: Sequence[Mapping[str, npt.NDArray[Any]]],
    headers: Sequence[Any],
    mask: int,
) -> NodePixels:
    """Pixels of a node whose events a filter keeps.

    Parameters
    ----------
    tables, headers
        Bad pixels of both nodes, and their headers.
    mask
        Rejected flags.
    """
    from daxa.xmm.instruments.rgs.badpixels import neighbours
    from daxa.xmm.instruments.rgs.geometry import node_shape

    n_columns, n_rows = node_shape(int(headers[node].get("CCDOCB", 3)))
    inside = np.zeros((n_rows, 2 * n_columns), bool)
    bad = np.zeros_like(inside)
    for rows, head in zip(tables, headers, strict=True):
        x0, y0, dx, dy = (int(head[f"WINDOW{k}"]) for k in ("X0", "Y0", "DX", "DY"))
        inside[y0 - 1 : y0 - 1 + dy, x0 - 1 : x0 - 1 + dx] = True
        for x, y, n in zip(rows["CHIPX"], rows["CHIPY"], rows["YEXTENT"], strict=True):
            bad[y - 1 : y - 1 + n, x - 1] = True
    good = inside & ~bad
    if mask & RgsFlag.NEXT_TO_BADPIX:
        good &= ~neighbours(bad, False).any(axis=0)
    if mask & RgsFlag.ON_WINDOW_BORDER:
        good &= neighbours(inside, False).all(axis=0)
    if mask & RgsFlag.ON_NODE_INTERFACE and bool(headers[node].get("ABUTTED", False)):
        good[:, n_columns - 1 : n_columns + 1] = False
    x0, dx = int(headers[node]["WINDOWX0"]), int(headers[node]["WINDOWDX"])
    return NodePixels(good, (x0, x0 + dx - 1))


def drift_groups(along: FloatArray, across: FloatArray, size_arcsec: float) -> npt.NDArray[np.int64]:
    """Number of the group of every frame: frames of a group drifted alike.

    Parameters
    ----------
    along, across
        Drift of each frame [rad], shape (n,).
    size_arcsec
        How far frames of a group may lie apart [arcsec].
    """
    size = np.deg2rad(size_arcsec / 3600)
    cell = np.stack([np.floor(along / size), np.floor(across / size)])
    _, group = np.unique(cell, axis=1, return_inverse=True)
    return np.asarray(group, np.int64).reshape(-1)


def node_map(
    geometry: RgsGeometry,
    ccd: int,
    node: int,
    pixels: NodePixels,
    frames: Mapping[str, npt.NDArray[Any]],
    rejected: Mapping[str, npt.NDArray[Any]],
    header: Any,
    binning: str,
    drift_bin_arcsec: float,
    ocb: int,
) -> ExposureMap:
    """Exposure map of one node.

    Parameters
    ----------
    geometry, ccd, node
        Places on the chips, and which CCD and read-out node the map is of.
    pixels
        Pixels of the node whose events are kept.
    frames
        TIMEDEL, ASPCDSP, ASPCXDSP and FRAME of the frames.
    rejected
        FRAME, CHIPX and CHIPY of pixels that are lost in single frames.
    header
        Header of the events: grids of the channels, RGSALPHA, LINE_SEP, HELIOFAC.
    binning
        ``lambda`` or ``beta``: what the channels along the dispersion are of.
    drift_bin_arcsec
        Frames whose pointings differ by less count as one.
    ocb
        On-chip binning.
    """
    axes, labels = _axes(header, binning)
    grids, names = ((axes[0][0], axes[0][1]), (axes[1][0], axes[1][1])), (labels[0], labels[1])
    total = float(frames["TIMEDEL"].sum())
    empty = ExposureMap(np.zeros((0, 0)), (1, 1), grids, names)
    if not total:
        return empty
    view = _View(geometry, ccd, node, header, binning, ocb)
    low, high = view.dispersion_range(pixels.span)
    first = max(int(np.floor((low - axes[0][0]) / axes[0][1])) - 2, 1)
    last = min(int(np.ceil((high - axes[0][0]) / axes[0][1])) + 4, axes[0][2])
    if last < first:
        return empty
    made = ExposureMap(np.zeros((axes[1][2], last - first + 1)), (first, 1), grids, names, total)
    steps = [(np.arange(n) + 0.5) / n - 0.5 for n in _FINE]
    along = (axes[0][0] + axes[0][1] * (np.arange(first, last + 1)[:, None] - 1 + steps[0])).ravel()
    across = (axes[1][0] + axes[1][1] * (np.arange(axes[1][2])[:, None] + steps[1])).ravel()
    group = drift_groups(frames["ASPCDSP"], frames["ASPCXDSP"], drift_bin_arcsec)
    for number in np.unique(group):
        mine = group == number
        weight = frames["TIMEDEL"][mine].astype(float)
        shift = [float(np.average(frames[n][mine], weights=weight)) for n in ("ASPCDSP", "ASPCXDSP")]
        seen = view.exposed(along, across, shift[0], shift[1], pixels)
        share = seen.reshape(axes[1][2], _FINE[1], last - first + 1, _FINE[0]).mean(axis=(1, 3))
        made.image += weight.sum() * share
    _subtract(made, view, frames, rejected, axes)
    made.image[np.abs(made.image) < _NOTHING * total] = 0.0
    return made


@dataclass(frozen=True)
class _View:
    """From channels to the pixels of a node and back."""

    geometry: RgsGeometry
    ccd: int
    node: int
    header: Any
    binning: str
    ocb: int

    def _beta(self, along: FloatArray) -> FloatArray:
        if self.binning == "beta":
            return along
        stretch = 1 + float(self.header.get("HELIOFAC", 0.0))
        alpha, spacing = float(self.header["RGSALPHA"]), float(self.header["LINE_SEP"])
        return diffraction_angle(alpha, along / stretch, spacing)

    def _along(self, beta: FloatArray) -> FloatArray:
        from daxa.xmm.instruments.rgs.dispersion import m_lambda

        if self.binning == "beta":
            return beta
        stretch = 1 + float(self.header.get("HELIOFAC", 0.0))
        return m_lambda(float(self.header["RGSALPHA"]), beta, float(self.header["LINE_SEP"])) * stretch

    def dispersion_range(self, span: tuple[int, int]) -> tuple[float, float]:
        """Smallest and largest value along the dispersion of a node's columns."""
        ends = np.array([span[0] - 0.5, span[1] + 0.5])
        value = self._along(self._angles(ends, np.full(2, 64.0))[0])
        return float(value.min()), float(value.max())

    def _angles(self, chipx: FloatArray, chipy: FloatArray) -> tuple[FloatArray, FloatArray]:
        from daxa.xmm.instruments.rgs.geometry import node_shape

        rawx = chipx if self.node == 0 else 2 * node_shape(self.ocb)[0] + 1 - chipx
        return self.geometry.raw_to_angles(self.ccd, self.node, rawx, chipy, self.ocb)

    def exposed(
        self, along: FloatArray, across: FloatArray, drift: float, cross_drift: float, pixels: NodePixels
    ) -> BoolArray:
        """Whether places of the channels fall on good pixels, shape (across, along)."""
        corrected = self._beta(along)
        factor = drift_factor(float(self.header["RGSALPHA"]), self.geometry.gratings.f_over_l)
        beta = corrected - factor * drift / np.sin(corrected)
        # Columns are straight across the dispersion; rows follow the tangent of the angle.
        rows = np.array([1.0, 100.0])
        columns = np.arange(pixels.span[0] - 1.0, pixels.span[1] + 2.0)
        beta_of_column, xdsp = self._angles(columns[:, None], rows)
        order = np.argsort(beta_of_column[:, 0])
        chipx = np.interp(beta, beta_of_column[order, 0], columns[order], left=np.nan, right=np.nan)
        tangent = np.tan(xdsp)
        slope = np.interp(beta, beta_of_column[order, 0], ((tangent[:, 1] - tangent[:, 0]) / 99.0)[order])
        start = np.interp(beta, beta_of_column[order, 0], tangent[order, 0])
        chipy = 1.0 + (np.tan(across - cross_drift)[:, None] - start) / slope
        x = np.rint(np.where(np.isfinite(chipx), chipx, 0.0)).astype(np.int64)
        y = np.rint(chipy).astype(np.int64)
        inside = np.isfinite(chipx) & (x >= pixels.span[0]) & (x <= pixels.span[1])
        inside = inside[None, :] & (y >= 1) & (y <= pixels.good.shape[0])
        return (
            inside
            & pixels.good[np.clip(y, 1, pixels.good.shape[0]) - 1, np.clip(x, 1, pixels.good.shape[1]) - 1]
        )

    def channels(self, chipx: FloatArray, chipy: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values along and across the dispersion of pixels, without drift."""
        beta, xdsp = self._angles(chipx, chipy)
        return self._along(beta), xdsp


def _subtract(
    made: ExposureMap,
    view: _View,
    frames: Mapping[str, npt.NDArray[Any]],
    rejected: Mapping[str, npt.NDArray[Any]],
    axes: list[tuple[float, float, int]],
) -> None:
    """Take away single frames of rejected pixels."""
    if not len(rejected["FRAME"]):
        return
    place = np.clip(np.searchsorted(frames["FRAME"], rejected["FRAME"]), 0, len(frames["FRAME"]) - 1)
    known = frames["FRAME"][place] == rejected["FRAME"]
    place, x, y = place[known], rejected["CHIPX"][known].astype(float), rejected["CHIPY"][known].astype(float)
    along, across = view.channels(x, y)
    edge = view.channels(x + 0.5, y + 0.5)
    area = 4 * np.abs((edge[0] - along) / axes[0][1] * (edge[1] - across) / axes[1][1])
    column = np.floor((along - axes[0][0]) / axes[0][1] + 0.5).astype(np.int64) + 1 - made.first[0]
    row = np.floor((across - axes[1][0]) / axes[1][1] + 0.5).astype(np.int64)
    inside = (column >= 0) & (column < made.image.shape[1]) & (row >= 0) & (row < made.image.shape[0])
    np.subtract.at(made.image, (row[inside], column[inside]), (frames["TIMEDEL"][place] * area)[inside])
    np.maximum(made.image, 0.0, out=made.image)
