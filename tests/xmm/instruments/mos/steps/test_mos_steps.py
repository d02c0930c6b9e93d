"""Every step gets values, and has a test that makes them by hand."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path

import pytest

from daxa.xmm.instruments.mos import steps

HERE = Path(__file__).parent
STEPS = sorted(p.stem for p in Path(steps.__file__).parent.glob("*.py") if p.stem != "__init__")
#: What can only be opened with raw files or calibration.
NEEDS_FILES = ("Camera", "Odf", "OdfFile", "Calibration", "TaskContext", "Path")


@pytest.mark.parametrize("step", STEPS)
def test_a_step_takes_values(step):
    module = import_module(f"{steps.__name__}.{step}")
    functions = [
        f for _, f in inspect.getmembers(module, inspect.isfunction) if f.__module__ == module.__name__
    ]
    assert step in [f.__name__ for f in functions]
    for function in functions:
        hints = [p.annotation for p in inspect.signature(function).parameters.values()]
        assert not [h for h in hints if h in NEEDS_FILES], function.__name__


@pytest.mark.parametrize("step", STEPS)
def test_a_step_has_a_test_on_values_made_by_hand(step):
    text = (HERE / f"test_mos_{step}.py").read_text(encoding="utf-8")
    assert "from mos_values import" in text
    assert f"mos.steps.{step} import" in text
