"""Times without flares of Chandra observations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from astropy.units import Quantity

from daxa.archive import layout
from daxa.backend.contract import Task
from daxa.process.arguments import check_band, check_quantity
from daxa.process.chandra.setup import ALLOWED, INSTRUMENTS
from daxa.process.options import Running, StepOptions, argument
from daxa.process.public import public
from daxa.process.runner import run_steps
from daxa.process.step import Piece, Recipe, Step

if TYPE_CHECKING:
    from daxa.archive import Archive

METHODS = ("sigma", "clean")


@dataclass(frozen=True, eq=False)
class DeflareOptions(StepOptions):
    """Options of `deflare`."""

    method: Literal["sigma", "clean"] = argument(
        "sigma",
        "``sigma`` takes out bins far from the mean again and again (lc_sigma_clip of CIAO); ``clean`` keeps "
        "those within a factor 1.2 of the quiet mean (lc_clean).",
    )
    allowed_sigma: float = argument(3.0, "How many standard deviations are far from the mean.")
    min_length: int = argument(3, "Shortest row of good bins that is kept, of ``sigma``.")
    time_bin_size: Quantity = argument(Quantity(200, "s"), "Length of the bins.")
    lc_lo_en: Quantity = argument(Quantity(500, "eV"), "Lower energy of the events of ACIS that are counted.")
    lc_hi_en: Quantity = argument(
        Quantity(7000, "eV"), "Upper energy of the events of ACIS that are counted."
    )

    def check(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method: expected one of {', '.join(METHODS)}, got {self.method!r}")
        sigma: Any = self.allowed_sigma
        if isinstance(sigma, bool) or not isinstance(sigma, (int, float)):
            raise TypeError(f"allowed_sigma: expected a number, got {sigma!r}")
        if not 0 < sigma < float("inf"):
            raise ValueError(f"allowed_sigma: expected a number above 0, got {sigma}")
        length: Any = self.min_length
        if isinstance(length, bool) or not isinstance(length, int):
            raise TypeError(f"min_length: expected a whole number, got {length!r}")
        if length < 1:
            raise ValueError(f"min_length: expected at least 1, got {length}")
        if not self.bin_s > 0:
            raise ValueError(f"time_bin_size: expected a positive time, got {self.time_bin_size}")
        if self.band_ev is None:
            raise ValueError("lc_lo_en, lc_hi_en: expected energies, got None")

    @cached_property
    def bin_s(self) -> float:
        """Length of the bins [s]."""
        return check_quantity("time_bin_size", self.time_bin_size, "s")

    @cached_property
    def band_ev(self) -> tuple[int, int] | None:
        """Energies of the events that are counted [eV]."""
        try:
            return check_band(self.lc_lo_en, self.lc_hi_en)
        except (TypeError, ValueError) as failure:
            raise type(failure)(f"lc_{failure}".replace(", hi_en", ", lc_hi_en")) from None


def _deflare(piece: Piece, options: DeflareOptions) -> Recipe:
    where = piece.obs_id, str(piece.inst)
    files = {
        "light_curve": layout.of_kind(*where, "lightcurve"),
        "flaring_gti": layout.of_kind(*where, "flaringGTI"),
    }
    band = options.band_ev if piece.inst == "ACIS" else None
    counted = {} if band is None else {"ranges": f"energy:{band[0]}:{band[1]}"}
    tasks = [
        Task(
            "lightcurve",
            table=str(piece.made("chandra_repro", "evt_list")),
            rateset="lightcurve.fits",
            timebinsize=options.bin_s,
            **counted,
        ),
        Task(
            "flaretimes",
            rateset="lightcurve.fits",
            gtifile="gti.fits",
            method=options.method,
            sigma=float(options.allowed_sigma),
            minlength=options.min_length,
        ),
    ]
    return Recipe(
        tasks,
        {"lightcurve.fits": files["light_curve"], "gti.fits": files["flaring_gti"]},
        files=files,
    )


DEFLARE = Step(
    "deflare",
    "Finding flares",
    "instrument",
    _deflare,
    instruments=INSTRUMENTS,
    needs=lambda inst, options: ("chandra_repro",),
    backend="python",
)


@public(DeflareOptions, mission="Chandra")
def deflare(obs_archive: Archive, options: DeflareOptions, running: Running) -> None:
    """Find times without flares in the light curve of all events. Needs `chandra_repro`.

    The methods are those of CIAO's deflare, whose manual they follow; CIAO is not needed. Sources are not
    taken out of the light curve: a variable one that is as bright as the background counts as flares.

    Examples
    --------
    >>> daxa.process.chandra.deflare(archive, allowed_sigma=2.5)
    """
    run_steps(obs_archive, [(DEFLARE, options)], ALLOWED, running)
