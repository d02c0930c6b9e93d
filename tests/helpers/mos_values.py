"""A MOS CCD, its events and what its steps get, made by hand: no raw files, no calibration."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from daxa.xmm.instruments.mos.badpixels import BadPixels
from daxa.xmm.instruments.mos.context import Messages, StepContext
from daxa.xmm.instruments.mos.events import Events
from daxa.xmm.instruments.mos.exposure import Ccd
from daxa.xmm.instruments.mos.frames import Frames, build_frames
from daxa.xmm.instruments.mos.offsets import OnBoard
from daxa.xmm.instruments.mos.patterns import N_PATTERNS, PatternLibrary
from daxa.xmm.instruments.mos.raw import RawHeader
from daxa.xmm.odf.modes import ReadoutWindow

SHAPE = (600, 600)
#: Size of a pixel [0.05 arcsec].
PIXEL = 22.0
FRAME_S, TRANSFER_S = 2.6, 0.006
COUNTERS = ("NPIXEL", "NVALID", "NBELOW", "NABOVE", "GATTIFLG", "FIFOOVF")
#: Pixels beside the main one: singles, four doubles, one L, one square, four diagonals.
SHAPES = {
    0: [], 1: [(0, 1)], 2: [(1, 0)], 3: [(0, -1)], 4: [(-1, 0)], 5: [(0, 1), (1, 0)],
    9: [(0, 1), (1, 0), (1, 1)], 26: [(1, 1)], 27: [(1, -1)], 28: [(-1, -1)], 29: [(-1, 1)],
}  # fmt: skip


def library() -> PatternLibrary:
    """A pattern library of these shapes."""
    roles = np.full((N_PATTERNS, 5, 5), 2, np.int16)
    roles[:, 2, 2] = 1
    for pattern, pixels in SHAPES.items():
        for x, y in pixels:
            roles[pattern, y + 2, x + 2] = 1
    return PatternLibrary(roles, (25.0, 25.0))


def event_list(n: int, **columns: Any) -> Events:
    """Single events of 500 adu in the middle of the CCD, in the first frame, but for some columns."""
    default = {"rawx": 300, "rawy": 300, "e1": 500}
    values = (columns.get(f.name, default.get(f.name, 0)) for f in fields(Events))
    return Events(*(np.array(np.broadcast_to(v, n), np.int64) for v in values))


def frame_table(number: Any, **counters: Any) -> Frames:
    """Frames with some numbers, at 1000 s and after."""
    number = np.asarray(number)
    every = {name: np.broadcast_to(counters.get(name, 0), len(number)) for name in COUNTERS}
    made, _ = build_frames(
        number, 1000.0 + FRAME_S * number, every, header_frame_s=FRAME_S, transfer_s=TRANSFER_S
    )
    return made


def ccd_of(events: Events, frames: Frames | None = None, **changes: Any) -> Ccd:
    """CCD 2 in full window, of 3 eV per adu."""
    ccd = Ccd(
        number=2, node=0, file_type="IME",
        header=RawHeader("raw", {}, ReadoutWindow(0, 0, 610, 602), None, (None, None)),
        shape=SHAPE, limits=(1, 600, 1, 600), raw=events,
        frames=frame_table(np.arange(1, 101)) if frames is None else frames,
        arcmin2=120.0, offsets=OnBoard(), gatti_on=False, coefficients=np.tile([0.0, 3.0, 0.0], (4, 1)),
        threshold_adu=25.0, limits_adu=(0.0, 4095.0), known=BadPixels(SHAPE), found=BadPixels(SHAPE),
    )  # fmt: skip
    return replace(ccd, **changes)


def bad_pixels(*places: tuple[int, int, int], origin: int = 2, shape: tuple[int, int] = SHAPE) -> BadPixels:
    """Bad pixels: RAWX, RAWY and kind of each."""
    pixels = BadPixels(shape)
    for x, y, kind in places:
        pixels.add_stretches([x], [y], [1], kind, origin)
    return pixels


class FlatCamera:
    """A camera of one CCD whose middle is DET (0, 0); its field of view is a circle."""

    radius = 12_000.0

    @staticmethod
    def raw_to_det(ccd: Any, x: Any, y: Any, node: Any = 0) -> tuple[Any, Any]:
        return (np.asarray(x) - 300.5) * PIXEL, (np.asarray(y) - 300.5) * PIXEL

    def in_fov(self, detx: Any, dety: Any) -> Any:
        return np.hypot(detx, dety) < self.radius


@dataclass
class Said:
    """What a step has said."""

    lines: list[str] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)

    def count(self, text: str) -> int:
        """The number before a text in the lines."""
        (line,) = (line for line in self.lines if line.endswith(text))
        return int(line.split()[0])


def context() -> tuple[StepContext, Said]:
    """What a step gets, and what it will have said."""
    said = Said()
    messages = Messages(
        info=lambda task, text: said.lines.append(text),
        warn=lambda task, code, text: said.warnings.append((code, text)),
    )
    made = StepContext(library(), FlatCamera(), np.random.default_rng, messages)  # type: ignore[arg-type]
    return made, said
