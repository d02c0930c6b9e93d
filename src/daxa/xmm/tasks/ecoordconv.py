"""The task ecoordconv: print a position in every coordinate system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.hdus import open_hdus
from daxa.xmm.formats.eventlist import SKY_MAX, UNIT_ARCSEC
from daxa.xmm.formats.instruments import TELESCOPES
from daxa.xmm.notes import note_product
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.sky.tangent import UNITS_PER_DEGREE, reference_pixel
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import POINTING_CARDS, pointing_of_header

if TYPE_CHECKING:
    from daxa.xmm.fits.hdus import Header


@task(
    "ecoordconv",
    "1.0",
    [
        Parameter(
            "imageset",
            "dataset",
            required=True,
            text="image or event list that says camera, pointing and plane",
        ),
        Parameter(
            "srcexp",
            "string",
            "",
            text="position, as (X,Y) IN circle(x,y,r); also with DETX,DETY, RAWX,RAWY, RA,DEC",
        ),
        Parameter(
            "withcoords", "bool", False, text="take x and y instead of srcexp; yes when both are given"
        ),
        Parameter("x", "real", text="first coordinate, in deg, units of X or DETX (0.05 arcsec), or pixels"),
        Parameter("y", "real", text="second coordinate, likewise"),
        Parameter(
            "coordtype",
            "choice",
            "eqpos",
            ("eqpos", "pos", "det", "raw", "impix"),
            text="what x and y are: RA, Dec; X, Y; DETX, DETY; RAWX, RAWY; or pixels of the image",
        ),
        Parameter("pos2eqpos", "bool", False, text="print only RA and Dec of a position in X and Y"),
        Parameter("im2eqpos", "bool", False, text="print only RA and Dec of a pixel of the image"),
        Parameter(
            "withccdno",
            "bool",
            False,
            text="say that ccdno is given",
            without_effect="ccdno counts whenever coordtype=raw",
        ),
        Parameter("ccdno", "int", 1, text="CCD of RAWX and RAWY"),
    ],
)
def ecoordconv(ctx: TaskContext, p: Parameters) -> None:
    """Print a position in every coordinate system."""
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.sky.coordinates import ccds_of_circle, format_coordinates
    from daxa.xmm.sky.coordinates import ecoordconv as convert
    from daxa.xmm.sky.geometry import CameraGeometry
    from daxa.xmm.sky.tangent import from_xy

    system, first, second, radius = _source(p)
    if system == "eqpos" and not (abs(first) <= 360 and abs(second) <= 90):
        raise TaskError(
            "badParameter",
            "ecoordconv: coordtype=eqpos: expected a right ascension of 0 to 360 and a declination of -90 to "
            f"90 degrees, got {first:g}, {second:g}",
        )
    path = ctx.path(p.imageset)
    try:
        with open_hdus(path) as hdus:
            header = hdus[0].header.copy()
            note_product(header, path)
            if hdus[0].data is None and len(hdus) > 1:
                header.update({k: v for k, v in hdus[1].header.items() if k and k not in header})
    except OSError as err:
        raise TaskError("badInfile", f"{path}: not a readable FITS file ({err})") from err
    instrument = str(header.get("INSTRUME", "")).strip()
    if instrument not in TELESCOPES:
        raise TaskError("badInstrument", f"{path.name}: INSTRUME is {instrument!r}, not an EPIC camera")
    pointing = pointing_of_header([header], POINTING_CARDS, "noPntAttributes", path.name)
    tangent = tuple(float(header.get(f"REF{a}CRVL", v)) for a, v in zip("XY", pointing[:2], strict=True))
    centre = float(header.get("REFXCRPX", reference_pixel(SKY_MAX / 2 / UNITS_PER_DEGREE)))
    if system == "impix":
        first, second = _from_image(header, first, second, path.name)
        system = "det" if str(header.get("CTYPE1L", "X")).strip() == "DETX" else "pos"
    if p.pos2eqpos or p.im2eqpos:
        if system != "pos":
            raise TaskError("badParameter", "ecoordconv: pos2eqpos and im2eqpos need a position in X and Y")
        ra, dec = from_xy(first, second, *tangent, centre=centre)
        ctx.info(f" RA: DEC: {float(ra):.8g} {float(dec):.8g}")
        return
    epoch = header.get("TSTART")
    if epoch is None and "DATE-OBS" in header:
        from daxa.xmm.odf.times import utc_to_tt

        epoch = utc_to_tt(str(header["DATE-OBS"]))
    cal = Calibration.from_environment(ctx.env, ctx.cwd)
    geometry = CameraGeometry.from_calibration(cal, instrument, float(epoch or 0.0), heights=False)
    try:
        result = convert(
            geometry, first, second, system,
            pointing=pointing, tangent_point=tangent, ccd=p.ccdno, centre=centre,  # type: ignore[arg-type]
        )  # fmt: skip
    except ValueError as err:
        raise TaskError("badParameter", f"ecoordconv: {err}") from err
    ccds = [int(result.ccd)] if int(result.ccd) else []
    if radius:
        ccds = ccds_of_circle(geometry, float(result.detx), float(result.dety), radius)
    for line in format_coordinates(result, _to_image(header, result), ccds):
        ctx.info(line)


def _source(p: Parameters) -> tuple[str, float, float, float]:
    """Coordinate system, position and radius (in 0.05 arcsec) of the source."""
    import re

    if p.withcoords or (p.x is not None and p.y is not None):
        if p.x is None or p.y is None:
            raise TaskError("missingParameter", "ecoordconv: withcoords=yes needs x and y")
        return p.coordtype, p.x, p.y, 0.0
    number = r"([-+]?[\d.]+(?:[eE][-+]?\d+)?)"
    match = re.match(
        rf"^\s*\(?\s*(\w+)\s*,\s*(\w+)\s*\)?\s+in\s+circle\s*\(\s*{number}\s*,\s*{number}\s*,\s*{number}\s*\)\s*$",
        p.srcexp,
        re.IGNORECASE,
    )
    systems = {
        ("X", "Y"): "pos", ("DETX", "DETY"): "det", ("RAWX", "RAWY"): "raw", ("RA", "DEC"): "eqpos",
    }  # fmt: skip
    system = systems.get((match[1].upper(), match[2].upper())) if match else None
    if match is None or system is None:
        raise TaskError(
            "badParameter",
            "ecoordconv: parameter srcexp: expected (X,Y) IN circle(x,y,r), or DETX,DETY, RAWX,RAWY, RA,DEC "
            f"instead of X,Y; got {p.srcexp!r}",
        )
    first, second, radius = (float(match[i]) for i in (3, 4, 5))
    if system == "eqpos":
        radius *= 3600.0 / UNIT_ARCSEC
    return system, first, second, radius if system != "raw" else 0.0


def _from_image(header: Header, px: float, py: float, where: str) -> tuple[float, float]:
    try:
        return tuple(  # type: ignore[return-value]
            float(header[f"CRVAL{i}L"]) + (v - float(header[f"CRPIX{i}L"])) * float(header[f"CDELT{i}L"])
            for i, v in ((1, px), (2, py))
        )
    except KeyError as err:
        raise TaskError(
            "badInfile", f"{where}: no keyword {err.args[0]}: image pixels mean nothing"
        ) from None


def _to_image(header: Header, result: Any) -> tuple[float, float] | None:
    names = ("CRVAL{}L", "CRPIX{}L", "CDELT{}L")
    if any(n.format(i) not in header for n in names for i in (1, 2)):
        return None
    on_detector = str(header.get("CTYPE1L", "X")).strip() == "DETX"
    position = (result.detx, result.dety) if on_detector else (result.x, result.y)
    return tuple(  # type: ignore[return-value]
        (float(v) - float(header[f"CRVAL{i}L"])) / float(header[f"CDELT{i}L"]) + float(header[f"CRPIX{i}L"])
        for i, v in ((1, position[0]), (2, position[1]))
    )
