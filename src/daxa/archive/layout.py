"""Where things are in an archive: the only place that knows folders and file names.

::

    ARCHIVE/
        .save_info/                       ledger, mission states, what earlier versions wrote
        processed_data/MISSION/OBSID/     set-up files and logs of the observation
            events/ images/ background/ cleaning/ sources/ spectra/ misc/ logs/
        failed_data/MISSION/OBSID/        the same for observations of which nothing is left
        regions/MISSION/OBSID/source_regions_radec.reg
        mosaics/                          images of all observations that overlap or touch
        reproduce/MISSION/OBSID/reproduce.sh

Names of products are relative to the observation's folder, so that archives and observations can be moved.
What names are made of is the same in all functions.

Parameters
----------
mission
    Name of the mission.
obs_id
    The observation.
inst
    Instrument: M1, M2, PN, R1 or R2; of other missions as these name it, e.g. ACIS.
exp_id
    Sub-exposure: a letter and three digits, e.g. S001.
oot
    Whether the list is of out-of-time events.
lo_ev, hi_ev
    Energy band in which flares were looked for [eV].
lo_kev, hi_kev
    Energy band of an image [keV].
energy
    Energy band of an event list as :func:`energy_text` gives it; empty for all energies.
lo, hi
    Limits of an energy band [keV]; None for no band.
kind
    What the file holds, one of those that the function names.
process
    Name of the process.
ident
    Identifier of the piece of data: ObsID, instrument and sub-exposure in one, as far as it has them.
stream
    ``stdout`` or ``stderr``.
revolution
    Number of the orbit, or a pattern such as ``*``.
field
    Name of the field.
name
    Name that a mission's own software gives a file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

SUBFOLDERS = ("events", "images", "background", "cleaning", "misc", "logs")
#: Label of products made of all sub-exposures, or all cameras.
ALL = "ALL"
#: Usual size of the pixels of images [arcsec].
PIXEL_ARCSEC = 4.35


@dataclass(frozen=True)
class Layout:
    """Folders of one archive."""

    root: Path

    @property
    def save_info(self) -> Path:
        """Folder of the archive's own files."""
        return self.root / ".save_info"

    @property
    def ledger(self) -> Path:
        """The database of what was done."""
        return self.save_info / "ledger.sqlite"

    @property
    def backup(self) -> Path:
        """Copy of the ledger, without logs, of the end of the last call."""
        return self.save_info / "ledger.backup.sqlite"

    @property
    def process_info(self) -> Path:
        """The archive's state: its version and missions."""
        return self.save_info / "process_info.json"

    @property
    def creating(self) -> Path:
        """There as long as the archive's creation has not ended."""
        return self.save_info / "creating.json"

    @property
    def name_lock(self) -> Path:
        """Held by the process that makes, replaces or removes the archive."""
        return self.root.with_name(f".{self.root.name}.lock")

    @property
    def aside(self) -> Path:
        """Where an archive waits, whole, for its successor to stand."""
        return self.root.with_name(f".{self.root.name}.old")

    @property
    def fresh(self) -> Path:
        """Where an archive's folder lies until it is marked as begun."""
        return self.root.with_name(f".{self.root.name}.new")

    @property
    def gone(self) -> Path:
        """Where a folder lies while it is deleted; what is in it is no longer an archive."""
        return self.root.with_name(f".{self.root.name}.gone")

    @property
    def previous_versions(self) -> Path:
        """Folder of earlier versions."""
        return self.save_info / "previous_versions"

    @property
    def lock(self) -> Path:
        """Held by the process that changes the archive."""
        return self.save_info / "processing.lock"

    @property
    def scripts(self) -> Path:
        """Folder of the scripts that make its products again, one per observation."""
        return self.root / "reproduce"

    @property
    def scratch(self) -> Path:
        """Where jobs work."""
        return self.root / ".scratch"

    def mission_state(self, mission: str) -> Path:
        """The saved selection of a mission."""
        return self.save_info / f"{mission}_state.json"

    def processed(self, mission: str, obs_id: str) -> Path:
        """Folder of an observation's products."""
        return self.root / "processed_data" / mission / obs_id

    def failed(self, mission: str, obs_id: str) -> Path:
        """Folder of an observation of which nothing is left."""
        return self.root / "failed_data" / mission / obs_id

    @property
    def mosaics(self) -> Path:
        """Folder of the images of fields."""
        return self.root / "mosaics"

    def regions(self, mission: str, obs_id: str) -> Path:
        """File of an observation's source regions."""
        return self.root / "regions" / mission / obs_id / "source_regions_radec.reg"


