"""epchain on handmade exposures: times, energies, patterns, good times, products."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.flags import PnFlag
from daxa.xmm.odf.times import utc_to_tt

NORMAL, OUT_OF_TIME = "P0800010101PNS003PIEVLI0000.FIT", "P0800010101PNS003OOEVLI0000.FIT"


@pytest.fixture
def filled(pn_odf):
    """Two CCDs with background, a line of singles and known doubles; one quadrant loses columns."""
    odf = pn_odf(discarded={1: 38})
    rng = np.random.default_rng(7)
    for ccd in (4, 7):
        odf.background(ccd, 8000, rng)
    # Isolated doubles (partner above), one per frame.
    odf.add(4, np.arange(100, 250), 30, np.arange(40, 190), 400)
    odf.add(4, np.arange(100, 250), 30, np.arange(41, 191), 100)
    # A minimum ionising particle with company in its own and the next columns.
    odf.add(4, 1000, [20, 20, 21, 19, 22], [50, 60, 70, 80, 90], [3300, 300, 301, 302, 303])
    return odf.write()


def read(path):
    with fits.open(path) as hdus:
        return hdus["EVENTS"].data.copy(), {h.name: h.header.copy() for h in hdus}


def test_events_have_the_frame_centre_as_time(filled, tmp_path):
    arguments = {"exposure": 3, "odfaccess": "odf", "ccds": "4,7"}
    _, err = filled.run(tmp_path, randomizetime=False, **arguments)
    assert "** " not in err, err
    events, _ = read(tmp_path / NORMAL)
    pairs = events[(events["CCDNR"] == 4) & (events["RAWX"] == 30) & (events["PHA"] == 400)]
    pairs = pairs[pairs["PATTERN"] == 1]
    assert len(pairs) >= 145
    frame = np.rint((pairs["TIME"] - filled.centre_s(0)) / filled.mode.frame_time_s)
    assert np.abs(pairs["TIME"] - filled.centre_s(frame)).max() < 40e-6
    assert (frame >= 100).all()
    assert np.array_equal(pairs["RAWY"], frame - 60)
    # 500 adu are 2500 eV before gain and losses.
    assert np.median(pairs["PI"]) == pytest.approx(2600, rel=0.1)
    mip = events[(np.abs(events["TIME"] - filled.centre_s(1000)) < 0.01) & (events["CCDNR"] == 4)]
    assert 303 in mip["PHA"]
    assert not {3300, 300, 301, 302} & set(mip["PHA"].tolist())

    # By default the time is anywhere in the integration.
    filled.run(tmp_path, **arguments)
    moved, _ = read(tmp_path / NORMAL)
    assert np.array_equal(moved["TIME_RAW"], events["TIME_RAW"])
    assert np.array_equal(moved["X"], events["X"])
    shift = (moved["TIME"] - events["TIME"]) / (filled.mode.frame_time_s - filled.mode.readout_s)
    assert np.abs(shift).max() <= 0.5
    assert np.std(shift) == pytest.approx(12**-0.5, rel=0.03)


def test_headers_and_extensions(filled, tmp_path):
    filled.run(tmp_path, exposure=3, odfaccess="odf", ccds="4,7")
    with fits.open(tmp_path / NORMAL) as hdus:
        names = [h.name for h in hdus]
        assert names[:3] == ["PRIMARY", "EVENTS", "OFFSETS"]
        assert names[3:-1] == [
            f"{n}{c}" for c in ("04", "07") for n in ("EXPOSU", "BADPIX", "DLIMAP", "HKAUX", "STDGTI")
        ]
        assert names[-1] == "CALINDEX"
        head = hdus["EVENTS"].header
        assert head["SUBMODE"] == "PrimeFullWindow"
        assert head["FILTER"] == "Medium"
        assert head["EXPIDSTR"] == "S003"
        assert head["EXP_ID"] == "0800010101003"
        assert head["FRMTIME"] == 73
        assert head["DATAMODE"] == "IMAGING"
        assert head["CCDSRC"] == 4
        # As in real products: the target's row rounded, text of four digits, statistics of counters.
        assert head["SRCPOS"] == round(head["SRCPOSY"]) == 169
        assert head["REVOLUT"] == "3100"
        assert (head["DLMAX"], head["DLMEAN"]) == (0, 0.0)
        assert (hdus["EXPOSU04"].header["AN_CHOP"], hdus["EXPOSU04"].header["AX_FC3"]) == (0, 1.0)
        assert hdus["EXPOSU07"].header["QUADRANT"] == 2
        # CCD 4 has an offset column next to CCD 7's.
        assert set(hdus["OFFSETS"].data["CCDNR"]) == {4, 7}
        # A record every twenty frames, at the time of its first.
        counters = hdus["HKAUX04"].data
        assert np.array_equal(counters["CYCLE"], np.arange(0, filled.n_frames, 20))
        assert counters["TIME"] == pytest.approx(filled.centre_s(counters["CYCLE"]), abs=1e-4)
        assert set(counters["NDISCLIN"]) == {38}
        live = filled.mode.frame_time_s - filled.mode.readout_s
        assert hdus["EXPOSU04"].data["TIMEDEL"][0] == pytest.approx(live, rel=1e-6)


def test_live_time(filled, tmp_path):
    filled.run(tmp_path, exposure=3, odfaccess="odf", ccds="4,7")
    _, headers = read(tmp_path / NORMAL)
    head = headers["EVENTS"]
    # Frames before the first and after the last event are not seen.
    ontime = filled.n_frames * filled.mode.frame_time_s
    assert head["ONTIME04"] == pytest.approx(ontime, rel=1e-3)
    share = 1 - filled.mode.readout_s / filled.mode.frame_time_s
    lost = 38 / (64 * 3 * 20)
    share *= filled.mode.live
    assert head["LIVETI04"] / head["ONTIME04"] == pytest.approx(share * (1 - lost), rel=1e-4)
    assert head["LIVETI07"] / head["ONTIME07"] == pytest.approx(share, rel=1e-4)
    assert head["ONTIME"] == head["ONTIME04"]


def test_lost_telemetry_splits_the_good_times(pn_odf, tmp_path):
    odf = pn_odf(lost=(1500, 2500))
    odf.background(1, 8000, np.random.default_rng(8))
    odf.write().run(tmp_path, exposure=3, odfaccess="odf", ccds="1")
    with fits.open(tmp_path / NORMAL) as hdus:
        gti = hdus["STDGTI01"].data
        assert len(gti) == 2
        gap = gti["START"][1] - gti["STOP"][0]
        assert gap == pytest.approx(1000 * odf.mode.frame_time_s, rel=0.01)
        assert hdus["STDGTI01"].header["ONTIME"] == pytest.approx(3000 * odf.mode.frame_time_s, rel=2e-3)
        assert len(hdus["EXPOSU01"].data) == pytest.approx(3000, rel=2e-3)


def test_both_runs_as_a_driver_calls_them(filled, tmp_path):
    common = {
        "odf": str(filled.folder),
        "odfaccess": "odf",
        "exposure": "003",
        "schedule": "S",
        "ccds": "4,7",
    }
    filled.run(tmp_path, **common, runbackground="N", keepintermediate="raw", withoutoftime="Y")
    stage = tmp_path / "rawevents_PNS003.npz"
    assert stage.exists()
    out, _ = filled.run(
        tmp_path, **common, runatthkgen="N", runepframes="N", runbadpixfind="N", runbadpix="N"
    )
    assert stage.name in out
    assert not stage.exists()
    again, (normal, _), (moved, _) = tmp_path / "again", read(tmp_path / NORMAL), read(tmp_path / OUT_OF_TIME)
    assert len(moved) == pytest.approx(len(normal), rel=0.01)
    rows = np.bincount(moved["RAWY"], minlength=201)[13:]
    assert rows.max() < 3 * rows.mean()
    # Time, amplitude and pattern of an event stay, its row does not.
    doubles = [
        {round(e["TIME"], 4): e["RAWY"] for e in part[(part["RAWX"] == 30) & (part["PHA"] == 400)]}
        for part in (normal, moved)
    ]
    both = [(doubles[0][t], doubles[1][t]) for t in doubles[0].keys() & doubles[1].keys()]
    assert len(both) >= 140
    assert np.mean([a != b for a, b in both]) > 0.95
    # Without the intermediate file the list is the same.
    again.mkdir()
    filled.run(again, **common)
    fresh, _ = read(again / NORMAL)
    for name in fresh.dtype.names:
        assert np.array_equal(fresh[name], normal[name]), name


def test_reuse_needs_the_file_and_the_same_data(filled, tmp_path):
    common = {"odfaccess": "odf", "exposure": 3, "ccds": "4,7"}
    skip = {"runepframes": "N", "runbadpixfind": "N", "runbadpix": "N"}
    with pytest.raises(TaskError, match="rawevents_PNS003.npz"):
        filled.run(tmp_path, **common, **skip)
    filled.run(tmp_path, **common, keepintermediate="raw")
    for other in ({"ccds": "4"}, {"gainctiaccuracy": 0}, {"runepreject": "Y"}):
        with pytest.raises(TaskError, match="other data or settings"):
            filled.run(tmp_path, **(common | other), **skip)
    (tmp_path / "rawevents_PNS003.npz").write_bytes(b"PK\x03\x04 nonsense")
    with pytest.raises(TaskError, match="cannot be read"):
        filled.run(tmp_path, **common, **skip)


def test_single_and_double_energies(pn_odf, tmp_path):
    """Amplitudes made by the simulator's own laws come back as the energies they stand for."""
    odf = pn_odf(n_frames=3000)
    rng = np.random.default_rng(3)
    odf.background(10, 3000, rng, 400, 401)
    frames = np.arange(3000)
    for energy, column in ((1486.0, 10), (6400.0, 20), (8000.0, 40)):
        rows = rng.integers(15, 198, 3000)
        adu = odf.camera.amplitude(
            np.full(3000, energy), 10, np.full(3000, column), rows, np.full(3000, odf.start_s), 1
        )
        adu = np.rint(adu).astype(int)
        odf.add(10, frames, column, rows, adu)
    odf.write().run(tmp_path, exposure=3, odfaccess="odf", ccds="10", runbadpixfind="N")
    events, _ = read(tmp_path / NORMAL)
    for energy, column in ((1486.0, 10), (6400.0, 20), (8000.0, 40)):
        line = events[(events["RAWX"] == column) & (events["PATTERN"] == 0)]
        line = line[np.abs(line["PI"] - energy) < 60]
        assert len(line) > 2700
        assert line["PI"].mean() == pytest.approx(energy, abs=1.0)
        # No trend along the column.
        assert np.corrcoef(line["RAWY"], line["PI"])[0, 1] == pytest.approx(0, abs=0.06)


