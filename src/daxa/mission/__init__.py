"""Which observations exist, which are wanted, and their raw files."""

from daxa.mission.base import BaseMission
from daxa.mission.xmm import XMMPointed

MISS_INDEX = {m.name: m for m in (XMMPointed,)}

__all__ = ["MISS_INDEX", "BaseMission", "XMMPointed"]
