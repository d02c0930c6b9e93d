"""Speed and memory of the pn chain, with its out-of-time run, on a simulated observation.

Usage: ``python benchmarks/pn_chain.py [--duration 20000 ...] [--json pn_chain.json]``

A 20 ks exposure with the noise of real data holds about five million raw pn events. Both calls of epchain
run in a process of their own, on one core; the time is CPU time without that of starting Python.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_CHILD = """
import io, json, os, resource, sys, time
from daxa.xmm.task import run_task
folder, second = sys.argv[1], sys.argv[2] == "second"
call = dict(cwd=folder, out=io.StringIO())
if not os.path.exists(os.environ["SAS_CCF"]):
    run_task("cifbuild", {}, **call)
import daxa.xmm.epic.pn.chain
common = dict(odfaccess="odf", exposure=3)
skip = dict.fromkeys(("runatthkgen", "runepframes", "runbadpixfind", "runbadpix"), "N")
wall, cpu = time.perf_counter(), time.process_time()
run_task("epchain", common | (skip if second else dict(keepintermediate="raw", withoutoftime="Y")), **call)
print(json.dumps({
    "wall_s": time.perf_counter() - wall,
    "cpu_s": time.process_time() - cpu,
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


def simulate(folder: Path, duration_s: float) -> tuple[Path, int]:
    """The pn exposure of the standard set with real noise; its folder and number of raw events."""
    from dataclasses import replace

    from daxa.simulate.calibration import write_calibration
    from daxa.simulate.detectors import Noise
    from daxa.simulate.observation import simulate_observation
    from daxa.simulate.simulated_set import SKIES, describe_set

    description = describe_set(duration_s, Noise())[0]
    pn = [e for e in description.exposures if e.instrument == "PN"]
    odf = folder / "odf"
    write_calibration(folder / "ccf")
    truth = simulate_observation(replace(description, exposures=pn), SKIES["cluster"](), odf)
    return odf, sum(e["n_events"] for e in truth["exposures"])


def measure(duration_s: float) -> dict[str, Any]:
    """Simulate one exposure and run the chain on it twice, as a driver does."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        odf, events = simulate(folder, duration_s)
        env = {
            **os.environ,
            "SAS_ODF": str(odf),
            "SAS_CCFPATH": str(folder / "ccf"),
            "SAS_CCF": str(folder / "ccf.cif"),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        runs = []
        for which in ("first", "second"):
            command = [sys.executable, "-c", _CHILD, str(folder), which]
            done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
            runs.append(json.loads(done.stdout.splitlines()[-1]))
    return {
        "duration_s": duration_s,
        "raw_events": events,
        "wall_s": sum(r["wall_s"] for r in runs),
        "cpu_s": sum(r["cpu_s"] for r in runs),
        "peak_mb": max(r["peak_mb"] for r in runs),
    }


def main() -> None:
    """Measure the durations asked for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--duration", type=float, nargs="+", default=[5000.0, 20_000.0])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results = [measure(d) for d in arguments.duration]
    print(f"{'duration s':>10} {'raw events':>11} {'wall s':>7} {'CPU s':>7} {'us/event':>8} {'peak MB':>8}")
    for r in results:
        print(
            f"{r['duration_s']:10.0f} {r['raw_events']:11d} {r['wall_s']:7.2f} {r['cpu_s']:7.2f} "
            f"{r['cpu_s'] / r['raw_events'] * 1e6:8.2f} {r['peak_mb']:8.0f}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
