"""Fits of the spectra that ``spectral_truth.py`` has made, in Sherpa, and the tables and the plot of them."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from spectral_models import CLUSTER, POINTS, Cluster, Point


def fit(paths: list[Path], source: Point | Cluster, band_kev: tuple[float, float]) -> Any:
    """Fit spectra of one source together: values, errors, statistic and degrees of freedom."""
    from sherpa.astro.ui.utils import Session
    from spectral_models import sherpa_model

    s = Session()
    s._add_model_types(__import__("sherpa.models.basic", fromlist=["basic"]))
    s.set_stat("wstat")
    s.set_method("levmar")
    model = sherpa_model(source)
    for number, path in enumerate(paths, 1):
        s.load_pha(number, str(path))
        s.notice_id(number, *band_kev)
        s.set_source(number, model)
    s.fit()
    found = s.get_fit_results()
    s.covar()
    errors = s.get_covar_results()
    names = [n.split(".")[1] for n in found.parnames]
    return {
        "values": dict(zip(names, map(float, found.parvals), strict=True)),
        "errors": dict(zip(names, (float(e or np.nan) for e in errors.parmaxes), strict=True)),
        "stat": float(found.statval),
        "dof": int(found.dof),
        "session": s,
    }


def quiet(function: Callable[..., Any], *args: Any) -> Any:
    """Call without Sherpa's messages."""
    logging.getLogger("sherpa").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args)


def fit_all(out: Path, band_kev: tuple[float, float], codes: list[str]) -> None:
    """Fit every source in every run, by camera and jointly."""
    results = []
    truth = json.loads((out / "truth.json").read_text())
    points = [Point(n, (0.0, 0.0), t["flux"], t["index"]) for n, t in truth.items() if "index" in t]
    for source in (*points, CLUSTER):
        for run in sorted({int(p.name.split("_")[2]) for p in out.glob(f"{source.name}_*_grp.fits")}):
            paths = {c: out / f"{source.name}_{c}_{run:02d}_grp.fits" for c in codes}
            paths = {c: p for c, p in paths.items() if p.exists()}
            groups = [[c] for c in paths] + ([list(paths)] if len(paths) > 1 else [])
            for group in groups:
                found = quiet(fit, [paths[c] for c in group], source, band_kev)
                del found["session"]
                results.append({"source": source.name, "run": run, "cameras": "+".join(group), **found})
        (out / "fits.json").write_text(json.dumps(results))


def truth_of(out: Path, source: str, cameras: str) -> dict[str, float]:
    """True values; the flux of a cluster is that in the region, of several cameras the mean."""
    truth = json.loads((out / "truth.json").read_text())
    parts = [truth[f"cluster {c}" if source == CLUSTER.name else source] for c in cameras.split("+")]
    return {key: float(np.mean([p[key] for p in parts])) for key in parts[0]}


def table(out: Path) -> list[str]:
    """Rows of the table: bias with its error, mean and scatter of the pulls."""
    results = json.loads((out / "fits.json").read_text())
    lines = ["| source | cameras | | truth | fits | bias % | pulls: mean, scatter | C / dof |"]
    lines.append("|" + "---|" * 8)
    for result in results:
        # Sources of the demo differ in flux and index: only biases and pulls can be taken together.
        result["kind"] = "points" if result["source"].startswith("point") else result["source"]
    for kind in dict.fromkeys(r["kind"] for r in results):
        for cameras in dict.fromkeys(r["cameras"] for r in results if r["kind"] == kind):
            rows = [r for r in results if (r["kind"], r["cameras"]) == (kind, cameras)]
            for name in rows[0]["values"]:
                scale = 1e-12 if name == "flux" else 1.0
                want = np.array([truth_of(out, r["source"], cameras)[name] / scale for r in rows])
                value = np.array([r["values"][name] for r in rows])
                error = np.array([r["errors"][name] for r in rows])
                bias, pull = 100 * (value / want - 1), (value - want) / error
                stat = np.mean([r["stat"] / r["dof"] for r in rows])
                shown = f"{want[0]:.3f} | {value.mean():.3f}" if np.ptp(want) == 0 else f"| {len(rows)} fits"
                lines.append(
                    f"| {kind} | {cameras} | {name} | {shown} | "
                    f"{bias.mean():+.2f} ± {bias.std(ddof=1) / len(bias) ** 0.5:.2f} | "
                    f"{pull.mean():+.2f}, {pull.std(ddof=1):.2f} | {stat:.2f} |"
                )
    return lines


