"""The sub-tasks of the pn chains as tasks on files: epframes, epreject, badpixfind, badpix, epevents,
epexposure.

Source: manuals of these tasks; parameters and defaults as a real run printed them. The chains call the same
functions in memory. Between the tasks stands the raw event list of :mod:`daxa.xmm.epic.pn.rawfile`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.ccf.pn_times import pn_times
from daxa.xmm.epic.pn.badpix import found_bad_pixels
from daxa.xmm.epic.pn.badpixels import (
    DEAD,
    FLICKERING,
    FOUND,
    HOT,
    BadPixel,
    BadPixelMap,
    SearchLimits,
    bad_columns,
    badpix_columns,
    known_bad_pixels,
    merge_bad_pixels,
)
from daxa.xmm.epic.pn.chain import FRAMES, LOWER_THRESHOLD
from daxa.xmm.epic.pn.clock import FAST_MODES, LineClock
from daxa.xmm.epic.pn.energy import EnergyScale
from daxa.xmm.epic.pn.epframes import FrameOptions, frames_of_ccd
from daxa.xmm.epic.pn.epreject import RejectOptions, read_odilist, reject
from daxa.xmm.epic.pn.events import TIME_PURPOSE, EventOptions, detector_events, random_source
from daxa.xmm.epic.pn.exposure import FILE_TYPES, PnExposure
from daxa.xmm.epic.pn.fast import fast_events, source_row
from daxa.xmm.epic.pn.raw import NOISE_PURPOSE, recognise
from daxa.xmm.epic.pn.rawfile import RawFile, read_raw_list, write_raw_list
from daxa.xmm.errors import TaskError
from daxa.xmm.fits.schema import Column, column, make_table
from daxa.xmm.formats.eventlist import BADPIX_COLUMNS, EVENT_COLUMNS
from daxa.xmm.formats.flags import flag_keywords
from daxa.xmm.formats.instruments import PN_MODE_IDS, PN_SHAPE
from daxa.xmm.notes import note_product
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration

_LOWEST_PI = -32768


def _calibration(ctx: TaskContext) -> Calibration:
    from daxa.xmm.ccf.calibration import Calibration

    return Calibration.from_environment(ctx.env, ctx.cwd)


def _start_s(file: RawFile) -> float:
    from daxa.xmm.odf.times import utc_to_tt

    return float(utc_to_tt(str(file.primary["DATE-OBS"])))


def _refuse(p: Parameters, task_name: str, only: dict[str, Any]) -> None:
    """Raise NotImplementedError for a parameter with a value other than the only one that works."""
    for name, value in only.items():
        if p[name] != value:
            raise NotImplementedError(f"{task_name}: {name}={p[name]} is not implemented; only {value} is")


def _parameters(only: dict[str, Any]) -> list[Parameter]:
    kinds = {bool: "bool", int: "int", float: "real"}
    return [Parameter(name, kinds.get(type(value), "string"), value) for name, value in only.items()]


# --- epframes ----------------------------------------------------------------------------------------

#: What has only one value here, that of real chains. Set-up values (f1294 and on) replace missing
#: housekeeping in SAS; here the ODF must have it.
EPFRAMES_ONLY: dict[str, Any] = {
    "withradmon": False, "withfinetime": True, "withfifogti": False, "qualmax": 0, "witheventmap": False,
    "mipdist": False, "mipdiscard": True, "automode": False, "autofilter": False, "odfok": True, "hkok": True,
    "ccfok": True, "withinvalidobt": True, "withallobtgti": True, "guessdeltap": False, "fifogtithresh": 76,
    "nomipthresholdlow": 40, "nomipthresholdhigh": 1600, "softthresholdlow": 20, "softthresholdhigh": 30,
    "f1294": 0, "f1052": 32400, "f1118": "UNKNOWN", "anchop": 0, "ancmloth": 532, "ancmcorr": 512,
    "aneamipsel": 1, "anmaxmip": 63, "anmip": 3512, "ansendmode": "MIP CORREC.2", "ecntempqb1": -9999.9,
    "hcettmpfpf": -89.965, "setupbpx": "nom3", "showccx": False, "showaux": False, "showpmh": False,
    "showpah": False, "showve": False,
}  # fmt: skip


@task(
    "epframes",
    "8.116",
    [
        Parameter("set", "dataset", required=True),
        Parameter("eventset", "dataset", "rawevents.dat"),
        Parameter("gtiset", "dataset", "gti.dat"),
        Parameter("radmonset", "dataset", "radmon.ds"),
        Parameter("eventmapset", "dataset", "eventmap.dat"),
        LOWER_THRESHOLD,
        *FRAMES,
        *_parameters(EPFRAMES_ONLY),
    ],
)
def epframes(ctx: TaskContext, p: Parameters) -> None:
    """Make the raw event list and the good times of a CCD from its telemetry."""
    from daxa.xmm.event.gti import GTI
    from daxa.xmm.formats.odf_names import OdfName
    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.select.gtitasks import gti_hdu, write_gti

    _refuse(p, "epframes", EPFRAMES_ONLY)
    path = ctx.path(p.set)
    name = OdfName.parse(path.name)
    modes = {file_type: mode for mode, file_type in FILE_TYPES.items()}
    if name is None or name.instrument != "PN" or name.file_type not in modes:
        raise TaskError("wrongMode", f"set={p.set}: not the name of an event file of the pn")
    odf = Odf.from_environment({"SAS_ODF": str(path.parent), **ctx.env}, ctx.cwd)
    data_mode = modes[name.file_type]
    exposure = PnExposure.open(odf, name.exp_id, data_mode, [name.ccd], _calibration(ctx), ctx.warn)
    lines = exposure.line_clock(name.ccd)
    row = 0
    if lines is not None:
        source = (p.srcra, p.srcdec) if p.withsrccoords else p.srcposition if p.withsrcrawy else None
        row = source_row(source, p.srcposition, data_mode, _camera_pixel(exposure), exposure.proposal, ctx)
    options = FrameOptions(p.lowerthreshold, p.mipthreshold, p.mipmethod, p.wrongpixlimit, p.anmaxfrc, row)
    raw = frames_of_ccd(exposure, name.ccd, options, ctx.info)
    primary = exposure.keywords() | {"SRCPOS": (row or p.srcposition, "[pixel] RAWY of the source")}
    ctx.provenance(primary)
    times = None
    if lines is not None:
        times = lines.event_times(raw.stamp_s[raw.frame], raw.rawy - 1, row)
    with ctx.output(p.eventset) as temporary:
        write_raw_list(temporary, raw, primary, None, times)
    gti: GTI = raw.gti
    write_gti(ctx, p.gtiset, [gti_hdu(gti, f"STDGTI{name.ccd:02d}")])


def _camera_pixel(exposure: PnExposure) -> Any:
    """Where a direction falls, for the median pointing of the exposure."""
    from daxa.xmm.sky.attitude import Attitude, make_atthk
    from daxa.xmm.sky.geometry import CameraGeometry

    def pixel(ra: float, dec: float) -> tuple[int, float, float]:
        geometry = CameraGeometry.from_calibration(exposure.cal, "EPN", exposure.start_s)
        history = make_atthk(Attitude.from_odf(exposure.odf), exposure.start_s, exposure.stop_s, 10.0)
        ccd, x, y = geometry.det_to_raw(*geometry.sky_to_det(ra, dec, *history.median))
        return int(ccd), float(x), float(y)

    return pixel


# --- epreject ----------------------------------------------------------------------------------------

_EPREJECT_ONLY: dict[str, Any] = {
    "badcolumnset": "badcolumns.tab", "withsoftflarescreening": False,
}  # fmt: skip


@task(
    "epreject",
    "5.18.1",
    [
        Parameter("set", "dataset", required=True),
        Parameter("sigma", "real", 4.0, minimum=0),
        Parameter("withoffsetmap", "bool", True),
        Parameter("withoffsetlist", "bool", False),
        Parameter("odilist", "dataset", "odilist.txt"),
        Parameter("withnoisehandling", "bool", False),
        Parameter("noiseparameters", "list", ("0.98", *("1",) * 12)),
        Parameter("withxrlcorrection", "bool", False),
        *_parameters(_EPREJECT_ONLY),
    ],
)
def epreject(ctx: TaskContext, p: Parameters) -> None:
    """Correct the amplitudes of a raw event list for wrong dark levels, and flag noise, in place."""
    from daxa.xmm.odf.odf import Odf

    _refuse(p, "epreject", _EPREJECT_ONLY)
    file = read_raw_list(ctx, p.set)
    if file.raw.off_cor is not None:
        raise TaskError("wrongEventSet", f"{p.set}: has been through epreject before")
    try:
        noise = tuple(float(v) for v in p.noiseparameters)
    except ValueError:
        raise TaskError("noiseparameters", f"noiseparameters={p.noiseparameters}: not numbers") from None
    maps = read_odilist(ctx.path(p.odilist)) if p.withoffsetlist else {}
    options = RejectOptions(p.withoffsetmap, maps, p.withnoisehandling, noise, p.withxrlcorrection, p.sigma)
    odf = Odf.from_environment(ctx.env, ctx.cwd) if p.withoffsetmap and not maps else None
    random = random_source(*file.seed())
    raw = reject(
        file.raw,
        _calibration(ctx),
        odf,
        file.submode,
        _start_s(file),
        options,
        lambda: random(NOISE_PURPOSE),
        ctx.warn,
        ctx.info,
    )
    _rewrite(ctx, p.set, replace(file, raw=raw))


def _rewrite(ctx: TaskContext, name: str, file: RawFile) -> None:
    """Write a raw list that has changed; in fast modes with the times of its lines."""
    times = None
    if file.submode in FAST_MODES:
        clock = _line_clock(_calibration(ctx), file)
        times = clock.event_times(
            file.raw.stamp_s[file.raw.frame], file.raw.rawy - 1, int(file.primary["SRCPOS"])
        )
    primary = dict(file.primary)
    ctx.provenance(primary, sum(k.startswith("XPROC") for k in primary))
    with ctx.output(name) as temporary:
        write_raw_list(temporary, file.raw, primary, file.badpix, times)


def _line_clock(cal: Calibration, file: RawFile) -> LineClock:
    times = pn_times(cal, file.submode, int(file.primary["REVOLUT"]))
    correction = times.correction_s[file.raw.ccd - 1]
    return LineClock.from_calibration(cal, PN_MODE_IDS[file.submode], PN_SHAPE[1], correction)


# --- badpixfind, badpix ------------------------------------------------------------------------------

BADPIXFIND_ONLY: dict[str, Any] = {
    "columnsearchlabel": "median",
    "flickertimesteps": 1,
    "mappixcellsize": 1,
    "ccd": -1,
}
_LIMITS = (
    "hithresh", "lothresh", "hicolthresh", "locolthresh", "withsearchbadcolumn", "thresholdlabel",
    "threshabovebackground", "narrowerthanpsf", "backgroundrate", "cellsize", "flickerksthresh",
    "flickerchisqthresh", "loenergythresh", "hienergythresh",
)  # fmt: skip


@task(
    "badpixfind",
    "1.41",
    [
        Parameter("eventset", "dataset", required=True),
        Parameter("badpixset", "dataset", "badpix.fits"),
        Parameter("searchbadpix", "bool", True),
        Parameter("thresholdlabel", "choice", "rate", ("rate", "counts")),
        Parameter("lothresh", "real", 0.0, minimum=0),
        Parameter("hithresh", "real", 0.0045, minimum=0),
        Parameter("withsearchbadcolumn", "bool", True),
        Parameter("locolthresh", "real", 0.0, minimum=0),
        Parameter("hicolthresh", "real", 0.00105, minimum=0),
        Parameter("flickerksthresh", "real", 0.55, minimum=0),
        Parameter("flickerchisqthresh", "real", 15.0, minimum=0),
        Parameter("cellsize", "int", 2, minimum=1),
        Parameter("backgroundrate", "real", 0.00011, minimum=-1),
        Parameter("narrowerthanpsf", "real", 1.5, minimum=0),
        Parameter("threshabovebackground", "bool", False),
        Parameter("loenergythresh", "real", 0.14, minimum=0),
        Parameter("hienergythresh", "real", 12.0, minimum=0),
        Parameter("userflagbadpix", "bool", False),
        Parameter("rawxlist", "list", ()),
        Parameter("rawylist", "list", ()),
        Parameter("typelist", "list", ()),
        Parameter("yextentlist", "list", ()),
        Parameter("withbadpixmap", "bool", False),
        Parameter("withfovmask", "bool", False),
        Parameter("badpixmap", "dataset", "badpixmap.fits"),
        *_parameters(BADPIXFIND_ONLY),
    ],
)
def badpixfind(ctx: TaskContext, p: Parameters) -> None:
    """Find the bad pixels that the events of a raw list of the pn give away."""
    from astropy.io import fits

    _refuse(p, "badpixfind", BADPIXFIND_ONLY)
    file = read_raw_list(ctx, p.eventset)
    if file.submode in FAST_MODES:
        raise TaskError("badMode", f"{p.eventset}: {file.submode} has no pixels to search")
    cal = _calibration(ctx)
    scale = EnergyScale.from_calibration(cal, file.raw.ccd, PN_MODE_IDS[file.submode], _start_s(file))
    known = known_bad_pixels(cal, file.raw.ccd, uplinked=True, other=False)
    limits = SearchLimits(**{name: p[name] for name in _LIMITS})
    found: list[BadPixel] = []
    if p.searchbadpix:
        found = found_bad_pixels(file.raw, cal, known, limits, scale.adu_ev, ctx.info)
    if p.userflagbadpix:
        found = merge_bad_pixels(_user_pixels(p), found)
    cards = {
        k: file.primary[k] for k in ("TELESCOP", "INSTRUME", "EXP_ID", "OBS_ID") if k in file.primary
    } | {k: file.raw.header[k] for k in ("CCDID", "QUADRANT", "WINDOWX0", "WINDOWY0", "WINDOWDX", "WINDOWDY")}
    columns = badpix_columns(found)
    table = make_table(BADPIX_COLUMNS[:4], columns, "BADPIX", cards)
    primary = fits.PrimaryHDU()
    ctx.provenance(primary.header)
    ctx.info(f" Creating file ({p.badpixset}): Number of entries: {len(found):12d}")
    with ctx.output(p.badpixset) as temporary:
        fits.HDUList([primary, table]).writeto(temporary)
    if p.withbadpixmap:
        good = ~BadPixelMap.of([*known, *found]).bad
        if p.withfovmask:
            good &= in_field_of_view(cal, file.raw.ccd, _start_s(file))
        image = fits.ImageHDU(good.T.astype(np.uint8), name="MASK")
        primary.header.update(cards)
        primary.header["GOODPIX"] = (int(good.sum()), "good pixels")
        with ctx.output(p.badpixmap) as temporary:
            fits.HDUList([primary, image]).writeto(temporary)


def in_field_of_view(cal: Calibration, ccd: int, time_s: float) -> npt.NDArray[np.bool_]:
    """Pixels (64, 200) of a CCD whose centre is in the field of view."""
    from daxa.xmm.sky.geometry import CameraGeometry

    geometry = CameraGeometry.from_calibration(cal, "EPN", time_s)
    x, y = np.meshgrid(np.arange(1, PN_SHAPE[0] + 1), np.arange(1, PN_SHAPE[1] + 1), indexing="ij")
    detx, dety = geometry.raw_to_det(ccd, x.ravel().astype(float), y.ravel().astype(float))
    return np.asarray(geometry.in_fov(detx, dety)).reshape(PN_SHAPE)


def _user_pixels(p: Parameters) -> list[BadPixel]:
    names = ("rawxlist", "rawylist", "typelist", "yextentlist")
    try:
        x, y, kind, extent = ([int(v) for v in p[name]] for name in names)
    except ValueError as error:
        raise TaskError("userListValuesOutOfRange", f"{', '.join(names)}: {error}") from None
    if len({len(x), len(y), len(kind), len(extent)}) != 1:
        raise TaskError("nonEqualLists", f"{', '.join(names)}: expected as many values in each")
    for a, b, k, e in zip(x, y, kind, extent, strict=True):
        inside = 1 <= a <= PN_SHAPE[0] and 1 <= b <= PN_SHAPE[1] and e >= 1 and b + e - 1 <= PN_SHAPE[1]
        if not inside or k not in (HOT, FLICKERING, DEAD):
            raise TaskError("userListValuesOutOfRange", f"RAWX {a}, RAWY {b}, TYPE {k}, YEXTENT {e}")
    return [BadPixel(a, b, k, e, FOUND) for a, b, k, e in zip(x, y, kind, extent, strict=True)]


@task(
    "badpix",
    "2.34",
    [
        Parameter("eventset", "dataset", required=True),
        Parameter("withoutset", "bool", False),
        Parameter("outset", "dataset", "out.fits"),
        Parameter("getuplnkbadpix", "bool", True),
        Parameter("getotherbadpix", "bool", True),
        Parameter("getnewbadpix", "bool", False),
        Parameter("badpixset", "dataset", "badpix.fits"),
        Parameter("emptyextension", "bool", False),
        Parameter("windowfilter", "bool", False),
    ],
)
def badpix(ctx: TaskContext, p: Parameters) -> None:
    """Add the extension of bad pixels to a raw event list of one CCD."""
    from daxa.xmm.epic.mos.tasks import add_bad_pixels, is_mos

    if is_mos(ctx, p.eventset):
        add_bad_pixels(ctx, p)
        return
    file = read_raw_list(ctx, p.eventset)
    if file.badpix is not None:
        ctx.warn("overwriteBadpix", f"{p.eventset}: its BADPIX is replaced")
    if not (p.getuplnkbadpix or p.getotherbadpix or p.getnewbadpix or p.emptyextension):
        raise TaskError("noBadpixModes", "none of getuplnkbadpix, getotherbadpix, getnewbadpix is set")
    pixels: list[BadPixel] = []
    if not p.emptyextension:
        known = known_bad_pixels(
            _calibration(ctx), file.raw.ccd, uplinked=p.getuplnkbadpix, other=p.getotherbadpix
        )
        pixels = merge_bad_pixels(known, _read_found(ctx, p.badpixset) if p.getnewbadpix else [])
        if file.submode in FAST_MODES:
            pixels = bad_columns(pixels, PN_SHAPE[1], _line_clock(_calibration(ctx), file).n_lines)
    if p.windowfilter:
        pixels = in_window(pixels, file.window)
    ctx.info(f"{len(pixels):12d}  final bad pixel sets will be added to BADPIX extension")
    _rewrite(ctx, p.outset if p.withoutset else p.eventset, replace(file, badpix=pixels))


def _read_found(ctx: TaskContext, name: str) -> list[BadPixel]:
    from astropy.io import fits

    path = ctx.path(name)
    try:
        with fits.open(path, memmap=False) as hdus:
            note_product(hdus[0].header, path)
            columns = [column(hdus["BADPIX"], n, str(path)) for n in ("RAWX", "RAWY", "TYPE", "YEXTENT")]
    except (OSError, KeyError) as error:
        raise TaskError("badExtension", f"{path}: no table of bad pixels: {error}") from error
    return [BadPixel(*(int(v) for v in row), FOUND) for row in zip(*columns, strict=True)]


def in_window(pixels: Sequence[BadPixel], window: tuple[int, int, int, int]) -> list[BadPixel]:
    """Bad pixels cut at the edges of a window (RAWX, RAWY of its first pixel, size)."""
    x0, y0, dx, dy = window
    kept = []
    for pixel in pixels:
        first, last = max(pixel.rawy, y0), min(pixel.rawy + pixel.yextent, y0 + dy)
        if x0 <= pixel.rawx < x0 + dx and last > first:
            kept.append(pixel._replace(rawy=first, yextent=last - first))
    return kept


# --- epevents ----------------------------------------------------------------------------------------

EPEVENTS_ONLY: dict[str, Any] = {
    "reemissionthresh": 0, "withgainff": False, "withphagaincolumn": False, "lowgainenergyscale": False,
    "withctilongterm": True,
    "ctilongtermsoft": True, "ctilongtermy": True, "withccdoffsets": False, "withframecti": False,
    "checksasmip": False, "withphotonmap": False, "withrdpha": False,
}  # fmt: skip
#: What is taken and changes nothing, and why.
EPEVENTS_WITHOUT_EFFECT: dict[str, tuple[Any, str]] = {
    "withtempcorrection": (True, "no public text gives the law of EPN_CTI QBOXTEMP_GAIN"),
    "withbackgroundgain": (True, "no public text gives the law of EPN_CTI NDSCLIN_GAIN"),
    "withgaintiming": (True, "no public text gives the function of EPN_CTI TIMING_GAIN"),
    "withgainburst": (True, "no public text gives the function of EPN_CTI BURST_GAIN"),
    "withgaineff": (True, "no public text gives the function of EPN_CTI EFF_GAIN"),
    "backgroundtres": (True, "belongs to withbackgroundgain"),
    "backgroundtbin": (100, "belongs to withbackgroundgain"),
    "rdphatimebinsize": (100, "belongs to withrdpha"),
    "photonmapset": ("photonmap.dat", "belongs to withphotonmap"),
    "mappatterntype": ("sssd", "belongs to withphotonmap"),
    "lothresh": ("0 200 500 0", "belongs to withphotonmap"),
    "hithresh": ("200 500 2000 32000", "belongs to withphotonmap"),
}


@task(
    "epevents",
    "6.55",
    [
        Parameter("eventset", "dataset", required=True),
        Parameter("outset", "dataset", "events.dat"),
        Parameter("randomizeposition", "bool", True),
        Parameter("randomizeenergy", "bool", True),
        Parameter("testenergywidth", "bool", True),
        Parameter("gainctiaccuracy", "int", 2, minimum=0, maximum=2),
        Parameter("withoutoftime", "bool", False),
        Parameter("withctisrcpos", "bool", False),
        Parameter("withpatternoffset", "bool", True),
        Parameter("patternanalysis", "bool", True),
        *_parameters(EPEVENTS_ONLY),
        *_parameters({name: value for name, (value, _) in EPEVENTS_WITHOUT_EFFECT.items()}),
    ],
)
def epevents(ctx: TaskContext, p: Parameters) -> None:
    """Recognise the patterns of a raw event list of the pn and calibrate them, one row per pattern."""
    from daxa.xmm.sky.geometry import CameraGeometry

    _refuse(p, "epevents", EPEVENTS_ONLY)
    file = read_raw_list(ctx, p.eventset)
    if not len(file.raw.pha):
        raise TaskError("noEvents", f"{p.eventset}: no events")
    for name in ("withtempcorrection", "withbackgroundgain"):
        if p[name]:
            ctx.info(f"{name}: not done, {EPEVENTS_WITHOUT_EFFECT[name][1]}")
    if file.badpix is None:
        ctx.warn("noBadpix", f"{p.eventset}: no BADPIX; run badpix first")
    fast = file.submode in FAST_MODES
    if fast and p.withoutoftime:
        ctx.warn("notUsefulModeOOTE", f"{file.submode} has no out-of-time list")
    cal, mode_id, start_s = _calibration(ctx), PN_MODE_IDS[file.submode], _start_s(file)
    scale = EnergyScale.from_calibration(cal, file.raw.ccd, mode_id, start_s, accuracy=p.gainctiaccuracy)
    names = ("randomizeposition", "randomizeenergy", "testenergywidth", "withpatternoffset")
    row = int(file.primary.get("SRCPOS", 190))
    options = EventOptions(
        withoutoftime=p.withoutoftime and not fast,
        screenlowthresh=_LOWEST_PI,
        mask=0,
        ctisrcpos=row if p.withctisrcpos else None,
        **{name: p[name] for name in names},
    )
    raw = recognise(file.raw, file.badpix or [], scale, 0.0, ctx.info)
    random = random_source(*file.seed())
    if fast:
        columns = fast_events(raw, scale, _line_clock(cal, file), row, random, options)
        schema = EVENT_COLUMNS["EPN", "TIMING"]
    else:
        geometry = CameraGeometry.from_calibration(cal, "EPN", start_s)
        columns, _ = detector_events(raw, scale, geometry, file.window, random, options)
        columns["FRAME"] = columns["FRAME"].astype(np.int64) + 1
        schema = tuple(c for c in EVENT_COLUMNS["EPN", "IMAGING"] if c.name not in ("X", "Y"))
        schema = (*schema, Column("FRAME", "1J"))
    _write_events(ctx, p, file, schema, columns)


def _write_events(
    ctx: TaskContext, p: Parameters, file: RawFile, schema: Sequence[Column], columns: dict[str, Any]
) -> None:
    """The raw list's file with calibrated events in place of the raw ones."""
    from astropy.io import fits

    with fits.open(ctx.path(p.eventset), memmap=False) as hdus:
        kept = hdus["EVENTS"].header
        described = ("TTYPE", "TFORM", "TUNIT", "TLMIN", "TLMAX", "TNULL", "NAXIS", "XTENSION", "BITPIX")
        cards = {
            c.keyword: (c.value, c.comment)
            for c in kept.cards
            if c.keyword and not c.keyword.startswith((*described, "PCOUNT", "GCOUNT", "TFIELDS", "EXTNAME"))
        }
        cards |= {key: (value, comment) for key, value, comment in flag_keywords("EPN")}
        hdus[hdus.index_of("EVENTS")] = make_table(schema, columns, "EVENTS", cards)
        number = sum(k.startswith("XPROC") for k in hdus[0].header)
        ctx.provenance(hdus[0].header, number)
        with ctx.output(p.outset) as temporary:
            hdus.writeto(temporary)
    ctx.info(f"{Path(p.outset).name}: {len(columns['PI'])} events of {len(file.raw.pha)} pixels")


