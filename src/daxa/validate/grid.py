"""Our image and exposure map on the grid of pixels of another image."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daxa import config
from daxa.backend.contract import Job, Task
from daxa.backend.runner import run_job
from daxa.compare import NotComparableError

#: Unit of X and Y in event lists of all cameras.
_UNIT_ARCSEC = 0.05


@dataclass(frozen=True)
class Grid:
    """Pixels in X and Y of an event list: first X and Y, size of a pixel and number of pixels.

    ``columns``, ``rows`` and ``step`` are whole numbers, as X and Y are.
    """

    x: int
    y: int
    step: int
    columns: int
    rows: int

    def parameters(self) -> dict[str, Any]:
        """Parameters of evselect."""
        return {
            "xcolumn": "X", "ycolumn": "Y", "imagebinning": "binSize", "squarepixels": True,
            "ximagebinsize": self.step, "yimagebinsize": self.step,
            "withxranges": True, "ximagemin": self.x, "ximagemax": self.x + self.columns * self.step - 1,
            "withyranges": True, "yimagemin": self.y, "yimagemax": self.y + self.rows * self.step - 1,
        }  # fmt: skip


def same_grid(a: Path, b: Path) -> bool:
    """Whether two images have as many pixels, and the same places on the sky to a unit of X and Y.

    Parameters
    ----------
    a, b
        Files of the images.

    Raises
    ------
    NotComparableError
        One of them is not an image.
    """
    import numpy as np

    (one, shape_a), (two, shape_b) = _sky(a), _sky(b)
    if shape_a != shape_b or not (one.has_celestial and two.has_celestial):
        return False
    rows, columns = shape_a
    # Middle and corners tell place, size and turn.
    x, y = (columns - 1) / 2, (rows - 1) / 2
    places = [[x, y], *([px, py] for px in (0, 2 * x) for py in (0, 2 * y))]
    (ra_a, dec_a), (ra_b, dec_b) = (sky.wcs_pix2world(places, 0).T for sky in (one, two))
    east = ((ra_b - ra_a + 180) % 360 - 180) * np.cos(np.deg2rad(dec_a))
    return bool(np.all(3600 * np.hypot(east, dec_b - dec_a) < _UNIT_ARCSEC))


def grid_of(image: Path, events: Path) -> Grid:
    """The pixels of an image in X and Y of an event list, to half a unit.

    Parameters
    ----------
    image
        File of the image.
    events
        File of the event list.

    Raises
    ------
    NotComparableError
        The image has no pixels on the sky that bins of X and Y can have.
    """
    from astropy.io import fits
    from astropy.wcs import WCS

    sky, (rows, columns) = _sky(image)
    step = abs(sky.wcs.cdelt[1]) * 3600 / _UNIT_ARCSEC
    if not sky.has_celestial or abs(step - round(step)) > 1e-3 * step or round(step) < 1:
        raise NotComparableError(f"{image.name}: its pixels are not a whole number of {_UNIT_ARCSEC} arcsec")
    header = fits.getheader(events, "EVENTS")
    plane = WCS(naxis=2)
    plane.wcs.ctype = "RA---TAN", "DEC--TAN"
    for name, key in (("crpix", "CRPX"), ("crval", "CRVL"), ("cdelt", "CDLT")):
        values = [header.get(f"REF{axis}{key}") for axis in "XY"]
        if not all(isinstance(value, (int, float)) for value in values):
            raise NotComparableError(
                f"{events.name}[EVENTS]: REFX{key} and REFY{key} are not numbers: {values}"
            )
        setattr(plane.wcs, name, values)
    size, right, top = round(step), (columns - 1) / 2, (rows - 1) / 2
    (x, y), (x_corner, y_corner) = plane.wcs_world2pix(
        sky.wcs_pix2world([[right, top], [2 * right, 2 * top]], 0), 1
    )
    # By the middle: tangent points that differ by the wander of the attitude turn the grid by little.
    if max(abs(x_corner - x - right * size), abs(y_corner - y - top * size)) > size / 4:
        raise NotComparableError(f"{image.name}: its pixels are turned or of another size than X and Y")
    # Pixel edges lie half a unit before a whole X.
    return Grid(
        round(x - columns * size / 2 + 0.5), round(y - rows * size / 2 + 0.5), size, int(columns), int(rows)
    )


def make_on_grid(
    grid: Grid,
    stem: str,
    events: Path,
    attitude: Path,
    cif: Path,
    band_kev: tuple[float, float],
    folder: Path,
    backend: str = "embedded",
) -> dict[str, Path]:
    """Make our image and exposure map with given pixels.

    Parameters
    ----------
    grid
        The pixels, in X and Y of the events.
    stem
        Begins the names of the files.
    events, attitude, cif
        Ours: cleaned list, attitude file, calibration index.
    band_kev
        Lower and upper energy.
    folder
        Where the files go.
    backend
        ``embedded`` or ``sas``.

    Returns
    -------
    dict
        ``image`` and ``exposure map``.

    Raises
    ------
    NotComparableError
        Ours cannot have these pixels, or a task failed.
    """
    low, high = (round(1000 * e) for e in band_kev)
    made = {kind: folder / f"{stem}-{kind.replace(' ', '_')}.fits" for kind in ("image", "exposure map")}
    tasks = [
        Task(
            "evselect",
            table=f"{events}:EVENTS",
            imageset="image.fits",
            expression=f"(PI in [{low}:{high}])",
            **grid.parameters(),
        ),
        Task(
            "eexpmap",
            eventset=str(events),
            imageset="image.fits",
            attitudeset=str(attitude),
            expimageset="map.fits",
            withdetcoords=False,
            withvignetting=True,
            pimin=low,
            pimax=high,
        ),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    folders = filter(os.path.isdir, config.calibration_path().split(os.pathsep))
    env = {"SAS_CCF": str(cif), "SAS_CCFPATH": os.pathsep.join(folders)}
    outputs = {"image.fits": made["image"], "map.fits": made["exposure map"]}
    outcome = run_job(Job(f"grid_{stem}", tasks, outputs, env, backend=backend))
    if not outcome.ok:
        reasons = "; ".join(error["message"] for error in outcome.errors)
        raise NotComparableError(f"{events.name} cannot be binned on the pixels of {stem}: {reasons}")
    return made


def _sky(path: Path) -> tuple[Any, tuple[int, int]]:
    """Sky coordinates and shape of the first image of a file."""
    import warnings

    from astropy.io import fits
    from astropy.wcs import WCS

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(path) as hdus:
                for hdu in hdus:
                    if getattr(hdu, "is_image", False) and hdu.header.get("NAXIS") == 2:
                        return WCS(hdu.header, naxis=2), hdu.shape
    except (OSError, ValueError, KeyError, TypeError, AttributeError, fits.VerifyError) as error:
        raise NotComparableError(f"{path.name}: cannot be read ({error})") from None
    raise NotComparableError(f"{path.name}: no image in it")
