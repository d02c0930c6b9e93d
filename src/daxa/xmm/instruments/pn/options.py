"""Options of the pn steps, under SAS's names; no other place states a default.

Fields made with :func:`~daxa.xmm.parameters.option` are parameters of the task of that name. The others are
found by the engine. Source of names and defaults: logs of real runs (SAS 22.1) and the manuals of the tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from daxa.xmm.event.gti import GTI
from daxa.xmm.formats.flags import MACROS
from daxa.xmm.parameters import option

REJECTED = MACROS["EPN"]["XMMEA_EP"]
#: CCD with the aim point, which ONTIME and LIVETIME of the header refer to.
PRIME_CCD = 4

_HOUSEKEEPING = "the housekeeping of the ODF is used, and must be there"
_PRINTS = "housekeeping is not printed"
_NOT_PUBLIC = "no public text says what it does"
_AS_IN_LOGS = "logs of real chains have this value"
_MAP_OF_EVENTS = "no diagnostic images are made"
_PHOTON_MAP = "belongs to withphotonmap"


@dataclass(frozen=True)
class Epframes:
    """epframes: from the telemetry of a CCD to times, good times and the events that count.

    ``source_row`` is RAWY of the source in fast modes, 0 in imaging modes.
    """

    lowerthreshold: int = option(
        20, "events with a smaller amplitude are left out", unit="adu", minimum=0, maximum=4095
    )
    mipthreshold: int = option(
        3000, "from this amplitude on an event is a minimum ionising particle", unit="adu", minimum=0
    )
    mipmethod: Literal["none", "sas", "com", "onboard"] = option(
        "onboard",
        "what is lost with such a particle: its pixel (none), its column (sas), the columns beside it, too "
        "(onboard), and the frame if there are many in it (com)",
    )
    wrongpixlimit: int = option(20, "a frame with more events outside the CCD is bad", minimum=0)
    anmaxfrc: int = option(20, "frames per counter record, where housekeeping does not tell it", minimum=1)
    withsrccoords: bool = option(False, "fast modes: the source is at srcra and srcdec")
    srcra: float = option(0.0, "right ascension of the source", unit="deg", minimum=0, maximum=360)
    srcdec: float = option(0.0, "declination of the source", unit="deg", minimum=-90, maximum=90)
    withsrcrawy: bool = option(False, "fast modes: the source is on the row srcposition")
    srcposition: int = option(190, "RAWY of the source", unit="pixel", minimum=1, maximum=200)
    withradmon: bool = option(
        False, "use the radiation monitor", only="the radiation monitor (radmonfix) is not read"
    )
    withfinetime: bool = option(
        True, "fast modes: times to the line of the source", only="times are as fine as the data allow"
    )
    withfifogti: bool = option(
        False, "good times by how full the buffer is", only="resets of the buffer count in live fractions"
    )
    qualmax: int = option(0, "largest quality number of an event", only="raw events have no such number")
    witheventmap: bool = option(False, "make diagnostic images", only=_MAP_OF_EVENTS)
    mipdist: bool = option(False, "add distances to particles", only="these columns are not made")
    mipdiscard: bool = option(True, "leave out what is lost with particles", only="such events never stay")
    automode: bool = option(False, _NOT_PUBLIC, only=_AS_IN_LOGS)
    autofilter: bool = option(False, _NOT_PUBLIC, only=_AS_IN_LOGS)
    odfok: bool = option(True, _NOT_PUBLIC, only=_AS_IN_LOGS)
    hkok: bool = option(True, _NOT_PUBLIC, only=_AS_IN_LOGS)
    ccfok: bool = option(True, _NOT_PUBLIC, only=_AS_IN_LOGS)
    withinvalidobt: bool = option(True, _NOT_PUBLIC, only=_AS_IN_LOGS)
    withallobtgti: bool = option(True, _NOT_PUBLIC, only=_AS_IN_LOGS)
    guessdeltap: bool = option(False, _NOT_PUBLIC, only=_AS_IN_LOGS)
    fifogtithresh: int = option(76, "level of the buffer", only="belongs to withfifogti")
    nomipthresholdlow: int = option(40, "from here an event is hard", unit="adu", only=_MAP_OF_EVENTS)
    nomipthresholdhigh: int = option(1600, "up to here an event is hard", unit="adu", only=_MAP_OF_EVENTS)
    softthresholdlow: int = option(20, "from here an event is soft", unit="adu", only=_MAP_OF_EVENTS)
    softthresholdhigh: int = option(30, "up to here an event is soft", unit="adu", only=_MAP_OF_EVENTS)
    f1294: int = option(0, "stands in for F1294 of the housekeeping", only=_HOUSEKEEPING)
    f1052: int = option(32400, "stands in for F1052 of the housekeeping", unit="s", only=_HOUSEKEEPING)
    f1118: str = option("UNKNOWN", "stands in for F1118 of the housekeeping", only=_HOUSEKEEPING)
    anchop: int = option(0, "stands in for An_CHOP of the housekeeping", only=_HOUSEKEEPING)
    ancmloth: int = option(532, "stands in for An_CMLOTH of the housekeeping", only=_HOUSEKEEPING)
    ancmcorr: int = option(512, "stands in for An_CMCORR of the housekeeping", only=_HOUSEKEEPING)
    aneamipsel: int = option(1, "stands in for An_EAMIPSEL of the housekeeping", only=_HOUSEKEEPING)
    anmaxmip: int = option(63, "stands in for An_MAXMIP of the housekeeping", only=_HOUSEKEEPING)
    anmip: int = option(3512, "stands in for An_MIP of the housekeeping", only=_HOUSEKEEPING)
    ansendmode: str = option(
        "MIP CORREC.2", "stands in for An_SENDMODE of the housekeeping", only=_HOUSEKEEPING
    )
    ecntempqb1: float = option(
        -9999.9,
        "stands in for the temperature ECNTEMPQB1 of the housekeeping",
        unit="deg C",
        only=_HOUSEKEEPING,
    )
    hcettmpfpf: float = option(
        -89.965,
        "stands in for the temperature HCETTMPFPF of the housekeeping",
        unit="deg C",
        only=_HOUSEKEEPING,
    )
    setupbpx: str = option("nom3", "table of bad pixels on board", only="the calibration tells these pixels")
    showccx: bool = option(False, "print the counting report", only=_PRINTS)
    showaux: bool = option(False, "print the auxiliary file", only=_PRINTS)
    showpmh: bool = option(False, "print the main housekeeping", only=_PRINTS)
    showpah: bool = option(False, "print the additional housekeeping", only=_PRINTS)
    showve: bool = option(False, "print versions", only=_PRINTS)
    source_row: int = 0

    @property
    def source(self) -> tuple[float, float] | int | None:
        """RA and Dec [deg] of the source, its RAWY, or None for the proposal's target."""
        if self.withsrccoords:
            return self.srcra, self.srcdec
        return self.srcposition if self.withsrcrawy else None


