"""The sub-tasks of the MOS chain in memory, each a function with SAS's name.

:func:`~daxa.xmm.epic.mos.reading.emframes` makes a CCD of its files; here are what follows: :func:`emevents`,
:func:`emenergy`, :func:`emeventsproj`, :func:`embadpixfind`, :func:`badpix`, :func:`ebadpixupdate`. They
choose calibration and parameters, and print SAS's lines; the algorithms are in the modules ``events``,
``energy``, ``offsets``, ``badpixfind`` and ``badpix``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from daxa.xmm.ccf.mos_losses import transfer_laws
from daxa.xmm.epic.mos import badpix as bp
from daxa.xmm.epic.mos import energy, events
from daxa.xmm.epic.mos.badpixfind import Search, find
from daxa.xmm.epic.mos.camera import Calibrated, Camera, Ccd
from daxa.xmm.epic.mos.events import Events
from daxa.xmm.epic.mos.offsets import LineOffsets, corrected, wrong_offsets
from daxa.xmm.epic.mos.options import REJECTION_FLAG, Badpix, Emenergy, Emevents, Emeventsproj
from daxa.xmm.epic.mos.patterns import PatternLibrary
from daxa.xmm.errors import TaskError
from daxa.xmm.formats.flags import MosFlag

_POSITION, _TIME, _ENERGY = 1, 2, 3
_DAY_S = 86400.0
#: Silicon K fluorescence [eV] and the half-width of its range.
_SILICON_EV = (1740.0, 100.0)
#: Single events above this energy [eV] are mostly real: their E3 tells about offsets.
_OFFSET_TEST_EV = 500.0
#: Share of the frames in which a row may be rejected, and of good events, before a warning is due.
_MANY_FRAMES, _FEW_GOOD = 0.01, 0.1


def badpix(ccd: Ccd, params: Badpix) -> bp.BadPixels:
    """Bad pixels of a CCD: masked on board, others of the calibration, found in the observation."""
    origins = ((bp.ONBOARD, params.getuplnkbadpix), (bp.CALIBRATION, params.getotherbadpix))
    pixels = ccd.known.chosen(*(origin for origin, wanted in origins if wanted))
    if params.getnewbadpix:
        pixels = pixels.merged(ccd.found)
    if params.windowfilter:
        pixels.clip(ccd.limits)
    return pixels


def emevents(camera: Camera, ccd: Ccd, pixels: bp.BadPixels | None, params: Emevents) -> Calibrated:
    """Analyse a CCD's events again, flag them, and give them places in the camera and times.

    Parameters
    ----------
    camera, ccd
        The exposure and the CCD that emframes made.
    pixels
        Bad pixels (badpix); None if there are none yet.
    params
        Parameters of the task.
    """
    say = _line(camera, "emevents")
    say(f" {len(ccd.raw):12d}  events in input")
    list_ = ccd.raw.take(np.arange(len(ccd.raw)))
    if ccd.file_type == "RIE" and (params.splitdiagonals or params.rejectbade3):
        camera.messages.warn(
            "emevents",
            "getParamValues11",
            f"CCD {ccd.number}: splitdiagonals or rejectbade3, but not in imaging mode: ignored",
        )
    elif params.splitdiagonals:
        silicon = None
        if params.keepsifluor:
            gain = ccd.coefficients[0, 1]
            silicon = ((_SILICON_EV[0] - _SILICON_EV[1]) / gain, (_SILICON_EV[0] + _SILICON_EV[1]) / gain)
        list_, split = events.split_diagonals(list_, camera.library, silicon)
        say(f" {split:12d}  diagonal events split in two")
    if params.flagbadpixels and pixels is not None:
        list_, changed = _cut_bad(camera, list_, pixels, params.analysepatterns)
        say(f" {changed:12d}  events removed or modified by CUT_BAD")
    wrong = _flag_events(camera, ccd, list_, params, say)
    n = len(list_)
    shift = np.zeros((2, n))
    if params.randomizeposition:
        shift = camera.random(ccd.number, ccd.node, _POSITION).uniform(-0.5, 0.5, (2, n))
    detx, dety = camera.geometry.raw_to_det(
        ccd.number, list_.rawx + shift[0], list_.rawy + shift[1], ccd.node
    )
    time = ccd.frames.time_s[list_.frame]
    if params.randomizetime:
        part = camera.random(ccd.number, ccd.node, _TIME).uniform(-0.5, 0.5, n)
        time = time + ccd.frames.integration_s[list_.frame] * part
    return Calibrated(list_, time, np.rint(detx), np.rint(dety), wrong)


def _line(camera: Camera, subtask: str) -> Callable[[str], None]:
    return lambda text: camera.messages.info(subtask, text)


def _cut_bad(camera: Camera, list_: Events, pixels: bp.BadPixels, analyse: bool) -> tuple[Events, int]:
    maps = pixels.maps
    changed = 0
    if pixels.bad.any():
        list_, changed = events.cut_bad(
            list_, camera.library, maps["bright"] | maps["onboard"], split=analyse
        )
        dead = energy.at_pixels(maps["dead"], list_.rawx, list_.rawy)
        list_.flag[dead & (list_.rawx >= 1) & (list_.rawy >= 1)] |= MosFlag.ON_BADPIX
    return list_, changed


def _flag_events(
    camera: Camera, ccd: Ccd, list_: Events, params: Emevents, say: Callable[[str], None]
) -> LineOffsets:
    """The tests of emevents, in SAS's order; returns the wrong offsets found."""
    made, warn = ccd.frames, camera.messages.warn
    below, above = events.flag_thresholds(list_, *camera.energy_limits(ccd.header))
    say(f" {below:12d}  events below the EMDH lower threshold")
    say(f" {above:12d}  events above the EMDH upper threshold")
    say(f" {len(list_):12d}  events in output")
    if params.flagbadtimes:
        bad = ~made.good[list_.frame]
        list_.flag[bad] |= MosFlag.IN_BAD_FRAME
        say(f" {int(bad.sum()):12d}  events outside good frames")
        list_.flag[made.spoiled[list_.frame]] |= MosFlag.IN_SPOILED_FRAME
    say(f" {events.flag_cosmic(list_):12d}  cosmic-ray events")
    outside = events.flag_window(list_, ccd.limits[:2], ccd.limits[2:])
    say(f" {outside:12d}  events outside window")
    if params.rejectrows:
        noisy = events.flag_noisy_rows(
            list_, len(made), max_above=params.maxeventsperrow, width=params.widthnexttorow
        )
        say(f" maximum number of expected events per row  {noisy.expected:.9g}")
        most = f"{params.maxeventsperrow:g}"
        say(f" {noisy.in_rows:12d}  events in rows with more than {most}  events above expected.")
        say(f" {noisy.beside:12d}  flagged events next to bad rows")
        if noisy.worst_share > _MANY_FRAMES:
            warn(
                "emevents",
                "rejectRows12",
                f"Fraction of rejected frames {noisy.worst_share:.6g} exceeds 1% at some rows, "
                f"{noisy.worst_row} of CCD {ccd.number}",
            )
    imaging = ccd.file_type != "RIE"
    wrong = LineOffsets.none(ccd.shape)
    if params.detectbadoffsets and imaging:
        wrong = _wrong_offsets(ccd, list_)
        for name, lines in (("OFFSETX", wrong.column), ("OFFSETY", wrong.row)):
            if lines.any():
                say(f" {int((lines > 0).sum()):12d}  wrong {name}")
        hit = _on_lines(list_, wrong.column > 0, wrong.row > 0)
        list_.flag[hit] |= MosFlag.ON_BADOFFSET
        say(f" {int(hit.sum()):12d}  events on row/column with wrong offset")
    if params.rejectbade3 and imaging:
        e3, _ = corrected(list_, camera.library, wrong)
        low, threshold = events.flag_undershoot(replace(list_, e3=e3))
        say(f" {low:12d}  events with E3 < {threshold:12.0f}  + local median")
    truncated = 0
    if params.flagtruncatede1:
        truncated = events.flag_truncated(list_, made.gatti, ccd.offsets.column, ccd.offsets.row)
    if params.rejectflickering:
        flickering, most_expected = events.flag_flickering(list_, len(made), tolerance=params.tolfxy)
        say(f" maximum number of expected events per bin  {most_expected:.9g}")
        listed = "  ".join(map(str, params.tolfxy))
        say(f" {flickering:12d}  events detected as flickering at tolerances  {listed}")
    say(f" {truncated:12d}  events with truncated E1")
    good = float((list_.flag & REJECTION_FLAG == 0).mean()) if len(list_) else 0.0
    say(f" Fraction of good events : {good:.9f}")
    if len(list_) and good < _FEW_GOOD:
        warn(
            "emevents",
            "checkRejected10",
            f"CCD {ccd.number}: the fraction of good events {good:.6g} is less than {_FEW_GOOD:g}",
        )
    return wrong


