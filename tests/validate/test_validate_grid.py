"""Images with the pixels of the pipeline's: which are the same, what is made, for which exposure."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from daxa.archive import layout
from daxa.compare import NotComparableError
from daxa.validate.grid import Grid, grid_of, same_grid
from daxa.validate.observation import compare_products

OBS = "0800010101"
UNIT = 0.05 / 3600


def image(
    path: Path, *, ra: float = 150.0, dec: float = -11.0, step: int = 80, shape=(30, 40), **cards
) -> Path:
    """Counts, with the tangent point in the middle unless moved."""
    data = np.random.default_rng(1).poisson(3.0, shape).astype(np.int32)
    if "map" in path.name.lower():
        data = data + np.float32(0.5)
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    header["CRPIX1"], header["CRPIX2"] = (shape[1] + 1) / 2, (shape[0] + 1) / 2
    header["CRVAL1"], header["CRVAL2"] = ra, dec
    header["CDELT1"], header["CDELT2"] = -step * UNIT, step * UNIT
    header["CUNIT1"] = header["CUNIT2"] = "deg"
    header.update(cards)
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(data, header).writeto(path)
    return path


def events(path: Path, ra: float = 150.0, dec: float = -11.0) -> Path:
    """An event list without events."""
    table = fits.BinTableHDU(name="EVENTS")
    for axis, place, sign in (("X", ra, -1), ("Y", dec, 1)):
        table.header[f"REF{axis}CRPX"], table.header[f"REF{axis}CRVL"] = 25921, place
        table.header[f"REF{axis}CDLT"] = sign * UNIT
    path.parent.mkdir(parents=True, exist_ok=True)
    table.writeto(path)
    return path


def test_the_same_pixels_are_at_the_same_place(tmp_path: Path) -> None:
    one = image(tmp_path / "one.fits")
    assert same_grid(one, image(tmp_path / "same.fits"))
    # The reference pixel does not matter, where it is does.
    off = {"CRPIX1": 10.5, "CRVAL1": 150.0 + 10 * 80 * UNIT / np.cos(np.deg2rad(11.0))}
    assert same_grid(one, image(tmp_path / "other_reference.fits", **off))
    for number, other in enumerate(
        (
            {"dec": -11.0 + 1 / 3600},
            {"ra": 150.0 + 1 / 3600},
            {"step": 81},
            {"shape": (30, 41)},
            {"CROTA2": 0.1},
            {"CTYPE1": "DETX", "CTYPE2": "DETY"},
        )
    ):
        assert not same_grid(one, image(tmp_path / f"other{number}.fits", **other)), other


def test_pixels_in_units_of_the_event_list(tmp_path: Path) -> None:
    theirs = image(tmp_path / "image.fits", step=81, shape=(31, 41))
    # 41 x 31 pixels of 81 units around the reference, unit 25921.
    assert grid_of(theirs, events(tmp_path / "events.fits")) == Grid(25921 - 1660, 25921 - 1255, 81, 41, 31)
    odd = image(tmp_path / "odd.fits", CDELT1=-80.3 * UNIT, CDELT2=80.3 * UNIT)
    with pytest.raises(NotComparableError, match="not a whole number of 0.05 arcsec"):
        grid_of(odd, tmp_path / "events.fits")
    turned = image(tmp_path / "turned.fits", CROTA2=5.0)
    with pytest.raises(NotComparableError, match=r"turned\.fits: its pixels are turned"):
        grid_of(turned, tmp_path / "events.fits")
    with fits.open(tmp_path / "events.fits") as hdus:
        del hdus["EVENTS"].header["REFYCRVL"]
        hdus.writeto(tmp_path / "bare.fits")
    with pytest.raises(
        NotComparableError, match=r"bare\.fits\[EVENTS\]: REFXCRVL and REFYCRVL are not numbers"
    ):
        grid_of(theirs, tmp_path / "bare.fits")
    (tmp_path / "half.fits").write_bytes(theirs.read_bytes()[:1000])
    with pytest.raises(NotComparableError, match=r"half\.fits: cannot be read"):
        grid_of(tmp_path / "half.fits", tmp_path / "events.fits")


class Maker:
    """In the place of the tasks that make image and map: gives those of the pipeline."""

    def __init__(self, theirs: Path) -> None:
        self.theirs, self.calls = theirs, []

    def __call__(self, grid, stem, events, attitude, cif, band_kev, folder, backend):
        self.calls.append((events.name, stem))
        folder.mkdir(parents=True, exist_ok=True)
        made = {}
        for kind, theirs in (("image", stem.replace("EXPMAP", "IMAGE_")), ("exposure map", stem)):
            made[kind] = folder / f"{stem}-{kind.replace(' ', '_')}.fits"
            shutil.copy(self.theirs / f"{theirs}.FIT", made[kind])
        return made


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Images and maps of two exposures of MOS1 and one of the pn."""
    folder = tmp_path / "pps"
    for exposure in ("M1S001", "M1U002", "PNS003"):
        for kind in ("IMAGE_", "EXPMAP"):
            image(folder / f"P{OBS}{exposure}{kind}8000.FIT", EXPIDSTR=exposure[2:])
    return folder


