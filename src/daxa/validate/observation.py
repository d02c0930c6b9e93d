"""Our reduction of an observation beside the pipeline's products of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daxa import config
from daxa.archive import layout
from daxa.compare import Comparison, NotComparableError, compare_files
from daxa.exceptions import DAXADownloadError
from daxa.mission.pps import PPS, PPS_BANDS, PpsName
from daxa.validate.grid import Grid, grid_of, make_on_grid, same_grid

#: Band of the images that are compared: the whole one of the pipeline.
_BAND = 8


def validate(
    obs_id: str,
    insts: list[str] | None = None,
    *,
    local: str | Path | None = None,
    products: str | Path | None = None,
    num_cores: int | None = None,
) -> tuple[list[Comparison], list[str]]:
    """Fetch, reduce and compare an observation with the pipeline's products.

    It is reduced with the embedded engine and, where SAS is initialised, with SAS as well, each in an archive
    of its own; what is on disk already is neither fetched nor reduced again.

    Parameters
    ----------
    obs_id : str
        The observation.
    insts : list of str, optional
        Cameras (M1, M2, PN); all by default.
    local : path, optional
        Folder with the raw data; from the archive by default.
    products : path, optional
        Folder with the pipeline's products; from the archive by default.
    num_cores : int, optional
        Processes to use.

    Returns
    -------
    comparisons, left_out
        Ours is A, the pipeline's B; and what could not be compared, with the reason.

    Raises
    ------
    DAXADownloadError
        The raw data or products are not to be had.
    """
    from daxa.backend.select import sas_ready
    from daxa.mission import XMMPointed

    # The archive's products come with the raw data, which a local folder holds without them.
    if local is not None and products is None:
        raise DAXADownloadError("products: with raw data of a local folder give one with products, too")
    mission = XMMPointed(insts, local=local) if local is not None else XMMPointed(insts)
    mission.filter_on_obs_ids(obs_id)
    mission.download(download_products=products is None)
    if obs_id in mission.failed_downloads:
        raise DAXADownloadError(f"ObsID {obs_id}: {mission.failed_downloads[obs_id]}")
    folder = Path(mission.get_obs_path(obs_id)) / PPS if products is None else Path(products)
    comparisons, left_out = [], []
    for backend in ("embedded", "sas") if sas_ready() else ("embedded",):
        ours = _reduce(mission, obs_id, backend, num_cores)
        compared, reasons = compare_products(
            obs_id, ours, folder, list(mission.chosen_instruments), backend=backend
        )
        comparisons += compared
        left_out += [f"{backend}: {reason}" for reason in reasons]
    if not sas_ready():
        left_out.append("sas: SAS is not initialised here, so nothing was reduced with it")
    if not comparisons:
        raise DAXADownloadError(
            f"ObsID {obs_id}: nothing to compare in {folder}" + "".join(f"; {r}" for r in left_out)
        )
    return comparisons, left_out


@contextmanager
def _backend(name: str) -> Iterator[None]:
    before = os.environ.get("DAXA_BACKEND")
    os.environ["DAXA_BACKEND"] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ["DAXA_BACKEND"]
        else:
            os.environ["DAXA_BACKEND"] = before


def _reduce(mission: Any, obs_id: str, backend: str, num_cores: int | None) -> Path:
    """Reduce the observation; returns the folder of its products."""
    from astropy.units import Quantity

    from daxa.archive import Archive
    from daxa.process.simple import full_process_xmm
    from daxa.process.xmm import generate_images_expmaps

    name = f"validate_{obs_id}_{'_'.join(mission.chosen_instruments)}_{backend}"
    exists = (Path(config.output_path()) / "archives" / name).exists()
    archive = Archive(name) if exists else Archive(name, mission, download_products=False)
    cores = {} if num_cores is None else {"num_cores": num_cores}
    low, high = (Quantity([energy], "keV") for energy in PPS_BANDS[_BAND])
    with _backend(backend):
        full_process_xmm(archive, **cores)  # type: ignore[arg-type]
        generate_images_expmaps(archive, low, high, **cores)  # type: ignore[arg-type]
    return Path(archive.get_current_data_path("xmm_pointed", obs_id))


def compare_products(
    obs_id: str, ours: Path, theirs: Path, insts: list[str], *, backend: str = "embedded"
) -> tuple[list[Comparison], list[str]]:
    """Compare every product of the pipeline in a folder with ours of the same kind and exposure.

    Images and exposure maps are those of the exposure; where the pipeline's have other pixels, ours are made
    with its pixels.

    Parameters
    ----------
    obs_id
        The observation.
    ours
        Folder of our products of the observation.
    theirs
        Folder of the pipeline's products; files of other observations are passed over.
    insts
        Instruments that are compared.
    backend
        What makes images with other pixels: ``embedded`` or ``sas``.

    Returns
    -------
    comparisons, left_out
        Also named in ``left_out``: products without a counterpart, on either side.
    """
    comparisons, left_out, paired = [], [], set()
    images = _Images(obs_id, ours, backend)
    for path in sorted(p for p in theirs.iterdir() if p.is_file()) if theirs.is_dir() else ():
        name = PpsName.parse(path.name)
        if name is None or name.obs_id != obs_id:
            continue
        try:
            our = _counterpart(path, name, images, insts)
            if our is None:
                continue
            paired.add(our)
            if not our.exists():
                left_out.append(f"{path.name}: our reduction made no {our.name}")
                continue
            comparisons.append(compare_files(our, path))
        except NotComparableError as reason:
            left_out.append(f"{path.name}: {reason}")
    for our in sorted(ours.glob("events/*-events.fits")):
        if our not in paired:
            left_out.append(f"{our.name}: the pipeline's products hold no such list")
    return comparisons, left_out


@dataclass
class _Images:
    """Our images and exposure maps of an observation, made with the pixels of the pipeline's when asked for.

    Attributes
    ----------
    ours
        Folder of our products.
    made
        What was made of each event list with each set of pixels, by kind.
    """

    obs_id: str
    ours: Path
    backend: str
    made: dict[tuple[Path, Grid], dict[str, Path]] = field(default_factory=dict)

    def like(self, theirs: Path, name: PpsName, kind: str) -> Path:
        """Our image or exposure map of the exposure of one of theirs, with its pixels.

        It need not exist: then our reduction has none.
        """
        inst = name.instrument
        of_kind = layout.image if kind == "image" else layout.exposure_map
        whole = self.ours / of_kind(self.obs_id, inst, *PPS_BANDS[_BAND])
        events = self.ours / layout.final_events(self.obs_id, inst)
        if len(list(self.ours.glob(layout.clean_events(self.obs_id, inst, "*")))) > 1:
            # Ours are of all exposures of the camera, theirs of one.
            events = self.ours / layout.clean_events(self.obs_id, inst, name.exposure)
            if not events.exists():
                return events
        elif not events.exists() or (whole.exists() and same_grid(whole, theirs)):
            return whole
        grid = grid_of(theirs, events)
        if (events, grid) not in self.made:
            self.made[events, grid] = make_on_grid(
                grid,
                theirs.name.split(".")[0],
                events,
                self.ours / layout.attitude(self.obs_id),
                self.ours / layout.cif(),
                PPS_BANDS[_BAND],
                Path(config.output_path()) / "validate" / f"{self.obs_id}_{self.backend}",
                self.backend,
            )
        return self.made[events, grid][kind]


def _counterpart(theirs: Path, name: PpsName, images: _Images, insts: list[str]) -> Path | None:
    """Our file of the same kind; None for products that are not compared.

    Raises
    ------
    NotComparableError
        An image has pixels that ours cannot have.
    """
    if name.file_type == "ATTTSR" and name.extension in ("FTZ", "FIT"):
        return images.ours / layout.attitude(name.obs_id)
    if name.instrument not in insts:
        return None
    if name.is_kind("event list"):
        return images.ours / layout.events(name.obs_id, name.instrument, name.exposure)
    for kind in ("image", "exposure map"):
        if name.is_kind(kind, _BAND):
            return images.like(theirs, name, kind)
    return None
