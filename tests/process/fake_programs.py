"""Stand-ins for programs of CIAO and NuSTARDAS: they refuse what the real ones do not know.

Names of parameters are those of public parameter files: chandra_repro of CIAO 4.17, nupipeline and nuproducts
of HEASoft 6.20; those of fluximage are in its manual.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from event_lists import acis_list, exposure_map, gti_table, sky_columns, sky_keywords, write_list
from small_mission import SmallMission

from daxa.archive import Archive
from daxa.mission.missions.chandra import Chandra
from daxa.mission.missions.nustar import NuSTARPointed

#: Program -> parameters that must be given, and others that it knows.
PARAMETERS = {
    "chandra_repro": (
        "indir outdir",
        "root badpixel process_events destreak set_ardlib check_vf_pha pix_adj tg_zo_position asol_update "
        "pi_filter patch_hrc_ssc cleanup clobber verbose mode",
    ),
    "fluximage": (
        "infile outroot",
        "bands xygrid maxsize binsize asolfile badpixfile maskfile dtffile units expmapthresh background "
        "bkgparams psfecf random parallel nproc tmpdir cleanup clobber verbose mode",
    ),
    "nupipeline": (
        "indir steminputs outdir",
        "instrument obsmode stemoutputs fpma_infile fpmb_infile entrystage exitstage initseed cleancols "
        "cleanup "
        "clobber chatter history pntra pntdec attfile aberration inmastaspectfile fpma_inoptaxisfile "
        "fpmb_inoptaxisfile fpma_indet1reffile fpmb_indet1reffile runmetrology metflag inpsdfilecor "
        "hpbinsize "
        "hpcellsize impfac logpos bthresh cleanflick hpiterate saamode tentacle saacalc gtiscreen evtscreen "
        "statusexpr depthcut createexpomap expovignflag energy pixbin",
    ),
    "nuproducts": (
        "indir instrument steminputs outdir srcra srcdec bkgra bkgdec",
        "stemout infile srcregionfile bkgextract bkgregionfile srcradius bkgradius1 bkgradius2 binsize "
        "lcfile "
        "phafile imagefile pilow pihigh extended runmkarf runmkrmf initseed cleanup clobber history "
        "chatter mode",
    ),
}
#: Parameters that are yes or no, and those that are one of some words.
BOOLEAN = (
    "destreak set_ardlib check_vf_pha asol_update pi_filter cleanup clobber parallel initseed aberration "
    "tentacle "
    "createexpomap expovignflag extended"
)
CHOICES = {
    "pix_adj": "default edser none randomize centroid",
    "units": "default area time",
    "saamode": "NONE STRICT OPTIMIZED",
    "instrument": "FPMA FPMB ALL",
    "obsmode": "SCIENCE OCCULTATION SLEW SAA CALIBRATION SCIENCE_SC ALL",
    "entrystage": "1 2",
    "exitstage": "1 2 3",
}
PROGRAM = r"""#!/bin/sh
task=$(basename "$0")
fail() { echo "# $task (stand-in): ERROR $*" >&2; exit 1; }
there() { for file in "$@"; do [ -e "$file" ] || fail "no file $file"; done; }
echo "$task $*" >> "$FAKE/calls"
case $task in
@CASES@
esac
for word in "$@"; do
    name=${word%%=*}
    case " $required $known " in *" $name "*) ;; *) fail "no parameter $name" ;; esac
    case " @BOOLEAN@ " in *" $name "*)
        case ${word#*=} in yes|no) ;; *) fail "$word is not yes or no" ;; esac ;;
    esac
    eval "p_$name=\${word#*=}"
done
for name in $required; do
    eval "value=\${p_$name-}"; [ -n "$value" ] || fail "parameter $name is missing"
done
@CHOICES@
if [ -f "$FAKE/behave" ]; then . "$FAKE/behave"; fi
raw=$(readlink -f "${p_indir:-.}"); obs=$(basename "$raw")
case $task in
chandra_repro)
    there "$p_indir/primary" "$p_indir/secondary"
    mkdir -p "$p_outdir"
    if [ "$obs" = 144 ]; then detector=hrc; echo factors > "$p_outdir/hrcf00144_000N001_dtf1.fits"; fi
    stem=$p_outdir/${detector-acis}f$(printf %05d "$obs")
    cp "$FAKE/$obs.evt2" "${stem}_repro_evt2.fits"
    for kind in bpix1 fov1 flt2; do echo "$kind $obs $p_pix_adj" > "${stem}_repro_$kind.fits"; done
    echo mask > "${stem}_000N001_msk1.fits"
    cp "$p_indir"/primary/pcad*asol1.fits "$p_outdir" ;;
