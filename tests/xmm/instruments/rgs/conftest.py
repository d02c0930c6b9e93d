"""Event lists of the spectrometers made from the simulated set of gratings, once per run."""

from __future__ import annotations

import pytest
from rgs_reduction import OBSERVATIONS, Grated, reduce


@pytest.fixture(scope="session")
def grated(simulated_gratings, tmp_path_factory) -> dict[str, Grated]:
    """Both observations, with the attitude that the swinging one needs; CCD lists are kept."""
    base = tmp_path_factory.mktemp("gratings")
    return {
        obs_id: reduce(
            simulated_gratings.odf(obs_id),
            simulated_gratings.ccf,
            base / obs_id,
            "RAF:AHF",
            expunge="",
        )
        for obs_id in OBSERVATIONS
    }
