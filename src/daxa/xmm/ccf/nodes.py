"""Numbers of the two read-out nodes of a CCD, however a calibration table tells the nodes apart.

The handbook prints ADUCONV of the RGS without a column for the node, while the interface of the calibration
layer returns thresholds by node. No real file was at hand, so each layout that fits both is read: rows with
NODE_ID, two rows per CCD in the order of the nodes, one row with pairs, one row with a number for both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from daxa.xmm.errors import UnknownLayout

if TYPE_CHECKING:
    from daxa.xmm.ccf.constituent import Table


def node_values(rows: Table, name: str, ccd: int) -> tuple[float, float]:
    """A column's values for nodes 0 and 1 of a CCD.

    Parameters
    ----------
    rows
        Table with CCD_ID, maybe with NODE_ID.
    name
        Column.
    ccd
        CCD from 1.

    Raises
    ------
    UnknownLayout
        The CCD has no row, or another number of rows or elements than its two nodes explain.
    """
    mine = np.flatnonzero(rows["CCD_ID"] == ccd)
    values = np.asarray(rows[name], float).reshape(len(rows["CCD_ID"]), -1)
    if "NODE_ID" in rows:
        return _by_row(rows, name, ccd, mine, values)
    found = values[mine]
    if found.size == 1:
        return float(found[0, 0]), float(found[0, 0])
    if found.size == 2:
        return float(found.flat[0]), float(found.flat[1])
    raise UnknownLayout(
        f"{rows.where}, column {name}: {found.size} numbers for CCD {ccd}, expected 1 or 2 (its nodes)"
    )


def _by_row(rows: Table, name: str, ccd: int, mine: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    result = []
    for node in (0, 1):
        found = mine[rows["NODE_ID"][mine] == node]
        if not len(found):
            raise UnknownLayout(f"{rows.where}, column {name}: no row of CCD {ccd}, node {node}")
        row = values[found[0]]
        # A pair in each row holds both nodes, as in tables of the EPIC cameras.
        result.append(float(row[node if len(row) > 1 else 0]))
    return result[0], result[1]
