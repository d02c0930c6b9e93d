"""Final lists of both spectrometers against the truth of the simulation, and against real numbers."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from astropy.io import fits
from rgs_reduction import Grated, reduce
from rgs_truth import EXPOSURES, HC, exposures_of, line_events

from daxa.compare import compare_files
from daxa.simulate.cameras.rgs import UNKNOWN_HOT
from daxa.simulate.numbers.gratings import BAD_PIXELS, DEAD_CCD
from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.formats.rgs import RgsFlag
from daxa.xmm.task import run_task

LATE, EARLY = "0800030101", "0800030201"
#: Counts/s of the continuum, 0.3 over 33 Angstrom, in the 0.2 Angstrom of a line in the first order.
CONTINUUM = 0.3 / 33 * 0.2


@pytest.mark.parametrize("instrument", [i for i, _ in EXPOSURES])
@pytest.mark.parametrize("obs_id", [LATE, EARLY])
def test_wavelengths_and_energies_of_lines(grated, simulated_gratings, obs_id, instrument):
    """Both orders, on and off axis (1.2 arcmin, a shift of 170 mA), with a pointing that swings."""
    truth = exposures_of(simulated_gratings, obs_id)[instrument]
    found = 0
    for wavelength, *rates in truth["sources"][0]["lines"]:
        for order, rate in enumerate(rates, start=1):
            events, missing = line_events(grated[obs_id], instrument, wavelength, order)
            if rate == 0 or missing:
                continue
            shift = events["M_LAMBDA"] / order - wavelength
            error = shift.std() / np.sqrt(len(shift))
            ontime = truth["ccds"][str(np.bincount(events["CCDNR"]).argmax())]["ontime_s"]
            # Where two photons of a frame meet, both are lost: 3 to 15 per cent of these bright lines.
            expected = ontime * (rate + (CONTINUUM if order == 1 else 0.0))
            assert 0.9 - 3 / np.sqrt(expected) < len(shift) / expected < 1.0 + 3 / np.sqrt(expected)
            assert error < 1.3e-3
            assert abs(shift.mean()) < max(4 * error, 1e-3), (wavelength, order)
            # The width of the simulated lines, with half a pixel's share: drifts do not blur them.
            assert shift.std() == pytest.approx(0.0248 / order, rel=0.08)
            pi = events["PI"] - HC / wavelength
            assert abs(pi.mean()) < 4 * pi.std() / np.sqrt(len(pi)) + 1.0
            found += 1
    # Gaps between chips, dead ones and hot columns hide the others.
    assert found >= 5


@pytest.mark.slow
def test_the_swing_would_blur_the_lines(simulated_gratings, grated, tmp_path):
    """The same with the history file, which knows one attitude only: 4 arcsec of swing are 9 mA."""
    odf, ccf = simulated_gratings.odf(EARLY), simulated_gratings.ccf
    blurred = reduce(odf, ccf, tmp_path, "AHF", withinstexpids=True, instexpids="R1S004")
    widths = []
    for run in (grated[EARLY], blurred):
        events, _ = line_events(run, "R1", 15.014, 2)
        widths.append(np.std(events["M_LAMBDA"] / 2 - 15.014))
    # A swing of 4 arcsec has a standard deviation of 6.5 mA in the first order.
    assert np.sqrt(widths[1] ** 2 - widths[0] ** 2) == pytest.approx(6.5e-3 / 2, rel=0.35)


@pytest.mark.parametrize("obs_id", [LATE, EARLY])
def test_dead_ccds(grated, obs_id):
    for instrument, _ in EXPOSURES:
        with fits.open(grated[obs_id].file(instrument, "EVENLI")) as hdus:
            ccds = {int(h.name[-2:]) for h in hdus if h.name.startswith("EXPOSU")}
            assert set(np.unique(hdus["EVENTS"].data["CCDNR"]).tolist()) == ccds
        dead = {DEAD_CCD[f"RGS{instrument[1]}"]} if obs_id == LATE else set()
        assert ccds == set(range(1, 10)) - dead


@pytest.mark.parametrize("obs_id", [LATE, EARLY])
def test_good_times_of_every_ccd(grated, simulated_gratings, obs_id):
    """The first frame, the gap with the frame behind it and the aborted frame are out, to the millisecond."""
    for instrument, truth in exposures_of(simulated_gratings, obs_id).items():
        with fits.open(grated[obs_id].file(instrument, "EVENLI")) as hdus:
            for ccd, one in truth["ccds"].items():
                gti = GTI.from_hdu(hdus[f"STDGTI{int(ccd):02d}"])
                assert gti.total == pytest.approx(one["ontime_s"], abs=0.02)
                assert len(gti) == len(one["gti_s"])
                np.testing.assert_allclose(np.stack([gti.start, gti.stop], 1), one["gti_s"], atol=5e-3)
                frames = hdus[f"EXPOSU{int(ccd):02d}"].data
                assert frames["TIMEDEL"].sum() == pytest.approx(one["ontime_s"], abs=0.05)
                assert not (frames["FLAG"] & RgsFlag.IN_BAD_FRAME).any()
    # RGS2 lost nothing, RGS1 of the late observation a gap in every CCD and one frame of CCD 3.
    late = exposures_of(simulated_gratings, LATE)["R1"]["ccds"]
    assert len(late["3"]["gti_s"]) == 3
    assert len(late["5"]["gti_s"]) == 2


def _expected_bad(name: str, ccds) -> dict[int, set[tuple[int, int]]]:
    """Bad pixels in the calibration, and those that only the data show."""
    known = {ccd: set() for ccd in ccds}
    for ccd, x, y, length, *_ in BAD_PIXELS[name]:
        if ccd in known:
            known[ccd] |= {(x, y + k) for k in range(length)}
    return known


@pytest.mark.parametrize("obs_id", [LATE, EARLY])
def test_bad_pixels_are_found_and_none_invented(grated, obs_id):
    invented = n_pixels = 0
    for instrument, _ in EXPOSURES:
        name = f"RGS{instrument[1]}"
        with fits.open(grated[obs_id].file(instrument, "EVENLI")) as hdus:
            ccds = [int(h.name[-2:]) for h in hdus if h.name.startswith("EXPOSU")]
            known = _expected_bad(name, ccds)
            for ccd in ccds:
                listed = {}
                for node in (0, 1):
                    for row in hdus[f"BADPIX{node}{ccd}"].data:
                        for k in range(row["YEXTENT"]):
                            listed[int(row["CHIPX"]), int(row["CHIPY"]) + k] = int(row["BADFLAG"])
                hot = {
                    (x, row)
                    for chip, x, y, _ in UNKNOWN_HOT[name]
                    if chip == ccd
                    for row in (range(1, 129) if y == 0 else [y])
                }
                assert {p for p, flag in listed.items() if flag < 3} == known[ccd]
                found = {p for p, flag in listed.items() if flag == 3}
                assert hot <= found
                invented += len(found - hot)
                n_pixels += 342 * 128
    # The documented test is one of 5 sigma against the least of four neighbours.
    assert invented == 0
    assert n_pixels > 600_000


@pytest.mark.parametrize("obs_id", [LATE, EARLY])
def test_nothing_rejected_is_left(grated, obs_id):
    for instrument, _ in EXPOSURES:
        with (
            fits.open(grated[obs_id].file(instrument, "EVENLI")) as hdus,
            fits.open(grated[obs_id].file(instrument, "merged")) as merged,
        ):
            mask = hdus["EVENTS"].header["REJFLAGS"]
            wanted = RgsFlag.BAD_SHAPE | RgsFlag.ON_NODE_INTERFACE | RgsFlag.ON_BADPIX
            wanted |= RgsFlag.NEXT_TO_BADPIX | RgsFlag.ON_WINDOW_BORDER | RgsFlag.BELOW_ACCEPTANCE
            assert mask == int(wanted)
            flag = hdus["EVENTS"].data["FLAG"]
            assert not (flag & (mask | RgsFlag.IN_BAD_FRAME)).any()
            assert (merged["EVENTS"].data["FLAG"] & RgsFlag.IN_BAD_FRAME).any()
            assert 0.3 < len(flag) / len(merged["EVENTS"].data) < 0.95


def test_columns_are_those_of_the_handbook(grated):
    """Data Files Handbook, table of the RGS event list; formats of evlistcomb in a real log."""
    with fits.open(grated[LATE].file("R1", "EVENLI")) as hdus:
        events = hdus["EVENTS"]
        assert events.columns.names == [
            "TIME",
            "FLAG",
            "BETA",
            "XDSP",
            "CHIPX",
            "CHIPY",
            "PHA",
            "SHAPE",
            "GRADE",
            "PI",
            "CCDNR",
            "BETA_CORR",
            "XDSP_CORR",
            "M_LAMBDA",
            "MLAMBDA_CHANNEL",
            "BETA_CHANNEL",
            "XDSP_CHANNEL",
        ]
        assert events.columns.formats[:10] == list("DJEEIIIBBI")
        names = "FRAME NLOSTEVT ABORTFLG FLAG TIMEDEL TIME FRACEXP0 FRACEXP1 ASPCDSP ASPCXDSP"
        assert " ".join(hdus["EXPOSU01"].columns.names) == names
        assert hdus["BADPIX01"].columns.names == ["CHIPX", "CHIPY", "YEXTENT", "TYPE", "BADFLAG"]
        assert hdus["REJPIX11"].columns.names == ["FRAME", "FLAG", "CHIPX", "CHIPY"]
        # The order of a real run.
        names = [h.name for h in hdus[2:8]]
        assert names == ["STDGTI01", "BADPIX01", "BADPIX11", "REJPIX01", "REJPIX11", "EXPOSU01"]
        header = events.header
        i = 1 + events.columns.names.index("MLAMBDA_CHANNEL")
        channel, value = events.data["MLAMBDA_CHANNEL"], events.data["M_LAMBDA"].astype(float)
        centre = header[f"TCRVL{i}"] + (channel - header[f"TCRPX{i}"]) * header[f"TCDLT{i}"]
        inside = channel > 0
        assert inside.mean() > 0.99
        assert np.abs(centre - value)[inside].max() < 0.5 * header[f"TCDLT{i}"] + 1e-5
        assert hdus["EXPOSU01"].header["OFFSCORR"] == "CCDNODE"


def test_mistakes_in_lists_are_found(grated, tmp_path):
    """daxa compare with lists of the RGS."""
    source = grated[LATE].file("R1", "EVENLI")
    found = compare_files(source, source)
    assert found.same
    assert {"M_LAMBDA", "XDSP_CORR", "PI", "TIME"} <= {line.name for line in found.lines}
    changes = {
        "times differ by +3.0 s": ("TIME", 3.0),
        "energies differ by +20 eV": ("PI", 20),
        "wavelengths differ by +0.050 Angstrom": ("M_LAMBDA", 0.05),
        "angles across the dispersion differ by +2.1 arcsec": ("XDSP_CORR", 1e-5),
        "CCD 4 missing in B": None,
    }
    for words, change in changes.items():
        with fits.open(source, memmap=False) as hdus:
            if change is None:
                hdus["EVENTS"].data = hdus["EVENTS"].data[hdus["EVENTS"].data["CCDNR"] != 4]
            else:
                hdus["EVENTS"].data[change[0]] += change[1]
            hdus.writeto(tmp_path / "b.fits", overwrite=True)
        assert compare_files(source, tmp_path / "b.fits").findings == [words]


def test_products_say_that_the_calibration_is_synthetic(grated):
    products = [p for run in grated.values() for p in run.folder.glob("P*.FIT")]
    assert len(products) > 8
    assert [p.name for p in products if fits.getheader(p).get("SYNTHCAL") is not True] == []


@pytest.mark.skipif(shutil.which("fitsverify") is None, reason="fitsverify is not installed")
def test_final_lists_are_sound_files(grated):
    paths = [run.file(instrument, "EVENLI") for run in grated.values() for instrument, _ in EXPOSURES]
    done = subprocess.run(["fitsverify", "-q", *paths], capture_output=True, text=True, check=False)
    verdicts = done.stdout.splitlines()
    assert len(verdicts) == len(paths)
    assert all(line.startswith("verification OK") for line in verdicts), done.stdout


def test_grid_and_keywords_of_a_real_spectrum(grated, shared_data):
    """Channels, line spacing and (to an offset) angle of incidence as in a pipeline product."""
    path = shared_data / "rgs_0112880201" / "P0112880201R1S004SRSPEC1003.FTZ"
    real = fits.getheader(path, "SPECTRUM")
    with fits.open(grated[LATE].file("R1", "EVENLI")) as hdus:
        ours = hdus["EVENTS"].header
        i = 1 + hdus["EVENTS"].columns.names.index("MLAMBDA_CHANNEL")
    for name in ("TCRPX", "TCRVL", "TCDLT", "TLMIN", "TLMAX"):
        assert ours[f"{name}{i}"] == pytest.approx(real[f"{name}1"], rel=1e-7)
    assert ours["LINE_SEP"] == pytest.approx(real["LINE_SEP"], rel=1e-7)
    # An arcminute is 0.00033 rad at the gratings.
    assert abs(ours["RGSALPHA"] - real["RGSALPHA"]) < 0.0005
    assert fits.getheader(grated[LATE].file("R1", "EVENLI"))["FILTER"] == fits.getheader(path)["FILTER"]


def test_exposure_maps(grated):
    """Seconds per channel: full on good pixels, none on the dead chip, bad columns taken out."""
    run = grated[LATE]
    with fits.open(run.file("R1", "EXPMAP")) as hdus:
        total, header = hdus[0].data.astype(float), hdus[0].header
    with fits.open(run.file("R1", "EVENLI")) as hdus:
        longest = max(h.header["ONTIME"] for h in hdus if h.name.startswith("STDGTI"))
        events = hdus["EVENTS"].data
        column = total[60:110].mean(axis=0)
        assert total.max() == pytest.approx(longest, rel=1e-4)
        assert header["DATAMAX"] == pytest.approx(longest, rel=1e-4)
        wavelength = header["CRVAL1"] + (np.arange(total.shape[1]) + 1 - header["CRPIX1"]) * header["CDELT1"]
        assert not column[(wavelength > 10.8) & (wavelength < 13.5)].any()
        # Each good event lies where there is exposure.
        seen = events["MLAMBDA_CHANNEL"] > 0
        exposure = total[events["XDSP_CHANNEL"][seen] - 1, events["MLAMBDA_CHANNEL"][seen] - 1]
        assert (exposure > 0).mean() > 0.995
        # The column of CCD 6 that is hot all along, and its neighbours, are out.
        node = hdus["EXPMAP16"]
        part = node.data[60:110].mean(axis=0) / node.header["EXPOSURE"]
        lost = np.sum(1 - part[5:-5]) * header["CDELT1"]
        assert lost == pytest.approx(3 * 0.0096, rel=0.2)


def test_run_again_from_the_final_list(grated, tmp_path):
    """Stage 3 without the merged list filters the final one again, to the same events."""
    import shutil

    run = grated[LATE]
    for path in run.folder.glob("P*R2S005*"):
        if "merged" not in path.name and "events" not in path.name:
            shutil.copy(path, tmp_path)
    before = fits.getdata(run.file("R2", "EVENLI"), "EVENTS")
    arguments = {"entrystage": "3:filter", "finalstage": "3:filter"}
    arguments |= {"withinstexpids": True, "instexpids": "R2S005"}
    with (tmp_path / "log").open("w") as log:
        run_task("rgsproc", arguments, cwd=tmp_path, env=run.env, out=log, err=log)
    after = fits.getdata(next(tmp_path.glob("P*R2S005EVENLI*")), "EVENTS")
    np.testing.assert_array_equal(after["TIME"], before["TIME"])
    np.testing.assert_array_equal(after["PI"], before["PI"])


@pytest.mark.slow
def test_full_input_buffer_counts_only_on_request(grated, simulated_gratings, tmp_path):
    odf, ccf = simulated_gratings.odf(LATE), simulated_gratings.ccf
    strict = reduce(
        odf, ccf, tmp_path, "RAF:AHF", withinstexpids=True, instexpids="R1S004", includeinputfifofull=False
    )
    first, second = (
        GTI.from_hdu(fits.open(r.file("R1", "EVENLI"))["STDGTI05"]).total for r in (grated[LATE], strict)
    )
    # 96 s of housekeeping, and the two frames that are half in it.
    assert 96 - 1 < first - second < 96 + 2 * 4.7


@pytest.mark.slow
def test_user_source_is_the_prime_source(grated, simulated_gratings, tmp_path):
    odf, ccf = simulated_gratings.odf(LATE), simulated_gratings.ccf
    with fits.open(grated[LATE].file("R2", "SRCLI_")) as hdus:
        ra, dec = hdus["SRCLIST"].header["SRA1"], hdus["SRCLIST"].header["SDEC1"]
    arguments = {"withsrc": True, "srcra": ra, "srcdec": dec + 10 / 3600, "srclabel": "mine"}
    run = reduce(odf, ccf, tmp_path, "RAF:AHF", withinstexpids=True, instexpids="R2S005", **arguments)
    header = fits.getheader(run.file("R2", "EVENLI"), "EVENTS")
    assert header["SOURCEID"] == 3
    lists = [fits.getdata(r.file("R2", "EVENLI"), "EVENTS") for r in (grated[LATE], run)]
    # The same input makes the same events; only what depends on the source differs.
    for name in ("TIME", "PI", "BETA", "XDSP", "FLAG"):
        np.testing.assert_array_equal(lists[0][name], lists[1][name])
    first, second = (events["M_LAMBDA"].astype(float) for events in lists)
    # 10 arcsec along the declination, at a position angle of 150 deg: 2.3 mA for an arcsecond.
    expected = 10 * 2.3e-3 * np.cos(np.deg2rad(150.4))
    assert np.mean(second - first) == pytest.approx(expected, rel=0.02)
    # The lists of the CCDs go by default.
    assert not list(run.folder.glob("*events*"))
    assert len(list(grated[LATE].folder.glob("*R2S005events?000.FIT"))) == 8


def test_what_does_not_work_says_so(grated, tmp_path):
    run: Grated = grated[LATE]
    for arguments, match in (
        ({}, "finalstage=5:fluxing: the embedded engine goes to 3:filter"),
        ({"finalstage": "3:filter", "withsunanglecorr": True}, "SAACORR"),
        ({"finalstage": "3:filter", "keepcool": False}, "keepcool=no"),
        ({"finalstage": "3:filter", "calcoffsets": True}, "calcoffsets=yes"),
    ):
        with pytest.raises(NotImplementedError, match=match):
            run_task("rgsproc", arguments, cwd=tmp_path, env=run.env)
    for arguments, match in (
        ({"entrystage": "3:filter", "finalstage": "1:events"}, "comes before"),
        (
            {"finalstage": "3:filter", "withinstexpids": True, "instexpids": "R1S009"},
            "no R1S009; the ODF has",
        ),
    ):
        with pytest.raises(TaskError, match=match):
            run_task("rgsproc", arguments, cwd=tmp_path, env=run.env)
