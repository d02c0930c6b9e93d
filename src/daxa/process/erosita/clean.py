"""Times of flares in eROSITA data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daxa.archive import layout
from daxa.backend.contract import Task
from daxa.process.arguments import check_quantity
from daxa.process.options import Running, StepOptions, argument
from daxa.process.public import public
from daxa.process.runner import run_steps
from daxa.process.step import Piece, Recipe, Step

if TYPE_CHECKING:
    from astropy.units import Quantity

    from daxa.archive import Archive

ALLOWED = ("erosita_calpv", "erosita_all_sky_de_dr1")
#: Unit of thresholds.
_RATE = "ct / (deg2 s)"


@dataclass(frozen=True, eq=False)
class FlareOptions(StepOptions):
    """Options of `flaregti`."""

    pimin: Quantity | None = argument(None, "Lower energy of the light curve, 200 eV by default.")
    pimax: Quantity | None = argument(None, "Upper energy of the light curve, 10000 eV by default.")
    mask_pimin: Quantity | None = argument(
        None, "Lower energy of the image that sources are masked in, 200 eV by default."
    )
    mask_pimax: Quantity | None = argument(None, "Upper energy of that image, 10000 eV by default.")
    binsize: int = argument(1200, "Size of its pixels in sky pixels of 0.05 arcsec.")
    detml: float = argument(10, "Likelihood from which a pixel of it is masked.")
    timebin: Quantity | None = argument(None, "Bin of the light curve, 20 s by default.")
    source_size: Quantity | None = argument(
        None, "Size of the source whose detection thresholds are chosen for, 25 arcsec by default."
    )
    source_like: float = argument(10, "Likelihood of that source.")
    threshold: Quantity | None = argument(
        None, "Fixed threshold of the rate per area; by default one is found for each time."
    )
    max_threshold: Quantity | None = argument(
        None, "What thresholds that are found may be at most; no limit by default."
    )
    mask_iter: int = argument(3, "How often masks and good times are found in turn.")

    def check(self) -> None:
        _ = self.parameters

    @property
    def band(self) -> str:
        """Energies of the light curve as they stand in names of files."""
        return f"{self.parameters['pimin']}_{self.parameters['pimax']}PI"

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """Parameters of the task flaregti."""
        found: dict[str, Any] = {
            name: self._quantity(name, unit, default)
            for name, unit, default in (
                ("pimin", "eV", 200),
                ("pimax", "eV", 10000),
                ("mask_pimin", "eV", 200),
                ("mask_pimax", "eV", 10000),
                ("timebin", "s", 20),
                ("source_size", "arcsec", 25),
            )
        }
        for low, high in (("pimin", "pimax"), ("mask_pimin", "mask_pimax")):
            if not float(found[low]) < float(found[high]):
                raise ValueError(f"{low}, {high}: no band from {found[low]} to {found[high]} eV")
        for name in ("threshold", "max_threshold"):
            given = getattr(self, name)
            value = -1.0 if given is None else check_quantity(name, given, _RATE)
            # Any negative one stands for the automatic choice.
            found[name] = "-1" if value < 0 else f"{value:g}"
        for name, kind in (
            ("binsize", Integral), ("mask_iter", Integral), ("detml", Real), ("source_like", Real),
        ):  # fmt: skip
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, kind):
                what = "an integer" if kind is Integral else "a number"
                raise TypeError(f"{name}: expected {what}, got {value!r}")
            if not float(value) > 0:
                raise ValueError(f"{name}: expected a positive number, got {value}")
            found[name] = f"{value:g}"
        return found

    def _quantity(self, name: str, unit: str, default: float) -> str:
        given = getattr(self, name)
        value = float(default) if given is None else check_quantity(name, given, unit)
        if value < 0 or (unit != "eV" and value == 0):
            raise ValueError(f"{name}: expected a positive quantity, got {given}")
        return f"{value:g}"


def source_list(piece: Piece) -> tuple[Path, str]:
    """The archive's event list of the chosen telescope modules, and what stands for these in names of files.

    Parameters
    ----------
    piece
        The observation.
    """
    mission: Any = piece.mission
    path = Path(mission.get_evt_list_path(piece.obs_id))
    return path, "_".join(mission.active_instruments(piece.obs_id))


def _flares(piece: Piece, options: FlareOptions) -> Recipe:
    path, insts = source_list(piece)
    where = piece.obs_id, insts
    files = {
        "evt_list": layout.events(*where, "None"),
        "lightcurve": layout.erosita_flares(*where, options.band, "lightcurve"),
        "threshold_image": layout.erosita_flares(*where, options.band, "thresholdimage"),
        "mask_image": layout.erosita_flares(*where, options.band, "maskimage"),
    }
    task = Task(
        "flaregti",
        eventfile="events.fits",
        **options.parameters,
        write_mask=True,
        mask="mask.fits",
        write_lightcurve=True,
        lightcurve="lightcurve.fits",
        write_thresholdimg=True,
        thresholdimg="threshold.fits",
    )
    return Recipe(
        [task],
        {
            "events.fits": files["evt_list"],
            "lightcurve.fits": files["lightcurve"],
            "threshold.fits": files["threshold_image"],
            "mask.fits": files["mask_image"],
        },
        # With a threshold that is given, there are none to be shown.
        optional=frozenset({"threshold.fits"}),
        # The task writes good times into the list.
        inputs={"events.fits": path},
        files=files,
        reads_raw=True,
        raw_name=piece.obs_id,
    )


FLAREGTI = Step("flaregti", "Finding flares", "observation", _flares, backend="esass")


@public(FlareOptions, mission="eROSITA")
def flaregti(obs_archive: Archive, options: FlareOptions, running: Running) -> None:
    """Find times without flares in the light curve of each observation (flaregti of eSASS).

    The event list with its new good times (FLAREGTI), the light curve, and images of the mask and the
    thresholds are kept.

    Raises
    ------
    eSASSNotFoundError
        eSASS is not there; the message says how it is recognised.

    Examples
    --------
    >>> daxa.process.erosita.flaregti(archive)
    """
    run_steps(obs_archive, [(FLAREGTI, options)], ALLOWED, running)
