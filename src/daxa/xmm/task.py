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
import contextvars
import importlib
import os
import re
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TextIO

from daxa._version import __version__
from daxa.trust import TRUST_CARD, TRUST_KEYWORD
from daxa.xmm import origin

#: Keywords of products that name what stood in for parts of calibration files.
FALLBACK_KEYWORD = "CALFB"
_INSTRUMENTS = {"EMOS1", "EMOS2", "EPN", "RGS1", "RGS2"}
_TRUE = {"yes", "y", "true", "t", "1"}
_FALSE = {"no", "n", "false", "f", "0"}


class TaskError(Exception):
    """A task cannot do its work.

    Parameters
    ----------
    code
        SAS's name for the condition where it has one (``noEvents``), else our own in the same style.
    message
        What is wrong, naming the file, HDU, column or parameter.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@contextlib.contextmanager
def named(where: str) -> Iterator[None]:
    """Put the file at fault before the message of an algorithm, which knows no files."""
    try:
        yield
    except TaskError as error:
        raise TaskError(error.code, f"{where}: {error.message}") from error


@dataclass(frozen=True)
class Parameter:
    """One parameter of a task.

    ``kind`` is ``bool``, ``int``, ``real``, ``string``, ``dataset``, ``choice`` or ``list`` (blank-separated
    strings). ``None`` as default means "not given".
    """

    name: str
    kind: str
    default: Any = None
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    required: bool = False

    def parse(self, task_name: str, value: Any) -> Any:
        """Turn text (or a Python value) into a value of this parameter's kind."""

        def bad(expected: str) -> TaskError:
            return TaskError(
                "badParameter", f"{task_name}: parameter {self.name}: expected {expected}, got {value!r}"
            )

        if value is None:
            return None
        if self.kind == "bool":
            if isinstance(value, bool):
                return value
            text = str(value).strip().lower()
            if text in _TRUE or text in _FALSE:
                return text in _TRUE
            raise bad("yes or no")
        if self.kind == "list":
            return list(map(str, value)) if isinstance(value, (list, tuple)) else str(value).split()
        text = str(value)
        if self.kind == "choice":
            found = [c for c in self.choices if c.lower() == text.lower()]
            if not found:
                raise bad(f"one of {', '.join(self.choices)}")
            return found[0]
        if self.kind in ("int", "real"):
            try:
                number = int(text) if self.kind == "int" else float(text)
            except ValueError:
                raise bad("an integer" if self.kind == "int" else "a number") from None
            if self.minimum is not None and number < self.minimum:
                raise bad(f"a value of at least {self.minimum}")
            if self.maximum is not None and number > self.maximum:
                raise bad(f"a value of at most {self.maximum}")
            return number
        return text