def _wrong_offsets(ccd: Ccd, list_: Events) -> LineOffsets:
    limit = (_OFFSET_TEST_EV - ccd.coefficients[0, 0]) / ccd.coefficients[0, 1]
    use = (list_.flag & REJECTION_FLAG == 0) & (list_.pattern == 0) & (list_.e1 > limit)
    return LineOffsets(
        *(
            wrong_offsets(position[use], list_.e3[use], n)
            for position, n in zip((list_.rawx, list_.rawy), ccd.shape, strict=True)
        )
    )


def _on_lines(list_: Events, column: npt.NDArray[np.bool_], row: npt.NDArray[np.bool_]) -> npt.NDArray:
    hit = np.zeros(len(list_), bool)
    for lines, position in ((column, list_.rawx), (row, list_.rawy)):
        if lines.any():
            inside = (position >= 1) & (position <= len(lines))
            hit |= inside & lines[np.clip(position - 1, 0, len(lines) - 1)]
    return hit


def emenergy(
    camera: Camera, ccd: Ccd, made: Calibrated, pixels: bp.BadPixels | None, params: Emenergy
) -> npt.NDArray[np.float64]:
    """Flag events by their surroundings, and measure their amplitudes and energies.

    Sets ``made.pha`` and ``made.pi`` (equal to the amplitude without ``correctgain``).

    Returns
    -------
    array
        Map of the local background, see :func:`~daxa.xmm.epic.mos.energy.background_map`.
    """
    say = _line(camera, "emenergy")
    list_ = made.events
    lines = ccd.lines + made.wrong
    if params.flagevents:
        maps = (pixels or bp.BadPixels(ccd.shape)).maps
        energy.flag_neighbours(list_, maps, ccd.limits, ccd.shape, lines.blind, ccd.node_limit)
    list_.flag[~camera.geometry.in_fov(made.detx, made.dety)] |= MosFlag.OUT_OF_FOV
    out = int((list_.flag & int(MosFlag.OUT_OF_FOV) != 0).sum())
    say(f" {out:12d}  events outside field of view")
    # Single pixels were sent without their surroundings.
    surroundings = ccd.file_type != "RIE"
    e3, e4 = corrected(list_, camera.library, made.wrong)
    level: npt.NDArray[np.float64] = np.zeros(len(list_))
    image = np.zeros((1, 1))
    ellipse = {
        "centre": (camera.misc("E3CEN"), camera.misc("E4CEN")),
        "radii": (camera.misc("E3RAD"), camera.misc("E4RAD")),
        "angle_deg": camera.misc("E3ANG"),
    }
    seen = replace(list_, e3=e3, e4=e4)
    if params.getccdbkg and surroundings:
        trial = replace(seen, flag=list_.flag.copy())
        if params.rejectbade3e4:
            bad = energy.flag_incoherent(trial, camera.library, 0.0, **ellipse)
            say(f" {bad:12d}  events outside the ellipse in E3/E1, E4/E1")
        level, image, clipped = energy.background(
            trial,
            ccd.shape,
            min_energy_adu=params.minenergy,
            max_peripix=params.maxperipix,
            min_number=params.fillminnumber,
            fill=params.fillccdbkg,
        )
        say(f" {clipped:12d}  events rejected by   3.0      sigma clipping on E4 for CCDBKG")
    if params.rejectbade3e4 and surroundings:
        bad = energy.flag_incoherent(seen, camera.library, level, **ellipse)
        say(f" {bad:12d}  events outside the ellipse in E3/E1, E4/E1")
    dither: npt.NDArray[np.float64] | float = 0.0
    if params.randomizeenergy:
        dither = camera.random(ccd.number, ccd.node, _ENERGY).uniform(-0.5, 0.5, len(list_))
    if surroundings:
        weights = energy.combine_weights(camera.table("ADUCONV", "ENERGY_COMBINE"))
        made.pha = energy.amplitude(seen, camera.library, level, weights, dither)
    else:
        made.pha = list_.e1 + list_.e2 + dither
    low = camera.event_threshold(ccd.header, ccd.number)
    _count_outside(say, "PHA", made.pha, low, float(events.ADC_MAXIMUM))
    made.pi = correct(camera, ccd, list_, made.pha, params)
    if params.correctgain:
        ends = energy.apply_gain([low, events.ADC_MAXIMUM], [0, 0], ccd.coefficients)
        _count_outside(say, "PI", made.pi, *np.rint(ends))
    return image


