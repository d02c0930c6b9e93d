"""The task epchain: make pn event lists: one exposure of an ODF, or all of a data mode."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.flags import PnFlag
from daxa.xmm.instruments.pn.options import Request, Screening
from daxa.xmm.instruments.pn.raw import parse_ccds
from daxa.xmm.instruments.pn.reduce import run_exposure
from daxa.xmm.odf.odf import Odf
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import for_each, open_calibration
from daxa.xmm.tasks.support_pn import chain_options, common, exposures_of, open_odf, taken

_ALWAYS = "the chain cannot leave out this step"
#: Kind of event list in canonical names, by withoutoftime and withctisrcpos.
_KINDS = {(False, False): "PI", (True, False): "OO", (False, True): "PS", (True, True): "OS"}


@task(
    "epchain",
    "8.82.2",
    [
        Parameter("odf", "string", text="folder of the ODF; with odfaccess=name an auxiliary file in it"),
        Parameter(
            "odfaccess",
            "choice",
            "oal",
            ("oal", "odf", "name", "all"),
            text="what exposure means: its rank in the data mode (oal), its number (odf), that of the file "
            "in odf (name), or nothing, as all are wanted (all)",
        ),
        Parameter("schedule", "choice", "S", ("S", "U"), text="whether the exposure was scheduled"),
        Parameter(
            "datamode",
            "choice",
            "IMAGING",
            ("IMAGING", "TIMING", "BURST", "ALL"),
            text="kind of exposures to process",
        ),
        Parameter("exposure", "int", 1, minimum=0, maximum=999, text="which exposure; see odfaccess"),
        Parameter("ccds", "string", "1-12", text="CCDs to process, as in 1,6-9,12"),
        Parameter(
            "keepintermediate",
            "choice",
            "none",
            ("all", "raw", "cal", "clean", "notmerged", "none"),
            text="which files between the steps stay; raw and all keep one, which a run without the first "
            "steps begins with",
        ),
        Parameter("usecanonicalnames", "bool", True, text="name the event list by the archive's rules"),
        Parameter("outset", "dataset", "events.fits", text="name of the event list otherwise"),
        Parameter(
            "runradmonfix",
            "bool",
            True,
            text="repair the radiation monitor's file",
            without_effect="belongs to withradmon",
        ),
        *taken("runatthkgen timestep"),
        Parameter("runepframes", "bool", True, text="find frames and times; else as an earlier run did"),
        Parameter("runbadpixfind", "bool", True, text="search for bad pixels"),
        Parameter("runbadpix", "bool", True, text="leave out bad pixels"),
        Parameter("runepevents", "bool", True, text="find patterns and energies", only=_ALWAYS),
        Parameter("runattcalc", "bool", True, text="find places on the sky", only=_ALWAYS),
        Parameter(
            "runbackground",
            "bool",
            True,
            text="masks and light curve of the background",
            without_effect="they are not made; yes, if given, is warned of",
        ),
        *taken("withrdpha"),
        Parameter(
            "screenlowthresh",
            "int",
            150,
            minimum=0,
            text="events up to this energy are left out",
            unit="eV",
        ),
        Parameter("screenrejected", "bool", True, text="leave out what epreject took for noise"),
        *taken("withoffsetlist odilist"),
        *common(),
    ],
)
def epchain(ctx: TaskContext, p: Parameters) -> None:
    """Make pn event lists: one exposure of an ODF, or all of a data mode."""
    folder = str(Path(p.odf).parent) if p.odfaccess == "name" and p.odf else p.odf
    ccds = tuple(parse_ccds(p.ccds))
    # As logs of real runs show it, the selection goes by energy and row alone: flagged events stay.
    screening = Screening(p.screenlowthresh, int(PnFlag.DETECTOR_NOISE) if p.screenrejected else 0)
    if folder:
        # The tasks inside read the same files.
        ctx = replace(ctx, env={**ctx.env, "SAS_ODF": folder})
    odf, cal = open_odf(ctx, folder), open_calibration(ctx)
    if p.runbackground and "runbackground" in p.given:
        ctx.warn("noBackground", "runbackground=yes: masks and light curve of the background are not made")

    def reduce(exposure: tuple[str, str]) -> None:
        exp_id, data_mode = exposure
        root = f"P{odf.obs_id}PN{exp_id}"
        kind = _KINDS[p.withoutoftime, p.withctisrcpos] if data_mode == "IMAGING" else "TI"
        reuse = not (p.runepframes or p.runbadpixfind or p.runbadpix)
        if not reuse and not p.runepframes:
            ctx.info("runepframes=no: bad pixels are wanted anew, so the frames are read again")
        request = Request(
            exp_id,
            data_mode,
            ccds,
            chain_options(ctx, p, exp_id, data_mode, screening),
            output=f"{root}{kind}EVLI0000.FIT" if p.usecanonicalnames else p.outset,
            attitude=f"P{odf.obs_id}OBX000ATTTSR0000.FIT" if p.usecanonicalnames else "atthk.dat",
            stage=f"rawevents_PN{exp_id}.npz",
            reuse=reuse,
            keep=p.keepintermediate in ("raw", "all"),
            run_atthkgen=p.runatthkgen,
            timestep=p.timestep,
        )
        run_exposure(ctx, odf, cal, request)

    for_each(ctx, _chosen(ctx, odf, p), lambda exposure: f"PN{exposure[0]}", reduce)


def _chosen(ctx: TaskContext, odf: Odf, p: Parameters) -> list[tuple[str, str]]:
    """Exposures that epchain's parameters select."""
    found = exposures_of(odf, p.datamode)
    if p.odfaccess == "all":
        chosen = found
    elif p.odfaccess == "odf":
        chosen = [e for e in found if e[0] == f"{p.schedule}{p.exposure:03d}"]
    elif p.odfaccess == "name":
        from daxa.xmm.formats.odf_names import OdfName

        name = OdfName.parse(Path(p.odf or "").name)
        if name is None:
            raise TaskError("exposure", f"odfaccess=name: {p.odf} is not the name of an AUX file")
        chosen = [e for e in found if e[0] == name.exp_id]
    else:
        chosen = found[p.exposure - 1 : p.exposure] if p.exposure >= 1 else []
    if not chosen:
        ctx.info(f"EXPOSURE = {p.exposure}")
        ctx.info(f"{len(found)} {p.datamode} exposures in ODF:")
        for i, (exp_id, mode) in enumerate(found, start=1):
            ctx.info(f"{i}: {odf.revolution:04d}_{odf.obs_id}_PN{exp_id} {mode[:2]}")
        rest = [f"{e} ({m})" for e, m in exposures_of(odf, "ALL") if (e, m) not in found]
        other = f", and in other modes {', '.join(rest)}" if rest else ""
        if p.odfaccess == "odf" or not found:
            there = ", ".join(e for e, _ in found) or "none"
            said = f"no {p.datamode} exposure {p.schedule}{p.exposure:03d}; there are {there}{other}"
        elif p.odfaccess == "name":
            said = f"no {p.datamode} exposure {p.odf}; there are {', '.join(e for e, _ in found)}{other}"
        else:
            listed = ", ".join(f"{i} ({e})" for i, (e, _) in enumerate(found, start=1))
            said = (
                f"exposure={p.exposure} counts {p.datamode} exposures in the order of the ODF; "
                f"there are {listed}{other}"
            )
        raise TaskError("exposure", f"{odf.folder}: {said}")
    return chosen
