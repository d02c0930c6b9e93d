"""What images are made of a camera: bands, sizes of pixels, and what comes with each image.

What earlier calls have made stays: a call adds to it, and makes it again where what it is made of has
changed. So an archive holds images of several settings, and none of them is out of date.

Parameters
----------
piece
    The camera of an observation.
sets
    The sets of images.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from daxa.archive import layout
from daxa.backend.contract import Task
from daxa.process.step import Piece

#: Unit of X and Y [arcsec].
UNIT_ARCSEC = 0.05
#: Pixel of the sky grid of all images [units]: 4.35 arcsec.
BIN = 87
#: Side of that grid [units], and where its middle is.
_SIDE, _MIDDLE = 512 * BIN, 25921
_IMAGE = re.compile(r"image_([\d.]+)_([\d.]+)keV")
#: Least sigma [arcsec] of what smooths background maps.
_LEAST_ARCSEC = 24.0
#: Adaptive smoothing.
ADAPTIVE = "adaptive"


@dataclass(frozen=True)
class ImageSet:
    """An image of one band and size of pixels, and what is made with it.

    Attributes
    ----------
    lo, hi
        The band [keV].
    pixel_arcsec
        Size of a pixel [arcsec]; None: the usual one.
    unvignetted, masks, subtract_oot, background
        Whether these are made.
    smooth
        Widths of Gaussians as they stand in names, or ``adaptive``.
    regions
        What masks leave out, as text of ds9; empty for the sources of the observation.
    """

    lo: float
    hi: float
    pixel_arcsec: float | None = None
    unvignetted: bool = False
    masks: bool = False
    subtract_oot: bool = False
    background: bool = False
    smooth: tuple[str, ...] = ()
    regions: str = ""

    @property
    def band(self) -> str:
        """The band as it stands in names."""
        return layout.energy_text(self.lo, self.hi)

    @property
    def pixel(self) -> float:
        """Size of a pixel [arcsec]."""
        return layout.PIXEL_ARCSEC if self.pixel_arcsec is None else self.pixel_arcsec

    @property
    def where(self) -> tuple[float, float, float | None]:
        """What no two sets share."""
        return self.lo, self.hi, self.pixel_arcsec

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing but an image and an exposure map, of the usual pixels."""
        return self == ImageSet(self.lo, self.hi)

    def for_sas(self) -> ImageSet:
        """What of the set SAS can make."""
        return replace(self, subtract_oot=False, background=False, smooth=())

    def with_all_of(self, other: ImageSet) -> ImageSet:
        """With what another set of the same band and pixels holds; regions are its own if it has some.

        Parameters
        ----------
        other
            The other set.
        """
        return replace(
            self,
            unvignetted=self.unvignetted or other.unvignetted,
            masks=self.masks or other.masks,
            subtract_oot=self.subtract_oot or other.subtract_oot,
            background=self.background or other.background,
            smooth=(*self.smooth, *(s for s in other.smooth if s not in self.smooth)),
            regions=self.regions or other.regions,
        )

    def key(self, kind: str) -> str:
        """Name under which a product is found.

        Parameters
        ----------
        kind
            As :func:`.layout.image_product` takes it.
        """
        return layout.image_key(kind, self.lo, self.hi, self.pixel_arcsec)


def earlier_sets(piece: Piece, process: str) -> list[ImageSet]:
    """Sets that the last run of a process on the piece was to make.

    Parameters
    ----------
    process
        Name of the process.
    """
    run = piece.records.latest(piece.mission.name, process, piece.ident, piece.obs_id)
    if run is None:
        return []
    if "sets" in run.extra:
        return [ImageSet(**{**given, "smooth": tuple(given["smooth"])}) for given in run.extra["sets"]]
    found = (_IMAGE.fullmatch(key) for key in run.extra)
    return [ImageSet(float(m[1]), float(m[2])) for m in found if m is not None]


