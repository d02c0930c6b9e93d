"""Files that selection expressions name, and the error that says where an expression is wrong."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from daxa.ds9 import is_text, read_regions
from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.fits.file import is_fits
from daxa.xmm.fits.hdus import is_table, open_hdus
from daxa.xmm.select.ds9 import Plane
from daxa.xmm.select.regions import ImageMask, Region


class SelectionError(TaskError):
    """An expression cannot be understood or evaluated; the message shows where.

    Parameters
    ----------
    message
        What is wrong.
    text
        The expression; empty if it is not known.
    position
        Index of the character at fault.

    Attributes
    ----------
    position
        Index of the character at fault in the expression as given.
    """

    def __init__(self, message: str, text: str = "", position: int = 0) -> None:
        self.position = position
        if text:
            start = max(0, position - 60)
            cut = text[start : position + 60].replace("\n", " ")
            message = f"{message} at character {position + 1} of the expression:\n    {cut}\n    "
            message += " " * (position - start) + "^"
        super().__init__("invalidExpression", message)


class Files:
    """Reads the blocks that an expression names: ``set``, ``set:id``, ``set[id]``, ``set+n`` or ``:id``.

    Parameters
    ----------
    folder
        What relative paths refer to.
    current
        File meant by a block without a file name.
    """

    def __init__(
        self, folder: str | os.PathLike[str] = ".", current: str | os.PathLike[str] | None = None
    ) -> None:
        self.folder = Path(folder)
        self.current = None if current is None else self.folder / current

    def resolve(self, block: str) -> tuple[Path, str | int | None]:
        """File and extension (name or HDU index, None for the first fitting one) of a block.

        Parameters
        ----------
        block
            As written in an expression.

        Raises
        ------
        SelectionError
            The block names no file, and there is no current one.
        """
        path, identifier = split_block(block)
        file = self.folder / Path(path).expanduser() if path else self.current
        if file is None or not (path or identifier):
            # Nothing at all, as of an empty shell variable, is not meant as "this file".
            raise SelectionError("no file is named")
        return file, identifier

    def gti(self, block: str) -> GTI:
        """Intervals of a GTI table.

        Parameters
        ----------
        block
            As written in an expression.

        Raises
        ------
        SelectionError
            There is no such table, or the file cannot be read.
        """
        file, identifier = self.resolve(block)
        try:
            return GTI.read(file, identifier)
        except (OSError, KeyError, ValueError) as error:
            raise SelectionError(f"gti({block}): {_reason(error, file)}") from error

    def region(self, block: str, plane: Plane | None = None) -> Region:
        """Shapes of a region table, or of regions of ds9.

        Parameters
        ----------
        block
            As written in an expression; or regions of ds9 as text.
        plane
            Where regions of ds9 are to lie; without it only tables are understood.

        Raises
        ------
        SelectionError
            There is no such table, or it is not a region table; or it is no region of ds9.
        """
        if plane is not None and (regions := self.ds9(block)) is not None:
            try:
                where = "region" if is_text(block) else f"region({block})"
                return plane.region(read_regions(regions), where)
            except (OSError, ValueError) as error:
                raise SelectionError(f"region({block}): {error}") from error
        file, identifier = self.resolve(block)
        try:
            with open_hdus(file) as hdus:
                if identifier is None:
                    tables = [h for h in hdus if is_table(h)]
                    fitting = [h for h in tables if "SHAPE" in (n.upper() for n in h.columns.names)]
                    if not fitting:
                        raise SelectionError(f"region({block}): no table with a column SHAPE")
                    return Region.from_hdu(fitting[0], str(file))
                return Region.from_hdu(hdus[identifier], str(file))
        except (OSError, KeyError, ValueError) as error:
            raise SelectionError(f"region({block}): {_reason(error, file)}") from error

    def ds9(self, block: str) -> str | Path | None:
        """The text, or the file, of regions of ds9; None if the block names something else.

        Parameters
        ----------
        block
            As for :meth:`region`.
        """
        plain = block.strip()
        if len(plain) > 1 and plain[0] == plain[-1] and plain[0] in "\"'":
            plain = plain[1:-1]
        if is_text(plain):
            return plain
        file = self.folder / Path(plain).expanduser()
        return file if plain and file.is_file() and not is_fits(file) else None

    def image(self, block: str) -> ImageMask:
        """Pixels of an image.

        Parameters
        ----------
        block
            As written in an expression.

        Raises
        ------
        SelectionError
            There is no such image, or it has not two axes.
        """
        file, identifier = self.resolve(block)
        try:
            with open_hdus(file) as hdus:
                images = [h for h in hdus if h.is_image and h.header.get("NAXIS") == 2]
                if identifier is not None:
                    images = [hdus[identifier]]
                if not images or np.ndim(images[0].data) != 2:
                    raise SelectionError(f"mask({block}): no image with two axes")
                return ImageMask.from_hdu(images[0].data, images[0].header)
        except (OSError, KeyError) as error:
            raise SelectionError(f"mask({block}): {_reason(error, file)}") from error


def _reason(error: Exception, file: Path) -> str:
    """Why a file cannot be read, in words that a user of the language understands."""
    if not file.exists():
        return f"{file}: no such file"
    if file.is_dir():
        return f"{file} is a folder"
    if isinstance(error, OSError) and not is_fits(file):
        return f"{file} is not a FITS file; a table (of a region or of good times) or an image is expected"
    return str(error.args[0] if isinstance(error, KeyError) and error.args else error)


def split_block(block: str) -> tuple[str, str | int | None]:
    """File name and extension of a block specification.

    Parameters
    ----------
    block
        ``set``, ``set:id``, ``set[id]``, ``set+n`` or ``:id``, quoted or not.

    Returns
    -------
    path, identifier
        The file (empty if none is named), and name or number of the extension, None if none is given.

    Examples
    --------
    >>> split_block("a/evt.fits:EVENTS"), split_block("b.fits[GTI0]"), split_block("c.ds+2")
    (('a/evt.fits', 'EVENTS'), ('b.fits', 'GTI0'), ('c.ds', 2))
    """
    block = block.strip().strip("\"'")
    bracket = re.fullmatch(r"(.*)\[([^\]]*)\]", block)
    if bracket:
        path, identifier = bracket.groups()
    else:
        colon = re.fullmatch(r"(.*):([^:/\\]*)", block)
        plus = re.fullmatch(r"(.*)\+(\d+)", block)
        if colon:
            path, identifier = colon.groups()
        elif plus and not os.path.exists(block):
            path, identifier = plus.groups()
        else:
            return block, None
    identifier = identifier.strip().strip("\"'")
    if not identifier:
        return path, None
    return path, int(identifier) if identifier.isdigit() else identifier
