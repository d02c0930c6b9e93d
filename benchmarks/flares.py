"""How well flares are found: 200 simulated light curves whose quiet level and flares are known.

    python benchmarks/flares.py [--curves 200] [--seed 1] [--json flares.json]

Prints one row per kind of light curve. Samples are of 1 s; the screening has espfilt's defaults for MOS, and
compares what it accepts with the corners of the camera. Protons, particles and sources differ in what the
corners and the outer field of view see of them at 8 to 12 keV, by the numbers below.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from daxa.xmm.screen import flares
from daxa.xmm.screen.contamination import contamination

SECONDS = 20_000
#: Areas [arcmin2] of MOS1: the field of view, its part beyond 10 arcmin, the corners that espfilt uses.
FIELD, OUTER, CORNERS = 614.0, 309.0, 160.0
#: Share of particles in the quiet rate of a field without bright sources. A real exposure (0204310101, MOS1)
#: has 4962 counts in the corners in 32670 s and a quiet level of 0.755 ct/s: 0.77.
PARTICLES = (0.6, 0.95)
#: Counts of particles at 8 to 12 keV for each at 2.5 to 8.5 keV, with the filter wheel closed (MOS1, MOS2).
HARD_PARTICLES = 0.585
#: The same for a cluster of 6 keV beyond 10 arcmin, where mirrors collect least; its share of counts there.
HARD_SOURCE, OUTER_SOURCE = 0.03, 0.3
#: Protons: index of their power law in counts (ESAS models them so), outer surface brightness over the mean.
PROTON_INDEX, OUTER_PROTONS = (0.2, 1.4), 0.9


def flare_shape(time_s: np.ndarray, start_s: float, rise_s: float, decay_s: float) -> np.ndarray:
    """Exponential rise and decay with a peak of one."""
    since = time_s - start_s - 3 * rise_s
    return np.exp(np.where(since < 0, np.maximum(since, -3 * rise_s) / rise_s, -since / decay_s)) * (
        (since > -3 * rise_s) & (since < 5 * decay_s)
    )


def several(rng: np.random.Generator, number: int, low: float, high: float) -> np.ndarray:
    """Excess over the quiet level, in units of it."""
    time_s = np.arange(SECONDS) + 0.5
    total = np.zeros(SECONDS)
    for _ in range(number):
        peak = np.exp(rng.uniform(np.log(low), np.log(high)))
        total += peak * flare_shape(
            time_s, rng.uniform(0, 0.9 * SECONDS), rng.uniform(20, 200), rng.uniform(100, 800)
        )
    return total


def no_flare(rng: np.random.Generator) -> tuple[float, np.ndarray]:
    return _quiet(rng), np.zeros(SECONDS)


def drifting(rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """No flare, but a quiet level that drifts by a tenth."""
    scale = rng.uniform(300, 1500)
    steps = rng.normal(0, 0.1, int(SECONDS / scale) + 3)
    return _quiet(rng), np.interp(np.arange(SECONDS), np.arange(len(steps)) * scale, steps).clip(-0.5, 0.5)


def weak(rng: np.random.Generator) -> tuple[float, np.ndarray]:
    return _quiet(rng), several(rng, int(rng.integers(1, 4)), 0.5, 2.0)


def strong(rng: np.random.Generator) -> tuple[float, np.ndarray]:
    return _quiet(rng), several(rng, int(rng.integers(2, 7)), 5.0, 50.0)


def rising(rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """Quiet at first, then a rise to the end of the exposure."""
    begin = rng.uniform(0.3, 0.7) * SECONDS
    since = np.maximum(np.arange(SECONDS) - begin, 0) / (SECONDS - begin)
    return _quiet(rng), np.expm1(since * np.log(rng.uniform(10, 40)))


def all_flare(rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """Never quiet: an excess of several times the quiet level that wanders by factors within minutes."""
    scale = rng.uniform(200, 800)
    steps = rng.normal(0, 1, int(SECONDS / scale) + 3)
    wander = np.interp(np.arange(SECONDS), np.arange(len(steps)) * scale, steps)
    return _quiet(rng), rng.uniform(2, 8) * np.exp(rng.uniform(0.6, 1.2) * wander)


def bright_source(rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """A cluster five times as bright as all the rest, and flares in half of the time or more."""
    return rng.uniform(2, 6), (several(rng, int(rng.integers(6, 12)), 2.0, 30.0)) / 6


def few_counts(rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """A tenth of the time at a low rate; half of the curves with one flare."""
    excess = several(rng, 1, 5.0, 30.0) if rng.random() < 0.5 else np.zeros(SECONDS)
    # The flare is drawn over the whole time: what falls outside the short exposure does not matter.
    return rng.uniform(0.12, 0.4), excess


def _quiet(rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(0.3), np.log(2.5))))


KINDS: dict[str, Callable[[np.random.Generator], tuple[float, np.ndarray]]] = {
    "no flare": no_flare,
    "drifting": drifting,
    "weak": weak,
    "strong": strong,
    "rising": rising,
    "all flare": all_flare,
    "bright source": bright_source,
    "few counts": few_counts,
}


def band_counts(index: float, low: float, high: float) -> float:
    """Counts of a power law in a band [keV], but for a factor."""
    return (high ** (1 - index) - low ** (1 - index)) / (1 - index)


def high_energies(
    rng: np.random.Generator, kind: str, quiet: float, excess: np.ndarray, exposed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Counts at 8 to 12 keV in the outer field and in the corners, per second."""
    share = rng.uniform(*PARTICLES) / (6 if kind == "bright source" else 1)
    index = rng.uniform(*PROTON_INDEX)
    hard_protons = band_counts(index, 8, 12) / band_counts(index, 2.5, 8.5)
    particles = quiet * share * HARD_PARTICLES / FIELD
    source = quiet * (1 - share) * OUTER_SOURCE * HARD_SOURCE
    protons = quiet * np.maximum(excess, 0) * hard_protons * OUTER_PROTONS * OUTER / FIELD
    if kind == "drifting":
        protons = np.zeros(SECONDS)
    field = rng.poisson(exposed * (particles * OUTER + source + protons))
    return field, rng.poisson(exposed * particles * CORNERS)


