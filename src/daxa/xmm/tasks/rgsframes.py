"""The task rgsframes: make the tables of frames and pixels of one CCD."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.hdus import primary_hdu
from daxa.xmm.fits.schema import make_table
from daxa.xmm.formats import odf as layout
from daxa.xmm.formats.instruments import INSTRUMENTS, RGS
from daxa.xmm.formats.odf_names import OdfName
from daxa.xmm.formats.rgs import EXPOSURE, PIXELS, Arrays, IntArray, RgsFlag
from daxa.xmm.instruments.keywords import exposure_summary, observation_keywords
from daxa.xmm.instruments.rgs import shapes
from daxa.xmm.instruments.rgs.files import write_set
from daxa.xmm.instruments.rgs.frames import (
    Frames,
    build_frames,
    on_board_version,
    repeated,
    two_nodes,
    unwrap_counter,
)
from daxa.xmm.instruments.rgs.options import Rgsframes
from daxa.xmm.parameters import Parameter, Parameters, parameters_of
from daxa.xmm.task import TaskContext, task

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.odf.file import OdfFile
    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.odf.table import OdfTable


#: Columns that make a frame the same as another.
_SAME = (
    "FTCOARSE", "FTFINE", "CCDID", "EOSCOARS", "EOSFINE", "FRMTIME", "SEQINDEX", "NREJECTC", "NACCEPTC",
    "NUPPERC", "NDPP", "NLOSTEVT", "ABORTFLG",
)  # fmt: skip


def _uplinked(cal: Calibration, scope: str, ccd: int) -> list[int]:
    """Number of pixels of each node that are masked on board."""
    badpix = cal.constituent(scope, "BADPIX")
    result = []
    for extname in ("BADPIX", "BADPIX1"):
        rows = badpix.table(extname)
        mine = (rows["CCD_ID"] == ccd) & (rows["UPLINKED"] != 0)
        result.append(int(rows["YEXTENT"][mine].sum()))
    return result


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
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.odf.file import OdfFile
    from daxa.xmm.odf.odf import Odf

    path = ctx.path(p.set)
    name = OdfName.parse(path.name)
    if name is None or name.instrument not in RGS:
        raise TaskError("instIdNotFoundPixels", f"{path.name} is not the name of an event file of the RGS")
    if name.file_type != "SPE":
        raise NotImplementedError(
            f"rgsframes: {path.name}: the layout of high-time-resolution files is not reduced by this engine"
        )
    odf = Odf.from_environment(ctx.env, ctx.cwd)
    cal = Calibration.from_environment(ctx.env, ctx.cwd)
    file = OdfFile(name, path)
    table = file.read(1, layout.RGS_EVENTS)
    auxiliary = odf.one(name.instrument, "AUX", exp_id=name.exp_id)
    frames, sound, number = _frames(ctx, p, odf, auxiliary, table, name)
    pixels, window = _pixels(ctx, cal, table, sound, number, name)
    if p.withmaxrawpixels or p.withmaxrawpixelrate:
        _limit_pixels(frames, pixels["FRAME"], p)
    ctx.info(
        f" Total number of frames flagged bad: {int((~frames.good).sum()):11d} out of a total of "
        f"{len(frames.number):11d}"
    )
    if not frames.good.any():
        ctx.warn("allFramesBad", f"CCD {name.ccd}: no frame is sound, there is no good time")
    _write(ctx, p, odf, cal, name, frames, pixels, window)


def _frames(
    ctx: TaskContext, p: Parameters, odf: Odf, file: OdfFile, table: OdfTable, name: OdfName
) -> tuple[Frames, npt.NDArray[np.bool_], IntArray]:
    """Frames of the CCD; which events are in one; the frame number of every event."""
    from daxa.xmm.odf.times import TimeCorrelation, check_frames, utc_to_tt

    summary = exposure_summary(odf, name.instrument, name.exp_id, ctx.warn)
    ctx.info(f" Observing mode was {summary.mode or 'UNDEFINED'}")
    auxiliary = file.read(1, layout.RGS_AUXILIARY_FRAMES)
    sequence = file.read(2, layout.RGS_AUXILIARY_SEQUENCE)
    if name.ccd not in sequence["CCDID"]:
        raise TaskError("missingCCDinAUX2", f"{sequence.where}: no row of CCD {name.ccd}")
    counter = unwrap_counter(auxiliary["FRAME"])
    mine = np.flatnonzero(auxiliary["CCDID"] == name.ccd)
    if not len(mine):
        raise TaskError("MissingData", f"{auxiliary.where}: no frames of CCD {name.ccd}")
    rows = {n: auxiliary[n][mine] for n in _SAME}
    known = dict(zip(sequence["SEQINDEX"].tolist(), sequence["CCDID"].tolist(), strict=True))
    if any(known.get(i, name.ccd) != name.ccd for i in np.unique(rows["SEQINDEX"]).tolist()):
        raise TaskError(
            "sequenceIndexMismatch", f"{auxiliary.where}: SEQINDEX of CCD {name.ccd} is another CCD's"
        )
    again = repeated(rows, _SAME)
    ctx.info(f" Identified {int(again.sum()):11d} duplicate entries in EXPOSURE table")
    dropped = counter[mine][again]
    order = np.argsort(counter[mine][~again], kind="stable")
    mine = mine[~again][order]
    span = utc_to_tt(summary.start), utc_to_tt(summary.end)
    correlation = TimeCorrelation.from_odf(odf, *span)
    obt = auxiliary["EOSCOARS"] + layout.unsigned(auxiliary["EOSFINE"]) * layout.RGS_FINE_UNIT_S
    end = correlation.obt_to_tt(obt[mine])
    check_frames(end, span, auxiliary.where, correlation.source)
    frames = build_frames(
        counter[mine],
        end,
        *(auxiliary[n][mine] for n in ("SEQINDEX", "NLOSTEVT", "ABORTFLG", "NDPP")),
        nominal_s=_cycle(obt, int((sequence["CCDID"] != 0).sum())),
        min_exposure_s=p.minexposuretime,
    )
    lost = int((frames.n_lost != 0).sum())
    if lost:
        ctx.warn(
            "lostEvents",
            f"{auxiliary.where}: events of {lost} of {len(frames.number)} frames of CCD {name.ccd} were lost "
            "on board (NLOSTEVT); the frames are kept, rates in them are too low",
        )
    short = frames.timedel_s < p.minexposuretime
    n_bad = int((~frames.good & ~short).sum())
    ctx.info(f" {n_bad:12d} frames flagged bad based on instrument bad-condition flags")
    ctx.info(f" {int(short.sum()):12d} frames flagged bad based on minexposuretime")
    number = unwrap_counter(table["FRAME"], int(counter[0]))
    columns = {n: table[n] for n in ("CCDNODE", "RAWX", "RAWY")} | {"FRAME": number}
    twice = repeated(columns, ("FRAME", "CCDNODE", "RAWX", "RAWY"))
    ctx.info(f" Identified {int(twice.sum()):11d} duplicate entries in PIXELS table")
    unlisted = ~np.isin(number, frames.number) & ~np.isin(number, dropped)
    if unlisted.any():
        ctx.warn(
            "MissingFrames", f"{table.where}: {int(unlisted.sum())} events of frames that are not listed"
        )
    return frames, np.isin(number, frames.number) & ~twice, number


def _cycle(readout_s: npt.NDArray[np.float64], slots: int) -> float:
    """Length of a read-out cycle [s], from the read-outs of all CCDs; 0 where there is but one."""
    return float(np.median(np.diff(readout_s))) * slots if len(readout_s) > 1 else 0.0


def _pixels(
    ctx: TaskContext,
    cal: Calibration,
    table: OdfTable,
    sound: npt.NDArray[np.bool_],
    number: IntArray,
    name: OdfName,
) -> tuple[Arrays, dict[str, Any]]:
    """Pixels with coordinates from 1 of the node that reads them, and the window of telemetry."""
    from daxa.xmm.instruments.rgs.geometry import node_shape

    scope = INSTRUMENTS[name.instrument]
    ocb = int(table.keyword("CCDOCB", 3))
    n_columns, n_rows = node_shape(ocb)
    x0, y0, dx, dy = (int(table.keyword(f"WINDOW{k}")) for k in ("X0", "Y0", "DX", "DY"))
    if x0 < 0 or y0 < 0 or x0 + dx > 2 * n_columns or y0 + dy > n_rows:
        raise TaskError("windowSize", f"{table.where}: window {x0, y0, dx, dy} is larger than the chip")
    single = x0 + dx > n_columns
    if single and (table["CCDNODE"][sound] != 0).any():
        raise TaskError(
            "windowSize", f"{table.where}: WINDOWDX={dx} is the window of one node, CCDNODE of two"
        )
    shape, grade = shapes.translate(table["SER"][sound], on_board_version(cal, scope))
    rawx, rawy = (table[n][sound].astype(np.int64) + 1 for n in ("RAWX", "RAWY"))
    node = table["CCDNODE"][sound].astype(np.int64)
    if single:
        ctx.info(" One node reads the whole CCD; columns are counted as if there were two")
        rawx, shape, node = two_nodes(rawx, shape, n_columns)
        # Only the columns that each half has of the window.
        limits = (x0 + 1, n_columns), (2 * n_columns + 1 - x0 - dx, n_columns)
    else:
        limits = ((x0 + 1, x0 + dx),) * 2
    pixels = {
        "FRAME": number[sound],
        "TELX": table["RAWX"][sound],
        "TELY": table["RAWY"][sound],
        "RAWX": rawx,
        "RAWY": rawy,
        "ENERGY": table["ENERGY"][sound],
        "CCDNODE": node,
        "SHAPE": shape,
        "GRADE": grade,
    }
    order = np.argsort(pixels["FRAME"], kind="stable")
    header = {
        "WINDOWX0": (limits[0][0], "first column of node 0"),
        "WINDOWDX": (limits[0][1] - limits[0][0] + 1, "columns of node 0"),
        "WINDX0_1": (limits[1][0], "first column of node 1"),
        "WINDDX_1": (limits[1][1] - limits[1][0] + 1, "columns of node 1"),
        "WINDOWY0": (y0 + 1, "first row"),
        "WINDOWDY": (dy, "rows"),
        "SINGLERO": (int(single), "one node reads the whole CCD"),
        "CCDOCB": (ocb, "on-chip binning"),
    }
    return {n: v[order] for n, v in pixels.items()}, header


def _limit_pixels(frames: Frames, frame: IntArray, p: Parameters) -> None:
    count = np.bincount(np.searchsorted(frames.number, frame), minlength=len(frames.number))
    over = np.zeros(len(count), bool)
    if p.withmaxrawpixels:
        over |= count > p.maxrawpixels
    if p.withmaxrawpixelrate:
        over |= count > p.maxrawpixelrate * frames.timedel_s
    frames.flag[over] |= RgsFlag.IN_BAD_FRAME


def _write(
    ctx: TaskContext,
    p: Parameters,
    odf: Odf,
    cal: Calibration,
    name: OdfName,
    frames: Frames,
    pixels: Arrays,
    window: dict[str, Any],
) -> None:
    from daxa.xmm.instruments.rgs.geometry import node_shape
    from daxa.xmm.sky.attitude import Attitude

    instrument, scope = name.instrument, INSTRUMENTS[name.instrument]
    start = float(frames.time_s[0] - frames.timedel_s[0] / 2)
    stop = float(frames.time_s[-1] + frames.timedel_s[-1] / 2)
    summary = exposure_summary(odf, instrument, name.exp_id, ctx.warn)
    pointing = tuple(float(v) for v in Attitude.from_odf(odf).at(0.5 * (start + stop)))
    cards = observation_keywords(
        odf, instrument, name.exp_id, data_mode="SPECTROSCOPY", submode=summary.mode or "UNDEFINED",
        filter_name=None, start_tt_s=start, stop_tt_s=stop, pointing=pointing,  # type: ignore[arg-type]
    )  # fmt: skip
    cards["FILTER"] = ("UNKNOWN", "RGS has only one fixed filter")
    cards |= {"CCDID": (name.ccd, "CCD"), "CCDOCB": window["CCDOCB"], "ORIGIN": ("DAXA", "")}
    cards |= {"TSTART": (start, "[s] start"), "TSTOP": (stop, "[s] end"), "TELAPSE": (stop - start, "[s]")}
    primary = primary_hdu()
    for key, value in cards.items():
        primary.header[key] = value
    from daxa.xmm.event.gti import TIME_KEYWORDS

    common = {n: primary.header[n] for n in ("TELESCOP", "INSTRUME", "OBS_ID", "EXP_ID")} | TIME_KEYWORDS
    common |= {"CCDID": (name.ccd, "CCD")}
    n_columns, n_rows = node_shape(int(window["CCDOCB"][0]))
    exposed = [1 - n / (n_columns * n_rows) for n in _uplinked(cal, scope, name.ccd)]
    n = len(frames.number)
    data = {
        "FRAME": frames.number, "NLOSTEVT": frames.n_lost, "ABORTFLG": frames.abort, "FLAG": frames.flag,
        "TIMEDEL": frames.timedel_s, "TIME": frames.time_s,
        "FRACEXP0": np.full(n, exposed[0]), "FRACEXP1": np.full(n, exposed[1]),
    }  # fmt: skip
    hdus = [
        primary,
        make_table(EXPOSURE, data, "EXPOSURE", common),
        make_table(PIXELS, pixels, "PIXELS", {**common, **window}),
        frames.gti().to_hdu("STDGTI", common),
    ]
    write_set(ctx, p.ccdset, hdus)
