"""What users of the MOS chains may choose."""

from __future__ import annotations

import pytest

from daxa.xmm.errors import TaskError
from daxa.xmm.instruments.mos.options import STEPS, Emenergy, Emevents, Options, with_steps
from daxa.xmm.parameters import options_of, parameters_of
from daxa.xmm.task import find_task
from daxa.xmm.tasks.support_mos import flag_mask


def test_every_step_has_its_place_in_the_options():
    options = Options()
    for step, cls in STEPS.items():
        assert getattr(options, step) == cls()
        assert parameters_of(cls)


@pytest.mark.parametrize("chain", ["emchain", "emproc"])
def test_parameters_of_steps_change_the_steps(chain):
    given = find_task(chain).parse(
        {"emevents:tolfxy": "7 3 1", "emevents:rejectrows": "no", "embadpixfind:halfwidth2d": "3"}
    )
    options = with_steps(Options(emevents=Emevents(randomizetime=False)), given)
    assert options.emevents == Emevents(tolfxy=(7, 3, 1), rejectrows=False, randomizetime=False)
    assert options.embadpixfind.halfwidth2d == 3
    assert options.emenergy == Emenergy()


@pytest.mark.parametrize("value", ["5 2", "5 2 0", "5 2 2 2", "5 2 x", "", "5.0 2 2"])
def test_the_bins_of_flickering_are_three_whole_numbers(value):
    for task, given in (
        ("emevents", {"odfeventset": "events.fits", "tolfxy": value}),
        ("emchain", {"emevents:tolfxy": value}),
    ):
        with pytest.raises(TaskError, match=f"{task}: parameter .*tolfxy: expected"):
            find_task(task).parse(given)


def test_parameters_of_emproc_are_those_of_the_steps():
    given = find_task("emproc").parse({"keepsifluor": "yes", "maxeventsperrow": "6", "correctcti": "no"})
    assert options_of(Emevents, given) == Emevents(keepsifluor=True, maxeventsperrow=6.0)
    assert options_of(Emenergy, given) == Emenergy(correctcti=False)


def test_tasks_of_steps_have_the_defaults_of_the_chain_but_some():
    other = {
        f"{step}:{p.name}"
        for step, cls in STEPS.items()
        for p in find_task(step).parameters
        for q in parameters_of(cls)
        if p.name == q.name and p.default != q.default
    }
    assert other == {
        "emevents:withothernode", "embadpixfind:includedeadpixels", "badpix:getnewbadpix",
        "badpix:windowfilter",
    }  # fmt: skip


@pytest.mark.parametrize("ccds", ["0", "1 8", "two"])
def test_ccds_are_numbers_from_1_to_7(ccds):
    with pytest.raises(TaskError, match="emchain: parameter ccds: expected"):
        find_task("emchain").parse({"ccds": ccds})


@pytest.mark.parametrize("text", ["xyz", "-1", "1ffffffff", ""])
def test_flags_are_hexadecimal_numbers_of_32_bits(text):
    with pytest.raises(TaskError, match="emchain: parameter rejectionflag: expected a hexadecimal number of"):
        flag_mask(text, "emchain: parameter rejectionflag")
    assert flag_mask("0xFFFFFFFF", "") == 0xFFFFFFFF
    assert flag_mask("762aa000", "") == 0x762AA000
