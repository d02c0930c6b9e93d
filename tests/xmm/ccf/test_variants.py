"""Calibration files that spell their tables otherwise: same result, or a stated fallback and its warning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from daxa.calibration.inspect import inspect
from daxa.xmm.ccf import UnknownLayout
from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.ccf.readings import READINGS
from daxa.xmm.formats.ccf import LAYOUT
from daxa.xmm.response import area as response
from daxa.xmm.sky.geometry import CameraGeometry

TIME_S = 6.26e8
Change = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


def _tform(values: np.ndarray, single: bool) -> str:
    if values.dtype.kind in "US":
        return f"{max(1, values.dtype.itemsize // (4 if values.dtype.kind == 'U' else 1))}A"
    width = values[0].size if values.ndim > 1 else 1
    letters = {"b": "L", "i": "J" if single else "I", "u": "B", "f": "E" if single else "D"}
    return f"{width}{letters[values.dtype.kind]}"


def variant(
    folder: Path, synthetic: Path, name: str, extname: str, change: Change, single: bool = False, **cards: Any
) -> Calibration:
    """The synthetic set with one table rewritten; E for D and J for I if ``single``."""
    source = sorted(synthetic.glob(f"{name}_*.CCF"))[-1 if name != "EMOS1_CTI" else -2]
    for path in synthetic.glob("*.CCF"):
        if not path.name.startswith(f"{name}_"):
            (folder / path.name).symlink_to(path)
    with fits.open(source) as hdus:
        data = hdus[extname].data
        columns = change({n: np.array(data[n]) for n in data.names})
        made = [fits.Column(n, _tform(v, single), array=v) for n, v in columns.items()]
        header = hdus[extname].header
        new = fits.BinTableHDU.from_columns(made, name=extname)
        for key in ("REF_DATE", "ALGOID", "D_THETA"):
            if key in header:
                new.header[key] = header[key]
        new.header.update(cards)
        hdus[extname] = new
        hdus.writeto(folder / source.name)
    return Calibration.for_observation([folder], "2017-11-01T10:42:37")


def renamed(**names: str) -> Change:
    return lambda columns: {names.get(n, n): v for n, v in columns.items()}


def without(*names: str) -> Change:
    return lambda columns: {n: v for n, v in columns.items() if n not in names}


def one_row(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {n: v[None, ...] for n, v in columns.items()}


def same(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return columns | {"FURTHER": np.full(len(next(iter(columns.values()))), "text")}


CASES = [
    ("EMOS1_QUANTUMEF", "EBINS", one_row, "exact"),
    ("EMOS1_QUANTUMEF", "EBINS", renamed(ENERGY="E"), "by content"),
    ("EPN_FILTERTRANSX", "EBINS", one_row, "exact"),
    ("EPN_FILTERTRANSX", "FILTER-MEDIUM", without("REGION"), "exact"),
    ("XMM_MISCDATA", "MISCDATA", without("PARM_UNIT"), "exact"),
    ("XMM_BORESIGHT", "BORESIGHT", renamed(EULER_PHI="A_PHI", EULER_THETA="A_THE", EULER_PSI="A_PSI"),
     "exact"),
    ("XMM_BORESIGHT", "BORESIGHT",
     renamed(INSTRUMENT_ID="WHO", EULER_PHI="A", EULER_THETA="B", EULER_PSI="C"),
     "by content"),
    ("XMM_BORESIGHT", "EPN_ANGVAR", renamed(TIME="T", DELTA_PHI="A", DELTA_THETA="B", DELTA_PSI="C"),
     "by content"),
    ("EMOS1_TIMECORR", "FRAMETIME", renamed(DELAY="READOUT"), "by content"),
    ("EMOS1_ADUCONV", "ENERGY_COMBINE", renamed(PATTERN="PAT", C1="A", C2="B", C3="C", C4="D"), "by content"),
    ("EMOS1_CTI", "CTI_COLUMN", renamed(RAWX="COLUMN", OFFSET="STEP"), "by content"),
    ("EMOS1_PATTERNLIB", "PrimeFullWindow", renamed(PATTERN_ID="ID", PATTERN="BOX"), "by content"),
    ("EPN_CTI", "RATE_DEPENDENT_CTI", renamed(MODE_ID="MODE", A0="X", A1="Y", A2="Z"), "by content"),
    ("EMOS1_SCREENTHRESH", "SCREEN_THRESH", renamed(BAD="BAD_L", GOOD="GOOD_L", CCD_ID="CHIP"),
     "by content"),
    ("EMOS1_LINCOORD", "LINCOORD", without("THETA0", "PSI0"), "exact"),
    ("EMOS1_LINCOORD", "FOV", renamed(X="DETX", Y="DETY"), "exact"),
    ("XRT3_XAREAEF", "ONAXISXAREAEF", one_row, "exact"),
    ("EMOS1_MODEPARAM", "MODEPARAM", without("SMEARED_FRAC"), "exact"),
]  # fmt: skip


def scaled(factor: float, *names: str) -> Change:
    return lambda columns: {n: v * factor if n in names else v for n, v in columns.items()}


def as_bytes(*names: str) -> Change:
    return lambda columns: {n: v.astype(np.uint8) if n in names else v for n, v in columns.items()}


CASES += [
    ("EMOS1_PATTERNLIB", "PrimeFullWindow", as_bytes("PATTERN_ID", "PATTERN"), "exact"),
    ("EPN_PATTERNLIB", "PrimeFullWindow", as_bytes("PATTERN"), "exact"),
    ("EMOS1_DARKFRAME", "OFFSET_CCD1", without("COL_X0", "ROW_Y0", "ROW_LEN", "COL_LEN"), "exact"),
    ("EMOS1_TIMECORR", "FRAMETIME", scaled(1e3, "FRAME_TIME", "DELAY"), "exact"),
    ("XMM_BORESIGHT", "EPN_ANGVAR",
     scaled(1 / 3600, "DELTA_PHI", "DELTA_THETA", "DELTA_PSI"), "exact"),
    ("RGS1_CTI", "XCTI", without("CTI_X_ERR"), "exact"),
]  # fmt: skip
FALLBACKS = [
    ("EMOS1_TIMECORR", "FRAMETIME", without("DELAY"), "noReadoutDelay"),
    ("EMOS1_ADUCONV", "ENERGY_COMBINE", without("C1", "C2"), "noEnergyCombine"),
    ("EMOS1_CTI", "CTI_COLUMN", without("OFFSET"), "noColumnOffsets"),
    ("EMOS1_LINCOORD", "FOV", without("SHAPE"), "noFieldOfView"),
    ("EMOS1_LINCOORD", "LINCOORD", without("Z0"), "noChipHeights"),
    ("XMM_BORESIGHT", "EMOS1_ANGVAR", scaled(1e-6, "TIME"), "noBoresightDrift"),
    ("XMM_BORESIGHT", "EPN_ANGVAR", without("DELTA_PSI"), "noBoresightDrift"),
    ("EMOS1_SCREENTHRESH", "SCREEN_THRESH", renamed(BAD="A", GOOD="B"), "noScreenThresholds"),
    ("EPN_PATTERNLIB", "PrimeFullWindow", without("PATTERN_ID"), "noPatternNumbers"),
]
REFUSED = [
    ("XMM_MISCDATA", "MISCDATA", without("PARM_VAL"), r"no column PARM_VAL; it has INSTRUMENT_ID \(text\)"),
    ("XMM_BORESIGHT", "BORESIGHT", without("EULER_PSI"), r"no column EULER_P.*size"),
    ("EMOS1_CTI", "CTI_EXTENDED", without("CTI_Y2"), r"no column CTI_Y2 \(six numbers"),
]


def old_law(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Six numbers of the law of the first years (ALGOID 0)."""
    names = ("CTI_FRAME_TRANSFER", "D_CTI_FRAME_TRANSFER", "CTI_X", "D_SERIAL_CTI", "CTI_Y", "D_CTI_PARALLEL")
    return {n: columns[n] for n in ("MODE_ID", "CCD_ID", "NODE_ID")} | {n: columns["CTI_Y0"] for n in names}


