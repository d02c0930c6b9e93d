"""From parameters of epchain and epproc to the options of the steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from daxa.xmm.errors import TaskError
from daxa.xmm.instruments.pn.options import Badpix, Badpixfind, Epevents, Epframes, Epreject, Screening
from daxa.xmm.parameters import parameters_of
from daxa.xmm.task import TaskContext, find_task
from daxa.xmm.tasks.support_pn import chain_options, taken

STEPS = {
    "epframes": Epframes, "badpixfind": Badpixfind, "badpix": Badpix, "epevents": Epevents,
    "epreject": Epreject,
}  # fmt: skip
ABOVE_150_EV = Screening(150)
#: Defaults of a chain that differ from those of the step.
OTHER = {"epchain": {}, "epproc": {"lowerthreshold": 0}}
#: Names that mean something else in a step that comes later.
TWICE = {("epevents", "hithresh"), ("epevents", "lothresh"), ("epevents", "withrdpha")}


@pytest.fixture
def ctx(tmp_path):
    return TaskContext("epchain", Path(tmp_path), {})


def options(ctx, task="epchain", mode="IMAGING", screening=ABOVE_150_EV, **given):
    return chain_options(ctx, find_task(task).parse(given), "S003", mode, screening)


def shared(task):
    """Parameters of a step that a chain takes, too: step, parameter of the chain, default of the step."""
    chain = {p.name: p for p in find_task(task).parameters}
    return [
        (step, chain[p.name], p.default)
        for step, cls in STEPS.items()
        for p in parameters_of(cls)
        if p.name in chain and (step, p.name) not in TWICE
    ]


@pytest.mark.parametrize("task", OTHER)
def test_the_chains_have_the_defaults_of_the_steps_but_for_those_named(task):
    found = shared(task)
    assert len(found) > 30
    assert {p.name: p.default for _, p, default in found if p.default != default} == OTHER[task]


@pytest.mark.parametrize("task", OTHER)
def test_what_is_given_to_a_chain_reaches_the_step(task, ctx):
    on = {"withdefaultcal": False, "runepreject": True}
    tried = 0
    for step, p, _ in shared(task):
        if p.only or p.without_effect or p.kind == "dataset":
            continue
        if p.kind == "bool":
            value = not p.default
        elif p.kind == "choice":
            value = next(c for c in p.choices if c != p.default)
        elif p.kind == "reals":
            value = (0.5,) * 13
        else:
            value = p.default - 1 if p.maximum is not None and p.default == p.maximum else p.default + 1
        if p.name == "withoffsetlist":
            (ctx.cwd / "odilist.txt").write_text("4 map.fits\n")
        made = getattr(options(ctx, task, **on, **{p.name: value}), step)
        assert getattr(made, p.name) == value, p.name
        tried += 1
    assert tried > 30


def test_by_default_imaging_has_no_corrections_of_dark_levels_and_rate(ctx):
    made = options(ctx)
    assert made.epreject is made.epfast is None
    assert made.badpix == Badpix()
    assert made.badpixfind == Badpixfind()
    assert made.epframes.source is None
    assert made.lowest_ev == 150.0
    assert options(ctx, screening=Screening()).lowest_ev == 0.0


@pytest.mark.parametrize(("mode", "fast"), [("TIMING", False), ("BURST", True)])
def test_the_kind_of_data_switches_corrections_on_that_may_fail(ctx, mode, fast):
    made = options(ctx, mode=mode)
    assert made.epreject.withxrlcorrection
    assert not made.epreject.needed
    assert (made.epfast is not None) is fast
    assert not fast or not made.epfast.needed
    assert options(ctx, mode=mode, withdefaultcal=False).epreject is None


def test_what_the_user_asks_for_must_succeed(ctx):
    made = options(ctx, mode="BURST", withdefaultcal=False, runepreject=True, runepfast=True)
    assert made.epreject.needed
    assert made.epfast.needed
    assert not made.epreject.withxrlcorrection
    with pytest.raises(TaskError, match="PNS003 is not an exposure in a fast mode"):
        options(ctx, withdefaultcal=False, runepfast=True)


def test_steps_that_are_switched_off_have_no_options(ctx):
    assert options(ctx, runbadpixfind=False).badpixfind is None
    assert options(ctx, runbadpix=False).badpix is None
    assert options(ctx, "epproc", searchforbadpixels=False).badpixfind is None
    assert not options(ctx, "epproc", searchforbadcolumns=False).badpixfind.withsearchbadcolumn


def test_the_place_of_the_source(ctx):
    assert options(ctx, withsrcrawy=True, srcposition=150).epframes.source == 150
    given = {"withsrccoords": True, "srcra": 10.0, "srcdec": -5.0, "withsrcrawy": True}
    assert options(ctx, **given).epframes.source == (10.0, -5.0)
    timing = {"timingsrcposition": 170}
    assert options(ctx, "epproc", "TIMING", **timing).epframes.source == 170
    assert options(ctx, "epproc", "IMAGING", **timing).epframes.source is None
    assert options(ctx, "epproc", "TIMING", **timing, **given).epframes.source == (10.0, -5.0)


def test_the_rate_of_the_source_is_refused_where_the_user_asks_for_it(ctx, capsys):
    options(ctx, mode="TIMING")
    options(ctx, withrdpha=True)
    assert list(ctx.warnings) == ["notDone", "notUsefulModeRDCTI"]
    with pytest.raises(NotImplementedError, match="withrdpha=yes: no public text"):
        options(ctx, mode="TIMING", withrdpha=True)
    capsys.readouterr()


def test_parameters_are_taken_in_the_order_of_their_names():
    made = taken("hithresh withdefaultcal hicolthresh", hithresh=1.0)
    assert [p.name for p in made] == ["hithresh", "withdefaultcal", "hicolthresh"]
    assert made[0].default == 1.0
    assert made[0].unit == "ct/s"
