"""One module for each mission."""

from daxa.mission.base import BaseMission
from daxa.mission.missions.asca import ASCA
from daxa.mission.missions.chandra import Chandra
from daxa.mission.missions.erosita import eRASS1DE, eROSITACalPV
from daxa.mission.missions.integral import INTEGRALPointed
from daxa.mission.missions.nustar import NuSTARPointed
from daxa.mission.missions.rosat import ROSATAllSky, ROSATPointed
from daxa.mission.missions.suzaku import Suzaku
from daxa.mission.missions.swift import Swift
from daxa.mission.missions.xmm import XMMPointed
from daxa.mission.missions.xrism import XRISMPointed

MISSIONS: tuple[type[BaseMission], ...] = (
    XMMPointed,
    NuSTARPointed,
    eROSITACalPV,
    eRASS1DE,
    Chandra,
    ROSATAllSky,
    ROSATPointed,
    Swift,
    Suzaku,
    ASCA,
    INTEGRALPointed,
    XRISMPointed,
)
MISS_INDEX = {mission.name: mission for mission in MISSIONS}
