"""Energy bins and channels, beside those of real responses."""

from pathlib import Path

import numpy as np
from astropy.io import fits

from daxa.xmm.spectra.grids import channel_limits, energy_bins


def test_bins_and_channels_are_those_of_real_responses(shared_data: Path):
    for name, instrument in (("PN.arf.gz", "EPN"), ("MOS1.arf.gz", "EMOS1"), ("MOS2.arf.gz", "EMOS2")):
        real = fits.getdata(shared_data / "arf_spectra_ngc7793" / name, 1)
        ours = energy_bins(instrument).astype("f4") / np.float32(1000)
        np.testing.assert_allclose(ours[:-1], real["ENERG_LO"], rtol=0, atol=1e-6)
        np.testing.assert_allclose(ours[1:], real["ENERG_HI"], rtol=0, atol=1e-6)
    limits = channel_limits("EPN", 0, 4096, 5.0)
    real = fits.getdata(shared_data / "arf_spectra_ngc7793" / "PN.rmf.gz", "EBOUNDS")
    np.testing.assert_allclose(limits[:-1], real["E_MIN"] * 1e3, rtol=0, atol=0.06)
    np.testing.assert_allclose(limits[1:], real["E_MAX"] * 1e3, rtol=0, atol=0.06)


def test_channels_of_mos_are_even():
    assert np.array_equal(channel_limits("EMOS1", 2, 3, 15.0), [30, 45, 60, 75])
