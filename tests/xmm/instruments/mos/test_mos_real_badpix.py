"""Bad pixels of simulated and of real raw files beside the tables of real lists."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from astropy.io import fits

from daxa.simulate.cameras.camera import CAMERAS
from daxa.xmm.instruments.badpixels import FOUND, HOT
from daxa.xmm.instruments.mos.badpixel_search import find
from daxa.xmm.instruments.mos.events import raw_to_ccd

LISTS = [
    f"sas_products_{obs_id}/eclean/mos{camera}_exp1_clean_evts.fits.gz"
    for obs_id in ("0201901401", "0201903501")
    for camera in (1, 2)
]
NAMES = ("RAWX", "RAWY", "TYPE", "YEXTENT", "BADFLAG")


@pytest.fixture(scope="module")
def tables(shared_data) -> list[dict[str, np.ndarray]]:
    """BADPIXnn of all CCDs of real lists."""
    result = []
    for name in LISTS:
        if not (shared_data / name).exists():
            pytest.skip(f"no {name}")
        with fits.open(shared_data / name) as hdus:
            result += [
                {n: np.array(hdu.data[n], int) for n in NAMES}
                for hdu in hdus
                if hdu.name.startswith("BADPIX")
            ]
    return result


def test_real_tables_are_in_our_order_and_of_our_kinds(tables) -> None:
    assert len(tables) == 28
    kinds: Counter[tuple[int, int]] = Counter()
    for t in tables:
        order = np.lexsort((t["RAWY"], t["RAWX"], t["BADFLAG"]))
        assert (order == np.arange(len(order))).all()
        kinds.update(zip(t["TYPE"].tolist(), t["BADFLAG"].tolist(), strict=True))
        # Dead columns of the calibration and single pixels masked on board, whatever was found.
        last = t["RAWX"] == 600
        assert {(3, 600, 2)} <= set(zip(t["TYPE"][last], t["YEXTENT"][last], t["BADFLAG"][last], strict=True))
        assert (t["YEXTENT"][t["BADFLAG"] == 1] == 1).all()
    assert set(kinds) == {(1, 1), (1, 2), (1, 3), (3, 2), (3, 3)}


def test_lines_at_the_border_are_bright_in_every_real_table(tables) -> None:
    columns, row = Counter(), []
    for t in tables:
        found = (t["BADFLAG"] == FOUND) & (t["TYPE"] == HOT)
        row.append(int((found & (t["RAWY"] == 1) & (t["YEXTENT"] <= 2)).sum()))
        for x in range(1, 601):
            if t["YEXTENT"][found & (t["RAWX"] == x)].sum() > 200:
                columns[x] += 1
    assert min(row) > 240
    assert columns[599] == 28
    assert columns[598] >= 18
    # The simulated chips have the same lines, the brightest first.
    assert [x for x, _ in columns.most_common(2)] == [599, 598]


@pytest.mark.parametrize("code", ["M1", "M2"])
def test_simulated_chips_have_the_dead_column_of_real_ones(code: str) -> None:
    for ccd in CAMERAS[code].ccds:
        mask = CAMERAS[code].bad_pixel_mask(ccd, uplinked=False, kind="dead")
        assert mask[599].all()
        assert not mask[598].all()


@pytest.mark.parametrize("ccd", [2, 3, 5, 6, 7])
def test_columns_beside_the_dead_one_are_found_in_raw_events(shared_data, ccd: int) -> None:
    files = sorted((shared_data / "odf_0135730701").glob(f"*M1U009{ccd}0IME.FIT*"))
    if not files:
        pytest.skip("no raw files of 0135730701")
    table = fits.getdata(files[0], 1)
    x, y = raw_to_ccd(table["RAWX"], 0, 5), raw_to_ccd(table["RAWY"], 0, 0)
    # Their noise lies just above the threshold: the search at low energies finds it.
    low = table["ENERGYE1"].astype(int) + table["ENERGYE2"] < 150
    use = (table["PATTERN"] <= 12) & low & (x >= 1) & (x <= 599)
    image = np.zeros((600, 600))
    np.add.at(image, (y[use] - 1, x[use] - 1), 1)
    good = np.ones(image.shape, bool)
    good[:, 599] = False
    found = find(image, good)
    assert found.bright[:, 598].mean() > 0.8
