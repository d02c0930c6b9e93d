"""What emldetect says of profiles that it does not use."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from daxa.xmm.tasks.emldetect import _say_profile


@pytest.mark.parametrize(("asked", "tables", "said"), [
    ("ellbeta", ["KING_PARAMS", "ELLBETA_PARAMS"], ["noEllbeta", "noEllbeta"]),
    ("medium", ["KING_PARAMS", "ELLBETA_PARAMS"], []),
    ("ellbeta", ["KING_PARAMS"], []),
])  # fmt: skip
def test_elliptical_profiles_that_are_not_read_are_said_once_for_each_telescope(asked, tables, said):
    codes = []
    constituent = SimpleNamespace(path=Path("XRT1_XPSF_0016.CCF"), extensions=tables)
    images = [SimpleNamespace(instrument=i) for i in ("EMOS1", "EPN", "EMOS1")]
    opened = SimpleNamespace(
        field=SimpleNamespace(images=images),
        cal=SimpleNamespace(constituent=lambda *_: constituent, has=lambda *_: True),
    )
    ctx = SimpleNamespace(warn=lambda code, text: codes.append(code))
    _say_profile(ctx, SimpleNamespace(psfmodel=asked), opened)
    assert codes == said
