"""The task psfgen: write images of the point-spread function at a place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from daxa.xmm.errors import MissingConstituent, TaskError, UnknownLayout
from daxa.xmm.fits.file import image_bytes
from daxa.xmm.fits.header import Header
from daxa.xmm.formats.eventlist import SKY_MAX
from daxa.xmm.formats.instruments import TELESCOPES
from daxa.xmm.notes import add_fallbacks, fall_back, fallbacks_noted, note_product
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.response.psf import PointSpread
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import POINTING_CARDS, open_calibration, pointing_of_header

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.sky.coordinates import Coordinates

#: Side of a pixel of each level [arcsec].
_PIXEL = {"ELLBETA": 1.0, "EXTENDED": 1.0, "LOW": 1.1, "MEDIUM": 1.1, "HIGH": 1.1}
_SYSTEMS = {"EQPOS": "eqpos", "POS": "pos", "XY": "pos", "TEL": "tel", "DET": "det", "RAW": "raw"}
#: Names of cameras that users give.
_CAMERAS = {
    "M1": "EMOS1", "MOS1": "EMOS1", "EMOS1": "EMOS1", "M2": "EMOS2", "MOS2": "EMOS2", "EMOS2": "EMOS2",
    "PN": "EPN", "EPN": "EPN",
}  # fmt: skip
_ROUND = "the profiles are round"

_PARAMETERS = [
    Parameter("image", "dataset", "", text="image that says camera, pointing and plane"),
    Parameter("withimage", "bool", True, text="whether image counts"),
    Parameter("region", "string", "", text="region that says where", only="give x and y"),
    Parameter("instrument", "string", "", text="camera, if it is not that of the image"),
    Parameter("ccdnr", "int", 1, text="CCD of coordtype=RAW"),
    Parameter(
        "level",
        "choice",
        "ELLBETA",
        choices=("ELLBETA", "EXTENDED", "MEDIUM", "LOW", "HIGH"),
        text="kind of the point-spread function",
    ),
    Parameter("energy", "reals", "1000", minimum=1.0, text="energy of each image", unit="eV"),
    Parameter("theta", "real", 0.0, minimum=0.0, text="angle from the axis without image", unit="arcsec"),
    Parameter("phi", "real", 0.0, text="azimuth without image", unit="deg", without_effect=_ROUND),
    Parameter("rotate", "real", 0.0, text="turn of the image", unit="deg", without_effect=_ROUND),
    Parameter("coordtype", "choice", "EQPOS", choices=tuple(_SYSTEMS), text="what x and y are"),
    Parameter("coortype", "choice", None, choices=tuple(_SYSTEMS), text="the same, as old scripts spell it"),
    Parameter("x", "real", text="place: RA [deg], X, theta [arcsec], DETX or RAWX"),
    Parameter("y", "real", text="place: Dec [deg], Y, phi [rad], DETY or RAWY"),
    Parameter("xsize", "int", 400, minimum=1, maximum=10000, text="columns of an image", unit="pixel"),
    Parameter("ysize", "int", 400, minimum=1, maximum=10000, text="rows of an image", unit="pixel"),
    Parameter("output", "dataset", "", text="file of the images, to write; none: the place is printed"),
]


@task("psfgen", "1.8", _PARAMETERS)
def psfgen(ctx: TaskContext, p: Parameters) -> None:
    """Write images of the point-spread function at a place: one for each energy, each of sum 1.

    Without ``output`` the place is printed in angles of the telescope.
    """
    cal = open_calibration(ctx)
    instrument, where = _place(ctx, p, cal)
    theta = p.theta if where is None else float(where.theta_arcsec)
    if not p.output:
        phi = p.phi if where is None else float(np.degrees(where.phi_rad))
        ctx.info(
            f"instrument={instrument} theta={theta:.3f} phi={phi:.5f} xsize={p.xsize} ysize={p.ysize} "
            f"coordtype={p.coortype or p.coordtype}"
        )
        return
    psf = _profile(p, cal, instrument)
    pixel = _PIXEL[p.level]
    dx, dy = np.meshgrid(*((np.arange(n) - 0.5 * (n - 1)) * pixel for n in (p.xsize, p.ysize)))
    place = _middle(p, where)
    blocks = []
    for number, energy in enumerate(p.energy):
        shares = psf.king(energy, theta / 60).on_pixels(dx, dy, pixel)
        cards = _cards(p, instrument, place, energy, theta)
        header = Header(cards)
        if not number:
            ctx.provenance(header)
            add_fallbacks(header, fallbacks_noted())
        image = (shares / shares.sum()).astype(np.float32)
        blocks.append(image_bytes(image, header.cards, f"PSF{number + 1}" if number else ""))
    with ctx.output(p.output) as temporary:
        temporary.write_bytes(b"".join(blocks))
    ctx.info(f"{p.output}: {len(blocks)} images at {theta / 60:.2f} arcmin from the axis")


def _middle(p: Parameters, where: Coordinates | None) -> tuple[float, float]:
    """RA and Dec of the middle of the images [deg]; zero where the place is not one on the sky."""
    system = p.coortype or p.coordtype
    if where is None or system in ("TEL", "DET", "RAW"):
        return 0.0, 0.0
    return (p.x, p.y) if system == "EQPOS" else (float(where.ra_deg), float(where.dec_deg))


def _profile(p: Parameters, cal: Calibration, instrument: str) -> PointSpread:
    """The point-spread function of a level."""
    try:
        if p.level == "EXTENDED":
            return PointSpread.from_calibration(cal, instrument)
        psf, why = PointSpread.elliptical(cal, instrument)
    except (MissingConstituent, UnknownLayout) as error:
        raise TaskError("noCalibration", f"psfgen: {error.message}") from error
    fall_back("kingProfile", f"level={p.level}: {why}", "XPSF: kingProfile")
    return psf


def _place(ctx: TaskContext, p: Parameters, cal: Calibration) -> tuple[str, Coordinates | None]:
    """The camera, and where on it; None without an image, when theta counts."""
    from daxa.xmm.sky.coordinates import ecoordconv
    from daxa.xmm.sky.geometry import CameraGeometry
    from daxa.xmm.sky.tangent import UNITS_PER_DEGREE, reference_pixel

    header = _header(ctx, p)
    instrument = _camera(p, header)
    if header is None:
        return instrument, None
    if p.x is None or p.y is None:
        raise TaskError("missingParameter", "psfgen: x and y are needed: the place of the source")
    system = _SYSTEMS[p.coortype or p.coordtype]
    if system == "eqpos" and not (abs(p.x) <= 360 and abs(p.y) <= 90):
        raise TaskError(
            "badParameter",
            f"psfgen: coordtype=EQPOS: expected right ascension and declination in degrees, got {p.x:g}, "
            f"{p.y:g}",
        )
    pointing = pointing_of_header([header], POINTING_CARDS, "noPntAttributes", p.image)
    tangent = tuple(float(header.get(f"REF{a}CRVL", v)) for a, v in zip("XY", pointing[:2], strict=True))
    centre = float(header.get("REFXCRPX", reference_pixel(SKY_MAX / 2 / UNITS_PER_DEGREE)))
    geometry = CameraGeometry.from_calibration(cal, instrument, _epoch(p, header), heights=False)
    try:
        where = ecoordconv(
            geometry, p.x, p.y, system,
            pointing=pointing, tangent_point=tangent, ccd=p.ccdnr, centre=centre,  # type: ignore[arg-type]
        )  # fmt: skip
    except ValueError as error:
        raise TaskError("badParameter", f"psfgen: {error}") from error
    if not np.isfinite(where.theta_arcsec):
        raise TaskError("badParameter", f"psfgen: x, y: {p.x:g}, {p.y:g} lies behind the telescope")
    return instrument, where


def _header(ctx: TaskContext, p: Parameters) -> Any:
    """Header of the image; None without one."""
    from daxa.xmm.fits.hdus import open_hdus, unreadable

    if not p.image or not p.withimage:
        return None
    path = ctx.path(p.image)
    if not path.exists():
        raise TaskError("noFile", f"{path}: no such file")
    try:
        with open_hdus(path) as hdus:
            header = hdus[0].header.copy()
    except unreadable() as error:
        raise TaskError("notFits", f"{path}: {error}") from error
    note_product(header, path)
    return header


def _camera(p: Parameters, header: Any) -> str:
    given = str(p.instrument or (header or {}).get("INSTRUME", "")).strip().upper()
    camera = _CAMERAS.get(given, given)
    if camera not in TELESCOPES:
        raise TaskError(
            "badInstrument", f"psfgen: {given!r} is no EPIC camera; give instrument, or an image of one"
        )
    return camera


def _epoch(p: Parameters, header: Any) -> float:
    """Mission time of the image [s]."""
    from daxa.xmm.odf.times import utc_to_tt

    if "TSTART" in header:
        return float(header["TSTART"])
    try:
        return utc_to_tt(str(header["DATE-OBS"]))
    except (KeyError, ValueError):
        raise TaskError(
            "badImage", f"{p.image}: neither TSTART nor DATE-OBS says when it was taken"
        ) from None


def _cards(
    p: Parameters, instrument: str, place: tuple[float, float], energy: float, theta: float
) -> list[tuple[Any, ...]]:
    """Cards of an image: the place in its middle, north up."""
    step = _PIXEL[p.level] / 3600
    return [
        ("TELESCOP", "XMM", "mission"),
        ("INSTRUME", instrument, "camera"),
        ("CTYPE1", "RA---TAN", "right ascension, gnomonic"),
        ("CTYPE2", "DEC--TAN", "declination, gnomonic"),
        ("CRPIX1", 0.5 * (p.xsize + 1), "middle of the image"),
        ("CRPIX2", 0.5 * (p.ysize + 1), "middle of the image"),
        ("CRVAL1", place[0], "[deg] right ascension there"),
        ("CRVAL2", place[1], "[deg] declination there"),
        ("CDELT1", -step, "[deg] width of a pixel"),
        ("CDELT2", step, "[deg] height of a pixel"),
        ("CUNIT1", "deg", "unit"),
        ("CUNIT2", "deg", "unit"),
        ("RADECSYS", "FK5", "frame"),
        ("EQUINOX", 2000.0, "equinox"),
        ("PSFLEVEL", p.level, "kind of the point-spread function asked for"),
        ("ENERGY", energy, "[eV] energy"),
        ("THETA", theta, "[arcsec] angle from the axis"),
    ]
