"""emproc and epproc share the parameters that mean the same in both."""

from __future__ import annotations

import pytest

from daxa.xmm.task import find_task
from daxa.xmm.tasks.support import HOUSEKEEPING
from daxa.xmm.tasks.support_proc import proc_parameters


def table(task: str) -> dict:
    return {p.name: p for p in find_task(task).parameters}


def test_both_drivers_say_the_same_of_what_means_the_same():
    shared = {p.name for p in proc_parameters(ccds=7, instexpids=(), filterexpression="")}
    mos, pn = table("emproc"), table("epproc")
    assert shared <= set(mos)
    assert shared <= set(pn)
    assert {n for n in shared if mos[n] != pn[n]} == {"instexpids", "filterexpression"}
    # Those of the steps of the pn, and what differs.
    same = {n for n in set(mos) & set(pn) - shared if mos[n] == pn[n]}
    assert same == {"withsrccoords", "srcra", "srcdec"}


@pytest.mark.parametrize("task", ["emproc", "epproc"])
def test_limits_of_housekeeping_without_values_are_refused(task):
    assert find_task(task).parse({"withparameters": "yes", "parameters": "F1118"}).parameters == ["F1118"]
    with pytest.raises(NotImplementedError, match=f"{task}: withoverrideparameters=yes: .*hkgtigen itself"):
        find_task(task).parse({"withoverrideparameters": "yes", "overrideparameters": "F1118"})
    assert find_task("hkgtigen").parse({"withoverrideparameters": "yes"}).withoverrideparameters
    assert {p.name for p in HOUSEKEEPING} <= set(table("hkgtigen"))
