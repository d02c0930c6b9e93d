"""Starting the processes that jobs run in, and ending them."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

#: Jobs are run side by side, one core each.
SINGLE_THREADED = {
    name: "1"
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
}
#: The GNU C library gives freed memory back to the system and fetches it again, page by page, for the next
#: large array, which took a tenth of the time of jobs. Jobs end soon: it may stay with them until then.
_MEMORY_KEPT = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(256 << 20)}

#: How long a helper may take to end a job whose time is over [s].
_OBEYS_S = 5.0


@dataclass
class Ended:
    """How a job's process ended: exit status (negative: signal) and what it used."""

    status: int
    cpu_seconds: float = 0.0
    peak_memory: int = 0
    timed_out: bool = False
    lost: bool = False


@dataclass
class _Waiting:
    """A job whose end somebody waits for."""

    process: subprocess.Popen[bytes]
    done: threading.Event = field(default_factory=threading.Event)
    pid: int | None = None
    end: dict[str, Any] | None = None


class Launcher(Protocol):
    """Runs a job folder in a process of its own."""

    def run(self, folder: Path, timeout_s: float | None, backend: str) -> Ended:
        """Run the job in a folder, and wait for it.

        Parameters
        ----------
        folder
            Scratch folder of the job.
        timeout_s
            How long it may take [s]; None: as long as it needs.
        backend
            ``embedded`` or ``sas``.
        """

    def close(self) -> None:
        """Kill the jobs that are still running."""


def _helper_environment() -> dict[str, str]:
    # Jobs are run side by side, one core each; libraries that start threads of their own would fight.
    return {**SINGLE_THREADED, **_MEMORY_KEPT, **os.environ}


class ForkLauncher:
    """Jobs forked by one preloaded helper process (see :mod:`daxa.backend.zygote`)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: dict[int, _Waiting] = {}
        self._count = 0

    def _ensure(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "daxa.backend.zygote"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
                env=_helper_environment(),
            )
            threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
        return self._process

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            with self._lock:
                if "started" in event:
                    if event["started"] in self._waiting:
                        self._waiting[event["started"]].pid = event["pid"]
                    continue
                waiting = self._waiting.pop(event["ended"], None)
            if waiting:
                waiting.end = event
                waiting.done.set()
        process.stdout.close()
        with self._lock:
            # Nobody listens any more: whatever comes next needs another helper.
            if self._process is process:
                self._process = None
            orphans = {k: w for k, w in self._waiting.items() if w.process is process}
            for ident in orphans:
                del self._waiting[ident]
        for waiting in orphans.values():
            # A helper that died by itself could not take its jobs with it.
            if waiting.pid is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(waiting.pid, signal.SIGKILL)
            waiting.done.set()
        process.wait()

    @staticmethod
    def _send(process: subprocess.Popen[bytes], **order: object) -> None:
        assert process.stdin is not None
        process.stdin.write((json.dumps(order) + "\n").encode())
        process.stdin.flush()

    def run(self, folder: Path, timeout_s: float | None, backend: str) -> Ended:
        with self._lock:
            process = self._ensure()
            self._count += 1
            ident = self._count
            waiting = self._waiting[ident] = _Waiting(process)
            try:
                self._send(process, run=ident, folder=str(folder), backend=backend)
            except OSError:
                del self._waiting[ident]
                return Ended(-int(signal.SIGKILL), lost=True)
        timed_out = not waiting.done.wait(timeout_s)
        if timed_out:
            with self._lock, contextlib.suppress(OSError):
                self._send(process, kill=ident)
            if not waiting.done.wait(_OBEYS_S):
                # A helper that is stopped or stuck cannot kill; its jobs end with it.
                process.kill()
                waiting.done.wait()
        if waiting.end is None:
            return Ended(-int(signal.SIGKILL), timed_out=timed_out, lost=not timed_out)
        end = waiting.end
        return Ended(end["status"], end["cpu"], end["memory"], timed_out)

    def close(self) -> None:
        """End the helper and with it every job under way."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class SpawnLauncher:
    """Jobs as fresh interpreters, where forking is missing or unsafe."""

    def __init__(self) -> None:
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def run(self, folder: Path, timeout_s: float | None, backend: str) -> Ended:
        process = subprocess.Popen(
            [sys.executable, "-m", "daxa.backend.job", str(folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
            env={**_helper_environment(), "DAXA_JOB_WATCH": "1"},
        )
        with self._lock:
            self._processes.add(process)
        timed_out = False
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            process.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            timed_out = True
            self._kill(process)
        finally:
            with self._lock:
                self._processes.discard(process)
            # Programs that the job started and left behind end with it.
            self._kill(process)
            if process.stdin is not None:
                process.stdin.close()
        status = process.wait()
        try:
            usage = json.loads((folder / "usage.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):  # killed before it could write it
            usage = {"cpu": 0.0, "memory": 0}
        return Ended(status, usage["cpu"], usage["memory"], timed_out)

    @staticmethod
    def _kill(process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()

    def close(self) -> None:
        with self._lock:
            processes = list(self._processes)
        for process in processes:
            self._kill(process)


_launcher: ForkLauncher | SpawnLauncher | None = None
_launcher_owner = 0
_launcher_lock = threading.Lock()


def launcher() -> ForkLauncher | SpawnLauncher:
    """The launcher of this process, started on first use."""
    global _launcher, _launcher_owner
    with _launcher_lock:
        if _launcher is None or _launcher_owner != os.getpid():
            # macOS has fork, but its system libraries do not survive one.
            forks = hasattr(os, "fork") and sys.platform != "darwin"
            _launcher = ForkLauncher() if forks else SpawnLauncher()
            _launcher_owner = os.getpid()
        return _launcher


def shut_down() -> None:
    """End every job that this process has under way, and the helper."""
    global _launcher
    with _launcher_lock:
        old, _launcher = (_launcher if _launcher_owner == os.getpid() else None), None
    if old is not None:
        old.close()


atexit.register(shut_down)
