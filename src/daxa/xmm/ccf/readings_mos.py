"""How the tables of the times, energies, offsets and noise of MOS are read."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.ccf.mos_losses import LARGEST_POWER, POSSIBLE_ADU
from daxa.xmm.ccf.roles import KEYS, MODE, Columns, Content, Fallback, Reading, between, first, kind_of, only
from daxa.xmm.errors import UnknownLayout

#: Delays are shorter than so many frames.
_LONGEST_DELAY = 1.5
#: Frame times beyond are milliseconds.
_LONGEST_FRAME_S = 10.0


def _seconds(where: str, columns: dict[str, npt.NDArray[Any]]) -> None:
    """Frame times beyond 10 are milliseconds, and so is the delay beside them."""
    if len(columns["FRAME_TIME"]) and np.nanmax(columns["FRAME_TIME"]) > _LONGEST_FRAME_S:
        for name in ("FRAME_TIME", "DELAY"):
            columns[name] = np.asarray(columns[name], float) / 1000
    delay, frame = (np.asarray(columns[name], float) for name in ("DELAY", "FRAME_TIME"))
    if np.any(np.abs(delay) > _LONGEST_DELAY * frame):
        raise UnknownLayout(
            f"{where}, column DELAY: {np.nanmax(np.abs(delay)):g} s is more than {_LONGEST_DELAY:g} frames"
        )


def _delay(free: Columns, n: int, told: Columns) -> list[str] | None:
    """Numbers up to 1.5 frame times that are not live time."""
    live = ("LIVE", "INTEG")
    others = {name: v for name, v in free.items() if not any(word in name.upper() for word in live)}
    names = only("number")(others, n, told)
    longest = _LONGEST_DELAY * np.nanmax(np.ravel(told.get("FRAME_TIME", np.zeros(0))), initial=0.0)
    return names if names and np.all(np.abs(free[names[0]]) <= longest) else None


_ZERO_DELAY = "delay 0: times off by up to 1.5 frames (3.9 s)"
_NO_TIMES = "noTimeCorrection", f"frame times from the raw headers, {_ZERO_DELAY}"
_MOS_TIMES = Reading(
    names={"MODE_ID": KEYS["MODE_ID"], "DELAY": ("*DELAY*", "*CORR*", "*CONST*")},
    content=(MODE, Content(("DELAY",), "numbers up to 1.5 frame times, not named after live time", _delay)),
    absent={"DELAY": Fallback(0.0, "noReadoutDelay", _ZERO_DELAY)},
    substitute=Fallback(
        {"MODE_ID": np.zeros(0, int), "FRAME_TIME": np.zeros((0, 2)), "DELAY": np.zeros((0, 2))}, *_NO_TIMES
    ),
    lacking={"MODE_ID": Fallback(None, *_NO_TIMES)},
    convert=_seconds,
    held_to=(
        f"FRAME_TIME and DELAY are milliseconds if a FRAME_TIME is beyond {_LONGEST_FRAME_S:g}",
        f"DELAY is at most {_LONGEST_DELAY:g} frame times",
    ),
    spread=True,
)
_COMBINE = Reading(
    content=(
        Content(("PATTERN",), "integers 0 to 31", only("integer", between(0, 31))),
        Content(("C1", "C2", "C3", "C4"), "the four numbers that follow", first("number", between(-16, 16))),
    ),
    substitute=Fallback(
        {"PATTERN": np.arange(32)}
        | {"C1": np.ones(32), "C2": np.ones(32), "C3": np.zeros(32), "C4": np.zeros(32)},
        "noEnergyCombine",
        "weights 1, 1, 0, 0, with which energies of real lists come out within 1.1 eV rms",
    ),
)
_GAIN = Reading(
    names={"CCD_ID": ("*CCD*",)},
    absent={
        f"POLY_TERM{patterns}": Fallback(
            0.0,
            "noGainCurvature",
            "the gain is linear, as in real lists (within 0.01 eV per kadu^2)",
        )
        for patterns in ("", "1", "2", "3")
    },
)
_LAW = tuple(f"CTI_{axis}{k}" for axis in "XY" for k in range(3))


def _three_of_each(free: Columns, n: int, told: Columns) -> list[str] | None:
    """Three columns that begin with CTI_X and three with CTI_Y; CTI_X and CTI_Y alone are of an older law."""
    found = []
    for axis in "XY":
        names = [
            name for name, v in free.items() if name.startswith(f"CTI_{axis}") and kind_of(v) == "number"
        ]
        if len(names) > 3:
            names = [name for name in names if name != f"CTI_{axis}"]
        if len(names) != 3:
            return None
        found += names
    return found


_MOS_CTI = {
    # Files of the first years, with ALGOID 0 or 1, have six numbers too, of another law.
    "CTI_EXTENDED": Reading(
        names=KEYS,
        algorithms=(2,),
        held_to=(
            f"1000 adu lose {POSSIBLE_ADU[0]:g} to {POSSIBLE_ADU[1]:g} adu per transfer along RAWY, by a law "
            "of PHA/1000 or else of PHA",
            f"CTI_X2 and CTI_Y2 are between -{LARGEST_POWER:g} and {LARGEST_POWER:g}",
        ),
        content=(
            Content(_LAW, "three columns CTI_X* and three CTI_Y*, in this order", _three_of_each),
            Content(_LAW, "six numbers in the order X0, X1, X2, Y0, Y1, Y2", only("number")),
        ),
    ),
    "CTI_COLUMN": Reading(
        names={k: KEYS[k] for k in ("CCD_ID", "NODE_ID")},
        empty=True,
        content=(
            Content(("RAWX",), "integers 1 to 600", only("integer", between(1, 600))),
            Content(("OFFSET",), "the number that is left", only("number")),
        ),
        substitute=Fallback(
            {n: np.zeros(0, int) for n in ("CCD_ID", "NODE_ID", "RAWX", "RAWY_START", "YLENGTH")}
            | {"OFFSET": np.zeros(0)},
            "noColumnOffsets",
            "steps along columns stay: up to some 50 eV in the columns concerned",
        ),
    ),
}
_ONBOARD_OFFSETS = Reading(
    names={"MODE_ID": KEYS["MODE_ID"]},
    absent={
        name: Fallback(value, cost="offsets are those of the whole read-out, in all modes")
        for name, value in (("COL_X0", 0), ("ROW_Y0", 0), ("ROW_LEN", 610), ("COL_LEN", 602))
    },
    lacking={
        "MODE_ID": Fallback(
            None,
            "noOffsetsOfMode",
            "those of the first mode in the table: other events near the converter's end may be taken for "
            "truncated (assumed)",
        )
    },
    remark="`addOffsets01` if absent: truncated events are those at the end of the converter",
)
_SCREEN = Reading(
    names={"BAD": ("*BAD*",), "GOOD": ("*GOOD*",)},
    content=(Content(("CCD_ID",), "integers 1 to 7", only("integer", between(1, 7))),),
    substitute=Fallback(
        {"CCD_ID": np.zeros(0, int), "BAD": np.zeros(0), "GOOD": np.zeros(0)},
        "noScreenThresholds",
        "CCDs are not tagged as noisy at low energies",
    ),
)

MOS_READINGS: dict[tuple[str, str], dict[str, Reading]] = {
    ("EMOS", "TIMECORR"): {"FRAMETIME": _MOS_TIMES},
    ("EMOS", "ADUCONV"): {"ENERGY_COMBINE": _COMBINE, "OFFSET_GAIN": _GAIN},
    ("EMOS", "CTI"): _MOS_CTI,
    ("EMOS", "DARKFRAME"): {"*": _ONBOARD_OFFSETS},
    ("EMOS", "SCREENTHRESH"): {"SCREEN_THRESH": _SCREEN},
}
