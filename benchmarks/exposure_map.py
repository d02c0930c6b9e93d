"""Time the exposure map of a long observation whose pointing drifts.

Usage: ``python benchmarks/exposure_map.py [--duration 60000] [--drift 20] [--json exposure_map.json]``

The maps (512 x 512 pixels, two bands, vignetted) are made on one core, calibration in memory, attitude in
bins of 4 arcsec. Time and peak memory are those of the task's process.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

START_S = 6.0e8
POINTING = (149.5917, -11.0642, 100.0)
GRID = {
    "xcolumn": "X", "ycolumn": "Y", "imagebinning": "binSize", "ximagebinsize": 87, "yimagebinsize": 87,
    "ximagemin": 3649, "ximagemax": 48106, "withxranges": True, "yimagemin": 3649, "yimagemax": 48106,
    "withyranges": True,
}  # fmt: skip


def write_inputs(folder: Path, env: dict[str, str], instrument: str, duration_s: float, drift: float) -> None:
    """Frames of every CCD without events, and an attitude that wanders by ``drift`` arcsec."""
    import numpy as np
    from astropy.io import fits

    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.event.eventlist import write_event_list
    from daxa.xmm.event.gti import GTI
    from daxa.xmm.event.parts import CcdExposure
    from daxa.xmm.formats.eventlist import EVENT_COLUMNS
    from daxa.xmm.sky.geometry import CameraGeometry

    geometry = CameraGeometry.from_calibration(Calibration.from_environment(env, folder), instrument, START_S)
    frame = 0.0734 if instrument == "EPN" else 2.6
    times = START_S + frame * (0.5 + np.arange(int(duration_s / frame)))
    one = np.ones(len(times))
    good = GTI([times[0] - frame / 2], [times[-1] + frame / 2])
    none: dict[str, Any] = {k: [] for k in ("RAWX", "RAWY", "TYPE", "YEXTENT", "BADFLAG")}
    ccds = {
        int(c): CcdExposure(times, frame * one, 0.98 * one, good, none, {"CCDID": int(c)})
        for c in geometry.ccds
    }
    primary = {
        "TELESCOP": "XMM", "INSTRUME": instrument, "DATAMODE": "IMAGING", "SUBMODE": "PrimeFullWindow",
        "FILTER": "Medium", "OBS_ID": "0800010101", "EXP_ID": "0800010101001", "EXPIDSTR": "S001",
    }  # fmt: skip
    write_event_list(
        folder / "events.fits",
        primary=primary,
        columns={c.name: np.zeros(0) for c in EVENT_COLUMNS[instrument.rstrip("12"), "IMAGING"]},
        ccds=ccds,
        sky={"ra_deg": POINTING[0], "dec_deg": POINTING[1]},
    )
    second = START_S - 10 + np.arange(duration_s + 20)
    phase = 2 * np.pi * (second - START_S) / duration_s
    ra = POINTING[0] + drift / 3600 * np.sin(phase)
    dec = POINTING[1] + drift / 3600 * np.sin(2.3 * phase)
    pa = np.full(len(second), POINTING[2])
    names = ["TIME", "AHFRA", "AHFDEC", "AHFPA", "OMRA", "OMDEC", "OMPA", "DAHFPNT", "DOMPNT", "DAHFOM"]
    values = [second, ra, dec, pa, ra, dec, pa, *[np.zeros(len(second))] * 3]
    table = fits.BinTableHDU.from_columns(
        [fits.Column(n, "D", array=v) for n, v in zip(names, values, strict=True)], name="ATTHK"
    )
    head = fits.PrimaryHDU()
    for key, value in zip(("RA", "DEC", "PA"), POINTING, strict=True):
        head.header[f"MAHF{key}"] = head.header[f"AAHF{key}"] = value
    fits.HDUList([head, table]).writeto(folder / "attitude.fits")


def measure(instrument: str, duration_s: float, drift: float, repeat: int = 3) -> dict[str, Any]:
    """Best of several runs of eexpmap."""
    from daxa.simulate.calibration.constituents import write_calibration
    from daxa.xmm.task import run_task

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_calibration(folder / "ccf")
        env = {"SAS_CCFPATH": str(folder / "ccf"), "SAS_CCF": str(folder / "ccf.cif")}

        def call(task: str, **arguments: Any) -> str:
            out = io.StringIO()
            run_task(task, arguments, cwd=folder, env=env, out=out)
            return out.getvalue()

        call("cifbuild", withobservationdate=True, observationdate="2017-01-01T00:00:00")
        write_inputs(folder, env, instrument, duration_s, drift)
        call("evselect", table="events.fits", imageset="image.fits", **GRID)
        runs = []
        for _ in range(repeat):
            wall, cpu = time.perf_counter(), time.process_time()
            log = call(
                "eexpmap", imageset="image.fits", attitudeset="attitude.fits", eventset="events.fits",
                expimageset=["soft.fits", "hard.fits"], pimin=[500, 2000], pimax=[2000, 10000],
            )  # fmt: skip
            runs.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpu_s, wall_s = min(runs)
    return {
        "instrument": instrument,
        "duration_s": duration_s,
        "attitude_bins": int(log.split(" attitude bins")[0].split()[-1]),
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        / (1024 if sys.platform != "darwin" else 1024**2),
    }


def main() -> None:
    """Measure MOS1 and pn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--duration", type=float, default=60_000.0)
    parser.add_argument("--drift", type=float, default=20.0, help="amplitude of the wandering, arcsec")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results = [measure(i, arguments.duration, arguments.drift) for i in ("EMOS1", "EPN")]
    print(f"{'camera':8} {'duration s':>10} {'bins':>6} {'wall s':>7} {'CPU s':>7} {'peak MB':>8}")
    for r in results:
        print(
            f"{r['instrument']:8} {r['duration_s']:10.0f} {r['attitude_bins']:6d} {r['wall_s']:7.2f} "
            f"{r['cpu_s']:7.2f} {r['peak_mb']:8.0f}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
