"""Sources whose spectra or light curves are wanted: positions, regions, or what was found.

Parameters
----------
piece
    An observation, or a camera of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from daxa.archive import layout
from daxa.archive.regions import sky_regions
from daxa.backend.contract import Task
from daxa.ds9 import excludes, read_regions, region_text
from daxa.exceptions import NoDependencyProcessError
from daxa.process.arguments import check_quantity
from daxa.process.options import StepOptions, argument
from daxa.process.step import Piece
from daxa.process.tell import tell
from daxa.process.xmm.setup import ALLOWED

if TYPE_CHECKING:
    from daxa.archive import Archive

#: What a background may be, if it is not a region.
BACKGROUNDS = ("auto", "annulus", "ccd")
#: No camera sees sources farther from the pointing [deg].
_FARTHEST_DEG = 17.5 / 60
#: Most sources that a message names.
_TOLD = 10
#: Limits of radii [arcsec].
_RADII = (3.0, 900.0)


@dataclass(frozen=True)
class Place:
    """A source.

    Attributes
    ----------
    name
        Its name in files: where it is.
    ra, dec
        Its middle [deg].
    region
        Its region as text of ds9; empty for a circle that is chosen.
    extended
        Whether it is no point.
    radius
        Radius of the circle: arcsec, a share of the light as a text ending in ``%``, or ``background``.
    """

    name: str
    ra: float
    dec: float
    region: str = ""
    extended: bool = False
    radius: float | str = "background"


def positions_of(positions: Any) -> list[tuple[float, float]]:
    """RA and Dec [deg] of positions.

    Parameters
    ----------
    positions
        A SkyCoord of one or many, a list of such, or pairs of RA and Dec [deg]; None for none.

    Raises
    ------
    TypeError, ValueError
        It is none of these.
    """
    import numpy as np
    from astropy.coordinates import SkyCoord

    if positions is None:
        return []
    if isinstance(positions, SkyCoord):
        sky = positions.icrs
        return [
            (float(a), float(d)) for a, d in zip(*map(np.atleast_1d, (sky.ra.deg, sky.dec.deg)), strict=True)
        ]
    if isinstance(positions, (list, tuple)) and any(isinstance(p, SkyCoord) for p in positions):
        return [pair for p in positions for pair in positions_of(p)]
    try:
        pairs = np.atleast_2d(np.asarray(positions, float))
    except (TypeError, ValueError):
        pairs = np.zeros((0, 0))
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not len(pairs):
        raise TypeError(
            f"positions: expected a SkyCoord, several, or pairs of RA and Dec [deg], got {positions!r}"
        )
    if not (np.isfinite(pairs).all() and (np.abs(pairs[:, 1]) <= 90).all()):
        raise ValueError(f"positions: expected RA and Dec [deg], got {positions!r}")
    return [(float(a) % 360, float(d)) for a, d in pairs]


def radius_of(radius: Any) -> float | str:
    """A radius as `Place` has it.

    Parameters
    ----------
    radius
        An angle, a share of the light between 0 and 1, ``background`` or None.

    Raises
    ------
    TypeError, ValueError
        It is none of these.
    """
    if radius is None or radius == "background":
        return "background"
    if isinstance(radius, (int, float)) and not isinstance(radius, bool):
        if not 0.05 <= radius <= 0.98:
            raise ValueError(
                f"radius: expected an angle, or a share of the light from 0.05 to 0.98, got {radius}"
            )
        return f"{100 * radius:g}%"
    arcsec = check_quantity("radius", radius, "arcsec")
    if not _RADII[0] <= arcsec <= _RADII[1]:
        raise ValueError(f"radius: expected {_RADII[0]:g} to {_RADII[1]:g} arcsec, got {radius}")
    return round(arcsec, 3)


def text_of_regions(name: str, regions: Any) -> str:
    """Regions on the sky as text of ds9.

    Parameters
    ----------
    name
        Name of the argument, for messages.
    regions
        As users give them.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        They are no regions on the sky.
    """
    try:
        return region_text(sky_regions(regions))
    except (OSError, TypeError, ValueError) as error:
        raise type(error)(f"{name}: {str(error).removeprefix('source_regions: ')}") from None


def places_of_regions(text: str, extended: bool) -> list[Place]:
    """A source for each region; what regions exclude is left out of all of them.

    Parameters
    ----------
    text
        Regions as text of ds9.
    extended
        Whether they are no points.
    """
    found = read_regions(text)
    without = [r for r in found if excludes(r)]
    places = []
    for one in found:
        if excludes(one):
            continue
        ra, dec = _middle(one)
        places.append(Place(layout.source_name(ra, dec), ra, dec, region_text([one, *without]), extended))
    return places


def known_sources(piece: Piece) -> str:
    """Regions of an observation's sources: those that were set, as text, or the file of those found.

    Empty if none are known.
    """
    own = piece.archive.layout.regions(piece.mission.name, piece.obs_id)
    if own.exists():
        return region_text(read_regions(own))
    found = piece.made_if_any("find_sources", "regions", ident=piece.obs_id)
    return "" if found is None else str(found)


def found_places(piece: Piece, extended: bool | None, radius: float | str) -> list[Place]:
    """The sources that are known of an observation.

    Green regions are extended sources, as `find_sources` writes them; of these the region is the source.
    Empty where none were set or found.

    Parameters
    ----------
    extended
        Whether all are extended, or none; None: as their colours say.
    radius
        Radius of the others.
    """
    own = piece.archive.layout.regions(piece.mission.name, piece.obs_id)
    found = own if own.exists() else piece.made_if_any("find_sources", "regions", ident=piece.obs_id)
    if found is None:
        return []
    places = []
    for one in sky_regions(found):
        if excludes(one):
            continue
        ra, dec = _middle(one)
        wide = one.visual.get("edgecolor") == "green" if extended is None else extended
        place = Place(layout.source_name(ra, dec), ra, dec, "", wide, radius)
        if wide or type(one).__name__ != "CircleSkyRegion":
            place = replace(place, region=region_text([one]))
        places.append(place)
    return places


def seen_of(piece: Piece, places: Sequence[Place]) -> list[Place]:
    """Sources near enough to the pointing of an observation, each name once.

    Parameters
    ----------
    places
        The sources.
    """
    key = ("pointing", piece.mission.name, piece.obs_id)
    notes = piece.records.notes
    if key not in notes:
        info = piece.mission.filtered_obs_info
        row = info[info["ObsID"].astype(str) == piece.obs_id].iloc[0]
        notes[key] = float(row["ra"]), float(row["dec"])
    found: dict[str, Place] = {}
    for one in places:
        if _sees(notes[key], one):
            found.setdefault(one.name, one)
    return list(found.values())


def _sees(pointing: tuple[float, float], place: Place) -> bool:
    """Whether a camera may see a source, by where it points [deg]."""
    import numpy as np

    (ra, dec), (a, d) = np.radians(pointing), np.radians((place.ra, place.dec))
    cosine = np.sin(d) * np.sin(dec) + np.cos(d) * np.cos(dec) * np.cos(a - ra)
    return bool(np.degrees(np.arccos(min(cosine, 1.0))) < _FARTHEST_DEG)


def check_sources(archive: Archive, step: str, argument: str, places: Sequence[Place] | None) -> None:
    """Refuse sources none of which is seen, and tell of those that are not.

    Parameters
    ----------
    archive
        The archive.
    step
        Name of the step that wants them.
    argument
        Name of the argument that gives them.
    places
        The sources; None: those that are known of each observation.

    Raises
    ------
    NoDependencyProcessError
        Known ones are wanted, and there are none.
    ValueError
        No observation sees any of them.

    Warns
    -----
    UserWarning
        No observation sees some of them.
    """
    if places is None:
        if not _some_known(archive):
            raise NoDependencyProcessError(
                f"{step}: no sources are known; run find_sources, or give positions or regions"
            )
        return
    infos = [m.filtered_obs_info for m in archive.missions if m.name in ALLOWED]
    pointings = [
        (float(ra), float(dec)) for info in infos for ra, dec in zip(info["ra"], info["dec"], strict=True)
    ]
    unseen = [place for place in places if not any(_sees(pointing, place) for pointing in pointings)]
    if not pointings or not unseen:
        return
    named = ", ".join(f"({one.ra:.6g}, {one.dec:.6g})" for one in unseen[:_TOLD])
    more = f" and {len(unseen) - _TOLD} more" if len(unseen) > _TOLD else ""
    text = (
        f"{argument}: no observation of the archive points within {60 * _FARTHEST_DEG:g} arcmin of RA, Dec "
        f"{named}{more}"
    )
    if len(unseen) == len(places):
        raise ValueError(text)
    tell(f"{step}: {text}; made for the others")


def _some_known(archive: Archive) -> bool:
    """Whether sources are known of any observation."""
    if any(run.ok for run in archive.ledger.runs(process="find_sources", logs=False)):
        return True
    return any(
        archive.layout.regions(m.name, str(o)).exists()
        for m in archive.missions
        if m.name in ALLOWED
        for o in m.filtered_obs_ids
    )


def region_task(
    events: str, place: Place, others: str, background: str, source_file: str, background_file: str
) -> Task:
    """The task that writes the regions of a source and its background for an event list.

    Parameters
    ----------
    events
        The event list.
    place
        The source.
    others
        Other sources, a file or text of ds9; empty for none.
    background
        One of `BACKGROUNDS`, or a region as text of ds9.
    source_file, background_file
        Files to write.
    """
    given: dict[str, Any] = {"ra": round(place.ra, 7), "dec": round(place.dec, 7)}
    if place.region:
        given["region"] = place.region
    elif isinstance(place.radius, float):
        given |= {"radiusstyle": "fixed", "radius": place.radius}
    elif place.radius.endswith("%"):
        given |= {"radiusstyle": "share", "share": round(float(place.radius[:-1]) / 100, 4)}
    if place.extended:
        given["extendedsource"] = True
    if others:
        given["otherset"] = others
    given["bkgstyle" if background in BACKGROUNDS else "bkgregion"] = background
    return Task(
        "srcregions", eventset=events, **given, srcregionset=source_file, bkgregionset=background_file
    )


def _middle(region: Any) -> tuple[float, float]:
    from astropy.coordinates import SkyCoord

    # In fk5, as region files mostly are, so that names are those of the numbers in them.
    place = (region.vertices if hasattr(region, "vertices") else region.center).fk5
    middle = place.cartesian if place.isscalar else place.cartesian.mean()
    at = SkyCoord(middle, frame="fk5").spherical
    return float(at.lon.deg), float(at.lat.deg)


@dataclass(frozen=True, eq=False)
class PlaceOptions(StepOptions):
    """Options of steps on sources: where they are, and what lies around them."""

    positions: Any = argument(
        None, "Positions of the sources: a SkyCoord of one or many, or pairs of RA and Dec [deg]."
    )
    radius: Any = argument(
        None,
        "Radius of their circles: an angle; a number between 0 and 1, the share of the light within; or "
        "``background``, the default: where the source is as bright as the background, 15 to 60 arcsec.",
    )
    regions: Any = argument(
        None,
        "Regions of the sources, instead of positions: path or text of regions of ds9, or objects of the "
        "``regions`` package; what they exclude is left out of all. Without either, every source that was "
        "set or found (`Archive.source_regions`).",
    )
    background: Any = argument(
        "auto",
        "``annulus`` around the source, ``ccd`` (a circle of the same CCD), ``auto``: the better one; or a "
        "region for all sources. Other sources that are known are left out.",
    )

    def check(self) -> None:
        super().check()
        if self.positions is not None and self.regions is not None:
            raise ValueError("positions, regions: give one of them")
        _ = self.places, self.background_text

    @property
    def wide(self) -> bool | None:
        """Whether the sources are no points; None: as it is known of each."""
        return None

    @cached_property
    def places(self) -> list[Place] | None:
        """The sources; None: those that are known of each observation."""
        wide, radius = bool(self.wide), radius_of(self.radius)
        if self.regions is not None:
            return places_of_regions(text_of_regions("regions", self.regions), wide)
        if self.positions is None:
            return None
        found = [
            Place(layout.source_name(ra, dec), ra, dec, "", wide, radius)
            for ra, dec in positions_of(self.positions)
        ]
        return list({one.name: one for one in found}.values())

    @cached_property
    def background_text(self) -> str:
        """Style of the background, or its region as text of ds9."""
        if isinstance(self.background, str) and self.background in BACKGROUNDS:
            return self.background
        return text_of_regions("background", self.background)

    def places_of(self, piece: Piece) -> list[Place]:
        """The sources that an observation may see.

        Parameters
        ----------
        piece
            The observation, or a camera of it.
        """
        places = self.places
        if places is None:
            places = found_places(piece, self.wide, radius_of(self.radius))
        return seen_of(piece, places)

    def given(self) -> dict[str, Any]:
        given = super().given()
        if self.positions is not None:
            given["positions"] = [list(pair) for pair in positions_of(self.positions)]
        if self.regions is not None:
            given["regions"] = text_of_regions("regions", self.regions)
        given["background"] = self.background_text
        return given
