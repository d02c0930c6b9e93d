"""ASCA."""

from __future__ import annotations

from typing import Any

import pandas as pd

from daxa.mission.catalogue import TapTable
from daxa.mission.heasarc import HeasarcMission, Product, positive, target_types

_BANDS = {"lo": (0.4, 2.0), "all": (0.4, 10.0), "hi": (2.0, 10.0)}
_CODES = {"SIS0": "s0", "SIS1": "s1", "GIS2": "g2", "GIS3": "g3"}


class ASCA(HeasarcMission):
    """ASCA observations.

    Examples
    --------
    >>> mission = daxa.ASCA(["SIS0", "GIS2"])
    """

    name = "asca"
    pretty_name = "ASCA"
    id_regex = r"^[0-9]{8}$"
    instruments = ("SIS0", "SIS1", "GIS2", "GIS3")
    default_instruments = ("SIS0", "SIS1", "GIS2", "GIS3")
    aliases = {"S0": "SIS0", "S1": "SIS1", "G2": "GIS2", "G3": "GIS3"}
    table = TapTable(
        "heasarc_tap",
        "ascamaster",
        columns={
            "ObsID": ("sequence_number", "seq_number", "obsid"),
            "ra": "ra",
            "dec": "dec",
            "start": ("time", "start_time"),
            "duration": ("exposure", "gis_exposure", "sis_exposure"),
        },
        optional={
            "end": ("end_time", "stop_time"),
            "sis_exposure": "sis_exposure",
            "gis_exposure": "gis_exposure",
            "target_category": "subject_category",
            "target": "name",
        },
        id_width=8,
    )
    inst_files = {inst: rf"ad\d{{8}}{code}" for inst, code in _CODES.items()}
    skip = r"(^|/)index\.html$|^telem/"
    product_files = r"^(images|spectra|lcurves)/"
    # the sky images of the two SIS, and of the two GIS, are summed
    products = (
        *(Product("event list", rf"^screened/ad\d{{8}}{c}.*\.evt$", (i,)) for i, c in _CODES.items()),
        *(
            Product("image", rf"^images/ad\d{{8}}{kind}\d+_{tag}\.totsky$", (f"{kind.upper()}{n}",), band)
            for kind, numbers in (("sis", "01"), ("gis", "23"))
            for n in numbers
            for tag, band in _BANDS.items()
        ),
        Product("exposure map", r"^images/ad\d{8}sis\d+(_all)?\.totexp?o?$", ("SIS0", "SIS1")),
        Product("exposure map", r"^images/ad\d{8}gis\d+(_all)?\.totexp?o?$", ("GIS2", "GIS3")),
    )

    @property
    def fov(self) -> Any:
        from astropy.units import Quantity

        return {inst: Quantity(11 if inst.startswith("SIS") else 25, "arcmin") for inst in self.instruments}

    def _rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        known = [c for c in ("sis_exposure", "gis_exposure") if c in frame.columns] or ["duration"]
        frame["science_usable"] = positive(frame, known)
        frame["target_category"] = target_types(frame)
        return frame

    def _folders(self, row: Any) -> list[tuple[str, str]]:
        return [(f"asca/data/rev2/{row.ObsID}", "")]
