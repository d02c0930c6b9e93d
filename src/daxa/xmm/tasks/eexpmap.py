"""The task eexpmap: write one exposure map per energy band, on the grid of the image."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.fits.file import FitsFile, image_bytes
from daxa.xmm.image import exposure
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task

_FLAG_ZERO = re.compile(r"FLAG\s*(==|\.eq\.)\s*0\b", re.IGNORECASE)
_OF_COUNTS = re.compile(r"\d*DS(TYP|VAL|REF|UNI|FORM)\d+|SLCTEXPR|XPROC\d+")
_CCD_TABLE = re.compile(r"^EXPOSU(\d\d)$")

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
    Parameter("pimin", "list", "2000", text="lower end of each band", unit="eV"),
    Parameter("pimax", "list", "10000", text="upper end of each band", unit="eV"),
]


def _bands(p: Parameters) -> list[tuple[str, float, float]]:
    """Output file, lower and upper energy [eV] of every band."""
    if not len(p.expimageset) == len(p.pimin) == len(p.pimax):
        raise TaskError(
            "badParameter",
            f"eexpmap: expimageset, pimin and pimax: expected lists of one length, got {len(p.expimageset)}, "
            f"{len(p.pimin)} and {len(p.pimax)}",
        )
    bands = []
    for name, low, high in zip(p.expimageset, p.pimin, p.pimax, strict=True):
        try:
            band = (name, float(low), float(high))
        except ValueError:
            raise TaskError("badParameter", f"eexpmap: pimin, pimax: not numbers: {low}, {high}") from None
        if band[1] >= band[2]:
            raise TaskError("badParameter", f"eexpmap: pimin ({low}) must be below pimax ({high})")
        bands.append(band)
    return bands


def selects_flag_zero(*headers: Any) -> bool:
    """Whether the selection behind an image admits only events with FLAG 0."""
    for header in headers:
        if _FLAG_ZERO.search(str(header.get("SLCTEXPR", ""))):
            return True
        for key, value in header.items():
            is_flag = re.fullmatch(r"DSTYP\d+", key) and str(value).strip() == "FLAG"
            if is_flag and str(header.get(f"DSVAL{key[5:]}", "")).strip() == "0":
                return True
    return False


@task("eexpmap", "1.0", _PARAMETERS)
def eexpmap(ctx: TaskContext, p: Parameters) -> None:
    """Write one exposure map per energy band, on the grid of the image."""
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.errors import MissingConstituent, UnknownLayout
    from daxa.xmm.response.area import grating_transmission, vignetting
    from daxa.xmm.sky.attitude import AttHk
    from daxa.xmm.sky.geometry import CameraGeometry

    bands = _bands(p)
    event_path = ctx.path(p.eventset.partition(":")[0])
    for path in (event_path, ctx.path(p.imageset)):
        if not path.exists():
            raise TaskError("noFile", f"{path}: no such file")
    image_header = FitsFile(ctx.path(p.imageset))[0].header
    if image_header.get("NAXIS") != 2:
        raise TaskError("badImage", f"{ctx.path(p.imageset)}: the primary HDU is not a 2-D image")
    shape = (image_header["NAXIS2"], image_header["NAXIS1"])

    hdus = FitsFile(event_path)
    events = hdus["EVENTS"].header
    instrument = str(events["INSTRUME"]).strip()
    cal = Calibration.from_environment(ctx.env, ctx.cwd)
    middle = 0.5 * (float(events.get("TSTART", 0.0)) + float(events.get("TSTOP", 0.0)))
    geometry = CameraGeometry.from_calibration(cal, instrument, middle)
    by_azimuth = p.withvignetting
    if by_azimuth:
        try:
            grating_transmission(cal, instrument, 1000.0)
        except (MissingConstituent, UnknownLayout) as error:
            # Without the shade of the gratings a map is off by up to a seventh at the edge; with no map
            # nothing can be done at all.
            ctx.warn("noGratings", f"{instrument}: vignetting is averaged over azimuth: {error.message}")
            by_azimuth = False
    strict = selects_flag_zero(events, image_header)
    offsets = hdus["OFFSETS"].data if "OFFSETS" in hdus else None
    names = {h.name for h in hdus}
    ccds = sorted(int(m[1]) for n in names if (m := _CCD_TABLE.match(n)))
    if not ccds:
        raise TaskError("noExposure", f"{event_path}: no EXPOSUnn extension")

    if p.withdetcoords:
        still = np.array([0.0])
        pointings = exposure.PointingBins(still, still, still, still, np.array([0]))
    else:
        atthk = AttHk.read(ctx.path(p.attitudeset))
        time_s, ra, dec, pa = (
            np.asarray(atthk.columns[c], float) for c in ("TIME", "AHFRA", "AHFDEC", "AHFPA")
        )
        pointings = exposure.bin_attitude(time_s, ra, dec, pa, p.attrebin)
        if not len(pointings.ra_deg):
            raise TaskError("noAttitude", f"{ctx.path(p.attitudeset)}: no valid attitude")

    plain = []
    for ccd in ccds:
        table = hdus[f"EXPOSU{ccd:02d}"]
        frames = np.asarray(table.data["TIME"], float)
        if "TIMEDEL" in table.columns:
            length = np.asarray(table.data["TIMEDEL"], float)
        else:
            length = np.full(len(frames), float(table.header["TIMEDEL"]))
        gti_name = f"STDGTI{ccd:02d}"
        if gti_name not in names:
            ctx.warn("noGTI", f"{event_path}: no {gti_name}; CCD {ccd} is left out")
            continue
        good = GTI.from_hdu(hdus[gti_name]).contains(frames)
        live = exposure.live_times(frames, length * np.asarray(table.data["FRACEXP"], float), good, pointings)
        columns: Any = ()
        # The redundant node of a MOS CCD has the number plus 10, and counts columns from the other side.
        redundant, number = (0, ccd) if instrument == "EPN" else divmod(ccd, 10)
        # Events on such columns carry a flag in pn lists only.
        flagged = strict and instrument == "EPN"
        if flagged and offsets is not None and "OFFSETX" in offsets.dtype.names:
            columns = offsets["RAWX"][(offsets["CCDNR"] == ccd) & (offsets["OFFSETX"] != 0)]
        bad_name = f"BADPIX{ccd:02d}"
        bad = hdus[bad_name].data if bad_name in names else None
        pixels = exposure.good_pixel_map(
            geometry.shape(number),
            {c: bad[c] if bad is not None else [] for c in ("RAWX", "RAWY", "YEXTENT")},
            window=exposure.read_window(table.header),
            with_neighbours=strict,
            offset_columns=columns,
        )
        if redundant:
            pixels = pixels[:, ::-1]
        if live.sum() > 0:
            plain.append((number, exposure.telescope_angles(geometry, number, pixels), live))

    if not plain:
        ctx.warn("noExposure", f"{event_path}: no good time; the map is zero")

    def efficiency(angles: tuple[np.ndarray, np.ndarray], low: float, high: float) -> np.ndarray:
        def factor(theta: np.ndarray, phi: np.ndarray) -> np.ndarray:
            return vignetting(cal, instrument, 0.5 * (low + high), theta, phi if by_azimuth else None)

        return exposure.efficiency(angles, factor if p.withvignetting else None)

    chips = [
        exposure.ChipMap(ccd, np.stack([efficiency(angles, *band) for _, *band in bands]), live)
        for ccd, angles, live in plain
    ]
    if not chips:
        maps = np.zeros((len(bands), *shape))
    elif p.withdetcoords:
        maps = exposure.detector_exposure_map(
            chips, geometry, _detector_grid(image_header, str(ctx.path(p.imageset))), shape
        )
    else:
        maps = exposure.sky_exposure_map(
            chips, geometry, pointings, exposure.wcs_functions(image_header.to_astropy()), shape
        )
    for (name, low, high), result in zip(bands, maps, strict=True):
        header = _map_header(image_header)
        header["BUNIT"] = ("s", "exposure")
        header["PIMIN"] = (low, "[eV] lower end of the band")
        header["PIMAX"] = (high, "[eV] upper end of the band")
        header["EXPOSURE"] = (float(result.max()) if result.size else 0.0, "[s] largest value of the map")
        header["VIGNETT"] = (p.withvignetting, "vignetting included")
        ctx.provenance(header)
        with ctx.output(name) as temporary:
            temporary.write_bytes(image_bytes(result.astype(np.float32), header.cards))
        ctx.info(
            f"{name}: {len(pointings.ra_deg)} attitude bins, largest exposure {header['EXPOSURE']:.1f} s"
        )


def _map_header(image_header: Any) -> Any:
    """Header of the image without what describes its counts or structure."""
    header = image_header.copy(strip=True)
    header.discard(*(k for k in header if _OF_COUNTS.fullmatch(k)))
    return header


def _detector_grid(header: Any, where: str) -> Any:
    """DETX, DETY of 0-based pixel coordinates."""
    for alternate in ("", "L"):
        if str(header.get(f"CTYPE1{alternate}", "")).strip() == "DETX":
            break
    else:
        raise TaskError("badImage", f"{where}: withdetcoords=yes needs an image in DETX, DETY")
    values = [
        [float(header[f"{key}{axis}{alternate}"]) for key in ("CRVAL", "CDELT", "CRPIX")] for axis in (1, 2)
    ]

    def grid(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        (vx, dx, rx), (vy, dy, ry) = values
        return vx + dx * (x + 1 - rx), vy + dy * (y + 1 - ry)

    return grid
