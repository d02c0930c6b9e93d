"""Raw XMM data that are on disk already, in whatever layout people keep them.

Understood layouts: unpacked ODFs (``<ObsID>/*.FIT``, ``<ObsID>/ODF/*.FIT.gz`` as HEASARC has them, or
several observations in one folder) and packed ones (``<ObsID>.tar.gz``, ``<ObsID>/odf/<ObsID>.tar.gz`` as the
XSA has them, ``<REV>_<ObsID>.TAR``). The source itself is never changed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from daxa.exceptions import DAXADownloadError
from daxa.plain import plain_line
from daxa.writing import write_text
from daxa.xmm.formats.odf_names import OdfName

_TAR = re.compile(r"^(?:\d{4}_)?(?P<obs>\d{10})(?:[._-].*)?\.(?:tar|tar\.gz|tgz)$", re.IGNORECASE)


@dataclass
class LocalObservation:
    """One observation of a local source: its loose files, or else the archive file it is packed in."""

    obs_id: str
    files: list[Path] = field(default_factory=list)
    packed: Path | None = None
    shared_folder: bool = False

    @property
    def folder(self) -> Path | None:
        """The folder that can be used as it is: only this observation's files, none compressed."""
        if not self.files or self.shared_folder or any(f.suffix.lower() == ".gz" for f in self.files):
            return None
        return self.files[0].parent

    @property
    def summary(self) -> Path | None:
        """The observation's summary among the loose files."""
        return next((f for f in self.files if is_summary(f.name.removesuffix(".gz"))), None)


def is_summary(name: str) -> bool:
    """Whether a file name is that of an ODF's ASCII summary.

    Parameters
    ----------
    name
        The name without its folder.

    Examples
    --------
    >>> is_summary("0099_0135730701_SCX00000SUM.ASC")
    True
    """
    parsed = OdfName.parse(name)
    return parsed is not None and parsed.file_type == "SUM" and parsed.extension == "ASC"


def sort_paths(paths: list[Path]) -> dict[str, LocalObservation]:
    """Observations among file paths, by ObsID.

    Loose files win over packed ones; among several copies of an ODF the one with a summary and the
    most files wins.

    Parameters
    ----------
    paths
        Files, of whatever kind; those of no ODF are left out.
    """
    loose: dict[str, dict[Path, list[Path]]] = {}
    packed: dict[str, Path] = {}
    owners: dict[Path, set[str]] = {}
    for path in sorted(paths):
        name = OdfName.parse(path.name)
        if name is not None:
            owners.setdefault(path.parent, set()).add(name.obs_id)
            if name.extension != "SAS":
                loose.setdefault(name.obs_id, {}).setdefault(path.parent, []).append(path)
        elif match := _TAR.match(path.name):
            packed.setdefault(match["obs"], path)
    observations = {}
    for obs_id in sorted({*loose, *packed}):
        copies = [
            LocalObservation(obs_id, files, shared_folder=len(owners[folder]) > 1)
            for folder, files in loose.get(obs_id, {}).items()
        ]
        copies.sort(key=lambda o: (o.summary is not None, o.folder is not None, len(o.files)))
        if copies and (copies[-1].summary is not None or obs_id not in packed):
            observations[obs_id] = copies[-1]
        else:
            observations[obs_id] = LocalObservation(obs_id, packed=packed[obs_id])
    return observations


