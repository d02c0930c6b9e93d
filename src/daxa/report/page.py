"""The HTML report of an archive: a folder of pages that works from the disk and can be handed on."""

from __future__ import annotations

import math
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daxa._version import __version__
from daxa.exceptions import DAXAError
from daxa.process.reproduce import reproduce
from daxa.report import (
    chart,
    drawing,
    gather,
    plots,
    rasters,
    source_curves,
    source_names,
    source_spectra,
    steps,
    summary,
)
from daxa.report.products import CAMERAS, Reader, Values, finite
from daxa.report.skymap import sexagesimal
from daxa.report.verdict import PENDING, UNUSABLE, USABLE, WARNINGS, judge_archive, line_is_off
from daxa.trust import TRUST

if TYPE_CHECKING:
    from jinja2 import Environment

    from daxa.archive import Archive

#: What emanom says, in words.
STATES = {
    "G": "good",
    "I": "intermediate below 1 keV",
    "B": "bad below 1 keV",
    "O": "off",
    "U": "undetermined",
}
#: Order of the verdicts in tables: the worst first.
_RANK = {UNUSABLE: 0, WARNINGS: 1, PENDING: 2, USABLE: 3}
#: Whether it is an exposure map, and the unit -> what pictures show.
_KINDS = {
    (False, "ct/s per pixel"): "counts over exposure",
    (False, "counts per pixel"): "counts, without an exposure map",
    (True, "s"): "exposure",
}


def build_report(archive: Archive, output: str | os.PathLike[str] | None = None) -> Path:
    """Write the report of an archive: ``report/index.html`` and what it needs, in one folder.

    The first page has the verdict, the sky and a table of the observations; each observation has its own page
    with images, light curves, spectra, and the record of how it was made. The folder can be copied anywhere.
    What has not changed since the last report is not read again.

    Parameters
    ----------
    archive
        The archive; it is not changed if the report is written elsewhere.
    output
        Folder of the report, made if it does not exist; ``report`` in the archive by default.

    Returns
    -------
    page
        Path of the first page.

    Raises
    ------
    DAXAError
        The folder cannot be made, or is in an archive that can only be read.

    Warns
    -----
    UserWarning
        Names products that cannot be read; all others are there.

    Examples
    --------
    >>> page = daxa.report.build_report(archive, "for_my_colleagues")
    """
    folder = _folder(archive, output)
    try:
        for part in ("observations", "images", "static", "values", "files"):
            (folder / part).mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        raise DAXAError(f"{folder}: no folder for the report ({failure.strerror or failure})") from failure
    with tempfile.TemporaryDirectory(prefix=".pixels", dir=folder) as scratch:
        _Report(archive, folder, Path(scratch)).write()
    return folder / "index.html"


def _folder(archive: Archive, output: str | os.PathLike[str] | None) -> Path:
    root = Path(archive.archive_path)
    if output is not None:
        return Path(output).absolute()
    if archive.read_only:
        raise DAXAError(
            f"{root}: the archive is read-only; the report needs another folder (--output FOLDER)"
        )
    return root / "report"


