"""From the tree of the parser to the nodes of a selection expression.

Parameters
----------
tree, t
    What the parser made of a part of the expression.
node
    A node.
pair
    Whether the part may be a pair (a,b), as on the left of ``in``.
message
    What is wrong.
token
    The part's first word, where messages point to.
name
    A shape.
trees
    Arguments of a function, as the parser made them.
extra
    Columns that stand on the left of ``in`` instead of among the arguments.
arguments
    Arguments as nodes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from daxa.xmm.fits.schema import name_of_column
from daxa.xmm.notes import warn_once
from daxa.xmm.select import nodes
from daxa.xmm.select.blocks import Files, SelectionError
from daxa.xmm.select.ds9 import Plane
from daxa.xmm.select.nodes import Node, Rows
from daxa.xmm.select.operations import FUNCTIONS
from daxa.xmm.select.regions import ALIASES, SHAPES, ColumnSky, Shape

_RELATIONS = {".eq.": "==", ".ne.": "!=", ".lt.": "<", ".le.": "<=", ".gt.": ">", ".ge.": ">="}


class _Pair(Node):
    def __init__(self, x: Node, y: Node) -> None:
        self.x, self.y = x, y


class Builder:
    """Turns the parser's tree into nodes, reading the files it names.

    Parameters
    ----------
    text
        The expression, for messages.
    header
        Header of the table: names, forms and coordinates of its columns.
    files
        Finds the files that it names.
    selected
        What ``SELECTED`` stands for.
    """

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
        """The mistake, with its place in the text."""
        meta = getattr(tree, "meta", tree)
        return SelectionError(message, self.text, getattr(meta, "start_pos", 0) or 0)

    def build(self, tree: Any, pair: bool = False) -> Node:
        """The node of a part."""
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
        """A whole number."""
        return nodes.Const(int(t.children[0]))

    def real(self, t: Any) -> Node:
        """A number with a point or exponent; ``D`` stands for ``E``."""
        return nodes.Const(float(re.sub("[dD]", "e", t.children[0])))

    def hexadecimal(self, t: Any) -> Node:
        """A number such as 0x1f."""
        return nodes.Const(int(t.children[0], 16))

    def bits(self, t: Any) -> Node:
        """A number such as b0110, or the column of that name."""
        name = str(t.children[0])
        return nodes.Column(name) if name in self.columns else nodes.Const(int(name[1:], 2))

    def string(self, t: Any) -> Node:
        """A text in quotes."""
        return nodes.Const(str(t.children[0])[1:-1])

    def row(self, t: Any) -> Node:
        """The number of the row."""
        return nodes.Row()

    def name(self, t: Any) -> Node:
        """A column, true, false, or what was selected before."""
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
        """Parts joined by or."""
        return nodes.Or(tuple(self.condition(c) for c in t.children))

    def conjunction(self, t: Any) -> Node:
        """Parts joined by and."""
        return nodes.And(tuple(self.condition(c) for c in t.children))

    def negate(self, t: Any) -> Node:
        """A part with not."""
        return nodes.Not(self.condition(t.children[1]))

    def parenthesised(self, t: Any) -> Node:
        """A part in parentheses."""
        return self.build(t.children[1], pair=True)

    def pair(self, t: Any) -> Node:
        """A pair (a,b) of columns."""
        return _Pair(self.build(t.children[1]), self.build(t.children[3]))

    def compare(self, t: Any) -> Node:
        """A comparison."""
        operator = str(t.children[1]).lower()
        left, right = self.build(t.children[0]), self.build(t.children[2])
        if any(self.is_text(a) and self.is_number(b) for a, b in ((left, right), (right, left))):
            raise self.error("text cannot be compared with a number", t.children[1])
        return self.checked(nodes.Compare(_RELATIONS.get(operator, operator), left, right), t)

    def binary(self, t: Any) -> Node:
        """Two parts with an operator of numbers or bits."""
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
        """A part with a sign or a complement of bits."""
        operand = self.numeric(t.children[1])
        if isinstance(operand, nodes.Const) and str(t.children[0]) == "-":
            return nodes.Const(-operand.literal)
        return self.checked(nodes.Unary(str(t.children[0]), operand), t)

    # membership
    def member(self, t: Any) -> Node:
        """What stands on the left of ``in``, and where it has to be."""
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
        """A range of values."""
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
        """A limit of a range."""
        node = self.numeric(t.children[-1])
        return nodes.Const(-node.literal) if t.children[0] == "-" else node  # type: ignore[attr-defined]

    def call(self, t: Any, extra: list[Node] | None = None) -> Node:
        """A function or a shape."""
        token = t.children[0]
        name = str(token).lower()
        name = ALIASES.get(name, name)
        trees = [c for c in t.children[1:] if hasattr(c, "data")]
        if name in SHAPES:
            return self.shape(name, token, trees, extra)
        if name not in FUNCTIONS:
            known = sorted([*FUNCTIONS, *SHAPES, *ALIASES, "gti", "mask", "region"])
            raise self.error(f"unknown function {token!s}; known are {', '.join(known)}", token)
        # Only the two values that ifthenelse chooses from may be text.
        arguments = [
            self.build(c) if name == "ifthenelse" and i else self.numeric(c) for i, c in enumerate(trees)
        ] + (extra or [])
        least, most, _ = FUNCTIONS[name]
        if not least <= len(arguments) <= most:
            raise self.error(f"{token!s} takes {least} argument(s), got {len(arguments)}", token)
        return self.checked(nodes.Function(name, tuple(arguments)), t)

    def shape(self, name: str, token: Any, trees: list[Any], extra: list[Node] | None) -> Node:
        """A shape and its two columns."""
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
        """Good times, a region or a mask from a file."""
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
        """Refuse columns that the table does not have."""
        for node in arguments:
            if isinstance(node, nodes.Column) and self.columns and node.name not in self.columns:
                raise self.error(f"the table has no column {node.name}", token)