def together(earlier: Iterable[ImageSet], wanted: Iterable[ImageSet]) -> list[ImageSet]:
    """Sets of earlier calls, in their order, and those that are wanted now; each band and pixel once.

    Parameters
    ----------
    earlier, wanted
        The sets.

    Examples
    --------
    >>> [s.band for s in together([ImageSet(2, 5), ImageSet(1, 2)], [ImageSet(1, 2), ImageSet(0.5, 1)])]
    ['2.0_5.0keV', '1.0_2.0keV', '0.5_1.0keV']
    """
    found: dict[Any, ImageSet] = {}
    for one in (*earlier, *wanted):
        found[one.where] = one.with_all_of(found[one.where]) if one.where in found else one
    return list(found.values())


def recorded(sets: Sequence[ImageSet]) -> dict[str, Any]:
    """Sets as the ledger keeps them; nothing where the names of the images tell them."""
    return {} if all(s.is_plain for s in sets) else {"sets": [asdict(s) for s in sets]}


def grid(pixel_arcsec: float | None) -> dict[str, Any]:
    """Parameters of evselect for the sky grid of images of a size of pixels.

    Parameters
    ----------
    pixel_arcsec
        A whole number of units of 0.05 arcsec; None for the usual size.
    """
    size = BIN if pixel_arcsec is None else round(pixel_arcsec / UNIT_ARCSEC)
    number = 2 * math.ceil(_SIDE / size / 2)
    low = _MIDDLE - number * size // 2
    # The upper end of the usual grid is that of its last pixel's first unit; others end with their last one.
    high = low + (number - 1) * size if size == BIN else low + number * size - 1
    return {
        "xcolumn": "X",
        "ycolumn": "Y",
        "ximagebinsize": size,
        "yimagebinsize": size,
        "squarepixels": True,
        "ximagesize": number,
        "yimagesize": number,
        "imagebinning": "binSize",
        "ximagemin": low,
        "ximagemax": high,
        "withxranges": True,
        "yimagemin": low,
        "yimagemax": high,
        "withyranges": True,
    }


