"""Layout of Observation Data Files: file types, extension names, columns.

Source: XMM-Newton Data Files Handbook (ODF chapters) and the input sections of the task manuals of
emframes, epframes and odfingest. Integer columns that the spacecraft uses as unsigned 16-bit
(counters and fine times) are stored as they are telemetered: add 65536 to negative values
(:func:`unsigned`).
"""

from __future__ import annotations

import numpy as np

from daxa.xmm.fits.schema import Column, columns
from daxa.xmm.formats.records import TIME

#: PERIPIX, the number of pixels of the ring above the threshold, is sent with three bits: more count as 7
#: (real files: nearly all cosmic-ray tracks have 7, and nothing has more).
MOS_PERIPIX_MAXIMUM = 7
MOS_IMAGING = columns("""
FRAME 1J COUNTER
RAWX 1I PIXEL
RAWY 1I PIXEL
ENERGYE1 1I CHANNEL
ENERGYE2 1I CHANNEL
ENERGYE3 1I CHANNEL
ENERGYE4 1I CHANNEL
PATTERN 1B
PERIPIX 1B
""")
#: Single pixels; their amplitude has the name that the manual of emevents gives.
MOS_REDUCED_IMAGING = columns("""
FRAME 1J COUNTER
RAWX 1I PIXEL
RAWY 1I PIXEL
ENGYE1E2 1I CHANNEL
""")
MOS_TIMING = columns("""
FRAME 1J COUNTER
RAWX 1I PIXEL
RAWY 1I PIXEL
ENGYE1E2 1I CHANNEL
PATTERN 1B
PERIPIX 1B
""")
#: Compressed timing sends neither column nor pattern (columns assumed).
MOS_COMPRESSED_TIMING = columns("""
FRAME 1J COUNTER
RAWY 1I PIXEL
ENGYE1E2 1I CHANNEL
""")
MOS_AUXILIARY = columns("""
FRAME 1J COUNTER
CCDID 1B
CCDNODE 1B
FTCOARSE 1I SECOND
FTFINE 1I
NPIXEL 1J PIXEL
NVALID 1I COUNTS
NBELOW 1I COUNTS
NABOVE 1I COUNTS
GATTIFLG 1B
FIFOOVF 1B
""")
#: Row and column offsets used on board, one row per CCD line (AXIS 0: column, 1: row). INDEX counts
#: telemetry pixels from 0, underscan included.
MOS_OFFSETS = columns("""
AXIS 1B
INDEX 1I PIXEL
OFFSET 1I CHANNEL
VARIANCE 1E CHANNEL
""")
#: Bright pixels masked on board; RAWX, RAWY as in the calibration, from 1.
MOS_BRIGHT_PIXELS = columns("""
CCDID 1B
CCDNODE 1B
RAWX 1I PIXEL
RAWY 1I PIXEL
YEXTENT 1I PIXEL
""")
#: Periodic housekeeping; the filter-wheel column is E1317 for MOS1, K1317 for MOS2.
MOS_HOUSEKEEPING = {
    "M1": columns(f"{TIME}\nE1317 1J"),
    "M2": columns(f"{TIME}\nK1317 1J"),
}
#: Filter-wheel codes of MOS (documented for MOS1).
MOS_FILTER_CODES = {
    0: "Closed",
    247: "CalThin1",
    267: "Thin1",
    514: "CalThin2",
    534: "Thin2",
    781: "CalMedium",
    801: "Medium",
    1047: "CalThick",
    1067: "Thick",
    1314: "CalOpen",
    1334: "Open",
    1580: "CalClosed",
}

