"""A damaged ODF is processed or refused with a message that leads to the file; nothing else happens."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from astropy.io import fits
from damaged_odf import Damage, complaints, run, set_card, small_observation

#: The first cases of ``benchmarks/fuzz.py``, and one whose damage is in a keyword that no task needs.
CASES = (*range(80), 815)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    small_observation(folder)
    return folder


@pytest.fixture(scope="module")
def sound(base: Path):
    _, outcome = run(base, base / "sound", None)
    assert set(outcome.tasks.values()) == {"done"}, outcome
    assert len(outcome.products) == 2
    return outcome


def test_damage_is_told(base: Path, sound, tmp_path: Path):
    failures = []
    for case in CASES:
        folder = tmp_path / str(case)
        what, outcome = run(base, folder, case)
        failures += [f"case {case}, {what}: {text}" for text in complaints(what, outcome, sound)]
        shutil.rmtree(folder)
    assert not failures, "\n\n".join(failures)


@pytest.mark.parametrize("name", ["M1S00110IME", "PNS00301IME"])
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("FRMTIME", "'X'"),
        ("FRMTIME", "-1.5E30"),
        ("DATE-OBS", "7"),
        ("DATE-OBS", "'2016-13-45T99:00:00'"),
        ("DATE-END", "''"),
        ("CCDID", "'X'"),
        ("CCDID", "9"),
        ("WINDOWDX", "T"),
        ("WINDOWY0", "70000"),
        ("NAXIS2", "2147483647"),
        ("NAXIS2", "3"),
        ("BITPIX", "64"),
        ("TTYPE2", "7"),
        ("TFORM2", "'X'"),
    ],
)
def test_impossible_keywords(base: Path, sound, tmp_path: Path, name, keyword, value):
    try:
        what, outcome = run(base, tmp_path / "case", lambda odf: set_card(odf, name, keyword, value))
    except ValueError:
        pytest.skip(f"{name} has no {keyword}")
    assert complaints(what, outcome, sound) == []


def test_image_of_discarded_lines_with_wide_words(base: Path, sound, tmp_path: Path):
    what, outcome = run(base, tmp_path / "case", lambda odf: set_card(odf, "PNS00304DLI", "BITPIX", "64"))
    assert complaints(what, outcome, sound) == []
    assert "PNS00304DLI.FIT: discarded lines cannot be read" in outcome.warnings


@pytest.mark.parametrize("name", ["M1S00120IME", "PNS00301IME", "M1S00100AUX", "PNS00300AUX"])
@pytest.mark.parametrize(("keyword", "value"), [("OBS_ID", "'0999900101'"), ("INSTRUME", "'EMOS2'")])
def test_files_of_another_observation_or_camera(base: Path, sound, tmp_path: Path, name, keyword, value):
    what, outcome = run(base, tmp_path / "case", lambda odf: set_card(odf, name, keyword, value))
    assert complaints(what, outcome, sound) == []
    told = "\n".join([outcome.warnings, *outcome.messages.values()])
    assert f"{what.files[0]}: its header says {keyword} {value.strip(chr(39))}, not " in told


@pytest.mark.parametrize("name", ["M1S00100AUX", "PNS00300AUX"])
def test_frames_that_do_not_rise(base: Path, sound, tmp_path: Path, name):
    def same_frame(odf: Path) -> Damage:
        path = next(p for p in odf.iterdir() if name in p.name)
        with fits.open(path) as hdus:
            hdus[1].data["FRAME"] = 7
            copies = fits.HDUList([hdu.copy() for hdu in hdus])
        path.unlink()
        copies.writeto(path)
        return Damage("rows", (path.name,))

    what, outcome = run(base, tmp_path / "case", same_frame)
    assert complaints(what, outcome, sound) == []
    assert what.files[0].removesuffix(".FIT") in "\n".join([outcome.warnings, *outcome.messages.values()])
