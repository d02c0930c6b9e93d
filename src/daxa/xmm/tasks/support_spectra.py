"""What tasks on spectra share: the spectrum, the geometry of its camera, and pixels that count.

Parameters
----------
ctx
    The running task.
observed
    What a spectrum was extracted from.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.image.ccds import numbers_of_ccds, read_ccd
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.spectra.ogip import opened
from daxa.xmm.spectra.region import WITH_MIDDLE, Observed, to_detector

if TYPE_CHECKING:
    from daxa.xmm.sky.geometry import CameraGeometry
    from daxa.xmm.task import TaskContext

BoolArray = npt.NDArray[np.bool_]
#: Where a source is, as several tasks ask for it.
SOURCE_PLACE = (
    Parameter("withsourcepos", "bool", False, text="whether sourcex and sourcey count"),
    Parameter(
        "sourcecoords", "choice", "eqpos", choices=("eqpos", "pos", "tel", "det"), text="what these are"
    ),
    Parameter("sourcex", "real", 0.0, text="place of the source: RA [deg], X, theta [arcsec] or DETX"),
    Parameter("sourcey", "real", 0.0, text="place of the source: Dec [deg], Y, phi [rad] or DETY"),
)
#: Side of the squares that areas are counted in [0.05 arcsec]: half an arcsecond.
STEP = 10.0


def read_observed(ctx: TaskContext, name: str) -> tuple[Path, Observed]:
    """A spectrum's file, and what it was extracted from.

    Parameters
    ----------
    name
        Name of the file.
    """
    path = ctx.path(name)
    return path, Observed.read(path)


def geometry_of(ctx: TaskContext, observed: Observed) -> CameraGeometry:
    """Geometry of the camera at the time of the spectrum."""
    from daxa.xmm.odf.times import utc_to_tt
    from daxa.xmm.sky.geometry import CameraGeometry
    from daxa.xmm.tasks.support import open_calibration

    try:
        time = utc_to_tt(observed.date_obs)
    except ValueError:
        raise TaskError("badSpectrum", f"{observed.path}: DATE-OBS is {observed.date_obs!r}") from None
    return CameraGeometry.from_calibration(open_calibration(ctx), observed.instrument, time)


def response_folders(ctx: TaskContext) -> list[Path]:
    """Where published matrices may lie: ``responses`` in folders of calibration files, and in the cache."""
    from daxa.config import calibration_path

    given = f"{ctx.env.get('SAS_CCFPATH', '')}{os.pathsep}{calibration_path()}"
    return [Path(folder) / "responses" for folder in dict.fromkeys(given.split(os.pathsep)) if folder]


def good_pixels(
    ctx: TaskContext, name: str, observed: Observed, geometry: CameraGeometry
) -> dict[int, BoolArray]:
    """Pixels of each CCD that can hold a selected event: by CCD, shape (rows, columns).

    Parameters
    ----------
    name
        Event list with bad pixels and windows; ``notSpecified``: none is bad.
    geometry
        Geometry of the camera.

    Raises
    ------
    TaskError
        ``noFile``, ``notFits``: the list cannot be read.
    """
    everywhere = {int(n): np.ones(geometry.shape(int(n))[::-1], bool) for n in geometry.ccds}
    if name in ("", "notSpecified"):
        ctx.warn("noBadPixels", "badpixlocation is not given: no pixel counts as bad")
        return everywhere
    path = ctx.path(name)
    hdus = opened(path)
    numbers = numbers_of_ccds(hdus)
    if not numbers:
        ctx.warn("noBadPixels", f"{path}: no EXPOSUnn, STDGTInn or CCDNR: no pixel counts as bad")
        return everywhere
    found: dict[int, BoolArray] = {}
    for number in numbers:
        frames = read_ccd(hdus, number, observed.instrument, GTI())
        good = frames.good_pixels(geometry, strict=observed.neighbours_lost)
        found[frames.ccd] = found.get(frames.ccd, np.zeros_like(good)) | good
    return found


def source_place(p: Parameters, observed: Observed, geometry: CameraGeometry) -> tuple[float, float]:
    """DETX, DETY of the source: as given, or the middle of the first shape of the region.

    Parameters
    ----------
    p
        Parameters of the task, :data:`SOURCE_PLACE` among them.
    geometry
        Geometry of the camera.

    Raises
    ------
    TaskError
        ``noSource``: no place is given, and the region has no middle; or it lies behind the telescope.
    """
    if not p.withsourcepos:
        found = observed.first_shape()
        if found is None or found[1].name not in WITH_MIDDLE:
            what = "no shape" if found is None else f"a {found[1].name}"
            raise TaskError(
                "noSource",
                f"{observed.path}: {what} begins the region; give withsourcepos=yes with sourcex and sourcey",
            )
        columns, shape = found
        return to_detector(observed, geometry, columns, (shape.args[0], shape.args[1]))
    place = (p.sourcex, p.sourcey)
    if p.sourcecoords == "det":
        return place
    if p.sourcecoords == "tel":
        x, y = geometry.tel_to_det(*place)
    elif p.sourcecoords == "pos":
        return to_detector(observed, geometry, ("X", "Y"), place)
    else:
        x, y = geometry.sky_to_det(*place, *observed.pointing)
    if not np.isfinite([x, y]).all():
        raise TaskError("noSource", f"sourcex, sourcey: {place} lies behind the telescope")
    return float(x), float(y)
