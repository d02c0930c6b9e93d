"""What an observation holds, told by its event lists."""

from __future__ import annotations

import gzip
import json
import re

import pytest
from event_lists import acis_list, gti_table, write_list

from daxa.events import load
from daxa.events.contents import chandra_contents, nustar_contents
from daxa.xmm.errors import TaskError
from daxa.xmm.task import run_task


@pytest.fixture
def chandra(tmp_path):
    for name in ("primary", "secondary"):
        (tmp_path / name).mkdir()
    return tmp_path


def add(folder, name, obi=0, **cards):
    return acis_list(folder / name, [1.0], OBI_NUM=obi, **cards)


def test_acis_in_one_piece(chandra):
    path = add(chandra, "secondary/acisf04935_000N002_evt1.fits", DETNAM="ACIS-235678", DATAMODE="VFAINT")
    path.with_suffix(".fits.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    add(chandra, "primary/acisf04935N002_evt2.fits", DETNAM="other")
    found = chandra_contents(chandra)
    assert found["HRC"] == {"active": False}
    acis = found["ACIS"]
    assert (acis["active"], acis["detector"], acis["data_mode"]) == (True, "ACIS-235678", "VFAINT")
    assert (acis["alt_exp_mode"], acis["multi_obi"], acis["exposure"]) == (False, False, 980)


@pytest.mark.parametrize(
    ("lists", "alternating", "several"),
    [
        ([("acisf00578_000N001_e1_evt1", {}), ("acisf00578_000N001_e2_evt1", {})], True, False),
        (
            [("acisf00578_000N001_evt1", {"CYCLE": "P"}), ("acisf00578_000N002_evt1", {"CYCLE": "S"})],
            True,
            False,
        ),
        ([("acisf00108_001N001_evt1", {"obi": 1}), ("acisf00108_002N001_evt1", {"obi": 2})], False, True),
        ([("acisf04935_000N001_evt1", {"CYCLE": "P"})], False, False),
    ],
)
def test_exposures_in_turn_and_several_intervals(chandra, lists, alternating, several):
    for name, cards in lists:
        add(chandra, f"secondary/{name}.fits", **cards)
    acis = chandra_contents(chandra)["ACIS"]
    assert (acis["alt_exp_mode"], acis["multi_obi"]) == (alternating, several)


def test_nustar(tmp_path):
    (tmp_path / "event_uf").mkdir()
    for letter, number in (("A", 3), ("B", 0)):
        path = tmp_path / "event_uf" / f"nu30001039002{letter}_uf.evt"
        write_list(path, {"TIME": ("1D", "s", [1.0] * number)}, [gti_table([(0, 5)])], EXPOSURE=5.0)
    assert nustar_contents(tmp_path) == {
        "FPMA": {"active": True, "events": 3, "exposure": 5.0},
        "FPMB": {"active": False, "events": 0, "exposure": 5.0},
    }
    load("obscontents")
    run_task("obscontents", {"indir": ".", "mission": "nustar"}, cwd=tmp_path)
    assert json.loads((tmp_path / "contents.json").read_text())["FPMA"]["events"] == 3


def test_what_is_not_there_is_named(chandra):
    for reader, text in (
        (chandra_contents, "no event list secondary"),
        (nustar_contents, "no event list event_uf"),
    ):
        with pytest.raises(TaskError, match=re.escape(f"{chandra}: {text}")):
            reader(chandra)
    (chandra / "secondary" / "acisf04935_000N002_evt1.fits").write_bytes(b"no FITS file")
    with pytest.raises(TaskError, match=r"evt1\.fits: not a readable event list"):
        chandra_contents(chandra)
