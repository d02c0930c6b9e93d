"""One MOS exposure from raw files to the content of an event list, in memory.

The order of the steps is that of emchain: frames and events of each CCD, search for bad pixels on them
(all times, then outside flares, then at low energies), then events and energies again with the bad
pixels known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.ccf.layout import MOS_MODE_IDS
from daxa.xmm.epic.mos import badpix as bp
from daxa.xmm.epic.mos import energy, events, frames
from daxa.xmm.epic.mos.badpixfind import Search, find
from daxa.xmm.epic.mos.events import Events
from daxa.xmm.epic.mos.flares import FlareCurve, flare_curve
from daxa.xmm.epic.mos.patterns import COSMIC_PATTERNS, N_PATTERNS, PatternLibrary
from daxa.xmm.event.eventlist import UNIT_ARCSEC, CcdExposure
from daxa.xmm.event.flags import MosFlag
from daxa.xmm.event.gti import GTI
from daxa.xmm.odf.layout import INSTRUMENTS, MOS_IMAGING, MOS_OFFSETS
from daxa.xmm.odf.modes import ReadoutWindow
from daxa.xmm.odf.odf import Odf, OdfFile, OdfTable
from daxa.xmm.odf.times import TimeCorrelation, utc_to_tt
from daxa.xmm.task import TaskError

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.sky.attitude import Attitude
    from daxa.xmm.sky.geometry import CameraGeometry

#: Bits that disqualify an event for the bad-pixel search and, by default, for the event list.
REJECTION_FLAG = 0x762AA000
_POSITION, _TIME, _ENERGY = 1, 2, 3
_COUNTERS = ("NPIXEL", "NVALID", "NBELOW", "NABOVE", "GATTIFLG", "FIFOOVF")
_DAY_S = 86400.0
#: Silicon K fluorescence [eV] and the half-width of its range.
_SILICON_EV = (1740.0, 100.0)


@dataclass
class Options:
    """What emchain and emproc let their users choose."""

    randomize_position: bool = True
    randomize_time: bool = True
    randomize_energy: bool = True
    find_bad_pixels: bool = True
    low_energy_search: bool = True
    low_energy_ev: float = 500.0
    use_bad_pixels: bool = True
    reject_rows: bool = True
    max_events_per_row: float = 4.0
    width_next_to_row: int = 10
    keep_silicon: bool = False
    correct_cti: bool = True
    correct_gain: bool = True
    reject_bad_events: bool = True
    rejection_flag: int = REJECTION_FLAG
    apply_ccd_gti: bool = True
    flare_bin_s: float = 52.0
    flare_max_rate: float = 2.0
    min_background_adu: float = 100.0
    search: Search = field(default_factory=Search)


Log = Callable[[str, str], None]


@dataclass
class Messages:
    """Where a sub-task's lines go: ``info(task, text)``, ``warn(task, code, text)``."""

    info: Callable[[str, str], None] = lambda task, text: None
    warn: Callable[[str, str, str], None] = lambda task, code, text: None


@dataclass
class Camera:
    """Everything that the CCDs of an exposure share."""

    odf: Odf
    instrument: str
    exp_id: str
    submode: str
    cal: Calibration
    geometry: CameraGeometry
    correlation: TimeCorrelation
    attitude: Attitude
    pointing: tuple[float, float, float]
    options: Options
    messages: Messages
    external_gti: GTI | None = None
    library: PatternLibrary = field(init=False)

    def __post_init__(self) -> None:
        self.scope = INSTRUMENTS[self.instrument]
        self.library = PatternLibrary.from_calibration(self.cal, self.scope)
        self.mode_id = MOS_MODE_IDS.get(self.submode, 0)

    def table(self, typeid: str, extname: str) -> Mapping[str, npt.NDArray[Any]]:
        """Table of one of the camera's constituents."""
        return self.cal.constituent(self.scope, typeid).table(extname)

    def misc(self, name: str) -> float:
        """Number of XMM_MISCDATA for this camera."""
        return self.cal.misc(self.scope, name)

    def random(self, ccd: int, node: int, purpose: int) -> np.random.Generator:
        """Generator that gives the same numbers for the same CCD of the same exposure."""
        exposure = (ord(self.exp_id[0]), int(self.exp_id[1:]))
        camera = sum(self.instrument.encode())
        return np.random.default_rng([int(self.odf.obs_id), camera, *exposure, ccd, node, purpose])

    def frame_times(self, ccd: int) -> tuple[float | None, float]:
        """Nominal frame time and delay of the time stamps [s] of a CCD in this mode."""
        table = self.table("TIMECORR", "FRAMETIME")
        row = np.flatnonzero(table["MODE_ID"] == self.mode_id)
        if not len(row):
            self.messages.warn("emframes", "noTimeCorrection", f"no entry for {self.submode}: delay 0")
            return None, 0.0
        element = 0 if ccd == 1 else 1
        return tuple(float(table[n][row[0]][element]) for n in ("FRAME_TIME", "DELAY"))  # type: ignore[return-value]


