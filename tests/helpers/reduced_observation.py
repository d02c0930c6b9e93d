"""One reduced observation of the simulated set."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from once import once

#: The observation.
OBS_ID = "0800010101"


@dataclass
class Reduced:
    """Archive with one observation of the standard set, all three cameras."""

    archive: Path
    obs_id: str
    truth: Path

    @property
    def missions(self) -> Path:
        return self.archive / "processed_data" / "xmm_pointed"

    @property
    def folder(self) -> Path:
        return self.missions / self.obs_id

    def events(self, inst: str) -> Path:
        return self.folder / "events" / f"obsid{self.obs_id}-inst{inst}-subexpALL-en-finalevents.fits"

    def image(self, inst: str, kind: str = "image") -> Path:
        return self.folder / "images" / f"obsid{self.obs_id}-inst{inst}-subexpALL-en0.5_2.0keV-{kind}.fits"

    def sources(self, inst: str = "PN") -> list[tuple[float, float, int]]:
        """RA, Dec [deg] and recorded photons of the point sources of a camera, the brightest first."""
        with (self.truth / f"{self.obs_id}_sources.csv").open() as table:
            rows = [r for r in csv.DictReader(table) if r["instrument"] == inst and r["number"] != "0"]
        found = [(float(r["ra_deg"]), float(r["dec_deg"]), int(r["recorded"])) for r in rows]
        return sorted(found, key=lambda s: -s[2])


def reduce_once(simulated: Any, base: Path) -> Reduced:
    """Reduce the first observation, once for all workers of a test run that share ``base``."""
    from daxa.archive import Archive
    from daxa.mission import XMMPointed
    from daxa.process.simple import full_process_xmm

    output = base / "read_by_others"
    with once(output) as todo, pytest.MonkeyPatch.context() as patch:
        if todo:
            output.mkdir()
            for variable in ("SAS_CCF", "SAS_CCFPATH", "SAS_CCFFILES", "SAS_ODF", "SAS_DIR"):
                patch.delenv(variable, raising=False)
            patch.setenv("DAXA_OUTPUT", str(output))
            patch.setenv("DAXA_BACKEND", "embedded")
            patch.setenv("DAXA_CCFPATH", str(simulated.ccf))
            patch.setenv("XDG_CONFIG_HOME", str(output))
            patch.setenv("XDG_CACHE_HOME", str(output))
            mission = XMMPointed(local=simulated.odf(OBS_ID).parent)
            mission.filter_on_obs_ids([OBS_ID])
            full_process_xmm(Archive("read", mission), num_cores=2, disable_progress=True)
    return Reduced(output / "archives" / "read", OBS_ID, simulated.folder / "truth")
