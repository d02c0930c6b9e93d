"""A ledger that is lost is made anew from products and logs."""

from __future__ import annotations

import fake_sas
import pytest
from astropy.units import Quantity
from typer.testing import CliRunner

from daxa.archive import Archive
from daxa.cli.main import app
from daxa.process.simple import full_process_xmm

X, OBS = "xmm_pointed", "0800010101"
QUIET = {"num_cores": 2, "disable_progress": True}


@pytest.mark.parametrize("copy", [True, False])
def test_rebuild(sas, monkeypatch, copy):
    monkeypatch.setattr(fake_sas, "OBSERVED", {OBS: {"M1": {"S001": fake_sas.exposure()}}})
    archive = Archive("field", fake_sas.FakeMission())
    full_process_xmm(archive, Quantity(0.3, "keV"), Quantity(10, "keV"), **QUIET)
    before = archive.process_extra_info[X]
    logs = archive.process_logs[X]
    archive.ledger.close()
    for path in archive.layout.save_info.glob("ledger*"):
        if not (copy and path == archive.layout.backup):
            path.unlink()
    done = CliRunner().invoke(app, ["rebuild", "field"])
    assert done.exit_code == 0, done.output
    how = "its copy; 0" if copy else "nothing; 7"
    assert f"anew from {how} products were found that it knew nothing of" in done.output
    again = Archive("field")
    found = again.process_extra_info[X]
    for process, idents in before.items():
        for ident, extra in idents.items():
            for key, value in extra.items():
                if "/" in str(value):
                    assert found[process][ident][key] == value, (process, key)
    if not copy:
        assert again.process_logs[X] == logs
        assert set(again.stale[X]) == set(before)
    assert again.get_obs_to_process(X) == [[OBS, "M1", "S001"]]
    sas.forget()
    full_process_xmm(again, Quantity(0.3, "keV"), Quantity(10, "keV"), **QUIET)
    assert sas.calls == []
    assert again.final_process_success == {X: {OBS: True}}
    done = CliRunner().invoke(app, ["rebuild", "field"])
    assert "the ledger is sound and stays; 0 products" in done.output
    done = CliRunner().invoke(app, ["verify", "field"])
    assert done.exit_code == 0, done.output
    assert "0 missing or altered" in done.output
    next(again.obs_folder(X, OBS).glob("cleaning/*gti.fits")).unlink()
    done = CliRunner().invoke(app, ["verify", "field"])
    assert done.exit_code == 1
    assert "missing: processed_data" in done.output
