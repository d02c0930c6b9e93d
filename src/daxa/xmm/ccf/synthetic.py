"""Synthetic calibration and real observations are kept apart, unless the user joins them on purpose.

Simulated files of both kinds name the simulator as their creator; the calibration index repeats it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from daxa.xmm.ccf.index import Entry
from daxa.xmm.odf.odf import Odf
from daxa.xmm.task import TaskError

#: Value of CREATOR (constituents) and ORIGIN (raw files) in what the simulator writes.
SIMULATOR = "daxa.simulate"
#: Environment variable that allows simulated and real files together.
SWITCH = "DAXA_SYNTHETIC_CALIBRATION"


def is_synthetic(entries: Iterable[Entry]) -> bool:
    """Whether a set of constituents holds a synthetic one: a mixed set counts as synthetic."""
    return any(entry.creator == SIMULATOR for entry in entries)


def is_simulated(odf: Odf) -> bool:
    """Whether the first readable raw file of an observation says that it is simulated."""
    for file in odf.files:
        if file.name.extension == "FIT":
            try:
                header, _ = file.headers()
            except TaskError:
                continue
            return str(header.get("ORIGIN", "")).strip() == SIMULATOR
    return False


def allowed(env: Mapping[str, str]) -> bool:
    """Whether the switch allows synthetic and real files together."""
    return "allow" in (env.get(SWITCH), os.environ.get(SWITCH))


def refuse_mixture(entries: Iterable[Entry], odf: Odf, env: Mapping[str, str]) -> None:
    """Refuse synthetic calibration for real raw files, and the other way round.

    Raises
    ------
    TaskError
        ``syntheticCalibration``: they do not belong together, and ``DAXA_SYNTHETIC_CALIBRATION=allow``
        is not set.
    """
    if allowed(env):
        return
    synthetic, simulated = is_synthetic(entries), is_simulated(odf)
    if synthetic == simulated:
        return
    what = "synthetic, but the raw files are not" if synthetic else "real, but the raw files are simulated"
    raise TaskError(
        "syntheticCalibration",
        f"{odf.folder}: the calibration files are {what}; set {SWITCH}=allow to use them together",
    )
