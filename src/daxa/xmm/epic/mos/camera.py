"""What the steps of the MOS chain share: options, messages, a camera and its CCDs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.ccf.layout import MOS_MODE_IDS
from daxa.xmm.epic.mos.badpix import BadPixels
from daxa.xmm.epic.mos.badpixfind import Search
from daxa.xmm.epic.mos.events import Events
from daxa.xmm.epic.mos.frames import Frames
from daxa.xmm.epic.mos.patterns import PatternLibrary
from daxa.xmm.event.gti import GTI
from daxa.xmm.odf.layout import INSTRUMENTS
from daxa.xmm.odf.modes import ReadoutWindow
from daxa.xmm.odf.odf import Odf, OdfFile, OdfTable
from daxa.xmm.odf.times import TimeCorrelation

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.sky.attitude import Attitude
    from daxa.xmm.sky.geometry import CameraGeometry

#: Bits that disqualify an event for the bad-pixel search and, by default, for the event list.
REJECTION_FLAG = 0x762AA000


@dataclass
class Options:
    """What emchain and emproc let their users choose; ``source``: RA and Dec [deg] for timing mode."""

    randomize_position: bool = True
    randomize_time: bool = True
    randomize_energy: bool = True
    find_bad_pixels: bool = True
    low_energy_search: bool = True
    low_energy_ev: float = 500.0
    use_bad_pixels: bool = True
    reject_rows: bool = True
    max_events_per_row: float = 4.0
    width_next_to_row: int = 10
    keep_silicon: bool = False
    correct_cti: bool = True
    correct_gain: bool = True
    reject_bad_events: bool = True
    rejection_flag: int = REJECTION_FLAG
    apply_ccd_gti: bool = True
    flare_bin_s: float = 52.0
    flare_max_rate: float = 2.0
    min_background_adu: float = 100.0
    source: tuple[float, float] | None = None
    search: Search = field(default_factory=Search)


@dataclass
class Messages:
    """Where a sub-task's lines go: ``info(task, text)``, ``warn(task, code, text)``."""

    info: Callable[[str, str], None] = lambda task, text: None
    warn: Callable[[str, str, str], None] = lambda task, code, text: None


@dataclass
class Camera:
    """Everything that the CCDs of an exposure share."""

    odf: Odf
    instrument: str
    exp_id: str
    submode: str
    cal: Calibration
    geometry: CameraGeometry
    correlation: TimeCorrelation
    attitude: Attitude
    pointing: tuple[float, float, float]
    options: Options
    messages: Messages
    external_gti: GTI | None = None
    library: PatternLibrary = field(init=False)

    def __post_init__(self) -> None:
        self.scope = INSTRUMENTS[self.instrument]
        self.library = PatternLibrary.from_calibration(self.cal, self.scope)
        self.mode_id = MOS_MODE_IDS.get(self.submode, 0)

    def table(self, typeid: str, extname: str) -> Mapping[str, npt.NDArray[Any]]:
        """Table of one of the camera's constituents."""
        return self.cal.constituent(self.scope, typeid).table(extname)

    def misc(self, name: str) -> float:
        """Number of XMM_MISCDATA for this camera."""
        return self.cal.misc(self.scope, name)

    def random(self, ccd: int, node: int, purpose: int) -> np.random.Generator:
        """Generator that gives the same numbers for the same CCD of the same exposure."""
        exposure = (ord(self.exp_id[0]), int(self.exp_id[1:]))
        camera = sum(self.instrument.encode())
        return np.random.default_rng([int(self.odf.obs_id), camera, *exposure, ccd, node, purpose])

    def duty_cycle(self, ccd: int) -> float:
        """Integration time over frame time of a CCD in this mode."""
        table = self.table("MODEPARAM", "MODEPARAM")
        row = np.flatnonzero(table["MODE_ID"] == self.mode_id)
        if not len(row):
            return 1.0
        element = 0 if ccd == 1 else 1
        integration, frame = (float(table[k][row[0]][element]) for k in ("INTEGRATION_T", "FRAME_T"))
        return integration / frame if 0 < integration <= frame else 1.0

    def frame_times(self, ccd: int) -> tuple[float | None, float]:
        """Nominal frame time and delay of the time stamps [s] of a CCD in this mode."""
        table = self.table("TIMECORR", "FRAMETIME")
        row = np.flatnonzero(table["MODE_ID"] == self.mode_id)
        if not len(row):
            self.messages.warn("emframes", "noTimeCorrection", f"no entry for {self.submode}: delay 0")
            return None, 0.0
        element = 0 if ccd == 1 else 1
        return tuple(float(table[n][row[0]][element]) for n in ("FRAME_TIME", "DELAY"))  # type: ignore[return-value]


@dataclass
class Ccd:
    """One CCD and node on its way through the pipeline."""

    number: int
    node: int
    file: OdfFile
    header: OdfTable
    window: ReadoutWindow
    shape: tuple[int, int]
    limits: tuple[int, int, int, int]
    raw: Events
    frames: Frames
    field_of_view: npt.NDArray[np.bool_]
    arcmin2: float
    offsets: tuple[npt.NDArray[Any] | None, npt.NDArray[Any] | None]
    gatti_on: bool
    first: Events
    pixels: BadPixels
    coefficients: npt.NDArray[np.float64]
    pha: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    @property
    def name(self) -> int:
        """Number in merged lists: CCD + 10 node."""
        return self.number + 10 * self.node
