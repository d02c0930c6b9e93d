"""emchain on simulated observations: what comes out is what was put in."""

from __future__ import annotations

import csv
import io
import shutil

import numpy as np
import pytest
from astropy.io import fits

from daxa.simulate.odf.exposures import MOS_FIRST_FRAMES
from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.formats.flags import MACROS, MosFlag
from daxa.xmm.instruments.keywords import exposure_summary
from daxa.xmm.odf.odf import Odf
from daxa.xmm.sky.tangent import to_xy
from daxa.xmm.task import run_task

OBS = "0800010201"
EXPOSURES = [("M1", "S001"), ("M1", "U002"), ("M2", "S002")]
GOOD = MACROS["EMOS1"]["XMMEA_EM"]

pytestmark = pytest.mark.slow


@pytest.fixture(params=EXPOSURES, ids="".join)
def exposure(request, reduced, simulated):
    """Event list, truth and true photons of one exposure."""
    instrument, exp_id = request.param
    truth = next(
        e for e in simulated.truth(OBS)["exposures"] if (e["instrument"], e["exp_id"]) == (instrument, exp_id)
    )
    photons = simulated.folder / "truth" / f"{OBS}_{instrument}{exp_id}_photons.fits"
    with fits.open(reduced.event_list(instrument, exp_id)) as hdus, fits.open(photons) as table:
        yield hdus, truth, table[1].data


def _good(events):
    return (events["FLAG"] & GOOD == 0) & (events["PATTERN"] <= 12)


def test_structure(exposure):
    hdus, truth, _ = exposure
    header = hdus["EVENTS"].header
    assert header["SUBMODE"] == "PrimeFullWindow"
    assert header["FILTER"] == "Medium"
    assert header["DATAMODE"] == "IMAGING"
    assert header["EXPIDSTR"] == truth["exp_id"]
    assert header["EXP_ID"] == OBS + truth["exp_id"][1:]
    assert header["OBJECT"] == "A907"
    assert hdus["EXPOSU01"].header["FRMTIME"] == 2600
    names = [h.name for h in hdus]
    for ccd in range(1, 8):
        assert {f"EXPOSU{ccd:02d}", f"BADPIX{ccd:02d}", f"STDGTI{ccd:02d}"} <= set(names)
    assert "CALINDEX" in names
    scopes = {str(s).strip() for s in hdus["CALINDEX"].data["SCOPE"]}
    number = truth["instrument"][1]
    assert scopes == {f"EMOS{number}", f"XRT{number}", "XMM"}


def test_flags_and_offsets(exposure):
    hdus, _, _ = exposure
    header = hdus["EVENTS"].header
    assert header["XMMEA_EM"].replace(" ", "") == "(FLAG&0x766ba000)==0"
    assert header["XMMEA_SM"].replace(" ", "") == "(FLAG&0xfffffeff)==0"
    assert header["XMMEA_11"].replace(" ", "") == "(FLAG&0x800)!=0"
    offsets = hdus["OFFSETS"].data
    # One column of each CCD has another offset on board.
    assert set(offsets["CCDNR"]) == set(range(1, 8))
    assert (offsets["OFFSETX"] > 0).all()


def test_pointing(exposure, simulated):
    header = exposure[0]["EVENTS"].header
    ra, dec, pa = simulated.truth(OBS)["pointing_deg"]
    assert header["RA_PNT"] == pytest.approx(ra, abs=1e-6)
    assert header["DEC_PNT"] == pytest.approx(dec, abs=1e-6)
    assert header["PA_PNT"] == pytest.approx(pa, abs=1e-4)


