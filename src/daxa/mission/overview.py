"""What a mission says of itself."""

from __future__ import annotations

from typing import Protocol

import pandas as pd

from daxa.display import LONGEST, Overview, Table


class Told(Protocol):
    """What of a mission is told."""

    pretty_name: str

    def __len__(self) -> int: ...
    @property
    def chosen_instruments(self) -> list[str]: ...
    @property
    def filtered_obs_info(self) -> pd.DataFrame: ...
    @property
    def filtering_operations(self) -> list[dict]: ...
    @property
    def num_obs(self) -> int: ...
    @property
    def catalogue_date(self) -> str | None: ...
    @property
    def any_downloaded(self) -> bool: ...
    @property
    def downloaded_type(self) -> str: ...
    @property
    def locked(self) -> bool: ...


def overview(mission: Told) -> Overview:
    """What is selected, by which filters, and what can be done next.

    Parameters
    ----------
    mission
        The mission.
    """
    info = mission.filtered_obs_info
    filters = ", ".join(o["name"] for o in mission.filtering_operations)
    facts = [
        ("instruments", ", ".join(mission.chosen_instruments)),
        ("observations", f"{len(info)} selected of {mission.num_obs}"),
        ("catalogue of", mission.catalogue_date or "local data"),
    ]
    if len(info):
        facts.append(("first start", f"{info.start.min():%Y-%m-%d %H:%M}"))
        facts.append(("last end", f"{info.end.max():%Y-%m-%d %H:%M}"))
        facts.append(("total duration", f"{info.duration.sum() / pd.Timedelta(hours=1):.1f} h"))
    facts.append(("filters", filters or "none"))
    facts.append(("downloaded", mission.downloaded_type if mission.any_downloaded else "no"))
    return Overview(
        mission.pretty_name, facts, [_table(info)] if len(info) else [], _next(mission, bool(filters))
    )


def _table(info: pd.DataFrame) -> Table:
    named = "target" in info.columns
    rows = [
        [
            str(row.ObsID),
            *([str(row.target or "")] if named else []),
            f"{row.ra:.4f}",
            f"{row.dec:+.4f}",
            f"{row.start:%Y-%m-%d %H:%M}",
            f"{row.duration / pd.Timedelta(hours=1):.1f}",
        ]
        for row in info.head(LONGEST).itertuples()
    ]
    rows += [[]] * (len(info) - len(rows))  # only counted
    columns = ("ObsID", *(("target",) if named else ()), "ra [deg]", "dec [deg]", "start", "hours")
    return Table("Selected", columns, rows)


def _next(mission: Told, filtered: bool) -> list[tuple[str, str]]:
    if mission.locked:
        return [("the selection belongs to an archive; for another one", f"{type(mission).__name__}(...)")]
    if not len(mission):
        return [("nothing is selected; begin again", "mission.reset_filter()")]
    found = [("make an archive of them", 'archive = daxa.Archive("NAME", mission)')]
    if not filtered and len(mission) > 1:
        found.insert(0, ("select", 'mission.filter_on_name("A907")'))
        found.insert(1, ("or", "mission.filter_on_positions([ra, dec])  # degrees"))
    return found
