"""The patterns that the MOS on-board software recognises, from the calibration.

Source: EMOSn_PATTERNLIB: per pattern a 5x5 box of roles (1: above threshold, 0: below, 2: either), first
axis along RAWX, second along RAWY, the main pixel in the middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration

#: Number of patterns in imaging modes.
N_PATTERNS = 32
#: Patterns with pixels above threshold at their border: tracks of cosmic rays.
COSMIC_PATTERNS = (30, 31)


@dataclass(frozen=True)
class PatternLibrary:
    """Shapes of the patterns.

    Attributes
    ----------
    roles
        Role of each pixel, shape (32, 5, 5), indices pattern, y, x.
    thresholds_adu
        Event thresholds of the central and of the outer CCDs.
    """

    roles: npt.NDArray[np.int16]
    thresholds_adu: tuple[float, float]

    @classmethod
    def from_calibration(cls, cal: Calibration, scope: str) -> PatternLibrary:
        """Read EMOSn_PATTERNLIB.

        Parameters
        ----------
        cal
            The calibration.
        scope
            ``EMOS1`` or ``EMOS2``.

        Raises
        ------
        TaskError
            A pattern is missing, or has no main pixel.
        """
        constituent = cal.constituent(scope, "PATTERNLIB")
        table = constituent.table("PrimeFullWindow")
        roles = np.full((N_PATTERNS, 5, 5), -1, np.int16)
        numbers = np.asarray(table["PATTERN_ID"], int)
        valid = (numbers >= 0) & (numbers < N_PATTERNS)
        roles[numbers[valid]] = np.asarray(table["PATTERN"]).reshape(-1, 5, 5)[valid]
        if (roles[: COSMIC_PATTERNS[0]] < 0).any() or (roles[: COSMIC_PATTERNS[0], 2, 2] != 1).any():
            raise TaskError(
                "badPatternLibrary", f"{constituent.path.name}: patterns missing or without a main pixel"
            )
        roles[roles < 0] = 2
        roles[:, 2, 2] = 1
        limits = tuple(constituent.number(k, "PrimeFullWindow") for k in ("EDUTHR_I", "EDUTHR_O"))
        return cls(roles, limits)  # type: ignore[arg-type]

    @cached_property
    def n_pixels(self) -> npt.NDArray[np.int64]:
        """Pixels surely above threshold, per pattern."""
        return (self.roles == 1).sum(axis=(1, 2))

    @cached_property
    def offsets(self) -> list[npt.NDArray[np.int64]]:
        """Per pattern the (dx, dy) of its pixels above threshold, the main pixel first; shape (n, 2)."""
        result = []
        for box in self.roles:
            y, x = np.nonzero(box == 1)
            pixels = np.stack([x - 2, y - 2], axis=1)
            main = (pixels == 0).all(axis=1)
            result.append(np.concatenate([pixels[main], pixels[~main]]))
        return result

    @cached_property
    def diagonal(self) -> list[int]:
        """Patterns of two pixels that touch at a corner: two photons rather than one."""
        return [
            p
            for p, pixels in enumerate(self.offsets)
            if p not in COSMIC_PATTERNS and len(pixels) == 2 and (np.abs(pixels[1]) == 1).all()
        ]

    @cached_property
    def by_shape(self) -> dict[frozenset[tuple[int, int]], int]:
        """Pattern number of a set of pixels (relative to the main one); the lowest number wins."""
        shapes: dict[frozenset[tuple[int, int]], int] = {}
        for p, pixels in enumerate(self.offsets):
            if p not in COSMIC_PATTERNS:
                shapes.setdefault(frozenset(map(tuple, pixels.tolist())), p)
        return shapes
