"""``python -m daxa.xmm TASK name=value ...``: run a task with SAS's command-line syntax."""

from __future__ import annotations

import inspect
import os
import sys
import textwrap
from collections.abc import Sequence

from daxa._version import __version__
from daxa.xmm.errors import TaskError
from daxa.xmm.origin import ALLOW, SWITCH
from daxa.xmm.parameters import Parameter, format_value
from daxa.xmm.task import find_task, run_task, task_names

#: Options that every SAS task has: those that set an environment variable, those that only change what is
#: printed (their value is not used), and those without a value.
_ENVIRONMENT = {
    "-a": "SAS_CCF", "--ccf": "SAS_CCF", "-i": "SAS_CCFPATH", "--ccfpath": "SAS_CCFPATH", "-o": "SAS_ODF",
    "--odf": "SAS_ODF", "-f": "SAS_CCFFILES", "--ccffiles": "SAS_CCFFILES",
}  # fmt: skip
_PRINTING = ("-w", "--warning", "-V", "--verbosity", "-t", "--trace")
_NO_CLOBBER = ("-c", "--noclobber")
_HELP = ("-h", "--help", "-p", "--param")
_VERSION = ("-v", "--version")


class _Usage(Exception):
    """The command line cannot be understood."""


def _read(words: Sequence[str]) -> tuple[dict[str, str], dict[str, str], str]:
    """Parameters, environment variables and a request for help or the version."""
    arguments: dict[str, str] = {}
    env: dict[str, str] = {}
    asked = ""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        option, equals, value = word.partition("=")
        if not word.startswith("-"):
            if not equals:
                raise _Usage(f"expected name=value, got {word!r}")
            arguments[option] = value
        elif option in _HELP or option in _VERSION:
            asked = "help" if option in _HELP else "version"
        elif word in _NO_CLOBBER:
            env["SAS_CLOBBER"] = "0"
        elif word == "--allow-synthetic":
            env[SWITCH] = ALLOW
        elif option in _ENVIRONMENT or option in _PRINTING:
            if not equals and not rest:
                raise _Usage(f"option {option} needs a value")
            value = value if equals else rest.pop(0)
            if option in _ENVIRONMENT:
                env[_ENVIRONMENT[option]] = value
        else:
            raise _Usage(f"option {option} is not known")
    return arguments, env, asked


def _form(p: Parameter) -> str:
    """Kind, unit and limits of a parameter in a few words."""
    words = [" or ".join(p.choices) if p.choices else p.kind]
    if p.unit:
        words.append(p.unit)
    if p.minimum is not None:
        words.append(f"from {p.minimum:g}")
    if p.maximum is not None:
        words.append(f"to {p.maximum:g}")
    return ", ".join([*words, "must be given"] if p.required else words)


def _describe(name: str) -> str:
    """A manual page: what the task does, and each parameter with its default and what it is for."""
    spec = find_task(name)
    about = inspect.cleandoc(spec.function.__doc__ or "")
    lines = [f"{name} ({name}-{spec.version}) [daxa-{__version__}]", "", about, "", "Parameters"]
    for p in spec.parameters:
        default = "" if p.required or p.default is None else format_value(p.default)
        lines.append(f"  {p.name}={default}  ({_form(p)})" if not p.required else f"  {p.name}  ({_form(p)})")
        remarks = [p.text, f"no other value works: {p.only}" if p.only else ""]
        remarks.append(f"changes nothing: {p.without_effect}" if p.without_effect else "")
        text = "; ".join(r for r in remarks if r)
        lines += textwrap.wrap(text, 100, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one task; returns the exit status (0 done, 1 the task failed, 2 unusable arguments)."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print("usage: python -m daxa.xmm TASK name=value ...\n\ntasks: " + " ".join(task_names()))
        return 0 if words else 2
    name, *rest = words
    # A task works on one core; starting threads that it does not use takes longer than many a selection.
    for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    try:
        arguments, env, asked = _read(rest)
        if asked == "help":
            print(_describe(name))
        elif asked:
            print(f"{name} ({name}-{find_task(name).version}) [daxa-{__version__}]")
        else:
            run_task(name, arguments, env={**os.environ, **env})
    except _Usage as failure:
        print(f"{name}: {failure}", file=sys.stderr)
        return 2
    except TaskError as failure:
        return 2 if failure.code in ("unknownParameter", "missingParameter", "badParameter") else 1
    except NotImplementedError as failure:
        print(f"** {name}: error (notImplemented), {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
