"""The task epfast: correct the energies of an event list of a fast mode for the rate of the source,
in place.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.fits.hdus import open_hdus
from daxa.xmm.instruments import seeds
from daxa.xmm.instruments.pn.calibration import rate_law
from daxa.xmm.instruments.pn.clock import FAST_MODES
from daxa.xmm.instruments.pn.options import Epfast
from daxa.xmm.instruments.pn.rate import APPLIED, corrected_energies, mark, report
from daxa.xmm.notes import note_product
from daxa.xmm.parameters import Parameter, Parameters, options_of, parameters_of
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import open_calibration

#: What random numbers are seeded from.
_IDENTITY = ("OBS_ID", "EXPIDSTR")


@task(
    "epfast",
    "0.7",
    [
        Parameter("evfile", "string", required=True, text="event list to correct, in place"),
        *parameters_of(Epfast),
    ],
)
def epfast(ctx: TaskContext, p: Parameters) -> None:
    """Correct the energies of an event list of a fast mode for the rate of the source, in place."""
    from daxa.xmm.select.blocks import split_block

    name = split_block(p.evfile)[0]
    path = ctx.path(name)
    try:
        hdus = open_hdus(path, memmap=False)
    except OSError as error:
        raise TaskError("badInfile", f"{path}: not a readable FITS file ({error})") from error
    with hdus:
        if "EVENTS" not in hdus:
            raise TaskError("badInfile", f"{path}: no extension EVENTS")
        note_product(hdus[0].header, path, is_list=True)
        table = hdus["EVENTS"]
        check_fast(table, f"{path.name}[EVENTS]")
        law = rate_law(open_calibration(ctx), str(table.header["SUBMODE"]).strip())
        gti = GTI.union(GTI.from_hdu(h) for h in hdus if h.name.startswith("STDGTI"))
        rng = None
        if p.withrandomisation:
            rng = seeds.pn_rate(*(str(table.header[key]) for key in _IDENTITY))
        old = np.asarray(table.data["PI"]).astype(np.int16)
        new = corrected_energies(
            np.asarray(table.data["TIME"], float),
            table.data["RAWX"],
            old,
            gti,
            law,
            rng,
            options_of(Epfast, p),
        )
        table.data["PI"] = new
        mark(table.header)
        report(old, new, ctx.info)
        with ctx.output(name) as temporary:
            hdus.writeto(temporary)


def check_fast(table: Any, where: str) -> None:
    """Refuse lists that epfast cannot correct.

    Parameters
    ----------
    table
        Table of the events.
    where
        Name of the list, for messages.

    Raises
    ------
    TaskError
        ``ThisIsNotEPN``, ``ThisIsNotFAST``, ``RDCTIcorrected``; ``badInfile``: something is missing.
    """
    header = table.header
    if str(header.get("INSTRUME", "")).strip() != "EPN":
        raise TaskError("ThisIsNotEPN", f"{where}: INSTRUME is {header.get('INSTRUME')!r}")
    if str(header.get("SUBMODE", "")).strip() not in FAST_MODES:
        raise TaskError("ThisIsNotFAST", f"{where}: SUBMODE is {header.get('SUBMODE')!r}")
    if header.get(APPLIED):
        raise TaskError("RDCTIcorrected", f"{where}: has been corrected before")
    missing = [name for name in ("TIME", "RAWX", "PI") if name not in table.columns.names]
    missing += [key for key in _IDENTITY if key not in header]
    if missing:
        raise TaskError("badInfile", f"{where}: no {missing[0]}")
