"""The files between the sub-tasks of the MOS chain: frames, events of one CCD, bad pixels, images.

Source: output sections of the manuals of emframes, emevents, badpix, embadpixfind and emeventsproj.

Parameters
----------
path
    The file.
code
    Code of the error.
camera
    The exposure.
ccd
    The CCD with its events and frames.
cards
    Keywords of the extension.
table
    The table of the file.
pixels
    The bad pixels; None where they were not searched.
shape
    Columns and rows of the CCD.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import TIME_KEYWORDS
from daxa.xmm.event.parts import as_cards
from daxa.xmm.fits.hdus import is_primary, open_hdus, primary_hdu, write_hdus
from daxa.xmm.fits.schema import columns, make_table
from daxa.xmm.formats.eventlist import (
    BADPIX_COLUMNS,
    EVENT_COLUMNS,
    EXPOSURE_COLUMNS,
    OFFSETS_COLUMNS,
    RAW_COLUMNS,
)
from daxa.xmm.formats.flags import flag_keywords
from daxa.xmm.formats.odf import DATATYPES, MOS_IMAGING, MOS_REDUCED_IMAGING
from daxa.xmm.instruments.badpixels import CALIBRATION, DEAD, FLICKERING, FOUND, HOT, ONBOARD
from daxa.xmm.instruments.keywords import Cards
from daxa.xmm.instruments.mos import badpixels as bp
from daxa.xmm.instruments.mos.calibration import layout_of, make_ccd
from daxa.xmm.instruments.mos.content import ccd_keywords, step_keywords
from daxa.xmm.instruments.mos.events import Events
from daxa.xmm.instruments.mos.exposure import Calibrated, Camera, Ccd, exposure_keywords
from daxa.xmm.instruments.mos.frames import Frames
from daxa.xmm.instruments.mos.offsets import LineOffsets
from daxa.xmm.instruments.mos.options import Options
from daxa.xmm.instruments.mos.raw import RawHeader, raw_events
from daxa.xmm.notes import note_product
from daxa.xmm.odf.table import OdfTable
from daxa.xmm.task import TaskContext

if TYPE_CHECKING:
    from daxa.xmm.fits.hdus import BinTableHDU, Header, PrimaryHDU

#: The frame file (documented names, but for TIMEDEL), as exact as in memory, so that what reads it makes the
#: same of it as the chain.
FRAME_COLUMNS = columns("""
FRAME 1J COUNTER
TIME 1D s
FLAG 1I
NPIXEL 1J pixel
NVALID 1J count
NBELOW 1J count
NABOVE 1J count
GATTIFLG 1B
FIFOOVF 1B
GATTIVAL 1I
CRRATIO 1D
TIMEDEL 1D s
""")
#: What the frame file says of all frames.
_FRAME_KEYWORDS = ("FRMTIM_S", "TRANSF_S", "STEADY", "JOINED", "COUNTING", "GATTI_ON")
_WINDOW = ("WINDOWX0", "WINDOWY0", "WINDOWDX", "WINDOWDY")
_COUNTERS = ("NPIXEL", "NVALID", "NBELOW", "NABOVE", "GATTIFLG", "FIFOOVF")
_ORIGINS, _KINDS = (ONBOARD, CALIBRATION, FOUND), (HOT, DEAD, FLICKERING)
#: Types of bad pixels of SAS's lists that ours do not have: pinhole, unspecified.
_AS_HOT = (4, 5)
#: Columns of a CCD's events after emevents: those of the final list but CCDNR, and the raw ones.
CCD_EVENT_COLUMNS = (*(c for c in EVENT_COLUMNS["EMOS", "IMAGING"] if c.name != "CCDNR"), *RAW_COLUMNS)


def read_table(path: str | os.PathLike[str], extension: str, code: str) -> OdfTable:
    """A table of a file.

    Parameters
    ----------
    extension
        Name of the extension.

    Raises
    ------
    TaskError
        ``code``: there is no such file or extension.
    """
    try:
        with open_hdus(path, memmap=False) as hdus:
            table = hdus[extension]
            note_product(hdus[0].header, path, is_list="EVENTS" in hdus)
            names = table.columns.names
            values = {n: np.asarray(table.data[n]) for n in names}
            native = {n: v.astype(v.dtype.newbyteorder("="), copy=True) for n, v in values.items()}
            return OdfTable(
                f"{Path(path).name}[{extension}]", table.header.copy(), hdus[0].header.copy(), native
            )
    except (OSError, KeyError, AttributeError) as error:
        raise TaskError(code, f"{path}: no table {extension}: {error}") from error


def frame_hdu(ccd: Ccd, cards: Cards) -> BinTableHDU:
    """Frame table of a CCD."""
    made = ccd.frames
    data: dict[str, npt.NDArray[Any]] = {name: made.counters[name] for name in _COUNTERS}
    data |= {"FRAME": made.number, "TIME": made.time_s, "FLAG": made.flag, "GATTIVAL": made.gatti}
    data |= {"CRRATIO": made.dead_fraction, "TIMEDEL": made.integration_s}
    more = {
        "FRMTIM_S": (made.length_s, "[s] frame time"),
        "TRANSF_S": (made.transfer_s, "[s] part of a frame that is no integration"),
        "STEADY": (made.steady, "frame time measured"),
        "JOINED": (made.joined, "lost frames whose charge the next one holds"),
        "COUNTING": (made.counting, "most frames are read out and not sent"),
    }
    return make_table(FRAME_COLUMNS, data, "FRAMES", {**cards, **TIME_KEYWORDS, **more})


def gti_hdu(ccd: Ccd, cards: Cards) -> BinTableHDU:
    """Good times of a CCD; TSTART and TSTOP are those of its frames, as in real lists."""
    made = ccd.frames
    span = {
        "TSTART": (float(made.start_s[0]), "[s] start of the first frame"),
        "TSTOP": (float(made.end_s[-1]) + made.transfer_s, "[s] end of the last frame"),
    }
    return made.gti().to_hdu(f"STDGTI{ccd.name:02d}", {**cards, **span})


def read_frames(path: str | os.PathLike[str]) -> tuple[Frames, Header]:
    """Frame table of a file, and its header.

    Raises
    ------
    TaskError
        ``readFrames03``: invalid frame file; ``readFrames01``: its numbers are not regular.
    """
    table = read_table(path, "FRAMES", "readFrames03")
    missing = [f"column {c.name}" for c in FRAME_COLUMNS if c.name not in table.columns]
    missing += [f"keyword {key}" for key in _FRAME_KEYWORDS if key not in table.header]
    if missing:
        raise TaskError("readFrames03", f"{table.where}: no {missing[0]}; expected a file of emframes")
    number = table["FRAME"].astype(np.int64)
    if not len(number) or (np.diff(number) != 1).any():
        raise TaskError("readFrames01", f"{table.where}: frame numbers are not regular")
    frames = Frames(
        number,
        table["TIME"].astype(float),
        float(table.keyword("FRMTIM_S")),
        table["FLAG"].astype(np.int64),
        {name: table[name].astype(np.int64) for name in _COUNTERS},
        table["CRRATIO"].astype(float),
        table["GATTIVAL"].astype(np.int64),
        bool(table.keyword("STEADY")),
        table["TIMEDEL"].astype(float),
        float(table.keyword("TRANSF_S")),
        int(table.keyword("JOINED")),
        bool(table.keyword("COUNTING")),
    )
    return frames, table.header


def raw_event_hdu(ccd: Ccd, cards: Cards) -> BinTableHDU:
    """Events as they were sent, with renumbered frames; those of no listed frame are left out."""
    schema = MOS_REDUCED_IMAGING if ccd.file_type == "RIE" else MOS_IMAGING
    kept = (*_WINDOW, "EDUTHR", "EDUMODE", "DATATYPE", "DATE-OBS")
    sent = as_cards({k: ccd.header.kept[k] for k in kept if k in ccd.header.kept})
    listed = ccd.row_frame >= 0
    data = {c.name: ccd.rows[c.name][listed] for c in schema} | {"FRAME": ccd.row_frame[listed]}
    return make_table(schema, data, "EVENTS", {**cards, **sent})


def event_hdus(
    ccd: Ccd,
    scope: str,
    values: Mapping[str, npt.NDArray[Any]],
    cards: Cards,
    exposure: Mapping[str, npt.NDArray[Any]],
    offsets: Mapping[str, npt.NDArray[Any]],
    pixels: bp.BadPixels | None,
) -> list[BinTableHDU]:
    """EVENTS, EXPOSURE, OFFSETS and BADPIX of one CCD after emevents.

    Parameters
    ----------
    scope
        ``EMOS1`` or ``EMOS2``.
    values
        Columns of EVENTS.
    exposure
        Columns of EXPOSURE.
    offsets
        Columns of OFFSETS.
    """
    macros = {key: (text, comment) for key, text, comment in flag_keywords(scope)}
    # The window as it was sent: what reads this file works it out again.
    window = as_cards({key: ccd.header.kept[key] for key in _WINDOW})
    plain = {**cards, **window, "EMEVENTS": (True, "went through emevents")}
    result = [
        make_table(CCD_EVENT_COLUMNS, values, "EVENTS", {**plain, **TIME_KEYWORDS, **macros}),
        make_table(
            EXPOSURE_COLUMNS["EMOS"], exposure, "EXPOSURE", {**plain, **TIME_KEYWORDS, "TIMEPIXR": (0.5, "")}
        ),
        make_table(
            [c for c in OFFSETS_COLUMNS["EMOS"] if c.name != "CCDNR"], offsets, "OFFSETS", dict(plain)
        ),
    ]
    if pixels is not None:
        result.append(badpix_hdu(pixels, plain))
    return result


def badpix_hdu(pixels: bp.BadPixels, cards: Cards) -> BinTableHDU:
    """Table of bad pixels."""
    return make_table(BADPIX_COLUMNS, pixels.table(), "BADPIX", dict(cards))


def read_badpix(path: str | os.PathLike[str], shape: tuple[int, int], code: str) -> bp.BadPixels:
    """Bad pixels of a file; without BADFLAG they are ones that were found.

    Pinholes and pixels that are bad for a reason that is not given, which our lists do not have, are hot:
    they are masked and their neighbours are flagged (assumed).

    Raises
    ------
    TaskError
        ``code``: there is no such table; ``badBadpix``: there are types or flags that no manual names.
    """
    table = read_table(path, "BADPIX", code)
    result = bp.BadPixels(shape)
    origin = table["BADFLAG"] if "BADFLAG" in table.columns else np.full(len(table), FOUND)
    for name, values, known in (("BADFLAG", origin, _ORIGINS), ("TYPE", table["TYPE"], (*_KINDS, *_AS_HOT))):
        unknown = values[~np.isin(values, known)]
        if len(unknown):
            raise TaskError("badBadpix", f"{table.where}: {name} is {unknown[0]}, expected one of {known}")
    kinds = np.where(np.isin(table["TYPE"], _AS_HOT), HOT, table["TYPE"])
    for flag in _ORIGINS:
        for kind in _KINDS:
            mine = (origin == flag) & (kinds == kind)
            if mine.any():
                rawx, rawy, length = (table[k][mine] for k in ("RAWX", "RAWY", "YEXTENT"))
                result.add_stretches(rawx, rawy, length, kind, flag)
    return result


def write(ctx: TaskContext, name: str, primary: Cards, *hdus: Any) -> None:
    """Write tables, or an image as the first argument, into a file with the keywords of the exposure.

    Parameters
    ----------
    ctx
        The running task.
    name
        Name of the file.
    primary
        Keywords of the exposure.
    *hdus
        The tables, or image and tables.
    """
    first = hdus[0] if hdus and is_primary(hdus[0]) else primary_hdu()
    rest = hdus[1:] if hdus and first is hdus[0] else hdus
    for key, card in primary.items():
        first.header[key] = card
    ctx.provenance(first.header)
    with ctx.output(name) as part:
        write_hdus(part, [first, *rest])


def image_hdu(image: npt.NDArray[Any], cards: Cards) -> PrimaryHDU:
    """Image of a CCD, first pixel RAWX 1, RAWY 1.

    Parameters
    ----------
    image
        The image, indices RAWY - 1, RAWX - 1.
    """
    whole = np.array_equal(image, np.rint(image))
    hdu = primary_hdu(image.astype(np.int32 if whole else np.float32))
    for key, card in cards.items():
        hdu.header[key] = card
    for axis, name in ((1, "RAWX"), (2, "RAWY")):
        hdu.header[f"CTYPE{axis}"] = name
        hdu.header[f"CRPIX{axis}"] = 1.0
        hdu.header[f"CRVAL{axis}"] = 1.0
        hdu.header[f"CDELT{axis}"] = 1.0
    return hdu


def background_image(image: npt.NDArray[np.float64], shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Map of the background with one value per pixel [adu], indices RAWY - 1, RAWX - 1.

    Parameters
    ----------
    image
        The map in cells of several pixels.
    """
    ny, nx = image.shape
    cell = -(-shape[0] // nx), -(-shape[1] // ny)
    return np.repeat(np.repeat(image, cell[1], axis=0), cell[0], axis=1)[: shape[1], : shape[0]]


def plain_keywords(camera: Camera, ccd: Ccd, steps: Sequence[str]) -> Cards:
    """Keywords of the exposure and the CCD for a file that knows nothing of the sky.

    Parameters
    ----------
    steps
        The steps that the CCD has gone through.
    """
    time = ccd.frames.time_s
    primary = exposure_keywords(camera, "IMAGING", (float(time[0]), float(time[-1])))
    pointing = ("RA_PNT", "DEC_PNT", "PA_PNT", "AVRG_PNT")
    return {k: v for k, v in primary.items() if k not in pointing} | ccd_keywords(camera, ccd, steps)


def said_before(table: OdfTable, steps: Sequence[str]) -> Cards:
    """What earlier steps have said in the header of a file.

    Parameters
    ----------
    steps
        These steps.
    """
    header = table.header
    names = step_keywords(Options(), steps)
    return {key: (header[key], header.comments[key]) for key in names if key in header}


def ccd_of_frames(
    camera: Camera, table: OdfTable, name: tuple[int, int], frames: Frames, gatti_on: bool
) -> Ccd:
    """The CCD that emframes left in files.

    Parameters
    ----------
    name
        Number and node of the CCD.
    frames
        Its frames.
    gatti_on
        Whether the sliding scale moves.
    """
    index = table["FRAME"].astype(np.int64) - int(frames.number[0])
    known = (index >= 0) & (index < len(frames))
    if not known.all():
        raise TaskError("getNvalid01", f"{table.where}: frame number outside those of the frame file")
    header = RawHeader.of(table)
    layout = layout_of(camera, header, *name)
    raw, _ = raw_events(table, known, index, layout, camera.library, camera.messages, name[0])
    return make_ccd(camera, header, kind_of(table), name, layout, raw, frames, gatti_on)


def kind_of(table: OdfTable) -> str:
    """Type of the raw file that a table comes from."""
    kinds = {datatype: kind for kind, datatype in DATATYPES.items()}
    return kinds.get(str(table.keyword("DATATYPE", "")).strip(), "IME")


def ccd_of_events(
    camera: Camera, table: OdfTable, number: int, node: int, frame_time_s: npt.NDArray[np.float64]
) -> tuple[Calibrated, Ccd]:
    """Events and CCD that emevents left in a file.

    Parameters
    ----------
    number
        Number of the CCD.
    node
        Read-out node, 0 or 1.
    frame_time_s
        Times of its frames [mission time].
    """
    n = len(table)
    names = ("RAWX", "RAWY", *(f"ENERGYE{k}" for k in (1, 2, 3, 4)), "PATTERN", "PERIPIX", "FLAG")
    values = [table[k].astype(np.int64) for k in names]
    list_ = Events(np.zeros(n, np.int64), *values)
    header = RawHeader.of(table)
    layout = layout_of(camera, header, number, node)
    times = np.asarray(frame_time_s, float)
    # Only its mean time is needed: the frames themselves have done their work.
    length = float(table.keyword("FRMTIME")) / 1000.0
    frames = Frames(np.arange(len(times)), times, length, np.zeros(len(times), np.int64), {})
    gatti_on = bool(table.keyword("GATTI_ON", True))
    ccd = make_ccd(camera, header, kind_of(table), (number, node), layout, list_, frames, gatti_on)
    wrong = LineOffsets.none(ccd.shape)
    for line in str(table.header.get("HISTORY", "")).splitlines():
        if line.startswith("WRONG "):
            _, axis, position, value = line.split()
            (wrong.column if axis == "RAWX" else wrong.row)[int(position) - 1] = int(value)
    detx, dety = (table[k].astype(float) for k in ("DETX", "DETY"))
    return Calibrated(list_, table["TIME"], detx, dety, wrong), ccd
