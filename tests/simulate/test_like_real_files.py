"""Simulated raw files beside those of a real observation: extensions, columns, keywords, ranges of values.

Every type of which there is a real file is compared. Every difference is listed with its reason. A difference
that is not listed fails, and so does a listed one that no longer exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from daxa.simulate import simulate_observation
from daxa.simulate.cameras.readout import Exposure
from daxa.simulate.cameras.rgs import GratingExposure
from daxa.simulate.observation import Description
from daxa.simulate.odf.clock import tt_of_utc
from daxa.simulate.odf.housekeeping import Pointing
from daxa.simulate.sky import SkyModel
from daxa.xmm.formats import housekeeping
from daxa.xmm.formats.odf_files import PRIMARY_KEYWORDS, describe
from daxa.xmm.formats.odf_names import OdfName
from daxa.xmm.odf.inspect import files_of, inspect

START = tt_of_utc("2016-11-13T03:00:00")
#: Cards of every file that say how it is stored, not what it is.
STRUCTURE = ("SIMPLE", "XTENSION", "BITPIX", "NAXIS", "PCOUNT", "GCOUNT", "TFIELDS", "EXTEND", "COMMENT")
COLUMN_CARDS = ("TTYPE", "TFORM", "TUNIT", "TZERO", "TSCAL", "TNULL", "TDISP", "TDIM")


@dataclass(frozen=True)
class Pair:
    """A simulated file and the real file of that type; names without the observation."""

    simulated: str
    real: str

    @property
    def kind(self) -> tuple[str, str]:
        """Instrument and file type."""
        return self.real[:2], self.real[8:11]


PAIRS = {
    "MOS events": Pair("M1S00120IME.FIT", "M1U00920IME.FIT.gz"),
    "MOS frames": Pair("M1S00100AUX.FIT", "M1U00900AUX.FIT.gz"),
    "MOS counting": Pair("M1S00100CCX.FIT", "M1U00900CCX.FIT"),
    "MOS1 diagnostic image": Pair("M1U00610DII.FIT", "M1U00210DII.FIT.gz"),
    "MOS2 diagnostic image": Pair("M2U00610DII.FIT", "M2U00210DII.FIT"),
    "MOS1 thresholds": Pair("M1X00000HTH.FIT", "M1X00000HTH.FIT"),
    "MOS1 configuration": Pair("M1X00000HCH.FIT", "M1X00000HCH.FIT"),
    "MOS2 configuration": Pair("M2X00000HCH.FIT", "M2X00000HCH.FIT"),
    "pn configuration": Pair("PNX00000HCH.FIT", "PNX00000HCH.FIT"),
    "pn housekeeping": Pair("PNX00000PAH.FIT", "PNX00000PAH.FIT.gz"),
    "RGS events": Pair("R1S00401SPE.FIT", "R1S00301SPE.FIT.gz"),
    "RGS frames": Pair("R1S00400AUX.FIT", "R1S00300AUX.FIT.gz"),
    "RGS1 windows": Pair("R1X00000D1H.FIT", "R1X00000D1H.FIT"),
    "RGS1 read-out": Pair("R1X00000D2H.FIT", "R1X00000D2H.FIT"),
    "RGS1 housekeeping": Pair("R1X00000PFH.FIT", "R1X00000PFH.FIT.gz"),
    "RGS2 windows": Pair("R2X00000D1H.FIT", "R2X00000D1H.FIT"),
    "RGS2 read-out": Pair("R2X00000D2H.FIT", "R2X00000D2H.FIT"),
    "RGS2 housekeeping": Pair("R2X00000PFH.FIT", "R2X00000PFH.FIT.gz"),
    "time correlation": Pair("SCX00000TCX.FIT", "SCX00000TCX.FIT.gz"),
}
#: Types of which there are real files and no simulated ones.
_MONITOR = "nothing of the engine reads the radiation monitor"
_SPACECRAFT = "nothing of the engine reads housekeeping of the spacecraft"
NOT_SIMULATED = {
    ("R1", "OFX"): "made on ground; without it the offsets of the calibration serve",
    ("R2", "OFX"): "made on ground; without it the offsets of the calibration serve",
    ("OM", "PEH"): "the optical monitor is not simulated",
    ("RM", "ECX"): _MONITOR,
    ("RM", "ESX"): _MONITOR,
    **{("SC", f"P{number}S"): _SPACECRAFT for number in (1, 2, 4, 6, 9)},
}

#: The differences: (name of the pair, what), and why.
_PRIMARY = "assumed of later raw files, since their products carry it; those of 2001 lack it"
_EVERYWHERE = ("CONTENT", "DATE-END", "DATE-OBS", "INSTRUME", "OBS_MODE", "ODSCHAIN", "REVOLUT", "TELESCOP")
_STSPPROC = "written by another program, whose provenance nobody reads"
LISTED: dict[tuple[str, str], str] = {
    **{("all", f"0: more {key}"): _PRIMARY for key in (*_EVERYWHERE, "OBS_ID", "EXP_ID")},
    **{("time correlation", f"0: more {key}"): _STSPPROC for key in ("CATEGORY", "ODSVER", "ORIGIN")},
    **{
        ("time correlation", f"0: no {key}"): _STSPPROC
        for key in ("HISTORY", "LONGSTRN", "ORBIT", "TCXVER", "TDLYVER", "VERSION", "XPROC0")
    },
    (
        "time correlation",
        "1: more OBS_ID",
    ): "the simulator knows the observation, and one writer serves all files",
    (
        "MOS2 diagnostic image",
        "1: size (602, 610), not (100, 110)",
    ): "the real one was made in small window, the simulated one in full window",
}


#: Spectrometers whose exposures are simulated.
GRATINGS = (("R1", "S004"), ("R2", "S005"))
#: Texts that the real file does not happen to have.
MORE_TEXTS = {"PAH": ("GOOD",)}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw files of a minute behind the closed filter."""
    folder = tmp_path_factory.mktemp("like_real")
    pointing = Pointing(
        "0800010101", 3100, "A907", 149.61, -11.08, 120.5, 149.5917, -11.0642, START, START + 60.0,
        START - 7000.0,
    )  # fmt: skip
    exposures = [
        Exposure(
            "M1",
            "S001",
            START,
            START + 60.0,
            filter="Closed",
            ccds=(1, 2),
            gaps_s=((START + 20, START + 30),),
        ),
        Exposure("M2", "S002", START, START + 10.0, filter="Closed", ccds=(3,)),
        Exposure("PN", "S003", START, START + 10.0, filter="Closed", ccds=(4,)),
    ]
    gratings = [GratingExposure(name, exp_id, START, START + 60.0) for name, exp_id in GRATINGS]
    description = Description(pointing, exposures, gratings=gratings)
    simulate_observation(description, SkyModel([]), folder, seed=1)
    return folder


