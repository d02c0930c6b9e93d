"""Which observations a command is for."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from daxa.cli.places import known_archives

InstOption = Annotated[
    list[str] | None,
    typer.Option("--inst", metavar="INSTRUMENT", help="Instrument (M1, M2, PN); may be repeated."),
]
Name = Annotated[str | None, typer.Argument(metavar="NAME", help="Object to look for, e.g. A907.")]
Local = Annotated[
    Path | None, typer.Option("--local", metavar="FOLDER", help="Folder with raw data that you already have.")
]
ObsIds = Annotated[
    list[str] | None, typer.Option("--obs-id", metavar="OBSID", help="Observation; may be repeated.")
]
Position = Annotated[
    str | None, typer.Option("--position", metavar="'RA DEC'", help="RA and Dec, e.g. '149.59 -11.06'.")
]
Radius = Annotated[float | None, typer.Option("--radius", metavar="ARCMIN", help="Search radius [arcmin].")]


def parse_position(text: str) -> Any:
    """A position of the command line: degrees, or hours and degrees as astropy reads them."""
    from astropy.coordinates import SkyCoord

    from daxa.mission.positions import position_deg

    try:
        return SkyCoord(*position_deg(text), unit="deg", frame="fk5")
    except ValueError as wrong:
        raise typer.BadParameter(
            f"expected RA and Dec, as degrees ('149.59 -11.06') or sexagesimal: {wrong}"
        ) from None


BANDS_HELP = "Energy bands [keV], e.g. 0.3-1,1-2,2-7."
#: No instrument of XMM-Newton records events from here on [keV].
_MOST_KEV = 30.0
_BAND = re.compile(r"\s*(\d*\.?\d+|\d+\.)\s*-\s*(\d*\.?\d+|\d+\.)\s*")


def parse_bands(text: str) -> tuple[Any, Any]:
    """Lower and upper energies of bands as ``0.3-1,1-2,2-7`` in keV; else the command line is refused.

    Parameters
    ----------
    text
        The bands.
    """
    from astropy.units import Quantity

    found = [_BAND.fullmatch(part) for part in text.split(",")]
    wrong = [part for part, match in zip(text.split(","), found, strict=True) if match is None]
    if wrong:
        raise typer.BadParameter(f"--bands: expected bands such as 0.3-1,1-2,2-7 [keV], got {wrong[0]!r}")
    pairs = [(float(m[1]), float(m[2])) for m in found if m is not None]
    for low, high in pairs:
        if low >= _MOST_KEV:
            raise typer.BadParameter(f"--bands: {low:g}-{high:g} is beyond what is seen; energies are in keV")
        if low >= high:
            raise typer.BadParameter(f"--bands: {low:g}-{high:g} keV is empty; the lower energy goes first")
    if len(set(pairs)) < len(pairs):
        raise typer.BadParameter(f"--bands: a band is named twice in {text!r}")
    lows, highs = zip(*pairs, strict=True)
    return Quantity(lows, "keV"), Quantity(highs, "keV")


@dataclass
class Request:
    """The observations that a command line asks for, as an archive remembers them."""

    name: str | None = None
    obs_id: list[str] | None = None
    position: str | None = None
    radius: float | None = None
    inst: list[str] | None = None
    local: str | None = None

    @classmethod
    def of(
        cls,
        name: str | None,
        local: Path | None,
        obs_id: list[str] | None,
        position: str | None,
        radius: float | None,
        inst: list[str] | None,
    ) -> Request:
        place = None if position is None else parse_position(position)
        if name is not None and not name.strip():
            raise typer.BadParameter("NAME is blank; the name of an object is expected")
        return cls(
            name,
            sorted(obs_id) if obs_id else None,
            None if place is None else f"{place.ra.deg:.6f} {place.dec.deg:+.6f}",
            radius,
            sorted(inst) if inst else None,
            None if local is None else str(local.expanduser().resolve()),
        )

    @property
    def empty(self) -> bool:
        """Whether it asks for none."""
        return not (self.name or self.obs_id or self.position or self.local)

    def mission(self) -> Any:
        """A mission with the observations asked for."""
        from astropy.units import Quantity

        from daxa.mission import XMMPointed

        if self.empty:
            raise typer.BadParameter(NOTHING)
        local = None if self.local is None else Path(self.local)
        if local is not None and not local.is_dir():
            raise typer.BadParameter(f"--local: {local} is not a folder")
        distance = None if self.radius is None else Quantity(self.radius, "arcmin")
        try:
            mission = XMMPointed(self.inst, local=local) if local else XMMPointed(self.inst)
            if self.obs_id:
                mission.filter_on_obs_ids(self.obs_id)
            if self.position is not None:
                mission.filter_on_positions(parse_position(self.position), search_distance=distance)
            if self.name:
                mission.filter_on_name(self.name, search_distance=distance)
        except ValueError as wrong:
            raise typer.BadParameter(str(wrong)) from None
        return mission

    def title(self) -> str:
        """A name for the archive, by what it is of."""
        if self.name:
            return self.name.replace(" ", "")
        if self.obs_id:
            more = len(self.obs_id) - 1
            return self.obs_id[0] + (f"_and_{more}_more" if more else "")
        if self.position:
            return self.position.replace(" ", "")
        if self.local:
            folder = Path(self.local)
            # "odf" and the like tell nothing; the folder above does.
            general = folder.name.lower() in ("odf", "odfs", "raw", "data", "xmm")
            return f"{folder.parent.name}_{folder.name}".strip("_") if general else folder.name
        known = known_archives()
        others = f", or --archive to go on with one of {', '.join(known)}" if known else ""
        raise typer.BadParameter(NOTHING + others)

    def remember(self, archive: Any) -> None:
        """Note in a new archive what it was made for."""
        archive.ledger.set_meta("request", asdict(self))

    def check(self, archive: Any) -> None:
        """Refuse if an archive that exists is of other observations.

        Raises
        ------
        typer.BadParameter
            Names what differs.
        """
        known = archive.ledger.meta("request")
        given = {key: value for key, value in asdict(self).items() if value is not None}
        differing = [k for k, v in given.items() if k != "local" and not self._agrees(k, v, archive, known)]
        # Last, as it changes the archive: only a command that is not refused may do so.
        if "local" in given and not self._same_files(archive, known, change=not differing):
            differing.append("local")
        wrong = [f"{_OPTIONS[key]} {_words(given[key])}" for key in differing]
        if wrong:
            selection = {k: v for k, v in (known or {}).items() if v is not None}
            how = ", ".join(f"{_OPTIONS[k]} {_words(v)}" for k, v in selection.items())
            obs_ids = [str(o) for m in archive.missions for o in m.filtered_obs_ids]
            shown = ", ".join(obs_ids[:3]) + (", ..." if len(obs_ids) > 3 else "")
            found = f", found by {how}" if how else ""
            name = archive.archive_name
            raise typer.BadParameter(
                f"the archive {name} exists, and was not made with {', '.join(wrong)}: it has "
                f"{len(obs_ids)} observation{'s' * (len(obs_ids) != 1)} ({shown}){found}; "
                f"leave the selection out to go on with it "
                f"(daxa process --archive {name}), or give another --archive"
            )

    @staticmethod
    def _agrees(key: str, value: Any, archive: Any, known: dict[str, Any] | None) -> bool:
        if known is not None and known.get(key) == value:
            return True
        (mission, *others) = archive.missions
        if key == "inst":
            return set(mission.check_inst_names(value, show_warn=False)) == set(mission.chosen_instruments)
        if key == "obs_id":
            return not others and set(value) == {str(o) for o in mission.filtered_obs_ids}
        return False

    def _same_files(self, archive: Any, known: dict[str, Any] | None, change: bool) -> bool:
        if known is not None and known.get("local") == self.local:
            return True
        return _taken_from(archive, archive.missions[0], Path(str(self.local)), change)


def _taken_from(archive: Any, mission: Any, folder: Path, change: bool) -> bool:
    """Whether an archive's local raw files are in a folder; if they have been moved there, it is told.

    Without leave to change the archive, those that may have been moved count as there.
    """
    known = getattr(mission, "local", None)
    if known is None or known == folder:
        return known == folder
    if not change:
        return True
    try:
        mission.local = folder
    except ValueError:
        return False
    mission.save(archive.layout.save_info)
    typer.echo(f"raw files are taken from {folder}, no longer from {known}", err=True)
    return True


NOTHING = "give a NAME, --obs-id, --position or --local"
_OPTIONS = {
    "name": "NAME",
    "obs_id": "--obs-id",
    "position": "--position",
    "radius": "--radius",
    "inst": "--inst",
    "local": "--local",
}


def _words(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else json.dumps(value, ensure_ascii=False).strip('"')
