"""What the helper loads for its jobs exists."""

import importlib

import pytest

from daxa.backend.zygote import FIRST, LATER


@pytest.mark.parametrize("name", [*FIRST, *LATER])
def test_what_is_loaded_ahead_exists(name):
    module, _, function = name.partition(":")
    loaded = importlib.import_module(module)
    assert not function or callable(getattr(loaded, function))
    if function:
        getattr(loaded, function)()