@dataclass(frozen=True)
class Epreject:
    """epreject: wrong dark levels, detector noise, X-ray loading.

    Attributes
    ----------
    maps
        Content of ``odilist``: CCD -> file of its offset map.
    needed
        Whether a correction that fails takes the CCD with it; else it is a warning.
    """

    sigma: float = option(
        4.0,
        "significance of an excess at the lowest amplitude that is corrected where no offset map is",
        minimum=0,
    )
    withoffsetmap: bool = option(True, "correct dark levels by the offset maps of the ODF")
    withoffsetlist: bool = option(False, "take the offset maps that odilist names")
    odilist: str = option(
        "odilist.txt", "text file of offset maps: per line a CCD and a path", kind="dataset"
    )
    withnoisehandling: bool = option(False, "flag detector noise by the noise maps")
    noiseparameters: tuple[float, ...] = option(
        (0.98, *(1,) * 12),
        "largest probability with which an event is taken for noise, and a factor for each CCD",
    )
    withxrlcorrection: bool = option(False, "fast modes: correct X-ray loading of the offset map")
    badcolumnset: str = option("badcolumns.tab", "table of bad columns", only="no such table is read")
    withsoftflarescreening: bool = option(False, "mark soft flares", only="soft flares are not looked for")
    maps: Mapping[int, Path] = field(default_factory=dict)
    needed: bool = True


