"""Archives from positions."""

from __future__ import annotations

from typing import Any

from daxa.archive.archive import Archive


def assemble_archive_from_positions(
    archive_name: str,
    positions: Any,
    search_distance: Any = None,
    missions: list[str] | None = None,
    insts: dict[str, list[str]] | None = None,
    clobber: bool = False,
    download_products: bool | dict[str, bool] | None = None,
    use_preprocessed: bool | dict[str, bool] = False,
) -> Archive:
    """Make an archive of everything that missions have observed around positions.

    Parameters
    ----------
    archive_name : str
        Name of the new archive.
    positions : SkyCoord or array_like
        Positions; [ra, dec] pairs are in degrees.
    search_distance : Quantity or dict, optional
        Radius, for all missions or by mission name.
    missions : list of str, optional
        Names of the missions to search; all by default.
    insts : dict, optional
        Mission name -> instruments.
    clobber, download_products, use_preprocessed
        See `Archive`.
    """
    from daxa.mission.tools import multi_mission_filter_on_positions

    found = multi_mission_filter_on_positions(positions, search_distance, missions, insts)
    return Archive(archive_name, found, clobber, download_products, use_preprocessed)
