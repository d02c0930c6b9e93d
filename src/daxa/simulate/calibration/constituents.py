"""Writing a synthetic set of calibration constituents (CCF files) that describes the simulated cameras.

Names, extensions and columns are those of :mod:`daxa.xmm.formats.ccf`; the values are those of
:mod:`daxa.simulate.cameras.camera`. Every header says that the file is synthetic. Constituents with several
issues or periods of validity are there so that choosing among them matters: a superseded boresight and
pn charge loss, charge-loss laws of MOS for the years before and after the cooling of 2002, one that is
valid only in the future, and old bad-pixel tables.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from daxa.simulate.calibration.files import Constituent, Extension, table_columns, write_constituent
from daxa.simulate.calibration.mos import mos_constituents
from daxa.simulate.calibration.pn import pn_constituents
from daxa.simulate.calibration.rgs import rgs_boresight_deg, rgs_constituents
from daxa.simulate.cameras.camera import ANGLES, CAMERAS, Camera
from daxa.simulate.cameras.mos_offsets import offset_tables
from daxa.simulate.numbers import cameras as numbers
from daxa.simulate.numbers import gratings as rgs_numbers
from daxa.simulate.numbers import response as response
from daxa.simulate.optics import king_parameters
from daxa.xmm.fits.schema import Column
from daxa.xmm.formats.ccf import layout_of
from daxa.xmm.formats.instruments import MOS_MODE_IDS, PN_MODE_IDS


def write_calibration(folder: str | os.PathLike[str]) -> list[Path]:
    """Write the synthetic calibration set.

    Parameters
    ----------
    folder
        Where to write; created if absent.

    Returns
    -------
    list of Path
        The files, sorted by name.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return sorted(write_constituent(constituent, folder) for constituent in constituents())


def constituents() -> Iterator[Constituent]:
    """All constituents of the set."""
    yield _miscdata()
    yield from _boresights()
    for code, camera in CAMERAS.items():
        yield _lincoord(camera)
        yield _modeparam(camera)
        yield _hkparmint(camera)
        yield from _badpix(camera)
        yield _patternlib(camera)
        yield _quantumef(camera)
        yield _filters(camera)
        yield _mirror(camera)
        yield _psf(camera)
        if camera.is_pn:
            yield from pn_constituents(camera)
        else:
            yield _darkframe(camera)
            yield from mos_constituents(camera, int(code[1]))
    yield from rgs_constituents()


# --- geometry --------------------------------------------------------------------------------------


def _arc_per_mm(camera: Camera) -> float:
    return camera.pixel[0] * 0.05 / camera.pixel_mm


def _miscdata() -> Constituent:
    rows = []
    for code, camera in CAMERAS.items():
        ccd, x, y = numbers.OPTICAL_AXIS_PIXEL[code]
        scale = 4.12838 if camera.is_pn else 1.1008
        rows += [
            (camera.telescope, "FOCAL_LENGTH", response.FOCAL_LENGTH_MM, "mm"),
            (camera.telescope, "FOV_RADIUS", 0.25, "deg"),
            (camera.name, "PLATE_SCALE_X", scale, "arcsec/pixel"),
            (camera.name, "PLATE_SCALE_Y", scale, "arcsec/pixel"),
            (camera.name, "MM_PER_PIXEL_X", camera.pixel_mm, "mm"),
            (camera.name, "MM_PER_PIXEL_Y", camera.pixel_mm, "mm"),
            (camera.name, "OPTICS_CCD", ccd, ""),
            (camera.name, "OPTICS_X", x, "pixel"),
            (camera.name, "OPTICS_Y", y, "pixel"),
        ]
        if not camera.is_pn:
            rows += [(camera.name, name, value, unit) for name, value, unit in numbers.MOS_MISCELLANEOUS]
    for name in rgs_numbers.NAMES:
        rows += [
            (name, "INCIDENCE_ANGLE", rgs_numbers.INCIDENCE_DEG, "deg"),
            (name, "GRAT_LINE_DENS", 1e7 / rgs_numbers.LINE_SPACING_A, "1/mm"),
            (name, "DPPVERS", rgs_numbers.SOFTWARE_VERSION, ""),
        ]
    data = table_columns(("INSTRUMENT_ID", "PARM_ID", "PARM_VAL", "PARM_UNIT"), rows)
    return Constituent("XMM", "MISCDATA", 22, [Extension("MISCDATA", data)], "1999-01-01T00:00:00")