def test_frames_and_live_time(exposure):
    hdus, truth, _ = exposure
    header = hdus["EVENTS"].header
    for number, ccd in truth["ccds"].items():
        number = int(number)
        assert header[f"ONTIME{number:02d}"] == pytest.approx(ccd["ontime_s"], rel=1e-6)
        live = ccd["livetime_s"] * ccd["integration_s"] / ccd["frame_time_s"]
        assert header[f"LIVETI{number:02d}"] == pytest.approx(live, rel=1e-3)
        frames = hdus[f"EXPOSU{number:02d}"].data
        assert len(frames) == ccd["n_frames"]
        assert (frames["FRACEXP"] > 0).sum() == ccd["n_frames"] - len(ccd["bad_frames"]) - 2
        start = frames["TIME"][0] - 0.5 * frames["TIMEDEL"][0]
        transfer = ccd["frame_time_s"] - ccd["integration_s"]
        assert transfer == pytest.approx(0.006)
        assert start == pytest.approx(ccd["start_s"] + transfer, abs=1e-4)
        gti = GTI.from_hdu(hdus[f"STDGTI{number:02d}"])
        assert np.allclose(np.stack([gti.start, gti.stop], 1), ccd["gti_s"], rtol=0, atol=1e-4)


def test_events_lie_in_their_good_times(exposure):
    hdus, _, _ = exposure
    events = hdus["EVENTS"].data
    for ccd in range(1, 8):
        gti = GTI.from_hdu(hdus[f"STDGTI{ccd:02d}"])
        assert gti.contains(events["TIME"][events["CCDNR"] == ccd]).all()
    assert (events["FLAG"] & 0x762AA000 == 0).all()


def _matched(hdus, photons):
    """Events and the photons that made them: same CCD, frame and (within one) pixel, one of each."""
    events = hdus["EVENTS"].data
    result = []
    for ccd in range(1, 8):
        frames = hdus[f"EXPOSU{ccd:02d}"].data
        end = frames["TIME"] + 0.5 * frames["TIMEDEL"]
        number = np.rint((end - end[0]) / np.median(np.diff(end))).astype(np.int64)
        mine = np.flatnonzero(events["CCDNR"] == ccd)
        frame = number[np.minimum(np.searchsorted(end, events["TIME"][mine]), len(end) - 1)]
        true = np.flatnonzero((photons["CCDNR"] == ccd) & photons["KEPT"] & ~photons["OOT"])
        # The first and the last frame are never good.
        true = true[(photons["FRAME"][true] > 0) & (photons["FRAME"][true] < number[-1])]

        def key(f, x, y):
            return (f.astype(np.int64) * 1024 + y) * 1024 + x

        x, y = (np.rint(photons[k][true]).astype(np.int64) for k in ("RAWX", "RAWY"))
        keys = key(frame, events["RAWX"][mine].astype(np.int64), events["RAWY"][mine].astype(np.int64))
        order = np.argsort(keys, kind="stable")
        found = np.full(len(true), -1)
        for dx in (0, -1, 1):
            for dy in (0, -1, 1):
                wanted = key(photons["FRAME"][true].astype(np.int64), x + dx, y + dy)
                at = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
                hit = (keys[order][at] == wanted) & (found < 0)
                found[hit] = mine[order[at[hit]]]
        result.append(np.stack([true, found], axis=1))
    return np.concatenate(result)


def test_photons_are_found(exposure):
    hdus, _, photons = exposure
    pairs = _matched(hdus, photons)
    assert (pairs[:, 1] >= 0).mean() > 0.985


def test_energies_of_photons(exposure):
    hdus, _, photons = exposure
    events = hdus["EVENTS"].data
    pairs = _matched(hdus, photons)
    pairs = pairs[pairs[:, 1] >= 0]
    true, pi = photons["ENERGY"][pairs[:, 0]], events["PI"][pairs[:, 1]].astype(float)
    usable = _good(events)[pairs[:, 1]]
    for low, high, limit in ((400, 1500, 10.0), (1500, 3000, 10.0), (3000, 9000, 25.0)):
        chosen = usable & (true > low) & (true < high)
        error = np.median(pi[chosen] - true[chosen])
        assert abs(error) < limit, (low, high, error)
    # Singles and doubles by themselves, as closely as their numbers tell.
    pattern = events["PATTERN"][pairs[:, 1]]
    for first, last in ((0, 0), (1, 4)):
        chosen = usable & (true > 700) & (pattern >= first) & (pattern <= last)
        rest = (pi[chosen] - true[chosen]) / np.sqrt(true[chosen])
        rest = rest[np.abs(rest) < 5]
        assert len(rest) > 300
        assert abs(rest.mean()) < 3 * rest.std() / np.sqrt(len(rest)) + 0.02