def test_flags_at_borders_bad_pixels_and_offset_columns(pn_odf, tmp_path):
    odf = pn_odf(n_frames=2000)
    odf.background(2, 4000, np.random.default_rng(4), 300, 301)
    frames = np.arange(2000)
    # CCD 2 of the synthetic calibration: (34, 88) removed on board, (39, 154-155) dead, offset column 47.
    for x, y in ((34, 89), (38, 154), (1, 100), (64, 100), (20, 200), (46, 50)):
        odf.add(2, frames[::3], x, y, 500)
    odf.add(2, frames[::3], 47, 60, 500)
    odf.write().run(tmp_path, exposure=3, odfaccess="odf", ccds="2", runbadpixfind="N")
    events, _ = read(tmp_path / NORMAL)

    def flag(x, y):
        found = events["FLAG"][(events["RAWX"] == x) & (events["RAWY"] == y) & (events["PHA"] > 450)]
        values, counts = np.unique(found & ~int(PnFlag.OUT_OF_FOV), return_counts=True)
        return PnFlag(int(values[np.argmax(counts)]))

    assert flag(34, 89) == PnFlag.CLOSE_TO_ONBOARD_BADPIX
    assert flag(38, 154) == PnFlag.CLOSE_TO_DEADPIX
    assert flag(1, 100) == flag(64, 100) == flag(20, 200) == PnFlag.CLOSE_TO_CCD_BORDER
    assert flag(46, 50) == PnFlag.NEXT_TO_OFFSET_COLUMN
    assert flag(47, 60) == PnFlag.ON_OFFSET_COLUMN
    assert set(events["PHA"][(events["RAWX"] == 47) & (events["RAWY"] == 60)]) >= {480}


