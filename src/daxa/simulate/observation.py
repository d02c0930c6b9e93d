"""One simulated observation from its description: sky, cameras, raw files, truth.

Parameters
----------
description
    What is simulated.
sky
    What shines.
"""

from __future__ import annotations

import csv
import json
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from daxa.simulate import optics
from daxa.simulate.cameras.camera import CAMERAS, Camera
from daxa.simulate.cameras.fast import observe_pn_fast
from daxa.simulate.cameras.mos import observe_mos
from daxa.simulate.cameras.noise import Noise
from daxa.simulate.cameras.pn import observe_pn
from daxa.simulate.cameras.readout import DetectorData, Exposure
from daxa.simulate.cameras.rgs import GratingData, GratingExposure, observe_rgs
from daxa.simulate.numbers.cameras import PN_FAST_SHIFT_S, PN_OFFSET_COLUMNS
from daxa.simulate.odf.clock import Clock
from daxa.simulate.odf.exposures import write_diagnostics, write_exposure, write_housekeeping
from daxa.simulate.odf.files import OdfWriter, pack_odf, write_table
from daxa.simulate.odf.housekeeping import Pointing
from daxa.simulate.sky import PointSource, SkyModel
from daxa.xmm.fits.schema import columns

#: Counts/s that a flare of strength 1 adds in the whole field of view.
FLARE_RATES = {"M1": 28.0, "M2": 28.0, "PN": 100.0}
#: On-board seconds from the start of the revolution back to the last reset of the pn counter.
_RESET_LEAD_S = 23_000
_PHOTONS = columns("""
TIME 1D s
ENERGY 1E eV
SOURCE 1I
CCDNR 1B
RAWX 1E pixel
RAWY 1E pixel
FRAME 1J
NPIXELS 1B
OOT 1L
KEPT 1L
""")


