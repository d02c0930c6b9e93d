"""Event lists of Chandra: reprocessed with the calibration of today, and cleaned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from daxa.archive import layout
from daxa.backend.contract import Task
from daxa.exceptions import DAXANotDownloadedError
from daxa.process.arguments import check_band, check_bool
from daxa.process.chandra.setup import ALLOWED, INSTRUMENTS, PREPARE_CHANDRA_INFO
from daxa.process.options import Running, StepOptions, argument
from daxa.process.public import public
from daxa.process.runner import run_steps
from daxa.process.step import Piece, Recipe, Step

if TYPE_CHECKING:
    from astropy.units import Quantity

    from daxa.archive import Archive

PIX_ADJ = ("default", "edser", "none", "randomize", "centroid")
#: Folder of the products of chandra_repro in the scratch folder, as its manual has it.
_REPRO = "repro"
#: Products that need not be there: name for later steps -> end of chandra_repro's name, kind of the file.
_OPTIONAL = {
    "gti": ("_repro_flt2.fits", "defaultGTI"),
    "fov": ("_repro_fov1.fits", "FOVreg"),
    "mask": ("_msk1.fits", "mask"),
    "dead_time": ("_dtf1.fits", "deadtimefile"),
}


@dataclass(frozen=True, eq=False)
class ReproOptions(StepOptions):
    """Options of `chandra_repro`."""

    destreak: bool = argument(True, "Take streaks off chip 8 of ACIS.")
    check_very_faint: bool = argument(
        False,
        "Use the outer pixels of events in very faint mode to find background; bright sources lose events.",
    )
    pix_adj: Literal["default", "edser", "none", "randomize", "centroid"] = argument(
        "default", "How positions within a pixel of ACIS are found; the default is CIAO's for the data mode."
    )
    asol_update: bool = argument(True, "Correct the aspect solution for the boresight, where it is needed.")
    grating_pi_filter: bool = argument(True, "Filter the background of HRC-S with LETG.")

    def check(self) -> None:
        for name in ("destreak", "check_very_faint", "asol_update", "grating_pi_filter"):
            check_bool(name, getattr(self, name))
        if self.pix_adj not in PIX_ADJ:
            raise ValueError(f"pix_adj: expected one of {', '.join(PIX_ADJ)}, got {self.pix_adj!r}")


def _aspects(raw: Path) -> list[str]:
    """Beginnings of names of aspect solutions, of which old deliveries may have several; they are kept."""
    found = sorted((raw / "primary").glob("pcad*asol1.fits*"))
    if not found:
        raise DAXANotDownloadedError(f"{raw}: no aspect solution primary/pcad*asol1.fits")
    return [path.name.partition("_asol1")[0] for path in found]


def aspect_key(number: int) -> str:
    """Name of an aspect solution for later steps.

    Parameters
    ----------
    number
        Its number, from 0.
    """
    return f"aspect_solution{number or ''}"


def _repro(piece: Piece, options: ReproOptions) -> Recipe:
    raw = piece.raw
    where = piece.obs_id, str(piece.inst)
    detector = str(piece.inst).lower()

    def made(end: str) -> str:
        return f"{_REPRO}/{detector}f*{end}"

    files = {
        "evt_list": layout.of_kind(*where, "en-events"),
        "bad_pixels": layout.of_kind(*where, "badpix"),
        **{key: layout.of_kind(*where, kind) for key, (_, kind) in _OPTIONAL.items()},
    }
    outputs = {
        made("_repro_evt2.fits"): files["evt_list"],
        made("_repro_bpix1.fits"): files["bad_pixels"],
        **{made(end): files[key] for key, (end, _) in _OPTIONAL.items()},
    }
    for number, stem in enumerate(_aspects(raw)):
        key = aspect_key(number)
        files[key] = layout.of_kind(*where, f"aspectsolution{number or ''}")
        # Assumed: one that is corrected has the beginning of the one it was made of.
        outputs[f"{_REPRO}/{stem}*asol1.fits"] = files[key]
    task = Task(
        "chandra_repro",
        indir=str(raw),
        outdir=_REPRO,
        destreak=options.destreak,
        # Other jobs have their own bad pixels, and fluximage is told of them.
        set_ardlib=False,
        check_vf_pha=options.check_very_faint,
        pix_adj=options.pix_adj,
        asol_update=options.asol_update,
        pi_filter=options.grating_pi_filter,
        cleanup=True,
        clobber=True,
        verbose=1,
        mode="h",
    )
    return Recipe(
        [task],
        outputs,
        optional=frozenset(made(end) for end, _ in _OPTIONAL.values()),
        files=files,
        raw_name=piece.obs_id,
    )


CHANDRA_REPRO = Step(
    "chandra_repro",
    "Reprocessing",
    "instrument",
    _repro,
    instruments=INSTRUMENTS,
    needs=lambda inst, options: ("prepare_chandra_info",),
    backend="ciao",
)


@public(ReproOptions, mission="Chandra")
def chandra_repro(obs_archive: Archive, options: ReproOptions, running: Running) -> None:
    """Reprocess observations with the calibration of today (chandra_repro of CIAO).

    Keeps the event list of level 2, its good times, bad pixels, aspect solution, mask, field of view and, of
    HRC, the dead-time factors.

    Raises
    ------
    CIAONotFoundError
        CIAO is not there; the message says how it is recognised.

    Examples
    --------
    >>> daxa.process.chandra.chandra_repro(archive, check_very_faint=True)
    """
    steps = [(PREPARE_CHANDRA_INFO, StepOptions()), (CHANDRA_REPRO, options)]
    run_steps(obs_archive, steps, ALLOWED, running)


@dataclass(frozen=True, eq=False)
class CleanedOptions(StepOptions):
    """Options of `cleaned_chandra_evts`."""

    lo_en: Quantity | None = argument(
        None, "Lower energy of the events of ACIS to keep; everything by default. HRC tells no energies."
    )
    hi_en: Quantity | None = argument(
        None, "Upper energy of the events of ACIS to keep; everything by default."
    )
    allowed_grades: Sequence[int] | None = argument(
        None, "ASCA grades of ACIS to keep; by default those that chandra_repro keeps: 0, 2, 3, 4 and 6."
    )

    def check(self) -> None:
        _ = self.band_ev, self.grades

    @cached_property
    def band_ev(self) -> tuple[int, int] | None:
        """Energies of the events to keep [eV]; None for all."""
        return check_band(self.lo_en, self.hi_en)

    @cached_property
    def grades(self) -> tuple[int, ...] | None:
        """Grades to keep; None for those of the list."""
        given: Any = self.allowed_grades
        if given is None:
            return None
        if isinstance(given, (str, bytes)) or not hasattr(given, "__iter__"):
            raise TypeError(f"allowed_grades: expected a list of whole numbers, got {given!r}")
        grades = tuple(given)
        if not grades or not all(
            isinstance(g, int) and not isinstance(g, bool) and 0 <= g <= 7 for g in grades
        ):
            raise ValueError(f"allowed_grades: expected whole numbers from 0 to 7, got {given!r}")
        return grades


def energy_of(piece: Piece, options: CleanedOptions) -> str:
    """The energies of a cleaned list as names of files have them; empty for all.

    Parameters
    ----------
    piece
        An instrument of an observation.
    options
        The options.
    """
    if options.band_ev is None or piece.inst != "ACIS":
        return ""
    return layout.energy_text(*(e / 1000 for e in options.band_ev))


def _cleaned(piece: Piece, options: CleanedOptions) -> Recipe:
    acis = piece.inst == "ACIS"
    kept = layout.of_kind(piece.obs_id, str(piece.inst), f"en{energy_of(piece, options)}-cleanevents")
    band = options.band_ev if acis else None
    selection = {} if band is None else {"ranges": f"energy:{band[0]}:{band[1]}"}
    if acis and options.grades is not None:
        selection["values"] = f"grade:{','.join(map(str, options.grades))}"
    task = Task(
        "selectevents",
        table=str(piece.made("chandra_repro", "evt_list")),
        filteredset="clean.fits",
        gtifile=str(piece.made("deflare", "flaring_gti")),
        **selection,
    )
    return Recipe(
        [task],
        {"clean.fits": kept},
        files={"evt_clean_path": kept},
        settings={"en_key": "" if band is None else energy_of(piece, options), "band_ev": band},
    )


def _no_energies(piece: Piece, options: CleanedOptions) -> str | None:
    if piece.inst == "ACIS" or (options.band_ev is None and options.grades is None):
        return None
    return f"{piece.ident}: HRC tells neither energies nor grades; its events are kept whatever they are"


CLEANED_CHANDRA_EVTS = Step(
    "cleaned_chandra_evts",
    "Cleaning event lists",
    "instrument",
    _cleaned,
    instruments=INSTRUMENTS,
    needs=lambda inst, options: ("deflare",),
    note=_no_energies,
    backend="python",
)


@public(CleanedOptions, mission="Chandra")
def cleaned_chandra_evts(obs_archive: Archive, options: CleanedOptions, running: Running) -> None:
    """Keep the events outside flares, and of the energies and grades that are wanted. Needs `deflare`.

    Good times of each CCD, ONTIME, LIVETIME and EXPOSURE are those of the events that are left. CIAO is not
    needed.

    Examples
    --------
    >>> from astropy.units import Quantity
    >>> daxa.process.chandra.cleaned_chandra_evts(archive, Quantity(0.5, "keV"), Quantity(7, "keV"))
    """
    run_steps(obs_archive, [(CLEANED_CHANDRA_EVTS, options)], ALLOWED, running)
