"""Processing one MOS exposure after the other, and writing what comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI, TIME_KEYWORDS
from daxa.xmm.fits.hdus import primary_hdu, write_hdus
from daxa.xmm.formats.eventlist import MOS_RAW
from daxa.xmm.formats.odf import MOS_AUXILIARY
from daxa.xmm.instruments.keywords import merge_headers
from daxa.xmm.instruments.mos.exposure import Camera, Ccd, exposure_keywords, open_camera
from daxa.xmm.instruments.mos.flares import FlareCurve
from daxa.xmm.instruments.mos.options import Options
from daxa.xmm.instruments.mos.reduce import ExposureResult, StopAfterSearch, process
from daxa.xmm.instruments.mos.reduce_timing import TimingResult, process_timing
from daxa.xmm.odf.odf import Odf
from daxa.xmm.task import TaskContext

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.event.parts import CcdExposure

#: Constituents listed in the product's CALINDEX.
_SCOPES = {"M1": ("EMOS1", "XRT1", "XMM"), "M2": ("EMOS2", "XRT2", "XMM")}
#: Pixels beyond those of RAWX and RAWY that the ranges of DETX and DETY hold.
_BEYOND = 1
#: File types that are reduced, and how the products are called. CCDs in reduced imaging join the others.
_KINDS = {"IME": "Imaging", "RIE": "Imaging", "TIE": "Timing", "CTE": "Timing"}


@dataclass
class Run:
    """One call of emchain or emproc."""

    ctx: TaskContext
    odf: Odf
    cal: Calibration
    options: Options
    atthk: Path
    ccds: list[int]
    event_name: Callable[[str, str, str], str]
    external_gti: GTI | None = None
    #: Good times of housekeeping, per camera.
    housekeeping: Mapping[str, GTI] = field(default_factory=dict)
    stop_on_error: bool = False
    tag_low_energy_noise: bool = False
    make_flare_gti: bool = False
    global_flare: bool = False
    stop_after_search: bool = False
    #: Names of the files of the steps in between, by kind (frames, gti, badpix, background); none are written
    #: of kinds that are absent.
    keep: Mapping[str, Callable[[str, str, int], str]] = field(default_factory=dict)
    average_pointing: bool = False
    #: RA, Dec and position angle [deg] instead of those of the attitude.
    pointing: tuple[float, float, float] | None = None
    attitude_tolerance_deg: float | None = None
    #: File types to process.
    types: tuple[str, ...] = tuple(_KINDS)

    def names(self, instrument: str, exp_id: str) -> list[str]:
        """Names of the event lists that an exposure makes."""
        types = {f.name.file_type for f in self.odf.science_files(instrument, exp_id)}
        kinds = dict.fromkeys(k for t, k in _KINDS.items() if t in types and t in self.types)
        return [self.event_name(instrument, exp_id, kind) for kind in kinds]


def process_exposure(run: Run, instrument: str, exp_id: str) -> ExposureResult | None:
    """Process one exposure and write its event lists: of its imaging CCDs, and of the one in timing mode.

    Returns
    -------
    ExposureResult or None
        Content of the imaging list; None if there is none.

    Raises
    ------
    TaskError
        Nothing of the exposure can be processed.
    """
    from daxa.xmm.sky.attitude import AttHk

    ctx, odf = run.ctx, run.odf
    ctx.info(f"Processing {exp_id}")
    science = odf.science_files(instrument, exp_id)
    if run.ccds:
        science = [f for f in science if f.name.ccd in run.ccds]
    wanted = [f for f in science if f.name.file_type in run.types]
    files = [f for f in wanted if _KINDS[f.name.file_type] == "Imaging"]
    timing = [f for f in wanted if _KINDS[f.name.file_type] == "Timing"]
    if not wanted:
        raise TaskError(
            "MissingData",
            f"{odf.folder}: {instrument} {exp_id} has no event file of the chosen CCDs and modes",
        )
    atthk = AttHk.read(run.atthk)
    pointing = run.pointing or (atthk.mean if run.average_pointing else atthk.median)
    camera = open_camera(
        ctx, odf, run.cal, instrument, exp_id, run.options, pointing, _external_gti(run, atthk, instrument)
    )
    auxiliary = odf.one(instrument, "AUX", exp_id=exp_id).read(1, MOS_AUXILIARY)

    def header(data_mode: str, made: ExposureResult | TimingResult) -> dict[str, Any]:
        span = made.start_s, made.stop_s
        return merge_headers(exposure_keywords(camera, data_mode, span, run.average_pointing), made.headers)

    failure: TaskError | None = None
    for file in timing:
        ctx.info(f"Processing data set: {file.path}")
        try:
            lines = process_timing(camera, file, auxiliary)
        except TaskError as error:
            # The imaging CCDs do not need this one.
            if run.stop_on_error or not files:
                raise
            ctx.warn(error.code, f"{error.message}; CCD {file.name.ccd} is left out")
            failure = error
            continue
        name = run.event_name(instrument, exp_id, "Timing")
        ccds = {lines.exposure.header["CCDID"][0]: lines.exposure}
        _write(run, name, instrument, header("TIMING", lines), lines.columns, ccds, None, lines.n_raw)
    if not files:
        return None
    try:
        result = process(
            camera, files, auxiliary, stop_on_error=run.stop_on_error, stop_after_search=run.stop_after_search
        )
    except StopAfterSearch as stopped:
        _keep(run, camera, stopped.ccds, {})
        return None
    except TaskError as error:
        if run.stop_on_error or not timing or failure is not None:
            raise
        ctx.warn(error.code, f"{instrument} {exp_id}: {error.message}; there is no imaging list")
        return None
    primary = header("IMAGING", result)
    if run.tag_low_energy_noise:
        primary = merge_headers(primary, _noise_tags(camera, result))
    name = run.event_name(instrument, exp_id, "Imaging")
    _write(
        run, name, instrument, primary, result.columns, result.ccds, pointing, result.n_raw, result.offsets,
        detector_limits(camera, result.parts),
    )  # fmt: skip
    if run.make_flare_gti:
        _write_flares(run, f"P{odf.obs_id}{instrument}{exp_id}FBK", primary, result.flares)
    _keep(run, camera, result.parts, result.backgrounds)
    return result


def detector_limits(camera: Camera, ccds: list[Ccd]) -> dict[str, tuple[int, int]]:
    """Least and greatest DETX and DETY of the chips with the scans beside the image, as in real lists."""
    x, y = (np.array([c.limits[0] - _BEYOND, c.limits[1] + _BEYOND]) for c in MOS_RAW)
    corners = [camera.geometry.raw_to_det(ccd.number, x[:, None], y, ccd.node) for ccd in ccds]
    names = ("DETX", "DETY")
    return {
        name: (
            int(np.floor(min(c[i].min() for c in corners))),
            int(np.ceil(max(c[i].max() for c in corners))),
        )
        for i, name in enumerate(names)
    }


def _keep(run: Run, camera: Camera, ccds: list[Ccd], backgrounds: Mapping[int, Any]) -> None:
    """Write the files of the steps in between that are wanted."""
    from daxa.xmm.instruments.mos import files

    for ccd in ccds:
        cards = files.plain_keywords(camera, ccd)
        names = {k: name(camera.instrument, camera.exp_id, ccd.name) for k, name in run.keep.items()}
        if "frames" in names:
            files.write(run.ctx, names["frames"], cards, files.frame_hdu(ccd, cards))
        if "gti" in names:
            files.write(run.ctx, names["gti"], cards, files.gti_hdu(ccd, cards))
        if "badpix" in names:
            files.write(run.ctx, names["badpix"], cards, files.badpix_hdu(ccd.found, cards))
        if "background" in names and ccd.name in backgrounds:
            image = files.background_image(backgrounds[ccd.name], ccd.shape)
            files.write(run.ctx, names["background"], {}, files.image_hdu(image, cards))


def _external_gti(run: Run, atthk: Any, instrument: str) -> GTI | None:
    """Good times from the user, from housekeeping and from the attitude."""
    gti = run.external_gti
    if instrument in run.housekeeping:
        good = run.housekeeping[instrument]
        gti = good if gti is None else gti & good
    if run.attitude_tolerance_deg is not None:
        time, off = atthk.columns["TIME"], atthk.columns["DAHFPNT"]
        step = float(np.median(np.diff(time))) if len(time) > 1 else 1.0
        good = np.nan_to_num(off, nan=np.inf) < run.attitude_tolerance_deg
        attitude = GTI(time[good] - 0.5 * step, time[good] + 0.5 * step * (1 + 1e-9))
        gti = attitude if gti is None else gti & attitude
    return gti


def _write(
    run: Run,
    name: str,
    instrument: str,
    primary: Mapping[str, Any],
    columns: Mapping[str, Any],
    ccds: Mapping[int, CcdExposure],
    pointing: tuple[float, float, float] | None,
    n_raw: int,
    offsets: Mapping[str, Any] | None = None,
    det_limits: Mapping[str, tuple[int, int]] | None = None,
) -> None:
    from daxa.xmm.event.eventlist import write_event_list
    from daxa.xmm.formats.eventlist import RAW_COLUMNS

    header = dict(primary)
    header["FILENAME"] = name
    header["ORIGIN"] = "DAXA"
    run.ctx.provenance(header)
    with run.ctx.output(name) as part:
        write_event_list(
            part,
            primary=header,
            columns=columns,
            ccds=ccds,
            more=RAW_COLUMNS if run.options.full_output and pointing is not None else (),
            offsets=offsets or None,
            sky={} if pointing is None else {"ra_deg": pointing[0], "dec_deg": pointing[1]},
            calindex=run.cal.calindex_hdu(_SCOPES[instrument]),
            prime_ccd=1,
            det_limits=det_limits,
        )
    run.ctx.info(f"{name}: {len(columns['TIME'])} of {n_raw} events, {len(ccds)} CCDs")


def _noise_tags(camera: Camera, result: ExposureResult) -> dict[str, tuple[bool, str]]:
    """LENOISnn of CCDs with strong noise at low energies (emtaglenoise)."""
    try:
        table = camera.table("SCREENTHRESH", "SCREEN_THRESH")
    except TaskError as error:
        camera.messages.warn("emtaglenoise", error.code, error.message)
        return {}
    c = result.columns
    corner = camera.geometry.in_corner(c["DETX"], c["DETY"])
    tags = {}
    for ccd in sorted(n for n in result.ccds if n != 1 and n < 10):
        pi = c["PI"][corner & (c["CCDNR"] == ccd)]
        hard = int(((pi >= 2500) & (pi <= 5000)).sum())
        soft = int(((pi >= 400) & (pi <= 800)).sum())
        row = np.flatnonzero(table["CCD_ID"] == ccd)
        if soft and len(row):
            noisy = bool(hard / soft < float(table["BAD"][row[0]]))
            tags[f"LENOIS{ccd:02d}"] = (noisy, f"hardness of the corners {hard / soft:.3f}")
    return tags


def _write_flares(run: Run, stem: str, primary: Mapping[str, Any], curve: FlareCurve) -> None:
    """Write the flare curve and its good times."""
    from daxa.xmm.fits.schema import make_table
    from daxa.xmm.instruments.mos.flares import CURVE_COLUMNS

    head = {k: v for k, v in primary.items() if k not in ("FRMTIME",)} | TIME_KEYWORDS
    first = primary_hdu()
    for key, value in head.items():
        first.header[key] = value
    run.ctx.provenance(first.header)
    extra = {"TIMEDEL": (curve.bin_s, "[s] bin"), "FLCUTTHR": (run.options.flare_max_rate, "threshold")}
    rate = make_table(CURVE_COLUMNS, curve.table(), "RATE", head | extra)
    with run.ctx.output(f"{stem}TSR0000.FIT") as part:
        write_hdus(part, [first, rate])
    gti = curve.gti(run.options.flare_max_rate).to_hdu("STDGTI")
    with run.ctx.output(f"{stem}GTI0000.FIT") as part:
        write_hdus(part, [first.copy(), gti])


def run_all(run: Run, wanted: list[tuple[str, str]]) -> None:
    """Process exposures; one that fails does not stop the others, but the task fails in the end."""
    failures: list[Exception] = []
    inputs = []
    for instrument, exp_id in wanted:
        try:
            result = process_exposure(run, instrument, exp_id)
            if result is not None:
                inputs.append(result.flare_input)
        except TaskError as error:
            if run.stop_on_error or len(wanted) == 1:
                raise
            run.ctx.warn(error.code, f"{instrument} {exp_id}: {error}")
            failures.append(error)
    if failures and len(failures) == len(wanted):
        raise failures[0]
    if run.make_flare_gti and run.global_flare and inputs:
        from daxa.xmm.instruments.mos.flares import mean_curve

        cards = {"TELESCOP": "XMM", "INSTRUME": "EMOS", "OBS_ID": run.odf.obs_id}
        _write_flares(run, f"P{run.odf.obs_id}EMX000FBK", cards, mean_curve(inputs, run.options.flare_bin_s))
