"""The task rgsfilter: keep good frames and events of an event list, and make exposure maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.fits.hdus import table_hdu
from daxa.xmm.formats.rgs import (
    BADPIX,
    EVENTS_CCD,
    EXPOSURE,
    EXPOSURE_DRIFT,
    REJPIX,
    RgsFlag,
)
from daxa.xmm.instruments.rgs.calibration import RgsCalibration
from daxa.xmm.instruments.rgs.expmap import combined_map, node_map, node_pixels
from daxa.xmm.instruments.rgs.files import keyword, read_set, table, write_set
from daxa.xmm.instruments.rgs.filter import keep_frames, rejection_mask
from daxa.xmm.instruments.rgs.frames import frame_gti
from daxa.xmm.instruments.rgs.geometry import BINNING
from daxa.xmm.instruments.rgs.options import Rgsfilter
from daxa.xmm.parameters import Parameter, Parameters, parameters_of
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import open_calibration

if TYPE_CHECKING:
    from daxa.xmm.fits.hdus import HDUList
    from daxa.xmm.instruments.rgs.geometry import RgsGeometry


def _auxiliary(ctx: TaskContext, names: list[str]) -> GTI | None:
    gti: GTI | None = None
    for specification in names:
        name, _, extension = specification.partition(":")
        try:
            part = GTI.read(ctx.path(name), extension or None)
        except (OSError, KeyError) as error:
            raise TaskError("noGti", f"{specification}: no good-time intervals: {error}") from error
        gti = part if gti is None else gti & part
    return gti


@task(
    "rgsfilter",
    "1.19",
    [
        Parameter("mergedset", "dataset", "merged.ds", required=True, text="event list after rgsangles"),
        Parameter("evlist", "dataset", "evlist.ds", text="event list to write"),
        *parameters_of(Rgsfilter),
    ],
)
def rgsfilter(ctx: TaskContext, p: Parameters) -> None:
    """Keep good frames and events of an event list, and make exposure maps."""
    hdus = read_set(ctx, p.mergedset)
    mask = rejection_mask(list(p.rejflags))
    aux = _auxiliary(ctx, list(p.auxgtitables))
    for name in [h.name for h in hdus if h.name.startswith("EXPMAP")]:
        del hdus[name]
    ccd_of = table(hdus, "EVENTS", EVENTS_CCD, p.mergedset)["CCDNR"]
    rows = hdus["EVENTS"].data
    missing = [name for name in ("XDSP_CHANNEL", "FLAG", "TIME") if name not in rows.dtype.names]
    if missing:
        raise TaskError("noAngles", f"{p.mergedset}[EVENTS]: no {missing[0]}; run rgsangles before")
    keep = np.zeros(len(rows), bool)
    sound = (rows["FLAG"] & mask) == 0
    kept: dict[int, Mapping[str, npt.NDArray[Any]]] = {}
    for ccd in range(1, 10):
        name = f"EXPOSU{ccd:02d}"
        if name not in hdus:
            continue
        frames = table(hdus, name, (*EXPOSURE, *EXPOSURE_DRIFT), p.mergedset)
        gti, chosen = kept_frames(hdus, ccd, frames, aux)
        kept[ccd] = {k: v[chosen] for k, v in frames.items()}
        mine = ccd_of == ccd
        keep |= mine & sound & gti.contains(rows["TIME"])
        _cut(hdus, name, chosen)
        _replace_gti(hdus, ccd, gti)
        for node in (0, 1):
            reject = f"REJPIX{node}{ccd}"
            if reject in hdus:
                _cut(hdus, reject, np.isin(hdus[reject].data["FRAME"], kept[ccd]["FRAME"]))
        ctx.info(f"CCD {ccd}: {int(chosen.sum())} of {len(chosen)} frames, {gti.total:.1f} s of good time")
        if not chosen.any():
            ctx.warn("noGoodTime", f"CCD {ccd} has no good frames")
    _cut(hdus, "EVENTS", keep)
    old = int(hdus["EVENTS"].header.get("REJFLAGS", 0))
    hdus["EVENTS"].header["REJFLAGS"] = (old | mask, "flags whose events were rejected")
    ctx.info(f"{int(keep.sum())} of {len(keep)} events are kept")
    if p.withexpmaps:
        scope = str(keyword(hdus, "INSTRUME", p.mergedset))
        middle = 0.5 * sum(float(keyword(hdus, n, p.mergedset)) for n in ("TSTART", "TSTOP"))
        geometry = RgsCalibration(open_calibration(ctx), scope).geometry(middle)
        _maps(ctx, p, hdus, kept, geometry, mask | old)
    write_set(ctx, p.evlist, hdus)


def kept_frames(
    hdus: HDUList, ccd: int, frames: Mapping[str, npt.NDArray[Any]], aux: GTI | None
) -> tuple[GTI, npt.NDArray[np.bool_]]:
    """Good times of a CCD, and which of its frames lie in them.

    Parameters
    ----------
    hdus
        The merged data set.
    ccd
        Number of the CCD.
    frames
        Columns of its frames: TIME, TIMEDEL, FLAG, ASPCDSP.
    aux
        Good times besides its own; None: all.

    Raises
    ------
    TaskError
        ``missingTable``: its good times are not there.
    """
    name = f"STDGTI{ccd:02d}"
    if name not in hdus:
        raise TaskError("missingTable", f"no table {name}, the good times of CCD {ccd}")
    own = GTI.from_hdu(hdus[name])
    allowed = own if aux is None else own & aux
    valid = np.isfinite(frames["ASPCDSP"]) & ((frames["FLAG"] & RgsFlag.IN_BAD_FRAME) == 0)
    chosen = keep_frames(frames["TIME"], frames["TIMEDEL"], valid, allowed)
    return frame_gti(frames["TIME"][chosen], frames["TIMEDEL"][chosen]), chosen


def _cut(hdus: HDUList, name: str, keep: npt.NDArray[np.bool_]) -> None:
    hdus[name] = table_hdu(hdus[name].data[keep], hdus[name].header)


def _replace_gti(hdus: HDUList, ccd: int, gti: GTI) -> None:
    name = f"STDGTI{ccd:02d}"
    old = hdus[name].header
    shared = {k: old[k] for k in ("TELESCOP", "INSTRUME", "OBS_ID", "EXP_ID", "CCDID") if k in old}
    hdus[name] = gti.to_hdu(name, shared)


def _maps(
    ctx: TaskContext,
    p: Parameters,
    hdus: HDUList,
    kept: Mapping[int, Mapping[str, npt.NDArray[Any]]],
    geometry: RgsGeometry,
    mask: int,
) -> None:
    header = hdus["EVENTS"].header
    total = combined_map(header, p.spectrumbinning)
    for ccd, frames in kept.items():
        tables = [table(hdus, f"BADPIX{node}{ccd}", BADPIX, p.mergedset) for node in (0, 1)]
        heads = [hdus[f"BADPIX{node}{ccd}"].header for node in (0, 1)]
        for node in (0, 1):
            pixels = node_pixels(node, tables, heads, mask)
            rejected = table(hdus, f"REJPIX{node}{ccd}", REJPIX, p.mergedset)
            rejected = {k: v[(rejected["FLAG"] & mask) != 0] for k, v in rejected.items()}
            made = node_map(
                geometry, ccd, node, pixels, frames, rejected, header, p.spectrumbinning, p.driftbinsize,
                int(heads[node].get("CCDOCB", BINNING)),
            )  # fmt: skip
            hdu = made.to_hdu(f"EXPMAP{node}{ccd}", {"CCDNODE": node, "CCDID": ccd})
            hdus.append(hdu)
            total.add(made)
    if p.withcombmap:
        primary = total.to_primary()
        names = ("TELESCOP", "INSTRUME", "OBS_ID", "EXP_ID", "EXPIDSTR", "DATE-OBS", "DATE-END")
        for key in names:
            if key in hdus[0].header:
                primary.header[key] = hdus[0].header[key]
        write_set(ctx, p.expimageset, [primary])
        ctx.info(f"{p.expimageset}: longest exposure {float(total.image.max(initial=0.0)):.1f} s")
