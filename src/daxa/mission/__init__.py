"""Which observations exist, which are wanted, and their raw files."""

from daxa.mission.base import BaseMission
from daxa.mission.missions import (
    ASCA,
    MISS_INDEX,
    Chandra,
    INTEGRALPointed,
    NuSTARPointed,
    ROSATAllSky,
    ROSATPointed,
    Suzaku,
    Swift,
    XMMPointed,
    XRISMPointed,
    eRASS1DE,
    eROSITACalPV,
)
from daxa.mission.tools import multi_mission_filter_on_positions

__all__ = [
    "ASCA",
    "MISS_INDEX",
    "BaseMission",
    "Chandra",
    "INTEGRALPointed",
    "NuSTARPointed",
    "ROSATAllSky",
    "ROSATPointed",
    "Suzaku",
    "Swift",
    "XMMPointed",
    "XRISMPointed",
    "eRASS1DE",
    "eROSITACalPV",
    "multi_mission_filter_on_positions",
]
