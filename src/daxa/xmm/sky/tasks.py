"""The tasks atthkgen, attcalc and ecoordconv."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.event.eventlist import write_sky_wcs
from daxa.xmm.event.gti import TIME_KEYWORDS
from daxa.xmm.fits.schema import column, make_table
from daxa.xmm.formats.eventlist import SKY_MAX, UNIT_ARCSEC
from daxa.xmm.formats.instruments import TELESCOPES
from daxa.xmm.notes import note_product
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.sky.attitude import ATTHK_COLUMNS, AttHk, Attitude, atthk_keywords, make_atthk
from daxa.xmm.sky.tangent import UNITS_PER_DEGREE, reference_pixel
from daxa.xmm.task import TaskContext, task

if TYPE_CHECKING:
    from astropy.io import fits

    from daxa.xmm.odf.odf import Odf

_POINTING = ("RA_PNT", "DEC_PNT", "PA_PNT")
_POINTING_COMMENTS = (
    "[deg] right ascension of the pointing",
    "[deg] declination of the pointing",
    "[deg] position angle of the pointing",
)


def observation_span(odf: Odf) -> tuple[float, float, dict[str, Any]]:
    """Start and stop of an observation [mission time], and keywords that describe it.

    Raises
    ------
    TaskError
        The ODF has no usable summary file.
    """
    from daxa.xmm.formats.summary import read_ascii_summary, read_sas_summary
    from daxa.xmm.odf.times import utc_to_tt

    cards: dict[str, Any] = {"OBS_ID": odf.obs_id, "REVOLUT": f"{odf.revolution:04d}"}
    try:
        if odf.ascii_summary is not None:
            text = read_ascii_summary(odf.ascii_summary.path)
            start, end = text.start, text.end
            for name, value, nominal in (
                ("RA", text.ra_deg, text.nominal_ra_deg), ("DEC", text.dec_deg, text.nominal_dec_deg),
            ):  # fmt: skip
                if value is not None:
                    cards[f"{name}_OBJ"] = (value, "[deg] position of the target")
                    cards[f"{name}_NOM"] = (nominal, "[deg] nominal boresight")
            cards["OBJECT"] = text.target
        elif odf.sas_summary is not None:
            sas = read_sas_summary(odf.sas_summary)
            start, end = sas.start, sas.end
        else:
            raise TaskError(
                "noObservationDate",
                f"{odf.folder}: no summary file (SUM.ASC, SUM.SAS) to take start and stop from",
            )
        cards["DATE-OBS"], cards["DATE-END"] = start[:19], end[:19]
        return utc_to_tt(start), utc_to_tt(end), cards
    except ValueError as err:
        raise TaskError("noObservationDate", f"{odf.folder}: summary file: {err}") from err


@task(
    "atthkgen",
    "1.0",
    [
        Parameter("atthkset", "dataset", "atthk.dat"),
        Parameter("timestep", "real", 1.0),
        Parameter("timebegin", "real", 0.0),
        Parameter("timeend", "real", 0.0),
        Parameter("withtimeranges", "bool", False),
        Parameter("withpreqgti", "bool", False),
        Parameter("preqgtifile", "dataset", "pointings.fit"),
    ],
)
def atthkgen(ctx: TaskContext, p: Parameters) -> None:
    """Sample the attitude of an observation and find its median and mean pointing."""
    from astropy.io import fits

    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.odf.times import TimeCorrelation

    if p.withpreqgti:
        raise NotImplementedError("atthkgen: withpreqgti: good times per pointing request are not made yet")
    if p.timestep <= 0:
        raise TaskError(
            "badParameter", f"atthkgen: parameter timestep: expected more than 0, got {p.timestep}"
        )
    odf = Odf.from_environment(ctx.env, ctx.cwd)
    start, stop, cards = observation_span(odf)
    attitude = Attitude.from_odf(odf)
    begin, end = (p.timebegin, p.timeend) if p.withtimeranges else (start, stop)
    result = make_atthk(attitude, begin, end, p.timestep)
    good, total = result.keywords["NGAHF"], result.keywords["NATT"]
    ctx.info(f"{good} of {total} samples have a good attitude")
    if odf.find(instrument="OM", file_type="THX"):
        ctx.info("The tracking of the optical monitor is not read: OMRA, OMDEC, OMPA repeat AHFRA...")
    ctx.info("Median pointing ({:.6f}, {:.6f}), position angle {:.6f}".format(*result.median))
    header: dict[str, Any] = {
        "TELESCOP": ("XMM", "mission"),
        "DETNAM": ("", "prime or redundant"),
        "OBS_MODE": ("SLEW" if odf.obs_id.startswith("9") else "POINTING", "observation mode"),
        "ORIGIN": "DAXA",
        **cards,
        "ATT_SRC": (attitude.source, "source of attitude data"),
        "ORB_RCNS": (True, "reconstructed orbit data used"),
    }
    if odf.find(instrument="SC", file_type="TCX") or odf.find(instrument="SC", file_type="TCS"):
        header.update(TimeCorrelation.from_odf(odf).keywords())
    header.update(TIME_KEYWORDS)
    header["TSTART"] = (float(result.columns["TIME"][0]), "[s] first sample")
    header["TSTOP"] = (float(result.columns["TIME"][-1]), "[s] last sample")
    header.update(atthk_keywords(result.keywords))
    primary = fits.PrimaryHDU()
    ctx.provenance(primary.header)
    for key, value in header.items():
        primary.header[key] = value
    table = make_table(ATTHK_COLUMNS, result.columns, "ATTHK", header)
    with ctx.output(p.atthkset) as path:
        fits.HDUList([primary, table]).writeto(path)


def _pointing(
    ctx: TaskContext, p: Parameters, headers: list[Any]
) -> tuple[tuple[float, float, float] | None, str]:
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


def _from_header(headers: list[Any], names: tuple[str, ...], code: str, where: str) -> tuple[float, ...]:
    values = []
    for name in names:
        value = next((h[name] for h in headers if name in h), None)
        if value is None:
            raise TaskError(code, f"{where}: no keyword {name}")
        values.append(float(value))
    return tuple(values)


def _reference(
    p: Parameters, headers: list[Any], pointing: tuple[float, float, float] | None, where: str
) -> tuple[float, float]:
    if p.refpointlabel == "user":
        return p.nominalra, p.nominaldec
    if p.refpointlabel == "obj":
        return _from_header(headers, ("RA_OBJ", "DEC_OBJ"), "noPntAttributes", where)  # type: ignore[return-value]
    if p.refpointlabel == "pnt":
        if pointing is not None:
            return pointing[0], pointing[1]
        if not p.withatthkset and any("RA_PNT" in h for h in headers):
            return _from_header(headers, ("RA_PNT", "DEC_PNT"), "noPntAttributes", where)  # type: ignore[return-value]
    return _from_header(headers, ("RA_NOM", "DEC_NOM"), "noPntAttributes", where)  # type: ignore[return-value]


@task(
    "attcalc",
    "1.0",
    [
        Parameter("eventset", "dataset", required=True),
        Parameter("fixedra", "real", 0.0),
        Parameter("fixeddec", "real", 0.0),
        Parameter("fixedposangle", "real", 0.0),
        Parameter("attitudelabel", "choice", "ahf", ("ahf", "om", "fixed")),
        Parameter("nominalra", "real", 0.0),
        Parameter("nominaldec", "real", 0.0),
        Parameter("setpnttouser", "bool", False),
        Parameter("refpointlabel", "choice", "pnt", ("pnt", "nom", "obj", "user")),
        Parameter("atthkset", "dataset", "atthk.dat"),
        Parameter("withatthkset", "bool", False),
        Parameter("withmedianpnt", "bool", True),
        Parameter("calctlmax", "bool", False),
        Parameter("imagesize", "real", 0.36),
    ],
)
def attcalc(ctx: TaskContext, p: Parameters) -> None:
    """Calculate X and Y of the events of a list, in place."""
    from astropy.io import fits

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
        hdus = fits.open(event_path, memmap=False)
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
        pointing, average = _pointing(ctx, p, headers)
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
                for name, value, comment in zip(_POINTING, pointing, _POINTING_COMMENTS, strict=True):
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


def _next_number(header: fits.Header) -> int:
    number = 0
    while f"XPROC{number}" in header:
        number += 1
    return number


def _with_columns(ctx: TaskContext, table: fits.BinTableHDU, values: dict[str, Any]) -> fits.BinTableHDU:
    """The table with columns replaced, or added at its end where they are missing."""
    from astropy.io import fits

    new = [name for name in values if name not in table.columns.names]
    for name in new:
        ctx.info(f"Column {name} does not exist - creating")
    if new:
        columns = [
            fits.Column(name, "J", unit="0.05 arcsec", null=-99999999, array=values[name]) for name in new
        ]
        old = table.header
        table = fits.BinTableHDU.from_columns(table.columns + fits.ColDefs(columns), name="EVENTS")
        table.header.extend(old, unique=True, update=False)
    for name, array in values.items():
        if name not in new:
            table.data[name][:] = array
    return table


def write_sky_keywords(
    header: fits.Header,
    primary: fits.Header,
    ra0_deg: float,
    dec0_deg: float,
    x: Any,
    y: Any,
    imagesize_deg: float,
    calculated_limits: bool = False,
) -> None:
    """Write column WCS, limits and REFX*, REFY* of X and Y into an event table and the primary header."""
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


@task(
    "ecoordconv",
    "1.0",
    [
        Parameter("imageset", "dataset", required=True),
        Parameter("srcexp", "string", ""),
        Parameter("withcoords", "bool", False),
        Parameter("x", "real"),
        Parameter("y", "real"),
        Parameter("coordtype", "choice", "eqpos", ("eqpos", "pos", "det", "raw", "impix")),
        Parameter("pos2eqpos", "bool", False),
        Parameter("im2eqpos", "bool", False),
        Parameter("withccdno", "bool", False),
        Parameter("ccdno", "int", 1),
    ],
)
def ecoordconv(ctx: TaskContext, p: Parameters) -> None:
    """Print a position in every coordinate system."""
    from astropy.io import fits

    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.sky.coordinates import ccds_of_circle, format_coordinates
    from daxa.xmm.sky.coordinates import ecoordconv as convert
    from daxa.xmm.sky.geometry import CameraGeometry
    from daxa.xmm.sky.tangent import from_xy

    system, first, second, radius = _source(p)
    path = ctx.path(p.imageset)
    try:
        with fits.open(path) as hdus:
            header = hdus[0].header.copy()
            note_product(header, path)
            if hdus[0].data is None and len(hdus) > 1:
                header.update({k: v for k, v in hdus[1].header.items() if k and k not in header})
    except OSError as err:
        raise TaskError("badInfile", f"{path}: not a readable FITS file ({err})") from err
    instrument = str(header.get("INSTRUME", "")).strip()
    if instrument not in TELESCOPES:
        raise TaskError("badInstrument", f"{path.name}: INSTRUME is {instrument!r}, not an EPIC camera")
    pointing = _from_header([header], _POINTING, "noPntAttributes", path.name)
    tangent = tuple(float(header.get(f"REF{a}CRVL", v)) for a, v in zip("XY", pointing[:2], strict=True))
    centre = float(header.get("REFXCRPX", reference_pixel(SKY_MAX / 2 / UNITS_PER_DEGREE)))
    if system == "impix":
        first, second = _from_image(header, first, second, path.name)
        system = "det" if str(header.get("CTYPE1L", "X")).strip() == "DETX" else "pos"
    if p.pos2eqpos or p.im2eqpos:
        if system != "pos":
            raise TaskError("badParameter", "ecoordconv: pos2eqpos and im2eqpos need a position in X and Y")
        ra, dec = from_xy(first, second, *tangent, centre=centre)
        ctx.info(f" RA: DEC: {float(ra):.8g} {float(dec):.8g}")
        return
    epoch = header.get("TSTART")
    if epoch is None and "DATE-OBS" in header:
        from daxa.xmm.odf.times import utc_to_tt

        epoch = utc_to_tt(str(header["DATE-OBS"]))
    cal = Calibration.from_environment(ctx.env, ctx.cwd)
    geometry = CameraGeometry.from_calibration(cal, instrument, float(epoch or 0.0), heights=False)
    try:
        result = convert(
            geometry, first, second, system,
            pointing=pointing, tangent_point=tangent, ccd=p.ccdno, centre=centre,  # type: ignore[arg-type]
        )  # fmt: skip
    except ValueError as err:
        raise TaskError("badParameter", f"ecoordconv: {err}") from err
    ccds = [int(result.ccd)] if int(result.ccd) else []
    if radius:
        ccds = ccds_of_circle(geometry, float(result.detx), float(result.dety), radius)
    for line in format_coordinates(result, _to_image(header, result), ccds):
        ctx.info(line)


def _source(p: Parameters) -> tuple[str, float, float, float]:
    """Coordinate system, position and radius (in 0.05 arcsec) of the source."""
    import re

    if p.withcoords or (p.x is not None and p.y is not None):
        if p.x is None or p.y is None:
            raise TaskError("missingParameter", "ecoordconv: withcoords=yes needs x and y")
        return p.coordtype, p.x, p.y, 0.0
    number = r"([-+]?[\d.]+(?:[eE][-+]?\d+)?)"
    match = re.match(
        rf"^\s*\(?\s*(\w+)\s*,\s*(\w+)\s*\)?\s+in\s+circle\s*\(\s*{number}\s*,\s*{number}\s*,\s*{number}\s*\)\s*$",
        p.srcexp,
        re.IGNORECASE,
    )
    systems = {
        ("X", "Y"): "pos", ("DETX", "DETY"): "det", ("RAWX", "RAWY"): "raw", ("RA", "DEC"): "eqpos",
    }  # fmt: skip
    system = systems.get((match[1].upper(), match[2].upper())) if match else None
    if match is None or system is None:
        raise TaskError(
            "badParameter",
            "ecoordconv: parameter srcexp: expected (X,Y) IN circle(x,y,r), or DETX,DETY, RAWX,RAWY, RA,DEC "
            f"instead of X,Y; got {p.srcexp!r}",
        )
    first, second, radius = (float(match[i]) for i in (3, 4, 5))
    if system == "eqpos":
        radius *= 3600.0 / UNIT_ARCSEC
    return system, first, second, radius if system != "raw" else 0.0


def _from_image(header: fits.Header, px: float, py: float, where: str) -> tuple[float, float]:
    try:
        return tuple(  # type: ignore[return-value]
            float(header[f"CRVAL{i}L"]) + (v - float(header[f"CRPIX{i}L"])) * float(header[f"CDELT{i}L"])
            for i, v in ((1, px), (2, py))
        )
    except KeyError as err:
        raise TaskError(
            "badInfile", f"{where}: no keyword {err.args[0]}: image pixels mean nothing"
        ) from None


def _to_image(header: fits.Header, result: Any) -> tuple[float, float] | None:
    names = ("CRVAL{}L", "CRPIX{}L", "CDELT{}L")
    if any(n.format(i) not in header for n in names for i in (1, 2)):
        return None
    on_detector = str(header.get("CTYPE1L", "X")).strip() == "DETX"
    position = (result.detx, result.dety) if on_detector else (result.x, result.y)
    return tuple(  # type: ignore[return-value]
        (float(v) - float(header[f"CRVAL{i}L"])) / float(header[f"CDELT{i}L"]) + float(header[f"CRPIX{i}L"])
        for i, v in ((1, position[0]), (2, position[1]))
    )
