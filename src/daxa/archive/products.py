"""The products of an archive: where they are, and what is in them.

All methods follow one rule. **What the arguments name as one is returned by itself; otherwise there is a
dictionary**, whose keys are `daxa.archive.layout.Named` tuples (``obs_id``, ``inst``, ``exp_id``, ``band``,
``source``), in their order. A product is named by one ObsID and one instrument, of images by their band too,
of spectra by their source. If the instrument has several sub-exposures, ``exp_id`` has to say which; the
message names them. Lists of ObsIDs or instruments, or leaving them out, ask for a dictionary. It has what is
there; only if nothing is, that is an error.

What is told is what the archive has recorded of the last successful runs.

Parameters
----------
obs_id : str or list of str, optional
    ObsID, or several; all by default.
inst : str or list of str, optional
    Instrument, or several, in any of its usual spellings; all by default.
exp_id : str, optional
    Sub-exposure, e.g. ``S001``; ``ALL`` for what is made of all.
lo_en, hi_en : astropy.units.Quantity, optional
    Energy band.
kind : str
    Which of the products that the method names.
mission : BaseMission or str, optional
    Only of this mission.
as_ : str
    ``path``, or another form that the method names.

Returns
-------
product or dict
    Paths as `pathlib.Path`, or what ``as_`` asks for.

Raises
------
NoProductError
    There is no such product; says which step makes it, and whether that has failed.
ObsNotAssociatedError, MissionNotAssociatedError
    The archive does not have the observation, or the mission; near names are given.
ValueError
    An instrument, a kind or a form is not known, or several products fit where one was asked for.
DAXAError
    A file cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from inspect import cleandoc, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from daxa.archive import finding, layout, reading
from daxa.archive.finding import Maker, Names, Product, Wanted
from daxa.archive.images import Images
from daxa.exceptions import NoProductError, NoRegionsAssociatedError, WrongTypeError
from daxa.mission import BaseMission

if TYPE_CHECKING:
    from astropy.units import Quantity

Method = TypeVar("Method", bound=Callable[..., Any])

_GRATINGS = ("R1", "R2")
_READY = Maker("preprocessed_events", "final.*", "")
#: Kind of event list -> what makes it.
_EVENTS: dict[str, tuple[Maker, ...]] = {
    "final": (
        Maker("merge_subexposures", "final", "xmm"),
        Maker("cleaned_rgs_event_lists", "final_evt_list", "xmm", _GRATINGS),
        Maker("cleaned_evt_lists", "final", "erosita"),
        Maker("cleaned_chandra_evts", "evt_clean_path", "chandra"),
        Maker("nupipeline_screen", "evt_clean_path", "nustar"),
        _READY,
    ),
    "clean": (Maker("cleaned_evt_lists", "evt_list", "xmm"),),
    "raw": (
        Maker("emchain", "evt_list", "xmm", ("M1", "M2")),
        Maker("epchain", "evt_list", "xmm", ("PN",)),
        Maker("rgs_angles", "merged", "xmm", _GRATINGS),
        Maker("flaregti", "evt_list", "erosita"),
        Maker("chandra_repro", "evt_list", "chandra"),
        Maker("nupipeline_calibrate", "evt.*", "nustar"),
    ),
    "whole_chip": (Maker("merge_subexposures", "allgood", "xmm"),),
    "final_oot": (Maker("merge_subexposures", "finaloot", "xmm", ("PN",)),),
    "clean_oot": (Maker("cleaned_evt_lists", "oot_evt_list", "xmm", ("PN",)),),
    "raw_oot": (Maker("epchain", "oot_evt_list", "xmm", ("PN",)),),
    "whole_chip_oot": (Maker("merge_subexposures", "allgoodoot", "xmm", ("PN",)),),
}
_IMAGES = (
    Maker("generate_images_expmaps", ".*", "xmm"),
    Maker("rate_image", ".*", "chandra"),
    Maker("flux_image", ".*", "chandra"),
    Maker("sky_images", ".*", "nustar"),
    Maker("nupipeline_screen", "expmap", "nustar"),
    Maker("preprocessed_images", ".*", ""),
    Maker("preprocessed_expmaps", ".*", ""),
    Maker("preprocessed_backmaps", ".*", ""),
)
_INTERVALS = (
    Maker("espfilt", "gti_path", "xmm"),
    Maker("deflare", "flaring_gti", "chandra"),
    Maker("nupipeline_screen", "gti_path", "nustar"),
)
_CURVES = (
    Maker("espfilt", "hist_path", "xmm"),
    Maker("flaregti", "lightcurve", "erosita"),
    Maker("deflare", "light_curve", "chandra"),
    Maker("preprocessed_lightcurves", "lightcurve.*", ""),
)
_SOURCE_CURVES = (Maker("generate_lightcurves", "lightcurve", "xmm"),)
#: Kinds of files of a source's spectrum.
_SPECTRA = ("spectrum", "background", "arf")
_SOURCES = (Maker("find_sources", "sources", "xmm"),)


_HEAD, _RESULTS, _EXAMPLES = (f"{w}\n{'-' * len(w)}\n" for w in ("Parameters", "Returns", "Examples"))


def _explained(function: Method) -> Method:
    """Put what all accessors share, which the top of this module explains, into the docstring of one."""
    arguments, _, results = (__doc__ or "").partition(_HEAD)[2].partition(f"\n{_RESULTS}")
    own, names = cleandoc(function.__doc__ or ""), signature(function).parameters
    blocks = [
        b for b in re.split(r"\n(?=\w)", arguments) if set(re.split(r", | : ", b.split("\n")[0])) & set(names)
    ]
    said = set(re.findall(r"^(\w+) : ", own, re.MULTILINE))
    shared = "\n".join(b for b in blocks if not set(re.split(r", | : ", b.split("\n")[0])) & said)
    text = own.replace(_HEAD, f"{_HEAD}{shared.strip()}\n", 1)
    if _RESULTS not in text:
        before, mark, examples = text.partition(_EXAMPLES)
        text = f"{before.strip()}\n\n{_RESULTS}{results.strip()}\n\n{mark}{examples}"
    function.__doc__ = text.strip()
    return function


class Products(Images):
    """Accessors of an archive's products."""

    @_explained
    def events(
        self,
        obs_id: Names = None,
        inst: Names = None,
        exp_id: str | None = None,
        *,
        kind: str = "final",
        mission: BaseMission | str | None = None,
        as_: str = "path",
    ) -> Any:
        """Event lists.

        Parameters
        ----------
        kind : str
            ``final`` (cleaned, all sub-exposures together), ``clean`` (cleaned, of each sub-exposure),
            ``raw`` (what the chains make, flares and all), ``whole_chip`` (cleaned, with the corners); of the
            pn also ``final_oot``, ``clean_oot``, ``raw_oot``, ``whole_chip_oot`` (events out of time).
        as_ : str
            ``path``, ``table`` (`astropy.table.Table`) or ``stingray`` (`stingray.EventList`).

        Examples
        --------
        >>> archive.events("0800010101", "PN").name
        'obsid0800010101-instPN-subexpALL-en-finalevents.fits'
        >>> len(archive.events("0800010101", "PN", as_="table")) > 1000
        True
        >>> [(name.inst, name.exp_id) for name in archive.events("0800010101", kind="clean")]
        [('M1', 'S001'), ('M2', 'S002'), ('PN', 'S003')]
        """
        if kind not in _EVENTS:
            raise ValueError(f"kind: expected one of {', '.join(_EVENTS)}, got {kind!r}")
        readers = {"table": _of_path(reading.event_table), "stingray": _of_path(reading.stingray_events)}
        asked = finding.wanted(self, obs_id, inst, mission)
        return self._answer(asked, f"{kind} event list", _EVENTS[kind], exp_id, as_, readers)

    @_explained
    def images(
        self,
        obs_id: Names = None,
        inst: Names = None,
        lo_en: Quantity | None = None,
        hi_en: Quantity | None = None,
        exp_id: str | None = None,
        *,
        kind: str = "image",
        pixel_size: Quantity | None = None,
        mission: BaseMission | str | None = None,
        as_: str = "path",
    ) -> Any:
        """Images: of counts, or what was made with them.

        Parameters
        ----------
        kind : str
            ``image`` (counts), or another that has been made: ``expmap``, ``novigexpmap``, ``mask``,
            ``sourcemask``, ``ootsubimage``, ``backmap``, ``smooth4.0arcsec``, ``smoothadaptive``; of other
            missions also ``fluxmap``, ``ratemap``, ``psfmap``.
        pixel_size : Quantity, optional
            Size of the pixels, if not the usual one.
        as_ : str
            ``path`` or ``ccddata`` (`astropy.nddata.CCDData`: numbers, unit, coordinates, header).

        Examples
        --------
        >>> from astropy.units import Quantity
        >>> lo, hi = Quantity([0.5, 2], "keV")
        >>> archive.images("0800010101", "PN", lo, hi, as_="ccddata").unit
        Unit("ct")
        >>> [(name.inst, name.band) for name in archive.images("0800010101", "M1")]
        [('M1', (0.5, 2.0)), ('M1', (2.0, 10.0))]
        """
        band = _band(lo_en, hi_en)
        pixel = None if pixel_size is None else round(_value("pixel_size", pixel_size, "arcsec"), 6)
        pixel = None if pixel == layout.PIXEL_ARCSEC else pixel
        text = "" if band is None else f" at {band[0]:g} to {band[1]:g} keV"
        text += "" if pixel is None else f" with pixels of {pixel:g} arcsec"

        def fits(product: Product) -> bool:
            made = product.kind.rpartition("-")[2]
            return made == kind and product.pixel_arcsec == pixel and band in (None, product.name.band)

        asked = finding.wanted(self, obs_id, inst, mission)
        if band is None:
            asked = asked._replace(one=False)
        readers = {"ccddata": _of_path(reading.image)}
        return self._answer(asked, f"{kind}{text}", _IMAGES, exp_id, as_, readers, fits)

    @_explained
    def exposure_maps(
        self,
        obs_id: Names = None,
        inst: Names = None,
        lo_en: Quantity | None = None,
        hi_en: Quantity | None = None,
        exp_id: str | None = None,
        *,
        vignetted: bool = True,
        pixel_size: Quantity | None = None,
        mission: BaseMission | str | None = None,
        as_: str = "path",
    ) -> Any:
        """Exposure maps.

        Parameters
        ----------
        vignetted : bool
            False: those without vignetting.
        pixel_size : Quantity, optional
            Size of the pixels, if not the usual one.
        as_ : str
            ``path`` or ``ccddata`` (`astropy.nddata.CCDData`).

        Examples
        --------
        >>> from astropy.units import Quantity
        >>> lo, hi = Quantity([0.5, 2], "keV")
        >>> archive.exposure_maps("0800010101", "PN", lo, hi, as_="ccddata").unit
        Unit("s")
        """
        kind = "expmap" if vignetted else "novigexpmap"
        return self.images(
            obs_id, inst, lo_en, hi_en, exp_id, kind=kind, pixel_size=pixel_size, mission=mission, as_=as_
        )

    @_explained
    def gti(
        self,
        obs_id: Names = None,
        inst: Names = None,
        exp_id: str | None = None,
        *,
        mission: BaseMission | str | None = None,
        as_: str = "path",
    ) -> Any:
        """Times without flares, of each sub-exposure.

        Parameters
        ----------
        as_ : str
            ``path`` or ``table`` (`astropy.table.Table` with ``START`` and ``STOP``).

        Examples
        --------
        >>> intervals = archive.gti("0800010101", "PN", as_="table")
        >>> bool((intervals["STOP"] > intervals["START"]).all())
        True
        """
        asked = finding.wanted(self, obs_id, inst, mission)
        readers = {"table": _of_path(reading.interval_table)}
        return self._answer(asked, "good times", _INTERVALS, exp_id, as_, readers)

    @_explained
    def lightcurve(
        self,
        obs_id: Names = None,
        inst: Names = None,
        exp_id: str | None = None,
        *,
        source: str | None = None,
        mission: BaseMission | str | None = None,
        as_: str = "path",
    ) -> Any:
        """Light curves of the field in which flares were looked for, of each sub-exposure; or of a source.

        Parameters
        ----------
        source : str, optional
            Name of a source, e.g. ``J095805.7-110920``, of which `generate_lightcurves` has made one. If
            there are several, of other bands or widths of bins, the message names their files.
        as_ : str
            ``path`` (of XMM-Newton's field a file for QDP), ``table`` (`astropy.table.Table`; of that field
            ``TIME``, ``RATE``, ``CORNERS``, and in ``meta`` the limits of accepted rates) or ``stingray``
            (`stingray.Lightcurve`).

        Examples
        --------
        >>> archive.lightcurve("0800010101", "PN", as_="table").colnames
        ['TIME', 'RATE', 'CORNERS']
        """
        asked = finding.wanted(self, obs_id, inst, mission)
        readers = {
            "table": lambda product: reading.curve_table(product.path, self._screened(product)),
            "stingray": lambda product: reading.stingray_curve(product.path, self._screened(product)),
        }
        if source is None:
            return self._answer(asked, "light curve", _CURVES, exp_id, as_, readers)

        def fits(product: Product) -> bool:
            return product.name.source == source

        made = [p for p in finding.recorded(self, _SOURCE_CURVES, asked) if fits(p)]
        kinds = {(p.name.band, p.kind) for p in made}
        if len(kinds) > 1:
            raise ValueError(f"source: {source} has several: {', '.join(sorted(p.path.name for p in made))}")
        return self._answer(asked, f"lightcurve of {source}", _SOURCE_CURVES, exp_id, as_, readers, fits)

    @_explained
    def sources(
        self,
        obs_id: Names = None,
        *,
        mission: BaseMission | str | None = None,
        as_: str = "path",
    ) -> Any:
        """Tables of the sources that `find_sources` has found.

        Parameters
        ----------
        as_ : str
            ``path`` or ``table`` (`astropy.table.Table` with the columns of emldetect).
        """
        asked = finding.wanted(self, obs_id, None, mission)._replace(one=isinstance(obs_id, str))
        readers = {"table": _of_path(reading.plain_table)}
        return self._answer(asked, "table of sources", _SOURCES, None, as_, readers)

    @_explained
    def regions(
        self,
        obs_id: Names = None,
        *,
        mission: BaseMission | str | None = None,
        as_: str = "path",
    ) -> Any:
        """Regions of sources: those that were set as `source_regions`, else those of `find_sources`.

        Parameters
        ----------
        as_ : str
            ``path`` (a file of ds9) or ``regions`` (`regions.Regions`, on the sky).

        Returns
        -------
        product or dict
            Of one observation, or ObsID -> product.

        Raises
        ------
        NoRegionsAssociatedError
            None of the observations has regions.
        """
        asked = finding.wanted(self, obs_id, None, mission)
        read = _reader(as_, {"regions": reading.region_list})
        places = {o: self._region_file(m, o) for m, obs_ids in asked.missions.items() for o in obs_ids}
        found = {o: read(path) for o, path in sorted(places.items()) if path.is_file()}
        if not found:
            raise NoRegionsAssociatedError(
                f"{asked}: no regions; set archive.source_regions, or find sources: "
                "daxa.process.find_sources(archive)"
            )
        return found[obs_id] if isinstance(obs_id, str) else found

    @_explained
    def spectra(
        self,
        obs_id: Names = None,
        inst: Names = None,
        source: str | None = None,
        exp_id: str | None = None,
        *,
        kind: str = "spectrum",
        mission: BaseMission | str | None = None,
        as_: str = "path",
    ) -> Any:
        """Spectra of sources that `generate_spectra` has made; fitting programs find what belongs to them.

        Parameters
        ----------
        source : str, optional
            Name of the source, e.g. ``J095805.7-110920``, which is part of the name of a product here.
        kind : str
            ``spectrum``, ``background`` (its spectrum) or ``arf`` (the effective area).
        as_ : str
            ``path`` or ``table`` (`astropy.table.Table`).
        """
        if kind not in _SPECTRA:
            raise ValueError(f"kind: expected one of {', '.join(_SPECTRA)}, got {kind!r}")
        makers = (Maker("generate_spectra", kind, "xmm"),)
        asked = finding.wanted(self, obs_id, inst, mission)
        asked = asked._replace(one=asked.one and source is not None)
        readers = {"table": _of_path(reading.plain_table)}
        text = kind if source is None else f"{kind} of {source}"
        return self._answer(
            asked, text, makers, exp_id, as_, readers, lambda product: source in (None, product.name.source)
        )

    # -- inside -----------------------------------------------------------------------------

    def _screened(self, product: Product) -> Path | None:
        """The event list in which espfilt has looked for flares."""
        run = product.run
        chain = "epchain" if run.inst == "PN" else "emchain"
        made = self.ledger.latest(run.mission, chain, run.ident) if run.process == "espfilt" else None
        value = {} if made is None else made.extra.get("evt_list", {})
        path = self.obs_folder(run.mission, run.obs_id) / value.get("path", "")
        return path if path.is_file() else None

    def _answer(
        self,
        asked: Wanted,
        what: str,
        makers: tuple[Maker, ...],
        exp_id: str | None,
        as_: str,
        readers: Mapping[str, Callable[[Product], Any]],
        fits: Callable[[Product], bool] = lambda product: True,
    ) -> Any:
        """Products that were asked for, in the form asked for."""
        read = _reader(as_, {"path": lambda product: product.path, **readers})
        everything = list(finding.recorded(self, makers, asked))
        found = finding.by_name(p for p in everything if exp_id in (None, p.name.exp_id) and fits(p))
        if not found:
            raise NoProductError(finding.absent(self, what, makers, asked, _told(everything, what, exp_id)))
        if not asked.one:
            return {name: read(product) for name, product in found.items()}
        if len(found) > 1:
            exposures = ", ".join(dict.fromkeys(name.exp_id for name in found))
            raise ValueError(
                f"exp_id: {asked} has several: {exposures}; say which, or leave inst out for all of them"
            )
        return read(next(iter(found.values())))


