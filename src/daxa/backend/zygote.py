"""``python -m daxa.backend.zygote``: a helper that has everything imported and forks one process per job.

Orders come as lines of JSON on standard input, ``{"run": id, "folder": path, "backend": name}`` or
``{"kill": id}``; events go as lines to standard output, ``{"started": id, "pid": n}`` or
``{"ended": id, "status": n, "cpu": s, "memory": bytes, "seconds": s}``. Every job is the leader of a process
group of its own. When standard input closes, which it also does when the starter is killed, all groups are
killed and the helper ends.

Jobs end with this process, too, however it ends: they hold the reading end of a pipe to it. What a job leaves
running is killed once the job has ended, on Linux even if it has a session of its own.

Only this process ever forks: it has one thread, so a forked job cannot inherit a lock that nobody will
release.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import sys
import threading
import time
from pathlib import Path

from daxa.backend.orphans import become_reaper, children, end_descendants

#: What every task imports; loaded before the first job.
FIRST = ("numpy", "astropy.io.fits", "daxa.xmm.ccf.scan", "daxa.xmm.odf.ingest")
#: What some tasks import or, after a colon, do once per process; loaded while the first jobs run.
LATER = (
    "daxa.xmm.response.area",
    "daxa.xmm.sky.attcalc",
    "daxa.xmm.select.expression:parser",
    "astropy.time",
    "astropy.table",
    "scipy.ndimage",
    "scipy.interpolate",
    "scipy.optimize",
    "scipy.spatial",
    "scipy.special",
    "lark",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "daxa.xmm.screen.plots:warm_up",
    "astropy.wcs",
)


def preload(name: str) -> None:
    """Import what jobs will need; where that fails, the job that needs it will tell why.

    Parameters
    ----------
    name
        Name of a module; after a colon that of a function of it, which is called.
    """
    module, _, function = name.partition(":")
    # Of any kind: libraries that do not fit each other fail in many ways, and this process must go on.
    with contextlib.suppress(Exception):
        loaded = importlib.import_module(module)
        if function:
            getattr(loaded, function)()


class Zygote:
    """The state of the helper: which job has which process.

    Parameters
    ----------
    orders
        File descriptor that orders are read from.
    events
        File descriptor that events are written to.
    """

    def __init__(self, orders: int, events: int) -> None:
        self.orders = orders
        self.events = events
        self.jobs: dict[int, int] = {}
        self.since: dict[int, float] = {}
        self.unloaded: list[str] = []
        self.warm = False
        #: Closed by nobody but the system, when this process is gone.
        self.lifeline = os.pipe()

    def tell(self, **event: object) -> None:
        """Send an event to whoever started this process.

        Parameters
        ----------
        **event
            What the event says.
        """
        os.write(self.events, (json.dumps(event) + "\n").encode())

    def start(self, ident: int, folder: str) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._be_the_job(Path(folder))
        self.jobs[pid] = ident
        self.since[pid] = time.monotonic()
        self.tell(started=ident, pid=pid)

    def _be_the_job(self, folder: Path) -> None:
        status = 70
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.close(self.events)
            become_reaper()
            self._end_with_the_helper()
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            os.close(null)
            from daxa.backend.job import run_here

            status = run_here(folder)
        except BaseException:  # the forked copy must never return into the helper's loop
            import traceback

            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _end_with_the_helper(self) -> None:
        """In a job: end everything that it has started, and itself, when the helper is gone."""
        reading, writing = self.lifeline
        os.close(writing)

        def watch() -> None:
            os.read(reading, 1)
            end_descendants(os.getpid())
            os.killpg(0, signal.SIGKILL)

        threading.Thread(target=watch, daemon=True).start()

    def warm_up(self) -> None:
        """Load what embedded tasks import; programs need none of it."""
        if self.warm:
            return
        self.warm = True
        from daxa.xmm.task import module_of, task_names

        for module in FIRST:
            preload(module)
        self.unloaded = [*map(module_of, task_names()), *LATER]
        # Objects that exist now are never garbage; left alone, their memory stays shared with the jobs.
        gc.collect()
        gc.freeze()

    def kill(self, pid: int) -> None:
        """Kill a job's whole process group.

        Parameters
        ----------
        pid
            Number of the job's process.
        """
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)

    def reap(self) -> None:
        """Take note of every process that has ended, and end what it has left behind."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            # Whatever is a child and no job was left by a job that has ended.
            for left in children(os.getpid()):
                if left != pid and left not in self.jobs:
                    end_descendants(left)
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(left, signal.SIGKILL)
            ident = self.jobs.pop(pid, None)
            if ident is None:
                continue
            # Programs that the job started and left behind end with it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            self.tell(
                ended=ident,
                status=os.waitstatus_to_exitcode(status),
                cpu=usage.ru_utime + usage.ru_stime,
                memory=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
                seconds=time.monotonic() - self.since.pop(pid),
            )

    def obey(self, line: bytes) -> None:
        """Do what a line of an order says.

        Parameters
        ----------
        line
            The order, as JSON.
        """
        order = json.loads(line)
        if "run" in order:
            if order["backend"] == "embedded":
                self.warm_up()
            self.start(order["run"], order["folder"])
        else:
            for pid, ident in list(self.jobs.items()):
                if ident == order["kill"]:
                    self.kill(pid)

    def serve(self) -> None:
        """Obey orders until standard input closes or the starter is gone."""
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        os.set_blocking(wake_read, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        starter = os.getppid()
        buffer = b""
        try:
            while os.getppid() == starter:
                idle_s = 0.0 if self.unloaded and self.jobs else 1.0
                ready, _, _ = select.select([self.orders, wake_read], [], [], idle_s)
                if wake_read in ready:
                    with contextlib.suppress(BlockingIOError):
                        os.read(wake_read, 4096)
                self.reap()
                if self.orders in ready:
                    chunk = os.read(self.orders, 65536)
                    if not chunk:
                        return
                    *lines, buffer = (buffer + chunk).split(b"\n")
                    for line in lines:
                        self.obey(line)
                if not ready and self.unloaded and self.jobs:
                    preload(self.unloaded.pop(0))
        except BrokenPipeError:
            return
        finally:
            for pid in self.jobs:
                self.kill(pid)


def main() -> int:
    # Standard output is the channel of events: nothing that an import prints may get into it.
    """Serve until standard input closes."""
    events = os.dup(1)
    os.dup2(2, 1)
    become_reaper()
    zygote = Zygote(0, events)
    zygote.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
