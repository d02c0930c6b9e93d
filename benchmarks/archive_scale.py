"""What archives of many observations cost: planning, recording, a call with nothing to do, opening.

Usage: ``python benchmarks/archive_scale.py [--observations 2000] [--log-kb 100] [--listed 10000]``

The jobs do nothing (no process is started): what is measured is the package itself.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

EXPOSURE = {
    "scheduled": True,
    "type": "SCIENCE",
    "mode": "PrimeFullWindow",
    "filter": "Medium",
    "ccd_modes": {},
}


def mission_class(count: int) -> type:
    """A mission of that many observations with one exposure each."""
    from daxa.mission.base import BaseMission

    class Many(BaseMission):
        name = "xmm_pointed"
        pretty_name = "XMM-Newton Pointed"
        id_regex = r"^[0-9]{10}$"
        instruments = ("M1", "M2", "PN")
        default_instruments = ("M1",)
        has_products = False

        def __init__(self, insts: Any = None, save_file_path: Any = None) -> None:
            super().__init__(insts, save_file_path)
            if save_file_path is None:
                self._catalogue()

        def _query(self, refresh: bool) -> tuple[Any, None]:
            start = np.datetime64("2017-06-01T10:00:00", "us")
            ids = [f"{100000001 + 100 * k:010d}" for k in range(count)]
            row = {"ra": 149.6, "dec": -11.1, "start": start, "science_usable": True}
            row |= {"end": start + np.timedelta64(3600, "s"), "duration": pd.Timedelta(3600, "s")}
            return pd.DataFrame({"ObsID": ids, **row}), None

        def get_obs_path(self, obs_id: str) -> Path:
            return Path(self.raw_data_path) / obs_id

        def download(self, *_: Any, **__: Any) -> None:
            for obs_id in self.obs_ids:
                folder = self.get_obs_path(obs_id)
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"3100_{obs_id}_SCX00000SUM.ASC").touch()
            self._downloaded = {"raw": True, "products": False}

        def assess_process_obs(self, obs_info: dict) -> dict:
            return {inst: dict.fromkeys(info["exposures"], True) for inst, info in obs_info.items()}

    return Many


def trivial(log_bytes: int) -> Any:
    """A job that writes each output with its name in it, and a log."""
    from daxa.backend.contract import Outcome
    from daxa.backend.output import KEPT

    def run(job: Any) -> Any:
        outcome = Outcome(job.ident, True, stdout="x" * min(log_bytes, 2 * KEPT))
        for name, final in job.outputs.items():
            if name in job.optional:
                continue
            final.parent.mkdir(parents=True, exist_ok=True)
            final.write_text(final.name)
            outcome.outputs[str(final)] = hashlib.sha256(final.name.encode()).hexdigest()
        outcome.started = outcome.ended = "2026-01-01T00:00:00.000+00:00"
        return outcome

    return run


def cpu_s() -> float:
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2])


def memory_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measure(title: str, call: Any) -> Any:
    """Call something and print what it cost."""
    started, wall = cpu_s(), time.perf_counter()
    result = call()
    print(
        f"{title:48s} {cpu_s() - started:8.2f} CPU s {time.perf_counter() - wall:8.2f} s {memory_mb():6d} MB",
        flush=True,
    )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--observations", type=int, default=2000)
    parser.add_argument("--log-kb", type=int, default=100)
    parser.add_argument("--listed", type=int, default=10_000)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"DAXA_OUTPUT": f"{folder}/out", "DAXA_BACKEND": "embedded"}
        os.environ |= {"XDG_CACHE_HOME": folder, "XDG_CONFIG_HOME": folder, "DAXA_CCFPATH": folder}
        import daxa.mission
        import daxa.process.runner as runner
        import daxa.process.xmm.setup as setup
        from daxa.archive import Archive
        from daxa.process.simple import full_process_xmm
        from daxa.report import status_table

        def summary(path: Any, obs_id: Any = None) -> dict:
            return {"M1": {"active": True, "num_exp": 1, "exposures": {"S001": EXPOSURE}}}

        def reduce(archive: Archive) -> None:
            full_process_xmm(archive, num_cores=1, disable_progress=True)

        setup.parse_odf_sum = summary
        runner.run_job = trivial(options.log_kb * 1024)
        for count, processed in ((options.observations, True), (options.listed, False)):
            mission = mission_class(count)
            daxa.mission.MISS_INDEX["xmm_pointed"] = mission
            name = f"of_{count}"
            archive = measure(
                f"make an archive of {count} observations", lambda m=mission, n=name: Archive(n, m())
            )
            if processed:
                before = cpu_s()
                measure("reduce them", lambda a=archive: reduce(a))
                jobs = sum(len(i) for i in archive.process_success["xmm_pointed"].values())
                size = sum(p.stat().st_size for p in archive.layout.save_info.glob("ledger*")) / 1e6
                print(
                    f"  {jobs} jobs, {1000 * (cpu_s() - before) / jobs:.2f} ms CPU each; ledger {size:.0f} MB"
                )
                measure("again, with nothing to do", lambda a=archive: reduce(a))
            archive.ledger.close()
            opened = measure("open it", lambda n=name: Archive(n))
            measure("list it (daxa status)", lambda a=opened: status_table(a))


if __name__ == "__main__":
    sys.exit(main())
