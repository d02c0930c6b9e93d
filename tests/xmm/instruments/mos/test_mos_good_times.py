"""Frames and good times of MOS lists: the same rules hold in real lists and in ours."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from daxa.simulate.cameras.noise import Noise
from daxa.simulate.observation import simulate_observation
from daxa.simulate.sets.modes import describe_modes
from daxa.xmm.event.gti import GTI
from daxa.xmm.formats.flags import MosFlag
from daxa.xmm.select.exposures import read_frames
from daxa.xmm.task import run_task

TRANSFER_S, FRAME_S = 0.006, 2.6
COSMIC_SIZE, WINDOW = 1.88, 360_000
#: Frames of real cameras wander about their grid by this much [s].
JITTER_S = 0.07
CLEANED = [
    f"sas_products_{obs_id}/eclean/{camera}_exp1_clean_evts.fits.gz"
    for obs_id in ("0201901401", "0201903501")
    for camera in ("mos1", "mos2")
]
#: Of a list that was not filtered in time the frames and the good times belong together.
WHOLE = "esas_0203930101/mos1S001-corev.fits.gz"
SELECTED = ("corev", "corevc", "corn", "clean-filtered")


@dataclass
class Frames:
    """Frame table and good times of a CCD."""

    start: np.ndarray
    end: np.ndarray
    length: np.ndarray
    fraction: np.ndarray
    gti: GTI
    header: fits.Header
    live_s: float
    on_s: float

    @classmethod
    def all_of(cls, path: Path) -> dict[int, Frames]:
        """By CCD."""
        found = {}
        with fits.open(path) as hdus:
            for ccd in range(1, 8):
                name = f"EXPOSU{ccd:02d}"
                # The central CCD of a list of corner events has good times and no frames.
                if name not in hdus:
                    continue
                data, head = hdus[name].data, hdus["EVENTS"].header
                time, length = (np.array(data[n], float) for n in ("TIME", "TIMEDEL"))
                found[ccd] = cls(
                    time - length / 2, time + length / 2, length, np.array(data["FRACEXP"], float),
                    GTI.from_hdu(hdus[f"STDGTI{ccd:02d}"]), hdus[name].header.copy(),
                    float(head[f"LIVETI{ccd:02d}"]), float(head[f"ONTIME{ccd:02d}"]),
                )  # fmt: skip
        return found

    @property
    def lost(self) -> np.ndarray:
        """Frames without a row before each row but the first: those that TIMEDEL does not cover."""
        return np.rint((self.start[1:] - self.end[:-1] - TRANSFER_S) / FRAME_S).astype(int)

    @property
    def long(self) -> np.ndarray:
        """Rows that hold a lost frame, too."""
        return self.length > 1.5 * FRAME_S


def _check_rows(frames: Frames) -> None:
    """Rules of the frame table."""
    gap = frames.start[1:] - frames.end[:-1]
    assert (frames.lost >= 0).all()
    assert np.abs(gap - TRANSFER_S)[frames.lost == 0].max() < 1e-4
    # One lost frame doubles the interval; more do not.
    interval = frames.length + TRANSFER_S
    assert np.abs(interval - np.where(frames.long, 2, 1) * FRAME_S).max() < JITTER_S
    lost_pixels = (1 - frames.fraction[frames.fraction > 0]) * WINDOW / COSMIC_SIZE
    assert np.abs(lost_pixels - np.rint(lost_pixels)).max() < 0.02


def _check_good_times(frames: Frames) -> None:
    """Rules of the good times, of lists that are not filtered in time."""
    gti = frames.gti
    good = frames.fraction > 0
    assert np.array_equal(gti.covers(frames.start, frames.end, 1e-4), good)
    start, end = frames.start[good], frames.end[good]
    # Good frames follow each other without a gap wherever the good times go on.
    apart = start[1:] - end[:-1] - TRANSFER_S > 1e-4
    assert np.abs(np.append(start[0], start[1:][apart]) - gti.start).max() < 1e-4
    assert np.abs(np.append(end[:-1][apart], end[-1]) + TRANSFER_S - gti.stop).max() < 1e-4
    mean = np.average(frames.fraction[good], weights=frames.length[good] + TRANSFER_S)
    assert frames.header["LIVETIME"] == pytest.approx(frames.header["ONTIME"] * mean, abs=1e-5)
    assert frames.header["ONTIME"] == pytest.approx(gti.total, abs=1e-6)


def _check_ends(frames: Frames) -> None:
    """The first and the last frame are not good."""
    assert frames.gti.start[0] - frames.header["TSTART"] == pytest.approx(FRAME_S, abs=1e-3)
    assert frames.header["TSTOP"] - frames.gti.stop[-1] == pytest.approx(FRAME_S, abs=7e-3)


@pytest.mark.parametrize("name", [*CLEANED, WHOLE])
def test_rules_of_real_frames(shared_data: Path, name: str) -> None:
    path = shared_data / name
    if not path.exists():
        pytest.skip(f"no {path}")
    found = Frames.all_of(path)
    assert len(found) >= 6
    for frames in found.values():
        _check_rows(frames)
        _check_ends(frames)
        if name == WHOLE:
            _check_good_times(frames)
    if name == WHOLE:
        # One lost frame never interrupts the good times; five and more always do.
        assert sum(int(f.long.sum()) for f in found.values()) > 50
        assert min(f.lost[f.lost > 0].min() for f in found.values()) >= 5
        assert all((f.lost > 0).sum() == len(f.gti) - 1 for f in found.values())


def test_spoiled_frames_of_a_real_list(shared_data: Path) -> None:
    """All events of the first frame after lost ones, one or many, and no others have bit 11."""
    path = shared_data / WHOLE
    if not path.exists():
        pytest.skip(f"no {path}")
    frames = Frames.all_of(path)
    events = fits.getdata(path, "EVENTS")
    n = 0
    for ccd, one in frames.items():
        mine = events[events["CCDNR"] == ccd]
        row = np.searchsorted(one.end, mine["TIME"])
        after = one.long | np.concatenate([[False], one.lost > 0])
        assert np.array_equal(mine["FLAG"] & int(MosFlag.IN_SPOILED_FRAME) != 0, after[row])
        n += int(after[row].sum())
    assert n == 20


@pytest.mark.parametrize("name", [*CLEANED, *(f"esas_0203930101/mos1S001-{n}.fits.gz" for n in SELECTED)])
def test_live_time_of_a_real_list(shared_data: Path, name: str) -> None:
    """Frames wholly in the good times of frames and selection, numbers as they stand in the file."""
    path = shared_data / name
    if not path.exists():
        pytest.skip(f"no {path}")
    with fits.open(path) as hdus:
        head = hdus["EVENTS"].header
        chosen = [GTI.from_hdu(hdu) for hdu in hdus if hdu.name.startswith("GTI")]
        tables = [n for n in range(1, 8) if f"EXPOSU{n:02d}" in hdus]
        for ccd in tables:
            own = GTI.from_hdu(hdus[f"STDGTI{ccd:02d}"])
            gti = min(
                (own & other for other in chosen or [own]),
                key=lambda g: abs(g.total - head[f"ONTIME{ccd:02d}"]),
            )
            assert gti.total == pytest.approx(head[f"ONTIME{ccd:02d}"], abs=1e-5)
            table = read_frames(hdus[f"EXPOSU{ccd:02d}"], head, str(path))
            assert table.livetime(gti) == pytest.approx(head[f"LIVETI{ccd:02d}"], abs=2e-5)
        assert tables


@pytest.fixture(scope="module")
def lossy(simulated, tmp_path_factory):
    """A list of two CCDs that lost single frames, and ten frames together; the truth."""
    base = tmp_path_factory.mktemp("lossy")
    description, sky = describe_modes(1000.0, Noise(mos_lost_frames=1 / 150).scaled(0.3, 0.01))[0]
    exposure = description.exposures[0]
    begin = exposure.start_s + 100 * FRAME_S + 0.5
    exposure = replace(
        exposure, submode="PrimeFullWindow", ccds=(1, 2), stop_s=exposure.start_s + 1000,
        gaps_s=((begin, begin + 10 * FRAME_S),),
    )  # fmt: skip
    truth = simulate_observation(replace(description, exposures=[exposure]), sky, base / "odf")
    out = base / "out"
    out.mkdir()
    env = {"SAS_ODF": str(base / "odf"), "SAS_CCFPATH": str(simulated.ccf), "SAS_CCF": str(out / "ccf.cif")}
    streams = {"out": io.StringIO(), "err": io.StringIO()}
    run_task("cifbuild", {}, cwd=out, env=env, **streams)
    arguments = {"makeflaregti": "no", "addtaglenoise": "no", "rejectionflag": "0", "randomize": ""}
    run_task("emchain", arguments, cwd=out, env=env, **streams)
    return next(out.glob("*MIEVLI*")), truth["exposures"][0]["ccds"]


def test_rules_of_our_frames(lossy) -> None:
    path, truth = lossy
    for ccd, frames in Frames.all_of(path).items():
        _check_rows(frames)
        _check_ends(frames)
        _check_good_times(frames)
        lost = truth[str(ccd)]["lost_frames"]
        assert len(lost) == 2
        end = np.rint((frames.end - frames.end[0]) / FRAME_S).astype(int)
        # Each single lost frame is in the next one; the ten together are nowhere.
        assert end[frames.long].tolist() == [f + 1 for f in lost]
        assert frames.lost[frames.lost > 0].tolist() == [10]
        usual = frames.length[~frames.long]
        assert np.abs(usual - (FRAME_S - TRANSFER_S)).max() < 1e-4
        assert len(frames.gti) == 2
        assert frames.gti.total == pytest.approx((len(end) + len(lost) - 2) * FRAME_S, abs=5e-3)
        # About twice the area is lost to tracks in such a frame.
        dead = 1 - frames.fraction
        assert 1.3 < dead[frames.long].mean() / np.median(dead[1:-1]) < 3
        assert np.flatnonzero(frames.fraction == 0).tolist() == [0, len(end) - 1]


def test_live_time_of_our_list(lossy) -> None:
    """What the chain says is what a selection of everything says."""
    with fits.open(lossy[0]) as hdus:
        for ccd in (1, 2):
            table = read_frames(hdus[f"EXPOSU{ccd:02d}"], {}, "")
            live = table.livetime(GTI.from_hdu(hdus[f"STDGTI{ccd:02d}"]))
            assert hdus["EVENTS"].header[f"LIVETI{ccd:02d}"] == pytest.approx(live, abs=1e-4)
            # Of the frames that good times begin with, one or both may be lost to rounding.
            assert 0 <= hdus[f"EXPOSU{ccd:02d}"].header["LIVETIME"] / live - 1 < 2 * FRAME_S / live + 0.003


def test_spoiled_frames_of_our_list(lossy) -> None:
    path, _ = lossy
    events = fits.getdata(path, "EVENTS")
    for ccd, one in Frames.all_of(path).items():
        mine = events[events["CCDNR"] == ccd]
        row = np.searchsorted(one.end, mine["TIME"])
        after = one.long | np.concatenate([[False], one.lost > 0])
        assert after.sum() == 3
        spoiled = mine["FLAG"] & int(MosFlag.IN_SPOILED_FRAME) != 0
        assert np.array_equal(spoiled, after[row])
        assert spoiled.any()