def test_patterns_follow_the_number_of_pixels(exposure):
    hdus, _, photons = exposure
    events = hdus["EVENTS"].data
    pairs = _matched(hdus, photons)
    pairs = pairs[pairs[:, 1] >= 0]
    n, pattern = photons["NPIXELS"][pairs[:, 0]], events["PATTERN"][pairs[:, 1]]
    for pixels, low, high in ((1, 0, 0), (2, 1, 4)):
        chosen = n == pixels
        assert ((pattern[chosen] >= low) & (pattern[chosen] <= high)).mean() > 0.95


def test_source_positions(exposure, simulated):
    hdus, truth, _ = exposure
    events, header = hdus["EVENTS"].data, hdus["EVENTS"].header
    events = events[_good(events)]
    offsets, weights = [], []
    with simulated.sources(OBS).open() as handle:
        for row in csv.DictReader(handle):
            if (row["instrument"], row["exp_id"]) != (truth["instrument"], truth["exp_id"]):
                continue
            if row["name"] == "cluster":
                continue
            x0, y0 = to_xy(
                float(row["ra_deg"]), float(row["dec_deg"]), header["REFXCRVL"], header["REFYCRVL"]
            )
            x, y = float(x0), float(y0)
            for _ in range(20):
                near = np.hypot(events["X"] - x, events["Y"] - y) < 240
                x, y = events["X"][near].mean(), events["Y"][near].mean()
            offsets.append(((x - x0) * 0.05, (y - y0) * 0.05))
            weights.append(near.sum())
    mean = np.average(offsets, axis=0, weights=weights)
    assert np.hypot(*mean) < 0.5
    # A source of n counts in a PSF of some arcseconds is found within about 7/sqrt(n) arcsec per axis.
    scatter = np.hypot(*np.transpose(offsets)) * np.sqrt(weights)
    assert scatter.max() < 30


def test_bad_pixels(exposure):
    hdus, truth, _ = exposure
    for number, ccd in truth["ccds"].items():
        table = hdus[f"BADPIX{int(number):02d}"].data
        found = {
            (int(row["RAWX"]), int(row["RAWY"]) + i)
            for row in table[table["BADFLAG"] == 3]
            for i in range(row["YEXTENT"])
        }
        known = {(p["rawx"], p["rawy"]): p["kind"] for p in ccd["found_bad_pixels"]}
        lines = {(x, y + k) for x, y, n in ccd["defects"]["columns"] for k in range(n)}
        lines |= {(x + k, y) for y, x, n in ccd["defects"]["rows"] for k in range(n)}
        assert found <= set(known) | lines
        assert {p for p, kind in known.items() if kind == "hot"} <= found
        # As in real lists: nothing flickering, column 600 dead, in the order of origins and columns.
        assert set(zip(table["TYPE"], table["BADFLAG"], strict=True)) <= {
            (1, 1),
            (1, 2),
            (3, 2),
            (1, 3),
            (3, 3),
        }
        last = [tuple(row) for row in table if row["RAWX"] == 600]
        assert last == [(600, 1, 3, 600, 2)]
        order = np.lexsort((table["RAWY"], table["RAWX"], table["BADFLAG"]))
        assert (order == np.arange(len(table))).all()


def test_attitude_file_and_flare_products(reduced):
    names = {p.name for p in reduced.folder.iterdir()}
    assert f"P{OBS}OBX000ATTTSR0000.FIT" in names
    for instrument, exp_id in EXPOSURES:
        assert f"P{OBS}{instrument}{exp_id}FBKTSR0000.FIT" in names
        assert f"P{OBS}{instrument}{exp_id}FBKGTI0000.FIT" in names
    with fits.open(reduced.folder / f"P{OBS}EMX000FBKTSR0000.FIT") as hdus:
        both = hdus["RATE"].data
        # Exposures side by side: what they cover is summed, their rates are not.
        assert both["FRACEXP"].max() == pytest.approx(2.0, abs=0.05)
    with fits.open(reduced.folder / f"P{OBS}M2S002FBKTSR0000.FIT") as hdus:
        single = hdus["RATE"].data
    assert np.median(both["RATE"]) == pytest.approx(np.median(single["RATE"]), rel=0.2)
    assert f"P{OBS}EMX000FBKGTI0000.FIT" in names
    assert not [n for n in names if n.endswith(".part")]


