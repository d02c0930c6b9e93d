"""Finding the columns of a calibration table: by name, by content, else what stands in for them."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.ccf.roles import Columns, Fallback, Reading, kind_of
from daxa.xmm.errors import UnknownLayout
from daxa.xmm.fits.schema import Column

#: Integers up to this are exact as 8-byte numbers.
_LARGEST_INTEGER = 2.0**53


@dataclass
class Recognition:
    """How a table was read.

    Attributes
    ----------
    by_content
        Column of the layout -> column of the file, where the name did not tell.
    fallbacks
        What stands in for what the file lacks: text of what is missing, and the fallback.
    """

    by_content: dict[str, str] = field(default_factory=dict)
    fallbacks: list[tuple[str, Fallback]] = field(default_factory=list)

    @property
    def how(self) -> str:
        """``exact``, ``by content`` or ``fallback``."""
        if any(fallback.code for _, fallback in self.fallbacks):
            return "fallback"
        return "by content" if self.by_content else "exact"


def recognise(
    where: str, schema: Sequence[Column], reading: Reading, columns: Columns, header: Mapping[str, Any]
) -> tuple[dict[str, npt.NDArray[Any]], Recognition]:
    """Columns under the names of the layout, and how they were found.

    Columns that the layout does not know are kept under their own names.

    Parameters
    ----------
    where
        File and extension, for messages.
    schema
        Columns of the layout.
    reading
        How files may spell them, and what stands in for which.
    columns
        Columns of the file, each with one element per row.
    header
        Header of the table.

    Returns
    -------
    columns
        Name in the layout -> values.
    recognition
        How they were found, and what stands in for something.

    Raises
    ------
    UnknownLayout
        A column that a result needs cannot be told, or holds something else; the message says what there is.
    """
    free = {name: even_rows(values) for name, values in columns.items()}
    schema = _summed(where, schema, reading, free)
    said = Recognition()
    found = _by_names(_names(schema), reading, free, header)
    for rule in reading.content:
        wanted = [role for role in rule.roles if role in _names(schema)]
        missing = [role for role in wanted if role not in found]
        if not missing or missing != wanted:
            continue
        rest = {name: v for name, v in free.items() if name not in found.values()}
        names = rule.find(rest, len(missing), {role: free[name] for role, name in found.items()})
        if names:
            found.update(zip(missing, names, strict=True))
            said.by_content.update(zip(missing, names, strict=True))
    result = {name: v for name, v in free.items() if name not in found.values()}
    result |= {role: free[name] for role, name in found.items()}
    rules = {role: rule.says for rule in reading.content for role in rule.roles}
    for column in schema:
        if column.name not in found and column.name not in reading.absent:
            hint = f" ({rules[column.name]})" if column.name in rules else ""
            raise UnknownLayout(f"{where}: no column {column.name}{hint}; it has {inventory(free)}")
    rows = len(next(iter(free.values()), ()))
    scalars = [c.name for c in schema if c.repeat == 1 and c.letter != "A" and c.name in found]
    if rows == 1 and not reading.free_widths and not reading.spread:
        result, rows = _unrolled(result, scalars)
    for column in schema:
        if column.name in found:
            result[column.name] = _width(result[column.name], column, reading)
        else:
            fallback = reading.absent[column.name]
            said.fallbacks.append((f"column {column.name}", fallback))
            result[column.name] = _filled(fallback.value, column, rows)
    if reading.recode is not None:
        reading.recode(result)
    # Where cells differ in length short ones end in NaN, which is not a fault.
    gaps = {role for role, name in found.items() if reading.gaps or is_uneven(columns.get(name))}
    for column in schema:
        try:
            result[column.name] = _checked(
                result[column.name], column, where, column.name not in found or column.name in gaps
            )
        except UnknownLayout as error:
            other = reading.absent.get(column.name)
            if other is None or not (other.code or other.unused):
                raise
            # What a file may lack it may hold in a form that nobody can use.
            said.by_content.pop(column.name, None)
            said.fallbacks.append((error.message, other))
            result[column.name] = _filled(other.value, column, rows)
    return result, said


def check_possible(where: str, reading: Reading, columns: Columns) -> None:
    """Refuse a table with numbers that its columns cannot hold.

    Parameters
    ----------
    where
        File and table, for the message.
    reading
        What is possible.
    columns
        The table under the names of the layout.

    Raises
    ------
    UnknownLayout
        Numbers of a column lie outside its limits.
    """
    for name, (low, high) in reading.possible.items():
        values = columns[name]
        wrong = ~((values >= low) & (values <= high))
        if reading.gaps:
            wrong &= ~np.isnan(values)
        if wrong.any():
            found = f"{np.nanmin(values):g} to {np.nanmax(values):g}"
            raise UnknownLayout(f"{where}, column {name}: {found}, expected {low:g} to {high:g}")


def _summed(
    where: str, schema: Sequence[Column], reading: Reading, free: dict[str, npt.NDArray[Any]]
) -> Sequence[Column]:
    """The columns to look for where one is the sum of others, which is made if all of these are there."""
    if reading.total is None:
        return schema
    total, parts = reading.total
    upper = {name.upper(): name for name in free}
    if all(part in upper for part in parts):
        values = [_numbers(free[upper[part]], f"{where}, column {part}") for part in parts]
        if len({v.shape for v in values}) > 1:
            raise UnknownLayout(
                f"{where}: {parts[0]} to {parts[-1]} differ in width; it has {inventory(free)}"
            )
        free[total] = np.sum(values, axis=0, dtype=float)
    others = [column for column in schema if not column.name.startswith(parts[0][:-1])]
    return [*others, Column(total, "0D")]


def inventory(columns: Columns) -> str:
    """The columns of a table with kind and width, for messages.

    Parameters
    ----------
    columns
        Name -> values.
    """
    return ", ".join(
        f"{name} ({kind_of(v) or v.dtype}{'' if v.ndim < 2 else f' x {v[0].size if len(v) else 0}'})"
        for name, v in columns.items()
    ) or "no columns"  # fmt: skip


def _names(schema: Sequence[Column]) -> list[str]:
    return [column.name for column in schema]


def _by_names(
    roles: Sequence[str], reading: Reading, free: Columns, header: Mapping[str, Any]
) -> dict[str, str]:
    """Columns that their names tell: plain names first, then those with ``*``.

    The latter take no column with the plain name of another role, and none that two roles may mean.
    """
    upper = {name.upper(): name for name in free}
    found: dict[str, str] = {}
    for role in roles:
        name = next((n for n in _plain_names(role, reading, header) if n in upper), None)
        if name is not None and upper[name] not in found.values():
            found[role] = upper[name]
    while True:
        left = [name for name in upper if upper[name] not in found.values() and name not in roles]
        claims: dict[str, list[str]] = {}
        for role in roles:
            name = None if role in found else _by_pattern(role, reading, left)
            if name is not None:
                claims.setdefault(name, []).append(role)
        sure = {claimed[0]: upper[name] for name, claimed in claims.items() if len(claimed) == 1}
        if not sure:
            return found
        # What is taken makes the patterns of others plain: CCD_ID and NODE_ID of CCDID and CCDNODE.
        found |= sure


def _plain_names(role: str, reading: Reading, header: Mapping[str, Any]) -> list[str]:
    wanted = [role, *(name for name in reading.names.get(role, ()) if "*" not in name)]
    if reading.positions and role in reading.positions:
        named = [part.strip() for part in str(header.get("MFORM1", "")).split(",")]
        if len(named) == 2:
            wanted.insert(0, named[reading.positions.index(role)])
    return [name.upper() for name in wanted]


def _by_pattern(role: str, reading: Reading, names: Sequence[str]) -> str | None:
    for pattern in reading.names.get(role, ()):
        matches = fnmatch.filter(names, pattern.upper()) if "*" in pattern else []
        if len(matches) == 1:
            return matches[0]
    return None


def keyword_of(name: str, reading: Reading, header: Mapping[str, Any]) -> str | None:
    """The name under which a header has a keyword; None if it has not.

    Parameters
    ----------
    name
        Name of the keyword in the layout.
    reading
        How files may spell it.
    header
        The header.
    """
    return next((k for k in (name, *reading.names.get(name, ())) if k in header), None)


def is_uneven(values: npt.NDArray[Any] | None) -> bool:
    """Whether a column holds arrays of different lengths.

    Parameters
    ----------
    values
        The column; None is not one.
    """
    return values is not None and values.dtype.kind == "O" and len({np.size(row) for row in values}) > 1


def is_number(value: Any) -> bool:
    """Whether a keyword's value is a finite number, maybe as text.

    Parameters
    ----------
    value
        The value.
    """
    try:
        return not isinstance(value, bool) and bool(np.isfinite(float(value)))
    except (TypeError, ValueError, OverflowError):
        return False


def even_rows(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A column of arrays of varying length as a plain one: short rows end in NaN.

    Parameters
    ----------
    values
        The column, shape (n,) of objects; others are given back as they are.
    """
    if values.dtype.kind != "O":
        return values
    rows = [np.ravel(np.asarray(row)) for row in values]
    if any(row.dtype.kind in "SU" for row in rows):
        return np.array(["".join(row.astype(str)) for row in rows])
    width = max((len(row) for row in rows), default=0)
    if all(len(row) == width for row in rows):
        return np.array(rows).reshape(len(rows), width)
    result = np.full((len(rows), width), np.nan)
    for i, row in enumerate(rows):
        result[i, : len(row)] = row
    return result


