"""What a task or a calibration file can fail with; every message names the file, HDU, column or parameter."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


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
    """Put the file at fault before the message of an algorithm, which knows no files.

    Parameters
    ----------
    where
        The file, with extension or row where that helps.
    """
    try:
        yield
    except TaskError as error:
        raise TaskError(error.code, f"{where}: {error.message}") from error


class MissingConstituent(TaskError):
    """No constituent of that scope and type is in the calibration index, or its file is not found.

    Parameters
    ----------
    message
        What is missing.
    """

    def __init__(self, message: str) -> None:
        super().__init__("MissingConstituent", message)


class UnknownLayout(TaskError):
    """A constituent holds tables, columns or keywords other than those this package understands.

    Parameters
    ----------
    message
        What was found, and what was expected.
    """

    def __init__(self, message: str) -> None:
        super().__init__("UnknownLayout", message)


class DamagedConstituent(TaskError):
    """A constituent cannot be read: cut short, not FITS, or not the file that the index means.

    Parameters
    ----------
    message
        The file, and what is wrong with it.
    """

    def __init__(self, message: str) -> None:
        super().__init__("DamagedConstituent", message)
