"""Header keywords that EPIC products have in common, and where their values come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from daxa.xmm.errors import TaskError
from daxa.xmm.event.parts import Cards
from daxa.xmm.formats.instruments import INSTRUMENTS
from daxa.xmm.formats.summary import AsciiSummary, ExposureSummary, read_ascii_summary, read_sas_summary

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.odf.times import TimeCorrelation


def exposure_summary(
    odf: Odf,
    instrument: str,
    exp_id: str,
    warn: Callable[[str, str], None],
    calibration: Calibration | None = None,
) -> ExposureSummary:
    """What is known of an exposure: from SUM.SAS if there is one, else from housekeeping and headers.

    Parameters
    ----------
    odf
        The opened ODF.
    instrument, exp_id
        ``M1``, ``S001``.
    warn
        Receives code and text of warnings.
    calibration
        Tells the modes of MOS apart where there is no SUM.SAS.
    """
    if odf.sas_summary is not None:
        try:
            found = read_sas_summary(odf.sas_summary).exposure(instrument, exp_id)
        except ValueError as error:
            warn("OdfSummaryFileNotFound", str(error))
            found = None
        if found is not None:
            return found
    from dataclasses import replace

    from daxa.xmm.odf.ingest import ingest

    files = tuple(f for f in odf.files if f.name.exp_id == exp_id or not f.name.is_science)
    files = tuple(f for f in files if f.name.instrument == instrument)
    part = replace(odf, files=files)
    summary = ingest(
        part, AsciiSummary(odf.obs_id, odf.revolution, "", ""), warn=warn, calibration=calibration
    )
    found = summary.exposure(instrument, exp_id)
    if found is None:
        raise TaskError("MissingData", f"{odf.folder}: no readable files of {instrument} {exp_id}")
    return found


def proposal(odf: Odf) -> AsciiSummary | None:
    """Target and observer from SUM.ASC, None if the file is absent or unreadable.

    Parameters
    ----------
    odf
        The opened ODF.
    """
    file = odf.ascii_summary
    if file is None:
        return None
    try:
        return read_ascii_summary(file.path)
    except (ValueError, OSError, EOFError):
        return None


def observation_keywords(
    odf: Odf,
    instrument: str,
    exp_id: str,
    *,
    data_mode: str,
    submode: str,
    filter_name: str | None,
    start_tt_s: float,
    stop_tt_s: float,
    pointing: tuple[float, float, float],
    correlation: TimeCorrelation | None = None,
    average: bool = False,
) -> Cards:
    """Keywords of the observation and the exposure.

    Parameters
    ----------
    odf
        The opened ODF.
    instrument, exp_id
        ``M1``, ``S001``.
    data_mode, submode, filter_name
        DATAMODE, SUBMODE and FILTER.
    start_tt_s, stop_tt_s
        Start and end of the data, mission time.
    pointing
        Right ascension, declination, position angle [deg] of the exposure.
    correlation
        Relation of the clocks, for the TFIT keywords.
    average
        Whether the pointing is the mean rather than the median.
    """
    from daxa.xmm.odf.times import tt_to_utc
    from daxa.xmm.sky.attitude import attitude_source

    target = proposal(odf)
    ra, dec, pa = pointing
    cards: Cards = {
        "TELESCOP": ("XMM", "XMM-Newton"),
        "INSTRUME": (INSTRUMENTS[instrument], ""),
        "REVOLUT": (odf.revolution, "revolution"),
        "OBS_MODE": ("SLEW" if odf.obs_id.startswith("9") else "POINTING", "observing mode"),
        "OBS_ID": (odf.obs_id, "observation"),
        "EXP_ID": (f"{odf.obs_id}{exp_id[1:]}", "exposure"),
        "EXPIDSTR": (exp_id, "exposure as in file names"),
        "DATAMODE": (data_mode, ""),
        "SUBMODE": (submode, "mode of the camera"),
        "FILTER": (filter_name or "UNKNOWN", "filter"),
        "DATE-OBS": (tt_to_utc(start_tt_s), "start of the exposure, UTC"),
        "DATE-END": (tt_to_utc(stop_tt_s), "end of the exposure, UTC"),
    }
    if target is not None:
        cards["OBJECT"] = (target.target or "UNKNOWN", "")
        if target.observer:
            cards["OBSERVER"] = (target.observer, "")
        if target.ra_deg is not None and target.dec_deg is not None:
            cards["RA_OBJ"] = (target.ra_deg, "[deg] target")
            cards["DEC_OBJ"] = (target.dec_deg, "[deg] target")
            cards["RA_NOM"] = (target.nominal_ra_deg, "[deg] commanded direction")
            cards["DEC_NOM"] = (target.nominal_dec_deg, "[deg] commanded direction")
    cards |= {
        "RA_PNT": (ra, "[deg] pointing"),
        "DEC_PNT": (dec, "[deg] pointing"),
        "PA_PNT": (pa, "[deg] position angle"),
        "AVRG_PNT": ("MEAN" if average else "MEDIAN", "kind of average of the pointing"),
        "ATT_SRC": (attitude_source(odf), "source of the attitude"),
        "ORB_RCNS": (True, "reconstructed orbit"),
    }
    if correlation is not None:
        cards |= correlation.keywords()
    return cards


def merge_headers(*parts: Mapping[str, tuple[Any, str]]) -> Cards:
    """Later cards win; values that are None are left out.

    Parameters
    ----------
    *parts
        Keyword -> value and comment.
    """
    return {key: card for part in parts for key, card in part.items() if card[0] is not None}
