"""The summary files of an ODF: ``SUM.ASC`` (comes with the data) and ``SUM.SAS`` (made by odfingest).

Both are text. Source: manual of odfingest (appendices on the summary files), and the anchors that
parsers in the field match. Nothing heavy is imported here.
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from daxa.xmm.formats.instruments import SUMMARY_INSTRUMENTS

#: Value of a configuration parameter that the raw files do not tell, as real summaries have it.
UNKNOWN = "Unknown"
#: Seconds of the reset of the clock; the fraction is in a parameter of its own.
CLOCK_RESET, CLOCK_RESET_FINE = "CLOCK_RESET_TIME_COARSE", "CLOCK_RESET_TIME_FINE"
#: Modes whose data show no sky, or are not event data of the ordinary kind.
NON_SCIENCE_MODES = frozenset(
    (
        "Diagnostic3x3",
        "Diagnostic1x1",
        "CcdDiagnostic",
        "Diagnostic1x1ResetPerPixel",
        "Diagnostic",
        "Noise",
        "Offset",
        "HighTimeResolutionSingleCcd",
        "OffsetVariance",
        "CentroidingConfirmation",
        "CentroidingData",
        "DarkHigh",
        "DarkLow",
        "FlatFieldHigh",
        "FlatFieldLow",
    )
)
#: Filter positions through which the sky is not seen.
BLIND_FILTERS = frozenset(("CalClosed", "Closed", "Blocked", "Unknown"))

#: Parameters of the observation that tell of odfingest.
_METADATA = ("ODFINGEST_VERSION", "SAS_MANIFEST", "PROCESS_DATE")
#: Longer than any observation [s]; a revolution lasts two days.
LONGEST_S = 4 * 86400.0
#: Begins a comment, which other readers skip, before a parameter that is assumed.
ASSUMED_MARK = "// ASSUMED:"
_ASSUMED = re.compile(rf"^{ASSUMED_MARK} (\w+) EARLY=(\d+(?:\.\d+)?) LATE=(\d+(?:\.\d+)?)$")
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?$")


@dataclass(frozen=True)
class AsciiSummary:
    """Content of ``SUM.ASC``.

    Attributes
    ----------
    start, end
        Scheduled start and stop of the observation, ISO, UTC.
    ra_deg, dec_deg
        Target position in degrees (the file has the right ascension in hours); None where not given.
    nominal_ra_deg, nominal_dec_deg
        Commanded direction of the boresight; that of the target where not given.
    n_files
        Number of files the summary announces.
    files
        Their names.
    configuration
        Parameters of the observation's CONFIGURATION record (``ODF_VERSION``, ``PRIME_INSTR``).
    tail
        The text from the PROPOSAL record on, which odfingest copies into its own summary.
    """

    obs_id: str
    revolution: int
    start: str
    end: str
    target: str = ""
    ra_deg: float | None = None
    dec_deg: float | None = None
    nominal_ra_deg: float | None = None
    nominal_dec_deg: float | None = None
    observer: str = ""
    n_files: int = 0
    files: tuple[str, ...] = ()
    slew: bool = False
    configuration: dict[str, str] = field(default_factory=dict)
    tail: str = ""


@dataclass(frozen=True)
class Assumed:
    """Seconds that times may be early and late because a parameter is assumed."""

    early_s: float
    late_s: float

    def __str__(self) -> str:
        late = f"times may be up to {self.late_s:.1f} s late"
        return f"{late} or {self.early_s:.1f} s early" if self.early_s else late


@dataclass
class ExposureSummary:
    """One exposure of ``SUM.SAS``.

    ``parameters`` are further ``NAME -> (value, comment)`` records, in their order. The value
    :data:`UNKNOWN` stands for what was looked for and not found; such records are written, but are not
    there when a summary is read. ``assumed`` are those of them that nothing tells; ``remarks`` become
    comments.
    """

    exp_id: str
    start: str
    end: str
    type: str = "SCIENCE"
    mode: str | None = None
    filter: str | None = None
    ccd_modes: dict[int, str] = field(default_factory=dict)
    calibration_modes: dict[int, str] = field(default_factory=dict)
    parameters: dict[str, tuple[str, str]] = field(default_factory=dict)
    assumed: dict[str, Assumed] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """What is known of it, in a line: ``S001  PrimeFullWindow, Medium, 60 of 70 parameters known``."""
        known = sum(value != UNKNOWN for value, _ in self.parameters.values())
        words = [self.mode or UNKNOWN, *([self.filter] if self.filter else []), *self.remarks]
        words.append(f"{known} of {len(self.parameters)} parameters known")
        reset, _ = self.parameters.get(CLOCK_RESET, (UNKNOWN, ""))
        if reset != UNKNOWN:
            words.append(f"clock reset at {reset} s{' (assumed)' if CLOCK_RESET in self.assumed else ''}")
        return f"{self.exp_id}  {', '.join(words)}"

    @property
    def scheduled(self) -> bool:
        """Whether the exposure was in the observation's plan."""
        return self.exp_id[:1] == "S"


