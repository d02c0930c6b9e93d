"""Images, spectra, light curves and histograms accumulated from events chunk by chunk.

Integer columns: the least value of the range falls into the first bin, ``index = (value - min) // bin``.
Source: evselect manual; sizes, keywords and columns as in files made by SAS 17 to 19.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.schema import Column, Table, table

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Grid:
    """Bins of one column.

    Attributes
    ----------
    column, minimum, step, count
        Column, lower edge of the first bin (for an integer column the first value), width, number.
    closed
        Values equal to the upper edge belong to the last bin.
    """

    column: str
    minimum: float
    step: float
    count: int
    closed: bool = False

    def index(self, values: Array) -> tuple[Array, npt.NDArray[np.bool_] | None]:
        """Bin numbers, and which of them are inside (None: all).

        Parameters
        ----------
        values
            Values of the column, shape (n,).

        Returns
        -------
        index, inside
            Bin of each value that is inside, and which are, shape (n,).

        Examples
        --------
        >>> import numpy as np
        >>> index, inside = Grid("PI", 0, 5, 20).index(np.array([0, 4, 5, 200], np.int16))
        >>> index.tolist(), inside.tolist()
        ([0, 0, 1], [True, True, True, False])
        """
        if values.dtype.kind in "iu" and float(self.minimum).is_integer() and float(self.step).is_integer():
            low, high = int(self.minimum), int(self.minimum + self.step * self.count) - 1
            inside = None
            if values.size and (values.min() < low or values.max() > high):
                inside = (values >= low) & (values <= high)
                values = values[inside]
            if values.dtype.itemsize < 4:
                values = values.astype(np.int32)
            elif values.dtype.kind == "u":
                values = values.astype(np.int64)
            index = values - values.dtype.type(low)
            if self.step != 1:
                # Unsigned division by a constant is the quicker one.
                unsigned = index.view(f"u{index.dtype.itemsize}")
                unsigned //= unsigned.dtype.type(int(self.step))
            return index, inside
        position = (values.astype(np.float64) - self.minimum) / self.step
        inside = (position >= 0) & (position <= self.count if self.closed else position < self.count)
        index = position[inside].astype(np.intp)
        return np.minimum(index, self.count - 1), inside

    def extent(self, integer: bool) -> str:
        """The range of the bins in words.

        Parameters
        ----------
        integer
            Whether the column holds integers, so that the last bin ends with a value.

        Examples
        --------
        >>> Grid("X", 1, 2, 50).extent(integer=True)
        'X 1 to 100'
        """
        last = self.minimum + self.step * self.count - (1 if integer else 0)
        return f"{self.column} {self.minimum:.15g} to {last:.15g}"

    def centre(self) -> Array:
        """Centres of the bins of a real column."""
        return self.minimum + (np.arange(self.count) + 0.5) * self.step


def image_grid(
    column: str, low: float, high: float, integer: bool, *, size: int | None, step: float | None
) -> Grid:
    """Bins of an image axis, from the number of pixels or from their size in column units.

    Parameters
    ----------
    column
        Name of the column.
    low, high
        Its range, the ends included.
    integer
        Whether it holds integers.
    size
        Number of pixels, where ``step`` is None.
    step
        Width of a pixel in units of the column.

    Raises
    ------
    TaskError
        The range is empty, or the bin of an integer column is not integral.

    Examples
    --------
    >>> image_grid("X", 1, 100, True, size=None, step=10.0).count
    10
    """
    if not high >= low:
        raise TaskError("emptyRange", f"column {column}: the range {low} to {high} is empty")
    if step is None:
        span = high - low + (1 if integer else 0)
        step = span / float(size or 1)
        if integer:
            step = math.ceil(step - 1e-9)
        step = step or 1.0
    if step <= 0:
        raise TaskError("badBinSize", f"column {column}: a bin of {step} is not possible")
    if integer:
        if not float(step).is_integer() or not float(low).is_integer():
            raise TaskError(
                "nonIntegralBinning", f"column {column} holds integers: bin {step} and start {low} must too"
            )
        return Grid(column, low, step, math.floor((high - low) / step) + 1)
    return Grid(column, low, step, max(1, math.ceil((high - low) / step - 1e-9)), closed=True)


class Counter:
    """Counts (or sums of weights) in the bins of one or two columns.

    Parameters
    ----------
    grids
        Bins of the columns, one or two.
    weight
        Column to sum; rows are counted without.
    error
        Column whose squares are summed.
    """

    def __init__(self, grids: tuple[Grid, ...], weight: str | None = None, error: str | None = None) -> None:
        self.grids = grids
        self.weight = weight
        self.error = error
        size = math.prod(g.count for g in grids)
        # Bin numbers of most images fit 32 bits, which halves what has to be moved.
        self._small = size < 2**31
        self._sum = np.zeros(size, np.float64 if weight else np.int64)
        self._squares = np.zeros(size) if error else None

    @property
    def columns(self) -> list[str]:
        """Columns needed."""
        return [g.column for g in self.grids] + [c for c in (self.weight, self.error) if c]

    def add(self, columns: Mapping[str, Array]) -> None:
        """Count the rows given by their columns.

        Parameters
        ----------
        columns
            Those of :attr:`columns` by name, all of shape (n,).
        """
        index: Array | None = None
        inside: Array | None = None
        scale = 1
        for grid in self.grids:
            values = columns[grid.column]
            part, ok = grid.index(values if inside is None else values[inside])
            if ok is not None:
                if index is not None:
                    index = index[ok]
                inside = np.flatnonzero(ok) if inside is None else inside[ok]
            if index is None:
                index = part if self._small else part.astype(np.intp, copy=False)
            else:
                part = part.astype(index.dtype, copy=False)
                part *= index.dtype.type(scale)
                part += index
                index = part
            scale *= grid.count
        if index is None:
            return

        def chosen(name: str) -> Array:
            values = columns[name].astype(np.float64)
            return values if inside is None else values[inside]

        index = index.astype(np.intp, copy=False)
        # Adding in place touches only the pixels hit, where a histogram of each chunk would walk them all.
        np.add.at(self._sum, index, chosen(self.weight) if self.weight else 1)
        if self._squares is not None and self.error:
            np.add.at(self._squares, index, chosen(self.error) ** 2)

    def values(self) -> Array:
        """The counts, with the first column along the last axis."""
        return self._sum.reshape([g.count for g in reversed(self.grids)])

    def errors(self) -> Array | None:
        """Square root of the summed squares of the error column."""
        if self._squares is None:
            return None
        return np.sqrt(self._squares).reshape([g.count for g in reversed(self.grids)])


def image_dtype(values: Array, forced: str | None) -> np.dtype:
    """Type of an image: the one asked for, else integers for counts, real numbers for weights.

    Integers have 16 bits where even all counts in one pixel would fit, as in images of SAS 17 and 20.

    Parameters
    ----------
    values
        The pixels.
    forced
        ``Int8``, ``Int16``, ``Int32``, ``Real32`` or ``Real64``; none if empty.

    Raises
    ------
    TaskError
        ``overflow``: the type asked for cannot hold the counts.
    """
    kinds = {"Int8": "u1", "Int16": "i2", "Int32": "i4", "Real32": "f4", "Real64": "f8"}
    if forced:
        dtype = np.dtype(kinds[forced])
        if dtype.kind in "iu" and values.size and values.max() > np.iinfo(dtype).max:
            raise TaskError(
                "overflow", f"an image of type {forced} cannot hold {values.max()} counts in a pixel"
            )
        return dtype
    if values.dtype.kind == "f":
        return np.dtype("f4")
    total = values.sum()
    return np.dtype(next((t for t in ("i2", "i4") if total <= np.iinfo(t).max), "i8"))


def image_keywords(
    header: Mapping[str, Any], grids: tuple[Grid, Grid], numbers: tuple[int, int]
) -> list[Any]:
    """World coordinates of an image: the columns' own, physical ones (``L``) and LTV, LTM.

    Parameters
    ----------
    header
        Header of the event table.
    grids
        Bins of the two axes.
    numbers
        Column numbers of the two axes in that header.
    """
    cards: list[Any] = []
    for axis, (grid, number) in enumerate(zip(grids, numbers, strict=True), start=1):
        first = grid.minimum + (grid.step - 1) / 2
        edge = grid.minimum - 0.5
        if grid.closed:
            first, edge = grid.minimum + grid.step / 2, grid.minimum
        kind = str(header.get(f"TCTYP{number}", ""))
        linear = [
            (f"CTYPE{axis}", grid.column, "WCS coordinate name"),
            (f"CRPIX{axis}", 1, "WCS reference pixel"),
            (f"CRVAL{axis}", first, "WCS reference pixel value"),
            (f"CDELT{axis}", grid.step, "WCS pixel size"),
        ]
        if kind:
            name, letter = ("RA", "X") if kind.startswith("RA") else ("DEC", "Y")
            pixel = (float(header[f"TCRPX{number}"]) - edge) / grid.step + 0.5
            cards += [
                (f"CTYPE{axis}", kind, f"Coord. type: {name} tangent plane projection"),
                (f"CRPIX{axis}", pixel, "WCS reference pixel"),
                (
                    f"CRVAL{axis}",
                    float(header[f"TCRVL{number}"]),
                    f"[deg] coord. at {letter} axis ref. pixel",
                ),
                (f"CUNIT{axis}", header.get(f"TCUNI{number}", "deg"), f"Physical units of {letter} axis"),
                (f"CDELT{axis}", float(header[f"TCDLT{number}"]) * grid.step, "WCS pixel size"),
            ]
        else:
            cards += linear
        cards += [(f"{key}L", value, comment) for key, value, comment in linear]
        cards += [(f"LTV{axis}", 0.5 - edge / grid.step), (f"LTM{axis}_{axis}", 1 / grid.step)]
    cards += [
        ("WCSNAMEL", "PHYSICAL", "WCS L name"),
        ("WCSAXESL", 2, "No. of axes for WCS L"),
        ("LTM1_2", 0),
        ("LTM2_1", 0),
    ]
    return cards


def light_curve_table(counter: Counter, *, with_time: bool, with_rate: bool) -> Table:
    """The RATE table: COUNTS, or RATE and ERROR; TIME of the bin centres if asked for.

    Parameters
    ----------
    counter
        Counts by time [s].
    with_time
        Whether the table has a column TIME.
    with_rate
        Rates [count/s] and errors in place of counts.
    """
    (grid,) = counter.grids
    counts = counter.values()
    errors = counter.errors()
    schema, data = [], {}
    if with_rate:
        schema += [Column("RATE", "D", "count/s"), Column("ERROR", "D", "count/s")]
        data["RATE"] = counts / grid.step
        data["ERROR"] = (np.sqrt(counts) if errors is None else errors) / grid.step
    else:
        schema.append(Column("COUNTS", "D" if counter.weight else "J", "count"))
        data["COUNTS"] = counts
    if with_time:
        schema.append(Column("TIME", "D", "s"))
        data["TIME"] = grid.centre()
    return table(schema, data, "RATE")


def spectrum_table(counter: Counter) -> Table:
    """The SPECTRUM table: CHANNEL (from 0) and COUNTS.

    Parameters
    ----------
    counter
        Counts by channel.
    """
    counts = counter.values()
    schema = [
        Column("CHANNEL", "I", "", 0, len(counts) - 1),
        Column("COUNTS", "E" if counter.weight else "J", "count"),
    ]
    data = {"CHANNEL": np.arange(len(counts)), "COUNTS": counts}
    errors = counter.errors()
    if errors is not None:
        schema.append(Column("STAT_ERR", "E", "count"))
        data["STAT_ERR"] = errors
    return table(schema, data, "SPECTRUM")


def histogram_table(counter: Counter, integer: bool) -> Table:
    """The HISTO table: the column's value at the bin centres, and COUNTS.

    Parameters
    ----------
    counter
        Counts by the values of a column.
    integer
        Whether the column holds integers.
    """
    (grid,) = counter.grids
    centre = (
        grid.minimum + (grid.step - 1) / 2 + np.arange(grid.count) * grid.step if integer else grid.centre()
    )
    schema = [Column(grid.column, "D"), Column("COUNTS", "D" if counter.weight else "J", "count")]
    return table(schema, {grid.column: centre, "COUNTS": counter.values()}, "HISTO")


class Extremes:
    """Least and greatest finite value of some columns.

    Parameters
    ----------
    columns
        Names of the columns.
    """

    def __init__(self, columns: list[str]) -> None:
        self.columns = columns
        self.low = dict.fromkeys(columns, math.inf)
        self.high = dict.fromkeys(columns, -math.inf)

    def add(self, columns: Mapping[str, Array]) -> None:
        """Take rows into account.

        Parameters
        ----------
        columns
            At least those columns by name, shape (n,).
        """
        for name in self.columns:
            values = columns[name]
            if values.dtype.kind == "f":
                values = values[np.isfinite(values)]
            if values.size:
                self.low[name] = min(self.low[name], values.min().item())
                self.high[name] = max(self.high[name], values.max().item())
