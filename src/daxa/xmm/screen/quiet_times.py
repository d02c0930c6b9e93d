"""Task espfilt: screen an EPIC imaging event list for soft-proton flares.

Source: espfilt task manual, ESAS cookbook, and the log of a real espfilt 4.3 run for the sequence of calls,
the selections and the histogram. The quiet level is found in the light curve of the field of view. What it
accepts is compared with the corners, and refused if it is not a quiet time.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from daxa.xmm.screen import flares


def write_qdp(
    path: Path,
    fit: flares.FlareFit | None,
    time_s: np.ndarray,
    rate: np.ndarray,
    good: np.ndarray,
    corner: np.ndarray,
    bin_s: int,
) -> None:
    """Write the histogram with its fit, and the two light curves in bins, as a QDP text file."""
    lines = ["READ SERR 2"]
    if fit is not None:
        lines.insert(0, f"! CENTER {fit.centre:.6f} WIDTH {fit.sigma:.6f} NORM {fit.norm:.6f}")
        lines.insert(1, f"! LOW {fit.low:.6f} HIGH {fit.high:.6f}")
        seen = fit.histogram.counts > 0
        model = flares.gaussian(fit.histogram.rate, fit.norm, fit.centre, fit.sigma)
        for x, y, m in zip(fit.histogram.rate[seen], fit.histogram.counts[seen], model[seen], strict=True):
            lines.append(f"{x:.5f} {y:.1f} {max(y, 1) ** 0.5:.3f} {m:.3f}")
        lines.append("NO NO NO NO")
    start = time_s[0] if len(time_s) else 0.0
    block = ((time_s - start) // bin_s).astype(int)
    number = np.maximum(np.bincount(block), 1) if len(block) else np.array([])
    for series in (rate, corner):
        mean = np.bincount(block, series) / number if len(block) else number
        accepted = np.bincount(block, good) / number if len(block) else number
        for k, (value, share) in enumerate(zip(mean, accepted, strict=True)):
            lines.append(
                f"{(k + 0.5) * bin_s:.1f} {value:.5f} {(max(value, 0) / bin_s) ** 0.5:.5f} {share:.3f}"
            )
        lines.append("NO NO NO NO")
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
