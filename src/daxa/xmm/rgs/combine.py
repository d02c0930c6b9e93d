"""The task evlistcomb for the RGS: the event lists of the CCDs of an exposure in one file.

Source: manual of evlistcomb; parameters from a real run's log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from daxa.xmm.epic.pn.fixed import EVLISTCOMB
from daxa.xmm.errors import TaskError
from daxa.xmm.fits.schema import make_table
from daxa.xmm.formats.rgs import EVENTS, EVENTS_CCD, Arrays
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.rgs.tables import read_set, table, write_set
from daxa.xmm.task import TaskContext, task

if TYPE_CHECKING:
    from astropy.io import fits

#: Tables that are copied, in the order of a real run, and what they are called behind it.
OTHER_TABLES = ("STDGTI", "BADPIX0", "BADPIX1", "REJPIX0", "REJPIX1", "EXPOSURE")
_PRIMARY_CHECKS = ("TELESCOP", "INSTRUME", "OBS_ID", "EXP_ID")
_COLUMNS = "TIME FLAG BETA XDSP CHIPX CHIPY PHA SHAPE GRADE PI"


def extension_name(name: str, ccd: int) -> str:
    """Name of a CCD's table in the common list: six letters and two digits, the first one of a node's table.

    Examples
    --------
    >>> extension_name("EXPOSURE", 3), extension_name("BADPIX1", 3)
    ('EXPOSU03', 'BADPIX13')
    """
    return f"{name[:6]}{name[6] if name[6:7].isdigit() else 0}{ccd}"


@task(
    "evlistcomb",
    "4.20",
    [
        Parameter("eventsets", "list", required=True),
        Parameter("imagingset", "dataset", "merged.img"),
        Parameter("timingset", "dataset", "merged.tim"),
        Parameter("maintable", "string", "EVENTS"),
        Parameter("othertables", "list", ("BADPIX", "EXPOSURE", "STDGTI")),
        Parameter("primarychecks", "list", _PRIMARY_CHECKS),
        Parameter("mainattributes", "list", ("PHA_RDCO",)),
        Parameter("rgsdatamodes", "list", ("SPECTROSCOPY", "HIGHTIMERESOLUTION")),
        Parameter("rgsimgcolnames", "list", tuple(_COLUMNS.split())),
        *(Parameter(name, "list", tuple(value.split())) for name, value in EVLISTCOMB.items()),
        Parameter("instrument", "choice", "epn", ("emos", "epn", "rgs")),
    ],
)
def evlistcomb(ctx: TaskContext, p: Parameters) -> None:
    """Join the event lists of the CCDs of one exposure."""
    from astropy.io import fits

    if p.instrument == "epn":
        from daxa.xmm.epic.pn.combine import combine_lists

        combine_lists(ctx, p)
        return
    if p.instrument != "rgs":
        raise NotImplementedError(
            f"evlistcomb: instrument={p.instrument}: the chains of the MOS join their lists themselves"
        )
    if tuple(p.rgsimgcolnames) != tuple(_COLUMNS.split()):
        raise NotImplementedError(f"evlistcomb: rgsimgcolnames: this engine writes {_COLUMNS} only")
    ctx.info(f" {len(p.eventsets):11d}  input event files")
    main: list[Arrays] = []
    tables: list[Any] = []
    first: fits.HDUList | None = None
    header: Any = None
    span: list[tuple[float, float]] = []
    for name in p.eventsets:
        hdus = read_set(ctx, name)
        if first is None:
            first, header = hdus, hdus[p.maintable].header
        odd = [k for k in p.primarychecks if hdus[0].header.get(k) != first[0].header.get(k)]
        if odd:
            raise TaskError("incompatibleSets", f"{name}: {odd[0]} differs from that of {p.eventsets[0]}")
        ccd = int(hdus[0].header["CCDID"])
        part = table(hdus, p.maintable, EVENTS, name)
        main.append({**part, "CCDNR": np.full(len(part["TIME"]), ccd)})
        span.append((hdus[0].header["TSTART"], hdus[0].header["TSTOP"]))
        for other in p.othertables:
            if other not in hdus:
                continue
            new = extension_name(other, ccd)
            copied = hdus[other].copy()
            copied.name = new
            ctx.info(f" Writing extension {new} from {name}:{other}")
            tables.append(copied)
    assert first is not None  # eventsets is required
    start, stop = min(a for a, _ in span), max(b for _, b in span)
    schema = (*EVENTS, *EVENTS_CCD)
    joined = {c.name: np.concatenate([part[c.name] for part in main]) for c in schema}
    primary = fits.PrimaryHDU(header=first[0].header)
    for key in [k for k in primary.header if k.startswith("XPROC")] + ["CCDID"]:
        del primary.header[key]
    times = {"TSTART": (start, "[s] start"), "TSTOP": (stop, "[s] end"), "TELAPSE": (stop - start, "[s]")}
    for key, value in times.items():
        primary.header[key] = value
    wanted: tuple[str, ...] = (
        *_PRIMARY_CHECKS,
        "DATE-OBS",
        "DATE-END",
        "CCDOCB",
        "DATATYPE",
        "EXPIDSTR",
        "TIMESYS",
        "MJDREF",
    )
    wanted += ("TIMEREF", "TASSIGN", "TIMEUNIT", "TIMEZERO", "CLOCKAPP")
    cards = {
        k: (header[k], header.comments[k])
        for k in header
        if k in wanted or k.startswith(("XMMEA_", "FLAGBITS"))
    }
    events = make_table(schema, joined, "EVENTS", {**cards, **times})
    ctx.info(f" {p.imagingset}:EVENTS has {len(joined['TIME']):11d}  rows")
    write_set(ctx, p.imagingset, [primary, events, *tables])
