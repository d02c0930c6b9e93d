"""Lists made by SAS in, products of our tasks out, beside the products that SAS made of the same lists.

Usage::

    python benchmarks/compare_products.py [--data FOLDER] [--only PART ...] [--write docs/verification.md]

Every line names a product, what of it is compared, the sum or result of SAS and of ours, and whether all is
equal. ``--write`` puts the table into the page of the documentation, between its marks. The exit status is 1
if a product differs.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import redirect_stdout
from dataclasses import asdict
from io import StringIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "helpers"))
from real_fragment_table import markdown
from real_products import PARTS

ROOT = Path(__file__).resolve().parent.parent
#: Marks in the page around the table.
BEGIN, END = "<!-- begin of products -->", "<!-- end of products -->"


def main() -> int:
    # Exposure maps of real lists: the calibration that they need is not at hand, and its place is named.
    os.environ["DAXA_SYNTHETIC_CALIBRATION"] = "allow"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("DAXA_TEST_DATA", ROOT.parent / "shared" / "data")
    )
    parser.add_argument("--only", nargs="+", help="parts, by name", choices=[p.__name__ for p in PARTS])
    parser.add_argument("--write", type=Path, help="a page with marks to put the table into")
    options = parser.parse_args()
    if not Path(options.data).is_dir():
        parser.error(f"no real products: {options.data} is absent (set --data or DAXA_TEST_DATA)")
    began = time.process_time()
    lines = []
    for part in PARTS:
        if options.only and part.__name__ not in options.only:
            continue
        with tempfile.TemporaryDirectory() as work, redirect_stdout(StringIO()):
            lines += part(Path(options.data), Path(work))
    table = markdown([{k: v for k, v in asdict(line).items() if k != "equal"} for line in lines])
    print(table)
    print(f"\n{time.process_time() - began:.1f} CPU s")
    if options.write:
        page = options.write.read_text(encoding="utf-8")
        head, _, rest = page.partition(BEGIN)
        _, _, tail = rest.partition(END)
        options.write.write_text(f"{head}{BEGIN}\n\n{table}\n\n{END}{tail}", encoding="utf-8")
    return int(not all(line.equal for line in lines))


if __name__ == "__main__":
    sys.exit(main())
