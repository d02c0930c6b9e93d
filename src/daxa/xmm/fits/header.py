"""Headers of FITS files, their cards kept as they stand in the file and read when they are asked for.

Access is that of astropy's ``Header``, whose import takes longer than most selections; what is written here
astropy reads as the same values, and the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from astropy.io import fits

BLOCK = 2880
_WIDTH = 80
#: Longest string that fits a card with its quotes, and longest keyword.
_LONGEST = 68
_KEYWORD = 8
_END = re.compile(rb"END {77}")
_STRING = re.compile(r"\s*'((?:[^']|'')*)'\s*(?:/ ?(.*))?")
_OTHER = re.compile(r"\s*([^/]*?)\s*(?:/ ?(.*))?")
_INTEGER = re.compile(r"[-+]?\d+")
_STRUCTURE = re.compile(
    r"(SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|BSCALE|BZERO|BLANK|CHECKSUM|DATASUM|"
    r"TFIELDS|THEAP|T(TYPE|FORM|UNIT|NULL|SCAL|ZERO|DISP|DIM|BCOL|LMIN|LMAX|DMIN|DMAX|CTYP|CRPX|CRVL|CDLT|CUNI)\d+)"
)
_COMMENTARY = ("COMMENT", "HISTORY", "")


class Card:
    """One keyword with its value and comment; not changed once made.

    Parameters
    ----------
    keyword
        The keyword.
    value
        Its value: text, a number, a boolean, or None.
    comment
        Its comment.
    text
        The card as it stands in a file, read when it is asked for; then value and comment are not used.
    """

    __slots__ = ("_content", "_text", "keyword")

    def __init__(self, keyword: str, value: Any = None, comment: str = "", text: str = "") -> None:
        self.keyword = keyword.upper()
        self._text = text
        self._content: tuple[Any, str] | None = None if text else (value, comment)

    @property
    def value(self) -> Any:
        """Its value: text, a number, a boolean, or None.

        Raises
        ------
        ValueError
            It is none of these.
        """
        return self._read()[0]

    @property
    def comment(self) -> str:
        """Its comment."""
        return self._read()[1]

    @property
    def text(self) -> str:
        """The card as it stands in a file, a multiple of 80 characters."""
        if not self._text:
            self._text = _format(self.keyword, *self._read())
        return self._text

    def _read(self) -> tuple[Any, str]:
        if self._content is None:
            value, comment = _parse(self.keyword, self._text)
            # Blanks around a comment are not part of it, as for astropy.
            self._content = value, comment.strip()
        return self._content


class Header(MutableMapping[str, Any]):
    """Cards in order, found by their keyword (the first of several alike).

    Parameters
    ----------
    cards
        :class:`Card` objects, or tuples of keyword, value and comment.

    Examples
    --------
    >>> header = Header([("TSTART", 100.5, "[s] start"), ("INSTRUME", "EMOS1")])
    >>> header["TSTART"], header.comments["TSTART"], "FILTER" in header
    (100.5, '[s] start', False)
    """

    def __init__(self, cards: Iterable[Card | tuple[Any, ...]] = ()) -> None:
        self._cards: list[Card] = []
        self._places: dict[str, int] | None = {}
        for card in cards:
            self.append(card)

    @classmethod
    def fromstring(cls, text: str | bytes) -> Header:
        """Split the header of a file into its cards, up to END.

        Parameters
        ----------
        text
            Cards of 80 characters each.
        """
        text = text.decode("latin-1") if isinstance(text, bytes) else text
        header = cls()
        header._places = None
        cards = header._cards
        for i in range(0, len(text), _WIDTH):
            line = text[i : i + _WIDTH].ljust(_WIDTH)
            keyword = line[:8].rstrip()
            if keyword == "END":
                break
            if keyword == "CONTINUE" and cards and _has_value(cards[-1]._text):
                cards[-1] = Card(cards[-1].keyword, text=cards[-1]._text + line)
                continue
            if keyword == "HIERARCH" and "=" in line:
                keyword = line[9 : line.index("=")].strip()
            cards.append(Card(keyword, text=line))
        return header

    def _place(self, key: str) -> int | None:
        if self._places is None:
            self._places = {}
            for i, card in enumerate(self._cards):
                self._places.setdefault(card.keyword, i)
        return self._places.get(key.upper())

    def card(self, key: str) -> Card:
        """The card of a keyword.

        Parameters
        ----------
        key
            The keyword, in any case.

        Raises
        ------
        KeyError
            There is none.
        """
        place = self._place(key)
        if place is None:
            raise KeyError(f"keyword {key} not found")
        return self._cards[place]

    def __getitem__(self, key: str) -> Any:
        return self.card(key).value

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._place(key) is not None

    def __iter__(self) -> Iterator[str]:
        return (card.keyword for card in self._cards)

    def __len__(self) -> int:
        return len(self._cards)

    def __setitem__(self, key: str, value: Any) -> None:
        value, comment = (*value, None)[:2] if isinstance(value, tuple) else (value, None)
        self.set(key, value, comment)

    def set(self, key: str, value: Any, comment: str | None = None, after: str | None = None) -> None:
        """Set a keyword; a comment that is not given stays. New ones go to the end, or behind another.

        Parameters
        ----------
        key, value, comment
            The keyword, its new value and comment.
        after
            The keyword behind which a new one goes.
        """
        place = self._place(key)
        if place is not None:
            old = self._cards[place]
            self._cards[place] = Card(key, value, old.comment if comment is None else comment)
            return
        card = Card(key, value, comment or "")
        before = None if after is None else self._place(after)
        if before is None:
            self.append(card)
        else:
            self._cards.insert(before + 1, card)
            self._places = None

    def append(self, card: Card | tuple[Any, ...]) -> None:
        """Add a card at the end, taking up a blank one if there is room reserved.

        Parameters
        ----------
        card
            A card, or keyword, value and perhaps a comment.
        """
        card = card if isinstance(card, Card) else Card(*card)
        cards = self._cards
        end = len(cards)
        while end and not cards[end - 1].text.strip():
            end -= 1
        if self._places is not None:
            self._places.setdefault(card.keyword, end)
        cards[end : end + 1] = [card]

    def discard(self, *keys: str) -> None:
        """Delete all cards of some keywords, if there are any.

        Parameters
        ----------
        keys
            The keywords.
        """
        wanted = {key.upper() for key in keys if key in self}
        if wanted:
            self._cards = [c for c in self._cards if c.keyword not in wanted]
            self._places = None

    def __delitem__(self, key: str) -> None:
        self.card(key)
        self.discard(key)

    @property
    def cards(self) -> tuple[Card, ...]:
        """All cards."""
        return tuple(self._cards)

    @property
    def comments(self) -> _Comments:
        """Comments by keyword."""
        return _Comments(self)

    def copy(self, strip: bool = False) -> Header:
        """A copy; ``strip`` leaves out what describes the structure of the data.

        Parameters
        ----------
        strip
            Leave out SIMPLE, BITPIX, NAXISn, TFORMn and the like.
        """
        cards = (c for c in self._cards if not (strip and _STRUCTURE.fullmatch(c.keyword)))
        new = Header()
        new._cards, new._places = list(cards), None
        return new

    def tostring(self) -> str:
        """The header as it stands in a file, with END and padding."""
        text = "".join(card.text for card in self._cards) + "END".ljust(_WIDTH)
        return text.ljust(-(-len(text) // BLOCK) * BLOCK)

    def to_astropy(self) -> fits.Header:
        """The same for astropy."""
        from astropy.io import fits

        return fits.Header.fromstring(self.tostring())


def other_cards(header: Any) -> dict[str, tuple[Any, str]]:
    """Cards of a header, astropy's too, that neither describe the structure of its data nor name them.

    Parameters
    ----------
    header
        The header, ours or astropy's.

    Returns
    -------
    dict
        Value and comment of each keyword; blank ones are left out.
    """
    return {
        card.keyword: (card.value, card.comment)
        for card in header.cards
        if card.keyword and card.keyword != "EXTNAME" and not _STRUCTURE.fullmatch(card.keyword)
    }


def read_raw_header(stream: BinaryIO, first: bytes | None = None) -> bytes:
    """The next header of an opened file as it stands there; empty at the end of the file.

    Parameters
    ----------
    stream
        The file, behind the first block of the header if that is given.
    first
        This block, if it has been read.

    Raises
    ------
    OSError
        The file ends within the header.
    """
    raw = bytearray(stream.read(BLOCK) if first is None else first)
    while raw and not any(m.start() % _WIDTH == 0 for m in _END.finditer(raw, max(0, len(raw) - BLOCK))):
        more = stream.read(BLOCK)
        if len(more) < BLOCK:
            raise OSError("the file ends within a header")
        raw += more
    if len(raw) % BLOCK:
        raise OSError("the file ends within a header")
    return bytes(raw)


def read_header(stream: BinaryIO) -> Header | None:
    """The next header of an opened file; None at its end.

    Parameters
    ----------
    stream
        The file, at the beginning of a header.

    Raises
    ------
    OSError
        The file ends within the header.
    """
    raw = read_raw_header(stream)
    return Header.fromstring(raw) if raw else None


def find_card(raw: bytes, key: str) -> Card | None:
    """The first card of a keyword in a header as it stands in a file, the others left unread.

    Parameters
    ----------
    raw
        The header.
    key
        The keyword, in capitals.

    Examples
    --------
    >>> find_card(b"NAXIS   =                    2".ljust(80), "NAXIS").value
    2
    """
    wanted = key.ljust(8).encode()
    start = raw.find(wanted)
    while start % _WIDTH and start > 0:
        start = raw.find(wanted, start + 1)
    if start < 0:
        return None
    end = start + _WIDTH
    while raw.startswith(b"CONTINUE", end):
        end += _WIDTH
    return Card(key, text=raw[start:end].decode("latin-1"))


class _Comments:
    def __init__(self, header: Header) -> None:
        self._header = header

    def __getitem__(self, key: str) -> str:
        return self._header.card(key).comment

    def __setitem__(self, key: str, comment: str) -> None:
        self._header.set(key, self._header[key], comment)


def _has_value(text: str) -> bool:
    return text[8:10] == "= " or (text.startswith("HIERARCH ") and "=" in text[:_WIDTH])


def _parse(keyword: str, text: str) -> tuple[Any, str]:
    if keyword in _COMMENTARY or "=" not in text[:_WIDTH] or (text[8] != "=" and text[:8] != "HIERARCH"):
        return text[8:].rstrip(), ""
    start = text.index("=") + 1
    found = _STRING.fullmatch(text[start:_WIDTH].rstrip())
    if found:
        value, comment = found[1], found[2] or ""
        for i in range(_WIDTH, len(text), _WIDTH):
            more = _STRING.fullmatch(text[i + 8 : i + _WIDTH].rstrip())
            if not more or not value.endswith("&"):
                break
            value, comment = value[:-1] + more[1], comment + (more[2] or "")
        return value.replace("''", "'").rstrip(), comment.rstrip()
    plain = _OTHER.fullmatch(text[start:_WIDTH].rstrip())
    word, comment = (plain[1], plain[2] or "") if plain else ("", "")
    if word in ("T", "F"):
        return word == "T", comment
    if not word:
        return None, comment
    if _INTEGER.fullmatch(word):
        return int(word), comment
    try:
        return float(word.upper().replace("D", "E")), comment
    except ValueError:
        raise ValueError(f"keyword {keyword}: {word!r} is not a value") from None


def plain_text(text: str) -> str:
    """Text as a FITS header can hold it: blanks of any kind as spaces, what is not ASCII escaped.

    Parameters
    ----------
    text
        Any text.

    Examples
    --------
    >>> plain_text("PI > 500\\n&& gti(josé.fits, TIME)")
    'PI > 500 && gti(jos\\\\xe9.fits, TIME)'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_plain_character(c) for c in text)


