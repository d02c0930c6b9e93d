"""What an exposure of the pn takes from its housekeeping."""

from types import SimpleNamespace

import numpy as np
import pytest

from daxa.xmm.instruments.pn.exposure import PnExposure


class Table(dict):
    where = "PMH"

    @property
    def columns(self):
        return list(self)

    def __len__(self):
        return 3


@pytest.mark.parametrize("as_read", [np.str_, np.bytes_])
def test_blanks_behind_texts_do_not_count(as_read):
    """Columns of twelve characters, filled with blanks as in real files."""
    switches = enumerate(("ON", "OFF", "ON"))
    states = {f"A2_CCD{i}SWI": np.array([s.ljust(12)] * 3).astype(as_read) for i, s in switches}
    exposure = SimpleNamespace(
        housekeeping=Table(states), _inside=lambda table: np.ones(3, bool), submode="PrimeFullWindow"
    )
    exposure.hk = lambda name, default=None: PnExposure.hk(exposure, name, default)
    assert exposure.hk("A2_CCD1SWI") == "OFF"
    assert PnExposure.active_ccds(exposure, 2) == 2
