"""Options of the pn steps; no other place states a default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from daxa.xmm.event.gti import GTI
from daxa.xmm.formats.flags import MACROS


@dataclass(frozen=True)
class RejectOptions:
    """Parameters of epreject, with SAS's names.

    Attributes
    ----------
    odilist
        Content of that file: CCD -> offset map.
    sigma
        Significance of an excess at the lowest amplitude that is corrected where there is no offset map.
    needed
        Whether a correction that fails takes the CCD with it; else it is a warning.
    """

    withoffsetmap: bool = True
    odilist: Mapping[int, Path] = field(default_factory=dict)
    withnoisehandling: bool = False
    noiseparameters: tuple[float, ...] = (0.98, *(1.0,) * 12)
    withxrlcorrection: bool = False
    sigma: float = 4.0
    needed: bool = True


@dataclass(frozen=True)
class FrameOptions:
    """Parameters of epframes, with SAS's names; ``source_row`` is RAWY of the source in fast modes."""

    lowerthreshold: int = 0
    mipthreshold: int = 3000
    mipmethod: str = "onboard"
    wrongpixlimit: int = 20
    anmaxfrc: int = 20
    source_row: int = 0


REJECTED = MACROS["EPN"]["XMMEA_EP"]


@dataclass(frozen=True)
class EventOptions:
    """Parameters of epevents, epexposure and of the screening, with SAS's names.

    Attributes
    ----------
    mask
        FLAG bits with which an event is left out.
    filterexpression
        Further selection of the finished events; none if empty.
    ctisrcpos
        Row that all charge is taken to come from (withctisrcpos); None for its own.
    """

    withoutoftime: bool = False
    randomizeenergy: bool = True
    randomizeposition: bool = True
    testenergywidth: bool = True
    withpatternoffset: bool = True
    randomizetime: bool = True
    screenlowthresh: int = 150
    mask: int = REJECTED
    filterexpression: str = ""
    ctisrcpos: int | None = None


@dataclass(frozen=True)
class SearchLimits:
    """Parameters of badpixfind with their names there; rates per pixel [counts/s], energies [keV]."""

    hithresh: float = 0.0045
    lothresh: float = 0.0
    hicolthresh: float = 0.00105
    locolthresh: float = 0.0
    thresholdlabel: str = "rate"
    threshabovebackground: bool = False
    withsearchbadcolumn: bool = True
    narrowerthanpsf: float = 1.5
    backgroundrate: float = 0.00011
    cellsize: int = 2
    flickerksthresh: float = 0.55
    flickerchisqthresh: float = 15.0
    loenergythresh: float = 0.14
    hienergythresh: float = 12.0

    def as_rates(self, exposure_s: float) -> SearchLimits:
        """The same limits with thresholds as rates, if they were counts (thresholdlabel)."""
        if self.thresholdlabel == "rate" or exposure_s <= 0:
            return self
        names = ("hithresh", "lothresh", "hicolthresh", "locolthresh")
        rates = {name: getattr(self, name) / exposure_s for name in names}
        return replace(self, thresholdlabel="rate", **rates)


@dataclass(frozen=True)
class BadpixOptions:
    """What becomes bad: parameters of the chain and of badpix, with SAS's names."""

    runbadpixfind: bool = True
    runbadpix: bool = True
    getuplnkbadpix: bool = True
    getotherbadpix: bool = True
    getnewbadpix: bool = True
    search: SearchLimits = field(default_factory=SearchLimits)


@dataclass(frozen=True)
class RawOptions:
    """Parameters of the raw stage; epreject runs only where it has options."""

    frames: FrameOptions = field(default_factory=FrameOptions)
    badpix: BadpixOptions = field(default_factory=BadpixOptions)
    lowest_ev: float = 150.0
    reject: RejectOptions | None = None


#: CCD with the aim point, which ONTIME and LIVETIME of the header refer to.
PRIME_CCD = 4


@dataclass(frozen=True)
class Request:
    """What a chain is asked to do with one exposure.

    Attributes
    ----------
    exp_id, data_mode, ccds
        Exposure, kind of data, CCDs.
    output, attitude, stage
        Names of the event list, the attitude file and the intermediate file.
    gti
        Good times besides those of the frames.
    reference, user
        Pointing of the list (referencepointing): ``median`` or ``mean`` of the attitude, or ``user`` for RA,
        Dec and position angle [deg] of the user.
    leave_out
        Extensions that are not written: of DLIMAP, HKAUX.
    epexposure
        Whether live fractions of frames are determined; else they are 1.
    pileup
        Beginning of the names of raw lists to keep, one per CCD; none if empty.
    epfast
        Fast modes: whether the correction for the rate is applied, and must succeed.
    source, default_row
        Fast modes: RA and Dec [deg] of the source, its RAWY, or None for the proposal's target; RAWY to take
        if that is not on the CCD.
    """

    exp_id: str
    data_mode: str
    ccds: tuple[int, ...]
    output: str
    attitude: str
    stage: str
    reuse: bool = False
    keep: bool = False
    run_atthkgen: bool = True
    timestep: float = 1.0
    accuracy: int = 2
    gti: GTI | None = None
    reference: str = "median"
    user: tuple[float, float, float] = (0.0, 0.0, 0.0)
    leave_out: frozenset[str] = frozenset()
    epexposure: bool = True
    epfast: tuple[bool, bool] = (False, False)
    pileup: str = ""
    source: tuple[float, float] | int | None = None
    default_row: int = 190
    raw: RawOptions = field(default_factory=RawOptions)
    events: EventOptions = field(default_factory=EventOptions)