def _unrolled(
    columns: dict[str, npt.NDArray[Any]], scalars: Sequence[str]
) -> tuple[dict[str, npt.NDArray[Any]], int]:
    """A table of one row whose cells hold whole columns, as many rows."""
    widths = {columns[name].size for name in scalars}
    n = max(widths, default=1)
    if n == 1 or widths - {1, n}:
        return columns, 1
    return {name: v.reshape(-1) if v.size == n else np.repeat(v, n, axis=0) for name, v in columns.items()}, n


def _width(values: npt.NDArray[Any], column: Column, reading: Reading) -> npt.NDArray[Any]:
    if column.letter == "A" or not column.repeat:
        return values
    wide = values.reshape(len(values), -1) if values.size else values
    width = wide.shape[1] if wide.ndim > 1 else 1
    if width == column.repeat:
        return values
    if reading.spread and width == 1:
        return np.repeat(wide, column.repeat, axis=1)
    if reading.free_widths:
        padded = np.zeros((len(wide), column.repeat), wide.dtype)
        padded[:, : min(width, column.repeat)] = wide[:, : column.repeat]
        return padded if column.repeat > 1 else padded[:, 0]
    return values


def _filled(value: Any, column: Column, rows: int) -> npt.NDArray[Any]:
    if callable(value):
        return np.asarray(value(rows))
    if column.letter == "A":
        return np.full(rows, str(value))
    shape = (rows,) if column.repeat == 1 else (rows, max(column.repeat, 1))
    return np.full(shape, value, dtype=column.dtype.base if column.repeat else float)


