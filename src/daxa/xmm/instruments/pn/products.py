"""The final lists of the pn chain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.event.eventlist import write_event_list
from daxa.xmm.event.gti import GTI
from daxa.xmm.event.parts import CcdExposure
from daxa.xmm.formats.eventlist import EVENT_COLUMNS
from daxa.xmm.instruments import seeds
from daxa.xmm.instruments.pn.badpixels import badpix_columns
from daxa.xmm.instruments.pn.calibration import rate_law
from daxa.xmm.instruments.pn.events import Columns
from daxa.xmm.instruments.pn.exposure import PnExposure, Sky
from daxa.xmm.instruments.pn.options import PRIME_CCD, Epfast, Epframes, Request
from daxa.xmm.instruments.pn.rate import corrected_energies, mark, report
from daxa.xmm.instruments.pn.rawlist import RawCcd
from daxa.xmm.task import TaskContext, child_of


def write_products(
    ctx: TaskContext,
    exposure: PnExposure,
    request: Request,
    raws: Mapping[int, RawCcd],
    lists: list[Columns],
    sky: Sky,
) -> None:
    """Write the event list of an exposure, and what else was asked for.

    Parameters
    ----------
    ctx
        The running task.
    exposure
        The exposure.
    request
        What was asked for.
    raws
        CCD -> its pixels and patterns.
    lists
        Columns of the list of each CCD.
    sky
        Where the camera points.
    """
    fast = request.data_mode != "IMAGING"
    names = [c.name for c in EVENT_COLUMNS["EPN", "TIMING" if fast else "IMAGING"]]
    columns = {name: np.concatenate([c[name] for c in lists]) for name in names}
    length = exposure.timing.integration_s
    ccds = {
        ccd: CcdExposure(
            raw.time_s,
            np.full(len(raw.time_s), length),
            raw.fraction.astype(np.float64) if request.options.runepexposure else np.ones(len(raw.time_s)),
            raw.gti,
            badpix_columns(raw.badpix),
            dict(raw.header),
            None
            if raw.dli_odf is None or "DLIMAP" in request.leave_out
            else {"DLIODF": raw.dli_odf, "DLISAS": raw.dli_sas},
            None if "HKAUX" in request.leave_out else raw.counters,
        )
        for ccd, raw in raws.items()
    }
    primary = exposure.keywords()
    primary["RA_PNT"] = (sky.ra_deg, "[deg] pointing, right ascension")
    primary["DEC_PNT"] = (sky.dec_deg, "[deg] pointing, declination")
    primary["PA_PNT"] = (sky.pa_deg, "[deg] position angle of the pointing")
    primary["AVRG_PNT"] = (sky.average, "Meaning of the pointing values")
    primary.update(_source_position(primary, sky))
    if fast:
        primary["SRCPOS"] = (request.options.epframes.source_row, "[pixel] RAWY of the source")
        if request.options.epfast is not None:
            _correct_for_rate(ctx, exposure, request.options.epfast, columns, raws[PRIME_CCD].gti, primary)
    elif (row := request.options.epevents.charge_row) is not None:
        primary["SRCPOS"] = (row, "[pixel] RAWY of the source, of all charge")
    primary.update(_discarded_lines(raws))
    ctx.provenance(primary)
    offsets = {
        "RAWX": [c for raw in raws.values() for c in raw.offsets],
        "OFFSETX": [v for raw in raws.values() for v in raw.offsets.values()],
        "CCDNR": [ccd for ccd, raw in raws.items() for _ in raw.offsets],
    }
    with ctx.output(request.output) as path:
        write_event_list(
            path,
            primary=primary,
            columns=columns,
            ccds=ccds,
            sky={} if fast else {"ra_deg": sky.ra_deg, "dec_deg": sky.dec_deg},
            offsets=offsets,
            calindex=exposure.cal.calindex_hdu(("EPN", "XRT3", "XMM")),
            prime_ccd=PRIME_CCD,
        )
    ctx.info(
        f"{request.output}: {len(columns['TIME'])} events of {sum(r.n_raw for r in raws.values())} raw ones "
        f"on {len(raws)} CCDs"
    )


def _correct_for_rate(
    ctx: TaskContext,
    exposure: PnExposure,
    options: Epfast,
    columns: dict[str, Any],
    gti: GTI,
    primary: dict[str, Any],
) -> None:
    """Run epfast on the events of a fast mode."""
    sub = child_of(ctx, "epfast")
    try:
        law = rate_law(exposure.cal, exposure.submode)
    except TaskError as error:
        if options.needed:
            raise
        sub.warn("notCalibrated", f"energies are not corrected for the rate of the source: {error.message}")
        return
    old = columns["PI"]
    rng = seeds.pn_rate(exposure.odf.obs_id, exposure.exp_id) if options.withrandomisation else None
    columns["PI"] = corrected_energies(columns["TIME"], columns["RAWX"], old, gti, law, rng, options)
    mark(primary)
    report(old, columns["PI"], sub.info)


def _discarded_lines(raws: Mapping[int, RawCcd]) -> dict[str, Any]:
    """Statistics of the lines discarded on board, of the last CCD's quadrant as merging lists leaves them."""
    lines = raws[max(raws)].counters["NDISCLIN"]
    if not len(lines):
        return {}
    return {
        "DLMAX": (int(lines.max()), "maximum of discarded lines in a counter record"),
        "DLMEAN": (float(lines.mean()), "mean of discarded lines in a counter record"),
    }


def _source_position(primary: Mapping[str, Any], sky: Sky) -> dict[str, Any]:
    """Pixel of the proposal's target, as the fast modes need it."""
    cards: dict[str, Any] = {"SRCPOS": (Epframes.srcposition, "[pixel] RAWY of the source in fast modes")}
    if "RA_OBJ" not in primary:
        return cards
    ra, dec = primary["RA_OBJ"][0], primary["DEC_OBJ"][0]
    ccd, x, y = sky.camera_pixel(ra, dec)
    if ccd:
        cards["SRCPOS"] = (round(y), cards["SRCPOS"][1])
        cards["SRCPOSX"] = (x, "[pixel] RAWX of the target")
        cards["SRCPOSY"] = (y, "[pixel] RAWY of the target")
        cards["CCDSRC"] = (ccd, "CCD of the target")
    return cards
