"""Matrices that ESA publishes: the name of the one for a spectrum.

Source: page "EPIC response files" of ESA and its copy at HEASARC: names, epochs of the pn and those of MOS to
2012, rows of the pn in twenties; folders as the servers have them. From when on the later epochs of MOS are,
and the size of the patch on its middle, are not published: the latter is assumed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

#: Where epochs end; the last one of the pn lasts.
_ENDS = {
    "EPN": ("2007-01-01", "2014-01-01", "2021-01-01", "9999"),
    "EMOS": (
        "2001-01-01", "2001-10-01", "2002-01-01", "2002-10-01", "2003-01-01", "2004-10-01", "2005-10-01",
        "2006-10-01", "2007-10-01", "2008-10-01", "2009-10-01", "2010-10-01", "2011-10-01", "2012-10-01",
    ),
}  # fmt: skip
_MODES = {
    "PrimeFullWindow": "ff", "PrimeFullWindowExtended": "ef", "PrimeLargeWindow": "lw",
    "PrimeSmallWindow": "sw", "FastTiming": "ti", "FastBurst": "bu",
}  # fmt: skip
_PATTERNS = {
    "EPN": {(0, 0): "s", (1, 4): "d", (0, 4): "sd"},
    "EMOS": {(0, 0): "p0", (0, 12): "pall"},
}
#: Parts of the patch of MOS, and how far from the pointing they reach [arcsec] (assumed).
_PATCH = (("c", 13.6), ("w", 36.0))
#: Modes of the pn, and patterns, that most spectra are of.
USUAL = ("ff", "ef", "lw", "sw", "im"), ("sd", "pall")


@dataclass(frozen=True)
class Published:
    """What tells a published matrix from the others.

    Attributes
    ----------
    instrument
        ``EMOS1``, ``EMOS2`` or ``EPN``.
    epoch
        Number of its epoch.
    mode, patterns, place
        As its name has them; blank: any. Places are rows of the pn (``Y0`` to ``Y9``) and parts of the patch
        of MOS (``c``, ``w``, ``o``).
    width_ev
        Width of its channels [eV].
    """

    instrument: str
    epoch: int
    mode: str
    patterns: str
    place: str
    width_ev: float

    @property
    def folder(self) -> str:
        """Its folder, on servers and in stores."""
        return "PN" if self.instrument == "EPN" else f"MOS/{self.width_ev:g}eV"

    def __str__(self) -> str:
        camera = "epn" if self.instrument == "EPN" else f"m{self.instrument[-1]}"
        return "_".join(filter(None, (camera, f"e{self.epoch}", self.mode, self.patterns, self.place)))

    def of(self, names: Iterable[str]) -> list[str]:
        """Names of these matrices among others: of each the latest version.

        Parameters
        ----------
        names
            Names of files.

        Examples
        --------
        >>> wanted = Published("EPN", 2, "ff", "sd", "Y7", 5.0)
        >>> wanted.of(["epn_e2_ff20_sdY7_v9.0.rmf", "epn_e2_ff20_sdY7_v21.0.rmf", "epn_e2_ff20_dY7_v9.0.rmf"])
        ['epn_e2_ff20_sdY7_v21.0.rmf']
        """
        mode, patterns, place = (
            re.escape(t) or "[a-zA-Z0-9]+?" for t in (self.mode, self.patterns, self.place)
        )
        if self.instrument == "EPN":
            stem = rf"epn_e{self.epoch}_{mode}\d+_{patterns}{place if self.place else 'Y[0-9]'}"
        else:
            stem = rf"m{self.instrument[-1]}_e{self.epoch}_{mode}_{patterns}_{place}"
        pattern = re.compile(rf"({stem})(?:_v([\d.]+))?\.rmf(?:\.gz)?", re.IGNORECASE)
        latest: dict[str, tuple[list[int], str]] = {}
        for name in names:
            if match := pattern.fullmatch(name):
                version = [int(part) for part in (match[2] or "").split(".") if part]
                latest[match[1]] = max(latest.get(match[1], ([], "")), (version, name))
        return sorted(name for _, name in latest.values())

    def find(self, folders: Iterable[Path]) -> Path | None:
        """The file of this matrix in the first of some stores that has it; None without one.

        Parameters
        ----------
        folders
            Folders of published matrices, with sub-folders as on the servers.
        """
        for folder in folders:
            here = folder / self.folder
            names = self.of(p.name for p in here.iterdir()) if here.is_dir() else []
            if names:
                return here / names[-1]
        return None


def epoch_of(instrument: str, date: str) -> int | None:
    """Number of the epoch of a date; None where it is not known.

    Parameters
    ----------
    instrument
        ``EMOS1``, ``EMOS2`` or ``EPN``.
    date
        ISO date.

    Examples
    --------
    >>> epoch_of("EPN", "2012-05-14"), epoch_of("EMOS1", "2012-05-14"), epoch_of("EMOS1", "2020-01-01")
    (2, 14, None)
    """
    ends = _ENDS[instrument.rstrip("12")]
    return next((number for number, end in enumerate(ends, start=1) if date < end), None)


def published_for(
    instrument: str,
    date: str,
    submode: str,
    patterns: tuple[int, int],
    width_ev: float,
    *,
    row: float,
    off_arcsec: float,
) -> Published | None:
    """The matrix that ESA publishes for a spectrum; None where there is none, or its name is not known.

    Parameters
    ----------
    instrument
        ``EMOS1``, ``EMOS2`` or ``EPN``.
    date
        Start of the exposure (ISO).
    submode
        Mode, as in the keyword SUBMODE.
    patterns
        Least and greatest PATTERN.
    width_ev
        Width of the channels [eV].
    row
        RAWY of the source; counts for the imaging modes of the pn.
    off_arcsec
        Distance of the source from the pointing [arcsec]; counts for MOS.
    """
    epoch, kind = epoch_of(instrument, date), _PATTERNS[instrument.rstrip("12")].get(patterns)
    if epoch is None or kind is None:
        return None
    if instrument == "EPN":
        mode = _MODES.get(submode)
        if mode is None or width_ev != 5.0:
            return None
        # Sources of fast modes lie where the axis meets the chip.
        place = "Y9" if mode in ("ti", "bu") else f"Y{min(max(int(row - 1) // 20, 0), 9)}"
        return Published(instrument, epoch, mode, kind, place, width_ev)
    mode = "tu" if submode.startswith("Fast") else "im"
    place = next((name for name, reach in _PATCH if off_arcsec < reach), "o")
    return Published(instrument, epoch, mode, kind, place, width_ev)
