"""Configuration parameters of exposures as SUM.SAS has them: from housekeeping, command records and headers.

Names and order are those of three summaries that SAS made of real observations. Where no public text names
the housekeeping parameter behind one, its value is ``Unknown``, as in those summaries where a file is absent.

Parameters
----------
span
    Start and end of the exposure [mission time].
name
    Column of the value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.odf import OBTFINE_UNIT_S
from daxa.xmm.formats.summary import CLOCK_RESET, CLOCK_RESET_FINE, UNKNOWN, printable
from daxa.xmm.odf.odf import Odf
from daxa.xmm.odf.resets import ClockReset
from daxa.xmm.odf.times import housekeeping_times

#: Name -> value and comment, in order.
Parameters = dict[str, tuple[str, str]]

#: Name of the wheel's position behind a filter of MOS (A and C attested, the others by their order).
_MOS_WHEEL = {"Thin1": "FILTER A", "Thin2": "FILTER B", "Medium": "FILTER C", "Thick": "FILTER D"}
#: PSCHEME of event lists -> packing scheme (the real headers and summaries).
_PACKING = {2: "PACKED"}
#: One unit of EXPOSURE_DURATION of OM [s]: all 30 exposures of real summaries last as many times it.
_OM_UNIT_S = 20.0
_MOS_WRAP = 32767


@dataclass(frozen=True)
class Records:
    """Rows of the files of one kind, in time order: mission times [s], columns, names of the files.

    ``changed`` collects parameters that were asked for and do change during an exposure.
    """

    time_s: npt.NDArray[np.float64]
    columns: Mapping[str, npt.NDArray[Any]]
    where: str = ""
    changed: set[str] = field(default_factory=set)

    def commanded(self, name: str, span: tuple[float, float], **where: int) -> str:
        """Value in force: of the last command before an exposure, else of the first one within it.

        Parameters
        ----------
        **where
            Values that other columns must have, e.g. ``CCDID=1``.

        Returns
        -------
        str
            The value as text; `UNKNOWN` where nothing was commanded.
        """
        mask = self.time_s <= span[1]
        for key, value in where.items():
            mask = mask & (self.columns.get(key, np.full(len(mask), -1)) == value)
        rows = np.flatnonzero(mask)
        if not len(rows) or name not in self.columns:
            return UNKNOWN
        before = rows[self.time_s[rows] <= span[0]]
        return text_of(self.columns[name][before[-1] if len(before) else rows[0]])

    def sequence(self, span: tuple[float, float]) -> npt.NDArray[np.int64]:
        """Rows of the last command of several records that was given before an exposure (or within it)."""
        if not len(self.time_s):
            return np.zeros(0, np.int64)
        given = self.time_s[self.time_s <= span[0]]
        last = given[-1] if len(given) else self.time_s[0]
        return np.flatnonzero((self.time_s == last) & (last <= span[1]))

    def steady(self, name: str, span: tuple[float, float]) -> str:
        """Value of a periodic parameter that does not change during an exposure.

        Returns
        -------
        str
            The value as text; `UNKNOWN` where it changes, or nothing is known.
        """
        rows = (self.time_s >= span[0]) & (self.time_s <= span[1])
        if name not in self.columns or not rows.any():
            return UNKNOWN
        found = np.unique(self.columns[name][rows])
        if len(found) == 1:
            return text_of(found[0])
        self.changed.add(name)
        return UNKNOWN

    def first(self, name: str, span: tuple[float, float]) -> str:
        """Value of a periodic parameter at the start of an exposure.

        Returns
        -------
        str
            The value as text; `UNKNOWN` where nothing is known.
        """
        rows = np.flatnonzero((self.time_s >= span[0]) & (self.time_s <= span[1]))
        return text_of(self.columns[name][rows[0]]) if name in self.columns and len(rows) else UNKNOWN

    def covers(self, span: tuple[float, float]) -> bool:
        """Whether any row lies within an exposure."""
        return bool(np.any((self.time_s >= span[0]) & (self.time_s <= span[1])))


_NOTHING = Records(np.zeros(0), {})


@dataclass
class Housekeeping:
    """Housekeeping and command records of an ODF; each file is read once.

    ``problems`` are those of the files asked for: which are absent or cannot be read; ``unsorted`` are those
    whose rows are not in the order of time.
    """

    odf: Odf
    problems: dict[tuple[str, str], str] = field(default_factory=dict)
    unsorted: list[str] = field(default_factory=list)
    _read: dict[tuple[str, str], Records] = field(default_factory=dict)

    def records(self, instrument: str, file_type: str) -> Records:
        """All rows of the files of a kind; no rows if there is none.

        Parameters
        ----------
        instrument
            Two-letter code, e.g. ``PN``.
        file_type
            Three-letter type of the files, e.g. ``PMH``.
        """
        key = instrument, file_type
        if key not in self._read:
            self._read[key] = self._load(instrument, file_type)
        return self._read[key]

    def changed(self) -> dict[str, list[str]]:
        """File -> parameters found to change since this was asked last."""
        found = {one.where: sorted(one.changed) for one in self._read.values() if one.changed}
        for one in self._read.values():
            one.changed.clear()
        return found

    def _load(self, instrument: str, file_type: str) -> Records:
        times, tables, read = [], [], []
        files = self.odf.find(instrument, file_type)
        if not files:
            self.problems[instrument, file_type] = f"{instrument}: the ODF has no {file_type} file"
        for file in files:
            try:
                table = file.read(1)
                times.append(housekeeping_times(table["TIME"], table.where))
                if (np.diff(times[-1]) < 0).any():
                    self.unsorted.append(table.where)
                tables.append(table.columns)
                read.append(table.where)
            except TaskError as error:
                self.problems[instrument, file_type] = error.message
        if not tables:
            return _NOTHING
        names = [n for n in tables[0] if all(n in t and t[n].ndim == 1 for t in tables)]
        time = np.concatenate(times)
        order = np.argsort(time, kind="stable")
        columns = {n: np.concatenate([t[n] for t in tables])[order] for n in names}
        return Records(time[order], columns, ", ".join(read))


@dataclass(frozen=True)
class Circumstances:
    """What else is known of an exposure.

    Attributes
    ----------
    span
        Start and end, mission time [s].
    headers
        Merged headers of one science file per CCD.
    filter, wheel
        Filter, and reading of the filter wheel; None where unknown.
    clock_reset
        Reset of the clock of MOS.
    duration_s
        From DATE-OBS to DATE-END as the headers have them.
    """

    span: tuple[float, float]
    headers: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    filter: str | None = None
    wheel: float | None = None
    clock_reset: ClockReset | None = None
    duration_s: float = 0.0


def text_of(value: Any) -> str:
    """A number or text of a column as it stands in the summary.

    Parameters
    ----------
    value
        The number or text.
    """
    if isinstance(value, (bytes, np.bytes_)):
        value = value.decode("latin-1")
    if isinstance(value, str):
        return printable(value).strip() or UNKNOWN
    number = float(value)
    return f"{number:.0f}" if number == np.rint(number) else f"{number:.6g}"


def _known(value: Any) -> str:
    return UNKNOWN if value is None else text_of(value)


def configuration(hk: Housekeeping, instrument: str, about: Circumstances, *, events: bool) -> Parameters:
    """Parameters of an exposure behind its modes, in order.

    Parameters
    ----------
    hk
        Housekeeping of the ODF.
    instrument
        ``M1`` ... ``OM``.
    about
        What else is known of it.
    events
        Whether it has event files (or images, for OM).
    """
    if instrument in ("M1", "M2"):
        return _mos(hk, instrument, about)
    if instrument in ("R1", "R2"):
        return _rgs(hk, instrument, about)
    if instrument == "OM":
        return _om(about)
    # Real summaries have nothing else of the short exposures that follow an observation.
    if not events and not hk.records("PN", "PMH").covers(about.span):
        return {}
    return _pn(hk, about)


def _mos(hk: Housekeeping, instrument: str, about: Circumstances) -> Parameters:
    wheel = None if about.filter is None else _MOS_WHEEL.get(about.filter, about.filter.upper())
    reset = None if about.clock_reset is None else about.clock_reset.obt_s
    found: Parameters = {
        "FILTER_WHEEL": (_known(wheel), "Position of the filter wheel"),
        "FILTER_WHEEL_POSITION": (_known(about.wheel), "Reading of the filter wheel"),
        "FILTER": (_known(about.filter), "Filter"),
        CLOCK_RESET: (_known(None if reset is None else reset // 1), "Reset of the clock [s]"),
        CLOCK_RESET_FINE: (
            _known(None if reset is None else reset % 1 / OBTFINE_UNIT_S),
            "Reset of the clock",
        ),
        "CLOCK_WRAP_AROUND": (str(_MOS_WRAP), "Largest reading of the clock [s]"),
        "MEAN_TEMPERATURE": (UNKNOWN, "Mean temperature"),
    }
    found |= {f"GAIN_CCD_{ccd}": (UNKNOWN, f"Gain of CCD {ccd}") for ccd in range(1, 8)}
    thresholds = {
        int(h["EDUID"]): h.get("EDUTHR") for h in about.headers.values() if _is_number(h.get("EDUID"))
    }
    for unit in range(8):
        # Headers have one of the two thresholds; in real summaries both are the same.
        value = _known(thresholds.get(unit))
        found[f"EDU_{unit}_LOW_THR_1"] = (value, f"First lower threshold of EDU {unit} [adu]")
        found[f"EDU_{unit}_LOW_THR_2"] = (UNKNOWN, f"Second lower threshold of EDU {unit} [adu]")
    found |= _hbr_states(hk, instrument, about.span, 8, modes=True)
    limits = hk.records(instrument, "HTH")
    for unit in range(8):
        for name, column, what in (
            ("HBR_PATTERN_REFERENCE", "PATTERN", "Pattern reference"),
            ("HBR_LOW_THR", "LTHRESH", "Lower threshold"),
            ("HBR_HIG_THR", "UTHRESH", "Upper threshold"),
        ):
            value = limits.commanded(column, about.span, HBRID=unit + 1)
            found[f"{name}_{unit}"] = (value, f"{what} of HBR {unit}")
    return found


def _hbr_states(
    hk: Housekeeping, instrument: str, span: tuple[float, float], count: int, *, modes: bool
) -> Parameters:
    """High-bit-rate units, which the records count from 1."""
    records = hk.records(instrument, "HCH")
    found: Parameters = {}
    for unit in range(count):
        active = records.commanded("HBRACTIV", span, HBRID=unit + 1)
        found[f"HBR_{unit}_ACTIVATION_STATUS"] = (active, f"Whether HBR {unit} is active")
        if modes:
            mode = records.commanded("HBRPROC", span, HBRID=unit + 1)
            found[f"HBR_{unit}_PROCESSING_MODE"] = (mode, f"Processing mode of HBR {unit}")
    return found


def _pn(hk: Housekeeping, about: Circumstances) -> Parameters:
    main, more, span = hk.records("PN", "PMH"), hk.records("PN", "PAH"), about.span
    found = _hbr_states(hk, "PN", span, 4, modes=False)
    reset = main.first("F1030", span)
    found |= {
        "FILTER": (_known(about.filter), "Filter"),
        "FILTER_WHEEL_POSITION": (_known(about.wheel), "Reading of the filter wheel [deg]"),
        "FRAME_TIME_PARAMETER": (main.steady("F1294", span), "Wait states of a frame"),
        CLOCK_RESET: (reset, "Reset of the clock [s]"),
        CLOCK_RESET_FINE: (UNKNOWN if reset == UNKNOWN else "0", "Reset of the clock"),
        "CLOCK_WRAP_AROUND": (main.steady("F1052", span), "Period of the clock [s]"),
    }
    found |= {f"CAMEX_GAIN_CCD{ccd}": (UNKNOWN, f"Gain of CCD {ccd}") for ccd in range(1, 13)}
    for quadrant in range(4):
        for ccd in range(3):
            value = more.steady(f"F1{quadrant + 5}{ccd + 15}", span)
            found[f"LOWER_THRESHOLD_Q{quadrant}_CCD{ccd}"] = (value, "Lower threshold")
    for quadrant in range(4):
        value = more.steady(f"F1{quadrant + 5}25", span)
        found[f"CMCORR_Q{quadrant}"] = (value, "Common-mode correction")
    for quadrant in range(4):
        value = main.steady(f"A{quadrant}_CHOP", span)
        found[f"QUADRANT_UNDERSAMPLING_Q{quadrant}"] = (value, "Frames left out after each one")
    for name, column in (("PIXSET", "F1628"), ("CCD", "F1629"), ("NUMB", "F1630")):
        found[f"A1_CMLINE_{name}"] = (more.steady(column, span), "Table of bad pixels")
    return found


def _rgs(hk: Housekeeping, instrument: str, about: Circumstances) -> Parameters:
    scheme = next((h["PSCHEME"] for h in about.headers.values() if _is_number(h.get("PSCHEME"))), None)
    packing = None if scheme is None else _PACKING.get(int(scheme))
    found: Parameters = {"PACKING_SCHEME": (_known(packing), "Packing scheme")}
    chips = hk.records(instrument, "D1H")
    for ccd in range(1, 10):
        for name, column, what in (
            ("ACCEPT_THR_C", "ATHRESHC", "Acceptance threshold, node C"),
            ("ACCEPT_THR_D", "ATHRESHD", "Acceptance threshold, node D"),
            ("UPPER_THR_C", "UTHRESHC", "Upper threshold, node C"),
            ("UPPER_THR_D", "UTHRESHD", "Upper threshold, node D"),
        ):
            found[f"CCD_{ccd}_{name}"] = (
                chips.commanded(column, about.span, CCDID=ccd),
                f"{what}, CCD {ccd}",
            )
    return found | _slots(hk.records(instrument, "D2H"), about.span)


def _slots(records: Records, span: tuple[float, float]) -> Parameters:
    """The read-out sequence: twelve slots, the first of them used."""
    rows = records.sequence(span)

    def value(slot: int, column: str) -> str:
        if slot >= len(rows) or column not in records.columns:
            return UNKNOWN
        return text_of(records.columns[column][rows[slot]])

    found: Parameters = {"NUMBER_OF_SLOTS": (value(0, "CCDSNUM"), "Slots of the read-out sequence")}
    for slot in range(12):
        found[f"CCD_INDEX_{slot + 1}"] = (value(slot, "RDOUTSEQ"), f"CCD read out in slot {slot + 1}")
        for name, column, what in (
            ("OCB", "OCBMODE", "On-chip binning"),
            ("NODES", "READOUT", "Read-out nodes"),
            ("REJECT_THR_C", "REJTHRC", "Rejection threshold, node C"),
            ("REJECT_THR_D", "REJTHRD", "Rejection threshold, node D"),
            ("CSG_PATTERN", "CSGPATT", "Clock sequence"),
        ):
            found[f"CCD_{slot + 1}_{name}"] = (value(slot, column), f"{what}, slot {slot + 1}")
    return found


def om_filter(hk: Housekeeping, span: tuple[float, float]) -> tuple[str | None, float | None]:
    """Filter of OM and reading of its wheel, None where unknown.

    Inferred from one real file: H5265 is 1200 while HD011 says BLOCKED, and real summaries have UVW1, UVM2
    and UVW2 at 400, 600 and 800.

    Parameters
    ----------
    hk
        Housekeeping of the observation.

    Returns
    -------
    name, reading
        The filter, and the number that its wheel gives.
    """
    records = hk.records("OM", "PEH")
    name, wheel = (records.steady(column, span) for column in ("HD011", "H5265"))
    name = name if any(c.isdigit() for c in name) else name.capitalize()
    return None if name == UNKNOWN else name, float(wheel) if wheel.isdigit() else None


def _om(about: Circumstances) -> Parameters:
    return {
        "EXPOSURE_DURATION": (
            f"{about.duration_s / _OM_UNIT_S:.0f}",
            f"Duration in units of {_OM_UNIT_S:.0f} s",
        ),
        "FILTER_WHEEL_POSITION": (_known(about.wheel), "Reading of the filter wheel"),
        "FILTER": (_known(about.filter), "Filter"),
        "FLOOD_LED_BIAS": (UNKNOWN, "Bias of the flood lamp"),
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
