"""One MOS exposure from raw files to the content of an event list, in memory.

The order of the sub-tasks is that of emproc: frames and events of each CCD and a search for bad pixels;
the flare curve; searches outside flares and at low energies; then events and energies again with the bad
pixels known.

Parameters
----------
camera
    The exposure.
ccd
    The CCD.
made
    Its events, measured.
gti
    Good times besides those of the frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.event.parts import CcdExposure
from daxa.xmm.formats.flags import MosFlag
from daxa.xmm.formats.odf import MOS_IMAGING, MOS_REDUCED_IMAGING
from daxa.xmm.instruments.keywords import Cards
from daxa.xmm.instruments.mos import badpixels as bp
from daxa.xmm.instruments.mos.calibration import (
    energy_scale,
    frame_clock,
    frame_quality,
    layout_of,
    make_ccd,
)
from daxa.xmm.instruments.mos.content import ccd_exposure, event_columns, select
from daxa.xmm.instruments.mos.context import Messages, StepContext
from daxa.xmm.instruments.mos.exposure import Calibrated, Camera, Ccd
from daxa.xmm.instruments.mos.flares import FlareCurve, flare_curve
from daxa.xmm.instruments.mos.nodes import join_nodes
from daxa.xmm.instruments.mos.options import REJECTION_FLAG, Emenergy
from daxa.xmm.instruments.mos.raw import RawCcd, without_repetition
from daxa.xmm.instruments.mos.steps.badpix import badpix, ebadpixupdate
from daxa.xmm.instruments.mos.steps.embadpixfind import embadpixfind
from daxa.xmm.instruments.mos.steps.emenergy import emenergy
from daxa.xmm.instruments.mos.steps.emevents import emevents
from daxa.xmm.instruments.mos.steps.emeventsproj import emeventsproj
from daxa.xmm.instruments.mos.steps.emframes import emframes
from daxa.xmm.odf.file import OdfFile
from daxa.xmm.odf.table import OdfTable

P = ParamSpec("P")
Made = TypeVar("Made")

#: CCDs that see less of the sky [arcmin2] are searched without regard to flares.
_LEAST_AREA = 3.0
#: Flare-free times are applied if they are at least this share of the exposure.
_LEAST_QUIET = 0.1


@dataclass
class ExposureResult:
    """Content of an event list.

    Attributes
    ----------
    columns, ccds, offsets
        Events; per CCD (and 10 for the second node) its extensions; lines with odd offsets.
    start_s, stop_s, frame_time_s
        Ends of the data; frame time of the prime CCD.
    flares, flare_input
        Curve of saturated events, and what it is made of (:func:`flare_events`).
    n_raw
        Number of events that these CCDs sent.
    headers
        Keywords.
    parts
        CCDs with their frames and bad pixels, for those who want the steps in between.
    backgrounds
        Local zero level per CCD [adu], see :func:`~daxa.xmm.instruments.mos.energy.background_map`.
    """

    columns: dict[str, npt.NDArray[Any]]
    ccds: dict[int, CcdExposure]
    start_s: float
    stop_s: float
    frame_time_s: float
    flares: FlareCurve
    flare_input: tuple[npt.NDArray[np.float64], GTI, float]
    n_raw: int
    headers: Cards
    offsets: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    parts: list[Ccd] = field(default_factory=list)
    backgrounds: dict[int, npt.NDArray[np.float64]] = field(default_factory=dict)


class StopAfterSearch(Exception):
    """The search for bad pixels is done, and nothing else was asked for; holds the CCDs.

    Parameters
    ----------
    ccds
        The CCDs with what was found.
    """

    def __init__(self, ccds: list[Ccd]) -> None:
        super().__init__("stopped after the search for bad pixels")
        self.ccds = ccds


@dataclass
class _Finished:
    """What the second pass makes of a CCD."""

    ccd: Ccd
    columns: dict[str, npt.NDArray[Any]]
    exposure: CcdExposure
    offsets: dict[str, npt.NDArray[Any]]
    background: npt.NDArray[np.float64]


def read_ccd(camera: Camera, file: OdfFile, auxiliary: OdfTable) -> Ccd:
    """One CCD and node with its frames, sound events and calibration.

    Parameters
    ----------
    file
        Imaging (IME) or reduced imaging (RIE) event file.
    auxiliary
        Table of the auxiliary file.

    Raises
    ------
    TaskError
        The file is damaged or does not fit the auxiliary file.
    """
    name = file.name
    table = file.read(1, MOS_REDUCED_IMAGING if name.file_type == "RIE" else MOS_IMAGING)
    raw = RawCcd.of(table, auxiliary, name)
    raw = replace(raw, table=without_repetition(raw.table, camera.messages))
    layout = layout_of(camera, raw.header, name.ccd, name.node)
    clock = frame_clock(camera, name.ccd, name.file_type)
    made = emframes(raw, layout, clock, frame_quality(camera), camera.context(name.ccd, name.node))
    ccd = make_ccd(
        camera, raw.header, name.file_type, (name.ccd, name.node), layout, made.events, made.frames,
        made.gatti_on,
    )  # fmt: skip
    ccd.rows, ccd.row_frame = raw.table.columns, made.row_frame
    return ccd


def first_pass(camera: Camera, ccd: Ccd) -> Calibrated:
    """Flag and measure a CCD's events without bad pixels, splitting or randomisation."""
    opts, context = camera.options, camera.context(ccd.number, ccd.node)
    made = emevents(ccd, None, opts.emevents.first_pass(), context)
    measure(camera, ccd, made, None, opts.emenergy.first_pass(), context)
    return made