@dataclass(frozen=True)
class Flare:
    """A soft-proton flare between two mission times; ``strength`` times :data:`FLARE_RATES` on average."""

    start_s: float
    stop_s: float
    strength: float = 1.0
    edge_s: float = 4.0

    def light_curve(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Times and relative rates: steep edges, a restless top that never falls below half the mean.

        Parameters
        ----------
        rng
            Random numbers.
        """
        inner = np.arange(self.start_s + self.edge_s, self.stop_s - self.edge_s, 40.0)
        top = self.strength * np.clip(1.0 + 0.3 * rng.standard_normal(len(inner) + 1), 0.55, 1.7)
        time = np.concatenate([[self.start_s], inner, [self.stop_s - self.edge_s, self.stop_s]])
        return time, np.concatenate([[0.0], top, [0.0]])


@dataclass(frozen=True)
class Description:
    """What to simulate: an observation, its exposures, its flares.

    ``gratings`` are exposures of the spectrometers. With a ``wobble_arcsec`` the pointing swings, which only
    the spectrometers and the raw attitude file know.
    """

    pointing: Pointing
    exposures: Sequence[Exposure]
    flares: Sequence[Flare] = ()
    noise: Noise = field(default_factory=Noise)
    particle_factor: float = 1.0
    gratings: Sequence[GratingExposure] = ()
    wobble_arcsec: float = 0.0


def _generator(seed: int, obs_id: str, *purpose: object) -> np.random.Generator:
    return np.random.default_rng([seed, int(obs_id), zlib.crc32(repr(purpose).encode())])


def hits_of(
    description: Description, sky: SkyModel, exposure: Exposure, seed: int
) -> tuple[Camera, optics.Hits]:
    """Everything that reaches the chips of one camera during one exposure.

    Parameters
    ----------
    exposure
        The exposure.
    seed
        Chooses the random numbers.
    """
    camera, p = CAMERAS[exposure.instrument], description.pointing
    label = exposure.instrument, exposure.exp_id
    rng = _generator(seed, p.obs_id, *label, "photons")
    # CalMedium: the medium filter, and the calibration source shines, too.
    calibrated, glass = exposure.filter.startswith("Cal"), exposure.filter.removeprefix("Cal")
    parts = [
        optics.particle_hits(camera, exposure.start_s, exposure.stop_s, rng, description.particle_factor)
    ]
    if calibrated:
        parts.append(optics.calibration_hits(camera, exposure.start_s, exposure.stop_s, rng))
    if glass != "Closed":
        photons = sky.photons(
            exposure.start_s,
            exposure.stop_s,
            lambda energy: optics.drawn_area(camera, glass, energy),
            rng,
        )
        fixed = np.asarray(p.ra_deg), np.asarray(p.dec_deg), np.asarray(p.pa_deg)
        attitude = p.attitude if p.drift_arcsec else lambda _: fixed
        parts.append(optics.photon_hits(camera, photons, attitude, rng))
        for number, flare in enumerate(description.flares):
            # The same flare in all cameras, cut to each exposure.
            time, level = flare.light_curve(_generator(seed, p.obs_id, "flare", number))
            hits = optics.flare_hits(camera, time, level * FLARE_RATES[exposure.instrument], rng)
            parts.append(hits[(hits.time_s >= exposure.start_s) & (hits.time_s < exposure.stop_s)])
    return camera, optics.merge(parts)


def simulate_observation(
    description: Description,
    sky: SkyModel,
    odf_folder: str | os.PathLike[str],
    truth_folder: str | os.PathLike[str] | None = None,
    *,
    seed: int = 1,
    archive: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Simulate one observation and write its ODF.

    Parameters
    ----------
    description, sky
        What is observed and how.
    odf_folder
        Folder for the ODF files.
    truth_folder
        Folder for the truth; None writes none.
    seed
        The same seed gives the same files.
    archive
        Also pack the ODF as the science archive does, under this name.

    Returns
    -------
    dict
        The truth, as in ``<truth_folder>/<ObsID>.json``.
    """
    p = description.pointing
    clock = Clock(p.revolution_start_s)
    reset = int(np.floor(clock.obt(p.revolution_start_s))) - _RESET_LEAD_S
    writer = OdfWriter(Path(odf_folder), p, clock)
    observed: list[DetectorData] = []
    for exposure in description.exposures:
        camera, hits = hits_of(description, sky, exposure, seed)
        rng = _generator(seed, p.obs_id, exposure.instrument, exposure.exp_id, "detector")
        if camera.is_pn:
            read = observe_pn_fast if camera.mode(exposure.submode).fast_ccds else observe_pn
            data = read(camera, hits, exposure, clock, description.noise, rng, reset_obt_s=reset)
        else:
            data = observe_mos(camera, hits, exposure, clock, description.noise, rng)
        write_exposure(writer, camera, data)
        for one in data.ccds.values():
            # Written; a long exposure of many CCDs would fill the memory.
            one.events = {}
        observed.append(data)
    spectra = [_observe_gratings(writer, description, exposure, seed) for exposure in description.gratings]
    write_housekeeping(writer, observed, reset)
    # Under the next free number.
    ids = [*(e.exp_id for e in description.exposures), *(e.exp_id for e in description.gratings)]
    number = max((int(i[1:]) for i in ids), default=0) + 1
    write_diagnostics(
        writer, description.exposures, number, lambda code: _generator(seed, p.obs_id, code, "diagnostic")
    )
    for instrument in sorted({e.instrument for e in description.gratings}):
        mine = [data for data in spectra if data.exposure.instrument == instrument]
        writer.rgs_housekeeping(instrument, [span for data in mine for span in data.exposure.full_s])
        writer.rgs_commands(instrument, [(data.exposure.start_s, data.sequence) for data in mine])
    writer.attitude()
    if description.wobble_arcsec:
        writer.raw_attitude(
            p.start_s - 300, p.stop_s + 300, wobble_arcsec=description.wobble_arcsec, slewing=False
        )
    writer.time_correlation(_generator(seed, p.obs_id, "clock"))
    writer.summary()
    truth = _truth(description, sky, observed)
    truth["gratings"] = [_grating_truth(data) for data in spectra]
    if truth_folder is not None:
        _write_truth(Path(truth_folder), description, sky, observed, truth)
    if archive is not None:
        pack_odf(writer.folder, Path(archive), p.revolution, p.obs_id)
    return truth


def _observe_gratings(
    writer: OdfWriter, description: Description, exposure: GratingExposure, seed: int
) -> GratingData:
    p = description.pointing
    rng = _generator(seed, p.obs_id, exposure.instrument, exposure.exp_id, "gratings")

    def attitude(time_s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        swing = description.wobble_arcsec / 3600 * np.sin(2 * np.pi * (time_s - p.start_s) / 600)
        one = np.ones(np.shape(time_s))
        return p.ra_deg * one, p.dec_deg + swing, p.pa_deg * one

    data = observe_rgs(exposure, attitude, writer.clock, rng)
    span = exposure.start_s, exposure.stop_s
    for ccd, events in data.events.items():
        writer.rgs_events(exposure.instrument, exposure.exp_id, ccd, events, *span, window=data.window)
    writer.rgs_auxiliary(exposure.instrument, exposure.exp_id, data.frames, data.sequence, *span)
    return data


# --- truth -----------------------------------------------------------------------------------------


def _good_times(data: DetectorData, ccd: int) -> list[list[float]]:
    """Stretches of received frames of one CCD."""
    truth, exposure = data.ccds[ccd].truth, data.exposure
    step = truth.get("frame_time_tt_s", truth["frame_time_s"])
    n = round((truth["stop_s"] - truth["start_s"]) / step)
    edges = truth["start_s"] + step * np.arange(n + 1)
    centre = (edges[1:] + edges[:-1]) / 2
    good = np.ones(n, bool)
    for start, stop in exposure.gaps_s:
        good &= (centre < start) | (centre >= stop)
    bad = [f for f in truth.get("bad_frames", ()) if f < n]
    if exposure.instrument != "PN":
        good[truth.get("lost_frames", [])] = False
        received = np.flatnonzero(good)
        # Integration follows the transfer of the frame before; the first and the last frame are never good.
        edges = edges + truth["frame_time_s"] - truth["integration_s"]
        bad += received[[0, -1]].tolist() if len(received) else []
        if ccd not in CAMERAS[exposure.instrument].mode(exposure.submode).fast_ccds:
            # What a single lost frame gathered is in the next one.
            alone = received[1:][np.diff(received) == 2] - 1
            good[alone[~np.isin(alone + 1, bad)]] = True
    good[bad] = False
    change = np.flatnonzero(np.diff(np.concatenate([[0], good.astype(int), [0]])))
    return [[float(edges[a]), float(edges[b])] for a, b in change.reshape(-1, 2)]


def _truth(description: Description, sky: SkyModel, observed: Sequence[DetectorData]) -> dict[str, Any]:
    p = description.pointing
    exposures = []
    for data in observed:
        e = data.exposure
        ccds = {}
        for ccd, one in data.ccds.items():
            intervals = _good_times(data, ccd)
            ontime = sum(stop - start for start, stop in intervals)
            file = "missing" if ccd in e.missing_ccds else "empty" if ccd in e.empty_ccds else "sent"
            ccds[str(ccd)] = {
                **one.truth,
                "file": file,
                "window": list(one.window),
                "gti_s": intervals,
                "ontime_s": ontime,
                "livetime_s": ontime * one.truth["live_fraction"],
            }
        exposures.append(
            {
                "instrument": e.instrument,
                "exp_id": e.exp_id,
                "submode": e.submode,
                "filter": e.filter,
                "start_s": data.start_s,
                "stop_s": data.stop_s,
                "gaps_s": [list(gap) for gap in e.gaps_s],
                "overflow_frames": list(e.overflow_frames),
                "n_events": sum(one.truth["n_events"] for one in data.ccds.values()),
                "n_photons": len(data.photons["TIME"]),
                "oot_fraction": CAMERAS[e.instrument].mode(e.submode).oot_fraction,
                "ccds": ccds,
            }
        )
    return {
        "obs_id": p.obs_id,
        "revolution": p.revolution,
        "target": p.target,
        "pointing_deg": [p.ra_deg, p.dec_deg, p.pa_deg],
        "start_s": p.start_s,
        "stop_s": p.stop_s,
        "sources": list(sky.names),
        "flares_s": [[f.start_s, f.stop_s] for f in description.flares],
        "fluorescence_ev": {
            code: [energy for energy, _ in lines] for code, lines in optics.FLUORESCENCE_LINES.items()
        },
        "calibration_ev": [energy for energy, _ in optics.CALIBRATION_LINES],
        "source_codes": {
            "particles": optics.PARTICLES,
            "flare": optics.FLARE,
            "fluorescence": optics.FLUORESCENCE,
            "calibration": optics.CALIBRATION,
        },
        "pulsars": {
            source.name: {"period_s": source.period_s, "epoch_s": source.epoch_s}
            for source in sky.sources
            if isinstance(source, PointSource) and source.period_s is not None
        },
        "exposures": exposures,
    }


def _grating_truth(data: GratingData) -> dict[str, Any]:
    e = data.exposure
    return {
        "instrument": e.instrument,
        "exp_id": e.exp_id,
        "start_s": e.start_s,
        "stop_s": e.stop_s,
        "gaps_s": [list(gap) for gap in e.gaps_s],
        "sources": [
            {"ra_deg": s.ra_deg, "dec_deg": s.dec_deg, "lines": [list(line) for line in s.lines]}
            for s in e.sources
        ],
        "ccds": data.truth,
    }


def source_table(
    description: Description, sky: SkyModel, observed: Sequence[DetectorData]
) -> list[dict[str, Any]]:
    """Expected and recorded counts of each source in each exposure.

    ``expected_hits`` and ``hits`` count photons on the chips while frames were taken, ``recorded`` those
    that no bad pixel, particle or gap took away; ``clear`` is the part of the 15 arcsec around the source
    that lies on sound pixels of one chip.

    Parameters
    ----------
    observed
        What the cameras sent.
    """
    p, rows = description.pointing, []
    rates: dict[tuple[Any, ...], Any] = {}
    for data in observed:
        e = data.exposure
        glass = e.filter.removeprefix("Cal")
        if glass == "Closed":
            continue
        kind = (e.instrument, glass, e.submode, *data.ccds)
        if kind not in rates:
            rates[kind] = optics.expected_rates(
                sky, CAMERAS[e.instrument], glass, (p.ra_deg, p.dec_deg, p.pa_deg), p.start_s,
                recorded=_recorded_share(CAMERAS[e.instrument], e.submode, list(data.ccds)),
            )  # fmt: skip
        kept = data.photons["KEPT"]
        counts = np.bincount(
            data.photons["SOURCE"][kept & (data.photons["SOURCE"] >= 0)], minlength=len(sky.names)
        )
        duration = data.stop_s - data.start_s
        seen = data.photons["FRAME"] >= 0
        hits = np.bincount(
            data.photons["SOURCE"][seen & (data.photons["SOURCE"] >= 0)], minlength=len(sky.names)
        )
        for number, rate in enumerate(rates[kind]):
            expected = rate["vignetted"] * rate["on_chip"] * duration
            rows.append(
                {
                    "instrument": e.instrument,
                    "exp_id": e.exp_id,
                    "number": number,
                    **rate,
                    "clear": _clear_fraction(CAMERAS[e.instrument], rate, p),
                    "expected_hits": expected,
                    "hits": int(hits[number]),
                    "recorded": int(counts[number]),
                }
            )
    return rows


def _recorded_share(
    camera: Camera, submode: str, ccds: Sequence[int]
) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Share of the time in which pixels record photons, out of time or not: windows, dead times."""
    mode = camera.mode(submode)

    def share(ccd: np.ndarray, rawx: np.ndarray, rawy: np.ndarray) -> np.ndarray:
        result = np.isin(ccd, ccds).astype(float)
        for number in ccds:
            x0, y0, dx, dy = mode.window[number] if camera.is_pn else mode.image(number)
            central = camera.is_pn or number == 1
            frame = mode.frame_time_s if central else mode.outer_frame_time_s
            live = mode.integration_s if central else mode.outer_integration_s
            if camera.is_pn and (x0, y0) == (0, 1):
                # The whole chip, and its read-out records.
                continue
            if camera.is_pn and not mode.fast_ccds:
                live += PN_FAST_SHIFT_S * dy
            first = (x0 + 1, y0 + 1) if camera.is_pn else (x0, y0)
            x, y = np.rint(rawx) - first[0], np.rint(rawy) - first[1]
            inside = (x >= 0) & (x < dx)
            if number not in mode.fast_ccds:
                inside &= (y >= 0) & (y < dy)
            result = np.where(ccd == number, result * inside * live / frame, result)
        return result

    return share


def _clear_fraction(
    camera: Camera, rate: Mapping[str, Any], p: Pointing, radius_arcsec: float = 15.0
) -> float:
    pointing = p.ra_deg, p.dec_deg, p.pa_deg
    x0, y0 = camera.sky_to_det(rate["ra_deg"], rate["dec_deg"], *pointing, p.start_s)
    dx, dy = np.meshgrid(*[np.linspace(-radius_arcsec, radius_arcsec, 61) / 0.05] * 2)
    inside = np.hypot(dx, dy) <= radius_arcsec / 0.05
    detx, dety = x0 + dx[inside], y0 + dy[inside]
    ccd, rawx, rawy = camera.det_to_raw(detx, dety)
    home = int(camera.det_to_raw(x0, y0)[0])
    good = (ccd == home) & camera.in_fov(detx, dety)
    if home:
        bad = camera.bad_pixel_mask(home)
        if camera.is_pn:
            # Events on columns with an extra offset, and beside them, are sound but flagged.
            for chip, column, _ in PN_OFFSET_COLUMNS:
                if chip == home:
                    bad[max(column - 2, 0) : column + 1] = True
        good[good] = ~bad[np.rint(rawx[good]).astype(int) - 1, np.rint(rawy[good]).astype(int) - 1]
    return float(good.mean()) if home else 0.0


def _write_truth(
    folder: Path,
    description: Description,
    sky: SkyModel,
    observed: Sequence[DetectorData],
    truth: Mapping[str, Any],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    obs_id = description.pointing.obs_id
    (folder / f"{obs_id}.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    rows = source_table(description, sky, observed)
    with (folder / f"{obs_id}_sources.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]) if rows else ["instrument"])
        writer.writeheader()
        writer.writerows(rows)
    for data in observed:
        e = data.exposure
        write_table(
            folder / f"{obs_id}_{e.instrument}{e.exp_id}_photons.fits", _PHOTONS, data.photons, "PHOTONS"
        )
