"""CPU seconds of one source's spectra with responses in three cameras, by task.

Usage: ``python benchmarks/spectral_cost.py --demo daxa_demo [--one-process] [--extended]``

The tasks are those of docs/spectra.md: two spectra with their areas, matrix, effective area, groups. Each
runs in a process of its own, as in a shell; with ``--one-process`` all run in this one, as in a step. Times
are user and system time of the processes, those they start included.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from spectral_truth import CLUSTER, POINTS, Job, circle, place, template

TASKS = ("evselect", "backscale", "rmfgen", "arfgen", "specgroup")


def cpu() -> float:
    """User and system time of this process and those that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usages)


class Timed(Job):
    """As :class:`Job`, with the time of each task."""

    separate = True

    def run(self, task: str, **values: object) -> None:
        """One task."""
        start = cpu()
        if self.separate:
            words = [f"{k}={'yes' if v is True else 'no' if v is False else v}" for k, v in values.items()]
            command = [sys.executable, "-m", "daxa.xmm", task, *words]
            env = {**os.environ, **self.t.env}
            subprocess.run(command, cwd=self.stem.parent, env=env, check=True, capture_output=True)
        else:
            super().run(task, **values)
        spent[task, self.t.camera.code] = spent.get((task, self.t.camera.code), 0.0) + cpu() - start


spent: dict[tuple[str, str], float] = {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, required=True)
    parser.add_argument("--one-process", action="store_true")
    parser.add_argument("--extended", action="store_true", help="a circle of 3 arcmin, with a map")
    options = parser.parse_args()
    Timed.separate = not options.one_process
    codes = ("M1", "M2", "PN")
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for code in codes:
            t = template(options.demo, code)
            where, radius = (CLUSTER.offset, 180.0) if options.extended else (POINTS[0].offset, 40.0)
            other = template(options.demo, "M2" if code == "PN" else "PN")
            Timed(
                t, t.path.resolve(), Path(folder).resolve() / code,
                circle(t, place(t.pointing, where), radius), circle(t, place(t.pointing, (-2.0, -3.5)), 80.0),
                (other.camera.code, other.path.resolve()) if options.extended else None,
                said=io.StringIO(),
            ).make()  # fmt: skip
    print("| task | " + " | ".join(codes) + " | all |\n|---|" + "---|" * 4)
    for task in (*TASKS, "all"):
        row = [sum(v for (a, c), v in spent.items() if c == code and task in (a, "all")) for code in codes]
        print(f"| {task} | " + " | ".join(f"{v:.2f}" for v in (*row, sum(row))) + " |")
    print(f"{time.perf_counter() - started:.1f} s passed")


if __name__ == "__main__":
    main()
