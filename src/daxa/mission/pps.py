"""Names of XMM-Newton pipeline (PPS) products: ``PPPPPPPOOOIIUEEETTTTTTSXXX.ZZZ``.

Source: XMM-Newton Data Files Handbook, "PPS file names"; bands as in the 4XMM catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from daxa.mission.ready import BACKGROUND, CURVE, EVENTS, EXPOSURE, IMAGE

PPS = "PPS"
# band number in the file name -> keV
PPS_BANDS = {1: (0.2, 0.5), 2: (0.5, 1.0), 3: (1.0, 2.0), 4: (2.0, 4.5), 5: (4.5, 12.0), 8: (0.2, 12.0)}
EPIC_CAMERAS = ("M1", "M2", "PN")
#: Exposure of products that are of no single one.
NO_EXPOSURE = "X000"
_NAME = re.compile(
    r"^P(?P<obs>\d{10})(?P<inst>[A-Z][A-Z0-9])(?P<exp>[SUX]\d{3})(?P<type>[A-Z0-9_]{6})(?P<band>\w)"
    r"(?P<source>\w{3})\.(?P<ext>[A-Z]{3})(?:\.gz)?$",
    re.IGNORECASE,
)
# Ends of product types. Light curves are those of the background of the whole camera, in which flares show.
_KINDS = {
    EVENTS: ("EVLI", "EVENLI"),
    IMAGE: ("IMAGE_",),
    EXPOSURE: ("EXPMAP",),
    BACKGROUND: ("BKGMAP",),
    CURVE: ("FBKTSR",),
}
# Of the whole observation: attitude, source list, regions of sources, summary page.
_COMMON = ("ATTTSR", "OBSMLI", "REGION", "PPSSUM")
# Instruments that stand for EPIC, and for the whole observation.
_OF_ALL = ("EP", "OB")
# Event lists of these kinds are not of the sky as it was observed: out-of-time events.
_NOT_OBSERVED = ("OOEVLI", "OSEVLI")


@dataclass(frozen=True)
class PpsName:
    """The fields of a product's name; ``band`` is None where it is not a digit."""

    file_name: str
    obs_id: str
    instrument: str
    exposure: str
    file_type: str
    band: int | None
    extension: str

    @classmethod
    def parse(cls, name: str) -> PpsName | None:
        """The fields of a file name, or None if it is not one of a product.

        Parameters
        ----------
        name
            The name without its folder.

        Examples
        --------
        >>> PpsName.parse("P0723801501M1S001MIEVLI0000.FTZ").instrument
        'M1'
        """
        match = _NAME.match(name)
        if match is None:
            return None
        band = int(match["band"]) if match["band"].isdigit() else None
        return cls(
            name,
            match["obs"],
            match["inst"].upper(),
            match["exp"].upper(),
            match["type"].upper(),
            band,
            match["ext"].upper(),
        )

    @property
    def kind(self) -> str | None:
        """Which of `daxa.mission.ready.KINDS` it is; None if it is none of them."""
        if self.extension not in ("FTZ", "FIT") or self.file_type in _NOT_OBSERVED:
            return None
        return next((k for k, ends in _KINDS.items() if self.file_type.endswith(ends)), None)

    @property
    def energies(self) -> tuple[float, float] | None:
        """Energies of an image or a map of an EPIC camera [keV]; digits of others mean something else."""
        if self.kind not in (IMAGE, EXPOSURE, BACKGROUND) or self.instrument not in EPIC_CAMERAS:
            return None
        return PPS_BANDS.get(self.band or 0)

    def is_kind(self, kind: str, band: int | None = None) -> bool:
        """Whether this is an event list, image, exposure map ... (in a band).

        Parameters
        ----------
        kind
            One of `daxa.mission.ready.KINDS`.
        band
            Number of the energy band; any by default.
        """
        return self.kind == kind and (band is None or self.band == band)

    def wanted_for(self, instruments: list[str], kinds: Collection[str] = tuple(_KINDS)) -> bool:
        """Whether it is one of the products worth having.

        Parameters
        ----------
        instruments
            Names as in the catalogue, e.g. ``M1``.
        kinds
            Kinds of products; what is of the whole observation is always wanted.
        """
        if self.file_type in _COMMON:
            return self.instrument in (*_OF_ALL, *instruments)
        return self.instrument in instruments and self.kind in kinds
