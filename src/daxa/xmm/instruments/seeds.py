"""Random numbers of the products: the same data give the same numbers, and each purpose has its own.

A seed is made of observation, exposure, CCD and purpose. Each wing has its own order of them, and its own
numbers of the purposes: another order would change every product.

Parameters
----------
obs_id
    The observation.
instrument
    Name of the instrument, as each function says.
exp_id
    Identifier of the exposure, e.g. ``S001``.
ccd
    Number of the CCD.
node
    Read-out node, 0 or 1.
purpose
    What the numbers are for, one of the constants here: each has numbers of its own.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: Purposes of MOS: places within a pixel, times within a frame, energies within a channel, and in timing.
MOS_POSITION, MOS_TIME, MOS_ENERGY, MOS_TIMING_ENERGY = 1, 2, 3, 4
#: Purposes of the pn: energies within a channel, places within a pixel, rows of out-of-time events, noise
#: that epreject flags, energies that epfast corrects, times within a frame.
PN_ENERGY, PN_POSITION, PN_OUT_OF_TIME, PN_NOISE, PN_RATE, PN_TIME = range(6)
#: Purposes of the RGS: what rgsenergy and what rgsevents draws.
RGS_ENERGY, RGS_EVENTS = 1, 2


def _exposure(exp_id: str) -> tuple[int, int]:
    """Letter and number of an exposure such as ``S001``."""
    return ord(exp_id[0]), int(exp_id[1:])


def mos(obs_id: str, instrument: str, exp_id: str, ccd: int, node: int, purpose: int) -> np.random.Generator:
    """Random numbers of one node of a MOS CCD; ``instrument`` is M1 or M2."""
    return np.random.default_rng(
        [int(obs_id), sum(instrument.encode()), *_exposure(exp_id), ccd, node, purpose]
    )


def pn(obs_id: str, exp_id: str, ccd: int) -> Callable[[int], np.random.Generator]:
    """Random numbers of a pn CCD: a generator for each purpose."""
    seed = [int(obs_id), *_exposure(exp_id), ccd]
    return lambda purpose: np.random.default_rng([*seed, purpose])


def pn_rate(obs_id: str, exp_id: str) -> np.random.Generator:
    """Random numbers of the list of a pn exposure: those of all CCDs together, for its rates."""
    return np.random.default_rng([int(obs_id), *_exposure(exp_id), PN_RATE])


def rgs(obs_id: str, instrument: str, exp_id: str, ccd: str, purpose: int) -> np.random.Generator:
    """Random numbers of an RGS CCD; ``instrument`` is RGS1 or RGS2."""
    return np.random.default_rng([int(obs_id), int(instrument[-1]), *_exposure(exp_id), int(ccd), purpose])
