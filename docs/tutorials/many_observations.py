# %% [markdown]
# # Many observations
#
# A list of positions, everything that has seen them, one archive. Here there are three observations of one field,
# from [the first tutorial](first_archive.ipynb); the calls are the same for thousands.

# %%
import os

from astropy.table import Table

import daxa

os.environ["DAXA_CCFPATH"] = "sky/ccf"
targets = Table({"name": ["A907", "elsewhere"], "ra": [149.59, 10.0], "dec": [-11.06, 40.0]})
mission = daxa.XMMPointed("M2", local="sky/odf")
mission.filter_on_positions(list(zip(targets["ra"], targets["dec"], strict=True)), return_pos_obs_info=True)

# %% [markdown]
# The table says which observations belong to which position (`pos_ind` counts from 0). Positions that nothing has seen are
# not in it. Filters add up, and are recorded with the archive:

# %%
mission.filtering_operations[0]["name"], len(mission)

# %% [markdown]
# ## Side by side
#
# Observations are processed side by side, by default with 90 % of the cores of this machine. One that fails does not stop
# the others. An `executor` runs the jobs elsewhere: anything like those of `concurrent.futures`, or a
# [cluster by Dask](../clusters.md).

# %%
from concurrent.futures import ProcessPoolExecutor

archive = daxa.Archive("survey", mission)
with ProcessPoolExecutor(2) as pool:
    daxa.full_process_xmm(archive, executor=pool)
archive

# %% [markdown]
# ## What came of it
#
# Without an ObsID the accessors give all products. A table of what is left of each observation:

# %%
from astropy.io import fits

rows = []
for name, path in archive.events().items():
    header = fits.getheader(path, "EVENTS")
    rows.append((name.obs_id, name.inst, header["NAXIS2"], round(header["LIVETIME"])))
Table(rows=rows, names=["ObsID", "camera", "events", "live time [s]"])

# %% [markdown]
# Failures, if there are any, by step; the logs of the tasks are kept too:

# %%
archive.get_failed_processes("emchain"), archive.process_errors["xmm_pointed"]

# %% [markdown]
# ## One image of all
#
# Observations that overlap are combined: counts are added, exposures too.

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter

paths = daxa.generate_mosaics(archive)
print([path.name for path in paths])

# %%
from astropy.wcs import WCS

image, exposure = (
    next(p for p in paths if p.name.endswith(f"0.5_2.0keV-{kind}.fits")) for kind in ("image", "expmap")
)
counts, seconds = fits.getdata(image), fits.getdata(exposure)
seen = seconds > 0.1 * seconds.max()
smooth = [gaussian_filter(np.where(seen, x, 0).astype(float), 2) for x in (counts, seconds)]
rate = np.divide(*smooth, out=np.full(counts.shape, np.nan), where=seen)
axes = plt.figure(figsize=(5, 4.4), dpi=72).add_subplot(projection=WCS(fits.getheader(image)))
axes.imshow(np.arcsinh(rate / 2e-5), origin="lower", cmap="inferno")
axes.set(xlabel="right ascension", ylabel="declination", title="MOS2, three observations, 0.5-2 keV")
plt.show()

# %% [markdown]
# ## Later
#
# `daxa.Archive("survey")` opens the archive again. `archive.update()` asks the catalogue for observations that have come
# since, and processes these. Calling the steps again makes only what is missing, or has changed:

# %%
daxa.full_process_xmm(archive)
archive.stale