def _table(cal: Calibration, name: str, extname: str) -> Any:
    return cal.constituent(*name.split("_", 1)).table(extname)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize(("name", "extname", "change", "how"), CASES)
def test_same_numbers(synthetic_ccf, tmp_path, said, name, extname, change, how, single) -> None:
    usual = Calibration.for_observation([synthetic_ccf], "2017-11-01T10:42:37")
    cal = variant(tmp_path, synthetic_ccf, name, extname, change, single)
    expected, found = _table(usual, name, extname), _table(cal, name, extname)
    for column in LAYOUT[name.split("_")[0].rstrip("123"), name.split("_")[1]][extname]:
        # What a file lacks and nothing depends on has a filler.
        if column.name in found and column.name not in _unused(name, extname):
            if found[column.name].dtype.kind == "U":
                np.testing.assert_array_equal(found[column.name], expected[column.name])
            else:
                np.testing.assert_allclose(
                    found[column.name],
                    expected[column.name].reshape(found[column.name].shape),
                    rtol=1e-6,
                    atol=1e-9,
                )
    assert cal.constituent(*name.split("_", 1)).recognised[extname].how == how
    assert said.err.getvalue() == ""


def _unused(name: str, extname: str) -> set[str]:
    scope, typeid = name.split("_", 1)
    tables = READINGS.get((scope.rstrip("123"), typeid), {})
    reading = tables.get(extname) or tables.get("*")
    return {n for n, f in reading.absent.items() if not f.code} if reading else set()


