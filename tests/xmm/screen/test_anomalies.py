"""States of MOS CCDs."""

import numpy as np
import pytest

from daxa.xmm.screen.anomalies import CcdState, ccd_state, ccd_states, format_log, keywords


@pytest.mark.parametrize(
    ("soft", "hard", "live", "state"),
    [
        (100, 400, 1e4, "G"),
        (100, 280, 1e4, "I"),
        (100, 200, 1e4, "B"),
        (5, 0, 1e4, "B"),
        (0, 5, 1e4, "U"),
        (100, 400, 0, "O"),
    ],
)
def test_state(soft, hard, live, state):
    assert ccd_state(4, soft, hard, live, 2.75, 3.0).state == state


def test_error_is_poisson():
    assert ccd_state(4, 100, 400, 1.0, None, None).error == pytest.approx(4 * (1 / 400 + 1 / 100) ** 0.5)


def test_unlisted_ccd_is_good():
    assert ccd_state(3, 100, 50, 1e4, None, None).state == "G"


def test_log_reads_as_parsers_expect():
    text = format_log("EMOS1", "S001", [CcdState(4, 2.5, 0.1, "B"), CcdState(5, 3.7, 0.2, "G")])
    rows = [line for line in text.splitlines() if "CCD: " in line]
    states = {r.split("CCD: ")[1].split(" Hard")[0].strip(): r.split("Status: ")[1].strip() for r in rows}
    assert states == {"4": "B", "5": "G"}


def test_states_of_a_camera():
    # CCD 2: two soft, six hard; CCD 3: one soft, one hard, beside bands; the others have no events.
    pi = np.array([400, 799, 2500, 2600, 3000, 4000, 4500, 4999, 500, 2500, 800, 5000, 399])
    ccdnr = np.array([2] * 8 + [3] * 5)
    live = dict.fromkeys((1, 2, 3, 4), 100.0)
    states = ccd_states(pi, ccdnr, live, {2: (2.0, 2.5), 3: (2.0, 2.5)})
    assert [(s.ccd, s.state) for s in states] == [
        (1, "G"), (2, "G"), (3, "B"), (4, "U"), (5, "O"), (6, "O"), (7, "O"),
    ]  # fmt: skip
    assert (states[1].hardness, states[2].hardness) == (3, 1)
    assert [s.ccd for s in ccd_states(pi, ccdnr, {}, {})] == [2, 3, 4, 5, 6, 7]
    cards = keywords(states)
    assert (cards["ANOMHR2"][0], cards["ANOMFL3"][0]) == (3, "B")
    assert len(cards) == 3 * 7