def _count_outside(
    say: Callable[[str], None], name: str, values: npt.NDArray[np.float64], low: float, high: float
) -> None:
    number = int(((values < low) | (values > high)).sum())
    say(f" {number:12d}  events with {name} out of range {low:11.0f}  - {high:11.0f}")


def correct(
    camera: Camera, ccd: Ccd, list_: Events, pha: npt.NDArray[np.float64], params: Emenergy
) -> npt.NDArray[np.float64]:
    """Energies [eV] of amplitudes: charge transfer and gain (CTI_CORR, ENERGY)."""
    if params.correctcti:
        constituent = camera.cal.constituent(camera.scope, "CTI")
        table = constituent.table("CTI_EXTENDED")
        mine = (table["CCD_ID"] == ccd.number) & (table["NODE_ID"] == ccd.node)
        row = np.flatnonzero(mine & camera.of_mode(table))
        row = row if len(row) else np.flatnonzero(mine)
        if not len(row):
            raise TaskError(
                "noCtiData",
                f"{constituent.path.name}[CTI_EXTENDED]: no row for CCD {ccd.number} node {ccd.node}",
            )
        reference = constituent.date("REF_DATE", "CTI_EXTENDED")
        # Of the frames that came: a file of events knows no others.
        days = (float(ccd.frames.time_s[ccd.frames.received].mean()) - reference) / _DAY_S
        where = f"{constituent.path.name}[CTI_EXTENDED]"
        serial, parallel = transfer_laws(table, int(row[0]), days, where)
        columns = energy.column_offsets(constituent.table("CTI_COLUMN"), ccd.number, ccd.node, ccd.shape)
        pha = energy.correct_transfer(
            pha,
            list_.rawx,
            list_.rawy,
            serial=serial,
            parallel=parallel,
            days=days,
            column_offset=0.0 if columns is None else energy.at_pixels(columns, list_.rawx, list_.rawy),
        )
    if not params.correctgain:
        return pha
    return energy.apply_gain(pha, list_.pattern, ccd.coefficients)


