"""Every table of the calibration files in other spellings: same numbers, a stated fallback, or refused.

What must never happen is another number without a word.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from made_files import MadeConstituent
from typer.testing import CliRunner

from daxa.calibration.inspect import finding
from daxa.cli.main import app
from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.ccf.constituent import Constituent
from daxa.xmm.ccf.readings import READINGS, reading_of
from daxa.xmm.ccf.recognise import _by_names, check_possible
from daxa.xmm.errors import UnknownLayout
from daxa.xmm.formats.ccf import LAYOUT, layout_of

Columns = dict[str, np.ndarray]
SCOPES = {"EMOS": "EMOS1", "RGS": "RGS1", "XRT": "XRT3"}


def _alike(extname: str) -> str:
    """Tables of single CCDs, filters and instruments have one layout: the first of them stands for all."""
    for group in ("QE_CCD", "CTIY", "OFFSET_CCD", "FILTER-"):
        if extname.startswith(group):
            return group
    return "_ANGVAR" if extname.endswith("_ANGVAR") else extname


def _tables() -> list[tuple[str, str, str]]:
    found = {}
    for (scope, typeid), tables in LAYOUT.items():
        for extname, schema in tables.items():
            # Images have no columns; this table is not in the synthetic set.
            if schema and extname != "QBOXTEMP_GAIN":
                key = (SCOPES.get(scope, scope), typeid, _alike(extname))
                found.setdefault(key, (*key[:2], extname))
    return list(found.values())


TABLES = _tables()
#: What becomes of tables of which no column has a known name; the others are told by content.
NAMELESS = {
    "MISCDATA": "refused",
    "FOV": "noFieldOfView",
    "CORNER": "noCorner",
    "EMOS_FRAMETIME": "noTimeCorrection",
    "EMOS_OFFSET_GAIN": "refused",
    "EMOS_CTI_EXTENDED": "refused",
    "CTI_COLUMN": "noColumnOffsets",
    "OFFSET_CCD1": "refused",
    "QE_CCD1": "refused",
    "SCREEN_THRESH": "noScreenThresholds",
    "RGS_OFFSET_GAIN": "refused",
    "XCTI": "refused",
    "CTIY1": "refused",
    "KING_PARAMS": "noPointSpread",
}


@pytest.fixture(scope="module")
def usual(synthetic_ccf: Path) -> Calibration:
    return Calibration.for_observation([synthetic_ccf], "2017-11-01T10:42:37")


def changed(file: Constituent, extname: str, columns: Columns, *, in_primary: bool = False) -> Constituent:
    """A constituent with other columns in one table, which may have its keywords in the primary header."""
    tables = {n: file.contents(n) for n in file.extensions if layout_of(file.scope, file.typeid).get(n)}
    headers = {"PRIMARY" if in_primary else extname: file.header(extname)}
    return MadeConstituent(file.scope, file.typeid, tables | {extname: columns}, headers)


def outcome(file: Constituent, extname: str, usual: Constituent, said: Any) -> str:
    """What becomes of a table: ``same``, ``filled`` (what no result needs), codes, or ``refused``."""
    said.fallbacks.clear()
    said.told.clear()
    where = f"{file.path.name}[{extname}]"
    reading = reading_of(file.scope, file.typeid, extname)
    inspected = finding(file, extname)
    said.fallbacks.clear()
    found, refusal = read(file, extname)
    if found is None:
        assert refusal.startswith(where)
        assert "it has" in refusal or ", column " in refusal
        # Another table may stand in for it.
        assert inspected.how == "refused" or "*" in reading.lacking
        return "refused"
    notes = [note.removeprefix(f"{where}: ") for note in said.fallbacks]
    if notes:
        assert all(f"({code})" in said.err.getvalue() for code in notes)
        assert inspected.how == "fallback"
        return ", ".join(notes)
    assert inspected.how in ("exact", "by content")
    expected = usual.table(extname)
    asked = [c.name for c in layout_of(file.scope, file.typeid)[extname]]
    if reading.total is not None:
        asked = ["REGION", reading.total[0]]
    different = {name for name in asked if not alike(found[name], expected[name])}
    free = set(reading.absent)
    if reading.substitute is not None and not reading.substitute.code:
        free |= set(reading.substitute.value)
    assert different <= free, f"{where}: {different - free} differ without a word"
    return "filled" if different else "same"


def read(file: Constituent, extname: str) -> tuple[Any, str]:
    try:
        return file.table(extname), ""
    except UnknownLayout as error:
        return None, error.message


def alike(one: np.ndarray, other: np.ndarray) -> bool:
    if one.size != other.size:
        return False
    if "U" in (one.dtype.kind, other.dtype.kind):
        return bool(np.array_equal(np.char.strip(one.astype(str)), np.char.strip(other.astype(str))))
    a, b = np.ravel(one).astype(float), np.ravel(other).astype(float)
    return bool(np.allclose(a, b, rtol=1e-6, atol=1e-12, equal_nan=True))


# --- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scope", "typeid", "extname"), TABLES)
def test_one_column_under_another_name_or_missing(usual, said, scope, typeid, extname) -> None:
    file = usual.constituent(scope, typeid)
    columns = file.contents(extname)
    reading = reading_of(scope, typeid, extname)
    used = [c.name for c in layout_of(scope, typeid)[extname] if c.name in columns]
    parts = () if reading.total is None else reading.total[1]
    unused = reading.substitute is not None and not reading.substitute.code
    for name in used:
        if name.startswith("QE_") and name not in (*parts[:1], *parts[-1:], "QE_TOTAL"):
            continue
        renamed = {("OTHER" if n == name else n): v for n, v in columns.items()}
        missing = {n: v for n, v in columns.items() if n != name}
        results = {outcome(changed(file, extname, v), extname, file, said) for v in (renamed, missing)}
        # OFFSET is optional beside OFFSET_CONST and OFFSET_SLOPE only.
        optional = name in reading.absent and not reading.absent[name].code and name != "OFFSET"
        if optional or unused:
            # Of what no result needs nothing is said.
            assert results <= {"same", "filled"}, name
        else:
            # The column that is missing is told, or what it costs; nothing is made up.
            assert outcome(changed(file, extname, missing), extname, file, said) not in ("same", "filled"), (
                name
            )


@pytest.mark.parametrize(("scope", "typeid", "extname"), TABLES)
def test_no_column_has_a_known_name(usual, said, scope, typeid, extname) -> None:
    file = usual.constituent(scope, typeid)
    nameless = {f"C{i}": v for i, v in enumerate(file.contents(extname).values())}
    found = outcome(changed(file, extname, nameless), extname, file, said)
    short = scope.rstrip("123")
    expected = NAMELESS.get(f"{short}_{extname}", NAMELESS.get(extname))
    if (short, extname) == ("EPN", "FRAMETIME"):
        expected = None
    assert found == expected if expected else found in ("same", "filled")


@pytest.mark.parametrize(("scope", "typeid", "extname"), TABLES)
def test_a_name_with_a_star_takes_no_column_of_another_role(scope, typeid, extname) -> None:
    """One column is missing; another has its plain name, or one that fits the stars of both."""
    reading, roles = reading_of(scope, typeid, extname), [c.name for c in layout_of(scope, typeid)[extname]]
    stars = {role: [n for n in reading.names.get(role, ()) if "*" in n] for role in roles}
    for role, other in itertools.permutations(roles, 2):
        names = {f"{a}_{b}".replace("*", "") for a in stars[role] for b in stars[other]}
        shared = [n for n in names if all(any(fnmatch(n, s) for s in stars[one]) for one in (role, other))]
        for name in (other, *shared):
            columns = {n: np.zeros(1) for n in roles if n not in (role, other)} | {name: np.ones(1)}
            told = _by_names(roles, reading, columns, {})
            assert told.get(role) != name, f"{role} is read from {name}"
            assert (other in told) == (name == other)


def test_names_with_stars_leave_each_other_their_columns(usual) -> None:
    """As the columns of raw files are named: *CCD* fits both, *NODE* only one."""
    file = usual.constituent("EPN", "CTI")
    names = {"CCD_ID": "CCDID", "NODE_ID": "CCDNODE", "MODE_ID": "CCDMODE"}
    renamed = {names.get(n, n): v for n, v in file.contents("CTI_EXTENDED").items()}
    made = changed(file, "CTI_EXTENDED", renamed)
    found = made.table("CTI_EXTENDED")
    for name in names:
        assert np.array_equal(found[name], file.table("CTI_EXTENDED")[name])
    assert made.recognised["CTI_EXTENDED"].how == "exact"


def test_a_tolerance_of_fast_modes_alone_is_not_that_of_the_others(usual, said) -> None:
    file = usual.constituent("EPN", "TIMEJUMPTOL")
    columns = {"REVOLUTION": np.array([300, 900]), "TOLERANCE_FAST": np.array([20, 33])}
    assert outcome(changed(file, "TIMEJUMPTOL", columns), "TIMEJUMPTOL", file, said) == "noJumpTolerance"


# --- types and shapes ------------------------------------------------------------------------------


def single(columns: Columns) -> Columns:
    """E for D, J for I."""
    types = {"f": np.float32, "i": np.int32, "u": np.int32}
    return {n: v.astype(types[v.dtype.kind]) if v.dtype.kind in types else v for n, v in columns.items()}


def double(columns: Columns) -> Columns:
    """D for I: whole numbers of any type."""
    return {n: v.astype(float) if v.dtype.kind in "iu" else v for n, v in columns.items()}


def small(columns: Columns) -> Columns:
    """B for I where it fits."""
    made = dict(columns)
    for name, v in columns.items():
        if v.dtype.kind in "iu" and v.size and v.min() >= 0 and v.max() < 256:
            made[name] = v.astype(np.uint8)
    return made


def varying(columns: Columns) -> Columns:
    """Arrays of varying length (P) for vectors."""
    made = dict(columns)
    for name, v in columns.items():
        if v.ndim > 1 and v.dtype.kind != "U":
            made[name] = np.empty(len(v), object)
            made[name][:] = list(v)
    return made


def one_row(columns: Columns) -> Columns:
    """One row of vectors for many rows."""
    if any(v.dtype.kind in "Ub" or v.ndim > 1 for v in columns.values()):
        return columns
    return {n: v[None, :] for n, v in columns.items()}


def many_rows(columns: Columns) -> Columns:
    """Many rows for one of vectors of equal length."""
    vectors = {n: v for n, v in columns.items() if v.ndim > 1 and v.dtype.kind != "U"}
    # A radius has two numbers in any case.
    if not vectors or "SHAPE" in columns or any(len(v) != 1 for v in columns.values()):
        return columns
    n = next(iter(vectors.values())).size
    return {k: np.ravel(v) if k in vectors else np.repeat(v, n) for k, v in columns.items()}


def more_columns(columns: Columns) -> Columns:
    """Further columns of each kind, at the beginning and at the end."""
    n = len(next(iter(columns.values())))
    before = {"DESCR": np.full(n, "text"), "SPARE_I": np.arange(n), "SPARE_D": np.linspace(0, 1, n)}
    return {**before, **columns, "LAST": np.full(n, 7.5), "SWITCH": np.ones(n, bool)}


def small_letters(columns: Columns) -> Columns:
    """Names in small letters."""
    return {n.lower(): v for n, v in columns.items()}


@pytest.mark.parametrize(
    "change", [single, double, small, varying, one_row, many_rows, more_columns, small_letters]
)
@pytest.mark.parametrize(("scope", "typeid", "extname"), TABLES)
def test_types_and_shapes(usual, said, scope, typeid, extname, change: Callable[[Columns], Columns]) -> None:
    file = usual.constituent(scope, typeid)
    made = changed(file, extname, change(dict(file.contents(extname))), in_primary=True)
    # The text of a region, which no result needs, is repeated in each row.
    assert outcome(made, extname, file, said) in ("same", "filled" if change is many_rows else "same")
    assert made.recognised[extname].how == "exact"


@pytest.mark.parametrize(("scope", "typeid"), sorted({t[:2] for t in TABLES}))
def test_missing_tables(usual, said, scope, typeid) -> None:
    """Each table that is not there, is empty of columns or an image: its fallback, or refused by name."""
    file = usual.constituent(scope, typeid)
    for _, _, extname in [t for t in TABLES if t[:2] == (scope, typeid)]:
        reading = reading_of(scope, typeid, extname)
        tables = {n: file.contents(n) for n in file.extensions if layout_of(scope, typeid).get(n)}
        tables.pop(extname, None)
        made = MadeConstituent(scope, typeid, tables)
        said.fallbacks.clear()
        if reading.substitute is None:
            with pytest.raises(
                UnknownLayout, match=rf"{scope}_{typeid}_0001.CCF: no extension {extname}; it has"
            ):
                made.table(extname)
            continue
        assert made.table(extname).n_rows >= 0
        codes = [reading.substitute.code] if reading.substitute.code else []
        assert list(said.fallbacks) == [f"{made.path.name}[{extname}]: {code}" for code in codes]


# --- units, codes, keywords ------------------------------------------------------------------------


def times(factor: float, *names: str) -> Callable[[Columns], Columns]:
    return lambda columns: {n: v * factor if n in names else v for n, v in columns.items()}


def plus(number: float, *names: str) -> Callable[[Columns], Columns]:
    return lambda columns: {n: v + number if n in names else v for n, v in columns.items()}


def numbered_types(columns: Columns) -> Columns:
    """The codes of the calibration layer for letters, numbers for switches."""
    codes = {"T": 10, "H": 11, "E": 12, "D": 13, "P": 14, "B": 15, "U": 16}
    kinds = np.array([codes[str(letter).strip()] for letter in columns["TYPE"]])
    return columns | {"TYPE": kinds, "UPLINKED": columns["UPLINKED"].astype(int)}


def written_switches(columns: Columns) -> Columns:
    return columns | {"UPLINKED": np.where(columns["UPLINKED"], "Y", "N")}


@pytest.mark.parametrize(
    ("name", "extname", "change"),
    [
        ("EMOS1_LINCOORD", "LINCOORD", times(180 / np.pi, "PHI0", "THETA0", "PSI0")),
        ("XMM_BORESIGHT", "EPN_ANGVAR", times(1 / 3600, "DELTA_PHI", "DELTA_THETA", "DELTA_PSI")),
        ("EMOS1_TIMECORR", "FRAMETIME", times(1e3, "FRAME_TIME", "DELAY")),
        ("EPN_TIMECORR", "FRAMETIME", times(1e-3, "FRAME_TIME", "FIFO_DEAD_TIME")),
        ("EPN_TIMECORR", "TIMECORR", times(1e3, "TIME_CORR")),
        ("EPN_CTI", "CTI_EXTENDED", plus(1, "NODE_ID")),
        ("EPN_CTI", "LONG_TERM_CTI", times(1e3, "ENERGY")),
        ("EPN_CTI", "LTC_TIMES", plus(2000, "TIME")),
        ("EPN_CTI", "COMB_EVT_OFFSET", times(1e3, "ENERGY")),
        ("EPN_BADPIX", "BADPIX", numbered_types),
        ("EMOS1_BADPIX", "BADPIX", written_switches),
        ("RGS1_BADPIX", "BADPIX1", numbered_types),
    ],
)
def test_other_units_and_codes(usual, said, name, extname, change) -> None:
    file = usual.constituent(*name.split("_"))
    made = changed(file, extname, change(dict(file.contents(extname))))
    assert outcome(made, extname, file, said) == "same"


@pytest.mark.parametrize(
    ("name", "extname", "change", "expected"),
    [
        ("EPN_LINCOORD", "LINCOORD", times(1e3, "X0"), "refused"),
        ("EPN_MODEPARAM", "MODEPARAM", times(0, "WINDOWDX"), "refused"),
        ("EPN_TIMECORR", "FRAMETIME", times(1e-6, "FRAME_TIME"), "refused"),
        ("EPN_TIMECORR", "TIMECORR", times(1e5, "TIME_CORR"), "noTimeConstant"),
        ("EMOS1_TIMECORR", "FRAMETIME", plus(4.0, "DELAY"), "noTimeCorrection"),
        ("EPN_CTI", "LTC_TIMES", times(1e5, "TIME"), "noAgeing"),
        ("EPN_CTI", "COMB_EVT_OFFSET", times(-1.0, "ENERGY"), "noPatternShifts"),
        ("XMM_BORESIGHT", "EPN_ANGVAR", times(1e-6, "TIME"), "noBoresightDrift"),
        ("EMOS1_BADPIX", "BADPIX", times(-1, "YEXTENT"), "noBadPixels"),
        ("RGS1_QUANTUMEF", "RGA_OBSCURATE", times(0.5, "OBSCURATE"), "noGratingShare"),
    ],
)
def test_impossible_numbers(usual, said, name, extname, change, expected) -> None:
    file = usual.constituent(*name.split("_"))
    made = changed(file, extname, change(dict(file.contents(extname))))
    assert outcome(made, extname, file, said) == expected


@pytest.mark.parametrize(("scope", "typeid", "extname"), [t for t in TABLES if reading_of(*t).possible])
def test_numbers_just_beyond_their_limits(usual, scope, typeid, extname) -> None:
    """The first number beyond counts as damage, the limit itself does not."""
    reading = reading_of(scope, typeid, extname)
    table = dict(usual.constituent(scope, typeid).table(extname))
    for name, limits in reading.possible.items():
        step = 1 if table[name].dtype.kind in "iu" else 1e-6
        for limit, outwards in zip(limits, (-step, step), strict=True):
            if np.isfinite(limit):
                values = np.array(table[name])
                values.flat[-1] = limit
                check_possible("FILE[TABLE]", reading, table | {name: values})
                values.flat[-1] = limit + outwards
                with pytest.raises(UnknownLayout, match=rf"FILE\[TABLE\], column {name}: .*, expected "):
                    check_possible("FILE[TABLE]", reading, table | {name: values})


def test_keywords_that_are_not_there(usual, said) -> None:
    for (scope, typeid), tables in READINGS.items():
        for extname, reading in tables.items():
            made = MadeConstituent(SCOPES.get(scope, scope), typeid, {extname: {"A": [1]}})
            for name, fallback in reading.keywords.items():
                said.fallbacks.clear()
                assert made.keyword(name, extname) == fallback.value
                notes = [f"{made.path.name}[{extname}]: {fallback.code}"] if fallback.code else []
                assert list(said.fallbacks) == notes
            with pytest.raises(UnknownLayout, match=rf"{typeid}_0001.CCF\[.*\]: no keyword NOTHING"):
                made.keyword("NOTHING", extname)


def test_keywords_under_another_name() -> None:
    headers = {"PRIMARY": {"E_RAND_MIN": -0.5}, "OFFSET_GAIN": {"RAND_MAX": 0.5}}
    made = MadeConstituent("RGS1", "ADUCONV", {"OFFSET_GAIN": {"CCD_ID": [1]}}, headers)
    assert made.keyword("RAND_MIN", "OFFSET_GAIN") == -0.5
    assert made.keyword("RAND_MAX", "OFFSET_GAIN") == 0.5


def test_numbers_by_name_that_are_not_there(synthetic_ccf: Path, said) -> None:
    cal = Calibration.for_observation([synthetic_ccf], "2017-11-01T10:42:37")
    file = cal.constituent("XMM", "MISCDATA")
    columns = file.contents("MISCDATA")
    items = reading_of("XMM", "MISCDATA", "MISCDATA").items
    kept = ~np.isin(np.char.strip(columns["PARM_ID"]), list(items))
    made = changed(file, "MISCDATA", {name: v[kept] for name, v in columns.items()})
    cal._constituents["XMM", "MISCDATA"] = made
    assert [cal.misc("EMOS1", name) for name in items] == [f.value for f in items.values()]
    codes = ("noCosmicRaySize", "noEnergyLimits", "noOnBoardVersion", "noSurroundings")
    assert list(said.fallbacks) == [f"{made.path.name}[MISCDATA]: {code}" for code in codes]
    assert [said.err.getvalue().count(f"({code})") for code in codes] == [1, 1, 1, 1]
    assert cal.misc("EPN", "OPTICS_CCD") == 4
    inspected = finding(made, "MISCDATA")
    assert inspected.how == "fallback"
    assert all(code in inspected.detail for code in codes)
    with pytest.raises(UnknownLayout, match="XMM_MISCDATA_0001.CCF: no OPTICS_Z for EPN"):
        cal.misc("EPN", "OPTICS_Z")


# --- files -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rewritten(synthetic_ccf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic set with E for D, J for I, arrays of varying length, keywords in the primary header."""
    folder = tmp_path_factory.mktemp("rewritten")
    for path in synthetic_ccf.glob("*.CCF"):
        with fits.open(path) as hdus:
            made = [hdus[0].copy()]
            for hdu in hdus[1:]:
                if hdu.is_image:
                    made.append(hdu.copy())
                    continue
                made.append(fits.BinTableHDU.from_columns([_rewritten(c, hdu.data) for c in hdu.columns]))
                made[-1].header["EXTNAME"] = hdu.header["EXTNAME"]
                for card in hdu.header.cards:
                    if not fits.Card.normalize_keyword(card.keyword).startswith(STRUCTURE):
                        made[0].header[card.keyword] = (card.value, card.comment)
            fits.HDUList(made).writeto(folder / path.name)
    return folder


