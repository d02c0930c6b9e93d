"""Parameters of epproc whose default is all that this engine does.

They are known, so that scripts which spell out SAS's defaults run; any other value is refused by name.
"""

from __future__ import annotations

from daxa.xmm.task import Parameter, Parameters

#: Default of each, as SAS 22.1 prints it.
DEFAULTS: dict[str, bool | str] = {
    "removetemporaries": True,
    "removeintermediateeventlists": True,
    "pileuptempfile": False,
    "timingsrcposition": "190",
    "referencepointing": "median",
    "ra": "0",
    "dec": "0",
    "posangle": "0",
    "filterevents": True,
    "filterexpression": "(PI > 150 && RAWY > 0)",
    "flagfilteredevents": False,
    "applygti": True,
    "runevlistcomb": True,
    "othertables": "EXPOSURE BADPIX STDGTI DLIMAP HKAUX",
    "runepexposure": True,
    "randomizetime": True,
    "spatialexposure": True,
    "deleteexposurecolumns": True,
    "thresholdlabel": "rate",
    "columnsearchlabel": "median",
    "flickertimesteps": "1",
    "threshabovebackground": False,
    "ctilongtermsoft": True,
    "mappatterntype": "sssd",
    "withtempcorrection": True,
    "patternanalysis": True,
    "withframecti": False,
    "withbackgroundgain": True,
    "rdphatimebinsize": "100",
    "checksasmip": False,
    "backgroundtres": True,
    "backgroundtbin": "100",
    "setupbpx": "nom3",
    "guessdeltap": False,
    "mipdist": False,
    "mipdiscard": True,
    "analyzingSciSimdata": False,
    "runepnoise": False,
    "sigmacut": "3",
    "noisecut": "2",
    "savemasks": False,
    "applyfilter": True,
    "badcolumnset": "badcolumns.tab",
    "sigma": "4",
    "withnoisehandling": False,
    "noiseparameters": "0.98 1 1 1 1 1 1 1 1 1 1 1 1",
    "withoffsetmap": True,
    "withsoftflarescreening": False,
    "softflarethreshold1": "10",
    "softflarethreshold2": "1",
    "softflaresmooth": "BOX",
    "softflareenergyrange": "40 50",
    "softflaresmoothparams": "2 0 0",
}

PARAMETERS = tuple(
    Parameter(name, "bool" if isinstance(default, bool) else "string", default)
    for name, default in DEFAULTS.items()
)


def refuse_changes(p: Parameters) -> None:
    """Raise NotImplementedError for a parameter that has another value than its default."""
    for name, default in DEFAULTS.items():
        if p[name] != default:
            raise NotImplementedError(
                f"epproc: {name}={p[name]} is not implemented; only {name}={default} is"
            )
