"""What was found in the extensions of a file, in lines for people and for reports of bugs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Values of each column that a report shows.
SHOWN = 3


@dataclass(frozen=True)
class Finding:
    """One extension: how it is recognised, in a word or two, and what is in it."""

    extension: str
    how: str
    detail: str = ""

    def __str__(self) -> str:
        return f"[{self.extension}] {self.how} {self.detail}".rstrip()


def plain(value: Any) -> str:
    """A value of a table or header as text.

    Parameters
    ----------
    value
        The value; bytes are read as Latin-1.
    """
    return (value.decode("latin-1") if isinstance(value, bytes) else str(value)).strip()


def column_lines(hdu: Any, unreadable: tuple[type[Exception], ...] = ()) -> Iterator[str]:
    """Name, format, unit and first values of each column of a table of astropy; no data in bulk.

    Parameters
    ----------
    hdu
        The table.
    unreadable
        Exceptions that mean that the values are damaged.
    """
    for column in hdu.columns:
        try:
            cells = [np.ravel(cell) for cell in hdu.data[column.name][:SHOWN]]
            text = ", ".join([plain(value) for cell in cells for value in cell[:SHOWN]][:SHOWN])
        except unreadable:
            text = "unreadable"
        yield f"  {column.name:18s} {column.format!s:>8s} {column.unit or '-':10s} {text}".rstrip()
