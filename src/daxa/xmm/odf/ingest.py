"""The task odfingest: make the summary file ``SUM.SAS`` of an ODF.

Source: manual of odfingest (algorithm, warnings, format of the summary file).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.schema import columns
from daxa.xmm.formats.instruments import INSTRUMENTS, SUMMARY_INSTRUMENTS
from daxa.xmm.formats.odf_names import OdfName
from daxa.xmm.formats.summary import (
    CLOCK_RESET,
    LONGEST_S,
    AsciiSummary,
    ExposureSummary,
    SasSummary,
)
from daxa.xmm.odf.configuration import Circumstances, Housekeeping, configuration, om_filter
from daxa.xmm.odf.damage import readable
from daxa.xmm.odf.filters import FILTER_WHEEL, filter_of
from daxa.xmm.odf.modes import (
    DATA_MODES,
    DIAGNOSTIC_MODES,
    UNDEFINED,
    ReadoutWindow,
    diagnostic_mode,
    mos_mode,
    om_mode,
    pn_mode,
    rgs_mode,
    windows_by_ccd,
)
from daxa.xmm.odf.mos_clock import central_frame_time
from daxa.xmm.odf.odf import SCIENCE_TYPES, Odf
from daxa.xmm.odf.resets import mos_clock_reset
from daxa.xmm.odf.times import TimeCorrelation, housekeeping_times, is_date, tt_to_utc, utc_to_tt

#: Keywords whose damage costs a file.
_NEEDED = (
    "DATE-OBS", "DATE-END", "WINDOWX0", "WINDOWY0", "WINDOWDX", "WINDOWDY", "CCDMODE", "CCDNODE", "CCDOCB",
    "FRMTIME", "SCITYPE",
)  # fmt: skip
#: Files whose DATE-END is known to be wrong: they count for a second (log of odfingest 3.33).
_MOMENTARY = ("DII", "DLI")
#: Version of SAS's odfingest whose manual and log are followed.
ODFINGEST_VERSION = "3.33"

Warn = Callable[[str, str], None]


@dataclass
class _Exposure:
    """What the headers of an exposure's files say."""

    starts: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    types: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    headers: dict[int, dict[str, Any]] = field(default_factory=dict)
    windows: list[tuple[int, ReadoutWindow | None]] = field(default_factory=list)
    #: File type and header of files that show no sky, by CCD.
    diagnostic: dict[int, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    all_times: list[tuple[str, str]] = field(default_factory=list)
    #: From DATE-OBS to DATE-END as the headers have them.
    duration_s: float = 0.0


def _end(
    name: OdfName,
    start: str,
    end: str,
    last_of_om: Callable[[], float | None],
    info: Callable[[str], None],
) -> str:
    """DATE-END of a file as odfingest corrects it."""
    if name.file_type in _MOMENTARY:
        info(f"Detected a data set with data mode {DATA_MODES[name.file_type]}: {name} counts for 1 s")
        return str(tt_to_utc(float(utc_to_tt(start)) + 1.0))
    if name.instrument == "OM":
        last = last_of_om()
        if last is not None and last < float(utc_to_tt(end)):
            info(f"DATE-END = {end} of {name} is later than the last housekeeping record, which replaces it")
            return max(start, str(tt_to_utc(last)))
    return end


def _last_housekeeping(odf: Odf, instrument: str, file_type: str) -> float | None:
    """Mission time of the last periodic record; None if there is none that can be read."""
    files = odf.find(instrument, file_type)
    try:
        tables = [file.read(1, columns("TIME 19A")) for file in files]
        times = [housekeeping_times(table["TIME"], table.where) for table in tables]
    except TaskError:
        return None
    times = [t for t in times if len(t)]
    return max(float(t.max()) for t in times) if times else None


def _collect(odf: Odf, ctx_info: Callable[[str], None], warn: Warn) -> dict[tuple[str, str], _Exposure]:
    exposures: dict[tuple[str, str], _Exposure] = defaultdict(_Exposure)
    last_of_om = cache(lambda: _last_housekeeping(odf, "OM", "PEH"))
    for file in odf.files:
        name = file.name
        if not name.is_science or name.instrument not in SUMMARY_INSTRUMENTS:
            continue
        try:
            primary, header = file.headers()
            merged = readable(header, primary, needed=_NEEDED)
        except TaskError as error:
            warn("MissingData", f"{error.message}; the file is left out")
            continue
        excess = file.excess()
        if excess:
            warn("InconsistentData", f"{file.path.name}, {excess}: rows may be missing")
        exposure = exposures[name.instrument, name.exp_id]
        start, end = (primary.get(k) or header.get(k) for k in ("DATE-OBS", "DATE-END"))
        if not start or not end:
            warn("MissingData", f"{file.path.name}: no DATE-OBS or DATE-END")
            continue
        if not (is_date(start) and is_date(end)):
            warn("MissingData", f"{file.path.name}: DATE-OBS or DATE-END: {start!r}, {end!r} are not dates")
            continue
        duration_s = float(utc_to_tt(end)) - float(utc_to_tt(start))
        if abs(duration_s) > LONGEST_S:
            warn(
                "InconsistentData",
                f"{file.path.name}: DATE-OBS {start} and DATE-END {end} are {duration_s / 86400:.1f} days "
                "apart; its times are left out",
            )
            continue
        exposure.duration_s = max(exposure.duration_s, duration_s)
        end = _end(name, start, end, last_of_om, ctx_info)
        ctx_info(f"Dataset Time Range: {name} : {start} - {end}")
        exposure.all_times.append((start, end))
        if name.file_type in DIAGNOSTIC_MODES:
            # Their times need not be those of the exposure whose number they carry.
            exposure.diagnostic.setdefault(name.ccd, (name.file_type, merged))
            continue
        exposure.starts.append(start)
        exposure.ends.append(end)
        if name.file_type in SCIENCE_TYPES[name.instrument]:
            exposure.types[name.ccd].add(name.file_type)
            exposure.headers.setdefault(name.ccd, merged)
            exposure.windows.append((name.ccd, ReadoutWindow.from_header(merged)))
    return exposures


def _modeparam(calibration: Any, instrument: str, warn: Warn) -> Any:
    if calibration is None:
        return None
    scope = INSTRUMENTS[instrument]
    try:
        return calibration.constituent(scope, "MODEPARAM").table("MODEPARAM")
    except TaskError as error:
        warn("MissingData", f"{error.message}; window modes cannot be told apart")
        return None


def _mode(
    instrument: str, exp_id: str, exposure: _Exposure, hk: Housekeeping, calibration: Any, warn: Warn
) -> str:
    label = f"{instrument}/{exp_id}"
    types = {ccd: next(iter(kinds)) for ccd, kinds in exposure.types.items()}
    if not types:
        kinds = sorted(exposure.diagnostic.values(), key=lambda found: found[0])
        if not kinds:
            return UNDEFINED
        diagnostic, doubt = diagnostic_mode(instrument, *kinds[0])
        if doubt:
            warn("MissingData", f"{label}: {doubt}")
        return diagnostic
    if instrument in ("M1", "M2"):
        windows = windows_by_ccd(exposure.windows)
        frame_time = central_frame_time(hk.odf, instrument, exp_id, exposure.headers.get(1, {}), label)
        frame_ms = None if frame_time is None else 1000 * frame_time
        mode = mos_mode(types, windows, frame_ms, _modeparam(calibration, instrument, warn))
    elif instrument == "PN":
        codes = {h.get("CCDMODE") for h in exposure.headers.values()}
        if len(codes) > 1:
            warn(
                "InconsistentCalibrationMode", f"{label}: CCDs in different modes: {sorted(map(str, codes))}"
            )
            return UNDEFINED
        times = [h["FRMTIME"] for h in exposure.headers.values() if h.get("FRMTIME")]
        known = [t for t in times if isinstance(t, (int, float))]
        span = float(utc_to_tt(min(exposure.starts))), float(utc_to_tt(max(exposure.ends)))
        wait = hk.records("PN", "PMH").steady("F1294", span)
        code = codes.pop()
        mode = pn_mode(types, code, known[0] if known else None, float(wait) if wait.isdigit() else None)
    elif instrument in ("R1", "R2"):
        mode = rgs_mode(types, {h.get("SCITYPE") for h in exposure.headers.values()})
    else:
        mode = om_mode({t for kinds in exposure.types.values() for t in kinds})
    if mode is None:
        why = "the windows of its CCDs belong to no known mode"
        if instrument == "PN":
            held = ", ".join(sorted(set(types.values())))
            why = f"CCDMODE {code!r} and files of the kinds {held} tell no mode"
        if instrument in ("M1", "M2") and calibration is None:
            why = "the window of CCD 1, which no other CCD has, tells the mode only with a calibration set"
        warn("UnknownInstrumentMode", f"{label}: {why}")
    return mode or UNDEFINED


def ingest(
    odf: Odf,
    ascii_summary: AsciiSummary,
    *,
    calibration: Any = None,
    correlation: TimeCorrelation | None = None,
    info: Callable[[str], None] = lambda _: None,
    warn: Warn = lambda code, message: None,
    find_modes: bool = True,
    use_housekeeping: bool = True,
    path: str | None = None,
) -> SasSummary:
    """Summarise an ODF.

    Parameters
    ----------
    odf, ascii_summary
        The files, and the content of SUM.ASC.
    calibration
        Calibration set; None: window modes of MOS stay unknown.
    correlation
        Relation of on-board time and UTC; None: the resets of MOS clocks stay unknown.
    info, warn
        Where messages go; ``warn(code, text)``.
    find_modes, use_housekeeping
        Whether to find the modes and the filters.
    path
        Text of the PATH line; None leaves it out.
    """
    if calibration is not None:
        calibration.refuse(odf)
    collected = _collect(odf, info, warn)
    times = [t for e in collected.values() for t in zip(e.starts, e.ends, strict=True)]
    start = min((t[0] for t in times), default=ascii_summary.start)
    end = max((t[1] for t in times), default=ascii_summary.end)
    info(f"Observation Time Range: {start} - {end}")
    # Real summaries list themselves in the place of SUM.ASC.
    names = [name.replace("SUM.ASC", "SUM.SAS") for name in odf.names]
    summary = SasSummary(
        odf.obs_id, odf.revolution, start, end, names, {}, path, ascii_summary.tail, ascii_summary.slew,
        dict(ascii_summary.configuration),
    )  # fmt: skip
    hk = Housekeeping(odf)
    for (instrument, exp_id), exposure in sorted(collected.items()):
        if not exposure.all_times:
            continue
        label = f"{instrument}/{exp_id}"
        first = min(exposure.starts or [t[0] for t in exposure.all_times])
        last = max(exposure.ends or [t[1] for t in exposure.all_times])
        info(f"{label} start = {first} end = {last}")
        entry = ExposureSummary(exp_id, first, last)
        summary.instruments.setdefault(instrument, []).append(entry)
        if not (exposure.types or exposure.diagnostic):
            entry.remarks.append("no event file")
        if find_modes:
            _add_modes(entry, instrument, exposure, hk, calibration, warn)
        if use_housekeeping:
            _add_configuration(entry, instrument, exposure, hk, correlation, info, warn)
        info(f"{instrument} {entry}")
    for where in hk.unsorted:
        warn("NotATimeSortedTable", f"{where}: its rows are not in the order of time; they are sorted")
    for (instrument, kind), problem in hk.problems.items():
        text = f"{problem}; what it tells of exposures stays unknown"
        if kind == FILTER_WHEEL.get(instrument, ("",))[0]:
            warn("HousekeepingParameterMissing", text)
        else:
            info(text)
    return summary


def _add_modes(
    entry: ExposureSummary,
    instrument: str,
    exposure: _Exposure,
    hk: Housekeeping,
    calibration: Any,
    warn: Warn,
) -> None:
    """Mode of an exposure, and kind of data and mode of each of its CCDs (or windows, for OM)."""
    label = f"{instrument}/{entry.exp_id}"
    double = sorted(ccd for ccd, kinds in exposure.types.items() if len(kinds) > 1)
    if double and instrument != "OM":
        warn("InconsistentDataMode", f"{label}: CCD {double[0]} has files of more than one data mode")
        entry.mode = UNDEFINED
        return
    entry.mode = _mode(instrument, entry.exp_id, exposure, hk, calibration, warn)
    if entry.mode == UNDEFINED:
        return
    kinds = {ccd: min(types) for ccd, types in exposure.types.items()}
    kinds = kinds or {ccd: kind for ccd, (kind, _) in exposure.diagnostic.items()}
    entry.ccd_modes = {ccd: DATA_MODES[kind] for ccd, kind in kinds.items()}
    # Assumed for window and timing modes: summaries of full-frame exposures are at hand only.
    entry.calibration_modes = dict.fromkeys(kinds, entry.mode)


def _add_configuration(
    entry: ExposureSummary,
    instrument: str,
    exposure: _Exposure,
    hk: Housekeeping,
    correlation: TimeCorrelation | None,
    info: Callable[[str], None],
    warn: Warn,
) -> None:
    """Filter, reset of the clock and everything else that housekeeping and headers tell."""
    span = float(utc_to_tt(entry.start)), float(utc_to_tt(entry.end))
    reset = None
    if instrument in ("M1", "M2") and correlation is not None and exposure.types:
        reset = mos_clock_reset(hk.odf, instrument, entry.exp_id, span, correlation)
        if reset.assumed:
            entry.assumed[CLOCK_RESET] = reset.assumed
            warn("noClockReset", f"{instrument} {entry.exp_id}: {reset.doubt}")
    wheel = None
    # The filter of an exposure without any data would make it look as if it could be reduced.
    if instrument in FILTER_WHEEL and (exposure.types or exposure.diagnostic):
        # Nothing is reduced of the others.
        say = warn if exposure.types else lambda code, text: info(text)
        entry.filter, wheel = filter_of(hk, instrument, entry.start, entry.end, say)
    elif instrument == "OM":
        entry.filter, wheel = om_filter(hk, span)
    about = Circumstances(span, exposure.headers, entry.filter, wheel, reset, exposure.duration_s)
    entry.parameters = configuration(hk, instrument, about, events=bool(exposure.types))
    for where, names in hk.changed().items():
        info(f"{instrument}/{entry.exp_id}: {', '.join(names)} of {where} change during it and stay unknown")
