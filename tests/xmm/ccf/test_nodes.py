"""Numbers of two read-out nodes from tables that tell the nodes apart in different ways."""

from __future__ import annotations

import numpy as np
import pytest

from daxa.xmm.ccf.constituent import Table
from daxa.xmm.ccf.nodes import node_values
from daxa.xmm.errors import UnknownLayout

LAYOUTS = {
    "rows with the node": {"CCD_ID": [1, 2, 2, 1], "NODE_ID": [1, 0, 1, 0], "GAIN": [0.2, 0.3, 0.4, 0.1]},
    "rows in order": {"CCD_ID": [1, 1, 2, 2], "GAIN": [0.1, 0.2, 0.3, 0.4]},
    "pairs": {"CCD_ID": [2, 1], "GAIN": [[0.3, 0.4], [0.1, 0.2]]},
    "pairs in rows with the node": {
        "CCD_ID": [1, 1, 2, 2], "NODE_ID": [0, 1, 0, 1], "GAIN": [[0.1, 0.2]] * 2 + [[0.3, 0.4]] * 2,
    },
}  # fmt: skip


def table(columns: dict) -> Table:
    return Table("RGS1_ADUCONV_0029.CCF[OFFSET_GAIN]", {n: np.array(v) for n, v in columns.items()})


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_gives_the_same_numbers(layout):
    rows = table(LAYOUTS[layout])
    assert node_values(rows, "GAIN", 1) == (0.1, 0.2)
    assert node_values(rows, "GAIN", 2) == (0.3, 0.4)


def test_one_number_serves_both_nodes():
    assert node_values(table({"CCD_ID": [1, 2], "GAIN": [0.1, 0.2]}), "GAIN", 2) == (0.2, 0.2)


def test_what_two_nodes_do_not_explain_is_refused():
    with pytest.raises(UnknownLayout, match="column GAIN: 3 numbers for CCD 1"):
        node_values(table({"CCD_ID": [1], "GAIN": [[0.1, 0.2, 0.3]]}), "GAIN", 1)
    with pytest.raises(UnknownLayout, match="0 numbers for CCD 4"):
        node_values(table({"CCD_ID": [1], "GAIN": [0.1]}), "GAIN", 4)
    with pytest.raises(UnknownLayout, match="no row of CCD 1, node 1"):
        node_values(table({"CCD_ID": [1], "NODE_ID": [0], "GAIN": [0.1]}), "GAIN", 1)
