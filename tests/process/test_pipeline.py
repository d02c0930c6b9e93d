"""The steps, on a stand-in for SAS."""

from __future__ import annotations

import concurrent.futures
import os
import re
import warnings
from datetime import datetime
from pathlib import Path

import pytest
from astropy.units import Quantity, UnitConversionError
from fake_sas import FakeMission

from daxa.archive import Archive
from daxa.exceptions import NoDependencyProcessError, NoProcessingError
from daxa.process import PROC_LOOKUP, use_executor
from daxa.process.simple import full_process_xmm
from daxa.process.xmm.assemble import cleaned_evt_lists, emchain, epchain, merge_subexposures
from daxa.process.xmm.check import emanom, parse_emanom_out
from daxa.process.xmm.clean import espfilt
from daxa.process.xmm.generate import generate_images_expmaps
from daxa.process.xmm.grating import rgs_events
from daxa.process.xmm.setup import cif_build, odf_ingest

X = "xmm_pointed"


def files(archive):
    return {str(p.relative_to(archive.layout.root)) for p in archive.layout.root.rglob("*") if p.is_file()}


def contents(archive):
    root = archive.layout.root
    return {
        n: (root / n).read_bytes()
        for n in files(archive)
        if n.startswith("processed_data") and "/logs/" not in n
    }


def test_the_back_end_is_named_once(archive, capsys, monkeypatch):
    monkeypatch.setattr("daxa.process.runner._announced", set())
    cif_build(archive)
    odf_ingest(archive)
    assert capsys.readouterr().err.count("tasks are run by SAS") == 1


def test_the_whole_pipeline_leaves_the_files_under_their_names(archive):
    full_process_xmm(archive, num_cores=4)
    made = files(archive)
    for obs_id, cameras in {
        "0800010101": ["M1/S001", "M2/S002", "PN/S003"],
        "0800010201": ["M1/S001", "M1/U002", "M2/S002", "PN/S003"],
    }.items():
        here = f"processed_data/{X}/{obs_id}"
        assert f"{here}/ccf.cif" in made
        assert f"{here}/3100_{obs_id}_SCX00000SUM.SAS" in made
        assert f"{here}/P{obs_id}OBX000ATTTSR0000.FIT" in made
        for inst, exp_id in (c.split("/") for c in cameras):
            stem = f"obsid{obs_id}-inst{inst}-subexp{exp_id}"
            assert f"{here}/events/{stem}-events.fits" in made
            assert f"{here}/cleaning/{stem}-en2500_8500keV-gti.fits" in made
            assert f"{here}/cleaning/{stem}-en2500_8500keV-hist.qdp" in made
            assert f"{here}/background/{stem}-allgoodevents.fits" in made
            assert f"{here}/events/{stem}-en-cleanevents.fits" in made
        for inst in ("M1", "M2", "PN"):
            stem = f"obsid{obs_id}-inst{inst}-subexpALL"
            assert f"{here}/events/{stem}-en-finalevents.fits" in made
            assert f"{here}/background/{stem}-en-finalallgoodevents.fits" in made
            for band in ("0.5_2.0", "2.0_10.0"):
                assert f"{here}/images/{stem}-en{band}keV-image.fits" in made
                assert f"{here}/images/{stem}-en{band}keV-expmap.fits" in made
        assert f"{here}/events/obsid{obs_id}-instPN-subexpS003-ootevents.fits" in made
        assert f"{here}/events/obsid{obs_id}-instPN-subexpALL-en-finalootevents.fits" in made
        assert f"{here}/background/obsid{obs_id}-instPN-subexpALL-en-finalallgoodootevents.fits" in made
    assert not [n for n in made if ".part" in n or ".scratch" in n or "S009" in n]
    merged = (
        archive.layout.processed(X, "0800010201")
        / "events/obsid0800010201-instM1-subexpALL-en-finalevents.fits"
    )
    assert "M1S001" in merged.read_text()
    assert "M1U002" in merged.read_text()
    assert archive.final_process_success == {X: {"0800010101": True, "0800010201": True}}
    assert all(m.processed for m in archive)


