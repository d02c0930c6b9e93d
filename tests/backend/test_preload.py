"""What the helper loads for its jobs exists."""

import importlib
import sys

import pytest

from daxa.backend.zygote import FIRST, LATER, preload


@pytest.mark.parametrize("name", [*FIRST, *LATER])
def test_what_is_loaded_ahead_exists(name):
    module, _, function = name.partition(":")
    loaded = importlib.import_module(module)
    assert not function or callable(getattr(loaded, function))
    if function:
        getattr(loaded, function)()


@pytest.mark.parametrize(
    "fault", ["ValueError('numpy.dtype size changed')", "ImportError('x')", "AttributeError()"]
)
def test_libraries_that_do_not_fit_leave_the_helper_alive(tmp_path, monkeypatch, fault):
    (tmp_path / "misfit.py").write_text(f"raise {fault}\n")
    monkeypatch.syspath_prepend(tmp_path)
    preload("misfit")
    preload("misfit:function")
    assert "misfit" not in sys.modules