def test_a_bad_ccd_does_not_stop_the_others(filled, tmp_path):
    damaged = next(filled.folder.glob("*PNS00307IME.FIT"))
    damaged.write_bytes(damaged.read_bytes()[:9000])
    _, err = filled.run(tmp_path, exposure=3, odfaccess="odf", ccds="4,7,9")
    assert damaged.name in err
    assert "no event file of CCD(s) 9" in err
    events, headers = read(tmp_path / NORMAL)
    assert set(events["CCDNR"]) == {4}
    assert "STDGTI07" not in headers


def test_nothing_usable_is_an_error(filled, tmp_path):
    for path in filled.folder.glob("*IME.FIT"):
        path.write_bytes(b"\0" * 5760)
    with pytest.raises(TaskError) as caught:
        filled.run(tmp_path, exposure=3, odfaccess="odf", ccds="4,7")
    assert "PNS003" in str(caught.value) or "IME" in str(caught.value)
    assert not list(tmp_path.glob("*EVLI*"))


def test_missing_auxiliary_file(filled, tmp_path):
    next(filled.folder.glob("*AUX.FIT")).unlink()
    with pytest.raises(TaskError, match="AUX"):
        filled.run(tmp_path, exposure=3, odfaccess="odf", ccds="4,7")


def test_unknown_exposure_lists_those_there_are(filled, tmp_path):
    with pytest.raises(TaskError, match="S003"):
        filled.run(tmp_path, exposure=99, odfaccess="odf")
    with pytest.raises(TaskError, match="1 to 12"):
        filled.run(tmp_path, exposure=3, odfaccess="odf", ccds="4,13")


