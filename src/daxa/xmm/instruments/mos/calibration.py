"""What the MOS chain takes from calibration files, as values for one CCD.

Parameters
----------
camera
    The exposure with its calibration.
header
    What the header of the raw event file says.
ccd, number
    Number of the CCD.
node
    Read-out node, 0 or 1.
shape
    Columns and rows of the CCD.
file_type
    Type of the raw event file, e.g. ``IME``.
name
    Number and node of the CCD.
layout
    Read-out of the CCD.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daxa.xmm.ccf.mos_losses import transfer_laws
from daxa.xmm.ccf.mos_times import transfer_s
from daxa.xmm.errors import TaskError
from daxa.xmm.formats.odf import MOS_OFFSETS
from daxa.xmm.instruments.badpixels import HOT, ONBOARD, calibrated_kinds
from daxa.xmm.instruments.mos import badpixels as bp
from daxa.xmm.instruments.mos.energy import (
    Ellipse,
    EnergyScale,
    Parts,
    TransferLoss,
    column_offsets,
    combine_weights,
    gain_coefficients,
)
from daxa.xmm.instruments.mos.events import Events
from daxa.xmm.instruments.mos.exposure import Camera, Ccd
from daxa.xmm.instruments.mos.frames import CosmicTracks, FrameClock, FrameQuality, Frames, FrameTiming
from daxa.xmm.instruments.mos.offsets import OnBoard, whole_line
from daxa.xmm.instruments.mos.options import Emenergy
from daxa.xmm.instruments.mos.raw import Layout, Overscan, RawHeader
from daxa.xmm.instruments.mos.timing import LineClock

_DAY_S = 86400.0


def make_ccd(
    camera: Camera,
    header: RawHeader,
    file_type: str,
    name: tuple[int, int],
    layout: Layout,
    raw: Events,
    made: Frames,
    gatti_on: bool,
) -> Ccd:
    """A CCD (``name``: number and node) with its calibration.

    Parameters
    ----------
    raw
        Events as they were sent.
    made
        Frames of the CCD.
    gatti_on
        Whether the sliding scale moves.
    """
    number, node = name
    return Ccd(
        number, node, file_type, header, layout.shape, layout.limits, raw, made, layout.arcmin2,
        on_board_offsets(camera, name, layout), gatti_on, gain(camera, number, node),
        event_threshold(camera, header, number), energy_limits(camera, header),
        known_bad_pixels(camera, number, node, layout.shape), bp.BadPixels(layout.shape),
    )  # fmt: skip


def frame_clock(camera: Camera, ccd: int, file_type: str) -> FrameClock:
    """What turns the stamps of a CCD into mission time."""
    timing = frame_timing(camera, ccd, imaging=file_type in ("IME", "RIE"))
    return FrameClock(timing, camera.correlation, camera.clock_reset_s)


def frame_quality(camera: Camera) -> FrameQuality:
    """What decides how much of a frame counts."""
    return FrameQuality(camera.options.emframes, cosmic_tracks(camera), camera.external_gti)


def frame_timing(camera: Camera, ccd: int, *, imaging: bool) -> FrameTiming:
    """Times of the frames by TIMECORR and MODEPARAM.

    Parameters
    ----------
    imaging
        Whether the exposure is in an imaging mode.
    """
    constituent = camera.cal.constituent(camera.scope, "TIMECORR")
    table = constituent.table("FRAMETIME")
    row = np.flatnonzero(camera.of_mode(table))
    nominal, delay = None, 0.0
    if len(row):
        element = 0 if ccd == 1 else 1
        nominal, delay = (float(table[n][row[0]][element]) for n in ("FRAME_TIME", "DELAY"))
    elif table.n_rows:
        constituent.lacks("FRAMETIME", "MODE_ID", f"nothing for {camera.submode}")
    modeparam = camera.cal.constituent(camera.scope, "MODEPARAM")
    transfer = transfer_s(modeparam, camera.mode_id, ccd, imaging=imaging)
    return FrameTiming(nominal, delay, transfer, camera.submode)


def line_clock(camera: Camera) -> LineClock:
    """The clock of timing mode that MODEPARAM gives for the exposure's mode.

    Raises
    ------
    TaskError
        ``wrongMode``: no such mode, or times that make no lines.
    """
    constituent = camera.cal.constituent(camera.scope, "MODEPARAM")
    table = constituent.table("MODEPARAM")
    row = np.flatnonzero(camera.of_mode(table))
    where = f"{constituent.path.name}[MODEPARAM]"
    if not len(row):
        raise TaskError("wrongMode", f"{where}: no row for {camera.submode}")
    line, shift, lines = (
        float(np.ravel(table[name][row[0]])[0]) for name in ("TIME_RES", "SHIFT_T", "WINDOWDY")
    )
    if not (line > 0 and shift >= 0 and lines >= 1):
        raise TaskError("wrongMode", f"{where}: TIME_RES {line:g} and WINDOWDY {lines:g} make no lines")
    return LineClock(line / 1000.0, shift / 1000.0, int(lines))


def overscan(camera: Camera) -> Overscan:
    """Pixels that are read beside the image (MODEPARAM)."""
    modeparam = camera.cal.constituent(camera.scope, "MODEPARAM")
    under_x, under_y, over_x, over_y = (
        int(modeparam.number(k, "MODEPARAM")) for k in ("UNDER_X", "UNDER_Y", "OVER_X", "OVER_Y")
    )
    return Overscan((under_x, under_y), (over_x, over_y))


def layout_of(camera: Camera, header: RawHeader, number: int, node: int) -> Layout:
    """Which pixels of a CCD are read through a node, and which of them see the sky."""
    files = camera.odf.science_files(camera.instrument, camera.exp_id)
    half = any(f.name.ccd == number and f.name.node != node for f in files)
    return Layout.of(camera.geometry, header.window, overscan(camera), number, node, half=half)


def event_threshold(camera: Camera, header: RawHeader, ccd: int) -> float:
    """Least amplitude [adu] of a pixel of an event: by the raw header, else by the calibration."""
    told = header.threshold_adu
    return camera.library.thresholds_adu[0 if ccd == 1 else 1] if told is None else told


def energy_limits(camera: Camera, header: RawHeader) -> tuple[float, float]:
    """Least and greatest sum of E1 and E2 [adu] that was sent: by the raw header, else the calibration.

    In real raw files headers of test exposures say 100 to 4095 or 200 to 1000 adu, and no event lies
    outside.
    """
    low, high = header.limits_adu
    return camera.misc("EMDHLOW") if low is None else low, camera.misc("EMDHHIGH") if high is None else high


def gain(camera: Camera, number: int, node: int) -> npt.NDArray[np.float64]:
    """Gain of a node, see :func:`~daxa.xmm.instruments.mos.energy.gain_coefficients`."""
    return gain_coefficients(camera.table("ADUCONV", "OFFSET_GAIN"), number, node)


def energy_weights(camera: Camera) -> npt.NDArray[np.float64]:
    """Weights of the four parts of an event, per pattern (ADUCONV)."""
    return combine_weights(camera.table("ADUCONV", "ENERGY_COMBINE"))


def transfer_loss(
    camera: Camera, number: int, node: int, shape: tuple[int, int], time_s: float
) -> TransferLoss:
    """Charge lost in the transfers of a CCD at a mission time (CTI).

    Parameters
    ----------
    time_s
        The time.

    Raises
    ------
    TaskError
        ``noCtiData``: the calibration has no row of the CCD.
    """
    constituent = camera.cal.constituent(camera.scope, "CTI")
    where = f"{constituent.path.name}[CTI_EXTENDED]"
    table = constituent.table("CTI_EXTENDED")
    mine = (table["CCD_ID"] == number) & (table["NODE_ID"] == node)
    row = np.flatnonzero(mine & camera.of_mode(table))
    row = row if len(row) else np.flatnonzero(mine)
    if not len(row):
        raise TaskError("noCtiData", f"{where}: no row for CCD {number} node {node}")
    days = (time_s - constituent.date("REF_DATE", "CTI_EXTENDED")) / _DAY_S
    serial, parallel = transfer_laws(table, int(row[0]), days, where)
    columns = column_offsets(constituent.table("CTI_COLUMN"), number, node, shape)
    return TransferLoss(serial, parallel, days, columns)


def energy_scale(camera: Camera, ccd: Ccd, params: Emenergy, *, parts: bool) -> EnergyScale:
    """What makes energies of the events of a CCD.

    Parameters
    ----------
    ccd
        The CCD.
    params
        Whether losses are put back, and amplitudes turned into energies.
    parts
        Whether the surroundings of events were sent.
    """
    loss = None
    if params.correctcti:
        # Of the frames that came: a file of events knows no others.
        mean = float(ccd.frames.time_s[ccd.frames.received].mean())
        loss = transfer_loss(camera, ccd.number, ccd.node, ccd.shape, mean)
    how = Parts(energy_weights(camera), coherence_ellipse(camera)) if parts else None
    return EnergyScale(loss, ccd.coefficients if params.correctgain else None, how)


def cosmic_tracks(camera: Camera) -> CosmicTracks:
    """Sizes of the tracks of cosmic rays."""
    return CosmicTracks(camera.misc("COSMICSI"), camera.misc("COSMICOU"))


def known_bad_pixels(camera: Camera, number: int, node: int, shape: tuple[int, int]) -> bp.BadPixels:
    """Bad pixels masked on board (calibration and bright-pixel table) and others of the calibration."""
    constituent = camera.cal.constituent(camera.scope, "BADPIX")
    table, kinds = constituent.table("BADPIX"), calibrated_kinds(constituent)
    pixels = bp.BadPixels(shape)
    bp.add_calibration(pixels, table, kinds, number, node, others=False)
    for file in camera.odf.find(camera.instrument, "PTH"):
        try:
            sent = file.read(1)
            mine = (sent["CCDID"] == number) & (sent["CCDNODE"] == node)
            rawx, rawy, length = (sent[k][mine] for k in ("RAWX", "RAWY", "YEXTENT"))
            pixels.add_stretches(rawx, rawy, length, HOT, ONBOARD)
        except TaskError as error:
            camera.messages.warn(
                "badpix", "MissingData", f"{error.message}; uplinked pixels from the CCF only"
            )
    bp.add_calibration(pixels, table, kinds, number, node, uplinked=False)
    return pixels


def calibrated_bad_pixels(camera: Camera, number: int, node: int, shape: tuple[int, int]) -> bp.BadPixels:
    """Bad pixels of the calibration alone, masked on board or not."""
    constituent = camera.cal.constituent(camera.scope, "BADPIX")
    pixels = bp.BadPixels(shape)
    bp.add_calibration(pixels, constituent.table("BADPIX"), calibrated_kinds(constituent), number, node)
    return pixels


def noise_limits(camera: Camera) -> dict[int, float]:
    """Hardness of the corners of each CCD below which there is noise at low energies (SCREENTHRESH)."""
    table = camera.table("SCREENTHRESH", "SCREEN_THRESH")
    ccds, limits = np.asarray(table["CCD_ID"]).tolist(), np.asarray(table["BAD"], float).tolist()
    # The first row of a CCD counts.
    return dict(zip(reversed(ccds), reversed(limits), strict=True))


def coherence_ellipse(camera: Camera) -> Ellipse:
    """Where (E3, E4) of the camera's true events lie."""
    centre = camera.misc("E3CEN"), camera.misc("E4CEN")
    radii = camera.misc("E3RAD"), camera.misc("E4RAD")
    return Ellipse(centre, radii, camera.misc("E3ANG"))


