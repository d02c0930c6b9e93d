"""Mosaics: the images of an observation's cameras, and of observations that see the same part of the sky."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from daxa.archive import layout
from daxa.archive.run import Run
from daxa.archive.staleness import generation
from daxa.archive.views import error_text
from daxa.backend.contract import Job, Task
from daxa.backend.runner import run_job
from daxa.exceptions import NoDependencyProcessError
from daxa.process.arguments import check_bool
from daxa.process.done import why_again
from daxa.process.naming import plain
from daxa.process.options import Running, argument
from daxa.process.public import public
from daxa.process.recording import new_run, now, seen_by, take_outcome, versions
from daxa.process.runner import run_steps
from daxa.process.settings import redo_mode
from daxa.process.step import EPIC, Piece, Recipe, Step
from daxa.process.tell import tell
from daxa.process.xmm.fields import field_name, group
from daxa.process.xmm.generate import ImageOptions
from daxa.process.xmm.setup import ALLOWED

if TYPE_CHECKING:
    from daxa.archive import Archive

#: Products of a mosaic: name -> the task's parameter.
MOSAIC_KINDS = {"image": "mosaicedset", "expmap": "expmosaicset", "rate": "ratemosaicset"}
WEIGHTINGS = ("area", "time")


@dataclass(frozen=True, eq=False)
class MosaicOptions(ImageOptions):
    """Options of mosaics."""

    weighting: Literal["area", "time"] = argument(
        "area",
        "``area``: the exposure of each camera is multiplied by its effective area (telescope, filter, "
        "detector; on axis, averaged over a power law of photon index 1.7) in units of that of the pn, or of "
        "the first camera where there is no pn. The rate is what the pn would see at its optical axis, "
        "whichever cameras contribute, so that it has no steps at chip gaps; this holds for sources of about "
        "that spectrum, not for particles and noise. ``time``: exposures are added as they are, and the rate "
        "is the mean of the cameras'.",
    )

    def check(self) -> None:
        if self.weighting not in WEIGHTINGS:
            raise ValueError(f"weighting: expected {' or '.join(WEIGHTINGS)}, got {self.weighting!r}")
        super().check()


@dataclass(frozen=True, eq=False)
class FieldOptions(MosaicOptions):
    """Options of `generate_mosaics`."""

    whole_archive: bool = argument(
        True,
        "Combine observations too: those whose centres are less than half a degree from another's make one "
        "field, in the archive's folder ``mosaics``.",
    )

    def check(self) -> None:
        check_bool("whole_archive", self.whole_archive)
        super().check()

    def given(self) -> dict[str, Any]:
        # What is made of an observation does not depend on it.
        return {name: value for name, value in super().given().items() if name != "whole_archive"}


def _mosaic_task(images: list[Path], maps: list[Path], weighting: str, stem: str) -> Task:
    return Task(
        "emosaic",
        imagesets=[str(p) for p in images],
        exposuremaps=[str(p) for p in maps],
        withexposure=True,
        weighting=weighting,
        **{parameter: f"{stem}_{kind}.fits" for kind, parameter in MOSAIC_KINDS.items()},
    )


def _camera_images(piece: Piece, band: str) -> tuple[list[Path], list[Path]]:
    """Images and exposure maps of an observation's cameras."""
    images, maps = [], []
    for inst in EPIC:
        ident = f"{piece.obs_id}{inst}"
        image = piece.made_if_any("generate_images_expmaps", f"image_{band}", ident=ident)
        if image is not None:
            images.append(image)
            maps.append(piece.made("generate_images_expmaps", f"expmap_{band}", ident=ident))
    return images, maps


