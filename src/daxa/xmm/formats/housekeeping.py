"""Layout of whole periodic housekeeping: every column of the tables of a real observation.

Source: files of 0135730701 (2001, ODS 11.0.0), in ``housekeeping.csv``: column, type, unit, and the lowest
and highest number, or the texts in the order of their frequency. Housekeeping of MOS and the main
housekeeping of the pn are not among those files.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

from daxa.xmm.fits.schema import Column, columns
from daxa.xmm.formats.records import TIME


@dataclass(frozen=True)
class Parameter:
    """A column and the values that were seen in it: texts, or the lowest and the highest number."""

    column: Column
    values: tuple[str, ...]

    @property
    def is_text(self) -> bool:
        """Whether the values are texts."""
        return self.column.letter == "A"

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest number."""
        return float(self.values[0]), float(self.values[-1])


@cache
def _parameters() -> dict[str, tuple[Parameter, ...]]:
    text = resources.files("daxa.xmm.formats").joinpath("housekeeping.csv").read_text(encoding="utf-8")
    found: dict[str, list[Parameter]] = {}
    for file, name, form, unit, values in list(csv.reader(text.splitlines()))[1:]:
        found.setdefault(file, []).append(Parameter(Column(name, form, unit), tuple(values.split("|"))))
    return {file: tuple(parameters) for file, parameters in found.items()}


def parameters(instrument: str, file_type: str) -> tuple[Parameter, ...]:
    """Columns of a table behind TIME; none if it is not known.

    Parameters
    ----------
    instrument
        Two-letter code, e.g. ``M1`` or ``SC``.
    file_type
        Three-letter type of the file, e.g. ``PTH``.
    """
    return _parameters().get(instrument + file_type, ())


def schema(instrument: str, file_type: str) -> tuple[Column, ...]:
    """TIME and the columns of :func:`parameters`.

    Parameters
    ----------
    instrument
        Two-letter code, e.g. ``M1`` or ``SC``.
    file_type
        Three-letter type of the file, e.g. ``PTH``.
    """
    return (*columns(TIME), *(one.column for one in parameters(instrument, file_type)))
