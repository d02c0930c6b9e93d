"""Calibrated event lists of NuSTAR: stage 1 of nupipeline."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from astropy.units import Quantity

from daxa.archive import layout
from daxa.backend.contract import Task
from daxa.process.arguments import check_bool, check_quantity
from daxa.process.nustar.setup import ALLOWED, INSTRUMENTS, PREPARE_NUSTAR_INFO, module, stem
from daxa.process.options import Running, StepOptions, argument
from daxa.process.public import public
from daxa.process.runner import run_steps
from daxa.process.step import Piece, Recipe, Step

if TYPE_CHECKING:
    from daxa.archive import Archive

#: Folder of its products in the scratch folder.
OUT = "out"
#: Products of both modules, and of one: name for later steps -> end of NuSTARDAS's name, kind of the file.
COMMON = {
    "attitude": ("_att.fits", "attitude"),
    "mast": ("_mast.fits", "mast"),
    "psd": ("_psd.fits", "psd"),
    "psd_corrected": ("_psdcorr.fits", "psdcorr"),
}
OF_MODULE = {
    "evt_list": ("_uf.evt", "en-events"),
    "bad_pixels": ("_bp.fits", "badpix"),
    "hot_pixels": ("_hp.fits", "hotpix"),
    "reference_pixel": ("_det1.fits", "refpixel"),
    "optical_axis": ("_oa.fits", "opticalaxis"),
}
#: NuSTARDAS 2.0 and later copies the housekeeping of the optics bench.
BENCH = ("obeb", "_obeb.hk", "obeb")


def _number(name: str, value: Any, kinds: tuple[type, ...] = (int, float)) -> Any:
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise TypeError(
            f"{name}: expected a {'whole number' if kinds == (int,) else 'number'}, got {value!r}"
        )
    return value


@dataclass(frozen=True, eq=False)
class CalibrateOptions(StepOptions):
    """Options of `nupipeline_calibrate`."""

    hp_time_bin: Quantity = argument(
        Quantity(600, "s"), "Time over which counts are added in the search for hot pixels."
    )
    hp_cell_bin: Quantity = argument(
        Quantity(5, "pix"), "Side of the cell that a pixel is compared with; odd, above 1."
    )
    hp_imp: float = argument(1.0, "Factor of the background in that search.")
    hp_log_pos: float = argument(
        -6.0, "Decadic logarithm of the probability below which a pixel is hot; negative."
    )
    hp_bck_thr: int = argument(6, "Counts above which a pixel without counts around it is hot.")
    asp_ab_corr: bool = argument(True, "Correct positions for the aberration of light.")

    def check(self) -> None:
        check_bool("asp_ab_corr", self.asp_ab_corr)
        if not self.bin_s > 0:
            raise ValueError(f"hp_time_bin: expected a positive time, got {self.hp_time_bin}")
        if self.cell < 3 or self.cell % 2 == 0:
            raise ValueError(f"hp_cell_bin: expected an odd number of pixels above 1, got {self.hp_cell_bin}")
        if not _number("hp_imp", self.hp_imp) > 0:
            raise ValueError(f"hp_imp: expected a number above 0, got {self.hp_imp}")
        if not _number("hp_log_pos", self.hp_log_pos) < 0:
            raise ValueError(f"hp_log_pos: expected a number below 0, got {self.hp_log_pos}")
        if _number("hp_bck_thr", self.hp_bck_thr, (int,)) < 0:
            raise ValueError(f"hp_bck_thr: expected a number of counts, got {self.hp_bck_thr}")

    @cached_property
    def bin_s(self) -> float:
        """Time over which counts are added [s]."""
        return check_quantity("hp_time_bin", self.hp_time_bin, "s")

    @cached_property
    def cell(self) -> int:
        """Side of the cell [pixel]."""
        side = check_quantity("hp_cell_bin", self.hp_cell_bin, "pix")
        if side != int(side):
            raise ValueError(f"hp_cell_bin: expected a whole number of pixels, got {self.hp_cell_bin}")
        return int(side)


def _calibrate(piece: Piece, options: CalibrateOptions) -> Recipe:
    where = piece.obs_id, str(piece.inst)
    outputs, files = {}, {}
    for name, (key, (end, kind)) in [
        *((stem(piece), item) for item in COMMON.items()),
        *((module(piece), item) for item in OF_MODULE.items()),
        (stem(piece), (BENCH[0], BENCH[1:])),
    ]:
        files[key] = outputs[f"{OUT}/{name}{end}"] = layout.of_kind(*where, kind)
    task = Task(
        "nupipeline",
        indir=str(piece.raw),
        steminputs=stem(piece),
        outdir=OUT,
        instrument=str(piece.inst),
        obsmode="SCIENCE",
        entrystage=1,
        exitstage=1,
        hpbinsize=f"{options.bin_s:g}",
        hpcellsize=options.cell,
        impfac=f"{options.hp_imp:g}",
        logpos=f"{options.hp_log_pos:g}",
        bthresh=options.hp_bck_thr,
        aberration=options.asp_ab_corr,
        # Alike each time: else positions are drawn anew within pixels.
        initseed=True,
        clobber=True,
        chatter=3,
    )
    return Recipe(
        [task],
        outputs,
        optional=frozenset({f"{OUT}/{stem(piece)}{BENCH[1]}"}),
        files=files,
        raw_name=piece.obs_id,
    )


NUPIPELINE_CALIBRATE = Step(
    "nupipeline_calibrate",
    "Calibrating",
    "instrument",
    _calibrate,
    instruments=INSTRUMENTS,
    needs=lambda inst, options: ("prepare_nustar_info",),
    backend="nustardas",
)


@public(CalibrateOptions, mission="NuSTAR")
def nupipeline_calibrate(obs_archive: Archive, options: CalibrateOptions, running: Running) -> None:
    """Calibrate event lists (stage 1 of nupipeline of NuSTARDAS).

    Keeps for each module the calibrated list, bad and hot pixels, reference pixels, optical axis, attitude
    and positions of the mast. Both modules are done side by side.

    Raises
    ------
    NuSTARDASNotFoundError
        NuSTARDAS is not there; the message says how it is recognised.

    Examples
    --------
    >>> daxa.process.nustar.nupipeline_calibrate(archive)
    """
    steps = [(PREPARE_NUSTAR_INFO, StepOptions()), (NUPIPELINE_CALIBRATE, options)]
    run_steps(obs_archive, steps, ALLOWED, running)
