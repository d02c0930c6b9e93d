"""The raw event list of a pn CCD as a file: what epframes writes and the sub-tasks after it read.

Extensions as the manual of epframes has them: EVENTS, EXPOSURE, OFFSETS, DLIMAP, HKAUX, and the good times in
STDGTI; badpix adds BADPIX, epreject the column OFF_COR. Rows of frames that are not good, and of lost
columns, are left out at once.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI, TIME_KEYWORDS
from daxa.xmm.fits.hdus import open_hdus, primary_hdu, write_hdus
from daxa.xmm.fits.header import other_cards
from daxa.xmm.fits.schema import Column, column, make_table
from daxa.xmm.formats.eventlist import BADPIX_COLUMNS, DLIMAP_COLUMNS, HKAUX_COLUMNS
from daxa.xmm.formats.instruments import PN_MODE_IDS, PN_SHAPE
from daxa.xmm.instruments.badpixels import DEAD, FLICKERING, HOT
from daxa.xmm.instruments.pn.badpixels import BadPixel, badpix_columns
from daxa.xmm.instruments.pn.rawlist import RawCcd, RawList
from daxa.xmm.notes import fallbacks_noted, note_fallbacks, note_product
from daxa.xmm.odf.times import utc_to_tt
from daxa.xmm.task import TaskContext

EVENTS_COLUMNS = (
    Column("TIME", "1D", "s"),
    Column("RAWX", "1I", "pixel", 1, 64),
    Column("RAWY", "1I", "pixel", 1, 200),
    Column("PHA", "1I", "adu"),
    Column("FLAG", "1J"),
    Column("FRAME", "1J"),
    Column("CCDNR", "1B"),
)
_SHIFTED = Column("OFF_COR", "1E", "adu")
#: FRAME counts the frames of the exposure, empty ones included, from 1; TIME_RAW is the time stamp.
_FRAMES = (
    Column("TIME", "1D", "s"),
    Column("TIMEDEL", "1D", "s"),
    Column("FRACEXP", "1E"),
    Column("FRAME", "1J"),
    Column("TIME_RAW", "1D", "s"),
)
_OFFSETS = (Column("RAWX", "1I", "pixel"), Column("OFFSETX", "1I", "adu"))
#: Keywords that are written with each table, and not part of what a file carries from the exposure.
_OF_TABLES = ("LONGSTRN", *TIME_KEYWORDS)


@dataclass
class RawFile:
    """A raw list that was read: the events, the bad pixels (None without BADPIX), and the keywords."""

    raw: RawList
    badpix: list[BadPixel] | None
    primary: dict[str, Any]

    @property
    def submode(self) -> str:
        """SUBMODE."""
        return str(self.primary["SUBMODE"])

    @property
    def revolution(self) -> int:
        """REVOLUT."""
        return int(self.primary["REVOLUT"])

    @cached_property
    def start_s(self) -> float:
        """Mission time of the start of the exposure (DATE-OBS)."""
        return float(utc_to_tt(str(self.primary["DATE-OBS"])))

    @property
    def window(self) -> tuple[int, int, int, int]:
        """RAWX and RAWY of the first pixel read out, and size of the window."""
        names = ("WINDOWX0", "WINDOWY0", "WINDOWDX", "WINDOWDY")
        x0, y0, dx, dy = (int(_plain(self.raw.header[k])) for k in names)
        return x0, y0, dx, dy

    def seed(self) -> tuple[str, str, int]:
        """OBS_ID, exposure and CCD, which random numbers are seeded from."""
        return str(self.primary["OBS_ID"]), str(self.primary["EXPIDSTR"]), self.raw.ccd

    def check(self) -> None:
        """Refuse a list whose headers do not tell what the tasks need.

        Raises
        ------
        KeyError, ValueError
            A keyword is missing, or is not what it has to be.
        """
        if self.submode not in PN_MODE_IDS:
            raise ValueError(f"SUBMODE {self.submode!r} is not a mode of the pn")
        obs_id, exp_id, _ = self.seed()
        if not obs_id.isdigit() or not (exp_id[:1].isalpha() and exp_id[1:].isdigit()):
            raise ValueError(f"OBS_ID {obs_id!r} and EXPIDSTR {exp_id!r} name no exposure")
        _ = self.revolution, self.start_s, self.window
        for pixel in self.badpix or ():
            last = pixel.rawy + pixel.yextent - 1
            inside = 1 <= pixel.rawx <= PN_SHAPE[0] and 1 <= pixel.rawy <= last <= PN_SHAPE[1]
            if not inside or pixel.kind not in (HOT, FLICKERING, DEAD):
                raise ValueError(f"BADPIX has an impossible row: {pixel}")


def _plain(card: Any) -> Any:
    return card[0] if isinstance(card, tuple) else card


def write_raw_list(
    path: str | os.PathLike[str],
    raw: RawList,
    primary: Mapping[str, Any],
    badpix: list[BadPixel] | None = None,
    event_time_s: npt.ArrayLike | None = None,
) -> None:
    """Write a raw list.

    Parameters
    ----------
    path
        The file.
    raw
        The list.
    primary
        Keywords of the exposure.
    badpix
        Bad pixels; no such extension if None.
    event_time_s
        Times of the events; those of their frames if None.
    """
    frame = raw.frame.astype(np.int64)
    events: dict[str, Any] = {
        "TIME": raw.time_s[frame] if event_time_s is None else event_time_s,
        "RAWX": raw.rawx,
        "RAWY": raw.rawy,
        "PHA": raw.pha,
        "FLAG": raw.flag,
        "FRAME": frame + 1,
        "CCDNR": np.full(len(frame), raw.ccd),
    }
    columns: tuple[Column, ...] = EVENTS_COLUMNS
    if raw.off_cor is not None:
        events["OFF_COR"] = raw.off_cor
        columns = (*columns, _SHIFTED)
    n = len(raw.time_s)
    frames = {
        "TIME": raw.time_s,
        "TIMEDEL": np.full(n, float(_plain(raw.header["TIMEDEL"]))),
        "FRACEXP": raw.fraction,
        "FRAME": np.arange(1, n + 1),
        "TIME_RAW": raw.stamp_s,
    }
    cards = {**primary, **raw.header, **TIME_KEYWORDS, "NRAW": (raw.n_raw, "rows of the telemetry")}
    offsets = {"RAWX": list(raw.offsets), "OFFSETX": list(raw.offsets.values())}
    hdus: list[Any] = [
        primary_hdu(),
        make_table(columns, events, "EVENTS", cards),
        make_table(_FRAMES, frames, "EXPOSURE", {**raw.header, **TIME_KEYWORDS}),
        make_table(_OFFSETS, offsets, "OFFSETS"),
    ]
    if raw.dli_odf is not None:
        lines = {"DLIODF": raw.dli_odf, "DLISAS": raw.dli_sas}
        hdus.append(make_table(DLIMAP_COLUMNS, lines, "DLIMAP"))
    hdus.append(make_table(HKAUX_COLUMNS, raw.counters, "HKAUX", dict(TIME_KEYWORDS)))
    hdus.append(raw.gti.to_hdu("STDGTI"))
    if badpix is not None:
        hdus.append(make_table(BADPIX_COLUMNS, badpix_columns(badpix), "BADPIX"))
    hdus[0].header["LONGSTRN"] = ("OGIP 1.0", "long string convention may be used")
    for key, value in primary.items():
        hdus[0].header[key] = value
    write_hdus(path, hdus)


def read_raw_list(ctx: TaskContext, name: str) -> RawFile:
    """Read a raw list.

    Parameters
    ----------
    ctx
        The running task.
    name
        Name of the file.

    Raises
    ------
    TaskError
        ``wrongEventSet``: no such file, or not a raw list of the pn.
    """
    path = ctx.path(name)
    try:
        with open_hdus(path, memmap=False) as hdus:
            return _read(hdus, path)
    except (OSError, KeyError, ValueError) as error:
        raise TaskError("wrongEventSet", f"{path}: not a raw event list of the pn: {error}") from error


def _read(hdus: Any, path: Path) -> RawFile:
    note_product(hdus[0].header, path, is_list=True)
    events, frames = hdus["EVENTS"], hdus["EXPOSURE"]
    header = events.header
    if str(header.get("INSTRUME")).strip() != "EPN":
        raise ValueError(f"INSTRUME is {header.get('INSTRUME')!r}")

    def of(hdu: Any, *names: str) -> list[npt.NDArray[Any]]:
        return [column(hdu, n, str(path)) for n in names]

    ccd = 3 * int(header["QUADRANT"]) + int(header["CCDID"]) + 1
    rawx, rawy, pha, flag, frame = (
        a.astype(np.int32) for a in of(events, "RAWX", "RAWY", "PHA", "FLAG", "FRAME")
    )
    time, fraction, stamp = of(frames, "TIME", "FRACEXP", "TIME_RAW")
    gti = GTI.from_hdu(hdus["STDGTI"])
    shifted = "OFF_COR" in events.columns.names
    lines = of(hdus["DLIMAP"], "DLIODF", "DLISAS") if "DLIMAP" in hdus else [None, np.zeros(64, np.int64)]
    x, offset = of(hdus["OFFSETS"], "RAWX", "OFFSETX")
    own = header_cards(frames.header)
    raw = RawList(
        ccd,
        time,
        stamp,
        fraction,
        gti.contains(time),
        gti,
        frame - 1,
        rawx,
        rawy,
        pha,
        flag,
        {int(a): int(b) for a, b in zip(x, offset, strict=True)},
        lines[0],
        np.asarray(lines[1], np.int64),
        {c.name: column(hdus["HKAUX"], c.name, str(path)) for c in HKAUX_COLUMNS},
        own,
        int(header.get("NRAW", len(rawx))),
        0,
        of(events, "OFF_COR")[0].astype(np.float32) if shifted else None,
    )
    badpix = None
    if "BADPIX" in hdus:
        names = ("RAWX", "RAWY", "TYPE", "YEXTENT", "BADFLAG")
        badpix = [BadPixel(*map(int, row)) for row in zip(*of(hdus["BADPIX"], *names), strict=True)]
    file = RawFile(raw, badpix, {k: _plain(v) for k, v in header_cards(hdus[0].header).items()})
    file.check()
    return file


def header_cards(header: Any) -> dict[str, Any]:
    """Keywords of a header with their comments, without those of its structure and of time.

    Parameters
    ----------
    header
        The header.
    """
    return {key: card for key, card in other_cards(header).items() if key not in _OF_TABLES}


#: Changes of the stage's content or meaning.
_VERSION = 3
_ARRAYS = [
    "time_s",
    "stamp_s",
    "fraction",
    "good",
    "frame",
    "rawx",
    "rawy",
    "pha",
    "sequence",
    "flag",
    "label",
    "main",
    "size",
    "code",
    "number",
    "dli_odf",
    "dli_sas",
    "off_cor",
]


def save_raw(path: Path, ccds: Mapping[int, RawCcd], identity: Mapping[str, Any]) -> None:
    """Keep the raw stage of an exposure, and what stood in for calibration, in one file.

    Parameters
    ----------
    path
        The file.
    ccds
        CCD -> its pixels and patterns.
    identity
        What the stage belongs to and was made with; :func:`load_raw` compares it.
    """
    content: dict[str, npt.NDArray[Any]] = {}
    about: dict[str, Any] = {
        "version": _VERSION,
        "identity": dict(identity),
        "fallbacks": fallbacks_noted(),
        "ccds": {},
    }
    for ccd, raw in ccds.items():
        for name in _ARRAYS:
            if getattr(raw, name) is not None:
                content[f"{ccd}/{name}"] = getattr(raw, name)
        content[f"{ccd}/gti"] = np.stack([raw.gti.start, raw.gti.stop])
        for name, values in raw.counters.items():
            content[f"{ccd}/counters/{name}"] = values
        content[f"{ccd}/badpix"] = np.array(raw.badpix, np.int64).reshape(-1, 5)
        about["ccds"][ccd] = {
            "rows": raw.rows,
            "offsets": raw.offsets,
            "lowest_ev": raw.lowest_ev,
            "header": raw.header,
            "n_raw": raw.n_raw,
        }
    content["about"] = np.array(json.dumps(about))
    with path.open("wb") as handle:
        np.savez(handle, **content)  # type: ignore[arg-type]


def load_raw(path: Path, identity: Mapping[str, Any]) -> dict[int, RawCcd]:
    """Read what :func:`save_raw` kept.

    Parameters
    ----------
    path
        The file.
    identity
        What it has to belong to and be made with.

    Raises
    ------
    TaskError
        ``rawevents``: no such file, damaged, or made from other data or with other settings.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            about = json.loads(str(content["about"]))
            if about["version"] != _VERSION or about["identity"] != json.loads(json.dumps(dict(identity))):
                raise TaskError(
                    "rawevents", f"{path.name} belongs to other data or settings; run with runepframes=yes"
                )
            ccds = {}
            for text, notes in about["ccds"].items():
                ccd = int(text)
                arrays = {n: content[f"{ccd}/{n}"] for n in _ARRAYS if f"{ccd}/{n}" in content}
                for name in ("dli_odf", "off_cor"):
                    arrays.setdefault(name, None)
                inner = f"{ccd}/counters/"
                counters = {n.removeprefix(inner): content[n] for n in content.files if n.startswith(inner)}
                ccds[ccd] = RawCcd(
                    ccd=ccd,
                    gti=GTI(*content[f"{ccd}/gti"]),
                    badpix=[BadPixel(*map(int, p)) for p in content[f"{ccd}/badpix"]],
                    rows=tuple(notes["rows"]),
                    offsets={int(k): v for k, v in notes["offsets"].items()},
                    lowest_ev=notes["lowest_ev"],
                    header={k: tuple(v) if isinstance(v, list) else v for k, v in notes["header"].items()},
                    counters=counters,
                    n_raw=notes["n_raw"],
                    **arrays,
                )
            note_fallbacks(about["fallbacks"])
            return ccds
    except FileNotFoundError:
        raise TaskError(
            "rawevents",
            f"runepframes=no needs {path.name} of an earlier run with keepintermediate=raw in this folder",
        ) from None
    except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise TaskError("rawevents", f"{path.name}: cannot be read: {error}") from error
