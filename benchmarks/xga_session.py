"""What a user of XGA does with an archive of XMM-Newton, without SAS and without HEASoft.

``python benchmarks/xga_session.py ARCHIVE FOLDER --ccf CCF [--only OBSID] [--steps NAMES]`` writes programs
under SAS's names and a configuration of XGA into FOLDER, starts itself in a shell that knows nothing else,
and prints each step with its time and that of the processors, then all programs that were called: how often,
how long, what failed. The interpreter needs daxa, xga (which needs Python 3.12) and, for the fit, sherpa.
``docs/xga.md`` shows its output.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shlex
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Cluster and point source of the simulated field: RA and Dec [deg], and the cluster's redshift.
CLUSTER, POINT, REDSHIFT = (149.5917, -11.0642), (149.523749, -11.155859), 0.153


class Session:
    """Steps, one after another; one that fails does not stop the next."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.found: dict[str, Any] = {}
        self.products: dict[str, Any] = {}

    def step(self, text: str, do: Callable[[], Any]) -> Any:
        """Do something, and say how long it took; what it gives is kept under its name if it is JSON."""
        started, before = time.monotonic(), _processor_s()
        try:
            got = do()
        except Exception as error:
            self.failed.append(text)
            got, said = None, f"FAILED {type(error).__name__}: {str(error)[:1000]}"
        else:
            said = str(got) if isinstance(got, (str, int, float, list, dict)) else ""
            self.found[text] = got if said else True
            self.products[text] = got
        print(
            f"{text:<34}{time.monotonic() - started:6.1f} s {_processor_s() - before:6.1f} s  {said}",
            flush=True,
        )
        return got


