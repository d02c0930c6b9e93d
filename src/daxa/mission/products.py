"""Asking for the processed products that an archive offers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from daxa.exceptions import PreProcessedNotAvailableError, PreProcessedNotSupportedError


class ArchiveProducts:
    """The part of a mission that knows its archive's event lists, images and maps."""

    # filled by BaseMission
    pretty_name: str
    energy_bands: dict[str, list[tuple[float, float]]]
    _known: Callable[[str], None]
    check_inst_names: Callable[..., list[str]]

    @property
    def has_products(self) -> bool:
        """Whether the archive offers processed products."""
        return bool(self.energy_bands)

    @property
    def preprocessed_energy_bands(self) -> dict[str, Any]:
        """Energy bands of the archive's images: instrument -> Quantity of shape (n, 2)."""
        from astropy.units import Quantity

        self._need_products()
        return {inst: Quantity(bands, "keV") for inst, bands in self.energy_bands.items()}

    def _need_products(self) -> None:
        if not self.has_products:
            raise PreProcessedNotSupportedError(f"{self.pretty_name} offers no processed products")

    def _product(self, kind: str, obs_id: str, inst: str | None, lo_en: Any, hi_en: Any) -> Path:
        """Path of one product; missions with products say how the files are named."""
        raise PreProcessedNotAvailableError(f"{self.pretty_name} offers no {kind}")

    def _product_path(
        self, kind: str, obs_id: str, inst: str | None, lo_en: Any = None, hi_en: Any = None
    ) -> str:
        self._need_products()
        self._known(obs_id)
        if inst is not None:
            (inst,) = self.check_inst_names(inst, show_warn=False)
        if (lo_en is None) != (hi_en is None):
            raise ValueError("lo_en, hi_en: give both or none")
        path = self._product(kind, obs_id, inst, lo_en, hi_en)
        if not path.is_file():
            raise FileNotFoundError(f"ObsID {obs_id}: the {kind} {path} is not on disk")
        return str(path)

    def get_evt_list_path(self, obs_id: str, inst: str | None = None) -> str:
        """Path of the archive's event list.

        Parameters
        ----------
        obs_id : str
            An observation of the catalogue.
        inst : str, optional
            Instrument; the first with a list by default.

        Raises
        ------
        PreProcessedNotAvailableError
            There is none on disk.
        PreProcessedNotSupportedError
            The archive offers no products of this mission.
        """
        return self._product_path("event list", obs_id, inst)

    def get_image_path(
        self, obs_id: str, lo_en: Any = None, hi_en: Any = None, inst: str | None = None
    ) -> str:
        """Path of the archive's image in an energy band.

        Parameters
        ----------
        obs_id : str
            An observation of the catalogue.
        lo_en, hi_en : Quantity, optional
            Limits of the band; any band by default.
        inst : str, optional
            Instrument.

        Raises
        ------
        PreProcessedNotAvailableError
            There is none in that band, or it is not on disk; the message names the bands there are.
        PreProcessedNotSupportedError
            The archive offers no products of this mission.
        """
        return self._product_path("image", obs_id, inst, lo_en, hi_en)

    def get_expmap_path(
        self, obs_id: str, lo_en: Any = None, hi_en: Any = None, inst: str | None = None
    ) -> str:
        """Path of the archive's exposure map in an energy band.

        Parameters
        ----------
        obs_id, lo_en, hi_en, inst
            As for `get_image_path`.

        Raises
        ------
        PreProcessedNotAvailableError, PreProcessedNotSupportedError
            As for `get_image_path`.
        """
        return self._product_path("exposure map", obs_id, inst, lo_en, hi_en)

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
        PreProcessedNotAvailableError, PreProcessedNotSupportedError
            As for `get_image_path`.
        """
        return self._product_path("background map", obs_id, inst, lo_en, hi_en)
