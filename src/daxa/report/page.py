"""The HTML report of an archive: one page, with its pictures beside it."""

from __future__ import annotations

import os
import shutil
import warnings
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daxa._version import __version__
from daxa.exceptions import DAXAError
from daxa.report import pictures, summary
from daxa.trust import TRUST

if TYPE_CHECKING:
    from daxa.archive import Archive


def build_report(archive: Archive, output: str | os.PathLike[str] | None = None) -> Path:
    """Write ``report/index.html`` into the archive, with a picture of every image.

    Pictures are only drawn again when their image is newer. The page refers to everything by relative
    paths, so that it moves with the archive.

    Parameters
    ----------
    archive
        The archive; it is not changed if the report is written elsewhere.
    output
        Folder for the page and its pictures, made if it does not exist; ``report`` in the archive by default.

    Returns
    -------
    page
        Path of the page.

    Raises
    ------
    DAXAError
        The folder cannot be made, or is in an archive that can only be read.
    """
    from jinja2 import Environment, PackageLoader, select_autoescape

    root = Path(archive.archive_path)
    if output is None and archive.read_only:
        raise DAXAError(
            f"{root}: the archive is read-only; the report needs another folder (--output FOLDER)"
        )
    folder = root / "report" if output is None else Path(output).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        raise DAXAError(f"{folder}: no folder for the report ({failure.strerror or failure})") from failure
    environment = Environment(
        loader=PackageLoader("daxa.report"),
        autoescape=select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("report.html").render(
        name=archive.archive_name,
        version=__version__,
        trust=TRUST,
        written=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        products=summary.product_table(archive),
        steps=summary.status_table(archive),
        observations=_observations(archive, folder),
        runs=_runs(archive),
    )
    page = folder / "index.html"
    temporary = folder / f".index.html.{os.getpid()}.part"
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, page)
    finally:
        temporary.unlink(missing_ok=True)
    return page


def _observations(archive: Archive, folder: Path) -> list[dict[str, Any]]:
    images: dict[str, list[dict[str, str]]] = {}
    for obs_id, band, image, _ in summary.image_pairs(archive):
        picture = folder / f"{image.stem}.png"
        if not picture.exists() or picture.stat().st_mtime < image.stat().st_mtime:
            inst = image.name.split("-inst")[1].split("-")[0]
            try:
                pictures.sky_image(image, picture, f"{obs_id} {inst} {band.replace('_', '-')}")
            except (OSError, ValueError, TypeError) as failure:
                warnings.warn(f"{image}: no picture can be made of it ({failure})", stacklevel=3)
                continue
        images.setdefault(obs_id, []).append(
            {"picture": picture.name, "file": os.path.relpath(image, folder)}
        )
    result = []
    for mission in archive.missions:
        for obs_id in mission.filtered_obs_ids:
            data = Path(archive.get_current_data_path(mission, obs_id))
            flares = []
            for source in sorted(data.glob("cleaning/*-hist.png")):
                # Copied, so that the page and its pictures can be handed on without the data.
                shutil.copyfile(source, folder / source.name)
                flares.append(source.name)
            files = [
                {
                    "path": os.path.relpath(p, folder),
                    "name": str(p.relative_to(data)),
                    "size": p.stat().st_size,
                }
                for p in sorted(data.rglob("*"))
                if p.is_file() and p.parent.name != "logs"
            ]
            result.append(
                {
                    "mission": mission.pretty_name,
                    "obs_id": obs_id,
                    "images": images.get(obs_id, []),
                    "flares": flares,
                    "files": files,
                }
            )
    return result


def _runs(archive: Archive) -> list[dict[str, Any]]:
    return [
        {
            "obs_id": run.obs_id,
            "step": run.process,
            "ident": run.ident,
            "status": run.status,
            "seconds": f"{run.wall_s or 0:.1f}",
            "memory": f"{(run.memory_bytes or 0) / 1e6:.0f}",
            "messages": [
                f"{kind}: {m['name']} raised by {m['originator']} - {m['message']}"
                for kind, messages in (("error", run.errors), ("warning", run.warnings))
                for m in messages
            ],
            "commands": [" ".join([n, *(f"{k}={v}" for k, v in p.items())]) for n, p in run.tasks],
        }
        for run in archive.ledger.runs(logs=False)
    ]
