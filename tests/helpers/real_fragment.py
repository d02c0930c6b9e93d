"""The real raw files of ObsID 0135730701 as an ODF that the tasks can run on, and running them.

The files stay as they are (links to them). Not among them, and therefore made here: the attitude history,
the text summary and the calibration. The target is the Crab; no header tells the attitude, so that the
pointing is taken to be on it, with the position angle of the Sun (kept to within 20 degrees in flight).
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OBS_ID, REVOLUTION = "0135730701", 234
START, STOP = "2001-03-20T14:38:23", "2001-03-20T18:08:31"
#: Start of the time correlation file, which spans the revolution.
PERIGEE = "2001-03-19T05:06:55"
#: Right ascension and declination of the Crab pulsar, and the position angle of the Sun that day [deg].
CRAB = (83.6331, 22.0145)
POSITION_ANGLE = 267.6
#: Exposures of MOS1 with event files, and those that have an auxiliary file only.
EXPOSURES = ("U004", "U005", "U006", "U009")
WITHOUT_EVENTS = ("U003", "U008")
#: Housekeeping to make good times of: instrument, type of the file.
HOUSEKEEPING = {"rgs1": "R1X00000PFH", "rgs2": "R2X00000PFH", "epn": "PNX00000PAH"}
#: The engine refuses to reduce real data with synthetic calibration, whose energies and places are made up.
#: No other is at hand here, and what is looked at (frames, times, counters, raw pixels) is not calibration.
SWITCH = {"DAXA_SYNTHETIC_CALIBRATION": "allow"}


@dataclass
class Outcome:
    """What a task printed, and how it ended: exit status 0 (done) or 1 (failed)."""

    status: int
    log: str
    warnings: str

    def lines(self, text: str) -> list[str]:
        """Lines of log and warnings that hold a text."""
        return [line for line in f"{self.log}\n{self.warnings}".splitlines() if text in line]


@dataclass
class Fragment:
    """The observation in a folder, and what was run on it."""

    base: Path
    env: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    @property
    def odf(self) -> Path:
        """The folder of raw files."""
        return self.base / "odf"

    def run(self, label: str, task: str, folder: str = "", **arguments: Any) -> Outcome:
        """Run a task in a folder beside the ODF."""
        from daxa.xmm.errors import TaskError
        from daxa.xmm.task import run_task

        cwd = self.base / (folder or label)
        cwd.mkdir(exist_ok=True)
        out, err = io.StringIO(), io.StringIO()
        try:
            run_task(task, arguments, cwd=cwd, env=self.env, out=out, err=err)
            status = 0
        except (TaskError, NotImplementedError) as error:
            err.write(f"{task}: {error}\n")
            status = 1
        self.outcomes[label] = Outcome(status, out.getvalue(), err.getvalue())
        return self.outcomes[label]


def link_odf(source: Path, folder: Path) -> list[str]:
    """Link the raw files into a folder; their names as components of the ODF."""
    folder.mkdir(parents=True)
    names = []
    for path in sorted(Path(source).iterdir()):
        os.symlink(path.resolve(), folder / path.name)
        names.append(path.name.removesuffix(".gz"))
    return names


def add_attitude_and_summary(folder: Path, names: Sequence[str]) -> None:
    """Make the attitude history and the text summary."""
    from daxa.simulate.odf.clock import Clock, tt_of_utc
    from daxa.simulate.odf.files import OdfWriter
    from daxa.simulate.odf.housekeeping import Pointing

    start, stop, perigee = (tt_of_utc(t) for t in (START, STOP, PERIGEE))
    pointing = Pointing(OBS_ID, REVOLUTION, "Crab", *CRAB, POSITION_ANGLE, *CRAB, start, stop, perigee)
    writer = OdfWriter(folder, pointing, Clock(start))
    writer.attitude()
    writer.names += names
    writer.summary()


def prepare(source: Path, base: Path) -> Fragment:
    """The observation with attitude, summary and synthetic calibration, ready for tasks."""
    from daxa.simulate.calibration.constituents import write_calibration

    fragment = Fragment(base)
    add_attitude_and_summary(fragment.odf, link_odf(source, fragment.odf))
    write_calibration(base / "ccf")
    fragment.env = {"SAS_ODF": str(fragment.odf), "SAS_CCFPATH": str(base / "ccf"), **SWITCH}
    fragment.run("cifbuild", "cifbuild", "work")
    fragment.env["SAS_CCF"] = str(base / "work" / "ccf.cif")
    fragment.run("odfingest", "odfingest", "work")
    summaries = list((base / "work").glob("*SUM.SAS"))
    if summaries:
        fragment.env["SAS_ODF"] = str(summaries[0])
    return fragment


def reduce(source: Path, base: Path) -> Fragment:
    """Everything that the raw files allow: MOS1, RGS1, good times of housekeeping."""
    fragment = prepare(source, base)
    fragment.run("emchain", "emchain", instruments="M1", keepintermediate="Y")
    chosen = {"withinstexpids": True, "instexpids": "R1S003"}
    fragment.run("rgsproc", "rgsproc", finalstage="3:filter", expunge="", **chosen)
    for instrument in HOUSEKEEPING:
        gti = {"instrument": instrument, "gtiset": f"{instrument}.ds"}
        fragment.run(f"hkgtigen {instrument}", "hkgtigen", "work", **gti)
    return fragment
