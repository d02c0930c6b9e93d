"""SAS 14 to 22: which release there is, and programs called as each of them wants it, with stand-ins."""

from __future__ import annotations

import warnings
from pathlib import Path

import fake_sas
import pytest
from fake_sas import FakeMission, exposure

from daxa.archive import Archive
from daxa.backend import select
from daxa.backend.releases import KNOWN, TABLE, differences, release_of
from daxa.exceptions import SASNotFoundError, SASVersionError
from daxa.process.replay import replay
from daxa.process.reproduce import reproduce
from daxa.process.simple import full_process_xmm
from daxa.process.xmm.setup import cif_build

X, OBS = "xmm_pointed", "0800010101"
QUIET = {"num_cores": 2, "disable_progress": True}
VERSIONS = {
    14: "xmmsas_20141104_1833-14.0.0",
    15: "xmmsas_20160201_1833-15.0.0",
    16: "xmmsas_20170719_1539-16.1.0",
    17: "xmmsas_20180620_1732-17.0.0",
    18: "xmmsas_20190531_1155-18.0.0",
    19: "xmmsas_20210317_1624-19.1.0",
    20: "xmmsas_20211130_0941-20.0.0",
    21: "xmmsas_20230412_1735-21.0.0",
    22: "22.1.0-a8f2c2afa-20250304",
}
#: espfilt as it was until release 19, and in release 20.
OLD = """
if [ $task = espfilt ]; then
    [ -z "$p_eventfile$p_elow$p_ehigh$p_rangescale$p_allowsigma$p_limits$p_withoot$p_ootfile" ] || exit 3
    [ "$p_specchanmin $p_specchanmax" = "2500 8500" ] || exit 4
    name=$(basename "$p_eventset" .fits); name=${name%-events}; name=${name%-ootevents}
    inst=${name#*-inst}; inst=${inst%%-*}; stem=P${obs}$inst${name##*subexp}
    echo "gti of $(basename "$p_eventset")" > $stem-gti.FIT; echo hist > $stem-hist.qdp
    echo "all of $(basename "$p_eventset")" > $stem-objevlifilt.FIT; exit 0
fi
"""
TWENTY = """
if [ $task = espfilt ]; then
    [ "$p_withlongnames" = yes ] || exit 3
    name=$(basename "$p_eventfile" -events.fits); inst=${name#*-inst}; inst=${inst%%-*}; exp=${name##*subexp}
    case $inst in PN) stem=pn$exp ;; *) stem=mos${inst#M}$exp ;; esac
    for kind in gti.fits allevc.fits hist.qdp; do
        echo "${kind%.*} of $(basename "$p_eventfile")" > $stem-${kind%.*}-$p_elow-$p_ehigh.${kind#*.}
    done
    [ "$p_withoot" != yes ] || echo "all of $(basename "$p_ootfile")" > $stem-allevcoot.fits; exit 0
fi
"""


def installed(sas, version: str, teller: str = "sasversion") -> None:
    """A stand-in of a release."""
    number = (release_of(version) or (22,))[0]
    sas.behave(OLD if number < 20 else TWENTY if number == 20 else "")
    program = sas.folder / teller
    program.write_text(f"#!/bin/sh\necho '{teller} ({teller}-1.3) [{version}]'\n")
    program.chmod(0o755)


@pytest.fixture
def archive(sas, monkeypatch) -> Archive:
    observed = {OBS: {"M1": {"S001": exposure()}, "PN": {"S003": exposure()}}}
    monkeypatch.setattr(fake_sas, "OBSERVED", observed)
    return Archive("field", FakeMission())


def called(sas, task: str) -> list[dict[str, str]]:
    """Parameters of every call of a program."""
    words = [line.split(" ") for line in sas.calls]
    return [dict(w.split("=", 1) for w in line[1:] if "=" in w) for line in words if line[0] == task]


@pytest.mark.parametrize("number", VERSIONS)
def test_a_reduction_by_every_release(archive, sas, number):
    installed(sas, VERSIONS[number])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        full_process_xmm(archive, **QUIET)
    assert archive.final_process_success == {X: {OBS: True}}, [str(w.message) for w in told]
    runs = list(archive.ledger.runs(process="espfilt"))
    assert all(run.ok for run in runs), [run.errors for run in runs]
    assert {run.versions["sas"] for run in runs} == {VERSIONS[number]}
    (pn,) = (run for run in runs if run.inst == "PN")
    folder = archive.obs_folder(X, OBS)
    held = {key: (folder / made["path"]).read_text() for key, made in pn.extra.items()}
    lists = (
        "obsid0800010101-instPN-subexpS003-events.fits",
        "obsid0800010101-instPN-subexpS003-ootevents.fits",
    )
    if number < 21:
        assert held["gti_path"] == f"gti of {lists[0]}\n"
        assert held["oot_allevc"] == f"all of {lists[1]}\n"
        assert held["allevc"].endswith(f" of {lists[0]}\n")
    assert set(held) == {"gti_path", "allevc", "oot_allevc", "hist_path"}
    assert len(called(sas, "espfilt")) == (3 if number < 20 else 2)
    assert any("rangescale" in str(w.message) for w in told) == (number < 20)
    epchain = called(sas, "epchain")
    assert len(epchain) == 2
    assert all(("runradmonfix" in call) == (number == 21) for call in epchain)
    sas.forget()
    installed(sas, VERSIONS[number])
    full_process_xmm(archive, **QUIET)
    assert sas.calls == []


