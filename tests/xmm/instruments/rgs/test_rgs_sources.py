"""Reference attitude, source lists and angles: made-up attitudes, changed lists, damaged inputs."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.rgs import RgsFlag
from daxa.xmm.instruments.rgs.angles import Grid, channel_grids
from daxa.xmm.instruments.rgs.attfilter import circular_median, filter_attitude
from daxa.xmm.instruments.rgs.expmap import drift_groups
from daxa.xmm.instruments.rgs.filter import keep_frames, rejection_mask
from daxa.xmm.instruments.rgs.options import Rgsangles
from daxa.xmm.task import run_task

LATE = "0800030101"


def run(task, folder, env, **arguments):
    with (folder / "log").open("a") as log:
        run_task(task, arguments, cwd=folder, env=env, out=log, err=log)


def test_median_of_angles_across_zero():
    assert circular_median([359.0, 1.0, 0.5]) == pytest.approx(0.5)
    assert circular_median([10.0, 20.0, 40.0]) == pytest.approx(20.0)


def test_times_near_the_median_pointing():
    time = np.arange(0.0, 1000.0)
    dec = np.where((time >= 300) & (time < 320), 10.2, 10.0)
    ra, pa = np.full(1000, 359.9999), np.full(1000, 120.0)
    dec[500] = np.nan
    found = filter_attitude(time, ra, dec, pa, 100.0, 899.0, np.deg2rad(5 / 60))
    assert (found.ra_deg, found.dec_deg, found.pa_deg) == pytest.approx((359.9999, 10.0, 120.0))
    np.testing.assert_allclose(found.gti.start, [99.5, 319.5, 500.5])
    np.testing.assert_allclose(found.gti.stop, [299.5, 499.5, 899.5])
    wide = filter_attitude(time, ra, dec, pa, 100.0, 899.0, np.deg2rad(0.3))
    assert wide.gti.total == pytest.approx(799.0)
    with pytest.raises(TaskError, match="no attitude between"):
        filter_attitude(time, ra, dec, pa, 2000.0, 2100.0, 1.0)


def test_reference_pointing_is_what_the_history_says(grated, simulated_gratings):
    truth = simulated_gratings.truth(LATE)["pointing_deg"]
    header = fits.getheader(grated[LATE].file("R1", "attgti"), "STDGTI")
    assert [header[f"MEDI_{k}"] for k in ("RA", "DEC", "APA")] == pytest.approx(truth, abs=1e-6)


def test_change_a_source_list(grated, tmp_path):
    run_ = grated[LATE]
    shutil.copy(run_.file("R1", "SRCLI_"), tmp_path / "list.ds")
    given = {"srclist": "list.ds", "addusersource": True, "positionstyle": "wrtatt"}
    run("rgssources", tmp_path, run_.env, **given, label="far", deltadisp=3.0, deltaxdsp=-1.0, rate=0.5)
    with fits.open(tmp_path / "list.ds") as hdus:
        rows, header = hdus["SRCLIST"].data, hdus["SRCLIST"].header
        assert rows["LABEL"].tolist() == ["PROPOSAL", "ONAXIS", "FAR"]
        assert rows["INDEX"].tolist() == [1, 2, 3]
        assert rows["FIXED_ON_SKY"].tolist() == [True, False, False]
        assert header["PRIMESRC"] == 1
        far = rows[2]
        # Manual: from the negative dispersion axis towards the positive cross-dispersion axis.
        assert far["FOV_R"] * 60 == pytest.approx(np.hypot(3, 1), rel=1e-6)
        assert far["FOV_PHI"] == pytest.approx(np.rad2deg(np.arctan2(-1, -3)), abs=1e-4)
        # Away from the position angle on the sky: 3 arcmin along the dispersion.
        step = (
            np.hypot((far["RA"] - rows["RA"][1]) * np.cos(np.deg2rad(-11)), far["DEC"] - rows["DEC"][1]) * 60
        )
        assert step == pytest.approx(np.hypot(3, 1), rel=2e-3)
    run(
        "rgssources",
        tmp_path,
        run_.env,
        srclist="list.ds",
        changeprime=True,
        primestyle="label",
        primelabel="far",
    )
    assert fits.getheader(tmp_path / "list.ds", "SRCLIST")["PRIMESRC"] == 3
    # Offsets of the axis stay when the attitude changes, its position does not.
    user = {"attstyle": "user", "attra": 149.0, "attdec": -11.0, "attapos": 90.0}
    run("rgssources", tmp_path, run_.env, srclist="list.ds", changeattitude=True, **user)
    with fits.open(tmp_path / "list.ds") as hdus:
        changed = hdus["SRCLIST"].data
        assert changed["DELTA_DISP"][2] == pytest.approx(3.0)
        assert abs(changed["RA"][1] - 149.0) < 0.05
        assert abs(changed["DELTA_DISP"][0]) > 30
    for arguments, match in (
        ({"addusersource": True, "label": "far", "ra": 1.0, "dec": 1.0}, "expected a new name"),
        (
            {"changeprime": True, "primestyle": "index", "primeindex": 9},
            "no source 9; the list has 1 PROPOSAL",
        ),
    ):
        with pytest.raises(TaskError, match=match):
            run("rgssources", tmp_path, run_.env, srclist="list.ds", **arguments)
    with pytest.raises(NotImplementedError, match="withepicset=yes"):
        run("rgssources", tmp_path, run_.env, srclist="list.ds", withepicset=True)


def test_a_source_out_of_the_field_gives_way_to_the_axis(grated, tmp_path):
    """Across the dispersion the chips reach 2.5 arcmin."""
    user = {"attstyle": "user", "attra": 149.6, "attdec": -11.5, "attapos": 90.0}
    run(
        "rgssources", tmp_path, grated[LATE].env,
        filemode="create", srclist="new.ds", instexpid="R2S005", **user,
    )  # fmt: skip
    assert fits.getheader(tmp_path / "new.ds", "SRCLIST")["PRIMESRC"] == 2


def test_channels_of_a_grid():
    grid = Grid(4.005, 0.01, 3600)
    assert grid.channel([4.0001, 4.0099, 4.0101, 39.9999, 40.001, 3.99, np.nan]).tolist() == [
        1, 1, 2, 3600, 0, 0, 0,
    ]  # fmt: skip
    assert grid.centre([1, 3600]) == pytest.approx([4.005, 39.995])


def test_whole_frames_only():
    from daxa.xmm.event.gti import GTI

    time = np.array([2.5, 7.5, 12.5, 17.5])
    kept = keep_frames(time, np.full(4, 5.0), [True, True, False, True], GTI([0.0, 15.0], [9.0, 20.0]))
    assert kept.tolist() == [True, False, False, True]
    assert not keep_frames(time, np.full(4, 5.0), np.ones(4, bool), GTI()).any()


def test_flags_to_reject():
    assert rejection_mask(["ON_BADPIX", "BAD_SHAPE"]) == int(RgsFlag.ON_BADPIX | RgsFlag.BAD_SHAPE)
    with pytest.raises(TaskError, match="'IN_BAD_FRAME' is not one of BAD_SHAPE"):
        rejection_mask(["IN_BAD_FRAME"])


def test_frames_that_drifted_alike():
    arcsec = np.deg2rad(1 / 3600)
    group = drift_groups(
        np.array([0.1, 0.9, 1.1, 0.2]) * arcsec, np.array([0.1, 0.2, 0.1, 5.1]) * arcsec, 1.0
    )
    assert group[0] == group[1]
    assert len(set(group.tolist())) == 3


def test_damaged_inputs_are_named(grated, simulated_gratings, tmp_path):
    run_ = grated[LATE]
    odf = shutil.copytree(simulated_gratings.odf(LATE), tmp_path / "odf")
    env = {**run_.env, "SAS_ODF": str(odf)}
    science = next(odf.glob("*R2S00506SPE.FIT"))
    auxiliary = next(odf.glob("*R2S00500AUX.FIT"))
    with fits.open(auxiliary, mode="update") as hdus:
        hdus[2].data["CCDID"][hdus[2].data["CCDID"] == 6] = 4
    with pytest.raises(TaskError, match=r"R2S00500AUX.FIT\[R2AUX2\]: no row of CCD 6"):
        run("rgsframes", tmp_path, env, set=str(science), instrument="rgs2")
    other = odf / science.name.replace("SPE", "HTE")
    shutil.copy(science, other)
    with pytest.raises(NotImplementedError, match="high-time-resolution"):
        run("rgsframes", tmp_path, env, set=str(other), instrument="rgs2")
    with pytest.raises(TaskError, match="not the name of an event file of the RGS"):
        run("rgsframes", tmp_path, env, set="events.fits")
    with pytest.raises(TaskError, match=r"absent.ds: cannot be read"):
        run("rgsenergy", tmp_path, env, ccdset="absent.ds")
    shutil.copy(run_.file("R2", "events", "6000"), tmp_path / "ccd.ds")
    with fits.open(tmp_path / "ccd.ds", mode="update") as hdus:
        del hdus["BADPIX1"]
    with pytest.raises(TaskError, match="ccd.ds: no table BADPIX1"):
        run("rgsevents", tmp_path, env, ccdset="ccd.ds")
    # A chain goes on with the other CCDs.
    shutil.copy(next(run_.folder.glob("*ATTTSR*")), tmp_path)
    run(
        "rgsproc", tmp_path, env,
        finalstage="1:events", withinstexpids=True, instexpids="R2S005",
    )  # fmt: skip
    with fits.open(next(tmp_path.glob("P*R2S005merged*"))) as hdus:
        assert set(np.unique(hdus["EVENTS"].data["CCDNR"]).tolist()) == {1, 2, 3, 5, 7, 8, 9}
    assert "missingCCDinAUX2" in (tmp_path / "log").read_text()


def test_channels_by_first_and_width_or_by_the_ends_of_their_range():
    grids = channel_grids(Rgsangles())
    assert [(of, unit) for of, unit, _ in grids.values()] == [
        ("M_LAMBDA", "Angstrom"), ("BETA_CORR", "rad"), ("XDSP_CORR", "rad"),
    ]  # fmt: skip
    assert grids["BETA_CHANNEL"][2] == Grid(0.03578524, 1.208e-05, 3400)
    by_count = Rgsangles(betabinning="binCount", betamin=0.03, betamax=0.08, nbetabins=5)
    grid = channel_grids(by_count)["BETA_CHANNEL"][2]
    assert (grid.first, grid.width, grid.n) == pytest.approx((0.035, 0.01, 5))
    assert channel_grids(by_count)["XDSP_CHANNEL"][2].width == 1.08e-05
    with pytest.raises(TaskError, match="xdispmax=-1 is not above xdispmin=0"):
        channel_grids(Rgsangles(xdispbinning="binCount", xdispmin=0, xdispmax=-1))
