"""Instruments and their modes: names, codes and shapes, in one table for the whole engine."""

from __future__ import annotations

#: Size of a pn CCD: columns, rows. Arrays of its pixels have the shape (rows, columns), as images have.
PN_SHAPE = (64, 200)

#: Two-letter code of file names -> INSTRUME keyword.
INSTRUMENTS = {
    "M1": "EMOS1",
    "M2": "EMOS2",
    "PN": "EPN",
    "R1": "RGS1",
    "R2": "RGS2",
    "OM": "OM",
    "RM": "ERM",
    "SC": "XMM",
}

#: INSTRUME keyword -> two-letter code.
CODES = {name: code for code, name in INSTRUMENTS.items()}
#: Codes of the cameras and of the spectrometers.
MOS, EPIC, RGS = ("M1", "M2"), ("M1", "M2", "PN"), ("R1", "R2")
#: Names that the tasks write into file names and take as parameters: mos1, mos2, pn, rgs1, rgs2.
SHORT_NAMES = {code: INSTRUMENTS[code].removeprefix("E").lower() for code in (*EPIC, *RGS)}
#: Instruments that have a record in the summary, in the order they are written.
SUMMARY_INSTRUMENTS = (*MOS, *RGS, "PN", "OM")


def code_of(name: str) -> str | None:
    """Two-letter code of a camera or spectrometer, from any of its names in any case; None for other names.

    Parameters
    ----------
    name
        The name.

    Examples
    --------
    >>> code_of("EMOS1"), code_of("mos1"), code_of("M1"), code_of("OM")
    ('M1', 'M1', 'M1', None)
    """
    upper = name.upper()
    return next((c for c, short in SHORT_NAMES.items() if upper in (c, INSTRUMENTS[c], short.upper())), None)


#: CCDMODE keyword of pn event files -> SUBMODE.
PN_MODES = {
    0: "PrimeFullWindowExtended",
    1: "PrimeFullWindow",
    2: "PrimeLargeWindow",
    3: "PrimeSmallWindow",
    4: "FastTiming",
    5: "FastBurst",
}

#: File type -> DATA_MODE, upper case, as the summary file has it.
DATA_MODES = {"IME": "IMAGING", "RIE": "RIMAGING", "TIE": "TIMING", "CTE": "CTIMING", "BUE": "BURST"}

#: Telescope of each camera.
TELESCOPES = {"EMOS1": "XRT1", "EMOS2": "XRT2", "EPN": "XRT3"}
#: Spectrometer whose gratings stand in the beam of a camera.
GRATINGS = {"EMOS1": "RGS1", "EMOS2": "RGS2"}

#: SUBMODE -> MODE_ID of the calibration tables.
MOS_MODE_IDS = {
    "PrimeFullWindow": 0,
    "PrimePartialW2": 1,
    "PrimePartialW3": 2,
    "PrimePartialW4": 3,
    "PrimePartialW5": 4,
    "PrimePartialW6": 5,
    "PrimePartialRFS": 6,
    "FastUncompressed": 7,
    "FastCompressed": 8,
}
PN_MODE_IDS = {
    "PrimeFullWindow": 0,
    "PrimeFullWindowExtended": 1,
    "PrimeLargeWindow": 2,
    "PrimeSmallWindow": 3,
    "FastTiming": 4,
    "FastBurst": 5,
}
