"""The origin of a product as a document of W3C PROV.

Entities are products, raw files and calibration files; activities the runs that made products, with their
times, commands and back-ends; agents the software. The package ``prov`` writes it as PROV-JSON and PROV-N.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any
from urllib.parse import quote

from daxa.archive.provenance import Origin
from daxa.exceptions import DAXAError

FORMATS = ("json", "n")
#: Of attributes that PROV has no name for.
_NAMESPACE = "urn:daxa:provenance:"
#: What the local part of a name may have in every notation.
_SAFE = "/@+-._~"


def as_prov(origin: Origin, notation: str) -> str:
    """An origin in a notation of PROV.

    Parameters
    ----------
    origin
        What to tell.
    notation : {"json", "n"}
        PROV-JSON or PROV-N.

    Raises
    ------
    ValueError
        It is none of these.
    DAXAError
        The package ``prov`` is not installed.
    """
    if notation not in FORMATS:
        raise ValueError(f"prov: expected one of {', '.join(FORMATS)}, got {notation!r}")
    document = _Document().of(origin)
    return document.get_provn() if notation == "n" else document.serialize(format="json", indent=1)


class _Document:
    """A document under way; every entity, activity and agent is in it once."""

    def __init__(self) -> None:
        try:
            from prov import model
        except ImportError:
            raise DAXAError(
                "W3C PROV needs the package prov, which is not installed: pip install prov"
            ) from None
        self.model = model
        self.document = model.ProvDocument()
        self.document.add_namespace("daxa", _NAMESPACE)
        self._made: dict[str, Any] = {}

    def of(self, origin: Origin) -> Any:
        self._entity(origin)
        return self.document

    def _entity(self, origin: Origin) -> Any:
        if origin.kind != "product":
            return self._collection(origin)
        path = os.path.normpath(os.path.join(origin.obs_id, origin.name)).replace("../", "")
        name = f"product/{path}@{(origin.sha256 or origin.data)[:12]}"
        if name in self._made:
            return self._made[name]
        said = {"prov:label": origin.name, "daxa:sha256": origin.sha256, "daxa:data": origin.data}
        entity = self._made[name] = self._new("entity", name, {**said, "daxa:note": origin.note})
        if not origin.number:
            return entity
        activity = self._activity(origin)
        self.document.wasGeneratedBy(entity, activity, _time(origin.ended))
        for part in origin.made_of:
            source = self._entity(part)
            self._once("used", activity, source)
            self._once("wasDerivedFrom", entity, source)
        return entity

    def _collection(self, origin: Origin) -> Any:
        """Raw or calibration files, which a run uses together."""
        name = f"{origin.kind}/{origin.obs_id or 'files'}@{origin.data[:12]}"
        if name in self._made:
            return self._made[name]
        said = {"prov:label": origin.name, "daxa:state": origin.data, "daxa:note": origin.note}
        kind = {"prov:type": self.model.PROV["Collection"]}
        entity = self._made[name] = self._new("entity", name, {**said, **kind})
        about = "daxa:md5" if origin.kind == "calibration" else "daxa:size"
        for file, value in origin.files.items():
            place = f"{origin.kind}/{file}" if origin.kind == "calibration" else f"raw/{origin.obs_id}/{file}"
            member = self._new("entity", f"{place}@{value[:12]}", {"prov:label": file, about: value})
            self.document.hadMember(entity, member)
        return entity

    def _activity(self, origin: Origin) -> Any:
        name = f"run/{origin.by.replace(' ', '/')}@{origin.number}"
        if name in self._made:
            return self._made[name]
        said = [("prov:label", origin.by), ("daxa:backend", origin.backend)]
        # Numbered, as the values of an attribute have no order.
        said += [(f"daxa:command{n}", c) for n, c in enumerate(origin.commands, start=1)]
        activity = self._made[name] = self.document.activity(
            f"daxa:{quote(name, safe=_SAFE)}", _time(origin.started), _time(origin.ended), said
        )
        for software, version in origin.versions.items():
            if software != "backend":
                self.document.wasAssociatedWith(activity, self._agent(software, version))
        return activity

    def _agent(self, software: str, version: str) -> Any:
        name = f"software/{software}@{version}"
        if name not in self._made:
            kind = {"prov:type": self.model.PROV["SoftwareAgent"]}
            said = {"prov:label": software, "daxa:version": version, **kind}
            self._made[name] = self._new("agent", name, said)
        return self._made[name]

    def _new(self, what: str, name: str, said: dict[str, Any]) -> Any:
        known = {key: value for key, value in said.items() if value}
        return getattr(self.document, what)(f"daxa:{quote(name, safe=_SAFE)}", known)

    def _once(self, relation: str, one: Any, other: Any) -> None:
        key = f"{relation} {one.identifier} {other.identifier}"
        if key not in self._made:
            self._made[key] = getattr(self.document, relation)(one, other)


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
