"""Light curves of sources on the pages of observations, and which source they are of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from daxa.report.products import Reader
from daxa.report.source_curves import figure, name_of, source_curves
from daxa.report.source_names import position, with_products

SOURCE = "J095805.7-110920"


def write_curve(folder: Path, inst: str, rate: list[float], share: list[float], more: str = "") -> Path:
    place = folder / "lightcurves"
    place.mkdir(exist_ok=True)
    number = len(rate)
    columns = {
        "TIME": 5.9e8 + 100.0 * np.arange(number),
        "RATE": rate,
        "ERROR": np.full(number, 0.1),
        "FRACEXP": share,
        "BACKV": np.full(number, 0.02),
    }
    table = fits.BinTableHDU.from_columns(
        [fits.Column(n, "D", array=np.asarray(v)) for n, v in columns.items()], name="RATE"
    )
    table.header.update(TIMEDEL=100.0, MJDREF=50814.0)
    path = (
        place / f"obsid0800010101-inst{inst}-subexpALL-{SOURCE}-en0.5_10.0keV-bin100.0s{more}-lightcurve.fits"
    )
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    return path


def test_bins_with_exposure_are_shown_and_averaged_by_it(tmp_path):
    write_curve(tmp_path, "PN", [1.0, np.nan, 3.0, 7.0], [1.0, 1.0, 0.5, 0.0])
    write_curve(tmp_path, "PN", [1.0], [1.0], "-barycentre")
    write_curve(tmp_path, "M1", [1.0] * 1000, [1.0] * 1000)
    write_curve(tmp_path, "M2", [1.0], [0.0])
    reader = Reader(tmp_path)
    mos, one = source_curves(reader, ["PN", "M1", "M2"])
    assert len(reader.problems) == 1
    assert "no bin with exposure" in reader.problems[0]
    assert one["rate"] == [1.0, 3.0]
    assert np.diff(one["time"]) == [200_000]
    assert one["mean"] == pytest.approx(2.5 / 1.5)
    assert one["counts"] == pytest.approx(250)
    assert one["background"] == [0.02, 0.02]
    assert len(mos["rate"]) == 334
    assert mos["error"][0] == pytest.approx(0.1 / np.sqrt(3), rel=1e-3)
    drawn = figure(mos)
    assert drawn["name"] == name_of(mos) == f"lightcurve-{SOURCE}-M1-0.5-10.0-100.0"
    assert "3 of them in a point: 1 ± 0.003 ct/s" in drawn["told"]


def test_products_belong_to_the_nearest_source():
    ra, dec = position(SOURCE)
    assert (ra, dec) == pytest.approx((149.52375, -11.1555556))
    assert position("12") is None
    near, nearer, far = (
        {"ra": ra, "dec": dec + away / 3600} for away in (6.0, -2.0, 40.0)
    )  # fmt: skip
    figures = [{"source": SOURCE, "name": "a"}, {"source": "J000000.0+000000", "name": "b"}]
    found = with_products([near, nearer, far], figures)
    assert [[f["name"] for f in s["figures"]] for s in found] == [[], ["a"], []]
    assert with_products([], figures) == []
    # Across the meridian of zero hours.
    (other,) = with_products([{"ra": 359.999, "dec": 0.0}], figures)
    assert [f["name"] for f in other["figures"]] == ["b"]
