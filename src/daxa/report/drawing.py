"""Which images of an observation there are, and how they become pictures of one scale."""

from __future__ import annotations

import re
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from daxa.archive import layout
from daxa.report import rasters, skymap
from daxa.report.products import CAMERAS, Reader, Values
from daxa.xmm.fits.file import FitsFile

_IMAGE = re.compile(r"-inst([A-Z0-9]+)-subexpALL-en([\d.]+)_([\d.]+)keV(?:-px([\d.]+)arcsec)?-image\.fits$")
_MOSAIC = re.compile(r"^(.+)-en([\d.]+)_([\d.]+)keV(?:-px([\d.]+)arcsec)?-image\.fits$")
#: Kinds of pictures: colours, whether brightness is in proportion.
KINDS = {"rate": ("inferno", False), "exposure": ("viridis", True), "oot": ("inferno", False)}
#: Order of the cameras on a page.
_ORDER = ("M1", "M2", "PN", "ALL")
#: A position angle of 0 is north.
_WINDS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")


def band_text(low: float, high: float, pixel: float | None = None) -> str:
    """An energy band as it is read, with the size of the pixels where that is not the usual one.

    Parameters
    ----------
    low, high
        Its limits [keV].
    pixel
        Size of the pixels [arcsec]; None for the usual one.

    Examples
    --------
    >>> band_text(0.5, 2.0)
    '0.5–2 keV'
    """
    return f"{low:g}–{high:g} keV" + ("" if pixel is None else f", pixels of {pixel:g}″")


def observation_pictures(reader: Reader, obs_id: str, sources: list[Values] | None, scratch: Path) -> Values:
    """Pixels of all images of an observation, kept until the scale is known, and what is said of them.

    Parameters
    ----------
    reader
        Reader of the observation's folder; what cannot be read is among its problems.
    obs_id
        The observation.
    sources
        Sources that are marked.
    scratch
        Folder for the pixels.

    Returns
    -------
    values
        ``frames`` (shape -> coordinates around it and marks), ``pictures`` (camera, band, kind, brightness,
        counts, what is seen, file of the pixels) and ``outline`` (polygons on the sky).
    """
    named = []
    for path in reader.files("images/*-image.fits"):
        name = _IMAGE.search(path.name)
        if name:
            named.append(_named(path, name))
    named.sort(key=lambda n: (n[2], n[3], n[4] or 0.0, _ORDER.index(n[1]) if n[1] in _ORDER else 9))
    return _pictures(reader, named, sources, scratch, obs_id)


def mosaic_pictures(reader: Reader, scratch: Path) -> Values:
    """The same of the mosaics of several observations.

    Parameters
    ----------
    reader
        Reader of the archive's folder of mosaics.
    scratch
        Folder for the pixels.
    """
    named = []
    for path in reader.files("*-image.fits"):
        name = _MOSAIC.search(path.name)
        if name:
            named.append(_named(path, name))
    return _pictures(reader, named, None, scratch, "")


def _named(path: Path, name: re.Match[str]) -> tuple[Path, str, float, float, float | None]:
    """An image with what its name says: camera or field, band, size of the pixels."""
    return path, name[1], float(name[2]), float(name[3]), float(name[4]) if name[4] else None


