"""The task specgroup: group the channels of a spectrum, and name its responses and background."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import FitsFile, Hdu, rewrite
from daxa.xmm.fits.schema import Column, table
from daxa.xmm.notes import fall_back
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.spectra import grouping
from daxa.xmm.spectra.ogip import open_spectrum
from daxa.xmm.task import TaskContext, task

IntArray = npt.NDArray[np.int64]
#: What follows the remainder at the end of a spectrum.
_LAST = ("addtogroup", "setbad", "owngroup")

_PARAMETERS = [
    Parameter("spectrumset", "dataset", required=True, text="spectrum"),
    Parameter("groupedset", "dataset", "SpecGrp.ds", text="grouped spectrum, to write"),
    Parameter("overwrite", "bool", False, text="put the grouping into spectrumset itself"),
    Parameter("backgndset", "dataset", "", text="spectrum of the background"),
    Parameter("rmfset", "dataset", "", text="redistribution matrix, for RESPFILE"),
    Parameter("arfset", "dataset", "", text="effective area, for ANCRFILE"),
    Parameter("addfilenames", "bool", True, text="write the names of responses and background"),
    Parameter("withCounts", "bool", True, text="whether mincounts counts"),
    Parameter("mincounts", "real", text="least counts of a group", minimum=0.0),
    Parameter("withminSN", "bool", True, text="whether minSN counts"),
    Parameter("minSN", "real", text="least signal-to-noise ratio of a group", minimum=0.0),
    Parameter("withoversampling", "bool", True, text="whether oversample counts"),
    Parameter("oversample", "real", text="no group is narrower than the resolution over this", minimum=1e-3),
    Parameter(
        "ratioabovebgnd",
        "real",
        0.0,
        text="least ratio of a group's counts to the scaled background",
        minimum=0.0,
    ),
    Parameter("withtemplate", "bool", True, text="whether grouptemplate counts"),
    Parameter("grouptemplate", "dataset", "", text="grouped spectrum whose groups are taken over"),
    Parameter("withranges", "bool", True, text="whether ranges counts"),
    Parameter("ranges", "string", "", text="groups as first-last,first-last"),
    Parameter("withRegularBins", "bool", True, text="whether regbinwid counts"),
    Parameter("regbinstart", "real", 0.0, text="where groups of one width begin"),
    Parameter("regbinend", "real", 0.0, text="where they end; 0 for the last good channel"),
    Parameter("regbinwid", "real", 0.0, text="their width", minimum=0.0),
    Parameter(
        "units", "choice", "CHAN", choices=("CHAN", "KEV"), text="unit of setbad, ranges and regular groups"
    ),
    Parameter("hightolow", "bool", False, text="begin with the highest channel"),
    Parameter(
        "lastbin", "choice", "addtogroup", choices=_LAST, text="what becomes of channels that fill no group"
    ),
    Parameter(
        "setbad", "string", "CCF", text="bad channels as first-last,first-last; CCF: those of the camera"
    ),
]


@task("specgroup", "1.7", _PARAMETERS)
def specgroup(ctx: TaskContext, p: Parameters) -> None:
    """Group the channels of a spectrum, and name its responses and background.

    Criteria add up: groups have the counts, the significance and the ratio to the background, and are then
    joined until they are wide enough.
    """
    path = ctx.path(p.spectrumset)
    file, hdu = open_spectrum(path)
    counts = np.asarray(hdu.data["COUNTS"], float)
    channels = _Channels.of(path, hdu, counts)
    quality = None
    if p.setbad.strip().upper() == "CCF" or _wants(p, "oversample"):
        quality = _quality(channels, path)
    good = _good(p, channels, quality)
    limits, last, bad = _groups(ctx, p, channels, good, quality)
    held = float(counts[good & ~bad].sum())
    if _wants(p, "mincounts") and held < p.mincounts:
        ctx.warn(
            "fewCounts", f"{path}: {held:g} counts in good channels, fewer than mincounts ({p.mincounts:g})"
        )
    grouped = grouping.columns_of(len(counts), limits, last)
    flags = np.where(good & ~bad, 0, 1)
    cards = _names(p) if p.addfilenames else {}
    target = p.spectrumset if p.overwrite else p.groupedset
    _write(ctx, file, hdu, target, {"GROUPING": grouped, "QUALITY": flags}, cards)
    ctx.info(f"{target}: {len(limits)} groups of {int((flags == 0).sum())} channels")


@dataclass(frozen=True)
class _Channels:
    """Channels of a spectrum: number of the first, counts, energies of their limits [eV], camera."""

    first: int
    counts: npt.NDArray[np.float64]
    origin_ev: float
    step_ev: float
    instrument: str

    @classmethod
    def of(cls, path: Path, hdu: Hdu, counts: npt.NDArray[np.float64]) -> _Channels:
        step = float(hdu.header.get("SPECDELT", 5.0))
        if not step > 0:
            raise TaskError("badSpectrum", f"{path}[SPECTRUM]: SPECDELT is {step:g}; a width is expected")
        first = int(hdu.data["CHANNEL"][0]) if len(counts) else 0
        return cls(first, counts, first * step, step, hdu.text("INSTRUME"))

    def energy(self, index: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Energies of lower limits [eV]."""
        return self.origin_ev + self.step_ev * np.asarray(index, float)

    def index(self, value: float, units: str) -> int:
        """Place of a channel that is given by its number or its energy."""
        if units == "KEV":
            return int(np.floor((1000 * value - self.origin_ev) / self.step_ev + 1e-6))
        return round(value) - self.first