def test_epproc_names_its_products_its_own_way(filled, tmp_path):
    filled.run(tmp_path, "epproc")
    assert (tmp_path / "3100_0800010101_EPN_S003_ImagingEvts.ds").exists()
    assert (tmp_path / "3100_0800010101_AttHk.ds").exists()


def test_temperature_of_the_box(filled, tmp_path):
    common = {"exposure": 3, "odfaccess": "odf", "ccds": "4"}
    out, _ = filled.run(tmp_path, **common)
    (path,) = filled.folder.glob("*PNX00000PAH.FIT")
    with fits.open(path, mode="update") as hdus:
        data = hdus[1].data
        time = utc_to_tt(data["TIME"])
        now = (time >= filled.start_s) & (time <= filled.stop_s)
        assert f"quadrant 1: temperature for gain [deg C] = {data['F1676'][now].mean():.4f}" in out
    path.unlink()
    _, err = filled.run(tmp_path, **common)
    assert "warning (noGainTemperature)" in err


EPPROC = "3100_0800010101_EPN_S003_ImagingEvts.ds"


def test_epproc_takes_another_filter(filled, tmp_path):
    # Random parts of energies go by all pixels that are kept, which the filter decides.
    common = {"task": "epproc", "selectccds": True, "ccd4": True, "randomizeenergy": False}
    _, err = filled.run(tmp_path, filterevents=False, **common)
    # As in the log of a real run.
    assert err.count("** ") == 1
    assert "(notUsefulModeRDCTI)" in err
    everything, _ = read(tmp_path / EPPROC)
    assert everything["PI"].min() < 150
    filled.run(tmp_path, **common)
    usual, _ = read(tmp_path / EPPROC)
    assert len(usual) == np.count_nonzero(everything["PI"] > 150)
    filled.run(tmp_path, filterexpression="(FLAG & 0x2) == 0 && PI in [500:2000] && RAWY > 20", **common)
    chosen, _ = read(tmp_path / EPPROC)
    mine = (everything["FLAG"] & 2 == 0) & (everything["PI"] >= 500) & (everything["PI"] <= 2000)
    mine &= everything["RAWY"] > 20
    assert len(chosen) == np.count_nonzero(mine) > 0
    assert np.array_equal(chosen["TIME"], everything["TIME"][mine])
    filled.run(tmp_path, filterexpression="#XMMEA_EP", **common)
    assert len(read(tmp_path / EPPROC)[0]) <= len(everything)
    with pytest.raises(TaskError, match="filterexpression"):
        filled.run(tmp_path, filterexpression="NOTHING > 3", **common)


