"""The task espfilt: write the flare-free event list, its good times, corner products and the
histogram.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.fits.file import FitsFile, set_keywords
from daxa.xmm.fits.header import Header
from daxa.xmm.formats.instruments import CODES, SHORT_NAMES
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.screen import flares
from daxa.xmm.screen.contamination import ANNULUS_RADIUS, BAND, Contamination, seen_areas
from daxa.xmm.screen.qdp import qdp_text
from daxa.xmm.screen.quiet_times import (
    BoolArray,
    Cards,
    Curves,
    FloatArray,
    Screening,
    against_corners,
    gti_text,
    report,
)
from daxa.xmm.screen.regions import FIELD, WHOLE_CHIP, corner_expression
from daxa.xmm.select.expression import compile
from daxa.xmm.select.nodes import Rows
from daxa.xmm.select.source import Source
from daxa.xmm.sky.geometry import CameraGeometry
from daxa.xmm.task import TaskContext, task

_PARAMETERS = [
    Parameter("eventfile", "dataset", required=True, text="EPIC imaging event list"),
    Parameter("withoot", "bool", False, text="also filter ootfile (pn)"),
    Parameter("ootfile", "dataset", "dataset", text="list of out-of-time events"),
    Parameter(
        "method",
        "choice",
        "histogram",
        choices=("histogram", "ratio"),
        text="find the quiet level in the histogram of rates, or by the ratio of field and corners",
    ),
    Parameter("withsmoothing", "bool", True, text="smooth the light curve"),
    Parameter("smooth", "int", 51, minimum=1, maximum=60, text="width of the smoothing", unit="s"),
    Parameter("withbinning", "bool", True, text="bin the light curve, if it is not smoothed"),
    Parameter(
        "binsize",
        "int",
        60,
        minimum=1,
        text="bin of the light curve, also in the file of the histogram",
        unit="s",
    ),
    Parameter(
        "ratio", "real", 1.2, minimum=0.0, text="times with a higher ratio are left out, with method=ratio"
    ),
    Parameter("withlongnames", "bool", False, text="put the energies into the names of the products"),
    Parameter(
        "elow", "int", 2500, minimum=1, maximum=32766, text="lowest energy of the light curve", unit="eV"
    ),
    Parameter(
        "ehigh", "int", 8500, minimum=2, maximum=32767, text="highest energy of the light curve", unit="eV"
    ),
    Parameter(
        "rangescale",
        "real",
        None,
        minimum=1.0,
        text="half-width of the fit in bins of the histogram; without it 15 for the pn, 6 for MOS",
    ),
    Parameter(
        "allowsigma",
        "real",
        3.0,
        minimum=0.0,
        text="rates further from the quiet level are left out, in standard deviations",
    ),
    Parameter(
        "limits",
        "reals",
        "0.1 6.5",
        count=2,
        minimum=0.0,
        maximum=10.0,
        text="lowest rate of the histogram and highest quiet level",
        unit="ct/s",
    ),
    Parameter("keepinterfiles", "bool", False, text="keep intermediate files"),
]


#: Parameters of evselect for images of the detector.
_DETECTOR: dict[str, Any] = {"xcolumn": "DETX", "ycolumn": "DETY"}
#: True of events beyond 10 arcmin.
_OUTER = f"!CIRCLE(0,0,{ANNULUS_RADIUS},DETX,DETY)"


class _Names:
    """File names of one run: ``mos1S001-gti.fits``, with the energies in them when asked."""

    def __init__(self, instrument: str, exposure: str, energies: str) -> None:
        self.prefix, self.energies = f"{SHORT_NAMES[CODES[instrument]]}{exposure}", energies

    def __call__(self, kind: str, extension: str = "fits") -> str:
        return f"{self.prefix}-{kind}{self.energies}.{extension}"


def _limits(values: list[float]) -> tuple[float, float]:
    low, high = values
    if not low < high:
        raise TaskError("badParameter", f"espfilt: parameter limits: {low:g} must be below {high:g}")
    return low, high


def _read_rate(path: Path) -> tuple[FloatArray, FloatArray]:
    data = FitsFile(path)["RATE"].data
    return np.asarray(data["TIME"], float), np.nan_to_num(np.asarray(data["RATE"], float))


def _good_times(file: FitsFile, prime: int) -> GTI:
    """Good times of the prime CCD, or of all CCDs together if it is off."""
    tables = {h.name: h for h in file if h.name.startswith("STDGTI")}
    if not tables:
        raise TaskError("noGTI", f"{file.path}: no STDGTInn extension")
    wanted = f"STDGTI{prime:02d}"
    if wanted in tables:
        return GTI.from_hdu(tables[wanted])
    return GTI.union(GTI.from_hdu(h) for h in tables.values())


@dataclass(frozen=True)
class _EventList:
    """The opened list: where it is, what it holds, and what its products are called."""

    path: Path
    file: FitsFile
    header: Header
    instrument: str
    names: _Names

    @property
    def table(self) -> str:
        return f"{self.path}:EVENTS"


def _open(ctx: TaskContext, p: Parameters) -> _EventList:
    path = ctx.path(p.eventfile)
    if not path.exists():
        raise TaskError("noEventFile", f"{path}: no such file")
    file = FitsFile(path)
    if "EVENTS" not in file:
        raise TaskError("noEvents", f"{path}: no EVENTS extension")
    header = file["EVENTS"].header
    missing = [k for k in ("INSTRUME", "EXPIDSTR", "DATAMODE") if k not in header]
    if missing:
        raise TaskError("noKeyword", f"{path}[EVENTS]: no keyword {missing[0]}")
    instrument = header["INSTRUME"].strip()
    if instrument not in WHOLE_CHIP or header["DATAMODE"].strip() != "IMAGING":
        raise TaskError(
            "badMode", f"{path}: {instrument}, {header['DATAMODE']}: expected an EPIC imaging list"
        )
    if p.withoot and instrument != "EPN":
        raise TaskError("badParameter", "espfilt: withoot=yes is for EPN only")
    energies = f"-{p.elow}-{p.ehigh}" if p.withlongnames else ""
    return _EventList(
        path, file, header, instrument, _Names(instrument, header["EXPIDSTR"].strip(), energies)
    )


@task("espfilt", "1.0", _PARAMETERS)
def espfilt(ctx: TaskContext, p: Parameters) -> None:
    """Write the flare-free event list, its good times, corner products and the histogram."""
    from daxa.xmm.ccf.calibration import Calibration

    if p.elow >= p.ehigh:
        raise TaskError("badParameter", f"espfilt: elow ({p.elow}) must be below ehigh ({p.ehigh})")
    limits = _limits(p.limits)
    events = _open(ctx, p)
    ctx.info(f" ESPFILT: Processing eventlist: {events.path}")
    cal = Calibration.from_environment(ctx.env, ctx.cwd)
    dark = corner_expression(cal, events.instrument)
    good_times = _good_times(events.file, 4 if events.instrument == "EPN" else 1)
    if not len(good_times):
        raise TaskError("noCounts", f"{events.path}: no good time at all")
    curves = _light_curves(ctx, p, events, dark, good_times)
    geometry = CameraGeometry.from_calibration(cal, events.instrument, _middle(good_times))
    areas = seen_areas(geometry, events.file, events.header, compile(dark))
    try:
        if p.method == "histogram":
            found = _by_histogram(ctx, p, events, curves, areas, limits)
        else:
            found = _by_ratio(ctx, p, events, curves, areas)
        objection = found.objection(curves)
    except flares.FlareFitError as failure:
        if failure.code != "allFlare":
            raise TaskError(failure.code, f"{events.path}: {failure}") from failure
        found, objection = Screening(np.zeros(len(curves.time_s), bool)), str(failure)
    if objection:
        # A list without quiet time is a result, not a failure: nothing of it is accepted.
        ctx.warn("allFlare", f"{events.path}: {objection}; nothing is accepted")
        found = found.without_times()
    if not found.good.any():
        ctx.warn("noGoodTime", f"{events.path}: no time is accepted")
    gti = curves.intervals(found.good)
    _write_times(ctx, p, events, curves, found, gti)
    _write_lists(ctx, p, events, found.cards((p.elow, p.ehigh), curves))
    if not p.keepinterfiles:
        ctx.path(events.names("gti", "txt")).unlink(missing_ok=True)
    ctx.info(f"accepted {gti.total:.1f} s of {good_times.total:.1f} s")


#: Parameters of evselect for a light curve in steps of a second, from TSTART to TSTOP of the list.
_CURVE: dict[str, Any] = {
    "timecolumn": "TIME",
    "timebinsize": 1,
    "maketimecolumn": True,
    "makeratecolumn": True,
}


def _middle(good_times: GTI) -> float:
    return 0.5 * float(good_times.start[0] + good_times.stop[-1])


def _field(p: Parameters, events: _EventList) -> str:
    return FIELD[events.instrument].format(band=f"PI in [{p.elow}:{p.ehigh}]")


def _light_curves(
    ctx: TaskContext,
    p: Parameters,
    events: _EventList,
    dark: str,
    good_times: GTI,
) -> Curves:
    """Light curves of the field of view and of the corners, whose events go into a file of their own."""
    names = events.names
    if p.keepinterfiles:
        ctx.call("evselect", table=events.table, imageset=names("fovim"), **_DETECTOR)
    ctx.info(" Running evselect to create *FOV LIGHTCURVE*")
    ctx.call("evselect", table=events.table, expression=_field(p, events), rateset=names("fovlc"), **_CURVE)
    ctx.info(" Running evselect to create *CORNER EVENTLIST*")
    corner = f"{WHOLE_CHIP[events.instrument]}&&{dark}"
    ctx.call("evselect", table=events.table, expression=corner, filteredset=names("corev"))
    if p.keepinterfiles:
        ctx.call("evselect", table=names("corev"), imageset=names("corim"), **_DETECTOR)
    ctx.info(" Running evselect to create *CORNER LIGHTCURVE*")
    band = f"PI in [{p.elow}:{p.ehigh}]"
    ctx.call("evselect", table=names("corev"), expression=band, rateset=names("corlc"), **_CURVE)
    time_s, rate = _read_rate(ctx.path(names("fovlc")))
    corner_rate = _read_rate(ctx.path(names("corlc")))[1][: len(time_s)]
    return Curves(time_s, rate, corner_rate, good_times.contains(time_s))


def _by_histogram(
    ctx: TaskContext,
    p: Parameters,
    events: _EventList,
    curves: Curves,
    areas: tuple[float, float, float],
    limits: tuple[float, float],
) -> Screening:
    """Accepted steps by the histogram of rates, and how they compare with the corners."""
    ctx.info(" ESPFILT: Processing using the HISTOGRAM method.")
    ctx.info(f" CLEAN_LC: There are {len(curves.time_s):12d}  rows in the FOV LC")
    fit = flares.histogram_method(
        curves.field,
        curves.exposed,
        smooth_s=p.smooth if p.withsmoothing else None,
        bin_s=p.binsize if p.withbinning else None,
        range_scale=p.rangescale or (15.0 if events.instrument == "EPN" else 6.0),
        allow_sigma=p.allowsigma,
        limits=limits,
    )
    for line in report(fit):
        ctx.info(line)
    return Screening(fit.good, fit, _against_corners(ctx, p, events, curves, fit.good, areas))


def _against_corners(
    ctx: TaskContext,
    p: Parameters,
    events: _EventList,
    curves: Curves,
    good: BoolArray,
    areas: tuple[float, float, float],
) -> Contamination:
    """Compare the accepted time of the outer field with the corners, and say what came of it."""
    hard = f"PI in [{BAND[0]}:{BAND[1]}]"
    outer = FIELD[events.instrument].format(band=hard) + f"&&{_OUTER}"
    found = against_corners(
        curves, good, _times(ctx, events.table, outer), _times(ctx, f"{events.names('corev')}:EVENTS", hard),
        areas, (p.elow, p.ehigh),
    )  # fmt: skip
    if not np.isfinite(found.ratio):
        ctx.info("no events in the corners to compare the accepted time with")
        return found
    ctx.info(
        f"IN/OUT of the accepted time: {found.ratio:.3f} +- {found.error:.3f} "
        f"({found.field} and {found.corner} counts of {BAND[0]} to {BAND[1]} eV): {found.level}; "
        f"protons: {max(found.protons, 0):.0%} of the accepted counts"
    )
    if found.exceeds(1.3) and not found.refuses(curves.share(good)):
        ctx.warn(
            "contaminated",
            f"beyond 10 arcmin the field is {found.ratio:.2f} +- {found.error:.2f} times as bright as the "
            "corners: soft protons all the time, or a bright source that fills the field",
        )
    return found


def _times(ctx: TaskContext, table: str, expression: str) -> FloatArray:
    """Times of the events that fulfil an expression."""
    with ExitStack() as scratch:
        source = Source(ctx, table, scratch)
        selection = compile(expression, source.header)
        times = [np.zeros(0)]
        for row0, part in source.table.chunks():
            rows = Rows(source.table.columns(part), len(part), row0)
            times.append(rows.column("TIME")[selection.rows_mask(rows)])
    return np.concatenate(times)


def _by_ratio(
    ctx: TaskContext,
    p: Parameters,
    events: _EventList,
    curves: Curves,
    areas: tuple[float, float, float],
) -> Screening:
    """Accepted steps by the ratio of the outer field to the corners."""
    ctx.info(" ESPFILT: Processing using the RATIO method.")
    name = events.names("annlc")
    annulus = f"{_field(p, events)}&&{_OUTER}"
    ctx.call("evselect", table=events.table, expression=annulus, rateset=name, **_CURVE)
    annulus_rate = _read_rate(ctx.path(name))[1][: len(curves.time_s)]
    if not areas[1] or not areas[2]:
        raise TaskError("noCounts", "the outer field or the corners were not exposed")
    good, ratio = flares.ratio_method(
        annulus_rate, curves.corner, curves.exposed, areas[2] / areas[1], p.ratio, bin_s=float(p.binsize)
    )
    ctx.path(name).unlink()
    ctx.info(f" RATIO: median {np.nanmedian(ratio):.3f}, limit {p.ratio:g}")
    return Screening(good)


def _write_times(
    ctx: TaskContext, p: Parameters, events: _EventList, curves: Curves, found: Screening, gti: GTI
) -> None:
    """The accepted times, and the histogram they come from as text and picture."""
    names = events.names
    ctx.path(names("gti", "txt")).write_text(gti_text(gti), encoding="ascii")
    ctx.call("gtibuild", file=names("gti", "txt"), table=names("gti"))
    cards = found.cards((p.elow, p.ehigh), curves)
    if "CORRATE" in cards:
        ctx.info(f"corner rate in the accepted time: {cards['CORRATE'][0]:.4f} ct/s")
    set_keywords(ctx.path(names("gti")), 1, cards)
    if p.method == "histogram":
        obs_id = str(events.header.get("OBS_ID", "")).strip()
        text = qdp_text(found.fit, curves.field, curves.corner, found.good, p.binsize, obs_id)
        ctx.path(names("hist", "qdp")).write_text(text, encoding="ascii")
        if found.fit is not None:
            from daxa.xmm.screen.plots import plot_flares

            path = ctx.path(names("hist", "png"))
            plot_flares(path, found.fit, curves.time_s, names.prefix)


def _write_lists(ctx: TaskContext, p: Parameters, events: _EventList, cards: Cards) -> None:
    """Lists and images of the accepted time: of the whole camera and of the corners; out-of-time events."""
    names = events.names
    in_gti = f"GTI({names('gti')},TIME)"
    whole = WHOLE_CHIP[events.instrument].replace("&&", f"&&{in_gti}&&", 1)
    for source, expression, kind, image in (
        (str(events.path), whole, "allevc", "allimc"),
        (names("corev"), in_gti, "corevc", "corimc"),
    ):
        ctx.call(
            "evselect", table=source, expression=expression, filteredset=names(kind), imageset=names(image),
            **_DETECTOR,
        )  # fmt: skip
        for name in (kind, image):
            set_keywords(ctx.path(names(name)), 0, cards)
    if p.withoot:
        ctx.call("evselect", table=p.ootfile, expression=whole, filteredset=names("allevcoot"))