def test_without_a_terminal_each_step_and_observation_has_a_line(archive, capsys):
    full_process_xmm(archive, num_cores=2)
    text = capsys.readouterr().err
    told = [re.sub(r"[\d.]+ s$", "T", line) for line in text.splitlines()]
    assert told.count("emchain: 5 done, 0 failed, T") == 1
    assert [line for line in told if line.startswith("0800010201: ")] == ["0800010201: 20 jobs done (2 of 2)"]
    assert set(text) & {"\x1b", "\r"} == set()


def test_quiet_means_quiet(archive, capsys):
    cif_build(archive, disable_progress=True)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_a_second_call_runs_nothing(archive, sas):
    full_process_xmm(archive, num_cores=2, disable_progress=True)
    before = contents(archive)
    sas.forget()
    full_process_xmm(archive, num_cores=2, disable_progress=True)
    assert sas.calls == []
    assert contents(archive) == before


def test_steps_one_by_one_equal_the_whole_pipeline(archive, sas):
    quiet = {"disable_progress": True, "num_cores": 2}
    for step in (cif_build, odf_ingest, epchain, emchain, espfilt, cleaned_evt_lists, merge_subexposures):
        step(archive, **quiet)
    generate_images_expmaps(archive, **quiet)
    single = contents(archive)
    sas.forget()
    full_process_xmm(archive, num_cores=2, disable_progress=True)
    assert sas.calls == []
    other = Archive("other", FakeMission())
    full_process_xmm(other, num_cores=2, disable_progress=True)
    assert {n: c.replace(b"/other/", b"/field/") for n, c in contents(other).items()} == single


def test_reopened_archives_know_what_was_done(archive, sas):
    full_process_xmm(archive, num_cores=2, disable_progress=True)
    again = Archive("field")
    assert again.process_success == archive.process_success
    assert again.observation_summaries == archive.observation_summaries
    assert (
        again.observation_summaries[X]["0800010101"]["PN"]["exposures"]["S003"]["ccd_modes"][1] == "IMAGING"
    )
    sas.forget()
    full_process_xmm(again, num_cores=2, disable_progress=True)
    assert sas.calls == []


def test_moved_archives_go_on(archive, sas, tmp_path, monkeypatch):
    full_process_xmm(archive, num_cores=2, disable_progress=True)
    archive.ledger.close()
    archive.missions[0]  # the raw data move too
    import shutil

    shutil.move(str(tmp_path / "daxa_output"), str(tmp_path / "elsewhere"))
    monkeypatch.setenv("DAXA_OUTPUT", str(tmp_path / "elsewhere"))
    moved = Archive("field")
    moved.missions[0].top_level_path = tmp_path / "elsewhere"
    sas.forget()
    full_process_xmm(moved, num_cores=2, disable_progress=True)
    # The summaries name the new place of the raw files; nothing else is out of date.
    assert [call.split()[0] for call in sas.calls] == ["odfingest", "odfingest"]


def test_task_command_lines(archive, sas):
    full_process_xmm(archive, num_cores=1, disable_progress=True, find_mos_anom_state=True)
    assert "emchain odf=odf instruments=M1 exposures=U002 addtaglenoise=no makeflaregti=no" in sas.calls
    first = "epchain odf=odf odfaccess=odf exposure=003 schedule=S ccds=1,2 "
    assert first + "runbackground=N keepintermediate=raw withoutoftime=Y" in sas.calls
    assert first + "runatthkgen=N runepframes=N runbadpixfind=N runbadpix=N" in sas.calls
    cleaned = [c for c in sas.calls if c.startswith("evselect") and "filteredset" in c]
    mos = [c for c in cleaned if "#XMMEA_EM" in c]
    assert len(mos) == 5
    assert all("(CCDNR in 1,2,3)" in c for c in mos)
    assert all("&& GTI(" in c and c.endswith(",TIME) updateexposure=yes") for c in cleaned)
    esp = next(c for c in sas.calls if c.startswith("espfilt") and "instPN" in c)
    assert "rangescale=15 " in esp + " "
    assert "withoot=yes" in esp
    assert "limits=0.1 6.5" in esp
    maps = next(c for c in sas.calls if c.startswith("eexpmap"))
    assert "pimin=500 2000 pimax=2000 10000" in maps


