"""Text from outside as text: nothing in it that a terminal, a page or a reader would obey.

Names and messages of servers, archive files and catalogues pass here before they are shown or kept.
"""

from __future__ import annotations

import unicodedata
from difflib import get_close_matches


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


def duration(seconds: float) -> str:
    """A time as people say it, the coarser the longer it is.

    Parameters
    ----------
    seconds
        The time [s].

    Examples
    --------
    >>> duration(2.44), duration(44.6), duration(83.5), duration(2400), duration(145800)
    ('2.4 s', '45 s', '1 min 24 s', '40 min', '40 h 30 min')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        large, small, units = whole // 60, whole % 60, ("min", "s")
    else:
        large, small, units = whole // 3600, whole % 3600 // 60, ("h", "min")
    return f"{large} {units[0]}" + (f" {small} {units[1]}" if small else "")


def nearest(name: str, known: list[str]) -> str:
    """What to say of an unknown name: the nearest known one, or all of them.

    Parameters
    ----------
    name
        The unknown name.
    known
        All names there are.

    Examples
    --------
    >>> nearest("hitresh", ["hithresh", "lothresh"])
    "did you mean 'hithresh'?"
    """
    close = get_close_matches(name, known, 1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
