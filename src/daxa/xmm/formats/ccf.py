"""Layout of the calibration constituents (CCF files) that the engine reads.

Sources: XMM-Newton Calibration Access and Data Handbook, CCF release notes, and the EXTSEQID lists
of a real calibration index. Column names that no public text gives are marked "assumed"; how a real
constituent that lays them out differently is read, and what is refused by name, is decided in
:mod:`daxa.xmm.ccf.readings`.

``LAYOUT[(scope, typeid)][extname]`` is the tuple of columns of that table; an image has none. ``scope`` is
``EMOS`` for both MOS cameras, ``RGS`` for both spectrometers and ``XRT`` for the three telescopes. Vector
lengths that may vary from one issue to the next are given as ``0`` in the form and taken from the file.
"""

from __future__ import annotations

from daxa.xmm.fits.schema import Column, columns
from daxa.xmm.formats.instruments import GRATINGS, TELESCOPES

#: The calibration index.
CALINDEX = (
    Column("TELESCOP", "4A"),
    Column("SCOPE", "6A"),
    Column("TYPEID", "32A"),
    Column("ISSUE", "1I"),
    Column("VALDATE", "19A", "yyyy:dd:mmZhh:mm:ss"),
    Column("VALDATE-END", "19A", "yyyy:dd:mmZhh:mm:ss"),
    Column("FNAME", "256A"),
    Column("DATE", "19A", "yyyy:dd:mmZhh:mm:ss"),
    Column("FSIZE", "1J", "byte"),
    Column("SUBDATE", "19A", "yyyy:dd:mmZhh:mm:ss"),
    Column("EXTSEQU", "32A"),
    Column("EXTSEQID", "256A"),
    Column("MD5", "32A"),
    Column("CREATOR", "64A"),
)

_LINCOORD = columns("""
CCD_ID 1I
NODE_ID 1I
X0 1D mm
Y0 1D mm
Z0 1D mm
RAWX0 1D pixel
RAWY0 1D pixel
PHI0 1D rad
THETA0 1D rad
PSI0 1D rad
""")
_ONBOARD_OFFSETS = columns("""
MODE_ID 1I
ROW_OFFSET 0I adu
COLUMN_OFFSET 0I adu
COL_X0 1I pixel
ROW_Y0 1I pixel
ROW_LEN 1I pixel
COL_LEN 1I pixel
""")
REGION_SHAPES = ("CIRCLE", "BOX", "ROTBOX", "ELLIPSE")
#: Region rows in DETX/DETY (0.05 arcsec): SHAPE is one of those (BOX with half-widths) or its negation with
#: "!"; rows of one COMPONENT are ANDed, components are ORed (column names assumed, as in region files).
_REGIONS = columns("""
SHAPE 16A
X 1D 0.05 arcsec
Y 1D 0.05 arcsec
R 2D 0.05 arcsec
ROTANG 1D deg
COMPONENT 1I
""")
_ANGVAR = columns("""
TIME 1D s
DELTA_PHI 1D arcsec
DELTA_THETA 1D arcsec
DELTA_PSI 1D arcsec
""")
_RGS_CTIY = columns("YCOL 1I pixel\nCTI_Y 1D\nCTI_Y_ERROR 1D")
_BADPIX = columns("""
CCD_ID 1I
NODE_ID 1I
RAWX 1I pixel
RAWY 1I pixel
TYPE 1A
YEXTENT 1I pixel
UPLINKED 1L
""")


def _modeparam(vector: int) -> tuple[Column, ...]:
    return (
        Column("MODE_ID", "1I"),
        *(
            Column(name, f"{vector}D", unit)
            for name, unit in (
                ("INTEGRATION_T", "ms"),
                ("SHIFT_T", "ms"),
                ("FRAME_T", "ms"),
                ("CYCLE_T", "ms"),
                ("TIME_RES", "ms"),
                ("DUTY_CYCLE", ""),
                ("SMEARED_FRAC", ""),
            )
        ),
        *(Column(name, f"{vector}I", "pixel") for name in ("WINDOWX0", "WINDOWY0", "WINDOWDX", "WINDOWDY")),
    )


