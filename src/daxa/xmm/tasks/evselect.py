"""The task evselect: select events, and make lists, images, spectra, light curves and histograms of
them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.select.evselect import run
from daxa.xmm.task import TaskContext, task


def _outputs(kind: str, name: str, what: str) -> list[Parameter]:
    return [
        Parameter(f"with{kind}", "bool", False, text=f"make {what}; yes when {kind} is named"),
        Parameter(kind, "dataset", name, text=f"file of {what}"),
    ]


def _range(
    switch: str, low: str, high: str, limits: tuple[float, float], what: str, unit: str = ""
) -> list[Parameter]:
    kind = "int" if low.startswith("spec") else "real"
    return [
        Parameter(switch, "bool", False, text=f"whether {low} and {high} count; yes when one is given"),
        Parameter(low, kind, limits[0], text=f"lowest {what}", unit=unit),
        Parameter(high, kind, limits[1], text=f"highest {what}", unit=unit),
    ]


_SELECTION = [
    Parameter("table", "dataset", required=True, text="event list, as file or file:table"),
    Parameter("filteredset", "dataset", "filtered.fits", text="file of the selected rows"),
    Parameter(
        "withfilteredset", "bool", False, text="write filteredset, not into the input; yes when it is named"
    ),
    Parameter(
        "keepfilteroutput", "bool", False, text="write the selected rows; yes when filteredset is named"
    ),
    Parameter(
        "flagcolumn", "string", "EVFLAG", text="column that marks selected rows, for destruct=no and SELECTED"
    ),
    Parameter("flagbit", "int", -1, minimum=-1, maximum=31, text="its bit that marks them; -1: the highest"),
    Parameter(
        "destruct", "bool", True, text="leave the other rows out; no: keep all and mark the selected ones"
    ),
    Parameter(
        "dssblock", "string", "", text="table whose data subspace selects, for filtertype=dataSubspace"
    ),
    Parameter("expression", "string", "true", text="true of selected rows"),
    Parameter(
        "filtertype", "choice", "expression", ("expression", "dataSubspace"), text="what selects the rows"
    ),
    Parameter("cleandss", "bool", False, text="join filters of the data subspace where they can be"),
    Parameter("updateexposure", "bool", True, text="renew on-time and live time of each CCD"),
    Parameter("filterexposure", "bool", True, text="leave out frames outside the good times"),
    Parameter("writedss", "bool", True, text="write the data subspace"),
    Parameter("blockstocopy", "list", (), text="further tables of the input that products get"),
    Parameter("attributestocopy", "list", (), text="further keywords of the input that products get"),
    Parameter("energycolumn", "string", "PHA", text="column of the spectrum"),
    Parameter("zcolumn", "string", "WEIGHT", text="column of weights"),
    Parameter("zerrorcolumn", "string", "EWEIGHT", text="column of the errors of weights"),
    Parameter("withzerrorcolumn", "bool", False, text="whether errors of weights count"),
    Parameter("withzcolumn", "bool", False, text="sum weights instead of counting rows"),
    Parameter(
        "ignorelegallimits",
        "bool",
        False,
        text="products may reach beyond the legal limits of columns (TLMIN, TLMAX)",
    ),
]
_IMAGE = [
    *_outputs("imageset", "image.fits", "an image"),
    Parameter("xcolumn", "string", "RAWX", text="column of its first axis"),
    Parameter("ycolumn", "string", "RAWY", text="column of its second axis"),
    Parameter("ximagebinsize", "real", 1.0, text="size of a pixel in the first column's unit, with binSize"),
    Parameter("yimagebinsize", "real", 1.0, text="size of a pixel in the second column's unit, with binSize"),
    Parameter("squarepixels", "bool", False, text="make both sizes of pixels the larger one"),
    Parameter("ximagesize", "int", 600, minimum=1, text="pixels of the first axis, with imageSize"),
    Parameter("yimagesize", "int", 600, minimum=1, text="pixels of the second axis, with imageSize"),
    Parameter(
        "imagebinning",
        "choice",
        "imageSize",
        ("imageSize", "binSize"),
        text="whether the number of pixels is given, or their size",
    ),
    *_range("withxranges", "ximagemin", "ximagemax", (1.0, 640.0), "value of the first axis"),
    *_range("withyranges", "yimagemin", "yimagemax", (1.0, 640.0), "value of the second axis"),
    Parameter(
        "withimagedatatype",
        "bool",
        False,
        text="whether imagedatatype counts; else Int32, or Real32 for weights",
    ),
    Parameter(
        "imagedatatype",
        "choice",
        "Real64",
        ("Int8", "Int16", "Int32", "Real32", "Real64"),
        text="type of pixels",
    ),
    Parameter(
        "raimagecenter",
        "real",
        0.0,
        minimum=-360,
        maximum=360,
        text="right ascension of the centre",
        unit="deg",
    ),
    Parameter(
        "decimagecenter", "real", 0.0, minimum=-90, maximum=90, text="declination of the centre", unit="deg"
    ),
    Parameter(
        "withcelestialcenter", "bool", False, text="whether the centre is given on the sky; yes when it is"
    ),
]
_CURVES = [
    *_outputs("spectrumset", "spectrum.fits", "a spectrum"),
    Parameter("spectralbinsize", "int", 5, minimum=1, text="width of a channel in the unit of energycolumn"),
    *_range("withspecranges", "specchannelmin", "specchannelmax", (0, 11999), "value of energycolumn"),
    Parameter(
        "nonStandardSpec", "bool", False, text="do not warn if the range is not a multiple of the width"
    ),
    *_outputs("rateset", "rate.fits", "a light curve"),
    Parameter("timecolumn", "string", "TIME", text="column of times"),
    Parameter("timebinsize", "real", 1.0, text="bin of the light curve, more than 0", unit="s"),
    *_range("withtimeranges", "timemin", "timemax", (0.0, 1000.0), "time", "s"),
    Parameter("maketimecolumn", "bool", False, text="write the middle of each bin"),
    Parameter("makeratecolumn", "bool", False, text="write rates and errors instead of counts"),
    *_outputs("histogramset", "histo.fits", "a histogram"),
    Parameter("histogramcolumn", "string", "TIME", text="column of the histogram"),
    Parameter("histogrambinsize", "real", 1.0, text="bin of the histogram in the column's unit"),
    *_range("withhistoranges", "histogrammin", "histogrammax", (0.0, 1000.0), "value of histogramcolumn"),
]
EVSELECT_PARAMETERS = [*_SELECTION, *_IMAGE, *_CURVES]

#: Parameters that count for one product only, and so ask for it: SAS's rule that a parameter implies the
#: choice it belongs to. ``energycolumn`` and ``zcolumn`` serve several products and ask for none.
_OF_PRODUCT = {
    "withimageset": (
        "imageset", "xcolumn", "ycolumn", "ximagebinsize", "yimagebinsize", "squarepixels", "ximagesize",
        "yimagesize", "imagebinning", "withxranges", "ximagemin", "ximagemax", "withyranges", "yimagemin",
        "yimagemax", "withimagedatatype", "imagedatatype", "withcelestialcenter", "raimagecenter",
        "decimagecenter",
    ),
    "withspectrumset": (
        "spectrumset", "spectralbinsize", "withspecranges", "specchannelmin", "specchannelmax",
        "nonStandardSpec",
    ),
    "withrateset": (
        "rateset", "timebinsize", "withtimeranges", "timemin", "timemax", "maketimecolumn", "makeratecolumn",
    ),
    "withhistogramset": (
        "histogramset", "histogramcolumn", "histogrambinsize", "withhistoranges", "histogrammin",
        "histogrammax",
    ),
}  # fmt: skip
#: Switches that one of several parameters turns on when it is given.
_SWITCHES = {
    "withxranges": ("ximagemin", "ximagemax"),
    "withyranges": ("yimagemin", "yimagemax"),
    "withspecranges": ("specchannelmin", "specchannelmax"),
    "withtimeranges": ("timemin", "timemax"),
    "withhistoranges": ("histogrammin", "histogrammax"),
    "withcelestialcenter": ("raimagecenter", "decimagecenter"),
    "keepfilteroutput": ("filteredset", "withfilteredset"),
    "withfilteredset": ("filteredset",),
    **_OF_PRODUCT,
}


def implied(p: Parameters, warn: Callable[[str, str], None]) -> dict[str, Any]:
    """Values of parameters that follow from others that are given, as SAS's parameter files say.

    Parameters
    ----------
    p
        The parsed parameters.
    warn
        Called with code and text where parameters contradict each other.

    Returns
    -------
    dict
        All values by name.
    """
    values = dict(p)
    for switch, causes in _SWITCHES.items():
        if switch not in p.given:
            values[switch] = values[switch] or any(c in p.given and values[c] is not False for c in causes)
    sizes = p.given & {"ximagebinsize", "yimagebinsize"}
    if sizes and "imagebinning" not in p.given:
        if p.given & {"ximagesize", "yimagesize"}:
            warn(
                "ambiguousBinning",
                f"{min(sizes)} does not count beside a number of pixels; imagebinning=binSize makes it count",
            )
        else:
            values["imagebinning"] = "binSize"
    if "dssblock" in p.given and "filtertype" not in p.given:
        if "expression" in p.given:
            warn("ambiguousFilter", "dssblock does not count beside an expression without filtertype")
        else:
            values["filtertype"] = "dataSubspace"
    return values


@task("evselect", "3.71", EVSELECT_PARAMETERS)
def evselect(ctx: TaskContext, p: Parameters) -> None:
    """Select events, and make lists, images, spectra, light curves and histograms of them."""
    run(ctx, Parameters(implied(p, ctx.warn), p.given))
