"""Every parameter that a real run of epproc printed is known."""

import gzip
import re
import shlex

import pytest

from daxa.xmm.instruments.pn.exposure import BOX_TEMPERATURES
from daxa.xmm.task import find_task


@pytest.fixture(scope="module")
def real_call(shared_data):
    """Parameters of epproc in the log of SAS 22.1, as text."""
    (path,) = (shared_data / "logs").glob("0802710101_*.log.gz")
    with gzip.open(path, "rt", errors="replace") as log:
        line = next(text for text in log if re.match(r"epproc:- Executing \(routine\): epproc ", text))
    words = shlex.split(line.split("routine): epproc ")[1])
    return dict(word.split("=", 1) for word in words if "=" in word)


def test_the_real_call_is_understood(real_call):
    assert len(real_call) > 100
    parsed = find_task("epproc").parse(real_call)
    fixed = {p.name: p for p in find_task("epproc").parameters if p.only or p.without_effect}
    assert len(fixed) > 30
    for name, parameter in fixed.items():
        if name in real_call:
            assert parsed[name] == parameter.parse("epproc", parameter.default), name


@pytest.mark.parametrize(
    ("name", "value"), [("mipdist", "yes"), ("runepnoise", "yes"), ("badcolumnset", "b.tab")]
)
def test_what_is_not_implemented_is_refused_by_name(name, value):
    with pytest.raises(NotImplementedError, match=f"epproc: {name}="):
        find_task("epproc").parse({name: value})


def test_each_quadrant_box_has_its_own_temperature(shared_data):
    (path,) = (shared_data / "logs").glob("0802710101_*.log.gz")
    averages: dict[str, float] = {}
    quadrant, seen = None, 0
    with gzip.open(path, "rt", errors="replace") as log:
        for line in log:
            if found := re.search(r"Processing data set: .*PNS003(\d\d)IME", line):
                quadrant = (int(found[1]) - 1) // 3
            elif found := re.search(r"epframes:- (F1\d76): +average = +([\d.]+)", line):
                averages[found[1]] = float(found[2])
            elif found := re.search(r"Temperature for gain \[deg C\] += ([\d.]+)", line):
                assert float(found[1]) == pytest.approx(averages[BOX_TEMPERATURES[quadrant]], abs=6e-4)
                seen += 1
    assert seen == 12