def scan(source: str | Path, max_depth: int = 5) -> dict[str, LocalObservation]:
    """Observations in a folder, or in one archive file, by ObsID.

    Parameters
    ----------
    source
        The folder, or an archive file.
    max_depth
        How many folders deep it is searched.

    Raises
    ------
    FileNotFoundError
        There is no such folder.
    DAXADownloadError
        There is no ODF in it.
    """
    root = Path(source).expanduser().resolve()
    if not root.exists():
        raise FileNotFoundError(f"local: no such folder {root}")
    paths = [root] if root.is_file() else []
    for folder, subfolders, names in os.walk(root):
        here = Path(folder)
        if len(here.relative_to(root).parts) >= max_depth:
            subfolders.clear()
        subfolders[:] = [s for s in subfolders if not s.startswith(".")]
        paths += [here / name for name in names if not name.startswith(".")]
    observations = sort_paths(paths)
    if not observations:
        raise DAXADownloadError(
            f"local: {root} holds no Observation Data File; expected files such as "
            "0070_0123700101_SCX00000SUM.ASC, or 0123700101.tar.gz, in it or up to "
            f"{max_depth} folders below"
        )
    return observations


def read_summaries(observations: Iterable[LocalObservation]) -> tuple[list[dict], list[str]]:
    """Catalogue rows of observations, and why some have none.

    Rows of packed observations, which take seconds to unpack, are remembered as long as the file stays
    the same.

    Parameters
    ----------
    observations
        Observations of :func:`scan`.

    Returns
    -------
    rows, problems
        What :func:`read_summary` gives, and a sentence for each observation that has no usable summary.
    """
    from daxa import config

    cache = config.cache_path() / "local_summaries.json"
    try:
        known = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    if not isinstance(known, dict):
        known = {}
    rows, unreadable, changed = [], [], False
    for observation in observations:
        key = None
        if observation.packed is not None:
            status = observation.packed.stat()
            key = f"{observation.packed} {status.st_size} {status.st_mtime_ns}"
        if key is not None and key in known:
            rows.append(known[key])
            continue
        try:
            rows.append(read_summary(observation))
        except DAXADownloadError as err:
            unreadable.append(plain_line(str(err)))
            continue
        except Exception as err:
            # nobody thought of it, and still it concerns this observation only
            text = f"ObsID {observation.obs_id}: unexpected {type(err).__name__}: {err}"
            unreadable.append(plain_line(text))
            continue
        if key is not None:
            known[key], changed = rows[-1], True
    if changed:
        with contextlib.suppress(OSError):  # it only saves time
            cache.parent.mkdir(parents=True, exist_ok=True)
            write_text(cache, json.dumps(known))
    return rows, unreadable


def read_summary(observation: LocalObservation) -> dict:
    """The catalogue row of an observation, from its summary file.

    Parameters
    ----------
    observation
        One of :func:`scan`.

    Returns
    -------
    dict
        ``ObsID``, ``ra``, ``dec`` (degrees), ``start``, ``end`` (ISO UTC), ``revolution``, ``target``.

    Raises
    ------
    DAXADownloadError
        There is no summary file, or it cannot be read.
    """
    from daxa.fetch.unpack import read_member, read_small

    path = observation.summary
    if path is not None and path.suffix.lower() != ".gz":
        return _parse(path, str(path))
    if path is not None:
        text: bytes | None = read_small(path)
    elif observation.packed is not None:
        path = observation.packed
        text = read_member(path, is_summary)
    else:
        text = None
    if text is None:
        where = path or observation.files[0].parent
        raise DAXADownloadError(f"ObsID {observation.obs_id}: no summary file (*_SCX00000SUM.ASC) in {where}")
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "SUM.ASC"
        copy.write_bytes(text)
        return _parse(copy, str(path))


def _parse(path: Path, where: str) -> dict:
    from daxa.xmm.formats.summary import read_ascii_summary

    try:
        summary = read_ascii_summary(path)
    except ValueError as err:
        raise DAXADownloadError(f"{where}: not a readable ODF summary ({err})") from err
    if summary.ra_deg is None or summary.dec_deg is None:
        raise DAXADownloadError(f"{where}: the summary does not say where the observation points")
    return {
        "ObsID": summary.obs_id,
        "ra": summary.ra_deg,
        "dec": summary.dec_deg,
        "start": summary.start,
        "end": summary.end,
        "revolution": summary.revolution,
        "target": summary.target,
    }
