"""What the pn tasks share: parameters of the two chains, exposures, files between the tasks.

Parameters
----------
ctx
    The running task.
p
    Parameters of the task.
data_mode
    DATAMODE; of `exposures_of` also ``ALL``.
exp_id
    Identifier of the exposure, e.g. ``S003``.
file
    The raw list.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from daxa.xmm.errors import TaskError
from daxa.xmm.instruments.pn.calibration import PnCalibration
from daxa.xmm.instruments.pn.clock import FAST_MODES, LineClock
from daxa.xmm.instruments.pn.exposure import FILE_TYPES, PnExposure
from daxa.xmm.instruments.pn.files import RawFile, write_raw_list
from daxa.xmm.instruments.pn.options import (
    Badpix,
    Badpixfind,
    Chain,
    Epevents,
    Epexposure,
    Epfast,
    Epframes,
    Epreject,
    Options,
    Screening,
)
from daxa.xmm.instruments.pn.raw import read_odilist
from daxa.xmm.odf.odf import Odf
from daxa.xmm.parameters import Parameter, Parameters, options_of, parameters_of
from daxa.xmm.task import TaskContext
from daxa.xmm.tasks.support import open_calibration

# --- parameters of the chains ------------------------------------------------------------------------

#: Where a chain finds a parameter; of steps with a parameter of the same name the first counts.
_STEPS = (Chain, Epframes, Badpixfind, Badpix, Epevents, Epreject, Epexposure)
#: Parameters of the steps that both chains take, in the order of their logs.
_COMMON = """
    lowerthreshold mipthreshold mipmethod wrongpixlimit anmaxfrc
    withsrccoords srcra srcdec withsrcrawy srcposition
    hithresh lothresh hicolthresh locolthresh thresholdlabel threshabovebackground narrowerthanpsf
    backgroundrate loenergythresh hienergythresh flickerksthresh flickerchisqthresh
    getuplnkbadpix getotherbadpix getnewbadpix
    randomizeenergy randomizeposition testenergywidth gainctiaccuracy reemissionthresh lowgainenergyscale
    withpatternoffset withctisrcpos withoutoftime
    withdefaultcal runepreject withoffsetmap sigma withnoisehandling noiseparameters withxrlcorrection
    runepfast runepxrlcorr runepexposure randomizetime withradmon
