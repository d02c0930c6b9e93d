"""Accessors of products: what they name, what they read, what they say."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from astropy.io import fits
from astropy.units import Quantity
from small_mission import MISSIONS, OBS, OtherMission, SmallMission, X, record

from daxa.archive import Archive, layout
from daxa.archive.layout import Named, read_name
from daxa.exceptions import (
    DAXAError,
    MissionNotAssociatedError,
    NoProductError,
    NoRegionsAssociatedError,
    ObsNotAssociatedError,
    OptionalPackageError,
    WrongTypeError,
)

ONE, TWO = OBS
SOFT = Quantity([0.5, 2], "keV")
_EMPTY = [-1, 0, -1, -1, 0, -1, 0, -1, 0, -1, 0, -1, -1]


def row(time_s, column, rate):
    values = [time_s, *_EMPTY]
    values[column] = rate
    return "  ".join(map(str, values))


#: Rates of the field, then of the corners.
QDP = "\n".join([row(10, 4, 1.5), row(70, 4, 2.5), row(10, 8, 0.2), row(70, 8, 0.1)])


def write(archive, obs_id, name, content=b""):
    path = archive.obs_folder(X, obs_id) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, fits.HDUList):
        content.writeto(path)
    else:
        path.write_bytes(content)
    return path


def made(archive, process, ident, files, **values):
    """A run that has recorded files, which are there."""
    for name, content in files.values():
        write(archive, ident[:10], name, content)
    record(archive, process, ident, extra={k: {"path": name} for k, (name, _) in files.items()}, **values)


def events(start=100.0):
    rows = fits.BinTableHDU.from_columns(
        [
            fits.Column("TIME", "D", "s", array=start + np.arange(3.0)),
            fits.Column("PI", "J", array=[1, 2, 3]),
        ],
        name="EVENTS",
    )
    rows.header["TSTART"], rows.header["MJDREF"] = start, 50814.0
    return fits.HDUList([fits.PrimaryHDU(), rows])


def picture(unit=None):
    hdu = fits.PrimaryHDU(np.ones((4, 4)))
    for key, value in {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 149.6, "CRVAL2": -11.1}.items():
        hdu.header[key] = value
    if unit:
        hdu.header["BUNIT"] = unit
    return fits.HDUList([hdu])


@pytest.fixture(autouse=True)
def _index(monkeypatch):
    monkeypatch.setattr("daxa.mission.MISS_INDEX", MISSIONS)


@pytest.fixture
def archive():
    """Two observations: of the first all cameras' products, of the second MOS1 in two sub-exposures."""
    archive = Archive("field", SmallMission())
    for inst in ("PN", "M1"):
        final = {"final": (layout.final_events(ONE, inst), events())}
        made(archive, "merge_subexposures", f"{ONE}{inst}", final)
        bands = {
            layout.image_key(kind, lo, hi): (layout.image_product(ONE, inst, kind, lo, hi), picture(unit))
            for lo, hi in ((2.0, 10.0), (0.5, 2.0))
            for kind, unit in (("image", None), ("expmap", "s"))
        }
        made(archive, "generate_images_expmaps", f"{ONE}{inst}", bands)
    for obs_id, inst, exp in ((ONE, "PN", "S003"), (TWO, "M1", "S001"), (TWO, "M1", "U002")):
        chain = "epchain" if inst == "PN" else "emchain"
        made(
            archive, chain, f"{obs_id}{inst}{exp}", {"evt_list": (layout.events(obs_id, inst, exp), events())}
        )
        files = {
            "gti_path": (layout.flare_gti(obs_id, inst, exp, 2500, 8500), events()),
            "hist_path": (layout.flare_histogram(obs_id, inst, exp, 2500, 8500), QDP.encode()),
        }
        made(archive, "espfilt", f"{obs_id}{inst}{exp}", files)
    return archive


def test_one_name_gives_one_product_and_all_others_a_dictionary(archive):
    path = archive.events(ONE, "PN")
    assert path == archive.obs_folder(X, ONE) / layout.final_events(ONE, "PN")
    assert archive.events(ONE, "pn") == path
    assert archive.events() == archive.events(ONE) == archive.events(OBS, mission=X)
    assert archive.events() == {Named(ONE, "M1"): archive.events(ONE, "M1"), Named(ONE, "PN"): path}
    assert list(archive.events(inst="PN")) == [Named(ONE, "PN")]
    assert archive.events(ONE, ["PN"]) == {Named(ONE, "PN"): path}


