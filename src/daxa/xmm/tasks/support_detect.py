"""What the tasks that find sources share: their images, masks and lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.detect.field import BandImage, BoolArray, Field, FloatArray
from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import FitsFile, block_bytes, primary_header
from daxa.xmm.fits.hdus import open_hdus
from daxa.xmm.fits.schema import Column, column, table_bytes
from daxa.xmm.formats.sources import CAMERA_NUMBERS, SRCLIST
from daxa.xmm.image.wcs import sky_wcs
from daxa.xmm.notes import note_product
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.response.psf import PointSpread
from daxa.xmm.select import dss
from daxa.xmm.sky.geometry import CameraGeometry
from daxa.xmm.task import TaskContext
from daxa.xmm.tasks.support import POINTING_CARDS, pointing_of_header

if TYPE_CHECKING:
    from astropy.wcs import WCS

    from daxa.xmm.fits.header import Header

#: Parameters of tasks that search several images at once.
IMAGES = [
    Parameter("imagesets", "list", "image.fits", text="images of counts, of one grid"),
    Parameter("expimagesets", "list", "expimage.fits", text="exposure maps, one for each image"),
    Parameter("withexpimage", "bool", True, text="use exposure maps; else all pixels have the same exposure"),
    Parameter(
        "detmasksets", "list", "detmask.fits", text="masks of emask, one for each image or each camera"
    ),
    Parameter("withdetmask", "bool", False, text="use masks; without, what has exposure counts"),
    Parameter("bkgimagesets", "list", "bkgimage.fits", text="background maps, one for each image"),
    Parameter("pimin", "reals", text="lower end of each image's band; else as the image says", unit="eV"),
    Parameter("pimax", "reals", text="upper end of each image's band, likewise", unit="eV"),
    Parameter(
        "ecf",
        "reals",
        "0.0",
        text="counts per energy, for fluxes, one for each image or for all; 0: none",
        unit="1e11 cm**2/erg",
        minimum=0.0,
    ),
]


@dataclass(frozen=True)
class Opened:
    """Images that were opened: the field, the celestial coordinates of their grid, the first one's header."""

    field: Field
    wcs: WCS
    header: Header
    cal: Calibration

    def to_sky(self, x: float, y: float) -> tuple[float, float]:
        """RA and Dec [deg] of a pixel.

        Parameters
        ----------
        x, y
            0-based pixel.
        """
        ra, dec = self.wcs.wcs_pix2world(x, y, 0)
        return float(ra), float(dec)


def read_image(ctx: TaskContext, name: str) -> tuple[FloatArray, Any]:
    """Data and header of the first 2-D image of a file.

    Parameters
    ----------
    ctx
        The running task.
    name
        The file.

    Raises
    ------
    TaskError
        ``noFile``, ``badImage``.
    """
    path = ctx.path(name)
    if not path.exists():
        raise TaskError("noFile", f"{path}: no such file")
    headers = [hdu.header for hdu in FitsFile(path)]
    flat = [k for k, header in enumerate(headers) if header.get("NAXIS") == 2 and not _is_table(header)]
    if not flat:
        raise TaskError("badImage", f"{path}: no 2-D image")
    header = headers[flat[0]]
    note_product(header, path)
    with open_hdus(path) as hdus:
        return np.asarray(hdus[flat[0]].data, float), header


def _is_table(header: Any) -> bool:
    return str(header.get("XTENSION", "IMAGE")).strip() != "IMAGE"


def one_for_each(task: str, name: str, values: Sequence[Any], number: int) -> list[Any]:
    """Values for each of several images: as many, or one for all.

    Parameters
    ----------
    task, name
        Names of task and parameter, for the message.
    values
        What was given.
    number
        How many images there are.

    Raises
    ------
    TaskError
        ``badParameter``: another number of them.
    """
    if len(values) not in (1, number):
        raise TaskError(
            "badParameter", f"{task}: {name}: expected 1 or {number} (one per image), got {len(values)}"
        )
    return list(values) * (number if len(values) == 1 else 1)


