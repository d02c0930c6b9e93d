"""ds9 shows the images of an archive with the right coordinates.

Needs ds9, Xvfb and the XPA tools (Debian: saods9, xvfb, xpa-tools).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

pytestmark = pytest.mark.slow

Ask = Callable[..., str]


@pytest.fixture(scope="module")
def ds9(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Send a command to a ds9 on a screen that nobody sees; gives its answer."""
    missing = [p for p in ("ds9", "Xvfb", "xpaget", "xpaset") if not shutil.which(p)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("ds9")
    title = f"daxa{os.getpid()}"
    read, write = os.pipe()
    screen = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1100x950x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as answer:
        display = answer.readline().strip()
    # XPA's sockets have short names only.
    with tempfile.TemporaryDirectory(prefix="xpa") as sockets:
        env = {
            **os.environ,
            "DISPLAY": f":{display}",
            "XPA_METHOD": "local",
            "XPA_TMPDIR": sockets,
            "HOME": str(folder),
        }
        program = subprocess.Popen(
            ["ds9", "-title", title], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

        def ask(verb: str, *words: str) -> str:
            tool = ["xpaget", title] if verb == "get" else ["xpaset", "-p", title]
            run = subprocess.run([*tool, *words], env=env, capture_output=True, text=True, check=False)
            if run.returncode != (1 if verb == "get" else 0) and "XPA$ERROR" in run.stderr + run.stdout:
                raise RuntimeError(f"{' '.join(words)}: {run.stderr or run.stdout}")
            return run.stdout.strip()

        try:
            deadline = time.monotonic() + 120
            while not ask_quietly(ask, "get", "version"):
                if time.monotonic() > deadline or program.poll() is not None:
                    pytest.skip("ds9 does not start here")
                time.sleep(0.2)
            yield ask
        finally:
            program.terminate()
            program.wait(30)
            screen.terminate()
            screen.wait(30)


def ask_quietly(ask: Ask, *words: str) -> str:
    try:
        return ask(*words)
    except RuntimeError:
        return ""


@pytest.mark.parametrize("inst", ["M1", "M2", "PN"])
def test_sources_are_under_the_crosshair(ds9: Ask, reduced, inst: str):
    """Pixel, X and Y, and counts of each source of the truth, as ds9 gives them."""
    path: Path = reduced.image(inst)
    with fits.open(path) as hdus:
        data, header = hdus[0].data, hdus[0].header
    wcs = WCS(header, naxis=2)
    ds9("set", "file", str(path))
    ds9("set", "mode", "crosshair")
    for ra, dec, recorded in reduced.sources(inst)[:4]:
        ds9("set", "crosshair", str(ra), str(dec), "wcs", "fk5")
        x, y = (float(v) for v in ds9("get", "crosshair", "image").split())
        assert (x, y) == pytest.approx(tuple(map(float, wcs.wcs_world2pix(ra, dec, 1))), abs=0.01)
        back = [float(v) for v in ds9("get", "crosshair", "wcs", "fk5", "degrees").split()]
        assert back == pytest.approx([ra, dec], abs=1e-5)
        physical = [float(v) for v in ds9("get", "crosshair", "physical").split()]
        expected = [
            header[f"CRVAL{k}L"] + header[f"CDELT{k}L"] * (p - header[f"CRPIX{k}L"])
            for k, p in ((1, x), (2, y))
        ]
        assert physical == pytest.approx(expected, abs=1.0)
        column, row = round(x) - 4, round(y) - 4
        shown = ds9("get", "data", "image", str(column), str(row), "9", "9", "yes").split()
        box = data[row - 1 : row + 8, column - 1 : column + 8]
        assert sorted(map(float, shown)) == sorted(box.ravel())
        # 20 arcsec hold most of a source's photons; those of the band are at least a third of all.
        assert box.sum() > 0.2 * recorded
        assert box.sum() > 20 * np.median(data)


def test_event_lists_are_binned_on_the_sky(ds9: Ask, reduced):
    ds9("set", "file", str(reduced.events("PN")))
    ra, dec, _ = reduced.sources()[0]
    ds9("set", "mode", "crosshair")
    ds9("set", "crosshair", str(ra), str(dec), "wcs", "fk5")
    header = fits.getheader(reduced.events("PN"), "EVENTS")
    column = {header[f"TTYPE{k}"]: k for k in range(1, header["TFIELDS"] + 1)}
    wcs = WCS(naxis=2)
    axes = [column["X"], column["Y"]]
    wcs.wcs.ctype = [header[f"TCTYP{k}"] for k in axes]
    wcs.wcs.crpix = [header[f"TCRPX{k}"] for k in axes]
    wcs.wcs.crval = [header[f"TCRVL{k}"] for k in axes]
    wcs.wcs.cdelt = [header[f"TCDLT{k}"] for k in axes]
    physical = [float(v) for v in ds9("get", "crosshair", "physical").split()]
    assert physical == pytest.approx([float(v) for v in wcs.wcs_world2pix(ra, dec, 1)], abs=1.5)
