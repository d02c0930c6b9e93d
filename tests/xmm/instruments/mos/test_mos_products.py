"""What a call of the MOS chains is put together of: names, selection of files, good times, pointing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.instruments.keywords import merge_headers
from daxa.xmm.instruments.mos.context import Messages
from daxa.xmm.instruments.mos.options import Options
from daxa.xmm.instruments.mos.products import (
    FileNames,
    GoodTimes,
    Reference,
    Run,
    Selection,
    corner_hardness,
)
from daxa.xmm.instruments.mos.reduce import Attempts
from daxa.xmm.tasks.emchain import is_there


def test_names_are_patterns():
    names = FileNames(
        {"Imaging": "{scope}_{exp_id}_Imaging.ds", "Timing": "P1{instrument}{exp_id}TI.FIT"},
        {"frames": "frame{ccd:02d}.{instrument}", "background": "BKG{number}{node}"},
    )
    assert names.event_list("M2", "S003", "Imaging") == "EMOS2_S003_Imaging.ds"
    assert names.event_list("M1", "U002", "Timing") == "P1M1U002TI.FIT"
    # The second node of CCD 4.
    assert names.of_ccd("M1", "S001", 14) == {"frames": "frame14.M1", "background": "BKG41"}


def test_files_by_ccd_and_mode():
    sent = [(1, "TIE"), (2, "IME"), (3, "RIE"), (4, "CTE"), (5, "AUX")]
    files = [SimpleNamespace(name=SimpleNamespace(ccd=c, file_type=t)) for c, t in sent]
    odf = SimpleNamespace(folder=Path("odf"), science_files=lambda *exposure: files)

    def chosen(selection: Selection) -> list[list[int]]:
        return [[f.name.ccd for f in part] for part in selection.files(odf, "M1", "S001")]

    assert chosen(Selection()) == [[2, 3], [1, 4]]
    assert chosen(Selection((1, 2))) == [[2], [1]]
    assert chosen(Selection(types=("IME", "TIE"))) == [[2], [1]]
    with pytest.raises(TaskError, match="odf: M1 S001 has no event file of the chosen CCDs and modes"):
        Selection((7,)).files(odf, "M1", "S001")


def test_good_times_of_all_kinds_together():
    time = np.arange(0.0, 100.0, 10.0)
    off = np.where(time < 50, 0.01, 1.0)
    off[1] = np.nan
    assert GoodTimes().of("M1", time, off) is None
    user, camera = GTI(np.array([2.0]), np.array([80.0])), GTI(np.array([0.0]), np.array([42.0]))
    assert GoodTimes(user).of("M1", time, off) is user
    good = GoodTimes(user, {"M1": camera}, 0.05).of("M1", time, off)
    assert good is not None
    assert good.start == pytest.approx([2.0, 15.0])
    assert good.stop == pytest.approx([5.0, 42.0])
    assert GoodTimes(None, {"M2": camera}).of("M1", time, off) is None


def test_pointing_of_the_user_comes_first():
    atthk = SimpleNamespace(mean=(1.0, 2.0, 3.0), median=(4.0, 5.0, 6.0))
    assert Reference().pointing(atthk) == atthk.median
    assert Reference(mean=True).pointing(atthk) == atthk.mean
    assert Reference((7.0, 8.0, 9.0), True).pointing(atthk) == (7.0, 8.0, 9.0)


def test_hardness_of_corners():
    pi = np.array([399, 400, 800, 801, 2499, 2500, 5000, 5001], np.int16)
    assert corner_hardness(pi) == 1.0
    assert corner_hardness(np.append(pi, 3000)) == 1.5
    assert corner_hardness(np.array([3000])) is None


def test_one_ccd_that_fails_does_not_stop_the_others():
    said: list[tuple[str, ...]] = []
    messages = Messages(warn=lambda *text: said.append(text))

    def step(value: int) -> int:
        if value < 0:
            raise TaskError("tooSmall", f"{value} is too small")
        return 2 * value

    attempt = Attempts(messages)
    assert [attempt(ccd, step, value) for ccd, value in ((1, 3), (2, -1), (3, 5))] == [6, None, 10]
    assert said == [("emchain", "tooSmall", "-1 is too small; CCD 2 is left out")]
    with pytest.raises(TaskError, match="-1 is too small"):
        attempt.raise_first()
    with pytest.raises(TaskError, match="-2 is too small"):
        Attempts(messages, stop_on_error=True)(4, step, -2)


def test_later_cards_win_and_empty_ones_are_left_out():
    first, second = {"A": (1, "one"), "B": (2, "")}, {"A": (3, "three"), "C": (None, "nothing")}
    assert merge_headers(first, second) == {"A": (3, "three"), "B": (2, "")}


def test_lists_are_those_of_the_chosen_files(tmp_path):
    sent = [(1, "TIE"), (2, "IME"), (3, "IME")]
    files = [SimpleNamespace(name=SimpleNamespace(ccd=c, file_type=t)) for c, t in sent]
    odf = SimpleNamespace(folder=Path("odf"), science_files=lambda *exposure: files)
    names = FileNames({"Imaging": "{instrument}{exp_id}MI", "Timing": "{instrument}{exp_id}TI"})
    said: list[str] = []
    ctx = SimpleNamespace(path=tmp_path.joinpath, info=said.append)

    def run(*ccds: int) -> Run:
        return Run(ctx, odf, None, Options(), Path("att"), names, Selection(ccds))

    assert run().event_lists("M1", "S001") == ["M1S001MI", "M1S001TI"]
    assert run(2, 3).event_lists("M1", "S001") == ["M1S001MI"]
    (tmp_path / "M1S001MI").touch()
    # Without clobber what is there is not made again; what makes no list is left to the chain to complain of.
    assert is_there(run(2), "M1", "S001")
    assert said == ["M1S001MI exist: S001 is not processed again"]
    assert not is_there(run(), "M1", "S001")
    assert not is_there(run(7), "M1", "S001")
