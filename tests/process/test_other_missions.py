"""Steps of other missions: their public functions, and that every argument reaches what is run."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path

import pytest
from astropy.units import Quantity

from daxa.process import PROC_LOOKUP, chandra_repro
from daxa.process.options import Running
from daxa.process.settings import redo_mode
from daxa.process.simple import full_process_chandra, full_process_nustar
from daxa.process.step import Piece

FUNCTIONS = {
    **PROC_LOOKUP["chandra"],
    "full_process_chandra": full_process_chandra,
    **PROC_LOOKUP["nustar_pointed"],
    "full_process_nustar": full_process_nustar,
}
NUSTAR = {*PROC_LOOKUP["nustar_pointed"], "full_process_nustar"}
SHARED = {item.name for item in fields(Running)}
BAND = {"lo_en": Quantity(0.3, "keV"), "hi_en": Quantity(9, "keV")}
IMAGES = {
    "en_bounds": Quantity([[0.5, 1], [1, 7], [1, 2], [2, 7], [0.3, 0.5]], "keV"),
    "effective_ens": Quantity([2, 1, 1, 4, 0.4], "keV"),
    "acis_bin_size": 2,
    "hrc_bin_size": 8,
}
#: Argument of each function -> a value other than the default.
GIVEN = {
    "prepare_chandra_info": {},
    "chandra_repro": {
        "destreak": False,
        "check_very_faint": True,
        "pix_adj": "edser",
        "asol_update": False,
        "grating_pi_filter": False,
    },
    "deflare": {
        "method": "clean",
        "allowed_sigma": 2,
        "min_length": 5,
        "time_bin_size": Quantity(5, "min"),
        "lc_lo_en": Quantity(1, "keV"),
        "lc_hi_en": Quantity(9, "keV"),
    },
    "cleaned_chandra_evts": {
        "lo_en": Quantity(0.4, "keV"),
        "hi_en": Quantity(8, "keV"),
        "allowed_grades": (0, 2),
    },
    "flux_image": IMAGES,
    "rate_image": IMAGES,
    "full_process_chandra": {
        "evt_lo_en": Quantity(0.4, "keV"),
        "evt_hi_en": Quantity(8, "keV"),
        "redo": "all",
    },
    "prepare_nustar_info": {},
    "nupipeline_calibrate": {
        "hp_time_bin": Quantity(300, "s"),
        "hp_cell_bin": Quantity(7, "pix"),
        "hp_imp": 2.0,
        "hp_log_pos": -5.3,
        "hp_bck_thr": 8,
        "asp_ab_corr": False,
    },
    "nupipeline_screen": {
        "saa_mode": "OPTIMIZED",
        "tentacle": True,
        "status_expr": "SHIELD==0",
        "exposure_map": False,
        "expmap_vignetting": False,
        "expmap_energy": Quantity(20, "keV"),
    },
    "nuproducts": {
        "ra": Quantity(10, "deg"),
        "dec": Quantity(10, "deg"),
        "radius": Quantity(30, "arcsec"),
        "bkg_inner": Quantity(100, "arcsec"),
        "bkg_outer": Quantity(300, "arcsec"),
        "time_bin": Quantity(100, "s"),
        "extended": True,
    },
    "sky_images": {"pi_lo": 100, "pi_hi": 200},
    "full_process_nustar": {
        "evt_lo_en": Quantity(4, "keV"),
        "evt_hi_en": Quantity(20, "keV"),
        "redo": "never",
    },
}
#: Arguments that DAXA 0.3 has and that change nothing here, with a warning.
WARNED = {("full_process_nustar", "evt_lo_en"), ("full_process_nustar", "evt_hi_en")}
#: What an argument needs beside it.
BESIDE = {
    **{("cleaned_chandra_evts", limit): BAND for limit in BAND},
    **{("full_process_chandra", f"evt_{n}"): {f"evt_{k}": v for k, v in BAND.items()} for n in BAND},
    ("nuproducts", "ra"): {"ra": Quantity(9, "deg"), "dec": Quantity(9, "deg")},
    ("nuproducts", "dec"): {"ra": Quantity(9, "deg"), "dec": Quantity(9, "deg")},
}


class Made(Piece):
    """A piece of which everything has been made."""

    def made(self, process, key, *, ident=None):
        return Path("/made") / process / key

    def made_if_any(self, process, key, *, ident=None):
        return None if key == "aspect_solution1" else self.made(process, key)

    def run_of(self, process, *, ident=None):
        return None


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_argument_has_its_line_and_its_value_here(name):
    function = FUNCTIONS[name]
    parameters = inspect.signature(function).parameters
    assert function.__name__ == name
    assert set(parameters) - {"obs_archive"} - SHARED == set(GIVEN[name])
    _, _, section = function.__doc__.partition("Parameters\n----------\n")
    lines = section.partition("\n\n")[0].splitlines()
    assert [line.split(" : ")[0] for line in lines if not line.startswith(" ")] == list(parameters)
    mission = "NuSTAR" if name in NUSTAR else "Chandra"
    assert f"Archive with {mission} observations." in section


def test_order_of_arguments_is_that_of_daxa():
    assert chandra_repro is FUNCTIONS["chandra_repro"]
    for name in ("chandra_repro", "deflare", "cleaned_chandra_evts", "flux_image", "nupipeline_calibrate"):
        names = list(inspect.signature(FUNCTIONS[name]).parameters)
        assert names == ["obs_archive", *GIVEN[name], "num_cores", "disable_progress", "timeout", "executor"]
    for name in ("full_process_chandra", "full_process_nustar"):
        own = [n for n in GIVEN[name] if n != "redo"]
        assert list(inspect.signature(FUNCTIONS[name]).parameters)[1 : len(own) + 3] == [
            *own,
            "num_cores",
            "timeout",
        ]


@pytest.mark.parametrize("mission", ["chandra", "nustar"])
def test_every_argument_changes_what_is_run(mission, request, monkeypatch):
    archive = request.getfixturevalue(mission)
    (its,) = archive.missions
    calls = []
    for module in ("setup", "assemble", "clean", "generate"):
        monkeypatch.setattr(
            f"daxa.process.{mission}.{module}.run_steps", lambda *given: calls.append((*given, redo_mode()))
        )
    monkeypatch.setattr("daxa.process.simple.run_steps", lambda *given: calls.append((*given, redo_mode())))

    def of(name, **given):
        FUNCTIONS[name](archive, **given)
        _, steps, _, _, redo = calls[-1]
        found = [redo]
        for step, options in steps:
            for inst in step.instruments or (None,):
                piece = Made(archive, its, its.filtered_obs_ids[0], inst)
                recipe = step.recipe(piece, options)
                found.append([step.name, [str(t) for t in recipe.tasks], recipe.outputs])
        return found

    silent = []
    for name in (n for n in FUNCTIONS if (n in NUSTAR) == (mission == "nustar")):
        for argument, value in GIVEN[name].items():
            if (name, argument) in WARNED:
                with pytest.warns(UserWarning, match=argument):
                    of(name, **{argument: value})
                continue
            beside = BESIDE.get((name, argument), {})
            if of(name, **beside | {argument: value}) == of(name, **beside):
                silent.append(f"{name}: {argument}")
    assert not silent