def test_unscheduled_exposures_can_be_left_out(archive, sas):
    full_process_xmm(archive, process_unscheduled=False, num_cores=2, disable_progress=True)
    assert not [c for c in sas.calls if "U002" in c]
    assert archive.final_process_success[X]["0800010201"]


def test_energies_select_and_name(archive, sas):
    full_process_xmm(archive, Quantity(0.3, "keV"), Quantity(7000, "eV"), num_cores=2, disable_progress=True)
    assert any("(PI in [300:7000])" in c for c in sas.calls)
    made = files(archive)
    assert any(n.endswith("instM1-subexpS001-en0.3_7.0keV-cleanevents.fits") for n in made)
    assert any(n.endswith("instM1-subexpALL-en0.3_7.0keV-finalevents.fits") for n in made)


def test_a_failed_piece_stops_nothing_else(archive, sas):
    sas.behave(
        'if [ "$task$p_instruments$p_exposures" = emchainM1S001 ]; then\n'
        'echo "** emchain::emframes: error (noData), the file is damaged" >&2; exit 1; fi\n'
    )
    with pytest.warns(UserWarning, match="jobs failed") as caught:
        full_process_xmm(archive, num_cores=2, disable_progress=True)
    text = str(caught[-1].message)
    assert "emchain 0800010101M1S001: noData raised by emchain::emframes - the file is damaged" in text
    # In the order in which they began; observations go side by side.
    (failed,) = archive.get_failed_processes("emchain").values()
    assert sorted(failed) == ["0800010101M1S001", "0800010201M1S001"]
    out, err = archive.get_failed_logs("emchain")
    assert set(err[X]) == {"0800010101M1S001", "0800010201M1S001"}
    assert out[X]["0800010101M1S001"].startswith("emchain odf=")
    assert archive.process_errors[X]["emchain"]["0800010101M1S001"] == [
        "noData raised by emchain::emframes - the file is damaged"
    ]
    # M1 of the first observation is lost, its second sub-exposure in the other one is not.
    assert "0800010101M1" not in archive.process_success[X]["merge_subexposures"]
    assert archive.process_success[X]["merge_subexposures"]["0800010201M1"]
    assert archive.process_success[X]["generate_images_expmaps"]["0800010101PN"]
    sas.forget()
    full_process_xmm(archive, num_cores=2, disable_progress=True)
    assert archive.process_success[X]["merge_subexposures"]["0800010101M1"]
    assert not [c for c in sas.calls if c.startswith(("cifbuild", "epchain"))]


def test_observations_of_which_nothing_is_left_are_moved_away_and_back(archive, sas):
    sas.behave("if [ $task = odfingest ] && [ $obs = 0800010101 ]; then exit 3; fi\n")
    with pytest.warns(UserWarning, match="odfingest ended with status 3"):
        full_process_xmm(archive, num_cores=2, disable_progress=True)
    assert archive.final_process_success == {X: {"0800010101": False, "0800010201": True}}
    assert "failed_data" in archive.get_current_data_path(X, "0800010101")
    assert archive.construct_failed_data_path(X, "0800010101") == archive.get_current_data_path(
        X, "0800010101"
    )
    with pytest.raises(ValueError, match="has not failed"):
        archive.construct_failed_data_path(X, "0800010201")
    assert not archive.layout.processed(X, "0800010101").exists()
    sas.forget()
    full_process_xmm(archive, num_cores=2, disable_progress=True)
    assert archive.final_process_success[X]["0800010101"]
    assert "processed_data" in archive.get_current_data_path(X, "0800010101")
    assert not [c for c in sas.calls if c.startswith("cifbuild")]


def test_time_outs_end_the_whole_group(archive, sas, tmp_path):
    cif_build(archive, disable_progress=True)
    sas.behave(f"if [ $task = odfingest ]; then (sleep 60; touch {tmp_path}/late) & sleep 60; fi\n")
    with pytest.warns(UserWarning, match="time limit of 0.3 s"):
        odf_ingest(archive, num_cores=2, disable_progress=True, timeout=Quantity(300, "ms"))
    run = archive.ledger.latest(X, "odf_ingest", "0800010101")
    assert run.timed_out
    assert run.status == "failed"
    assert not run.outputs
    with pytest.raises(NoDependencyProcessError, match="succeeded for none"):
        emchain(archive, disable_progress=True)


