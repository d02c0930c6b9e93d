"""The task barycen: correct times of an event list to the barycentre of the solar system, in place."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import FitsFile, Hdu, block_bytes, is_gzipped, rewrite
from daxa.xmm.fits.header import Header
from daxa.xmm.fits.schema import name_of_column
from daxa.xmm.odf.odf import Odf
from daxa.xmm.odf.orbit import Orbit, orbit_of
from daxa.xmm.odf.times import tt_to_utc, utc_to_tt
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.spectra.ogip import opened
from daxa.xmm.task import TaskContext, task
from daxa.xmm.timing.barycentre import Barycentre, ephemeris_of

_DONE = "SOLARSYSTEM"
_GOOD_TIMES, _FRAMES = re.compile(r"STDGTI\d*|GTI\d+|\w+_GTIS"), re.compile(r"EXPOSU\d+")
#: Headers whose times tables of which are corrected, in the scale of the barycentre.
_SCALE = {
    "TIMESYS": ("TDB", "times are of the barycentre"),
    "TIMEREF": (_DONE, "Reference location of photon arrival times"),
}


@task(
    "barycen",
    "1.22",
    [
        Parameter("withtable", "bool", True, text="correct a table; no: correct time, and print it"),
        Parameter(
            "table", "dataset", "events.fits:EVENTS", text="event list, changed in place, as file:table"
        ),
        Parameter("timecolumn", "string", "TIME", text="its column of times"),
        Parameter(
            "withsrccoordinates", "bool", False, text="whether srcra and srcdec count; else the header"
        ),
        Parameter(
            "srcra", "real", 0.0, minimum=-360, maximum=360, text="right ascension of the source", unit="deg"
        ),
        Parameter(
            "srcdec", "real", 0.0, minimum=-90, maximum=90, text="declination of the source", unit="deg"
        ),
        Parameter("processgtis", "bool", True, text="correct good times, too"),
        Parameter("processexposutables", "bool", True, text="correct times of frames (EXPOSUnn), too"),
        Parameter("time", "real", 0.0, text="mission time, for withtable=no", unit="s"),
        Parameter(
            "ephemeris",
            "string",
            "DE200",
            text="a file of JPL's ephemerides (.bsp); for DE200 and DE405 the Earth of astropy stands in",
        ),
    ],
)
def barycen(ctx: TaskContext, p: Parameters) -> None:
    """Correct times of an event list to the barycentre of the solar system, in place."""
    ephemeris, said = ephemeris_of(p.ephemeris, ctx.cwd)
    if not p.withtable:
        _place_of_parameters(p)
        corrected = p.time + float(_barycentre(ctx, p.srcra, p.srcdec, ephemeris).correction_s([p.time])[0])
        ctx.info(f"time {p.time:.6f} s is {corrected:.6f} s at the barycentre")
        return
    name, _, extension = (
        p.table.rpartition(":") if re.search(r":[A-Za-z_]\w*$", p.table) else (p.table, "", "EVENTS")
    )
    path = ctx.path(name)
    file = opened(path)
    if is_gzipped(path):
        raise TaskError("compressedInput", f"{path} is compressed and cannot be changed in place")
    if extension not in file:
        raise TaskError("noTable", f"{path}: no extension {extension}")
    main = file[extension]
    if _value("TIMEREF", main.header, file[0].header) == _DONE:
        raise TaskError(
            "alreadyCorrected", f"{path}[{extension}]: TIMEREF is {_DONE}: its times are corrected already"
        )
    if name_of_column(main.columns, p.timecolumn) is None:
        raise TaskError("noColumn", f"{path}[{extension}]: no column {p.timecolumn}")
    ra, dec = (p.srcra, p.srcdec) if _given(p) else _place(path, main.header, file[0].header)
    barycentre = _barycentre(ctx, ra, dec, ephemeris)
    ctx.info(f"source at {ra:.6f}, {dec:.6f} deg")
    with ctx.output(name) as temporary:
        rewrite(file, temporary, _changed(ctx, p, file, main, barycentre, said))


def _given(p: Parameters) -> bool:
    return bool(
        p.withsrccoordinates or ("withsrccoordinates" not in p.given and p.given & {"srcra", "srcdec"})
    )


def _place_of_parameters(p: Parameters) -> None:
    if not _given(p):
        raise TaskError("missingParameter", "barycen: withtable=no needs srcra and srcdec")


def _value(key: str, *headers: Any) -> str:
    return next((str(h[key]).strip() for h in headers if key in h), "")


def _place(path: Any, *headers: Any) -> tuple[float, float]:
    """Place of the source that headers name: of the object, else of the pointing that was asked for."""
    for names in (("RA_OBJ", "DEC_OBJ"), ("RA_NOM", "DEC_NOM")):
        found = [_value(key, *headers) for key in names]
        if all(found):
            try:
                return float(found[0]), float(found[1])
            except ValueError:
                raise TaskError(
                    "noSource", f"{path}: {' and '.join(names)} are {found}, not numbers"
                ) from None
    raise TaskError(
        "noSource", f"{path}: neither RA_OBJ and DEC_OBJ nor RA_NOM and DEC_NOM; give srcra and srcdec"
    )


def _barycentre(ctx: TaskContext, ra: float, dec: float, ephemeris: str) -> Barycentre:
    orbit = _orbit(ctx)
    return Barycentre(ra, dec, None if orbit is None else orbit.position_km, ephemeris)


def _orbit(ctx: TaskContext) -> Orbit | None:
    """The spacecraft's orbit; None, with a warning, where it cannot be read."""
    effect = (
        "times are corrected as if the spacecraft were at the centre of the Earth, which is wrong by up to "
        "0.4 s, and changes by that within an orbit of 48 h"
    )
    try:
        odf = Odf.from_environment(ctx.env, ctx.cwd)
        orbit = orbit_of(odf)
    except TaskError as error:
        if error.code not in ("NoOdfFound", "orbitLayout"):
            raise
        ctx.warn("noOrbit", f"{error.message}: {effect}")
        return None
    if orbit is None:
        ctx.warn("noOrbit", f"{odf.folder}: no orbit file (*SC*ROS.ASC): {effect}")
        return None
    ctx.warn(
        "orbitLayout",
        f"{orbit.name}: the layout of orbit files is an assumption, which its own numbers agree with",
    )
    if not orbit.reconstructed:
        ctx.warn("orbitPredicted", f"{orbit.name}: parts of the orbit are predicted, not measured")
    return orbit


