"""Every warning and error in complete logs of SAS 17 to 22.1 is found, and no other line is taken for one."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from pathlib import Path

import pytest

from daxa.backend.messages import Messages

#: Lines that speak of warnings or errors, or begin with stars, and are not messages of a task with a code.
OTHERS = {
    "command": r"Executing \(|^evselect table=|^CMD: ",
    "heading": r"^\*\* \S+: warning \(SummaryOfWarnings\),",
    # A word of what a task tells, an uncertainty or a decoration.
    "word": r"[Rr]ate error:|Hard error:|standard errors|with no errors|lightcurve errors|^\s*\*\*\*",
    "HEASOFT": r"^f?(keypar|arith)\S* :|^Error in ffc",
    "Python": r"^\w+Error: |^WARNING: FITSFixedWarning|^WARNING:startsas|^startsas - WARNING",
    # Advice without a task and a code.
    "advice": r"^\s*(Warning|WARNING): (No need to|Summary file PATH|if chip 3)",
}
#: Of both logs of one analysis of timing mode.
TIMING = {"command": 286, "heading": 130, "advice": 125, "Python": 8}
#: Log -> warnings, errors, other lines.
LOGS = {
    "0112971501_epchain_sas20_eff_stderr": (569, 280, {"heading": 57, "HEASOFT": 72, "Python": 7}),
    "0112971501_epchain_sas20_eff_stdout": (56, 0, {"command": 35, "word": 3}),
    "0204310101_M1S001_espfilt4.3_sas20": (0, 0, {"command": 9, "word": 1}),
    "0694640601_esas_imaging_sas20": (0, 0, {"command": 4, "word": 11, "advice": 1}),
    "0721010401_epchain_sas17_largewindow": (195, 0, {"command": 15, "heading": 13, "word": 2}),
    "0802710101_pysas_basic_setup_sas22.1_V4": (123, 0, {"command": 114, "heading": 27, "word": 30}),
    "0841890201_pysas_timing_casestudy_outputs_sas21": (526, 0, TIMING),
    "0841890201_timing_rmfgen_arfgen_epiclccorr_sas21": (526, 0, TIMING),
}


def read(path: Path) -> tuple[Messages, list[str]]:
    """The messages of a log, and the lines that are none although they look like it."""
    messages, left, count = Messages(), [], 0
    with gzip.open(path, "rt", encoding="utf-8", errors="backslashreplace") as handle:
        for line in handle:
            messages.feed(line.rstrip("\r\n"))
            found = sum(map(len, messages.found()))
            if found == count and re.search(r"warning|error|^\s*\*\*", line, re.IGNORECASE):
                left.append(line)
            count = found
    return messages, left


@pytest.mark.parametrize("name", LOGS)
def test_every_message_of_a_real_log(shared_data, name):
    warned, failed, others = LOGS[name]
    messages, left = read(shared_data / "logs" / f"{name}.log.gz")
    warnings, errors = messages.found()
    kinds = Counter(next((k for k, p in OTHERS.items() if re.search(p, line)), line) for line in left)
    assert (len(warnings), len(errors), dict(kinds)) == (warned, failed, others)
    assert all(m["originator"] and m["name"] for m in (*warnings, *errors))


def test_no_log_is_left_out(shared_data):
    assert {p.name.removesuffix(".log.gz") for p in (shared_data / "logs").glob("*.log.gz")} == set(LOGS)


#: Nested tasks, codes with a blank in them or at their end, what was silenced, what a chain prints itself.
CODES = {
    "0802710101_pysas_basic_setup_sas22.1_V4": {
        "emproc::embadpixfind getCalBadpix10": 2,
        "emproc::emevents checkRejected10": 1,
        "emproc::emevents rejectRows12": 6,
        "emproc::evselect NoCCDcolumn": 48,
        "emproc::evselect NoProductExp": 4,
        "epproc::epevents ctiCorrectionFailed": 2,
        "epproc::epevents gainCorrectionFailed": 2,
        "epproc::epevents notUsefulModeRDCTI": 12,
        "epproc::epexposure spatialExposure": 1,
        "epproc::epframes InvalidObtValue": 24,
        "epproc::epframes notHKconstant": 2,
        "odfingest HousekeepingParameterMissing": 2,
        "odfingest TranslationNotAvailable": 2,
        "rgsproc ArgumentIgnored": 1,
        "rgsproc BadPixDiscrepancy": 1,
        "rgsproc InvalidCoordinates": 1,
        "rgsproc NoFilteredEvents": 1,
        "rgsproc badPrimeRate": 1,
        "rgsproc binning": 1,
        "rgsproc outside range": 1,
        "rgsproc::rgsangles binning": 1,
        "rgsproc::rgsangles outside range": 1,
        "rgsproc::rgsbadpix BadPixDiscrepancy": 1,
        "rgsproc::rgsbadpix BadPixDuplicates": 1,
        "rgsproc::rgsbadpix InvalidCoordinates": 1,
        "rgsproc::rgsenergy ArgumentIgnored": 1,
        "rgsproc::rgslccorr NoFilteredEvents": 1,
        "rgsproc::rgssources badPrimeRate": 1,
    },
    "0112971501_epchain_sas20_eff_stderr": {
        "arfgen datasetCouldNotBeRead": 3,
        "backscale::arfgen NoBadPixLocations": 12,
        "backscale::arfgen datasetCouldNotBeRead": 60,
        "backscale::arfgen zeroSumDetmap": 28,
        "badpixfind findRealSources": 48,
        "ecoordconv datasetCouldNotBeRead": 50,
        "eexpmap datasetCouldNotBeRead": 10,
        "emask datasetCouldNotBeRead": 8,
        "epevents ctiCorrectionFailed": 110,
        "epevents gainCorrectionFailed": 22,
        "epexposure spatialExposure": 2,
        "epframes InvalidObtValue": 264,
        "epframes wrongReadoutOrder": 10,
        "esky2det ParamNotInRange": 3,
        "esky2det datasetCouldNotBeRead": 2,
        "espfilt HfitEvalBlownUp": 1,
        "espfilt LfitEvalBlownUp": 1,
        "espfilt MaxPLCltHigh": 1,
        "evselect NoAttrib": 16,
        "evselect NoWCS": 24,
        "evselect copyDataSetFailed": 51,
        "evselect datasetCouldNotBeRead": 90,
        "odfingest EpnFrameTimeMismatch": 2,
        "odfingest HousekeepingParameterMissing": 2,
        "odfingest TranslationNotAvailable": 2,
        "radmonfix Extrapolation": 22,
        "rmfgen datasetCouldNotBeRead": 3,
        "tabcalc OverwriteColumn": 2,
    },
    "0112971501_epchain_sas20_eff_stdout": {
        "emchain badinstrument": 28,
        "emchain badstring": 28,
    },
}


@pytest.mark.parametrize("name", CODES)
def test_tasks_and_codes(shared_data, name):
    messages, _ = read(shared_data / "logs" / f"{name}.log.gz")
    found = Counter(f"{m['originator']} {m['name']}" for kind in messages.found() for m in kind)
    assert dict(found) == CODES[name]
