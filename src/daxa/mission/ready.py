"""Products that an archive offers ready-made, once they are on disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from daxa.exceptions import PreProcessedNotAvailableError
from daxa.writing import copy_file

Band = tuple[float, float]

#: Kinds of products that users ask for.
EVENTS, IMAGE, EXPOSURE, BACKGROUND, CURVE = KINDS = (
    "event list",
    "image",
    "exposure map",
    "background map",
    "light curve",
)


@dataclass(frozen=True)
class ReadyProduct:
    """A product on disk.

    Attributes
    ----------
    kind
        One of `KINDS`.
    path
        The file, perhaps compressed.
    insts
        Instruments that it is of; several if their data are in one file.
    band
        Energies [keV]; None where it is of no particular band.
    exp_id
        Exposure, where the archive has a product for each.
    """

    kind: str
    path: Path
    insts: tuple[str, ...]
    band: Band | None = None
    exp_id: str | None = None

    def copy_to(self, target: Path) -> None:
        """Put a copy somewhere, decompressed.

        Parameters
        ----------
        target
            The copy; replaced if it exists.

        Raises
        ------
        DAXADownloadError
            The compressed file is damaged.
        """
        from daxa.fetch.unpack import gunzip

        with self.path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        if packed:
            gunzip(self.path, target)
        else:
            copy_file(self.path, target)


def same_band(one: Band | None, other: Sequence[float]) -> bool:
    """Whether two bands are the same, to the accuracy that energies are given with.

    Parameters
    ----------
    one, other
        Limits [keV]; None is no band.
    """
    return one is not None and all(abs(a - b) < 1e-6 for a, b in zip(one, other, strict=True))


def band_names(bands: Iterable[Band | None]) -> str:
    """Bands in order, as messages name them.

    Parameters
    ----------
    bands
        Limits [keV]; None is no band.

    Examples
    --------
    >>> band_names([(2.0, 10.0), (0.5, 2.0), None])
    '0.5-2, 2-10'
    """
    return ", ".join(f"{lo:g}-{hi:g}" for lo, hi in sorted({b for b in bands if b is not None}))


def chosen_product(
    held: Sequence[ReadyProduct], what: str, inst: str | None, band: Band | None
) -> tuple[ReadyProduct, list[ReadyProduct]]:
    """The product that is meant, and others that would fit as well.

    A product that is of no particular band fits any.

    Parameters
    ----------
    held
        Products of the kind, in the order of preference.
    what
        The kind and the observation, for messages.
    inst
        Instrument; None where there is only one.
    band
        Energies [keV]; None where there is only one band.

    Raises
    ------
    PreProcessedNotAvailableError
        There is none.
    ValueError
        There are several instruments or bands, and it was not said which is meant.
    """
    fits = [p for p in held if inst is None or inst in p.insts]
    if band is not None:
        fits = [p for p in fits if p.band is None or same_band(p.band, band)]
    if not fits:
        wanted = f" of {inst}" if inst else ""
        wanted += f" from {band[0]:g} to {band[1]:g} keV" if band else ""
        there = "; ".join(sorted({_name(p) for p in held})) or "none at all"
        raise PreProcessedNotAvailableError(f"{what}{wanted} is not on disk, there is {there}")
    insts = sorted({", ".join(p.insts) for p in fits})
    if len(insts) > 1:
        raise ValueError(f"inst: {what} is there of {' and of '.join(insts)}; say which")
    if len({p.band for p in fits}) > 1:
        raise ValueError(
            f"lo_en, hi_en: {what} is there in the bands {band_names(p.band for p in fits)} keV; say which"
        )
    return fits[0], fits[1:]


def _name(product: ReadyProduct) -> str:
    band = f" {product.band[0]:g}-{product.band[1]:g} keV" if product.band else ""
    exposure = f" {product.exp_id}" if product.exp_id else ""
    return f"{', '.join(product.insts)}{exposure}{band}"
