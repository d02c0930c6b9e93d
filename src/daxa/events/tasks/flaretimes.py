"""The task flaretimes: times of a light curve without flares."""

from __future__ import annotations

from daxa.events.lightcurves import clean, sigma_clip
from daxa.events.lists import GTI_COLUMNS, gti_cards
from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.fits.file import FitsFile, block_bytes, primary_header
from daxa.xmm.fits.schema import column, table_bytes
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task


@task(
    "flaretimes",
    "1.0",
    [
        Parameter("rateset", "dataset", required=True, text="the light curve"),
        Parameter("gtifile", "dataset", "gti.fits", text="the good times"),
        Parameter(
            "method", "choice", "sigma", choices=("sigma", "clean"),
            text="take out what is far from the mean again and again, or keep what is within a factor of it",
        ),
        Parameter("sigma", "real", 3.0, minimum=0, text="how many standard deviations are far"),
        Parameter("minlength", "int", 3, minimum=1, text="of sigma: shortest row of bins that is kept"),
        Parameter("scale", "real", 1.2, minimum=1, text="of clean: the factor"),
        Parameter("minfrac", "real", 0.1, minimum=0, maximum=1, text="of clean: least part of bins left"),
    ],
)  # fmt: skip
def flaretimes(ctx: TaskContext, p: Parameters) -> None:
    """Find the times of a light curve without flares, by the methods of deflare of CIAO.

    Bins without an event are never good: the methods are not meant for lists that have such bins.
    """
    path = ctx.path(p.rateset)
    try:
        hdu = FitsFile(path)["LIGHTCURVE"]
        start, stop, rate, exposure = (
            column(hdu, name, path.name) for name in ("TIME_MIN", "TIME_MAX", "COUNT_RATE", "EXPOSURE")
        )
    except (OSError, KeyError) as failure:
        raise TaskError("badLightCurve", f"{path.name}: {failure}") from failure
    if p.method == "sigma":
        keep = sigma_clip(rate, p.sigma, p.minlength)
    else:
        keep = clean(rate, float((stop - start).mean()), p.sigma, p.scale)
        if keep.mean() < p.minfrac:
            raise TaskError(
                "tooFewBins",
                f"{path.name}: {keep.sum()} of {len(keep)} bins are left, less than minfrac={p.minfrac:g}",
            )
    if not keep.any():
        raise TaskError("noQuietTimes", f"{path.name}: none of {len(keep)} bins is without flares")
    empty = int(((rate <= 0) & (exposure > 0)).sum())
    if empty:
        ctx.warn("emptyBins", f"{empty} of {len(rate)} bins have no event and are not good; take longer bins")
    times = GTI(start[keep], stop[keep])
    data = {"START": times.start, "STOP": times.stop}
    cards = {"HDUCLASS": "OGIP", "HDUCLAS1": "GTI", "HDUCLAS2": "STANDARD", **dict(gti_cards(hdu.header))}
    with ctx.output(p.gtifile) as temporary:
        temporary.write_bytes(block_bytes(primary_header()) + table_bytes(GTI_COLUMNS, data, "GTI", cards))
    ctx.info(
        f"{keep.sum()} of {len(keep)} bins are good, {exposure[keep].sum():.1f} s of {exposure.sum():.1f} s"
    )
