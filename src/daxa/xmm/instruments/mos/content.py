"""What an event list says of one MOS CCD: columns of its events, keywords, frames, good times and bad pixels.

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

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.event.parts import CcdExposure
from daxa.xmm.formats.flags import flag_keywords
from daxa.xmm.formats.odf import DATATYPES
from daxa.xmm.instruments.keywords import Cards
from daxa.xmm.instruments.mos import energy
from daxa.xmm.instruments.mos.exposure import Calibrated, Camera, Ccd
from daxa.xmm.instruments.mos.options import Options
from daxa.xmm.instruments.mos.patterns import COSMIC_PATTERNS

#: Keywords that the extensions of a CCD take from the raw file.
_SENT = {
    **{f"WINDOW{k}": "[pixel] window of telemetry" for k in ("X0", "Y0", "DX", "DY")},
    "EDUID": "event analyser",
    "EDUMODE": "mode of the event analyser",
    "EMDHLOW": "[adu] lower threshold",
    "EMDHUPP": "[adu] upper threshold",
}
#: Steps of which keywords say what they were told.
SAID_OF_STEPS = ("emframes", "emevents", "emenergy")
_ALL_ROWS = slice(None)


def ccd_columns(
    made: Calibrated, ccd: Ccd, rows: npt.NDArray[np.int64] | slice = _ALL_ROWS
) -> dict[str, npt.NDArray[Any]]:
    """Columns of the list for events of a CCD, all or some, in the files between the steps as well.

    PHA and PI are null before emenergy, X and Y before attcalc.

    Parameters
    ----------
    rows
        Numbers of the events, or all of them.
    """
    events, frame = made.events, made.events.frame[rows]
    null, nowhere = np.full(len(frame), np.nan), np.full(len(frame), -99999999)
    known = len(made.pha) == len(events), len(made.pi) == len(events)
    return {
        "TIME": made.time_s[rows],
        "RAWX": events.rawx[rows],
        "RAWY": events.rawy[rows],
        "DETX": made.detx[rows].astype(np.int16),
        "DETY": made.dety[rows].astype(np.int16),
        "X": nowhere,
        "Y": nowhere,
        "PHA": energy.to_channel(made.pha[rows] if known[0] else null),
        "PI": energy.to_channel(made.pi[rows] if known[1] else null),
        "FLAG": events.flag[rows].astype(np.int32),
        "PATTERN": events.pattern[rows].astype(np.uint8),
        "CCDNR": np.full(len(frame), ccd.name, np.uint8),
        "FRAME": ccd.frames.number[frame],
        **{f"ENERGYE{k}": getattr(events, f"e{k}")[rows] for k in (1, 2, 3, 4)},
        "PERIPIX": events.peripix[rows],
    }


def event_columns(
    camera: Camera, ccd: Ccd, made: Calibrated, order: npt.NDArray[np.int64]
) -> dict[str, npt.NDArray[Any]]:
    """Columns of the list for some events of a CCD (attcalc gives X, Y).

    Parameters
    ----------
    order
        Numbers of the events, in the order of the list.
    """
    from daxa.xmm.sky.attcalc import sky_coordinates

    columns = ccd_columns(made, ccd, order)
    columns["X"], columns["Y"] = sky_coordinates(
        columns["TIME"], columns["DETX"], columns["DETY"], camera.geometry, camera.attitude,
        *camera.pointing[:2],
    )  # fmt: skip
    return columns


def select(camera: Camera, columns: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.bool_]:
    """Events that the selection expression of the options selects.

    Parameters
    ----------
    columns
        Columns of the list.

    Raises
    ------
    TaskError
        ``badExpression``: the expression is wrong, or names a column that there is not.
    """
    from daxa.xmm.select.blocks import SelectionError
    from daxa.xmm.select.expression import compile

    text = camera.options.expression
    macros = {key: expression for key, expression, _ in flag_keywords(camera.scope)}
    try:
        return compile(text, macros).mask(columns)
    except SelectionError as error:
        raise TaskError("badExpression", f"filterexpression {text!r}: {error}") from error


def step_keywords(options: Options, steps: Sequence[str]) -> Cards:
    """What steps were told, under the names of real lists.

    Parameters
    ----------
    options
        Parameters of the steps.
    steps
        Some of :data:`SAID_OF_STEPS`.
    """
    frames, events, energies = options.emframes, options.emevents, options.emenergy
    told: dict[str, dict[str, float]] = {
        "emframes": {
            "CHECKFRA": True, "CHECKNVA": frames.checknvalid, "FLAGFIFO": frames.flagfifooverflow,
            "SETDEADT": frames.setdeadtime, "SETGATTI": frames.setgatti,
        },
        "emevents": {
            "FLAGBADP": events.flagbadpixels and options.use_bad_pixels, "SPLITDIA": events.splitdiagonals,
            "FLAGBADT": events.flagbadtimes, "SETCOORD": True, "RAND_XY": events.randomizeposition,
            "SETTIMES": True, "RAND_TIM": events.randomizetime, "REJECTRO": events.rejectrows,
            "REJECTBA": events.rejectbade3, "REJECTFL": events.rejectflickering,
            "FLAGTRUN": events.flagtruncatede1,
        },
        "emenergy": {
            "FLAGEVEN": energies.flagevents, "BKGE1MIN": energies.minenergy, "BKGPERIP": energies.maxperipix,
            "FILLCCDB": energies.fillccdbkg, "NMAXFILL": energies.fillminnumber,
            "GETCCDBK": energies.getccdbkg, "MAKEPHA": True, "RAND_PI": energies.randomizeenergy,
            "CORRECTC": energies.correctcti, "CORRECTG": energies.correctgain,
        },
    }  # fmt: skip
    return {key: (int(value), "as the task was told") for step in steps for key, value in told[step].items()}


def ccd_keywords(camera: Camera, ccd: Ccd, steps: Sequence[str] = SAID_OF_STEPS) -> Cards:
    """Keywords of the extensions of one CCD, under the names of real lists: what it was, what was done.

    Parameters
    ----------
    steps
        The steps that the CCD has gone through.
    """
    sent = {key: (ccd.header.kept[key], comment) for key, comment in _SENT.items() if key in ccd.header.kept}
    return {
        **sent,
        "CCDID": (ccd.number, "CCD"),
        "CCDNODE": (ccd.node, "read-out node"),
        "CCDMODE": (camera.submode, "mode of the camera"),
        "DATATYPE": (DATATYPES.get(ccd.file_type, ccd.file_type), "kind of data"),
        "FRMTIME": (float(round(1000 * ccd.frames.length_s)), "[ms] frame time"),
        # Assumed: lists of science exposures have it, and no text names the housekeeping of low gain, whose
        # exposures are diagnostic ones.
        "GAIN_CCD": ("NORMAL", "gain of the CCD"),
        "EDUTHR": (round(ccd.threshold_adu), "[adu] event threshold"),
        "GATTI_ON": (ccd.gatti_on, "sliding scale moves"),
        "IN_FOV": (ccd.arcmin2, "[arcmin2] area in the field of view"),
        "DET_SYST": (2, "system of DETX, DETY: CAMCOORD2"),
        "REFPOINT": ("PNT", "source of the reference point"),
        **{f"CRPAT{i}": (p, "pattern of cosmic rays") for i, p in enumerate(COSMIC_PATTERNS, start=1)},
        **step_keywords(camera.options, steps),
    }


def ccd_exposure(camera: Camera, ccd: Ccd, gti: GTI, table: dict[str, npt.NDArray[np.int16]]) -> CcdExposure:
    """What the list says of the CCD: frames, good times and bad pixels.

    Parameters
    ----------
    table
        Columns of BADPIX.
    """
    sent = ccd.frames.received
    return CcdExposure(
        ccd.frames.time_s[sent],
        ccd.frames.integration_s[sent],
        ccd.frames.fraction[sent],
        gti,
        table,
        ccd_keywords(camera, ccd),
        transfer_s=ccd.frames.transfer_s,
        limits=ccd.limits,
    )