def _of_path(read: Callable[[Path], Any]) -> Callable[[Product], Any]:
    return lambda product: read(product.path)


def _reader(as_: str, readers: Mapping[str, Callable[[Any], Any]]) -> Callable[[Any], Any]:
    known: dict[str, Callable[[Any], Any]] = {"path": lambda path: path, **readers}
    if as_ not in known:
        raise ValueError(f"as_: expected one of {', '.join(known)}, got {as_!r}")
    return known[as_]


def _told(products: Sequence[Product], what: str, exp_id: str | None) -> list[str]:
    """What there is of the like, in words; of the same kind, if there is any."""
    kinds = {p.kind.rpartition("-")[2] for p in products}
    same = {what.split()[0]} & kinds or kinds
    told = []
    for product in products:
        name, kind = product.name, product.kind.rpartition("-")[2]
        words = [kind, "" if name.band is None else f"at {name.band[0]:g} to {name.band[1]:g} keV"]
        words.append(
            "" if product.pixel_arcsec is None else f"with pixels of {product.pixel_arcsec:g} arcsec"
        )
        words.append(f"of {name.source}" if name.source else "")
        words.append("" if exp_id is None else f"of exposure {name.exp_id}")
        if kind in same:
            told.append(" ".join(filter(None, words)))
    return list(dict.fromkeys(told))


def _value(name: str, given: Any, unit: str) -> float:
    try:
        return float(given.to_value(unit))
    except (AttributeError, TypeError, ValueError):
        raise WrongTypeError(
            f"{name}: expected a quantity such as Quantity(2, '{unit}'), got {given!r}"
        ) from None


def _band(lo_en: Any, hi_en: Any) -> tuple[float, float] | None:
    if lo_en is None and hi_en is None:
        return None
    if lo_en is None or hi_en is None:
        raise ValueError(
            "lo_en, hi_en: expected both, e.g. lo_en=Quantity(0.5, 'keV'), hi_en=Quantity(2, 'keV'), or "
            "none of them for all bands"
        )
    return round(_value("lo_en", lo_en, "keV"), 6), round(_value("hi_en", hi_en, "keV"), 6)
