"""The sub-tasks of the MOS chain as tasks on files: emframes, emevents, emenergy, emeventsproj, embadpixfind.

Names, parameters and defaults are SAS's (log of a real run, SAS 22.1). They work on one imaging CCD and do
what the chain does in memory; ``badpix`` and ``attcalc`` come between them as in SAS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.epic.mos import badpix as bp
from daxa.xmm.epic.mos import files
from daxa.xmm.epic.mos.badpixfind import Search
from daxa.xmm.epic.mos.camera import Calibrated, Camera, Ccd
from daxa.xmm.epic.mos.events import Events
from daxa.xmm.epic.mos.frames import Frames
from daxa.xmm.epic.mos.offsets import LineOffsets
from daxa.xmm.epic.mos.opening import open_camera
from daxa.xmm.epic.mos.options import Badpix, Options, checked, subtask_parameters
from daxa.xmm.epic.mos.patterns import PatternLibrary
from daxa.xmm.epic.mos.pipeline import ccd_exposure, ccd_keywords
from daxa.xmm.epic.mos.reading import Layout, make_ccd, raw_events
from daxa.xmm.epic.mos.reading import emframes as make_frames
from daxa.xmm.epic.mos.subtasks import badpix
from daxa.xmm.epic.mos.subtasks import embadpixfind as search
from daxa.xmm.epic.mos.subtasks import emenergy as measure
from daxa.xmm.epic.mos.subtasks import emevents as analyse
from daxa.xmm.epic.mos.subtasks import emeventsproj as project
from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.formats.instruments import INSTRUMENTS
from daxa.xmm.formats.odf import DATATYPES, MOS_AUXILIARY
from daxa.xmm.formats.odf_names import OdfName
from daxa.xmm.notes import note_product
from daxa.xmm.odf.odf import Odf, OdfFile, OdfTable
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration


#: Keywords that say of which CCD a table of bad pixels is.
_CCD_CARDS = (
    "TELESCOP", "INSTRUME", "OBS_ID", "EXP_ID", "EXPIDSTR", "CCDID", "CCDNODE", "WINDOWX0", "WINDOWY0",
    "WINDOWDX", "WINDOWDY",
)  # fmt: skip


def _own(subtask: str, p: Parameters, name: str) -> dict[str, Any]:
    """Values of the parameters that the sub-task knows."""
    return {q.name: checked(q.name, p[q.name], name) for q in subtask_parameters(subtask) if q.name in p}


def _merged(given: list[Parameter], subtask: str, **defaults: Any) -> list[Parameter]:
    """SAS's other parameters, then those of the sub-task; ``defaults`` where they differ from the chain's."""
    known = {q.name for q in given}
    own = [
        Parameter(q.name, q.kind, defaults.get(q.name, q.default))
        for q in subtask_parameters(subtask)
        if q.name not in known and q.name != "withothernode"
    ]
    return [*given, *own]


def _refuse(name: str, p: Parameters, **only: Any) -> None:
    for parameter, value in only.items():
        if p[parameter] != value:
            text = {True: "yes", False: "no"}.get(value, repr(value))
            raise NotImplementedError(f"{name}: {parameter} must be {text} in the embedded engine")


def _open(ctx: TaskContext, instrument: str, exp_id: str, options: Options, gti: GTI | None = None) -> Camera:
    from daxa.xmm.ccf.calibration import Calibration

    odf = Odf.from_environment(ctx.env, ctx.cwd)
    calibration: Calibration = Calibration.from_environment(ctx.env, ctx.cwd)
    camera = open_camera(ctx, odf, calibration, instrument, exp_id, options, (0.0, 0.0, 0.0), gti)
    # A task prints under its own name.
    camera.messages.info = lambda _, text: ctx.info(text)
    camera.messages.warn = lambda _, code, text: ctx.warn(code, text)
    return camera


def _odf_file(ctx: TaskContext, name: str) -> OdfFile:
    path = ctx.path(name)
    fields = OdfName.parse(path.name)
    if fields is None or not path.is_file():
        raise TaskError("readEvents01", f"{path}: no file of an ODF")
    return OdfFile(fields, path)


def _of_header(table: OdfTable, code: str) -> tuple[str, str, int, int]:
    """Camera, exposure, CCD and node of a file of the chain."""
    try:
        codes = {scope: code for code, scope in INSTRUMENTS.items()}
        camera = codes[str(table.keyword("INSTRUME")).strip()]
        return (
            camera,
            str(table.keyword("EXPIDSTR")),
            int(table.keyword("CCDID")),
            int(table.keyword("CCDNODE")),
        )
    except (KeyError, TaskError) as error:
        raise TaskError(code, f"{table.where}: not of one CCD of EPIC MOS: {error}") from error


@task(
    "emframes",
    "5.11",
    _merged(
        [
            Parameter("auxiliaryset", "dataset", required=True),
            Parameter("frameset", "dataset", "frame.out"),
            Parameter("newframeset", "bool", True),
            Parameter("countingset", "dataset", ""),
            Parameter("withcountingset", "bool", False),
            Parameter("srcra", "real", 0.0),
            Parameter("srcdec", "real", 0.0),
            Parameter("withsrccoords", "bool", False),
            Parameter("checkframes", "bool", True),
            Parameter("ingtiset", "dataset", ""),
            Parameter("outgtiset", "dataset", "ccdgti.out"),
            Parameter("writegtiset", "bool", True),
            Parameter("odfeventset", "dataset", ""),
            Parameter("outeventset", "dataset", ""),
            Parameter("neweventset", "bool", False),
            Parameter("withodfeventset", "bool", False),
        ],
        "emframes",
    ),
)
def emframes(ctx: TaskContext, p: Parameters) -> None:
    """Make the frame table, the good times and the renumbered events of one MOS CCD."""
    _refuse("emframes", p, newframeset=True, withcountingset=False, checkframes=True, withsrccoords=False)
    if not p.odfeventset:
        raise TaskError("getParamValues01", "checkframes=yes and no events file: set odfeventset")
    file = _odf_file(ctx, p.odfeventset)
    name = file.name
    if name.file_type not in ("IME", "RIE"):
        raise NotImplementedError(
            f"emframes: {file.path.name}: only imaging data; others in emchain and emproc"
        )
    gti = None
    if p.ingtiset and p.flagbadtimes:
        try:
            gti = GTI.read(ctx.path(p.ingtiset))
        except (OSError, KeyError) as error:
            ctx.warn("flagHk10", f"{p.ingtiset}: no good-time intervals, FLAG_HK skipped: {error}")
    options = Options()
    options.change("emframes", **_own("emframes", p, "emframes"))
    camera = _open(ctx, name.instrument, name.exp_id, options, gti)
    auxiliary = _odf_file(ctx, p.auxiliaryset).read(1, MOS_AUXILIARY)
    ccd = make_frames(camera, file, auxiliary)
    cards = files.plain_keywords(camera, ccd)
    files.write(ctx, p.frameset, cards, files.frame_hdu(ccd, cards))
    if p.writegtiset:
        files.write(ctx, p.outgtiset, cards, files.gti_hdu(ccd, cards))
    if p.outeventset:
        files.write(ctx, p.outeventset, cards, files.raw_event_hdu(ccd, cards))


@task(
    "emevents",
    "8.9.2",
    _merged(
        [
            Parameter("odfeventset", "dataset", required=True),
            Parameter("eventset", "dataset", "event.out"),
            Parameter("newoutput", "bool", True),
            Parameter("frameset", "dataset", "frame.out"),
            Parameter("gattispecset", "dataset", "gattispec.out"),
            Parameter("writegattispecset", "bool", False),
            Parameter("othereventset", "dataset", ""),
            Parameter("otherframeset", "dataset", ""),
            Parameter("withothernode", "bool", False),
            Parameter("withframeset", "bool", True),
            Parameter("offvarsets", "list", ()),
            Parameter("setcoordinates", "bool", True),
            Parameter("settimes", "bool", True),
            Parameter("blocksize", "int", 10000),
        ],
        "emevents",
    ),
)
def emevents(ctx: TaskContext, p: Parameters) -> None:
    """Flag the events of one MOS CCD, and give them places and times."""
    _refuse(
        "emevents", p, newoutput=True, writegattispecset=False, withothernode=False, withframeset=True,
        setcoordinates=True, settimes=True, offvarsets=[],
    )  # fmt: skip
    if ctx.path(p.eventset) == ctx.path(p.odfeventset):
        raise TaskError("getParamValues03", "output event file name = input events file name")
    table = files.read_table(ctx.path(p.odfeventset), "EVENTS", "openEventsIn02")
    instrument, exp_id, number, node = _of_header(table, "openEventsIn03")
    if table.header.get("EMEVENTS"):
        raise TaskError("getParamValues17", f"{table.where}: already went through emevents")
    options = Options()
    params = _own("emevents", p, "emevents") | {"withothernode": False}
    options.change("emevents", **params)
    camera = _open(ctx, instrument, exp_id, options)
    frames, head = files.read_frames(ctx.path(p.frameset))
    ccd = _restore(camera, table, (number, node), frames, bool(head["GATTI_ON"]))
    pixels = None
    if options.emevents.flagbadpixels:
        try:
            pixels = files.read_badpix(ctx.path(p.odfeventset), ccd.shape, "getParamValues10")
        except TaskError as error:
            ctx.warn(error.code, "flagbadpixels=yes but no bad-pixel extension in the events file: ignored")
    made = analyse(camera, ccd, pixels, options.emevents)
    exposure = ccd_exposure(camera, ccd, frames.gti(), {})
    lines = (ccd.lines + made.wrong).table(ccd.name)
    cards = files.plain_keywords(camera, ccd)
    hdus = files.event_hdus(
        ccd,
        camera.scope,
        files.ccd_columns(made, ccd),
        cards,
        {"TIME": exposure.frame_time_s, "TIMEDEL": exposure.frame_length_s, "FRACEXP": exposure.fraction},
        lines,
        pixels,
    )
    wrong = {"RAWX": ("column", made.wrong.column), "RAWY": ("row", made.wrong.row)}
    for key, (_, values) in wrong.items():
        for line in np.flatnonzero(values):
            hdus[0].header.add_history(f"WRONG {key} {line + 1} {int(values[line])}")
    files.write(ctx, p.eventset, cards, *hdus)


def _restore(camera: Camera, table: OdfTable, name: tuple[int, int], frames: Frames, gatti_on: bool) -> Ccd:
    """The CCD that emframes left in files."""
    index = table["FRAME"].astype(np.int64) - int(frames.number[0])
    known = (index >= 0) & (index < len(frames))
    if not known.all():
        raise TaskError("getNvalid01", f"{table.where}: frame number outside those of the frame file")
    layout = Layout.of(camera, table, *name)
    raw, _ = raw_events(camera, table, known, index, layout)
    return make_ccd(camera, table, _kind(table), name, layout, raw, frames, gatti_on)


def _kind(table: OdfTable) -> str:
    """Type of the raw file that a table comes from."""
    kinds = {datatype: kind for kind, datatype in DATATYPES.items()}
    return kinds.get(str(table.keyword("DATATYPE", "")).strip(), "IME")


@task(
    "emenergy",
    "8.10",
    _merged(
        [
            Parameter("ineventset", "dataset", required=True),
            Parameter("outeventset", "dataset", "events.out"),
            Parameter("newoutput", "bool", False),
            Parameter("backgroundset", "dataset", "bkgccd.map"),
            Parameter("timebin", "real", 100.0),
            Parameter("writebackgroundset", "bool", False),
            Parameter("useccfdarkframe", "bool", False),
            Parameter("maskedccdset", "dataset", ""),
            Parameter("withmaskedccdset", "bool", False),
            Parameter("makepha", "bool", True),
            Parameter("ontimepha", "bool", False),
        ],
        "emenergy",
    ),
)
def emenergy(ctx: TaskContext, p: Parameters) -> None:
    """Measure the amplitudes and energies of the events of one MOS CCD."""
    _refuse("emenergy", p, useccfdarkframe=False, withmaskedccdset=False, makepha=True, ontimepha=False)
    from astropy.io import fits

    path = ctx.path(p.ineventset)
    table = files.read_table(path, "EVENTS", "openEventsIn02")
    instrument, exp_id, number, node = _of_header(table, "openEventsIn03")
    if not table.header.get("EMEVENTS"):
        raise TaskError("openEventsIn02", f"{table.where}: not the output of emevents")
    options = Options()
    options.change("emenergy", **_own("emenergy", p, "emenergy"))
    camera = _open(ctx, instrument, exp_id, options)
    exposure = files.read_table(path, "EXPOSURE", "openEventsIn02")
    made, ccd = _measured(camera, table, number, node, exposure["TIME"])
    try:
        pixels = files.read_badpix(path, ccd.shape, "noBadPixels")
    except TaskError:
        ctx.info(" no BADPIX extension in input event file. Assume no bad pixel in EVFLAG.")
        pixels = None
    image = measure(camera, ccd, made, pixels, options.emenergy)
    columns = files.ccd_columns(made, ccd)
    if p.writebackgroundset:
        hdu = files.image_hdu(files.background_image(image, ccd.shape), ccd_keywords(camera, ccd))
        files.write(ctx, p.backgroundset, {}, hdu)
    with ctx.output(p.outeventset if p.newoutput else p.ineventset) as part, fits.open(path) as hdus:
        copies = fits.HDUList([hdu.copy() for hdu in hdus])
        data = copies["EVENTS"].data
        for name in ("PHA", "PI", "FLAG", "PERIPIX"):
            data[name] = columns[name]
        ctx.provenance(copies[0].header, 1)
        copies.writeto(part)


def _measured(
    camera: Camera, table: OdfTable, number: int, node: int, frame_time_s: npt.NDArray[np.float64]
) -> tuple[Calibrated, Ccd]:
    """Events and CCD that emevents left in a file."""
    n = len(table)
    names = ("RAWX", "RAWY", *(f"ENERGYE{k}" for k in (1, 2, 3, 4)), "PATTERN", "PERIPIX", "FLAG")
    values = [table[k].astype(np.int64) for k in names]
    list_ = Events(np.zeros(n, np.int64), *values)
    layout = Layout.of(camera, table, number, node)
    times = np.asarray(frame_time_s, float)
    # Only its mean time is needed: the frames themselves have done their work.
    length = float(table.keyword("FRMTIME")) / 1000.0
    frames = Frames(np.arange(len(times)), times, length, np.zeros(len(times), np.int64), {})
    gatti_on = bool(table.keyword("GATTI_ON", True))
    ccd = make_ccd(camera, table, _kind(table), (number, node), layout, list_, frames, gatti_on)
    wrong = LineOffsets.none(ccd.shape)
    for line in str(table.header.get("HISTORY", "")).splitlines():
        if line.startswith("WRONG "):
            _, axis, position, value = line.split()
            (wrong.column if axis == "RAWX" else wrong.row)[int(position) - 1] = int(value)
    detx, dety = (table[k].astype(float) for k in ("DETX", "DETY"))
    return Calibrated(list_, table["TIME"], detx, dety, wrong), ccd


@task(
    "emeventsproj",
    "1.6",
    _merged(
        [
            Parameter("eventset", "dataset", required=True),
            Parameter("evimageset", "dataset", "emeventsproj.out"),
            Parameter("ccdnr", "int", 1),
            Parameter("mergedeventlist", "bool", False),
        ],
        "emeventsproj",
    ),
)
def emeventsproj(ctx: TaskContext, p: Parameters) -> None:
    """Make an image of the events of one MOS CCD on all their pixels."""
    table = files.read_table(ctx.path(p.eventset), "EVENTS", "openEventsIn02")
    use = np.ones(len(table), bool)
    ccdnr = p.ccdnr
    if p.mergedeventlist:
        use = table["CCDNR"] == ccdnr
        if p.projectenergy and "ENERGYE1" not in table.columns:
            raise TaskError("badParameter", "projectenergy=yes: the merged list has no ENERGYE1 and ENERGYE2")
    elif "CCDID" in table.header:
        ccdnr = int(table.keyword("CCDID")) + 10 * int(table.keyword("CCDNODE", 0))
    if p.rejectbadevents and "FLAG" not in table.columns:
        raise TaskError("badParameter", "rejectbadevents=yes: the list has no FLAG")
    scope = str(table.keyword("INSTRUME")).strip()
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.sky.geometry import CameraGeometry

    calibration = Calibration.from_environment(ctx.env, ctx.cwd)
    library = PatternLibrary.from_calibration(calibration, scope)
    zero = np.zeros(len(table), np.int64)
    names = ("RAWX", "RAWY", "ENERGYE1", "ENERGYE2", "ENERGYE3", "ENERGYE4", "PATTERN", "PERIPIX", "FLAG")
    values = [table[k].astype(np.int64) if k in table.columns else zero for k in names]
    params = Options().emeventsproj.__class__(**_own("emeventsproj", p, "emeventsproj"))
    shape = CameraGeometry.from_calibration(calibration, scope, 0.0).shape(ccdnr % 10)
    image, clumping = project(shape, Events(zero, *values), use, library, params)
    kept = ("TELESCOP", "INSTRUME", "OBS_ID", "EXP_ID", "EXPIDSTR", "DATE-OBS", "DATE-END")
    window = ("WINDOWX0", "WINDOWY0", "WINDOWDX", "WINDOWDY")
    cards: dict[str, Any] = {}
    for key in (*kept, *window):
        value = table.header.get(key, table.primary.get(key))
        if value is not None:
            cards[key] = value
    cards |= {"CCDID": ccdnr % 10, "CCDNODE": ccdnr // 10, "CLUMPING": (clumping, "counts per event")}
    ctx.info(f" Number of good events in input file: {int(use.sum())}")
    files.write(ctx, p.evimageset, {}, files.image_hdu(image, cards))


@task(
    "embadpixfind",
    "2.8",
    _merged(
        [
            Parameter("evimageset", "dataset", required=True),
            Parameter("badpixset", "dataset", "badpix.out"),
            Parameter("incremental", "bool", False),
        ],
        "embadpixfind",
        includedeadpixels=False,
    ),
)
def embadpixfind(ctx: TaskContext, p: Parameters) -> None:
    """Search an image of emeventsproj for bad pixels."""
    from astropy.io import fits

    path = ctx.path(p.evimageset)
    try:
        with fits.open(path, memmap=False) as hdus:
            header, image = hdus[0].header.copy(), np.asarray(hdus[0].data, float)
            note_product(header, path)
    except (OSError, TypeError, ValueError) as error:
        raise TaskError("openImage01", f"{path}: no image: {error}") from error
    table = OdfTable(path.name, header, header, {})
    instrument, exp_id, number, node = _of_header(table, "openImage01")
    options = Options()
    options.change("embadpixfind", **_own("embadpixfind", p, "embadpixfind"))
    camera = _open(ctx, instrument, exp_id, options)
    ccd = _blank(camera, table, number, node)
    if image.shape != ccd.shape[::-1]:
        raise TaskError("openImage01", f"{path}: {image.shape} pixels, expected {ccd.shape[::-1]}")
    if p.incremental:
        ccd.found = files.read_badpix(ctx.path(p.badpixset), ccd.shape, "openBadpix01").chosen(bp.FOUND)
    params: Search = options.embadpixfind
    search(camera, ccd, image, params, clumping=float(header.get("CLUMPING", 1.0)))
    pixels = ccd.found
    if params.includedeadpixels:
        dead = ccd.known.chosen(bp.ONBOARD, bp.CALIBRATION)
        dead.origin[dead.kind != bp.DEAD], dead.kind[dead.kind != bp.DEAD] = 0, 0
        pixels = dead.merged(pixels)
    cards: Mapping[str, Any] = {k: header[k] for k in _CCD_CARDS if k in header}
    files.write(ctx, p.badpixset, {}, files.badpix_hdu(pixels, cards))
    ctx.info(f" Writing {len(pixels.table()['RAWX']):12d}  rows to {p.badpixset}:BADPIX")


def _blank(camera: Camera, table: OdfTable, number: int, node: int) -> Ccd:
    """A CCD without events."""
    none = np.zeros(0, np.int64)
    frames = Frames(none, none.astype(float), 1.0, none, {})
    layout = Layout.of(camera, table, number, node)
    raw = Events(*(none for _ in range(10)))
    return make_ccd(camera, table, "IME", (number, node), layout, raw, frames, False)


def is_mos(ctx: TaskContext, name: str) -> bool:
    """Whether a file is one of a MOS camera."""
    from astropy.io import fits

    try:
        return str(fits.getheader(ctx.path(name)).get("INSTRUME", "")).startswith("EMOS")
    except OSError:
        return False


def add_bad_pixels(ctx: TaskContext, p: Parameters) -> None:
    """The task badpix for a MOS CCD: add BADPIX to the events that emframes has written."""
    from astropy.io import fits

    path = ctx.path(p.eventset)
    table = files.read_table(path, "EVENTS", "badExtension")
    instrument, exp_id, number, node = _of_header(table, "badExtension")
    if not (p.getuplnkbadpix or p.getotherbadpix or p.getnewbadpix or p.emptyextension):
        raise TaskError("noBadpixModes", "none of getuplnkbadpix, getotherbadpix, getnewbadpix is set")
    ccd = _blank(_open(ctx, instrument, exp_id, Options()), table, number, node)
    if p.getnewbadpix:
        found = files.read_badpix(ctx.path(p.badpixset), ccd.shape, "badExtension")
        ccd.found = found.chosen(bp.FOUND)
    switches = {
        k: p[k] and not p.emptyextension for k in ("getuplnkbadpix", "getotherbadpix", "getnewbadpix")
    }
    pixels = badpix(ccd, Badpix(**switches, windowfilter=p.windowfilter))
    cards = {k: table.header[k] for k in _CCD_CARDS if k in table.header}
    hdu = files.badpix_hdu(pixels, cards)
    ctx.info(f" {len(hdu.data):12d}  final bad pixel sets will be added to BADPIX extension")
    with ctx.output(p.outset if p.withoutset else p.eventset) as part, fits.open(path) as hdus:
        kept = [h.copy() for h in hdus if h.name != "BADPIX"]
        if len(kept) < len(hdus):
            ctx.warn("overwriteBadpix", f"{p.eventset}: its BADPIX is replaced")
        fits.HDUList([*kept, hdu]).writeto(part)