@pytest.mark.parametrize(("name", "extname", "change", "code"), FALLBACKS)
def test_fallbacks_warn(synthetic_ccf, tmp_path, said, name, extname, change, code) -> None:
    cal = variant(tmp_path, synthetic_ccf, name, extname, change)
    table = _table(cal, name, extname)
    _table(cal, name, extname)
    assert cal.constituent(*name.split("_", 1)).recognised[extname].how == "fallback"
    assert said.err.getvalue().count(f"warning ({code})") == 1
    path = cal.constituent(*name.split("_", 1)).path.name
    assert f"{path}[{extname}]" in said.err.getvalue()
    # Products list it beside the constituents.
    assert cal.calindex_hdu([name.split("_")[0]]).header["CALFB1"] == f"{path}[{extname}]: {code}"
    assert table.n_rows >= 0


@pytest.mark.parametrize(("name", "extname", "change", "message"), REFUSED)
def test_what_is_needed_is_refused_by_name(synthetic_ccf, tmp_path, name, extname, change, message) -> None:
    cal = variant(tmp_path, synthetic_ccf, name, extname, change)
    with pytest.raises(UnknownLayout, match=message):
        _table(cal, name, extname)


@pytest.mark.parametrize(
    ("name", "extname", "change", "number"),
    [
        ("EMOS1_CTI", "CTI_EXTENDED", old_law, 0),
        ("EMOS1_CTI", "CTI_EXTENDED", same, 1),
        ("RGS1_ADUCONV", "OFFSET_GAIN", same, 0),
        ("EPN_ADUCONV", "OFFSET_GAIN", same, 2),
    ],
)
def test_laws_of_another_algorithm_are_refused(
    synthetic_ccf, tmp_path, name, extname, change, number
) -> None:
    cal = variant(tmp_path, synthetic_ccf, name, extname, change, ALGOID=number)
    with pytest.raises(
        UnknownLayout, match=rf"{name}_....\.CCF\[{extname}\], keyword ALGOID: {number}, expected"
    ):
        _table(cal, name, extname)


def _total(instrument: str) -> Change:
    """A column QE for the patterns in use, and nothing for the single ones."""

    def change(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        used = {"EMOS1": 13, "EPN": 2}[instrument]
        return {"REGION": columns["REGION"], "QE": sum(columns[f"QE_{k}"] for k in range(used))}

    return change


def _efficiencies(*sets: Calibration, instrument: str, ccd: int) -> list[np.ndarray]:
    energy = np.geomspace(200, 10000, 50)
    return [response.quantum_efficiency(cal, instrument, ccd, energy) for cal in sets]


@pytest.mark.parametrize("instrument", ["EMOS1", "EPN"])
def test_quantum_efficiency_of_all_patterns(synthetic_ccf, tmp_path, instrument) -> None:
    usual = Calibration.for_observation([synthetic_ccf], "2017-11-01T10:42:37")
    cal = variant(tmp_path, synthetic_ccf, f"{instrument}_QUANTUMEF", "QE_CCD1", _total(instrument))
    expected, found = _efficiencies(usual, cal, instrument=instrument, ccd=1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("QE_0"), "no column QE "),
        (lambda columns: {n: v[:, :-1] if n.startswith("QE_") else v for n, v in columns.items()},
         "88 values for 89 energies"),
    ],
)  # fmt: skip
def test_quantum_efficiency_of_a_damaged_ccd(synthetic_ccf, tmp_path, said, change, message) -> None:
    usual = Calibration.for_observation([synthetic_ccf], "2017-11-01T10:42:37")
    cal = variant(tmp_path, synthetic_ccf, "EPN_QUANTUMEF", "QE_CCD4", change)
    np.testing.assert_allclose(*_efficiencies(usual, cal, instrument="EPN", ccd=1), rtol=1e-12)
    assert said.fallbacks == {}
    _efficiencies(cal, cal, instrument="EPN", ccd=4)
    path = cal.constituent("EPN", "QUANTUMEF").path
    assert said.err.getvalue().count("(noCcdEfficiency)") == 1
    assert f"{path.name}[QE_CCD4]" in said.err.getvalue()
    assert message in said.err.getvalue()
    # Products say it, and so does what is said of the file.
    assert cal.calindex_hdu(["EPN"]).header["CALFB1"] == f"{path.name}[QE_CCD4]: noCcdEfficiency"
    found = {finding.extension: finding for finding in inspect(path)}
    assert found["QE_CCD1"].how == "exact"
    assert found["QE_CCD4"].how == "fallback"
    assert "(noCcdEfficiency)" in found["QE_CCD4"].detail


