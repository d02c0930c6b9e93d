"""A handmade pn exposure: real ODF and calibration files with chosen events."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

RESET_S, WRAP_S, UNIT_S = 538_000_000, 32400, 20.48e-6


@dataclass
class PnOdf:
    """Writes a pn exposure from events given by frame and pixel, and runs tasks on it."""

    folder: Path
    calibration: Path
    submode: str = "PrimeFullWindow"
    start_s: float = 640_000_000.0
    n_frames: int = 4000
    exp_id: str = "S003"
    obs_id: str = "0800010101"
    events: dict[int, dict[str, list]] = field(default_factory=dict)
    discarded: dict[int, int] = field(default_factory=dict)
    lost: tuple[int, int] = (0, 0)
    offset_maps: dict[int, np.ndarray] = field(default_factory=dict)

    def __post_init__(self):
        from daxa.simulate.cameras.camera import CAMERAS

        self.camera = CAMERAS["PN"]
        self.mode = self.camera.mode(self.submode)

    def add(self, ccd, frame, rawx, rawy, pha):
        """Pixels of one CCD, counted from 1."""
        names = ("FRAME", "RAWX", "RAWY", "ENERGY")
        store = self.events.setdefault(ccd, {n: [] for n in names})
        shape = np.broadcast(frame, rawx, rawy, pha)
        for name, value in zip(names, (frame, np.asarray(rawx) - 1, np.asarray(rawy) - 1, pha), strict=True):
            store[name].append(np.broadcast_to(value, shape.shape or (1,)).ravel())

    def background(self, ccd, n, rng, low=20, high=2000):
        """Single pixels everywhere."""
        self.add(
            ccd,
            rng.integers(0, self.n_frames, n),
            rng.integers(1, 65, n),
            rng.integers(13, 201, n),
            rng.integers(low, high, n),
        )

    @property
    def stop_s(self):
        return self.start_s + self.n_frames * self.mode.frame_time_s

    def centre_s(self, frame):
        """Centre of the integration of frames."""
        return self.start_s + (np.asarray(frame) + 0.5) * self.mode.frame_time_s

    def write(self):
        """Write the ODF; every frame with events gets the next FRAME number."""
        from daxa.simulate.odf.clock import Clock
        from daxa.simulate.odf.files import OdfWriter
        from daxa.simulate.odf.housekeeping import Pointing
        from daxa.xmm.formats.instruments import PN_MODES

        clock = Clock(self.start_s, RESET_S + 3 * WRAP_S + 1000.25)
        pointing = Pointing(
            self.obs_id,
            3100,
            "Handmade",
            *(149.5875, -11.0641667, 110.0),
            *(149.5917, -11.0642),
            self.start_s - 20,
            self.stop_s + 20,
            self.start_s - 50_000,
        )
        writer = OdfWriter(self.folder, pointing, clock)
        frames = {n: [] for n in ("FRAME", "CYCLE", "FTCOARSE", "FTFINE", "QUADRANT", "CCDID")}
        for ccd, lists in sorted(self.events.items()):
            columns = {k: np.concatenate(v).astype(np.int64) for k, v in lists.items()}
            sent = (columns["FRAME"] < self.lost[0]) | (columns["FRAME"] >= self.lost[1])
            columns = {k: v[sent] for k, v in columns.items()}
            # In the order of the read-out; of two events in one pixel the later one stays.
            key = (columns["FRAME"] * 200 + columns["RAWY"]) * 64 + columns["RAWX"]
            _, last = np.unique(key[::-1], return_index=True)
            columns = {k: v[::-1][last] for k, v in columns.items()}
            cycle, number = np.unique(columns["FRAME"], return_inverse=True)
            stamp = clock.obt(self.centre_s(cycle) + self.mode.delays_s[ccd]) - RESET_S
            stamp = stamp % WRAP_S
            columns["FRAME"] = number
            frames["FRAME"].append(np.arange(len(cycle)))
            frames["CYCLE"].append(cycle)
            frames["FTCOARSE"].append(np.floor(stamp).astype(int))
            frames["FTFINE"].append(((stamp % 1) / UNIT_S).astype(int))
            for name, value in zip(("QUADRANT", "CCDID"), divmod(ccd - 1, 3), strict=True):
                frames[name].append(np.full(len(cycle), value))
            writer.pn_events(
                self.exp_id,
                ccd,
                columns,
                self.start_s,
                self.stop_s,
                window=self.mode.window[ccd],
                frame_time_s=self.mode.frame_time_s,
                ccd_mode=next(k for k, v in PN_MODES.items() if v == self.submode),
                discarded=None
                if self.submode == "PrimeSmallWindow"
                else np.full(64, self.discarded.get((ccd - 1) // 3, 0)),
            )
        for ccd, levels in self.offset_maps.items():
            mode = next(k for k, v in PN_MODES.items() if v == self.submode)
            writer.pn_offset_map("U101", ccd, levels, self.start_s - 900, self.start_s - 700, mode)
        record = np.arange(0, self.n_frames, 20)
        record = record[(record + 20 <= self.lost[0]) | (record >= self.lost[1])]
        n = len(record)
        cycles = {
            "CYCLE": np.tile(record, 4),
            "QUADRANT": np.repeat(np.arange(4), n),
            "NABOVE": np.zeros(4 * n, int),
            "NDEFA": np.zeros(4 * n, int),
            "NEPDH": np.zeros(4 * n, int),
            "NDISCLIN": np.repeat([self.discarded.get(q, 0) for q in range(4)], n),
            "MCOMMODE": np.zeros(4 * n, int),
        }
        stacked = {k: np.concatenate(v) for k, v in frames.items()}
        writer.pn_auxiliary(self.exp_id, stacked, cycles, self.start_s, self.stop_s)
        writer.pn_housekeeping(
            [(self.start_s, self.stop_s, "Medium")],
            reset_obt_s=RESET_S,
            wrap_s=WRAP_S,
            submode=self.submode,
            max_frames=20,
        )
        writer.attitude()
        writer.time_correlation(np.random.default_rng(1))
        writer.summary()
        return self

    def run(self, cwd, task="epchain", **arguments):
        """Run a task on it; returns (out, err)."""
        import io

        from daxa.xmm.task import run_task

        out, err = io.StringIO(), io.StringIO()
        cif = self.calibration / "ccf.cif"
        env = {"SAS_ODF": str(self.folder), "SAS_CCFPATH": str(self.calibration), "SAS_CCF": str(cif)}
        if not cif.exists():
            run_task("cifbuild", {"calindexset": str(cif)}, cwd=cwd, env=env, out=out, err=err)
        run_task(task, arguments, cwd=cwd, env=env, out=out, err=err)
        return out.getvalue(), err.getvalue()


@pytest.fixture(scope="session")
def pn_calibration(tmp_path_factory, synthetic_ccf):
    """The synthetic calibration set, in a folder that takes its index, too."""
    return shutil.copytree(synthetic_ccf, tmp_path_factory.mktemp("pn") / "ccf", copy_function=os.link)


@pytest.fixture
def pn_odf(tmp_path, pn_calibration):
    """A function that begins a handmade exposure."""

    def begin(**options):
        (tmp_path / "odf").mkdir()
        return PnOdf(tmp_path / "odf", pn_calibration, **options)

    return begin
