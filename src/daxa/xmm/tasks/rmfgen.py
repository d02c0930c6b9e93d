"""The task rmfgen: write the redistribution matrix of a spectrum's channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.hdus import primary_hdu, write_hdus
from daxa.xmm.notes import add_fallbacks, fall_back, fallbacks_noted
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.spectra.grids import channel_limits, energy_bins
from daxa.xmm.spectra.ogip import matrix_tables, open_spectrum, read_matrix
from daxa.xmm.spectra.published import published_for
from daxa.xmm.spectra.redistribution import matrix, measured_law
from daxa.xmm.spectra.region import Observed, cells_of
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support_spectra import STEP, geometry_of, response_folders

FloatArray = npt.NDArray[np.float64]

_ONE_PLACE = (
    "the measured law is the same everywhere on the detector; a published matrix is chosen by the region"
)
#: Last channel of 1 eV that a spectrum of a camera has to reach.
_LAST_PI = {"EPN": 20479, "EMOS1": 11999, "EMOS2": 11999}

_PARAMETERS = [
    Parameter("spectrumset", "dataset", "spectrum.ds", text="spectrum"),
    Parameter("rmfset", "dataset", "response.ds", text="file of the matrix, to write"),
    Parameter(
        "format",
        "choice",
        "var",
        choices=("var", "fixed"),
        text="form of its rows",
        only="rows have their own lengths",
    ),
    Parameter(
        "threshold",
        "real",
        1e-6,
        minimum=0.0,
        text="elements below this are left out",
        only="as in all matrices seen",
    ),
    Parameter("withenergybins", "bool", False, text="whether energymin, energymax and nenergybins count"),
    Parameter("energymin", "real", 0.1, minimum=0.0, text="lowest energy", unit="keV"),
    Parameter("energymax", "real", 12.0, minimum=0.0, text="highest energy", unit="keV"),
    Parameter("nenergybins", "int", 30, minimum=1, text="number of energy bins"),
    Parameter("acceptchanrange", "bool", False, text="accept a spectrum that does not have all channels"),
    Parameter("detmaptype", "string", "psf", text="how the source is spread", without_effect=_ONE_PLACE),
    Parameter("detmaparray", "string", "", text="image of the source", without_effect=_ONE_PLACE),
    Parameter("detxbins", "int", 160, text="columns of the map", without_effect=_ONE_PLACE),
    Parameter("detybins", "int", 160, text="rows of the map", without_effect=_ONE_PLACE),
    Parameter("extendedsource", "bool", False, text="the source is not a point", without_effect=_ONE_PLACE),
    Parameter("correctforpileup", "bool", False, text="pile-up", only="it is not modelled"),
    Parameter(
        "withpublished",
        "bool",
        True,
        text="take the matrix that ESA publishes for the spectrum, if it is at hand",
    ),
]


@task("rmfgen", "2.8", _PARAMETERS)
def rmfgen(ctx: TaskContext, p: Parameters) -> None:
    """Write the redistribution matrix of a spectrum's channels.

    It is the one that ESA publishes for camera, mode, patterns, place and date, if a folder ``responses``
    beside the calibration files has it; else that of a law measured on real matrices.
    """
    path = ctx.path(p.spectrumset)
    observed = Observed.read(path)
    hdu = open_spectrum(path)[1]
    channel = np.asarray(hdu.data["CHANNEL"], int)
    width = float(observed.header.get("SPECDELT", 5.0))
    if not len(channel) or not width > 0:
        raise TaskError("badSpectrum", f"{path}[SPECTRUM]: {len(channel)} channels, SPECDELT {width:g}")
    reach = (int(channel[-1]) + 1) * width - 1
    if (channel[0] or reach < _LAST_PI[observed.instrument]) and not p.acceptchanrange:
        raise TaskError(
            "badChannels",
            f"{path}: channels hold PI {channel[0] * width:g} to {reach:g}, not 0 to "
            f"{_LAST_PI[observed.instrument]}; give acceptchanrange=yes to accept that",
        )
    limits = channel_limits(observed.instrument, int(channel[0]), len(channel), width)
    bins = energy_bins(observed.instrument)
    if p.withenergybins:
        if p.energymin >= p.energymax:
            raise TaskError(
                "badParameter",
                f"rmfgen: energymin ({p.energymin:g}) must be below energymax ({p.energymax:g})",
            )
        bins = 1e3 * np.linspace(p.energymin, p.energymax, p.nenergybins + 1)
    published = None if p.withenergybins or not p.withpublished else _published(ctx, observed, width)
    if published is not None and len(published[2]) != len(limits):
        ctx.warn(
            "otherChannels", f"{published[0]}: {len(published[2]) - 1} channels, not {len(channel)}: not used"
        )
        published = None
    if published is not None:
        source, bins, limits, rows = published
        ctx.info(f"{p.rmfset}: the matrix {source} of ESA")
    else:
        _warn_of_the_law(observed)
        law = measured_law(observed.instrument, observed.submode, observed.date_obs)
        rows = matrix(law, bins, limits)
    tables = matrix_tables(bins, limits, rows, int(channel[0]), observed.instrument, observed.filter_name)
    if published is not None:
        tables[0].header["RMFORIG"] = (source.name, "published matrix that this is")
    primary = primary_hdu()
    primary.header["LONGSTRN"] = "OGIP 1.0"
    ctx.provenance(primary.header)
    add_fallbacks(tables[0].header, fallbacks_noted())
    with ctx.output(p.rmfset) as temporary:
        write_hdus(temporary, [primary, *tables], overwrite=True)
    ctx.info(f"{p.rmfset}: {rows.shape[0]} energies, {rows.shape[1]} channels")


def _published(
    ctx: TaskContext, observed: Observed, width_ev: float
) -> tuple[Path, FloatArray, FloatArray, FloatArray] | None:
    """File, energy bins, channels and rows of the published matrix for a spectrum; None if there is none."""
    folders = [folder for folder in response_folders(ctx) if folder.is_dir()]
    if not folders:
        return None
    geometry = geometry_of(ctx, observed)
    cells = cells_of(observed, geometry, None, step=4 * STEP)
    if not cells.seen.any():
        return None
    x, y = geometry.sky_to_det(*observed.pointing[:2], *observed.pointing)
    off = 0.05 * np.hypot(cells.detx[cells.seen].mean() - x, cells.dety[cells.seen].mean() - y)
    wanted = published_for(
        observed.instrument,
        observed.date_obs,
        observed.submode,
        observed.patterns,
        width_ev,
        row=float(cells.rawy[cells.seen].mean()),
        off_arcsec=float(off),
    )
    path = wanted.find(folders) if wanted is not None else None
    if path is None:
        ctx.warn(
            "noPublishedMatrix",
            f"{', '.join(map(str, folders))}: no {wanted or 'matrix for this date, mode and patterns'}; "
            "`daxa calibration fetch --responses` brings published matrices",
        )
        return None
    return path, *read_matrix(path)


def _warn_of_the_law(observed: Observed) -> None:
    fall_back(
        "measuredRedistribution",
        f"{observed.instrument}: no public layout of REDIST: a law measured on real matrices stands in (pn: "
        "full frame, patterns 0 to 4, 2012, with widths of extended full frame, 2004, and small window, 2005 "
        "to 2014; MOS: full frame, patterns 0 to 12, 2000), whatever patterns, place and date; `daxa "
        "calibration fetch --responses` brings the matrices that ESA publishes",
        f"{observed.instrument}_REDIST: measuredRedistribution",
    )
