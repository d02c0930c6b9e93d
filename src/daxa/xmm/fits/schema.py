"""Descriptions of FITS binary tables, and building and checking tables against them.

Both the readers of :mod:`daxa.xmm` and the writers of :mod:`daxa.simulate` use the same
descriptions, so that a file format stands in one place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from daxa.xmm.fits.file import Hdu, block_bytes
from daxa.xmm.fits.header import Card, Header

if TYPE_CHECKING:
    from astropy.io import fits

#: NumPy type of each letter. U and V, which FITS does not have, are unsigned numbers of 16 and 32 bits: I
#: with TZERO 32768 and J with TZERO 2147483648.
_SCALARS = {
    "L": "b1", "B": "u1", "I": "i2", "U": "u2", "J": "i4", "V": "u4", "K": "i8", "E": "f4", "D": "f8",
}  # fmt: skip
#: Letter of FITS and TZERO of the unsigned numbers.
_UNSIGNED = {"U": ("I", 2**15), "V": ("J", 2**31)}


@dataclass(frozen=True)
class Column:
    """One column: FITS name, TFORM, unit and the optional limits written as TLMIN, TLMAX, TNULL."""

    name: str
    form: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    null: int | None = None

    @property
    def letter(self) -> str:
        """The type letter of the TFORM."""
        return self.form[-1]

    @property
    def repeat(self) -> int:
        """Number of elements in a cell."""
        return int(self.form[:-1] or 1)

    @property
    def limits(self) -> tuple[float, float]:
        """TLMIN and TLMAX.

        Raises
        ------
        ValueError
            The column has none.
        """
        if self.minimum is None or self.maximum is None:
            raise ValueError(f"column {self.name} has no limits")
        return self.minimum, self.maximum

    @property
    def dtype(self) -> np.dtype:
        """NumPy type of one cell, in native byte order."""
        if self.letter == "A":
            return np.dtype(f"S{self.repeat}")
        base = np.dtype(_SCALARS[self.letter])
        return base if self.repeat == 1 else np.dtype((base, (self.repeat,)))


def columns(text: str) -> tuple[Column, ...]:
    r"""Columns from lines ``NAME FORM [unit]``, one a line; a unit may hold blanks.

    Parameters
    ----------
    text
        The lines. The letters are those of TFORM, and U and V for unsigned numbers of 16 and 32 bits.

    Examples
    --------
    >>> [c.dtype.name for c in columns("TIME 1D s\nRAWX 1I pixel")]
    ['float64', 'int16']
    """
    result = []
    for line in text.strip().splitlines():
        name, form, *unit = line.split(maxsplit=2)
        result.append(Column(name, form, unit[0] if unit else ""))
    return tuple(result)


def make_table(
    schema: Sequence[Column], data: Mapping[str, Any], extname: str, header: Mapping[str, Any] | None = None
) -> fits.BinTableHDU:
    """Build a table extension.

    Parameters
    ----------
    schema
        The columns, in order. A vector column takes a 2-D array.
    data
        An array (or list of strings) per column; all of one length.
    extname
        Extension name.
    header
        Further keywords; a value may be a ``(value, comment)`` pair.

    Raises
    ------
    KeyError
        A column of the schema has no data.
    ValueError
        Columns differ in length, or an integer does not fit its column.
    """
    from astropy.io import fits

    hdu = fits.BinTableHDU(_record(schema, data, extname), name=extname)
    describe_columns(hdu.header, schema)
    for key, value in (header or {}).items():
        hdu.header[key] = value
    return hdu


def _record(schema: Sequence[Column], data: Mapping[str, Any], extname: str) -> np.ndarray:
    missing = [c.name for c in schema if c.name not in data]
    if missing:
        raise KeyError(f"{extname}: no data for column(s) {', '.join(missing)}")
    lengths = {c.name: len(data[c.name]) for c in schema}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{extname}: columns differ in length: {lengths}")
    rows = next(iter(lengths.values()), 0)
    record = np.zeros(rows, dtype=[(c.name, c.dtype) for c in schema])
    for column in schema:
        values = data[column.name]
        if column.letter == "A":
            values = np.asarray(values, dtype=f"S{column.repeat}") if rows else record[column.name]
        else:
            values = np.asarray(values)
            kind = np.dtype(_SCALARS[column.letter])
            if kind.kind in "iu" and values.size:
                limits = np.iinfo(kind)
                if values.min() < limits.min or values.max() > limits.max:
                    raise ValueError(
                        f"{extname}, column {column.name}: {values.min()} to {values.max()} "
                        f"does not fit {column.form}"
                    )
        record[column.name] = values
    return record


@dataclass
class Table:
    """A table extension that does not need astropy: its header, and its rows in native byte order."""

    header: Header
    rows: np.ndarray

    def tobytes(self) -> bytes:
        """The extension as it stands in a file."""
        stored = self.rows.astype(self.rows.dtype.newbyteorder(">"))
        for name in stored.dtype.names or ():
            field = stored[name]
            if field.dtype.kind == "u" and field.dtype.itemsize > 1:
                # Signed numbers from TZERO on: the highest bit turns.
                field ^= field.dtype.type(1 << (8 * field.dtype.itemsize - 1))
        return block_bytes(self.header, stored)


def table(schema: Sequence[Column], data: Mapping[str, Any], extname: str) -> Table:
    """As :func:`make_table`, much quicker; no logical columns.

    Parameters
    ----------
    schema, data, extname
        As for :func:`make_table`.

    Examples
    --------
    >>> made = table(columns("TIME 1D s"), {"TIME": [1.0, 2.0]}, "RATE")
    >>> made.header["TUNIT1"], made.rows["TIME"].tolist()
    ('s', [1.0, 2.0])
    """
    record = _record(schema, data, extname)
    header = Header(
        [
            ("XTENSION", "BINTABLE", "binary table extension"),
            ("BITPIX", 8, "array data type"),
            ("NAXIS", 2, "number of array dimensions"),
            ("NAXIS1", record.itemsize, "length of dimension 1"),
            ("NAXIS2", len(record), "length of dimension 2"),
            ("PCOUNT", 0, "number of group parameters"),
            ("GCOUNT", 1, "number of groups"),
            ("TFIELDS", len(schema), "number of table fields"),
        ]
    )
    for i, column in enumerate(schema, start=1):
        letter, zero = _UNSIGNED.get(column.letter, (column.letter, None))
        described: dict[str, Any] = {
            "TTYPE": column.name,
            "TFORM": letter if column.repeat == 1 else f"{column.repeat}{letter}",
            "TUNIT": column.unit or None,
            "TSCAL": None if zero is None else 1,
            "TZERO": zero,
            "TNULL": column.null,
            "TLMIN": column.minimum,
            "TLMAX": column.maximum,
        }
        for key, value in described.items():
            if value is not None:
                header.append((f"{key}{i}", value))
    header.append(("EXTNAME", extname, "extension name"))
    return Table(header, record)


def table_bytes(
    schema: Sequence[Column],
    data: Mapping[str, Any],
    extname: str,
    header: Mapping[str, Any] | None = None,
    more: Iterable[Card] = (),
) -> bytes:
    """A table extension as it stands in a file: what :func:`make_table` gives, written, but much quicker.

    Parameters
    ----------
    schema, data, extname, header
        As for :func:`make_table`; no logical columns.
    more
        Cards to add where the header has no such keyword yet.
    """
    made = table(schema, data, extname)
    head = made.header
    for key, value in (header or {}).items():
        head[key] = value
    for card in more:
        if card.keyword and card.keyword not in head:
            head.append(card)
    return made.tobytes()


def describe_columns(header: fits.Header, schema: Sequence[Column]) -> None:
    """Write units, legal limits and nulls of the columns into a table header.

    Parameters
    ----------
    header
        Header of the table, changed in place.
    schema
        The columns; those that the table does not have are left out.
    """
    number = {header[f"TTYPE{i}"]: i for i in range(1, header["TFIELDS"] + 1)}
    for column in schema:
        i = number.get(column.name)
        if i is None:
            continue
        # Reverse order, as each keyword is inserted right behind TFORMn.
        for key, value in (
            ("TLMAX", column.maximum),
            ("TLMIN", column.minimum),
            ("TNULL", column.null),
            ("TUNIT", column.unit or None),
        ):
            if value is not None:
                header.set(f"{key}{i}", value, after=f"TFORM{i}")


def column_names(hdu: Hdu | fits.BinTableHDU) -> Sequence[str]:
    """Names of a table's columns.

    Parameters
    ----------
    hdu
        The table.
    """
    return hdu.columns if isinstance(hdu, Hdu) else hdu.columns.names


def name_of_column(names: Iterable[str], name: str) -> str | None:
    """A column's name as its table spells it; without regard to case, as FITS has it, where none is equal.

    Parameters
    ----------
    names
        Names of the table's columns.
    name
        The name asked for.

    Returns
    -------
    str or None
        None if there is no such column, or several that differ only in case.

    Examples
    --------
    >>> name_of_column(["start", "stop"], "START"), name_of_column(["X", "x"], "x")
    ('start', 'x')
    """
    names = list(names)
    if name in names:
        return name
    alike = [n for n in names if n.upper() == name.upper()]
    return alike[0] if len(alike) == 1 else None


def column(hdu: Hdu | fits.BinTableHDU, name: str, where: str) -> np.ndarray:
    """One column in native byte order.

    Parameters
    ----------
    hdu
        The table.
    name
        Name of the column; case does not count where no other column has the same letters.
    where
        Name of the file, for the message.

    Raises
    ------
    KeyError
        The table has no such column; the message names ``where`` (a file), the extension and the column.
    """
    names = column_names(hdu)
    found = name_of_column(names, name)
    if found is None:
        raise KeyError(f"{where}[{hdu.name}]: no column {name}; it has {', '.join(names)}")
    values = np.asarray(hdu.data[found])
    return values.astype(values.dtype.newbyteorder("="), copy=False)
