"""Parameters and numbers of the RGS tasks against the log of a real run (SAS 22.1, ObsID 0802710101)."""

from __future__ import annotations

import gzip
import re
import shlex

import numpy as np
import pytest

from daxa.xmm.task import find_task

TASKS = (
    "rgsproc", "attfilter", "rgssources", "rgsframes", "rgsenergy", "rgsbadpix", "rgsevents", "rgsangles",
    "rgsfilter",
)  # fmt: skip
#: What rgsproc sets itself, so that it is not a default of the sub-task.
SET = {
    "rgsproc": {"finalstage"},
    "attfilter": {"attset", "instexpid", "gtitable", "tolangles"},
    "rgssources": {"filemode", "srclist", "instexpid", "expmediantable"},
    "rgsframes": {"set", "ccdset", "instrument"},
    "rgsenergy": {"ccdset"},
    "rgsbadpix": {"ccdset"},
    "rgsevents": {"ccdset"},
    "rgsangles": {"mergedset", "srclist"},
    "rgsfilter": {"mergedset", "evlist", "auxgtitables", "expimageset"},
}


@pytest.fixture(scope="module")
def log(shared_data) -> list[str]:
    (path,) = (shared_data / "logs").glob("0802710101_*.log.gz")
    with gzip.open(path, "rt", errors="replace") as lines:
        return [line for line in lines if line.startswith(("rgsproc", "** rgsproc"))]


def real_call(log: list[str], name: str) -> dict[str, str]:
    """Parameters of the first call of a task."""
    line = next(text for text in log if f"Executing (routine): {name} " in text)
    words = shlex.split(line.split(f"routine): {name} ")[1])
    return dict(word.split("=", 1) for word in words if "=" in word)


@pytest.mark.parametrize("name", TASKS)
def test_parameters_and_defaults(log, name):
    real, spec = real_call(log, name), find_task(name)
    ours = {p.name: p for p in spec.parameters}
    assert set(ours) == set(real)
    parsed, default = spec.parse(real), spec.parse({n: real[n] for n in SET[name]})
    for key in set(real) - SET[name]:
        if isinstance(parsed[key], float):
            assert default[key] == pytest.approx(parsed[key], rel=1e-6), key
        elif isinstance(parsed[key], (list, tuple)):
            assert list(default[key]) == list(parsed[key]), key
        else:
            assert default[key] == parsed[key], key


def test_order_of_the_sub_tasks(log, grated):
    """The same calls one after the other (hkgtigen and tabgtigen are called in memory)."""

    def calls(lines):
        found = (re.match(r"rgsproc:(?::\w+:)?- Executing \(routine\): (\w+) ", line) for line in lines)
        return [m[1] for m in found if m]

    real = calls(log)
    real = real[real.index("atthkgen") : real.index("rgsregions")]
    text = grated["0800030101"].log.splitlines()
    found = (re.match(r"rgsproc::(\w+):- Executing", line) for line in text)
    ours = [m[1] for m in found if m]
    ours = ours[: ours.index("rgsfilter") + 1]
    wanted = [name for name in real if name not in ("rgsproc", "tabgtigen", "hkgtigen")]
    assert ours == wanted
    assert "hkgtigen:- 0 parameters" in grated["0800030101"].log


def test_numbers_of_frames_and_events(log, grated):
    """Simulated frames follow the cycle of the real run: 4.606 s for RGS1, 9.083 s for RGS2 with one node."""
    frames = [re.search(r"flagged bad: +(\d+) out of a total of +(\d+)", line) for line in log]
    bad, total = np.array([[int(m[1]), int(m[2])] for m in frames if m]).T
    assert total.tolist() == [4714] * 6 + [4713] * 2 + [2390] * 3 + [2389] * 5
    # One bad frame in every CCD: the first one.
    assert set(bad.tolist()) == {1}
    windows = {"R1": 21714.0, "R2": 21708.0}
    for instrument, n in (("R1", 4714), ("R2", 2390)):
        ours = grated["0800030101"].lines(r"out of a total of +(\d+)")
        counts = [int(m[1]) for m in ours]
        mine = counts[:8] if instrument == "R1" else counts[8:]
        lasting = 3910.0
        lost = 100.0 if instrument == "R1" else 0.0
        assert np.median(mine) == pytest.approx((lasting - lost) * n / windows[instrument], rel=0.006)
    names = {m[1] for line in log if (m := re.search(r"##XMMEA_(\w+): \d+ events", line))}
    from daxa.xmm.formats.rgs import RgsFlag

    assert names <= {f.name for f in RgsFlag}
    printed = {m[1] for m in grated["0800030101"].lines(r"##XMMEA_(\w+): \d+ events flagged")}
    assert printed <= names | {"BELOW_ACCEPTANCE"}
    assert {"ON_NODE0", "ON_NODE1", "ONBOARD_SER", "IN_BAD_FRAME", "ON_BADPIX"} <= printed


def test_earth_velocity_of_a_real_run(log):
    """rgsangles adds the satellite's own motion: at most some km/s, and alike for both spectrometers."""
    from daxa.xmm.instruments.rgs.angles import earth_velocity

    axes = [re.search(r"Reference Attitude used .* = +([\d.]+) +([\d.]+) ", line) for line in log]
    real = [re.search(r"T= ([\d.]+) .*HelioVelCorr= ([\d.]+)", line) for line in log]
    axes = [(float(m[1]), float(m[2])) for m in axes if m]
    real = [(float(m[1]), float(m[2])) for m in real if m]
    assert len(axes) == len(real) == 2
    rest = [v - earth_velocity(*axis, t) for axis, (t, v) in zip(axes, real, strict=True)]
    assert rest[0] == pytest.approx(rest[1], abs=1e-4)
    assert abs(rest[0]) < 3.0
    factor = next(float(m[1]) for line in log if (m := re.search(r"correction factor +([\d.E+-]+)", line)))
    assert factor == pytest.approx(real[0][1] / 299792.458, rel=1e-6)
