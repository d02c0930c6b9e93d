"""Asking for the processed products that an archive offers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from daxa.exceptions import PreProcessedNotAvailableError, PreProcessedNotSupportedError
from daxa.mission.ready import (
    BACKGROUND,
    CURVE,
    EVENTS,
    EXPOSURE,
    IMAGE,
    Band,
    ReadyProduct,
    band_names,
    chosen_product,
    same_band,
)


class ArchiveProducts:
    """The part of a mission that knows its archive's event lists, images and maps.

    Methods that give a path refuse what could mean several products: where there is more than one instrument
    or energy band, they have to be named.
    """

    #: Kinds of products that the archive offers, see `daxa.mission.ready`.
    product_kinds: tuple[str, ...] = ()
    #: Whether products can be used without raw data.
    products_stand_alone = False

    # filled by BaseMission
    pretty_name: str
    energy_bands: dict[str, list[Band]]
    _known: Callable[[str], None]
    check_inst_names: Callable[..., list[str]]
    store: Any

    @property
    def has_products(self) -> bool:
        """Whether the archive offers processed products."""
        return bool(self.product_kinds)

    @property
    def preprocessed_energy_bands(self) -> dict[str, Any]:
        """Energy bands of the archive's images: instrument -> Quantity of shape (n, 2).

        Raises
        ------
        PreProcessedNotSupportedError
            It offers no images.
        """
        from astropy.units import Quantity

        self._need_products(IMAGE)
        return {inst: Quantity(bands, "keV") for inst, bands in self.energy_bands.items()}

    def ready_products(self, obs_id: str) -> list[ReadyProduct]:
        """Products of an observation that are on disk, of the chosen instruments.

        Parameters
        ----------
        obs_id : str
            An observation of the catalogue.

        Returns
        -------
        products : list of ReadyProduct
            With ``kind``, ``path``, ``insts``, ``band`` [keV] and ``exp_id``.

        Raises
        ------
        PreProcessedNotSupportedError
            The archive offers no products of this mission.
        """
        if not self.has_products:
            raise PreProcessedNotSupportedError(f"{self.pretty_name} offers no processed products")
        self._known(obs_id)
        return [p for p in self._held_products(obs_id) if p.path.is_file()]

    def ready_companions(self, obs_id: str) -> list[ReadyProduct]:
        """Files of the whole observation that come with its products, such as its attitude.

        Parameters
        ----------
        obs_id : str
            An observation of the catalogue.

        Returns
        -------
        files : list of ReadyProduct
            Of no instrument and of the kind ``companion``.
        """
        return []

    def product_source(self, obs_id: str) -> str:
        """Where the products of an observation were fetched: ``xsa``, ``heasarc``, ``s3`` or ``archive``.

        Parameters
        ----------
        obs_id : str
            An observation of the catalogue.
        """
        parts = self.store.parts(obs_id)
        part = parts.get("products") or parts.get("raw")
        return "" if part is None else part.source

    def _held_products(self, obs_id: str) -> list[ReadyProduct]:
        """What is on disk of an observation, in the order of preference."""
        raise NotImplementedError(f"{type(self).__name__} does not define _held_products")

    def _bands_of(self, kind: str, inst: str | None) -> list[Band | None]:
        """Bands that the archive offers a kind in; None for products of no particular band."""
        raise NotImplementedError(f"{type(self).__name__} does not define _bands_of")

    def _need_products(self, kind: str) -> None:
        if not self.has_products:
            raise PreProcessedNotSupportedError(f"{self.pretty_name} offers no processed products")
        if kind not in self.product_kinds:
            there = ", ".join(f"{k}s" for k in self.product_kinds)
            raise PreProcessedNotSupportedError(f"{self.pretty_name} offers no {kind}s, only {there}")

    def _product_path(
        self, kind: str, obs_id: str, inst: str | None, lo_en: Any = None, hi_en: Any = None
    ) -> str:
        self._need_products(kind)
        self._known(obs_id)
        if inst is not None:
            (inst,) = self.check_inst_names(inst, show_warn=False)
        band = _given_band(lo_en, hi_en)
        offered = self._bands_of(kind, inst)
        if not offered:
            raise PreProcessedNotAvailableError(f"{self.pretty_name} offers no {kind} of {inst}")
        if band is not None and None not in offered and not any(same_band(b, band) for b in offered):
            raise PreProcessedNotAvailableError(
                f"lo_en, hi_en: no {kind} from {band[0]:g} to {band[1]:g} keV, there are "
                + band_names(offered)
            )
        held = [p for p in self._held_products(obs_id) if p.kind == kind and p.path.is_file()]
        found, others = chosen_product(held, f"ObsID {obs_id}: the {kind}", inst, band)
        if others:
            names = ", ".join(p.path.name for p in others)
            warnings.warn(
                f"ObsID {obs_id}: {found.path.name} is one of several {kind}s; ready_products gives the "
                f"others as well ({names})",
                stacklevel=3,
            )
        return str(found.path)

    def get_evt_list_path(self, obs_id: str, inst: str | None = None) -> str:
        """Path of the archive's event list.

        Parameters
        ----------
        obs_id : str
            An observation of the catalogue.
        inst : str, optional
            Instrument; needed where there are lists of several.

        Raises
        ------
        ValueError
            There are lists of several instruments, and none was named.
        PreProcessedNotAvailableError
            There is none on disk.
        PreProcessedNotSupportedError
            The archive offers no event lists of this mission.
        """
        return self._product_path(EVENTS, obs_id, inst)

    def get_image_path(
        self, obs_id: str, lo_en: Any = None, hi_en: Any = None, inst: str | None = None
    ) -> str:
        """Path of the archive's image in an energy band.

        Parameters
        ----------
        obs_id : str
            An observation of the catalogue.
        lo_en, hi_en : Quantity, optional
            Limits of the band; needed where there are several.
        inst : str, optional
            Instrument; needed where there are images of several.

        Raises
        ------
        ValueError
            There are several bands or instruments, and it was not said which; the message lists them.
        PreProcessedNotAvailableError
            There is none in that band, or it is not on disk; the message names what there is.
        PreProcessedNotSupportedError
            The archive offers no images of this mission.
        """
        return self._product_path(IMAGE, obs_id, inst, lo_en, hi_en)

    def get_expmap_path(
        self, obs_id: str, lo_en: Any = None, hi_en: Any = None, inst: str | None = None
    ) -> str:
        """Path of the archive's exposure map in an energy band.

        Parameters
        ----------
        obs_id, lo_en, hi_en, inst
            As for `get_image_path`. A map that is of no particular band is given for any.

        Raises
        ------
        ValueError, PreProcessedNotAvailableError, PreProcessedNotSupportedError
            As for `get_image_path`.
        """
        return self._product_path(EXPOSURE, obs_id, inst, lo_en, hi_en)

    def get_background_path(
        self, obs_id: str, lo_en: Any = None, hi_en: Any = None, inst: str | None = None
    ) -> str:
        """Path of the archive's background map in an energy band.

        Parameters
        ----------
        obs_id, lo_en, hi_en, inst
            As for `get_image_path`.

        Raises
        ------
        ValueError, PreProcessedNotAvailableError, PreProcessedNotSupportedError
            As for `get_image_path`.
        """
        return self._product_path(BACKGROUND, obs_id, inst, lo_en, hi_en)

    def get_lightcurve_path(self, obs_id: str, inst: str | None = None) -> str:
        """Path of the archive's light curve of an instrument.

        Parameters
        ----------
        obs_id, inst
            As for `get_evt_list_path`.

        Raises
        ------
        ValueError, PreProcessedNotAvailableError, PreProcessedNotSupportedError
            As for `get_evt_list_path`.
        """
        return self._product_path(CURVE, obs_id, inst)


def _given_band(lo_en: Any, hi_en: Any) -> Band | None:
    """Limits of a band [keV]; numbers without a unit are in keV."""
    from astropy.units import Quantity, UnitConversionError

    if (lo_en is None) != (hi_en is None):
        raise ValueError("lo_en, hi_en: give both or none")
    if lo_en is None:
        return None
    try:
        low, high = (float(Quantity(e, "keV").value) for e in (lo_en, hi_en))
    except UnitConversionError:
        raise UnitConversionError(f"lo_en, hi_en: expected energies, got {lo_en} and {hi_en}") from None
    if not low < high:
        raise ValueError(f"lo_en, hi_en: no band from {low:g} to {high:g} keV")
    return low, high
