"""The steps of the RGS on values made by hand: no files, no observation."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.errors import TaskError
from daxa.xmm.instruments.rgs.expmap import node_map, node_pixels
from daxa.xmm.instruments.rgs.geometry import RgsGeometry, node_shape
from daxa.xmm.instruments.rgs.options import Rgsframes
from daxa.xmm.instruments.rgs.raw import SAME_FRAME, Readouts, Telemetry
from daxa.xmm.instruments.rgs.steps.rgsframes import rgsframes
from daxa.xmm.odf.times import TimeCorrelation
from daxa.xmm.response.gratings import Gratings

#: Mission time is on-board time plus this.
SHIFT_S = 5000.0
CORRELATION = TimeCorrelation(np.array([SHIFT_S]), (0.0, 1e6), 1e-6, 0.0, "clock")
STEP_S = 4.6


def readouts(number=(10, 11, 12, 13, 14, 15), **changed) -> Readouts:
    """Read-outs of one CCD, one cycle apart; columns can be changed."""
    number = np.asarray(number)
    n = len(number)
    rows = {name: np.arange(n) if name == "FTCOARSE" else np.zeros(n, int) for name in SAME_FRAME}
    rows |= {"ABORTFLG": np.full(n, 2), "NDPP": np.full(n, 171 * 128)}
    rows |= {name: np.asarray(values) for name, values in changed.items()}
    return Readouts(number, rows, 100.0 + STEP_S * (number - 10), 10, STEP_S, "AUX")


def telemetry(*rows, window=(0, 0, 171, 128)) -> Telemetry:
    """Raw pixels from (frame, node, x, y, amplitude, code)."""
    columns = (np.array(c) for c in zip(*rows, strict=True))
    return Telemetry(*columns, window, 3, "SPE")  # type: ignore[arg-type, call-arg]


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def run(warnings):
    def go(raw, listed, **options):
        info = []
        span = SHIFT_S + 90.0, SHIFT_S + 140.0
        say = (lambda *said: warnings.append(said)), info.append
        return rgsframes(3, raw, listed, CORRELATION, span, lambda: "19.0", Rgsframes(**options), *say), info

    return go


def test_frames_and_pixels_of_a_ccd(run, warnings):
    rows = [(12, 0, 9, 19, 300, 0), (11, 1, 0, 127, 200, 2), (12, 0, 9, 19, 300, 0), (99, 0, 1, 1, 50, 0)]
    found, info = run(telemetry(*rows), readouts())
    frames, pixels = found.frames, found.pixels
    assert frames.number.tolist() == list(range(10, 16))
    # The first has no beginning; each ends with its read-out, in mission time.
    assert frames.good.tolist() == [False] + [True] * 5
    np.testing.assert_allclose(frames.time_s, SHIFT_S + 100.0 + STEP_S * (np.arange(6) - 0.5))
    # In order of the frames, from 1, without the repeated one and that of no frame.
    assert pixels["FRAME"].tolist() == [11, 12]
    assert pixels["RAWX"].tolist() == [1, 10]
    assert pixels["RAWY"].tolist() == [128, 20]
    assert pixels["CCDNODE"].tolist() == [1, 0]
    assert pixels["SHAPE"].tolist() == [2, 0]
    assert pixels["GRADE"].tolist() == [2, 1]
    assert found.window["WINDOWDX"][0] == found.window["WINDDX_1"][0] == 171
    assert warnings == [("MissingFrames", "SPE: 1 events of frames that are not listed")]
    assert " Identified           1 duplicate entries in PIXELS table" in info


def test_repeated_frames_go_and_those_with_lost_events_stay(run, warnings):
    number = [10, 11, 11, 12, 13, 14]
    again = {"FTCOARSE": [0, 1, 1, 2, 3, 4], "NLOSTEVT": [0, 0, 0, 7, 0, 0]}
    found, _ = run(telemetry((11, 0, 5, 5, 100, 0)), readouts(number, **again))
    assert found.frames.number.tolist() == [10, 11, 12, 13, 14]
    assert found.frames.good.tolist() == [False, True, True, True, True]
    assert [code for code, _ in warnings] == ["lostEvents"]
    assert "events of 1 of 5 frames of CCD 3" in warnings[0][1]


def test_frames_with_too_many_pixels_are_bad_if_asked_for(run):
    rows = [(12, 0, x, 5, 100, 0) for x in range(4)] + [(13, 0, 5, 5, 100, 0)]
    assert run(telemetry(*rows), readouts())[0].frames.good.sum() == 5
    found, _ = run(telemetry(*rows), readouts(), withmaxrawpixels=True, maxrawpixels=3)
    assert found.frames.good.tolist() == [False, True, False, True, True, True]
    found, _ = run(telemetry(*rows), readouts(), withmaxrawpixelrate=True, maxrawpixelrate=0.5)
    assert found.frames.good.tolist() == [False, True, False, True, True, True]


def test_one_node_that_reads_the_whole_chip(run):
    whole = telemetry((12, 0, 341, 4, 100, 0), (12, 0, 0, 4, 100, 0), window=(0, 0, 342, 128))
    found, info = run(whole, readouts())
    assert found.pixels["RAWX"].tolist() == [1, 1]
    assert found.pixels["CCDNODE"].tolist() == [1, 0]
    assert found.window["SINGLERO"][0] == 1
    assert any("One node reads" in line for line in info)
    with pytest.raises(TaskError, match="SPE: WINDOWDX=342 is the window of one node, CCDNODE of two"):
        run(telemetry((12, 1, 3, 4, 100, 0), window=(0, 0, 342, 128)), readouts())


def test_no_sound_frame_is_said(run, warnings):
    aborted = readouts(ABORTFLG=[1] * 6)
    assert not run(telemetry((12, 0, 3, 4, 100, 0)), aborted)[0].frames.good.any()
    assert warnings[-1] == ("allFramesBad", "CCD 3: no frame is sound, there is no good time")


# --- exposure maps -----------------------------------------------------------------------------------


def geometry() -> RgsGeometry:
    """One chip that looks at the gratings from below; columns along the dispersion."""
    gratings = Gratings(np.zeros(3), 0.0274, 15489.455, 1.1)
    origin, step = np.array([6700.0, -5.0, -550.0]), 0.027
    chips = {
        (1, node): (
            origin + (np.array([0.0, 0.0, 1024 * step]) if node else 0.0),
            np.array([[0.0, 0.0, -step if node else step], [0.0, step, 0.0]]),
        )
        for node in (0, 1)
    }
    return RgsGeometry("RGS1", chips, gratings, np.eye(3))


@pytest.mark.parametrize("ocb", [3, 1])
def test_exposure_maps_know_the_binning_on_the_chip(ocb):
    """Whatever the binning, a chip sees the same part of the sky for the same time."""
    n_columns, n_rows = node_shape(ocb)
    places = geometry()
    edges = np.array([0.5, n_columns + 0.5]), np.array([0.5, n_rows + 0.5])
    corners = places.raw_to_angles(1, 0, *edges, ocb)
    low, high = sorted(corners[0])
    below, above = sorted(corners[1])
    heads = [
        {
            "CCDOCB": ocb, "WINDOWX0": 1 + node * n_columns, "WINDOWDX": n_columns, "WINDOWY0": 1,
            "WINDOWDY": n_rows,
        }
        for node in (0, 1)
    ]  # fmt: skip
    nothing = {name: np.zeros(0, int) for name in ("CHIPX", "CHIPY", "YEXTENT", "FRAME")}
    pixels = node_pixels(0, [nothing, nothing], heads, 0)
    frames = {"TIMEDEL": np.array([4.0, 6.0]), "ASPCDSP": np.zeros(2), "ASPCXDSP": np.zeros(2)}
    header = fits.Header(
        {"TFIELDS": 2, "TTYPE1": "BETA_CHANNEL", "TTYPE2": "XDSP_CHANNEL", "RGSALPHA": 0.0274}
    )
    for i, (first, width, n) in enumerate(
        ((low - 0.001, (high - low + 0.002) / 100, 100), (below - 0.001, (above - below + 0.002) / 150, 150)),
        1,
    ):
        header.update({f"TCRVL{i}": first, f"TCDLT{i}": width, f"TLMAX{i}": n, f"TCUNI{i}": "rad"})
    frames["FRAME"] = np.array([1, 2])
    made = node_map(places, 1, 0, pixels, frames, nothing, header, "beta", 1.0, ocb)
    assert made.image.max() == pytest.approx(10.0)
    area = made.image.sum() / 10.0 * header["TCDLT1"] * header["TCDLT2"]
    assert area == pytest.approx((high - low) * (above - below), rel=0.03)
