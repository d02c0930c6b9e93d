"""Every task on the simulated sets, and a hash of every product: has a change of the code changed a product?

Usage::

    python benchmarks/product_hashes.py write FILE [--keep DIR]
    python benchmarks/product_hashes.py compare FILE [--keep DIR]

``write`` runs everything and writes one line per product. ``compare`` runs everything again and says how many
products there are, which differ, and which are missing or new; its exit status is 1 if any are. If ``write``
has kept the products, it also says which extension, keyword or column differs. ``--only NAME ...`` restricts
both to some of the runs (``--quick``: to those of the tests), ``--sets DIR`` keeps the simulated sets from
one call to the next.

To compare two commits, run this one file with each: it uses only what users use (``python -m daxa.xmm TASK``,
``daxa.simulate``, ``daxa.process``), so it does not mind where modules lie::

    PYTHONPATH=old/src python benchmarks/product_hashes.py write FILE --keep DIR
    PYTHONPATH=new/src python benchmarks/product_hashes.py compare FILE

Hashed are, of FITS files, all cards (keyword, value, comment) in their order and the bytes of all data; of
other files, their text or bytes. Left out is what may differ between two runs of one program: the values of
DATE, ANALDATE, CREATOR (which names the version), CHECKSUM and DATASUM, version and date in texts, the day of
the analysis in command lines, and the folder that paths begin with. Logs are not products. Floating-point
numbers are hashed to the last bit: hashes of two machines, or of two versions of numpy, may differ (see
:func:`machine`).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import os
import re
import runpy
import shlex
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

#: Cards whose values differ between two runs.
MASKED = ("DATE", "ANALDATE", "CREATOR", "CHECKSUM", "DATASUM")
#: The day of the analysis in a command line.
_TODAY = re.compile(r"\banalysisdate=[-\dT:.]+")
#: Version and date of creation in texts.
_MADE = re.compile(rb"daxa-\d\S*(?: on [-\dT:.]+)?|PROCESS_DATE = [-\dT:.]+")
#: Lines of a task's output that hold times or paths.
_START_AND_END = re.compile(r"Executing \(routine\)|\] (started|ended): ")
#: This task makes no file: what it prints is its product.
PRINTS = "ecoordconv"
#: Hexadecimal digits of a hash; 64 bits tell a thousand products apart.
LENGTH = 16
SIZES = ("small", "modes", "gratings")
#: What to do about a product that is meant to change.
ACCEPT = "if that is meant, say so in the commit and run `make hashes`"


@dataclass(frozen=True)
class Run:
    """Tasks one after the other in one folder, on one observation of a simulated set.

    ``script`` has a command line of ``python -m daxa.xmm`` per line. ``@`` before a path with wildcards puts
    in what it matches; ``odf`` is the folder of raw files. ``quick`` runs are also part of the tests.
    """

    size: str
    obs_id: str
    script: str
    quick: bool = False

    def calls(self) -> list[list[str]]:
        """The words of each line."""
        lines = self.script.replace("\\\n", " ").splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]


RUNS: dict[str, Run] = {
    # MOS: the chain, its sub-tasks on files, and what is done with an event list.
    "mos": Run(
        "small",
        "0800010201",
        r"""
        cifbuild
        odfingest
        atthkgen atthkset=att.ds timestep=5
        emchain instruments="M1 M2" makeflaregti=yes
        emframes auxiliaryset=@odf/*M2S00200AUX.FIT odfeventset=@odf/*M2S00230IME.FIT frameset=frames.ds \
            outeventset=raw.ds outgtiset=ccdgti.ds
        emevents odfeventset=raw.ds frameset=frames.ds eventset=first.ds analysepatterns=no \
            flagbadpixels=no splitdiagonals=no randomizeposition=no randomizetime=no
        emenergy ineventset=first.ds correctcti=no correctgain=no randomizeenergy=no
        emeventsproj eventset=first.ds evimageset=adu.ds projectenergy=yes
        emeventsproj eventset=first.ds evimageset=counts.ds
        embadpixfind evimageset=counts.ds badpixset=bad.ds includedeadpixels=yes
        badpix eventset=raw.ds badpixset=bad.ds getnewbadpix=yes windowfilter=yes
        emevents odfeventset=raw.ds frameset=frames.ds eventset=last.ds
        emenergy ineventset=last.ds writebackgroundset=yes
        attcalc eventset=last.ds atthkset=att.ds refpointlabel=user nominalra=149.6 nominaldec=-11.06
        merge set1=@*M1S001MIEVLI0000.FIT set2=@*M1U002MIEVLI0000.FIT outset=merged.ds
        emanom eventfile=@*M2S002MIEVLI0000.FIT cornerfile=corner.ds
        espfilt eventfile=@*M1S001MIEVLI0000.FIT
        espfilt eventfile=@*M2S002MIEVLI0000.FIT method=ratio
        evselect table=@*M2S002MIEVLI0000.FIT withimageset=yes imageset=image.ds xcolumn=X ycolumn=Y \
            ximagebinsize=87 yimagebinsize=87 imagebinning=binSize withrateset=yes rateset=rate.ds \
            timebinsize=50 withspectrumset=yes spectrumset=spectrum.ds energycolumn=PI \
            expression="#XMMEA_EM && (PI in [500:2000]) && PATTERN <= 12"
        eexpmap imageset=image.ds attitudeset=att.ds eventset=@*M2S002MIEVLI0000.FIT \
            expimageset="exp_soft.ds exp_hard.ds" pimin="500 2000" pimax="2000 10000"
        emask expimageset=exp_soft.ds detmaskset=mask.ds
        eboxdetect usemap=no imagesets=image.ds expimagesets=exp_soft.ds boxlistset=local.ds
        esplinemap imageset=image.ds expimageset=exp_soft.ds detmaskset=mask.ds boxlistset=local.ds \
            bkgimageset=back.ds
        eboxdetect imagesets=image.ds expimagesets=exp_soft.ds bkgimagesets=back.ds boxlistset=boxes.ds \
            likemin=5
        emldetect imagesets=image.ds expimagesets=exp_soft.ds bkgimagesets=back.ds boxlistset=boxes.ds \
            mllistset=sources.ds fitextent=yes ecut=15
        srcdisplay boxlistset=sources.ds regionfile=sources.txt
        evselect table=@*M2S002MIEVLI0000.FIT withspectrumset=yes spectrumset=source.ds energycolumn=PI \
            spectralbinsize=5 withspecranges=yes specchannelmin=0 specchannelmax=11999 \
            expression="#XMMEA_EM && PATTERN <= 12 && ((X,Y) IN circle(25921,25921,1200))"
        arfgen spectrumset=source.ds arfset=area.ds badpixlocation=@*M2S002MIEVLI0000.FIT
        backscale spectrumset=source.ds badpixlocation=@*M2S002MIEVLI0000.FIT
        rmfgen spectrumset=source.ds rmfset=matrix.ds withenergybins=yes energymin=0.5 \
            energymax=10 nenergybins=40
        specgroup spectrumset=source.ds groupedset=grouped.ds mincounts=20 oversample=3 arfset=area.ds
        psfgen image=image.ds energy=1000 x=149.6 y=-11.06 xsize=100 ysize=100 output=psf.ds
        srcregions eventset=@*M2S002MIEVLI0000.FIT ra=149.6 dec=-11.06 srcregionset=src.txt \
            bkgregionset=bkg.txt
        evselect table=@*M2S002MIEVLI0000.FIT withrateset=yes rateset=source.lc energycolumn=PI \
            timebinsize=100 expression="#XMMEA_EM && PI in [500:8000] && ((X,Y) IN circle(25921,25921,1200))"
        evselect table=@*M2S002MIEVLI0000.FIT withrateset=yes rateset=beside.lc energycolumn=PI \
            timebinsize=100 \
            expression="#XMMEA_EM && PI in [500:8000] && ((X,Y) IN annulus(25921,25921,1400,2400))"
        epiclccorr srctslist=source.lc eventlist=@*M2S002MIEVLI0000.FIT outset=corrected.lc \
            bkgtslist=beside.lc applyabsolutecorrections=yes
        barycen table=last.ds:EVENTS
        especget table=@*M2S002MIEVLI0000.FIT srcexp="((X,Y) IN circle(25921,25921,1200))" \
            backexp="((X,Y) IN annulus(25921,25921,1800,3000))" filestem=one withrmfset=yes rmfset=matrix.ds
        """,
        quick=True,
    ),
    "emproc": Run(
        "small",
        "0800010101",
        """
        cifbuild withccfpath=yes ccfpath=ccf fullpath=no category=XMMCCF
        odfingest usehousekeeping=no
        emproc withinstexpids=yes instexpids=M2S002
        emchain instruments=M1 filteratt=yes filterhk=yes fulloutput=yes badpixfindalgo=NO
        """,
    ),
    # pn: likewise.
    "pn": Run(
        "small",
        "0800010101",
        r"""
        cifbuild
        odfingest
        epchain odfaccess=odf exposure=3 runbackground=N keepintermediate=raw withoutoftime=Y
        epchain odfaccess=odf exposure=3 runatthkgen=N runepframes=N runbadpixfind=N runbadpix=N
        epframes set=@odf/*PNS00304IME.FIT eventset=raw4.ds gtiset=gti4.ds
        epreject set=raw4.ds
        badpixfind eventset=raw4.ds badpixset=bad4.ds withbadpixmap=yes badpixmap=map4.ds
        badpix eventset=raw4.ds badpixset=bad4.ds getnewbadpix=yes
        epevents eventset=raw4.ds outset=events4.ds
        attcalc eventset=events4.ds atthkset=@*OBX000ATTTSR0000.FIT
        epframes set=@odf/*PNS00307IME.FIT eventset=raw7.ds gtiset=gti7.ds
        badpix eventset=raw7.ds
        epevents eventset=raw7.ds outset=events7.ds
        attcalc eventset=events7.ds atthkset=@*OBX000ATTTSR0000.FIT
        evselect table=events4.ds withfilteredset=yes filteredset=clean4.ds writedss=no updateexposure=no \
            expression="#XMMEA_EP && PI > 150"
        evselect table=events7.ds withfilteredset=yes filteredset=clean7.ds writedss=no updateexposure=no \
            expression="#XMMEA_EP && PI > 150"
        evlistcomb eventsets="clean4.ds clean7.ds" imagingset=joined.ds instrument=epn
        epexposure eventsets=joined.ds
        hkgtigen instrument=epn gtiset=hk.ds
        tabgtigen table=@*PNS003PIEVLI0000.FIT gtiset=pi.ds expression="PI > 300" mingtisize=1
        espfilt eventfile=@*PNS003PIEVLI0000.FIT withoot=yes ootfile=@*PNS003OOEVLI0000.FIT rangescale=15
        gtimerge tables="pnS003-gti.fits hk.ds" withgtitable=yes gtitable=both.ds mergemode=and
        gtialign gtitable=both.ds eventset=@*PNS003PIEVLI0000.FIT outset=aligned.ds
        evselect table=@*PNS003PIEVLI0000.FIT withfilteredset=yes filteredset=filtered.ds \
            expression="(FLAG & 0xfffffef) == 0 && PATTERN <= 4 && GTI(aligned.ds,TIME)"
        evselect table=filtered.ds withimageset=yes imageset=image.ds xcolumn=X ycolumn=Y \
            imagebinning=imageSize ximagesize=400 yimagesize=400 expression="PI in [500:2000]"
        evselect table=filtered.ds withimageset=yes imageset=detector.ds xcolumn=DETX ycolumn=DETY \
            imagebinning=imageSize ximagesize=300 yimagesize=300 withhistogramset=yes histogramset=pi.hist \
            histogramcolumn=PI
        eexpmap imageset=image.ds attitudeset=@*OBX000ATTTSR0000.FIT eventset=filtered.ds \
            expimageset=expmap.ds pimin=500 pimax=2000
        eexpmap imageset=detector.ds attitudeset=@*OBX000ATTTSR0000.FIT eventset=filtered.ds \
            expimageset=flat.ds withvignetting=no withdetcoords=yes
        evselect table=@*PNS003OOEVLI0000.FIT withimageset=yes imageset=oot.ds xcolumn=X ycolumn=Y \
            imagebinning=imageSize ximagesize=400 yimagesize=400 expression="PI in [500:2000]"
        ootsubtract imageset=image.ds ootimageset=oot.ds outset=subtracted.ds
        asmooth inset=subtracted.ds outset=smooth.ds nconvolvers=5 maxwidth=8 withexpimageset=yes \
            expimageset=expmap.ds withweightset=yes weightset=expmap.ds readvarianceset=yes \
            invarianceset=image.ds
        emosaic imagesets="image.ds image.ds" exposuremaps="expmap.ds expmap.ds" withexposure=yes \
            mosaicedset=mosaic.ds expmosaicset=mosaic_exp.ds ratemosaicset=mosaic_rate.ds weighting=area
        ecoordconv imageset=image.ds x=149.6 y=-11.06 coordtype=eqpos
        ecoordconv imageset=image.ds x=25 y=120 coordtype=raw withccdno=yes ccdno=4
        """,
        quick=True,
    ),
    "epproc": Run(
        "small",
        "0800010301",
        """
        cifbuild
        odfingest
        epproc
        """,
    ),
    # Other modes: windows, timing, burst, exposures that are not whole.
    "windows": Run(
        "modes",
        "0800020101",
        """
        cifbuild
        odfingest
        emchain
        epchain odfaccess=odf exposure=3
        """,
    ),
    "large_windows": Run(
        "modes",
        "0800020201",
        """
        cifbuild
        odfingest
        emchain
        epchain odfaccess=odf exposure=3
        """,
    ),
    "timing": Run(
        "modes",
        "0800020301",
        """
        cifbuild
        odfingest
        emchain
        epchain odfaccess=odf exposure=3 datamode=TIMING
        evselect table=@*PNS003TIEVLI0000.FIT withrateset=yes rateset=rate.ds timebinsize=0.1
        """,
        quick=True,
    ),
    "burst": Run(
        "modes",
        "0800020401",
        """
        cifbuild
        odfingest
        epchain odfaccess=odf exposure=3 datamode=BURST
        epchain odfaccess=odf exposure=3 datamode=BURST withdefaultcal=no
        epfast evfile=@*PNS003TIEVLI0000.FIT
        """,
        quick=True,
    ),
    "odd": Run(
        "modes",
        "0800020501",
        """
        cifbuild
        odfingest
        emchain
        epchain odfaccess=odf exposure=3
        epchain odfaccess=odf exposure=5 schedule=U
        epchain odfaccess=odf exposure=6 schedule=U
        """,
    ),
    # The spectrometers: the chain, and its last steps on its files.
    "rgs": Run(
        "gratings",
        "0800030101",
        r"""
        cifbuild
        odfingest
        rgsproc finalstage=3:filter withinstexpids=yes instexpids=R1S004 expunge=
        rgsproc finalstage=1:events withinstexpids=yes instexpids=R2S005
        rgsframes set=@odf/*R1S00403SPE.FIT ccdset=ccd3.ds instrument=rgs1
        rgsenergy ccdset=ccd3.ds
        rgsbadpix ccdset=ccd3.ds
        rgsevents ccdset=ccd3.ds
        rgsframes set=@odf/*R1S00404SPE.FIT ccdset=ccd4.ds instrument=rgs1
        rgsenergy ccdset=ccd4.ds
        rgsbadpix ccdset=ccd4.ds
        rgsevents ccdset=ccd4.ds
        evlistcomb eventsets="ccd3.ds ccd4.ds" imagingset=merged.ds instrument=rgs \
            othertables="STDGTI BADPIX0 BADPIX1 REJPIX0 REJPIX1 EXPOSURE"
        attfilter attset=@*OBX000ATTTSR0000.FIT instexpid=R1S004 gtitable=attgti.ds:STDGTI \
            tolangles="0.1*#ARCMIN"
        rgssources srclist=sources.ds filemode=create instexpid=R1S004 expmediantable=attgti.ds:STDGTI \
            addusersource=yes label=SECOND ra=149.62 dec=-11.05 process=yes
        rgsangles mergedset=merged.ds srclist=sources.ds
        rgsfilter mergedset=merged.ds evlist=final.ds auxgtitables=attgti.ds:STDGTI expimageset=maps.ds
        """,
        quick=True,
    ),
    "rgs_early": Run(
        "gratings",
        "0800030201",
        """
        cifbuild
        odfingest
        rgsproc finalstage=3:filter expunge=
        """,
    ),
    # Tasks that need no observation.
    "gti": Run(
        "small",
        "0800010101",
        """
        cifbuild withobservationdate=yes observationdate=2017-01-01T00:00:00 calindexset=dated.cif
        gtibuild file=times.txt table=gti.ds
        """,
        quick=True,
    ),
}  # fmt: skip
_TIMES = "595382000.5 595383000.25 +\n595382500 595382600 -\n"


# ---------------------------------------------------------------------------------------------- hashing


class Folders:
    """Takes the folders of a run out of texts, so that a hash does not depend on where the run was."""

    def __init__(self, *folders: Path) -> None:
        names = {str(f) for folder in folders for f in (folder, folder.resolve())}
        self.names = sorted(names, key=len, reverse=True)

    def masked(self, text: str) -> str:
        """The text with ``<folder>`` in their place."""
        for name in self.names:
            text = text.replace(name, "<folder>")
        return text


def cards(hdu: Any, folders: Folders) -> list[tuple[str, str, str]]:
    """Keyword, value and comment of each card, masked."""
    found = []
    for card in hdu.header.cards:
        value = "" if card.keyword in MASKED else _TODAY.sub("<today>", folders.masked(repr(card.value)))
        found.append((card.keyword, value, card.comment))
    return found


def data_bytes(hdu: Any, folders: Folders) -> bytes:
    """The data as they lie in the file; rows of texts that hold a folder are masked."""
    info = hdu.fileinfo()
    info["file"].seek(info["datLoc"])
    raw: bytes = info["file"].read(info["datSpan"])
    if any(name.encode() in raw for name in folders.names):
        raw = folders.masked(raw.decode("latin-1")).encode("latin-1").replace(b"\0", b"")
    return raw


def hash_of(path: Path, folders: Folders) -> str:
    """SHA-256 of a product, without what differs between two runs."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        is_fits = file.read(6) == b"SIMPLE"
    if not is_fits:
        digest.update(_text(path, folders))
        return digest.hexdigest()[:LENGTH]
    with _open(path) as hdus:
        for hdu in hdus:
            digest.update(repr(cards(hdu, folders)).encode())
            digest.update(data_bytes(hdu, folders))
    return digest.hexdigest()[:LENGTH]


def _text(path: Path, folders: Folders) -> bytes:
    raw = path.read_bytes()
    if b"\0" in raw:
        return raw
    return _MADE.sub(b"<made>", folders.masked(raw.decode("latin-1")).encode("latin-1"))


@contextlib.contextmanager
def _open(path: Path) -> Iterator[Any]:
    from astropy.io import fits

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path, memmap=False, disable_image_compression=True) as hdus:
            yield hdus


def differences(old: Path, new: Path, folders: Folders) -> list[str]:
    """Where two products differ: extension, then keyword, column or data."""
    if old.read_bytes()[:6] != b"SIMPLE" or new.read_bytes()[:6] != b"SIMPLE":
        before, after = (_text(p, folders).splitlines() for p in (old, new))
        pairs = enumerate(zip(before, after), start=1)  # noqa: B905
        said = [f"line {n}: {a[:120]!r} became {b[:120]!r}" for n, (a, b) in pairs if a != b]
        return said or [f"{len(before)} lines became {len(after)}"]
    with _open(old) as before, _open(new) as after:
        names = [[h.name for h in hdus] for hdus in (before, after)]
        if names[0] != names[1]:
            return [f"extensions {names[0]} became {names[1]}"]
        return [
            f"{a.name or 'PRIMARY'}: {said}"
            for a, b in zip(before, after, strict=True)
            for said in [*_card_differences(a, b, folders), *_data_differences(a, b, folders)]
        ]


def _card_differences(old: Any, new: Any, folders: Folders) -> list[str]:
    before, after = cards(old, folders), cards(new, folders)
    said = []
    gone, come = ([c for c in mine if c not in other] for mine, other in ((before, after), (after, before)))
    for keyword, value, comment in gone:
        match = next((c for c in come if c[0] == keyword), None)
        said.append(
            f"{keyword} = {value} / {comment} " + (f"became {match[1]} / {match[2]}" if match else "is gone")
        )
    said += [f"{c[0]} = {c[1]} / {c[2]} is new" for c in come if c[0] not in {g[0] for g in gone}]
    if not said and before != after:
        said.append("its cards come in another order")
    return said


def _data_differences(old: Any, new: Any, folders: Folders) -> list[str]:
    import numpy as np

    if data_bytes(old, folders) == data_bytes(new, folders):
        return []
    if old.is_image or new.is_image:
        a, b = (None if h.data is None else np.asarray(h.data) for h in (old, new))
        if a is None or b is None or a.shape != b.shape or a.dtype != b.dtype:
            return [f"image {_shape(a)} became {_shape(b)}"]
        return [f"{int((a != b).sum())} of {a.size} pixels differ"]
    if len(old.data) != len(new.data):
        return [f"{len(old.data)} rows became {len(new.data)}"]
    said = []
    for name in old.columns.names:
        if name not in new.columns.names:
            said.append(f"column {name} is gone")
            continue
        a, b = old.data[name], new.data[name]
        rows = [r for r in range(len(a)) if np.asarray(a[r]).tobytes() != np.asarray(b[r]).tobytes()]
        if rows:
            r = rows[0]
            said.append(f"column {name}: {len(rows)} of {len(a)} rows, first {r}: {a[r]} became {b[r]}")
    return said or ["the bytes of the table differ, not the values"]


def _shape(array: Any) -> str:
    return "none" if array is None else f"{array.dtype}{array.shape}"


# ---------------------------------------------------------------------------------------------- running


def run_tasks(name: str, sets: Path, base: Path, keep: Path | None = None) -> dict[str, str]:
    """Run the tasks of one run in ``base/name``; the hash of each product by ``run/task/file``.

    A product that a later task changes has a line for each.

    Raises
    ------
    RuntimeError
        A task failed.
    """
    run, folder = RUNS[name], base / name
    folder.mkdir(parents=True)
    (folder / "odf").symlink_to(sets / run.size / "odf" / run.obs_id, target_is_directory=True)
    (folder / "ccf").symlink_to(sets / run.size / "ccf", target_is_directory=True)
    (folder / "times.txt").write_text(_TIMES)
    folders = Folders(folder, base, sets, sets / run.size)
    hashes: dict[str, str] = {}
    count: dict[str, int] = {}
    seen = _files(folder)
    for task, *words in run.calls():
        count[task] = count.get(task, 0) + 1
        label = task if count[task] == 1 else f"{task}.{count[task]}"
        before = seen
        printed = call_task(folder, [task, *[_matched(folder, w) for w in words]])
        if task == PRINTS:
            (folder / f"{label}.txt").write_text(printed)
        seen = _files(folder)
        for file in sorted(f for f in seen if before.get(f) != seen[f]):
            key = f"{name}/{label}/{file}"
            hashes[key] = hash_of(folder / file, folders)
            if keep:
                (keep / key).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / file, keep / key)
    return hashes


def call_task(folder: Path, words: Sequence[str]) -> str:
    """``python -m daxa.xmm`` with these words, in this process; what it printed, without times."""
    ingested = sorted(folder.glob("*SUM.SAS"))
    env = {
        "SAS_ODF": ingested[0].name if ingested else "odf",
        "SAS_CCF": "ccf.cif",
        "SAS_CCFPATH": "ccf",
        "SAS_ATTITUDE": "RAF:AHF",
    }
    out, err = io.StringIO(), io.StringIO()
    status: Any = 0
    with (
        _environment(env, folder, ["daxa.xmm", *words]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            runpy.run_module("daxa.xmm", run_name="__main__", alter_sys=True)
        except SystemExit as end:
            status = end.code
    if status:
        raise RuntimeError(f"{shlex.join(words)} in {folder}: exit status {status}\n{err.getvalue()}")
    return "".join(f"{line}\n" for line in out.getvalue().splitlines() if not _START_AND_END.search(line))


@contextlib.contextmanager
def _environment(env: Mapping[str, str], folder: Path, argv: Sequence[str]) -> Iterator[None]:
    """Another environment, folder and command line for a while."""
    old = (dict(os.environ), os.getcwd(), sys.argv)
    dropped = [k for k in os.environ if k.startswith("SAS_")]
    for key in dropped:
        del os.environ[key]
    os.environ.update(env)
    os.chdir(folder)
    sys.argv = list(argv)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(old[0])
        os.chdir(old[1])
        sys.argv = old[2]


def _matched(folder: Path, word: str) -> str:
    """A word of a command line, with the file that ``=@pattern`` matches."""
    key, marked, pattern = word.partition("=@")
    if not marked:
        return word
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise RuntimeError(f"{word}: {len(found)} files match in {folder}")
    return f"{key}={found[0].relative_to(folder)}"


def _files(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Files of a folder with what changes when they are written."""
    stats = {p.name: p.stat() for p in folder.iterdir() if p.is_file()}
    return {name: (s.st_ino, s.st_mtime_ns, s.st_size) for name, s in stats.items()}


# ------------------------------------------------------------------------------------ sets and archives


def simulate(size: str, sets: Path) -> None:
    """Simulate a set, if it is not there."""
    from daxa.simulate import simulate_set

    done = sets / f"{size}.complete"
    if not done.exists():
        simulate_set(sets / size, size=size)
        done.touch()


def hash_set(size: str, sets: Path) -> dict[str, str]:
    """One hash for the calibration, the raw files of each observation, and the truth."""
    base, hashes = sets / size, {}
    folders = Folders(sets, base)
    for folder in [base / "ccf", *sorted(p for p in (base / "odf").iterdir() if p.is_dir()), base / "truth"]:
        digest = hashlib.sha256()
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            digest.update(f"{path.name} {hash_of(path, folders)}\n".encode())
        hashes[f"simulate/{size}/{folder.relative_to(base)}"] = digest.hexdigest()[:LENGTH]
    return hashes


#: Archives: set, instruments, observations.
ARCHIVES = {
    "archive": ("small", ("M1", "M2", "PN"), ("0800010101", "0800010201")),
    "archive_rgs": ("gratings", ("R1", "R2"), ("0800030101",)),
}


def run_archive(
    name: str, sets: Path, base: Path, keep: Path | None = None, cores: int = 1
) -> dict[str, str]:
    """A whole reduction as users run it; the hash of each product of the archive."""
    size, instruments, obs_ids = ARCHIVES[name]
    folder = base / name
    folder.mkdir(parents=True)
    env = {
        "DAXA_OUTPUT": str(folder),
        "DAXA_BACKEND": "embedded",
        "DAXA_CCFPATH": str(sets / size / "ccf"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    for variable in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        Path(env[variable]).mkdir()
    with _environment(env, folder, sys.argv):
        from daxa.archive import Archive
        from daxa.mission import XMMPointed
        from daxa.process.simple import full_process_xmm

        mission = XMMPointed(list(instruments), local=sets / size / "odf")
        mission.filter_on_obs_ids(list(obs_ids))
        archive = Archive(name, mission)
        full_process_xmm(
            archive, find_mos_anom_state="M1" in instruments, num_cores=cores, disable_progress=True
        )
        failed = [
            f"{step} {ident}"
            for steps in archive.process_success.values()
            for step, idents in steps.items()
            for ident, ok in idents.items()
            if not ok
        ]
    if failed:
        raise RuntimeError(f"{name}: {', '.join(failed)} failed")
    top = folder / "archives" / name / "processed_data"
    folders, hashes = Folders(folder, sets, sets / size), {}
    for path in sorted(p for p in top.rglob("*") if p.is_file() and "logs" not in p.parts):
        key = f"{name}/{path.relative_to(top)}"
        hashes[key] = hash_of(path, folders)
        if keep:
            (keep / key).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, keep / key)
    return hashes


# ------------------------------------------------------------------------------------- lists of hashes


def machine() -> str:
    """What the last bits of products depend on: versions of libraries, and a hash of this machine's sums.

    numpy takes other instructions on other processors, whose sines and logarithms differ in the last bit.
    """
    import astropy
    import matplotlib
    import numpy as np
    import scipy
    import scipy.fft
    import scipy.special

    rng = np.random.default_rng(1)
    x = rng.uniform(0.1, 20.0, 4001)
    with np.errstate(all="ignore"):
        parts = [
            f(x) for f in (np.sin, np.cos, np.tan, np.arctan, np.exp, np.log, np.sqrt, np.log10, np.sinh)
        ]
        parts += [x**2.3, np.arctan2(x, x[::-1]), scipy.special.erf(x / 10), scipy.special.gammaln(x)]
        parts += [np.outer(x[:60], x[:60]) @ np.outer(x[:60], x[60:120]), scipy.fft.rfft(x).view(float)]
        parts += [np.array([x.sum(), x.mean(), x.std(), x @ x]), rng.normal(size=500), np.cumsum(x)]
        parts += [f(x.astype(np.float32)).astype(float) for f in (np.sin, np.exp, np.log, np.sum)]
    bits = hashlib.sha256(b"".join(np.ascontiguousarray(p).tobytes() for p in parts)).hexdigest()[:12]
    versions = {"numpy": np, "scipy": scipy, "astropy": astropy, "matplotlib": matplotlib}
    return " ".join([*(f"{n} {m.__version__}" for n, m in versions.items()), f"arithmetic {bits}"])


def read(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Hashes of a list, and what its first lines say (``machine``, ``products``)."""
    said: dict[str, str] = {}
    hashes: dict[str, str] = {}
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            key, _, value = line[1:].partition(":")
            said[key.strip()] = value.strip()
        elif line.strip():
            product, value = line.rsplit(" ", 1)
            hashes[product] = value
    return hashes, said


def write(path: Path, hashes: Mapping[str, str], keep: Path | None = None, work: str = "") -> None:
    """Write a list of hashes, in the order of the products' names; where they are kept and were made."""
    lines = [f"# machine: {machine()}"]
    if keep:
        lines += [f"# products: {keep.resolve()}", f"# folders: {work}"]
    lines += [f"{product} {value}" for product, value in sorted(hashes.items())]
    path.write_text("\n".join(lines) + "\n")


def compared(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, list[str]]:
    """Products that ``differ``, are ``missing`` or ``new``."""
    return {
        "differ": sorted(p for p in old if p in new and new[p] != old[p]),
        "missing": sorted(set(old) - set(new)),
        "new": sorted(set(new) - set(old)),
    }


# ------------------------------------------------------------------------------------------ command line


def _one(name: str, sets: Path, base: Path, keep: Path | None, cores: int) -> dict[str, str]:
    if name in ARCHIVES:
        return run_archive(name, sets, base, keep, cores)
    return run_tasks(name, sets, base, keep)


def _alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call in a fresh process: a run must not find what another has left in memory."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def run_all(
    names: Sequence[str], sets: Path, base: Path, keep: Path | None, jobs: int, cores: int
) -> tuple[dict[str, str], int]:
    """Simulate what the runs need, and run them side by side; hashes, and how many runs failed."""
    hashes: dict[str, str] = {}
    failed = 0
    needed = {ARCHIVES[n][0] if n in ARCHIVES else RUNS[n].size for n in names}
    sizes = [s for s in SIZES if s in needed]
    with ThreadPoolExecutor(jobs) as pool:
        for _ in pool.map(lambda s: _alone(simulate, s, sets), sizes):
            pass
        for found in pool.map(lambda s: _alone(hash_set, s, sets), sizes):
            hashes.update(found)
        print(f"simulated {', '.join(sizes)}", flush=True)
        runs = {n: pool.submit(_alone, _one, n, sets, base, keep, cores) for n in names}
        for name, run in runs.items():
            try:
                hashes.update(run.result())
                print(f"{name}: {len(run.result())} products", flush=True)
            except Exception as error:
                failed += 1
                print(f"{name} FAILED: {error}", file=sys.stderr, flush=True)
    return hashes, failed


def main(argv: Sequence[str] | None = None) -> int:
    """Write or compare a list of hashes; 1 if products differ, are missing or new, 2 if a task failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["write", "compare"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--keep", type=Path, help="folder to keep the products in")
    parser.add_argument(
        "--only", nargs="+", choices=[*RUNS, *ARCHIVES], metavar="NAME", help="only these runs"
    )
    parser.add_argument("--quick", action="store_true", help="only the runs of the tests, no raw files")
    parser.add_argument("--sets", type=Path, help="folder that keeps the simulated sets")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="runs side by side")
    parser.add_argument("--cores", type=int, default=1, help="jobs side by side within a whole reduction")
    arguments = parser.parse_args(argv)
    # Threads of BLAS are slower here, and may add in another order.
    for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[variable] = "1"
    quick = [name for name, run in RUNS.items() if run.quick]
    names = arguments.only or (quick if arguments.quick else [*RUNS, *ARCHIVES])
    with tempfile.TemporaryDirectory(prefix="product_hashes_") as scratch:
        base, keep = Path(scratch), arguments.keep
        if arguments.what == "compare" and keep is None:
            keep = base / "kept"
        sets = (arguments.sets or base / "sets").resolve()
        sets.mkdir(parents=True, exist_ok=True)
        hashes, failed = run_all(names, sets, base, keep and keep.resolve(), arguments.jobs, arguments.cores)
        if failed:
            return 2
        if arguments.quick:
            hashes = {p: v for p, v in hashes.items() if not p.startswith("simulate/")}
        if arguments.what == "write":
            write(arguments.file, hashes, keep, f"{base} {sets}")
            print(f"{len(hashes)} products")
            return 0
        old, said = read(arguments.file)
        if arguments.only or arguments.quick:
            runs = {p.split("/")[0] for p in hashes}
            old = {p: v for p, v in old.items() if p.split("/")[0] in runs}
        if said.get("machine") != machine():
            print(f"the hashes are those of {said.get('machine')}; this is {machine()}")
        kept = Path(said["products"]) if "products" in said else None
        return _report(old, hashes, kept, keep, _all_folders(said.get("folders", ""), f"{base} {sets}"))


def _all_folders(*pairs: str) -> Folders:
    """What is masked in the products of runs whose folders and sets these are."""
    found = []
    for base, sets in (map(Path, pair.split()) for pair in pairs if pair):
        found += [base, sets, *(base / name for name in (*RUNS, *ARCHIVES)), *(sets / size for size in SIZES)]
    return Folders(*found)


def _report(
    old: Mapping[str, str], new: Mapping[str, str], kept: Path | None, now: Path | None, folders: Folders
) -> int:
    found = compared(old, new)
    for kind in ("differ", "missing", "new"):
        for product in found[kind]:
            print(f"{kind}: {product}")
            if kind == "differ" and kept and now and (kept / product).exists() and (now / product).exists():
                for said in differences(kept / product, now / product, folders):
                    print(f"    {said}")
    print(f"{len(new)} products, {len(old)} before: " + ", ".join(f"{len(v)} {k}" for k, v in found.items()))
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main())