@dataclass
class SasSummary:
    """Content of ``SUM.SAS``.

    ``instruments`` maps an instrument code to its exposures; ``configuration`` are the parameters of the
    observation, which come from SUM.ASC.
    """

    obs_id: str
    revolution: int
    start: str
    end: str
    files: list[str] = field(default_factory=list)
    instruments: dict[str, list[ExposureSummary]] = field(default_factory=dict)
    path: str | None = None
    tail: str = ""
    slew: bool = False
    configuration: dict[str, str] = field(default_factory=dict)

    def exposure(self, instrument: str, exp_id: str) -> ExposureSummary | None:
        """The exposure, or None if the summary does not list it.

        Parameters
        ----------
        instrument
            Two-letter code, e.g. ``PN``.
        exp_id
            Identifier, e.g. ``S003``.
        """
        return next((e for e in self.instruments.get(instrument, []) if e.exp_id == exp_id), None)


def assumed_line(name: str, assumed: Assumed) -> str:
    """The comment before a parameter that is assumed.

    Parameters
    ----------
    name
        Name of the parameter.
    assumed
        How far start and end of the exposure may be wrong.
    """
    return f"{ASSUMED_MARK} {name} EARLY={assumed.early_s:g} LATE={assumed.late_s:g}"


def is_time(text: str) -> bool:
    """Whether a text is a date ``yyyy-mm-ddThh:mm:ss[.f]``.

    Parameters
    ----------
    text
        The text.

    Examples
    --------
    >>> is_time("2004-03-01T01:02:03"), is_time("yesterday")
    (True, False)
    """
    try:
        return bool(_TIME.match(text)) and span_s(text, text) == 0
    except ValueError:
        return False


#: Assumed of summaries: real ones have some 100 kB.
_LARGEST = 16 * 2**20


