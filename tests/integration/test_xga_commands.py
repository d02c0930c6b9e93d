"""The command lines that XGA 1.0.0 gives to programs of SAS, done by tasks of these names, one after another.

A line on standard error that is not in SAS's form is an error to XGA; that a file is there
is its only sign of success.
"""

from __future__ import annotations

import re
import shlex

import numpy as np
import pytest
from astropy.io import fits

from daxa.backend.shims import write_shims
from daxa.xmm.__main__ import main

#: XGA takes any other line for the message of an error.
WARNING = re.compile(r"\*\* \w+(::\w+)*: warning \(\w+\), .+")
GRID = (
    "xcolumn=X ycolumn=Y ximagebinsize=87 yimagebinsize=87 squarepixels=yes ximagesize=512 yimagesize=512 "
    "imagebinning=binSize ximagemin=3649 ximagemax=48106 withxranges=yes yimagemin=3649 yimagemax=48106 "
    "withyranges=yes"
)
EXPRESSIONS = {
    "PN": "#XMMEA_EP && (PATTERN <= 4) && (FLAG .eq. 0)",
    "M1": "#XMMEA_EM && (PATTERN <= 12) && (FLAG .eq. 0)",
}


class Shell:
    """A folder in which command lines are done in this process."""

    def __init__(self, folder, capsys):
        self.folder, self.capsys = folder, capsys
        self.programs = {path.name for path in write_shims(folder / "bin").iterdir()}

    def __call__(self, line: str, *made: str) -> None:
        name, *words = shlex.split(line)
        assert name in self.programs
        for path in made:
            (self.folder / path).unlink(missing_ok=True)
        self.capsys.readouterr()
        status = main([name, *words])
        err = self.capsys.readouterr().err
        assert status == 0, err
        odd = [text for text in err.splitlines() if not WARNING.fullmatch(text) and "warn" not in text]
        assert odd == []
        assert [path for path in made if not (self.folder / path).is_file()] == []


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys, simulated):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAS_CCFPATH", str(simulated.ccf))
    monkeypatch.setenv("SAS_CCF", str(tmp_path / "ccf.cif"))
    run = Shell(tmp_path, capsys)
    run("cifbuild masterindex=yes calindexset=ccf.mif", "ccf.mif")
    assert "T" in fits.getheader("ccf.mif")["DATE"]
    run(
        "cifbuild calindexset=ccf.cif withobservationdate=yes observationdate=2016-11-13T03:26:49 "
        f"withmasterindexset=yes masterindexset={tmp_path}/ccf.mif",
        "ccf.cif",
    )
    return run


@pytest.fixture
def place(reduced):
    """X and Y of the brightest point source [0.05 arcsec]."""
    ra, dec, _ = reduced.sources()[0]
    header = fits.getheader(reduced.events("PN"), "EVENTS")
    at = np.radians(dec - header["REFYCRVL"]), np.radians(ra - header["REFXCRVL"]) * np.cos(np.radians(dec))
    y, x = (
        header[f"REF{axis}CRPX"] + np.degrees(angle) / header[f"REF{axis}CDLT"]
        for axis, angle in zip("YX", at, strict=True)
    )
    return f"{x:.4f},{y:.4f}"


def test_spectra_of_both_kinds(shell, reduced, place):
    events = {inst: reduced.events(inst) for inst in ("PN", "M1")}
    source = f"((X,Y) IN circle({place},600.0)) &&! ((X,Y) IN ellipse({place},9.0,7.0,30.0))"
    back = f"((X,Y) IN annulus({place},630.0,900.0))"
    for inst, other, last, kind, extended in (
        ("PN", "M1", 20479, "flat", "no"), ("M1", "PN", 11999, "dataset", "yes"),
    ):  # fmt: skip
        grouping = "mincounts=5" if inst == "PN" else "minSN=3.0 oversample=3"
        for name, region in (("s", source), ("b", back)):
            shell(
                f"evselect table={events[inst]} withspectrumset=yes spectrumset={name}.fits energycolumn=PI "
                f"spectralbinsize=5 withspecranges=yes specchannelmin=0 specchannelmax={last} "
                f"expression='{EXPRESSIONS[inst]} && {region}'",
                f"{name}.fits",
            )
        shell(
            f"evselect table={events[other]} imageset=map.fits xcolumn=DETX ycolumn=DETY "
            f"imagebinning=binSize ximagebinsize=100 yimagebinsize=100 expression='{EXPRESSIONS[other]}'",
            "map.fits",
        )
        shell(
            f"rmfgen rmfset=r.rmf spectrumset='s.fits' detmaptype={kind} detmaparray=map.fits "
            f"extendedsource={extended}",
            "r.rmf",
        )
        shell(
            "arfgen spectrumset=s.fits arfset=a.arf withrmfset=yes rmfset=r.rmf "
            f"badpixlocation={events[inst]} extendedsource={extended} detmaptype={kind} detmaparray=map.fits "
            f"setbackscale=no "
            f"badpixmaptype={kind}",
            "a.arf",
        )
        for name in "sb":
            shell(f"backscale spectrumset={name}.fits badpixlocation={events[inst]}")
        shell(
            "specgroup spectrumset=s.fits overwrite=yes backgndset=b.fits arfset=a.arf rmfset=r.rmf "
            f"addfilenames=no {grouping}"
        )
        check(last)


