"""Notes from far below a running task: warnings said once, stand-ins for calibration, origins of files."""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from daxa.xmm import origin


class Running(Protocol):
    """What this module needs to know of a running task."""

    told: set[str]
    fallbacks: dict[str, None]
    origins: origin.Origins
    env: Mapping[str, str]

    def warn(self, code: str, message: str) -> None:
        """Print a warning.

        Parameters
        ----------
        code
            Code of the warning.
        message
            Its text.
        """

    def note_origin(self, made_up: bool, said: str) -> None:
        """Remember that a file is made up or real.

        Parameters
        ----------
        made_up
            Whether it is made up.
        said
            The same as a sentence, for the message.
        """


#: Keywords of products that name what stood in for parts of calibration files.
FALLBACK_KEYWORD = "CALFB"
_INSTRUMENTS = {"EMOS1", "EMOS2", "EPN", "RGS1", "RGS2"}

#: The task that is running, for what is found out far below it.
RUNNING: contextvars.ContextVar[Running | None] = contextvars.ContextVar("running task", default=None)

#: Who hears :func:`warn_once` where no task is running.
_LISTENER: contextvars.ContextVar[Callable[[str, str], None] | None] = contextvars.ContextVar(
    "listener", default=None
)


@contextlib.contextmanager
def listening(warn: Callable[[str, str], None]) -> Iterator[None]:
    """Give code and text of warnings from far below to a function, where no task is running.

    Parameters
    ----------
    warn
        Called with code and text of each warning.
    """
    token = _LISTENER.set(warn)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def warn_once(code: str, message: str) -> None:
    """Warn in the running task, once in it and the tasks inside it.

    Without a running task it is given to :func:`listening`, and nothing happens if nobody is.

    Parameters
    ----------
    code
        Code of the warning.
    message
        Its text.
    """
    ctx, listener = RUNNING.get(), _LISTENER.get()
    if ctx is None:
        if listener is not None:
            listener(code, message)
    elif message not in ctx.told:
        ctx.told.add(message)
        ctx.warn(code, message)


def fall_back(code: str, message: str, note: str) -> None:
    """Warn once of what stands in for a part that a calibration file lacks, and note it for products.

    Parameters
    ----------
    code
        Code of the warning.
    message
        Its text.
    note
        The same in the form that headers of products have.
    """
    ctx = RUNNING.get()
    if ctx is not None:
        ctx.fallbacks[note] = None
        warn_once(code, message)


def note_fallbacks(notes: Iterable[str]) -> None:
    """Note for products what stood in when something that the running task reads was made.

    Parameters
    ----------
    notes
        What stood in, in the form that headers have.
    """
    ctx = RUNNING.get()
    if ctx is not None:
        ctx.fallbacks.update(dict.fromkeys(notes))


def fallbacks_noted() -> list[str]:
    """What stood in for parts of calibration files in the running task and the tasks around it."""
    ctx = RUNNING.get()
    return [] if ctx is None else list(ctx.fallbacks)


def add_fallbacks(header: Any, notes: Iterable[str]) -> None:
    """Write CALFBn, what stood in for parts of calibration files, after those that are there.

    What belongs to an instrument other than that of the header is left out.

    Parameters
    ----------
    header
        The header; changed.
    notes
        What stood in, in the form that headers have.
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
    """Whether real and made-up files may meet: by an environment, the running task's, or this process's.

    Parameters
    ----------
    env
        An environment to ask besides this process's.
    """
    ctx = RUNNING.get()
    return origin.allowed(env) or (ctx is not None and origin.allowed(ctx.env))


def note_raw_files(simulated: bool, folder: object) -> None:
    """Tell the running task, if there is one, where its raw files come from.

    Parameters
    ----------
    simulated
        Whether they are simulated.
    folder
        Their folder, for messages.

    Raises
    ------
    TaskError
        See :meth:`TaskContext.note_origin`.
    """
    ctx = RUNNING.get()
    if ctx is not None:
        ctx.origins.raw_files = True
        ctx.note_origin(simulated, origin.of_raw_files(simulated, folder))


def has_seen_raw_files() -> bool:
    """Whether the running task, if there is one, has opened raw files."""
    ctx = RUNNING.get()
    return ctx is not None and ctx.origins.raw_files


def note_calibration(synthetic: bool, what: str) -> None:
    """Tell the running task, if there is one, that it uses a calibration set.

    Parameters
    ----------
    synthetic
        Whether it is synthetic.
    what
        Its name, for messages.

    Raises
    ------
    TaskError
        See :meth:`TaskContext.note_origin`.
    """
    ctx = RUNNING.get()
    if ctx is not None:
        ctx.note_origin(synthetic, origin.of_calibration(synthetic, what))
        ctx.origins.synthetic |= synthetic


def note_product(header: Mapping[str, Any], path: str | os.PathLike[str], *, is_list: bool = False) -> None:
    """Tell the running task, if there is one, that it reads a product.

    Parameters
    ----------
    header
        Its primary header.
    path
        Its file, for messages.
    is_list
        Whether it is an event list, which cannot be made without calibration: one without the keyword was
        made with a real one.

    Raises
    ------
    TaskError
        See :meth:`TaskContext.note_origin`.
    """
    ctx = RUNNING.get()
    if ctx is None:
        return
    marked = origin.is_marked(header)
    ctx.origins.synthetic |= marked
    if marked or is_list:
        kind = "synthetic" if marked else "real"
        ctx.note_origin(marked, f"{Path(path).name} was made with {kind} calibration")
