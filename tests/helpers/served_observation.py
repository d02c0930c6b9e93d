"""An observation of the simulated set that every archive's server has."""

from __future__ import annotations

import gzip
from pathlib import Path

import odf_files
from archive_server import ArchiveServer

from daxa.mission.local import LocalObservation, read_summary
from daxa.xmm.formats.odf_names import OdfName

OBS = "0800010101"


def serve(server: ArchiveServer, folder: Path) -> dict[str, bytes]:
    """Put the ODF in a folder into every archive; returns its files."""
    files = {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if OdfName.parse(p.name)}
    row = read_summary(LocalObservation(OBS, sorted(folder.iterdir())))
    server.tables["xsa.v_all_observations"] = {
        "observation_id": [OBS],
        "ra": [row["ra"]],
        "dec": [row["dec"]],
        "start_utc": [row["start"]],
        "end_utc": [row["end"]],
        "duration": [10_000],
        "with_science": [True],
        "proprietary_end_date": ["2020-01-01 00:00:00.0"],
        "revolution": [row["revolution"]],
    }
    server.tables["xmmmaster"] = {
        "obsid": [OBS],
        "ra": [row["ra"]],
        "dec": [row["dec"]],
        "time": [57754.0],
        "duration": [10_000.0],
        "public_date": [58000],
        "xmm_revolution": [row["revolution"]],
        "status": ["archived"],
    }
    server.aio[OBS, "ODF"] = odf_files.aio_bytes(files, OBS, row["revolution"])
    for name, content in files.items():
        plain = name.endswith("SUM.ASC")
        path = f"xmm/data/rev0/{OBS}/ODF/{name}" + ("" if plain else ".gz")
        server.files[path] = content if plain else gzip.compress(content, 1)
    server.names["A 907"] = (row["ra"] + 0.02, row["dec"])
    return files