def _processor_s() -> float:
    """Time of the processors, of this process and of those it has waited for [s]."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def session(wanted: set[str], place: list[float]) -> Session:
    """The steps, in an interpreter that has XGA, with a point source at a place."""
    import numpy as np
    from astropy.units import Quantity
    from xga import SAS_AVAIL, SAS_VERSION
    from xga.generate.sas import (
        cross_arf,
        eexpmap,
        emosaic,
        evselect_image,
        evselect_lightcurve,
        evselect_spectrum,
        spectrum_set,
    )
    from xga.imagetools.profile import radial_brightness
    from xga.imagetools.psf import rl_psf
    from xga.sources import GalaxyCluster, PointSource

    run = Session()
    band = {"lo_en": Quantity(0.7, "keV"), "hi_en": Quantity(1.5, "keV")}
    soft = {"lo_en": Quantity(0.5, "keV"), "hi_en": Quantity(2.0, "keV")}
    of = {"telescope": "xmm"}
    near, rings = Quantity(30, "arcsec"), Quantity([0, 40, 90, 180], "arcsec")
    print(f"{'step':<34}{'time':>8} {'CPU':>8}")
    run.step("SAS as XGA sees it", lambda: f"{SAS_VERSION}, available: {SAS_AVAIL}")
    point = run.step("PointSource", lambda: PointSource(*place, name="P05", **of))
    cluster = run.step(
        "GalaxyCluster",
        lambda: GalaxyCluster(
            *CLUSTER, REDSHIFT, name="A907", r500=Quantity(500, "kpc"), use_peak=False, **of
        ),
    )
    run.step("column of hydrogen", lambda: f"{cluster.nH.to('cm^-2').value:.3g} cm^-2")

    if "images" in wanted:
        run.step("images", lambda: evselect_image(cluster, **band))
        run.step("exposure maps", lambda: eexpmap(cluster, **band))
        for kind in ("image", "expmap"):
            run.step(f"mosaic of {kind}s", lambda kind=kind: emosaic(cluster, kind, **band))
        rate = run.step("RateMap", lambda: cluster.get_combined_ratemaps(**band, **of))
        run.step("RateMap, peak", lambda: f"{float(rate.data.max()):.3g} counts/s in a pixel")
        profile = run.step(
            "radial profile",
            lambda: radial_brightness(
                rate,
                cluster.default_coord,
                cluster.convert_radius(cluster.r500, "arcsec"),
                interloper_mask=cluster.get_interloper_mask("xmm"),
                z=REDSHIFT,
            )[0],
        )
        run.step("radial profile, rings", lambda: len(profile.values))
    if "psf" in wanted:
        run.step("PSF-corrected images", lambda: rl_psf(cluster, bins=2, **soft))
        sharp = run.step(
            "PSF-corrected mosaic",
            lambda: cluster.get_combined_images(**soft, psf_corr=True, psf_bins=2, **of),
        )
        run.step("PSF-corrected mosaic, counts", lambda: round(float(np.sum(sharp.data))))

    def loaded(spectra: Any) -> list[str]:
        return [
            f"{s.obs_id} {s.instrument} {s.exposure.to('s').value:.0f} s"
            for s in np.atleast_1d(spectra).tolist()
        ]

    run.step("spectra of a point", lambda: evselect_spectrum(point, near))
    run.step("... loaded", lambda: loaded(point.get_spectra(near, **of)))
    if "extended" in wanted:
        run.step("spectra of a cluster", lambda: evselect_spectrum(cluster, "r500"))
        run.step("... loaded", lambda: loaded(cluster.get_spectra("r500", **of)))
    if "annuli" in wanted:
        run.step("spectra of annuli", lambda: spectrum_set(cluster, rings))
        annuli = run.step("... loaded", lambda: cluster.get_annular_spectra(rings, **of))
        run.step("... annuli, spectra", lambda: f"{annuli.num_annuli}, {annuli.instruments}")
        run.step("areas across annuli", lambda: cross_arf(cluster, rings))
        run.step("... loaded", lambda: crossings(annuli))
    if "curves" in wanted:
        second = Quantity(200, "s")
        run.step("light curves", lambda: evselect_lightcurve(point, near, time_bin_size=second))
        curves = run.step(
            "... loaded", lambda: np.atleast_1d(point.get_lightcurves(near, time_bin_size=second, **of))
        )
        run.step(
            "... mean rates",
            lambda: [
                f"{c.obs_id} {c.instrument} {float(np.nanmean(c.count_rate.value)):.3f} /s"
                for c in curves.tolist()
            ],
        )
    if "fit" in wanted:
        run.step("fit by Sherpa", lambda: fit(np.atleast_1d(point.get_spectra(near, **of)).tolist()))
    return run


def draw(products: dict[str, Any], path: Path) -> None:
    """Rates, the PSF-corrected image, the profile and the spectrum of the point source."""
    import matplotlib.pyplot as plt
    import numpy as np
    from matplotlib.colors import LogNorm
    from sherpa.astro import ui

    figure, axes = plt.subplots(2, 2, figsize=(8, 7.4), dpi=70, layout="constrained")
    for ax, name, title in (
        (axes[0, 0], "RateMap", "RateMap, 0.7 to 1.5 keV [1/s]"),
        (axes[0, 1], "PSF-corrected mosaic", "PSF-corrected, 0.5 to 2 keV [counts]"),
    ):
        data = np.asarray(products[name].data)
        rows, columns = np.nonzero(data > 0)
        data = data[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        top = float(np.quantile(data[data > 0], 0.999))
        shown = ax.imshow(np.clip(data, top / 1e3, None), origin="lower", norm=LogNorm(top / 1e3, top))
        figure.colorbar(shown, ax=ax, shrink=0.8)
        ax.set(title=title, xticks=[], yticks=[])
    profile = products["radial profile"]
    axes[1, 0].errorbar(
        profile.radii.value, profile.values.value, profile.values_err.value, fmt=".", color="C0"
    )
    axes[1, 0].set(yscale="log", title="GalaxyCluster, radial profile")
    axes[1, 0].set(xlabel=f"radius [{profile.radii.unit}]", ylabel=f"brightness [{profile.values.unit}]")
    data, model = ui.get_data_plot(1), ui.get_model_plot(1)
    axes[1, 1].errorbar(data.x, data.y, data.yerr, fmt=".", color="C0")
    axes[1, 1].step(model.xlo, model.y, where="post", color="C1")
    axes[1, 1].set(xscale="log", yscale="log", title="PointSource, pn, and the fit by Sherpa")
    axes[1, 1].set(xlabel="energy [keV]", ylabel="counts/s/keV")
    figure.savefig(path)


def crossings(annuli: Any) -> str:
    """Areas at 1 keV of the light of annulus 0 in annulus 1, over that of annulus 1, by camera."""
    from astropy.io import fits

    found = []
    for obs_id, instruments in annuli.instruments.items():
        for name in instruments:
            own = fits.getdata(annuli.get_spectra(1, obs_id, name).arf, 1)
            cross = fits.getdata(next(iter(annuli.get_cross_arf_paths(obs_id, name, 1, 0).values())), 1)
            at = own["ENERG_LO"].searchsorted(1.0)
            found.append(f"{obs_id} {name} {cross['SPECRESP'][at] / own['SPECRESP'][at]:.3f}")
    return ", ".join(found)


def fit(spectra: list[Any]) -> str:
    """An absorbed power law on all spectra, as XGA wrote them, without XSPEC: the column is left out."""
    import logging

    from sherpa.astro import ui

    logging.getLogger("sherpa").setLevel(logging.ERROR)
    model = ui.powlaw1d.power
    for n, spectrum in enumerate(spectra, 1):
        ui.load_pha(n, spectrum.path)
        ui.notice_id(n, 1.0, 8.0)
        ui.set_source(n, model)
    ui.set_stat("wstat")  # few counts, with their background
    ui.fit()
    got = ui.get_fit_results()
    ui.covar()
    error = ui.get_covar_results().parmaxes
    return (
        f"index {model.gamma.val:.2f} +- {error[0]:.2f}, at 1 keV {model.ampl.val:.3g} /cm2/s/keV, "
        f"wstat {got.statval:.0f} of {got.dof}"
    )


def calls(output: Path) -> list[str]:
    """What was called in all, from what XGA kept of its output: program, calls, seconds, failures."""
    numbers: dict[str, list[float]] = defaultdict(list)
    failed: list[str] = []
    for path in sorted(output.rglob("*_stdout.log")):
        for name, seconds in re.findall(r"^\w+:- (\w+) \(.*ended:.*\(([\d.]+) s\)$", path.read_text(), re.M):
            numbers[name].append(float(seconds))
    for path in sorted(output.rglob("*_stderr.log")):
        lines = path.read_text().splitlines()[1:]
        failed += [line[:200] for line in lines if line.strip() and "warn" not in line]
    table = [f"{name:<12}{len(t):6d} {sum(t) / len(t):8.2f} s" for name, t in sorted(numbers.items())]
    return [
        f"{'program':<12}{'calls':>6} {'each':>10}",
        *table,
        *dict.fromkeys(failed),
        f"{len(failed)} lines of errors",
    ]


def prepare(archive: Path, folder: Path, only: str | None) -> Path:
    """Write programs and the configuration; returns what the shell is to read."""
    from daxa.archive.xga import xga_configuration
    from daxa.backend.shims import SETUP, write_shims

    if only is not None:
        few = folder / "archive" / "processed_data" / "xmm_pointed"
        few.mkdir(parents=True, exist_ok=True)
        (few / only).unlink(missing_ok=True)
        (few / only).symlink_to(archive.resolve() / "processed_data" / "xmm_pointed" / only)
        archive = folder / "archive"
    config = folder / "xga"
    config.mkdir(parents=True, exist_ok=True)
    (config / "xga.cfg").write_text(xga_configuration(archive, config / "output"))
    shims = write_shims(folder / "bin", variables={"XGA_CONFIG_DIR": str(config.resolve())})
    return shims / SETUP


def main() -> int:
    """The shell around the session, or the session in it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archive", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--ccf", default="", help="folders of calibration files")
    parser.add_argument("--only", help="one ObsID")
    parser.add_argument("--steps", default="images,psf,extended,annuli,curves,fit")
    parser.add_argument("--point", help="RA,Dec [deg] of the point source", default=",".join(map(str, POINT)))
    parser.add_argument("--picture", type=Path, help="file to draw some products in; needs all steps")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        import warnings

        warnings.simplefilter("ignore")
        run = session(set(given.steps.split(",")), [float(v) for v in given.point.split(",")])
        if given.picture:
            draw(run.products, given.picture)
        print("FOUND " + json.dumps({"failed": run.failed, "found": run.found}, default=str))
        return 0
    given.folder.mkdir(parents=True, exist_ok=True)
    setup = prepare(given.archive, given.folder, given.only)
    inside = [sys.executable, "-W", "ignore", __file__, *sys.argv[1:], "--inside"]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(given.folder.resolve()), "MPLBACKEND": "agg"}
    env |= {name: os.environ[name] for name in ("DAXA_NH", "DAXA_NH_MAP", "PYTHONPATH") if name in os.environ}
    env |= {"SAS_CCFPATH": given.ccf} if given.ccf else {}
    done = subprocess.run(
        ["/bin/sh", "-c", f". {shlex.quote(str(setup.resolve()))} && exec {shlex.join(inside)}"],
        env=env,
        check=False,
    )
    print("\n".join(calls(given.folder / "xga" / "output")))
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
