"""Which exposures of the MOS cameras are processed, for the folder of real raw files."""

from __future__ import annotations

import io

import pytest

from daxa.xmm.errors import TaskError
from daxa.xmm.odf.odf import Odf
from daxa.xmm.task import TaskContext
from daxa.xmm.tasks.support import select_exposures


@pytest.fixture
def real_odf(shared_data) -> Odf:
    return Odf.open(shared_data / "odf_0135730701")


@pytest.fixture
def context(tmp_path) -> TaskContext:
    return TaskContext("emchain", tmp_path, {}, io.StringIO(), io.StringIO(), "emchain")


def test_exposures_without_event_files_are_named(real_odf, context):
    """U003 and U008 have an auxiliary file only."""
    assert real_odf.without_events("M1") == ["U003", "U008"]
    found = select_exposures(context, real_odf, ["M1", "M2"], [], "emchain")
    assert found == [("M1", "U004"), ("M1", "U005"), ("M1", "U006"), ("M1", "U009")]
    lines = context.err.getvalue().splitlines()
    assert [line.split("(MissingData), ")[1][:7] for line in lines] == ["M1 U003", "M1 U008"]


def test_an_exposure_without_event_files_that_is_asked_for(real_odf, context):
    assert select_exposures(context, real_odf, ["M1"], ["U008", "9"], "emchain") == [("M1", "U009")]
    assert context.err.getvalue().count("M1 U008: the ODF has an auxiliary file but no event file") == 1
    with pytest.raises(TaskError, match="M1 U008: .* no event file; no list is made"):
        select_exposures(context, real_odf, ["M1"], ["U008"], "emchain")
    with pytest.raises(TaskError, match="no exposure 'U012'; the ODF has M1 U004"):
        select_exposures(context, real_odf, ["M1"], ["U012"], "emchain")
