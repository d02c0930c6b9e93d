"""Redistribution matrices that ESA publishes: fetching those for some cameras and dates into a store."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import numpy as np

from daxa.calibration.mirror import Progress
from daxa.calibration.store import store_path
from daxa.exceptions import DAXADownloadError
from daxa.fetch.http import Client, RemoteFile
from daxa.fetch.locks import hold
from daxa.xmm.ccf.index import normal_date
from daxa.xmm.errors import TaskError
from daxa.xmm.formats.instruments import TELESCOPES
from daxa.xmm.spectra.ogip import read_matrix
from daxa.xmm.spectra.published import USUAL, Published, epoch_of

#: Public copies of the matrices.
MIRRORS = (
    "https://sasdev-xmm.esac.esa.int/pub/ccf/constituents/extras/responses/",
    "https://heasarc.gsfc.nasa.gov/FTP/caldb/data/xmm/ccf/extras/responses/",
)
_LINK = re.compile(r"""href\s{0,9}=\s{0,9}["']?([^"'\s>]{1,2000})""", re.IGNORECASE)
_CHANNELS = {"PN": 4096, "MOS/5eV": 2400, "MOS/15eV": 800}


def responses_path() -> Path:
    """Folder of the user's published matrices."""
    return store_path() / "responses"


def wanted(
    instruments: Iterable[str], dates: Sequence[str], modes: Sequence[str] = USUAL[0]
) -> list[Published]:
    """What is fetched for cameras and dates: all rows and places, the usual patterns, channels of 5 eV.

    Parameters
    ----------
    instruments
        ``EMOS1``, ``EMOS2``, ``EPN``.
    dates
        Dates of the observations (ISO, UTC).
    modes
        Modes as names of matrices have them: ``ff``, ``ef``, ``lw``, ``sw``, ``ti``, ``bu`` of the pn;
        ``im``, ``tu`` of MOS.

    Raises
    ------
    ValueError
        Not a camera, or not a date.
    """
    found: dict[Published, None] = {}
    for instrument in instruments:
        if instrument not in TELESCOPES:
            raise ValueError(f"instrument {instrument!r} is not one of {', '.join(TELESCOPES)}")
        pn = instrument == "EPN"
        for date in map(normal_date, dates):
            epoch = epoch_of(instrument, date)
            for mode in modes:
                if epoch is not None and pn == (mode not in ("im", "tu")):
                    kind = USUAL[1][0 if pn else 1]
                    found[Published(instrument, epoch, mode, kind, "", 5.0)] = None
    return list(found)


def fetch(
    instruments: Iterable[str],
    dates: Sequence[str],
    *,
    modes: Sequence[str] = USUAL[0],
    mirror: str | Sequence[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    threads: int = 4,
    timeout_s: float = 60.0,
    pause_s: float = 1.0,
    progress: Progress | None = None,
) -> list[Path]:
    """Make sure that published matrices for some cameras and dates are in the store.

    Parameters
    ----------
    instruments, dates, modes
        As for :func:`wanted`.
    mirror
        Address or addresses of a served folder with ``PN/``, ``MOS/5eV/``, tried in order; by default ESA's
        and HEASARC's.
    folder
        The store; by default the user's.
    threads
        Files fetched at once.
    timeout_s
        How long a server may be silent.
    pause_s
        Pause before a file is tried again; it doubles every time.
    progress
        Called with name, bytes so far and bytes in all (or None) of a file.

    Returns
    -------
    list of Path
        All matrices, those that were there before included.

    Raises
    ------
    ValueError
        Not a camera, or not a date.
    DAXADownloadError
        No mirror can be read, none has such a matrix, or some did not come.
    """
    target = Path(folder) if folder is not None else responses_path()
    kinds = wanted(instruments, dates, modes)
    client = Client(3, first_pause_s=pause_s, timeout_s=timeout_s)
    addresses = [mirror] if isinstance(mirror, str) else list(mirror or MIRRORS)
    found, problems = _listed(client, addresses, kinds)
    if not found:
        raise DAXADownloadError(
            f"no published matrix for {', '.join(map(str, kinds)) or 'these cameras and dates'}"
            + "".join(f"; {text}" for text in problems)
        )

    def bring(item: tuple[str, str, str]) -> Path | str:
        sub, name, url = item
        try:
            return _bring(client, url, target / sub / name, _CHANNELS[sub], progress)
        except DAXADownloadError as error:
            return str(error)

    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        results = list(pool.map(bring, found))
    paths = [r for r in results if isinstance(r, Path)]
    failures = [r for r in results if isinstance(r, str)]
    if failures:
        raise DAXADownloadError(
            f"{len(paths)} matrices are in {target}, {len(failures)} problems: " + "; ".join(failures)
        )
    return paths


def _listed(
    client: Client, addresses: list[str], kinds: list[Published]
) -> tuple[list[tuple[str, str, str]], list[str]]:
    """Folder, name and address of each matrix of these kinds, by the first mirror that has any."""
    problems: list[str] = []
    for address in addresses:
        found = []
        for sub in sorted({kind.folder for kind in kinds}):
            base = urljoin(address if address.endswith("/") else address + "/", sub + "/")
            try:
                page = client.get_text(base, tries=1)
            except DAXADownloadError as error:
                problems.append(str(error))
                continue
            urls = {}
            for url in (urljoin(base, link) for link in _LINK.findall(page)):
                # Only files of this very folder: a listing must not lead elsewhere.
                if url.rsplit("/", 1)[0] + "/" == base:
                    urls[unquote(urlsplit(url).path.rsplit("/", 1)[-1])] = url
            names = {name for kind in kinds if kind.folder == sub for name in kind.of(urls)}
            found += [(sub, name, urls[name]) for name in sorted(names)]
        if found:
            return found, problems
    return [], problems


def _bring(client: Client, url: str, path: Path, channels: int, progress: Progress | None) -> Path:
    done, total = 0, None

    def count(size: int) -> None:
        nonlocal done
        done += size
        if progress is not None:
            progress(path.name, done, total)

    def expect(size: int) -> None:
        nonlocal total
        total = (total or 0) + size

    path.parent.mkdir(parents=True, exist_ok=True)
    file = RemoteFile(url, path.name, check=lambda part: check(part, channels))
    with hold(path.parent / ".locks" / path.name):
        return client.fetch(file, path, count, expect)


def check(path: Path, channels: int) -> None:
    """Make sure that a file is a whole matrix of so many channels.

    Parameters
    ----------
    path
        The file.
    channels
        Their number.

    Raises
    ------
    ValueError
        It is not; the message says why.
    """
    try:
        rows = read_matrix(path)[2]
    except TaskError as error:
        raise ValueError(f"what came is not a whole matrix ({error.message})") from error
    if rows.shape[1] != channels:
        raise ValueError(f"what came has {rows.shape[1]} channels, not {channels}")
    sums = rows.sum(axis=1)
    if not np.all(np.isfinite(sums)) or not 0 < np.median(sums) < 1.01:
        raise ValueError("what came is not a matrix of shares: its rows do not sum to 1")
