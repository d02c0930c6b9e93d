"""A small calibration set whose geometry is fitted to half of the real coordinate rows."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

CAMERAS = {"EMOS1": "mos1", "EMOS2": "mos2", "EPN": "pn"}
QUARTER_TURNS = {
    "EMOS1": {1: 0, 2: 1, 3: 1, 4: 1, 5: 3, 6: 3, 7: 3},
    "EMOS2": {1: 0, 2: 1, 3: 1, 4: 1, 5: 3, 6: 3, 7: 3},
    "EPN": {**dict.fromkeys(range(1, 7), 2), **dict.fromkeys(range(7, 13), 0)},
}
#: Origins of CCDs without rows.
INFERRED = {
    "EMOS1": {2: (13121.967, -20169.02), 7: (-13139.92, -6842.595)},
    "EMOS2": {2: (13251.7, -20022.6), 3: (19983.8, -6849.8), 4: (13224.227, 6518.950)},
    "EPN": {
        1: (-2219.232, 15491.487),
        2: (-7609.896, 15491.487),
        3: (-13000.56, 15491.487),
        11: (-12976.342, -17693.106),
        12: (-18367.006, -17693.106),
    },
}
FOV = {"EMOS1": (97, -172, 17152), "EMOS2": (-61, -228, 17085), "EPN": (-2200, -1100, 17924)}
PIXEL_MM = {"EMOS1": 0.04, "EMOS2": 0.04, "EPN": 0.15}
POINTING = (266.9655, -28.4658333333, 271.92)
#: Not printed: the only point from which the printed X, Y give the printed RA, Dec.
TANGENT = (266.9655, -28.4658333333)


def read_rows(folder: Path, instrument: str) -> dict[str, np.ndarray]:
    """One camera's rows of real results of ecoordconv."""
    with open(folder / "ecoordconv_0203930101" / f"ecoordconv_{CAMERAS[instrument]}.csv") as handle:
        rows = list(csv.DictReader(handle))
    return {name: np.array([float(r[name]) for r in rows]) for name in rows[0]}


@dataclass
class GeometrySet:
    """Folder of constituents and the rows that were not used to make them."""

    folder: Path
    rows: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    pointing: tuple[float, float, float] = POINTING
    tangent: tuple[float, float] = TANGENT


def constituent_header(scope: str, typeid: str, issue: int = 1, **more: object) -> dict[str, object]:
    """Keywords of a constituent's primary header."""
    return {
        "TELESCOP": "XMM",
        "SCOPE": scope,
        "TYPEID": typeid,
        "ISSUE": issue,
        "VALDATE": "2000-01-01T00:00:00",
        "SUBDATE": "2001-01-01T00:00:00",
        "DATE": "2001-01-01T00:00:00",
        "CATEGORY": "XMMCCF",
        "EXTSEQU": "ANY",
        "CREATOR": "test",
        **more,
    }


def write_constituent(
    folder: Path, scope: str, typeid: str, tables: list, issue: int = 1, **more: object
) -> Path:
    """Write a constituent; ``tables`` are table HDUs."""
    from astropy.io import fits

    primary = fits.PrimaryHDU()
    header = constituent_header(scope, typeid, issue, EXTSEQID=" ".join(t.name for t in tables), **more)
    for key, value in header.items():
        if value is not None:
            primary.header[key] = value
    path = folder / f"{scope}_{typeid}_{issue:04d}.CCF"
    fits.HDUList([primary, *tables]).writeto(path)
    return path