def test_quantum_efficiency_without_any_table(synthetic_ccf, tmp_path) -> None:
    change = without("QE_0")
    cal = variant(tmp_path, synthetic_ccf, "EPN_QUANTUMEF", "QE_CCD4", change)
    path = cal.constituent("EPN", "QUANTUMEF").path
    with fits.open(path, mode="update") as hdus:
        del hdus["QE_TOTAL"]
    cal = Calibration.for_observation([tmp_path], "2017-11-01")
    with pytest.raises(UnknownLayout, match="no column QE .*no extension QE_TOTAL"):
        response.quantum_efficiency(cal, "EPN", 4, 1000.0)
    assert {f.how for f in inspect(path) if f.extension == "QE_CCD4"} == {"refused"}


def test_quantum_efficiency_of_all_ccds(synthetic_ccf: Path, tmp_path: Path, said) -> None:
    source = next(synthetic_ccf.glob("EPN_QUANTUMEF_*"))
    with fits.open(source) as hdus:
        tables = [
            fits.BinTableHDU.from_columns(
                [fits.Column(name, "PE()", array=np.array([np.ravel(hdus[ext].data[name])], dtype=object))],
                name=ext,
            )
            for ext, name in (("QE_TOTAL", "QE_TOTAL"), ("EBINS_FRACTION", "ENERGY"))
        ]
        fits.HDUList([hdus[0], *tables]).writeto(tmp_path / source.name)
    for path in synthetic_ccf.glob("*.CCF"):
        if path.name != source.name:
            (tmp_path / path.name).symlink_to(path)
    usual, cal = (Calibration.for_observation([f], "2017-11-01") for f in (synthetic_ccf, tmp_path))
    expected, found = _efficiencies(usual, cal, instrument="EPN", ccd=4)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert list(said.fallbacks) == [f"{source.name}[QE_CCD4]: noCcdEfficiency"]


