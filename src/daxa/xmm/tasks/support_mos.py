"""What the MOS tasks on files share.

Parameters
----------
ctx
    The running task.
table
    Table of a file of the chain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.formats.instruments import CODES
from daxa.xmm.formats.odf_names import OdfName
from daxa.xmm.instruments.mos.calibration import layout_of, make_ccd
from daxa.xmm.instruments.mos.events import Events
from daxa.xmm.instruments.mos.exposure import Camera, Ccd, open_camera
from daxa.xmm.instruments.mos.frames import Frames
from daxa.xmm.instruments.mos.options import Options
from daxa.xmm.instruments.mos.raw import RawHeader
from daxa.xmm.odf.file import OdfFile
from daxa.xmm.odf.odf import Odf
from daxa.xmm.odf.table import OdfTable
from daxa.xmm.task import TaskContext

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration


#: Keywords that say of which CCD a table of bad pixels is.
CCD_CARDS = (
    "TELESCOP", "INSTRUME", "OBS_ID", "EXP_ID", "EXPIDSTR", "CCDID", "CCDNODE", "WINDOWX0", "WINDOWY0",
    "WINDOWDX", "WINDOWDY",
)  # fmt: skip


def flag_mask(text: str, where: str) -> int:
    """The bits of a hexadecimal number; FLAG has 32.

    Parameters
    ----------
    text
        The number.
    where
        Task and parameter, for the message.

    Raises
    ------
    TaskError
        ``badParameter``: it is not such a number.
    """
    try:
        mask = int(text, 16)
    except ValueError:
        mask = -1
    if not 0 <= mask < 1 << 32:
        raise TaskError(
            "badParameter", f"{where}: expected a hexadecimal number of at most 32 bits, got {text!r}"
        )
    return mask


def camera_of(
    ctx: TaskContext, instrument: str, exp_id: str, options: Options, gti: GTI | None = None
) -> Camera:
    """The exposure that a step works on, with its calibration; what it prints goes under the task's own name.

    Parameters
    ----------
    instrument
        ``M1`` or ``M2``.
    exp_id
        Identifier of the exposure, e.g. ``S001``.
    options
        Options of the chain.
    gti
        Good times besides those of the frames.
    """
    from daxa.xmm.ccf.calibration import Calibration

    odf = Odf.from_environment(ctx.env, ctx.cwd)
    calibration: Calibration = Calibration.from_environment(ctx.env, ctx.cwd)
    camera = open_camera(ctx, odf, calibration, instrument, exp_id, options, (0.0, 0.0, 0.0), gti)
    # A task prints under its own name.
    camera.messages.info = lambda _, text: ctx.info(text)
    camera.messages.warn = lambda _, code, text: ctx.warn(code, text)
    return camera


def odf_file(ctx: TaskContext, name: str) -> OdfFile:
    """A raw file by its name.

    Parameters
    ----------
    name
        The file.

    Raises
    ------
    TaskError
        ``readEvents01``: it is not a file of an ODF.
    """
    path = ctx.path(name)
    fields = OdfName.parse(path.name)
    if fields is None or not path.is_file():
        raise TaskError("readEvents01", f"{path}: no file of an ODF")
    return OdfFile(fields, path)


def of_header(table: OdfTable, code: str) -> tuple[str, str, int, int]:
    """Camera, exposure, CCD and node of a file of the chain.

    Parameters
    ----------
    code
        Code of the error.

    Raises
    ------
    TaskError
        ``code``: its header does not say so.
    """
    try:
        camera = CODES[str(table.keyword("INSTRUME")).strip()]
        return (
            camera,
            str(table.keyword("EXPIDSTR")),
            int(table.keyword("CCDID")),
            int(table.keyword("CCDNODE")),
        )
    except (KeyError, TaskError) as error:
        raise TaskError(code, f"{table.where}: not of one CCD of EPIC MOS: {error}") from error


def empty_column(camera: Camera, table: OdfTable, number: int, node: int) -> Ccd:
    """A CCD without events.

    Parameters
    ----------
    camera
        The exposure.
    number
        Number of the CCD.
    node
        Read-out node, 0 or 1.
    """
    none = np.zeros(0, np.int64)
    frames = Frames(none, none.astype(float), 1.0, none, {})
    header = RawHeader.of(table)
    layout = layout_of(camera, header, number, node)
    raw = Events(*(none for _ in range(10)))
    return make_ccd(camera, header, "IME", (number, node), layout, raw, frames, False)
