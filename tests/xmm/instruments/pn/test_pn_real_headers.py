"""Keywords and units of pn lists beside those that real products of SAS carry over from them."""

import re

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.formats.eventlist import EVENT_COLUMNS

IMAGES = [
    "pn_det_images/0085110101_image_500_2000_51.2ks.fits.gz",
    "pn_det_images/0724270101_image_500_2000_101.45ks.fits.gz",
    "pn_det_images/0852030101_image_500_2000_68.06ks.fits.gz",
    "masks/pn_mask_500_2000_detxy_1x.ds.gz",
]
#: What evselect and the pipeline add to what they take from the list.
NOT_OF_THE_LIST = re.compile(
    r"(SIMPLE|BITPIX|NAXIS|EXTEND|C(TYPE|RPIX|RVAL|DELT|UNIT)|LT[MV]|WCS|DS|\d+DS|XPROC|XDAL|HDUC|HISTORY|COMMENT"
    r"|EXPOSURE|SLCTEXPR|ORIGIN|FILENAME|DETNAM|CONTENT|CHECKSUM|DATASUM|DPSCORRF|XMMEA_|LONGSTRN"
    r"|HDUVERS|SASVERS|SEQ_ID|XMMSEP|ODFVER|PROCREV|PROCDATE|PPSVERS|$)"
)


def test_every_keyword_of_real_products_is_there_and_of_the_same_kind(pn_odf, tmp_path, shared_data):
    odf = pn_odf()
    for ccd in range(1, 13):
        odf.background(ccd, 300, np.random.default_rng(ccd))
    odf.write().run(tmp_path, exposure=3, odfaccess="odf")
    with fits.open(tmp_path / "P0800010101PNS003PIEVLI0000.FIT") as hdus:
        ours = dict(hdus["EXPOSU01"].header) | dict(hdus["EVENTS"].header)
    # The last one is made from an exposure map, with keywords of its own.
    for name in IMAGES[:3]:
        real = fits.getheader(shared_data / name)
        wanted = {k for k in real if not NOT_OF_THE_LIST.match(k)}
        assert len(wanted) > 60
        assert sorted(wanted - set(ours)) == [], name
        for key in wanted:
            kinds = {type(h[key]) for h in (real, ours)}
            assert kinds <= {int, float} or len(kinds) == 1, (name, key, real[key], ours[key])


@pytest.mark.parametrize("name", IMAGES)
def test_units_of_real_data_subspaces(name, shared_data):
    real = fits.getheader(shared_data / name)
    units = {c.name: c.unit for c in EVENT_COLUMNS["EPN", "IMAGING"]}
    seen = {real[f"DSTYP{n}"]: real[f"DSUNI{n}"] for n in range(1, 12) if f"DSUNI{n}" in real}
    assert seen["PI"] == "eV"
    assert {column: units[column] for column in seen} == seen


@pytest.mark.parametrize("name", IMAGES)
def test_the_row_of_the_source_is_rounded(name, shared_data):
    real = fits.getheader(shared_data / name)
    assert real["SRCPOS"] == round(real["SRCPOSY"])


#: Groups of keywords of real good-time tables that ours do not have, and why.
NOT_OF_OURS = {
    "averages of housekeeping": r"(F1\d{3}|T40\d\d|IVDDA|IVSS\w?)(MIN|MAX|AVE|OMI|OMA|OAV)"
    r"|(T\w+|IGRA|UHV)_(MIN|MAX|AVE)",
    "how the offset map was made": r"OT_\w+|OTFILTER|FROFFMAP|MCOFFMAP",
    "statistics of discarded columns": r"DLI\w+",
    "set-up of the camera": r"AN_(?!CHOP)\w+|AX_QCCDS|QUADMODE|GAINCAME|BPT_CODE|BPX_OCV|SETUPSAS|HK_TMP_\w"
    r"|FD130|MASK\w+",
    "of the run": r"JUMPLARG|TASK_RUN|ODFLATEX",
    "oscillator and orbit": r"DELTAP_G|PHASE(BEG|END)",
    "in the primary header or in EVENTS": r"EXTVER|DATATYPE|(OBS|EXP)(START|STOP)|DATE_(OBS|END)|DURATION"
    r"|REVOLUT|TELAPSE|XMMEA_\w+",
}
STRUCTURE = re.compile(
    r"XTENSION|BITPIX|NAXIS|[PG]COUNT|TFIELDS|T(TYPE|FORM|UNIT)|EXTNAME|HDUCLAS|HISTORY|COMMENT|XPROC|LONGSTRN"
    r"|CHECKSUM|DATASUM|$"
)


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("epic_pn_0124710801/PN_rate.fits", "STDGTI07"),
        ("pn_timing_x2127/0087350101_pn_timing.lc.gz", "STDGTI04"),
    ],
)
def test_keywords_of_real_good_time_tables(name, table, pn_odf, tmp_path, shared_data):
    """Ours has every keyword of epframes, of the same kind, but those of the named groups."""
    real = fits.getheader(shared_data / name, table)
    odf = pn_odf()
    odf.background(7, 3000, np.random.default_rng(7))
    odf.write().run(tmp_path, exposure=3, odfaccess="odf")
    ours = fits.getheader(tmp_path / "P0800010101PNS003PIEVLI0000.FIT", "STDGTI07")
    wanted = [k for k in real if not STRUCTURE.match(k)]
    missing = {k for k in wanted if k not in ours}
    assert {k for k in missing if not any(re.fullmatch(p, k) for p in NOT_OF_OURS.values())} == set()
    shared = set(wanted) - missing
    assert len(shared) >= 45
    for key in shared:
        kinds = {type(h[key]) for h in (real, ours)}
        assert kinds <= {int, float} or len(kinds) == 1, (key, real[key], ours[key])
    for key in (
        "F1030",
        "F1052",
        "TRESET",
        "AX_FC0",
        "AX_FC3",
        "JUMP_TOL",
        "FRAMETOT",
        "FRAMEBAD",
        "WRGCOARS",
    ):
        assert ours.comments[key][:30] == real.comments[key][:30], key
    # The offset of the clocks: TRESET and the on-board time give mission time.
    assert ours["TRESET"] + ours["F1030"] == pytest.approx(odf.start_s, abs=4 * 32400)
