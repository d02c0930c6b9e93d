"""Sources whose spectra or light curves are wanted: positions, regions, or what was found.

Parameters
----------
piece
    An observation, or a camera of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from daxa.archive import layout
from daxa.archive.regions import sky_regions
from daxa.backend.contract import Task
from daxa.ds9 import excludes, read_regions, region_text
from daxa.process.arguments import check_quantity
from daxa.process.step import Piece

#: What a background may be, if it is not a region.
BACKGROUNDS = ("auto", "annulus", "ccd")
#: No camera sees sources farther from the pointing [deg].
_FARTHEST_DEG = 17.5 / 60
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
    import numpy as np

    key = ("pointing", piece.mission.name, piece.obs_id)
    notes = piece.records.notes
    if key not in notes:
        info = piece.mission.filtered_obs_info
        row = info[info["ObsID"].astype(str) == piece.obs_id].iloc[0]
        notes[key] = float(row["ra"]), float(row["dec"])
    ra, dec = np.radians(notes[key])
    found: dict[str, Place] = {}
    for one in places:
        a, d = np.radians((one.ra, one.dec))
        cosine = np.sin(d) * np.sin(dec) + np.cos(d) * np.cos(dec) * np.cos(a - ra)
        if np.degrees(np.arccos(min(cosine, 1.0))) < _FARTHEST_DEG:
            found.setdefault(one.name, one)
    return list(found.values())


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
