# %% [markdown]
# # A first archive
#
# From raw data to a picture of a galaxy cluster, without ESA's SAS and without a network: the observations are
# simulated, three of one field around the cluster Abell 907. With real data only two lines differ; they are named.

# %%
import os

import daxa
from daxa.simulate import simulate_set

sky = simulate_set("sky")  # a minute: raw files, calibration files, and the truth
os.environ["DAXA_CCFPATH"] = "sky/ccf"

# %% [markdown]
# For real data `daxa calibration fetch` in a shell brings calibration files, once, in place of these lines.
#
# ## Choose observations
#
# A *mission* knows which observations there are. Here they are those of a folder; `daxa.XMMPointed()` asks the
# archive of XMM-Newton instead.

# %%
mission = daxa.XMMPointed(local="sky/odf")
mission.filter_on_name("A907")
mission

# %% [markdown]
# ## Make an archive
#
# An *archive* owns a folder for everything that is made of a selection. It says what can be done next.

# %%
archive = daxa.Archive("A907", mission)
archive

# %% [markdown]
# ## Reduce everything
#
# One call takes all observations and cameras from raw files to cleaned event lists, images and exposure maps. What has
# been done is not done again, so it can be interrupted.

# %%
daxa.full_process_xmm(archive)

# %%
archive

# %% [markdown]
# ## Look at it
#
# `archive.images` gives the image of a camera and band, here with its coordinates on the sky; `exposure_maps` for how
# long each pixel was seen. Their quotient is the count rate.

# %%
import matplotlib.pyplot as plt
import numpy as np
from astropy.units import Quantity
from scipy.ndimage import gaussian_filter

band = Quantity([0.5, 2.0], "keV")
counts = archive.images("0800010101", "PN", *band, as_="ccddata")
exposure = archive.exposure_maps("0800010101", "PN", *band, as_="ccddata")
seen = exposure.data > 0.1 * exposure.data.max()
smooth = [gaussian_filter(np.where(seen, x.data, 0).astype(float), 2) for x in (counts, exposure)]
rate = np.divide(*smooth, out=np.full(counts.shape, np.nan), where=seen)

axes = plt.figure(figsize=(5, 4.4), dpi=72).add_subplot(projection=counts.wcs)
picture = axes.imshow(np.arcsinh(rate / 2e-5), origin="lower", cmap="inferno")
axes.set(
    xlabel="right ascension", ylabel="declination", title="pn, 0.5-2 keV", xlim=(60, 440), ylim=(60, 440)
)
plt.show()

# %% [markdown]
# ## Judge it
#
# The report has a verdict for each observation, light curves with the times that were accepted, spectra, the state of each
# CCD, and what was run with which calibration.

# %%
archive.report()

# %% [markdown]
# The same from a shell is `daxa demo`. Next: [reading the products](products.ipynb), or [step by step](step_by_step.ipynb).
# DAXA's engine has not been compared with SAS on a complete real observation; [what was
# verified](../verification.md) says on what it was.