def _mosaics(piece: Piece, options: MosaicOptions) -> Recipe:
    tasks, outputs, files = [], {}, {}
    for number, (lo, hi) in enumerate(options.bands):
        band = layout.energy_text(lo, hi)
        images, maps = _camera_images(piece, band)
        if not images:
            raise NoDependencyProcessError(
                f"{piece.ident}: no images of {band}; generate_images_expmaps must make that band first"
            )
        tasks.append(_mosaic_task(images, maps, options.weighting, f"band{number}"))
        for kind, name in (
            ("image", layout.image(piece.obs_id, layout.ALL, lo, hi)),
            ("expmap", layout.exposure_map(piece.obs_id, layout.ALL, lo, hi)),
            ("rate", layout.rate_map(piece.obs_id, layout.ALL, lo, hi)),
        ):
            outputs[f"band{number}_{kind}.fits"] = files[f"{kind}_{band}"] = name
    return Recipe(tasks, outputs, env=piece.environment(summary=False), files=files)


GENERATE_MOSAICS = Step(
    "generate_mosaics",
    "Combining the images of cameras",
    "observation",
    _mosaics,
    needs=lambda inst, options: ("generate_images_expmaps",),
    # SAS's emosaic gives neither exposure nor rate.
    backend="embedded",
)


def _check_bands(archive: Archive, options: MosaicOptions) -> None:
    """Refuse bands of which there is no image at all, before anything is run."""
    runs = archive.ledger.runs(process="generate_images_expmaps", logs=False)
    made = {key.removeprefix("image_") for run in runs for key in run.extra if key.startswith("image_")}
    wanted = [layout.energy_text(lo, hi) for lo, hi in options.bands]
    lacking = [band for band in wanted if band not in made]
    if made and lacking:
        raise ValueError(
            f"lo_en, hi_en: no images of {', '.join(lacking)}; there are of {', '.join(sorted(made))}"
        )


@dataclass
class _Seen:
    """An observation with images in a band."""

    ra_deg: float
    dec_deg: float
    piece: Piece
    images: list[Path]
    maps: list[Path]


def field_mosaics(
    archive: Archive, options: MosaicOptions, limit_s: float | None = None, redo: str = "changed"
) -> list[Path]:
    """Combine all images of each field; fields are named after their first observation's pointing.

    Each is a run of `generate_mosaics` in the ledger, among those of its first observation; one that would be
    made of the same again is left as it is.

    Parameters
    ----------
    archive
        The archive; the images of its observations are there.
    options
        Bands of the mosaics.
    limit_s
        How long one may take [s]; None: as long as it needs.
    redo
        What is made again, as `redoing` takes it.

    Returns
    -------
    paths
        Images, exposure maps and rates.

    Warns
    -----
    UserWarning
        Names the mosaic that could not be made, and why.
    """
    paths: list[Path] = []
    folder = archive.layout.mosaics
    for left in folder.glob(".*.part"):
        left.unlink()
    for ident, chosen, finals in fields(archive, options.bands):
        if _field_mosaic(archive, ident, chosen, finals, options, limit_s, redo):
            paths += finals.values()
    return paths


def fields(
    archive: Archive, bands: Sequence[tuple[float, float]]
) -> Iterator[tuple[str, list[_Seen], dict[str, Path]]]:
    """Mosaics of fields: identifier, the observations that are combined, kind -> where its file is.

    Parameters
    ----------
    archive
        The archive.
    bands
        Energy bands [keV].
    """
    folder = archive.layout.mosaics
    for lo, hi in bands:
        band = layout.energy_text(lo, hi)
        seen = _seen(archive, band)
        for members in group([s.ra_deg for s in seen], [s.dec_deg for s in seen]):
            chosen = [seen[k] for k in members]
            name = field_name(chosen[0].ra_deg, chosen[0].dec_deg)
            finals = {k: folder / layout.field_mosaic(name, lo, hi, k) for k in MOSAIC_KINDS}
            yield f"{name}-en{band}", chosen, finals


def field_run(ident: str, first: Piece, finals: dict[str, Path], **values: Any) -> Run:
    """The run that makes the mosaic of a field, with the names of its products.

    Parameters
    ----------
    ident
        Identifier of the mosaic.
    first
        The first observation of the field.
    finals
        Kind of image -> where its file is.
    **values
        Further fields of the run.
    """
    names = {kind: {"path": os.path.relpath(path, first.folder)} for kind, path in finals.items()}
    return new_run(GENERATE_MOSAICS.name, first, extra=names, **{"ident": ident, **values})


