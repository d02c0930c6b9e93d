"""Reductions killed at random moments: what is left of their archives, and whether the next call finishes.

Usage: ``python benchmarks/kill.py [--kills 500] [--seed 1] [--folder FOLDER]``

Tiny archives (one observation, two cameras, programs that write a few bytes) are made and processed by
processes that are killed with SIGKILL: the caller, the helper that starts jobs, a job, or two at once. After
each kill everything that they had started must be gone within five seconds, the archive must open, and
nothing that was done may be lost; half of the archives are killed again. Then one more call must finish:
products as those of an undisturbed run, nothing done twice, no scratch left. The exit status is 1 if anything
was not so.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "process"))

#: What is killed, and how often in proportion.
TARGETS = {
    ("caller",): 4,
    ("helper",): 2,
    ("job",): 2,
    ("caller", "helper"): 1,
    ("caller", "job"): 1,
    ("helper", "job"): 1,
}
LIMIT_S = 5.0
X, OBS = "xmm_pointed", "0800010101"


@dataclass
class Result:
    """What came of one kill."""

    killed: str
    under_way: bool
    faults: list[str] = field(default_factory=list)


def set_up(folder: Path) -> None:
    """The stand-in for SAS, and where archives go."""
    import fake_sas

    import daxa.mission
    import daxa.process.simple
    from daxa.backend import launch  # noqa: F401  so that no process has to import it
    from daxa.process.xmm import setup

    programs = folder / "sas"
    programs.mkdir(parents=True)
    for name in fake_sas.TASKS:
        (programs / name).write_text(fake_sas.PROGRAM)
        (programs / name).chmod(0o755)
    os.environ |= {
        "DAXA_OUTPUT": str(folder / "output"),
        "DAXA_BACKEND": "sas",
        "SAS_DIR": str(programs),
        "FAKE_SAS": str(programs),
        "FAKE_ROOT": str(folder),
        "PATH": f"{programs}:{os.environ['PATH']}",
    }
    setup.parse_odf_sum = fake_sas.fake_summary
    daxa.mission.MISS_INDEX[X] = fake_sas.FakeMission
    fake_sas.OBSERVED = {OBS: {"M1": {"S001": fake_sas.exposure()}, "PN": {"S003": fake_sas.exposure()}}}


def reduce(name: str) -> None:
    """Make an archive, or take it up, and process it."""
    import fake_sas

    from daxa.archive import Archive
    from daxa.process.simple import full_process_xmm

    full_process_xmm(Archive(name, fake_sas.FakeMission()), num_cores=2, disable_progress=True)


def fork(work: Callable[[], None], log: Path) -> int:
    """Do something in a process of its own, which has everything imported already."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        work()
        status = 0
    except BaseException:  # the copy must never return
        traceback.print_exc()
    finally:
        from daxa.backend import launch

        launch.shut_down()
        os._exit(status)


