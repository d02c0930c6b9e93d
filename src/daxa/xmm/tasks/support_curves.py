"""What is behind a light curve: its region, spectrum and live times."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI, TIME_KEYWORDS
from daxa.xmm.fits.header import Header
from daxa.xmm.fits.schema import column
from daxa.xmm.image.ccds import good_times
from daxa.xmm.instruments.seeds import pn
from daxa.xmm.response.psf import PointSpread
from daxa.xmm.select import dss
from daxa.xmm.select.exposures import Frames, ccd_tables, read_frames
from daxa.xmm.spectra.area import shares_of_ccds
from daxa.xmm.spectra.ogip import opened
from daxa.xmm.spectra.region import Observed, cells_of
from daxa.xmm.tasks.support import open_calibration
from daxa.xmm.tasks.support_spectra import STEP, geometry_of, good_pixels, source_place
from daxa.xmm.timing.curves import Curve, axis_factor, live_share, rate_table
from daxa.xmm.timing.live import live_seconds_of_bins

if TYPE_CHECKING:
    from daxa.xmm.fits.file import FitsFile
    from daxa.xmm.parameters import Parameters
    from daxa.xmm.sky.geometry import CameraGeometry
    from daxa.xmm.spectra.region import Cells
    from daxa.xmm.task import TaskContext

FloatArray = npt.NDArray[np.float64]
#: Channels of the spectrum that weights areas [eV], and the last one of each camera.
_CHANNEL_EV, _LAST = 50, {"EPN": 20479, "EMOS1": 11999, "EMOS2": 11999}
#: Energy at which a point source is divided among CCDs [eV].
_MIDDLE_EV = 1500.0
#: An event nearer to the middle of its frame [s] has the time of the frame.
_AT_FRAME = 1e-4
#: Purpose of the random numbers: times within a frame, of a curve.
_PN_CURVE = 6
#: Keywords of a curve that do not hold once it is corrected, or are written anew.
_ANEW = frozenset(
    (
        "EXTNAME",
        "TSTART",
        "TSTOP",
        "TIMEDEL",
        "HDUCLAS2",
        "HDUCLAS3",
        "BACKAPP",
        "DEADAPP",
        "VIGNAPP",
        "LONGSTRN",
    )
)


class Extraction:
    """A light curve and the event list that it was made of.

    Parameters
    ----------
    ctx, p
        The running task and its parameters.
    curve
        The curve.
    stem
        Where files for the time being go: a folder and the beginning of names.
    """

    def __init__(self, ctx: TaskContext, p: Parameters, curve: Curve, stem: Path) -> None:
        self.ctx, self.p, self.curve, self.stem = ctx, p, curve, stem
        self.events = opened(ctx.path(p.eventlist))
        if "EVENTS" not in self.events:
            raise TaskError("badEventList", f"{self.events.path}: no extension EVENTS")
        if not curve.subspace.axes:
            raise TaskError(
                "noDSS", f"{curve.path}: no data subspace: make the curve by evselect with writedss=yes"
            )

    # what was selected
    @functools.cached_property
    def _spectrum_file(self) -> Path:
        """The spectrum of what the curve holds."""
        path = self.stem.with_suffix(".pi")
        header = self.events["EVENTS"].header
        instrument = str(header.get("INSTRUME", self.events[0].header.get("INSTRUME", ""))).strip()
        if instrument not in _LAST:
            raise TaskError(
                "WrongInst", f"{self.events.path}: INSTRUME is {instrument!r}, not an EPIC camera"
            )
        self.ctx.call(
            "evselect",
            table=f"{self.events.path}:EVENTS",
            filtertype="dataSubspace",
            dssblock=f"{self.curve.path}:RATE",
            withspectrumset=True,
            spectrumset=str(path),
            energycolumn="PI",
            spectralbinsize=_CHANNEL_EV,
            withspecranges=True,
            specchannelmin=0,
            specchannelmax=_LAST[instrument],
            nonStandardSpec=True,
        )
        return path

    @functools.cached_property
    def spectrum(self) -> FloatArray:
        """Counts in channels of 50 eV, shape (channels,)."""
        hdu = opened(self._spectrum_file)["SPECTRUM"]
        return np.asarray(column(hdu, "COUNTS", str(self._spectrum_file)), float)

    @functools.cached_property
    def _observed(self) -> Observed:
        return Observed.read(self._spectrum_file)

    @functools.cached_property
    def _geometry(self) -> CameraGeometry:
        return geometry_of(self.ctx, self._observed)

    @functools.cached_property
    def _cells(self) -> Cells:
        good = good_pixels(self.ctx, str(self.events.path), self._observed, self._geometry)
        return cells_of(self._observed, self._geometry, good, step=STEP)

    @property
    def area(self) -> float:
        """Area of the region that is seen [(0.05 arcsec)^2], as backscale gives it."""
        return self._cells.area

    def taken_from(self, spectrum: FloatArray, scale: float) -> FloatArray:
        """A spectrum without this one, which is of the background; as it is where hardly anything is left.

        Parameters
        ----------
        spectrum
            The source's.
        scale
            Area of its region over that of this one.
        """
        net = spectrum - scale * self.spectrum
        noise = np.sqrt(spectrum.sum() + scale**2 * self.spectrum.sum())
        return net if net.sum() > 5 * noise else spectrum

    # light on the CCDs
    def _numbers(self) -> list[int]:
        numbers = self.curve.subspace.ccds()
        if None in numbers or not numbers:
            return sorted(ccd_tables(self.events, "EXPOSU"))
        return sorted({int(n) for n in numbers if n is not None})

    def shares(self, *, even: bool) -> dict[int, float]:
        """How much of the light each CCD sees.

        Parameters
        ----------
        even
            The light is spread evenly over the region, not as that of a point source.
        """
        numbers = self._numbers()
        if len(numbers) == 1:
            return {numbers[0]: 1.0}
        cells = self._cells
        weights = np.ones(len(cells.detx))
        if not even:
            x, y = source_place(self.p, self._observed, self._geometry)
            theta = float(self._geometry.det_to_tel(x, y)[0]) / 60.0
            psf = PointSpread.from_calibration(open_calibration(self.ctx), self._observed.instrument)
            distance2 = ((cells.detx - x) ** 2 + (cells.dety - y) ** 2) * 0.05**2
            weights = psf.king(_MIDDLE_EV, theta).brightness(distance2)
        found = shares_of_ccds(cells, weights)
        if not found:
            raise TaskError("noArea", f"{self.curve.path}: no part of the region is seen by the camera")
        return found

    def live_share(self, *, even: bool) -> FloatArray:
        """Live share of each bin.

        Parameters
        ----------
        even
            As for :meth:`shares`.
        """
        shares = self.shares(even=even)
        said = ", ".join(f"{ccd} ({s / sum(shares.values()):.3f})" for ccd, s in shares.items())
        self.ctx.info(f"Extraction region lies in CCD number {said}")
        frames, good = self._frames(shares), self.good_times(shares)
        live = {c: live_seconds_of_bins(self.curve.edges_s, good[c], frames.get(c)) for c in shares}
        return live_share(shares, {c: seconds / self.curve.width_s for c, seconds in live.items()})

    def good_times(self, ccds: Any) -> dict[int, GTI]:
        """Good times of CCDs: those of the curve, else those of the list.

        Parameters
        ----------
        ccds
            Their numbers.
        """
        own = self.curve.subspace.ccd_gti()
        missing = [c for c in ccds if c not in own]
        if missing:
            own |= good_times(self.events, missing, None, self.ctx.warn)
        return {c: own[c] for c in ccds}

    def _frames(self, ccds: Any) -> dict[int, Frames]:
        tables = ccd_tables(self.events, "EXPOSU")
        found = {}
        for ccd in ccds:
            if ccd not in tables:
                self.ctx.warn(
                    "noExposure",
                    f"{self.events.path}: no EXPOSU{ccd:02d}: all good time of CCD {ccd} is live",
                )
                continue
            header = self.events["EVENTS"].header
            found[ccd] = read_frames(self.events[tables[ccd]], header, str(self.events.path))
        return found

    # times of events
    def counts(self) -> FloatArray:
        """Events in each bin; those of the pn that have the time of their frame are spread over it."""
        header = self.events["EVENTS"].header
        mode = str(header.get("DATAMODE", self.events[0].header.get("DATAMODE", ""))).strip()
        camera = str(header.get("INSTRUME", self.events[0].header.get("INSTRUME", ""))).strip()
        if camera != "EPN":
            return self.curve.counts
        if mode in ("TIMING", "BURST"):
            self.ctx.warn("PNTimingRand", "times of timing and burst mode are not spread over their frames")
            return self.curve.counts
        frames = self._frames(self._numbers())
        if not _have_times_of_frames(self.events, frames):
            return self.curve.counts
        return self._spread(frames)

    def _spread(self, frames: dict[int, Frames]) -> FloatArray:
        """Events in each bin, each at a random time of its frame."""
        path = self.stem.with_suffix(".ds")
        self.ctx.call(
            "evselect",
            table=f"{self.events.path}:EVENTS",
            filtertype="dataSubspace",
            dssblock=f"{self.curve.path}:RATE",
            withfilteredset=True,
            filteredset=str(path),
            keepfilteroutput=True,
            updateexposure=False,
        )
        hdu = opened(path)["EVENTS"]
        time, ccd = (np.asarray(column(hdu, n, str(path))) for n in ("TIME", "CCDNR"))
        time = time.astype(float)
        if len(time) != round(self.curve.counts.sum()):
            self.ctx.warn(
                "notSpread",
                f"{self.curve.path}: its data subspace gives {len(time)} events, the curve holds "
                f"{self.curve.counts.sum():.0f}: times are left as they are",
            )
            return self.curve.counts
        primary = self.events[0].header
        exposure = str(primary.get("EXPIDSTR", "S000"))
        for number, own in frames.items():
            here = ccd == number
            rng = pn(str(primary.get("OBS_ID", "0")), exposure, number)(_PN_CURVE)
            cycle = float(np.median(np.diff(own.time_s))) if len(own.time_s) > 1 else 0.0
            time[here] += cycle * (rng.random(np.count_nonzero(here)) - 0.5)
        edges = self.curve.edges_s
        return np.histogram(np.clip(time, edges[0], edges[-1]), edges)[0].astype(float)

    # area
    def factor(self, spectrum: FloatArray) -> float:
        """Rate on the axis over the rate in the region.

        Parameters
        ----------
        spectrum
            Counts of the source in channels of 50 eV.

        Raises
        ------
        TaskError
            ``noArea``: the region sees nothing of the source.
        """
        place = {k: self.p[k] for k in ("withsourcepos", "sourcecoords", "sourcex", "sourcey")}
        seen = self._areas("seen", badpixlocation=str(self.events.path), **place)
        axis = {"withsourcepos": True, "sourcecoords": "tel", "sourcex": 0.0, "sourcey": 0.0}
        on_axis = self._areas("axis", modelee=False, withbadpixcorr=False, **axis)
        middle: FloatArray = _CHANNEL_EV * (np.arange(len(spectrum), dtype=float) + 0.5)
        seen_cm2, axis_cm2 = (np.interp(middle, *a) for a in (seen, on_axis))
        if not spectrum.any():
            self.ctx.warn("noEvents", f"{self.curve.path}: no events: areas count evenly at all energies")
            spectrum = self._band(middle).astype(float)
        factor = axis_factor(spectrum, seen_cm2, axis_cm2)
        if not np.isfinite(factor):
            raise TaskError("noArea", f"{self.curve.path}: the region sees nothing of the source")
        return factor

    def _band(self, energy_ev: FloatArray) -> npt.NDArray[np.bool_]:
        """Which energies were selected."""
        low, high = self.curve.subspace.limits("PI") or (energy_ev[0], energy_ev[-1])
        chosen: npt.NDArray[np.bool_] = (energy_ev >= low) & (energy_ev <= high)
        return chosen if chosen.any() else np.ones(len(energy_ev), bool)

    def _areas(self, kind: str, **given: Any) -> tuple[FloatArray, FloatArray]:
        """Energies [eV] and areas [cm^2] that arfgen gives for the region."""
        path = self.stem.with_suffix(f".{kind}")
        self.ctx.call("arfgen", spectrumset=str(self._spectrum_file), arfset=str(path), **given)
        hdu = opened(path)["SPECRESP"]
        low, high, area = (
            np.asarray(column(hdu, n, str(path)), float) for n in ("ENERG_LO", "ENERG_HI", "SPECRESP")
        )
        return 500.0 * (low + high), area


def _have_times_of_frames(events: FitsFile, frames: dict[int, Frames]) -> bool:
    """Whether most events have the time of the middle of their frame."""
    hdu = events["EVENTS"]
    time, ccd = (np.asarray(column(hdu, n, str(events.path))) for n in ("TIME", "CCDNR"))
    seen = equal = 0
    for number, own in frames.items():
        mine, middle = time[ccd == number][:1000].astype(float), np.sort(own.time_s)
        if not len(mine) or not len(middle):
            continue
        place = np.clip(np.searchsorted(middle, mine), 1, max(len(middle) - 1, 1))
        near = np.minimum(
            np.abs(mine - middle[place - 1]), np.abs(mine - middle[np.minimum(place, len(middle) - 1)])
        )
        seen, equal = seen + len(mine), equal + np.count_nonzero(near < _AT_FRAME)
    return equal > 0.5 * seen


def write_curve(
    source: Curve,
    background: Curve | None,
    columns: dict[str, FloatArray],
    *,
    absolute: bool,
    primary: Header,
) -> list[bytes]:
    """The extensions of a corrected curve; its primary header gets what that of the source's curve has.

    Parameters
    ----------
    source, background
        The curves it was made of.
    columns
        Those of the table RATE but TIME.
    absolute
        Whether rates are those on the axis.
    primary
        The primary header, changed in place.
    """
    for card in source.file[0].header.copy(strip=True).cards:
        if card.keyword and card.keyword not in primary:
            primary.append(card)
    made = rate_table(source.start_s, source.width_s, columns)
    cards = {
        "HDUCLAS2": ("TOTAL" if background is None else "NET", "with or without background"),
        "HDUCLAS3": ("RATE", "Light curve stored as rates"),
        "TIMEDEL": (source.width_s, "Light curve bin size"),
        "TSTART": (source.start_s, "Light curve start time"),
        "TSTOP": (source.stop_s, "Light curve end time"),
        "TIMEPIXR": (0.5, "times are the centres of the bins"),
        "BACKAPP": (background is not None, "Background correction applied?"),
        "DEADAPP": (True, "Dead time correction applied?"),
        "VIGNAPP": (absolute, "Vignetting correction applied?"),
    }
    for card in Header(source.file["RATE"].header.cards).copy(strip=True).cards:
        key = card.keyword
        if key and key not in _ANEW and key not in cards:
            made.header.append(card)
    for key, value in cards.items():
        made.header[key] = value
    subspace = _without_times(source.subspace)
    subspace.write(made.header)
    regions = [source.file[n].read() for n in subspace.table_names() if n in source.file]
    times = [_good_times(source, "SRC_GTIS")]
    if background is not None:
        times.append(_good_times(background, "BKG_GTIS"))
    return [made.tobytes(), *times, *regions]


def _without_times(subspace: dss.DataSubspace) -> dss.DataSubspace:
    """A data subspace without good times, which have tables of their own."""
    kept = [i for i, axis in enumerate(subspace.axes) if axis.name != "TIME"]
    components = [[c[i] for i in kept] for c in subspace.components]
    return replace(subspace, axes=[subspace.axes[i] for i in kept], components=components)


def _good_times(curve: Curve, name: str) -> bytes:
    """Times that are good on any CCD of a curve."""
    good = GTI.union(curve.subspace.ccd_gti().values())
    own = {k: curve.header[k] for k in TIME_KEYWORDS if k in curve.header}
    return good.to_bytes(name, own)
