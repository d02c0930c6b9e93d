"""What of an archive is out of date: made of something that has changed since, or by an older generation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from daxa._version import __version__
from daxa.archive.run import SHARED

if TYPE_CHECKING:
    from daxa.archive.ledger import Ledger

#: In place of a version: the record of a run is lost, its products are there.
REBUILT = "unknown"
#: Back-ends whose version is that of this package.
_OWN = ("embedded", "python")
Key = tuple[str, str, str]


def generation(versions: Mapping[str, str]) -> str:
    """The part of the versions that results depend on.

    Releases of the engine that differ in the last number only give the same results. Of other software every
    release counts, and the state of its calibration files, where these are not recorded by themselves.

    Parameters
    ----------
    versions
        Versions that a run was made with.
    """
    backend = versions.get("backend", "embedded")
    if backend not in _OWN:
        calibration = f", caldb {versions['caldb']}" if "caldb" in versions else ""
        return f"{backend} {versions.get(backend, 'unknown')}{calibration}"
    return "daxa " + ".".join(versions.get("daxa", "").split(".")[:2])


def stale(ledger: Ledger) -> dict[Key, str]:
    """Runs whose products are out of date: (mission, process, identifier) -> why.

    A product is out of date if one that it is made of is, was made anew with another result, or has failed
    since; if a later run on the same data did not end; or if an older generation of the engine made it.

    Parameters
    ----------
    ledger
        The archive's record.
    """
    good, newest, outputs = ledger.overview()
    inputs = ledger.product_inputs()
    here = generation({"daxa": __version__})
    found: dict[Key, str] = {}
    known: dict[Key, str] = {}
    numbers = {number for number, _ in good.values()}
    held = {(path, data) for (number, path), data in outputs.items() if number in numbers}

    def reason(key: Key) -> str:
        if key not in known:
            known[key] = ""  # nothing is made of itself; this ends a circle that cannot be
            known[key] = _reason(key)
        return known[key]

    def _reason(key: Key) -> str:
        number, versions = good[key]
        if newest[key] > number:
            return "a later run was interrupted"
        if versions.get("backend") in _OWN and generation(versions) != here:
            return f"made by DAXA {versions.get('daxa')}"
        if "backend" not in versions:
            by = versions.get("daxa", REBUILT)
            how = "the record of its making is lost" if by == REBUILT else f"made by DAXA {by}"
            return f"{how}: nothing is known of what it was made of"
        for kind, process, ident, path, data in inputs.get(number, ()):
            if kind == SHARED:
                if (path, data) not in held:
                    return f"{path} has been made anew, with another result, or is lost"
                continue
            source = (key[0], process, ident)
            if source not in good:
                return f"{process} of {ident} has failed since"
            if outputs.get((good[source][0], path)) != data:
                return f"{process} of {ident} has been made anew, with another result"
            if reason(source):
                return f"{process} of {ident} is out of date"
        return ""

    for key in good:
        if reason(key):
            found[key] = reason(key)
    return found