fluximage)
    there "$p_infile" "$p_badpixfile" "$p_maskfile"
    for file in $(echo "$p_asolfile" | tr , ' '); do there "$file"; done
    label=$(echo "$p_bands" | sed 's/:\([^:]*\):.*/-\1/')
    for end in img expmap; do echo "$label $end $p_units" > "${p_outroot}_${label}_thresh.$end"; done
    echo "$label flux $p_units" > "${p_outroot}_${label}_flux.img"
    [ -z "$p_psfecf" ] || echo "$label psf $p_psfecf" > "${p_outroot}_${label}_thresh.psfmap" ;;
nupipeline)
    there "$p_indir/auxil" "$p_indir/hk" "$p_indir/event_uf"
    case $p_instrument in
    FPMA) m=A; evt=$p_fpma_infile; oa=$p_fpma_inoptaxisfile; ref=$p_fpma_indet1reffile ;;
    FPMB) m=B; evt=$p_fpmb_infile; oa=$p_fpmb_inoptaxisfile; ref=$p_fpmb_indet1reffile ;;
    esac
    mkdir -p "$p_outdir"; stem=$p_outdir/$p_steminputs
    if [ "$p_entrystage" = 1 ]; then
        there "$p_indir/event_uf/${p_steminputs}${m}_uf.evt"
        cp "$p_indir/event_uf/${p_steminputs}${m}_uf.evt" "${stem}${m}_uf.evt"
        for kind in att mast psd psdcorr; do echo "$kind $obs" > "${stem}_$kind.fits"; done
        for kind in bp hp det1 oa; do echo "$kind $obs $m $p_impfac" > "$stem${m}_$kind.fits"; done
    else
        there "$evt" "$p_attfile" "$p_inmastaspectfile" "$p_inpsdfilecor" "$oa" "$ref"
        cp "$evt" "$stem${m}01_cl.evt"; echo changed >> "$evt"
        echo "gti $p_saamode" > "$stem${m}01_gti.fits"; echo hk > "$stem${m}_fpm.hk"
        [ "$p_createexpomap" = no ] || cp "$FAKE/ex.img" "$stem${m}01_ex.img"
    fi ;;
