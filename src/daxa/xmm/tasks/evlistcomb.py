"""The task evlistcomb: join the event lists of the CCDs of one exposure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.event.eventlist import write_event_list
from daxa.xmm.event.gti import GTI
from daxa.xmm.event.parts import CcdExposure
from daxa.xmm.fits.hdus import open_hdus, primary_hdu
from daxa.xmm.fits.schema import column, make_table
from daxa.xmm.formats.eventlist import EVENT_COLUMNS, HKAUX_COLUMNS
from daxa.xmm.formats.rgs import EVENTS, EVENTS_CCD, Arrays
from daxa.xmm.instruments.pn.files import header_cards
from daxa.xmm.instruments.rgs.files import read_set, table, write_set
from daxa.xmm.notes import note_product
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task

if TYPE_CHECKING:
    from daxa.xmm.fits.hdus import HDUList


#: What evlistcomb takes for lists of the pn, as real chains hand it over: names and types of columns (OFFSETX
#: stands in the table OFFSETS, CCDNR is made by joining), keywords that are joined or must agree.
EVLISTCOMB = {
    "epndatamodes": "IMAGING TIMING",
    "epnimgcolnames": "TIME RAWX RAWY DETX DETY X Y PHA PI FLAG PATTERN PAT_ID PAT_SEQ OFFSETX",
    "epnimgcoltypes": ("double int16 int16 int16 int16 int32 int32 int16 int16 int32 int8 int16 int8 int16"),
    "epntimcolnames": "TIME RAWX RAWY PHA PI FLAG PATTERN PAT_ID OFFSETX",
    "epntimcoltypes": "double int16 int16 int16 int16 int32 int8 int16 int16",
    "minattributes": "TSTART TLMIN TDMIN",
    "maxattributes": "TSTOP TLMAX TDMAX",
    "primaryonly": "ORIGIN",
    "extensionchecks": (
        "DET_SYST TIMEUNIT TIMESYS MJDREF TIMEREF TASSIGN TIMEZERO CLOCKAPP TCRPX TCTYP TCRVL TCDLT TCROT "
        "TCUNI"
    ),
}

_TEXTS = {
    "epndatamodes": "modes of the pn",
    "epnimgcolnames": "columns of its imaging lists",
    "epnimgcoltypes": "their types",
    "epntimcolnames": "columns of its timing lists",
    "epntimcoltypes": "their types",
    "minattributes": "keywords whose least value is kept",
    "maxattributes": "keywords whose greatest value is kept",
    "primaryonly": "keywords of the primary header only",
    "extensionchecks": "keywords of the tables that must agree",
}
_OWN = "the layout of the lists is the engine's own"

#: CCD with the aim point.
_PRIME_CCD = 4


def combine_lists(ctx: TaskContext, p: Parameters) -> None:
    """Join the lists that ``eventsets`` names; imaging ones in ``imagingset``, others in ``timingset``.

    Parameters
    ----------
    ctx
        The running task.
    p
        Parameters of evlistcomb.

    Raises
    ------
    TaskError
        ``badEventSet``: no such file, or a list without a table or column that is needed.
        ``incompatibleSets``: lists of different exposures, or two of one CCD.
    """
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
    path = str(ctx.path(name))
    with open_hdus(path, memmap=False) as hdus:
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


_PRIMARY_CHECKS = ("TELESCOP", "INSTRUME", "OBS_ID", "EXP_ID")
_COLUMNS = "TIME FLAG BETA XDSP CHIPX CHIPY PHA SHAPE GRADE PI"


def extension_name(name: str, ccd: int) -> str:
    """Name of a CCD's table in the common list: six letters and two digits, the first one of a node's table.

    Parameters
    ----------
    name
        Name of the table in the file of the CCD.
    ccd
        Number of the CCD.

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
        Parameter("eventsets", "list", required=True, text="lists of the CCDs of one exposure"),
        Parameter("imagingset", "dataset", "merged.img", text="list of an imaging exposure, to write"),
        Parameter("timingset", "dataset", "merged.tim", text="list of a timing exposure, to write"),
        Parameter(
            "maintable",
            "string",
            "EVENTS",
            text="table whose rows are joined (RGS; of the pn EVENTS, OFFSETS)",
        ),
        Parameter(
            "othertables",
            "list",
            ("BADPIX", "EXPOSURE", "STDGTI"),
            text="tables that are copied, with the CCD in their names (RGS; of the pn all that are known)",
        ),
        Parameter("primarychecks", "list", _PRIMARY_CHECKS, text="keywords that must agree"),
        Parameter(
            "mainattributes",
            "list",
            ("PHA_RDCO",),
            text="further keywords of the main table",
            without_effect=_OWN,
        ),
        Parameter(
            "rgsdatamodes",
            "list",
            ("SPECTROSCOPY", "HIGHTIMERESOLUTION"),
            text="modes of the RGS",
            without_effect="only spectroscopy is reduced",
        ),
        Parameter("rgsimgcolnames", "list", tuple(_COLUMNS.split()), text="columns of RGS lists", only=_OWN),
        *(
            Parameter(name, "list", tuple(value.split()), text=_TEXTS[name], only=_OWN)
            for name, value in EVLISTCOMB.items()
        ),
        Parameter("instrument", "choice", "epn", ("emos", "epn", "rgs"), text="instrument; emos is refused"),
    ],
)
def evlistcomb(ctx: TaskContext, p: Parameters) -> None:
    """Join the event lists of the CCDs of one exposure."""
    if p.instrument == "epn":
        combine_lists(ctx, p)
        return
    if p.instrument != "rgs":
        raise NotImplementedError(
            f"evlistcomb: instrument={p.instrument}: the chains of the MOS join their lists themselves"
        )
    ctx.info(f" {len(p.eventsets):11d}  input event files")
    main: list[Arrays] = []
    tables: list[Any] = []
    first: HDUList | None = None
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
    primary = primary_hdu(header=first[0].header)
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
