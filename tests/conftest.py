"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from archive_server import ArchiveServer
from hypothesis import settings
from once import once, run_folder

from daxa.fetch.http import Client

# No test needs a fast machine.
settings.register_profile("daxa", deadline=None)
settings.load_profile("daxa")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real SAS products, kept outside the repository."""
    folder = Path(os.environ.get("DAXA_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real products to compare with: {folder} is absent (set DAXA_TEST_DATA)")
    return folder


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the user's configuration, caches and outputs."""
    for variable in ("SAS_CCF", "SAS_CCFPATH", "SAS_CCFFILES", "SAS_ODF", "SAS_DIR", "SAS_PATH"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("DAXA_NUM_CORES", "DAXA_BACKEND", "DAXA_CCFPATH", "DAXA_SYNTHETIC_CALIBRATION"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        # Beside the test's own folder: to number two more would take longer than most tests.
        folder = tmp_path.with_name(f"{tmp_path.name}-{variable.lower()}")
        folder.mkdir(exist_ok=True)
        monkeypatch.setenv(variable, str(folder))
    monkeypatch.setenv("DAXA_OUTPUT", str(tmp_path / "daxa_output"))


@pytest.fixture(scope="session", autouse=True)
def _settings_of_astropy() -> Iterator[None]:
    """astropy looks up two settings for each card that is read: a sixth of the time of whole chains."""
    from astropy.io import fits

    with pytest.MonkeyPatch.context() as patch:
        for name in ("strip_header_whitespace", "enable_record_valued_keyword_cards"):
            patch.setattr(type(fits.conf), name, getattr(fits.conf, name))
        yield


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory):
    """The small simulated set, made once for all workers of a test run."""
    return _simulated_once(tmp_path_factory, "simulated", "small")


@pytest.fixture(scope="session")
def simulated_modes(tmp_path_factory: pytest.TempPathFactory):
    """The simulated set of modes, made once for all workers of a test run."""
    return _simulated_once(tmp_path_factory, "simulated_modes", "modes")


@pytest.fixture(scope="session")
def simulated_gratings(tmp_path_factory: pytest.TempPathFactory):
    """The simulated set of the spectrometers, made once for all workers of a test run."""
    return _simulated_once(tmp_path_factory, "simulated_gratings", "gratings")


def _simulated_once(tmp_path_factory: pytest.TempPathFactory, name: str, size: str):
    from daxa.simulate import SimulatedSet, simulate_set

    folder = run_folder(tmp_path_factory) / name
    with once(folder) as todo:
        if todo:
            simulate_set(folder, size=size)
    return SimulatedSet(folder)


@pytest.fixture(scope="session")
def reduced(simulated, tmp_path_factory: pytest.TempPathFactory):
    """The first observation of the small simulated set, reduced once for all workers of a test run."""
    from reduced_observation import reduce_once

    return reduce_once(simulated, run_folder(tmp_path_factory))


@pytest.fixture(scope="session")
def synthetic_ccf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the synthetic calibration set, made once for all workers; nobody writes there."""
    from daxa.simulate.calibration.constituents import write_calibration

    folder = run_folder(tmp_path_factory) / "synthetic_ccf"
    with once(folder) as todo:
        if todo:
            write_calibration(folder / "ccf")
    return folder / "ccf"


@pytest.fixture(scope="session")
def spacecraft_odf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ODF with nothing but spacecraft files: attitude with slews, clock, summary."""
    import numpy as np

    from daxa.simulate.odf.clock import Clock, tt_of_utc
    from daxa.simulate.odf.files import OdfWriter
    from daxa.simulate.odf.housekeeping import Pointing, on_attitude_grid

    start = tt_of_utc("2017-11-01T10:42:37")
    ra, dec = on_attitude_grid(150.485625, 55.708722)
    pointing = Pointing(
        obs_id="0802710101",
        revolution=3278,
        target="NGC 3079",
        ra_deg=ra,
        dec_deg=dec,
        pa_deg=117.25,
        target_ra_deg=150.490835,
        target_dec_deg=55.679722,
        start_s=start,
        stop_s=start + 6000.0,
        revolution_start_s=start - 50_000.0,
    )
    writer = OdfWriter(tmp_path_factory.mktemp("spacecraft_odf"), pointing, Clock(start - 50_000.0))
    writer.attitude()
    writer.time_correlation(np.random.default_rng(1))
    writer.summary()
    return writer.folder


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchiveServer]:
    """A local server to which every archive's address points."""
    archive = ArchiveServer()
    for key, path in {
        "XSA_TAP": "/xsa/tap",
        "XSA_AIO": "/aio",
        "HEASARC_TAP": "/heasarc/tap",
        "HEASARC_FTP": "/FTP",
        "S3": "/s3",
        "SESAME": "/sesame",
        "ERASS_DR1": "/FTP/erass",
    }.items():
        monkeypatch.setenv(f"DAXA_URL_{key}", archive.url + path)
    yield archive
    archive.close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that clients would have made, in seconds; none is really made."""
    made: list[float] = []
    original = Client.__init__

    def patient(self: Client, *args: object, **kwargs: object) -> None:
        kwargs.setdefault("sleep", made.append)
        original(self, *args, **kwargs)

    monkeypatch.setattr(Client, "__init__", patient)
    return made
