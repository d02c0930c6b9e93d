"""The picture of docs/images.md: images of one camera, and what comes with them.

Run ``python docs/make_images.py FOLDER`` on the folder of ``daxa demo``: it finds the sources, makes the
images and draws them. FOLDER is ``daxa_demo`` by default.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from astropy.io import fits
from astropy.units import Quantity
from astropy.wcs import WCS
from matplotlib.colors import AsinhNorm

PICTURE = Path(__file__).resolve().parent / "img" / "images.png"
MISSION, OBSERVATION, CAMERA = "xmm_pointed", "0800010101", "PN"
BAND = Quantity(0.5, "keV"), Quantity(2, "keV")
PIXEL = Quantity(4, "arcsec")
WIDTH = Quantity(12, "arcsec")


def main(folder: Path) -> None:
    """Make the images of the demonstration, and draw those of one camera."""
    os.environ["DAXA_OUTPUT"] = str(folder / "daxa_output")
    os.environ["DAXA_CCFPATH"] = str(folder / "simulated" / "ccf")
    os.environ["DAXA_BACKEND"] = "embedded"
    from daxa.archive import Archive
    from daxa.process.xmm import find_sources, generate_images_expmaps

    archive = Archive("demo")
    find_sources(archive)
    generate_images_expmaps(
        archive,
        *BAND,
        pixel_size=PIXEL,
        unvignetted=True,
        masks=True,
        subtract_oot=True,
        smooth=[WIDTH, "adaptive"],
        background=True,
    )
    where = {"mission": MISSION, "obs_id": OBSERVATION, "inst": CAMERA, "lo_en": BAND[0], "hi_en": BAND[1]}
    where["pixel_size"] = PIXEL
    image = archive.get_image_path(**where)
    exposure = fits.getdata(archive.get_expmap_path(**where))
    background = fits.getdata(archive.get_background_path(**where))
    panels = [
        ("image [count]", fits.getdata(image), 2.0),
        (
            "adaptive [1e-5 count/s]",
            1e5 * fits.getdata(archive.get_image_path(**where, smooth="adaptive")),
            2.0,
        ),
        (
            '12" Gaussian [1e-5 count/s]',
            1e5 * fits.getdata(archive.get_image_path(**where, smooth=WIDTH)),
            2.0,
        ),
        ("background [0.01 count]", 100 * background, None),
        ("exposure [ks]", exposure / 1e3, None),
        ("mask without sources", fits.getdata(archive.get_mask_path(**where, without_sources=True), 1), None),
    ]
    wcs = WCS(fits.getheader(image))
    figure = plt.figure(figsize=(11, 7.6), layout="constrained")
    for number, (title, data, knee) in enumerate(panels, start=1):
        axes = figure.add_subplot(2, 3, number, projection=wcs)
        top = np.percentile(data, 99.95)
        norm = AsinhNorm(knee, 0, top) if knee else None
        limits = {} if knee else {"vmin": 0, "vmax": top}
        drawn = axes.imshow(
            data, norm=norm, cmap="inferno", origin="lower", interpolation="nearest", **limits
        )
        for region in archive.source_regions[MISSION][OBSERVATION] if number == 1 else []:
            region.to_pixel(wcs).plot(ax=axes, color="white", lw=0.7)
        axes.set_title(title, fontsize=10)
        for axis in axes.coords:
            axis.set_ticklabel_visible(number == 4)
            axis.set_axislabel("" if number != 4 else None)
        figure.colorbar(drawn, ax=axes, shrink=0.8)
    figure.savefig(PICTURE, dpi=80)
    print(PICTURE)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "daxa_demo").resolve())
