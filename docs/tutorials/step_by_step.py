# %% [markdown]
# # Step by step, without SAS
#
# `full_process_xmm` is a sequence of steps. Each can be called by itself, with options of its own; DAXA's own engine
# does the work of the SAS task of that name. One observation, one camera, of the field of
# [the first tutorial](first_archive.ipynb).

# %%
import os

import daxa

os.environ["DAXA_CCFPATH"] = "sky/ccf"
mission = daxa.XMMPointed("M2", local="sky/odf")
mission.filter_on_obs_ids("0800010201")
archive = daxa.Archive("steps", mission)

# %% [markdown]
# ## The index of calibration files, and the summary of the raw files

# %%
daxa.cif_build(archive)
daxa.odf_ingest(archive)
archive.observation_summaries["xmm_pointed"]["0800010201"]["M2"]["exposures"]

# %% [markdown]
# ## Events
#
# A step that is called too early says what is missing:

# %%
try:
    daxa.espfilt(archive)
except daxa.exceptions.NoDependencyProcessError as missing:
    print(missing)

# %%
daxa.emchain(archive)
events = archive.events("0800010201", "M2", "S002", kind="raw", as_="table")
print(len(events), "events of CCDs", sorted(set(events["CCDNR"].tolist())))

# %% [markdown]
# ## Flares, cleaning, merging

# %%
daxa.espfilt(archive, method="histogram", allowed_sigma=3.0)
daxa.cleaned_evt_lists(archive)
daxa.merge_subexposures(archive)
print(len(archive.events("0800010201", "M2", as_="table")), "events are left")

# %% [markdown]
# What the task has printed and what it warned of is kept:

# %%
log = archive.get_process_logs("espfilt")["xmm_pointed"]["0800010201M2S002"]
for line in log.splitlines()[-3:]:
    print(line[:100])
archive.process_warnings["xmm_pointed"]["espfilt"]

# %% [markdown]
# ## Images, in bands of your own

# %%
from astropy.units import Quantity

daxa.generate_images_expmaps(archive, Quantity([0.3, 1.0], "keV"), Quantity([1.0, 5.0], "keV"))
for name, path in archive.images("0800010201", "M2").items():
    print(name.band, path.name)

# %% [markdown]
# ## Another choice, afterwards
#
# Flares are looked for once more, more strictly. What was made of the former good times is out of date now, and the archive
# says so:

# %%
daxa.espfilt(archive, allowed_sigma=2.5)
archive

# %% [markdown]
# The steps behind it, called again, make only what has changed:

# %%
daxa.cleaned_evt_lists(archive)
daxa.merge_subexposures(archive)
daxa.generate_images_expmaps(archive, Quantity([0.3, 1.0], "keV"), Quantity([1.0, 5.0], "keV"))
print(
    len(archive.events("0800010201", "M2", as_="table")),
    "events are left;",
    "out of date:",
    archive.stale["xmm_pointed"],
)
