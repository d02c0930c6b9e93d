"""Losses of charge that depend on the rate of the source."""

import io

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.instruments.pn.options import Epfast
from daxa.xmm.instruments.pn.rate import RateLaw, corrected_energies, electron_rates
from daxa.xmm.task import run_task

LAW = RateLaw(-4.0e-4, 0.4, 1.0)


def test_electrons_per_second_of_a_column_and_bin():
    gti = GTI([100.0, 108.0], [105.0, 120.0])
    rate = electron_rates(
        [101.0, 102.0, 103.0, 111.0], [3, 3, 4, 3], [3650.0, 3650.0, 365.0, 7300.0], gti, 10.0
    )
    # Seven of the first ten seconds are good.
    assert rate == pytest.approx([2000 / 7, 2000 / 7, 100 / 7, 200.0])


@pytest.mark.parametrize("per_second", [50.0, 3000.0])
def test_the_loss_is_undone(per_second):
    rng = np.random.default_rng(3)
    n = round(per_second * 200)
    time = np.sort(rng.uniform(0, 200, n))
    true = rng.uniform(900, 8000, n)
    # The simulated detector loses by the charge that it has recorded.
    factor = 1.0
    for _ in range(50):
        factor = 1 - 4.0e-4 * ((true * factor).sum() / 3.65 / 200) ** 0.4
    seen = np.rint(true * factor).astype(np.int16)
    found = corrected_energies(
        time, np.full(n, 37), seen, GTI([0.0], [200.0]), LAW, rng, Epfast(timebinwidth=100.0)
    )
    assert np.mean(found / true) == pytest.approx(1.0, abs=2e-4)
    assert abs(1 - factor) > 0.02
    quiet = corrected_energies(
        time[:3], [1, 2, 3], np.array([0, 50, 90], np.int16), GTI([0.0], [200.0]), LAW, None, Epfast()
    )
    assert quiet.tolist() == [0, 50, 90]


@pytest.fixture
def timing_list(tmp_path, calibration_env):
    """An event list of burst mode."""
    from daxa.xmm.event.eventlist import write_event_list
    from daxa.xmm.event.parts import CcdExposure

    rng = np.random.default_rng(4)
    n = 20_000
    time = np.sort(rng.uniform(6e8, 6e8 + 100, n))
    columns = {
        "TIME": time, "RAWX": rng.integers(35, 40, n), "RAWY": rng.integers(1, 180, n),
        "PHA": np.full(n, 400),
        "PI": np.full(n, 2000), "FLAG": np.zeros(n), "PATTERN": np.zeros(n), "PAT_ID": np.zeros(n),
        "PAT_SEQ": np.zeros(n), "CCDNR": np.full(n, 4),
    }  # fmt: skip
    frames = np.arange(6e8, 6e8 + 100, 0.00434)
    none = {k: [] for k in ("RAWX", "RAWY", "TYPE", "YEXTENT", "BADFLAG")}
    ccd = CcdExposure(
        frames,
        np.full(len(frames), 1.3e-4),
        np.ones(len(frames)),
        GTI([6e8], [6e8 + 100]),
        none,
        {"CCDID": 0},
    )
    primary = {
        "TELESCOP": "XMM", "INSTRUME": "EPN", "DATAMODE": "BURST", "SUBMODE": "FastBurst",
        "OBS_ID": "0800020401", "EXPIDSTR": "S003", "SYNTHCAL": True,
    }  # fmt: skip
    path = tmp_path / "burst.ds"
    write_event_list(path, primary=primary, columns=columns, ccds={4: ccd}, sky={}, prime_ccd=4)

    def run(**arguments):
        out = io.StringIO()
        run_task(
            "epfast", {"evfile": str(path), **arguments}, cwd=tmp_path, env=calibration_env, out=out, err=out
        )
        return out.getvalue()

    return path, run


def test_the_task_corrects_a_list_once(timing_list):
    path, run = timing_list
    assert "energies of 20000 events" in run(timebinwidth=100, withrandomisation=False)
    rate = 20_000 / 5 * 2000 / 3.65 / 100
    with fits.open(path) as hdus:
        events = hdus["EVENTS"]
        assert np.median(events.data["PI"]) == pytest.approx(2000 / (1 - 1.5e-3 * rate**0.4), abs=2)
        assert events.columns["PI"].format == "I"
        assert events.header["RDCTI_CO"] is True
    with pytest.raises(TaskError) as failure:
        run()
    assert failure.value.code == "RDCTIcorrected"


@pytest.mark.parametrize(
    ("keyword", "value", "code"),
    [("SUBMODE", "PrimeFullWindow", "ThisIsNotFAST"), ("INSTRUME", "EMOS1", "ThisIsNotEPN")],
)
def test_other_lists_are_refused(timing_list, keyword, value, code):
    path, run = timing_list
    with fits.open(path, mode="update") as hdus:
        hdus["EVENTS"].header[keyword] = value
    with pytest.raises(TaskError) as failure:
        run()
    assert failure.value.code == code
