"""The task especget: spectra of a source and its background, with responses, in one call."""

from __future__ import annotations

import os
import re
from pathlib import Path

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import FitsFile, set_keywords
from daxa.xmm.formats.instruments import TELESCOPES
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.spectra.ogip import opened
from daxa.xmm.task import TaskContext, task

_PATTERNS = {"EPN": 4, "EMOS1": 12, "EMOS2": 12}
#: Last PI channel.
_LAST_PI = {"EPN": 20479, "EMOS1": 11999, "EMOS2": 11999}
_WIDTH_EV = 5
#: What arfgen does not need of what it takes.
_OF_ARFGEN = "as for arfgen"

_PARAMETERS = [
    Parameter("table", "dataset", required=True, text="event list"),
    Parameter("srcexp", "string", required=True, text="selection of the source"),
    Parameter("backexp", "string", required=True, text="selection of the background"),
    Parameter("withfilestem", "bool", True, text="name all files after filestem"),
    Parameter("filestem", "string", "myfiles", text="beginning of the names of all files"),
    Parameter("srcspecset", "dataset", "src.ds", text="spectrum of the source, without filestem"),
    Parameter("bckspecset", "dataset", "bgd.ds", text="spectrum of the background, without filestem"),
    Parameter("srcarfset", "dataset", "src.arf", text="effective area, without filestem"),
    Parameter("srcrmfset", "dataset", "src.rmf", text="redistribution matrix, without filestem"),
    Parameter("witharfset", "bool", False, text="take the area of arfset, and make none"),
    Parameter("arfset", "dataset", "", text="effective area that is there"),
    Parameter("withrmfset", "bool", False, text="take the matrix of rmfset, and make none"),
    Parameter("rmfset", "dataset", "", text="redistribution matrix that is there"),
    Parameter("extendedsource", "bool", False, text="the source is not a point"),
    Parameter("withbadpixcorr", "bool", True, text="with what gaps and bad pixels take away"),
    Parameter(
        "useodfatt", "bool", False, text="attitude of the ODF", only="the mean pointing of the header is used"
    ),
    Parameter("detxbins", "int", 5, text="columns of the map", without_effect=_OF_ARFGEN),
    Parameter("detybins", "int", 5, text="rows of the map", without_effect=_OF_ARFGEN),
]


@task("especget", "1.6", _PARAMETERS)
def especget(ctx: TaskContext, p: Parameters) -> None:
    """Make the spectra of a source and its background, with responses, and let them name each other.

    Patterns and flags are selected where the expressions do not say which. The spectra name files in their
    own folder without it, so that the folder can be moved.
    """
    path = ctx.path(p.table)
    instrument = _camera(path)
    names = _names(p)
    for kind, expression in (("src", p.srcexp), ("bgd", p.backexp)):
        ctx.call(
            "evselect",
            table=f"{path}:EVENTS",
            spectrumset=names[kind],
            energycolumn="PI",
            spectralbinsize=_WIDTH_EV,
            withspecranges=True,
            specchannelmin=0,
            specchannelmax=_LAST_PI[instrument],
            expression=_whole(expression, instrument),
        )
        location = {"badpixlocation": str(path), "withbadpixcorr": p.withbadpixcorr}
        ctx.call("backscale", spectrumset=names[kind], **location)
    rmf = _matrix(ctx, p, names)
    arf = _area(ctx, p, names, rmf, str(path))
    _link(ctx, names, {"RESPFILE": rmf, "ANCRFILE": arf, "BACKFILE": names["bgd"]})
    ctx.info(
        f"{names['src']}: {_counts(ctx, names['src'])} counts, {names['bgd']}: {_counts(ctx, names['bgd'])}"
    )


def _camera(path: Path) -> str:
    file = opened(path)
    if "EVENTS" not in file:
        raise TaskError("noEvents", f"{path}: no extension EVENTS")
    instrument = str(file["EVENTS"].header.get("INSTRUME", file[0].header.get("INSTRUME", ""))).strip()
    if instrument not in TELESCOPES:
        raise TaskError("WrongInst", f"{path}: INSTRUME is {instrument!r}, not an EPIC camera")
    return instrument


def _names(p: Parameters) -> dict[str, str]:
    """Names of the files that are made."""
    if p.withfilestem:
        endings = {"src": "_src.ds", "bgd": "_bgd.ds", "arf": "_src.arf", "rmf": "_src.rmf"}
        return {kind: f"{p.filestem}{ending}" for kind, ending in endings.items()}
    return {"src": p.srcspecset, "bgd": p.bckspecset, "arf": p.srcarfset, "rmf": p.srcrmfset}


def _whole(expression: str, instrument: str) -> str:
    """An expression with patterns and flags, where it does not have its own.

    Examples
    --------
    >>> _whole("(X,Y) IN circle(1,2,3)", "EPN")
    '((X,Y) IN circle(1,2,3)) && (PATTERN <= 4) && (FLAG == 0)'
    >>> _whole("#XMMEA_EM && PATTERN == 0", "EMOS1")
    '(#XMMEA_EM && PATTERN == 0)'
    """
    parts = [f"({expression})"]
    if not re.search(r"\bPATTERN\b", expression, re.IGNORECASE):
        parts.append(f"(PATTERN <= {_PATTERNS[instrument]})")
    if not re.search(r"\bFLAG\b|#XMMEA_", expression, re.IGNORECASE):
        parts.append("(FLAG == 0)" if instrument == "EPN" else "#XMMEA_EM")
    return " && ".join(parts)


def _matrix(ctx: TaskContext, p: Parameters, names: dict[str, str]) -> str:
    if p.withrmfset:
        return _given(ctx, "rmfset", p.rmfset)
    form = {"detmaptype": "flat" if p.extendedsource else "psf", "extendedsource": p.extendedsource}
    ctx.call("rmfgen", spectrumset=names["src"], rmfset=names["rmf"], **form)
    return names["rmf"]


def _area(ctx: TaskContext, p: Parameters, names: dict[str, str], rmf: str, events: str) -> str:
    if p.witharfset:
        return _given(ctx, "arfset", p.arfset)
    given = {
        "spectrumset": names["src"],
        "arfset": names["arf"],
        "withrmfset": True,
        "rmfset": rmf,
        "badpixlocation": events,
        "withbadpixcorr": p.withbadpixcorr,
        "extendedsource": p.extendedsource,
        "detmaptype": "flat" if p.extendedsource else "psf",
    }
    ctx.call("arfgen", **given)
    return names["arf"]


def _given(ctx: TaskContext, name: str, value: str) -> str:
    """A file that is there already."""
    if not value:
        raise TaskError("badParameter", f"especget: with{name}=yes needs {name}, the file to take")
    opened(ctx.path(value))
    return value


def _link(ctx: TaskContext, names: dict[str, str], files: dict[str, str]) -> None:
    """Name files in the spectrum of the source: those of its folder without it."""
    spectrum = ctx.path(names["src"])
    cards = {}
    for key, name in files.items():
        path = ctx.path(name)
        same = path.parent.resolve() == spectrum.parent.resolve()
        cards[key] = path.name if same else os.path.relpath(path, spectrum.parent)
    set_keywords(spectrum, "SPECTRUM", cards)


def _counts(ctx: TaskContext, name: str) -> int:
    return int(FitsFile(ctx.path(name))["SPECTRUM"].data["COUNTS"].sum())
