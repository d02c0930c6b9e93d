"""Bright columns of real raw files land where SAS has bad columns."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.instruments.mos.events import raw_to_ccd


@pytest.mark.parametrize(("ccd", "column"), [(2, 453), (4, 60), (4, 225)])
def test_bright_columns_are_the_bad_columns_of_sas(shared_data, ccd: int, column: int) -> None:
    files = sorted((shared_data / "odf_0135730701").glob(f"*M1U009{ccd}0IME.FIT*"))
    if not files:
        pytest.skip("no raw files of 0135730701")
    header, events = fits.getheader(files[0], 1), fits.getdata(files[0], 1)
    assert [header[f"WINDOW{k}"] for k in ("X0", "Y0", "DX", "DY")] == [0, 0, 610, 602]
    rawx, rawy = raw_to_ccd(events["RAWX"], 0, 5), raw_to_ccd(events["RAWY"], 0, 0)
    assert (rawx.min(), rawx.max(), rawy.min(), rawy.max()) == (0, 601, 1, 600)
    number = np.bincount(rawx, minlength=602)
    beside = number[[column - 3, column - 2, column + 2, column + 3]]
    assert number[column] > beside.mean() + 4 * np.sqrt(beside.mean())
