"""Spectra of sources on the pages of observations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from daxa.report.products import Reader
from daxa.report.source_spectra import figure, source_spectra

STEM = "obsid0800010101-inst{}-subexpALL-"
SOURCE = "J095805.7-110920"


def write_source(folder: Path, inst: str, counts: list[int], back: list[int], source: str = SOURCE) -> Path:
    """A spectrum of channels of 1 keV that start at 0, all good but the first, with a diagonal matrix."""
    place = folder / "spectra"
    place.mkdir(exist_ok=True)
    stem = STEM.format(inst)
    number = len(counts)

    def table(name: str, **columns):
        made = [fits.Column(n, f, array=a) for n, (f, a) in columns.items()]
        return fits.BinTableHDU.from_columns(made, name=name)

    channel = ("I", np.arange(number))
    low = ("E", np.arange(number, dtype=float))
    high = ("E", np.arange(number, dtype=float) + 1)
    names = {"BACKFILE": f"{source}-background", "ANCRFILE": f"{source}-arf", "RESPFILE": "pat0_4-rmf"}
    spectrum = table(
        "SPECTRUM",
        CHANNEL=channel,
        COUNTS=("J", counts),
        GROUPING=("I", [1, 1, *([-1, 1] * number)[: number - 2]]),
        QUALITY=("I", [1] + [0] * (number - 1)),
    )
    spectrum.header.update(EXPOSURE=1000.0, BACKSCAL=100, **{k: f"{stem}{n}.fits" for k, n in names.items()})
    path = place / f"{stem}{source}-spectrum.fits"
    fits.HDUList([fits.PrimaryHDU(), spectrum]).writeto(path)
    other = table("SPECTRUM", CHANNEL=channel, COUNTS=("J", back))
    other.header.update(EXPOSURE=1000.0, BACKSCAL=400)
    fits.HDUList([fits.PrimaryHDU(), other]).writeto(place / spectrum.header["BACKFILE"])
    area = table("SPECRESP", ENERG_LO=low, ENERG_HI=high, SPECRESP=("E", [100.0] * number))
    fits.HDUList([fits.PrimaryHDU(), area]).writeto(place / spectrum.header["ANCRFILE"])
    one = ("I", np.ones(number, int))
    matrix = table(
        "MATRIX", ENERG_LO=low, ENERG_HI=high, N_GRP=one, F_CHAN=channel, N_CHAN=one,
        MATRIX=("PE()", np.array([[1.0]] * number, object)),
    )  # fmt: skip
    matrix.header["TLMIN4"] = 0
    bounds = table("EBOUNDS", CHANNEL=channel, E_MIN=low, E_MAX=high)
    fits.HDUList([fits.PrimaryHDU(), matrix, bounds]).writeto(
        place / spectrum.header["RESPFILE"], overwrite=True
    )
    return path


def test_groups_without_background_and_a_power_law_of_as_many_counts(tmp_path):
    write_source(tmp_path, "PN", [9, 40, 20, 10, 6], [9, 4, 4, 8, 0])
    reader = Reader(tmp_path)
    (one,) = source_spectra(reader, ["PN"])
    assert reader.problems == []
    # Channels 1 and 2, 3 and 4; a quarter of the background is in the source.
    assert one["edges"] == [1, 3, 5]
    assert one["rate"] == pytest.approx([(60 - 2) / 2000, (16 - 2) / 2000])
    assert one["background"] == pytest.approx([2 / 2000, 2 / 2000])
    assert one["error"] == pytest.approx([np.sqrt(60 + 8 / 16) / 2000, np.sqrt(16 + 8 / 16) / 2000], rel=1e-4)
    assert sum(one["folded"]) == pytest.approx(sum(one["rate"]), rel=1e-3)
    shape = (1 - 3**-0.7) / (3**-0.7 - 5**-0.7)
    assert one["folded"][0] / one["folded"][1] == pytest.approx(shape, rel=1e-3)
    assert one["area"][0] == 100
    drawn = figure(one)
    assert "76 counts in 1.0 ks, 72 without the background" in drawn["told"]
    assert "not fitted" in drawn["told"]
    assert [curve["name"] for curve in drawn["figure"]["data"]] == [
        "source",
        "background",
        "power law",
        "area",
    ]


def test_a_damaged_file_costs_its_own_spectrum(tmp_path):
    write_source(tmp_path, "PN", [9, 40, 20, 10, 6], [9, 4, 4, 8, 0])
    broken = write_source(tmp_path, "M1", [9, 40, 20, 10, 6], [9, 4, 4, 8, 0])
    broken.write_bytes(broken.read_bytes()[:4000])
    lone = write_source(tmp_path, "M2", [9, 4, 2, 1, 6], [9, 4, 4, 8, 0])
    next(lone.parent.glob("*M2*-arf.fits")).unlink()
    empty = write_source(tmp_path, "M2", [0] * 5, [0] * 5, "J095805.7+110920")
    reader = Reader(tmp_path)
    found = source_spectra(reader, ["PN", "M1", "M2"])
    assert [(s["inst"], s["source"]) for s in found] == [("M2", "J095805.7+110920"), ("PN", SOURCE)]
    assert len(reader.problems) == 2
    assert {p.split(":")[0] for p in reader.problems} == {f"spectra/{broken.name}", f"spectra/{lone.name}"}
    # A spectrum without counts is drawn as such.
    assert found[0]["file"] == f"spectra/{empty.name}"
    assert "0 counts" in figure(found[0])["told"]