def open_images(ctx: TaskContext, p: Parameters, *, with_background: bool) -> Opened:
    """Open the images that a task is given.

    Parameters
    ----------
    ctx
        The running task.
    p
        Its parameters, with those of :data:`IMAGES`.
    with_background
        Whether background maps are needed.

    Raises
    ------
    TaskError
        ``badParameter``, ``badImage``: numbers of files that do not fit, images of different grids, cameras
        that are not EPIC.
    """
    names = p.imagesets
    number = len(names)
    if number == 0:
        raise TaskError("badParameter", f"{ctx.name}: imagesets: no image is named")
    pictures = [read_image(ctx, name) for name in names]
    shape = pictures[0][0].shape
    first = pictures[0][1]
    _check_images(ctx, names, pictures)
    exposures = _maps(ctx, p.expimagesets, "expimagesets", names, shape) if p.withexpimage else None
    masks = _masks(ctx, p.detmasksets, pictures, shape) if p.withdetmask else None
    backgrounds = _maps(ctx, p.bkgimagesets, "bkgimagesets", names, shape) if with_background else None
    ecf = one_for_each(ctx.name, "ecf", p.ecf, number)
    bands = _bands(ctx, p, pictures)
    numbers = {band: k for k, band in enumerate(dict.fromkeys(bands), start=1)}
    cal = Calibration.from_environment(ctx.env, ctx.cwd)
    spreads: dict[str, PointSpread] = {}
    images = []
    for k, (counts, header) in enumerate(pictures):
        where = str(ctx.path(names[k]))
        instrument = str(header["INSTRUME"]).strip()
        if instrument not in spreads:
            spreads[instrument] = PointSpread.from_calibration(cal, instrument)
        exposure = exposures[k] if exposures else np.full(shape, float(header.get("EXPOSURE", 0.0)) or 1.0)
        good = exposure > 0 if masks is None else masks[k] & (exposure > 0)
        low, high = bands[k]
        images.append(
            BandImage(
                instrument,
                numbers[bands[k]],
                0.5 * (low + high),
                counts,
                exposure,
                good,
                spreads[instrument],
                _off_axis(cal, instrument, header, where),
                backgrounds[k] if backgrounds else None,
                ecf[k],
            )
        )
    wcs = sky_wcs(first.to_astropy())
    pixel = abs(float(first["CDELT2"])) * 3600
    return Opened(Field(images, pixel), wcs, first, cal)


def _check_images(ctx: TaskContext, names: Sequence[str], pictures: Sequence[tuple[FloatArray, Any]]) -> None:
    """Refuse images that are not of EPIC, or of different grids."""
    counts, first = pictures[0]
    for name, (data, header) in zip(names, pictures, strict=True):
        where = ctx.path(name)
        if data.shape != counts.shape or not _same_grid(header, first):
            raise TaskError("badImage", f"{where}: not of the grid of {ctx.path(names[0])}")
        instrument = str(header.get("INSTRUME", "")).strip()
        if instrument not in CAMERA_NUMBERS:
            raise TaskError("badImage", f"{where}: INSTRUME is {instrument!r}, expected EMOS1, EMOS2 or EPN")


def _maps(
    ctx: TaskContext, files: Sequence[str], name: str, images: Sequence[str], shape: tuple[int, ...]
) -> list[FloatArray]:
    if len(files) != len(images):
        raise TaskError(
            "badParameter", f"{ctx.name}: {name}: expected one per image ({len(images)}), got {len(files)}"
        )
    maps = []
    for file in files:
        data, _ = read_image(ctx, file)
        if data.shape != shape:
            size, others = "{1} x {0}".format(*data.shape), "{1} x {0}".format(*shape)
            raise TaskError("badImage", f"{ctx.path(file)}: {size} pixels, the images have {others}")
        maps.append(np.nan_to_num(data))
    return maps


def _masks(
    ctx: TaskContext, files: Sequence[str], pictures: Sequence[tuple[FloatArray, Any]], shape: tuple[int, ...]
) -> list[BoolArray]:
    """Masks, one for each image, for each camera in the order of the images, or one for all."""
    cameras = list(dict.fromkeys(str(header.get("INSTRUME")) for _, header in pictures))
    if len(files) == len(pictures):
        of_image = list(files)
    elif len(files) == len(cameras):
        of_image = [files[cameras.index(str(header.get("INSTRUME")))] for _, header in pictures]
    else:
        of_image = one_for_each(ctx.name, "detmasksets", files, len(pictures))
    read = {
        file: data > 0 for file in dict.fromkeys(of_image) for data in _maps(ctx, [file], "", [""], shape)
    }
    return [read[file] for file in of_image]


