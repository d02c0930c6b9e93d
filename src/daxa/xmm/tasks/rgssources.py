"""The task rgssources: make or change the source list of an exposure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.hdus import primary_hdu
from daxa.xmm.fits.schema import make_table
from daxa.xmm.instruments.rgs.calibration import RgsCalibration
from daxa.xmm.instruments.rgs.files import read_set, write_set
from daxa.xmm.instruments.rgs.options import Rgssources
from daxa.xmm.instruments.rgs.sources import (
    ONAXIS,
    PROPOSAL,
    SRCLIST,
    Attitude,
    Source,
    SourceList,
    source_table,
)
from daxa.xmm.parameters import Parameters, parameters_of
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import exposure_span, open_calibration

if TYPE_CHECKING:
    from daxa.xmm.instruments.rgs.geometry import RgsGeometry
    from daxa.xmm.odf.odf import Odf


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
    [replace(q, required=q.name == "srclist") for q in parameters_of(Rgssources)],
)
def rgssources(ctx: TaskContext, p: Parameters) -> None:
    """Make or change the source list of an exposure."""
    from daxa.xmm.formats.instruments import INSTRUMENTS
    from daxa.xmm.instruments.keywords import proposal
    from daxa.xmm.odf.odf import Odf

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
    geometry = RgsCalibration(open_calibration(ctx), INSTRUMENTS[instrument]).geometry(0.5 * sum(span))
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
    primary = primary_hdu(header=read_set(ctx, p.srclist)[0].header if old else None)
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
    from daxa.xmm.instruments.keywords import exposure_summary, observation_keywords

    summary = exposure_summary(odf, instrument, exp_id, ctx.warn)
    pointing = tuple(float(v) for v in geometry.pointing(*attitude.values()))
    cards = observation_keywords(
        odf, instrument, exp_id, data_mode="SPECTROSCOPY", submode=summary.mode or "UNDEFINED",
        filter_name=None, start_tt_s=span[0], stop_tt_s=span[1], pointing=pointing,  # type: ignore[arg-type]
    )  # fmt: skip
    return cards | {"ORIGIN": ("DAXA", "")}
