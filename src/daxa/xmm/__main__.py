"""``python -m daxa.xmm TASK name=value ...``: run a task with SAS's command-line syntax.

Source: manuals of param (``name=value`` and ``--name=value``) and taskmain (options).
"""

from __future__ import annotations

import functools
import inspect
import io
import os
import re
import sys
import textwrap
import warnings
from collections.abc import Iterable, Sequence

from daxa._version import __version__
from daxa.xmm.errors import TaskError
from daxa.xmm.origin import ALLOW, SWITCH
from daxa.xmm.parameters import Parameter
from daxa.xmm.task import find_task, run_task, task_names

#: Options that every SAS task has: those that set an environment variable, those that only change what is
#: printed (their value is not used), and those without a value.
_ENVIRONMENT = {
    "-a": "SAS_CCF", "--ccf": "SAS_CCF", "-i": "SAS_CCFPATH", "--ccfpath": "SAS_CCFPATH", "-o": "SAS_ODF",
    "--odf": "SAS_ODF", "-f": "SAS_CCFFILES", "--ccffiles": "SAS_CCFFILES",
}  # fmt: skip
_PRINTING = ("-w", "--warning", "-V", "--verbosity")
_NO_CLOBBER = ("-c", "--noclobber")
_HELP = ("-h", "--help", "-p", "--param", "-m", "--manpage")
_TRACE = ("-t", "--trace")
_DIALOG = ("-d", "--dialog")
_VERSION = ("-v", "--version")
_WIDTH = 92
_OPTIONS = """\
  -o, --odf=FOLDER       raw files (SAS_ODF)
  -a, --ccf=FILE         index of calibration files (SAS_CCF)
  -i, --ccfpath=FOLDERS  folders of calibration files (SAS_CCFPATH)
  -f, --ccffiles=FILES   calibration files that win over the index (SAS_CCFFILES)
  -c, --noclobber        files that exist are not replaced
  --allow-synthetic      real and simulated files may be used together
  -h, --help             this page
  -v, --version          the version"""


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
        if re.fullmatch(r"-[Vw]\d+", word):  # the value may follow without a blank
            continue
        if not word.startswith("-"):
            if not equals:
                raise _Usage(f"expected name=value, got {word!r}")
            arguments[option] = value
        elif option in _HELP or option in _VERSION:
            asked = "help" if option in _HELP else "version"
        elif word in _NO_CLOBBER:
            env["SAS_CLOBBER"] = "0"
        elif word in _TRACE:
            continue
        elif word in _DIALOG:
            raise _Usage(f"option {word}: there is no dialogue here; -h lists the parameters")
        elif word == "--allow-synthetic":
            env[SWITCH] = ALLOW
        elif option in _ENVIRONMENT or option in _PRINTING:
            if not equals and not rest:
                raise _Usage(f"option {option} needs a value")
            value = value if equals else rest.pop(0)
            if option in _ENVIRONMENT:
                env[_ENVIRONMENT[option]] = value
        elif equals and option.startswith("--"):
            # SAS takes parameters in both forms.
            arguments[option.removeprefix("--")] = value
        else:
            hint = (
                f"; a parameter is given as {option.lstrip('-')}=value"
                if equals or option[:2] == "--"
                else ""
            )
            raise _Usage(f"option {option} is not known{hint}")
    return arguments, env, asked


def _wrapped(text: str, depth: int) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=" " * depth, subsequent_indent=" " * depth)


def _listed(parameters: Iterable[Parameter]) -> list[str]:
    """Each parameter with its default and what may be given, and below it what it is for."""
    lines = []
    for p in parameters:
        about = [] if p.kind == "bool" else [p.form]
        about += ["must be given"] if p.required else []
        form = f"({'; '.join(about)})" if about else ""
        first = f"  {p.usage}  {form}".rstrip()
        lines += [first] if len(first) <= _WIDTH else [f"  {p.usage}", *_wrapped(form, 6)]
        lines += _wrapped(p.text, 6)
    return lines


def _grouped(parameters: Sequence[Parameter], reasons: Sequence[str]) -> list[str]:
    """Parameters in one line each, those with the same reason together, below it."""
    lines: list[str] = []
    for reason in dict.fromkeys(reasons):
        lines += _wrapped(f"{reason}:", 2)
        for p, its_reason in zip(parameters, reasons, strict=True):
            if its_reason == reason:
                lines += textwrap.wrap(
                    f"{p.usage}  {p.text}", _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 10
                )
    return lines


def _describe(name: str) -> str:
    """A manual page: what the task does, and each parameter with its default and what it is for."""
    spec = find_task(name)
    about = inspect.cleandoc(spec.function.__doc__ or "").replace("``", "")
    title, _, details = about.partition("\n")
    everything = (*spec.parameters, *spec.of_steps)
    fixed = [p for p in everything if p.only]
    idle = [p for p in everything if p.without_effect]
    working = [p for p in spec.parameters if not (p.only or p.without_effect)]
    of_steps = [p for p in spec.of_steps if not (p.only or p.without_effect)]
    required = "".join(f" {p.usage}" for p in working if p.required)
    parts = {
        "NAME": _wrapped(f"{name} - {title[:1].lower()}{title[1:].rstrip('.')}", 2),
        "USAGE": [f"  python -m daxa.xmm {name}{required} [name=value ...] [options]"],
        "DESCRIPTION": [f"  {line}".rstrip() for line in details.strip().splitlines()],
        "PARAMETERS": _listed(working),
        "PARAMETERS OF STEPS": _listed(of_steps),
        "PARAMETERS WITH ONE VALUE (another is refused)": _grouped(fixed, [p.only for p in fixed]),
        "PARAMETERS WITHOUT EFFECT": _grouped(idle, [p.without_effect for p in idle]),
        "OPTIONS": _OPTIONS.splitlines(),
    }
    blocks = ["\n".join([head, *lines]) for head, lines in parts.items() if lines]
    return "\n\n".join([*blocks, f"{name}-{spec.version}, daxa-{__version__}"])


def _tasks() -> str:
    """The tasks, with the first line of what each does."""
    lines = [
        "usage: python -m daxa.xmm TASK name=value ...",
        "       python -m daxa.xmm TASK --help",
        "",
        "tasks:",
    ]
    for name in task_names():
        about = (inspect.getdoc(find_task(name).function) or "").replace("``", "")
        lines.append(f"  {name:<13} {about.partition(chr(10))[0]}")
    return "\n".join(lines)


def _tell_warning(name: str, message: Warning | str, category: type[Warning], *_: object) -> None:
    """A warning of Python in SAS's form: programs that run tasks take any other line for an error."""
    print(f"** {name}: warning ({category.__name__}), {' '.join(str(message).split())}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one task; returns the exit status (0 done, 1 the task failed, 2 unusable arguments).

    Parameters
    ----------
    argv
        The words of the command line behind ``python -m daxa.xmm``; those of this process by default.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(_tasks())
        return 0 if words else 2
    name, *rest = words
    for stream in (sys.stdout, sys.stderr):
        # Names of files may hold what the terminal's encoding does not.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
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
            with warnings.catch_warnings():
                warnings.showwarning = functools.partial(_tell_warning, name)
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
    try:
        sys.exit(main())
    except BrokenPipeError:  # the reader of a long page has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
