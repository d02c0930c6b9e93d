"""Where DAXA 0.3 had things, and what it raised."""

import importlib
import pickle
import warnings

import pytest

from daxa import config, exceptions
from daxa.former import MODULES


@pytest.mark.parametrize("name", MODULES)
def test_modules_are_found_under_their_former_names(name):
    module = importlib.import_module(name)
    assert module is importlib.import_module(MODULES[name])
    assert module.__spec__.name == MODULES[name]
    parent, _, last = name.rpartition(".")
    assert getattr(importlib.import_module(parent), last) is module


def test_names_are_where_scripts_look_for_them():
    names: dict = {}
    exec(
        "from daxa.archive.base import Archive\n"
        "from daxa.mission.xmm import XMMPointed\n"
        "from daxa.mission import *\n"
        "from daxa.misc import dict_search\n"
        "from daxa.process import PROC_LOOKUP, cif_build\n"
        "from daxa.process.xmm import *\n"
        "from daxa.config import OUTPUT, NUM_CORES, PFILES_PATH, daxa_conf, sb_rate, EROSITA_CALPV_INFO\n"
        "import daxa.mission.rosat, daxa\n",
        names,
    )
    assert names["XMMPointed"] is names["MISS_INDEX"]["xmm_pointed"]
    assert callable(names["multi_mission_filter_on_positions"])
    assert names["PROC_LOOKUP"]["xmm_pointed"]["cif_build"] is names["cif_build"]
    assert set(names["PROC_LOOKUP"]) >= set(names["MISS_INDEX"])
    assert names["espfilt"].__name__ == "espfilt"
    assert names["daxa"].daxa_conf == names["daxa_conf"]
    assert names["PFILES_PATH"].endswith("pfiles")
    assert "EFEDS" in set(names["EROSITA_CALPV_INFO"]["Field_Name"])
    with pytest.raises(ImportError, match="no_such_step"):
        exec("from daxa.process import no_such_step")
    with pytest.raises(ModuleNotFoundError, match=r"daxa\.mission\.hubble"):
        importlib.import_module("daxa.mission.hubble")


def test_values_within_dictionaries_are_found():
    from daxa.former import dict_search

    assert list(dict_search("b", {"a": {"b": {"b": 2}, "d": {"b": 3}}, "b": 9})) == [
        ["a", {"b": 2}],
        ["a", ["b", 2]],
        ["a", ["d", 3]],
        9,
    ]
    assert list(dict_search("b", 5)) == []


@pytest.mark.parametrize(
    ("name", "also"),
    [
        ("MissionNotAssociatedError", (KeyError, ValueError)),
        ("ObsNotAssociatedError", (ValueError,)),
        ("NoRegionsAssociatedError", (ValueError,)),
        ("NoDependencyProcessError", (exceptions.NoProcessingError,)),
        ("PreProcessedNotAvailableError", (FileNotFoundError, exceptions.DAXANotDownloadedError)),
        ("WrongTypeError", (TypeError, ValueError)),
    ],
)
def test_exceptions_are_of_the_class_that_scripts_catch(name, also):
    error = getattr(exceptions, name)("what happened")
    assert isinstance(error, (exceptions.DAXAError, *also))
    assert all(isinstance(error, kind) for kind in also)
    assert str(error) == error.message == "what happened"
    assert pickle.loads(pickle.dumps(error)).message == "what happened"
    assert getattr(exceptions, name)().message is None


def test_former_configuration_file_is_read_with_a_note():
    former = config.former_config_file()
    former.write_text("[DAXA_SETUP]\ndaxa_save_path = /there\nnum_cores = 1\npfiles_path = /nowhere\n")
    with pytest.warns(UserWarning, match=rf"settings are read from {former}.*their place is"):
        assert config.num_cores() == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is said once
        assert config.as_dict()["DAXA_SETUP"]["daxa_save_path"] != "daxa_output"
    with pytest.raises(FileNotFoundError, match="pfiles_path: no such folder /nowhere"):
        config.pfiles_path()
    own = config.config_file()
    own.parent.mkdir()
    own.write_text("[DAXA_SETUP]\nbackend = sas\n")
    assert config.as_dict()["DAXA_SETUP"]["pfiles_path"] == ""
