"""Keywords and units of pn lists beside those that real products of SAS carry over from them."""

import re

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.event.eventlist import EVENT_COLUMNS

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
