"""Whole reductions in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daxa.process.arguments import check_bool
from daxa.process.runner import redoing, run_steps
from daxa.process.step import RGS, Options, Step
from daxa.process.xmm.assemble import (
    CLEANED_EVT_LISTS,
    EMCHAIN,
    EPCHAIN,
    MERGE_SUBEXPOSURES,
    chain_options,
    cleaned_options,
)
from daxa.process.xmm.check import EMANOM
from daxa.process.xmm.clean import ESPFILT, espfilt_options
from daxa.process.xmm.generate import GENERATE_IMAGES_EXPMAPS, bands_within, image_options
from daxa.process.xmm.grating import CLEANED_RGS_EVENT_LISTS, RGS_ANGLES, RGS_EVENTS
from daxa.process.xmm.setup import ALLOWED, CIF_BUILD, ODF_INGEST, cif_build_options

if TYPE_CHECKING:
    from astropy.units import Quantity

    from daxa.archive import Archive


def steps_of_reduction(
    archive: Archive,
    chain: Options,
    flares: Options,
    cleaning: Options,
    images: Options,
    *,
    anomalies: bool,
) -> list[tuple[Step, Options]]:
    """The steps of a whole reduction with their checked options; those of RGS only where one is chosen."""
    steps: list[tuple[Step, Options]] = [(CIF_BUILD, cif_build_options()), (ODF_INGEST, {})]
    missions = getattr(archive, "missions", [])
    if any(inst in RGS for m in missions if m.name in ALLOWED for inst in m.chosen_instruments):
        steps += [(RGS_EVENTS, chain), (RGS_ANGLES, {}), (CLEANED_RGS_EVENT_LISTS, {})]
    steps += [(EPCHAIN, chain), (EMCHAIN, chain)]
    if anomalies:
        steps.append((EMANOM, {}))
    return [
        *steps,
        (ESPFILT, flares),
        (CLEANED_EVT_LISTS, cleaning),
        (MERGE_SUBEXPOSURES, {}),
        (GENERATE_IMAGES_EXPMAPS, images),
    ]


def full_process_xmm(
    obs_archive: Archive,
    lo_en: Quantity | None = None,
    hi_en: Quantity | None = None,
    process_unscheduled: bool = True,
    find_mos_anom_state: bool = False,
    num_cores: int | None = None,
    timeout: Quantity | None = None,
    disable_progress: bool = False,
    redo: str = "changed",
) -> None:
    """Take XMM-Newton observations from raw data to cleaned event lists, images and exposure maps.

    Every observation goes through the steps by itself, several side by side. What an earlier call has done is
    not done again.

    Parameters
    ----------
    obs_archive : Archive
        Archive with XMM-Newton observations.
    lo_en, hi_en : Quantity, optional
        Energy band of the cleaned event lists; everything by default. Images are made in what of the default
        bands is within it.
    process_unscheduled : bool
        Process unscheduled sub-exposures too.
    find_mos_anom_state : bool
        Look for MOS CCDs in an anomalous state, and leave them out.
    num_cores : int, optional
        Jobs at once; 90 % of the cores by default.
    timeout : Quantity, optional
        Time limit of each job.
    disable_progress : bool
        No progress bars.
    redo : {"changed", "stale", "all", "never"}
        What is made again although it has been made: what depends on something that has changed, by default;
        see `daxa.process.redoing`.

    Warns
    -----
    UserWarning
        Names what failed, and why; everything else is processed.
    """
    check_bool("find_mos_anom_state", find_mos_anom_state)
    steps = steps_of_reduction(
        obs_archive,
        chain_options(process_unscheduled),
        espfilt_options(),
        cleaned_options(lo_en, hi_en, filt_mos_anom_state=find_mos_anom_state),
        image_options(*bands_within(lo_en, hi_en)),
        anomalies=find_mos_anom_state,
    )
    with redoing(redo):
        run_steps(
            obs_archive,
            steps,
            ALLOWED,
            num_cores=num_cores,
            disable_progress=disable_progress,
            timeout=timeout,
        )