def test_epproc_keeps_raw_lists_for_studies_of_pile_up(filled, tmp_path):
    filled.run(tmp_path, "epproc", selectccds=True, ccd4=True, pileuptempfile=True)
    with fits.open(tmp_path / "3100_0800010101_EPN_S003_CCD4_PileupEvts.ds") as hdus:
        assert len(hdus["EVENTS"].data) > 8000
        assert {"EXPOSURE", "BADPIX", "STDGTI"} <= {h.name for h in hdus}


def test_epproc_takes_another_pointing_and_fewer_tables(filled, tmp_path):
    common = {"task": "epproc", "selectccds": True, "ccd4": True}
    filled.run(tmp_path, **common)
    usual, _ = read(tmp_path / EPPROC)
    filled.run(
        tmp_path, referencepointing="user", ra=149.6, dec=-11.0, posangle=20.0,
        othertables="EXPOSURE BADPIX STDGTI", runepexposure=False, **common,
    )  # fmt: skip
    other, headers = read(tmp_path / EPPROC)
    assert not {"DLIMAP04", "HKAUX04"} & set(headers)
    head = headers["EVENTS"]
    assert [head[k] for k in ("RA_PNT", "DEC_PNT", "PA_PNT", "AVRG_PNT")] == [149.6, -11.0, 20.0, "USER"]
    assert (head["REFXCRVL"], head["REFYCRVL"]) == (149.6, -11.0)
    # A centre further north and east: events move south and west in it.
    moved = np.median(other["Y"] - usual["Y"].astype(float)) * 0.05 / 3600
    assert moved == pytest.approx(-11.0641667 - -11.0, abs=1e-3)
    with fits.open(tmp_path / EPPROC) as hdus:
        assert set(hdus["EXPOSU04"].data["FRACEXP"]) == {1.0}
    with pytest.raises(NotImplementedError, match="othertables"):
        filled.run(tmp_path, othertables="EXPOSURE", **common)


def test_charge_of_one_row(filled, tmp_path):
    common = {"exposure": 3, "odfaccess": "odf", "ccds": "4", "randomizeenergy": False}
    filled.run(tmp_path, **common)
    usual, _ = read(tmp_path / NORMAL)
    filled.run(tmp_path, withctisrcpos=True, withsrcrawy=True, srcposition=150, **common)
    moved, headers = read(tmp_path / "P0800010101PNS003PSEVLI0000.FIT")
    assert headers["EVENTS"]["SRCPOS"] == 150
    # The same events but for those that 150 eV divides.
    keep, other = (np.flatnonzero(e["PHA"] > 60) for e in (usual, moved))
    assert np.array_equal(usual["RAWY"][keep], moved["RAWY"][other])
    gain = moved["PI"][other].astype(float) - usual["PI"][keep]
    row = usual["RAWY"][keep]
    assert np.all(gain[row < 140] >= 0)
    assert np.all(gain[row > 160] <= 0)
    # Partners of the row may lie beside it.
    assert np.abs(gain[row == 150]).max() <= 1


def test_good_times_by_housekeeping_and_by_the_user(filled, tmp_path):
    from daxa.xmm.event.gti import GTI
    from daxa.xmm.select.goodtimes import gti_hdu

    (path,) = filled.folder.glob("*PNX00000PMH.FIT")
    with fits.open(path, mode="update") as hdus:
        time = utc_to_tt(hdus[1].data["TIME"])
        hot = (time > filled.start_s + 100) & (time < filled.start_s + 200)
        hdus[1].data["F1128"][hot] = -40.0
        first = float(time[hot][0])
    name = EPPROC
    arguments = {"task": "epproc", "selectccds": True, "ccd4": True, "randomizetime": False}
    out, _ = filled.run(tmp_path, **arguments)
    assert "epproc::hkgtigen:-" in out
    # As in the log of SAS: found, not used and removed.
    assert not (tmp_path / "3100_0800010101_EPN_HkGti.ds").exists()
    everything, _ = read(tmp_path / name)
    filled.run(tmp_path, rungtimerge=True, removeintermediategtis=False, **arguments)
    hk = GTI.read(tmp_path / "3100_0800010101_EPN_HkGti.ds")
    assert hk.stop[0] == pytest.approx(first - 8.0)
    events, _ = read(tmp_path / name)
    assert len(events) == np.count_nonzero(hk.contains(everything["TIME"]))
    with fits.open(tmp_path / name) as hdus:
        assert len(GTI.from_hdu(hdus["STDGTI04"])) == 2

    mine = GTI([filled.start_s + 20], [filled.start_s + 60])
    gti_hdu(mine).writeto(tmp_path / "mine.ds")
    filled.run(tmp_path, gtiset="mine.ds", runhkgtigen=False, **arguments)
    events, headers = read(tmp_path / name)
    assert len(events) == np.count_nonzero(mine.contains(everything["TIME"])) > 0
    assert headers["STDGTI04"]["ONTIME"] == pytest.approx(40.0)


