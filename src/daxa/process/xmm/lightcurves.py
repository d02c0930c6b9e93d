"""Light curves of sources, corrected for what the cameras have lost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from daxa.archive import layout
from daxa.backend.contract import Task
from daxa.exceptions import NoDependencyProcessError
from daxa.process.arguments import check_bands, check_bool, check_quantity
from daxa.process.options import Running, argument
from daxa.process.public import public
from daxa.process.runner import run_steps
from daxa.process.step import EPIC, Piece, Recipe, Step
from daxa.process.xmm.generate import check_within
from daxa.process.xmm.setup import ALLOWED
from daxa.process.xmm.source_places import (
    Place,
    PlaceOptions,
    check_sources,
    known_sources,
    region_task,
)

if TYPE_CHECKING:
    from astropy.units import Quantity

    from daxa.archive import Archive

#: Greatest PATTERN that counts, and name of the macro for good events, by the camera.
_SELECTED = {"PN": (4, "#XMMEA_EP"), "M1": (12, "#XMMEA_EM"), "M2": (12, "#XMMEA_EM")}
#: Band [keV] and length of bins [s] without others.
_BAND, _BIN_S = (0.5, 10.0), 100.0
#: Shortest and longest bin [s].
_BINS = (0.01, 1e6)


@dataclass(frozen=True, eq=False)
class LightcurveOptions(PlaceOptions):
    """Options of `generate_lightcurves`."""

    lo_en: Quantity | None = argument(None, "Lower energies of the bands; 0.5 keV by default.")
    hi_en: Quantity | None = argument(None, "Upper energies of the bands; 10.0 keV by default.")
    time_bin: Quantity | None = argument(None, "Length of the bins; 100 s by default.")
    on_axis: bool = argument(
        True, "Give the rates that the camera would see on its axis with all the light; else those seen."
    )
    barycentre: bool = argument(
        False,
        "Correct times to the barycentre of the solar system, for each source; without an orbit file that "
        "can be read, to 0.4 s.",
    )

    def check(self) -> None:
        super().check()
        check_bool("on_axis", self.on_axis)
        check_bool("barycentre", self.barycentre)
        _ = self.bands, self.bin_s

    @property
    def limits(self) -> tuple[Quantity, Quantity]:
        """Lower and upper energies of the bands."""
        from astropy.units import Quantity

        low, high = (Quantity([e], "keV") for e in _BAND)
        return low if self.lo_en is None else self.lo_en, high if self.hi_en is None else self.hi_en

    @cached_property
    def bands(self) -> list[tuple[float, float]]:
        """The bands [keV]."""
        return check_bands(*self.limits)

    @cached_property
    def bin_s(self) -> float:
        """Length of the bins [s]."""
        if self.time_bin is None:
            return _BIN_S
        seconds = check_quantity("time_bin", self.time_bin, "s")
        if not _BINS[0] <= seconds <= _BINS[1]:
            raise ValueError(f"time_bin: expected {_BINS[0]:g} to {_BINS[1]:g} s, got {self.time_bin}")
        return seconds

    def name_of(self, place: Place, band: tuple[float, float]) -> str:
        """What of a camera a curve is.

        Parameters
        ----------
        place
            The source.
        band
            The band [keV].
        """
        return layout.curve_name(place.name, band, self.bin_s, barycentre=self.barycentre)

    def ending(self, band: tuple[float, float]) -> str:
        """How the names of the curves of a band end.

        Parameters
        ----------
        band
            The band [keV].
        """
        return layout.curve_name("", band, self.bin_s, barycentre=self.barycentre)

    def given(self) -> dict[str, Any]:
        given = super().given()
        given["lo_en"], given["hi_en"] = self.limits
        return given


def _curves(piece: Piece, options: LightcurveOptions) -> list[Piece]:
    check_within(piece, options.bands)
    return [
        piece.split(options.name_of(place, band))
        for place in options.places_of(piece)
        for band in options.bands
    ]


def _recipe(piece: Piece, options: LightcurveOptions) -> Recipe:
    place, band = next(
        (place, band)
        for place in options.places_of(piece)
        for band in options.bands
        if options.name_of(place, band) == piece.part
    )
    inst, whole = str(piece.inst), f"{piece.obs_id}{piece.inst}"
    merged = str(piece.made("merge_subexposures", "final", ident=whole))
    paths = {
        kind: layout.curve_file(piece.obs_id, inst, piece.part, kind)
        for kind in ("lightcurve", "source", "background", "srcregion", "bkgregion")
    }
    names = {kind: path.rpartition("/")[2] for kind, path in paths.items()}
    where = {"sourcex": round(place.ra, 7), "sourcey": round(place.dec, 7)}
    tasks = [
        region_task(
            merged,
            place,
            known_sources(piece),
            options.background_text,
            names["srcregion"],
            names["bkgregion"],
        )
    ]
    events = merged
    if options.barycentre:
        events = "barycentre.fits"
        tasks += _at_barycentre(merged, events, place, inst, band)
    tasks += [
        _curve(events, names["source"], names["srcregion"], inst, band, options.bin_s),
        _curve(events, names["background"], names["bkgregion"], inst, band, options.bin_s),
        Task(
            "epiclccorr",
            srctslist=names["source"],
            eventlist=events,
            outset=names["lightcurve"],
            bkgtslist=names["background"],
            withbkgset=True,
            applyabsolutecorrections=options.on_axis,
            withsourcepos=True,
            sourcecoords="eqpos",
            **where,
        ),
    ]
    return Recipe(
        tasks,
        {names[kind]: path for kind, path in paths.items()},
        env=piece.environment(summary=options.barycentre),
        files=paths,
        settings={"source": place.name, "ra": round(place.ra, 6), "dec": round(place.dec, 6)},
    )


def _selection(inst: str, band: tuple[float, float]) -> str:
    most, good = _SELECTED[inst]
    low, high = (round(1000 * e) for e in band)
    return f"{good} && (PATTERN <= {most}) && (FLAG == 0) && (PI in [{low}:{high}])"


def _curve(events: str, name: str, region: str, inst: str, band: tuple[float, float], bin_s: float) -> Task:
    return Task(
        "evselect",
        table=f"{events}:EVENTS",
        withrateset=True,
        rateset=name,
        energycolumn="PI",
        timebinsize=bin_s,
        maketimecolumn=True,
        makeratecolumn=True,
        expression=f"{_selection(inst, band)} && region({region})",
    )


def _at_barycentre(events: str, name: str, place: Place, inst: str, band: tuple[float, float]) -> list[Task]:
    """The tasks that make a list of the band with times at the barycentre for a source."""
    copied = Task(
        "evselect",
        table=f"{events}:EVENTS",
        withfilteredset=True,
        filteredset=name,
        keepfilteroutput=True,
        expression=_selection(inst, band),
    )
    where = {"srcra": round(place.ra, 7), "srcdec": round(place.dec, 7)}
    return [copied, Task("barycen", table=f"{name}:EVENTS", withsrccoordinates=True, **where)]


GENERATE_LIGHTCURVES = Step(
    "generate_lightcurves",
    "Generating light curves",
    "instrument",
    _recipe,
    instruments=EPIC,
    needs=lambda inst, options: ("merge_subexposures",),
    parts=_curves,
    # The tasks of SAS have not been tried with these calls.
    backend="embedded",
)


@public(
    LightcurveOptions,
    order=(
        *("positions", "radius", "regions", "background", "lo_en", "hi_en", "time_bin", "on_axis"),
        *("barycentre", "num_cores", "disable_progress", "timeout", "executor"),
    ),
)
def generate_lightcurves(obs_archive: Archive, options: LightcurveOptions, running: Running) -> None:
    """Make light curves of sources: of each camera and band, without background, corrected (epiclccorr).

    Needs `merge_subexposures`. Each source and band of each camera is a run of its own; other curves stay as
    they are.

    Examples
    --------
    >>> from astropy.units import Quantity
    >>> daxa.generate_lightcurves(archive, (149.5238, -11.1558), time_bin=Quantity(50, "s"))
    """
    missions = [m for m in obs_archive.missions if m.name in ALLOWED]
    if missions and not any(obs_archive.ledger.runs(process="merge_subexposures", logs=False)):
        raise NoDependencyProcessError(
            f"generate_lightcurves: merge_subexposures must be run on {missions[0].name} first"
        )
    argument = "positions" if options.regions is None else "regions"
    check_sources(obs_archive, "generate_lightcurves", argument, options.places)
    run_steps(obs_archive, [(GENERATE_LIGHTCURVES, options)], ALLOWED, running)