def _bands(
    ctx: TaskContext, p: Parameters, pictures: Sequence[tuple[FloatArray, Any]]
) -> list[tuple[float, float]]:
    """Band of each image [eV]: as given, else as the image's data subspace has it."""
    number = len(pictures)
    if p.pimin or p.pimax:
        lows, highs = (one_for_each(ctx.name, n, p[n] or [], number) for n in ("pimin", "pimax"))
        return list(zip(lows, highs, strict=True))
    bands = []
    for name, (_, header) in zip(p.imagesets, pictures, strict=True):
        limits = dss.read(FitsFile(ctx.path(name)), header).limits("PI")
        if limits is None:
            raise TaskError(
                "badParameter",
                f"{ctx.name}: pimin and pimax must be given: {ctx.path(name)} does not tell its band",
            )
        bands.append(limits)
    return bands


def _same_grid(header: Any, first: Any) -> bool:
    keys = ("CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CDELT1", "CDELT2")
    return all(
        k in header
        and k in first
        and abs(float(header[k]) - float(first[k])) < 1e-7 * max(1.0, abs(float(first[k])))
        for k in keys
    )


def _off_axis(cal: Calibration, instrument: str, header: Any, where: str) -> Callable[[float, float], float]:
    """Angle from the optical axis [arcmin] of a 0-based pixel of an image."""
    middle = 0.5 * (float(header.get("TSTART", 0.0)) + float(header.get("TSTOP", 0.0)))
    geometry = CameraGeometry.from_calibration(cal, instrument, middle)
    pointing = pointing_of_header([header], POINTING_CARDS, "badImage", where)
    wcs = sky_wcs(header.to_astropy())

    def angle(x: float, y: float) -> float:
        ra, dec = wcs.wcs_pix2world(x, y, 0)
        return float(geometry.off_axis(*geometry.sky_to_det(ra, dec, *pointing))) / 60

    return angle


def write_list(
    ctx: TaskContext, name: str, schema: Sequence[Column], rows: dict[str, Any], opened: Opened
) -> None:
    """Write a source list.

    Parameters
    ----------
    ctx
        The running task.
    name
        The file.
    schema, rows
        Columns and their values.
    opened
        The images that were searched, whose observation the header names.
    """
    head = primary_header()
    for key in ("TELESCOP", "OBS_ID", "OBJECT", "RA_PNT", "DEC_PNT", "PA_PNT", "DATE-OBS", "DATE-END"):
        if key in opened.header:
            head[key] = opened.header[key]
    ctx.provenance(head)
    head["LONGSTRN"] = ("OGIP 1.0", "long string convention may be used")
    head["PIXSIZE"] = (opened.field.pixel_arcsec, "[arcsec] pixel of X_IMA, Y_IMA and EXT")
    table = table_bytes(schema, rows, SRCLIST, {"RADESYS": "FK5", "EQUINOX": 2000.0})
    with ctx.output(name) as temporary:
        temporary.write_bytes(block_bytes(head) + table)


def read_list(ctx: TaskContext, name: str, *names: str) -> dict[str, FloatArray]:
    """Columns of a source list.

    Parameters
    ----------
    ctx
        The running task.
    name
        The file.
    *names
        Names of the columns.

    Raises
    ------
    TaskError
        ``noFile``, ``badSourceList``: not there, or without the table or a column.
    """
    path = ctx.path(name)
    if not path.exists():
        raise TaskError("noFile", f"{path}: no such file")
    hdus = FitsFile(path)
    if SRCLIST not in hdus:
        raise TaskError("badSourceList", f"{path}: no extension {SRCLIST}")
    return {n: np.asarray(column(hdus[SRCLIST], n, f"{path}[{SRCLIST}]"), float) for n in names}


def share_of_readout(ctx: TaskContext, header: Any) -> float:
    """Share of the events of a pn image that come during the read-out, by its mode and length of frames.

    Parameters
    ----------
    ctx
        The running task.
    header
        Header of the image.
    """
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.image.readout import readout_share

    frame_ms = header.get("FRMTIME")
    return readout_share(
        Calibration.from_environment(ctx.env, ctx.cwd),
        str(header.get("SUBMODE", "")).strip(),
        None if frame_ms is None else float(frame_ms),
    )
