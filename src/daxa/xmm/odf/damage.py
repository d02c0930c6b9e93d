"""What damaged raw files raise, and how it is told."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.header import Card, Header
from daxa.xmm.notes import warn_once

#: What astropy raises on damaged files (an AssertionError for the name of a column; it takes a keyword with a
#: star for a pattern).
DAMAGE = (
    OSError, EOFError, zlib.error, ValueError, TypeError, KeyError, IndexError, AttributeError,
    AssertionError, ArithmeticError, MemoryError, re.error,
)  # fmt: skip
#: What numpy and Python say of their own objects.
_RAW_PYTHON = re.compile(
    r"zero-size|could not convert|np\.|invalid literal|broadcast|reshape|dtype|buffer|codec|NaN|ndarray|"
    r"out of bounds|argument"
)


class Unreadable(ValueError):
    """A file cannot be read, for a reason in words."""


class DamagedCard(Card):
    """A card whose value cannot be read; whoever asks for it is refused.

    Parameters
    ----------
    card
        The card as it was read.
    where
        The file, for messages.
    """

    __slots__ = ("_where",)

    def __init__(self, card: Card, where: str) -> None:
        super().__init__(card.keyword, text=card.text)
        self._where = where

    def _read(self) -> tuple[Any, str]:
        raise TaskError("damagedFile", f"{self._where}: keyword {self.keyword} cannot be read")


def with_damage_marked(header: Header, where: str) -> Header:
    """A header that refuses only who asks for a damaged card; each of these is warned of.

    A card that nothing needs, such as the name of the software that wrote the file, must not cost its data.

    Parameters
    ----------
    header
        The header.
    where
        File, for messages.

    Raises
    ------
    Unreadable
        The name of a keyword is damaged: it may stand for any.
    """
    cards = []
    for card in header.cards:
        if "*" in card.keyword or "?" in card.keyword:
            raise Unreadable(f"{card.keyword!r} is not a keyword")
        try:
            _ = card.value
        except ValueError:
            warn_once(
                "damagedCard", f"{where}: keyword {card.keyword} cannot be read; who needs it is refused"
            )
            card = DamagedCard(card, where)
        cards.append(card)
    return Header(cards)


def readable(*headers: Mapping[str, Any], needed: Iterable[str]) -> dict[str, Any]:
    """The cards of headers, earlier ones first, without those that are damaged.

    Parameters
    ----------
    headers
        Headers, as :func:`with_damage_marked` gives them.
    needed
        Keywords that must not be damaged.

    Raises
    ------
    TaskError
        ``damagedFile``: one of these is.
    """
    needed, values = set(needed), {}
    for header in reversed(headers):
        for key in header:
            try:
                values[key] = header[key]
            except TaskError:
                if key in needed:
                    raise
    return values


def check_fields(header: Mapping[str, Any]) -> None:
    """Refuse a table with more columns than FITS allows, which astropy would look for one by one.

    Parameters
    ----------
    header
        Header of the table.

    Raises
    ------
    Unreadable
        TFIELDS is not between 0 and 999.
    """
    if not 0 <= int(header["TFIELDS"]) <= 999:
        raise Unreadable(f"TFIELDS is {header['TFIELDS']}: a table has 999 columns at most")


def damage_text(error: Exception) -> str:
    """What is wrong with a file, in one line: what was found by looking, or astropy's text.

    Errors in which Python speaks of its arrays and objects are told in words.

    Parameters
    ----------
    error
        What was raised when the file was read.
    """
    text = " ".join(str(error).split())
    if isinstance(error, UnicodeDecodeError):
        return "a text with bytes that stand for no character"
    if text == "'recformat'":
        return "a column without format (TFORM)"
    said = isinstance(error, (Unreadable, OSError, EOFError, zlib.error)) or "Verify" in type(error).__name__
    if said or (isinstance(error, ValueError) and not _RAW_PYTHON.search(text)):
        return text
    return "its header does not describe the data behind it"
