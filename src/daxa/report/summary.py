"""What an archive holds, as tables."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daxa.archive import layout
from daxa.exceptions import DAXAError
from daxa.xmm.formats.odf_names import OdfName

if TYPE_CHECKING:
    from daxa.archive import Archive

#: ODF file types that hold events.
EVENT_FILES = ("IME", "RIE", "TIE", "CTE", "BUE", "SPE", "HTE")


def status_table(archive: Archive) -> list[dict[str, Any]]:
    """One row per step: pieces done, failed, out of date, at work and not begun, warnings, time spent.

    Parameters
    ----------
    archive
        The archive.

    Returns
    -------
    rows
        ``mission``, ``step``, ``done``, ``stale`` (those of them that are out of date), ``failed``,
        ``running``, ``interrupted`` (begun, and never ended), ``pending`` (not begun by the last call, as far
        as it got to know of them), ``warnings``, ``seconds`` (wall clock,
        summed) and ``memory_mb`` (largest), in the order the steps were first run.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    in_work = archive.in_work
    for total in archive.ledger.totals():
        row = rows[total["mission"], total["process"]] = _empty(total["mission"], total["process"])
        row |= {k: total[k] for k in ("done", "failed", "interrupted", "warnings")}
        # What nobody works on any more did not end.
        row["running" if in_work else "interrupted"] += total["running"]
        row["seconds"] = round(total["wall_s"], 1)
        row["memory_mb"] = round(total["memory_bytes"] / 1e6)
    for mission, processes in archive.stale.items():
        for process, idents in processes.items():
            rows[mission, process]["stale"] += len(idents)
    for mission, steps in archive.ledger.meta("planned", {}).items():
        for step, number in steps.items():
            row = rows.setdefault((mission, step), _empty(mission, step))
            begun = sum(row[k] for k in ("done", "failed", "running", "interrupted"))
            row["pending"] = max(0, number - begun)
    return list(rows.values())


def _empty(mission: str, step: str) -> dict[str, Any]:
    return {
        "mission": mission,
        "step": step,
        "done": 0,
        "stale": 0,
        "failed": 0,
        "running": 0,
        "interrupted": 0,
        "pending": 0,
        "warnings": 0,
        "seconds": 0.0,
        "memory_mb": 0,
    }


def raw_event_counts(folder: Path) -> dict[str, int]:
    """Rows of all event files of an unpacked ODF, per camera; of one with a damaged file nothing.

    Parameters
    ----------
    folder
        Folder of the raw files.
    """
    from astropy.io import fits

    counts: dict[str, int] = {}
    damaged = set()
    for path in sorted(folder.rglob("*")):
        name = OdfName.parse(path.name)
        if name is not None and name.is_science and name.file_type in EVENT_FILES:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # what they say of a damaged file is known here
                    rows = int(fits.getheader(path, 1)["NAXIS2"])
            except (OSError, LookupError, ValueError):
                damaged.add(name.instrument)
            else:
                counts[name.instrument] = counts.get(name.instrument, 0) + rows
    return {camera: number for camera, number in counts.items() if camera not in damaged}


def product_table(archive: Archive) -> list[dict[str, Any]]:
    """One row per observation and camera that has a final event list.

    Parameters
    ----------
    archive
        The archive.

    Returns
    -------
    rows
        ``mission``, ``ObsID``, ``camera``, ``exposures`` (sub-exposures), ``raw events``, ``clean events``,
        ``exposure before [s]`` and ``exposure after [s]`` (live time of the prime CCD, before and after the
        removal of flares) and ``files`` (products of that camera).

    Warns
    -----
    UserWarning
        Names a list that cannot be read; it has no row.
    """
    from astropy.io import fits

    rows = []
    for mission in archive.missions:
        for obs_id in mission.filtered_obs_ids:
            folder = Path(archive.get_current_data_path(mission, obs_id))
            try:
                raw = raw_event_counts(Path(mission.get_obs_path(obs_id)))
            except (OSError, DAXAError):
                # Raw data may have been deleted to save space.
                raw = {}
            for inst in mission.chosen_instruments:
                final = folder / layout.final_events(obs_id, inst)
                if not final.exists():
                    continue
                chain = sorted(folder.glob(layout.events(obs_id, inst, "*")))
                try:
                    before = sum(float(fits.getheader(p, "EVENTS").get("LIVETIME", 0.0)) for p in chain)
                    header = fits.getheader(final, "EVENTS")
                except (OSError, KeyError, ValueError) as failure:
                    warnings.warn(f"{final}: it or its parts cannot be read ({failure})", stacklevel=2)
                    continue
                rows.append(
                    {
                        "mission": mission.name,
                        "ObsID": obs_id,
                        "camera": inst,
                        "exposures": len(chain),
                        "raw events": raw.get(inst),
                        "clean events": int(header["NAXIS2"]),
                        "exposure before [s]": round(before, 1),
                        "exposure after [s]": round(float(header.get("LIVETIME", 0.0)), 1),
                        "files": sum(1 for _ in folder.glob(f"*/*inst{inst}-*.fits")),
                    }
                )
    return rows


def image_pairs(archive: Archive) -> list[tuple[str, str, Path, Path]]:
    """``(ObsID, band, image, exposure map)`` of every image that has an exposure map.

    Parameters
    ----------
    archive
        The archive.
    """
    pairs = []
    for mission in archive.missions:
        for obs_id in mission.filtered_obs_ids:
            folder = Path(archive.get_current_data_path(mission, obs_id)) / "images"
            for image in sorted(folder.glob("*-image.fits")):
                expmap = image.with_name(image.name.replace("-image.fits", "-expmap.fits"))
                if expmap.exists():
                    band = image.name.rpartition("-en")[2].removesuffix("-image.fits")
                    pairs.append((obs_id, band, image, expmap))
    return pairs


def combined_images(archive: Archive, band: str | None = None) -> tuple[list[str], list[str]]:
    """Images and exposure maps of one energy band, of all cameras and observations.

    Parameters
    ----------
    archive
        The archive.
    band
        As in file names, e.g. ``0.5_2.0keV``; the softest by default.

    Returns
    -------
    images, exposure_maps
        Paths, in the same order; those of single cameras only.
    """
    pairs = image_pairs(archive)
    # Of images of one band those of the usual pixels come first.
    bands = sorted({b for _, b, _, _ in pairs}, key=lambda text: (float(text.partition("_")[0]), text))
    if not bands:
        return [], []
    # Mosaics of the cameras hold the same photons once more.
    mosaic = f"-inst{layout.ALL}-"
    of_band = [(str(i), str(e)) for _, b, i, e in pairs if b == (band or bands[0]) and mosaic not in i.name]
    return [i for i, _ in of_band], [e for _, e in of_band]
