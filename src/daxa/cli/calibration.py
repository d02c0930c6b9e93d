"""``daxa calibration``: the calibration files at hand, what they hold, and fetching more."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from daxa.cli.output import Json, print_table, word
from daxa.xmm.formats.instruments import EPIC, INSTRUMENTS, code_of

calibration = typer.Typer(
    name="calibration", no_args_is_help=True, help="Calibration files of the embedded engine."
)
CameraOption = Annotated[
    list[str] | None,
    typer.Option(
        "--inst", help="Instrument (M1, M2, PN, R1, R2); may be repeated; the three cameras by default."
    ),
]


def _instruments(inst: list[str] | None) -> list[str]:
    names = []
    for name in inst or EPIC:
        code = code_of(name)
        if code is None:
            raise typer.BadParameter(f"--inst: expected M1, M2, PN, R1 or R2, got {name!r}")
        names.append(INSTRUMENTS[code])
    return names


@calibration.command("list")
def calibration_list(
    inst: CameraOption = None,
    folder: Annotated[
        list[Path] | None, typer.Option("--folder", help="Look here instead; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the calibration files at hand, and the types that instruments lack."""
    from daxa import config
    from daxa.calibration import store

    path = config.calibration_path() if folder is None else os.pathsep.join(map(str, folder))
    rows = store.available(path)
    lacking = store.lacking((row["name"] for row in rows), _instruments(inst))
    if as_json:
        typer.echo(json.dumps({"files": rows, "lacking": lacking}, indent=1))
        return
    if rows:
        print_table(rows, "calibration files")
        typer.echo(f"{len(rows)} files, {sum(row['size'] for row in rows) / 1e6:.1f} MB")
    else:
        typer.echo(f"no calibration files in {path}")
    names = ", ".join(_instruments(inst))
    typer.echo(
        f"{names}: lacking {', '.join(lacking)}; 'daxa calibration fetch' brings them"
        if lacking
        else f"{names}: every type is there"
    )


@calibration.command("show")
def calibration_show(
    file: Annotated[str, typer.Argument(help="A calibration file, or the name of one in the search path.")],
    as_json: Json = False,
) -> None:
    """Describe one calibration file: validity, tables, columns, and whether its layout is understood."""
    from daxa import config
    from daxa.calibration import store

    what = store.describe(store.find(file, config.calibration_path()))
    if as_json:
        typer.echo(json.dumps(what, indent=1))
        return
    tables = what.pop("extensions")
    absent = what.pop("missing extensions")
    for key, value in what.items():
        typer.echo(f"{key:13s} {'open end' if value is None else word(value)}")
    if absent:
        typer.echo(f"missing       {', '.join(absent)}")
    for table in tables:
        used = f"read by the engine, {table['recognised']}" if table["read"] else "not read"
        size = "" if table["rows"] is None else f"{table['rows']} rows, "
        typer.echo(f"\n[{table['extension']}] {size}{used}")
        if table["detail"]:
            typer.echo(f"  {table['detail']}")
        for column in table["columns"]:
            typer.echo(f"  {column['name']:18s} {column['format']:>6s}  {column['unit']}".rstrip())


@calibration.command("inspect")
def calibration_inspect(
    path: Annotated[Path, typer.Argument(help="A calibration file, or a folder of them.")],
    to: Annotated[
        Path | None,
        typer.Option("--report", help="Write names, shapes, units and first values here, for a bug report."),
    ] = None,
) -> None:
    """Tell what the engine would take from calibration files, and how it recognises each table."""
    from daxa.calibration.inspect import files_of, inspect, report
    from daxa.xmm.errors import DamagedConstituent

    counts: dict[str, int] = {}
    reports = []
    for file in files_of(path):
        try:
            findings = inspect(file)
            if to is not None:
                reports.append(report(file, findings))
        except DamagedConstituent as error:
            if not path.is_dir():
                raise
            typer.echo(f"{file.name}\n  not read: {error.message}")
            reports.append(f"{file.name} not read: {error.message}\n")
            counts["no constituent"] = counts.get("no constituent", 0) + 1
            continue
        typer.echo(file.name)
        for finding in findings:
            counts[finding.how] = counts.get(finding.how, 0) + 1
            typer.echo(f"  {finding.extension:26s} {finding.how:11s} {finding.detail}".rstrip())
    typer.echo(", ".join(f"{number} {how}" for how, number in counts.items()))
    if to is not None:
        to.write_text("\n".join(reports), encoding="utf-8")
        typer.echo(f"report in {to}")


