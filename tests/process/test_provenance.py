"""Products followed back to what they were made of."""

from __future__ import annotations

import json

import fake_sas
import pytest
from typer.testing import CliRunner

from daxa.archive import Archive
from daxa.archive.provenance import as_lines, provenance
from daxa.cli.main import app
from daxa.exceptions import DAXAError
from daxa.process.simple import full_process_xmm
from daxa.process.xmm.clean import espfilt

X, OBS = "xmm_pointed", "0800010101"
QUIET = {"num_cores": 2, "disable_progress": True}


@pytest.fixture
def reduced(sas, monkeypatch) -> Archive:
    monkeypatch.setattr(fake_sas, "OBSERVED", {OBS: {"M1": {"S001": fake_sas.exposure()}}})
    made = Archive("field", fake_sas.FakeMission())
    full_process_xmm(made, **QUIET)
    return made


def test_an_image_leads_back_to_the_raw_files(reduced):
    (image,) = reduced.obs_folder(X, OBS).glob("images/*0.5_2.0keV-image.fits")
    found = provenance(image)
    assert found.by == f"generate_images_expmaps {OBS}M1"
    assert found.commands[0].startswith("evselect ")
    lines = list(as_lines(found))
    for process in (
        "merge_subexposures",
        "cleaned_evt_lists",
        "espfilt",
        "emchain",
        "odf_ingest",
        "cif_build",
    ):
        assert any(f"made by {process} " in line for line in lines), process
    assert sum("files of the ODF" in line for line in lines) >= 1
    done = CliRunner().invoke(app, ["provenance", str(image), "--json"])
    assert json.loads(done.stdout)["by"] == found.by
    done = CliRunner().invoke(app, ["provenance", str(image)])
    assert done.stdout.splitlines() == lines


def test_what_has_been_made_anew_since_is_told(reduced):
    from astropy.units import Quantity

    (image,) = reduced.obs_folder(X, OBS).glob("images/*0.5_2.0keV-image.fits")
    espfilt(reduced, range_scale={"mos": 7.0, "pn": 15.0}, filter_lo_en=Quantity(2500, "eV"), **QUIET)
    assert any("made anew since" in line for line in as_lines(provenance(image)))


def test_other_files_have_none(reduced, tmp_path):
    with pytest.raises(DAXAError, match="is not in an archive"):
        provenance(tmp_path / "a.fits")
    with pytest.raises(DAXAError, match="no successful run of the archive field has made it"):
        provenance(reduced.obs_folder(X, OBS) / "images" / "mine.fits")
