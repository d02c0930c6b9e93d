# %% [markdown]
# # Reading the products
#
# The archive of [the first tutorial](first_archive.ipynb) is opened again, which needs neither network nor raw data. Its
# products are plain FITS files with the columns, extensions and keywords that SAS writes. Each accessor gives a path, or
# with `as_` an object.

# %%
import os

import daxa

os.environ["DAXA_CCFPATH"] = "sky/ccf"  # to find sources, below; reading needs no calibration files
archive = daxa.Archive("A907")
archive.events("0800010101", "PN").name

# %% [markdown]
# What the arguments name as one is returned by itself. Otherwise there is a dictionary, in order:

# %%
for name, path in archive.events("0800010101").items():
    print(name.obs_id, name.inst, path.stat().st_size // 1000, "kB")

# %% [markdown]
# What is not there is told, with what makes it:

# %%
try:
    archive.images("0800010101", "PN", kind="backmap")
except daxa.exceptions.NoProductError as missing:
    print(missing)

# %% [markdown]
# ## Events
#
# A table of astropy has one row per event. Here is the spectrum of the field, and of events beyond the field of view,
# which see no sky (the flag is that of SAS).

# %%
import matplotlib.pyplot as plt
import numpy as np

events = archive.events("0800010101", "M1", kind="whole_chip", as_="table")
outside = (events["FLAG"] & 0x10000) > 0
edges = np.geomspace(200, 12000, 120)
plt.figure(figsize=(6, 3), dpi=72)
for chosen, label in ((~outside, "field"), (outside, "corners")):
    counts, _ = np.histogram(events["PI"][chosen], edges)
    plt.step(edges[1:] / 1000, counts / np.diff(edges), label=label)
plt.gca().set(xscale="log", yscale="log", xlabel="energy [keV]", ylabel="counts per eV", title="MOS1")
plt.legend()
plt.show()

# %% [markdown]
# ## Times without flares
#
# The light curve in which flares were looked for, and the times that were accepted:

# %%
curve = archive.lightcurve("0800010101", "M1", as_="table")
good = archive.gti("0800010101", "M1", as_="table")
plt.figure(figsize=(6, 2.6), dpi=72)
start = curve["TIME"][0]
plt.plot(curve["TIME"] - start, curve["RATE"], ".-", lw=0.7)
for begin, end in good.iterrows("START", "STOP"):
    plt.axvspan(begin - start, end - start, alpha=0.15)
plt.gca().set(yscale="log", xlabel="time [s]", ylabel="counts per second", title="MOS1, 2.5-8.5 keV")
plt.show()

# %% [markdown]
# ## Regions
#
# Sources are found in all cameras together. Their regions are those of ds9; `as_="regions"` gives objects of the
# package [regions](https://astropy-regions.readthedocs.io).

# %%
daxa.find_sources(archive)
archive.sources("0800010101", as_="table")["ID_INST", "ID_BAND", "RA", "DEC", "SCTS", "DET_ML", "EXT"][:5]

# %%
from astropy.units import Quantity

image = archive.images("0800010101", "PN", *Quantity([0.5, 2], "keV"), as_="ccddata")
axes = plt.figure(figsize=(5, 4.4), dpi=72).add_subplot(projection=image.wcs)
axes.imshow(np.sqrt(image.data), origin="lower", cmap="gray_r", vmax=3)
for region in archive.regions("0800010101", as_="regions"):
    region.to_pixel(image.wcs).plot(ax=axes, edgecolor="crimson")
axes.set(xlabel="right ascension", ylabel="declination", xlim=(60, 440), ylim=(60, 440))
plt.show()

# %% [markdown]
# In a shell `ds9 IMAGE -regions FILE` shows the same; the paths are these:

# %%
print(archive.images("0800010101", "PN", *Quantity([0.5, 2], "keV")).name, archive.regions("0800010101").name)

# %% [markdown]
# ## stingray
#
# With [stingray](https://docs.stingray.science) installed, `as_="stingray"` gives its event lists, with the good times.
# The light curve of the cluster's field, in bins of 100 s:

# %%
listed = archive.events("0800010101", "PN", as_="stingray")
light = listed.to_lc(dt=100.0)
light.apply_gtis()
print(
    listed.ncounts if hasattr(listed, "ncounts") else len(listed.time),
    "events,",
    len(light.time),
    "bins,",
    "mean",
    round(light.meanrate, 1),
    "ct/s",
)