def test_what_an_older_release_made_can_be_made_again(archive, sas):
    installed(sas, VERSIONS[18])
    with pytest.warns(UserWarning, match="espfilt of SAS .*18.0.0 has no rangescale, allowsigma, limits"):
        full_process_xmm(archive, **QUIET)
    made = next(archive.obs_folder(X, OBS).glob("background/*PN*allgoodootevents.fits"))
    assert replay(made).verdict == "equal"
    script = reproduce(archive.ledger, "field", X, OBS)
    assert "\nmv P0800010101PNS003-objevlifilt.FIT pnS003-allevcoot.fits\n" in script


@pytest.mark.parametrize("number", [14, 18, 19, 22])
def test_emanom_came_with_release_19(archive, sas, number):
    installed(sas, VERSIONS[number])
    if number < 19:
        with pytest.raises(SASVersionError, match=f"emanom: SAS has it since release 19; .*{number}\\."):
            full_process_xmm(archive, find_mos_anom_state=True, **QUIET)
        assert sas.calls == []
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        full_process_xmm(archive, find_mos_anom_state=True, **QUIET)
    assert archive.process_success[X]["emanom"] == {f"{OBS}M1S001": True}


@pytest.mark.parametrize("teller", ["sas", "sasversion"])
@pytest.mark.parametrize("number", VERSIONS)
def test_both_programs_tell_the_release(sas, number, teller):
    installed(sas, VERSIONS[number], teller)
    assert select.sas_version() == VERSIONS[number]
    assert release_of(select.sas_version())[0] == number
    assert KNOWN[0] <= release_of(select.sas_version()) < (*KNOWN[1], 1)
    assert select.select_backend("auto") == "sas"


@pytest.mark.parametrize("version", ["unknown", "22.1.0-daxa-0.1.0", "", "22", "x-122.0.0"])
def test_what_tells_no_release_is_called_as_the_newest(version):
    assert release_of(version) is None
    assert differences(version) == []


def test_a_release_is_in_every_range_of_the_table_or_beyond_it():
    for difference in TABLE:
        assert difference.said
        assert difference.since < difference.until
        assert sum(difference.holds(release_of(v)) for v in VERSIONS.values()) in range(1, len(VERSIONS))


def test_the_page_tells_every_difference():
    page = (Path(__file__).parents[2] / "docs" / "sas.md").read_text(encoding="utf-8")
    rows = [
        line.strip("| ").split(" | ")
        for line in page.splitlines()
        if line.startswith("| `e") and line.count("|") == 4
    ]
    assert [(row[0].strip("`"), row[-1]) for row in rows] == [(d.task, d.said) for d in TABLE]


def broken(sas, monkeypatch, how: str) -> str:
    """Break the stand-in; returns what is to be said of it."""
    if how == "no folder":
        monkeypatch.setenv("SAS_DIR", "/opt/none")
        return "SAS_DIR is /opt/none, which is not a folder"
    if how == "not set up":
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
        return f"its programs are not on PATH (SAS_DIR is {sas.folder}); has its set-up script been run?"
    if how == "a program is missing":
        (sas.folder / "espfilt").unlink()
        return f"espfilt is not on PATH (SAS_DIR is {sas.folder}); has its set-up script been run?"
    program = sas.folder / "sas"
    program.write_text("#!/bin/sh\necho libx.so: cannot open shared object file >&2; exit 127\n")
    program.chmod(0o755)
    return "sas --version tells no release (status 127: libx.so: cannot open shared object file)"


@pytest.mark.parametrize("how", ["no folder", "not set up", "a program is missing", "does not start"])
def test_a_broken_sas_is_not_taken_and_told_why(archive, sas, monkeypatch, capsys, how):
    told = broken(sas, monkeypatch, how)
    assert select.why_no_sas() == told
    assert select.select_backend("auto") == "embedded"
    with pytest.raises(SASNotFoundError, match="needs SAS initialised, but "):
        select.select_backend("sas")
    monkeypatch.setattr("daxa.process.runner._announced", set())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cif_build(archive, num_cores=1)
    assert f"by the embedded engine, not by SAS: {told}" in capsys.readouterr().err
    assert sas.calls == []


def test_a_sas_that_was_broken_is_taken_once_it_works(sas, monkeypatch):
    broken(sas, monkeypatch, "does not start")
    assert not select.sas_ready()
    installed(sas, VERSIONS[22], "sas")
    assert select.sas_version() == VERSIONS[22]


def test_a_program_of_the_same_name_that_is_not_esas(sas):
    other = sas.folder / "sas"
    other.write_text("#!/bin/sh\necho statistics\n")
    other.chmod(0o755)
    assert "sas --version tells no release" in select.why_no_sas()
    installed(sas, VERSIONS[20], "sasversion")
    assert select.why_no_sas() == ""
    assert select.sas_version() == VERSIONS[20]
