"""Random numbers of the products: sources seeded by observation, exposure and CCD."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from daxa.xmm.instruments.rgs.files import keyword

if TYPE_CHECKING:
    from daxa.xmm.fits.hdus import HDUList


#: What the random numbers of epreject are for; part of their seed (others: see events).
PN_NOISE = 3

#: What the random numbers are for; part of their seed (others: see events and raw).
PN_RATE = 4

PN_TIME = 5


def random_source(obs_id: str, exp_id: str, ccd: int) -> Callable[[int], np.random.Generator]:
    """Random numbers of a CCD: a generator for each purpose, the same for the same data."""
    seed = [int(obs_id), ord(exp_id[0]), int(exp_id[1:]), ccd]
    return lambda purpose: np.random.default_rng([*seed, purpose])


def generator(hdus: HDUList, where: str, purpose: int) -> np.random.Generator:
    """Random numbers that belong to the CCD of a data set."""
    names = ("OBS_ID", "INSTRUME", "EXPIDSTR", "CCDID")
    obs_id, instrument, exp_id, ccd = (str(keyword(hdus, n, where)) for n in names)
    seed = [int(obs_id), int(instrument[-1]), ord(exp_id[0]), int(exp_id[1:]), int(ccd), purpose]
    return np.random.default_rng(seed)


#: What the random numbers are for; part of their seed.
PN_ENERGY, PN_POSITION, PN_OUT_OF_TIME = range(3)

MOS_POSITION, MOS_TIME, MOS_ENERGY = 1, 2, 3
