"""Numbers of a real exposure that the simulated noise takes its composition from.

0802710101 (NGC 3079, November 2017), 20 ks, all cameras in full frame: what the published log of
SAS 22.1 prints for each CCD, and what follows from it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: Frame times of that exposure [s].
MOS_FRAME_S = {"M1": 2.700, "M2": 2.600}
#: MOS, first pass: frames; events flagged as cosmic rays, truncated, outside the window, in noisy rows,
#: next to them, with low E3, flickering, with incoherent E3 and E4; second pass: diagonals split.
_MOS_EVENTS = """
camera ccd frames cosmic truncated outside in_rows next_to low_e3 flicker incoherent diagonals
    M1   1   7947  22771      4486     679    1228      27   2427      10       7342        33
    M1   2   7947  20203      5234     672      79      26    273      24      91560        37
    M1   4   7946  27113     13504      76      49       7   2411      53      27017       342
    M1   5   7947  22262      4635    2761   29056     110  36763      48      18914        55
    M1   7   7946  24049      5296     617      14       9    646      80       7835        44
    M2   1   8241  23341      4865     631     611      41   1077    2136       7075       146
    M2   2   8239  23091      5135     663    1066     102    813     970       9729        87
    M2   3   8224  21564      4703     610    8223     382   7864      44      11897        79
    M2   4   8238  18744      5064    1073   53109    3742  57475    1103       6578       156
    M2   5   8239  20212      4954    3325  114630    4091 106976      82      15301       120
    M2   6   8224  21823      5017     600     372      47    785    1642       5607        63
    M2   7   8238  24082      5020     680    4671     199   5566     750       7909        94
"""
#: First search for bad pixels: bright pixels, columns, rows; frames rejected by FIFO; good events searched;
#: rows selected in the end. What the log leaves open: largest chance of a pixel to fire in a frame (from
#: the fullest row of the CCD), shares of the events of hot pixels amid warm neighbours and with a full
#: converter, events just above the threshold that pass all tests.
_MOS_PIXELS = """
camera ccd pixels columns rows overflows searched selected  most warm  full soft
    M1   1     26       5    3         0    21435    18669 0.117    0     0 4800
    M1   2    606      10    3         0   161466    15235   0.9 0.43     0 2000
    M1   4     26       5    0         0   126380     9136   0.9 0.15 0.062    0
    M1   5     55      22    3         0    39869    15216   0.9    0     0 2000
    M1   7     14       3    3         0    26490    15663   0.9    0     0 4000
    M2   1     10       3    2         0    36021    18305   0.9    0     0 3300
    M2   2     17       4    3         0    23076    15248  0.44    0     0 2900
    M2   3      6       5    3         1    16841    13260  0.21    0     0 1000
    M2   4      6       2    3         0    21254    13093   0.9    0     0 2200
    M2   5     10       6    3         0    19950    15945   0.2    0     0 4600
    M2   6     10       2    3         0    33678    14272   0.9    0     0 2900
    M2   7     13       4    3         2    25891    13894  0.75    0     0 2400
"""
#: pn: raw events (number of the last one printed), frames that hold events (0: not printed), new bad
#: pixels, FIFO resets of the quadrant, columns lost to particles found on ground per second, columns
#: discarded on board, and noise events above 150 eV (what the number of rows selected leaves).
_PN = """
ccd     raw frames pixels resets lost_s discarded  tail
  1  432936      0      0    258      0   1015728 12000
  2  343904 169153      2    258 0.0055    992678 25000
  3  358819 176648      3    258 0.0098    986906 22000
  4  233159      0      0    152      0    997038 22000
  5  221077 110296      1    152 0.0048    997378 22000
  6  261599 141827      2    152 0.0085    997952 22000
  7  870028      0      1     62      0   1014656     0
  8  703954 238536      2     62 0.0051   1002014  7000
  9  597649 225115      1     62 0.0091    988336 13000
 10 1265974      0      3     78      0   1021560 11000
 11  867093 251640     10     78  0.006   1002885 35000
 12  644965 232960      0     78 0.0098    989386 12000