def _quality(channels: _Channels, path: Path) -> grouping.Quality:
    try:
        quality = grouping.quality_of(channels.instrument)
    except KeyError:
        raise TaskError(
            "WrongInst",
            f"{path}[SPECTRUM]: INSTRUME is {channels.instrument!r}, not an EPIC camera; give setbad, and no "
            "oversample",
        ) from None
    fall_back(
        "measuredQuality",
        "the layout of XMM_SPECQUAL is not public: good channels and resolution are those that groups "
        "of real spectra show",
        "XMM_SPECQUAL: measuredQuality",
    )
    return quality


def _wants(p: Parameters, name: str) -> bool:
    """Whether a criterion is given, and its switch has not been turned off."""
    switches = {
        "mincounts": "withCounts", "minSN": "withminSN", "oversample": "withoversampling",
        "grouptemplate": "withtemplate", "ranges": "withranges", "regbinwid": "withRegularBins",
    }  # fmt: skip
    return p[name] not in (None, "", 0) and bool(p[switches[name]])


def _ranges(name: str, text: str) -> list[tuple[float, float]]:
    result = []
    for part in filter(None, (w.strip() for w in text.split(","))):
        match = re.fullmatch(r"([\d.]+)\s*-\s*([\d.]+)", part)
        try:
            low, high = map(float, match.groups()) if match else (1.0, 0.0)
        except ValueError:
            low, high = 1.0, 0.0
        if low > high:
            raise TaskError(
                "badParameter", f"specgroup: parameter {name}: expected first-last,..., got {part!r}"
            )
        result.append((low, high))
    return result


def _good(p: Parameters, channels: _Channels, quality: grouping.Quality | None) -> npt.NDArray[np.bool_]:
    """Which channels are good."""
    index = np.arange(len(channels.counts))
    if p.setbad.strip().upper() == "CCF" and quality is not None:
        lower = channels.energy(index)
        return (lower >= quality.low_ev) & (lower < quality.high_ev)
    good = np.ones(len(index), bool)
    for low, high in _ranges("setbad", p.setbad):
        good &= ~((index >= channels.index(low, p.units)) & (index <= channels.index(high, p.units)))
    return good


