"""The EPIC event list: its extensions, and writing it.

Source: XMM-Newton Data Files Handbook (EPIC imaging and timing mode event lists) and the column lists
of evlistcomb. The extensions and their keywords are those of each camera: :mod:`daxa.xmm.event.pn_list`,
:mod:`daxa.xmm.event.mos_list`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from daxa.xmm.event.mos_list import write_mos_list
from daxa.xmm.event.parts import CcdExposure, EventList, as_cards, write_sky_wcs
from daxa.xmm.event.pn_list import write_pn_list
from daxa.xmm.fits.schema import Column

if TYPE_CHECKING:
    from daxa.xmm.fits.hdus import BinTableHDU

__all__ = ["write_event_list", "write_sky_wcs"]


def write_event_list(
    path: str | os.PathLike[str],
    *,
    primary: Mapping[str, Any],
    columns: Mapping[str, npt.ArrayLike],
    ccds: Mapping[int, CcdExposure],
    sky: Mapping[str, Any],
    offsets: Mapping[str, npt.ArrayLike] | None = None,
    calindex: BinTableHDU | None = None,
    prime_ccd: int = 1,
    more: tuple[Column, ...] = (),
    det_limits: Mapping[str, tuple[int, int]] | None = None,
) -> None:
    """Write an event list with every extension that SAS tasks and other readers expect.

    Parameters
    ----------
    path
        File to write; the caller renames it when it is complete.
    primary
        Keywords of the observation and exposure (TELESCOP, INSTRUME, DATAMODE, SUBMODE, FILTER, OBS_ID,
        EXP_ID, EXPIDSTR, RA_PNT, ...); they are copied into EVENTS, and those of :data:`IDENTITY` into the
        CCD extensions.
    columns
        Event columns by name; those of :data:`EVENT_COLUMNS` for this instrument and data mode.
    ccds
        Per CCD number: frames, good times, bad pixels.
    sky
        ``ra_deg`` and ``dec_deg`` of the tangent point of X, Y; empty for timing modes.
    offsets
        Columns of the OFFSETS table; none if empty.
    calindex
        Index of the calibration files used.
    prime_ccd
        CCD that ONTIME and LIVETIME of the header refer to (1 for MOS, 4 for pn).
    more
        Further columns of ``columns`` to write.
    det_limits
        MOS only: least and greatest DETX and DETY of the chips.
    """
    content = EventList(
        as_cards(primary), columns, ccds, sky, offsets, calindex, prime_ccd, more, det_limits or {}
    )
    write = write_mos_list if content.instrument.startswith("EMOS") else write_pn_list
    write(path, content)