"""
#: Cosmic-ray events and events with odd surroundings that one simulated track makes; share of the events with
#: low E3 whose surroundings are odd, too; diagonals that photons and tracks make in 21 ks.
_EVENTS_PER_TRACK, _INCOHERENT_PER_TRACK, _INCOHERENT_PER_LOW, _DIAGONALS = 1.14, 0.09, 0.06, 80
#: Events of a bright column or row; share of the events amid ringing whose E3 counts as low.
_LINE_EVENTS, _LOW_PER_RINGING = 150, 0.95
#: Events in a noisy row of a frame.
_BURST_EVENTS = 25.0
_PN_GOOD_S, _PN_FRAME_S = 19841.0, 0.07336496
#: Pixels of photons per CCD; mean number of events in company where the frames are not printed.
_PN_PHOTON_PIXELS, _PN_CLUMP = 20_000, 1.25
#: Share of a CCD's pixels that are sent: neither blank nor in a column discarded because of a particle.
_PN_SENT = 0.94 * 188 / 200
#: Columns that a particle costs on average: its own and its neighbours on the chip.
_COLUMNS_PER_PARTICLE = 3 - 2 / 64


def rates_0802710101() -> dict[tuple[str, int], dict[str, float]]:
    """Rates of each CCD of that exposure, by the names of :class:`daxa.simulate.cameras.noise.Noise`."""
    rates = {}
    frames = {
        camera: max(r["frames"] for r in _rows(_MOS_EVENTS) if r["camera"] == camera)
        for camera in MOS_FRAME_S
    }
    for events, pixels in zip(_rows(_MOS_EVENTS), _rows(_MOS_PIXELS), strict=True):
        camera, ccd = str(events["camera"]), int(events["ccd"])
        rates[camera, ccd] = _mos_rates(
            MOS_FRAME_S[camera], {**events, **pixels, "lost": frames[camera] - events["frames"]}
        )
    for row in _rows(_PN):
        rates["PN", int(row["ccd"])] = _pn_rates(row, int(row["ccd"]))
    return rates


def _rows(text: str) -> list[dict[str, Any]]:
    names, *rows = (line.split() for line in text.strip().splitlines())
    return [
        {name: word if name == "camera" else float(word) for name, word in zip(names, row, strict=True)}
        for row in rows
    ]


def _mos_rates(frame_s: float, n: dict[str, Any]) -> dict[str, float]:
    tracks = n["cosmic"] / _EVENTS_PER_TRACK
    # What the search for bad pixels takes away.
    of_bad_pixels = (n["searched"] - n["selected"]) / (1 - n["warm"])
    of_lines = min(_LINE_EVENTS * (n["columns"] + n["rows"]), of_bad_pixels / 2)
    ringing = min(n["low_e3"] / n["in_rows"] / _LOW_PER_RINGING, 1.0)
    of_others = _INCOHERENT_PER_TRACK * tracks + n["warm"] * of_bad_pixels + _INCOHERENT_PER_LOW * n["low_e3"]
    events = {
        "mos_cosmic": tracks,
        "mos_truncated": n["truncated"] - n["full"] * of_bad_pixels,
        "mos_rebound": max(n["low_e3"] - _LOW_PER_RINGING * ringing * n["in_rows"], 0.0),
        "mos_row_bursts": n["in_rows"] / _BURST_EVENTS,
        "mos_outside": n["outside"],
        "mos_soft": n["soft"],
        "mos_incoherent": max(n["incoherent"] - of_others, 0.0),
        "mos_fragments": max(n["diagonals"] - _DIAGONALS, 0.0),
        "mos_flickering": n["flicker"],
        "mos_hot_events": of_bad_pixels - of_lines,
        "mos_line_events": of_lines,
        "mos_showers": n["overflows"],
        "mos_lost_frames": n["lost"],
    }
    time_s = n["frames"] * frame_s
    return {name: number / time_s for name, number in events.items()} | {
        "mos_burst_events": _BURST_EVENTS,
        "mos_ringing": ringing,
        "mos_next_row": n["next_to"] / n["in_rows"],
        "mos_hot_pixels": n["pixels"],
        "mos_hot_most": n["most"],
        "mos_hot_full": n["full"],
        "mos_warm": n["warm"],
        "mos_columns": n["columns"],
        "mos_rows": n["rows"],
    }


#: Share of frames without a coarse time by the place of the CCD in its quadrant: that of another real
#: exposure (0124710801, quadrant 2), as the log does not print it.
_PN_NO_TIME = (448 / 113_409, 205 / 115_206, 48 / 102_854)


def _pn_rates(n: dict[str, float], ccd: int) -> dict[str, float]:
    n_frames = _PN_GOOD_S / _PN_FRAME_S
    # As many groups of events as leave that many frames empty.
    occupied = n["frames"] / n_frames
    clump = n["raw"] / n_frames / -np.log1p(-occupied) if occupied else _PN_CLUMP
    return {
        "pn_soft": (n["raw"] - _PN_PHOTON_PIXELS - n["tail"]) / _PN_SENT / _PN_GOOD_S,
        "pn_clump": clump,
        "pn_tail": n["tail"] / _PN_GOOD_S,
        "pn_residual_mips": n["lost_s"] / _COLUMNS_PER_PARTICLE,
        "pn_particles": n["discarded"] / n_frames / _COLUMNS_PER_PARTICLE,
        "pn_hot_pixels": n["pixels"],
        "pn_fifo_resets": n["resets"] / _PN_GOOD_S,
        "pn_no_time": _PN_NO_TIME[(ccd - 1) % 3],
    }
