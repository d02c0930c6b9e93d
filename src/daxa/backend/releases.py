"""How releases of SAS differ in what programs are called with and what they write: one table.

Steps are written for the newest release. For another one their tasks are put into its words, and the names of
the files that it writes. Looked into were releases 14 to 22; what rests on one source only is said there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from daxa.backend.contract import Task
from daxa.exceptions import SASVersionError

Release = tuple[int, ...]

#: The oldest and the newest release that were looked into.
KNOWN: tuple[Release, Release] = ((14,), (22, 1))
_OLDEST: Release = (0,)
_NEWEST: Release = (1000,)
_NUMBERS = re.compile(r"(?:^|-)(\d{2})\.(\d+)(?:\.(\d+))?(?=$|-)", re.ASCII)


class Apart(NamedTuple):
    """A second list that needs a run of its own, before that on the first.

    Attributes
    ----------
    switch, second
        Parameters of today that ask for the second list, and name it.
    first
        The parameter that names the only list then.
    ending, made
        End of the name of the file made of the second list today; the file then.
    """

    switch: str
    second: str
    first: str
    ending: str
    made: str


@dataclass(frozen=True)
class Difference:
    """What a program of some releases wants otherwise than that of today.

    Attributes
    ----------
    task
        The program.
    since, until
        The first release it holds for, and the first one it does not.
    said
        The difference in words, for the documentation.
    absent
        The program does not exist.
    renamed
        Parameter of today -> its name then.
    lacking
        Parameters that did not exist.
    added
        Parameter -> value that has to be given.
    files
        End of the name of a file today -> its name then, with ``{stem}`` for what is before that end,
        ``{ident}`` for ObsID, instrument and exposure, and the task's parameters in braces.
    apart
        What the program of today makes of a second list, and that of then only in a run of its own.
    """

    task: str
    since: Release = _OLDEST
    until: Release = _NEWEST
    said: str = ""
    absent: bool = False
    renamed: Mapping[str, str] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()
    added: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    apart: Apart | None = None

    def holds(self, release: Release) -> bool:
        """Whether it is one of a release.

        Parameters
        ----------
        release
            Its numbers.
        """
        return self.since <= release < self.until


#: Sources: a complete log of espfilt 4.3 (SAS 20), manuals of espfilt 2.4 to 5.1 (SAS 15 to 22), public
#: scripts that call it with SAS 14 to 21, the manual of emanom (SAS 19), reports on epchain of SAS 21.0.0.
TABLE: tuple[Difference, ...] = (
    Difference(
        "espfilt",
        until=(20,),
        said="the list is `eventset`, energies are `specchanmin` and `specchanmax`; no `rangescale`, "
        "`allowsigma`, `limits`; the list of out-of-time events is screened by itself; files are "
        "`P<ObsID><camera><exposure>-gti.FIT`, `-objevlifilt.FIT`, `-hist.qdp`",
        renamed={"eventfile": "eventset", "elow": "specchanmin", "ehigh": "specchanmax"},
        # Assumed: no public call of these releases has them.
        lacking=("rangescale", "allowsigma", "limits"),
        files={
            "-gti.fits": "P{ident}-gti.FIT",
            "-allevc.fits": "P{ident}-objevlifilt.FIT",
            "-hist.qdp": "P{ident}-hist.qdp",
        },
        apart=Apart("withoot", "ootfile", "eventfile", "-allevcoot.fits", "P{ident}-objevlifilt.FIT"),
    ),
    Difference(
        "espfilt",
        since=(20,),
        until=(21,),
        said="`withlongnames=yes`: names of files end with the energies, but for that of out-of-time events",
        added={"withlongnames": "yes"},
        files={
            "-gti.fits": "{stem}-gti-{elow}-{ehigh}.fits",
            "-allevc.fits": "{stem}-allevc-{elow}-{ehigh}.fits",
            "-hist.qdp": "{stem}-hist-{elow}-{ehigh}.qdp",
        },
    ),
    Difference("emanom", until=(19,), said="does not exist", absent=True),
    Difference(
        "epchain",
        since=(21, 0, 0),
        until=(21, 0, 1),
        said="`runradmonfix=N`: the program radmonfix, which it calls, was left out of the release",
        added={"runradmonfix": "N"},
    ),
)


@dataclass(frozen=True)
class Calls:
    """Tasks in the words of a release.

    Attributes
    ----------
    outputs, optional
        As those of a job.
    renames
        Place of a task -> {name of a file: other name}, done after that task.
    notes
        What users should know of the difference.
    """

    tasks: list[Task]
    outputs: dict[str, str]
    optional: frozenset[str]
    renames: dict[int, dict[str, str]]
    notes: list[str]


def release_of(version: str) -> Release | None:
    """The numbers of a release; None for what tells none, such as the embedded engine.

    Parameters
    ----------
    version
        As programs of SAS print it.

    Examples
    --------
    >>> release_of("xmmsas_20211130_0941-20.0.0"), release_of("22.1.0-a8f2c2afa-20250304")
    ((20, 0, 0), (22, 1, 0))
    """
    match = None if "-daxa-" in version else _NUMBERS.search(version)
    return None if match is None else tuple(int(number or 0) for number in match.groups())


def differences(version: str) -> list[Difference]:
    """How the programs of a release are called otherwise than those of the newest.

    Parameters
    ----------
    version
        As programs of SAS print it.
    """
    release = release_of(version)
    return [d for d in TABLE if release is not None and d.holds(release)]


def refuse_absent(names: Iterable[str], version: str) -> None:
    """Refuse tasks that a release does not have, before anything is run.

    Parameters
    ----------
    names
        Names of tasks.
    version
        As programs of SAS print it.

    Raises
    ------
    SASVersionError
        Names the task and the first release that has it.
    """
    wanted = set(names)
    for difference in differences(version):
        if difference.absent and difference.task in wanted:
            since = ".".join(map(str, difference.until))
            raise SASVersionError(f"{difference.task}: SAS has it since release {since}; this is {version}")


def calls_of(
    version: str, ident: str, tasks: Sequence[Task], outputs: Mapping[str, str], optional: Iterable[str] = ()
) -> Calls:
    """Put tasks into the words of a release.

    Parameters
    ----------
    version
        As programs of SAS print it; one that tells no release takes what the newest takes.
    ident
        ObsID, instrument and exposure in one.
    tasks, outputs, optional
        As steps give them.
    """
    known = differences(version)
    found = Calls([], dict(outputs), frozenset(optional), {}, [])
    for task in tasks:
        put = task
        for difference in (d for d in known if d.task == task.name):
            found = _with_files(found, difference, ident, put)
            put = _put(put, difference, ident, found)
            if lacking := [name for name in difference.lacking if name in task.parameters]:
                text = f"{task.name} of SAS {version} has no {', '.join(lacking)}; its own values hold"
                found.notes.append(text)
        found.tasks.append(put)
    return found


def _with_files(calls: Calls, difference: Difference, ident: str, task: Task) -> Calls:
    """Calls with the names of files that a task writes under in a release."""
    names = {}
    for ending, name in difference.files.items():
        for today in calls.outputs:
            if today.endswith(ending):
                stem = today.removesuffix(ending)
                names[today] = name.format(**{**task.parameters, "stem": stem, "ident": ident})
    outputs = {names.get(name, name): path for name, path in calls.outputs.items()}
    optional = frozenset(names.get(name, name) for name in calls.optional)
    return replace(calls, outputs=outputs, optional=optional)


def _put(task: Task, difference: Difference, ident: str, calls: Calls) -> Task:
    """A task in the words of a release; one that has to be run before it is added to the calls."""
    given = dict(task.parameters)
    if difference.apart is not None:
        apart = difference.apart
        given.pop(apart.switch, None)
        second = given.pop(apart.second, None)
        made = [name for name in calls.outputs if name.endswith(apart.ending)]
        if second is not None and made:
            calls.renames[len(calls.tasks)] = {apart.made.format(ident=ident): made[0]}
            calls.tasks.append(Task(task.name, **_renamed({**given, apart.first: second}, difference)))
    return Task(task.name, **_renamed(given, difference))


def _renamed(given: Mapping[str, str], difference: Difference) -> dict[str, str]:
    kept = {k: v for k, v in given.items() if k not in difference.lacking}
    return {difference.renamed.get(k, k): v for k, v in kept.items()} | dict(difference.added)
