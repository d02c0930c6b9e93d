"""Commands for observations in archives of missions: find, download."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from daxa.cli.archive import Cores
from daxa.cli.output import Json, print_table
from daxa.cli.select import InstOption, Local, Name, ObsIds, Position, Radius, Request, parse_position


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
        raise typer.BadParameter(f"--mission: expected one of {', '.join(MISS_INDEX)}, got {mission!r}")
    try:
        positions = None if file is None else read_positions(file)
    except ValueError as wrong:
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
    elif as_json:
        typer.echo(info.to_json(orient="records", date_format="iso", indent=1))
    else:
        shown = info[["ObsID", "ra", "dec", "start", "duration", "science_usable"]]
        print_table(
            [
                {
                    "ObsID": str(r.ObsID),
                    "RA [deg]": f"{r.ra:.5f}",
                    "Dec [deg]": f"{r.dec:.5f}",
                    "start": str(r.start)[:19],
                    "duration": str(r.duration),
                    "usable": "yes" if r.science_usable else "no",
                }
                for r in shown.itertuples()
            ],
            f"{selected.pretty_name}: {len(info)} observations",
        )


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
