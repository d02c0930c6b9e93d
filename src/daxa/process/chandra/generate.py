"""Images of Chandra: flux and count rate, with exposure maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from astropy.units import Quantity

from daxa.archive import layout
from daxa.backend.contract import Task
from daxa.exceptions import DAXAError
from daxa.process.arguments import check_bands
from daxa.process.chandra.assemble import aspect_key
from daxa.process.chandra.setup import ALLOWED, INSTRUMENTS
from daxa.process.options import Running, StepOptions, argument
from daxa.process.public import public
from daxa.process.runner import run_steps
from daxa.process.step import Piece, Recipe, Step

if TYPE_CHECKING:
    from daxa.archive import Archive

#: Bands of the Chandra Source Catalog and the energies that stand for them [keV].
CSC_BANDS = Quantity([[0.5, 7.0], [0.5, 1.2], [1.2, 2.0], [2.0, 7.0], [0.2, 0.5]], "keV")
CSC_ENERGIES = Quantity([2.3, 0.92, 1.56, 3.8, 0.4], "keV")
#: What HRC sees [keV], for names of files: the band "wide" of the catalogue.
HRC_BAND = (0.06, 10.0)
#: Part of the light of a point source within the radius that maps of it give.
PSF_FRACTION = 0.9


class Band(NamedTuple):
    """A band, and the energy at which its exposure map is made [keV]."""

    lo: float
    hi: float
    at: float


@dataclass(frozen=True, eq=False)
class ImageOptions(StepOptions):
    """Options of `flux_image` and `rate_image`."""

    en_bounds: Quantity = argument(
        CSC_BANDS, "Energy bands of ACIS, shape (n, 2); those of the Chandra Source Catalog by default."
    )
    effective_ens: Quantity = argument(
        CSC_ENERGIES,
        "Energies at which exposure maps are made, one per band; those of the catalogue by default.",
    )
    acis_bin_size: float = argument(4, "Length of a pixel of the image in pixels of ACIS (0.492 arcsec).")
    hrc_bin_size: float = argument(16, "Length of a pixel of the image in pixels of HRC (0.1318 arcsec).")

    def check(self) -> None:
        _ = self.bands
        for name in ("acis_bin_size", "hrc_bin_size"):
            value: Any = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{name}: expected a number, got {value!r}")
            if not 0 < value < float("inf"):
                raise ValueError(f"{name}: expected a number above 0, got {value}")

    @cached_property
    def bands(self) -> tuple[Band, ...]:
        """The bands of ACIS."""
        bounds: Any = self.en_bounds
        if not isinstance(bounds, Quantity) or bounds.shape[-1:] != (2,) or bounds.ndim > 2:
            raise ValueError(
                f"en_bounds: expected pairs of energies, a quantity of shape (n, 2), got {bounds!r}"
            )
        pairs = check_bands(*bounds.reshape(-1, 2).T)
        energies: Any = self.effective_ens
        if not isinstance(energies, Quantity) or energies.size != len(pairs):
            raise ValueError(
                f"effective_ens: expected one energy for each of {len(pairs)} bands, got {energies!r}"
            )
        at = [float(e) for e in energies.to_value("keV").reshape(-1)]
        if not all(0 < e < float("inf") for e in at):
            raise ValueError(f"effective_ens: expected energies above 0, got {energies}")
        return tuple(Band(lo, hi, e) for (lo, hi), e in zip(pairs, at, strict=True))


def bands_within(options: ImageOptions, lo_kev: float, hi_kev: float) -> ImageOptions:
    """The same without bands that reach outside energies; unchanged if none would be left.

    Parameters
    ----------
    options
        The options.
    lo_kev, hi_kev
        The energies [keV].
    """
    inside = [b for b in options.bands if lo_kev <= b.lo and b.hi <= hi_kev]
    if not inside:
        return options
    return ImageOptions(
        Quantity([[b.lo, b.hi] for b in inside], "keV"),
        Quantity([b.at for b in inside], "keV"),
        options.acis_bin_size,
        options.hrc_bin_size,
    )


def _recipe(piece: Piece, options: ImageOptions, kept: Mapping[str, str], **special: Any) -> Recipe:
    """One call of fluximage per band, so that what it makes is found whatever it calls the band.

    ``kept`` gives ends of names of its products and what they are; ``special`` are further parameters.
    """
    inst = str(piece.inst)
    listed = piece.run_of("cleaned_chandra_evts")
    events = piece.made("cleaned_chandra_evts", "evt_clean_path")
    cleaned = None if listed is None else listed.extra.get("band_ev")
    aspects = [piece.made("chandra_repro", aspect_key(0))]
    while more := piece.made_if_any("chandra_repro", aspect_key(len(aspects))):
        aspects.append(more)
    common: dict[str, Any] = {
        "asolfile": ",".join(map(str, aspects)),
        "badpixfile": str(piece.made("chandra_repro", "bad_pixels")),
    }
    if mask := piece.made_if_any("chandra_repro", "mask"):
        common["maskfile"] = str(mask)
    if inst == "HRC":
        if factors := piece.made_if_any("chandra_repro", "dead_time"):
            common["dtffile"] = str(factors)
        # The positions of background events are drawn at random: alike each time.
        common["random"] = 1
    recipe = Recipe([], {})
    bands = options.bands if inst == "ACIS" else (Band(*HRC_BAND, 0.0),)
    for number, band in enumerate(bands):
        if cleaned is not None and not (cleaned[0] <= 1000 * band.lo and 1000 * band.hi <= cleaned[1]):
            raise DAXAError(
                f"{piece.ident}: band {band.lo:g} to {band.hi:g} keV reaches outside the cleaned event list, "
                f"{cleaned[0] / 1000:g} to {cleaned[1] / 1000:g} keV"
            )
        root = f"band{number + 1}"
        recipe.tasks.append(
            Task(
                "fluximage",
                infile=str(events),
                outroot=root,
                bands=f"{band.lo:g}:{band.hi:g}:{band.at:g}" if inst == "ACIS" else "wide",
                binsize=options.acis_bin_size if inst == "ACIS" else options.hrc_bin_size,
                **common,
                **special,
                parallel=False,
                tmpdir=".",
                cleanup=True,
                clobber=True,
                verbose=1,
                mode="h",
            )
        )
        for end, kind in kept.items():
            name = f"en{layout.energy_text(band.lo, band.hi)}-{kind}"
            path = layout.of_kind(piece.obs_id, inst, name)
            recipe.outputs[f"{root}_*_{end}"] = path
            recipe.files[name] = path
    return recipe


def _flux(piece: Piece, options: ImageOptions) -> Recipe:
    kept = {"thresh.expmap": "weightedexpmap", "flux.img": "fluxmap", "thresh.psfmap": "psfmap"}
    return _recipe(piece, options, kept, units="default", psfecf=PSF_FRACTION)


def _rate(piece: Piece, options: ImageOptions) -> Recipe:
    kept = {"thresh.img": "image", "thresh.expmap": "expmap", "flux.img": "ratemap"}
    return _recipe(piece, options, kept, units="time")


FLUX_IMAGE = Step(
    "flux_image",
    "Making images of flux",
    "instrument",
    _flux,
    instruments=INSTRUMENTS,
    needs=lambda inst, options: ("cleaned_chandra_evts",),
    backend="ciao",
)
RATE_IMAGE = Step(
    "rate_image",
    "Making images of the count rate",
    "instrument",
    _rate,
    instruments=INSTRUMENTS,
    needs=lambda inst, options: ("cleaned_chandra_evts",),
    backend="ciao",
)


@public(ImageOptions, mission="Chandra")
def flux_image(obs_archive: Archive, options: ImageOptions, running: Running) -> None:
    """Make images of the flux [photon/cm2/s] with fluximage of CIAO. Needs `cleaned_chandra_evts`.

    Keeps for each band the flux, the exposure map [cm2 s count/photon] and the radius within which 90 % of
    the light of a point source falls [arcsec], all without the edges where the exposure is below 1.5 % of the
    highest.

    Raises
    ------
    CIAONotFoundError
        CIAO is not there; the message says how it is recognised.

    Examples
    --------
    >>> daxa.process.chandra.flux_image(archive, acis_bin_size=2)
    """
    run_steps(obs_archive, [(FLUX_IMAGE, options)], ALLOWED, running)


@public(ImageOptions, mission="Chandra")
def rate_image(obs_archive: Archive, options: ImageOptions, running: Running) -> None:
    """Make images of the count rate [count/s] with fluximage of CIAO. Needs `cleaned_chandra_evts`.

    Keeps for each band the image of counts, the exposure map [s] and the rate; energies of the exposure maps
    do not matter.

    Raises
    ------
    CIAONotFoundError
        CIAO is not there; the message says how it is recognised.

    Examples
    --------
    >>> daxa.process.chandra.rate_image(archive, acis_bin_size=2)
    """
    run_steps(obs_archive, [(RATE_IMAGE, options)], ALLOWED, running)
