"""The task specgroup, on spectra made by hand and beside those that SAS has grouped."""

import io
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from made_spectra import write_spectrum

from daxa.xmm.errors import TaskError
from daxa.xmm.task import run_task

REAL = {
    "MOS1_spectrum_grp.fits.gz": 110,
    "MOS2_spectrum_grp.fits.gz": 109,
    "PN_spectrum_grp20.fits.gz": 114,
}


def grouped(folder: Path, **given) -> tuple[np.ndarray, fits.Header]:
    run_task("specgroup", {"groupedset": "g.fits", **given}, cwd=folder, out=io.StringIO(), err=io.StringIO())
    with fits.open(folder / ("s.fits" if given.get("overwrite") else "g.fits")) as hdus:
        return hdus["SPECTRUM"].data.copy(), hdus["SPECTRUM"].header


def limits_of(data: np.ndarray) -> list[tuple[int, int]]:
    """First channel of each group of good channels, and the one after its last."""
    good = np.flatnonzero(data["QUALITY"] == 0)
    first = np.flatnonzero((data["GROUPING"] == 1) & (data["QUALITY"] == 0))
    return list(zip(first.tolist(), [*first[1:].tolist(), int(good[-1]) + 1], strict=True))


@pytest.mark.parametrize("name", REAL)
def test_groups_of_real_spectra(name: str, shared_data: Path, tmp_path: Path):
    path = shared_data / "arf_spectra_ngc7793" / name
    data, _ = grouped(tmp_path, spectrumset=str(path), mincounts=20, oversample=3)
    sas = fits.getdata(path, "SPECTRUM")
    assert np.array_equal(data["QUALITY"], sas["QUALITY"])
    counts, _ = grouped(tmp_path, spectrumset=str(path), mincounts=20)
    real, ours = limits_of(sas), limits_of(data)
    assert len(real) == REAL[name]
    # Every group of SAS begins where a group of 20 counts does. The resolutions were chosen for these groups:
    # two numbers for each camera.
    assert {a for a, _ in real} <= {a for a, _ in limits_of(counts)}
    assert len(set(real) & set(ours)) >= len(real) - 2 * ("MOS2" in name)
    assert real[-1] in ours


def made(folder: Path, counts: np.ndarray, **cards) -> Path:
    return write_spectrum(folder / "s.fits", counts=counts, instrument="EMOS1", **cards)


def test_criteria_add_up(tmp_path: Path):
    counts = np.full(2400, 4)
    made(tmp_path, counts)
    write_spectrum(tmp_path / "b.fits", counts=np.full(2400, 8), instrument="EMOS1", BACKSCAL=400)
    fits.setval(tmp_path / "s.fits", "BACKSCAL", value=100, ext=1)
    fits.setval(tmp_path / "b.fits", "BACKSCAL", value=400, ext=1)
    data, header = grouped(
        tmp_path, spectrumset="s.fits", backgndset="b.fits", mincounts=20, minSN=4, setbad="0-9", arfset="a"
    )
    # n channels: net 2 n, error sqrt(4 n + 8 n / 16).
    assert limits_of(data)[0] == (10, 28)
    assert (header["BACKFILE"], header["ANCRFILE"]) == ("b.fits", "a")
    data, header = grouped(tmp_path, spectrumset="s.fits", mincounts=20, setbad="0-9", addfilenames=False)
    assert limits_of(data)[0] == (10, 15)
    assert "BACKFILE" not in header


def test_from_above_and_what_is_left_over(tmp_path: Path):
    counts = np.zeros(2400, int)
    counts[100:110] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    made(tmp_path, counts)
    given = {"spectrumset": "s.fits", "mincounts": 15, "setbad": "0-99,110-2399"}
    assert limits_of(grouped(tmp_path, **given)[0]) == [(100, 105), (105, 108), (108, 110)]
    assert limits_of(grouped(tmp_path, hightolow=True, **given)[0]) == [(100, 106), (106, 108), (108, 110)]
    given["mincounts"] = 18
    assert limits_of(grouped(tmp_path, **given)[0]) == [(100, 106), (106, 110)]
    bad, _ = grouped(tmp_path, lastbin="setbad", **given)
    assert limits_of(bad) == [(100, 106), (106, 109)]
    assert bad["QUALITY"][109] == 1
    assert limits_of(grouped(tmp_path, lastbin="owngroup", **given)[0]) == [
        (100, 106),
        (106, 109),
        (109, 110),
    ]


def test_groups_that_are_given(tmp_path: Path):
    made(tmp_path, np.ones(2400, int))
    data, _ = grouped(tmp_path, spectrumset="s.fits", ranges="100-109,120-129", setbad="0-99,131-2399")
    assert limits_of(data) == [
        (100, 110), *((k, k + 1) for k in range(110, 120)), (120, 130), (130, 131)
    ]  # fmt: skip
    data, _ = grouped(
        tmp_path, spectrumset="s.fits", regbinwid=0.1, regbinstart=0.5, units="KEV", setbad="0-0.495,0.9-12.1"
    )
    assert limits_of(data) == [(100, 120), (120, 140), (140, 160), (160, 180)]
    template, _ = grouped(tmp_path, spectrumset="s.fits", mincounts=25)
    (tmp_path / "g.fits").rename(tmp_path / "t.fits")
    data, _ = grouped(tmp_path, spectrumset="s.fits", grouptemplate="t.fits", overwrite=True)
    assert np.array_equal(data["GROUPING"], template["GROUPING"])


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"spectrumset": "none.fits"}, "noFile"),
        ({"spectrumset": "s.fits", "setbad": "0-2399"}, "noChannels"),
        ({"spectrumset": "s.fits", "setbad": "5"}, "badParameter"),
        ({"spectrumset": "s.fits", "ranges": "9-5"}, "badParameter"),
        ({"spectrumset": "s.fits", "grouptemplate": "s.fits"}, "badTemplate"),
        ({"spectrumset": "s.fits", "minSN": 3, "backgndset": "b.fits"}, "badSpectrum"),
    ],
)
def test_mistakes_are_named(given: dict, code: str, tmp_path: Path):
    made(tmp_path, np.ones(2400, int))
    write_spectrum(tmp_path / "b.fits", counts=np.ones(10, int), instrument="EMOS1")
    with pytest.raises(TaskError) as refused:
        grouped(tmp_path, **given)
    assert refused.value.code == code
    assert not (tmp_path / "g.fits").exists()
