"""Exposure maps and mosaics on hand-made chips."""

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.image import exposure, mosaic


class FlatCamera:
    """One 400 x 400 chip of 1 arcsec pixels, looking where it points, north up."""

    def raw_to_det(self, ccd, x, y, node=0):
        return (np.asarray(x, float) - 200.5) * 20.0, (np.asarray(y, float) - 200.5) * 20.0

    def covered(self, ccd):
        return np.zeros((400, 400), bool)

    def in_fov(self, detx, dety):
        return np.hypot(detx, dety) < 3600

    def det_to_tel(self, detx, dety):
        return 0.05 * np.hypot(detx, dety), np.arctan2(dety, detx)

    def sky_to_det(self, ra, dec, ra0, dec0, pa):
        x = -(ra - ra0) * 3600 * np.cos(np.radians(dec0)) / 0.05
        return x, (dec - dec0) * 3600 / 0.05


def sky(x, y):
    return 150.0 - (np.asarray(x) - 49.5) * 4 / 3600, (np.asarray(y) - 49.5) * 4 / 3600


def pointings(ra=(150.0,), dec=(0.0,)):
    n = len(ra)
    return exposure.PointingBins(np.array(ra), np.array(dec), np.zeros(n), np.arange(n) * 1.0, np.arange(n))


def chip_map(live, vignetting=None, badpix=None):
    camera = FlatCamera()
    good = exposure.good_pixel_map((400, 400), badpix or {"RAWX": [], "RAWY": [], "YEXTENT": []})
    angles = exposure.telescope_angles(camera, 1, good)
    return exposure.ChipMap(1, exposure.efficiency(angles, vignetting), np.asarray(live, float))


def test_value_is_live_time_times_vignetting():
    def vignetting(theta, phi):
        return 1 - 0.1 * theta + 0.02 * theta * np.cos(phi)

    found = exposure.sky_exposure_map(
        [chip_map([1000.0], vignetting)], FlatCamera(), pointings(), sky, (100, 100)
    )
    for x, y in ((49, 49), (60, 49), (49, 75)):
        ra, dec = sky(x, y)
        theta = np.hypot((ra - 150) * 60, dec * 60)
        expected = 1000 * (1 - 0.1 * theta - 0.02 * (ra - 150) * 60)
        assert found[y, x] == pytest.approx(expected, rel=2e-3)
    assert found[0, 0] == 0


def test_outside_the_field_is_zero_and_area_is_kept():
    found = exposure.sky_exposure_map([chip_map([1.0])], FlatCamera(), pointings(), sky, (100, 100))
    assert found.sum() * 16 == pytest.approx(np.pi * 180**2, rel=5e-3)


def test_attitude_bins_add_up():
    two = exposure.sky_exposure_map(
        [chip_map([600.0, 400.0])], FlatCamera(), pointings((150.0, 150.0), (0.0, 20 / 3600)), sky, (100, 100)
    )
    assert two[49, 49] == pytest.approx(1000)
    assert two.max() == pytest.approx(1000)
    # The southern edge is seen only by the first pointing, the northern one only by the second.
    assert two[6, 49] == pytest.approx(600)
    assert two[97, 49] == pytest.approx(400)


def test_bad_pixels_and_neighbours():
    bad = {"RAWX": [10], "RAWY": [20], "YEXTENT": [3]}
    plain = exposure.good_pixel_map((64, 200), bad)
    assert (~plain).sum() == 3
    strict = exposure.good_pixel_map((64, 200), bad, with_neighbours=True, offset_columns=[30])
    assert not strict[18:23, 9].any()
    assert not strict[19, 8]
    assert strict[18, 8]
    assert not strict[:, 28:31].any()
    assert not strict[0].any()
    assert not strict[:, 63].any()


def test_window_limits_the_map():
    good = exposure.good_pixel_map(
        (600, 600), {"RAWX": [], "RAWY": [], "YEXTENT": []}, window=(252, 252, 100, 98)
    )
    assert good.sum() == 9800
    assert good[251, 251]
    assert not good[250, 251]


def test_attitude_is_binned_by_direction():
    time = np.arange(100.0)
    ra = np.where(time < 50, 359.9999, 0.0011)
    ra[7] = np.nan
    found = exposure.bin_attitude(time, ra, np.zeros(100), np.full(100, 30.0), 1.0)
    assert len(found.ra_deg) == 2
    assert found.index[7] == -1
    assert (found.index >= 0).sum() == 99
    assert sorted(found.ra_deg) == pytest.approx([0.0011, 359.9999])
    live = exposure.live_times(time, np.ones(100), np.ones(100, bool), found)
    assert live.sum() == 99


