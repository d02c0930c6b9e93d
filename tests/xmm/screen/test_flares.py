"""Flare screening: the histogram rule of a real run, and light curves with a known truth."""

import gzip
import re

import numpy as np
import pytest
import real_products

from daxa.xmm.screen import flares, quiet_level, steadiness
from daxa.xmm.screen.quiet_level import Gaussian


def smoothed_curve(rng, seconds, rate, flare=()):
    level = np.full(seconds, float(rate))
    for start, stop, factor in flare:
        level[start:stop] *= factor
    return rng.poisson(level).astype(float)


def accept(rate, **options):
    return flares.histogram_method(rate, np.ones(len(rate), bool), **options)


@pytest.fixture(scope="module")
def log(shared_data):
    name = shared_data / "logs" / "0204310101_M1S001_espfilt4.3_sas20.log.gz"
    with gzip.open(name, "rt", errors="replace") as handle:
        return handle.read()


class TestRealRun:
    """Numbers that espfilt 4.3 (SAS 20) printed for MOS1 of 0204310101."""

    def test_histogram_rule(self, log):
        """Bin width, number of bins, and the rate of the peak bin as printed."""
        width = float(re.search(r"histo binwidth =\s*([\d.]+)", log)[1])
        bins = int(re.search(r"actual bins \(nverls\) =\s*(\d+)", log)[1])
        histogram = quiet_level.make_histogram(np.array([0.76]), 1 / 51, (0.1, 6.5))
        assert histogram.width == pytest.approx(width, abs=5e-5)
        assert len(histogram.rate) == bins
        peak, start = re.search(r"peak =\s*(\d+)", log)[1], re.search(r"parms =\s*[\d.]+\s+([\d.]+)", log)[1]
        assert histogram.rate[int(peak) - 1] == pytest.approx(float(start), abs=6e-4)

    def test_fit_window(self, log):
        """The printed low, peak and high bins follow from the peak and rangescale."""
        found = re.findall(r"low =\s*(\d+) peak =\s*(\d+) high =\s*(\d+)", log)
        assert len(found) == 3
        centres = [float(c) for c in re.findall(r"rl =\s*[\d.]+\s+([\d.]+)", log)]
        histogram = quiet_level.Histogram(0.1 + np.arange(658) / 51, np.zeros(658), 1 / 51)
        for low, peak, high in (tuple(map(int, f)) for f in found):
            assert quiet_level.fit_window(histogram, peak - 1, 6) == (low - 1, high - 1)
        # The next window is around the bin nearest to the centre.
        for (_, peak, _), centre in zip(found[1:], centres, strict=False):
            assert histogram.nearest(centre) == int(peak) - 1

    def test_fit_of_matching_histogram(self, log):
        """A histogram through the printed points has the printed centre and width."""
        norm, centre, sigma = 1261.334, 0.755, 0.164
        assert "Norm =  1261.334 Width =     0.164 Center =     0.755" in log
        rate = 0.1 + np.arange(658) / 51
        noise = np.random.default_rng(5).normal(0, 20, 658)
        model = quiet_level.gaussian(rate, norm, centre, sigma)
        histogram = quiet_level.Histogram(rate, model + noise, 1 / 51)
        for k, printed in ((28, 1013), (33, 1247), (40, 903)):
            assert model[k] == pytest.approx(printed, rel=0.03)
        found = quiet_level.fit_gaussian(histogram, 28, 40, Gaussian(1247, 0.747, 0.1))
        assert found.centre == pytest.approx(centre, abs=0.02)
        assert found.sigma == pytest.approx(sigma, abs=0.04)


def test_fit_limits_and_times_are_those_of_real_products(shared_data, tmp_path):
    """Light curves made by SAS in; fit, good times and the file of the histogram beside those of espfilt."""
    lines = real_products.flare_screening(shared_data, tmp_path)
    assert len(lines) == 8
    assert not [line for line in lines if not line.equal]


def test_quiet_time_is_kept():
    rng = np.random.default_rng(1)
    kept = [accept(smoothed_curve(rng, 20_000, 0.8)).good.mean() for _ in range(5)]
    assert min(kept) > 0.97


@pytest.mark.parametrize(("sigma", "least", "most"), [(0.7, 0.3, 0.8), (1.5, 0.75, 0.97), (6.0, 0.99, 1.0)])
def test_how_much_is_accepted_does_not_decide_what_is_quiet(sigma, least, most):
    rng = np.random.default_rng(12)
    rate = smoothed_curve(rng, 20_000, 2.0)
    assert least < accept(rate, allow_sigma=sigma).good.mean() <= most


