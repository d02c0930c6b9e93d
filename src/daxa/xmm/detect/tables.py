"""Rows of source lists: per source one for all images, one for each camera, one for each image.

Source: manuals of eboxdetect and emldetect (columns; rates of a camera are the sums of its bands, those of
all the sums of the cameras; hardness ratios between neighbouring bands).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.detect import likelihood
from daxa.xmm.detect.boxes import Box
from daxa.xmm.detect.field import Field
from daxa.xmm.detect.fit import Source
from daxa.xmm.formats.sources import CAMERA_NUMBERS, RATIOS

FloatArray = npt.NDArray[np.float64]
ToSky = Callable[[float, float], tuple[float, float]]


@dataclass(frozen=True)
class _Row:
    """Which images a row speaks of; numbers of camera and band, 0 for all."""

    camera: int
    band: int
    images: npt.NDArray[np.intp]


def _rows(field: Field) -> Iterator[_Row]:
    cameras = np.array([CAMERA_NUMBERS[i.instrument] for i in field.images])
    bands = np.array([i.band for i in field.images])
    yield _Row(0, 0, np.arange(len(cameras)))
    for camera in np.unique(cameras):
        yield _Row(int(camera), 0, np.flatnonzero(cameras == camera))
        for k in np.flatnonzero(cameras == camera):
            yield _Row(int(camera), int(bands[k]), np.array([k]))


def hardness(rates: FloatArray, errors: FloatArray) -> dict[str, float]:
    """Hardness ratios ``(harder - softer) / (harder + softer)`` of neighbouring bands, with their errors.

    Parameters
    ----------
    rates, errors
        Of the bands, the softest first; NaN where a band is not known.

    Examples
    --------
    >>> hardness(np.array([1.0, 3.0]), np.array([0.1, 0.1]))["HR1"]
    0.5
    """
    result = {f"HR{k}{end}": np.nan for k in range(1, RATIOS + 1) for end in ("", "_ERR")}
    for k in range(min(RATIOS, len(rates) - 1)):
        (soft, hard), (soft_error, hard_error) = rates[k : k + 2], errors[k : k + 2]
        total = soft + hard
        if total > 0:
            result[f"HR{k + 1}"] = float((hard - soft) / total)
            spread = np.hypot(soft * hard_error, hard * soft_error)
            result[f"HR{k + 1}_ERR"] = float(2 * spread / total**2)
    return result


def _nearest(x: FloatArray, y: FloatArray) -> FloatArray:
    """Distance of each place from the next one [pixel]; NaN for a single one."""
    if len(x) < 2:
        return np.full(len(x), np.nan)
    distance = np.hypot(x[:, None] - x, y[:, None] - y)
    np.fill_diagonal(distance, np.inf)
    return distance.min(axis=1)


def _sums(field: Field, row: _Row, rate: FloatArray, error: FloatArray) -> dict[str, float]:
    """Rate, flux and hardness of a row, from those of the images."""
    here = row.images[np.isfinite(rate[row.images])]
    ecf = np.array([i.ecf for i in field.images])
    values = {
        "RATE": float(rate[here].sum()) if len(here) else np.nan,
        "RATE_ERR": float(np.sqrt((error[here] ** 2).sum())) if len(here) else np.nan,
        "FLUX": np.nan,
        "FLUX_ERR": np.nan,
    }
    if len(here) and (ecf[here] > 0).all():
        flux, spread = rate[here] / ecf[here] * 1e-11, error[here] / ecf[here] * 1e-11
        if row.camera:
            values["FLUX"], values["FLUX_ERR"] = float(flux.sum()), float(np.sqrt((spread**2).sum()))
        else:
            # Cameras measure the same flux: their mean, by the weights of their errors.
            cameras = np.array([field.images[k].instrument for k in here])
            sums = np.array([flux[cameras == c].sum() for c in np.unique(cameras)])
            weights = np.array(
                [1 / max((spread[cameras == c] ** 2).sum(), 1e-60) for c in np.unique(cameras)]
            )
            values["FLUX"] = float((sums * weights).sum() / weights.sum())
            values["FLUX_ERR"] = float(1 / np.sqrt(weights.sum()))
    bands = sorted({i.band for i in field.images})
    of_bands = [[k for k in here if field.images[k].band == band] for band in bands]
    if row.band:
        of_bands = []
    sums = np.array([rate[k].sum() if k else np.nan for k in of_bands])
    errors = np.array([np.sqrt((error[k] ** 2).sum()) if k else np.nan for k in of_bands])
    return values | hardness(sums, errors)


def _galactic(ra_deg: FloatArray, dec_deg: FloatArray) -> tuple[FloatArray, FloatArray]:
    from astropy.coordinates import SkyCoord

    place = SkyCoord(ra_deg, dec_deg, unit="deg", frame="fk5").galactic
    return place.l.deg, place.b.deg


def _columns(rows: list[dict[str, Any]], names: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    columns = {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}
    if rows:
        columns["LII"], columns["BII"] = _galactic(columns["RA"], columns["DEC"])
    return columns


def box_rows(
    field: Field, boxes: Sequence[Box], to_sky: ToSky, names: Sequence[str]
) -> dict[str, npt.NDArray[Any]]:
    """Columns of the list of eboxdetect.

    Parameters
    ----------
    field
        The images.
    boxes
        What was found in them.
    to_sky
        RA and Dec [deg] of a 0-based pixel (x, y).
    names
        Names of the columns.
    """
    rows: list[dict[str, Any]] = []
    nearest = _nearest(np.array([b.x for b in boxes]), np.array([b.y for b in boxes]))
    for number, box in enumerate(boxes, start=1):
        likelihoods, counts, background, exposure = np.array(box.of_image).T
        # A circle as large as the box.
        radius = box.side / np.sqrt(np.pi) * field.pixel_arcsec
        within = np.array([i.king(box.x, box.y).enclosed(radius) for i in field.images])
        source, error = (counts - background) / within, np.sqrt(counts + 0.75) / within
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = np.where(exposure > 0, source / exposure, np.nan)
            rate_error = np.where(exposure > 0, error / exposure, np.nan)
        seen = np.isfinite(background)
        place_error = box.side / np.sqrt(12 * max(float(np.nansum(counts[seen])), 1.0))
        ra, dec = to_sky(box.x, box.y)
        for row in _rows(field):
            here = row.images[seen[row.images]]
            rows.append(
                {
                    "BOX_ID_SRC": number, "ID_INST": row.camera, "ID_BAND": row.band,
                    "SCTS": source[here].sum(), "SCTS_ERR": np.sqrt((error[here] ** 2).sum()),
                    "X_IMA": box.x + 1, "X_IMA_ERR": place_error,
                    "Y_IMA": box.y + 1, "Y_IMA_ERR": place_error,
                    "BOX_CTS": counts[here].sum(),
                    "LIKE": float(likelihood.of_boxes(likelihoods[here].sum(), len(here))[0]),
                    "BG_MAP": background[here].sum() / box.side**2,
                    "EXP_MAP": exposure[here].mean() if len(here) else np.nan,
                    **_sums(field, row, rate, rate_error),
                    "RA": ra, "DEC": dec, "RADEC_ERR": np.sqrt(2) * place_error * field.pixel_arcsec,
                    "BOX_SIZE": box.side, "EEF": within[here].mean() if len(here) else np.nan,
                    "DIST_NN": nearest[number - 1] * field.pixel_arcsec,
                }
            )  # fmt: skip
    return _columns(rows, names)


def source_rows(
    field: Field, sources: Sequence[Source], to_sky: ToSky, names: Sequence[str], *, free: int
) -> dict[str, npt.NDArray[Any]]:
    """Columns of the list of emldetect.

    Parameters
    ----------
    field
        The images.
    sources
        What was fitted to them.
    to_sky
        RA and Dec [deg] of a 0-based pixel (x, y).
    names
        Names of the columns.
    free
        Number of free parameters of a place: 2, or 0.
    """
    rows: list[dict[str, Any]] = []
    nearest = _nearest(np.array([s.x for s in sources]), np.array([s.y for s in sources]))
    for number, source in enumerate(sources, start=1):
        ra, dec = to_sky(source.x, source.y)
        seen = np.isfinite(source.rate)
        for row in _rows(field):
            here = row.images[seen[row.images]]
            more = free + (source.extent > 0)
            gain = float(source.of_image[here].sum())
            rows.append(
                {
                    "ML_ID_SRC": number, "BOX_ID_SRC": source.number,
                    "ID_INST": row.camera, "ID_BAND": row.band,
                    "SCTS": source.counts[here].sum(),
                    "SCTS_ERR": np.sqrt((source.counts_error[here] ** 2).sum()),
                    "X_IMA": source.x + 1, "X_IMA_ERR": source.x_error,
                    "Y_IMA": source.y + 1, "Y_IMA_ERR": source.y_error,
                    "EXT": source.extent, "EXT_ERR": source.extent_error,
                    "DET_ML": likelihood.of_fit(gain, len(here) + more) if len(here) else 0.0,
                    "EXT_ML": source.extent_likelihood if row.camera == 0 else np.nan,
                    "BG_MAP": source.background[here].sum(),
                    "EXP_MAP": source.exposure[here].mean() if len(here) else np.nan,
                    **_sums(field, row, source.rate, source.rate_error),
                    "RA": ra, "DEC": dec,
                    "RADEC_ERR": float(np.hypot(source.x_error, source.y_error)) * field.pixel_arcsec,
                    "OFFAX": np.mean([field.images[k].off_axis(source.x, source.y) for k in row.images]),
                    "CUTRAD": source.cut,
                    "MASKFRAC": source.covered[here].mean() if len(here) else 0.0,
                    "EEF": source.within[here].mean() if len(here) else np.nan,
                    "DIST_NN": nearest[number - 1] * field.pixel_arcsec,
                }
            )  # fmt: skip
    return _columns(rows, names)