def test_images_are_named_by_their_band_too(archive):
    path = archive.images(ONE, "PN", *SOFT)
    assert path == archive.get_image_path(X, ONE, "PN", *SOFT)
    assert archive.exposure_maps(ONE, "PN", Quantity(500, "eV"), SOFT[1]) == archive.get_expmap_path(
        X, ONE, "PN", *SOFT
    )
    assert [name.band for name in archive.images(ONE, "PN")] == [(0.5, 2.0), (2.0, 10.0)]
    assert [name.inst for name in archive.images(ONE, None, *SOFT)] == ["M1", "PN"]


def test_of_several_sub_exposures_one_has_to_be_said(archive):
    assert [name.exp_id for name in archive.gti(TWO)] == ["S001", "U002"]
    assert archive.gti(TWO, "M1", "U002").name.endswith("U002-en2500_8500keV-gti.fits")
    assert archive.gti(ONE, "PN").name.endswith("S003-en2500_8500keV-gti.fits")
    with pytest.raises(ValueError, match="exp_id: 0800010201 M1 has several: S001, U002"):
        archive.gti(TWO, "M1")
    with pytest.raises(NoProductError, match="there are: gti of exposure S001, gti of exposure U002"):
        archive.gti(TWO, "M1", "S009")


def test_objects(archive):
    table = archive.events(ONE, "PN", as_="table")
    assert table.colnames == ["TIME", "PI"]
    assert str(table["TIME"].unit) == "s"
    image = archive.images(ONE, "PN", *SOFT, as_="ccddata")
    assert image.unit == "ct"
    assert image.wcs.wcs.crval.tolist() == [149.6, -11.1]
    assert archive.exposure_maps(ONE, "PN", *SOFT, as_="ccddata").unit == "s"
    curve = archive.lightcurve(ONE, "PN", as_="table")
    assert curve["TIME"].tolist() == [110.0, 170.0]
    assert curve["RATE"].tolist() == [1.5, 2.5]
    assert curve["CORNERS"].tolist() == [0.2, 0.1]
    assert curve.meta == {"MJDREF": 50814.0, "LOWEST": None, "HIGHEST": None}
    curves = archive.lightcurve(as_="table")
    assert [len(c) for c in curves.values()] == [2, 2, 2]


def test_stingray(archive):
    pytest.importorskip("stingray", reason="stingray is not installed")
    curve = archive.lightcurve(ONE, "PN", as_="stingray")
    assert curve.countrate.tolist() == [1.5, 2.5]
    assert (curve.dt, curve.mjdref) == (60, 50814)


def test_without_stingray(archive, monkeypatch):
    monkeypatch.setitem(sys.modules, "stingray", None)
    with pytest.raises(OptionalPackageError, match="pip install stingray"):
        archive.events(ONE, "PN", as_="stingray")


def test_regions(archive):
    with pytest.raises(NoRegionsAssociatedError, match="find_sources"):
        archive.regions(ONE)
    archive.source_regions = {X: {ONE: 'fk5\ncircle(149.6,-11.1,10")'}}
    assert archive.regions() == {ONE: archive.regions(ONE)}
    assert archive.regions(ONE).name == "source_regions_radec.reg"
    (region,) = archive.regions(ONE, as_="regions")
    assert region.center.ra.deg == pytest.approx(149.6)


def test_spectra_are_named_by_their_source(archive):
    for source in ("J095828.5-110331", "J095805.7-110920"):
        files = {
            kind: (f"spectra/obsid{ONE}-instPN-subexpALL-{source}-{kind}.fits", events())
            for kind in ("spectrum", "background", "arf")
        }
        made(archive, "generate_spectra", f"{ONE}PN-{source}", files)
    assert [name.source for name in archive.spectra(ONE, "PN")] == ["J095805.7-110920", "J095828.5-110331"]
    assert archive.spectra(ONE, "PN", source).name.endswith("J095805.7-110920-spectrum.fits")
    assert len(archive.spectra(ONE, "PN", source, kind="arf", as_="table")) == 3
    with pytest.raises(NoProductError, match="no spectrum of J1; there are: spectrum of J09"):
        archive.spectra(ONE, "PN", "J1")


def test_light_curves_of_sources(archive):
    name = layout.curve_name("J095805.7-110920", (0.5, 10.0), 100.0)
    path = layout.curve_file(ONE, "PN", name, "lightcurve")
    made(archive, "generate_lightcurves", f"{ONE}PN-{name}", {"lightcurve": (path, events())})
    assert archive.lightcurve(ONE, "PN", source="J095805.7-110920").name == path.rpartition("/")[2]
    with pytest.raises(NoProductError, match="no lightcurve of J1; there are"):
        archive.lightcurve(ONE, "PN", source="J1")
    wide = path.replace("bin100.0s", "bin500.0s")
    made(archive, "generate_lightcurves", f"{ONE}PN-wide", {"lightcurve": (wide, events())})
    with pytest.raises(ValueError, match=r"source: J095805.7-110920 has several: .*bin100.0s.*bin500.0s"):
        archive.lightcurve(ONE, "PN", source="J095805.7-110920")


