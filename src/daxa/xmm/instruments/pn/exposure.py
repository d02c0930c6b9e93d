"""One pn exposure of an ODF: its files, mode, clock and housekeeping, and the keywords of its products."""

from __future__ import annotations

import warnings as python_warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.ccf.pn_times import PnTimes, pn_times
from daxa.xmm.errors import TaskError
from daxa.xmm.formats.instruments import PN_MODE_IDS, PN_SHAPE
from daxa.xmm.formats.odf import (
    PN_AUXILIARY_CYCLES,
    PN_AUXILIARY_FRAMES,
    PN_FILTER_CODES,
    PN_FILTER_TOLERANCE_DEG,
    PN_FTFINE_UNIT_S,
    unsigned,
)
from daxa.xmm.instruments.pn.clock import FAST_MODES, LineClock
from daxa.xmm.instruments.pn.frames import gap_lengths, reset_length, sorted_unique
from daxa.xmm.instruments.pn.raw import check_header, read_window
from daxa.xmm.sky.attitude import attitude_source

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.formats.summary import AsciiSummary, SasSummary
    from daxa.xmm.odf.file import OdfFile
    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.odf.table import OdfTable
    from daxa.xmm.odf.times import TimeCorrelation

#: DATAMODE -> type of the event files.
FILE_TYPES = {"IMAGING": "IME", "TIMING": "TIE", "BURST": "BUE"}
#: Coarse time of a frame whose time was lost.
NO_TIME = 65535
_CCDS_PER_QUADRANT = 3
#: Housekeeping of the temperature of each quadrant box.
BOX_TEMPERATURES = ("F1576", "F1676", "F1776", "F1876")
#: CCDSMODE of real headers; those of the other modes are not known.
_CCD_SUBMODES = {"PrimeFullWindow": 0, "PrimeFullWindowExtended": 20, "FastTiming": 23}
#: Length of a revolution of the satellite [s].
_LONGEST_S = 172_400.0

Warn = Callable[[str, str], None]


