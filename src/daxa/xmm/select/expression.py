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
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.fits.schema import name_of_column
from daxa.xmm.notes import warn_once
from daxa.xmm.select import nodes
from daxa.xmm.select.blocks import Files, SelectionError, split_block
from daxa.xmm.select.ds9 import Plane
from daxa.xmm.select.nodes import Node, Rows
from daxa.xmm.select.regions import ALIASES, SHAPES, ColumnSky, Shape

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
_RELATIONS = {".eq.": "==", ".ne.": "!=", ".lt.": "<", ".le.": "<=", ".gt.": ">", ".ge.": ">="}


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


class _Pair(Node):
    def __init__(self, x: Node, y: Node) -> None:
        self.x, self.y = x, y


class _Builder:
    """Turns the parser's tree into nodes, reading the files it names."""

    def __init__(self, text: str, header: Mapping[str, Any], files: Files, selected: Node | None) -> None:
        self.text = text
        self.files = files
        self.selected = selected
        self.header = header
        self.sky = ColumnSky.from_header(header)
        numbers = range(1, int(header.get("TFIELDS", 0)) + 1)
        forms = {str(header[f"TTYPE{i}"]).strip(): str(header.get(f"TFORM{i}", "")) for i in numbers}
        self.columns = set(forms)
        self.texts = {name for name, form in forms.items() if form.strip().rstrip("0123456789").endswith("A")}
        self.unknown = {name for name, form in forms.items() if not form.strip()}

    def is_text(self, node: Node) -> bool:
        """Whether a node's values are text, as far as the header says."""
        if isinstance(node, nodes.Const):
            return isinstance(node.literal, str)
        return isinstance(node, nodes.Column) and node.name in self.texts

    def is_number(self, node: Node) -> bool:
        """Whether a node's values are numbers, as far as the header says."""
        if isinstance(node, nodes.Column):
            return node.name in self.columns - self.texts - self.unknown
        return not self.is_text(node) and not isinstance(node, nodes.Function)

    def condition(self, tree: Any) -> Node:
        """Build what has to be true or false."""
        node = self.build(tree)
        if self.is_text(node):
            raise self.error("a condition is expected, not text; leave the quotes out", tree)
        return node

    def numeric(self, tree: Any) -> Node:
        """Build what has to have numbers for values."""
        node = self.build(tree)
        if self.is_text(node):
            raise self.error("a number is expected, not text", tree)
        return node

    def checked(self, node: Node, tree: Any) -> Node:
        """The node, if its columns are there, and it can be evaluated in case that it is constant."""
        for column in (node, *node.children()):
            if isinstance(column, nodes.Column) and self.columns and column.name not in self.columns:
                raise self.error("RA and DEC are only understood as the pair (RA,DEC)", tree)
        if node.constant:
            try:
                with np.errstate(all="ignore"):
                    node.value(Rows({}, 0))
            except (TypeError, ValueError, ArithmeticError) as error:
                raise self.error(str(error), tree) from None
        return node

    def error(self, message: str, tree: Any) -> SelectionError:
        meta = getattr(tree, "meta", tree)
        return SelectionError(message, self.text, getattr(meta, "start_pos", 0) or 0)

    def build(self, tree: Any, pair: bool = False) -> Node:
        node = getattr(self, str(tree.data))(tree)
        if isinstance(node, _Pair) and not pair:
            raise self.error("a pair (a,b) is only allowed on the left of 'in'", tree)
        return node

    def number(self, tree: Any) -> float:
        """The value of a constant part."""
        node = self.build(tree)
        if not node.constant:
            raise self.error("a constant is expected here", tree)
        value = node.value(Rows({}, 0))
        if isinstance(value, str):
            raise self.error("a number is expected here", tree)
        return value

    # literals and names
    def integer(self, t: Any) -> Node:
        return nodes.Const(int(t.children[0]))

    def real(self, t: Any) -> Node:
        return nodes.Const(float(re.sub("[dD]", "e", t.children[0])))

    def hexadecimal(self, t: Any) -> Node:
        return nodes.Const(int(t.children[0], 16))

    def bits(self, t: Any) -> Node:
        name = str(t.children[0])
        return nodes.Column(name) if name in self.columns else nodes.Const(int(name[1:], 2))

    def string(self, t: Any) -> Node:
        return nodes.Const(str(t.children[0])[1:-1])

    def row(self, t: Any) -> Node:
        return nodes.Row()

    def name(self, t: Any) -> Node:
        name = str(t.children[0])
        if name in self.columns:
            return nodes.Column(name)
        if name.lower() in ("true", "false"):
            return nodes.Const(name.lower() == "true")
        if name == "SELECTED" and self.selected is not None:
            return self.selected
        found = name_of_column(self.columns, name)
        if found is None and self.columns and name.upper() not in ("RA", "DEC"):
            raise self.error(f"the table has no column {name}", t.children[0])
        return nodes.Column(found or (name.upper() if self.columns else name))

    # structure
    def disjunction(self, t: Any) -> Node:
        return nodes.Or(tuple(self.condition(c) for c in t.children))

    def conjunction(self, t: Any) -> Node:
        return nodes.And(tuple(self.condition(c) for c in t.children))

    def negate(self, t: Any) -> Node:
        return nodes.Not(self.condition(t.children[1]))

    def parenthesised(self, t: Any) -> Node:
        return self.build(t.children[1], pair=True)

    def pair(self, t: Any) -> Node:
        return _Pair(self.build(t.children[1]), self.build(t.children[3]))

    def compare(self, t: Any) -> Node:
        operator = str(t.children[1]).lower()
        left, right = self.build(t.children[0]), self.build(t.children[2])
        if any(self.is_text(a) and self.is_number(b) for a, b in ((left, right), (right, left))):
            raise self.error("text cannot be compared with a number", t.children[1])
        return self.checked(nodes.Compare(_RELATIONS.get(operator, operator), left, right), t)

    def binary(self, t: Any) -> Node:
        operator = t.children[1]
        if operator == "^":
            warn_once(
                "exclusiveOr",
                f"'^' at character {operator.start_pos + 1} of {self.text!r} is the exclusive or of bits; "
                "a power is '**'",
            )
        node = nodes.Binary(str(operator), self.numeric(t.children[0]), self.numeric(t.children[2]))
        return self.checked(node, t)

    def unary(self, t: Any) -> Node:
        operand = self.numeric(t.children[1])
        if isinstance(operand, nodes.Const) and str(t.children[0]) == "-":
            return nodes.Const(-operand.literal)
        return self.checked(nodes.Unary(str(t.children[0]), operand), t)

    # membership
    def member(self, t: Any) -> Node:
        left, target = t.children[0], t.children[2]
        node = self.build(left, pair=True)
        kind = str(target.data)
        if kind == "intervals":
            if isinstance(node, _Pair):
                raise self.error("a pair needs a region, not intervals", target)
            if self.is_text(node):
                raise self.error("intervals need a number, not text", left)
            intervals = [self.interval(c) for c in target.children if getattr(c, "data", None)]
            return self.checked(nodes.InIntervals(node, tuple(intervals)), t)
        extra = [node.x, node.y] if isinstance(node, _Pair) else [node]
        return self.call(target, extra) if kind == "call" else self.filter(target, extra)

    def interval(self, t: Any) -> nodes.Interval:
        if t.data == "single":
            value = self.number(t.children[1] if len(t.children) == 3 else t.children[0])
            return nodes.Interval(value, value)
        if t.data == "bracketed":
            opening, inner, closing = t.children
            interval = self.interval(inner)
            return nodes.Interval(
                interval.low,
                interval.high,
                opening == "(" and interval.low is not None,
                closing == ")" and interval.high is not None,
            )
        if t.data == "both":
            return nodes.Interval(self.number(t.children[0]), self.number(t.children[2]))
        if t.data == "from_lower":
            return nodes.Interval(self.number(t.children[0]), None)
        if t.data == "to_upper":
            return nodes.Interval(None, self.number(t.children[1]))
        return nodes.Interval()

    def bare_number(self, t: Any) -> Node:
        node = self.numeric(t.children[-1])
        return nodes.Const(-node.literal) if t.children[0] == "-" else node  # type: ignore[attr-defined]

    def call(self, t: Any, extra: list[Node] | None = None) -> Node:
        token = t.children[0]
        name = str(token).lower()
        name = ALIASES.get(name, name)
        trees = [c for c in t.children[1:] if hasattr(c, "data")]
        if name in SHAPES:
            return self.shape(name, token, trees, extra)
        if name not in nodes.FUNCTIONS:
            known = sorted([*nodes.FUNCTIONS, *SHAPES, *ALIASES, "gti", "mask", "region"])
            raise self.error(f"unknown function {token!s}; known are {', '.join(known)}", token)
        # Only the two values that ifthenelse chooses from may be text.
        arguments = [
            self.build(c) if name == "ifthenelse" and i else self.numeric(c) for i, c in enumerate(trees)
        ] + (extra or [])
        least, most, _ = nodes.FUNCTIONS[name]
        if not least <= len(arguments) <= most:
            raise self.error(f"{token!s} takes {least} argument(s), got {len(arguments)}", token)
        return self.checked(nodes.Function(name, tuple(arguments)), t)

    def shape(self, name: str, token: Any, trees: list[Any], extra: list[Node] | None) -> Node:
        if extra is None:
            extra = [self.numeric(c) for c in trees[-2:]]
            trees = trees[:-2]
        if len(extra) != 2:
            raise self.error(f"{token!s} needs a pair of columns", token)
        try:
            shape = Shape(name, tuple(float(self.number(c)) for c in trees))
        except ValueError as error:
            raise self.error(str(error), token) from None
        for doubt in shape.doubts():
            warn_once("oddRegion", f"{token!s} at character {token.start_pos + 1} of {self.text!r}: {doubt}")
        return self.celestial(nodes.InShape(shape, *extra), token)

    def celestial(self, node: Any, token: Any) -> Node:
        """Turn RA, DEC into the columns they are the coordinates of."""
        names = [getattr(n, "name", None) for n in (node.x, node.y)]
        if names != ["RA", "DEC"] or self.columns >= {"RA", "DEC"}:
            if (set(names) & {"RA", "DEC"}) - self.columns and self.columns:
                raise self.error("RA and DEC are only understood as the pair (RA,DEC)", token)
            return node
        if self.sky is None:
            raise self.error("the table has neither RA, DEC nor columns with celestial coordinates", token)
        declinations = (
            node.shape.args[1::2] if node.shape.name.startswith("polygon") else node.shape.args[1:2]
        )
        if any(abs(d) > 90 for d in declinations):
            raise self.error("a declination of -90 to 90 degrees is expected", token)
        shape = self.sky.shape(node.shape)
        if np.isnan(shape.args).any():
            warn_once(
                "oddRegion",
                f"{token!s} at character {token.start_pos + 1} of {self.text!r}: it is more than 90 deg away "
                "from the field, and nothing is inside",
            )
        return nodes.InShape(shape, *(nodes.Column(n) for n in self.sky.names))

    def filter(self, t: Any, extra: list[Node] | None = None) -> Node:
        token = t.children[0]
        kind, _, block = str(token).partition("(")
        kind, block = kind.strip().lower(), block.strip()
        trees = [c for c in t.children[1:] if hasattr(c, "data")]
        built = [self.build(c) for c in trees]
        try:
            if kind == "gti":
                arguments = built + (extra or [])
                if len(arguments) != 1:
                    raise self.error("gti takes a file and one column: gti(file,TIME)", token)
                if self.is_text(arguments[0]):
                    raise self.error("gti needs a column of times, not text", trees[0] if trees else token)
                return nodes.InGti(self.files.gti(block), arguments[0], block)
            arguments = built + (extra or [])
            if kind == "region":
                arguments = self.on_the_sky(arguments)
                region = self.files.region(block, self.plane(arguments))
                if not arguments and region.columns:
                    arguments = [nodes.Column(name_of_column(self.columns, c) or c) for c in region.columns]
                if len(arguments) != 2:
                    raise self.error("region takes a file and two columns: region(file,X,Y)", token)
                self.check_columns(arguments, token)
                return nodes.InRegion(region, arguments[0], arguments[1], block=block)
            offset = None
            if len(arguments) == 4:
                offset = (float(self.number(trees[0])), float(self.number(trees[1])))
                arguments = arguments[2:]
            if len(arguments) != 2:
                raise self.error(
                    f"{kind} takes a file, two offsets and two columns: mask(file,1,1,X,Y)", token
                )
            image = self.files.image(block)
            names = [getattr(n, "name", None) for n in arguments]
            if self.sky is not None and (kind == "image" or not image.physical) and image.wcs is not None:
                if names == ["RA", "DEC"] and not self.columns >= {"RA", "DEC"}:
                    arguments = [nodes.Column(n) for n in self.sky.names]
                    image = replace(image, sky=self.sky)
                elif names == list(self.sky.names):
                    image = replace(image, sky=self.sky)
            self.check_columns(arguments, token)
            return nodes.InRegion(image, arguments[0], arguments[1], offset=offset, block=block)
        except SelectionError as error:
            if error.position or "character" in error.message:
                raise
            raise self.error(error.message, token) from error

    def on_the_sky(self, arguments: list[Node]) -> list[Node]:
        """The columns that RA, DEC are the coordinates of, in place of these."""
        names = [getattr(n, "name", None) for n in arguments]
        if names == ["RA", "DEC"] and self.sky is not None and not self.columns >= {"RA", "DEC"}:
            return [nodes.Column(n) for n in self.sky.names]
        return arguments

    def plane(self, arguments: list[Node]) -> Plane:
        """The plane of two columns; of those with coordinates on the sky if none are named."""
        if not arguments and self.sky is not None:
            return Plane.of_columns(self.sky.names, self.header)
        names = [str(getattr(n, "name", "")) for n in (*arguments, *(nodes.Const(0),) * 2)[:2]]
        return Plane.of_columns((names[0], names[1]), self.header)

    def check_columns(self, arguments: list[Node], token: Any) -> None:
        for node in arguments:
            if isinstance(node, nodes.Column) and self.columns and node.name not in self.columns:
                raise self.error(f"the table has no column {node.name}", token)


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
        tree = _Builder(expanded, header, files or Files(), selected).condition(parse(expanded))
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
