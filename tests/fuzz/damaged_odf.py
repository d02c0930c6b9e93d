"""Damaged copies of a very small observation, and what the chains make of them.

A case is a number: the same number gives the same damage. Each case runs in a child of this process, with a
limit on its time and memory, so that a hang or a crash is a result like any other.
"""

from __future__ import annotations

import io
import json
import os
import re
import resource
import select
import shutil
import signal
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

BLOCK, CARD = 2880, 80
TIME_LIMIT_S = 120.0
CPU_LIMIT_S = 30
MEMORY_LIMIT = 6 * 2**30
TASKS = ("odfingest", "emchain", "epchain")


def small_observation(folder: Path) -> None:
    """Write ``ccf``, ``odf`` and ``ccf.cif``: 250 s, two CCDs of MOS1 and two of the pn."""
    from daxa.simulate.calibration.constituents import write_calibration
    from daxa.simulate.cameras.noise import Noise
    from daxa.simulate.observation import simulate_observation
    from daxa.simulate.sets.standard import SKIES, describe_set
    from daxa.xmm.task import run_task

    description = describe_set(600.0, Noise().scaled(0.3, 0.01))[0]
    start = description.pointing.start_s
    pointing = replace(description.pointing, stop_s=start + 250.0)
    exposures = [
        replace(
            e,
            start_s=start + 20.0,
            stop_s=start + 240.0,
            gaps_s=(),
            overflow_frames=(),
            ccds=(1, 4) if e.instrument == "PN" else (1, 2),
        )
        for e in description.exposures
        if e.instrument != "M2"
    ]
    write_calibration(folder / "ccf")
    small = replace(description, pointing=pointing, exposures=exposures, flares=())
    simulate_observation(small, SKIES["cluster"](), folder / "odf")
    env = environment(folder, folder / "odf")
    run_task("cifbuild", {}, cwd=folder, env=env, out=io.StringIO(), err=io.StringIO())
    # Whatever is imported or made on first use is so here, once for all children.
    warm = folder / "warm" / "odf"
    shutil.copytree(folder / "odf", warm)
    _child(folder, warm, TASKS)


def environment(base: Path, odf: Path) -> dict[str, str]:
    return {
        **os.environ,
        # Damage may hide that raw files are simulated; what else it does is looked at.
        "DAXA_SYNTHETIC_CALIBRATION": "allow",
        "SAS_ODF": str(odf),
        "SAS_CCFPATH": str(base / "ccf"),
        "SAS_CCF": str(base / "ccf.cif"),
    }


# --- damage ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Damage:
    """What was done to which files.

    ``n_bytes`` is how many bytes may be wrong where no format can tell (inside of data), 0 where the damage
    shows.
    """

    kind: str
    files: tuple[str, ...]
    detail: str = ""
    n_bytes: int = 0


def _headers(data: bytes) -> list[tuple[int, int]]:
    """First and last byte of each header of a FITS file."""
    found, start, inside = [], 0, True
    for at in range(0, len(data), BLOCK):
        block = data[at : at + BLOCK]
        if not inside and block.startswith(b"XTENSION"):
            start, inside = at, True
        if inside and any(block[i : i + 8] == b"END     " for i in range(0, len(block), CARD)):
            found.append((start, at + len(block)))
            inside = False
    return found


def _card(name: str, value: str) -> bytes:
    return f"{name:<8}= {value:>20}".encode().ljust(CARD)[:CARD]


_VALUES = (
    "0",
    "-1",
    "1",
    "7",
    "65535",
    "2147483647",
    "-1.5E30",
    "NaN",
    "'X'",
    "''",
    "T",
    "",
    "'2016-13-45T99:00:00'",
)
_SIZES = ("NAXIS", "NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT", "TFIELDS", "BITPIX")


