"""Processing one MOS exposure after the other, and writing what comes out.

Parameters
----------
instrument
    ``M1`` or ``M2``.
exp_id
    Identifier of the exposure, e.g. ``S001``.
odf
    The opened ODF.
camera
    The exposure.
run
    What the chain was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI, TIME_KEYWORDS
from daxa.xmm.event.parts import as_cards
from daxa.xmm.fits.hdus import primary_hdu, write_hdus
from daxa.xmm.formats.eventlist import MOS_RAW
from daxa.xmm.formats.instruments import INSTRUMENTS
from daxa.xmm.formats.odf import MOS_AUXILIARY
from daxa.xmm.instruments.keywords import Cards, merge_headers
from daxa.xmm.instruments.mos.calibration import noise_limits
from daxa.xmm.instruments.mos.content import SAID_OF_STEPS
from daxa.xmm.instruments.mos.exposure import Camera, Ccd, exposure_keywords, open_camera
from daxa.xmm.instruments.mos.flares import FlareCurve
from daxa.xmm.instruments.mos.options import Options
from daxa.xmm.instruments.mos.reduce import ExposureResult, StopAfterSearch, process
from daxa.xmm.instruments.mos.reduce_timing import TimingResult, process_timing
from daxa.xmm.odf.file import OdfFile
from daxa.xmm.odf.odf import Odf
from daxa.xmm.odf.table import OdfTable
from daxa.xmm.task import TaskContext

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.event.parts import CcdExposure
    from daxa.xmm.sky.attitude import AttHk

FloatArray = npt.NDArray[np.float64]
#: Constituents listed in the product's CALINDEX.
_SCOPES = {"M1": ("EMOS1", "XRT1", "XMM"), "M2": ("EMOS2", "XRT2", "XMM")}
#: Energies [eV] that tell noise at low energies from the usual background.
_SOFT_EV, _HARD_EV = (400, 800), (2500, 5000)
#: Pixels beyond those of RAWX and RAWY that the ranges of DETX and DETY hold.
_BEYOND = 1
#: File types that are reduced, and how the products are called. CCDs in reduced imaging join the others.
_KINDS = {"IME": "Imaging", "RIE": "Imaging", "TIE": "Timing", "CTE": "Timing"}


@dataclass(frozen=True)
class FileNames:
    """Names of files, as patterns.

    Their fields are ``instrument`` (M1), ``scope`` (EMOS1), ``exp_id`` (S001), and of CCDs ``ccd`` (as in
    merged lists), ``number`` and ``node``.

    Attributes
    ----------
    lists
        Of event lists, by kind: Imaging, Timing.
    between
        Of the files of the steps in between, by kind (frames, gti, badpix, background); none are written of
        kinds that are absent.
    """

    lists: Mapping[str, str]
    between: Mapping[str, str] = field(default_factory=dict)

    def event_list(self, instrument: str, exp_id: str, kind: str) -> str:
        """Name of an event list.

        Parameters
        ----------
        kind
            ``Imaging`` or ``Timing``.
        """
        return self._filled(self.lists[kind], instrument, exp_id)

    def of_ccd(self, instrument: str, exp_id: str, ccd: int) -> dict[str, str]:
        """Names of the files of a CCD that are written, by kind.

        Parameters
        ----------
        ccd
            Number of the CCD.
        """
        return {kind: self._filled(text, instrument, exp_id, ccd) for kind, text in self.between.items()}

    @staticmethod
    def _filled(text: str, instrument: str, exp_id: str, ccd: int = 0) -> str:
        number, node = ccd % 10, ccd // 10
        scope = INSTRUMENTS[instrument]
        return text.format(
            instrument=instrument, scope=scope, exp_id=exp_id, ccd=ccd, number=number, node=node
        )


@dataclass(frozen=True)
class Selection:
    """Which files of an exposure are processed: their CCDs (none: all) and types."""

    ccds: tuple[int, ...] = ()
    types: tuple[str, ...] = tuple(_KINDS)

    def wanted(self, odf: Odf, instrument: str, exp_id: str) -> list[OdfFile]:
        """Event files of the chosen CCDs and types."""
        return [
            f
            for f in odf.science_files(instrument, exp_id)
            if f.name.file_type in self.types and (not self.ccds or f.name.ccd in self.ccds)
        ]

    def files(self, odf: Odf, instrument: str, exp_id: str) -> tuple[list[OdfFile], list[OdfFile]]:
        """Event files in imaging modes, and those in timing modes.

        Raises
        ------
        TaskError
            ``MissingData``: there are none.
        """
        wanted = self.wanted(odf, instrument, exp_id)
        if not wanted:
            raise TaskError(
                "MissingData",
                f"{odf.folder}: {instrument} {exp_id} has no event file of the chosen CCDs and modes",
            )
        imaging, timing = (
            [f for f in wanted if _KINDS[f.name.file_type] == kind] for kind in ("Imaging", "Timing")
        )
        return imaging, timing


@dataclass(frozen=True)
class GoodTimes:
    """Good times besides those of the frames.

    Attributes
    ----------
    external, housekeeping
        From the user; from housekeeping, per camera.
    attitude_tolerance_deg
        Greatest distance from the median pointing; None: any.
    """

    external: GTI | None = None
    housekeeping: Mapping[str, GTI] = field(default_factory=dict)
    attitude_tolerance_deg: float | None = None

    def of(self, instrument: str, time_s: FloatArray, off_deg: FloatArray) -> GTI | None:
        """Good times of a camera; None: all.

        Parameters
        ----------
        time_s, off_deg
            Times of the attitude, and its distances from the median pointing.
        """
        parts = [self.external, self.housekeeping.get(instrument)]
        if self.attitude_tolerance_deg is not None:
            step = float(np.median(np.diff(time_s))) if len(time_s) > 1 else 1.0
            good = np.nan_to_num(off_deg, nan=np.inf) < self.attitude_tolerance_deg
            parts.append(GTI(time_s[good] - 0.5 * step, time_s[good] + 0.5 * step * (1 + 1e-9)))
        gti: GTI | None = None
        for part in parts:
            if part is not None:
                gti = part if gti is None else gti & part
        return gti


@dataclass(frozen=True)
class Reference:
    """Where the exposures point: RA, Dec and position angle [deg] from the user, else of the attitude."""

    fixed: tuple[float, float, float] | None = None
    mean: bool = False

    def pointing(self, atthk: AttHk) -> tuple[float, float, float]:
        """Right ascension, declination, position angle [deg].

        Parameters
        ----------
        atthk
            The attitude.
        """
        return self.fixed or (atthk.mean if self.mean else atthk.median)


@dataclass(frozen=True)
class Extras:
    """What else a chain does, and when it ends."""

    stop_on_error: bool = False
    stop_after_search: bool = False
    tag_low_energy_noise: bool = False
    flare_gti: bool = False
    global_flare: bool = False


@dataclass(frozen=True)
class Run:
    """One call of emchain or emproc."""

    ctx: TaskContext
    odf: Odf
    cal: Calibration
    options: Options
    atthk: Path
    names: FileNames
    selection: Selection = Selection()
    good_times: GoodTimes = GoodTimes()
    reference: Reference = Reference()
    extras: Extras = Extras()

    def event_lists(self, instrument: str, exp_id: str) -> list[str]:
        """Names of the event lists that the chosen files of an exposure make."""
        types = {f.name.file_type for f in self.selection.wanted(self.odf, instrument, exp_id)}
        kinds = dict.fromkeys(kind for name, kind in _KINDS.items() if name in types)
        return [self.names.event_list(instrument, exp_id, kind) for kind in kinds]

    def header(self, camera: Camera, data_mode: str, made: ExposureResult | TimingResult) -> Cards:
        """Keywords of an event list.

        Parameters
        ----------
        data_mode
            DATAMODE.
        made
            What the exposure has become.
        """
        span = made.start_s, made.stop_s
        cards = exposure_keywords(camera, data_mode, span, self.reference.mean)
        return merge_headers(cards, made.headers)


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
    imaging, timing = run.selection.files(odf, instrument, exp_id)
    atthk = AttHk.read(run.atthk)
    gti = run.good_times.of(instrument, atthk.columns["TIME"], atthk.columns["DAHFPNT"])
    pointing = run.reference.pointing(atthk)
    camera = open_camera(ctx, odf, run.cal, instrument, exp_id, run.options, pointing, gti)
    auxiliary = odf.one(instrument, "AUX", exp_id=exp_id).read(1, MOS_AUXILIARY)
    failed = [not _timing_list(run, camera, file, auxiliary, alone=not imaging) for file in timing]
    if not imaging:
        return None
    return _imaging_list(run, camera, imaging, auxiliary, alone=not timing or any(failed))


def _timing_list(run: Run, camera: Camera, file: OdfFile, auxiliary: OdfTable, *, alone: bool) -> bool:
    """Write the list of the CCD in timing mode; False if it fails, unless the exposure has nothing else."""
    run.ctx.info(f"Processing data set: {file.path}")
    try:
        lines = process_timing(camera, file, auxiliary)
    except TaskError as error:
        # The imaging CCDs do not need this one.
        if run.extras.stop_on_error or alone:
            raise
        run.ctx.warn(error.code, f"{error.message}; CCD {file.name.ccd} is left out")
        return False
    name = run.names.event_list(camera.instrument, camera.exp_id, "Timing")
    ccds = {lines.ccd: lines.exposure}
    header = run.header(camera, "TIMING", lines)
    _write(run, name, camera.instrument, header, lines.columns, ccds, None, lines.n_raw)
    return True


def _imaging_list(
    run: Run, camera: Camera, files: list[OdfFile], auxiliary: OdfTable, *, alone: bool
) -> ExposureResult | None:
    """Write the list of the imaging CCDs and what goes with it; None if they fail beside another list."""
    instrument, exp_id, extras = camera.instrument, camera.exp_id, run.extras
    try:
        result = process(
            camera,
            files,
            auxiliary,
            stop_on_error=extras.stop_on_error,
            stop_after_search=extras.stop_after_search,
        )
    except StopAfterSearch as stopped:
        _keep(run, camera, stopped.ccds, {})
        return None
    except TaskError as error:
        if extras.stop_on_error or alone:
            raise
        run.ctx.warn(error.code, f"{instrument} {exp_id}: {error.message}; there is no imaging list")
        return None
    primary = run.header(camera, "IMAGING", result)
    if extras.tag_low_energy_noise:
        primary = merge_headers(primary, _noise_tags(camera, result))
    name = run.names.event_list(instrument, exp_id, "Imaging")
    _write(
        run, name, instrument, primary, result.columns, result.ccds, camera.pointing, result.n_raw,
        result.offsets, detector_limits(camera, result.parts),
    )  # fmt: skip
    if extras.flare_gti:
        _write_flares(run, f"P{run.odf.obs_id}{instrument}{exp_id}FBK", primary, result.flares)
    _keep(run, camera, result.parts, result.backgrounds)
    return result


def detector_limits(camera: Camera, ccds: list[Ccd]) -> dict[str, tuple[int, int]]:
    """Least and greatest DETX and DETY of the chips with the scans beside the image, as in real lists.

    Parameters
    ----------
    ccds
        The CCDs.
    """
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
        # Found bad pixels are older than the events and energies of the list.
        cards = files.plain_keywords(camera, ccd, ("emframes",))
        names = run.names.of_ccd(camera.instrument, camera.exp_id, ccd.name)
        if "frames" in names:
            files.write(run.ctx, names["frames"], cards, files.frame_hdu(ccd, cards))
        if "gti" in names:
            files.write(run.ctx, names["gti"], cards, files.gti_hdu(ccd, cards))
        if "badpix" in names:
            files.write(run.ctx, names["badpix"], cards, files.badpix_hdu(ccd.found, cards))
        if "background" in names and ccd.name in backgrounds:
            image = files.background_image(backgrounds[ccd.name], ccd.shape)
            cards = files.plain_keywords(camera, ccd, SAID_OF_STEPS)
            files.write(run.ctx, names["background"], {}, files.image_hdu(image, cards))


def _write(
    run: Run,
    name: str,
    instrument: str,
    primary: Cards,
    columns: Mapping[str, Any],
    ccds: Mapping[int, CcdExposure],
    pointing: tuple[float, float, float] | None,
    n_raw: int,
    offsets: Mapping[str, Any] | None = None,
    det_limits: Mapping[str, tuple[int, int]] | None = None,
) -> None:
    from daxa.xmm.event.eventlist import write_event_list
    from daxa.xmm.formats.eventlist import RAW_COLUMNS

    header: dict[str, Any] = {**primary, "FILENAME": (name, ""), "ORIGIN": ("DAXA", "")}
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


def _noise_tags(camera: Camera, result: ExposureResult) -> Cards:
    """LENOISnn of CCDs with strong noise at low energies (emtaglenoise)."""
    try:
        limits = noise_limits(camera)
    except TaskError as error:
        camera.messages.warn("emtaglenoise", error.code, error.message)
        return {}
    c = result.columns
    corner = camera.geometry.in_corner(c["DETX"], c["DETY"])
    # CCD 1 has no corner, and second nodes none of their own.
    ccds = sorted(n for n in result.ccds if n != 1 and n < 10)
    hardness = {n: corner_hardness(c["PI"][corner & (c["CCDNR"] == n)]) for n in ccds}
    return {
        f"LENOIS{ccd:02d}": (ratio < limits[ccd], f"hardness of the corners {ratio:.3f}")
        for ccd, ratio in hardness.items()
        if ratio is not None and ccd in limits
    }


def corner_hardness(pi_ev: npt.NDArray[np.integer]) -> float | None:
    """Events of 2.5 to 5 keV over those of 0.4 to 0.8 keV; None if there are none of the latter.

    Parameters
    ----------
    pi_ev
        Energies of the events in the corners [eV].
    """
    hard = int(((pi_ev >= _HARD_EV[0]) & (pi_ev <= _HARD_EV[1])).sum())
    soft = int(((pi_ev >= _SOFT_EV[0]) & (pi_ev <= _SOFT_EV[1])).sum())
    return hard / soft if soft else None


def _write_flares(run: Run, stem: str, primary: Cards, curve: FlareCurve) -> None:
    """Write the flare curve and its good times."""
    from daxa.xmm.fits.schema import make_table
    from daxa.xmm.instruments.mos.flares import CURVE_COLUMNS

    head = {k: v for k, v in primary.items() if k not in ("FRMTIME",)} | TIME_KEYWORDS
    first = primary_hdu()
    for key, card in head.items():
        first.header[key] = card
    run.ctx.provenance(first.header)
    extra: Cards = {
        "TIMEDEL": (curve.bin_s, "[s] bin"),
        "FLCUTTHR": (run.options.flare_max_rate, "threshold"),
    }
    rate = make_table(CURVE_COLUMNS, curve.table(), "RATE", head | extra)
    with run.ctx.output(f"{stem}TSR0000.FIT") as part:
        write_hdus(part, [first, rate])
    gti = curve.gti(run.options.flare_max_rate).to_hdu("STDGTI")
    with run.ctx.output(f"{stem}GTI0000.FIT") as part:
        write_hdus(part, [first.copy(), gti])


def run_all(run: Run, wanted: list[tuple[str, str]]) -> None:
    """Process exposures; one that fails is left out with a warning.

    Parameters
    ----------
    wanted
        Instrument and identifier of each exposure.

    Raises
    ------
    TaskError
        All of them failed (or the first, with ``stop_on_error``).
    """
    failures: list[Exception] = []
    inputs = []
    for instrument, exp_id in wanted:
        try:
            result = process_exposure(run, instrument, exp_id)
            if result is not None:
                inputs.append(result.flare_input)
        except TaskError as error:
            if run.extras.stop_on_error or len(wanted) == 1:
                raise
            run.ctx.warn(error.code, f"{instrument} {exp_id}: {error}")
            failures.append(error)
    if failures and len(failures) == len(wanted):
        raise failures[0]
    if run.extras.flare_gti and run.extras.global_flare and inputs:
        from daxa.xmm.instruments.mos.flares import mean_curve

        cards = as_cards({"TELESCOP": "XMM", "INSTRUME": "EMOS", "OBS_ID": run.odf.obs_id})
        _write_flares(run, f"P{run.odf.obs_id}EMX000FBK", cards, mean_curve(inputs, run.options.flare_bin_s))
