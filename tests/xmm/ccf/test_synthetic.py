"""Synthetic calibration and real observations are kept apart."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.ccf.index import list_files, read_entry, read_index, write_index
from daxa.xmm.ccf.synthetic import SWITCH, is_simulated, is_synthetic, refuse_mixture
from daxa.xmm.odf.odf import Odf
from daxa.xmm.task import TaskError, run_task


@pytest.fixture(autouse=True)
def _no_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWITCH, raising=False)


def _real_odf(simulated, folder: Path) -> Path:
    """Raw files that do not say that they are simulated."""
    shutil.copytree(simulated.odf(simulated.obs_ids[0]), folder)
    for path in folder.glob("*.FIT"):
        path.write_bytes(path.read_bytes().replace(b"'daxa.simulate'", b"'SOC          '"))
    return folder


def _build(simulated, odf: Path, folder: Path, **env: str) -> None:
    settings = {"SAS_ODF": str(odf), "SAS_CCFPATH": str(simulated.ccf), **env}
    run_task("cifbuild", {}, cwd=folder, env=settings, out=io.StringIO(), err=io.StringIO())


def test_synthetic_calibration_of_a_real_observation(simulated, tmp_path: Path) -> None:
    odf = _real_odf(simulated, tmp_path / "odf")
    assert not is_simulated(Odf.open(odf))
    with pytest.raises(TaskError, match=f"synthetic, but the raw files are not; set {SWITCH}=allow"):
        _build(simulated, odf, tmp_path)
    assert not (tmp_path / "ccf.cif").exists()

    _build(simulated, odf, tmp_path, **{SWITCH: "allow"})
    env = {"SAS_ODF": str(odf), "SAS_CCF": "ccf.cif", "SAS_CCFPATH": str(simulated.ccf)}
    with pytest.raises(TaskError, match="synthetic, but the raw files are not"):
        Calibration.from_environment(env, tmp_path)
    assert Calibration.from_environment({**env, SWITCH: "allow"}, tmp_path)
    # What was allowed once is refused again without the switch.
    with pytest.raises(TaskError, match="synthetic, but the raw files are not"):
        Calibration.from_environment(env, tmp_path)


def test_real_calibration_of_a_simulated_observation(simulated, tmp_path: Path) -> None:
    odf = simulated.odf(simulated.obs_ids[0])
    assert is_simulated(Odf.open(odf))
    _build(simulated, odf, tmp_path)
    index = read_index(tmp_path / "ccf.cif")
    index.entries = [replace(entry, creator="ccfextseq") for entry in index.entries]
    write_index(tmp_path / "ccf.cif", index)
    env = {"SAS_ODF": str(odf), "SAS_CCF": "ccf.cif", "SAS_CCFPATH": str(simulated.ccf)}
    with pytest.raises(TaskError, match="real, but the raw files are simulated"):
        Calibration.from_environment(env, tmp_path)


def test_a_mixed_set_counts_as_synthetic(simulated, tmp_path: Path) -> None:
    first, *others = (read_entry(path) for path in list_files([simulated.ccf])[:5])
    mixed = [first, *(replace(entry, creator="ccfextseq") for entry in others)]
    assert is_synthetic(mixed)
    odf = Odf.open(_real_odf(simulated, tmp_path / "odf"))
    with pytest.raises(TaskError) as caught:
        refuse_mixture(mixed, odf, {})
    assert caught.value.code == "syntheticCalibration"
    refuse_mixture(mixed[1:], odf, {})