class _Report:
    """One writing of a report."""

    def __init__(self, archive: Archive, folder: Path, scratch: Path) -> None:
        self.archive, self.folder, self.scratch = archive, folder, scratch
        self.record = gather.Record(archive)
        self.environment = _environment()
        self.shared = {
            "name": archive.archive_name,
            "version": __version__,
            "trust": TRUST,
            "written": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "missions": [m.pretty_name for m in archive.missions],
            "cameras": CAMERAS,
        }

    def write(self) -> None:
        self._static()
        observations = list(self._observations())
        mosaics = self._mosaics()
        self._pictures(observations, mosaics)
        told = [_for_table(o) for o in observations]
        for number, one in enumerate(observations):
            self._observation(one, told[number - 1] if number else None, *told[number + 1 : number + 2])
        verdict = judge_archive({o["obs_id"]: o["verdict"] for o in told})
        self._page(
            "index.html",
            "index.html",
            top="",
            verdict=verdict,
            observations=told,
            findings=sorted((o for o in told if o["verdict"].reasons), key=lambda o: o["rank"]),
            simulated=any(o["simulated"] for o in told),
            tiles=_tiles(told),
            sky=chart.sky(told),
            mosaics=_groups(mosaics),
        )
        self._record_page(told)

    def _observations(self) -> Iterator[Values]:
        """What is told of each observation; a product that cannot be read is named in a warning."""
        for mission in self.archive.missions:
            for obs_id in mission.filtered_obs_ids:
                scratch = self.scratch / f"{mission.name}_{obs_id}"
                scratch.mkdir()
                found = gather.observation(self.record, mission, obs_id, self.folder, scratch)
                data = Path(self.archive.get_current_data_path(mission, obs_id))
                for problem in found["problems"]:
                    warnings.warn(f"{data / problem} (left out of the report)", stacklevel=5)
                yield found

    def _mosaics(self) -> Values:
        """Images of fields of several observations, where they were made."""
        place = self.archive.layout.mosaics
        if not place.is_dir():
            return {"frames": {}, "pictures": [], "outline": []}
        scratch = self.scratch / "mosaics"
        scratch.mkdir()
        reader = Reader(place)
        found = drawing.mosaic_pictures(reader, scratch)
        for problem in reader.problems:
            warnings.warn(f"{place / problem} (left out of the report)", stacklevel=4)
        return found

    def _pictures(self, observations: list[Values], mosaics: Values) -> None:
        """Draw what is new; all if the scale has become another."""
        images = self.folder / "images"
        scales = drawing.scales_of([p for o in observations for p in o["images"]["pictures"]])
        for one in observations:
            pictures = one["images"]["pictures"]
            stem = one["page"].removesuffix(".html")
            same = all(
                p.get("limit") == scales[drawing.scale_key(p)] and (images / p.get("file", "none")).exists()
                for p in pictures
            )
            if not one["fresh"] and not same:
                again = self._read_again(one)
                one["images"], pictures = again, again["pictures"]
            if one["fresh"] or not same:
                drawing.draw(pictures, scales, images, stem)
                gather.keep(one)
        drawing.draw(mosaics["pictures"], drawing.scales_of(mosaics["pictures"]), images, "mosaic")
        for kind in ("rate", "exposure"):
            rasters.write_scale(images / f"{kind}-scale.png", drawing.KINDS[kind][0])
        wanted = {p["file"] for o in [*[o["images"] for o in observations], mosaics] for p in o["pictures"]}
        wanted |= {"rate-scale.png", "exposure-scale.png"}
        for left in images.glob("*.png"):
            if left.name not in wanted:
                left.unlink()

    def _read_again(self, one: Values) -> Values:
        reader = Reader(Path(self.archive.get_current_data_path(one["mission"], one["obs_id"])))
        scratch = self.scratch / f"{one['mission']}_{one['obs_id']}"
        return drawing.observation_pictures(reader, one["obs_id"], one["sources"], scratch)

    def _observation(self, one: Values, before: Values | None, after: Values | None = None) -> None:
        figures = plots.all_figures(one)
        images = _groups(one["images"])
        self._page(
            "observation.html",
            f"observations/{one['page']}",
            top="../",
            o=_for_table(one) | {"sources": _positions(one)},
            figures=figures,
            drawn=finite({name: figure["figure"] for name, figure in figures.items()}),
            images=images,
            curve_names=[source_curves.name_of(c) for c in one["source_curves"]],
            lines=_lines(one),
            unseen=_unseen(one),
            states=STATES,
            sections=_sections(one),
            files=self._files(one),
            warned={
                "sources": steps.warnings_of(one["steps"], ["find_sources"]),
                "spectra": steps.warnings_of(one["steps"], ["generate_matrices", "generate_spectra"]),
                "curves": steps.warnings_of(one["steps"], ["generate_lightcurves"]),
            },
            before=before,
            after=after,
        )

    def _files(self, one: Values) -> dict[str, str]:
        """The script that makes the products again, and the logs."""
        mission, obs_id = one["mission"], one["obs_id"]
        stem = one["page"].removesuffix(".html")
        found = {}
        if one["steps"]:
            found["logs"] = f"files/{stem}-logs.txt"
            runs = self.archive.ledger.runs(mission=mission, obs_id=obs_id)
            self._text(found["logs"], gather.logs_text(runs))
        if one["done"]:
            try:
                script = reproduce(self.archive.ledger, self.archive.archive_name, mission, obs_id)
            except DAXAError:  # e.g. an archive of an earlier version, which did not keep what it takes
                return found
            found["script"] = f"files/{stem}-reproduce.sh"
            self._text(found["script"], script)
            (self.folder / found["script"]).chmod(0o755)
        return found

    def _record_page(self, told: list[Values]) -> None:
        versions = {f"{k} {v}" for o in told for k, values in o["versions"].items() for v in values}
        backends = sorted({b for o in told for b in o["backends"]})
        missions = self.archive.missions
        facts = [
            ("archive", self.archive.archive_name),
            ("version of the archive", str(self.archive.version)),
            ("back-end", ", ".join(backends) or "none: nothing was run"),
            ("versions of the steps", ", ".join(sorted(versions)) or "–"),
            ("report", f"DAXA {__version__}, Python {sys.version.split()[0]}, {self.shared['written']}"),
            ("instruments", "; ".join(f"{m.name}: {', '.join(m.chosen_instruments)}" for m in missions)),
            ("calibration", _calibration_text(told)),
        ]  # fmt: skip
        parameters = [
            (step, {k: str(v) for k, v in values.items()})
            for configurations in self.archive.process_configurations.values()
            for one in configurations
            for step, values in one.items()
        ]
        self._page(
            "record.html",
            "record.html",
            top="",
            facts=facts,
            steps=summary.status_table(self.archive),
            names=steps.STEPS,
            parameters=parameters,
        )

    def _static(self) -> None:
        """What all pages share."""
        for source in files("daxa.report").joinpath("static").iterdir():
            target = self.folder / "static" / source.name
            data = source.read_bytes()
            if not target.exists() or target.read_bytes() != data:
                target.write_bytes(data)

    def _page(self, template: str, name: str, **values: Any) -> None:
        self._text(name, self.environment.get_template(template).render(self.shared | values))

    def _text(self, name: str, text: str) -> None:
        """Write a file whole; it is not pressed to the disk, since it can be written again."""
        path = self.folder / name
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            part.write_text(text, encoding="utf-8", errors="replace")
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("daxa.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "ks": _ks,
        "count": lambda n: _digits(n, 0),
        "digits": _digits,
        "limit": _limit,
        "mode": _mode,
        "size": _size,
        "lost": _lost,
    }
    return environment