def measure(
    camera: Camera,
    ccd: Ccd,
    made: Calibrated,
    pixels: bp.BadPixels | None,
    params: Emenergy,
    context: StepContext,
) -> npt.NDArray[np.float64]:
    """The step emenergy with the CCD's calibration; single pixels were sent without their surroundings.

    Parameters
    ----------
    pixels
        Its bad pixels; None if there are none yet.
    params
        Parameters of the step.
    context
        What the steps of the CCD share.
    """
    scale = energy_scale(camera, ccd, params, parts=ccd.file_type != "RIE")
    return emenergy(ccd, made, pixels, scale, params, context)


def finish_ccd(camera: Camera, ccd: Ccd, gti: GTI) -> _Finished:
    """Second pass over one CCD: bad pixels, splitting, positions, times, energies, selection."""
    opts, say, context = camera.options, camera.messages, camera.context(ccd.number, ccd.node)
    pixels = badpix(ccd, opts.badpix) if opts.use_bad_pixels else bp.BadPixels(ccd.shape)
    table = pixels.table()
    say.info("badpix", f" {len(table['RAWX']):12d}  final bad pixel sets will be added to BADPIX extension")
    made = emevents(ccd, pixels, opts.emevents, context)
    background = measure(camera, ccd, made, pixels, opts.emenergy, context)
    columns = _selected(camera, ccd, made, gti)
    say.info("evselect", f"selected {len(columns['TIME'])} rows from the input table.")
    lines = ccd.lines + made.wrong
    return _Finished(ccd, columns, ccd_exposure(camera, ccd, gti, table), lines.table(ccd.name), background)


def _selected(camera: Camera, ccd: Ccd, made: Calibrated, gti: GTI) -> dict[str, npt.NDArray[Any]]:
    """Columns of the events that belong to the list, in the order of time."""
    opts, list_ = camera.options, made.events
    keep = np.ones(len(list_), bool)
    if opts.reject_bad_events:
        keep &= list_.flag & opts.rejection_flag == 0
    if opts.apply_ccd_gti:
        keep &= gti.contains(made.time_s)
    order = np.flatnonzero(keep)
    order = order[np.argsort(made.time_s[order], kind="stable")]
    columns = event_columns(camera, ccd, made, order)
    if opts.expression:
        chosen = select(camera, columns)
        columns = {name: values[chosen] for name, values in columns.items()}
    return columns


@dataclass
class Attempts:
    """Steps on one CCD after the other; one that fails is left out with a warning.

    Attributes
    ----------
    stop_on_error
        Raise the first failure instead.
    failures
        What went wrong so far.
    """

    messages: Messages
    stop_on_error: bool = False
    failures: list[TaskError] = field(default_factory=list)

    def __call__(self, ccd: int, step: Callable[P, Made], *args: P.args, **kwargs: P.kwargs) -> Made | None:
        """What ``step`` makes of a CCD, None if it failed."""
        try:
            return step(*args, **kwargs)
        except TaskError as error:
            if self.stop_on_error:
                raise
            self.messages.warn("emchain", error.code, f"{error.message}; CCD {ccd} is left out")
            self.failures.append(error)
            return None

    def raise_first(self) -> None:
        """Raise the first failure, if there was one."""
        if self.failures:
            raise self.failures[0]


