"""``daxa validate`` with all cameras: images on the pipeline's pixels, each mistake found for each camera."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
from astropy.io import fits
from distortions import EVENT_FINDINGS, distort_events
from typer.testing import CliRunner

from daxa.backend.shims import write_shims
from daxa.cli.main import app
from daxa.compare import compare_files
from daxa.validate.observation import compare_products, validate
from daxa.xmm.task import run_task

pytestmark = pytest.mark.slow
CAMERAS = ("M1", "M2", "PN")
#: Pixels of the pipeline's images here, in units of X and Y: unlike ours, 4 arcsec, off the middle.
PIXELS = {"imagebinning": "binSize", "xcolumn": "X", "ycolumn": "Y", "withxranges": True, "withyranges": True,
          "ximagebinsize": 80, "yimagebinsize": 80, "ximagemin": 2001, "ximagemax": 49920,
          "yimagemin": 3001, "yimagemax": 49080}  # fmt: skip


@pytest.fixture(scope="module")
def pps(reduced, simulated, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our products of all cameras under the pipeline's names; images and maps with other pixels than ours."""
    base = tmp_path_factory.mktemp("pipeline")
    folder = base / "pps"
    folder.mkdir()
    env = {"SAS_CCF": str(reduced.folder / "ccf.cif"), "SAS_CCFPATH": str(simulated.ccf)}
    (attitude,) = reduced.folder.glob("*ATTTSR*")
    sources = {"OBX000ATTTSR0000.FTZ": attitude}

    def run(task: str, **arguments: object) -> None:
        run_task(task, arguments, cwd=base, env=env, out=io.StringIO(), err=io.StringIO())

    for camera in CAMERAS:
        (events,) = reduced.folder.glob(f"events/*inst{camera}*-events.fits")
        exposure = events.name.split("-subexp")[1][:4]
        image, map_ = base / f"{camera}.fits", base / f"{camera}map.fits"
        band = "(PI in [200:12000])"
        run("evselect", table=f"{reduced.events(camera)}:EVENTS", imageset=image, expression=band, **PIXELS)
        run("eexpmap", eventset=reduced.events(camera), imageset=image, attitudeset=attitude,
            expimageset=map_, pimin=200, pimax=12000)  # fmt: skip
        kind = "PI" if camera == "PN" else "MI"
        sources |= {
            f"{camera}{exposure}{kind}EVLI0000.FTZ": events,
            f"{camera}{exposure}IMAGE_8000.FTZ": image,
            f"{camera}{exposure}EXPMAP8000.FTZ": map_,
        }
    for name, source in sources.items():
        (folder / f"P{reduced.obs_id}{name}").write_bytes(gzip.compress(source.read_bytes(), 1))
    return folder


@pytest.fixture(autouse=True)
def _reduced_already(reduced, simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each back-end finds the observation reduced."""
    monkeypatch.setenv("DAXA_CCFPATH", str(simulated.ccf))
    monkeypatch.setattr("daxa.validate.observation._reduce", lambda *_: reduced.folder)


def kinds_of(found) -> list[str]:
    return sorted(one.kind for one in found)


def test_all_cameras_and_their_images_in_one_call(reduced, simulated, pps: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    local = simulated.odf(reduced.obs_id).parent
    words = ["validate", reduced.obs_id, "--local", str(local), "--products", str(pps), "--page", str(page)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "differs:" not in done.output
    assert "not compared: sas: SAS is not initialised here" in done.output
    assert [line for line in done.output.splitlines() if line.startswith("not compared:")] == [
        "not compared: sas: SAS is not initialised here, so nothing was reduced with it"
    ]
    text = page.read_text()
    # A plot of each of three lists, images and maps, and of the attitude.
    assert text.count("data:image/png;base64,") == 10
    assert "SAS is not initialised here" in text


def test_images_are_made_on_the_pixels_of_the_pipeline(reduced, pps: Path) -> None:
    found, left_out = compare_products(reduced.obs_id, reduced.folder, pps, list(CAMERAS))
    assert left_out == []
    assert kinds_of(found) == ["attitude", *["event list"] * 3, *["exposure map"] * 3, *["image"] * 3]
    assert not [words for one in found for words in one.findings]
    for one in found:
        if one.kind == "image":
            ours, theirs = fits.getdata(one.a), fits.getdata(one.b)
            assert ours.shape == theirs.shape == (576, 599)
            # The same events in the same pixels: both come from the same list.
            assert ours.sum() == theirs.sum() > 1000
            assert (ours != theirs).mean() < 1e-3


@pytest.mark.parametrize("camera", CAMERAS)
def test_every_mistake_is_named_for_every_camera(reduced, camera: str, tmp_path: Path) -> None:
    (ours,) = reduced.folder.glob(f"events/*inst{camera}*-events.fits")
    assert compare_files(ours, ours).findings == []
    for mistake, finding in EVENT_FINDINGS.items():
        wrong = distort_events(ours, tmp_path / f"{mistake}.fits", mistake)
        assert compare_files(ours, wrong).findings == [finding], (camera, mistake)


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_map_of_less_exposure_and_a_shifted_image(reduced, pps: Path, camera: str, tmp_path: Path) -> None:
    (image,) = pps.glob(f"*{camera}*IMAGE_8000.FTZ")
    (map_,) = pps.glob(f"*{camera}*EXPMAP8000.FTZ")
    folder = tmp_path / "pps"
    folder.mkdir()
    with fits.open(gzip.open(map_), memmap=False) as hdus:
        hdus[0].data *= 0.99
        hdus.writeto(folder / map_.name.replace("FTZ", "FIT"))
    with fits.open(gzip.open(image), memmap=False) as hdus:
        hdus[0].data[:, :250] = 0
        hdus.writeto(folder / image.name.replace("FTZ", "FIT"))
    found, _ = compare_products(reduced.obs_id, reduced.folder, folder, [camera])
    findings = {one.kind: one.findings for one in found}
    assert "exposure 1.0 % lower in B" in findings["exposure map"]
    assert any(words.startswith("counts ") and words.endswith("lower in B") for words in findings["image"])


def test_with_sas_too(reduced, simulated, pps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs with the names of SAS's make the images of that half."""
    folder = write_shims(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setenv("SAS_DIR", str(tmp_path))
    local = simulated.odf(reduced.obs_id).parent
    found, left_out = validate(reduced.obs_id, ["M2"], local=local, products=pps)
    # The reduction at hand holds the other cameras, too.
    assert all(reason.endswith("the pipeline's products hold no such list") for reason in left_out)
    assert kinds_of(found) == sorted(2 * ["attitude", "event list", "exposure map", "image"])
    assert not [words for one in found for words in one.findings]
    made = {Path(one.a).parent.name for one in found if one.kind == "image"}
    assert made == {f"{reduced.obs_id}_embedded", f"{reduced.obs_id}_sas"}
