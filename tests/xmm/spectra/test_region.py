"""Squares of a spectrum's region."""

from pathlib import Path

import numpy as np
import pytest
from made_spectra import POINTING, write_spectrum

from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.errors import TaskError
from daxa.xmm.select.regions import Shape
from daxa.xmm.sky.geometry import CameraGeometry
from daxa.xmm.spectra.region import Observed, cells_of, to_detector


@pytest.fixture(scope="module")
def geometry(synthetic_ccf: Path) -> CameraGeometry:
    cal = Calibration.for_observation([synthetic_ccf], "2012-05-14T03:49:58")
    return CameraGeometry.from_calibration(cal, "EPN", 4.5e8)


def observed(folder: Path, *shapes: Shape, **given) -> Observed:
    return Observed.read(write_spectrum(folder / "s.fits", *shapes, **given))


def test_areas_of_shapes(geometry: CameraGeometry, tmp_path: Path):
    # Well inside a chip of the pn.
    place = (2600.0, 3600.0)
    for shape, area in (
        (Shape("circle", (*place, 700)), np.pi * 700**2),
        (Shape("annulus", (*place, 300, 700)), np.pi * (700**2 - 300**2)),
        (Shape("box", (*place, 500, 200, 30)), 4 * 500 * 200),
        (Shape("ellipse", (*place, 500, 200, 30)), np.pi * 500 * 200),
        (Shape("polygon", (2000, 3000, 3000, 3000, 2000, 4000)), 500_000),
    ):
        it = observed(tmp_path, shape, columns=("DETX", "DETY"))
        cells = cells_of(it, geometry, None, step=10)
        assert cells.whole_area == pytest.approx(area, rel=0.01), shape.name
        assert cells.area <= cells.whole_area


def test_a_region_of_the_sky_lies_where_the_attitude_says(geometry: CameraGeometry, tmp_path: Path):
    it = observed(tmp_path, Shape("circle", (27000, 24000, 600)))
    cells = cells_of(it, geometry, None, step=10)
    assert cells.whole_area == pytest.approx(np.pi * 600**2, rel=0.002)
    ra, dec = geometry.det_to_sky(cells.detx, cells.dety, *POINTING)
    east, north = (ra - 150) * np.cos(np.radians(2)) * 72000, (dec - 2) * 72000
    assert east.mean() == pytest.approx(-(27000 - 25921), abs=2)
    assert north.mean() == pytest.approx(24000 - 25921, abs=2)
    middle = to_detector(it, geometry, ("X", "Y"), (27000, 24000))
    assert middle == pytest.approx((cells.detx.mean(), cells.dety.mean()), abs=2)


def test_what_is_lost_stays_in_the_region(geometry: CameraGeometry, tmp_path: Path):
    shape = Shape("circle", (2600, 3600, 700))
    whole = cells_of(observed(tmp_path, shape, columns=("DETX", "DETY")), geometry, None, step=10)
    here = int(np.bincount(whole.ccd).argmax())
    other = 1 if here != 1 else 2
    it = observed(tmp_path, shape, columns=("DETX", "DETY"), ccds=(other,))
    assert it.ccds == [other]
    good = {int(n): np.ones((200, 64), bool) for n in geometry.ccds}
    good[here][:, 10] = False
    less = cells_of(observed(tmp_path, shape, columns=("DETX", "DETY")), geometry, good, step=10)
    assert less.whole_area == whole.whole_area
    lost = whole.seen & ~less.seen
    assert set(less.rawx[lost]) <= {11}
    assert lost.sum() == (whole.seen & (whole.ccd == here) & (whole.rawx == 11)).sum() > 0


def test_excluded_shapes_and_ccds_that_were_not_selected(geometry: CameraGeometry, tmp_path: Path):
    circle, hole = Shape("circle", (27000, 24000, 600)), Shape("circle", (27000, 24000, 200), exclude=True)
    cells = cells_of(observed(tmp_path, circle, hole), geometry, None, step=10)
    assert cells.whole_area == pytest.approx(np.pi * (600**2 - 200**2), rel=0.003)
    far = Shape("circle", (200_000, 24000, 600))
    assert cells_of(observed(tmp_path, far), geometry, None, step=10).whole_area == 0


def test_a_whole_field_is_cut_into_fewer_squares(geometry: CameraGeometry, tmp_path: Path):
    cells = cells_of(observed(tmp_path), geometry, None, step=10)
    assert cells.step > 10
    assert len(cells.detx) <= 4_000_000
    # The field of view of the pn, less the gaps between its chips.
    assert 0.85 < cells.area / (np.pi * (15 * 60 * 20) ** 2) < 1.0


@pytest.mark.parametrize("key", ["RA_PNT", "SUBMODE", "DATE-OBS"])
def test_keywords_that_are_missing_are_named(key: str, tmp_path: Path):
    from astropy.io import fits

    path = write_spectrum(tmp_path / "s.fits", Shape("circle", (26000, 26000, 500)))
    fits.delval(path, key)
    with pytest.raises(TaskError, match=f"s.fits: no keyword {key}"):
        Observed.read(path)


def test_a_plane_that_is_not_described_is_refused(geometry: CameraGeometry, tmp_path: Path):
    from astropy.io import fits

    path = write_spectrum(tmp_path / "s.fits", Shape("circle", (26000, 26000, 500)))
    fits.delval(path, "REFXCRVL")
    with pytest.raises(TaskError, match="REFXCRVL"):
        cells_of(Observed.read(path), geometry, None, step=10)
