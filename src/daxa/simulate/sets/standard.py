"""The standard set: three observations of one field, their calibration, their archives and the truth.

Parameters
----------
obs_id
    The observation.
duration_s
    Length of the exposures [s].
noise
    Rates of everything that is not a photon.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from daxa.simulate.cameras.noise import Noise
from daxa.simulate.cameras.readout import Exposure
from daxa.simulate.observation import Description, Flare, simulate_observation
from daxa.simulate.odf.clock import tt_of_utc
from daxa.simulate.odf.housekeeping import Pointing, on_attitude_grid
from daxa.simulate.sets.gratings import describe_gratings
from daxa.simulate.sets.modes import describe_modes
from daxa.simulate.sets.real_exposure import DURATION_S, describe_like_0802710101
from daxa.simulate.sky import FIELD_DEC_DEG, FIELD_RA_DEG, SkyModel, cluster_field

#: Names of skies that :func:`simulate_set` knows.
SKIES = {
    "cluster": lambda: cluster_field(),
    "pulsar": lambda: cluster_field(period_s=7.3),
}
#: Length of the observations, and how much of the real noise they hold (MOS, pn).
#: "modes", "gratings" and "noise" are other observations, see :mod:`daxa.simulate.sets.modes`,
#: :mod:`daxa.simulate.sets.gratings` and :mod:`daxa.simulate.sets.real_exposure`.
SIZES = {
    "modes": (600.0, 0.3, 0.02),
    "demo": (6600.0, 0.3, 0.03),
    "small": (2400.0, 0.3, 0.02),
    "real": (20000.0, 1.0, 1.0),
    "gratings": (4000.0, 0.0, 0.0),
    "noise": (DURATION_S, 1.0, 1.0),
}
TARGET, TARGET_RA_DEG, TARGET_DEC_DEG = "A907", FIELD_RA_DEG, FIELD_DEC_DEG
REVOLUTION, REVOLUTION_START = 3100, "2016-11-13T01:12:00"
#: ObsID, offset of the pointing [arcmin east, north], position angle [deg], start in the revolution [s].
#: Chosen so that no point source falls within 20 arcsec of a chip edge, or on a bad or offset column.
_OBSERVATIONS = (
    ("0800010101", -0.1, -1.5, 150.375, 8_000.0),
    ("0800010201", 0.2, 0.5, 332.75, 58_000.0),
    ("0800010301", -1.2, 0.0, 220.875, 108_000.0),
)


class SimulatedSet:
    """A folder written by :func:`simulate_set`.

    Parameters
    ----------
    folder
        The folder.

    Raises
    ------
    FileNotFoundError
        The folder holds no such set.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = Path(folder)
        for part in (self.ccf, self.folder / "odf"):
            if not part.is_dir():
                raise FileNotFoundError(f"{self.folder} holds no simulated set: {part} is missing")

    def __repr__(self) -> str:
        return f"SimulatedSet({str(self.folder)!r})"

    @property
    def ccf(self) -> Path:
        """Folder of the calibration files."""
        return self.folder / "ccf"

    @property
    def obs_ids(self) -> list[str]:
        """Observations of the set."""
        return sorted(path.name for path in (self.folder / "odf").iterdir() if path.is_dir())

    def odf(self, obs_id: str) -> Path:
        """Folder of an observation's raw files."""
        return self._existing(self.folder / "odf" / obs_id, obs_id)

    def archive(self, obs_id: str) -> Path:
        """The raw files as the science archive packs them."""
        return self._existing(self.folder / "odf" / f"{obs_id}.tar.gz", obs_id)

    def truth(self, obs_id: str) -> dict[str, Any]:
        """What is true of an observation: exposures, pointing, flares, good times, energies of lines."""
        path = self._existing(self.folder / "truth" / f"{obs_id}.json", obs_id)
        return json.loads(path.read_text(encoding="utf-8"))

    def sources(self, obs_id: str) -> Path:
        """Table (CSV) of the sources: position, expected and recorded counts per exposure."""
        return self._existing(self.folder / "truth" / f"{obs_id}_sources.csv", obs_id)

    def photons(self, obs_id: str, instrument: str, exp_id: str) -> Path:
        """Table (FITS) of the photons that fell on a camera, with what became of them.

        Parameters
        ----------
        instrument
            Code of the camera, e.g. ``M1``.
        exp_id
            Identifier of the exposure, e.g. ``S001``.
        """
        path = self.folder / "truth" / f"{obs_id}_{instrument}{exp_id}_photons.fits"
        return self._existing(path, obs_id)

    def _existing(self, path: Path, obs_id: str) -> Path:
        if not path.exists():
            known = ", ".join(self.obs_ids)
            raise FileNotFoundError(f"no {path.name} for ObsID {obs_id} in {self.folder}; it has {known}")
        return path


