"""A synthetic calibration set and hand-made event lists for the tests of the engine."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from daxa.xmm.event.eventlist import write_event_list
from daxa.xmm.event.gti import GTI
from daxa.xmm.event.parts import CcdExposure
from daxa.xmm.notes import RUNNING
from daxa.xmm.task import TaskContext

START = 6.0e8
POINTING = (149.5917, -11.0642, 100.0)


@pytest.fixture(scope="session")
def calibration_env(tmp_path_factory, synthetic_ccf: Path) -> dict[str, str]:
    """Environment of tasks with the synthetic calibration set, indexed for 2017."""
    from daxa.xmm.task import run_task

    folder = tmp_path_factory.mktemp("calibration")
    env = {"SAS_CCFPATH": str(synthetic_ccf)}
    arguments = {"withobservationdate": True, "observationdate": "2017-01-01T00:00:00"}
    with (folder / "log").open("w") as log:
        run_task("cifbuild", arguments, cwd=folder, env=env, out=log)
    return {**env, "SAS_CCF": str(folder / "ccf.cif")}


@pytest.fixture(scope="session")
def geometry(calibration_env):
    """Geometry of each camera."""
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.sky.geometry import CameraGeometry

    cal = Calibration.from_environment(calibration_env, Path())
    return {i: CameraGeometry.from_calibration(cal, i, START) for i in ("EMOS1", "EMOS2", "EPN")}


@pytest.fixture
def said() -> Iterator[TaskContext]:
    """A running task, which keeps what is said: ``err`` has the warnings, ``fallbacks`` the notes."""
    ctx = TaskContext("test", Path(), {}, io.StringIO(), io.StringIO())
    token = RUNNING.set(ctx)
    yield ctx
    RUNNING.reset(token)


class ListMaker:
    """Event lists of one camera staring at one point."""

    def __init__(self, geometry, instrument: str, pointing=POINTING) -> None:
        self.instrument, self.pointing = instrument, pointing
        self.geometry = geometry[instrument]
        self.ccds = list(self.geometry.ccds)

    def events(self, times, ccd, rawx, rawy, pi) -> dict[str, np.ndarray]:
        """Event columns of the given positions, sorted by time."""
        from daxa.xmm.sky.tangent import to_xy

        detx, dety = self.geometry.raw_to_det(ccd, rawx, rawy)
        ra, dec = self.geometry.det_to_sky(detx, dety, *self.pointing)
        x, y = to_xy(ra, dec, *self.pointing[:2])
        n, order = len(times), np.argsort(times)
        table = {
            "TIME": times, "RAWX": np.rint(rawx), "RAWY": np.rint(rawy), "DETX": np.rint(detx),
            "DETY": np.rint(dety), "X": np.rint(x), "Y": np.rint(y), "PHA": np.full(n, 500), "PI": pi,
            "FLAG": np.where(self.geometry.in_fov(detx, dety), 0, 0x10000), "PATTERN": np.zeros(n),
            "PAT_ID": np.zeros(n), "PAT_SEQ": np.zeros(n), "CCDNR": ccd, "TIME_RAW": times,
        }  # fmt: skip
        return {k: np.asarray(v)[order] for k, v in table.items()}

    def flat(self, rng, number, start, stop, band=(300, 10000)) -> dict[str, np.ndarray]:
        """Events spread evenly over what the chips see; where two overlap, over the upper one."""
        ccd = rng.choice(self.ccds, number)
        nx, ny = self.geometry.shape(self.ccds[0])
        rawx, rawy = rng.uniform(0.5, nx + 0.5, number), rng.uniform(0.5, ny + 0.5, number)
        seen = self.geometry.det_to_raw(*self.geometry.raw_to_det(ccd, rawx, rawy))[0] == ccd
        ccd, rawx, rawy, number = ccd[seen], rawx[seen], rawy[seen], int(seen.sum())
        return self.events(rng.uniform(start, stop, number), ccd, rawx, rawy, rng.integers(*band, number))

    def write(self, path, columns, duration, exposure="S001", fraction=0.98, badpix=None, offset=0.0) -> Path:
        frame = 2.6 if self.instrument != "EPN" else 0.0734
        times = START + offset + frame * (0.5 + np.arange(int(duration / frame)))
        none = {k: [] for k in ("RAWX", "RAWY", "TYPE", "YEXTENT", "BADFLAG")}
        ccds = {
            c: CcdExposure(
                times,
                np.full(len(times), frame),
                np.full(len(times), fraction),
                GTI([times[0] - frame / 2], [times[-1] + frame / 2]),
                (badpix or {}).get(c, none),
                {"CCDID": c},
            )
            for c in self.ccds
        }
        primary = {
            "TELESCOP": "XMM", "INSTRUME": self.instrument, "DATAMODE": "IMAGING",
            "SUBMODE": "PrimeFullWindow", "FILTER": "Medium", "OBS_ID": "0800010101",
            "EXP_ID": "0800010101001", "EXPIDSTR": exposure, "SYNTHCAL": True,
            "RA_PNT": self.pointing[0], "DEC_PNT": self.pointing[1], "PA_PNT": self.pointing[2],
        }  # fmt: skip
        sky = {"ra_deg": self.pointing[0], "dec_deg": self.pointing[1]}
        write_event_list(
            path,
            primary=primary,
            columns=columns,
            ccds=ccds,
            sky=sky,
            prime_ccd=4 if self.instrument == "EPN" else 1,
        )
        return Path(path)


@pytest.fixture(scope="session")
def list_maker(geometry):
    """Factory: ``list_maker("EMOS1")``."""
    return lambda instrument, **options: ListMaker(geometry, instrument, **options)


@pytest.fixture
def write_attitude():
    """Write an attitude file of ``(start, stop, ra, dec, pa)`` stretches, one row a second."""
    from astropy.io import fits

    def write(path, stretches):
        rows = [
            np.column_stack([np.arange(a, b), *np.broadcast_arrays(np.arange(a, b) * 0 + 0, *p)[1:]])
            for a, b, *p in stretches
        ]
        time, ra, dec, pa = np.concatenate(rows).T
        names = ["TIME", "AHFRA", "AHFDEC", "AHFPA", "OMRA", "OMDEC", "OMPA", "DAHFPNT", "DOMPNT", "DAHFOM"]
        data = [time, ra, dec, pa, ra, dec, pa, *[np.zeros(len(time))] * 3]
        table = fits.BinTableHDU.from_columns(
            [fits.Column(n, "D", array=d) for n, d in zip(names, data, strict=True)], name="ATTHK"
        )
        primary = fits.PrimaryHDU()
        for key, value in (("RA", ra), ("DEC", dec), ("PA", pa)):
            primary.header[f"MAHF{key}"] = float(np.median(value))
            primary.header[f"AAHF{key}"] = float(np.mean(value))
        fits.HDUList([primary, table]).writeto(path)
        return Path(path)

    return write
