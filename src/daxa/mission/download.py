"""Bringing the raw data of many observations to disk at once, and telling what did not come."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

import requests

from daxa.exceptions import DAXADownloadError, DAXAError
from daxa.fetch.disk import RESERVE, free_bytes
from daxa.mission.store import Part, RawStore
from daxa.plain import plain_line

# more at once gets a client throttled or blocked by the archives
MAX_PARALLEL = 10


class Progress:
    """One bar for everything: bytes fetched, of the bytes known to come.

    Parameters
    ----------
    description
        Text before the bar.
    disable
        Whether nothing is shown.
    """

    def __init__(self, description: str, disable: bool):
        from tqdm import TqdmWarning

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TqdmWarning)  # that a notebook lacks widgets: it shows text then
            from tqdm.auto import tqdm
        self._lock = threading.Lock()
        self._bar = tqdm(
            desc=description, total=0, unit="B", unit_scale=True, unit_divisor=1024, disable=disable
        )

    def expect(self, size: int) -> None:
        """More bytes are going to come (or fewer, if negative).

        Parameters
        ----------
        size
            Number of bytes.
        """
        with self._lock:
            self._bar.total = max(0, (self._bar.total or 0) + size)
            self._bar.refresh()

    def add(self, size: int) -> None:
        """Count bytes that have come.

        Parameters
        ----------
        size
            How many have come since the last call [bytes].
        """
        with self._lock:
            self._bar.update(size)

    def note(self, text: str) -> None:
        """Show a few words behind the bar.

        Parameters
        ----------
        text
            The words.
        """
        with self._lock:
            self._bar.set_postfix_str(text)

    def close(self) -> None:
        """Finish the bar."""
        self._bar.close()


@dataclass(frozen=True)
class Request:
    """One part of one observation to bring to disk.

    `bring` puts the files into the folder it is given, which keeps what an interrupted earlier
    attempt left there, and returns the description of the part.
    """

    obs_id: str
    part: str
    instruments: tuple[str, ...] | None
    bring: Callable[[Path, Progress], Part]


@dataclass
class Report:
    """What became of the requests: ObsIDs fetched, already there, and missing with the reasons."""

    done: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    failed_products: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{len(self.done)} fetched, {len(self.present)} already there, {len(self.failed)} missing"]
        lines += [f"  {obs_id}: {reason}" for obs_id, reason in self.failed.items()]
        if self.failed_products:
            lines.append(f"{len(self.failed_products)} without the archive's products")
            lines += [f"  {obs_id}: {reason}" for obs_id, reason in self.failed_products.items()]
        return "\n".join(lines)

    def _add(self, request: Request, reason: str | None) -> None:
        if reason is None:
            self.done.extend([request.obs_id] if request.part == "raw" else [])
        elif request.part == "raw":
            self.failed[request.obs_id] = reason
        else:
            self.failed_products[request.obs_id] = reason


def fetch_all(
    requested: Sequence[Request],
    store: RawStore,
    *,
    threads: int = 4,
    description: str = "Downloading",
    disable_progress: bool = False,
    stop: threading.Event | None = None,
) -> Report:
    """Bring every requested part to disk.

    A failure concerns its own observation only. An interrupt sets `stop`, which ends what is under way;
    what has been fetched is used by the next call.

    Parameters
    ----------
    requested
        Parts of observations.
    store
        Where they go.
    threads
        Parts at once.
    description
        Words before the bar.
    disable_progress
        No progress bar.
    stop
        Set by an interrupt; a new event by default.

    Returns
    -------
    Report
        What came, what was there, and what failed.
    """
    report = Report()
    waiting = []
    for request in requested:
        if store.has(request.obs_id, request.part, request.instruments):
            report.present.extend([request.obs_id] if request.part == "raw" else [])
        else:
            waiting.append(request)
    if not waiting:
        return report
    free = free_bytes(store.root)
    if free < RESERVE:
        raise DAXADownloadError(f"the disk of {store.root} is full: {free / 2**20:.0f} MiB are free")
    stop = threading.Event() if stop is None else stop
    progress = Progress(description, disable_progress)
    pool = ThreadPoolExecutor(max_workers=max(1, min(threads, MAX_PARALLEL, len(waiting))))
    try:
        running = {pool.submit(_fetch_one, request, store, progress, stop): request for request in waiting}
        while running:
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                request = running.pop(future)
                report._add(request, future.result())
            progress.note(f"{len(running)} observations to go, {len(report.failed)} failed")
    except BaseException:
        stop.set()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        progress.close()
    report.done.sort()
    report.failed = dict(sorted(report.failed.items()))
    report.failed_products = dict(sorted(report.failed_products.items()))
    return report


def _fetch_one(request: Request, store: RawStore, progress: Progress, stop: threading.Event) -> str | None:
    """Bring one part; returns why it failed, or None."""
    if stop.is_set():
        return "stopped before it began"
    try:
        with store.lock(request.obs_id):
            if store.has(request.obs_id, request.part, request.instruments):
                return None
            staging = store.staging(request.obs_id) / request.part
            staging.mkdir(exist_ok=True)
            store.publish(request.obs_id, request.part, staging, request.bring(staging, progress))
    except DAXAError as err:
        return plain_line(str(err))
    except (OSError, requests.RequestException) as err:
        return plain_line(f"{type(err).__name__}: {err}")
    except Exception as err:
        # nobody thought of it, and still it must not end the others
        return plain_line(f"unexpected {type(err).__name__}: {err}")
    return None


def sizes_of(files: Iterable[Path], folder: Path) -> dict[str, int]:
    """Files as the manifest lists them: path below the folder -> size in bytes.

    Parameters
    ----------
    files
        The files.
    folder
        The folder they are in.
    """
    return {file.relative_to(folder).as_posix(): file.stat().st_size for file in sorted(files)}
