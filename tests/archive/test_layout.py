from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxa.archive import layout
from daxa.archive.layout import Layout

O, I, E = "0201903501", "PN", "S003"  # noqa: E741


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (layout.events(O, I, E), "events/obsid0201903501-instPN-subexpS003-events.fits"),
        (layout.events(O, I, E, oot=True), "events/obsid0201903501-instPN-subexpS003-ootevents.fits"),
        (
            layout.flare_gti(O, I, E, 2500, 8500),
            "cleaning/obsid0201903501-instPN-subexpS003-en2500_8500keV-gti.fits",
        ),
        (
            layout.flare_histogram(O, I, E, 2500, 8500),
            "cleaning/obsid0201903501-instPN-subexpS003-en2500_8500keV-hist.qdp",
        ),
        (layout.all_good_events(O, I, E), "background/obsid0201903501-instPN-subexpS003-allgoodevents.fits"),
        (
            layout.all_good_events(O, I, E, oot=True),
            "background/obsid0201903501-instPN-subexpS003-allgoodOoTevents.fits",
        ),
        (layout.clean_events(O, I, E), "events/obsid0201903501-instPN-subexpS003-en-cleanevents.fits"),
        (
            layout.clean_events(O, I, E, oot=True),
            "events/obsid0201903501-instPN-subexpS003-en-cleanootevents.fits",
        ),
        (layout.final_events(O, I), "events/obsid0201903501-instPN-subexpALL-en-finalevents.fits"),
        (
            layout.final_events(O, I, oot=True),
            "events/obsid0201903501-instPN-subexpALL-en-finalootevents.fits",
        ),
        (
            layout.final_all_good_events(O, I),
            "background/obsid0201903501-instPN-subexpALL-en-finalallgoodevents.fits",
        ),
        (layout.image(O, I, 0.5, 2), "images/obsid0201903501-instPN-subexpALL-en0.5_2.0keV-image.fits"),
        (
            layout.exposure_map(O, I, 2.0, 10.0),
            "images/obsid0201903501-instPN-subexpALL-en2.0_10.0keV-expmap.fits",
        ),
        (
            layout.rgs_file(O, "R1", "S004", "finalevents"),
            "events/obsid0201903501-instR1-subexpS004-finalevents.fits",
        ),
        (layout.attitude(O), "P0201903501OBX000ATTTSR0000.FIT"),
        (layout.sas_summary(70, O), "0070_0201903501_SCX00000SUM.SAS"),
        (layout.anom_log("M2", "U002"), "mos2U002-anom.log"),
        (layout.log_name("emchain", "x", "stderr"), "logs/emchain_x_stderr.log"),
    ],
)
def test_names(name, expected):
    assert name == expected


def test_folders():
    here = Layout(Path("/a/archives/field"))
    assert here.processed("xmm_pointed", O) == Path(f"/a/archives/field/processed_data/xmm_pointed/{O}")
    assert here.failed("xmm_pointed", O) == Path(f"/a/archives/field/failed_data/xmm_pointed/{O}")
    assert here.regions("m", "o") == Path("/a/archives/field/regions/m/o/source_regions_radec.reg")
    assert here.mission_state("m") == Path("/a/archives/field/.save_info/m_state.json")


@given(st.integers(1, 12000), st.integers(1, 12000))
def test_energies_read_back(lo, hi):
    text = layout.energy_text(lo / 1000, hi / 1000)
    first, second = text.removesuffix("keV").split("_")
    assert (float(first), float(second)) == (lo / 1000, hi / 1000)
    assert "." in first and not first.endswith(".")  # noqa: PT018


def test_no_energies_no_text():
    assert layout.energy_text(None, None) == ""
