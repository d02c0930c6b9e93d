"""One calibration file: its tables, images and keywords, and what stands in for parts that it lacks.

Parameters
----------
extname
    Name of the table.
name
    The keyword.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.ccf.index import Entry, open_constituent
from daxa.xmm.ccf.readings import reading_of
from daxa.xmm.ccf.recognise import (
    Recognition,
    check_possible,
    inventory,
    is_number,
    keyword_of,
    recognise,
)
from daxa.xmm.ccf.roles import Fallback, Reading
from daxa.xmm.errors import UnknownLayout
from daxa.xmm.fits.hdus import unreadable
from daxa.xmm.fits.schema import Column
from daxa.xmm.formats.ccf import layout_of
from daxa.xmm.notes import fall_back
from daxa.xmm.odf.times import utc_to_tt

if TYPE_CHECKING:
    from daxa.xmm.fits.hdus import HDUList, Header


class Table(Mapping[str, npt.NDArray[Any]]):
    """Columns of a calibration table by name, in native byte order; read-only.

    Columns that the layout does not know are there as well.

    Parameters
    ----------
    where
        File and extension, for messages.
    columns
        Name -> values, with one element per row.
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

    Parameters
    ----------
    entry
        Its row in the calibration index.
    path
        The file.

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
        self._unreadable: dict[str, str] = {}
        #: How the tables read so far were recognised.
        self.recognised: dict[str, Recognition] = {}

    def __repr__(self) -> str:
        return f"<Constituent {self.path.name}>"

    @functools.cached_property
    def _hdus(self) -> HDUList:
        """The file, opened once: that takes longer than reading a table of it."""
        hdus = open_constituent(self.path)
        weakref.finalize(self, hdus.close)
        return hdus

    @functools.cached_property
    def _headers(self) -> dict[str, Header]:
        headers: dict[str, Header] = {}
        for hdu in self._hdus:
            headers.setdefault(hdu.name.upper(), hdu.header.copy())
        return headers

    def _columns(self, extname: str) -> dict[str, npt.NDArray[Any]] | None:
        return self._columns_of(self._hdus[extname])

    def _columns_of(self, hdu: Any) -> dict[str, npt.NDArray[Any]] | None:
        """The columns of a table that can be read; of the others it is kept why not. None for an image."""
        columns, failed = {}, []
        try:
            if getattr(hdu, "columns", None) is None:
                return None
            data = hdu.data
        except unreadable() as error:
            where = f"{self.path.name}[{hdu.name}]"
            raise UnknownLayout(f"{where}: a table that cannot be read ({error})") from None
        for name in hdu.columns.names:
            try:
                columns[name] = _native(np.array(data[name]))
            except unreadable() as error:
                failed.append(f"{name} ({error})")
        if failed:
            self._unreadable[str(hdu.name).upper()] = f"; unreadable: {', '.join(failed)}"
        return columns

    def load(self) -> None:
        """Read all tables at once, which is quicker if most of them are wanted."""
        for hdu in self._hdus:
            try:
                columns = self._columns_of(hdu)
            except UnknownLayout:
                continue  # said where it is asked for
            if columns is not None:
                # The first of a name counts, as in reading them one by one.
                self._contents.setdefault(str(hdu.header.get("EXTNAME", hdu.name)), columns)

    @property
    def extensions(self) -> list[str]:
        """Names of the extensions."""
        return [name for name in self._headers if name != "PRIMARY"]

    def __contains__(self, extname: str) -> bool:
        return extname.upper() in self._headers

    def header(self, extname: str) -> Header:
        """Header of an extension (``PRIMARY`` for the first).

        Parameters
        ----------
        extname
            Name of the extension.

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

        Parameters
        ----------
        extname
            Name of the extension; None: wherever it is.

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
                return self._value(header, known, extname)
        place = f"[{extname}]" if extname else ""
        if name not in reading.keywords:
            raise UnknownLayout(f"{self.path.name}{place}: no keyword {name}")
        fallback = reading.keywords[name]
        self._say(extname or "PRIMARY", f"no keyword {name}", fallback)
        return fallback.value

    def _value(self, header: Mapping[str, Any], name: str, extname: str | None) -> Any:
        try:
            return header[name]
        except unreadable() as error:
            place = f"[{extname}]" if extname else ""
            raise UnknownLayout(f"{self.path.name}{place}, keyword {name}: unreadable ({error})") from None

    def number(self, name: str, extname: str | None = None) -> float:
        """A header keyword that is a number; see :meth:`keyword`.

        Parameters
        ----------
        extname
            Name of the extension; None: wherever it is.

        Raises
        ------
        UnknownLayout
            The keyword is nowhere or not a number, and nothing stands in for it.
        """
        value = self.keyword(name, extname)
        if is_number(value):
            return float(value)
        other = reading_of(self.scope, self.typeid, extname or "PRIMARY").keywords.get(name)
        if other is not None and other.code and other.value is not None:
            self._say(extname or "PRIMARY", f"keyword {name}: {value!r} is not a number", other)
            return float(other.value)
        place = f"[{extname}]" if extname else ""
        raise UnknownLayout(f"{self.path.name}{place}, keyword {name}: {value!r} is not a number")

    def date(self, name: str, extname: str | None = None) -> float:
        """A header keyword that is a date (UTC) as mission time [s]; see :meth:`keyword`.

        Parameters
        ----------
        extname
            Name of the extension; None: wherever it is.

        Raises
        ------
        UnknownLayout
            The keyword is nowhere and nothing stands in for it, or it is not a date.
        """
        value = str(self.keyword(name, extname)).strip()
        try:
            if not value[:4].isdigit():
                raise ValueError(value)
            return float(utc_to_tt(value))
        except ValueError:
            place = f"[{extname}]" if extname else ""
            raise UnknownLayout(f"{self.path.name}{place}, keyword {name}: {value!r} is not a date") from None

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
        """Warn in the running task of what stands in for a row, once for all rows of one fallback.

        Parameters
        ----------
        item
            Name of the row.
        instrument
            What the row would be of, for the message.
        """
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
            Extension missing, or not a table.
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

        Parameters
        ----------
        extname
            Name of the extension.

        Raises
        ------
        UnknownLayout
            Extension missing, or not an image.
        """
        self.header(extname)
        try:
            data = self._hdus[extname].data
        except unreadable() as error:
            raise UnknownLayout(f"{self.path.name}[{extname}]: cannot be read ({error})") from None
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
                message = f"{error.message}{self._unreadable.get(extname.upper(), '')}"
                return self.instead_of(extname, message)
            self._keep(extname, columns, said)
        for missing, fallback in self.recognised[extname].fallbacks:
            self._say(extname, missing, fallback)
        return self._tables[extname]

    def _check_algorithm(self, extname: str, reading: Reading, where: str) -> None:
        """Refuse a table for another algorithm, whose columns look the same and mean something else."""
        headers = (self._headers[extname.upper()], self._headers["PRIMARY"])
        if reading.algorithms and any("ALGOID" in header for header in headers):
            law = self.number("ALGOID", extname)
            if law not in reading.algorithms:
                expected = " or ".join(map(str, reading.algorithms))
                raise UnknownLayout(f"{where}, keyword ALGOID: {law:g}, expected {expected}")

    def instead_of(self, extname: str, message: str) -> Table:
        """What stands in for a table that cannot be used, from now on, warned of in the running task.

        Parameters
        ----------
        message
            Why it cannot be used.

        Raises
        ------
        UnknownLayout
            Nothing stands in for it.
        """
        other = reading_of(self.scope, self.typeid, extname).substitute
        if other is None:
            raise UnknownLayout(message) from None
        columns = {name: np.asarray(values) for name, values in other.value.items()}
        self._keep(extname, columns, Recognition(fallbacks=[(message, other)]))
        return self.table(extname)

    def _keep(self, extname: str, columns: dict[str, npt.NDArray[Any]], said: Recognition) -> None:
        for values in columns.values():
            values.setflags(write=False)
        self._tables[extname] = Table(f"{self.path.name}[{extname}]", columns)
        self.recognised[extname] = said

    def _recognised(
        self, extname: str, schema: Sequence[Column], reading: Reading, where: str
    ) -> tuple[dict[str, npt.NDArray[Any]], Recognition]:
        columns, header = self.contents(extname), self.header(extname)
        self._check_algorithm(extname, reading, where)
        if not reading.empty and not any(len(values) for values in columns.values()):
            raise UnknownLayout(f"{where}: no rows; it has {inventory(columns)}")
        try:
            found, said = recognise(where, schema, reading, columns, header)
        except UnknownLayout:
            if reading.alternative is None:
                raise
            texts = [n for n, v in columns.items() if v.dtype.kind == "U" and all("(" in t for t in v)]
            if len(texts) != 1 or not len(columns[texts[0]]):
                raise
            return {reading.alternative: columns[texts[0]]}, Recognition({reading.alternative: texts[0]})
        if reading.convert is not None:
            said.fallbacks += reading.convert(where, found) or []
        check_possible(where, reading, found)
        return found, said


class AbsentConstituent(Constituent):
    """What stands in for a file that the calibration index does not have.

    Parameters
    ----------
    scope, typeid
        What it would be.
    reason
        Why it is not there, for messages.
    """

    def __init__(self, scope: str, typeid: str, reason: str) -> None:
        super().__init__(Entry(scope, typeid, 0), Path(f"{scope}_{typeid}"))
        self._reason = reason
        self._headers = {}

    def header(self, extname: str) -> Header:
        """There is none.

        Parameters
        ----------
        extname
            Name of the extension.

        Raises
        ------
        UnknownLayout
            Always.
        """
        raise UnknownLayout(self._reason)


def _native(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if values.dtype.kind in "SU":
        return np.char.rstrip(values.astype(str))
    if values.dtype.kind == "O":  # vectors of varying length
        return values
    return values.astype(values.dtype.newbyteorder("="))
