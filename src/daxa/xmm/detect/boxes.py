"""Boxes that hold more counts than their surroundings, or than a background map, explain.

Source: manual of eboxdetect (algorithm; boxes of 3 or 5 pixels, pixels doubled from run to run, background
from the frame around the box or from a map; likelihoods of all images combined). Where the background is that
of the frame, the chance is that of the counts in both, so that few counts in the frame do not pass for little
background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter, uniform_filter

from daxa.xmm.detect import likelihood
from daxa.xmm.detect.field import BandImage, Field

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Box:
    """A detection.

    Attributes
    ----------
    x, y
        Its middle, weighted by the counts above the background [0-based pixel].
    side
        Side of the box [pixel].
    likelihood
        Of all images together.
    of_image
        For each image: likelihood, counts in the box, background in it, mean exposure [s].
    """

    x: float
    y: float
    side: float
    likelihood: float
    of_image: tuple[tuple[float, float, float, float], ...]


def find_boxes(
    field: Field, least: float, *, side: int = 5, runs: int = 3, with_background: bool = False
) -> list[Box]:
    """Search all images together for boxes with an excess of counts.

    Parameters
    ----------
    field
        The images.
    least
        Least likelihood of a detection.
    side
        Side of the box [pixel], 3 or 5.
    runs
        How often the search is made; pixels are twice as large each time.
    with_background
        Compare with the background maps of the images instead of the frame about each box.

    Returns
    -------
    list
        The most likely first. Of several detections of the same counts the most likely one is kept.
    """
    found: list[Box] = []
    for run in range(runs):
        factor = 2**run
        images = [_Rebinned.of(image, factor, with_background) for image in field.images]
        found += _one_run(images, least, side, factor)
    return _distinct(found)


@dataclass(frozen=True)
class _Rebinned:
    """Sums over larger pixels: counts, background (or none), exposure of good pixels."""

    counts: FloatArray
    background: FloatArray | None
    exposure: FloatArray

    @classmethod
    def of(cls, image: BandImage, factor: int, with_background: bool) -> _Rebinned:
        def rebin(values: FloatArray) -> FloatArray:
            ny, nx = values.shape
            padded = np.pad(values, ((0, -ny % factor), (0, -nx % factor)))
            ny, nx = padded.shape
            return padded.reshape(ny // factor, factor, nx // factor, factor).sum(axis=(1, 3))

        background = None
        if with_background:
            if image.background is None:
                raise ValueError(f"{image.instrument} band {image.band}: no background map")
            background = rebin(np.where(image.good, image.background, 0.0))
        return cls(
            rebin(np.where(image.good, image.counts, 0.0)),
            background,
            rebin(np.where(image.good, image.exposure, 0.0)),
        )

    def excess(self, side: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Of the box about each pixel: likelihood, counts, background expected in it, exposure.

        The background is NaN where the image has seen nothing.
        """
        counts, exposure = np.rint(_sums(self.counts, side)), _sums(self.exposure, side)
        likelihoods = np.zeros(counts.shape)
        if self.background is not None:
            expected = _sums(self.background, side)
            seen = (self.exposure > 0) & (expected > 0)
            likelihoods[seen] = -likelihood.log_chance(counts[seen], expected[seen])
            return likelihoods, counts, np.where(seen, expected, np.nan), exposure
        # The frame is two pixels wide: 9 x 9 about 5 x 5, 7 x 7 about 3 x 3.
        frame = np.rint(_sums(self.counts, side + 4)) - counts
        around = _sums(self.exposure, side + 4) - exposure
        seen = (self.exposure > 0) & (around > 0.1 * exposure)
        ratio = exposure[seen] / around[seen]
        chance = likelihood.log_chance_of_excess(counts[seen], frame[seen], ratio / (1 + ratio))
        likelihoods[seen] = -chance
        expected = np.full(counts.shape, np.nan)
        expected[seen] = frame[seen] * ratio
        return likelihoods, counts, expected, exposure


def _sums(values: FloatArray, side: int) -> FloatArray:
    return uniform_filter(values, side, mode="constant") * side**2


def _one_run(images: Sequence[_Rebinned], least: float, side: int, factor: int) -> list[Box]:
    parts = [image.excess(side) for image in images]
    total = np.sum([likelihoods for likelihoods, *_ in parts], axis=0)
    number = np.sum([np.isfinite(expected) for _, _, expected, _ in parts], axis=0)
    combined = likelihood.of_boxes(total, number)
    peaks = (combined >= least) & (combined == maximum_filter(combined, side))
    boxes = []
    for row, column in np.argwhere(peaks):
        x, y = _middle(images, parts, row, column, side)
        of_image = tuple(
            (
                float(k[row, column]),
                float(n[row, column]),
                float(b[row, column]),
                float(e[row, column]) / (side * factor) ** 2,
            )
            for k, n, b, e in parts
        )
        boxes.append(
            Box(
                (x + 0.5) * factor - 0.5,
                (y + 0.5) * factor - 0.5,
                float(side * factor),
                float(combined[row, column]),
                of_image,
            )
        )
    return boxes


def _middle(
    images: Sequence[_Rebinned], parts: Sequence, row: int, column: int, side: int
) -> tuple[float, float]:
    """Middle of the counts above the background in the box about a pixel."""
    half = side // 2
    rows = slice(max(row - half, 0), row + half + 1)
    columns = slice(max(column - half, 0), column + half + 1)
    above = sum(
        image.counts[rows, columns] - np.nan_to_num(expected[row, column]) / side**2
        for image, (_, _, expected, _) in zip(images, parts, strict=True)
    )
    weight = np.maximum(np.asarray(above), 0.0)
    if weight.sum() <= 0:
        return float(column), float(row)
    y, x = np.mgrid[rows, columns][:, : weight.shape[0], : weight.shape[1]]
    return float((x * weight).sum() / weight.sum()), float((y * weight).sum() / weight.sum())


def _distinct(boxes: list[Box]) -> list[Box]:
    """The most likely of those that have the same counts: whose middle lies in a smaller one's box."""
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda b: -b.likelihood):
        if all(max(abs(box.x - other.x), abs(box.y - other.y)) > box.side / 2 for other in kept):
            kept.append(box)
    return kept
