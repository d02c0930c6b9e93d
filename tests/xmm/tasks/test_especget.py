"""The task especget on the list of a reduced observation."""

from __future__ import annotations

import io

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import FitsFile
from daxa.xmm.select.regions import ColumnSky
from daxa.xmm.task import run_task


@pytest.fixture(scope="module")
def place(reduced) -> tuple[float, float]:
    """X, Y of the brightest source."""
    ra, dec, _ = reduced.sources("M2")[0]
    sky = ColumnSky.from_header(FitsFile(reduced.events("M2"))["EVENTS"].header)
    return tuple(float(v) for v in sky.to_xy(ra, dec))


@pytest.fixture(scope="module")
def call(reduced, simulated, place, tmp_path_factory):
    folder = tmp_path_factory.mktemp("especget")
    env = {"SAS_CCF": str(reduced.folder / "ccf.cif"), "SAS_CCFPATH": str(simulated.ccf)}
    x, y = place
    regions = {
        "srcexp": f"((X,Y) IN circle({x:.1f},{y:.1f},600))",
        "backexp": f"((X,Y) IN annulus({x:.1f},{y:.1f},1200,2000))",
    }

    def called(**given):
        err = io.StringIO()
        given = {"table": str(reduced.events("M2")), **regions, **given}
        run_task("especget", given, cwd=folder, env=env, out=io.StringIO(), err=err)
        return folder, err.getvalue()

    return called


def test_one_call_makes_what_single_tasks_make(call, reduced, place):
    folder, _ = call(filestem="point")
    with fits.open(folder / "point_src.ds") as hdus:
        header, counts = hdus["SPECTRUM"].header, hdus["SPECTRUM"].data["COUNTS"].sum()
    assert [header[k] for k in ("RESPFILE", "ANCRFILE", "BACKFILE")] == [
        "point_src.rmf",
        "point_src.arf",
        "point_bgd.ds",
    ]
    # The numbers of events by hand.
    events = fits.getdata(reduced.events("M2"), "EVENTS")
    inside = (events["X"] - place[0]) ** 2 + (events["Y"] - place[1]) ** 2 <= 600**2
    flags = (events["FLAG"] & 0x766A0F63) == 0
    assert counts == np.count_nonzero(inside & flags & (events["PATTERN"] <= 12) & (events["PI"] < 12000))
    assert header["BACKSCAL"] == pytest.approx(np.pi * 600**2, rel=0.02)
    area = fits.getdata(folder / "point_src.arf", "SPECRESP")
    matrix = fits.getdata(folder / "point_src.rmf", "MATRIX")
    assert np.array_equal(area["ENERG_LO"], matrix["ENERG_LO"])
    point = area["SPECRESP"].max()
    call(filestem="wide", extendedsource=True, withrmfset=True, rmfset="point_src.rmf")
    wide = fits.getdata(folder / "wide_src.arf", "SPECRESP")["SPECRESP"].max()
    # Of a point only a share of the light lies in the circle.
    assert 0.7 * wide < point < 0.95 * wide
    assert fits.getheader(folder / "wide_src.ds", "SPECTRUM")["RESPFILE"] == "point_src.rmf"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"withrmfset": True}, "badParameter"),
        ({"withrmfset": True, "rmfset": "nothing.rmf"}, "noFile"),
        ({"table": "nothing.fits"}, "noFile"),
    ],
)
def test_what_cannot_be_done_is_told(call, given, code):
    with pytest.raises(TaskError) as told:
        call(**given)
    assert told.value.code == code