@dataclass(frozen=True)
class Badpixfind:
    """badpixfind: limits of the search for bad pixels; rates are per pixel."""

    searchbadpix: bool = option(True, "search at all")
    thresholdlabel: Literal["rate", "counts"] = option(
        "rate", "whether thresholds are counts per second and pixel, or counts per pixel"
    )
    lothresh: float = option(0.0, "a pixel with a lower rate is dead; 0: none", unit="ct/s", minimum=0)
    hithresh: float = option(0.0045, "a pixel with a higher rate is hot", unit="ct/s", minimum=0)
    withsearchbadcolumn: bool = option(True, "search for bad columns, too")
    locolthresh: float = option(0.0, "a column with a lower rate is dead; 0: none", unit="ct/s", minimum=0)
    hicolthresh: float = option(0.00105, "a column with a higher rate is hot", unit="ct/s", minimum=0)
    flickerksthresh: float = option(
        0.55, "a hot pixel flickers if its times are farther from even (Kolmogorov-Smirnov)", minimum=0
    )
    flickerchisqthresh: float = option(
        15.0, "a hot pixel with many events flickers if its reduced chi squared is larger", minimum=0
    )
    cellsize: int = option(2, "pixels around a pixel that it is compared with", unit="pixel", minimum=1)
    backgroundrate: float = option(0.00011, "least rate of the surroundings", unit="ct/s", minimum=-1)
    narrowerthanpsf: float = option(
        1.5, "a peak is a bad pixel if it is this many times as compact as a point source", minimum=0
    )
    threshabovebackground: bool = option(False, "whether thresholds are above the surroundings")
    loenergythresh: float = option(0.14, "lowest energy of the events used", unit="keV", minimum=0)
    hienergythresh: float = option(12.0, "highest energy of the events used", unit="keV", minimum=0)
    userflagbadpix: bool = option(False, "add the pixels of the four lists")
    rawxlist: tuple[str, ...] = option((), "RAWX of pixels to add", unit="pixel")
    rawylist: tuple[str, ...] = option((), "RAWY of the first pixel of each", unit="pixel")
    typelist: tuple[str, ...] = option((), "type of each: 1 hot, 2 flickering, 3 dead")
    yextentlist: tuple[str, ...] = option((), "length of each along the column", unit="pixel")
    withbadpixmap: bool = option(False, "write an image of the good pixels")
    withfovmask: bool = option(False, "only pixels in the field of view are good in that image")
    badpixmap: str = option("badpixmap.fits", "name of that image", kind="dataset")
    columnsearchlabel: str = option("median", "how columns are judged", only="no other way is known")
    flickertimesteps: int = option(1, "steps of the test for flickering", only="one test is made")
    mappixcellsize: int = option(1, "binning of the image", unit="pixel", only="pixels are not joined")
    ccd: int = option(-1, "CCD to search", only="a raw list has one CCD")

    def as_rates(self, exposure_s: float) -> Badpixfind:
        """The same limits with thresholds as rates, if they were counts (thresholdlabel).

        Parameters
        ----------
        exposure_s
            Length of the exposure [s].
        """
        if self.thresholdlabel == "rate" or exposure_s <= 0:
            return self
        names = ("hithresh", "lothresh", "hicolthresh", "locolthresh")
        rates = {name: getattr(self, name) / exposure_s for name in names}
        return replace(self, thresholdlabel="rate", **rates)


@dataclass(frozen=True)
class Badpix:
    """badpix: which bad pixels count."""

    getuplnkbadpix: bool = option(True, "take the pixels switched off on board")
    getotherbadpix: bool = option(True, "take the other pixels of the calibration")
    getnewbadpix: bool = option(True, "take the pixels that badpixfind found")
    badpixset: str = option("badpix.fits", "file of the pixels found", kind="dataset")
    emptyextension: bool = option(False, "add an empty extension")
    windowfilter: bool = option(False, "only pixels inside the window")


@dataclass(frozen=True)
class Screening:
    """Which finished events stay: those above a PI [eV], without FLAG bits, for which an expression holds."""

    lowest_pi: int = -32768
    mask: int = 0
    expression: str = ""


