"""evlistcomb for the pn: the calibrated event lists of the CCDs of an exposure in one list.

Source: manual of evlistcomb. Lists are those of epevents, in imaging modes after attcalc.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from daxa.xmm.epic.pn.fixed import EVLISTCOMB
from daxa.xmm.epic.pn.rawfile import header_cards
from daxa.xmm.errors import TaskError
from daxa.xmm.event.eventlist import write_event_list
from daxa.xmm.event.gti import GTI
from daxa.xmm.event.parts import CcdExposure
from daxa.xmm.fits.schema import column
from daxa.xmm.formats.eventlist import EVENT_COLUMNS, HKAUX_COLUMNS
from daxa.xmm.notes import note_product
from daxa.xmm.parameters import Parameters
from daxa.xmm.task import TaskContext

#: CCD with the aim point.
_PRIME_CCD = 4


def combine_lists(ctx: TaskContext, p: Parameters) -> None:
    """Join the lists that ``eventsets`` names; imaging ones in ``imagingset``, others in ``timingset``.

    Raises
    ------
    TaskError
        ``badEventSet``: no such file, or a list without a table or column that is needed.
        ``incompatibleSets``: lists of different exposures, or two of one CCD.
    """
    for name, only in EVLISTCOMB.items():
        if " ".join(p[name]) != only:
            raise NotImplementedError(f"evlistcomb: {name}={' '.join(p[name])}: only {only} is implemented")
    columns: list[dict[str, Any]] = []
    ccds: dict[int, CcdExposure] = {}
    offsets: dict[str, list[int]] = {"RAWX": [], "OFFSETX": [], "CCDNR": []}
    primary: dict[str, Any] = {}
    sky: dict[str, float] = {}
    for name in p.eventsets:
        try:
            part, ccd, one, shifts, cards, place = _read(ctx, name)
        except (OSError, KeyError, ValueError) as error:
            raise TaskError("badEventSet", f"{name}: cannot be joined: {error}") from error
        odd = [k for k in p.primarychecks if primary and cards.get(k) != primary.get(k)]
        if odd or ccd in ccds:
            what = f"{odd[0]} differs from that of {p.eventsets[0]}" if odd else f"another list of CCD {ccd}"
            raise TaskError("incompatibleSets", f"{name}: {what}")
        primary = (
            cards if not primary else {**primary, **{k: v for k, v in cards.items() if "XPROC" not in k}}
        )
        sky = sky or place
        columns.append(part)
        ccds[ccd] = one
        for x, adu in shifts:
            for key, value in (("RAWX", x), ("OFFSETX", adu), ("CCDNR", ccd)):
                offsets[key].append(value)
    imaging = primary["DATAMODE"][0] == "IMAGING"
    ctx.provenance(primary, sum(k.startswith("XPROC") for k in primary))
    target = p.imagingset if imaging else p.timingset
    joined = {key: np.concatenate([part[key] for part in columns]) for key in columns[0]}
    with ctx.output(target) as temporary:
        write_event_list(
            temporary,
            primary=primary,
            columns=joined,
            ccds=ccds,
            sky=sky if imaging else {},
            offsets=offsets,
            prime_ccd=_PRIME_CCD,
        )
    ctx.info(f" {target}:EVENTS has {len(joined['TIME']):11d}  rows")


def _read(ctx: TaskContext, name: str) -> tuple[Any, ...]:
    from astropy.io import fits

    path = str(ctx.path(name))
    with fits.open(path, memmap=False) as hdus:
        events, frames = hdus["EVENTS"], hdus["EXPOSURE"]
        note_product(hdus[0].header, path, is_list=True)
        head = events.header
        mode = "IMAGING" if str(head["DATAMODE"]).strip() == "IMAGING" else "TIMING"
        part = {c.name: column(events, c.name, path) for c in EVENT_COLUMNS["EPN", mode]}
        ccd = 3 * int(head["QUADRANT"]) + int(head["CCDID"]) + 1
        badpix: dict[str, Any] = {n: [] for n in ("RAWX", "RAWY", "TYPE", "YEXTENT", "BADFLAG")}
        if "BADPIX" in hdus:
            badpix = {n: column(hdus["BADPIX"], n, path) for n in badpix}
        lines = (
            {n: column(hdus["DLIMAP"], n, path) for n in ("DLIODF", "DLISAS")} if "DLIMAP" in hdus else None
        )
        counters = None
        if "HKAUX" in hdus:
            counters = {c.name: column(hdus["HKAUX"], c.name, path) for c in HKAUX_COLUMNS}
        time, length, fraction = (column(frames, n, path) for n in ("TIME", "TIMEDEL", "FRACEXP"))
        one = CcdExposure(
            time,
            length,
            fraction,
            GTI.from_hdu(hdus["STDGTI"]),
            badpix,
            header_cards(frames.header),
            lines,
            counters,
        )
        shifts = list(
            zip(*(column(hdus["OFFSETS"], n, path).tolist() for n in ("RAWX", "OFFSETX")), strict=True)
        )
        place = {"ra_deg": head["REFXCRVL"], "dec_deg": head["REFYCRVL"]} if mode == "IMAGING" else {}
        return part, ccd, one, shifts, header_cards(hdus[0].header), place
