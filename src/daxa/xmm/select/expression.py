"""The selection-expression language: text in, a boolean per row out.

Source: selectlib manual. The grammar is in ``selection.lark``. C and Fortran operators may be mixed and are
case-insensitive, as are function names; names of columns are, too, where no two differ only in case, as the
FITS standard (4.0, 7.3.2) wants it. ``#NAME`` is replaced by the text of that header keyword before parsing
(in parentheses, recursively).

Choices where the manual is silent: bit operators bind tighter than comparisons; integer / integer is
real, so that ``PI/1000 == 1`` is true of PI 1000 only; ``%`` has the sign of its left side; ``gti`` intervals
are closed at the start and open at the end. What is allowed but hardly meant (``^`` for a power, a negative
radius) is warned of.

Examples
--------
>>> import numpy as np
>>> selection = compile("(PI in [500:2000]) && #GOOD", {"GOOD": "FLAG == 0"})
>>> selection.mask({"PI": np.array([400, 500, 600]), "FLAG": np.array([0, 0, 1])}).tolist()
[False, True, False]
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.select import nodes
from daxa.xmm.select.blocks import Files, SelectionError, split_block
from daxa.xmm.select.builder import Builder
from daxa.xmm.select.nodes import Node, Rows

__all__ = ["Files", "Selection", "SelectionError", "compile", "expand", "parse", "split_block"]

#: Symbolic constants; angles in radians.
CONSTANTS = {
    "PI": math.pi,
    "E": math.e,
    "DEG": math.pi / 180,
    "ARCMIN": math.pi / 10800,
    "ARCSEC": math.pi / 648000,
}
_MACRO = re.compile(r"#([A-Za-z][A-Za-z0-9_-]*)|\"[^\"]*\"|'[^']*'")
_PLAIN = re.compile(r"\s*[-+]?[0-9][0-9.eExXa-fA-F+-]*\s*$")


def expand(
    text: str, header: Mapping[str, Any] | None = None, parentheses: bool = True
) -> tuple[str, list[int]]:
    """Replace ``#NAME`` by symbolic constants and header values, recursively.

    Parameters
    ----------
    text
        The expression.
    header
        Where values come from.
    parentheses
        Put each value that is not a number in parentheses, as is needed to keep its meaning.

    Returns
    -------
    expanded, origin
        The text, and for each of its characters (and one past the end) the position in ``text`` it comes
        from.

    Raises
    ------
    SelectionError
        The header has no such keyword, or a value refers to itself.

    Examples
    --------
    >>> expand("#GOOD && PI > 300", {"GOOD": "FLAG == 0"})[0]
    '(FLAG == 0) && PI > 300'
    """
    return _expand(text, {} if header is None else header, text, 0, (), parentheses)


def _expand(
    text: str,
    header: Mapping[str, Any],
    whole: str,
    fixed: int,
    inside: tuple[str, ...],
    parentheses: bool,
) -> tuple[str, list[int]]:
    out: list[str] = []
    origin: list[int] = []
    last = 0

    def at(position: int) -> int:
        return fixed if inside else position

    for match in _MACRO.finditer(text):
        name = match.group(1)
        if name is None or name.upper() == "ROW":
            continue
        out.append(text[last : match.start()])
        origin += [at(i) for i in range(last, match.start())]
        here = at(match.start())
        if name in inside:
            raise SelectionError(f"#{name} refers to itself", whole, here)
        if name in header:
            value = header[name]
            value = ("true" if value else "false") if isinstance(value, (bool, np.bool_)) else str(value)
            piece, _ = _expand(value, header, whole, here, (*inside, name), parentheses)
            piece = piece.strip()
            if parentheses and not _PLAIN.match(piece):
                piece = f"({piece})"
        elif name.upper() in CONSTANTS:
            piece = repr(CONSTANTS[name.upper()])
        else:
            raise SelectionError(f"unknownAttribute: the table's header has no keyword {name}", whole, here)
        out.append(piece)
        origin += [here] * len(piece)
        last = match.end()
    out.append(text[last:])
    origin += [at(i) for i in range(last, len(text) + 1)]
    return "".join(out), origin


class _IntervalCommas:
    """Tells the commas of interval lists from those of arguments."""

    always_accept = ()

    def process(self, stream: Any) -> Any:
        depth = 0
        lists: set[int] = set()
        previous = ""
        for token in stream:
            if previous == "IN" and token.type not in ("NAME", "FILTER"):
                lists.add(depth)
            if token.type in ("LPAR", "LSQB", "FILTER"):
                depth += 1
            elif token.type in ("RPAR", "RSQB"):
                lists.discard(depth)
                depth -= 1
            elif token.type in ("_AND", "_OR", "COMMA"):
                lists.discard(depth)
            elif token.type == "LIST_COMMA" and depth not in lists:
                token = token.update(type="COMMA")
            previous = token.type
            yield token


@functools.cache
def parser() -> Any:
    """The parser of expressions; making it takes much longer than using it."""
    import lark

    grammar = Path(__file__).with_name("selection.lark").read_text()
    return lark.Lark(
        grammar, parser="lalr", lexer="basic", propagate_positions=True, postlex=_IntervalCommas()
    )


_FRIENDLY = {"RPAR": "')'", "LPAR": "'('", "NAME": "a name", "INTEGER": "a number", "$END": "the end"}


def parse(text: str) -> Any:
    """The syntax tree of an expression without macros.

    Parameters
    ----------
    text
        The expression; ``#NAME`` is not understood here, see :func:`expand`.

    Raises
    ------
    SelectionError
        The text is not an expression.
    """
    import lark

    try:
        return parser().parse(text)
    except lark.exceptions.UnexpectedToken as error:
        token = error.token
        position = len(text) if token.type == "$END" else token.start_pos
        names = sorted(_FRIENDLY[e] for e in error.accepts | error.expected if e in _FRIENDLY)
        what = "the expression ends too early" if token.type == "$END" else f"unexpected {str(token)!r}"
        hint = f" (expected {' or '.join(names[:3])}, …)" if names else ""
        raise SelectionError(what + hint, text or " ", position) from None
    except lark.exceptions.UnexpectedCharacters as error:
        position = int(error.pos_in_stream or 0)
        char = text[position]
        hint = "; '==' compares" if char == "=" else ""
        raise SelectionError(f"unexpected character {char!r}{hint}", text, position) from None


class Selection:
    """A compiled expression.

    Attributes
    ----------
    text, expanded
        The expression as given, and after macro substitution.
    tree
        Its syntax tree.
    names
        Columns needed, in order of appearance.
    """

    def __init__(self, text: str, expanded: str, tree: Node) -> None:
        self.text = text
        self.expanded = expanded
        self.tree = tree
        self.names = list(dict.fromkeys(n.name for n in tree.walk() if isinstance(n, nodes.Column)))

    def mask(self, columns: Mapping[str, npt.ArrayLike], row0: int = 0) -> npt.NDArray[np.bool_]:
        """Which rows are selected.

        Parameters
        ----------
        columns
            At least those of :attr:`names`, any byte order; one further column tells the number of rows if
            the expression needs none.
        row0
            Rows before these, for ``#ROW``.

        Raises
        ------
        SelectionError
            A column is missing, or an operator does not fit the columns' types.
        """
        missing = [n for n in self.names if n not in columns]
        if missing:
            raise SelectionError(f"the table has no column {missing[0]} (needed by {self.text!r})")
        if self.names:
            count = len(np.asarray(columns[self.names[0]]))
        else:
            count = max((len(np.asarray(c)) for c in columns.values()), default=0)
        return self.rows_mask(Rows(columns, count, row0))

    def rows_mask(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """As :meth:`mask`, for rows whose converted columns are wanted again afterwards.

        Parameters
        ----------
        rows
            The rows, with at least the columns of :attr:`names`.
        """
        try:
            with np.errstate(all="ignore"):
                return self.tree.truth(rows)
        except TypeError as error:
            raise SelectionError(f"{error} (in {self.text!r})") from error


def compile(
    text: str,
    header: Mapping[str, Any] | None = None,
    files: Files | None = None,
    selected: Node | None = None,
) -> Selection:
    """Compile a selection expression.

    Parameters
    ----------
    text
        The expression; an empty one selects everything.
    header
        Header of the table: values of ``#NAME``, column names and column coordinates.
    files
        Finds the files it names; by default relative to the working folder.
    selected
        What ``SELECTED`` stands for: the flag of an earlier selection.

    Raises
    ------
    SelectionError
        With the position of the mistake.
    """
    header = {} if header is None else header
    if text.strip().lower() in ("", "true"):
        return Selection(text, "true", nodes.Const(True))
    expanded, origin = expand(text, header)
    try:
        tree = Builder(expanded, header, files or Files(), selected).condition(parse(expanded))
    except RecursionError:
        raise SelectionError("the expression is nested too deeply") from None
    except SelectionError as error:
        if expanded != text and "at character" in error.message:
            note = f"\n    (macros expanded: {expanded})"
            position = origin[min(error.position, len(origin) - 1)]
            raise SelectionError(
                error.message.split(" at character ")[0], text, position
            ) from SelectionError(note)
        raise
    return Selection(text, expanded, tree)