def _boresights() -> Iterator[Constituent]:
    drift = numbers.boresight_drift()
    # The superseded issue: one angle of all cameras is off by 6 arcsec, and nothing drifts.
    for issue, offset_deg, moving in ((28, 6 / 3600, 0.0), (35, 0.0, 1.0)):
        rows = [
            (camera.name, camera.boresight_deg[0] + offset_deg, *camera.boresight_deg[1:])
            for camera in CAMERAS.values()
        ]
        rows += [(name, *rgs_boresight_deg(name)) for name in rgs_numbers.NAMES]
        angles = table_columns(("INSTRUMENT_ID", "EULER_PHI", "EULER_THETA", "EULER_PSI"), rows)
        variation = {
            "TIME": drift["time_s"],
            **{f"DELTA_{name.upper()}": moving * drift[name] for name in ANGLES},
        }
        names = [*(camera.name for camera in CAMERAS.values()), *rgs_numbers.NAMES]
        tables = [Extension(f"{name}_ANGVAR", variation) for name in names]
        yield Constituent(
            "XMM",
            "BORESIGHT",
            issue,
            [Extension("BORESIGHT", angles), *tables],
            "2000-01-01T00:00:00",
            comments=(
                "Angles of the cameras reproduce their orientation in a real field of 2004, those of the",
                "spectrometers what rgsangles printed for a real observation of 2017.",
            ),
        )


def _regions(components) -> dict[str, Any]:
    rows = [
        (shape, x, y, radii, angle, number)
        for number, component in enumerate(components, 1)
        for shape, x, y, radii, angle in component
    ]
    return table_columns(("SHAPE", "X", "Y", "R", "ROTANG", "COMPONENT"), rows)


def _lincoord(camera: Camera) -> Constituent:
    arc = _arc_per_mm(camera)
    mm_per_unit = 0.05 / arc
    shift = numbers.PN_CENTRE_SHIFT_MM if camera.is_pn else (0.0, 0.0)
    reference = (32, 100) if camera.is_pn else (300, 300)
    rows = []
    in_plane = Camera(camera.code, heights=False)
    for ccd, (turns, _, _) in camera.layout.items():
        x, y = in_plane.raw_to_det(ccd, *reference)
        x0, y0 = float(x) * mm_per_unit - shift[0], float(y) * mm_per_unit - shift[1]
        rows.append((ccd, 0, x0, y0, camera.height_mm(ccd), *reference, turns * np.pi / 2, 0.0, 0.0))
    data = table_columns(
        ("CCD_ID", "NODE_ID", "X0", "Y0", "Z0", "RAWX0", "RAWY0", "PHI0", "THETA0", "PSI0"), rows
    )
    header = {
        "MM_PX_X": (camera.pixel[0] * mm_per_unit, "[mm] pixel along RAWX"),
        "MM_PX_Y": (camera.pixel[1] * mm_per_unit, "[mm] pixel along RAWY"),
        "CC12_TX": (shift[0], "[mm] CAMCOORD1 to CAMCOORD2"),
        "CC12_TY": (shift[1], "[mm] CAMCOORD1 to CAMCOORD2"),
        "ARC_MM_X": (arc, "[arcsec/mm] plate scale"),
        "ARC_MM_Y": (arc, "[arcsec/mm] plate scale"),
        "R_CHIP_T": (173.0, "[K] reference temperature of the chips"),
        "EXP_CHIP": (1.0e-6, "[1/K] expansion of the chips"),
    }
    if not camera.is_pn:
        header["SHADE_C"] = (numbers.MOS_SHADE_PIXELS[0], "[pixel] shade of CCDs in front on CCD 1")
        header["SHADE_O"] = (numbers.MOS_SHADE_PIXELS[1], "[pixel] shade of CCDs in front on the others")
    extensions = [Extension("LINCOORD", data, header), Extension("FOV", _regions(numbers.FOV[camera.code]))]
    if not camera.is_pn:
        extensions.append(Extension("CORNER", _regions(numbers.CORNER[camera.code])))
    issue = {"M1": 19, "M2": 18, "PN": 9}[camera.code]
    return Constituent(camera.name, "LINCOORD", issue, extensions)


