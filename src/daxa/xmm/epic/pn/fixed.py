"""Parameters of epproc that the engine knows and does not act on.

They are known, so that scripts which spell out SAS's defaults run. Of some the default is all that is done,
and any other value is refused by name; others have nothing to act on.
"""

from __future__ import annotations

from daxa.xmm.parameters import Parameter, Parameters

#: Default of each, as SAS 22.1 prints it.
DEFAULTS: dict[str, bool | str] = {
    "removeintermediateeventlists": True,
    "flagfilteredevents": False,
    "applygti": True,
    "runevlistcomb": True,
    "deleteexposurecolumns": True,
    "columnsearchlabel": "median",
    "flickertimesteps": "1",
    "ctilongtermsoft": True,
    "withframecti": False,
    "checksasmip": False,
    "setupbpx": "nom3",
    "guessdeltap": False,
    "mipdist": False,
    "mipdiscard": True,
    "analyzingSciSimdata": False,
    "runepnoise": False,
    "badcolumnset": "badcolumns.tab",
    "withsoftflarescreening": False,
}

#: Default of parameters that change nothing here, whatever their value, and why.
WITHOUT_EFFECT: dict[str, tuple[bool | str, str]] = {
    "removetemporaries": (True, "no temporary files are written"),
    "spatialexposure": (True, "SAS 22.1 says of it that it is not yet enabled"),
    "patternanalysis": (True, "its manual says that it is not active"),
    "mappatterntype": ("sssd", "epproc makes no photon maps"),
    "withtempcorrection": (True, "no public text gives the law of EPN_CTI QBOXTEMP_GAIN"),
    "withbackgroundgain": (True, "no public text gives the law of EPN_CTI NDSCLIN_GAIN"),
    "backgroundtres": (True, "belongs to withbackgroundgain"),
    "backgroundtbin": ("100", "belongs to withbackgroundgain"),
    "rdphatimebinsize": ("100", "belongs to withrdpha"),
    "sigmacut": ("3", "belongs to runepnoise"),
    "noisecut": ("2", "belongs to runepnoise"),
    "savemasks": (False, "belongs to runepnoise"),
    "applyfilter": (True, "belongs to runepnoise"),
    "softflarethreshold1": ("10", "belongs to withsoftflarescreening"),
    "softflarethreshold2": ("1", "belongs to withsoftflarescreening"),
    "softflaresmooth": ("BOX", "belongs to withsoftflarescreening"),
    "softflareenergyrange": ("40 50", "belongs to withsoftflarescreening"),
    "softflaresmoothparams": ("2 0 0", "belongs to withsoftflarescreening"),
}

#: What evlistcomb takes for lists of the pn, as real chains hand it over: names and types of columns (OFFSETX
#: stands in the table OFFSETS, CCDNR is made by joining), keywords that are joined or must agree.
EVLISTCOMB = {
    "epndatamodes": "IMAGING TIMING",
    "epnimgcolnames": "TIME RAWX RAWY DETX DETY X Y PHA PI FLAG PATTERN PAT_ID PAT_SEQ OFFSETX",
    "epnimgcoltypes": ("double int16 int16 int16 int16 int32 int32 int16 int16 int32 int8 int16 int8 int16"),
    "epntimcolnames": "TIME RAWX RAWY PHA PI FLAG PATTERN PAT_ID OFFSETX",
    "epntimcoltypes": "double int16 int16 int16 int16 int32 int8 int16 int16",
    "minattributes": "TSTART TLMIN TDMIN",
    "maxattributes": "TSTOP TLMAX TDMAX",
    "primaryonly": "ORIGIN",
    "extensionchecks": (
        "DET_SYST TIMEUNIT TIMESYS MJDREF TIMEREF TASSIGN TIMEZERO CLOCKAPP TCRPX TCTYP TCRVL TCDLT TCROT "
        "TCUNI"
    ),
}

PARAMETERS = tuple(
    Parameter(name, "bool" if isinstance(default, bool) else "string", default)
    for name, default in (DEFAULTS | {n: d for n, (d, _) in WITHOUT_EFFECT.items()}).items()
)


def refuse_changes(p: Parameters) -> None:
    """Raise NotImplementedError for a parameter that has another value than its default."""
    for name, default in DEFAULTS.items():
        if p[name] != default:
            raise NotImplementedError(
                f"epproc: {name}={p[name]} is not implemented; only {name}={default} is"
            )