def log_name(process: str, ident: str, stream: str) -> str:
    """Log of a process."""
    return f"logs/{process}_{ident}_{stream}.log"


def cif() -> str:
    """Index of the calibration files of an observation."""
    return "ccf.cif"


def sas_summary(revolution: int | str, obs_id: str) -> str:
    """The SUM.SAS file."""
    text = revolution if isinstance(revolution, str) else f"{revolution:04d}"
    return f"{text}_{obs_id}_SCX00000SUM.SAS"


def attitude(obs_id: str) -> str:
    """The observation's attitude file, by the name that the pipeline gives it."""
    return f"P{obs_id}OBX000ATTTSR0000.FIT"


def anom_log(inst: str, exp_id: str) -> str:
    """Log of emanom, by the name that the task gives it."""
    return f"mos{inst[1]}{exp_id}-anom.log"


def _stem(obs_id: str, inst: str, exp_id: str) -> str:
    return f"obsid{obs_id}-inst{inst}-subexp{exp_id}"


def events(obs_id: str, inst: str, exp_id: str, oot: bool = False) -> str:
    """Event list of the chain."""
    return f"events/{_stem(obs_id, inst, exp_id)}-{'oot' if oot else ''}events.fits"


def flare_gti(obs_id: str, inst: str, exp_id: str, lo_ev: int, hi_ev: int) -> str:
    """Good times outside flares, found between two energies [eV]."""
    return f"cleaning/{_stem(obs_id, inst, exp_id)}-en{lo_ev}_{hi_ev}keV-gti.fits"


def flare_histogram(obs_id: str, inst: str, exp_id: str, lo_ev: int, hi_ev: int, kind: str = "qdp") -> str:
    """Histogram of the count rate between two energies [eV], as numbers (``qdp``) or a picture (``png``)."""
    return f"cleaning/{_stem(obs_id, inst, exp_id)}-en{lo_ev}_{hi_ev}keV-hist.{kind}"


def all_good_events(obs_id: str, inst: str, exp_id: str, oot: bool = False) -> str:
    """Flare-free list of the whole chip, corners included."""
    return f"background/{_stem(obs_id, inst, exp_id)}-allgood{'OoT' if oot else ''}events.fits"


def clean_events(obs_id: str, inst: str, exp_id: str, energy: str = "", oot: bool = False) -> str:
    """Event list of a sub-exposure without flares."""
    return f"events/{_stem(obs_id, inst, exp_id)}-en{energy}-clean{'oot' if oot else ''}events.fits"


def final_events(obs_id: str, inst: str, energy: str = "", oot: bool = False) -> str:
    """Event list of an instrument, its sub-exposures together."""
    return f"events/{_stem(obs_id, inst, ALL)}-en{energy}-final{'oot' if oot else ''}events.fits"


def final_all_good_events(obs_id: str, inst: str, energy: str = "", oot: bool = False) -> str:
    """The same of the whole chip, corners included."""
    return f"background/{_stem(obs_id, inst, ALL)}-en{energy}-finalallgood{'oot' if oot else ''}events.fits"


def rgs_file(obs_id: str, inst: str, exp_id: str, kind: str) -> str:
    """File of the grating chain: ``kind`` is ``finalevents``, ``merged``, ``srclist``..."""
    folder = "events" if kind.endswith("events") else "misc"
    return f"{folder}/{_stem(obs_id, inst, exp_id)}-{kind}.fits"