_MOS_GAIN = (
    Column("CCD_ID", "1I"),
    *(
        Column(f"{name}{suffix}", "2D", unit)
        for suffix in ("", "1", "2", "3")
        for name, unit in (("OFFSET", "eV"), ("GAIN", "eV/adu"), ("POLY_TERM", "eV/adu^2"))
    ),
)
_FILTERS = (
    *("THIN1", "THIN2", "MEDIUM", "THICK", "OPEN", "CLOSED"),
    *("CALTHIN1", "CALTHIN2", "CALMEDIUM", "CALTHICK", "CALOPEN", "CALCLOSED"),
)
_FILTER_TABLES = {f"FILTER-{name}": columns("REGION 64A\nTRANSMISSION 0D") for name in _FILTERS}
_CURVE = columns("ENERGY 1D eV")


def _efficiency(n_ccds: int, n_patterns: int) -> dict[str, tuple[Column, ...]]:
    """Documented: a curve for each pattern (MOS), or for singles and doubles (pn), in each CCD and region.

    Energies stand in EBINS; QE_TOTAL, all CCDs and patterns together, has those of EBINS_FRACTION.
    """
    curves = (Column("REGION", "64A"), *(Column(f"QE_{k}", "0D") for k in range(n_patterns)))
    return {
        **{f"QE_CCD{i}": curves for i in range(1, n_ccds + 1)},
        "EBINS": _CURVE,
        "QE_TOTAL": columns("QE_TOTAL 0D"),
        "EBINS_FRACTION": _CURVE,
    }


# Limits of housekeeping parameters: selection expressions with @ for the parameter (documented; column names
# assumed). TRANSLATION: both names of parameters. AUXPAR: limits of quantities of the auxiliary files.
_HKPARMINT = {
    "HKPARMINT": columns("PARAMETER 32A\nEXPRESSION 64A"),
    "TRANSLATION": columns("SHORT_NAME 16A\nLONG_NAME 32A"),
    "AUXPAR": columns("PARAMETER 32A\nEXPRESSION 64A"),
}

