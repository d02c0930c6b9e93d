"""What damaged raw files raise, and how it is told."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Any

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