def process(
    camera: Camera,
    files: list[OdfFile],
    auxiliary: OdfTable,
    *,
    stop_on_error: bool = False,
    stop_after_search: bool = False,
) -> ExposureResult:
    """Process the imaging CCDs of an exposure.

    A CCD whose files are damaged is left out with a warning.

    Parameters
    ----------
    files
        Raw event files in imaging modes.
    auxiliary
        Table of the auxiliary file.
    stop_on_error
        Whether the first CCD that fails ends it all.
    stop_after_search
        Whether to end behind the search for bad pixels.

    Raises
    ------
    TaskError
        No CCD could be processed (or the first failed, with ``stop_on_error``).
    StopAfterSearch
        With ``stop_after_search``, when bad pixels have been searched for.
    """
    attempt = Attempts(camera.messages, stop_on_error)
    ccds = _read(camera, files, auxiliary, attempt)
    if not ccds:
        attempt.raise_first()
        raise TaskError("MissingData", f"{camera.instrument} {camera.exp_id}: no imaging event file")
    if camera.options.emevents.withothernode:
        _join_nodes(camera, ccds)
    for ccd in ccds:
        ccd.first = attempt(ccd.number, first_pass, camera, ccd)
    searching = [ccd for ccd in ccds if ccd.first is not None]
    if not searching:
        attempt.raise_first()
    curve, flare_input = _search(camera, searching)
    if stop_after_search:
        raise StopAfterSearch(searching)
    done = _finish(camera, searching, curve, attempt)
    if not done:
        attempt.raise_first()
    return _result(done, curve, flare_input)


def _read(camera: Camera, files: list[OdfFile], auxiliary: OdfTable, attempt: Attempts) -> list[Ccd]:
    """The CCDs with their frames."""
    ccds = []
    for file in files:
        camera.messages.info("", f"Processing data set: {file.path}")
        ccd = attempt(file.name.ccd, read_ccd, camera, file, auxiliary)
        if ccd is not None:
            ccds.append(ccd)
    return ccds


def _finish(camera: Camera, ccds: list[Ccd], curve: FlareCurve, attempt: Attempts) -> list[_Finished]:
    """The second pass over all CCDs."""
    quiet = curve.gti(camera.options.flare_max_rate)
    done = []
    for ccd in ccds:
        finished = attempt(ccd.number, finish_ccd, camera, ccd, _good_times(camera, ccd, quiet))
        if finished is not None:
            done.append(finished)
    return done


def _result(
    done: list[_Finished], curve: FlareCurve, flare_input: tuple[npt.NDArray[np.float64], GTI, float]
) -> ExposureResult:
    """What the CCDs make together; those that were left out take no part."""
    ccds = [d.ccd for d in done]
    prime = next((c for c in ccds if c.number == 1), ccds[0])
    headers: Cards = {"DET_SYST": (2, "system of DETX, DETY: CAMCOORD2")}
    if any(c.node for c in ccds):
        headers["BINODAL"] = (True, "read out through two nodes")
    return ExposureResult(
        columns=evlistcomb([d.columns for d in done]),
        ccds={d.ccd.name: d.exposure for d in done},
        start_s=min(float(c.frames.start_s[0]) for c in ccds),
        stop_s=max(float(c.frames.end_s[-1]) + c.frames.transfer_s for c in ccds),
        frame_time_s=prime.frames.length_s,
        flares=curve,
        flare_input=flare_input,
        n_raw=sum(len(c.raw) for c in ccds),
        headers=headers,
        offsets=evlistcomb([d.offsets for d in done]),
        parts=ccds,
        backgrounds={d.ccd.name: d.background for d in done},
    )


def evlistcomb(tables: list[dict[str, npt.NDArray[Any]]]) -> dict[str, npt.NDArray[Any]]:
    """The tables of all CCDs one behind the other; columns that not all have are left out.

    Parameters
    ----------
    tables
        Columns of the list of each CCD.
    """
    names = [n for n in tables[0] if all(n in t for t in tables)]
    return {name: np.concatenate([t[name] for t in tables]) for name in names}


