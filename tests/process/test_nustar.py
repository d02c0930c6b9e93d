"""Processing of NuSTAR through the runner, with stand-ins for NuSTARDAS."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from astropy.units import Quantity
from fake_programs import opened

from daxa.exceptions import NoDependencyProcessError, NuSTARDASNotFoundError
from daxa.process.nustar import (
    nupipeline_calibrate,
    nupipeline_screen,
    nuproducts,
    prepare_nustar_info,
    sky_images,
)
from daxa.process.reproduce import reproduce
from daxa.process.simple import full_process_nustar

QUIET = {"num_cores": 1, "disable_progress": True}
N = "nustar_pointed"
FIRST, SECOND = "30001039002", "30001039004"

#: Each external step's command line, as the stand-in saw it.
CALIBRATE = (
    "nupipeline indir=30001039002 steminputs=nu30001039002 outdir=out instrument=FPMA obsmode=SCIENCE "
    "entrystage=1 "
    "exitstage=1 hpbinsize=600 hpcellsize=5 impfac=1 logpos=-6 bthresh=6 aberration=yes initseed=yes "
    "clobber=yes "
    "chatter=3"
)
SCREEN = (
    "nupipeline indir=30001039002 steminputs=nu30001039002 outdir=out instrument=FPMA obsmode=SCIENCE "
    "entrystage=2 "
    "exitstage=2 fpma_infile=nu30001039002A_uf.evt attfile=nu30001039002_att.fits "
    "inmastaspectfile=nu30001039002_mast.fits inpsdfilecor=nu30001039002_psdcorr.fits "
    "fpma_inoptaxisfile=nu30001039002A_oa.fits fpma_indet1reffile=nu30001039002A_det1.fits saamode=NONE "
    "tentacle=no createexpomap=yes expovignflag=yes energy=10 initseed=yes clobber=yes chatter=3"
)
PRODUCTS = (
    "nuproducts indir=. instrument=FPMA steminputs=nu30001039002 outdir=products srcra=149.600000 "
    "srcdec=-11.100000 bkgra=149.600000 bkgdec=-11.100000 srcradius=20 bkgradius1=50 bkgradius2=80 "
    "binsize=10 "
    "extended=no initseed=yes clobber=yes chatter=3"
)


def test_each_step_and_its_command_line(nustar, programs):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        full_process_nustar(nustar, **QUIET)
        nuproducts(nustar, **QUIET)
    calls = [c for c in programs.calls if "instrument=FPMA" in c and FIRST in c]
    assert calls == [CALIBRATE, SCREEN, PRODUCTS]
    # The second module of the second observation saw nothing.
    assert len(programs.calls) == 9
    idents = {f"{FIRST}FPMA", f"{FIRST}FPMB", f"{SECOND}FPMA"}
    for process in ("nupipeline_calibrate", "nupipeline_screen", "nuproducts", "sky_images"):
        assert nustar.process_success[N][process] == dict.fromkeys(idents, True)
    assert nustar.final_process_success[N] == {FIRST: True, SECOND: True}
    assert nustar.process_observation[N][SECOND] == {"FPMA": True, "FPMB": False}
    folder = Path(nustar.get_current_data_path(N, FIRST))
    stem = f"obsid{FIRST}-instFPMA-subexpALL-"
    made = {
        p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and "FPMB" not in p.name
    }
    kinds = (
        "badpix",
        "hotpix",
        "refpixel",
        "opticalaxis",
        "attitude",
        "mast",
        "psd",
        "psdcorr",
        "housekeeping",
    )
    assert made - {n for n in made if n.startswith("logs/")} == {
        f"misc/obsid{FIRST}-contents.json",
        *(f"misc/{stem}{kind}.fits" for kind in kinds),
        f"events/{stem}en-events.fits",
        f"events/{stem}en-finalevents.fits",
        f"cleaning/{stem}GTI.fits",
        *(f"images/{stem}{kind}.fits" for kind in ("expmap", "pi35_1909-image", "pi35_1909-ratemap")),
        *(
            f"spectra/nu{FIRST}{m}01_{end}"
            for m in "AB"
            for end in ("sr.pha", "bk.pha", "sr.lc", "bk.lc", "sr.arf", "sr.rmf", "sk.img")
        ),
    }
    with opened(nustar, N, FIRST, f"images/{stem}pi35_1909-ratemap.fits") as rate:
        # Channels 35 to 37 at pixels 3, 4 and 3; 50 s of exposure.
        assert rate[0].data[[2, 3], [2, 3]] == pytest.approx([0.04, 0.02])
        assert rate[0].data.sum() == pytest.approx(0.06)
        assert rate[0].header["CRPIX1"] == 500.5
    # The second stage has changed its copy, not the product of the first.
    with opened(nustar, N, FIRST, f"events/{stem}en-events.fits") as events:
        assert len(events["EVENTS"].data) == 5


def test_the_documentation_shows_these_command_lines():
    page = Path(__file__).parents[2] / "docs" / "other_missions.md"
    assert {CALIBRATE, SCREEN, PRODUCTS} <= set(page.read_text(encoding="utf-8").splitlines())


def test_arguments_reach_the_command_line(nustar, programs):
    nupipeline_calibrate(
        nustar,
        Quantity(10, "min"),
        Quantity(7, "pix"),
        1.5,
        -5.3,
        4,
        asp_ab_corr=False,
        **QUIET,
    )
    assert "hpbinsize=600 hpcellsize=7 impfac=1.5 logpos=-5.3 bthresh=4 aberration=no" in programs.calls[0]
    nupipeline_screen(
        nustar,
        saa_mode="STRICT",
        tentacle=True,
        status_expr="STATUS==b0000xxx00xxxx000",
        exposure_map=False,
        **QUIET,
    )
    assert "saamode=STRICT tentacle=yes createexpomap=no statusexpr='STATUS" not in programs.calls[-1]
    assert "createexpomap=no statusexpr=STATUS==b0000xxx00xxxx000 initseed" in programs.calls[-1]
    nuproducts(
        nustar, Quantity(150, "deg"), Quantity(-11, "deg"), Quantity(1, "arcmin"), extended=True, **QUIET
    )
    assert "srcra=150.000000 srcdec=-11.000000" in programs.calls[-1]
    assert "srcradius=24.3902 " in programs.calls[-1]
    assert nustar.process_extra_info[N]["nuproducts"][f"{FIRST}FPMA"]["ra"] == 150


def test_one_module_fails_and_the_other_goes_on(nustar, programs):
    programs.behave(
        "[ $p_instrument != FPMB ] || { echo \"nupipeline_0.4.9: Error: running 'nuflagbad'\"; exit 1; }"
    )
    with pytest.warns(UserWarning, match=f"nupipeline_calibrate {FIRST}FPMB: .*running 'nuflagbad'"):
        full_process_nustar(nustar, **QUIET)
    assert nustar.final_process_success[N] == {FIRST: True, SECOND: True}
    error = nustar.process_errors[N]["nupipeline_calibrate"][f"{FIRST}FPMB"]
    assert "nupipeline" in str(error)
    programs.forget()
    full_process_nustar(nustar, **QUIET)
    assert len(programs.calls) == 2
    assert all("instrument=FPMB" in c for c in programs.calls)


def test_without_nustardas_one_error_says_how_it_is_recognised(nustar, monkeypatch):
    monkeypatch.setenv("CALDB", "/nowhere")
    prepare_nustar_info(nustar, **QUIET)
    with pytest.raises(
        NuSTARDASNotFoundError, match="nupipeline_calibrate: needs NuSTARDAS, but CALDB is /nowhere"
    ):
        nupipeline_calibrate(nustar, **QUIET)


def test_the_script_makes_it_again(nustar):
    full_process_nustar(nustar, **QUIET)
    lines = reproduce(nustar.ledger, nustar.archive_name, N, FIRST).splitlines()
    assert CALIBRATE in lines
    assert SCREEN in lines
    assert f'ln -s "$raw" {FIRST}' in lines
    stem = f'"$here"/processed_data/{N}/{FIRST}'
    assert f"cp {stem}/events/obsid{FIRST}-instFPMA-subexpALL-en-events.fits nu{FIRST}A_uf.evt" in lines


@pytest.mark.parametrize(
    ("step", "wrong", "kind"),
    [
        (nupipeline_calibrate, {"hp_time_bin": Quantity(0, "s")}, ValueError),
        (nupipeline_calibrate, {"hp_cell_bin": Quantity(4, "pix")}, ValueError),
        (nupipeline_calibrate, {"hp_cell_bin": Quantity(5.5, "pix")}, ValueError),
        (nupipeline_calibrate, {"hp_imp": 0}, ValueError),
        (nupipeline_calibrate, {"hp_log_pos": 6.0}, ValueError),
        (nupipeline_calibrate, {"hp_bck_thr": 1.5}, TypeError),
        (nupipeline_calibrate, {"asp_ab_corr": "no"}, TypeError),
        (nupipeline_screen, {"saa_mode": "strict"}, ValueError),
        (nupipeline_screen, {"status_expr": " "}, TypeError),
        (nupipeline_screen, {"expmap_energy": Quantity(0, "keV")}, ValueError),
        (nuproducts, {"ra": Quantity(1, "deg")}, ValueError),
        (nuproducts, {"ra": Quantity(361, "deg"), "dec": Quantity(0, "deg")}, ValueError),
        (nuproducts, {"radius": Quantity(20, "arcmin")}, ValueError),
        (nuproducts, {"bkg_inner": Quantity(200, "arcsec")}, ValueError),
        (nuproducts, {"time_bin": Quantity(0, "s")}, ValueError),
        (sky_images, {"pi_lo": 2000}, ValueError),
        (sky_images, {"pi_lo": 1.5}, TypeError),
    ],
)
def test_wrong_arguments_are_named(nustar, step, wrong, kind):
    with pytest.raises(kind, match=f"^{next(iter(wrong))}"):
        step(nustar, **wrong)


def test_stages_in_the_wrong_order(nustar):
    with pytest.raises(NoDependencyProcessError, match="nupipeline_calibrate must be run"):
        nupipeline_screen(nustar, **QUIET)
