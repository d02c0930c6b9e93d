"""The task attcalc: calculate X and Y of the events of a list, in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.event.eventlist import write_sky_wcs
from daxa.xmm.fits.hdus import make_column, open_hdus, table_of
from daxa.xmm.fits.schema import column
from daxa.xmm.formats.eventlist import SKY_MAX
from daxa.xmm.formats.instruments import TELESCOPES
from daxa.xmm.notes import note_product
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.sky.attitude import AttHk, Attitude
from daxa.xmm.sky.tangent import UNITS_PER_DEGREE, reference_pixel
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import POINTING_CARDS, pointing_of_header

if TYPE_CHECKING:
    from daxa.xmm.fits.hdus import BinTableHDU, Header


_POINTING_COMMENTS = (
    "[deg] right ascension of the pointing",
    "[deg] declination of the pointing",
    "[deg] position angle of the pointing",
)


def _pointing(ctx: TaskContext, p: Parameters) -> tuple[tuple[float, float, float] | None, str]:
    """Pointing written to the event list, and AVRG_PNT."""
    if p.setpnttouser:
        return (p.nominalra, p.nominaldec, p.fixedposangle), "USER"
    if p.attitudelabel == "fixed":
        return (p.fixedra, p.fixeddec, p.fixedposangle), "USER"
    if p.withatthkset:
        try:
            atthk = AttHk.read(ctx.path(p.atthkset))
        except TaskError as err:
            if err.code != "noAtthkgenFile":
                raise
            ctx.warn("noAtthkgenFile", f"{err.message}; RA_NOM and DEC_NOM are used instead")
        else:
            values = atthk.median if p.withmedianpnt else atthk.mean
            if not np.all(np.isfinite(values)):
                raise TaskError("badPntValues", f"{ctx.path(p.atthkset)}: pointing is {values}")
            return values, "MEDIAN" if p.withmedianpnt else "MEAN"
    return None, ""


def _reference(
    p: Parameters, headers: list[Any], pointing: tuple[float, float, float] | None, where: str
) -> tuple[float, float]:
    if p.refpointlabel == "user":
        return p.nominalra, p.nominaldec
    if p.refpointlabel == "obj":
        return pointing_of_header(headers, ("RA_OBJ", "DEC_OBJ"), "noPntAttributes", where)  # type: ignore[return-value]
    if p.refpointlabel == "pnt":
        if pointing is not None:
            return pointing[0], pointing[1]
        if not p.withatthkset and any("RA_PNT" in h for h in headers):
            return pointing_of_header(headers, ("RA_PNT", "DEC_PNT"), "noPntAttributes", where)  # type: ignore[return-value]
    return pointing_of_header(headers, ("RA_NOM", "DEC_NOM"), "noPntAttributes", where)  # type: ignore[return-value]


@task(
    "attcalc",
    "1.0",
    [
        Parameter("eventset", "dataset", required=True, text="event list, which gets X and Y"),
        Parameter(
            "fixedra",
            "real",
            0.0,
            text="right ascension of the pointing, with attitudelabel=fixed",
            unit="deg",
        ),
        Parameter(
            "fixeddec", "real", 0.0, text="declination of the pointing, with attitudelabel=fixed", unit="deg"
        ),
        Parameter(
            "fixedposangle",
            "real",
            0.0,
            text="position angle of the pointing, with attitudelabel=fixed or setpnttouser=yes",
            unit="deg",
        ),
        Parameter(
            "attitudelabel",
            "choice",
            "ahf",
            ("ahf", "om", "fixed"),
            text="attitude: history of the observation, or one that is given; om is refused",
        ),
        Parameter(
            "nominalra",
            "real",
            0.0,
            text="right ascension of the centre, with refpointlabel=user or setpnttouser=yes",
            unit="deg",
        ),
        Parameter(
            "nominaldec",
            "real",
            0.0,
            text="declination of the centre, with refpointlabel=user or setpnttouser=yes",
            unit="deg",
        ),
        Parameter(
            "setpnttouser",
            "bool",
            False,
            text="write nominalra, nominaldec and fixedposangle as the pointing",
        ),
        Parameter(
            "refpointlabel",
            "choice",
            "pnt",
            ("pnt", "nom", "obj", "user"),
            text="centre of X and Y: the pointing, the nominal one, the target, or one that is given",
        ),
        Parameter("atthkset", "dataset", "atthk.dat", text="attitude file that the pointing is taken from"),
        Parameter("withatthkset", "bool", False, text="whether atthkset counts; yes when it is named"),
        Parameter("withmedianpnt", "bool", True, text="take the median of its pointings; no: the mean"),
        Parameter("calctlmax", "bool", False, text="let the limits of X and Y be those of the events"),
        Parameter("imagesize", "real", 0.36, text="X and Y reach this far from the centre", unit="deg"),
    ],
)
def attcalc(ctx: TaskContext, p: Parameters) -> None:
    """Calculate X and Y of the events of a list, in place."""
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.sky.attcalc import sky_coordinates
    from daxa.xmm.sky.geometry import CameraGeometry

    if p.attitudelabel == "om":
        raise NotImplementedError(
            "attcalc: attitudelabel=om: the optical monitor's tracking history holds drifts in its pixels; "
            "no public text gives the times of its frames or the direction of its axes on the sky"
        )
    event_path = ctx.path(p.eventset)
    try:
        hdus = open_hdus(event_path, memmap=False)
    except OSError as err:
        raise TaskError("badInfile", f"{event_path}: not a readable FITS file ({err})") from err
    with hdus:
        if "EVENTS" not in hdus:
            raise TaskError("badInfile", f"{event_path}: no extension EVENTS")
        note_product(hdus[0].header, event_path, is_list=True)
        table = hdus["EVENTS"]
        headers = [table.header, hdus[0].header]
        where = f"{event_path.name}[EVENTS]"
        instrument = str(next((h["INSTRUME"] for h in headers if "INSTRUME" in h), "")).strip()
        if instrument not in TELESCOPES:
            raise TaskError("badInstrument", f"{where}: INSTRUME is {instrument!r}, not an EPIC camera")
        mode = str(next((h["DATAMODE"] for h in headers if "DATAMODE" in h), "")).strip()
        if mode != "IMAGING":
            raise TaskError("badDatamode", f"{where}: DATAMODE is {mode!r}; only IMAGING lists have X and Y")
        try:
            time, detx, dety = (column(table, name, event_path.name) for name in ("TIME", "DETX", "DETY"))
        except KeyError as err:
            raise TaskError("badInfile", str(err.args[0])) from err
        if len(time) == 0:
            ctx.warn("noEvents", f"{where}: no events")
        pointing, average = _pointing(ctx, p)
        ra0, dec0 = _reference(p, headers, pointing, where)
        centre = reference_pixel(p.imagesize)
        if p.attitudelabel == "fixed":
            attitude = Attitude.fixed(p.fixedra, p.fixeddec, p.fixedposangle)
        else:
            attitude = Attitude.from_odf(Odf.from_environment(ctx.env, ctx.cwd))
        cal = Calibration.from_environment(ctx.env, ctx.cwd)
        epoch = float(np.median(time)) if len(time) else 0.0
        geometry = CameraGeometry.from_calibration(cal, instrument, epoch)
        x, y = sky_coordinates(time, detx, dety, geometry, attitude, ra0, dec0, centre=centre)
        limit = round(2 * p.imagesize * UNITS_PER_DEGREE)
        placed = x > -99999999
        outside = int(np.sum(placed & ((x < 1) | (x > limit) | (y < 1) | (y > limit))))
        if outside:
            ctx.warn("outOfImageRange", f"{where}: {outside} events lie outside the plane of 1 to {limit}")

        events = _with_columns(ctx, table, {"X": x, "Y": y})
        index = hdus.index_of("EVENTS")
        hdus[index] = events
        for header in (hdus[0].header, events.header):
            if pointing is not None:
                for name, value, comment in zip(POINTING_CARDS, pointing, _POINTING_COMMENTS, strict=True):
                    header[name] = (value, comment)
                header["AVRG_PNT"] = (average, "meaning of the *_PNT values")
            header["ATT_SRC"] = (attitude.source, "source of attitude data")
        write_sky_keywords(events.header, hdus[0].header, ra0, dec0, x, y, p.imagesize, p.calctlmax)
        for text in (
            f"Source of reference point information: {p.refpointlabel.upper()}",
            f"Source of attitude information: {attitude.source}",
        ):
            events.header["HISTORY"] = text
        ctx.provenance(hdus[0].header, _next_number(hdus[0].header))
        with ctx.output(p.eventset) as path:
            hdus.writeto(path)


def _next_number(header: Header) -> int:
    number = 0
    while f"XPROC{number}" in header:
        number += 1
    return number


def _with_columns(ctx: TaskContext, table: BinTableHDU, values: dict[str, Any]) -> BinTableHDU:
    """The table with columns replaced, or added at its end where they are missing."""
    new = [name for name in values if name not in table.columns.names]
    for name in new:
        ctx.info(f"Column {name} does not exist - creating")
    if new:
        columns = [
            make_column(name, "J", unit="0.05 arcsec", null=-99999999, array=values[name]) for name in new
        ]
        old = table.header
        table = table_of(columns, "EVENTS", after=table)
        table.header.extend(old, unique=True, update=False)
    for name, array in values.items():
        if name not in new:
            table.data[name][:] = array
    return table


def write_sky_keywords(
    header: Header,
    primary: Header,
    ra0_deg: float,
    dec0_deg: float,
    x: Any,
    y: Any,
    imagesize_deg: float,
    calculated_limits: bool = False,
) -> None:
    """Write column WCS, limits and REFX*, REFY* of X and Y into an event table and the primary header.

    Parameters
    ----------
    header
        Header of the event table; changed.
    primary
        Header of the file; changed.
    ra0_deg, dec0_deg
        The point that the plane touches the sky in [deg].
    x, y
        Columns X and Y.
    imagesize_deg
        Half the length of a side of the plane [deg].
    calculated_limits
        Whether the limits are those of the values, and not those of the plane.
    """
    from daxa.xmm.event.parts import write_reference

    write_sky_wcs(header, ra0_deg, dec0_deg, {"X": x, "Y": y})
    write_reference(primary, ra0_deg, dec0_deg, {"X": x, "Y": y})
    centre, limit = reference_pixel(imagesize_deg), round(2 * imagesize_deg * UNITS_PER_DEGREE)
    number = {header[f"TTYPE{i}"]: i for i in range(1, header["TFIELDS"] + 1)}
    for axis, data in (("X", x), ("Y", y)):
        placed = data[data > -99999999]
        low, high = 1, limit
        if calculated_limits and placed.size:
            low, high = int(placed.min()), int(placed.max())
        header[f"TLMIN{number[axis]}"], header[f"TLMAX{number[axis]}"] = low, high
        for each in (header, primary):
            each[f"REF{axis}LMIN"], each[f"REF{axis}LMAX"] = low, high
            if limit != SKY_MAX:
                each[f"REF{axis}CRPX"] = int(centre) if centre == int(centre) else centre
        if limit != SKY_MAX:
            header[f"TCRPX{number[axis]}"] = header[f"REF{axis}CRPX"]
