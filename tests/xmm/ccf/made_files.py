"""Calibration constituents whose tables are columns in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from daxa.xmm.ccf.constituent import Constituent
from daxa.xmm.ccf.index import Entry


class MadeConstituent(Constituent):
    """A constituent of given tables and headers."""

    def __init__(
        self,
        scope: str,
        typeid: str,
        tables: Mapping[str, Mapping[str, Any]],
        headers: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(Entry(scope, typeid, 1), Path(f"{scope}_{typeid}_0001.CCF"))
        self.made = {k: {n: np.asarray(v) for n, v in t.items()} for k, t in tables.items()}
        self._headers = {name.upper(): dict((headers or {}).get(name, {})) for name in ("PRIMARY", *tables)}

    def _columns(self, extname: str) -> dict[str, np.ndarray]:
        return self.made[extname]
