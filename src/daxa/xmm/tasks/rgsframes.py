"""The task rgsframes: make the tables of frames and pixels of one CCD."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import TIME_KEYWORDS
from daxa.xmm.fits.hdus import primary_hdu
from daxa.xmm.fits.schema import make_table
from daxa.xmm.formats.instruments import INSTRUMENTS, RGS
from daxa.xmm.formats.odf_names import OdfName
from daxa.xmm.formats.rgs import EXPOSURE, PIXELS
from daxa.xmm.instruments.keywords import exposure_summary, observation_keywords
from daxa.xmm.instruments.rgs.calibration import RgsCalibration
from daxa.xmm.instruments.rgs.files import write_set
from daxa.xmm.instruments.rgs.geometry import node_shape
from daxa.xmm.instruments.rgs.options import Rgsframes
from daxa.xmm.instruments.rgs.raw import Readouts, Telemetry
from daxa.xmm.instruments.rgs.steps.rgsframes import FramesAndPixels
from daxa.xmm.instruments.rgs.steps.rgsframes import rgsframes as frames_and_pixels
from daxa.xmm.parameters import Parameter, Parameters, options_of, parameters_of
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import open_calibration

if TYPE_CHECKING:
    from daxa.xmm.formats.summary import ExposureSummary
    from daxa.xmm.odf.odf import Odf


@task(
    "rgsframes",
    "3.19",
    [
        Parameter("set", "dataset", required=True, text="raw events of one CCD (SPE)"),
        Parameter("ccdset", "dataset", "ccd.ds", text="file of the CCD to write"),
        *parameters_of(Rgsframes),
    ],
)
def rgsframes(ctx: TaskContext, p: Parameters) -> None:
    """Make the tables of frames and pixels of one CCD."""
    from daxa.xmm.odf.file import OdfFile
    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.odf.times import TimeCorrelation, utc_to_tt

    path = ctx.path(p.set)
    name = OdfName.parse(path.name)
    if name is None or name.instrument not in RGS:
        raise TaskError("instIdNotFoundPixels", f"{path.name} is not the name of an event file of the RGS")
    if name.file_type != "SPE":
        raise NotImplementedError(
            f"rgsframes: {path.name}: the layout of high-time-resolution files is not reduced by this engine"
        )
    odf = Odf.from_environment(ctx.env, ctx.cwd)
    calibration = RgsCalibration(open_calibration(ctx), INSTRUMENTS[name.instrument])
    telemetry = Telemetry.read(OdfFile(name, path))
    auxiliary = odf.one(name.instrument, "AUX", exp_id=name.exp_id)
    summary = exposure_summary(odf, name.instrument, name.exp_id, ctx.warn)
    ctx.info(f" Observing mode was {summary.mode or 'UNDEFINED'}")
    readouts = Readouts.read(auxiliary, name.ccd)
    span_s = utc_to_tt(summary.start), utc_to_tt(summary.end)
    found = frames_and_pixels(
        name.ccd,
        telemetry,
        readouts,
        TimeCorrelation.from_odf(odf, *span_s),
        span_s,
        calibration.on_board_version,
        options_of(Rgsframes, p),
        ctx.warn,
        ctx.info,
    )
    _write(ctx, p, odf, name, summary, found, calibration.masked_on_board(name.ccd))


def _write(
    ctx: TaskContext,
    p: Parameters,
    odf: Odf,
    name: OdfName,
    summary: ExposureSummary,
    found: FramesAndPixels,
    masked: tuple[int, int],
) -> None:
    """Write the data set of the CCD; ``masked``: pixels of each node that are masked on board."""
    from daxa.xmm.sky.attitude import Attitude

    instrument, frames = name.instrument, found.frames
    start = float(frames.time_s[0] - frames.timedel_s[0] / 2)
    stop = float(frames.time_s[-1] + frames.timedel_s[-1] / 2)
    pointing = tuple(float(v) for v in Attitude.from_odf(odf).at(0.5 * (start + stop)))
    cards = observation_keywords(
        odf, instrument, name.exp_id, data_mode="SPECTROSCOPY", submode=summary.mode or "UNDEFINED",
        filter_name=None, start_tt_s=start, stop_tt_s=stop, pointing=pointing,  # type: ignore[arg-type]
    )  # fmt: skip
    cards["FILTER"] = ("UNKNOWN", "RGS has only one fixed filter")
    cards |= {"CCDID": (name.ccd, "CCD"), "CCDOCB": found.window["CCDOCB"], "ORIGIN": ("DAXA", "")}
    cards |= {"TSTART": (start, "[s] start"), "TSTOP": (stop, "[s] end"), "TELAPSE": (stop - start, "[s]")}
    primary = primary_hdu()
    for key, value in cards.items():
        primary.header[key] = value
    common = {n: primary.header[n] for n in ("TELESCOP", "INSTRUME", "OBS_ID", "EXP_ID")} | TIME_KEYWORDS
    common |= {"CCDID": (name.ccd, "CCD")}
    n_columns, n_rows = node_shape(int(found.window["CCDOCB"][0]))
    exposed = [np.full(len(frames.number), 1 - n / (n_columns * n_rows)) for n in masked]
    data = {
        "FRAME": frames.number, "NLOSTEVT": frames.n_lost, "ABORTFLG": frames.abort, "FLAG": frames.flag,
        "TIMEDEL": frames.timedel_s, "TIME": frames.time_s, "FRACEXP0": exposed[0], "FRACEXP1": exposed[1],
    }  # fmt: skip
    hdus = [
        primary,
        make_table(EXPOSURE, data, "EXPOSURE", common),
        make_table(PIXELS, found.pixels, "PIXELS", {**common, **found.window}),
        frames.gti().to_hdu("STDGTI", common),
    ]
    write_set(ctx, p.ccdset, hdus)
