"""Smoothing of images."""

import numpy as np
from astropy.convolution import Gaussian2DKernel, convolve
from scipy.ndimage import gaussian_filter

from daxa.xmm.image.smooth import smooth, smooth_adaptively


def field(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Counts of a flat sky with one source, and an exposure that falls to the right, to none at the edge."""
    exposure = np.tile(np.linspace(2000.0, 0.0, 80), (60, 1))
    rate = np.full((60, 80), 0.005)
    rate[28:31, 20:23] += 1.0
    return np.random.default_rng(seed).poisson(rate * exposure).astype(float), exposure


def test_far_from_borders_it_is_a_plain_gaussian():
    counts, _ = field()
    inside = (slice(15, -15), slice(15, -15))
    ours = smooth(counts, np.ones(counts.shape), 2.5)
    np.testing.assert_allclose(ours[inside], gaussian_filter(counts, 2.5, truncate=5)[inside], rtol=1e-6)
    again = convolve(counts, Gaussian2DKernel(2.5, x_size=27, y_size=27), boundary="fill")
    np.testing.assert_allclose(ours[inside], again[inside], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(smooth(counts, np.ones(counts.shape), 0.0), counts)


def test_a_flat_sky_stays_flat_where_the_exposure_is_not():
    _, exposure = field()
    counts = 0.005 * exposure
    rate = np.divide(counts, exposure, out=np.zeros(counts.shape), where=exposure > 0)
    ours = smooth(rate, exposure, 4.0)
    np.testing.assert_allclose(ours[exposure > 0], 0.005, rtol=1e-9)
    assert not smooth(rate, np.zeros(rate.shape), 4.0).any()


def test_adaptive_widths_reach_the_ratio_and_no_more():
    counts, exposure = field()
    seen = exposure > 0
    rate = np.divide(counts, exposure, out=np.zeros(counts.shape), where=seen)
    variance = np.divide(counts, exposure**2, out=np.zeros(counts.shape), where=seen)
    sigmas = [0.0, 1.0, 2.0, 4.0, 8.0]
    smoothed, width = smooth_adaptively(rate, variance, exposure, sigmas, 10.0)
    assert set(np.unique(width)) <= set(sigmas)
    # The bright source is left as it is, the sky is smoothed.
    assert (width[28:31, 20:23] == 0).all()
    assert np.median(width[:15, :20]) >= 1
    np.testing.assert_array_equal(smoothed[28:31, 20:23], rate[28:31, 20:23])
    assert abs(smoothed[5:15, 40:60].mean() / 0.005 - 1) < 0.1
    # Each mean is what a Gaussian of that width gives.
    for sigma in (2.0, 4.0):
        here = width == sigma
        assert here.any()
        np.testing.assert_allclose(smoothed[here], smooth(rate, exposure, sigma)[here], rtol=1e-12)
    # More is asked for: wider everywhere, and the widest where it is not reached.
    _, wider = smooth_adaptively(rate, variance, exposure, sigmas, 30.0)
    assert (wider >= width).all()
    assert (wider == 8).any()
