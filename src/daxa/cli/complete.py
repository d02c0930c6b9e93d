"""What the shell completes: names of archives, observations of an archive, steps."""

from __future__ import annotations

from pathlib import Path

import typer

from daxa.cli.places import archives, known_archives


def archive_names(incomplete: str) -> list[str]:
    """Archives of the folder of output; an archive elsewhere is given by its path, which the shell completes.

    Parameters
    ----------
    incomplete
        What has been typed of it.
    """
    return [name for name in known_archives() if name.startswith(incomplete)]


def obs_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """Observations of the archive that the command line names.

    Parameters
    ----------
    ctx
        The command line so far.
    incomplete
        What has been typed of it.
    """
    # Where an option waits for its value, nothing is told of the arguments yet.
    name = ctx.params.get("archive") or next(iter(ctx.args), None)
    if not name:
        return []
    folder = Path(name if "/" in name else f"{archives()}/{name}").expanduser()
    found = {path.name for path in folder.glob("processed_data/*/*") if path.is_dir()}
    return sorted(obs_id for obs_id in found if obs_id.startswith(incomplete))


def steps(incomplete: str) -> list[str]:
    """Names of steps of XMM-Newton; of several with commas between them, the last.

    Parameters
    ----------
    incomplete
        What has been typed.
    """
    from daxa.process import xmm

    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in xmm.__all__ if name.startswith(last)]
