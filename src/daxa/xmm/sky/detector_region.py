"""Regions of the detector that calibration files describe: the field of view and the dark corners."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError, UnknownLayout

if TYPE_CHECKING:
    from daxa.xmm.ccf.constituent import Constituent, Table

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Region:
    """Union of intersections of shapes in DETX, DETY (FOV and CORNER of LINCOORD), or an expression."""

    shapes: tuple[tuple[int, bool, str, float, float, float, float, float], ...] = ()
    expression: str | None = None

    @classmethod
    def from_table(cls, table: Table) -> Region:
        """Region rows: SHAPE (``!`` negates), X, Y, R, ROTANG, COMPONENT; or EXPRESSION, rows joined by OR.

        R of a BOX holds half-widths (assumed), that of a ROTBOX the full widths, as in tables of real lists.

        Parameters
        ----------
        table
            The table of the calibration file.

        Raises
        ------
        UnknownLayout
            An expression of it cannot be read.
        """
        if "EXPRESSION" in table:
            region = cls(expression="||".join(f"({str(text).strip()})" for text in table["EXPRESSION"]))
            try:
                region.contains(0.0, 0.0)
            except TaskError as error:
                raise UnknownLayout(f"{table.where}, column EXPRESSION: {error.message}") from None
            return region
        shapes = []
        for i in range(table.n_rows):
            name = str(table["SHAPE"][i]).strip().upper()
            kind = name.lstrip("!")
            r = np.asarray(table["R"][i], float) * (0.5 if kind == "ROTBOX" else 1.0)
            shapes.append(
                (
                    int(table["COMPONENT"][i]), name.startswith("!"), kind.removeprefix("ROT"),
                    float(table["X"][i]), float(table["Y"][i]), float(r[0]), float(r[1]),
                    float(table["ROTANG"][i]),
                )
            )  # fmt: skip
        return cls(tuple(shapes))

    @classmethod
    def of(cls, lincoord: Constituent, extname: str) -> Region:
        """FOV or CORNER of LINCOORD, or what stands in for one that cannot be used.

        Parameters
        ----------
        lincoord
            The constituent LINCOORD.
        extname
            ``FOV`` or ``CORNER``.
        """
        try:
            return cls.from_table(lincoord.table(extname))
        except UnknownLayout as error:
            return cls.from_table(lincoord.instead_of(extname, error.message))

    @cached_property
    def _selection(self) -> Any:
        from daxa.xmm.select.expression import compile

        return compile(str(self.expression))

    def contains(self, detx: npt.ArrayLike, dety: npt.ArrayLike) -> BoolArray:
        """Which positions lie inside.

        Parameters
        ----------
        detx, dety
            Positions [0.05 arcsec], of shapes that go together.
        """
        detx, dety = np.broadcast_arrays(np.asarray(detx, float), np.asarray(dety, float))
        if self.expression is not None:
            inside = self._selection.mask({"DETX": detx.ravel(), "DETY": dety.ravel()})
            return np.asarray(inside).reshape(detx.shape)
        result = np.zeros(detx.shape, dtype=bool)
        for component in sorted({shape[0] for shape in self.shapes}):
            inside = np.ones(detx.shape, dtype=bool)
            for _, negated, kind, x, y, r1, r2, angle in (s for s in self.shapes if s[0] == component):
                dx, dy = detx - x, dety - y
                if kind != "CIRCLE" and angle:
                    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
                    dx, dy = c * dx + s * dy, -s * dx + c * dy
                if kind == "CIRCLE":
                    within = dx * dx + dy * dy <= r1 * r1
                elif kind == "ELLIPSE":
                    within = (dx * r2) ** 2 + (dy * r1) ** 2 <= (r1 * r2) ** 2
                else:
                    within = (np.abs(dx) <= r1) & (np.abs(dy) <= r2)
                inside &= within != negated
            result |= inside
        return result
