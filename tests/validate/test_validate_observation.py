"""``daxa validate`` on the simulated archive, whose pipeline products are ours, with mistakes or without."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import odf_files
import pytest
from archive_server import ArchiveServer
from astropy.io import fits
from distortions import EVENT_FINDINGS, distort_events
from served_observation import OBS, serve
from typer.testing import CliRunner

from daxa.archive import Archive
from daxa.cli.main import app
from daxa.mission import XMMPointed
from daxa.process.simple import full_process_xmm
from daxa.process.xmm import generate_images_expmaps
from daxa.simulate import SimulatedSet
from daxa.validate.observation import compare_products

pytestmark = pytest.mark.slow


def pipeline_products(archive: Archive, folder: Path) -> dict[str, Path]:
    """Our products under the pipeline's names, by kind."""
    ours = Path(archive.get_current_data_path("xmm_pointed", OBS))
    (events,) = ours.glob("events/*instM1*-events.fits")
    exposure = events.name.split("-subexp")[1][:4]
    sources = {
        f"P{OBS}M1{exposure}MIEVLI0000.FTZ": events,
        f"P{OBS}M1{exposure}IMAGE_8000.FTZ": next(ours.glob("images/*en0.2_12.0keV-image.fits")),
        f"P{OBS}M1{exposure}EXPMAP8000.FTZ": next(ours.glob("images/*en0.2_12.0keV-expmap.fits")),
        f"P{OBS}OBX000ATTTSR0000.FTZ": next(ours.glob("*ATTTSR*")),
    }
    folder.mkdir()
    for name, source in sources.items():
        (folder / name).write_bytes(gzip.compress(source.read_bytes(), 1))
    return {name[-14:-8].strip("_"): folder / name for name in sources}


@pytest.mark.usefixtures("pauses")
def test_validate(
    server: ArchiveServer, simulated: SimulatedSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from astropy.units import Quantity

    serve(server, Path(simulated.odf(OBS)))
    monkeypatch.setenv("DAXA_CCFPATH", str(simulated.ccf))
    monkeypatch.setenv("DAXA_BACKEND", "embedded")
    mission = XMMPointed("M1")
    mission.filter_on_obs_ids(OBS)
    archive = Archive("pipeline", mission)
    full_process_xmm(archive)
    generate_images_expmaps(archive, Quantity([0.2], "keV"), Quantity([12.0], "keV"))
    folder = tmp_path / "pps"
    files = pipeline_products(archive, folder)
    members = {f"{OBS}/pps/{path.name}": path.read_bytes() for path in folder.iterdir()}
    server.aio[OBS, "PPS"] = odf_files.tar_bytes(members)

    report, page = tmp_path / "r.json", tmp_path / "r.html"
    words = ["validate", OBS, "--inst", "M1", "--json", str(report), "--page", str(page)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    result = json.loads(report.read_text())
    assert {r["kind"] for r in result} == {"event list", "image", "exposure map", "attitude"}
    assert all(r["same"] and not r["findings"] for r in result)
    assert page.read_text().count("data:image/png;base64,") == 4

    (tmp_path / "list").mkdir()
    undistorted = files["MIEVLI"].read_bytes()
    plain = tmp_path / "plain.fits"
    plain.write_bytes(gzip.decompress(undistorted))
    ours = next((tmp_path / "daxa_output/archives").glob("validate_*")) / "processed_data/xmm_pointed"
    # The list alone: that the other products are the same has been said.
    files["MIEVLI"] = files["MIEVLI"].rename(tmp_path / "list" / files["MIEVLI"].name)
    for mistake, finding in EVENT_FINDINGS.items():
        wrong = distort_events(plain, tmp_path / f"{mistake}.fits", mistake)
        files["MIEVLI"].write_bytes(gzip.compress(wrong.read_bytes(), 1))
        compared, left_out = compare_products(OBS, ours / OBS, files["MIEVLI"].parent, ["M1"])
        assert left_out == []
        assert [words for found in compared for words in found.findings] == [finding]

    files["MIEVLI"].rename(folder / files["MIEVLI"].name)
    with fits.open(gzip.open(files["ATTTSR"]), memmap=False) as hdus:
        hdus["ATTHK"].data["AHFDEC"] += 1 / 3600
        hdus.writeto(plain, overwrite=True)
    files["ATTTSR"].write_bytes(gzip.compress(plain.read_bytes(), 1))
    done = CliRunner().invoke(app, [*words, "--products", str(folder)])
    assert done.exit_code == 1, done.output
    assert "the pointing is shifted by 1.0 arcsec (RA +0.0, Dec +1.0)" in done.output
    assert "live time 1.0 % lower in B" in done.output