@pytest.fixture
def maker(theirs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    monkeypatch.setenv("DAXA_OUTPUT", str(tmp_path / "out"))
    made = Maker(theirs)
    monkeypatch.setattr("daxa.validate.observation.make_on_grid", made)
    return made


def test_each_exposure_has_its_own_image_made_once(theirs: Path, maker: Maker, tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    for exposure in ("S001", "U002"):
        events(ours / layout.clean_events(OBS, "M1", exposure))
    events(ours / layout.final_events(OBS, "M1"))
    # Of both exposures together: not what the pipeline's are compared with, though the pixels are theirs.
    image(ours / layout.image(OBS, "M1", 0.2, 12.0))
    found, left_out = compare_products(OBS, ours, theirs, ["M1"])
    assert left_out == []
    stems = [f"P{OBS}M1{exposure}EXPMAP8000" for exposure in ("S001", "U002")]
    assert [(Path(e).name.split("-subexp")[1][:4], stem) for e, stem in maker.calls] == [
        ("S001", stems[0]), ("U002", stems[1]),
    ]  # fmt: skip
    assert len({one.a for one in found}) == 4
    assert sorted(one.kind for one in found) == ["exposure map", "exposure map", "image", "image"]


def test_an_exposure_that_ours_has_not_is_left_out(theirs: Path, maker: Maker, tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    for exposure in ("S001", "U009"):
        events(ours / layout.clean_events(OBS, "M1", exposure))
    found, left_out = compare_products(OBS, ours, theirs, ["M1"])
    assert len(found) == 2
    assert [text.partition(":")[0] for text in left_out] == [
        f"P{OBS}M1U002{kind}8000.FIT" for kind in ("EXPMAP", "IMAGE_")
    ]
    assert all("our reduction made no" in text for text in left_out)


def test_ours_is_taken_where_it_has_the_same_pixels(theirs: Path, maker: Maker, tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    events(ours / layout.clean_events(OBS, "PN", "S003"))
    events(ours / layout.final_events(OBS, "PN"))
    image(ours / layout.image(OBS, "PN", 0.2, 12.0), EXPIDSTR="S003")
    # That of the map is elsewhere.
    image(ours / layout.exposure_map(OBS, "PN", 0.2, 12.0), dec=-11.0 + 1 / 3600)
    found, left_out = compare_products(OBS, ours, theirs, ["PN"])
    assert left_out == []
    assert [stem for _, stem in maker.calls] == [f"P{OBS}PNS003EXPMAP8000"]
    assert {one.kind: Path(one.a).name for one in found} == {
        "exposure map": f"P{OBS}PNS003EXPMAP8000-exposure_map.fits",
        "image": Path(layout.image(OBS, "PN", 0.2, 12.0)).name,
    }


def test_pixels_of_real_images(shared_data: Path) -> None:
    """SAS's images: the first pixel of 87 units begins at X = 3649 (its centre is 3692, by CRVAL1L)."""
    folder = shared_data / "sas_products_0201901401"
    if not folder.is_dir():
        pytest.skip(f"no real images: {folder} is absent")
    stem = "0201901401_mos1_exp1-0.50-2.00keV"
    theirs = folder / "images" / f"{stem}img.fits.gz"
    grid = grid_of(theirs, folder / "eclean" / "mos1_exp1_clean_evts.fits.gz")
    with fits.open(theirs) as hdus:
        first = [hdus[0].header[f"CRVAL{axis}L"] - (87 - 1) / 2 for axis in (1, 2)]
    assert grid == Grid(int(first[0]), int(first[1]), 87, 512, 512)
    assert grid.x == 3649
    assert same_grid(theirs, folder / "images" / f"{stem}expmap.fits.gz")