@dataclass
class Ccd:
    """One CCD and node on its way through the pipeline."""

    number: int
    node: int
    file: OdfFile
    header: OdfTable
    window: ReadoutWindow
    shape: tuple[int, int]
    limits: tuple[int, int, int, int]
    raw: Events
    frames: frames.Frames
    field_of_view: npt.NDArray[np.bool_]
    arcmin2: float
    offsets: tuple[npt.NDArray[Any] | None, npt.NDArray[Any] | None]
    gatti_on: bool
    first: Events
    pixels: bp.BadPixels
    coefficients: npt.NDArray[np.float64]
    pha: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    @property
    def name(self) -> int:
        """Number in merged lists: CCD + 10 node."""
        return self.number + 10 * self.node


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
    """Read one CCD's events, build its frame table and flag its events a first time.

    Raises
    ------
    TaskError
        The file is damaged or does not fit the auxiliary file.
    """
    opts, say = camera.options, camera.messages
    number, node = file.name.ccd, file.name.node
    table = file.read(1, MOS_IMAGING)
    if int(table.keyword("CCDID", number)) != number:
        raise TaskError("readEvents01", f"{table.where}: CCDID is not that of the file's name")
    window = ReadoutWindow.from_header({**dict(table.primary), **dict(table.header)})
    if window is None:
        raise TaskError(
            "readEvents01", f"{table.where}: keywords WINDOWX0, WINDOWY0, WINDOWDX, WINDOWDY missing"
        )
    shape = camera.geometry.shape(number)
    modeparam = camera.cal.constituent(camera.scope, "MODEPARAM")
    scan = [
        int(modeparam.keyword(k, "MODEPARAM", default=0)) for k in ("UNDER_X", "UNDER_Y", "OVER_X", "OVER_Y")
    ]
    under = tuple(scan[:2])
    read_out = (shape[0] + scan[0] + scan[2], shape[1] + scan[1] + scan[3])
    limits = (
        max(window.x0 - under[0] + 1, 1),
        min(window.x0 - under[0] + window.dx, shape[0]),
        max(window.y0 - under[1] + 1, 1),
        min(window.y0 - under[1] + window.dy, shape[1]),
    )
    x, y = np.arange(1, shape[0] + 1), np.arange(1, shape[1] + 1)
    detx, dety = camera.geometry.raw_to_det(number, x[None, :], y[:, None], node)
    fov = camera.geometry.in_fov(detx, dety)
    inside = np.zeros(fov.shape, bool)
    inside[limits[2] - 1 : limits[3], limits[0] - 1 : limits[1]] = True
    step = np.hypot(detx[0, 1] - detx[0, 0], dety[0, 1] - dety[0, 0]) * UNIT_ARCSEC / 60.0

    table_frames, raw, gatti_on = _frames(
        camera, table, auxiliary, file, window, under, read_out, fov & inside, inside
    )
    gains = energy.gain_coefficients(camera.table("ADUCONV", "OFFSET_GAIN"), number, node)
    ccd = Ccd(
        number, node, file, table, window, shape, limits, raw, table_frames, fov,
        float((fov & inside).sum()) * step**2, _offsets(camera, file, under, shape), gatti_on,
        raw, bp.BadPixels(shape), gains,
    )  # fmt: skip
    say.info("emframes", f" Area of window within field of view is {ccd.arcmin2:12.6f} arcmin2")
    fraction = (fov & inside).sum() / max(inside.sum(), 1)
    say.info("emframes", f" Fraction of window within field of view is {fraction:.9f}")
    say.info("emframes", f" Fraction of good time : {table_frames.good_fraction:.9f}")
    # First pass: without bad pixels, splitting and randomisation.
    ccd.first = replace(raw, flag=raw.flag.copy(), e1=raw.e1.copy(), e2=raw.e2.copy())
    flag_events(camera, ccd, ccd.first)
    at = energy.at_pixels(fov, ccd.first.rawx, ccd.first.rawy)
    ccd.first.flag[~at] |= MosFlag.OUT_OF_FOV
    ccd.pha = measure(camera, ccd, ccd.first, None)
    if opts.use_bad_pixels:
        _known_bad_pixels(camera, ccd)
    return ccd


