"""Sources of spectra, and which sub-exposures go together."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest
from astropy.coordinates import SkyCoord
from astropy.units import Quantity

from daxa.process.xmm import spectra
from daxa.process.xmm.source_places import (
    Place,
    check_sources,
    found_places,
    places_of_regions,
    positions_of,
    radius_of,
    region_task,
    seen_of,
)


def test_positions_in_every_form():
    one = SkyCoord(149.6, -11.1, unit="deg")
    assert positions_of(one) == [pytest.approx((149.6, -11.1))]
    assert positions_of([one, one]) == positions_of(SkyCoord([one, one]))
    assert positions_of((-10.0, 2)) == [(350.0, 2.0)]
    assert positions_of([[1, 2], [3, 4]]) == [(1.0, 2.0), (3.0, 4.0)]
    for wrong in ("M31", 3.0, [[1, 2, 3]], []):
        with pytest.raises(TypeError, match="positions"):
            positions_of(wrong)
    with pytest.raises(ValueError, match="positions"):
        positions_of((10, 95))


def test_radii_in_every_form():
    assert radius_of(None) == radius_of("background") == "background"
    assert radius_of(0.8) == "80%"
    assert radius_of(Quantity(0.5, "arcmin")) == 30.0
    for wrong in (2.0, Quantity(1, "deg")):
        with pytest.raises(ValueError, match="radius"):
            radius_of(wrong)


def test_regions_are_sources_without_what_they_exclude():
    text = "fk5; circle(150,2,0.01); box(150.1,2,0.02,0.01,30); -circle(150,2.005,0.001)"
    places = places_of_regions(text, extended=True)
    assert [p.name for p in places] == ["J100000.0+020000", "J100024.0+020000"]
    assert all("-circle" in p.region and p.extended for p in places)


def test_sources_far_from_the_pointing_are_left_out_and_names_are_used_once():
    info = pd.DataFrame({"ObsID": ["0800010101"], "ra": [0.1], "dec": [0.0]})
    mission = SimpleNamespace(name="xmm_pointed", filtered_obs_info=info)
    piece = SimpleNamespace(mission=mission, obs_id="0800010101", records=SimpleNamespace(notes={}))
    places = [Place("near", 359.9, 0.0), Place("near", 0.1, 0.0), Place("far", 0.1, 0.4)]
    assert seen_of(piece, places) == places[:1]


def test_sources_that_no_observation_sees_are_named():
    info = pd.DataFrame({"ObsID": ["0800010101", "0800010201"], "ra": [0.1, 5.0], "dec": [0.0, 0.0]})
    archive = SimpleNamespace(missions=[SimpleNamespace(name="xmm_pointed", filtered_obs_info=info)])
    seen, far, farther = Place("a", 4.9, 0.0), Place("b", 200.0, -11.0), Place("c", 9.5, 1.25)
    check_sources(archive, "generate_spectra", "positions", [seen])
    with pytest.warns(
        UserWarning, match=r"^generate_spectra: positions: .*\(200, -11\); made for the others"
    ):
        check_sources(archive, "generate_spectra", "positions", [seen, far])
    with pytest.raises(ValueError, match=r"^regions: no observation .*\(200, -11\), \(9.5, 1.25\)$"):
        check_sources(archive, "generate_lightcurves", "regions", [far, farther])


def test_colours_of_regions_tell_extended_sources(tmp_path):
    file = tmp_path / "found.reg"
    file.write_text('fk5\ncircle(150,2,40") # color=red\ncircle(150.1,2,180") # color=green\n')
    layout = SimpleNamespace(regions=lambda *given: file)
    piece = SimpleNamespace(
        archive=SimpleNamespace(layout=layout), mission=SimpleNamespace(name="m"), obs_id="1"
    )
    point, wide = found_places(piece, None, "80%")
    assert (point.extended, point.region, point.radius) == (False, "", "80%")
    assert wide.extended
    assert "circle(150.1" in wide.region
    assert not found_places(piece, False, "80%")[1].extended


def test_regions_of_a_source_are_asked_for_as_it_says():
    place = Place("J", 150.0, 2.0, "", True, 30.0)
    given = region_task("e.fits", place, "o.reg", "ccd", "s.reg", "b.reg").parameters
    assert given["radius"] == "30"
    assert (given["radiusstyle"], given["bkgstyle"], given["extendedsource"]) == ("fixed", "ccd", "yes")
    given = region_task("e.fits", Place("J", 1.0, 2.0, radius="75%"), "", "fk5; circle(1,2,3)", "s", "b")
    assert given.parameters["share"] == "0.75"
    assert given.parameters["bkgregion"] == "fk5; circle(1,2,3)"
    assert "otherset" not in given.parameters


@pytest.mark.parametrize(
    ("filters", "apart"), [(("Thin1", "Thin1"), [None]), (("Thin1", "Medium"), ["S001", "U002"])]
)
def test_sub_exposures_of_other_filters_are_kept_apart(filters, apart):
    names = ("S001", "U002")
    runs = {
        ("cleaned_evt_lists", f"0800010101M1{e}"): (SimpleNamespace(ok=True, inst="M1", exp_id=e), 1)
        for e in names
    }
    exposures = {e: {"filter": f, "mode": "PrimeFullWindow"} for e, f in zip(names, filters, strict=True)}
    records = SimpleNamespace(
        of=lambda *given: runs, observation=lambda *given: {"summary": {"M1": {"exposures": exposures}}}
    )
    mission = SimpleNamespace(name="xmm_pointed")
    piece = SimpleNamespace(records=records, mission=mission, obs_id="0800010101", inst="M1", exp_id=None)
    assert spectra._apart(piece) == apart
    assert spectra._note(piece, spectra.MatrixOptions()) is None
    piece.exp_id = "S001"
    assert "kept apart" in spectra._note(piece, spectra.MatrixOptions())
