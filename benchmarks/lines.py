"""Energies of lines and wavelengths with enough counts to tell a small shift, against the simulated truth.

Usage: ``python benchmarks/lines.py [--camera M1 M2] [--gratings] [--photons 70000]``

For a MOS camera photons of four energies fall evenly on all CCDs of an exposure of 21 ks in full frame, go
through the simulator and ``emchain``, and the peak of each class of patterns is fitted: found minus true
[eV]. With ``--gratings`` the simulated set of gratings goes through ``rgsproc``, and every line that no gap
hides is measured.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from astropy.io import fits
from scipy.optimize import curve_fit

_TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(_TESTS / "xmm" / "instruments" / "rgs"))

LINES_EV = (1487.0, 1740.0, 3200.0, 6700.0)
#: Counts/s of the simulated continuum in the 0.2 Angstrom about a line in the first order.
CONTINUUM = 0.3 / 33 * 0.2
CLASSES = {"singles": (0, 0), "doubles": (1, 4), "triples": (5, 8), "quadruples": (9, 12)}


def mos_lines(code: str, n_photons: int, folder: Path) -> None:
    """Print found minus true [eV] of each line and class of patterns of one MOS camera."""
    from daxa.simulate import observation, optics
    from daxa.simulate.calibration.constituents import write_calibration
    from daxa.simulate.cameras.camera import CAMERAS
    from daxa.simulate.cameras.noise import Noise
    from daxa.simulate.sets.real_exposure import describe_like_0802710101

    described, sky = describe_like_0802710101()
    (exposure,) = (e for e in described.exposures if e.instrument == code)
    camera = CAMERAS[code]
    ccds = np.array(exposure.ccds or camera.mode(exposure.submode).ccds)

    def even_hits(*_):
        rng = np.random.default_rng(1)
        n = n_photons * len(LINES_EV)
        place = rng.uniform(0.5, 600.5, (2, n))
        times = np.sort(rng.uniform(exposure.start_s, exposure.stop_s, n))
        return camera, optics.Hits(
            times, rng.choice(ccds, n), *place, rng.choice(LINES_EV, n), np.zeros(n, int)
        )

    write_calibration(folder / "ccf")
    with patch.object(observation, "hits_of", even_hits):
        description = replace(described, exposures=[exposure], flares=(), noise=Noise())
        observation.simulate_observation(description, sky, folder / "odf")
    events = _reduced(folder, "emchain", instruments=code)
    print(f"{code}: found minus true [eV] (counts)")
    print(f"{'':12}" + "".join(f"{line:>22.0f}" for line in LINES_EV))
    for name, (first, last) in CLASSES.items():
        cells = []
        pi = events["PI"][(events["PATTERN"] >= first) & (events["PATTERN"] <= last)].astype(float)
        for line in LINES_EV:
            width = 25 + 0.006 * line
            found, error, counts = _peak(pi, line, width)
            cells.append(f"{found - line:8.1f} ± {error:.1f} ({counts:.0f})")
        print(f"{name:12}" + "".join(f"{c:>22}" for c in cells), flush=True)


def _peak(pi: np.ndarray, line: float, width: float) -> tuple[float, float, float]:
    """Place, error and counts of a Gaussian on a flat ground that is fitted to a histogram."""
    edges = np.arange(line - 3 * width, line + 3 * width, 5.0)
    counts, _ = np.histogram(pi, edges)
    middle = (edges[1:] + edges[:-1]) / 2

    def model(x, place, sigma, height, ground):
        return height * np.exp(-0.5 * ((x - place) / sigma) ** 2) + ground

    start = (line, width, counts.max(), 0.0)
    best, covariance = curve_fit(model, middle, counts, start, np.sqrt(counts + 1.0))
    total = best[2] * abs(best[1]) * np.sqrt(2 * np.pi) / 5.0
    return float(best[0]), float(np.sqrt(covariance[0, 0])), float(total)


def _reduced(folder: Path, task: str, **arguments):
    import io

    from daxa.xmm.task import run_task

    env = {"SAS_ODF": str(folder / "odf"), "SAS_CCFPATH": str(folder / "ccf")}
    call = {"cwd": folder, "out": io.StringIO(), "err": io.StringIO()}
    run_task("cifbuild", {}, env=env, **call)
    env["SAS_CCF"] = str(folder / "ccf.cif")
    run_task("odfingest", {}, env=env, **call)
    env["SAS_ODF"] = str(next(folder.glob("*SUM.SAS")))
    run_task(task, arguments, env=env, **call)
    with fits.open(next(folder.glob("P*MIEVLI0000.FIT"))) as hdus:
        events = hdus["EVENTS"].data
        # The mask of #XMMEA_EM.
        return events[(events["FLAG"] & 0x766B0000) == 0]


def grating_lines(folder: Path) -> None:
    """Print shifts of wavelengths and energies, widths and lost counts of all lines of both spectrometers."""
    from rgs_reduction import OBSERVATIONS, reduce
    from rgs_truth import HC, exposures_of, line_events

    from daxa.simulate import simulate_set

    simulated = simulate_set(folder / "set", size="gratings")
    table: list[list[float]] = []
    titles = ("mA", "error", "width", "eV", "error", "counts", "kept")
    print(f"{'observation':12}{'':4}{'line':>8} order" + "".join(f"{t:>9}" for t in titles))
    for obs_id in OBSERVATIONS:
        run = reduce(simulated.odf(obs_id), simulated.ccf, folder / obs_id)
        for instrument, truth in exposures_of(simulated, obs_id).items():
            for wavelength, *rates in truth["sources"][0]["lines"]:
                for order, rate in enumerate(rates, start=1):
                    events, missing = line_events(run, instrument, wavelength, order)
                    if rate == 0 or missing:
                        continue
                    shift = (events["M_LAMBDA"] / order - wavelength) * 1e3
                    energy = events["PI"] - HC / wavelength
                    n = len(shift)
                    ontime = truth["ccds"][str(np.bincount(events["CCDNR"]).argmax())]["ontime_s"]
                    continuum = CONTINUUM * ontime if order == 1 else 0.0
                    row = [shift.mean(), shift.std() / n**0.5, shift.std() * order]
                    row += [energy.mean(), energy.std() / n**0.5, n, (n - continuum) / (rate * ontime)]
                    cells = "".join(f"{value:9.2f}" for value in row)
                    print(f"{obs_id:12}{instrument:4}{wavelength:8.3f}{order:6}{cells}")
                    table.append(row)
    shift, error, width, energy, energy_error, _, kept = np.array(table).T
    print(f"{len(table)} lines: largest shift {abs(shift).max():.2f} mA, largest {abs(energy).max():.1f} eV")
    print(f"scatter over errors: {np.std(shift / error):.2f} (mA), {np.std(energy / energy_error):.2f} (eV)")
    print(f"mean width {width.mean():.1f} mA; share of counts kept {kept.min():.3f} to {kept.max():.3f}")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--camera", nargs="*", default=["M1", "M2"], choices=["M1", "M2"])
    parser.add_argument("--photons", type=int, default=70_000, help="of each line")
    parser.add_argument("--gratings", action="store_true")
    arguments = parser.parse_args()
    for code in arguments.camera:
        with tempfile.TemporaryDirectory() as name:
            mos_lines(code, arguments.photons, Path(name))
    if arguments.gratings:
        with tempfile.TemporaryDirectory() as name:
            grating_lines(Path(name))


if __name__ == "__main__":
    main()