def test_without_limits_of_housekeeping_the_chain_goes_on(filled, tmp_path, monkeypatch):
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.errors import MissingConstituent

    original = Calibration.constituent

    def without(self, scope, typeid):
        if typeid == "HKPARMINT":
            raise MissingConstituent("none")
        return original(self, scope, typeid)

    monkeypatch.setattr(Calibration, "constituent", without)
    arguments = {"task": "epproc", "selectccds": True, "ccd4": True}
    _, err = filled.run(tmp_path, **arguments)
    assert "warning (noHkGti)" in err
    assert "error" not in err
    with pytest.raises(TaskError, match="none"):
        filled.run(tmp_path, rungtimerge=True, **arguments)


def test_extended_full_frame(pn_odf, tmp_path):
    odf = pn_odf(submode="PrimeFullWindowExtended", n_frames=2000)
    odf.background(5, 4000, np.random.default_rng(5))
    _, err = odf.write().run(tmp_path, exposure=3, odfaccess="odf", ccds="5", randomizetime=False)
    assert "** " not in err, err
    events, headers = read(tmp_path / NORMAL)
    assert headers["EVENTS"]["FRMTIME"] == 199
    offset = (events["TIME"] - odf.centre_s(0)) / odf.mode.frame_time_s
    assert np.abs(offset - np.rint(offset)).max() < 1e-3


@pytest.mark.parametrize(
    ("submode", "ccd", "first_row"), [("PrimeLargeWindow", 8, 101), ("PrimeSmallWindow", 4, 137)]
)
def test_window_modes(pn_odf, tmp_path, submode, ccd, first_row):
    odf = pn_odf(submode=submode, n_frames=20_000)
    rng = np.random.default_rng(6)
    n = 6000
    rows = rng.integers(first_row, 201, n)
    odf.add(ccd, rng.integers(0, odf.n_frames, n), rng.integers(2, 63, n), rows, rng.integers(60, 1800, n))
    odf.add(ccd, np.arange(0, 4000, 10), np.arange(400) % 50 + 5, first_row, 700)
    common = {"exposure": 3, "odfaccess": "odf", "ccds": str(ccd), "runbadpixfind": "N", "randomizetime": "N"}
    _, err = odf.write().run(tmp_path, **common)
    assert "** " not in err, err
    events, headers = read(tmp_path / NORMAL)
    assert headers["EVENTS"]["SUBMODE"] == submode
    assert ("DLIMAP08" in headers) == (submode == "PrimeLargeWindow")
    assert events["RAWY"].min() == first_row
    edge = (events["RAWY"] == first_row) & (events["PHA"] == 700)
    assert edge.sum() > 300
    assert np.all(events["FLAG"][edge] & int(PnFlag.CLOSE_TO_CCD_WINDOW))
    assert not np.any(events["FLAG"][events["RAWY"] == first_row + 2] & int(PnFlag.CLOSE_TO_CCD_WINDOW))
    share = 1 - odf.mode.readout_s / odf.mode.frame_time_s
    head = headers["EVENTS"]
    assert head["LIVETIME"] / head["ONTIME"] == pytest.approx(share * odf.mode.live, rel=1e-4)
    assert head["ONTIME"] == pytest.approx(odf.n_frames * odf.mode.frame_time_s, rel=2e-3)
    frame = (events["TIME"] - odf.centre_s(0)) / odf.mode.frame_time_s
    assert np.abs(frame - np.rint(frame)).max() * odf.mode.frame_time_s < 40e-6
    odf.run(tmp_path, **common, withoutoftime="Y")
    moved, _ = read(tmp_path / OUT_OF_TIME)
    assert moved["RAWY"].min() >= first_row
    assert len(moved) == pytest.approx(len(events), rel=0.02)