def test_recorded_runs_are_complete(archive):
    full_process_xmm(archive, num_cores=2, disable_progress=True)
    run = archive.ledger.latest(X, "epchain", "0800010101PNS003")
    assert (run.inst, run.exp_id, run.backend, run.status) == ("PN", "S003", "sas", "done")
    assert [name for name, _ in run.tasks] == ["epchain", "epchain"]
    assert run.tasks[0][1]["withoutoftime"] == "Y"
    assert run.config == {"process_unscheduled": True}
    assert run.wall_s > 0
    assert run.cpu_s > 0
    assert run.memory_bytes > 0
    assert run.started < run.ended
    assert "events/obsid0800010101-instPN-subexpS003-events.fits" in run.outputs
    info = archive.process_extra_info[X]["epchain"]["0800010101PNS003"]
    assert info["evt_list"].endswith(
        "processed_data/xmm_pointed/0800010101/events/obsid0800010101-instPN-subexpS003-events.fits"
    )
    log = archive.layout.processed(X, "0800010101") / "logs/epchain_0800010101PNS003_stdout.log"
    assert log.read_text() == archive.process_logs[X]["epchain"]["0800010101PNS003"]


def test_paths_have_the_names_of_the_first_package_too(archive):
    full_process_xmm(archive, num_cores=2, disable_progress=True)
    found = archive.process_extra_info[X]
    pn = "0800010101PNS003"
    expected = {
        ("epchain", pn): {"evt_list", "oot_evt_list"},
        ("espfilt", pn): {"gti_path", "hist_path", "all_good_evts", "all_good_oot_evts"},
        ("cleaned_evt_lists", pn): {"evt_clean_path", "oot_evt_clean_path", "en_key"},
        ("merge_subexposures", pn[:12]): {
            "final_evt",
            "final_oot_evt",
            "final_allgood_evt",
            "final_allgood_oot_evt",
        },
    }
    for (process, ident), names in expected.items():
        info = found[process][ident]
        assert names <= set(info), process
        assert all(Path(info[name]).is_file() for name in names if name != "en_key")
    assert found["cleaned_evt_lists"][pn]["en_key"] == ""


def test_other_parameters_run_again_with_all_that_builds_on_them(archive, sas):
    full_process_xmm(archive, num_cores=2, disable_progress=True)
    sas.forget()
    espfilt(archive, range_scale={"mos": 10.0, "pn": 15.0}, num_cores=2, disable_progress=True)
    assert len(sas.calls) == 5
    assert all("rangescale=10" in c for c in sas.calls)
    sas.forget()
    cleaned_evt_lists(archive, num_cores=2, disable_progress=True)
    assert len(sas.calls) == 5


def test_deleted_products_are_made_again(archive, sas):
    full_process_xmm(archive, num_cores=2, disable_progress=True)
    gone = (
        archive.layout.processed(X, "0800010101")
        / "images/obsid0800010101-instPN-subexpALL-en0.5_2.0keV-image.fits"
    )
    content = gone.read_bytes()
    gone.unlink()
    sas.forget()
    full_process_xmm(archive, num_cores=2, disable_progress=True)
    assert {c.split()[0] for c in sas.calls} == {"evselect", "eexpmap"}
    assert gone.read_bytes() == content


def test_rgs_on_sas(sas):
    archive = Archive("gratings", FakeMission(["R1"]))
    full_process_xmm(archive, num_cores=2, disable_progress=True)
    assert archive.final_process_success == {X: {"0800010101": True, "0800010201": True}}
    final = (
        archive.layout.processed(X, "0800010101")
        / "events/obsid0800010101-instR1-subexpS004-finalevents.fits"
    )
    assert final.read_text() == "merged\nangles\nsources\n"


def test_any_executor_runs_the_jobs(archive):
    with concurrent.futures.ThreadPoolExecutor(3) as pool, use_executor(pool):
        full_process_xmm(archive, disable_progress=True)
    assert archive.final_process_success[X] == {"0800010101": True, "0800010201": True}