class Maker:
    """The tasks that make sets of images of a camera, and the names of their files.

    Parameters
    ----------
    events, oot_events
        Event list, and list of out-of-time events; None if there is none.
    attitude
        The attitude file.
    sources
        Regions that masks leave out where a set has none of its own: a file or text; empty for none.

    Attributes
    ----------
    tasks
        The tasks, in order.
    outputs, files
        As of a recipe.
    """

    def __init__(
        self, piece: Piece, events: Path, oot_events: Path | None, attitude: Path, sources: str
    ) -> None:
        self.piece = piece
        self.events, self.oot_events, self.attitude = events, oot_events, attitude
        self.sources = sources
        self.tasks: list[Task] = []
        self.outputs: dict[str, str] = {}
        self.files: dict[str, str] = {}

    def make(self, sets: Sequence[ImageSet]) -> None:
        """Add the tasks of some sets."""
        numbered = list(enumerate(sets))
        for pixel in dict.fromkeys(s.pixel_arcsec for s in sets):
            self._of_one_grid([(n, s) for n, s in numbered if s.pixel_arcsec == pixel])

    def _of_one_grid(self, sets: Sequence[tuple[int, ImageSet]]) -> None:
        for number, one in sets:
            self._evselect(self.events, self._keep(number, one, "image"), one)
            self._keep(number, one, "expmap")
        self._eexpmap(sets, "expmap", vignetted=True)
        plain = [(n, s) for n, s in sets if s.unvignetted or s.background]
        if plain:
            for number, one in plain:
                if one.unvignetted:
                    self._keep(number, one, "novigexpmap")
            self._eexpmap(plain, "novigexpmap", vignetted=False)
        for number, one in sets:
            image = self._subtracted(number, one) if one.subtract_oot and self.oot_events else None
            if one.masks or one.background:
                self._masks(number, one)
            for width in one.smooth:
                self._smoothed(number, one, image, width)
            if one.background:
                self._background(number, one)

    def _keep(self, number: int, one: ImageSet, kind: str) -> str:
        """Note that a file is a product; its name where the tasks run."""
        name = f"{kind}{number}.fits"
        inst = str(self.piece.inst)
        path = layout.image_product(self.piece.obs_id, inst, kind, one.lo, one.hi, one.pixel_arcsec)
        self.outputs[name] = self.files[one.key(kind)] = path
        return name

    def _evselect(self, events: Path, name: str, one: ImageSet) -> None:
        self.tasks.append(
            Task(
                "evselect",
                table=f"{events}:EVENTS",
                imageset=name,
                **grid(one.pixel_arcsec),
                expression=f"(PI in [{round(one.lo * 1000)}:{round(one.hi * 1000)}])",
            )
        )

    def _eexpmap(self, sets: Sequence[tuple[int, ImageSet]], kind: str, *, vignetted: bool) -> None:
        self.tasks.append(
            Task(
                "eexpmap",
                eventset=str(self.events),
                imageset=f"image{sets[0][0]}.fits",
                attitudeset=str(self.attitude),
                expimageset=[f"{kind}{n}.fits" for n, _ in sets],
                withdetcoords=False,
                withvignetting=vignetted,
                pimin=[round(s.lo * 1000) for _, s in sets],
                pimax=[round(s.hi * 1000) for _, s in sets],
            )
        )

    def _subtracted(self, number: int, one: ImageSet) -> str:
        assert self.oot_events is not None
        self._evselect(self.oot_events, f"oot{number}.fits", one)
        name = self._keep(number, one, "ootsubimage")
        self.tasks.append(
            Task("ootsubtract", imageset=f"image{number}.fits", ootimageset=f"oot{number}.fits", outset=name)
        )
        return name

    def _masks(self, number: int, one: ImageSet) -> None:
        names = {"mask": f"mask{number}.fits", "sourcemask": f"sourcemask{number}.fits"}
        regions = one.regions or self.sources
        for kind in ("mask", "sourcemask") if regions else ("mask",):
            if one.masks:
                self._keep(number, one, kind)
            without = {} if kind == "mask" else {"withregionset": True, "regionset": regions}
            self.tasks.append(
                Task("emask", expimageset=f"expmap{number}.fits", detmaskset=names[kind], **without)
            )

    def _smoothed(self, number: int, one: ImageSet, subtracted: str | None, width: str) -> None:
        image, exposure = f"image{number}.fits", f"expmap{number}.fits"
        adaptive = width == ADAPTIVE
        self.tasks.append(
            Task(
                "asmooth",
                inset=subtracted or image,
                outset=self._keep(number, one, f"smooth{width}"),
                smoothstyle=ADAPTIVE if adaptive else "simple",
                **({} if adaptive else {"width": round(float(width.removesuffix("arcsec")) / one.pixel, 6)}),
                **({"readvarianceset": True, "invarianceset": image} if adaptive and subtracted else {}),
                withexpimageset=True,
                expimageset=exposure,
                withweightset=True,
                weightset=exposure,
                # What was not seen has no rate, however near it is to what was.
                withoutmaskset=True,
                outmaskset=exposure,
            )
        )

    def _background(self, number: int, one: ImageSet) -> None:
        """Boxes above their surroundings are left out, and what remains is smoothed."""
        regions = one.regions or self.sources
        mask = f"{'sourcemask' if regions else 'mask'}{number}.fits"
        image, exposure = f"image{number}.fits", f"expmap{number}.fits"
        self.tasks.append(
            Task(
                "eboxdetect",
                usemap=False,
                imagesets=[image],
                expimagesets=[exposure],
                withdetmask=True,
                detmasksets=[f"mask{number}.fits"],
                pimin=[round(one.lo * 1000)],
                pimax=[round(one.hi * 1000)],
                boxlistset=f"boxes{number}.fits",
                likemin=8.0,
            )
        )
        self.tasks.append(
            Task(
                "esplinemap",
                boxlistset=f"boxes{number}.fits",
                fitmethod="smooth",
                snrmin=20.0,
                smoothsigma=round(_LEAST_ARCSEC / one.pixel, 3),
                imageset=image,
                # Most of the background does not come through the mirrors.
                expimageset=f"novigexpmap{number}.fits",
                detmaskset=mask,
                bkgimageset=self._keep(number, one, "backmap"),
                idband=1,
            )
        )