def descendants(pid: int) -> dict[int, list[int]]:
    """Process -> its children, of everything that a process has started."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue
        if words[0] not in "ZX":
            children.setdefault(int(words[1]), []).append(int(path.parent.name))
    found, todo = {}, [pid]
    while todo:
        one = todo.pop()
        found[one] = children.get(one, [])
        todo += found[one]
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def kill(pid: int, targets: tuple[str, ...], rng: random.Random) -> tuple[str, list[int]]:
    """Kill the targets, or what of them comes into being; returns what, and all processes that there were."""
    for _ in range(100):
        tree = descendants(pid)
        helpers = tree[pid]
        jobs = [job for helper in helpers for job in tree.get(helper, [])]
        there = {"caller": [pid], "helper": helpers, "job": jobs}
        if all(there[t] for t in targets) or not alive(pid):
            break
        time.sleep(0.005)
    chosen = [t for t in targets if there[t]] or ["caller"]
    for target in chosen:
        with suppress(ProcessLookupError):
            os.kill(rng.choice(there[target]), signal.SIGKILL)
    return " and ".join(chosen), list(tree)


def wait_for(pid: int, until: float | None = None) -> int | None:
    """Wait for a child, at most until a time; its status, None if it still runs."""
    while True:
        done, status = os.waitpid(pid, os.WNOHANG if until is not None else 0)
        if done:
            return os.waitstatus_to_exitcode(status)
        if until is not None and time.monotonic() >= until:
            return None
        time.sleep(0.001)


def successes(name: str) -> Counter[tuple[str, str]]:
    """(process, identifier) -> how often it has succeeded; empty before the archive stands."""
    from daxa.archive.creation import State, state
    from daxa.archive.layout import Layout
    from daxa.archive.ledger import Ledger

    layout = Layout(Path(os.environ["DAXA_OUTPUT"]) / "archives" / name)
    if state(layout) is not State.WHOLE:
        return Counter()
    ledger = Ledger(layout.ledger)
    found = Counter((r.process, r.ident) for r in ledger.runs(everything=True, logs=False) if r.ok)
    faults = ledger.faults()
    ledger.close()
    if faults:
        raise AssertionError(f"the ledger is damaged: {faults}")
    return found


def products(name: str) -> dict[str, bytes]:
    """Name -> content of everything that was published, but logs."""
    root = Path(os.environ["DAXA_OUTPUT"]) / "archives" / name
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in (root / "processed_data").rglob("*")
        if p.is_file() and "logs" not in p.parts
    }


def check_killed(name: str, before: Counter[tuple[str, str]], wanted: dict[str, bytes]) -> list[str]:
    """What of an archive is not as it should be after a kill."""
    faults = []
    try:
        now = successes(name)
    except Exception as failure:
        return [f"cannot be opened: {failure!r}"]
    faults += [f"lost: {key}" for key in before if key not in now]
    faults += [
        f"half or wrong: {path}"
        for path, content in products(name).items()
        if not path.endswith(".part") and content != wanted.get(path)
    ]
    return faults


def check_finished(name: str, wanted: dict[str, bytes], count: int) -> list[str]:
    """What is not as it should be after the call that finishes."""
    root = Path(os.environ["DAXA_OUTPUT"]) / "archives" / name
    done, made = successes(name), products(name)
    faults = [f"done {n} times: {key}" for key, n in done.items() if n > 1]
    if len(done) != count:
        faults.append(f"{len(done)} of {count} pieces done")
    faults += [f"differs: {p}" for p in sorted(made.keys() | wanted.keys()) if made.get(p) != wanted.get(p)]
    left = [p.name for p in (root / ".scratch", root.with_name(f".{name}.new")) if p.exists()]
    left += [str(p.relative_to(root)) for p in root.rglob("*.part")]
    return faults + [f"left: {p}" for p in left]


def harness(
    folder: Path, kills: int, seed: int = 1, tell: Callable[[str], Any] = lambda text: None
) -> list[Result]:
    """Kill reductions, one after the other.

    Parameters
    ----------
    folder
        An empty or absent folder for everything.
    kills, seed
        How many, and the seed of what and when.
    tell
        Called with a line on every fault.
    """
    set_up(folder)
    log = folder / "log"
    rng = random.Random(seed)
    begun = time.monotonic()
    if wait_for(fork(lambda: reduce("undisturbed"), log)) != 0:
        raise RuntimeError(f"the undisturbed run failed; see {log}")
    duration = time.monotonic() - begun
    wanted, count = products("undisturbed"), len(successes("undisturbed"))
    results: list[Result] = []
    name, again = "", False
    for number in range(kills):
        if not again:
            name = f"killed{number}"
        before = successes(name)
        pid = fork(lambda name=name: reduce(name), log)  # type: ignore[misc]
        ended = wait_for(pid, time.monotonic() + rng.uniform(0, duration))
        (targets,) = rng.choices(list(TARGETS), list(TARGETS.values()))
        result = Result("nothing, it had ended", False)
        if ended is None:
            result.killed, pids = kill(pid, targets, rng)
            result.under_way = True
            wait_for(pid)
            limit = time.monotonic() + LIMIT_S
            while (left := [p for p in pids if p != pid and alive(p)]) and time.monotonic() < limit:
                time.sleep(0.01)
            result.faults += [f"orphan: process {p}" for p in left]
        result.faults += check_killed(name, before, wanted)
        again = rng.random() < 0.5 and number + 1 < kills
        if not again:
            if wait_for(fork(lambda name=name: reduce(name), log)) != 0:  # type: ignore[misc]
                result.faults.append(f"the next call failed; see {log}")
            result.faults += check_finished(name, wanted, count)
            if not result.faults:
                shutil.rmtree(Path(os.environ["DAXA_OUTPUT"]) / "archives" / name)
        for fault in result.faults:
            tell(f"{name}, {result.killed} killed: {fault}")
        results.append(result)
    return results


def table(results: list[Result]) -> str:
    """The results in Markdown."""
    killed = Counter(r.killed for r in results)
    faulty = Counter(r.killed for r in results if r.faults)
    lines = ["| killed | times | not as it should be |", "|---|---|---|"]
    lines += [f"| {what} | {n} | {faulty[what]} |" for what, n in sorted(killed.items())]
    return "\n".join([*lines, f"| all | {len(results)} | {sum(faulty.values())} |"])


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="Kept; by default a temporary one, removed.")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    folder = options.folder or Path(tempfile.mkdtemp(prefix="daxa_kill_"))
    begun = time.monotonic()
    results = harness(folder, options.kills, options.seed, lambda text: print(text, flush=True))
    print(table(results))
    print(f"{time.monotonic() - begun:.0f} s, seed {options.seed}", file=sys.stderr)
    if options.folder is None:
        shutil.rmtree(folder)
    return 1 if any(r.faults for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
