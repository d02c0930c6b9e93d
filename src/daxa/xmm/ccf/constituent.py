"""One calibration file: its tables, images and keywords, and what stands in for parts that it lacks."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.ccf.errors import UnknownLayout
from daxa.xmm.ccf.index import Entry, open_constituent
from daxa.xmm.ccf.layout import layout_of
from daxa.xmm.ccf.readings import reading_of
from daxa.xmm.ccf.recognise import Recognition, keyword_of, recognise
from daxa.xmm.ccf.roles import Fallback, Reading
from daxa.xmm.tables import Column
from daxa.xmm.task import fall_back

if TYPE_CHECKING:
    from astropy.io import fits


class Table(Mapping[str, npt.NDArray[Any]]):
    """Columns of a calibration table by name, in native byte order; read-only.

    Columns that the layout does not know are there as well.
    """

    def __init__(self, where: str, columns: dict[str, npt.NDArray[Any]]) -> None:
        self.where = where
        self._columns = columns

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        try:
            return self._columns[name]
        except KeyError:
            raise UnknownLayout(
                f"{self.where}: no column {name}; it has {', '.join(self._columns)}"
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self._columns.values()), ()))


class Constituent:
    """One calibration file.

    Attributes
    ----------
    path
        The file.
    scope, typeid, issue
        What it is, e.g. ``EPN``, ``LINCOORD``, 9.
    """

    def __init__(self, entry: Entry, path: Path) -> None:
        self.entry = entry
        self.path = path
        self.scope, self.typeid, self.issue = entry.scope, entry.typeid, entry.issue
        self._tables: dict[str, Table] = {}
        self._contents: dict[str, dict[str, npt.NDArray[Any]]] = {}
        #: How the tables read so far were recognised.
        self.recognised: dict[str, Recognition] = {}

    def __repr__(self) -> str:
        return f"<Constituent {self.path.name}>"

    @functools.cached_property
    def _headers(self) -> dict[str, fits.Header]:
        with open_constituent(self.path) as hdus:
            headers: dict[str, fits.Header] = {}
            for hdu in hdus:
                headers.setdefault(hdu.name.upper(), hdu.header.copy())
            return headers

    def _columns(self, extname: str) -> dict[str, npt.NDArray[Any]] | None:
        with open_constituent(self.path) as hdus:
            data = hdus[extname].data
            names = getattr(getattr(data, "dtype", None), "names", None)
            return None if names is None else {name: _native(np.array(data[name])) for name in names}

    def load(self) -> None:
        """Read all tables at once, which is quicker if most of them are wanted."""
        with open_constituent(self.path) as hdus:
            for hdu in hdus:
                names = getattr(getattr(hdu.data, "dtype", None), "names", None)
                if names is not None:
                    columns = {name: _native(np.array(hdu.data[name])) for name in names}
                    self._contents[str(hdu.header.get("EXTNAME", hdu.name))] = columns

    @property
    def extensions(self) -> list[str]:
        """Names of the extensions."""
        return [name for name in self._headers if name != "PRIMARY"]

    def __contains__(self, extname: str) -> bool:
        return extname.upper() in self._headers

    def header(self, extname: str) -> fits.Header:
        """Header of an extension (``PRIMARY`` for the first).

        Raises
        ------
        UnknownLayout
            There is no such extension.
        """
        try:
            return self._headers[extname.upper()]
        except KeyError:
            raise UnknownLayout(
                f"{self.path.name}: no extension {extname}; it has {', '.join(self.extensions)}"
            ) from None

    def keyword(self, name: str, extname: str | None = None) -> Any:
        """A header keyword: of the extension, else of the primary header, else (no extname) of any.

        A fallback that costs something is warned of in the running task.

        Raises
        ------
        UnknownLayout
            The keyword is nowhere and nothing stands in for it.
        """
        reading = reading_of(self.scope, self.typeid, extname or "PRIMARY")
        order = [extname.upper(), "PRIMARY"] if extname else list(self._headers)
        for header in (self._headers[ext] for ext in order if ext in self._headers):
            known = keyword_of(name, reading, header)
            if known is not None:
                return header[known]
        place = f"[{extname}]" if extname else ""
        if name not in reading.keywords:
            raise UnknownLayout(f"{self.path.name}{place}: no keyword {name}")
        fallback = reading.keywords[name]
        self._say(extname or "PRIMARY", f"no keyword {name}", fallback)
        return fallback.value

    def lacks(self, extname: str, column: str, what: str) -> Any:
        """What stands in where a table has nothing on a mode or CCD, warned of in the running task.

        Parameters
        ----------
        column
            Column whose values would tell; the reading of the table knows what stands in.
        what
            What it lacks.
        """
        fallback = reading_of(self.scope, self.typeid, extname).lacking[column]
        self._say(extname, what, fallback)
        return fallback.value

    def lacks_item(self, extname: str, item: str, instrument: str) -> None:
        """Warn in the running task of what stands in for a row, once for all rows of one fallback."""
        items = reading_of(self.scope, self.typeid, extname).items
        alike = [name for name, fallback in items.items() if fallback.code == items[item].code]
        self._say(extname, f"not all of {', '.join(alike)} for {instrument}", items[item])

    def _say(self, extname: str, missing: str, fallback: Fallback) -> None:
        if fallback.code:
            where = f"{self.path.name}[{extname}]"
            # Messages of the whole table name it already.
            text = missing.removeprefix(f"{where}: ").removeprefix(f"{self.path.name}: ")
            fall_back(fallback.code, f"{where}: {text}: {fallback.cost}", f"{where}: {fallback.code}")

    def contents(self, extname: str) -> dict[str, npt.NDArray[Any]]:
        """All columns of a table as they stand in the file.

        Raises
        ------
        UnknownLayout
            Extension missing, or no table.
        """
        self.header(extname)
        if extname not in self._contents:
            columns = self._columns(extname)
            held = reading_of(self.scope, self.typeid, extname).image
            if columns is None and held is not None:
                planes = self.image(extname)
                columns = {held: planes.reshape(len(planes), -1)}
            if columns is None:
                raise UnknownLayout(f"{self.path.name}[{extname}]: not a table")
            self._contents[extname] = columns
        return self._contents[extname]

    def image(self, extname: str) -> npt.NDArray[Any]:
        """An image extension, axes as FITS counts them reversed.

        Raises
        ------
        UnknownLayout
            Extension missing, or no image.
        """
        self.header(extname)
        with open_constituent(self.path) as hdus:
            data = hdus[extname].data
            if data is None or getattr(data.dtype, "names", None):
                raise UnknownLayout(f"{self.path.name}[{extname}]: not an image")
            return _native(np.array(data))

    def _schema(self, extname: str) -> tuple[Column, ...]:
        try:
            tables = layout_of(self.scope, self.typeid)
        except KeyError:
            raise UnknownLayout(
                f"{self.path.name}: no layout is known for {self.scope} {self.typeid}"
            ) from None
        if extname in tables:
            return tables[extname]
        if self.typeid == "PATTERNLIB":  # one table per SUBMODE, all alike
            return next(iter(tables.values()))
        raise UnknownLayout(f"{self.path.name}: the layout of extension {extname} is not known")

    def table(self, extname: str) -> Table:
        """A table, its columns under the names of the layout however the file spells them.

        Strings come without trailing blanks, numbers stored as text as numbers. What the file lacks and
        no result needs is filled in; a fallback that costs something is warned of in the running task.

        Raises
        ------
        UnknownLayout
            Extension or column missing, or a column of another kind, and nothing stands in for it.
        """
        if extname not in self._tables:
            schema = self._schema(extname)
            where = f"{self.path.name}[{extname}]"
            reading = reading_of(self.scope, self.typeid, extname)
            try:
                columns, said = self._recognised(extname, schema, reading, where)
            except UnknownLayout as error:
                if reading.substitute is None:
                    raise
                said = Recognition(fallbacks=[(error.message, reading.substitute)])
                columns = {name: np.asarray(v) for name, v in reading.substitute.value.items()}
            for values in columns.values():
                values.setflags(write=False)
            self._tables[extname], self.recognised[extname] = Table(where, columns), said
        for missing, fallback in self.recognised[extname].fallbacks:
            self._say(extname, missing, fallback)
        return self._tables[extname]

    def _recognised(
        self, extname: str, schema: Sequence[Column], reading: Reading, where: str
    ) -> tuple[dict[str, npt.NDArray[Any]], Recognition]:
        columns, header = self.contents(extname), self.header(extname)
        try:
            found, said = recognise(where, schema, reading, columns, header)
        except UnknownLayout:
            if reading.alternative is None:
                raise
            texts = [n for n, v in columns.items() if v.dtype.kind == "U" and all("(" in t for t in v)]
            if len(texts) != 1 or not len(columns[texts[0]]):
                raise
            return {reading.alternative: columns[texts[0]]}, Recognition({reading.alternative: texts[0]})
        found |= {c.name: _checked(found[c.name], c, where) for c in schema if c.name in found}
        if reading.convert is not None:
            reading.convert(where, found)
        return found, said


class AbsentConstituent(Constituent):
    """What stands in for a file that the calibration index does not have."""

    def __init__(self, scope: str, typeid: str, reason: str) -> None:
        super().__init__(Entry(scope, typeid, 0), Path(f"{scope}_{typeid}"))
        self._reason = reason
        self._headers = {}

    def header(self, extname: str) -> fits.Header:
        """There is none."""
        raise UnknownLayout(self._reason)


def _native(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if values.dtype.kind in "SU":
        return np.char.rstrip(values.astype(str))
    if values.dtype.kind == "O":  # vectors of varying length
        return values
    return values.astype(values.dtype.newbyteorder("="))


def _checked(values: npt.NDArray[Any], column: Column, where: str) -> npt.NDArray[Any]:
    is_text = values.dtype.kind == "U"
    if column.letter == "A":
        if not is_text:
            raise UnknownLayout(f"{where}, column {column.name}: expected text, found {values.dtype}")
        return values
    if is_text:
        try:
            values = values.astype(np.float64)
        except ValueError as err:
            raise UnknownLayout(f"{where}, column {column.name}: expected numbers ({err})") from None
    if column.letter in ("I", "J", "K", "B") and values.dtype.kind == "f":
        if np.any(values != np.round(values)):
            raise UnknownLayout(f"{where}, column {column.name}: expected integers, found {values.dtype}")
        values = values.astype(np.int64)
    width = int(np.prod(values.shape[1:], dtype=int))
    wanted = column.repeat  # 0: as many as there are
    if wanted and width != wanted:
        raise UnknownLayout(f"{where}, column {column.name}: {width} elements a row, expected {wanted}")
    if wanted == 1 and values.ndim > 1:
        values = values.reshape(len(values))
    return np.array(values)
