"""States of MOS CCDs."""

import pytest

from daxa.xmm.screen.anomalies import CcdState, ccd_state, format_log


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
