"""evselect as it is used: command lines that users have typed, and what they expect of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.select import dss
from daxa.xmm.task import run_task


def evselect(path: Path, **parameters: Any) -> None:
    run_task("evselect", {"table": path.name, **parameters}, cwd=path.parent)


def selected(path: Path, expression: str, **parameters: Any) -> np.ndarray:
    """Rows of the filtered list."""
    evselect(path, filteredset="out.fits", expression=expression, **parameters)
    with fits.open(path.parent / "out.fits") as hdus:
        return np.array(hdus["EVENTS"].data)


def events(path: Path) -> np.ndarray:
    with fits.open(path) as hdus:
        return np.array(hdus["EVENTS"].data)


class TestTextOfExpressions:
    """Blanks of any kind separate words; names of files may hold any letter."""

    @pytest.mark.parametrize(
        "text", ["(PI>500)\n&& (PI<2000)", "(PI>500)\t&&\t(PI<2000)", "(PI>500)\u00a0&&\r\n (PI<2000)\n"]
    )
    def test_blanks_other_than_a_space(self, mos_list: Path, text: str):
        pi = events(mos_list)["PI"]
        assert len(selected(mos_list, text)) == np.count_nonzero((pi > 500) & (pi < 2000)) > 0
        written = fits.getheader(mos_list.parent / "out.fits", "EVENTS")["SLCTEXPR"]
        assert written.replace(" ", "") == "(PI>500)&&(PI<2000)"

    @pytest.mark.parametrize("name", ["josé.fits", "東京.fits", "a b’.fits"])
    def test_files_of_any_name(self, mos_list: Path, name: str):
        gti = fits.BinTableHDU.from_columns(
            [fits.Column("START", "D", array=[1100.0]), fits.Column("STOP", "D", array=[1200.0])]
        )
        gti.writeto(mos_list.parent / name)
        time = events(mos_list)["TIME"]
        kept = selected(mos_list, f"gti({name},TIME)")
        assert len(kept) == np.count_nonzero((time >= 1100) & (time < 1200)) > 0
        evselect(mos_list, rateset=f"r-{name}", timebinsize=100, maketimecolumn=True)
        run_task("tabgtigen", {"table": [f"r-{name}"], "gtiset": f"g-{name}"}, cwd=mos_list.parent)
        assert len(fits.getdata(mos_list.parent / f"g-{name}", "STDGTI")) == 1

    def test_keywords_of_other_letters_are_copied(self, mos_list: Path):
        raw = mos_list.read_bytes()
        old = b"OBJECT  = 'A907    '"
        mos_list.write_bytes(raw.replace(old, "OBJECT  = 'Señor 1 '".encode("latin-1")))
        evselect(mos_list, imageset="i.fits", attributestocopy="OBJECT")
        assert fits.getheader(mos_list.parent / "i.fits")["OBJECT"] == "Se\\xf1or 1"


class TestManyAlternatives:
    """The data subspace holds any number of components; from 100DSVALn on, keywords are long ones."""

    hot = [(1, 13), (2, 41), (5, 12), (7, 34)]

    def restored(self, path: Path, table: int | str) -> dss.DataSubspace:
        with fits.open(path.parent / "out.fits") as hdus:
            return dss.read(hdus, hdus[table].header)

    def test_hot_columns_left_out(self, pn_list: Path):
        data = events(pn_list)
        keep = data["PATTERN"] <= 4
        for ccd, column in self.hot:
            keep &= ~((data["CCDNR"] == ccd) & (data["RAWX"] == column))
        expression = "PATTERN<=4" + "".join(f" && !(CCDNR=={c} && RAWX=={x})" for c, x in self.hot)
        kept = selected(pn_list, expression)
        assert len(kept) == keep.sum() < np.count_nonzero(data["PATTERN"] <= 4)
        subspace = self.restored(pn_list, "EVENTS")
        assert len(subspace.components) > 99
        # The subspace that was written selects the same rows again.
        evselect(pn_list, filteredset="again.fits", filtertype="dataSubspace", dssblock="out.fits:EVENTS")
        assert np.array_equal(events(pn_list.parent / "again.fits"), kept)

    @pytest.mark.parametrize("product", ["imageset", "spectrumset", "rateset"])
    def test_boxes_of_which_any_may_hold(self, pn_list: Path, product: str):
        boxes = [(a, a + 2, a) for a in range(1, 60, 6)]
        data = events(pn_list)
        keep = np.zeros(len(data), bool)
        for low, high, above in boxes:
            keep |= (data["RAWX"] >= low) & (data["RAWX"] <= high) & (data["RAWY"] > above)
        expression = "||".join(f"(RAWX>={a}&&RAWX<={b}&&RAWY>{c})" for a, b, c in boxes)
        evselect(pn_list, expression=expression, **{product: "out.fits"}, energycolumn="PI")
        with fits.open(pn_list.parent / "out.fits") as hdus:
            hdus.verify("exception")
            assert len(dss.read(hdus, hdus[0 if product == "imageset" else 1].header).components) == 120
            data = hdus[0].data if product == "imageset" else hdus[1].data["COUNTS"]
            assert data.sum() == keep.sum() > 0

    def test_a_list_with_many_is_selected_from_again(self, pn_list: Path):
        first = "||".join(f"(RAWX=={a}&&RAWY>{a})" for a in range(1, 64, 6))
        kept = selected(pn_list, first)
        again = selected(
            pn_list.rename(pn_list.parent / "old.fits").with_name("out.fits"), "PI in [2000:9000]"
        )
        assert len(again) == np.count_nonzero((kept["PI"] >= 2000) & (kept["PI"] <= 9000)) > 0
        assert self.restored(pn_list, "EVENTS").limits("PI") == (2000, 9000)


@pytest.mark.parametrize("count", [256, 257, 300])
def test_any_number_of_regions(mos_list: Path, count: int):
    data = events(mos_list)
    xs = np.random.default_rng(2).integers(10000, 45000, (count, 2))
    keep = np.zeros(len(data), bool)
    for x, y in xs:
        keep |= np.hypot(data["X"] - float(x), data["Y"] - float(y)) <= 300
    kept = selected(mos_list, "||".join(f"((X,Y) IN circle({x},{y},300))" for x, y in xs))
    assert len(kept) == keep.sum() > 0
    with fits.open(mos_list.parent / "out.fits") as hdus:
        (table,) = (h for h in hdus if h.name.startswith("REG"))
        assert table.data["COMPONENT"].tolist() == list(range(count))
        assert table.columns["COMPONENT"].format == ("B" if count <= 256 else "I")
    # The table selects as the text has.
    evselect(mos_list, filteredset="again.fits", expression=f"region(out.fits:{table.name},X,Y)")
    assert np.array_equal(events(mos_list.parent / "again.fits"), kept)
