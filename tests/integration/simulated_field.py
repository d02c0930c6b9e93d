"""The processed simulated field: where its products and its truth are, and how to print measurements."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from daxa.archive import Archive
from daxa.mission import XMMPointed
from daxa.process.simple import full_process_xmm
from daxa.simulate import SimulatedSet
from daxa.xmm.event.gti import GTI

X = "xmm_pointed"
OBSERVATIONS = ("0800010101", "0800010201", "0800010301")
CAMERAS = ("M1", "M2", "PN")
EXPOSURES = [
    (obs_id, inst, exp_id)
    for obs_id in OBSERVATIONS
    for inst, exp_id in (("M1", "S001"), ("M1", "U002"), ("M2", "S002"), ("PN", "S003"))
    if exp_id != "U002" or obs_id == "0800010201"
]
#: Largest PATTERN of the cleaned lists, and how many pixels it has.
LAST_PATTERN = {"M1": 12, "M2": 12, "PN": 4}
LAST_PIXELS = {"M1": 4, "M2": 4, "PN": 2}


def settings(output: Path, ccf: Path) -> dict[str, str]:
    """Environment in which archives under ``output`` are processed by the embedded engine."""
    return {
        "DAXA_OUTPUT": str(output),
        "DAXA_BACKEND": "embedded",
        "DAXA_CCFPATH": str(ccf),
        "XDG_CONFIG_HOME": str(output),
        "XDG_CACHE_HOME": str(output),
    }


def set_environment(patch: pytest.MonkeyPatch, output: Path, ccf: Path) -> None:
    """Set that environment, whatever is installed on the machine."""
    output.mkdir(parents=True, exist_ok=True)
    for name in ("SAS_CCF", "SAS_CCFPATH", "SAS_CCFFILES", "SAS_ODF", "SAS_DIR", "DAXA_NUM_CORES"):
        patch.delenv(name, raising=False)
    for name, value in settings(output, ccf).items():
        patch.setenv(name, value)


def process(name: str, raw: Path) -> Archive:
    """What a user does: an archive of local raw data, and everything in one call."""
    archive = Archive(name, XMMPointed(local=raw))
    full_process_xmm(archive, disable_progress=True, num_cores=min(2, os.cpu_count() or 1))
    return archive


def table(hdu: fits.BinTableHDU, names: Sequence[str] | None = None) -> np.recarray:
    """A table in memory, as native record array."""
    names = list(names or hdu.columns.names)
    return np.rec.fromarrays([np.array(hdu.data[n]) for n in names], names=names)


@dataclass(frozen=True)
class Field:
    """The archive of the simulated field, what is true of it, and what the command said that made it."""

    simulated: SimulatedSet
    root: Path
    said: dict[str, Any]

    def folder(self, obs_id: str) -> Path:
        return self.root / "processed_data" / X / obs_id

    def product(self, obs_id: str, inst: str, kind: str, exp_id: str = "ALL") -> Path:
        """The file of a camera whose name ends so."""
        (found,) = self.folder(obs_id).glob(f"*/obsid{obs_id}-inst{inst}-subexp{exp_id}-{kind}.fits")
        return found

    def chain_list(self, obs_id: str, inst: str, exp_id: str) -> Path:
        return self.product(obs_id, inst, "events", exp_id)

    def final_list(self, obs_id: str, inst: str) -> Path:
        return self.product(obs_id, inst, "en-finalevents")

    def flare_free_list(self, obs_id: str, inst: str) -> Path:
        return self.product(obs_id, inst, "en-finalallgoodevents")

    def truth(self, obs_id: str, inst: str, exp_id: str) -> dict[str, Any]:
        exposures = self.simulated.truth(obs_id)["exposures"]
        (found,) = [e for e in exposures if (e["instrument"], e["exp_id"]) == (inst, exp_id)]
        return found

    def exp_ids(self, obs_id: str, inst: str) -> list[str]:
        return [e for o, i, e in EXPOSURES if (o, i) == (obs_id, inst)]

    def point_sources(self, obs_id: str, inst: str) -> list[dict[str, str]]:
        with self.simulated.sources(obs_id).open() as handle:
            rows = [r for r in csv.DictReader(handle) if r["instrument"] == inst and r["name"] != "cluster"]
        return [r for r in rows if r["exp_id"] == rows[0]["exp_id"]]


@dataclass(frozen=True)
class Short:
    """A short observation with all cameras and two MOS1 exposures, not processed."""

    base: Path
    obs_id: str = "0800010201"

    @property
    def raw(self) -> Path:
        return self.base / "raw"

    @property
    def ccf(self) -> Path:
        return self.base / "ccf"


@lru_cache(maxsize=24)
def events(path: Path) -> np.recarray:
    with fits.open(path) as hdus:
        return table(hdus["EVENTS"])


@lru_cache(maxsize=24)
def header(path: Path) -> fits.Header:
    return fits.getheader(path, "EVENTS")


@lru_cache(maxsize=24)
def good_times(path: Path) -> dict[int, GTI]:
    """Good times by CCD."""
    with fits.open(path) as hdus:
        return {int(h.name[-2:]): GTI.from_hdu(h) for h in hdus if h.name.startswith("STDGTI")}


def live_time(path: Path) -> float:
    """Largest live time of the CCDs: that of the frames whose middle is in the good times."""
    best = 0.0
    with fits.open(path) as hdus:
        for ccd, gti in good_times(path).items():
            frames = hdus[f"EXPOSU{ccd:02d}"].data
            live = frames["TIMEDEL"].astype(float) * frames["FRACEXP"]
            best = max(best, float(live[gti.contains(frames["TIME"])].sum()))
    return best


@lru_cache(maxsize=12)
def photons(path: Path) -> np.recarray:
    with fits.open(path) as hdus:
        return table(hdus[1])


def show(title: str, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print measurements; seen with ``pytest -s``."""
    rows = [[f"{v:.4g}" if isinstance(v, float) else str(v) for v in row] for row in rows]
    widths = [max(len(str(r[k])) for r in [names, *rows]) for k in range(len(names))]
    print(f"\n{title}")
    for row in [names, *rows]:
        print("  " + "  ".join(str(v).rjust(w) for v, w in zip(row, widths, strict=True)))


@dataclass(frozen=True)
class Undisturbed:
    """The archive made in one go, and how long its jobs took."""

    root: Path
    seconds: dict[tuple[str, str], float]


def begin(short: Short) -> Archive:
    """An archive of MOS1 alone: two exposures, whose lists are merged, in little time."""
    return Archive("field", XMMPointed("M1", local=short.raw))


def products(root: Path) -> dict[str, Path]:
    """Everything with a final name, logs left out."""
    folder = root / "processed_data"
    return {
        str(p.relative_to(folder)): p
        for p in folder.rglob("*")
        if p.is_file() and p.parent.name != "logs" and not p.name.startswith(".")
    }
