"""The task srcregions on the lists of a reduced observation."""

from __future__ import annotations

import io

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from daxa.ds9 import excludes, read_regions
from daxa.xmm.errors import TaskError
from daxa.xmm.task import run_task

#: A place without a source.
EMPTY = (149.60, -11.30)


@pytest.fixture(scope="module")
def call(reduced, simulated, tmp_path_factory):
    """Call the task on the list of a camera; the regions of source and background, and what was said."""
    folder = tmp_path_factory.mktemp("srcregions")
    env = {"SAS_CCF": str(reduced.folder / "ccf.cif"), "SAS_CCFPATH": str(simulated.ccf)}

    def called(inst: str = "M2", place: tuple[float, float] | None = EMPTY, **given):
        out, err = io.StringIO(), io.StringIO()
        (folder / "bkg.reg").unlink(missing_ok=True)
        if place is not None:
            given |= {"ra": place[0], "dec": place[1]}
        given = {"eventset": str(reduced.events(inst)), **given}
        run_task("srcregions", given, cwd=folder, env=env, out=out, err=err)
        files = [folder / name for name in ("src.reg", "bkg.reg")]
        return *(read_regions(f) if f.exists() else None for f in files), out.getvalue() + err.getvalue()

    return called


def test_a_fixed_radius_and_an_annulus(call):
    source, background, _ = call(radiusstyle="fixed", radius=30)
    assert source[0].center.ra.deg == pytest.approx(EMPTY[0], abs=1e-6)
    assert source[0].radius.to_value("arcsec") == pytest.approx(30, abs=0.01)
    assert background[0].inner_radius.to_value("arcsec") == pytest.approx(45, abs=0.01)


def test_radii_by_brightness_and_by_share(call, reduced):
    ra, dec, _ = reduced.sources("M2")[0]
    bright, faint = (call(place=place)[0][0].radius.to_value("arcsec") for place in ((ra, dec), EMPTY))
    assert faint == pytest.approx(15, abs=0.01)
    assert 30 < bright <= 60
    radii = [call(radiusstyle="share", share=s)[0][0].radius.to_value("arcsec") for s in (0.5, 0.8)]
    assert 5 < radii[0] < 12 < radii[1] < 45


def test_neighbours_are_left_out_of_both(call, reduced):
    ra, dec, _ = reduced.sources("M2")[0]
    others = f'fk5; circle({ra},{dec},50"); circle({ra},{dec + 40 / 3600},30"); circle({ra},{dec + 1},9")'
    source, background, _ = call(place=(ra, dec), radiusstyle="fixed", radius=30, otherset=others)
    assert [excludes(r) for r in source] == [False, True]
    assert source[1].radius.to_value("arcsec") == pytest.approx(20, abs=0.1)
    assert [excludes(r) for r in background] == [False, True]
    place = SkyCoord(ra, dec + 40 / 3600, unit="deg")
    assert background[1].center.separation(place).arcsec < 0.1


def test_regions_of_the_user(call):
    ra, dec = EMPTY
    box = f'fk5; box({ra},{dec},60",20",30)'
    source, background, said = call(place=None, region=box, bkgregion=f'fk5; circle({ra},{dec + 0.1},50")')
    assert type(source[0]).__name__ == "RectangleSkyRegion"
    assert background[0].radius.to_value("arcsec") == pytest.approx(50)
    assert "as given" in said
    _, around, _ = call(place=None, region=box)
    assert around[0].inner_radius.to_value("arcsec") == pytest.approx(1.5 * np.hypot(30, 10), rel=0.01)


def test_a_circle_of_the_same_ccd(call):
    _, background, said = call("PN", radiusstyle="fixed", radius=25, bkgstyle="ccd")
    assert type(background[0]).__name__ == "CircleSkyRegion"
    assert "same CCD" in said


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"place": (140.0, 3.0)}, "notSeen"),
        ({"place": None}, "badParameter"),
        ({"place": None, "region": "image; circle(10,10,5)"}, "badRegion"),
        ({"place": None, "region": "nothing.reg"}, "badRegion"),
        ({"eventset": "nothing.fits"}, "noFile"),
    ],
)
def test_what_cannot_be_done_is_told(call, given, code):
    with pytest.raises(TaskError) as told:
        call(**given)
    assert told.value.code == code
