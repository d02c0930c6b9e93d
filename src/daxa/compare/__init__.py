"""Two products of the same exposure beside each other: event lists, images, good times, attitudes."""

from daxa.compare.files import compare_files
from daxa.compare.verdict import Comparison, Line, NotComparableError

__all__ = ["Comparison", "Line", "NotComparableError", "compare_files"]
