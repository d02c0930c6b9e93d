"""Layout of raw files that hold neither events nor frames: commands, counting cycles, images, radiation.

Source: headers and values of the files of a real observation (0135730701, ODS 11.0.0).
"""

from __future__ import annotations

from daxa.xmm.fits.schema import columns

#: Times of housekeeping and of commands are texts, in UTC and whole seconds.
TIME = "TIME 19A yyyy-mm-ddThh:mm:ss"

#: MOS, commanded thresholds of the event units (HTH): a block of eight rows for each command. LTHRESH and
#: UTHRESH limit the amplitudes that are sent; PATTERN is 3 (all patterns, assumed), 0 of the eighth unit.
MOS_THRESHOLDS = columns(f"""
{TIME}
HBRID 1B
LTHRESH 1U
UTHRESH 1U
PATTERN 1U
""")
#: MOS, commanded use of the event units (HCH): blocks of eight rows. Unit n reads CCD n (assumed).
MOS_CONFIGURATION = columns(f"""
{TIME}
HBRID 1B
HBRACTIV 1B
HBRPROC 1U
""")
#: Values of HBRPROC of the MOS; that of timing is assumed.
MOS_PROCESSES = {"IMAGING": 1, "TIMING": 2, "DIAGNOSTIC": 10}
#: Event units of a MOS camera, and quadrants of the pn, whose commands make a block.
MOS_UNITS, PN_UNITS = 8, 4
#: pn, as the MOS: a unit for each quadrant, of which unit 1 reads CCDs 4 to 6 (the real one of a burst
#: exposure, which reads CCD 4) and unit 4, then, CCDs 1 to 3 (assumed). HBRPROC and CCDnMODE have values of
#: CCDMODE in event files (5 there; those of other modes are assumed), and 0 where nothing is read.
PN_CONFIGURATION = (*MOS_CONFIGURATION, *columns("CCD0MODE 1B\nCCD1MODE 1B\nCCD2MODE 1B"))
#: RGS, commanded windows and thresholds of the nine CCDs (D1H), nodes C and D.
RGS_WINDOWS = columns(f"""
{TIME}
CCDID 1B
WINDOWX0 1U PIXEL
WINDOWY0 1U PIXEL
WINDOWDX 1U PIXEL
WINDOWDY 1U PIXEL
SCITYPE 1B
CCDNODES 1B
HOTSTUFF 1B
ATHRESHC 1U
ATHRESHD 1U
UTHRESHC 1U
UTHRESHD 1U
REALX0 1U PIXEL
REALXE 1U PIXEL
HOTCOL 1U
""")
#: Values of SCITYPE.
RGS_DIAGNOSTIC, RGS_SPECTROSCOPY = 3, 4
#: RGS, commanded read-out (D2H): twelve slots, of which CCDSNUM are in use; RDOUTSEQ is the CCD, OCBMODE the
#: on-chip binning, REJTHR the rejection threshold of a node.
RGS_READOUT = columns(f"""
{TIME}
RDOUTSEQ 1B
CCDSNUM 1U
OCBMODE 1B
READOUT 1B
REJTHRC 1U
REJTHRD 1U
CSGPATT 1B
""")
#: MOS, cycles of an event unit that counted instead of sending events (CCX). Start and end are full on-board
#: times in seconds and 2^-16 s; then events within the thresholds, below and beyond them, and frames. A
#: counter that is full stays at 32767 and sets its flag.
MOS_COUNTING = columns("""
HBRID 1I COUNTER
STCOARSE 1J SECOND
STFINE 1U
ETCOARSE 1J SECOND
ETFINE 1U
VECNTR 1I COUNTER
VEOVF 1B FLAG
RELTCNTR 1I COUNTER
RELTOVF 1B FLAG
REUTCNTR 1I COUNTER
REUTOVF 1B FLAG
FRAMCNTR 1I COUNTER
FRAMOVF 1B FLAG
""")
COUNTER_MAXIMUM = 32767
#: Radiation monitor: counts (ECX) in three channels of the low- and high-energy single detectors and one of
#: the coincidences, every 4 s; spectra of 256 channels (ESX) every 512 s. FTCOARSE is full on-board time.
_RADIATION = "FTCOARSE 1J SECOND\nFTFINE 1U\nFRAME 1J COUNTER\n"
RADIATION_COUNTS = columns(
    _RADIATION
    + "".join(f"{name} 1U\n" for name in ("NLE0", "NLE1", "NLE2", "NHE0", "NHE1", "NHE2", "NHEC"))
    + "WFSTAT 1I\nEVALCADD 1I\nEVALCNO 1I"
)
RADIATION_SPECTRA = columns(_RADIATION + "SPLE 256U COUNTS\nSPHES 256U COUNTS\nSPHEC 256U COUNTS")
#: File type -> DATATYPE keyword.
DATATYPES = {
    **dict.fromkeys(("HTH", "HCH", "D1H", "D2H"), "NPERHK.EL"),
    **dict.fromkeys(("PEH", "PMH", "PAH", "PFH"), "PERHK.EL"),
    **{f"P{number}S": f"PERHK{number}.EL" for number in (1, 2, 6, 9)},
    "P4S": "PERAT2.EL",
    "CCX": "COUNT.EL",
    "DII": "DIAG.IM",
    "ECX": "COUNTS.EL",
    "ESX": "SPECTRA.EL",
    "TCX": "RCTIMC.EL",
}