def image_header(ra, dec, n=60):
    return fits.Header(
        {
            "NAXIS": 2, "NAXIS1": n, "NAXIS2": n, "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": n / 2,
            "CRPIX2": n / 2, "CRVAL1": ra, "CRVAL2": dec, "CDELT1": -0.002, "CDELT2": 0.002, "CUNIT1": "deg",
            "CUNIT2": "deg",
        }
    )  # fmt: skip


def test_mosaic_keeps_counts_and_positions():
    headers = [image_header(359.98, 10.0), image_header(0.03, 10.02)]
    images = [np.random.default_rng(1).poisson(0.5, (60, 60)).astype(float) for _ in headers]
    target = mosaic.covering_header(headers)
    total = mosaic.add_images(images, headers, target)
    assert total.sum() == pytest.approx(sum(i.sum() for i in images))
    source = np.zeros((60, 60))
    source[20, 40] = 100
    placed = mosaic.add_images([source], headers[:1], target)
    from astropy.wcs import WCS

    y, x = (np.average(i, weights=placed) for i in np.indices(placed.shape))
    there = WCS(target).wcs_pix2world(x, y, 0)
    here = WCS(headers[0]).wcs_pix2world(40, 20, 0)
    assert np.hypot((there[0] - here[0]) * np.cos(np.radians(10)), there[1] - here[1]) < 0.0004


def test_mosaic_of_exposure_is_a_mean():
    headers = [image_header(10.0, 0.0), image_header(10.05, 0.0)]
    target = mosaic.covering_header(headers)
    flat = mosaic.add_images([np.full((60, 60), 500.0)], headers[1:], target, mean=True)
    assert flat.max() == pytest.approx(500)
    assert np.median(flat[flat > 0]) == pytest.approx(500)


def test_rate_is_blank_without_exposure():
    rate = mosaic.rate_image(np.array([[4.0, 1.0]]), np.array([[2.0, 0.0]]))
    assert rate[0, 0] == 2
    assert np.isnan(rate[0, 1])


@pytest.mark.parametrize("kind", ["TAN", "SIN"])
def test_pixels_of_one_grid_on_another_are_those_found_over_the_sky(kind):
    from astropy.wcs import WCS

    grids = []
    for ra, dec, angle in ((150.0, -11.0, 0.0), (150.2, -10.9, 37.0)):
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = [f"RA---{kind}", f"DEC--{kind}"]
        wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = (ra, dec), (300, 310), (-0.001, 0.001)
        c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        wcs.wcs.pc = [[c, -s], [s, c]]
        grids.append(wcs)
    first, second = grids
    x, y = np.random.default_rng(3).uniform(-0.5, 599.5, (2, 1000))
    expected = second.wcs_world2pix(*first.wcs_pix2world(x, y, 0), 0)
    found = mosaic.pixel_map(first, second, (600, 600))(x, y)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_bands_mapped_together_are_those_mapped_alone():
    bright, faint = chip_map([600.0, 400.0]), chip_map([600.0, 400.0], lambda theta, phi: 1 - 0.1 * theta)
    both = exposure.ChipMap(1, np.stack([bright.efficiency, faint.efficiency]), bright.live_s)
    aim = pointings((150.0, 150.0), (0.0, 20 / 3600))
    maps = exposure.sky_exposure_map([both], FlatCamera(), aim, sky, (100, 100))
    for found, chip in zip(maps, (bright, faint), strict=True):
        assert np.array_equal(found, exposure.sky_exposure_map([chip], FlatCamera(), aim, sky, (100, 100)))


def test_times_belong_to_the_nearest_attitude_sample():
    rng = np.random.default_rng(5)
    samples, times = np.sort(rng.uniform(0, 100, 40)), rng.uniform(-10, 110, 500)
    index = rng.integers(-1, 2, 40)
    none = np.array([])
    nearest = np.abs(times[:, None] - samples).argmin(axis=1)
    found = exposure.PointingBins(none, none, none, samples, index).of(times)
    assert np.array_equal(found, index[nearest])
    one = exposure.PointingBins(none, none, none, samples[:1], index[:1]).of(times)
    assert (one == index[0]).all()