def _cards(header: fits.Header) -> dict[str, type]:
    cut = (*STRUCTURE, *COLUMN_CARDS)
    return {key: type(value) for key, value in header.items() if key and not key.startswith(cut)}


def _columns(hdu: Any) -> list[tuple[str, str, str]]:
    """Name, form and unit of each column; a zero other than 0 (unsigned numbers) belongs to the form."""
    return [
        (
            c.name,
            f"{_one_form(str(c.format))}{f' from {c.bzero:.0f}' if c.bzero else ''}",
            (c.unit or "").strip(),
        )
        for c in hdu.columns
    ]


def _one_form(form: str) -> str:
    return form if form[0].isdigit() else f"1{form}"


def differences(simulated: fits.HDUList, real: fits.HDUList) -> set[str]:
    """What differs between two files, one short text for each difference."""
    found: set[str] = set()
    names = [[hdu.name for hdu in hdus[1:]] for hdus in (simulated, real)]
    if names[0] != names[1]:
        found.add(f"extensions {names[0]} instead of {names[1]}")
    for number, (mine, theirs) in enumerate(zip(simulated, real, strict=False)):
        cards = _cards(mine.header), _cards(theirs.header)
        found |= {f"{number}: no {key}" for key in cards[1].keys() - cards[0].keys()}
        found |= {f"{number}: more {key}" for key in cards[0].keys() - cards[1].keys()}
        found |= {
            f"{number}: {key} is {cards[0][key].__name__}, not {cards[1][key].__name__}"
            for key in cards[0].keys() & cards[1].keys()
            if cards[0][key] is not cards[1][key]
        }
        if number == 0:
            continue
        if not isinstance(theirs, fits.BinTableHDU):
            if mine.shape != theirs.shape:
                found.add(f"{number}: size {mine.shape}, not {theirs.shape}")
            if mine.header["BITPIX"] != theirs.header["BITPIX"]:
                found.add(f"{number}: another type of pixels")
            continue
        ours = {name: (form, unit) for name, form, unit in _columns(mine)}
        true = {name: (form, unit) for name, form, unit in _columns(theirs)}
        found |= {f"{number}: more column {name}" for name in ours.keys() - true.keys()}
        found |= {f"{number}: no column {name}" for name in true.keys() - ours.keys()}
        both = [name for name in true if name in ours]
        if both != [name for name in ours if name in true]:
            found.add(f"{number}: order of columns")
        for name in both:
            found |= {
                f"{number}: {what} of {name} {a!r}, not {b!r}"
                for what, a, b in zip(("form", "unit"), ours[name], true[name], strict=True)
                if a != b
            }
    return found


