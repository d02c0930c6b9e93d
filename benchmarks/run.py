"""Run all benchmarks, print their tables and write the numbers to ``benchmarks/results/``.

Usage: ``python benchmarks/run.py [--only pipeline chains selection exposure_map] [--cores 2]``

``pipeline`` reduces the three observations of ``daxa demo`` and takes its numbers from the archive's ledger;
the others are the scripts beside this one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sqlite3
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SCRIPTS = {
    "chains": ["--duration", "21457.2", "214572"],
    "selection": ["--events", "10000000"],
    "exposure_map": ["--duration", "60000"],
}
_STEPS = """
SELECT process, count(*), sum(cpu_s), max(cpu_s), sum(wall_s), max(memory_bytes) / 1e6
FROM run WHERE status = 'done' GROUP BY process ORDER BY min(started)
"""


def pipeline(cores: int, size: str = "demo") -> dict[str, Any]:
    """Reduce the demo set; wall time of the processing, and per step what its jobs used."""
    with tempfile.TemporaryDirectory() as name:
        command = [
            sys.executable,
            "-c",
            "from daxa.cli.main import main; main()",
            "demo",
            name,
            "--size",
            size,
            "--cores",
            str(cores),
        ]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = re.search(r"simulated in ([\d.]+) s, processed in ([\d.]+) s", done.stderr)
        if found is None:
            raise SystemExit(f"daxa demo did not say how long it took:\n{done.stderr}")
        (ledger,) = Path(name).rglob("ledger.sqlite")
        connection = sqlite3.connect(ledger)
        titles = ("step", "jobs", "cpu_s", "longest_cpu_s", "wall_s", "peak_mb")
        steps = [dict(zip(titles, row, strict=True)) for row in connection.execute(_STEPS)]
        connection.close()
    print(f"{'step':26} {'jobs':>5} {'CPU s':>7} {'longest':>8} {'wall s':>7} {'peak MB':>8}")
    for s in steps:
        print(
            f"{s['step']:26} {s['jobs']:5d} {s['cpu_s']:7.2f} {s['longest_cpu_s']:8.2f} {s['wall_s']:7.2f} "
            f"{s['peak_mb']:8.0f}"
        )
    simulated, processed = map(float, found.groups())
    total = sum(s["cpu_s"] for s in steps)
    print(f"processed in {processed:.1f} s on {cores} cores, {total:.1f} s of CPU time in the jobs")
    times = {"simulated_s": simulated, "processed_s": processed, "jobs_cpu_s": total}
    return {**times, "cores": cores, "steps": steps}


def script(name: str) -> Any:
    """Run one of the scripts here; its numbers."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, str(HERE / f"{name}.py"), *SCRIPTS[name], "--json", str(result)]
        subprocess.run(command, check=True)
        return json.loads(result.read_text())


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ["pipeline", *SCRIPTS]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    results: dict[str, Any] = {
        "machine": platform.machine(), "python": platform.python_version(), "cores": os.cpu_count(),
    }  # fmt: skip
    for name in arguments.only:
        print(f"\n== {name}", flush=True)
        results[name] = pipeline(arguments.cores) if name == "pipeline" else script(name)
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    path = folder / f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}.json"
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(f"\nnumbers in {path}")


if __name__ == "__main__":
    main()
