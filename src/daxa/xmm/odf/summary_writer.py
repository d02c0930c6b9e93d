"""Writing ``SUM.SAS`` with the records of those that SAS made of real observations, in their order."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path

from daxa.xmm.formats.instruments import SUMMARY_INSTRUMENTS
from daxa.xmm.formats.summary import UNKNOWN, ExposureSummary, SasSummary, assumed_line

_CONFIGURATION_TITLES = {
    **dict.fromkeys(("M1", "M2"), "EPIC MOS"),
    **dict.fromkeys(("R1", "R2"), "RGS"),
    "PN": "EPIC PN",
    "OM": "OM",
}


def write_sas_summary(
    summary: SasSummary, path: str | os.PathLike[str], creator: str = "odfingest", version: str = ""
) -> None:
    """Write ``SUM.SAS``, with the records of those of SAS in their order.

    Parameters
    ----------
    summary
        What to write; an instrument without exposures is written as inactive.
    path
        The file; written in place (the caller gives a temporary name).
    creator
        What made it, for a comment and for SAS_MANIFEST.
    version
        ODFINGEST_VERSION.
    """
    now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S}.000"
    configuration = [f"{name} = {value} / From SUM.ASC" for name, value in summary.configuration.items()]
    metadata = [
        f"ODFINGEST_VERSION = {version} / Version of odfingest",
        f"SAS_MANIFEST = {creator} / Software",
        f"PROCESS_DATE = {now} / When this file was made",
    ]
    out = ["// ODF summary file", f"// By {creator} on {now}", "//"]
    if summary.path is not None:
        out += ["// Folder of the ODF; to be edited where it has moved", "//"]
        out += [f"PATH {_bytes_of(summary.path)}", "//"]
    out += ["// Observation Record", "//", "SLEW" if summary.slew else "OBSERVATION"]
    out += [
        f"{summary.obs_id} / Observation Identifier",
        f"{summary.revolution:04d} / Revolution Identifier",
        f"{_milliseconds(summary.start)} / Observation Start Time",
        f"{_milliseconds(summary.end)} / Observation End Time",
    ]
    out += ["//", "// Files Record", "//", "FILES", f"{len(summary.files)} / Number of Files"]
    out += [f"{name} / ODF Constituent" for name in summary.files]
    out += ["// Configuration of the observation", "CONFIGURATION", str(len(configuration) + len(metadata))]
    out += [*configuration, "// Made by odfingest", *metadata]
    index = 0
    for instrument in SUMMARY_INSTRUMENTS:
        exposures = summary.instruments.get(instrument, [])
        out += ["//", "// Instrument Record", "//", "INSTRUMENT", instrument]
        out += [f"{'Y' if exposures else 'N'} / Is this instrument active?"]
        out += [f"{len(exposures)} / Number of exposures for this instrument"]
        for number, exposure in enumerate(exposures, 1):
            index += 1
            out += ["//", "// Exposure Record", f"// Observation Level Exposure Index = {index}"]
            out += [f"// Instrument [{instrument}] Level Exposure Identifier = {exposure.exp_id}"]
            out += [f"// Instrument [{instrument}] Level Exposure Index = {number}", "//"]
            out += _exposure_lines(summary.obs_id, instrument, exposure)
    out += ["// Proposal Record"]
    text = "\n".join(out) + "\n" + summary.tail
    Path(path).write_text(text if text.endswith("\n") else text + "\n", encoding="latin-1")


def _bytes_of(folder: str) -> str:
    """The name of a folder as the file system has it, with a character for each byte."""
    return os.fsencode(folder).decode("latin-1")


def _milliseconds(date: str) -> str:
    """A date with the fraction of a second that real summaries have."""
    return date if "." in date or not date else f"{date}.000"


def _exposure_lines(obs_id: str, instrument: str, exposure: ExposureSummary) -> list[str]:
    scheduled = "Y" if exposure.scheduled else "N"
    start, end = _milliseconds(exposure.start), _milliseconds(exposure.end)
    records = _configuration_lines(instrument, exposure)
    count = sum(not line.startswith("//") for line in records)
    return [
        "EXPOSURE",
        f"{exposure.exp_id[1:]} / Exposure Identifier [also {exposure.exp_id}]",
        f"{scheduled} / Is this a scheduled exposure?",
        f"{exposure.type} / Exposure Type",
        *(
            f"{obs_id}{instrument}{exposure.exp_id} / {kind} Exposure Identifier"
            for kind in ("Commanded", "Proposal")
        ),
        *(
            f"{date} / {kind} {what} Time"
            for kind in ("Scheduled", "Actual")
            for what, date in (("Start", start), ("End", end))
        ),
        "//",
        f"// Configuration Record for {instrument}",
        "//",
        f"CONFIGURATION {_CONFIGURATION_TITLES[instrument]}",
        f"{count} / Number of configuration parameters available",
        *records,
        *(f"// {remark}" for remark in exposure.remarks),
    ]


def _configuration_lines(instrument: str, exposure: ExposureSummary) -> list[str]:
    part = "window" if instrument == "OM" else "CCD"
    lines = []
    if exposure.mode is not None:
        lines.append(f"MODE = {exposure.mode} / Instrument configuration")
    for ccd, mode in sorted(exposure.calibration_modes.items()):
        lines.append(f"CALIBRATION_MODE_{ccd} = {mode} / Mode used to calibrate events from {part} {ccd}")
    for ccd, mode in sorted(exposure.ccd_modes.items()):
        lines.append(f"DATA_MODE_{ccd} = {mode} / Data mode for {part} {ccd}")
    if exposure.filter is not None and "FILTER" not in exposure.parameters:
        lines.append(f"FILTER = {exposure.filter} // Filter")
    for name, (value, comment) in exposure.parameters.items():
        if value == UNKNOWN:
            lines.append(f"// WARNING: {name} not found")
        if name in exposure.assumed:
            lines.append(assumed_line(name, exposure.assumed[name]))
        lines.append(f"{name} = {value} // {comment}")
    return lines
