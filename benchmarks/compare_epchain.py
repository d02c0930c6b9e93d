"""The pn chain beside two complete logs of epchain: every task and every parameter.

Usage: ``python benchmarks/compare_epchain.py [--data FOLDER] [--write docs/chains.md]``

Reads the logs of 0112971501 (extended full frame, revolution 240, SAS 20) and 0721010401 (large window,
revolution 2522, SAS 17) in the folder ``logs`` of the real products (``DAXA_TEST_DATA``) and our own tables
of parameters, and prints Markdown. With ``--write`` it replaces the part of a page between the lines
``<!-- epchain: begin -->`` and ``<!-- epchain: end -->``.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import shlex
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from daxa.simulate.cameras.camera import CAMERAS
from daxa.xmm.ccf import documented
from daxa.xmm.errors import TaskError
from daxa.xmm.parameters import Parameter
from daxa.xmm.task import find_task
from daxa.xmm.tasks.evlistcomb import EVLISTCOMB

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- epchain: begin -->", "<!-- epchain: end -->"
LOGS = {
    "eFF": "0112971501_epchain_sas20_eff_stdout.log.gz",
    "LW": "0721010401_epchain_sas17_largewindow.log.gz",
}
EXPOSURES = {"eFF": ("PrimeFullWindowExtended", 240), "LW": ("PrimeLargeWindow", 2522)}
#: Parameters that name files or come from them.
FILES = {
    "set", "eventset", "eventsets", "outset", "gtiset", "radmonset", "eventmapset", "badpixset", "badpixmap",
    "photonmapset", "atthkset", "table", "filteredset", "imagingset", "timingset", "imageset", "spectrumset",
    "rateset", "histogramset",
}  # fmt: skip
#: Values that a parameter takes here, by task: any other is refused by name.
ONLY = {"evlistcomb": EVLISTCOMB}
#: Why something is not as in the logs: task, parameter -> reason.
REASONS = {
    ("evlistcomb", "othertables"): "all extensions of a CCD are joined, whatever their names",
}
#: Calls of one CCD, in order, by name and what tells them apart.
STEPS = (
    ("epframes", ""),
    ("badpixfind", "bad pixels"),
    ("badpixfind", "mask above 7 keV (HMK)"),
    ("badpixfind", "mask (MSK)"),
    ("badpix", ""),
    ("epevents", ""),
    ("attcalc", ""),
    ("evselect", "per CCD"),
    ("evlistcomb", ""),
    ("evselect", "good times"),
    ("epexposure", ""),
)


class Verdict(NamedTuple):
    """What a parameter of a real call is here.

    ``kind`` is ``equal``, ``given`` (another default), ``no effect``, ``refused`` or ``unknown``.
    """

    kind: str
    ours: str
    why: str


def read_log(path: Path) -> list[str]:
    with gzip.open(path, "rt", errors="replace") as file:
        return file.read().splitlines()


def calls(lines: list[str]) -> list[tuple[str, dict[str, str]]]:
    """Tasks with the values of all their parameters, in the order of the log."""
    found = []
    for line in lines:
        match = re.match(r"(\w+):- Executing \(routine\): (\w+) (.*)", line)
        if match and match[1] == match[2]:
            words = [w.split("=", 1) for w in shlex.split(match[3]) if re.match(r"[a-zA-Z]\w*=", w)]
            found.append((match[1], {name: " ".join(value.split()) for name, value in words}))
    return found


def steps(lines: list[str]) -> dict[tuple[str, str], dict[str, str]]:
    """The first call of each of :data:`STEPS`."""
    number: Counter[str] = Counter()
    result: dict[tuple[str, str], dict[str, str]] = {}
    wanted = {name: [step for step in STEPS if step[0] == name] for name, _ in STEPS}
    for name, values in calls(lines):
        if name == "badpixfind" or name not in wanted:
            step = wanted[name][number[name] % 3] if name in wanted else None
            number[name] += 1
        elif name == "evselect":
            expression = values["expression"].replace(" ", "")
            step = (name, "per CCD") if expression.startswith("(PI>150") else None
            step = (name, "good times") if "GTI(gti01" in expression else step
        else:
            step = (name, "")
        if step is not None:
            result.setdefault(step, values)
    return result


def same(task: str, parameter: Parameter, one: Any, other: Any) -> bool:
    """Whether two texts mean the same value of a parameter."""

    def value(text: Any) -> Any:
        parsed = parameter.parse(task, text)
        if isinstance(parsed, (tuple, list)):
            return tuple(" ".join(str(v) for v in parsed).split())
        if isinstance(parsed, str):
            return " ".join(parsed.split())
        return parsed

    try:
        a, b = value(one), value(other)
    except TaskError:
        return False
    return (a or None) == (b or None) if not isinstance(a, (bool, int, float)) else a == b


def verdict(task: str, name: str, text: str) -> Verdict:
    """Our side of a parameter."""
    known = {p.name: p for p in find_task(task).parameters}
    why = REASONS.get((task, name), "")
    if task == "evlistcomb" and name.startswith(("emos", "rgs")):
        return Verdict("unknown", "", "says what lists of other instruments hold")
    if name not in known:
        return Verdict("unknown", "no such parameter", why)
    parameter = known[name]
    default = "" if parameter.default is None else plain(parameter.default)
    if parameter.without_effect:
        return Verdict("no effect", default, parameter.without_effect)
    if same(task, parameter, text, parameter.default):
        return Verdict("equal", default, why)
    if parameter.only or name in ONLY.get(task, {}):
        return Verdict("refused", default, why or parameter.only)
    return Verdict("given", default, why)


def plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def compare(data: Path) -> tuple[list[list[str]], list[list[str]]]:
    """Rows of the two tables: a line per call, and a line per parameter that is not equal."""
    logs = {name: steps(read_log(data / "logs" / file)) for name, file in LOGS.items()}
    overview, lines = [], []
    for step in STEPS:
        task, part = step
        label = f"`{task}`" + (f", {part}" if part else "")
        real = {name: log[step] for name, log in logs.items()}
        names = [n for n in dict.fromkeys([*real["eFF"], *real["LW"]]) if n not in FILES]
        count: Counter[str] = Counter()
        for name in names:
            values = {log: found.get(name) for log, found in real.items()}
            verdicts = [verdict(task, name, v) for v in values.values() if v is not None]
            order = ("unknown", "refused", "no effect", "given", "equal")
            worst = min(verdicts, key=lambda v: order.index(v.kind))
            count[worst.kind] += 1
            if worst.kind != "equal":
                texts = [_cell(v) for v in values.values()]
                lines.append([label, f"`{name}`", *texts, _text(worst)])
        kinds = ("equal", "given", "no effect", "refused", "unknown")
        overview.append([label, str(len(names)), *(str(count[kind]) for kind in kinds)])
    return overview, lines


def _cell(value: str | None) -> str:
    if value is None:
        return "-"
    return f"`{value if len(value) < 70 else value[:60] + ' ...'}`" if value else "empty"


def _text(found: Verdict) -> str:
    default = f"default `{found.ours}`" if found.ours else "empty by default"
    return {
        "given": f"taken; {default}" + (f": {found.why}" if found.why else ""),
        "no effect": f"taken, not acted on: {found.why}",
        "refused": f"refused; only `{found.ours}`" + (f": {found.why}" if found.why else ""),
        "unknown": found.why or "no such parameter",
    }[found.kind]


#: Numbers that epframes prints: label, text in front of the number.
PRINTED = {
    "frame time [ms]": r"frame time \(from CCF\) \[ms\] = +([\d.]+)",
    "dead time of a reset of the FIFO [ms]": r"FIFO deadtime \(from CCF\) \[ms\] = +([\d.]+)",
    "residual exposure fraction of a reset": r"FIFO reset residual exposure fraction = +([\d.]+)",
    "tolerance of time jumps [20.48 us]": r"CAL_JUMP_TOLERANCE = +(\d+)",
}


def our_numbers(submode: str, revolution: int) -> list[float]:
    """The same numbers here: frame time of the synthetic calibration, documented values of the others."""
    return [
        CAMERAS["PN"].mode(submode).frame_time_s * 1e3,
        documented.FIFO_DEAD_S[submode] * 1e3,
        documented.FIFO_RESIDUAL,
        documented.documented_tolerance(submode, revolution),
    ]


def numbers(data: Path) -> list[list[str]]:
    """Rows of the table of numbers."""
    texts = {name: "\n".join(read_log(data / "logs" / file)) for name, file in LOGS.items()}
    ours = {name: our_numbers(*what) for name, what in EXPOSURES.items()}
    rows = []
    for i, (label, pattern) in enumerate(PRINTED.items()):
        row = [label]
        for name in LOGS:
            found = {float(m) for m in re.findall(pattern, texts[name])}
            row += [
                ", ".join(f"{v:g}" if v < 1 else f"{v:.8g}" for v in sorted(found)),
                f"{ours[name][i]:.8g}",
            ]
        rows.append(row)
    return rows


def markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines)


def page(data: Path) -> str:
    """The part of the page."""
    overview, lines = compare(data)
    head = ["call", "parameters", "same default", "other default", "not acted on", "refused", "unknown"]
    return "\n\n".join(
        [
            markdown(["printed by `epframes`", "eFF log", "here", "LW log", "here"], numbers(data)),
            markdown(head, overview),
            markdown(["call", "parameter", "eFF log", "LW log", "here"], lines),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("DAXA_TEST_DATA", str(ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    text = page(options.data)
    if options.write is None:
        print(text)
        return
    before, rest = options.write.read_text().split(BEGIN)
    after = rest.split(END)[1]
    options.write.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


if __name__ == "__main__":
    main()
