"""Time selections against CFITSIO's tools on the same file.

Usage: ``python benchmarks/selection.py [--events 10000000] [--repeat 3] [--json selection.json]``

Every line of the table is a program of its own, its input in the page cache: wall time, CPU time and peak
memory of the whole process, best of several runs in turn. ``task s`` leaves out what Python takes to start
and to import. The tools of CFITSIO are left out if they are not installed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# NumPy is not imported here: a child's peak memory starts from its parent's.
FILTER = "PATTERN<=4 && PI>500 && FLAG==0"


def write_events(path: Path, count: int, seed: int = 1) -> None:
    """A pn event list with one CCD, written in pieces."""
    import numpy as np
    from astropy.io import fits

    from daxa.xmm.event.eventlist import write_sky_wcs
    from daxa.xmm.event.gti import GTI
    from daxa.xmm.fits.file import hdu_bytes
    from daxa.xmm.fits.rows import RowWriter
    from daxa.xmm.fits.schema import make_table
    from daxa.xmm.formats.eventlist import EVENT_COLUMNS

    schema = EVENT_COLUMNS["EPN", "IMAGING"]
    empty = make_table(schema, {c.name: np.zeros(0, c.dtype) for c in schema}, "EVENTS")
    write_sky_wcs(empty.header, 149.6, -11.1, {"X": np.array([1, 51840]), "Y": np.array([1, 51840])})
    for key, value in {
        "INSTRUME": "EPN", "DSTYP1": "CCDNR", "DSVAL1": "4", "DSTYP2": "TIME", "DSUNI2": "s",
        "DSVAL2": "TABLE", "DSREF2": ":STDGTI04", "TIMEDEL": 0.0687,
    }.items():  # fmt: skip
        empty.header[key] = value
    dtype = np.dtype([(c.name, c.dtype) for c in schema]).newbyteorder(">")
    rng = np.random.default_rng(seed)
    span = 1e5
    with open(path, "wb") as file:
        file.write(fits.PrimaryHDU().header.tostring().encode("ascii"))
        writer = RowWriter(file, empty.header)
        done = 0
        while done < count:
            n = min(1_000_000, count - done)
            rows = np.zeros(n, dtype)
            rows["TIME"] = np.sort(rng.uniform(span * done / count, span * (done + n) / count, n))
            # A bright centre over a flat background.
            bright = rng.random(n) < 0.5
            for name in ("X", "Y"):
                flat = rng.integers(8000, 44000, n)
                core = np.rint(25921 + 3000 * rng.standard_normal(n))
                rows[name] = np.clip(np.where(bright, core, flat), 1, 51840)
            rows["PI"] = np.minimum(rng.exponential(1500, n), 20000)
            rows["PATTERN"] = rng.choice([0, 1, 2, 3, 4, 5, 12], n)
            rows["FLAG"] = rng.choice([0, 0, 0, 0x10000, 0x400000], n)
            rows["CCDNR"] = 4
            writer.write(rows.view(np.uint8).reshape(n, dtype.itemsize))
            done += n
        writer.close()
        file.write(hdu_bytes(GTI([0.0], [span]).to_hdu("STDGTI04")))


def measure(command: list[str], folder: Path) -> dict[str, float]:
    """One run of a program."""
    for name in ("out.fits", "image.fits"):
        (folder / name).unlink(missing_ok=True)
    started = time.perf_counter()
    # An installed package has its bytecode; it is not to be compiled again in every run.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.read().decode() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    found = {
        "wall_s": time.perf_counter() - started,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_MB": usage.ru_maxrss / 1024,
    }
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{output}")
    if took := re.search(r" ended: .*\(([\d.]+) s\)", output):
        found["task_s"] = float(took[1])
    return found


def result_of(path: Path) -> int:
    """Rows of a list, or counts of an image."""
    code = (
        "import sys; from astropy.io import fits; h = fits.open(sys.argv[1]);"
        "print(h[0].data.sum() if h[0].data is not None else h[1].header['NAXIS2'])"
    )
    return int(subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True).stdout)


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path, default=Path("selection.json"))
    parser.add_argument("--folder", type=Path, help="keep the files here")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        write_events(arguments.write, arguments.events)
        return
    with tempfile.TemporaryDirectory(prefix="selection") as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        events = folder / f"events{arguments.events}.fits"
        if not events.exists():
            command = [sys.executable, __file__, "--events", str(arguments.events), "--write", str(events)]
            subprocess.run(command, check=True)
        task = [sys.executable, "-m", "daxa.xmm", "evselect", f"table={events.name}:EVENTS"]
        image = ["imageset=image.fits", "xcolumn=X", "ycolumn=Y", "imagebinning=binSize"]
        image += ["ximagebinsize=80", "yimagebinsize=80"]
        grid = "bin X=1:51840:80,Y=1:51840:80"
        fitscopy = shutil.which("fitscopy")
        cases = [
            ("filter", "evselect", [*task, "filteredset=out.fits", f"expression={FILTER}"], "out.fits"),
            ("filter", "fitscopy", [fitscopy, f"{events.name}[EVENTS][{FILTER}]", "out.fits"], "out.fits"),
            ("image", "evselect", [*task, *image], "image.fits"),
            ("image", "fitscopy", [fitscopy, f"{events.name}[EVENTS][{grid}]", "image.fits"], "image.fits"),
            ("filtered image", "evselect", [*task, *image, f"expression={FILTER}"], "image.fits"),
            (
                "filtered image",
                "fitscopy",
                [fitscopy, f"{events.name}[EVENTS][{FILTER}][{grid}]", "image.fits"],
                "image.fits",
            ),
        ]
        results: list[dict[str, Any]] = []
        sums: dict[str, set[int]] = {}
        print(f"{arguments.events} events, {events.stat().st_size / 1e6:.0f} MB, {platform.machine()}")
        titles = ("wall s", "CPU s", "task s", "peak MB")
        print(f"{'what':16}{'program':10}" + "".join(f"{t:>10}" for t in titles) + f"{'result':>12}")
        cases = [case for case in cases if case[2][0] is not None]
        found: list[list[dict[str, float]]] = [[] for _ in cases]
        for _ in range(arguments.repeat):
            for (what, _, command, product), runs in zip(cases, found, strict=True):
                runs.append(measure(command, folder))
                sums.setdefault(what, set()).add(result_of(folder / product))
        keys = ("wall_s", "cpu_s", "task_s")
        for (what, program, _, _), runs in zip(cases, found, strict=True):
            best = {key: min(run[key] for run in runs) for key in runs[0]}
            result = max(sums[what])
            results.append({"what": what, "program": program, "result": result, **best})
            numbers = "".join(f"{best[k]:10.2f}" if k in best else " " * 10 for k in keys)
            print(f"{what:16}{program:10}{numbers}{best['peak_MB']:10.0f}{result:12d}")
        for what, values in sums.items():
            if len(values) > 1:
                raise SystemExit(f"{what}: the programs disagree: {sorted(values)}")
        arguments.json.write_text(json.dumps({"events": arguments.events, "runs": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
