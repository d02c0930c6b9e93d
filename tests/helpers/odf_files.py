"""Small made-up ODFs in the layouts that archives and people use."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

SUMMARY = """OBSERVATION
{obs} / Observation/Slew Identifier
{rev:04d} / Revolution number
{start} / Scheduled Start Time
{end} / Scheduled Stop Time
FILES
{n} /  Number of files into this ODF/SDF
{names}
CONFIGURATION
2 / Number of Configuration Parameters
ODF_VERSION = 001 / ODF AMS internal version
PRIME_INSTR = E3 / Prime Instrument
PROPOSAL
{prop} / Proposal Identifier
A907 / Target Name
{ra:.7f} / Target Right Ascension
{dec:.7f} / Target Declination
"""


def odf(obs: str, rev: int = 70, ra: float = 149.59, dec: float = -11.06, day: int = 1) -> dict[str, bytes]:
    """Names and contents of the files of an ODF; the FITS files are not really FITS."""
    types = ["M1S00110IME", "M2S00210IME", "PNS00301IME", "R1S00401SPE", "OMS00600IMI", "SCX00000ATS"]
    names = [f"{rev:04d}_{obs}_{t}.FIT" for t in types]
    files = {n: (n * 400).encode() for n in names}
    summary = f"{rev:04d}_{obs}_SCX00000SUM.ASC"
    text = SUMMARY.format(
        obs=obs,
        rev=rev,
        start=f"2004-03-{day:02d}T01:00:00",
        end=f"2004-03-{day:02d}T11:00:00",
        n=len(names) + 1,
        names="\n".join(f"{n} / a file" for n in [*names, summary]),
        prop=obs[:6],
        ra=ra / 15,
        dec=dec,
    )
    files[summary] = "".join(line.ljust(80) + "\n" for line in text.splitlines()).encode()
    return files


def tar_bytes(files: dict[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def aio_bytes(files: dict[str, bytes], obs: str, rev: int = 70) -> bytes:
    """An ODF as the XSA sends it: a tar.gz with the tar of the files and a manifest."""
    inner = tar_bytes(files)
    manifest = "\n".join(files).encode()
    return tar_bytes({f"{rev:04d}_{obs}.TAR": inner, "MANIFEST.276294": manifest}, "w:gz")


def write(files: dict[str, bytes], folder: Path, compress: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if compress and not name.endswith("SUM.ASC"):
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return folder
