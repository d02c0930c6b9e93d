"""What a comparison says: lines with a tolerance each, and findings in words."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from daxa.exceptions import DAXAError


class NotComparableError(DAXAError):
    """The two files do not hold the same kind of thing of the same exposure."""


@dataclass
class Line:
    """One quantity: its difference (B minus A, or as the name says) and whether that is tolerable.

    Attributes
    ----------
    name, unit
        What was compared.
    difference
        The number that is judged; None where there is nothing to judge.
    tolerance
        Largest tolerable size of the difference; None for lines that only inform.
    note
        More about it (spread, worst).
    """

    name: str
    difference: float | None
    unit: str = ""
    tolerance: float | None = None
    note: str = ""

    @property
    def ok(self) -> bool | None:
        """Whether it is within the tolerance; None if it is not judged."""
        if self.tolerance is None:
            return None
        if self.difference is None or not np.isfinite(self.difference):
            return False
        return bool(abs(self.difference) <= self.tolerance)


@dataclass
class Comparison:
    """All that was found between two files.

    Attributes
    ----------
    kind
        ``event list``, ``image``, ``exposure map``, ``good times`` or ``attitude``.
    a, b
        The files.
    lines
        Quantities with verdicts.
    findings
        What differs beyond tolerance, in words.
    groups
        Rows of the tables by CCD, energy, pattern or off-axis angle.
    plots
        Arrays for the plots of the page; not part of the JSON.

    Examples
    --------
    >>> result = Comparison("image", "a.fits", "b.fits")
    >>> line = result.judge(Line("counts", 0.05, "of A", tolerance=0.01), "counts 5.0 % higher in B")
    >>> result.same, result.findings
    (False, ['counts 5.0 % higher in B'])
    """

    kind: str
    a: str
    b: str
    lines: list[Line] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    groups: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    plots: dict[str, Any] = field(default_factory=dict)

    @property
    def same(self) -> bool:
        """Whether everything is within tolerance."""
        return not any(line.ok is False for line in self.lines)

    def judge(self, line: Line, words: str = "") -> Line:
        """Add a line and, if it is out of tolerance, what that means in words.

        Parameters
        ----------
        line
            The quantity.
        words
            What it means; its name and number by default.

        Returns
        -------
        Line
            The line that was given.
        """
        self.lines.append(line)
        if line.ok is False:
            self.findings.append(words or f"{line.name}: {line.difference:.4g} {line.unit}".rstrip())
        return line

    def to_dict(self) -> dict[str, Any]:
        """Everything but the plots, as JSON takes it."""
        return {
            "kind": self.kind,
            "a": self.a,
            "b": self.b,
            "same": self.same,
            "findings": self.findings,
            "lines": [_plain({**asdict(line), "ok": line.ok}) for line in self.lines],
            "groups": _plain(self.groups),
        }


def _plain(value: Any) -> Any:
    """Numbers that JSON knows; NaN and infinities become None."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
