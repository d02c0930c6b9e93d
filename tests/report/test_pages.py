"""The pages of a report: what is on them for archives in which something went wrong."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from small_mission import SmallMission, X
from test_source_curves import SOURCE, write_curve

from daxa.archive import Archive, layout
from daxa.archive.run import Run
from daxa.exceptions import DAXAError
from daxa.report import build_report
from daxa.report.products import observation_values

NASTY = "<script>alert(1)</script>"
FIRST, SECOND, THIRD, FOURTH, FIFTH = (f"08000{k}0101" for k in range(1, 6))


class Five(SmallMission):
    """Five observations, each with its own misfortune."""

    def _query(self, refresh):
        frame, none = super()._query(refresh)
        frame = frame.loc[[0] * 5].reset_index(drop=True)
        frame["ObsID"] = [FIRST, SECOND, THIRD, FOURTH, FIFTH]
        return frame, none


@pytest.fixture
def archive(monkeypatch) -> Archive:
    monkeypatch.setattr("daxa.mission.MISS_INDEX", {X: Five})
    return Archive("field", Five())


def record(archive: Archive, process: str, ident: str, **values) -> None:
    archive.record(
        Run(process, ident, X, ident[:10], ident[10:12] or None, ident[12:] or None,
            **{"status": "done", "started": "2026-01-01", "stdout": f"{process} {NASTY}\n", **values})
    )  # fmt: skip


def event_list(path: Path, events: int, live_s: float, **cards) -> None:
    rng = np.random.default_rng(1)
    names = ("PI", "FLAG", "PATTERN", "CCDNR")
    values = (rng.integers(300, 9000, events), np.zeros(events), np.zeros(events), np.ones(events))
    columns = [fits.Column(n, "J", array=v.astype(np.int32)) for n, v in zip(names, values, strict=True)]
    table = fits.BinTableHDU.from_columns(columns, name="EVENTS")
    table.header.update(
        {"LIVETIME": live_s, "ONTIME": live_s, "ONTIME01": live_s, "LIVETI01": live_s, "TSTART": 6e8,
         "OBJECT": NASTY, "SUBMODE": "PrimeFullWindow", "FILTER": "Medium", "RA_PNT": 149.6, "DEC_PNT": -11.1,
         **cards}
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path, overwrite=True)


def reduced_camera(
    archive: Archive, obs_id: str, inst: str, events: int = 500, live_s: float = 5000.0
) -> Path:
    """Lists and an image of a camera that has come through."""
    folder = archive.obs_folder(X, obs_id)
    stem = f"obsid{obs_id}-inst{inst}-subexp"
    event_list(folder / f"events/{stem}S001-events.fits", 900, 6000.0)
    event_list(folder / f"events/{stem}S001-en-cleanevents.fits", events, live_s)
    event_list(folder / f"events/{stem}ALL-en-finalevents.fits", events, live_s)
    event_list(folder / f"background/{stem}S001-allgoodevents.fits", events, live_s)
    image = folder / f"images/{stem}ALL-en0.5_2.0keV-image.fits"
    image.parent.mkdir(exist_ok=True)
    header = fits.Header(
        {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 20, "CRPIX2": 20, "CRVAL1": 149.6,
         "CRVAL2": -11.1, "CDELT1": -0.01, "CDELT2": 0.01}
    )  # fmt: skip
    fits.PrimaryHDU(np.ones((40, 40), np.float32), header).writeto(image, overwrite=True)
    record(archive, "emchain", f"{obs_id}{inst}S001")
    return image


@pytest.fixture
def unlucky(archive: Archive) -> Archive:
    """A damaged image, a failed camera, no calibration, nothing but flares, and nothing done."""
    reduced_camera(archive, FIRST, "PN")
    reduced_camera(archive, FIRST, "M1").write_bytes(b"SIMPLE  = but damaged")
    reduced_camera(archive, SECOND, "M1")
    error = {"originator": "epchain", "name": "noFrames", "message": f"no frames in {NASTY}"}
    record(archive, "epchain", f"{SECOND}PNS003", status="failed", errors=[error], stderr="oh no")
    error = {"originator": "cifbuild", "name": "noCcf", "message": "no calibration constituent"}
    record(archive, "cif_build", THIRD, status="failed", errors=[error])
    reduced_camera(archive, FOURTH, "M1", events=0, live_s=0.0)
    return archive


class Page(HTMLParser):
    """Links, ids and texts of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links, self.ids, self.alts, self.path = [], [], [], path
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.links += [found[k] for k in ("href", "src") if found.get(k)]
        self.ids += [found["id"]] if "id" in found else []
        if tag == "img":
            self.alts.append(found.get("alt"))
        if found.get("role") in ("img", "group", "region"):
            self.alts.append(found.get("aria-label"))

    def wrong(self) -> list[str]:
        """Links that lead nowhere."""
        missing = []
        for link in self.links:
            target, _, part = link.partition("#")
            if link.startswith("data:"):
                continue
            if target and not (self.path.parent / target).is_file():
                missing.append(link)
            if not target and part not in self.ids:
                missing.append(link)
        return missing


