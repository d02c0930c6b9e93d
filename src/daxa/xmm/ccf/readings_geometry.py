"""How the tables that place pixels in the camera and the camera on the sky are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.ccf.chip_heights import LARGEST_EXCESS
from daxa.xmm.ccf.roles import (
    KEYS,
    Content,
    Doubts,
    Fallback,
    Reading,
    between,
    ccd_column,
    first,
    growing,
    is_single,
    largest,
    only,
)
from daxa.xmm.errors import UnknownLayout
from daxa.xmm.formats.ccf import REGION_SHAPES

_NOT_USED = Fallback(0)
PLANE = "the chips' scale is that of the focal plane: positions on outer MOS CCDs off by up to 0.4 arcsec"
#: Number of CCDs.
_CCDS = {"EMOS": 7, "EPN": 12, "RGS": 9}
_ONE_COMPONENT = {
    "ROTANG": Fallback(0, cost="shapes are not turned"),
    "COMPONENT": Fallback(1, cost="all rows are joined by AND"),
}


def _known_shapes(where: str, columns: dict[str, npt.NDArray[Any]]) -> None:
    for shape in columns["SHAPE"]:
        if str(shape).strip().upper().lstrip("!") not in REGION_SHAPES:
            raise UnknownLayout(f"{where}, column SHAPE: {shape!r} is not one of {', '.join(REGION_SHAPES)}")


def _region(shape: str, x: float, y: float, radius: float, code: str, cost: str) -> Reading:
    row = {"SHAPE": [shape], "X": [x], "Y": [y], "R": [[radius, 0.0]], "ROTANG": [0.0], "COMPONENT": [1]}
    return Reading(
        names={"X": ("DETX",), "Y": ("DETY",)},
        absent=_ONE_COMPONENT,
        substitute=Fallback(row, code, cost),
        positions=("X", "Y"),
        free_widths=True,
        alternative="EXPRESSION",
        convert=_known_shapes,
        held_to=(f"SHAPE is {', '.join(REGION_SHAPES)} or one of these with !",),
        remark="X and Y by MFORM1; or region expressions",
    )


def _field_of_view(x: float, y: float, radius: float) -> Reading:
    cost = f"a circle of {radius:g} about ({x:g}, {y:g}): edge of the field of view off by up to 30 arcsec"
    return _region("CIRCLE", x, y, radius, "noFieldOfView", cost)


_MOS_FOV = (100.0, -200.0, 17200.0)
_CORNER = _region(
    "!CIRCLE",
    *_MOS_FOV,
    "noCorner",
    "everything outside a circle: corners hold light that leaks past the field of view",
)


def _quarter_turns(v: npt.NDArray[Any]) -> bool:
    """Chips of the cameras are mounted at multiples of 90 degrees; some are turned."""
    turns = v / (np.pi / 2 if np.abs(v).max() < 7 else 90)
    return bool(np.abs(turns).max() > 0.9 and np.all(np.abs(turns - np.rint(turns)) < 0.05))


#: Angles beyond are degrees: a whole turn, and somewhat more.
_WHOLE_TURN_RAD = 7.0
#: No chip of a camera lies farther from its middle [mm].
_FARTHEST_MM = 150.0


def _alignment(n_ccds: int) -> Callable[[str, dict[str, npt.NDArray[Any]]], Doubts]:
    """One place for every CCD of the camera; angles in radians."""

    def convert(where: str, columns: dict[str, npt.NDArray[Any]]) -> Doubts:
        missing = set(range(1, n_ccds + 1)) - set(columns["CCD_ID"][columns["NODE_ID"] == 0].tolist())
        if missing:
            raise UnknownLayout(f"{where}, column CCD_ID: no row of CCD {min(missing)}, node 0")
        if max(float(np.abs(columns[f"{a}0"]).max()) for a in ("PHI", "THETA", "PSI")) > _WHOLE_TURN_RAD:
            for name in ("PHI0", "THETA0", "PSI0"):
                columns[name] = np.deg2rad(np.asarray(columns[name], float))
        return _one_row_each(where, columns)

    return convert


_SEVERAL_PLACES = Fallback(None, "doubleChipPlace", "the first counts")


def _one_row_each(where: str, columns: dict[str, npt.NDArray[Any]]) -> Doubts:
    """Leave one row of each CCD and node, the first, as with every other table; tell where others differ."""
    places = np.stack([columns["CCD_ID"], columns["NODE_ID"]])
    _, first, which = np.unique(places, axis=1, return_index=True, return_inverse=True)
    counts = first[which.ravel()]
    differ = np.zeros(len(counts), bool)
    for values in columns.values():
        differ |= (values != values[counts]).reshape(len(counts), -1).any(axis=1)
    double = ", ".join(f"CCD {ccd}, node {node}" for ccd, node in places[:, differ].T.tolist())
    for name, values in columns.items():
        columns[name] = values[np.sort(first)]
    return [(f"different rows of {double}", _SEVERAL_PLACES)] if double else []


_OF_HEIGHTS = (
    f"Z0 makes pixels on the sky larger by a share of 0 to {LARGEST_EXCESS:g}; its sign is that with which "
    "the outer chips stand before the central one",
)
_SHADE = Fallback(None, cost="no shade between CCDs in the area of the field of view")


def _lincoord(scope: str, **absent: Fallback) -> Reading:
    order = ("X0", "Y0", "Z0", "RAWX0", "RAWY0", "PHI0", "THETA0", "PSI0")
    turned = Content(
        ("PHI0",), "multiples of a quarter turn, not all 0", only("number", lambda v: _quarter_turns(v))
    )
    optional = {name: _NOT_USED for name in ("Z0", "THETA0", "PSI0") if scope != "RGS"}
    return Reading(
        names={k: KEYS[k] for k in ("CCD_ID", "NODE_ID")}
        | {f"{a}0": (f"{a}*",) for a in ("PHI", "THETA", "PSI")},
        content=(
            ccd_column(_CCDS[scope]),
            Content(("NODE_ID",), "integers 0 and 1", only("integer", between(0, 1))),
            Content(order, "eight numbers in this order", only("number", is_single)),
            *(() if scope == "RGS" else (turned,)),
        ),
        absent=optional | ({"NODE_ID": Fallback(0, cost="node 0")} if scope == "EPN" else {}) | absent,
        keywords=dict.fromkeys(("SHADE_C", "SHADE_O"), _SHADE) if scope != "RGS" else {},
        lacking={"Z0": Fallback(None, "oddChipHeights", PLANE)} if scope == "EMOS" else {},
        convert=_alignment(_CCDS[scope]),
        possible={
            "CCD_ID": (1, _CCDS[scope]),
            "X0": (-_FARTHEST_MM, _FARTHEST_MM),
            "Y0": (-_FARTHEST_MM, _FARTHEST_MM),
        },
        held_to=(
            "there is one place of each CCD for node 0",
            f"PHI0, THETA0 and PSI0 are degrees if one of them is beyond {_WHOLE_TURN_RAD:g}",
            *(_OF_HEIGHTS if scope == "EMOS" else ()),
        ),
        remark="of different rows of one CCD and node the first counts (`doubleChipPlace`)",
    )


#: Times below are years, times above are seconds; offsets below are degrees.
_MOST_YEARS, _LEAST_SECONDS, _LARGEST_DEG = 100.0, 1e7, 0.1


def _drift(where: str, columns: dict[str, npt.NDArray[Any]]) -> None:
    """TIME in seconds or years since 1998 (assumed), offsets in arcsec or, below 0.1, in degrees."""
    offsets = [f"DELTA_{name}" for name in ("PHI", "THETA", "PSI")]
    order = np.argsort(columns["TIME"], kind="stable")
    for name in ("TIME", *offsets):
        columns[name] = columns[name][order]
    time = np.asarray(columns["TIME"], float)
    size = max((float(np.abs(columns[name]).max()) for name in offsets if len(time)), default=0.0)
    if size == 0:
        return
    if time.min() >= 0 and time.max() < _MOST_YEARS:
        columns["TIME"] = time * 365.25 * 86400
    elif time.max() < _LEAST_SECONDS:
        raise UnknownLayout(f"{where}: TIME up to {time.max():g} is neither seconds nor years")
    if size < _LARGEST_DEG:
        for name in offsets:
            columns[name] = np.asarray(columns[name], float) * 3600


_ANGVAR = Reading(
    empty=True,
    convert=_drift,
    held_to=(
        f"TIME below {_MOST_YEARS:g} is years since 1998 of 365.25 days, beyond {_LEAST_SECONDS:g} seconds",
        f"drifts that are all below {_LARGEST_DEG:g} are degrees, others arcsec",
    ),
    names={f"DELTA_{a}": (f"*{a[:3]}*",) for a in ("PHI", "THETA", "PSI")},
    content=(
        Content(("TIME",), "growing numbers", only("number", growing)),
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
_BORESIGHT = Reading(
    names={f"EULER_{a}": (f"*{a[:3]}*",) for a in ("PHI", "THETA", "PSI")},
    content=(
        Content(("INSTRUMENT_ID",), "text with EPN", only("text", lambda v: "EPN" in np.char.strip(v))),
        Content(
            ("EULER_PHI", "EULER_THETA", "EULER_PSI"),
            "the three numbers of largest size, in the order phi, theta, psi",
            largest(),
        ),
    ),
)


GEOMETRY_READINGS: dict[tuple[str, str], dict[str, Reading]] = {
    ("XMM", "BORESIGHT"): {"BORESIGHT": _BORESIGHT, "*": _ANGVAR},
    ("EMOS", "LINCOORD"): {
        "LINCOORD": _lincoord(
            "EMOS",
            Z0=Fallback(
                0,
                "noChipHeights",
                "heights 0: positions on outer MOS CCDs off by up to 0.4 arcsec, the area of their field of "
                "view too large by up to 3 %",
            ),
        ),
        "FOV": _field_of_view(*_MOS_FOV),
        "CORNER": _CORNER,
    },
    ("EPN", "LINCOORD"): {
        "LINCOORD": _lincoord("EPN"),
        "FOV": _field_of_view(-2200.0, -1100.0, 17924.0),
    },
    ("RGS", "LINCOORD"): {"LINCOORD": _lincoord("RGS")},
}
