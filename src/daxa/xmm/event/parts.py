"""What event lists are made of: columns, what is known of a CCD, keywords.

Source: XMM-Newton Data Files Handbook (EPIC imaging and timing mode event lists) and the column lists of
evlistcomb; real lists of MOS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.event.gti import GTI
from daxa.xmm.fits.schema import Column
from daxa.xmm.formats.eventlist import SKY_MAX, STEP_DEG

if TYPE_CHECKING:
    from daxa.xmm.fits.hdus import BinTableHDU, Header


#: Keywords of a header: value and comment of each, the comment empty where there is none.
Cards = dict[str, tuple[Any, str]]


def as_cards(values: Mapping[str, Any]) -> Cards:
    """Keywords as value and comment.

    Parameters
    ----------
    values
        Keyword -> value, or value and comment.

    Examples
    --------
    >>> as_cards({"CCDID": 4, "FRMTIME": (2600.0, "[ms] frame time")})
    {'CCDID': (4, ''), 'FRMTIME': (2600.0, '[ms] frame time')}
    """
    return {key: value if isinstance(value, tuple) else (value, "") for key, value in values.items()}


@dataclass
class CcdExposure:
    """Everything an event list holds about one CCD besides its events.

    Attributes
    ----------
    frame_time_s, frame_length_s, fraction
        Per frame: centre, integration time, effective fraction (columns of EXPOSUnn).
    gti
        Good times of this CCD (STDGTInn).
    badpix
        Columns of BADPIXnn: RAWX, RAWY, TYPE (1 hot, 2 flickering, 3 dead), YEXTENT, BADFLAG (1 on
        board, 2 CCF, 3 found in the observation).
    header
        Keywords of the CCD's extensions (CCDID, WINDOWX0, FRMTIME, ...).
    discarded
        pn only: columns DLIODF, DLISAS.
    counters
        pn only: columns of HKAUXnn.
    transfer_s
        MOS only: time between the end of a frame's integration and the next one's start.
    limits
        MOS only: first and last RAWX, first and last RAWY that are read, which EXPOSUnn names, whereas the
        other extensions have the window of telemetry.
    """

    frame_time_s: npt.NDArray[np.float64]
    frame_length_s: npt.NDArray[np.float64]
    fraction: npt.NDArray[np.float64]
    gti: GTI
    badpix: Mapping[str, npt.ArrayLike]
    header: dict[str, Any] = field(default_factory=dict)
    discarded: Mapping[str, npt.ArrayLike] | None = None
    counters: Mapping[str, npt.ArrayLike] | None = None
    transfer_s: float = 0.0
    limits: tuple[int, int, int, int] | None = None

    @property
    def ontime_s(self) -> float:
        """Good time."""
        return self.gti.total

    def livetime_s(self, instrument: str) -> float:
        """LIVETInn of a list, see :func:`live_seconds`.

        Parameters
        ----------
        instrument
            ``EMOS1``, ``EMOS2`` or ``EPN``.
        """
        return live_seconds(self.frame_time_s, self.frame_length_s, self.fraction, self.gti, instrument)

    @property
    def window_cards(self) -> Cards:
        """Window of EXPOSUnn of MOS."""
        if self.limits is None:
            return {}
        x0, x1, y0, y1 = self.limits
        return {
            "WINDOWX0": (x0, "[pixel] first column that is read"),
            "WINDOWY0": (y0, "[pixel] first row that is read"),
            "WINDOWDX": (x1 - x0 + 1, "[pixel] columns that are read"),
            "WINDOWDY": (y1 - y0 + 1, "[pixel] rows that are read"),
        }

    @property
    def span_s(self) -> tuple[float, float]:
        """Start of the first frame, and end of the transfer of the last."""
        half = 0.5 * self.frame_length_s[[0, -1]]
        return (
            float(self.frame_time_s[0] - half[0]),
            float(self.frame_time_s[-1] + half[1] + self.transfer_s),
        )

    @property
    def mean_livetime_s(self) -> float:
        """LIVETIME of EXPOSUnn of MOS: good time times the mean FRACEXP of the frames, weighted with their
        lengths, transfer included (in real lists to 1 us).
        """
        good = self._good
        length = self.frame_length_s[good] + self.transfer_s
        return self.ontime_s * float(np.average(self.fraction[good], weights=length)) if good.any() else 0.0

    @property
    def _good(self) -> npt.NDArray[np.bool_]:
        half = 0.5 * self.frame_length_s
        return self.gti.covers(self.frame_time_s - half, self.frame_time_s + half)


@dataclass(frozen=True)
class EventList:
    """Content of an event list, see :func:`daxa.xmm.event.eventlist.write_event_list`."""

    primary: Cards
    columns: Mapping[str, npt.ArrayLike]
    ccds: Mapping[int, CcdExposure]
    sky: Mapping[str, float]
    offsets: Mapping[str, npt.ArrayLike] | None
    calindex: BinTableHDU | None
    prime_ccd: int
    more: tuple[Column, ...]
    det_limits: Mapping[str, tuple[int, int]]

    @property
    def instrument(self) -> str:
        """EMOS1, EMOS2 or EPN."""
        return str(self.primary["INSTRUME"][0])

    @property
    def data_mode(self) -> str:
        """IMAGING, TIMING or BURST."""
        return str(self.primary["DATAMODE"][0])

    @property
    def imaging(self) -> bool:
        """Whether the events have places in an image."""
        return self.data_mode == "IMAGING"

    @property
    def kind(self) -> str:
        """Kind of list that its columns are of: IMAGING, or TIMING for all fast modes."""
        return "IMAGING" if self.imaging else "TIMING"


def live_seconds(
    time_s: npt.NDArray[Any],
    length_s: npt.NDArray[Any],
    fraction: npt.NDArray[Any] | float,
    gti: GTI,
    instrument: str,
) -> float:
    """Sum of TIMEDEL * FRACEXP of the frames that lie wholly in the good times (LIVETInn).

    In 47 tables of 8 real lists of MOS, to 10 us, numbers are taken as they stand in the file: good times
    begin with a frame, of which the rounding of TIMEDEL to single precision puts about every second one
    outside. That is up to 21 s of 50 ks. For the pn, of which no list was at hand, rounding does not count.

    Parameters
    ----------
    time_s
        Middle of each frame [mission time], shape (n,).
    length_s
        TIMEDEL [s], shape (n,).
    fraction
        FRACEXP, the live part of each frame, shape (n,) or one number.
    gti
        Good times of the CCD.
    instrument
        ``EMOS1``, ``EMOS2`` or ``EPN``.

    Returns
    -------
    float
        Live time [s].
    """
    mos = instrument.startswith("EMOS")
    length = np.asarray(length_s, np.float32).astype(float) if mos else np.asarray(length_s, float)
    half = 0.5 * length
    inside = gti.covers(time_s - half, time_s + half, 0.0 if mos else 1e-6)
    return float(np.sum((length * fraction)[inside]))


def livetime_keywords(ccds: Mapping[int, CcdExposure], prime_ccd: int, instrument: str) -> Cards:
    """ONTIMEnn, LIVETInn of every CCD, and ONTIME, LIVETIME of the prime CCD (or the longest one).

    Parameters
    ----------
    ccds
        CCD number -> its frames.
    prime_ccd
        Number of the prime CCD.
    instrument
        ``EMOS1``, ``EMOS2`` or ``EPN``.

    Returns
    -------
    dict
        Keyword -> value [s] and comment.
    """
    cards: Cards = {}
    live = {ccd: exposure.livetime_s(instrument) for ccd, exposure in ccds.items()}
    for ccd, exposure in sorted(ccds.items()):
        cards[f"ONTIME{ccd:02d}"] = (exposure.ontime_s, f"[s] good time of CCD {ccd}")
        cards[f"LIVETI{ccd:02d}"] = (live[ccd], f"[s] live time of CCD {ccd}")
    if ccds:
        prime = prime_ccd if prime_ccd in ccds else max(ccds, key=lambda c: ccds[c].ontime_s)
        cards["ONTIME"] = (ccds[prime].ontime_s, "[s] good time of the prime CCD")
        cards["LIVETIME"] = (live[prime], "[s] live time of the prime CCD")
    return cards


def dss_keywords(ccds: Mapping[int, CcdExposure]) -> list[tuple[str, Any]]:
    """Data-subspace keywords of an unfiltered list: one component (CCDNR, TIME) per CCD.

    Parameters
    ----------
    ccds
        CCD number -> its frames.
    """
    cards: list[tuple[str, Any]] = []
    for number, ccd in enumerate(sorted(ccds), start=1):
        prefix = "" if number == 1 else str(number)
        if number == 1:
            cards += [("DSTYP1", "CCDNR"), ("DSTYP2", "TIME"), ("DSUNI2", "s")]
        cards += [
            (f"{prefix}DSVAL1", str(ccd)),
            (f"{prefix}DSVAL2", "TABLE"),
            (f"{prefix}DSREF2", f":STDGTI{ccd:02d}"),
        ]
    return cards


def write_reference(header: Header, ra_deg: float, dec_deg: float, columns: Mapping[str, Any]) -> None:
    """Write the REFX*, REFY* copies of the sky coordinates.

    Parameters
    ----------
    header
        The header; changed.
    ra_deg, dec_deg
        The point that the plane touches the sky in [deg].
    columns
        Columns X and Y, shape (n,), for the range of values; 0 and below stand for no position.
    """
    centre = SKY_MAX // 2 + 1
    for axis, kind, value, sign in (("X", "RA---TAN", ra_deg, -1), ("Y", "DEC--TAN", dec_deg, 1)):
        data = np.asarray(columns[axis])
        data = data[data > 0]
        header[f"REF{axis}CTYP"] = kind
        header[f"REF{axis}CRPX"] = centre
        header[f"REF{axis}CRVL"] = value
        header[f"REF{axis}CDLT"] = sign * STEP_DEG
        header[f"REF{axis}LMIN"] = 1
        header[f"REF{axis}LMAX"] = SKY_MAX
        header[f"REF{axis}DMIN"] = int(data.min()) if data.size else 1
        header[f"REF{axis}DMAX"] = int(data.max()) if data.size else SKY_MAX
        header[f"REF{axis}CUNI"] = "deg"
    header["EQUINOX"] = 2000.0
    header["RADECSYS"] = "FK5"


def write_sky_wcs(header: Header, ra_deg: float, dec_deg: float, columns: Mapping[str, Any]) -> None:
    """Write the column WCS of X and Y (and the REFX*, REFY* copies) into an EVENTS header.

    A tangent-plane projection about the given point, pixels of 0.05 arcsec, reference pixel 25921.

    Parameters
    ----------
    header
        The header; changed.
    ra_deg, dec_deg
        The point that the plane touches the sky in [deg].
    columns
        Columns of the list, each of shape (n,); X and Y are looked at for the range of values.
    """
    write_reference(header, ra_deg, dec_deg, columns)
    number = {header[f"TTYPE{i}"]: i for i in range(1, header["TFIELDS"] + 1)}
    for axis in "XY":
        i = number[axis]
        for key in ("CTYP", "CRPX", "CRVL", "CDLT", "CUNI"):
            header[f"T{key}{i}"] = header[f"REF{axis}{key}"]
