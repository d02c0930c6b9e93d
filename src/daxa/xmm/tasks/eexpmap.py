"""The task eexpmap: write one exposure map per energy band, on the grid of the image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from daxa.xmm.errors import MissingConstituent, TaskError, UnknownLayout
from daxa.xmm.event.gti import GTI
from daxa.xmm.fits.file import FitsFile, image_bytes
from daxa.xmm.formats.instruments import TELESCOPES
from daxa.xmm.image import exposure
from daxa.xmm.image.ccds import (
    CcdFrames,
    good_times,
    numbers_of_ccds,
    read_ccd,
    selected_times,
    selects_flag_zero,
)
from daxa.xmm.image.wcs import FloatArray, detector_grid
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.response.area import relative_efficiency, vignetting
from daxa.xmm.select import dss
from daxa.xmm.select.dss import DataSubspace
from daxa.xmm.sky.tangent import direction
from daxa.xmm.task import TaskContext, task

if TYPE_CHECKING:
    from pathlib import Path

    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.fits.header import Header
    from daxa.xmm.sky.geometry import CameraGeometry

_OF_COUNTS = re.compile(r"\d*DS(TYP|VAL|REF|UNI|FORM)\d+|SLCTEXPR|XPROC\d+")

_PARAMETERS = [
    Parameter("imageset", "dataset", "image.fits", text="image whose grid the maps have"),
    Parameter("attitudeset", "dataset", "attitude.fits", text="attitude file of atthkgen"),
    Parameter("eventset", "dataset", "events.fits", text="event list with frames, good times and bad pixels"),
    Parameter("expimageset", "list", "expimage.fits", text="exposure maps to write, one for each band"),
    Parameter("withdetcoords", "bool", False, text="the image is in DETX, DETY"),
    Parameter("withvignetting", "bool", True, text="multiply with the vignetting"),
    Parameter(
        "usefastpixelization",
        "bool",
        False,
        text="make the map faster and coarser",
        without_effect="there is one way",
    ),
    Parameter(
        "usedlimap",
        "bool",
        False,
        text="take discarded lines of the pn column by column",
        only="the live times of frames (FRACEXP) hold discarded lines as a mean over each CCD",
    ),
    Parameter(
        "attrebin", "real", 4.0, minimum=0.0, text="pointings that differ by less count as one", unit="arcsec"
    ),
    Parameter("pimin", "reals", "2000", minimum=0.0, text="lower end of each band", unit="eV"),
    Parameter("pimax", "reals", "10000", minimum=0.0, text="upper end of each band", unit="eV"),
]


def _bands(p: Parameters) -> list[tuple[str, float, float]]:
    """Output file, lower and upper energy [eV] of every band."""
    if not len(p.expimageset) == len(p.pimin) == len(p.pimax):
        raise TaskError(
            "badParameter",
            f"eexpmap: expimageset, pimin and pimax: expected lists of one length, got {len(p.expimageset)}, "
            f"{len(p.pimin)} and {len(p.pimax)}",
        )
    for low, high in zip(p.pimin, p.pimax, strict=True):
        if low >= high:
            raise TaskError("badParameter", f"eexpmap: pimin ({low:g}) must be below pimax ({high:g})")
    return list(zip(p.expimageset, p.pimin, p.pimax, strict=True))


@task("eexpmap", "1.0", _PARAMETERS)
def eexpmap(ctx: TaskContext, p: Parameters) -> None:
    """Write one exposure map per energy band, on the grid of the image."""
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.sky.geometry import CameraGeometry

    bands = _bands(p)
    event_path = ctx.path(p.eventset.partition(":")[0])
    for path in (event_path, ctx.path(p.imageset)):
        if not path.exists():
            raise TaskError("noFile", f"{path}: no such file")
    image = _opened(ctx.path(p.imageset))
    image_header = image[0].header
    if image_header.get("NAXIS") != 2:
        raise TaskError("badImage", f"{ctx.path(p.imageset)}: the primary HDU is not a 2-D image")

    hdus = _opened(event_path)
    if "EVENTS" not in hdus:
        raise TaskError("noEvents", f"{event_path}: no extension EVENTS")
    events = hdus["EVENTS"].header
    instrument = str(events.get("INSTRUME", hdus[0].header.get("INSTRUME", ""))).strip()
    if instrument not in TELESCOPES:
        raise TaskError("WrongInst", f"{event_path}: INSTRUME is {instrument!r}, not an EPIC camera")
    cal = Calibration.from_environment(ctx.env, ctx.cwd)
    middle = 0.5 * (float(events.get("TSTART", 0.0)) + float(events.get("TSTOP", 0.0)))
    geometry = CameraGeometry.from_calibration(cal, instrument, middle)
    by_azimuth = p.withvignetting and _knows_gratings(ctx, cal, instrument)
    numbers = numbers_of_ccds(hdus)
    if not numbers:
        raise TaskError("noExposure", f"{event_path}: no EXPOSUnn, no STDGTInn, no event with a CCDNR")
    pointings = _pointings(ctx, p)
    subspace = dss.read(image, image_header)
    # An image gives its grid to maps of several bands; to a single one, its band, too.
    files = {p.imageset: subspace} if len(bands) == 1 else {}
    _check_bands(ctx, bands, {**files, p.eventset: dss.read(hdus, events)})
    exposures = (h.get("EXPOSURE") for h in (image_header, events))
    good = good_times(hdus, numbers, next((float(e) for e in exposures if e is not None), None), ctx.warn)
    without = [f"EXPOSU{n:02d}" for n in good if f"EXPOSU{n:02d}" not in hdus]
    if without:
        ctx.warn("NoExpoExt", f"{event_path}: no {', '.join(without)}: all good time counts as live")
    strict = selects_flag_zero(events, image_header)

    selected = selected_times(subspace)
    relative = _relative_efficiencies(ctx, cal, instrument, numbers, bands)

    def efficiency(angles: tuple[FloatArray, FloatArray], energy: float) -> FloatArray:
        def factor(theta: FloatArray, phi: FloatArray) -> FloatArray:
            return vignetting(cal, instrument, energy, theta, phi if by_azimuth else None)

        return exposure.efficiency(angles, factor if p.withvignetting else None)

    frames_of = {n: read_ccd(hdus, n, instrument, times) for n, times in good.items()}
    if selected is not None:
        frames_of = {n: f.within(selected.get(n, GTI())) for n, f in frames_of.items()}
    if not p.withdetcoords:
        _check_attitude(ctx, p, pointings, list(frames_of.values()))
    chips = []
    for number, frames in frames_of.items():
        live = frames.live(pointings)
        if live.sum() > 0:
            pixels = frames.good_pixels(geometry, strict=strict)
            angles = exposure.telescope_angles(geometry, frames.ccd, pixels)
            energies = [0.5 * (low + high) for _, low, high in bands]
            of_bands = np.stack(
                [efficiency(angles, e) * r for e, r in zip(energies, relative[number], strict=True)]
            )
            chips.append(exposure.ChipMap(frames.ccd, of_bands, live))
    if not chips:
        within = "" if selected is None else f" in what {ctx.path(p.imageset).name} was selected by"
        ctx.warn("noExposure", f"{event_path}: no good time{within}; the map is zero")
    maps = _maps(ctx, p, chips, geometry, pointings, image_header, len(bands))
    if chips and not maps.any():
        _warn_of_zeros(ctx, p, image_header, pointings)
    for (name, low, high), result in zip(bands, maps, strict=True):
        _write(ctx, p, name, (low, high), result, image_header, len(pointings.ra_deg))


def _knows_gratings(ctx: TaskContext, cal: Calibration, instrument: str) -> bool:
    """Whether the calibration has the shade of the gratings, without which vignetting has no azimuth."""
    from daxa.xmm.response.area import grating_transmission

    try:
        grating_transmission(cal, instrument, 1000.0)
    except (MissingConstituent, UnknownLayout) as error:
        # Without the shade of the gratings a map is off by up to a seventh at the edge; with no map
        # nothing can be done at all.
        ctx.warn("noGratings", f"{instrument}: vignetting is averaged over azimuth: {error.message}")
        return False
    return True


def _relative_efficiencies(
    ctx: TaskContext,
    cal: Calibration,
    instrument: str,
    numbers: list[int],
    bands: list[tuple[str, float, float]],
) -> dict[int, FloatArray]:
    """Quantum efficiency of each CCD over that of the one on the axis, in the middle of each band."""
    energies = np.array([0.5 * (low + high) for _, low, high in bands])
    # The redundant node of a MOS CCD has the number plus 10.
    chips = {n: n if instrument == "EPN" else n % 10 for n in numbers}
    try:
        return {n: relative_efficiency(cal, instrument, chip, energies) for n, chip in chips.items()}
    except (MissingConstituent, UnknownLayout) as error:
        ctx.warn("noEfficiency", f"{instrument}: all CCDs count as equally efficient: {error.message}")
        return dict.fromkeys(numbers, np.ones(len(bands)))


def _pointings(ctx: TaskContext, p: Parameters) -> exposure.PointingBins:
    """Attitude bins; a map of the detector has one, for all times."""
    from daxa.xmm.sky.attitude import AttHk

    if p.withdetcoords:
        still = np.array([0.0])
        return exposure.PointingBins(still, still, still, still, np.array([0]))
    atthk = AttHk.read(ctx.path(p.attitudeset))
    time_s, ra, dec, pa = (np.asarray(atthk.columns[c], float) for c in ("TIME", "AHFRA", "AHFDEC", "AHFPA"))
    pointings = exposure.bin_attitude(time_s, ra, dec, pa, p.attrebin)
    if not len(pointings.ra_deg):
        raise TaskError("noAttitude", f"{ctx.path(p.attitudeset)}: no valid attitude")
    null = np.count_nonzero(pointings.index < 0)
    if null:
        ctx.warn(
            "NullValues", f"{p.attitudeset}: {null} of {len(time_s)} rows have no attitude, and are ignored"
        )
    return pointings


def _check_attitude(
    ctx: TaskContext, p: Parameters, pointings: exposure.PointingBins, frames: list[CcdFrames]
) -> None:
    """Refuse an attitude that covers none of the good frames; warn of one that does not cover all.

    Raises
    ------
    TaskError
        ``noAttitude``: the attitude is of another time.
    """
    good = [f.time_s[f.good_times.contains(f.time_s)] for f in frames]
    times = np.concatenate(good) if good else np.zeros(0)
    beyond = exposure.beyond_attitude(times, pointings)
    if not beyond.any():
        return
    known = pointings.time_s[pointings.index >= 0]
    said = (
        f"{ctx.path(p.attitudeset)}: attitude is known from {known.min():.15g} to {known.max():.15g}, "
        f"the good frames reach from {times.min():.15g} to {times.max():.15g}"
    )
    if beyond.all():
        raise TaskError("noAttitude", said)
    share = 100 * np.count_nonzero(beyond) / len(times)
    ctx.warn("NoAttitude", f"{said}: the nearest attitude counts for {share:.1f} % of them")


def _check_bands(
    ctx: TaskContext, bands: list[tuple[str, float, float]], files: Mapping[str, DataSubspace]
) -> None:
    """Warn of bands of which an image or a list holds nothing."""
    for _, low, high in bands:
        for name, held in files.items():
            limits = held.limits("PI")
            if limits is not None and (high <= limits[0] or low >= limits[1]):
                there = f"{name} holds PI {limits[0]:g} to {limits[1]:g} only"
                ctx.warn("missingBand", f"a map of {low:g} to {high:g} eV is asked for; {there}")
                break


def _warn_of_zeros(ctx: TaskContext, p: Parameters, header: Header, pointings: exposure.PointingBins) -> None:
    """Say why no pixel of an image was seen."""
    if p.withdetcoords:
        ctx.warn("zeroMap", f"{p.imageset}: no pixel of the image lies on a CCD; the map is zero")
        return
    x, y = (0.5 * (header[f"NAXIS{i}"] - 1) for i in (1, 2))
    ra, dec = exposure.wcs_functions(header.to_astropy())(np.array([x]), np.array([y]))
    there, here = direction(ra, dec)[0], direction(pointings.ra_deg[:1], pointings.dec_deg[:1])[0]
    away = np.degrees(np.arccos(np.clip(np.dot(there, here), -1, 1)))
    ctx.warn(
        "zeroMap",
        f"{p.imageset}: its centre (RA {ra[0]:.4f}, Dec {dec[0]:.4f}) is {away:.3g} deg from the pointing "
        f"(RA {pointings.ra_deg[0]:.4f}, Dec {pointings.dec_deg[0]:.4f}); the map is zero",
    )


def _opened(path: Path) -> FitsFile:
    try:
        return FitsFile(path)
    except OSError as error:
        raise TaskError("notFits", f"{path}: {error}") from error


def _maps(
    ctx: TaskContext,
    p: Parameters,
    chips: list[exposure.ChipMap],
    geometry: CameraGeometry,
    pointings: exposure.PointingBins,
    header: Any,
    bands: int,
) -> FloatArray:
    """The maps of all bands, shape (bands, ny, nx)."""
    shape = (header["NAXIS2"], header["NAXIS1"])
    if not chips:
        return np.zeros((bands, *shape))
    if p.withdetcoords:
        grid = detector_grid(header, str(ctx.path(p.imageset)))
        return exposure.detector_exposure_map(chips, geometry, grid, shape)
    sky = exposure.wcs_functions(header.to_astropy())
    return exposure.sky_exposure_map(chips, geometry, pointings, sky, shape)


def _write(
    ctx: TaskContext,
    p: Parameters,
    name: str,
    band: tuple[float, float],
    result: FloatArray,
    image_header: Any,
    attitudes: int,
) -> None:
    header = _map_header(image_header)
    header["BUNIT"] = ("s", "exposure")
    header["PIMIN"] = (band[0], "[eV] lower end of the band")
    header["PIMAX"] = (band[1], "[eV] upper end of the band")
    header["EXPOSURE"] = (float(result.max()) if result.size else 0.0, "[s] largest value of the map")
    header["VIGNETT"] = (p.withvignetting, "vignetting included")
    ctx.provenance(header)
    with ctx.output(name) as temporary:
        temporary.write_bytes(image_bytes(result.astype(np.float32), header.cards))
    ctx.info(f"{name}: {attitudes} attitude bins, largest exposure {header['EXPOSURE']:.1f} s")


def _map_header(image_header: Any) -> Any:
    """Header of the image without what describes its counts or structure."""
    header = image_header.copy(strip=True)
    header.discard(*(k for k in header if _OF_COUNTS.fullmatch(k)))
    return header
