"""The pn camera: frames, read-out with out-of-time events, single-pixel telemetry.

Nothing is combined on board: every pixel above the threshold is sent by itself. Columns touched by a
minimum ionising particle, and their neighbours, are dropped and only counted.

Sources: XMM-Newton Users' Handbook (pn read-out, out-of-time events), Kuster et al. 1999 (sequence).

Parameters
----------
camera
    The camera.
ccd
    Number of the CCD.
number
    How many.
n_frames
    Number of frames.
integration_s
    Integration time of a frame [s].
rng
    Random numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from daxa.simulate.cameras.camera import Camera, Mode
from daxa.simulate.cameras.noise import Noise
from daxa.simulate.cameras.readout import (
    CcdData,
    DetectorData,
    Exposure,
    fluctuate,
    in_intervals,
    measure,
    number_of_pixels,
    photon_columns,
    split_charge,
    unseen,
)
from daxa.simulate.numbers.cameras import PN_FAST_SHIFT_S
from daxa.simulate.odf.clock import Clock
from daxa.xmm.formats.odf import PN_FTFINE_UNIT_S

#: Seconds after which the coarse frame time starts again.
WRAP_S = 32400
#: Frames that one counter record covers.
MAX_FRAMES = 20
ADC_MAXIMUM = 4095
#: Amplitude from which a pixel counts as a particle [adu].
MIP_ADU = 3000
COLUMNS, ROWS = 64, 200
#: Frames that a reset of the event buffer costs (366.82 of 73.36 ms each, as real logs print).
RESET_FRAMES = 5
#: Frames that are worked on together.
_BLOCK = 100_000
#: Windows of modes that read the whole chip begin at this row at most.
WHOLE_CHIP_FIRST_ROW = 2


def found_bad_pixels(ccd: int) -> list[tuple[int, int]]:
    """Hot pixels that the calibration does not know (column, row)."""
    if ccd % 3:
        return []
    rng = np.random.default_rng([3, ccd, 77])
    return [(int(rng.integers(5, 60)), int(rng.integers(20, 195)))]


def more_bad_pixels(camera: Camera, ccd: int, number: int) -> list[tuple[int, int]]:
    """Further hot pixels, at the same places in every exposure (column, row), none beside another."""
    rng = np.random.default_rng([3, ccd, 78])
    x, y = (v.ravel() for v in np.meshgrid(np.arange(5, 61, 5), np.arange(20, 196, 5)))
    place = rng.permutation(len(x))
    sound = ~camera.bad_pixel_mask(ccd)[x[place] - 1, y[place] - 1]
    return [(int(x[k]), int(y[k])) for k in place[sound][:number]]


def read_out(
    phase_s: np.ndarray, frame: np.ndarray, row: np.ndarray, integration_s: float, readout_s: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frame and row in which photons appear.

    While a CCD is read its charge moves towards row 1. A photon that arrives then is added to a charge
    that belongs to another row: further from the read-out by the rows shifted so far, or, once the
    chip is empty behind, to the next frame.

    Parameters
    ----------
    phase_s
        Time since the start of the frame's integration.
    frame, row
        Frame and true row (1 to 200).
    readout_s
        How long a CCD is read [s].

    Returns
    -------
    frame, row, out_of_time
    """
    late = phase_s >= integration_s
    shifted = np.floor((phase_s - integration_s) / readout_s * ROWS).astype(np.int64)
    shifted = np.where(late, np.clip(shifted, 0, ROWS - 1), 0)
    apparent = row + shifted
    wrapped = apparent > ROWS
    return frame + wrapped, np.where(wrapped, apparent - ROWS, apparent), late


