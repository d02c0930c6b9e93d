"""Running rgsproc on simulated observations of the gratings."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path

OBSERVATIONS = ("0800030101", "0800030201")
EXPOSURES = (("R1", "S004"), ("R2", "S005"))


@dataclass
class Grated:
    """Output folder, environment, log and warnings of rgsproc on one observation."""

    folder: Path
    env: dict[str, str]
    log: str
    warnings: str

    def file(self, instrument: str, code: str, number: str = "0000") -> Path:
        """A file of an exposure."""
        exp_id = dict(EXPOSURES)[instrument]
        (found,) = self.folder.glob(f"P*{instrument}{exp_id}{code}{number}.FIT")
        return found

    def lines(self, pattern: str) -> list[re.Match]:
        """Lines of the log that hold a pattern."""
        return [m for line in self.log.splitlines() if (m := re.search(pattern, line))]


def reduce(odf: Path, ccf: Path, folder: Path, attitude: str = "AHF:RAF", **arguments) -> Grated:
    """Run cifbuild, odfingest and rgsproc up to the final lists."""
    from daxa.xmm.task import run_task

    folder.mkdir(parents=True, exist_ok=True)
    out, err = io.StringIO(), io.StringIO()
    env = {"SAS_ODF": str(odf), "SAS_CCFPATH": str(ccf), "SAS_ATTITUDE": attitude}
    run_task("cifbuild", {}, cwd=folder, env=env, out=out, err=err)
    env["SAS_CCF"] = str(folder / "ccf.cif")
    run_task("odfingest", {}, cwd=folder, env=env, out=out, err=err)
    env["SAS_ODF"] = str(next(folder.glob("*SUM.SAS")))
    out, err = io.StringIO(), io.StringIO()
    run_task("rgsproc", {"finalstage": "3:filter", **arguments}, cwd=folder, env=env, out=out, err=err)
    return Grated(folder, env, out.getvalue(), err.getvalue())
