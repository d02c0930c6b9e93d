"""A simulated MOS event list beside a real one: extensions, keywords, columns, types, units, limits, order.

Usage: ``python benchmarks/compare_mos_list.py [--data FOLDER] [--list FILE] [--write docs/chains.md]``

The real list (0201903501, MOS1, full frame, SAS 13.5) is one of the real products (``DAXA_TEST_DATA``). Ours
is ``--list``, or is made of a short simulated exposure. Prints every difference with its reason as Markdown;
with ``--write`` it replaces the part of a page between the lines ``<!-- moslist: begin -->`` and
``<!-- moslist: end -->``.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from astropy.io import fits

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- moslist: begin -->", "<!-- moslist: end -->"
REAL = "sas_products_0201903501/eclean/mos1_exp1_clean_evts.fits.gz"
#: Selections in data subspaces, histories of commands.
LEFT_OUT = re.compile(r"\d*DS(TYP|VAL|REF|UNI|FORM)\d+|XPROC\d+|XDAL\d+|COMMENT|HISTORY|CONTINUE|")
#: Keywords whose values do not depend on the observation, or on which CCDs there are.
CONSTANT = re.compile(
    r"TTYPE\d+|TFORM\d+|TUNIT\d+|TNULL\d+|TLMIN\d+|TLMAX\d+|TCTYP\d+|TCRPX\d+|TCDLT\d+|TCUNI\d+|DET_SYST|"
    r"TIME\w+|"
    r"MJDREF|TASSIGN|CLOCKAPP|XMMEA_\w+|LONGSTRN|TELESCOP|EQUINOX|RADECSYS|"
    r"REF[XY](CTYP|CRPX|CDLT|LMIN|LMAX|CUNI)|AVRG_PNT|CONTENT|EXTNAME|EXTVER|DATATYPE|CCDID|CCDNODE|"
    r"WINDOW\w\w|EDU\w+|FRMTIME|EMDH\w+|GAIN_CCD|CCDMODE|GATTI_ON|CRPAT\d|HDUCLAS\w|CHECK\w+|FLAG\w+|"
    r"SET\w+|SPLITDIA|RAND_\w+|REJECT\w+|BKG\w+|FILLCCDB|NMAXFILL|"
    r"GETCCDBK|MAKEPHA|CORRECT\w|REFPOINT|DATAMODE|SUBMODE|BITPIX|NAXIS|TFIELDS|CATEGORY"
)
#: Why something differs: extension and what, as expressions -> reason.
REASONS = {
    ("PRIMARY|EVENTS", r"LENOISnn"): "noise at low energies of each CCD, which later versions of SAS tag",
    ("PRIMARY", r"FILENAME|ORIGIN|VERIFIED|SYNTHCAL"): "whose product it is, of what, how far to trust it",
    ("EVENTS", r"SLCTEXPR"): "the real list went through a selection after the chain",
    ("file", r"GTInnnnn"): "good times of the selection that the real list went through",
    ("CALINDEX", r"order"): "units stand behind all columns",
    (
        "EXPOSUnn|STDGTInn",
        r"order",
    ): "in the real list, too, it differs among CCDs: CHECKFRA is in two places",
}


def _kind(name: str) -> str:
    return re.sub(r"^(EXPOSU|BADPIX|STDGTI)\d\d$", r"\1nn", re.sub(r"^GTI\d{5}$", "GTInnnnn", name))


def _keyword(header: fits.Header, key: str) -> str:
    """A keyword in words: that of a column with the column's name, numbers of CCDs as nn."""
    column = re.fullmatch(r"(T(?:LMIN|LMAX|DMIN|DMAX|NULL|UNIT|FORM|CRPX|CTYP|CRVL|CDLT|CUNI))(\d+)", key)
    if column:
        return f"{column[1]} of {header.get(f'TTYPE{column[2]}', key)}"
    return re.sub(r"^(LENOIS|ONTIME|LIVETI)\d\d$", r"\1nn", key)


def _keys(header: fits.Header) -> list[str]:
    return [c.keyword for c in header.cards if not LEFT_OUT.fullmatch(c.keyword)]


