"""One MOS exposure from raw files to the content of an event list, in memory.

The order of the steps is that of emchain: frames and events of each CCD, search for bad pixels on them
(all times, then outside flares, then at low energies), then events and energies again with the bad
pixels known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.epic.mos import badpix as bp
from daxa.xmm.epic.mos import energy, events
from daxa.xmm.epic.mos.badpixfind import find
from daxa.xmm.epic.mos.camera import REJECTION_FLAG, Camera, Ccd
from daxa.xmm.epic.mos.events import Events
from daxa.xmm.epic.mos.flares import FlareCurve, flare_curve
from daxa.xmm.epic.mos.patterns import PatternLibrary
from daxa.xmm.epic.mos.reading import open_ccd
from daxa.xmm.event.eventlist import CcdExposure
from daxa.xmm.event.flags import MosFlag
from daxa.xmm.event.gti import GTI
from daxa.xmm.odf.layout import DATA_MODES
from daxa.xmm.odf.odf import OdfFile, OdfTable
from daxa.xmm.odf.times import utc_to_tt
from daxa.xmm.task import TaskError

_POSITION, _TIME, _ENERGY = 1, 2, 3
_DAY_S = 86400.0
#: Silicon K fluorescence [eV] and the half-width of its range.
_SILICON_EV = (1740.0, 100.0)


@dataclass
class ExposureResult:
    """Content of an event list."""

    columns: dict[str, npt.NDArray[Any]]
    ccds: dict[int, CcdExposure]
    start_s: float
    stop_s: float
    frame_time_s: float
    flares: FlareCurve
    n_raw: int
    headers: dict[str, Any]


def read_ccd(camera: Camera, file: OdfFile, auxiliary: OdfTable) -> Ccd:
    """Read one CCD and flag and measure its events a first time.

    The first pass knows no bad pixels, splits no events and randomises nothing.

    Raises
    ------
    TaskError
        The file is damaged or does not fit the auxiliary file.
    """
    ccd = open_ccd(camera, file, auxiliary)
    raw = ccd.raw
    ccd.first = replace(raw, flag=raw.flag.copy(), e1=raw.e1.copy(), e2=raw.e2.copy())
    flag_events(camera, ccd, ccd.first)
    at = energy.at_pixels(ccd.field_of_view, ccd.first.rawx, ccd.first.rawy)
    ccd.first.flag[~at] |= MosFlag.OUT_OF_FOV
    ccd.pha = measure(camera, ccd, ccd.first, None)
    if camera.options.use_bad_pixels:
        _known_bad_pixels(camera, ccd)
    return ccd


def _known_bad_pixels(camera: Camera, ccd: Ccd) -> None:
    """Bad pixels masked on board (calibration and bright-pixel table) and others of the calibration."""
    bp.add_calibration(ccd.pixels, camera.table("BADPIX", "BADPIX"), ccd.number, ccd.node, others=False)
    for file in camera.odf.find(camera.instrument, "PTH"):
        try:
            table = file.read(1)
            mine = (table["CCDID"] == ccd.number) & (table["CCDNODE"] == ccd.node)
            ccd.pixels.add_stretches(
                *(table[k][mine] for k in ("RAWX", "RAWY", "YEXTENT")), bp.HOT, bp.ONBOARD
            )
        except TaskError as error:
            camera.messages.warn(
                "badpix", "MissingData", f"{error.message}; uplinked pixels from the CCF only"
            )
    bp.add_calibration(ccd.pixels, camera.table("BADPIX", "BADPIX"), ccd.number, ccd.node, uplinked=False)


def flag_events(camera: Camera, ccd: Ccd, list_: Events) -> None:
    """The tests of emevents that need neither bad pixels nor positions on the sky."""
    opts, made = camera.options, ccd.frames

    def say(text: str) -> None:
        camera.messages.info("emevents", text)

    below, above = events.flag_thresholds(list_, camera.misc("EMDHLOW"), camera.misc("EMDHHIGH"))
    say(f" {below:12d}  events below the EMDH lower threshold")
    say(f" {above:12d}  events above the EMDH upper threshold")
    say(f" {len(list_):12d}  events in output")
    bad = ~made.good[list_.frame]
    list_.flag[bad] |= MosFlag.IN_BAD_FRAME
    say(f" {int(bad.sum()):12d}  events outside good frames")
    say(f" {events.flag_cosmic(list_):12d}  cosmic-ray events")
    outside = events.flag_window(list_, ccd.limits[:2], ccd.limits[2:])
    say(f" {outside:12d}  events outside window")
    if opts.reject_rows:
        rows, beside, expected = events.flag_noisy_rows(
            list_, len(made), max_above=opts.max_events_per_row, width=opts.width_next_to_row
        )
        say(f" maximum number of expected events per row  {expected:.9g}")
        say(f" {rows:12d}  events in rows with more than {opts.max_events_per_row:g}  events above expected.")
        say(f" {beside:12d}  flagged events next to bad rows")
    low, threshold = events.flag_undershoot(list_)
    say(f" {low:12d}  events with E3 < {threshold:12.0f}  + local median")
    truncated = events.flag_truncated(list_, made.gatti, *ccd.offsets)
    flickering, expected = events.flag_flickering(list_, len(made))
    say(f" maximum number of expected events per bin  {expected:.9g}")
    say(f" {flickering:12d}  events detected as flickering at tolerances  5  2  2")
    say(f" {truncated:12d}  events with truncated E1")
    good = (list_.flag & REJECTION_FLAG == 0).mean() if len(list_) else 0.0
    say(f" Fraction of good events : {good:.9f}")


def measure(
    camera: Camera, ccd: Ccd, list_: Events, dither: npt.NDArray[np.float64] | None
) -> npt.NDArray[np.float64]:
    """Amplitudes of events, with the tests of emenergy; ``dither`` randomises the converter's step."""
    say = camera.messages
    ellipse = {
        "centre": (camera.misc("E3CEN"), camera.misc("E4CEN")),
        "radii": (camera.misc("E3RAD"), camera.misc("E4RAD")),
        "angle_deg": camera.misc("E3ANG"),
    }
    trial = replace(list_, flag=list_.flag.copy())
    energy.flag_incoherent(trial, camera.library, 0.0, **ellipse)
    level, clipped = energy.background(trial, ccd.shape, min_energy_adu=camera.options.min_background_adu)
    say.info("emenergy", f" {clipped:12d}  events rejected by   3.0      sigma clipping on E4 for CCDBKG")
    bad = energy.flag_incoherent(list_, camera.library, level, **ellipse)
    say.info("emenergy", f" {bad:12d}  events outside the ellipse in E3/E1, E4/E1")
    weights = energy.combine_weights(camera.table("ADUCONV", "ENERGY_COMBINE"))
    return energy.amplitude(list_, camera.library, level, weights, 0.0 if dither is None else dither)


