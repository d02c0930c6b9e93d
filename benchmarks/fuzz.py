"""Feed the chains damaged observations by the thousand.

Usage: ``python benchmarks/fuzz.py [--first 0] [--cases 1000] [--json fuzz.json]``

Prints how many cases were processed and refused per kind of damage, and every case that was treated wrongly:
a crash, a hang, a refusal that does not name the file, a product that differs without a warning.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "fuzz"))
from damaged_odf import complaints, counts, run, small_observation


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results, wrong = [], []
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        small_observation(base)
        _, sound = run(base, base / "sound", None)
        for case in range(options.first, options.first + options.cases):
            folder = base / str(case)
            what, outcome = run(base, folder, case)
            shutil.rmtree(folder)
            results.append((what, outcome))
            for text in complaints(what, outcome, sound):
                wrong.append({"case": case, "damage": str(what), "complaint": text})
                print(f"case {case}: {what}\n    {text}", flush=True)
            if len(results) % 50 == 0:
                print(f"# {len(results)} cases, {time.monotonic() - began:.0f} s", flush=True)
    table = {kind: dict(ends) for kind, ends in counts(results).items()}
    for kind, ends in table.items():
        print(f"{kind:10s}", ", ".join(f"{n} {end}" for end, n in sorted(ends.items())))
    print(f"{len(results)} cases, {len(wrong)} complaints, {time.monotonic() - began:.0f} s")
    if options.json:
        options.json.write_text(
            json.dumps({"counts": table, "complaints": wrong}, indent=1), encoding="utf-8"
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