@dataclass(frozen=True)
class Epevents:
    """epevents: patterns, flags and energies.

    Attributes
    ----------
    charge_row
        Row that all charge is taken to come from (withctisrcpos); None for its own.
    screening
        Which of the events stay.
    """

    randomizeposition: bool = option(True, "spread events over their pixel")
    randomizeenergy: bool = option(True, "spread amplitudes over one adu")
    testenergywidth: bool = option(True, "energies in steps of 1 eV; else in steps of an adu")
    gainctiaccuracy: int = option(
        2, "gain of the calibration: 0 takes OFFSET_GAIN, 1 and 2 take GAIN-HIGH", minimum=0, maximum=2
    )
    withoutoftime: bool = option(False, "imaging: events out of time, each on a random row")
    withctisrcpos: bool = option(False, "imaging: charge losses as if all events were on the source's row")
    withpatternoffset: bool = option(True, "correct the energy by the pattern")
    patternanalysis: bool = option(
        True, "analyse patterns", without_effect="its manual says that it is not active"
    )
    reemissionthresh: int = option(
        0,
        "amplitude of an event that fills the traps for the next one",
        unit="adu",
        minimum=0,
        only="the tables of re-emission (EPN_ADUCONV) are not read",
    )
    withgainff: bool = option(
        False, "special gain of full frame", only="no public text gives the function of EPN_CTI FF_GAIN"
    )
    withphagaincolumn: bool = option(False, "add a column PHA_GAIN", only="this column is not made")
    lowgainenergyscale: bool = option(
        False, "energy scale of low gain", only="low-gain data are not told apart"
    )
    withctilongterm: bool = option(
        True, "correct the growth of charge losses", only="the correction is always made"
    )
    ctilongtermsoft: bool = option(
        True, "also at low energies", only="the long-term correction is made at all energies"
    )
    ctilongtermy: bool = option(True, "by row", only="the long-term correction goes by row")
    withccdoffsets: bool = option(False, "offsets of whole CCDs", only="no such offsets are applied")
    withframecti: bool = option(
        False, "charge losses by earlier events of the frame", only="earlier events are not looked at"
    )
    checksasmip: bool = option(False, "look for particles again", only="epframes has taken them out")
    withphotonmap: bool = option(False, "make photon maps", only="photon maps are not made")
    withrdpha: bool = option(
        False,
        "correct amplitudes for the rate of the source",
        only="no public text gives the law of the rate-dependent correction of amplitudes (RDPHA)",
    )
    withtempcorrection: bool = option(
        True,
        "gain by temperature",
        without_effect="no public text gives the law of EPN_CTI QBOXTEMP_GAIN",
    )
    withbackgroundgain: bool = option(
        True,
        "gain by the particle background",
        without_effect="no public text gives the law of EPN_CTI NDSCLIN_GAIN",
    )
    withgaintiming: bool = option(
        True,
        "special gain of timing mode",
        without_effect="no public text gives the function of EPN_CTI TIMING_GAIN",
    )
    withgainburst: bool = option(
        True,
        "special gain of burst mode",
        without_effect="no public text gives the function of EPN_CTI BURST_GAIN",
    )
    withgaineff: bool = option(
        True,
        "special gain of extended full frame",
        without_effect="no public text gives the function of EPN_CTI EFF_GAIN",
    )
    backgroundtres: bool = option(True, "background by time", without_effect="belongs to withbackgroundgain")
    backgroundtbin: int = option(
        100, "bin of the background's curve", unit="s", without_effect="belongs to withbackgroundgain"
    )
    rdphatimebinsize: int = option(
        100, "bin of the rate of the source", unit="s", without_effect="belongs to withrdpha"
    )
    photonmapset: str = option(
        "photonmap.dat", "file of the photon maps", kind="dataset", without_effect=_PHOTON_MAP
    )
    mappatterntype: str = option("sssd", "patterns of each map", without_effect=_PHOTON_MAP)
    lothresh: str = option("0 200 500 0", "lowest energy of each map", unit="eV", without_effect=_PHOTON_MAP)
    hithresh: str = option(
        "200 500 2000 32000", "highest energy of each map", unit="eV", without_effect=_PHOTON_MAP
    )
    charge_row: int | None = None
    screening: Screening = field(default_factory=Screening)


