"""The raw event list of one pn CCD, from frames to rejected noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.event.gti import GTI
from daxa.xmm.instruments.pn.badpixels import BadPixel
from daxa.xmm.instruments.pn.patterns import Patterns


@dataclass
class RawList:
    """The raw events of one CCD.

    Attributes
    ----------
    ccd
        CCD number, 1 to 12.
    time_s, stamp_s, fraction
        Per frame, empty ones included: centre of the integration, time stamp (mission time), live
        fraction by lost columns. In fast modes the centre is that of the source's photons.
    good
        Per frame: whether it lies in the good times.
    gti
        Good times.
    frame, rawx, rawy, pha, flag
        Per pixel, in order of (frame, column, row): row of its frame, column, row (fast modes: line
        + 1), amplitude without the extra offset of its column, FLAG bits known so far.
    offsets
        Column -> extra offset [adu], where not zero.
    dli_odf, dli_sas
        Lines discarded per column, on board (None: the mode has no such file) and here.
    counters
        Counter records of the quadrant (PNAUX2) with their times; empty columns if there are none.
    header
        Keywords of the CCD's extensions.
    n_raw, n_mips
        Rows of the telemetry, and those of them lost with minimum ionising particles.
    off_cor
        Per pixel: what epreject has added to the amplitude before rounding [adu]; None if it has not run.
    """

    ccd: int
    time_s: npt.NDArray[np.float64]
    stamp_s: npt.NDArray[np.float64]
    fraction: npt.NDArray[np.float64]
    good: npt.NDArray[np.bool_]
    gti: GTI
    frame: npt.NDArray[np.int32]
    rawx: npt.NDArray[np.int32]
    rawy: npt.NDArray[np.int32]
    pha: npt.NDArray[np.int32]
    flag: npt.NDArray[np.int32]
    offsets: dict[int, int]
    dli_odf: npt.NDArray[np.int64] | None
    dli_sas: npt.NDArray[np.int64]
    counters: dict[str, npt.NDArray[Any]]
    header: dict[str, Any]
    n_raw: int
    n_mips: int = 0
    off_cor: npt.NDArray[np.float32] | None = None

    @property
    def window(self) -> tuple[int, int, int, int]:
        """RAWX and RAWY of the first pixel that is read out, and size of the window."""
        x0, y0, dx, dy = (int(self.header[f"WINDOW{k}"][0]) for k in ("X0", "Y0", "DX", "DY"))
        return x0, y0, dx, dy


@dataclass(kw_only=True)
class RawCcd(RawList):
    """Raw stage of one CCD: its raw events without bad pixels and faint single ones, and their patterns.

    Attributes
    ----------
    sequence
        Per pixel: PAT_SEQ.
    label, main, size, code, number
        Patterns, see :class:`daxa.xmm.instruments.pn.patterns.Patterns`.
    rows
        First and last row with events.
    badpix
        Bad pixels.
    lowest_ev
        Single pixels below this energy have been left out.
    """

    sequence: npt.NDArray[np.uint8]
    label: npt.NDArray[np.int32]
    main: npt.NDArray[np.int64]
    size: npt.NDArray[np.int32]
    code: npt.NDArray[np.uint8]
    number: npt.NDArray[np.int32]
    rows: tuple[int, int]
    badpix: list[BadPixel]
    lowest_ev: float

    @property
    def patterns(self) -> Patterns:
        """The patterns."""
        return Patterns(self.label, self.main, self.size, self.code, self.number, self.sequence)
