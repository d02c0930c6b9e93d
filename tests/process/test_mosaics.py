"""Mosaics of an archive's images: cameras of an observation, and observations of a field."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.units import Quantity
from astropy.wcs import WCS

from daxa.archive import Archive, layout
from daxa.exceptions import NoDependencyProcessError
from daxa.process.xmm.fields import field_name, group
from daxa.process.xmm.mosaics import generate_mosaics


@pytest.mark.parametrize(
    ("ra", "dec", "groups"),
    [
        ([10.0, 10.3, 10.6, 40.0], [0.0] * 4, [[0, 1, 2], [3]]),
        ([359.9, 0.1], [5.0, 5.0], [[0, 1]]),
        ([0.0, 180.0], [89.9, 89.9], [[0, 1]]),
        ([10.0, 10.6], [0.0, 0.0], [[0], [1]]),
        ([], [], []),
    ],
)
def test_observations_that_touch_make_a_field(ra, dec, groups):
    assert group(ra, dec) == groups


def test_fields_are_named_by_position():
    assert field_name(149.5917, -11.0642) == "J0958-1103"
    assert field_name(359.999, 0.5) == "J2359+0030"
    assert field_name(0.0, -0.01) == "J0000-0000"


@pytest.fixture
def archive(reduced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, simulated) -> Archive:
    """A copy of the reduced observation that may be changed."""
    output = tmp_path / "output"
    shutil.copytree(reduced.archive.parent.parent, output)
    monkeypatch.setenv("DAXA_OUTPUT", str(output))
    monkeypatch.setenv("DAXA_CCFPATH", str(simulated.ccf))
    monkeypatch.setenv("DAXA_BACKEND", "embedded")
    return Archive("read")


@pytest.mark.slow
def test_cameras_are_combined(archive: Archive, reduced):
    """Counts are kept; rates are those that the pn would see, with or without the MOS."""
    lo, hi = Quantity([0.5], "keV"), Quantity([2.0], "keV")
    paths = generate_mosaics(archive, lo, hi, disable_progress=True)
    folder = Path(archive.get_current_data_path(archive.missions[0], reduced.obs_id))
    cameras = {
        inst: [fits.getdata(folder / f(reduced.obs_id, inst, 0.5, 2.0)).astype(float) for f in FILES[:2]]
        for inst in ("M1", "M2", "PN")
    }
    image, expmap, rate = (
        fits.getdata(folder / f(reduced.obs_id, "ALL", 0.5, 2.0)).astype(float) for f in FILES
    )
    header = fits.getheader(folder / layout.rate_map(reduced.obs_id, "ALL", 0.5, 2.0))
    assert np.array_equal(image, sum(c[0] for c in cameras.values()))
    weights = {header[f"EMSCI{k:03d}"]: header[f"EMSWT{k:03d}"] for k in (1, 2, 3)}
    assert header["EMSREF"] == "EPN"
    assert weights["EPN"] == 1
    assert 0.2 < weights["EMOS1"] < 0.6
    names = {"M1": "EMOS1", "M2": "EMOS2", "PN": "EPN"}
    assert expmap == pytest.approx(sum(weights[names[i]] * c[1] for i, c in cameras.items()), rel=1e-4)
    assert {header["EMSCA001"], header["EMSCA002"]} == {reduced.obs_id}
    seen = np.isfinite(rate)
    assert rate[seen] == pytest.approx((image / np.where(expmap > 0, expmap, 1))[seen], rel=1e-5)

    # Around each source all cameras together give the pn's rate; the plain mean of rates does not.
    wcs = WCS(header, naxis=2)
    together, alone = 0.0, 0.0
    for ra, dec, _ in reduced.sources("PN"):
        x, y = (round(float(v)) for v in wcs.wcs_world2pix(ra, dec, 0))
        box = np.s_[y - 5 : y + 6, x - 5 : x + 6]
        if all(c[1][box].min() > 0.5 * c[1][box].max() > 0 for c in cameras.values()):
            together += image[box].sum() / expmap[box].mean()
            alone += cameras["PN"][0][box].sum() / cameras["PN"][1][box].mean()
    assert alone > 0
    assert together == pytest.approx(alone, rel=0.08)

    # A field of one observation is that observation's mosaic.
    assert [p.parent for p in paths] == [archive.layout.mosaics] * 3
    assert np.array_equal(fits.getdata(paths[0]), image)
    field = paths[0].name.removesuffix("-image.fits")
    runs = archive.ledger.runs(process="generate_mosaics", ident=field, everything=True)
    (run,) = list(runs)
    assert run.ok
    assert run.tasks[0][0] == "emosaic"
    assert run.config["weighting"] == "area"
    assert "emosaic" in archive.process_logs["xmm_pointed"]["generate_mosaics"][field]
    assert {name: made.sha256 for name, made in run.outputs.items()} == {
        os.path.relpath(p, folder): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths
    }
    found = archive.process_extra_info["xmm_pointed"]["generate_mosaics"][field]
    assert Path(found["rate"]).samefile(paths[2])
    before = [p.stat().st_mtime_ns for p in paths]
    assert generate_mosaics(archive, lo, hi, disable_progress=True) == paths
    assert [p.stat().st_mtime_ns for p in paths] == before
    assert len(list(archive.ledger.runs(ident=field, everything=True))) == 1
    paths[1].unlink()
    assert generate_mosaics(archive, lo, hi, disable_progress=True) == paths
    assert paths[1].exists()
    plain = generate_mosaics(archive, lo, hi, weighting="time", disable_progress=True)
    assert len(list(archive.ledger.runs(ident=field, everything=True))) == 3
    assert fits.getdata(plain[1]) == pytest.approx(sum(c[1] for c in cameras.values()), rel=1e-4)


FILES = (layout.image, layout.exposure_map, layout.rate_map)


@pytest.mark.slow
def test_a_band_without_images_is_named(archive: Archive):
    with pytest.raises(ValueError, match=r"no images of 4.0_5.0keV"):
        generate_mosaics(archive, Quantity([4.0], "keV"), Quantity([5.0], "keV"), disable_progress=True)
    # One that is refused leaves no failure in the record.
    assert not any(archive.get_failed_processes("generate_mosaics").values())


@pytest.mark.slow
def test_mistakes(archive: Archive):
    with pytest.raises(ValueError, match="weighting: expected area or time"):
        generate_mosaics(archive, weighting="mass")
    archive.ledger._db.execute("DELETE FROM run WHERE process='generate_images_expmaps'")
    with pytest.raises(NoDependencyProcessError, match="generate_images_expmaps must be run"):
        generate_mosaics(archive)
