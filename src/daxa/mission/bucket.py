"""One page of the listing of an S3 bucket, read without trusting it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from daxa.plain import foreign

# deeper than any listing is
_DEPTH = 10
_ITEM = ("Key", "Size", "ETag")
_OF_PAGE = ("IsTruncated", "NextContinuationToken")


@dataclass
class Page:
    """What a page lists.

    Attributes
    ----------
    items
        For each object ``Key``, ``Size`` and ``ETag`` as far as they are given.
    token
        What the next page is asked for with; empty if there is none.
    """

    items: list[dict[str, str]] = field(default_factory=list)
    token: str = ""


def read_page(text: str) -> Page:
    """Read a page.

    Parameters
    ----------
    text
        The answer of the bucket (ListObjectsV2).

    Raises
    ------
    ValueError
        It is not a page of a listing, or has what no such page has: definitions of entities, or elements
        within elements without end.
    """
    reader = _Reader()
    try:
        reader.parser.Parse(text, True)
    except expat.ExpatError as err:
        raise ValueError(foreign(err)) from err
    if reader.root != "ListBucketResult":
        raise ValueError(f"the answer is {foreign(reader.root, 60) or 'empty'}")
    if reader.values.get("IsTruncated", "").strip().lower() == "true":
        reader.page.token = reader.values.get("NextContinuationToken", "")
    return reader.page


class _Reader:
    """Takes from the parser what is wanted, and keeps nothing else."""

    def __init__(self) -> None:
        self.page, self.root = Page(), ""
        self.values: dict[str, str] = {}
        self._path: list[str] = []
        self._text: list[str] = []
        self.parser = expat.ParserCreate()
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text.append

    def _refuse(self, *args: Any) -> None:
        raise ValueError("it defines entities")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._path) >= _DEPTH:
            raise ValueError(f"elements more than {_DEPTH} deep")
        name = name.rpartition(":")[2]
        self.root = self.root or name
        self._path.append(name)
        self._text.clear()
        if self._path[1:] == ["Contents"]:
            self.page.items.append({})

    def _end(self, name: str) -> None:
        where, text = self._path[1:], "".join(self._text)
        self._path.pop()
        self._text.clear()
        if len(where) == 2 and where[0] == "Contents" and where[1] in _ITEM:
            self.page.items[-1][where[1]] = text
        elif len(where) == 1 and where[0] in _OF_PAGE:
            self.values[where[0]] = text