# --- housekeeping ----------------------------------------------------------------------------------


def _hkparmint(camera: Camera) -> Constituent:
    limits = numbers.HOUSEKEEPING_LIMITS[camera.code]
    names = [(short, long) for short, long, _ in limits]
    return Constituent(
        camera.name,
        "HKPARMINT",
        5 if camera.is_pn else 8,
        [
            Extension(
                "HKPARMINT", table_columns(("PARAMETER", "EXPRESSION"), [(row[1], row[2]) for row in limits])
            ),
            Extension("TRANSLATION", table_columns(("SHORT_NAME", "LONG_NAME"), names)),
            Extension("AUXPAR", table_columns(("PARAMETER", "EXPRESSION"), numbers.AUXILIARY_LIMITS)),
        ],
        "1999-01-01T00:00:00",
    )


# --- read-out --------------------------------------------------------------------------------------


def _modeparam(camera: Camera) -> Constituent:
    rows = []
    for submode in camera.modes:
        mode = camera.mode(submode)
        inner, outer = mode.window[camera.ccds[0]], mode.window[camera.ccds[-1]]

        def pair(a, b):
            return a if camera.is_pn else (a, b)

        frame = pair(mode.frame_time_s * 1e3, mode.outer_frame_time_s * 1e3)
        integration = pair(mode.integration_s * 1e3, mode.outer_integration_s * 1e3)
        fast = bool(mode.fast_ccds)
        shift = (camera.ny / mode.line_rows * mode.line_s if fast else mode.readout_s) * 1e3
        rows.append(
            (
                mode.mode_id,
                integration,
                pair(shift, mode.readout_s * 1e3),
                frame,
                frame,
                pair(mode.line_s * 1e3, mode.outer_frame_time_s * 1e3) if fast else frame,
                pair(
                    mode.integration_s / mode.frame_time_s, mode.outer_integration_s / mode.outer_frame_time_s
                ),
                pair(mode.oot_fraction, mode.oot_fraction),
                *(pair(inner[i], outer[i]) for i in range(4)),
            )
        )
    names = (
        "MODE_ID", "INTEGRATION_T", "SHIFT_T", "FRAME_T", "CYCLE_T", "TIME_RES", "DUTY_CYCLE", "SMEARED_FRAC",
        "WINDOWX0", "WINDOWY0", "WINDOWDX", "WINDOWDY",
    )  # fmt: skip
    scan = dict.fromkeys(numbers.MOS_SCAN, 0) if camera.is_pn else numbers.MOS_SCAN
    # Documented, too, and not used.
    unused = dict.fromkeys(("PTSRCE_PILEUP", "LIMITING_FLUX"), np.zeros(len(rows)))
    known = layout_of(camera.name, "MODEPARAM")["MODEPARAM"]
    schema = (*known[:8], *(Column(name, "1D") for name in unused), *known[8:])
    issue = 3 if camera.is_pn else 6
    return Constituent(
        camera.name,
        "MODEPARAM",
        issue,
        [Extension("MODEPARAM", table_columns(names, rows) | unused, scan, schema=schema)],
        "1999-01-01T00:00:00",
    )


