"""Commands that tell how archives stand: list, info, status."""

from __future__ import annotations

import json
import os
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import typer

from daxa.cli.archive import OF_PRODUCTS, ArchiveName, failure_line, failures, open_archive
from daxa.cli.output import Json, print_table, width
from daxa.cli.places import archives, known_archives
from daxa.plain import duration, plain_line

#: Observations that are named.
_TOLD = 20
#: Columns of a status that are shown only where something stands in them.
_RARE = ("out of date", "running", "interrupted", "pending", "warnings")


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a status as people read it."""
    counts = ("done", "stale", "failed", "running", "interrupted", "pending", "warnings")
    return {
        "mission": row["mission"],
        "step": row["step"],
        **{"out of date" if name == "stale" else name: row[name] for name in counts},
        "time": duration(row["seconds"]),
        "memory [MB]": row["memory_mb"],
    }


def status(archive: ArchiveName, as_json: Json = False) -> None:
    """Show what of an archive is done, failed and pending."""
    from daxa.report import status_table

    opened = open_archive(archive)
    rows = status_table(opened)
    if as_json:
        typer.echo(
            json.dumps({"archive": opened.archive_name, "steps": rows, "failed": failures(opened)}, indent=1)
        )
        return
    if not rows:
        typer.echo(f"{opened.archive_name}: nothing has been processed yet")
        return
    print_table([_shown(row) for row in rows], f"{opened.archive_name}: steps", rare=_RARE)
    for failure in failures(opened):
        typer.echo(failure_line(failure))


def in_words(archive: Any) -> str:
    """The state of an archive in a few words.

    Parameters
    ----------
    archive
        The archive.
    """
    from daxa.report import status_table

    sums: Counter[str] = Counter()
    for row in status_table(archive):
        sums.update({k: v for k, v in row.items() if isinstance(v, int)})
    if archive.in_work:
        return f"being processed, {sums['done']} jobs done, {sums['running']} running"
    if not sums["done"] + sums["failed"] + sums["interrupted"]:
        return "nothing processed yet"
    words = {"failed": "failed", "interrupted": "interrupted", "pending": "not begun", "stale": "out of date"}
    found = [f"{sums[key]} {said}" for key, said in words.items() if sums[key]]
    return ", ".join(found) or "done"


def size_of(folder: Path) -> int:
    """Bytes of the files below a folder.

    Parameters
    ----------
    folder
        The folder.
    """
    found = 0
    for top, _, names in os.walk(folder):
        for name in names:
            try:
                found += os.lstat(os.path.join(top, name)).st_size
            except OSError:  # gone meanwhile
                continue
    return found


def list_archives(as_json: Json = False) -> None:
    """List the archives that there are: observations, size, state."""
    from daxa.archive import Archive
    from daxa.exceptions import DAXAError

    rows: list[dict[str, Any]] = []
    for name in known_archives():
        folder = Path(archives()) / name
        try:
            opened = Archive(name)
            count = sum(len(m.filtered_obs_ids) for m in opened.missions)
            state = in_words(opened)
        except (DAXAError, OSError, ValueError) as failure:
            count, state = None, f"cannot be opened: {failure}"
        rows.append({"archive": name, "observations": count, "bytes": size_of(folder), "state": state})
    if as_json:
        typer.echo(json.dumps({"folder": archives(), "archives": rows}, indent=1))
        return
    if not rows:
        typer.echo(f"no archives in {archives()}; daxa process makes one (DAXA_OUTPUT sets the folder)")
        return
    shown = [{("size [MB]" if k == "bytes" else k): v for k, v in row.items()} for row in rows]
    for row in shown:
        row["size [MB]"] = round(row["size [MB]"] / 1e6)
    print_table(shown, f"archives in {archives()}")


def info(archive: ArchiveName, as_json: Json = False) -> None:
    """Tell what an archive holds, and what to do next with it."""
    from daxa.report import product_table

    opened = open_archive(archive)
    rows = product_table(opened)
    what: dict[str, Any] = {
        "archive": opened.archive_name,
        "folder": opened.archive_path,
        "bytes": size_of(Path(opened.archive_path)),
        "state": in_words(opened),
        "missions": {
            m.name: {
                "observations": [str(o) for o in m.filtered_obs_ids],
                "instruments": list(m.chosen_instruments),
            }
            for m in opened.missions
        },
        "made with": {k: v for k, v in (opened.ledger.meta("request") or {}).items() if v is not None},
        "calibration": opened.calibration_folders,
        "products": rows,
        "next": next_steps(opened, archive, bool(rows)),
    }
    if as_json:
        typer.echo(json.dumps(what, indent=1))
        return
    lines = [
        f"archive      {what['archive']}",
        f"folder       {what['folder']}",
        f"size         {what['bytes'] / 1e6:.0f} MB",
        f"state        {what['state']}",
    ]
    for name, mission in what["missions"].items():
        lines.append(f"mission      {name}: {', '.join(mission['instruments'])}")
        obs_ids = mission["observations"]
        more = f" and {len(obs_ids) - _TOLD} more" if len(obs_ids) > _TOLD else ""
        lines += textwrap.wrap(
            f"observations {' '.join(obs_ids[:_TOLD])}{more}", width(), subsequent_indent=" " * 13
        )
    lines += [f"calibration  {folder}" for folder in what["calibration"]]
    for line in lines:
        typer.echo(plain_line(line))
    if rows:
        typer.echo()
        print_table(rows, "products", spare=OF_PRODUCTS)
    typer.echo("\nnext:")
    for command, why in what["next"]:
        line = f"  {command}  # {why}"
        for part in [line] if len(line) <= width() else [f"  {command}", f"      # {why}"]:
            typer.echo(plain_line(part))


def next_steps(archive: Any, called: str, has_products: bool) -> list[tuple[str, str]]:
    """Commands that make sense now, and what each does.

    Parameters
    ----------
    archive
        The archive.
    called
        How the user calls it.
    has_products
        Whether it holds event lists.
    """
    import shlex

    name = shlex.quote(called)
    known = archive.process_names if has_products else {}
    done = {step for steps in known.values() for step in steps}
    if archive.in_work:
        return [(f"daxa watch {name}", "follow what is being done")]
    steps = []
    failed = failures(archive)
    if failed:
        steps.append((f"daxa logs {name} {failed[0]['process']} --errors", "why it failed"))
    state = in_words(archive)
    if not has_products or "not begun" in state or "interrupted" in state or "out of date" in state or failed:
        steps.append((f"daxa process --archive {archive.archive_name}", "go on with it"))
    if has_products:
        steps.append((f"daxa report {name}", "look at it: images, light curves, verdicts"))
        steps.append((f"daxa images {name} --bands 0.3-1,1-2,2-7", "images in other bands"))
        if "find_sources" not in done:
            steps.append((f"daxa sources {name}", "find sources"))
        if sum(len(m.filtered_obs_ids) for m in archive.missions) > 1 and "generate_mosaics" not in done:
            steps.append((f"daxa mosaic {name}", "combine the observations"))
        steps.append((f"daxa reproduce {name}", "everything that was done as shell scripts"))
    return steps
