"""The task arfgen: write the effective area behind a spectrum."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from daxa.xmm.errors import MissingConstituent, TaskError, UnknownLayout
from daxa.xmm.fits.file import block_bytes, primary_header, set_keywords
from daxa.xmm.notes import add_fallbacks, fall_back, fallbacks_noted
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.response.area import grating_transmission
from daxa.xmm.response.patterns import share_of_patterns
from daxa.xmm.response.psf import PointSpread
from daxa.xmm.spectra.area import FloatArray, Parts, Telescope, extended_area, point_area
from daxa.xmm.spectra.brightness import DetectorMap, Weight
from daxa.xmm.spectra.crossing import crossing_area
from daxa.xmm.spectra.grids import energy_bins
from daxa.xmm.spectra.ogip import area_table, read_energy_bins
from daxa.xmm.spectra.region import Cells, Observed, cells_of
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import open_calibration
from daxa.xmm.tasks.support_spectra import (
    SOURCE_PLACE,
    STEP,
    geometry_of,
    good_pixels,
    read_observed,
    source_place,
)

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.sky.geometry import CameraGeometry

_ALL_CELLS = "the region is cut into squares of half an arcsecond"
#: Squares of two regions, for the light of one in the other: least and greatest side [0.05 arcsec], number.
_CROSSING_SIDES, _CROSSING_SQUARES = (10.0, 200.0), 1500
_NOT_KNOWN = "the law of the correction is not public"

_PARAMETERS = [
    Parameter("spectrumset", "dataset", "spectrum.ds", text="spectrum"),
    Parameter("arfset", "dataset", "arf.ds", text="file of the area, to write"),
    Parameter("withrmfset", "bool", False, text="take the energy bins of rmfset"),
    Parameter("rmfset", "dataset", "response.ds", text="redistribution matrix"),
    Parameter(
        "detmaptype", "choice", "flat", choices=("flat", "psf", "dataset"), text="how the source is spread"
    ),
    Parameter("detmaparray", "string", "detmapfile.ds:", text="image of the source, for detmaptype=dataset"),
    Parameter("detxoffset", "real", 1200.0, text="half-width of the map", without_effect=_ALL_CELLS),
    Parameter("detyoffset", "real", 1200.0, text="half-height of the map", without_effect=_ALL_CELLS),
    Parameter("withdetbounds", "bool", False, text="whether these count", without_effect=_ALL_CELLS),
    Parameter("detxbins", "int", 5, text="columns of the map", without_effect=_ALL_CELLS),
    Parameter("detybins", "int", 5, text="rows of the map", without_effect=_ALL_CELLS),
    Parameter("withdetbins", "bool", False, text="whether these count", without_effect=_ALL_CELLS),
    Parameter("psfenergy", "real", 2.0, minimum=0.05, text="energy of detmaptype=psf", unit="keV"),
    Parameter("filterdss", "bool", True, text="take the region of the spectrum", only="it is always taken"),
    Parameter("withfilteredset", "bool", False, text="write the squares", only="they are not written"),
    Parameter(
        "filteredset", "dataset", "filteredpixellist.ds", text="their file", without_effect="not written"
    ),
    *SOURCE_PLACE,
    Parameter("extendedsource", "bool", False, text="the source is not a point"),
    Parameter("modeleffarea", "bool", True, text="with mirrors and vignetting"),
    Parameter("modelquantumeff", "bool", True, text="with the quantum efficiency"),
    Parameter("modelfiltertrans", "bool", True, text="with the filter"),
    Parameter("modelcontamination", "bool", True, text="with the contamination of MOS"),
    Parameter("modelee", "bool", True, text="with the share of a point source in the region"),
    Parameter("modelootcorr", "bool", True, text="out-of-time events", without_effect="live times hold them"),
    Parameter("applyxcaladjustment", "bool", False, text="adjust MOS to the pn", only=_NOT_KNOWN),
    Parameter("applyabsfluxcorr", "bool", False, text="correct the area by CORRAREA of the mirrors' file"),
    Parameter("eegridfactor", "int", 100, minimum=1, text="energies from one computed share to the next"),
    Parameter("withbadpixcorr", "bool", True, text="with what gaps and bad pixels take away"),
    Parameter("badpixlocation", "dataset", "notSpecified", text="event list with the bad pixels"),
    Parameter(
        "psfmodel",
        "choice",
        "ELLBETA",
        choices=("ELLBETA", "EXTENDED", "MEDIUM", "HIGH", "LOW"),
        text="point-spread function",
    ),
    Parameter("withbadpixres", "bool", False, text="whether badpixelresolution counts"),
    Parameter("badpixelresolution", "real", 2.0, minimum=0.01, text="side of the squares", unit="arcsec"),
    Parameter(
        "badpixmaptype",
        "choice",
        "flat",
        choices=("flat", "dataset", "psf"),
        text="what is lost of an extended source: dataset: of the light in detmaparray; else: of the region",
    ),
    Parameter("setbackscale", "bool", False, text="write BACKSCAL of the spectrum, too"),
    Parameter("keeparfset", "bool", True, text="keep the file of the area"),
    Parameter(
        "useodfatt", "bool", False, text="attitude of the ODF", only="the mean pointing of the header is used"
    ),
    Parameter("ignoreoutoffov", "bool", True, text="nothing is seen outside the field of view"),
    Parameter("crossregionarf", "bool", False, text="area for the light of another region in this one"),
    Parameter("crossreg_spectrumset", "dataset", "", text="spectrum of that region, of the same exposure"),
]


@task("arfgen", "1.98", _PARAMETERS)
def arfgen(ctx: TaskContext, p: Parameters) -> None:
    """Write the effective area behind a spectrum.

    It is that of mirrors, filter and detector, times the share of the source in the region.
    """
    path, observed = read_observed(ctx, p.spectrumset)
    geometry = geometry_of(ctx, observed)
    good = good_pixels(ctx, p.badpixlocation, observed, geometry) if p.withbadpixcorr else None
    step = p.badpixelresolution / 0.05 if p.withbadpixres or "badpixelresolution" in p.given else STEP
    cells = cells_of(observed, geometry, good, step=step, outside_too=not p.ignoreoutoffov)
    if not cells.area > 0:
        ctx.warn(
            "noArea", f"{path}: no part of the region is seen by a CCD that was selected; the area is zero"
        )
    if p.keeparfset:
        limits = read_energy_bins(ctx.path(p.rmfset)) if p.withrmfset else energy_bins(observed.instrument)
        area = _area(ctx, p, observed, geometry, cells, 0.5 * (limits[1:] + limits[:-1]))
        _write(ctx, p, observed, limits, area)
    if p.setbackscale:
        set_keywords(
            path, "SPECTRUM", {"BACKSCAL": (round(cells.area), "[(0.05 arcsec)^2] area of the region")}
        )


def _area(
    ctx: TaskContext,
    p: Parameters,
    observed: Observed,
    geometry: CameraGeometry,
    cells: Cells,
    energy_ev: FloatArray,
) -> FloatArray:
    """The area at energies [cm^2]."""
    cal = open_calibration(ctx)
    parts = Parts(
        p.modeleffarea,
        p.modelfiltertrans,
        p.modelquantumeff,
        p.modelee and not p.extendedsource,
        p.withbadpixcorr,
        p.applyabsfluxcorr,
    )
    telescope = Telescope(
        cal,
        observed.instrument,
        observed.filter_name,
        geometry,
        _knows_gratings(ctx, cal, observed),
        _patterns(ctx, cal, observed) if p.modelquantumeff else None,
    )
    if p.modelcontamination and observed.instrument.startswith("EMOS"):
        ctx.warn(
            "noContamination",
            "the layout of CONTAMINATION is not public: the area of MOS below 1 keV is too large, in 2012 by "
            "some percent (MOS1) to a fifth (MOS2)",
        )
    try:
        if p.crossregionarf:
            return _crossing(ctx, p, telescope, energy_ev, observed, cells, parts)
        if p.extendedsource:
            weight = _weight(ctx, p, observed, geometry)
            evenly = p.badpixmaptype != "dataset"
            return extended_area(telescope, energy_ev, cells, weight, parts, lost_evenly=evenly)
        psf = _profile(p, cal, observed)
        return point_area(
            telescope, energy_ev, cells, source_place(p, observed, geometry), psf, parts, every=p.eegridfactor
        )
    except (MissingConstituent, UnknownLayout) as error:
        raise TaskError("noCalibration", f"{observed.path}: {error.message}") from error


def _crossing(
    ctx: TaskContext,
    p: Parameters,
    telescope: Telescope,
    energy_ev: FloatArray,
    observed: Observed,
    cells: Cells,
    parts: Parts,
) -> FloatArray:
    """The area for the light of another region."""
    if not p.crossreg_spectrumset:
        raise TaskError("missingParameter", "arfgen: crossregionarf=yes needs crossreg_spectrumset")
    path, other = read_observed(ctx, p.crossreg_spectrumset)
    if (other.instrument, other.pointing) != (observed.instrument, observed.pointing):
        raise TaskError("badSpectrum", f"{path}: camera or pointing differ from those of {observed.path}")
    geometry = telescope.geometry
    good = good_pixels(ctx, p.badpixlocation, observed, geometry) if p.withbadpixcorr else None
    outside = not p.ignoreoutoffov
    seen = cells_of(observed, geometry, good, step=_side(cells), outside_too=outside)
    whole = cells_of(other, geometry, None, step=STEP, outside_too=True)
    origin = cells_of(other, geometry, None, step=_side(whole), outside_too=True)
    psf = _profile(p, telescope.cal, observed)
    weight = _weight(ctx, p, observed, geometry)
    return crossing_area(telescope, energy_ev, seen, origin, weight, psf, parts, every=p.eegridfactor)


def _side(cells: Cells) -> float:
    """Side of squares that are few enough to take each with each of another region."""
    return float(np.clip(np.sqrt(cells.whole_area / _CROSSING_SQUARES), *_CROSSING_SIDES))


def _knows_gratings(ctx: TaskContext, cal: Calibration, observed: Observed) -> bool:
    """Whether the calibration has the shade of the gratings, without which vignetting has no azimuth."""
    try:
        grating_transmission(cal, observed.instrument, 1000.0)
    except (MissingConstituent, UnknownLayout) as error:
        ctx.warn("noGratings", f"{observed.instrument}: vignetting is averaged over azimuth: {error.message}")
        return False
    return True


def _patterns(ctx: TaskContext, cal: Calibration, observed: Observed) -> tuple[int, int] | None:
    """Patterns that the efficiency has to be for; None: all that are used, or the file tells no others."""
    used = (0, 4) if observed.instrument == "EPN" else (0, 12)
    if observed.patterns == used:
        return None
    try:
        share_of_patterns(cal, observed.instrument, 1, 1000.0, observed.patterns)
    except (MissingConstituent, UnknownLayout) as error:
        ctx.warn(
            "patternEfficiency",
            f"{observed.path}: patterns {observed.patterns[0]} to {observed.patterns[1]} were selected; the "
            f"efficiency is that of {used[0]} to {used[1]}: {error.message}",
        )
        return None
    return observed.patterns


def _profile(p: Parameters, cal: Calibration, observed: Observed) -> PointSpread:
    """The point-spread function."""
    if p.psfmodel == "EXTENDED":
        return PointSpread.from_calibration(cal, observed.instrument)
    psf, why = PointSpread.elliptical(cal, observed.instrument)
    if p.modelee:
        fall_back("kingProfile", f"psfmodel={p.psfmodel}: {why}", "XPSF: kingProfile")
    return psf


def _weight(ctx: TaskContext, p: Parameters, observed: Observed, geometry: CameraGeometry) -> Weight | None:
    """How an extended source is spread; None: evenly."""
    if p.detmaptype == "psf":
        raise TaskError(
            "badParameter", "arfgen: detmaptype=psf is for point sources; an extended one has flat or dataset"
        )
    if p.detmaptype == "flat":
        return None
    image = DetectorMap.read(ctx.path(p.detmaparray.removesuffix(":").partition(":")[0]))
    camera = str(image.header.get("INSTRUME", observed.instrument)).strip()
    own = None
    if image.in_detector_coordinates and camera != observed.instrument:
        own = geometry_of(ctx, replace(observed, instrument=camera))
    return image.weight(observed, geometry, own)


def _write(
    ctx: TaskContext, p: Parameters, observed: Observed, limits_ev: FloatArray, area: FloatArray
) -> None:
    primary = primary_header()
    primary["LONGSTRN"] = "OGIP 1.0"
    ctx.provenance(primary)
    made = area_table(limits_ev, area, observed.instrument, observed.filter_name)
    add_fallbacks(made.header, fallbacks_noted())
    with ctx.output(p.arfset) as temporary:
        temporary.write_bytes(block_bytes(primary) + made.tobytes())
    ctx.info(f"{p.arfset}: {len(area)} energies, at most {area.max():.1f} cm^2")
