"""Images and exposure maps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from daxa.archive import layout
from daxa.backend.contract import Task
from daxa.process.arguments import check_band, check_bands
from daxa.process.options import Running, StepOptions, argument
from daxa.process.public import public
from daxa.process.runner import run_steps
from daxa.process.step import EPIC, Piece, Recipe, Step
from daxa.process.xmm.setup import ALLOWED

if TYPE_CHECKING:
    from astropy.units import Quantity

    from daxa.archive import Archive

#: Sky grid of all images: 512 x 512 pixels of 87 units of 0.05 arcsec.
GRID = {
    "xcolumn": "X",
    "ycolumn": "Y",
    "ximagebinsize": 87,
    "yimagebinsize": 87,
    "squarepixels": True,
    "ximagesize": 512,
    "yimagesize": 512,
    "imagebinning": "binSize",
    "ximagemin": 3649,
    "ximagemax": 48106,
    "withxranges": True,
    "yimagemin": 3649,
    "yimagemax": 48106,
    "withyranges": True,
}
#: Bands of images [keV].
DEFAULT_BANDS = ((0.5, 2.0), (2.0, 10.0))


@dataclass(frozen=True, eq=False)
class ImageOptions(StepOptions):
    """Options of `generate_images_expmaps`."""

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


def _images(piece: Piece, options: ImageOptions) -> Recipe:
    inst = str(piece.inst)
    events = piece.made("merge_subexposures", "final")
    attitude = piece.attitude() or piece.folder / layout.attitude(piece.obs_id)
    tasks, outputs, files = [], {}, {}
    bands = options.bands
    check_within(piece, bands)
    for number, (lo, hi) in enumerate(bands):
        image = f"image{number}.fits"
        tasks.append(
            Task(
                "evselect",
                table=f"{events}:EVENTS",
                imageset=image,
                **GRID,
                expression=f"(PI in [{round(lo * 1000)}:{round(hi * 1000)}])",
            )
        )
        band = layout.energy_text(lo, hi)
        outputs[image] = files[f"image_{band}"] = layout.image(piece.obs_id, inst, lo, hi)
        expmap = f"expmap{number}.fits"
        outputs[expmap] = files[f"expmap_{band}"] = layout.exposure_map(piece.obs_id, inst, lo, hi)
    tasks.append(
        Task(
            "eexpmap",
            eventset=str(events),
            imageset="image0.fits",
            attitudeset=str(attitude),
            expimageset=[f"expmap{n}.fits" for n in range(len(bands))],
            withdetcoords=False,
            withvignetting=True,
            pimin=[round(lo * 1000) for lo, _ in bands],
            pimax=[round(hi * 1000) for _, hi in bands],
        )
    )
    return Recipe(tasks, outputs, env=piece.environment(), files=files)


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


@public(ImageOptions)
def generate_images_expmaps(obs_archive: Archive, options: ImageOptions, running: Running) -> None:
    """Make images and vignetted exposure maps of each camera. Needs `merge_subexposures`.

    Pictures of them are drawn by `daxa.report.build_report`.
    """
    run_steps(obs_archive, [(GENERATE_IMAGES_EXPMAPS, options)], ALLOWED, running)
