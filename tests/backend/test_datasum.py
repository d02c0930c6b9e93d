"""Checksums of what files hold."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from daxa.backend.datasum import data_checksum, sums


def write(path, values=(1, 2, 3), **cards):
    table = fits.BinTableHDU.from_columns([fits.Column("TIME", "D", array=np.asarray(values, float))])
    image = fits.ImageHDU(np.arange(12, dtype=">i2").reshape(3, 4))
    hdus = fits.HDUList([fits.PrimaryHDU(), table, image])
    for key, value in cards.items():
        for hdu in hdus:
            hdu.header[key] = value
    hdus.writeto(path, overwrite=True)
    return path


def test_times_and_places_do_not_count(tmp_path):
    long = "espfilt eventfile=" + "/private/folder" * 12
    one = write(tmp_path / "a", DATE="2026-01-01", XPROC0="short", CREATOR="x (daxa-0.1)", EXPOSURE=1.0)
    two = write(tmp_path / "b", DATE="2027-01-01", XPROC0=long, CREATOR="x (daxa-0.2)", EXPOSURE=1.0)
    assert data_checksum(one) == data_checksum(two)
    assert sums(one)[0] != sums(two)[0]


@pytest.mark.parametrize(
    "change", [{"values": (1, 2, 4)}, {"EXPOSURE": 2.0}, {"NEW": 1}, {"DATE-OBS": "2001"}]
)
def test_everything_else_counts(tmp_path, change):
    one = write(tmp_path / "a", EXPOSURE=1.0)
    two = write(tmp_path / "b", **{"EXPOSURE": 1.0, **change})
    assert data_checksum(one) != data_checksum(two)


CARDS = st.lists(
    st.sampled_from(
        [
            *(f"NAXIS{k:<3}= {v:>20}" for k in ("", 1, 2, 999) for v in (0, 1, 2, 3000, -2, "x")),
            *(f"{k:<8}= {v:>20}" for k in ("BITPIX", "PCOUNT", "GCOUNT") for v in (8, -32, 0, -1, "'8'")),
            "END",
            "XTENSION= 'IMAGE   '",
            "NAXIS",
            "CONTINUE  'x'",
        ]
    ),
    max_size=50,
)


@given(CARDS, st.binary(max_size=9000), st.sampled_from([0, 2880, 5000]))
@settings(max_examples=300)
def test_any_file_has_its_checksum(tmp_path_factory, cards, content, length):
    path = tmp_path_factory.mktemp("any") / "file"
    header = "".join(f"{c:<80}" for c in ["SIMPLE  =                    T", *cards]).encode()
    content = header.ljust(length) + content
    path.write_bytes(content)
    whole, held = sums(path)
    assert whole == hashlib.sha256(content).hexdigest()
    # What holds no whole header, and the data that it announces, is not a FITS file: it counts as it is.
    if not any(c.startswith("END") for c in cards):
        assert held == whole


@pytest.mark.parametrize(
    "cards",
    [
        ["BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 10"],
        ["NAXIS   = 1", "NAXIS1  = 10"],
        ["BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = -10"],
        ["BITPIX  = 8", "NAXIS   = 2000000000"],
        ["BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = 10", "PCOUNT  = -5"],
        ["BITPIX  = 'eight'", "NAXIS   = 1", "NAXIS1  = 10"],
    ],
)
def test_a_header_without_sizes_is_no_content(tmp_path, cards):
    path = tmp_path / "a"
    text = "".join(f"{c:<80}" for c in ["SIMPLE  =                    T", *cards, "END"])
    path.write_bytes(text.ljust(2880).encode() + bytes(2880))
    assert sums(path) == (hashlib.sha256(path.read_bytes()).hexdigest(),) * 2


def test_a_file_that_is_cut_off_counts_as_it_is(tmp_path):
    path = write(tmp_path / "a", values=range(1000))
    path.write_bytes(path.read_bytes()[:-2880])
    assert sums(path)[0] == sums(path)[1] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_folder_in_a_summary_does_not_count(tmp_path):
    found = []
    for folder, size in (("/a", 65), ("/b/c", 65), ("/a", 66)):
        path = tmp_path / ".3100_0800010101_SCX00000SUM.SAS.1234.part"
        path.write_text(
            f"// odfingest (daxa-0.1.0)\nPATH {folder}/\nFILES\n{size} / Number of files\n"
            f"PROCESS_DATE = {folder}\n"
        )
        found.append(sums(path)[1])
        assert sums(path)[0] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found[0] == found[1] != found[2]


def test_what_a_summary_assumes_counts(tmp_path):
    """A reset of the clock that is found where it was assumed to be is not an assumption any more."""
    found = []
    for line in ("", "// By odfingest", "// ASSUMED: CLOCK_RESET_TIME_COARSE EARLY=0 LATE=1.6"):
        path = tmp_path / "3100_0800010101_SCX00000SUM.SAS"
        path.write_text(f"{line}\nCLOCK_RESET_TIME_COARSE = 22735251 // s\n".lstrip())
        found.append(sums(path)[1])
    assert found[0] == found[1] != found[2]
