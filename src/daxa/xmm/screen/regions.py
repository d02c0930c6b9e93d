"""Selections of the corners of the EPIC cameras, which see particles but no sky."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daxa.xmm.errors import TaskError
from daxa.xmm.sky.detector_region import Region

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration

#: Events of the whole chip, corners included: the masks of the current task manuals.
WHOLE_CHIP = {
    "EMOS1": "(PATTERN<=12)&&((FLAG & 0x766aa000)==0)",
    "EMOS2": "(PATTERN<=12)&&((FLAG & 0x766aa000)==0)",
    "EPN": "(PATTERN<=4)&&((FLAG & 0xcfa0000)==0)",
}
#: Events in the field of view. The pn macro keeps events outside it, so that they are excluded by name.
FIELD = {
    "EMOS1": "(PATTERN<=12)&&({band})&&(#XMMEA_EM)",
    "EMOS2": "(PATTERN<=12)&&({band})&&(#XMMEA_EM)",
    "EPN": "(PATTERN<=4)&&({band})&&(#XMMEA_EP)&&!(#XMMEA_16)",
}
#: Bright strips in the corners that a real espfilt 4.3 run leaves out besides those of the calibration file.
STRIPS = {
    "EMOS1": (
        "BOX(-12900,16000,250,4000,0,DETX,DETY)",
        "BOX(80,18600,150,1300,0,DETX,DETY)",
        "BOX(-10,-18800,125,1500,0,DETX,DETY)",
    )
}


def _shape(name: str, x: float, y: float, radii: tuple[float, float], angle: float) -> str:
    sizes = [f"{radii[0]:g}"] if name == "CIRCLE" else [f"{radii[0]:g}", f"{radii[1]:g}", f"{angle:g}"]
    return f"{name}({x:g},{y:g},{','.join(sizes)},DETX,DETY)"


def corner_expression(cal: Calibration, instrument: str) -> str:
    """Expression in DETX, DETY that holds in the corners, from the camera's LINCOORD constituent.

    MOS: the CORNER table (areas free of light leaks); pn: outside the FOV table's regions.

    Parameters
    ----------
    cal
        The calibration.
    instrument
        ``EMOS1``, ``EMOS2`` or ``EPN``.
    """
    constituent = cal.constituent(instrument, "LINCOORD")
    region = Region.of(constituent, "CORNER" if instrument != "EPN" else "FOV")
    if region.expression is not None:
        if instrument == "EPN":
            return f"!({region.expression})"
        strips = [f"!{strip}" for strip in STRIPS.get(instrument, ())]
        return "&&".join([f"({region.expression})", *strips])
    if instrument != "EPN" and not all(shape[1] for shape in region.shapes):
        raise TaskError("badRegion", f"{constituent.path}: CORNER holds a shape that does not exclude")
    shapes = [_shape(kind, x, y, (r1, r2), angle) for _, _, kind, x, y, r1, r2, angle in region.shapes]
    shapes += [s for s in STRIPS.get(instrument, ()) if s not in shapes]
    return f"!({'||'.join(shapes)})"
