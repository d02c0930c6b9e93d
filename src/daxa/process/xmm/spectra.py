"""Spectra of sources, with their backgrounds and responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from daxa.archive import layout
from daxa.backend.contract import Task
from daxa.exceptions import NoDependencyProcessError
from daxa.process.arguments import check_band
from daxa.process.options import Running, StepOptions, argument
from daxa.process.public import public
from daxa.process.runner import run_steps
from daxa.process.step import EPIC, Piece, Recipe, Step
from daxa.process.xmm.setup import ALLOWED
from daxa.process.xmm.source_places import (
    Place,
    PlaceOptions,
    check_sources,
    known_sources,
    region_task,
)

if TYPE_CHECKING:
    from pathlib import Path

    from astropy.units import Quantity

    from daxa.archive import Archive

#: Last channel of 1 eV of a spectrum, width of its channels [eV], and greatest pattern, by the camera.
_LAST_PI = {"PN": 20479, "M1": 11999, "M2": 11999}
_WIDTH_EV = 5
_PATTERNS = {"PN": (0, 4), "M1": (0, 12), "M2": (0, 12)}
#: Side of the pixels of images of extended sources on the detector [0.05 arcsec].
_DETECTOR_BIN = 100


@dataclass(frozen=True, eq=False)
class MatrixOptions(StepOptions):
    """Options of `generate_matrices`."""

    patterns: Any = argument(
        None,
        "Greatest PATTERN, or the least and the greatest; 0 to 4 of the pn and 0 to 12 of MOS by default.",
    )

    def check(self) -> None:
        super().check()
        _ = self.pattern_limits

    @cached_property
    def pattern_limits(self) -> tuple[int, int] | None:
        """Least and greatest pattern; None for those of each camera."""
        if self.patterns is None:
            return None
        pair = (0, self.patterns) if isinstance(self.patterns, int) else tuple(self.patterns)
        whole = len(pair) == 2 and all(isinstance(p, int) and not isinstance(p, bool) for p in pair)
        if not whole or not 0 <= pair[0] <= pair[1] <= 12:
            raise ValueError(f"patterns: expected a number or two, from 0 to 12, got {self.patterns!r}")
        return pair[0], pair[1]

    def patterns_of(self, inst: str) -> tuple[int, int]:
        """Least and greatest pattern of a camera.

        Parameters
        ----------
        inst
            The camera.
        """
        return self.pattern_limits or _PATTERNS[inst]


@dataclass(frozen=True, eq=False)
class SpectrumOptions(MatrixOptions, PlaceOptions):
    """Options of `generate_spectra`."""

    extended: bool | None = argument(
        None, "Whether the sources are not points; by default those that `find_sources` calls extended."
    )
    lo_en: Quantity | None = argument(
        None, "Lower limit of the good channels; that of the camera by default."
    )
    hi_en: Quantity | None = argument(None, "Upper limit of the good channels.")
    min_counts: float | None = argument(20, "Least counts of a group; None for no such groups.")
    oversample: float | None = argument(
        3.0, "No group is narrower than the resolution over this; None for no such limit."
    )

    def check(self) -> None:
        super().check()
        for name in ("min_counts", "oversample"):
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if value is not None and not (number and value > 0):
                raise ValueError(f"{name}: expected a number above 0 or None, got {value!r}")
        if self.extended not in (None, True, False):
            raise TypeError(f"extended: expected True, False or None, got {self.extended!r}")
        _ = self.band_ev

    @cached_property
    def band_ev(self) -> tuple[int, int] | None:
        """Limits of the good channels [eV]."""
        return check_band(self.lo_en, self.hi_en)

    @property
    def wide(self) -> bool | None:
        return self.extended

    def given(self) -> dict[str, Any]:
        given = super().given()
        if isinstance(self.patterns, (list, tuple)):
            given["patterns"] = list(self.patterns)
        return given


def _exposures(piece: Piece) -> dict[str, tuple[str, str]]:
    """Sub-exposures of a camera that have a clean list: filter and mode of each."""
    found = piece.records.of(piece.mission.name, piece.obs_id)
    used = {
        str(run.exp_id)
        for (process, _), (run, _) in found.items()
        if process == "cleaned_evt_lists" and run is not None and run.ok and run.inst == piece.inst
    }
    summary = piece.records.observation(piece.mission.name, piece.obs_id)["summary"] or {}
    known = summary.get(piece.inst, {}).get("exposures", {})
    return {e: (str(known.get(e, {}).get("filter")), str(known.get(e, {}).get("mode"))) for e in sorted(used)}


def _apart(piece: Piece) -> list[str | None]:
    """Sub-exposures that have responses of their own; None stands for all together."""
    exposures = _exposures(piece)
    return [None] if len(set(exposures.values())) < 2 else list(exposures)


def _note(piece: Piece, options: MatrixOptions) -> str | None:
    if piece.exp_id is None:
        return None
    kinds = ", ".join(f"{e} {f} {m}" for e, (f, m) in _exposures(piece).items())
    return (
        f"{piece.obs_id} {piece.inst}: the sub-exposures are kept apart, as they have different responses "
        f"({kinds})"
    )


def _list(piece: Piece) -> Path:
    """The event list of a piece."""
    whole = f"{piece.obs_id}{piece.inst}"
    if piece.exp_id is None:
        return piece.made("merge_subexposures", "final", ident=whole)
    return piece.made("cleaned_evt_lists", "evt_list", ident=f"{whole}{piece.exp_id}")


def _patterns_name(inst: str, options: MatrixOptions) -> str:
    low, high = options.patterns_of(inst)
    return f"pat{low}_{high}"


def _spectrum(events: Path, name: str, inst: str, options: MatrixOptions, region: str = "") -> Task:
    low, high = options.patterns_of(inst)
    where = f" && region({region})" if region else ""
    return Task(
        "evselect",
        table=f"{events}:EVENTS",
        spectrumset=name,
        energycolumn="PI",
        spectralbinsize=_WIDTH_EV,
        withspecranges=True,
        specchannelmin=0,
        specchannelmax=_LAST_PI[inst],
        expression=f"(PATTERN in [{low}:{high}]) && (FLAG == 0){where}",
    )


def _matrix(piece: Piece, options: MatrixOptions) -> Recipe:
    inst, events = str(piece.inst), _list(piece)
    path = layout.spectral_file(piece.obs_id, inst, piece.exp_id, piece.part, "rmf")
    tasks = [
        _spectrum(events, "whole.fits", inst, options),
        Task("rmfgen", spectrumset="whole.fits", rmfset="rmf.fits", detmaptype="flat", extendedsource=True),
    ]
    return Recipe(tasks, {"rmf.fits": path}, env=piece.environment(summary=False), files={"rmf": path})


def _matrices(piece: Piece, options: MatrixOptions) -> list[Piece]:
    return [piece.split(_patterns_name(str(piece.inst), options), e) for e in _apart(piece)]


def _sources(piece: Piece, options: SpectrumOptions) -> list[Piece]:
    return [piece.split(place.name, e) for e in _apart(piece) for place in options.places_of(piece)]


def _matrix_of(piece: Piece, options: MatrixOptions) -> Path:
    whole = f"{piece.obs_id}{piece.inst}{piece.exp_id or ''}"
    name = _patterns_name(str(piece.inst), options)
    return piece.made("generate_matrices", "rmf", ident=f"{whole}-{name}")


def _of_source(piece: Piece, options: SpectrumOptions) -> Recipe:
    inst, events = str(piece.inst), _list(piece)
    place = next(p for p in options.places_of(piece) if p.name == piece.part)
    matrix = _matrix_of(piece, options)
    paths = {
        kind: layout.spectral_file(piece.obs_id, inst, piece.exp_id, piece.part, kind)
        for kind in ("spectrum", "background", "arf", "source", "around")
    }
    # Tasks write the names of files into headers: here as in the archive, where all are in one folder.
    names = {kind: path.rpartition("/")[2] for kind, path in paths.items()}
    source, background, arf = names["spectrum"], names["background"], names["arf"]
    tasks = [
        region_task(
            str(events),
            place,
            known_sources(piece),
            options.background_text,
            names["source"],
            names["around"],
        ),
        _spectrum(events, source, inst, options, names["source"]),
        _spectrum(events, background, inst, options, names["around"]),
        *(Task("backscale", spectrumset=n, badpixlocation=str(events)) for n in (source, background)),
        *_area(place, events, matrix, source, arf, names["source"]),
        Task(
            "specgroup",
            spectrumset=source,
            overwrite=True,
            backgndset=background,
            rmfset=str(matrix),
            arfset=arf,
            **_grouping(inst, options),
        ),
    ]
    return Recipe(
        tasks,
        {names[kind]: path for kind, path in paths.items()},
        env=piece.environment(summary=False),
        files=paths,
        settings={"source": piece.part, "ra": round(place.ra, 6), "dec": round(place.dec, 6)},
    )


def _area(place: Place, events: Path, matrix: Path, source: str, arf: str, region: str) -> list[Task]:
    """The tasks that make the area."""
    given: dict[str, Any] = {
        "spectrumset": source,
        "arfset": arf,
        "withrmfset": True,
        "rmfset": str(matrix),
        "badpixlocation": str(events),
        "extendedsource": place.extended,
    }
    if not place.extended:
        where = {"sourcex": round(place.ra, 7), "sourcey": round(place.dec, 7)}
        return [Task("arfgen", **given, detmaptype="psf", withsourcepos=True, sourcecoords="eqpos", **where)]
    image = Task(
        "evselect",
        table=f"{events}:EVENTS",
        imageset="detmap.fits",
        xcolumn="DETX",
        ycolumn="DETY",
        imagebinning="binSize",
        ximagebinsize=_DETECTOR_BIN,
        yimagebinsize=_DETECTOR_BIN,
        expression=f"region({region})",
    )
    return [image, Task("arfgen", **given, detmaptype="dataset", detmaparray="detmap.fits")]


def _grouping(inst: str, options: SpectrumOptions) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if options.min_counts is not None:
        given["mincounts"] = options.min_counts
    if options.oversample is not None:
        given["oversample"] = options.oversample
    if options.band_ev is not None:
        low, high = (round(e / _WIDTH_EV) for e in options.band_ev)
        last = (_LAST_PI[inst] + 1) // _WIDTH_EV - 1
        bad = [(0, low - 1), (min(high, last + 1), last)]
        given["setbad"] = ",".join(f"{a}-{b}" for a, b in bad if a <= b) or "CCF"
    return given


GENERATE_MATRICES = Step(
    "generate_matrices",
    "Generating redistribution matrices",
    "instrument",
    _matrix,
    instruments=EPIC,
    needs=lambda inst, options: ("merge_subexposures",),
    note=_note,
    parts=_matrices,
    backend="embedded",
)
GENERATE_SPECTRA = Step(
    "generate_spectra",
    "Generating spectra",
    "instrument",
    _of_source,
    instruments=EPIC,
    needs=lambda inst, options: ("merge_subexposures", "generate_matrices"),
    parts=_sources,
    # The tasks of SAS have not been tried with these calls.
    backend="embedded",
)


def _check(archive: Archive, names: Sequence[str]) -> None:
    """Refuse what builds on a step that was never run."""
    missions = [m for m in archive.missions if m.name in ALLOWED]
    if missions and not any(archive.ledger.runs(process="merge_subexposures", logs=False)):
        raise NoDependencyProcessError(
            f"{names[0]}: merge_subexposures must be run on {missions[0].name} first"
        )


@public(MatrixOptions)
def generate_matrices(obs_archive: Archive, options: MatrixOptions, running: Running) -> None:
    """Make the redistribution matrix of each camera, which spectra of all sources share (task rmfgen).

    Needs `merge_subexposures`. Sub-exposures of other filters or modes have matrices of their own.
    `generate_spectra` makes them itself.

    Examples
    --------
    >>> daxa.generate_matrices(archive)
    """
    run_steps(obs_archive, [(GENERATE_MATRICES, options)], ALLOWED, running)


@public(
    SpectrumOptions,
    order=(
        *("positions", "radius", "regions", "background", "extended", "lo_en", "hi_en", "patterns"),
        *("min_counts", "oversample", "num_cores", "disable_progress", "timeout", "executor"),
    ),
)
def generate_spectra(obs_archive: Archive, options: SpectrumOptions, running: Running) -> None:
    """Make the spectra of sources: of each camera, with background, area and matrix, grouped.

    Needs `merge_subexposures`. Each source of each camera is a run of its own, named by its position; other
    sources stay as they are. The files lie together in the observation's ``spectra``, and name each other, so
    that a fitting program opens a spectrum with all that belongs to it from there.

    Examples
    --------
    >>> from astropy.units import Quantity
    >>> daxa.generate_spectra(archive, [149.59, -11.06], Quantity(60, "arcsec"), extended=True)
    """
    _check(obs_archive, ("generate_spectra",))
    argument = "positions" if options.regions is None else "regions"
    check_sources(obs_archive, "generate_spectra", argument, options.places)
    matrices = MatrixOptions(options.patterns)
    run_steps(obs_archive, [(GENERATE_MATRICES, matrices), (GENERATE_SPECTRA, options)], ALLOWED, running)