def test_interrupts_end_everything_and_can_be_resumed(archive, sas, monkeypatch):
    from daxa.process import runner

    done = []

    def stop(self, node, future, original=runner._Runner._end):
        original(self, node, future)
        done.append(node.piece.ident)
        if len(done) == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runner._Runner, "_end", stop)
        with pytest.raises(KeyboardInterrupt):
            full_process_xmm(archive, num_cores=2, disable_progress=True)
    statuses = [r.status for r in archive.ledger.runs(everything=True)]
    assert statuses.count("done") == 5
    assert "running" not in statuses
    full_process_xmm(archive, num_cores=2, disable_progress=True)
    assert all(archive.final_process_success[X].values())


def test_arguments_are_checked(archive):
    with pytest.raises(UnitConversionError, match="timeout"):
        cif_build(archive, timeout=Quantity(1, "m"))
    with pytest.raises(TypeError, match="timeout"):
        cif_build(archive, timeout=10)
    with pytest.raises(ValueError, match="num_cores"):
        cif_build(archive, num_cores=0)
    with pytest.raises(TypeError, match="analysis_date"):
        cif_build(archive, analysis_date=5)
    with pytest.raises(TypeError, match="process_unscheduled"):
        emchain(archive, process_unscheduled="yes")
    with pytest.raises(TypeError, match="obs_archive"):
        cif_build("field")
    with pytest.raises(ValueError, match="lo_en, hi_en"):
        cleaned_evt_lists(archive, lo_en=Quantity(1, "keV"))
    with pytest.raises(UnitConversionError, match="lo_en"):
        cleaned_evt_lists(archive, lo_en=Quantity(1, "s"), hi_en=Quantity(2, "s"))
    with pytest.raises(ValueError, match="acc_mos_anom_states"):
        cleaned_evt_lists(archive, acc_mos_anom_states=("G", "X"))
    with pytest.raises(ValueError, match="every band"):
        generate_images_expmaps(archive, Quantity([2.0], "keV"), Quantity([0.5], "keV"))
    with pytest.raises(ValueError, match="same number"):
        generate_images_expmaps(archive, Quantity([2.0], "keV"), Quantity([3, 4], "keV"))
    for wrong, kind in (
        ({"method": "other"}, ValueError),
        ({"with_smoothing": Quantity(61, "s")}, ValueError),
        ({"with_smoothing": 5}, TypeError),
        ({"with_binning": Quantity(1, "m")}, UnitConversionError),
        ({"filter_lo_en": Quantity(9, "keV")}, ValueError),
        ({"range_scale": {"mos": 6.0}}, KeyError),
        ({"range_scale": 6.0}, TypeError),
        ({"gauss_fit_lims": (3.0, 2.0)}, ValueError),
        ({"allowed_sigma": "3"}, TypeError),
    ):
        with pytest.raises(
            kind, match=next(iter(wrong)).replace("filter_lo_en", "filter_lo_en, filter_hi_en")
        ):
            espfilt(archive, **wrong)


def test_steps_say_what_must_come_first(archive):
    with pytest.raises(NoProcessingError):
        _ = archive.process_success
    with pytest.raises(NoDependencyProcessError, match="cif_build must be run"):
        odf_ingest(archive)
    with pytest.raises(NoDependencyProcessError, match="odf_ingest must be run"):
        emchain(archive)
    cif_build(archive, disable_progress=True)
    odf_ingest(archive, disable_progress=True)
    with pytest.raises(NoDependencyProcessError, match="emchain must be run"):
        emanom(archive)
    with pytest.warns(UserWarning, match="no R1 or R2 chosen"):
        rgs_events(archive)


def test_cleaning_by_anomalous_states_needs_emanom(archive):
    quiet = {"disable_progress": True, "num_cores": 2}
    for step in (cif_build, odf_ingest, epchain, emchain, espfilt):
        step(archive, **quiet)
    with pytest.raises(NoDependencyProcessError, match="emanom must be run"):
        cleaned_evt_lists(archive, filt_mos_anom_state=True, **quiet)
    emanom(archive, **quiet)
    cleaned_evt_lists(archive, filt_mos_anom_state=True, acc_mos_anom_states=["B"], **quiet)
    run = archive.ledger.latest(X, "cleaned_evt_lists", "0800010101M1S001")
    assert "(CCDNR in 4)" in run.tasks[0][1]["expression"]
    assert archive.check_dependence_success(X, [["0800010101", "M1", "S001"]], ["emanom", "espfilt"]).all()


