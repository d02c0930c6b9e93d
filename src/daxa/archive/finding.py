"""Which products an archive has recorded, which step makes them, and why one is not there."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from daxa.archive.arguments import unknown_text
from daxa.archive.layout import Named, read_name
from daxa.exceptions import (
    MissionNotAssociatedError,
    NoProductError,
    ObsNotAssociatedError,
    WrongTypeError,
)

if TYPE_CHECKING:
    from daxa.archive.places import Places
    from daxa.archive.run import Run
    from daxa.mission import BaseMission

#: What users give as ObsIDs or instruments.
Names = str | Sequence[str] | None


class Maker(NamedTuple):
    """A process that makes a kind of product.

    Attributes
    ----------
    process
        Its name.
    key
        Pattern of the name under which its runs record the product.
    mission
        Beginning of the names of the missions that it is for.
    insts
        Instruments that it is for; empty for all.
    """

    process: str
    key: str
    mission: str
    insts: tuple[str, ...] = ()


class Product(NamedTuple):
    """A product that has been recorded.

    Attributes
    ----------
    name
        What it is of.
    kind
        What its file name says that it is.
    pixel_arcsec
        Size of its pixels, where it is not the usual one.
    path
        The file.
    run
        What has made it.
    """

    name: Named
    kind: str
    pixel_arcsec: float | None
    path: Path
    run: Run


class Wanted(NamedTuple):
    """What of an archive is asked for.

    Attributes
    ----------
    missions
        Mission -> ObsIDs.
    insts
        Instruments; None for all.
    one
        Whether one observation and one instrument are.
    """

    missions: dict[str, list[str]]
    insts: list[str] | None
    one: bool

    def __str__(self) -> str:
        obs_ids = [o for found in self.missions.values() for o in found]
        said = ", ".join(obs_ids[:3]) + (f" and {len(obs_ids) - 3} more" if len(obs_ids) > 3 else "")
        return f"{said} {', '.join(self.insts)}" if self.insts else said


def wanted(archive: Places, obs_id: Names, inst: Names, mission: BaseMission | str | None) -> Wanted:
    """What the arguments of an accessor ask for.

    Parameters
    ----------
    archive
        The archive.
    obs_id, inst
        Names of observations and instruments.
    mission
        A mission.

    Raises
    ------
    ObsNotAssociatedError, MissionNotAssociatedError
        The archive does not have one of them.
    ValueError
        An instrument is not one of the missions', or was not chosen.
    """
    names = archive.mission_names if mission is None else [mission]
    chosen = {n if isinstance(n, str) else n.name: archive.obs_ids_of(n) for n in names}
    if obs_id is not None:
        given = _names("obs_id", obs_id)
        for one in given:
            if not any(one in known for known in chosen.values()):
                raise ObsNotAssociatedError(
                    f"obs_id: {unknown_text(one, [o for k in chosen.values() for o in k])}"
                )
        chosen = {name: [o for o in known if o in given] for name, known in chosen.items()}
        chosen = {name: found for name, found in chosen.items() if found}
        if isinstance(obs_id, str) and len(chosen) > 1:
            raise MissionNotAssociatedError(
                f"mission: {obs_id} is an ObsID of {' and of '.join(chosen)}; say of which"
            )
    insts = None if inst is None else _instruments([m for m in archive.missions if m.name in chosen], inst)
    return Wanted(chosen, insts, isinstance(obs_id, str) and isinstance(inst, str))


def _names(argument: str, given: Names) -> list[str]:
    found = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    if all(isinstance(name, str) for name in found):
        return [str(name) for name in found]
    raise WrongTypeError(f"{argument}: expected text, or a list of texts, got {given!r}")


def _instruments(missions: Sequence[BaseMission], inst: Names) -> list[str]:
    there = list(dict.fromkeys(i for m in missions for i in m.chosen_instruments))
    found: list[str] = []
    for name in _names("inst", inst):
        spelled = [i for m in missions for i in m.check_inst_names(name, False, False)]
        if not set(spelled) & set(there):
            why = "was not chosen for" if spelled else "is no instrument of"
            raise ValueError(f"inst: {name!r} {why} this archive; it has {', '.join(there)}")
        found += [i for i in spelled if i in there and i not in found]
    return found


def recorded(archive: Places, makers: Sequence[Maker], what: Wanted) -> Iterator[Product]:
    """Products that the last successful runs have recorded, in the order of missions and makers.

    Parameters
    ----------
    archive
        The archive.
    makers
        What may have made them.
    what
        Of what they are.
    """
    for mission, obs_ids in what.missions.items():
        for maker in makers:
            if not mission.startswith(maker.mission):
                continue
            of_one = obs_ids[0] if len(obs_ids) == 1 else None
            for run in archive.ledger.runs(logs=False, mission=mission, process=maker.process, obs_id=of_one):
                if run.ok and run.obs_id in obs_ids:
                    yield from _of_run(archive, maker, run, what)


def _of_run(archive: Places, maker: Maker, run: Run, what: Wanted) -> Iterator[Product]:
    folder = archive.obs_folder(run.mission, run.obs_id)
    for key, value in run.extra.items():
        if not (isinstance(value, dict) and "path" in value and re.fullmatch(maker.key, key)):
            continue
        read = read_name(value["path"])
        named, kind, pixel = read or (Named(run.obs_id, run.inst or ""), Path(value["path"]).stem, None)
        insts = named.inst.split("_")
        if maker.insts and not set(insts) & set(maker.insts):
            continue
        if what.insts is None or not named.inst or set(insts) & set(what.insts):
            yield Product(named, kind, pixel, folder / value["path"], run)


def by_name(products: Iterable[Product]) -> dict[Named, Product]:
    """Products by what they are of, sorted; the first of several of one name. Files that are gone are told.

    Parameters
    ----------
    products
        The products.

    Warns
    -----
    UserWarning
        Files are gone.
    """
    found: dict[Named, Product] = {}
    gone = []
    for product in products:
        if product.path.is_file():
            found.setdefault(product.name, product)
        else:
            gone.append(str(product.path))
    if gone and found:
        more = f" and {len(gone) - 5} more" if len(gone) > 5 else ""
        warnings.warn(f"recorded, but gone: {', '.join(gone[:5])}{more}", stacklevel=4)
    elif gone:
        raise NoProductError(f"{gone[0]} is gone; the step that has made it makes it again")
    return dict(sorted(found.items(), key=lambda item: (*item[0][:3], item[0].band or (), item[0].source)))


def absent(
    archive: Places, what: str, makers: Sequence[Maker], asked: Wanted, there: Sequence[str] = ()
) -> str:
    """Why a product is not there, and what makes it.

    Parameters
    ----------
    archive
        The archive.
    what
        What was asked for, in words.
    makers
        What may make it.
    asked
        Of what.
    there
        What there is of its like.
    """
    text = f"{asked}: no {what}"
    if there:
        return f"{text}; there are: {', '.join(there)}"
    reasons: list[str] = []
    for mission, obs_ids in asked.missions.items():
        steps = [
            m
            for m in makers
            if m.mission
            and mission.startswith(m.mission)
            and (not m.insts or asked.insts is None or set(m.insts) & set(asked.insts))
        ]
        if not steps:
            reasons.append(f"no step makes such a product of {mission}")
            continue
        failed = _failure(archive, mission, obs_ids, asked.insts)
        process = steps[0].process
        if failed:
            reasons.append(failed)
        elif archive.ledger.has_run(mission, process):
            reasons.append(
                f"{process}, which makes it, has not been run on this, or had nothing to make it of"
            )
        else:
            reasons.append(f"{process} makes it, and has not been run yet: daxa.process.{process}(archive)")
    return f"{text}; {'; '.join(dict.fromkeys(reasons))}"


def _failure(archive: Places, mission: str, obs_ids: Sequence[str], insts: Sequence[str] | None) -> str:
    """The first run on data that has failed."""
    of_one = obs_ids[0] if len(obs_ids) == 1 else None
    for run in archive.ledger.runs(logs=False, mission=mission, obs_id=of_one, status="failed"):
        if run.obs_id in obs_ids and (insts is None or run.inst is None or run.inst in insts):
            why = run.errors[0]["message"] if run.errors else "see its log"
            return f"{run.process} of {run.ident} has failed: {why}"
    return ""
