"""Damaged and odd calibration files: what reads them says what is wrong, and never anything but that."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from made_files import MadeConstituent

from daxa.calibration.inspect import finding, inspect, report
from daxa.calibration.store import describe
from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.ccf.chip_heights import chip_factors
from daxa.xmm.ccf.constituent import Constituent
from daxa.xmm.ccf.mos_losses import transfer_laws
from daxa.xmm.ccf.mos_times import transfer_s
from daxa.xmm.ccf.pn_energy import pn_energy, temperature_law
from daxa.xmm.ccf.pn_times import jump_tolerance, pn_times
from daxa.xmm.errors import TaskError
from daxa.xmm.formats.ccf import layout_of
from daxa.xmm.formats.instruments import PN_MODE_IDS
from daxa.xmm.instruments.badpixels import calibrated_kinds
from daxa.xmm.instruments.mos import badpixels as mos_badpix
from daxa.xmm.instruments.mos import energy as mos_energy
from daxa.xmm.instruments.mos.patterns import PatternLibrary
from daxa.xmm.instruments.pn.calibration import PnCalibration
from daxa.xmm.instruments.rgs.calibration import RgsCalibration
from daxa.xmm.response import area as response
from daxa.xmm.select.housekeeping import Limits
from daxa.xmm.sky.geometry import CameraGeometry

TIME_S = 6.26e8
ENERGIES = np.array([300.0, 1000.0, 1500.0, 6400.0])
Columns = dict[str, np.ndarray]

# --- what reads the tables -------------------------------------------------------------------------


def geometry(instrument: str) -> Callable[[Calibration], Any]:
    def read(cal: Calibration) -> Any:
        camera = CameraGeometry.from_calibration(cal, instrument, TIME_S)
        x, y = camera.raw_to_det(camera.ccds, 10, 20)
        assert camera.det_to_raw(x, y)[0].shape == x.shape
        return x, y, camera.optical_axis, camera.off_axis(x, y), camera.in_fov(x, y), camera.in_corner(x, y)

    return read


def spectrometer(cal: Calibration) -> Any:
    return RgsCalibration(cal, "RGS1").geometry(TIME_S).raw_to_sac(1, 0, 10, 20)


def efficiency(camera: str) -> Callable[[Calibration], Any]:
    return lambda cal: [response.quantum_efficiency(cal, camera, ccd, ENERGIES) for ccd in (1, 4)]


def transmission(camera: str) -> Callable[[Calibration], Any]:
    def read(cal: Calibration) -> Any:
        return [response.filter_transmission(cal, camera, name, ENERGIES) for name in ("Medium", "Thin1")]

    return read


def optics(cal: Calibration) -> Any:
    dimming = response.vignetting(cal, "EPN", ENERGIES, 5.0), response.vignetting(cal, "EPN", 1500.0, 5.0)
    return response.mirror_area(cal, "EPN", ENERGIES), dimming


def mos_gains(cal: Calibration) -> Any:
    file = cal.constituent("EMOS1", "ADUCONV")
    gains = mos_energy.gain_coefficients(file.table("OFFSET_GAIN"), 3, 1)
    return gains, mos_energy.combine_weights(file.table("ENERGY_COMBINE"))


def mos_losses(cal: Calibration) -> Any:
    file = cal.constituent("EMOS1", "CTI")
    assert np.isfinite(file.date("REF_DATE", "CTI_EXTENDED"))
    steps = mos_energy.column_offsets(file.table("CTI_COLUMN"), 3, 0, (600, 600))
    return transfer_laws(file.table("CTI_EXTENDED"), 0, 5000.0, file.path.name), steps


def mos_bad_pixels(cal: Calibration) -> Any:
    pixels = mos_badpix.BadPixels((600, 600))
    file = cal.constituent("EMOS1", "BADPIX")
    mos_badpix.add_calibration(pixels, file.table("BADPIX"), calibrated_kinds(file), 3, 1)


def pn_scale(cal: Calibration) -> Any:
    made = pn_energy(cal, 4, 0, TIME_S, 2)
    return made.gain, made.offset, temperature_law(cal, 0) and 0.0


def pn_clock(cal: Calibration) -> Any:
    return [
        (pn_times(cal, mode, 3000).integration_s, jump_tolerance(cal, mode, 3000)) for mode in PN_MODE_IDS
    ]


def tables(scope: str, typeid: str) -> Callable[[Calibration], Any]:
    """Every table, for those of which the readers need raw files."""

    def read(cal: Calibration) -> None:
        file = cal.constituent(scope, typeid)
        for extname, schema in layout_of(scope, typeid).items():
            if schema:
                file.table(extname)

    return read


READERS: dict[tuple[str, str], list[Callable[[Calibration], Any]]] = {
    ("XMM", "MISCDATA"): [geometry("EMOS1"), geometry("EPN"), lambda cal: chip_factors(cal, "EMOS2")],
    ("XMM", "BORESIGHT"): [geometry("EMOS1"), geometry("EPN"), spectrometer],
    ("EMOS1", "LINCOORD"): [geometry("EMOS1")],
    ("EPN", "LINCOORD"): [geometry("EPN")],
    ("RGS1", "LINCOORD"): [spectrometer, lambda cal: response.grating_transmission(cal, "EMOS1", ENERGIES)],
    ("EMOS1", "MODEPARAM"): [lambda cal: transfer_s(cal.constituent("EMOS1", "MODEPARAM"), 0, 2)],
    ("EPN", "MODEPARAM"): [pn_clock],
    ("EMOS1", "TIMECORR"): [tables("EMOS1", "TIMECORR")],
    ("EPN", "TIMECORR"): [pn_clock],
    ("EPN", "TIMEJUMPTOL"): [pn_clock],
    ("EMOS1", "BADPIX"): [mos_bad_pixels],
    ("EPN", "BADPIX"): [
        lambda cal: PnCalibration(cal, "PrimeFullWindow", 0.0, 1).known_bad_pixels(
            4, uplinked=True, other=True
        )
        and None
    ],
    ("RGS1", "BADPIX"): [tables("RGS1", "BADPIX")],
    ("EMOS1", "ADUCONV"): [mos_gains],
    ("EPN", "ADUCONV"): [pn_scale],
    ("RGS1", "ADUCONV"): [lambda cal: RgsCalibration(cal, "RGS1").energy_scale(4, TIME_S) and None],
    ("EMOS1", "CTI"): [mos_losses],
    ("EPN", "CTI"): [pn_scale],
    ("RGS1", "CTI"): [lambda cal: RgsCalibration(cal, "RGS1").energy_scale(4, TIME_S) and None],
    ("EMOS1", "DARKFRAME"): [tables("EMOS1", "DARKFRAME")],
    ("EMOS1", "PATTERNLIB"): [lambda cal: PatternLibrary.from_calibration(cal, "EMOS1") and None],
    ("EPN", "PATTERNLIB"): [tables("EPN", "PATTERNLIB")],
    ("EMOS1", "QUANTUMEF"): [efficiency("EMOS1")],
    ("EPN", "QUANTUMEF"): [efficiency("EPN")],
    ("RGS1", "QUANTUMEF"): [lambda cal: response.grating_transmission(cal, "EMOS1", ENERGIES)],
    ("EMOS1", "FILTERTRANSX"): [transmission("EMOS1")],
    ("EPN", "FILTERTRANSX"): [transmission("EPN")],
    ("EMOS1", "HKPARMINT"): [
        lambda cal: Limits.from_constituent(cal.constituent("EMOS1", "HKPARMINT")) and None
    ],
    ("EMOS1", "SCREENTHRESH"): [tables("EMOS1", "SCREENTHRESH")],
    ("EPN", "REJECT"): [tables("EPN", "REJECT")],
    ("XRT3", "XAREAEF"): [optics],
    ("XRT3", "XPSF"): [tables("XRT3", "XPSF")],
}

# --- what can be wrong with them -------------------------------------------------------------------


def _uneven(v: np.ndarray) -> np.ndarray:
    made = np.empty(len(v), object)
    made[:] = [np.arange(float(1 + i % 3)) for i in range(len(v))]
    return made


def _last(v: np.ndarray, value: float) -> np.ndarray:
    made = np.array(v, float)
    if made.size:
        made.flat[-1] = value
    return made


DAMAGES: dict[str, Callable[[np.ndarray], np.ndarray | None]] = {
    "missing": lambda v: None,
    "text": lambda v: np.full(len(v), "text"),
    "text in cells": lambda v: np.full((len(v), 2), "7.5"),
    "bytes": lambda v: np.zeros(len(v), np.uint8),
    "no numbers": lambda v: np.full(v.shape, np.nan),
    "one no number": lambda v: _last(v, np.nan) if v.dtype.kind in "if" else None,
    "one infinite": lambda v: _last(v, np.inf) if v.dtype.kind in "if" else None,
    "wide": lambda v: np.repeat(np.reshape(v, (len(v), -1)), 3, axis=1),
    "narrow": lambda v: np.reshape(v, (len(v), -1))[:, 0] if v.size else v,
    "no elements": lambda v: np.reshape(v, (len(v), -1))[:, :0],
    "cube": lambda v: np.zeros((len(v), 2, 2)),
    "uneven": _uneven,
    "complex": lambda v: np.ones(v.shape, complex),
    "switches": lambda v: np.ones(v.shape, bool),
    "zero": lambda v: np.zeros(v.shape, v.dtype),
    "huge": lambda v: np.full(v.shape, 1e30),
    "large": lambda v: np.full(v.shape, 30000, np.int16),
    "negative": lambda v: np.full(v.shape, -3, np.int16),
}


def _all(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Columns], Columns]:
    return lambda columns: {n: change(v) for n, v in columns.items()}


TABLES: dict[str, Callable[[Columns], Columns]] = {
    "no columns": lambda columns: {},
    "no rows": _all(lambda v: v[:0]),
    "first row": _all(lambda v: v[:1]),
    "last row": _all(lambda v: v[-1:]),
    "rows twice": _all(lambda v: np.concatenate([v, v])),
    "rows reversed": _all(lambda v: v[::-1].copy()),
    "one row of vectors": _all(lambda v: v[None, ...]),
    "nameless": lambda columns: {f"C{i}": v for i, v in enumerate(columns.values())},
    "small letters": lambda columns: {n.lower(): v for n, v in columns.items()},
    "two of a name": lambda columns: columns | {n.lower(): v[::-1].copy() for n, v in columns.items()},
    "all text": _all(lambda v: np.full(len(v), "?")),
    "all numbers": _all(lambda v: np.arange(float(len(v)))),
    "all whole": _all(lambda v: np.arange(len(v))),
}
VALUES = ["text", "", True, -1, 0, 1e30, None]


def damaged(file: Constituent) -> Iterator[tuple[str, MadeConstituent]]:
    schemas = layout_of(file.scope, file.typeid)
    contents = {n: file.contents(n) for n in file.extensions if schemas.get(n)}
    headers = {n: dict(file.header(n)) for n in ("PRIMARY", *contents)}

    def made(extname: str, columns: Columns) -> MadeConstituent:
        return MadeConstituent(file.scope, file.typeid, contents | {extname: columns}, headers)

    seen = set()
    for extname, columns in contents.items():
        # Tables of single CCDs and filters are alike: the first one and one that is read stand for all.
        group = extname.rstrip("0123456789") if extname not in ("QE_CCD4", "CTIY4") else extname
        group = "FILTER" if group.startswith("FILTER") and extname != "FILTER-MEDIUM" else group
        if group in seen:
            continue
        seen.add(group)
        for name, change in TABLES.items():
            yield f"{extname}: {name}", made(extname, change(dict(columns)))
        for column, values in columns.items():
            if column.startswith("QE_") and column not in ("QE_0", "QE_12", "QE_TOTAL"):
                continue
            for name, damage in DAMAGES.items():
                new = damage(np.asarray(values))
                rest = {n: v for n, v in columns.items() if n != column or new is not None}
                yield (
                    f"{extname}.{column}: {name}",
                    made(extname, rest | ({} if new is None else {column: new})),
                )
        tables_ = dict(contents)
        del tables_[extname]
        yield f"{extname}: gone", MadeConstituent(file.scope, file.typeid, tables_, headers)
    for extname, header in headers.items():
        for keyword in header:
            if keyword.startswith(STRUCTURE):
                continue
            for value in VALUES:
                cards = dict(header)
                if value is None:
                    del cards[keyword]
                else:
                    cards[keyword] = value
                yield (
                    f"{extname}, {keyword} = {value!r}",
                    MadeConstituent(file.scope, file.typeid, contents, headers | {extname: cards}),
                )


STRUCTURE = ("XTENSION", "BITPIX", "NAXIS", "PCOUNT", "GCOUNT", "TTYPE", "TFORM", "TUNIT", "TFIELDS", "TDIM")
STRUCTURE += ("EXTNAME", "COMMENT", "SYNTHETI", "SIMPLE", "EXTEND", "CREATOR", "DATE", "HISTORY", "")[:-1]


def numbers_in(result: Any) -> Iterator[np.ndarray]:
    if isinstance(result, (tuple, list)):
        for part in result:
            yield from numbers_in(part)
    elif result is not None:
        yield np.asarray(result, float)


@pytest.fixture(scope="module")
def usual(synthetic_ccf: Path) -> Calibration:
    return Calibration.for_observation([synthetic_ccf], "2017-11-01T10:42:37")


@pytest.mark.parametrize("key", READERS, ids="_".join)
def test_only_our_errors_come_out(usual: Calibration, said, key: tuple[str, str]) -> None:
    file = usual.constituent(*key)
    for scope, typeid in READERS:  # the rest is read once
        usual.constituent(scope, typeid)
    problems = []
    for what, made in damaged(file):
        cal = Calibration(usual.index, usual.search_path)
        cal._constituents = usual._constituents | {key: made}
        for number, read in enumerate(READERS[key]):
            said.told.clear()
            said.fallbacks.clear()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    result = read(cal)
            except TaskError as error:
                if not any(name in error.message for name in (key[1], made.path.name)):
                    problems.append(f"{what}: reader {number}: {error.message} names no file")
            except Exception as error:
                problems.append(f"{what}: reader {number}: {type(error).__name__}: {error}")
            else:
                if not all(np.isfinite(values).all() for values in numbers_in(result)):
                    problems.append(f"{what}: reader {number}: no number in the result")
        try:
            for extname in made.extensions:
                finding(made, extname)
        except Exception as error:
            problems.append(f"{what}: inspect: {type(error).__name__}: {error}")
    assert not problems, f"{len(problems)} of them:\n" + "\n".join(problems[:40])


# --- files -----------------------------------------------------------------------------------------


def _replace(old: str, new: str) -> Callable[[bytes], bytes]:
    """Other bytes in the headers; texts of one length."""
    assert len(old) == len(new)
    return lambda content: content.replace(old.encode(), new.encode("latin-1"))


def _further(*hdus: fits.BinTableHDU) -> Callable[[bytes], bytes]:
    """Further extensions at the end."""

    def change(content: bytes) -> bytes:
        stream = io.BytesIO()
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(stream, output_verify="ignore")
        return content + stream.getvalue()[2880:]

    return change


def _heap_gone(content: bytes) -> bytes:
    """Arrays of varying length that point beyond the end of the heap."""
    rows = np.empty(2, object)
    rows[:] = [np.arange(3.0), np.arange(4.0)]
    table = fits.BinTableHDU.from_columns([fits.Column("A", "PD()", array=rows)], name="MORE")
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(stream)
    more = bytearray(stream.getvalue()[2880:])
    start = more.index(b"END" + b" " * 77) // 2880 * 2880 + 2880
    more[start : start + 8] = (2**30).to_bytes(4, "big") * 2
    return content + bytes(more)


#: Of EPN_LINCOORD. Some do not damage anything that is read.
FILES: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda content: content[:-2880],
    "cut in the header": lambda content: content[:4000],
    "empty": lambda content: b"",
    "no end of the header": _replace("END     ", "XND     "),
    "type of a column": _replace("'D       '", "'Z       '"),
    "text for numbers": _replace("'D       '", "'8A      '"),
    "short numbers": _replace("'D       '", "'2E      '"),
    "bits": _replace("'D       '", "'64X     '"),
    "rows": _replace("NAXIS2  =                   12", "NAXIS2  =                99999"),
    "negative rows": _replace("NAXIS2  =                   12", "NAXIS2  =                   -1"),
    "width of rows": _replace("TFIELDS =                   10", "TFIELDS =                   99"),
    "names": _replace("'X0      '", "'Y0      '"),
    "letters": _replace("'X0      '", "'X\xe90     '"),
    "name of an extension": _replace("EXTNAME = 'LINCOORD'", "EXTNAME =  12345678 "),
    "no name of an extension": _replace("EXTNAME = 'LINCOORD'", "EXTNAMF = 'LINCOORD'"),
    "a card": _replace("MM_PX_X =", "MM_PX_X #"),
    "a value": _replace("MM_PX_X =   ", "MM_PX_X =  ("),
    "issue": _replace("ISSUE   =                    9", "ISSUE   =                  'x'"),
    "no type": _replace("TYPEID  =", "TYPEIE  ="),
    "dates": _replace("VALDATE = '", "VALDATE = 7"),
    "nameless extensions": _further(fits.BinTableHDU(), fits.BinTableHDU()),
    "two of a name": _further(fits.BinTableHDU(name="LINCOORD"), fits.BinTableHDU(name="lincoord")),
    "extension named as the first": _further(fits.BinTableHDU(name="PRIMARY")),
    "heap": _heap_gone,
    "other bytes at the end": lambda content: content + b"x" * 2880,
}


@pytest.mark.parametrize("what", FILES)
def test_damaged_files(synthetic_ccf: Path, tmp_path: Path, said, what: str) -> None:
    (source,) = synthetic_ccf.glob("EPN_LINCOORD_*.CCF")
    whole = source.read_bytes()
    content = FILES[what](whole)
    assert content != whole
    path = tmp_path / source.name
    path.write_bytes(content)
    refusal, findings = attempt(lambda: inspect(path))
    if not refusal:
        assert report(path, findings)
        assert describe(path)["name"]
    cal = Calibration.for_observation([synthetic_ccf], "2017-11-01")
    usual = CameraGeometry.from_calibration(cal, "EPN", TIME_S)
    cal._constituents.clear()
    cal._entries["EPN", "LINCOORD"] = replace(cal._entries["EPN", "LINCOORD"], path=path, fsize=0, md5="")
    other, camera = attempt(lambda: CameraGeometry.from_calibration(cal, "EPN", TIME_S))
    assert all(source.name in text for text in (refusal, other) if text)
    if not other:
        # What is not refused is as it was, or said.
        same = np.allclose(camera.raw_to_det(4, 10, 20), usual.raw_to_det(4, 10, 20))
        assert same or said.fallbacks or {f.how for f in findings} & {"fallback", "by content"}


def attempt(action: Callable[[], Any]) -> tuple[str, Any]:
    """What is refused and why, or nothing and the result."""
    try:
        return "", action()
    except TaskError as error:
        return error.message, None
