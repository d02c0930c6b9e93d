"""What a user of XGA does with an archive; run by an interpreter that has XGA. Prints JSON."""

import json
import sys

import numpy as np
from astropy.units import Quantity

ra, dec = float(sys.argv[1]), float(sys.argv[2])

from xga.sources import BaseSource, NullSource  # noqa: E402  (reads the configuration)
from xga.utils import CENSUS, USABLE  # noqa: E402

found = {"usable": bool(USABLE["xmm"]), "census": json.loads(CENSUS["xmm"].to_json(orient="records"))}
everything = NullSource(null_load_products=True, telescope="xmm")
found["instruments"] = everything.instruments["xmm"]
obs_id = sorted(everything.instruments["xmm"])[0]

found["events"] = {}
for events in everything.get_products("events", telescope="xmm"):
    table = events.get_columns_from_data(["TIME", "PI", "X", "Y"])
    found["events"][f"{events.obs_id} {events.instrument}"] = {
        "rows": len(table),
        "usable": bool(events.usable),
    }

lo, hi = Quantity(0.5, "keV"), Quantity(2.0, "keV")
found["images"] = {}
for inst in everything.instruments["xmm"][obs_id]:
    image = everything.get_images(obs_id, inst, lo, hi, telescope="xmm")
    expmap = everything.get_expmaps(obs_id, inst, lo, hi, telescope="xmm")
    ratemap = everything.get_ratemaps(obs_id, inst, lo, hi, telescope="xmm")
    here = Quantity([ra, dec], "deg")
    pixel = image.coord_conv(here, "pix")
    sky = image.coord_conv(here, "xmm_sky")
    x, y = pixel.value.astype(int)
    box = np.s_[max(y - 6, 0) : y + 7, max(x - 6, 0) : x + 7]
    found["images"][inst] = {
        "counts": float(image.data.sum()),
        "shape": list(image.shape),
        "pixel": pixel.value.tolist(),
        "sky": sky.value.tolist(),
        "exposure": float(expmap.get_exp(here).to("s").value),
        "largest": float(expmap.data.max()),
        "peak": float(ratemap.data[box].max()),
        "elsewhere": float(np.median(ratemap.data[expmap.data > 0.3 * expmap.data.max()])),
        "back": image.coord_conv(pixel, "deg").value.tolist(),
    }

source = BaseSource(ra, dec, name="target", telescope="xmm")
found["source"] = source.instruments["xmm"]
print("FOUND " + json.dumps(found))
