"""Whether observations can be used, and why."""

from __future__ import annotations

from typing import Any

import pytest

from daxa.report.verdict import (
    PENDING,
    UNUSABLE,
    USABLE,
    WARNINGS,
    Verdict,
    judge,
    judge_archive,
    line_is_off,
)


def camera(inst: str = "M1", **values: Any) -> dict[str, Any]:
    good = {
        "inst": inst,
        "observed": True,
        "final": True,
        "before_s": 6000.0,
        "after_s": 5500.0,
        "events": 900,
    }
    return good | {"lost": 8.3, "failures": [], **values}


def exposure(**values: Any) -> dict[str, Any]:
    return {"inst": "M1", "exp": "S001", "flares": {"inout": 1.05, "inout_error": 0.05}, "ccds": [], **values}


def observation(**values: Any) -> dict[str, Any]:
    return {
        "cameras": [camera(), camera("PN")],
        "exposures": [exposure()],
        "runs": 9,
        "done": 9,
        "known": True,
        "unfinished": [],
        "stale": [],
        "problems": [],
        "failures": [],
        "notes": {},
        "header": {},
        "simulated": False,
        "synthetic": False,
        **values,
    }


FAILED = camera(
    "PN", final=False, after_s=None, events=None, lost=None, failures=["pn event list (epchain) failed: x"]
)
FLARES = camera(after_s=0.0, events=0, lost=100.0)
LINE = {"name": "Al Kα", "laboratory": 1486.6, "energy": 1526.6, "error": 2.0, "shift": 40.0}


@pytest.mark.parametrize(
    ("values", "level", "reasons"),
    [
        ({}, USABLE, []),
        ({"runs": 0}, PENDING, ["no step has been run"]),
        (
            {"cameras": [camera(final=False, events=None)], "unfinished": ["emchain 1M1S001"]},
            PENDING,
            ["has not come to an end: emchain 1M1S001"],
        ),
        ({"cameras": [FAILED]}, UNUSABLE, ["pn: pn event list (epchain) failed: x"]),
        ({"cameras": [FLARES]}, UNUSABLE, ["MOS1: flares cover all of it, nothing is left of 6.0 ks"]),
        ({"cameras": [camera(events=0)]}, UNUSABLE, ["MOS1: no events are left"]),
        (
            {
                "cameras": [camera(final=False, events=None, observed=False)],
                "failures": ["choice of calibration files (cif_build) failed: no calibration constituent"],
            },
            UNUSABLE,
            ["no calibration constituent", "MOS1: no exposure that can be reduced"],
        ),
        ({"cameras": []}, UNUSABLE, ["no instrument was chosen"]),
        ({"synthetic": True}, UNUSABLE, ["made up for simulations were used for real data"]),
        ({"synthetic": True, "simulated": True}, USABLE, []),
        ({"cameras": [camera(), FAILED]}, WARNINGS, ["pn: pn event list (epchain) failed: x"]),
        ({"cameras": [camera(), FLARES | {"inst": "M2"}]}, WARNINGS, ["MOS2: flares cover all of it"]),
        ({"cameras": [camera(lost=63.0)]}, WARNINGS, ["MOS1: 63 % of the time lost to flares"]),
        (
            {"exposures": [exposure(flares={"inout": 1.62, "inout_error": 0.1})]},
            WARNINGS,
            ["MOS1 S001: protons are left, field over corners 1.62 ± 0.10 (extremely contaminated)"],
        ),
        ({"exposures": [exposure(flares={"inout": 1.4, "inout_error": 0.3})]}, USABLE, []),
        ({"exposures": [exposure(flares=None)]}, USABLE, []),
        (
            {"exposures": [exposure(lines=[LINE])]},
            WARNINGS,
            ["MOS1 S001: Al Kα at 1527 ± 2 eV, +40 eV from where it belongs"],
        ),
        (
            {"exposures": [exposure(ccds=[{"ccd": 4, "state": {"state": "B"}}, {"ccd": 5, "state": None}])]},
            WARNINGS,
            ["MOS1 S001: CCD 4 in an anomalous state"],
        ),
        ({"problems": ["images/a.fits: no image"]}, WARNINGS, ["cannot be read: images/a.fits: no image"]),
        ({"stale": ["a 1: b", "c 1: d"]}, WARNINGS, ["out of date: a 1: b and 1 more"]),
        (
            {"notes": {f"c{k}": 1 + k for k in range(6)}, "note_texts": {"c5": "long " * 90}},
            WARNINGS,
            ["warning c5, 6 times: long", "warning c4, 5 times", "c3", "c2", "3 further warnings"],
        ),
        ({"header": {"fallbacks": ["EPN_CTI: none"]}}, WARNINGS, ["1 part stood in for: EPN_CTI: none"]),
        ({"notes": {"noGain": 2, "oldCcf": 1}}, WARNINGS, ["warning noGain, 2 times", "warning oldCcf"]),
        ({"unfinished": ["espfilt 1M1S001"]}, WARNINGS, ["not finished: espfilt 1M1S001"]),
        (
            {"cameras": [camera(failures=["images and exposure maps failed: full"])]},
            WARNINGS,
            ["MOS1: images and exposure maps"],
        ),
        ({"cameras": [camera("R1", after_s=None)]}, USABLE, []),
        ({"known": False}, WARNINGS, ["the steps came through; products"]),
        ({"known": False, "done": 0, "failures": ["repro failed"]}, UNUSABLE, ["repro failed"]),
        ({"known": False, "unfinished": ["chandra_repro 1"]}, PENDING, ["has not come to an end"]),
    ],
)  # fmt: skip
def test_verdicts(values, level, reasons):
    found = judge(observation(**values))
    assert found.level == level
    assert len(found.reasons) == len(reasons)
    for reason, expected in zip(found.reasons, reasons, strict=True):
        assert expected in reason


@pytest.mark.parametrize(
    ("shift", "error", "laboratory", "off"),
    [(None, None, 1486.6, False), (15, 1, 1486.6, False), (-35, 2, 1486.6, True), (-35, 10, 1486.6, False),
     (30, 2, 8041.1, False), (50, 2, 8041.1, True)],
)  # fmt: skip
def test_lines_are_off_by_energy_and_error(shift, error, laboratory, off):
    assert line_is_off({"shift": shift, "error": error, "laboratory": laboratory}) is off


def test_an_archive_is_as_usable_as_its_observations():
    def of(*levels: str) -> Verdict:
        return judge_archive({str(k): Verdict(level, ["for a reason"]) for k, level in enumerate(levels)})

    assert of() == Verdict(PENDING, ["it holds no observations"])
    assert of(PENDING, PENDING).level == PENDING
    assert of(USABLE, USABLE) == Verdict(USABLE)
    assert of(UNUSABLE, PENDING) == Verdict(UNUSABLE, ["none of 2 observations can be used", "for a reason"])
    mixed = of(USABLE, UNUSABLE, WARNINGS, PENDING)
    assert mixed.level == WARNINGS
    assert mixed.words == "usable with warnings"
    assert mixed.reasons == [
        "1 of 4 observations cannot be used: 1",
        "1 of 4 observations not reduced yet: 3",
        "1 of 4 observations usable with warnings: 2",
    ]
