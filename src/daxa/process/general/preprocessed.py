"""Taking the products that missions offer ready-made into an archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daxa.archive.preprocessed import take_in
from daxa.exceptions import PreProcessedNotAvailableError, PreProcessedNotSupportedError

if TYPE_CHECKING:
    from daxa.archive import Archive
    from daxa.mission import BaseMission


def preprocessed_in_archive(
    arch: Archive, missions: str | BaseMission | list[str | BaseMission] | None = None
) -> None:
    """Take the ready-made event lists, images and maps of missions into an archive.

    They become the archive's final products, and an observation that has an event list or an image has come
    through. Every product is recorded with the file that it was and where that came from. What was taken
    before is not taken again.

    Parameters
    ----------
    arch : Archive
        The archive.
    missions : str, BaseMission, or a list of these, optional
        Missions of the archive; all whose products have been fetched by default.

    Raises
    ------
    PreProcessedNotSupportedError
        A mission offers no ready-made products.
    PreProcessedNotAvailableError
        Products of a mission have not been fetched, or of none.
    MissionNotAssociatedError
        The archive does not have a mission.

    Warns
    -----
    UserWarning
        Names observations without products; the others are taken in.
    """
    if missions is None:
        chosen = arch.preprocessed_missions
    else:
        given = missions if isinstance(missions, (list, tuple)) else [missions]
        chosen = [arch[m if isinstance(m, str) else m.name] for m in given]
    for mission in chosen:
        if not mission.has_products:
            raise PreProcessedNotSupportedError(
                f"missions: {mission.pretty_name} offers no ready-made products"
            )
        if not any(mission.ready_products(str(obs_id)) for obs_id in mission.filtered_obs_ids):
            raise PreProcessedNotAvailableError(
                f"missions: no products of {mission.pretty_name} are on disk; use its fetch_products()"
            )
    take_in(arch, chosen)
