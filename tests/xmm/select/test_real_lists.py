"""Lists made by SAS in, products out, beside the products that SAS made of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import real_products
from real_products import Line


def unequal(lines: list[Line]) -> list[Line]:
    assert lines
    return [line for line in lines if not line.equal]


@pytest.mark.parametrize(
    "lines",
    [
        "sky_images", "corner_images", "corner_curve", "corner_spectra", "corner_list", "selections_again",
        "live_times", "good_time_tasks", "housekeeping_times",
    ],
)  # fmt: skip
def test_products_equal_those_of_sas(shared_data: Path, tmp_path: Path, lines: str):
    assert not unequal(getattr(real_products, lines)(shared_data, tmp_path))
