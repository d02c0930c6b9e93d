"""Programs under SAS's names."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from packaging.version import Version

from daxa.backend.shims import VERSION, write_shims


def shell(text: str, **env: str) -> subprocess.CompletedProcess[str]:
    here = {"PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    return subprocess.run(
        ["/bin/sh", "-c", text], env={**here, **env}, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def shims(tmp_path_factory):
    return write_shims(tmp_path_factory.mktemp("with 'quotes' $and") / "shims")


def test_a_shell_is_set_up_by_one_file(shims):
    names = "'$SAS_DIR' '$SAS_PATH' '$SAS_CCFPATH' '$PATH'".replace("'", '"')
    read = f'. "$S/setup.sh" >/dev/null && . "$S/setup.sh" >/dev/null; printf "%s\\n" {names}'
    done = shell(read, S=str(shims), SAS_CCFPATH="/data/ccf", HOME="/")
    assert done.stderr == ""
    assert done.stdout.splitlines() == [str(shims), str(shims), "/data/ccf", f"{shims}:/usr/bin:/bin"]
    without = shell(read, S=str(shims), HOME="/").stdout.splitlines()
    assert without[2].endswith("ccf")


def test_the_release_is_told_as_packages_for_sas_read_it(shims):
    done = shell('"$S/sas" --version', S=str(shims))
    assert done.stderr == ""
    last = done.stdout.strip("]\n").split("[")[-1]
    assert last == VERSION
    assert Version(last.split("-")[0]) == Version("22.1.0")


def test_the_program_of_heasoft_comes_first(shims, tmp_path):
    (tmp_path / "bin").mkdir()
    theirs = tmp_path / "bin" / "nh"
    theirs.write_text('#!/bin/sh\necho "theirs $*"\n')
    theirs.chmod(0o755)
    assert shell('"$S/nh" 2000 1 2', S=str(shims), HEADAS=str(tmp_path)).stdout == "theirs 2000 1 2\n"
    own = shell('"$S/nh" 2000 1 2', S=str(shims), HEADAS="/nowhere", DAXA_NH="4e20")
    assert own.stdout.endswith(" 4.000E+20\n"), own.stderr
