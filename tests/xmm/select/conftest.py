"""Small EPIC event lists for the tests of selections."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_lists import make_list


@pytest.fixture
def mos_list(tmp_path: Path) -> Path:
    """A MOS1 event list of 2000 events in tmp_path."""
    make_list(tmp_path / "mos.fits")
    return tmp_path / "mos.fits"


@pytest.fixture
def pn_list(tmp_path: Path) -> Path:
    """A pn event list of 5000 events in tmp_path."""
    make_list(tmp_path / "pn.fits", "EPN", count=5000, seed=2)
    return tmp_path / "pn.fits"