nuproducts)
    stem=$p_steminputs; m=${p_instrument#FPM}
    there "${stem}${m}01_cl.evt" "${stem}_att.fits" "${stem}_mast.fits"
    there "${stem}${m}_det1.fits" "${stem}${m}_oa.fits"
    mkdir -p "$p_outdir"
    for end in sr.pha bk.pha sr.lc bk.lc sr.arf sr.rmf sk.img; do
        echo "$end $p_srcra $p_srcdec $p_srcradius" > "$p_outdir/${stem}${m}01_$end"; done ;;
esac
"""


def _program() -> str:
    cases = "\n".join(
        f"{name}) required='{needed}'; known='{known}' ;;" for name, (needed, known) in PARAMETERS.items()
    )
    choices = "\n".join(
        f'[ -z "${{p_{name}-}}" ] || case " {words} " in *" $p_{name} "*) ;; *) fail "bad {name}" ;; esac'
        for name, words in CHOICES.items()
    )
    return PROGRAM.replace("@CASES@", cases).replace("@BOOLEAN@", BOOLEAN).replace("@CHOICES@", choices)


class Fake:
    """The folder of the stand-ins."""

    def __init__(self, folder: Path):
        self.folder = folder

    def behave(self, script: str) -> None:
        """Shell lines that every program runs once its parameters are read; ``$task`` and ``$p_NAME`` "
        "are set."""
        (self.folder / "behave").write_text(script)

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def forget(self) -> None:
        for name in ("calls", "behave"):
            (self.folder / name).unlink(missing_ok=True)


class FakeChandra(SmallMission):
    """Two observations with ACIS, one with exposures of two lengths."""

    name = "chandra"
    pretty_name = "Chandra"
    id_regex = r"^[0-9]{1,5}$"
    instruments = ("ACIS", "HRC")
    default_instruments = ("ACIS", "HRC")
    has_products = False
    observed = ("4935", "578")

    def _query(self, refresh):
        start = np.datetime64("2004-06-01T10:00:00", "us")
        columns = {
            "ObsID": list(self.observed),
            "ra": 149.6,
            "dec": -11.1,
            "start": start,
            "science_usable": True,
        }
        return pd.DataFrame(
            {**columns, "end": start + np.timedelta64(3600, "s"), "duration": pd.Timedelta(3600, "s")}
        ), None

    def get_obs_path(self, obs_id):
        return Path(self.raw_data_path) / obs_id

    def _deliver(self, obs_id, folder):
        for name in ("primary", "secondary"):
            (folder / name).mkdir(parents=True)
        (folder / "primary" / f"pcadf{obs_id:0>5}_000N001_asol1.fits").write_text("aspect")
        detector, parts = "hrc" if obs_id == "144" else "acis", ("_e1", "_e2") if obs_id == "578" else ("",)
        for part in parts:
            acis_list(
                folder / "secondary" / f"{detector}f{obs_id:0>5}_000N001{part}_evt1.fits",
                [1.0],
                DETNAM="ACIS-7",
                GRATING="NONE",
                DATAMODE="FAINT",
                OBI_NUM=0,
            )

    def download(self, num_cores=None, credentials=None, download_products=True, **options):
        for obs_id in self.observed:
            folder = self.get_obs_path(obs_id)
            if not folder.exists():
                self._deliver(obs_id, folder)
        self._downloaded = {"raw": True, "products": False}

    assess_process_obs = Chandra.assess_process_obs


class FakeNustar(FakeChandra):
    """An observation with both modules, and one whose second module saw nothing."""

    name = "nustar_pointed"
    pretty_name = "NuSTAR Pointed"
    id_regex = r"^[0-9]{11}$"
    instruments = ("FPMA", "FPMB")
    default_instruments = ("FPMA", "FPMB")
    observed = ("30001039002", "30001039004")

    def _deliver(self, obs_id, folder):
        for name in ("auxil", "hk", "event_uf"):
            (folder / name).mkdir(parents=True)
        for letter in "AB":
            number = 0 if (obs_id, letter) == ("30001039004", "B") else 5
            columns = {
                "TIME": ("1D", "s", np.arange(float(number))),
                "PI": ("1J", "", 33 + np.arange(number)),
            }
            write_list(
                folder / "event_uf" / f"nu{obs_id}{letter}_uf.evt",
                columns | sky_columns(3 + np.arange(number) % 2),
                [gti_table([(0, 5)])],
                TELESCOP="NuSTAR",
                INSTRUME=f"FPM{letter}",
                EXPOSURE=5.0,
                **sky_keywords(3),
            )

    assess_process_obs = NuSTARPointed.assess_process_obs


def _flaring(folder: Path) -> None:
    """The reprocessed lists: a quiet rate of one per second, and a flare from 1000 to 1400 s."""
    times = np.concatenate([np.arange(0.5, 6000), np.arange(1000.05, 1400, 0.1)])
    for obs_id in ("4935", "144"):
        energies = np.where(np.arange(len(times)) % 4, 1500.0, 9000.0)
        acis_list(folder / f"{obs_id}.evt2", times, energies, {7: [(0.0, 6000.0)], 3: [(0.0, 5900.0)]})
    fits.setval(folder / "144.evt2", "INSTRUME", value="HRC", ext=1)


@pytest.fixture
def programs(tmp_path, monkeypatch) -> Fake:
    """CIAO and NuSTARDAS as a folder of scripts, initialised."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in PARAMETERS:
        (folder / name).write_text(_program())
        (folder / name).chmod(0o755)
    for name, told in (("ciaover", "CIAO 4.17.0 Friday"), ("fversion", "26Mar2024_V6.33")):
        (folder / name).write_text(f"#!/bin/sh\necho '{told}'\n")
        (folder / name).chmod(0o755)
    for index in ("chandra/acis", "nustar/fpm"):
        place = tmp_path / "caldb" / "data" / index
        place.mkdir(parents=True)
        (place / "caldb.indx").write_text(index)
    _flaring(folder)
    exposure_map(folder / "ex.img")
    monkeypatch.setenv("FAKE", str(folder))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    for variable in ("ASCDS_INSTALL", "HEADAS"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setenv("PFILES", f"{tmp_path};{tmp_path}")
    monkeypatch.setenv("CALDB", str(tmp_path / "caldb"))
    index = __import__("daxa.mission").mission.MISS_INDEX
    monkeypatch.setitem(index, "chandra", FakeChandra)
    monkeypatch.setitem(index, "nustar_pointed", FakeNustar)
    return Fake(folder)


@pytest.fixture
def chandra(programs) -> Archive:
    """An archive of two observations of Chandra, nothing processed."""
    return Archive("chandra", FakeChandra())


@pytest.fixture
def nustar(programs) -> Archive:
    """An archive of two observations of NuSTAR, nothing processed."""
    return Archive("nustar", FakeNustar())


def opened(archive: Archive, mission: str, obs_id: str, name: str) -> fits.HDUList:
    return fits.open(Path(archive.get_current_data_path(mission, obs_id)) / name)
