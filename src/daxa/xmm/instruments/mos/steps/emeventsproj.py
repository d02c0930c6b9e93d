"""The step emeventsproj: the image in which bad pixels are searched."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daxa.xmm.instruments.mos.events import Events
from daxa.xmm.instruments.mos.options import REJECTION_FLAG, Emeventsproj
from daxa.xmm.instruments.mos.patterns import PatternLibrary


def emeventsproj(
    shape: tuple[int, int],
    list_: Events,
    use: npt.NDArray[np.bool_],
    library: PatternLibrary,
    params: Emeventsproj,
) -> tuple[npt.NDArray[np.float64], float]:
    """Image of events, each on all pixels of its pattern.

    With ``rejectbadevents`` flagged events stay out, those outside the field of view and truncated ones
    apart. With ``projectenergy`` the main pixel gets E1, and the others share E2.

    Parameters
    ----------
    shape
        Columns and rows of the CCD.
    list_
        Its events.
    use
        Which of them may be used.
    library
        The patterns of the camera.
    params
        Parameters of the step.

    Returns
    -------
    image, clumping
        Counts (or adu), indices RAWY - 1, RAWX - 1, and by how much their variance exceeds that of single
        counts.
    """
    nx, ny = shape
    image = np.zeros(nx * ny)
    if params.rejectbadevents:
        use = use & (list_.flag & REJECTION_FLAG == 0)
    chosen_events = list_.take(np.flatnonzero(use))
    pattern, x, y = chosen_events.pattern, chosen_events.rawx, chosen_events.rawy
    sizes = library.n_pixels[pattern]
    for k in range(int(sizes.max()) if len(sizes) else 0):
        offset = np.array([o[k] if k < len(o) else (0, 0) for o in library.offsets])
        chosen = sizes > k
        px, py = x[chosen] + offset[pattern[chosen], 0], y[chosen] + offset[pattern[chosen], 1]
        inside = (px >= 1) & (px <= nx) & (py >= 1) & (py <= ny)
        weight = None
        if params.projectenergy:
            charge = chosen_events.e1 if k == 0 else chosen_events.e2 / np.maximum(sizes - 1, 1)
            weight = charge[chosen][inside]
        image += np.bincount((py[inside] - 1) * nx + px[inside] - 1, weights=weight, minlength=nx * ny)
    clumping = float((sizes**2).sum() / sizes.sum()) if len(sizes) else 1.0
    return image.reshape(ny, nx), clumping