def test_what_is_not_there(archive):
    record(
        archive,
        "merge_subexposures",
        f"{TWO}PN",
        status="failed",
        errors=[{"originator": "x", "name": "y", "message": "z"}],
    )
    for call, text in {
        lambda: archive.events(ONE, kind="clean"): "cleaned_evt_lists makes it, and has not been run yet",
        lambda: archive.events(TWO, "M1"): "merge_subexposures, which makes it, has not been run on this",
        lambda: archive.events(TWO, "PN"): "merge_subexposures of 0800010201PN has failed: z",
        lambda: archive.images(ONE, "PN", SOFT[0], 3 * SOFT[0]): "no image at 0.5 to 1.5 keV; there are: "
        "image at 2 to 10 keV, image at 0.5 to 2 keV",
        lambda: archive.images(ONE, "PN", kind="backmap"): "no backmap; there are: image at 2",
        lambda: archive.sources(ONE): r"daxa.process.find_sources\(archive\)",
    }.items():
        with pytest.raises(NoProductError, match=text):
            call()
    archive.events(ONE, "PN").unlink()
    with pytest.raises(NoProductError, match="is gone; the step that has made it"):
        archive.events(ONE, "PN")
    with pytest.warns(UserWarning, match="recorded, but gone: .*instPN"):
        assert list(archive.events(ONE)) == [Named(ONE, "M1")]


def test_a_damaged_file_is_named(archive):
    archive.events(ONE, "PN").write_bytes(b"no FITS")
    with pytest.raises(DAXAError, match=r"instPN-subexpALL-en-finalevents.fits: cannot be read"):
        archive.events(ONE, "PN", as_="table")


def test_wrong_arguments_are_named(archive):
    for error, text, call in (
        (
            ObsNotAssociatedError,
            "obs_id: '0800010102' is not in .* near it: 0800010101",
            lambda: archive.events("0800010102"),
        ),
        (WrongTypeError, "obs_id: expected text", lambda: archive.events(800010101)),
        (WrongTypeError, "inst: expected text", lambda: archive.events(ONE, 1)),
        (
            ValueError,
            "inst: 'm2' was not chosen for this archive; it has M1, PN",
            lambda: archive.gti(ONE, "m2"),
        ),
        (ValueError, "inst: 'ACIS' is no instrument", lambda: archive.gti(ONE, "ACIS")),
        (MissionNotAssociatedError, "mission: 'chandra'", lambda: archive.gti(mission="chandra")),
        (ValueError, "kind: expected one of final, clean", lambda: archive.events(kind="cleaned")),
        (ValueError, "as_: expected one of path, table, stingray", lambda: archive.events(as_="Table")),
        (ValueError, "lo_en, hi_en: expected both", lambda: archive.images(lo_en=SOFT[0])),
        (
            WrongTypeError,
            "lo_en: expected a quantity such as Quantity",
            lambda: archive.images(lo_en=0.5, hi_en=2),
        ),
    ):
        with pytest.raises(error, match=text):
            call()


def test_one_obs_id_of_two_missions(archive):
    both = Archive("both", [SmallMission(), OtherMission()])
    with pytest.raises(MissionNotAssociatedError, match="is an ObsID of xmm_pointed and of other"):
        both.events(ONE, "PN")
    with pytest.raises(NoProductError, match="no step makes such a product of other"):
        both.events(ONE, "PN", mission="other")


def test_names_of_files():
    for name, named, kind in (
        (layout.final_events(ONE, "PN"), Named(ONE, "PN"), "finalevents"),
        (
            layout.final_events(ONE, "TM1_TM2", "0.2_10.0keV"),
            Named(ONE, "TM1_TM2", "ALL", (0.2, 10)),
            "finalevents",
        ),
        (layout.flare_gti(ONE, "PN", "S003", 2500, 8500), Named(ONE, "PN", "S003"), "gti"),
        (
            layout.erosita_flares(ONE, "TM1", "200_10000PI", "lightcurve"),
            Named(ONE, "TM1"),
            "en200_10000PI-lightcurve",
        ),
        (
            layout.ready_made("3205", "ACIS", None, "image", 0.5, 7.0),
            Named("3205", "ACIS", "ALL", (0.5, 7)),
            "image",
        ),
        (
            layout.image_product(ONE, "M1", "smooth4.0arcsec", 0.5, 2),
            Named(ONE, "M1", "ALL", (0.5, 2)),
            "smooth4.0arcsec",
        ),
    ):
        assert read_name(name) == (named, kind, None)
    assert read_name("ccf.cif") is None
