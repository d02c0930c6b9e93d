"""A stand-in for eSASS: programs of its names that check their arguments and make files of the right form."""

from __future__ import annotations

import os
from pathlib import Path

import erosita_list
import pytest

#: Parameters that the manuals of the tasks know.
KNOWN = {
    "flaregti": (
        "eventfile gtifile pimin pimax mask_pimin mask_pimax xmin xmax ymin ymax gridsize binsize detml "
        "timebin source_size source_like fov_radius threshold max_threshold write_mask mask mask_iter "
        "write_lightcurve lightcurve write_thresholdimg thresholdimg"
    ),
    "evtool": "eventfiles outfile clobber events image emin emax gti flag flag_invert pattern telid region",
}
_PROGRAM = """#!/bin/sh
# A stand-in for a task of eSASS.
task=$(basename "$0")
echo "$task $*" >> "$FAKE_ESASS/calls"
for word in "$@"; do
    name=${word%%=*}
    case " KNOWN " in *" $name "*) ;; *) echo "$task: unknown parameter $name" >&2; exit 3 ;; esac
    eval "p_$name=\\${word#*=}"
done
if [ -f "$FAKE_ESASS/fail" ] && grep -q "$(cat "$FAKE_ESASS/fail")" "$p_eventfile$p_eventfiles"; then
    echo "$task: no memory" >&2; exit 4
fi
"""
_BODIES = {
    "flaregti": """
[ "$p_eventfile" ] && [ -w "$p_eventfile" ] || { echo "$task: cannot write to $p_eventfile" >&2; exit 1; }
cat "$FAKE_ESASS/flares.fits" > "$p_eventfile"
echo curve > "$p_lightcurve"; echo mask > "$p_mask"
if [ "$p_threshold" = -1 ]; then echo thresholds > "$p_thresholdimg"; fi
echo "$task: DONE"
""",
    "evtool": """
[ "$p_eventfiles" ] && [ -r "$p_eventfiles" ] || { echo "$task: cannot read $p_eventfiles" >&2; exit 1; }
case $p_flag in 0x????????) ;; *) echo "$task: flag must be a hexcode" >&2; exit 1 ;; esac
case $p_flag_invert in yes|no) ;; *) exit 1 ;; esac
[ "$p_pattern" -ge 1 ] && [ "$p_pattern" -le 15 ] || { echo "$task: pattern is 1 to 15" >&2; exit 1; }
grep -q "${p_gti}1" "$p_eventfiles" || { echo "$task: no $p_gti" >&2; exit 1; }
cp "$p_eventfiles" "$p_outfile"; chmod u+w "$p_outfile"
""",
}


@pytest.fixture
def esass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the stand-in: ``calls`` has its calls."""
    folder = tmp_path / "eSASS4DR1"
    (folder / "bin").mkdir(parents=True)
    for name, body in _BODIES.items():
        program = folder / "bin" / name
        program.write_text(_PROGRAM.replace("KNOWN", KNOWN[name]) + body)
        program.chmod(0o755)
    erosita_list.write(folder / "flares.fits", flares=True)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_ESASS", str(folder))
    return folder
