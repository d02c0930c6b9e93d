"""Mosaics of observations that see the same part of the sky."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from daxa.archive import layout
from daxa.archive.views import error_text
from daxa.backend.contract import Job
from daxa.backend.runner import run_job
from daxa.process.step import Piece
from daxa.process.xmm.generate import MOSAIC_KINDS, _camera_images, _mosaic_task
from daxa.process.xmm.setup import ALLOWED

if TYPE_CHECKING:
    from daxa.archive import Archive

#: Observations closer than this belong to one field [deg]: EPIC sees a circle of 15 arcmin radius.
LINK_DEG = 0.5


def group(ra_deg: Sequence[float], dec_deg: Sequence[float], link_deg: float = LINK_DEG) -> list[list[int]]:
    """Indices of directions that hang together by steps of less than ``link_deg``.

    Returns
    -------
    groups
        Each in rising order; in order of their first members.

    Examples
    --------
    >>> group([0.1, 180.0, 359.9], [0.0, 0.0, 0.0])
    [[0, 2], [1]]
    """
    import numpy as np

    ra, dec = np.radians(np.asarray(ra_deg, float)), np.radians(np.asarray(dec_deg, float))
    unit = np.stack([np.cos(ra) * np.cos(dec), np.sin(ra) * np.cos(dec), np.sin(dec)], axis=1)
    left, groups = set(range(len(unit))), []
    chord = 2 * np.sin(np.radians(link_deg) / 2)
    while left:
        edge = [min(left)]
        left.discard(edge[0])
        found = []
        while edge:
            here = edge.pop()
            found.append(here)
            near = [k for k in left if np.linalg.norm(unit[k] - unit[here]) < chord]
            left.difference_update(near)
            edge += near
        groups.append(sorted(found))
    return groups


def field_name(ra_deg: float, dec_deg: float) -> str:
    """Name of a field by its position.

    Examples
    --------
    >>> field_name(149.5917, -11.0642)
    'J0958-1103'
    """
    minutes_of_time, arcmin = int(ra_deg * 4.0) % 1440, int(abs(dec_deg) * 60.0)
    sign = "-" if dec_deg < 0 else "+"
    return f"J{minutes_of_time // 60:02d}{minutes_of_time % 60:02d}{sign}{arcmin // 60:02d}{arcmin % 60:02d}"


def field_mosaics(
    archive: Archive, bands: Sequence[tuple[float, float]], weighting: str, limit_s: float | None = None
) -> list[Path]:
    """Combine all images of each field; fields are named after their first observation's pointing.

    Beside each mosaic stand the task's log and a record of what it was made of; one that would be made of the
    same again is left as it is.

    Warns
    -----
    UserWarning
        Names the mosaic that could not be made, and why.

    Returns
    -------
    paths
        Images, exposure maps and rates.
    """
    paths: list[Path] = []
    folder = archive.layout.mosaics
    for lo, hi in bands:
        band = layout.energy_text(lo, hi)
        seen = []
        for mission in archive.missions:
            if mission.name not in ALLOWED:
                continue
            info = mission.filtered_obs_info.sort_values("ObsID")
            for obs_id, ra, dec in zip(info["ObsID"].astype(str), info["ra"], info["dec"], strict=True):
                piece = Piece(archive, mission, obs_id)
                images, maps = _camera_images(piece, band)
                if images:
                    seen.append((float(ra), float(dec), piece, images, maps))
        for members in group([s[0] for s in seen], [s[1] for s in seen]):
            chosen = [seen[k] for k in members]
            name = field_name(chosen[0][0], chosen[0][1])
            finals = {k: folder / layout.field_mosaic(name, lo, hi, k) for k in MOSAIC_KINDS}
            record = folder / f"{name}-en{band}.json"
            made_of = json.dumps({"weighting": weighting, "images": _content(chosen)}, indent=1)
            kept = all(p.exists() for p in finals.values()) and record.exists()
            if not kept or record.read_text(encoding="utf-8") != made_of:
                folder.mkdir(exist_ok=True)
                record.unlink(missing_ok=True)
                images = [p for s in chosen for p in s[3]]
                maps = [p for s in chosen for p in s[4]]
                outcome = run_job(
                    Job(
                        f"{name} {band}",
                        [_mosaic_task(images, maps, weighting, "field")],
                        {f"field_{kind}.fits": path for kind, path in finals.items()},
                        env=chosen[0][2].environment(summary=False),
                        timeout_s=limit_s,
                        scratch=archive.layout.scratch,
                    )
                )
                (folder / f"{name}-en{band}.log").write_text(outcome.stdout, encoding="utf-8")
                if not outcome.ok:
                    warnings.warn(f"mosaic {name} {band}: {error_text(outcome.errors[0])}", stacklevel=3)
                    continue
                record.write_text(made_of, encoding="utf-8")
            paths += finals.values()
    return paths


def _content(chosen: Sequence[tuple[float, float, Piece, list[Path], list[Path]]]) -> dict[str, str]:
    """Images and exposure maps of a field: name -> SHA-256."""
    content = {}
    for _, _, piece, images, maps in chosen:
        sums = {name: sha for run in piece.used for name, (sha, _) in run.outputs.items()}
        for path in images + maps:
            content[path.name] = sums[str(path.relative_to(piece.folder))]
    return content
