"""Orbits read from files of the assumed layout, beside those that were written."""

import numpy as np
import pytest

from daxa.simulate.odf.orbit import MadeOrbit
from daxa.xmm.errors import TaskError
from daxa.xmm.odf.orbit import kepler_km, read_orbit

START, STOP = 6.0e8, 6.0e8 + 60_000


@pytest.mark.parametrize("since_perigee", [80_000.0, -3_000.0])
def test_places_are_those_written(since_perigee):
    made = MadeOrbit(START - since_perigee)
    orbit = read_orbit(made.lines(START, STOP), "orbit")
    times = np.linspace(START, STOP, 2001)
    off_km = np.linalg.norm(orbit.position_km(times) - made.position_km(times), axis=1)
    assert off_km.max() < 0.03  # 0.1 us of light; digits of the file allow no less
    assert np.ptp(np.linalg.norm(made.position_km(times), axis=1)) > 10_000
    assert orbit.reconstructed
    assert orbit.span_s == pytest.approx((START, STOP), abs=0.1)


def test_without_polynomials_the_ellipse_counts():
    made = MadeOrbit(START - 50_000, bend_km=0.0)
    lines = [line for line in made.lines(START, STOP, blocks=3) if line[:3].strip() in ("60", "11", "12")]
    orbit = read_orbit(lines, "orbit")
    times = np.linspace(START, STOP, 50)
    np.testing.assert_allclose(orbit.position_km(times), made.position_km(times), atol=0.05)


def test_a_whole_turn_leads_back():
    state = np.array([7000.0, 100.0, -300.0, 1.0, 9.5, 0.7])
    a = 1 / (2 / np.linalg.norm(state[:3]) - state[3:] @ state[3:] / 398600.4418)
    period = 2 * np.pi * np.sqrt(a**3 / 398600.4418)
    turns = np.array([0.0, 1.0, -1.0, 7.0]) * period
    np.testing.assert_allclose(kepler_km(turns, state, a), np.tile(state[:3], (4, 1)), atol=1e-4)


def lines():
    return list(MadeOrbit(START - 50_000).lines(START, STOP, blocks=2))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: [], "no line begins a block"),
        (lambda text: text[:2], "has only 2 lines"),
        (lambda text: [*text[:2], text[2][:-11] + f"{1.0:11.3f}", *text[3:]], "km beside it"),
        (lambda text: [*text[:1], text[1][:20] + "x" + text[1][21:], *text[2:]], "could not convert"),
        (lambda text: [*text[:3], text[3][:3] + f"{900.0:11.3f}" + text[3][14:], *text[4:]], "apart"),
    ],
)
def test_another_layout_is_refused(change, said):
    with pytest.raises(TaskError, match=said) as error:
        read_orbit(change(lines()), "0000_SCX00000ROS.ASC")
    assert error.value.code == "orbitLayout"
    assert "0000_SCX00000ROS.ASC" in error.value.message


def test_times_far_from_the_file_are_refused():
    orbit = read_orbit([line.replace("  R  ", "  P  ") for line in lines()], "orbit")
    assert not orbit.reconstructed
    assert np.isfinite(orbit.position_km([STOP + 1000])).all()
    with pytest.raises(TaskError, match="it holds the times") as error:
        orbit.position_km([STOP + 200_000])
    assert error.value.code == "orbitSpan"