def _darkframe(camera: Camera) -> Constituent:
    """Offsets used on board, the same in all modes; without the dark frames, which nobody reads."""
    extensions = []
    names = ("MODE_ID", "ROW_OFFSET", "COLUMN_OFFSET", "COL_X0", "ROW_Y0", "ROW_LEN", "COL_LEN")
    for ccd in camera.ccds:
        columns, rows = offset_tables(camera.code, ccd)
        lines = []
        for submode in camera.modes:
            mode = camera.mode(submode)
            x, y, dx, dy = mode.window[ccd]
            if ccd in mode.fast_ccds:
                y, dy = 0, len(rows)
            # The part that is read, at the start of vectors of one length.
            parts = [np.zeros_like(line) for line in (columns, rows)]
            parts[0][:dx], parts[1][:dy] = columns[x : x + dx], rows[y : y + dy]
            lines.append((mode.mode_id, *parts, x, y, dx, dy))
        extensions.append(Extension(f"OFFSET_CCD{ccd}", table_columns(names, lines)))
    return Constituent(camera.name, "DARKFRAME", 3, extensions, "1999-01-01T00:00:00")


def _badpix(camera: Camera) -> Iterator[Constituent]:
    letters = {"hot": "H", "dead": "D", "bad": "B"}
    names = ("CCD_ID", "NODE_ID", "RAWX", "RAWY", "TYPE", "YEXTENT", "UPLINKED")
    rows = [(p.ccd, 0, p.rawx, p.rawy, letters[p.kind], p.yextent, p.uplinked) for p in camera.bad_pixels]
    old, new = {"M1": (27, 45), "M2": (19, 38), "PN": (93, 104)}[camera.code]
    change = "2000-11-09T16:00:00" if camera.is_pn else "2000-12-13T12:00:00"
    header = {"BPT_CODE": (0, "code of the table uploaded on board")} if camera.is_pn else {}
    # Before the change only the first few pixels were known.
    for issue, start, end, selected in (
        (old, "1998-01-01T00:00:00", change, rows[:5] + [row for row in rows if row[4] == "B"]),
        (new, change, None, rows),
    ):
        table = Extension("BADPIX", table_columns(names, selected))
        yield Constituent(camera.name, "BADPIX", issue, [table], start, end, header)


def pattern_roles() -> dict[int, np.ndarray]:
    """Roles of the 5 x 5 pixels (first index RAWY) by MOS pattern: 1 above, 0 below threshold, 2 ignored."""
    arms = ((0, 1), (1, 0), (0, -1), (-1, 0))
    shapes: dict[int, list[tuple[int, int]]] = {0: []}
    for i, arm in enumerate(arms):
        other = arms[(i + 1) % 4]
        shapes[1 + i] = [arm]
        shapes[5 + i] = [arm, other]
        shapes[9 + i] = [arm, other, (arm[0] + other[0], arm[1] + other[1])]
        shapes[15 + i] = [arm, other, arms[(i + 2) % 4]]
        shapes[20 + i] = [arm, (-arm[0], -arm[1]), (arm[0] + other[0], arm[1] + other[1])]
        shapes[26 + i] = [(arm[0] + other[0], arm[1] + other[1])]
    shapes[13], shapes[14] = [arms[1], arms[3]], [arms[0], arms[2]]
    shapes[19] = list(arms)
    shapes[24] = [(1, 0), (-1, 0), (-1, 1), (0, 1), (1, 1)]
    shapes[25] = [(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1) if (x, y) != (0, 0)]
    roles = {}
    for pattern, shape in shapes.items():
        grid = np.full((5, 5), 2)
        pixels = [(0, 0), *shape]
        for x, y in pixels:
            grid[max(y + 1, 0) : y + 4, max(x + 1, 0) : x + 4] = 0
        for x, y in pixels:
            grid[y + 2, x + 2] = 1
        roles[pattern] = grid
    anything = np.full((5, 5), 2)
    anything[2, 2] = 1
    roles[30] = roles[31] = anything
    return dict(sorted(roles.items()))


def _patternlib(camera: Camera) -> Constituent:
    roles = {p: r for p, r in pattern_roles().items() if not camera.is_pn or p <= 12}
    data = {"PATTERN_ID": list(roles), "PATTERN": np.stack([r.ravel() for r in roles.values()])}
    threshold = camera.event_threshold_adu
    header = {"EDUTHR_I": threshold, "EDUTHR_O": threshold}
    modes = PN_MODE_IDS if camera.is_pn else MOS_MODE_IDS
    extensions = [Extension(mode, data, header, {"PATTERN": (5, 5)}) for mode in modes]
    return Constituent(camera.name, "PATTERNLIB", 1 if camera.is_pn else 5, extensions)


