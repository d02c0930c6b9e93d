"""Which observations exist, which are wanted, and their raw files."""

from daxa.mission.asca import ASCA
from daxa.mission.base import BaseMission
from daxa.mission.chandra import Chandra
from daxa.mission.erosita import eRASS1DE, eROSITACalPV
from daxa.mission.integral import INTEGRALPointed
from daxa.mission.nustar import NuSTARPointed
from daxa.mission.rosat import ROSATAllSky, ROSATPointed
from daxa.mission.suzaku import Suzaku
from daxa.mission.swift import Swift
from daxa.mission.xmm import XMMPointed
from daxa.mission.xrism import XRISMPointed

MISSIONS: tuple[type[BaseMission], ...] = (
    XMMPointed,
    NuSTARPointed,
    eROSITACalPV,
    eRASS1DE,
    Chandra,
    ROSATPointed,
    ROSATAllSky,
    Swift,
    Suzaku,
    ASCA,
    INTEGRALPointed,
    XRISMPointed,
)
MISS_INDEX = {mission.name: mission for mission in MISSIONS}

__all__ = ["MISS_INDEX", "BaseMission", *sorted(mission.__name__ for mission in MISSIONS)]
