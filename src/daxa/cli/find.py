"""Commands for observations in archives of missions: find, download."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from daxa.cli.archive import Cores
from daxa.cli.output import Json, print_table
from daxa.cli.select import InstOption, Local, Name, ObsIds, Position, Radius, Request, parse_position
from daxa.plain import duration, nearest


def find(
    name: Name = None,
    position: Position = None,
    radius: Radius = None,
    obs_id: ObsIds = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="Table of positions, columns ra and dec [deg, or sexagesimal]."),
    ] = None,
    mission: Annotated[str, typer.Option("--mission", help="Mission to search.")] = "xmm_pointed",
    local: Local = None,
    output: Annotated[Path | None, typer.Option("--output", help="Write the table to this CSV file.")] = None,
    as_json: Json = False,
) -> None:
    """List the observations of an object, a position, or a table of positions."""
    from astropy.units import Quantity

    from daxa.mission import MISS_INDEX, XMMPointed
    from daxa.mission.positions import read_positions

    if mission not in MISS_INDEX:
        raise typer.BadParameter(f"--mission: no mission {mission!r}; {nearest(mission, list(MISS_INDEX))}")
    try:
        positions = None if file is None else read_positions(file)
    except (OSError, ValueError) as wrong:
        raise typer.BadParameter(f"--file: {wrong}") from None
    selected: Any
    if mission != "xmm_pointed":
        selected = MISS_INDEX[mission]()
    elif file is None:
        selected = Request.of(name, local, obs_id, position, radius, None).mission()
    else:
        selected = XMMPointed(local=local) if local else XMMPointed()
    distance = None if radius is None else Quantity(radius, "arcmin")
    if mission != "xmm_pointed":
        if obs_id:
            selected.filter_on_obs_ids(obs_id)
        if position:
            selected.filter_on_positions(parse_position(position), search_distance=distance)
        if name is not None:
            try:
                selected.filter_on_name(name, search_distance=distance)
            except ValueError as wrong:
                raise typer.BadParameter(str(wrong)) from None
    if positions is not None:
        selected.filter_on_positions(positions, search_distance=distance)
    info = selected.filtered_obs_info
    if output is not None:
        info.to_csv(output, index=False)
        typer.echo(f"{len(info)} observations written to {output}")
        return
    rows = _rows(selected, info, None if local is None else Path(local))
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    shown = [_shown(row) for row in rows]
    print_table(shown, f"{selected.pretty_name}: {len(info)} observations", rare=_RARE, spare=_SPARE)


def _rows(selected: Any, info: Any, local: Path | None) -> list[dict[str, Any]]:
    """What is known of each observation, numbers as numbers."""
    places = _positions(selected)
    known = {} if local is None else _instruments(local)
    rows = []
    for one in info.to_dict("records"):
        row = {name: _plain(value) for name, value in one.items()}
        row = {"ObsID": str(row.pop("ObsID")), "target": row.pop("target", None), **row}
        if isinstance(row.get("duration"), float):
            row = {("duration_s" if name == "duration" else name): value for name, value in row.items()}
        if places is not None:
            row["offset_arcmin"] = round(_offset(one, places), 3)
        if known:
            row["instruments"] = known.get(row["ObsID"])
        rows.append(row)
    return rows


def _plain(value: Any) -> Any:
    """A value as JSON has it: times as text, spans of time in seconds, nothing for what is not known."""
    import pandas as pd

    if isinstance(value, (list, tuple, dict)):
        return value
    if value is None or pd.isna(value):
        return None
    if isinstance(value, pd.Timedelta):
        return float(value.total_seconds())
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else value


def _positions(selected: Any) -> Any:
    """Where was searched; None if not by position."""
    from astropy.coordinates import SkyCoord

    found = []
    for operation in selected.filtering_operations:
        arguments = operation.get("arguments", {})
        found += list((arguments.get("resolved") or {}).values())
        positions = arguments.get("positions")
        if isinstance(positions, SkyCoord):
            icrs = positions.icrs.reshape(-1)
            found += [[float(p.ra.deg), float(p.dec.deg)] for p in icrs]
    if not found:
        return None
    ra, dec = map(list, zip(*found, strict=True))
    return SkyCoord(ra, dec, unit="deg")


def _offset(one: dict[str, Any], places: Any) -> float:
    """Distance of a pointing from the nearest of the places [arcmin]."""
    from astropy.coordinates import SkyCoord

    return float(SkyCoord(one["ra"], one["dec"], unit="deg").separation(places).arcmin.min())


def _instruments(local: Path) -> dict[str, str]:
    """ObsID -> instruments of which raw files lie in a folder; nothing of those in archive files."""
    from daxa.mission.local import scan
    from daxa.xmm.formats.odf_names import OdfName

    found = {}
    for obs_id, observation in scan(local).items():
        names = [OdfName.parse(path.name.removesuffix(".gz")) for path in observation.files]
        cameras = sorted({n.instrument for n in names if n is not None and n.is_science})
        if cameras:
            found[obs_id] = " ".join(cameras)
    return found


#: Columns that are left out first where there is little room.
_SPARE = ("Dec [deg]", "RA [deg]", "duration")
#: Columns that are shown only where something stands in them.
_RARE = ("target", "instruments", "offset [arcmin]", "not usable")


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """An observation as people read it."""
    why = [] if row.get("science_usable", True) else ["no science data"]
    if not row.get("proprietary_usable", True):
        until = str(row.get("proprietary_end_date") or "")[:10]
        why.append(f"proprietary until {until}" if until else "proprietary")
    offset = row.get("offset_arcmin")
    return {
        "ObsID": row["ObsID"],
        "target": row["target"],
        "RA [deg]": f"{row['ra']:.4f}",
        "Dec [deg]": f"{row['dec']:.4f}",
        "offset [arcmin]": None if offset is None else f"{offset:.1f}",
        "start": str(row["start"])[:16],
        "duration": duration(row["duration_s"]) if row.get("duration_s") is not None else "",
        "instruments": row.get("instruments"),
        "not usable": ", ".join(why),
    }


def download(
    name: Name = None,
    position: Position = None,
    radius: Radius = None,
    obs_id: ObsIds = None,
    local: Local = None,
    inst: InstOption = None,
    cores: Cores = None,
) -> None:
    """Download raw data without processing them."""
    mission = Request.of(name, local, obs_id, position, radius, inst).mission()
    mission.download(**({} if cores is None else {"num_cores": cores}))
    typer.echo(f"raw data are in {mission.raw_data_path}")
