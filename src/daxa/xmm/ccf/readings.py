"""How every table of the calibration files is read: the one place that decides what may stand in for what.

Columns are named in :mod:`daxa.xmm.formats.ccf`; what a :class:`~daxa.xmm.ccf.roles.Reading` says is
described there. Tables of one topic have their readings beside this module, in ``readings_area``,
``readings_geometry``, ``readings_mos`` and ``readings_pn``; here are those that the cameras share, and all of
them together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.ccf.documented import MEASURED_TRANSFER_S, NO_INTEGRATION_TIME
from daxa.xmm.ccf.mos_times import TRANSFER_TOLERANCE_S, WHOLE_FRAME_S
from daxa.xmm.ccf.readings_area import AREA_READINGS
from daxa.xmm.ccf.readings_geometry import GEOMETRY_READINGS, PLANE
from daxa.xmm.ccf.readings_mos import MOS_READINGS
from daxa.xmm.ccf.readings_pn import PN_READINGS
from daxa.xmm.ccf.roles import (
    KEYS,
    MODE,
    Columns,
    Content,
    Fallback,
    Reading,
    ccd_column,
    first,
    is_single,
    is_whole,
    kind_of,
    only,
)
from daxa.xmm.errors import UnknownLayout
from daxa.xmm.formats.ccf import LAYOUT, generic_scope

_NOT_USED = Fallback(0)


# --- numbers by name -------------------------------------------------------------------------------

_COSMIC = "1.88 and 1, which the live times of real lists show: none where they agree"
_CONVERTER = "0 and 4095 adu; only raw files without limits in their headers need them, which real ones have"
_ELLIPSE = "the charge around events is not tested (BAD_E3E4): more background below some 500 eV (assumed)"
#: No public text names these rows.
_ITEMS = {
    "COSMICSI": Fallback(1.88, "noCosmicRaySize", _COSMIC),
    "COSMICOU": Fallback(1.0, "noCosmicRaySize", _COSMIC),
    "EMDHLOW": Fallback(0.0, "noEnergyLimits", _CONVERTER),
    "EMDHHIGH": Fallback(4095.0, "noEnergyLimits", _CONVERTER),
    "DPPVERS": Fallback(
        19.0,
        "noOnBoardVersion",
        "19: codes of pixel shapes of the RGS as in revolution 234 (assumed of all others)",
    ),
    **{name: Fallback(0.0, "noSurroundings", _ELLIPSE) for name in ("E3CEN", "E4CEN", "E3ANG")},
    **{name: Fallback(np.inf, "noSurroundings", _ELLIPSE) for name in ("E3RAD", "E4RAD")},
}
_MISCDATA = Reading(
    absent={"PARM_UNIT": Fallback("")},
    items=_ITEMS,
    gaps=True,
    lacking={"FOCAL_LENGTH": Fallback(None, "noFocalLength", PLANE)},
)

# --- bad pixels, patterns, housekeeping ------------------------------------------------------------

_LETTERS = {10: "T", 11: "H", 12: "E", 13: "D", 14: "P", 15: "B", 16: "U"} | {n: str(n) for n in range(1, 10)}


def _codes(columns: dict[str, npt.NDArray[Any]]) -> None:
    """Types may be letters or the numbers that the calibration layer gives them, switches of any kind."""
    kind = columns["TYPE"]
    if kind_of(kind) == "integer" and kind.size == len(kind):
        columns["TYPE"] = np.array([_LETTERS.get(int(v), "?") for v in np.ravel(kind)], dtype="U1")
    uplinked = columns["UPLINKED"]
    if kind_of(uplinked) == "text":
        columns["UPLINKED"] = np.isin(np.char.upper(np.char.strip(uplinked)), ("T", "Y", "1", "TRUE", "YES"))


_PLACES = ("CCD_ID", "NODE_ID", "RAWX", "RAWY", "YEXTENT")


def _badpix(scope: str, node: int = 0) -> Reading:
    types = Content(
        ("TYPE",), "one letter a row", only("text", lambda v: max(map(len, np.char.strip(v))) == 1)
    )
    switch = Content(("UPLINKED",), "the switch", only("flag"))
    names = ("CCD_ID", "NODE_ID", "RAWX", "RAWY", "TYPE", "YEXTENT", "UPLINKED")
    rows = {n: np.zeros(0, "U1" if n == "TYPE" else bool if n == "UPLINKED" else int) for n in names}
    return Reading(
        # The handbook lists a column MODE_N/A, too.
        names={"CCD_ID": ("CCD*",), "NODE_ID": ("NODE*",), "YEXTENT": ("*EXTENT*", "*LEN*")},
        content=(
            types,
            switch,
            Content(_PLACES, "five integers in this order", only("integer")),
            Content(("RAWX", "RAWY"), "integers whose names end in X and Y", _ends_in_x_and_y),
            Content(("RAWX", "RAWY", "YEXTENT"), "three integers in this order", first("integer")),
        ),
        absent={
            "NODE_ID": Fallback(node, cost=f"node {node}"),
            "UPLINKED": Fallback(
                False, "noUplinked", "pixels masked on board count as others: they are not told apart"
            ),
            "TYPE": Fallback("H", "noBadPixelType", "all count as hot"),
        },
        lacking={
            "TYPE": Fallback(
                "U", "unknownBadPixelType", "types other than T, H, E, B, U, D, P and 1 to 9 count as hot"
            )
        },
        substitute=Fallback(
            rows,
            "noBadPixels",
            "no pixel is known as bad: hot ones stay unless the data show them, dead ones count as exposed",
        ),
        empty=True,
        recode=_codes,
        possible={"YEXTENT": (0, np.inf)},
    )


def _ends_in_x_and_y(free: Columns, n: int, told: Columns) -> list[str] | None:
    found = [[name for name, v in free.items() if name.upper().endswith(a) and is_whole(v)] for a in "XY"]
    return [found[0][0], found[1][0]] if n == 2 and all(len(names) == 1 for names in found) else None


_PATTERNS = Reading(
    image="PATTERN",
    remark="or an image of 5 x 5 pixels a pattern",
    content=(
        Content(("PATTERN",), "25 integers a row", only("integer", lambda v: v.size == 25 * len(v))),
        Content(("PATTERN_ID",), "an integer column", only("integer", is_single)),
    ),
    absent={
        "PATTERN_ID": Fallback(
            lambda n: np.arange(n), "noPatternNumbers", "none if rows are in the order of patterns"
        )
    },
)
_MOS_PATTERNS = replace(
    _PATTERNS,
    keywords={
        name: Fallback(25.0, "noEventThreshold", "25 adu, which headers of real raw files have")
        for name in ("EDUTHR_I", "EDUTHR_O")
    },
)


def _names_and_expressions(free: Columns, n: int, told: Columns) -> list[str] | None:
    """Expressions have an @ where the parameter stands, names have none; an empty table has its order."""
    texts = [name for name, v in free.items() if kind_of(v) == "text"]
    if n != 2 or len(texts) < 2:
        return None
    if not len(free[texts[0]]):
        return texts[:2]
    marked = [name for name in texts if any("@" in text for text in free[name])]
    plain = [name for name in texts if name not in marked]
    return [plain[0], marked[0]] if len(marked) == 1 and plain else None


def _marked(where: str, columns: dict[str, npt.NDArray[Any]]) -> None:
    if len(columns["EXPRESSION"]) and not any("@" in text for text in columns["EXPRESSION"]):
        raise UnknownLayout(f"{where}, column EXPRESSION: expected expressions with @ for the parameter")


def _limits(code: str, cost: str) -> Reading:
    return Reading(
        content=(
            Content(("PARAMETER", "EXPRESSION"), "texts without and texts with an @", _names_and_expressions),
        ),
        substitute=Fallback({"PARAMETER": np.zeros(0, "U1"), "EXPRESSION": np.zeros(0, "U1")}, code, cost),
        empty=True,
        convert=_marked,
        held_to=("some EXPRESSION has an @ for the parameter",),
    )


_HKPARMINT = {
    "HKPARMINT": _limits("noHkLimits", "no limits of housekeeping: all times count as good"),
    "TRANSLATION": Reading(
        content=(Content(("SHORT_NAME", "LONG_NAME"), "the first two texts", first("text")),),
        substitute=Fallback(
            {"SHORT_NAME": np.zeros(0, "U1"), "LONG_NAME": np.zeros(0, "U1")},
            "noHkNames",
            "limits are looked for under one name only: those of parameters with another do not count",
        ),
        empty=True,
    ),
    "AUXPAR": _limits("", "they are read and named, and not applied"),
}


# --- MOS -------------------------------------------------------------------------------------------


def _possible_windows(where: str, columns: dict[str, npt.NDArray[Any]]) -> None:
    """The windows of full frame have a size; impossible times have fallbacks where they are used."""
    for name in ("WINDOWDX", "WINDOWDY"):
        if np.any(columns[name][columns["MODE_ID"] == 0] < 1):
            raise UnknownLayout(f"{where}, column {name}: a window without pixels")


_TRANSFER = (
    f"{1e3 * MEASURED_TRANSFER_S:g} ms of each frame are not integrated, as in real lists in full frame"
)


def _modeparam(scope: str) -> Reading:
    unused = [*("DUTY_CYCLE", "SMEARED_FRAC"), *(["CYCLE_T"] if scope == "EMOS" else [])]
    windows = ("WINDOWX0", "WINDOWY0", "WINDOWDX", "WINDOWDY")
    times = ("INTEGRATION_T", "SHIFT_T", "FRAME_T", "CYCLE_T", "TIME_RES")
    scan = {"UNDER_X": 5, "OVER_X": 5, "UNDER_Y": 0, "OVER_Y": 2}
    return Reading(
        names={"MODE_ID": KEYS["MODE_ID"]},
        content=(
            MODE,
            Content(windows, "four integers in this order", only("integer")),
            Content(times, "the first five numbers, in this order", first("number")),
        ),
        absent={name: _NOT_USED for name in unused},
        keywords={
            name: Fallback(value, "noOverscan", f"{name} {value}, which real raw files show")
            if scope == "EMOS"
            else Fallback(0, cost="0: the pn has none")
            for name, value in scan.items()
        },
        lacking={"MODE_ID": Fallback(None, "noIntegrationTime", NO_INTEGRATION_TIME)}
        if scope == "EPN"
        else {"INTEGRATION_T": Fallback(MEASURED_TRANSFER_S, "noTransferTime", _TRANSFER)},
        spread=scope == "EMOS",
        gaps=True,
        convert=_possible_windows,
        held_to=(
            "WINDOWDX and WINDOWDY of full frame are 1 or more",
            *(
                (
                    f"a frame beyond {WHOLE_FRAME_S:g} s is not integrated for 6 ms, within "
                    f"{1e3 * TRANSFER_TOLERANCE_S:g} ms",
                )
                if scope == "EMOS"
                else ("INTEGRATION_T is above 0 and no more than CYCLE_T",)
            ),
        ),
    )


# --- RGS -------------------------------------------------------------------------------------------

_RGS_GAIN = Reading(
    algorithms=(1,),
    names={"CCD_ID": KEYS["CCD_ID"], "RAND_MIN": ("E_RAND_MIN",), "RAND_MAX": ("E_RAND_MAX",)},
    content=(ccd_column(9),),
    keywords={"RAND_MIN": Fallback(0.0, cost="0, the documented value")}
    | {"RAND_MAX": Fallback(1.0, cost="1, the documented value")},
    remark="rows by NODE_ID, pairs, or one number for both nodes",
)
_SCALE = {"SCALE": Fallback(1.0, cost="1, the documented value")}


#: (scope, type) -> extension -> how it is read; ``*`` stands for every other extension.
READINGS: dict[tuple[str, str], dict[str, Reading]] = {
    ("XMM", "MISCDATA"): {"MISCDATA": _MISCDATA},
    ("EMOS", "MODEPARAM"): {"MODEPARAM": _modeparam("EMOS")},
    ("EPN", "MODEPARAM"): {"MODEPARAM": _modeparam("EPN")},
    ("EMOS", "BADPIX"): {"BADPIX": _badpix("EMOS")},
    ("EPN", "BADPIX"): {"BADPIX": _badpix("EPN")},
    ("RGS", "BADPIX"): {"BADPIX": _badpix("RGS"), "BADPIX1": _badpix("RGS", 1)},
    ("RGS", "ADUCONV"): {"OFFSET_GAIN": _RGS_GAIN},
    ("RGS", "CTI"): {
        "XCTI": Reading(
            names={k: KEYS[k] for k in ("CCD_ID", "NODE_ID")},
            absent={"CTI_X_ERR": _NOT_USED},
            keywords=_SCALE,
        ),
        # More than a chip has rows, binned or not.
        "*": Reading(absent={"CTI_Y_ERROR": _NOT_USED}, keywords=_SCALE, possible={"YCOL": (0, 1100)}),
    },
    ("EMOS", "PATTERNLIB"): {"*": _MOS_PATTERNS},
    ("EPN", "PATTERNLIB"): {"*": _PATTERNS},
    **{(scope, "HKPARMINT"): _HKPARMINT for scope in ("EMOS", "EPN", "RGS")},
    **AREA_READINGS,
    **GEOMETRY_READINGS,
    **MOS_READINGS,
    **PN_READINGS,
}


def reading_of(scope: str, typeid: str, extname: str) -> Reading:
    """How a table of a constituent is read; ``scope`` as in file names (``EMOS1``).

    Parameters
    ----------
    scope
        Scope as in file names.
    typeid
        Type, e.g. ``LINCOORD``.
    extname
        Name of the table.
    """
    tables = READINGS.get((generic_scope(scope), typeid), {})
    return tables.get(extname) or tables.get("*") or Reading()


def may_be_absent(scope: str, typeid: str) -> bool:
    """Whether something stands in for every table of a constituent.

    Parameters
    ----------
    scope
        Scope as in file names.
    typeid
        Type, e.g. ``LINCOORD``.
    """
    tables = LAYOUT.get((generic_scope(scope), typeid), {})
    return bool(tables) and all(reading_of(scope, typeid, name).substitute is not None for name in tables)