def energy_text(lo: float | None, hi: float | None) -> str:
    """An energy band as it stands in file names, e.g. ``0.5_2.0keV``; empty for no band.

    Examples
    --------
    >>> energy_text(0.5, 2)
    '0.5_2.0keV'
    """
    if lo is None or hi is None:
        return ""
    return f"{_decimal(lo)}_{_decimal(hi)}keV"


def _decimal(value: float) -> str:
    text = f"{value:.6f}".rstrip("0")
    return f"{text}0" if text.endswith(".") else text


def image(obs_id: str, inst: str, lo_kev: float, hi_kev: float) -> str:
    """Counts image of an instrument."""
    return f"images/{_stem(obs_id, inst, ALL)}-en{energy_text(lo_kev, hi_kev)}-image.fits"


def exposure_map(obs_id: str, inst: str, lo_kev: float, hi_kev: float) -> str:
    """Exposure map of an instrument."""
    return f"images/{_stem(obs_id, inst, ALL)}-en{energy_text(lo_kev, hi_kev)}-expmap.fits"


def rate_map(obs_id: str, inst: str, lo_kev: float, hi_kev: float) -> str:
    """Image of the count rate of an instrument."""
    return f"images/{_stem(obs_id, inst, ALL)}-en{energy_text(lo_kev, hi_kev)}-rate.fits"


def ready_made(
    obs_id: str, inst: str, exp_id: str | None, kind: str, lo: float | None = None, hi: float | None = None
) -> str:
    """A product that the mission's archive offers ready-made.

    Parameters
    ----------
    exp_id
        Sub-exposure; None where the archive does not tell them apart.
    kind
        ``event list``, ``image``, ``exposure map``, ``background map`` or ``light curve``.

    Examples
    --------
    >>> ready_made("3205", "ACIS", None, "image", 0.5, 7.0)
    'images/obsid3205-instACIS-subexpNone-en0.5_7.0keV-image.fits'
    """
    if kind == "event list" and inst in ("R1", "R2") and exp_id:
        return rgs_file(obs_id, inst, exp_id, "finalevents")
    folder, ending = {
        "event list": ("events", "finalevents"),
        "image": ("images", "image"),
        "exposure map": ("images", "expmap"),
        "background map": ("background", "backmap"),
        "light curve": ("cleaning", "lightcurve"),
    }[kind]
    band = f"-en{energy_text(lo, hi)}" if lo is not None or (kind == "event list" and exp_id) else ""
    return f"{folder}/{_stem(obs_id, inst, exp_id or 'None')}{band}-{ending}.fits"


def erosita_flares(obs_id: str, inst: str, band: str, kind: str) -> str:
    """What flares of eROSITA were found by: ``kind`` is lightcurve, thresholdimage or maskimage.

    Parameters
    ----------
    band
        Energies as they stand in the name, e.g. ``200_10000PI``.
    """
    return f"cleaning/{_stem(obs_id, inst, 'None')}-en{band}-{kind}.fits"


#: Folders of files of other missions by what they hold; what is in none of them is in ``misc``.
_FOLDERS = {
    **dict.fromkeys(("events", "cleanevents"), "events"),
    **dict.fromkeys(("lightcurve", "flaringGTI", "defaultGTI", "GTI"), "cleaning"),
    **dict.fromkeys(("image", "expmap", "weightedexpmap", "ratemap", "fluxmap", "psfmap"), "images"),
}


def of_kind(obs_id: str, inst: str, kind: str) -> str:
    """File of an instrument of another mission: ``kind`` is badpix, en-events, en0.5_7.0keV-fluxmap..."""
    folder = _FOLDERS.get(kind.rpartition("-")[2], "misc")
    return f"{folder}/{_stem(obs_id, inst, ALL)}-{kind}.fits"


def contents(obs_id: str) -> str:
    """What an observation of another mission holds."""
    return f"misc/obsid{obs_id}-contents.json"


