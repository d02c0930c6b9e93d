"""The figures of a real log that the comparison of the chains reads."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "compare_log.py"


@pytest.fixture(scope="module")
def compare_log():
    spec = importlib.util.spec_from_file_location("compare_log", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_real_figures(compare_log, shared_data):
    real = compare_log.real_figures(shared_data / "logs")
    first = real["M1", 1]
    assert (first["events in"], first["cosmic rays"], first["rows selected"]) == (53815, 22771, 18669)
    assert real["M1", 2]["bright pixels found"] == 606
    # Not those of the later searches, which the log's table lists under the last CCD.
    assert (real["M1", 7]["bright pixels found"], real["M1", 7]["good events searched"]) == (14, 26490)
    assert real["PN", 2]["frames with events"] == 169153
    assert sum(real["PN", n]["rows selected"] for n in range(1, 13)) == 515040


def test_our_log(compare_log):
    log = "\n".join(
        [
            "emproc:- Processing data set: /odf/3100_0800010101_M1S00110IME.FIT",
            "emproc::emframes:-  Create frame table with         7673  rows",
            "emproc::emevents:-         97436  events in input",
            "emproc::emevents:-         97436  events in output",
            "emproc::embadpixfind:-  CCD 1 node 0",
            "emproc::emeventsproj:-  Number of good events in input file:        41230",
            "emproc::embadpixfind:-             2  bright pixels found in image",
            "emproc::emeventsproj:-  Number of good events in input file:         1230",
            "emproc::embadpixfind:-             1  bright pixels found in image",
            "emproc::badpix:-             5  final bad pixel sets will be added to BADPIX extension",
            "emproc::evselect:- selected 63816 rows from the input table.",
        ]
    )
    assert compare_log.our_mos(log)["M1", 1] == {
        "frames": 7673,
        "events in": 97436,
        "good events searched": 41230,
        "bright pixels found": 2,
        "bad-pixel entries": 5,
        "rows selected": 63816,
    }


def test_parameters_of_mos_are_those_of_the_real_log(compare_log, shared_data):
    """emproc knows every parameter of the real run, with the same default."""
    from daxa.xmm.parameters import format_value
    from daxa.xmm.task import find_task

    real = compare_log.parameters(compare_log.real_log(shared_data / "logs"))["emproc"]
    ours = {p.name: format_value(p.default) for p in find_task("emproc").parameters}
    assert set(real) == set(ours)
    assert {n for n in real if real[n] != ours[n]} <= {"lothresh"}