def read_window(
    phase_s: np.ndarray, frame: np.ndarray, row: np.ndarray, integration_s: float, first_row: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Frame and row in which photons appear in a window mode.

    The window is emptied by a fast shift, and before the next integration its place is cleared by another
    one; between the two nothing is recorded. A source thus smears over the rows behind it and, in the next
    frame, over those before it. Photons outside the window are seen only while charge of the window passes.

    Parameters
    ----------
    phase_s, frame, row
        As in :func:`read_out`.
    first_row
        First row of the window, which reaches to the end of the chip.

    Returns
    -------
    frame, row, out_of_time, seen
    """
    n_rows = ROWS - first_row + 1
    late = phase_s >= integration_s
    shifted = np.floor((phase_s - integration_s) / PN_FAST_SHIFT_S).astype(np.int64)
    shifted = np.where(late, shifted, 0)
    apparent = row + shifted
    wrapped = apparent > ROWS
    apparent = np.where(wrapped, apparent - n_rows, apparent)
    seen = (shifted < n_rows) & (apparent >= first_row)
    return frame + wrapped, np.where(seen, apparent, row), late, seen


def discard_columns(n_frames: int, rate_per_frame: float, rng: np.random.Generator) -> np.ndarray:
    """Columns given up on board because of particles: boolean (frame, column).

    Parameters
    ----------
    rate_per_frame
        Mean number of particles in a frame.
    """
    n = rng.poisson(rate_per_frame * n_frames)
    frame, column = rng.integers(0, n_frames, n), rng.integers(0, COLUMNS, n)
    lost = np.zeros((n_frames, COLUMNS), bool)
    for step in (-1, 0, 1):
        x = column + step
        inside = (x >= 0) & (x < COLUMNS)
        lost[frame[inside], x[inside]] = True
    return lost


def fifo_resets(n_frames: int, number: int, rng: np.random.Generator) -> np.ndarray:
    """Frames that a quadrant loses because its event buffer is full and starts again."""
    lost = np.zeros(n_frames, bool)
    # One in each of equal stretches: they never touch, and their number is exact.
    begin = (np.arange(number) + 0.9 * rng.random(number)) * (n_frames / max(number, 1))
    for step in range(RESET_FRAMES):
        lost[np.minimum(begin.astype(int) + step, n_frames - 1)] = True
    return lost


def observe_pn(
    camera: Camera,
    hits: Any,
    exposure: Exposure,
    clock: Clock,
    noise: Noise,
    rng: np.random.Generator,
    *,
    reset_obt_s: int,
) -> DetectorData:
    """Read out the pn camera in an imaging mode.

    Parameters
    ----------
    hits
        Photons on the chips: ``time_s, ccd, rawx, rawy, energy_ev, source``.
    exposure
        What is read.
    clock
        The on-board clock.
    noise
        Rates of everything that is not a photon.
    reset_obt_s
        On-board time of the counter's reset (F1030).
    """
    mode = camera.mode(exposure.submode)
    ccds = [ccd for ccd in mode.ccds if ccd in (exposure.ccds or mode.ccds)]
    period = mode.frame_time_s
    n_frames = int((exposure.duration_s - 2 * period) / period)
    # The stamp follows the integrations of the three CCDs of a quadrant.
    first_stamp = clock.obt(exposure.start_s) + max(mode.delays_s.values()) + mode.integration_s / 2
    stamps = first_stamp + period * np.arange(n_frames)
    # The quadrants begin a quarter of a frame after each other.
    later = period / 4 * np.arange(4)
    sent = ~in_intervals(clock.tt(stamps), exposure.gaps_s)
    columns = photon_columns(hits)
    fate = unseen(len(columns["TIME"]))
    obt_hit = clock.obt(columns["TIME"])
    data: dict[int, CcdData] = {}
    listed: list[np.ndarray] = []
    discarded: dict[int, np.ndarray] = {}
    passed: dict[int, np.ndarray] = {}
    resets: dict[int, np.ndarray] = {}
    for ccd in ccds:
        begin = first_stamp + later[(ccd - 1) // 3] - mode.delay_s(ccd) - mode.integration_s / 2
        here, frame, row, late = _seen(mode, ccd, columns, obt_hit - begin, n_frames)
        quadrant = (ccd - 1) // 3
        if quadrant not in resets:
            rate = noise.of("PN", 3 * quadrant + 1).pn_fifo_resets
            resets[quadrant] = fifo_resets(n_frames, round(rate * n_frames * period), rng)
        one, number, kept, lost = _read_ccd(
            camera, ccd, {k: columns[k][here] for k in columns}, frame, row, period, mode,
            noise.of("PN", ccd), sent, resets[quadrant], rng,
        )  # fmt: skip
        data[ccd] = one
        fate["FRAME"][here], fate["OOT"][here] = frame, late
        for name, values in kept.items():
            fate[name][here] = values
        lost_time = rng.random(len(number)) < noise.of("PN", ccd).pn_no_time
        fate["KEPT"][here] &= ~np.isin(frame, number[lost_time])
        one.truth["live_fraction"] -= mode.live * lost_time.sum() / max(int(sent.sum()), 1)
        listed.append(np.stack([number, np.arange(1, len(number) + 1), np.full(len(number), ccd), lost_time]))
        on_board = 0 if one.discarded is None else lost
        discarded[quadrant] = discarded.get(quadrant, np.zeros(n_frames, int)) + on_board
        count = np.bincount(one.truth.pop("event_frame"), minlength=n_frames)
        passed[quadrant] = passed.get(quadrant, np.zeros(n_frames, int)) + count
        one.truth |= {
            "n_frames": int(sent.sum()),
            "reset_frames": int((sent & resets[quadrant]).sum()),
            "frame_time_s": period,
            "frame_time_tt_s": float(clock.tt(begin + n_frames * period) - clock.tt(begin)) / n_frames,
            "integration_s": mode.integration_s,
            # A frame stands for a whole cycle around the middle of its integration.
            "start_s": float(clock.tt(begin - mode.readout_s / 2)),
            "stop_s": float(clock.tt(begin - mode.readout_s / 2 + n_frames * period)),
        }
    auxiliary = [
        frame_table(np.concatenate(listed, axis=1), stamps, reset_obt_s, rng, later),
        cycle_table(discarded, passed, sent, n_frames, rng),
    ]
    bounds = [(d.truth["start_s"], d.truth["stop_s"]) for d in data.values()]
    return DetectorData(
        exposure, data, auxiliary, min(b[0] for b in bounds), max(b[1] for b in bounds), columns | fate
    )


def _seen(
    mode: Mode, ccd: int, columns: dict[str, np.ndarray], since_s: np.ndarray, n_frames: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Photons that are read from a CCD: their numbers, frame and row in which they appear, whether too late.

    ``since_s``: on-board time since the first frame of the CCD began.
    """
    here = np.flatnonzero(columns["CCDNR"] == ccd)
    cycle = np.floor(since_s[here] / mode.frame_time_s).astype(np.int64)
    phase = since_s[here] - cycle * mode.frame_time_s
    true_row = np.clip(np.rint(columns["RAWY"][here]), 1, ROWS).astype(np.int64)
    first_row = mode.window[ccd][1] + 1
    if first_row > WHOLE_CHIP_FIRST_ROW:
        frame, row, late, used = read_window(phase, cycle, true_row, mode.integration_s, first_row)
        used &= np.rint(columns["RAWX"][here]) <= mode.window[ccd][2]
    else:
        frame, row, late = read_out(phase, cycle, true_row, mode.integration_s, mode.readout_s)
        used = np.ones(len(here), bool)
    # What arrives while the chip is cleared is lost.
    used &= (frame >= 0) & (frame < n_frames) & (phase >= mode.loss_s)
    return here[used], frame[used], row[used], late[used]


def _read_ccd(camera, ccd, photons, frame, row, period, mode, noise, sent, resets, rng):
    """Read one CCD; its data, frames that hold events, fate of photons, columns discarded per frame."""
    n_frames, awake = len(sent), sent & ~resets
    windowed = mode.window[ccd][1] + 1 > WHOLE_CHIP_FIRST_ROW
    n_columns, first_row = (mode.window[ccd][2], mode.window[ccd][1] + 1) if windowed else (COLUMNS, 1)
    new = [(a, b) for a, b in found_bad_pixels(ccd) if a <= n_columns and b >= first_row]
    new += more_bad_pixels(camera, ccd, round(noise.pn_hot_pixels))
    fate = {"NPIXELS": np.zeros(len(frame), int), "KEPT": np.zeros(len(frame), bool)}
    tables = []
    lost_columns, discarded_frame = np.zeros(COLUMNS, np.int64), np.zeros(n_frames, np.int64)
    for begin in range(0, n_frames, _BLOCK):
        span = begin, min(begin + _BLOCK, n_frames)
        here = np.flatnonzero((frame >= span[0]) & (frame < span[1]))
        table, lost, kept = _read_frames(
            camera, ccd, {k: v[here] for k, v in photons.items()}, frame[here] - begin, row[here], period,
            mode, noise, awake[span[0] : span[1]], (n_columns, first_row), new, rng,
        )  # fmt: skip
        table["FRAME"] += begin
        tables.append(table)
        for name, values in kept.items():
            fate[name][here] = values
        lost &= awake[span[0] : span[1], None]
        lost_columns += lost.sum(axis=0)
        discarded_frame[span[0] : span[1]] = lost.sum(axis=1)
    events = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    number, order = np.unique(events["FRAME"], return_inverse=True)
    frames_of_events = events["FRAME"]
    events["FRAME"] = (order + 1).astype(np.int32)
    truth = {
        # Of the frames that were sent; resets cost live time, too.
        "live_fraction": float(awake.sum() - lost_columns.sum() / COLUMNS)
        / max(int(sent.sum()), 1)
        * mode.live,
        "n_events": len(order),
        "found_bad_pixels": [{"rawx": a, "rawy": b, "kind": "hot"} for a, b in new],
        "event_frame": frames_of_events,
    }
    on_board = len(mode.ccds) > 1
    one = CcdData(events, mode.window[ccd], discarded=lost_columns if on_board else None, truth=truth)
    return one, number, fate, discarded_frame


def _read_frames(camera, ccd, photons, frame, row, period, mode, noise, awake, extent, new, rng):
    """Read some frames, counted from 0; events, columns lost per frame, and the fate of photons."""
    n_frames, time = len(awake), len(awake) * period
    n_columns, first_row = extent
    windowed = first_row > 1
    window_cm2 = n_columns * (ROWS - first_row + 1) * (camera.pixel_mm / 10) ** 2
    # Only modes that read all CCDs reject particles on board.
    on_board = len(mode.ccds) > 1
    particles = camera.cosmic_rays_s_cm2 * window_cm2 * (mode.integration_s if windowed else period)
    particles = noise.pn_particles if noise.pn_particles >= 0 else particles
    lost = discard_columns(n_frames, particles if on_board else 0.0, rng)
    energy = fluctuate(camera, photons["ENERGY"], rng)
    pixels = number_of_pixels(camera, photons["ENERGY"], rng)
    x, y, t = photons["RAWX"], photons["RAWY"], photons["TIME"]
    # A share of the charge is judged by a plain scale; what the electronics make of it follows below.
    split = split_charge(camera, energy / 5.15, pixels, x, y, rng)
    event = split.event
    column = np.clip(np.rint(x), 1, COLUMNS).astype(int)
    part = column[event] + split.dx
    amplitude = camera.amplitude(
        energy[event] * split.share, ccd, part, np.rint(y)[event], t[event], split.n_pixels[event]
    )
    parts = [(frame[event], part, row[event] + split.dy, amplitude)]
    hot = [
        (p.rawx, p.rawy + i)
        for p in camera.bad_pixels
        if p.ccd == ccd and p.kind == "hot" and not p.uplinked
        for i in range(p.yextent)
    ]
    for hot_x, hot_y in [*hot, *new]:
        k = rng.integers(0, n_frames, rng.poisson(noise.hot_pixel * time))
        parts.append((k, np.full(len(k), hot_x), np.full(len(k), hot_y), rng.normal(60.0, 12.0, len(k))))
    n = rng.poisson(noise.pn_tail * time)
    parts.append(
        (
            rng.integers(0, n_frames, n), rng.integers(1, n_columns + 1, n),
            rng.integers(first_row, ROWS + 1, n), 30.0 + rng.exponential(15.0, n),
        )
    )  # fmt: skip
    mips = noise.pn_residual_mips * time + (0.0 if on_board else particles * n_frames)
    parts.append(_mips(n_frames, mips, max(20, first_row), rng))
    k, px, py, adu = (np.concatenate(c) for c in zip(*parts, strict=True))
    inside = (px >= 1) & (px <= n_columns) & (py >= first_row) & (py <= ROWS)
    k, px, py, adu = k[inside].astype(np.int64), px[inside], py[inside], adu[inside]
    key, value = measure(camera, (k << 16) + (py.astype(np.int64) << 8) + px, adu, rng)
    key, value = with_soft_noise(camera, key, value, _soft_noise(noise, n_frames, time, extent, rng), rng)
    k, py, px = key >> 16, (key >> 8) & 255, key & 255
    if not on_board:
        lost = columns_lost_to_mips(k, px, value, n_frames)
    blank = camera.bad_pixel_mask(ccd, uplinked=True) | camera.bad_pixel_mask(ccd, kind="dead")
    keep = (value >= camera.event_threshold_adu) & awake[k] & ~blank[px - 1, py - 1]
    if on_board:
        keep &= ~lost[k, px - 1]
    events = {
        "FRAME": k[keep],
        "RAWX": (px[keep] - 1).astype(np.int16),
        "RAWY": (py[keep] - 1).astype(np.int16),
        "ENERGY": value[keep].astype(np.int16),
    }
    kept = awake[frame] & ~lost[frame, column - 1] & ~blank[column - 1, row - 1]
    return events, lost, {"NPIXELS": split.n_pixels, "KEPT": kept}


def _soft_noise(noise, n_frames, time_s, extent, rng) -> np.ndarray:
    """Keys of what the read noise of millions of pixels leaves above the threshold.

    The level of a frame wanders: what exceeds the threshold comes in company.
    """
    n_columns, first_row = extent
    n = rng.poisson(noise.pn_soft / max(noise.pn_clump, 1.0) * time_s)
    frame = rng.integers(0, n_frames, n)
    if noise.pn_clump > 1:
        frame = np.repeat(frame, rng.geometric(1 / noise.pn_clump, n))
    n = len(frame)
    return (frame << 16) + (rng.integers(first_row, ROWS + 1, n) << 8) + rng.integers(1, n_columns + 1, n)


def with_soft_noise(
    camera: Camera, key: np.ndarray, adu: np.ndarray, soft: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and those that only read noise lifts above the threshold, with the amplitudes that are sent.

    Parameters
    ----------
    key, adu
        Pixels with charge, and their amplitudes, which they keep.
    soft
        Pixels with nothing but noise, which may be among the others.
    """
    threshold = round(camera.event_threshold_adu)
    key = np.concatenate([key, soft])
    adu = np.concatenate([adu, threshold + rng.exponential(1.7, len(soft)).astype(int)])
    key, first = np.unique(key, return_index=True)
    return key, np.minimum(adu[first], ADC_MAXIMUM)


def columns_lost_to_mips(frame, column, adu, n_frames: int) -> np.ndarray:
    """Columns that particles make useless where nothing is rejected on board: boolean (frame, column).

    Parameters
    ----------
    frame, column, adu
        Frame, column and charge of each pixel, shape (n,).
    """
    lost = np.zeros((n_frames, COLUMNS), bool)
    mip = adu >= MIP_ADU
    for step in (-1, 0, 1):
        x = column[mip] - 1 + step
        inside = (x >= 0) & (x < COLUMNS)
        lost[frame[mip][inside], x[inside]] = True
    return lost


def _mips(n_frames, expected, first_row, rng):
    """Particles that are sent down: a bright pixel and its trail along the column."""
    n = rng.poisson(expected)
    frame, x, y = (
        rng.integers(0, n_frames, n),
        rng.integers(1, COLUMNS + 1, n),
        rng.integers(first_row, ROWS, n),
    )
    return mip_trails(frame, x, y, 4, rng)


def mip_trails(
    frame: np.ndarray, x: np.ndarray, y: np.ndarray, length: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pixels of particles, each a bright one and its trail behind: frame, column, row or line, amplitude.

    Parameters
    ----------
    frame, x, y
        Those of the bright pixels.
    length
        Number of pixels of each.
    """
    trail, n = np.arange(length), len(frame)
    bright, faint = rng.uniform(MIP_ADU + 150, 4600, n), rng.uniform(100, 2500, (n, length))
    adu = np.where(trail == 0, bright[:, None], faint)
    frame, x, y = (np.broadcast_to(v[:, None], adu.shape) for v in (frame, x, y))
    return frame.ravel(), x.ravel(), (y + trail).ravel(), adu.ravel()


def frame_table(listed, stamps, reset_obt_s, rng, later=(0.0,) * 4) -> dict[str, np.ndarray]:
    """Table of listed frames (frame, running number, CCD, whether its time is lost) with jittered stamps.

    ``later``: seconds by which the stamps of each quadrant follow those of the first.

    Parameters
    ----------
    listed
        The frames.
    stamps
        Their stamps [s].
    reset_obt_s
        On-board time of the counter's reset [s].
    later
        How much later each quadrant is stamped [s].
    """
    order = np.lexsort((listed[2], listed[0]))
    frame, number, ccd, lost_time = listed[:, order]
    quadrant, position = np.divmod(ccd - 1, 3)
    since = (stamps[frame] + np.asarray(later)[quadrant] - reset_obt_s) % WRAP_S
    coarse = np.floor(since).astype(np.int64)
    # The fine time of a frame jitters by one unit, the same for the CCDs of a quadrant.
    jitter = rng.integers(-1, 2, (len(stamps), 4))[frame, quadrant]
    last = int(1 / PN_FTFINE_UNIT_S)
    fine = np.clip(np.floor((since - coarse) / PN_FTFINE_UNIT_S).astype(np.int64) + jitter, 0, last)
    return {
        "FRAME": number,
        "CYCLE": frame + 1,
        "FTCOARSE": np.where(lost_time, 0xFFFF, coarse),
        "FTFINE": np.where(lost_time, 0xFFFF, fine),
        "QUADRANT": quadrant,
        "CCDID": position,
    }


def cycle_table(discarded, passed, sent, n_frames, rng) -> dict[str, np.ndarray]:
    """Counter records: one per quadrant and :data:`MAX_FRAMES` frames.

    Parameters
    ----------
    discarded
        Quadrant -> number of columns given up in each frame.
    passed
        Quadrant -> number of events sent of each frame.
    sent
        Which frames are sent.
    """
    begin = np.arange(0, n_frames, MAX_FRAMES)
    received = sent[begin]
    columns: dict[str, list[np.ndarray]] = {}
    for quadrant, lines in sorted(discarded.items()):
        # A record sums whole cycles; the last, unfinished one is never sent.
        lines = np.add.reduceat(lines, begin)
        events = np.add.reduceat(passed[quadrant], begin)
        complete = received & (begin + MAX_FRAMES <= n_frames)
        record = {
            "CYCLE": begin + 1,
            "QUADRANT": np.full(len(begin), quadrant),
            "NABOVE": np.minimum(events + 20 * lines, 65535),
            "NDEFA": np.full(len(begin), 0),
            "NEPDH": events,
            "NDISCLIN": np.minimum(lines, 16383),
            "MCOMMODE": 500 + rng.integers(-3, 4, len(begin)),
        }
        for name, values in record.items():
            columns.setdefault(name, []).append(values[complete])
    table = {name: np.concatenate(values) for name, values in columns.items()}
    order = np.lexsort((table["QUADRANT"], table["CYCLE"]))
    return {name: values[order] for name, values in table.items()}