def _frames(
    camera: Camera,
    table: OdfTable,
    auxiliary: OdfTable,
    file: OdfFile,
    window: ReadoutWindow,
    under: tuple[int, ...],
    read_out: tuple[int, int],
    open_pixels: npt.NDArray[np.bool_],
    pixels: npt.NDArray[np.bool_],
) -> tuple[frames.Frames, Events, bool]:
    say = camera.messages
    number, node = file.name.ccd, file.name.node
    rows = np.flatnonzero((auxiliary["CCDID"] == number) & (auxiliary["CCDNODE"] == node))
    if not len(rows):
        raise TaskError("frames03", f"{auxiliary.where}: no data for CCD {number} node {node}")
    rows = rows[frames.valid_rows(auxiliary["FRAME"][rows])]
    nominal, delay = camera.frame_times(number)
    header_s = float(table.keyword("FRMTIME", 0.0)) / 1000.0 or nominal or 0.0
    start_tt = utc_to_tt(str(table.keyword("DATE-OBS")))
    numbers = auxiliary["FRAME"][rows].astype(np.int64)
    obt = frames.unwrap_stamps(
        auxiliary["FTCOARSE"][rows],
        auxiliary["FTFINE"][rows],
        numbers,
        camera.correlation.tt_to_obt(start_tt),
        header_s,
    )
    counters = {}
    for name in _COUNTERS:
        values = auxiliary[name][rows].astype(np.int64)
        counters[name] = np.where(values < 0, values + 65536, values)
    made, shift = frames.build_frames(
        numbers,
        camera.correlation.obt_to_tt(obt),
        counters,
        header_frame_s=header_s,
        delay_s=delay,
        warn=lambda code, text: say.warn("emframes", code, f"CCD {number}: {text}"),
    )
    say.info("emframes", f" Create frame table with {len(made):12d}  rows")
    missing = int((made.flag & frames.FrameFlag.MISSING != 0).sum())
    say.info("emframes", f" {missing:12d}  missing frames inserted")
    say.info("emframes", f" Observing mode was {camera.submode}")
    say.info("emframes", f" Approximate start time = {made.time_s[0]:20.8f}")
    say.info("emframes", f" Approximate   end time = {made.time_s[-1]:20.8f}")
    found = np.clip(np.searchsorted(numbers, table["FRAME"]), 0, len(numbers) - 1)
    known = numbers[found] == table["FRAME"]
    index = numbers[found] + shift[found] - made.number[0]
    invalid = frames.flag_invalid(made, index[known])
    say.info("emframes", f" {invalid:12d}  frames rejected by VALID")
    say.info("emframes", f" {frames.flag_overflow(made):12d}  frames rejected by FIFO")
    sound = known & (table["PATTERN"] < N_PATTERNS)
    for axis, start, size in (("RAWX", window.x0, read_out[0]), ("RAWY", window.y0, read_out[1])):
        sound &= (table[axis] >= 0) & (table[axis] + start < size)
    lost = int((~sound).sum())
    if lost:
        say.warn(
            "emevents", "invalidRows", f"CCD {number}: {lost} rows with invalid FRAME, RAWX, RAWY or PATTERN"
        )
    raw = Events(
        index[sound],
        events.raw_to_ccd(table["RAWX"][sound], window.x0, under[0]),
        events.raw_to_ccd(table["RAWY"][sound], window.y0, under[1]),
        *(table[n][sound].astype(np.int64) for n in ("ENERGYE1", "ENERGYE2", "ENERGYE3", "ENERGYE4")),
        *(table[n][sound].astype(np.int64) for n in ("PATTERN", "PERIPIX")),
        np.zeros(int(sound.sum()), np.int64),
    )
    in_pattern = camera.library.n_pixels.copy()
    in_pattern[list(COSMIC_PATTERNS)] = 0
    frames.set_dead_time(
        made,
        raw.frame,
        in_pattern[raw.pattern],
        window_pixels=window.dx * window.dy,
        open_fraction=float(open_pixels.sum() / max(pixels.sum(), 1)),
        cosmic_size=camera.misc("COSMICSI"),
        cosmic_out_over_in=camera.misc("COSMICOU"),
    )
    gatti_on = frames.set_gatti(made)
    outside = 0
    if camera.external_gti is not None:
        outside = frames.flag_outside(made, camera.external_gti)
    say.info("emframes", f" {outside:12d}  frames rejected by FLAG_HK")
    return made, raw, gatti_on


