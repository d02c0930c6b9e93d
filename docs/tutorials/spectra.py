# %% [markdown]
# # Spectra
#
# The spectrum of a source, with its background, effective area and redistribution matrix, ready for a fitting program. The
# archive is that of [step by step](step_by_step.ipynb): one observation, one camera.

# %%
import os

from astropy.units import Quantity

import daxa

os.environ["DAXA_CCFPATH"] = "sky/ccf"
archive = daxa.Archive("steps")

# %% [markdown]
# ## Which sources
#
# Positions, regions of ds9, or all that `find_sources` has found. Here it is the middle of the cluster, one arcminute
# around; it is extended, which the effective area has to know. Channels are joined to 25 counts at least.

# %%
daxa.generate_spectra(
    archive,
    positions=[149.59, -11.06],
    radius=Quantity(60, "arcsec"),
    extended=True,
    min_counts=25,
)
made = archive.spectra("0800010201", "M2")
made

# %% [markdown]
# The source has a name by its position. The files lie together, and the headers name those that belong to them:

# %%
(name,) = made
spectrum = archive.spectra("0800010201", "M2", name.source, as_="table")
for key in ("EXPOSURE", "BACKSCAL", "BACKFILE", "RESPFILE", "ANCRFILE"):
    print(f"{key:8} {spectrum.meta[key]}")

# %% [markdown]
# ## A look
#
# Counts of source and background, the latter scaled to the area of the source:

# %%
import matplotlib.pyplot as plt
import numpy as np

background = archive.spectra("0800010201", "M2", name.source, kind="background", as_="table")
scale = spectrum.meta["BACKSCAL"] / background.meta["BACKSCAL"]
edges = np.geomspace(60, 2000, 50).astype(int)  # channels of 5 eV
plt.figure(figsize=(6, 3.2), dpi=72)
for table, factor, label in ((spectrum, 1.0, "source"), (background, scale, "background")):
    counts = np.add.reduceat(np.asarray(table["COUNTS"], float), edges)[:-1] * factor
    plt.step(edges[1:] * 0.005, counts / np.diff(edges) / 0.005, label=label)
plt.gca().set(xscale="log", yscale="log", xlabel="energy [keV]", ylabel="counts per keV", ylim=(1, None))
plt.legend()
plt.show()

# %% [markdown]
# ## Fitting
#
# In the folder of the files, XSPEC opens all of them with `data FILE`, Sherpa with `load_pha("FILE")`. What the
# engine's areas and matrices were compared with is on the page on [spectra](../spectra.md).

# %%
print(archive.spectra("0800010201", "M2", name.source).name)
