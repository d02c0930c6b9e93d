"""A stand-in for SAS: shell scripts with its programs' names that write small files quickly."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from daxa.archive import Archive
from daxa.mission.base import BaseMission
from daxa.xmm.formats.summary import BLIND_FILTERS

PROGRAM = r"""#!/bin/sh
# A stand-in for a SAS task: records its call, and writes what the real one would.
task=$(basename "$0")
for word in "$@"; do eval "p_${word%%=*}=\${word#*=}"; done
echo "$task $*" >> "$FAKE_SAS/calls"
obs=$(basename "$SAS_ODF" | cut -d_ -f2)
if [ $task = odfingest ]; then obs=$(basename "$(readlink -f "$p_odfdir")"); fi
if [ -f "$FAKE_SAS/behave" ]; then . "$FAKE_SAS/behave"; fi
case $task in
cifbuild) echo "cif $p_observationdate" > "$p_calindexset" ;;
odfingest)
    name=3100_${obs}_SCX00000SUM.SAS
    cp "$p_odfdir/summary" "$name" ;;
epchain)
    stem=P${obs}PN${p_schedule}${p_exposure}
    if [ "$p_withoutoftime" = Y ]; then echo raw > rawevents01.dat; echo "oot $stem" > ${stem}OOEVLI0000.FIT
        echo "attitude $obs" > P${obs}OBX000ATTTSR0000.FIT
    else [ -f rawevents01.dat ] || { echo "** epchain: error (constituent), no raw events" >&2; exit 1; }
        echo "events $stem" > ${stem}PIEVLI0000.FIT; fi ;;
emchain)
    stem=P${obs}${p_instruments}${p_exposures}
    echo "events $stem" > ${stem}MIEVLI0000.FIT; echo "attitude $obs" > P${obs}OBX000ATTTSR0000.FIT ;;
emanom)
    name=$(basename "$p_eventfile" -events.fits); name=${name#*-inst}; inst=${name%%-*}; exp=${name##*subexp}
    for ccd in 1 2 3; do echo "CCD: $ccd Hardness Ratio: 3.0 Error: 0.1 Status: G"; done > log
    mv log mos${inst#M}$exp-anom.log
    echo "CCD: 4 Hardness Ratio: 1.0 Error: 0.1 Status: B" >> mos${inst#M}$exp-anom.log ;;
espfilt)
    name=$(basename "$p_eventfile" -events.fits); name=${name#*-inst}; inst=${name%%-*}; exp=${name##*subexp}
    case $inst in PN) stem=pn$exp ;; *) stem=mos${inst#M}$exp ;; esac
    echo "gti $(basename $p_eventfile) $p_rangescale" > $stem-gti.fits; echo hist > $stem-hist.qdp
    echo "allevc $inst$exp" > $stem-allevc.fits
    if [ "$p_withoot" = yes ]; then echo "oot" > $stem-allevcoot.fits; fi ;;
evselect)
    out=${p_filteredset:-$p_imageset}
    { echo "selected $p_expression"; cat "${p_table%:EVENTS}"; } | sed "s#$FAKE_ROOT##g" > "$out" ;;
merge) cat "$p_set1" "$p_set2" > "$p_outset" ;;
eexpmap) for out in $p_expimageset; do cat "$p_eventset" "$p_attitudeset" > $out; done ;;
rgsproc)
    stem=P${obs}${p_instexpids}
    case $p_entrystage in
    1:events) echo merged > ${stem}merged0000.FIT; echo sources > ${stem}SRCLI_0000.FIT ;;
    2:angles) echo angles >> ${stem}merged0000.FIT ;;
    3:filter) cat ${stem}merged0000.FIT ${stem}SRCLI_0000.FIT > ${stem}EVENLI0000.FIT ;;
    esac ;;
