"""What commands on an archive share: how it is named and opened, its calibration files, what failed in it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from daxa.archive.views import error_text
from daxa.cli import complete
from daxa.cli.places import archives, known_archives
from daxa.plain import nearest, plain_line

Cores = Annotated[
    int | None,
    typer.Option("--cores", metavar="N", help="Jobs at once; 90 % of the cores, rounded up, by default."),
]
CalibrationFolder = Annotated[
    Path | None,
    typer.Option(
        "--ccf",
        metavar="FOLDER",
        help="Folder of calibration files, searched first; the archive remembers it.",
    ),
]


def archive_name(name: str) -> str:
    """The name of an archive, if it can be one; else the command line is refused."""
    from daxa.archive.creation import check_name

    try:
        return check_name(name)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong).replace("archive_name:", "--archive:")) from None


def exists(name: str) -> bool:
    """Whether an archive stands; one whose creation was interrupted is to be completed.

    One whose replacement was interrupted stands: opening it takes it back.
    """
    from daxa.archive.creation import State, state
    from daxa.archive.layout import Layout

    layout = Layout(Path(archives()) / name)
    try:
        condition = state(layout)
    except FileNotFoundError as wrong:
        raise typer.BadParameter(str(wrong)) from None
    return condition in (State.WHOLE, State.UNTOLD) or layout.aside.is_dir()


def use_calibration(archive: Any, ccf: Path | None) -> None:
    """Search a folder of calibration files first, now and when the archive is processed again."""
    if ccf is None:
        return
    if not ccf.is_dir():
        raise typer.BadParameter(f"--ccf: {ccf} is not a folder")
    folder = str(ccf.resolve())
    os.environ["DAXA_CCFPATH"] = os.pathsep.join(filter(None, [folder, os.environ.get("DAXA_CCFPATH")]))
    if archive is not None:
        known = [f for f in archive.calibration_folders if f != folder]
        archive.calibration_folders = [folder, *known]


#: Columns of a table of products that are left out first where there is little room.
OF_PRODUCTS = ("files", "exposures", "raw events")


@contextmanager
def failures_told_later() -> Iterator[None]:
    """Keep the warning that jobs have failed back, where each failure is told at the end anyway."""
    from daxa.process.tell import FailuresWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FailuresWarning)
        yield


def failure_line(failure: dict[str, str]) -> str:
    """A failure in one line."""
    return plain_line(f"failed: {failure['process']} {failure['ident']}: {failure['error']}")


def failures(archive: Any) -> list[dict[str, str]]:
    """What failed, and how: the runs, and what was entered by hand."""
    runs = [
        (run.mission, run.process, run.ident, error_text(run.errors[0]) if run.errors else "")
        for run in archive.ledger.runs(status="failed", logs=False)
    ]
    runs += [(*entry[:3], "") for entry in archive.ledger.entries("process_success") if entry[3] is False]
    return [
        {"mission": mission, "process": process, "ident": ident, "error": error or "see the log"}
        for mission, process, ident, error in runs
    ]


def located(archive: str) -> str:
    """Name of an archive that is given by its name or its path.

    A path sets the folder of output for this command, as ``DAXA_OUTPUT`` does.

    Parameters
    ----------
    archive
        As on the command line.
    """
    is_path = any(sign in archive for sign in (os.sep, os.altsep) if sign) or archive in (".", "..", "~")
    given = os.path.expanduser(archive)
    # These take names that are none, which other paths raise errors of.
    is_archive = os.path.isdir(os.path.join(given, ".save_info"))
    if not is_path and (os.path.isdir(os.path.join(archives(), archive)) or not is_archive):
        return archive
    folder = Path(os.path.realpath(given))
    if not is_archive:
        raise typer.BadParameter(f"{archive} is no archive: there is no folder {folder / '.save_info'}")
    if folder.parent.name != "archives":
        raise typer.BadParameter(
            f"{archive}: the folder of an archive lies in one named 'archives'; it is in {folder.parent}"
        )
    os.environ["DAXA_OUTPUT"] = str(folder.parent.parent)
    return folder.name


def open_archive(archive: str) -> Any:
    """The archive of a name or path; else the command line is refused.

    Parameters
    ----------
    archive
        As on the command line.
    """
    from daxa.archive import Archive

    archive = located(archive)
    here = Path(archives())
    if not exists(archive_name(archive)):
        if (here / archive).is_dir():
            raise typer.BadParameter(
                f"the creation of the archive {archive!r} was interrupted; the same command takes it up again"
            )
        raise typer.BadParameter(no_archive(archive))
    return Archive(archive)


def no_archive(name: str) -> str:
    """What to say of an archive that is not there: where it was looked for, and which there are.

    Parameters
    ----------
    name
        Its name.
    """
    known = known_archives()
    others = nearest(name, known) if known else "there are none (set DAXA_OUTPUT?)"
    return f"no archive {name!r} in {Path(archives())}; {others}"


ArchiveName = Annotated[
    str,
    typer.Argument(
        metavar="ARCHIVE",
        help="Name of the archive, or path of its folder.",
        autocompletion=complete.archive_names,
    ),
]
