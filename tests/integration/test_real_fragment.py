"""Real raw files, nothing patched, through the tasks: frames, times, counters and columns.

Made up are the attitude, the text summary and the calibration, which are not in the data: see real_fragment.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from real_fragment import EXPOSURES, HOUSEKEEPING, WITHOUT_EVENTS, Fragment, reduce
from real_fragment_table import (
    List,
    RawMos,
    bright_column,
    correlation_rms_s,
    mos_list,
    mos_rows,
    raw_file,
    rgs_rows,
    rows,
    stage_rows,
)

from daxa.xmm.formats.flags import MosFlag

ROOT = Path(__file__).resolve().parents[2]

#: Bad columns of MOS1 in lists of SAS that are bright in these raw files: CCD, RAWX.
BRIGHT = ((2, 453), (4, 60), (4, 225))


BADPIX_COLUMNS = ("RAWX", "RAWY", "TYPE", "YEXTENT", "BADFLAG")


@pytest.fixture(scope="module")
def raw(shared_data) -> Path:
    folder = shared_data / "odf_0135730701"
    if not folder.is_dir():
        pytest.skip(f"no real raw files: {folder} is absent")
    return folder


@pytest.fixture(scope="module")
def fragment(raw, tmp_path_factory) -> Fragment:
    return reduce(raw, tmp_path_factory.mktemp("fragment"))


@pytest.fixture(scope="module")
def lists(fragment) -> dict[str, List]:
    return {exp_id: List.read(mos_list(fragment, exp_id)) for exp_id in EXPOSURES}


def test_every_task_ends_well(fragment):
    assert {label: outcome.status for label, outcome in fragment.outcomes.items()} == dict.fromkeys(
        ["cifbuild", "odfingest", "emchain", "rgsproc", *(f"hkgtigen {i}" for i in HOUSEKEEPING)], 0
    )


def test_the_reset_of_the_clock_is_in_the_summary(fragment):
    """It is assumed, as the files do not tell it: odfingest says so, and emchain, which reads the summary."""
    late = {"U004": 4.3, "U005": 1.9, "U006": 0.8, "U009": 1.6}
    for exp_id in EXPOSURES:
        (line,) = fragment.outcomes["odfingest"].lines(f"(noClockReset), M1 {exp_id}")
        assert "1.9 to 6.4 s" in line
        (line,) = fragment.outcomes["emchain"].lines(f"(noClockReset), M1 {exp_id}")
        assert "the reset of the clock in the summary is assumed" in line
        assert f"times may be up to {late[exp_id]} s late" in line


def test_time_correlation_over_the_whole_file(raw):
    rms, largest = correlation_rms_s(raw)
    assert rms < 1e-4
    assert largest < 2e-4


def test_exposures_without_events_are_named_and_make_no_list(fragment):
    for exp_id in WITHOUT_EVENTS:
        (line,) = fragment.outcomes["emchain"].lines(
            f"M1 {exp_id}: the ODF has an auxiliary file but no event file"
        )
        assert "no list is made" in line
        assert not list((fragment.base / "emchain").glob(f"*M1{exp_id}*"))


def test_events_of_mos_are_those_that_the_frames_announce(raw):
    """Equal in CCDs 2 to 7; CCD 1 of the test exposures lost some on the way."""
    differing = {}
    for exp_id in EXPOSURES:
        exposure = RawMos.read(raw, exp_id)
        for ccd in exposure.events:
            differences = exposure.nvalid_differences(ccd)
            assert all(announced > found for _, announced, found in differences)
            if differences:
                differing[exp_id, ccd] = (len(differences), len(exposure.of(ccd, "FRAME")))
    assert differing == {("U004", 1): (1, 2), ("U005", 1): (6, 8), ("U006", 1): (15, 40)}


def test_limits_in_raw_headers_are_those_of_the_events(raw, fragment):
    """CCD 1 of the test exposures has others than all CCDs else: 0 to 4095 adu, and pixels of 25 adu."""
    found = {}
    for exp_id in EXPOSURES:
        with fits.open(mos_list(fragment, exp_id)) as hdus:
            for ccd in RawMos.read(raw, exp_id).events:
                events, head = rows(raw_file(raw, f"M1{exp_id}{ccd}0IME"))
                total = events["ENERGYE1"].astype(int) + events["ENERGYE2"]
                low, high, threshold = (head[key] for key in ("EMDHLOW", "EMDHUPP", "EDUTHR"))
                assert low <= total.min()
                assert total.max() <= high
                assert threshold <= events["ENERGYE1"].min()
                if (low, high, threshold) != (0, 4095, 25):
                    found[exp_id, ccd] = (low, high, threshold, int(total.min()))
                for key, value in (("EMDHLOW", low), ("EMDHUPP", high), ("EDUTHR", threshold)):
                    assert hdus[f"EXPOSU{ccd:02d}"].header[key] == value
    assert found == {
        ("U004", 1): (100, 4095, 25, 100), ("U005", 1): (100, 4095, 100, 100),
        ("U006", 1): (200, 1000, 100, 200),
    }  # fmt: skip


def test_no_frame_of_a_counting_ccd_is_spoiled(lists):
    """CCD 1 of U005 and U006 sends few of its frames, and those behind others are not overexposed."""
    for exp_id in ("U005", "U006"):
        events = lists[exp_id].events
        flags = events["FLAG"][events["CCDNR"] == 1]
        assert len(flags) > 40
        assert not (flags & int(MosFlag.IN_SPOILED_FRAME)).any()


@pytest.fixture(scope="module")
def everything(fragment) -> Fragment:
    """The observation with lists of two exposures with all events, and without bad pixels."""
    other = replace(fragment, outcomes={})
    outcome = other.run(
        "everything", "emchain", exposures="U004 U006", instruments="M1", withbadpix="no", makeflaregti="no",
        rejectbadevents="no", applyccdgti="no", fulloutput="yes", addtaglenoise="no",
    )  # fmt: skip
    assert outcome.status == 0
    return other


@pytest.mark.parametrize(("exp_id", "ccd"), [("U004", 5), ("U006", 1)])
def test_steps_one_by_one_give_the_list_of_the_chain(raw, everything, exp_id, ccd):
    """A CCD that lost frames, and one that sends 40 of 345."""
    place = {
        name: str(everything.odf / raw_file(raw, f"M1{exp_id}{stem}").name)
        for name, stem in (("auxiliaryset", "00AUX"), ("odfeventset", f"{ccd}0IME"))
    }
    for task, arguments in (
        ("emframes", {**place, "frameset": "frames.ds", "outeventset": "raw.ds", "outgtiset": "gti.ds"}),
        ("emevents", {"odfeventset": "raw.ds", "frameset": "frames.ds", "eventset": "events.ds"}),
        ("emenergy", {"ineventset": "events.ds"}),
    ):
        assert everything.run(f"{exp_id} {task}", task, "steps", **arguments).status == 0
    with (
        fits.open(everything.base / "steps" / "events.ds") as steps,
        fits.open(next((everything.base / "everything").glob(f"P*M1{exp_id}MIEVLI*"))) as chain,
    ):
        mine = steps["EVENTS"].data[np.argsort(steps["EVENTS"].data["TIME"], kind="stable")]
        theirs = chain["EVENTS"].data[chain["EVENTS"].data["CCDNR"] == ccd]
        assert len(mine) > 1000
        for name in set(theirs.names) - {"X", "Y", "CCDNR"}:
            assert np.array_equal(mine[name], theirs[name]), name
        for name in ("TIME", "TIMEDEL", "FRACEXP"):
            assert np.array_equal(steps["EXPOSURE"].data[name], chain[f"EXPOSU{ccd:02d}"].data[name]), name


def test_events_that_did_not_arrive_are_reported(fragment):
    """By CCD, with the numbers of the raw files; CCDs that sent all are silent."""
    lines = [line for line in fragment.outcomes["emchain"].lines("NVALID") if "warning" in line]
    numbers = [tuple(map(int, re.findall(r"\d+", line.split("CCD ")[1]))) for line in lines]
    assert numbers == [
        (1, 5262, 5449, 1, 2), (1, 35_900, 37_547, 6, 8), (1, 108_657, 115_305, 15, 40),
    ]  # fmt: skip


def test_frames_of_mos(raw, fragment, lists):
    """All frames of the auxiliary file are in the list; 2.6000 s in CCDs 2 to 7, 2.8103 s in CCD 1.

    Of each, 6 ms are not integrated.
    """
    for row in mos_rows(raw, fragment):
        exposure, made = RawMos.read(raw, row["exposure"]), lists[row["exposure"]]
        ccd = row["CCD"]
        if row["exposure"] == "U009":
            assert row["rows of AUX"] == 1016
            assert row["TIMEDEL [s]"] == pytest.approx(2.5940, abs=5e-5)
            # Without the first and the last one.
            assert row["good time [s]"] == pytest.approx(1014 * 2.6, abs=0.1)
        elif ccd > 1:
            assert row["TIMEDEL [s]"] == pytest.approx(2.594, abs=0.02)
        else:
            assert row["TIMEDEL [s]"] == pytest.approx(2.8043, abs=3e-4)
        assert row["rows of EXPOSU"] == row["rows of AUX"]
        # Every telemetered frame has its place: its events end with it.
        stamps = exposure.stamps_s(ccd)
        assert made.frames[ccd]["TIME"][-1] - made.frames[ccd]["TIME"][0] <= stamps.max() - stamps.min() + 1


def test_times_of_mos_are_within_the_exposure(raw, fragment):
    for row in mos_rows(raw, fragment):
        assert row["start - DATE-OBS [s]"] > -6.0, row
        assert row["DATE-END - end [s]"] > 0, row


def test_times_of_mos_agree_with_the_counting_cycles(raw, lists):
    """While a cycle counts, no frame is sent; its times are full on-board times, free of resets."""
    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.odf.times import TimeCorrelation

    correlation = TimeCorrelation.from_odf(Odf.open(raw))
    for exp_id in ("U004", "U005", "U006"):
        exposure, made = RawMos.read(raw, exp_id), lists[exp_id]
        start, stop = (correlation.obt_to_tt(obt) for obt in exposure.cycles_obt_s())
        frames, stamps = made.frames[1], exposure.stamps_s(1)
        # Without the broken stamp, which is later than the last one.
        since = stamps[stamps <= stamps[-1]] - stamps[0]
        end = frames["TIME"][0] + frames["TIMEDEL"][0] / 2 + since
        inside = [(t > start + 0.3) & (t < stop - 0.3) for t in end]
        assert len(end)
        assert not np.any(inside), exp_id


def test_the_broken_stamp_is_found_and_named(fragment):
    """Frame 105 of CCD 1 in U006 says 3072.16 s between 1429.84 and 1469.19 s."""
    lines = [line for line in fragment.outcomes["emchain"].lines("105") if "CCD 1" in line]
    assert lines
    assert any("3072" in line for line in lines), lines


def test_bright_columns_of_mos_are_bad_columns_of_sas(raw, shared_data, lists):
    exposure = RawMos.read(raw, "U009")
    products = shared_data / "sas_products_0201903501" / "eclean" / "mos1_exp1_clean_evts.fits.gz"
    with fits.open(products) as hdus:
        bad = {(ccd, int(x)) for ccd in (2, 4) for x in hdus[f"BADPIX{ccd:02d}"].data["RAWX"]}
    for ccd, x in BRIGHT:
        assert (ccd, x) in bad
        counts = np.bincount(exposure.events[ccd]["RAWX"], minlength=620)
        (excess,) = bright_column([x + 6], counts)
        assert excess > 1.8
        events = lists["U009"].events
        mine = events["RAWX"][events["CCDNR"] == ccd]
        made = np.bincount(np.maximum(mine, 0), minlength=620)
        # They are found bad, at least in part, so that the list has fewer events there than beside them.
        (left,) = bright_column([x], made)
        assert left < 0.6, (ccd, x)


def test_events_of_each_test_of_emchain(raw, fragment, lists):
    found = stage_rows(raw, fragment.outcomes["emchain"].log)
    assert [(r["exposure"], r["CCD"]) for r in found] == [
        (r["exposure"], r["CCD"]) for r in mos_rows(raw, fragment)
    ]
    for row in found:
        exposure = RawMos.read(raw, row["exposure"])
        assert row["in"] == len(exposure.events[row["CCD"]]["FRAME"])
        # Diagonal pairs become two events.
        assert row["in"] <= row["out of emevents"] < 1.06 * row["in"]
        assert lists[row["exposure"]].count(row["CCD"]) <= row["in"]


def test_bad_pixels_at_the_border_are_those_of_real_lists(fragment):
    """Row 1 and column 599 are bright on every CCD in lists of SAS, too; column 600 is dead there."""
    with fits.open(mos_list(fragment, "U009")) as hdus:
        for ccd in range(2, 8):
            table = {n: np.array(hdus[f"BADPIX{ccd:02d}"].data[n], int) for n in BADPIX_COLUMNS}
            found = (table["BADFLAG"] == 3) & (table["TYPE"] == 1)
            in_row = found & (table["RAWY"] == 1)
            # On CCD 4, whose first columns are hot, fewer counts are left to find them by.
            assert in_row.sum() > 440
            if ccd != 4:
                assert table["YEXTENT"][found & (table["RAWX"] == 599)].sum() > 530
            assert not (table["TYPE"] == 2).any()
            order = np.lexsort((table["RAWY"], table["RAWX"], table["BADFLAG"]))
            assert (order == np.arange(len(order))).all()


def test_frames_of_rgs(raw, fragment):
    """No frame is aborted; only the first of each CCD, which has no beginning, is bad."""
    table = rgs_rows(raw, fragment)
    assert sum(row["rows of SPE"] for row in table) == 618_564
    for row in table:
        assert row["ABORTFLG"] == "2"
        assert row["frames"] == row["rows of AUX"] == 2535
        assert row["good"] == 2534
        assert row["frame [s]"] == pytest.approx(6 * 0.57433, abs=1e-3)
        assert row["good time [s]"] == pytest.approx(8734.3, abs=0.1)
        assert 0.5 * row["rows of SPE"] < row["events kept"] < row["rows of SPE"]


def test_good_times_of_housekeeping(raw, fragment):
    for instrument, stem in HOUSEKEEPING.items():
        columns, header = rows(raw_file(raw, stem))
        with fits.open(fragment.base / "work" / f"{instrument}.ds") as hdus:
            gti = hdus[1].data
            total = float((gti["STOP"] - gti["START"]).sum())
        from daxa.xmm.odf.times import utc_to_tt

        first, last = (utc_to_tt(str(columns["TIME"][i])) for i in (0, -1))
        assert 0 < total <= last - first + 70
        assert gti["START"].min() >= first - 70
        assert gti["STOP"].max() <= last + 70
        assert header["INSTRUME"].upper().startswith(instrument.upper()[:3])


def test_the_page_shows_these_numbers(raw, fragment):
    place = ROOT / "benchmarks" / "real_fragment.py"
    spec = importlib.util.spec_from_file_location("real_fragment_report", place)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    page = (ROOT / "docs" / "real_files.md").read_text(encoding="utf-8")
    made = f"{script.BEGIN}\n\n{script.report(raw, fragment)}\n\n{script.END}"
    assert made in page, "run `python benchmarks/real_fragment.py --write docs/real_files.md`"
