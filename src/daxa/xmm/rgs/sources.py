"""The task rgssources: the list of sources of an exposure, and its reference attitude.

Source: manual of rgssources; parameters from a real run's log. The list holds the position of the proposal
(index 1), the axis (2), and positions that the user adds. The names of the keywords that keep the reference
attitude are this engine's: RA_PNT, DEC_PNT, PA_PNT is where the spectrometer's axis points, ATT_RA, ATT_DEC,
ATT_APOS the attitude of the spacecraft.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.schema import columns, make_table
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.rgs.tables import read_set, table, write_set
from daxa.xmm.task import TaskContext, task

if TYPE_CHECKING:
    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.rgs.geometry import RgsGeometry

SRCLIST = columns("""
INDEX 1I
LABEL 20A
RA 1E deg
DEC 1E deg
RATE 1E count/s
DELTA_DISP 1E arcmin
DELTA_XDSP 1E arcmin
FOV_PHI 1E deg
FOV_R 1E deg
CONFUSION 1E
PROCESS 1L
BKG_EXCLUDE 1L
FIXED_ON_SKY 1L
""")
PROPOSAL, ONAXIS = 1, 2
_ARCMIN = np.deg2rad(1 / 60)


@dataclass(frozen=True)
class Attitude:
    """Right ascension, declination and position angle of the spacecraft [deg]."""

    ra_deg: float
    dec_deg: float
    pa_deg: float

    def values(self) -> tuple[float, float, float]:
        """The three angles."""
        return self.ra_deg, self.dec_deg, self.pa_deg


@dataclass(frozen=True)
class Source:
    """One row: a position in the sky, or offsets from the axis."""

    index: int
    label: str
    ra_deg: float = float("nan")
    dec_deg: float = float("nan")
    along_arcmin: float = 0.0
    across_arcmin: float = 0.0
    rate: float = 0.0
    fixed_on_sky: bool = True

    def placed(self, geometry: RgsGeometry, attitude: Attitude) -> Source:
        """With the offsets of its position, or the position of its offsets, at an attitude."""
        values = dict(self.__dict__)
        if self.fixed_on_sky:
            along, across = geometry.sky_to_offsets(self.ra_deg, self.dec_deg, *attitude.values())
            values |= {"along_arcmin": float(along / _ARCMIN), "across_arcmin": float(across / _ARCMIN)}
        else:
            offsets = self.along_arcmin * _ARCMIN, self.across_arcmin * _ARCMIN
            ra, dec = geometry.offsets_to_sky(*offsets, *attitude.values())
            values |= {"ra_deg": float(ra), "dec_deg": float(dec)}
        return Source(**values)

    def in_field(self, geometry: RgsGeometry) -> bool:
        """Whether any light of the first order falls on a chip."""
        offsets = self.along_arcmin * _ARCMIN, self.across_arcmin * _ARCMIN
        if not np.all(np.isfinite(offsets)):
            return False
        ccd, *_ = geometry.angles_to_raw(*geometry.image(np.arange(6.0, 38.0, 0.25), *offsets))
        return bool((ccd > 0).any())


def source_table(sources: list[Source]) -> dict[str, Any]:
    """Columns of the list."""

    def every(name: str) -> list[Any]:
        return [getattr(s, name) for s in sources]

    along, across = (np.array(every(n), float) for n in ("along_arcmin", "across_arcmin"))
    n = len(sources)
    return {
        "INDEX": every("index"),
        "LABEL": every("label"),
        "RA": every("ra_deg"),
        "DEC": every("dec_deg"),
        "RATE": every("rate"),
        "DELTA_DISP": along,
        "DELTA_XDSP": across,
        "FOV_PHI": np.rad2deg(np.arctan2(across, -along)),
        "FOV_R": np.hypot(along, across) / 60,
        "CONFUSION": np.full(n, np.nan),
        "PROCESS": np.zeros(n, bool),
        "BKG_EXCLUDE": np.zeros(n, bool),
        "FIXED_ON_SKY": np.array(every("fixed_on_sky"), bool),
    }


@dataclass(frozen=True)
class SourceList:
    """A source list as the later stages need it."""

    sources: list[Source]
    prime: int
    attitude: Attitude

    @classmethod
    def read(cls, ctx: TaskContext, name: str) -> SourceList:
        """Read a list.

        Raises
        ------
        TaskError
            It is no source list of this engine, or its prime source is none of its rows.
        """
        hdus = read_set(ctx, name)
        rows = table(hdus, "SRCLIST", SRCLIST, name)
        header = hdus["SRCLIST"].header
        missing = [k for k in ("PRIMESRC", "ATT_RA", "ATT_DEC", "ATT_APOS") if k not in header]
        if missing:
            raise TaskError("missingKeyword", f"{name}[SRCLIST]: no keyword {missing[0]}")
        sources = [
            Source(
                int(rows["INDEX"][i]),
                str(rows["LABEL"][i]).strip(),
                float(rows["RA"][i]),
                float(rows["DEC"][i]),
                float(rows["DELTA_DISP"][i]),
                float(rows["DELTA_XDSP"][i]),
                float(rows["RATE"][i]),
                bool(rows["FIXED_ON_SKY"][i]),
            )
            for i in range(len(rows["INDEX"]))
        ]
        # Single precision would cost up to 0.05 arcsec.
        precise = {int(k[3:]): header[k] for k in header if k.startswith("SRA") and k[3:].isdigit()}
        sources = [
            Source(**{**s.__dict__, "ra_deg": precise[s.index], "dec_deg": header[f"SDEC{s.index}"]})
            if s.index in precise
            else s
            for s in sources
        ]
        attitude = Attitude(*(float(header[k]) for k in ("ATT_RA", "ATT_DEC", "ATT_APOS")))
        made = cls(sources, int(header["PRIMESRC"]), attitude)
        _ = made.prime_source
        return made

    @property
    def prime_source(self) -> Source:
        """The source that angles are corrected for."""
        found = [s for s in self.sources if s.index == self.prime]
        if not found:
            raise TaskError("badPrimeSource", f"PRIMESRC={self.prime} is the index of no source")
        return found[0]

    def cards(self, geometry: RgsGeometry) -> dict[str, tuple[Any, str]]:
        """Keywords of the list."""
        ra, dec, pa = (float(v) for v in geometry.pointing(*self.attitude.values()))
        result: dict[str, tuple[Any, str]] = {
            "PRIMESRC": (self.prime, "index of the prime source"),
            "RA_PNT": (ra, "[deg] axis at the reference attitude"),
            "DEC_PNT": (dec, "[deg] axis at the reference attitude"),
            "PA_PNT": (pa, "[deg] position angle, reference attitude"),
            "ATT_RA": (self.attitude.ra_deg, "[deg] spacecraft, reference attitude"),
            "ATT_DEC": (self.attitude.dec_deg, "[deg] spacecraft, reference attitude"),
            "ATT_APOS": (self.attitude.pa_deg, "[deg] spacecraft, reference attitude"),
        }
        for s in self.sources:
            result[f"SRA{s.index}"] = (s.ra_deg, f"[deg] right ascension of {s.label}")
            result[f"SDEC{s.index}"] = (s.dec_deg, f"[deg] declination of {s.label}")
        return result


def _reference(ctx: TaskContext, p: Parameters, span: tuple[float, float]) -> Attitude:
    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.sky.attitude import AttHk
    from daxa.xmm.sky.attitude import Attitude as History

    if p.attstyle == "user":
        return Attitude(p.attra, p.attdec, p.attapos)
    if p.attstyle == "start":
        values = History.from_odf(Odf.from_environment(ctx.env, ctx.cwd)).at(span[0])
        return Attitude(*(float(v) for v in values))
    if p.attstyle == "expmedian":
        name, _, extension = p.expmediantable.partition(":")
        header = read_set(ctx, name)[extension or "STDGTI"].header
        if "MEDI_RA" not in header:
            raise TaskError("missingKeyword", f"{p.expmediantable}: no keyword MEDI_RA (made by attfilter)")
        return Attitude(*(float(header[f"MEDI_{k}"]) for k in ("RA", "DEC", "APA")))
    series = AttHk.read(ctx.path(p.medianset if p.attstyle == "median" else p.meanset))
    return Attitude(*(series.median if p.attstyle == "median" else series.mean))


@task(
    "rgssources",
    "6.4.1",
    [
        Parameter("changeprime", "bool", False),
        Parameter("changeattitude", "bool", False),
        Parameter("filemode", "choice", "modify", ("create", "modify")),
        Parameter("srclist", "dataset", "rgsset.ds", required=True),
        Parameter("instexpid", "string", ""),
        Parameter("writeobskwds", "bool", True),
        Parameter("writeexpkwds", "bool", True),
        Parameter("clobberonlabel", "bool", False),
        Parameter("primeindex", "int", 1),
        Parameter("primelabel", "string", "PROPOSAL"),
        Parameter("primeexpression", "string", ""),
        Parameter("primestyle", "choice", "auto", ("auto", "index", "label", "expression")),
        Parameter("meanset", "dataset", "atthk.dat"),
        Parameter("medianset", "dataset", "atthk.dat"),
        Parameter("attra", "real", 0.0),
        Parameter("attdec", "real", 0.0),
        Parameter("attapos", "real", 0.0),
        Parameter("expmediantable", "dataset", "attgti.ds:STDGTI"),
        Parameter("attstyle", "choice", "expmedian", ("start", "mean", "median", "expmedian", "user")),
        Parameter("label", "string", "USER"),
        Parameter("rate", "real", 0.0, minimum=0.0),
        Parameter("userasprime", "bool", False),
        Parameter("process", "bool", False),
        Parameter("bkgexclude", "bool", True),
        Parameter("ra", "real", 0.0),
        Parameter("dec", "real", 0.0),
        Parameter("deltaxdsp", "real", 0.0),
        Parameter("deltadisp", "real", 0.0),
        Parameter("positionstyle", "choice", "radec", ("radec", "wrtatt")),
        Parameter("addusersource", "bool", False),
        Parameter("epicset", "dataset", ""),
        Parameter("epiclabelprefix", "string", "EPIC"),
        Parameter("doconfusion", "bool", False),
        Parameter("instweights", "list", ("3.5", "1", "1")),
        Parameter("flagepicsrcoutoffov", "bool", False),
        Parameter("withepicset", "bool", False),
        Parameter("enablefilter", "bool", False),
        Parameter("bandids", "list", ("2", "3")),
        Parameter("withboresightfudge", "bool", True),
    ],
)
def rgssources(ctx: TaskContext, p: Parameters) -> None:
    """Make or change the source list of an exposure."""
    from astropy.io import fits

    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.epic.keywords import proposal
    from daxa.xmm.formats.instruments import INSTRUMENTS
    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.rgs.attfilter import exposure_span
    from daxa.xmm.rgs.geometry import RgsGeometry

    for name in ("withepicset", "doconfusion", "enablefilter", "flagepicsrcoutoffov", "clobberonlabel"):
        if p[name]:
            raise NotImplementedError(f"rgssources: {name}=yes is not supported by the embedded engine")
    if not p.withboresightfudge:
        raise NotImplementedError("rgssources: withboresightfudge=no is not supported by the embedded engine")
    if p.primestyle == "expression":
        raise NotImplementedError("rgssources: primestyle=expression is not supported by the embedded engine")
    odf = Odf.from_environment(ctx.env, ctx.cwd)
    old = None if p.filemode == "create" else SourceList.read(ctx, p.srclist)
    identity = p.instexpid or (_identity(ctx, p.srclist) if old else "")
    if not identity:
        raise TaskError(
            "missingParameter", "rgssources: parameter instexpid must be given with filemode=create"
        )
    instrument = identity[:2]
    span = exposure_span(odf, identity, ctx)
    cal = Calibration.from_environment(ctx.env, ctx.cwd)
    geometry = RgsGeometry.from_calibration(cal, INSTRUMENTS[instrument], 0.5 * sum(span))
    attitude = _reference(ctx, p, span) if old is None or p.changeattitude else old.attitude
    sources = (
        list(old.sources)
        if old
        else [*_proposal(proposal(odf)), Source(ONAXIS, "ONAXIS", fixed_on_sky=False)]
    )
    if p.addusersource:
        sources.append(_user(p, sources))
    sources = [s.placed(geometry, attitude) for s in sources]
    prime = _prime(p, sources, geometry) if old is None or p.changeprime else old.prime
    if p.addusersource and p.userasprime:
        prime = sources[-1].index
    made = SourceList(sources, prime, attitude)
    if not made.prime_source.rate > 0:
        ctx.warn(
            "badPrimeRate",
            f"The prime source (INDEX={prime}) has a RATE value of <= zero. "
            "Confusion values cannot be calculated.",
        )
    primary = fits.PrimaryHDU(header=read_set(ctx, p.srclist)[0].header if old else None)
    if old is None:
        cards = _keywords(odf, instrument, identity[2:6], span, geometry, attitude, ctx)
        for key, value in cards.items():
            primary.header[key] = value
    names = ("TELESCOP", "INSTRUME", "OBS_ID", "EXP_ID", "EXPIDSTR", "DATE-OBS", "DATE-END", "OBJECT")
    shared = {k: primary.header[k] for k in names if k in primary.header}
    hdu = make_table(SRCLIST, source_table(sources), "SRCLIST", shared | made.cards(geometry))
    write_set(ctx, p.srclist, [primary, hdu])


def _identity(ctx: TaskContext, name: str) -> str:
    header = read_set(ctx, name)[0].header
    return f"R{str(header.get('INSTRUME', ''))[-1:]}{header.get('EXPIDSTR', '')}"


def _proposal(found: Any) -> list[Source]:
    if found is None or found.ra_deg is None or found.dec_deg is None:
        return []
    return [Source(PROPOSAL, "PROPOSAL", float(found.ra_deg), float(found.dec_deg))]


def _user(p: Parameters, sources: list[Source]) -> Source:
    label = p.label.strip().upper()
    if not label or len(label) > 20 or any(s.label == label for s in sources):
        raise TaskError(
            "badParameter",
            f"rgssources: parameter label: expected a new name of at most 20 letters, got {p.label!r}",
        )
    index = max(ONAXIS, *(s.index for s in sources)) + 1
    if p.positionstyle == "radec":
        if not (0 <= p.ra <= 360 and -90 <= p.dec <= 90):
            raise TaskError("badParameter", f"rgssources: parameters ra, dec: no position: {p.ra}, {p.dec}")
        return Source(index, label, p.ra, p.dec, rate=p.rate)
    return Source(
        index, label, along_arcmin=p.deltadisp, across_arcmin=p.deltaxdsp, rate=p.rate, fixed_on_sky=False
    )


def _prime(p: Parameters, sources: list[Source], geometry: RgsGeometry) -> int:
    if p.primestyle == "auto":
        first = sources[0]
        return PROPOSAL if first.index == PROPOSAL and first.in_field(geometry) else ONAXIS
    key = p.primeindex if p.primestyle == "index" else p.primelabel.strip().upper()
    found = [s.index for s in sources if key == (s.index if p.primestyle == "index" else s.label)]
    if not found:
        listed = ", ".join(f"{s.index} {s.label}" for s in sources)
        raise TaskError("badPrimeSource", f"rgssources: no source {key}; the list has {listed}")
    return found[0]


def _keywords(
    odf: Odf,
    instrument: str,
    exp_id: str,
    span: tuple[float, float],
    geometry: RgsGeometry,
    attitude: Attitude,
    ctx: TaskContext,
) -> dict[str, Any]:
    from daxa.xmm.epic.keywords import exposure_summary, observation_keywords

    summary = exposure_summary(odf, instrument, exp_id, ctx.warn)
    pointing = tuple(float(v) for v in geometry.pointing(*attitude.values()))
    cards = observation_keywords(
        odf, instrument, exp_id, data_mode="SPECTROSCOPY", submode=summary.mode or "UNDEFINED",
        filter_name=None, start_tt_s=span[0], stop_tt_s=span[1], pointing=pointing,  # type: ignore[arg-type]
    )  # fmt: skip
    return cards | {"ORIGIN": "DAXA"}
