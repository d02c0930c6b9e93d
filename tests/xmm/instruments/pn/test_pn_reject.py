"""Wrong dark levels, X-ray loading and detector noise: the algorithms of epreject."""

import numpy as np
import pytest

from daxa.xmm.errors import TaskError
from daxa.xmm.instruments.pn.raw import read_odilist
from daxa.xmm.instruments.pn.reject import (
    band_image,
    brightness_shift,
    correction_area,
    loading_shift,
    noise_probability,
    residual_offsets,
)

SHAPE = (200, 64)


def test_a_wrong_dark_level_stands_out_of_its_column_and_row():
    rng = np.random.default_rng(3)
    column, row = rng.normal(40, 8, 64), rng.normal(0, 3, 200)
    truth = np.zeros(SHAPE)
    # Blocks of four pixels along the read-out, as particles leave them.
    for x, y, adu in ((10, 50, -4.0), (40, 120, 3.0), (63, 196, 30.0)):
        truth[y : y + 4, x] = adu
    found = residual_offsets(column + row[:, None] + truth, limit_adu=7.0)
    # The medians of a column with outliers, and of their rows, move a little.
    assert found == pytest.approx(np.clip(truth, -7, 7), abs=0.2)
    assert np.count_nonzero(np.abs(found) > 0.2) == 12
    # What is always there is no mistake.
    master = rng.normal(0, 2, SHAPE)
    levels = column + row[:, None] + truth + master
    assert residual_offsets(levels, master)[50, 10] == pytest.approx(-4.0, abs=0.2)


def test_pixels_without_a_dark_level_are_left_alone():
    levels = np.full(SHAPE, 50.0)
    levels[:136] = 0.0
    levels[150, 3] = np.nan
    levels[160, 7] = 53.0
    found = residual_offsets(levels)
    assert found[160, 7] == 3.0
    assert np.count_nonzero(found) == 1


def test_images_count_events_of_a_band():
    image = band_image([1, 1, 64, 5], [1, 1, 200, 9], [30, 40, 35, 41], 30, 40)
    assert image[0, 0] == 2
    assert image[199, 63] == 1
    assert image.sum() == 3


@pytest.mark.parametrize("mean", [0.05, 3.0])
def test_sources_and_offset_columns_are_left_out(mean):
    rng = np.random.default_rng(4)
    image = rng.poisson(mean, SHAPE)
    image[100:105, 30:35] += 40
    area = correction_area(image, [12])
    assert not area[:, 11].any()
    assert not area[101:104, 31:34].any()
    area[:, 11] = True
    area[98:107, 28:37] = True
    assert area.all()


def test_loading_is_the_excess_of_a_column():
    closed = np.random.default_rng(5).normal(50, 5, SHAPE)
    levels = closed.copy()
    levels[:, 35:39] += np.array([2.0, 10.0, 9.0, 1.0])
    levels[7, 20] += 500.0
    shift = loading_shift(levels, closed, 0.8)
    assert shift[35:39] == pytest.approx([1.6, 8.0, 7.2, 0.8])
    assert np.count_nonzero(np.round(shift, 9)) == 4


def test_noise_is_told_by_its_share():
    rng = np.random.default_rng(6)
    noise = np.tile(200.0 * np.exp(-np.arange(40) / 5), (200, 1))
    light = np.full((200, 40), 30.0)
    chance = noise_probability(rng.poisson(noise + light), noise, 0.98, 1.0)
    truth = noise / (noise + light)
    # The median of 21 rows has 1.25 / sqrt(21) of the scatter of one.
    assert chance == pytest.approx(truth, abs=0.06 * 4)
    assert np.mean(chance - truth) == pytest.approx(0.0, abs=0.005)
    assert noise_probability(noise, noise, 0.98, 1.0).max() == pytest.approx(0.98)
    assert noise_probability(noise + light, noise, 0.98, 0.5) == pytest.approx(truth / 2, rel=1e-9)
    assert not noise_probability(np.zeros((200, 40)), noise, 0.98, 1.0).any()


