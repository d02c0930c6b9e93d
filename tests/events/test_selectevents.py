"""Selections of event lists: rows, good times, exposures."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from event_lists import acis_list, gti_table, write_list

from daxa.events import load, task_names
from daxa.events.__main__ import main
from daxa.xmm.errors import TaskError
from daxa.xmm.task import run_task

load("selectevents")


def select(folder, name="in.fits", **arguments):
    run_task("selectevents", {"table": name, "filteredset": "out.fits", **arguments}, cwd=folder)
    return fits.open(folder / "out.fits", checksum=True)


def test_rows_stay_as_they_are_and_times_are_cut(tmp_path):
    times = np.arange(0, 1000, 10.0)
    acis_list(tmp_path / "in.fits", times, gtis={7: [(0, 500), (600, 1000)], 3: [(0, 400)]})
    fits.HDUList([fits.PrimaryHDU(), gti_table([(100, 550), (650, 700)])]).writeto(tmp_path / "gti.fits")
    with fits.open(tmp_path / "in.fits") as old, select(tmp_path, gtifile="gti.fits") as new:
        inside = ((times >= 100) & (times < 550)) | ((times >= 650) & (times < 700))
        np.testing.assert_array_equal(new["EVENTS"].data["status"], old["EVENTS"].data["status"][inside])
        np.testing.assert_array_equal(new["EVENTS"].data["time"], times[inside])
        header = new["EVENTS"].header
        # Of CCD 7 there are 400 s and 50 s left, of CCD 3 300 s; CCD 7 is that of the aim point.
        assert [header[k] for k in ("ONTIME", "ONTIME7", "ONTIME3")] == [450, 450, 300]
        assert [header[k] for k in ("LIVETIME", "EXPOSURE", "LIVTIME3")] == pytest.approx([441, 441, 294])
        assert [(h.header["CCD_ID"], h.data["START"].tolist(), h.data["STOP"].tolist()) for h in new[2:]] == [
            (7, [100, 650], [500, 700]),
            (3, [100], [400]),
        ]


def test_the_ccd_of_good_times_may_be_in_their_name_only(tmp_path):
    path = acis_list(tmp_path / "in.fits", [1.0], gtis={7: [(0, 100)], 3: [(0, 60)]})
    with fits.open(path, mode="update") as file:
        for hdu in file[2:]:
            hdu.header["HDUNAME"] = f"GTI{hdu.header.pop('CCD_ID')}"
    fits.HDUList([fits.PrimaryHDU(), gti_table([(0, 50)])]).writeto(tmp_path / "gti.fits")
    with select(tmp_path, gtifile="gti.fits") as new:
        assert [new["EVENTS"].header[k] for k in ("ONTIME", "ONTIME7", "ONTIME3")] == [50, 50, 50]


def test_energies_leave_times_alone(tmp_path):
    energies = np.linspace(100, 9000, 90)
    acis_list(tmp_path / "in.fits", np.arange(90.0), energies)
    with select(tmp_path, ranges="energy:500:7000 CCD_ID:7:7]", values="ccd_id:3,7") as new:
        kept = new["EVENTS"].data["energy"]
        assert len(kept) == ((energies >= 500) & (energies < 7000)).sum()
        assert new["EVENTS"].header["ONTIME"] == 1000
        assert "kept energy 500 to 7000, CCD_ID 7 to 7, ccd_id 3, 7" in str(new["EVENTS"].header["HISTORY"])


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"ranges": "energy:500"}, "badRange"),
        ({"ranges": "energy:5e5e5:7"}, "badRange"),
        ({"ranges": "pha:1:2"}, "noColumn"),
        ({"values": "ccd_id:one"}, "badValues"),
        ({"gtifile": "bare.fits"}, "noGoodTimes"),
        ({"table": "gti.fits"}, "noEvents"),
        ({"table": "none.fits"}, "notFits"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, arguments, code):
    acis_list(tmp_path / "in.fits", np.arange(9.0))
    fits.HDUList([fits.PrimaryHDU(), gti_table([(0, 1)])]).writeto(tmp_path / "gti.fits")
    fits.PrimaryHDU().writeto(tmp_path / "bare.fits")
    with pytest.raises(TaskError) as caught:
        select(tmp_path, **arguments)
    assert caught.value.code == code
    assert not (tmp_path / "out.fits").exists()


def test_the_command_line(tmp_path, monkeypatch, capsys):
    write_list(
        tmp_path / "hrc.fits",
        {"TIME": ("1D", "s", [1.0, 2.0])},
        [gti_table([(0, 4)])],
        INSTRUME="HRC",
        ONTIME=4.0,
    )
    fits.HDUList([fits.PrimaryHDU(), gti_table([(8, 9)])]).writeto(tmp_path / "gti.fits")
    monkeypatch.chdir(tmp_path)
    assert main(["selectevents", "table=hrc.fits", "gtifile=gti.fits"]) == 0
    told = capsys.readouterr().err
    assert "warning (varyingDeadTime)" in told
    assert "warning (emptyList)" in told
    assert fits.getheader("filtered.fits", "EVENTS")["ONTIME"] == 0
    assert main(["selectevents", "table=hrc.fits", "gti=gti.fits"]) == 2
    assert main([]) == 2
    assert "selectevents" in capsys.readouterr().out
    assert "selectevents" in task_names()
