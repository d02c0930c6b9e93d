# %% [markdown]
# # Other missions, and products that are ready-made
#
# What missions there are, and what their archives offer besides raw data:

# %%
from astropy.table import Table

import daxa
from daxa.mission import MISS_INDEX

rows = [
    (name, mission.__name__, ", ".join(mission.instruments), bool(daxa.process.PROC_LOOKUP[name]))
    for name, mission in MISS_INDEX.items()
]
Table(rows=rows, names=["name", "class", "instruments", "steps of its own"])

# %% [markdown]
# All have the same filters. The catalogue of eROSITA's early data release is part of the package, so this needs no network:

# %%
fields = daxa.eROSITACalPV(fields=["crab iii", "47 Tuc"])
fields

# %% [markdown]
# Raw data of Chandra and NuSTAR are reduced with their own software, CIAO and NuSTARDAS: `daxa.full_process_chandra` and
# `daxa.full_process_nustar`; see [how](../other_missions.md).
#
# ## Taking in ready-made products
#
# Most archives hold event lists and images of their own pipelines. They need no reduction. **This notebook was run without
# a network: a small server on the same machine stands in for HEASARC, with one made-up observation of NuSTAR.** The calls
# are those for the real archive.

# %%
mission = daxa.NuSTARPointed()
mission.filter_on_positions([149.6, -11.1])
archive = daxa.Archive("ready", mission, use_preprocessed=True)
archive

# %% [markdown]
# The accessors are those of every archive:

# %%
events = archive.events("60001107002", "FPMA", as_="table")
print(len(events), "events:", events.colnames)
for name, path in archive.images("60001107002").items():
    print(name.inst, path.name)

# %% [markdown]
# Where products came from is recorded, as are runs of steps:

# %%
print(archive.get_process_logs("preprocessed_events", inst="FPMA")["nustar_pointed"]["60001107002FPMA"])

# %% [markdown]
# ## Several missions in one archive
#
# `daxa.Archive("both", [xmm, nustar])` holds the selections of several missions. One search finds the missions that have
# looked at positions, filtered to what they have there; without `missions` it asks all of them:

# %%
daxa.multi_mission_filter_on_positions([149.6, -11.1], missions=["nustar_pointed"])
