"""A made-up field with sources."""

from __future__ import annotations

import pytest
from detect_fields import Made, make


@pytest.fixture(scope="session")
def made() -> Made:
    """Four sources of some 30 to 400 counts, background known."""
    sources = [(40.3, 60.8, 0.05), (80.0, 75.0, 0.02), (110.6, 40.2, 0.02), (95.5, 110.0, 0.005)]
    return make(sources, with_background=True)
