"""What the raw files of the real fragment hold, beside what the tasks make of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from real_fragment import EXPOSURES, HOUSEKEEPING, OBS_ID, REVOLUTION, Fragment

#: Unit of the fine time of MOS frames, weight of the fine part of on-board times [s].
MOS_TICK_S, OBT_TICK_S = 40e-6, 2.0**-16


def raw_file(source: Path, stem: str) -> Path | None:
    """A raw file by the part of its name behind the ObsID, plain or compressed; None if there is none."""
    found = sorted(Path(source).glob(f"{REVOLUTION:04d}_{OBS_ID}_{stem}.FIT*"))
    return found[0] if found else None


def rows(path: Path, hdu: int = 1) -> tuple[dict[str, np.ndarray], fits.Header]:
    """Columns of a table as wide numbers, and its header."""
    with fits.open(path) as hdus:
        data = hdus[hdu].data
        columns = {n: np.array(data[n]) for n in hdus[hdu].columns.names}
        header = hdus[hdu].header
    wide = {n: v.astype(np.int64) if v.dtype.kind in "iu" else v for n, v in columns.items()}
    return wide, header


@dataclass
class RawMos:
    """Auxiliary file of an exposure of MOS1 and its event files."""

    exp_id: str
    aux: dict[str, np.ndarray]
    start: str
    stop: str
    events: dict[int, dict[str, np.ndarray]]
    frame_time: dict[int, int]
    cycles: dict[str, np.ndarray]

    @classmethod
    def read(cls, source: Path, exp_id: str) -> RawMos:
        """From the folder of raw files."""
        aux, header = rows(raw_file(source, f"M1{exp_id}00AUX"))
        events, frame_time = {}, {}
        for ccd in range(1, 8):
            path = raw_file(source, f"M1{exp_id}{ccd}0IME")
            if path is not None:
                events[ccd], head = rows(path)
                frame_time[ccd] = head["FRMTIME"]
        cycles, _ = rows(raw_file(source, f"M1{exp_id}00CCX"))
        return cls(exp_id, aux, header["DATE-OBS"], header["DATE-END"], events, frame_time, cycles)

    def of(self, ccd: int, name: str) -> np.ndarray:
        """A column of the auxiliary file for one CCD."""
        return self.aux[name][self.aux["CCDID"] == ccd]

    def stamps_s(self, ccd: int) -> np.ndarray:
        """Time stamps of the frames of a CCD [s], from the reset of the clock."""
        return self.of(ccd, "FTCOARSE") + self.of(ccd, "FTFINE") * MOS_TICK_S

    def nvalid_differences(self, ccd: int) -> list[tuple[int, int, int]]:
        """Frames whose NVALID is not the number of their events: frame, NVALID, events."""
        numbers, counts = np.unique(self.events[ccd]["FRAME"], return_counts=True)
        have = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
        pairs = zip(self.of(ccd, "FRAME").tolist(), self.of(ccd, "NVALID").tolist(), strict=True)
        return [(frame, n, have.get(frame, 0)) for frame, n in pairs if n != have.get(frame, 0)]

    def cycles_obt_s(self) -> tuple[np.ndarray, np.ndarray]:
        """On-board times of the starts and ends of the counting cycles [s]."""
        c = self.cycles
        return c["STCOARSE"] + c["STFINE"] * OBT_TICK_S, c["ETCOARSE"] + c["ETFINE"] * OBT_TICK_S


@dataclass
class List:
    """An event list: frames and good times by CCD, events."""

    frames: dict[int, dict[str, np.ndarray]]
    good_s: dict[int, float]
    events: dict[str, np.ndarray]
    header: fits.Header

    @classmethod
    def read(cls, path: Path) -> List:
        """From its file."""
        frames, good = {}, {}
        with fits.open(path) as hdus:
            for hdu in hdus:
                ccd = int(hdu.name[-2:]) if re.fullmatch(r"(EXPOSU|STDGTI)\d\d", hdu.name) else 0
                if hdu.name.startswith("EXPOSU"):
                    frames[ccd] = {n: np.array(hdu.data[n]) for n in hdu.columns.names}
                elif hdu.name.startswith("STDGTI"):
                    good[ccd] = float(np.sum(hdu.data["STOP"] - hdu.data["START"]))
            events = {n: np.array(hdus["EVENTS"].data[n]) for n in hdus["EVENTS"].columns.names}
            return cls(frames, good, events, hdus["EVENTS"].header.copy())

    def count(self, ccd: int) -> int:
        """Events of a CCD."""
        return int((self.events["CCDNR"] == ccd).sum())

    def edges_s(self, ccd: int) -> tuple[float, float]:
        """Mission times of the beginning of the first frame and of the end of the last one [s]."""
        frames = self.frames[ccd]
        half = frames["TIMEDEL"] / 2
        return float((frames["TIME"] - half).min()), float((frames["TIME"] + half).max())


def mos_list(fragment: Fragment, exp_id: str) -> Path:
    """The event list of an exposure."""
    return fragment.base / "emchain" / f"P{OBS_ID}M1{exp_id}MIEVLI0000.FIT"


def rgs_list(fragment: Fragment, code: str = "EVENLI") -> Path:
    """The final list of RGS1, or another file of the exposure."""
    return fragment.base / "rgsproc" / f"P{OBS_ID}R1S003{code}0000.FIT"


def steps(stamps_s: np.ndarray) -> str:
    """The commonest differences of time stamps, and how often each is found."""
    values, counts = np.unique(np.round(np.diff(stamps_s), 2), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:3]
    return ", ".join(f"{values[i]:.2f} ({counts[i]})" for i in order) or "-"


def mos_rows(source: Path, fragment: Fragment) -> list[dict[str, Any]]:
    """A row per exposure and CCD of MOS1."""
    from daxa.xmm.odf.times import utc_to_tt

    result = []
    for exp_id in EXPOSURES:
        raw, made = RawMos.read(source, exp_id), List.read(mos_list(fragment, exp_id))
        for ccd in raw.events:
            row: dict[str, Any] = {
                "exposure": exp_id,
                "CCD": ccd,
                "FRMTIME": raw.frame_time[ccd],
                "rows of AUX": len(raw.of(ccd, "FRAME")),
                "NVALID": int(raw.of(ccd, "NVALID").sum()),
                "raw events": len(raw.events[ccd]["FRAME"]),
                "frames that differ": len(raw.nvalid_differences(ccd)),
                "steps of stamps [s]": steps(raw.stamps_s(ccd)),
            }
            if ccd in made.frames:
                first, last = made.edges_s(ccd)
                row |= {
                    "rows of EXPOSU": len(made.frames[ccd]["TIME"]),
                    "TIMEDEL [s]": float(np.median(made.frames[ccd]["TIMEDEL"])),
                    "start - DATE-OBS [s]": first - utc_to_tt(raw.start),
                    "DATE-END - end [s]": utc_to_tt(raw.stop) - last,
                    "good time [s]": made.good_s.get(ccd, 0.0),
                    "events": made.count(ccd),
                }
            result.append(row)
    return result


#: Lines of emevents and emenergy that say how many events a test met, and the names of columns for them.
TESTS = {
    "events in input": "in",
    "events below the EMDH lower threshold": "below EMDH",
    "events above the EMDH upper threshold": "above EMDH",
    "events in output": "out of emevents",
    "events outside good frames": "bad frames",
    "cosmic-ray events": "cosmic rays",
    "events outside window": "outside window",
    "events in rows with more than": "bad rows",
    "flagged events next to bad rows": "next to bad rows",
    "events on row/column with wrong offset": "wrong offset",
    "events with E3 <": "E3 too low",
    "events detected as flickering": "flickering",
    "events with truncated E1": "truncated E1",
    "events outside field of view": "out of FOV",
    "events outside the ellipse in E3/E1, E4/E1": "E3, E4 ellipse",
    "events with PHA out of range": "PHA range",
}


def stage_rows(source: Path, log: str) -> list[dict[str, Any]]:
    """A row per exposure and CCD: events that each test of emchain met in its last pass, by its log."""
    result: dict[tuple[str, int], dict[str, Any]] = {}
    exp_id, listed, ccds = "", [], []
    row: dict[str, Any] = {}
    for line in log.splitlines():
        started = re.search(r"emchain:- Processing ([SU]\d{3})$", line)
        if started:
            exp_id = started[1]
            listed, ccds = list(RawMos.read(source, exp_id).events), []
        found = re.search(r"::(?:emevents|emenergy):-\s+(\d+)\s+(\S.*)", line)
        name = next((n for text, n in TESTS.items() if found and found[2].startswith(text)), None)
        if name == "in":
            # Bad pixels are searched in a first pass over all CCDs.
            ccds = ccds or listed.copy()
            row = {"exposure": exp_id, "CCD": ccds.pop(0)}
            result[exp_id, row["CCD"]] = row
        if name and found:
            # The test of the ellipse is made twice; what it meets at first is kept.
            row.setdefault(name, int(found[1]))
    return list(result.values())


def correlation_rms_s(source: Path) -> tuple[float, float]:
    """Rms and largest difference [s] of on-board times from the engine's correlation, over the whole file."""
    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.odf.times import TimeCorrelation

    correlation = TimeCorrelation.from_odf(Odf.open(source))
    columns, _ = rows(raw_file(source, "SCX00000TCX"))
    obt = columns["OBTCOARS"] + columns["OBTFINE"] * OBT_TICK_S
    utc = 86400.0 * (columns["UTCDAY"] - 14610) + columns["UTCMILLI"] / 1e3 + columns["UTCMICRO"] / 1e6
    # 1998-01-01 is day 14610 from 1958-01-01; TT - UTC was 64.184 s from 1999 to 2005.
    difference = correlation.obt_to_tt(obt) - (utc + 64.184)
    return float(np.sqrt(np.mean(difference**2))), float(np.abs(difference).max())


