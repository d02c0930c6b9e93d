"""Steps as the record lists them."""

from __future__ import annotations

from typing import Any

from daxa.archive.run import Run
from daxa.report.gather import _done, failure_text
from daxa.report.steps import LATER, STEPS, listed, part, warnings_of

OBS = "0800010101"
LIMIT = {"originator": "arfgen", "name": "kingProfile", "message": "the profile is that of KING_PARAMS"}


def run(process: str, inst: str | None, rest: str = "", exp: str | None = None, **values: Any) -> Run:
    ident = f"{OBS}{inst or ''}{exp or ''}{rest}"
    given = {"status": "done", "started": "2026-01-02T03:04:05", "backend": "embedded", **values}
    return Run(process, ident, "xmm_pointed", OBS, inst, exp, **given)


RUNS = [
    run("emchain", "M1", exp="S001"),
    run("generate_matrices", "M1", "-pat0_12"),
    run("generate_spectra", "M1", "-J095805.7-110921", warnings=[LIMIT], wall_s=1.0, config={"a": 1}),
    run("generate_spectra", "PN", "-J095805.7-110921", warnings=[LIMIT]),
    run("generate_spectra", "M1", "-J095716.8-110336", warnings=[LIMIT], wall_s=2.0),
    run("generate_lightcurves", "M1", "-J095716.8-110336-en0.5_2.0keV-bin100.0s"),
    run("generate_lightcurves", "M1", "-J095716.8-110336-en2.0_9.0keV-bin100.0s", status="failed"),
]


def test_sources_of_a_camera_are_one_row():
    rows = listed(RUNS)
    assert [(r["step"], r["inst"], r["part"], r["status"]) for r in rows] == [
        ("emchain", "MOS1", "", "done"),
        ("generate_matrices", "MOS1", "pat0_12", "done"),
        ("generate_spectra", "MOS1", "2 sources", "2 done"),
        ("generate_spectra", "pn", "J095805.7-110921", "done"),
        ("generate_lightcurves", "MOS1", "1 source", "1 done, 1 failed"),
    ]
    spectra = rows[2]
    assert spectra["seconds"] == 3.0
    assert spectra["parts"] == [("J095805.7-110921", "done"), ("J095716.8-110336", "done")]
    assert [(m["name"], m["times"]) for m in spectra["messages"]] == [("kingProfile", 2)]
    assert [r["level"] for r in rows] == ["usable"] * 4 + ["unusable"]
    assert warnings_of(rows, ["generate_spectra"]) == ["kingProfile: the profile is that of KING_PARAMS"]
    assert "light curve of a source (generate_lightcurves J095716.8-110336-en2.0" in failure_text(RUNS[-1])


def test_an_ident_that_does_not_begin_with_the_observation_has_no_part():
    assert part(Run("generate_mosaics", "A907-en0.5_2.0keV", "xmm_pointed", OBS, None, None)) == ""


def test_warnings_of_later_products_do_not_count():
    noted = {"originator": "emchain", "name": "noGain", "message": "none"}
    found = _done([*RUNS, run("emchain", "M2", exp="S002", warnings=[noted])])
    assert found["notes"] == {"noGain": 1}
    assert found["warning_count"] == 1
    assert set(LATER) < set(STEPS)