def emeventsproj(
    shape: tuple[int, int],
    list_: Events,
    use: npt.NDArray[np.bool_],
    library: PatternLibrary,
    params: Emeventsproj,
) -> tuple[npt.NDArray[np.float64], float]:
    """Image of events, each on all pixels of its pattern.

    With ``rejectbadevents`` flagged events stay out, those outside the field of view and truncated ones
    apart. With ``projectenergy`` the main pixel gets E1, and the others share E2.

    Returns
    -------
    image, clumping
        Counts (or adu), indices RAWY - 1, RAWX - 1, and by how much their variance exceeds that of single
        counts.
    """
    nx, ny = shape
    image = np.zeros(nx * ny)
    if params.rejectbadevents:
        use = use & (list_.flag & REJECTION_FLAG == 0)
    chosen_events = list_.take(np.flatnonzero(use))
    pattern, x, y = chosen_events.pattern, chosen_events.rawx, chosen_events.rawy
    sizes = library.n_pixels[pattern]
    for k in range(int(sizes.max()) if len(sizes) else 0):
        offset = np.array([o[k] if k < len(o) else (0, 0) for o in library.offsets])
        chosen = sizes > k
        px, py = x[chosen] + offset[pattern[chosen], 0], y[chosen] + offset[pattern[chosen], 1]
        inside = (px >= 1) & (px <= nx) & (py >= 1) & (py <= ny)
        weight = None
        if params.projectenergy:
            charge = chosen_events.e1 if k == 0 else chosen_events.e2 / np.maximum(sizes - 1, 1)
            weight = charge[chosen][inside]
        image += np.bincount((py[inside] - 1) * nx + px[inside] - 1, weights=weight, minlength=nx * ny)
    clumping = float((sizes**2).sum() / sizes.sum()) if len(sizes) else 1.0
    return image.reshape(ny, nx), clumping