def test_flare_edges_are_found_within_a_bin():
    rng = np.random.default_rng(2)
    rate = smoothed_curve(rng, 20_000, 0.8, [(8_000, 11_000, 10.0)])
    gti = flares.intervals(np.arange(20_000) + 0.5, accept(rate).good, 1.0)
    cut = gti.complement(7_900, 11_100)
    assert cut.start[0] == pytest.approx(8_000, abs=60)
    assert cut.stop[-1] == pytest.approx(11_000, abs=60)


def flaring_curve(rng, seconds=20_000, level=3.0):
    """Flares from end to end: a level that wanders by factors within minutes."""
    steps = rng.normal(0, 1.0, seconds // 400 + 3)
    wander = np.interp(np.arange(seconds), np.arange(len(steps)) * 400, steps)
    return rng.poisson(level * np.exp(0.9 * wander)).astype(float)


def test_all_flare_is_refused():
    """A light curve without a quiet level gives an error, not an arbitrary cut."""
    codes = []
    for seed in range(20):
        try:
            fit = accept(flaring_curve(np.random.default_rng(seed)))
        except flares.FlareFitError as failure:
            codes.append(failure.code)
        else:
            assert fit.good.mean() < 0.3
    assert len(codes) >= 18
    assert set(codes) <= {"allFlare", "fitFailed"}


@pytest.mark.parametrize("rate", [np.zeros(1000), np.full(1000, 0.0)])
def test_no_counts(rate):
    with pytest.raises(flares.FlareFitError, match="no counts"):
        accept(rate)


def test_unexposed_time_is_never_accepted():
    rng = np.random.default_rng(4)
    rate = smoothed_curve(rng, 10_000, 1.0)
    exposed = np.ones(10_000, bool)
    exposed[3_000:5_000] = False
    rate[~exposed] = 0
    fit = flares.histogram_method(rate, exposed)
    # A bin that was observed in part is judged by its mean.
    assert not fit.good[3_000:4_980].any()
    # The window of 13 bins is narrow against the counting noise of 0.14 ct/s.
    assert fit.quiet.centre == pytest.approx(1.0, abs=0.1)
    # Limits that reach below zero do not accept what was not observed.
    wide = flares.histogram_method(rate, exposed, allow_sigma=20.0)
    assert wide.low < 0
    assert not wide.good[3_000:4_980].any()


def test_ratio_method_finds_field_excess():
    rng = np.random.default_rng(6)
    corner = rng.poisson(0.5, 12_000).astype(float)
    annulus = smoothed_curve(rng, 12_000, 2.0, [(4_000, 6_000, 8.0)])
    good, ratio = flares.ratio_method(annulus, corner, np.ones(12_000, bool), 0.25, 1.5)
    assert not good[4_080:5_940].any()
    assert good[:3_900].mean() > 0.9
    assert np.nanmedian(ratio) == pytest.approx(1.0, abs=0.2)


def test_boxcar_against_plain_mean():
    rate = np.random.default_rng(7).poisson(1.0, 200).astype(float)
    found = quiet_level.boxcar(rate, 9)
    for i in (0, 3, 100, 199):
        assert found[i] == pytest.approx(rate[max(i - 4, 0) : i + 5].mean())


def test_bins_are_accepted_strictly_between_the_limits_and_not_alone():
    means = [1.0, 2.0, 2.5, 3.0, 2.5, 2.5, 9.0, 2.5, 2.5]
    rate = np.repeat(means, 4)[:-1]
    exposed = np.ones(len(rate), bool)
    accepted = flares.accept_bins(rate, exposed, 4, 2.0, 3.0)
    # 2 and 3 lie on the limits, the third bin stands alone; the last bin is three samples long.
    assert np.repeat([False] * 4 + [True, True, False, True, True], 4)[:-1].tolist() == accepted.tolist()


def test_the_window_follows_the_fits_and_is_not_widened():
    rate = 0.1 + np.arange(658) / 51
    counts = np.rint(quiet_level.gaussian(rate, 500, 1.4, 0.2))
    counts[70:73] += [60, 90, 60]
    histogram = quiet_level.Histogram(rate, counts, 1 / 51)
    passes = quiet_level.fit_quiet_level(histogram, 6)
    assert passes[0].peak == 71
    assert passes[-1].peak == histogram.nearest(passes[-2].found.centre) < 71
    assert all(p.high - p.low == 12 and p.low == p.peak - 5 for p in passes)
    assert passes[-1].found.centre == pytest.approx(1.4, abs=0.03)


def test_a_bright_field_is_fitted_in_a_window_as_wide_as_its_noise():
    """Thirteen bins of a twentieth of a count per second are a small part of the noise at 5 ct/s."""
    rng = np.random.default_rng(12)
    kept = [accept(rng.poisson(5.0, 20_000).astype(float)) for _ in range(10)]
    assert min(fit.good.mean() for fit in kept) > 0.9
    assert max(fit.passes[0].high - fit.passes[0].low for fit in kept) > 12


def test_a_level_that_the_rate_goes_below_is_not_quiet():
    """Flares only add: wandering light curves are refused nearly always, a floor never."""
    refused = 0
    for seed in range(60):
        rng = np.random.default_rng([8, seed])
        steps = rng.normal(0, 1.0, 20_000 // 400 + 3)
        wander = np.interp(np.arange(20_000), np.arange(len(steps)) * 400, steps)
        try:
            accept(rng.poisson(0.8 * (1 + 4 * np.exp(0.9 * wander))).astype(float))
        except flares.FlareFitError:
            refused += 1
    # One less than when seconds, not bins, were accepted.
    assert refused >= 53
    rng = np.random.default_rng(8)
    floor = np.concatenate([np.full(9_000, 3.0), 3.0 + 2.4 * np.sin(np.arange(9_000) / 600) ** 2])
    assert accept(rng.poisson(floor).astype(float)).good[:9_000].mean() > 0.95


def test_light_curve_like_the_real_one():
    """A curve drawn from the Gaussian that a real run printed, with a flare, gives that Gaussian back."""
    found = []
    for seed in range(12):
        rng = np.random.default_rng([7, seed])
        seconds = 32_670
        steps = rng.normal(0, 1, seconds // 600 + 3)
        drift = np.interp(np.arange(seconds), np.arange(len(steps)) * 600, steps)
        # Width 0.164 ct/s, of which counting over 51 s makes the root of 0.755 / 51.
        extra = np.sqrt(0.164**2 - 0.755 / 51)
        level = np.maximum(0.755 + extra * (drift - drift.mean()) / drift.std(), 0.05)
        level[5_000:9_000] *= np.linspace(1, 4, 4_000)
        fit = accept(rng.poisson(level).astype(float))
        assert fit.low == pytest.approx(fit.quiet.centre - 3 * fit.quiet.sigma)
        assert fit.high == pytest.approx(fit.quiet.centre + 3 * fit.quiet.sigma)
        found.append((fit.quiet.centre, fit.quiet.sigma))
    centre, sigma = np.mean(found, axis=0)
    spread = np.std(found, axis=0)
    assert abs(centre - 0.755) < 1 / 51
    assert abs(sigma - 0.164) < spread[1]
    assert spread.max() < 0.05


def test_dispersion():
    rng = np.random.default_rng(9)
    good = np.ones(40_000, bool)
    good[rng.integers(0, 40_000, 20)] = False
    ratio, number = steadiness.dispersion(rng.poisson(2.0, 40_000).astype(float), good, 200)
    assert ratio == pytest.approx(1.0, abs=4 * np.sqrt(2 / number))
    assert 150 < number <= 199
    blocks = np.repeat([1.0, 3.0], 50)
    assert steadiness.dispersion(blocks, np.ones(100, bool), 50) == (pytest.approx(50.0), 2)
    assert np.isnan(steadiness.dispersion(blocks, np.zeros(100, bool), 50)[0])


@pytest.mark.parametrize(
    ("length", "mean", "seed", "reason"),
    [
        (100, 0.1, 0, "the quiet level -0.341 ct/s lies outside the limits 0.1 to 6.5"),
        (100, 0.05, 0, "only 25% of the rates, whose mean is 0.071 ct/s, reach the lower limit of 0.1 ct/s"),
        (300, 0.1, 3, "only 21% of the rates"),
        (20_000, 0.05, 3, "only 4% of the rates"),
    ],
)
def test_a_faint_light_curve_without_a_peak_is_refused_with_the_reason(length, mean, seed, reason):
    rate = np.random.default_rng(seed).poisson(mean, length).astype(float)
    with pytest.raises(flares.FlareFitError, match=reason) as refused:
        flares.histogram_method(rate, np.ones(length, bool))
    assert refused.value.code == "fitFailed"


@pytest.mark.parametrize("length", [60, 100, 300, 1000])
@pytest.mark.parametrize("mean", [0.02, 0.1, 0.5])
def test_no_light_curve_however_short_gives_a_negative_quiet_level(length, mean):
    for seed in range(5):
        rate = np.random.default_rng(seed).poisson(mean, length).astype(float)
        try:
            fit = flares.histogram_method(rate, np.ones(length, bool))
        except flares.FlareFitError as refused:
            assert refused.code in ("noCounts", "fitFailed", "allFlare")  # noqa: PT017
        else:
            assert fit.quiet.centre >= 0.1
