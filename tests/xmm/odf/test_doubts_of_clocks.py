"""What is assumed of clocks and modes: found in long exposures, kept in SUM.SAS, told to the user."""

from __future__ import annotations

import io
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.odf import as_signed
from daxa.xmm.formats.summary import CLOCK_RESET, Assumed, ExposureSummary, SasSummary, read_sas_summary
from daxa.xmm.instruments.mos.exposure import clock_reset
from daxa.xmm.notes import listening, warn_once
from daxa.xmm.odf import mos_clock, resets
from daxa.xmm.odf.modes import diagnostic_mode
from daxa.xmm.odf.odf import Odf
from daxa.xmm.odf.summary_writer import write_sas_summary
from daxa.xmm.odf.table import OdfTable
from daxa.xmm.odf.times import TimeCorrelation, read_pairs, utc_to_tt
from daxa.xmm.task import TaskContext


@dataclass
class Files:
    """Stands for an ODF: tables by the type of their file."""

    tables: dict[str, dict[str, np.ndarray]]

    def find(self, *_: str) -> list[Odf]:
        return []

    def one(self, _: str, kind: str, exp_id: str) -> SimpleNamespace:
        if kind not in self.tables:
            raise TaskError("MissingData", f"no {kind} of {exp_id}")
        return SimpleNamespace(read=lambda number: OdfTable(kind, {}, {}, self.tables[kind]))


def _straight() -> TimeCorrelation:
    return TimeCorrelation(np.zeros(2), (0.0, 1e9), 0.0, 0.0)


def _exposure(start_obt: float, lead: float, frames: np.ndarray, cycles: np.ndarray) -> Files:
    """Frames end [s after DATE-OBS] between counting cycles of CCD 1; stamps wrap as those of the camera."""
    stamps = frames + lead
    n = len(stamps)
    obt = start_obt + cycles
    return Files(
        {
            "AUX": {
                "FRAME": np.arange(n), "CCDID": np.ones(n, int), "CCDNODE": np.zeros(n, int),
                "FTCOARSE": as_signed(np.floor(stamps).astype(int) % 32768),
                "FTFINE": np.round((stamps % 1) / 40e-6).astype(int) % 25000,
            },
            "CCX": {
                "HBRID": np.ones(len(cycles), int),
                "STCOARSE": np.floor(obt[:, 0]).astype(int), "STFINE": np.zeros(len(cycles), int),
                "ETCOARSE": np.floor(obt[:, 1]).astype(int), "ETFINE": np.zeros(len(cycles), int),
            },
        }
    )  # fmt: skip


@pytest.mark.parametrize("lead", [2.0, 5.0])
def test_counting_cycles_limit_the_reset_of_a_long_exposure(lead):
    """After 9.1 h the stamps begin again; later cycles limit the reset like the first ones."""
    start_obt = 1e8
    frames = np.arange(500.0, 47000.0, 900.0)
    # Counting but for two seconds on either side of a frame, and all of it after the wrap.
    late = frames[frames > 33000]
    cycles = np.stack([late[:-1] + 2.0, late[1:] - 2.0], axis=1)
    odf = _exposure(start_obt, lead, frames, cycles)
    reset = resets.mos_clock_reset(odf, "M1", "S001", (start_obt, start_obt + 47000), _straight())
    low, high = lead - 2.1, lead + 2.1
    assert f"counting cycles allow {max(low, 0):.1f} to {high:.1f} s before DATE-OBS" in reset.doubt
    assert (start_obt - reset.obt_s, lead) in ((2.0, 2.0), (3.0, 5.0))
    # Of what real exposures had (1.9 to 6.4 s) the cycles leave less.
    late = min(high, 6.4) - (start_obt - reset.obt_s)
    assert reset.assumed.late_s == pytest.approx(late, abs=0.11)


