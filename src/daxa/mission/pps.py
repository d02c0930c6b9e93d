"""Names of XMM-Newton pipeline (PPS) products: ``PPPPPPPOOOIIUEEETTTTTTSXXX.ZZZ``.

Source: XMM-Newton Data Files Handbook, "PPS file names"; bands as in the 4XMM catalogue.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PPS = "PPS"
# band number in the file name -> keV
PPS_BANDS = {1: (0.2, 0.5), 2: (0.5, 1.0), 3: (1.0, 2.0), 4: (2.0, 4.5), 5: (4.5, 12.0), 8: (0.2, 12.0)}
_NAME = re.compile(
    r"^P(?P<obs>\d{10})(?P<inst>[A-Z][A-Z0-9])(?P<exp>[SUX]\d{3})(?P<type>[A-Z0-9_]{6})(?P<band>\w)"
    r"(?P<source>\w{3})\.(?P<ext>[A-Z]{3})(?:\.gz)?$",
    re.IGNORECASE,
)
_KINDS = {"event list": "EVLI", "image": "IMAGE_", "exposure map": "EXPMAP", "background map": "BKGMAP"}
# of the whole observation: attitude, source list, summary page
_COMMON = ("ATTTSR", "OBSMLI", "PPSSUM")


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

    def is_kind(self, kind: str, band: int | None = None) -> bool:
        """Whether this is an event list, image, exposure map or background map (in a band).

        Parameters
        ----------
        kind
            ``event list``, ``image``, ``exposure map`` or ``background map``.
        band
            Number of the energy band; any by default.
        """
        code = _KINDS[kind]
        matches = self.file_type.endswith(code) or self.file_type == code
        return matches and self.extension in ("FTZ", "FIT") and (band is None or self.band == band)

    def wanted_for(self, instruments: list[str]) -> bool:
        """Whether it is one of the products worth having beside our own.

        Parameters
        ----------
        instruments
            Names as in the catalogue, e.g. ``M1``.
        """
        if self.file_type in _COMMON:
            return True
        return self.instrument in instruments and any(self.is_kind(kind) for kind in _KINDS)