def exact(out: Path, matrices: list[Path]) -> list[str]:
    """What our matrices alone do: expected counts by real matrices, fitted with ours, in two bands."""
    from astropy.io import fits
    from sherpa.astro.ui.utils import Session
    from spectral_models import sherpa_model

    from daxa.xmm.spectra.ogip import read_matrix

    lines = ["| real matrix | source | from keV | deviations % |", "|---|---|---|---|"]
    for path in matrices:
        bins, _, rows = read_matrix(path)
        code = "PN" if rows.shape[1] == 4096 else "M1"
        for source in (POINTS[0], CLUSTER):
            stem = out / f"{source.name}_{code}"
            area = fits.getdata(f"{stem}.arf", 1)
            middle = 500.0 * (area["ENERG_LO"].astype(float) + area["ENERG_HI"])
            parts = [np.maximum(bins[:-1] + (k + 0.5) / 8 * np.diff(bins), 30.0) for k in range(8)]
            photons = np.mean([source.spectrum(e) * np.interp(e, middle, area["SPECRESP"]) for e in parts], 0)
            expected = 3e5 * (photons * np.diff(bins)) @ rows
            s = Session()
            s.load_pha(1, f"{stem}_00_src.fits")
            data = s.get_data(1)
            width = len(data.channel) // len(expected)
            data.counts, data.exposure = np.repeat(expected / width, width), 3e5
            s.load_rmf(1, f"{stem}.rmf")
            s.load_arf(1, f"{stem}.arf")
            s.set_stat("cstat")
            s.set_method("levmar")
            for low in (0.3, 0.5):
                s.notice()
                s.notice(low, 10.0)
                s.set_source(1, sherpa_model(source))
                s.fit()
                found = s.get_fit_results()
                true = {k: v * (1e12 if k == "flux" else 1) for k, v in vars(source).items() if k in _FITTED}
                names = [n.split(".")[1] for n in found.parnames]
                said = [
                    f"{n} {100 * (v / true[n] - 1):+.2f}" for n, v in zip(names, found.parvals, strict=True)
                ]
                lines.append(f"| {path.name} | {source.name} | {low} | {', '.join(said)} |")
    return lines


_TITLES = {"near": "point source, 5.4 arcmin from the pointing", "cluster": "cluster, 3 arcmin around it"}
_FITTED = ("flux", "index", "kt", "abundance")


def plot(out: Path, png: Path, codes: list[str], band_kev: tuple[float, float]) -> None:
    """A point source and the cluster in the first run: spectra with the fitted models, and residuals."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        2, 2, figsize=(11, 6), sharex=True, height_ratios=(3, 1), gridspec_kw={"hspace": 0.05, "wspace": 0.2}
    )
    for column, source in enumerate((POINTS[0], CLUSTER)):
        paths = [out / f"{source.name}_{c}_00_grp.fits" for c in codes]
        s = quiet(fit, paths, source, band_kev)["session"]
        top, bottom = axes[:, column]
        for number, (code, colour) in enumerate(zip(codes, ("C0", "C1", "C2"), strict=False), 1):
            s.subtract(number)
            data, model = s.get_data_plot(number), s.get_model_plot(number)
            top.errorbar(data.x, data.y, data.yerr, fmt=".", ms=2, lw=0.6, color=colour, label=code)
            edges = np.append(model.xlo, model.xhi[-1])
            top.stairs(model.y, edges, color="k", lw=0.8)
            expected = np.interp(data.x, 0.5 * (model.xlo + model.xhi), model.y)
            bottom.plot(data.x, (data.y - expected) / data.yerr, ".", ms=2, color=colour)
        top.set(xscale="log", yscale="log", xlim=band_kev, title=_TITLES[source.name])
        top.legend()
        bottom.axhline(0, color="k", lw=0.6)
        bottom.set(ylim=(-4, 4), xlabel="energy [keV]")
    axes[0, 0].set_ylabel("counts / s / keV")
    axes[1, 0].set_ylabel("residual [sigma]")
    figure.savefig(png, dpi=110, bbox_inches="tight")