def _pictures(
    reader: Reader, named: list[Any], sources: list[Values] | None, scratch: Path, obs_id: str
) -> Values:
    """Read, cut and keep the images, each with its exposure map."""
    opened = []
    for path, inst, low, high, pixel in named:
        with reader.trying(path):
            counts, header, wcs = rasters.read_image(path)
            exposure = _exposure(reader, path)
            if exposure is not None and exposure.shape != counts.shape:
                reader.note(path, ValueError(f"its exposure map has {exposure.shape} pixels"))
                exposure = None
            opened.append((path, inst, low, high, pixel, counts, exposure, header, wcs))
    frames = _frames(opened)
    found: Values = {"frames": {}, "pictures": [], "outline": []}
    for key, frame in frames.items():
        shown = {"width": frame.width, "height": frame.height, "marks": []}
        found["frames"][key] = asdict(rasters.Around()) | shown
        with reader.trying(reader.folder / "images"):
            found["frames"][key] |= asdict(rasters.around(frame)) | {"marks": _marks(frame, sources)}
    exposed: dict[str, Any] = {}
    for number, (path, inst, low, high, pixel, counts, exposure, header, wcs) in enumerate(opened):
        key = _key(counts, wcs)
        frame = frames[key]
        shared = {"inst": inst, "low": low, "high": high, "pixel": pixel, "frame": key}
        shared["band"] = band_text(low, high, pixel)
        cut = frame.cut(counts)
        time = None if exposure is None else frame.cut(exposure)
        with reader.trying(path):
            rate = rasters.rate_image(cut, time)
            told = _seen(inst, shared["band"], cut, rate, frame)
            unit = "counts per pixel" if time is None else "ct/s per pixel"
            _keep(found, scratch, f"{number}-rate", rate, shared, "rate", told, unit, int(cut.sum()))
            if time is not None:
                told = _exposure_seen(inst, shared["band"], time)
                _keep(found, scratch, f"{number}-exposure", time, shared, "exposure", told, "s", 0)
                exposed[key] = exposed.get(key, False) | (exposure > 0)
        if inst == "PN" and obs_id:
            _out_of_time(reader, obs_id, (low, high), header, frame, time, shared, found, scratch, number)
    for key, mask in exposed.items():
        with reader.trying(reader.folder / "images"):
            found["outline"] += skymap.outline(mask, frames[key].wcs)
    return found


def _marks(frame: rasters.Frame, sources: list[Values] | None) -> list[list[float]]:
    """Where sources are in a picture."""
    placed = [(s["ra"], s["dec"]) for s in sources or [] if None not in (s.get("ra"), s.get("dec"))]
    if not placed:
        return []
    return [
        [round(float(x), 1), round(float(y), 1)] for x, y in rasters.place(frame, *zip(*placed, strict=True))
    ]


def _exposure(reader: Reader, image: Path) -> Any:
    """The exposure map of an image; None where there is none that can be read."""
    path = image.with_name(image.name.replace("-image.fits", "-expmap.fits"))
    if path.exists():
        with reader.trying(path):
            return rasters.read_image(path)[0]
    return None


def _key(counts: Any, wcs: Any) -> str:
    """Images of one key lie on the same pixels."""
    place = ",".join(f"{v:.6g}" for v in (*wcs.wcs.crval, *wcs.wcs.crpix, *wcs.wcs.cdelt))
    return f"{counts.shape[0]}x{counts.shape[1]} {place}"


def _frames(opened: list[Any]) -> dict[str, rasters.Frame]:
    """One part for all images of the same pixels, so that they can be compared."""
    shown: dict[str, Any] = {}
    systems = {}
    for *_, counts, exposure, _, wcs in opened:
        key = _key(counts, wcs)
        shown[key] = shown.get(key, False) | (counts > 0 if exposure is None else exposure > 0)
        systems[key] = wcs
    return {key: rasters.frame_of(mask, systems[key]) for key, mask in shown.items()}


def _keep(
    found: Values, scratch: Path, stem: str, data: Any, shared: Values, kind: str, told: str, unit: str,
    counts: int,
) -> None:  # fmt: skip
    file = scratch / f"{stem}.npy"
    np.save(file, np.asarray(data, np.float32))
    top = float(data.max()) if kind == "exposure" else rasters.top_of(data)
    found["pictures"].append(
        {**shared, "kind": kind, "top": top, "counts": counts, "alt": told, "unit": unit, "pixels": str(file)}
    )


def _out_of_time(
    reader: Reader, obs_id: str, band: tuple[float, float], header: Any, frame: rasters.Frame, time: Any,
    shared: Values, found: Values, scratch: Path, number: int,
) -> None:  # fmt: skip
    """The list of out-of-time events of pn, on the pixels of the image."""
    for path in reader.files(layout.final_events(obs_id, "PN", "*", oot=True))[:1]:
        with reader.trying(path):
            data = FitsFile(path)["EVENTS"].data
            chosen = (data["PI"] >= band[0] * 1000) & (data["PI"] < band[1] * 1000)
            places = []
            for axis, column in ((1, "X"), (2, "Y")):
                start, step = header[f"CRVAL{axis}L"], header[f"CDELT{axis}L"]
                at = (np.asarray(data[column][chosen], float) - start) / step + header[f"CRPIX{axis}L"] - 1
                places.append(at)
            edges = [np.arange(length + 1) - 0.5 for length in frame.shape]
            counts = np.histogram2d(places[1], places[0], edges)[0]
            rate = rasters.rate_image(frame.cut(counts), time)
            told = (
                f"pn, {shared['band']}: {int(counts.sum()):,} events spread along the columns of their CCDs, "
                "as if each had arrived while the CCD was read out; bright sources become stripes"
            )
            _keep(
                found,
                scratch,
                f"{number}-oot",
                rate,
                shared,
                "oot",
                told,
                "ct/s per pixel",
                int(counts.sum()),
            )