def test_of_leads_that_no_real_exposure_had_the_cycles_decide():
    assert resets._uncertainty(2.0, None) == Assumed(0.1, 4.4)
    assert resets._uncertainty(2.0, (2.0, 3.6)) == Assumed(0.0, 1.6)
    assert resets._uncertainty(7.0, (7.0, 7.6)) == Assumed(0.0, 0.6)
    assert str(Assumed(0.0, 1.6)) == "times may be up to 1.6 s late"
    assert str(Assumed(0.1, 4.4)) == "times may be up to 4.4 s late or 0.1 s early"


def _summary(**assumed: Assumed) -> SasSummary:
    parameters = {CLOCK_RESET: ("99999998", "Reset of the clock [s]"), "CLOCK_RESET_TIME_FINE": ("0", "")}
    one = ExposureSummary(
        "S001", "2001-03-02T09:46:40", "2001-03-02T10:46:40", mode="PrimeFullWindow",
        parameters=parameters, assumed=assumed,
    )  # fmt: skip
    return SasSummary("0123700101", 70, one.start, one.end, instruments={"M1": [one]})


def test_an_assumed_reset_stays_assumed_in_the_summary(tmp_path):
    write_sas_summary(_summary(**{CLOCK_RESET: Assumed(0.1, 1.6)}), tmp_path / "SUM.SAS")
    lines = (tmp_path / "SUM.SAS").read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith(CLOCK_RESET))
    assert lines[at - 1] == f"// ASSUMED: {CLOCK_RESET} EARLY=0.1 LATE=1.6"
    found = read_sas_summary(tmp_path / "SUM.SAS").exposure("M1", "S001")
    assert found.assumed == {CLOCK_RESET: Assumed(0.1, 1.6)}
    assert found.parameters[CLOCK_RESET][0] == "99999998"


@pytest.mark.parametrize("assumed", [True, False])
def test_the_chain_tells_that_the_reset_of_the_summary_is_assumed(tmp_path, assumed):
    summary = _summary(**({CLOCK_RESET: Assumed(0.1, 1.6)} if assumed else {}))
    write_sas_summary(summary, tmp_path / "SUM.SAS")
    found = read_sas_summary(tmp_path / "SUM.SAS").exposure("M1", "S001")
    ctx = TaskContext("emchain", tmp_path, {}, out=io.StringIO(), err=io.StringIO())
    # On-board time of DATE-OBS is 100,000,000 s.
    start = TimeCorrelation(np.array([utc_to_tt(found.start) - 1e8, 0.0]), (0.0, 1e9), 0.0, 0.0)
    assert clock_reset(ctx, Files({}), found, "M1", start) == 99999998.0
    told = ctx.err.getvalue()
    assert told.count(
        "warning (noClockReset), M1 S001: the reset of the clock in the summary is assumed"
    ) == int(assumed)
    assert ("2.0 s before DATE-OBS; times may be up to 1.6 s late or 0.1 s early" in told) == assumed


@pytest.mark.parametrize(
    ("value", "length", "unit"),
    [(26, 2.6, None), (3, 0.3, None), (2600, 2.6, "milliseconds"), (2.6, 2.6, "seconds")],
)
def test_a_frame_time_in_other_units_is_told(value, length, unit):
    heard: list[tuple[str, str]] = []
    stamps = length * np.arange(20)
    odf = _exposure(1e8, 0.0, stamps, np.zeros((1, 2)))
    with listening(lambda code, text: heard.append((code, text))):
        found = mos_clock.central_frame_time(odf, "M1", "S001", {"FRMTIME": value}, "M1/S001")
    assert found == pytest.approx(length)
    assert [code for code, _ in heard] == ([] if unit is None else ["frameTimeUnit"])
    assert unit is None or heard[0][1].startswith(f"M1/S001: FRMTIME is {value:g}; by the stamps")
    assert unit is None or f"it counts {unit}, not tenths of seconds" in heard[0][1]


