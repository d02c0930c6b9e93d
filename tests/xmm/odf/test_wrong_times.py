"""Time correlations and dates that are wrong: named, replaced by what is right or refused."""

from __future__ import annotations

import contextvars
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm import notes, task
from daxa.xmm.errors import TaskError
from daxa.xmm.formats.summary import read_ascii_summary, read_sas_summary
from daxa.xmm.odf.odf import Odf
from daxa.xmm.odf.times import TimeCorrelation, check_frames, utc_to_tt
from daxa.xmm.sky.attitude import Attitude, make_atthk
from daxa.xmm.task import run_task


@pytest.fixture
def folder(spacecraft_odf, tmp_path) -> Path:
    return shutil.copytree(spacecraft_odf, tmp_path / "odf")


def _change(folder: Path, kind: str, change) -> None:
    (path,) = folder.glob(f"*SCX00000{kind}.FIT")
    with fits.open(path) as hdus:
        data = change(hdus[1].data.copy())
        table = fits.BinTableHDU(data, hdus[1].header)
        fits.HDUList([hdus[0].copy(), table]).writeto(path, overwrite=True)


def _add(**shifts: float):
    def change(data):
        for name, shift in shifts.items():
            data[name] = data[name] + shift
        return data

    return change


def _later_text(days: int):
    """The whole file is of another time."""

    def change(data):
        data["UTCDAY"] = data["UTCDAY"] + days
        moved = np.asarray(data["ERTIME"]).astype("datetime64[us]") + np.timedelta64(days, "D")
        data["ERTIME"] = np.datetime_as_string(moved)
        return data

    return change


def _shuffled(data):
    data["OBTCOARS"] = np.random.default_rng(1).permutation(data["OBTCOARS"])
    return data


def _ingest(folder: Path, **env: str) -> str:
    err = io.StringIO()
    run_task(
        "odfingest", {}, cwd=folder.parent, env={"SAS_ODF": str(folder), **env}, out=io.StringIO(), err=err
    )
    return err.getvalue()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda data: data[:0], "0 usable row(s), at least 2 are needed"),
        (lambda data: data[:1], "1 usable row(s), at least 2 are needed"),
        (_shuffled, "no polynomial of degree up to 4 fits"),
        (_add(UTCDAY=8500), "UTCMICRO are 734400000 s off the same time in ERTIME"),
        (_add(UTCMILLI=3_600_000), "UTCMICRO are 3600 s off the same time in ERTIME"),
        (_later_text(30), "the observation of 2017-11-01T10:42:37 to 2017-11-01T12:22:37"),
    ],
)
def test_a_wrong_tcx_is_named_and_tcs_used(folder, spacecraft_odf, change, text) -> None:
    _change(folder, "TCX", change)
    right = TimeCorrelation.from_odf(Odf.open(spacecraft_odf))
    found = TimeCorrelation.from_odf(Odf.open(folder))
    assert found.source.endswith("TCS.FIT")
    times = utc_to_tt("2017-11-01T11:00:00") + np.arange(0.0, 3000.0, 100.0)
    np.testing.assert_allclose(found.tt_to_obt(times), right.tt_to_obt(times), rtol=0, atol=1e-4)
    (line,) = [line for line in _ingest(folder).splitlines() if "badTimeCorrelation" in line]
    assert "SCX00000TCX.FIT" in line
    assert text in line
    assert line.endswith("SCX00000TCS.FIT is used")


def test_a_damaged_tcx_is_named_and_tcs_used(folder) -> None:
    (path,) = folder.glob("*TCX.FIT")
    path.write_bytes(path.read_bytes()[:9000])
    assert TimeCorrelation.from_odf(Odf.open(folder)).source.endswith("TCS.FIT")
    assert "TCS.FIT is used" in _ingest(folder)


def test_without_another_file_a_wrong_tcx_is_refused(folder) -> None:
    _change(folder, "TCX", _add(UTCDAY=8500))
    (tcs,) = folder.glob("*TCS.FIT")
    tcs.unlink()
    with pytest.raises(TaskError, match=r"TCX.FIT: UTCDAY, UTCMILLI and UTCMICRO are 734400000 s off"):
        TimeCorrelation.from_odf(Odf.open(folder))


def test_two_files_that_disagree_are_refused(folder) -> None:
    def change(data):
        data["OBTCOARS"] += 50
        return data

    _change(folder, "TCX", change)
    with pytest.raises(TaskError, match=r"TCX.FIT and .*TCS.FIT differ by -50.0 s; SAS_TIMECORR=TCX or TCS"):
        TimeCorrelation.from_odf(Odf.open(folder))
    env = {"SAS_ODF": str(folder), "SAS_TIMECORR": "TCS"}
    assert TimeCorrelation.from_odf(Odf.from_environment(env, folder)).source.endswith("TCS.FIT")


