"""The task evselect: select events, and make lists, images, spectra, light curves and histograms of
them.
"""

from __future__ import annotations

from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.select.evselect import run
from daxa.xmm.task import TaskContext, task


def _outputs(kind: str, name: str) -> list[Parameter]:
    return [Parameter(f"with{kind}", "bool", False), Parameter(kind, "dataset", name)]


def _ranges(switch: str, low: str, high: str, least: float, most: float) -> list[Parameter]:
    kind = "int" if low.startswith("spec") else "real"
    return [
        Parameter(switch, "bool", False),
        Parameter(low, kind, least),
        Parameter(high, kind, most),
    ]


EVSELECT_PARAMETERS = [
    Parameter("table", "dataset", required=True),
    Parameter("filteredset", "dataset", "filtered.fits"),
    Parameter("withfilteredset", "bool", False),
    Parameter("keepfilteroutput", "bool", False),
    Parameter("flagcolumn", "string", "EVFLAG"),
    Parameter("flagbit", "int", -1, minimum=-1, maximum=31),
    Parameter("destruct", "bool", True),
    Parameter("dssblock", "string", ""),
    Parameter("expression", "string", "true"),
    Parameter("filtertype", "choice", "expression", ("expression", "dataSubspace")),
    Parameter("cleandss", "bool", False),
    Parameter("updateexposure", "bool", True),
    Parameter("filterexposure", "bool", True),
    Parameter("writedss", "bool", True),
    Parameter("blockstocopy", "list", ()),
    Parameter("attributestocopy", "list", ()),
    Parameter("energycolumn", "string", "PHA"),
    Parameter("zcolumn", "string", "WEIGHT"),
    Parameter("zerrorcolumn", "string", "EWEIGHT"),
    Parameter("withzerrorcolumn", "bool", False),
    Parameter("withzcolumn", "bool", False),
    Parameter("ignorelegallimits", "bool", False),
    *_outputs("imageset", "image.fits"),
    Parameter("xcolumn", "string", "RAWX"),
    Parameter("ycolumn", "string", "RAWY"),
    Parameter("ximagebinsize", "real", 1.0),
    Parameter("yimagebinsize", "real", 1.0),
    Parameter("squarepixels", "bool", False),
    Parameter("ximagesize", "int", 600, minimum=1),
    Parameter("yimagesize", "int", 600, minimum=1),
    Parameter("imagebinning", "choice", "imageSize", ("imageSize", "binSize")),
    *_ranges("withxranges", "ximagemin", "ximagemax", 1.0, 640.0),
    *_ranges("withyranges", "yimagemin", "yimagemax", 1.0, 640.0),
    Parameter("withimagedatatype", "bool", False),
    Parameter("imagedatatype", "choice", "Real64", ("Int8", "Int16", "Int32", "Real32", "Real64")),
    Parameter("raimagecenter", "real", 0.0),
    Parameter("decimagecenter", "real", 0.0),
    Parameter("withcelestialcenter", "bool", False),
    *_outputs("spectrumset", "spectrum.fits"),
    Parameter("spectralbinsize", "int", 5, minimum=1),
    *_ranges("withspecranges", "specchannelmin", "specchannelmax", 0, 11999),
    Parameter("nonStandardSpec", "bool", False),
    *_outputs("rateset", "rate.fits"),
    Parameter("timecolumn", "string", "TIME"),
    Parameter("timebinsize", "real", 1.0),
    *_ranges("withtimeranges", "timemin", "timemax", 0.0, 1000.0),
    Parameter("maketimecolumn", "bool", False),
    Parameter("makeratecolumn", "bool", False),
    *_outputs("histogramset", "histo.fits"),
    Parameter("histogramcolumn", "string", "TIME"),
    Parameter("histogrambinsize", "real", 1.0),
    *_ranges("withhistoranges", "histogrammin", "histogrammax", 0.0, 1000.0),
]

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
}


@task("evselect", "3.71", EVSELECT_PARAMETERS)
def evselect(ctx: TaskContext, p: Parameters) -> None:
    """Select events, and make lists, images, spectra, light curves and histograms of them."""
    values = dict(p)
    for switch, causes in _SWITCHES.items():
        if switch not in p.given:
            values[switch] = values[switch] or any(c in p.given and values[c] is not False for c in causes)
    run(ctx, Parameters(values, p.given))
