"""Bits of the FLAG column and the selection macros made of them.

Numbers, names and the masks of the macros are those of headers of real event lists (SAS 12 to 18), but where
a comment says otherwise. Readers take macros from the header of the file at hand
(``XMMEA_*``), never from here.
"""

from __future__ import annotations

from enum import IntFlag


class MosFlag(IntFlag):
    """FLAG bits of MOS events."""

    DIAGONAL = 1 << 0
    CLOSE_TO_CCD_BORDER = 1 << 1
    CLOSE_TO_CCD_WINDOW = 1 << 2
    CLOSE_TO_ONBOARD_BADPIX = 1 << 5
    CLOSE_TO_BRIGHTPIX = 1 << 6
    #: Numbers of these two: inferred from what the other names leave free.
    CLOSE_TO_NODE_BOUNDARY = 1 << 7
    CLOSE_TO_DEADPIX = 1 << 8
    CLOSE_TO_BADCOL = 1 << 9
    CLOSE_TO_BADROW = 1 << 10
    #: In the first frame after lost ones; in imaging modes it gathered charge for longer.
    IN_SPOILED_FRAME = 1 << 11
    UNKNOWN_RAWX_PATTERN = 1 << 12
    ON_BADOFFSET = 1 << 13
    FLICKERING = 1 << 15
    OUT_OF_FOV = 1 << 16
    IN_BAD_FRAME = 1 << 17
    COSMIC_RAY = 1 << 19
    ON_BADPIX = 1 << 21
    REJECTED_BY_GATTI = 1 << 22
    OUT_OF_CCD_WINDOW = 1 << 25
    OUTSIDE_THRESHOLDS = 1 << 26
    ON_BADROW = 1 << 28
    BAD_E3E4 = 1 << 29
    UNDERSHOOT = 1 << 30


#: Flags of MOS that headers of real lists do not name.
UNLISTED = (MosFlag.CLOSE_TO_CCD_WINDOW, MosFlag.CLOSE_TO_NODE_BOUNDARY, MosFlag.UNKNOWN_RAWX_PATTERN)


class PnFlag(IntFlag):
    """FLAG bits of pn events."""

    INVALID_PATTERN = 1 << 0
    CLOSE_TO_CCD_BORDER = 1 << 1
    CLOSE_TO_CCD_WINDOW = 1 << 2
    ON_OFFSET_COLUMN = 1 << 3
    NEXT_TO_OFFSET_COLUMN = 1 << 4
    CLOSE_TO_ONBOARD_BADPIX = 1 << 5
    CLOSE_TO_BRIGHTPIX = 1 << 6
    CLOSE_TO_DEADPIX = 1 << 8
    IN_SPOILED_FRAME = 1 << 11
    OUT_OF_FOV = 1 << 16
    IN_BAD_FRAME = 1 << 17
    COSMIC_RAY = 1 << 19
    MIP_ASSOCIATED = 1 << 20
    ON_BADPIX = 1 << 21
    SECONDARY = 1 << 22
    TRAILING = 1 << 23
    OUT_OF_CCD_WINDOW = 1 << 25
    OUTSIDE_THRESHOLDS = 1 << 26
    #: Set by epreject; number and name inferred from the mask, which holds this bit since epreject exists.
    DETECTOR_NOISE = 1 << 27


#: Selection macro of each camera: keyword and mask whose bits must all be clear.
MACROS = {
    "EMOS1": {"XMMEA_EM": 0x766BA000, "XMMEA_SM": 0xFFFFFEFF},
    "EMOS2": {"XMMEA_EM": 0x766BA000, "XMMEA_SM": 0xFFFFFEFF},
    "EPN": {"XMMEA_EP": 0xCFA0000},
}


def flag_keywords(instrument: str) -> list[tuple[str, str, str]]:
    """``(keyword, expression, comment)`` of every XMMEA keyword of an event list header.

    Parameters
    ----------
    instrument
        ``EMOS1``, ``EMOS2`` or ``EPN``.
    """
    flags = PnFlag if instrument == "EPN" else [f for f in MosFlag if f not in UNLISTED]
    cards = [(f"XMMEA_{f.bit_length() - 1}", f"(FLAG & {f.value:#x}) != 0", f.name or "") for f in flags]
    cards += [
        (key, f"(FLAG & {mask:#x}) == 0", "Select good events") for key, mask in MACROS[instrument].items()
    ]
    return cards
