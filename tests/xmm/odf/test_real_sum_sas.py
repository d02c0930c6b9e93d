"""Summaries that SAS made of real observations, as :func:`read_sas_summary` takes them."""

from __future__ import annotations

import pytest

from daxa.xmm.formats.summary import observation_summary, read_sas_summary, why_unusable

#: File, exposures of each instrument, filter of EPIC, on-board time of the reset of MOS1.
REAL = [
    ("esas_0203930101/0868_0203930101_SCX00000SUM.SAS.gz", (1, 1, 32, 32, 14, 11), "Medium", 131891890),
    ("sas_products_0201901401/odf/0809_0201901401_SCX00000SUM.SAS.gz", (1, 1, 3, 3, 13, 8), "Thin1", None),
    ("sas_products_0201903501/odf/0828_0201903501_SCX00000SUM.SAS.gz", (1, 1, 10, 10, 13, 11), "Thin1", None),
]


@pytest.mark.parametrize(("name", "counts", "filter_", "reset"), REAL, ids=[r[0][-27:-17] for r in REAL])
def test_real_summaries(shared_data, name, counts, filter_, reset):
    path = shared_data / name
    found = observation_summary(path)
    assert tuple(found[i]["num_exp"] for i in ("M1", "M2", "R1", "R2", "PN", "OM")) == counts
    summary = read_sas_summary(path)
    for instrument in ("M1", "M2"):
        (exposure,) = summary.instruments[instrument]
        assert (exposure.mode, exposure.filter) == ("PrimeFullWindow", filter_)
        assert set(exposure.ccd_modes) == set(range(1, 8))
        values = {key: exposure.parameters[key][0] for key in exposure.parameters}
        assert int(values["CLOCK_RESET_TIME_COARSE"]) > 1e8
        assert (values["CLOCK_RESET_TIME_FINE"], values["CLOCK_WRAP_AROUND"]) == ("0", "32767")
        if reset is not None:
            assert int(values["CLOCK_RESET_TIME_COARSE"]) == reset


def test_usable_exposures_of_real_summaries(shared_data):
    """One exposure of each instrument with events, and all images of OM; none of those that show no sky."""
    for name, counts, filter_, _ in REAL:
        found = observation_summary(shared_data / name)
        usable = {
            instrument: [e for e, one in what["exposures"].items() if why_unusable(instrument, one) is None]
            for instrument, what in found.items()
        }
        assert [len(usable[i]) for i in ("M1", "M2", "R1", "R2", "PN", "OM")] == [1, 1, 1, 1, 1, counts[5]]
        (pn,) = (found["PN"]["exposures"][e] for e in usable["PN"])
        assert (pn["mode"], pn["filter"]) == ("PrimeFullWindowExtended", filter_)
        assert pn["ccd_modes"] == dict.fromkeys(range(1, 13), "Imaging")
        (rgs,) = (found["R1"]["exposures"][e] for e in usable["R1"])
        events = rgs["mode"] != "UNDEFINED"
        assert rgs["ccd_modes"] == dict.fromkeys((1, 2, 3, 4, 5, 6, 8, 9) if events else (), "Spectroscopy")


def test_what_a_real_summary_does_not_know_is_not_there(shared_data):
    """The second one was made without the limits of event units."""
    (exposure,) = read_sas_summary(shared_data / REAL[1][0]).instruments["M1"]
    assert "HBR_6_PROCESSING_MODE" in exposure.parameters
    assert not [name for name in exposure.parameters if name.startswith("HBR_LOW_THR")]
    assert read_sas_summary(shared_data / REAL[1][0]).configuration["PRIME_INSTR"] == "E3"
