"""``daxa doctor`` and ``daxa sas-shims``: what this installation can do, and SAS's names for the engine."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from daxa._version import __version__
from daxa.cli.output import Json
from daxa.plain import plain_line


class Check(NamedTuple):
    """One line of what ``daxa doctor`` says.

    Attributes
    ----------
    state
        ``ok``; ``note``: something works only in part; ``fault``: nothing can be reduced like this.
    """

    about: str
    state: str
    text: str


def checks() -> Iterator[Check]:
    """Look at the installation and its surroundings; nothing is changed."""
    yield Check("version", "ok", f"daxa {__version__}, Python {platform.python_version()}, {sys.platform}")
    yield from _processes()
    yield from _backends()
    yield from _other_software()
    yield from _folders()
    yield from _calibration()
    yield _machine()


def _processes() -> Iterator[Check]:
    from daxa.archive.update import GROUP

    names = sorted({point.name for point in entry_points(group=GROUP)})
    if names:
        yield Check("missions", "ok", f"{', '.join(names)} can be processed")
    else:
        text = f"the installation names no processes (entry points {GROUP!r}): archives cannot be updated"
        yield Check("missions", "note", text)


def _backends() -> Iterator[Check]:
    from daxa import config
    from daxa.backend.select import select_backend, why_no_sas
    from daxa.exceptions import DAXAError

    try:
        yield Check("back-end", "ok", f"{config.backend()} is configured, {select_backend()} is used")
    except DAXAError as failure:
        yield Check("back-end", "fault", str(failure))
    why = why_no_sas()
    if why:
        yield Check("SAS", "note" if os.environ.get("SAS_DIR") else "ok", f"not used: {why}")
    else:
        yield from _sas()


def _other_software() -> Iterator[Check]:
    """Software of other missions; it is a note where its set-up was begun."""
    from daxa.backend.software import SOFTWARE

    for software in SOFTWARE.values():
        if why := software.why_absent():
            begun = any(os.environ.get(variable) for variable in software.folders)
            text = f"{software.missions} cannot be processed: {why}"
            yield Check(software.title, "note" if begun else "ok", text)
        else:
            version = software.versions()[software.name]
            yield Check(software.title, "ok", f"{version}, for {software.missions}")


def _sas() -> Iterator[Check]:
    """A SAS that can be used: its release, and what it needs around it."""
    from daxa.backend.releases import KNOWN, differences, release_of
    from daxa.backend.select import UNKNOWN, sas_version

    version, folder = sas_version(), os.environ["SAS_DIR"]
    release = release_of(version)
    if release is None and version != UNKNOWN:
        yield Check("SAS", "ok", f"{version}, {folder}")
        return  # the engine under SAS's names needs nothing else
    oldest, newest = (".".join(map(str, end)) for end in KNOWN)
    looked_into = release is not None and KNOWN[0] <= release[:2] <= KNOWN[1]
    text = f"{version}, {folder}"
    if release is None:
        text = f"no release is told; programs are called as those of {newest}, {folder}"
    elif not looked_into:
        text = f"{version}, which was not looked into ({oldest} to {newest} were), {folder}"
    yield Check("SAS", "ok" if looked_into else "note", text)
    for difference in differences(version):
        yield Check("SAS calls", "ok", f"{difference.task}: {difference.said}")
    yield _sas_path()
    yield _sas_ccfpath()
    lcurve = shutil.which("lcurve")
    if lcurve is None:
        yield Check("HEASOFT", "note", "lcurve, which emchain of SAS calls, is not on PATH")
    else:
        yield Check("HEASOFT", "ok", f"lcurve is {lcurve}")


def _sas_path() -> Check:
    value = os.environ.get("SAS_PATH", "")
    lacking = [folder for folder in value.split(os.pathsep) if folder and not os.path.isdir(folder)]
    if not value:
        return Check("SAS_PATH", "note", "is not set: programs of SAS look for their parameters there")
    if lacking:
        return Check("SAS_PATH", "note", f"{value}: {lacking[0]} is not a folder")
    return Check("SAS_PATH", "ok", value)


def _sas_ccfpath() -> Check:
    value = os.environ.get("SAS_CCFPATH", "")
    if value:
        return Check("SAS_CCFPATH", "ok", value)
    from daxa import config

    return Check("SAS_CCFPATH", "ok", f"is not set; programs are given {config.calibration_path()}")


def _folders() -> Iterator[Check]:
    from daxa import config

    yield _writable("archives", Path(config.output_path()))
    yield _writable("cache", config.cache_path())
    yield _writable("temporary files", Path(tempfile.gettempdir()))


def _writable(about: str, folder: Path) -> Check:
    there = folder
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        return Check(about, "fault", f"{folder}: {there} is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        return Check(about, "fault", f"{folder}: {there} cannot be written")
    free = shutil.disk_usage(there).free / 1e9
    return Check(about, "ok" if free > 1 else "note", f"{folder}, {free:.1f} GB free")


def _calibration() -> Iterator[Check]:
    from daxa import config
    from daxa.calibration import store

    for folder in config.calibration_path().split(os.pathsep):
        if not os.path.isdir(folder):
            yield Check("calibration", "note", f"{folder} does not exist")
    found = store.available(config.calibration_path())
    lacking = store.lacking((row["name"] for row in found), ("EMOS1", "EMOS2", "EPN"))
    if lacking:
        text = f"{len(found)} files; the cameras lack {len(lacking)} types, e.g. {lacking[0]}"
        yield Check("calibration", "note", f"{text}; `daxa calibration fetch` brings them")
    else:
        yield Check("calibration", "ok", f"{len(found)} files; every type that the cameras need")


def _machine() -> Check:
    from daxa import config
    from daxa.exceptions import DAXAError

    try:
        jobs = config.num_cores()
    except DAXAError as failure:
        return Check("machine", "fault", str(failure))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return Check("machine", "ok", f"{config.available_cores()} cores, {memory:.1f} GB; {jobs} jobs at once")


def _network() -> Iterator[Check]:
    """What the archives answer to one small question each, and what stands between."""
    from daxa.calibration import store
    from daxa.calibration.mirror import Mirror
    from daxa.mission import reach

    for name, text in reach.between():
        yield Check(name, "note", text)

    def list_mirror(client: object, url: str) -> str:
        mirror = Mirror(url, timeout_s=reach.PATIENCE_S)
        mirror.open()
        return f"lists {len(mirror.files)} calibration files"

    mirrors = {f"ccf_{n}": (url, list_mirror) for n, url in enumerate(store.mirrors(), 1)}
    for reached in reach.ask_all(mirrors):
        text = f"{reached.url}: {reached.text} ({reached.seconds:.1f} s)"
        yield Check(reached.name, "ok" if reached.ok else "fault", text)


def doctor(
    network: Annotated[
        bool,
        typer.Option(
            "--network", help="Only ask every archive one small question, at most for half a minute."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what works here: back-ends, folders, calibration files, the machine; exit status 1 at a fault."""
    found = []
    for check in _network() if network else checks():
        found.append(check)
        if not as_json:
            typer.echo(plain_line(f"{check.state:<6}{check.about:<17}{check.text}"))
    if as_json:
        typer.echo(json.dumps([check._asdict() for check in found], indent=1))
    if any(check.state == "fault" for check in found):
        raise typer.Exit(1)


def _xga(folder: Path, archive: str) -> str:
    """Write a configuration of XGA, and return its folder."""
    from daxa.archive.xga import xga_configuration
    from daxa.cli.archive import open_archive

    text = xga_configuration(Path(open_archive(archive).archive_path), folder / "output")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "xga.cfg").write_text(text, encoding="utf-8")
    return str(folder)


def sas_shims(
    folder: Annotated[Path, typer.Argument(help="Where to; made if it does not exist.")],
    xga: Annotated[
        str | None,
        typer.Option(metavar="ARCHIVE", help="Also a configuration of XGA for this archive, in FOLDER/xga."),
    ] = None,
) -> None:
    """Write programs with SAS's names that run the embedded engine, for scripts and packages such as XGA."""
    from daxa.backend.shims import SETUP, write_shims

    variables = {} if xga is None else {"XGA_CONFIG_DIR": _xga(folder.resolve() / "xga", xga)}
    written = write_shims(folder, variables=variables).resolve()
    number = sum(os.access(p, os.X_OK) and p.is_file() for p in written.iterdir())
    typer.echo(f"{number} programs in {written}; to use them, in a shell:")
    typer.echo(f'. "{written / SETUP}"')
