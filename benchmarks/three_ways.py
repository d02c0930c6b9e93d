"""One archive made three ways: are its products and records the same?

Usage::

    python benchmarks/three_ways.py FOLDER [--inst M1 M2 PN]

``here``: the embedded engine in processes of this machine. ``sas``: the back-end of SAS over the engine's own
programs under SAS's names (``daxa sas-shims``). ``dask``: a cluster of two worker processes, one of which is
killed while it runs a chain. Each makes an archive of one observation of ten minutes, which is simulated in
FOLDER unless it is there, with the calibration of one and the same date. Compared with the first way are what
the products hold (times and places left out) and, of every run that ever began: status, tasks, parameters,
what the tasks saw, inputs, outputs, messages and the fingerprint; the last not for ``sas``, as the back-end
is part of it. A table is printed; the exit status is 1 if anything differs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from daxa.archive import Archive
from daxa.archive.ledger import Ledger
from daxa.backend.datasum import data_checksum
from daxa.backend.shims import write_shims
from daxa.mission import XMMPointed
from daxa.process.simple import full_process_xmm

#: The date of the calibration, which is part of the records.
DATE = "2026-01-01T00:00:00"
#: While this runs, a worker is killed.
VICTIM = "emchain"
_OWN_FOLDER = re.compile(r"/\S+/(?=\S)")


@dataclass
class Made:
    """An archive that was made."""

    root: Path
    seconds: float
    workers: int | None = None
    cpu_s: float = 0.0
    products: dict[str, str] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        top = self.root / "processed_data"
        files = [p for p in top.rglob("*") if p.is_file() and p.parent.name != "logs"]
        self.products = {str(p.relative_to(top)): data_checksum(p) for p in files}
        ledger = Ledger(self.root / ".save_info" / "ledger.sqlite", read_only=True)
        for run in ledger.runs(everything=True):
            self.cpu_s += run.cpu_s or 0.0
            self.records.append(
                {
                    "run": f"{run.process} {run.ident}",
                    "status": run.status,
                    "tasks": run.tasks,
                    "seen": run.job,
                    "inputs": run.inputs,
                    "outputs": {name: output.data for name, output in run.outputs.items()},
                    "messages": [_OWN_FOLDER.sub("", str(m)) for m in (*run.warnings, *run.errors)],
                    "fingerprint": run.fingerprint if run.backend == "embedded" else "",
                }
            )
        ledger.close()
        self.records.sort(key=lambda record: record["run"])


def simulated(folder: Path) -> tuple[Path, Path]:
    """Raw files of one observation of ten minutes and calibration files; made unless they are there."""
    from dataclasses import replace

    from daxa.simulate import simulate_observation
    from daxa.simulate.calibration.constituents import write_calibration
    from daxa.simulate.cameras.noise import Noise
    from daxa.simulate.sets.standard import describe_set
    from daxa.simulate.sky import cluster_field

    raw, ccf = folder / "raw", folder / "ccf"
    if not (folder / "complete").exists():
        write_calibration(ccf)
        whole = describe_set(700.0, Noise().scaled(0.1, 0.01))[1]
        simulate_observation(replace(whole, flares=()), cluster_field(), raw / "0800010201")
        (folder / "complete").touch()
    return raw, ccf


@contextlib.contextmanager
def environment(folder: Path, ccf: Path, **more: str) -> Iterator[None]:
    """Settings of one way, whatever is installed on the machine."""
    folder.mkdir(parents=True)
    settings = {
        "DAXA_OUTPUT": str(folder),
        "DAXA_BACKEND": "embedded",
        "DAXA_CCFPATH": str(ccf),
        "XDG_CONFIG_HOME": str(folder),
        "XDG_CACHE_HOME": str(folder),
        **more,
    }
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SAS_", "DAXA_"))}
    date = patch("daxa.process.xmm.setup._now", lambda: DATE)
    with patch.dict(os.environ, {**kept, **settings}, clear=True), date:
        yield


def make(raw: Path, insts: list[str], workers: int | None = None, **how: Any) -> Made:
    """Make the archive in the environment as it is."""
    archive = Archive("field", XMMPointed(insts, local=raw))
    started = time.monotonic()
    full_process_xmm(archive, num_cores=2, disable_progress=True, **how)
    seconds = time.monotonic() - started
    archive.ledger.close()
    return Made(archive.layout.root, seconds, workers)


def over_shims(folder: Path, raw: Path, ccf: Path, insts: list[str]) -> Made:
    """The back-end of SAS over the engine's own programs."""
    shims = write_shims(folder.with_name("programs"))
    path = f"{shims}{os.pathsep}{os.environ['PATH']}"
    with environment(folder, ccf, DAXA_BACKEND="sas", SAS_DIR=str(shims), PATH=path):
        return make(raw, insts)