def _join_nodes(camera: Camera, ccds: list[Ccd]) -> None:
    """Join the events of CCDs that are read through both nodes (BINODAL)."""
    for primary in (c for c in ccds if c.node == 0):
        other = next((c for c in ccds if c.number == primary.number and c.node == 1), None)
        if other is None:
            continue
        primary.node_limit, other.node_limit = primary.limits[1], other.limits[1]
        shift = int(other.frames.number[0] - primary.frames.number[0])
        if abs(shift) > max(len(primary.frames), len(other.frames)):
            camera.messages.warn(
                "emevents",
                "read2Frames01",
                f"CCD {primary.number}: frame numbers not parallel for both nodes",
            )
            continue
        raw = replace(other.raw, frame=other.raw.frame + shift)
        primary.raw, raw, number = join_nodes(
            primary.raw, raw, camera.library, primary.limits[1], primary.shape[0]
        )
        other.raw = replace(raw, frame=raw.frame - shift)
        camera.messages.info(
            "emevents", f" {number:12d}  events of CCD {primary.number} joined over the node boundary"
        )


def _good_times(camera: Camera, ccd: Ccd, quiet: GTI) -> GTI:
    """Good times of a CCD's frames, outside flares if that is asked for and leaves enough."""
    gti = ccd.frames.gti()
    if not camera.options.apply_flare_gti:
        return gti
    calm = gti & quiet
    if calm.total > _LEAST_QUIET * gti.total:
        return calm
    camera.messages.warn(
        "", "flareGtiNotApplied", f"CCD {ccd.number}: {calm.total:.0f} s of {gti.total:.0f} s are quiet"
    )
    return gti


def flare_events(ccds: list[Ccd]) -> tuple[npt.NDArray[np.float64], GTI, float]:
    """Times of saturated single events in the field of view, good times and area of the CCDs.

    Events on bad pixels that the search has found do not count.

    Parameters
    ----------
    ccds
        The CCDs.
    """
    others = REJECTION_FLAG | int(MosFlag.OUT_OF_FOV)
    times = []
    for ccd in ccds:
        assert ccd.first is not None
        e = ccd.first.events
        flag = ebadpixupdate(ccd, e)
        chosen = (e.pattern == 0) & (flag & int(MosFlag.REJECTED_BY_GATTI) != 0) & (flag & others == 0)
        times.append(ccd.first.time_s[chosen])
    return np.concatenate(times), GTI.union(c.frames.gti() for c in ccds), sum(c.arcmin2 for c in ccds)


def _search(camera: Camera, ccds: list[Ccd]) -> tuple[FlareCurve, tuple[npt.NDArray[np.float64], GTI, float]]:
    """Search all CCDs for bad pixels: at all times, outside flares, and there at low energies.

    Returns
    -------
    curve, input
        The flare curve, and what it is made of.
    """
    opts, say = camera.options, camera.messages
    params = opts.embadpixfind

    def search(ccd: Ccd, use: npt.NDArray[np.bool_], changes: dict[str, Any]) -> None:
        assert ccd.first is not None
        number = int((use & (ccd.first.events.flag & REJECTION_FLAG == 0)).sum())
        say.info("emeventsproj", f" Number of good events in input file: {number:12d}")
        image, clumping = emeventsproj(ccd.shape, ccd.first.events, use, camera.library, opts.emeventsproj)
        embadpixfind(ccd, image, replace(params, **changes), say, clumping=clumping)

    wanted = opts.find_bad_pixels and opts.use_bad_pixels
    if wanted:
        for ccd in ccds:
            say.info("embadpixfind", f" CCD {ccd.number} node {ccd.node}")
            search(ccd, _search_times(camera, ccd), {})
    flares = flare_events(ccds)
    curve = flare_curve(*flares, opts.flare_bin_s)
    if not wanted:
        return curve, flares
    quiet = curve.gti(opts.flare_max_rate)
    for ccd in ccds:
        assert ccd.first is not None
        use = calm = _search_times(camera, ccd)
        if ccd.arcmin2 > _LEAST_AREA:
            calm = use & quiet.contains(ccd.first.time_s)
        # On the same events again the search would find nothing.
        if calm.any() and (calm != use).any():
            search(ccd, calm, {"finddead": False})
        if opts.low_energy_search:
            # The search uses amplitudes: the energy limit is turned into one.
            limit = (opts.low_energy_ev - ccd.coefficients[0, 0]) / ccd.coefficients[0, 1]
            search(ccd, calm & (ccd.first.pha < limit), {})
    return curve, flares


def _search_times(camera: Camera, ccd: Ccd) -> npt.NDArray[np.bool_]:
    """Events that the search for bad pixels looks at."""
    assert ccd.first is not None
    gti = camera.options.bad_pixel_gti
    times = ccd.first.time_s
    return np.ones(len(times), bool) if gti is None else gti.contains(times)