def _open(folder: Path, name: str) -> Path:
    return next(folder.glob(f"*_{name}"))


def _real(shared_data: Path, pair: Pair) -> Path:
    found = list((shared_data / "odf_0135730701").glob(f"*_{pair.real}"))
    if not found:
        pytest.skip(f"no real file to compare with: {pair.real} is absent")
    return found[0]


@pytest.mark.parametrize("kind", PAIRS)
def test_every_difference_from_the_real_file_is_listed(kind, files, shared_data):
    pair = PAIRS[kind]
    with fits.open(_open(files, pair.simulated)) as ours, fits.open(_real(shared_data, pair)) as real:
        found = differences(ours, real)
    listed = {what for name, what in LISTED if name in (kind, "all")}
    required = {what for name, what in LISTED if name == kind}
    assert sorted(found - listed) == [], "differences that are not listed"
    assert sorted(required - found) == [], "listed differences that no longer exist"


def test_what_is_listed_for_all_files_exists_in_one(files, shared_data):
    found: set[str] = set()
    for pair in PAIRS.values():
        with fits.open(_open(files, pair.simulated)) as ours, fits.open(_real(shared_data, pair)) as real:
            found |= differences(ours, real)
    assert sorted({what for name, what in LISTED if name == "all"} - found) == []


def _within(path: Path, kind: tuple[str, str]) -> list[str]:
    """Columns with values outside what is known of the type."""
    odd = []
    with fits.open(path) as hdus:
        for number, ranges in enumerate(describe(*kind).ranges, start=1):
            for name, (low, high) in ranges.items():
                values = np.asarray(hdus[number].data[name])
                if values.min() < low or values.max() > high:
                    odd.append(f"{name} {values.min()} to {values.max()}")
        for parameter in housekeeping.parameters(*kind):
            values = np.asarray(hdus[1].data[parameter.column.name])
            if parameter.is_text:
                good = set(np.char.strip(values)) <= {*parameter.values, *MORE_TEXTS.get(kind[1], ())}
            else:
                low, high = parameter.limits
                good = np.all((values >= low - 1e-4 * abs(low)) & (values <= high + 1e-4 * abs(high)))
            odd += [] if good else [f"{parameter.column.name} {values.min()} to {values.max()}"]
    return odd


@pytest.mark.parametrize("kind", PAIRS)
def test_values_lie_where_real_ones_do(kind, files, shared_data):
    pair = PAIRS[kind]
    # The description holds for the real file, too.
    for path in (_open(files, pair.simulated), _real(shared_data, pair)):
        assert _within(path, pair.kind) == [], path.name


def test_every_type_of_real_file_is_compared_or_named(shared_data):
    real = [OdfName.parse(path.name) for path in (shared_data / "odf_0135730701").glob("*.FIT*")]
    if not real:
        pytest.skip("no real raw files to compare with")
    compared = {pair.kind for pair in PAIRS.values()}
    assert {(name.instrument, name.file_type) for name in real} == compared | set(NOT_SIMULATED)


def test_description_names_all_that_real_files_have(shared_data):
    """Columns and keywords of all types of which there is a real file."""
    for path in sorted((shared_data / "odf_0135730701").glob("*.FIT*")):
        name = OdfName.parse(path.name)
        known = describe(name.instrument, name.file_type)
        with fits.open(path) as hdus:
            assert known.images != bool(known.tables), path.name
            if name.file_type == "OFX":
                continue
            if name.file_type != "TCX":
                assert set(_cards(hdus[0].header)) == set(PRIMARY_KEYWORDS), path.name
            assert set(_cards(hdus[1].header)) == set(known.keywords), path.name
            for number, schema in enumerate(known.tables, start=1):
                real = [(n, f, u) for n, f, u in _columns(hdus[number])]
                assert real == [(c.name, _fits_form(c), c.unit) for c in schema], path.name


def _fits_form(column) -> str:
    letter, zero = {"U": ("I", " from 32768"), "V": ("J", " from 2147483648")}.get(
        column.letter, (column.letter, "")
    )
    return f"{column.repeat}{letter}{zero}"


def test_inspection_finds_nothing_odd_in_simulated_files(files):
    for file in files_of(files):
        for finding in inspect(file):
            # No real housekeeping of MOS is at hand: its column with the reset of the clock is made up.
            allowed = "others" if file.name.file_type == "PEH" else "exact"
            assert finding.how in (allowed, "image", "text"), (file.name, finding)
            assert not any(word in finding.detail for word in ("known", "no keyword", ", not ")), finding
