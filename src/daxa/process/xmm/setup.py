"""Setting up: the index of calibration files and the summary of the observation."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daxa.archive import layout
from daxa.backend.contract import Task
from daxa.exceptions import DAXAError, DAXANotDownloadedError, WrongTypeError
from daxa.process.options import Running, StepOptions, argument
from daxa.process.public import public
from daxa.process.runner import run_steps
from daxa.process.step import Piece, Recipe, Step
from daxa.xmm.formats.odf_names import OdfName
from daxa.xmm.formats.summary import observation_summary

if TYPE_CHECKING:
    from daxa.archive import Archive

ALLOWED = ("xmm_pointed",)
#: How the engine names a type of calibration files that an index lacks.
_LACKING = re.compile(r"calibration index has no (\w+) valid for")


def parse_odf_sum(sum_path: str | os.PathLike[str], obs_id: str | None = None) -> dict[str, Any]:
    """Read the summary file that odfingest has made.

    Parameters
    ----------
    sum_path
        Path of the ``SUM.SAS`` file.
    obs_id : str, optional
        Observation it is expected to be of.

    Returns
    -------
    dict
        Instrument -> ``active``, ``num_exp`` and ``exposures``: identifier -> ``scheduled``, ``type``,
        ``mode``, ``filter`` and ``ccd_modes`` (CCD -> mode).

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is not a summary file, or of another observation.
    """
    path = Path(sum_path)
    if not path.is_file():
        raise FileNotFoundError(f"sum_path: no such file {path}")
    if obs_id is not None and obs_id not in path.name and obs_id not in path.read_text(encoding="latin-1"):
        raise ValueError(f"sum_path: {path} is not of observation {obs_id}")
    return observation_summary(path)


def _analysis_date(piece: Piece, asked: str, folders: str) -> str:
    """The date of the calibration to take: the one asked for, for "now" that of the index there is.

    An index is kept, so that not everything is done again whenever a file is added somewhere. It is made anew
    when something was missed for lack of a type of files that has come since.
    """
    known = piece.records.of(piece.mission.name, piece.obs_id)
    last, _ = known.get(("cif_build", piece.obs_id), (None, 0))
    if asked != "now":
        return asked
    if last is None or not last.ok or last.extra.get("asked") != "now":
        # As a date, so that the record can be repeated; the same for all observations of a call.
        return piece.records.notes.setdefault("now", _now())
    runs = [run for run, _ in known.values() if run is not None]
    messages = " ".join(m["message"] for run in runs for m in (*run.errors, *run.warnings))
    missed = set(_LACKING.findall(messages))
    made = datetime.fromisoformat(last.started).timestamp()
    searched = str(last.extra["ccf_path"]).split(os.pathsep)
    for folder in filter(os.path.isdir, folders.split(os.pathsep) if missed else ()):
        for file in os.scandir(folder):
            if file.name.upper().rpartition("_")[0] not in missed or not file.is_file():
                continue
            # The time of its coming, which a copy does not take over from the original.
            came = max(file.stat(follow_symlinks=False).st_ctime, file.stat().st_ctime)
            if folder not in searched or came >= made:
                # Another date than before, or the index would pass for the one that was asked for then.
                now = _now()
                if now == last.extra["analysis_date"]:
                    now = (datetime.fromisoformat(now) + timedelta(seconds=1)).isoformat()
                return now
    return str(last.extra["analysis_date"])


def _now() -> str:
    return datetime.now(timezone.utc).replace(tzinfo=None, microsecond=0).isoformat()


@dataclass(frozen=True, eq=False)
class CifBuildOptions(StepOptions):
    """Options of `cif_build`."""

    analysis_date: str | datetime | date = argument("now", "Use the calibration as it was known then.")

    def check(self) -> None:
        _ = self.date_text

    @property
    def date_text(self) -> str:
        """The date as cifbuild takes it, or ``now``."""
        if isinstance(self.analysis_date, datetime):
            known = self.analysis_date.tzinfo is not None
            # Calibration files are dated in UTC, and so are times that name no zone.
            asked = self.analysis_date.astimezone(timezone.utc) if known else self.analysis_date
            return asked.strftime("%Y-%m-%dT%H:%M:%S")
        if isinstance(self.analysis_date, date):
            return self.analysis_date.isoformat()
        if self.analysis_date == "now":
            return "now"
        raise WrongTypeError(f"analysis_date: expected 'now' or a datetime, got {self.analysis_date!r}")


def _cif(piece: Piece, options: CifBuildOptions) -> Recipe:
    observed = piece.start.strftime("%Y-%m-%dT%H:%M:%S")
    env = piece.environment(cif=False, summary=False)
    asked = options.date_text
    analysed = _analysis_date(piece, asked, env["SAS_CCFPATH"])
    return Recipe(
        [
            Task(
                "cifbuild",
                calindexset=layout.cif(),
                withobservationdate=True,
                observationdate=observed,
                analysisdate=analysed,
            )
        ],
        {layout.cif(): layout.cif()},
        env=env,
        files={"cif": layout.cif()},
        settings={
            "obs_date": observed,
            "analysis_date": analysed,
            "asked": asked,
            "ccf_path": env["SAS_CCFPATH"],
        },
    )


def _ingest(piece: Piece, options: StepOptions) -> Recipe:
    raw = piece.raw
    names = [n for p in sorted(raw.iterdir()) if (n := OdfName.parse(p.name)) and n.obs_id == piece.obs_id]
    if not names:
        raise DAXANotDownloadedError(f"{raw}: holds no files of an ODF of {piece.obs_id}")
    if "\n" in str(raw):
        raise DAXAError(f"{str(raw)!r}: a folder of raw files must not have a line break in its name")
    summary = layout.sas_summary(names[0].revolution, piece.obs_id)
    env = {**piece.environment(summary=False), "SAS_ODF": str(raw)}
    return Recipe(
        [Task("odfingest", odfdir=str(raw), withodfdir=True, outdir=".")],
        {"*SUM.SAS": summary},
        env=env,
        files={"sum_path": summary},
        settings={"odf_path": str(raw)},
    )


def _take_summary(piece: Piece) -> None:
    found = parse_odf_sum(piece.made("odf_ingest", "sum_path"), piece.obs_id)
    piece.archive.observation_summaries = {piece.mission.name: {piece.obs_id: found}}


CIF_BUILD = Step("cif_build", "Generating calibration files", "observation", _cif)
ODF_INGEST = Step(
    "odf_ingest",
    "Generating ODF summary files",
    "observation",
    _ingest,
    needs=lambda inst, options: ("cif_build",),
    done=_take_summary,
)


@public(CifBuildOptions, order=("num_cores", "disable_progress", "analysis_date", "timeout", "executor"))
def cif_build(obs_archive: Archive, options: CifBuildOptions, running: Running) -> None:
    """Find the calibration files that apply to each observation (task cifbuild).

    Examples
    --------
    >>> daxa.cif_build(archive)
    """
    run_steps(obs_archive, [(CIF_BUILD, options)], ALLOWED, running)


@public(StepOptions)
def odf_ingest(obs_archive: Archive, options: StepOptions, running: Running) -> None:
    """Summarise what each observation holds (task odfingest).

    Fills `observation_summaries` and `process_observation` of the archive. Needs `cif_build`.

    Examples
    --------
    >>> daxa.odf_ingest(archive, num_cores=4)
    """
    run_steps(obs_archive, [(ODF_INGEST, options)], ALLOWED, running)
