"""The values of a page, read from the products of one observation.

Everything is made of numbers, texts, lists and dictionaries, so that it can be kept as JSON beside the page.
What cannot be read is left out, and named among the problems: a damaged product costs its own values only.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from daxa.archive import layout
from daxa.archive.curves import read_qdp
from daxa.report import flares, skymap, spectra
from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import FitsFile

#: What reading a damaged file raises.
UNREADABLE = (TaskError, OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError)
#: Flag of events beyond the field of view, EPIC.
_OUT_OF_FIELD = 0x10000
#: Cards that say what stood in for parts of calibration files.
_FALLBACK = "CALFB"
#: Points of a curve that a page draws at most.
_POINTS = 2500
_SUBEXPOSURE = re.compile(r"-inst([A-Z0-9]+)-subexp([A-Z]\d{3})-events\.fits$")
_ANOMALY = re.compile(r"CCD:\s*(\d+)\s+Hardness Ratio:\s*(\S+)\s+Error:\s*(\S+)\s+Status:\s*(\S+)")
#: Cameras whose lists have patterns, corners and flares.
EPIC = ("M1", "M2", "PN")
#: Names as people say them.
CAMERAS = {"M1": "MOS1", "M2": "MOS2", "PN": "pn", "R1": "RGS1", "R2": "RGS2", "ALL": "all cameras"}

Values = dict[str, Any]


class Reader:
    """Reads the products of an observation, and keeps what could not be read.

    Parameters
    ----------
    folder
        Folder of the observation's products.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[str] = []

    @contextmanager
    def trying(self, path: Path) -> Iterator[None]:
        """Go on without a file that cannot be read.

        Parameters
        ----------
        path
            The file.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except UNREADABLE as failure:
            self.note(path, failure)

    def note(self, path: Path, failure: BaseException) -> None:
        """Keep why a file could not be read.

        Parameters
        ----------
        path
            The file.
        failure
            What was raised.
        """
        name = path.relative_to(self.folder) if path.is_relative_to(self.folder) else path
        text = " ".join(str(failure).replace(f"{path}: ", "").replace(str(path), "it").split())
        self.problems.append(f"{name}: {text or type(failure).__name__}"[:300])

    def files(self, pattern: str) -> list[Path]:
        """Products whose names match a pattern, in order.

        Parameters
        ----------
        pattern
            Relative to the observation's folder.
        """
        return sorted(self.folder.glob(pattern))


def observation_values(folder: Path, obs_id: str, instruments: list[str]) -> Values:
    """All that is told of the products of an observation.

    Parameters
    ----------
    folder
        Folder of its products.
    obs_id
        The observation.
    instruments
        Those that were chosen.

    Returns
    -------
    values
        ``header`` (target, pointing, dates, what it was made with), ``exposures`` (one per sub-exposure of a
        camera), ``finals`` (instrument -> events and live time of its final list), ``attitude``, ``sources``,
        ``gratings``, ``calibration`` and ``problems``.
    """
    reader = Reader(folder)
    header: Values = {}
    exposures = []
    for path in reader.files("events/*-events.fits"):
        name = _SUBEXPOSURE.search(path.name)
        if name and name[1] in instruments and name[1] in EPIC:
            with reader.trying(path):
                exposures.append(_exposure(reader, path, obs_id, name[1], name[2], header))
    values = {
        "header": header,
        "exposures": exposures,
        "finals": _finals(reader, obs_id, instruments),
        "gratings": _gratings(reader, obs_id, instruments, header),
        "attitude": _attitude(reader, obs_id),
        "sources": _sources(reader, obs_id),
        "calibration": _calibration(reader, exposures),
    }
    _note_simulation(reader, header)
    return values | {"problems": reader.problems}


# -- cameras ----------------------------------------------------------------------------------


def _exposure(reader: Reader, path: Path, obs_id: str, inst: str, exp: str, header: Values) -> Values:
    """One sub-exposure: what its list says before flares were taken out, and after."""
    hdus = FitsFile(path)
    cards = hdus["EVENTS"].header
    _note_header(header, cards)
    raw = np.bincount(hdus["EVENTS"].data["CCDNR"], minlength=13)
    bad = _bad_pixels(hdus)
    found: Values = {
        "inst": inst,
        "exp": exp,
        "mode": _text(cards, "SUBMODE"),
        "filter": _text(cards, "FILTER"),
        "start": _text(cards, "DATE-OBS"),
        "end": _text(cards, "DATE-END"),
        "events_before": int(cards["NAXIS2"]),
        "before_s": _number(cards, "LIVETIME"),
        "ontime_s": _number(cards, "ONTIME"),
        "after_s": None,
        "events_after": None,
        "constituents": _constituents(hdus),
    }
    start, mjdref = _number(cards, "TSTART"), _number(cards, "MJDREF") or flares.MJDREF
    before = {ccd: _number(cards, f"ONTIME{ccd:02d}") for ccd in range(1, 13)}
    clean = reader.files(layout.clean_events(obs_id, inst, exp, "*"))
    after: dict[int, tuple[float | None, float | None]] = {}
    if clean:
        with reader.trying(clean[0]):
            cards = FitsFile(clean[0])["EVENTS"].header
            found["events_after"] = int(cards["NAXIS2"])
            found["after_s"] = _number(cards, "LIVETIME") or 0.0
            after = {
                ccd: (_number(cards, f"ONTIME{ccd:02d}"), _number(cards, f"LIVETI{ccd:02d}"))
                for ccd in range(1, 13)
            }
    whole = _whole_chip(reader, obs_id, inst, exp)
    found |= whole
    found["flares"] = _flares(reader, obs_id, inst, exp, start, mjdref)
    states = _states(reader, inst, exp)
    counts = whole.get("ccd_counts") or [0] * 13
    found["ccds"] = [
        {
            "ccd": ccd,
            "before": int(raw[ccd]),
            "after": counts[ccd],
            "bad": bad.get(ccd),
            "ontime_before_s": before[ccd],
            "ontime_s": after.get(ccd, (None, None))[0],
            "livetime_s": after.get(ccd, (None, None))[1],
            "state": states.get(ccd),
        }
        for ccd in range(1, 13)
        if raw[ccd] or before[ccd]
    ]
    return found


def _note_header(header: Values, cards: Any) -> None:
    """What every list of an observation says, from the first that says it."""
    for key, name in (
        ("target", "OBJECT"), ("observer", "OBSERVER"), ("ra", "RA_PNT"), ("dec", "DEC_PNT"),
        ("pa", "PA_PNT"), ("revolution", "REVOLUT"), ("attitude", "ATT_SRC"), ("creator", "CREATOR"),
        ("chain", "ODSCHAIN"),
    ):  # fmt: skip
        value = cards.get(name)
        if key in ("ra", "dec", "pa"):
            value = _number(cards, name)
        if header.get(key) in (None, "") and isinstance(value, str | int | float):
            header[key] = value.strip() if isinstance(value, str) else value
    for name in cards:
        if name.startswith(_FALLBACK) and str(cards[name]) not in header.setdefault("fallbacks", []):
            header["fallbacks"].append(str(cards[name]).strip())
    header["synthetic"] = bool(header.get("synthetic") or cards.get("SYNTHCAL"))


def _note_simulation(reader: Reader, header: Values) -> None:
    """Lists of MOS and RGS do not say that their raw files were simulated; the summary of these does."""
    for path in reader.files("*SUM.SAS"):
        with reader.trying(path):
            if "daxa.simulate" in path.read_text(encoding="latin-1"):
                header["chain"] = "SIMU"


def _bad_pixels(hdus: FitsFile) -> dict[int, int]:
    """Pixels that are left out, per CCD; a row may stand for several of a column."""
    found = {}
    for hdu in hdus:
        if re.fullmatch(r"BADPIX\d\d", hdu.name):
            wide = hdu.data["YEXTENT"] if "YEXTENT" in hdu.columns else np.ones(hdu.rows)
            found[int(hdu.name[-2:])] = int(wide.sum())
    return found


def _constituents(hdus: FitsFile) -> list[str]:
    """Calibration files that a list was made with."""
    return [_word(name) for name in hdus["CALINDEX"].data["FNAME"]] if "CALINDEX" in hdus else []


def _word(cell: Any) -> str:
    return cell.decode("latin-1").strip() if isinstance(cell, bytes) else str(cell).strip()


def _whole_chip(reader: Reader, obs_id: str, inst: str, exp: str) -> Values:
    """Spectra, lines and patterns, from the quiet list of the whole chip, corners included."""
    path = reader.folder / layout.all_good_events(obs_id, inst, exp)
    if not path.exists():
        return {}
    found: Values = {}
    with reader.trying(path):
        hdus = FitsFile(path)
        data = hdus["EVENTS"].data
        pi, flag, ccd = (np.asarray(data[name]) for name in ("PI", "FLAG", "CCDNR"))
        pattern = np.asarray(data["PATTERN"])
        corner = (flag & _OUT_OF_FIELD) != 0
        inside = flag == 0
        shares = spectra.pattern_fractions(pi[inside], pattern[inside])
        low, _, width = spectra.SPECTRUM_EV
        found = {
            "spectra": {
                "low_ev": low,
                "width_ev": width,
                "field": spectra.spectrum(pi[inside]).tolist(),
                "corner": spectra.spectrum(pi[corner]).tolist(),
            },
            "lines": [asdict(line) | {"shift": line.shift} for line in spectra.measure_lines(pi, inst)],
            "patterns": {
                "energy": _rounded(shares.energy, 1),
                "events": shares.events.tolist(),
                "fractions": {k: _rounded(v, 4) for k, v in shares.fractions.items()},
            },
            "ccd_counts": np.bincount(ccd, minlength=13).tolist(),
            "corner_counts": int(corner.sum()),
        }
    return found


def _flares(
    reader: Reader, obs_id: str, inst: str, exp: str, start: float | None, mjdref: float
) -> Values | None:
    """Accepted intervals, what is left of protons, and the light curves."""
    stem = layout.flare_gti(obs_id, inst, exp, 0, 0).partition("-en")[0]
    found: Values = {}
    for path in reader.files(f"{stem}-en*-gti.fits")[:1]:
        with reader.trying(path):
            hdus = FitsFile(path)
            cards, data = hdus["STDGTI"].header, hdus["STDGTI"].data
            times = np.stack([np.asarray(data["START"], float), np.asarray(data["STOP"], float)], axis=1)
            found = {
                "accepted_s": float(np.diff(times).sum()) if len(times) else 0.0,
                "intervals": flares.utc_ms(times.ravel(), mjdref).reshape(-1, 2).tolist(),
                "low_ev": _number(cards, "ELOW"),
                "high_ev": _number(cards, "EHIGH"),
                "centre": _number(cards, "CENTER"),
                "width": _number(cards, "WIDTH"),
                "inout": _number(cards, "INOUT"),
                "inout_error": _number(cards, "INOUTERR"),
                "corner_rate": _number(cards, "CORRATE"),
            }
    for path in reader.files(f"{stem}-en*-hist.qdp")[:1]:
        with reader.trying(path):
            seen = read_qdp(path.read_text(encoding="latin-1"))
            begin = start if start is not None else 0.0
            for name in ("field", "corner"):
                curve = _thinned(getattr(seen, name))
                found[name] = {
                    "time": flares.utc_ms(begin + curve[:, 0], mjdref).tolist(),
                    "rate": _rounded(curve[:, 1], 4),
                }
            found["histogram"] = _rounded(seen.histogram, 3)
            found["fit"] = _rounded(seen.fit, 3)
            found["limits"] = list(seen.limits) if seen.limits else None
    return found or None


def _states(reader: Reader, inst: str, exp: str) -> dict[int, Values]:
    """States of the CCDs by emanom."""
    found: dict[int, Values] = {}
    if not inst.startswith("M"):
        return found
    for path in sorted(reader.folder.rglob(layout.anom_log(inst, exp)))[:1]:
        with reader.trying(path):
            for ccd, ratio, error, state in _ANOMALY.findall(path.read_text(encoding="latin-1")):
                found[int(ccd)] = {"state": state, "hardness": float(ratio), "error": float(error)}
    return found


def _finals(reader: Reader, obs_id: str, instruments: list[str]) -> dict[str, Values]:
    """Events and live time of the final list of each camera."""
    found = {}
    for inst in instruments:
        lists = reader.files(layout.final_events(obs_id, inst, "*")) if inst in EPIC else []
        for path in lists[:1]:
            with reader.trying(path):
                cards = FitsFile(path)["EVENTS"].header
                found[inst] = {
                    "events": int(cards["NAXIS2"]),
                    "livetime_s": _number(cards, "LIVETIME") or 0.0,
                }
    return found


# -- the rest ---------------------------------------------------------------------------------


def _good_time(hdus: FitsFile) -> float | None:
    """Seconds that are good on the CCD with the most of them."""
    tables = [hdu.data for hdu in hdus if re.fullmatch(r"STDGTI\d\d", hdu.name)]
    return max((float((t["STOP"] - t["START"]).sum()) for t in tables), default=None)


def _gratings(reader: Reader, obs_id: str, instruments: list[str], header: Values) -> list[Values]:
    """Exposures of the spectrometers: their events, energy against wavelength."""
    found = []
    for inst in (i for i in instruments if i.startswith("R")):
        for path in reader.files(layout.rgs_file(obs_id, inst, "*", "finalevents")):
            with reader.trying(path):
                hdus = FitsFile(path)
                cards, data = hdus[0].header, hdus["EVENTS"].data
                _note_header(header, cards)
                one: Values = {
                    "inst": inst,
                    "exp": path.name.partition("-subexp")[2][:4],
                    "events": len(data),
                    "mode": _text(cards, "SUBMODE") or _text(cards, "DATAMODE"),
                    "start": _text(cards, "DATE-OBS"),
                    "ontime_s": _good_time(hdus),
                }
                if {"M_LAMBDA", "PI"} <= set(hdus["EVENTS"].columns):
                    wave, pi = np.asarray(data["M_LAMBDA"], float), np.asarray(data["PI"], float)
                    # The product of energy and wavelength over the order is 12398 eV Angstrom.
                    for order in (1, 2):
                        near = np.abs(pi * wave / 12398.4 - order) < 0.25 * np.sqrt(order)
                        counts = np.histogram(wave[near] / order, bins=np.arange(5, 38.05, 0.05))[0]
                        one[f"order{order}"] = counts.tolist()
                found.append(one)
    return found


def _attitude(reader: Reader, obs_id: str) -> Values | None:
    """How far from its middle the pointing was [arcsec], along right ascension and declination."""
    path = reader.folder / layout.attitude(obs_id)
    found = None
    if path.exists():
        with reader.trying(path):
            hdus = FitsFile(path)
            data = hdus["ATTHK"].data
            time, ra, dec = (np.asarray(data[n], float) for n in ("TIME", "AHFRA", "AHFDEC"))
            good = np.isfinite(time) & np.isfinite(ra) & np.isfinite(dec)
            time, ra, dec = time[good], ra[good], dec[good]
            # Right ascensions on both sides of 0 are neighbours.
            beside = (ra - ra[0] + 180) % 360 - 180 if len(ra) else ra
            middle = (ra[0] + np.median(beside)) % 360 if len(ra) else np.nan
            centre = (float(middle), float(np.median(dec)))
            west, north = (3600 * skymap.tangent(list(zip(ra, dec, strict=True)), centre)).T
            every = slice(None, None, max(1, -(-len(time) // 800)))
            found = {
                "ra": centre[0],
                "dec": centre[1],
                "time": flares.utc_ms(time[every]).tolist(),
                "east": _rounded(-west[every], 2),
                "north": _rounded(north[every], 2),
                "spread": round(float(np.hypot(west, north).max()), 2),
            }
    return found


def _sources(reader: Reader, obs_id: str) -> list[Values] | None:
    """Sources that were found, the brightest first; None where none were looked for."""
    path = reader.folder / layout.source_list(obs_id)
    found: list[Values] | None = None
    if path.exists():
        with reader.trying(path):
            hdus = FitsFile(path)
            data = hdus["SRCLIST"].data
            names = set(hdus["SRCLIST"].columns)
            summed = np.ones(len(data), bool)
            for column in ("ID_INST", "ID_BAND"):
                if column in names:
                    summed &= np.asarray(data[column]) == 0
            columns = [
                c
                for c in ("RA", "DEC", "RADEC_ERR", "SCTS", "SCTS_ERR", "RATE", "DET_ML", "EXT")
                if c in names
            ]
            rows = [
                {c.lower(): (v if np.isfinite(v) else None) for c in columns for v in [float(row[c])]}
                for row in data[summed]
            ]
            found = sorted(rows, key=lambda r: -(r.get("rate") or 0.0))
    return found


def _calibration(reader: Reader, exposures: list[Values]) -> list[Values]:
    """Constituents that the index of the observation names, and which cameras used them."""
    users: dict[str, set[str]] = {}
    for exposure in exposures:
        for file in exposure.pop("constituents"):
            users.setdefault(file, set()).add(CAMERAS[exposure["inst"]])
    rows: list[Values] = []
    path = reader.folder / layout.cif()
    if path.exists():
        with reader.trying(path):
            for row in FitsFile(path)["CALINDEX"].data:
                file, valid, made = (_word(row[name]) for name in ("FNAME", "VALDATE", "DATE"))
                used = sorted(users.get(file, ()))
                rows.append({"file": file, "valid": valid[:10], "made": made[:10], "used": used})
    return sorted(rows, key=lambda r: (not r["used"], r["file"]))


def _text(cards: Any, name: str) -> str:
    value = cards.get(name)
    return value.strip() if isinstance(value, str) else ""


def _number(cards: Any, name: str) -> float | None:
    value = cards.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and np.isfinite(value) else None


def _rounded(values: Any, digits: int) -> list[Any]:
    return np.round(np.asarray(values, float), digits).tolist()  # type: ignore[no-any-return]


def _thinned(curve: np.ndarray) -> np.ndarray:
    """A curve with so few points that a page can hold it: means of neighbours."""
    many = -(-len(curve) // _POINTS)
    if many <= 1:
        return curve
    return curve[: len(curve) // many * many].reshape(-1, many, 2).mean(axis=1)


def finite(values: Any) -> Any:
    """The same without what JSON has no word for: None stands for it.

    Parameters
    ----------
    values
        Numbers, texts, lists and dictionaries.
    """
    if isinstance(values, float):
        return values if math.isfinite(values) else None
    if isinstance(values, list | tuple):
        return [finite(v) for v in values]
    return {k: finite(v) for k, v in values.items()} if isinstance(values, dict) else values


def signature(folder: Path, of: Callable[[Path], bool] = lambda path: True) -> str:
    """Changes with every product of an observation.

    Parameters
    ----------
    folder
        Folder of the products.
    of
        Which of them count.
    """
    import hashlib

    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "logs" not in path.parts and of(path):
            state = path.stat()
            found.update(f"{path.relative_to(folder)} {state.st_size} {state.st_mtime_ns}\n".encode())
    return found.hexdigest()[:16]