def on_board_offsets(camera: Camera, name: tuple[int, int], layout: Layout) -> OnBoard:
    """Offsets that were subtracted on board."""
    number, node = name
    if not camera.options.emevents.withoffvarsets:
        return _calibrated_offsets(camera, name, layout)
    found = camera.odf.find(camera.instrument, "OVE", camera.exp_id, number, node)
    found = found or camera.odf.find(camera.instrument, "OVE", ccd=number, node=node)
    if not found:
        camera.messages.warn("emevents", "addOffsets01", f"CCD {number}: no offset/variance file in the ODF")
        return OnBoard()
    try:
        table = found[0].read(1, MOS_OFFSETS)
    except TaskError as error:
        camera.messages.warn("emevents", "addOffsets01", f"{error.message}; offsets are taken as 0")
        return OnBoard()
    lines = []
    for axis in (0, 1):
        # Lines are counted in the whole read-out, whatever the window.
        mine = (table["AXIS"] == axis) & (table["INDEX"] >= 0)
        index = table["INDEX"][mine]
        line = np.zeros(layout.under[axis] + layout.shape[axis])
        line = np.pad(line, (0, max(int(index.max(initial=0)) + 1 - len(line), 0)))
        line[index] = table["OFFSET"][mine]
        lines.append(line)
    return OnBoard.of_read_out(lines, layout.shape, layout.under, mirrored=False)


