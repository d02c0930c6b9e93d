"""Commands on the record of an archive: logs, verify, rebuild, provenance, replay, reproduce."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from daxa.cli import complete
from daxa.cli.archive import ArchiveName, archive_name, exists, located, open_archive
from daxa.cli.output import Json
from daxa.cli.places import archives
from daxa.plain import nearest, plain_line, plain_text


def _run_so_far(archive: Any) -> dict[str, list[str]]:
    from daxa.exceptions import NoProcessingError

    try:
        return archive.process_names
    except NoProcessingError:
        return {}


def logs(
    archive: ArchiveName,
    process_name: Annotated[
        str, typer.Argument(metavar="STEP", help="Step, e.g. epchain.", autocompletion=complete.steps)
    ],
    obs_id: Annotated[
        str | None, typer.Option("--obs-id", help="Only this observation.", autocompletion=complete.obs_ids)
    ] = None,
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
        others = nearest(process_name, names) if names else "nothing has been processed yet"
        raise typer.BadParameter(f"STEP: {process_name!r} has not been run; {others}")
    read = opened.get_process_raw_error_logs if errors else opened.get_process_logs
    texts = read(process_name, obs_id=obs_id, inst=inst)
    _check_found(opened, process_name, obs_id, inst, texts)
    if as_json:
        typer.echo(json.dumps(texts, indent=1))
        return
    for idents in texts.values():
        for ident, text in idents.items():
            typer.echo(f"===== {process_name} {ident}\n{plain_text(text)}")


def _check_found(archive: Any, step: str, obs_id: str | None, inst: str | None, texts: Any) -> None:
    """Refuse an observation or instrument that a step has not been run on."""
    if any(texts.values()) or (obs_id is None and inst is None):
        return
    runs = list(archive.ledger.runs(process=step, logs=False))
    known = {
        "--obs-id": (obs_id, sorted({run.obs_id for run in runs})),
        "--inst": (inst, sorted({run.inst for run in runs if run.inst})),
    }
    for option, (given, there) in known.items():
        if given is not None and given not in there:
            has = nearest(given, there) if there else "it is of whole observations"
            raise typer.BadParameter(f"{option}: {step} has not been run on {given}; {has}")


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
        str | None,
        typer.Argument(
            metavar="OBSID",
            help="Print the script of this observation.",
            autocompletion=complete.obs_ids,
        ),
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