def correct(camera: Camera, ccd: Ccd, list_: Events, pha: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Energies [eV] of amplitudes."""
    opts = camera.options
    if opts.correct_cti:
        constituent = camera.cal.constituent(camera.scope, "CTI")
        table = constituent.table("CTI_EXTENDED")
        mine = (table["CCD_ID"] == ccd.number) & (table["NODE_ID"] == ccd.node)
        row = np.flatnonzero(mine & (table["MODE_ID"] == camera.mode_id))
        row = row if len(row) else np.flatnonzero(mine)
        if not len(row):
            raise TaskError(
                "noCtiData",
                f"{constituent.path.name}[CTI_EXTENDED]: no row for CCD {ccd.number} node {ccd.node}",
            )
        reference = utc_to_tt(str(constituent.keyword("REF_DATE", "CTI_EXTENDED")))
        serial, parallel = (tuple(float(table[f"CTI_{a}{k}"][row[0]]) for k in range(3)) for a in "XY")
        columns = energy.column_offsets(constituent.table("CTI_COLUMN"), ccd.number, ccd.node, ccd.shape)
        pha = energy.correct_transfer(
            pha,
            list_.rawx,
            list_.rawy,
            serial=serial,  # type: ignore[arg-type]
            parallel=parallel,  # type: ignore[arg-type]
            days=(float(ccd.frames.time_s.mean()) - reference) / _DAY_S,
            serial_transfers=list_.rawx if ccd.node == 0 else ccd.shape[0] + 1 - list_.rawx,
            column_offset=0.0 if columns is None else energy.at_pixels(columns, list_.rawx, list_.rawy),
        )
    if not opts.correct_gain:
        return pha
    return energy.apply_gain(pha, list_.pattern, ccd.coefficients)


def project(
    ccd: Ccd, list_: Events, use: npt.NDArray[np.bool_], library: PatternLibrary
) -> tuple[npt.NDArray[np.int64], float]:
    """Image of the counts of good events, each on all pixels of its pattern (emeventsproj).

    Returns
    -------
    image, clumping
        Counts, indices RAWY - 1, RAWX - 1, and by how much their variance exceeds that of single counts.
    """
    nx, ny = ccd.shape
    image = np.zeros(nx * ny, np.int64)
    use = use & (list_.flag & REJECTION_FLAG == 0)
    pattern, x, y = list_.pattern[use], list_.rawx[use], list_.rawy[use]
    sizes = library.n_pixels[pattern]
    for k in range(int(sizes.max()) if len(sizes) else 0):
        offset = np.array([o[k] if k < len(o) else (0, 0) for o in library.offsets])
        chosen = sizes > k
        px, py = x[chosen] + offset[pattern[chosen], 0], y[chosen] + offset[pattern[chosen], 1]
        inside = (px >= 1) & (px <= nx) & (py >= 1) & (py <= ny)
        image += np.bincount((py[inside] - 1) * nx + px[inside] - 1, minlength=nx * ny)
    clumping = float((sizes**2).sum() / sizes.sum()) if len(sizes) else 1.0
    return image.reshape(ny, nx), clumping


def search_bad_pixels(
    camera: Camera, ccd: Ccd, use: npt.NDArray[np.bool_], *, low_energy: bool = False, **changes: Any
) -> None:
    """Search the first pass's events for bad pixels and add them to the CCD's list.

    At low energies pixels next to dead ones are left out: they hold the remains of events whose other
    pixels are dead.
    """
    image, clumping = project(ccd, ccd.first, use, camera.library)
    x0, x1, y0, y1 = ccd.limits
    good = np.zeros(image.shape, bool)
    good[y0 - 1 : y1, x0 - 1 : x1] = True
    good &= ~ccd.pixels.bad
    if low_energy:
        blind = (ccd.pixels.kind == bp.DEAD) | (ccd.pixels.origin == bp.ONBOARD)
        good &= ~energy.beside(blind)
    found = find(image, good, replace(camera.options.search, **changes), clumping)
    for number, (bright, dark_c, bright_c, dark_r, bright_r, dark) in enumerate(found.passes, start=1):
        for text in (
            f" Iteration {number:12d}",
            f" {bright:12d}  bright pixels found in image",
            f" {dark_c:12d}  dark and {bright_c:12d}  bright columns found in image",
            f" {dark_r:12d}  dark and {bright_r:12d}  bright rows found in image",
            f" {dark:12d}  dark pixels found in image",
        ):
            camera.messages.info("embadpixfind", text)
    ccd.pixels.add(found.bright, bp.HOT, bp.FOUND)
    ccd.pixels.add(found.dark, bp.DEAD, bp.FOUND)


def finish_ccd(camera: Camera, ccd: Ccd, gti: GTI) -> tuple[dict[str, npt.NDArray[Any]], CcdExposure]:
    """Second pass over one CCD: bad pixels, splitting, positions, times, energies, selection.

    Returns
    -------
    columns, exposure
        Event columns of the list, and the CCD's other extensions.
    """
    opts, say = camera.options, camera.messages
    ccd.pixels.clip(ccd.limits)
    table = ccd.pixels.table()
    say.info("badpix", f" {len(table['RAWX']):12d}  final bad pixel sets will be added to BADPIX extension")
    say.info("emevents", f" {len(ccd.raw):12d}  events in input")
    list_ = replace(ccd.raw)
    list_ = list_.take(np.arange(len(list_)))
    silicon = None
    if opts.keep_silicon:
        gain = ccd.coefficients[0, 1]
        silicon = tuple((_SILICON_EV[0] + s * _SILICON_EV[1]) / gain for s in (-1, 1))
    list_, split = events.split_diagonals(list_, camera.library, silicon)  # type: ignore[arg-type]
    say.info("emevents", f" {split:12d}  diagonal events split in two")
    maps = ccd.pixels.maps
    changed = 0
    if ccd.pixels.bad.any():
        list_, changed = events.cut_bad(list_, camera.library, maps["bright"] | maps["onboard"])
        dead = energy.at_pixels(maps["dead"], list_.rawx, list_.rawy)
        list_.flag[dead & (list_.rawx >= 1) & (list_.rawy >= 1)] |= MosFlag.ON_BADPIX
    say.info("emevents", f" {changed:12d}  events removed or modified by CUT_BAD")
    flag_events(camera, ccd, list_)
    energy.flag_neighbours(list_, maps, ccd.limits, ccd.shape)

    n = len(list_)
    shift = np.zeros((2, n))
    if opts.randomize_position:
        shift = camera.random(ccd.number, ccd.node, _POSITION).uniform(-0.5, 0.5, (2, n))
    detx, dety = camera.geometry.raw_to_det(
        ccd.number, list_.rawx + shift[0], list_.rawy + shift[1], ccd.node
    )
    detx, dety = np.rint(detx), np.rint(dety)
    list_.flag[~camera.geometry.in_fov(detx, dety)] |= MosFlag.OUT_OF_FOV
    out = int((list_.flag & int(MosFlag.OUT_OF_FOV) != 0).sum())
    say.info("emenergy", f" {out:12d}  events outside field of view")
    time = ccd.frames.time_s[list_.frame]
    if opts.randomize_time:
        time = time + ccd.frames.length_s * camera.random(ccd.number, ccd.node, _TIME).uniform(-0.5, 0.5, n)
    dither = (
        camera.random(ccd.number, ccd.node, _ENERGY).uniform(-0.5, 0.5, n) if opts.randomize_energy else None
    )
    pha = measure(camera, ccd, list_, dither)
    pi = correct(camera, ccd, list_, pha)

    keep = np.ones(n, bool)
    if opts.reject_bad_events:
        keep &= list_.flag & opts.rejection_flag == 0
    if opts.apply_ccd_gti:
        keep &= gti.contains(time)
    say.info("evselect", f"selected {int(keep.sum())} rows from the input table.")
    order = np.flatnonzero(keep)
    order = order[np.argsort(time[order], kind="stable")]
    columns = {
        "TIME": time[order],
        "RAWX": list_.rawx[order],
        "RAWY": list_.rawy[order],
        "DETX": detx[order].astype(np.int16),
        "DETY": dety[order].astype(np.int16),
        "PHA": energy.to_channel(pha[order]),
        "PI": energy.to_channel(pi[order]),
        "FLAG": list_.flag[order].astype(np.int32),
        "PATTERN": list_.pattern[order].astype(np.uint8),
        "CCDNR": np.full(len(order), ccd.name, np.uint8),
    }
    return columns, _exposure(camera, ccd, gti, table)


def ccd_keywords(camera: Camera, ccd: Ccd) -> dict[str, Any]:
    """Keywords of the extensions of one CCD."""
    x0, x1, y0, y1 = ccd.limits
    return {
        "CCDID": (ccd.number, "CCD"),
        "CCDNODE": (ccd.node, "read-out node"),
        "CCDMODE": (
            DATA_MODES.get(ccd.file.name.file_type, ccd.file.name.file_type),
            "mode of the CCD",
        ),
        "WINDOWX0": (x0, "[pixel] first column of the window"),
        "WINDOWY0": (y0, "[pixel] first row of the window"),
        "WINDOWDX": (x1 - x0 + 1, "[pixel] columns of the window"),
        "WINDOWDY": (y1 - y0 + 1, "[pixel] rows of the window"),
        "FRMTIME": (round(1000 * ccd.frames.length_s), "[ms] frame time"),
        "GAIN_CCD": ("HIGH", "gain of the CCD"),
        "EDUTHR": (camera.library.thresholds_adu[0 if ccd.number == 1 else 1], "[adu] event threshold"),
        "GATTI_ON": (ccd.gatti_on, "sliding scale moves"),
        "COSMICSI": (camera.misc("COSMICSI"), "size of cosmic-ray tracks"),
        "COSMICOU": (camera.misc("COSMICOU"), "cosmic rays outside over inside the field"),
    }


def _exposure(camera: Camera, ccd: Ccd, gti: GTI, table: dict[str, npt.NDArray[np.int16]]) -> CcdExposure:
    return CcdExposure(
        ccd.frames.time_s,
        np.full(len(ccd.frames), ccd.frames.length_s * camera.duty_cycle(ccd.number)),
        ccd.frames.fraction,
        gti,
        table,
        ccd_keywords(camera, ccd),
    )


def process(
    camera: Camera, files: list[OdfFile], auxiliary: OdfTable, *, stop_on_error: bool = False
) -> ExposureResult:
    """Process the imaging CCDs of an exposure.

    A CCD whose files are damaged is left out with a warning.

    Raises
    ------
    TaskError
        No CCD could be processed (or the first failed, with ``stop_on_error``).
    """
    from daxa.xmm.sky.attcalc import sky_coordinates

    say = camera.messages
    ccds: list[Ccd] = []
    failures: list[TaskError] = []

    def attempt(label: str, function: Callable[[], Any]) -> Any:
        try:
            return function()
        except TaskError as error:
            if stop_on_error:
                raise
            say.warn("emchain", error.code, f"{error.message}; {label} is left out")
            failures.append(error)
            return None

    for file in files:
        say.info("", f"Processing data set: {file.path}")
        made = attempt(f"CCD {file.name.ccd}", lambda file=file: read_ccd(camera, file, auxiliary))
        if made is not None:
            ccds.append(made)
    if not ccds:
        if failures:
            raise failures[0]
        raise TaskError("MissingData", f"{camera.instrument} {camera.exp_id}: no imaging event file")
    curve = _search(camera, ccds)
    parts, exposures = [], {}
    for ccd in ccds:
        done = attempt(f"CCD {ccd.number}", lambda ccd=ccd: finish_ccd(camera, ccd, ccd.frames.gti()))
        if done is not None:
            parts.append(done[0])
            exposures[ccd.name] = done[1]
    if not parts:
        raise failures[0]
    columns = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    columns["X"], columns["Y"] = sky_coordinates(
        columns["TIME"],
        columns["DETX"],
        columns["DETY"],
        camera.geometry,
        camera.attitude,
        *camera.pointing[:2],
    )
    prime = next((c for c in ccds if c.number == 1), ccds[0])
    half = 0.5 * prime.frames.length_s
    return ExposureResult(
        columns,
        exposures,
        min(float(c.frames.time_s[0]) for c in ccds) - half,
        max(float(c.frames.time_s[-1]) for c in ccds) + half,
        prime.frames.length_s,
        curve,
        sum(len(c.raw) for c in ccds),
        {
            "RAND_XY": (camera.options.randomize_position, "positions randomised in the pixel"),
            "RAND_TIM": (camera.options.randomize_time, "times randomised in the frame"),
            "DET_SYST": ("CAMCOORD2", "system of DETX, DETY"),
            "SETCOORD": (True, "coordinates set"),
            "FRMTIME": (round(1000 * prime.frames.length_s), "[ms] frame time"),
            "BINODAL": (any(c.node for c in ccds), "read out through two nodes"),
        },
    )


def flare_events(ccds: list[Ccd]) -> tuple[npt.NDArray[np.float64], GTI, float]:
    """Times of saturated single events in the field of view, good times and area of the CCDs."""
    others = REJECTION_FLAG | int(MosFlag.OUT_OF_FOV)
    times = []
    for ccd in ccds:
        e = ccd.first
        chosen = (e.pattern == 0) & (e.flag & int(MosFlag.REJECTED_BY_GATTI) != 0) & (e.flag & others == 0)
        times.append(ccd.frames.time_s[e.frame[chosen]])
    return np.concatenate(times), GTI.union(c.frames.gti() for c in ccds), sum(c.arcmin2 for c in ccds)


def _search(camera: Camera, ccds: list[Ccd]) -> FlareCurve:
    """Search all CCDs for bad pixels: at all times, outside flares, and there at low energies."""
    opts, say = camera.options, camera.messages
    curve = flare_curve(*flare_events(ccds), opts.flare_bin_s)
    if not (opts.find_bad_pixels and opts.use_bad_pixels):
        return curve
    quiet = curve.gti(opts.flare_max_rate)
    for ccd in ccds:
        say.info("embadpixfind", f" CCD {ccd.number} node {ccd.node}")
        search_bad_pixels(camera, ccd, np.ones(len(ccd.first), bool))
        calm = quiet.contains(ccd.frames.time_s[ccd.first.frame])
        if calm.any() and not calm.all():
            search_bad_pixels(camera, ccd, calm, find_dark=False)
        if opts.low_energy_search:
            # The search uses amplitudes: the energy limit is turned into one.
            limit = (opts.low_energy_ev - ccd.coefficients[0, 0]) / ccd.coefficients[0, 1]
            search_bad_pixels(camera, ccd, calm & (ccd.pha < limit), low_energy=True)
    return curve
