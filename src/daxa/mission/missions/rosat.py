"""ROSAT: pointed observations and the all-sky survey."""

from __future__ import annotations

from typing import Any

import pandas as pd

from daxa.mission.catalogue import TapTable
from daxa.mission.heasarc import HeasarcMission, Product, positive, text

_PSPC = ("PSPCB", "PSPCC")
_BANDS = {1: (0.07, 2.4), 3: (0.07, 0.4), 2: (0.4, 2.4)}
# first digit of the sequence number, the subject of the proposal -> target type
_SUBJECTS = {1: "STR", 2: "STR", 3: "CV", 4: "NS", 5: "SNR", 6: "NGS", 7: "AGN", 8: "GCL", 9: "EGE"}


def _products(insts: tuple[str, ...], code: str) -> tuple[Product, ...]:
    """Products of a PSPC; names such as ``rp500065n00_im2.fits``."""
    return (
        Product("event list", rf"^{code}\w+_bas\.fits$", insts),
        *(Product("image", rf"^{code}\w+_im{n}\.fits$", insts, band) for n, band in _BANDS.items()),
        *(Product("background map", rf"^{code}\w+_bk{n}\.fits$", insts, band) for n, band in _BANDS.items()),
        Product("exposure map", rf"^{code}\w+_mex\.fits$", insts),
    )


class _ROSAT(HeasarcMission):
    """ObsIDs are in capitals, as in HEASARC's tables; its folders have them in small letters."""

    def _spelled(self, obs_id: str) -> str:
        return obs_id.upper()


class ROSATPointed(_ROSAT):
    """Pointed ROSAT observations.

    Examples
    --------
    >>> mission = daxa.ROSATPointed("HRI")
    """

    name = "rosat_pointed"
    pretty_name = "ROSAT Pointed"
    id_regex = r"^(rh|rp|rf|wh|wp|wf|RH|RP|RF|WH|WP|WF)[0-9]{6}([a-zA-Z][0-9]{2})?$"
    instruments = ("PSPCB", "PSPCC", "HRI")
    default_instruments = ("PSPCB", "PSPCC", "HRI")
    aliases = {"PSPC-B": "PSPCB", "PSPC-C": "PSPCC"}
    one_inst_per_obs = True
    table = TapTable(
        "heasarc_tap",
        "rosmaster",
        columns={
            "ObsID": ("seq_id", "obsid"),
            "ra": "ra",
            "dec": "dec",
            "start": ("start_date", "start_time", "time"),
            "duration": "exposure",
            "instrument": "instrument",
        },
        optional={
            "end": ("end_date", "end_time", "stop_time"),
            "subject": ("subj_cat", "subject_category"),
            "with_filter": "filter",
            "proc_rev": "proc_rev",
            "fits_type": "fits_type",
            "target": "name",
            "target_name": "name",
        },
        needed=("instrument",),
    )
    product_files = r"_(im\d|bk\d|mex)\.fits(\.Z|\.gz)?$"
    products = (
        *_products(_PSPC, "[rw][pf]"),
        Product("event list", r"^[rw]h\w+_bas\.fits$", ("HRI",)),
        Product("image", r"^[rw]h\w+_im1\.fits$", ("HRI",), (0.07, 2.4)),
        Product("background map", r"^[rw]h\w+_bk1\.fits$", ("HRI",), (0.07, 2.4)),
    )

    @property
    def fov(self) -> Any:
        from astropy.units import Quantity

        return {inst: Quantity(19 if inst == "HRI" else 60, "arcmin") for inst in self.instruments}

    def _rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        frame["ObsID"] = text(frame["ObsID"])
        frame["instrument"] = text(frame["instrument"]).str.replace("-", "", regex=False)
        frame["science_usable"] = positive(frame, ["duration"])
        subject = frame.pop("subject") if "subject" in frame.columns else frame["ObsID"].str[2]
        frame["target_category"] = pd.to_numeric(subject, errors="coerce").map(_SUBJECTS).fillna("MISC")
        return frame

    def _initial_mask(self) -> Any:
        info = self._catalogue()
        return (info["science_usable"] & info["instrument"].isin(self._chosen)).to_numpy(bool)

    def _folders(self, row: Any) -> list[tuple[str, str]]:
        kind = "hri" if row.ObsID[1] == "H" else "pspc"
        return [(f"rosat/data/{kind}/processed_data/{row.ObsID[2]}00000/{row.ObsID.lower()}", "")]


class ROSATAllSky(_ROSAT):
    """Fields of the ROSAT All-Sky Survey.

    Parameters
    ----------
    save_file_path
        A saved selection that is taken up again.

    Examples
    --------
    >>> mission = daxa.ROSATAllSky()
    """

    name = "rosat_all_sky"
    pretty_name = "RASS"
    id_regex = r"^(rs|RS)[0-9]{6}[a-zA-Z][0-9]{2}$"
    instruments = ("PSPC",)
    default_instruments = ("PSPC",)
    table = TapTable(
        "heasarc_tap",
        "rassmaster",
        columns={
            "ObsID": ("seq_id", "obsid"),
            "ra": "ra",
            "dec": "dec",
            "start": ("start_date", "start_time", "time"),
            "duration": "exposure",
        },
        optional={"end": ("end_date", "end_time", "stop_time")},
    )
    product_files = ROSATPointed.product_files
    products = _products(("PSPC",), "rs")

    def __init__(self, save_file_path: Any = None):
        super().__init__(None, save_file_path)

    @property
    def fov(self) -> Any:
        from astropy.units import Quantity

        return Quantity(180, "arcmin")

    def _rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        frame["ObsID"] = text(frame["ObsID"])
        frame["science_usable"] = True
        frame["target_category"] = "ASK"
        return frame

    def _folders(self, row: Any) -> list[tuple[str, str]]:
        return [(f"rosat/data/pspc/processed_data/900000/{row.ObsID.lower()}", "")]
