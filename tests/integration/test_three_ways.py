"""One archive made in processes here, by the back-end of SAS, and on a cluster: the same comes of it."""

from __future__ import annotations

import copy
import importlib.util
import sys
from pathlib import Path

import pytest
from simulated_field import Short

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "three_ways.py"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path("/proc/self/stat").exists(), reason="needs /proc to end helpers of a killed worker"
    ),
]


@pytest.fixture
def three_ways():
    spec = importlib.util.spec_from_file_location("three_ways", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    # Its classes are looked up by the name of the module.
    sys.modules["three_ways"] = module
    spec.loader.exec_module(module)
    return module


def test_one_archive_made_three_ways(three_ways, short: Short, tmp_path: Path):
    pytest.importorskip("distributed")
    made = {n: way(tmp_path / n, short.raw, short.ccf, ["M2"]) for n, way in three_ways.WAYS.items()}
    first = made["here"]
    assert three_ways.differences(first, made["sas"]) == []
    assert three_ways.differences(first, made["dask"]) == []
    assert made["dask"].workers == 1
    # The comparison sees what it is to see.
    assert len(first.products) > 10
    assert {record["status"] for record in first.records} == {"done"}
    name = next(iter(first.products))
    other = copy.deepcopy(first)
    other.products[name] = "another"
    other.records[0]["outputs"] = {}
    found = three_ways.differences(first, other)
    assert found[0] == f"product {name} differs"
    assert [text.split(": ")[1] for text in found[1:]] == ["outputs"]
