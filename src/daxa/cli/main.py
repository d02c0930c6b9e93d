"""The ``daxa`` command."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated, Any

import typer

from daxa._version import __version__
from daxa.cli.calibration import calibration
from daxa.cli.compare import compare, validate
from daxa.cli.demo import demo, simulate
from daxa.cli.doctor import doctor, sas_shims
from daxa.cli.find import download, find
from daxa.cli.images import images
from daxa.cli.lightcurves import lightcurves
from daxa.cli.mistakes import Commands, fault, plain_warning, told
from daxa.cli.odf import odf
from daxa.cli.overview import info, list_archives, status
from daxa.cli.process import process
from daxa.cli.products import mosaic, report, sources
from daxa.cli.record import logs, provenance, rebuild, replay, reproduce, verify
from daxa.cli.spectra import spectra
from daxa.cli.steps import list_steps
from daxa.cli.watch import watch

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Find, download and reduce X-ray observations into organised, science-ready archives.",
)
#: Heading of the help -> its commands.
_COMMANDS = {
    "From raw files to products": (demo, find, download, process, list_steps),
    "Archives": (list_archives, info, status, watch, report, logs),
    "More products of an archive": (images, mosaic, sources, spectra, lightcurves),
    "The record": (provenance, reproduce, replay, verify, rebuild),
    "Raw and calibration files": (calibration, odf, simulate),
    "Checks": (doctor, compare, validate, sas_shims),
}
#: Commands whose name is not that of their function.
_NAMES: dict[Any, str] = {list_archives: "list", list_steps: "steps"}
for heading, commands in _COMMANDS.items():
    for command in commands:
        if isinstance(command, typer.Typer):
            app.add_typer(command, cls=Commands, rich_help_panel=heading)
        else:
            app.command(_NAMES.get(command), rich_help_panel=heading)(command)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"daxa {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="With errors, also print what libraries say; of any command.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command; a mistake gives one line and exit status 1 or 2, a fault of DAXA 70."""
    warnings.formatwarning = plain_warning
    try:
        try:
            app()
        except Exception as failure:
            sys.exit(told(failure))
    except Exception:
        # Nobody's mistake but ours: whoever repairs it needs to know where it happened.
        sys.exit(fault())


if __name__ == "__main__":
    main()