def _edit(data: bytearray, rng: np.random.Generator, names: tuple[str, ...] | None) -> str:
    """Change the value of one card, or take the card away."""
    cards = [
        at
        for first, last in _headers(bytes(data))
        for at in range(first, last, CARD)
        if data[at + 8 : at + 10] == b"= "
        and (names is None or data[at : at + 8].decode("latin-1").strip() in names)
        and (names is None or first > 0)
    ]
    if not cards:
        return ""
    at = int(rng.choice(cards))
    name = data[at : at + 8].decode("latin-1").strip()
    if names is None and rng.random() < 0.25:
        data[at : at + CARD] = b"COMMENT".ljust(CARD)
        return f"{name} removed"
    old = data[at + 10 : at + CARD].decode("latin-1").split("/")[0].strip()
    choices = list(_VALUES)
    if old.lstrip("-").isdigit():
        choices += [str(int(old) + d) for d in (-1, 1, 10)] * 3 + [str(int(old) // 2), str(int(old) * 2)] * 2
    value = str(rng.choice([c for c in choices if c != old]))
    data[at : at + CARD] = _card(name, value)
    return f"{name} = {value}"


def damage(odf: Path, case: int) -> Damage:
    """Damage one or two files of an ODF folder in the way that belongs to the number."""
    rng = np.random.default_rng([2022, case])
    files = sorted(p for p in odf.iterdir())
    path = files[int(rng.integers(len(files)))]
    kinds: dict[str, float] = {
        "flip": 0.2, "header": 0.25, "length": 0.15, "remove": 0.05, "empty": 0.05, "truncate": 0.12,
        "swap": 0.08, "zeros": 0.05, "rows": 0.05,
    }  # fmt: skip
    kind = str(rng.choice(list(kinds), p=list(kinds.values())))
    if path.suffix == ".ASC" and kind in ("header", "length", "rows"):
        kind = "flip"
    data = bytearray(path.read_bytes())
    size, detail, n_bytes = len(data), "", 0
    if kind in ("flip", "rows"):
        if kind == "flip":
            n_bytes = int(2 ** rng.integers(0, 7))
            where = rng.integers(size, size=n_bytes)
        else:
            # A stretch of noise inside the data.
            first = int(rng.integers(size // 2, size))
            n_bytes = int(min(rng.integers(16, 600), size - first))
            where = np.arange(first, first + n_bytes)
        for at, value in zip(where, rng.integers(1, 256, size=n_bytes), strict=True):
            data[at] ^= int(value)
        detail = f"{n_bytes} bytes"
    elif kind in ("header", "length"):
        detail = _edit(data, rng, _SIZES if kind == "length" else None)
    elif kind == "truncate":
        del data[int(rng.integers(1, size)) :]
        detail = f"{len(data)} of {size} bytes"
    elif kind == "zeros":
        data = bytearray(size)
    elif kind == "empty":
        data = bytearray()
    if kind == "remove":
        path.unlink()
        return Damage(kind, (path.name,))
    if kind == "swap":
        other = files[int(rng.choice([i for i, p in enumerate(files) if p != path]))]
        content = other.read_bytes()
        for target, new in ((other, bytes(data)), (path, content)):
            _replace(target, new)
        return Damage(kind, (path.name, other.name))
    _replace(path, bytes(data))
    return Damage(kind, (path.name,), detail, n_bytes)


def _replace(path: Path, content: bytes) -> None:
    """Write a new file: the old one may be linked to the original."""
    path.unlink()
    path.write_bytes(content)


# --- one case ----------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What became of one case: per task ``done``, ``refused``, ``crash`` or ``hang``; products; warnings."""

    tasks: dict[str, str] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    warnings: str = ""
    products: dict[str, Any] = field(default_factory=dict)


def _middle(values: np.ndarray) -> tuple[float, float]:
    """Median, and how far apart neighbouring values lie in the middle half."""
    if not len(values):
        return 0.0, 0.0
    low, middle, high = np.percentile(values, (25, 50, 75))
    return float(middle), float(high - low) / max(len(values) / 2, 1)


def _products(folder: Path) -> dict[str, Any]:
    """Per event list: events and good time of each CCD."""
    from astropy.io import fits

    made = {}
    for path in sorted(folder.glob("P*EVLI0000.FIT")):
        with fits.open(path, memmap=False) as hdus:
            table = hdus["EVENTS"].data
            ccd, times = np.asarray(table["CCDNR"]), np.asarray(table["TIME"])
            made[path.name] = {
                str(n): {
                    "events": int((ccd == n).sum()),
                    "good_s": float((h.data["STOP"] - h.data["START"]).sum()),
                    "first_s": float(times[ccd == n].min()) if (ccd == n).any() else 0.0,
                    **{name: _middle(table[name][ccd == n]) for name in ("PI", "DETX", "DETY", "X", "Y")},
                }
                for h in hdus
                if h.name.startswith("STDGTI")
                for n in [int(h.name[6:])]
            }
    return made


def _child(base: Path, odf: Path, tasks: tuple[str, ...]) -> Outcome:
    from daxa.xmm.errors import TaskError
    from daxa.xmm.task import run_task

    outcome, folder = Outcome(), odf.parent
    env = environment(base, odf)
    texts = io.StringIO()
    for name in tasks:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                arguments = {"outdir": str(folder)} if name == "odfingest" else {}
                run_task(name, arguments, cwd=folder, env=env, out=io.StringIO(), err=texts)
            outcome.tasks[name] = "done"
        except TaskError as error:
            outcome.tasks[name], outcome.messages[name] = "refused", f"({error.code}) {error.message}"
        except NotImplementedError as error:
            outcome.tasks[name], outcome.messages[name] = "refused", f"(notImplemented) {error}"
        except Exception:
            outcome.tasks[name], outcome.messages[name] = "crash", traceback.format_exc()
        summaries = list(folder.glob("*SUM.SAS"))
        if name == "odfingest" and summaries:
            env["SAS_ODF"] = str(summaries[0])
    outcome.warnings = texts.getvalue()
    outcome.products = _products(folder)
    return outcome


def set_card(odf: Path, name: str, keyword: str, value: str) -> Damage:
    """Give a keyword of the extension of one file another value."""
    path = next(p for p in odf.iterdir() if name in p.name)
    data = bytearray(path.read_bytes())
    first, last = _headers(bytes(data))[1]
    (at,) = (i for i in range(first, last, CARD) if data[i : i + 10] == f"{keyword:<8}= ".encode())
    data[at : at + CARD] = _card(keyword, value)
    _replace(path, bytes(data))
    return Damage("header", (path.name,), f"{keyword} = {value}")


def run(base: Path, folder: Path, case: int | Callable[[Path], Damage] | None) -> tuple[Damage, Outcome]:
    """Damage a copy of the observation in ``folder`` (not at all for None), run the chains on it."""
    odf = folder / "odf"
    odf.mkdir(parents=True)
    for path in (base / "odf").iterdir():
        os.link(path, odf / path.name)
    if case is None:
        what = Damage("none", ())
    else:
        what = case(odf) if callable(case) else damage(odf, case)
    letters = {name[16:18] for name in what.files} or {"SC"}
    tasks = TASKS
    if "SC" not in letters:
        tasks = ("odfingest", *(t for t, i in (("emchain", "M1"), ("epchain", "PN")) if i in letters))
    return what, in_child(lambda: _child(base, odf, tasks))


def in_child(work: Callable[[], Outcome]) -> Outcome:
    """Run something in a forked child, within the limits."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reader)
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S + 5))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
            with os.fdopen(writer, "w") as out:
                json.dump(work().__dict__, out)
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    text = b""
    with os.fdopen(reader, "rb") as pipe:
        while True:
            ready, _, _ = select.select([pipe], [], [], TIME_LIMIT_S)
            if not ready:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return Outcome({"all": "hang"})
            part = os.read(pipe.fileno(), 1 << 16)
            if not part:
                break
            text += part
    _, status = os.waitpid(pid, 0)
    if status:
        kind = "hang" if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU else "crash"
        return Outcome({"all": kind}, {"all": f"the process ended with status {status}"})
    return Outcome(**json.loads(text))


# --- judgement ---------------------------------------------------------------------------------------


#: What Python and its libraries say of arrays and objects, which means nothing to a user.
_RAW_PYTHON = re.compile(
    r"zero-size array|could not convert|np\.str_|np\.float|'recformat'|NoneType|out of bounds|"
    r"invalid literal|division by zero|cannot convert float|object has no attribute|unsupported operand|"
    r"not subscriptable|broadcast|dtype|argmax|argmin|codec can't|KeyError|Traceback|list index"
)


def complaints(what: Damage, outcome: Outcome, sound: Outcome) -> list[str]:
    """What is wrong with the way a damaged case was treated; empty if nothing is."""
    found = []
    told = set(outcome.warnings.splitlines()) - set(sound.warnings.splitlines())
    for text in (*sorted(told), *outcome.messages.values()):
        raw = _RAW_PYTHON.search(text)
        if raw:
            found.append(f"a raw message of Python ({raw[0]}): {text}")
    for name, result in outcome.tasks.items():
        if result in ("crash", "hang"):
            found.append(f"{name}: {result}: {outcome.messages.get(name, '')}")
        if result == "refused" and not _names(outcome.messages[name], what):
            found.append(f"{name}: the refusal names no damaged file: {outcome.messages[name]}")
    if told or "refused" in outcome.tasks.values():
        return found
    for name, ccds in outcome.products.items():
        for ccd, numbers in sound.products.get(name, {}).items():
            difference = _difference(ccds.get(ccd), numbers, what.n_bytes)
            if difference:
                found.append(f"{name}: CCD {ccd}: {difference}, without a word")
    return found


def _names(message: str, what: Damage) -> bool:
    """Whether a message leads to the damaged file: by its name, or by what is missing."""
    for name in what.files:
        stem = name.rsplit(".", 1)[0]
        instrument, file_type = stem[16:18], stem[-3:]
        if stem in message or (instrument in message and file_type in message):
            return True
        if what.kind == "remove" and file_type in message:
            return True
    return False


def _difference(now: Mapping[str, Any] | None, sound: Mapping[str, Any], n_bytes: int) -> str:
    if now is None:
        return "absent"
    # A wrong byte of an event moves it out of a selection; one of a time stamp costs a frame or two.
    if abs(now["events"] - sound["events"]) > max(2 * n_bytes, 0.02 * sound["events"] if n_bytes else 0):
        return f"{now['events']} events instead of {sound['events']}"
    if abs(now["good_s"] - sound["good_s"]) > (6.0 + 0.1 * n_bytes if n_bytes else 0.1):
        return f"{now['good_s']:.1f} s of good time instead of {sound['good_s']:.1f} s"
    if abs(now["first_s"] - sound["first_s"]) > (30.0 if n_bytes else 1.0):
        return f"times moved by {now['first_s'] - sound['first_s']:.1f} s"
    for name in ("PI", "DETX", "DETY", "X", "Y"):
        limit = 20.0 if name == "PI" else 60.0
        (median, _), (expected, step) = now[name], sound[name]
        # An event that is lost, or comes, moves the median of a short list to a neighbour.
        if abs(median - expected) > (limit * max(n_bytes, 5) + 2 * n_bytes * step if n_bytes else limit):
            return f"median {name} {median:.0f} instead of {expected:.0f}"
    return ""


def counts(results: list[tuple[Damage, Outcome]]) -> dict[str, Counter[str]]:
    """How often each end was met, per kind of damage."""
    table: dict[str, Counter[str]] = {}
    for what, outcome in results:
        ends = set(outcome.tasks.values())
        end = next((e for e in ("hang", "crash", "refused") if e in ends), "processed")
        table.setdefault(what.kind, Counter())[end] += 1
    return dict(sorted(table.items()))
