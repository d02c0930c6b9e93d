"""Images and exposure maps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from daxa.archive import layout
from daxa.backend.select import select_backend
from daxa.ds9 import read_regions, region_text
from daxa.process.arguments import check_band, check_bands, check_bool, check_quantity
from daxa.process.options import Running, StepOptions, argument
from daxa.process.public import public
from daxa.process.runner import run_steps
from daxa.process.step import EPIC, Piece, Recipe, Step
from daxa.process.xmm.image_sets import (
    ADAPTIVE,
    BIN,
    UNIT_ARCSEC,
    ImageSet,
    Maker,
    earlier_sets,
    recorded,
    together,
)
from daxa.process.xmm.setup import ALLOWED

if TYPE_CHECKING:
    from astropy.units import Quantity

    from daxa.archive import Archive

#: Sizes of pixels [arcsec] that images may have.
PIXEL_LIMITS = (0.5, 60.0)
#: Widest Gaussian that smooths [arcsec].
_WIDEST = 600.0
#: Bands of images [keV].
DEFAULT_BANDS = ((0.5, 2.0), (2.0, 10.0))


@dataclass(frozen=True, eq=False)
class ImageOptions(StepOptions):
    """Bands of images."""

    default_bands: ClassVar[tuple[tuple[float, float], ...]] = DEFAULT_BANDS
    lo_en: Quantity | None = argument(None, "Lower energies of the bands; 0.5 keV and 2.0 keV by default.")
    hi_en: Quantity | None = argument(None, "Upper energies of the bands; 2.0 keV and 10.0 keV by default.")

    def check(self) -> None:
        _ = self.bands

    @property
    def limits(self) -> tuple[Quantity, Quantity]:
        """Lower and upper energies of the bands."""
        from astropy.units import Quantity

        lows, highs = zip(*self.default_bands, strict=True)
        return (
            Quantity(lows, "keV") if self.lo_en is None else self.lo_en,
            Quantity(highs, "keV") if self.hi_en is None else self.hi_en,
        )

    @cached_property
    def bands(self) -> list[tuple[float, float]]:
        """The bands [keV]."""
        return check_bands(*self.limits)

    def given(self) -> dict[str, Any]:
        lows, highs = self.limits
        return {**super().given(), "lo_en": lows, "hi_en": highs}


@dataclass(frozen=True, eq=False)
class ImageSetOptions(ImageOptions):
    """Options of `generate_images_expmaps`."""

    pixel_size: Quantity | None = argument(
        None,
        "Size of the pixels, a multiple of 0.05 arcsec from 0.5 to 60 arcsec; 4.35 arcsec by default. Names "
        "of products with other pixels say so, e.g. ``px4.0arcsec``.",
    )
    unvignetted: bool = argument(False, "Also make exposure maps without vignetting.")
    masks: bool = argument(
        False,
        "Also make masks of where the exposure is good for finding sources; and, where sources are known, "
        "masks without these (see ``regions``).",
    )
    subtract_oot: bool = argument(
        False,
        "Also make images of the pn without events out of time: the image of the out-of-time list is "
        "subtracted in the share that the mode has by the calibration (SMEARED_FRAC of EPN_MODEPARAM).",
    )
    smooth: Quantity | str | Sequence[Quantity | str] | None = argument(
        None,
        "Also make smoothed rates (counts over exposure): the sigma of a Gaussian on the sky, or "
        "``adaptive`` (as little as ten standard deviations allow), or several of these. Without events out "
        "of time with ``subtract_oot``.",
    )
    background: bool = argument(
        False, "Also make background maps: smoothed counts without sources, over exposure without vignetting."
    )
    regions: Any = argument(
        None,
        "Regions that masks and background maps leave out: path or text of regions of ds9, or objects of the "
        "``regions`` package. By default those of `Archive.source_regions`: what was set, or what "
        "`find_sources` has found.",
    )

    def check(self) -> None:
        super().check()
        for name in ("unvignetted", "masks", "subtract_oot", "background"):
            check_bool(name, getattr(self, name))
        _ = self.pixel_arcsec, self.widths, self.region_text

    @cached_property
    def pixel_arcsec(self) -> float | None:
        """Size of a pixel [arcsec]; None for the usual one."""
        if self.pixel_size is None:
            return None
        size = check_quantity("pixel_size", self.pixel_size, "arcsec")
        units = round(size / UNIT_ARCSEC)
        low, high = PIXEL_LIMITS
        if abs(units * UNIT_ARCSEC - size) > 1e-6 or not low <= size <= high:
            raise ValueError(
                f"pixel_size: expected a multiple of {UNIT_ARCSEC} arcsec from {low:g} to {high:g} arcsec, "
                f"got {self.pixel_size}"
            )
        return None if units == BIN else round(units * UNIT_ARCSEC, 2)

    @cached_property
    def widths(self) -> tuple[str, ...]:
        """Widths of smoothing as they stand in names."""
        from astropy.units import Quantity

        if self.smooth is None:
            return ()
        several = isinstance(self.smooth, (list, tuple)) or (
            isinstance(self.smooth, Quantity) and not self.smooth.isscalar
        )
        return tuple(dict.fromkeys(map(_width, self.smooth if several else [self.smooth])))

    @cached_property
    def region_text(self) -> str:
        """Regions as text of ds9; empty without any."""
        if self.regions is None:
            return ""
        try:
            return region_text(read_regions(self.regions))
        except (OSError, TypeError, ValueError) as error:
            raise type(error)(f"regions: {error}") from None

    @property
    def sets(self) -> list[ImageSet]:
        """What is to be made."""
        return [
            ImageSet(
                lo,
                hi,
                self.pixel_arcsec,
                self.unvignetted,
                self.masks,
                self.subtract_oot,
                self.background,
                self.widths,
                self.region_text,
            )
            for lo, hi in self.bands
        ]

    @property
    def beyond_sas(self) -> list[str]:
        """Options that only the embedded engine can follow."""
        return [n for n in ("subtract_oot", "smooth", "background") if getattr(self, n) not in (False, None)]

    def given(self) -> dict[str, Any]:
        given = super().given()
        given["regions"] = self.region_text or None
        # What is not used is left out, as it was before there was such an option.
        new = {f.name: f.default for f in fields(self)} | {"lo_en": ..., "hi_en": ...}
        return {name: value for name, value in given.items() if value is not new[name]}


def _width(value: Any) -> str:
    """One width of smoothing as it stands in names."""
    if isinstance(value, str):
        if value != ADAPTIVE:
            raise ValueError(f"smooth: expected {ADAPTIVE!r} or the sigma of a Gaussian, got {value!r}")
        return value
    sigma = check_quantity("smooth", value, "arcsec")
    if not 0 < sigma <= _WIDEST:
        raise ValueError(f"smooth: expected a sigma above 0 and up to {_WIDEST:g} arcsec, got {value}")
    return layout.arcsec_text(sigma)


def check_within(piece: Piece, bands: list[tuple[float, float]], ident: str | None = None) -> None:
    """Refuse bands that the event list holds a part of only: their images would miss counts.

    Parameters
    ----------
    piece
        The data.
    bands
        Lower and upper energies [keV].
    ident
        Whose event list it is; the piece's own by default.

    Raises
    ------
    ValueError
        Names the bands, and what the list holds.
    """
    run = piece.run_of("merge_subexposures", ident=ident)
    energies = re.search(r"([\d.]+)_([\d.]+)keV", str(run.extra.get("en_key", "")) if run is not None else "")
    if energies is None:
        return
    low, high = float(energies[1]), float(energies[2])
    wrong = [f"{lo:g}-{hi:g}" for lo, hi in bands if lo < low - 1e-6 or hi > high + 1e-6]
    if wrong:
        raise ValueError(
            f"{ident or piece.ident}: the final event list holds {low:g}-{high:g} keV only; "
            f"no image of {', '.join(wrong)} keV can be made of it"
        )


def _is_held(piece: Piece, one: ImageSet) -> bool:
    """Whether the event list still holds the band of an earlier call."""
    try:
        check_within(piece, [(one.lo, one.hi)])
    except ValueError:
        return False
    return True


def _sources(piece: Piece) -> str:
    """Regions of sources: those that were set for the observation, as text, or the file of those found."""
    own = piece.archive.layout.regions(piece.mission.name, piece.obs_id)
    if own.exists():
        return region_text(read_regions(own))
    found = piece.made_if_any("find_sources", "regions", ident=piece.obs_id)
    return "" if found is None else str(found)


def _images(piece: Piece, options: ImageSetOptions) -> Recipe:
    events = piece.made("merge_subexposures", "final")
    attitude = piece.attitude() or piece.folder / layout.attitude(piece.obs_id)
    check_within(piece, options.bands)
    earlier = [s for s in earlier_sets(piece, GENERATE_IMAGES_EXPMAPS.name) if _is_held(piece, s)]
    if select_backend() == "sas":
        earlier = [s.for_sas() for s in earlier]
    sets = together(earlier, options.sets)
    oot = None
    if piece.inst == "PN" and any(s.subtract_oot for s in sets):
        oot = piece.made("merge_subexposures", "finaloot")
    wanted = any((s.masks or s.background) and not s.regions for s in sets)
    maker = Maker(piece, events, oot, attitude, _sources(piece) if wanted else "")
    maker.make(sets)
    return Recipe(
        maker.tasks, maker.outputs, env=piece.environment(), files=maker.files, settings=recorded(sets)
    )


GENERATE_IMAGES_EXPMAPS = Step(
    "generate_images_expmaps",
    "Generating images and exposure maps",
    "instrument",
    _images,
    instruments=EPIC,
    needs=lambda inst, options: ("merge_subexposures",),
)


def bands_within(lo_en: Quantity | None, hi_en: Quantity | None) -> tuple[Quantity | None, Quantity | None]:
    """What of the default bands is within the energies of the event lists; their whole band if nothing is.

    Parameters
    ----------
    lo_en, hi_en
        Energy limits of the event lists; None for both: no limits.

    Returns
    -------
    lows, highs
        Limits of the images' bands [keV]; None for both where there are no limits.

    Raises
    ------
    ValueError
        The limits are not a band.
    """
    from astropy.units import Quantity

    band = check_band(lo_en, hi_en)
    if band is None:
        return None, None
    low, high = band[0] / 1000, band[1] / 1000
    kept = [(max(lo, low), min(hi, high)) for lo, hi in DEFAULT_BANDS if max(lo, low) < min(hi, high)]
    lows, highs = zip(*(kept or [(low, high)]), strict=True)
    return Quantity(lows, "keV"), Quantity(highs, "keV")


@public(ImageSetOptions)
def generate_images_expmaps(obs_archive: Archive, options: ImageSetOptions, running: Running) -> None:
    """Make images and vignetted exposure maps of each camera. Needs `merge_subexposures`.

    What earlier calls have made with other bands, pixels or options stays, and is made again where the event
    lists have changed. `Archive.get_image_path` and its fellows say where it is. Pictures are drawn by
    `daxa.report.build_report`.

    Examples
    --------
    >>> from astropy.units import Quantity
    >>> daxa.generate_images_expmaps(archive, Quantity([0.3, 1], "keV"), Quantity([1, 5], "keV"), masks=True)
    """
    if options.beyond_sas and select_backend() == "sas":
        raise NotImplementedError(
            f"{', '.join(options.beyond_sas)}: only the embedded engine makes these; set the back-end to "
            "'embedded'"
        )
    run_steps(obs_archive, [(GENERATE_IMAGES_EXPMAPS, options)], ALLOWED, running)
