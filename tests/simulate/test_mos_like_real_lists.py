"""Patterns and energy scales of the simulated MOS beside those measured on real lists."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from daxa.simulate.cameras import mos_energies
from daxa.simulate.cameras.camera import CAMERAS
from daxa.simulate.cameras.mos import observe_mos
from daxa.simulate.cameras.noise import Noise
from daxa.simulate.cameras.readout import Exposure
from daxa.simulate.odf.clock import Clock, tt_of_utc

START, SECONDS = tt_of_utc("2016-11-13T03:00:00"), 26_000
ENERGIES_EV = np.array([400.0, 1000.0, 1600.0, 2500.0, 4000.0, 6000.0, 8500.0])
CLASSES = {"singles": (0, 0), "doubles": (1, 4), "triples": (5, 8), "quads": (9, 12)}
EPOCHS = {"2004-05/06": date(2004, 6, 1), "2006-05": date(2006, 5, 27)}


@pytest.fixture(scope="module")
def measured(shared_data: Path):
    """Rows of a table measured on real lists."""

    def read(name: str) -> list[dict[str, str]]:
        path = shared_data / "mos_truth" / name
        if not path.exists():
            pytest.skip(f"no {path}")
        with path.open() as handle:
            return list(csv.DictReader(handle))

    return read


@pytest.fixture(scope="module", params=["M1", "M2"])
def patterns(request) -> tuple[str, dict[float, np.ndarray]]:
    """Camera, and patterns of the events of 6000 photons of each energy."""
    rng = np.random.default_rng(3)
    n = 6000 * len(ENERGIES_EV)
    photons = SimpleNamespace(
        time_s=np.sort(rng.uniform(START, START + SECONDS, n)),
        ccd=np.full(n, 1),
        rawx=rng.uniform(3, 597, n),
        rawy=rng.uniform(3, 597, n),
        energy_ev=np.tile(ENERGIES_EV, 6000),
        source=np.zeros(n, int),
    )
    exposure = Exposure(request.param, "S001", START, START + SECONDS, ccds=(1,))
    camera, clock, quiet = CAMERAS[request.param], Clock(START - 7000), Noise.quiet()
    events = observe_mos(camera, photons, exposure, clock, quiet, np.random.default_rng(5)).ccds[1].events
    gain = mos_energies.SCALES[request.param][1].sets[0][1]
    seen = np.maximum(events["ENERGYE1"] + events["ENERGYE2"], 1) * gain
    nearest = np.abs(np.log(seen[:, None] / ENERGIES_EV)).argmin(axis=1)
    valid = events["PATTERN"] <= 12
    return request.param, {e: events["PATTERN"][valid & (nearest == i)] for i, e in enumerate(ENERGIES_EV)}


def _row(rows: list[dict[str, str]], code: str, energy_ev: float) -> dict[str, float]:
    (row,) = (
        r
        for r in rows
        if r["sample"] == f"MOS{code[1]} field" and float(r["e_low_eV"]) <= energy_ev < float(r["e_high_eV"])
    )
    return {name: float(value) for name, value in row.items() if name != "sample"}


def test_shares_of_patterns(patterns, measured) -> None:
    code, simulated = patterns
    rows = measured("patterns.csv")
    for energy_ev, pattern in simulated.items():
        assert len(pattern) > 5500
        real = _row(rows, code, energy_ev)
        for name, (first, last) in CLASSES.items():
            share = np.mean((pattern >= first) & (pattern <= last))
            # One table for both cameras, which differ by up to 0.02; four sigma of the counts.
            error = np.sqrt(max(real[name], 1e-4) * (1 / len(pattern) + 1 / real["events"]))
            assert abs(share - real[name]) < 0.012 + 4 * error, (code, energy_ev, name)


def test_doubles_lie_along_one_axis_as_real_ones(patterns, measured) -> None:
    """The simulated law is one for both cameras and all energies; real ratios scatter by 30 %."""
    code, simulated = patterns
    rows = measured("patterns.csv")
    total = np.zeros((2, 4))
    for energy_ev, pattern in simulated.items():
        real = np.array([_row(rows, code, energy_ev)[f"p{number}"] for number in (1, 2, 3, 4)])
        shares = np.array([np.mean(pattern == number) for number in (1, 2, 3, 4)])
        assert shares == pytest.approx(real, abs=0.022), (code, energy_ev)
        # Below, noise makes as many of the rare ones as charge that spreads.
        if energy_ev > 500:
            total += [shares, real]
    along = (total[:, 0] + total[:, 2]) / (total[:, 1] + total[:, 3])
    assert along[0] == pytest.approx(along[1], rel=0.15)
    assert total[0, 0] / total[0, 2] == pytest.approx(total[1, 0] / total[1, 2], rel=0.1)


def test_scales_are_the_measured_ones(measured) -> None:
    found = 0
    for row in measured("gain_cti.csv"):
        if row["epoch"] != "2004-05/06":
            continue
        n = {
            key: float(value)
            for key, value in row.items()
            if value and key[:2] not in ("ca", "ep", "ad", "ct", "da")
        }
        scale = mos_energies.SCALES[f"M{row['camera'][3]}"][int(row["ccd"])]
        assert scale.sets[0][1] == pytest.approx(n["gain_eV_adu"], abs=1e-5)
        for (offset, gain), name in zip(scale.sets[1:], ("doubles", "triples", "quads"), strict=True):
            assert offset - scale.sets[0][0] == pytest.approx(n[f"{name}_offset_minus_singles_eV"], abs=0.01)
            steeper = 1e3 * (gain - scale.sets[0][1])
            assert steeper == pytest.approx(n[f"{name}_gain_minus_singles_meV_adu"], abs=0.02)
        assert scale.parallel[0] == pytest.approx(n["cy_adu_per_transfer_at_1000"], abs=1e-6)
        assert scale.parallel[2] == pytest.approx(n["cy_power"], abs=1e-4)
        assert scale.serial[0] == pytest.approx(
            n["cx_adu_per_transfer_at_1000"], abs=max(2 * n["cx_err"], 1e-6)
        )
        if scale.serial[0]:
            assert scale.serial[1] == pytest.approx(n["cx_power"], abs=1e-4)
        found += 1
    assert found == 14


def test_losses_of_the_laws_are_those_of_both_epochs(measured) -> None:
    """The laws that the calibration files hold, in 2004 and two years later."""
    reference = date.fromisoformat(mos_energies.CTI_REF_DATE[:10])
    found = 0
    for row in measured("gain_cti.csv"):
        if row["epoch"] not in EPOCHS:
            continue
        days = (EPOCHS[row["epoch"]] - reference).days
        loss, growth, _ = mos_energies.parallel_law(f"M{row['camera'][3]}", int(row["ccd"]), warm=False)
        real = float(row["cy_adu_per_transfer_at_1000"])
        assert loss + growth * days == pytest.approx(real, rel=1e-3 if row["epoch"] == "2004-05/06" else 0.05)
        found += 1
    assert found == 27
