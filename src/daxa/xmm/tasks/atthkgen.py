"""The task atthkgen: sample the attitude of an observation and find its median and mean pointing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import TIME_KEYWORDS
from daxa.xmm.fits.hdus import primary_hdu, write_hdus
from daxa.xmm.fits.schema import make_table
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.sky.attitude import ATTHK_COLUMNS, Attitude, atthk_keywords, make_atthk
from daxa.xmm.task import TaskContext, task

if TYPE_CHECKING:
    from daxa.xmm.odf.odf import Odf


def observation_span(odf: Odf) -> tuple[float, float, dict[str, Any]]:
    """Start and stop of an observation [mission time], and keywords that describe it.

    Parameters
    ----------
    odf
        The opened ODF.

    Raises
    ------
    TaskError
        The ODF has no usable summary file.
    """
    from daxa.xmm.formats.summary import read_ascii_summary, read_sas_summary
    from daxa.xmm.odf.times import utc_to_tt

    cards: dict[str, Any] = {"OBS_ID": odf.obs_id, "REVOLUT": f"{odf.revolution:04d}"}
    try:
        if odf.ascii_summary is not None:
            text = read_ascii_summary(odf.ascii_summary.path)
            start, end = text.start, text.end
            for name, value, nominal in (
                ("RA", text.ra_deg, text.nominal_ra_deg), ("DEC", text.dec_deg, text.nominal_dec_deg),
            ):  # fmt: skip
                if value is not None:
                    cards[f"{name}_OBJ"] = (value, "[deg] position of the target")
                    cards[f"{name}_NOM"] = (nominal, "[deg] nominal boresight")
            cards["OBJECT"] = text.target
        elif odf.sas_summary is not None:
            sas = read_sas_summary(odf.sas_summary)
            start, end = sas.start, sas.end
        else:
            raise TaskError(
                "noObservationDate",
                f"{odf.folder}: no summary file (SUM.ASC, SUM.SAS) to take start and stop from",
            )
        cards["DATE-OBS"], cards["DATE-END"] = start[:19], end[:19]
        return utc_to_tt(start), utc_to_tt(end), cards
    except ValueError as err:
        raise TaskError("noObservationDate", f"{odf.folder}: summary file: {err}") from err


@task(
    "atthkgen",
    "1.0",
    [
        Parameter("atthkset", "dataset", "atthk.dat", text="attitude file to write"),
        Parameter("timestep", "real", 1.0, text="interval of the samples, more than 0", unit="s"),
        Parameter("timebegin", "real", 0.0, text="mission time of the first sample", unit="s"),
        Parameter("timeend", "real", 0.0, text="mission time of the end", unit="s"),
        Parameter(
            "withtimeranges", "bool", False, text="whether timebegin and timeend count; else the observation"
        ),
        Parameter(
            "withpreqgti",
            "bool",
            False,
            text="write good times for each pointing request",
            only="they are not made yet",
        ),
        Parameter(
            "preqgtifile",
            "dataset",
            "pointings.fit",
            text="file of those good times",
            without_effect="see withpreqgti",
        ),
    ],
)
def atthkgen(ctx: TaskContext, p: Parameters) -> None:
    """Sample the attitude of an observation and find its median and mean pointing."""
    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.odf.times import TimeCorrelation

    if p.timestep <= 0:
        raise TaskError(
            "badParameter", f"atthkgen: parameter timestep: expected more than 0, got {p.timestep}"
        )
    odf = Odf.from_environment(ctx.env, ctx.cwd)
    start, stop, cards = observation_span(odf)
    attitude = Attitude.from_odf(odf)
    begin, end = (p.timebegin, p.timeend) if p.withtimeranges else (start, stop)
    result = make_atthk(attitude, begin, end, p.timestep)
    good, total = result.keywords["NGAHF"], result.keywords["NATT"]
    ctx.info(f"{good} of {total} samples have a good attitude")
    if odf.find(instrument="OM", file_type="THX"):
        ctx.info("The tracking of the optical monitor is not read: OMRA, OMDEC, OMPA repeat AHFRA...")
    ctx.info("Median pointing ({:.6f}, {:.6f}), position angle {:.6f}".format(*result.median))
    header: dict[str, Any] = {
        "TELESCOP": ("XMM", "mission"),
        "DETNAM": ("", "prime or redundant"),
        "OBS_MODE": ("SLEW" if odf.obs_id.startswith("9") else "POINTING", "observation mode"),
        "ORIGIN": "DAXA",
        **cards,
        "ATT_SRC": (attitude.source, "source of attitude data"),
        "ORB_RCNS": (True, "reconstructed orbit data used"),
    }
    if odf.find(instrument="SC", file_type="TCX") or odf.find(instrument="SC", file_type="TCS"):
        header.update(TimeCorrelation.from_odf(odf).keywords())
    header.update(TIME_KEYWORDS)
    header["TSTART"] = (float(result.columns["TIME"][0]), "[s] first sample")
    header["TSTOP"] = (float(result.columns["TIME"][-1]), "[s] last sample")
    header.update(atthk_keywords(result.keywords))
    primary = primary_hdu()
    ctx.provenance(primary.header)
    for key, value in header.items():
        primary.header[key] = value
    table = make_table(ATTHK_COLUMNS, result.columns, "ATTHK", header)
    with ctx.output(p.atthkset) as path:
        write_hdus(path, [primary, table])