def _checked(values: npt.NDArray[Any], column: Column, where: str, gaps: bool) -> npt.NDArray[Any]:
    """A column in the kind and width of the layout; ``gaps``: not every cell need hold a number."""
    place = f"{where}, column {column.name}"
    if column.letter == "A":
        if values.dtype.kind != "U":
            raise UnknownLayout(f"{place}: expected text, found {kind_of(values) or values.dtype}")
        if values.size != len(values):
            raise UnknownLayout(f"{place}: {values[0].size} texts a row, expected 1")
        return values.reshape(len(values))
    values = _numbers(values, place)
    if column.letter == "L":
        values = values != 0
    if values.dtype.kind == "f" and not gaps:
        wrong = ~np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
        if wrong.any():
            raise UnknownLayout(f"{place}: no finite number in row {np.argmax(wrong) + 1}")
    if column.letter in ("I", "J", "K", "B") and values.dtype.kind == "f":
        if np.any(values != np.round(values)) or np.any(np.abs(values) > _LARGEST_INTEGER):
            raise UnknownLayout(f"{place}: expected integers, found {values.dtype}")
        values = values.astype(np.int64)
    width = int(np.prod(values.shape[1:], dtype=int))
    wanted = column.repeat  # 0: as many as there are
    if (wanted and width != wanted) or not width:
        raise UnknownLayout(f"{place}: {width} elements a row, expected {wanted or 'some'}")
    if wanted and values.ndim > 1:
        values = values.reshape((len(values), wanted) if wanted > 1 else len(values))
    return np.array(values)


def _numbers(values: npt.NDArray[Any], place: str) -> npt.NDArray[Any]:
    """Numbers, also from text; unsigned ones as others, with which one can calculate."""
    if values.dtype.kind == "U":
        try:
            return values.astype(np.float64)
        except ValueError as err:
            raise UnknownLayout(f"{place}: expected numbers ({err})") from None
    if values.dtype.kind not in "biuf":
        raise UnknownLayout(f"{place}: expected numbers, found {values.dtype}")
    return values.astype(np.int64) if values.dtype.kind in "bu" else values
