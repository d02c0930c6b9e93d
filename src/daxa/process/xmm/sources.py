"""Sources in the images of an observation's cameras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from daxa.archive import layout
from daxa.backend.contract import Task
from daxa.exceptions import NoDependencyProcessError
from daxa.process.arguments import check_bool
from daxa.process.options import Running, argument
from daxa.process.public import public
from daxa.process.runner import run_steps
from daxa.process.step import EPIC, Piece, Recipe, Step
from daxa.process.xmm.generate import ImageOptions, check_within
from daxa.process.xmm.image_sets import grid
from daxa.process.xmm.setup import ALLOWED

if TYPE_CHECKING:
    from pathlib import Path

    from astropy.units import Quantity

    from daxa.archive import Archive

#: Bands of the 4XMM catalogue [keV].
DEFAULT_BANDS = ((0.2, 0.5), (0.5, 1.0), (1.0, 2.0), (2.0, 4.5), (4.5, 12.0))
#: Sky grid of the search: pixels of 4 arcsec, as wide as the other images.
SEARCH_GRID = {
    **grid(None),
    "ximagebinsize": 80,
    "yimagebinsize": 80,
    "ximagesize": 560,
    "yimagesize": 560,
    "ximagemin": 3521,
    "ximagemax": 48320,
    "yimagemin": 3521,
    "yimagemax": 48320,
}
#: Likelihood of boxes that are fitted; what remains has the likelihood that was asked for.
_BOX_LIKELIHOOD = 5.0


@dataclass(frozen=True, eq=False)
class SourceOptions(ImageOptions):
    """Options of `find_sources`."""

    default_bands: ClassVar[tuple[tuple[float, float], ...]] = DEFAULT_BANDS
    lo_en: Quantity | None = argument(
        None, "Lower energies of the bands; those of the 4XMM catalogue (0.2, 0.5, 1, 2, 4.5 keV) by default."
    )
    hi_en: Quantity | None = argument(None, "Upper energies of the bands; 0.5, 1, 2, 4.5, 12 keV by default.")
    likelihood: float = argument(
        10.0,
        "Least likelihood of a source (DET_ML): minus the logarithm of the chance that the background does "
        "the same at its place.",
    )
    extent: bool = argument(
        True, "Whether sources may be extended (a beta model, core radius up to 80 arcsec)."
    )

    def check(self) -> None:
        super().check()
        check_bool("extent", self.extent)
        number = isinstance(self.likelihood, (int, float)) and not isinstance(self.likelihood, bool)
        if not number or not 1 <= self.likelihood <= 50:
            raise ValueError(f"likelihood: expected a number from 1 to 50, got {self.likelihood!r}")


def _camera_tasks(
    inst: str, events: Path, out_of_time: Path | None, attitude: Path, bands: list[tuple[int, int]]
) -> tuple[list[Task], dict[str, list[str]]]:
    """Images, exposure maps and mask of one camera, and the names of their files."""
    numbers = range(len(bands))
    lists = {"image": events, "oot": out_of_time}
    kinds = ("image", "expmap", "back", *(["oot"] if out_of_time else []))
    names = {kind: [f"{inst}_{kind}{n}.fits" for n in numbers] for kind in kinds}
    names["mask"] = [f"{inst}_mask.fits"]
    tasks = [
        Task(
            "evselect",
            table=f"{events_of}:EVENTS",
            imageset=image,
            **SEARCH_GRID,
            expression=f"(PI in [{low}:{high}])",
        )
        for kind, events_of in lists.items()
        if kind in names
        for image, (low, high) in zip(names[kind], bands, strict=True)
    ]
    tasks.append(
        Task(
            "eexpmap",
            eventset=str(events),
            imageset=names["image"][0],
            attitudeset=str(attitude),
            expimageset=names["expmap"],
            pimin=[low for low, _ in bands],
            pimax=[high for _, high in bands],
        )
    )
    # Most of the background does not come through the mirrors.
    plain = f"{inst}_plain.fits"
    names["plain"] = [plain]
    tasks.append(
        Task(
            "eexpmap",
            eventset=str(events),
            imageset=names["image"][0],
            attitudeset=str(attitude),
            expimageset=[plain],
            withvignetting=False,
            pimin=[bands[0][0]],
            pimax=[bands[0][1]],
        )
    )
    middle = names["expmap"][len(bands) // 2]
    tasks.append(Task("emask", expimageset=middle, detmaskset=names["mask"][0]))
    return tasks, names


def _search(piece: Piece, options: SourceOptions) -> Recipe:
    attitude = piece.attitude() or piece.folder / layout.attitude(piece.obs_id)
    limits = [(round(lo * 1000), round(hi * 1000)) for lo, hi in options.bands]
    tasks: list[Task] = []
    cameras: list[dict[str, list[str]]] = []
    for inst in EPIC:
        ident = f"{piece.obs_id}{inst}"
        events = piece.made_if_any("merge_subexposures", "final", ident=ident)
        if events is None:
            continue
        check_within(piece, options.bands, ident)
        # Bright sources of the pn leave streaks along the columns, which the background has to hold.
        streaks = piece.made_if_any("merge_subexposures", "finaloot", ident=ident) if inst == "PN" else None
        made, names = _camera_tasks(inst, events, streaks, attitude, limits)
        tasks += made
        cameras.append(names)
    if not cameras:
        raise NoDependencyProcessError(f"{piece.ident}: merge_subexposures has made no event list")

    def all_of(kind: str) -> list[str]:
        return [name for names in cameras for name in names[kind]]

    together = {
        "imagesets": all_of("image"),
        "expimagesets": all_of("expmap"),
        "withdetmask": True,
        "detmasksets": all_of("mask"),
        "pimin": [low for low, _ in limits] * len(cameras),
        "pimax": [high for _, high in limits] * len(cameras),
    }
    tasks.append(Task("eboxdetect", usemap=False, **together, boxlistset="local.fits", likemin=8.0))
    for names in cameras:
        files = zip(names["image"], names["expmap"], names["back"], strict=True)
        for number, (image, exposure, back) in enumerate(files, start=1):
            tasks.append(
                Task(
                    "esplinemap",
                    boxlistset="local.fits",
                    fitmethod="model",
                    nfitrun=10,
                    imageset=image,
                    expimageset=exposure,
                    expimageset2=names["plain"][0],
                    detmaskset=names["mask"][0],
                    bkgimageset=back,
                    idband=number,
                    **(
                        {"withootset": True, "ootimageset": names["oot"][number - 1]}
                        if "oot" in names
                        else {}
                    ),
                )
            )
    together["bkgimagesets"] = all_of("back")
    tasks.append(
        Task("eboxdetect", usemap=True, **together, boxlistset="boxes.fits", likemin=_BOX_LIKELIHOOD)
    )
    tasks.append(
        Task(
            "emldetect",
            **together,
            boxlistset="boxes.fits",
            mllistset="sources.fits",
            mlmin=float(options.likelihood),
            ecut=15.0,
            fitextent=options.extent,
            extentmodel="beta",
        )
    )
    tasks.append(Task("srcdisplay", boxlistset="sources.fits", regionfile="sources.reg"))
    table, regions = layout.source_list(piece.obs_id), layout.found_regions(piece.obs_id)
    return Recipe(
        tasks,
        {"sources.fits": table, "sources.reg": regions},
        env=piece.environment(),
        files={"sources": table, "regions": regions},
    )


FIND_SOURCES = Step(
    "find_sources",
    "Finding sources",
    "observation",
    _search,
    needs=lambda inst, options: ("merge_subexposures",),
    # The tasks of SAS have not been tried with these calls.
    backend="embedded",
)


@public(SourceOptions)
def find_sources(obs_archive: Archive, options: SourceOptions, running: Running) -> None:
    """Find sources in all cameras and bands of each observation together. Needs `merge_subexposures`.

    Boxes above the background, then fits of the point-spread function; the tables have the columns of
    emldetect. The regions are those of `Archive.source_regions` where none were set. Backgrounds have
    a vignetted and a flat component, and events out of time of the pn; what is none of these may be found as
    an extended source.

    Examples
    --------
    >>> daxa.find_sources(archive, likelihood=15.0)
    """
    run_steps(obs_archive, [(FIND_SOURCES, options)], ALLOWED, running)
