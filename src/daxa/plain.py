"""Text from outside as text: nothing in it that a terminal, a page or a reader would obey.

Names and messages of servers, archive files and catalogues pass here before they are shown or kept.
"""

from __future__ import annotations

import unicodedata


def plain_line(text: str) -> str:
    r"""A line in which control characters, and those that turn the direction of writing, are spelt out.

    Parameters
    ----------
    text
        The line; blanks of other kinds become plain ones, tabulators stay.

    Examples
    --------
    >>> plain_line("red: \x1b[31m, turned: \u202e")
    'red: \\x1b[31m, turned: \\u202e'
    """
    return text if text.isprintable() else "".join(map(_plain, text))


def _plain(character: str) -> str:
    if character.isprintable() or character == "\t":
        return character
    return " " if unicodedata.category(character) == "Zs" else repr(character)[1:-1]


def plain_text(text: str) -> str:
    """The same for several lines.

    Parameters
    ----------
    text
        The lines.
    """
    return "\n".join(plain_line(line) for line in text.split("\n"))


def foreign(text: object, longest: int = 300) -> str:
    r"""What somebody else said, in one plain line that is not long.

    Parameters
    ----------
    text
        The words; anything else is turned into text.
    longest
        How many characters are kept.

    Examples
    --------
    >>> foreign("Sorry,\n  \x1b[31mclosed")
    'Sorry, \\x1b[31mclosed'
    """
    line = plain_line(" ".join(str(text)[: 10 * longest].split()))
    return line if len(line) <= longest else line[: longest - 3] + "..."
