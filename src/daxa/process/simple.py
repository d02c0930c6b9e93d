"""Whole reductions in one call."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from daxa.backend.software import SOFTWARE
from daxa.exceptions import NoDependencyProcessError
from daxa.plain import nearest
from daxa.process.arguments import check_bool
from daxa.process.chandra import assemble as chandra
from daxa.process.chandra.clean import DEFLARE, DeflareOptions
from daxa.process.chandra.generate import FLUX_IMAGE, RATE_IMAGE
from daxa.process.chandra.generate import ImageOptions as ChandraImageOptions
from daxa.process.chandra.generate import bands_within as chandra_bands_within
from daxa.process.chandra.setup import ALLOWED as CHANDRA
from daxa.process.chandra.setup import PREPARE_CHANDRA_INFO
from daxa.process.erosita import assemble as erosita
from daxa.process.erosita.clean import ALLOWED as EROSITA
from daxa.process.erosita.clean import FLAREGTI, FlareOptions
from daxa.process.nustar.assemble import NUPIPELINE_CALIBRATE, CalibrateOptions
from daxa.process.nustar.clean import NUPIPELINE_SCREEN, ScreenOptions
from daxa.process.nustar.generate import SKY_IMAGES, SkyOptions
from daxa.process.nustar.setup import ALLOWED as NUSTAR
from daxa.process.nustar.setup import PREPARE_NUSTAR_INFO
from daxa.process.options import Running, StepOptions, argument
from daxa.process.public import public
from daxa.process.runner import run_steps
from daxa.process.settings import redoing
from daxa.process.step import RGS, Planned, Step
from daxa.process.tell import tell
from daxa.process.xmm.assemble import (
    CLEANED_EVT_LISTS,
    EMCHAIN,
    EPCHAIN,
    MERGE_SUBEXPOSURES,
    CleanedOptions,
)
from daxa.process.xmm.check import EMANOM
from daxa.process.xmm.clean import ESPFILT, EspfiltOptions
from daxa.process.xmm.exposures import ExposureOptions
from daxa.process.xmm.generate import GENERATE_IMAGES_EXPMAPS, ImageSetOptions, bands_within
from daxa.process.xmm.grating import CLEANED_RGS_EVENT_LISTS, RGS_ANGLES, RGS_EVENTS
from daxa.process.xmm.setup import ALLOWED, CIF_BUILD, ODF_INGEST, CifBuildOptions

if TYPE_CHECKING:
    from astropy.units import Quantity

    from daxa.archive import Archive


@dataclass(frozen=True, eq=False)
class ReductionOptions(StepOptions):
    """Options of `full_process_xmm`."""

    lo_en: Quantity | None = argument(
        None,
        "Lower energy of the cleaned event lists; everything by default. Images are made in what of the "
        "default bands is within their energies.",
    )
    hi_en: Quantity | None = argument(None, "Upper energy of the cleaned event lists; everything by default.")
    process_unscheduled: bool = argument(True, "Process unscheduled sub-exposures too.")
    find_mos_anom_state: bool = argument(
        False, "Look for MOS CCDs in an anomalous state, and leave them out."
    )
    redo: Literal["changed", "stale", "all", "never"] = argument(
        "changed",
        "What is made again although it has been made: what depends on something that has changed, by "
        "default; see `daxa.process.redoing`.",
    )
    steps: Sequence[str] | None = argument(
        None,
        "Names of the steps that are run, in any order; all of a whole reduction by default. What they build "
        "on has to be there.",
    )

    def check(self) -> None:
        check_bool("find_mos_anom_state", self.find_mos_anom_state)
        if self.steps is not None:
            check_steps(self.steps)


#: The steps of a whole reduction, in order.
REDUCTION: tuple[Step[Any], ...] = (
    CIF_BUILD,
    ODF_INGEST,
    RGS_EVENTS,
    RGS_ANGLES,
    CLEANED_RGS_EVENT_LISTS,
    EPCHAIN,
    EMCHAIN,
    EMANOM,
    ESPFILT,
    CLEANED_EVT_LISTS,
    MERGE_SUBEXPOSURES,
    GENERATE_IMAGES_EXPMAPS,
)
#: Those of them that are run only where they are asked for.
ON_REQUEST = (EMANOM.name,)


def check_steps(names: Sequence[str]) -> None:
    """Refuse names that are none of steps of a whole reduction.

    Parameters
    ----------
    names
        Names of steps.

    Raises
    ------
    TypeError, ValueError
        There is no such step, or none at all; the message has the nearest name.
    """
    if isinstance(names, str):
        raise TypeError(f"steps: expected a list of names, got {names!r}")
    known = [step.name for step in REDUCTION]
    for name in names:
        if name not in known:
            raise ValueError(f"steps: no step {name!r}; {nearest(str(name), known)}")
    if not names:
        raise ValueError("steps: expected at least one")


def steps_of_reduction(
    archive: Archive,
    chain: ExposureOptions,
    flares: EspfiltOptions,
    cleaning: CleanedOptions,
    images: ImageSetOptions,
    *,
    anomalies: bool,
) -> list[Planned]:
    """The steps of a whole reduction with their options; those of RGS only where one is chosen.

    Parameters
    ----------
    archive
        The archive; its missions decide whether RGS takes part.
    chain
        Options of epchain, emchain and the chain of RGS.
    flares
        Options of espfilt.
    cleaning
        Options of the cleaned event lists.
    images
        Options of images and exposure maps.
    anomalies
        Whether to look for noisy CCDs of MOS.
    """
    none = StepOptions()
    steps: list[Planned] = [(CIF_BUILD, CifBuildOptions()), (ODF_INGEST, none)]
    missions = getattr(archive, "missions", [])
    if any(inst in RGS for m in missions if m.name in ALLOWED for inst in m.chosen_instruments):
        steps += [(RGS_EVENTS, chain), (RGS_ANGLES, none), (CLEANED_RGS_EVENT_LISTS, none)]
    steps += [(EPCHAIN, chain), (EMCHAIN, chain)]
    if anomalies:
        steps.append((EMANOM, none))
    return [
        *steps,
        (ESPFILT, flares),
        (CLEANED_EVT_LISTS, cleaning),
        (MERGE_SUBEXPOSURES, none),
        (GENERATE_IMAGES_EXPMAPS, images),
    ]


_ORDER = (
    "lo_en",
    "hi_en",
    "process_unscheduled",
    "find_mos_anom_state",
    "num_cores",
    "timeout",
    "disable_progress",
    "redo",
    "executor",
    "steps",
)


@public(ReductionOptions, order=_ORDER)
def full_process_xmm(obs_archive: Archive, options: ReductionOptions, running: Running) -> None:
    """Take XMM-Newton observations from raw data to cleaned event lists, images and exposure maps.

    Every observation goes through the steps by itself, several side by side. What an earlier call has done is
    not done again.

    Raises
    ------
    NoDependencyProcessError
        Steps were chosen, and what one of them builds on is not there.

    Warns
    -----
    UserWarning
        Names what failed, and why; everything else is processed.

    Examples
    --------
    >>> from astropy.units import Quantity
    >>> daxa.full_process_xmm(archive, Quantity(0.3, "keV"), Quantity(7, "keV"), num_cores=4)
    """
    band = options.lo_en, options.hi_en
    chosen = options.steps
    steps = steps_of_reduction(
        obs_archive,
        ExposureOptions(options.process_unscheduled),
        EspfiltOptions(),
        CleanedOptions(*band, filt_mos_anom_state=options.find_mos_anom_state),
        ImageSetOptions(*bands_within(*band)),
        anomalies=options.find_mos_anom_state or (chosen is not None and EMANOM.name in chosen),
    )
    if chosen is not None:
        steps = _only(obs_archive, steps, chosen)
    with redoing(options.redo):
        run_steps(obs_archive, steps, ALLOWED, running)


def _only(archive: Archive, steps: list[Planned], names: Sequence[str]) -> list[Planned]:
    """The steps that were chosen, if what they build on is among them or has been run."""
    kept = [(step, options) for step, options in steps if step.name in names]
    if not kept:
        raise ValueError(f"steps: {', '.join(names)}: no instrument of the archive has them")
    there = {step.name for step, _ in kept}
    missions = [m for m in archive.missions if m.name in ALLOWED]
    for step, options in kept:
        lacking = []
        for inst in step.instruments or (None,):
            needs = [n for n in step.needs(inst, options) if n not in there]
            lacking.append([n for n in needs if not any(archive.ledger.has_run(m.name, n) for m in missions)])
        if all(lacking):
            names_of = ", ".join(dict.fromkeys(n for needs in lacking for n in needs))
            raise NoDependencyProcessError(f"{step.name}: {names_of} must be run first")
    return kept


@dataclass(frozen=True, eq=False)
class ErositaOptions(StepOptions):
    """Options of `full_process_erosita`."""

    lo_en: Quantity | None = argument(None, "Lower energy of the cleaned event lists, 0.2 keV by default.")
    hi_en: Quantity | None = argument(None, "Upper energy of the cleaned event lists, 10 keV by default.")
    redo: Literal["changed", "stale", "all", "never"] = argument(
        "changed",
        "What is made again although it has been made: what depends on something that has changed, by "
        "default; see `daxa.process.redoing`.",
    )


@public(
    ErositaOptions,
    order=("lo_en", "hi_en", "num_cores", "timeout", "disable_progress", "redo", "executor"),
    mission="eROSITA",
)
def full_process_erosita(obs_archive: Archive, options: ErositaOptions, running: Running) -> None:
    """Take eROSITA observations from the archive's event lists to cleaned ones.

    Flares are found and lists are cleaned with eSASS. Without it, events are selected in Python, with the
    flare-free times that the archive's lists have.

    Warns
    -----
    UserWarning
        eSASS is not there; or names what failed, and why: everything else is processed.

    Examples
    --------
    >>> daxa.full_process_erosita(archive)
    """
    cleaning = erosita.CleanedOptions(options.lo_en, options.hi_en)
    step = erosita.cleaning_step()
    steps: list[Planned] = [(step, cleaning)]
    if step is erosita.CLEANED_IN_PYTHON:
        tell(
            f"full_process_erosita: {SOFTWARE['esass'].why_absent()}; without eSASS no flares are looked "
            "for, and events are selected in Python by the flare-free times of the archive's lists"
        )
    else:
        steps.insert(0, (FLAREGTI, FlareOptions()))
    with redoing(options.redo):
        run_steps(obs_archive, steps, EROSITA, running)


_REDO = (
    "What is made again although it has been made: what depends on something that has changed, by default; "
    "see `daxa.process.redoing`."
)


@dataclass(frozen=True, eq=False)
class ChandraOptions(StepOptions):
    """Options of `full_process_chandra`."""

    evt_lo_en: Quantity | None = argument(
        None,
        "Lower energy of the cleaned event lists of ACIS; everything by default. Images are made in what of "
        "the default bands is within their energies.",
    )
    evt_hi_en: Quantity | None = argument(
        None, "Upper energy of the cleaned event lists of ACIS; everything by default."
    )
    redo: Literal["changed", "stale", "all", "never"] = argument("changed", _REDO)


_ORDER_OF_CHANDRA = ("evt_lo_en", "evt_hi_en", "num_cores", "timeout", "disable_progress", "redo", "executor")


@public(ChandraOptions, order=_ORDER_OF_CHANDRA, mission="Chandra")
def full_process_chandra(obs_archive: Archive, options: ChandraOptions, running: Running) -> None:
    """Take Chandra observations from what the archive gives to cleaned event lists and images, with CIAO.

    Raises
    ------
    CIAONotFoundError
        CIAO is not there; the message says how it is recognised.

    Warns
    -----
    UserWarning
        Names what failed, and why; everything else is processed.

    Examples
    --------
    >>> daxa.full_process_chandra(archive)
    """
    cleaning = chandra.CleanedOptions(options.evt_lo_en, options.evt_hi_en)
    images = ChandraImageOptions()
    if cleaning.band_ev is not None:
        images = chandra_bands_within(images, *(e / 1000 for e in cleaning.band_ev))
    steps: list[Planned] = [
        (PREPARE_CHANDRA_INFO, StepOptions()),
        (chandra.CHANDRA_REPRO, chandra.ReproOptions()),
        (DEFLARE, DeflareOptions()),
        (chandra.CLEANED_CHANDRA_EVTS, cleaning),
        (FLUX_IMAGE, images),
        (RATE_IMAGE, images),
    ]
    with redoing(options.redo):
        run_steps(obs_archive, steps, CHANDRA, running)


@dataclass(frozen=True, eq=False)
class NustarOptions(StepOptions):
    """Options of `full_process_nustar`."""

    evt_lo_en: Quantity | None = argument(None, "Not used: event lists hold all energies, as in DAXA 0.3.")
    evt_hi_en: Quantity | None = argument(None, "Not used.")
    redo: Literal["changed", "stale", "all", "never"] = argument("changed", _REDO)


@public(
    NustarOptions,
    order=("evt_lo_en", "evt_hi_en", "num_cores", "timeout", "disable_progress", "redo", "executor"),
    mission="NuSTAR",
)
def full_process_nustar(obs_archive: Archive, options: NustarOptions, running: Running) -> None:
    """Take NuSTAR observations from what the archive gives to cleaned event lists and images, with NuSTARDAS.

    Spectra need a source: `daxa.process.nustar.nuproducts` makes them afterwards.

    Raises
    ------
    NuSTARDASNotFoundError
        NuSTARDAS is not there; the message says how it is recognised.

    Warns
    -----
    UserWarning
        Names what failed, and why; everything else is processed. Energies were given.

    Examples
    --------
    >>> daxa.full_process_nustar(archive)
    """
    if options.evt_lo_en is not None or options.evt_hi_en is not None:
        warnings.warn("evt_lo_en, evt_hi_en: event lists of NuSTAR hold all energies", stacklevel=3)
    steps: list[Planned] = [
        (PREPARE_NUSTAR_INFO, StepOptions()),
        (NUPIPELINE_CALIBRATE, CalibrateOptions()),
        (NUPIPELINE_SCREEN, ScreenOptions()),
        (SKY_IMAGES, SkyOptions()),
    ]
    with redoing(options.redo):
        run_steps(obs_archive, steps, NUSTAR, running)