def describe_set(duration_s: float, noise: Noise) -> list[Description]:
    """The three observations of the set, each ``duration_s`` long."""
    first = tt_of_utc(REVOLUTION_START)
    result = []
    for number, (obs_id, east, north, angle, offset) in enumerate(_OBSERVATIONS):
        ra, dec = on_attitude_grid(TARGET_RA_DEG + east / 60 / 0.981, TARGET_DEC_DEG + north / 60)
        start = first + offset
        stop = start + duration_s
        pointing = Pointing(
            obs_id, REVOLUTION, TARGET, ra, dec, angle, TARGET_RA_DEG, TARGET_DEC_DEG, start, stop, first
        )
        gap = start + 0.45 * duration_s
        mos1 = [Exposure("M1", "S001", start + 40, stop - 10)]
        if number == 1:
            # The first exposure is stopped early; the camera starts again half a minute later.
            middle = start + 0.62 * duration_s
            mos1 = [
                Exposure("M1", "S001", start + 40, middle),
                Exposure("M1", "U002", middle + 30, stop - 10),
            ]
        mos2 = Exposure(
            "M2", "S002", start + 45, stop - 10,
            gaps_s=((gap, gap + 31.2),) if number == 0 else (),
            overflow_frames=(57, 311) if number == 0 else (),
        )  # fmt: skip
        pn = Exposure(
            "PN", "S003", start + 90, stop - 5,
            submode="PrimeFullWindowExtended" if number == 2 else "PrimeFullWindow",
            gaps_s=((gap + 60, gap + 85),) if number == 1 else (),
        )  # fmt: skip
        begin = start + (0.68, 0.20, 0.55)[number] * duration_s
        flare = Flare(begin, begin + max(0.08 * duration_s, 240.0))
        result.append(Description(pointing, [*mos1, mos2, pn], [flare], noise))
    return result


def simulate_set(
    folder: str | os.PathLike[str],
    *,
    size: str = "demo",
    duration_s: float | None = None,
    seed: int = 1,
    sky: SkyModel | str | None = None,
) -> SimulatedSet:
    """Write a set: calibration, observations, their archives, the truth.

    The standard set has three observations of one field, in full frame and extended full frame; the set of
    modes has one for each family of other modes, and one of odd exposures.

    Parameters
    ----------
    folder
        Where to write.
    size
        ``demo`` (about a million raw events), ``small`` (for tests), ``real`` (20 ks with typical noise on
        all CCDs), ``modes`` (the set of modes), ``gratings`` (the set of the spectrometers, without the other
        cameras) or ``noise`` (one observation with the noise of each CCD of a real one).
    duration_s
        Length of each observation; that of ``size`` if not given.
    seed
        The same seed gives the same bytes.
    sky
        A sky model, or the name of one: ``cluster``, ``pulsar``. By default the one that suits the size:
        ``cluster``; in the set of modes a pulsar at the target, with a period and brightness that suit each
        mode; in that of the gratings none (the star is their own); with the noise a faint field.

    Raises
    ------
    ValueError
        Unknown size or sky, or a duration too short for an exposure.

    Examples
    --------
    >>> made = daxa.simulate.simulate_set("sky", size="small", seed=2)
    """
    from daxa.simulate.calibration.constituents import write_calibration

    if size not in SIZES:
        raise ValueError(f"size: expected one of {', '.join(SIZES)}, got {size!r}")
    if isinstance(sky, str):
        if sky not in SKIES:
            raise ValueError(f"sky: expected a sky model or one of {', '.join(SKIES)}, got {sky!r}")
        sky = SKIES[sky]()
    duration, mos, pn = SIZES[size]
    if duration_s is not None:
        duration = float(duration_s)
    if not 600 <= duration <= 60_000:
        raise ValueError(f"duration_s: expected 600 to 60000 seconds, got {duration:g}")
    base = Path(folder)
    write_calibration(base / "ccf")
    noise = Noise().scaled(mos, pn)
    observations: list[tuple[Description, SkyModel]]
    if size == "modes":
        observations = [*describe_modes(duration, noise)]
    elif size == "gratings":
        observations = describe_gratings(duration)
    elif size == "noise":
        observations = [describe_like_0802710101(duration)]
    else:
        observations = [(description, cluster_field()) for description in describe_set(duration, noise)]
    for description, own_sky in observations:
        obs_id = description.pointing.obs_id
        simulate_observation(
            description,
            sky or own_sky,
            base / "odf" / obs_id,
            base / "truth",
            seed=seed,
            archive=base / "odf" / f"{obs_id}.tar.gz",
        )
    return SimulatedSet(base)