def _calibrated_offsets(camera: Camera, name: tuple[int, int], layout: Layout) -> OnBoard:
    """Offsets that the calibration says are used on board."""
    from daxa.xmm.errors import MissingConstituent, UnknownLayout

    number, node = name
    try:
        table = camera.table("DARKFRAME", f"OFFSET_CCD{number}")
    except (MissingConstituent, UnknownLayout) as error:
        text = f"CCD {number}: no offsets, truncated events are those at the end of the converter: {error}"
        camera.messages.warn("emevents", "addOffsets01", text)
        return OnBoard()
    rows = np.flatnonzero(camera.of_mode(table))
    row = rows[0] if len(rows) else 0
    if not len(rows):
        constituent = camera.cal.constituent(camera.scope, "DARKFRAME")
        constituent.lacks(f"OFFSET_CCD{number}", "MODE_ID", f"nothing for {camera.submode}")
    # ROW_OFFSET holds a value for each pixel of a row: those of columns.
    lines = [
        whole_line(table[key][row], int(table[start][row]), int(table[length][row]))
        for key, start, length in (
            ("ROW_OFFSET", "COL_X0", "ROW_LEN"),
            ("COLUMN_OFFSET", "ROW_Y0", "COL_LEN"),
        )
    ]
    return OnBoard.of_read_out(lines, layout.shape, layout.under, mirrored=bool(node))
