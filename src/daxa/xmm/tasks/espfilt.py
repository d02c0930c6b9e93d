"""The task espfilt: write the flare-free event list, its good times, corner products and the
histogram.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.fits.file import FitsFile, set_keywords
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.screen import flares
from daxa.xmm.screen.contamination import ANNULUS_RADIUS, BAND, Contamination, contamination, seen_areas
from daxa.xmm.screen.quiet_times import write_qdp
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
        "limits", "list", "0.1 6.5", text="lowest rate of the histogram and highest quiet level", unit="ct/s"
    ),
    Parameter("keepinterfiles", "bool", False, text="keep intermediate files"),
]


class _Names:
    """File names of one run: ``mos1S001-gti.fits``, with the energies in them when asked."""

    def __init__(self, instrument: str, exposure: str, energies: str) -> None:
        camera = {"EMOS1": "mos1", "EMOS2": "mos2", "EPN": "pn"}[instrument]
        self.prefix, self.energies = f"{camera}{exposure}", energies

    def __call__(self, kind: str, extension: str = "fits") -> str:
        return f"{self.prefix}-{kind}{self.energies}.{extension}"


def _limits(words: list[str]) -> tuple[float, float]:
    try:
        low, high = (float(w) for w in words)
    except ValueError:
        raise TaskError(
            "badParameter", f"espfilt: parameter limits: expected two numbers, got {words}"
        ) from None
    if not 0 <= low < high <= 10:
        raise TaskError(
            "badParameter", f"espfilt: parameter limits: expected 0 <= low < high <= 10, got {words}"
        )
    return low, high


def _read_rate(path: Path) -> tuple[np.ndarray, np.ndarray]:
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


def _plot(path: Path, fit: flares.FlareFit, time_s: np.ndarray, rate: np.ndarray, title: str) -> None:
    from daxa.xmm.screen.plots import plot_flares

    plot_flares(path, fit, time_s, rate, title)


@task("espfilt", "1.0", _PARAMETERS)
def espfilt(ctx: TaskContext, p: Parameters) -> None:
    """Write the flare-free event list, its good times, corner products and the histogram."""
    from daxa.xmm.ccf.calibration import Calibration

    if p.elow >= p.ehigh:
        raise TaskError("badParameter", f"espfilt: elow ({p.elow}) must be below ehigh ({p.ehigh})")
    limits = _limits(p.limits)
    events = ctx.path(p.eventfile)
    if not events.exists():
        raise TaskError("noEventFile", f"{events}: no such file")
    file = FitsFile(events)
    if "EVENTS" not in file:
        raise TaskError("noEvents", f"{events}: no EVENTS extension")
    header = file["EVENTS"].header
    missing = [k for k in ("INSTRUME", "EXPIDSTR", "DATAMODE") if k not in header]
    if missing:
        raise TaskError("noKeyword", f"{events}[EVENTS]: no keyword {missing[0]}")
    instrument = header["INSTRUME"].strip()
    if instrument not in WHOLE_CHIP or header["DATAMODE"].strip() != "IMAGING":
        raise TaskError(
            "badMode", f"{events}: {instrument}, {header['DATAMODE']}: expected an EPIC imaging list"
        )
    if p.withoot and instrument != "EPN":
        raise TaskError("badParameter", "espfilt: withoot=yes is for EPN only")
    range_scale = p.rangescale or (15.0 if instrument == "EPN" else 6.0)
    names = _Names(instrument, header["EXPIDSTR"].strip(), f"-{p.elow}-{p.ehigh}" if p.withlongnames else "")
    temporary: list[str] = []

    ctx.info(f" ESPFILT: Processing eventlist: {events}")
    band = f"PI in [{p.elow}:{p.ehigh}]"
    cal = Calibration.from_environment(ctx.env, ctx.cwd)
    dark = corner_expression(cal, instrument)
    corner = f"{WHOLE_CHIP[instrument]}&&{dark}"
    good_times = _good_times(file, 4 if instrument == "EPN" else 1)
    if not len(good_times):
        raise TaskError("noCounts", f"{events}: no good time at all")
    start, stop = float(np.floor(good_times.start[0])), float(np.ceil(good_times.stop[-1]))
    detector: dict[str, Any] = {"xcolumn": "DETX", "ycolumn": "DETY"}
    curve: dict[str, Any] = {
        "timecolumn": "TIME",
        "timebinsize": 1,
        "maketimecolumn": True,
        "makeratecolumn": True,
        "timemin": start,
        "timemax": stop,
        "withtimeranges": True,
    }
    table = f"{events}:EVENTS"
    if p.keepinterfiles:
        ctx.call("evselect", table=table, imageset=names("fovim"), **detector)
    ctx.info(" Running evselect to create *FOV LIGHTCURVE*")
    field = FIELD[instrument].format(band=band)
    ctx.call("evselect", table=table, expression=field, rateset=names("fovlc"), **curve)
    ctx.info(" Running evselect to create *CORNER EVENTLIST*")
    ctx.call("evselect", table=table, expression=corner, filteredset=names("corev"))
    if p.keepinterfiles:
        ctx.call("evselect", table=names("corev"), imageset=names("corim"), **detector)
    ctx.info(" Running evselect to create *CORNER LIGHTCURVE*")
    ctx.call("evselect", table=names("corev"), expression=band, rateset=names("corlc"), **curve)

    time_s, rate = _read_rate(ctx.path(names("fovlc")))
    corner_rate = _read_rate(ctx.path(names("corlc")))[1][: len(time_s)]
    exposed = good_times.contains(time_s)
    geometry = CameraGeometry.from_calibration(cal, instrument, 0.5 * (start + stop))
    areas = seen_areas(geometry, file, header, compile(dark))
    fit: flares.FlareFit | None = None
    check: Contamination | None = None
    try:
        if p.method == "histogram":
            ctx.info(" ESPFILT: Processing using the HISTOGRAM method.")
            ctx.info(f" CLEAN_LC: There are {len(time_s):12d}  rows in the FOV LC")
            fit = flares.histogram_method(
                rate,
                exposed,
                smooth_s=p.smooth if p.withsmoothing else None,
                bin_s=p.binsize if p.withbinning else None,
                range_scale=range_scale,
                allow_sigma=p.allowsigma,
                limits=limits,
            )
            for k, (low, peak, high, begin, found) in enumerate(fit.passes, start=1):
                ctx.info(f"***** amoeba {k}: low = {low + 1:4d} peak = {peak + 1:4d} high = {high + 1:4d}")
                ctx.info(f" {k} start parms = {begin[0]:9.3f}{begin[1]:9.3f}{begin[2]:9.3f}")
                ctx.info(f" {k} rl = {found[0]:9.3f}{found[1]:9.3f}{found[2]:9.3f}")
            ctx.info(
                f"WRITE_QDP_GTI: Norm = {fit.norm:9.3f} Width = {fit.sigma:9.3f} Center = {fit.centre:9.3f}"
            )
            good = fit.good
            check = _against_corners(
                ctx, table, names("corev"), instrument, time_s, good, exposed, areas, float(rate[good].sum()),
                (p.elow, p.ehigh),
            )  # fmt: skip
            share = good.sum() / exposed.sum()
            if check.refuses(share):
                raise flares.FlareFitError(
                    "allFlare",
                    f"beyond 10 arcmin the field is {check.ratio:.2f} +- {check.error:.2f} times as bright "
                    f"as the corners in the {share:.0%} of the time that would be accepted; some "
                    f"{check.protons:.0%} of its counts are protons",
                )
        else:
            ctx.info(" ESPFILT: Processing using the RATIO method.")
            good = _ratio(ctx, p, names, table, field, time_s, corner_rate, exposed, curve, areas)
    except flares.FlareFitError as failure:
        if failure.code != "allFlare":
            raise TaskError(failure.code, f"{events}: {failure}") from failure
        # A list without quiet time is a result, not a failure: nothing of it is accepted.
        ctx.warn("allFlare", f"{events}: {failure}; nothing is accepted")
        good = np.zeros(len(time_s), bool)
        if fit is not None:
            fit.good = good
    if not good.any():
        ctx.warn("noGoodTime", f"{events}: no time is accepted")

    gti = flares.intervals(time_s, good, 1.0)
    # gtibuild takes an empty file for "all good"; an interval of no length keeps "nothing" nothing.
    rows = [f"{a:.6f} {b:.6f} +" for a, b in zip(gti.start, gti.stop, strict=True)] or ["0.0 0.0000001 +"]
    ctx.path(names("gti", "txt")).write_text("\n".join(rows) + "\n", encoding="ascii")
    ctx.call("gtibuild", file=names("gti", "txt"), table=names("gti"))
    attributes = _attributes(p, fit, check)
    if good.any():
        attributes["CORRATE"] = (float(corner_rate[good].mean()), "[ct/s] corners in the accepted time")
        ctx.info(f"corner rate in the accepted time: {corner_rate[good].mean():.4f} ct/s")
    set_keywords(ctx.path(names("gti")), 1, attributes)
    if p.method == "histogram":
        write_qdp(ctx.path(names("hist", "qdp")), fit, time_s, rate, good, corner_rate, p.binsize)
        if fit is not None:
            _plot(ctx.path(names("hist", "png")), fit, time_s, rate, names.prefix)

    in_gti = f"GTI({names('gti')},TIME)"
    whole = WHOLE_CHIP[instrument].replace("&&", f"&&{in_gti}&&", 1)
    for source, expression, kind, image in (
        (str(events), whole, "allevc", "allimc"),
        (names("corev"), in_gti, "corevc", "corimc"),
    ):
        ctx.call(
            "evselect", table=source, expression=expression, filteredset=names(kind), imageset=names(image),
            **detector,
        )  # fmt: skip
        set_keywords(ctx.path(names(kind)), "EVENTS", attributes)
    if p.withoot:
        ctx.call("evselect", table=p.ootfile, expression=whole, filteredset=names("allevcoot"))
    if not p.keepinterfiles:
        temporary += [names("gti", "txt")]
        for name in temporary:
            ctx.path(name).unlink(missing_ok=True)
    ctx.info(f"accepted {gti.total:.1f} s of {good_times.total:.1f} s")


def _attributes(
    p: Parameters, fit: flares.FlareFit | None, check: Contamination | None
) -> dict[str, tuple[float, str]]:
    cards: dict[str, tuple[float, str]] = {
        "ELOW": (p.elow, "[eV] lower energy of the light curve"),
        "EHIGH": (p.ehigh, "[eV] upper energy of the light curve"),
    }
    if fit is not None:
        cards["NORM"] = (fit.norm, "height of the Gaussian")
        cards["WIDTH"] = (fit.sigma, "[ct/s] sigma of the Gaussian")
        cards["CENTER"] = (fit.centre, "[ct/s] centre of the Gaussian")
    if check is not None and np.isfinite(check.ratio):
        cards["INOUT"] = (check.ratio, "8-12 keV, field beyond 10 arcmin over corners")
        cards["INOUTERR"] = (check.error, "error of INOUT")
    return cards


def _against_corners(
    ctx: TaskContext,
    table: str,
    corners: str,
    instrument: str,
    time_s: np.ndarray,
    good: np.ndarray,
    exposed: np.ndarray,
    areas: tuple[float, float, float],
    total: float,
    band: tuple[float, float],
) -> Contamination:
    """Compare the accepted time of the outer field with the corners, whose events are in a file of their own.

    The particles' rate hardly changes in an exposure: corners are poor in counts, and all of theirs are used.
    """
    hard = f"PI in [{BAND[0]}:{BAND[1]}]"
    outer = FIELD[instrument].format(band=hard) + f"&&!CIRCLE(0,0,{ANNULUS_RADIUS},DETX,DETY)"
    accepted, observed = (flares.intervals(time_s, mask, 1.0) for mask in (good, exposed))
    if min(areas) > 0 and accepted.total > 0:
        exposure_ratio, share = areas[2] * observed.total / (areas[1] * accepted.total), areas[1] / areas[0]
    else:
        exposure_ratio = share = np.nan
    found = contamination(
        int(accepted.contains(_times(ctx, table, outer)).sum()),
        int(observed.contains(_times(ctx, f"{corners}:EVENTS", hard)).sum()),
        exposure_ratio,
        total,
        band,
        share,
    )
    if not np.isfinite(found.ratio):
        ctx.info("no events in the corners to compare the accepted time with")
        return found
    ctx.info(
        f"IN/OUT of the accepted time: {found.ratio:.3f} +- {found.error:.3f} "
        f"({found.field} and {found.corner} counts of {BAND[0]} to {BAND[1]} eV): {found.level}; "
        f"protons: {max(found.protons, 0):.0%} of the accepted counts"
    )
    if found.exceeds(1.3) and not found.refuses(accepted.total / observed.total):
        ctx.warn(
            "contaminated",
            f"beyond 10 arcmin the field is {found.ratio:.2f} +- {found.error:.2f} times as bright as the "
            "corners: soft protons all the time, or a bright source that fills the field",
        )
    return found


def _times(ctx: TaskContext, table: str, expression: str) -> np.ndarray:
    """Times of the events that fulfil an expression."""
    with ExitStack() as scratch:
        source = Source(ctx, table, scratch)
        selection = compile(expression, source.header)
        times = [np.zeros(0)]
        for row0, part in source.table.chunks():
            rows = Rows(source.table.columns(part), len(part), row0)
            times.append(rows.column("TIME")[selection.rows_mask(rows)])
    return np.concatenate(times)


def _ratio(
    ctx: TaskContext,
    p: Parameters,
    names: _Names,
    table: str,
    field: str,
    time_s: np.ndarray,
    corner_rate: np.ndarray,
    exposed: np.ndarray,
    curve: dict[str, Any],
    areas: tuple[float, float, float],
) -> np.ndarray:
    """Good samples by the ratio of the outer field to the corners."""
    annulus = f"{field}&&!CIRCLE(0,0,{ANNULUS_RADIUS},DETX,DETY)"
    ctx.call("evselect", table=table, expression=annulus, rateset=names("annlc"), **curve)
    annulus_rate = _read_rate(ctx.path(names("annlc")))[1][: len(time_s)]
    if not areas[1] or not areas[2]:
        raise TaskError("noCounts", "the outer field or the corners were not exposed")
    good, ratio = flares.ratio_method(
        annulus_rate, corner_rate, exposed, areas[2] / areas[1], p.ratio, bin_s=float(p.binsize)
    )
    ctx.path(names("annlc")).unlink()
    ctx.info(f" RATIO: median {np.nanmedian(ratio):.3f}, limit {p.ratio:g}")
    return good