@dataclass
class PnExposure:
    """A pn exposure, opened.

    Attributes
    ----------
    odf, exp_id, data_mode
        Where it is, which one (``S003``) and its kind: IMAGING, TIMING or BURST.
    files
        Event file of each CCD.
    warn
        Where warnings go: code and message.
    """

    odf: Odf
    exp_id: str
    data_mode: str
    files: dict[int, OdfFile]
    cal: Calibration
    warn: Warn
    _sent: dict[int, npt.NDArray[np.int64]] = field(default_factory=dict, repr=False)

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
        """A keyword of the first readable event file, of its extension or primary header."""
        for primary, header in self._headers.values():
            for cards in (header, primary):
                if name in cards:
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
            return int(float(self.hk("F1294")))
        except (TaskError, ValueError):
            return None

    @property
    def mode_id(self) -> int:
        """MODE_ID of the calibration tables."""
        return PN_MODE_IDS[self.submode]

    @cached_property
    def timing(self) -> PnTimes:
        """Clock of the exposure; extended full frame may run with a longer wait than the calibration's."""
        timing = pn_times(self.cal, self.submode, self.odf.revolution)
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
        return LineClock.from_calibration(
            self.cal, self.mode_id, PN_SHAPE[1], self.timing.correction_s[ccd - 1]
        )

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
    def housekeeping(self) -> OdfTable:
        """Main periodic housekeeping."""
        files = self.odf.find("PN", "PMH")
        if not files:
            raise TaskError("noPNPMH1", f"{self.odf.folder}: no main periodic housekeeping of pn (PMH)")
        return files[0].read(1)

    def _inside(self, table: OdfTable) -> npt.NDArray[np.bool_]:
        """Rows of housekeeping taken during the exposure; all of them if there is none."""
        from daxa.xmm.odf.times import housekeeping_times

        time = housekeeping_times(table["TIME"], table.where)
        inside = (time >= self.start_s) & (time <= self.stop_s)
        return inside if inside.any() else np.ones(len(time), bool)

    def hk(self, name: str, default: Any = None) -> Any:
        """Most frequent value of a housekeeping column in the exposure, or the default if it is missing.

        A missing column (with a default) and one of the switches that changes are warned of.
        """
        table = self.housekeeping
        if name not in table.columns or not len(table):
            if default is None:
                raise TaskError("misHKcolumn", f"{table.where}: no values of {name}")
            self.warn("misHKcolumn", f"{table.where}: no values of {name}, {default} is taken")
            return default
        values, counts = np.unique(table[name][self._inside(table)], return_counts=True)
        if len(values) > 1 and name.startswith(("A", "F1052")):
            self.warn("notHKconstant", f"{table.where}: {name} changes, its most frequent value is taken")
        value = values[np.argmax(counts)]
        text = value.decode() if isinstance(value, bytes) else value
        # Real files fill texts with blanks.
        return text.strip() if isinstance(text, str) else text

    @cached_property
    def reset_s(self) -> float:
        """On-board time of a reset of the frame counter (F1030) that holds for the exposure.

        The counter restarts every F1052 seconds by itself, which moves F1030 by as much; other values are
        other resets, of which the most frequent one of the exposure counts.
        """
        table = self.housekeeping
        if "F1030" not in table.columns or not len(table):
            raise TaskError("misHKcolumn", f"{table.where}: no values of F1030")
        values = table["F1030"][self._inside(table)].astype(np.int64)
        phase, first, counts = np.unique(values % int(self.wrap_s), return_index=True, return_counts=True)
        if len(phase) > 1:
            found = ", ".join(str(values[i]) for i in np.sort(first))
            self.warn("notHKconstant", f"{table.where}: resets F1030 {found}; the most frequent one is taken")
        return float(values[first[np.argmax(counts)]])

    @cached_property
    def filter(self) -> str:
        """Filter of the exposure."""
        known = self.summary.exposure("PN", self.exp_id) if self.summary else None
        if known is not None and known.filter:
            return known.filter
        table = self.housekeeping
        # Outside the exposure the wheel may stand elsewhere.
        angles = table["F1122"][self._inside(table)]
        angle = float(np.median(angles)) if len(angles) else np.nan
        nearest = min(PN_FILTER_CODES, key=lambda code: abs(code - angle))
        if not abs(nearest - angle) <= PN_FILTER_TOLERANCE_DEG:
            self.warn("FILTERwrong", f"F1122 is {angle:g}, not the position of a filter")
            return "Unknown"
        return PN_FILTER_CODES[nearest]

    def gain_temperature(self, quadrant: int) -> float | None:
        """Mean temperature of a quadrant box in the exposure [deg C]; None, with a warning, if unknown."""
        name = BOX_TEMPERATURES[quadrant]
        from daxa.xmm.odf.times import housekeeping_times

        values = np.empty(0)
        for file in self.odf.find("PN", "PAH"):
            try:
                table = file.read(1)
                time = housekeeping_times(table["TIME"], table.where)
                inside = (time >= self.start_s) & (time <= self.stop_s)
                values = np.concatenate([values, table[name][inside].astype(float)])
            except (TaskError, ValueError, TypeError):
                continue
        values = values[np.isfinite(values)]
        if len(values):
            return float(values.mean())
        self.warn("noGainTemperature", f"quadrant {quadrant}: no temperature ({name}) in the housekeeping")
        return None

    def active_ccds(self, quadrant: int) -> int:
        """Number of CCDs of a quadrant that are switched on."""
        if self.submode not in ("PrimeFullWindow", "PrimeFullWindowExtended", "PrimeLargeWindow"):
            return 1
        states = [str(self.hk(f"A{quadrant}_CCD{i}SWI", "ON")) for i in range(_CCDS_PER_QUADRANT)]
        return max(sum(s.upper() == "ON" for s in states), 1)

    # --- the clock ---

    @cached_property
    def auxiliary(self) -> tuple[OdfTable, OdfTable | None]:
        """Tables PNAUX1 (frames) and PNAUX2 (counters; None if it cannot be read)."""
        files = self.odf.find("PN", "AUX", self.exp_id)
        if not files:
            raise TaskError(
                "noPNAUX1", f"{self.odf.folder}: exposure PN{self.exp_id} has no auxiliary file (AUX)"
            )
        frames = files[0].read(1, PN_AUXILIARY_FRAMES)
        try:
            counters = files[0].read(2, PN_AUXILIARY_CYCLES)
        except TaskError as error:
            self.warn("noPNAUX2", f"{error.message}; no correction for lines discarded on board")
            counters = None
        return frames, counters

    @cached_property
    def _frame_rows(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        frames = self.auxiliary[0]
        key = (frames["QUADRANT"] & 3) * 4 + (frames["CCDID"] & 3)
        order = np.argsort(key.astype(np.uint8), kind="stable")
        return order, np.searchsorted(key[order], np.arange(17))

    def listed_frames(self, quadrant: int, ccd_id: int) -> dict[str, npt.NDArray[Any]]:
        """Rows of PNAUX1 of one CCD: FRAME, CYCLE, coarse time and time stamp [s], in order of FRAME."""
        order, begin = self._frame_rows
        key = quadrant * 4 + ccd_id
        rows = order[begin[key] : begin[key + 1]]
        frames = self.auxiliary[0]
        number = frames["FRAME"][rows].astype(np.int64)
        if np.any(np.diff(number) <= 0):
            self.warn(
                "corruptedAUX1", f"{frames.where}: FRAME of quadrant {quadrant}, CCD {ccd_id} goes back"
            )
            _, first = np.unique(number, return_index=True)
            rows, number = rows[first], number[first]
        coarse = unsigned(frames["FTCOARSE"][rows])
        stamp = coarse + unsigned(frames["FTFINE"][rows]) * PN_FTFINE_UNIT_S
        return {
            "FRAME": number,
            "CYCLE": frames["CYCLE"][rows].astype(np.int64),
            "coarse": coarse,
            "stamp_s": stamp,
        }

    def sent_cycles(self, quadrant: int) -> npt.NDArray[np.int64]:
        """CYCLE of all frames that any CCD of a quadrant has listed, increasing."""
        if quadrant not in self._sent:
            order, begin = self._frame_rows
            rows = order[begin[4 * quadrant] : begin[4 * quadrant + 4]]
            self._sent[quadrant] = sorted_unique(self.auxiliary[0]["CYCLE"][rows])
        return self._sent[quadrant]

    @cached_property
    def reset_frames(self) -> int:
        """Frames that a reset of a quadrant's event buffer takes; 0 if none are seen."""
        number = np.sum([gap_lengths(self.sent_cycles(q)) for q in range(4)], axis=0)
        return reset_length(number, round(self.timing.fifo_s / self.timing.frame_s))

    @cached_property
    def last_cycle(self) -> int:
        """CYCLE of the last frame that any CCD has listed."""
        return int(self.auxiliary[0]["CYCLE"].max())

    def records(self, quadrant: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """CYCLE and NDISCLIN of the counter records of a quadrant, in order; empty if there are none."""
        counters = self.auxiliary[1]
        if counters is None:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        mine = np.flatnonzero(counters["QUADRANT"] == quadrant)
        cycle, first = np.unique(counters["CYCLE"][mine].astype(np.int64), return_index=True)
        return cycle, unsigned(counters["NDISCLIN"][mine[first]])

    @cached_property
    def wrap_s(self) -> float:
        """Period of the coarse frame time [s]."""
        return float(self.hk("F1052", 32400))

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

        try:
            return float(utc_to_tt(str(self.keyword("DATE-END"))))
        except ValueError:
            return self.start_s + _LONGEST_S

    def reset_time_s(self, first_stamp_s: float) -> float:
        """On-board time [s] to add to the unwrapped frame times.

        The coarse frame time restarts every F1052 seconds; DATE-OBS tells which period it was.
        """
        reset = self.reset_s
        start = float(self.time_correlation.tt_to_obt(self.start_s))
        return reset + self.wrap_s * np.rint((start - reset - first_stamp_s) / self.wrap_s)

    # --- keywords of products ---

    def keywords(self) -> dict[str, Any]:
        """Keywords of the primary header, those of the attitude excepted."""
        proposal = self.proposal
        start, stop = self.keyword("DATE-OBS", ""), self.keyword("DATE-END", "")
        cards: dict[str, Any] = {
            "TELESCOP": ("XMM", "Telescope (mission) name"),
            "INSTRUME": "EPN",
            "REVOLUT": (f"{self.odf.revolution:04d}", "XMM revolution number"),
            "OBS_MODE": ("SLEW" if proposal and proposal.slew else "POINTING", "Observation mode"),
            "OBS_ID": (self.odf.obs_id, "Observation identifier"),
            "EXP_ID": (self.odf.obs_id + self.exp_id[1:], "Exposure identifier"),
            "EXPIDSTR": (self.exp_id, "Exposure identifier (Xnnn)"),
            "DATAMODE": self.data_mode,
            "SUBMODE": (self.submode, "Guest Observer mode"),
            "FILTER": (self.filter, "Filter ID"),
            "FRMTIME": (round(self.timing.frame_s * 1000), "[ms] Frame Time, nearest integer"),
            "CONTENT": (f"EPIC PN {self.data_mode} MODE EVENT LIST", "Contents of this file"),
            "DATE-OBS": (start, "Start Time (UTC) of exposure"),
            "DATE-END": (stop, "End Time (UTC) of exposure"),
            "EXPSTART": (start, "Start Time (UTC) of exposure"),
            "EXPSTOP": (stop, "End Time (UTC) of exposure"),
        }
        if proposal is not None:
            from daxa.xmm.odf.times import utc_to_tt

            cards["OBJECT"] = (proposal.target, "Name of observed object")
            cards["OBSERVER"] = (proposal.observer, "Name of PI")
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
        for key in ("ODSVER", "ODSCHAIN"):
            if self.keyword(key) is not None:
                cards[key] = self.keyword(key)
        cards["ATT_SRC"] = (attitude_source(self.odf), "Source of attitude data (AHF|RAF|THF)")
        cards["ORB_RCNS"] = (True, "Reconstructed orbit data used?")
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore")
            cards.update(self.time_correlation.keywords())
        return cards

    def ccd_keywords(self, ccd: int) -> dict[str, Any]:
        """Keywords of the extensions of one CCD."""
        timing, header = self.timing, self.header(ccd)
        window = read_window(header)
        quadrant = (ccd - 1) // _CCDS_PER_QUADRANT
        chopped = int(self.hk(f"A{quadrant}_CHOP", 0))
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
