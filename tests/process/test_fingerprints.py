"""What existing archives have recorded must mean the same to every later version.

``recorded_runs.json`` holds fingerprints and options as the steps have always recorded them: a change of
either would let every archive be made again. Who means to change what a fingerprint depends on says so in the
commit, and lets ``make records`` write the file anew.
"""

from __future__ import annotations

import json
import os
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from astropy.units import Quantity
from fake_sas import FakeMission

from daxa.archive import Archive
from daxa.process.xmm.assemble import cleaned_evt_lists, emchain, epchain, merge_subexposures
from daxa.process.xmm.check import emanom
from daxa.process.xmm.clean import espfilt
from daxa.process.xmm.generate import generate_images_expmaps
from daxa.process.xmm.grating import cleaned_rgs_event_lists, rgs_angles, rgs_events
from daxa.process.xmm.setup import cif_build, odf_ingest

RECORDED = Path(__file__).with_name("recorded_runs.json")
#: With this environment variable the file is written anew.
RENEW = "DAXA_RENEW_RECORDS"
#: Every argument of every step, once by default and once otherwise.
CALLS: dict[str, list[tuple[Any, dict[str, Any]]]] = {
    "as by default": [
        (cif_build, {"analysis_date": datetime(2020, 1, 1)}),
        (odf_ingest, {}),
        (epchain, {}),
        (emchain, {}),
        (rgs_events, {}),
        (rgs_angles, {}),
        (cleaned_rgs_event_lists, {}),
        (emanom, {}),
        (espfilt, {}),
        (cleaned_evt_lists, {}),
        (merge_subexposures, {}),
        (generate_images_expmaps, {}),
    ],
    "otherwise": [
        (epchain, {"process_unscheduled": False}),
        (emchain, {"process_unscheduled": False}),
        (rgs_events, {"process_unscheduled": False}),
        (
            espfilt,
            {
                "method": "ratio",
                "with_smoothing": Quantity(41, "s"),
                "with_binning": False,
                "ratio": 1.3,
                "filter_lo_en": Quantity(2, "keV"),
                "filter_hi_en": Quantity(8000, "eV"),
                "range_scale": {"mos": 7, "pn": 14.5},
                "allowed_sigma": 2,
                "gauss_fit_lims": (0.2, 6),
            },
        ),
        (
            cleaned_evt_lists,
            {
                "lo_en": Quantity(0.3, "keV"),
                "hi_en": Quantity(9000, "eV"),
                "pn_filt_expr": "(PATTERN == 0)",
                "mos_filt_expr": ["#XMMEA_EM", "(PATTERN == 0)"],
                "filt_mos_anom_state": True,
                "acc_mos_anom_states": ["G", "B"],
            },
        ),
        (merge_subexposures, {}),
        (generate_images_expmaps, {"lo_en": Quantity([0.5, 2], "keV"), "hi_en": Quantity([2, 5], "keV")}),
    ],
}


@pytest.fixture
def archive(sas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """An archive whose raw files and back-end are always those of the record."""
    from daxa.process import recording

    monkeypatch.setattr(recording, "sas_version", lambda: "21.0.0")
    ccf = tmp_path / "ccf"
    ccf.mkdir()
    monkeypatch.setenv("DAXA_CCFPATH", str(ccf))
    archive = Archive("field", FakeMission(["M1", "M2", "PN", "R1"]))
    for mission in archive:
        for obs_id in mission.filtered_obs_ids:
            for path in mission.get_obs_path(obs_id).iterdir():
                path.write_text(path.read_text().rstrip())
                os.utime(path, (1e9, 1e9))
    return archive


def recorded(archive: Archive) -> dict[str, Any]:
    """What is kept of the last runs: process and identifier -> fingerprint; process -> options."""
    runs = list(archive.ledger.runs(logs=False))
    assert all(run.ok for run in runs)
    return {
        "fingerprints": {f"{run.process} {run.ident}": run.fingerprint for run in runs},
        "options": {run.process: run.config for run in runs},
        "configurations": {name: given for _, name, given in archive.ledger.configurations()},
    }


def test_runs_are_recorded_as_ever(archive: Archive):
    found = {}
    for how, calls in CALLS.items():
        for step, arguments in calls:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                step(archive, num_cores=2, disable_progress=True, **arguments)
        found[how] = recorded(archive)
    if RENEW in os.environ:
        RECORDED.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        pytest.skip(f"{RECORDED.name} is written anew")
    expected = json.loads(RECORDED.read_text(encoding="utf-8"))
    for how, kinds in found.items():
        for kind, values in kinds.items():
            assert values == expected[how][kind], f"{how}: {kind}; if that is meant: make records"