# --- effective area --------------------------------------------------------------------------------


#: Patterns of MOS beyond those that are used, as shares of the efficiency of these.
_OTHERS = {False: (*(0.001,) * 13, *(0.004,) * 4, 0.0, 0.02), True: ()}


def _quantumef(camera: Camera) -> Constituent:
    every = np.array([response.QUANTUM_EFFICIENCY[camera.code]])
    pixels = camera.pattern_fractions(1000 * np.array([response.ENERGY_KEV]))
    # Singles, then each orientation of doubles, triples and quadruples; the pn has one column of doubles.
    orientations = (1, 1) if camera.is_pn else (1, 4, 4, 4)
    shares = [pixels[..., n] / k for n, k in enumerate(orientations) for _ in range(k)]
    curves = {f"QE_{k}": share * every for k, share in enumerate([*shares, *_OTHERS[camera.is_pn]])}
    curve = every * sum(shares)
    extensions = [Extension(f"QE_CCD{ccd}", {"REGION": [""], **curves}) for ccd in camera.ccds]
    energies = {"ENERGY": np.array([response.ENERGY_KEV]) * 1000}
    extensions += [
        Extension("EBINS", energies),
        Extension("QE_TOTAL", {"QE_TOTAL": curve}),
        Extension("EBINS_FRACTION", energies),
    ]
    comment = "The share of each pattern is that of the simulated events."
    return Constituent(
        camera.name,
        "QUANTUMEF",
        18 if camera.is_pn else 20,
        extensions,
        "2000-01-01T00:00:00",
        comments=(comment,),
    )


def _filters(camera: Camera) -> Constituent:
    extensions = [
        Extension(
            f"FILTER-{source}{name.upper()}",
            {"REGION": [""], "TRANSMISSION": np.array([(1.0 if name == "Open" else 0.0, *curve)])},
        )
        for source in ("", "CAL")
        for name, curve in response.FILTER_TRANSMISSION.items()
    ]
    # Areas of real observations vanish there; the rest is what photons are drawn with.
    grid = np.array([(response.OPAQUE_KEV, *response.FILTER_ENERGY_KEV)])
    extensions.append(Extension("EBINS", {"ENERGY": 1000 * grid}))
    return Constituent(camera.name, "FILTERTRANSX", 19 if camera.is_pn else 15, extensions)


def _mirror(camera: Camera) -> Constituent:
    energy = np.array((0.0, *response.ENERGY_KEV)) * 1000
    area = np.array((response.MIRROR_AREA_CM2[0], *response.MIRROR_AREA_CM2))
    extensions = [
        Extension("ONAXISXAREAEF", {"ENERGY": energy, "AREA": area}),
        Extension(
            "VIGNETTING",
            {
                "ENERGY": list(response.VIGNETTING),
                "VIGNETTING_FACTOR": np.array(list(response.VIGNETTING.values())),
            },
            {"D_THETA": (response.VIGNETTING_STEP_DEG, "[deg] step in off-axis angle")},
        ),
        Extension("CORRAREA", {"ENERGY": [0.0, 20000.0], "FACTOR": [1.0, 1.0]}),
    ]
    issue = {"M1": 11, "M2": 12, "PN": 14}[camera.code]
    return Constituent(camera.telescope, "XAREAEF", issue, extensions, "2000-01-13T00:00:00")


def _psf(camera: Camera) -> Constituent:
    energy, theta = np.meshgrid(response.KING_ENERGIES_EV, response.KING_ANGLES_ARCMIN, indexing="ij")
    radius, slope = king_parameters(camera.code, energy, theta)
    data = {
        "ENERGY": energy.ravel(),
        "THETA": np.deg2rad(theta.ravel() / 60),
        "PARAMS": np.stack([radius.ravel(), slope.ravel()], axis=-1),
    }
    issue = 18 if camera.is_pn else 16
    return Constituent(
        camera.telescope, "XPSF", issue, [Extension("KING_PARAMS", data)], "2000-01-13T00:00:00"
    )
