"""Fast modes: the CCD is clocked without pause, so that rows of the read-out count time.

Many rows of the chip are collected in one line. A photon's charge reaches the read-out after the rows below
it have left, and lands in the line that is being collected then; in which row of the chip it fell is lost.

Sources: Kuster et al. (1999, SPIE 3765) and Kendziorra and Kirsch (2005) for the pn; Users' Handbook for MOS.

Parameters
----------
mode
    The mode.
camera
    The camera.
exposure
    What is read.
clock
    The on-board clock.
noise
    Rates of everything that is not a photon.
rng
    Random numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from daxa.simulate.cameras.camera import Camera, Mode
from daxa.simulate.cameras.mos_offsets import offset_columns
from daxa.simulate.cameras.noise import Noise
from daxa.simulate.cameras.pn import (
    COLUMNS,
    ROWS,
    columns_lost_to_mips,
    cycle_table,
    frame_table,
    mip_trails,
    with_soft_noise,
)
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
from daxa.simulate.numbers import cameras as numbers
from daxa.simulate.odf.clock import Clock

#: Lines by columns that a particle's track covers in MOS timing.
_TRACK_CELLS = 13.0
#: Size of a track over what is sent of it.
_TRACK_SIZE = next(value for name, value, _ in numbers.MOS_MISCELLANEOUS if name == "COSMICSI")
#: Largest amplitude that is sent [adu].
_LARGEST_ADU = next(value for name, value, _ in numbers.MOS_MISCELLANEOUS if name == "EMDHHIGH")
#: Charge that a wide MOS event leaves in its columns [adu].
_WIDE_ADU = 300.0


def pn_lines(mode: Mode, since_s: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frame and line in which photons are read.

    Between the last line of a timing frame and the first of the next one the clocks stand still for 53 us:
    what arrives then is collected in one line, which is brighter. In burst mode only photons that arrive
    while the whole chip is shifted are read; the others get line -1.

    Parameters
    ----------
    since_s
        Time since photons that need no shifting were read in line 0 of frame 0.
    row
        Row of the chip, 1 to 200.
    """
    period, n_lines = mode.frame_time_s, sum(mode.window[mode.ccds[0]][1::2])
    later = row // mode.line_rows
    if mode.submode == "FastBurst":
        since_s = since_s + later * mode.line_s
        frame = np.floor(since_s / period).astype(np.int64)
        line = np.floor((since_s - frame * period) / mode.line_s).astype(np.int64)
        return frame, np.where(line < n_lines, line, -1)
    frame = np.floor(since_s / period).astype(np.int64)
    moved = np.minimum(np.floor((since_s - frame * period) / mode.line_s).astype(np.int64), n_lines)
    place = frame * n_lines + moved + later
    # Between frames one line goes on collecting, until the charge that is there is lost with line 0.
    seen = since_s - frame * period < period - (mode.loss_s - mode.line_s)
    return place // n_lines, np.where(seen, place % n_lines, -1)