def over_dask(folder: Path, raw: Path, ccf: Path, insts: list[str]) -> Made:
    """A cluster of two worker processes, one of which is killed while it runs a chain."""
    from distributed import Client, LocalCluster

    with (
        environment(folder, ccf),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        before = client.run(os.getpid)
        ledger = folder / "archives" / "field" / ".save_info" / "ledger.sqlite"
        done = threading.Event()
        killer = threading.Thread(target=_kill_one, args=(client, before, ledger, done), daemon=True)
        killer.start()
        try:
            made = make(raw, insts, executor=client)
        finally:
            done.set()
            killer.join()
        made.workers = len(set(before.values()) & set(client.run(os.getpid).values()))
    return made


def _kill_one(client: Any, workers: dict[str, int], path: Path, done: threading.Event) -> None:
    """Kill a worker that is at work while a chain is under way."""
    while not done.wait(0.02):
        if not path.exists():
            continue
        ledger = Ledger(path, read_only=True)
        under_way = list(ledger.runs(everything=True, logs=False, process=VICTIM, status="running"))
        ledger.close()
        busy = [address for address, keys in client.processing().items() if keys] if under_way else []
        if busy:
            os.kill(workers[busy[0]], signal.SIGKILL)
            return


def here(folder: Path, raw: Path, ccf: Path, insts: list[str]) -> Made:
    """The embedded engine in processes of this machine."""
    with environment(folder, ccf):
        return make(raw, insts)


WAYS: dict[str, Callable[[Path, Path, Path, list[str]], Made]] = {
    "here": here,
    "sas": over_shims,
    "dask": over_dask,
}


def differences(one: Made, other: Made) -> list[str]:
    """What differs between two archives."""
    found = [f"product {name}: only one has it" for name in one.products.keys() ^ other.products.keys()]
    both = sorted(one.products.keys() & other.products.keys())
    found += [f"product {name} differs" for name in both if one.products[name] != other.products[name]]
    if len(one.records) != len(other.records):
        found.append(f"{len(one.records)} and {len(other.records)} runs")
    for mine, yours in zip(one.records, other.records, strict=False):
        for key, value in mine.items():
            if value != yours[key] and not (key == "fingerprint" and "" in (value, yours[key])):
                found.append(f"{mine['run']}: {key}: {value} and {yours[key]}")
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--inst", nargs="+", default=["M1", "M2", "PN"])
    given = parser.parse_args(arguments)
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    raw, ccf = simulated(folder)
    first, status = None, 0
    print("| way | runs | wall [s] | CPU [s] | products | differences from the first |")
    print("|---|---|---|---|---|---|")
    for name, way in WAYS.items():
        made = way(folder / f"{name}_{int(time.time())}", raw, ccf, given.inst)
        first = first or made
        found = differences(first, made)
        killed = "" if made.workers is None else f" ({2 - made.workers} of 2 workers killed)"
        counts = f"{len(made.records)} | {made.seconds:.1f} | {made.cpu_s:.1f} | {len(made.products)}"
        print(f"| {name}{killed} | {counts} | {len(found)} |", flush=True)
        for text in found[:20]:
            print(f"  {text[:500]}", file=sys.stderr)
        status = status or bool(found) or made.workers not in (None, 1)
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
