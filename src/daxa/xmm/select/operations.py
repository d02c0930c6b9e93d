"""What operators and functions of selection expressions do with values: arrays, or one for all rows.

Parameters
----------
value, a, b
    Values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Value = Any


def integer(value: Value) -> Value:
    """For bit operators: integers as they are, booleans as 0 and 1."""
    if isinstance(value, (bool, int)):
        return int(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "iub":
        return value.astype(np.int64) if value.dtype == bool else value
    raise TypeError("a bit operator needs integers")


def number(value: Value) -> Value:
    """For arithmetic: integers in 64 bits, so that small types cannot overflow."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "iub":
            return value.astype(np.int64)
        if value.dtype.kind == "f":
            return value.astype(np.float64, copy=False)
        raise TypeError("arithmetic needs numbers")
    if isinstance(value, (bool, int, float)):
        return int(value) if isinstance(value, bool) else value
    raise TypeError("arithmetic needs numbers")


def same_bits(a: Value, b: Value) -> tuple[Value, Value]:
    """Bring two integers to a type that holds both."""
    a, b = integer(a), integer(b)
    for array, other in ((a, b), (b, a)):
        if isinstance(array, np.ndarray) and isinstance(other, int):
            limits = np.iinfo(array.dtype)
            if not limits.min <= other <= limits.max:
                wide = array.astype(np.int64)
                return (wide, other) if array is a else (other, wide)
    return a, b


def _divide(a: Value, b: Value) -> Value:
    result = np.divide(np.asarray(a, float), np.asarray(b, float))
    return result if result.ndim else float(result)


def _power(a: Value, b: Value) -> Value:
    result = np.power(np.asarray(a, float), np.asarray(b, float))
    return result if result.ndim else float(result)


def _modulo(a: Value, b: Value) -> Value:
    # As in C: the sign of the dividend.
    result = np.fmod(np.asarray(a, float), np.asarray(b, float))
    return result if result.ndim else float(result)


ARITHMETIC: dict[str, Callable[[Value, Value], Value]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "%": _modulo,
    "**": _power,
}
BITS: dict[str, Callable[[Value, Value], Value]] = {
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
}


FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
_COMPARE: dict[str, Callable[[Value, Value], Value]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def compare(operator: str, a: Value, b: Value) -> Value:
    """Compare arrays or numbers; an integer array with a real limit is compared with an integer instead.

    Parameters
    ----------
    operator
        ``==``, ``!=``, ``<``, ``<=``, ``>`` or ``>=``.
    a, b
        Values, arrays of equal shape or single ones.

    Raises
    ------
    TypeError
        Text is compared with a number.

    Examples
    --------
    >>> compare("<", np.array([1, 2, 3], np.int16), 2.5)
    array([ True,  True, False])
    """
    if isinstance(b, np.ndarray) and not isinstance(a, np.ndarray):
        return compare(FLIPPED[operator], b, a)
    if isinstance(a, str) or isinstance(b, str) or getattr(a, "dtype", np.dtype(float)).kind in "SU":
        a = np.char.rstrip(a.astype(str)) if isinstance(a, np.ndarray) else a
        b = np.char.rstrip(b.astype(str)) if isinstance(b, np.ndarray) else b
        if isinstance(a, (int, float)) or isinstance(b, (int, float)):
            raise TypeError("text cannot be compared with a number")
        return _COMPARE[operator](a, b)
    if isinstance(a, np.ndarray) and a.dtype.kind in "iu" and isinstance(b, (bool, int, float)):
        if isinstance(b, float):
            if not math.isfinite(b):
                return np.broadcast_to(_COMPARE[operator](0.0, b), a.shape)
            if b != math.floor(b) and operator in ("==", "!="):
                return np.full(a.shape, operator == "!=")
            b = math.ceil(b) if operator in ("<", ">=") else math.floor(b)
        limits = np.iinfo(a.dtype)
        if not limits.min <= b <= limits.max:
            return np.full(a.shape, bool(_COMPARE[operator](0, b)))
        return _COMPARE[operator](a, a.dtype.type(b))
    if isinstance(a, np.ndarray) and a.dtype == np.float32 and isinstance(b, float):
        # The limit must not be rounded to the column's precision.
        a = a if float(np.float32(b)) == b else a.astype(np.float64)
    return _COMPARE[operator](a, b)


def _ifthenelse(condition: Value, yes: Value, no: Value) -> Value:
    result: Any = np.where(np.asarray(condition) != 0, yes, no)
    return result if result.ndim else result.item()


def _near(a: Value, b: Value, tolerance: Value) -> Value:
    a, b = np.asarray(a, float), np.asarray(b, float)
    return np.abs(a - b) <= np.asarray(tolerance, float) * np.abs(a)


def _real(function: Callable[..., Any]) -> Callable[..., Any]:
    def apply(*values: Value) -> Value:
        result = function(*(np.asarray(v, float) for v in values))
        return result if np.ndim(result) else float(result)

    return apply


def _extreme(function: Callable[..., Any]) -> Callable[..., Any]:
    def apply(*values: Value) -> Value:
        result = values[0]
        for value in values[1:]:
            result = function(number(result), number(value))
        return result if np.ndim(result) else np.asarray(result).item()

    return apply


def _magnitude(value: Value) -> Value:
    return abs(number(value))


#: Name -> (least number of arguments, most, function). Trigonometric functions take radians.
FUNCTIONS: dict[str, tuple[int, int, Callable[..., Any]]] = {
    "ifthenelse": (3, 3, _ifthenelse),
    "near": (3, 3, _near),
    "abs": (1, 1, _magnitude),
    "min": (2, 99, _extreme(np.minimum)),
    "max": (2, 99, _extreme(np.maximum)),
    "mod": (2, 2, _modulo),
    "pow": (2, 2, _power),
    "atan2": (2, 2, _real(np.arctan2)),
    "hypot": (2, 2, _real(np.hypot)),
    "int": (1, 1, _real(np.trunc)),
    "nint": (1, 1, _real(lambda v: np.trunc(v + np.copysign(0.5, v)))),
    **{
        name: (1, 1, _real(function))
        for name, function in {
            "sqrt": np.sqrt, "exp": np.exp, "log": np.log, "log10": np.log10, "sin": np.sin, "cos": np.cos,
            "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh,
            "cosh": np.cosh, "tanh": np.tanh, "floor": np.floor, "ceil": np.ceil,
        }.items()
    },
}  # fmt: skip
