"""Cleaning: times of soft-proton flares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

from daxa.archive import layout
from daxa.backend.contract import Task
from daxa.exceptions import WrongTypeError
from daxa.process.arguments import check_quantity
from daxa.process.options import Running, StepOptions, argument
from daxa.process.public import public
from daxa.process.runner import run_steps
from daxa.process.step import EPIC, SHORT_NAMES, Piece, Recipe, Step
from daxa.process.xmm.setup import ALLOWED

if TYPE_CHECKING:
    from astropy.units import Quantity

    from daxa.archive import Archive


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: expected a number, got {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name}: expected a finite number, got {value}")
    return float(value)


def _switch(name: str, value: Any, default_s: int, limits: tuple[int, int | None]) -> tuple[bool, int]:
    """(on, seconds) of an argument that is True, False or a time."""
    if isinstance(value, bool):
        return value, default_s
    try:
        seconds = check_quantity(name, value, "s")
    except TypeError:
        raise TypeError(f"{name}: expected True, False or a quantity of time, got {value!r}") from None
    low, high = limits
    if seconds != round(seconds) or seconds < low or (high is not None and seconds > high):
        upper = "" if high is None else f" and at most {high} s"
        raise ValueError(f"{name}: expected whole seconds, at least {low} s{upper}, got {value}")
    return True, round(seconds)


#: Scale of the range of the histogram that is fitted, by kind of camera.
RANGE_SCALES = {"mos": 6.0, "pn": 15.0}


@dataclass(frozen=True, eq=False)
class EspfiltOptions(StepOptions):
    """Options of `espfilt`."""

    method: Literal["histogram", "ratio"] = argument(
        "histogram",
        "Cut on the histogram of the count rate, or on the ratio of rates inside and outside the field of "
        "view.",
    )
    with_smoothing: bool | Quantity = argument(
        True, "Smooth the light curve, over 51 s or the given time (1 s to 60 s)."
    )
    with_binning: bool | Quantity = argument(True, "Bin the light curve, to 60 s or the given time.")
    ratio: float = argument(1.2, "Threshold of the ratio method.")
    filter_lo_en: Quantity | None = argument(None, "Lower energy of the light curve, 2500 eV by default.")
    filter_hi_en: Quantity | None = argument(None, "Upper energy of the light curve, 8500 eV by default.")
    range_scale: Mapping[str, float] | None = argument(
        None, f"Scale of the range of the histogram that is fitted, by default ``{RANGE_SCALES}``."
    )
    allowed_sigma: float = argument(
        3.0, "How many widths of the fitted Gaussian a rate may be from its centre."
    )
    gauss_fit_lims: tuple[float, float] = argument((0.1, 6.5), "Limits of the fitted centre, ct/s.")

    def check(self) -> None:
        if not isinstance(self.method, str):
            raise TypeError(f"method: expected text, got {self.method!r}")
        if self.method not in ("histogram", "ratio"):
            raise ValueError(f"method: expected 'histogram' or 'ratio', got {self.method!r}")
        for name in ("ratio", "allowed_sigma"):
            value = getattr(self, name)
            if _number(name, value) <= 0:
                raise ValueError(f"{name}: expected a positive number, got {value}")
        _ = self.smoothing, self.binning, self.band_ev, self.range_scales, self.centre_limits

    @cached_property
    def smoothing(self) -> tuple[bool, int]:
        """Whether the light curve is smoothed, and over how many seconds."""
        return _switch("with_smoothing", self.with_smoothing, 51, (1, 60))

    @cached_property
    def binning(self) -> tuple[bool, int]:
        """Whether the light curve is binned, and to how many seconds."""
        return _switch("with_binning", self.with_binning, 60, (1, None))

    @cached_property
    def band_ev(self) -> tuple[int, int]:
        """Energies of the light curve [eV]."""
        low, high = self.filter_lo_en, self.filter_hi_en
        lo = 2500 if low is None else round(check_quantity("filter_lo_en", low, "eV"))
        hi = 8500 if high is None else round(check_quantity("filter_hi_en", high, "eV"))
        if not (1 <= lo < hi <= 32767):
            raise ValueError(
                f"filter_lo_en, filter_hi_en: expected 1 eV <= low < high <= 32767 eV, got {lo} and {hi} eV"
            )
        return lo, hi

    @cached_property
    def range_scales(self) -> dict[str, float]:
        """Scale of the range of the histogram that is fitted: ``mos`` and ``pn``."""
        given = self.range_scale
        if given is None:
            return dict(RANGE_SCALES)
        if not isinstance(given, Mapping):
            raise WrongTypeError(f"range_scale: expected a dictionary with 'mos' and 'pn', got {given!r}")
        if set(given) != set(RANGE_SCALES):
            raise KeyError(f"range_scale: expected the keys 'mos' and 'pn', got {sorted(given)}")
        scales = {k: _number(f"range_scale[{k!r}]", v) for k, v in given.items()}
        if min(scales.values()) < 1:
            raise ValueError(f"range_scale: expected values of at least 1, got {dict(given)}")
        return scales

    @cached_property
    def centre_limits(self) -> tuple[float, float]:
        """Limits of the fitted centre [ct/s]."""
        given = self.gauss_fit_lims
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            raise WrongTypeError(f"gauss_fit_lims: expected two numbers, got {given!r}")
        low, high = (_number("gauss_fit_lims", v) for v in given)
        if not 0 <= low < high <= 10:
            raise ValueError(f"gauss_fit_lims: expected 0 <= low < high <= 10, got {given}")
        return low, high

    def task_parameters(self, camera: str) -> dict[str, Any]:
        """Parameters of the task for a kind of camera, ``mos`` or ``pn``.

        Parameters
        ----------
        camera
            ``mos`` or ``pn``.
        """
        return {
            "method": self.method,
            "withsmoothing": self.smoothing[0],
            "smooth": self.smoothing[1],
            "withbinning": self.binning[0],
            "binsize": self.binning[1],
            "ratio": float(self.ratio),
            "elow": self.band_ev[0],
            "ehigh": self.band_ev[1],
            "allowsigma": float(self.allowed_sigma),
            "limits": list(self.centre_limits),
            "rangescale": self.range_scales[camera],
        }


def chain_of(inst: str | None) -> str:
    """The chain that makes an instrument's event lists.

    Parameters
    ----------
    inst
        Name of the instrument in the archive: M1, M2 or PN.
    """
    return "epchain" if inst == "PN" else "emchain"


def _espfilt(piece: Piece, options: EspfiltOptions) -> Recipe:
    where = piece.where
    chain = chain_of(piece.inst)
    name = f"{SHORT_NAMES[where[1]]}{where[2]}"
    parameters = options.task_parameters("pn" if piece.inst == "PN" else "mos")
    lo, hi = parameters["elow"], parameters["ehigh"]
    oot = piece.made_if_any(chain, "oot_evt_list") if piece.inst == "PN" else None
    if oot is not None:
        parameters |= {"withoot": True, "ootfile": str(oot)}
    outputs = {
        f"{name}-gti.fits": layout.flare_gti(*where, lo, hi),
        f"{name}-allevc.fits": layout.all_good_events(*where),
        f"{name}-hist.qdp": layout.flare_histogram(*where, lo, hi),
        f"{name}-hist.png": layout.flare_histogram(*where, lo, hi, "png"),
    }
    made = {"gti_path": "gti.fits", "allevc": "allevc.fits", "hist_path": "hist.qdp"}
    files = {key: outputs[f"{name}-{ending}"] for key, ending in made.items()}
    if oot is not None:
        outputs[f"{name}-allevcoot.fits"] = files["oot_allevc"] = layout.all_good_events(*where, oot=True)
    return Recipe(
        [Task("espfilt", eventfile=str(piece.made(chain, "evt_list")), **parameters)],
        outputs,
        optional=frozenset((f"{name}-hist.qdp", f"{name}-hist.png")),
        env=piece.environment(),
        files=files,
    )


ESPFILT = Step(
    "espfilt",
    "Finding soft-proton flares",
    "exposure",
    _espfilt,
    instruments=EPIC,
    needs=lambda inst, options: (chain_of(inst),),
)


@public(EspfiltOptions)
def espfilt(obs_archive: Archive, options: EspfiltOptions, running: Running) -> None:
    """Find times without soft-proton flares (task espfilt). Needs `emchain` and `epchain`.

    Examples
    --------
    >>> from astropy.units import Quantity
    >>> daxa.espfilt(archive, allowed_sigma=2.5, with_binning=Quantity(100, "s"))
    """
    run_steps(obs_archive, [(ESPFILT, options)], ALLOWED, running)
