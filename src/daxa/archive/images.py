"""Where an archive keeps the images of a camera, and what was made with them.

Parameters
----------
mission : BaseMission or str
    The mission or its name.
obs_id : str
    ObsID.
inst : str
    Camera: M1, M2 or PN.
lo_en, hi_en : astropy.units.Quantity
    The band.
pixel_size : astropy.units.Quantity, optional
    Size of the pixels, if it is not the usual one of 4.35 arcsec.

Returns
-------
pathlib.Path
    The file.

Raises
------
FileNotFoundError
    There is no such product; names those of the camera that there are.
MissionNotAssociatedError, ObsNotAssociatedError
    The archive does not have the mission, or that the observation.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from daxa.archive import layout
from daxa.archive.places import Places

if TYPE_CHECKING:
    from astropy.units import Quantity

#: The process that makes them.
_MAKER = "generate_images_expmaps"


class Images(Places):
    """Lookups of images."""

    def get_image_path(
        self,
        mission: Any,
        obs_id: str,
        inst: str,
        lo_en: Quantity,
        hi_en: Quantity,
        *,
        pixel_size: Quantity | None = None,
        subtract_oot: bool = False,
        smooth: Quantity | str | None = None,
    ) -> Path:
        """An image of counts; or what was made of it.

        Parameters
        ----------
        subtract_oot
            That without events out of time (pn).
        smooth
            The smoothed rate: sigma of the Gaussian, or ``adaptive``.
        """
        if smooth is not None:
            width = (
                smooth if isinstance(smooth, str) else layout.arcsec_text(float(smooth.to_value("arcsec")))
            )
            kind = f"smooth{width}"
        else:
            kind = "ootsubimage" if subtract_oot else "image"
        return self._image_product(mission, obs_id, inst, kind, (lo_en, hi_en), pixel_size)

    def get_expmap_path(
        self,
        mission: Any,
        obs_id: str,
        inst: str,
        lo_en: Quantity,
        hi_en: Quantity,
        *,
        pixel_size: Quantity | None = None,
        vignetted: bool = True,
    ) -> Path:
        """An exposure map.

        Parameters
        ----------
        vignetted
            False: that without vignetting.
        """
        kind = "expmap" if vignetted else "novigexpmap"
        return self._image_product(mission, obs_id, inst, kind, (lo_en, hi_en), pixel_size)

    def get_mask_path(
        self,
        mission: Any,
        obs_id: str,
        inst: str,
        lo_en: Quantity,
        hi_en: Quantity,
        *,
        pixel_size: Quantity | None = None,
        without_sources: bool = False,
    ) -> Path:
        """A mask: where the exposure is good for finding sources.

        Parameters
        ----------
        without_sources
            That in which sources are left out.
        """
        kind = "sourcemask" if without_sources else "mask"
        return self._image_product(mission, obs_id, inst, kind, (lo_en, hi_en), pixel_size)

    def get_background_path(
        self,
        mission: Any,
        obs_id: str,
        inst: str,
        lo_en: Quantity,
        hi_en: Quantity,
        *,
        pixel_size: Quantity | None = None,
    ) -> Path:
        """A background map."""
        return self._image_product(mission, obs_id, inst, "backmap", (lo_en, hi_en), pixel_size)

    def _image_product(
        self,
        mission: Any,
        obs_id: str,
        inst: str,
        kind: str,
        band: tuple[Quantity, Quantity],
        pixel_size: Quantity | None,
    ) -> Path:
        name = self._checked(mission, obs_id)
        lo, hi = (round(float(limit.to_value("keV")), 6) for limit in band)
        pixel = None if pixel_size is None else round(float(pixel_size.to_value("arcsec")), 6)
        key = layout.image_key(kind, lo, hi, None if pixel == layout.PIXEL_ARCSEC else pixel)
        run = self.ledger.latest(name, _MAKER, f"{obs_id}{inst}")
        made = {} if run is None or not run.ok else run.extra
        path = None if key not in made else self.obs_folder(name, obs_id) / made[key]["path"]
        if path is None or not path.is_file():
            known = ", ".join(k for k, v in made.items() if isinstance(v, dict)) or "none"
            raise FileNotFoundError(
                f"{obs_id} {inst}: no {key}; {_MAKER} has made {known}"
                if path is None
                else f"{obs_id} {inst}: {path} is gone"
            )
        return path
