"""The task rgssources: the list of sources of an exposure, and its reference attitude.

Source: manual of rgssources; parameters from a real run's log. The list holds the position of the proposal
(index 1), the axis (2), and positions that the user adds. The names of the keywords that keep the reference
attitude are this engine's: RA_PNT, DEC_PNT, PA_PNT is where the spectrometer's axis points, ATT_RA, ATT_DEC,
ATT_APOS the attitude of the spacecraft.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.schema import columns
from daxa.xmm.instruments.rgs.files import read_set, table
from daxa.xmm.task import TaskContext

if TYPE_CHECKING:
    from daxa.xmm.instruments.rgs.geometry import RgsGeometry

SRCLIST = columns("""
INDEX 1I
LABEL 20A
RA 1E deg
DEC 1E deg
RATE 1E count/s
DELTA_DISP 1E arcmin
DELTA_XDSP 1E arcmin
FOV_PHI 1E deg
FOV_R 1E deg
CONFUSION 1E
PROCESS 1L
BKG_EXCLUDE 1L
FIXED_ON_SKY 1L
""")
PROPOSAL, ONAXIS = 1, 2
_ARCMIN = np.deg2rad(1 / 60)


@dataclass(frozen=True)
class Attitude:
    """Right ascension, declination and position angle of the spacecraft [deg]."""

    ra_deg: float
    dec_deg: float
    pa_deg: float

    def values(self) -> tuple[float, float, float]:
        """The three angles."""
        return self.ra_deg, self.dec_deg, self.pa_deg


@dataclass(frozen=True)
class Source:
    """One row: a position in the sky, or offsets from the axis."""

    index: int
    label: str
    ra_deg: float = float("nan")
    dec_deg: float = float("nan")
    along_arcmin: float = 0.0
    across_arcmin: float = 0.0
    rate: float = 0.0
    fixed_on_sky: bool = True

    def placed(self, geometry: RgsGeometry, attitude: Attitude) -> Source:
        """With the offsets of its position, or the position of its offsets, at an attitude.

        Parameters
        ----------
        geometry
            Geometry of the spectrometer.
        attitude
            The attitude.
        """
        values = dict(self.__dict__)
        if self.fixed_on_sky:
            along, across = geometry.sky_to_offsets(self.ra_deg, self.dec_deg, *attitude.values())
            values |= {"along_arcmin": float(along / _ARCMIN), "across_arcmin": float(across / _ARCMIN)}
        else:
            offsets = self.along_arcmin * _ARCMIN, self.across_arcmin * _ARCMIN
            ra, dec = geometry.offsets_to_sky(*offsets, *attitude.values())
            values |= {"ra_deg": float(ra), "dec_deg": float(dec)}
        return Source(**values)

    def in_field(self, geometry: RgsGeometry) -> bool:
        """Whether any light of the first order falls on a chip.

        Parameters
        ----------
        geometry
            Geometry of the spectrometer.
        """
        offsets = self.along_arcmin * _ARCMIN, self.across_arcmin * _ARCMIN
        if not np.all(np.isfinite(offsets)):
            return False
        ccd, *_ = geometry.angles_to_raw(*geometry.image(np.arange(6.0, 38.0, 0.25), *offsets))
        return bool((ccd > 0).any())


def source_table(sources: list[Source]) -> dict[str, Any]:
    """Columns of the list.

    Parameters
    ----------
    sources
        The sources.
    """

    def every(name: str) -> list[Any]:
        return [getattr(s, name) for s in sources]

    along, across = (np.array(every(n), float) for n in ("along_arcmin", "across_arcmin"))
    n = len(sources)
    return {
        "INDEX": every("index"),
        "LABEL": every("label"),
        "RA": every("ra_deg"),
        "DEC": every("dec_deg"),
        "RATE": every("rate"),
        "DELTA_DISP": along,
        "DELTA_XDSP": across,
        "FOV_PHI": np.rad2deg(np.arctan2(across, -along)),
        "FOV_R": np.hypot(along, across) / 60,
        "CONFUSION": np.full(n, np.nan),
        "PROCESS": np.zeros(n, bool),
        "BKG_EXCLUDE": np.zeros(n, bool),
        "FIXED_ON_SKY": np.array(every("fixed_on_sky"), bool),
    }


@dataclass(frozen=True)
class SourceList:
    """A source list as the later stages need it."""

    sources: list[Source]
    prime: int
    attitude: Attitude

    @classmethod
    def read(cls, ctx: TaskContext, name: str) -> SourceList:
        """Read a list.

        Parameters
        ----------
        ctx
            The running task.
        name
            Name of the data set.

        Raises
        ------
        TaskError
            It is not a source list of this engine, or its prime source is not in one of its rows.
        """
        hdus = read_set(ctx, name)
        rows = table(hdus, "SRCLIST", SRCLIST, name)
        header = hdus["SRCLIST"].header
        missing = [k for k in ("PRIMESRC", "ATT_RA", "ATT_DEC", "ATT_APOS") if k not in header]
        if missing:
            raise TaskError("missingKeyword", f"{name}[SRCLIST]: no keyword {missing[0]}")
        sources = [
            Source(
                int(rows["INDEX"][i]),
                str(rows["LABEL"][i]).strip(),
                float(rows["RA"][i]),
                float(rows["DEC"][i]),
                float(rows["DELTA_DISP"][i]),
                float(rows["DELTA_XDSP"][i]),
                float(rows["RATE"][i]),
                bool(rows["FIXED_ON_SKY"][i]),
            )
            for i in range(len(rows["INDEX"]))
        ]
        # Single precision would cost up to 0.05 arcsec.
        precise = {int(k[3:]): header[k] for k in header if k.startswith("SRA") and k[3:].isdigit()}
        sources = [
            Source(**{**s.__dict__, "ra_deg": precise[s.index], "dec_deg": header[f"SDEC{s.index}"]})
            if s.index in precise
            else s
            for s in sources
        ]
        attitude = Attitude(*(float(header[k]) for k in ("ATT_RA", "ATT_DEC", "ATT_APOS")))
        made = cls(sources, int(header["PRIMESRC"]), attitude)
        _ = made.prime_source
        return made

    @property
    def prime_source(self) -> Source:
        """The source that angles are corrected for."""
        found = [s for s in self.sources if s.index == self.prime]
        if not found:
            raise TaskError("badPrimeSource", f"PRIMESRC={self.prime} is the index of no source")
        return found[0]

    def cards(self, geometry: RgsGeometry) -> dict[str, tuple[Any, str]]:
        """Keywords of the list.

        Parameters
        ----------
        geometry
            Geometry of the spectrometer.
        """
        ra, dec, pa = (float(v) for v in geometry.pointing(*self.attitude.values()))
        result: dict[str, tuple[Any, str]] = {
            "PRIMESRC": (self.prime, "index of the prime source"),
            "RA_PNT": (ra, "[deg] axis at the reference attitude"),
            "DEC_PNT": (dec, "[deg] axis at the reference attitude"),
            "PA_PNT": (pa, "[deg] position angle, reference attitude"),
            "ATT_RA": (self.attitude.ra_deg, "[deg] spacecraft, reference attitude"),
            "ATT_DEC": (self.attitude.dec_deg, "[deg] spacecraft, reference attitude"),
            "ATT_APOS": (self.attitude.pa_deg, "[deg] spacecraft, reference attitude"),
        }
        for s in self.sources:
            result[f"SRA{s.index}"] = (s.ra_deg, f"[deg] right ascension of {s.label}")
            result[f"SDEC{s.index}"] = (s.dec_deg, f"[deg] declination of {s.label}")
        return result
