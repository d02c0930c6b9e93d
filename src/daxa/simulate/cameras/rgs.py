"""The simulated CCDs of the spectrometers: photons to pixels, pixels to telemetry.

A source shines in lines and a continuum whose rates are given as counts: the effective area of the gratings
is not modelled. Pixels here are binned ones, counted from 0; CHIPX from the side of read-out node C.

Parameters
----------
exposure
    What is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import ndtr

from daxa.simulate.cameras import spectrograph as optics
from daxa.simulate.numbers import gratings as numbers
from daxa.simulate.odf.clock import Clock, tt_of_utc

#: Binned columns of one read-out node, and rows.
COLUMNS, ROWS = 171, 128
#: Seconds between two read-outs, by one node and by two: from numbers of frames of ObsID 0802710101.
READOUT_S = {1: 21708.0 / 2390 / 8, 2: 21714.0 / 4714 / 8}
#: Seconds between the end of one read-out and the start of the next (raw files of revolution 234), and pixels
#: that a complete read-out counts (one node's).
PAUSE_S, PIXELS_READ = 0.0023, 21_888
#: Slots of the read-out sequence.
SLOTS = 12
#: Pixels per frame and node above the thresholds of rejection and acceptance and the upper one: means in raw
#: files of revolution 234.
ABOVE_THRESHOLDS = {"NREJECT": 190.0, "NACCEPT": 35.0, "NUPPER": 20.0}
#: Charge cloud [binned pixels], energy of an electron-hole pair [eV], Fano factor, read noise [eV].
CLOUD, PAIR_EV, FANO, NOISE_EV = 0.1, 3.65, 0.115, 30.0
#: A share of the charge below this [eV] stays with the rest; what is sent is at least ON_BOARD_EV.
SPLIT_EV, ON_BOARD_EV = 150.0, 60.0
#: Of the split events, the part that is put together on board.
ON_BOARD_SHARE = 0.7
#: Hot columns and pixels that no calibration file knows: CCD, CHIPX (from 1), row (0: all), rate [1/s/pixel].
UNKNOWN_HOT = {
    "RGS1": ((6, 230, 0, 0.004), (8, 100, 64, 0.1)),
    "RGS2": ((5, 140, 0, 0.004), (2, 260, 30, 0.1)),
}
KNOWN_HOT_RATE = 0.03
#: SER codes of the pixels of a 2 x 2 box that are summed (two low bits: the lower row).
SER = {
    0b0001: 0, 0b0010: 0, 0b0100: 0, 0b1000: 0, 0b1111: 1, 0b0101: 2, 0b1010: 2, 0b0011: 3, 0b1100: 3,
    0b0111: 4, 0b1011: 5, 0b1101: 6, 0b1110: 7,
}  # fmt: skip


@dataclass(frozen=True)
class GratingSource:
    """A point source of lines: position, and counts/s of each line in each order.

    Attributes
    ----------
    ra_deg, dec_deg
        Position.
    lines
        Wavelength [Angstrom] as seen from the Sun, counts/s in the first and in the second order.
    continuum
        Counts/s of a continuum between 5 and 38 Angstrom in the first order, flat in wavelength.
    """

    ra_deg: float
    dec_deg: float
    lines: Sequence[tuple[float, float, float]] = ()
    continuum: float = 0.0


@dataclass(frozen=True)
class GratingExposure:
    """One exposure of one spectrometer.

    Attributes
    ----------
    instrument, exp_id
        ``R1`` or ``R2``; ``S004``.
    start_s, stop_s
        Mission times of the first read-out's and of the last one's beginning, about.
    sources
        What it sees.
    nodes
        Read-out nodes in use: 2, or 1 as in RGS2 since August 2007.
    gaps_s
        Telemetry gaps.
    aborted
        CCD and number of the read-out (from 0) of frames that are aborted on board.
    first_frame
        Value of the 16-bit frame counter at the start.
    background
        Counts/s of particles on each CCD.
    full_s
        Intervals in which the input buffer is full, by housekeeping.
    """

    instrument: str
    exp_id: str
    start_s: float
    stop_s: float
    sources: Sequence[GratingSource] = ()
    nodes: int = 2
    gaps_s: tuple[tuple[float, float], ...] = ()
    aborted: tuple[tuple[int, int], ...] = ()
    first_frame: int = 65000
    background: float = 0.02
    full_s: tuple[tuple[float, float], ...] = ()

    @property
    def name(self) -> str:
        """``RGS1`` or ``RGS2``."""
        return f"RGS{self.instrument[1]}"


@dataclass
class GratingData:
    """What one exposure sends to the ground, and what is true of it.

    Attributes
    ----------
    events
        CCD -> columns of its event list.
    frames, sequence
        Columns of the two auxiliary tables.
    window
        WINDOWX0, WINDOWY0, WINDOWDX, WINDOWDY.
    truth
        Per CCD: frames, good time, photons.
    """

    exposure: GratingExposure
    events: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)
    frames: dict[str, np.ndarray] = field(default_factory=dict)
    sequence: dict[str, np.ndarray] = field(default_factory=dict)
    window: tuple[int, int, int, int] = (0, 0, COLUMNS, ROWS)
    truth: dict[str, Any] = field(default_factory=dict)


def working_ccds(exposure: GratingExposure) -> list[int]:
    """CCDs that are read at the time of an exposure."""
    name = exposure.name
    dead = exposure.start_s >= tt_of_utc(numbers.FAILURE[name])
    return [ccd for ccd in range(1, 10) if not (dead and ccd == numbers.DEAD_CCD[name])]


def observe_rgs(
    exposure: GratingExposure,
    attitude: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]],
    clock: Clock,
    rng: np.random.Generator,
) -> GratingData:
    """Everything that an exposure sends to the ground.

    Parameters
    ----------
    attitude
        Right ascension, declination and position angle [deg] of the spacecraft at mission times.
    clock
        The on-board clock.
    rng
        Random numbers.
    """
    ccds = working_ccds(exposure)
    step = READOUT_S[exposure.nodes]
    n_cycles = int((exposure.stop_s - exposure.start_s) / (step * len(ccds)))
    # Read-outs follow each other; the light of a CCD is collected between two of its own.
    readout = exposure.start_s + step * (np.arange(n_cycles)[:, None] * len(ccds) + np.arange(len(ccds)))
    number = exposure.first_frame + np.arange(readout.size).reshape(readout.shape)
    lost = np.zeros(readout.shape, bool)
    for start, stop in exposure.gaps_s:
        lost |= (readout >= start) & (readout < stop)
    hits = _photons(exposure, ccds, attitude, rng)
    data = GratingData(exposure, window=(0, 0, COLUMNS if exposure.nodes == 2 else 2 * COLUMNS, ROWS))
    aux: dict[str, list[np.ndarray]] = {key: [] for key in ("tt", "frame", "ccd", "index", "abort")}
    for slot, ccd in enumerate(ccds):
        mine = hits["ccd"] == ccd
        parts = [_split({key: values[mine] for key, values in hits.items()}, exposure, ccd, rng)]
        parts += _noise(exposure, ccd, readout[0, slot], readout[-1, slot], rng)
        sent = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        frame = np.searchsorted(readout[:, slot], sent.pop("time"), side="right")
        keep = frame < n_cycles
        keep[keep] &= ~lost[frame[keep], slot]
        # An aborted read-out sends nothing.
        stopped = [n for chip, n in exposure.aborted if chip == ccd]
        keep &= ~np.isin(frame, stopped)
        keep &= _alone(frame, sent)
        frame = frame[keep]
        sent = {key: values[keep] for key, values in sent.items()}
        order = np.argsort(frame, kind="stable")
        data.events[ccd] = {
            "FRAME": number[frame[order], slot] % 65536,
            **{key: values[order] for key, values in sent.items()},
        }
        received = np.flatnonzero(~lost[:, slot])
        abort = np.isin(received, stopped)
        aux["tt"].append(readout[received, slot])
        aux["frame"].append(number[received, slot])
        aux["ccd"].append(np.full(len(received), ccd))
        aux["index"].append(np.full(len(received), slot + 1))
        aux["abort"].append(abort)
        # Good: received, as was the read-out before, and not aborted.
        good = np.zeros(n_cycles, bool)
        good[received] = ~abort
        good &= np.concatenate([[False], ~lost[:-1, slot]])
        edges = readout[:, slot]
        data.truth[str(ccd)] = {
            "n_frames": len(received),
            "frame_time_s": step * len(ccds),
            "ontime_s": float(np.sum(np.diff(edges)[good[1:]])),
            "gti_s": _runs(edges, good),
            "n_events": len(frame),
        }
    _auxiliary(data, {key: np.concatenate(values) for key, values in aux.items()}, ccds, step, clock, rng)
    return data


def _alone(frame: np.ndarray, items: dict[str, np.ndarray]) -> np.ndarray:
    """Items that share no pixel with an earlier one of their frame: a pixel is read once a frame."""
    boxes = {0: 0b0001, **{code: box for box, code in SER.items() if (code and box & 1) or code == 7}}
    box = np.array([boxes[code] for code in range(8)])[items["SER"]]
    item, step = np.nonzero((box[:, None] >> np.arange(4)) & 1)
    # A box without its first corner is placed by the second.
    x = items["RAWX"][item] + step % 2 - (items["SER"][item] == 7)
    place = np.stack([frame[item], items["CCDNODE"][item], x, items["RAWY"][item] + step // 2])
    _, first = np.unique(place, axis=1, return_index=True)
    again = np.ones(len(item), bool)
    again[first] = False
    return np.bincount(item[again], minlength=len(frame)) == 0


def _runs(edges: np.ndarray, good: np.ndarray) -> list[list[float]]:
    change = np.flatnonzero(np.diff(np.concatenate([[0], good.astype(int), [0]])))
    return [[float(edges[a - 1]), float(edges[b - 1])] for a, b in change.reshape(-1, 2)]


# --- light ---------------------------------------------------------------------------------------------


def _photons(
    exposure: GratingExposure,
    ccds: Sequence[int],
    attitude: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]],
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Time, energy, CCD and place (binned pixels, CHIPX and row from 0) of photons on working chips."""
    chips = optics.Chips.of(exposure.name)
    duration = exposure.stop_s - exposure.start_s
    parts: list[dict[str, np.ndarray]] = []
    for source in exposure.sources:
        drawn = [
            (np.full(rng.poisson(rate * duration), wavelength), order)
            for wavelength, *rates in source.lines
            for order, rate in enumerate(rates, start=1)
        ]
        drawn.append((rng.uniform(5.0, 38.0, rng.poisson(source.continuum * duration)), 1))
        wavelength = np.concatenate([w for w, _ in drawn])
        order = np.concatenate([np.full(len(w), n) for w, n in drawn])
        time = rng.uniform(exposure.start_s, exposure.stop_s, len(wavelength))
        middle = (exposure.start_s + exposure.stop_s) / 2
        along, across = optics.off_axis(exposure.name, source.ra_deg, source.dec_deg, attitude(time), middle)
        # Seen from the moving Earth.
        speed = optics.earth_velocity_km_s(source.ra_deg, source.dec_deg, middle)
        wavelength = wavelength * (1 - speed / 299792.458)
        blurred = wavelength + optics.LINE_SIGMA_A / order * rng.standard_normal(len(wavelength))
        ccd, place = chips.hit(optics.diffract(blurred, order, along))
        seen = np.isin(ccd, ccds)
        xdsp = optics.MAGNIFICATION * across + optics.CROSS_SIGMA_RAD * rng.standard_normal(len(ccd))
        far = chips.distance_mm(np.where(seen, ccd, 1), np.where(seen, place, 0.0))
        row = far * np.tan(xdsp) / numbers.PIXEL_MM + numbers.PIXELS[1] / 2
        seen &= (row >= 0) & (row < numbers.PIXELS[1])
        parts.append(
            {
                "time": time[seen],
                "energy": optics.HC / wavelength[seen],
                "ccd": ccd[seen],
                "x": _binned(place[seen]),
                "y": row[seen] / 3,
            }
        )
    n = rng.poisson(exposure.background * duration, len(ccds))
    total = int(n.sum())
    parts.append(
        {
            "time": rng.uniform(exposure.start_s, exposure.stop_s, total),
            "energy": rng.uniform(200.0, 3000.0, total),
            "ccd": np.repeat(ccds, n),
            "x": _binned(rng.uniform(0, numbers.PIXELS[0], total)),
            "y": rng.uniform(0, ROWS, total),
        }
    )
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _binned(place: np.ndarray) -> np.ndarray:
    """Binned pixels (from 0, CHIPX) of a place along the chip: each half is binned from its own end."""
    size = numbers.PIXELS[0]
    return np.where(place < size / 2, place / 3, 2 * COLUMNS - (size - place) / 3)