def format_value(value: Any) -> str:
    """A parameter value as it stands on a command line (unquoted)."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return " ".join(format_value(v) for v in value)
    if isinstance(value, float):
        return f"{value:.15g}"
    return str(value)


class Parameters(Mapping[str, Any]):
    """Parsed parameter values, as attributes and as a mapping; ``given`` names those set by the caller."""

    def __init__(self, values: dict[str, Any], given: frozenset[str]) -> None:
        self._values = values
        self.given = given

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(name) from None

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


TaskFunction = Callable[["TaskContext", Parameters], None]


@dataclass(frozen=True)
class TaskSpec:
    """A declared task."""

    name: str
    version: str
    parameters: tuple[Parameter, ...]
    function: TaskFunction
    open_parameters: bool = False

    def parse(self, arguments: Mapping[str, Any]) -> Parameters:
        """Check and convert arguments.

        Unknown names, missing required ones and values of the wrong kind give a :class:`TaskError`. A
        file given for ``foo`` switches ``withfoo`` on, as SAS does.
        """
        known = {p.name: p for p in self.parameters}
        unknown = [a for a in arguments if a not in known and not (self.open_parameters and ":" in a)]
        if unknown:
            raise TaskError(
                "unknownParameter",
                f"{self.name}: unknown parameter {unknown[0]!r}; known are {', '.join(known)}",
            )
        values = {p.name: p.parse(self.name, p.default) for p in self.parameters}
        for name, value in arguments.items():
            values[name] = known[name].parse(self.name, value) if name in known else value
            switch = f"with{name}"
            if switch in known and switch not in arguments:
                values[switch] = True
        for p in self.parameters:
            if p.required and values[p.name] in (None, ""):
                raise TaskError("missingParameter", f"{self.name}: parameter {p.name} must be given")
        return Parameters(values, frozenset(arguments))


_REGISTRY: dict[str, TaskSpec] = {}


def task(
    name: str, version: str, parameters: Sequence[Parameter], *, open_parameters: bool = False
) -> Callable[[TaskFunction], TaskFunction]:
    """Declare a task. ``open_parameters`` lets ``subtask:name=value`` through (emchain)."""

    def register(function: TaskFunction) -> TaskFunction:
        _REGISTRY[name] = TaskSpec(name, version, tuple(parameters), function, open_parameters)
        return function

    return register


def find_task(name: str) -> TaskSpec:
    """The task of that name.

    Raises
    ------
    NotImplementedError
        The engine has no such task.
    """
    from daxa.xmm.tasks import TASKS

    if name not in TASKS:
        raise NotImplementedError(
            f"the embedded engine has no task {name!r}; it has {', '.join(sorted(TASKS))}"
        )
    importlib.import_module(TASKS[name])
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
        """A path given by the user, relative to the task's folder."""
        return self.cwd / Path(name).expanduser()

    def info(self, message: str) -> None:
        """Print a line of the log."""
        print(f"{self.name}:- {message}", file=self.out)

    def warn(self, code: str, message: str) -> None:
        """Print a warning; after ``max_repeats`` of one code the rest are only counted."""
        self.warnings[code] += 1
        if self.warnings[code] <= self.max_repeats:
            print(f"** {self.name}: warning ({code}), {message}", file=self.err)

    @contextlib.contextmanager
    def output(self, name: str | os.PathLike[str]) -> Iterator[Path]:
        """Give a temporary path to write to, renamed to ``name`` when the block ends without an error.

        Raises
        ------
        TaskError
            ``noClobber``: there is such a file, and SAS_CLOBBER=0 forbids to replace it.
        """
        final = self.path(name)
        if self.env.get("SAS_CLOBBER") == "0" and final.exists():
            raise TaskError("noClobber", f"{final} exists, and SAS_CLOBBER=0 forbids to replace it")
        temporary = final.with_name(f".{final.name}.{os.getpid()}.part")
        try:
            yield temporary
            os.replace(temporary, final)
        finally:
            temporary.unlink(missing_ok=True)

    def call(self, name: str, /, **arguments: Any) -> None:
        """Run another task inside this one, in the same folder and environment.

        Files of that folder are told by their names: the folder itself is no matter of theirs.
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
        """
        header["CREATOR"] = (f"daxa-{__version__}", "software")
        header[TRUST_KEYWORD] = TRUST_CARD
        if self.origins.synthetic:
            header[origin.KEYWORD] = origin.CARD
        header["DATE"] = (datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S"), "creation date")
        # Headers hold ASCII only; folders need not.
        line = self.command or self.name
        header[f"XPROC{number}"] = line.encode("ascii", "backslashreplace").decode()
        add_fallbacks(header, self.fallbacks)


#: The task that is running, for what is found out far below it.
_RUNNING: contextvars.ContextVar[TaskContext | None] = contextvars.ContextVar("running task", default=None)


#: Who hears :func:`warn_once` where no task is running.
_LISTENER: contextvars.ContextVar[Callable[[str, str], None] | None] = contextvars.ContextVar(
    "listener", default=None
)


@contextlib.contextmanager
def listening(warn: Callable[[str, str], None]) -> Iterator[None]:
    """Give code and text of warnings from far below to a function, where no task is running."""
    token = _LISTENER.set(warn)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def warn_once(code: str, message: str) -> None:
    """Warn in the running task, once in it and the tasks inside it.

    Without a running task it is given to :func:`listening`, and nothing happens if nobody is.
    """
    ctx, listener = _RUNNING.get(), _LISTENER.get()
    if ctx is None:
        if listener is not None:
            listener(code, message)
    elif message not in ctx.told:
        ctx.told.add(message)
        ctx.warn(code, message)


def fall_back(code: str, message: str, note: str) -> None:
    """Warn once of what stands in for a part that a calibration file lacks, and note it for products."""
    ctx = _RUNNING.get()
    if ctx is not None:
        ctx.fallbacks[note] = None
        warn_once(code, message)


def note_fallbacks(notes: Iterable[str]) -> None:
    """Note for products what stood in when something that the running task reads was made."""
    ctx = _RUNNING.get()
    if ctx is not None:
        ctx.fallbacks.update(dict.fromkeys(notes))


def fallbacks_noted() -> list[str]:
    """What stood in for parts of calibration files in the running task and the tasks around it."""
    ctx = _RUNNING.get()
    return [] if ctx is None else list(ctx.fallbacks)


def add_fallbacks(header: Any, notes: Iterable[str]) -> None:
    """Write CALFBn, what stood in for parts of calibration files, after those that are there.

    What belongs to an instrument other than that of the header is left out.
    """

    def plain(key: str) -> str:
        value = header[key]
        return str(value[0] if isinstance(value, tuple) else value).strip()

    there = [plain(key) for key in header if key.startswith(FALLBACK_KEYWORD)]
    own = plain("INSTRUME") if "INSTRUME" in header else ""
    # The gratings of a spectrometer stand in the beam of the MOS camera of the same number.
    others = _INSTRUMENTS - {own, own.replace("EMOS", "RGS")} if own in _INSTRUMENTS else set()
    for note in notes:
        if note not in there and note.split("_")[0] not in others:
            there.append(note)
            header[f"{FALLBACK_KEYWORD}{len(there)}"] = note


def mixture_allowed(env: Mapping[str, str] | None = None) -> bool:
    """Whether real and made-up files may meet: by an environment, the running task's, or this process's."""
    ctx = _RUNNING.get()
    return origin.allowed(env) or (ctx is not None and origin.allowed(ctx.env))


def note_raw_files(simulated: bool, folder: object) -> None:
    """Tell the running task, if there is one, where its raw files come from.

    Raises
    ------
    TaskError
        See :meth:`TaskContext.note_origin`.
    """
    ctx = _RUNNING.get()
    if ctx is not None:
        ctx.origins.raw_files = True
        ctx.note_origin(simulated, origin.of_raw_files(simulated, folder))


def has_seen_raw_files() -> bool:
    """Whether the running task, if there is one, has opened raw files."""
    ctx = _RUNNING.get()
    return ctx is not None and ctx.origins.raw_files


def note_calibration(synthetic: bool, what: str) -> None:
    """Tell the running task, if there is one, that it uses a calibration set.

    Raises
    ------
    TaskError
        See :meth:`TaskContext.note_origin`.
    """
    ctx = _RUNNING.get()
    if ctx is not None:
        ctx.note_origin(synthetic, origin.of_calibration(synthetic, what))
        ctx.origins.synthetic |= synthetic


def note_product(header: Mapping[str, Any], path: str | os.PathLike[str], *, is_list: bool = False) -> None:
    """Tell the running task, if there is one, that it reads a product.

    Parameters
    ----------
    header
        Its primary header.
    is_list
        Whether it is an event list, which cannot be made without calibration: one without the keyword was
        made with a real one.

    Raises
    ------
    TaskError
        See :meth:`TaskContext.note_origin`.
    """
    ctx = _RUNNING.get()
    if ctx is None:
        return
    marked = origin.is_marked(header)
    ctx.origins.synthetic |= marked
    if marked or is_list:
        kind = "synthetic" if marked else "real"
        ctx.note_origin(marked, f"{Path(path).name} was made with {kind} calibration")


def command_line(name: str, arguments: Mapping[str, Any]) -> str:
    """The SAS command line of a task call."""
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

    outer = _RUNNING.get()
    if outer is not None and parent:
        ctx.told, ctx.fallbacks, ctx.origins = outer.told, outer.fallbacks, outer.origins
    token = _RUNNING.set(ctx)
    started = time.perf_counter()
    try:
        parameters = spec.parse(arguments)
        ctx.info(f"Executing (routine): {command_line(name, dict(parameters))}  -w 1 -V 4")
        ctx.info(f"{name} ({name}-{spec.version})  [daxa-{__version__}] started:  {stamp()}")
        spec.function(ctx, parameters)
    except TaskError as failure:
        if not getattr(failure, "reported", False):
            print(f"** {full}: error ({failure.code}), {failure.message}", file=ctx.err)
            failure.reported = True  # type: ignore[attr-defined]
        raise
    finally:
        _RUNNING.reset(token)
        repeated = {c: n for c, n in ctx.warnings.items() if n > ctx.max_repeats}
        if repeated:
            print(f"** {full}: warning (SummaryOfWarnings),", file=ctx.err)
            for code, count in repeated.items():
                print(f"   warning {code} silently occurred {count - ctx.max_repeats} times", file=ctx.err)
    ctx.info(
        f"{name} ({name}-{spec.version})  [daxa-{__version__}] ended:    {stamp()}  "
        f"({time.perf_counter() - started:.2f} s)"
    )
