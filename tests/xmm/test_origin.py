"""Real and made-up files are kept apart, and products of synthetic calibration say so."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from astropy.io import fits

from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.ccf.index import list_files, read_entry, read_index, write_index
from daxa.xmm.errors import TaskError
from daxa.xmm.formats.summary import read_ascii_summary
from daxa.xmm.odf.ingest import ingest
from daxa.xmm.odf.odf import Odf
from daxa.xmm.origin import KEYWORD, SWITCH
from daxa.xmm.task import run_task

DATE = "2017-11-01T10:42:37"
REAL_FILES = (
    "the calibration is synthetic .*, but the raw files in .* are real|the raw files in .* are real, but "
)
SIMULATED_FILES = REAL_FILES.replace("synthetic", "REAL").replace("real", "simulated").replace("REAL", "real")


def _run(task: str, folder: Path, env: dict[str, str], **arguments: object) -> None:
    folder.mkdir(exist_ok=True)
    run_task(task, arguments, cwd=folder, env=env, out=io.StringIO(), err=io.StringIO())


@pytest.fixture(scope="module")
def simulated_odf(simulated) -> Path:
    return simulated.odf(simulated.obs_ids[0])


@pytest.fixture(scope="module")
def real_odf(simulated_odf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw files that do not say that they are simulated."""
    folder = tmp_path_factory.mktemp("real") / "odf"
    shutil.copytree(simulated_odf, folder)
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes().replace(b"daxa.simulate", b"SOC          "))
    return folder