def _plain_character(character: str) -> str:
    if character.isspace():
        return " "
    if character.isascii() and character.isprintable():
        return character
    return character.encode("unicode_escape").decode()


def _format(keyword: str, value: Any, comment: str) -> str:
    if keyword in _COMMENTARY:
        text = plain_text(str(value))
        pieces = [text[i : i + 72] for i in range(0, len(text), 72)] or [""]
        return "".join(f"{keyword:8}{piece:72}" for piece in pieces)
    if not re.fullmatch(r"[A-Z0-9_-]+", keyword):
        raise ValueError(f"{keyword!r} is not a keyword of a FITS header")
    # Longer keywords than the standard has by the HIERARCH convention, as CFITSIO writes them.
    start = f"{keyword:8}= " if len(keyword) <= _KEYWORD else f"HIERARCH {keyword} = "
    tail = f" / {plain_text(comment)}" if comment else ""
    if isinstance(value, str):
        quoted = plain_text(value).replace("'", "''")
        if len(start) + len(quoted) + 2 > _WIDTH:
            return _long(start, quoted, tail)
        word = f"'{quoted:8}'".ljust(20)
    else:
        word = _number(keyword, value).rjust(20)
    # A comment that is too long is cut: the value is what counts.
    return (start + word + tail)[:_WIDTH].ljust(_WIDTH)


def _long(start: str, quoted: str, tail: str) -> str:
    """A string over several cards by the CONTINUE convention."""
    lines: list[str] = []
    while len(quoted) > (room := _LONGEST if lines else _WIDTH - len(start) - 2):
        cut = room - 1
        # Two quotes that stand for one stay together.
        cut -= (len(quoted[:cut]) - len(quoted[:cut].rstrip("'"))) % 2
        lines.append(f"'{quoted[:cut]}&'")
        quoted = quoted[cut:]
    lines.append((f"'{quoted}'" + tail)[: _LONGEST + 2])
    starts = [start, *["CONTINUE  "] * (len(lines) - 1)]
    return "".join((s + line).ljust(_WIDTH) for s, line in zip(starts, lines, strict=True))


def _number(keyword: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (bool, np.bool_)):
        return "T" if value else "F"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)) and np.isfinite(value):
        text = str(value).upper()
        return text if "." in text or "E" in text else text + ".0"
    raise ValueError(f"keyword {keyword}: {value!r} is not a value of a FITS header")
