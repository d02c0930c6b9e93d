"""What people are told when a command cannot go on: one line and an exit status."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from daxa.plain import foreign, plain_line, plain_text

#: Exit statuses: what was rightly asked for failed; the command line, or what it names, is not usable.
FAILED, MISTAKEN, INTERRUPTED = 1, 2, 130
_FAULT = getattr(os, "EX_SOFTWARE", 70)
#: Arguments in Python -> what gives them on the command line.
_OPTIONS = {
    "insts": "--inst",
    "obs_ids": "--obs-id",
    "allowed_obs_ids": "--obs-id",
    "object_name": "NAME",
    "positions": "--position",
    "regions": "--regions",
    "search_distance": "--radius",
    "num_cores": "--cores or DAXA_NUM_CORES",
    "lo_en, hi_en": "--bands",
    "likelihood": "--likelihood",
    "weighting": "--weighting",
    "local": "--local",
    "backend": "--backend or DAXA_BACKEND",
}
#: Set where details are wanted: the texts of libraries below ours, and where an error came from.
VERBOSE = "DAXA_VERBOSE"


class Commands(TyperGroup):
    """A group of commands that tells mistakes in one line and shows the first line of each help whole."""

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> Any:
        """Run the command that the words name, and end the process with its exit status.

        Parameters
        ----------
        args
            The words; those of this process by default.
        prog_name
            Name of the program in messages.
        **extra
            As typer takes them.
        """
        words = list(sys.argv[1:] if args is None else args)
        end = words.index("--") if "--" in words else len(words)
        if "--verbose" in words[:end]:  # wherever it stands
            words.remove("--verbose")
            os.environ[VERBOSE] = "1"
        try:
            status = super().main(words, prog_name or "daxa", **{**extra, "standalone_mode": False})
        except Exception as failure:
            status = told(failure)
        except KeyboardInterrupt:
            status = INTERRUPTED
        if status == INTERRUPTED:
            typer.echo("daxa: interrupted; the same command goes on where it stopped", err=True)
        sys.exit(status or 0)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands under their headings, each with the whole first line of its help.

        Parameters
        ----------
        ctx, formatter
            As typer gives them.
        """
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                heading = getattr(command, "rich_help_panel", None)
                heading = heading if isinstance(heading, str) else "Commands"
                sections.setdefault(heading, []).append((name, command.get_short_help_str(1000)))
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows)


def told(failure: Exception) -> int:
    """Tell a failure in one line; a fault of ours is raised again.

    Parameters
    ----------
    failure
        What ended the command.

    Returns
    -------
    int
        Exit status.
    """
    from daxa.exceptions import DAXADownloadError, DAXAError, NoObsAfterFilterError
    from daxa.xmm.errors import TaskError

    if os.environ.get("DAXA_TRACEBACK"):
        raise failure
    if hasattr(failure, "format_message"):  # of the command line itself
        return _refused(failure)
    if type(failure).__name__ == "Abort":
        return FAILED
    if not isinstance(failure, (DAXAError, TaskError, NotImplementedError, OSError, ValueError)):
        raise failure
    ours = (DAXADownloadError, NoObsAfterFilterError, TaskError, NotImplementedError)
    # Whatever finds that a file is not there: it was named on the command line.
    failed = isinstance(failure, ours) and ": no such file" not in str(failure)
    text = _network(failure) if isinstance(failure, DAXADownloadError) else _words(failure)
    typer.echo(plain_line(f"daxa: {text}"), err=True)
    if os.environ.get(VERBOSE):
        for below in causes(failure):
            typer.echo(plain_line(f"  {type(below).__name__}: {foreign(below, 2000)}"), err=True)
    return FAILED if failed else MISTAKEN


def fault() -> int:
    """Tell a fault of ours, being handled now, with what its repair needs; returns the exit status."""
    traceback.print_exc()
    typer.echo("daxa: this is a fault of DAXA, not yours; please report it with the lines above", err=True)
    return int(_FAULT)


def causes(failure: BaseException) -> Iterator[BaseException]:
    """What an exception came of, the nearest first.

    Parameters
    ----------
    failure
        The exception.
    """
    below = failure.__cause__ or failure.__context__
    while below is not None:
        yield below
        below = below.__cause__ or below.__context__


def _refused(failure: Any) -> int:
    """Tell what is wrong with the command line; without any words it is the help that is shown."""
    ctx = getattr(failure, "ctx", None)
    if type(failure).__name__ == "NoArgsIsHelpError":
        failure.show()
    else:
        where = ctx.command_path.replace("python -m daxa", "daxa") if ctx is not None else "daxa"
        bare = isinstance(failure, typer.BadParameter) and failure.param is None
        text = with_options(failure.message) if bare else failure.format_message()
        typer.echo(plain_line(f"{where}: {text}"), err=True)
    return int(failure.exit_code)


def _words(failure: Exception) -> str:
    """The message of an exception; what the system says begins with the file."""
    if isinstance(failure, OSError) and failure.strerror:
        name = failure.filename2 or failure.filename
        return f"{name}: {failure.strerror}" if name else failure.strerror
    return with_options(str(failure)) or type(failure).__name__


def with_options(text: str) -> str:
    """A message that begins with the name of an argument, with that of the option that gives it.

    Parameters
    ----------
    text
        The message.

    Examples
    --------
    >>> with_options("insts: XX given")
    '--inst: XX given'
    """
    argument, colon, rest = text.partition(":")
    return f"{_OPTIONS[argument]}{colon}{rest}" if argument in _OPTIONS else text


def _network(failure: Exception) -> str:
    """What to do without network, in the words of the command line; other failures as they are."""
    from daxa.fetch.reasons import unreached

    text = " ".join(str(failure).split())
    hosts = unreached(text)
    if not hosts or os.environ.get(VERBOSE):
        return with_options(text.replace("with local=", "with --local"))
    instead = (
        "--ccf FOLDER (calibration files on disk)"
        if "calibration" in text
        else "--local FOLDER (raw files on disk), or simulate some (daxa simulate)"
    )
    return f"cannot reach {' or '.join(hosts[:3])}; without network use {instead}; --verbose says more"


def plain_warning(message: Warning | str, *where: Any, **line: Any) -> str:
    """A warning as one line for people, without the line of source that it came from.

    Parameters
    ----------
    message
        The warning.
    *where, **line
        Its class and place, which are not told.
    """
    return f"warning: {plain_text(str(message))}\n"