def check(last: int) -> None:
    """What XGA reads of a spectrum and its responses."""
    with fits.open("s.fits") as source, fits.open("b.fits") as back:
        table = source["SPECTRUM"]
        assert len(table.data) == (last + 1) // 5
        assert {"CHANNEL", "COUNTS", "GROUPING", "QUALITY"} <= set(table.columns.names)
        assert table.header["EXPOSURE"] > 0
        assert table.header["AREASCAL"] == 1
        areas = [hdus["SPECTRUM"].header["BACKSCAL"] for hdus in (source, back)]
        assert areas[0] == pytest.approx(np.pi * 600**2, rel=0.1)
        assert 0.5 < areas[1] / (np.pi * (900**2 - 630**2)) < 1.01
        grouped = table.data["COUNTS"][table.data["QUALITY"] == 0]
        assert grouped.sum() > 200
    with fits.open("r.rmf") as matrix, fits.open("a.arf") as area:
        assert {"CHANNEL", "E_MIN", "E_MAX"} <= set(matrix["EBOUNDS"].columns.names)
        assert len(matrix["MATRIX"].data) == len(area[1].data)
        assert area[1].data["SPECRESP"].max() > 50


def test_images_light_curves_and_mosaics(shell, reduced, place):
    events = {inst: reduced.events(inst) for inst in ("PN", "M1")}
    for inst, table in events.items():
        shell(
            f"evselect table={table} imageset={inst}.fits {GRID} expression='(PI in [500:2000])'",
            f"{inst}.fits",
        )
    attitude = next(reduced.folder.glob("*ATTTSR0000.FIT"))
    shell(
        f"eexpmap eventset={events['M1']} imageset=M1.fits expimageset=exp.fits withdetcoords=no "
        f"withvignetting=yes attitudeset={attitude} pimin=500 pimax=2000",
        "exp.fits",
    )
    shell("emosaic imagesets='PN.fits M1.fits' mosaicedset=all.fits", "all.fits")
    total = fits.getdata("all.fits")
    assert total.sum() == fits.getdata("PN.fits").sum() + fits.getdata("M1.fits").sum()
    for name, region in (("lc", f"circle({place},600.0)"), ("blc", f"annulus({place},630.0,900.0)")):
        shell(
            f"evselect table={events['PN']} withrateset=yes rateset={name}.fits energycolumn=PI "
            f"timebinsize=100 maketimecolumn=yes makeratecolumn=yes expression='{EXPRESSIONS['PN']} "
            "&& (PI in [500:2000]) && "
            f"((X,Y) IN {region})'",
            f"{name}.fits",
        )
    assert fits.getdata("lc.fits", "RATE")["RATE"].max() > 0
    shell(
        f"epiclccorr srctslist=lc.fits eventlist={events['PN']} outset=clc.fits bkgtslist=blc.fits "
        "withbkgset=yes applyabsolutecorrections=yes",
        "clc.fits",
    )
    with fits.open("clc.fits") as curve:
        rate = curve["RATE"]
        assert {"TIME", "RATE", "ERROR", "FRACEXP"} <= set(rate.columns.names)
        assert {"TSTART", "TSTOP", "TIMESYS", "TASSIGN"} <= set(rate.header)
        assert "MJDREF" in rate.header or {"MJDREFI", "MJDREFF"} <= set(rate.header)
        assert np.nanmean(rate.data["RATE"]) > 0
        for name in ("SRC_GTIS", "BKG_GTIS"):
            assert curve[name].data["STOP"].sum() > curve[name].data["START"].sum()
    ra, dec, _ = reduced.sources()[0]
    shell(
        f"psfgen image=PN.fits coordtype=EQPOS level=ELLBETA energy=1000 xsize=400 ysize=400 x={ra} y={dec} "
        "output=psf.fits",
        "psf.fits",
    )
    with fits.open("psf.fits") as psf:
        assert (psf[0].header["CRVAL1"], psf[0].header["CRVAL2"]) == pytest.approx((ra, dec))
        assert psf[0].data.shape == (400, 400)
