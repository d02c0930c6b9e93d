"""The code of the documentation runs as it stands there.

Python blocks of a page are executed from top to bottom with the same names; commands of the shell between
them are called if they are cheap. The archives they open are copies of a reduced observation, so that what
was done is not done again; that observation stands in for the sky. Blocks that cannot run say why, in a
comment in front of them (`test_docs.py` counts them).
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from pages import DOCS, GUIDE, WRITTEN, blocks, commands, name
from typer.testing import CliRunner

import daxa.process.xmm
from daxa.cli.main import app

#: Commands that are called, and tasks that are.
CALLED = {"status", "logs", "list", "info", "verify", "provenance", "reproduce", "calibration", "odf"}
TASKS = {"evselect", "ecoordconv", "emask", "backscale", "tabgtigen", "gtibuild", "gtimerge", "asmooth"}
#: Modules of the steps of a whole reduction, which have been run. Steps of others take their arguments, which
#: are checked, and make nothing: that takes half a minute each. So do images of other bands on their page.
WHOLE = {"setup", "assemble", "check", "clean", "generate", "grating"}
RUNNABLE = [
    page
    for page in WRITTEN
    if page != GUIDE and any(b.language in ("python", "sh", "console") and not b.reason for b in blocks(page))
]


def linked(source: str, target: str) -> None:
    """A product as another name of the same file; ledger and states as files of their own."""
    if ".save_info" in source or source.endswith((".json", ".sqlite")):
        shutil.copy2(source, target)
    else:
        os.link(source, target)


class Stage:
    """A folder with all that a page may name: archives, raw files, calibration, lists and images."""

    def __init__(self, reduced: Any, simulated: Any, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.reduced = reduced
        self.folder = folder
        self.odfs = folder / "odfs"
        self.raw = self.odfs / reduced.obs_id
        shutil.copytree(simulated.odf(reduced.obs_id), self.raw, copy_function=os.link)
        self.ccf = Path(simulated.ccf)
        patch.chdir(folder)
        patch.setenv("DAXA_CCFPATH", str(self.ccf))
        patch.setenv("SAS_CCFPATH", str(self.ccf))
        patch.setenv("DAXA_BACKEND", "embedded")
        patch.setenv("SAS_CCF", str(next(reduced.folder.rglob("ccf.cif"))))
        patch.setattr("daxa.mission.XMMPointed", self.mission())
        for made, kind in {"events": "", "clean": "", "image": "image", "expmap": "expmap"}.items():
            source = reduced.image("PN", kind) if kind else reduced.events("PN")
            os.link(source, folder / f"{made}.fits")
        os.link(next(self.ccf.glob("EPN_CTI_*.CCF")), folder / "EPN_CTI_0056.CCF")
        for regions in ("source.reg", "sources.reg"):
            (folder / regions).write_text('fk5\ncircle(149.59,-11.06,60")\n')

    def mission(self) -> Any:
        from daxa.mission import XMMPointed

        return lambda *given, **named: XMMPointed(*given, **{"local": self.odfs, **named})

    def archive(self, called: str) -> Any:
        from daxa.archive import Archive

        place = Path(os.environ["DAXA_OUTPUT"]) / "archives" / called
        if not place.exists():
            shutil.copytree(self.reduced.archive, place, copy_function=linked)
        return Archive(called)

    def said(self, text: str) -> str:
        """Text of a block with places that are here."""
        text = text.replace("0800010301", self.reduced.obs_id)
        for place, here in {"/data/odfs": self.odfs, "/data/odf": self.raw, "/data/ccf": self.ccf}.items():
            text = re.sub(rf"{place}\b", str(here), text)
        return text


@pytest.fixture
def stage(reduced, simulated, tmp_path, monkeypatch) -> Stage:
    return Stage(reduced, simulated, tmp_path, monkeypatch)


def run_command(said: list[str], stage: Stage) -> None:
    if said[0] == "daxa" and said[1] in CALLED and "fetch" not in said:
        done = CliRunner().invoke(app, said[1:])
        assert done.exit_code == 0, f"{said}: {done.output}"
    elif said[:3] == ["python", "-m", "daxa.xmm"] and said[3] in TASKS:
        from daxa.xmm.__main__ import main

        assert main(said[3:]) == 0, said


def first_cells(page: str, heading: str) -> list[str]:
    """Code of the first cells of the table below a heading of a page of formats, one by one."""
    text = (DOCS / "formats" / page).read_text(encoding="utf-8")
    part = re.search(rf"^#+ {re.escape(heading)}$(.*?)(?=^#|\Z)", text, re.M | re.S)[1]
    rows = re.findall(r"^\| (`.*?) \|", part, re.M)
    return [code for row in rows for code in re.findall(r"`([^`]+)`", row)]


def test_formats_are_those_of_products(reduced):
    """What the pages on formats say of columns, tables and keywords is so in products of a reduction."""
    from astropy.io import fits

    def open_one(pattern: str) -> Any:
        return fits.open(next(reduced.folder.glob(pattern)))

    def lacks(cards: list[str], *hdus: Any) -> list[str]:
        forms = [
            re.sub("nn$", r"\\d\\d", card) if card.endswith("nn") else re.sub("n$", r"\\d+", card)
            for card in cards
        ]
        there = {key for hdu in hdus for key in hdu.header}
        return [form for form in forms if not any(re.fullmatch(form, key) for key in there)]

    with fits.open(reduced.events("PN")) as pn, fits.open(reduced.events("M1")) as mos:
        columns = {c.name for hdus in (pn, mos) for c in hdus["EVENTS"].columns}
        assert set(first_cells("events.md", "Event lists")) == columns
        numbered = {re.sub(r"(?<=[A-Z])\d\d$", "nn", hdu.name) for hdus in (pn, mos) for hdu in hdus[2:]}
        told = set(first_cells("events.md", "Other tables of a list"))
        assert {name for name in numbered if not name[-1].isdigit()} - {"DLIMAPnn", "HKAUXnn"} <= told
        assert lacks(first_cells("events.md", "Times of exposure"), pn["EVENTS"], pn[0]) == []
        told = [
            card
            for card in first_cells("index.md", "What every product says of itself")
            if card[:5] != "CALFB"
        ]
        assert lacks(told, pn[0]) == []
    with open_one("cleaning/*PN*gti.fits") as gti:
        assert lacks(first_cells("events.md", "Good times"), gti["STDGTI"]) == []
    with fits.open(reduced.image("PN")) as image, fits.open(reduced.image("PN", "expmap")) as expmap:
        assert lacks(first_cells("images.md", "Images and exposure maps"), image[0], expmap[0]) == []
    with open_one("P*ATTTSR0000.FIT") as attitude:
        assert set(first_cells("images.md", "Attitude")) <= set(attitude["ATTHK"].columns.names)


@pytest.mark.parametrize("page", RUNNABLE, ids=name)
def test_code_runs(page, stage, monkeypatch, capsys):
    text = page.read_text(encoding="utf-8")
    for called in set(re.findall(r"Archive\(\"(\w+)\"|daxa (?:status|logs|images|report) (\w+)", text)):
        stage.archive("".join(called))
    arch = stage.archive("A907")
    arch.source_regions = {"xmm_pointed": {stage.reduced.obs_id: (stage.folder / "source.reg").read_text()}}
    done = WHOLE - {"generate"} if name(page) == "docs/images.md" else WHOLE
    for found in pkgutil.iter_modules(daxa.process.xmm.__path__):
        module = importlib.import_module(f"daxa.process.xmm.{found.name}")
        if found.name not in done and hasattr(module, "run_steps"):
            monkeypatch.setattr(module, "run_steps", lambda *given: None)
    names = {"arch": arch, "archive": arch, "mission": arch["xmm_pointed"]}
    for block in blocks(page):
        if block.reason:
            continue
        if block.language == "python":
            code = compile(stage.said("\n" * block.line + block.text), str(page), "exec")
            try:
                exec(code, names)
            except Exception as failure:
                failed = failure
            else:
                failed = None
            assert failed is None, f"{block.name}: {type(failed).__name__}: {failed}"
        elif block.language in ("sh", "console"):
            for said in commands(block):
                run_command([stage.said(word) for word in said], stage)