def _offsets(
    camera: Camera, file: OdfFile, under: tuple[int, ...], shape: tuple[int, int]
) -> tuple[npt.NDArray[Any] | None, npt.NDArray[Any] | None]:
    """Offsets per RAWX and per RAWY that were subtracted on board."""
    name = file.name
    found = camera.odf.find(name.instrument, "OVE", name.exp_id, name.ccd, name.node)
    found = found or camera.odf.find(name.instrument, "OVE", ccd=name.ccd, node=name.node)
    if not found:
        return None, None
    try:
        table = found[0].read(1, MOS_OFFSETS)
    except TaskError as error:
        camera.messages.warn("emevents", "addOffsets01", f"{error.message}; offsets are taken as 0")
        return None, None
    result = []
    for axis in (0, 1):
        values = np.zeros(shape[axis])
        mine = table["AXIS"] == axis
        # Lines are counted in the whole read-out, whatever the window.
        position = events.raw_to_ccd(table["INDEX"][mine], 0, under[axis])
        inside = (position >= 1) & (position <= shape[axis])
        values[position[inside] - 1] = table["OFFSET"][mine][inside]
        result.append(values)
    return tuple(result)  # type: ignore[return-value]


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
) -> npt.NDArray[np.int64]:
    """Image of the counts of good events, each on all pixels of its pattern (emeventsproj)."""
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
    return image.reshape(ny, nx)


def search_bad_pixels(
    camera: Camera, ccd: Ccd, use: npt.NDArray[np.bool_], *, low_energy: bool = False, **changes: Any
) -> None:
    """Search the first pass's events for bad pixels and add them to the CCD's list.

    At low energies pixels next to dead ones are left out: they hold the remains of events whose other
    pixels are dead.
    """
    image = project(ccd, ccd.first, use, camera.library)
    x0, x1, y0, y1 = ccd.limits
    good = np.zeros(image.shape, bool)
    good[y0 - 1 : y1, x0 - 1 : x1] = True
    good &= ~ccd.pixels.bad
    if low_energy:
        blind = (ccd.pixels.kind == bp.DEAD) | (ccd.pixels.origin == bp.ONBOARD)
        good &= ~energy.beside(blind)
    found = find(image, good, replace(camera.options.search, **changes))
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


def _exposure(camera: Camera, ccd: Ccd, gti: GTI, table: dict[str, npt.NDArray[np.int16]]) -> CcdExposure:
    x0, x1, y0, y1 = ccd.limits
    header = {
        "CCDID": (ccd.number, "CCD"),
        "CCDNODE": (ccd.node, "read-out node"),
        "CCDMODE": (
            (ccd.file.name.file_type == "IME" and "IMAGING") or ccd.file.name.file_type,
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
    return CcdExposure(
        ccd.frames.time_s,
        np.full(len(ccd.frames), ccd.frames.length_s),
        ccd.frames.fraction,
        gti,
        table,
        header,
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
