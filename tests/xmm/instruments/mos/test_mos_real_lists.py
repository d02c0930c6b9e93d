"""Energies and positions of real event lists, from their own columns through the engine's functions."""

from __future__ import annotations

import csv
import gzip
import re
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.formats.flags import MosFlag
from daxa.xmm.instruments.mos import energy
from daxa.xmm.sky.attcalc import sky_coordinates
from daxa.xmm.sky.attitude import Attitude
from daxa.xmm.sky.geometry import CameraGeometry
from daxa.xmm.sky.rotations import euler_matrix

DATES = {"0201901401": date(2004, 5, 9), "0201903501": date(2004, 6, 17)}
LISTS = [(obs_id, camera) for obs_id in DATES for camera in ("MOS1", "MOS2")]
EPOCH, LOSSES_OF = "2004-05/06", date(2004, 6, 1)


@pytest.fixture(scope="module")
def truth(shared_data: Path):
    """Rows of a table measured on real lists."""

    def read(name: str) -> list[dict[str, str]]:
        path = shared_data / "mos_truth" / name
        if not path.exists():
            pytest.skip(f"no {path}")
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt") as handle:
            return list(csv.DictReader(handle))

    return read


@pytest.fixture(scope="module", params=LISTS, ids="-".join)
def real_list(request, shared_data: Path):
    """ObsID, camera, events and header of a real list."""
    obs_id, camera = request.param
    path = shared_data / f"sas_products_{obs_id}" / "eclean" / f"{camera.lower()}_exp1_clean_evts.fits.gz"
    if not path.exists():
        pytest.skip(f"no {path}")
    with fits.open(path) as hdus:
        return obs_id, camera, np.array(hdus["EVENTS"].data), hdus["EVENTS"].header.copy()


def test_energies_follow_from_amplitudes(real_list, truth) -> None:
    obs_id, camera, events, _ = real_list
    days = (DATES[obs_id] - LOSSES_OF).days
    sections = [r for r in truth("column_offsets.csv.gz") if (r["camera"], r["epoch"]) == (camera, EPOCH)]
    for row in truth("gain_cti.csv"):
        if (row["camera"], row["epoch"]) != (camera, EPOCH):
            continue
        mine = events[events["CCDNR"] == int(row["ccd"])]
        column = np.full((603, 606), np.nan)
        for part in sections:
            if part["ccd"] == row["ccd"]:
                first, last = int(part["rawy_first_event"]), int(part["rawy_last_event"])
                column[first : last + 1, int(part["rawx"])] = float(part["offset_adu_rel_to_median"])
        column = column[mine["RAWY"], mine["RAWX"]]
        assert np.isfinite(column).all()
        n = {key: float(value or 0) for key, value in row.items() if key[:2] in ("cx", "cy")}
        corrected = energy.correct_transfer(
            mine["PHA"].astype(float),
            mine["RAWX"],
            mine["RAWY"],
            serial=(n["cx_adu_per_transfer_at_1000"], 0.0, n["cx_power"]),
            parallel=(n["cy_adu_per_transfer_at_1000"], 1e-6 * n["cy_slope_1e-6_adu_day"], n["cy_power"]),
            days=days,
            column_offset=column,
        )
        offset, gain = float(row["offset0_plus_median_column_eV"]), float(row["gain_eV_adu"])
        coefficients = [[offset, gain, 0.0]]
        for sizes in ("doubles", "triples", "quads"):
            more = float(row[f"{sizes}_offset_minus_singles_eV"])
            steeper = 1e-3 * float(row[f"{sizes}_gain_minus_singles_meV_adu"])
            coefficients.append([offset + more, gain + steeper, 0.0])
        rest = mine["PI"] - energy.apply_gain(corrected, mine["PATTERN"], np.array(coefficients))
        assert len(rest) > 1000
        assert np.sqrt(np.mean(rest**2)) < 1.1
        assert np.abs(rest).max() < 4.3


def _geometry(synthetic_ccf: Path, camera: str, obs_id: str, truth) -> CameraGeometry:
    """The camera of the synthetic set with the boresight measured in the list."""
    cal = Calibration.for_observation([synthetic_ccf], DATES[obs_id].isoformat())
    result = CameraGeometry.from_calibration(cal, f"E{camera}", 2e8)
    (angles,) = (
        [float(r[f"{name}_deg"]) for name in ("phi", "theta", "psi")]
        for r in truth("boresight.csv")
        if (r["obsid"], r["camera"]) == (obs_id, camera)
    )
    result.boresight = euler_matrix(*angles)
    return result


def test_detector_coordinates_follow_from_pixels(real_list, synthetic_ccf: Path) -> None:
    obs_id, camera, events, _ = real_list
    cal = Calibration.for_observation([synthetic_ccf], DATES[obs_id].isoformat())
    geometry = CameraGeometry.from_calibration(cal, f"E{camera}", 2e8)
    exact = geometry.raw_to_det(events["CCDNR"], events["RAWX"], events["RAWY"])
    for name, position in zip(("DETX", "DETY"), exact, strict=True):
        # Half a pixel of randomisation and half a unit of rounding.
        assert np.abs(events[name] - position).max() < 11.012 + 0.5


def test_sky_coordinates_follow_from_the_attitude(real_list, truth, synthetic_ccf, shared_data) -> None:
    obs_id, camera, events, header = real_list
    geometry = _geometry(synthetic_ccf, camera, obs_id, truth)
    path = shared_data / f"sas_products_{obs_id}" / "emchain" / f"P{obs_id}OBX000ATTTSR0000.FIT.gz"
    history = fits.getdata(path, "ATTHK")
    time, ra, dec, pa = (np.array(history[name], float) for name in ("TIME", "AHFRA", "AHFDEC", "AHFPA"))
    attitude = Attitude(time, time, ra, dec, pa, np.zeros(len(time), bool), "ATTHK")
    x, y = sky_coordinates(
        events["TIME"], events["DETX"], events["DETY"], geometry, attitude, header["TCRVL6"], header["TCRVL7"]
    )
    rest = np.array([events["X"] - x, events["Y"] - y]).astype(float)
    assert np.sqrt(np.mean(rest**2)) <= 0.35
    assert np.abs(rest).max() <= 1.1


def test_flags_are_those_of_the_header(real_list) -> None:
    cards = [c for c in real_list[3].cards if re.fullmatch(r"XMMEA_\d+", c.keyword)]
    named = {c.comment.strip(): int(c.keyword[6:]) for c in cards}
    assert len(named) == 20
    assert {name: MosFlag[name].bit_length() - 1 for name in named} == named