@dataclass(frozen=True)
class Epexposure:
    """epexposure: times within the frame."""

    randomizetime: bool = option(True, "spread times over the integration of their frame")
    screenexposure: bool = option(
        True, "account for lost columns", only="live fractions always account for lost columns"
    )
    spatialexposure: bool = option(
        True, "exposure per column", without_effect="SAS 22.1 says of it that it is not yet enabled"
    )


@dataclass(frozen=True)
class Epfast:
    """epfast: energies of fast modes by the rate of the source.

    ``needed``: whether it is an error that the calibration has no law.
    """

    timebinwidth: float = option(10.0, "bin of the rate of the source", unit="s", minimum=0.001)
    pimin: int = option(100, "lowest energy that counts for the rate", unit="eV", minimum=0)
    pimax: int = option(12000, "highest energy that counts for the rate", unit="eV", minimum=1)
    withrandomisation: bool = option(True, "spread the new energies over 1 eV")
    needed: bool = True


@dataclass(frozen=True)
class Chain:
    """What epchain and epproc may do besides the options of the steps."""

    withdefaultcal: bool = option(
        True,
        "the kind of data decides on withrdpha, withxrlcorrection, runepfast, and runepreject of fast modes",
    )
    withrdpha: bool = option(
        False, "fast modes: correct amplitudes for the rate of the source; not available"
    )
    runepreject: bool = option(False, "correct dark levels")
    runepfast: bool = option(False, "fast modes: correct energies for the rate of the source")
    runepxrlcorr: bool = option(
        False,
        "correct X-ray loading of imaging modes",
        only="the X-ray loading correction of epxrlcorr is not implemented",
    )
    runepexposure: bool = option(True, "find live fractions of frames; else they are 1")
    runatthkgen: bool = option(True, "make the attitude file; else that of an earlier run is used")
    timestep: float = option(1.0, "step of the attitude file", unit="s", minimum=0.001)


@dataclass(frozen=True)
class Options:
    """The options of all steps for one exposure; those of a step that is not to run are None."""

    epframes: Epframes
    epreject: Epreject | None
    badpixfind: Badpixfind | None
    badpix: Badpix | None
    epevents: Epevents
    epexposure: Epexposure
    epfast: Epfast | None
    runepexposure: bool = True

    @property
    def lowest_ev(self) -> float:
        """Events below this energy [eV] never stay."""
        return max(float(self.epevents.screening.lowest_pi), 0.0)

    def with_source(self, row: int, fast: bool) -> Options:
        """With the row of the source: in fast modes that of its times, in imaging that of all charge.

        Parameters
        ----------
        row
            RAWY of the source.
        fast
            Whether the exposure is in a fast mode.
        """
        if fast:
            return replace(self, epframes=replace(self.epframes, source_row=row))
        return replace(self, epevents=replace(self.epevents, charge_row=row))


@dataclass(frozen=True)
class Request:
    """What a chain is asked to do with one exposure.

    Attributes
    ----------
    exp_id, data_mode, ccds
        Exposure, kind of data, CCDs.
    options
        The options of the steps.
    output, attitude, stage
        Names of the event list, the attitude file and the intermediate file.
    reuse, keep
        Whether the intermediate file of an earlier run is read, and is left in the folder.
    run_atthkgen, timestep
        Whether the attitude file is made, and its step [s].
    gti
        Good times besides those of the frames.
    reference, user
        Pointing of the list (referencepointing): ``median`` or ``mean`` of the attitude, or ``user`` for RA,
        Dec and position angle [deg] of the user.
    leave_out
        Extensions that are not written: of DLIMAP, HKAUX.
    pileup
        Beginning of the names of raw lists to keep, one per CCD; none if empty.
    """

    exp_id: str
    data_mode: str
    ccds: tuple[int, ...]
    options: Options
    output: str
    attitude: str
    stage: str
    reuse: bool = False
    keep: bool = False
    run_atthkgen: bool = True
    timestep: float = Chain.timestep
    gti: GTI | None = None
    reference: str = "median"
    user: tuple[float, float, float] = (0.0, 0.0, 0.0)
    leave_out: frozenset[str] = frozenset()
    pileup: str = ""