def _changed(
    ctx: TaskContext, p: Parameters, file: FitsFile, main: Hdu, barycentre: Barycentre, said: str
) -> dict[int, Any]:
    """New blocks of the file by their numbers."""
    changed: dict[int, Any] = {}
    for hdu in file:
        columns: tuple[str, ...] = ()
        if hdu.index == main.index:
            columns = (p.timecolumn,)
        elif hdu.is_table and p.processgtis and _GOOD_TIMES.fullmatch(hdu.name):
            columns = ("START", "STOP")
        elif hdu.is_table and p.processexposutables and _FRAMES.fullmatch(hdu.name):
            columns = ("TIME",)
        if not columns and hdu.index:
            continue
        header = _header(hdu.header, barycentre, said)
        if hdu.index == 0:
            ctx.provenance(header, sum(f"XPROC{i}" in header for i in range(100)))
        if not columns:
            changed[hdu.index] = block_bytes(header, hdu.read(hdu.data_start))
            continue
        ctx.info(f"Correcting Table... {hdu.name}")
        changed[hdu.index] = _table(hdu, header, columns, barycentre)
    return changed


def _table(hdu: Hdu, header: Header, columns: tuple[str, ...], barycentre: Barycentre) -> bytes:
    rows = np.array(hdu.data)
    for name in columns:
        found = name_of_column(hdu.columns, name)
        if found is None:
            raise TaskError("noColumn", f"{hdu.path}[{hdu.name}]: no column {name}")
        times = rows[found].astype(float)
        known = np.isfinite(times)
        times[known] += barycentre.correction_s(times[known])
        rows[found] = times
    return block_bytes(header, rows)


def _header(old: Header, barycentre: Barycentre, said: str) -> Header:
    """A header with its times at the barycentre."""
    header = old.copy()
    header.discard("CHECKSUM", "DATASUM")
    for key, card in _SCALE.items():
        header[key] = card
    header["PLEPHEM"] = (said, "ephemeris of the Earth")
    for key in ("TSTART", "TSTOP"):
        if isinstance(header.get(key), (int, float)):
            time = float(header[key])
            header[key] = time + float(barycentre.correction_s([time])[0])
    if {"TSTART", "TSTOP", "TELAPSE"} <= set(header):
        header["TELAPSE"] = float(header["TSTOP"]) - float(header["TSTART"])
    # As SAS does: dates of the exposure move along.
    for key in ("DATE-OBS", "DATE-END"):
        try:
            time = float(utc_to_tt(str(header[key])))
        except (KeyError, ValueError):
            continue
        header[key] = tt_to_utc(time + float(barycentre.correction_s([time])[0]), 3)
    return header
