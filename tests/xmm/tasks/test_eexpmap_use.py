"""eexpmap as it is used: lists without tables, attitude and images of another time or place."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.errors import TaskError
from daxa.xmm.task import run_task

START, SECONDS = 6.0e8, 1000.0
GRID = {
    "xcolumn": "X", "ycolumn": "Y", "ximagebinsize": 400, "yimagebinsize": 400, "ximagemin": 3649,
    "ximagemax": 48106, "yimagemin": 3649, "yimagemax": 48106,
}  # fmt: skip


class Field:
    """A MOS1 list with its image, in a folder."""

    def __init__(self, folder, env, maker, write_attitude):
        self.folder, self.env, self.pointing = folder, env, maker.pointing
        self.write_attitude = write_attitude
        columns = maker.flat(np.random.default_rng(1), 3000, START, START + SECONDS)
        maker.write(folder / "ev.fits", columns, SECONDS)
        self.attitude()
        self.image()

    def attitude(self, start: float = START - 10, stop: float = START + SECONDS + 10) -> None:
        (self.folder / "att.fits").unlink(missing_ok=True)
        self.write_attitude(self.folder / "att.fits", [(start, stop, *self.pointing)])

    def image(self, **parameters: Any) -> None:
        arguments = {"table": "ev.fits", "imageset": "im.fits", **GRID, **parameters}
        run_task("evselect", arguments, cwd=self.folder, env=self.env, out=io.StringIO())

    def map(self, **parameters: Any) -> tuple[np.ndarray, str]:
        """The map, and what was warned of."""
        arguments = {
            "imageset": "im.fits", "eventset": "ev.fits", "attitudeset": "att.fits", "pimin": 500,
            "pimax": 2000, "expimageset": "exp.fits", "withvignetting": False, **parameters,
        }  # fmt: skip
        err = io.StringIO()
        run_task("eexpmap", arguments, cwd=self.folder, env=self.env, out=io.StringIO(), err=err)
        return fits.getdata(self.folder / "exp.fits"), err.getvalue()

    def edit(self, name: str, change) -> None:
        with fits.open(self.folder / name) as hdus:
            new = fits.HDUList([h.copy() for h in hdus])
        change(new)
        new.writeto(self.folder / name, overwrite=True)

    def without(self, *stems: str) -> None:
        """Take tables out of the list."""

        with fits.open(self.folder / "ev.fits") as hdus:
            left = fits.HDUList([h.copy() for h in hdus if not h.name.startswith(stems)])
        left.writeto(self.folder / "ev.fits", overwrite=True)


@pytest.fixture
def field(list_maker, write_attitude, calibration_env, tmp_path) -> Field:
    return Field(tmp_path, calibration_env, list_maker("EMOS1"), write_attitude)


class TestMissingTables:
    """What the manual of eexpmap lets stand in for tables, under its codes."""

    def test_of_frames(self, field):
        before, said = field.map()
        assert said == ""
        field.without("EXPOSU")
        after, said = field.map()
        assert "warning (NoExpoExt)" in said
        assert "EXPOSU01, EXPOSU02" in said
        # All good time counts.
        good = fits.getheader(field.folder / "ev.fits", "EVENTS")["ONTIME01"]
        assert np.median(after[after > 0]) == pytest.approx(good, rel=5e-3)
        assert ((after > 0) == (before > 0)).all()

    def test_of_the_frames_of_one_ccd(self, field):
        before, _ = field.map()
        field.without("EXPOSU01")
        after, said = field.map()
        # The others are left as they are: the list names its CCDs by EXPOSUnn.
        assert "NoExpoExt" not in said
        assert (after <= before).all()

    def test_of_good_times(self, field):
        before, _ = field.map()
        field.without("STDGTI")
        after, said = field.map()
        assert "warning (noGTI)" in said
        assert "(EXPOSURE) from TSTART on" in said
        assert after.max() == pytest.approx(before.max(), rel=5e-3)

    def test_of_the_good_times_of_one_ccd(self, field):
        before, _ = field.map()
        field.without("STDGTI01")
        after, said = field.map()
        assert "warning (NumGTI)" in said
        np.testing.assert_allclose(after, before, rtol=1e-3)

    def test_of_all(self, field):
        field.without("STDGTI", "EXPOSU")
        after, said = field.map()
        exposure = fits.getheader(field.folder / "im.fits")["EXPOSURE"]
        assert np.median(after[after > 0]) == pytest.approx(exposure, rel=5e-3)
        assert "(noGTI)" in said
        assert "(NoExpoExt)" in said

    def test_of_all_without_an_exposure(self, field):
        field.without("STDGTI", "EXPOSU")
        for name in ("ev.fits", "im.fits"):
            field.edit(name, lambda hdus: [h.header.remove("EXPOSURE", ignore_missing=True) for h in hdus])
        with pytest.raises(TaskError, match="no STDGTInn, and no EXPOSURE"):
            field.map()

    def test_a_list_without_events(self, field):
        field.without("EVENTS")
        with pytest.raises(TaskError, match="no extension EVENTS"):
            field.map()
        (field.folder / "t.txt").write_text("text")
        with pytest.raises(TaskError, match="is not a FITS file"):
            field.map(eventset="t.txt")


class TestAttitude:
    def test_of_another_time_is_refused(self, field):
        field.attitude(START + 1e6, START + 1e6 + SECONDS)
        with pytest.raises(TaskError, match=r"attitude is known from 601000000 to .*, the good frames reach"):
            field.map()

    def test_of_a_part_of_the_time_is_warned_of(self, field):
        full, _ = field.map()
        field.attitude(START - 10, START + 0.1 * SECONDS)
        part, said = field.map()
        assert "warning (NoAttitude)" in said
        assert "the nearest attitude counts for 88." in said
        np.testing.assert_allclose(part, full, rtol=1e-3)

    def test_a_few_seconds_are_none(self, field):
        field.attitude(START + 15, START + SECONDS - 15)
        assert field.map()[1] == ""

    def test_rows_without_attitude_are_counted(self, field):
        def change(hdus):
            hdus["ATTHK"].data["AHFRA"][3:8] = np.nan

        field.edit("att.fits", change)
        rows = len(fits.getdata(field.folder / "att.fits", "ATTHK"))
        assert f"(NullValues), att.fits: 5 of {rows} rows have no attitude" in field.map()[1]


class TestImagesOfSomethingElse:
    @pytest.mark.parametrize(
        ("ra", "away"), [(329.6, "158 deg"), (160.0, "10.2 deg"), (149.6 + 91, "88.9 deg")]
    )
    def test_far_away(self, field, ra, away):
        field.edit("im.fits", lambda hdus: hdus[0].header.update(CRVAL1=ra))
        found, said = field.map()
        assert not found.any()
        assert "warning (zeroMap), im.fits: its centre (RA" in said
        assert f"is {away} from the pointing (RA 149.5917" in said

    def test_of_one_ccd(self, field):
        full, _ = field.map()
        field.image(expression="CCDNR==1")
        one, _ = field.map()
        assert np.median(one[one > 0]) == pytest.approx(np.median(full[full > 0]), rel=5e-3)
        assert 0.1 < np.count_nonzero(one) / np.count_nonzero(full) < 0.25

    def test_of_a_part_of_the_time(self, field):
        full, _ = field.map()
        field.image(expression=f"TIME in [{START + 100}:{START + 400}]")
        part, said = field.map()
        assert said == ""
        assert np.median(part[part > 0] / full[part > 0]) == pytest.approx(0.3, abs=0.01)

    def test_of_no_time(self, field):
        field.image(expression=f"TIME < {START - 5}")
        found, said = field.map()
        assert not found.any()
        assert "(noExposure)" in said

    @pytest.mark.parametrize(
        ("band", "said"),
        [
            ((2000, 10000), "a map of 2000 to 10000 eV is asked for; im.fits holds PI 500 to 1500 only"),
            ((500, 2000), ""),
            ((500, 1500), ""),
        ],
    )
    def test_of_another_band(self, field, band, said):
        field.image(expression="PI in [500:1500]")
        warned = field.map(pimin=band[0], pimax=band[1])[1]
        assert said in warned
        assert bool(said) == bool(warned)

    def test_of_several_bands_the_image_gives_the_grid_only(self, field):
        """As archives call it: one image, maps of all their bands."""
        field.image(expression="PI in [500:1500]")
        _, said = field.map(pimin="500 2000", pimax="1500 10000", expimageset="exp.fits hard.fits")
        assert said == ""
        assert (field.folder / "hard.fits").exists()

    def test_bands_that_are_none(self, field):
        with pytest.raises(TaskError, match="expected a number"):
            field.map(pimin="nan")
