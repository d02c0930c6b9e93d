"""Opening an exposure of a MOS camera: its mode, clocks, geometry and pointing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from daxa.xmm.epic.keywords import exposure_summary, observation_keywords
from daxa.xmm.epic.mos.camera import Camera, Messages
from daxa.xmm.epic.mos.options import Options
from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.formats.instruments import INSTRUMENTS
from daxa.xmm.formats.odf import OBTFINE_UNIT_S
from daxa.xmm.odf.odf import Odf
from daxa.xmm.task import TaskContext

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.formats.summary import ExposureSummary
    from daxa.xmm.odf.times import TimeCorrelation


def messages_of(ctx: TaskContext) -> Messages:
    """Messages of sub-tasks as lines of a task's log."""

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
    instrument, exp_id
        ``M1``, ``S001``.
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
    """On-board time of the reset of the camera's clock: by the summary, else by the raw files."""
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
) -> dict[str, Any]:
    """Keywords of an exposure's products; ``span``: start and stop of the data, mission time."""
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
        except TaskError as error:
            # Reported when its turn comes; the mode is that of the files that can be read.
            ctx.warn(error.code, error.message)
            continue
        types[file.name.ccd] = file.name.file_type
        windows.append((file.name.ccd, ReadoutWindow.from_header({**dict(primary), **dict(header)})))
        if file.name.ccd == 1:
            frame_time = central_frame_time(odf, instrument, exp_id, header, file.path.name)
    table = cal.constituent(INSTRUMENTS[instrument], "MODEPARAM").table("MODEPARAM")
    frame_ms = None if frame_time is None else 1000 * frame_time
    mode = mos_mode(types, windows_by_ccd(windows), frame_ms, table)
    if mode is None:
        ctx.warn("UnknownInstrumentMode", f"{instrument} {exp_id}: the windows belong to no known mode")
    return mode or "UNDEFINED"
