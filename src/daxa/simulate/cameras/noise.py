"""What the detectors send down besides photons: its mechanisms and their rates, by CCD.

``Noise()`` holds rates typical of a quiet CCD. ``Noise.like_0802710101()`` has those of each CCD of a real
20 ks exposure, from the numbers that its published log (SAS 22.1) prints for every CCD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

from daxa.simulate.numbers.noise import rates_0802710101


@dataclass(frozen=True)
class Noise:
    """Rates of everything that is not a photon, per CCD and second where nothing else is said.

    Attributes
    ----------
    mos_cosmic, mos_truncated, mos_rebound
        Tracks; particles that fill the converter of a pixel; charges whose electronic rebound pulls the
        neighbours down.
    mos_row_bursts, mos_burst_events, mos_ringing, mos_next_row
        Disturbed rows of single frames, events in each, share of them between negative neighbours, events
        in the next row for each of them.
    mos_outside, mos_soft
        Events in the overscan; read noise beyond the threshold.
    mos_incoherent
        Events on a spot of raised zero level.
    mos_fragments
        Pairs of pixels that touch at a corner.
    mos_flickering
        Events of pixels that fire in a few successive frames and are silent then.
    mos_hot_pixels, mos_hot_events, mos_hot_most, mos_hot_full
        Number of hot pixels that the calibration does not know, events of all together, largest chance to
        fire in a frame, share of events that fill the converter.
    mos_columns, mos_rows, mos_line_events
        Numbers of bright columns and rows, those at the border first, and events of all together: in raw
        files of 2001 column 599 and row 1 of a CCD have 0.013 and 0.011 per second, just above the threshold.
    mos_warm
        Share of the events of hot pixels and bright lines that lie amid warm neighbours.
    mos_showers, mos_lost_frames
        Frames filled by a particle shower, so that the event buffer overflows; frames that are not read out,
        so that the next one holds their charge, too.
    mos_first_frame
        What the first frame has gathered before it began, in frames.
    pn_soft, pn_clump
        Read noise just above the threshold, mean number of such events that come together in a frame.
    pn_tail
        Noise well above the threshold.
    pn_residual_mips, pn_particles
        Particles sent down; particles per frame whose columns are discarded on board (negative: those of the
        camera's :attr:`~daxa.simulate.cameras.camera.Camera.cosmic_rays_s_cm2`).
    pn_hot_pixels
        Number of hot pixels that the calibration does not know, besides those of the camera.
    pn_fifo_resets
        Resets of a quadrant's event buffer, each of which costs five frames.
    pn_no_time
        Share of listed frames whose coarse time is lost (0xFFFF).
    hot_pixel
        Firing rate of one hot pixel of the calibration, or of those that every camera has besides.
    ccds
        Other values for some CCDs: camera and CCD -> names and values. The resets are those of the first
        CCD of a quadrant.
    """

    mos_cosmic: float = 1.14
    mos_truncated: float = 0.22
    mos_rebound: float = 0.12
    mos_row_bursts: float = 0.004
    mos_burst_events: float = 15.0
    mos_ringing: float = 0.0
    mos_next_row: float = 0.0
    mos_outside: float = 0.034
    mos_soft: float = 0.08
    mos_incoherent: float = 0.0
    mos_fragments: float = 0.0
    mos_flickering: float = 0.0
    mos_hot_pixels: float = 0.0
    mos_hot_events: float = 0.0
    mos_hot_most: float = 0.9
    mos_hot_full: float = 0.0
    mos_columns: float = 2.0
    mos_rows: float = 1.0
    mos_line_events: float = 0.027
    mos_warm: float = 0.0
    mos_showers: float = 0.0
    mos_lost_frames: float = 0.0
    mos_first_frame: float = 4.0
    pn_soft: float = 21.0
    pn_clump: float = 1.0
    pn_tail: float = 0.0
    pn_residual_mips: float = 0.02
    pn_particles: float = -1.0
    pn_hot_pixels: float = 0.0
    pn_fifo_resets: float = 0.0
    pn_no_time: float = 0.0
    hot_pixel: float = 0.08
    ccds: Mapping[tuple[str, int], Mapping[str, float]] = field(default_factory=dict)

    #: Fields that :meth:`scaled` leaves alone: numbers and shares, particles, and what the pn needs.
    _FIXED = (
        "mos_burst_events", "mos_ringing", "mos_next_row", "mos_hot_pixels", "mos_hot_most",
        "mos_hot_full", "mos_warm", "mos_columns", "mos_rows", "mos_first_frame", "pn_clump",
        "pn_residual_mips", "pn_particles", "pn_hot_pixels", "pn_fifo_resets", "pn_no_time", "hot_pixel",
    )  # fmt: skip

    @classmethod
    def quiet(cls, **rates: float) -> Noise:
        """No noise but the rates given (and the pn's particles on board, which also cost live time).

        Parameters
        ----------
        **rates
            Names of the rates -> their values.
        """
        silent = {f.name: 0.0 for f in fields(cls) if f.name != "ccds"}
        return cls(**(silent | {"pn_particles": -1.0} | rates))  # type: ignore[arg-type]

    @classmethod
    def like_0802710101(cls) -> Noise:
        """What the CCDs of a real exposure sent (NGC 3079, November 2017, all cameras in full frame)."""
        return cls(ccds=rates_0802710101())

    def of(self, instrument: str, ccd: int) -> Noise:
        """The rates of one CCD.

        Parameters
        ----------
        instrument
            ``M1``, ``M2`` or ``PN``.
        ccd
            Number of the CCD.
        """
        own = self.ccds.get((instrument, ccd), {})
        return replace(self, ccds={}, **own)  # type: ignore[arg-type]

    def scaled(self, mos: float, pn: float) -> Noise:
        """The same with the event rates of the cameras multiplied.

        Parameters
        ----------
        mos, pn
            The factors.
        """

        def changed(values: Mapping[str, float]) -> dict[str, float]:
            return {
                name: value * (1.0 if name in self._FIXED else pn if name.startswith("pn_") else mos)
                for name, value in values.items()
            }

        whole = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "ccds"}
        ccds = {key: changed(values) for key, values in self.ccds.items()}
        return Noise(**changed(whole), ccds=ccds)
