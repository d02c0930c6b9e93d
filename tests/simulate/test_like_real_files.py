"""Simulated raw files beside those of a real observation: extensions, columns, keywords, ranges of values.

Every difference is listed with its reason. A difference that is not listed fails, and so does a listed one
that no longer exists.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from daxa.simulate import simulate_observation
from daxa.simulate.clock import tt_of_utc
from daxa.simulate.detectors import Exposure
from daxa.simulate.detectors_rgs import GratingExposure
from daxa.simulate.observation import Description
from daxa.simulate.odf_files import Pointing
from daxa.simulate.sky import SkyModel

START = tt_of_utc("2016-11-13T03:00:00")
#: Cards of every file that say how it is stored, not what it is.
STRUCTURE = ("SIMPLE", "XTENSION", "BITPIX", "NAXIS", "PCOUNT", "GCOUNT", "TFIELDS", "EXTEND", "COMMENT")
COLUMN_CARDS = ("TTYPE", "TFORM", "TUNIT", "TZERO", "TSCAL", "TNULL", "TDISP", "TDIM")


@dataclass(frozen=True)
class Pair:
    """A simulated file type and the real file of that type; names without the observation.

    ``ranges`` are columns whose simulated values must lie between those of the real file, widened by a share
    of their width; ``subset`` says that only some columns of the real table are simulated.
    """

    simulated: str
    real: str
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    subset: bool = False


PAIRS = {
    "MOS events": Pair(
        "M1S00120IME.FIT",
        "M1U00920IME.FIT.gz",
        {"RAWX": (6, 610), "RAWY": (2, 601), "PATTERN": (0, 31), "PERIPIX": (0, 16), "ENERGYE1": (25, 4095)},
    ),
    "MOS frames": Pair(
        "M1S00100AUX.FIT",
        "M1U00900AUX.FIT.gz",
        {"CCDID": (1, 7), "CCDNODE": (0, 0), "FTCOARSE": (0, 32767), "FTFINE": (0, 24999), "FIFOOVF": (0, 1)},
    ),
    "RGS events": Pair(
        "R1S00401SPE.FIT",
        "R1S00301SPE.FIT.gz",
        {"RAWX": (0, 170), "RAWY": (0, 127), "SER": (0, 7), "CCDNODE": (0, 1)},
    ),
    "RGS frames": Pair("R1S00400AUX.FIT", "R1S00300AUX.FIT.gz", {"ABORTFLG": (1, 2)}),
    "RGS housekeeping": Pair("R1X00000PFH.FIT", "R1X00000PFH.FIT.gz", subset=True),
    "pn housekeeping": Pair("PNX00000PAH.FIT", "PNX00000PAH.FIT.gz", subset=True),
    "MOS thresholds": Pair(
        "M1X00000HTH.FIT",
        "M1X00000HTH.FIT",
        {"HBRID": (1, 8), "LTHRESH": (0, 0), "UTHRESH": (0, 4095), "PATTERN": (0, 3)},
    ),
    "MOS configuration": Pair(
        "M1X00000HCH.FIT", "M1X00000HCH.FIT", {"HBRID": (1, 8), "HBRACTIV": (0, 1), "HBRPROC": (0, 10)}
    ),
    "pn configuration": Pair(
        "PNX00000HCH.FIT",
        "PNX00000HCH.FIT",
        {"HBRID": (1, 4), "HBRACTIV": (0, 1), "HBRPROC": (0, 5), "CCD0MODE": (0, 5)},
    ),
    "MOS counting": Pair(
        "M1S00100CCX.FIT",
        "M1U00900CCX.FIT",
        {"HBRID": (1, 7), "VECNTR": (0, 32767), "VEOVF": (0, 1), "FRAMCNTR": (0, 22), "STFINE": (0, 65535)},
    ),
    "RGS windows": Pair(
        "R1X00000D1H.FIT",
        "R1X00000D1H.FIT",
        {
            "CCDID": (1, 9),
            "WINDOWX0": (0, 0),
            "WINDOWDX": (171, 171),
            "WINDOWDY": (128, 128),
            "SCITYPE": (3, 4),
            "CCDNODES": (3, 3),
            "ATHRESHC": (200, 4000),
            "UTHRESHC": (2600, 3600),
        },
    ),
    "RGS read-out": Pair(
        "R1X00000D2H.FIT",
        "R1X00000D2H.FIT",
        {"RDOUTSEQ": (0, 9), "CCDSNUM": (5, 9), "OCBMODE": (3, 3), "REJTHRC": (0, 205), "CSGPATT": (0, 7)},
    ),
    "time correlation": Pair("SCX00000TCX.FIT", "SCX00000TCX.FIT.gz", {"OBTFINE": (0, 65535)}),
}

#: The differences: (file type, what), and why.
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
}


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
        Exposure("PN", "S003", START, START + 10.0, filter="Closed", ccds=(4,)),
    ]
    gratings = [GratingExposure("R1", "S004", START, START + 60.0)]
    description = Description(pointing, exposures, gratings=gratings)
    simulate_observation(description, SkyModel([]), folder, seed=1)
    return folder


def _cards(header: fits.Header) -> dict[str, type]:
    cut = (*STRUCTURE, *COLUMN_CARDS)
    return {key: type(value) for key, value in header.items() if key and not key.startswith(cut)}


def _columns(hdu: Any) -> list[tuple[str, str, str]]:
    return [(c.name, str(c.format), (c.unit or "").strip()) for c in hdu.columns]


def _one_form(form: str) -> str:
    return form if form[0].isdigit() else f"1{form}"


def differences(simulated: fits.HDUList, real: fits.HDUList, *, subset: bool = False) -> set[str]:
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
        ours = {name: (_one_form(form), unit) for name, form, unit in _columns(mine)}
        true = {name: (_one_form(form), unit) for name, form, unit in _columns(theirs)}
        found |= {f"{number}: more column {name}" for name in ours.keys() - true.keys()}
        if not subset:
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
        found = differences(ours, real, subset=pair.subset)
    listed = {what for name, what in LISTED if name in (kind, "all")}
    required = {what for name, what in LISTED if name == kind}
    assert sorted(found - listed) == [], "differences that are not listed"
    assert sorted(required - found) == [], "listed differences that no longer exist"


def test_what_is_listed_for_all_files_exists_in_one(files, shared_data):
    found: set[str] = set()
    for pair in PAIRS.values():
        with fits.open(_open(files, pair.simulated)) as ours, fits.open(_real(shared_data, pair)) as real:
            found |= differences(ours, real, subset=pair.subset)
    assert sorted({what for name, what in LISTED if name == "all"} - found) == []


@pytest.mark.parametrize("kind", [kind for kind, pair in PAIRS.items() if pair.ranges])
def test_values_lie_where_real_ones_do(kind, files, shared_data):
    pair = PAIRS[kind]
    for path in (_open(files, pair.simulated), _real(shared_data, pair)):
        with fits.open(path) as hdus:
            for name, (low, high) in pair.ranges.items():
                values = np.asarray(hdus[1].data[name])
                assert values.min() >= low, (path.name, name)
                assert values.max() <= high, (path.name, name)