def text_of(path: Path) -> str:
    return re.sub(r"\s+", " ", path.read_text(encoding="utf-8"))


def test_verdicts_of_an_archive_in_which_everything_happens(unlucky, tmp_path):
    with pytest.warns(UserWarning, match=r"instM1-subexpALL-en0\.5_2\.0keV-image\.fits"):
        page = unlucky.report(tmp_path / "site")
    first = text_of(page)
    assert "Usable with warnings" in first
    assert "2 of 5 observations cannot be used" in first
    assert "1 of 5 observations not reduced yet" in first
    assert "2 of 5 observations usable with warnings" in first
    for obs_id, words in {
        FIRST: ("Usable with warnings", "cannot be read: images/"),
        SECOND: ("Usable with warnings", "pn: pn event list (epchain S003) failed: no frames"),
        THIRD: ("Not usable", "choice of calibration files (cif_build) failed: no calibration constituent"),
        FOURTH: ("Not usable", "MOS1: flares cover all of it, nothing is left of 6.0 ks"),
        FIFTH: ("Not reduced", "no step has been run on it yet"),
    }.items():
        text = text_of(tmp_path / f"site/observations/{X}_{obs_id}.html")
        for word in words:
            assert word in text, obs_id
    # The damaged image costs its own picture only.
    pictures = sorted(p.name for p in (tmp_path / "site/images").glob(f"*{FIRST}*"))
    assert pictures == [f"{X}_{FIRST}-PN-0.5-2-rate.png"]


def test_the_folder_is_whole_and_foreign_text_is_text(unlucky, tmp_path):
    with pytest.warns(UserWarning, match="left out of the report"):
        unlucky.report(tmp_path / "site")
    shutil.move(tmp_path / "site", tmp_path / "elsewhere")
    pages = sorted((tmp_path / "elsewhere").rglob("*.html"))
    assert len(pages) == 7
    for path in pages:
        page = Page(path)
        assert page.wrong() == [], path
        assert all(page.alts), path
        assert not [link for link in page.links if link.startswith(("http", "//", "/"))]
        text = path.read_text(encoding="utf-8")
        assert NASTY not in text
        assert len(text) < 2_000_000
    shown = (tmp_path / f"elsewhere/observations/{X}_{SECOND}.html").read_text(encoding="utf-8")
    assert "no frames in &lt;script&gt;" in shown
    (data,) = re.findall(r'<script type="application/json" id="figures">(.*?)</script>', shown, re.DOTALL)
    figures = json.loads(data)
    assert {"spectrum-M1-S001", "patterns-M1-S001", "chips-M1-S001"} <= set(figures)
    logs = (tmp_path / f"elsewhere/files/{X}_{SECOND}-logs.txt").read_text(encoding="utf-8")
    assert NASTY in logs
    assert "oh no" in logs