def spectra(name: str) -> str:
    """Spectrum, light curve or response of a source, by the name that files of it give each other."""
    return f"spectra/{name}"


def source_name(ra_deg: float, dec_deg: float) -> str:
    """Name of a source by its position, cut as the catalogues do.

    Parameters
    ----------
    ra_deg, dec_deg
        Its position [deg].

    Examples
    --------
    >>> source_name(149.523767, -11.155819)
    'J095805.7-110920'
    """
    tenths = int(ra_deg * 2400 + 1e-6) % 864_000
    seconds = int(abs(dec_deg) * 3600 + 1e-6)
    hours, minutes, rest = tenths // 36_000, tenths // 600 % 60, tenths % 600
    degrees, arcmin, arcsec = seconds // 3600, seconds // 60 % 60, seconds % 60
    sign = "-" if dec_deg < 0 else "+"
    return f"J{hours:02d}{minutes:02d}{rest / 10:04.1f}{sign}{degrees:02d}{arcmin:02d}{arcsec:02d}"


def spectral_file(obs_id: str, inst: str, exp_id: str | None, name: str, kind: str) -> str:
    """File of a source's spectrum, or of what comes with it.

    Parameters
    ----------
    exp_id
        Sub-exposure; None for all together.
    name
        Name of the source; of a matrix the patterns that it is for.
    kind
        ``spectrum``, ``background``, ``arf``, ``rmf``, ``source`` or ``around``: regions.

    Examples
    --------
    >>> spectral_file("0800010101", "PN", None, "J095805.7-110920", "arf")
    'spectra/obsid0800010101-instPN-subexpALL-J095805.7-110920-arf.fits'
    """
    ending = "reg" if kind in ("source", "around") else "fits"
    return spectra(f"{_stem(obs_id, inst, exp_id or ALL)}-{name}-{kind}.{ending}")


def curve_name(source: str, band: tuple[float, float], width_s: float, *, barycentre: bool = False) -> str:
    """What of a camera a light curve of a source is, in names of files.

    Parameters
    ----------
    source
        Name of the source.
    band
        Energies [keV].
    width_s
        Length of its bins [s].
    barycentre
        Whether its times are at the barycentre.

    Examples
    --------
    >>> curve_name("J095805.7-110920", (0.5, 10.0), 100.0)
    'J095805.7-110920-en0.5_10.0keV-bin100.0s'
    """
    where = "-barycentre" if barycentre else ""
    return f"{source}-en{energy_text(*band)}-bin{_decimal(width_s)}s{where}"


def curve_file(obs_id: str, inst: str, name: str, kind: str) -> str:
    """File of a light curve of a source, or of what comes with it.

    Parameters
    ----------
    name
        That of :func:`curve_name`.
    kind
        ``lightcurve``, ``source``, ``background``: what it was made of; ``srcregion``, ``bkgregion``.

    Examples
    --------
    >>> curve_file("0800010101", "PN", "J095805.7-110920-en0.5_10.0keV-bin100.0s", "lightcurve")
    'lightcurves/obsid0800010101-instPN-subexpALL-J095805.7-110920-en0.5_10.0keV-bin100.0s-lightcurve.fits'
    """
    ending = "reg" if kind.endswith("region") else "fits"
    return f"lightcurves/{_stem(obs_id, inst, ALL)}-{name}-{kind}.{ending}"


def arcsec_text(size_arcsec: float) -> str:
    """An angle on the sky as it stands in file names, e.g. ``4.0arcsec``.

    Parameters
    ----------
    size_arcsec
        The angle.
    """
    return f"{_decimal(size_arcsec)}arcsec"


def _pixels(pixel_arcsec: float | None) -> str:
    return "" if pixel_arcsec is None else f"px{arcsec_text(pixel_arcsec)}"


