"""Importing the package, its settings, and its names."""

import os
import subprocess
import sys

import pytest

from daxa import config
from daxa.exceptions import DAXAConfigError


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=True,
    )


def test_import_is_silent_and_light(tmp_path):
    heavy = ("numpy", "astropy", "pandas", "scipy", "matplotlib", "requests", "pyvo")
    code = f"import daxa, sys; dir(daxa); print([m for m in {heavy} if m in sys.modules])"
    home = tmp_path / "home"
    home.mkdir()
    done = run(code, HOME=str(home), XDG_CONFIG_HOME=str(home / "c"), XDG_CACHE_HOME=str(home / "k"))
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""
    assert list(home.iterdir()) == []


def test_public_names():
    import daxa
    from daxa import NUM_CORES, OUTPUT

    assert NUM_CORES >= 1
    assert os.path.isabs(OUTPUT)
    assert OUTPUT.endswith(os.sep)
    assert daxa.__version__
    assert not os.path.exists(OUTPUT)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = daxa.nonsense


def test_what_there_is_is_listed_and_there():
    import daxa
    from daxa.mission import MISS_INDEX
    from daxa.process import PROC_LOOKUP

    listed = dir(daxa)
    assert {m.__name__ for m in MISS_INDEX.values()} <= set(listed)
    assert {"Archive", "full_process_xmm", "mission", "archive", "process", *PROC_LOOKUP["xmm_pointed"]} <= {
        *listed
    }
    assert [name for name in listed if not hasattr(daxa, name)] == []
    assert [name for name in dir(daxa.process) if not hasattr(daxa.process, name)] == []
    assert daxa.espfilt is daxa.process.xmm.clean.espfilt
    assert daxa.full_process_xmm is daxa.process.simple.full_process_xmm


def test_environment_wins_over_file(monkeypatch, tmp_path):
    path = config.config_file()
    path.parent.mkdir()
    path.write_text("[DAXA_SETUP]\nnum_cores = 1\nbackend = sas\ndaxa_save_path = /there\n")
    assert config.num_cores() == 1
    assert config.backend() == "sas"
    assert config.output_path() == str(tmp_path / "daxa_output") + os.sep
    monkeypatch.setenv("DAXA_BACKEND", "embedded")
    assert config.backend() == "embedded"


@pytest.mark.parametrize("value", ["many", "0", "-2", "100000", "1.5"])
def test_bad_number_of_cores(monkeypatch, value):
    monkeypatch.setenv("DAXA_NUM_CORES", value)
    with pytest.raises(DAXAConfigError, match="num_cores: expected"):
        config.num_cores()


def test_bad_backend(monkeypatch):
    monkeypatch.setenv("DAXA_BACKEND", "magic")
    with pytest.raises(DAXAConfigError, match="backend: expected one of auto, sas, embedded"):
        config.backend()


def test_unreadable_configuration_names_the_file():
    path = config.config_file()
    path.parent.mkdir()
    path.write_text("num_cores = 1\n")
    with pytest.raises(DAXAConfigError, match="daxa.cfg"):
        config.num_cores()


def test_calibration_path_order(monkeypatch):
    monkeypatch.setenv("SAS_CCFPATH", "/sas")
    monkeypatch.setenv("DAXA_CCFPATH", "/mine:/other")
    assert config.calibration_path().split(os.pathsep)[:3] == ["/sas", "/mine", "/other"]


@pytest.mark.parametrize(("cores", "used"), [(1, 1), (2, 2), (4, 4), (10, 9), (64, 58)])
def test_small_machines_are_used_whole(cores, used, monkeypatch):
    monkeypatch.delenv("DAXA_NUM_CORES", raising=False)
    monkeypatch.setattr(config, "available_cores", lambda: cores)
    assert config.num_cores() == used
