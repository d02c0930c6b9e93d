"""Processing of Chandra through the runner, with stand-ins for CIAO."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.units import Quantity
from fake_programs import FakeChandra, opened

from daxa.archive import Archive
from daxa.archive.provenance import as_lines, provenance
from daxa.exceptions import CIAONotFoundError, NoDependencyProcessError, NoValidMissionsError
from daxa.process.chandra import (
    chandra_repro,
    cleaned_chandra_evts,
    deflare,
    flux_image,
    prepare_chandra_info,
    rate_image,
)
from daxa.process.reproduce import reproduce
from daxa.process.simple import full_process_chandra

QUIET = {"num_cores": 1, "disable_progress": True}
IDENT = "4935ACIS"
ONE_BAND = {"en_bounds": Quantity([[0.5, 7.0]], "keV"), "effective_ens": Quantity([2.3], "keV")}

#: Each external step's command line, as the stand-in saw it.
REPRO = (
    "chandra_repro indir=4935 outdir=repro destreak=yes set_ardlib=no check_vf_pha=no pix_adj=default "
    "asol_update=yes pi_filter=yes cleanup=yes clobber=yes verbose=1 mode=h"
)
_IMAGE = (
    "fluximage infile=obsid4935-instACIS-subexpALL-en-cleanevents.fits outroot=band1 bands=0.5:7:2.3 "
    "binsize=4 asolfile=obsid4935-instACIS-subexpALL-aspectsolution.fits "
    "badpixfile=obsid4935-instACIS-subexpALL-badpix.fits maskfile=obsid4935-instACIS-subexpALL-mask.fits "
    "units={} parallel=no tmpdir=. cleanup=yes clobber=yes "
    "verbose=1 mode=h"
)
FLUX = _IMAGE.format("default psfecf=0.9")
RATE = _IMAGE.format("time")


def run_all(archive):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "578: nothing is left")
        for step in (chandra_repro, deflare, cleaned_chandra_evts):
            step(archive, **QUIET)
        for step in (flux_image, rate_image):
            step(archive, **ONE_BAND, **QUIET)


def flares_are_cut_and_exposures_follow(chandra):
    with opened(chandra, "chandra", "4935", "events/obsid4935-instACIS-subexpALL-en-cleanevents.fits") as new:
        times = new["EVENTS"].data["time"]
        assert not ((times >= 1000) & (times < 1400)).any()
        header = new["EVENTS"].header
        assert [header[k] for k in ("ONTIME", "ONTIME7", "ONTIME3")] == [5600, 5600, 5500]
        assert header["EXPOSURE"] == pytest.approx(0.98 * 5600)
        assert new[2].data["STOP"].tolist() == [1000, 6000]
    with opened(chandra, "chandra", "4935", "cleaning/obsid4935-instACIS-subexpALL-lightcurve.fits") as curve:
        # Bins of 200 s with what is between 0.5 and 7 keV: three of four events.
        assert curve["LIGHTCURVE"].data["COUNTS"][:4].tolist() == [150] * 4
        assert curve["LIGHTCURVE"].data["EXPOSURE"].tolist() == [200] * 30


def test_each_step_and_its_command_line(chandra, programs):
    run_all(chandra)
    assert programs.calls == [REPRO, FLUX, RATE]
    # What users find in the logs is what was run.
    assert chandra.process_logs["chandra"]["chandra_repro"][IDENT].splitlines()[0] == REPRO
    assert chandra.process_success["chandra"] == {
        "prepare_chandra_info": {"4935": True, "578": True},
        **{
            name: {IDENT: True}
            for name in ("chandra_repro", "deflare", "cleaned_chandra_evts", "flux_image", "rate_image")
        },
    }
    assert chandra.final_process_success["chandra"] == {"4935": True, "578": False}
    # The other has exposures of two lengths, which are left out.
    assert chandra.process_observation["chandra"]["578"] == {"ACIS": False, "HRC": False}
    assert chandra.observation_summaries["chandra"]["4935"]["ACIS"]["detector"] == "ACIS-7"
    folder = Path(chandra.get_current_data_path("chandra", "4935"))
    stem = "obsid4935-instACIS-subexpALL-"
    made = {p.relative_to(folder).as_posix() for p in folder.rglob("*.fits")}
    assert made == {
        *(f"events/{stem}{end}.fits" for end in ("en-events", "en-cleanevents")),
        *(f"cleaning/{stem}{end}.fits" for end in ("defaultGTI", "flaringGTI", "lightcurve")),
        *(f"misc/{stem}{end}.fits" for end in ("badpix", "FOVreg", "mask", "aspectsolution")),
        *(
            f"images/{stem}en0.5_7.0keV-{end}.fits"
            for end in ("image", "expmap", "ratemap", "weightedexpmap", "fluxmap", "psfmap")
        ),
    }
    flares_are_cut_and_exposures_follow(chandra)


def test_the_documentation_shows_these_command_lines():
    page = Path(__file__).parents[2] / "docs" / "other_missions.md"
    assert {REPRO, FLUX, RATE} <= set(page.read_text(encoding="utf-8").splitlines())


def test_what_is_made_is_not_made_again_but_what_has_changed_is(chandra, programs):
    run_all(chandra)
    programs.forget()
    run_all(chandra)
    assert programs.calls == []
    # Other flares: the lists and images that build on them are made anew, the reprocessing is not.
    deflare(chandra, allowed_sigma=2.0, min_length=2, **QUIET)
    assert programs.calls == []
    assert next(iter(chandra.process_configurations["chandra"][0])) == "prepare_chandra_info"
    cleaned_chandra_evts(chandra, lo_en=Quantity(0.4, "keV"), hi_en=Quantity(8, "keV"), **QUIET)
    flux_image(chandra, **ONE_BAND, **QUIET)
    assert [c.split()[0] for c in programs.calls] == ["fluximage"]
    assert "infile=obsid4935-instACIS-subexpALL-en0.4_8.0keVcleanevents" not in programs.calls[0]
    assert "en0.4_8.0keV-cleanevents.fits" in programs.calls[0]
    # A new CALDB: the reprocessing is made again.
    programs.forget()
    (Path(programs.folder).parent / "caldb/data/chandra/acis/caldb.indx").write_text("new")
    chandra_repro(chandra, **QUIET)
    assert programs.calls == [REPRO]


def test_bands_outside_the_cleaned_list_are_refused(chandra, programs):
    chandra_repro(chandra, **QUIET)
    deflare(chandra, **QUIET)
    cleaned_chandra_evts(chandra, Quantity(0.5, "keV"), Quantity(5, "keV"), **QUIET)
    with pytest.warns(
        UserWarning, match="band 0.5 to 7 keV reaches outside the cleaned event list, 0.5 to 5 keV"
    ):
        flux_image(chandra, **ONE_BAND, **QUIET)
    programs.forget()
    full_process_chandra(chandra, Quantity(0.5, "keV"), Quantity(5, "keV"), **QUIET)
    assert [c.split("bands=")[1].split()[0] for c in programs.calls] == ["0.5:1.2:0.92", "1.2:2:1.56"] * 2


def test_a_failure_is_told_and_taken_up_again(chandra, programs):
    programs.behave("[ $task != chandra_repro ] || fail 'the CALDB has no such file'")
    with pytest.warns(UserWarning, match="chandra_repro 4935ACIS: .*the CALDB has no such file"):
        full_process_chandra(chandra, **QUIET)
    assert chandra.final_process_success["chandra"] == {"4935": False, "578": False}
    assert chandra.process_errors["chandra"]["chandra_repro"][IDENT]
    programs.forget()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        full_process_chandra(chandra, **QUIET)
    assert chandra.final_process_success["chandra"]["4935"] is True


def test_a_job_that_takes_too_long_is_ended_with_all_it_started(chandra, programs):
    prepare_chandra_info(chandra, **QUIET)
    programs.behave('sleep 600 & echo $! > "$FAKE/child"; wait')
    with pytest.warns(UserWarning, match="time limit"):
        chandra_repro(chandra, timeout=Quantity(2, "s"), **QUIET)
    child = int((programs.folder / "child").read_text())
    status = Path(f"/proc/{child}/stat")
    assert not sys.platform.startswith("linux") or not status.exists() or status.read_text().split()[2] == "Z"


def test_without_ciao_one_error_says_how_it_is_recognised(chandra, monkeypatch):
    chandra_repro(chandra, **QUIET)
    monkeypatch.delenv("ASCDS_INSTALL")
    with pytest.raises(CIAONotFoundError, match="chandra_repro: needs CIAO, but ASCDS_INSTALL is not set"):
        full_process_chandra(chandra, **QUIET)
    # What is done in Python needs no CIAO.
    deflare(chandra, method="clean", **QUIET)
    cleaned_chandra_evts(chandra, **QUIET)
    assert chandra.process_success["chandra"]["cleaned_chandra_evts"] == {IDENT: True}


def test_the_record_is_whole(chandra):
    run_all(chandra)
    script = reproduce(chandra.ledger, chandra.archive_name, "chandra", "4935")
    lines = script.splitlines()
    raw = FakeChandra.get_obs_path(chandra["chandra"], "4935")
    assert f"raw={raw}  # the raw files" in lines
    assert 'ln -s "$raw" 4935' in lines
    assert REPRO in lines
    assert "# Made with: ciao (CIAO 4.17.0), python (DAXA" in script
    assert any(line.startswith('"$python" -m daxa.events selectevents table=') for line in lines)
    (image,) = Path(chandra.get_current_data_path("chandra", "4935")).glob("images/*-fluxmap.fits")
    origin = "\n".join(as_lines(provenance(image)))
    assert f"  $ {REPRO}" in origin
    assert "raw files" in origin
    again = Archive("chandra")
    assert again.process_success["chandra"] == chandra.process_success["chandra"]
    assert again.process_extra_info["chandra"]["cleaned_chandra_evts"][IDENT]["evt_clean_path"].endswith(
        "en-cleanevents.fits"
    )
    assert again.get_obs_to_process("chandra") == [["4935", "ACIS"]]
    assert np.all(again.check_dependence_success("chandra", [["4935", "ACIS"]], "rate_image"))


@pytest.mark.parametrize(
    ("step", "wrong", "kind"),
    [
        (chandra_repro, {"pix_adj": "none of these"}, ValueError),
        (chandra_repro, {"destreak": "yes"}, TypeError),
        (deflare, {"method": "eye"}, ValueError),
        (deflare, {"allowed_sigma": "3"}, TypeError),
        (deflare, {"allowed_sigma": 0}, ValueError),
        (deflare, {"min_length": 0}, ValueError),
        (deflare, {"min_length": 1.5}, TypeError),
        (deflare, {"time_bin_size": Quantity(0, "s")}, ValueError),
        (deflare, {"lc_lo_en": Quantity(8, "keV")}, ValueError),
        (deflare, {"lc_lo_en": None, "lc_hi_en": None}, ValueError),
        (cleaned_chandra_evts, {"allowed_grades": [9]}, ValueError),
        (cleaned_chandra_evts, {"allowed_grades": "0"}, TypeError),
        (flux_image, {"en_bounds": Quantity([1, 2, 3], "keV")}, ValueError),
        (flux_image, {"effective_ens": Quantity([1, 2], "keV")}, ValueError),
        (rate_image, {"acis_bin_size": 0}, ValueError),
        (rate_image, {"hrc_bin_size": "1"}, TypeError),
    ],
)
def test_wrong_arguments_are_named(chandra, step, wrong, kind):
    with pytest.raises(kind, match=rf"^\(?{next(iter(wrong))}"):
        step(chandra, **wrong)


def test_steps_in_the_wrong_order_or_on_other_missions(chandra, nustar):
    with pytest.raises(NoDependencyProcessError, match="deflare: chandra_repro must be run on chandra first"):
        deflare(chandra, **QUIET)
    with pytest.raises(NoValidMissionsError, match="prepare_chandra_info: works on chandra"):
        prepare_chandra_info(nustar)


def test_hrc(programs, monkeypatch):
    """No energies, one band, and the factors of its dead time."""
    monkeypatch.setattr(FakeChandra, "observed", ("144",))
    archive = Archive("hrc", FakeChandra(["HRC"]))
    chandra_repro(archive, **QUIET)
    deflare(archive, **QUIET)
    band = {"lo_en": Quantity(1, "keV"), "hi_en": Quantity(2, "keV")}
    with pytest.warns(UserWarning, match="144HRC: HRC tells neither energies nor grades"):
        cleaned_chandra_evts(archive, **band, **QUIET)
    rate_image(archive, **QUIET)
    assert programs.calls[1:] == [
        "fluximage infile=obsid144-instHRC-subexpALL-en-cleanevents.fits outroot=band1 bands=wide binsize=16 "
        "asolfile=obsid144-instHRC-subexpALL-aspectsolution.fits "
        "badpixfile=obsid144-instHRC-subexpALL-badpix.fits maskfile=obsid144-instHRC-subexpALL-mask.fits "
        "dtffile=obsid144-instHRC-subexpALL-deadtimefile.fits random=1 units=time parallel=no tmpdir=. "
        "cleanup=yes clobber=yes verbose=1 mode=h"
    ]
    (warning,) = archive.process_warnings["chandra"]["cleaned_chandra_evts"]["144HRC"]
    assert warning["name"] == "varyingDeadTime"
    folder = Path(archive.get_current_data_path("chandra", "144"))
    assert (folder / "images" / "obsid144-instHRC-subexpALL-en0.06_10.0keV-ratemap.fits").is_file()


def test_an_instrument_that_was_not_chosen_is_told(programs, monkeypatch):
    monkeypatch.setattr(FakeChandra, "observed", ("4935",))
    archive = Archive("hrc", FakeChandra(["HRC"]))
    with pytest.warns(UserWarning, match="4935: observed with ACIS, which is not among .* HRC"):
        prepare_chandra_info(archive, **QUIET)