def test_log_reads_like_the_chain(reduced):
    for text in (
        "emchain::emframes:-",
        "frames rejected by FIFO",
        "cosmic-ray events",
        "events with truncated E1",
        "bright pixels found in image",
        "final bad pixel sets will be added to BADPIX extension",
    ):
        assert text in reduced.log
    # Housekeeping tells when the clock was reset.
    assert reduced.warnings == ""


# --- other calls, and damage -------------------------------------------------------------------------


@pytest.fixture
def copy(simulated, tmp_path):
    """A copy of an ODF that may be damaged, without pn."""
    folder = tmp_path / "odf"
    folder.mkdir()
    for path in simulated.odf(OBS).iterdir():
        if "_PN" not in path.name and "M1U002" not in path.name:
            shutil.copy(path, folder)
    return folder


def _emchain(odf, reduced, folder, task="emchain", **arguments):
    out, err = io.StringIO(), io.StringIO()
    folder.mkdir(exist_ok=True)
    env = {"SAS_CCF": reduced.env["SAS_CCF"], "SAS_CCFPATH": reduced.env["SAS_CCFPATH"], "SAS_ODF": str(odf)}
    run_task(task, arguments, cwd=folder, env=env, out=out, err=err)
    return out.getvalue(), err.getvalue()


def _file(odf, text):
    return next(p for p in odf.iterdir() if text in p.name)


def test_one_exposure_and_no_flare_products(copy, reduced, tmp_path):
    _emchain(
        copy,
        reduced,
        tmp_path / "out",
        instruments="M2",
        exposures="S002",
        addtaglenoise="no",
        makeflaregti="no",
    )
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        f"P{OBS}M2S002MIEVLI0000.FIT",
        f"P{OBS}OBX000ATTTSR0000.FIT",
    ]
    with (
        fits.open(tmp_path / "out" / f"P{OBS}M2S002MIEVLI0000.FIT") as one,
        fits.open(reduced.event_list("M2", "S002")) as other,
    ):
        # Without SUM.SAS and in other company: the same events.
        for name in one["EVENTS"].columns.names:
            assert np.array_equal(one["EVENTS"].data[name], other["EVENTS"].data[name])


def test_chosen_ccds_and_no_randomisation(copy, reduced, tmp_path):
    out = tmp_path / "out"
    _emchain(
        copy,
        reduced,
        out,
        instruments="M1",
        ccds="2 4",
        randomize="",
        rejectbadevents="no",
        makeflaregti="no",
    )
    with fits.open(out / f"P{OBS}M1S001MIEVLI0000.FIT") as hdus:
        events = hdus["EVENTS"].data
        assert set(events["CCDNR"]) == {2, 4}
        assert (events["FLAG"] & int(MosFlag.COSMIC_RAY) != 0).any()
        frames = hdus["EXPOSU02"].data["TIME"]
        assert np.isin(events["TIME"][events["CCDNR"] == 2], frames).all()
        assert len({*zip(events["RAWX"], events["RAWY"], events["CCDNR"], strict=False)}) == len(
            {*zip(events["DETX"], events["DETY"], strict=False)}
        )


def test_emproc(copy, reduced, tmp_path):
    out = tmp_path / "out"
    _emchain(copy, reduced, out, task="emproc", withinstexpids="yes", instexpids="M2S002")
    assert {p.name for p in out.iterdir()} == {
        f"3100_{OBS}_AttHk.ds",
        f"3100_{OBS}_EMOS2_S002_ImagingEvts.ds",
    }