def _full_widths(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """As region tables of real lists: cells of four numbers, boxes with full widths."""
    n = len(columns["SHAPE"])
    shape = np.array([str(s).strip().replace("BOX", "ROTBOX") for s in columns["SHAPE"]])
    factor = np.where(np.char.endswith(shape, "ROTBOX"), 2.0, 1.0)[:, None]
    wide = {"DETX": columns["X"], "DETY": columns["Y"], "ROTANG": columns["ROTANG"]}
    made = {k: np.concatenate([np.reshape(v, (n, 1)), np.zeros((n, 3))], axis=1) for k, v in wide.items()}
    radii = np.concatenate([columns["R"] * factor, np.zeros((n, 2))], axis=1)
    return {"SHAPE": shape, **made, "R": radii, "COMPONENT": columns["COMPONENT"]}


def _expression(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    texts = []
    for i, shape in enumerate(columns["SHAPE"]):
        kind, (r1, r2) = str(shape).strip(), columns["R"][i]
        sizes = f"{r1}" if kind == "CIRCLE" else f"{r1},{r2},{columns['ROTANG'][i]}"
        texts.append(f"{kind}({columns['X'][i]},{columns['Y'][i]},{sizes},DETX,DETY)")
    return {"WHERE": np.array(texts)}


@pytest.mark.parametrize("change", [_full_widths, _expression])
def test_field_of_view_in_other_forms(synthetic_ccf, tmp_path, change) -> None:
    usual = Calibration.for_observation([synthetic_ccf], "2017-11-01T10:42:37")
    cal = variant(tmp_path, synthetic_ccf, "EMOS1_LINCOORD", "FOV", change, MFORM1="DETX,DETY")
    x, y = np.meshgrid(np.linspace(-20000, 20000, 201), np.linspace(-20000, 20000, 201))
    expected, found = (CameraGeometry.from_calibration(c, "EMOS1", TIME_S).in_fov(x, y) for c in (usual, cal))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("text", ["CIRCLE(", "FOO(1,2,3)", "(A,B) IN CIRCLE(1,2,3)"])
def test_region_expressions_that_are_none(synthetic_ccf, tmp_path, said, text) -> None:
    cal = variant(tmp_path, synthetic_ccf, "EPN_LINCOORD", "FOV", lambda columns: {"WHERE": np.array([text])})
    camera = CameraGeometry.from_calibration(cal, "EPN", TIME_S)
    assert camera.in_fov(0.0, 0.0)
    assert not camera.in_fov(18000.0, 18000.0)
    path = cal.constituent("EPN", "LINCOORD").path
    assert list(said.fallbacks) == [f"{path.name}[FOV]: noFieldOfView"]
    assert f"{path.name}[FOV]: column EXPRESSION: " in said.err.getvalue().replace("], column", "]: column")


def test_keyword_that_is_no_number_is_as_if_absent(synthetic_ccf, tmp_path, said) -> None:
    name, extname = "EMOS1_PATTERNLIB", "PrimeFullWindow"
    cal = variant(tmp_path, synthetic_ccf, name, extname, same, EDUTHR_I="many", EDUTHR_O=20.0)
    file = cal.constituent(*name.split("_"))
    assert file.number("EDUTHR_I", extname) == 25.0
    assert file.number("EDUTHR_O", extname) == 20.0
    assert list(said.fallbacks) == [f"{file.path.name}[{extname}]: noEventThreshold"]
    assert "keyword EDUTHR_I: 'many' is not a number" in said.err.getvalue()
    assert {f.how for f in inspect(file.path) if f.extension == extname.upper()} == {"fallback"}


def test_real_mirror_areas_in_the_synthetic_set(synthetic_ccf, shared_data, tmp_path) -> None:
    real = shared_data / "ccf" / "XRT3_XAREAEF_0012.CCF"
    for path in synthetic_ccf.glob("*.CCF"):
        if not path.name.startswith("XRT3_XAREAEF"):
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / real.name).symlink_to(real)
    cal = Calibration.for_observation([tmp_path], "2017-11-01")
    area = response.mirror_area(cal, "EPN", [500.0, 1000.0, 1500.0, 2000.0, 4500.0, 6400.0, 9000.0])
    np.testing.assert_allclose(area, [1368.1, 1357.6, 1387.3, 1385.0, 945.4, 848.6, 428.2], atol=0.06)
    dimming = response.vignetting(cal, "EPN", 1000.0, [2.4, 4.8 + 2.4, 9.6, 12.0, 14.4])
    assert np.all(np.diff(dimming) < 0)
    assert dimming[0] == pytest.approx(0.9370, abs=5e-5)
    assert dimming[-1] == pytest.approx(0.3465, abs=5e-5)
    constituent = cal.constituent("XRT3", "XAREAEF")
    assert {said.how for said in constituent.recognised.values()} == {"exact"}


@pytest.mark.parametrize("index", ["epic_pn_0124710801/ccf.cif", "sas_products_0201901401/odf/ccf.cif.gz"])
def test_row_of_a_real_constituent(shared_data: Path, index: str) -> None:
    from daxa.xmm.ccf.index import md5sum, read_entry, read_index

    real = shared_data / "ccf" / "XRT3_XAREAEF_0012.CCF"
    path = shared_data / index
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    theirs = read_index(path).find("XRT3", "XAREAEF")
    ours = read_entry(real)
    assert ours is not None
    assert theirs is not None
    names = ["scope", "typeid", "issue", "valdate", "valdate_end", "date", "fsize", "extsequ", "extseqid"]
    assert [getattr(ours, n) for n in names] == [getattr(theirs, n) for n in names]
    # The index of 2014-10 lists the delivery before this one, under the same issue.
    assert (theirs.subdate < ours.subdate) == ("0201901401" in index)
    assert (md5sum(real) == theirs.md5.lower()) == (ours.subdate == theirs.subdate)


def test_readings_name_columns_of_the_layout() -> None:
    for key, tables in READINGS.items():
        for extname, reading in tables.items():
            others = [schema for name, schema in LAYOUT[key].items() if name not in tables]
            schemas = others if extname == "*" else [LAYOUT[key][extname]]
            known = {column.name for schema in schemas for column in schema}
            roles = {role for rule in reading.content for role in rule.roles}
            if reading.total is not None:
                assert set(reading.total[1]) <= known
                known.add(reading.total[0])
            named = set(reading.names) - set(reading.keywords)
            assert roles | named | set(reading.absent) | set(reading.possible) <= known, (key, extname)
            # What a number is held to must be said.
            assert reading.convert is None or reading.held_to, (key, extname)
            if reading.substitute is not None:
                assert set(reading.substitute.value) == known, (key, extname)