LAYOUT: dict[tuple[str, str], dict[str, tuple[Column, ...]]] = {
    # PARM_ID used: FOCAL_LENGTH [mm] (XRTn); OPTICS_CCD, OPTICS_X, OPTICS_Y [pixel] (optical axis); for MOS
    # also COSMICSI, COSMICOU (cosmic-ray dead time), E3CEN, E4CEN, E3RAD, E4RAD [adu], E3ANG [deg], EMDHLOW,
    # EMDHHIGH [adu]; for RGSn INCIDENCE_ANGLE [deg], GRAT_LINE_DENS [1/mm] and DPPVERS (names documented).
    # Not used: FOV_RADIUS [deg] (XRTn), PLATE_SCALE_X/Y [arcsec/pixel], MM_PER_PIXEL_X/Y [mm].
    ("XMM", "MISCDATA"): {
        "MISCDATA": columns("INSTRUMENT_ID 16A\nPARM_ID 32A\nPARM_VAL 1D\nPARM_UNIT 16A"),
    },
    # Euler angles [deg] of the passive 3-2-1 rotation R1(psi) R2(theta) R3(phi) from the spacecraft frame
    # (axis 1: viewing direction, 2: position angle PA + 90 deg, 3: position angle PA) to the camera's
    # frame (axis 1: optical axis towards the sky, 2: +DETX, 3: +DETY, as directions of sky sources).
    # RGSn: axis 1 is the direction of a source with offsets 0, axes 2 and 3 follow PA + 90 deg and PA.
    # The ANGVAR tables hold offsets to the angles, linear in TIME (s since MJDREF), clamped at the ends.
    ("XMM", "BORESIGHT"): {
        "BORESIGHT": columns("INSTRUMENT_ID 16A\nEULER_PHI 1D deg\nEULER_THETA 1D deg\nEULER_PSI 1D deg"),
        "EMOS1_ANGVAR": _ANGVAR,
        "EMOS2_ANGVAR": _ANGVAR,
        "EPN_ANGVAR": _ANGVAR,
        "RGS1_ANGVAR": _ANGVAR,
        "RGS2_ANGVAR": _ANGVAR,
    },
    # LINCOORD header: MM_PX_X, MM_PX_Y, CC12_TX, CC12_TY [mm], ARC_MM_X, ARC_MM_Y [arcsec/mm].
    # CAMCOORD1 = (X0, Y0) + rot(PHI0) ((RAWX - RAWX0) MM_PX_X, (RAWY - RAWY0) MM_PX_Y);
    # CAMCOORD2 = CAMCOORD1 + (CC12_TX, CC12_TY); DETX = CAMCOORD2_x ARC_MM_X / 0.05 arcsec.
    # Optional (names assumed): SHADE_C, SHADE_O [pixel], how far CCDs of greater Z0 shade the lowest CCD and
    # the others; only the area of the field of view uses them.
    ("EMOS", "LINCOORD"): {"LINCOORD": _LINCOORD, "FOV": _REGIONS, "CORNER": _REGIONS},
    ("EPN", "LINCOORD"): {"LINCOORD": _LINCOORD, "FOV": _REGIONS},
    # RGS header (documented): MM_PX_X, MM_PX_Y [mm] of a pixel before binning, CC12_TX, CC12_TY, CC12_TZ
    # [mm], CC2_TX, CC2_TY, CC2_TZ [mm] (CAMCOORD2 origin in SACCOORD), CC2_RPH, CC2_RTH, CC2_RPS [deg],
    # G_TX, G_TY, G_TZ [mm] (centre of the gratings in SACCOORD), G_RY [deg, unit assumed]. The angles -90,
    # 82.667, 90 that the handbook prints tilt the chips by 7.333 deg about the camera's y axis, as its text
    # says, only as Euler angles about z, x, z. The rows' own angles turn about z, y, x as those of BORESIGHT
    # (assumed); a chip's x and y axes are the directions of increasing RAWX and RAWY, and RAWX0 and RAWY0
    # count unbinned pixels from the read-out node of the row.
    ("RGS", "LINCOORD"): {"LINCOORD": _LINCOORD},
    # MODEPARAM header: UNDER_X, OVER_X, UNDER_Y, OVER_Y (pixels); WINDOW* are 0-based telemetry pixels,
    # so RAWX = x_telemetry + WINDOWX0 - UNDER_X + 1 of images; events of MOS are 2
    # less. MOS vectors: CCD 1, outer CCDs.
    # Fast modes (pn timing and burst, CCD 1 of MOS timing): the 0-based telemetered RAWY counts the lines
    # of a frame. TIME_RES is the time from line to line; SHIFT_T the time in which charge from the last
    # row of the CCD reaches the read-out, so that charge from row y is read y / n_rows SHIFT_T after its
    # photon arrived. WINDOWDY is the number of lines. MOS: photons read in line L from row y arrived
    # L TIME_RES to (L + 1) TIME_RES after the start of the frame, less y / n_rows SHIFT_T; the frame lasts
    # FRAME_T = WINDOWDY TIME_RES and its stamp is treated as that of imaging frames.
    ("EMOS", "MODEPARAM"): {"MODEPARAM": _modeparam(2)},
    ("EPN", "MODEPARAM"): {"MODEPARAM": _modeparam(1)},
    # DELAY (assumed name): s from the centre of the integration to the time stamp of the frame.
    ("EMOS", "TIMECORR"): {"FRAMETIME": columns("MODE_ID 1I\nFRAME_TIME 2D s\nDELAY 2D s")},
    # Only FRAME_TIME is public, in both tables; times in s here, files may have ms.
    ("EPN", "TIMECORR"): {
        # LIVE and FIFO_RESIDUAL (names assumed): live share of the integration that every frame has, and the
        # share of its exposure that is left to the frame in which the event buffer was reset.
        "FRAMETIME": columns("MODE_ID 1I\nFRAME_TIME 1D ms\nFIFO_DEAD_TIME 1D ms\nLIVE 1D\nFIFO_RESIDUAL 1D"),
        # CCD_ID: position 0, 1, 2 in the quadrant (of every one, or of QUADRANT), or CCD 1 to 12. TIME_CORR
        # is added to the time stamp to get the centre of the integration; in fast modes, the arrival of
        # photons that need no shifting and are read in line 0:
        # TIME = stamp + TIME_CORR + (line - floor(SRCPOS / 10)) TIME_RES in timing, and
        # TIME = stamp + TIME_CORR + (line - SRCPOS) TIME_RES in burst (line: RAWY as telemetered, from 0).
        "TIMECORR": columns(
            "MODE_ID 1I\nQUADRANT 1I\nCCD_ID 1I\nFRAME_TIME 1D ms\nFIFO_DEAD_TIME 1D ms\nTIME_CORR 0D s"
        ),
    },
    # Tolerance of frame-time jumps in units of 20.48 us, by revolution and mode (names assumed): a row for
    # each mode, a vector of the modes, or a second column for fast modes.
    ("EPN", "TIMEJUMPTOL"): {
        "TIMEJUMPTOL": columns("MODE_ID 1I\nREVOLUTION 1I\nTOLERANCE 0D\nTOLERANCE_FAST 1D")
    },
    ("EMOS", "BADPIX"): {"BADPIX": _BADPIX},
    ("EPN", "BADPIX"): {"BADPIX": _BADPIX},
    # PI = OFFSETp + GAINp PHA + POLY_TERMp PHA^2, p = 0 (singles), 1 (doubles), 2 (triples), 3 (others);
    # vector element = read-out node. ENERGY_COMBINE: weights of E1..E4 per pattern (columns assumed).
    ("EMOS", "ADUCONV"): {
        "OFFSET_GAIN": _MOS_GAIN,
        "ENERGY_COMBINE": columns("PATTERN 1I\nC1 1D\nC2 1D\nC3 1D\nC4 1D"),
    },
    # CTI_EXTENDED header: REF_DATE, ALGOID 2 (those of the first years, 0 and 1, hold other laws in as many
    # columns and are refused). Loss per transfer [adu] =
    # (c0 + c1 dt_days) (PHA/1000)^c2, or with PHA^c2, which the size of c0 tells (mos_losses; law measured on
    # real lists, names of columns assumed).
    ("EMOS", "CTI"): {
        "CTI_EXTENDED": columns("""
MODE_ID 1I
CCD_ID 1I
NODE_ID 1I
CTI_X0 1D adu
CTI_X1 1D adu/day
CTI_X2 1D
CTI_Y0 1D adu
CTI_Y1 1D adu/day
CTI_Y2 1D
"""),
        "CTI_COLUMN": columns("CCD_ID 1I\nNODE_ID 1I\nRAWX 1I\nRAWY_START 1I\nYLENGTH 1I\nOFFSET 1D adu"),
    },
    # Offsets subtracted on board [adu], per column and per row, in the order in which the node reads them.
    # Element 0 of ROW_OFFSET is that of pixel COL_X0 of the whole read-out, underscan included and counted
    # from 0, as WINDOWX0 is (assumed); ROW_LEN elements count. COLUMN_OFFSET, ROW_Y0 and COL_LEN alike.
    # The dark frames themselves (DARKFRAME_CCDn) are not read.
    ("EMOS", "DARKFRAME"): {f"OFFSET_CCD{i}": _ONBOARD_OFFSETS for i in range(1, 8)},
    # 5x5 roles, TDIM (5,5): 1 above threshold, 0 below, 2 ignored. Header: EDUTHR_I, EDUTHR_O [adu].
    # Extension names are the SUBMODE values.
    ("EMOS", "PATTERNLIB"): {"PrimeFullWindow": columns("PATTERN_ID 1I\nPATTERN 25I")},
    ("EMOS", "QUANTUMEF"): {
        **_efficiency(7, 32),
    },
    ("EMOS", "FILTERTRANSX"): {**_FILTER_TABLES, "EBINS": _CURVE},
    ("EMOS", "HKPARMINT"): _HKPARMINT,
    ("EPN", "HKPARMINT"): _HKPARMINT,
    # Thresholds of emtaglenoise and emanom: state G above GOOD, B below BAD, I between (columns assumed).
    ("EMOS", "SCREENTHRESH"): {"SCREEN_THRESH": columns("CCD_ID 1I\nBAD 1D\nGOOD 1D")},
    # OFFSET_GAIN header: ALGOID, REFTIME. PHA' = PHA - offset[RAWX]: OFFSET (ALGOID 0 or absent)
    # or, with ALGOID 1, OFFSET_CONST + OFFSET_SLOPE (t - REFTIME) (64 elements, too).
    # GAIN-HIGH: relative gain per column; 1 adu = ADU_EV eV (header; 5 eV without it) after it.
    ("EPN", "ADUCONV"): {
        "OFFSET_GAIN": columns(
            "CCD_ID 1I\nGAIN 64D\nOFFSET 64D adu\nOFFSET_CONST 64D adu\nOFFSET_SLOPE 64D adu/s"
        ),
        "GAIN-HIGH": columns("CCD_ID 1I\nGAIN 64D"),
    },
    # CTI_EXTENDED: E' = E / (1 - CTI_Y (E/E_REF)^SLOPE)^RAWY; E_REF [eV] and SLOPE are optional header
    # keywords (1000 eV and 0, the documented law, without them). NODE_ID = RAWX - 1.
    # LONG_TERM_CTI: E'' = E' ((1 - T(E,0)) / (1 - T(E,t)))^RAWY, T_COEFF on LTC_TIMES (years since 2000); the
    # ratio is linear in log E between the lines (as in the programs that made the table).
    # COMB_EVT_OFFSET: E''' = E'' + SHIFT [eV].
    # RATE_DEPENDENT_CTI (columns assumed): E'''' = E''' / (A0 r^A1 + A2), r: electrons per second and column.
    ("EPN", "CTI"): {
        "CTI_EXTENDED": columns("MODE_ID 1I\nCCD_ID 1I\nNODE_ID 1I\nCTI_X 1D\nCTI_Y 1D"),
        "LONG_TERM_CTI": columns("MODE_ID 1I\nCCD_ID 1I\nENERGY 1D keV\nT_COEFF 0D"),
        "LTC_TIMES": columns("TIME 0D yr"),
        "COMB_EVT_OFFSET": columns("MODE_ID 1I\nCCD_ID 1I\nPATTERN 1I\nENERGY 1D keV\nSHIFT 1D eV"),
        "RATE_DEPENDENT_CTI": columns("MODE_ID 1I\nA0 1D\nA1 1D\nA2 1D"),
        # Columns assumed; logs of real runs print 0.000365 adu/K, 1179.2 and 1.0057 for extended full frame,
        # no slope and a factor of 1 for large window.
        "QBOXTEMP_GAIN": columns("MODE_ID 1I\nSLOPE 1D adu/K\nREFERENCE 1D adu\nFACTOR 1D"),
    },
    # Offset maps and low-energy noise (column names documented). MODE: SUBMODE or its short form (FF, EF, LW,
    # SW, TI, BU), RAWX: a range of columns, POINTER: an extension. MASTER_MAP and MEDIAN_MAP are images of
    # 64 columns (first axis) and 200 rows. NOISE_MAP (axes assumed): channels from 20 adu on (first axis) and
    # 200 rows, counts in EXPOSURE. MEDIAN_MAP: brightness at 20 adu. H_LOW, H_HIGH: limits of the excess
    # over it (algorithm of epreject and release notes; the handbook calls them energies in keV), in its unit
    # (assumed), between which COR_VAL is added to amplitudes.
    ("EPN", "REJECT"): {
        "NOISE_MAP_INDEX": columns("MODE 32A\nCCD 1I\nRAWX 16A\nPOINTER 32A\nEXPOSURE 1D s"),
        "MEDIAN_MAP_INDEX": columns("MODE 32A\nCCD 1I\nPOINTER 32A"),
        "MASTER_OFFSET_TABLE_INDEX": columns("MODE 32A\nCCD 1I\nPOINTER 32A"),
        "CORRECTION_VALUES": columns("MODE 32A\nCCD 1I\nH_LOW 1D\nH_HIGH 1D\nCOR_VAL 1D adu"),
    },
    # Image MASTER_CLOSED_OFFSET of 64 columns and 200 rows: the offset map without a source. Keyword XRL_COEF
    # (name assumed): adu to add per adu by which an offset map exceeds it.
    ("EPN", "TICLOSEDODI"): {"MASTER_CLOSED_OFFSET": ()},
    ("EPN", "BUCLOSEDODI"): {"MASTER_CLOSED_OFFSET": ()},
    ("EPN", "PATTERNLIB"): {"PrimeFullWindow": columns("PATTERN_ID 1I\nPATTERN 25I")},
    ("EPN", "QUANTUMEF"): {
        **_efficiency(12, 2),
    },
    ("EPN", "FILTERTRANSX"): {**_FILTER_TABLES, "EBINS": _CURVE},
    # OFFSET_GAIN header (documented): RAND_MIN, RAND_MAX, QSPLITR2 to QSPLITR4, REFTIME, ALGOID 1; the column
    # NODE_ID may be there or not, and each number may be one or a pair of the nodes (daxa.xmm.ccf.nodes).
    # Offset [chan] = OFFSET_CONST + OFFSET_SLOPE (t - REFTIME).
    ("RGS", "ADUCONV"): {
        "OFFSET_GAIN": columns("""
CCD_ID 1I
OFFSET_CONST 0D chan
OFFSET_SLOPE 0D chan/s
GAIN 0D chan/eV
REJTHRESH 0D chan
ACCTHRESH 0D chan
"""),
    },
    ("RGS", "HKPARMINT"): _HKPARMINT,
    # Documented: header SCALE multiplies the coefficients.
    ("RGS", "CTI"): {
        "XCTI": columns("CCD_ID 1I\nNODE_ID 1I\nCTI_X 1D\nCTI_X_ERR 1D"),
        **{f"CTIY{ccd}": _RGS_CTIY for ccd in range(1, 10)},
    },
    # Names of the tables from a real index; columns as for EPIC (documented), one table per node (assumed).
    ("RGS", "BADPIX"): {"BADPIX": _BADPIX, "BADPIX1": _BADPIX},
    # Share of a telescope's light that the gratings and their frame keep from the MOS camera, on axis
    # (table documented; columns, and that it is the share kept and not the share left, assumed: the reader
    # tells columns by what they hold and refuses other shares).
    ("RGS", "QUANTUMEF"): {"RGA_OBSCURATE": columns("ENERGY 1D eV\nOBSCURATE 1D")},
    # VIGNETTING header: D_THETA [deg], the step of the vector. AREA [cm^2]; FACTOR multiplies it.
    ("XRT", "XAREAEF"): {
        "ONAXISXAREAEF": columns("ENERGY 1D eV\nAREA 1D cm^2"),
        "VIGNETTING": columns("ENERGY 1D eV\nVIGNETTING_FACTOR 0D"),
        "CORRAREA": columns("ENERGY 1D eV\nFACTOR 1D"),
    },
    # THETA [rad]; PARAMS = core radius [arcsec], slope.
    ("XRT", "XPSF"): {"KING_PARAMS": columns("ENERGY 1D eV\nTHETA 1D rad\nPARAMS 2D")},
}
#: Constituents that only some modes or options read.
OPTIONAL = {("EPN", "REJECT"), ("EPN", "TICLOSEDODI"), ("EPN", "BUCLOSEDODI")}
#: Constituents of one instrument that the engine cannot do without, by scope.
REQUIRED = {
    scope: [typeid for (s, typeid) in LAYOUT if s == scope and (s, typeid) not in OPTIONAL]
    for scope in ("XMM", "EMOS", "EPN", "RGS", "XRT")
}
#: Instruments that :func:`required_of` knows.
CALIBRATED = (*TELESCOPES, *GRATINGS.values())


