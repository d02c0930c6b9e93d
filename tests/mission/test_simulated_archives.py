"""A simulated observation, from the search in each archive to the processed archive."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from archive_server import ArchiveServer
from served_observation import OBS, serve

from daxa.archive import Archive
from daxa.mission import XMMPointed
from daxa.simulate import SimulatedSet
from daxa.xmm.formats.odf_names import OdfName

pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("source", ["xsa", "heasarc", "s3"])
def test_from_search_to_images(
    server: ArchiveServer, simulated: SimulatedSet, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    from daxa.calibration import store
    from daxa.process.simple import full_process_xmm

    files = serve(server, Path(simulated.odf(OBS)))
    for path in Path(simulated.ccf).glob("*.CCF"):
        server.files[f"xmm/data/CCF/{path.name}"] = path.read_bytes()
    mission = XMMPointed(["M1"], source=source)
    mission.filter_on_name("A 907")
    archive = Archive(f"found_{source}", mission, download_products=False)
    fetched = {p.name: p.read_bytes() for p in mission.get_obs_path(OBS).iterdir() if OdfName.parse(p.name)}
    instruments = {"M1", "SC", "RM"}
    assert fetched == {
        n: c for n, c in files.items() if source == "xsa" or OdfName.parse(n).instrument in instruments
    }
    if source != "s3":  # where the same files come from as from heasarc
        store.fetch(["EMOS1"], mirror=f"{server.url}/FTP/xmm/data/CCF")
        full_process_xmm(archive)
        done = archive.process_success["xmm_pointed"]
        assert {"cif_build", "odf_ingest", "emchain", "espfilt", "generate_images_expmaps"} <= set(done)
        assert all(all(idents.values()) for idents in done.values()), archive.process_errors
    # opening it again needs no network
    before = server.requests.copy()
    monkeypatch.setenv("DAXA_URL_XSA_TAP", "http://127.0.0.1:9")
    monkeypatch.setenv("DAXA_URL_HEASARC_TAP", "http://127.0.0.1:9")
    again = Archive(f"found_{source}")
    assert list(again["xmm_pointed"].filtered_obs_ids) == [OBS]
    assert again["xmm_pointed"].get_obs_path(OBS) == mission.get_obs_path(OBS)
    assert server.requests == before


@pytest.mark.usefixtures("pauses")
def test_one_command_from_name_to_images(
    server: ArchiveServer, simulated: SimulatedSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """``daxa process NAME``: found, downloaded, calibration fetched, reduced; then again without network."""
    import json

    from typer.testing import CliRunner

    from daxa.cli.main import app

    serve(server, Path(simulated.odf(OBS)))
    for path in Path(simulated.ccf).glob("*.CCF"):
        server.files[f"xmm/data/CCF/{path.name}"] = path.read_bytes()
    monkeypatch.setenv("DAXA_CCF_MIRRORS", f"{server.url}/FTP/xmm/data/CCF")
    monkeypatch.setenv("DAXA_BACKEND", "embedded")
    words = ["process", "A 907", "--archive", "a907", "--inst", "M2", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["failed"] == []
    assert [(r["ObsID"], r["camera"]) for r in result["products"]] == [(OBS, "M2")]
    images = list((tmp_path / "daxa_output/archives/a907").rglob("*-image.fits"))
    assert len(images) == 2
    stored = {p.name for p in (Path(os.environ["XDG_CACHE_HOME"]) / "daxa/ccf").glob("*.CCF")}
    assert any(n.startswith("EMOS2_LINCOORD") for n in stored)
    assert not any(n.startswith(("EPN_CTI", "EMOS1_CTI")) for n in stored)

    for key in ("XSA_TAP", "HEASARC_TAP", "XSA_AIO", "SESAME"):
        monkeypatch.setenv(f"DAXA_URL_{key}", "http://127.0.0.1:9")
    monkeypatch.setenv("DAXA_CCF_MIRRORS", "http://127.0.0.1:9")
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["products"] == result["products"]


def test_from_a_folder(simulated: SimulatedSet, tmp_path: Path) -> None:
    folder = Path(simulated.odf(OBS)).parent
    mission = XMMPointed(local=folder)
    assert OBS in set(mission.filtered_obs_ids)
    mission.filter_on_obs_ids(OBS)
    archive = Archive("mine", mission)
    assert archive["xmm_pointed"].get_obs_path(OBS) == folder / OBS
    packed = XMMPointed(local=next(folder.glob(f"{OBS}.tar.gz")))
    packed.download(disable_progress=True)
    copy = packed.get_obs_path(OBS)
    for path in (folder / OBS).iterdir():
        if OdfName.parse(path.name):
            assert (copy / path.name).read_bytes() == path.read_bytes()
