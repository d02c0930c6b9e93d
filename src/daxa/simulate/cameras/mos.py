"""The MOS cameras: frames, charge in pixels, pattern recognition on board, telemetry.

The event analyser is imitated on real pixels: every pixel above the event threshold that is the brightest
of its 3 x 3 box becomes an event, its pattern is the first of the library whose 5 x 5 roles fit, and
E1 to E4 are sums over the pixels of the box.

Sources: XMM-Newton Users' Handbook (MOS read-out, patterns), Data Files Handbook (E1 to E4).

Parameters
----------
camera
    The camera.
ccd
    Number of the CCD.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from daxa.simulate.calibration.constituents import pattern_roles
from daxa.simulate.cameras.camera import Camera, Mode
from daxa.simulate.cameras.fast import mos_lines, read_mos_timing
from daxa.simulate.cameras.mos_noise import (
    Deposits,
    add_defects,
    add_particles,
    defects,
    defects_truth,
    pixel_of,
    pixels_per_frame,
)
from daxa.simulate.cameras.mos_offsets import BOX, RING, mark_border, offset_columns, offset_tables
from daxa.simulate.cameras.noise import Noise
from daxa.simulate.cameras.readout import (
    CcdData,
    DetectorData,
    Exposure,
    fluctuate,
    in_intervals,
    number_of_pixels,
    photon_columns,
    split_charge,
    unseen,
)
from daxa.simulate.numbers import cameras as numbers
from daxa.simulate.odf.clock import Clock, tt_of_utc, utc_text
from daxa.xmm.formats.odf import MOS_FTFINE_UNIT_S, MOS_PERIPIX_MAXIMUM

#: Frames of a cycle of the sliding scale; the converter's zero moves by 1 adu per frame.
GATTI_CYCLE = 510
ADC_MAXIMUM = 4095
#: Mean zero level left after the offsets [adu].
ZERO_LEVEL = 0.8
_TYPES = {"FRAME": np.int32, "PATTERN": np.uint8, "PERIPIX": np.uint8}
#: Frames that are worked on together: so many at most, and fewer if they hold more pixels.
_BLOCK, _BLOCK_PIXELS = 4000, 3e6
#: Events that a particle shower adds to a frame.
_SHOWER_EVENTS = 600
#: How late the rows of each CCD are [s], up to seven frames as in real files.
_ARRIVAL_S = np.array([2.0, 5.0, 0.0, 16.0, 9.0, 1.0, 12.0])
#: Share of a frame's events that fit the buffer when it overflows.
_BUFFER_SHARE = 0.6

_MISC = {name: value for name, value, _ in numbers.MOS_MISCELLANEOUS}


def zero_level(ccd: int, rawx, rawy) -> np.ndarray:
    """Zero level of pixels [adu], a smooth function of the position.

    Parameters
    ----------
    rawx, rawy
        Columns and rows; shapes go together.
    """
    phase = 0.7 * ccd
    return ZERO_LEVEL + 0.3 * np.sin(np.asarray(rawx) / 130.0 + phase) * np.cos(np.asarray(rawy) / 170.0)


def recognise(
    keys: np.ndarray, adu: np.ndarray, threshold: int, empty: Any, roles: dict[int, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Find events among pixels (the event analyser).

    Parameters
    ----------
    keys, adu
        Pixels with charge, sorted, and their whole-number amplitudes.
    threshold
        Event threshold [adu].
    empty
        Function of the number of pixels that returns amplitudes of pixels without charge.
    roles
        Pattern library, :func:`~daxa.simulate.calibration.constituents.pattern_roles`.

    Returns
    -------
    dict
        ``key`` of the main pixel, ``e1`` to ``e4``, ``pattern``, ``peripix``.
    """
    roles = roles or pattern_roles()
    centre, e1 = keys[adu >= threshold], adu[adu >= threshold]

    def look_up(where: np.ndarray, dx: int, dy: int) -> tuple[np.ndarray, np.ndarray]:
        wanted = where + (dy << 10) + dx
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return adu[at], keys[at] == wanted

    if not len(centre):
        none = np.zeros(0, np.int64)
        return {"key": none} | dict.fromkeys(("e1", "e2", "e3", "e4", "pattern", "peripix"), none)
    # Of two equal pixels the one read first is the main one.
    for dx, dy in BOX:
        value, found = look_up(centre, dx, dy)
        earlier = (dy, dx) < (0, 0)
        highest = ~found | (e1 > value if earlier else e1 >= value)
        centre, e1 = centre[highest], e1[highest]
    n = len(centre)
    above = np.zeros(n, np.int64)
    e2, e3, e4 = (np.zeros(n, np.int64) for _ in range(3))
    for bit, (dx, dy) in enumerate([*BOX, *RING]):
        value, found = look_up(centre, dx, dy)
        value = np.where(found, value, 0)
        value[~found] = empty(int((~found).sum()))
        over = value >= threshold
        above |= over.astype(np.int64) << bit
        if bit < len(BOX):
            e2 += np.where(over, value, 0)
            e3 += np.where(over, 0, value)
        else:
            e4 += np.where(over, 0, value)
    peripix = np.zeros(n, np.int64)
    for bit in range(len(BOX), 24):
        peripix += above >> bit & 1
    pattern = np.full(n, 31)
    sides = sum(1 << bit for bit, (dx, dy) in enumerate(BOX) if dx == 0 or dy == 0)
    pattern[above & sides == 0] = 30
    free = np.ones(n, bool)
    for number, role in roles.items():
        if number >= 30:
            continue
        bits = [(bit, role[dy + 2, dx + 2]) for bit, (dx, dy) in enumerate([*BOX, *RING])]
        ones = sum(1 << bit for bit, kind in bits if kind == 1)
        cared = sum(1 << bit for bit, kind in bits if kind != 2)
        fits = free & (above & cared == ones)
        pattern[fits] = number
        free &= ~fits
    return {"key": centre, "e1": e1, "e2": e2, "e3": e3, "e4": e4, "pattern": pattern, "peripix": peripix}


