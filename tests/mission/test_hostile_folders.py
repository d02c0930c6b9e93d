"""Folders with observations that somebody else packed."""

from __future__ import annotations

from pathlib import Path

import odf_files
import pytest
from hostile_server import MIB, zeros

from daxa.mission import XMMPointed, local

OBS = [f"08000{n:03d}01" for n in range(1, 4)]


def packed(folder: Path, obs_id: str, content: bytes | None = None) -> None:
    folder.mkdir(exist_ok=True)
    content = odf_files.aio_bytes(odf_files.odf(obs_id), obs_id) if content is None else content
    (folder / f"{obs_id}.tar.gz").write_bytes(content)


def nested(depth: int) -> bytes:
    content = odf_files.tar_bytes({"a": b"x"})
    for _ in range(depth):
        content = odf_files.tar_bytes({"a.tar": content})
    return content


BAD = {
    "archives within archives": lambda obs: nested(50),
    "larger than 64 MiB": lambda obs: odf_files.tar_bytes(
        {f"0070_{obs}_SCX00000SUM.ASC.gz": zeros(80 * MIB)}
    ),
    "control characters": lambda obs: odf_files.tar_bytes({f"\x1b[31m_{obs}_SCX00000SUM.ASC": b"x"}),
}


@pytest.mark.parametrize("says", BAD)
def test_a_bad_one_concerns_itself_only(tmp_path: Path, says: str) -> None:
    for obs in OBS:
        packed(tmp_path / "odfs", obs, BAD[says](obs) if obs == OBS[1] else None)
    with pytest.warns(UserWarning, match=f"1 observations cannot be used: .*{says}") as told:
        mission = XMMPointed(local=tmp_path / "odfs")
    assert list(mission.obs_ids) == [OBS[0], OBS[2]]
    assert str(told[0].message).isprintable()


@pytest.mark.parametrize("fault", [MemoryError(), RecursionError(), KeyError("\x1b[31m")])
def test_what_nobody_thought_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    read = local.read_summary

    def fail(observation: local.LocalObservation) -> dict:
        if observation.obs_id == OBS[1]:
            raise fault
        return read(observation)

    monkeypatch.setattr(local, "read_summary", fail)
    for obs in OBS:
        packed(tmp_path / "odfs", obs)
    with pytest.warns(UserWarning, match=f"ObsID {OBS[1]}: unexpected {type(fault).__name__}") as told:
        mission = XMMPointed(local=tmp_path / "odfs")
    assert list(mission.obs_ids) == [OBS[0], OBS[2]]
    assert str(told[0].message).isprintable()
