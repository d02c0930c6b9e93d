"""MOS event lists made from the simulated observations, once per run."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass
class Reduced:
    """Output folder, log and warnings of emchain on one observation."""

    folder: Path
    env: dict[str, str]
    log: str
    warnings: str

    def event_list(self, instrument: str, exp_id: str) -> Path:
        """The event list of an exposure."""
        return next(self.folder.glob(f"P*{instrument}{exp_id}MIEVLI0000.FIT"))


def reduce(odf: Path, ccf: Path, folder: Path, **arguments) -> Reduced:
    """Run cifbuild, odfingest and emchain."""
    from daxa.xmm.task import run_task

    folder.mkdir(parents=True, exist_ok=True)
    out, err = io.StringIO(), io.StringIO()
    env = {"SAS_ODF": str(odf), "SAS_CCFPATH": str(ccf)}
    run_task("cifbuild", {}, cwd=folder, env=env, out=out, err=err)
    env["SAS_CCF"] = str(folder / "ccf.cif")
    run_task("odfingest", {}, cwd=folder, env=env, out=out, err=err)
    env["SAS_ODF"] = str(next(folder.glob("*SUM.SAS")))
    run_task("emchain", arguments, cwd=folder, env=env, out=out, err=err)
    return Reduced(folder, env, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def reduced(simulated, tmp_path_factory) -> Reduced:
    """The observation with an unscheduled MOS1 exposure."""
    folder = tmp_path_factory.mktemp("mos")
    return reduce(simulated.odf("0800010201"), simulated.ccf, folder)