def test_frames_outside_the_housekeeping_are_rejected(copy, reduced, tmp_path):
    """As in the real log, emproc gives the good times of housekeeping to emframes."""
    with fits.open(reduced.event_list("M2", "S002")) as hdus:
        start, stop = hdus["STDGTI01"].data["START"][0], hdus["STDGTI01"].data["STOP"][-1]
    good = GTI([start - 10, start + 1000], [start + 500, stop + 10])
    for task, name, arguments in (
        ("emproc", f"3100_{OBS}_EMOS2_HkGti.ds", {"selectinstruments": "yes", "emos2": "yes"}),
        ("emchain", f"P{OBS}M2X000HK_GTI0000.FIT", {"instruments": "M2", "filterhk": "yes", "ccds": "2"}),
    ):
        out = tmp_path / task
        out.mkdir()
        fits.HDUList([fits.PrimaryHDU(), good.to_hdu()]).writeto(out / name)
        log, _ = _emchain(copy, reduced, out, task=task, **arguments)
        rejected = {int(line.split()[1]) for line in log.splitlines() if "rejected by FLAG_HK" in line}
        assert min(rejected) >= 191
        with fits.open(next(out.glob("*Evts.ds" if task == "emproc" else "*MIEVLI*"))) as hdus:
            time = hdus["EVENTS"].data["TIME"]
            assert not ((time > start + 500) & (time < start + 1000)).any()
            assert hdus["STDGTI02"].data["START"][1] >= start + 1000
        assert (out / name).exists()


def test_files_between_the_steps(copy, reduced, tmp_path):
    out = tmp_path / "out"
    call = {"instruments": "M2", "ccds": "2", "makeflaregti": "no"}
    _emchain(copy, reduced, out, **call, keepintermediate="yes", writeccdbackground="yes")
    names = {p.name for p in out.iterdir()}
    assert {"frame02.out.mos", "ccdgti02.in.mos", "badpix02.out.mos"} <= names
    assert f"P{OBS}M2S002CCDBKG2000.FIT" in names
    with fits.open(out / f"P{OBS}M2S002MIEVLI0000.FIT") as hdus, fits.open(out / "badpix02.out.mos") as bad:
        final = hdus["BADPIX02"].data
        found = bad["BADPIX"].data
        assert len(found) == (final["BADFLAG"] == 3).sum() > 0
        with fits.open(out / "frame02.out.mos") as frames:
            assert np.array_equal(frames["FRAMES"].data["TIME"], hdus["EXPOSU02"].data["TIME"])
    stopped = tmp_path / "stopped"
    _emchain(copy, reduced, stopped, **call, stopafterbadpixfind="yes")
    assert {p.name for p in stopped.iterdir()} == {"badpix02.out.mos", f"P{OBS}OBX000ATTTSR0000.FIT"}
    with fits.open(stopped / "badpix02.out.mos") as bad:
        assert np.array_equal(bad["BADPIX"].data["RAWX"], found["RAWX"])


def test_flares_can_be_cut_out(copy, reduced, tmp_path):
    call = {"instruments": "M2", "ccds": "2", "makeflaregti": "no"}
    # Half of the bins of a steady curve lie under its median.
    with fits.open(reduced.folder / f"P{OBS}M2S002FBKTSR0000.FIT") as hdus:
        limit = float(np.percentile(hdus["RATE"].data["RATE"], 80))
    out = tmp_path / "out"
    _emchain(copy, reduced, out, **call, applyflaregti="yes", flaremaxrate=limit)
    with fits.open(out / f"P{OBS}M2S002MIEVLI0000.FIT") as hdus:
        header = hdus["EVENTS"].header
        gti = GTI.from_hdu(hdus["STDGTI02"])
        assert 0.1 < gti.total / header["TELAPSE"] < 0.9
        assert gti.contains(hdus["EVENTS"].data["TIME"]).all()
        assert header["ONTIME02"] == pytest.approx(gti.total)
    _, messages = _emchain(
        copy, reduced, tmp_path / "none", **call, applyflaregti="yes", flaremaxrate=0.0, flaretimebin=520
    )
    assert "flareGtiNotApplied" in messages