def _lines(path: str | os.PathLike[str]) -> list[str]:
    # Names and titles may hold any byte; Latin-1 reads them all.
    with Path(path).open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if packed else Path(path).open("rb") as file:
            data = file.read(_LARGEST + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: cannot be unpacked: {error}") from error
    if len(data) > _LARGEST:
        raise ValueError(f"{path}: larger than {_LARGEST >> 20} MiB, which no summary is")
    return [line.rstrip() for line in data.decode("latin-1").split("\n")]


def _value(line: str) -> str:
    """The text before the comment, which real files begin with ``/`` or ``//``."""
    return re.split(r"\s//?(?:\s|$)", line, maxsplit=1)[0].strip()


def _comment(line: str) -> str:
    parts = re.split(r"\s//?(?:\s|$)", line, maxsplit=1)
    return parts[1].strip() if len(parts) == 2 else ""


def _keyword(line: str) -> tuple[str, str] | None:
    name, found, value = _value(line).partition("=")
    return (name.strip(), value.strip()) if found and name.strip() else None


def _record(lines: list[str], title: str | Iterable[str], path: object) -> int:
    titles = (title,) if isinstance(title, str) else tuple(title)
    for number, line in enumerate(lines):
        if line.strip() in titles:
            return number
    raise ValueError(f"{path}: no {' or '.join(titles)} record; this is not an ODF summary file")


def _observation(lines: list[str], path: object) -> tuple[bool, str, int, str, str]:
    head = _record(lines, ("OBSERVATION", "SLEW"), path)
    values = [_value(line) for line in lines[head + 1 : head + 5]]
    if (
        len(values) < 4
        or not re.fullmatch(r"\d{10}", values[0])
        or not re.fullmatch(r"\d{1,4}", values[1])
        or not all(is_time(v) for v in values[2:])
    ):
        raise ValueError(
            f"{path}: the {lines[head].strip()} record needs an identifier, a revolution and two times, "
            f"has {values}"
        )
    seconds = span_s(values[2], values[3])
    if not 0 <= seconds <= LONGEST_S:
        raise ValueError(
            f"{path}: the {lines[head].strip()} record has it last from {values[2]} to {values[3]}, "
            f"{seconds / 86400:.1f} days; an observation ends after its start and lasts a few days at most"
        )
    return lines[head].strip() == "SLEW", values[0], int(values[1]), values[2], values[3]


def span_s(start: str, end: str) -> float:
    """Seconds between two dates ``yyyy-mm-ddThh:mm:ss``, without leap seconds.

    Parameters
    ----------
    start, end
        The dates; what stands behind whole seconds is left out.

    Raises
    ------
    ValueError
        A text is not a date.
    """
    # The calendar has no second of 60.
    first, last = (
        datetime.fromisoformat(text[:17] + text[17:19].replace("60", "59")) for text in (start, end)
    )
    return (last - first).total_seconds()


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def printable(text: str) -> str:
    """Text that FITS keywords can hold.

    Parameters
    ----------
    text
        The text.
    """
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def _configuration(lines: list[str]) -> dict[str, str]:
    """Parameters of the observation's own CONFIGURATION record."""
    found: dict[str, str] = {}
    at = next((n for n, line in enumerate(lines) if line.strip() == "CONFIGURATION"), len(lines))
    for entry in lines[at + 2 :]:
        pair = _keyword(entry)
        if pair is not None:
            found[pair[0]] = pair[1]
        elif not entry.startswith("//") or entry.strip() == "//":
            break
    return found


def read_ascii_summary(path: str | os.PathLike[str]) -> AsciiSummary:
    """Read ``SUM.ASC``.

    Parameters
    ----------
    path
        The file; may be gzipped.

    Raises
    ------
    ValueError
        It has no observation record or the record is damaged; the message names the file.
    """
    lines = _lines(path)
    slew, obs_id, revolution, start, end = _observation(lines, path)
    n_files, files = 0, []
    for at, line in enumerate(lines):
        if line.strip() == "FILES" and at + 1 < len(lines):
            count = _value(lines[at + 1])
            n_files = int(count) if count.isdigit() else 0
            for entry in lines[at + 2 :]:
                name = _value(entry)
                if not re.fullmatch(r"\d{4}_\d{10}_\w{11}\.\w{3}(\.gz)?", name):
                    break
                files.append(name)
            break
    tail_at = next((n for n, line in enumerate(lines) if line.strip() == "PROPOSAL"), None)
    values = {_comment(line): _value(line) for line in lines if _comment(line)}
    ra_hours, dec = (_number(values.get(f"Target {c}", "")) for c in ("Right Ascension", "Declination"))
    nominal = [_number(values.get(f"Boresight {c}", "")) for c in ("Right Ascension", "Declination")]
    if None in nominal:
        nominal = [ra_hours, dec]
    observer = lines[tail_at + 1] if tail_at is not None and tail_at + 1 < len(lines) else ""
    return AsciiSummary(
        obs_id=obs_id,
        revolution=revolution,
        start=start,
        end=end,
        target=printable(values.get("Target Name", "")),
        ra_deg=None if ra_hours is None else ra_hours * 15.0,
        dec_deg=dec,
        nominal_ra_deg=None if nominal[0] is None else nominal[0] * 15.0,
        nominal_dec_deg=nominal[1],
        observer=printable(" ".join(_value(observer).split())),
        n_files=n_files,
        files=tuple(files),
        slew=slew,
        configuration=_configuration(lines),
        tail="" if tail_at is None else "\n".join(lines[tail_at:]).rstrip("\n") + "\n",
    )


def read_sas_summary(path: str | os.PathLike[str]) -> SasSummary:
    """Read ``SUM.SAS``, ours or SAS's own.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    ValueError
        The file is not a summary, or an instrument has another number of exposures than it announces.
    """
    lines = _lines(path)
    slew, obs_id, revolution, start, end = _observation(lines, path)
    summary = SasSummary(obs_id, revolution, start, end, slew=slew)
    for line in lines:
        if line and not line.startswith("//"):
            words = line.split(maxsplit=1)
            if words[0] == "PATH" and len(words) == 2:
                summary.path = os.fsdecode(words[1].strip().encode("latin-1"))
            break
    at = next((n for n, line in enumerate(lines) if line.strip() == "FILES"), None)
    if at is not None:
        for line in lines[at + 2 :]:
            if not re.match(r"\d{4}_\d{10}_", line):
                break
            summary.files.append(_value(line))
    summary.configuration = {k: v for k, v in _configuration(lines).items() if k not in _METADATA}
    heads = [n for n, line in enumerate(lines) if line.strip() == "INSTRUMENT"]
    tail = next((n for n, line in enumerate(lines) if line.strip() == "PROPOSAL"), len(lines))
    for head, until in zip(heads, [*heads[1:], tail][: len(heads)], strict=True):
        code = lines[head + 1].strip()[:2] if head + 1 < len(lines) else ""
        if code not in SUMMARY_INSTRUMENTS:
            raise ValueError(f"{path}, line {head + 2}: {code!r} is not an instrument")
        summary.instruments[code] = _read_exposures(lines[head:until], code, path)
    summary.tail = "\n".join(lines[tail:]).rstrip("\n") + "\n" if tail < len(lines) else ""
    return summary


def _read_exposures(block: list[str], instrument: str, path: object) -> list[ExposureSummary]:
    count = next((_value(b) for b in block if "Number of exposures for this instrument" in b), "0")
    starts = [n for n, line in enumerate(block) if line.strip() == "EXPOSURE"]
    if not count.isdigit() or int(count) != len(starts):
        raise ValueError(f"{path}: {instrument} announces {count} exposures and has {len(starts)}")
    result = []
    for at, until in zip(starts, [*starts[1:], len(block)][: len(starts)], strict=True):
        result.append(_read_exposure(block[at + 1 : until], instrument, path))
    return result


def _read_exposure(lines: list[str], instrument: str, path: object) -> ExposureSummary:
    if not lines:
        raise ValueError(f"{path}: {instrument} has an EXPOSURE record without content")
    also = re.search(r"\[also\s+([SU]\d{3})\]", lines[0])
    identifier = also.group(1) if also else (lines[0].split() or [""])[0]
    times = [_value(line) for line in lines if _TIME.match(_value(line))]
    # Scheduled start and end come first, the actual ones after them.
    start, stop = times[2:4] if len(times) >= 4 else [*times, "", ""][:2]
    exposure = ExposureSummary(identifier, start, stop)
    for line in lines[1:]:
        if marked := _ASSUMED.match(line):
            exposure.assumed[marked[1]] = Assumed(float(marked[2]), float(marked[3]))
        if line.startswith("//"):
            continue
        if "/ Exposure Type" in line:
            exposure.type = (_value(line).split() or [""])[0]
        pair = _keyword(line)
        if pair is None:
            continue
        name, value = pair
        if "/ Instrument configuration" in line:
            exposure.mode = value.split()[0] if value.split() else None
        elif name == "FILTER":
            exposure.filter = value.split()[0] if value.split() and value != UNKNOWN else None
        elif numbered := re.fullmatch(r"(DATA|CALIBRATION)_MODE_(\d+)", name):
            target = exposure.ccd_modes if numbered[1] == "DATA" else exposure.calibration_modes
            target[int(numbered[2])] = value
        elif not name.startswith("__") and value != UNKNOWN:
            exposure.parameters[name] = (value, _comment(line))
    return exposure


def observation_summary(path: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """What was observed, as a plain dictionary.

    Parameters
    ----------
    path
        ``SUM.SAS`` file.

    Returns
    -------
    dict
        Instrument code -> ``active`` (bool), ``num_exp`` (int) and ``exposures``: exposure identifier ->
        ``scheduled`` (bool), ``type``, ``mode``, ``filter`` (text or None), ``ccd_modes`` (CCD -> text).

    Raises
    ------
    ValueError
        See :func:`read_sas_summary`.
    """
    summary = read_sas_summary(path)
    return {
        instrument: {
            "active": bool(exposures),
            "num_exp": len(exposures),
            "exposures": {
                e.exp_id: {
                    "scheduled": e.scheduled,
                    "type": e.type,
                    "mode": e.mode,
                    "filter": e.filter,
                    "ccd_modes": dict(e.ccd_modes),
                }
                for e in exposures
            },
        }
        for instrument, exposures in summary.instruments.items()
    }


def why_unusable(instrument: str, exposure: dict[str, Any]) -> str | None:
    """Why an exposure (of :func:`observation_summary`) shows no astrophysics; None if it does.

    Parameters
    ----------
    instrument
        Two-letter code, e.g. ``PN``.
    exposure
        What the summary says of the exposure.
    """
    if exposure["type"] != "SCIENCE":
        return f"exposure type is {exposure['type']}"
    if instrument not in ("R1", "R2") and (exposure["filter"] is None or exposure["filter"] in BLIND_FILTERS):
        return f"filter is {exposure['filter'] or 'unknown'}"
    if exposure["mode"] in NON_SCIENCE_MODES:
        return f"mode is {exposure['mode']}"
    return None
