"""Which exposures epchain takes."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from daxa.xmm.errors import TaskError
from daxa.xmm.task import TaskContext, find_task

find_task("epchain")
from daxa.xmm.tasks import epchain  # noqa: E402

ALL = {
    "IMAGING": [("S003", "PrimeFullWindow"), ("U002", "PrimeFullWindow")],
    "TIMING": [("S005", "FastTiming")],
    "BURST": [],
}


@pytest.fixture
def chosen(monkeypatch, tmp_path):
    def exposures_of(odf, mode):
        return [e for some in ALL.values() for e in some] if mode == "ALL" else ALL[mode]

    monkeypatch.setattr(epchain, "exposures_of", exposures_of)
    odf = SimpleNamespace(folder=Path("/odf"), revolution=1, obs_id="0800010101")

    def choose(**given):
        ctx = TaskContext("epchain", tmp_path, {}, io.StringIO(), io.StringIO())
        return [e for e, _ in epchain._chosen(ctx, odf, find_task("epchain").parse(given))]

    return choose


def test_exposures_are_counted_in_the_order_of_the_odf(chosen):
    assert chosen() == ["S003"]
    assert chosen(exposure=2) == ["U002"]
    assert chosen(exposure=3, odfaccess="odf") == ["S003"]
    assert chosen(exposure=2, schedule="U", odfaccess="odf") == ["U002"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"exposure": 3},
            r"exposure=3 counts IMAGING exposures .* there are 1 \(S003\), 2 \(U002\), and in other",
        ),
        ({"exposure": 99}, r"exposure=99 counts .*S005 \(FastTiming\)"),
        ({"exposure": 0}, r"exposure=0 counts"),
        ({"exposure": 2, "odfaccess": "odf"}, "no IMAGING exposure S002; there are S003, U002"),
        ({"datamode": "BURST"}, "no BURST exposure S001; there are none, and in other modes"),
    ],
)
def test_what_is_not_there_is_explained(chosen, given, message):
    with pytest.raises(TaskError, match=message):
        chosen(**given)
