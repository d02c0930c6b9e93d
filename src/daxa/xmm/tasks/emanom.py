"""The task emanom: write the state of every CCD to ``<mos1S001>-anom.log`` and the list's primary
header.
"""

from __future__ import annotations

from pathlib import Path

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.hdus import open_hdus
from daxa.xmm.notes import note_product
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.screen.anomalies import ccd_states, format_log, keywords
from daxa.xmm.screen.regions import WHOLE_CHIP, corner_expression
from daxa.xmm.task import TaskContext, task


@task(
    "emanom",
    "1.0",
    [
        Parameter("eventfile", "dataset", required=True, text="MOS event list"),
        Parameter("writekeys", "bool", True, text="write the state of each CCD into its header"),
        Parameter("writelog", "bool", True, text="write the state of each CCD into a log"),
        Parameter("keepcorner", "bool", True, text="keep cornerfile"),
        Parameter("cornerfile", "dataset", "temp_corner.fits", text="list of the events in the corners"),
    ],
)
def emanom(ctx: TaskContext, p: Parameters) -> None:
    """Write the state of every CCD to ``<mos1S001>-anom.log`` and the list's primary header."""
    import numpy as np

    from daxa.xmm.ccf.calibration import Calibration

    path = ctx.path(p.eventfile)
    with open_hdus(path) as hdus:
        if "EVENTS" not in hdus:
            raise TaskError("noEvents", f"{path}: no extension EVENTS")
        note_product(hdus[0].header, path, is_list=True)
        header = hdus["EVENTS"].header.copy()
    instrument = str(header.get("INSTRUME", "")).strip()
    if instrument not in ("EMOS1", "EMOS2"):
        raise TaskError("notMOS", f"{path}: INSTRUME is {instrument!r}; emanom works on EMOS1 and EMOS2")
    cal = Calibration.from_environment(ctx.env, ctx.cwd)
    expression = f"{WHOLE_CHIP[instrument]}&&{corner_expression(cal, instrument)}"
    ctx.call(
        "evselect",
        table=f"{path}:EVENTS",
        filteredset=p.cornerfile,
        expression=expression,
        updateexposure=False,
        writedss=False,
    )
    corner = ctx.path(p.cornerfile)
    with open_hdus(corner) as hdus:
        pi = np.asarray(hdus["EVENTS"].data["PI"])
        ccdnr = np.asarray(hdus["EVENTS"].data["CCDNR"])
    table = cal.constituent(instrument, "SCREENTHRESH").table("SCREEN_THRESH")
    rows = list(zip(table["CCD_ID"], table["BAD"], table["GOOD"], strict=True))
    # The first row of a CCD counts.
    limits = {int(ccd): (float(bad), float(good)) for ccd, bad, good in reversed(rows)}
    live = {ccd: float(header.get(f"LIVETI{ccd:02d}", 0.0)) for ccd in range(1, 8)}
    states = ccd_states(pi, ccdnr, live, limits)
    name = f"mos{instrument[-1]}{str(header.get('EXPIDSTR', '')).strip()}-anom.log"
    text = format_log(instrument, str(header.get("EXPIDSTR", "")), states)
    for line in text.splitlines():
        ctx.info(line)
    if p.writelog:
        with ctx.output(name) as temporary:
            Path(temporary).write_text(text, encoding="ascii")
    if p.writekeys:
        with open_hdus(path, mode="update") as hdus:
            for key, card in keywords(states).items():
                hdus[0].header[key] = card
    if not p.keepcorner:
        corner.unlink(missing_ok=True)
