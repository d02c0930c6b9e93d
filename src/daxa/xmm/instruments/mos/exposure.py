"""An opened MOS exposure: camera, mode, clock, pointing, keywords, and what is known of each CCD."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.formats.instruments import INSTRUMENTS, MOS_MODE_IDS
from daxa.xmm.formats.odf import OBTFINE_UNIT_S
from daxa.xmm.instruments import seeds
from daxa.xmm.instruments.keywords import Cards, exposure_summary, observation_keywords
from daxa.xmm.instruments.mos.badpixels import BadPixels
from daxa.xmm.instruments.mos.context import Messages, StepContext
from daxa.xmm.instruments.mos.events import Events
from daxa.xmm.instruments.mos.frames import Frames
from daxa.xmm.instruments.mos.offsets import LineOffsets, OnBoard
from daxa.xmm.instruments.mos.options import Options
from daxa.xmm.instruments.mos.patterns import PatternLibrary
from daxa.xmm.instruments.mos.raw import RawHeader
from daxa.xmm.odf.odf import Odf
from daxa.xmm.odf.times import TimeCorrelation
from daxa.xmm.task import TaskContext

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.formats.summary import ExposureSummary
    from daxa.xmm.sky.attitude import Attitude
    from daxa.xmm.sky.geometry import CameraGeometry

#: Calibration data of this mode stand in for those of a mode that is not known.
DEFAULT_MODE = "PrimeFullWindow"


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
    #: On-board time of the reset that stamps of frames count from.
    clock_reset_s: float
    external_gti: GTI | None = None
    filter: str | None = None
    library: PatternLibrary = field(init=False)

    def __post_init__(self) -> None:
        self.scope = INSTRUMENTS[self.instrument]
        self.library = PatternLibrary.from_calibration(self.cal, self.scope)
        self.mode_id = MOS_MODE_IDS.get(self.submode, MOS_MODE_IDS[DEFAULT_MODE])

    def table(self, typeid: str, extname: str) -> Mapping[str, npt.NDArray[Any]]:
        """Table of one of the camera's constituents.

        Parameters
        ----------
        typeid
            Type of the constituent, e.g. ``CTI``.
        extname
            Name of the table.
        """
        return self.cal.constituent(self.scope, typeid).table(extname)

    def of_mode(self, table: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.bool_]:
        """Rows of a calibration table that are of the exposure's mode.

        Parameters
        ----------
        table
            Columns of the table, with MODE_ID.
        """
        return np.asarray(table["MODE_ID"]) == self.mode_id

    def misc(self, name: str) -> float:
        """Number of XMM_MISCDATA for this camera.

        Parameters
        ----------
        name
            Name of the number.
        """
        return self.cal.misc(self.scope, name)

    def random(self, ccd: int, node: int, purpose: int) -> np.random.Generator:
        """Generator that gives the same numbers for the same CCD of the same exposure.

        Parameters
        ----------
        ccd
            Number of the CCD.
        node
            Read-out node, 0 or 1.
        purpose
            What the numbers are for, see :mod:`daxa.xmm.instruments.seeds`.
        """
        return seeds.mos(self.odf.obs_id, self.instrument, self.exp_id, ccd, node, purpose)

    def context(self, ccd: int, node: int) -> StepContext:
        """What the steps of a CCD get.

        Parameters
        ----------
        ccd
            Number of the CCD.
        node
            Read-out node, 0 or 1.
        """

        def random(purpose: int) -> np.random.Generator:
            return self.random(ccd, node, purpose)

        return StepContext(self.library, self.geometry, random, self.messages)


@dataclass
class Calibrated:
    """Events of a CCD after emevents, and emenergy; arrays of one length.

    Attributes
    ----------
    events
        What was sent, flagged.
    time_s, detx, dety
        Mission time; place in the camera [0.05 arcsec].
    pha, pi
        Amplitude [adu] and energy [eV], made by emenergy.
    wrong
        Lines whose offset on board was found to be wrong.
    """

    events: Events
    time_s: npt.NDArray[np.float64]
    detx: npt.NDArray[np.float64]
    dety: npt.NDArray[np.float64]
    wrong: LineOffsets
    pha: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    pi: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))


@dataclass
class Ccd:
    """One CCD and node on its way through the chain.

    The redundant node counts columns from the other side of the CCD, and everything here is in the
    coordinates of the node.

    Attributes
    ----------
    file_type, header
        IME, RIE or TIE; what the header of the event table says.
    limits
        First and last RAWX, first and last RAWY that are read.
    raw, frames
        Events as sent, and the frame table (emframes).
    arcmin2
        Area in the field of view that is read.
    offsets
        Offsets used on board.
    coefficients
        Gain, see :func:`~daxa.xmm.instruments.mos.energy.gain_coefficients`.
    threshold_adu, limits_adu
        Least amplitude of a pixel of an event; least and greatest sum of E1 and E2 that was sent.
    known, found
        Bad pixels of the calibration and the on-board table; those that embadpixfind found.
    first
        Events of the pass before the search for bad pixels.
    """

    number: int
    node: int
    file_type: str
    header: RawHeader
    shape: tuple[int, int]
    limits: tuple[int, int, int, int]
    raw: Events
    frames: Frames
    arcmin2: float
    offsets: OnBoard
    gatti_on: bool
    coefficients: npt.NDArray[np.float64]
    threshold_adu: float
    limits_adu: tuple[float, float]
    known: BadPixels
    found: BadPixels
    first: Calibrated | None = None
    #: Columns of the event table as they were sent, and the number of the frame of each row, -1 if it is not
    #: listed: for the file of emframes.
    rows: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    row_frame: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    #: Last column that this node reads, if the other one reads the rest of the CCD.
    node_limit: int | None = None

    @property
    def name(self) -> int:
        """Number in merged lists: CCD + 10 node."""
        return self.number + 10 * self.node

    @property
    def lines(self) -> LineOffsets:
        """Lines whose offset on board is not the usual one."""
        return LineOffsets.beyond_usual(self.offsets.column, self.offsets.row, self.offsets.beside)


def messages_of(ctx: TaskContext) -> Messages:
    """Messages of sub-tasks as lines of a task's log.

    Parameters
    ----------
    ctx
        The running task.
    """

    def info(task_name: str, text: str) -> None:
        (replace(ctx, name=f"{ctx.name}::{task_name}") if task_name else ctx).info(text)

    def warn(task_name: str, code: str, text: str) -> None:
        name = ctx.name if task_name in ("", "emchain") else f"{ctx.name}::{task_name}"
        replace(ctx, name=name).warn(code, text)

    return Messages(info, warn)


def open_camera(
    ctx: TaskContext,
    odf: Odf,
    cal: Calibration,
    instrument: str,
    exp_id: str,
    options: Options,
    pointing: tuple[float, float, float],
    external_gti: GTI | None = None,
) -> Camera:
    """Everything that the CCDs of an exposure share.

    Parameters
    ----------
    ctx
        The running task.
    odf
        The opened ODF.
    cal
        The calibration.
    instrument, exp_id
        ``M1``, ``S001``.
    options
        Options of the chain.
    pointing
        RA, Dec and position angle [deg].
    external_gti
        Good times besides those of the frames.
    """
    from daxa.xmm.odf.times import TimeCorrelation, utc_to_tt
    from daxa.xmm.sky.attitude import Attitude
    from daxa.xmm.sky.geometry import CameraGeometry

    cal.refuse(odf)
    summary = exposure_summary(odf, instrument, exp_id, ctx.warn, cal)
    submode = summary.mode or "UNDEFINED"
    if submode == "UNDEFINED":
        submode = _submode(ctx, odf, cal, instrument, exp_id)
    if submode not in MOS_MODE_IDS:
        what = "the windows belong to no known mode" if submode == "UNDEFINED" else f"no known mode {submode}"
        ctx.warn(
            "UnknownInstrumentMode",
            f"{instrument} {exp_id}: {what}; calibration data of {DEFAULT_MODE} are used",
        )
    start, stop = utc_to_tt(summary.start), utc_to_tt(summary.end)
    correlation = TimeCorrelation.from_odf(odf)
    geometry = CameraGeometry.from_calibration(cal, INSTRUMENTS[instrument], 0.5 * (start + stop))
    return Camera(
        odf, instrument, exp_id, submode, cal, geometry, correlation, Attitude.from_odf(odf), pointing,
        options, messages_of(ctx), clock_reset(ctx, odf, summary, instrument, correlation), external_gti,
        summary.filter,
    )  # fmt: skip


def clock_reset(
    ctx: TaskContext, odf: Odf, summary: ExposureSummary, instrument: str, correlation: TimeCorrelation
) -> float:
    """On-board time of the reset of the camera's clock: by the summary, else by the raw files.

    Parameters
    ----------
    ctx
        The running task.
    odf
        The opened ODF.
    summary
        What is known of the exposure.
    instrument
        ``M1`` or ``M2``.
    correlation
        Relation of the clocks.
    """
    from daxa.xmm.formats.summary import CLOCK_RESET, CLOCK_RESET_FINE
    from daxa.xmm.odf.resets import is_plausible, mos_clock_reset
    from daxa.xmm.odf.times import utc_to_tt

    span = utc_to_tt(summary.start), utc_to_tt(summary.end)
    name = f"{instrument} {summary.exp_id}"
    values = [summary.parameters.get(key, ("",))[0] for key in (CLOCK_RESET, CLOCK_RESET_FINE)]
    try:
        told = float(values[0]) + float(values[1]) * OBTFINE_UNIT_S
    except ValueError:
        told = None
    if told is not None:
        start_obt = correlation.tt_to_obt(span[0])
        if is_plausible(told, start_obt):
            if CLOCK_RESET in summary.assumed:
                ctx.warn(
                    "noClockReset",
                    f"{name}: the reset of the clock in the summary is assumed, {start_obt - told:.1f} s "
                    f"before DATE-OBS; {summary.assumed[CLOCK_RESET]}",
                )
            return told
        ctx.warn(
            "noClockReset",
            f"{name}: the summary has the reset of the clock at {told:.0f} s on board, "
            f"{start_obt - told:.0f} s before DATE-OBS; it is not used",
        )
    reset = mos_clock_reset(odf, instrument, summary.exp_id, span, correlation)
    if reset.doubt:
        ctx.warn("noClockReset", f"{name}: {reset.doubt}")
    return reset.obt_s


def exposure_keywords(
    camera: Camera, data_mode: str, span: tuple[float, float], average: bool = False
) -> Cards:
    """Keywords of an exposure's products; ``span``: start and stop of the data, mission time.

    Parameters
    ----------
    camera
        The exposure.
    data_mode
        DATAMODE.
    span
        The times.
    average
        Whether the pointing is the mean rather than the median.
    """
    return observation_keywords(
        camera.odf,
        camera.instrument,
        camera.exp_id,
        data_mode=data_mode,
        submode=camera.submode,
        filter_name=camera.filter,
        start_tt_s=span[0],
        stop_tt_s=span[1],
        pointing=camera.pointing,
        correlation=camera.correlation,
        average=average,
    )


def _submode(ctx: TaskContext, odf: Odf, cal: Calibration, instrument: str, exp_id: str) -> str:
    """Mode of an exposure that the summary calls undefined."""
    from daxa.xmm.odf.modes import ReadoutWindow, mos_mode, windows_by_ccd
    from daxa.xmm.odf.mos_clock import central_frame_time

    types, windows, frame_time = {}, [], None
    for file in odf.science_files(instrument, exp_id):
        try:
            primary, header = file.headers()
            window = ReadoutWindow.from_header(ChainMap(header, primary))
            if file.name.ccd == 1:
                frame_time = central_frame_time(odf, instrument, exp_id, header, file.path.name)
        except TaskError as error:
            # Reported when its turn comes; the mode is that of the files that can be read.
            ctx.warn(error.code, error.message)
            continue
        types[file.name.ccd] = file.name.file_type
        windows.append((file.name.ccd, window))
    table = cal.constituent(INSTRUMENTS[instrument], "MODEPARAM").table("MODEPARAM")
    frame_ms = None if frame_time is None else 1000 * frame_time
    mode = mos_mode(types, windows_by_ccd(windows), frame_ms, table)
    return mode or "UNDEFINED"
