"""Fixtures of the whole pipeline: each part of it is run once for all workers of a test run."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from once import once, run_folder
from simulated_field import Field, Short, Undisturbed, begin, set_environment
from typer.testing import CliRunner

from daxa.archive import Archive
from daxa.cli.main import app
from daxa.process.simple import full_process_xmm
from daxa.simulate import SimulatedSet


@pytest.fixture(scope="session")
def field(tmp_path_factory: pytest.TempPathFactory) -> Field:
    """What ``daxa demo`` makes: the standard set, long enough for its sources to have counts, processed."""
    work = run_folder(tmp_path_factory) / "integration_field"
    said = work / "said.json"
    with once(work) as todo, pytest.MonkeyPatch.context() as patch:
        if todo:
            set_environment(patch, work / "daxa_output", work / "simulated" / "ccf")
            done = CliRunner().invoke(app, ["demo", str(work), "--cores", "2", "--json"])
            assert done.exit_code == 0, done.output
            said.write_text(done.stdout[done.stdout.index("{") :])
    root = work / "daxa_output" / "archives" / "demo"
    return Field(SimulatedSet(work / "simulated"), root, json.loads(said.read_text()))


@pytest.fixture(scope="session")
def short(synthetic_ccf: Path, tmp_path_factory: pytest.TempPathFactory) -> Short:
    """Ten minutes without a flare: for tests that run the pipeline often."""
    from daxa.simulate import simulate_observation
    from daxa.simulate.cameras.noise import Noise
    from daxa.simulate.sets.standard import describe_set
    from daxa.simulate.sky import cluster_field

    result = Short(run_folder(tmp_path_factory) / "integration_short")
    with once(result.base) as todo:
        if todo:
            shutil.copytree(synthetic_ccf, result.ccf)
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
