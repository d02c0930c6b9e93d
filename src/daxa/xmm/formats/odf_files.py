"""What is known of each type of raw file: tables, keywords, ranges of values.

Keywords are those of real headers (0135730701, ODS 11.0.0). Ranges hold for the files of that observation
and follow from the meaning of each column; a value outside is not an error, but worth a word. Of pn events,
frames, offsets, bright pixels and attitude there is no real file at hand: nothing is said of their keywords.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from daxa.xmm.fits.schema import Column
from daxa.xmm.formats import housekeeping, records
from daxa.xmm.formats import odf as layout
from daxa.xmm.formats.instruments import PN_MODES

Ranges = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class FileType:
    """One type of file of one instrument.

    Attributes
    ----------
    tables
        Columns of its extensions; none if it holds images or is not known.
    ranges
        Lowest and highest value of some columns, per table.
    keywords
        Those of the first extension.
    images
        Whether it holds images.
    used
        Whether the engine takes something from its images.
    needed
        Columns of whole housekeeping without which the engine has no use for it; all of others.
    """

    tables: tuple[tuple[Column, ...], ...] = ()
    ranges: tuple[Ranges, ...] = ()
    keywords: tuple[str, ...] = ()
    images: bool = False
    used: bool = False
    needed: tuple[str, ...] = ()


#: Keywords of the primary header.
PRIMARY_KEYWORDS = ("ORIGIN", "DATE", "FILENAME", "CREATOR", "ODSVER", "CATEGORY")
_COMMON = ("EXTNAME", "EXTVER", "TELESCOP", "INSTRUME", "DATATYPE", "DATE-OBS", "DATE-END")
_OBSERVED = (*_COMMON, "OBS_ID", "EXP_ID")
_WINDOW = ("WINDOWX0", "WINDOWY0", "WINDOWDX", "WINDOWDY")
_EDU = (*_OBSERVED, "CCDID", "CCDNODE", *_WINDOW, "EDUID", "EDUMODE", "EDUTHR", "FRMTIME")
_MONITOR = (*_COMMON, "OBS_ID", "ERMS_ID", "TMMODE", "WKMODE", "ITGSTAT")

_UNSIGNED, _FLAG, _AMPLITUDE = (0, 65535), (0, 1), (0, 4095)


def _each(names: str, limits: tuple[float, float]) -> dict[str, tuple[float, float]]:
    return dict.fromkeys(names.split(), limits)


_THRESHOLDS = _each("ATHRESHC ATHRESHD UTHRESHC UTHRESHD", _AMPLITUDE)
#: Columns of the RGS that one node reads: 171, or all 342 of RGS2 since 2007, when it reads with one node.
_RGS_COLUMNS = (171, 342)
_RGS_WINDOW = _each("WINDOWX0 WINDOWY0", (0, 0)) | {"WINDOWDX": _RGS_COLUMNS, "WINDOWDY": (128, 128)}

_MOS = {
    "IME": FileType(
        (layout.MOS_IMAGING,),
        (
            # Pixels of masked columns take their offsets from E3 and E4.
            {
                "RAWX": (6, 607),
                "RAWY": (2, 601),
                "PATTERN": (0, 31),
                "PERIPIX": (0, layout.MOS_PERIPIX_MAXIMUM),
            }
            | _each("ENERGYE1 ENERGYE2", _AMPLITUDE)
            | _each("ENERGYE3 ENERGYE4", (-16384, 4095)),
        ),
        (*_EDU, "EMDHLOW", "EMDHUPP"),
    ),
    "RIE": FileType((layout.MOS_REDUCED_IMAGING,)),
    "TIE": FileType((layout.MOS_TIMING,)),
    "CTE": FileType((layout.MOS_COMPRESSED_TIMING,)),
    "AUX": FileType(
        (layout.MOS_AUXILIARY,),
        (
            {"CCDID": (1, 7), "FTCOARSE": (0, 32767), "FTFINE": (0, 24999)}
            | _each("CCDNODE GATTIFLG FIFOOVF", _FLAG),
        ),
        _OBSERVED,
    ),
    "DII": FileType(keywords=(*_EDU, "FRAME", "FTCRSE", "FTFINE", "NPIXEL", "FIFOOVF"), images=True),
    "OVE": FileType((layout.MOS_OFFSETS,)),
    "PTH": FileType((layout.MOS_BRIGHT_PIXELS,)),
    "CCX": FileType(
        (records.MOS_COUNTING,),
        (
            {"HBRID": (1, records.MOS_UNITS)}
            | _each("STFINE ETFINE", _UNSIGNED)
            | _each("VECNTR RELTCNTR REUTCNTR FRAMCNTR", (0, records.COUNTER_MAXIMUM))
            | _each("VEOVF RELTOVF REUTOVF FRAMOVF", _FLAG),
        ),
        _OBSERVED,
    ),
    "HTH": FileType(
        (records.MOS_THRESHOLDS,),
        ({"HBRID": (1, records.MOS_UNITS), "PATTERN": (0, 3)} | _each("LTHRESH UTHRESH", _AMPLITUDE),),
        _OBSERVED,
    ),
    "HCH": FileType(
        (records.MOS_CONFIGURATION,),
        ({"HBRID": (1, records.MOS_UNITS), "HBRACTIV": _FLAG, "HBRPROC": (0, 10)},),
        _OBSERVED,
    ),
}
_PN_AXES = {"RAWX": (0, 63), "ENERGY": _AMPLITUDE}
_PN = {
    "IME": FileType((layout.PN_EVENTS,), ({"RAWY": (0, 199)} | _PN_AXES,)),
    "TIE": FileType((layout.PN_EVENTS,), (_PN_AXES,)),
    "BUE": FileType((layout.PN_EVENTS,), (_PN_AXES,)),
    "DLI": FileType(images=True, used=True),
    "ODI": FileType(images=True, used=True),
    "AUX": FileType(
        (layout.PN_AUXILIARY_FRAMES, layout.PN_AUXILIARY_CYCLES),
        ({"QUADRANT": (0, 3), "CCDID": (0, 2)}, {"QUADRANT": (0, 3)}),
    ),
    "PMH": FileType((layout.PN_MAIN_HOUSEKEEPING,)),
    "HCH": FileType(
        (records.PN_CONFIGURATION,),
        (
            {"HBRID": (1, records.PN_UNITS), "HBRACTIV": _FLAG}
            | _each("HBRPROC CCD0MODE CCD1MODE CCD2MODE", (0, max(PN_MODES))),
        ),
        _OBSERVED,
    ),
}
_RGS = {
    "SPE": FileType(
        (layout.RGS_EVENTS,),
        (
            {
                "RAWX": (0, _RGS_COLUMNS[1] - 1),
                "RAWY": (0, 127),
                "ENERGY": _AMPLITUDE,
                "CCDNODE": _FLAG,
                "SER": (0, 7),
            },
        ),
        (*_OBSERVED, "CCDID", "CCDOCB", *_WINDOW, "PSCHEME", "SCITYPE", "TMEXP_ID"),
    ),
    "AUX": FileType(
        (layout.RGS_AUXILIARY_FRAMES, layout.RGS_AUXILIARY_SEQUENCE),
        (
            {
                "CCDID": (1, 9),
                "SEQINDEX": (1, 12),
                "NDPP": (0, _RGS_COLUMNS[1] * 128),
                "ABORTFLG": (layout.RGS_ABORTED, layout.RGS_COMPLETE),
            }
            | _each("FTFINE EOSFINE", _UNSIGNED),
            {"SEQINDEX": (1, 12), "CCDID": (0, 9), "CCDCSG": (0, 7)}
            | _each("CCDNODES CCDOCB", (0, 3))
            | _THRESHOLDS
            | _RGS_WINDOW,
        ),
        _OBSERVED,
    ),
    "OFX": FileType(images=True, used=True),
    "D1H": FileType(
        (records.RGS_WINDOWS,),
        (
            {
                "CCDID": (1, 9),
                "SCITYPE": (records.RGS_DIAGNOSTIC, records.RGS_SPECTROSCOPY),
                "CCDNODES": (1, 3),
            }
            | _THRESHOLDS
            | _RGS_WINDOW,
        ),
        _OBSERVED,
    ),
    "D2H": FileType(
        (records.RGS_READOUT,),
        (
            {"RDOUTSEQ": (0, 9), "CCDSNUM": (1, 12), "OCBMODE": (1, 3), "READOUT": (1, 3), "CSGPATT": (0, 7)}
            | _each("REJTHRC REJTHRD", _AMPLITUDE),
        ),
        _OBSERVED,
    ),
}
_CLOCK = ({"OBTFINE": _UNSIGNED, "UTCMILLI": (0, 86_399_999), "UTCMICRO": (0, 1000), "UTCFLAG": (0, 0)},)
_TYPES: dict[str, dict[str, FileType]] = {
    **{name: {**_MOS, "PEH": FileType((layout.MOS_HOUSEKEEPING[name],))} for name in ("M1", "M2")},
    "PN": _PN,
    **dict.fromkeys(("R1", "R2"), _RGS),
    "RM": {
        "ECX": FileType((records.RADIATION_COUNTS,), ({"FTFINE": _UNSIGNED},), _MONITOR),
        "ESX": FileType((records.RADIATION_SPECTRA,), ({"FTFINE": _UNSIGNED},), _MONITOR),
    },
    "SC": {
        "ATS": FileType((layout.ATTITUDE,)),
        "TCS": FileType((layout.TIME_CORRELATION,), _CLOCK),
        "TCX": FileType((layout.TIME_CORRELATION,), _CLOCK, _COMMON),
    },
}
#: What the engine reads of whole housekeeping, but for the time.
_NEEDED = {
    "PNPAH": layout.PN_ADDITIONAL_HOUSEKEEPING,
    **{f"{name}PFH": schema for name, schema in layout.RGS_HOUSEKEEPING.items()},
}


@cache
def describe(instrument: str, file_type: str) -> FileType:
    """What is known of a type of files, by the codes in their names; nothing of an unknown one.

    Parameters
    ----------
    instrument
        Two-letter code, e.g. ``PN``.
    file_type
        Three-letter type of the file, e.g. ``IME``.
    """
    if housekeeping.parameters(instrument, file_type):
        keywords = (*_COMMON, "OBS_ID") if instrument == "SC" else _OBSERVED
        table = housekeeping.schema(instrument, file_type)
        needed = _NEEDED.get(instrument + file_type, table[:1])
        return FileType((table,), keywords=keywords, needed=tuple(column.name for column in needed))
    return _TYPES.get(instrument, {}).get(file_type, FileType())