def generic_scope(scope: str) -> str:
    """The scope of :data:`LAYOUT` for one of file names: ``EMOS`` for ``EMOS1``.

    Parameters
    ----------
    scope
        Scope as in file names.

    Examples
    --------
    >>> generic_scope("EMOS1"), generic_scope("EPN")
    ('EMOS', 'EPN')
    """
    return scope.rstrip("123") if scope.startswith(("EMOS", "RGS", "XRT")) else scope


def required_of(instrument: str) -> list[tuple[str, str]]:
    """Scope and type of every constituent that the reduction of an instrument reads.

    Parameters
    ----------
    instrument
        A camera or spectrometer, e.g. ``EMOS1`` or ``RGS2``.
    """
    own = [
        *(("XMM", typeid) for typeid in REQUIRED["XMM"]),
        *((instrument, typeid) for typeid in REQUIRED[generic_scope(instrument)]),
    ]
    if instrument not in TELESCOPES:
        return own
    telescope = TELESCOPES[instrument]
    # What the gratings leave of a MOS camera's light depends on these two.
    gratings = ("LINCOORD", "QUANTUMEF") if instrument in GRATINGS else ()
    return [
        *own,
        *((GRATINGS[instrument], typeid) for typeid in gratings),
        # The point-spread functions, 70 MB each, are read for the pn only (its search for bad pixels).
        *((telescope, typeid) for typeid in REQUIRED["XRT"] if typeid != "XPSF" or instrument == "EPN"),
    ]


def wanted_of(instrument: str) -> list[tuple[str, str]]:
    """Scope and type of every constituent that the reduction of a camera may read.

    Parameters
    ----------
    instrument
        A camera or spectrometer, e.g. ``EMOS1`` or ``RGS2``.
    """
    return [*required_of(instrument), *sorted(key for key in OPTIONAL if key[0] == instrument)]


def layout_of(scope: str, typeid: str) -> dict[str, tuple[Column, ...]]:
    """Tables of one constituent, by extension name; ``scope`` as in file names (``EMOS1``).

    Parameters
    ----------
    scope
        Scope as in file names.
    typeid
        Type, e.g. ``LINCOORD``.

    Raises
    ------
    KeyError
        There is no such constituent.
    """
    return LAYOUT[generic_scope(scope), typeid]
