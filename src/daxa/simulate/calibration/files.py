"""Calibration constituents as files: what one holds, and writing it with the real structure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from daxa.writing import replacing_file
from daxa.xmm.fits.schema import Column, make_table
from daxa.xmm.formats.ccf import layout_of

if TYPE_CHECKING:
    from astropy.io import fits

#: Submission date of all constituents: constant, so that the same version writes the same bytes.
DATE = "2024-06-01T00:00:00"
START = "1998-01-01T00:00:00"


@dataclass(frozen=True)
class Extension:
    """One table or image of a constituent: data by column or array, keywords, shapes (TDIM) of cells.

    ``letters`` gives columns another type than the layout has, e.g. ``I`` for ``D``; ``schema`` says which
    columns the file has where it has more than the layout asks for.
    """

    name: str
    data: Mapping[str, Any] | np.ndarray
    header: Mapping[str, Any] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    letters: Mapping[str, str] = field(default_factory=dict)
    schema: Sequence[Column] = ()


@dataclass(frozen=True)
class Constituent:
    """One file to write."""

    scope: str
    typeid: str
    issue: int
    extensions: Sequence[Extension]
    valid_from: str = START
    valid_to: str | None = None
    header: Mapping[str, Any] = field(default_factory=dict)
    comments: Sequence[str] = ()

    @property
    def name(self) -> str:
        """File name."""
        return f"{self.scope}_{self.typeid}_{self.issue:04d}.CCF"


def write_constituent(constituent: Constituent, folder: Path) -> Path:
    """Write the file of a constituent; its header says that it is synthetic.

    Parameters
    ----------
    constituent
        What it holds.
    folder
        The folder.
    """
    from astropy.io import fits

    primary = fits.PrimaryHDU()
    header = primary.header
    cards = {
        "TELESCOP": ("XMM", "mission"),
        "SCOPE": (constituent.scope, "instrument or telescope"),
        "TYPEID": (constituent.typeid, "type of calibration data"),
        "ISSUE": (constituent.issue, "issue number"),
        "VALDATE": (constituent.valid_from, "start of validity"),
        "SUBDATE": (DATE, "submission date"),
        "DATE": (DATE, "creation date"),
        "CATEGORY": ("XMMCCF", "category"),
        "EXTSEQU": ("ANY", "order of extensions"),
        "CREATOR": ("daxa.simulate", "program that wrote this file"),
        "SYNTHETI": (True, "not flight calibration"),
        **constituent.header,
    }
    if constituent.valid_to:
        cards["EVALDATE"] = (constituent.valid_to, "end of validity")
    for key, value in cards.items():
        header[key] = value
    sequence = " ".join(extension.name for extension in constituent.extensions)
    header["EXTSEQID"] = sequence
    if len(sequence) > 68:
        header["LONGSTRN"] = ("OGIP 1.0", "long string values are continued")
    header["COMMENT"] = "SYNTHETIC calibration: describes simulated cameras, not the flight instruments."
    for comment in constituent.comments:
        header["COMMENT"] = comment
    schemas = layout_of(constituent.scope, constituent.typeid)
    hdus: list[fits.PrimaryHDU | fits.ImageHDU | fits.BinTableHDU] = [primary]
    for extension in constituent.extensions:
        if isinstance(extension.data, np.ndarray):
            image = fits.ImageHDU(extension.data, name=extension.name)
            image.header.update({"SYNTHETI": (True, "not flight calibration"), **extension.header})
            hdus.append(image)
            continue
        schema = extension.schema or schemas.get(extension.name) or next(iter(schemas.values()))
        schema = [_as_written(column, extension) for column in schema if column.name in extension.data]
        keywords = {"SYNTHETI": (True, "not flight calibration"), **extension.header}
        hdu = make_table(schema, extension.data, extension.name, keywords)
        # The constructor puts names in capitals; those of pattern libraries are SUBMODE values.
        hdu.header["EXTNAME"] = extension.name
        for column, shape in extension.shapes.items():
            hdu.columns.change_attrib(column, "dim", str(shape).replace(" ", ""))
        hdus.append(hdu)
    path = folder / constituent.name
    with replacing_file(path) as temporary:
        fits.HDUList(hdus).writeto(temporary, overwrite=True)
    return path


def _as_written(column: Column, extension: Extension) -> Column:
    """The column of the layout with the width that its data have."""
    shape = np.shape(extension.data[column.name])
    width = column.repeat if column.letter == "A" or len(shape) < 2 else shape[1]
    return replace(column, form=f"{width or 1}{extension.letters.get(column.name, column.letter)}")


def table_columns(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Columns by name from rows.

    Parameters
    ----------
    columns
        Their names.
    rows
        The rows, each with a value per column.
    """
    return {name: [row[i] for row in rows] for i, name in enumerate(columns)}