def test_any_filter_expression(copy, reduced, tmp_path):
    out = tmp_path / "out"
    expression = "(PI in [500:2000]) && #XMMEA_EM && (PATTERN <= 4) && circle(25921, 25921, 6000, X, Y)"
    arguments = {"selectinstruments": "yes", "emos2": "yes", "selectccds": "yes", "ccd1": "yes"}
    _emchain(copy, reduced, out, task="emproc", filterexpression=expression, **arguments)
    with fits.open(next(out.glob("*Evts.ds"))) as hdus:
        events = hdus["EVENTS"].data
        assert len(events) > 500
        assert events["PI"].min() >= 500
        assert events["PI"].max() <= 2000
        assert (events["FLAG"] & 0x766BA000 == 0).all()
        assert np.hypot(events["X"] - 25921.0, events["Y"] - 25921.0).max() <= 6000
        assert events["PATTERN"].max() <= 4
    with pytest.raises(TaskError, match=r"filterexpression.*NONSENSE"):
        _emchain(copy, reduced, out, task="emproc", filterexpression="NONSENSE > 3", **arguments)


def test_tests_can_be_switched_off(copy, reduced, tmp_path):
    lines = {
        "emevents:rejectrows": "events in rows with more",
        "emevents:rejectflickering": "detected as flickering",
        "emevents:rejectbade3": "local median",
        "emevents:detectbadoffsets": "with wrong offset",
        "emevents:flagbadtimes": "outside good frames",
        "emevents:splitdiagonals": "diagonal events split",
        "emevents:flagbadpixels": "modified by CUT_BAD",
        "emenergy:rejectbade3e4": "outside the ellipse",
        "emenergy:getccdbkg": "sigma clipping",
    }
    call = {"instruments": "M2", "ccds": "2", "makeflaregti": "no"}
    log, _ = _emchain(copy, reduced, tmp_path / "on", **call)
    assert [text for text in lines.values() if text not in log] == []
    log, _ = _emchain(copy, reduced, tmp_path / "off", **call, **dict.fromkeys(lines, "no"))
    assert [text for text in lines.values() if text in log] == []


