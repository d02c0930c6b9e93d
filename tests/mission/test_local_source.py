"""Raw data on disk as a source: every layout gives the same observations."""

from __future__ import annotations

import csv
import gzip
import os
import stat
from pathlib import Path

import odf_files
import pytest

from daxa.exceptions import DAXADownloadError, DAXANotDownloadedError
from daxa.mission import XMMPointed
from daxa.mission.local import sort_paths
from daxa.xmm.formats.odf_names import OdfName

OBS = ["0800010101", "0800010201"]


def flat(root: Path) -> None:
    for obs in OBS:
        odf_files.write(odf_files.odf(obs), root / obs)


def heasarc(root: Path) -> None:
    for obs in OBS:
        odf_files.write(odf_files.odf(obs), root / obs / "ODF", compress=True)


def xsa(root: Path) -> None:
    for obs in OBS:
        (root / obs / "odf").mkdir(parents=True)
        content = odf_files.aio_bytes(odf_files.odf(obs), obs)
        (root / obs / "odf" / f"{obs}.tar.gz").write_bytes(content)


def packed(root: Path) -> None:
    (root / f"{OBS[0]}.tar.gz").write_bytes(odf_files.tar_bytes(odf_files.odf(OBS[0]), "w:gz"))
    (root / f"0070_{OBS[1]}.TAR").write_bytes(odf_files.tar_bytes(odf_files.odf(OBS[1])))


def mixed(root: Path) -> None:
    for obs in OBS:
        odf_files.write(odf_files.odf(obs), root)


def test_targets_are_found_by_name_without_a_service(tmp_path: Path) -> None:
    flat(tmp_path)
    mission = XMMPointed(local=tmp_path)
    mission.name_resolver = lambda name, parse: pytest.fail("the service of names was asked")
    target = str(mission.all_obs_info.target[0])
    for name in (target, target.lower(), f" {target[0]} {target[1:]} "):
        mission.reset_filter()
        mission.filter_on_name(name)
        assert list(mission.filtered_obs_ids) == OBS
    mission.filter_on_name("149.59 -11.06")
    assert list(mission.filtered_obs_ids) == OBS


@pytest.mark.parametrize("layout", [flat, heasarc, xsa, packed, mixed])
def test_every_layout(layout, tmp_path: Path) -> None:
    root = tmp_path / "mine"
    root.mkdir()
    layout(root)
    before = {p: (p.stat().st_mtime_ns, p.stat().st_mode) for p in root.rglob("*")}
    mission = XMMPointed(local=root)
    assert list(mission.filtered_obs_ids) == OBS
    row = mission.all_obs_info.iloc[0]
    assert row.ra == pytest.approx(149.59, abs=1e-5)
    assert row.dec == pytest.approx(-11.06, abs=1e-5)
    assert row.revolution == 70
    assert row.duration.total_seconds() == 36000
    report = mission.download(disable_progress=True)
    assert not report.failed
    assert mission.download_completed
    for obs in OBS:
        folder = mission.get_obs_path(obs)
        names = {p.name for p in folder.iterdir() if OdfName.parse(p.name) and obs in p.name}
        assert names == set(odf_files.odf(obs))
        if layout is flat:
            assert folder == root / obs
        else:
            assert folder == Path(mission.raw_data_path) / obs
            for name, content in odf_files.odf(obs).items():
                assert (folder / name).read_bytes() == content
                assert not (folder / name).stat().st_mode & stat.S_IWUSR
    assert before == {p: (p.stat().st_mtime_ns, p.stat().st_mode) for p in root.rglob("*")}
    # a second call has nothing to do
    assert mission.download(disable_progress=True).done == []


