"""Every argument of every step reaches what is run: one that is given changes the tasks, or which are run."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from astropy.units import Quantity
from fake_sas import OBSERVED, FakeMission

from daxa.archive import Archive
from daxa.exceptions import NoDependencyProcessError
from daxa.process import PROC_LOOKUP
from daxa.process.options import Running
from daxa.process.settings import redo_mode
from daxa.process.simple import full_process_xmm
from daxa.process.step import Piece, Planned

FUNCTIONS = {**PROC_LOOKUP["xmm_pointed"], "full_process_xmm": full_process_xmm}
SHARED = {item.name for item in fields(Running)}
#: What limits of bands need beside them, as they are given together.
BAND = {"lo_en": Quantity(0.2, "keV"), "hi_en": Quantity(10, "keV")}
BANDS = {"lo_en": Quantity([0.5, 1], "keV"), "hi_en": Quantity([1, 5], "keV")}
#: Argument of each function -> a value other than the default, and what means something only beside others.
GIVEN: dict[str, dict[str, Any]] = {
    "cif_build": {"analysis_date": datetime(2015, 1, 1)},
    "odf_ingest": {},
    "epchain": {"process_unscheduled": False},
    "emchain": {"process_unscheduled": False},
    "rgs_events": {"process_unscheduled": False},
    "rgs_angles": {},
    "cleaned_rgs_event_lists": {},
    "emanom": {},
    "espfilt": {
        "method": "ratio",
        "with_smoothing": Quantity(41, "s"),
        "with_binning": Quantity(30, "s"),
        "ratio": 1.5,
        "filter_lo_en": Quantity(2, "keV"),
        "filter_hi_en": Quantity(9, "keV"),
        "range_scale": {"mos": 7, "pn": 20},
        "allowed_sigma": 2.5,
        "gauss_fit_lims": (0.2, 7),
    },
    "cleaned_evt_lists": {
        "lo_en": Quantity(0.3, "keV"),
        "hi_en": Quantity(8, "keV"),
        "pn_filt_expr": "PATTERN == 0",
        "mos_filt_expr": "PATTERN == 0",
        "filt_mos_anom_state": True,
        "acc_mos_anom_states": "B",
    },
    "merge_subexposures": {},
    "generate_images_expmaps": {
        "lo_en": Quantity([0.6, 1], "keV"),
        "hi_en": Quantity([0.9, 5], "keV"),
        "pixel_size": Quantity(4, "arcsec"),
        "unvignetted": True,
        "masks": True,
        "subtract_oot": True,
        "smooth": "adaptive",
        "background": True,
        "regions": "fk5; circle(150, 2, 0.01)",
    },
    "generate_mosaics": {
        "lo_en": Quantity([0.6, 1], "keV"),
        "hi_en": Quantity([0.9, 5], "keV"),
        "weighting": "time",
        "whole_archive": False,
    },
    "find_sources": {
        "lo_en": Quantity([0.6, 1], "keV"),
        "hi_en": Quantity([0.9, 5], "keV"),
        "likelihood": 6.0,
        "extent": False,
    },
    "generate_matrices": {"patterns": 2},
    "generate_spectra": {
        "positions": (149.6, -11.1),
        "radius": 0.7,
        "regions": "fk5; circle(149.6, -11.1, 0.01)",
        "background": "ccd",
        "extended": True,
        "lo_en": Quantity(0.5, "keV"),
        "hi_en": Quantity(7, "keV"),
        "patterns": (1, 4),
        "min_counts": 5,
        "oversample": None,
    },
    "generate_lightcurves": {
        "positions": (149.6, -11.1),
        "radius": 0.7,
        "regions": "fk5; circle(149.6, -11.1, 0.01)",
        "background": "ccd",
        "lo_en": Quantity([0.6, 1], "keV"),
        "hi_en": Quantity([0.9, 5], "keV"),
        "time_bin": Quantity(50, "s"),
        "on_axis": False,
        "barycentre": True,
    },
    "full_process_xmm": {
        "lo_en": Quantity(0.3, "keV"),
        "hi_en": Quantity(8, "keV"),
        "process_unscheduled": False,
        "find_mos_anom_state": True,
        "redo": "never",
        "steps": ["odf_ingest", "cif_build"],
    },
}
BESIDE: dict[tuple[str, str], dict[str, Any]] = {
    ("cleaned_evt_lists", "acc_mos_anom_states"): {"filt_mos_anom_state": True},
    ("generate_images_expmaps", "regions"): {"masks": True},
    **{
        ("generate_spectra", name): {"positions": (149.6, -11.1)}
        for name in ("radius", "background", "extended", "patterns", "min_counts", "oversample")
    },
    **{("generate_spectra", limit): {"positions": (149.6, -11.1), **BAND} for limit in BAND},
    **{
        ("generate_lightcurves", name): {"positions": (149.6, -11.1)}
        for name in ("radius", "background", "time_bin", "on_axis", "barycentre")
    },
    **{("generate_lightcurves", limit): {"positions": (149.6, -11.1), **BANDS} for limit in BAND},
    ("generate_lightcurves", "positions"): {"positions": (149.61, -11.1)},
    ("generate_lightcurves", "regions"): {"regions": "fk5; circle(149.6, -11.1, 0.02)"},
    **{(name, limit): BAND for name in ("cleaned_evt_lists", "full_process_xmm") for limit in BAND},
    **{
        (name, limit): BANDS
        for name in ("generate_images_expmaps", "generate_mosaics", "find_sources")
        for limit in BAND
    },
}
RUNNING = {"num_cores": 3, "disable_progress": True, "timeout": Quantity(7, "s"), "executor": "dask"}


@pytest.fixture
def archive(sas, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """An archive in which everything has been done once; each chain has an unscheduled exposure."""
    for inst in ("PN", "R1"):
        for exposure in OBSERVED["0800010101"][inst].values():
            monkeypatch.setitem(exposure, "scheduled", False)
    archive = Archive("field", FakeMission(["M1", "M2", "PN", "R1"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        full_process_xmm(archive, disable_progress=True, find_mos_anom_state=True)
    return archive


class Recorder:
    """Stands in for the runner, and keeps what it was to run."""

    def __init__(self, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
        self.archive = archive
        self.calls: list[tuple[list[Planned], Running, str]] = []
        self.fields: list[Any] = []
        for module in (
            *(
                "setup",
                "assemble",
                "check",
                "clean",
                "generate",
                "grating",
                "mosaics",
                "sources",
                "spectra",
                "lightcurves",
            ),
        ):
            monkeypatch.setattr(f"daxa.process.xmm.{module}.run_steps", self.run)
        monkeypatch.setattr("daxa.process.simple.run_steps", self.run)
        # What spectra build on has not been made.
        monkeypatch.setattr("daxa.process.xmm.spectra._matrix_of", lambda piece, options: Path("rmf.fits"))
        monkeypatch.setattr("daxa.process.xmm.source_places._some_known", lambda archive: True)
        # Some arguments are for the engine only.
        monkeypatch.setattr("daxa.process.xmm.generate.select_backend", lambda: "embedded")
        monkeypatch.setattr("daxa.process.xmm.mosaics.field_mosaics", self.field)
        monkeypatch.setattr("daxa.process.xmm.mosaics._check_bands", lambda archive, options: None)

    def run(self, archive: Archive, steps: list[Planned], allowed: Any, running: Running) -> None:
        self.calls.append((steps, running, redo_mode()))

    def field(self, archive: Archive, options: Any, limit_s: float | None, redo: str) -> list[Any]:
        self.fields.append((options.recorded(), limit_s, redo))
        return []

    def of(self, name: str, **given: Any) -> list[Any]:
        """What a call of a step comes to: the tasks of every piece, and what is left out."""
        self.calls, self.fields = [], []
        FUNCTIONS[name](self.archive, **given)
        ((steps, _, redo),) = self.calls
        return [redo, self.fields, [[step.name, self._tasks(step, options)] for step, options in steps]]

    def running_of(self, name: str, **given: Any) -> Running:
        """How the jobs of a call are run."""
        self.calls = []
        FUNCTIONS[name](self.archive, **given)
        return self.calls[0][1]

    def _tasks(self, step: Any, options: Any) -> list[Any]:
        found = []
        for piece in (part for whole in self._pieces(step) for part in step.parts(whole, options)):
            if not step.wants(piece, options):
                found.append([piece.ident, "left out"])
                continue
            try:
                recipe = step.recipe(piece, options)
            except NoDependencyProcessError as error:
                # Images of other bands, which the message names.
                found.append([piece.ident, str(error)])
                continue
            tasks = [(task.name, task.parameters) for task in recipe.tasks]
            found.append([piece.ident, step.needs(piece.inst, options), tasks, recipe.outputs])
        return found

    def _pieces(self, step: Any) -> list[Piece]:
        """The pieces on which a step has been run, and those that it could be run on."""
        (mission,) = self.archive.missions
        done = {run.ident for run in self.archive.ledger.runs(process=step.name, logs=False)}
        pieces = [Piece(self.archive, mission, obs_id) for obs_id in mission.filtered_obs_ids]
        if step.scope != "observation":
            pieces = [
                Piece(self.archive, mission, p.obs_id, inst) for p in pieces for inst in step.instruments
            ]
        if step.scope == "exposure":
            summary = self.archive.observation_summaries[mission.name]
            pieces = [
                Piece(self.archive, mission, p.obs_id, p.inst, exp_id)
                for p in pieces
                for exp_id in summary[p.obs_id].get(p.inst, {}).get("exposures", {})
            ]
        not_run = ("generate_mosaics", "find_sources", "generate_matrices", "generate_spectra")
        not_run += ("generate_lightcurves",)
        return [p for p in pieces if p.ident in done or step.name in not_run]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_argument_has_its_value_here(name):
    own = set(inspect.signature(FUNCTIONS[name]).parameters) - {"obs_archive"} - SHARED
    assert own == set(GIVEN[name])
    assert set(RUNNING) == SHARED


def test_every_argument_changes_what_is_run(archive: Archive, monkeypatch: pytest.MonkeyPatch):
    recorder = Recorder(archive, monkeypatch)
    silent = []
    for name, values in GIVEN.items():
        for argument, value in values.items():
            beside = BESIDE.get((name, argument), {})
            usual = recorder.of(name, **beside)
            assert usual[-1][0][1], f"{name}: nothing to run"
            if recorder.of(name, **beside | {argument: value}) == usual:
                silent.append(f"{name}: {argument}")
    assert not silent


def test_how_jobs_are_run_reaches_the_runner(archive: Archive, monkeypatch: pytest.MonkeyPatch):
    recorder = Recorder(archive, monkeypatch)
    for name in FUNCTIONS:
        running = recorder.running_of(name, **RUNNING)
        assert {n: getattr(running, n) for n in SHARED} == RUNNING, name
    # The mosaics of fields are not made by the runner.
    recorder.running_of("generate_mosaics", **RUNNING)
    assert recorder.fields[-1][1] == 7.0
