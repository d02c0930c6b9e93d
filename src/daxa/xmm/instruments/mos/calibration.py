"""What the MOS chain takes from calibration files, as values for one CCD."""

from __future__ import annotations

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.odf import MOS_OFFSETS
from daxa.xmm.instruments.badpixels import HOT, ONBOARD, calibrated_kinds
from daxa.xmm.instruments.mos import badpixels as bp
from daxa.xmm.instruments.mos.energy import Ellipse
from daxa.xmm.instruments.mos.exposure import Camera
from daxa.xmm.instruments.mos.offsets import OnBoard, whole_line
from daxa.xmm.instruments.mos.raw import Layout


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
