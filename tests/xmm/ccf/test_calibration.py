"""Access to constituents."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.ccf import DamagedConstituent, MissingConstituent, UnknownLayout
from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.ccf.index import md5sum
from daxa.xmm.errors import TaskError
from daxa.xmm.formats.ccf import layout_of
from daxa.xmm.task import run_task

DATE = {"withobservationdate": True, "observationdate": "2017-11-01T10:42:37"}


@pytest.fixture
def mirror(synthetic_ccf: Path, tmp_path: Path) -> Path:
    """A copy of the synthetic set to spoil."""
    return Path(shutil.copytree(synthetic_ccf, tmp_path / "ccf"))


def _index(cwd: Path, mirror: Path, **arguments: object) -> None:
    env = {"SAS_CCFPATH": str(mirror)}
    run_task("cifbuild", {**DATE, **arguments}, cwd=cwd, env=env, out=io.StringIO(), err=io.StringIO())


def test_every_table_of_the_synthetic_set(synthetic_ccf: Path) -> None:
    cal = Calibration.for_observation([synthetic_ccf], "2017-11-01T10:42:37")
    seen = 0
    for entry in cal.index.entries:
        constituent = cal.constituent(entry.scope, entry.typeid)
        for extname, schema in layout_of(entry.scope, entry.typeid).items():
            if not schema:
                assert constituent.image(extname).shape == (200, 64)
                continue
            table = constituent.table(extname)
            for column in schema:
                values = table[column.name]
                assert len(values) == table.n_rows
                assert values.dtype.kind == "U" or values.dtype.isnative
                seen += 1
    assert seen > 300


def test_environment(mirror: Path, tmp_path: Path) -> None:
    _index(tmp_path, mirror)
    env = {"SAS_CCF": "ccf.cif", "SAS_CCFPATH": str(mirror)}
    cal = Calibration.from_environment(env, tmp_path)
    assert cal is Calibration.from_environment(dict(env), tmp_path)
    assert cal.constituent("epn", "lincoord").path == mirror / "EPN_LINCOORD_0009.CCF"
    # A folder means its ccf.cif; without SAS_CCFPATH it is searched as well.
    shutil.copy(tmp_path / "ccf.cif", mirror)
    cal = Calibration.from_environment({"SAS_CCF": str(mirror)}, tmp_path)
    assert cal.constituent("XMM", "MISCDATA").path.parent == mirror
    for wrong, message in (({}, "SAS_CCF is not set"), ({"SAS_CCF": "x.cif"}, "x.cif does not exist")):
        with pytest.raises(TaskError, match=message):
            Calibration.from_environment(wrong, tmp_path)


def test_absolute_names_need_no_search_path(mirror: Path, tmp_path: Path) -> None:
    _index(tmp_path, mirror, fullpath=True)
    cal = Calibration.from_environment({"SAS_CCF": "ccf.cif", "SAS_CCFPATH": "/nowhere"}, tmp_path)
    assert cal.constituent("EPN", "CTI").keyword("TYPEID") == "CTI"


def test_a_new_index_is_seen(mirror: Path, tmp_path: Path) -> None:
    env = {"SAS_CCF": "ccf.cif", "SAS_CCFPATH": str(mirror)}
    _index(tmp_path, mirror)
    first = Calibration.from_environment(env, tmp_path)
    _index(tmp_path, mirror, observationdate="2001-01-01")
    second = Calibration.from_environment(env, tmp_path)
    assert first is not second
    assert second.index.header["OBSVDATE"] == "2001-01-01T00:00:00"


@pytest.mark.parametrize("separator", [" ", ",", ":"])
def test_replacements(mirror: Path, tmp_path: Path, separator: str) -> None:
    _index(tmp_path, mirror)
    names = []
    for name in ("EPN_LINCOORD_0009.CCF", "XMM_MISCDATA_0022.CCF"):
        shutil.copy(mirror / name, tmp_path / f"mine_{name}")
        names.append(f"mine_{name}")
    env = {"SAS_CCF": "ccf.cif", "SAS_CCFPATH": str(mirror), "SAS_CCFFILES": separator.join(names)}
    cal = Calibration.from_environment(env, tmp_path)
    assert cal.constituent("EPN", "LINCOORD").path == tmp_path / names[0]
    assert cal.constituent("EPN", "CTI").path.parent == mirror
    table = cal.calindex_hdu(["EPN"]).data
    assert set(np.char.strip(table["SCOPE"])) == {"EPN"}
    row = next(r for r in table if r["TYPEID"].strip() == "LINCOORD")
    assert row["FNAME"].strip() == names[0]
    assert row["MD5"].strip() == md5sum(tmp_path / names[0])
    with pytest.raises(MissingConstituent, match="SAS_CCFFILES.*nothing.CCF"):
        Calibration.from_environment({**env, "SAS_CCFFILES": "nothing.CCF"}, tmp_path)


def test_missing(mirror: Path, tmp_path: Path) -> None:
    _index(tmp_path, mirror)
    (mirror / "EPN_CTI_0056.CCF").unlink()
    cal = Calibration.from_environment({"SAS_CCF": "ccf.cif", "SAS_CCFPATH": str(mirror)}, tmp_path)
    with pytest.raises(MissingConstituent, match=r"EPN_CTI_0056.CCF.*is in none of .*ccf"):
        cal.constituent("EPN", "CTI")
    with pytest.raises(MissingConstituent, match=r"no EPN_EFFICIENCY valid for 2017-11-01"):
        cal.constituent("EPN", "EFFICIENCY")
    assert cal.has("EPN", "LINCOORD")
    assert not cal.has("EPN", "EFFICIENCY")
    with pytest.raises(MissingConstituent, match="no calibration constituents"):
        Calibration.for_observation([tmp_path / "empty"], "2017-11-01")


def test_cut_short(mirror: Path, tmp_path: Path) -> None:
    _index(tmp_path, mirror)
    path = mirror / "EPN_LINCOORD_0009.CCF"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 2880])
    cal = Calibration.from_environment({"SAS_CCF": "ccf.cif", "SAS_CCFPATH": str(mirror)}, tmp_path)
    with pytest.raises(DamagedConstituent, match=r"EPN_LINCOORD_0009.CCF: \d+ bytes, but \d+"):
        cal.constituent("EPN", "LINCOORD")
    # The index not knowing the size, the file's own headers tell.
    with fits.open(tmp_path / "ccf.cif") as hdus:
        hdus["CALINDEX"].data["FSIZE"] = 0
        hdus.writeto(tmp_path / "nosize.cif")
    cal = Calibration.from_environment({"SAS_CCF": "nosize.cif", "SAS_CCFPATH": str(mirror)}, tmp_path)
    with pytest.raises(DamagedConstituent, match="EPN_LINCOORD_0009.CCF"):
        cal.constituent("EPN", "LINCOORD").table("LINCOORD")


def test_changed_content_of_the_same_size(mirror: Path, tmp_path: Path) -> None:
    _index(tmp_path, mirror)
    path = mirror / "EPN_LINCOORD_0009.CCF"
    data = bytearray(path.read_bytes())
    data[-5000] ^= 1
    path.write_bytes(data)
    env = {"SAS_CCF": "ccf.cif", "SAS_CCFPATH": str(mirror)}
    with pytest.raises(DamagedConstituent, match=r"EPN_LINCOORD_0009.CCF: the checksum is not that of"):
        Calibration.from_environment(env, tmp_path).constituent("EPN", "LINCOORD")
    # An index without checksums asks for none.
    with fits.open(tmp_path / "ccf.cif") as hdus:
        hdus["CALINDEX"].data["MD5"] = ""
        hdus.writeto(tmp_path / "nomd5.cif")
    cal = Calibration.from_environment({**env, "SAS_CCF": "nomd5.cif"}, tmp_path)
    assert cal.constituent("EPN", "LINCOORD").path == path


def test_future_constituents_are_not_used(mirror: Path, tmp_path: Path) -> None:
    # Valid from 2030, and a copy valid now but submitted after the analysis.
    future = mirror / "EMOS1_CTI_0120.CCF"
    assert fits.getval(future, "VALDATE") > "2029"
    copy = mirror / "EMOS1_CTI_0121.CCF"
    shutil.copy(mirror / "EMOS1_CTI_0095.CCF", copy)
    with fits.open(copy, mode="update") as hdus:
        hdus[0].header["ISSUE"], hdus[0].header["SUBDATE"] = 121, "2025-01-01T00:00:00"
    at = Calibration.for_observation
    assert at([mirror], "2017-11-01", "2024-12-31").constituent("EMOS1", "CTI").issue == 95
    assert at([mirror], "2017-11-01", "2025-01-02").constituent("EMOS1", "CTI").issue == 121
    future.unlink()
    for path in mirror.glob("EMOS1_CTI_*"):
        with fits.open(path, mode="update") as hdus:
            hdus[0].header["VALDATE"] = "2030-01-01T00:00:00"
    with pytest.raises(MissingConstituent, match="no EMOS1_CTI valid for 2017-11-01"):
        at([mirror], "2017-11-01").constituent("EMOS1", "CTI")


def _rewrite(path: Path, change) -> None:
    with fits.open(path) as hdus:
        copies = fits.HDUList([h.copy() for h in hdus])
    change(copies)
    copies.writeto(path, overwrite=True)


def _drop_column(hdus) -> None:
    hdus["LINCOORD"] = fits.BinTableHDU.from_columns(
        [c for c in hdus["LINCOORD"].columns if c.name != "PHI0"], name="LINCOORD", header=None
    )


def _rename_extension(hdus) -> None:
    hdus["LINCOORD"].name = "LINEAR"


def _text_column(hdus) -> None:
    columns = [c for c in hdus["LINCOORD"].columns if c.name != "X0"]
    columns.append(fits.Column("X0", "8A", array=["somewhere"] * len(hdus["LINCOORD"].data)))
    hdus["LINCOORD"] = fits.BinTableHDU.from_columns(columns, name="LINCOORD")


def _vector_column(hdus) -> None:
    n = len(hdus["LINCOORD"].data)
    columns = [c for c in hdus["LINCOORD"].columns if c.name != "X0"]
    columns.append(fits.Column("X0", "2D", array=np.zeros((n, 2))))
    hdus["LINCOORD"] = fits.BinTableHDU.from_columns(columns, name="LINCOORD")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_drop_column, r"EPN_LINCOORD_0009.CCF\[LINCOORD\]: no column PHI0"),
        (_rename_extension, r"EPN_LINCOORD_0009.CCF: no extension LINCOORD; it has LINEAR"),
        (_text_column, r"EPN_LINCOORD_0009.CCF\[LINCOORD\], column X0: expected numbers"),
        (_vector_column, r"EPN_LINCOORD_0009.CCF\[LINCOORD\], column X0: 2 elements a row, expected 1"),
    ],
)
def test_other_layouts_are_refused_by_name(mirror: Path, change, message: str) -> None:
    _rewrite(mirror / "EPN_LINCOORD_0009.CCF", change)
    cal = Calibration.for_observation([mirror], "2017-11-01")
    with pytest.raises(UnknownLayout, match=message):
        cal.constituent("EPN", "LINCOORD").table("LINCOORD")


def test_unknown_names(synthetic_ccf: Path) -> None:
    cal = Calibration.for_observation([synthetic_ccf], "2017-11-01")
    constituent = cal.constituent("EPN", "LINCOORD")
    with pytest.raises(UnknownLayout, match="layout of extension PRIMARY"):
        constituent.table("PRIMARY")
    with pytest.raises(UnknownLayout, match=r"\[FOV\]: no keyword NOTHING"):
        constituent.keyword("NOTHING", "FOV")
    assert constituent.keyword("SCOPE", "FOV") == "EPN"
    with pytest.raises(UnknownLayout, match="no column Q"):
        constituent.table("LINCOORD")["Q"]
    with pytest.raises(UnknownLayout, match="XMM_MISCDATA_0022.CCF: no NOTHING for EPN"):
        cal.misc("EPN", "NOTHING")
    assert cal.misc("EPN", "OPTICS_CCD") == 4
    with pytest.raises(ValueError, match="read-only"):
        constituent.table("LINCOORD")["X0"][0] = 1


def test_numbers_as_text(mirror: Path) -> None:
    def change(hdus) -> None:
        data = hdus["MISCDATA"].data
        columns = [c for c in hdus["MISCDATA"].columns if c.name != "PARM_VAL"]
        columns.append(fits.Column("PARM_VAL", "16A", array=[str(v) for v in data["PARM_VAL"]]))
        hdus["MISCDATA"] = fits.BinTableHDU.from_columns(columns, name="MISCDATA")

    before = Calibration.for_observation([mirror], "2017-11-01").misc("EPN", "OPTICS_Y")
    _rewrite(mirror / "XMM_MISCDATA_0022.CCF", change)
    assert Calibration.for_observation([mirror], "2017-11-01").misc("EPN", "OPTICS_Y") == before


def _same_row_twice(hdus) -> None:
    rows = hdus["LINCOORD"].data
    hdus["LINCOORD"] = fits.BinTableHDU(np.concatenate([rows, rows[:1]]), hdus["LINCOORD"].header)


def _other_row_of_a_chip(hdus) -> None:
    _same_row_twice(hdus)
    hdus["LINCOORD"].data["X0"][-1] += 0.5


@pytest.mark.parametrize(
    ("change", "codes"), [(_same_row_twice, []), (_other_row_of_a_chip, ["doubleChipPlace"])]
)
def test_of_two_rows_of_a_chip_the_first_counts_and_it_is_told(mirror, change, codes, said) -> None:
    before = Calibration.for_observation([mirror], "2017-11-01")
    expected = before.constituent("EPN", "LINCOORD").table("LINCOORD")
    _rewrite(mirror / "EPN_LINCOORD_0009.CCF", change)
    constituent = Calibration.for_observation([mirror], "2017-11-01").constituent("EPN", "LINCOORD")
    for _ in range(2):
        # The next task that asks hears of it, too.
        said.fallbacks.clear()
        table = constituent.table("LINCOORD")
        for name in ("CCD_ID", "X0", "PHI0"):
            assert np.array_equal(table[name], expected[name])
        assert [text.split(": ")[1] for text in said.fallbacks] == codes
