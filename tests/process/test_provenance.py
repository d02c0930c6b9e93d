"""Products followed back to what they were made of."""

from __future__ import annotations

import hashlib
import json
import sys

import fake_sas
import pytest
from typer.testing import CliRunner

from daxa._version import __version__
from daxa.archive import Archive
from daxa.archive.prov import as_prov
from daxa.archive.provenance import as_lines, provenance
from daxa.cli.main import app
from daxa.exceptions import DAXAError
from daxa.process.simple import full_process_xmm
from daxa.process.xmm.clean import espfilt

X, OBS = "xmm_pointed", "0800010101"
CHAIN = ("merge_subexposures", "cleaned_evt_lists", "espfilt")
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


def test_an_input_is_that_of_its_time(reduced):
    from astropy.units import Quantity

    (image,) = reduced.obs_folder(X, OBS).glob("images/*0.5_2.0keV-image.fits")

    def times() -> tuple[str, str]:
        part = provenance(image)
        while not part.by.startswith("espfilt "):
            part = next(p for p in part.made_of if p.by.split(" ")[0] in CHAIN)
        return part.data, " ".join(part.commands)

    before = times()
    espfilt(reduced, range_scale={"mos": 7.0, "pn": 15.0}, filter_lo_en=Quantity(2500, "eV"), **QUIET)
    assert times() == before
    assert "rangescale=7" not in before[1]


def test_what_has_become_of_the_file_is_told(reduced):
    (image,) = reduced.obs_folder(X, OBS).glob("images/*0.5_2.0keV-image.fits")
    image.write_text("mine")
    assert provenance(image).note == "has been altered since it was made"
    image.unlink()
    assert provenance(image).note == "is not there any more"


def test_provenance_of_the_w3c(reduced):
    model = pytest.importorskip("prov.model")
    (image,) = reduced.obs_folder(X, OBS).glob("images/*0.5_2.0keV-image.fits")
    done = CliRunner().invoke(app, ["provenance", str(image), "--prov", "json"])
    assert done.exit_code == 0, done.output
    document = model.ProvDocument.deserialize(content=done.stdout, format="json")
    entities = list(document.get_records(model.ProvEntity))
    activities = list(document.get_records(model.ProvActivity))
    names = {str(a.identifier).split("/")[1] for a in activities}
    assert names >= {"generate_images_expmaps", *CHAIN, "emchain", "odf_ingest", "cif_build"}
    assert all(a.get_startTime() <= a.get_endTime() for a in activities)
    told = {str(a.identifier) for a in activities if any(k.localpart == "command1" for k, _ in a.attributes)}
    # One sub-exposure is copied, not merged.
    assert {str(a.identifier).split("/")[1] for a in activities if str(a.identifier) not in told} == {
        "merge_subexposures"
    }
    sums = {str(v) for e in entities for k, v in e.attributes if k.localpart == "sha256"}
    assert hashlib.sha256(image.read_bytes()).hexdigest() in sums
    labels = {str(v) for e in entities for k, v in e.attributes if k.localpart == "label"}
    assert {"files of the ODF", f"3100_{OBS}_SCX00000SUM.ASC"} <= labels
    agents = {str(a.identifier) for a in document.get_records(model.ProvAgent)}
    assert f"daxa:software/daxa@{__version__}" in agents
    identifiers = [str(r.identifier) for r in (*entities, *activities)]
    assert len(identifiers) == len(set(identifiers))
    done = CliRunner().invoke(app, ["provenance", str(image), "--prov", "n"])
    assert done.stdout.startswith("document\n")
    assert CliRunner().invoke(app, ["provenance", str(image), "--prov", "xml"]).exit_code == 2


def test_without_the_package_of_the_w3c_this_is_told(reduced, monkeypatch):
    (image,) = reduced.obs_folder(X, OBS).glob("images/*0.5_2.0keV-image.fits")
    monkeypatch.setitem(sys.modules, "prov", None)
    with pytest.raises(DAXAError, match=r"needs the package prov, which is not installed: pip install prov"):
        as_prov(provenance(image), "n")


def test_other_files_have_none(reduced, tmp_path):
    with pytest.raises(DAXAError, match="is not in an archive"):
        provenance(tmp_path / "a.fits")
    with pytest.raises(DAXAError, match="no successful run of the archive field has made it"):
        provenance(reduced.obs_folder(X, OBS) / "images" / "mine.fits")