def _seen(inst: str, band: str, counts: Any, rate: Any, frame: rasters.Frame) -> str:
    """What an image shows, in words."""
    name = CAMERAS.get(inst, inst)
    total = int(counts.sum())
    if not total or not rate.max() > 0:
        return f"{name} image, {band}: empty"
    row, column = np.unravel_index(int(np.argmax(rate)), rate.shape)
    scale = rasters.arcmin_per_pixel(frame)
    up, right = (row - frame.height / 2) * scale, (column - frame.width / 2) * scale
    away = float(np.hypot(up, right))
    where = "in the middle"
    if away >= 1:
        angle = np.degrees(np.arctan2(-right, up)) % 360
        where = f"{away:.0f}′ {_WINDS[round(angle / 45) % 8]} of the middle"
    times = rate.max() / max(float(np.median(rate[rate > 0])), 1e-12)
    return f"{name} image, {band}: {total:,} counts; brightest {where}, {times:,.0f} times the median"


def _exposure_seen(inst: str, band: str, time: Any) -> str:
    name = CAMERAS.get(inst, inst)
    covered = time > 0
    if not covered.any():
        return f"{name} exposure map, {band}: no exposure anywhere"
    return (
        f"{name} exposure map, {band}: {time.max() / 1000:.1f} ks where it is longest, falling to "
        f"{np.percentile(time[covered], 5) / 1000:.1f} ks towards the edges; gaps between CCDs are dark"
    )


def draw(pictures: list[Values], scales: dict[str, float], folder: Path, stem: str) -> None:
    """Write the pictures of an observation; their pixels are given up.

    Parameters
    ----------
    pictures
        As `observation_pictures` returns them; each gets its ``file`` and the ``limit`` of its scale.
    scales
        Key of a scale, as `scale_key` gives it, -> where it ends.
    folder
        Folder of the pictures.
    stem
        Start of their names.
    """
    for one in pictures:
        colours, linear = KINDS[one["kind"]]
        one["limit"] = scales[scale_key(one)]
        size = "" if one["pixel"] is None else f"-px{one['pixel']:g}"
        one["file"] = f"{stem}-{one['inst']}-{one['low']:g}-{one['high']:g}{size}-{one['kind']}.png"
        pixels = Path(one.pop("pixels"))
        rasters.write_picture(np.load(pixels), folder / one["file"], one["limit"], colours, linear)
        pixels.unlink()


def scale_key(picture: Values) -> str:
    """Pictures of one key share a scale.

    Parameters
    ----------
    picture
        One of those of `observation_pictures`.
    """
    kind = "exposure" if picture["kind"] == "exposure" else f"rate {picture['unit']}"
    # A larger pixel has more counts.
    size = "" if picture["pixel"] is None else f" {picture['pixel']:g}"
    return f"{kind} {picture['low']:g}-{picture['high']:g}{size}"


def scales_of(pictures: list[Values]) -> dict[str, float]:
    """Where the scales end: at the longest exposure; between the medians of the brightnesses of the cameras.

    Parameters
    ----------
    pictures
        Those of all observations.
    """
    tops: dict[str, dict[str, list[float]]] = {}
    for one in pictures:
        cameras = tops.setdefault(scale_key(one), {})
        # Stripes of out-of-time events take the scale of the images.
        if one["kind"] != "oot" and one["top"] > 0:
            cameras.setdefault(one["inst"], []).append(one["top"])
    found = {}
    for key, cameras in tops.items():
        if key.startswith("exposure"):
            top = max((t for values in cameras.values() for t in values), default=0.0)
        else:
            medians = [statistics.median(values) for values in cameras.values()]
            top = statistics.geometric_mean(medians) if medians else 0.0
        found[key] = rasters.round_up(top)
    return found