def observe_pn_fast(
    camera: Camera,
    hits: Any,
    exposure: Exposure,
    clock: Clock,
    noise: Noise,
    rng: np.random.Generator,
    *,
    reset_obt_s: int,
) -> DetectorData:
    """Read out the pn in timing or burst mode (one CCD).

    Parameters
    ----------
    hits
        Photons on the chips: ``time_s, ccd, rawx, rawy, energy_ev, source``.
    reset_obt_s
        On-board time of the counter's reset (F1030).
    """
    mode = camera.mode(exposure.submode)
    (ccd,) = mode.ccds
    period, n_lines = mode.frame_time_s, sum(mode.window[ccd][1::2])
    begin = float(clock.obt(exposure.start_s)) + ROWS // mode.line_rows * mode.line_s
    n_frames = int((exposure.duration_s - 2 * period) / period)
    stamps = begin + mode.delay_s(ccd) + period * np.arange(n_frames)
    sent = ~in_intervals(clock.tt(stamps), exposure.gaps_s)
    columns = photon_columns(hits)
    fate = unseen(len(columns["TIME"]))
    here = np.flatnonzero(columns["CCDNR"] == ccd)
    row = np.clip(np.rint(columns["RAWY"][here]), 1, ROWS).astype(np.int64)
    frame, line = pn_lines(mode, clock.obt(columns["TIME"][here]) - begin, row)
    used = (frame >= 0) & (frame < n_frames) & (line >= _first_line(mode))
    here, frame, line, row = here[used], frame[used], line[used], row[used]
    photons = {k: columns[k][here] for k in columns}
    part, n_cells = _charge_of_photons(camera, mode, photons, frame, line, row, n_frames * period, rng)
    parts = [part]
    window_cm2 = COLUMNS * ROWS * (camera.pixel_mm / 10) ** 2
    parts.append(_particles(camera, mode, n_frames, window_cm2, n_lines, rng))
    k, px, lines, adu = (np.concatenate(c) for c in zip(*parts, strict=True))
    inside = (px >= 1) & (px <= COLUMNS) & (lines >= _first_line(mode)) & (lines < n_lines)
    key = (k[inside].astype(np.int64) << 16) + (lines[inside].astype(np.int64) << 8) + px[inside]
    key, value = measure(camera, key, adu[inside], rng)
    n = rng.poisson(noise.pn_soft * n_frames * mode.integration_s)
    soft = (rng.integers(0, n_frames, n) << 16) + (rng.integers(_first_line(mode), n_lines, n) << 8)
    soft += rng.integers(1, COLUMNS + 1, n)
    key, value = with_soft_noise(camera, key, value, soft, rng)
    k, lines, px = key >> 16, (key >> 8) & 255, key & 255
    lost = columns_lost_to_mips(k, px, value, n_frames)
    keep = (value >= camera.event_threshold_adu) & sent[k]
    k, lines, px, value = k[keep], lines[keep], px[keep], value[keep]
    number, order = np.unique(k, return_inverse=True)
    fate["FRAME"][here], fate["NPIXELS"][here] = frame, n_cells
    main = np.clip(np.rint(photons["RAWX"]), 1, COLUMNS).astype(int) - 1
    fate["KEPT"][here] = sent[frame] & ~lost[frame, main]
    start_s, stop_s = (float(clock.tt(begin + n * period)) for n in (0, n_frames))
    truth = {
        "live_fraction": float(1.0 - lost[sent].mean()) * mode.live if sent.any() else 0.0,
        "n_events": len(k),
        "found_bad_pixels": [],
        "n_frames": int(sent.sum()),
        "frame_time_s": period,
        "frame_time_tt_s": float(clock.tt(begin + n_frames * period) - clock.tt(begin)) / n_frames,
        "integration_s": mode.integration_s,
        "line_s": mode.line_s,
        "start_s": start_s,
        "stop_s": stop_s,
    }
    events = {"FRAME": order + 1, "RAWX": px - 1, "RAWY": lines, "ENERGY": value}
    kind = "BUE" if mode.submode == "FastBurst" else "TIE"
    one = CcdData(events, mode.window[ccd], truth=truth, file_type=kind)
    counted = np.arange(1, len(number) + 1)
    listed = np.stack([number, counted, np.full(len(number), ccd), np.zeros(len(number), int)])
    quadrant = (ccd - 1) // 3
    passed = {quadrant: np.bincount(k, minlength=n_frames)}
    auxiliary = [
        frame_table(listed, stamps, reset_obt_s, rng),
        cycle_table({quadrant: np.zeros(n_frames, int)}, passed, sent, n_frames, rng),
    ]
    return DetectorData(exposure, {ccd: one}, auxiliary, start_s, stop_s, columns | fate)


