"""Fixtures of the whole pipeline: each part of it is run once for all workers of a test run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from simulated_field import Field, Short, Undisturbed, begin, once, process, run_folder, set_environment

from daxa.archive import Archive
from daxa.process.simple import full_process_xmm
from daxa.simulate import SimulatedSet, simulate_set


@pytest.fixture(scope="session")
def field(tmp_path_factory: pytest.TempPathFactory) -> Field:
    """The standard set at the demo's length, which gives the sources enough counts, processed."""
    folder = run_folder(tmp_path_factory) / "integration_field"
    with once(folder) as todo, pytest.MonkeyPatch.context() as patch:
        raw, output = folder / "simulated", folder / "output"
        if todo:
            made = simulate_set(raw, size="demo")
            set_environment(patch, output, made.ccf)
            success = process("field", raw / "odf").process_success
            assert all(
                ok for steps in success.values() for idents in steps.values() for ok in idents.values()
            )
    return Field(SimulatedSet(raw), output / "archives" / "field")


@pytest.fixture(scope="session")
def short(tmp_path_factory: pytest.TempPathFactory) -> Short:
    """Ten minutes without a flare: for tests that run the pipeline often."""
    from daxa.simulate import simulate_observation
    from daxa.simulate.calibration.constituents import write_calibration
    from daxa.simulate.cameras.noise import Noise
    from daxa.simulate.sets.standard import describe_set
    from daxa.simulate.sky import cluster_field

    result = Short(run_folder(tmp_path_factory) / "integration_short")
    with once(result.base) as todo:
        if todo:
            write_calibration(result.ccf)
            whole = describe_set(700.0, Noise().scaled(0.1, 0.01))[1]
            simulate_observation(replace(whole, flares=()), cluster_field(), result.raw / result.obs_id)
    return result


@pytest.fixture(scope="session")
def undisturbed(short: Short, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    base = run_folder(tmp_path_factory) / "integration_undisturbed"
    with once(base) as todo, pytest.MonkeyPatch.context() as patch:
        set_environment(patch, base / "output", short.ccf)
        if todo:
            archive = begin(short)
            full_process_xmm(archive, num_cores=2, disable_progress=True)
            archive.ledger.close()
        archive = Archive("field")
        seconds = {(r.process, r.ident): r.wall_s for r in archive.ledger.runs(logs=False)}
        assert {r.status for r in archive.ledger.runs(everything=True)} == {"done"}
    return Undisturbed(base / "output" / "archives" / "field", seconds)
