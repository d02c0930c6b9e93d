"""What several tasks share: going on after exposures that fail."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from daxa.xmm.errors import TaskError
from daxa.xmm.task import TaskContext
from daxa.xmm.tasks.support import for_each


@pytest.fixture
def ctx(tmp_path: Path) -> TaskContext:
    return TaskContext("chain", tmp_path, {}, io.StringIO(), io.StringIO())


def failing(*names: str, error: Exception):
    """What fails for some exposures, and a list of the others that were done."""
    done: list[str] = []

    def work(name: str) -> None:
        if name in names:
            raise error
        done.append(name)

    return work, done


def test_an_exposure_that_fails_does_not_cost_the_others(ctx):
    work, done = failing("S001", error=TaskError("noEvents", "IME: no events"))
    for_each(ctx, ["S001", "S002", "U003"], "PN{}".format, work)
    assert done == ["S002", "U003"]
    assert "warning (noEvents), PNS001 is left out: IME: no events" in ctx.err.getvalue()


@pytest.mark.parametrize("exposures", [["S001"], ["S001", "S002"]])
def test_without_any_exposure_the_chain_fails(ctx, exposures):
    work, done = failing("S001", "S002", error=TaskError("noEvents", "IME: no events"))
    with pytest.raises(TaskError, match="IME: no events"):
        for_each(ctx, exposures, str, work)
    assert done == []


def test_only_what_is_bearable_is_borne(ctx):
    work, done = failing("S001", error=NotImplementedError("high time resolution"))
    with pytest.raises(NotImplementedError):
        for_each(ctx, ["S001", "S002"], str, work)
    for_each(ctx, ["S001", "S002"], str, work, bearable=(TaskError, NotImplementedError))
    assert done == ["S002"]
    assert "warning (notImplemented), S001 is left out: high time resolution" in ctx.err.getvalue()
