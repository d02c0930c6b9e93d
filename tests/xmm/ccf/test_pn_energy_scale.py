"""Energy scale of the pn from variants of its calibration files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.ccf.pn_energy import pn_energy, temperature_law
from daxa.xmm.errors import UnknownLayout

TIME_S = 6.0e8


@pytest.fixture
def variant(calibration_env, tmp_path):
    """A calibration whose pn constituent of a type was changed by a function of its HDUs."""
    set_ = Calibration.from_environment(calibration_env)

    def make(typeid, change):
        path = set_.constituent("EPN", typeid).path
        copy = tmp_path / path.name
        shutil.copy(path, copy)
        with fits.open(copy) as hdus:
            hdus = fits.HDUList([h.copy() for h in hdus])
            change(hdus)
            hdus.writeto(copy, overwrite=True)
        return Calibration(set_.index, [Path(p) for p in [calibration_env["SAS_CCFPATH"]]], [copy])

    make.original = set_
    return make


def numbers(cal, mode_id=0, accuracy=2):
    return pn_energy(cal, 4, mode_id, TIME_S, accuracy)


def drop(*names):
    def change(hdus):
        for name in names:
            del hdus[name]

    return change


def test_undocumented_keywords_have_defaults(variant, said):
    def aduconv(hdus):
        del hdus["GAIN-HIGH"].header["ADU_EV"]

    def cti(hdus):
        for name in ("E_REF", "SLOPE"):
            del hdus["CTI_EXTENDED"].header[name]

    assert numbers(variant("ADUCONV", aduconv)).adu_ev == 5.0
    found = numbers(variant("CTI", cti))
    assert (found.reference_ev, found.slope) == (1000.0, 0.0)
    assert said.fallbacks == {}


def replace_columns(hdu, keep, new):
    columns = [c for c in hdu.columns if c.name in keep]
    return fits.BinTableHDU.from_columns([*columns, *new], header=hdu.header, name=hdu.name)


def test_offsets_that_change_linearly(variant):
    def change(hdus):
        hdu = hdus["OFFSET_GAIN"]
        constant = np.array(hdu.data["OFFSET"])
        new = [
            fits.Column("OFFSET_CONST", "64E", "adu", array=constant - 6.0),
            fits.Column("OFFSET_SLOPE", "64E", "adu/s", array=np.full(constant.shape, 1e-8)),
        ]
        hdus["OFFSET_GAIN"] = replace_columns(hdu, ("CCD_ID", "GAIN"), new)
        hdus["OFFSET_GAIN"].header["ALGOID"] = 1
        hdus["OFFSET_GAIN"].header["REFTIME"] = "1998-01-01T00:00:00"

    found, plain = numbers(variant("ADUCONV", change)), numbers(variant.original)
    # 6e8 s after the reference.
    assert found.offset == pytest.approx(plain.offset, abs=1e-3)


def line_in_time(change):
    """OFFSET_GAIN with OFFSET_CONST and OFFSET_SLOPE beside OFFSET, changed."""

    def make(hdus):
        hdu = hdus["OFFSET_GAIN"]
        columns = {"OFFSET": np.array(hdu.data["OFFSET"], float)}
        columns["OFFSET_CONST"] = columns["OFFSET"] - 6.0
        columns["OFFSET_SLOPE"] = np.full(columns["OFFSET"].shape, 1e-8)
        header = {"ALGOID": 1, "REFTIME": "1998-01-01T00:00:00"}
        change(columns, header)
        new = [fits.Column(name, "64D", array=values) for name, values in columns.items()]
        hdus["OFFSET_GAIN"] = replace_columns(hdu, ("CCD_ID", "GAIN"), new)
        for name in ("ALGOID", "REFTIME"):
            hdus["OFFSET_GAIN"].header.remove(name, ignore_missing=True)
        hdus["OFFSET_GAIN"].header.update(header)

    return make


def without_slope(columns, header):
    del columns["OFFSET_SLOPE"], columns["OFFSET"]


def undated(columns, header):
    del header["REFTIME"], columns["OFFSET"]


def no_date(columns, header):
    header["REFTIME"] = "soon"


@pytest.mark.parametrize("change", [without_slope, undated, no_date])
def test_offsets_whose_change_is_not_known_are_those_of_the_reference(change, variant, said):
    found, plain = numbers(variant("ADUCONV", line_in_time(change))), numbers(variant.original)
    assert found.offset == pytest.approx(plain.offset - 6.0)
    assert [text.split("[")[1] for text in said.fallbacks] == ["OFFSET_GAIN]: noOffsetSlope"]


def test_the_number_of_the_law_tells_which_offsets_hold(variant, said):
    def old(columns, header):
        header["ALGOID"] = 0
        columns["OFFSET_CONST"] += 100

    plain = numbers(variant.original).offset
    assert numbers(variant("ADUCONV", line_in_time(old))).offset == pytest.approx(plain)

    def untold(columns, header):
        del header["ALGOID"]

    assert numbers(variant("ADUCONV", line_in_time(untold))).offset == pytest.approx(plain, abs=1e-3)

    assert said.fallbacks == {}


def with_holes(columns, header):
    columns["OFFSET_CONST"][3, 10] = np.nan


def absent(columns, header):
    del columns["OFFSET_CONST"], columns["OFFSET_SLOPE"]


@pytest.mark.parametrize("change", [with_holes, absent])
def test_a_line_in_time_with_holes_is_told(change, variant, said):
    """ALGOID 1 asks for the line: OFFSET in its place must be known to the user."""
    found, plain = numbers(variant("ADUCONV", line_in_time(change))), numbers(variant.original)
    assert found.offset == pytest.approx(plain.offset)
    assert [text.split("[")[1] for text in said.fallbacks] == ["OFFSET_GAIN]: noOffsetLine"]


def test_offsets_that_are_no_numbers_are_refused(variant):
    def holes(columns, header):
        del columns["OFFSET"]
        columns["OFFSET_CONST"][3, 10] = np.nan

    with pytest.raises(UnknownLayout, match=r"OFFSET_GAIN\]: no column OFFSET, and no OFFSET_CONST"):
        numbers(variant("ADUCONV", line_in_time(holes)))


def test_years_that_are_none_are_no_ageing(variant, said):
    for time in ([], [np.nan] * 26):

        def change(hdus, time=time):
            column = fits.Column("TIME", "D", array=np.array(time, float))
            hdus["LTC_TIMES"] = fits.BinTableHDU.from_columns([column], name="LTC_TIMES")

        assert len(numbers(variant("CTI", change)).ageing_ev) == 0
    assert [text.split("[")[1] for text in said.fallbacks] == ["LTC_TIMES]: noAgeing"]


def test_nodes_beyond_the_last_column_are_refused(variant):
    def change(hdus):
        hdus["CTI_EXTENDED"].data["NODE_ID"][5] = 70

    with pytest.raises(UnknownLayout, match=r"CTI_EXTENDED\], column NODE_ID: 0 to 70"):
        numbers(variant("CTI", change))


def test_gains_in_ev_per_adu(variant):
    def change(hdus):
        hdus["GAIN-HIGH"].data["GAIN"] *= 5.0

    assert numbers(variant("ADUCONV", change)).gain == pytest.approx(numbers(variant.original).gain)


def test_what_older_issues_lack_is_said(variant, said):
    plain = numbers(variant.original)
    found = numbers(variant("CTI", drop("LTC_TIMES", "COMB_EVT_OFFSET")))
    assert len(found.ageing_ev) == 0 < len(plain.ageing_ev)
    assert found.shifts == {}
    assert [text.split("[")[1] for text in said.fallbacks] == [
        "LTC_TIMES]: noAgeing",
        "COMB_EVT_OFFSET]: noPatternShifts",
    ]
    low = numbers(variant("ADUCONV", drop("GAIN-HIGH")))
    assert low.gain == pytest.approx(plain.gain)
    assert "(noHighGain)" in said.err.getvalue()


def test_losses_of_another_mode(variant, said):
    def change(hdus):
        hdu = hdus["CTI_EXTENDED"]
        hdus["CTI_EXTENDED"] = fits.BinTableHDU(hdu.data[hdu.data["MODE_ID"] == 0], hdu.header, hdu.name)

    found = numbers(variant("CTI", change), mode_id=1)
    assert found.loss == pytest.approx(numbers(variant.original, mode_id=1).loss)
    assert "(noLossesOfMode)" in said.err.getvalue()


def test_tables_that_cannot_be_applied_are_said(variant, said):
    def change(hdus):
        for name in ("CTI-HIGH", "EFF_GAIN", "TIMING_GAIN"):
            column = fits.Column("PARAMETERS", "16D", array=np.zeros((1, 16)))
            hdus.append(fits.BinTableHDU.from_columns([column], name=name))

    cal = variant("CTI", change)
    numbers(cal, accuracy=0)
    assert said.fallbacks == {}
    numbers(cal)
    assert [text.split(": ")[1] for text in said.fallbacks] == ["noFineLosses"]
    numbers(cal, mode_id=1)
    assert "EFF_GAIN is not applied: no public text" in said.err.getvalue()
    assert "TIMING_GAIN is not applied" not in said.err.getvalue()
    assert [text.split(": ")[1] for text in said.fallbacks] == ["noFineLosses", "noModeGain"]


def test_missing_rows_of_ageing_are_normal(variant, said):
    def change(hdus):
        hdu = hdus["LONG_TERM_CTI"]
        hdus["LONG_TERM_CTI"] = fits.BinTableHDU(hdu.data[hdu.data["MODE_ID"] < 3], hdu.header, hdu.name)

    found = numbers(variant("CTI", change), mode_id=4)
    assert len(found.ageing_ev) == 0
    assert said.fallbacks == {}


def test_a_ccd_without_gain_is_refused(variant):
    def change(hdus):
        hdu = hdus["OFFSET_GAIN"]
        hdus["OFFSET_GAIN"] = fits.BinTableHDU(hdu.data[hdu.data["CCD_ID"] != 4], hdu.header, hdu.name)

    with pytest.raises(UnknownLayout, match=r"\[OFFSET_GAIN\]: no row for CCD_ID 4"):
        numbers(variant("ADUCONV", change))


def test_the_temperature_law_by_the_size_of_its_numbers(variant):
    def change(hdus):
        columns = [
            fits.Column("MODE_ID", "I", array=[0, 1, 2]),
            fits.Column("A", "E", array=[3.65e-4, 3.65e-4, 0]),
            fits.Column("B", "E", array=[1179.2, 1179.2, 1179.2]),
            fits.Column("C", "E", array=[1.0057, 1.0057, 1.0]),
        ]
        hdus.append(fits.BinTableHDU.from_columns(columns, name="QBOXTEMP_GAIN"))

    cal = variant("CTI", change)
    law = temperature_law(cal, 1)
    assert (law.slope, law.reference, law.factor) == pytest.approx((3.65e-4, 1179.2, 1.0057), rel=1e-6)
    law = temperature_law(cal, 2)
    assert (law.slope, law.factor) == (0.0, 1.0)
    assert temperature_law(cal, 5) is None
    assert temperature_law(variant.original, 1) is None


@pytest.mark.parametrize("value", [0.0, -5.0])
def test_a_scale_that_is_none_is_refused(variant, value):
    def change(hdus):
        hdus["GAIN-HIGH"].header["ADU_EV"] = value

    with pytest.raises(UnknownLayout, match=r"\[GAIN-HIGH\], keyword ADU_EV: .* is not above 0"):
        numbers(variant("ADUCONV", change))


def test_epochs_in_another_order_are_the_same(variant):
    def turned(hdus):
        hdus["LTC_TIMES"].data["TIME"] = hdus["LTC_TIMES"].data["TIME"][:, ::-1].copy()
        hdus["LONG_TERM_CTI"].data["T_COEFF"] = hdus["LONG_TERM_CTI"].data["T_COEFF"][:, ::-1].copy()

    found, expected = numbers(variant("CTI", turned)), numbers(variant.original)
    np.testing.assert_array_equal(found.ageing_now, expected.ageing_now)
    np.testing.assert_array_equal(found.ageing_start, expected.ageing_start)


def losses_of(rows):
    """CTI_EXTENDED with some of the rows of CCD 4 only."""

    def change(hdus):
        hdu = hdus["CTI_EXTENDED"]
        kept = (hdu.data["CCD_ID"] != 4) | np.isin(hdu.data["NODE_ID"], rows)
        hdus["CTI_EXTENDED"] = fits.BinTableHDU(hdu.data[kept], header=hdu.header, name=hdu.name)

    return change


def test_the_only_row_of_a_chip_holds_for_all_its_columns(variant, said):
    found, expected = numbers(variant("CTI", losses_of([0]))), numbers(variant.original)
    np.testing.assert_array_equal(found.loss, np.full(64, expected.loss[0]))
    assert said.fallbacks == {}


def test_columns_without_a_row_of_losses_are_told(variant, said):
    rows = [n for n in range(64) if n not in (3, 40)]
    found, expected = numbers(variant("CTI", losses_of(rows))), numbers(variant.original)
    np.testing.assert_array_equal(found.loss[rows], expected.loss[rows])
    np.testing.assert_array_equal(found.loss[[3, 40]], np.median(expected.loss[rows]))
    assert [text.split("[")[1] for text in said.fallbacks] == ["CTI_EXTENDED]: noLossesOfColumn"]
