"""Source lists: columns of the tables of eboxdetect and emldetect, and the numbers that stand for cameras."""

from __future__ import annotations

from daxa.xmm.fits.schema import columns

#: INSTRUME -> ID_INST; 0 stands for all cameras together.
CAMERA_NUMBERS = {"EPN": 1, "EMOS1": 2, "EMOS2": 3}
#: Extension of the table.
SRCLIST = "SRCLIST"

#: Hardness ratios, between neighbouring bands.
RATIOS = 4
_HARDNESS = "\n".join(f"HR{k} 1E\nHR{k}_ERR 1E" for k in range(1, RATIOS + 1))
_PLACE = """\
SCTS 1E count
SCTS_ERR 1E count
X_IMA 1E pixel
X_IMA_ERR 1E pixel
Y_IMA 1E pixel
Y_IMA_ERR 1E pixel"""
_SKY = """\
FLUX 1E erg/cm**2/s
FLUX_ERR 1E erg/cm**2/s
RATE 1E count/s
RATE_ERR 1E count/s
RA 1D deg
DEC 1D deg
RADEC_ERR 1E arcsec
LII 1D deg
BII 1D deg"""

#: The list of eboxdetect: per source a row for all images, for each camera, and for each image.
BOX_LIST = columns(f"""
BOX_ID_SRC 1J
ID_INST 1I
ID_BAND 1I
{_PLACE}
BOX_CTS 1E count
LIKE 1E
BG_MAP 1E count/pixel
EXP_MAP 1E s
{_SKY}
{_HARDNESS}
BOX_SIZE 1E pixel
EEF 1E
DIST_NN 1E arcsec
""")

#: The list of emldetect, with the same kinds of rows.
ML_LIST = columns(f"""
ML_ID_SRC 1J
BOX_ID_SRC 1J
ID_INST 1I
ID_BAND 1I
{_PLACE}
EXT 1E pixel
EXT_ERR 1E pixel
DET_ML 1E
EXT_ML 1E
BG_MAP 1E count/pixel
EXP_MAP 1E s
{_SKY}
{_HARDNESS}
OFFAX 1E arcmin
CUTRAD 1E pixel
MASKFRAC 1E
EEF 1E
DIST_NN 1E arcsec
""")
