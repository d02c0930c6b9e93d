"""Files, HDUs and headers of astropy, for what needs more than blocks of bytes.

astropy.io.fits is imported when the first of them is opened or made: its import takes longer than most
selections. Where keywords and columns are enough, :mod:`daxa.xmm.fits.file` is quicker.

Parameters
----------
hdu
    The block.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

if TYPE_CHECKING:
    from astropy.io.fits import BinTableHDU, HDUList, Header, ImageHDU, PrimaryHDU

__all__ = [
    "BinTableHDU", "HDUList", "Header", "ImageHDU", "PrimaryHDU", "empty_header", "first_header", "hdu_list",
    "image_hdu", "is_image", "is_primary", "is_table", "make_column", "open_hdus", "primary_hdu",
    "table_hdu", "table_of", "unreadable", "verify_error", "write_hdus",
]  # fmt: skip


def open_hdus(source: Any, **options: Any) -> HDUList:
    """Open a file, or anything that bytes can be read from; options as of ``astropy.io.fits.open``.

    Parameters
    ----------
    source
        A path, or an opened file.
    **options
        Options of ``astropy.io.fits.open``.

    Raises
    ------
    OSError
        It cannot be read, or is not FITS.
    """
    from astropy.io import fits

    return fits.open(source, **options)


def write_hdus(target: str | os.PathLike[str], hdus: Iterable[Any], **options: Any) -> None:
    """Write a file; options as of ``HDUList.writeto``.

    Parameters
    ----------
    target
        The file.
    hdus
        Its blocks; one that may stand first comes first.
    **options
        Options of ``HDUList.writeto``, e.g. ``overwrite``.

    Raises
    ------
    OSError
        It exists and may not be overwritten, or cannot be written.
    """
    from astropy.io import fits

    fits.HDUList(list(hdus)).writeto(target, **options)


def first_header(path: str | os.PathLike[str]) -> Header:
    """The first header of a file, which may be compressed.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    OSError
        It cannot be read, or is not FITS.
    """
    from astropy.io import fits

    return fits.getheader(path)


def empty_header(cards: Iterable[Any] = ()) -> Header:
    """A header of some cards.

    Parameters
    ----------
    cards
        What makes cards: (keyword, value) or (keyword, value, comment).
    """
    from astropy.io import fits

    return fits.Header(list(cards))


def primary_hdu(data: npt.NDArray[Any] | None = None, header: Header | None = None) -> PrimaryHDU:
    """A first block, empty or with an image (ny, nx).

    Parameters
    ----------
    data
        The image, any number of axes, the last the fastest; None: no data.
    header
        Its header.
    """
    from astropy.io import fits

    return fits.PrimaryHDU(data, header)


def image_hdu(data: npt.NDArray[Any] | None = None, name: str = "") -> ImageHDU:
    """An image (ny, nx) that is not the first block.

    Parameters
    ----------
    data
        The image.
    name
        Name of the extension.
    """
    from astropy.io import fits

    return fits.ImageHDU(data, name=name)


def table_hdu(data: Any, header: Header | Mapping[str, Any] | None = None) -> BinTableHDU:
    """A table of rows with the header of another one.

    Parameters
    ----------
    data
        The rows: a structured array, or the data of another table.
    header
        The header.
    """
    from astropy.io import fits

    return fits.BinTableHDU(data, header)


def hdu_list(hdus: Iterable[Any]) -> HDUList:
    """Blocks found by number or name.

    Parameters
    ----------
    hdus
        The blocks.
    """
    from astropy.io import fits

    return fits.HDUList(list(hdus))


def table_of(columns: Iterable[Any], name: str, after: BinTableHDU | None = None) -> BinTableHDU:
    """A table of columns made by :func:`make_column`, behind those of another one.

    Parameters
    ----------
    columns
        The columns, of equal length.
    name
        Name of the extension.
    after
        Table whose columns stand before these.
    """
    from astropy.io import fits

    made = fits.ColDefs(list(columns))
    return fits.BinTableHDU.from_columns(made if after is None else after.columns + made, name=name)


def table_from_bytes(block: bytes) -> BinTableHDU:
    """A table extension from its bytes.

    Parameters
    ----------
    block
        Header and data as they stand in a file.
    """
    from astropy.io import fits

    return fits.BinTableHDU.fromstring(block)


def make_column(name: str, form: str, **options: Any) -> Any:
    """A column; options as of ``astropy.io.fits.Column``.

    Parameters
    ----------
    name
        Name of the column.
    form
        Its format, e.g. ``1E``.
    **options
        Options of ``astropy.io.fits.Column``, e.g. ``array`` and ``unit``.
    """
    from astropy.io import fits

    return fits.Column(name, form, **options)


def is_table(hdu: Any) -> bool:
    """Whether a block is a binary table."""
    from astropy.io import fits

    return isinstance(hdu, fits.BinTableHDU)


def is_image(hdu: Any) -> bool:
    """Whether a block is an image that is stored as such, or empty."""
    from astropy.io import fits

    return isinstance(hdu, (fits.PrimaryHDU, fits.ImageHDU))


def is_primary(hdu: Any) -> bool:
    """Whether a block is made to stand first."""
    from astropy.io import fits

    return isinstance(hdu, fits.PrimaryHDU)


def verify_error() -> type[Exception]:
    """What astropy raises for cards that it cannot read."""
    from astropy.io import fits

    return fits.VerifyError


def unreadable() -> tuple[type[Exception], ...]:
    """What damaged headers and tables raise in the library that reads them."""
    known = (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, MemoryError)
    return (*known, verify_error())
