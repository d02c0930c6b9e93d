"""Losses of charge in either unit of the amplitude."""

from __future__ import annotations

import numpy as np
import pytest

from daxa.xmm.ccf import UnknownLayout
from daxa.xmm.ccf.mos_losses import transfer_laws

#: Loss of 1000 adu per transfer along RAWY and power, MOS1 in May 2006 (measured on real lists).
PARALLEL = [
    (0.028092, 0.5001),
    (0.016071, 0.4791),
    (0.021705, 0.3926),
    (0.018895, 0.4467),
    (0.025307, 0.5033),
]


def _table(plain: bool, factor: float = 1.0):
    loss, power = np.array(PARALLEL).T
    unit = 1000.0**-power if plain else 1.0
    table = {"CTI_Y0": factor * loss * unit, "CTI_Y1": 2e-6 * unit + 0 * loss, "CTI_Y2": power}
    serial = 1000.0**-0.65 if plain else 1.0
    return table | {
        "CTI_X0": 0.01 * serial + 0 * loss,
        "CTI_X1": 1e-6 * serial + 0 * loss,
        "CTI_X2": 0.65 + 0 * loss,
    }


@pytest.mark.parametrize("plain", [False, True])
def test_both_units_give_the_same_law(plain: bool) -> None:
    for row, (loss, power) in enumerate(PARALLEL):
        serial, parallel = transfer_laws(_table(plain), row, 100.0, "EMOS1_CTI_0070.CCF[CTI_EXTENDED]")
        assert parallel == pytest.approx((loss, 2e-6, power))
        assert serial == pytest.approx((0.01, 1e-6, 0.65))


@pytest.mark.parametrize("factor", [100.0, 1e-6, -1.0])
def test_impossible_losses_are_refused_by_name(factor: float) -> None:
    with pytest.raises(UnknownLayout, match=r"EMOS1_CTI_0070.CCF\[CTI_EXTENDED\].*along RAWY"):
        transfer_laws(_table(False, factor), 0, 0.0, "EMOS1_CTI_0070.CCF[CTI_EXTENDED]")


def test_no_losses_are_possible() -> None:
    table = {name: 0.0 * values for name, values in _table(False).items()}
    assert transfer_laws(table, 0, 0.0, "x")[1] == (0.0, 0.0, 0.0)
