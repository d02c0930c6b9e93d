"""Cleaning: times of soft-proton flares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from daxa.archive import layout
from daxa.backend.contract import Task
from daxa.process.arguments import check_quantity
from daxa.process.runner import run_steps
from daxa.process.step import EPIC, SAS_NAMES, Options, Piece, Recipe, Step
from daxa.process.xmm.setup import ALLOWED

if TYPE_CHECKING:
    from astropy.units import Quantity

    from daxa.archive import Archive


def chain_of(inst: str | None, options: Options) -> tuple[str, ...]:
    """The chain that makes an instrument's event lists."""
    return ("epchain",) if inst == "PN" else ("emchain",)


def _espfilt(piece: Piece, options: Options) -> Recipe:
    where = piece.where
    (chain,) = chain_of(piece.inst, options)
    name = f"{SAS_NAMES[where[1]]}{where[2]}"
    parameters = dict(options["_parameters"])
    parameters["rangescale"] = options["_range_scale"]["pn" if piece.inst == "PN" else "mos"]
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
    files = {"gti_path": outputs[f"{name}-gti.fits"], "allevc": outputs[f"{name}-allevc.fits"]}
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
    needs=chain_of,
)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name}: expected a number, got {value!r}")
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


def espfilt_options(
    method: str = "histogram",
    with_smoothing: bool | Quantity = True,
    with_binning: bool | Quantity = True,
    ratio: float = 1.2,
    filter_lo_en: Quantity | None = None,
    filter_hi_en: Quantity | None = None,
    range_scale: Mapping[str, float] | None = None,
    allowed_sigma: float = 3.0,
    gauss_fit_lims: tuple[float, float] = (0.1, 6.5),
) -> Options:
    """Checked options of `espfilt`."""
    given = dict(locals())
    if not isinstance(method, str):
        raise TypeError(f"method: expected text, got {method!r}")
    if method not in ("histogram", "ratio"):
        raise ValueError(f"method: expected 'histogram' or 'ratio', got {method!r}")
    smoothing, smooth_s = _switch("with_smoothing", with_smoothing, 51, (1, 60))
    binning, bin_s = _switch("with_binning", with_binning, 60, (1, None))
    if _number("ratio", ratio) <= 0:
        raise ValueError(f"ratio: expected a positive number, got {ratio}")
    lo = 2500 if filter_lo_en is None else round(check_quantity("filter_lo_en", filter_lo_en, "eV"))
    hi = 8500 if filter_hi_en is None else round(check_quantity("filter_hi_en", filter_hi_en, "eV"))
    if not (1 <= lo < hi <= 32767):
        raise ValueError(
            f"filter_lo_en, filter_hi_en: expected 1 eV <= low < high <= 32767 eV, got {lo} and {hi} eV"
        )
    scales = {"mos": 6.0, "pn": 15.0}
    if range_scale is not None:
        if not isinstance(range_scale, Mapping):
            raise TypeError(f"range_scale: expected a dictionary with 'mos' and 'pn', got {range_scale!r}")
        if set(range_scale) != set(scales):
            raise KeyError(f"range_scale: expected the keys 'mos' and 'pn', got {sorted(range_scale)}")
        scales = {k: _number(f"range_scale[{k!r}]", v) for k, v in range_scale.items()}
        if min(scales.values()) < 1:
            raise ValueError(f"range_scale: expected values of at least 1, got {dict(range_scale)}")
    if _number("allowed_sigma", allowed_sigma) <= 0:
        raise ValueError(f"allowed_sigma: expected a positive number, got {allowed_sigma}")
    if not isinstance(gauss_fit_lims, (tuple, list)) or len(gauss_fit_lims) != 2:
        raise TypeError(f"gauss_fit_lims: expected two numbers, got {gauss_fit_lims!r}")
    low, high = (_number("gauss_fit_lims", v) for v in gauss_fit_lims)
    if not 0 <= low < high <= 10:
        raise ValueError(f"gauss_fit_lims: expected 0 <= low < high <= 10, got {gauss_fit_lims}")
    parameters: dict[str, Any] = {
        "method": method,
        "withsmoothing": smoothing,
        "smooth": smooth_s,
        "withbinning": binning,
        "binsize": bin_s,
        "ratio": float(ratio),
        "elow": lo,
        "ehigh": hi,
        "allowsigma": float(allowed_sigma),
        "limits": [low, high],
    }
    return {**given, "_parameters": parameters, "_range_scale": scales}


def espfilt(
    obs_archive: Archive,
    method: str = "histogram",
    with_smoothing: bool | Quantity = True,
    with_binning: bool | Quantity = True,
    ratio: float = 1.2,
    filter_lo_en: Quantity | None = None,
    filter_hi_en: Quantity | None = None,
    range_scale: Mapping[str, float] | None = None,
    allowed_sigma: float = 3.0,
    gauss_fit_lims: tuple[float, float] = (0.1, 6.5),
    num_cores: int | None = None,
    disable_progress: bool = False,
    timeout: Quantity | None = None,
) -> None:
    """Find times without soft-proton flares (task espfilt). Needs `emchain` and `epchain`.

    Parameters
    ----------
    obs_archive : Archive
        Archive with XMM-Newton observations.
    method : {"histogram", "ratio"}
        Cut on the histogram of the count rate, or on the ratio of rates inside and outside the field of
        view.
    with_smoothing : bool or Quantity
        Smooth the light curve, over 51 s or the given time (1 s to 60 s).
    with_binning : bool or Quantity
        Bin the light curve, to 60 s or the given time.
    ratio : float
        Threshold of the ratio method.
    filter_lo_en, filter_hi_en : Quantity
        Energy band of the light curve, 2500 eV to 8500 eV by default.
    range_scale : dict
        Scale of the range of the histogram that is fitted, by default ``{"mos": 6.0, "pn": 15.0}``.
    allowed_sigma : float
        How many widths of the fitted Gaussian a rate may be from its centre.
    gauss_fit_lims : tuple of float
        Limits of the fitted centre, ct/s.
    num_cores : int, optional
        Jobs at once; 90 % of the cores by default.
    disable_progress : bool
        No progress bar.
    timeout : Quantity, optional
        Time limit of each job.
    """
    options = espfilt_options(
        method,
        with_smoothing,
        with_binning,
        ratio,
        filter_lo_en,
        filter_hi_en,
        range_scale,
        allowed_sigma,
        gauss_fit_lims,
    )
    run_steps(
        obs_archive,
        [(ESPFILT, options)],
        ALLOWED,
        num_cores=num_cores,
        disable_progress=disable_progress,
        timeout=timeout,
    )
