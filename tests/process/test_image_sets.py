"""Images of several bands, sizes of pixels and kinds beside each other."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.units import Quantity, UnitConversionError
from typer.testing import CliRunner

from daxa.archive import Archive, layout
from daxa.cli.main import app
from daxa.exceptions import ObsNotAssociatedError
from daxa.process.xmm import generate
from daxa.process.xmm.generate import ImageSetOptions, generate_images_expmaps
from daxa.process.xmm.image_sets import ImageSet, grid, together

X, OBS = "xmm_pointed", "0800010101"
BAND = Quantity(1, "keV"), Quantity(2, "keV")
PIXEL = Quantity(16, "arcsec")
QUIET = {"disable_progress": True}


def test_the_usual_grid_and_others():
    """All have one middle, and hold at least the field of the usual one."""
    usual = grid(None)
    assert (usual["ximagemin"], usual["ximagemax"], usual["ximagesize"]) == (3649, 48106, 512)
    for pixel in (0.5, 1.0, 4.0, 4.05, 60.0):
        one = grid(pixel)
        assert one["ximagebinsize"] == round(pixel / 0.05)
        assert one["ximagemax"] - one["ximagemin"] + 1 == one["ximagesize"] * one["ximagebinsize"]
        assert (one["ximagemax"] + one["ximagemin"] + 1) / 2 == 25921
        assert one["ximagemin"] <= 3649


def test_earlier_sets_stay():
    first = [ImageSet(0.5, 2.0), ImageSet(2.0, 10.0)]
    more = [ImageSet(0.5, 2.0, masks=True, smooth=("adaptive",)), ImageSet(0.5, 2.0, 4.0)]
    assert together(first, first) == first
    found = together(first, more)
    assert [s.where for s in found] == [(0.5, 2.0, None), (2.0, 10.0, None), (0.5, 2.0, 4.0)]
    assert found[0].masks
    assert found[0].smooth == ("adaptive",)
    # Going back to what there was first changes nothing.
    assert together(found, first) == found
    again = together(found, [ImageSet(0.5, 2.0, smooth=("8.0arcsec", "adaptive"), regions="fk5; ...")])
    assert again[0].smooth == ("8.0arcsec", "adaptive")
    assert again[0].regions == "fk5; ..."


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (
            {"pixel_size": Quantity(4.33, "arcsec")},
            ValueError,
            "pixel_size: expected a multiple of 0.05 arcsec",
        ),
        ({"pixel_size": Quantity(0.1, "arcsec")}, ValueError, "from 0.5 to 60 arcsec"),
        ({"pixel_size": 4}, TypeError, "pixel_size: expected a quantity"),
        ({"smooth": "wildly"}, ValueError, "smooth: expected 'adaptive' or the sigma"),
        ({"smooth": Quantity(0, "arcsec")}, ValueError, "smooth: expected a sigma above 0"),
        ({"smooth": Quantity(1, "s")}, UnitConversionError, "smooth: expected a unit"),
        ({"regions": "gone.reg"}, FileNotFoundError, "regions: no such file"),
        ({"regions": "fk5; point(1,2)"}, ValueError, "regions: .*a point has no area"),
        ({"masks": 1}, TypeError, "masks: expected True or False"),
    ],
)
def test_options_that_are_none(given, error, message):
    with pytest.raises(error, match=message):
        ImageSetOptions(**given)


def test_options_are_kept_only_where_they_are_given():
    assert set(ImageSetOptions().given()) == {"lo_en", "hi_en"}
    given = ImageSetOptions(pixel_size=Quantity(0.1, "arcmin"), smooth=[Quantity(9, "arcsec"), "adaptive"])
    again = ImageSetOptions(**given.given())
    assert again.sets == given.sets
    assert again.sets[0].pixel_arcsec == 6.0
    assert again.sets[0].smooth == ("9.0arcsec", "adaptive")
    # The usual size of pixels is no other set.
    assert ImageSetOptions(pixel_size=Quantity(4.35, "arcsec")).sets == ImageSetOptions().sets


@pytest.fixture(scope="module")
def archive(reduced, tmp_path_factory, simulated):
    """A copy of the reduced observation with one more set of images of the pn, and all that comes with it."""
    output = tmp_path_factory.mktemp("sets") / "output"
    shutil.copytree(reduced.archive.parent.parent, output)
    ra, dec, _ = reduced.sources()[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAXA_OUTPUT", str(output))
        patch.setenv("DAXA_CCFPATH", str(simulated.ccf))
        patch.setenv("DAXA_BACKEND", "embedded")
        # One camera is enough, and takes a third of the time.
        only_pn = replace(generate.GENERATE_IMAGES_EXPMAPS, instruments=("PN",))
        patch.setattr(generate, "GENERATE_IMAGES_EXPMAPS", only_pn)
        opened = Archive("read")
        opened.source_regions = {X: {OBS: f'fk5; circle({ra},{dec},40")'}}
        generate_images_expmaps(
            opened,
            *BAND,
            pixel_size=PIXEL,
            unvignetted=True,
            masks=True,
            subtract_oot=True,
            smooth=[Quantity(32, "arcsec"), "adaptive"],
            background=True,
            **QUIET,
        )
        yield opened


def data(path: Path) -> np.ndarray:
    return fits.getdata(path).astype(float)


def test_every_product_is_found_and_means_what_it_says(archive, reduced):
    where = (X, OBS, "PN", *BAND)
    image_path = archive.get_image_path(*where, pixel_size=PIXEL)
    assert image_path.name == f"obsid{OBS}-instPN-subexpALL-en1.0_2.0keV-px16.0arcsec-image.fits"
    image, exposure = data(image_path), data(archive.get_expmap_path(*where, pixel_size=PIXEL))
    events = fits.getdata(reduced.events("PN"), "EVENTS")
    assert image.sum() == np.sum((events["PI"] >= 1000) & (events["PI"] <= 2000) & (events["X"] > 0))
    assert fits.getheader(image_path)["CDELT2"] * 3600 == pytest.approx(16)
    plain = data(archive.get_expmap_path(*where, pixel_size=PIXEL, vignetted=False))
    middle = image.shape[0] // 2
    assert plain[middle - 2 : middle + 2].max() == pytest.approx(exposure.max(), rel=0.05)
    ratio = exposure[plain > 0.9 * plain.max()] / plain[plain > 0.9 * plain.max()]
    assert ratio.min() < 0.6
    mask = data(archive.get_mask_path(*where, pixel_size=PIXEL))
    without = data(archive.get_mask_path(*where, pixel_size=PIXEL, without_sources=True))
    # A circle of 40 arcsec in pixels of 16 arcsec.
    assert (mask - without).sum() == pytest.approx(np.pi * 2.5**2, abs=4)
    assert (mask >= without).all()
    subtracted_path = archive.get_image_path(*where, pixel_size=PIXEL, subtract_oot=True)
    share = fits.getheader(subtracted_path)["OOTSCALE"]
    assert share == pytest.approx(0.063, rel=0.05)
    assert data(subtracted_path).sum() == pytest.approx((1 - share) * image.sum(), rel=0.02)
    smooth = data(archive.get_image_path(*where, pixel_size=PIXEL, smooth=Quantity(32, "arcsec")))
    seen = exposure > 0.2 * exposure.max()
    assert (smooth * exposure)[seen].sum() == pytest.approx(data(subtracted_path)[seen].sum(), rel=0.05)
    adaptive = data(archive.get_image_path(*where, pixel_size=PIXEL, smooth="adaptive"))
    assert adaptive.max() > smooth.max()
    background = data(archive.get_background_path(*where, pixel_size=PIXEL))
    assert 0 < background[mask > 0].sum() < image[mask > 0].sum()
    source = (mask > 0) & (without == 0)
    assert background[source].sum() < 0.3 * image[source].sum()


def test_what_was_made_before_is_still_there(archive):
    run = archive.ledger.latest(X, "generate_images_expmaps", f"{OBS}PN")
    bands = [key for key in run.extra if key.startswith("image_")]
    assert bands == ["image_0.5_2.0keV", "image_2.0_10.0keV", "image_1.0_2.0keV_px16.0arcsec"]
    usual = archive.get_image_path(X, OBS, "PN", Quantity(500, "eV"), Quantity(2, "keV"))
    assert usual.name == layout.image(OBS, "PN", 0.5, 2.0).removeprefix("images/")
    # A call for what there is makes nothing again.
    generate_images_expmaps(archive, **QUIET)
    assert archive.ledger.latest(X, "generate_images_expmaps", f"{OBS}PN").id == run.id
    with pytest.raises(
        FileNotFoundError, match=r"M1: no ootsubimage_1.0_2.0keV_px16.0arcsec; .* made image_0.5"
    ):
        archive.get_image_path(X, OBS, "M1", *BAND, pixel_size=PIXEL, subtract_oot=True)
    with pytest.raises(ObsNotAssociatedError):
        archive.get_mask_path(X, "1", "PN", *BAND)


def test_images_from_the_command_line(archive, monkeypatch):
    done = CliRunner().invoke(
        app, ["images", str(archive.layout.root), "--bands", "1-2", "--pixel-size", "16", "--masks"]
    )
    assert done.exit_code == 0, done.output
    made = [Path(line) for line in done.output.splitlines() if line.endswith(".fits")]
    assert len(made) == 9
    assert all(path.is_file() and "en1.0_2.0keV-px16.0arcsec" in path.name for path in made)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--bands", "1-2,x"], "--bands: expected bands such as 0.3-1,1-2,2-7 [keV], got 'x'"),
        (["--bands", "2-1"], "--bands: 2-1 keV is empty; the lower energy goes first"),
        (["--bands", "1-2,1-2.0"], "--bands: a band is named twice"),
        (["--pixel-size", "4.33"], "--pixel-size: expected a multiple of 0.05 arcsec"),
        (
            ["--smooth", "much"],
            "--smooth: expected adaptive, or the sigma of a Gaussian [arcsec], got 'much'",
        ),
        (["--smooth", "-3"], "--smooth: expected a sigma above 0"),
        (["--regions", "gone.reg"], "--regions: no such file of regions: gone.reg"),
        (["--regions", "fk5; point(1,2)"], "a point has no area"),
    ],
)
def test_mistakes_cost_two_and_say_where(words, message):
    done = CliRunner().invoke(app, ["images", "nothing", *words])
    assert done.exit_code == 2
    for command in ("mosaic", "sources") if words[0] == "--bands" else ():
        assert CliRunner().invoke(app, [command, "nothing", *words]).output.count("--bands:") == 1
    said = "".join(c for c in done.output if c not in " │\n╭╰─╮╯")
    assert message.replace(" ", "") in said
