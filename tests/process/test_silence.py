"""Nothing is left out without a word."""

from __future__ import annotations

import warnings

import fake_sas
import pytest
from fake_sas import FakeMission, exposure

from daxa.archive import Archive
from daxa.process.simple import full_process_xmm
from daxa.process.xmm.assemble import cleaned_evt_lists
from daxa.process.xmm.clean import espfilt

X, GOOD, CLOSED = "xmm_pointed", "0800010201", "0800010101"
QUIET = {"num_cores": 2, "disable_progress": True}


@pytest.fixture
def archive(sas, monkeypatch) -> Archive:
    observed = {
        CLOSED: {"M1": {"S001": exposure(filter_name="Closed")}},
        GOOD: {"M1": {"S001": exposure()}, "M2": {"S002": exposure()}},
    }
    monkeypatch.setattr(fake_sas, "OBSERVED", observed)
    return Archive("field", FakeMission(["M1", "M2"]))


def told(call, *args, **kwargs) -> list[str]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", UserWarning)
        call(*args, **kwargs, **QUIET)
    return [str(w.message) for w in found if "XDG_" not in str(w.message)]


def test_an_observation_without_a_usable_exposure(archive):
    text = (
        f"{CLOSED}: nothing is left of it, so it is among the failed data now: "
        "none of its exposures can be used"
    )
    assert told(full_process_xmm, archive) == [text]
    assert archive.final_process_success == {X: {GOOD: True, CLOSED: False}}
    assert told(full_process_xmm, archive) == []


def test_what_failed_in_an_earlier_call(archive, sas):
    told(full_process_xmm, archive)
    sas.behave('if [ $task = espfilt ]; then case "$p_eventfile" in *M1*) exit 3 ;; esac; fi\n')
    (failed,) = told(espfilt, archive, allowed_sigma=2.0)
    assert failed.startswith("1 of 2 jobs failed")
    assert told(cleaned_evt_lists, archive) == [
        f"cleaned_evt_lists: left out {GOOD}M1S001, as what it builds on failed in an earlier call"
    ]
