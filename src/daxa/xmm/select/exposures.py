"""Good time and live time of the CCDs of an event list, after a selection in time.

ONTIMEnn is the sum of the CCD's good intervals, LIVETInn the sum of TIMEDEL * FRACEXP over the frames of
EXPOSUnn that lie wholly inside one of them (:func:`daxa.xmm.event.parts.live_seconds`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.event.gti import GTI
from daxa.xmm.event.parts import live_seconds
from daxa.xmm.fits.file import FitsFile, Hdu
from daxa.xmm.fits.schema import column, column_names

if TYPE_CHECKING:
    from daxa.xmm.fits.hdus import BinTableHDU, HDUList


@dataclass
class Frames:
    """Frames of a CCD of a camera: time and length [s] and effective fraction of each."""

    time_s: npt.NDArray[np.float64]
    length_s: npt.NDArray[np.float64]
    fraction: npt.NDArray[np.float64] | float
    instrument: str

    def livetime(self, gti: GTI) -> float:
        """Live time inside good intervals.

        Parameters
        ----------
        gti
            The intervals.

        Returns
        -------
        float
            Seconds.
        """
        return live_seconds(self.time_s, self.length_s, self.fraction, gti, self.instrument)


def read_frames(hdu: Hdu | BinTableHDU, fallback: Mapping[str, Any], where: str) -> Frames:
    """Frames of an EXPOSUnn table; a missing TIMEDEL column is the keyword's value for all frames.

    Parameters
    ----------
    hdu
        The table.
    fallback
        Header with TIMEDEL [s] and INSTRUME where the table lacks them.
    where
        Name of the file, for messages.

    Raises
    ------
    KeyError
        There is no column TIME.
    """
    time = np.asarray(column(hdu, "TIME", where), float)
    names = column_names(hdu)
    if "TIMEDEL" in names:
        length = np.asarray(column(hdu, "TIMEDEL", where), float)
    else:
        length = np.full(len(time), float(hdu.header.get("TIMEDEL", fallback.get("TIMEDEL", 0.0))))
    fraction = np.asarray(column(hdu, "FRACEXP", where), float) if "FRACEXP" in names else 1.0
    instrument = str(hdu.header.get("INSTRUME", fallback.get("INSTRUME", "")))
    return Frames(time, length, fraction, instrument.strip())


def ccd_tables(hdus: FitsFile | HDUList, stem: str) -> dict[int, int]:
    """HDU index of each table ``stem`` + two-digit CCD number.

    Parameters
    ----------
    hdus
        The opened file.
    stem
        Beginning of the names, e.g. ``EXPOSU``.

    Returns
    -------
    dict
        CCD -> number of the extension.
    """
    found = {}
    for index, hdu in enumerate(hdus):
        match = re.fullmatch(stem + r"(\d\d)", hdu.name)
        if match:
            found[int(match.group(1))] = index
    return found


def exposure_keywords(
    header: Mapping[str, Any], ontime: Mapping[int, float], live: Mapping[int, float]
) -> dict[str, tuple[float, str]]:
    """ONTIMEnn, LIVETInn, ONTIME and LIVETIME after a selection.

    ONTIME and LIVETIME stay those of the CCD they were of before (the one of equal ONTIMEnn), else they
    are those of the CCD with the longest good time.

    Parameters
    ----------
    header
        Header of the event table before the selection.
    ontime, live
        Good and live time [s] by CCD.

    Returns
    -------
    dict
        Keyword -> value [s], comment.
    """
    cards: dict[str, tuple[float, str]] = {}
    for ccd in sorted(ontime):
        cards[f"ONTIME{ccd:02d}"] = (ontime[ccd], "Sum of GTIs for a particular CCD")
        if ccd in live:
            cards[f"LIVETI{ccd:02d}"] = (live[ccd], "Live time for a particular CCD")
    if ontime:
        was = header.get("LIVETIME")
        same = [c for c in sorted(ontime) if was is not None and header.get(f"LIVETI{c:02d}") == was]
        if not same:
            was = header.get("ONTIME")
            same = [c for c in sorted(ontime) if was is not None and header.get(f"ONTIME{c:02d}") == was]
        prime = same[0] if same else max(sorted(ontime), key=lambda c: ontime[c])
        cards["ONTIME"] = (ontime[prime], f"[s] Sum of GTIs of CCD {prime}")
        if prime in live:
            cards["LIVETIME"] = (live[prime], f"[s] Live time of CCD {prime}")
    return cards
