"""What the engine takes from raw files, and how it recognises it."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.findings import Finding, column_lines, plain
from daxa.xmm.fits.hdus import is_table, open_hdus, verify_error
from daxa.xmm.fits.schema import Column
from daxa.xmm.formats import odf as layout
from daxa.xmm.formats import odf_files as filetypes
from daxa.xmm.formats.instruments import INSTRUMENTS
from daxa.xmm.formats.odf_names import OdfName
from daxa.xmm.formats.summary import AsciiSummary, read_ascii_summary, read_sas_summary
from daxa.xmm.notes import listening
from daxa.xmm.odf.damage import DAMAGE, check_fields, damage_text
from daxa.xmm.odf.file import OdfFile
from daxa.xmm.odf.ingest import ingest
from daxa.xmm.odf.mos_clock import unwrap_stamps
from daxa.xmm.odf.odf import Odf, scan
from daxa.xmm.odf.times import TimeCorrelation

#: File type -> what it holds.
_KINDS = {
    "IME": "imaging events",
    "RIE": "reduced imaging events",
    "TIE": "timing events",
    "CTE": "compressed timing events",
    "BUE": "burst events",
    "SPE": "spectroscopy events",
    "AUX": "frames",
    "OVE": "offsets and variances",
    "DLI": "discarded lines",
    "DII": "diagnostic image",
    "CCX": "counting cycles",
    "HTH": "commanded thresholds",
    "HCH": "commanded configuration",
    "D1H": "commanded windows and thresholds",
    "D2H": "commanded read-out",
    "ECX": "radiation monitor, counts",
    "ESX": "radiation monitor, spectra",
    "OFX": "offset images",
    "PTH": "bright pixels",
    "ATS": "attitude history",
    "RAS": "raw attitude",
    "TCX": "time correlation",
    "TCS": "time correlation",
    "SUM": "summary",
}
#: Seconds of one unit of the fine clock.
_FINE_S = {"PN": layout.PN_FTFINE_UNIT_S, **dict.fromkeys(("R1", "R2"), layout.RGS_FINE_UNIT_S)}
#: Keywords of a report: structure, settings and dates, nothing that a person could be known by.
_KEYWORDS = (
    "TELESCOP", "INSTRUME", "DATATYPE", "CCDID", "CCDNODE", "QUADRANT", "CCDMODE", "EDUID", "EDUMODE",
    "EMDHLOW", "EMDHUPP", "FRMTIME", "WINDOWX0", "WINDOWY0", "WINDOWDX", "WINDOWDY", "DATE-OBS", "DATE-END",
    "EDUTHR", "EXTVER", "ODSVER", "SYNTHETI",
)  # fmt: skip
#: Names that a line lists.
_NAMED = 5


def files_of(path: str | os.PathLike[str]) -> list[OdfFile]:
    """A raw file, or those of a folder, of whatever observations.

    Parameters
    ----------
    path
        A file or a folder.

    Raises
    ------
    TaskError
        ``NoOdfFound``: there is none.
    """
    path = Path(path).expanduser()
    try:
        if path.is_dir():
            found = scan(path)[0]
        else:
            name = OdfName.parse(path.name) if path.is_file() else None
            found = [] if name is None else [(name, path)]
    except OSError as error:
        raise TaskError("NoOdfFound", f"{path}: cannot be read: {error.strerror}") from error
    if not found:
        what = "no ODF file (RRRR_OOOOOOOOOO_II...FIT) in it" if path.is_dir() else "no ODF file or folder"
        raise TaskError("NoOdfFound", f"{path}: {what}")
    return [OdfFile(name, where) for name, where in sorted(found, key=lambda item: str(item[0]))]


def title(name: OdfName) -> str:
    """What a file is by its name, e.g. ``imaging events, EMOS1, exposure U004, CCD 1, node 0``.

    Parameters
    ----------
    name
        The name, taken apart.
    """
    kind = _KINDS.get(name.file_type)
    if kind is None:
        kind = "housekeeping" if name.file_type[-1] in "HS" else "other data"
    of_spacecraft = name.instrument == "SC"
    words = [kind, "spacecraft" if of_spacecraft else INSTRUMENTS[name.instrument]]
    if name.is_science:
        words.append(f"exposure {name.exp_id}")
    if name.ccd:
        words.append(f"CCD {name.ccd}")
        if name.instrument in ("M1", "M2"):
            words.append(f"node {name.node}")
    return ", ".join(words)


def inspect(file: OdfFile) -> list[Finding]:
    """How each extension of a raw file is recognised; a damaged file is a finding too.

    Parameters
    ----------
    file
        The file.

    Returns
    -------
    list of Finding
        ``exact``, ``others`` (other columns than known), ``lacking`` (one that is needed), ``image``,
        ``text``, ``not read`` or ``damaged``.
    """
    return [finding for finding, _ in _look(file)]


def report(file: OdfFile) -> str:
    """Names, shapes, units, first values and structural keywords, for a bug report; no data in bulk.

    Parameters
    ----------
    file
        The file.
    """
    lines = [f"{file.path.name}: {title(file.name)}"]
    for finding, hdu in _look(file):
        lines.append(str(finding))
        if hdu is None:
            continue
        lines += [f"  {key:8s} {hdu.header[key]}" for key in _KEYWORDS if key in hdu.header]
        if finding.how != "damaged" and hasattr(hdu, "columns"):
            lines += column_lines(hdu, DAMAGE)
    return "\n".join(lines) + "\n"


def exposures(folder: str | os.PathLike[str]) -> list[str]:
    """What odfingest makes of the exposures of a folder: a line each, and one for each doubt about them.

    Parameters
    ----------
    folder
        The folder of the raw files.
    """
    lines: list[str] = []
    doubts: dict[str, None] = {}
    correlation = None
    try:
        odf = Odf.open(folder)
    except TaskError as error:
        return [error.message]

    def warn(code: str, text: str) -> None:
        doubts[f"{text} ({code})"] = None

    with listening(warn):
        try:
            correlation = TimeCorrelation.from_odf(odf)
            lines.append(f"time correlation  {correlation.source}, {correlation.rms_s:.1e} s rms")
        except TaskError as error:
            lines.append(f"time correlation  {error.message}")
        nothing = AsciiSummary(odf.obs_id, odf.revolution, "", "")
        summary = ingest(odf, nothing, correlation=correlation, warn=warn)
    lines += [f"{code} {one}" for code, found in summary.instruments.items() for one in found]
    return [*lines, *doubts]


def _look(file: OdfFile) -> list[tuple[Finding, Any]]:
    """Findings, each with its extension (None where there is none)."""
    try:
        data = file.bytes()
        if file.name.extension != "FIT" or (file.name.file_type == "RAS" and data[:6] != b"SIMPLE"):
            lines = f"{len(data.splitlines())} lines"
            return [(_summary(file, lines) or Finding("text", "text", lines), None)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            hdus = list(open_hdus(io.BytesIO(data), memmap=False))
            found = [(_finding(file, number, hdu), hdu) for number, hdu in enumerate(hdus) if number]
        known = filetypes.describe(file.name.instrument, file.name.file_type)
        for number in range(len(found) + 1, len(known.tables) + 1):
            name = layout.extension(file.name.instrument, file.name.file_type, number)
            found.append((Finding(name, "damaged", "the extension is not there"), None))
        return found or [(Finding("PRIMARY", "not read", "no extension in it"), None)]
    except TaskError as error:
        return [(Finding("file", "damaged", error.message), None)]
    except (*DAMAGE, verify_error()) as error:
        return [(Finding("file", "damaged", f"not a readable FITS file: {damage_text(error)}"), None)]


def _summary(file: OdfFile, lines: str) -> Finding | None:
    """What a summary tells (nothing that a person could be known by); None for other files."""
    if file.name.file_type != "SUM":
        return None
    try:
        if file.name.extension == "SAS":
            read = read_sas_summary(file.path)
            count = sum(map(len, read.instruments.values()))
            detail = f"{count} exposures, {len(read.files)} files named"
        else:
            text = read_ascii_summary(file.path)
            detail = f"{text.start} to {text.end}, {len(text.files)} files named"
    except (ValueError, OSError, EOFError) as error:
        return Finding("text", "damaged", str(error).removeprefix(f"{file.path}: "))
    return Finding("text", "text", f"{lines}; {detail}")


def together(findings: Iterable[Finding]) -> list[Finding]:
    """Findings with neighbours that say the same put into one line, as for the images of an offset file.

    Parameters
    ----------
    findings
        The findings, in the order of the extensions.
    """
    made = []
    for _, same in groupby(findings, key=lambda one: (one.how, one.detail)):
        first, *others = same
        if len(others) > 1:
            first = Finding(
                f"{first.extension} ...",
                first.how,
                f"{len(others) + 1} times {first.detail}, to {others[-1].extension}",
            )
            others = []
        made += [first, *others]
    return made


def _finding(file: OdfFile, number: int, hdu: Any) -> Finding:
    extname = str(hdu.header.get("EXTNAME", number))
    # Cards are read when they are used; a damaged one has to be found here.
    dict(hdu.header)
    notes = _disagreements(file.name, hdu.header)
    kind = filetypes.describe(file.name.instrument, file.name.file_type)
    schema = kind.tables[number - 1] if number <= len(kind.tables) else ()
    if number == 1:
        absent = [key for key in kind.keywords if key not in hdu.header]
        notes += [f"no keyword {_list(absent)}"] if absent else []
    if not is_table(hdu):
        if schema:
            return Finding(extname, "damaged", "an image in place of a table")
        notes += ["not used"] if kind.images and not kind.used else []
        how = "image" if kind.images else "not read"
        return Finding(extname, how, "; ".join([_shape(hdu), *notes]))
    check_fields(hdu.header)
    have = [str(name) for name in hdu.columns.names]
    try:
        # Checks that the table is whole; columns only as far as the clock and the ranges need them.
        clock = _clock(file, number, have)
        ranges = kind.ranges[number - 1] if number <= len(kind.ranges) else {}
        notes += _beyond(file, number, {name: ranges[name] for name in ranges if name in have})
    except TaskError as error:
        return Finding(extname, "damaged", error.message)
    known = [column.name for column in schema]
    missing = [name for name in known if name not in have]
    lacking = [name for name in missing if not kind.needed or name in kind.needed]
    others = [name for name in have if name not in known]
    details = [f"{hdu.header['NAXIS2']} rows", *clock]
    if missing:
        details.append(f"no column {_list(missing)}")
    if schema and others:
        details.append(f"other columns {_list(others)}")
    how = "not read" if not schema else "lacking" if lacking else "others" if others or missing else "exact"
    return Finding(extname, how, "; ".join([*details, *notes, *_other_forms(hdu, schema)]))


def _other_forms(hdu: Any, schema: Sequence[Column]) -> list[str]:
    """Columns of another type or unit than the known one."""
    unsigned = {"U": ("I", 2**15), "V": ("J", 2**31)}
    found = {column.name: column for column in hdu.columns}
    odd = []
    for column in schema:
        mine = found.get(column.name)
        if mine is None:
            continue
        letter, zero = unsigned.get(column.letter, (column.letter, None))
        form = str(mine.format)
        if (form if form[:1].isdigit() else f"1{form}", mine.bzero) != (f"{column.repeat}{letter}", zero):
            odd.append(f"{column.name} is {form}{' unsigned' if mine.bzero else ''}, not {column.form}")
        if (mine.unit or "").strip() != column.unit:
            odd.append(f"unit of {column.name} {mine.unit or 'none'}, not {column.unit or 'none'}")
    return [_list(odd)] if odd else []


def _beyond(file: OdfFile, number: int, ranges: filetypes.Ranges) -> list[str]:
    """Columns with values outside what is known."""
    if not ranges:
        return []
    table = file.read(number, [Column(name, "1J") for name in ranges], identity=False)
    texts = []
    for name, (low, high) in ranges.items():
        values = np.asarray(table[name])
        if values.size and values.dtype.kind in "iuf" and (values.min() < low or values.max() > high):
            texts.append(f"{name} {values.min():g} to {values.max():g}, known {low:g} to {high:g}")
    return texts


def _disagreements(name: OdfName, header: Any) -> list[str]:
    """Where a header says another thing than the name of the file."""
    expected: dict[str, Iterable[Any]] = {
        "INSTRUME": (INSTRUMENTS[name.instrument], name.instrument),
        "OBS_ID": (name.obs_id,),
    }
    if name.ccd and name.instrument in ("M1", "M2"):
        expected |= {"CCDID": (name.ccd,), "CCDNODE": (name.node,)}
    return [
        f"header says {key} {header[key]}"
        for key, values in expected.items()
        if str(header.get(key, "")).strip() and header[key] not in values
    ]


def _clock(file: OdfFile, number: int, have: Sequence[str]) -> list[str]:
    """First and last reading of the clock of a table."""
    pairs = (
        ("FTCOARSE", "FTFINE"), ("STCOARSE", "STFINE", "ETCOARSE", "ETFINE"), ("OBTCOARS", "OBTFINE"),
        ("TIME",), ("VALTIME",), ("FRAME",),
    )  # fmt: skip
    names = next((pair for pair in pairs if set(pair) <= set(have)), ())
    # A header of another camera is told beside this.
    table = file.read(number, [Column(name, "1J") for name in names], identity=False)
    if not names or not len(table):
        return []
    values = table[names[0]]
    if len(names) == 1:
        if values.dtype.kind in "SU":
            return [f"{names[0]} as text, {plain(values[0])} to {plain(values[-1])}"]
        what = "frames" if names[0] == "FRAME" else f"{names[0]} as number,"
        return [f"{what} {values[0]} to {values[-1]}"]
    if any(table[name].dtype.kind not in "iu" for name in names):
        return [f"{', '.join(names)} are not whole numbers"]
    # Only frames count in units of their camera.
    frames = file.name.instrument if names[0] == "FTCOARSE" else ""
    if frames in ("M1", "M2"):
        stamps = unwrap_stamps(values, table[names[1]], 0.0, 0.0)
        return [f"clock {stamps[0]:.3f} to {stamps[-1]:.3f} s after its reset"]
    unit = _FINE_S.get(frames, layout.OBTFINE_UNIT_S)
    if np.max(table[names[1]]) > 65535:
        unit = layout.OBTFINE_LONG_UNIT_S
    ends = [
        (layout.unsigned(coarse[[i]]) if coarse.dtype.itemsize == 2 else coarse[[i]])[0]
        + unit * layout.unsigned(fine[[i]])[0]
        for i, coarse, fine in ((0, values, table[names[1]]), (-1, table[names[-2]], table[names[-1]]))
    ]
    anew = ", beginning anew in between" if ends[1] < ends[0] else ""
    return [f"clock {ends[0]:.3f} to {ends[1]:.3f} s{anew}"]


def _shape(hdu: Any) -> str:
    return " x ".join(map(str, reversed(hdu.shape))) + " pixels"


def _list(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
