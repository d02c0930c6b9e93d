"""One pn exposure of an ODF: its files, mode, clock and pointing, and the keywords of its products.

Parameters
----------
ccd
    Number of the CCD.
"""

from __future__ import annotations

import contextlib
import warnings as python_warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from daxa.xmm.ccf.pn_times import PnTimes
from daxa.xmm.errors import TaskError
from daxa.xmm.formats.instruments import PN_MODE_IDS
from daxa.xmm.instruments.keywords import Cards, merge_headers
from daxa.xmm.instruments.pn.calibration import PnCalibration
from daxa.xmm.instruments.pn.clock import FAST_MODES, LineClock
from daxa.xmm.instruments.pn.frames import discarded_fraction
from daxa.xmm.instruments.pn.housekeeping import Housekeeping, mean_in_exposure
from daxa.xmm.instruments.pn.raw import (
    Auxiliary,
    RawEvents,
    check_header,
    discarded_lines,
    read_window,
)
from daxa.xmm.instruments.pn.readout import ExposureClock, Quadrant
from daxa.xmm.sky.attitude import attitude_source

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.formats.summary import AsciiSummary, SasSummary
    from daxa.xmm.odf.file import OdfFile
    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.odf.times import TimeCorrelation
    from daxa.xmm.sky.attitude import Attitude
    from daxa.xmm.sky.geometry import CameraGeometry

#: DATAMODE -> type of the event files.
FILE_TYPES = {"IMAGING": "IME", "TIMING": "TIE", "BURST": "BUE"}
_CCDS_PER_QUADRANT = 3
#: Housekeeping of the temperature of each quadrant box.
BOX_TEMPERATURES = ("F1576", "F1676", "F1776", "F1876")
#: Modes that all CCDs are read in.
_ALL_CCDS = ("PrimeFullWindow", "PrimeFullWindowExtended", "PrimeLargeWindow")
#: CCDSMODE of real headers; those of the other modes are not known.
_CCD_SUBMODES = {"PrimeFullWindow": 0, "PrimeFullWindowExtended": 20, "FastTiming": 23}
#: Length of a revolution of the satellite [s].
_LONGEST_S = 172_400.0

Warn = Callable[[str, str], None]


@dataclass(frozen=True)
class Sky:
    """Camera, attitude, and pointing [deg] whose direction is the tangent point of sky coordinates."""

    geometry: CameraGeometry
    attitude: Attitude
    ra_deg: float
    dec_deg: float
    pa_deg: float
    average: str = "MEDIAN"

    def camera_pixel(self, ra_deg: float, dec_deg: float) -> tuple[int, float, float]:
        """CCD (0: none), RAWX and RAWY of a direction when the camera points at the tangent point.

        Parameters
        ----------
        ra_deg, dec_deg
            The direction [deg].
        """
        det = self.geometry.sky_to_det(ra_deg, dec_deg, self.ra_deg, self.dec_deg, self.pa_deg)
        ccd, x, y = self.geometry.det_to_raw(*det)
        return int(ccd), float(x), float(y)


