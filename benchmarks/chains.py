"""Speed and memory of the chains on a simulated observation: pn with its out-of-time run, and both MOS.

Usage: ``python benchmarks/chains.py [--duration 21457.2 ...] [--camera PN M1 M2] [--events 1] [--json FILE]``

The noise is that of each CCD of a real exposure: in 21 ks 6.8 million raw events of the pn, 0.7 and 0.6
million of MOS1 and MOS2. ``--duration 214572`` simulates ten times as many in ten times the time,
``--events 2`` twice the noise. Every call of epchain or emchain runs in a process of its own, on one core;
the time is CPU time without that of starting Python.
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
import io, json, os, re, resource, sys, time
from daxa.xmm.task import run_task

def peak_mb():
    # What getrusage says starts from the parent's peak.
    try:
        with open("/proc/self/status") as status:
            return int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read())[1]) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

folder, second = sys.argv[1], sys.argv[2] == "second"
call = dict(cwd=folder, out=io.StringIO())
if not os.path.exists(os.environ["SAS_CCF"]):
    run_task("cifbuild", {}, **call)
camera = sys.argv[3]
if camera == "PN":
    import daxa.xmm.tasks.epchain
    task, arguments = "epchain", dict(odfaccess="odf", exposure=3)
    if second:
        arguments |= dict.fromkeys(("runatthkgen", "runepframes", "runbadpixfind", "runbadpix"), "N")
    else:
        arguments |= dict(keepintermediate="raw", withoutoftime="Y")
else:
    import daxa.xmm.tasks.emchain
    task, arguments = "emchain", dict(instruments=camera)
wall, cpu = time.perf_counter(), time.process_time()
run_task(task, arguments, **call)
print(json.dumps({
    "wall_s": time.perf_counter() - wall,
    "cpu_s": time.process_time() - cpu,
    "peak_mb": peak_mb(),
}))
"""


def simulate(folder: Path, duration_s: float, camera: str, events: float) -> tuple[Path, int]:
    """One camera's exposure with the noise of a real one; its folder and number of raw events."""
    from dataclasses import replace

    from daxa.simulate.calibration.constituents import write_calibration
    from daxa.simulate.observation import simulate_observation
    from daxa.simulate.sets.real_exposure import describe_like_0802710101

    description, sky = describe_like_0802710101(duration_s, events=events)
    exposures = [e for e in description.exposures if e.instrument == camera]
    odf = folder / "odf"
    write_calibration(folder / "ccf")
    truth = simulate_observation(replace(description, exposures=exposures), sky, odf)
    return odf, sum(e["n_events"] for e in truth["exposures"])


def measure(duration_s: float, camera: str, events: float) -> dict[str, Any]:
    """Simulate one exposure and run the chain on it; for pn twice, as a driver does."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        odf, raw_events = simulate(folder, duration_s, camera, events)
        env = {
            **os.environ,
            "SAS_ODF": str(odf),
            "SAS_CCFPATH": str(folder / "ccf"),
            "SAS_CCF": str(folder / "ccf.cif"),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        runs = []
        for which in ("first", "second") if camera == "PN" else ("first",):
            command = [sys.executable, "-c", _CHILD, str(folder), which, camera]
            done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
            runs.append(json.loads(done.stdout.splitlines()[-1]))
    return {
        "camera": camera,
        "duration_s": duration_s,
        "raw_events": raw_events,
        "wall_s": sum(r["wall_s"] for r in runs),
        "cpu_s": sum(r["cpu_s"] for r in runs),
        "peak_mb": max(r["peak_mb"] for r in runs),
    }


def main() -> None:
    """Measure the durations asked for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--duration", type=float, nargs="+", default=[21_457.2, 214_572.0])
    parser.add_argument("--camera", nargs="+", default=["PN", "M1", "M2"], choices=["PN", "M1", "M2"])
    parser.add_argument("--events", type=float, nargs="+", default=[1.0], help="multiplies the noise")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results = []
    titles = ("duration s", "raw events", "wall s", "CPU s", "us/event", "peak MB")
    print("camera" + "".join(f"{t:>12}" for t in titles))
    for camera in arguments.camera:
        runs = [measure(d, camera, e) for d in arguments.duration for e in arguments.events]
        for r in runs:
            per_event = r["cpu_s"] / r["raw_events"] * 1e6
            print(
                f"{r['camera']:6}{r['duration_s']:12.0f}{r['raw_events']:12d}{r['wall_s']:12.2f}"
                f"{r['cpu_s']:12.2f}{per_event:12.2f}{r['peak_mb']:12.0f}",
                flush=True,
            )
        few, many = (choose(runs, key=lambda r: r["raw_events"]) for choose in (min, max))
        if many is not few:
            print(
                f"      {many['raw_events'] / few['raw_events']:.1f} times the events cost "
                f"{many['cpu_s'] / few['cpu_s']:.1f} times the CPU time and "
                f"{many['peak_mb'] / few['peak_mb']:.1f} times the memory",
                flush=True,
            )
        results += runs
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
