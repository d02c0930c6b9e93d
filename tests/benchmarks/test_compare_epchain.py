"""The table of the pn chain beside two real logs: made from the parameter tables, and the one in the docs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from daxa.xmm.formats.eventlist import EVENT_COLUMNS
from daxa.xmm.tasks.evlistcomb import EVLISTCOMB

ROOT = Path(__file__).resolve().parents[2]
FORMS = {"double": "1D", "int32": "1J", "int16": "1I", "int8": "1B"}


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("compare_epchain", ROOT / "benchmarks/compare_epchain.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_that_of_the_logs(script, shared_data):
    text = (ROOT / "docs" / "chains.md").read_text().split(script.BEGIN)[1].split(script.END)[0]
    assert text.strip() == script.page(shared_data).strip()


def test_nothing_of_the_chain_is_refused_or_unknown(script, shared_data):
    _, lines = script.compare(shared_data)
    assert len(lines) > 30
    for call, name, _, _, here in lines:
        assert not here.startswith("refused"), (call, name)
        assert here != "no such parameter", (call, name)


def test_numbers_that_epframes_prints(script, shared_data):
    rows = {label: values for label, *values in script.numbers(shared_data)}
    assert rows["frame time [ms]"] == ["199.19408"] * 2 + ["47.66384"] * 2
    assert rows["tolerance of time jumps [20.48 us]"] == ["25", "25", "50", "50"]
    for label, (one, ours, other, ours_too) in rows.items():
        assert (one, other) == (ours, ours_too), label


def test_refused_values_are_told(script):
    assert script.verdict("epevents", "withrdpha", "yes").kind == "refused"
    assert script.verdict("epframes", "withfifogti", "yes").kind == "refused"
    assert script.verdict("epframes", "lowerthreshold", "25").kind == "given"
    assert script.verdict("epframes", "nosuchthing", "1").kind == "unknown"


@pytest.mark.parametrize(("mode", "prefix"), [("IMAGING", "epnimg"), ("TIMING", "epntim")])
def test_columns_and_types_are_those_of_evlistcomb(mode, prefix):
    names, types = (EVLISTCOMB[f"{prefix}col{what}"].split() for what in ("names", "types"))
    expected = {n: FORMS[t] for n, t in zip(names, types, strict=True) if n != "OFFSETX"}
    ours = {c.name: c.form for c in EVENT_COLUMNS["EPN", mode]}
    # Joining adds the CCD; epexposure keeps the time before it is randomised.
    assert set(ours) - set(expected) <= {"CCDNR", "TIME_RAW"}
    assert {n: ours[n] for n in expected} == expected
