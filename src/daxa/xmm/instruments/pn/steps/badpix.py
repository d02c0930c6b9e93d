"""badpix: the bad pixels of one pn CCD in an exposure.

Source: manual of the task. The lists are joined in :mod:`daxa.xmm.instruments.pn.badpixels`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from daxa.xmm.instruments.pn.badpixels import BadPixel, joined_bad_pixels


def badpix(
    ccd: int,
    known: Sequence[BadPixel],
    found: Sequence[BadPixel],
    n_lines: int | None,
    info: Callable[[str], None],
) -> list[BadPixel]:
    """BADPIX of a CCD: on board, in the calibration, found.

    Parameters
    ----------
    ccd
        Number of the CCD.
    known, found
        Bad pixels of the calibration, and those found in the exposure.
    n_lines
        Lines of a frame in fast modes, else None.
    info
        Where the lines of the log go.
    """
    pixels = joined_bad_pixels(known, found, n_lines)
    if n_lines is None:
        info(f" CCD {ccd}: {len(pixels)} final bad pixel sets, {len(found)} of them new")
    else:
        info(
            f" CCD {ccd}: {len(pixels)} bad columns of the calibration; fast modes are not searched for "
            "others"
        )
    return pixels
