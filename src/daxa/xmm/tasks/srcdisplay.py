"""The task srcdisplay: write the sources of a list as regions of ds9."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from daxa.xmm.detect.regions import ds9_lines, radii_arcsec
from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import FitsFile
from daxa.xmm.fits.schema import column_names
from daxa.xmm.formats.sources import SRCLIST
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support_detect import read_list


def _pixel(path: Path) -> float:
    """Side of a pixel of the images [arcsec]."""
    header = FitsFile(path)[0].header
    if "PIXSIZE" not in header:
        raise TaskError("badSourceList", f"{path}: no keyword PIXSIZE; lists of other programs are not read")
    return float(header["PIXSIZE"])


@task(
    "srcdisplay",
    "1.0",
    [
        Parameter("boxlistset", "dataset", "emllist.fits", text="list of sources of emldetect or eboxdetect"),
        Parameter("imageset", "dataset", "", text="image to show", without_effect="nothing is displayed"),
        Parameter("withregionfile", "bool", True, text="write a region file", only="nothing is displayed"),
        Parameter("regionfile", "dataset", "regionfile.txt", text="region file, to write"),
        Parameter(
            "sourceradius",
            "real",
            text="radius of all sources; as bright as each is if not given",
            unit="deg",
            minimum=0.0,
        ),
        Parameter("uselabel", "bool", False, text="label the sources with their numbers"),
    ],
)
def srcdisplay(ctx: TaskContext, p: Parameters) -> None:
    """Write the sources of a list as regions of ds9, in RA and Dec."""
    path = ctx.path(p.boxlistset)
    if not path.exists():
        raise TaskError("noFile", f"{path}: no such file")
    hdus = FitsFile(path)
    fitted = SRCLIST in hdus and "ML_ID_SRC" in column_names(hdus[SRCLIST])
    number = "ML_ID_SRC" if fitted else "BOX_ID_SRC"
    size = "CUTRAD" if fitted else "BOX_SIZE"
    names = [number, "ID_INST", "ID_BAND", "RA", "DEC", "SCTS", "BG_MAP", "EEF", size]
    rows = read_list(ctx, p.boxlistset, *names, *(["EXT"] if fitted else []))
    whole = (rows["ID_INST"] == 0) & (rows["ID_BAND"] == 0)
    pixel = _pixel(path)
    columns = {name: values[whole] for name, values in rows.items()}
    extent = np.asarray(columns.get("EXT", np.zeros(whole.sum()))) * pixel
    # The share within a box is that of a circle of its area.
    within = columns[size] * pixel / (1.0 if fitted else np.sqrt(np.pi))
    if p.sourceradius is None:
        radii = radii_arcsec(columns["SCTS"], columns["BG_MAP"] / pixel**2, extent, columns["EEF"], within)
    else:
        radii = np.full(whole.sum(), p.sourceradius * 3600)
    labels = columns[number].astype(int) if p.uselabel else None
    lines = ds9_lines(columns["RA"], columns["DEC"], radii, extent > 0, labels=labels)
    with ctx.output(p.regionfile) as temporary:
        Path(temporary).write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
    ctx.info(f"{p.regionfile}: {int(whole.sum())} regions")
