"""Energies, bad pixels and events of made-up pixels with known answers."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from astropy.io import fits

from daxa.simulate.numbers import gratings as rgs_numbers
from daxa.xmm.formats.odf import rgs_offset_image
from daxa.xmm.formats.rgs import RgsFlag
from daxa.xmm.instruments.rgs import shapes
from daxa.xmm.instruments.rgs.badpixels import BadMap, Window, bad_pixels, hot_columns, hot_pixels
from daxa.xmm.instruments.rgs.energy import EnergyScale, calibrate, pixel_offsets
from daxa.xmm.instruments.rgs.events import above, expand, join, make_events
from daxa.xmm.task import run_task

WINDOW = Window(((1, 171), (1, 171)), (1, 128), (171, 128))
SPLIT = (0.7, 0.55, 0.5)


def pixels(*rows) -> dict[str, np.ndarray]:
    """Items from (frame, node, rawx, rawy, shape, pi)."""
    frame, node, rawx, rawy, shape, pi = (np.array(c) for c in zip(*rows, strict=True))
    return {
        "FRAME": frame, "CCDNODE": node, "RAWX": rawx, "RAWY": rawy, "SHAPE": shape,
        "GRADE": shapes.translate(shape)[1], "PI": pi.astype(float), "ENERGY": (pi / 3).astype(int),
    }  # fmt: skip


# --- energies ----------------------------------------------------------------------------------------


def test_energy_by_the_formulas_of_the_handbook():
    parallel = np.linspace(1e-4, 3e-4, 342)
    scale = EnergyScale((60.0, 63.0), (0.3, 0.31), (2e-5, 3e-5), parallel, (0.0, 1.0))
    rows = pixels((1, 0, 10, 20, 0, 600), (1, 1, 5, 100, 3, 900), (2, 1, 171, 1, 0, 30))
    rows["ENERGY"] = np.array([300, 500, 90])
    draws = np.random.default_rng(3).uniform(0, 1, 3)
    pi = calibrate(rows, scale, np.random.default_rng(3))
    # CHIPX 10, 338 and 172; a pair has two offsets.
    expected = [
        (300 + draws[0] - 60) / 0.3 * (1 + 20 * parallel[9]) * (1 + 10 * 2e-5),
        (500 + draws[1] - 126) / 0.31 * (1 + 100 * parallel[337]) * (1 + 5 * 3e-5),
        (90 + draws[2] - 63) / 0.31 * (1 + 1 * parallel[171]) * (1 + 171 * 3e-5),
    ]
    np.testing.assert_allclose(pi, expected, rtol=1e-12)
    plain = calibrate(rows, scale, np.random.default_rng(3), with_gain=False, with_cti=False)
    np.testing.assert_allclose(plain, [240 + draws[0], 374 + draws[1], 27 + draws[2]])


def test_offsets_of_pixels_are_summed_over_the_shape():
    images = {0: np.arange(128 * 171, dtype=float).reshape(128, 171), 1: np.full((128, 171), 7.0)}
    got = pixel_offsets(
        [0, 1, 0, 0], [3, 3, 3, 171], [2, 2, 2, 2], [3, 1, shapes.NULL, 3], [2, 4, 3, 2], images
    )
    base = 171 + 2
    # Twice a pixel of the edge where the shape reaches out; thrice its own where the shape is not known.
    assert got.tolist() == [2 * base + 1, 28.0, 3 * base, 2 * (171 + 170)]


def test_offset_images_of_the_odf_are_used(grated, simulated_gratings, tmp_path):
    """Offsets per pixel that are 10 channels lower make energies higher by 10 channels a pixel."""
    run = grated["0800030101"]
    odf = shutil.copytree(simulated_gratings.odf("0800030101"), tmp_path / "odf")
    template = next(odf.glob("*R2X00000PFH.FIT"))
    with fits.open(run.file("R2", "events", "6000")) as hdus:
        since = hdus[0].header["TSTART"] - 121_456_864.184
        before = hdus["PIXELS"].data.copy()
        assert hdus["EXPOSURE"].header["OFFSCORR"] == "CCDNODE"
    hdus = [fits.PrimaryHDU()]
    for node in (0, 1):
        level = rgs_numbers.offset("RGS2", 6, node) + rgs_numbers.OFFSET_SLOPE * since
        image = np.full((128, 171), level - 10.0)
        hdus.append(fits.ImageHDU(image, name=rgs_offset_image(6, node)))
    fits.HDUList(hdus).writeto(odf / template.name.replace("PFH", "OFX"))
    shutil.copy(run.file("R2", "events", "6000"), tmp_path / "ccd.ds")
    env = {**run.env, "SAS_ODF": str(odf)}
    with (tmp_path / "log").open("w") as log:
        run_task("rgsenergy", {"ccdset": "ccd.ds"}, cwd=tmp_path, env=env, out=log)
    with fits.open(tmp_path / "ccd.ds") as hdus:
        after = hdus["PIXELS"].data
        assert hdus["EXPOSURE"].header["OFFSCORR"] == "PIX2PIX"
        gain = rgs_numbers.gain("RGS2", 6, before["CCDNODE"])
        np.testing.assert_allclose(
            after["PI"] - before["PI"], 10.0 * before["GRADE"] / gain, rtol=0.02, atol=0.05
        )


# --- bad pixels --------------------------------------------------------------------------------------


def test_hot_pixel_test_of_the_manual():
    counts = np.full((9, 9), 4.0)
    counts[4, 4] = 40.0
    active = np.ones((9, 9), bool)
    found = hot_pixels(counts, active, 1000, 5.0)
    assert np.argwhere(found).tolist() == [[4, 4]]
    # 4 + 5 sqrt(N (1 - N / F) + 4 (1 - 4 / F)) for F = 1000: 34.3 for N = 34.
    counts[4, 4] = 34.0
    assert not hot_pixels(counts, active, 1000, 5.0).any()
    counts[4, 4] = 35.0
    assert hot_pixels(counts, active, 1000, 5.0)[4, 4]
    # Without an active neighbour there is nothing to compare with.
    active[[3, 5, 4, 4], [4, 4, 3, 5]] = False
    assert not hot_pixels(counts, active, 1000, 5.0).any()


def test_hot_column_test_of_the_manual():
    counts = np.full((128, 20), 0.5)
    counts[:, 7] = 2.0
    good = np.ones(counts.shape, bool)
    assert np.flatnonzero(hot_columns(counts, good, 4000, 8.0)).tolist() == [7]
    counts[:, 7] = 0.9
    assert not hot_columns(counts, good, 4000, 8.0).any()
    good[:, 3] = False
    assert not hot_columns(counts, good, 4000, 8.0)[3]


def test_a_line_of_a_source_is_no_hot_column():
    """Only energies below the limit count in the search for columns."""
    rng = np.random.default_rng(1)
    n = 40_000
    column = np.clip(np.rint(85 + 2.2 * rng.standard_normal(n)), 1, 171).astype(int)
    row = rng.integers(1, 129, n)
    frame = rng.integers(0, 4000, n)
    rows = pixels(*zip(frame, np.zeros(n, int), column, row, np.zeros(n, int), np.full(n, 650), strict=True))
    good = np.ones(n, bool)
    bad, _ = bad_pixels(rows, good, 4000, WINDOW, [], SPLIT, pixel_sharpness=9.0)
    assert not bad.origin.any()
    rows["PI"][:] = 200.0
    bad, found = bad_pixels(rows, good, 4000, WINDOW, [], SPLIT, pixel_sharpness=9.0)
    assert found.any(axis=0).sum() >= 4


def test_segments_are_the_map():
    rng = np.random.default_rng(4)
    origin = rng.choice([0, 0, 0, 1, 3], (128, 342))
    origin[:, 40] = 2
    kind = np.where(origin > 0, rng.choice([1, 3], origin.shape), 0)
    rows = BadMap(kind, origin).segments(1, 342)
    made = np.zeros((2, 128, 342), int)
    for x, y, n, t, f in zip(
        *(rows[k] for k in ("CHIPX", "CHIPY", "YEXTENT", "TYPE", "BADFLAG")), strict=True
    ):
        made[:, y - 1 : y - 1 + n, x - 1] = [[t], [f]]
    np.testing.assert_array_equal(made, [kind, origin])
    assert BadMap(kind * 0, origin * 0).segments(1, 171)["CHIPX"].tolist() == []


# --- events ------------------------------------------------------------------------------------------


def test_pixels_that_share_an_edge_are_one_event():
    rows = pixels(
        (1, 0, 10, 10, 0, 300), (1, 0, 11, 10, 0, 200),  # a pair
        (1, 0, 12, 11, 0, 200),  # touches by a corner only
        (2, 0, 11, 11, 0, 200),  # another frame
        (2, 0, 171, 50, 0, 400), (2, 1, 171, 50, 0, 100),  # over the line between the nodes
        (3, 1, 20, 5, 1, 900), (3, 1, 22, 6, 2, 100),  # a box, and a pair beside it
    )  # fmt: skip
    members, outside, overlapping = expand(rows, WINDOW)
    assert not outside.any()
    assert not overlapping.any()
    assert join(rows["FRAME"], members, 8, 342).tolist() == [0, 0, 1, 2, 3, 3, 4, 4]


def test_items_that_reach_out_or_overlap():
    rows = pixels((1, 1, 171, 75, 3, 300), (1, 0, 5, 5, 1, 300), (1, 0, 6, 6, 0, 100))
    members, outside, overlapping = expand(rows, WINDOW)
    assert outside.tolist() == [True, False, False]
    assert overlapping.tolist() == [False, False, True]
    assert np.bincount(members.item).tolist() == [1, 4]


def test_thresholds_are_those_of_the_highest_pixel():
    """Handbook: the threshold of an item of n pixels is divided by QSPLITRn."""
    threshold = 70.0
    limit = threshold / np.array([1.0, 0.7, 0.55, 0.5])
    for pi, expected in ((limit + 0.01, True), (limit - 0.01, False)):
        assert (above(pi, [1, 2, 3, 4], threshold, SPLIT) == expected).all()


def test_flags_and_properties(geometries):
    rows = pixels(
        (1, 0, 60, 60, 0, 500), (1, 0, 61, 60, 0, 300),
        (1, 0, 30, 40, 0, 520),  # on a bad pixel
        (1, 0, 31, 40, 0, 480),  # beside it, but joined to it: one event
        (2, 0, 29, 40, 0, 500),  # beside it, alone
        (2, 1, 171, 60, 3, 800),  # reaches over the line between the nodes
        (2, 1, 80, 128, 0, 500),  # at the edge
        (3, 1, 80, 60, 0, 85),  # below acceptance
        (3, 1, 90, 60, 0, 70),  # below rejection: no event
        (9, 0, 90, 60, 0, 700),  # no such frame
    )  # fmt: skip
    bad = np.zeros((128, 342), bool)
    bad[39, 29] = True
    exposure = {
        "FRAME": np.array([1, 2, 3]),
        "TIME": np.array([10.0, 14.6, 19.2]),
        "FLAG": np.array([0, 0, int(RgsFlag.IN_BAD_FRAME)]),
    }
    codes = []
    events = make_events(
        rows, exposure, WINDOW, bad, ((75.0, 90.0), (75.0, 90.0)), SPLIT, geometries["RGS1"], 5,
        np.random.default_rng(1), warn=lambda code, text: codes.append(code),
    )  # fmt: skip
    c = events.columns
    assert sorted(codes) == ["InvalidCoordinates", "MissingFrames"]
    assert events.of_item.tolist() == [1, 1, 2, 2, 3, 4, 5, 6, 0, 0]
    assert c["PI"].tolist() == [800, 1000, 500, 800, 500, 85]
    assert c["GRADE"].tolist() == [2, 2, 1, 2, 1, 1]
    assert c["TIME"].tolist() == [10.0, 10.0, 14.6, 14.6, 14.6, 19.2]
    assert c["CHIPX"].tolist()[:3] == [60, 30, 29]

    def having(name):
        return np.flatnonzero((c["FLAG"] & int(RgsFlag[name])) != 0).tolist()

    assert having("ON_BADPIX") == [1]
    assert having("NEXT_TO_BADPIX") == [1, 2]
    assert having("ON_NODE_INTERFACE") == [3]
    assert having("ON_WINDOW_BORDER") == [4]
    assert having("BELOW_ACCEPTANCE") == [5]
    assert having("IN_BAD_FRAME") == [5]
    assert having("ONBOARD_SER") == [3]
    assert having("ON_NODE0") == [0, 1, 2]
    # The centre of charge, within the pixels: 60.375 weighted by energy.
    beta, xdsp = geometries["RGS1"].raw_to_angles(5, 0, 60.375, 60.0)
    assert abs(c["BETA"][0] - beta) < 0.51 * 1.22e-5
    assert abs(c["XDSP"][0] - xdsp) < 0.51 * 1.22e-5
    # Switched off, every item is an event of its own.
    alone = make_events(
        rows, exposure, WINDOW, bad, ((75.0, 90.0), (75.0, 90.0)), SPLIT, geometries["RGS1"], 5,
        np.random.default_rng(1), reconstruct=False,
    )  # fmt: skip
    assert len(alone.columns["PI"]) == 8


@pytest.fixture(scope="module")
def geometries(synthetic_ccf):
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.instruments.rgs.calibration import RgsCalibration

    cal = Calibration.for_observation([synthetic_ccf], "2017-11-01")
    return {name: RgsCalibration(cal, name).geometry(6.0e8) for name in ("RGS1", "RGS2")}