def _groups(
    ctx: TaskContext,
    p: Parameters,
    channels: _Channels,
    good: npt.NDArray[np.bool_],
    quality: grouping.Quality | None,
) -> tuple[IntArray, int, npt.NDArray[np.bool_]]:
    """First channels of the groups, the channel after the last, and which channels are bad for that."""
    places = np.flatnonzero(good)
    bad = np.zeros(len(good), bool)
    if not len(places):
        raise TaskError("noChannels", f"{ctx.path(p.spectrumset)}: no channel is good")
    start, stop = int(places[0]), int(places[-1]) + 1
    fixed = _fixed_limits(ctx, p, channels, start, stop)
    if fixed is not None:
        return fixed[0], fixed[1], bad
    limits = _limits(ctx, p, channels, slice(start, stop), quality)
    complete = int(limits[-1])
    size = stop - start
    if complete < size:  # channels that fill no group
        if p.lastbin == "setbad" and complete:
            rest = np.arange(complete, size)
            bad[(stop - 1 - rest) if p.hightolow else (start + rest)] = True
            size = complete
        elif p.lastbin == "owngroup" or len(limits) == 1:
            limits = np.append(limits, size)
        else:
            limits[-1] = size
    if p.hightolow:
        edges = np.sort(stop - limits)
    else:
        edges = start + limits
    return edges[:-1], int(edges[-1]), bad


def _limits(
    ctx: TaskContext,
    p: Parameters,
    channels: _Channels,
    part: slice,
    quality: grouping.Quality | None,
) -> IntArray:
    """Limits of groups within the good channels, counted in the direction of grouping."""
    way = -1 if p.hightolow else 1
    total = grouping._sums(channels.counts[part][::way])
    conditions: list[Callable[[int, int], bool]] = []
    if _wants(p, "mincounts"):
        conditions.append(lambda a, b: total[b + 1] - total[a] >= p.mincounts)
    if _wants(p, "minSN") or p.ratioabovebgnd:
        values, ratio = _background(ctx, p, channels)
        other = grouping._sums(values[part][::way])

        def significant(a: int, b: int) -> bool:
            source, below = total[b + 1] - total[a], other[b + 1] - other[a]
            enough = not _wants(p, "minSN") or grouping.signal_to_noise(source, below, ratio) >= p.minSN
            return bool(enough and source >= p.ratioabovebgnd * ratio * below)

        conditions.append(significant)
    size = len(total) - 1
    limits = (
        grouping.reaching(lambda a, b: all(c(a, b) for c in conditions), size)
        if conditions
        else np.arange(size + 1)
    )
    if _wants(p, "oversample") and quality is not None:
        lower = channels.energy(np.arange(part.start, part.stop))

        def least(first: int, end: int) -> float:
            # Counted from above, a group ends where its energies begin.
            width = quality.resolution(lower[size - end if p.hightolow else first])
            return float(width) / p.oversample / channels.step_ev

        limits = grouping.join(limits, least)
    return limits


def _background(
    ctx: TaskContext, p: Parameters, channels: _Channels
) -> tuple[npt.NDArray[np.float64], float]:
    """Counts of the background, and the ratio of the areas (times exposures)."""
    if not p.backgndset:
        return np.zeros(len(channels.counts)), 0.0
    own = open_spectrum(ctx.path(p.spectrumset))[1].header
    hdu = open_spectrum(ctx.path(p.backgndset))[1]
    counts = np.asarray(hdu.data["COUNTS"], float)
    if len(counts) != len(channels.counts):
        raise TaskError(
            "badSpectrum",
            f"{ctx.path(p.backgndset)}: {len(counts)} channels, the spectrum has {len(channels.counts)}",
        )

    def size(header: Any) -> float:
        return float(header.get("BACKSCAL", 1.0)) * float(header.get("EXPOSURE", 1.0))

    below = size(hdu.header)
    if not below > 0:
        raise TaskError("badSpectrum", f"{ctx.path(p.backgndset)}: BACKSCAL times EXPOSURE is {below:g}")
    return counts, size(own) / below


