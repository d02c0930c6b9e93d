"""Noise of the MOS chips, deposited pixel by pixel: particles, disturbed rows, hot and flickering pixels.

Parameters
----------
frame, x, y
    Frame, column and row of each pixel, shape (n,).
noise
    Rates of everything that is not a photon.
length_s
    Length of a frame [s].
camera
    The camera.
ccd
    Number of the CCD.
deposits
    Charge by pixel; changed.
span
    First frame, and the one behind the last.
lost
    Which frames are not read out.
bad
    Hot pixels and bright lines.
rng
    Random numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from daxa.simulate.cameras.camera import CAMERAS, Camera
from daxa.simulate.cameras.noise import Noise
from daxa.simulate.numbers import cameras as numbers

#: Pixels of a cosmic ray that the upper threshold rejects: some 33 a frame cost 1.2 % of it, as they do
#: in real lists.
_TRACK_PIXELS = 66.0
SIZE = 600
#: More than the converter can show.
SATURATED_ADU = 20_000.0
#: Share of the particles with a full converter that are not single events: the quiet level of the singles is
#: about 0.8 per ks and square arcminute (emchain manual).
_LEAKING = 0.6
#: Frames that a flickering pixel fires in, and its chance to fire in each of them.
_FLICKER_FRAMES, _FLICKER_CHANCE = 10, 0.95
#: Zero level of a spot of raised level, and of the surroundings of warm pixels [adu]: below the threshold,
#: so that the pixels around an event show it and no more.
_SPOT_ADU, _WARM_ADU = (9.8, 11.5), (9.0, 11.0)
#: Undershoot of the neighbours after a large charge, and in a disturbed row [adu].
_REBOUND_ADU, _RINGING_ADU = (120, 160), (118, 128)
_AROUND = [(x, y) for y in range(-2, 3) for x in range(-2, 3) if (x, y) != (0, 0)]


def pixel_key(frame, x, y) -> np.ndarray:
    """One number per pixel and frame; room around the chip so that neighbours never wrap."""
    return (
        (np.asarray(frame, np.int64) << 20)
        + ((np.asarray(y, np.int64) + 8) << 10)
        + np.asarray(x, np.int64)
        + 8
    )


def pixel_of(key: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frame, column and row of keys.

    Parameters
    ----------
    key
        The numbers.
    """
    return key >> 20, (key & 1023) - 8, ((key >> 10) & 1023) - 8


@dataclass
class Deposits:
    """Charge in pixels before the read-out: frame, pixel, amplitude [adu]."""

    frame: list[np.ndarray] = field(default_factory=list)
    x: list[np.ndarray] = field(default_factory=list)
    y: list[np.ndarray] = field(default_factory=list)
    adu: list[np.ndarray] = field(default_factory=list)

    def add(self, frame, x, y, adu) -> None:
        """Put charge into pixels.

        Parameters
        ----------
        adu
            Charge of each [adu].
        """
        frame, x, y, adu = np.broadcast_arrays(frame, x, y, adu)
        for values, column in ((self.frame, frame), (self.x, x), (self.y, y), (self.adu, adu)):
            values.append(column.ravel())

    def hold(self, lost: np.ndarray) -> None:
        """Move the charge of frames that are not read out into the next ones."""
        if len(lost):
            self.frame = [frame + np.isin(frame, lost) for frame in self.frame]

    def joined(self) -> tuple[np.ndarray, np.ndarray]:
        """Sorted keys of the pixels and the charge in each."""
        if not self.frame:
            return np.zeros(0, np.int64), np.zeros(0)
        frame, x, y = (np.concatenate(c).astype(np.int64) for c in (self.frame, self.x, self.y))
        inside = (x >= 1) & (x <= SIZE) & (y >= 1) & (y <= SIZE)
        keys, index = np.unique(pixel_key(frame, x, y)[inside], return_inverse=True)
        charge = np.bincount(index, weights=np.concatenate(self.adu)[inside], minlength=len(keys))
        return keys, charge.astype(float)


def pixels_per_frame(noise: Noise, length_s: float) -> float:
    """Roughly how many pixels of a frame noise puts charge into."""
    raised = noise.mos_incoherent + noise.mos_warm * (noise.mos_hot_events + noise.mos_line_events)
    return (25 * raised + 20 * noise.mos_cosmic + noise.mos_row_bursts * noise.mos_burst_events) * length_s