def exponential(excess):
    """Minus the error, from the excess of noise that falls by e in 4 adu and has 2.5 counts without it."""
    error = np.rint(4 * np.log1p(np.maximum(excess, 0) / 2.5))
    return -np.minimum(error, 7.0)


@pytest.mark.parametrize("unit", [1.0, 1e-4])
def test_dark_levels_by_brightness(unit):
    rng = np.random.default_rng(8)
    median = rng.uniform(2.0, 3.0, SHAPE[::-1]).T
    error = np.zeros(SHAPE)
    for x, y, adu in ((10, 48, 5.0), (40, 120, 3.0), (63, 196, 6.0), (20, 80, -4.0)):
        error[y : y + 4, x] = adu
    area = np.ones(SHAPE, bool)
    area[49, 10] = False
    # Four times the exposure of the map.
    image = rng.poisson(4 * median.T * np.exp(error.T / 4)).T
    found = brightness_shift(image, unit * median, area, lambda e: exponential(e / unit), 4.0)
    expected = np.where(area & (error > 0), -error, 0.0)
    # Ten counts and more in a pixel: within an adu, hardly ever two.
    assert np.abs(found - expected)[expected < 0].mean() < 1.0
    assert np.abs(found - expected).max() <= 2
    assert np.count_nonzero(found[error <= 0]) == 0
    # Fewer are significant with a higher limit.
    strict = brightness_shift(image, unit * median, area, lambda e: exponential(e / unit), 12.0)
    assert 0 < np.count_nonzero(strict) < np.count_nonzero(found)


def test_brightness_without_events_or_map_tells_nothing():
    nothing = np.zeros(SHAPE)
    everywhere = np.ones(SHAPE, bool)
    assert not brightness_shift(nothing, nothing + 2, everywhere, exponential, 4.0).any()
    assert not brightness_shift(nothing + 2, nothing, everywhere, exponential, 4.0).any()
    # A map that is all wrong is a level, not an excess.
    assert not brightness_shift(nothing + 30, nothing + 2, everywhere, exponential, 4.0).any()


def test_list_of_offset_maps(tmp_path):
    path = tmp_path / "odi.txt"
    path.write_text("04 maps/a.FIT\n\n12 /b.FIT\n")
    maps = read_odilist(path)
    assert {ccd: str(p) for ccd, p in maps.items()} == {4: str(tmp_path / "maps/a.FIT"), 12: "/b.FIT"}
    path.write_text("PNU10104ODI.FIT\n")
    with pytest.raises(TaskError, match="line 1"):
        read_odilist(path)


@pytest.fixture
def wrong_levels(pn_odf):
    """A CCD with a line at 400 adu and noise; particles have spoiled the dark levels of some blocks."""
    from daxa.simulate.numbers.cameras import pn_dark_levels

    rng = np.random.default_rng(11)
    odf = pn_odf(n_frames=20_000)
    error = np.zeros(SHAPE[::-1])
    for _ in range(60):
        x, y = rng.integers(0, 64), rng.integers(20, 190)
        error[x, y : y + 4] = rng.choice([-5.0, -3.0, 3.0, 5.0, 40.0])
    n = 60_000
    x, y = rng.integers(1, 65, n), rng.integers(13, 201, n)
    # What is subtracted too much is missing in the telemetry.
    odf.add(2, rng.integers(0, odf.n_frames, n), x, y, np.rint(400 - error[x - 1, y - 1]))
    odf.offset_maps[2] = pn_dark_levels(2) + error
    return odf.write(), error


def events_of(path):
    from astropy.io import fits

    with fits.open(path) as hdus:
        return hdus["EVENTS"].data.copy()


