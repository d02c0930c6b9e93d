"""Calls as users of DAXA 0.3.7 make them, each with what that release gives beside what is given here.

Usage: ``python benchmarks/daxa_calls.py [--write]``

The calls, what DAXA 0.3.7 gives (seen by running it), and why something else is given here, are in
``daxa_calls.tsv``; ``--write`` brings the table in ``docs/coming_from_daxa.md`` up to date. Nothing is
fetched: catalogues of a few rows stand in for those of the archives.

A call is made as it is written, in the order of the list: statements show nothing, expressions their value,
errors the name of their class. An error is the same if it is of the class that DAXA 0.3.7 raises.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import re
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
CALLS = HERE / "daxa_calls.tsv"
PAGE = HERE.parent / "docs" / "coming_from_daxa.md"
BEGIN, END = "<!-- calls -->", "<!-- end of calls -->"
#: Rows of the catalogues that stand in for those of the archives.
ROWS: dict[str, dict[str, Any]] = {
    "rosmaster": {
        "ObsID": "RP800001N00", "end": 48401.0, "duration": 9e3, "instrument": "PSPCB", "subject": 8,
        "with_filter": "N", "proc_rev": 2, "fits_type": "RDF", "target": "A907", "target_name": "A907",
    },
    "numaster": {
        "ObsID": "60001107002", "end": 48401.0, "status": "archived", "mode": "SCIENCE",
        "pointing": "INERTIAL", "ontime_a": 1e3, "ontime_b": 1e3, "exposure_a": 1e3, "exposure_b": 1e3,
        "nupsdout": 0, "issue_flag": 0, "proprietary_end_date": 56900.0, "target_category": "MISC",
        "target_name": "A907",
    },
    "swiftmastr": {
        "ObsID": "00035001001", "end": 48401.0, "xrt_exposure": 1e3, "bat_exposure": 1e3,
        "uvot_exposure": 0.0, "roll_angle": 10.0,
    },
    "intscwpub": {
        "ObsID": "003900020020", "end": 48400.1, "scw_ver": "001",
        **{f"{inst}_exposure": 1e3 for inst in ("jemx1", "jemx2", "isgri", "picsit", "spi")},
    },
    "xmmmaster": {
        "ObsID": "0800010101", "end": 48401.0, "duration": 1e4, "status": "archived",
        "proprietary_end_date": 50000.0, "revolution": 3200,
    },
}  # fmt: skip


def catalogue(tables: Any, refresh: bool) -> tuple[pd.DataFrame, Any, Any]:
    """What `daxa.mission.catalogue.load` gives, without network."""
    from daxa.mission.selection import today

    row = {"ra": 149.6, "dec": -11.1, "start": 48400.0} | ROWS[tables[0].table]
    return pd.DataFrame([row]), today(), tables[0]


def shown(value: Any) -> str:
    """A value as text that is the same for both packages."""
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, pd.DataFrame):
        return shown(value.to_dict("list"))
    if hasattr(value, "pretty_name"):
        return f"<{value.name}>"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{shown(k)}: {shown(v)}" for k, v in value.items()) + "}"
    if type(value).__module__.startswith("astropy"):
        return str(value).replace("\n", "")
    if isinstance(value, (list, tuple, np.ndarray)):
        return "[" + ", ".join(map(shown, value)) + "]"
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (float, np.floating)):
        return f"{float(value):g}"
    return str(value).replace(os.getcwd() + "/", "")


def outcome(call: str, names: dict[str, Any]) -> tuple[str, BaseException | None]:
    """What a call gives, and what it has raised."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(call, "call", "eval")
            return shown(eval(code, names)), None
    except SyntaxError:
        pass
    except Exception as failure:
        return type(failure).__name__, failure
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(call, names)
    except Exception as failure:
        return type(failure).__name__, failure
    return "", None


def told(call: Any) -> bool:
    """Whether a call warns."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    return any(issubclass(w.category, UserWarning) for w in found)


def same(theirs: str, ours: str, failure: BaseException | None) -> bool:
    """Whether the outcomes agree."""
    classes = {c.__name__ for c in type(failure).__mro__} if failure is not None else set()
    return theirs == ours or theirs in classes


def read_calls() -> list[dict[str, str]]:
    """The list of calls."""
    with CALLS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def run() -> list[dict[str, str]]:
    """Make the calls; adds ``ours`` and ``verdict`` to each."""
    import daxa.mission.catalogue
    from daxa.mission import eROSITACalPV

    before = daxa.mission.catalogue.load, eROSITACalPV.download, os.getcwd(), dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["DAXA_OUTPUT"] = "daxa_output"
        os.environ["XDG_CONFIG_HOME"] = folder
        daxa.mission.catalogue.load = catalogue

        def download(self: Any, num_cores: int | None = None, *args: Any, **kwargs: Any) -> Any:
            if num_cores is not None:
                return before[1](self, num_cores, *args, **kwargs)
            self._downloaded = {"raw": True, "products": False}
            return None

        eROSITACalPV.download = download  # type: ignore[method-assign, assignment]
        names: dict[str, Any] = {"told": told}
        try:
            calls = read_calls()
            for call in calls:
                call["ours"], failure = outcome(call["call"], names)
                agree = same(call["theirs"], call["ours"], failure)
                call["verdict"] = "same" if agree else "other" if call["why"] else "UNEXPLAINED"
        finally:
            daxa.mission.catalogue.load, eROSITACalPV.download = before[:2]  # type: ignore[method-assign]
            os.chdir(before[2])
            os.environ.clear()
            os.environ.update(before[3])
    return calls


def table(calls: list[dict[str, str]]) -> str:
    """The calls as tables, one for each group."""
    text = io.StringIO()
    counts = Counter(call["verdict"] for call in calls)
    text.write(
        f"{len(calls)} calls: {counts['same']} give the same, {counts['other']} something else on purpose, "
        f"{counts['UNEXPLAINED']} something else without a reason.\n"
    )
    group = ""
    for call in calls:
        if call["group"] != group:
            group = call["group"]
            text.write(f"\n{group}\n\n| call | DAXA 0.3.7 | here |\n|---|---|---|\n")
        ours = {"same": "same"}.get(call["verdict"], f"{cell(call['ours'])}: {call['why']}")
        text.write(f"| {cell(call['call'])} | {cell(call['theirs'])} | {ours} |\n")
    return text.getvalue()


def cell(text: str) -> str:
    """Text of a cell of a table."""
    text = re.sub(r"\s*\n\s*", "; ", text)
    text = text if len(text) <= 160 else f"{text[:157]}..."
    return "`" + text.replace("|", "\\|") + "`" if text else "(nothing)"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--write", action="store_true", help="bring the page up to date")
    calls = run()
    made = table(calls)
    print(made)
    if parser.parse_args().write:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{made}{END}{rest.split(END)[1]}", encoding="utf-8")
    return sum(call["verdict"] == "UNEXPLAINED" for call in calls)


if __name__ == "__main__":
    sys.exit(main())