def test_a_frame_time_without_frames_or_keyword():
    assert mos_clock.central_frame_time(Files({}), "M1", "S001", {"FRMTIME": 26}, "") == pytest.approx(2.6)
    for value in (None, 0, "2.6", True):
        assert mos_clock.central_frame_time(Files({}), "M1", "S001", {"FRMTIME": value}, "") is None


@pytest.mark.parametrize(("kind", "column"), [("AUX", "FTCOARSE"), ("AUX", "CCDNODE"), ("CCX", "STFINE")])
@pytest.mark.parametrize("values", [["ab"] * 20, np.zeros((20, 2), int), np.zeros(20)])
def test_damaged_columns_tell_nothing(kind, column, values):
    frames = 500.0 + 900.0 * np.arange(20)
    odf = _exposure(1e8, 2.0, frames, frames[:, None] + [2.0, 898.0])
    span = (1e8, 1e8 + 20000)
    assert "counting cycles" in resets.mos_clock_reset(odf, "M1", "S001", span, _straight()).doubt
    odf.tables[kind][column] = np.asarray(values)
    reset = resets.mos_clock_reset(odf, "M1", "S001", span, _straight())
    assert "counting cycles" not in reset.doubt
    assert reset.assumed == Assumed(0.1, 4.4)
    # Three steps of the same many frames are not a frame of 26 s.
    found = mos_clock.central_frame_time(odf, "M1", "S001", {"FRMTIME": 26}, "")
    assert found == pytest.approx(2.6)


def _clock_file(texts: list[str], shift_s: int = 0) -> SimpleNamespace:
    n = len(texts)
    columns = {
        "OBTCOARS": np.arange(n) * 20, "OBTFINE": np.zeros(n, int), "UTCDAY": np.full(n, 15784),
        "UTCMILLI": (np.arange(n) * 20 + shift_s) * 1000, "UTCMICRO": np.zeros(n, int),
        "ERTIME": np.array(texts),
    }  # fmt: skip
    return SimpleNamespace(
        path=SimpleNamespace(name="TCX.FIT"), read=lambda: OdfTable("TCX.FIT[SCRTX1]", {}, {}, columns)
    )


def test_one_broken_text_leaves_the_check_of_the_others():
    texts = [f"2001-03-20T00:{20 * n // 60:02d}:{20 * n % 60:02d}.000000" for n in range(12)]
    broken = [*texts[:4], "20..-03-20T00:01:20", *texts[5:]]
    heard: list[str] = []
    with listening(lambda code, text: heard.append(f"{code}: {text}")):
        read_pairs(_clock_file(texts), None)
        assert heard == []
        read_pairs(_clock_file(broken), None)
        assert heard == [
            "badTimeCorrelation: TCX.FIT: ERTIME is not a date in 1 of 12 rows "
            "(row 5: '20..-03-20T00:01:20'); the others are compared"
        ]
        with pytest.raises(TaskError, match="are 3600 s off the same time in ERTIME"):
            read_pairs(_clock_file(broken, 3600), None)
        heard.clear()
        read_pairs(_clock_file(["-"] * 12, 3600), None)
        assert heard[0].endswith("in 12 of 12 rows (row 1: '-'); its UTC is not compared with them")


def test_an_assumed_binning_is_told():
    assert diagnostic_mode("R1", "DII", {"CCDOCB": 1}) == ("Diagnostic1x1", "")
    assert diagnostic_mode("M1", "DII", {}) == ("Diagnostic", "")
    mode, doubt = diagnostic_mode("R2", "DII", {})
    assert mode == "Diagnostic3x3"
    assert doubt.startswith("no keyword CCDOCB in the diagnostic image; Diagnostic3x3")
    assert "CCDOCB is '3'" in diagnostic_mode("R2", "DII", {"CCDOCB": "3"})[1]


def test_warnings_are_heard_outside_of_tasks_only_by_who_listens():
    heard = []
    warn_once("a", "before")
    with listening(lambda code, text: heard.append((code, text))):
        warn_once("a", "within")
    warn_once("a", "after")
    assert heard == [("a", "within")]