def embadpixfind(
    camera: Camera,
    ccd: Ccd,
    image: npt.NDArray[np.float64],
    params: Search,
    *,
    clumping: float = 1.0,
) -> None:
    """Search an image for bad pixels and add them to ``ccd.found``; those found before are left out.

    Neighbours of dead and masked pixels are looked at: in real lists column 599 is bright on every CCD,
    beside column 600, which is dead.
    """
    x0, x1, y0, y1 = ccd.limits
    good = np.zeros(image.shape, bool)
    good[y0 - 1 : y1, x0 - 1 : x1] = True
    good &= ~ccd.found.bad
    known = ccd.known.maps
    if params.usecal:
        good &= ~(known["onboard"] | known["dead"])
        if not params.ignoreccfbright:
            good &= ~known["bright"]
        mean = float(image[good].mean()) if good.any() else 0.0
        lit = known["onboard"] & (image > mean + 5.0 * np.sqrt(mean) + 1.0)
        for y, x in np.argwhere(lit)[:1]:
            camera.messages.warn(
                "embadpixfind",
                "getCalBadpix10",
                f"CCD {ccd.number}: bright pixel at {x + 1} {y + 1} is declared uplinked in the CCF but is "
                f"present in the data ({int(lit.sum())} such pixels)",
            )
    found = find(image, good, params, clumping)
    say = _line(camera, "embadpixfind")
    for number, (bright, dark_c, bright_c, dark_r, bright_r, dark) in enumerate(found.passes, start=1):
        say(f" Iteration {number:12d}")
        say(f" {bright:12d}  bright pixels found in image")
        say(f" {dark_c:12d}  dark and {bright_c:12d}  bright columns found in image")
        say(f" {dark_r:12d}  dark and {bright_r:12d}  bright rows found in image")
        say(f" {dark:12d}  dark pixels found in image")
    ccd.found.add(found.bright, bp.HOT, bp.FOUND)
    ccd.found.add(found.dark, bp.DEAD, bp.FOUND)


def ebadpixupdate(ccd: Ccd, list_: Events) -> npt.NDArray[np.int64]:
    """Flags of events with ON_BADPIX for those whose main pixel is a bright one found in the data."""
    inside = (list_.rawx >= 1) & (list_.rawx <= ccd.shape[0]) & (list_.rawy >= 1)
    inside &= list_.rawy <= ccd.shape[1]
    on = inside & energy.at_pixels(ccd.found.bad, list_.rawx, list_.rawy)
    return np.where(on, list_.flag | int(MosFlag.ON_BADPIX), list_.flag)
