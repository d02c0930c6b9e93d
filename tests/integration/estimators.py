"""Positions and line energies of simulated data, estimated with tools that know nothing of the engine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize


def robust_centroid(
    x: np.ndarray, y: np.ndarray, start: tuple[float, float], core: float, radius: float
) -> tuple[float, float, float]:
    """Centre of a source with wide wings, and its standard error per axis.

    Each event counts by 1 / (core^2 + distance^2), as in a likelihood fit of a King profile; a smooth
    background inside the radius pulls towards nothing.
    """
    cx, cy = start
    for _ in range(100):
        near = np.hypot(x - cx, y - cy) < radius
        dx, dy = x[near] - cx, y[near] - cy
        weight = 1 / (core**2 + dx**2 + dy**2)
        step = np.array([np.sum(weight * dx), np.sum(weight * dy)]) / weight.sum()
        cx, cy = cx + step[0], cy + step[1]
        if np.hypot(*step) < 1e-4 * core:
            break
    squared = dx**2 + dy**2
    # Sandwich estimate: scatter of the estimating function over its slope.
    slope = np.sum(weight - weight**2 * squared)
    scatter = np.sum(weight**2 * squared) / 2
    return cx, cy, float(np.sqrt(scatter) / abs(slope))


def fit_lines(
    energy_ev: np.ndarray,
    lines_ev: Sequence[float],
    band_ev: tuple[float, float],
    sigma_ev: float,
    bin_ev: float = 5.0,
) -> list[tuple[float, float, float]]:
    """Poisson fit of Gaussian lines on a straight continuum.

    Energies and counts of the lines are free, as is the common width.

    Returns
    -------
    list
        Energy, its standard error and the counts of each line.
    """
    edges = np.arange(band_ev[0], band_ev[1] + bin_ev / 2, bin_ev)
    counts, _ = np.histogram(energy_ev, edges)
    middle = (edges[1:] + edges[:-1]) / 2
    centre, half = (edges[0] + edges[-1]) / 2, (edges[-1] - edges[0]) / 2
    n = len(lines_ev)
    level = max(np.median(counts), 0.5)

    def model(p: np.ndarray) -> np.ndarray:
        width = sigma_ev * np.exp(p[2])
        expected = np.exp(p[0]) * np.maximum(1 + p[1] * (middle - centre) / half, 1e-6)
        for k in range(n):
            shape = np.exp(-0.5 * ((middle - lines_ev[k] - sigma_ev * p[3 + 2 * k]) / width) ** 2)
            expected = expected + np.exp(p[4 + 2 * k]) * shape * bin_ev / (width * np.sqrt(2 * np.pi))
        return expected

    def loss(p: np.ndarray) -> float:
        expected = model(p)
        return float(np.sum(expected - counts * np.log(expected)))

    start = [np.log(level), 0.0, 0.0]
    for line in lines_ev:
        inside = np.abs(energy_ev - line) < 1.5 * sigma_ev
        excess = np.count_nonzero(inside) - level * 3 * sigma_ev / bin_ev
        start += [0.0, np.log(max(excess, 10.0))]
    best = minimize(loss, start, method="BFGS").x
    best = minimize(loss, best, method="Nelder-Mead", options={"maxiter": 4000, "fatol": 1e-4}).x
    errors = np.sqrt(np.diag(np.linalg.inv(_curvature(loss, best))))
    return [
        (
            float(lines_ev[k] + sigma_ev * best[3 + 2 * k]),
            float(sigma_ev * errors[3 + 2 * k]),
            float(np.exp(best[4 + 2 * k])),
        )
        for k in range(n)
    ]


def _curvature(loss, at: np.ndarray, step: float = 1e-3) -> np.ndarray:
    unit = np.eye(len(at)) * step
    return np.array(
        [
            [
                (loss(at + a + b) - loss(at + a - b) - loss(at - a + b) + loss(at - a - b)) / (4 * step**2)
                for b in unit
            ]
            for a in unit
        ]
    )
