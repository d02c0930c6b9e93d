"""Jobs that run elsewhere: with what they need, and taken back once somebody has done them.

A cluster gives a job to another worker when it has lost one, and does again what that one has done if its
result is still asked for. A worker that was only cut off goes on meanwhile. Either would put its files over
those that are recorded. So each job works in a folder that is there as long as the job is wanted, and
publishes nothing without it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from daxa.backend.contract import Job
from daxa.backend.publish import PART


def lend(job: Job, process: str, environment: Mapping[str, str]) -> None:
    """Prepare a job for a worker anywhere that sees the same files.

    Parameters
    ----------
    job
        The job; its scratch folder becomes one of its own.
    process
        Name of the process.
    environment
        What its tasks need of the environment here.
    """
    assert job.scratch is not None
    job.env = {**environment, **job.env}
    job.scratch = job.scratch / f"{process}_{job.ident}"
    job.leased = True
    job.scratch.mkdir(parents=True, exist_ok=True)


def take_back(job: Job) -> None:
    """Take back the folder of a job: whoever still runs it can publish nothing.

    Parameters
    ----------
    job
        The job.
    """
    if job.leased and job.scratch is not None:
        shutil.rmtree(job.scratch, ignore_errors=True)


def sweep(folders: Iterable[Path]) -> None:
    """Remove what workers that died have left of files that they were publishing; only when none is at work.

    Parameters
    ----------
    folders
        Where files were published.
    """
    for folder in folders:
        for path in folder.glob(f".*{PART}"):
            path.unlink(missing_ok=True)