def screen(kind: str, number: int, seed: int) -> dict[str, float | bool]:
    """One curve: shares of time, and counts of flares left among those accepted."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind), number])
    quiet, excess = KINDS[kind](rng)
    exposed = np.ones(SECONDS, bool)
    if kind == "few counts":
        exposed[2_000:] = False
    rate = rng.poisson(quiet * (1 + excess)).astype(float)
    rate[~exposed] = 0
    try:
        fit = flares.histogram_method(rate, exposed)
        good = fit.good
        field, corner = high_energies(rng, kind, quiet, excess, exposed)
        found = contamination(
            int(field[good].sum()),
            int(corner.sum()),
            CORNERS / OUTER * exposed.sum() / max(good.sum(), 1),
            rate[good].sum(),
            (2500, 8500),
            OUTER / FIELD,
        )
        if found.refuses(good.sum() / exposed.sum()):
            good = np.zeros(SECONDS, bool)
    except flares.FlareFitError:
        good = np.zeros(SECONDS, bool)
    # Time counts as quiet while flares add less than a tenth to the rate.
    calm = exposed & ((excess < 0.1) | (kind == "drifting"))
    accepted = float(good.sum())
    return {
        "accepted": accepted / exposed.sum(),
        "calm": calm.sum() / exposed.sum(),
        "lost": 1 - (good & calm).sum() / calm.sum() if calm.any() else float("nan"),
        "left": float(excess[good].mean()) if accepted else float("nan"),
        "before": float(excess[exposed].mean()),
        "nothing": accepted == 0,
    }


def table(curves: int = 200, seed: int = 1) -> list[dict[str, float | int | str]]:
    """One row per kind of light curve.

    Returns
    -------
    rows
        ``kind``; ``curves``; ``accepted`` and ``calm``, mean shares of the exposure; ``lost``, mean share of
        the quiet time that is not accepted; ``before`` and ``left``, mean excess rate of flares over the
        quiet rate in all and in the accepted time; ``worst``, the 95th percentile of ``left``; ``nothing``,
        curves of which nothing is accepted.
    """
    numbers = [curves // len(KINDS) + (k < curves % len(KINDS)) for k in range(len(KINDS))]
    rows = []
    for kind, number in zip(KINDS, numbers, strict=True):
        found = [screen(kind, k, seed) for k in range(number)]
        columns = {name: np.array([f[name] for f in found], float) for name in found[0]}
        left = columns["left"][np.isfinite(columns["left"])]
        lost = columns["lost"][np.isfinite(columns["lost"])]
        rows.append(
            {
                "kind": kind,
                "curves": number,
                "calm": round(float(columns["calm"].mean()), 3),
                "accepted": round(float(columns["accepted"].mean()), 3),
                "lost": round(float(lost.mean()), 3) if lost.size else None,
                "before": round(float(columns["before"].mean()), 3),
                "left": round(float(left.mean()), 4) if left.size else None,
                "worst": round(float(np.percentile(left, 95)), 4) if left.size else None,
                "nothing": int(columns["nothing"].sum()),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--curves", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = table(options.curves, options.seed)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join("" if v is None else str(v) for v in row.values()) + " |")


if __name__ == "__main__":
    main()