STRUCTURE = ("XTENSION", "BITPIX", "NAXIS", "PCOUNT", "GCOUNT", "T", "EXTNAME", "SYNTHETI", "COMMENT")


def _rewritten(column: fits.Column, data: Any) -> fits.Column:
    values, form = np.array(data[column.name]), str(column.format)
    letter = {"D": "E", "I": "J"}.get(form[-1], form[-1])
    if values.ndim > 1 and letter in "EJ":
        rows = np.empty(len(values), object)
        rows[:] = [np.ravel(row) for row in values]
        return fits.Column(column.name, f"P{letter}()", array=rows)
    return fits.Column(column.name, form[:-1] + letter, array=values)


def test_files_with_other_types(usual, rewritten: Path, said) -> None:
    cal = Calibration.for_observation([rewritten], "2017-11-01T10:42:37")
    for scope, typeid, extname in TABLES:
        file = cal.constituent(scope, typeid)
        assert outcome(file, extname, usual.constituent(scope, typeid), said) == "same", (typeid, extname)
        assert file.recognised[extname].how == "exact"


def test_patterns_in_an_image(usual, synthetic_ccf: Path, tmp_path: Path, said) -> None:
    file = usual.constituent("EMOS1", "PATTERNLIB")
    expected = file.table("PrimeFullWindow")
    image = expected["PATTERN"].reshape(-1, 5, 5).astype(np.uint8)
    for path in synthetic_ccf.glob("*.CCF"):
        if path.name != file.path.name:
            (tmp_path / path.name).symlink_to(path)
    with fits.open(file.path) as hdus:
        header = {key: hdus["PrimeFullWindow"].header[key] for key in ("EDUTHR_I", "EDUTHR_O")}
        made = fits.ImageHDU(image, fits.Header(header))
        made.header["EXTNAME"] = "PrimeFullWindow"
        fits.HDUList([hdus[0], made]).writeto(tmp_path / file.path.name)
    other = Calibration.for_observation([tmp_path], "2017-11-01T10:42:37").constituent("EMOS1", "PATTERNLIB")
    found = other.table("PrimeFullWindow")
    np.testing.assert_array_equal(found["PATTERN"], expected["PATTERN"].reshape(len(image), 25))
    np.testing.assert_array_equal(found["PATTERN_ID"], expected["PATTERN_ID"])
    assert list(said.fallbacks) == [f"{other.path.name}[PrimeFullWindow]: noPatternNumbers"]


def test_inspecting_files_with_other_types(rewritten: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    done = CliRunner().invoke(app, ["calibration", "inspect", str(rewritten), "--report", str(report)])
    assert done.exit_code == 0, done.output
    last = done.output.splitlines()[-2]
    assert " exact" in last
    assert not any(word in last for word in ("fallback", "refused", "content", "no constituent"))
    assert max(map(len, report.read_text().splitlines())) < 400
