"""The three EPIC cameras as the simulator knows them: from the sky to chips, from energies to amplitudes.

Everything here goes the way of the photon, with directions as :class:`scipy.spatial.transform.Rotation`
and amplitudes by solving the measurement equations for the charge; the engine's formulas (the other
way round) are not used.

Coordinates: RAWX, RAWY are real numbers with integers at pixel centres, the first pixel being 1; DETX and
DETY are in 0.05 arcsec; times are seconds since MJDREF 50814 (TT).

Parameters
----------
ccd
    Numbers of the CCDs.
rawx, rawy
    Columns and rows, from 1; shapes go together.
detx, dety
    Positions on the detector [0.05 arcsec].
ra_deg, dec_deg, pa_deg
    Directions in the sky and position angle [deg].
pnt_ra, pnt_dec, pnt_pa
    Viewing direction and position angle of the telescope [deg].
time_s
    Mission time [s].
energy_ev
    Energies [eV].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from daxa.simulate.cameras import mos_energies
from daxa.simulate.numbers import cameras as numbers
from daxa.simulate.numbers import response as response
from daxa.xmm.formats.instruments import INSTRUMENTS, TELESCOPES

DET_RAD = np.deg2rad(0.05 / 3600)
EPOCH = datetime(1998, 1, 1)
J2000_S = (datetime(2000, 1, 1) - EPOCH).total_seconds()
YEAR_S = 365 * 86400.0
#: Time of the field that the geometry is fitted to.
REFERENCE_TIME_S = J2000_S + 86400 * numbers.REFERENCE_DAY
ANGLES = ("phi", "theta", "psi")


class BadPixel(NamedTuple):
    """A stretch of bad pixels along one column."""

    ccd: int
    rawx: int
    rawy: int
    yextent: int
    kind: str
    uplinked: bool


@dataclass(frozen=True)
class Mode:
    """A read-out mode. Windows (x0, y0, dx, dy) by CCD are those of the headers of raw files.

    In fast modes (``fast_ccds`` not empty) the second axis of these CCDs' windows counts lines: line ``n``
    is read ``n line_s`` after the first, and charge from row ``y`` reaches it ``y / line_rows`` lines later.
    """

    submode: str
    mode_id: int
    frame_time_s: float
    integration_s: float
    readout_s: float
    window: dict[int, tuple[int, int, int, int]]
    oot_fraction: float
    delays_s: dict[int, float]
    outer_frame_time_s: float
    outer_integration_s: float
    ccds: tuple[int, ...]
    fast_ccds: tuple[int, ...] = ()
    line_s: float = 0.0
    line_rows: int = 1
    loss_s: float = 0.0

    def image(self, ccd: int) -> tuple[int, int, int, int]:
        """First RAWX and RAWY, columns and rows (lines in fast modes) of a MOS chip that are read."""
        x0, y0, dx, dy = self.window[ccd]
        scan = numbers.MOS_SCAN["UNDER_X"] + numbers.MOS_SCAN["OVER_X"]
        return x0 + 1, y0 + 1, dx - scan, min(dy, 600)

    @property
    def live(self) -> float:
        """Share of a frame without the time that every frame loses besides its read-out."""
        return 1.0 - self.loss_s / self.frame_time_s

    def delay_s(self, ccd: int) -> float:
        """DELAY of the calibration's TIMECORR for one CCD.

        pn: time stamp minus centre of the integration. MOS: frame centre minus (stamp minus half a frame).
        """
        return self.delays_s[ccd]


@cache
def _drift_table() -> dict[str, np.ndarray]:
    return numbers.boresight_drift()


def attitude_rotation(ra_deg, dec_deg, pa_deg) -> Rotation:
    """Rotation from the spacecraft frame (view direction, PA + 90 deg, PA) to J2000 vectors."""
    angles = np.broadcast_arrays(
        np.asarray(ra_deg, float), -np.asarray(dec_deg, float), -np.asarray(pa_deg, float)
    )
    return Rotation.from_euler("ZYX", np.stack(angles, axis=-1), degrees=True)


def _unit_vectors(ra_deg, dec_deg) -> np.ndarray:
    ra, dec = np.deg2rad(ra_deg), np.deg2rad(dec_deg)
    return np.stack(
        np.broadcast_arrays(np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)), axis=-1
    )


def _inside(regions, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    result = np.zeros(np.broadcast(x, y).shape, bool)
    for component in regions:
        inside = np.ones_like(result)
        for shape, x0, y0, (rx, ry), angle in component:
            if shape.lstrip("!") == "CIRCLE":
                hit = np.hypot(x - x0, y - y0) <= rx
            else:
                offset = ((x - x0) + 1j * (y - y0)) * np.exp(-1j * np.deg2rad(angle))
                hit = (np.abs(offset.real) <= rx) & (np.abs(offset.imag) <= ry)
            inside &= ~hit if shape.startswith("!") else hit
        result |= inside
    return result


class Camera:
    """One EPIC camera: geometry, read-out modes, gain, charge loss, bad pixels.

    Parameters
    ----------
    code
        ``"M1"``, ``"M2"`` or ``"PN"``.
    heights
        Whether MOS chips stand in front of the focal plane, which the layout's numbers are for.
    """

    filters = ("Thin1", "Thin2", "Medium", "Thick", "Open", "Closed")
    fano = numbers.FANO
    ev_per_electron = numbers.EV_PER_ELECTRON
    #: Cosmic rays per second and cm2 of chip, in orbit.
    cosmic_rays_s_cm2 = 2.2

    def __init__(self, code: str, *, heights: bool = True):
        self.code = code
        self.is_pn = code == "PN"
        self._heights = heights
        self.name = INSTRUMENTS[code]
        self.telescope = TELESCOPES[self.name]
        self.layout = numbers.LAYOUTS[code]
        self.ccds = tuple(self.layout)
        self.nx, self.ny = (64, 200) if self.is_pn else (600, 600)
        self.pixel = numbers.PN_PIXEL if self.is_pn else numbers.MOS_PIXEL
        self.pixel_mm = numbers.PN_PIXEL_MM if self.is_pn else numbers.MOS_PIXEL_MM
        ccd, x, y = numbers.OPTICAL_AXIS_PIXEL[code]
        turns, cx, cy = self.layout[ccd]
        axis = 1j**turns * complex(x * self.pixel[0], y * self.pixel[1]) + complex(cx, cy)
        self.optical_axis = axis.real, axis.imag
        self.noise_adu = numbers.NOISE_ADU[code]
        self.event_threshold_adu = numbers.EVENT_THRESHOLD_ADU[code]
        self.modes = tuple(numbers.PN_MODES if self.is_pn else numbers.MOS_MODES)

    def __repr__(self) -> str:
        return f"Camera({self.code!r})"

    # --- geometry ----------------------------------------------------------------------------------

    def height_mm(self, ccd: int) -> float:
        """How far a chip stands in front of the focal plane."""
        if self.is_pn:
            return 0.0
        central, outer = numbers.MOS_HEIGHT_MM[self.code]
        return central if ccd == 1 else outer + (ccd % 2 - 0.5) * numbers.MOS_HEIGHT_STEP_MM

    @cached_property
    def _affine(self) -> np.ndarray:
        """Per CCD number: complex rotation, cx + i cy (row 0 unused).

        Rays through a chip in front of the focal plane meet the plane farther from the axis.
        """
        table = np.full((max(self.ccds) + 1, 2), np.nan, complex)
        for ccd, (turns, cx, cy) in self.layout.items():
            distance = response.FOCAL_LENGTH_MM
            larger = (distance + self.height_mm(ccd)) / distance if self._heights else 1.0
            table[ccd] = larger * 1j**turns, larger * (cx + 1j * cy)
        return table

    def raw_to_det(self, ccd, rawx, rawy) -> tuple[np.ndarray, np.ndarray]:
        """DETX, DETY [0.05 arcsec] of pixels (NaN for CCD 0)."""
        turn, origin = np.moveaxis(self._affine[np.asarray(ccd)], -1, 0)
        z = (
            turn * (np.asarray(rawx, float) * self.pixel[0] + 1j * np.asarray(rawy, float) * self.pixel[1])
            + origin
        )
        return z.real, z.imag

    def det_to_raw(self, detx, dety) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """CCD, RAWX, RAWY of detector positions; CCD 0 and NaN where there is no chip."""
        z = np.asarray(detx, float) + 1j * np.asarray(dety, float)
        ccd = np.zeros(z.shape, np.int16)
        rawx, rawy = np.full(z.shape, np.nan), np.full(z.shape, np.nan)
        # Where chips overlap (MOS: the outer ones stand above the central one) the outer chip wins.
        for number in self.ccds:
            turn, origin = self._affine[number]
            local = (z - origin) / turn
            x, y = local.real / self.pixel[0], local.imag / self.pixel[1]
            on_chip = (x >= 0.5) & (x < self.nx + 0.5) & (y >= 0.5) & (y < self.ny + 0.5)
            ccd[on_chip] = number
            rawx[on_chip], rawy[on_chip] = x[on_chip], y[on_chip]
        return ccd, rawx, rawy

    def in_fov(self, detx, dety) -> np.ndarray:
        """Whether positions see the sky."""
        return _inside(numbers.FOV[self.code], np.asarray(detx, float), np.asarray(dety, float))

    def in_corner(self, detx, dety) -> np.ndarray:
        """Whether positions are in the corners used to measure the particle background."""
        return _inside(numbers.CORNER[self.code], np.asarray(detx, float), np.asarray(dety, float))

    def off_axis(self, detx, dety) -> tuple[np.ndarray, np.ndarray]:
        """Off-axis angle [arcmin] and azimuth [rad, 0 to 2 pi] about the optical axis."""
        dx, dy = np.asarray(detx) - self.optical_axis[0], np.asarray(dety) - self.optical_axis[1]
        (a, b), (c, d) = numbers.AZIMUTH[self.code]
        return np.hypot(dx, dy) * 0.05 / 60, np.arctan2(c * dx + d * dy, a * dx + b * dy) % (2 * np.pi)

    @cached_property
    def _reference_rotation(self) -> Rotation:
        attitude = attitude_rotation(*numbers.REFERENCE_ATTITUDE)
        return attitude.inv() * attitude_rotation(*numbers.REFERENCE_ORIENTATION[self.code])

    def drift_arcsec(self, time_s) -> np.ndarray:
        """Offsets of the boresight angles (phi, theta, psi) at some time, along the last axis."""
        drift = _drift_table()
        return np.stack([np.interp(time_s, drift["time_s"], drift[name]) for name in ANGLES], axis=-1)

    @cached_property
    def boresight_deg(self) -> tuple[float, float, float]:
        """Euler angles (phi, theta, psi) without the drift."""
        angles = self._reference_rotation.as_euler("ZYX", degrees=True)
        return tuple(angles - self.drift_arcsec(REFERENCE_TIME_S) / 3600)

    def camera_rotation(self, time_s: float = REFERENCE_TIME_S) -> Rotation:
        """Rotation from the camera frame (optical axis, +DETX, +DETY) to the spacecraft frame."""
        angles = np.asarray(self.boresight_deg) + self.drift_arcsec(time_s) / 3600
        return Rotation.from_euler("ZYX", angles, degrees=True)

    def sky_to_det(self, ra_deg, dec_deg, pnt_ra, pnt_dec, pnt_pa, time_s: float = REFERENCE_TIME_S):
        """DETX, DETY of sky directions; NaN for directions behind the camera.

        Directions and attitudes may be scalars or 1-D arrays of one length.
        """
        to_camera = (attitude_rotation(pnt_ra, pnt_dec, pnt_pa) * self.camera_rotation(time_s)).inv()
        local = to_camera.apply(_unit_vectors(ra_deg, dec_deg))
        axis = np.where(local[..., 0] > 0, local[..., 0], np.nan)
        x0, y0 = self.optical_axis
        return x0 + local[..., 1] / axis / DET_RAD, y0 + local[..., 2] / axis / DET_RAD

    def det_to_sky(self, detx, dety, pnt_ra, pnt_dec, pnt_pa, time_s: float = REFERENCE_TIME_S):
        """RA, Dec [deg] of detector positions."""
        to_sky = attitude_rotation(pnt_ra, pnt_dec, pnt_pa) * self.camera_rotation(time_s)
        x0, y0 = self.optical_axis
        x, y = np.broadcast_arrays((np.asarray(detx) - x0) * DET_RAD, (np.asarray(dety) - y0) * DET_RAD)
        vector = to_sky.apply(np.stack([np.ones_like(x), x, y], axis=-1))
        norm = np.linalg.norm(vector, axis=-1)
        return np.rad2deg(np.arctan2(vector[..., 1], vector[..., 0])) % 360, np.rad2deg(
            np.arcsin(vector[..., 2] / norm)
        )

    def sky_to_raw(self, ra_deg, dec_deg, pnt_ra, pnt_dec, pnt_pa, time_s: float = REFERENCE_TIME_S):
        """CCD, RAWX, RAWY where a direction of the sky falls; CCD 0 outside any chip."""
        return self.det_to_raw(*self.sky_to_det(ra_deg, dec_deg, pnt_ra, pnt_dec, pnt_pa, time_s))

    # --- read-out ----------------------------------------------------------------------------------

    def mode(self, submode: str) -> Mode:
        """Times and windows of a SUBMODE such as ``"PrimeFullWindow"``.

        Parameters
        ----------
        submode
            Its name.
        """
        if submode not in self.modes:
            raise ValueError(f"{self.name} has no mode {submode!r}; it has {', '.join(self.modes)}")
        if self.is_pn:
            mode_id, frame, readout, window, smeared, delays = numbers.PN_MODES[submode]
            ccds = numbers.PN_MODE_CCDS.get(submode, self.ccds)
            line_s, line_rows = {
                "FastTiming": (numbers.PN_TIMING_LINE_S, numbers.PN_TIMING_LINE_ROWS),
                "FastBurst": (numbers.PN_BURST_LINE_S, numbers.PN_BURST_LINE_ROWS),
            }.get(submode, (0.0, 1))
            return Mode(
                submode, mode_id, frame, frame - readout, readout, dict.fromkeys(self.ccds, window), smeared,
                {ccd: delays[(ccd - 1) % 3] for ccd in self.ccds}, frame, frame - readout,
                ccds, ccds if line_s else (), line_s, line_rows,
                numbers.PN_LOSS_S.get(submode, numbers.PN_IMAGING_LOSS_S),
            )  # fmt: skip
        mode_id, frames, live, window, smeared = numbers.MOS_MODES[submode]
        whole = numbers.MOS_MODES["PrimeFullWindow"][3]
        fast = submode.startswith("Fast")

        def integration(place: int) -> float:
            gap = 0.0 if fast and place == 0 else numbers.MOS_FRAME_GAP_S
            return frames[place] * live[place] if live[place] < 1 else frames[place] - gap

        return Mode(
            submode, mode_id, frames[0], integration(0), numbers.MOS_TRANSFER_S,
            {ccd: window if ccd == 1 else whole for ccd in self.ccds}, smeared,
            dict.fromkeys(self.ccds, -numbers.MOS_STAMP_DELAY_S), frames[1], integration(1),
            self.ccds, (1,) if fast else (), numbers.MOS_LINE_S if fast else 0.0,
            numbers.MOS_LINE_ROWS if fast else 1,
        )  # fmt: skip

    @cached_property
    def bad_pixels(self) -> list[BadPixel]:
        """Bad pixels of the chips; those with ``uplinked`` are masked on board."""
        found = [BadPixel(*row) for row in numbers.BAD_PIXELS[self.code]]
        if self.is_pn:
            rows = range(1, self.nx + 1)
            found += [
                BadPixel(ccd, x, 1, numbers.PN_BLANK_ROWS, "bad", True)
                for ccd in self.ccds
                for x in rows
                if (ccd, x) != (11, 64)
            ]
        else:
            for ccd in self.ccds:
                found += [BadPixel(ccd, *row) for row in numbers.mos_edge_pixels(self.code, ccd)]
        return found

    def bad_pixel_mask(self, ccd: int, uplinked: bool | None = None, kind: str | None = None) -> np.ndarray:
        """Boolean image [rawx - 1, rawy - 1] of one chip's bad pixels.

        Parameters
        ----------
        uplinked
            Only those that are masked on board, or only the others; None: all.
        kind
            Only those of a kind.
        """
        mask = np.zeros((self.nx, self.ny), bool)
        for pixel in self.bad_pixels:
            if (
                pixel.ccd == ccd
                and uplinked in (None, pixel.uplinked)
                and (kind is None or kind == pixel.kind)
            ):
                mask[pixel.rawx - 1, pixel.rawy - 1 : pixel.rawy - 1 + pixel.yextent] = True
        return mask

    def pattern_fractions(self, energy_ev) -> np.ndarray:
        """Fractions of events with 1, 2, 3 and 4 pixels (last axis), at some energies."""
        table = np.asarray(numbers.PN_PATTERNS if self.is_pn else numbers.MOS_PATTERNS)
        at_kev = numbers.PN_PATTERN_ENERGY_KEV if self.is_pn else numbers.MOS_PATTERN_ENERGY_KEV
        kev = np.asarray(energy_ev, float) / 1000
        values = [np.interp(kev, at_kev, table[:, i]) for i in range(4)]
        total = np.stack(values, axis=-1)
        return total / total.sum(axis=-1, keepdims=True)

    # --- energy ------------------------------------------------------------------------------------

    def amplitude(self, energy_ev, ccd, rawx, rawy, time_s, n_pixels) -> np.ndarray:
        """Amplitude [adu] that the electronics delivers, before noise.

        Parameters
        ----------
        energy_ev
            MOS: energy of the whole event. pn: energy collected in this pixel (its share of the event).
        ccd, rawx, rawy
            Pixel of the event (its brightest one for MOS).
        time_s
            Time [s].
        n_pixels
            Number of pixels of the whole event, 1 to 4.
        """
        reals = (np.asarray(value, float) for value in (energy_ev, rawx, rawy, time_s))
        energy, rawx, rawy, time_s, ccd, n_pixels = np.broadcast_arrays(
            *reals, np.asarray(ccd, int), np.asarray(n_pixels, int)
        )
        method = self._pn_amplitude if self.is_pn else self._mos_amplitude
        return method(energy, ccd, rawx, rawy, time_s, n_pixels)

    def _mos_amplitude(self, energy, ccd, rawx, rawy, time_s, n_pixels):
        offset, gain = np.zeros((8, 5)), np.ones((8, 5))
        serial_power, parallel_power = np.ones(8), np.ones(8)
        for number, scale in mos_energies.SCALES[self.code].items():
            offset[number, 1:], gain[number, 1:] = np.array(scale.sets).T
            serial_power[number], parallel_power[number] = scale.serial[1], scale.parallel[2]
        grade = np.clip(n_pixels, 1, 4)
        charge = (energy - offset[ccd, grade]) / gain[ccd, grade]
        column, row = np.rint(rawx).astype(int), np.rint(rawy).astype(int)
        charge = charge - self._mos_column_map[ccd, np.clip(column, 1, 600), np.clip(row, 1, 600)]
        serial, parallel = self.mos_loss_adu(ccd, time_s)
        serial, parallel = serial * column, parallel * row
        a, b = serial_power[ccd], parallel_power[ccd]

        def before_transfer(x):
            level = np.maximum(x, 1.0) / 1000
            return x + serial * level**a + parallel * level**b

        return _lossy(charge, before_transfer)

    @cached_property
    def mos_columns(self) -> tuple[tuple[int, int, int, int, float], ...]:
        """Sections of MOS columns with an offset: CCD, RAWX, first row, rows, adu to add on ground."""

        def sees_sky(ccd: int) -> np.ndarray:
            x, y = np.meshgrid(np.arange(1, self.nx + 1), np.arange(1, self.ny + 1, 7), indexing="ij")
            return np.asarray(self.in_fov(*self.raw_to_det(ccd, x, y)).any(axis=1))

        return mos_energies.column_sections(self.code, sees_sky)

    @cached_property
    def _mos_column_map(self) -> np.ndarray:
        offsets = np.zeros((8, 601, 601))
        for ccd, x, first, length, adu in self.mos_columns:
            offsets[ccd, x, first : first + length] = adu
        return offsets

    def mos_loss_adu(self, ccd, time_s) -> tuple[np.ndarray, np.ndarray]:
        """Serial and parallel loss per transfer [adu] of 1000 adu."""
        time_s, ccd = np.asarray(time_s, float), np.asarray(ccd)
        reference = (datetime.fromisoformat(mos_energies.CTI_REF_DATE) - EPOCH).total_seconds()
        days = (time_s - reference) / 86400
        serial, parallel = np.zeros(8), np.zeros(np.broadcast(time_s, ccd).shape)
        for start, _, _, _, warm in mos_energies.CTI_PERIODS:
            valid = time_s >= (datetime.fromisoformat(start) - EPOCH).total_seconds()
            law = np.zeros((8, 2))
            for number in mos_energies.SCALES[self.code]:
                law[number] = mos_energies.parallel_law(self.code, number, warm)[:2]
                serial[number] = mos_energies.serial_law(self.code, number)[0]
            parallel = np.where(valid, law[ccd, 0] + law[ccd, 1] * days, parallel)
        return serial[ccd] * np.ones(parallel.shape), parallel

    def _pn_amplitude(self, energy, ccd, rawx, rawy, time_s, n_pixels):
        gain, loss = numbers.pn_column_numbers()
        column, row = np.clip(np.rint(rawx).astype(int), 1, 64), np.rint(rawy).astype(int)
        n_pixels = np.clip(n_pixels, 1, 4)
        shift = np.array([0.0, *(numbers.PN_PATTERN_SHIFT_EV[n] for n in (1, 2, 3, 4))])
        energy = np.maximum(energy - shift[n_pixels] / n_pixels, 0.0)
        # The charge that arrives shrinks with the age of the chip, then on its way through the rows.
        aged = _lossy(energy, lambda x: x * self.pn_ageing(x, time_s) ** -row.astype(float))
        fraction = loss[ccd - 1, column - 1]
        reference = numbers.PN_CTI_ENERGY_EV

        def before_transfer(x):
            lost = fraction * (np.maximum(x, 1.0) / reference) ** numbers.PN_CTI_SLOPE
            return x * (1 - np.minimum(lost, 0.01)) ** -row.astype(float)

        measured = _lossy(aged, before_transfer)
        offset = np.zeros((13, 65))
        for number, x, adu in numbers.PN_OFFSET_COLUMNS:
            offset[number, x] = adu
        return measured / (numbers.PN_ADU_EV * gain[ccd - 1, column - 1]) + offset[ccd, column]

    @staticmethod
    def pn_ageing(energy_ev, time_s) -> np.ndarray:
        """Observed over initial charge, per row transferred: (1 - T(t)) / (1 - T(2000.0)).

        Linear in the logarithm of the energy between the two lines that T is known at.
        """
        start = np.asarray(numbers.PN_LTC_START)
        growth = pn_ltc_growth(np.maximum((np.asarray(time_s) - J2000_S) / YEAR_S, 0))
        first, second = ((1 - t - growth) / (1 - t) for t in start)
        low, high = np.log10(numbers.PN_LTC_ENERGY_KEV)
        energy = np.log10(np.maximum(np.asarray(energy_ev, float), 1.0) / 1000)
        part = np.clip((energy - low) / (high - low), 0, 1)
        return first + (second - first) * part


def pn_ltc_growth(years) -> np.ndarray:
    """Growth of the long-term charge loss since 2000.0, linear between whole years, constant after 20.

    Parameters
    ----------
    years
        Years since 2000.0.
    """
    knots = np.arange(26.0)
    values = numbers.PN_LTC_GROWTH * (1 - np.exp(-np.minimum(knots, 20.0) / numbers.PN_LTC_SCALE_YR))
    return np.interp(years, knots, values)


def _lossy(charge: np.ndarray, undo: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Solve ``undo(x) = charge`` for slowly varying losses, by secants."""
    x = np.array(charge, float)
    for _ in range(12):
        step = charge - undo(x)
        slope = (undo(x + 1.0) - undo(x - 1.0)) / 2
        x = x + step / np.maximum(slope, 0.5)
        if np.all(np.abs(step) < 1e-9 * (1 + np.abs(charge))):
            break
    return x


CAMERAS = {code: Camera(code) for code in ("M1", "M2", "PN")}
