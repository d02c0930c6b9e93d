"""The step embadpixfind: bad pixels found in the data of one MOS CCD."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daxa.xmm.instruments.badpixels import DEAD, FOUND, HOT
from daxa.xmm.instruments.mos.badpixel_search import find
from daxa.xmm.instruments.mos.context import Messages
from daxa.xmm.instruments.mos.exposure import Ccd
from daxa.xmm.instruments.mos.options import Embadpixfind


def embadpixfind(
    ccd: Ccd,
    image: npt.NDArray[np.float64],
    params: Embadpixfind,
    messages: Messages,
    *,
    clumping: float = 1.0,
) -> None:
    """Search an image for bad pixels and add them to ``ccd.found``; those found before are left out.

    Neighbours of dead and masked pixels are looked at: in real lists column 599 is bright on every CCD,
    beside column 600, which is dead.

    Parameters
    ----------
    ccd
        The CCD.
    image
        Counts, indices RAWY - 1, RAWX - 1.
    params
        Parameters of the step.
    messages
        Where lines go.
    clumping
        By how much the variance of counts exceeds that of single ones.
    """
    x0, x1, y0, y1 = ccd.limits
    good = np.zeros(image.shape, bool)
    good[y0 - 1 : y1, x0 - 1 : x1] = True
    good &= ~ccd.found.bad
    known = ccd.known.maps
    if params.usecal:
        good &= ~(known["onboard"] | known["dead"])
        if not params.ignoreccfbright:
            good &= ~known["bright"]
        mean = float(image[good].mean()) if good.any() else 0.0
        lit = known["onboard"] & (image > mean + 5.0 * np.sqrt(mean) + 1.0)
        for y, x in np.argwhere(lit)[:1]:
            messages.warn(
                "embadpixfind",
                "getCalBadpix10",
                f"CCD {ccd.number}: bright pixel at {x + 1} {y + 1} is declared uplinked in the CCF but is "
                f"present in the data ({int(lit.sum())} such pixels)",
            )
    found = find(image, good, params, clumping)
    say = messages.lines_of("embadpixfind")
    for number, (bright, dark_c, bright_c, dark_r, bright_r, dark) in enumerate(found.passes, start=1):
        say(f" Iteration {number:12d}")
        say(f" {bright:12d}  bright pixels found in image")
        say(f" {dark_c:12d}  dark and {bright_c:12d}  bright columns found in image")
        say(f" {dark_r:12d}  dark and {bright_r:12d}  bright rows found in image")
        say(f" {dark:12d}  dark pixels found in image")
    ccd.found.add(found.bright, HOT, FOUND)
    ccd.found.add(found.dark, DEAD, FOUND)
