"""Columns of the tables of EPIC event lists."""

from __future__ import annotations

from daxa.xmm.fits.schema import Column

#: Size of DETX, DETY, X, Y units.
UNIT_ARCSEC = 0.05
#: The same in degrees, to the 15 digits of real headers.
STEP_DEG = float(f"{UNIT_ARCSEC / 3600.0:.14e}")
#: Columns and rows of the image of a CCD.
IMAGE_SHAPES = {"EMOS": (600, 600), "EPN": (64, 200)}
#: Largest X, Y: twice the half-size 0.36 deg of the sky plane.
SKY_MAX = 51840

_TIME = Column("TIME", "1D", "s")


def _sky(unit: str) -> tuple[Column, ...]:
    return tuple(Column(n, "1J", unit, 1, SKY_MAX, -99999999) for n in ("X", "Y"))


def _det(limit: int, unit: str) -> tuple[Column, ...]:
    return tuple(Column(n, "1I", unit, -limit, limit, -32768) for n in ("DETX", "DETY"))


#: Real ranges hold the scans beside the CCD.
MOS_RAW = (Column("RAWX", "1I", "PIXELS", -4, 605), Column("RAWY", "1I", "PIXELS", 1, 602))
_MOS_DET = (Column("DETX", "1I", "pixel"), Column("DETY", "1I", "pixel"))
_MOS_SKY = tuple(Column(name, "1J", "pixel", 1.0, float(SKY_MAX), -99999999) for name in "XY")
_MOS_ENERGY = (Column("PHA", "1I", "CHAN", 0, 32767), Column("PI", "1I", "CHAN", 0, 15000))
_PN_RAW = (Column("RAWX", "1I", "pixel", 1, 64), Column("RAWY", "1I", "pixel", 1, 200))
_PHA = Column("PHA", "1I", "CHAN", 0, 4095, -32768)
#: The unit differs from that of MOS in real products of all ages.
_PN_PI = Column("PI", "1I", "eV", 0, 32767, -32768)
_FLAG = Column("FLAG", "1J")
_PATTERN = Column("PATTERN", "1B", "", 0, 255)
_CCDNR = Column("CCDNR", "1B", "", 0, 255)

_MOS_PATTERN = (Column("PATTERN", "1B", "", 0, 31), Column("CCDNR", "1B", "", 1, 17))

EVENT_COLUMNS: dict[tuple[str, str], tuple[Column, ...]] = {
    ("EMOS", "IMAGING"): (
        _TIME, *MOS_RAW, *_MOS_DET, *_MOS_SKY, *_MOS_ENERGY, _FLAG, *_MOS_PATTERN,
    ),
    ("EMOS", "TIMING"): (_TIME, MOS_RAW[0], *_MOS_ENERGY, _FLAG, *_MOS_PATTERN),
    ("EPN", "IMAGING"): (
        _TIME, *_PN_RAW, *_det(20000, "0.05 arcsec"), *_sky("0.05 arcsec"), _PHA, _PN_PI, _FLAG, _PATTERN,
        Column("PAT_ID", "1I"), Column("PAT_SEQ", "1B"), _CCDNR, Column("TIME_RAW", "1D", "s"),
    ),
    ("EPN", "TIMING"): (
        _TIME, *_PN_RAW, _PHA, _PN_PI, _FLAG, _PATTERN, Column("PAT_ID", "1I"), _CCDNR,
    ),
}  # fmt: skip
#: What MOS lists hold besides with fulloutput=yes.
RAW_COLUMNS = (
    Column("FRAME", "1J"),
    *(Column(f"ENERGYE{k}", "1I", "CHAN") for k in (1, 2, 3, 4)),
    Column("PERIPIX", "1B"),
)
EXPOSURE_COLUMNS = {
    family: (Column("TIME", "1D", "s"), Column("TIMEDEL", "1E", "s"), Column("FRACEXP", "1E", unit))
    for family, unit in (("EMOS", "FRACTION"), ("EPN", ""))
}
BADPIX_COLUMNS = (
    Column("RAWX", "1I", "pixel"),
    Column("RAWY", "1I", "pixel"),
    Column("TYPE", "1I"),
    Column("YEXTENT", "1I", "pixel"),
    Column("BADFLAG", "1I"),
)
OFFSETS_COLUMNS = {
    "EMOS": (
        Column("RAWX", "1I"),
        Column("OFFSETX", "1I"),
        Column("OFFSETY", "1I"),
        Column("CCDNR", "1B"),
    ),
    "EPN": (Column("RAWX", "1I", "pixel"), Column("OFFSETX", "1I", "CHAN"), Column("CCDNR", "1B")),
}
#: Keywords that also stand in the extensions of each CCD; a list has some fifty of these, and every
#: reader pays for every card.
IDENTITY = (
    "TELESCOP", "INSTRUME", "OBS_ID", "EXP_ID", "EXPIDSTR", "DATAMODE", "SUBMODE", "FILTER", "DATE-OBS",
    "DATE-END", "FRMTIME",
)  # fmt: skip
DLIMAP_COLUMNS = (Column("DLIODF", "1J"), Column("DLISAS", "1J"))
#: Counter records of the pn. That the table is there is documented, and how many rows it has; its columns are
#: those of PNAUX2 in the telemetry (assumed).
HKAUX_COLUMNS = (
    Column("TIME", "1D", "s"),
    *(Column(name, "1J") for name in ("CYCLE", "NABOVE", "NDEFA", "NEPDH", "NDISCLIN", "MCOMMODE")),
)