# --- charge and read-out -------------------------------------------------------------------------------


def _split(
    hits: dict[str, np.ndarray], exposure: GratingExposure, ccd: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Share the charge of photons among pixels, and put most of what is split together again on board."""
    energy = np.maximum(
        hits["energy"] + np.sqrt(FANO * PAIR_EV * hits["energy"]) * rng.standard_normal(len(hits["energy"])),
        ON_BOARD_EV,
    )
    corner, share = [], []
    for key, size in (("x", 2 * COLUMNS), ("y", ROWS)):
        # The lower of the two pixels that the nearest border divides, and its part of the charge.
        low = np.clip(np.rint(hits[key]).astype(int) - 1, 0, size - 2)
        corner.append(low)
        share.append(ndtr((low + 1 - hits[key]) / CLOUD))
    fraction = np.stack(
        [
            share[0] * share[1],
            (1 - share[0]) * share[1],
            share[0] * (1 - share[1]),
            (1 - share[0]) * (1 - share[1]),
        ]
    )
    own = fraction * energy
    small = own < SPLIT_EV
    main = np.argmax(own, axis=0)
    small[main, np.arange(len(energy))] = False
    moved = np.where(small, own, 0.0).sum(axis=0)
    own[small] = 0.0
    own[main, np.arange(len(energy))] += moved
    x = corner[0] + np.array([0, 1, 0, 1])[:, None]
    y = corner[1] + np.array([0, 0, 1, 1])[:, None]
    value = _adu(own, x, y, exposure, ccd, rng)
    filled = (own > 0) & ~_masked(exposure.name, ccd, x, y)
    pattern = (filled * np.array([1, 2, 4, 8])[:, None]).sum(axis=0)
    node = _node(x)
    known = np.isin(pattern, list(SER)) & np.all((node == node[0]) | ~filled, axis=0)
    grouped = known & ((rng.random(len(energy)) < ON_BOARD_SHARE) | (filled.sum(axis=0) == 1))
    single = filled & ~grouped
    codes = np.zeros(16, int)
    codes[list(SER)] = list(SER.values())
    # The place of a group is its pixel that is read first: nearest to its node, of the first row.
    low_row = filled[0] | filled[1]
    bottom = corner[1] + np.where(low_row, 0, 1)
    first = corner[0] + np.where(np.where(low_row, filled[0], filled[2]), 0, 1)
    last = corner[0] + np.where(np.where(low_row, filled[1], filled[3]), 1, 0)
    side = _node(first)
    near = np.where(side == 0, first, last)
    # Counted from the other node, left and right change places.
    swap = np.array([0, 1, 2, 3, 5, 4, 7, 6])
    code = np.where(side == 0, codes[pattern], swap[codes[pattern]])
    some = grouped & filled.any(axis=0)
    result = {
        "time": np.concatenate([hits["time"][some], np.broadcast_to(hits["time"], single.shape)[single]]),
        "chipx": np.concatenate([near[some], x[single]]),
        "row": np.concatenate([bottom[some], y[single]]),
        "ENERGY": np.concatenate([np.where(filled, value, 0).sum(axis=0)[some], value[single]]),
        "SER": np.concatenate([code[some], np.zeros(single.sum(), int)]),
    }
    return _telemetry(result, exposure)


def _noise(
    exposure: GratingExposure, ccd: int, start_s: float, stop_s: float, rng: np.random.Generator
) -> list[dict[str, np.ndarray]]:
    """Hot pixels and columns: single pixels with low energies."""
    places = [
        (x, y, length, KNOWN_HOT_RATE)
        for chip, x, y, length, kind, uplinked in numbers.BAD_PIXELS[exposure.name]
        if chip == ccd and kind == "H" and not uplinked
    ]
    places += [
        (x, y or 1, ROWS if y == 0 else 1, rate)
        for chip, x, y, rate in UNKNOWN_HOT[exposure.name]
        if chip == ccd
    ]
    parts = []
    for x, y, length, rate in places:
        n = rng.poisson(rate * length * (stop_s - start_s))
        energy = 100 + rng.exponential(30.0, n)
        chipx, row = np.full(n, x - 1), y - 1 + rng.integers(0, length, n)
        part = {
            "time": rng.uniform(start_s, stop_s, n),
            "chipx": chipx,
            "row": row,
            "ENERGY": _adu(energy, chipx, row, exposure, ccd, rng),
            "SER": np.zeros(n, int),
        }
        parts.append(_telemetry(part, exposure))
    return parts


def _node(chipx: np.ndarray) -> np.ndarray:
    return (np.asarray(chipx) >= COLUMNS).astype(int)


def _adu(energy, chipx, row, exposure: GratingExposure, ccd: int, rng: np.random.Generator) -> np.ndarray:
    """Channels of charge in pixels: losses on the way, gain, offset, noise."""
    name, node = exposure.name, _node(chipx)
    to_node = np.where(node == 0, chipx, 2 * COLUMNS - 1 - chipx) + 1
    left = energy / ((1 + (row + 1) * numbers.CTI_Y) * (1 + to_node * numbers.CTI_X))
    gain = numbers.gain(name, ccd, node)
    since = exposure.start_s - tt_of_utc("2001-11-05T20:00:00")
    offset = numbers.offset(name, ccd, node) + numbers.OFFSET_SLOPE * since
    noise = NOISE_EV * rng.standard_normal(np.shape(left))
    return np.floor(np.maximum(left + noise, ON_BOARD_EV) * gain + offset).astype(int)


def _masked(name: str, ccd: int, chipx: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Pixels that send nothing: masked on board, or dead."""
    result = np.zeros(np.shape(chipx), bool)
    for chip, x, y, length, kind, uplinked in numbers.BAD_PIXELS[name]:
        if chip == ccd and (uplinked or kind == "D"):
            result |= (chipx == x - 1) & (row >= y - 1) & (row < y - 1 + length)
    return result


def _telemetry(items: dict[str, np.ndarray], exposure: GratingExposure) -> dict[str, np.ndarray]:
    """Telemetered coordinates of items: counted from the node that reads them."""
    chipx, row = items.pop("chipx"), items.pop("row")
    node = _node(chipx)
    if exposure.nodes == 2:
        items["RAWX"] = np.where(node == 0, chipx, 2 * COLUMNS - 1 - chipx)
        items["CCDNODE"] = node
    else:
        # All is read by node C; the first pixel of a row is then the left one everywhere.
        wide = np.isin(items["SER"], (1, 3, 4, 5)) & (node == 1)
        items["RAWX"] = chipx - wide
        swap = np.array([0, 1, 2, 3, 5, 4, 7, 6])
        items["SER"] = np.where(node == 1, swap[items["SER"]], items["SER"])
        items["CCDNODE"] = np.zeros(len(chipx), int)
    items["RAWY"] = row
    return items


def _auxiliary(
    data: GratingData,
    rows: dict[str, np.ndarray],
    ccds: Sequence[int],
    step: float,
    clock: Clock,
    rng: np.random.Generator,
) -> None:
    order = np.argsort(rows["tt"], kind="stable")
    begin, end = (
        np.floor(clock.obt(rows["tt"][order] - before) * 65536).astype(np.int64)
        for before in (step - PAUSE_S, 0.0)
    )
    abort = rows["abort"][order]
    data.frames = {
        "FRAME": rows["frame"][order] % 65536,
        "FTCOARSE": begin // 65536,
        "FTFINE": begin % 65536,
        "EOSCOARS": end // 65536,
        "EOSFINE": end % 65536,
        "FRMTIME": np.zeros(len(order), int),
        "CCDID": rows["ccd"][order],
        "SEQINDEX": rows["index"][order],
        **{
            f"{key}{side}": np.where(abort, 0, rng.poisson(mean, len(order)))
            for side in "CD"
            for key, mean in ABOVE_THRESHOLDS.items()
        },
        "NDPP": np.where(abort, 0, PIXELS_READ),
        "NLOSTEVT": np.zeros(len(order), int),
        "ABORTFLG": np.where(abort, 1, 2),
    }
    n = SLOTS
    used = np.arange(n) < len(ccds)
    data.sequence = {
        "SEQINDEX": np.arange(1, n + 1),
        "CCDID": np.array([*ccds, *[0] * (n - len(ccds))]),
        "CCDNODES": np.where(used, 3 if data.exposure.nodes == 2 else 1, 0),
        "CCDOCB": np.where(used, 3, 0),
        "CCDCSG": np.where(used, 6, 0),
        **{
            f"{key}THRESH{side}": np.full(n, v + (node * round(numbers.OFFSET_STEP) if key != "U" else 0))
            for node, side in enumerate("CD")
            for key, v in zip("RAU", (175, 200, numbers.UPPER_THRESHOLD), strict=True)
        },
        "WINDOWX0": np.full(n, data.window[0]),
        "WINDOWY0": np.full(n, data.window[1]),
        "WINDOWDX": np.full(n, data.window[2]),
        "WINDOWDY": np.full(n, data.window[3]),
    }