def test_emanom_logs(tmp_path):
    log = tmp_path / "mos1S001-anom.log"
    log.write_text(
        "CCD: 2 Hardness Ratio: 3.1 Error: 0.2 Status: G\n"
        "CCD: 4 Hardness Ratio: 1.1 Error: 0.2 Status: B\n"
        "CCD: 5 Hardness Ratio: 2.1 Error: 0.2 Status: I\nLegend:\n  B bad\n"
    )
    assert parse_emanom_out(log) == [1, 2, 5]
    assert parse_emanom_out(log, ("B",)) == [4]
    with pytest.raises(FileNotFoundError):
        parse_emanom_out(tmp_path / "none")
    log.write_text("nothing")
    with pytest.raises(ValueError, match="no line"):
        parse_emanom_out(log)


def test_lookup_has_every_function():
    assert PROC_LOOKUP[X]["espfilt"] is espfilt
    assert len(PROC_LOOKUP[X]) == 17


def test_recorded_configurations_can_be_replayed(archive, sas):
    full_process_xmm(archive, num_cores=2, disable_progress=True)
    configurations = {k: v for c in archive.process_configurations[X] for k, v in c.items()}
    assert {"cif_build", "epchain", "emchain", "merge_subexposures"} <= set(configurations)
    sas.forget()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, arguments in configurations.items():
            PROC_LOOKUP[X][name](archive, num_cores=2, disable_progress=True, **arguments)
    assert sas.calls == []  # all of it is done


def test_calibration_files_that_were_missed_and_have_come_give_a_new_index(
    archive, sas, tmp_path, monkeypatch
):
    ccf, lacking = tmp_path / "ccf", tmp_path / "lacking"
    ccf.mkdir()
    (ccf / "EPN_BADPIX_0001.CCF").write_text("there from the start")
    monkeypatch.setenv("DAXA_CCFPATH", str(ccf))
    lacking.write_text("EPN_CTI")
    script = (
        f'if [ $task = epchain ] && [ -s {lacking} ]; then echo "** $task: error (MissingConstituent), '
        f'the calibration index has no $(cat {lacking}) valid for 2017-01-01" >&2; exit 1; fi\n'
    )

    def tasks() -> list[str]:
        sas.forget()
        sas.behave(script)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            full_process_xmm(archive, num_cores=2, disable_progress=True)
        return [c.split()[0] for c in sas.calls]

    assert tasks().count("cifbuild") == 2
    assert not archive.ledger.latest(X, "epchain", "0800010101PNS003").ok
    # Nothing has come, or something else.
    assert "cifbuild" not in tasks()
    (ccf / "EMOS1_CTI_0001.CCF").write_text("not missed")
    assert "cifbuild" not in tasks()
    (ccf / "EPN_CTI_0001.CCF").write_text("missed, but useless")
    assert tasks().count("cifbuild") == 2
    # It does not serve: once is enough.
    assert "cifbuild" not in tasks()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "EPN_CTI_0002.CCF").write_text("useful")
    monkeypatch.setenv("DAXA_CCFPATH", f"{ccf}{os.pathsep}{elsewhere}")
    lacking.write_text("")
    assert tasks().count("cifbuild") == 2
    assert archive.ledger.latest(X, "epchain", "0800010101PNS003").ok
    assert "cifbuild" not in tasks()
    run = archive.ledger.latest(X, "cif_build", "0800010101")
    assert run.extra["asked"] == "now"
    assert run.extra["analysis_date"].startswith("20")
    # An explicit date is an explicit date.
    sas.forget()
    cif_build(archive, analysis_date=datetime(2020, 1, 1), disable_progress=True)
    assert ["analysisdate=2020-01-01T00:00:00" in c for c in sas.calls] == [True, True]
