"""The task odfingest: make the summary file ``SUM.SAS`` of an ODF.

Source: manual of odfingest (algorithm, warnings, format of the summary file).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from daxa._version import __version__
from daxa.xmm.odf.configuration import Circumstances, Housekeeping, Records, configuration, om_filter
from daxa.xmm.odf.layout import (
    MOS_FILTER_CODES,
    MOS_FRMTIME_UNIT_S,
    PN_FILTER_CODES,
    PN_FILTER_TOLERANCE_DEG,
)
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
from daxa.xmm.odf.names import OdfName
from daxa.xmm.odf.odf import SCIENCE_TYPES, Odf
from daxa.xmm.odf.resets import mos_clock_reset
from daxa.xmm.odf.summary import (
    LONGEST_S,
    SUMMARY_INSTRUMENTS,
    AsciiSummary,
    ExposureSummary,
    SasSummary,
    read_ascii_summary,
)
from daxa.xmm.odf.summary_writer import write_sas_summary
from daxa.xmm.odf.times import TimeCorrelation, housekeeping_times, is_date, tt_to_utc, utc_to_tt
from daxa.xmm.tables import columns
from daxa.xmm.task import Parameter, Parameters, TaskContext, TaskError, task

#: Housekeeping file, column and codes of the filter wheel.
_FILTER_WHEEL = {
    "M1": ("PEH", "E1317", MOS_FILTER_CODES),
    "M2": ("PEH", "K1317", MOS_FILTER_CODES),
    "PN": ("PMH", "F1122", PN_FILTER_CODES),
}
#: Names of pn filters in the housekeeping columns F1118 (``FILTC-MEDIUM``) and FD130 (``MEDIUM``), which a
#: real log of odfingest 3.33 prints. "CAL" in front stands for the calibration source (assumed).
_PN_FILTER_TEXT = re.compile(r"^(?:FILTC-)?(CAL)?[-_ ]?(CLOSED|THIN1|THIN2|MEDIUM|THICK|OPEN)$")
#: Files whose DATE-END is known to be wrong: they count for a second (log of odfingest 3.33).
_MOMENTARY = ("DII", "DLI")
#: Version of SAS's odfingest whose manual and log are followed.
ODFINGEST_VERSION = "3.33"
#: How far a potentiometer reading may be from the nominal code of a position.
_CODE_TOLERANCE = 2

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


def translate(value: float, codes: Mapping[int, str], tolerance: float = _CODE_TOLERANCE) -> str | None:
    """Name of a housekeeping code, None if no code is near enough."""
    nearest = min(codes, key=lambda code: abs(code - value))
    return codes[nearest] if abs(nearest - value) <= tolerance else None


def housekeeping_value(
    time_s: np.ndarray, values: np.ndarray, start_s: float, stop_s: float
) -> tuple[float | None, str | None]:
    """Value of a housekeeping parameter during an exposure.

    Parameters
    ----------
    time_s, values
        Records, in time order.
    start_s, stop_s
        The exposure, same clock as ``time_s``.

    Returns
    -------
    value, problem
        The value and None, or None and the name of SAS's warning: ``HousekeepingParameterMissing`` (no
        record in the exposure, or the exposure reaches beyond the records), ``NewHousekeepingValue``
        (it changed).
    """
    if not len(time_s):
        return None, "HousekeepingParameterMissing"
    inside = (time_s >= start_s) & (time_s <= stop_s)
    # A record stands for the time until the next one.
    margin = float(np.median(np.diff(time_s))) if len(time_s) > 1 else 0.0
    if not inside.any() or start_s < time_s.min() - margin or stop_s > time_s.max() + margin:
        return None, "HousekeepingParameterMissing"
    found = np.unique(values[inside])
    return (float(found[0]), None) if len(found) == 1 else (None, "NewHousekeepingValue")


def pn_filter_of_text(text: str) -> str | None:
    """Name of a pn filter as the columns F1118 and FD130 write it; None for other texts."""
    match = _PN_FILTER_TEXT.match(text.strip().upper())
    return f"{'Cal' if match[1] else ''}{match[2].capitalize()}" if match else None


def _end(odf: Odf, name: OdfName, start: str, end: str, info: Callable[[str], None]) -> str:
    """DATE-END of a file as odfingest corrects it."""
    if name.file_type in _MOMENTARY:
        info(f"Detected a data set with data mode {DATA_MODES[name.file_type]}: {name} counts for 1 s")
        return str(tt_to_utc(float(utc_to_tt(start)) + 1.0))
    if name.instrument == "OM":
        last = _last_housekeeping(odf, "OM", "PEH")
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
    for file in odf.files:
        name = file.name
        if not name.is_science or name.instrument not in SUMMARY_INSTRUMENTS:
            continue
        try:
            primary, header = file.headers()
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
            warn("MissingData", f"{file.path.name}: DATE-OBS or DATE-END: {start!r}, {end!r} are no dates")
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
        end = _end(odf, name, start, end, ctx_info)
        ctx_info(f"Dataset Time Range: {name} : {start} - {end}")
        exposure.all_times.append((start, end))
        if name.file_type in DIAGNOSTIC_MODES:
            # Their times need not be those of the exposure whose number they carry.
            exposure.diagnostic.setdefault(name.ccd, (name.file_type, dict(primary) | dict(header)))
            continue
        exposure.starts.append(start)
        exposure.ends.append(end)
        if name.file_type in SCIENCE_TYPES[name.instrument]:
            exposure.types[name.ccd].add(name.file_type)
            merged = dict(primary) | dict(header)
            exposure.headers.setdefault(name.ccd, merged)
            exposure.windows.append((name.ccd, ReadoutWindow.from_header(merged)))
    return exposures


def _filter(
    hk: Housekeeping, instrument: str, start: str, end: str, warn: Warn
) -> tuple[str | None, float | None]:
    """Filter of an exposure and reading of its wheel; None, with a warning, where they cannot be told."""
    file_type, column, codes = _FILTER_WHEEL[instrument]
    records = hk.records(instrument, file_type)
    if (instrument, file_type) in hk.problems:
        warn("HousekeepingParameterMissing", hk.problems[instrument, file_type])
    if not records.columns:
        return None, None
    if column not in records.columns:
        have = ", ".join(records.columns)
        warn("HousekeepingParameterMissing", f"{records.where}: no column {column}; it has {have}")
        return None, None
    span = float(utc_to_tt(start)), float(utc_to_tt(end))
    if records.columns[column].dtype.kind not in "iuf":
        warn("HousekeepingParameterMissing", f"{records.where}: column {column} holds no numbers")
        return None, None
    values = records.columns[column].astype(np.float64)
    if instrument == "PN":
        texts = _pn_filters(records, *span)
        if len(texts) == 1:
            rows = (records.time_s >= span[0]) & (records.time_s <= span[1])
            return texts.pop(), float(np.median(values[rows]))
    found, problem = housekeeping_value(records.time_s, values, *span)
    if problem is not None or found is None:
        warn(problem or "HousekeepingParameterMissing", f"{instrument} {column} between {start} and {end}")
        return None, None
    tolerance = PN_FILTER_TOLERANCE_DEG if instrument == "PN" else _CODE_TOLERANCE
    name = translate(found, codes, tolerance)
    if name is None:
        warn("TranslationNotAvailable", f"{instrument} {column}: {found:g} is no filter position")
        return None, None
    return name, found


def _pn_filters(records: Records, start_s: float, stop_s: float) -> set[str]:
    """Filters that the text columns name during an exposure, while the wheel stands still."""
    rows = (records.time_s >= start_s) & (records.time_s <= stop_s)
    columns = records.columns
    if "F1119" in columns:
        rows &= np.char.strip(columns["F1119"].astype(str)) == "STOPPED"
    for column in ("FD130", "F1118"):
        if column in columns:
            texts = np.unique(columns[column][rows].astype(str))
            found = {name for text in texts if (name := pn_filter_of_text(str(text)))}
            if found:
                return found
    return set()


def _modeparam(calibration: Any, instrument: str, warn: Warn) -> Any:
    if calibration is None:
        return None
    scope = {"M1": "EMOS1", "M2": "EMOS2"}[instrument]
    try:
        return calibration.constituent(scope, "MODEPARAM").table("MODEPARAM")
    except TaskError as error:
        warn("MissingData", f"{error.message}; window modes cannot be told apart")
        return None


def _mode(
    instrument: str, exposure: _Exposure, hk: Housekeeping, calibration: Any, warn: Warn, label: str
) -> str:
    types = {ccd: next(iter(kinds)) for ccd, kinds in exposure.types.items()}
    if not types:
        kinds = sorted(exposure.diagnostic.values(), key=lambda found: found[0])
        return diagnostic_mode(instrument, *kinds[0]) if kinds else UNDEFINED
    if instrument in ("M1", "M2"):
        windows = windows_by_ccd(exposure.windows)
        frame_time = exposure.headers.get(1, {}).get("FRMTIME")
        frame_time = 1000 * MOS_FRMTIME_UNIT_S * frame_time if isinstance(frame_time, (int, float)) else None
        mode = mos_mode(types, windows, frame_time, _modeparam(calibration, instrument, warn))
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
        mode = pn_mode(
            types, codes.pop(), known[0] if known else None, float(wait) if wait.isdigit() else None
        )
    elif instrument in ("R1", "R2"):
        mode = rgs_mode(types, {h.get("SCITYPE") for h in exposure.headers.values()})
    else:
        mode = om_mode({t for kinds in exposure.types.values() for t in kinds})
    if mode is None:
        warn("UnknownInstrumentMode", f"{label}: the windows of its CCDs belong to no known mode")
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
        if find_modes:
            _add_modes(entry, instrument, exposure, hk, calibration, warn)
        if use_housekeeping:
            _add_configuration(entry, instrument, exposure, hk, correlation, warn)
    for (instrument, kind), problem in hk.problems.items():
        # The filter wheel's was a warning.
        if kind != _FILTER_WHEEL.get(instrument, ("",))[0]:
            info(f"{problem}; what it tells of exposures stays unknown")
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
    entry.mode = _mode(instrument, exposure, hk, calibration, warn, label)
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
    warn: Warn,
) -> None:
    """Filter, reset of the clock and everything else that housekeeping and headers tell."""
    span = float(utc_to_tt(entry.start)), float(utc_to_tt(entry.end))
    reset = None
    if instrument in ("M1", "M2") and correlation is not None and exposure.types:
        reset = mos_clock_reset(hk.odf, instrument, entry.exp_id, span, correlation)
        if reset.doubt:
            warn("noClockReset", f"{instrument} {entry.exp_id}: {reset.doubt}")
    wheel = None
    # The filter of an exposure without any data would make it look as if it could be reduced.
    if instrument in _FILTER_WHEEL and (exposure.types or exposure.diagnostic):
        say = warn if exposure.types else lambda code, text: None
        entry.filter, wheel = _filter(hk, instrument, entry.start, entry.end, say)
    elif instrument == "OM":
        entry.filter, wheel = om_filter(hk, span)
    about = Circumstances(span, exposure.headers, entry.filter, wheel, reset, exposure.duration_s)
    entry.parameters = configuration(hk, instrument, about, events=bool(exposure.types))


@task(
    "odfingest",
    ODFINGEST_VERSION,
    [
        Parameter("odfdir", "string", "."),
        Parameter("withodfdir", "bool", False),
        Parameter("outdir", "string", "."),
        Parameter("summaryfile", "string", "0000_0000000000_SCX000SUM.SAS"),
        Parameter("usecanonicalname", "bool", True),
        Parameter("writepath", "bool", True),
        Parameter("findinstrumentmodes", "bool", True),
        Parameter("usehousekeeping", "bool", True),
        Parameter("oalcheck", "bool", False),
    ],
)
def odfingest(ctx: TaskContext, p: Parameters) -> None:
    "Make the summary file of an ODF."
    odf = Odf.from_environment(ctx.env, ctx.cwd, p.odfdir if p.withodfdir else None)
    ctx.info(f"Looking for ODF constituents in {odf.folder}/")
    ctx.info(f"Identified the following ODF {odf.revolution:04d}_{odf.obs_id}: {len(odf.files)} files")
    ascii_summary = _ascii_summary(odf, ctx.warn)
    summary = ingest(
        odf,
        ascii_summary,
        calibration=_calibration(ctx) if p.findinstrumentmodes else None,
        correlation=_correlation(ctx, odf) if p.usehousekeeping else None,
        info=ctx.info,
        warn=ctx.warn,
        find_modes=p.findinstrumentmodes,
        use_housekeeping=p.usehousekeeping,
        path=f"{odf.folder.resolve()}/" if p.writepath else None,
    )
    name = f"{odf.revolution:04d}_{odf.obs_id}_SCX00000SUM.SAS" if p.usecanonicalname else p.summaryfile
    target = Path(p.outdir) / name
    with ctx.output(target) as part:
        write_sas_summary(summary, part, f"daxa-{__version__}", ODFINGEST_VERSION)
    ctx.info(f"Summary file {target} written")


def _ascii_summary(odf: Odf, warn: Warn) -> AsciiSummary:
    file = odf.ascii_summary
    if file is None:
        raise TaskError("OdfSummaryFileNotFound", f"{odf.folder}: the ODF has no SUM.ASC file")
    try:
        content = read_ascii_summary(file.path)
    except (ValueError, OSError, EOFError) as error:
        raise TaskError("damagedFile", str(error)) from error
    if not content.tail:
        warn("MissingData", f"{file.path.name}: no PROPOSAL record")
    if content.obs_id != odf.obs_id:
        raise TaskError(
            "MultipleObservations",
            f"{file.path.name} is of observation {content.obs_id}, the files of {odf.obs_id}",
        )
    present = set(odf.names)
    absent = [n for n in content.files if n.upper() not in present]
    if absent:
        warn(
            "MissingData",
            f"{len(absent)} of the {len(content.files)} files named in {file.path.name} are absent, "
            f"e.g. {absent[0]}",
        )
    return content


def _correlation(ctx: TaskContext, odf: Odf) -> TimeCorrelation | None:
    try:
        return TimeCorrelation.from_odf(odf)
    except TaskError as error:
        ctx.warn("MissingData", f"{error.message}: resets of the clocks of MOS stay unknown")
        return None


def _calibration(ctx: TaskContext) -> Any:
    if not (ctx.env.get("SAS_CCF") or ctx.env.get("SAS_CCFPATH")):
        ctx.warn("NoCifGiven", "SAS_CCF is not set: window modes of the MOS cameras stay undefined")
        return None
    from daxa.xmm.ccf.calibration import Calibration

    try:
        return Calibration.from_environment(ctx.env, ctx.cwd)
    except TaskError as error:
        if error.code == "syntheticCalibration":
            raise
        ctx.warn("NoCifGiven", f"{error.message}: window modes of the MOS cameras stay undefined")
        return None
