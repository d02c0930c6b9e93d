"""A made-up field of two cameras and two bands, with known sources."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daxa.xmm.detect.field import BandImage, Field
from daxa.xmm.response.psf import PointSpread

PIXEL = 4.0
SHAPE = (150, 160)
SPREAD = PointSpread(
    np.array([500.0, 8000.0]), np.array([0.0, 15.0]), np.array([[6.0, 5.0], [5.5, 4.5]]), np.full((2, 2), 1.5)
)
#: Counts per square pixel of background on axis in each image, and share of a source's rate in it.
IMAGES = {
    ("EMOS1", 1): (0.05, 0.2),
    ("EMOS1", 2): (0.03, 0.1),
    ("EPN", 1): (0.15, 0.5),
    ("EPN", 2): (0.1, 0.2),
}
ENERGY = {1: 1000.0, 2: 4000.0}


def off_axis(x: float, y: float) -> float:
    """Angle from the middle [arcmin]."""
    return float(np.hypot(x - 80, y - 75) * PIXEL / 60)


@dataclass
class Made:
    """A field, its sources (x, y, rate summed over the images) and the true backgrounds."""

    field: Field
    sources: list[tuple[float, float, float]]
    backgrounds: list[np.ndarray]


def make(sources, seed: int = 1, extended=None, with_background: bool = False) -> Made:
    """Simulate the images."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)
    radius = np.hypot(x - 80, y - 75)
    exposure = np.where(radius < 72, 10_000.0 * np.exp(-((radius / 90) ** 2)), 0.0)
    images, backgrounds = [], []
    for (instrument, band), (level, share) in IMAGES.items():
        background = level * exposure / 10_000.0
        model = background.copy()
        for sx, sy, rate in sources:
            king = SPREAD.king(ENERGY[band], off_axis(sx, sy))
            model += rate * share * king.on_pixels((x - sx) * PIXEL, (y - sy) * PIXEL, PIXEL) * exposure
        if extended is not None:
            ex, ey, rate, size = extended
            r2 = ((x - ex) ** 2 + (y - ey) ** 2) / size**2
            model += rate * share * (1 + r2) ** -1.5 / (2 * np.pi * size**2) * exposure
        counts = rng.poisson(model).astype(float)
        images.append(
            BandImage(
                instrument, band, ENERGY[band], counts, exposure, exposure > 500.0, SPREAD, off_axis,
                background if with_background else None, ecf=2.0,
            )
        )  # fmt: skip
        backgrounds.append(background)
    return Made(Field(images, PIXEL), list(sources), backgrounds)