def test_frames_without_a_coarse_time_are_skipped(pn_odf, tmp_path):
    """As in real files: good times go on over them, their events are left out and their time is not live."""
    odf = pn_odf(n_frames=2000)
    odf.add(5, np.arange(odf.n_frames), 30, 100, 500)
    odf.write()
    lost = np.array([100, 101, 700, 1500])
    path = next(odf.folder.glob("*AUX*"))
    with fits.open(path, mode="update") as hdus:
        frames = hdus[1].data
        frames["FTCOARSE"][np.isin(frames["FRAME"], lost)] = -1
    _, err = odf.run(tmp_path, exposure=3, odfaccess="odf", ccds="5", runbadpixfind="N", randomizetime="N")
    assert "(InvalidObtValue), CCD 5: 4 frames without a coarse time are skipped" in err
    assert "misFrame" not in err
    events, headers = read(tmp_path / NORMAL)
    header = headers["STDGTI05"]
    assert (header["WRGCOARS"], header["FRAMETOT"], header["F1052"]) == (4, 2000, 32400)
    assert len(events) == 2000 - len(lost)
    frame = np.rint((events["TIME"] - odf.centre_s(0)) / odf.mode.frame_time_s).astype(int)
    assert not np.isin(lost, frame).any()
    with fits.open(tmp_path / NORMAL) as hdus:
        assert len(hdus["STDGTI05"].data) == 1
        assert np.flatnonzero(np.array(hdus["EXPOSU05"].data["FRACEXP"]) == 0).tolist() == lost.tolist()


def test_extended_full_frame_has_the_code_of_full_frame(pn_odf, tmp_path):
    odf = pn_odf(submode="PrimeFullWindowExtended", n_frames=500)
    odf.background(2, 3000, np.random.default_rng(1))
    odf.write()
    for path in odf.folder.glob("*IME*"):
        fits.setval(path, "CCDMODE", value=1, ext=1)
        assert fits.getval(path, "FRMTIME", 1) == 199
    out, err = odf.run(tmp_path, exposure=3, odfaccess="odf", ccds="2")
    assert "frame time [ms] = 199.19408, PrimeFullWindowExtended" in out
    assert "** " not in err
    _, headers = read(tmp_path / NORMAL)
    header = headers["STDGTI02"]
    assert headers["EVENTS"]["SUBMODE"] == "PrimeFullWindowExtended"
    assert (header["CCDMODE"], header["F1294"], header["CCDSMODE"]) == (1, 3, 20)
    assert header["AX_FC0"] == pytest.approx(0.99965238571167, abs=1e-7)
    assert header["JUMP_TOL"] == 50
    assert header["TIMEDEL"] == pytest.approx(0.194531, abs=1e-6)


def test_amplitudes_that_cannot_be_are_told(pn_odf, tmp_path):
    odf = pn_odf(n_frames=500)
    odf.background(5, 2000, np.random.default_rng(3))
    odf.add(5, [3, 4, 5, 6], 30, 100, [0, 0, -5, 7])
    _, err = odf.write().run(tmp_path, exposure=3, odfaccess="odf", ccds="5", runbadpixfind="N")
    assert "3 events with an impossible amplitude" in err
    assert "1 events below lowerthreshold=20" in err
    _, headers = read(tmp_path / NORMAL)
    assert headers["STDGTI05"]["WRGAMPLI"] == 3


