"""What a task is: SAS's name, SAS's parameters, SAS's messages around a Python function.

A task is declared beside its adapter::

    @task(
        "gtibuild",
        "1.0",
        [Parameter("file", "string", required=True), Parameter("table", "dataset", "gti.ds")],
    )
    def gtibuild(ctx: TaskContext, p: Parameters) -> None:
        "Build a good-time file from a text file."

Adapters parse nothing themselves: ``p.table`` is a value of the declared kind. They call
algorithms (pure functions on arrays) and write files with :meth:`TaskContext.output`.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import re
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TextIO

from daxa._version import __version__
from daxa.plain import nearest
from daxa.trust import TRUST_CARD, TRUST_KEYWORD
from daxa.xmm import origin
from daxa.xmm.errors import TaskError
from daxa.xmm.fits.header import plain_text
from daxa.xmm.notes import RUNNING, add_fallbacks
from daxa.xmm.parameters import Parameter, Parameters, format_value, parameters_of
from daxa.xmm.sas_names import SAS_TASKS

TaskFunction = Callable[["TaskContext", Parameters], None]


@dataclass(frozen=True)
class TaskSpec:
    """A declared task.

    ``of_steps`` are parameters that steps of a chain take, named ``step:parameter``; they have a value only
    if they are given.
    """

    name: str
    version: str
    parameters: tuple[Parameter, ...]
    function: TaskFunction
    of_steps: tuple[Parameter, ...] = ()

    def parse(self, arguments: Mapping[str, Any]) -> Parameters:
        """Check and convert arguments.

        Unknown names, missing required ones and values of the wrong kind give a :class:`TaskError`. A
        file given for ``foo`` switches ``withfoo`` on, as SAS does.

        Parameters
        ----------
        arguments
            Values by name, as text or Python values.

        Returns
        -------
        Parameters
            A value for every parameter, those not given at their defaults.

        Raises
        ------
        TaskError
            ``unknownParameter``, ``missingParameter`` or ``badParameter``.
        NotImplementedError
            The value is not the only one that the engine can work with.
        """
        known = {p.name: p for p in (*self.parameters, *self.of_steps)}
        unknown = [a for a in arguments if a not in known]
        if unknown:
            raise TaskError(
                "unknownParameter", f"{self.name}: unknown parameter {unknown[0]!r}; {self._hint(unknown[0])}"
            )
        values = {p.name: p.parse(self.name, p.default) for p in self.parameters}
        for name, value in arguments.items():
            values[name] = known[name].parse(self.name, value)
            switch = f"with{name}"
            if switch in known and switch not in arguments:
                values[switch] = True
        for name, value in values.items():
            if known[name].required and value in (None, ""):
                raise TaskError("missingParameter", f"{self.name}: parameter {name} must be given")
            known[name].accept(self.name, value)
        return Parameters(values, frozenset(arguments))

    def _hint(self, name: str) -> str:
        """What to say of an unknown parameter: the nearest of the task, or of the step that is named."""
        of_steps = [p.name for p in self.of_steps]
        if ":" in name and of_steps:
            steps = list(dict.fromkeys(n.partition(":")[0] for n in of_steps))
            step = name.partition(":")[0]
            return nearest(
                name, [n for n in of_steps if n.startswith(f"{step}:")] or [f"{s}:..." for s in steps]
            )
        ours = [n for n in of_steps if n.endswith(f":{name}")]
        return f"did you mean {ours[0]!r}?" if ours else nearest(name, [p.name for p in self.parameters])


_REGISTRY: dict[str, TaskSpec] = {}
_ROOM = Path(__file__).with_name("tasks")


def task(
    name: str, version: str, parameters: Sequence[Parameter], *, steps: Mapping[str, type] | None = None
) -> Callable[[TaskFunction], TaskFunction]:
    """Declare a task.

    Parameters
    ----------
    name
        SAS's name, also that of the module in ``daxa.xmm.tasks``.
    version
        Version of SAS's task whose interface this one has.
    parameters
        Its parameters in the order of SAS.
    steps
        Options classes of the steps of a chain, by the step's name; given as ``step:name=value``.
    """
    of_steps = [
        replace(p, name=f"{step}:{p.name}") for step, cls in (steps or {}).items() for p in parameters_of(cls)
    ]

    def register(function: TaskFunction) -> TaskFunction:
        _REGISTRY[name] = TaskSpec(name, version, tuple(parameters), function, tuple(of_steps))
        return function

    return register


@functools.cache
def task_names() -> tuple[str, ...]:
    """Names of all tasks of the engine: the files of ``daxa.xmm.tasks`` but those that tasks share."""
    return tuple(sorted(p.stem for p in _ROOM.glob("*.py") if not p.stem.startswith(("_", "support"))))


def module_of(name: str) -> str:
    """Module that declares a task; imported only when the task is run.

    Parameters
    ----------
    name
        Name of the task.

    Examples
    --------
    >>> module_of("gtibuild")
    'daxa.xmm.tasks.gtibuild'
    """
    return f"daxa.xmm.tasks.{name}"


def find_task(name: str) -> TaskSpec:
    """The task of that name.

    Parameters
    ----------
    name
        Name of the task.

    Raises
    ------
    NotImplementedError
        The engine has no such task.

    Examples
    --------
    >>> find_task("gtibuild").parse({"file": "quiet.txt"}).table
    'gti.ds'
    """
    # One of another room is known once its module has been imported.
    if name not in _REGISTRY:
        if name in SAS_TASKS and name not in task_names():
            raise NotImplementedError(f"{name} is a task of SAS that the embedded engine lacks: it needs SAS")
        if name not in task_names():
            raise NotImplementedError(
                f"the embedded engine has no task {name!r}; {nearest(name, list(task_names()))}"
            )
        importlib.import_module(module_of(name))
    return _REGISTRY[name]


@dataclass
class TaskContext:
    """What a running task may use of the world: a folder, an environment and a place for messages.

    Attributes
    ----------
    name
        Task name; nested tasks are ``parent::child``.
    cwd
        Folder that relative paths refer to.
    env
        Environment variables (``SAS_CCF``, ``SAS_CCFPATH``, ``SAS_ODF``).
    """

    name: str
    cwd: Path
    env: Mapping[str, str]
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    command: str = ""
    warnings: Counter[str] = field(default_factory=Counter)
    max_repeats: int = 10
    #: What :func:`warn_once` has said, shared with the tasks inside this one.
    told: set[str] = field(default_factory=set)
    #: What stood in for parts that calibration files lack, in order; shared likewise.
    fallbacks: dict[str, None] = field(default_factory=dict)
    #: Real and made-up files seen, shared likewise.
    origins: origin.Origins = field(default_factory=origin.Origins)

    def path(self, name: str | os.PathLike[str]) -> Path:
        """A path given by the user, relative to the task's folder.

        Parameters
        ----------
        name
            The path; ``~`` is the user's folder.
        """
        return self.cwd / Path(name).expanduser()

    def info(self, message: str) -> None:
        """Print a line of the log.

        Parameters
        ----------
        message
            The line without the task's name.
        """
        print(f"{self.name}:- {message}", file=self.out)

    def warn(self, code: str, message: str) -> None:
        """Print a warning; after ``max_repeats`` of one code the rest are only counted.

        Parameters
        ----------
        code
            Code of the warning, SAS's where it has one.
        message
            What is wrong, and what is done about it.
        """
        self.warnings[code] += 1
        if self.warnings[code] <= self.max_repeats:
            print(f"** {self.name}: warning ({code}), {_in_one_line(message)}", file=self.err)

    @contextlib.contextmanager
    def output(self, name: str | os.PathLike[str]) -> Iterator[Path]:
        """Give a temporary path to write to, renamed to ``name`` when the block ends without an error.

        Parameters
        ----------
        name
            The file to be made, relative to the task's folder. Of ``file:table`` only the file counts: the
            tables of a product have names of their own.

        Yields
        ------
        Path
            A path in the same folder.

        Raises
        ------
        TaskError
            ``noClobber``: there is such a file, and SAS_CLOBBER=0 forbids to replace it; ``noFolder``:
            its folder is not there; ``isFolder``: it is a folder itself; ``cannotWrite``: the system says
            why.
        """
        final = self.path(self._file_to_write(os.fspath(name)))
        if final.is_dir():
            raise TaskError("isFolder", f"{final} is a folder; the name of a file to write is expected")
        if not final.parent.is_dir():
            raise TaskError("noFolder", f"{final}: there is no folder {final.parent} to write to")
        if self.env.get("SAS_CLOBBER") == "0" and final.exists():
            raise TaskError("noClobber", f"{final} exists, and SAS_CLOBBER=0 forbids to replace it")
        temporary = final.with_name(f".{final.name}.{os.getpid()}.part")
        try:
            yield temporary
            os.replace(temporary, final)
        except OSError as error:
            if error.filename is None or Path(error.filename) != temporary:
                raise
            raise TaskError("cannotWrite", f"{final}: {error.strerror}") from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _file_to_write(self, name: str) -> str:
        """The file of a table specifier; a name that has a dot behind the colon is that of a file."""
        specifier = re.fullmatch(r"(.+):([A-Za-z_]\w*)", name)
        if specifier is None:
            return name
        self.warn("ignoredTable", f"{name}: {specifier[1]} is written; its tables have names of their own")
        return specifier[1]

    def call(self, name: str, /, **arguments: Any) -> None:
        """Run another task inside this one, in the same folder and environment.

        Files of that folder are told by their names: the folder itself does not concern them.

        Parameters
        ----------
        name
            Name of the task.
        arguments
            Its parameters.

        Raises
        ------
        TaskError
            The task failed.
        """
        plain = {k: self._inside(v) if isinstance(v, str) else v for k, v in arguments.items()}
        run_task(name, plain, cwd=self.cwd, env=self.env, out=self.out, err=self.err, parent=self.name)

    def _inside(self, text: str) -> str:
        """A parameter, be it an expression, with files of this folder by their names."""
        if not self.cwd.is_absolute():
            return text
        # Only where a path begins: the folder's name may also end another one's.
        return re.sub(rf"(?<![^\s(,;=]){re.escape(str(self.cwd))}/", "", text)

    def note_origin(self, made_up: bool, said: str) -> None:
        """Remember that raw files, calibration or a product are made up or real.

        Parameters
        ----------
        made_up
            Whether it is made up.
        said
            The same as a sentence, for the message.

        Raises
        ------
        TaskError
            ``syntheticCalibration``: this task has seen the opposite, and nothing allows both together.
        """
        conflict = self.origins.note(made_up, said)
        if conflict and not origin.allowed(self.env):
            raise TaskError("syntheticCalibration", conflict)

    def provenance(self, header: Any, number: int = 0) -> None:
        """Write CREATOR, DATE, the command line (XPROCn) and how far to trust it into a FITS header.

        What was made with synthetic calibration files, or from such products, says so.

        Parameters
        ----------
        header
            The header, changed in place.
        number
            Number of the XPROC card.
        """
        header["CREATOR"] = (f"daxa-{__version__}", "software")
        header[TRUST_KEYWORD] = TRUST_CARD
        if self.origins.synthetic:
            header[origin.KEYWORD] = origin.CARD
        header["DATE"] = (datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S"), "creation date")
        # Headers hold ASCII only; folders need not.
        header[f"XPROC{number}"] = plain_text(self.command or self.name)
        add_fallbacks(header, self.fallbacks)


def _in_one_line(text: str) -> str:
    """A message as who reads messages of SAS line by line expects it."""
    return " ".join(text.split("\n"))


def command_line(name: str, arguments: Mapping[str, Any]) -> str:
    """The SAS command line of a task call.

    Parameters
    ----------
    name
        Name of the task.
    arguments
        Parameter values by name.

    Examples
    --------
    >>> command_line("evselect", {"table": "a.fits", "expression": "PI > 300", "cleandss": True})
    "evselect table=a.fits expression='PI > 300' cleandss=yes"
    """
    return " ".join([name, *(f"{k}={shlex.quote(format_value(v))}" for k, v in arguments.items())])


def run_task(
    name: str,
    arguments: Mapping[str, Any],
    *,
    cwd: str | os.PathLike[str] = ".",
    env: Mapping[str, str] | None = None,
    out: TextIO | None = None,
    err: TextIO | None = None,
    parent: str = "",
) -> None:
    """Run a task of the embedded engine.

    Parameters
    ----------
    name
        SAS task name.
    arguments
        Parameter values, as text or Python values.
    cwd
        Folder for relative paths.
    env
        Environment; this process's own by default.
    out, err
        Where messages go; this process's own standard output and error by default.
    parent
        Task that runs this one; it stands before the name in messages.

    Raises
    ------
    NotImplementedError
        There is no such task.
    TaskError
        The task failed; the message has also been printed in SAS's form.
    """
    spec = find_task(name)
    full = f"{parent}::{name}" if parent else name
    ctx = TaskContext(
        full,
        Path(cwd),
        dict(os.environ if env is None else env),
        out or sys.stdout,
        err or sys.stderr,
        command_line(name, arguments),
    )

    def stamp() -> str:
        return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]

    outer = RUNNING.get()
    if outer is not None and parent:
        ctx.told, ctx.fallbacks, ctx.origins = outer.told, outer.fallbacks, outer.origins
    token = RUNNING.set(ctx)
    started = time.perf_counter()
    try:
        parameters = spec.parse(arguments)
        ctx.info(f"Executing (routine): {command_line(name, dict(parameters))}  -w 1 -V 4")
        ctx.info(f"{name} ({name}-{spec.version})  [daxa-{__version__}] started:  {stamp()}")
        spec.function(ctx, parameters)
    except TaskError as failure:
        if not getattr(failure, "reported", False):
            print(f"** {full}: error ({failure.code}), {_in_one_line(failure.message)}", file=ctx.err)
            failure.reported = True  # type: ignore[attr-defined]
        raise
    finally:
        RUNNING.reset(token)
        repeated = {c: n for c, n in ctx.warnings.items() if n > ctx.max_repeats}
        if repeated:
            print(f"** {full}: warning (SummaryOfWarnings),", file=ctx.err)
            for code, count in repeated.items():
                print(f"   warning {code} silently occurred {count - ctx.max_repeats} times", file=ctx.err)
    ctx.info(
        f"{name} ({name}-{spec.version})  [daxa-{__version__}] ended:    {stamp()}  "
        f"({time.perf_counter() - started:.2f} s)"
    )


def child_of(ctx: TaskContext, name: str) -> TaskContext:
    """The context of a sub-task: same world, its own name in messages.

    Parameters
    ----------
    ctx
        The running task.
    name
        Name of the sub-task.
    """
    return replace(ctx, name=f"{ctx.name}::{name}")