@dataclass
class Particles:
    """What particles did besides depositing charge.

    Attributes
    ----------
    tracks, pixels
        Per frame: tracks that the upper threshold keeps on board, and their pixels.
    undershoot_key, undershoot_adu
        Pixels whose neighbours are pulled down, and by how much in all.
    """

    tracks: np.ndarray
    pixels: np.ndarray
    undershoot_key: np.ndarray
    undershoot_adu: np.ndarray

    def hold(self, lost: np.ndarray, first: int) -> None:
        """As :meth:`Deposits.hold`; ``first`` is the frame of the first element.

        Parameters
        ----------
        first
            Number of that frame.
        """
        at = lost - first
        for counts in (self.tracks, self.pixels):
            counts[at + 1] += counts[at]
            counts[at] = 0
        self.undershoot_key = self.undershoot_key + (
            np.isin(self.undershoot_key >> 20, lost).astype(np.int64) << 20
        )

    def add_first(self, other: Particles) -> None:
        """Add those of another table's only frame to the first frame.

        Parameters
        ----------
        other
            The other table.
        """
        self.tracks[0] += other.tracks[0]
        self.pixels[0] += other.pixels[0]
        self.undershoot_key = np.concatenate([self.undershoot_key, other.undershoot_key])
        self.undershoot_adu = np.concatenate([self.undershoot_adu, other.undershoot_adu])


