"""Commands on an archive that is there: status, verify, rebuild, logs, mosaic, sources, report."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from daxa.archive.views import error_text
from daxa.cli.output import Json, print_table
from daxa.cli.select import BANDS_HELP, parse_bands
from daxa.plain import plain_line, plain_text

Cores = Annotated[int | None, typer.Option("--cores", help="Processes to use; 90 % of the cores by default.")]
CalibrationFolder = Annotated[
    Path | None,
    typer.Option("--ccf", help="Folder of calibration files, searched first; the archive remembers it."),
]


def archives() -> str:
    """The folder that archives are looked for in."""
    from daxa import config

    return f"{config.output_path()}archives"


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
        known = sorted(p.parent.name for p in here.glob("[!.]*/.save_info"))
        raise typer.BadParameter(
            f"no archive {archive!r} in {here}; "
            + (f"there are {', '.join(known)}" if known else "there are none (set DAXA_OUTPUT?)")
        )
    return Archive(archive)


ArchiveName = Annotated[str, typer.Argument(help="Name of the archive, or path of its folder.")]


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
    print_table(rows, f"{opened.archive_name}: steps")
    for failure in failures(opened):
        typer.echo(failure_line(failure))


def _run_so_far(archive: Any) -> dict[str, list[str]]:
    from daxa.exceptions import NoProcessingError

    try:
        return archive.process_names
    except NoProcessingError:
        return {}


def verify(archive: ArchiveName, as_json: Json = False) -> None:
    """Compare every file of an archive with its record; exit status 1 if one is missing or altered."""
    from daxa.archive.verify import verify as compare_with_record
    from daxa.backend.publish import checksum

    findings = compare_with_record(open_archive(archive), checksum)
    faults = [f for f in findings if f.fault]
    if as_json:
        typer.echo(json.dumps([asdict(f) for f in findings], indent=1))
    else:
        for finding in findings:
            typer.echo(plain_line(f"{finding.kind}: {finding.path}: {finding.text}"))
        typer.echo(
            f"{archive}: {len(faults)} missing or altered, {len(findings) - len(faults)} other findings"
        )
    if faults:
        raise typer.Exit(1)


def rebuild(archive: ArchiveName) -> None:
    """Make a lost or damaged ledger anew, from its copy and from the products and logs that are there."""
    from daxa.archive import Archive
    from daxa.archive.layout import Layout
    from daxa.archive.lock import hold
    from daxa.archive.rescue import begin_anew
    from daxa.process.rebuild import rebuild as record_products

    archive = located(archive)
    if not exists(archive_name(archive)):
        raise typer.BadParameter(f"no archive {archive!r} in {archives()}")
    layout = Layout(Path(archives()) / archive)
    with hold(layout.lock, f"the archive {archive} is being processed"):
        start = begin_anew(layout)
    count = record_products(Archive(archive))
    how = "is sound and stays" if start == "itself" else f"is made anew from {start}"
    typer.echo(f"{archive}: the ledger {how}; {count} products were found that it knew nothing of")


def logs(
    archive: ArchiveName,
    process_name: Annotated[str, typer.Argument(metavar="STEP", help="Step, e.g. epchain.")],
    obs_id: Annotated[str | None, typer.Option("--obs-id", help="Only this observation.")] = None,
    inst: Annotated[str | None, typer.Option("--inst", help="Only this instrument.")] = None,
    errors: Annotated[
        bool, typer.Option("--errors", help="What was printed as warnings and errors.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print what the tasks of a step printed."""
    opened = open_archive(archive)
    names = sorted({p for processes in _run_so_far(opened).values() for p in processes})
    if process_name not in names:
        raise typer.BadParameter(f"STEP: expected one of {', '.join(names)}, got {process_name!r}")
    read = opened.get_process_raw_error_logs if errors else opened.get_process_logs
    texts = read(process_name, obs_id=obs_id, inst=inst)
    if as_json:
        typer.echo(json.dumps(texts, indent=1))
        return
    for idents in texts.values():
        for ident, text in idents.items():
            typer.echo(f"===== {process_name} {ident}\n{plain_text(text)}")


def mosaic(
    archive: ArchiveName,
    bands: Annotated[str | None, typer.Option("--bands", help=BANDS_HELP)] = None,
    low: Annotated[
        list[float] | None, typer.Option("--low", help="Lower energy of a band [keV]; may be repeated.")
    ] = None,
    high: Annotated[
        list[float] | None, typer.Option("--high", help="Upper energy of a band [keV]; may be repeated.")
    ] = None,
    weighting: Annotated[
        str, typer.Option(help="area: rates as the pn would see them; time: mean rates of the cameras.")
    ] = "area",
    cores: Cores = None,
    ccf: CalibrationFolder = None,
) -> None:
    """Combine the images of cameras and of overlapping observations."""
    from astropy.units import Quantity

    from daxa.process.xmm.mosaics import WEIGHTINGS, generate_mosaics

    if weighting not in WEIGHTINGS:
        raise typer.BadParameter(f"--weighting: expected {' or '.join(WEIGHTINGS)}, got {weighting!r}")
    if len(low or []) != len(high or []):
        raise typer.BadParameter("--low and --high: give as many of one as of the other")
    if bands is not None and low:
        raise typer.BadParameter("--bands, --low and --high: give the one or the others")
    lows, highs = (Quantity(low, "keV"), Quantity(high, "keV")) if low and high else (None, None)
    if bands is not None:
        lows, highs = parse_bands(bands)
    opened = open_archive(archive)
    use_calibration(opened, ccf)
    mosaics = generate_mosaics(opened, lows, highs, weighting=weighting, num_cores=cores)
    for path in mosaics:
        typer.echo(str(path))
    if not mosaics:
        typer.echo(f"{archive}: no mosaic was made", err=True)
        raise typer.Exit(1)


