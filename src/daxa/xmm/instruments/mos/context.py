"""What a step gets besides its data: patterns, geometry, random numbers, and where its lines go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from daxa.xmm.instruments.mos.patterns import PatternLibrary

if TYPE_CHECKING:
    from daxa.xmm.sky.geometry import CameraGeometry


@dataclass
class Messages:
    """Where a sub-task's lines go: ``info(task, text)``, ``warn(task, code, text)``."""

    info: Callable[[str, str], None] = lambda task, text: None
    warn: Callable[[str, str, str], None] = lambda task, code, text: None

    def lines_of(self, subtask: str) -> Callable[[str], None]:
        """What takes the lines of one sub-task.

        Parameters
        ----------
        subtask
            Its name.
        """
        return lambda text: self.info(subtask, text)


@dataclass(frozen=True)
class StepContext:
    """What the steps of one CCD share.

    Attributes
    ----------
    library, geometry
        Patterns, and where the pixels of the camera are.
    random
        Gives the generator of the CCD's random numbers for a purpose, see :mod:`daxa.xmm.instruments.seeds`.
    messages
        Where lines and warnings go.
    """

    library: PatternLibrary
    geometry: CameraGeometry
    random: Callable[[int], np.random.Generator]
    messages: Messages = field(default_factory=Messages)
