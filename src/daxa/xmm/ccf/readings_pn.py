"""How the tables of the pn's energies, times and dark levels are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.ccf.documented import FIFO_RESIDUAL, LARGEST_DARK_SHIFT_ADU, tolerance_rows
from daxa.xmm.ccf.pn_energy import LARGEST_RELATIVE_GAIN
from daxa.xmm.ccf.roles import (
    KEYS,
    MODE,
    Columns,
    Content,
    Fallback,
    Reading,
    between,
    ccd_column,
    first,
    is_single,
    is_vector,
    is_whole,
    kind_of,
    largest,
    only,
)
from daxa.xmm.errors import UnknownLayout
from daxa.xmm.formats.instruments import PN_MODE_IDS

_MODES = frozenset(PN_MODE_IDS.values())
_CCD = ccd_column(12)
#: Frame times of all modes lie between these [s].
_FRAME_S = (0.003, 0.5)
#: No CCD is read later than a frame and a half after its stamp [s].
_LONGEST_CONSTANT_S = 1.5 * 0.2
#: No reset of the event buffer takes more than ten of the longest frames [s].
_LONGEST_DEAD_S = 2.0
#: Possible values of shares: live ones of real headers are 0.991 to 0.9997, times or the live share with the
#: read-out left out are others.
_SHARES = {"LIVE": (0.98, 1.0), "FIFO_RESIDUAL": (0.0, 1.0)}
#: Constants beyond are milliseconds.
_MOST_SECONDS = 0.5
#: Energies beyond are eV; times beyond are years of the calendar.
_MOST_KEV, _FIRST_YEAR = 50.0, 1990.0

# --- times -----------------------------------------------------------------------------------------


def _modes(free: Columns, n: int, told: Columns) -> list[str] | None:
    """Whole numbers from 0 to 5; of two such columns the one of more modes (the other holds CCDs)."""
    held = {name: set(np.ravel(v)) for name, v in free.items() if is_whole(v)}
    held = {name: values for name, values in held.items() if values <= _MODES and len(values) > 1}
    name = max(held, key=lambda k: len(held[k]), default=None)
    return None if name is None else [name]


_MODE = Content(("MODE_ID",), "whole numbers 0 to 5", _modes)


def _frame_times(v: npt.NDArray[Any]) -> bool:
    some = v[np.isfinite(v) & (v != 0)]
    low, high = _FRAME_S
    return bool(len(some)) and any(np.all((some > low * u) & (some < high * u)) for u in (1, 1000))


def _multiples(free: Columns, n: int, told: Columns) -> list[str] | None:
    """Zero, or numbers that are a few whole frames."""
    frame = np.ravel(told.get("FRAME_TIME", np.zeros(0)))
    for name, v in free.items():
        if kind_of(v) == "number" and v.shape == frame.shape and np.any(v):
            with np.errstate(divide="ignore", invalid="ignore"):
                frames = v / frame
            if np.all(np.abs(frames - np.rint(frames)) < 1e-3) and np.all(
                (frames == 0) | ((frames > 1.5) & (frames < 100))
            ):
                return [name]
    return None


_DEAD_TIME = (
    f"FIFO_DEAD_TIME is milliseconds if one is beyond {_LONGEST_DEAD_S:g}; what is not 0 to "
    f"{_LONGEST_DEAD_S:g} s counts as unknown"
)
_FRAME_NAMES = ("*FRAME_T*", "*FRAMET*", "*FRMTIME*", "*FRAME*")
_FIFO = {"FIFO_DEAD_TIME": ("*DEAD*", "FIFO", "FIFO*T*")}


def _dead_in_s(columns: dict[str, npt.NDArray[Any]]) -> None:
    """A few frames are below 2 s or above 8 ms: the size tells the unit, whatever that of frame times."""
    dead = np.asarray(columns["FIFO_DEAD_TIME"], float)
    dead = dead / 1000 if np.nanmax(dead, initial=0.0) > _LONGEST_DEAD_S else dead
    # What is not a time either way is unknown.
    columns["FIFO_DEAD_TIME"] = np.where((dead >= 0) & (dead <= _LONGEST_DEAD_S), dead, np.nan)


def _frames_in_s(where: str, columns: dict[str, npt.NDArray[Any]]) -> None:
    """Frame times beyond half a second are milliseconds."""
    frame = np.asarray(columns["FRAME_TIME"], float)
    largest_s = np.nanmax(frame, initial=0.0)
    columns["FRAME_TIME"] = frame / 1000 if largest_s > _FRAME_S[1] else frame
    _dead_in_s(columns)
    for name, (low, high) in _SHARES.items():
        share = np.asarray(columns[name], float)
        columns[name] = np.where((share > low) & (share <= high), share, np.nan)
    if not _FRAME_S[0] < np.nanmax(columns["FRAME_TIME"], initial=0.0) < _FRAME_S[1]:
        raise UnknownLayout(f"{where}, column FRAME_TIME: up to {largest_s:g}, no frame time in s or ms")


def _constants_in_s(where: str, columns: dict[str, npt.NDArray[Any]]) -> None:
    """Constants beyond half a second are milliseconds."""
    constant = np.asarray(columns["TIME_CORR"], float)
    columns["TIME_CORR"] = constant / 1000 if np.abs(constant).max(initial=0.0) > _MOST_SECONDS else constant
    _dead_in_s(columns)


def _repeated_frames(free: Columns, n: int, told: Columns) -> list[str] | None:
    """Frame times beside the constants: the same number for all CCDs of a mode."""
    mode = np.ravel(told.get("MODE_ID", np.zeros(0)))
    for name, v in free.items():
        fits_in = kind_of(v) == "number" and v.shape == mode.shape and _frame_times(v)
        if fits_in and all(len(set(v[mode == m])) == 1 for m in set(mode)):
            return [name]
    return None


def _positions(free: Columns, n: int, told: Columns) -> list[str] | None:
    """The column of CCDs: 3 or 12 different numbers."""
    return _of_so_many(free, 3, 12)[:n] or None


def _quadrants(free: Columns, n: int, told: Columns) -> list[str] | None:
    """The column of quadrants: 4 different numbers."""
    return _of_so_many(free, 4)[:n] or None


def _of_so_many(free: Columns, *numbers: int) -> list[str]:
    integers = {name: v for name, v in free.items() if kind_of(v) == "integer" and is_single(v)}
    return [name for name, v in integers.items() if len(set(np.ravel(v))) in numbers]


_FRAMETIME = Reading(
    names={"MODE_ID": KEYS["MODE_ID"], "FRAME_TIME": _FRAME_NAMES, **_FIFO}
    | {"LIVE": ("*LIVE*", "*FC0*"), "FIFO_RESIDUAL": ("*RESID*",)},
    content=(
        _MODE,
        Content(("FRAME_TIME",), "numbers of 3 to 500 ms, or in s", first("number", _frame_times)),
        Content(("FIFO_DEAD_TIME",), "a few whole frames each", _multiples),
    ),
    absent=dict.fromkeys(("FIFO_DEAD_TIME", "LIVE", "FIFO_RESIDUAL"), Fallback(np.nan)),
    gaps=True,
    lacking={
        "LIVE": Fallback(
            None,
            "noConstantLoss",
            "each frame loses 69 us in imaging and 53 us in timing mode, as headers of real runs have it, "
            "none in burst mode: live times off by up to 1 % in small window (assumed), less in others",
        ),
        "FIFO_RESIDUAL": Fallback(
            FIFO_RESIDUAL,
            "noFifoResidual",
            f"{FIFO_RESIDUAL:g}, which logs of real runs print, of its exposure is left to the frame before "
            "a reset",
        ),
        "FIFO_DEAD_TIME": Fallback(
            None,
            "noFifoDeadTime",
            "the dead time that logs of real runs print (367, 398, 95 ms; other modes 0)",
        ),
    },
    convert=_frames_in_s,
    held_to=(
        f"FRAME_TIME is milliseconds if one is beyond {_FRAME_S[1]:g}, and the longest is between "
        f"{1e3 * _FRAME_S[0]:g} and {1e3 * _FRAME_S[1]:g} ms",
        _DEAD_TIME,
        *(f"{name} beyond {low:g} to {high:g} counts as unknown" for name, (low, high) in _SHARES.items()),
    ),
)
_ZERO_CONSTANT = "time constant 0: times off by up to 1.5 frames (0.3 s)"
_CONSTANTS = Reading(
    names={
        "MODE_ID": KEYS["MODE_ID"],
        "QUADRANT": ("*QUAD*",),
        "CCD_ID": KEYS["CCD_ID"],
        "FRAME_TIME": _FRAME_NAMES,
        "TIME_CORR": ("*CORR*", "*CAL*", "*DELAY*", "*CONST*"),
        **_FIFO,
    },
    content=(
        _MODE,
        Content(("QUADRANT",), "integers with 4 values", _quadrants),
        Content(("CCD_ID",), "integers with 3 or 12 values", _positions),
        Content(("FRAME_TIME",), "frame times, alike for all CCDs of a mode", _repeated_frames),
        Content(("TIME_CORR",), "the first number that is left", first("number")),
    ),
    absent={
        "QUADRANT": Fallback(-1, cost="CCD_ID counts through, or all quadrants are alike"),
        "CCD_ID": Fallback(-1, cost="elements of a vector, or one constant for all CCDs"),
        "FRAME_TIME": Fallback(np.nan),
        "FIFO_DEAD_TIME": Fallback(np.nan),
    },
    lacking={"MODE_ID": Fallback(None, "noTimeConstant", _ZERO_CONSTANT)},
    substitute=Fallback(
        {
            "MODE_ID": np.arange(6),
            "QUADRANT": np.full(6, -1),
            "CCD_ID": np.full(6, -1),
            "FRAME_TIME": np.full(6, np.nan),
            "FIFO_DEAD_TIME": np.full(6, np.nan),
            "TIME_CORR": np.zeros((6, 1)),
        },
        "noTimeConstant",
        _ZERO_CONSTANT,
    ),
    convert=_constants_in_s,
    possible={"TIME_CORR": (-_LONGEST_CONSTANT_S, _LONGEST_CONSTANT_S)},
    held_to=(f"TIME_CORR is milliseconds if one is beyond {_MOST_SECONDS:g}", _DEAD_TIME),
)


def _tolerances(free: Columns) -> list[str]:
    return [
        name
        for name, v in free.items()
        if kind_of(v) in ("integer", "number") and v.size and v.min() >= 5 and v.max() <= 200
    ]


def _fast_tolerance(free: Columns, n: int, told: Columns) -> list[str] | None:
    """Of two columns the one named after a fast mode."""
    names = _tolerances(free)
    fast = [name for name in names if any(word in name.upper() for word in ("TI", "BU", "FAST"))]
    return fast[:n] if len(names) > 1 and len(fast) == 1 else None


def _tolerance(free: Columns, n: int, told: Columns) -> list[str] | None:
    return _tolerances(free)[:n] or None


_REAL_TOLERANCES = "tolerances of headers and logs of real runs by revolution, 20 to 51 units (0.4 to 1 ms)"
_JUMPS = Reading(
    names={"MODE_ID": KEYS["MODE_ID"], "REVOLUTION": ("*REV*", "*ORBIT*"), "TOLERANCE": ("*TOL*",)},
    content=(
        Content(("REVOLUTION",), "whole numbers beyond 200", first("whole", lambda v: v.max() > 200)),
        _MODE,
        Content(("TOLERANCE_FAST",), "numbers 5 to 200 named after a fast mode", _fast_tolerance),
        Content(("TOLERANCE",), "numbers 5 to 200", _tolerance),
    ),
    absent={
        "MODE_ID": Fallback(-1, cost="all modes alike"),
        "TOLERANCE_FAST": Fallback(np.nan, cost="that of imaging modes, or of the row's mode"),
    },
    lacking={"MODE_ID": Fallback(None, "noJumpTolerance", _REAL_TOLERANCES)},
    substitute=Fallback(tolerance_rows(), "noJumpTolerance", _REAL_TOLERANCES),
)

# --- energies --------------------------------------------------------------------------------------


def _is_64(v: npt.NDArray[Any]) -> bool:
    return v.size == 64 * len(v)


def _offsets(where: str, columns: dict[str, npt.NDArray[Any]]) -> None:
    """One of both forms is there as a whole."""
    if not any(np.all(np.isfinite(columns[name])) for name in ("OFFSET", "OFFSET_CONST")):
        known = [name for name, v in columns.items() if kind_of(v) != "number" or np.all(np.isfinite(v))]
        raise UnknownLayout(
            f"{where}: no column OFFSET, and no OFFSET_CONST with OFFSET_SLOPE; it has {', '.join(known)}"
        )


_GAIN_UNIT = f"GAIN is eV per adu if half of a CCD's are above {LARGEST_RELATIVE_GAIN:g}, else relative"
_LINE_IN_TIME = Fallback(np.nan, cost="OFFSET, or OFFSET_CONST and OFFSET_SLOPE, is enough")
_OFFSET_GAIN = Reading(
    names={"CCD_ID": KEYS["CCD_ID"]},
    content=(
        _CCD,
        Content(("GAIN", "OFFSET"), "two vectors of 64 numbers, in this order", only("number", _is_64)),
    ),
    absent=dict.fromkeys(("OFFSET", "OFFSET_CONST", "OFFSET_SLOPE"), _LINE_IN_TIME),
    keywords={
        "ALGOID": Fallback(None, cost="OFFSET if it is there, else the line in time"),
        "REFTIME": Fallback(None, cost="without effect without OFFSET_SLOPE"),
    },
    lacking={
        "OFFSET_CONST": Fallback(
            None, "noOffsetLine", "offsets of columns are OFFSET, whatever the time, though ALGOID is 1"
        ),
        "OFFSET_SLOPE": Fallback(
            None, "noOffsetSlope", "offsets of columns are those of REFTIME (OFFSET_CONST), whatever the time"
        ),
    },
    algorithms=(0, 1),
    gaps=True,
    convert=_offsets,
    held_to=("all numbers of OFFSET or of OFFSET_CONST are finite", _GAIN_UNIT),
)
_GAIN_HIGH = Reading(
    names={"CCD_ID": KEYS["CCD_ID"]},
    content=(_CCD, Content(("GAIN",), "a vector of 64 numbers", only("number", _is_64))),
    keywords={"ADU_EV": Fallback(5.0, cost="5 eV, the nominal value")},
    held_to=(_GAIN_UNIT, "ADU_EV is above 0"),
    lacking={
        "*": Fallback(
            "OFFSET_GAIN",
            "noHighGain",
            "the GAIN of OFFSET_GAIN: energies of columns off by up to 1 % (assumed)",
        )
    },
)


def _column_nodes(where: str, columns: dict[str, npt.NDArray[Any]]) -> None:
    """Nodes are columns from 0, or RAWX from 1."""
    node = columns["NODE_ID"]
    if len(node) and node.min() >= 1 and node.max() == 64:
        columns["NODE_ID"] = node - 1


_LOSSES = Reading(
    names=KEYS,
    content=(
        MODE,
        _CCD,
        Content(("NODE_ID",), "integers up to 63 or 64", only("integer", lambda v: 60 < v.max() <= 64)),
        Content(("CTI_Y",), "the largest numbers below 0.01", largest(lambda v: 0 < np.abs(v).max() < 0.01)),
    ),
    absent={"CTI_X": Fallback(0.0)},
    keywords={
        "E_REF": Fallback(1000.0, cost="without effect if SLOPE is 0"),
        "SLOPE": Fallback(0.0, cost="0, the documented law"),
    },
    lacking={
        "MODE_ID": Fallback(
            None, "noLossesOfMode", "those of another mode, which are alike in all (assumed)"
        ),
        "NODE_ID": Fallback(
            None,
            "noLossesOfColumn",
            "these lose what is usual (the median) in the others of the CCD (assumed)",
        ),
        "CTI-HIGH": Fallback(
            None,
            "noFineLosses",
            "losses are those of CTI_EXTENDED at all accuracies, as no public text gives the other columns: "
            "energies off by an unknown amount",
        ),
        "EFF_GAIN": Fallback(
            None,
            "noModeGain",
            "no public text gives the function (EFF_GAIN, TIMING_GAIN, BURST_GAIN), the gain is that of the "
            "other modes: energies off by an unknown amount",
        ),
    },
    convert=_column_nodes,
    possible={"NODE_ID": (0, 63)},
    held_to=(
        "NODE_ID is RAWX if it goes from 1 or more to 64, else RAWX - 1",
        "the only row of a CCD holds for all its columns",
    ),
)
_AGEING_COST = "energies are not corrected for age: up to 4 % at the far end of a CCD (240 eV at 6 keV)"


_IN_KEV = f"ENERGY is above 0, and eV if one is beyond {_MOST_KEV:g}"


def _kev(where: str, columns: dict[str, npt.NDArray[Any]]) -> None:
    """Energies beyond 50 are eV."""
    energy = np.asarray(columns["ENERGY"], float)
    if np.any(energy <= 0):
        raise UnknownLayout(f"{where}, column ENERGY: not all numbers are above 0")
    columns["ENERGY"] = energy / 1000 if energy.max(initial=0) > _MOST_KEV else energy


_AGEING = Reading(
    names={"MODE_ID": KEYS["MODE_ID"], "CCD_ID": KEYS["CCD_ID"]},
    content=(
        Content(("T_COEFF",), "a vector of numbers", only("number", is_vector)),
        Content(("ENERGY",), "the other number", only("number", is_single)),
        MODE,
        Content(("CCD_ID",), "the first integers 1 to 12", first("integer", between(1, 12))),
    ),
    substitute=Fallback(
        {"MODE_ID": np.zeros(0, int), "CCD_ID": np.zeros(0, int)}
        | {"ENERGY": np.zeros(0), "T_COEFF": np.zeros((0, 1))},
        "noAgeing",
        _AGEING_COST,
    ),
    convert=_kev,
    held_to=(_IN_KEV,),
    remark="modes and CCDs without rows are normal",
)


def _years(where: str, columns: dict[str, npt.NDArray[Any]]) -> None:
    """Years since 2000; years of the calendar are brought to these."""
    time = np.asarray(columns["TIME"], float)
    if not time.size or not np.all(np.isfinite(time)):
        raise UnknownLayout(
            f"{where}, column TIME: expected years, found {time.size} numbers, not all finite"
        )
    columns["TIME"] = time - 2000 if time.min() > _FIRST_YEAR else time


_EPOCHS = Reading(
    content=(Content(("TIME",), "the only number", only("number")),),
    substitute=Fallback({"TIME": np.zeros((0, 1))}, "noAgeing", _AGEING_COST),
    convert=_years,
    possible={"TIME": (-100.0, 100.0)},
    held_to=(f"TIME is years of the calendar if all are beyond {_FIRST_YEAR:g}, else years since 2000",),
)
_SHIFTS = Reading(
    names={"MODE_ID": KEYS["MODE_ID"], "CCD_ID": KEYS["CCD_ID"]},
    content=(
        MODE,
        Content(("CCD_ID", "PATTERN"), "integers 1 to 12, in this order", only("integer", between(1, 12))),
        Content(("PATTERN",), "integers up to 12", only("integer", between(0, 12))),
        Content(("ENERGY", "SHIFT"), "two numbers in this order", only("number")),
    ),
    substitute=Fallback(
        {"MODE_ID": np.zeros(0, int), "CCD_ID": np.zeros(0, int), "PATTERN": np.zeros(0, int)}
        | {"ENERGY": np.zeros(0), "SHIFT": np.zeros(0)},
        "noPatternShifts",
        "energies of patterns are not shifted: off by up to some 20 eV (assumed)",
    ),
    convert=_kev,
    held_to=(_IN_KEV,),
)
_RATE = Reading(
    names={"MODE_ID": KEYS["MODE_ID"]},
    content=(_MODE, Content(("A0", "A1", "A2"), "three numbers in this order", first("number"))),
    substitute=Fallback(
        {"MODE_ID": np.zeros(0, int), "A0": np.zeros(0), "A1": np.zeros(0), "A2": np.zeros(0)},
        "noRateLaw",
        "energies of fast modes are not corrected for the rate (`notCalibrated`)",
    ),
)
_TEMPERATURE = Reading(
    names={"MODE_ID": KEYS["MODE_ID"]},
    content=(
        _MODE,
        Content(("SLOPE",), "numbers below 0.02", only("number", between(-0.02, 0.02))),
        Content(("REFERENCE",), "numbers 100 to 4096", only("number", between(100, 4096))),
        Content(("FACTOR",), "numbers 0.9 to 1.1", only("number", between(0.9, 1.1))),
    ),
    absent={
        "MODE_ID": Fallback(-1, cost="all modes alike"),
        "SLOPE": Fallback(0.0),
        "REFERENCE": Fallback(0.0),
        "FACTOR": Fallback(1.0),
    },
    substitute=Fallback(
        {name: np.zeros(0) for name in ("MODE_ID", "SLOPE", "REFERENCE", "FACTOR")},
        cost="only the log names its numbers",
    ),
)

# --- dark levels -----------------------------------------------------------------------------------


def _pointer(v: npt.NDArray[Any]) -> bool:
    return all("MAP" in str(text).upper() for text in v)


def _ranges(v: npt.NDArray[Any]) -> bool:
    return all(str(text)[:1].isdigit() for text in v)


def _index(code: str, cost: str, *more: Content, lacking: Mapping[str, Fallback] | None = None) -> Reading:
    rows: dict[str, Any] = {"MODE": np.zeros(0, "U1"), "CCD": np.zeros(0, int), "POINTER": np.zeros(0, "U1")}
    if more:
        rows |= {"RAWX": np.zeros(0, "U1"), "EXPOSURE": np.zeros(0)}
    return Reading(
        names={"MODE": ("MODE*",), "CCD": ("CCD*",)},
        content=(
            Content(("POINTER",), "texts with MAP", only("text", _pointer)),
            *more,
            Content(("MODE",), "the other text", only("text")),
            Content(("CCD",), "integers 1 to 12", only("integer", between(1, 12))),
        ),
        lacking=lacking or {},
        substitute=Fallback(rows, code, cost),
    )


_NO_DARK = (
    f"with an offset map, corrections end at {LARGEST_DARK_SHIFT_ADU:g} adu, as those of master maps do; "
    "without one dark levels are not corrected (epreject only)"
)
_NO_MEDIAN = Fallback(
    None, "noMedianMap", "without an offset map dark levels are not corrected (epreject only)"
)
_NOISE = (
    Content(("RAWX",), "texts of digits", only("text", _ranges)),
    Content(("EXPOSURE",), "the number", only("number")),
)
_DARK = {
    "NOISE_MAP_INDEX": _index("noNoiseMaps", "noise at low energies is not flagged", *_NOISE),
    "MEDIAN_MAP_INDEX": _index("", "as without rows", lacking={"POINTER": _NO_MEDIAN}),
    "MASTER_OFFSET_TABLE_INDEX": _index(
        "noMasterMaps", "dark levels are compared with the map itself: no correction by more than its mean"
    ),
    "CORRECTION_VALUES": Reading(
        names={"MODE": ("MODE*",), "CCD": ("CCD*",)},
        content=(
            Content(("MODE",), "the text", only("text")),
            Content(("CCD",), "integers 1 to 12", only("integer", between(1, 12))),
            Content(("H_LOW", "H_HIGH", "COR_VAL"), "three numbers in this order", only("number")),
        ),
        substitute=Fallback(
            {"MODE": np.zeros(0, "U1"), "CCD": np.zeros(0, int)}
            | {name: np.zeros(0) for name in ("H_LOW", "H_HIGH", "COR_VAL")},
            "noDarkCorrection",
            _NO_DARK,
        ),
        lacking={"COR_VAL": Fallback(LARGEST_DARK_SHIFT_ADU, "noDarkCorrection", _NO_DARK)},
    ),
}
_LOADING = {
    "MASTER_CLOSED_OFFSET": Reading(
        keywords={
            "XRL_COEF": Fallback(
                None, "noLoadingCoefficient", "no correction for X-ray loading (epreject only)"
            )
        }
    )
}

PN_READINGS: dict[tuple[str, str], dict[str, Reading]] = {
    ("EPN", "TIMECORR"): {"FRAMETIME": _FRAMETIME, "TIMECORR": _CONSTANTS},
    ("EPN", "TIMEJUMPTOL"): {"TIMEJUMPTOL": _JUMPS},
    ("EPN", "ADUCONV"): {"OFFSET_GAIN": _OFFSET_GAIN, "GAIN-HIGH": _GAIN_HIGH},
    ("EPN", "CTI"): {
        "CTI_EXTENDED": _LOSSES,
        "LONG_TERM_CTI": _AGEING,
        "LTC_TIMES": _EPOCHS,
        "COMB_EVT_OFFSET": _SHIFTS,
        "RATE_DEPENDENT_CTI": _RATE,
        "QBOXTEMP_GAIN": _TEMPERATURE,
    },
    ("EPN", "REJECT"): _DARK,
    ("EPN", "TICLOSEDODI"): _LOADING,
    ("EPN", "BUCLOSEDODI"): _LOADING,
}
