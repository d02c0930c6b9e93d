"""Columns, flags and extensions of the files of the RGS tasks."""

from __future__ import annotations

from enum import IntFlag
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.fits.schema import Column, columns

Arrays = dict[str, npt.NDArray[Any]]
IntArray = npt.NDArray[np.int64]


class RgsFlag(IntFlag):
    """FLAG bits of RGS events and frames.

    Names are those of the manuals. No public text gives the numbers: IN_BAD_FRAME and ON_BADPIX are those of
    the EPIC cameras, the others are this engine's own. Every event list names them in its header (XMMEA_n).
    A public program rejects bits 18, 19, 21 and 27 of pipeline lists, an older version of it 17 instead of
    18; what 27 means is not known: this engine never sets it, and rgsfilter does not look at it.
    """

    ON_NODE_INTERFACE = 1 << 0
    NEXT_TO_BADPIX = 1 << 1
    ON_WINDOW_BORDER = 1 << 2
    ON_NODE0 = 1 << 3
    ON_NODE1 = 1 << 4
    ONBOARD_SER = 1 << 5
    IN_BAD_FRAME = 1 << 17
    BAD_SHAPE = 1 << 18
    BELOW_ACCEPTANCE = 1 << 19
    ON_BADPIX = 1 << 21


#: Flags that rgsfilter may reject, in the order of its default.
REJECTION_FLAGS = (
    "BAD_SHAPE", "ON_NODE_INTERFACE", "ON_BADPIX", "NEXT_TO_BADPIX", "ON_WINDOW_BORDER", "BELOW_ACCEPTANCE",
)  # fmt: skip

EXPOSURE = columns("""
FRAME 1J
NLOSTEVT 1I counts
ABORTFLG 1I
FLAG 1J
TIMEDEL 1E s
TIME 1D s
FRACEXP0 1E
FRACEXP1 1E
""")
#: Added by rgsangles.
EXPOSURE_DRIFT = columns("ASPCDSP 1E rad\nASPCXDSP 1E rad")
PIXELS = (
    *columns("""
FRAME 1J
TELX 1I pixel
TELY 1I pixel
RAWX 1I pixel
RAWY 1I pixel
ENERGY 1I chan
CCDNODE 1B
"""),
    Column("SHAPE", "1B", null=255),
    Column("GRADE", "1B"),
)
#: Added by rgsenergy and rgsevents.
PIXELS_PI = columns("PI 1E eV")
PIXELS_EVENT = (Column("EVENT", "1J", null=0),)
BADPIX = columns("CHIPX 1I pixel\nCHIPY 1I pixel\nYEXTENT 1I pixel\nTYPE 1I\nBADFLAG 1I")
REJPIX = columns("FRAME 1J\nFLAG 1J\nCHIPX 1I pixel\nCHIPY 1I pixel")
EVENTS = (
    *columns("""
TIME 1D s
FLAG 1J
BETA 1E rad
XDSP 1E rad
CHIPX 1I pixel
CHIPY 1I pixel
PHA 1I chan
"""),
    Column("SHAPE", "1B", null=255),
    Column("GRADE", "1B"),
    Column("PI", "1I", "eV", 0, 32767),
)
EVENTS_FRAME = columns("FRAME 1J")
EVENTS_CCD = (Column("CCDNR", "1B", "", 1, 9),)
EVENTS_ANGLES = columns("""
BETA_CORR 1E rad
XDSP_CORR 1E rad
M_LAMBDA 1E Angstrom
""")


def flag_keywords() -> dict[str, tuple[str, str]]:
    """XMMEA keywords of an event list: what the bits are called."""
    return {f"XMMEA_{f.bit_length() - 1}": (f"(FLAG & {f.value:#x}) != 0", f.name or "") for f in RgsFlag} | {
        "FLAGBITS": ("ASSUMED", "the numbers of most flag bits are not public")
    }