def test_amplitudes_are_those_without_the_mistakes(wrong_levels, tmp_path):
    odf, error = wrong_levels
    name = "P0800010101PNS003PIEVLI0000.FIT"
    common = {"exposure": 3, "odfaccess": "odf", "ccds": "2", "runbadpixfind": "N", "randomizeenergy": "N"}
    odf.run(tmp_path, **common)
    before = events_of(tmp_path / name)
    out, err = odf.run(tmp_path, runepreject=True, **common)
    after = events_of(tmp_path / name)
    assert "** " not in err, err
    assert "epchain::epreject:-  CCD 2: offset map 3100_0800010101_PNU10102ODI.FIT" in out
    for events, least, most in ((before, 3.0, 5.0), (after, 0.0, 0.8)):
        single = events[events["PATTERN"] == 0]
        wrong = np.abs(error[single["RAWX"] - 1, single["RAWY"] - 1])
        moved = (wrong > 0) & (wrong < 7)
        # Whole adu in the map, and the medians of columns and rows, leave about half an adu.
        assert least < np.sqrt(np.mean((single["PHA"][moved] - 400.0) ** 2)) < most
        assert np.mean(np.abs(single["PHA"][wrong == 0] - 400.0) <= 1) > 0.97
    # Corrections end at the largest one of the calibration.
    far = after[np.abs(error[after["RAWX"] - 1, after["RAWY"] - 1]) > 7]
    assert np.median(far["PHA"]) == pytest.approx(400 - 40 + 7, abs=1)


@pytest.fixture
def noisy_pixels(pn_odf):
    """A CCD with a line at 400 adu; where dark levels are too low by 5 adu, noise is brighter at 20 adu."""
    from daxa.simulate.numbers import cameras as numbers

    def make(**options):
        rng = np.random.default_rng(14)
        odf = pn_odf(n_frames=20_000, **options)
        error = np.zeros(SHAPE[::-1])
        for _ in range(40):
            x, y = rng.integers(0, 64), 4 * rng.integers(5, 48)
            error[x, y : y + 4] = 5.0
        counts = rng.poisson(4 * np.exp(error / numbers.PN_NOISE_SCALE_ADU))
        counts[:, :12] = 0
        x, y = (np.repeat(v + 1, counts.ravel()) for v in np.indices(SHAPE[::-1]).reshape(2, -1))
        odf.add(2, rng.integers(0, odf.n_frames, len(x)), x, y, np.full(len(x), 20))
        n = 60_000
        x, y = rng.integers(1, 65, n), rng.integers(13, 201, n)
        odf.add(2, rng.integers(0, odf.n_frames, n), x, y, np.rint(400 + error[x - 1, y - 1]))
        return odf.write(), error

    return make


def test_without_an_offset_map_brightness_tells_dark_levels(noisy_pixels, tmp_path):
    odf, error = noisy_pixels()
    name = "P0800010101PNS003PIEVLI0000.FIT"
    common = {"exposure": 3, "odfaccess": "odf", "ccds": "2", "runbadpixfind": "N", "randomizeenergy": "N"}
    out, err = odf.run(tmp_path, runepreject=True, **common)
    assert "CCD 2: no offset map; dark levels are judged by the brightness at 20 adu" in err
    assert "CCD 2: brightness over EPN_REJECT_0006.CCF[MEDIAN_MAP_FF_02]" in out
    events = events_of(tmp_path / name)
    line = events[(events["PATTERN"] == 0) & (np.abs(events["PHA"] - 400.0) < 15)]
    wrong = error[line["RAWX"] - 1, line["RAWY"] - 1] > 0
    assert np.mean(wrong) > 0.01
    # By some 14 counts in each pixel.
    assert np.sqrt(np.mean((line["PHA"][wrong] - 400.0) ** 2)) < 2.0
    assert np.mean(line["PHA"][wrong]) == pytest.approx(400.0, abs=0.6)
    assert np.mean(line["PHA"][~wrong] == 400) > 0.98
    # No excess is so significant.
    odf.run(tmp_path, runepreject=True, sigma=1000, **common)
    events = events_of(tmp_path / name)
    wrong = error[events["RAWX"] - 1, events["RAWY"] - 1] > 0
    assert np.median(events["PHA"][wrong & (events["PHA"] > 300)]) == 405