def _fit_pixels(instrument: str, rows: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    ccds = [int(c) for c in np.unique(rows["centred_ccd"]) if c > 0]
    matrix, values = [], []
    for i, ccd in enumerate(rows["centred_ccd"].astype(int)):
        if ccd == 0:
            continue
        turn = QUARTER_TURNS[instrument][ccd] * np.pi / 2
        c, s = np.round(np.cos(turn)), np.round(np.sin(turn))
        x, y = rows["RAWX"][i], rows["RAWY"][i]
        for axis, (rx, ry) in enumerate(((c * x, -s * y), (s * x, c * y))):
            line = np.zeros(2 + 2 * len(ccds))
            line[:2] = rx, ry
            line[2 + 2 * ccds.index(ccd) + axis] = 1
            matrix.append(line)
            values.append(rows[("DETX", "DETY")[axis]][i])
    solution = np.linalg.lstsq(np.array(matrix), np.array(values), rcond=None)[0]
    origins = {ccd: solution[2 + 2 * k : 4 + 2 * k] for k, ccd in enumerate(ccds)}
    return solution[:2], origins


def _write_lincoord(folder: Path, instrument: str, scale: np.ndarray, origins: dict[int, np.ndarray]) -> None:
    from daxa.xmm.fits.schema import make_table
    from daxa.xmm.formats.ccf import layout_of

    layout = layout_of(instrument, "LINCOORD")
    mm = PIXEL_MM[instrument]
    arc = scale * 0.05 / mm
    shift = np.array([-4.0, -2.0]) if instrument == "EPN" else np.zeros(2)
    ccds = sorted(origins)
    raw0 = np.array([32.5, 100.5] if instrument == "EPN" else [300.0, 300.0])
    turns = np.array([QUARTER_TURNS[instrument][c] * np.pi / 2 for c in ccds])
    centres = []
    for ccd, turn in zip(ccds, turns, strict=True):
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        centres.append(origins[ccd] * 0.05 / arc + mm * (rotation @ raw0) - shift)
    centres = np.array(centres)
    n = len(ccds)
    zero = np.zeros(n)
    data = {
        "CCD_ID": ccds, "NODE_ID": zero, "X0": centres[:, 0], "Y0": centres[:, 1], "Z0": zero,
        "RAWX0": zero + raw0[0], "RAWY0": zero + raw0[1], "PHI0": turns, "THETA0": zero, "PSI0": zero,
    }  # fmt: skip
    header = {"MM_PX_X": mm, "MM_PX_Y": mm, "CC12_TX": shift[0], "CC12_TY": shift[1]}
    header.update(ARC_MM_X=arc[0], ARC_MM_Y=arc[1])
    x, y, r = FOV[instrument]

    def region(shape: str, radius: float, name: str):
        columns = {
            "SHAPE": [shape],
            "X": [x],
            "Y": [y],
            "R": [[radius, radius]],
            "ROTANG": [0],
            "COMPONENT": [1],
        }
        return make_table(layout["FOV"], columns, name)

    tables = [make_table(layout["LINCOORD"], data, "LINCOORD", header), region("CIRCLE", r, "FOV")]
    if instrument != "EPN":
        tables.append(region("!CIRCLE", 17700, "CORNER"))
    write_constituent(folder, instrument, "LINCOORD", tables)


@pytest.fixture(scope="session")
def geometry_set(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> GeometrySet:
    """LINCOORD, BORESIGHT and MISCDATA fitted to every second real row; the other rows to test with."""
    from daxa.xmm.fits.schema import make_table
    from daxa.xmm.formats.ccf import layout_of
    from daxa.xmm.sky.rotations import attitude_frame, camera_vectors, euler_angles
    from daxa.xmm.sky.tangent import direction, from_xy

    folder = tmp_path_factory.mktemp("geometry_ccf")
    result = GeometrySet(folder)
    frame = attitude_frame(*POINTING)
    misc: list[tuple[str, str, float, str]] = []
    eulers = {}
    for instrument in CAMERAS:
        rows = read_rows(shared_data, instrument)
        half = {name: values[::2] for name, values in rows.items()}
        result.rows[instrument] = {name: values[1::2] for name, values in rows.items()}
        scale, origins = _fit_pixels(instrument, half)
        origins = {**{c: np.array(o) for c, o in INFERRED[instrument].items()}, **origins}
        _write_lincoord(folder, instrument, scale, origins)

        polar = half["theta_arcsec"][:, None] * np.stack(
            [np.cos(half["phi_rad"]), np.sin(half["phi_rad"])], 1
        )
        det = np.stack([half["DETX"], half["DETY"], np.ones(len(polar))], 1)
        fit = np.linalg.lstsq(det, polar, rcond=None)[0]
        axis = -np.linalg.solve(fit[:2].T, fit[2])
        ccd = 4 if instrument == "EPN" else 1
        sign = -1 if instrument == "EPN" else 1
        for name, value in zip("XY", (axis - origins[ccd]) / (sign * scale), strict=True):
            misc.append((instrument, f"OPTICS_{name}", value, "pixel"))
        misc.append((instrument, "OPTICS_CCD", ccd, ""))

        camera = camera_vectors(half["DETX"] - axis[0], half["DETY"] - axis[1])
        camera /= np.linalg.norm(camera, axis=1)[:, None]
        sky = direction(*from_xy(half["X"], half["Y"], *TANGENT))
        u, _, vt = np.linalg.svd(sky.T @ camera)
        rotation = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
        eulers[instrument] = euler_angles((frame @ rotation).T)

    columns = {
        n: [m[i] for m in misc] for i, n in enumerate(("INSTRUMENT_ID", "PARM_ID", "PARM_VAL", "PARM_UNIT"))
    }
    table = make_table(layout_of("XMM", "MISCDATA")["MISCDATA"], columns, "MISCDATA")
    write_constituent(folder, "XMM", "MISCDATA", [table])
    layout = layout_of("XMM", "BORESIGHT")
    data = {"INSTRUMENT_ID": list(eulers)}
    data.update(
        {f"EULER_{n}": [e[k] for e in eulers.values()] for k, n in enumerate(("PHI", "THETA", "PSI"))}
    )
    tables = [make_table(layout["BORESIGHT"], data, "BORESIGHT")]
    constant = {"TIME": [0.0], "DELTA_PHI": [0.0], "DELTA_THETA": [0.0], "DELTA_PSI": [0.0]}
    tables += [make_table(layout[f"{i}_ANGVAR"], constant, f"{i}_ANGVAR") for i in CAMERAS]
    write_constituent(folder, "XMM", "BORESIGHT", tables)
    return result


@pytest.fixture(scope="session")
def geometries(geometry_set: GeometrySet):
    """Camera geometry by instrument from the fitted set."""
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.sky.geometry import CameraGeometry

    cal = Calibration.for_observation([geometry_set.folder], "2004-03-01T00:00:00")
    return {i: CameraGeometry.from_calibration(cal, i, 2e8) for i in CAMERAS}


@pytest.fixture(scope="session")
def real_rows(shared_data: Path) -> dict[str, dict[str, np.ndarray]]:
    """All rows of real results of ecoordconv by camera."""
    return {instrument: read_rows(shared_data, instrument) for instrument in CAMERAS}
