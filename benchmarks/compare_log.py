"""A simulated exposure beside a real one, sub-task by sub-task.

Usage: ``python benchmarks/compare_log.py [--log LOG] [--data FOLDER] [--keep LOG] [--duration 21457.2]``

Simulates an exposure with the composition of the real one, CCD by CCD, runs cifbuild, odfingest,
epproc and emproc on it, and prints tables (Markdown) of what their log says beside the log of SAS 22.1 on
0802710101: CSV files ``0802710101_*`` and the log itself in the folder ``logs`` of the real products
(``DAXA_TEST_DATA``). With ``--log`` it reads a log that ``--keep`` wrote.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import re
import shlex
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STEM = "0802710101"
Figures = dict[tuple[str, int], dict[str, float]]
#: Rows of the MOS table: label, text of the log with the number in front or behind.
FIRST = {
    "frames": r"[Cc]reate .*(?:frame table|FramesTemp.ds) with +(\d+) +rows",
    "good time fraction": r"Fraction of good time : +([\d.]+)",
    "area in the field of view [arcmin2]": r"within field of view is +([\d.]+) +arcmin2",
    "events in": r"(\d+) +events in output",
    "outside good frames": r"(\d+) +events outside good frames",
    "cosmic rays": r"(\d+) +cosmic-ray events",
    "outside the window": r"(\d+) +events outside window",
    "in noisy rows": r"(\d+) +events in rows with more",
    "next to noisy rows": r"(\d+) +flagged events next to bad rows",
    "low E3": r"(\d+) +events with E3 <",
    "flickering": r"(\d+) +events detected as flickering",
    "truncated E1": r"(\d+) +events with truncated E1",
    "incoherent E3, E4 (emenergy)": r"(\d+) +events outside the ellipse",
    "good fraction": r"Fraction of good events : +([\d.Ee+-]+)",
}
#: Of the first search for bad pixels.
SEARCH = {
    "good events searched": r"Number of good events in input file: +(\d+)",
    "bright pixels found": r"(\d+) +bright pixels found",
    "bright columns found": r"dark and +(\d+) +bright columns found",
    "bright rows found": r"dark and +(\d+) +bright rows found",
}
SECOND = {
    "bad-pixel entries": r"(\d+) +final bad pixel sets",
    "diagonals split": r"(\d+) +diagonal events split",
    "cut by bad pixels": r"(\d+) +events removed or modified by CUT_BAD",
    "events after splitting": r"(\d+) +events in output",
    "good fraction, second pass": r"Fraction of good events : +([\d.Ee+-]+)",
    "rows selected": r"selected +(\d+) +rows",
}
PN = {
    "frames with events": r"of which (\d+) hold events",
    "FIFO resets of the quadrant": r"FIFOreset = +(\d+)",
    "good time [s]": r"sum of good time intervals \[s\] +=\s+([\d.]+)",
    "new bad pixels": r"final bad pixel sets, (\d+) of them new",
    "bad-pixel entries": r"(\d+) final bad pixel sets",
    "raw events": r"events: (\d+) read",
    "lost with MIPs": r"read, (\d+) lost to",
    "events to patterns": r"events: (\d+) used",
    "patterns": r"patterns: (\d+),",
}


def simulate(folder: Path, duration_s: float) -> str:
    """Simulate the exposure and reduce it; the log."""
    from daxa.simulate.calibration.constituents import write_calibration
    from daxa.simulate.observation import simulate_observation
    from daxa.simulate.sets.real_exposure import describe_like_0802710101
    from daxa.xmm.task import run_task

    description, sky = describe_like_0802710101(duration_s)
    write_calibration(folder / "ccf")
    simulate_observation(description, sky, folder / "odf")
    env = {
        **os.environ,
        "SAS_ODF": str(folder / "odf"),
        "SAS_CCFPATH": str(folder / "ccf"),
        "SAS_CCF": str(folder / "ccf.cif"),
    }
    path = folder / "log.txt"
    with path.open("w", encoding="utf-8") as log:
        for name in ("cifbuild", "odfingest", "epproc", "emproc"):
            arguments = {"outdir": str(folder)} if name == "odfingest" else {}
            run_task(name, arguments, cwd=folder, env=env, out=log, err=log)
            if name == "odfingest":
                env["SAS_ODF"] = str(next(folder.glob("*SUM.SAS")))
    return path.read_text(encoding="utf-8")


def _take(patterns: dict[str, str], line: str, into: dict[str, float]) -> None:
    for label, pattern in patterns.items():
        found = re.search(pattern, line)
        if found:
            into[label] = float(found[1])


def _add(patterns: dict[str, str], line: str, into: dict[str, float]) -> None:
    for label, pattern in patterns.items():
        found = re.search(pattern, line)
        if found:
            into[label] = into.get(label, 0.0) + float(found[1])


def our_mos(log: str) -> Figures:
    """Figures of our log per camera and CCD."""
    made: Figures = defaultdict(dict)
    key, first, second, order, searches = None, -1, -1, [], 0
    for line in log.splitlines():
        start = re.search(r"Processing data set: .*_(M[12])S\d+?(\d)0IME", line)
        if start:
            if second >= 0:
                order, first, second = [], -1, -1
            key = start[1], int(start[2])
            order.append(key)
        elif key is None:
            continue
        elif "::badpix:" in line:
            second += 1
            key = order[second]
        elif second < 0 and "::emevents:" in line and "events in input" in line:
            first += 1
            key = order[first]
        elif "::embadpixfind:" in line or "::emeventsproj:" in line:
            node = re.search(r"CCD (\d) node", line)
            if node:
                key, searches = (key[0], int(node[1])), 0
            searches += "::emeventsproj:" in line
            if searches == 1:
                _add(SEARCH, line, made[key])
        _take(SECOND if second >= 0 else FIRST, line, made[key])
    return made


def our_pn(log: str) -> Figures:
    made: Figures = defaultdict(dict)
    for block in re.split(r"(?=epproc::epframes:-  CCD \d+: number of frames)", log)[1:]:
        ccd = int(re.search(r"CCD (\d+): number of frames", block)[1])  # type: ignore[index]
        _take(PN, block, made["PN", ccd])
    for ccd, kept in re.findall(r"CCD (\d+): selected (\d+) of", log):
        made["PN", int(ccd)]["rows selected"] = float(kept)
    return made


def real_figures(folder: Path) -> Figures:
    """The same of the real log."""
    made: Figures = defaultdict(dict)
    with (folder / f"{STEM}_step_numbers.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for r in rows:
        if not r["ccd"] or r["instrument"] not in ("M1", "M2"):
            continue
        # Later searches stand under the last CCD there.
        if r["task"] in ("embadpixfind", "emeventsproj") and r["call"] == "1":
            _add(SEARCH, r["text"], made[r["instrument"], int(r["ccd"])])
    for key, block in _real_mos(folder).items():
        made[key].update(block)
    with (folder / f"{STEM}_pn_per_ccd.csv").open(encoding="utf-8") as file:
        for r in csv.DictReader(file):
            made["PN", int(r["ccd"])] = {
                "good time [s]": float(r["gti_s"]),
                "FIFO resets of the quadrant": float(r["fifo_reset"]),
                "new bad pixels": float(r["new_badpix"]),
                "bad-pixel entries": float(r["final_badpix"]),
                "rows selected": float(r["events_kept_PI150"]),
            }
    # epevents lists some events with their row: there were at least as many.
    for r in rows:
        found = re.search(r"Number of frames > MAXMIP: +\d+ +of total: +(\d+)", r["text"])
        if found and r["task"] == "epframes":
            made["PN", int(r["ccd"])]["frames with events"] = float(found[1])
        found = re.match(r"(\d+) +\d+ +(?:NaN|[\d.]+) +\d{9}\.", r["text"])
        if found and r["task"] == "epevents":
            figures = made["PN", int(r["ccd"])]
            figures["raw events"] = max(figures.get("raw events", 0.0), float(found[1]))
    return made


def _real_mos(folder: Path) -> Figures:
    """First and second pass of emproc, from the log itself."""
    made: Figures = defaultdict(dict)
    key, second = None, False
    for line in real_log(folder).splitlines():
        if not line.startswith("emproc::"):
            continue
        running = re.search(r"Executing .*_EMOS(\d)_[SU]\d+_(\d\d)_", line)
        if running:
            if "::emframes:" in line or "::badpix:" in line:
                second = "::badpix:" in line
                key = f"M{running[1]}", int(running[2])
            elif "_EvtsForBadpixfindTemp.ds filteredset=" in line:
                key = None
            continue
        if key is not None:
            _take(SECOND if second else FIRST, line, made[key])
            if second and "selected" in line:
                key = None
    return made


def real_log(folder: Path) -> str:
    return gzip.open(folder / f"{STEM}_pysas_basic_setup_sas22.1_V4.log.gz", "rt", encoding="utf-8").read()


def parameters(log: str) -> dict[str, dict[str, str]]:
    """Parameters of each task at its first call."""
    made: dict[str, dict[str, str]] = {}
    for line in log.splitlines():
        found = re.match(r"(?:\w+::)*(\w+):- Executing \(routine\): \w+ (.*?)  -w", line)
        if found and found[1] not in made:
            made[found[1]] = dict(w.split("=", 1) for w in shlex.split(found[2]) if "=" in w)
    return made


def format_number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value == int(value) else f"{value:.3f}"


def table(title: str, labels: list[str], keys: list[tuple[str, int]], ours: Figures, real: Figures) -> None:
    print(f"\n### {title}\n")
    print("| | " + " | ".join(f"CCD {c}" for _, c in keys) + " |")
    print("|---" * (len(keys) + 1) + "|")
    for label in labels:
        cells = []
        for key in keys:
            pair = real.get(key, {}).get(label), ours.get(key, {}).get(label)
            cells.append(" / ".join(format_number(v) or "–" for v in pair))
        if any(c != "– / –" for c in cells):
            print(f"| {label} | " + " | ".join(cells) + " |")


def parameter_table(folder: Path) -> None:
    """Names and defaults of parameters: the real log's against our tasks'."""
    from daxa.xmm.parameters import format_value
    from daxa.xmm.task import find_task

    print("\n### Parameters\n")
    print("| task | in the real log | of these known here | with the same default | not known here |")
    print("|---|---|---|---|---|")
    for name, given in parameters(real_log(folder)).items():
        try:
            known = {p.name: p.default for p in find_task(name).parameters}
        except NotImplementedError:
            continue
        both = [n for n in given if n in known]
        same = [n for n in both if format_value(known[n]) == given[n] or _equal(known[n], given[n])]
        rest = ", ".join(n for n in given if n not in known)
        print(f"| {name} | {len(given)} | {len(both)} | {len(same)} | {rest or 'none'} |")


def _equal(default: object, text: str) -> bool:
    try:
        return float(str(default)) == float(text)
    except ValueError:
        return str(default or "") == text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("DAXA_TEST_DATA"))
    parser.add_argument("--log", type=Path)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--duration", type=float, default=21457.2)
    options = parser.parse_args()
    folder = Path(options.data or ROOT.parent / "shared" / "data") / "logs"
    if not folder.is_dir():
        print(f"no log of SAS to compare with: {folder} is absent (set DAXA_TEST_DATA)")
        return 0
    if options.log:
        log = options.log.read_text(encoding="utf-8")
    else:
        with tempfile.TemporaryDirectory() as name:
            log = simulate(Path(name), options.duration)
        if options.keep:
            options.keep.write_text(log, encoding="utf-8")
    ours, real = {**our_mos(log), **our_pn(log)}, real_figures(folder)
    parameter_table(folder)
    for camera in ("M1", "M2"):
        keys = sorted(k for k in real if k[0] == camera)
        labels = [*FIRST, *SEARCH, *SECOND]
        table(f"{camera}: real / simulated", labels, keys, ours, real)
    table("PN: real / simulated", [*PN, "rows selected"], [("PN", n) for n in range(1, 13)], ours, real)
    return 0


if __name__ == "__main__":
    sys.exit(main())
