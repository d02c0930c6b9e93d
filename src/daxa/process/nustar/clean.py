"""Cleaned event lists of NuSTAR: stage 2 of nupipeline."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from astropy.units import Quantity

from daxa.archive import layout
from daxa.backend.contract import Task
from daxa.process.arguments import check_bool, check_quantity
from daxa.process.nustar.assemble import COMMON, OF_MODULE, OUT
from daxa.process.nustar.setup import ALLOWED, INSTRUMENTS, module, stem
from daxa.process.options import Running, StepOptions, argument
from daxa.process.public import public
from daxa.process.runner import run_steps
from daxa.process.step import Piece, Recipe, Step

if TYPE_CHECKING:
    from daxa.archive import Archive

SAA_MODES = ("NONE", "STRICT", "OPTIMIZED")
#: What stage 2 needs of stage 1: name of the file for later steps -> parameter; {m} is the module's letter.
_TAKEN = {
    "evt_list": "fpm{m}_infile",
    "attitude": "attfile",
    "mast": "inmastaspectfile",
    "psd_corrected": "inpsdfilecor",
    "optical_axis": "fpm{m}_inoptaxisfile",
    "reference_pixel": "fpm{m}_indet1reffile",
}


@dataclass(frozen=True, eq=False)
class ScreenOptions(StepOptions):
    """Options of `nupipeline_screen`."""

    saa_mode: Literal["NONE", "STRICT", "OPTIMIZED"] = argument(
        "NONE", "Which passages of the South Atlantic Anomaly are left out."
    )
    tentacle: bool = argument(False, "Leave out the region beside it in which the background is high, too.")
    status_expr: str | None = argument(
        None, "Selection of events by their status, for bright sources; that of the calibration by default."
    )
    exposure_map: bool = argument(True, "Make an exposure map.")
    expmap_vignetting: bool = argument(True, "Vignetting is in the exposure map.")
    expmap_energy: Quantity = argument(Quantity(10, "keV"), "Energy at which vignetting is taken.")

    def check(self) -> None:
        for name in ("tentacle", "exposure_map", "expmap_vignetting"):
            check_bool(name, getattr(self, name))
        if self.saa_mode not in SAA_MODES:
            raise ValueError(f"saa_mode: expected one of {', '.join(SAA_MODES)}, got {self.saa_mode!r}")
        expression: Any = self.status_expr
        if expression is not None and (not isinstance(expression, str) or not expression.strip()):
            raise TypeError(f"status_expr: expected an expression, got {expression!r}")
        if not self.energy_kev > 0:
            raise ValueError(f"expmap_energy: expected an energy above 0, got {self.expmap_energy}")

    @cached_property
    def energy_kev(self) -> float:
        """Energy at which vignetting is taken [keV]."""
        return check_quantity("expmap_energy", self.expmap_energy, "keV")


def _screen(piece: Piece, options: ScreenOptions) -> Recipe:
    where = piece.obs_id, str(piece.inst)
    known = {**{k: (stem(piece), e) for k, (e, _) in COMMON.items()}}
    known |= {k: (module(piece), e) for k, (e, _) in OF_MODULE.items()}
    # Copies under the names that NuSTARDAS gives them: it may change them in place.
    copies = {key: "".join(known[key]) for key in _TAKEN}
    taken = {name.format(m=module(piece)[-1].lower()): copies[key] for key, name in _TAKEN.items()}
    given: dict[str, Any] = {} if options.status_expr is None else {"statusexpr": options.status_expr}
    if options.exposure_map:
        given |= {"expovignflag": options.expmap_vignetting, "energy": f"{options.energy_kev:g}"}
    task = Task(
        "nupipeline",
        indir=str(piece.raw),
        steminputs=stem(piece),
        outdir=OUT,
        instrument=str(piece.inst),
        obsmode="SCIENCE",
        entrystage=2,
        exitstage=2,
        **taken,
        saamode=options.saa_mode,
        tentacle=options.tentacle,
        createexpomap=options.exposure_map,
        **given,
        initseed=True,
        clobber=True,
        chatter=3,
    )
    made = f"{OUT}/{module(piece)}"
    kept = {
        "evt_clean_path": (f"{made}01_cl.evt", layout.final_events(*where)),
        "gti_path": (f"{made}01_gti.fits", layout.of_kind(*where, "GTI")),
        "housekeeping": (f"{made}_fpm.hk", layout.of_kind(*where, "housekeeping")),
    }
    if options.exposure_map:
        kept["expmap"] = (f"{made}01_ex.img", layout.of_kind(*where, "expmap"))
    return Recipe(
        [task],
        dict(kept.values()),
        optional=frozenset({f"{made}_fpm.hk"}),
        inputs={copies[key]: piece.made("nupipeline_calibrate", key) for key in _TAKEN},
        files={key: path for key, (_, path) in kept.items()},
        raw_name=piece.obs_id,
    )


NUPIPELINE_SCREEN = Step(
    "nupipeline_screen",
    "Cleaning event lists",
    "instrument",
    _screen,
    instruments=INSTRUMENTS,
    needs=lambda inst, options: ("nupipeline_calibrate",),
    backend="nustardas",
)


@public(ScreenOptions, mission="NuSTAR")
def nupipeline_screen(obs_archive: Archive, options: ScreenOptions, running: Running) -> None:
    """Keep the events of good times and of photons (stage 2 of nupipeline). Needs `nupipeline_calibrate`.

    Keeps for each module the cleaned list of the mode SCIENCE, its good times and an exposure map.

    Raises
    ------
    NuSTARDASNotFoundError
        NuSTARDAS is not there; the message says how it is recognised.

    Examples
    --------
    >>> daxa.process.nustar.nupipeline_screen(archive, saa_mode="OPTIMIZED")
    """
    run_steps(obs_archive, [(NUPIPELINE_SCREEN, options)], ALLOWED, running)