def test_good_times_of_the_user(copy, reduced, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with fits.open(reduced.event_list("M2", "S002")) as hdus:
        start = hdus["STDGTI01"].data["START"][0]
    gti = GTI([start + 100.0], [start + 200.0])
    fits.HDUList([fits.PrimaryHDU(), gti.to_hdu("STDGTI")]).writeto(out / "gti.fits")
    _emchain(copy, reduced, out, instruments="M2", ingtiset="gti.fits", makeflaregti="no")
    with fits.open(out / f"P{OBS}M2S002MIEVLI0000.FIT") as hdus:
        for ccd in range(1, 8):
            kept = GTI.from_hdu(hdus[f"STDGTI{ccd:02d}"])
            assert (kept - gti).total < 1e-5
            assert kept.total > 100.0 - 2 * 2.6 - 1e-3


@pytest.mark.parametrize("damage", ["zeros", "truncated", "absent", "empty", "mode", "exposure"])
def test_damaged_ccd_is_left_out(copy, reduced, tmp_path, damage):
    path = _file(copy, "M2S00230IME")
    data = path.read_bytes()
    if damage == "absent":
        path.unlink()
    elif damage in ("mode", "exposure"):
        # The event analyser in another mode; the file of another exposure.
        key, value, extension = {"mode": ("EDUMODE", 1, 1), "exposure": ("EXP_ID", OBS + "099", 1)}[damage]
        fits.setval(path, key, value=value, ext=extension)
    else:
        path.write_bytes(
            {"zeros": b"\0" * len(data), "truncated": data[: len(data) // 2], "empty": b""}[damage]
        )
    _, err = _emchain(copy, reduced, tmp_path / "out", instruments="M2", makeflaregti="no")
    if damage != "absent":
        assert path.name in err
    if damage in ("mode", "exposure"):
        assert {"mode": "initEdusoft03", "exposure": "frames04"}[damage] in err
    with fits.open(tmp_path / "out" / f"P{OBS}M2S002MIEVLI0000.FIT") as hdus:
        assert set(hdus["EVENTS"].data["CCDNR"]) == {1, 2, 4, 5, 6, 7}
        assert "EXPOSU03" not in [h.name for h in hdus]


def test_without_offsets_the_chain_warns_and_goes_on(copy, reduced, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with fits.open(reduced.env["SAS_CCF"]) as hdus:
        table = hdus["CALINDEX"]
        keep = ~((table.data["TYPEID"] == "DARKFRAME") & (table.data["SCOPE"] == "EMOS2"))
        table.data = table.data[keep]
        hdus.writeto(out / "less.cif")
    env = {"SAS_CCF": str(out / "less.cif"), "SAS_CCFPATH": reduced.env["SAS_CCFPATH"], "SAS_ODF": str(copy)}
    err = io.StringIO()
    arguments = {"instruments": "M2", "ccds": "2", "makeflaregti": "no"}
    run_task("emchain", arguments, cwd=out, env=env, out=io.StringIO(), err=err)
    assert "addOffsets01" in err.getvalue()
    assert "EMOS2_DARKFRAME" in err.getvalue()
    with fits.open(out / f"P{OBS}M2S002MIEVLI0000.FIT") as hdus:
        assert len(hdus["EVENTS"].data) > 100
        assert len(hdus["OFFSETS"].data) == 0


def test_ccd_without_events_and_short_exposure(copy, reduced, tmp_path):
    for path in list(copy.iterdir()):
        if "M2S002" not in path.name:
            continue
        with fits.open(path) as hdus:
            hdus = fits.HDUList([h.copy() for h in hdus])
        if "IME" in path.name:
            sent = 0 if "30IME" in path.name else 3
            first = MOS_FIRST_FRAMES[hdus[1].header["CCDID"] - 1]
            hdus[1].data = hdus[1].data[hdus[1].data["FRAME"] < first + sent]
        elif "AUX" in path.name:
            first = np.array(MOS_FIRST_FRAMES)[hdus[1].data["CCDID"] - 1]
            hdus[1].data = hdus[1].data[hdus[1].data["FRAME"] < first + 3]
            hdus[1].data["NVALID"][hdus[1].data["CCDID"] == 3] = 0
        hdus.writeto(path, overwrite=True)
    _, err = _emchain(copy, reduced, tmp_path / "out", instruments="M2")
    assert "frames10" in err
    assert [line for line in err.splitlines() if "(noEvents)" in line and "M2S00230IME" in line]
    with fits.open(tmp_path / "out" / f"P{OBS}M2S002MIEVLI0000.FIT") as hdus:
        assert 3 not in hdus["EVENTS"].data["CCDNR"]
        assert len(hdus["EXPOSU03"].data) == 3
        # Of three frames only the middle one is good.
        assert hdus["EVENTS"].header["ONTIME03"] == pytest.approx(2.6, rel=1e-3)


@pytest.mark.parametrize(
    ("text", "expected"), [("M2S00200AUX", "AUX"), ("SCX00000ATS", "attitude file"), ("SCX00000T", "TC")]
)
def test_what_the_exposure_needs_is_named(copy, reduced, tmp_path, text, expected):
    for path in [p for p in copy.iterdir() if text in p.name]:
        path.unlink()
    with pytest.raises(TaskError, match=expected):
        _emchain(copy, reduced, tmp_path / "out", instruments="M2", makeflaregti="no")
    assert not list((tmp_path / "out").glob("*MIEVLI*"))


def test_stop_on_error(copy, reduced, tmp_path):
    _file(copy, "M2S00230IME").write_bytes(b"\0" * 2880)
    with pytest.raises(TaskError, match="M2S00230IME"):
        _emchain(copy, reduced, tmp_path / "out", instruments="M2", stoponerror="yes", makeflaregti="no")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"instruments": "PN"}, "PN"),
        ({"exposures": "S009"}, "S009"),
        ({"ccds": "8"}, "ccds"),
        ({"rejectionflag": "xyz"}, "rejectionflag"),
        ({"randomize": "Q"}, "randomize"),
        ({"emevents:nonsense": "1"}, "nonsense"),
        ({"nonsense": "1"}, "nonsense"),
    ],
)
def test_wrong_parameters_are_named(copy, reduced, tmp_path, arguments, text):
    with pytest.raises(TaskError, match=text):
        _emchain(copy, reduced, tmp_path / "out", **arguments)


def test_summary_without_sum_sas(copy):
    found = exposure_summary(Odf.open(copy), "M2", "S002", lambda code, text: None)
    assert found.filter == "Medium"
    assert found.mode == "PrimeFullWindow"
