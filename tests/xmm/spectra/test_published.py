"""Names of published matrices."""

from pathlib import Path

import pytest

from daxa.xmm.spectra.published import epoch_of, published_for

FULL = "PrimeFullWindow"


@pytest.mark.parametrize(
    ("instrument", "date", "submode", "patterns", "row", "off", "name"),
    [
        # Names in real spectra of pipelines, and in texts.
        ("EPN", "2012-05-14T12:00:00", FULL, (0, 4), 156, 0, "epn_e2_ff_sd_Y7"),
        ("EPN", "2021-01-01", "PrimeFullWindowExtended", (0, 0), 1, 0, "epn_e4_ef_s_Y0"),
        ("EPN", "2005-05-31", "PrimeSmallWindow", (1, 4), 200, 0, "epn_e1_sw_d_Y9"),
        ("EPN", "2014-01-01", "FastBurst", (0, 4), 20, 0, "epn_e3_bu_sd_Y9"),
        ("EMOS2", "2007-10-01", FULL, (0, 12), 0, 300, "m2_e10_im_pall_o"),
        ("EMOS1", "2000-08-21", "PrimePartialW2", (0, 0), 0, 5, "m1_e1_im_p0_c"),
        ("EMOS1", "2011-12-01", "FastUncompressed", (0, 12), 0, 20, "m1_e14_tu_pall_w"),
    ],
)
def test_the_matrix_of_a_spectrum(instrument, date, submode, patterns, row, off, name):
    found = published_for(instrument, date, submode, patterns, 5.0, row=row, off_arcsec=off)
    assert str(found) == name
    assert found.folder == ("PN" if instrument == "EPN" else "MOS/5eV")


@pytest.mark.parametrize(
    ("instrument", "date", "submode", "patterns", "width"),
    [
        ("EMOS1", "2020-01-01", FULL, (0, 12), 5.0),
        ("EPN", "2012-05-14", FULL, (0, 2), 5.0),
        ("EPN", "2012-05-14", "Diagnostic", (0, 4), 5.0),
        ("EPN", "2012-05-14", FULL, (0, 4), 10.0),
    ],
)
def test_without_a_matrix(instrument, date, submode, patterns, width):
    assert published_for(instrument, date, submode, patterns, width, row=100, off_arcsec=300) is None


def test_finding_the_file(tmp_path: Path):
    wanted = published_for("EMOS1", "2000-08-21", FULL, (0, 12), 15.0, row=0, off_arcsec=300)
    assert wanted.find([tmp_path]) is None
    for name in ("m1_e1_im_pall_o.rmf", "m1_e1_im_pall_c.rmf", "m2_e1_im_pall_o.rmf", "m1_e11_im_pall_o.rmf"):
        path = tmp_path / "MOS" / "15eV" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert wanted.find([tmp_path / "none", tmp_path]) == tmp_path / "MOS" / "15eV" / "m1_e1_im_pall_o.rmf"
    assert epoch_of("EPN", "2006-12-31T23:59:59") == 1
