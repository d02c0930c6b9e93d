"""What commands print: tables in narrow and wide terminals, how archives stand, which steps are chosen."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from daxa.archive import Archive
from daxa.archive.run import Run
from daxa.cli import output
from daxa.cli.main import app
from daxa.cli.process import warned_steps
from daxa.cli.steps import chosen_steps
from daxa.cli.watch import standing, summary
from daxa.process.progress import Lines, running_words, step_line
from daxa.process.tally import Tally

run = CliRunner()
ROWS = [
    {"mission": "xmm_pointed", "ObsID": f"080001010{n}", "camera": "PN", "clean events": 93904 * n,
     "exposure before [s]": 5932.4, "files": 15, "warnings": 0, "state": "all of it went well"}
    for n in (1, 2)
]  # fmt: skip


@pytest.mark.parametrize("room", [30, 60, 80, 120])
def test_tables_keep_names_and_numbers_whole(room, monkeypatch, capsys):
    monkeypatch.setattr(output, "width", lambda: room)
    output.print_table(ROWS, "field: products", rare=["warnings"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "field: products (xmm_pointed)"
    assert max(map(len, lines)) <= room
    text = " ".join(lines)
    for whole in ("0800010101", "0800010102", "187,808", "5932.4", "[s]"):
        assert whole in text
    assert "warnings" not in text
    assert any(set(line) == {"-", " "} for line in lines) is (room >= 80)


def test_columns_that_can_be_spared_go_first(monkeypatch, capsys):
    monkeypatch.setattr(output, "width", lambda: 60)
    output.print_table(ROWS, rare=["warnings"], spare=["state", "files"])
    shown = capsys.readouterr().out
    assert "0800010101  PN" in shown
    assert shown.splitlines()[-1] == "(not shown: state; --json has all)"


def test_steps_are_chosen_in_their_order():
    assert chosen_steps(None, None, None) is None
    assert chosen_steps("espfilt, emchain", None, None) == ["emchain", "espfilt"]
    assert chosen_steps(None, "emchain", "cleaned_evt_lists") == ["emchain", "espfilt", "cleaned_evt_lists"]
    assert chosen_steps(None, "emanom", "espfilt") == ["emanom", "espfilt"]
    for wrong, says in (
        (("epchian", None, None), "--steps: no step 'epchian'; did you mean 'epchain'"),
        (("epchain,find_sources", None, None), "--steps: find_sources is no part .* daxa sources"),
        ((None, None, "generate_spectra"), "--until: generate_spectra is no part .* daxa spectra"),
        ((None, "espfilt", "emchain"), "espfilt comes after emchain"),
        (("espfilt", "emchain", None), "--steps: give it, or"),
    ):
        with pytest.raises(typer.BadParameter, match=says):
            chosen_steps(*wrong)


def node(step, obs_id, state="waiting", scope="exposure", opens=False, warnings=()):
    return SimpleNamespace(
        step=SimpleNamespace(name=step, scope=scope, done=print if opens else None),
        piece=SimpleNamespace(obs_id=obs_id, inst="PN", exp_id="S003"),
        place=("xmm_pointed", obs_id),
        state=state,
        run=Run(step, "x", "xmm_pointed", obs_id, warnings=list(warnings)),
    )


def test_the_time_left_is_that_of_measured_jobs(capsys):
    tally, told = Tally(2), Lines(None)
    told.tally = tally
    opening = [node("odf_ingest", o, scope="observation", opens=True) for o in ("1", "2")]
    for one in opening:
        tally.expect(one)
    tally.begin(opening[0], 0.0)
    assert tally.left_s(1.0) is None  # nothing is known of what the observations hold
    opening[0].state = "done"
    tally.end(opening[0], 2.0)
    chains = [node("epchain", "1") for _ in range(4)]
    for one in chains:
        tally.expect(one)
    assert tally.left_s(2.0) is None  # no chain has been measured
    for one, state in zip(chains, ("done", "failed", "blocked", "skipped"), strict=True):
        if state in ("done", "failed"):
            tally.begin(one, 2.0)
        one.state = state
        tally.end(one, 12.0)
    # Of the other observation: opening it takes 2 s, and it holds as many chains; two jobs at once.
    assert tally.left_s(12.0) == pytest.approx((2 + 4 * 10) / 2)
    told.update()
    assert capsys.readouterr().err == "1: 3 jobs done, 1 failed (1 of 2)\n"
    opening[1].state = "done"
    tally.begin(opening[1], 12.0)
    tally.end(opening[1], 14.0)
    told.update()
    assert capsys.readouterr().err.splitlines()[-1] == "epchain: 1 done, 1 failed, 20 s"


def test_jobs_with_warnings_are_counted_without_stand_ins_for_calibration():
    left_out = {"originator": "epchain", "name": "truncated", "message": "CCD 1 is left out"}
    stands_in = {
        "originator": "epchain",
        "name": "noAgeing",
        "message": "EPN_LONGTERM_0001.CCF[AGEING]: absent: no ageing",
    }
    area = {"originator": "arfgen", "name": "noContamination", "message": "the layout is not public"}
    tally = Tally(1)
    kinds = ([left_out], [stands_in, area], [])
    jobs = [node("epchain", str(n), "done", warnings=w) for n, w in enumerate(kinds)]
    jobs.append(node("epchain", "4", "failed", warnings=[left_out]))
    for one in jobs:
        tally.expect(one)
        tally.end(one, 0.0)
    assert step_line("epchain", tally.steps["epchain"]) == "epchain: 3 done, 1 failed, 1 with warnings, 0.0 s"
    runs = [one.run for one in jobs]
    ledger = SimpleNamespace(
        totals=lambda: [{"process": "epchain", "warnings": 3}, {"process": "emchain", "warnings": 0}],
        runs=lambda process, status, logs: runs,
    )
    assert warned_steps(SimpleNamespace(ledger=ledger), ["epchain", "emchain"]) == ["epchain"]
    assert warned_steps(SimpleNamespace(ledger=ledger), ["emchain"]) == []
    del runs[0], runs[-1]
    assert warned_steps(SimpleNamespace(ledger=ledger), ["epchain"]) == []


def test_what_runs_is_named_as_far_as_there_is_room():
    nodes = [node("epchain", "0800010101"), node("emchain", "0800010101"), node("emchain", "0800010201")]
    assert running_words(nodes, 50) == "epchain 0800010101 PN S003 and 2 more"
    assert running_words(nodes, 500).count("0800010") == 3


class Ledger:
    """What a process that works on an archive has recorded so far."""

    def totals(self):
        empty = {"mission": "x", "failed": 0, "running": 0}
        return [
            empty | {"process": "odf_ingest", "done": 1, "wall_s": 3.0},
            empty | {"process": "epchain", "done": 1, "wall_s": 60.0},
        ]

    def meta(self, key, default):
        return {"x": {"odf_ingest": 2, "epchain": 2}}

    def runs(self, **conditions):
        return [
            SimpleNamespace(mission="x", process="epchain", obs_id="1", inst="PN", exp_id="S003",
                            started="2026-01-01T00:00:00+00:00")
        ]  # fmt: skip


def test_how_an_archive_stands_while_another_process_works_on_it():
    from datetime import datetime, timezone

    missions = [SimpleNamespace(name="x", filtered_obs_ids=["1", "2"])]
    archive = SimpleNamespace(ledger=Ledger(), in_work=True, missions=missions)
    stands = standing(archive, datetime(2026, 1, 1, 0, 0, 20, tzinfo=timezone.utc))
    # Opening the other observation, its two chains, one more of this one, and the rest of the one that runs.
    assert stands.left_s == pytest.approx(3 + 2 * 60 + 40)
    assert summary("a", stands) == "a: 2 done, 0 failed, 1 running, 1 pending, about 2 min 43 s left"
    assert stands.jobs == ["epchain 1 PN S003"]


def test_archives_are_listed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "no archives in" in run.invoke(app, ["list"]).output
    (tmp_path / "daxa_output/archives/broken/.save_info").mkdir(parents=True)
    done = run.invoke(app, ["list", "--json"])
    (row,) = json.loads(done.stdout)["archives"]
    assert row["archive"] == "broken"
    assert row["state"].startswith("cannot be opened")
    refused = run.invoke(app, ["info", "brokn"])
    assert refused.exit_code == 2
    assert "did you mean 'broken'?" in refused.output
    monkeypatch.setenv("DAXA_BACKEND", "embedded")
    refused = run.invoke(app, ["process", "--archive", "brokn"])
    assert refused.exit_code == 2
    assert "daxa_output/archives; did you mean 'broken'?; to make it, give a NAME" in refused.output
    with pytest.raises(
        ValueError, match=r"no archive brokn in .*archives \(did you mean 'broken'\?\); give the"
    ):
        Archive("brokn")


def test_steps_are_listed():
    rows = json.loads(run.invoke(app, ["steps", "--json"]).stdout)
    assert [row["step"] for row in rows][:2] == ["cif_build", "odf_ingest"]
    assert {row["run by"] for row in rows if row["step"] == "find_sources"} == {"daxa sources"}
