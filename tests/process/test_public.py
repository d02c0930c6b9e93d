"""Public functions of steps: made of their options, and of what all share."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import FrozenInstanceError

import pytest
from astropy.units import Quantity

from daxa.archive import Archive
from daxa.mission.state import decode
from daxa.process import PROC_LOOKUP
from daxa.process.options import StepOptions
from daxa.process.simple import full_process_xmm
from daxa.process.xmm.assemble import CleanedOptions, cleaned_evt_lists
from daxa.process.xmm.clean import EspfiltOptions, espfilt
from daxa.process.xmm.generate import ImageOptions
from daxa.process.xmm.mosaics import FieldOptions, generate_mosaics
from daxa.process.xmm.setup import cif_build

FUNCTIONS = {**PROC_LOOKUP["xmm_pointed"], "full_process_xmm": full_process_xmm}
SHARED = {"num_cores": None, "disable_progress": False, "timeout": None, "executor": None}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_argument_has_its_line(name):
    function = FUNCTIONS[name]
    parameters = inspect.signature(function).parameters
    assert function.__name__ == name
    assert next(iter(parameters)) == "obs_archive"
    assert {n: parameters[n].default for n in SHARED} == SHARED
    _, _, section = function.__doc__.partition("Parameters\n----------\n")
    lines = section.partition("\n\n")[0].splitlines()
    assert [line.split(" : ")[0] for line in lines if not line.startswith(" ")] == list(parameters)
    assert all(len(line) <= 110 for line in lines)


def test_order_of_arguments_is_that_of_daxa():
    names = list(inspect.signature(cif_build).parameters)
    assert names == ["obs_archive", "num_cores", "disable_progress", "analysis_date", "timeout", "executor"]
    names = list(inspect.signature(cleaned_evt_lists).parameters)
    assert names[1:7] == [
        "lo_en",
        "hi_en",
        "pn_filt_expr",
        "mos_filt_expr",
        "filt_mos_anom_state",
        "acc_mos_anom_states",
    ]


def test_other_sections_stay_behind_the_parameters():
    doc = generate_mosaics.__doc__
    assert doc.index("Parameters\n---") < doc.index("timeout : ") < doc.index("Returns\n---")
    assert doc.startswith("Combine the images")


def test_wrong_arguments_are_told_with_the_functions_name(archive: Archive):
    with pytest.raises(TypeError, match="espfilt: got an unexpected keyword argument 'rate'"):
        espfilt(archive, rate=3)
    with pytest.raises(TypeError, match="espfilt: missing a required argument: 'obs_archive'"):
        espfilt()
    with pytest.raises(TypeError, match="obs_archive: expected an Archive, got str"):
        espfilt("archive")
    with pytest.raises(ValueError, match="num_cores: expected at least 1"):
        espfilt(archive, num_cores=0)


def test_options_are_checked_when_they_are_made_and_stay():
    options = EspfiltOptions(filter_lo_en=Quantity(2, "keV"))
    assert options.band_ev == (2000, 8500)
    assert options.task_parameters("pn")["rangescale"] == 15.0
    with pytest.raises(FrozenInstanceError):
        options.method = "ratio"
    with pytest.raises(ValueError, match="allowed_sigma: expected a positive number"):
        EspfiltOptions(allowed_sigma=0)
    with pytest.raises(ValueError, match="acc_mos_anom_states"):
        CleanedOptions(acc_mos_anom_states="X")
    assert CleanedOptions(Quantity(300, "eV"), Quantity(9, "keV")).energy == "0.3_9.0keV"


@pytest.mark.parametrize(
    "options",
    [EspfiltOptions(with_binning=Quantity(10, "s")), ImageOptions(), CleanedOptions(), StepOptions()],
    ids=lambda options: type(options).__name__,
)
def test_what_is_recorded_makes_the_same_options_again(options: StepOptions):
    again = type(options)(**{name: decode(value) for name, value in options.recorded().items()})
    assert again.recorded() == options.recorded()


def test_bands_are_recorded_as_they_were_made():
    assert ImageOptions().recorded()["lo_en"] == {
        "quantity": {"value": {"ndarray": [0.5, 2.0]}, "unit": "keV"}
    }
    assert list(FieldOptions(whole_archive=False).recorded()) == ["lo_en", "hi_en", "weighting"]


def test_warnings_point_at_the_call(archive: Archive, sas):
    sas.behave("if [ $task = cifbuild ]; then exit 1; fi")
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        cif_build(archive, disable_progress=True)
        full_process_xmm(archive, disable_progress=True)
    assert {w.filename for w in found if issubclass(w.category, UserWarning)} == {__file__}