def test_two_files_that_differ_by_seconds_are_told(folder) -> None:
    def change(data):
        data["OBTCOARS"] += 5
        return data

    _change(folder, "TCX", change)
    assert TimeCorrelation.from_odf(Odf.open(folder)).source.endswith("TCX.FIT")
    (line,) = [line for line in _ingest(folder).splitlines() if "badTimeCorrelation" in line]
    assert "TCS.FIT differ by -5.0 s" in line
    assert line.endswith("TCX.FIT is used")


def test_frames_outside_their_exposure_are_told(tmp_path, monkeypatch) -> None:
    ctx = task.TaskContext("epframes", tmp_path, {}, out=io.StringIO(), err=io.StringIO())
    monkeypatch.setattr(notes, "RUNNING", contextvars.ContextVar("running task", default=ctx))
    frames = np.arange(1000.0, 3000.0, 2.6)
    for times in (frames, np.append(frames, 1e6), frames[:0]):
        check_frames(times, (1003.0, 2990.0), "AUX", "TCX.FIT")
    assert ctx.err.getvalue() == ""
    check_frames(frames + 4540.0, (1003.0, 2990.0), "AUX", "TCX.FIT")
    assert "warning (badTimeCorrelation), AUX: frames lie 45" in ctx.err.getvalue()
    assert "by TCX.FIT" in ctx.err.getvalue()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2017-11-01T10:42:37 / Scheduled Start", "2016-11-01T10:42:37 / Scheduled Start"),
        ("2017-11-01T12:22:37 / Scheduled Stop", "2018-11-01T12:22:37 / Scheduled Stop"),
        ("2017-11-01T12:22:37 / Scheduled Stop", "2017-11-01T09:22:37 / Scheduled Stop"),
        ("2017-11-01T12:22:37 / Scheduled Stop", "2017-11-31T12:22:37 / Scheduled Stop"),
    ],
)
@pytest.mark.parametrize("name", ["odfingest", "atthkgen"])
def test_an_observation_of_a_year_is_refused(folder, old, new, name) -> None:
    (path,) = folder.glob("*SUM.ASC")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ValueError, match="SUM.ASC"):
        read_ascii_summary(path)
    with pytest.raises(TaskError, match=r"SUM.ASC: the OBSERVATION record"):
        run_task(
            name, {}, cwd=folder.parent, env={"SAS_ODF": str(folder)}, out=io.StringIO(), err=io.StringIO()
        )


def test_a_sas_summary_of_a_year_is_refused(folder) -> None:
    _ingest(folder)
    (path,) = folder.parent.glob("*SUM.SAS")
    lines = path.read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if line.endswith("Observation End Time"))
    lines[at] = lines[at].replace("2017-", "2019-")
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"SUM.SAS: the OBSERVATION record .* 730.1 days"):
        read_sas_summary(path)


def test_an_observation_of_another_year_than_the_clock_is_refused(folder) -> None:
    (path,) = folder.glob("*SUM.ASC")
    path.write_text(path.read_text().replace("2017-11-01T1", "2016-11-01T1"))
    with pytest.raises(TaskError, match=r"TCX.FIT is of 2017.*, the observation of 2016-11-01T10:42:37 to"):
        TimeCorrelation.from_odf(Odf.open(folder))


def test_an_exposure_of_a_year_does_not_stretch_the_observation(folder) -> None:
    (name,) = folder.glob("*SUM.ASC")
    stem = name.name.split("SCX")[0]
    for number, end in ((1, "2017-11-01T12:00:00"), (2, "2018-11-01T12:00:00")):
        primary = fits.PrimaryHDU()
        primary.header["DATE-OBS"], primary.header["DATE-END"] = "2017-11-01T11:00:00", end
        table = fits.BinTableHDU(np.zeros(1, dtype=[("FRAME", "i4")]))
        fits.HDUList([primary, table]).writeto(folder / f"{stem}M1S00{number}10IME.FIT")
    assert (
        "M1S00210IME.FIT: DATE-OBS 2017-11-01T11:00:00 and DATE-END 2018-11-01T12:00:00 are 365.0 days"
        in (_ingest(folder))
    )
    (path,) = folder.parent.glob("*SUM.SAS")
    summary = read_sas_summary(path)
    assert summary.end == "2017-11-01T12:00:00.000"
    assert [e.exp_id for e in summary.instruments["M1"]] == ["S001"]


def test_an_attitude_file_without_end_is_refused(spacecraft_odf) -> None:
    attitude = Attitude.from_odf(Odf.open(spacecraft_odf))
    with pytest.raises(TaskError, match="31536001 samples; at most 10000000 are made"):
        make_atthk(attitude, 0.0, 365 * 86400.0, 1.0)