def sources(
    archive: ArchiveName,
    bands: Annotated[
        str | None, typer.Option("--bands", help=f"{BANDS_HELP} By default those of the 4XMM catalogue.")
    ] = None,
    likelihood: Annotated[float, typer.Option(help="Least likelihood of a source, 1 to 50.")] = 10.0,
    cores: Cores = None,
    ccf: CalibrationFolder = None,
) -> None:
    """Find the sources in the images of each observation."""
    from daxa.process.xmm import find_sources

    lows, highs = (None, None) if bands is None else parse_bands(bands)
    opened = open_archive(archive)
    use_calibration(opened, ccf)
    find_sources(opened, lows, highs, likelihood=likelihood, num_cores=cores)
    found = opened.source_regions
    for mission, observations in found.items():
        for obs_id, regions in observations.items():
            typer.echo(f"{obs_id}: {len(regions)} sources, {opened.get_region_file_path(mission, obs_id)}")
    if not any(found.values()):
        typer.echo(f"{archive}: no source list was made", err=True)
        raise typer.Exit(1)


def report(
    archive: ArchiveName,
    output: Annotated[
        Path | None, typer.Option("--output", help="Folder for it; by default report, in the archive.")
    ] = None,
) -> None:
    """Write the HTML report of an archive and print where it is."""
    from daxa.report import build_report

    typer.echo(str(build_report(open_archive(archive), output)))


def provenance(
    file: Annotated[Path, typer.Argument(help="A product, where it is in its archive.")],
    as_json: Json = False,
    prov: Annotated[
        str | None, typer.Option("--prov", help="Print W3C PROV: json (PROV-JSON) or n (PROV-N).")
    ] = None,
) -> None:
    """Follow a product back to raw and calibration files: runs, versions, commands."""
    from daxa.archive.prov import FORMATS, as_prov
    from daxa.archive.provenance import as_dict, as_lines
    from daxa.archive.provenance import provenance as follow

    if prov is not None and (prov not in FORMATS or as_json):
        raise typer.BadParameter(
            f"--prov: expected {' or '.join(FORMATS)}, and not with --json; got {prov!r}"
        )
    origin = follow(file)
    if prov is not None:
        typer.echo(as_prov(origin, prov))
        return
    if as_json:
        typer.echo(json.dumps(as_dict(origin), indent=1))
        return
    for line in as_lines(origin):
        typer.echo(plain_text(line))


def replay(
    file: Annotated[Path, typer.Argument(help="A product, where it is in its archive.")],
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Go on if inputs, calibration or versions are others now.")
    ] = False,
    raw: Annotated[
        Path | None, typer.Option("--raw", help="Folder of the raw files, if elsewhere now.")
    ] = None,
    keep: Annotated[Path | None, typer.Option("--keep", help="Folder for the new files.")] = None,
    as_json: Json = False,
) -> None:
    """Make a product again from its record and compare: exit status 0 equal, 1 not, 2 refused."""
    from daxa.process.replay import ReplayRefusedError
    from daxa.process.replay import replay as make_again

    try:
        found = make_again(file, anyway=anyway, raw=raw, keep=keep)
    except ReplayRefusedError as refused:
        typer.echo(plain_line(f"refused: {refused}"), err=True)
        raise typer.Exit(2) from None
    if as_json:
        typer.echo(json.dumps({**asdict(found), "path": str(file), "folder": keep and str(keep)}, indent=1))
    else:
        for name, verdict in found.outputs.items():
            typer.echo(plain_line(f"{verdict}: {name}"))
        for note in found.notes:
            typer.echo(plain_line(f"note: {note}"))
        for error in found.errors:
            typer.echo(plain_line(f"error: {error}"))
        typer.echo(plain_line(f"{file}: {found.verdict}; run again: {found.by}"))
    if not found.equal:
        raise typer.Exit(1)


def reproduce(
    archive: ArchiveName,
    obs_id: Annotated[
        str | None, typer.Argument(metavar="[OBSID]", help="Print the script of this observation.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Folder for the scripts; by default reproduce, in the archive."),
    ] = None,
) -> None:
    """Write what was done to each observation as a shell script, or print that of one."""
    from daxa.exceptions import DAXAError
    from daxa.process.reproduce import FIELDS, reproduced
    from daxa.process.reproduce import reproduce as script
    from daxa.writing import write_text

    opened = open_archive(archive)
    wanted = [(m, o) for m, o in reproduced(opened.ledger) if obs_id in (None, o)]
    if not wanted:
        what = "no successful run" if obs_id is None else f"no successful run of {obs_id}"
        raise typer.BadParameter(f"{archive}: {what} is recorded")
    if obs_id is not None:
        typer.echo(script(opened.ledger, archive, *wanted[0]), nl=False)
        return
    failed = False
    for mission, observation in wanted:
        path = (output or opened.layout.scripts) / mission / observation / "reproduce.sh"
        try:
            text = script(opened.ledger, archive, mission, observation)
        except DAXAError as failure:
            failed = True
            typer.echo(plain_line(str(failure)), err=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
        typer.echo(str(path))
    if any(o == FIELDS for _, o in wanted):
        typer.echo("that of the mosaics goes after those of the observations, in the same folder", err=True)
    if failed:
        raise typer.Exit(1)
