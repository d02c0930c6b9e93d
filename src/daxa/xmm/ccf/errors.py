"""What can be wrong with calibration files."""

from __future__ import annotations

from daxa.xmm.task import TaskError


class MissingConstituent(TaskError):
    """No constituent of that scope and type is in the calibration index, or its file is not found."""

    def __init__(self, message: str) -> None:
        super().__init__("MissingConstituent", message)


class UnknownLayout(TaskError):
    """A constituent holds tables, columns or keywords other than those this package understands."""

    def __init__(self, message: str) -> None:
        super().__init__("UnknownLayout", message)


class DamagedConstituent(TaskError):
    """A constituent cannot be read: cut short, not FITS, or not the file that the index means."""

    def __init__(self, message: str) -> None:
        super().__init__("DamagedConstituent", message)