def found_bad_pixels(camera: Camera, ccd: int) -> list[tuple[int, int, str]]:
    """Bad pixels that the calibration does not know: column, row, kind."""
    rng = np.random.default_rng([int(camera.code[1]), ccd, 98])
    x, y = rng.integers(30, 570, 2), rng.integers(30, 570, 2)
    return [(int(x[0]), int(y[0]), "hot"), (int(x[1]), int(y[1]), "flickering")]


def observe_mos(
    camera: Camera, hits: Any, exposure: Exposure, clock: Clock, noise: Noise, rng: np.random.Generator
) -> DetectorData:
    """Read out a MOS camera.

    Parameters
    ----------
    hits
        Photons on the chips: ``time_s, ccd, rawx, rawy, energy_ev, source``.
    exposure, clock
        What is read, and when by the on-board clock.
    noise
        Rates of everything that is not a photon.
    rng
        Random numbers.
    """
    if exposure.submode == "FastCompressed":
        raise NotImplementedError("FastCompressed: a mode that was not used for science is not simulated")
    mode = camera.mode(exposure.submode)
    ccds = exposure.ccds or mode.ccds
    columns = photon_columns(hits)
    fate = unseen(len(columns["TIME"]))
    obt_hit = clock.obt(columns["TIME"])
    # The camera's clock starts anew two seconds before the exposure, at a whole second.
    begin = clock.obt(exposure.start_s)
    first = min(float(clock.tt(begin + numbers.MOS_STARTS_S[ccd])) for ccd in ccds)
    reset = np.floor(clock.obt(tt_of_utc(utc_text(first))) + 0.5) - 2.0
    data: dict[int, CcdData] = {}
    listed: list[dict[str, np.ndarray]] = []
    cycles: list[dict[str, np.ndarray]] = []
    for ccd in ccds:
        frames = _frames(mode, ccd, exposure, clock)
        here, frame, one, counters, kept = _read(
            camera, mode, frames, columns, obt_hit, exposure, noise.of(camera.code, ccd), rng
        )
        fate["FRAME"][here] = frame
        for name in ("NPIXELS", "OOT", "KEPT"):
            fate[name][here] = kept[name]
        data[ccd] = one
        rows = _frame_rows(mode, frames, counters, exposure, reset)
        received = frames.sent & ~np.isin(np.arange(len(frames.sent)), frames.lost)
        listed.append({n: values[received] for n, values in rows.items()} | {"OBT": frames.ends[received]})
        cycles.append(_counting(ccd, rows, frames.sent, frames.ends - frames.length, frames.ends))
        one.truth |= {
            "n_frames": int(received.sum()),
            "bad_frames": np.flatnonzero(rows["FIFOOVF"]).tolist(),
            "lost_frames": frames.lost.tolist(),
            "frame_time_s": frames.length,
            "integration_s": frames.integration,
            "frame_time_tt_s": float((clock.tt(frames.ends[-1]) - clock.tt(frames.start)) / len(frames.ends)),
            "start_s": float(clock.tt(frames.start)),
            "stop_s": float(clock.tt(frames.ends[-1])),
        }
    merged, counting = (
        {name: np.concatenate([f[name] for f in f_]) for name in f_[0]} for f_ in (listed, cycles)
    )
    # Rows of the CCDs arrive interleaved, some CCDs later than others.
    order = np.lexsort((merged["CCDID"], merged.pop("OBT") + _ARRIVAL_S[merged["CCDID"] - 1]))
    merged = {name: values[order] for name, values in merged.items()}
    bounds = [(d.truth["start_s"], d.truth["stop_s"]) for d in data.values()]
    return DetectorData(
        exposure,
        data,
        [merged, counting],
        min(b[0] for b in bounds),
        max(b[1] for b in bounds),
        columns | fate,
        clock_reset_obt_s=reset,
    )