def test_fallbacks_of_the_calibration_are_told_once_and_written(pn_odf, synthetic_ccf, tmp_path):
    """A set without the documented column names of TIMEJUMPTOL: a warning, and a keyword of the list."""
    odf = pn_odf(n_frames=500)
    odf.background(5, 2000, np.random.default_rng(3))
    odf.background(6, 2000, np.random.default_rng(4))
    odf.calibration = Path(shutil.copytree(synthetic_ccf, tmp_path / "ccf"))
    path = next(odf.calibration.glob("EPN_TIMEJUMPTOL*"))
    with fits.open(path) as hdus:
        names = fits.Column("NAME", "4A", array=["abcd", "efgh"])
        table = fits.BinTableHDU.from_columns([names], name="TIMEJUMPTOL")
        fits.HDUList([hdus[0].copy(), table]).writeto(path, overwrite=True)
    _, err = odf.write().run(tmp_path, exposure=3, odfaccess="odf", ccds="5,6", runbadpixfind="N")
    assert err.count("(noJumpTolerance)") == 1
    _, headers = read(tmp_path / NORMAL)
    note = "EPN_TIMEJUMPTOL_0001.CCF[TIMEJUMPTOL]: noJumpTolerance"
    assert headers["PRIMARY"]["CALFB1"] == headers["CALINDEX"]["CALFB1"] == note
    assert "CALFB2" not in headers["PRIMARY"]
    assert headers["STDGTI05"]["JUMP_TOL"] == 50


def test_resets_of_the_frame_counter(pn_odf, tmp_path):
    """F1030 moves with each turn of the counter; another reset before the exposure does not count."""
    odf = pn_odf(n_frames=2000)
    odf.background(2, 3000, np.random.default_rng(1))
    odf.write()
    arguments = {"exposure": 3, "odfaccess": "odf", "ccds": "2", "randomizetime": "N"}
    odf.run(tmp_path, **arguments)
    before, _ = read(tmp_path / NORMAL)
    path = next(odf.folder.glob("*PMH*"))
    with fits.open(path, mode="update") as hdus:
        table = hdus[1].data
        half = len(table) // 2
        table["F1030"][:half] -= 32400
        # Before the exposure.
        table["F1030"][0] -= 1484
    _, err = odf.run(tmp_path, **arguments)
    after, _ = read(tmp_path / NORMAL)
    assert np.array_equal(before["TIME"], after["TIME"])
    assert "** " not in err


def test_damaged_headers_and_counters(filled, tmp_path):
    """A needed card that cannot be read costs its CCD; counters from nowhere their own correction only."""
    path = next(filled.folder.glob("*PNS00307IME.FIT"))
    content = path.read_bytes()
    at = content.index(b"WINDOWDY")
    path.write_bytes(content[: at + 10] + b" 1\x07 / x".ljust(70) + content[at + 80 :])
    aux = next(filled.folder.glob("*AUX.FIT"))
    with fits.open(aux, mode="update") as hdus:
        hdus[2].data["CYCLE"][0] = -2_000_000_000
    _, err = filled.run(tmp_path, exposure=3, odfaccess="odf", ccds="4,7")
    assert path.name in err
    events, headers = read(tmp_path / NORMAL)
    assert set(events["CCDNR"]) == {4}
    ontime = filled.n_frames * filled.mode.frame_time_s
    assert headers["EVENTS"]["ONTIME04"] == pytest.approx(ontime, rel=2e-3)


def test_a_damaged_card_that_nothing_needs_costs_no_ccd(filled, tmp_path):
    path = next(filled.folder.glob("*PNS00307IME.FIT"))
    content = path.read_bytes()
    at = content.index(b"CREATOR ")
    path.write_bytes(content[: at + 10] + b" daxa simulate".ljust(70) + content[at + 80 :])
    _, err = filled.run(tmp_path, exposure=3, odfaccess="odf", ccds="4,7")
    assert f"(damagedCard), {path.name}: keyword CREATOR cannot be read" in err
    assert set(read(tmp_path / NORMAL)[0]["CCDNR"]) == {4, 7}


def test_times_that_cannot_be(filled, tmp_path):
    aux = next(filled.folder.glob("*AUX.FIT"))
    with fits.open(aux, mode="update") as hdus:
        rng = np.random.default_rng(1)
        hdus[1].data["FTCOARSE"] = rng.integers(0, 32400, len(hdus[1].data))
    with pytest.raises(TaskError, match="AUX") as caught:
        filled.run(tmp_path, exposure=3, odfaccess="odf", ccds="4,7")
    assert caught.value.code == "InconsistentTimeInfo"
