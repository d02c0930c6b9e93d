"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real SAS products, kept outside the repository."""
    folder = Path(os.environ.get("DAXA_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real products to compare with: {folder} is absent (set DAXA_TEST_DATA)")
    return folder


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the user's configuration, caches and outputs."""
    for variable in ("SAS_CCF", "SAS_CCFPATH", "SAS_CCFFILES", "SAS_ODF", "SAS_DIR"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("DAXA_NUM_CORES", "DAXA_BACKEND", "DAXA_CCFPATH"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DAXA_OUTPUT", str(tmp_path / "daxa_output"))


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory):
    """The small simulated set, made once for all workers of a test run."""
    from daxa.simulate import SimulatedSet, simulate_set

    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / "simulated"
    lock = base / "simulated.lock"
    import fcntl

    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            simulate_set(folder, size="small")
            (folder / "complete").touch()
    return SimulatedSet(folder)
