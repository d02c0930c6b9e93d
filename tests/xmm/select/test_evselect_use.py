"""evselect as it is used: command lines that users have typed, and what they expect of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from small_lists import event_columns, make_list

from daxa.xmm.errors import TaskError
from daxa.xmm.select import dss
from daxa.xmm.select.blocks import SelectionError
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

    def test_a_hot_column_on_each_ccd(self, pn_list: Path, capsys):
        data = events(pn_list)
        keep = (data["PI"] > 300) & (data["TIME"] > 1002)  # inside the good times of every CCD
        for ccd in range(1, 13):
            keep &= ~((data["CCDNR"] == ccd) & np.isin(data["RAWX"], [ccd * 5, ccd * 5 + 1]))
        bad = "".join(f" && !(CCDNR=={c} && RAWX in [{c * 5}:{c * 5 + 1}])" for c in range(1, 13))
        kept = selected(pn_list, "PI>300 && TIME>1002" + bad)
        assert len(kept) == keep.sum() > 0
        assert "incompleteDSS" not in capsys.readouterr().err
        subspace = self.restored(pn_list, "EVENTS")
        assert [int(c) for c in subspace.ccds()] == list(range(1, 13))
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


class TestImpliedParameters:
    """A parameter that is given asks for the choice it belongs to, unless that is made otherwise."""

    def made(self, path: Path, **parameters: Any) -> set[str]:
        before = set(path.parent.iterdir())
        evselect(path, **parameters)
        return {p.name for p in set(path.parent.iterdir()) - before}

    def test_sizes_of_pixels_count_without_a_word_of_binning(self, mos_list: Path):
        evselect(mos_list, imageset="i.fits", xcolumn="X", ycolumn="Y", ximagebinsize=80, yimagebinsize=80)
        header = fits.getheader(mos_list.parent / "i.fits")
        assert (header["NAXIS1"], header["NAXIS2"], header["CDELT1L"]) == (648, 648, 80)

    def test_square_pixels_of_a_size(self, mos_list: Path):
        sizes = {"ximagebinsize": 200, "yimagebinsize": 80, "squarepixels": True}
        evselect(mos_list, imageset="i.fits", xcolumn="DETX", ycolumn="DETY", **sizes)
        assert fits.getheader(mos_list.parent / "i.fits")["CDELT2L"] == 200

    def test_what_is_said_of_binning_counts(self, mos_list: Path):
        sizes = {"xcolumn": "X", "ycolumn": "Y", "ximagebinsize": 80, "yimagebinsize": 80}
        evselect(mos_list, imageset="i.fits", imagebinning="imageSize", **sizes)
        assert fits.getheader(mos_list.parent / "i.fits")["CDELT1L"] == 87

    def test_sizes_and_numbers_of_pixels_contradict_each_other(self, mos_list: Path, capsys):
        sizes = {"xcolumn": "X", "ycolumn": "Y", "ximagebinsize": 80, "ximagesize": 100}
        evselect(mos_list, imageset="i.fits", **sizes)
        assert fits.getheader(mos_list.parent / "i.fits")["NAXIS1"] <= 100
        assert "warning (ambiguousBinning), ximagebinsize" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("parameters", "files"),
        [
            ({"xcolumn": "X", "ycolumn": "Y"}, {"image.fits"}),
            ({"ximagebinsize": 4, "yimagebinsize": 4}, {"image.fits"}),
            ({"withxranges": True, "ximagemin": 10}, {"image.fits"}),
            ({"spectralbinsize": 10}, {"spectrum.fits"}),
            ({"specchannelmax": 3999}, {"spectrum.fits"}),
            ({"timebinsize": 100, "maketimecolumn": True}, {"rate.fits"}),
            ({"makeratecolumn": "yes"}, {"rate.fits"}),
            ({"histogramcolumn": "PI", "histogrambinsize": 10}, {"histo.fits"}),
            ({"rateset": "r.fits", "energycolumn": "PI"}, {"r.fits"}),
            ({"xcolumn": "X", "withimageset": False}, set()),
            ({"squarepixels": False, "makeratecolumn": False}, set()),
        ],
    )
    def test_a_product_is_asked_for_by_what_only_it_needs(self, mos_list: Path, parameters, files):
        assert self.made(mos_list, **parameters) == files

    def test_a_block_with_a_data_subspace_selects(self, mos_list: Path):
        kept = selected(mos_list, "PI in [500:2000]")
        evselect(mos_list, filteredset="again.fits", dssblock="out.fits:EVENTS")
        assert np.array_equal(events(mos_list.parent / "again.fits"), kept)


class TestText:
    """Text where a condition or a number belongs is refused where it stands."""

    @pytest.mark.parametrize(
        ("expression", "message", "position"),
        [
            ("'PI>500'", "a condition is expected, not text", 0),
            ('"PI>500" && FLAG==0', "a condition is expected", 0),
            ("!'a'", "a condition is expected", 1),
            ("FLAG==0 || 'b'", "a condition is expected", 11),
            ("sqrt('a')>1", "a number is expected", 5),
            ("-'a' > 1", "a number is expected", 1),
            ("PI + 'a' > 1", "a number is expected", 5),
            ("PI in ['a':2]", "a number is expected", 7),
            ("'a' in [1:2]", "intervals need a number", 0),
            ("PI == 'a'", "text cannot be compared", 3),
            ("1.5 & 2 == 2", "integers", 0),
            ("circle(1,2,'a',X,Y)", "a number is expected", 11),
            ("circle(1,2,3,'X',Y)", "a number is expected", 13),
            ("(" * 3000 + "PI>5" + ")" * 3000, "nested too deeply", 0),
        ],
    )
    def test_it_is_refused(self, mos_list: Path, expression: str, message: str, position: int):
        with pytest.raises(SelectionError, match=message) as caught:
            selected(mos_list, expression)
        assert caught.value.position == position
        assert not (mos_list.parent / "out.fits").exists()

    def test_a_time_in_quotes(self, mos_list: Path):
        write_gti(mos_list.parent / "g.fits", [1000.0], [1100.0])
        with pytest.raises(SelectionError, match="needs a column of times, not text"):
            selected(mos_list, "gti(g.fits,'TIME')")


def write_gti(path: Path, start, stop, names=("START", "STOP"), unit="s", **keywords: Any) -> None:
    table = fits.BinTableHDU.from_columns(
        [fits.Column(n, "D", unit=unit, array=a) for n, a in zip(names, (start, stop), strict=True)],
        name="STDGTI",
    )
    table.header.update(keywords)
    table.writeto(path, overwrite=True)


class TestGoodTimes:
    """Files of good times as other programs write them."""

    def test_intervals_without_a_start_or_stop_are_left_out(self, mos_list: Path, capsys):
        write_gti(mos_list.parent / "g.fits", [1100.0, np.nan, 1500.0], [1200.0, np.nan, np.nan])
        time = events(mos_list)["TIME"]
        assert len(selected(mos_list, "gti(g.fits,TIME)")) == np.sum((time >= 1100) & (time < 1200)) > 0
        assert "g.fits[STDGTI]: 2 of 3 intervals have no START" in capsys.readouterr().err

    @pytest.mark.parametrize("names", [("start", "stop"), ("Start", "STOP")])
    def test_names_of_columns_in_another_case(self, mos_list: Path, names):
        write_gti(mos_list.parent / "g.fits", [1100.0], [1200.0], names)
        time = events(mos_list)["TIME"]
        assert len(selected(mos_list, "gti(g.fits,TIME)")) == np.sum((time >= 1100) & (time < 1200)) > 0

    @pytest.mark.parametrize("expression", ["gti(,TIME)", "gti('',TIME)", "TIME in gti()", "gti( ,TIME)"])
    def test_no_file_is_no_selection(self, mos_list: Path, expression: str):
        with pytest.raises(SelectionError, match="no file is named"):
            selected(mos_list, expression)

    def test_a_table_of_the_list_itself(self, mos_list: Path):
        with fits.open(mos_list) as hdus:
            first = hdus["STDGTI04"].data["START"][0]
        kept = selected(mos_list, "gti(:STDGTI04,TIME)")
        assert len(kept) == np.sum(events(mos_list)["TIME"] >= first) > 0

    @pytest.mark.parametrize(
        ("keywords", "unit", "said"),
        [
            ({"MJDREF": 51910.0}, "s", "they count from MJD 51910, those of event lists from 50814"),
            ({"MJDREFI": 55197, "MJDREFF": 7.766e-4}, "s", "MJD 55197.00078"),
            ({"TIMEZERO": 100.0}, "s", "TIMEZERO is 100"),
            ({}, "d", "their unit is 'd', not s"),
        ],
    )
    def test_times_of_another_kind_are_warned_of(self, mos_list: Path, capsys, keywords, unit, said):
        write_gti(mos_list.parent / "g.fits", [1100.0], [1200.0], unit=unit, **keywords)
        selected(mos_list, "gti(g.fits,TIME)")
        err = capsys.readouterr().err
        assert "warning (otherTimes)" in err
        assert said in err

    @pytest.mark.parametrize("keywords", [{}, {"MJDREF": 50814.0}, {"MJDREFI": 50814, "MJDREFF": 0.0}])
    def test_times_of_our_own_are_not(self, mos_list: Path, capsys, keywords):
        write_gti(mos_list.parent / "g.fits", [1100.0], [1200.0], TIMEZERO=0, TIMEUNIT="s", **keywords)
        selected(mos_list, "gti(g.fits,TIME)")
        assert "otherTimes" not in capsys.readouterr().err


class TestNamesOfColumns:
    """Names of columns are the same in any case, as in FITS."""

    def lowered(self, path: Path) -> Path:
        with fits.open(path) as hdus:
            header = hdus["EVENTS"].header
            for i in range(1, header["TFIELDS"] + 1):
                header[f"TTYPE{i}"] = header[f"TTYPE{i}"].lower()
            hdus.writeto(path.with_name("lower.fits"))
        return path.with_name("lower.fits")

    def test_in_expressions_and_parameters(self, mos_list: Path):
        pi = events(mos_list)["PI"]
        assert len(selected(mos_list, "pi>500 && Pattern<=15")) == np.sum(pi > 500)
        evselect(mos_list, imageset="i.fits", xcolumn="x", ycolumn="y", expression="pi>500")
        with fits.open(mos_list.parent / "i.fits") as hdus:
            assert hdus[0].data.sum() == np.sum(pi > 500)

    def test_in_lists(self, mos_list: Path):
        lower = self.lowered(mos_list)
        for n, path in enumerate((mos_list, lower)):
            evselect(
                path, filteredset=f"o{n}.fits", imageset=f"i{n}.fits", xcolumn="X", ycolumn="Y",
                rateset=f"r{n}.fits", timebinsize=50, spectrumset=f"s{n}.fits", energycolumn="PI",
                expression="PI>500 && CCDNR!=3 && TIME in [1100:1900]",
            )  # fmt: skip
        folder = mos_list.parent
        assert events(folder / "o0.fits").tobytes() == events(folder / "o1.fits").tobytes()
        for kind, table in (("i", 0), ("r", 1), ("s", 1)):
            a, b = (fits.open(folder / f"{kind}{n}.fits") for n in (0, 1))
            assert np.array_equal(a[table].data, b[table].data)
            assert a[table].header.get("EXPOSURE") == b[table].header.get("EXPOSURE")

    def test_names_that_differ_only_in_case_are_two(self, mos_list: Path):
        with fits.open(mos_list) as hdus:
            hdus["EVENTS"].header["TTYPE8"], name = "pi", hdus["EVENTS"].header["TTYPE8"]
            hdus.writeto(mos_list.with_name("two.fits"))
        assert name == "PHA"
        data = events(mos_list)
        assert len(selected(mos_list.with_name("two.fits"), "pi>500")) == np.sum(data["PHA"] > 500)
        assert len(selected(mos_list.with_name("two.fits"), "PI>500")) == np.sum(data["PI"] > 500)
        with pytest.raises(SelectionError, match="no column Pi"):
            selected(mos_list.with_name("two.fits"), "Pi>500")


class TestListsWithoutTables:
    """EVENTS alone, whose data subspace refers to tables that were not copied along."""

    @pytest.fixture
    def alone(self, mos_list: Path) -> Path:
        with fits.open(mos_list) as hdus:
            fits.HDUList([hdus[0].copy(), hdus["EVENTS"].copy()]).writeto(mos_list.with_name("e.fits"))
        return mos_list.with_name("e.fits")

    @pytest.mark.parametrize("expression", ["true", "TIME in [1100:1200]", "CCDNR==1"])
    def test_a_data_subspace_cannot_be_written(self, alone: Path, expression: str):
        with pytest.raises(TaskError, match=r"refers to STDGTI01, .* copy the extensions along"):
            evselect(alone, rateset="r.fits", timebinsize=100, expression=expression)

    @pytest.mark.parametrize("product", ["rateset", "filteredset"])
    def test_without_it_a_selection_is_made(self, alone: Path, product: str, capsys):
        evselect(alone, expression="TIME in [1100:1200]", writedss=False, **{product: "o.fits"})
        time = events(alone)["TIME"]
        found = fits.getdata(alone.with_name("o.fits"), 1)
        number = len(found) if product == "filteredset" else found["COUNTS"].sum()
        assert number == np.sum((time >= 1100) & (time <= 1200)) > 0
        assert "warning (missingTable)" in capsys.readouterr().err


class TestNothingFound:
    """What a list does not hold is said, with numbers; the product is made all the same."""

    def said(self, path: Path, capsys, **parameters: Any) -> str:
        evselect(path, **parameters)
        return capsys.readouterr().err

    def test_a_light_curve_of_no_events_has_the_time_of_the_exposure(self, mos_list: Path, capsys):
        err = self.said(
            mos_list, capsys, rateset="r.fits", timebinsize=100, maketimecolumn=True, expression="PI<0"
        )
        with fits.open(mos_list.parent / "r.fits") as hdus:
            header, of_list = hdus["RATE"].header, fits.getheader(mos_list, "EVENTS")
            assert len(hdus["RATE"].data) == 11
            assert [header[k] for k in ("TSTART", "TSTOP")] == [of_list[k] for k in ("TSTART", "TSTOP")]
        low, high = (f(events(mos_list)["PI"]) for f in (np.min, np.max))
        assert "(noEvents), none of the 2000 rows" in err
        assert f"PI is {low} to {high}" in err

    def test_a_curve_of_a_time_has_that_time(self, mos_list: Path):
        evselect(mos_list, histogramset="h.fits", histogramcolumn="TIME", histogrambinsize=10,
                 expression="PI<0 && TIME in [1200:1300]")  # fmt: skip
        assert fits.getheader(mos_list.parent / "h.fits", 1)["NAXIS2"] == 10

    def test_a_time_outside_of_the_list(self, mos_list: Path, capsys):
        err = self.said(mos_list, capsys, rateset="r.fits", expression="TIME in [5000:6000]")
        assert "(noGoodTime), no good time is left; that of the list lies between 1000.1 and 2000" in err
        header = fits.getheader(mos_list.parent / "r.fits", 1)
        assert (header["TSTART"], header["EXPOSURE"]) == (1000.0, 0.0)

    def test_a_list_without_good_time_is_selected_from(self, mos_list: Path):
        assert len(selected(mos_list, "TIME in [5000:6000]")) == 0
        header = fits.getheader(mos_list.parent / "out.fits", "EVENTS")
        assert (header["ONTIME03"], header["LIVETI03"]) == (0.0, 0.0)
        path = mos_list.rename(mos_list.with_name("x")).with_name("out.fits")
        evselect(path, rateset="r.fits", timebinsize=10, expression="TIME in [1000:1500]")
        assert fits.getheader(path.with_name("r.fits"), 1)["EXPOSURE"] == 0.0

    @pytest.mark.parametrize(
        ("first", "expression", "said"),
        [
            (
                "PI in [500:2000]",
                "PI in [300:7000]",
                "PI 300 to 7000 is asked for; the list holds PI 500 to 2000",
            ),
            ("PI in [500:2000]", "PI>=7000 && PI<=9000", "PI 7000 to 9000 is asked for"),
            ("CCDNR!=3", "CCDNR==3 || CCDNR==4", "CCD 3 is asked for; the list holds CCD 1, 2, 4, 5, 6, 7"),
            ("true", "CCDNR in 8,9", "CCD 8, 9 is asked for"),
        ],
    )
    def test_bands_and_ccds_that_are_not_held(self, mos_list: Path, capsys, first, expression, said):
        selected(mos_list, first)
        err = self.said(mos_list.rename(mos_list.with_name("x")).with_name("out.fits"), capsys,
                        imageset="i.fits", xcolumn="X", ycolumn="Y", expression=expression)  # fmt: skip
        assert said in err

    @pytest.mark.parametrize(
        "expression", ["PI in [600:1500]", "PI>300", "CCDNR!=3", "!(CCDNR==3)", "TIME in [900:1500]"]
    )
    def test_what_is_held_is_not_warned_of(self, mos_list: Path, capsys, expression):
        selected(mos_list, "PI in [500:2000] && CCDNR!=3")
        path = mos_list.rename(mos_list.with_name("x")).with_name("out.fits")
        err = self.said(path, capsys, imageset="i.fits", xcolumn="X", ycolumn="Y", expression=expression)
        assert "warning (missing" not in err
        assert "warning (no" not in err

    def test_an_image_beside_the_events(self, mos_list: Path, capsys):
        err = self.said(mos_list, capsys, imageset="i.fits", xcolumn="X", ycolumn="Y", ximagemin=60000,
                        ximagemax=61000, yimagemin=1, yimagemax=1000, ignorelegallimits=True)  # fmt: skip
        assert (
            "(emptyProduct), none of the 2000 selected rows falls into the image of X 60000 to 61001" in err
        )
        assert "in this list X is " in err

    def test_events_without_coordinates(self, tmp_path: Path, capsys):
        columns = event_columns("EMOS1", 500, 3, 1000.0, 2000.0)
        columns["X"][:40] = columns["Y"][:40] = -99999999
        columns["Y"][40:50] = -99999999
        make_list(tmp_path / "l.fits", columns=columns)
        err = self.said(tmp_path / "l.fits", capsys, imageset="i.fits", xcolumn="X", ycolumn="Y")
        assert "(nullCoordinates), 50 of 500 selected rows have no X, Y" in err
        assert fits.getdata(tmp_path / "i.fits").sum() == 450
        assert "null" not in self.said(
            tmp_path / "l.fits", capsys, imageset="i.fits", xcolumn="DETX", ycolumn="DETY"
        )


class TestDoubtfulExpressions:
    """What is allowed but hardly meant is warned of."""

    @pytest.mark.parametrize(
        ("expression", "said"),
        [
            ("(X-25921)^2 < 9", "(exclusiveOr), '^' at character 10"),
            ("(X,Y) IN circle(25921,25921,-1200)", "a radius or width of -1200 is negative"),
            ("(X,Y) IN annulus(25921,25921,1200,600)", "the inner radius 1200 is beyond the outer one 600"),
            ("box(25921,25921,-10,10,0,X,Y)", "a radius or width of -10 is negative"),
            ("(RA,DEC) IN circle(329.6,11,0.1)", "more than 90 deg away"),
        ],
    )
    def test_they_are_warned_of(self, mos_list: Path, capsys, expression: str, said: str):
        selected(mos_list, expression)
        assert said in capsys.readouterr().err

    def test_a_declination_that_is_none(self, mos_list: Path):
        with pytest.raises(SelectionError, match="declination of -90 to 90"):
            selected(mos_list, "(RA,DEC) IN circle(149.6,-95,0.1)")

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            ("r.reg", "a circle\n", "r.reg is not a FITS file; a table|'a circle' is no region of ds9"),
            ("none.fits", None, "none.fits: no such file"),
            ("folder", "", "folder is a folder"),
        ],
    )
    @pytest.mark.parametrize("call", ["region({},X,Y)", "gti({},TIME)", "mask({},1,1,X,Y)"])
    def test_files_of_another_kind(self, mos_list: Path, name, text, message, call):
        if text:
            (mos_list.parent / name).write_text(text)
        elif text is not None:
            (mos_list.parent / name).mkdir()
        with pytest.raises(SelectionError, match=message):
            selected(mos_list, call.format(name))


class TestPlacesOfProducts:
    """Where products go: folders that are not there, tables of files."""

    @pytest.mark.parametrize("product", ["filteredset", "imageset", "rateset", "spectrumset", "histogramset"])
    def test_a_folder_that_is_not_there(self, mos_list: Path, product: str):
        with pytest.raises(TaskError, match=r"nowhere/o.fits: there is no folder .*nowhere"):
            evselect(mos_list, **{product: "nowhere/o.fits"})

    def test_a_folder_in_place_of_a_file(self, mos_list: Path):
        with pytest.raises(TaskError, match="is a folder; the name of a file"):
            evselect(mos_list, filteredset=".")

    def test_the_table_of_a_product_is_no_part_of_its_name(self, mos_list: Path, capsys):
        evselect(mos_list, filteredset="o.fits:EVENTS", rateset="a:b.fits")
        assert {"o.fits", "a:b.fits"} < {p.name for p in mos_list.parent.iterdir()}
        assert "(ignoredTable), o.fits:EVENTS: o.fits is written" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"filteredset": "o.fits", "rateset": "o.fits"}, "filteredset and rateset both name o.fits"),
            ({"imageset": "o.fits", "spectrumset": "./o.fits"}, "imageset and spectrumset both name"),
            ({"imageset": "mos.fits"}, "imageset names mos.fits, the list that it is made of"),
        ],
    )
    def test_two_products_in_one_file(self, mos_list: Path, parameters, message: str):
        before = mos_list.read_bytes()
        with pytest.raises(TaskError, match=message):
            evselect(mos_list, **parameters)
        assert mos_list.read_bytes() == before

    def test_a_list_that_is_changed_itself_is_named(self, mos_list: Path, capsys):
        evselect(mos_list, keepfilteroutput=True, expression="PI>500")
        assert (events(mos_list)["PI"] > 500).all()
        assert "no filteredset is named" in capsys.readouterr().out