def test_strange_headers_do_not_end_the_report(archive, tmp_path):
    image = reduced_camera(archive, FIRST, "M1")
    fits.PrimaryHDU(np.ones((40, 40), np.float32)).writeto(image, overwrite=True)  # no coordinates
    events = archive.obs_folder(X, FIRST) / f"events/obsid{FIRST}-instM1-subexpS001-events.fits"
    event_list(events, 90, 6000.0, RA_PNT="north", REVOLUT="?", LIVETIME="long", MJDREF=0)
    image = reduced_camera(archive, SECOND, "M1")
    header = fits.getheader(image)
    header["CDELT1"] = 0.0
    fits.PrimaryHDU(np.full((40, 40), np.nan, np.float32), header).writeto(image, overwrite=True)
    clean = archive.obs_folder(X, SECOND) / "cleaning"
    clean.mkdir(exist_ok=True)
    row = " nan nan nan nan -1.0 0.0 -1.0 0.0 -1.0 0.0 -1.0 0.0 -1.0 -1.0\n 30.0 -1.0 0.0 -1.0 nan 0.1"
    row += " -1.0 0.0 -1.0 0.0 -1.0 0.0 -1.0 -1.0\n"
    (clean / f"obsid{SECOND}-instM1-subexpS001-en2500_8500keV-hist.qdp").write_text(row)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.report(tmp_path / "site")
    for path in (tmp_path / "site").rglob("*.html"):
        assert Page(path).wrong() == []
        for data in re.findall(r'id="figures">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL):
            json.loads(data, parse_constant=pytest.fail)
    shown = text_of(tmp_path / f"site/observations/{X}_{FIRST}.html")
    assert "149.6000 −11.1000" in shown


def test_what_has_not_changed_is_not_read_again(archive, tmp_path, monkeypatch):
    image = reduced_camera(archive, FIRST, "M1")
    archive.report()
    kept = Path(archive.archive_path) / f"report/values/{X}_{FIRST}.json"
    assert json.loads(kept.read_text())["finals"]["M1"]["events"] == 500
    read = []
    from daxa.report import products

    monkeypatch.setattr(
        products,
        "observation_values",
        lambda folder, *more, original=products.observation_values: (
            read.append(folder.name) or original(folder, *more)
        ),
    )
    picture = Path(archive.archive_path) / f"report/images/{X}_{FIRST}-M1-0.5-2-rate.png"
    before = picture.stat().st_mtime_ns
    archive.report()
    assert read == []
    assert picture.stat().st_mtime_ns == before
    data = fits.getdata(image) * 7
    fits.PrimaryHDU(data, fits.getheader(image)).writeto(image, overwrite=True)
    archive.report()
    assert read == [FIRST]
    assert picture.stat().st_mtime_ns > before
    # Another scale, or a picture that is gone: drawn again, without reading the lists.
    picture.unlink()
    kept.write_text(kept.read_text().replace('"limit": ', '"limit": 1'))
    archive.report()
    assert read == [FIRST]
    assert picture.exists()
    kept.write_text("{ damaged")
    archive.report()
    assert read == [FIRST, FIRST]


def test_an_archive_that_can_only_be_read_is_reported_elsewhere(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(Archive, "read_only", True)
    with pytest.raises(DAXAError, match="read-only; the report needs another folder"):
        archive.report()
    page = build_report(archive, tmp_path / "site")
    assert "none of its observations has been reduced" in text_of(page)
    (tmp_path / "file").write_text("")
    with pytest.raises(DAXAError, match="no folder for the report"):
        build_report(archive, tmp_path / "file")


def test_gratings(archive):
    path = archive.obs_folder(X, FIRST) / f"events/obsid{FIRST}-instR1-subexpS004-finalevents.fits"
    wave = np.repeat([18.97, 24.78, 33.74], 100)
    columns = [fits.Column("M_LAMBDA", "D", array=wave), fits.Column("PI", "J", array=12398 / wave)]
    good = [fits.Column(n, "D", array=np.array([v])) for n, v in (("START", 10.0), ("STOP", 3910.0))]
    head = fits.PrimaryHDU(
        header=fits.Header({"SUBMODE": "HighEventRate", "OBJECT": "Star", "SYNTHCAL": True})
    )
    tables = [fits.BinTableHDU.from_columns(c, name=n) for c, n in ((columns, "EVENTS"), (good, "STDGTI01"))]
    fits.HDUList([head, *tables]).writeto(path)
    (path.parents[1] / f"3100_{FIRST}_SCX00000SUM.SAS").write_text("made by daxa.simulate\n")
    found = observation_values(path.parents[1], FIRST, ["R1"])
    (one,) = found["gratings"]
    assert (one["events"], one["ontime_s"], one["mode"]) == (300, 3900.0, "HighEventRate")
    assert sum(one["order1"]) == 300
    assert one["order1"][round((18.97 - 5) / 0.05 - 0.5)] == 100
    assert sum(one["order2"]) == 0
    assert found["header"]["chain"] == "SIMU"
    assert found["header"]["target"] == "Star"


def test_mosaics_are_on_the_first_page(archive, tmp_path):
    image = reduced_camera(archive, FIRST, "M1")
    folder = Path(archive.archive_path) / "mosaics"
    folder.mkdir(exist_ok=True)
    shutil.copyfile(image, folder / "A907-en0.5_2.0keV-image.fits")
    text = text_of(archive.report())
    assert 'id="mosaics"' in text
    assert "images/mosaic-A907-0.5-2-rate.png" in text


def test_sources_lead_to_their_light_curves(archive, tmp_path):
    reduced_camera(archive, FIRST, "PN")
    folder = archive.obs_folder(X, FIRST)
    write_curve(folder, "PN", [1.0, 2.0], [1.0, 1.0])
    columns = [fits.Column(n, "D", array=[v]) for n, v in (("RA", 149.524), ("DEC", -11.1555), ("RATE", 1.0))]
    table = fits.BinTableHDU.from_columns(columns, name="SRCLIST")
    path = folder / layout.source_list(FIRST)
    path.parent.mkdir(exist_ok=True)
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    archive.report(tmp_path / "site")
    page = Page(tmp_path / f"site/observations/{X}_{FIRST}.html")
    assert f"#figure-lightcurve-{SOURCE}-PN-0.5-10.0-100.0" in page.links
    assert page.wrong() == []


def test_a_whole_reduction(reduced, tmp_path, monkeypatch):
    monkeypatch.setenv("DAXA_OUTPUT", str(reduced.archive.parents[1]))
    archive = Archive(reduced.archive.name)
    page = build_report(archive, tmp_path / "site")
    assert "simulated data" in text_of(page)
    values = json.loads((tmp_path / f"site/values/{X}_{reduced.obs_id}.json").read_text())
    assert values["problems"] == []
    exposures = {e["inst"]: e for e in values["exposures"]}
    assert set(exposures) == {"M1", "M2", "PN"}
    flares = exposures["PN"]["flares"]
    assert flares["accepted_s"] > 0
    assert len(flares["field"]["time"]) == len(flares["field"]["rate"]) > 10
    first, last = np.array(flares["intervals"])[[0, -1], [0, 1]]
    assert flares["field"]["time"][0] - 60_000 <= first < last <= flares["field"]["time"][-1] + 61_000
    aluminium = exposures["M1"]["lines"][0]
    assert aluminium["shift"] is None or abs(aluminium["shift"]) < 5 * aluminium["error"]
    chips = {c["ccd"]: c for c in exposures["PN"]["ccds"]}
    assert len(chips) == 12
    assert chips[4]["before"] > chips[4]["after"] > 0
    assert chips[4]["bad"] > 0
    assert values["attitude"]["ra"] == pytest.approx(values["header"]["ra"], abs=0.01)
    assert any("MOS1" in c["used"] for c in values["calibration"])
    kinds = [(p["inst"], p["kind"]) for p in values["images"]["pictures"]]
    assert ("PN", "oot") in kinds
    assert ("M2", "exposure") in kinds
    script = tmp_path / f"site/files/{X}_{reduced.obs_id}-reproduce.sh"
    assert script.read_text().startswith("#!")
    shown = Page(tmp_path / f"site/observations/{X}_{reduced.obs_id}.html")
    assert shown.wrong() == []