def _digits(value: Any, number: int) -> str:
    """A number with so many decimals; a dash for what is none."""
    return f"{value:,.{number}f}" if isinstance(value, int | float) and math.isfinite(value) else "–"


def _ks(seconds: Any) -> str:
    """Seconds as thousands of them."""
    if not isinstance(seconds, int | float):
        return "–"
    return _digits(seconds / 1000, 2 if 0 < seconds < 50 else 1)


def _limit(picture: Values) -> str:
    """Where the scale of a picture ends."""
    if picture["unit"] == "s":
        return f"{picture['limit'] / 1000:g} ks"
    return f"{picture['limit']:g} {picture['unit']}"


def _mode(name: str) -> str:
    """A mode of a camera as people say it, e.g. Full Window for PrimeFullWindow."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.removeprefix("Prime")).strip()
    return words or name


def _size(number: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"
        number /= 1000
    raise AssertionError


def _lost(exposure: Values) -> str:
    before, after = exposure["before_s"], exposure["after_s"]
    if not before or after is None:
        return "–"
    return f"{max(0.0, 100 * (1 - after / before)):.0f}"


def _for_table(one: Values) -> Values:
    """An observation as tables show it."""
    cameras = one["cameras"]
    before = [c["before_s"] for c in cameras if c["before_s"] is not None]
    after = [c["after_s"] for c in cameras if c["after_s"] is not None]
    lost = [c["lost"] for c in cameras if c["lost"] is not None]
    ratios = [r["inout"] for c in cameras for r in c["ratios"]]
    return one | {
        "sexagesimal": sexagesimal(one["header"]["ra"], one["header"]["dec"]),
        "rank": _RANK[one["verdict"].level],
        "before_s": max(before, default=None),
        "after_s": max(after, default=None),
        "lost": max(lost, default=None),
        "inout": max(ratios, default=None),
        "outline": one["images"]["outline"],
    }


def _positions(one: Values) -> list[Values] | None:
    """Sources with their places in words, and with the figures of their spectra and light curves."""
    if one["sources"] is None:
        return None
    placed = [s for s in one["sources"] if s.get("ra") is not None and s.get("dec") is not None]
    drawn = [{**c, "kind": "spectrum", "name": source_spectra.name_of(c)} for c in one["source_spectra"]]
    drawn += [{**c, "kind": "light curve", "name": source_curves.name_of(c)} for c in one["source_curves"]]
    placed = source_names.with_products(placed, drawn)
    return [s | {"sexagesimal": sexagesimal(s["ra"], s["dec"])} for s in placed]


def _sections(one: Values) -> list[tuple[str, str]]:
    """What the page of an observation has."""
    found = [("cameras", "Cameras"), ("images", "Images")]
    if one["exposures"]:
        found += [("flares", "Flares"), ("spectra", "Spectra"), ("patterns", "Patterns"), ("ccds", "CCDs")]
    if one["gratings"]:
        found.append(("gratings", "Gratings"))
    found += [("attitude", "Attitude"), ("sources", "Sources")]
    if one["source_spectra"]:
        found.append(("source-spectra", "Spectra of sources"))
    if one["source_curves"]:
        found.append(("source-curves", "Light curves of sources"))
    return [*found, ("record", "Record")]


def _groups(images: Values) -> list[Values]:
    """Pictures that stand beside each other: of one band and kind."""
    groups: dict[tuple[float, float, float, bool, str], list[Values]] = {}
    for one in images["pictures"]:
        key = (one["low"], one["high"], one["pixel"] or 0.0, one["kind"] == "exposure", one["unit"])
        groups.setdefault(key, []).append(one)
    return [
        {
            "title": f"{pictures[0]['band']}, {_KINDS[key[3:]]}",
            "pictures": sorted(pictures, key=lambda p: p["kind"] == "oot"),
            "frames": images["frames"],
        }
        for key, pictures in sorted(groups.items())
    ]


def _lines(one: Values) -> list[Values]:
    """Lines that were measured."""
    return [
        {**line, "inst": e["inst"], "exp": e["exp"], "off": line_is_off(line)}
        for e in one["exposures"]
        for line in e.get("lines") or []
        if line["energy"] is not None
    ]


def _unseen(one: Values) -> list[str]:
    """Lines that do not stand out, in words."""
    found = []
    for e in one["exposures"]:
        names = [line["name"] for line in e.get("lines") or [] if line["energy"] is None]
        if names:
            found.append(f"{CAMERAS[e['inst']]} {e['exp']}: {', '.join(names)}")
    return found


def _tiles(told: list[Values]) -> list[Values]:
    """The numbers at the top of the first page."""
    kept: dict[str, float] = {}
    for one in told:
        for camera in one["cameras"]:
            if camera["after_s"] is not None:
                kept[camera["name"]] = kept.get(camera["name"], 0.0) + camera["after_s"]
    usable = sum(o["verdict"].level in (USABLE, WARNINGS) for o in told)
    tiles: list[Values] = [{"label": "observations usable", "value": f"{usable} of {len(told)}", "unit": ""}]
    tiles += [{"label": f"{name}, cleaned", "value": _ks(s), "unit": "ks"} for name, s in kept.items()]
    lost = [o["lost"] for o in told if o["lost"] is not None]
    if lost:
        tiles.append({"label": "lost to flares, at most", "value": f"{max(lost):.0f}", "unit": "%"})
    return tiles


def _calibration_text(told: list[Values]) -> str:
    dates = sorted({o["calibration_dates"]["analysis_date"][:10] for o in told} - {""})
    if not dates:
        return "no index of calibration files was made"
    text = f"files as they were known on {dates[0]}"
    if len(dates) > 1:
        text = f"files as they were known between {dates[0]} and {dates[-1]}"
    return text + ("; made up for simulations" if any(o["synthetic"] for o in told) else "")