esac
"""
TASKS = [
    "cifbuild",
    "odfingest",
    "epchain",
    "emchain",
    "emanom",
    "espfilt",
    "evselect",
    "merge",
    "eexpmap",
    "rgsproc",
]


def exposure(scheduled=True, mode="PrimeFullWindow", kind="SCIENCE", filter_name="Medium", ccds=None):
    return {
        "scheduled": scheduled,
        "type": kind,
        "mode": mode,
        "filter": filter_name,
        "ccd_modes": ccds or {1: "IMAGING", 2: "IMAGING"},
    }


OBSERVED = {
    "0800010101": {
        "M1": {"S001": exposure()},
        "M2": {"S002": exposure()},
        "PN": {"S003": exposure(ccds={1: "IMAGING", 2: "IMAGING", 3: "TIMING"})},
        "R1": {"S004": exposure(mode="HighEventRateWithSES", filter_name=None)},
    },
    "0800010201": {
        "M1": {"S001": exposure(), "U002": exposure(scheduled=False), "S009": exposure(filter_name="Closed")},
        "M2": {"S002": exposure()},
        "PN": {"S003": exposure()},
        "R1": {"S004": exposure(mode="HighEventRateWithSES", filter_name=None)},
    },
}


class FakeMission(BaseMission):
    """A mission with two observations whose content is a Python dictionary."""

    name = "xmm_pointed"
    pretty_name = "XMM-Newton Pointed"
    id_regex = r"^[0-9]{10}$"
    instruments = ("M1", "M2", "PN", "OM", "R1", "R2")
    default_instruments = ("M1", "M2", "PN")
    has_products = False

    def __init__(self, insts=None, save_file_path=None):
        super().__init__(insts, save_file_path)
        if save_file_path is None:
            self._catalogue()

    def _query(self, refresh):
        start = np.datetime64("2017-06-01T10:00:00", "us")
        return pd.DataFrame(
            {
                "ObsID": list(OBSERVED),
                "ra": 149.6,
                "dec": -11.1,
                "start": start,
                "end": start + np.timedelta64(3600, "s"),
                "duration": pd.Timedelta(3600, "s"),
                "science_usable": True,
            }
        ), None

    def get_obs_path(self, obs_id):
        return Path(self.raw_data_path) / obs_id

    def download(self, num_cores=None, credentials=None, download_products=True, *, disable_progress=False):
        for obs_id in OBSERVED:
            folder = self.get_obs_path(obs_id)
            if folder.exists():
                continue
            folder.mkdir(parents=True)
            (folder / f"3100_{obs_id}_SCX00000SUM.ASC").write_text("")
            (folder / "summary").write_text(f"observation {obs_id}\n")
        self._downloaded = {"raw": True, "products": False}

    def assess_process_obs(self, obs_info):
        return {
            inst: {
                e: x["type"] == "SCIENCE" and x["filter"] not in BLIND_FILTERS
                for e, x in i["exposures"].items()
            }
            for inst, i in obs_info.items()
        }


def fake_summary(path, obs_id=None):
    obs_id = Path(path).name.split("_")[1]
    return {
        inst: {"active": True, "num_exp": len(exposures), "exposures": exposures}
        for inst, exposures in OBSERVED[obs_id].items()
    }


class FakeSas:
    """The folder of the stand-in."""

    def __init__(self, folder: Path):
        self.folder = folder

    def behave(self, script: str) -> None:
        """Shell lines that every program runs first; ``$task`` and ``$p_NAME`` are set."""
        (self.folder / "behave").write_text(script)

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def forget(self) -> None:
        for name in ("calls", "behave"):
            (self.folder / name).unlink(missing_ok=True)


@pytest.fixture
def sas(tmp_path, monkeypatch) -> FakeSas:
    """SAS as a folder of scripts, initialised."""
    folder = tmp_path / "sas"
    folder.mkdir()
    for name in TASKS:
        program = folder / name
        program.write_text(PROGRAM)
        program.chmod(0o755)
    monkeypatch.setenv("SAS_DIR", str(folder))
    monkeypatch.setenv("FAKE_SAS", str(folder))
    monkeypatch.setenv("FAKE_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr("daxa.process.xmm.setup.parse_odf_sum", fake_summary)
    monkeypatch.setitem(__import__("daxa.mission").mission.MISS_INDEX, "xmm_pointed", FakeMission)
    return FakeSas(folder)


@pytest.fixture
def archive(sas) -> Archive:
    """An archive of two observations, nothing processed."""
    return Archive("field", FakeMission())
