"""How calibration tables are read whose columns have other names, types or shapes than the layout lists.

:mod:`daxa.xmm.ccf.layout` names the columns that the engine asks for. A :class:`Reading` says, for one
table, by which other names they are known, how they are told by what they hold, which of them a file may
lack, and what then stands in for them at which cost. Tables without a reading need every column of their
layout by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.ccf.errors import UnknownLayout
from daxa.xmm.ccf.layout import generic_scope

Columns = Mapping[str, npt.NDArray[Any]]
Finder = Callable[[Columns, int], list[str] | None]


@dataclass(frozen=True)
class Fallback:
    """What stands in for something that a file lacks, the code of the warning, and what it costs.

    Without a code there is no warning: no result depends on it.
    """

    value: Any
    code: str = ""
    cost: str = "nothing: no result depends on it"


@dataclass(frozen=True)
class Content:
    """How some columns are told by what they hold; ``says`` is for people."""

    roles: tuple[str, ...]
    says: str
    find: Finder


@dataclass(frozen=True)
class Reading:
    """How one table is read.

    Attributes
    ----------
    names
        Column of the layout -> other names for it.
    content
        Rules for columns that no name finds, applied in order to the columns still free.
    absent
        Columns that a file may lack.
    substitute
        Rows that stand in for a table that is absent or cannot be read.
    positions
        Two columns that the keyword MFORM1 may name.
    free_widths
        Cells may be wider or narrower than in the layout: the first elements count.
    spread
        A single number stands for every element of a vector.
    alternative
        Name of a text column that may hold all that the columns say, as an expression.
    convert
        Brings units that follow from the sizes of numbers to those of the layout, in place.
    """

    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    content: tuple[Content, ...] = ()
    absent: Mapping[str, Fallback] = field(default_factory=dict)
    substitute: Fallback | None = None
    positions: tuple[str, str] | None = None
    free_widths: bool = False
    spread: bool = False
    alternative: str | None = None
    convert: Callable[[str, dict[str, npt.NDArray[Any]]], None] | None = None


# --- telling columns by what they hold -------------------------------------------------------------


def kind_of(values: npt.NDArray[Any]) -> str:
    """``text``, ``flag``, ``integer`` or ``number``."""
    return {"U": "text", "b": "flag", "i": "integer", "u": "integer", "f": "number"}.get(
        values.dtype.kind, ""
    )


def _fitting(free: Columns, kind: str, test: Callable[[npt.NDArray[Any]], Any] | None) -> list[str]:
    right = [name for name, v in free.items() if kind_of(v) == kind and v.size]
    return [name for name in right if test is None or bool(test(free[name]))]


def only(kind: str, test: Callable[[npt.NDArray[Any]], Any] | None = None) -> Finder:
    """The columns that fit, if there are just as many as are looked for."""

    def find(free: Columns, n: int) -> list[str] | None:
        fitting = _fitting(free, kind, test)
        return fitting if len(fitting) == n else None

    return find


def first(kind: str, test: Callable[[npt.NDArray[Any]], Any] | None = None) -> Finder:
    """The first columns, in the order of the table, that fit."""

    def find(free: Columns, n: int) -> list[str] | None:
        fitting = _fitting(free, kind, test)
        return fitting[:n] if len(fitting) >= n else None

    return find


def largest(free: Columns, n: int) -> list[str] | None:
    """The columns of the largest mean absolute values, in the order of the table."""
    fitting = _fitting(free, "number", None)
    if len(fitting) < n:
        return None
    size = {name: float(np.mean(np.abs(free[name]))) for name in fitting}
    kept = sorted(fitting, key=lambda name: -size[name])[:n]
    return [name for name in fitting if name in kept]


def _between(low: float, high: float) -> Callable[[npt.NDArray[Any]], Any]:
    return lambda v: np.all((v >= low) & (v <= high))


def _growing(v: npt.NDArray[Any]) -> bool:
    return len(v) > 1 and bool(np.all(np.diff(np.ravel(v)) > 0))


# --- the tables ------------------------------------------------------------------------------------

_NOT_USED = Fallback(0)
_QE = Reading(
    content=(
        Content(
            ("QE",), "the sum of QE_0 to QE_12 (MOS), QE_0 and QE_1 (pn); QE_TOTAL on EBINS_FRACTION",
            lambda free, n: None,
        ),
    ),
    absent={"REGION": Fallback("")},
)  # fmt: skip
_MODE = Content(("MODE_ID",), "integers 0 to 8", first("integer", _between(0, 8)))
_ENERGY = Content(
    ("ENERGY",), "growing numbers beyond 100", only("number", lambda v: _growing(v) and v.max() > 100)
)
_ONE_COMPONENT = {
    "ROTANG": Fallback(0, cost="shapes are not turned"),
    "COMPONENT": Fallback(1, cost="all rows are joined by AND"),
}
_REGION = Reading(
    names={"X": ("DETX",), "Y": ("DETY",)},
    absent=_ONE_COMPONENT,
    positions=("X", "Y"),
    free_widths=True,
    alternative="EXPRESSION",
)


def _circle(x: float, y: float, radius: float) -> dict[str, list[Any]]:
    return {"SHAPE": ["CIRCLE"], "X": [x], "Y": [y], "R": [[radius, 0.0]], "ROTANG": [0.0], "COMPONENT": [1]}


def _field_of_view(x: float, y: float, radius: float) -> Reading:
    return Reading(
        _REGION.names,
        absent=_REGION.absent,
        positions=_REGION.positions,
        free_widths=True,
        alternative="EXPRESSION",
        substitute=Fallback(
            _circle(x, y, radius),
            "noFieldOfView",
            f"a circle of {radius:g} about ({x:g}, {y:g}): edge of the field of view off by up to 30 arcsec",
        ),
    )


_LINCOORD = Reading(absent={name: _NOT_USED for name in ("Z0", "THETA0", "PSI0")})
_MOS_LINCOORD = Reading(
    absent={
        **_LINCOORD.absent,
        "Z0": Fallback(
            0,
            "noChipHeights",
            "heights 0: positions on outer MOS CCDs off by up to 0.4 arcsec, the area of their field of view "
            "too large by up to 3 %",
        )
    }
)  # fmt: skip


def _drift(where: str, columns: dict[str, npt.NDArray[Any]]) -> None:
    """TIME in seconds or years since 1998 (assumed), offsets in arcsec or, below 0.1, in degrees."""
    time = np.asarray(columns["TIME"], float)
    offsets = [f"DELTA_{name}" for name in ("PHI", "THETA", "PSI")]
    size = max((float(np.abs(columns[name]).max()) for name in offsets if len(time)), default=0.0)
    if size == 0:
        return
    if time.min() >= 0 and time.max() < 100:
        columns["TIME"] = time * 365.25 * 86400
    elif time.max() < 1e7:
        raise UnknownLayout(f"{where}: TIME up to {time.max():g} is neither seconds nor years")
    if size < 0.1:
        for name in offsets:
            columns[name] = np.asarray(columns[name], float) * 3600


def _seconds(where: str, columns: dict[str, npt.NDArray[Any]]) -> None:
    """Frame times beyond 10 are milliseconds, and so is the delay beside them."""
    if len(columns["FRAME_TIME"]) and np.nanmax(columns["FRAME_TIME"]) > 10:
        for name in ("FRAME_TIME", "DELAY"):
            columns[name] = np.asarray(columns[name], float) / 1000


_ANGVAR = Reading(
    convert=_drift,
    names={f"DELTA_{a}": (f"*{a[:3]}*",) for a in ("PHI", "THETA", "PSI")},
    content=(
        Content(("TIME",), "growing numbers", only("number", _growing)),
        Content(
            ("DELTA_PHI", "DELTA_THETA", "DELTA_PSI"),
            "three numbers in the order phi, theta, psi",
            first("number"),
        ),
    ),
    substitute=Fallback(
        {"TIME": [0.0], "DELTA_PHI": [0.0], "DELTA_THETA": [0.0], "DELTA_PSI": [0.0]},
        "noBoresightDrift",
        "no drift of the boresight: positions off by up to 4 arcsec",
    ),
)
_PATTERNS = Reading(
    content=(
        Content(("PATTERN",), "25 integers a row", only("integer", lambda v: v.size == 25 * len(v))),
        Content(("PATTERN_ID",), "an integer column", only("integer", lambda v: v.size == len(v))),
    ),
    absent={
        "PATTERN_ID": Fallback(
            lambda n: np.arange(n), "noPatternNumbers", "none if rows are in the order of patterns"
        )
    },
)

#: (scope, type) -> extension -> how it is read; ``*`` stands for every other extension.
READINGS: dict[tuple[str, str], dict[str, Reading]] = {
    ("XMM", "MISCDATA"): {"MISCDATA": Reading(absent={"PARM_UNIT": Fallback("")})},
    ("XMM", "BORESIGHT"): {
        "BORESIGHT": Reading(
            names={f"EULER_{a}": (f"*{a[:3]}*",) for a in ("PHI", "THETA", "PSI")},
            content=(
                Content(
                    ("INSTRUMENT_ID",), "text with EPN", only("text", lambda v: "EPN" in np.char.strip(v))
                ),
                Content(
                    ("EULER_PHI", "EULER_THETA", "EULER_PSI"),
                    "the three numbers of largest size, in the order phi, theta, psi",
                    largest,
                ),
            ),
        ),
        "*": _ANGVAR,
    },
    ("EMOS", "LINCOORD"): {
        "LINCOORD": _MOS_LINCOORD,
        "FOV": _field_of_view(100.0, -200.0, 17200.0),
        "CORNER": _REGION,
    },
    ("EPN", "LINCOORD"): {"LINCOORD": _LINCOORD, "FOV": _field_of_view(-2200.0, -1100.0, 17924.0)},
    ("EMOS", "MODEPARAM"): {
        "MODEPARAM": Reading(
            content=(_MODE,),
            absent={name: _NOT_USED for name in ("DUTY_CYCLE", "SMEARED_FRAC", "CYCLE_T")},
            spread=True,
        )
    },
    ("EMOS", "TIMECORR"): {
        "FRAMETIME": Reading(
            convert=_seconds,
            content=(
                _MODE,
                Content(("DELAY",), "numbers below 10", only("number", lambda v: np.all(np.abs(v) < 10))),
            ),
            absent={
                "DELAY": Fallback(0.0, "noReadoutDelay", "delay 0: times off by up to 1.5 frames (3.9 s)")
            },
            spread=True,
        )
    },
    ("EMOS", "ADUCONV"): {
        "ENERGY_COMBINE": Reading(
            content=(
                Content(("PATTERN",), "integers 0 to 31", only("integer", _between(0, 31))),
                Content(
                    ("C1", "C2", "C3", "C4"),
                    "the four numbers that follow",
                    first("number", _between(-16, 16)),
                ),
            ),
            substitute=Fallback(
                {
                    "PATTERN": np.arange(32),
                    "C1": np.ones(32),
                    "C2": np.ones(32),
                    "C3": np.zeros(32),
                    "C4": np.zeros(32),
                },
                "noEnergyCombine",
                "weights 1, 1, 0, 0, with which energies of real lists come out within 1.1 eV rms",
            ),
        )
    },
    ("EMOS", "CTI"): {
        "CTI_EXTENDED": Reading(
            content=(
                Content(
                    tuple(f"CTI_{a}{k}" for a in "XY" for k in range(3)),
                    "six numbers in the order X0, X1, X2, Y0, Y1, Y2",
                    only("number"),
                ),
            ),
        ),
        "CTI_COLUMN": Reading(
            content=(
                Content(("RAWX",), "integers 1 to 600", only("integer", _between(1, 600))),
                Content(("OFFSET",), "the number that is left", only("number")),
            ),
            substitute=Fallback(
                {n: np.zeros(0, int) for n in ("CCD_ID", "NODE_ID", "RAWX", "RAWY_START", "YLENGTH")}
                | {"OFFSET": np.zeros(0)},
                "noColumnOffsets",
                "steps along columns stay: up to some 50 eV in the columns concerned",
            ),
        ),
    },
    ("EMOS", "PATTERNLIB"): {"*": _PATTERNS},
    ("EPN", "PATTERNLIB"): {"*": _PATTERNS},
    ("EMOS", "QUANTUMEF"): {"EBINS": Reading(content=(_ENERGY,)), "*": _QE},
    ("EPN", "QUANTUMEF"): {"EBINS": Reading(content=(_ENERGY,)), "*": _QE},
    ("EMOS", "FILTERTRANSX"): {
        "EBINS": Reading(content=(_ENERGY,)),
        "*": Reading(absent={"REGION": Fallback("")}),
    },
    ("EPN", "FILTERTRANSX"): {
        "EBINS": Reading(content=(_ENERGY,)),
        "*": Reading(absent={"REGION": Fallback("")}),
    },
    ("EMOS", "SCREENTHRESH"): {
        "SCREEN_THRESH": Reading(
            names={"BAD": ("*BAD*",), "GOOD": ("*GOOD*",)},
            content=(Content(("CCD_ID",), "integers 1 to 7", only("integer", _between(1, 7))),),
            substitute=Fallback(
                {"CCD_ID": np.zeros(0, int), "BAD": np.zeros(0), "GOOD": np.zeros(0)},
                "noScreenThresholds",
                "CCDs are not tagged as noisy at low energies",
            ),
        )
    },
    ("EPN", "CTI"): {
        "RATE_DEPENDENT_CTI": Reading(
            content=(_MODE, Content(("A0", "A1", "A2"), "three numbers in this order", first("number"))),
        )
    },
    ("RGS", "CTI"): {
        "XCTI": Reading(absent={"CTI_X_ERR": _NOT_USED}),
        "*": Reading(absent={"CTI_Y_ERROR": _NOT_USED}),
    },
    ("XRT", "XAREAEF"): {
        "ONAXISXAREAEF": Reading(content=(_ENERGY,)),
        "CORRAREA": Reading(content=(_ENERGY,)),
    },
}

#: Constituents that readers of their own understand, mostly by content: what these take.
OWN_READERS = {
    ("EPN", "TIMECORR"): "frame times and time constants by content; without a constant the documented one",
    ("EPN", "TIMEJUMPTOL"): "by content: revolution, mode, tolerance; else the tolerances of real runs",
    ("EPN", "ADUCONV"): "documented names; OFFSET or OFFSET_CONST and OFFSET_SLOPE; 5 eV without ADU_EV",
    ("RGS", "ADUCONV"): "rows by node, pairs, or one number for both nodes",
    ("EMOS", "HKPARMINT"): "by content: expressions have an @, names have none",
    ("EPN", "HKPARMINT"): "by content: expressions have an @, names have none",
    ("RGS", "HKPARMINT"): "by content: expressions have an @, names have none",
    ("RGS", "QUANTUMEF"): "by content: growing energies, and the share that the gratings keep",
}


def reading_of(scope: str, typeid: str, extname: str) -> Reading:
    """How a table of a constituent is read; ``scope`` as in file names (``EMOS1``)."""
    tables = READINGS.get((generic_scope(scope), typeid), {})
    return tables.get(extname) or tables.get("*") or Reading()