def _fixed_limits(
    ctx: TaskContext, p: Parameters, channels: _Channels, start: int, stop: int
) -> tuple[IntArray, int] | None:
    """First channels and end of groups that do not depend on the counts; None if none are asked for."""
    if _wants(p, "grouptemplate"):
        hdu = open_spectrum(ctx.path(p.grouptemplate))[1]
        if "GROUPING" not in hdu.columns or len(hdu.data) != len(channels.counts):
            raise TaskError(
                "badTemplate",
                f"{ctx.path(p.grouptemplate)}: a spectrum of {len(channels.counts)} channels with a column "
                "GROUPING is expected",
            )
        first = np.flatnonzero(np.asarray(hdu.data["GROUPING"]) == 1)
        return np.unique(np.clip(first[(first < stop)], start, None)), stop
    if _wants(p, "ranges"):
        inside = np.zeros(len(channels.counts), int)
        for number, (low, high) in enumerate(_ranges("ranges", p.ranges), start=1):
            inside[max(channels.index(low, p.units), 0) : channels.index(high, p.units) + 1] = number
        change = np.flatnonzero((inside[1:] != inside[:-1]) | (inside[1:] == 0)) + 1
        return np.unique(np.append(start, change[(change > start) & (change < stop)])), stop
    if _wants(p, "regbinwid"):
        width = p.regbinwid * (1000 / channels.step_ev if p.units == "KEV" else 1)
        if width < 1:
            raise TaskError(
                "badParameter", f"specgroup: parameter regbinwid: {width:g} channels are no group"
            )
        low = max(channels.index(p.regbinstart, p.units), start)
        high = min(channels.index(p.regbinend, p.units), stop) if p.regbinend else stop
        inner = np.unique(np.round(np.arange(low, high, width)).astype(np.int64))
        alone = np.concatenate([np.arange(start, low), inner, np.arange(high, stop)])
        return np.unique(alone), stop
    return None


def _names(p: Parameters) -> dict[str, str]:
    """Names of responses and background as they are given."""
    given = {"BACKFILE": p.backgndset, "RESPFILE": p.rmfset, "ANCRFILE": p.arfset}
    return {key: str(name) for key, name in given.items() if name}


def _write(
    ctx: TaskContext, file: FitsFile, hdu: Hdu, target: str, added: dict[str, IntArray], cards: dict[str, str]
) -> None:
    """The spectrum with the new columns."""
    names = [name for name in hdu.columns if name not in added]
    number = {name: i for i, name in enumerate(hdu.columns, start=1)}
    schema = []
    for name in names:
        i = number[name]
        limits = (hdu.header.get(f"TLMIN{i}"), hdu.header.get(f"TLMAX{i}"))
        schema.append(
            Column(name, str(hdu.header[f"TFORM{i}"]), str(hdu.header.get(f"TUNIT{i}", "")), *limits)
        )
    schema += [Column(name, "I") for name in added]
    new = table(schema, {**{name: hdu.data[name] for name in names}, **added}, "SPECTRUM")
    described = re.compile(r"(TTYPE|TFORM|TUNIT|TLMIN|TLMAX|TNULL|TDISP|TSCAL|TZERO)\d+")
    structure = {"XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT", "TFIELDS", "EXTNAME"}
    for card in hdu.header.copy(strip=True).cards:
        key = card.keyword
        if key not in structure and key not in ("GROUPING", *added) and not described.fullmatch(key):
            new.header.append(card)
    if "QUALITY" not in new.header:
        new.header["QUALITY"] = (0, "quality of each channel is in a column")
    for key, name in cards.items():
        new.header[key] = name
    ctx.provenance(new.header)
    with ctx.output(target) as temporary:
        rewrite(file, temporary, {hdu.index: new.tobytes()})
