"""Which files of an ODF each exposure gets, and which housekeeping and commands go with it.

Parameters
----------
writer
    What writes the files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from daxa.simulate.cameras.camera import CAMERAS, Camera
from daxa.simulate.cameras.mos_offsets import diagnostic_image
from daxa.simulate.cameras.pn import MAX_FRAMES, WRAP_S
from daxa.simulate.cameras.readout import DetectorData, Exposure
from daxa.simulate.odf.files import OdfWriter
from daxa.xmm.formats.instruments import PN_MODES
from daxa.xmm.formats.records import MOS_PROCESSES

#: Number of the first frame that CCDs 1 to 7 of MOS send (real files of two exposures).
MOS_FIRST_FRAMES = (4, 15, 12, 3, 13, 1, 7)
#: A diagnostic exposure of MOS begins as long before the first other one [s].
DIAGNOSTIC_LEAD_S = 300.0


def write_exposure(writer: OdfWriter, camera: Camera, data: DetectorData) -> None:
    """Write the event, auxiliary and offset files of an exposure.

    Parameters
    ----------
    camera
        The camera.
    data
        What it sent.
    """
    exposure, span = data.exposure, (data.start_s, data.stop_s)
    mode = camera.mode(exposure.submode)
    for ccd, one in data.ccds.items():
        if ccd in exposure.missing_ccds:
            continue
        if ccd in exposure.empty_ccds:
            one.events = {name: values[:0] for name, values in one.events.items()}
        if camera.is_pn:
            code = _pn_mode(exposure.submode)
            writer.pn_events(
                exposure.exp_id, ccd, one.events, *span, window=one.window,
                frame_time_s=mode.frame_time_s, ccd_mode=code, discarded=one.discarded,
                file_type=one.file_type,
            )  # fmt: skip
        else:
            one.truth["first_frame"] = MOS_FIRST_FRAMES[ccd - 1]
            one.events["FRAME"] = one.events["FRAME"] + one.truth["first_frame"] - 1
            writer.mos_events(
                camera.code, exposure.exp_id, ccd, one.events, *span, window=one.window,
                frame_time_s=one.truth["frame_time_s"], threshold_adu=camera.event_threshold_adu,
                offsets=one.offsets, file_type=one.file_type,
            )  # fmt: skip
    if camera.is_pn:
        writer.pn_auxiliary(exposure.exp_id, data.auxiliary[0], data.auxiliary[1], *span)
    else:
        frames = dict(data.auxiliary[0])
        frames["FRAME"] = frames["FRAME"] + np.array(MOS_FIRST_FRAMES)[frames["CCDID"] - 1] - 1
        writer.mos_auxiliary(camera.code, exposure.exp_id, frames, *span)
        if len(data.auxiliary[1]["CCD"]):
            writer.mos_counting(camera.code, exposure.exp_id, data.auxiliary[1], *span)


def _pn_mode(submode: str) -> int:
    """CCDMODE; both kinds of full frame have the same in real headers."""
    return max(next(n for n, name in PN_MODES.items() if name == submode), 1)


def _mos_processes(camera: Camera, exposure: Exposure) -> dict[int, int]:
    """What the event unit of each CCD is told to do."""
    mode = camera.mode(exposure.submode)
    kinds = {ccd: "TIMING" if ccd in mode.fast_ccds else "IMAGING" for ccd in exposure.ccds or mode.ccds}
    return {ccd: MOS_PROCESSES[kind] for ccd, kind in kinds.items()}


def write_diagnostics(
    writer: OdfWriter,
    exposures: Sequence[Exposure],
    number: int,
    generator: Callable[[str], np.random.Generator],
) -> None:
    """The image of CCD 1 that is taken when a MOS camera is set up.

    Parameters
    ----------
    exposures
        The exposures.
    number
        That of the diagnostic exposures.
    generator
        Random numbers of a camera, by its code.
    """
    for code in ("M1", "M2"):
        starts = [e.start_s for e in exposures if e.instrument == code]
        if starts:
            image = diagnostic_image(generator(code))
            writer.mos_diagnostic(code, f"U{number:03d}", 1, min(starts) - DIAGNOSTIC_LEAD_S, image)


def write_housekeeping(writer: OdfWriter, observed: Sequence[DetectorData], reset_obt_s: int) -> None:
    """Write housekeeping and commands of all cameras.

    Parameters
    ----------
    observed
        What the cameras sent.
    reset_obt_s
        On-board time of the reset of the counter of the pn [s].
    """
    for code, camera in CAMERAS.items():
        mine = [data.exposure for data in observed if data.exposure.instrument == code]
        if not mine:
            continue
        filters = [(e.start_s, e.stop_s, e.filter) for e in mine]
        if camera.is_pn:
            writer.pn_commands(
                [(e.start_s, _pn_mode(e.submode), e.ccds or camera.mode(e.submode).ccds) for e in mine]
            )
            writer.pn_housekeeping(
                filters,
                reset_obt_s=reset_obt_s,
                wrap_s=WRAP_S,
                submode=mine[0].submode,
                max_frames=MAX_FRAMES,
            )
        else:
            masked = [(b.ccd, b.rawx, b.rawy, b.yextent) for b in camera.bad_pixels if b.uplinked]
            resets = [
                (data.exposure.start_s, data.clock_reset_obt_s)
                for data in observed
                if data.exposure in mine and data.clock_reset_obt_s is not None
            ]
            # The diagnostic exposure comes first.
            first = min(e.start_s for e in mine) - DIAGNOSTIC_LEAD_S
            resets.append((first, np.floor(writer.clock.obt(first)) - 2.0))
            writer.mos_housekeeping(code, filters, masked, resets)
            commands = [(e.start_s, _mos_processes(camera, e)) for e in mine]
            commands.append((first, {1: MOS_PROCESSES["DIAGNOSTIC"]}))
            writer.mos_commands(code, commands)
