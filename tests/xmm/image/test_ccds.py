"""Frames and pixels of a CCD, and the selection behind an image."""

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.fits.file import FitsFile
from daxa.xmm.image.ccds import CcdFrames, good_times, numbers_of_ccds, read_ccd, selects_flag_zero
from daxa.xmm.image.exposure import PointingBins


class Chip:
    """A camera whose chips have ten columns and five rows."""

    def shape(self, ccd):
        return 10, 5


def frames(**other):
    time = np.arange(10.0)
    badpix = {"RAWX": [2], "RAWY": [3], "YEXTENT": [1]}
    return CcdFrames(4, time, np.full(10, 0.9), GTI([2.5], [7.5]), badpix, **other)


def table(name, cards=(), **columns):
    hdu = fits.BinTableHDU(
        fits.FITS_rec.from_columns([fits.Column(k, f, array=v) for k, (f, v) in columns.items()])
    )
    hdu.name = name
    hdu.header.update(dict(cards))
    return hdu


def write_list(path, number, *, offsets=True, gti=True, length=None):
    time = np.arange(4) * 2.0
    columns = {"TIME": ("D", time), "FRACEXP": ("E", np.array([1.0, 1.0, 0.5, 0.5]))}
    if length is not None:
        columns["TIMEDEL"] = ("E", length)
    cards = {"TIMEDEL": 2.0, "WINDOWX0": 3, "WINDOWY0": 1, "WINDOWDX": 6, "WINDOWDY": 5}
    hdus = [fits.PrimaryHDU(), table(f"EXPOSU{number:02d}", cards.items(), **columns)]
    if gti:
        hdus.append(table(f"STDGTI{number:02d}", START=("D", [0.0]), STOP=("D", [5.0])))
    if offsets:
        values = {"RAWX": [7, 8, 9], "CCDNR": [number, number, 1], "OFFSETX": [0, 20, 20]}
        hdus.append(table("OFFSETS", **{k: ("I", np.array(v)) for k, v in values.items()}))
    fits.HDUList(hdus).writeto(path)
    return FitsFile(path)


def test_only_good_frames_count():
    once = np.array([0.0])
    pointings = PointingBins(once, once, once, once, np.array([0]))
    assert frames().live(pointings) == pytest.approx([5 * 0.9])


class TestPixels:
    def test_bad_ones_and_those_outside_the_window_see_nothing(self):
        good = frames(window=(1, 1, 10, 4)).good_pixels(Chip(), strict=False)
        assert good.shape == (5, 10)
        assert good.sum() == 4 * 10 - 1
        assert not good[2, 1]

    def test_flag_zero_leaves_out_neighbours_borders_and_columns_with_offsets(self):
        good = frames(offset_columns=[8]).good_pixels(Chip(), strict=True)
        # Rows 2 to 4, columns 2 to 6; the bad pixel takes its neighbours above, below and to the right.
        assert good.sum() == 3 * 5 - 4
        assert not good[:, 6:9].any()
        assert frames(offset_columns=[8]).good_pixels(Chip(), strict=False)[:, 6:9].all()

    def test_columns_of_a_redundant_node_count_from_the_other_side(self):
        good = frames(reversed_columns=True).good_pixels(Chip(), strict=False)
        assert not good[2, -2]
        assert good[2, 1]


class TestReading:
    def test_pn(self, tmp_path):
        hdus = write_list(tmp_path / "list.fits", 12)
        assert numbers_of_ccds(hdus) == [12]
        found = read_ccd(hdus, 12, "EPN", GTI([0.0], [5.0]))
        assert (found.ccd, found.window, found.reversed_columns) == (12, (3, 1, 6, 5), False)
        # The length of frames is in the header.
        np.testing.assert_allclose(found.live_s, [2, 2, 1, 1])
        np.testing.assert_array_equal(found.offset_columns, [8])
        assert found.good_times.total == 5
        assert all(len(values) == 0 for values in found.badpix.values())

    def test_redundant_node_of_a_mos_ccd(self, tmp_path):
        hdus = write_list(tmp_path / "list.fits", 12, length=np.array([2.0, 1.0, 2.0, 1.0]))
        found = read_ccd(hdus, 12, "EMOS1", GTI([0.0], [5.0]))
        assert (found.ccd, found.reversed_columns) == (2, True)
        np.testing.assert_allclose(found.live_s, [2, 1, 1, 0.5])
        assert len(found.offset_columns) == 0

    def test_without_frames_all_good_time_is_live(self, tmp_path):
        write_list(tmp_path / "list.fits", 3)
        with fits.open(tmp_path / "list.fits") as all_:
            fits.HDUList([all_[0].copy(), all_["STDGTI03"].copy()]).writeto(tmp_path / "few.fits")
        hdus = FitsFile(tmp_path / "few.fits")
        assert numbers_of_ccds(hdus) == [3]
        found = read_ccd(hdus, 3, "EPN", GTI([0.0, 10.0], [5.5, 10.2]))
        np.testing.assert_allclose(found.live_s, [5.5 / 6] * 6 + [0.2])
        assert found.good_times.contains(found.time_s).all()
        assert found.window is None

    def test_what_stands_in_for_good_times(self, tmp_path):
        hdus = write_list(tmp_path / "list.fits", 3)
        said = []
        assert good_times(hdus, [3], None, lambda *w: said.append(w)) == {3: GTI([0.0], [5.0])}
        assert said == []
        both = good_times(hdus, [3, 4], None, lambda *w: said.append(w))
        assert both == {3: GTI([0.0], [5.0]), 4: GTI([0.0], [5.0])}
        assert said[0][0] == "NumGTI"
        assert "no STDGTI04" in said[0][1]

    def test_without_any_an_exposure_is_needed(self, tmp_path):
        hdus = write_list(tmp_path / "list.fits", 3, gti=False)
        hdus[1].header["TSTART"] = 100.0
        hdus[1].name = "EVENTS"
        said = []
        found = good_times(hdus, [3, 4], 50.0, lambda *w: said.append(w))
        assert found == {3: GTI([100.0], [150.0]), 4: GTI([100.0], [150.0])}
        assert said[0][0] == "noGTI"
        with pytest.raises(TaskError, match="no EXPOSURE"):
            good_times(hdus, [3], None, lambda *w: None)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"SLCTEXPR": "#XMMEA_EM && (FLAG .eq. 0)"}, True),
        ({"SLCTEXPR": "(FLAG & 0x766ba000) == 0"}, False),
        ({"DSTYP3": "FLAG", "DSVAL3": "0"}, True),
        ({"DSTYP3": "FLAG", "DSVAL3": "b0xx"}, False),
    ],
)
def test_flag_zero_selection(header, expected):
    assert selects_flag_zero(fits.Header(header)) is expected