@pytest.fixture(scope="module")
def synthetic(simulated, simulated_odf: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment with the synthetic set."""
    folder = tmp_path_factory.mktemp("synthetic")
    _run("cifbuild", folder, {"SAS_ODF": str(simulated_odf), "SAS_CCFPATH": str(simulated.ccf)})
    return {"SAS_CCF": str(folder / "ccf.cif"), "SAS_CCFPATH": str(simulated.ccf)}


@pytest.fixture(scope="module")
def real(synthetic: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment with an index that names real files."""
    folder = tmp_path_factory.mktemp("real_calibration")
    index = read_index(synthetic["SAS_CCF"])
    index.entries = [replace(entry, creator="ccfextseq") for entry in index.entries]
    write_index(folder / "ccf.cif", index)
    return {**synthetic, "SAS_CCF": str(folder / "ccf.cif")}


def test_where_raw_files_come_from(simulated_odf: Path, real_odf: Path, tmp_path: Path) -> None:
    assert Odf.open(simulated_odf).simulated
    assert not Odf.open(real_odf).simulated
    for source, said in ((simulated_odf, True), (real_odf, False)):
        summary = tmp_path / str(said)
        summary.mkdir()
        shutil.copy(next(source.glob("*SUM.ASC")), summary)
        assert Odf.open(summary).simulated is said
    # Real raw files among made-up ones (an attitude that was not at hand) are a real observation.
    mixed = tmp_path / "mixed"
    shutil.copytree(simulated_odf, mixed)
    name = next(real_odf.glob("*_PN*IME.FIT")).name
    shutil.copy(real_odf / name, mixed / name)
    for other in mixed.glob("*_PN*"):
        if other.name < name:
            other.unlink()
    assert not Odf.open(mixed).simulated


def test_an_index_is_not_built(simulated, real_odf: Path, tmp_path: Path) -> None:
    env = {"SAS_ODF": str(real_odf), "SAS_CCFPATH": str(simulated.ccf)}
    for arguments in ({}, {"withobservationdate": True, "observationdate": DATE}):
        with pytest.raises(TaskError, match=REAL_FILES) as caught:
            _run("cifbuild", tmp_path, env, **arguments)
        assert caught.value.code == "syntheticCalibration"
        assert SWITCH in caught.value.message
        assert "--allow-synthetic" in caught.value.message
    assert not (tmp_path / "ccf.cif").exists()
    _run("cifbuild", tmp_path, {**env, SWITCH: "allow"})
    assert fits.getval(tmp_path / "ccf.cif", KEYWORD) is True


def test_an_index_that_is_extended(simulated, real, simulated_odf: Path, real_odf: Path, tmp_path) -> None:
    """One synthetic file more makes a set synthetic."""
    index = read_index(real["SAS_CCF"])
    index.entries = index.entries[1:]
    write_index(tmp_path / "ccf.cif", index)
    env = {"SAS_ODF": str(real_odf), "SAS_CCFPATH": str(simulated.ccf)}
    with pytest.raises(TaskError, match=REAL_FILES):
        _run("cifbuild", tmp_path, env, append=True)


@pytest.mark.parametrize(
    ("task", "arguments", "parameter"),
    [
        ("emchain", {}, "odf"),
        ("epchain", {}, "odf"),
        ("odfingest", {}, "odfdir"),
        ("hkgtigen", {"instrument": "epn", "gtiset": "hk.ds"}, None),
    ],
)
def test_tasks(task, arguments, parameter, synthetic, real, simulated_odf, real_odf, tmp_path) -> None:
    """By the parameter that names the ODF as by SAS_ODF."""
    cases = ((synthetic, real_odf, REAL_FILES), (real, simulated_odf, SIMULATED_FILES))
    for env, odf, message in cases:
        with pytest.raises(TaskError, match=message):
            _run(task, tmp_path, {**env, "SAS_ODF": str(odf)}, **arguments)
        if parameter:
            with pytest.raises(TaskError, match=message):
                _run(task, tmp_path, env, **arguments, **{parameter: str(odf)})


def test_the_files_of_a_parameter_count_not_those_of_the_environment(
    synthetic, simulated_odf: Path, real_odf: Path, tmp_path: Path
) -> None:
    env = {**synthetic, "SAS_ODF": str(real_odf)}
    _run("odfingest", tmp_path, env, odfdir=str(simulated_odf))
    assert list(tmp_path.glob("*SUM.SAS"))


def test_a_summary_alone(synthetic, real_odf: Path, tmp_path: Path) -> None:
    shutil.copy(next(real_odf.glob("*SUM.ASC")), tmp_path)
    with pytest.raises(TaskError, match=REAL_FILES):
        _run("odfingest", tmp_path, synthetic, odfdir=str(tmp_path))


def test_from_python(simulated, simulated_odf: Path, real_odf: Path, monkeypatch) -> None:
    """Without a task around, and without variables that name files."""
    cal = Calibration.for_observation([simulated.ccf], DATE)
    assert cal.synthetic.endswith(".CCF")
    cal.refuse(Odf.open(simulated_odf))
    odf = Odf.open(real_odf)
    summary = read_ascii_summary(odf.ascii_summary.path)
    with pytest.raises(TaskError, match=REAL_FILES):
        cal.refuse(odf)
    with pytest.raises(TaskError, match=REAL_FILES):
        ingest(odf, summary, calibration=cal)
    monkeypatch.setenv(SWITCH, "allow")
    cal.refuse(odf)
    assert ingest(odf, summary, calibration=cal).obs_id == odf.obs_id


def test_a_mixed_set_counts_as_synthetic(
    simulated, real_odf: Path, simulated_odf: Path, real, tmp_path
) -> None:
    first, *others = (read_entry(path) for path in list_files([simulated.ccf])[:5])
    index = read_index(real["SAS_CCF"])
    index.entries = [first, *(replace(entry, creator="ccfextseq") for entry in others)]
    mixed = Calibration(index, [simulated.ccf])
    assert mixed.synthetic == first.name
    with pytest.raises(TaskError, match=rf"synthetic \({first.name}\)"):
        mixed.refuse(Odf.open(real_odf))
    mixed.refuse(Odf.open(simulated_odf))
    index.entries = index.entries[1:]
    Calibration(index, [simulated.ccf]).refuse(Odf.open(real_odf))


def test_what_was_allowed_once_is_refused_without_the_switch(synthetic, real_odf, tmp_path) -> None:
    env = {**synthetic, "SAS_ODF": str(real_odf)}
    for _ in range(2):
        with pytest.raises(TaskError, match=REAL_FILES):
            Calibration.from_environment(env, tmp_path)
        assert Calibration.from_environment({**env, SWITCH: "allow"}, tmp_path)


def test_lists_of_the_other_kind(synthetic, real, reduced, tmp_path: Path) -> None:
    """A task that needs no raw files tells by the list that it reads."""
    events = reduced.events("PN")
    plain = tmp_path / "plain.fits"
    with fits.open(events) as hdus:
        assert hdus[0].header[KEYWORD] is True
        del hdus[0].header[KEYWORD]
        hdus.writeto(plain)
    arguments = {"imageset": reduced.image("PN"), "expimageset": "map.fits", "attitudeset": "none"}
    for env, name, message in (
        (synthetic, plain, "plain.fits was made with real calibration|but plain.fits was made with real"),
        (real, events, "the calibration is real .*, but .* was made with synthetic calibration"),
    ):
        with pytest.raises(TaskError, match=message):
            _run("eexpmap", tmp_path, env, eventset=name, **arguments)
    with pytest.raises(TaskError, match=r"plain\.fits was made with real calibration"):
        _run("merge", tmp_path, {}, set1=events, set2=plain, outset="both.fits")


def test_every_product_says_so(reduced) -> None:
    """Lists, images, maps, good times, attitude: all FITS files of an archive."""
    products = [p for p in reduced.archive.rglob("*") if p.suffix.lower() in (".fits", ".fit", ".cif", ".ds")]
    assert len(products) > 20
    unmarked = [p.name for p in products if fits.getheader(p).get(KEYWORD) is not True]
    assert not unmarked


def test_selections_carry_the_card_once(reduced, tmp_path: Path) -> None:
    table = f"{reduced.events('PN')}:EVENTS"
    _run("evselect", tmp_path, {}, table=table, filteredset="some.fits", expression="PI>500")
    binned = {"xcolumn": "X", "ycolumn": "Y", "ximagebinsize": 400, "yimagebinsize": 400}
    _run(
        "evselect",
        tmp_path,
        {},
        table="some.fits:EVENTS",
        imageset="image.fits",
        imagebinning="binSize",
        **binned,
    )
    for name in ("some.fits", "image.fits"):
        header = fits.getheader(tmp_path / name)
        assert [c.value for c in header.cards if c.keyword == KEYWORD] == [True]
        assert "synthetic" in header.comments[KEYWORD]


def test_products_of_real_calibration_do_not(real, real_odf: Path, tmp_path: Path) -> None:
    env = {**real, "SAS_ODF": str(real_odf)}
    _run("atthkgen", tmp_path, env, atthkset="att.ds")
    _run("hkgtigen", tmp_path, env, instrument="epn", gtiset="hk.ds")
    for name in ("att.ds", "hk.ds"):
        assert KEYWORD not in fits.getheader(tmp_path / name)
