"""The standard set: what it holds, that it repeats itself, that its truth is consistent."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

import daxa.simulate
from daxa.simulate import SimulatedSet, simulate_observation, simulate_set
from daxa.simulate.cameras.noise import Noise
from daxa.simulate.observation import Flare
from daxa.simulate.sets.standard import describe_set
from daxa.simulate.sky import cluster_field
from daxa.xmm.formats.odf_names import OdfName


def test_three_observations_with_the_promised_exposures(simulated: SimulatedSet) -> None:
    assert simulated.obs_ids == ["0800010101", "0800010201", "0800010301"]
    exposures = {o: [(e["instrument"], e["exp_id"], e["submode"]) for e in simulated.truth(o)["exposures"]]
                 for o in simulated.obs_ids}  # fmt: skip
    full = "PrimeFullWindow"
    plain = [("M1", "S001", full), ("M2", "S002", full), ("PN", "S003", full)]
    assert exposures["0800010101"] == plain
    assert exposures["0800010201"] == [plain[0], ("M1", "U002", full), *plain[1:]]
    assert exposures["0800010301"] == [*plain[:2], ("PN", "S003", "PrimeFullWindowExtended")]
    assert list(simulated.ccf.glob("*.CCF"))
    for obs_id in simulated.obs_ids:
        assert simulated.archive(obs_id).stat().st_size > 10_000
        names = [OdfName.parse(path.name) for path in simulated.odf(obs_id).iterdir()]
        assert all(name is not None and name.obs_id == obs_id and name.revolution == 3100 for name in names)
        assert len([n for n in names if n.file_type == "IME"]) == sum(
            12 if e[0] == "PN" else 7 for e in exposures[obs_id]
        )


def test_the_second_sub_exposure_follows_the_first(simulated: SimulatedSet) -> None:
    first, second = simulated.truth("0800010201")["exposures"][:2]
    assert 0 < second["start_s"] - first["stop_s"] < 60
    assert second["stop_s"] - second["start_s"] > 600


def test_good_times_leave_out_gaps_and_overflows(simulated: SimulatedSet) -> None:
    truth = simulated.truth("0800010101")["exposures"][1]
    ccd = truth["ccds"]["3"]
    assert len(ccd["gti_s"]) == 4
    whole = ccd["stop_s"] - ccd["start_s"]
    # A gap of 12 frames, two overflows, the first and the last frame.
    assert whole - ccd["ontime_s"] == pytest.approx(16 * 2.6, abs=1e-3)
    assert ccd["ontime_s"] == pytest.approx((ccd["n_frames"] - 4) * 2.6, abs=1e-2)


def test_expected_and_simulated_counts_agree(simulated: SimulatedSet) -> None:
    excess = []
    for obs_id in simulated.obs_ids:
        with simulated.sources(obs_id).open() as handle:
            for row in csv.DictReader(handle):
                expected, hits = float(row["expected_hits"]), int(row["hits"])
                excess.append((hits - expected) / np.sqrt(expected))
                assert int(row["recorded"]) <= hits
                if row["name"].startswith("point"):
                    assert float(row["clear"]) > 0.99
    assert len(excess) == 11 * 10
    assert np.abs(excess).max() < 4.5
    assert abs(np.mean(excess)) < 0.5


def test_photon_list_matches_the_truth(simulated: SimulatedSet) -> None:
    truth = simulated.truth("0800010301")
    photons = fits.getdata(simulated.photons("0800010301", "PN", "S003"), 1)
    assert len(photons) == truth["exposures"][2]["n_photons"]
    start, stop = truth["flares_s"][0]
    flare = photons["TIME"][photons["SOURCE"] == truth["source_codes"]["flare"]]
    assert start <= flare.min()
    assert flare.max() <= stop
    lines = np.unique(photons["ENERGY"][photons["SOURCE"] == truth["source_codes"]["fluorescence"]])
    assert lines == pytest.approx(sorted(truth["fluorescence_ev"]["PN"]), rel=1e-6)
    hard = (photons["ENERGY"] > 2500) & (photons["ENERGY"] < 8500)
    inside = (photons["TIME"] > start + 5) & (photons["TIME"] < stop - 5)
    rate = np.sum(hard & inside) / (stop - start - 10)
    quiet = np.sum(hard & ~((photons["TIME"] > start - 5) & (photons["TIME"] < stop + 5))) / (
        truth["exposures"][2]["stop_s"] - truth["exposures"][2]["start_s"] - (stop - start)
    )
    assert rate > 4 * quiet


def test_the_same_seed_gives_the_same_bytes(tmp_path) -> None:
    description, sky = describe_set(150.0, Noise().scaled(0.3, 0.02))[1], cluster_field()
    # One camera of each kind is enough.
    description = replace(description, exposures=description.exposures[::3])
    sums = []
    for name, seed in (("a", 4), ("b", 4), ("c", 5)):
        simulate_observation(description, sky, tmp_path / name, tmp_path / f"{name}_truth", seed=seed)
        files = sorted((tmp_path / name).iterdir()) + sorted((tmp_path / f"{name}_truth").iterdir())
        sums.append({path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in files})
    assert sums[0] == sums[1]
    assert sums[0].keys() == sums[2].keys()
    changed = [name for name in sums[0] if "IME" in name and sums[0][name] != sums[2][name]]
    assert len(changed) == sum("IME" in name for name in sums[0])


def test_flares_have_steep_edges_and_stay_high() -> None:
    time, rate = Flare(1000.0, 2000.0, 2.0, edge_s=4.0).light_curve(np.random.default_rng(1))
    assert (time[0], time[-1]) == (1000.0, 2000.0)
    assert (np.diff(time) > 0).all()
    assert rate[0] == rate[-1] == 0
    assert rate[1:-1].min() > 1.0
    assert time[1] == 1004.0


@pytest.mark.parametrize(
    ("arguments", "word"),
    [({"size": "huge"}, "size"), ({"sky": "cloudy"}, "sky"), ({"duration_s": 10.0}, "duration_s")],
)
def test_wrong_arguments_are_named(tmp_path, arguments: dict, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        simulate_set(tmp_path, **arguments)


def test_unknown_places_are_named(tmp_path, simulated: SimulatedSet) -> None:
    with pytest.raises(FileNotFoundError, match="no simulated set"):
        SimulatedSet(tmp_path)
    with pytest.raises(FileNotFoundError, match="0800010301"):
        simulated.odf("0000000000")
    with pytest.raises(AttributeError, match="nonsense"):
        daxa.simulate.nonsense  # noqa: B018