PN_EVENTS = columns("""
FRAME 1J COUNTER
RAWX 1I PIXEL
RAWY 1I PIXEL
ENERGY 1I CHANNEL
""")
PN_AUXILIARY_FRAMES = columns("""
FRAME 1J COUNTER
CYCLE 1J COUNTER
FTCOARSE 1I SECOND
FTFINE 1I 20.48US
QUADRANT 1B
CCDID 1B
""")
PN_AUXILIARY_CYCLES = columns("""
CYCLE 1J COUNTER
QUADRANT 1B
NABOVE 1I COUNTS
NDEFA 1I
NEPDH 1I
NDISCLIN 1I
MCOMMODE 1I
""")
#: Discarded lines: one image row of 64 column counters per CCD file.
PN_DISCARDED_LINES_SHAPE = (64,)
#: Main periodic housekeeping: coarse time of the last reset (F1030), wrap period of the coarse frame
#: time (F1052), quadrant wait states (F1294), camera temperature (F1128), filter wheel (F1122),
#: and per quadrant n: frame chopper, cycles per counter record, CCD switch states.
PN_MAIN_HOUSEKEEPING = (
    *columns(f"{TIME}\nF1030 1J s\nF1052 1J s\nF1118 16A\nF1122 1J\nF1128 1E degC\nF1294 1J"),
    *(
        Column(f"A{q}_{name}", form)
        for q in range(4)
        for name, form in (
            ("CHOP", "1J"),
            ("MAXFRC", "1J"),
            ("CCD0SWI", "3A"),
            ("CCD1SWI", "3A"),
            ("CCD2SWI", "3A"),
        )
    ),
)
PN_ADDITIONAL_HOUSEKEEPING = columns(f"""
{TIME}
F1576 1E degC
F1628 12A
F1629 1B
F1630 1B
F1676 1E degC
F1776 1E degC
F1876 1E degC
""")
#: Filter-wheel positions of pn, in degrees of the potentiometer: stops 60 degrees apart. Thin1 and Medium are
#: those of real summaries (112.6 to 115.0, 233.2 to 234.6); the others are assumed.
PN_FILTER_CODES = {
    49: "CalClosed",
    54: "Closed",
    109: "CalThin1",
    114: "Thin1",
    169: "CalThin2",
    174: "Thin2",
    229: "CalMedium",
    234: "Medium",
    289: "CalThick",
    294: "Thick",
    349: "CalOpen",
    354: "Open",
}
#: How far a reading may be from a stop [deg].
PN_FILTER_TOLERANCE_DEG = 3.0

#: Spectroscopy event list of one CCD of the RGS; RAWX and RAWY are binned pixels from 0, SER tells how many
#: pixels were summed on board.
RGS_EVENTS = columns("""
FRAME 1J COUNTER
RAWX 1I PIXEL
RAWY 1I PIXEL
ENERGY 1I CHANNEL
CCDNODE 1B
SER 1B
""")
#: Frames of all CCDs of an exposure, one row per read-out. FT and EOS (start and end of the read-out) are
#: full on-board times; FRMTIME is 0 in real files; NDPP, the pixels read, is 171 x 128 or 0 (aborted).
RGS_AUXILIARY_FRAMES = columns("""
FRAME 1J COUNTER
FTCOARSE 1J SECOND
FTFINE 1U
EOSCOARS 1J SECOND
EOSFINE 1U
FRMTIME 1I
CCDID 1B
SEQINDEX 1I COUNTER
NREJECTC 1J PIXEL
NACCEPTC 1J PIXEL
NUPPERC 1J PIXEL
NREJECTD 1J PIXEL
NACCEPTD 1J PIXEL
NUPPERD 1J PIXEL
NDPP 1J PIXEL
NLOSTEVT 1I COUNTS
ABORTFLG 1I
""")
#: Values of ABORTFLG (real files).
RGS_ABORTED, RGS_COMPLETE = 1, 2
#: The twelve slots of the read-out sequence; CCDID is 0 in those that are not used.
RGS_AUXILIARY_SEQUENCE = columns("""
SEQINDEX 1I COUNTER
CCDID 1B
CCDNODES 1B
CCDOCB 1B
CCDCSG 1B
RTHRESHC 1I
ATHRESHC 1I
UTHRESHC 1I
RTHRESHD 1I
ATHRESHD 1I
UTHRESHD 1I
WINDOWX0 1I PIXEL
WINDOWY0 1I PIXEL
WINDOWDX 1I PIXEL
WINDOWDY 1I PIXEL
""")
#: Unit of FTFINE and EOSFINE, in seconds.
RGS_FINE_UNIT_S = 2.0**-16
#: Periodic housekeeping: whether the input buffer is full (``FULL``, ``NOT FULL``), of some 380 columns.
RGS_HOUSEKEEPING = {"R1": columns(f"{TIME}\nG5063 12A"), "R2": columns(f"{TIME}\nL5063 12A")}


