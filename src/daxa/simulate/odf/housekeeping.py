"""The files of an ODF that hold no events: housekeeping, attitude, clock, summary; and what all files share.

Sources: XMM-Newton Data Files Handbook; the summary file of a real ODF.

Parameters
----------
instrument
    Two-letter code, e.g. ``M1``.
file_type
    Three-letter type of the file.
exp_id
    Identifier of the exposure; ``X000`` for none.
ccd
    Number of the CCD; 0 for none.
start_s, stop_s
    Start and end of what is written [s].
step_s
    Step of time [s].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from daxa.simulate.odf.clock import (
    CLOCK_EPOCH,
    EPOCH,
    REVOLUTION_S,
    Clock,
    tt_minus_utc,
    tt_of_utc,
    utc_of_tt,
    utc_text,
)
from daxa.xmm.fits.schema import Column, Table, make_table
from daxa.xmm.fits.schema import table as quick_table
from daxa.xmm.formats import housekeeping, records
from daxa.xmm.formats import odf as layout
from daxa.xmm.formats.instruments import INSTRUMENTS
from daxa.xmm.formats.odf_names import OdfName


def on_attitude_grid(ra_deg: float, dec_deg: float) -> tuple[float, float]:
    """The nearest direction that an attitude file can hold (0.1 s of time, 0.1 arcsec).

    Parameters
    ----------
    ra_deg, dec_deg
        The direction [deg].
    """
    return round(ra_deg / 15 * 36000) / 36000 * 15, round(dec_deg * 36000) / 36000


def sexagesimal(value: float, *, hours: bool = False) -> str:
    """``HH:MM:SS.S`` or ``+DD:MM:SS.S`` of an angle in degrees.

    Parameters
    ----------
    value
        The angle.
    hours
        Whether it is written as hours, of 15 degrees each.
    """
    tenths = round(abs(value / 15 if hours else value) * 36000)
    sign = "" if hours else "-" if value < 0 else "+"
    whole, rest = divmod(tenths, 36000)
    return f"{sign}{whole:02d}:{rest // 600:02d}:{rest % 600 / 10:04.1f}"


#: Settings of the pn in summaries of real observations.
PN_LOWER_THRESHOLD, PN_COMMON_MODE = 532, 512
#: Column of MOS housekeeping with the reset of the clock; no public text gives its name.
RESET_COLUMN = "CLKRESET"
#: Period of the swing of the pointing [s]; degrees of position angle for each degree of declination.
DRIFT_PERIOD_S, DRIFT_ANGLE = 5000.0, 5.0


@dataclass(frozen=True)
class Pointing:
    """What identifies an observation: pointing and target [deg], start and stop [s], revolution.

    ``drift_arcsec`` is the amplitude of a slow swing of the telescope about its pointing.
    """

    obs_id: str
    revolution: int
    target: str
    ra_deg: float
    dec_deg: float
    pa_deg: float
    target_ra_deg: float
    target_dec_deg: float
    start_s: float
    stop_s: float
    revolution_start_s: float
    prime_instrument: str = "E3"
    drift_arcsec: float = 0.0

    def attitude(self, time_s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """RA, Dec and position angle [deg] at some times: declination and angle swing, if any does.

        Parameters
        ----------
        time_s
            The times [s].
        """
        phase = 2 * np.pi * (np.asarray(time_s, float) - self.start_s) / DRIFT_PERIOD_S
        swing = self.drift_arcsec / 3600
        return (
            np.full(np.shape(phase), self.ra_deg),
            self.dec_deg + swing * np.sin(phase),
            self.pa_deg + DRIFT_ANGLE * swing * np.cos(phase),
        )


@dataclass
class HousekeepingWriter:
    """Writes the components of one ODF other than science files, and remembers their names.

    Parameters
    ----------
    folder
        Where to write; made if absent.
    pointing
        The observation.
    clock
        The on-board clock.
    """

    folder: Path
    pointing: Pointing
    clock: Clock
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder = Path(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    # --- files -------------------------------------------------------------------------------------

    def name(
        self, instrument: str, file_type: str, exp_id: str = "X000", ccd: int = 0, extension: str = "FIT"
    ) -> str:
        """Name of a component.

        Parameters
        ----------
        extension
            End of the name.
        """
        p = self.pointing
        return str(
            OdfName(
                p.revolution, p.obs_id, instrument, exp_id[0], int(exp_id[1:]), ccd, 0, file_type, extension
            )
        )

    def write(
        self,
        instrument: str,
        file_type: str,
        hdus: Sequence[Any],
        content: str,
        start_s: float,
        stop_s: float,
        exp_id: str = "X000",
        ccd: int = 0,
    ) -> Path:
        """Write extensions behind the primary header that all components share.

        Parameters
        ----------
        hdus
            The extensions.
        content
            What the file is, for its header.
        """
        from astropy.io import fits

        name, p = self.name(instrument, file_type, exp_id, ccd), self.pointing
        common: dict[str, Any] = {
            "TELESCOP": ("XMM", "Telescope"),
            "INSTRUME": (INSTRUMENTS[instrument], "Instrument"),
            "OBS_ID": (p.obs_id, "Observation identifier"),
        }
        if exp_id[0] in "SU":
            common["EXP_ID"] = (f"{p.obs_id}{exp_id[1:]}", "Exposure identifier")
        dates = {
            "DATE-OBS": (utc_text(start_s), "Start of the data, UTC"),
            "DATE-END": (utc_text(stop_s, up=True), "End of the data, UTC"),
        }
        primary = fits.PrimaryHDU()
        provenance = {
            "FILENAME": (name, "Name of this file"),
            "CATEGORY": ("XMMODF", "The file is part of an ODF"),
            "ODSVER": ("16.911", "Version of the observation data system"),
            "ODSCHAIN": ("SIMU", "Processing chain"),
            "OBS_MODE": ("POINTING", "Observation mode"),
            "REVOLUT": (p.revolution, "Revolution"),
            "CONTENT": (content, "Content of this file"),
            "ORIGIN": ("daxa.simulate", "Simulated data"),
            "CREATOR": ("daxa.simulate", "Program that wrote this file"),
            "DATE": (utc_text(p.stop_s + 86400), "Date of this file"),
        }
        for key, value in (common | provenance | dates).items():
            primary.header[key] = value
        kind: dict[str, Any] = {"EXTVER": (1, "Version of the extension")}
        if datatype := records.DATATYPES.get(file_type):
            kind["DATATYPE"] = (datatype, "Type of the data")
        if datatype in ("PERHK.EL", "NPERHK.EL"):
            kind["EXP_ID"] = (f"{p.obs_id}000", "Exposure identifier")
        for hdu in hdus:
            for key, value in (kind | common | dates).items():
                hdu.header[key] = value
        path = self.folder / name
        if all(isinstance(hdu, Table) for hdu in hdus):
            head = primary.header.tostring().encode("ascii")
            path.write_bytes(head + b"".join(hdu.tobytes() for hdu in hdus))
        else:
            fits.HDUList([primary, *hdus]).writeto(path, overwrite=True)
        self.names.append(name)
        return path

    # --- EPIC ---------------------------------------------------------------------------------------

    def mos_housekeeping(
        self,
        instrument: str,
        filters: Sequence[tuple[float, float, str]],
        masked: Sequence[tuple[int, int, int, int]],
        resets: Sequence[tuple[float, float]] = (),
    ) -> None:
        """Periodic housekeeping with filter wheel and clock, and the table of pixels masked on board.

        Parameters
        ----------
        filters
            Start, stop [s] and filter of each exposure; the wheel is closed outside them.
        masked
            CCD, RAWX, RAWY, extent along RAWY.
        resets
            Start of each exposure [s] and on-board time [s] at which its clock began anew.
        """
        codes = {filter_: code for code, filter_ in layout.MOS_FILTER_CODES.items()}
        times = self._housekeeping_times()
        schema = layout.MOS_HOUSEKEEPING[instrument]
        data = {"TIME": _texts(times), schema[1].name: _wheel(times, filters, codes)}
        if resets:
            starts, values = np.array(sorted(resets)).T
            # The clock begins anew some seconds before an exposure.
            at = np.searchsorted(starts - 3, times, side="right") - 1
            schema = (*schema, Column(RESET_COLUMN, "1J", "s"))
            data[RESET_COLUMN] = np.where(at < 0, 0, values[np.maximum(at, 0)]).astype(int)
        p = self.pointing
        span = p.start_s, p.stop_s
        table = make_table(schema, data, layout.extension(instrument, "PEH"))
        self.write(instrument, "PEH", [table], "EPIC MOS PERIODIC HOUSEKEEPING", *span)
        rows = np.array(masked, int).reshape(-1, 4).T
        pixels = {
            "CCDID": rows[0],
            "CCDNODE": rows[0] * 0,
            "RAWX": rows[1],
            "RAWY": rows[2],
            "YEXTENT": rows[3],
        }
        table = make_table(layout.MOS_BRIGHT_PIXELS, pixels, layout.extension(instrument, "PTH"))
        self.write(instrument, "PTH", [table], "EPIC MOS BRIGHT PIXEL TABLE", *span)

    def pn_housekeeping(
        self,
        filters: Sequence[tuple[float, float, str]],
        *,
        reset_obt_s: int,
        wrap_s: int,
        submode: str,
        max_frames: int,
        bad_pixel_table: Sequence[int] = (0, 0),
    ) -> None:
        """Main and additional periodic housekeeping.

        Parameters
        ----------
        filters
            Start, stop [s] and filter of each exposure.
        reset_obt_s
            On-board time of the counter's reset [s].
        wrap_s
            Period of the coarse time [s].
        submode
            SUBMODE.
        max_frames
            Frames that a counter record covers.
        bad_pixel_table
            Values of F1629 and F1630, which name the table of masked pixels.
        """
        codes = {filter_: code for code, filter_ in layout.PN_FILTER_CODES.items()}
        times = self._housekeeping_times()
        n, p = len(times), self.pointing
        span = p.start_s, p.stop_s
        swing = np.sin(2 * np.pi * (times - times[0]) / 9000.0)
        main: dict[str, Any] = {
            "TIME": _texts(times),
            # Each turn of the counter moves the reset on.
            "F1030": reset_obt_s + wrap_s * ((self.clock.obt(times) - reset_obt_s) // wrap_s).astype(int),
            "F1052": np.full(n, wrap_s),
            "F1118": [submode[:16]] * n,
            "F1122": _wheel(times, filters, codes),
            "F1128": -89.97 + 0.01 * swing,
            "F1294": np.full(n, 3 if submode.endswith("Extended") else 0),
        }
        for quadrant in range(4):
            main[f"A{quadrant}_CHOP"] = np.zeros(n, int)
            main[f"A{quadrant}_MAXFRC"] = np.full(n, max_frames)
            for position in range(3):
                main[f"A{quadrant}_CCD{position}SWI"] = ["ON".ljust(12)] * n
        table = make_table(layout.PN_MAIN_HOUSEKEEPING, main, layout.extension("PN", "PMH"))
        self.write("PN", "PMH", [table], "EPIC PN MAIN PERIODIC HOUSEKEEPING", *span)
        rest = {"F1628": "GOOD"} | dict(zip(("F1629", "F1630"), bad_pixel_table, strict=True))
        # Settings do not change during an observation: lower thresholds and common mode of each quadrant.
        for quadrant in range(5, 9):
            rest |= {f"F1{quadrant}{number}": PN_LOWER_THRESHOLD for number in (15, 16, 17)}
            rest[f"F1{quadrant}25"] = PN_COMMON_MODE
        self._whole_housekeeping("PN", "PAH", 64.0, rest, "EPIC PN ADDITIONAL PERIODIC HOUSEKEEPING")

    def rgs_housekeeping(self, instrument: str, full_s: Sequence[tuple[float, float]] = ()) -> None:
        """Periodic housekeeping; the input buffer is full in some intervals.

        Parameters
        ----------
        full_s
            The intervals [s].
        """
        times = self._housekeeping_times(8.0)
        full = np.zeros(len(times), bool)
        for start, stop in full_s:
            full |= (times >= start) & (times < stop)
        buffer = layout.RGS_HOUSEKEEPING[instrument][1].name
        values = {buffer: np.where(full, "FULL", "NOT FULL").tolist()}
        self._whole_housekeeping(instrument, "PFH", 8.0, values, "RGS PERIODIC HOUSEKEEPING")

    def _whole_housekeeping(
        self, instrument: str, file_type: str, step_s: float, given: Mapping[str, Any], content: str
    ) -> None:
        """Write a table with all its columns; those not given stay within the values of a real file."""
        times, p = self._housekeeping_times(step_s), self.pointing
        data: dict[str, Any] = {"TIME": _texts(times)}
        for number, parameter in enumerate(housekeeping.parameters(instrument, file_type)):
            name, column = parameter.column.name, parameter.column
            if name in given:
                value = given[name]
            elif parameter.is_text:
                value = parameter.values[0]
            else:
                low, high = parameter.limits
                turn = 2 * np.pi * (times - times[0]) / (4000.0 + 100.0 * (number % 50))
                value = low + (high - low) * (0.5 + 0.4 * np.sin(turn + number)) if low < high else low
                value = value if column.letter == "E" else np.rint(value).astype(np.int64)
            data[name] = np.broadcast_to(value, len(times))
        schema, extname = housekeeping.schema(instrument, file_type), layout.extension(instrument, file_type)
        self.write(instrument, file_type, [quick_table(schema, data, extname)], content, p.start_s, p.stop_s)

    def _housekeeping_times(self, step_s: float = 16.0) -> np.ndarray:
        p = self.pointing
        # Whole seconds of UTC.
        first = tt_of_utc(utc_text(p.start_s))
        return np.arange(first - 320.0, p.stop_s + 320.0, step_s)

    # --- spacecraft --------------------------------------------------------------------------------

    def attitude(self, *, slew_deg: float = 41.0, slew_s: float = 2400.0, step_s: float = 10.0) -> None:
        """Attitude history of the revolution: another field, a slew, the pointing, a slew, another field.

        Parameters
        ----------
        slew_deg
            Length of the slews [deg].
        slew_s
            How long they last [s].
        """
        p = self.pointing
        begin, end = np.floor(p.start_s) - 60.0, np.ceil(p.stop_s) + 60.0
        steps = np.arange(0.0, slew_s, step_s)
        away = slew_deg * (1 - np.cos(np.pi * steps / slew_s)) / 2
        before, after = (p.pa_deg - 17.0) % 360, (p.pa_deg + 9.0) % 360
        first, last = p.revolution_start_s, p.revolution_start_s + REVOLUTION_S
        # time, duration, degrees from the pointing along the declination, PA, type
        rows: list[tuple[float, float, float, float, str]] = []
        if begin - slew_s - first > 60:
            rows.append((first, begin - slew_s - first, slew_deg, before, "P"))
        rows += [
            (begin - slew_s + t, step_s, slew_deg - a, before + (a / slew_deg) * 17.0, "S")
            for t, a in zip(steps, away, strict=True)
        ]
        if p.drift_arcsec:
            # Each row holds for a short while.
            held = np.arange(begin, end, step_s)
            _, there, turned = p.attitude(held + step_s / 2)
            moved = (p.dec_deg - there) * np.sign(p.dec_deg or 1.0)
            rows += [(t, step_s, o, a, "P") for t, o, a in zip(held, moved, turned, strict=True)]
        else:
            rows.append((begin, end - begin, 0.0, p.pa_deg, "P"))
        rows += [
            (end + t, step_s, a, p.pa_deg + (a / slew_deg) * 9.0, "S")
            for t, a in zip(steps, away, strict=True)
        ]
        if last - end - slew_s > 60:
            rows.append((end + slew_s, last - end - slew_s, slew_deg, after, "P"))
        n = len(rows)
        time, duration, offset, angle, kind = (list(c) for c in zip(*rows, strict=True))
        # The slews go towards the equator, where the declination has room.
        dec = np.array([p.dec_deg - np.sign(p.dec_deg or 1.0) * o for o in offset])
        text = [""] * n
        pointing = [k == "P" for k in kind]
        data: dict[str, Any] = {
            "VALTIME": [utc_text(t) for t in time],
            "VALDUR": duration,
            "OTFTHRES": np.full(n, 10.0),
            "VIEWRA": [sexagesimal(p.ra_deg, hours=True)] * n,
            "VIEWDECL": [sexagesimal(d) for d in dec],
            "ASTPOS": np.asarray(angle) % 360,
            "ROLLANG": np.zeros(n),
            "GSREFNO": ["0547600187" if at else "" for at in pointing],
            "GSRA": [sexagesimal(p.ra_deg + 0.6, hours=True) if at else "" for at in pointing],
            "GSDEC": [sexagesimal(p.dec_deg + 0.4) if at else "" for at in pointing],
            "ASPANGLE": np.full(n, 92.5),
            "ACFLAG": np.zeros(n, int),
            "APDAMP": ["0.2" if at else "" for at in pointing],
            "DIFFVRA": ["00:00:00.0"] * n,
            "DIFFVDEC": ["+00:00:00.0"] * n,
            "DIFFPOS": ["0.000"] * n,
            "PREQID": [f"{p.obs_id}" if at else "" for at in pointing],
            "TYPEID": kind,
            "SOURCEID": ["R"] * n,
            "ATTSEQNO": ["1"] * n,
            "SLEWTIME": text,
        }
        table = make_table(layout.ATTITUDE, data, layout.extension("SC", "ATS"))
        self.write("SC", "ATS", [table], "SPACECRAFT ATTITUDE HISTORY", first, last)

    def raw_attitude(
        self,
        start_s: float,
        stop_s: float,
        *,
        step_s: float = 1.0,
        wobble_arcsec: float = 0.0,
        slewing: bool = True,
    ) -> Path:
        """Raw attitude in ASCII: the pointing with a wobble of ten minutes in declination, step by step.

        Outside the observation the spacecraft is shown slewing in declination, 90 deg an hour.

        Parameters
        ----------
        wobble_arcsec
            Amplitude of the wobble [arcsec].
        slewing
            Whether slews are shown.
        """
        p = self.pointing
        time = np.arange(start_s, stop_s, step_s)
        away = (np.maximum(p.start_s - time, 0) + np.maximum(time - p.stop_s, 0)) * slewing
        dec = p.dec_deg - np.sign(p.dec_deg or 1.0) * away * 90 / 3600
        dec = dec + wobble_arcsec / 3600 * np.sin(2 * np.pi * (time - p.start_s) / 600)
        ra = sexagesimal(p.ra_deg, hours=True)
        lines = [
            f"{utc_of_tt(t).isoformat(timespec='milliseconds')} {step_s:4.1f} {ra} {sexagesimal(d)} "
            f"{p.pa_deg:10.6f} {0:8.4f}\n"
            for t, d in zip(time, dec, strict=True)
        ]
        name = self.name("SC", "RAS", extension="ASC")
        path = self.folder / name
        path.write_text("".join(lines), encoding="ascii")
        self.names.append(name)
        return path

    def time_correlation(self, rng: np.random.Generator, *, scatter_s: float = 1.5e-6) -> None:
        """Clock against UTC: TCS of the observation, TCX of the revolution.

        Parameters
        ----------
        rng
            Random numbers.
        scatter_s
            Scatter of the times [s].
        """
        p = self.pointing
        margin, step = 600.0, 20.0
        for file_type, first, last in (
            ("TCS", p.start_s - margin, p.stop_s + margin),
            ("TCX", p.revolution_start_s, p.revolution_start_s + REVOLUTION_S),
        ):
            obt = np.arange(np.ceil(self.clock.obt(first)), self.clock.obt(last), step)
            ticks = rng.integers(0, 2**16, len(obt))
            obt += ticks / 2**16
            tt = self.clock.tt(obt) + scatter_s * rng.standard_normal(len(obt))
            offset = tt_minus_utc(utc_of_tt(p.start_s))
            us = np.rint((tt - offset) * 1e6).astype(np.int64)
            since_2000 = (datetime(2000, 1, 1) - EPOCH).days * 86400
            data: dict[str, Any] = {
                "GSID": ["21"] * len(obt),
                "FRAME": np.arange(1, len(obt) + 1),
                "OBTCOARS": np.floor(obt).astype(np.int64),
                "OBTFINE": ticks,
                "UTCFLAG": np.zeros(len(obt), int),
                "ERTIME": [utc_of_tt(t).isoformat(timespec="microseconds") for t in tt],
                "ERTIMRAW": [utc_of_tt(t - 0.001253).isoformat(timespec="microseconds") for t in tt],
                "UTCNOFIT": us / 1e6 - since_2000,
                "OBTNOFIT": obt,
            }
            us += (EPOCH - CLOCK_EPOCH).days * 86_400_000_000
            day, within = np.divmod(us, 86_400_000_000)
            data |= {"UTCDAY": day, "UTCMILLI": within // 1000, "UTCMICRO": within % 1000}
            table = make_table(layout.TIME_CORRELATION, data, layout.extension("SC", file_type))
            content = "SPACECRAFT TIME CORRELATION" + (" RECONSTRUCTED" if file_type == "TCX" else "")
            self.write("SC", file_type, [table], content, first, last)

    def summary(self) -> Path:
        """``SUM.ASC``; written last, as it lists every other file."""
        p = self.pointing
        name = self.name("SC", "SUM", extension="ASC")
        ra, dec = p.target_ra_deg / 15, p.target_dec_deg
        comments = {
            "SCX00000ATS": "Reconstructed Attitude file",
            "SCX00000RAS": "Raw Attitude file",
            "SCX00000TCS": "Time Correlation File",
            "SCX00000TCX": "Corrected Time Correlation file",
            "SCX00000SUM": "Intermediate Summary File",
        }
        files = sorted([*self.names, name])
        lines = [
            "OBSERVATION",
            f"{p.obs_id} / Observation/Slew Identifier",
            f"{p.revolution:04d} / Revolution number",
            f"{utc_text(p.start_s)} / Scheduled Start Time",
            f"{utc_text(p.stop_s, up=True)} / Scheduled Stop Time",
            "FILES",
            f"{len(files)} /  Number of files into this ODF/SDF",
            *(f"{f} / {comments.get(f[16:27], 'Generic ODF file')}" for f in files),
            "CONFIGURATION",
            "2 / Number of Configuration Parameters",
            "ODF_VERSION = 001 / ODF AMS internal version",
            f"PRIME_INSTR = {p.prime_instrument} / Prime Instrument",
            "PROPOSAL",
            "Dr    A                   Simulator",
            "Department of Made-up Skies (daxa.simulate)",
            *[""] * 7,
            " 1 / Announcement of Opportunity",
            " G / Observation type",
            f"{p.target:<20} / Target Name",
            f"{ra:.7f} / Target Right Ascension",
            f"{dec:.7f} / Target Declination",
            f" {round(p.stop_s - p.start_s)} / Observation Duration",
            "",
            f"{ra:.7f} / Boresight Right Ascension",
            f"{dec:.7f} / Boresight Declination",
            "N / Position Angle Origin reference",
            "DATA QUALITY - not available",
        ]
        path = self.folder / name
        path.write_bytes("".join(f"{line:<80.80}\n" for line in lines).encode("ascii"))
        self.names.append(name)
        return path


def _texts(times: np.ndarray) -> list[str]:
    """Times of housekeeping as they are telemetered."""
    return [utc_text(t) for t in times]


def _wheel(
    times: np.ndarray, filters: Sequence[tuple[float, float, str]], codes: Mapping[str, int]
) -> np.ndarray:
    position = np.full(len(times), codes["Closed"])
    for start, stop, filter_ in filters:
        # The wheel turns a minute before an exposure and stays a minute after.
        position[(times >= start - 60) & (times <= stop + 60)] = codes[filter_]
    return position