def rgs_rows(source: Path, fragment: Fragment) -> list[dict[str, Any]]:
    """A row per CCD of RGS1."""
    aux, _ = rows(raw_file(source, "R1S00300AUX"))
    merged, made = (List.read(rgs_list(fragment, code)) for code in ("merged", "EVENLI"))
    result = []
    for ccd in (1, 2, 3):
        spe, _ = rows(raw_file(source, f"R1S0030{ccd}SPE"))
        mine = aux["CCDID"] == ccd
        flag = merged.frames[ccd]["FLAG"]
        result.append(
            {
                "CCD": ccd,
                "rows of AUX": int(mine.sum()),
                "ABORTFLG": " ".join(str(v) for v in np.unique(aux["ABORTFLG"][mine])),
                "rows of SPE": len(spe["FRAME"]),
                "frames": len(flag),
                "good": int((flag == 0).sum()),
                "frame [s]": float(np.median(merged.frames[ccd]["TIMEDEL"])),
                "events made": merged.count(ccd),
                "good time [s]": made.good_s[ccd],
                "events kept": made.count(ccd),
            }
        )
    return result


def housekeeping_rows(source: Path, fragment: Fragment) -> list[dict[str, Any]]:
    """A row per file of housekeeping: its samples, and the good times made of it."""
    result = []
    for instrument, stem in HOUSEKEEPING.items():
        columns, header = rows(raw_file(source, stem))
        row: dict[str, Any] = {
            "instrument": instrument,
            "rows": header["NAXIS2"],
            "columns": len(columns),
            "first": str(columns["TIME"][0]),
            "last": str(columns["TIME"][-1]),
        }
        with fits.open(fragment.base / "work" / f"{instrument}.ds") as hdus:
            gti = hdus[1].data
            row |= {"intervals": len(gti), "good time [s]": float((gti["STOP"] - gti["START"]).sum())}
        result.append(row)
    return result


def markdown(table: Sequence[dict[str, Any]]) -> str:
    """A table of rows, whose columns are those of the fullest row."""
    names = list(max(table, key=len))
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(_text(row.get(n, "-")) for n in names) + " |" for row in table]
    return "\n".join(lines)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 100 else f"{value:.1f}"
    return f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)


def bright_column(columns: Iterable[int], counts: np.ndarray) -> list[float]:
    """Counts of columns over the median of the ten columns on each side."""
    result = []
    for x in columns:
        around = np.concatenate([counts[x - 10 : x], counts[x + 1 : x + 11]])
        result.append(float(counts[x] / max(np.median(around), 1)))
    return result
