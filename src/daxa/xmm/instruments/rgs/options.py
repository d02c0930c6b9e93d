"""What users of the RGS tasks may choose: one class per task, under SAS's names and defaults.

``rgsproc`` takes most of them under the same names. Source: log of a real run (SAS 22.1), which prints them
all; the names of the files of each task are in its own table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from daxa.xmm.formats.rgs import REJECTION_FLAGS
from daxa.xmm.parameters import option, parameters_of

_CLOSED = "its rules are not public"
_LISTS = "the engine adds no sources of EPIC lists"


@dataclass(frozen=True)
class Attfilter:
    """attfilter: which times of the attitude are near the median pointing of the exposure."""

    onlylastatt: bool = option(False, "keep only the last stretch of time near one pointing")
    expression: str = option("", "selection instead of a cone", without_effect="it is for filtertype=user")
    filtertype: Literal["cone", "pyramid", "user"] = option(
        "cone", "shape around the median pointing that good attitude lies in",
        only="the shapes of the others are not public",
    )  # fmt: skip
    tolangles: tuple[str, ...] = option(
        (), "how far a good pointing may be from the median, such as 5*#ARCMIN (without a unit: rad)"
    )
    mingtisize: float = option(10.0, "shorter intervals are left out", unit="s", minimum=0.0)
    maxfracshort: float = option(
        0.1, "a warning is given if short intervals are more than this part of the good time", minimum=0.0
    )


@dataclass(frozen=True)
class Rgsframes:
    """rgsframes: which frames are sound."""

    minexposuretime: float = option(0.001, "a shorter frame is bad", unit="s", minimum=0.0)
    withratecolumn: bool = option(
        False, "write the rate of pixels of each frame", only="the column is not written"
    )
    maxrawpixels: int = option(9999, "a frame with more pixels is bad", minimum=0)
    withmaxrawpixels: bool = option(False, "whether maxrawpixels counts")
    maxrawpixelrate: float = option(
        9999.0, "a frame with a higher rate of pixels is bad", unit="1/s", minimum=0.0
    )
    withmaxrawpixelrate: bool = option(False, "whether maxrawpixelrate counts")
    processall: bool = option(
        False, "make the tables of all CCDs at once", only="each call makes the tables of one CCD"
    )
    instrument: Literal["rgs1", "rgs2"] = option(
        "rgs1", "spectrometer", without_effect="the name of the raw file says which it is"
    )


@dataclass(frozen=True)
class Rgsenergy:
    """rgsenergy: offsets, transfer losses and gains."""

    offset: str = option("offset.ds", "file of offsets", kind="dataset", without_effect="see withoffset")
    withoffset: bool = option(
        False, "take offsets from a file of rgsoffsetcalc", only="the layout of those files is not public"
    )
    withdiagoffset: bool = option(
        True, "take the offset of each pixel from averaged diagnostic images, where there are any"
    )
    withgain: bool = option(True, "turn amplitudes into energies with the gain of the node")
    withcti: bool = option(True, "correct losses of charge during transfer")


@dataclass(frozen=True)
class Rgsbadpix:
    """rgsbadpix: which bad pixels are taken over, and how hot ones are searched for."""

    badpixset: str = option(
        "badpix.ds", "file of bad pixels to write", kind="dataset", without_effect="see withbadpixset"
    )
    withbadpixset: bool = option(
        False, "write the bad pixels into a file of their own", only="the tables are written into ccdset"
    )
    withadvisory: bool = option(True, "take over bad pixels of the calibration that are not masked on board")
    embadpixalgo: bool = option(False, "search hot pixels as the MOS chain does", only=_CLOSED)
    withfoundhot: bool = option(True, "search the exposure for hot pixels and columns")
    badpixalgo: str = option("badpixalgo", "name of the search", without_effect="there is one search")
    keepcool: bool = option(
        True, "keep pixels that are hot only while warm", only="the layout of COOLPIX is not public"
    )
    pixnoiselimit: float = option(
        0.0,
        "only pixels below this energy count in the search for hot pixels; 0: all",
        unit="eV",
        minimum=0.0,
    )
    colnoiselimit: float = option(
        250.0,
        "only pixels below this energy count in the search for hot columns; 0: all",
        unit="eV",
        minimum=0.0,
    )
    pixsharpness: float = option(
        5.0, "standard deviations above its faintest neighbour from which a pixel is hot", minimum=0.0
    )
    colsharpness: float = option(
        8.0, "standard deviations above its fainter neighbour from which a column is hot", minimum=0.0
    )


@dataclass(frozen=True)
class Rgsevents:
    """rgsevents: how pixels become events."""

    reconstruct: bool = option(True, "join pixels that touch each other to one event")
    withdetcoord: bool = option(
        False, "write camera coordinates too", only="columns of camera coordinates are not written"
    )
    detcoord: Literal["cam", "sac", "row"] = option(
        "cam", "system of the camera coordinates", without_effect="see withdetcoord"
    )


@dataclass(frozen=True)
class Rgsangles:
    """rgsangles: channels of the dispersion coordinates, and corrections of the wavelength."""

    betamin: float = option(0.03, "lowest dispersion angle, with binCount", unit="rad")
    betamax: float = option(0.08, "highest dispersion angle, with binCount", unit="rad")
    betabinref: float = option(0.03578524, "angle of the first channel, with binSize", unit="rad")
    betabinwidth: float = option(1.208e-05, "width of a channel, with binSize", unit="rad")
    betabinning: Literal["binSize", "binCount"] = option(
        "binSize", "whether channels are given by first and width, or by the ends of their range"
    )
    nbetabins: int = option(3400, "number of channels of dispersion angle", minimum=1)
    xdispmin: float = option(-0.001, "lowest cross-dispersion angle, with binCount", unit="rad")
    xdispmax: float = option(0.001, "highest cross-dispersion angle, with binCount", unit="rad")
    xdispbinref: float = option(
        -0.0009126, "cross-dispersion angle of the first channel, with binSize", unit="rad"
    )
    xdispbinwidth: float = option(
        1.08e-05, "width of a channel of cross-dispersion angle, with binSize", unit="rad"
    )
    xdispbinning: Literal["binSize", "binCount"] = option(
        "binSize", "likewise for the cross-dispersion angle"
    )
    nxdispbins: int = option(170, "number of channels of cross-dispersion angle", minimum=1)
    withpointingcolumn: bool = option(
        False, "write the pointing at each event", only="the columns are not written"
    )
    withmlambdacolumn: bool = option(
        True, "write the wavelength times the order", only="rgsfilter needs the column"
    )
    lambdabinref: float = option(4.005, "wavelength of the first channel", unit="Angstrom")
    lambdabinwidth: float = option(0.01, "width of a channel of wavelength", unit="Angstrom")
    nlambdabins: int = option(3600, "number of channels of wavelength", minimum=1)
    withheliocentriccorr: bool = option(True, "correct wavelengths for the motion of the Earth")
    withsunanglecorr: bool = option(
        True,
        "correct wavelengths for the angle to the Sun; none is made, and who asks for it is refused",
    )


@dataclass(frozen=True)
class Rgsfilter:
    """rgsfilter: which events are kept, and what the exposure maps are like."""

    rejflags: tuple[str, ...] = option(REJECTION_FLAGS, "an event with any of these flags is left out")
    auxgtitables: tuple[str, ...] = option(
        (), "tables of good times that count besides those of the CCDs, as file:table"
    )
    withexpmaps: bool = option(True, "make exposure maps")
    withcombmap: bool = option(True, "write the map of all CCDs into expimageset")
    expimageset: str = option("expmap.ds", "file of the combined exposure map", kind="dataset")
    driftbinsize: float = option(
        1.0, "frames whose pointings differ by less count as one in the maps", unit="arcsec", minimum=1e-3
    )
    spectrumbinning: Literal["lambda", "beta"] = option(
        "lambda", "whether the maps have channels of wavelength or of dispersion angle"
    )


@dataclass(frozen=True)
class Rgssources:
    """rgssources: the sources of a list, the attitude they are placed with, and the prime one."""

    changeprime: bool = option(False, "choose the prime source of an existing list anew")
    changeattitude: bool = option(False, "place the sources of an existing list with another attitude")
    filemode: Literal["create", "modify"] = option("modify", "make a list, or change one")
    srclist: str = option("rgsset.ds", "source list", kind="dataset")
    instexpid: str = option("", "exposure, such as R1S004; needed for a new list")
    writeobskwds: bool = option(
        True, "write keywords of the observation", without_effect="they are always written"
    )
    writeexpkwds: bool = option(
        True, "write keywords of the exposure", without_effect="they are always written"
    )
    clobberonlabel: bool = option(
        False, "replace a source of the same label", only="the label of a new source must be new"
    )
    primeindex: int = option(1, "number of the prime source, with primestyle=index")
    primelabel: str = option("PROPOSAL", "label of the prime source, with primestyle=label")
    primeexpression: str = option(
        "", "expression that is true of the prime source", without_effect="primestyle=expression is refused"
    )
    primestyle: Literal["auto", "index", "label", "expression"] = option(
        "auto",
        "how the prime source is chosen; auto: that of the proposal, if it is in the field, else the axis; "
        "expression is refused",
    )
    meanset: str = option("atthk.dat", "attitude file for attstyle=mean", kind="dataset")
    medianset: str = option("atthk.dat", "attitude file for attstyle=median", kind="dataset")
    attra: float = option(0.0, "right ascension of the pointing, with attstyle=user", unit="deg")
    attdec: float = option(0.0, "declination of the pointing, with attstyle=user", unit="deg")
    attapos: float = option(0.0, "position angle of the pointing, with attstyle=user", unit="deg")
    expmediantable: str = option(
        "attgti.ds:STDGTI", "table of attfilter for attstyle=expmedian, as file:table", kind="dataset"
    )
    attstyle: Literal["start", "mean", "median", "expmedian", "user"] = option(
        "expmedian",
        "attitude that sources are placed with: of the start of the exposure, mean or median of the "
        "observation, median of the exposure, or given",
    )
    label: str = option("USER", "label of the added source, at most 20 letters")
    rate: float = option(0.0, "count rate of the added source", unit="ct/s", minimum=0.0)
    userasprime: bool = option(False, "make the added source the prime one")
    process: bool = option(
        False, "mark the added source for spectra", without_effect="no spectra are extracted"
    )
    bkgexclude: bool = option(
        True, "leave the added source out of backgrounds", without_effect="no spectra are extracted"
    )
    ra: float = option(0.0, "right ascension of the added source, with positionstyle=radec", unit="deg")
    dec: float = option(0.0, "declination of the added source, with positionstyle=radec", unit="deg")
    deltaxdsp: float = option(
        0.0, "distance of the added source from the axis across the dispersion, with positionstyle=wrtatt",
        unit="arcmin",
    )  # fmt: skip
    deltadisp: float = option(
        0.0, "distance of the added source from the axis along the dispersion, with positionstyle=wrtatt",
        unit="arcmin",
    )  # fmt: skip
    positionstyle: Literal["radec", "wrtatt"] = option(
        "radec", "whether the position is on the sky or relative to the attitude"
    )
    addusersource: bool = option(False, "add a source")
    epicset: str = option("", "source list of EPIC", kind="dataset", without_effect=_LISTS)
    epiclabelprefix: str = option("EPIC", "beginning of their labels", without_effect=_LISTS)
    doconfusion: bool = option(False, "work out how far sources overlap", only=_CLOSED)
    instweights: tuple[str, ...] = option(
        ("3.5", "1", "1"), "weights of the cameras in rates of EPIC sources", without_effect=_LISTS
    )
    flagepicsrcoutoffov: bool = option(False, "mark EPIC sources outside the field of view", only=_LISTS)
    withepicset: bool = option(False, "add the sources of an EPIC list", only=_LISTS)
    enablefilter: bool = option(False, "leave out EPIC sources by their properties", only=_LISTS)
    bandids: tuple[str, ...] = option(("2", "3"), "energy bands of EPIC rates", without_effect=_LISTS)
    withboresightfudge: bool = option(
        True, "correct positions of EPIC sources for the boresights", only="without such sources it is moot"
    )


def passed_on(options: type) -> list[str]:
    """Names of the parameters of a sub-task that make a difference.

    Parameters
    ----------
    options
        Class of its options.
    """
    return [p.name for p in parameters_of(options) if not (p.only or p.without_effect)]