def _seen(archive: Archive, band: str) -> list[_Seen]:
    seen = []
    for mission in archive.missions:
        if mission.name not in ALLOWED:
            continue
        info = mission.filtered_obs_info.sort_values("ObsID")
        for obs_id, ra, dec in zip(info["ObsID"].astype(str), info["ra"], info["dec"], strict=True):
            piece = Piece(archive, mission, obs_id)
            images, maps = _camera_images(piece, band)
            if images:
                seen.append(_Seen(float(ra), float(dec), piece, images, maps))
    return seen


def _field_mosaic(
    archive: Archive,
    ident: str,
    chosen: Sequence[_Seen],
    finals: dict[str, Path],
    options: MosaicOptions,
    limit_s: float | None,
    redo: str,
) -> bool:
    """Make one mosaic, unless it is there; whether it is there now."""
    first = chosen[0].piece
    ledger = archive.ledger
    task = _mosaic_task(
        [p for s in chosen for p in s.images],
        [p for s in chosen for p in s.maps],
        options.weighting,
        "field",
    )
    env = first.environment(summary=False)
    used = {path: given for s in chosen for path, given in s.piece.used.items()}
    named = plain([task], env, used)
    run = field_run(
        ident,
        first,
        finals,
        tasks=[(t.name, t.parameters) for t in named.tasks],
        config=options.recorded(),
        versions=versions("embedded"),
        started=now(),
        inputs=sorted(given for given, _ in used.values()),
    )
    names = {kind: made["path"] for kind, made in run.extra.items()}
    index = first.made("cif_build", "cif", ident=first.obs_id)
    content = [
        options.weighting,
        [_content(s) for s in chosen],
        names,
        used[index][0].data,
        generation(run.versions),
    ]
    run.fingerprint = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    last = ledger.latest(run.mission, run.process, run.ident)
    if not why_again(run, last, first, redo):
        return True
    finals["image"].parent.mkdir(exist_ok=True)
    job = Job(
        ident,
        named.tasks,
        {f"field_{kind}.fits": path for kind, path in finals.items()},
        env=named.env,
        links=named.links,
        logs=archive.logs(run),
        expected={path: sha for path, (_, sha) in used.items() if sha},
        timeout_s=limit_s,
        scratch=archive.layout.scratch,
    )
    run.job = seen_by(job, first.folder)
    ledger.start(run)
    try:
        outcome = run_job(job)
    except BaseException:
        archive.interrupt()
        raise
    take_outcome(run, outcome, first.folder)
    if not run.ok:
        run.extra = {}
    archive.record(run, write_logs=not outcome.stdout)
    if not run.ok:
        tell(f"mosaic {ident}: {error_text(run.errors[0])}")
    return run.ok


def _content(seen: _Seen) -> dict[str, str]:
    """Images and exposure maps of an observation: name -> checksum of what they hold."""
    return {path.name: seen.piece.used[path][0].data for path in seen.images + seen.maps}


@public(FieldOptions)
def generate_mosaics(obs_archive: Archive, options: FieldOptions, running: Running) -> list[Path]:
    """Combine the images of an observation's cameras, and those of overlapping observations.

    Needs `generate_images_expmaps` in the same bands. Counts are added. Cameras see the same source at
    different rates: what the sum of exposures, and with it the rate, means is the choice of ``weighting``.

    Returns
    -------
    paths
        The mosaics of fields; empty without ``whole_archive``.

    Examples
    --------
    >>> from astropy.units import Quantity
    >>> paths = daxa.generate_mosaics(archive, Quantity(0.5, "keV"), Quantity(2, "keV"))
    """
    _check_bands(obs_archive, options)
    run_steps(obs_archive, [(GENERATE_MOSAICS, options)], ALLOWED, running)
    if not options.whole_archive:
        return []
    with obs_archive.processing():
        return field_mosaics(obs_archive, options, running.limit_s, redo_mode())