def test_damaged_archive_leaves_nothing(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    root.mkdir()
    packed(root)
    mission = XMMPointed(local=root)
    content = (root / f"{OBS[0]}.tar.gz").read_bytes()
    (root / f"{OBS[0]}.tar.gz").write_bytes(content[: len(content) // 2])
    with pytest.warns(UserWarning, match=OBS[0]):
        report = mission.download(disable_progress=True)
    assert list(report.failed) == [OBS[0]]
    assert not mission.download_completed
    assert not (Path(mission.raw_data_path) / OBS[0]).exists()
    with pytest.raises(DAXANotDownloadedError, match=OBS[0]):
        mission.get_obs_path(OBS[0])
    (root / f"{OBS[0]}.tar.gz").write_bytes(content)
    assert mission.retry_failed(disable_progress=True).done == [OBS[0]]
    assert mission.download_completed


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        XMMPointed(local=tmp_path / "nowhere")
    with pytest.raises(DAXADownloadError, match="holds no Observation Data File"):
        XMMPointed(local=tmp_path)


def test_odf_without_summary_is_named(tmp_path: Path) -> None:
    flat(tmp_path)
    os.remove(next((tmp_path / OBS[0]).glob("*SUM.ASC")))
    with pytest.warns(UserWarning, match=f"{OBS[0]}.*no summary file"):
        mission = XMMPointed(local=tmp_path)
    assert list(mission.obs_ids) == OBS[1:]


def test_real_listing(shared_data: Path) -> None:
    listing = shared_data / "listings" / "0093030201_heasarc_sizes_sha256.csv.gz"
    with gzip.open(listing, "rt") as file:
        paths = [Path(row["path"]) for row in csv.DictReader(file)]
    found = sort_paths(paths)
    assert list(found) == ["0093030201"]
    observation = found["0093030201"]
    assert observation.summary == Path("0093030201/ODF/0529_0093030201_SCX00000SUM.ASC")
    assert observation.folder is None  # compressed: an unpacked copy is needed
    assert {f.parent.name for f in observation.files} == {"ODF"}
    instruments = {OdfName.parse(f.name).instrument for f in observation.files}
    assert instruments == {"M1", "M2", "PN", "R1", "R2", "OM", "RM", "SC"}


def test_save_and_load_without_the_folder(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    flat(root)
    mission = XMMPointed(["PN", "R1"], local=root)
    mission.filter_on_obs_ids(OBS[1])
    mission.save(tmp_path)
    again = XMMPointed(save_file_path=tmp_path / "xmm_pointed_state.json")
    assert list(again.filtered_obs_ids) == OBS[1:]
    assert again.chosen_instruments == ["PN", "R1"]
    assert again.filtering_operations == mission.filtering_operations
    assert again.get_obs_path(OBS[1]) == root / OBS[1]
    root.rename(tmp_path / "elsewhere")
    offline = XMMPointed(save_file_path=tmp_path / "xmm_pointed_state.json")
    assert list(offline.filtered_obs_ids) == OBS[1:]
    with pytest.raises(DAXANotDownloadedError, match="mine they were in is gone"):
        offline.get_obs_path(OBS[1])


def test_update_reports_what_is_new(tmp_path: Path) -> None:
    flat(tmp_path)
    mission = XMMPointed(local=tmp_path)
    mission.filter_on_positions([149.59, -11.06])
    odf_files.write(odf_files.odf("0800010301"), tmp_path / "0800010301")
    news = mission.update(disable_progress=True)
    assert news["new_obs_ids"] == ["0800010301"]
    assert not news["any_obs_removed"]
    assert len(mission) == 3


def test_raw_files_that_were_moved(tmp_path: Path) -> None:
    root = tmp_path / "here"
    flat(root)
    mission = XMMPointed(local=root)
    with pytest.raises(ValueError, match="no raw files of 0800010101, 0800010201"):
        mission.local = tmp_path / "nowhere"
    root.rename(tmp_path / "there")
    mission.locked = True
    mission.local = tmp_path / "there"
    assert mission.get_obs_path(OBS[0]) == tmp_path / "there" / OBS[0]
