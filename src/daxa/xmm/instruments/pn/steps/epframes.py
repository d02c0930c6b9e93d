"""epframes: telemetry of one pn CCD to a raw event list with times, good times and live fractions.

Source: manuals of epframes and epexposure. The algorithms stand in :mod:`daxa.xmm.instruments.pn.frames` and
:mod:`daxa.xmm.instruments.pn.clock`; this module puts them together for the files of an ODF.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.flags import PnFlag
from daxa.xmm.formats.instruments import PN_SHAPE
from daxa.xmm.formats.odf import PN_AUXILIARY_CYCLES, PN_EVENTS, PN_FTFINE_UNIT_S, unsigned
from daxa.xmm.instruments.pn.clock import steady_stamps
from daxa.xmm.instruments.pn.energy import EnergyScale
from daxa.xmm.instruments.pn.exposure import NO_TIME, PnExposure
from daxa.xmm.instruments.pn.frames import (
    N_COLUMNS,
    FrameClock,
    FrameTable,
    buffer_resets,
    counter_record,
    discarded_fraction,
    fill_frames,
    frame_clock,
    good_times,
    missing_records,
    out_of_order,
    reject_mips,
    silent_gaps,
    sorted_unique,
)
from daxa.xmm.instruments.pn.options import Epframes
from daxa.xmm.instruments.pn.patterns import pixel_key
from daxa.xmm.instruments.pn.raw import check_header, read_window
from daxa.xmm.instruments.pn.rawlist import RawList
from daxa.xmm.odf.times import check_frames

_ROWS = PN_SHAPE[1]
_LARGEST_PHA = 4095
#: SRCPOS of imaging modes, which do not use it.
_DEFAULT_ROW = Epframes.srcposition


def frames_of_ccd(exposure: PnExposure, ccd: int, options: Epframes, info: Callable[[str], None]) -> RawList:
    """Time and screen the telemetry of one CCD.

    Parameters
    ----------
    exposure
        The exposure.
    ccd
        CCD number.
    options
        Thresholds and switches.
    info
        Where the lines of the log go.

    Raises
    ------
    TaskError
        The CCD's event file is damaged or contradicts its name, its frames have no times
        (``noAUX1forCCD``, ``NoGoodObtValues``), or it has no events (``noEvents``).
    """
    warn = exposure.warn
    file = exposure.files[ccd]
    table = file.read(1, PN_EVENTS)
    for cards in (table.header, table.primary):
        check_header(cards, table.where)
    quadrant, ccd_id = divmod(ccd - 1, 3)
    said = int(table.keyword("QUADRANT", quadrant)), int(table.keyword("CCDID", ccd_id))
    if said != (quadrant, ccd_id):
        raise TaskError(
            "illegalODF", f"{table.where}: QUADRANT {said[0]}, CCDID {said[1]}, but its name says CCD {ccd}"
        )
    n_raw = len(table)
    if not n_raw:
        raise TaskError("noEvents", f"{table.where}: no events")

    # --- frames and their times ---
    listed = exposure.listed_frames(quadrant, ccd_id)
    if not len(listed["FRAME"]):
        raise TaskError(
            "noAUX1forCCD", f"{exposure.auxiliary[0].where}: no frames of quadrant {quadrant}, CCD {ccd_id}"
        )
    timing = exposure.timing
    timed = listed["coarse"] != NO_TIME
    skipped = {name: values[~timed] for name, values in listed.items()}
    listed = {name: values[timed] for name, values in listed.items()}
    if not timed.all():
        warn(
            "InvalidObtValue",
            f"CCD {ccd}: {np.count_nonzero(~timed)} frames without a coarse time are skipped",
        )
    if not timed.any():
        raise TaskError("NoGoodObtValues", f"{exposure.auxiliary[0].where}: no frame of CCD {ccd} has a time")
    clock = frame_clock(
        listed["FRAME"], listed["stamp_s"], timing.frame_s, timing.tolerance_s, exposure.wrap_s
    )
    if clock.jumps:
        warn("wrongFTCoarse", f"CCD {ccd}: {clock.jumps} time jumps were taken out")
    span = float(clock.cycle.max() - clock.cycle.min()) * clock.step_s
    longest = 2 * max(exposure.stop_s - exposure.start_s, 0.0) + 1000.0
    if span > longest:
        raise TaskError(
            "InconsistentTimeInfo",
            f"{exposure.auxiliary[0].where}: the frames of CCD {ccd} span {span:.0f} s, the exposure lasts "
            f"{exposure.stop_s - exposure.start_s:.0f} s",
        )
    reset = exposure.reset_time_s(float(clock.stamp_s[0]))
    lines = exposure.line_clock(ccd)
    stamps = clock.stamp_s
    if lines is not None:
        stamps = steady_stamps(stamps, clock.cycle, clock.valid, clock.step_s, PN_FTFINE_UNIT_S)
    correlation = exposure.time_correlation
    stamp_listed = correlation.obt_to_tt(stamps + reset)
    exposed = exposure.start_s, exposure.stop_s
    check_frames(stamp_listed, exposed, exposure.auxiliary[0].where, correlation.source)

    frames = _all_frames(exposure, quadrant, listed, clock)
    fraction = _discarded_on_board(exposure, quadrant, listed, clock, frames, options) * frames.awake
    fraction *= timing.live
    fraction[_empty_rows(frames, listed, clock, skipped)] = 0.0
    stamp = np.interp(frames.cycle, clock.cycle, stamp_listed)
    stamp += clock.step_s * (frames.cycle - np.clip(frames.cycle, clock.cycle[0], clock.cycle[-1]))
    time = stamp + timing.correction_s[ccd - 1]
    if lines is not None:
        # Of the arrival at the source's row: the middle of what one frame holds.
        time += timing.integration_s / 2 - lines.transfer_s(options.source_row)
    good = np.ones(len(time), bool)
    good[frames.listed[~clock.valid]] = False

    # --- events ---
    number = table["FRAME"].astype(np.int64)
    backwards = int(np.count_nonzero(number[1:] < number[:-1]))
    at = np.minimum(_first_at_or_after(listed["FRAME"], number, not backwards), len(listed["FRAME"]) - 1)
    known = listed["FRAME"][at] == number
    n_foreign = np.count_nonzero(~np.isin(number[~known], skipped["FRAME"]))
    if n_foreign:
        warn("misFrame", f"{table.where}: {n_foreign} events of frames that are not in the AUX file")
    row = frames.listed[at].astype(np.int32)
    if backwards:
        warn("wrongTimeOrder", f"{table.where}: {backwards} frames in wrong time order")
    rawx, rawy = table["RAWX"].astype(np.int32) + 1, table["RAWY"].astype(np.int32) + 1
    pha = table["ENERGY"].astype(np.int32)
    on_chip = (rawx >= 1) & (rawx <= N_COLUMNS) & (rawy >= 1) & (rawy <= _ROWS)
    usable = known & on_chip & (pha >= options.lowerthreshold) & (pha >= 0) & (pha <= _LARGEST_PHA)
    wrong = np.bincount(row[known & ~on_chip], minlength=len(time))
    if not on_chip.all():
        warn("wrongCoord", f"{table.where}: {np.count_nonzero(~on_chip)} events outside the CCD")
    n_amplitude = int(np.count_nonzero((pha <= 0) | (pha > _LARGEST_PHA)))
    if n_amplitude:
        warn("PHAoffset", f"{table.where}: {n_amplitude} events with an impossible amplitude")
    n_low = int(np.count_nonzero((pha > 0) & (pha < options.lowerthreshold)))
    if n_low:
        warn("PHAoffset", f"{table.where}: {n_low} events below lowerthreshold={options.lowerthreshold}")
    info(f" CCD {ccd}: ODF PHA range: [{pha.min():6d}, {pha.max():6d}] adu")
    bad_frames = wrong > options.wrongpixlimit
    good &= ~bad_frames
    spoiled = out_of_order(row[usable], rawy[usable])
    if len(spoiled):
        warn("wrongReadoutOrder", f"{table.where}: {len(spoiled)} frames in wrong read-out order")
    mips = reject_mips(
        row[usable], rawx[usable], pha[usable], len(time), options.mipthreshold, options.mipmethod
    )
    fraction = fraction * (1.0 - mips.lost_columns / N_COLUMNS)
    usable[usable] = ~mips.associated & good[row[usable]]

    row, rawx, rawy, pha = row[usable], rawx[usable], rawy[usable], pha[usable]
    key = pixel_key(row, rawx, rawy)
    if not np.all(key[1:] > key[:-1]):
        order = np.argsort(key, kind="stable")
        key = key[order]
        if np.any(key[1:] == key[:-1]):
            twice = np.concatenate([[False], key[1:] == key[:-1]])
            warn("wrongCoord", f"{table.where}: {np.count_nonzero(twice)} pixels occur twice in a frame")
            order = order[~twice]
        row, rawx, rawy, pha = row[order], rawx[order], rawy[order], pha[order]
    window = read_window(table.header)
    flag = np.zeros(len(row), np.int32)
    inside = (
        (rawx >= window[0])
        & (rawx < window[0] + window[2])
        & (rawy >= window[1])
        & (rawy < window[1] + window[3])
    )
    flag[~inside] |= int(PnFlag.OUT_OF_CCD_WINDOW)
    if len(spoiled):
        is_spoiled = np.zeros(len(time), bool)
        is_spoiled[spoiled] = True
        flag[is_spoiled[row]] |= int(PnFlag.IN_SPOILED_FRAME)

    gti = good_times(time, good, frames.gap, clock.step_s)
    scale = EnergyScale.from_calibration(exposure.cal, ccd, exposure.mode_id, exposure.start_s)
    whole = np.rint(scale.offset).astype(np.int32)
    pha = pha - whole[rawx - 1]
    offsets = {int(c) + 1: int(whole[c]) for c in np.flatnonzero(whole)}
    n_mips = int(np.count_nonzero(mips.associated))
    for line in (
        f" CCD {ccd}: number of frames: {len(time)}, of which {len(listed['FRAME'])} hold events",
        f"   FIFOreset = {frames.resets:8d}",
        f"   events: {n_raw} read, {n_mips} lost to {int(mips.column_counts.sum())} columns with minimum "
        f"ionising particles, {len(row)} left",
        f"   sum of good time intervals [s]  = {gti.total:.5f}",
    ):
        info(line)
    header = exposure.ccd_keywords(ccd) | {
        "TRESET": (
            float(exposure.time_correlation.obt_to_tt(reset) - reset),
            "[s] Reset time offset added to PN times",
        ),
        "F1030": (round(reset), "[s] Coarse time reset"),
        "F1052": (round(exposure.wrap_s), "[s] Time wrap reset"),
        "MIP_THRS": (options.mipthreshold, "maximum PHA for non-MIPs"),
        "MIP_METH": (options.mipmethod.upper(), "method to handle MIPs"),
        "MIPCOLN": (n_mips, "Number of MIP events"),
        "QUAL_MAX": (0, "maximum allowed quality"),
        "EMPTYFRM": ("enabled", "Handling of empty frames"),
        "SRCPOS": (options.source_row or _DEFAULT_ROW, "[pixel] Assumed RAWY source position for fast modes"),
        "WRGAMPLI": (n_amplitude, "Number of events with negative PHA"),
        "WRGCOORD": (int(np.count_nonzero(~on_chip)), "Number of events with wrong coordinates"),
        "WRGORDER": (len(spoiled), "Number of frames in wrong readout order"),
        "WRGTIME": (backwards, "Number of frames in wrong time order"),
        "WRGCOARS": (len(skipped["FRAME"]), "Number of frames with FFFF coarse time"),
        "FRAMEBAD": (int(np.count_nonzero(bad_frames)), "Number of bad frames"),
        "FRAMETOT": (len(timed), "Total number of input frames"),
    }
    return RawList(
        ccd,
        time,
        stamp,
        fraction,
        good,
        gti,
        row,
        rawx,
        rawy,
        pha,
        flag,
        offsets,
        _discarded_lines(exposure, ccd),
        mips.column_counts,
        _counters(exposure, quadrant, listed, clock, frames, time),
        header,
        n_raw,
        n_mips,
    )


def _first_at_or_after(
    listed: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64], ordered: bool
) -> npt.NDArray[np.int64]:
    """As ``searchsorted(listed, wanted)``; where both are ordered, the shorter is looked up in the longer."""
    if not ordered or len(listed) > len(wanted):
        return np.searchsorted(listed, wanted)
    begin = np.searchsorted(wanted, listed, side="right")
    return np.repeat(np.arange(len(listed) + 1), np.diff(begin, prepend=0, append=len(wanted)))


def _all_frames(
    exposure: PnExposure, quadrant: int, listed: Mapping[str, npt.NDArray[Any]], clock: FrameClock
) -> FrameTable:
    """All frames of a CCD: listed, empty, and not those lost in the telemetry.

    Where CYCLE counts frames, the three CCDs of the quadrant and its counter records tell together which
    frames were sent; else the CCD's own frames must do.
    """
    counts = np.array_equal(np.diff(listed["CYCLE"]), np.diff(clock.cycle))
    if not counts:
        return fill_frames(clock.cycle, silent_gaps(clock.cycle))
    zero = int(listed["CYCLE"][0] - clock.cycle[0])
    sent = exposure.sent_cycles(quadrant) - zero
    record = exposure.records(quadrant)[0] - zero
    missing, before, after = None, 0, 0
    if len(record) > 1:
        period = int(np.median(np.diff(record)))
        missing = missing_records(sent, record, period)
        # Other CCDs show that the last, unfinished record was read out.
        end = max(record[-1] + period - 1, min(exposure.last_cycle - zero, record[-1] + 2 * period - 1))
        before = max(int(clock.cycle[0] - record[0]), 0)
        after = max(int(end - clock.cycle[-1]), 0)
        longest = (exposure.stop_s - exposure.start_s) / clock.step_s + 2 * period
        if before + int(clock.cycle[-1] - clock.cycle[0]) + after > longest:
            exposure.warn("corruptedAUX1", f"quadrant {quadrant}: counters from outside the exposure")
            before = after = 0
    length = exposure.reset_frames
    asleep = buffer_resets(sent, length)
    lost = np.flatnonzero(silent_gaps(sent, missing) & (asleep == 0))
    inside = (sent[lost] >= clock.cycle[0]) & (sent[lost + 1] <= clock.cycle[-1])
    edges = np.stack([sent[lost[inside]], sent[lost[inside] + 1]])
    known = sorted_unique(np.concatenate([clock.cycle, edges.ravel()]))
    table = fill_frames(known, np.isin(known[:-1], edges[0]), before, after)
    # Frame periods between those sent, with the share that a reset left.
    between = np.clip(np.searchsorted(sent, table.cycle) - 1, 0, max(len(asleep) - 1, 0))
    awake = np.ones(len(table.cycle))
    resets = 0
    if length:
        next_sent = sent[np.minimum(between + 1, len(sent) - 1)]
        inside = (table.cycle > sent[between]) & (table.cycle < next_sent)
        awake[inside] -= asleep[between[inside]]
        resets = round(float((1.0 - awake).sum()) / length)
        # The buffer was full before the last frame that was sent had been read (assumed of its share).
        before_reset, taken = sent[:-1][asleep > 0], np.minimum(asleep[asleep > 0], 1.0)
        row = np.minimum(np.searchsorted(table.cycle, before_reset), len(table.cycle) - 1)
        here = table.cycle[row] == before_reset
        awake[row[here]] -= (1.0 - exposure.timing.fifo_residual) * taken[here]
    return FrameTable(
        table.cycle,
        table.listed[np.searchsorted(known, clock.cycle)],
        table.gap,
        awake,
        resets,
    )


def _empty_rows(
    table: FrameTable,
    listed: Mapping[str, npt.NDArray[Any]],
    clock: FrameClock,
    skipped: Mapping[str, npt.NDArray[Any]],
) -> npt.NDArray[np.int64]:
    """Rows of the frames that were skipped, as far as there is room for them between those with a time.

    Good times go on over skipped frames in real tables; without their events they must not count as live.
    """
    number = skipped["FRAME"]
    after = np.searchsorted(listed["FRAME"], number)
    inside = (after > 0) & (after < len(listed["FRAME"]))
    after, number = after[inside], number[inside]
    cycle = clock.cycle[after - 1] + number - listed["FRAME"][after - 1]
    cycle = cycle[cycle < clock.cycle[after]]
    row = np.minimum(np.searchsorted(table.cycle, cycle), len(table.cycle) - 1)
    return row[(table.cycle[row] == cycle) & ~np.isin(row, table.listed)]


def _discarded_on_board(
    exposure: PnExposure,
    quadrant: int,
    listed: Mapping[str, npt.NDArray[Any]],
    clock: FrameClock,
    table: FrameTable,
    options: Epframes,
) -> npt.NDArray[np.float64]:
    """Per frame, the share of columns left by the rejection of particles on board (FC1)."""
    record, discarded = exposure.records(quadrant)
    if not len(record):
        exposure.warn("noAUX2forCCD", f"no counters of lines discarded in quadrant {quadrant}")
        return np.ones(len(table.cycle))
    inside = np.clip(table.cycle, clock.cycle[0], clock.cycle[-1])
    cycle = np.floor(np.interp(inside, clock.cycle, listed["CYCLE"]) + 1e-6).astype(np.int64)
    index, covered = counter_record(cycle + table.cycle - inside, record)
    if covered.mean() < 0.5:
        exposure.warn("noAUX2forCCD", f"the counters do not cover the frames of quadrant {quadrant}")
    n_frames = int(exposure.hk(f"A{quadrant}_MAXFRC", options.anmaxfrc))
    fraction = discarded_fraction(discarded, exposure.active_ccds(quadrant), n_frames)
    return np.where(covered, fraction[index], np.mean(fraction))


def _discarded_lines(exposure: PnExposure, ccd: int) -> npt.NDArray[np.int64] | None:
    """Lines discarded per column on board; None in modes without such a file."""
    files = exposure.odf.find("PN", "DLI", exposure.exp_id, ccd)
    if not files:
        return None
    try:
        counts = files[0].image().astype(np.int64).ravel()
        if counts.shape != (N_COLUMNS,):
            raise ValueError(f"{counts.size} values, expected {N_COLUMNS}")
        if counts.min() < 0 or counts.max() > np.iinfo(np.int32).max:
            raise ValueError(f"impossible counts, {counts.min()} to {counts.max()}")
    except (ValueError, TypeError, TaskError) as error:
        exposure.warn("illegalODF", f"{files[0].path.name}: discarded lines cannot be read: {error}")
        return None
    return counts


def _counters(
    exposure: PnExposure,
    quadrant: int,
    listed: Mapping[str, npt.NDArray[Any]],
    clock: FrameClock,
    table: FrameTable,
    time_s: npt.NDArray[np.float64],
) -> dict[str, npt.NDArray[Any]]:
    """Counter records of a quadrant, at the times of the frames that they begin with (HKAUX)."""
    names = [c.name for c in PN_AUXILIARY_CYCLES if c.name != "QUADRANT"]
    counters = exposure.auxiliary[1]
    if counters is None:
        return {"TIME": np.empty(0), **{n: np.empty(0, np.int64) for n in names}}
    rows = np.flatnonzero(counters["QUADRANT"] == quadrant)
    rows = rows[np.argsort(counters["CYCLE"][rows], kind="stable")]
    cycle = counters["CYCLE"][rows].astype(np.int64)
    # CYCLE of the telemetry -> frame periods of the clock -> time, with one period per cycle at the ends.
    first, last = listed["CYCLE"][0], listed["CYCLE"][-1]
    inside = np.clip(cycle, first, last)
    period = np.interp(inside, listed["CYCLE"], clock.cycle) + cycle - inside
    within = np.clip(period, table.cycle[0], table.cycle[-1])
    time = np.interp(within, table.cycle, time_s) + clock.step_s * (period - within)
    values = {n: unsigned(counters[n][rows]) if n != "CYCLE" else cycle for n in names}
    return {"TIME": time, **values}