def test_modes_without_a_median_map_stay_as_they_are(noisy_pixels, tmp_path):
    """As a real run in extended full frame says."""
    odf, _ = noisy_pixels(submode="PrimeFullWindowExtended")
    common = {"exposure": 3, "odfaccess": "odf", "ccds": "2"}
    odf.run(tmp_path, **common)
    name = "P0800010101PNS003PIEVLI0000.FIT"
    before = events_of(tmp_path / name)
    _, err = odf.run(tmp_path, runepreject=True, **common)
    assert "(NoOffsetMap), CCD 2: no offset map and no median map; amplitudes stay as they are" in err
    assert "(noMedianMap), EPN_REJECT_0006.CCF[MEDIAN_MAP_INDEX]: nothing for CCD 2" in err
    assert np.array_equal(events_of(tmp_path / name), before)
    from astropy.io import fits

    cards = fits.getheader(tmp_path / name)
    assert "EPN_REJECT_0006.CCF[MEDIAN_MAP_INDEX]: noMedianMap" in [
        cards[k] for k in cards if k[:5] == "CALFB"
    ]


def test_without_excesses_nothing_changes_and_the_missing_map_is_said(pn_odf, tmp_path):
    odf = pn_odf()
    odf.background(2, 3000, np.random.default_rng(12))
    odf.write()
    common = {"exposure": 3, "odfaccess": "odf", "ccds": "2"}
    odf.run(tmp_path, **common)
    name = "P0800010101PNS003PIEVLI0000.FIT"
    before = events_of(tmp_path / name)
    _, err = odf.run(tmp_path, runepreject=True, **common)
    assert "** epchain::epreject: warning (NoOffsetMap), CCD 2" in err
    assert np.array_equal(events_of(tmp_path / name), before)


def test_an_offset_map_of_another_observation(wrong_levels, tmp_path):
    odf, _ = wrong_levels
    (path,) = odf.folder.glob("*ODI.FIT")
    elsewhere = path.rename(tmp_path / "levels.fits")
    (tmp_path / "list.txt").write_text(f"02 {elsewhere}\n")
    common = {"exposure": 3, "odfaccess": "odf", "ccds": "2", "runepreject": True}
    _, err = odf.run(tmp_path, **common)
    assert "NoOffsetMap" in err
    out, err = odf.run(tmp_path, withoffsetlist=True, odilist="list.txt", **common)
    assert "offset map levels.fits" in out
    assert err == ""


def test_noise_is_flagged_and_leaves_the_list(pn_odf, tmp_path):
    from daxa.simulate.numbers import cameras as numbers

    odf = pn_odf(n_frames=100_000)
    rng = np.random.default_rng(13)
    duration = odf.n_frames * odf.mode.frame_time_s
    spectrum = numbers.PN_NOISE_RATE * np.exp(-np.arange(40) / numbers.PN_NOISE_SCALE_ADU) * duration
    counts = rng.poisson(np.tile(spectrum, (188, 1)))
    row, channel = np.nonzero(counts)
    repeat = counts[row, channel]
    n = repeat.sum()
    frame = rng.integers(0, odf.n_frames, n)
    odf.add(2, frame, rng.integers(1, 65, n), np.repeat(row, repeat) + 13, np.repeat(channel, repeat) + 20)
    light = 60_000
    odf.background(2, light, rng, low=20, high=60)
    odf.offset_maps[2] = numbers.pn_dark_levels(2)
    odf.write()
    common = {"exposure": 3, "odfaccess": "odf", "ccds": "2", "runbadpixfind": "N", "screenlowthresh": 0}
    name = "P0800010101PNS003PIEVLI0000.FIT"
    odf.run(tmp_path, **common)
    everything = len(events_of(tmp_path / name))
    odf.run(tmp_path, runepreject=True, withnoisehandling=True, **common)
    kept = events_of(tmp_path / name)
    # The level of light is left where noise was ten times stronger.
    low = np.count_nonzero((kept["PHA"] >= 20) & (kept["PHA"] < 26))
    assert low == pytest.approx(light * 6 / 40, rel=0.1)
    assert everything - len(kept) == pytest.approx(n, rel=0.1)
    odf.run(tmp_path, runepreject=True, withnoisehandling=True, screenrejected=False, **common)
    assert len(events_of(tmp_path / name)) == everything
