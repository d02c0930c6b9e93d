"""Software of other missions that steps run: how it is recognised, what it needs, which version it is.

A step names the software that runs its tasks as its ``backend``, one of those in `SOFTWARE`. Tasks are run as
programs of their names with ``parameter=value``, in a scratch folder, with parameter files of the job's own.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from daxa.exceptions import (
    BackendSoftwareError,
    CIAONotFoundError,
    NuSTARDASNotFoundError,
    eSASSNotFoundError,
)

#: In place of a version that nothing tells.
UNKNOWN = "unknown"
#: The back-ends that run in Python: the engine, and the tasks on event lists of other missions.
OWN = ("embedded", "python")
_LIMIT_S = 60.0


@dataclass(frozen=True)
class Software:
    """An external software.

    Attributes
    ----------
    name
        As the back-end of steps, in the ledger.
    title
        Its name for users.
    missions
        Whose data it processes, for messages.
    programs
        What must be on ``PATH``.
    folders
        Environment variables that its set-up script sets, each to a folder.
    parameter_files
        Its programs do not start without ``PFILES``.
    teller
        Command that prints the version; empty if there is none.
    version
        Pattern of what is printed; its first group that matches is the version.
    place
        Pattern of the path of its first program; the group is the version, where no command tells one.
    indexes
        Patterns of the indexes of calibration files below ``CALDB``; empty if it needs none.
    error
        What is raised where it is absent.
    install
        Where to get it, and how it is set up.
    environment
        Environment variables that its programs need when nobody sits in front of them.
    carried
        Beginnings of names of environment variables that its programs read.
    """

    name: str
    title: str
    missions: str
    programs: tuple[str, ...]
    folders: tuple[str, ...] = ()
    parameter_files: bool = False
    teller: tuple[str, ...] = ()
    version: str = r"(\S+)"
    place: str = ""
    indexes: tuple[str, ...] = ()
    error: type[BackendSoftwareError] = BackendSoftwareError
    install: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    carried: tuple[str, ...] = ()

    def why_absent(self) -> str:
        """What keeps it from being used, in one line; empty if it can be."""
        for variable in self.folders:
            place = os.environ.get(variable, "")
            if not place:
                return f"{variable} is not set"
            if not os.path.isdir(place):
                return f"{variable} is {place}, which is not a folder"
        lacking = [name for name in self.programs if shutil.which(name) is None]
        if lacking:
            return f"{', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not on PATH"
        if self.parameter_files and not os.environ.get("PFILES"):
            return "PFILES, which leads to the parameter files of its programs, is not set"
        if not self.indexes:
            return ""
        place = os.environ.get("CALDB", "")
        if not place:
            return "CALDB, the folder of calibration files, is not set"
        if not _remote(place) and not self._found_indexes():
            return f"CALDB is {place}, which has no {' or '.join(self.indexes)}"
        return ""

    def require(self, step: str) -> None:
        """Refuse a step whose software is absent.

        Parameters
        ----------
        step
            Name of the step.

        Raises
        ------
        BackendSoftwareError
            The kind of error that is the software's own; it says what to install and how it is recognised.
        """
        why = self.why_absent()
        if why:
            variables = [*self.folders, *["PFILES"] * self.parameter_files, *["CALDB"] * bool(self.indexes)]
            recognised = f"{', '.join(variables)} and " if variables else ""
            raise self.error(
                f"{step}: needs {self.title}, but {why}. {self.install} It is recognised by {recognised}"
                f"its programs on PATH ({', '.join(self.programs)})."
            )

    def versions(self) -> dict[str, str]:
        """Its version, and which calibration files there are, for the record of runs."""
        found = {self.name: self._version()}
        return found | ({"caldb": self._caldb()} if self.indexes else {})

    def _version(self) -> str:
        program = shutil.which(self.teller[0]) if self.teller else None
        if program is None:
            return self._version_of_place()
        key = (program, *self.teller, *(os.environ.get(v, "") for v in self.folders))
        if key not in _told:
            try:
                done = subprocess.run(
                    [program, *self.teller[1:]],
                    capture_output=True,
                    stdin=subprocess.DEVNULL,
                    env={**os.environ, **self.environment},
                    timeout=_LIMIT_S,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired):
                return UNKNOWN
            text = b"\n".join((done.stdout, done.stderr)).decode("utf-8", "replace")
            match = re.search(self.version, text, re.MULTILINE)
            if match is None:
                return UNKNOWN
            _told[key] = next(group for group in match.groups() if group)
        return _told[key]

    def _version_of_place(self) -> str:
        """The version that the folder of its programs is named after."""
        program = shutil.which(self.programs[0]) if self.place else None
        match = re.search(self.place, os.path.realpath(program)) if program is not None else None
        return UNKNOWN if match is None else match[1]

    def _found_indexes(self) -> list[Path]:
        return sorted(p for pattern in self.indexes for p in Path(os.environ["CALDB"]).glob(pattern))

    def _caldb(self) -> str:
        """What tells one state of the calibration files from another: their indexes."""
        place = os.environ.get("CALDB", "")
        if not place or _remote(place):
            return UNKNOWN
        digest = hashlib.sha256()
        for path in self._found_indexes():
            digest.update(path.relative_to(place).as_posix().encode())
            try:
                digest.update(path.read_bytes())
            except OSError:
                return UNKNOWN
        return digest.hexdigest()[:12]


_told: dict[tuple[str, ...], str] = {}


def _remote(place: str) -> bool:
    return "://" in place


SOFTWARE: dict[str, Software] = {
    s.name: s
    for s in (
        Software(
            "ciao",
            "CIAO",
            "Chandra",
            ("chandra_repro", "fluximage"),
            folders=("ASCDS_INSTALL",),
            parameter_files=True,
            teller=("ciaover",),
            # The first is of ciao-install, the second of a conda environment.
            version=r"\bCIAO\s+(\d+\.\d+[\w.]*)|^ciao\s+(\d+\.\d+[\w.]*)",
            indexes=("data/chandra/caldb.indx", "data/chandra/*/caldb.indx"),
            error=CIAONotFoundError,
            install="Install CIAO 4.16 or later with its CALDB "
            "(https://cxc.cfa.harvard.edu/ciao/download/) and start Python in a shell in which it has "
            "been initialised.",
            carried=("ASCDS_", "CALDB", "PFILES", "PYTHON", "CONDA_", "XPA_", "MARX"),
        ),
        Software(
            "nustardas",
            "NuSTARDAS",
            "NuSTAR",
            ("nupipeline", "nuproducts"),
            folders=("HEADAS",),
            parameter_files=True,
            teller=("fversion",),
            version=r"(\w*V\d+\.\d+\S*)",
            indexes=("data/nustar/fpm/caldb.indx",),
            error=NuSTARDASNotFoundError,
            install="Install HEASoft with NuSTARDAS and the CALDB of NuSTAR "
            "(https://heasarc.gsfc.nasa.gov/docs/software/lheasoft/) and start Python in a shell in which "
            "headas-init and caldbinit have been sourced.",
            # As HEASoft's guide for scripts has it: ask nothing, of nobody.
            environment={"HEADASNOQUERY": "", "HEADASPROMPT": "/dev/null"},
            carried=("HEADAS", "LHEA", "CALDB", "PFILES", "PYTHON", "PGPLOT", "XRDEFAULTS", "FTOOLS"),
        ),
        Software(
            "esass",
            "eSASS",
            "eROSITA",
            ("evtool", "flaregti"),
            # No command tells its version; releases are unpacked to a folder of their name.
            place=r"/(eSASS(?:4\w+|users_\d+))/",
            error=eSASSNotFoundError,
            install="Install eSASS4DR1 (https://erosita.mpe.mpg.de/dr1/eSASS4DR1/) and start Python in a "
            "shell in which its set-up script has been sourced.",
            environment={"HEADASNOQUERY": "", "HEADASPROMPT": "/dev/null"},
            carried=("SASS_", "ESASS", "CALDB", "PFILES", "HEADAS", "LHEA"),
        ),
    )
}


def require(needed: Iterable[tuple[str, str]]) -> None:
    """Refuse steps whose software is absent, before anything is run.

    Parameters
    ----------
    needed
        (name of the step, its back-end).

    Raises
    ------
    BackendSoftwareError
        Names the first step and what it needs.
    """
    for step, backend in needed:
        if backend in SOFTWARE:
            SOFTWARE[backend].require(step)
