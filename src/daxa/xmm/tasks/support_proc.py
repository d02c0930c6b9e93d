"""What emproc and epproc share: the parameters that mean the same in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from daxa.xmm.parameters import Parameter
from daxa.xmm.tasks.support import HOUSEKEEPING

#: The modes that both can process.
_MODES = ("imaging", "timing")
_MERGED = "only the list of all CCDs is written"
_NO_LIMITS = "chains take names without limits; hkgtigen itself takes both, and gtiset what it writes"


def proc_parameters(*, ccds: int, instexpids: Sequence[str], filterexpression: str) -> list[Parameter]:
    """The parameters of emproc and epproc that mean the same in both.

    Parameters
    ----------
    ccds
        Number of CCDs of a camera.
    instexpids, filterexpression
        Defaults of these parameters.
    """
    return [
        Parameter("withinstexpids", "bool", False, text="process only the exposures of instexpids"),
        Parameter("instexpids", "list", instexpids, text="exposures to process, as M1S001 or PNS003"),
        Parameter("selectccds", "bool", False, text="process only CCDs that are switched on"),
        *(
            Parameter(f"ccd{n}", "bool", False, text=f"process CCD {n}, with selectccds")
            for n in range(1, ccds + 1)
        ),
        Parameter("selectmodes", "bool", True, text="process only modes that are switched on"),
        *(Parameter(mode, "bool", True, text=f"process CCDs in {mode} mode") for mode in _MODES),
        Parameter(
            "referencepointing",
            "choice",
            "median",
            ("median", "mean", "user"),
            text="pointing that X and Y refer to: of the attitude, or the user's (ra, dec, posangle)",
        ),
        Parameter(
            "ra",
            "real",
            0.0,
            unit="deg",
            minimum=0,
            maximum=360,
            text="right ascension of the user's pointing",
        ),
        Parameter(
            "dec", "real", 0.0, unit="deg", minimum=-90, maximum=90, text="declination of the user's pointing"
        ),
        Parameter(
            "posangle",
            "real",
            0.0,
            unit="deg",
            minimum=0,
            maximum=360,
            text="position angle of the user's pointing",
        ),
        Parameter("runhkgtigen", "bool", True, text="find good times by housekeeping"),
        *(replace(p, only=_NO_LIMITS) if p.name == "withoverrideparameters" else p for p in HOUSEKEEPING),
        Parameter("withgtiset", "bool", False, text="use the good times of gtiset, too"),
        Parameter("gtiset", "dataset", "gti.ds", text="good times, with withgtiset"),
        Parameter(
            "filterevents", "bool", True, text="leave out events that filterexpression does not select"
        ),
        Parameter(
            "filterexpression", "string", filterexpression, text="selection of events, as for evselect"
        ),
        Parameter(
            "flagfilteredevents",
            "bool",
            False,
            text="flag events that are not selected, and keep them",
            only="they are left out",
        ),
        Parameter("searchforbadpixels", "bool", True, text="search for bad pixels"),
        Parameter("runevlistcomb", "bool", True, text="merge the lists of the CCDs", only=_MERGED),
        Parameter(
            "removeintermediateeventlists",
            "bool",
            True,
            text="do not keep lists of single CCDs",
            only=_MERGED,
        ),
        Parameter(
            "analyzingSciSimdata",
            "bool",
            False,
            text="process data of the simulator SciSim",
            only="how such data differ is not known",
        ),
    ]
