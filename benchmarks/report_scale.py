"""How long the report of many observations takes.

Usage: ``DAXA_OUTPUT=... python benchmarks/report_scale.py ARCHIVE [--observations 100]``

The observations of an archive, e.g. that of ``daxa demo``, are taken again and again under other ObsIDs:
products by hard links, the record by copies. Both are made in a temporary folder beside the archive.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

from daxa.archive import Archive
from daxa.mission.base import BaseMission


def mission_class(rows: pd.DataFrame, insts: tuple[str, ...]) -> type[BaseMission]:
    """A mission of these observations."""

    class Many(BaseMission):
        name = "xmm_pointed"
        pretty_name = "XMM-Newton Pointed"
        id_regex = r"^[0-9]{10}$"
        instruments = default_instruments = insts
        has_products = False

        def __init__(self, insts: Any = None, save_file_path: Any = None) -> None:
            super().__init__(insts, save_file_path)
            if save_file_path is None:
                self._catalogue()

        def _query(self, refresh: bool) -> tuple[Any, None]:
            return rows, None

        def get_obs_path(self, obs_id: str) -> Path:
            return Path(self.raw_data_path) / obs_id

        def download(self, *_: Any, **__: Any) -> None:
            self._downloaded = {"raw": True, "products": False}

        def assess_process_obs(self, obs_info: Any) -> Any:
            return {i: dict.fromkeys(info["exposures"], True) for i, info in obs_info.items()}

    return Many


def another(value: Any, old: str, new: str) -> Any:
    """A value that names another observation."""
    return json.loads(json.dumps(value).replace(old, new))


def multiply(source: Archive, number: int) -> Archive:
    """An archive of so many observations."""
    (mission,) = source.missions
    old = list(mission.filtered_obs_ids)
    new = [f"{k:010d}" for k in range(900000001, 900000001 + number)]
    rows = pd.concat([mission.filtered_obs_info] * (-(-number // len(old))))[:number].reset_index(drop=True)
    rows["ObsID"] = new
    from daxa.mission import MISS_INDEX

    MISS_INDEX[mission.name] = mission_class(rows, tuple(mission.chosen_instruments))
    many = Archive("many", MISS_INDEX[mission.name]())
    runs: dict[str, list[Any]] = {}
    for run in source.ledger.runs():
        runs.setdefault(run.obs_id, []).append(run)
    summaries = source.observation_summaries[mission.name]
    for k, obs_id in enumerate(new):
        was = old[k % len(old)]
        folder = Path(source.get_current_data_path(mission, was))
        target = Path(many.get_current_data_path(mission.name, obs_id))
        for path in folder.rglob("*"):
            if path.is_file() and path.parent.name != "logs":
                link = target / str(path.relative_to(folder)).replace(was, obs_id)
                link.parent.mkdir(parents=True, exist_ok=True)
                os.link(path, link)
        for run in runs[was]:
            values: dict[str, Any] = {"id": None, "obs_id": obs_id, "ident": run.ident.replace(was, obs_id)}
            values |= {"inputs": [], "outputs": {}, "extra": another(run.extra, was, obs_id)}
            many.ledger.finish(dataclasses.replace(run, **values))
        many.ledger.set_observation(mission.name, obs_id, summary=summaries[was])
    return many


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archive")
    parser.add_argument("--observations", type=int, default=100)
    given = parser.parse_args()
    source = Archive(given.archive)
    with tempfile.TemporaryDirectory(dir=source.top_level_path) as folder:
        os.environ["DAXA_OUTPUT"] = folder
        many = multiply(source, given.observations)
        for what in ("first report", "again, nothing new"):
            wall, cpu = time.perf_counter(), time.process_time()
            page = many.report()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            print(f"{what}: {given.observations} observations in {wall:.1f} s ({cpu:.1f} s of one core)")
        size = sum(p.stat().st_size for p in page.parent.rglob("*") if p.is_file())
        pages = [p.stat().st_size for p in page.parent.rglob("*.html")]
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"the folder: {size / 1e6:.0f} MB; largest page {max(pages) / 1e3:.0f} kB; memory {memory:.0f} MB"
        )


if __name__ == "__main__":
    main()