def image_product(
    obs_id: str, inst: str, kind: str, lo_kev: float, hi_kev: float, pixel_arcsec: float | None = None
) -> str:
    """What is made with an image.

    ``kind`` is image, expmap, novigexpmap, mask, sourcemask, ootsubimage, backmap, or smooth and its width.

    Parameters
    ----------
    pixel_arcsec
        Size of a pixel; None for the usual one.
    """
    words = [f"en{energy_text(lo_kev, hi_kev)}", _pixels(pixel_arcsec), kind]
    return f"images/{_stem(obs_id, inst, ALL)}-{'-'.join(filter(None, words))}.fits"


def image_key(kind: str, lo_kev: float, hi_kev: float, pixel_arcsec: float | None = None) -> str:
    """Name under which the record of a run knows a product of :func:`image_product`.

    Parameters
    ----------
    pixel_arcsec
        Size of a pixel; None for the usual one.

    Examples
    --------
    >>> image_key("expmap", 0.5, 2), image_key("image", 0.5, 2, 4)
    ('expmap_0.5_2.0keV', 'image_0.5_2.0keV_px4.0arcsec')
    """
    return "_".join(filter(None, [kind, energy_text(lo_kev, hi_kev), _pixels(pixel_arcsec)]))


def source_list(obs_id: str) -> str:
    """Table of the sources found in an observation."""
    return f"sources/obsid{obs_id}-sources.fits"


def found_regions(obs_id: str) -> str:
    """The same sources as regions of ds9."""
    return f"sources/obsid{obs_id}-sources.reg"


def field_mosaic(field: str, lo_kev: float, hi_kev: float, kind: str) -> str:
    """Mosaic of several observations, in the archive's ``mosaics``: ``kind`` is image, expmap or rate."""
    return f"{field}-en{energy_text(lo_kev, hi_kev)}-{kind}.fits"


_NAME = re.compile(
    r"obsid(?P<obs_id>.+?)-inst(?P<inst>.+?)-subexp(?P<exp_id>\w+?)"
    r"(?:-(?P<source>J[\d.]+[+-]\d+))?(?:-en(?:(?P<lo>[\d.]+)_(?P<hi>[\d.]+)keV)?)?(?:-px(?P<px>[\d.]+)arcsec)?(?:-(?P<kind>[\w.-]+))?"
    r"\.\w+"
)


class Named(NamedTuple):
    """What the name of a product says of it.

    Attributes
    ----------
    obs_id, inst
        ObsID; instrument, or several with ``_`` between.
    exp_id
        Sub-exposure; ``ALL`` for products of all, and where a mission does not tell them apart.
    band
        Energies [keV]; None for all, or where they are not in the name.
    source
        Name of the source, of spectra; else empty.
    """

    obs_id: str
    inst: str
    exp_id: str = ALL
    band: tuple[float, float] | None = None
    source: str = ""


def read_name(path: str) -> tuple[Named, str, float | None] | None:
    """What the name of a product says: of what it is, its kind, the size of its pixels [arcsec].

    Parameters
    ----------
    path
        The name, with or without folders.

    Returns
    -------
    named, kind, pixel_arcsec
        The size is None for the usual one. None for files that are named otherwise.

    Examples
    --------
    >>> read_name(image_product("0800010101", "PN", "expmap", 0.5, 2.0, 4.0))
    (Named(obs_id='0800010101', inst='PN', exp_id='ALL', band=(0.5, 2.0), source=''), 'expmap', 4.0)
    >>> read_name(events("0800010101", "M1", "S001"))
    (Named(obs_id='0800010101', inst='M1', exp_id='S001', band=None, source=''), 'events', None)
    """
    match = _NAME.fullmatch(path.rpartition("/")[2])
    if match is None:
        return None
    # Those of flares are in eV, whatever their names say.
    banded = match["lo"] is not None and match["kind"] not in ("gti", "hist")
    band = (float(match["lo"]), float(match["hi"])) if banded else None
    exp_id = ALL if match["exp_id"] == "None" else match["exp_id"]
    pixel = None if match["px"] is None else float(match["px"])
    named = Named(match["obs_id"], match["inst"], exp_id, band, match["source"] or "")
    return named, match["kind"] or "", pixel
