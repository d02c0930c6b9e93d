"""Real raw files through the tasks of the engine, and the table of what comes out beside what is in them.

Usage: ``python benchmarks/real_fragment.py [--data FOLDER] [--keep FOLDER] [--write docs/real_files.md]``

The raw files (ObsID 0135730701) are read as they are. Attitude, text summary and calibration are made up, as
they are not in the data. ``--write`` puts the tables into the page of the documentation, between its marks.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "helpers"))
from real_fragment import Fragment, reduce
from real_fragment_table import correlation_rms_s, housekeeping_rows, markdown, mos_rows, rgs_rows, stage_rows

ROOT = Path(__file__).resolve().parent.parent
#: Marks in the page around the generated part.
BEGIN, END = "<!-- begin of tables -->", "<!-- end of tables -->"


def report(source: Path, fragment: Fragment) -> str:
    """All tables as Markdown."""
    rms, largest = correlation_rms_s(source)
    emchain = fragment.outcomes["emchain"]
    named = [
        line
        for part in ("no event file; no list", "noClockReset", "(NVALID)", "aberrant", "multiples of")
        for line in emchain.lines(part)
    ]
    parts = [
        "### Tasks\n",
        markdown([{"task": label, "exit status": o.status} for label, o in fragment.outcomes.items()]),
        f"\nTime correlation over the whole file: {rms * 1e6:.1f} µs rms, {largest * 1e6:.1f} µs at most.\n",
        "### Frames and good times of MOS1\n",
        markdown(mos_rows(source, fragment)),
        "\n### Events of MOS1 that each test met\n",
        markdown(stage_rows(source, emchain.log)),
        "\n### What emchain says of frames and files\n",
        "\n".join(f"- `{_message(line)}`" for line in dict.fromkeys(named)),
        "\n### RGS1\n",
        markdown(rgs_rows(source, fragment)),
        "\n### Good times of housekeeping\n",
        markdown(housekeeping_rows(source, fragment)),
    ]
    return "\n".join(parts)


def _message(line: str) -> str:
    return re.sub(r"^\*\* |/\S+/", "", line)


def main() -> int:
    # No real calibration is at hand: the synthetic one is used with real raw files on purpose.
    os.environ["DAXA_SYNTHETIC_CALIBRATION"] = "allow"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("DAXA_TEST_DATA", ROOT.parent / "shared" / "data")
    )
    parser.add_argument("--keep", type=Path, help="a new folder that keeps what the tasks make")
    parser.add_argument("--write", type=Path, help="a page with marks to put the tables into")
    options = parser.parse_args()
    source = Path(options.data) / "odf_0135730701"
    if not source.is_dir():
        parser.error(f"no raw files: {source} is absent (set --data or DAXA_TEST_DATA)")
    began = time.process_time()
    with tempfile.TemporaryDirectory() as name:
        base = options.keep or Path(name) / "fragment"
        fragment = reduce(source, base)
        text = report(source, fragment)
    print(text)
    print(f"\n{time.process_time() - began:.1f} CPU s")
    if options.write:
        page = options.write.read_text(encoding="utf-8")
        head, _, rest = page.partition(BEGIN)
        _, _, tail = rest.partition(END)
        options.write.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}", encoding="utf-8")
    return int(any(o.status for o in fragment.outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