def differences(real: fits.HDUList, ours: fits.HDUList) -> Iterator[tuple[str, str, str, str]]:
    """Extension, what differs, how it is in the real list, and here; without repetition."""
    seen = set()

    def once(*row: str) -> Iterator[tuple[str, str, str, str]]:
        if row not in seen:
            seen.add(row)
            yield row  # type: ignore[misc]

    names = [[h.name for h in hdus] for hdus in (real, ours)]
    for name in dict.fromkeys([*names[0], *names[1]]):
        if name not in names[1]:
            yield from once("file", _kind(name), "there", "-")
        elif name not in names[0]:
            yield from once("file", _kind(name), "-", "there")
    common = [[n for n in listed if n in names[0] and n in names[1]] for listed in names]
    if common[0] != common[1]:
        yield from once("file", "order", " ".join(common[0]), " ".join(common[1]))
    for name in common[0]:
        for row in _of_extension(real[name].header, ours[name].header):
            yield from once(_kind(name), *row)


def _of_extension(theirs: fits.Header, mine: fits.Header) -> Iterator[tuple[str, str, str]]:
    lists = _keys(theirs), _keys(mine)
    for key in lists[0]:
        what = _keyword(theirs, key)
        if key not in mine:
            yield what, _shown(theirs[key]), "-"
        elif type(theirs[key]) is not type(mine[key]):
            yield f"type of {what}", type(theirs[key]).__name__, type(mine[key]).__name__
        elif CONSTANT.fullmatch(key) and theirs[key] != mine[key]:
            yield what, _shown(theirs[key]), _shown(mine[key])
    for key in lists[1]:
        if key not in theirs:
            yield _keyword(mine, key), "-", "there" if CONSTANT.fullmatch(key) is None else _shown(mine[key])
    order = [[k for k in listed if k in theirs and k in mine] for listed in lists]
    if order[0] != order[1]:
        yield "order", "-", "another"


def _shown(value: Any) -> str:
    return str(value) if not isinstance(value, str) or len(value) < 30 else "there"


def reason(extension: str, what: str) -> str:
    """Why something differs; empty if nothing is known."""
    for (where, expression), text in REASONS.items():
        if re.fullmatch(where, extension) and re.fullmatch(expression, what):
            return text
    return ""


def compare(real: Path, ours: Path) -> list[tuple[str, str, str, str, str]]:
    """Rows of the table: extension, what, real, here, why."""
    with fits.open(real) as a, fits.open(ours) as b:
        return [(*row, reason(*row[:2])) for row in differences(a, b)]


def page(real: Path, ours: Path) -> str:
    """The table as Markdown."""
    lines = ["| extension | what | real list | here | why |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in compare(real, ours)]
    return "\n".join(lines)


def simulate(folder: Path) -> Path:
    """The list of a short simulated exposure of MOS1, all CCDs in full frame."""
    from daxa.simulate.calibration.constituents import write_calibration
    from daxa.simulate.cameras.noise import Noise
    from daxa.simulate.observation import simulate_observation
    from daxa.simulate.sets.modes import describe_modes
    from daxa.xmm.task import run_task

    description, sky = describe_modes(1000.0, Noise().scaled(0.3, 0.01))[0]
    exposure = description.exposures[0]
    exposure = replace(exposure, submode="PrimeFullWindow", ccds=(), stop_s=exposure.start_s + 600)
    simulate_observation(replace(description, exposures=[exposure]), sky, folder / "odf")
    write_calibration(folder / "ccf")
    out = folder / "out"
    out.mkdir()
    env = {
        "SAS_ODF": str(folder / "odf"),
        "SAS_CCFPATH": str(folder / "ccf"),
        "SAS_CCF": str(out / "ccf.cif"),
    }
    for task, arguments in (("cifbuild", {}), ("emchain", {"makeflaregti": "no"})):
        run_task(task, arguments, cwd=out, env=env, out=io.StringIO(), err=io.StringIO())
    return next(out.glob("*MIEVLI*"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = os.environ.get("DAXA_TEST_DATA", ROOT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(data), help="folder of the real products")
    parser.add_argument("--list", type=Path, help="a MOS list of the engine")
    parser.add_argument("--write", type=Path, help="page of the documentation to put the table into")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = page(arguments.data / REAL, arguments.list or simulate(Path(folder)))
    if arguments.write is None:
        print(text)
        return
    old = arguments.write.read_text(encoding="utf-8")
    before, rest = old.split(BEGIN)
    after = rest.split(END)[1]
    arguments.write.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