"""


def taken(names: str, **defaults: Any) -> list[Parameter]:
    """Parameters of steps that a chain takes, too.

    Parameters
    ----------
    names
        The names, separated by blanks, in the order of the chain's log.
    defaults
        Defaults of the chain that differ from those of the step.
    """
    known = {p.name: p for step in reversed(_STEPS) for p in parameters_of(step)}
    return [replace(known[n], default=defaults.get(n, known[n].default)) for n in names.split()]


def common(**defaults: Any) -> list[Parameter]:
    """Parameters of steps that both chains take.

    Parameters
    ----------
    **defaults
        Names of parameters -> other defaults.
    """
    return taken(_COMMON, **defaults)


# --- from parameters to options ----------------------------------------------------------------------

#: What withdefaultcal sets by the kind of data (manual of epchain); the rest is as the user says.
_DEFAULT_CAL = {
    "IMAGING": {"withrdpha": False, "withxrlcorrection": False, "runepfast": False},
    "TIMING": {"withrdpha": True, "withxrlcorrection": True, "runepfast": False, "runepreject": True},
    "BURST": {"withrdpha": False, "withxrlcorrection": True, "runepfast": True, "runepreject": True},
}
_RDPHA = next(p.only for p in parameters_of(Epevents) if p.name == "withrdpha")


def chain_options(
    ctx: TaskContext, p: Parameters, exp_id: str, data_mode: str, screening: Screening
) -> Options:
    """The options of all steps for one exposure, from the parameters of a chain.

    Parameters
    ----------
    screening
        What is selected.

    Raises
    ------
    NotImplementedError, TaskError
        The exposure's kind of data does not allow what is asked for.
    """
    imaging = data_mode == "IMAGING"
    forced = _DEFAULT_CAL[data_mode] if p.withdefaultcal else {}
    runs = {name: forced.get(name, p[name]) for name in _DEFAULT_CAL["TIMING"]}
    _rate_of_source(ctx, p, exp_id, imaging=imaging, wanted=runs["withrdpha"])
    if imaging and p.runepfast and not forced:
        raise TaskError("ThisIsNotFAST", f"runepfast=yes: PN{exp_id} is not an exposure in a fast mode")
    reject = epfast = badpixfind = badpix = None
    if runs["runepreject"]:
        # What the kind of data decides, and the calibration does not allow, is left out.
        needed = not forced.get("runepreject", False)
        reject = reject_options(ctx, p, withxrlcorrection=runs["withxrlcorrection"], needed=needed)
    if runs["runepfast"] and not imaging:
        epfast = Epfast(needed=not forced.get("runepfast", False))
    if p.get("runbadpix", True):
        badpix = options_of(Badpix, p)
    if p.get("runbadpixfind", p.get("searchforbadpixels")):
        columns = p.get("searchforbadcolumns", Badpixfind.withsearchbadcolumn)
        badpixfind = options_of(Badpixfind, p, withsearchbadcolumn=columns)
    return Options(
        _epframes(p, imaging),
        reject,
        badpixfind,
        badpix,
        options_of(Epevents, p, screening=screening),
        options_of(Epexposure, p),
        epfast,
        p.runepexposure,
    )


def _epframes(p: Parameters, imaging: bool) -> Epframes:
    options = options_of(Epframes, p)
    if "timingsrcposition" in p.given and not imaging and options.source is None:
        options = replace(options, withsrcrawy=True, srcposition=p.timingsrcposition)
    return options


def _rate_of_source(ctx: TaskContext, p: Parameters, exp_id: str, *, imaging: bool, wanted: bool) -> None:
    """Say, or refuse, what is not done about the rate of the source (withrdpha)."""
    if imaging and p.withrdpha:
        # As in the log of a real run, whatever withdefaultcal says.
        ctx.warn("notUsefulModeRDCTI", f"PN{exp_id}: rate-dependent corrections only concern fast modes")
    elif wanted and "withrdpha" in p.given:
        raise NotImplementedError(f"withrdpha=yes: {_RDPHA}")
    elif wanted:
        ctx.warn("notDone", f"PN{exp_id}: amplitudes are not corrected for the rate of the source: {_RDPHA}")


def reject_options(ctx: TaskContext, p: Parameters, **others: Any) -> Epreject:
    """Options of epreject, with the maps of ``odilist``.

    Parameters
    ----------
    **others
        Options that are not parameters.

    Raises
    ------
    TaskError
        ``odilist``: see :func:`daxa.xmm.instruments.pn.raw.read_odilist`.
    """
    maps = read_odilist(ctx.path(p.odilist)) if p.get("withoffsetlist") else {}
    return options_of(Epreject, p, maps=maps, **others)


# --- exposures ---------------------------------------------------------------------------------------


def open_odf(ctx: TaskContext, folder: str | None) -> Odf:
    """The ODF of a chain; its summary is the one that SAS_ODF names, if it does.

    Parameters
    ----------
    folder
        What wins over SAS_ODF.
    """
    odf = Odf.from_environment(ctx.env, ctx.cwd, folder)
    if odf.sas_summary is None and ctx.env.get("SAS_ODF", "").endswith(".SAS"):
        summary = ctx.path(ctx.env["SAS_ODF"])
        odf = replace(odf, sas_summary=summary if summary.is_file() else None)
    return odf


def exposures_of(odf: Odf, data_mode: str) -> list[tuple[str, str]]:
    """Exposures of a data mode (or of all), with the mode of each.

    Parameters
    ----------
    odf
        The opened ODF.
    """
    modes = list(FILE_TYPES) if data_mode == "ALL" else [data_mode]
    return [
        (exp_id, mode)
        for mode in modes
        for exp_id in odf.exposures("PN")
        if odf.find("PN", FILE_TYPES[mode], exp_id)
    ]


def camera_pixel(exposure: PnExposure) -> Any:
    """Where a direction falls, for the median pointing of the exposure.

    Parameters
    ----------
    exposure
        The exposure.
    """
    from daxa.xmm.sky.attitude import Attitude, make_atthk

    def pixel(ra: float, dec: float) -> tuple[int, float, float]:
        geometry = exposure.calibration.geometry
        history = make_atthk(Attitude.from_odf(exposure.odf), exposure.start_s, exposure.stop_s, 10.0)
        ccd, x, y = geometry.det_to_raw(*geometry.sky_to_det(ra, dec, *history.median))
        return int(ccd), float(x), float(y)

    return pixel


# --- files between the tasks -------------------------------------------------------------------------


def calibration_of(ctx: TaskContext, file: RawFile) -> PnCalibration:
    """The calibration for the exposure of a raw list."""
    return PnCalibration(open_calibration(ctx), file.submode, file.start_s, file.revolution)


def line_clock_of(calibration: PnCalibration, ccd: int) -> LineClock:
    """How lines count time in the fast mode of a raw list.

    Parameters
    ----------
    calibration
        The calibration of the exposure.
    ccd
        Number of the CCD.
    """
    return calibration.line_clock(calibration.times.correction_s[ccd - 1])


def replace_table(ctx: TaskContext, name: str, file: RawFile) -> None:
    """Write a raw list that has changed; in fast modes with the times of its lines.

    Parameters
    ----------
    name
        Name of the file.
    """
    times = None
    if file.submode in FAST_MODES:
        clock = line_clock_of(calibration_of(ctx, file), file.raw.ccd)
        times = clock.event_times(
            file.raw.stamp_s[file.raw.frame], file.raw.rawy - 1, int(file.primary["SRCPOS"])
        )
    primary = dict(file.primary)
    ctx.provenance(primary, sum(k.startswith("XPROC") for k in primary))
    with ctx.output(name) as temporary:
        write_raw_list(temporary, file.raw, primary, file.badpix, times)