@dataclass
class _Frames:
    """The frames of a CCD in an exposure; on-board times [s].

    Attributes
    ----------
    start, length, integration
        When the first one begins, how long each is, and how long it gathers.
    ends, centres
        When each ends (on board), and its middle (mission time).
    sent, lost
        Whether each comes to the ground, and numbers of those that are not read out.
    """

    ccd: int
    start: float
    length: float
    integration: float
    ends: np.ndarray
    centres: np.ndarray
    sent: np.ndarray
    lost: np.ndarray


def _frames(mode: Mode, ccd: int, exposure: Exposure, clock: Clock) -> _Frames:
    central = ccd == 1
    length = mode.frame_time_s if central else mode.outer_frame_time_s
    integration = mode.integration_s if central else mode.outer_integration_s
    gap = length - integration
    if exposure.frame_time_s and abs(gap - numbers.MOS_FRAME_GAP_S) < 1e-6:
        length, integration = exposure.frame_time_s, exposure.frame_time_s - gap
    # The CCDs are read in turn.
    start = clock.obt(exposure.start_s) + numbers.MOS_STARTS_S[ccd]
    ends = start + length * np.arange(1, int((exposure.duration_s - 0.1) / length) + 1)
    centres = clock.tt(ends - length / 2)
    sent = ~in_intervals(centres, exposure.gaps_s)
    return _Frames(ccd, start, length, integration, ends, centres, sent, np.zeros(0, np.int64))


