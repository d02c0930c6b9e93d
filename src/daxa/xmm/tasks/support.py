"""What several tasks share: attitude, housekeeping and exposures of the chains.

Parameters
----------
ctx
    The running task.
odf
    The opened ODF.
name
    Name of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.formats.instruments import INSTRUMENTS
from daxa.xmm.odf.odf import Odf
from daxa.xmm.parameters import Parameter
from daxa.xmm.task import TaskContext, find_task

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration


#: Which housekeeping counts: parameters of hkgtigen that emproc and epproc hand to it.
HOUSEKEEPING = (
    Parameter("withparameters", "bool", False, text="whether parameters counts"),
    Parameter("parameters", "list", (), text="housekeeping parameters that are looked at"),
    Parameter("except", "bool", False, text="look at all but those of parameters"),
    Parameter("withoverrideparameters", "bool", False, text="whether overrideparameters counts"),
    Parameter("overrideparameters", "list", (), text="housekeeping parameters with limits of their own"),
)
POINTING_CARDS = ("RA_PNT", "DEC_PNT", "PA_PNT")


def pointing_of_header(
    headers: list[Any], names: tuple[str, ...], code: str, where: str
) -> tuple[float, ...]:
    """Numbers of a pointing from the first header that has each.

    Parameters
    ----------
    headers
        The headers.
    names
        Their keywords.
    code
        Code of the error.
    where
        Name of the file, for messages.

    Raises
    ------
    TaskError
        ``code``: no header has one of the keywords.
    """
    values = []
    for name in names:
        value = next((h[name] for h in headers if name in h), None)
        if value is None:
            raise TaskError(code, f"{where}: no keyword {name}")
        values.append(float(value))
    return tuple(values)


def attitude_file(ctx: TaskContext, odf: Odf, name: str, force: bool, allowed: bool = True) -> Path:
    """The attitude file of atthkgen, made if need be.

    Parameters
    ----------
    force
        Whether one that exists is made anew.
    allowed
        Whether one may be made.

    Raises
    ------
    TaskError
        ``MissingData``: it is not there and may not be made.
    """
    path = ctx.path(name)
    if not allowed and not path.exists():
        raise TaskError("MissingData", f"{path}: absent, and runatthkgen=no")
    if force or not path.exists():
        env = {**ctx.env, "SAS_ODF": ctx.env.get("SAS_ODF") or str(odf.folder)}
        replace(ctx, env=env).call("atthkgen", atthkset=name, timestep=1.0)
    else:
        ctx.info(f"{name} exists. atthkgen will not be run again.")
    return path


def housekeeping_times(
    ctx: TaskContext,
    wanted: list[tuple[str, str]],
    name: Callable[[str], str],
    chosen: Mapping[str, Any],
    *,
    needed: bool = False,
    keep: bool = True,
) -> dict[str, GTI]:
    """Good times of the housekeeping of each camera (hkgtigen), where there is any.

    Parameters
    ----------
    wanted
        Instrument and identifier of the exposures.
    name
        Gives the name of the file of a camera's good times.
    chosen
        Parameters of hkgtigen.
    needed
        Whether a camera without housekeeping is an error.
    keep
        Whether files that are made here stay.
    """

    found = {}
    for camera in sorted({instrument for instrument, _ in wanted}):
        file = name(camera)
        own = not ctx.path(file).is_file()
        gti = housekeeping_of_chain(ctx, INSTRUMENTS[camera].lower(), file, chosen, needed=needed)
        if gti is not None:
            found[camera] = gti
        if own and not keep:
            ctx.path(file).unlink(missing_ok=True)
    return found


def gti_file(ctx: TaskContext, name: str) -> GTI:
    """Good times of a file.

    Raises
    ------
    TaskError
        ``flagHk10``: they cannot be read.
    """
    try:
        return GTI.read(ctx.path(name))
    except (OSError, KeyError, ValueError) as error:
        raise TaskError("flagHk10", f"{name}: no good-time intervals: {error}") from error


Exposure = TypeVar("Exposure")


def for_each(
    ctx: TaskContext,
    exposures: Sequence[Exposure],
    name: Callable[[Exposure], str],
    work: Callable[[Exposure], None],
    *,
    bearable: tuple[type[Exception], ...] = (TaskError,),
) -> None:
    """Do something with each exposure: one that fails is warned of, as long as another succeeds.

    Parameters
    ----------
    ctx
        The chain's context.
    exposures
        The exposures.
    name
        What to call one in messages.
    work
        What to do with one.
    bearable
        Failures of one exposure that leave the others alone.

    Raises
    ------
    Exception
        The failure of the first exposure, if all have failed.
    """
    failures: list[Exception] = []
    for exposure in exposures:
        try:
            work(exposure)
        except bearable as error:
            failures.append(error)
            if len(exposures) > 1:
                code = error.code if isinstance(error, TaskError) else "notImplemented"
                ctx.warn(code, f"{name(exposure)} is left out: {error}")
    if failures and len(failures) == len(exposures):
        raise failures[0]


def open_calibration(ctx: TaskContext) -> Calibration:
    """The calibration that the environment of the task describes."""
    from daxa.xmm.ccf.calibration import Calibration

    return Calibration.from_environment(ctx.env, ctx.cwd)


def select_exposures(
    ctx: TaskContext, odf: Odf, instruments: list[str], chosen: list[str], task_name: str
) -> list[tuple[str, str]]:
    """Exposures to process: all, or those named ``S001`` or ``1``; those without event files are named.

    Parameters
    ----------
    instruments
        Codes of the instruments.
    chosen
        What was asked for; empty for all.
    task_name
        Name of the task, for messages.

    Raises
    ------
    TaskError
        ``badParameter``: the ODF has no such exposure. ``MissingData``: there are none.
    """
    found = [(i, e) for i in instruments for e in odf.exposures(i)]
    empty = [(i, e) for i in instruments for e in odf.without_events(i)]

    def named(exposures: list[tuple[str, str]], text: str) -> list[tuple[str, str]]:
        return [
            (i, e) for i, e in exposures if e == text.upper() or (text.isdigit() and int(e[1:]) == int(text))
        ]

    result = [] if chosen else found
    for text in chosen:
        if not named(found + empty, text):
            listed = ", ".join(f"{i} {e}" for i, e in found) or "none"
            raise TaskError("badParameter", f"{task_name}: no exposure {text!r}; the ODF has {listed}")
        result += named(found, text)
    without = [pair for text in chosen for pair in named(empty, text)] if chosen else empty
    lines = [f"{i} {e}: the ODF has an auxiliary file but no event file; no list is made" for i, e in without]
    if not result:
        raise TaskError(
            "MissingData", "; ".join(lines) or f"{odf.folder}: no event file of {' or '.join(instruments)}"
        )
    for line in lines:
        ctx.warn("MissingData", line)
    return sorted(set(result))


def housekeeping_of_chain(
    ctx: TaskContext, instrument: str, gtiset: str, chosen: Mapping[str, Any], *, needed: bool
) -> GTI | None:
    """Run hkgtigen inside a chain, unless its output is there already.

    Parameters
    ----------
    ctx
        The chain's context; messages come under ``chain::hkgtigen``.
    instrument, gtiset
        As for the task.
    chosen
        Further parameters of the task.
    needed
        Whether a failure is one of the chain; else it is a warning, and there are no intervals.
    """
    path = ctx.path(gtiset)
    if not path.is_file():
        spec = find_task("hkgtigen")
        arguments = {"instrument": instrument, "gtiset": gtiset, **chosen}
        try:
            spec.function(replace(ctx, name=f"{ctx.name}::hkgtigen"), spec.parse(arguments))
        except TaskError as error:
            if needed:
                raise
            ctx.warn("noHkGti", f"no good times from housekeeping: {error.message}")
            return None
    return GTI.read(path)


def exposure_span(odf: Odf, instexpid: str, ctx: TaskContext) -> tuple[float, float]:
    """Start and end of an exposure, mission time.

    Parameters
    ----------
    instexpid
        Instrument and identifier in one, e.g. ``M1S001``.
    """
    from daxa.xmm.instruments.keywords import exposure_summary
    from daxa.xmm.odf.times import utc_to_tt

    summary = exposure_summary(odf, instexpid[:2], instexpid[2:6], ctx.warn)
    return utc_to_tt(summary.start), utc_to_tt(summary.end)