class _Places:
    """Draws places in some frames."""

    def __init__(self, span: tuple[int, int], length_s: float, rng: np.random.Generator):
        self.span, self.rng = span, rng
        self.time_s = (span[1] - span[0]) * length_s

    def __call__(self, rate: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        n = self.rng.poisson(rate * self.time_s)
        rng = self.rng
        return rng.integers(*self.span, n), rng.integers(1, SIZE + 1, n), rng.integers(1, SIZE + 1, n)


def add_particles(
    camera: Camera,
    deposits: Deposits,
    span: tuple[int, int],
    length_s: float,
    noise: Noise,
    window_pixels: int,
    rng: np.random.Generator,
) -> Particles:
    """Add particles and electronic noise to the frames ``span[0]`` to ``span[1] - 1``.

    Parameters
    ----------
    window_pixels
        Pixels of the window.
    """
    places = _Places(span, length_s, rng)
    # Blobs wide enough to touch the ring of the box: patterns 30 and 31.
    frame, x, y = places(noise.mos_cosmic)
    n = len(frame)
    width, height = 1.1 + rng.exponential(0.5, n), np.minimum(60.0 * (1 - rng.random(n)) ** -0.8, 3000.0)
    shear = rng.uniform(-1.2, 1.2, n)
    dx, dy = (d.ravel() for d in np.meshgrid(np.arange(-4, 5), np.arange(-4, 5)))
    along = dx[None, :] - shear[:, None] * dy[None, :]
    profile = height[:, None] * np.exp(-(along**2 + 0.3 * dy[None, :] ** 2) / (2 * width[:, None] ** 2))
    blob, cell = np.nonzero(profile > 8.0)
    deposits.add(frame[blob], x[blob] + dx[cell], y[blob] + dy[cell], profile[blob, cell])
    # Particles that fill the converter of one pixel, and most of them leak into the next.
    frame, x, y = places(noise.mos_truncated)
    deposits.add(frame, x, y, SATURATED_ADU)
    leaks = rng.random(len(frame)) < _LEAKING
    deposits.add(frame[leaks], x[leaks] + 1, y[leaks], rng.uniform(35, 85, int(leaks.sum())))
    # Large charges whose electronic rebound pulls the neighbours down.
    frame, x, y = places(noise.mos_rebound)
    deposits.add(frame, x, y, rng.uniform(300, 3000, len(frame)))
    low = [(pixel_key(frame, x, y), rng.integers(*_REBOUND_ADU, len(frame)))]
    low.append(_disturbed_rows(deposits, places, noise, rng))
    # Read noise beyond the threshold.
    frame, x, y = places(noise.mos_soft)
    deposits.add(frame, x, y, camera.event_threshold_adu + rng.exponential(4.0, len(frame)))
    frame, x, y = places(noise.mos_incoherent)
    deposits.add(frame, x, y, 32.0 + rng.exponential(60.0, len(frame)))
    _raise_level(deposits, frame, x, y, rng.uniform(*_SPOT_ADU, len(frame)))
    frame, x, y = places(noise.mos_fragments)
    side = rng.choice([-1, 1], len(frame))
    deposits.add(frame, x, y, rng.uniform(40, 150, len(frame)))
    deposits.add(frame, x + side, y + 1, rng.uniform(40, 150, len(frame)))
    _flickering(deposits, places, span, noise, rng)
    window_cm2 = window_pixels * (camera.pixel_mm / 10) ** 2
    tracks = rng.poisson(camera.cosmic_rays_s_cm2 * window_cm2 * length_s, span[1] - span[0])
    keys, adu = (np.concatenate(c) for c in zip(*low, strict=True))
    return Particles(tracks, rng.poisson(tracks * _TRACK_PIXELS), keys, adu)


def _disturbed_rows(
    deposits: Deposits, places: _Places, noise: Noise, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Bursts along one row of one frame; their events that lie between negative neighbours."""
    frame, _, row = places(noise.mos_row_bursts)
    n = len(frame)
    if not n:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    slots = (SIZE - 2) // 4
    number = np.clip(rng.poisson(noise.mos_burst_events, n), 6, slots)
    # Every fourth column at most, so that each is an event of its own: the first ones of a shuffled row.
    column = np.argsort(rng.random((n, slots)), axis=1) * 4 + 3
    used = np.arange(slots) < number[:, None]
    frame, row = (np.broadcast_to(v[:, None], used.shape)[used] for v in (frame, row))
    column = column[used]
    deposits.add(frame, column, row, rng.uniform(40, 90, len(frame)))
    after = rng.random(len(frame)) < noise.mos_next_row
    deposits.add(frame[after], column[after] + 2, row[after] + 1, rng.uniform(40, 90, int(after.sum())))
    ringing = rng.random(len(frame)) < noise.mos_ringing
    key = pixel_key(frame[ringing], column[ringing], row[ringing])
    return key, rng.integers(*_RINGING_ADU, len(key))


def _raise_level(deposits: Deposits, frame, x, y, level) -> None:
    """Raise the 24 pixels around some pixels."""
    dx, dy = np.array(_AROUND).T
    deposits.add(
        frame[:, None], x[:, None] + dx[None, :], y[:, None] + dy[None, :], np.asarray(level)[:, None]
    )


def _flickering(
    deposits: Deposits, places: _Places, span: tuple[int, int], noise: Noise, rng: np.random.Generator
) -> None:
    """Pixels that fire in successive frames, now and then."""
    per_burst = _FLICKER_FRAMES * _FLICKER_CHANCE
    frame, _, _ = places(noise.mos_flickering / per_burst)
    x, y = rng.integers(5, SIZE - 5, (2, len(frame)))
    step = np.arange(_FLICKER_FRAMES)
    fires = rng.random((len(frame), len(step))) < _FLICKER_CHANCE
    frames, x, y = (np.broadcast_to(v[:, None], fires.shape)[fires] for v in (frame, x, y))
    frames = frames + np.broadcast_to(step, fires.shape)[fires]
    inside = frames < span[1]
    deposits.add(frames[inside], x[inside], y[inside], rng.uniform(40, 200, int(inside.sum())))


# --- pixels, columns and rows that are bad all the time ------------------------------------------------


@dataclass(frozen=True)
class Defects:
    """Bad pixels of a chip that the calibration does not know.

    Attributes
    ----------
    x, y, chance, adu
        Hot pixels: place, chance to fire in a frame, mean amplitude.
    columns, rows
        Bright lines: (column, first row, length), (row, first column, length).
    share
        Share of each line in the events of all lines.
    """

    x: np.ndarray
    y: np.ndarray
    chance: np.ndarray
    adu: np.ndarray
    columns: tuple[tuple[int, int, int], ...]
    rows: tuple[tuple[int, int, int], ...]
    share: np.ndarray


def _chances(weight: np.ndarray, total: float, most: float) -> np.ndarray:
    """Chances in proportion to weights, none above ``most``, that sum to ``total`` if that is possible."""
    total = min(total, most * len(weight))
    chance = np.zeros(len(weight))
    for _ in range(20):
        free = chance < most
        rest = total - most * (~free).sum()
        if not free.any() or rest <= 0:
            break
        chance[free] = np.minimum(weight[free] / weight[free].sum() * rest, most)
    return chance


def defects(camera: Camera, ccd: int, noise: Noise, length_s: float) -> Defects:
    """The bad pixels of a chip with this noise; always at the same places."""
    return _defects(
        camera.code, ccd, round(noise.mos_hot_pixels), noise.mos_hot_events * length_s, noise.mos_hot_most,
        round(noise.mos_columns), round(noise.mos_rows),
    )  # fmt: skip


@cache
def _defects(
    code: str, ccd: int, n_hot: int, fires: float, most: float, n_columns: int, n_rows: int
) -> Defects:
    rng = np.random.default_rng([int(code[1]), ccd, 99])
    bad = CAMERAS[code].bad_pixel_mask(ccd)
    # On a grid of places far enough apart that no two hot pixels share an event; many of them lie close.
    spacing, half = 6, SIZE // 2
    reach = min(max(int(np.ceil(np.sqrt(4.0 * n_hot))) * spacing, 180) // 2, half - 20)
    left, low = rng.integers(12, SIZE - 2 * reach - 12, 2) if n_hot > 100 else (12, 12)
    right, top = (left + 2 * reach, low + 2 * reach) if n_hot > 100 else (SIZE - 12, SIZE - 12)
    grid_x, grid_y = np.meshgrid(np.arange(left, right, spacing), np.arange(low, top, spacing))
    chosen = rng.permutation(grid_x.size)
    x, y = (v.ravel()[chosen] + rng.integers(-1, 2, len(chosen)) for v in (grid_x, grid_y))
    sound = ~bad[x - 1, y - 1]
    x, y = x[sound][:n_hot], y[sound][:n_hot]
    weight = rng.lognormal(0.0, 1.2 if n_hot < 100 else 0.6, n_hot)
    adu = 40.0 + rng.exponential(40.0, n_hot)
    (columns, first_share), (rows, second_share) = (
        _bright_lines(numbers.MOS_BRIGHT_COLUMNS, n_columns, rng),
        _bright_lines(numbers.MOS_BRIGHT_ROWS, n_rows, rng),
    )
    share = np.concatenate([first_share, second_share])
    return Defects(x, y, _chances(weight, fires, most), adu, columns, rows, share / max(share.sum(), 1e-9))


def _bright_lines(
    border: Mapping[int, float], number: int, rng: np.random.Generator
) -> tuple[tuple[tuple[int, int, int], ...], np.ndarray]:
    """Lines, first pixels, lengths; and how bright they are: those at the border first, all along."""
    known = [(line, 1, SIZE) for line in border][:number]
    n = number - len(known)
    place, first = rng.choice(np.arange(20, SIZE - 20, 9), n, replace=False) + 1, rng.integers(1, 250, n)
    others = [(int(a), int(b), int(SIZE + 1 - b)) for a, b in zip(place, first, strict=True)]
    weight = np.concatenate([list(border.values())[:number], 0.5 * rng.lognormal(0.0, 0.7, n)])
    return tuple(known + others), weight


def add_defects(
    deposits: Deposits,
    bad: Defects,
    span: tuple[int, int],
    length_s: float,
    noise: Noise,
    rng: np.random.Generator,
) -> None:
    """Add what hot pixels and bright lines fire in some frames."""
    n_frames = span[1] - span[0]
    frames = []
    for chance in bad.chance:
        # A binomial number of different frames, without a draw for each frame of each pixel.
        n = rng.binomial(n_frames, chance)
        frames.append(rng.choice(n_frames, n, replace=False) + span[0])
    if frames:
        count = [len(f) for f in frames]
        frame = np.concatenate(frames)
        x, y, adu = (np.repeat(v, count) for v in (bad.x, bad.y, bad.adu))
        adu = np.maximum(rng.normal(adu, 12.0), 27.0)
        full = rng.random(len(adu)) < noise.mos_hot_full
        deposits.add(frame, x, y, np.where(full, SATURATED_ADU, adu))
        warm = rng.random(len(adu)) < noise.mos_warm
        _raise_level(deposits, frame[warm], x[warm], y[warm], rng.uniform(*_WARM_ADU, int(warm.sum())))
    for number, (along_y, lines) in enumerate(((True, bad.columns), (False, bad.rows))):
        for k, (fixed, first, length) in enumerate(lines):
            share = bad.share[k + (len(bad.columns) if number else 0)]
            n = rng.poisson(noise.mos_line_events * share * n_frames * length_s)
            along = rng.integers(first, first + length, n)
            frame, line = rng.integers(*span, n), np.full(n, fixed)
            x, y = (line, along) if along_y else (along, line)
            deposits.add(frame, x, y, 27.0 + rng.exponential(8.0, n))
            warm = rng.random(n) < noise.mos_warm
            _raise_level(deposits, frame[warm], x[warm], y[warm], rng.uniform(*_WARM_ADU, int(warm.sum())))


def defects_truth(bad: Defects) -> dict[str, Any]:
    """The defects as the truth keeps them."""
    return {
        "pixels": [
            {"rawx": int(x), "rawy": int(y), "chance": float(c)}
            for x, y, c in zip(bad.x, bad.y, bad.chance, strict=True)
        ],
        "columns": [list(c) for c in bad.columns],
        "rows": [list(r) for r in bad.rows],
    }