def _read(
    camera: Camera,
    mode: Mode,
    frames: _Frames,
    columns: dict[str, np.ndarray],
    obt_hit: np.ndarray,
    exposure: Exposure,
    noise: Noise,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, CcdData, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Read a CCD out: photons that were read, their frames, what was sent, the counters, the photons' fate.

    Draws which frames are lost, and notes them in ``frames``.
    """
    ccd, length, n_frames = frames.ccd, frames.length, len(frames.sent)
    here = np.flatnonzero(columns["CCDNR"] == ccd)
    if ccd in mode.fast_ccds:
        here, frame, line = mos_lines(
            mode, obt_hit, columns["RAWX"], columns["RAWY"], here, frames.start, n_frames
        )
        photons = {k: columns[k][here] for k in columns}
        one, counters, kept = read_mos_timing(
            camera, ccd, mode, photons, frame, line, length, noise, frames.sent, rng
        )
        return here, frame, one, counters, kept
    cycle = (obt_hit[here] - frames.start) / length
    frame = np.floor(cycle).astype(np.int64)
    used = (frame >= 0) & (frame < n_frames) & ((frame + 1 - cycle) * length <= frames.integration + 1e-9)
    used &= _in_window(mode.image(ccd), columns["RAWX"][here], columns["RAWY"][here])
    here, frame = here[used], frame[used]
    n_lost = round(noise.mos_lost_frames * n_frames * length)
    frames.lost = _not_read(n_lost, frames.sent, frames_per_block(noise, length), rng)
    frame = frame + np.isin(frame, frames.lost)
    # The outer CCDs stay in full frame, whatever the central one does.
    smeared = (mode if ccd == 1 else camera.mode("PrimeFullWindow")).oot_fraction
    one, counters, kept = _read_ccd(
        camera, mode, frames, {k: columns[k][here] for k in columns}, frame, smeared, exposure, noise, rng
    )
    return here, frame, one, counters, kept


def _frame_rows(
    mode: Mode, frames: _Frames, counters: dict[str, np.ndarray], exposure: Exposure, reset: float
) -> dict[str, np.ndarray]:
    """Rows of the auxiliary file, one for each frame."""
    stamp = frames.ends - mode.delay_s(frames.ccd) - reset
    coarse = np.floor(stamp).astype(np.int64)
    fine = np.minimum(
        np.rint((stamp - coarse) / MOS_FTFINE_UNIT_S).astype(np.int64), round(1 / MOS_FTFINE_UNIT_S) - 1
    )
    number = np.arange(len(frames.ends))
    table = {
        "FRAME": number + 1,
        "CCDID": np.full(len(number), frames.ccd),
        "CCDNODE": np.zeros(len(number), int),
        "FTCOARSE": coarse % 32768,
        "FTFINE": fine,
        **counters,
        "GATTIFLG": (number % GATTI_CYCLE == 0).astype(int),
    }
    table.setdefault("FIFOOVF", np.isin(number, exposure.overflow_frames).astype(int))
    return table


def _counting(ccd, table, sent, starts, ends) -> dict[str, np.ndarray]:
    """Runs of frames that were not sent, in which the event unit counted."""
    edges = np.flatnonzero(np.diff(np.concatenate([[1], sent.astype(int), [1]])))
    first, last = edges[::2], edges[1::2] - 1

    def total(values: np.ndarray) -> np.ndarray:
        upto = np.concatenate([[0], np.cumsum(values)])
        return upto[last + 1] - upto[first]

    return {
        "CCD": np.full(len(first), ccd),
        "START": starts[first],
        "STOP": ends[last],
        "VALID": total(table["NVALID"]),
        "BELOW": total(table["NBELOW"]),
        "ABOVE": total(table["NABOVE"]),
        "FRAMES": last - first + 1,
    }


def frames_per_block(noise: Noise, length_s: float) -> int:
    """Number of frames that are worked on together.

    Parameters
    ----------
    noise
        Rates of everything that is not a photon.
    length_s
        Length of a frame [s].
    """
    return max(min(_BLOCK, int(_BLOCK_PIXELS / max(pixels_per_frame(noise, length_s), 1.0))), 1)


def _not_read(number: int, sent: np.ndarray, block: int, rng: np.random.Generator) -> np.ndarray:
    """Frames that are not read out: none beside another, a gap, the end of a block or of the exposure."""
    if not number:
        return np.zeros(0, np.int64)
    places = np.arange(2, len(sent) - 2, 2)
    places = places[sent[places - 1] & sent[places] & sent[places + 1] & ((places + 1) % block != 0)]
    return np.sort(rng.choice(places, number, replace=False))


def _in_window(window: tuple[int, int, int, int], rawx, rawy) -> np.ndarray:
    x, y = np.rint(rawx) - window[0], np.rint(rawy) - window[1]
    return (window[2] >= 600) | ((x >= 0) & (x < window[2]) & (y >= 0) & (y < window[3]))


def _read_ccd(
    camera, mode, frames, photons, frame, oot_fraction, exposure, noise, rng
) -> tuple[CcdData, dict[str, np.ndarray], dict[str, np.ndarray]]:
    ccd, length, sent, unread = frames.ccd, frames.length, frames.sent, frames.lost
    n_frames, n = len(sent), len(frame)
    window = mode.image(ccd)
    bad = defects(camera, ccd, noise, length)
    # A number as expected, not drawn: there are few of them.
    showers = rng.choice(n_frames, min(round(noise.mos_showers * n_frames * length), n_frames), replace=False)
    showers = np.setdiff1d(showers, unread)
    overflow = np.unique(np.concatenate([np.asarray(exposure.overflow_frames, int), showers]))
    kept = {"NPIXELS": np.zeros(n, int), "OOT": np.zeros(n, bool), "KEPT": np.zeros(n, bool)}
    tables, counted = [], []
    dead = 0.0
    block = frames_per_block(noise, length)
    for begin in range(0, n_frames, block):
        span = begin, min(begin + block, n_frames)
        here = np.flatnonzero((frame >= span[0]) & (frame < span[1]))
        deposits = Deposits()
        particles = add_particles(camera, deposits, span, length, noise, window[2] * window[3], rng)
        fate = _add_photons(
            camera, ccd, deposits, {k: v[here] for k, v in photons.items()}, frame[here],
            particles.pixels[frame[here] - begin], window, oot_fraction, rng,
        )  # fmt: skip
        for name, values in fate.items():
            kept[name][here] = values
        kept["KEPT"][here] &= sent[frame[here]]
        _hot_pixels(camera, ccd, deposits, frames.centres, span, length, noise, exposure, rng)
        add_defects(deposits, bad, span, length, noise, rng)
        struck = np.repeat(showers[(showers >= span[0]) & (showers < span[1])], _SHOWER_EVENTS)
        x, y = rng.integers(1, 601, (2, len(struck)))
        deposits.add(struck, x, y, rng.uniform(40, 900, len(struck)))
        if begin == 0 and noise.mos_first_frame:
            before = noise.mos_first_frame * length
            particles.add_first(
                add_particles(camera, deposits, (0, 1), before, noise, window[2] * window[3], rng)
            )
        held = unread[(unread >= span[0]) & (unread < span[1])]
        deposits.hold(held)
        particles.hold(held, begin)
        table, counters, pixels = _analyse(camera, ccd, deposits, particles, span, window, rng)
        table = _outside_window(table, window, span, length, noise, rng)
        if window[2] >= 600:
            mark_border(table, camera.code, ccd)
        table["FRAME"] = table["FRAME"] + np.isin(table["FRAME"] - 1, held)
        order = np.lexsort((table["RAWX"], table["RAWY"], table["FRAME"]))
        table = {name: values[order].astype(_TYPES.get(name, np.int16)) for name, values in table.items()}
        number = table["FRAME"] - 1
        counters["NVALID"] = np.bincount(number - begin, minlength=span[1] - begin)
        rank = np.arange(len(number)) - np.searchsorted(number, number)
        lost = np.isin(number, overflow) & (rank >= _BUFFER_SHARE * counters["NVALID"][number - begin])
        keep = ~lost & sent[number]
        tables.append({name: values[keep] for name, values in table.items()})
        counted.append(counters)
        dead += float(pixels[sent[span[0] : span[1]]].sum())
    table, counters = (
        {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        for parts in (tables, counted)
    )
    counters["FIFOOVF"] = np.isin(np.arange(n_frames), overflow).astype(int)
    new = [{"rawx": x, "rawy": y, "kind": kind} for x, y, kind in found_bad_pixels(camera, ccd)]
    truth = {
        "live_fraction": 1.0 - _MISC["COSMICSI"] * dead / (window[2] * window[3] * max(int(sent.sum()), 1)),
        "n_events": len(table["FRAME"]),
        "found_bad_pixels": [b for b in new if _in_window(window, b["rawx"], b["rawy"])],
        "defects": defects_truth(bad),
    }
    for name, scan in (("RAWX", "UNDER_X"), ("RAWY", "UNDER_Y")):
        table[name] = table[name] + numbers.MOS_SCAN[scan] + numbers.MOS_EVENT_OFFSET
    return CcdData(table, mode.window[ccd], offset_columns(camera.code, ccd), truth=truth), counters, kept


@cache
def _silent_pixels(camera: Camera, ccd: int) -> np.ndarray:
    return camera.bad_pixel_mask(ccd, uplinked=True) | camera.bad_pixel_mask(ccd, kind="dead")


def _add_photons(
    camera, ccd, deposits, photons, frame, track_pixels, window, oot_fraction, rng
) -> dict[str, np.ndarray]:
    """Add the charge of photons; their numbers of pixels, whether out of time, whether they reach a pixel."""
    n = len(frame)
    # A photon that falls on a track is lost with it.
    alive = rng.random(n) >= _MISC["COSMICSI"] * track_pixels / (window[2] * window[3])
    energy = fluctuate(camera, photons["ENERGY"], rng)
    pixels = number_of_pixels(camera, photons["ENERGY"], rng)
    x, y = photons["RAWX"], photons["RAWY"]
    amplitude = camera.amplitude(energy, ccd, x, y, photons["TIME"], pixels)
    split = split_charge(camera, amplitude, pixels, x, y, rng)
    if np.any(split.n_pixels != pixels):
        # The gain depends on the number of pixels that the event ends up with.
        amplitude = camera.amplitude(energy, ccd, x, y, photons["TIME"], split.n_pixels)
    smeared = rng.random(n) < oot_fraction
    column = np.rint(x).astype(int)
    anywhere = rng.integers(window[1], window[1] + window[3], n)
    row = np.where(smeared, anywhere, np.clip(np.rint(y), 1, 600)).astype(int)
    take = alive[split.event]
    event = split.event[take]
    deposits.add(
        frame[event],
        column[event] + split.dx[take],
        row[event] + split.dy[take],
        split.share[take] * amplitude[event],
    )
    reaches = ~_silent_pixels(camera, ccd)[np.clip(column, 1, 600) - 1, row - 1]
    return {"NPIXELS": split.n_pixels, "OOT": smeared, "KEPT": alive & reaches}


def _analyse(
    camera, ccd, deposits, particles, span, window, rng
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]:
    """Read the pixels of some frames out and find the events among them.

    Returns
    -------
    table, counters, lost
        Events between the thresholds, the frames' counters, and per frame the pixels that tracks cover.
    """
    threshold, n_frames = round(camera.event_threshold_adu), span[1] - span[0]
    keys, charge = deposits.joined()
    k, px, py = pixel_of(keys)
    good = ~_silent_pixels(camera, ccd)[px - 1, py - 1]
    x0, y0 = window[:2]
    if window[2] < 600:
        good &= (px >= x0) & (px < x0 + window[2]) & (py >= y0) & (py < y0 + window[3])
    keys, charge, k, px, py = keys[good], charge[good], k[good], px[good], py[good]
    column_offset, row_offset = offset_tables(camera.code, ccd)
    limit = (
        ADC_MAXIMUM
        - (k - 1) % GATTI_CYCLE
        - column_offset[px - 1 + numbers.MOS_SCAN["UNDER_X"]]
        - row_offset[py - 1 + numbers.MOS_SCAN["UNDER_Y"]]
    )
    measured = charge + zero_level(ccd, px, py) + camera.noise_adu * rng.standard_normal(len(charge))
    adu = np.minimum(np.rint(measured).astype(np.int64), limit)

    def empty(number: int) -> np.ndarray:
        values = np.rint(ZERO_LEVEL + camera.noise_adu * rng.standard_normal(number))
        return np.minimum(values.astype(np.int64), threshold - 1)

    events = recognise(keys, adu, threshold, empty)
    if len(particles.undershoot_key):
        order = np.argsort(particles.undershoot_key)
        low, by = particles.undershoot_key[order], particles.undershoot_adu[order]
        at = np.minimum(np.searchsorted(low, events["key"]), len(low) - 1)
        events["e3"] = events["e3"] - np.where(low[at] == events["key"], by[at], 0)
    frame_of, ex, ey = pixel_of(events["key"])
    total = events["e1"] + events["e2"]
    below, beyond = total < _MISC["EMDHLOW"], total > _MISC["EMDHHIGH"]
    frame_of = frame_of - span[0]
    # Pattern 30 and 31 pixels count as tracks on ground, too.
    lost = particles.pixels + _track_counts(events, frame_of, n_frames)
    counters = {
        "NPIXEL": np.bincount(k[adu >= threshold] - span[0], minlength=n_frames) + particles.pixels,
        "NBELOW": np.bincount(frame_of[below], minlength=n_frames),
        "NABOVE": np.bincount(frame_of[beyond], minlength=n_frames) + particles.tracks,
    }
    keep = ~below & ~beyond
    table = {
        "FRAME": frame_of + span[0] + 1,
        "RAWX": ex - x0,
        "RAWY": ey - y0,
        **{f"ENERGYE{i}": events[f"e{i}"] for i in (1, 2, 3, 4)},
        "PATTERN": events["pattern"],
        "PERIPIX": np.minimum(events["peripix"], MOS_PERIPIX_MAXIMUM),
    }
    return {name: values[keep] for name, values in table.items()}, counters, lost


def _track_counts(events: dict[str, np.ndarray], frame: np.ndarray, n_frames: int) -> np.ndarray:
    cosmic = events["pattern"] >= 30
    size = 3 + events["peripix"][cosmic]
    return np.bincount(frame[cosmic], weights=size, minlength=n_frames)


def _hot_pixels(camera, ccd, deposits, centres, span, length, noise, exposure, rng) -> None:
    """Add what hot and flickering pixels fire that every camera has."""
    centres = centres[span[0] : span[1]]
    chance = min(noise.hot_pixel * length, 0.5)
    places = [
        (p.rawx, p.rawy + i, "hot")
        for p in camera.bad_pixels
        if p.ccd == ccd and p.kind == "hot" and not p.uplinked and p.yextent < 600
        for i in range(p.yextent)
    ]
    for x, y, kind in [*places, *found_bad_pixels(camera, ccd)]:
        fires = rng.random(len(centres)) < chance
        if kind == "flickering":
            # On for a short while every half hour.
            phase = (centres - exposure.start_s + 37.0 * ccd) % 1800.0
            fires = (rng.random(len(centres)) < min(7.5 * noise.hot_pixel, 1.0)) & (phase < 20 * length)
        frame = np.flatnonzero(fires) + span[0]
        deposits.add(frame, x, y, rng.normal(110.0, 18.0, len(frame)))


def _outside_window(table, window, span, length, noise, rng) -> dict[str, np.ndarray]:
    """Add events in the columns beside the first and the last one, nearly all of them beside the first."""
    n = rng.poisson(noise.mos_outside * (span[1] - span[0]) * length)
    more = {
        "FRAME": rng.integers(span[0] + 1, span[1] + 1, n),
        "RAWX": np.where(rng.integers(0, 20, n) == 0, window[2], -1),
        "RAWY": rng.integers(0, window[3], n),
        "ENERGYE1": rng.integers(30, 300, n),
        "ENERGYE2": np.zeros(n, int),
        "ENERGYE3": rng.integers(-20, 20, n),
        "ENERGYE4": rng.integers(-30, 30, n),
        "PATTERN": np.zeros(n, int),
        "PERIPIX": np.zeros(n, int),
    }
    return {name: np.concatenate([values, more[name]]) for name, values in table.items()}
