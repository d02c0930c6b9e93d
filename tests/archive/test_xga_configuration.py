"""The configuration by which XGA finds an archive."""

from __future__ import annotations

import configparser

from daxa.archive import layout
from daxa.archive.xga import xga_configuration


def read(text: str) -> configparser.SectionProxy:
    """As XGA reads it: percent signs have a meaning."""
    parser = configparser.ConfigParser()
    parser.read_string(text)
    assert parser["XGA_SETUP"]["xga_save_path"].endswith("/out/")
    return parser["XMM_FILES"]


def test_every_product_is_found_under_its_name(tmp_path):
    folder = tmp_path / "processed_data" / "xmm_pointed" / "0800010101"
    (folder / "images").mkdir(parents=True)
    for low, high, size in ((2.0, 10.0, None), (0.5, 2.0, None), (0.3, 1.0, 4.0)):
        (folder / layout.image_product("0800010101", "PN", "image", low, high, size)).touch()
    found = read(xga_configuration(tmp_path, tmp_path / "out"))
    assert (found["lo_en"], found["hi_en"]) == ("['0.5', '2.0']", "['2.0', '10.0']")
    names = {"obs_id": "0800010101", "lo_en": "0.5", "hi_en": "2.0"}
    assert found["pn_image"].format(**names) == str(folder / layout.image("0800010101", "PN", 0.5, 2.0))
    assert found["mos2_expmap"].format(**names) == str(
        folder / layout.exposure_map("0800010101", "M2", 0.5, 2.0)
    )
    assert found["clean_mos1_evts"].format(**names) == str(folder / layout.final_events("0800010101", "M1"))
    assert found["attitude_file"].format(**names) == str(folder / layout.attitude("0800010101"))
    assert found["region_file"].format(**names) == str(folder / layout.found_regions("0800010101"))
    own = layout.Layout(tmp_path).regions("xmm_pointed", "0800010101")
    own.parent.mkdir(parents=True)
    own.touch()
    found = read(xga_configuration(tmp_path, tmp_path / "out"))
    assert found["region_file"].format(**names) == str(own)


def test_without_images_one_band_is_named(tmp_path):
    found = read(xga_configuration(tmp_path, tmp_path / "out"))
    assert (found["lo_en"], found["hi_en"]) == ("['0.5']", "['2.0']")
