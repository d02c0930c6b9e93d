"""Names of Observation Data File components: ``RRRR_PPPPPPOOLL_IIUEEECCFFF.ZZZ``.

Source: XMM-Newton Data Files Handbook, "How to read ODF file names".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(
    r"^(?P<rev>\d{4})_(?P<obs>\d{10})_(?P<inst>M1|M2|PN|R1|R2|OM|RM|SC)(?P<sched>[SUX])(?P<exp>\d{3})"
    r"(?P<ccd>\d{2})(?P<type>[0-9A-Z]{3})\.(?P<ext>FIT|ASC|SAS)(?P<gz>\.gz)?$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class OdfName:
    """The fields of a component's name.

    ``schedule`` is ``S`` (scheduled), ``U`` (unscheduled) or ``X`` (not tied to an exposure).
    ``ccd`` and ``node`` are 0 where they do not apply; only MOS names carry a node.
    """

    revolution: int
    obs_id: str
    instrument: str
    schedule: str
    exposure: int
    ccd: int
    node: int
    file_type: str
    extension: str = "FIT"

    @property
    def exp_id(self) -> str:
        """Exposure identifier, e.g. ``S003``; scheduled and unscheduled numbers are separate."""
        return f"{self.schedule}{self.exposure:03d}"

    @property
    def is_science(self) -> bool:
        """Whether the file belongs to an exposure."""
        return self.schedule in "SU"

    def __str__(self) -> str:
        ccd = f"{self.ccd}{self.node}" if self.instrument in ("M1", "M2") and self.ccd else f"{self.ccd:02d}"
        return (
            f"{self.revolution:04d}_{self.obs_id}_{self.instrument}{self.schedule}{self.exposure:03d}"
            f"{ccd}{self.file_type}.{self.extension}"
        )

    @classmethod
    def parse(cls, name: str) -> OdfName | None:
        """The fields of a file name, or None if it is not one of an ODF component.

        Parameters
        ----------
        name
            Name of a file, without its folder.
        """
        match = _NAME.match(name)
        if match is None:
            return None
        inst, digits = match["inst"].upper(), match["ccd"]
        if inst in ("M1", "M2"):
            ccd, node = int(digits[0]), int(digits[1])
        else:
            ccd, node = int(digits), 0
        return cls(
            int(match["rev"]),
            match["obs"],
            inst,
            match["sched"].upper(),
            int(match["exp"]),
            ccd,
            node,
            match["type"].upper(),
            match["ext"].upper(),
        )