def _charge_of_photons(
    camera, mode, photons, frame, line, row, duration_s, rng
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Frame, column, line and charge of the pixels of photons, and the number of pixels of each photon."""
    energy = fluctuate(camera, photons["ENERGY"], rng)
    pixels = number_of_pixels(camera, photons["ENERGY"], rng)
    x, y, t = photons["RAWX"], photons["RAWY"], photons["TIME"]
    split = split_charge(camera, energy / 5.15, pixels, x, y, rng)
    event = split.event
    own_column = np.clip(np.rint(x), 1, COLUMNS).astype(np.int64)
    energy = energy * _left_by_rate(mode, own_column, energy, duration_s)
    column = own_column[event] + split.dx
    # Pixels above each other mostly end up in the same line.
    own = line[event] + (row[event] + split.dy) // mode.line_rows - row[event] // mode.line_rows
    cells = np.unique(np.stack([event, own * 128 + column]), axis=1)[0]
    n_cells = np.bincount(cells, minlength=len(frame))
    adu = camera.amplitude(
        energy[event] * split.share, mode.ccds[0], column, np.rint(y)[event], t[event], n_cells[event]
    )
    return (frame[event], column, own, adu), n_cells


def _left_by_rate(mode: Mode, column: np.ndarray, energy_ev: np.ndarray, duration_s: float) -> np.ndarray:
    """Share of the charge of each photon that is left at the rate of electrons of its column."""
    a0, a1, a2 = {row[0]: row[1:] for row in numbers.PN_RATE_CTI}[mode.mode_id]
    charge = np.bincount(column, weights=energy_ev, minlength=COLUMNS + 1) / numbers.EV_PER_ELECTRON
    rate = np.maximum(charge / duration_s, 1e-9)
    return (a0 * rate**a1 + a2)[column]


def _first_line(mode: Mode) -> int:
    """First line that is sent: in timing the first one collects a single row of the chip and is left out."""
    return 1 if mode.submode == "FastTiming" else 0


def _particles(camera, mode, n_frames, window_cm2, n_lines, rng):
    """Particles: a bright pixel and a trail in the following lines."""
    n = rng.poisson(camera.cosmic_rays_s_cm2 * window_cm2 * mode.integration_s * n_frames)
    frame, line, x = (
        rng.integers(0, n_frames, n),
        rng.integers(1, n_lines, n),
        rng.integers(1, COLUMNS + 1, n),
    )
    return mip_trails(frame, x, line, 3, rng)


# --- MOS ---------------------------------------------------------------------------------------------


def mos_lines(
    mode: Mode,
    obt_s: np.ndarray,
    rawx: np.ndarray,
    rawy: np.ndarray,
    rows: np.ndarray,
    start_obt_s: float,
    n_frames: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of some hits those that are read, the frame and the line of each.

    Parameters
    ----------
    obt_s
        On-board times of the hits [s], shape (n,).
    rawx, rawy
        Where they fall, shape (n,).
    rows
        Numbers of the hits that may be read.
    start_obt_s
        On-board time of the start [s].
    n_frames
        Number of frames.
    """
    n_lines = mode.window[1][3]
    place = np.floor((obt_s[rows] - start_obt_s) / mode.line_s + rawy[rows] / mode.line_rows).astype(np.int64)
    # What is still on its way when the exposure begins belongs to no frame.
    used = (place >= 0) & (place < n_frames * n_lines) & (obt_s[rows] >= start_obt_s)
    x_first, _, n_columns, _ = mode.image(1)
    used &= (np.rint(rawx[rows]) >= x_first) & (np.rint(rawx[rows]) < x_first + n_columns)
    return rows[used], place[used] // n_lines, place[used] % n_lines


def read_mos_timing(
    camera: Camera,
    ccd: int,
    mode: Mode,
    photons: dict[str, np.ndarray],
    frame: np.ndarray,
    line: np.ndarray,
    length_s: float,
    noise: Noise,
    sent: np.ndarray,
    rng: np.random.Generator,
) -> tuple[CcdData, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Read the central MOS CCD in timing mode: neighbouring columns of a line make an event.

    Parameters
    ----------
    ccd
        Number of the CCD.
    photons
        The photons, by column.
    frame, line
        Frame and line of each.
    length_s
        Length of a frame [s].
    sent
        Which frames are sent.

    Returns
    -------
    data, counters, fate
        What was sent, the counters of the auxiliary file, what became of the photons.
    """
    n_frames, n = len(sent), len(frame)
    x_first, _, n_columns, n_lines = mode.image(ccd)
    threshold = round(camera.event_threshold_adu)
    area = n_columns * n_lines
    tracks = rng.poisson(
        camera.cosmic_rays_s_cm2 * n_columns * camera.ny * (camera.pixel_mm / 10) ** 2 * length_s, n_frames
    )
    track_cells = rng.poisson(tracks * _TRACK_CELLS)
    alive = rng.random(n) >= _TRACK_SIZE * track_cells[frame] / area
    energy = fluctuate(camera, photons["ENERGY"], rng)
    wanted = number_of_pixels(camera, photons["ENERGY"], rng)
    x, y = photons["RAWX"], photons["RAWY"]
    column = np.rint(x).astype(np.int64)
    trial = camera.amplitude(energy, ccd, x, y, photons["TIME"], wanted)
    split = split_charge(camera, trial, wanted, x, y, rng)
    moved = np.zeros(n)
    np.add.at(moved, split.event, split.share * (split.dx != 0))
    side = np.zeros(n, np.int64)
    side[split.event[split.dx != 0]] = split.dx[split.dx != 0]
    n_wide = 1 + (moved > 0)
    adu = camera.amplitude(energy, ccd, x, y, photons["TIME"], n_wide)
    parts = [(frame[alive], line[alive], column[alive], ((1 - moved) * adu)[alive])]
    wide = alive & (moved > 0)
    parts.append((frame[wide], line[wide], (column + side)[wide], (moved * adu)[wide]))
    # Particles over many columns, and read noise beyond the threshold.
    share = n_columns / camera.nx
    m = rng.poisson(noise.mos_cosmic * share * n_frames * length_s)
    place = rng.integers(0, n_frames, m), rng.integers(0, n_lines, m), rng.integers(x_first, x_first + 94, m)
    for step in range(6):
        parts.append((place[0], place[1], place[2] + step, rng.exponential(_WIDE_ADU, m) + 2 * threshold))
    m = rng.poisson(noise.mos_soft * n_frames * length_s)
    parts.append(
        (
            rng.integers(0, n_frames, m),
            rng.integers(0, n_lines, m),
            rng.integers(x_first, x_first + n_columns, m),
            threshold + rng.exponential(4.0, m),
        )
    )
    k, lines, px, charge = (np.concatenate(c) for c in zip(*parts, strict=True))
    inside = (px >= x_first) & (px < x_first + n_columns)
    key = (k[inside].astype(np.int64) * n_lines + lines[inside]) * 1024 + px[inside]
    key, value = measure(camera, key, charge[inside], rng)
    key, value = key[value >= threshold], value[value >= threshold]
    k = key // 1024 // n_lines
    pixels_above = np.bincount(k, minlength=n_frames)
    table, above = _join_columns(key, value, n_lines, x_first)
    counters = {
        "NPIXEL": pixels_above + track_cells,
        "NBELOW": np.zeros(n_frames, int),
        "NABOVE": np.bincount(above, minlength=n_frames) + tracks,
        "NVALID": np.bincount(table["FRAME"] - 1, minlength=n_frames),
    }
    keep = sent[table["FRAME"] - 1]
    table = {name: values[keep] for name, values in table.items()}
    truth = {
        "live_fraction": 1.0 - float((_TRACK_SIZE * track_cells / area)[sent].mean()) if sent.any() else 0.0,
        "n_events": len(table["FRAME"]),
        "found_bad_pixels": [],
        "line_s": mode.line_s,
    }
    fate = {"NPIXELS": n_wide, "OOT": np.zeros(n, bool), "KEPT": alive & sent[frame]}
    offsets = offset_columns(camera.code, ccd)
    return CcdData(table, mode.window[ccd], offsets, truth=truth, file_type="TIE"), counters, fate


def _join_columns(
    key: np.ndarray, value: np.ndarray, n_lines: int, x_first: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Events of touching columns (keys: sorted by frame, line, column); frames of those too large to send."""
    begins = np.append(True, np.diff(key) != 1) if len(key) else np.zeros(0, bool)
    group = np.cumsum(begins) - 1
    n = int(begins.sum())
    total = np.bincount(group, weights=value, minlength=n).astype(np.int64)
    size = np.bincount(group, minlength=n)
    # The brightest pixel, the first of equal ones.
    order = np.lexsort((-value, group))
    main = key[order[np.flatnonzero(np.append(True, np.diff(group) != 0))]] if n else key
    frame, line = main // 1024 // n_lines, main // 1024 % n_lines
    sent = total <= _LARGEST_ADU
    table = {
        "FRAME": frame + 1,
        "RAWX": main % 1024 - x_first + numbers.MOS_SCAN["UNDER_X"] + numbers.MOS_EVENT_OFFSET,
        "RAWY": line,
        "ENGYE1E2": total,
        "PATTERN": np.minimum(size - 1, 3),
        "PERIPIX": np.zeros(n, int),
    }
    return {name: values[sent] for name, values in table.items()}, frame[~sent]