# --- epexposure --------------------------------------------------------------------------------------

_TIMES_DRAWN = "TIMERAND"


@task(
    "epexposure",
    "0.16",
    [
        Parameter("eventsets", "list", required=True),
        Parameter("randomizetime", "bool", True),
        Parameter("screenexposure", "bool", True),
        Parameter("spatialexposure", "bool", True),
    ],
)
def epexposure(ctx: TaskContext, p: Parameters) -> None:
    """Make the times of imaging events random within the integration of their frame, in place.

    Live fractions are in the EXPOSURE tables since epframes; a correction per column (``spatialexposure``) is
    not enabled in SAS either.
    """
    from astropy.io import fits

    if not p.screenexposure:
        raise NotImplementedError("epexposure: screenexposure=no is not implemented")
    for name in p.eventsets:
        path = ctx.path(name)
        try:
            hdus = fits.open(path, memmap=False)
        except OSError as error:
            raise TaskError("badInfile", f"{path}: not a readable FITS file ({error})") from error
        with hdus:
            head = hdus["EVENTS"].header if "EVENTS" in hdus else {}
            note_product(hdus[0].header, path, is_list="EVENTS" in hdus)
            if str(head.get("INSTRUME", "")).strip() != "EPN" or "CCDNR" not in hdus["EVENTS"].columns.names:
                raise TaskError("badSubMode", f"{path}: not an event list of the pn")
            fast = str(head.get("SUBMODE", "")).strip() in FAST_MODES
            if not p.randomizetime or fast or head.get(_TIMES_DRAWN):
                ctx.info(f"{name}: times stay as they are")
                continue
            _draw_times(hdus)
            ctx.provenance(hdus[0].header, sum(k.startswith("XPROC") for k in hdus[0].header))
            with ctx.output(name) as temporary:
                hdus.writeto(temporary)
        ctx.info(f"{name}: times are random within the integration of their frame")


def _draw_times(hdus: Any) -> None:
    events = hdus["EVENTS"]
    random = random_source(str(events.header["OBS_ID"]), str(events.header["EXPIDSTR"]), 0)
    part = random(TIME_PURPOSE).random(len(events.data)) - 0.5
    length = np.zeros(len(part))
    ccds = np.asarray(events.data["CCDNR"])
    for ccd in np.unique(ccds):
        frames = next(h for h in hdus if h.name in (f"EXPOSU{ccd:02d}", "EXPOSURE"))
        length[ccds == ccd] = float(np.median(frames.data["TIMEDEL"]))
    events.data["TIME"] = np.asarray(events.data["TIME"], float) + part * length
    events.header[_TIMES_DRAWN] = (True, "TIME is random within the frame")
