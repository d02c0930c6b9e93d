"""Products of NuSTAR: spectra, light curves and the image of a source (nuproducts), images of the sky."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from astropy.units import Quantity

from daxa.archive import layout
from daxa.backend.contract import Task
from daxa.process.arguments import check_bool, check_quantity
from daxa.process.nustar.assemble import BENCH, COMMON, OF_MODULE
from daxa.process.nustar.setup import ALLOWED, INSTRUMENTS, module, stem
from daxa.process.options import Running, StepOptions, argument
from daxa.process.public import public
from daxa.process.runner import run_steps
from daxa.process.step import Piece, Recipe, Step

if TYPE_CHECKING:
    from daxa.archive import Archive

#: Folder of what it reads in the scratch folder, by the names that NuSTARDAS gives, and of what it makes.
_OUT = "products"
#: Length of the pixels in which regions are given to nuproducts, as its manual has it [arcsec].
_PIXEL = 2.46
#: Products: name for later steps -> end of NuSTARDAS's name.
_MADE = {
    "spectrum": "_sr.pha",
    "background_spectrum": "_bk.pha",
    "light_curve": "_sr.lc",
    "background_light_curve": "_bk.lc",
    "arf": "_sr.arf",
    "rmf": "_sr.rmf",
    "image": "_sk.img",
}


@dataclass(frozen=True, eq=False)
class ProductsOptions(StepOptions):
    """Options of `nuproducts`."""

    ra: Quantity | None = argument(None, "Right ascension of the source; by default that of the observation.")
    dec: Quantity | None = argument(None, "Declination of the source; by default that of the observation.")
    radius: Quantity = argument(Quantity(49.2, "arcsec"), "Radius of the region of the source.")
    bkg_inner: Quantity = argument(Quantity(123, "arcsec"), "Inner radius of the ring of the background.")
    bkg_outer: Quantity = argument(Quantity(196.8, "arcsec"), "Outer radius of the ring of the background.")
    time_bin: Quantity = argument(Quantity(10, "s"), "Length of the bins of light curves.")
    extended: bool = argument(
        False, "The source is extended: the response is made without a point source's light."
    )

    def check(self) -> None:
        check_bool("extended", self.extended)
        if (self.ra is None) != (self.dec is None):
            raise ValueError("ra, dec: give both or none")
        _ = self.position
        source, inner, outer = (self.pixels(n) for n in ("radius", "bkg_inner", "bkg_outer"))
        if not 1 <= source <= 300:
            raise ValueError(f"radius: expected 2.46 to 738 arcsec, got {self.radius}")
        if not 0 <= inner < outer <= 300:
            raise ValueError(
                "bkg_inner, bkg_outer: expected 0 <= bkg_inner < bkg_outer <= 738 arcsec, "
                f"got {self.bkg_inner} and {self.bkg_outer}"
            )
        if not self.bin_s > 0:
            raise ValueError(f"time_bin: expected a positive time, got {self.time_bin}")

    @cached_property
    def position(self) -> tuple[float, float] | None:
        """The position [deg]; None for that of the observation."""
        if self.ra is None:
            return None
        ra, dec = check_quantity("ra", self.ra, "deg"), check_quantity("dec", self.dec, "deg")
        if not (0 <= ra < 360 and -90 <= dec <= 90):
            raise ValueError(f"ra, dec: expected 0 to 360 and -90 to 90 deg, got {self.ra} and {self.dec}")
        return ra, dec

    def pixels(self, name: str) -> float:
        """A radius in pixels.

        Parameters
        ----------
        name
            Name of the argument.
        """
        return check_quantity(name, getattr(self, name), "arcsec") / _PIXEL

    @cached_property
    def bin_s(self) -> float:
        """Length of the bins of light curves [s]."""
        return check_quantity("time_bin", self.time_bin, "s")


def _observed(piece: Piece) -> tuple[float, float]:
    """Where the telescope pointed, as the catalogue has it [deg]."""
    info = piece.mission.filtered_obs_info
    row = info[info["ObsID"].astype(str) == piece.obs_id].iloc[0]
    return float(row["ra"]), float(row["dec"])


def _products(piece: Piece, options: ProductsOptions) -> Recipe:
    ra, dec = options.position or _observed(piece)
    read = {
        **{("nupipeline_calibrate", k): f"{stem(piece)}{e}" for k, (e, _) in COMMON.items() if k != "psd"},
        ("nupipeline_calibrate", BENCH[0]): f"{stem(piece)}{BENCH[1]}",
        ("nupipeline_calibrate", "optical_axis"): f"{module(piece)}{OF_MODULE['optical_axis'][0]}",
        ("nupipeline_calibrate", "reference_pixel"): f"{module(piece)}{OF_MODULE['reference_pixel'][0]}",
        ("nupipeline_screen", "evt_clean_path"): f"{module(piece)}01_cl.evt",
        ("nupipeline_screen", "gti_path"): f"{module(piece)}01_gti.fits",
        ("nupipeline_screen", "housekeeping"): f"{module(piece)}_fpm.hk",
    }
    copies = {name: path for (step, key), name in read.items() if (path := piece.made_if_any(step, key))}
    given: dict[str, Any] = {
        "srcra": f"{ra:.6f}",
        "srcdec": f"{dec:.6f}",
        "bkgra": f"{ra:.6f}",
        "bkgdec": f"{dec:.6f}",
        "srcradius": f"{options.pixels('radius'):g}",
        "bkgradius1": f"{options.pixels('bkg_inner'):g}",
        "bkgradius2": f"{options.pixels('bkg_outer'):g}",
    }
    task = Task(
        "nuproducts",
        indir=".",
        instrument=str(piece.inst),
        steminputs=stem(piece),
        outdir=_OUT,
        **given,
        binsize=f"{options.bin_s:g}",
        extended=options.extended,
        initseed=True,
        clobber=True,
        chatter=3,
    )
    # Headers of spectra name background and responses, which therefore keep their names.
    names = {key: f"{module(piece)}01{end}" for key, end in _MADE.items()}
    files = {key: layout.spectra(name) for key, name in names.items()}
    outputs = {f"{_OUT}/{name}": files[key] for key, name in names.items()}
    return Recipe([task], outputs, inputs=copies, files=files, settings={"ra": ra, "dec": dec})


NUPRODUCTS = Step(
    "nuproducts",
    "Making spectra and light curves",
    "instrument",
    _products,
    instruments=INSTRUMENTS,
    needs=lambda inst, options: ("nupipeline_screen",),
    backend="nustardas",
)


@public(ProductsOptions, mission="NuSTAR")
def nuproducts(obs_archive: Archive, options: ProductsOptions, running: Running) -> None:
    """Make spectra with responses, light curves and an image of a source. Needs `nupipeline_screen`.

    Calls nuproducts of NuSTARDAS, which is what stage 3 of nupipeline does. The source is a circle, the
    background a ring around it. Products of another source replace those of the one before.

    Raises
    ------
    NuSTARDASNotFoundError
        NuSTARDAS is not there; the message says how it is recognised.

    Examples
    --------
    >>> from astropy.units import Quantity
    >>> daxa.process.nustar.nuproducts(archive, Quantity(149.6, "deg"), Quantity(-11.1, "deg"))
    """
    run_steps(obs_archive, [(NUPRODUCTS, options)], ALLOWED, running)


@dataclass(frozen=True, eq=False)
class SkyOptions(StepOptions):
    """Options of `sky_images`."""

    pi_lo: int = argument(35, "Lowest channel PI of the events that are counted; 35 is 3 keV.")
    pi_hi: int = argument(1909, "Highest channel; 1909 is 78 keV.")

    def check(self) -> None:
        for name in ("pi_lo", "pi_hi"):
            value: Any = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name}: expected a channel, a whole number, got {value!r}")
        if not 0 <= self.pi_lo <= self.pi_hi <= 4095:
            raise ValueError(
                f"pi_lo, pi_hi: expected 0 <= pi_lo <= pi_hi <= 4095, got {self.pi_lo}, {self.pi_hi}"
            )


def _sky(piece: Piece, options: SkyOptions) -> Recipe:
    where = piece.obs_id, str(piece.inst)
    band = f"pi{options.pi_lo}_{options.pi_hi}"
    files = {kind: layout.of_kind(*where, f"{band}-{kind}") for kind in ("image", "ratemap")}
    task = Task(
        "ratemap",
        table=str(piece.made("nupipeline_screen", "evt_clean_path")),
        expimageset=str(piece.made("nupipeline_screen", "expmap")),
        imageset="image.fits",
        rateset="rate.fits",
        ranges=f"PI:{options.pi_lo}:{options.pi_hi}]",
    )
    return Recipe([task], {"image.fits": files["image"], "rate.fits": files["ratemap"]}, files=files)


SKY_IMAGES = Step(
    "sky_images",
    "Making images",
    "instrument",
    _sky,
    instruments=INSTRUMENTS,
    needs=lambda inst, options: ("nupipeline_screen",),
    backend="python",
)


@public(SkyOptions, mission="NuSTAR")
def sky_images(obs_archive: Archive, options: SkyOptions, running: Running) -> None:
    """Make images of counts and of the count rate on the exposure map's grid. Needs `nupipeline_screen`.

    NuSTARDAS is not needed. The exposure map is that of one energy, with vignetting if it has been made so.

    Examples
    --------
    >>> daxa.process.nustar.sky_images(archive)
    """
    run_steps(obs_archive, [(SKY_IMAGES, options)], ALLOWED, running)