def rgs_offset_image(ccd: int, node: int) -> str:
    """Extension of the averaged diagnostic images (OFX) with the offsets of one node.

    Parameters
    ----------
    ccd
        Number of the CCD.
    node
        Read-out node, 0 or 1.
    """
    return f"CCD{ccd}_offset_{'cd'[node]}"


ATTITUDE = columns("""
VALTIME 19A yyyy-mm-ddThh:mm:ss
VALDUR 1E s
OTFTHRES 1E arcsec
VIEWRA 11A HH:MM:SS.S
VIEWDECL 11A DD:MM:SS.S
ASTPOS 1E deg
ROLLANG 1E deg
GSREFNO 12A
GSRA 11A HH:MM:SS.S
GSDEC 11A DD:MM:SS.S
ASPANGLE 1E deg
ACFLAG 1B
APDAMP 5A arcsec
DIFFVRA 11A
DIFFVDEC 11A
DIFFPOS 11A
PREQID 14A
TYPEID 1A
SOURCEID 1A
ATTSEQNO 1A
SLEWTIME 19A
""")
#: Raw attitude file (text): quantities of the attitude history, sampled every 0.5 to 1 s. Its layout is
#: assumed: blank-separated fields in the order of the attitude history, so that VALTIME (with or without
#: fractions of a second) comes first, VIEWDECL behind VIEWRA and ASTPOS behind that.
ATTITUDE_FILES = {"AHF": "ATS", "RAF": "RAS"}
#: Time correlation (TCX of a real ODF; that of the observation, TCS, is assumed to be alike): one row every
#: 20 s or so. UTCDAY counts from 1958-01-01, UTCNOFIT in seconds from 2000-01-01 without leap seconds; delays
#: of the stations are inside ERTIME and UTC.
TIME_CORRELATION = columns("""
FRAME 1J COUNTER
OBTCOARS 1J SECOND
OBTFINE 1U
UTCDAY 1I
UTCMILLI 1J
UTCMICRO 1I
UTCFLAG 1I
ERTIME 27A
GSID 5A
ERTIMRAW 27A
UTCNOFIT 1D
OBTNOFIT 1D
""")
#: Weight of one unit of OBTFINE, in seconds; and where values do not fit in 16 bits (the handbook has 24).
OBTFINE_UNIT_S, OBTFINE_LONG_UNIT_S = 2.0**-16, 2.0**-24

#: File type (three letters of the name) -> DATATYPE keyword of the science table.
DATATYPES = {
    "IME": "IMAGE.EL",
    "RIE": "RIMAGE.EL",
    "TIE": "TIMING.EL",
    "CTE": "CTIMING.EL",
    "BUE": "BURST.EL",
    "AUX": "AUX.EL",
    "SPE": "SPECT.EL",
}

#: Units of the fine frame time, in seconds.
MOS_FTFINE_UNIT_S = 40e-6
PN_FTFINE_UNIT_S = 20.48e-6
#: FRMTIME of raw MOS files counts tenths of seconds (26 for 2.6 s); that of products and of the pn is in ms.
MOS_FRMTIME_UNIT_S = 0.1


def extension(instrument: str, file_type: str, number: int = 1) -> str:
    """Extension name: instrument code, file type, running number (``PNIME1``; ``SCRTX1`` of a TCX file).

    Parameters
    ----------
    instrument
        Two-letter code, e.g. ``PN``.
    file_type
        Three-letter type of the file, e.g. ``IME``.
    number
        Running number.

    Examples
    --------
    >>> extension("PN", "IME"), extension("SC", "TCX")
    ('PNIME1', 'SCRTX1')
    """
    return f"{instrument}{'RTX' if file_type == 'TCX' else file_type}{number}"


def unsigned(values: np.ndarray) -> np.ndarray:
    """16-bit counters as the non-negative numbers they stand for.

    Parameters
    ----------
    values
        Counters as a file has them, integers of any shape.
    """
    values = np.asarray(values).astype(np.int64)
    return np.where(values < 0, values + 65536, values)


def as_signed(values: np.ndarray) -> np.ndarray:
    """The 16-bit telemetry pattern of non-negative counters below 65536.

    Parameters
    ----------
    values
        Counters, integers of any shape.
    """
    values = np.asarray(values, dtype=np.int64)
    return np.where(values >= 32768, values - 65536, values).astype(np.int16)
