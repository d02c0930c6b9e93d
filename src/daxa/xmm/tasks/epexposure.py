"""The task epexposure: make the times of imaging events random within the integration of their frame,
in place.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.hdus import open_hdus
from daxa.xmm.instruments import seeds
from daxa.xmm.instruments.pn.clock import FAST_MODES
from daxa.xmm.instruments.pn.options import Epexposure
from daxa.xmm.instruments.seeds import PN_TIME
from daxa.xmm.notes import note_product
from daxa.xmm.parameters import Parameter, Parameters, parameters_of
from daxa.xmm.task import TaskContext, task

_TIMES_DRAWN = "TIMERAND"


@task(
    "epexposure",
    "0.16",
    [
        Parameter("eventsets", "list", required=True, text="event lists to change, in place"),
        *parameters_of(Epexposure),
    ],
)
def epexposure(ctx: TaskContext, p: Parameters) -> None:
    """Make the times of imaging events random within the integration of their frame, in place.

    Live fractions are in the EXPOSURE tables since epframes; a correction per column (``spatialexposure``) is
    not enabled in SAS either.
    """
    for name in p.eventsets:
        path = ctx.path(name)
        try:
            hdus = open_hdus(path, memmap=False)
        except OSError as error:
            raise TaskError("badInfile", f"{path}: not a readable FITS file ({error})") from error
        with hdus:
            head = hdus["EVENTS"].header if "EVENTS" in hdus else {}
            note_product(hdus[0].header, path, is_list="EVENTS" in hdus)
            if str(head.get("INSTRUME", "")).strip() != "EPN" or "CCDNR" not in hdus["EVENTS"].columns.names:
                raise TaskError("badSubMode", f"{path}: not an event list of the pn")
            fast = str(head.get("SUBMODE", "")).strip() in FAST_MODES
            if not p.randomizetime or fast or head.get(_TIMES_DRAWN):
                ctx.info(f"{name}: times stay as they are")
                continue
            _draw_times(hdus, str(path))
            ctx.provenance(hdus[0].header, sum(k.startswith("XPROC") for k in hdus[0].header))
            with ctx.output(name) as temporary:
                hdus.writeto(temporary)
        ctx.info(f"{name}: times are random within the integration of their frame")


def _draw_times(hdus: Any, where: str) -> None:
    """Move TIME, in place.

    Raises
    ------
    TaskError
        ``badInfile``: keywords, columns or tables of frames are missing.
    """
    events = hdus["EVENTS"]
    missing = [key for key in ("OBS_ID", "EXPIDSTR") if key not in events.header]
    missing += [name for name in ("TIME",) if name not in events.columns.names]
    if missing:
        raise TaskError("badInfile", f"{where}[EVENTS]: no {missing[0]}")
    random = seeds.pn(str(events.header["OBS_ID"]), str(events.header["EXPIDSTR"]), 0)
    part = random(PN_TIME).random(len(events.data)) - 0.5
    length = np.zeros(len(part))
    ccds = np.asarray(events.data["CCDNR"])
    for ccd in np.unique(ccds):
        frames = next((h for h in hdus if h.name in (f"EXPOSU{ccd:02d}", "EXPOSURE")), None)
        if frames is None or "TIMEDEL" not in frames.columns.names:
            raise TaskError("badInfile", f"{where}: no table EXPOSU{ccd:02d} with the column TIMEDEL")
        length[ccds == ccd] = float(np.median(frames.data["TIMEDEL"]))
    events.data["TIME"] = np.asarray(events.data["TIME"], float) + part * length
    events.header[_TIMES_DRAWN] = (True, "TIME is random within the frame")
