"""Task emanom: MOS CCDs in an anomalous low-energy state.

Source: emanom task manual; Kuntz & Snowden 2008 (A&A 478, 575). The hardness of the corner events of
each outer CCD (2.5-5.0 keV over 0.4-0.8 keV) drops when the CCD shows the enhanced background below 1 keV.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from daxa.xmm.errors import TaskError
from daxa.xmm.notes import note_product
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.screen.regions import WHOLE_CHIP, corner_expression
from daxa.xmm.task import TaskContext, task

SOFT_EV = (400, 800)
HARD_EV = (2500, 5000)
STATES = {
    "G": "good at all energies",
    "I": "intermediate for E<1 keV",
    "B": "bad for E<1 keV",
    "O": "off",
    "U": "undetermined (low band counts <= 0)",
}


@dataclass(frozen=True)
class CcdState:
    """Hardness of one CCD's corner events, its error, and the state letter."""

    ccd: int
    hardness: float
    error: float
    state: str


def ccd_state(
    ccd: int, soft: int, hard: int, livetime_s: float, bad: float | None, good: float | None
) -> CcdState:
    """State of one CCD.

    Parameters
    ----------
    soft, hard
        Corner counts in 0.4-0.8 and 2.5-5.0 keV.
    livetime_s
        Live time; zero means the CCD is off.
    bad, good
        The CCD is bad below ``bad`` and good above ``good``; None where the CCD is not known to misbehave.
    """
    if livetime_s <= 0:
        return CcdState(ccd, 0.0, 0.0, "O")
    if soft <= 0:
        return CcdState(ccd, 0.0, 0.0, "U")
    hardness = hard / soft
    error = (hard / soft**2 * (1 + hardness)) ** 0.5
    if bad is None or good is None or hardness > good:
        state = "G"
    else:
        state = "B" if hardness < bad else "I"
    return CcdState(ccd, hardness, error, state)


def format_log(instrument: str, exposure: str, states: list[CcdState]) -> str:
    """The log: one line per CCD, then the legend."""
    lines = [f"Anomalous state test of {instrument} {exposure}"]
    lines += [
        f"CCD: {s.ccd} Hardness Ratio: {s.hardness:9.4f} Error: {s.error:9.4f} Status: {s.state}"
        for s in states
    ]
    lines += ["", "Legend:", *(f"  {letter} {meaning}" for letter, meaning in STATES.items())]
    return "\n".join(lines) + "\n"


@task(
    "emanom",
    "1.0",
    [
        Parameter("eventfile", "dataset", required=True),
        Parameter("writekeys", "bool", True),
        Parameter("writelog", "bool", True),
        Parameter("keepcorner", "bool", True),
        Parameter("cornerfile", "dataset", "temp_corner.fits"),
    ],
)
def emanom(ctx: TaskContext, p: Parameters) -> None:
    """Write the state of every CCD to ``<mos1S001>-anom.log`` and the list's primary header."""
    import numpy as np
    from astropy.io import fits

    from daxa.xmm.ccf.calibration import Calibration

    path = ctx.path(p.eventfile)
    with fits.open(path) as hdus:
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
    with fits.open(corner) as hdus:
        pi = np.asarray(hdus["EVENTS"].data["PI"])
        ccdnr = np.asarray(hdus["EVENTS"].data["CCDNR"])
    table = cal.constituent(instrument, "SCREENTHRESH").table("SCREEN_THRESH")
    rows = zip(table["CCD_ID"], table["BAD"], table["GOOD"], strict=True)
    limits = {int(ccd): (float(bad), float(good)) for ccd, bad, good in rows}
    soft = (pi >= SOFT_EV[0]) & (pi < SOFT_EV[1])
    hard = (pi >= HARD_EV[0]) & (pi < HARD_EV[1])
    states = []
    # CCD 1 has no corner; it is listed as good so that consumers of the log keep it.
    if header.get("LIVETI01", 0.0) > 0:
        states.append(CcdState(1, 0.0, 0.0, "G"))
    for ccd in range(2, 8):
        on_ccd = ccdnr == ccd
        states.append(
            ccd_state(
                ccd,
                int(np.sum(soft & on_ccd)),
                int(np.sum(hard & on_ccd)),
                float(header.get(f"LIVETI{ccd:02d}", 0.0)),
                *limits.get(ccd, (None, None)),
            )
        )
    name = f"mos{instrument[-1]}{str(header.get('EXPIDSTR', '')).strip()}-anom.log"
    text = format_log(instrument, str(header.get("EXPIDSTR", "")), states)
    for line in text.splitlines():
        ctx.info(line)
    if p.writelog:
        with ctx.output(name) as temporary:
            Path(temporary).write_text(text, encoding="ascii")
    if p.writekeys:
        with fits.open(path, mode="update") as hdus:
            for s in states:
                hdus[0].header[f"ANOMHR{s.ccd}"] = (s.hardness, "corner hardness ratio")
                hdus[0].header[f"ANOMHE{s.ccd}"] = (s.error, "error of the hardness ratio")
                hdus[0].header[f"ANOMFL{s.ccd}"] = (s.state, STATES[s.state])
    if not p.keepcorner:
        corner.unlink(missing_ok=True)
