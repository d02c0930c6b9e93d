"""Pipeline products of XMM-Newton by their names, also by those of a real observation."""

from __future__ import annotations

import csv
import gzip
import os
from collections import Counter
from pathlib import Path

import pytest

from daxa.mission.pps import PPS_BANDS, PpsName
from daxa.mission.ready import BACKGROUND, CURVE, EVENTS, EXPOSURE, IMAGE

OBS = "0093030201"


def parsed(name: str) -> PpsName:
    found = PpsName.parse(f"P{OBS}{name}")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "kind", "energies"),
    [
        ("PNS003PIEVLI0000.FTZ", EVENTS, None),
        ("PNU002TIEVLI0000.FTZ", EVENTS, None),
        ("R1S004EVENLI0000.FTZ", EVENTS, None),
        ("PNS003OOEVLI0000.FTZ", None, None),  # out of time
        ("M1S001IMAGE_8000.FTZ", IMAGE, (0.2, 12.0)),
        ("M1S001IMAGE_8000.PNG", None, None),
        ("OMS006IMAGE_1000.FTZ", IMAGE, None),  # a digit of the OM is no band
        ("M2X000BKGMAP5000.FTZ", BACKGROUND, (4.5, 12.0)),
        ("R2S005EXPMAP1000.FTZ", EXPOSURE, None),
        ("M1S001FBKTSR0000.FTZ", CURVE, None),
        ("OBX000ATTTSR0000.FTZ", None, None),
    ],
)
def test_kind_and_energies(name: str, kind: str | None, energies: tuple[float, float] | None) -> None:
    found = parsed(name)
    assert (found.kind, found.energies) == (kind, energies)


def test_what_is_of_the_whole_observation() -> None:
    assert parsed("OBX000ATTTSR0000.FTZ").wanted_for(["PN"])
    assert parsed("EPX000OBSMLI0000.FTZ").wanted_for(["PN"], [IMAGE])
    assert not parsed("OMX000OBSMLI0000.FTZ").wanted_for(["PN"])
    assert parsed("OMX000OBSMLI0000.FTZ").wanted_for(["PN", "OM"])


def test_the_products_of_a_real_observation() -> None:
    folder = Path(os.environ.get("DAXA_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    listing = next((folder / "listings").glob(f"{OBS}*.csv.gz"), None)
    if listing is None:
        pytest.skip(f"no list of files in {folder / 'listings'}")
    with gzip.open(listing, "rt") as file:
        paths = [row["path"] for row in csv.DictReader(file) if "/PPS/" in row["path"]]
    names = [n for p in paths if (n := PpsName.parse(p.rpartition("/")[2])) is not None]
    cameras = ("M1", "M2", "PN")
    found = Counter((n.instrument, n.kind) for n in names if n.kind and n.instrument in cameras)
    expected = {EVENTS: 1, IMAGE: 6, EXPOSURE: 6, BACKGROUND: 5, CURVE: 1}
    assert found == {(inst, kind): number for inst in cameras for kind, number in expected.items()}
    bands = {n.energies for n in names if n.kind == IMAGE and n.instrument in cameras}
    assert bands == set(PPS_BANDS.values())
    others = sorted(n.file_name[11:] for n in names if n.kind is None and n.wanted_for(list(cameras)))
    assert others == [
        "EPX000OBSMLI0000.FTZ", "EPX000OBSMLI0000.HTM", "EPX000REGION0000.ASC", "OBX000ATTTSR0000.FTZ",
        "OBX000PPSSUM0000.HTM",
    ]  # fmt: skip