@dataclass
class PnExposure:
    """A pn exposure, opened.

    Attributes
    ----------
    odf, exp_id, data_mode
        Where it is, which one (``S003``) and its kind: IMAGING, TIMING or BURST.
    files
        Event file of each CCD.
    cal
        The calibration set.
    warn
        Where warnings go: code and message.
    """

    odf: Odf
    exp_id: str
    data_mode: str
    files: dict[int, OdfFile]
    cal: Calibration
    warn: Warn

    @classmethod
    def open(
        cls,
        odf: Odf,
        exp_id: str,
        data_mode: str,
        ccds: Sequence[int],
        cal: Calibration,
        warn: Warn,
    ) -> PnExposure:
        """Find the event files of an exposure.

        Parameters
        ----------
        odf
            The opened ODF.
        exp_id
            Identifier of the exposure, e.g. ``S003``.
        data_mode
            DATAMODE.
        ccds
            Numbers of the CCDs.
        cal
            The calibration.
        warn
            Given code and text of each warning.

        Raises
        ------
        TaskError
            ``exposure``: it has no event file of the wanted CCDs and kind. ``syntheticCalibration``: one of
            both is made up.
        """
        cal.refuse(odf)
        file_type = FILE_TYPES[data_mode]
        found = {f.name.ccd: f for f in odf.find("PN", file_type, exp_id)}
        files = {ccd: found[ccd] for ccd in sorted(set(ccds)) if ccd in found}
        if not files:
            raise TaskError(
                "exposure",
                f"{odf.folder}: no {file_type} file of exposure PN{exp_id} for CCD(s) "
                f"{','.join(map(str, ccds))}",
            )
        return cls(odf, exp_id, data_mode, files, cal, warn)

    # --- what the file headers say ---

    @cached_property
    def _headers(self) -> dict[int, tuple[Any, Any]]:
        """Headers of the event files that can be read."""
        headers = {}
        for ccd, file in self.files.items():
            try:
                headers[ccd] = file.headers()
                for header in headers[ccd]:
                    check_header(header, file.path.name)
            except TaskError as error:
                headers.pop(ccd, None)
                self.warn("notInODF", error.message)
        if not headers:
            raise TaskError("noEvents", f"exposure PN{self.exp_id}: none of its event files can be read")
        return headers

    def header(self, ccd: int) -> Any:
        """Header of the event table of a CCD.

        Raises
        ------
        TaskError
            ``notInODF``: it was refused; a warning has said why.
        """
        if ccd not in self._headers:
            raise TaskError("notInODF", f"{self.files[ccd].path.name}: its header is refused, as said above")
        return self._headers[ccd][1]

    def keyword(self, name: str, default: Any = None) -> Any:
        """A keyword of the first event file that has it readable, of its extension or primary header.

        Parameters
        ----------
        name
            The keyword.
        default
            What to give where no file has it.
        """
        for primary, header in self._headers.values():
            for cards in (header, primary):
                if name in cards:
                    # Those that are needed have been checked.
                    with contextlib.suppress(TaskError):
                        return cards[name]
        return default

    @cached_property
    def submode(self) -> str:
        """SUBMODE of the exposure."""
        from daxa.xmm.odf.modes import pn_mode

        mode = self.keyword("CCDMODE")
        types = {ccd: f.name.file_type for ccd, f in self.files.items()}
        frame_ms = self.keyword("FRMTIME")
        frame_ms = frame_ms if isinstance(frame_ms, (int, float)) else None
        name = pn_mode(types, None if mode is None else int(mode), frame_ms, self.wait_states)
        known = self.summary.exposure("PN", self.exp_id) if self.summary else None
        if name is None and known is not None:
            name = known.mode
        if name not in PN_MODE_IDS:
            raise TaskError(
                "wrongMode", f"exposure PN{self.exp_id}: CCDMODE {mode!r} is not a science mode of the pn"
            )
        if known is not None and known.mode in PN_MODE_IDS and known.mode != name:
            self.warn("changedMode", f"the summary file says {known.mode}, the event files {name}")
        return name

    @cached_property
    def wait_states(self) -> int | None:
        """Wait states of the quadrants (F1294), which make full frame an extended one; None if unknown."""
        try:
            return int(float(self.housekeeping.value("F1294")))
        except (TaskError, ValueError):
            return None

    @cached_property
    def calibration(self) -> PnCalibration:
        """The calibration for the mode and time of the exposure."""
        return PnCalibration(self.cal, self.submode, self.start_s, self.odf.revolution)

    @cached_property
    def timing(self) -> PnTimes:
        """Clock of the exposure; extended full frame may run with a longer wait than the calibration's."""
        timing = self.calibration.times
        header_ms = self.keyword("FRMTIME", 0.0)
        header_s = header_ms / 1000.0 if isinstance(header_ms, (int, float)) else 0.0
        longer = header_s - timing.frame_s
        # Headers may round to full milliseconds.
        if header_s <= 0 or abs(longer) < 0.002:
            return timing
        self.warn(
            "changedMode",
            f"FRMTIME of the event files is {header_s * 1000:g} ms, but {self.submode} has "
            f"{timing.frame_s * 1000:g} ms in the calibration; the header is taken",
        )
        # The stamp follows the integration, whose centre lies half of the longer wait earlier.
        earlier = tuple(c - longer / 2 for c in timing.correction_s)
        return replace(timing, frame_s=header_s, correction_s=earlier)

    def line_clock(self, ccd: int) -> LineClock | None:
        """How lines of a frame count time; None in imaging modes."""
        if self.submode not in FAST_MODES:
            return None
        return self.calibration.line_clock(self.timing.correction_s[ccd - 1])

    # --- summary and housekeeping ---

    @cached_property
    def summary(self) -> SasSummary | None:
        """The SUM.SAS of the ODF, if odfingest has made one."""
        from daxa.xmm.formats.summary import read_sas_summary

        if self.odf.sas_summary is None:
            return None
        try:
            return read_sas_summary(self.odf.sas_summary)
        except (OSError, ValueError) as error:
            self.warn("illegalODF", f"{self.odf.sas_summary.name}: {error}")
            return None

    @cached_property
    def proposal(self) -> AsciiSummary | None:
        """The SUM.ASC of the ODF: target, position, times of the observation."""
        from daxa.xmm.formats.summary import read_ascii_summary

        file = self.odf.ascii_summary
        if file is None:
            return None
        try:
            return read_ascii_summary(file.path)
        except (OSError, ValueError) as error:
            self.warn("illegalODF", f"{file.path.name}: {error}")
            return None

    @cached_property
    def housekeeping(self) -> Housekeeping:
        """Main periodic housekeeping."""
        return Housekeeping.read(self.odf, (self.start_s, self.stop_s), self.warn)

    @cached_property
    def filter(self) -> str:
        """Filter of the exposure."""
        known = self.summary.exposure("PN", self.exp_id) if self.summary else None
        if known is not None and known.filter:
            return known.filter
        return self.housekeeping.filter

    def gain_temperature(self, quadrant: int) -> float | None:
        """Mean temperature of a quadrant box in the exposure [deg C]; None, with a warning, if unknown.

        Parameters
        ----------
        quadrant
            Number of the quadrant.
        """
        name = BOX_TEMPERATURES[quadrant]
        mean = mean_in_exposure(self.odf.find("PN", "PAH"), name, (self.start_s, self.stop_s), self.warn)
        if mean is None:
            self.warn(
                "noGainTemperature", f"quadrant {quadrant}: no temperature ({name}) in the housekeeping"
            )
        return mean

    # --- events, frames and the clock ---

    def events(self, ccd: int) -> RawEvents:
        """The telemetry of a CCD.

        Raises
        ------
        TaskError
            See :meth:`RawEvents.read`.
        """
        discarded = discarded_lines(self.odf, self.exp_id, ccd, self.warn)
        return RawEvents.read(self.files[ccd], ccd, discarded)

    @cached_property
    def auxiliary(self) -> Auxiliary:
        """Frames and counters."""
        return Auxiliary.read(self.odf, self.exp_id, self.warn)

    def quadrant(self, number: int, frames_per_record: int) -> Quadrant:
        """What the CCDs of a quadrant share.

        Parameters
        ----------
        number
            Number of the quadrant.
        frames_per_record
            Frames that a counter record covers, where housekeeping does not tell.
        """
        auxiliary = self.auxiliary
        record, discarded = auxiliary.records(number)
        left = np.empty(0)
        if len(record):
            n_frames = int(self.housekeeping.value(f"A{number}_MAXFRC", frames_per_record))
            n_ccds = self.housekeeping.active_ccds(number) if self.submode in _ALL_CCDS else 1
            left = discarded_fraction(discarded, n_ccds, n_frames)
        return Quadrant(number, auxiliary.sent[number], record, left, auxiliary.last_cycle)

    @cached_property
    def clock(self) -> ExposureClock:
        """What its frames are timed with."""
        return ExposureClock(
            self.timing,
            self.time_correlation,
            self.housekeeping.reset_s,
            self.housekeeping.wrap_s,
            self.start_s,
            self.stop_s,
            self.auxiliary.reset_frames(round(self.timing.fifo_s / self.timing.frame_s)),
        )

    @cached_property
    def time_correlation(self) -> TimeCorrelation:
        """Relation of the on-board clock to TT."""
        from daxa.xmm.odf.times import TimeCorrelation

        return TimeCorrelation.from_odf(self.odf)

    @cached_property
    def start_s(self) -> float:
        """Mission time of DATE-OBS."""
        from daxa.xmm.odf.times import is_date, utc_to_tt

        dates = [c["DATE-OBS"] for pair in self._headers.values() for c in pair if "DATE-OBS" in c]
        text = next(filter(is_date, dates), self.keyword("DATE-OBS"))
        try:
            return float(utc_to_tt(str(text)))
        except ValueError:
            raise TaskError(
                "illegalODF", f"exposure PN{self.exp_id}: DATE-OBS {text!r} of the event files is not a date"
            ) from None

    @cached_property
    def stop_s(self) -> float:
        """Mission time of DATE-END; without one, as late as exposures can be."""
        from daxa.xmm.odf.times import utc_to_tt

        text = self.keyword("DATE-END")
        try:
            return float(utc_to_tt(str(text)))
        except ValueError:
            self.warn(
                "illegalODF",
                f"exposure PN{self.exp_id}: DATE-END {text!r} of the event files is not a date; it is taken "
                "to last a whole revolution",
            )
            return self.start_s + _LONGEST_S

    # --- keywords of products ---

    def keywords(self) -> Cards:
        """Keywords of the primary header, those of the attitude excepted."""
        slew = bool(self.proposal and self.proposal.slew)
        start, stop = self.keyword("DATE-OBS", ""), self.keyword("DATE-END", "")
        exposure: Cards = {
            "TELESCOP": ("XMM", "Telescope (mission) name"),
            "INSTRUME": ("EPN", ""),
            "REVOLUT": (f"{self.odf.revolution:04d}", "XMM revolution number"),
            "OBS_MODE": ("SLEW" if slew else "POINTING", "Observation mode"),
            "OBS_ID": (self.odf.obs_id, "Observation identifier"),
            "EXP_ID": (self.odf.obs_id + self.exp_id[1:], "Exposure identifier"),
            "EXPIDSTR": (self.exp_id, "Exposure identifier (Xnnn)"),
            "DATAMODE": (self.data_mode, ""),
            "SUBMODE": (self.submode, "Guest Observer mode"),
            "FILTER": (self.filter, "Filter ID"),
            "FRMTIME": (round(self.timing.frame_s * 1000), "[ms] Frame Time, nearest integer"),
            "CONTENT": (f"EPIC PN {self.data_mode} MODE EVENT LIST", "Contents of this file"),
            "DATE-OBS": (start, "Start Time (UTC) of exposure"),
            "DATE-END": (stop, "End Time (UTC) of exposure"),
            "EXPSTART": (start, "Start Time (UTC) of exposure"),
            "EXPSTOP": (stop, "End Time (UTC) of exposure"),
        }
        delivery: Cards = {key: (self.keyword(key), "") for key in ("ODSVER", "ODSCHAIN")}
        sources: Cards = {
            "ATT_SRC": (attitude_source(self.odf), "Source of attitude data (AHF|RAF|THF)"),
            "ORB_RCNS": (True, "Reconstructed orbit data used?"),
        }
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore")
            times = self.time_correlation.keywords()
        return merge_headers(exposure, self._proposal_keywords(), delivery, sources, times)

    def _proposal_keywords(self) -> Cards:
        """What the summary file says of the observation and its target."""
        from daxa.xmm.odf.times import utc_to_tt

        proposal = self.proposal
        if proposal is None:
            return {}
        cards: Cards = {
            "OBJECT": (proposal.target, "Name of observed object"),
            "OBSERVER": (proposal.observer, "Name of PI"),
        }
        for key in ("DATE_OBS", "OBSSTART"):
            cards[key] = (proposal.start, "Start Time (UTC) of observation")
        for key in ("DATE_END", "OBSSTOP"):
            cards[key] = (proposal.end, "End Time (UTC) of observation")
        try:
            duration = float(utc_to_tt(proposal.end) - utc_to_tt(proposal.start))
            cards["DURATION"] = (duration, "[s] Duration of observation")
        except ValueError:
            self.warn("illegalODF", "start or end of the observation in the summary file is not a date")
        if proposal.ra_deg is not None and proposal.dec_deg is not None:
            cards["RA_OBJ"] = (proposal.ra_deg, "[deg] Ra of the observed object")
            cards["DEC_OBJ"] = (proposal.dec_deg, "[deg] Dec of the observed object")
            cards["RA_NOM"] = (proposal.nominal_ra_deg, "[deg] Ra of boresight")
            cards["DEC_NOM"] = (proposal.nominal_dec_deg, "[deg] Dec of boresight")
        return cards

    def ccd_keywords(self, ccd: int) -> Cards:
        """Keywords of the extensions of one CCD."""
        timing, header = self.timing, self.header(ccd)
        window = read_window(header)
        quadrant = (ccd - 1) // _CCDS_PER_QUADRANT
        chopped = int(self.housekeeping.value(f"A{quadrant}_CHOP", 0))
        known = self.submode in _CCD_SUBMODES
        return {
            "QUADRANT": (quadrant, "Quadrant ID"),
            "CCDID": ((ccd - 1) % _CCDS_PER_QUADRANT, "CCD ID"),
            "CCDNODE": (0, "read-out node"),
            "CCDMODE": (int(header.get("CCDMODE", -1)), "CCD Mode"),
            "FRMTIME": (timing.frame_s * 1000, "[ms] Nominal frame time"),
            "FRAMETIM": (timing.frame_s * 1000, "[ms] nominal frame time"),
            "WINDOWX0": (window[0], "X coordinate of bottom left corner of window"),
            "WINDOWY0": (window[1], "Y coordinate of bottom left corner of window"),
            "WINDOWDX": (window[2], "Size, along x-axis, of window"),
            "WINDOWDY": (window[3], "Size, along y-axis, of window"),
            "TIMEDEL": (timing.integration_s, "[s] integration time of a frame"),
            "AX_FC0": (timing.live, "mode dependent constant livetime"),
            "AN_CHOP": (chopped, "frames skipped before one is analysed"),
            "AX_FC3": (1 / (1 + chopped), "chopper dependent constant livetime"),
            "JUMP_TOL": (
                timing.jump_units,
                "[FTFINE] OAL tolerance for time jump handling",
            ),
            "F1294": (self.wait_states or 0, "Quadrant wait states"),
            **({"CCDSMODE": (_CCD_SUBMODES[self.submode], "CCD sub-mode")} if known else {}),
        }
