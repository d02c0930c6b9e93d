"""The simulated sky and what the telescopes make of it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from daxa.simulate import optics, sky
from daxa.simulate.cameras.camera import CAMERAS

START = 595_000_000.0
POINTING = (149.60, -11.05, 110.0)
codes = pytest.mark.parametrize("code", list(CAMERAS))


def area_of(camera, filter_name="Medium"):
    return lambda energy: optics.drawn_area(camera, filter_name, energy)


def steady(time_s):
    return POINTING


def assert_poisson(count, expected, sigmas=4.5):
    assert abs(count - expected) < sigmas * np.sqrt(expected) + 1


@codes
def test_counts_of_each_source_are_poisson_about_the_expected_rate(code):
    model = sky.cluster_field(period_s=12.5)
    area = area_of(CAMERAS[code])
    photons = model.photons(START, START + 4000, area, np.random.default_rng(1))
    assert np.all(np.diff(photons.time_s) >= 0)
    for number, rate in enumerate(model.rates(area)):
        assert_poisson((photons.source == number).sum(), rate * 4000)


def test_same_seed_same_photons():
    model = sky.cluster_field()
    area = area_of(CAMERAS["PN"])
    a, b = (model.photons(START, START + 300, area, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(a.energy_ev, b.energy_ev)
    np.testing.assert_array_equal(a.ra_deg, b.ra_deg)


def test_flux_of_a_power_law():
    spectrum = sky.power_law(1.7, 3e-12, n_h=0.0)
    band = (sky.CENTRES_EV > 500) & (sky.CENTRES_EV < 10000)
    flux = np.sum((spectrum * sky.CENTRES_EV * np.diff(sky.EDGES_EV))[band]) * sky.ERG_PER_EV
    assert flux == pytest.approx(3e-12, rel=1e-9)
    # dN/dE: the photon density falls by 10^1.7 per decade.
    ratio = np.interp(600.0, sky.CENTRES_EV, spectrum) / np.interp(6000.0, sky.CENTRES_EV, spectrum)
    assert ratio == pytest.approx(10**1.7, rel=1e-3)


def test_absorption_of_the_galaxy():
    # Cross-section of Morrison and McCammon at 1 keV: (120.6 + 169.3 - 47.7) x 1e-24 cm2.
    assert sky.absorption(np.array([1000.0]), 1e21)[0] == pytest.approx(np.exp(-0.2422), rel=1e-6)
    assert sky.absorption(np.array([150.0, 8000.0, 14000.0]), 0.0) == pytest.approx(1.0)


def test_iron_line_of_the_cluster_is_where_the_redshift_puts_it():
    with_line = sky.thermal(5.0, 1e-11, 0.153)
    without = sky.thermal(5.0, 1e-11, 0.153, equivalent_width_ev=0.0)
    # Fluxes are normalised with the line in: compare shapes.
    scale = with_line[1000] / without[1000]
    line = with_line - scale * without
    assert np.average(sky.CENTRES_EV, weights=np.maximum(line, 0)) == pytest.approx(6700 / 1.153, abs=1)
    width = np.sum(line) * 5 / (scale * np.interp(6700 / 1.153, sky.CENTRES_EV, without))
    assert width == pytest.approx(400 / 1.153, rel=0.01)


def test_beta_model_profile():
    source = sky.BetaModel("x", 50.0, 70.0, np.ones_like(sky.CENTRES_EV), 60.0, 0.7, 600.0)
    ra, dec = source.directions(200_000, np.random.default_rng(2))
    north = np.deg2rad(dec - 70.0)
    cosine = np.sin(np.deg2rad(70)) * np.sin(np.deg2rad(dec))
    cosine += np.cos(np.deg2rad(70)) * np.cos(np.deg2rad(dec)) * np.cos(np.deg2rad(ra - 50))
    radius = np.rad2deg(np.arccos(np.clip(cosine, -1, 1))) * 3600
    assert radius.max() < 600.1
    assert abs(north.mean()) < 2e-5
    r = np.linspace(0, 600, 6001)
    light = r * (1 + (r / 60) ** 2) ** (0.5 - 3 * 0.7)
    for limit in (30, 60, 120, 300):
        expected = np.trapezoid(light[r <= limit], r[r <= limit]) / np.trapezoid(light, r)
        assert (radius < limit).mean() == pytest.approx(expected, abs=0.004)


def test_pulsations_have_their_period_and_amplitude():
    source = sky.PointSource("x", 0.0, 0.0, np.ones_like(sky.CENTRES_EV), 12.5, 0.7, START)
    time = source.times(START, START + 12500, 50_000, np.random.default_rng(3))
    assert_poisson(len(time), 50_000)
    phase = 2 * np.pi * (time - START) / 12.5
    assert 2 * np.mean(np.sin(phase)) == pytest.approx(0.7, abs=0.02)
    assert abs(np.mean(np.cos(phase))) < 0.02


@codes
def test_area_at_the_place_of_real_spectra(shared_data, code):
    """Mirror x vignetting x filter x detector x encircled fraction within 5 % from 0.5 to 8 keV."""
    from astropy.io import fits

    camera = CAMERAS[code]
    name = {"M1": "MOS1", "M2": "MOS2", "PN": "PN"}[code]
    # Extraction circle of 40 arcsec at these places; pointing of ObsID 0693760101.
    ra, dec = (359.449583, -32.582500) if camera.is_pn else (359.449300, -32.583194)
    detx, dety = camera.sky_to_det(ra, dec, 359.430833, -32.614778, 51.6756)
    theta, phi = camera.off_axis(detx, dety)
    with fits.open(shared_data / "arf_spectra_ngc7793" / f"{name}.arf.gz") as hdus:
        low, high, real = (
            np.asarray(hdus["SPECRESP"].data[c], float) for c in ("ENERG_LO", "ENERG_HI", "SPECRESP")
        )
    energy = (low + high) * 500
    model = optics.effective_area(camera, "Medium", energy) * optics.transmission(camera, energy, theta, phi)
    model *= optics.encircled_fraction(camera, energy, theta, 40.0)
    if camera.is_pn:
        model *= camera.pattern_fractions(energy)[:, :2].sum(axis=1)
    edges = np.geomspace(500, 8000, 41)
    for start, stop in pairwise(edges):
        here = (energy >= start) & (energy < stop)
        assert model[here].mean() == pytest.approx(real[here].mean(), rel=0.05)


def test_vignetting_against_the_telescope_model(shared_data):
    from astropy.io import fits

    with fits.open(shared_data / "vignetting_background" / "xmm_mos1_vignet.fits") as hdus:
        row = hdus[1].data[0]
        energy = (np.asarray(row["ENERG_LO"]) + np.asarray(row["ENERG_HI"])) * 500
        real = np.asarray(row["VIGNET"], float)[0]
    band = (energy > 300) & (energy < 10000)
    theta = np.arange(26) * 0.6
    ours = optics.vignetting(energy[None, band], theta[:, None])
    # At most 2 % of the value on axis, at the gold edges.
    assert np.abs(ours - real[:, band]).max() < 0.02
    assert optics.vignetting(1000.0, 0.0) == pytest.approx(1.0)
    assert optics.vignetting(1000.0, 99.0) == optics.vignetting(1000.0, 15.0)


@codes
def test_psf_has_the_encircled_fraction(code):
    camera = CAMERAS[code]
    radius = optics.psf_radii(camera, np.full(100_000, 1500.0), 3.0, np.random.default_rng(4))
    for limit in (5.0, 15.0, 60.0):
        expected = optics.encircled_fraction(camera, 1500.0, 3.0, limit)
        assert (radius < limit).mean() == pytest.approx(float(expected), abs=0.006)
    assert radius.max() <= 300.001


def test_gratings_shade_one_side_of_the_field():
    camera = CAMERAS["M2"]
    theta = np.linspace(0, 15, 31)
    towards, away, across = (optics.gratings(camera, theta, phi) for phi in (0.0, np.pi, np.pi / 2))
    np.testing.assert_allclose(across, 1.0, rtol=1e-3)
    np.testing.assert_allclose((towards + away) / 2, 1.0, rtol=1e-3)
    assert towards[20] == pytest.approx(1.145, abs=0.003)
    assert np.all(optics.gratings(CAMERAS["PN"], theta, 0.0) == 1.0)
    # Photons are drawn for enough area everywhere.
    fine = np.linspace(0, 15, 1501)
    share = optics.transmission(camera, 1000.0, fine, 0.0)
    assert (
        1.002
        < share.max()
        < optics.drawn_area(camera, "Open", 1e3) / optics.effective_area(camera, "Open", 1e3)
    )


@codes
def test_point_sources_are_centred_where_they_are(code):
    camera = CAMERAS[code]
    spectrum = sky.power_law(1.7, 2e-10)
    model = sky.SkyModel([sky.PointSource("x", 149.66, -11.0, spectrum)])
    rng = np.random.default_rng(5)
    photons = model.photons(START, START + 2000, area_of(camera), rng)
    hits = optics.photon_hits(camera, photons, steady, rng)
    detx, dety = camera.raw_to_det(hits.ccd, hits.rawx, hits.rawy)
    x0, y0 = camera.sky_to_det(149.66, -11.0, *POINTING, START)
    near = np.hypot(detx - x0, dety - y0) < 10 / 0.05
    assert near.sum() > 5000
    assert abs(np.mean(detx[near] - x0)) * 0.05 < 0.25
    assert abs(np.mean(dety[near] - y0)) * 0.05 < 0.25


@codes
def test_hits_of_the_field_match_the_written_truth(code):
    camera = CAMERAS[code]
    model = sky.cluster_field()
    rng = np.random.default_rng(6)
    hits = optics.photon_hits(camera, model.photons(START, START + 3000, area_of(camera), rng), steady, rng)
    for number, row in enumerate(optics.expected_rates(model, camera, "Medium", POINTING, START)):
        expected = row["vignetted"] * row["on_chip"] * 3000
        assert_poisson((hits.source == number).sum(), expected, sigmas=5)
        assert 0 < row["on_chip"] <= 1
        assert row["vignetted"] <= row["on_axis"] * (1.0 if camera.is_pn else 1.003)
    assert np.all(camera.in_fov(*camera.raw_to_det(hits.ccd, hits.rawx, hits.rawy)))


def test_moving_attitude_moves_the_image():
    camera = CAMERAS["PN"]
    model = sky.SkyModel([sky.PointSource("x", 149.60, -11.05, sky.power_law(1.7, 1e-10))])
    rng = np.random.default_rng(8)
    photons = model.photons(START, START + 1000, area_of(camera), rng)

    def drifting(time_s):
        shift = np.where(time_s < START + 500, 0.0, 30 / 3600)
        return POINTING[0] + 0 * shift, POINTING[1] + shift, POINTING[2] + 0 * shift

    hits = optics.photon_hits(camera, photons, drifting, rng)
    detx, dety = camera.raw_to_det(hits.ccd, hits.rawx, hits.rawy)
    late = hits.time_s > START + 500
    moved = np.hypot(
        np.median(detx[late]) - np.median(detx[~late]), np.median(dety[late]) - np.median(dety[~late])
    )
    assert moved * 0.05 == pytest.approx(30, abs=1.5)


@codes
def test_flare_fills_the_field_and_follows_its_light_curve(code):
    camera = CAMERAS[code]
    time, rate = [START, START + 1000, START + 1500, START + 2000], [0.0, 0.0, 20.0, 0.0]
    hits = optics.flare_hits(camera, time, rate, np.random.default_rng(9))
    assert_poisson(len(hits), 10_000)
    assert set(hits.source) == {optics.FLARE}
    assert hits.time_s.min() > START + 1000
    assert np.mean(hits.time_s) == pytest.approx(START + 1500, abs=10)
    detx, dety = camera.raw_to_det(hits.ccd, hits.rawx, hits.rawy)
    assert camera.in_fov(detx, dety).all()
    theta, _ = camera.off_axis(detx, dety)
    # Flatter than photons: the outer field keeps over three quarters.
    inner, outer = (theta < 5).sum() / 25, ((theta > 8) & (theta < 11)).sum() / (121 - 64)
    assert 0.65 < outer / inner < 1.05


@codes
def test_particles_fill_the_chips_and_bring_fluorescence(code):
    camera = CAMERAS[code]
    hits = optics.particle_hits(camera, START, START + 5000, np.random.default_rng(10))
    continuum, lines = optics.particle_rates(camera)
    assert_poisson((hits.source == optics.PARTICLES).sum(), continuum * 5000)
    assert_poisson((hits.source == optics.FLUORESCENCE).sum(), lines * 5000)
    energies = np.unique(hits.energy_ev[hits.source == optics.FLUORESCENCE])
    assert set(energies) == {e for e, _ in optics.FLUORESCENCE_LINES[code]}
    counts = np.bincount(hits.ccd, minlength=len(camera.ccds) + 1)[1:]
    assert np.all(np.abs(counts - counts.mean()) < 5 * np.sqrt(counts.mean()))
    detx, dety = camera.raw_to_det(hits.ccd, hits.rawx, hits.rawy)
    assert (~camera.in_fov(detx, dety)).sum() > 100


def test_particle_rates_are_those_of_closed_filter_spectra():
    # Counts/s/arcmin2 of bands measured with closed filter wheel.
    measured = {"M1": {(2.0, 4.5): 2.38e-4, (4.5, 7.0): 2.22e-4, (0.5, 2.0): 4.58e-4},
                "PN": {(2.0, 4.5): 9.2e-4, (4.5, 7.0): 8.2e-4, (0.5, 2.0): 1.11e-3}}  # fmt: skip
    for code, bands in measured.items():
        camera = CAMERAS[code]
        hits = optics.particle_hits(camera, START, START + 50_000, np.random.default_rng(11))
        area = np.prod(camera.pixel) * (0.05 / 60) ** 2 * camera.nx * camera.ny * len(camera.ccds)
        for (low, high), rate in bands.items():
            count = ((hits.energy_ev >= low * 1e3) & (hits.energy_ev < high * 1e3)).sum()
            assert count / area / 50_000 == pytest.approx(rate, rel=0.05)


def test_unknown_filter_is_refused():
    with pytest.raises(ValueError, match="no filter 'Thin'"):
        optics.effective_area(CAMERAS["PN"], "Thin", 1000.0)
