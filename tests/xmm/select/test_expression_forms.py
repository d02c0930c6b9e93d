"""Expressions in the forms that scripts use: counts are those of NumPy, or a caret shows what is wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from small_lists import DEC, RA, event_columns, make_list

from daxa.xmm.fits.file import FitsFile
from daxa.xmm.select.blocks import Files, SelectionError
from daxa.xmm.select.expression import compile

# What NumPy is asked stands beside each expression, in its own language.
FLAGS = [
    ("#XMMEA_EM", "(FLAG & 0x766ba000) == 0"),
    ("#XMMEA_EM && (PI > 150)", "((FLAG & 0x766ba000) == 0) & (PI > 150)"),
    ("(PATTERN <= 12)&&(PI in [200:12000])&&#XMMEA_EM",
     "(PATTERN <= 12) & (PI >= 200) & (PI <= 12000) & ((FLAG & 0x766ba000) == 0)"),
    ("FLAG==0", "FLAG == 0"),
    ("FLAG == 0 && PATTERN == 0", "(FLAG == 0) & (PATTERN == 0)"),
    ("(FLAG .eq. 0)", "FLAG == 0"),
    ("(FLAG .EQ. 0).AND.(PATTERN .LE. 4)", "(FLAG == 0) & (PATTERN <= 4)"),
    ("(FLAG & 0x10000) == 0", "(FLAG & 0x10000) == 0"),
    ("(FLAG & 0x10000) != 0", "(FLAG & 0x10000) != 0"),
    ("(FLAG&0x762a097c)==0", "(FLAG & 0x762a097c) == 0"),
    ("(FLAG & 0x766a0f63)==0", "(FLAG & 0x766a0f63) == 0"),
    ("(FLAG & 0x2fb0808) == 0", "(FLAG & 0x2fb0808) == 0"),
    ("FLAG & 0x8", "(FLAG & 8) != 0"),
    ("!(FLAG & 0x8)", "(FLAG & 8) == 0"),
    ("(FLAG & 0X400) == 0X400", "(FLAG & 0x400) == 0x400"),
    ("FLAG & b1000 != 0", "(FLAG & 8) != 0"),
    ("(FLAG & 65536) == 65536 || FLAG == 0", "((FLAG & 65536) == 65536) | (FLAG == 0)"),
    ("(FLAG | 0x8) == 0x8", "(FLAG | 8) == 8"),
    ("((FLAG & 0x10000) == 0) && ((FLAG & 0x400) == 0)", "((FLAG & 0x10000) == 0) & ((FLAG & 0x400) == 0)"),
    ("FLAG < 65536", "FLAG < 65536"),
    ("FLAG == 0x10000 .OR. FLAG .EQ. 0", "(FLAG == 0x10000) | (FLAG == 0)"),
    ("!(FLAG==0)", "FLAG != 0"),
    (".NOT.(FLAG.EQ.0)", "FLAG != 0"),
    ("FLAG in [0:8]", "(FLAG >= 0) & (FLAG <= 8)"),
]  # fmt: skip
ENERGIES = [
    ("PI>300", "PI > 300"),
    ("PI >= 300.0", "PI >= 300"),
    ("PI>10000&&PI<12000", "(PI > 10000) & (PI < 12000)"),
    ("(PI>10000)&&(PI<12000)&&(PATTERN==0)", "(PI > 10000) & (PI < 12000) & (PATTERN == 0)"),
    ("PI in [500:2000]", "(PI >= 500) & (PI <= 2000)"),
    ("PI IN [500:2000]", "(PI >= 500) & (PI <= 2000)"),
    ("PI in[500:2000]", "(PI >= 500) & (PI <= 2000)"),
    ("(PI IN [300 :10000 ])", "(PI >= 300) & (PI <= 10000)"),
    ("PI in (500:2000)", "(PI > 500) & (PI < 2000)"),
    ("PI in (500:2000]", "(PI > 500) & (PI <= 2000)"),
    ("PI in [500:2000)", "(PI >= 500) & (PI < 2000)"),
    ("PI in [500:]", "PI >= 500"),
    ("PI in (500:)", "PI > 500"),
    ("PI in [:2000]", "PI <= 2000"),
    ("PI in [:]", "PI == PI"),
    ("PI in 500:2000", "(PI >= 500) & (PI <= 2000)"),
    ("PI in :2000", "PI <= 2000"),
    ("PI in [200:500],[1000:2000]", "((PI >= 200) & (PI <= 500)) | ((PI >= 1000) & (PI <= 2000))"),
    ("PI in 200:500,1000:2000", "((PI >= 200) & (PI <= 500)) | ((PI >= 1000) & (PI <= 2000))"),
    ("PI in [200:500] || PI in [1000:2000]", "((PI >= 200) & (PI <= 500)) | ((PI >= 1000) & (PI <= 2000))"),
    ("!(PI in [200:500])", "(PI < 200) | (PI > 500)"),
    ("(PI in [500:1350]) || (PI in [1900:6600])",
     "((PI >= 500) & (PI <= 1350)) | ((PI >= 1900) & (PI <= 6600))"),
    ("PI.GT.500.AND.PI.LT.2000", "(PI > 500) & (PI < 2000)"),
    ("PI .ge. 500 .and. .not. (PI .gt. 2000)", "(PI >= 500) & (PI <= 2000)"),
    ("PI != 500", "PI != 500"),
    ("PI .NE. 500", "PI != 500"),
    ("(PI > 5e2) && (PI < 2.E3)", "(PI > 500) & (PI < 2000)"),
    ("PI > 5.D2 && PI < 2d+3", "(PI > 500) & (PI < 2000)"),
    ("PI > +500", "PI > 500"),
    ("PI > -1", "PI > -1"),
    ("500 < PI", "PI > 500"),
    ("500 <= PI && 2000 >= PI", "(PI >= 500) & (PI <= 2000)"),
    ("PI > 0.5*1000", "PI > 500"),
    ("PI < 10**3", "PI < 1000"),
    ("PHA > 100 && PHA < 1000", "(PHA > 100) & (PHA < 1000)"),
    ("PI-PHA > 100", "PI.astype(int) - PHA > 100"),
    ("PI/PHA > 5", "np.divide(PI, PHA, dtype=float) > 5"),
    ("PI/1000 == 1", "PI == 1000"),
    ("PI % 2 == 0", "PI % 2 == 0"),
    ("mod(PI,5) == 0", "PI % 5 == 0"),
    ("sqrt(PI) > 50", "np.sqrt(PI) > 50"),
    ("log10(PI) > 3.5", "np.log10(np.maximum(PI, 1)) > 3.5"),
    ("abs(PI-6400) < 200", "abs(PI.astype(int) - 6400) < 200"),
    ("near(PI, 6400, 0.01)", "abs(PI - 6400.0) <= 0.01 * PI"),
    ("min(PI,PHA) > 1000", "np.minimum(PI, PHA) > 1000"),
    ("max(PI,PHA) < 1000", "np.maximum(PI, PHA) < 1000"),
    ("ifthenelse(PATTERN==0,PI,PHA) > 2000", "np.where(PATTERN == 0, PI, PHA) > 2000"),
    ("pi in [500:2000]", "(PI >= 500) & (PI <= 2000)"),
    ("PI > 500\n&& PI < 2000", "(PI > 500) & (PI < 2000)"),
    ("  PI>500  ", "PI > 500"),
]  # fmt: skip
PATTERNS = [
    ("PATTERN<=12", "PATTERN <= 12"),
    ("PATTERN==0", "PATTERN == 0"),
    ("PATTERN in [1:4]", "(PATTERN >= 1) & (PATTERN <= 4)"),
    ("PATTERN.LE.4", "PATTERN <= 4"),
    ("PATTERN in [0:0]", "PATTERN == 0"),
    ("PATTERN in 0,3,5:8", "(PATTERN == 0) | (PATTERN == 3) | ((PATTERN >= 5) & (PATTERN <= 8))"),
    ("(PATTERN==0)||(PATTERN==3)", "(PATTERN == 0) | (PATTERN == 3)"),
    ("PATTERN>=1&&PATTERN<=4&&FLAG==0", "(PATTERN >= 1) & (PATTERN <= 4) & (FLAG == 0)"),
    ("CCDNR==1", "CCDNR == 1"),
    ("(CCDNR == 2)||(CCDNR == 3)||(CCDNR == 7)", "np.isin(CCDNR, [2, 3, 7])"),
    ("CCDNR in [2:5]", "(CCDNR >= 2) & (CCDNR <= 5)"),
    ("CCDNR in 1,4,7", "np.isin(CCDNR, [1, 4, 7])"),
    ("CCDNR != 5", "CCDNR != 5"),
    ("!(CCDNR==5)&&!(CCDNR==4)", "~np.isin(CCDNR, [4, 5])"),
    ("RAWX in [27:47]", "(RAWX >= 27) & (RAWX <= 47)"),
    ("(RAWX>=27)&&(RAWX<=47)&&(RAWY>100)", "(RAWX >= 27) & (RAWX <= 47) & (RAWY > 100)"),
    ("RAWY > 12 && FLAG == 0", "(RAWY > 12) & (FLAG == 0)"),
    ("!(CCDNR==2&&RAWX==300)", "~((CCDNR == 2) & (RAWX == 300))"),
    ("!(CCDNR==2&&RAWX in [300:320])", "~((CCDNR == 2) & (RAWX >= 300) & (RAWX <= 320))"),
    ("((CCDNR==1)&&(RAWX<300))||((CCDNR==4)&&(RAWY>300))",
     "((CCDNR == 1) & (RAWX < 300)) | ((CCDNR == 4) & (RAWY > 300))"),
    ("RAWX+RAWY < 300", "RAWX + RAWY < 300"),
    ("#ROW<=100", "ROW <= 100"),
    ("#ROW in [101:200]", "(ROW >= 101) & (ROW <= 200)"),
    ("#ROW % 10 == 0", "ROW % 10 == 0"),
    ("true", "PI == PI"),
    ("TRUE", "PI == PI"),
    ("", "PI == PI"),
    ("false", "PI != PI"),
    ("true && PI>500", "PI > 500"),
]  # fmt: skip
TIMES = [
    ("TIME in [1100:1500]", "(TIME >= 1100) & (TIME <= 1500)"),
    ("TIME >= 1100.5 && TIME < 1500.25", "(TIME >= 1100.5) & (TIME < 1500.25)"),
    ("(TIME > 1.1e3) && (TIME < 1.5D3)", "(TIME > 1100) & (TIME < 1500)"),
    ("TIME in [1100:1200] || TIME in [1300:1400]",
     "((TIME >= 1100) & (TIME <= 1200)) | ((TIME >= 1300) & (TIME <= 1400))"),
    ("!(TIME in [1100:1200])", "(TIME < 1100) | (TIME > 1200)"),
    ("(TIME <= 1200) || !(TIME <= 1300)", "(TIME <= 1200) | (TIME > 1300)"),
    ("gti(gti.fits,TIME)", "gti"),
    ("GTI(gti.fits,TIME)", "gti"),
    ("gti(gti.fits, TIME)", "gti"),
    ("gti('gti.fits',TIME)", "gti"),
    ("gti(gti.fits:STDGTI,TIME)", "gti"),
    ("gti(gti.fits[STDGTI],TIME)", "gti"),
    ("gti(gti.fits+1,TIME)", "gti"),
    ("TIME in gti(gti.fits)", "gti"),
    ("!gti(gti.fits,TIME)", "~gti"),
    ("gti(gti.fits,TIME)&&(PI>500)&&#XMMEA_EM", "gti & (PI > 500) & ((FLAG & 0x766ba000) == 0)"),
    ("((CCDNR==1)&&gti(gti.fits,TIME))||(CCDNR==2)", "((CCDNR == 1) & gti) | (CCDNR == 2)"),
    ("gti(:STDGTI03,TIME)", "TIME >= 1000.3"),
    ("gti(gti.fits,TIME) && TIME < 1250", "gti & (TIME < 1250)"),
    ("(TIME-1000)/100 > 5", "(TIME - 1000) / 100 > 5"),
    ("mod(TIME-1000,100) < 50", "(TIME - 1000) % 100 < 50"),
    ("floor((TIME-1000)/2.6) % 2 == 0", "np.floor((TIME - 1000) / 2.6) % 2 == 0"),
]  # fmt: skip
REGIONS = [
    ("((X,Y) IN circle(25921,25921,6000))", "circle(X, Y, 25921, 25921, 6000)"),
    ("(X,Y) in CIRCLE(25921,25921,6000)", "circle(X, Y, 25921, 25921, 6000)"),
    ("(X,Y)IN circle(25921.5,25921.5,6000.25)", "circle(X, Y, 25921.5, 25921.5, 6000.25)"),
    ("circle(25921,25921,6000,X,Y)", "circle(X, Y, 25921, 25921, 6000)"),
    ("(X,Y) IN circle(2.5921e4,2.5921E4,6.D3)", "circle(X, Y, 25921, 25921, 6000)"),
    ("(X,Y) IN circle (25921 , 25921 , 6000)", "circle(X, Y, 25921, 25921, 6000)"),
    ("!((X,Y) IN circle(25921,25921,6000))", "~circle(X, Y, 25921, 25921, 6000)"),
    ("((X,Y) IN circle(25921,25921,20000))&&!((X,Y) IN circle(25921,25921,6000))",
     "circle(X, Y, 25921, 25921, 20000) & ~circle(X, Y, 25921, 25921, 6000)"),
    ("((X,Y) IN circle(20000,20000,6000))||((X,Y) IN circle(30000,30000,6000))",
     "circle(X, Y, 20000, 20000, 6000) | circle(X, Y, 30000, 30000, 6000)"),
    ("(X,Y) IN annulus(25921,25921,6000,12000)", "annulus(X, Y, 25921, 25921, 6000, 12000)"),
    ("(X,Y) IN ring(25921,25921,6000,12000)", "annulus(X, Y, 25921, 25921, 6000, 12000)"),
    ("((X,Y) in ANNULUS(25921,25921,6000,12000)) && !((X,Y) in circle(32000,25921,2000))",
     "annulus(X, Y, 25921, 25921, 6000, 12000) & ~circle(X, Y, 32000, 25921, 2000)"),
    ("(X,Y) IN box(25921,25921,6000,3000,0)", "box(X, Y, 25921, 25921, 6000, 3000)"),
    ("(X,Y) IN box(25921,25921,6000,3000)", "box(X, Y, 25921, 25921, 6000, 3000)"),
    ("(X,Y) IN box(25921,25921,6000,3000,90)", "box(X, Y, 25921, 25921, 3000, 6000)"),
    ("(X,Y) IN box(25921,25921,6000,3000,30)", "box(X, Y, 25921, 25921, 6000, 3000, 30)"),
    ("(X,Y) IN ellipse(25921,25921,9000,4000,30)", "ellipse(X, Y, 25921, 25921, 9000, 4000, 30)"),
    ("(X,Y) IN ellipse(25921,25921,9000,4000)", "ellipse(X, Y, 25921, 25921, 9000, 4000)"),
    ("(X,Y) IN rectangle(20000,21000,30000,33000)", "box(X, Y, 25000, 27000, 5000, 6000)"),
    ("(X,Y) IN polygon(10000,10000,40000,10000,40000,30000,10000,30000)",
     "box(X, Y, 25000, 20000, 15000, 10000)"),
    ("(X,Y) IN polygon(10000,10000,40000,10000,40000,30000,10000,30000,10000,10000)",
     "box(X, Y, 25000, 20000, 15000, 10000)"),
    ("(X,Y) IN diamond(25921,25921,9000,9000)", "abs(X - 25921.) + abs(Y - 25921.) <= 9000"),
    ("(X,Y) IN sector(25921,25921,0,90)", "(X >= 25921) & (Y >= 25921) & ((X > 25921) | (Y >= 25921))"),
    ("(DETX,DETY) in circle(-217,3,14500)", "circle(DETX, DETY, -217, 3, 14500)"),
    ("(DETX,DETY) IN box(8300,-1000,3000,6000,0)", "box(DETX, DETY, 8300, -1000, 3000, 6000)"),
    ("((DETX,DETY) IN circle(0,0,15000))&&!((DETX,DETY) IN circle(3000,3000,1000))",
     "circle(DETX, DETY, 0, 0, 15000) & ~circle(DETX, DETY, 3000, 3000, 1000)"),
    ("(FLAG & 0x766ba000)==0 && ((DETX,DETY) IN box(0,0,9000,9000,0))",
     "((FLAG & 0x766ba000) == 0) & box(DETX, DETY, 0, 0, 9000, 9000)"),
    ("(RAWX,RAWY) in box(300,300,100,50,0)", "box(RAWX, RAWY, 300, 300, 100, 50)"),
    ("(RAWX,RAWY) IN circle(300,300,100)", "circle(RAWX, RAWY, 300, 300, 100)"),
    ("(RA,DEC) IN circle(149.5917,-11.0642,0.1)", "sky(149.5917, -11.0642) <= 0.1"),
    ("(RA,DEC) IN annulus(149.5917,-11.0642,0.05,0.15)",
     "(sky(149.5917, -11.0642) >= 0.05) & (sky(149.5917, -11.0642) <= 0.15)"),
    ("!((RA,DEC) IN circle(149.6,-11.1,0.1))", "sky(149.6, -11.1) > 0.1"),
    ("(X-25921)**2+(Y-25921)**2 < 6000**2", "np.hypot(X - 25921., Y - 25921.) < 6000"),
    ("sqrt((X-25921)**2+(Y-25921)**2) <= 6000", "circle(X, Y, 25921, 25921, 6000)"),
    ("hypot(X-25921,Y-25921) <= 6000", "circle(X, Y, 25921, 25921, 6000)"),
    ("region(reg.fits,X,Y)", "circle(X, Y, 20000, 20000, 6000) | box(X, Y, 35000, 35000, 4000, 2000)"),
    ("region(reg.fits:REGION,X,Y) && PI>500",
     "(circle(X, Y, 20000, 20000, 6000) | box(X, Y, 35000, 35000, 4000, 2000)) & (PI > 500)"),
    ("(X,Y) in region(reg.fits)", "circle(X, Y, 20000, 20000, 6000) | box(X, Y, 35000, 35000, 4000, 2000)"),
    ("mask(mask.fits,1,1,RAWX,RAWY)", "(RAWX <= 300) & (RAWY <= 100)"),
    ("atan2(Y-25921,X-25921) > 0", "np.arctan2(Y - 25921., X - 25921.) > 0"),
]  # fmt: skip
#: Expression, place of the caret, and what is said.
REFUSED = [
    ("PI > ", 5, "ends too early"),
    ("PI >> 5", 4, "unexpected '>'"),
    ("PI = 5", 3, "'==' compares"),
    ("PI =< 5", 3, "'==' compares"),
    ("PI <> 5", 4, "unexpected '>'"),
    ("PI > 500 and PI < 2000", 9, "unexpected 'and'"),
    ("PI > 500 & & FLAG", 11, "unexpected '&'"),
    ("(PI > 500", 9, "ends too early"),
    ("PI > 500)", 8, "unexpected ')'"),
    ("PI > 500 &&", 11, "ends too early"),
    ("&& PI > 500", 0, "unexpected '&&'"),
    ("PI in [500:2000", 15, "ends too early"),
    ("PI in [500,2000]", 10, "unexpected ','"),
    ("PI in [500-2000", 15, "ends too early"),
    ("PI .in. [1:2]", 3, "unexpected character '.'"),
    ("PJ > 500", 0, "no column PJ"),
    ("PI > 500 && NOTHERE==1", 12, "no column NOTHERE"),
    ("#XMMEA_XX", 0, "no keyword XMMEA_XX"),
    ("PI > 500 && #XMMEA_EP2", 12, "no keyword XMMEA_EP2"),
    ("'PI>500'", 0, "a condition is expected, not text"),
    ('"PI > 500" && FLAG==0', 0, "a condition is expected, not text"),
    ("(X,Y) IN circle(25921,25921)", 9, "circle takes 3 numbers"),
    ("(X,Y) IN circle(25921,25921,10,20)", 9, "circle takes 3 numbers"),
    ("X IN circle(1,2,3)", 5, "pair of columns"),
    ("(X,Y) IN panda(1,2,3,4,5,6,7,8)", 9, "unknown function panda"),
    ("(X,Y) IN rotbox(1,2,3,4,5)", 9, "unknown function rotbox"),
    ("(X,Y) IN polygon(1,2,3,4)", 9, "at least three corners"),
    ("(X,Y) IN [1:2]", 9, "a pair needs a region"),
    ("(X,Y)", 0, "only allowed on the left of 'in'"),
    ("(X,Y) IN circle(X,Y,3)", 16, "a constant is expected"),
    ("(RA,DEC) IN circle(149,-95,1)", 12, "declination of -90 to 90"),
    ("RA > 149", 0, "only understood as the pair (RA,DEC)"),
    ("PI>500 && RA in [149:150]", 10, "only understood as the pair (RA,DEC)"),
    ("sqrt(DEC) > 1", 0, "only understood as the pair"),
    ("gti(,TIME)", 0, "no file is named"),
    ("gti(none.fits,TIME)", 0, "none.fits: no such file"),
    ("gti(gti.fits)", 0, "one column"),
    ("gti(gti.fits:NOTHERE,TIME)", 0, "NOTHERE"),
    ("region(gti.fits,X,Y)", 0, "no table with a column SHAPE"),
    ("sqrt() > 1", 0, "takes 1 argument"),
    ("sqrt('a') > 1", 5, "a number is expected"),
    ("wurzel(PI) > 1", 0, "unknown function wurzel"),
    ("PI > 5 $ 3", 7, "unexpected character '$'"),
    ("\\&\\& PI", 0, "unexpected character"),
]
ALL = FLAGS + ENERGIES + PATTERNS + TIMES + REGIONS


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """An event list, good times, a region table and a mask."""
    path = tmp_path_factory.mktemp("forms")
    events = event_columns("EMOS1", 20000, 11, 1000.0, 2000.0)
    events["PI"][:50] = 1000
    make_list(path / "ev.fits", columns=events)
    columns = [
        fits.Column("START", "D", array=[1100.0, 1500.0]),
        fits.Column("STOP", "D", array=[1300.0, 1700.0]),
    ]
    fits.BinTableHDU.from_columns(columns, name="STDGTI").writeto(path / "gti.fits")
    fits.BinTableHDU.from_columns(
        [
            fits.Column("SHAPE", "16A", array=["CIRCLE", "BOX"]),
            fits.Column("X", "E", array=[20000, 35000]),
            fits.Column("Y", "E", array=[20000, 35000]),
            fits.Column("R", "2E", array=[[6000, 0], [8000, 4000]]),
            fits.Column("ROTANG", "E", array=[0, 0]),
        ],
        name="REGION",
    ).writeto(path / "reg.fits")
    mask = np.zeros((600, 600), "i2")
    mask[:100, :300] = 1
    fits.PrimaryHDU(mask).writeto(path / "mask.fits")
    return path


@pytest.fixture(scope="module")
def numpy_of(folder: Path):
    """What NumPy makes of a text."""
    with fits.open(folder / "ev.fits") as hdus:
        data = hdus["EVENTS"].data
        columns = {n: np.asarray(data[n]).astype(data[n].dtype.newbyteorder("=")) for n in data.names}
        wcs = WCS(
            hdus["EVENTS"].header, keysel=["pixel"], colsel=[data.names.index(n) + 1 for n in ("X", "Y")]
        )
        ra, dec = (np.radians(v) for v in wcs.wcs_pix2world(columns["X"], columns["Y"], 1))

    def turned(x, y, xc, yc, angle):
        c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        return (x - xc) * c + (y - yc) * s, (y - yc) * c - (x - xc) * s

    def circle(x, y, xc, yc, r):
        return np.hypot(x - float(xc), y - float(yc)) <= r

    def box(x, y, xc, yc, a, b, angle=0.0):
        u, v = turned(x.astype(float), y.astype(float), xc, yc, angle)
        return (abs(u) <= a) & (abs(v) <= b)

    def ellipse(x, y, xc, yc, a, b, angle=0.0):
        u, v = turned(x.astype(float), y.astype(float), xc, yc, angle)
        return (u / a) ** 2 + (v / b) ** 2 <= 1

    def annulus(x, y, xc, yc, low, high):
        return circle(x, y, xc, yc, high) & ~(np.hypot(x - float(xc), y - float(yc)) < low)

    def sky(ra0, dec0):
        ra0, dec0 = np.radians([ra0, dec0])
        # Of the plane of X and Y about the position, as a circle of the language is one of the plane.
        reference = wcs.wcs_world2pix([[np.degrees(ra0), np.degrees(dec0)]], 1)[0]
        return np.hypot(columns["X"] - reference[0], columns["Y"] - reference[1]) * 0.05 / 3600

    time = columns["TIME"]
    names: dict[str, Any] = {
        **columns, "np": np, "ROW": np.arange(1, len(time) + 1), "circle": circle, "box": box,
        "ellipse": ellipse, "annulus": annulus, "sky": sky,
        "gti": ((time >= 1100) & (time < 1300)) | ((time >= 1500) & (time < 1700)),
    }  # fmt: skip
    assert abs(np.degrees(ra).mean() - RA) < 1
    assert abs(np.degrees(dec).mean() - DEC) < 1
    with np.errstate(all="ignore"):
        yield lambda text: np.broadcast_to(eval(text, names), time.shape)


@pytest.fixture(scope="module")
def select(folder: Path):
    """Rows that an expression selects."""
    hdu = FitsFile(folder / "ev.fits")["EVENTS"]
    files = Files(folder, "ev.fits")
    columns = {n: hdu.data[n] for n in hdu.columns}
    return lambda text: compile(text, hdu.header, files).mask(columns)


def test_there_are_enough():
    texts = [e for e, *_ in [*ALL, *REFUSED]]
    assert len(texts) == len(set(texts)) >= 200


@pytest.mark.parametrize(("expression", "text"), ALL)
def test_counts_are_those_of_numpy(expression: str, text: str, select, numpy_of):
    with np.errstate(all="ignore"):
        expected = numpy_of(text)
    assert np.array_equal(select(expression), expected)
    assert expected.any() or expression == "false"


@pytest.mark.parametrize(("expression", "position", "message"), REFUSED)
def test_what_is_wrong_is_refused_where_it_stands(expression: str, position: int, message: str, select):
    with pytest.raises(SelectionError, match=re.escape(message)) as caught:
        select(expression)
    lines = caught.value.message.splitlines()
    assert caught.value.position == position
    assert lines[-1].endswith("^")
    assert len(lines[-1]) - 5 == position