@calibration.command("fetch")
def calibration_fetch(
    inst: CameraOption = None,
    date: Annotated[
        list[str] | None,
        typer.Option("--date", help="Date of an observation (ISO); may be repeated; any date by default."),
    ] = None,
    mirror: Annotated[
        list[str] | None, typer.Option("--mirror", help="Address of a served folder; tried in order.")
    ] = None,
    folder: Annotated[Path | None, typer.Option("--folder", help="Store, instead of the user's.")] = None,
    threads: Annotated[int, typer.Option(help="Files fetched at once.", min=1, max=16)] = 4,
    offline: Annotated[
        bool, typer.Option("--offline", help="Use no network; only tell what is at hand.")
    ] = False,
    responses: Annotated[
        bool,
        typer.Option("--responses", help="The redistribution matrices that ESA publishes, for these dates."),
    ] = False,
    mode: Annotated[
        list[str] | None,
        typer.Option("--mode", help="With --responses: ff, ef, lw, sw, ti, bu, im or tu; may be repeated."),
    ] = None,
) -> None:
    """Fetch the calibration files that instruments need and that are not there yet."""
    from daxa.calibration import store

    target = folder or store.store_path()
    instruments = _instruments(inst)
    if responses:
        _fetch_responses([i for i in instruments if i.startswith("E")], date, mode, mirror, target, threads)
        return
    with _Transfers() as transfers:
        try:
            paths = store.fetch(
                instruments, date or None, mirror=mirror or None, folder=target, threads=threads,
                offline=offline, progress=transfers.advance,
            )  # fmt: skip
        except ValueError as wrong:
            raise typer.BadParameter(f"--date: {wrong}") from None
    new = {path.name for path in paths} & set(transfers.received)
    size = sum(transfers.received[name] for name in new)
    typer.echo(
        f"{len(paths)} calibration files for {', '.join(instruments)} in {target}: "
        + (f"{len(new)} fetched ({size / 1e6:.1f} MB), " if not offline else "")
        + f"{len(paths) - len(new)} {'at hand' if offline else 'were there'}"
    )


def _fetch_responses(
    instruments: list[str],
    dates: list[str] | None,
    modes: list[str] | None,
    mirror: list[str] | None,
    target: Path,
    threads: int,
) -> None:
    from daxa.calibration import responses

    if not dates:
        raise typer.BadParameter("--responses: give the --date of each observation: there are many matrices")
    with _Transfers() as transfers:
        try:
            paths = responses.fetch(
                instruments, dates, modes=modes or responses.USUAL[0], mirror=mirror or None,
                folder=target / "responses", threads=threads, progress=transfers.advance,
            )  # fmt: skip
        except ValueError as wrong:
            raise typer.BadParameter(f"--date: {wrong}") from None
    new = {path.name for path in paths} & set(transfers.received)
    typer.echo(
        f"{len(paths)} matrices for {', '.join(instruments)} in {target / 'responses'}: {len(new)} fetched"
    )


class _Transfers:
    """What has come of each file; a bar on a terminal, else a line for each file."""

    def __init__(self) -> None:
        self.received: dict[str, int] = {}
        self._bars: dict[str, Any] = {}
        self._shown: Any = None

    def __enter__(self) -> _Transfers:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

            columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
            self._shown = Progress(*columns, console=Console(stderr=True), transient=True)
            self._shown.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown is not None:
            self._shown.stop()

    def advance(self, name: str, done: int, total: int | None) -> None:
        """One more block of a file came; called by several threads."""
        self.received[name] = done
        if self._shown is not None:
            if name not in self._bars:
                self._bars[name] = self._shown.add_task(name, total=total)
            self._shown.update(self._bars[name], completed=done, visible=done != total)
        elif done == total:
            typer.echo(f"{name}  {done:,} bytes", err=True)


def fetch_calibration(mission: Any) -> None:
    """Fetch what the embedded engine needs for these observations and has no file of."""
    from daxa import config
    from daxa.backend.select import select_backend
    from daxa.calibration import store

    if select_backend() != "embedded":
        return
    cameras = [INSTRUMENTS[i] for i in mission.chosen_instruments if i in ("M1", "M2", "PN")]
    if not store.lacking((row["name"] for row in store.available()), cameras):
        return
    for folder in config.absent_calibration():
        typer.echo(
            f"warning: there is no folder {folder} of calibration files (DAXA_CCFPATH); simulated data need "
            "those that were simulated with them",
            err=True,
        )
    dates = [start.strftime("%Y-%m-%dT%H:%M:%S") for start in mission.filtered_obs_info["start"]]
    typer.echo(f"fetching calibration files for {', '.join(cameras)} ...", err=True)
    paths = store.fetch(cameras, dates)
    typer.echo(f"{len(paths)} calibration files in {store.store_path()}", err=True)
