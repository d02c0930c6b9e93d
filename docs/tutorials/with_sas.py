# %% [markdown]
# # With ESA's SAS
#
# **Nothing on this page was run: SAS was not at hand.** It shows what is different if it is; the calls are those of
# [the first tutorial](first_archive.ipynb).
#
# SAS has to be initialised in the shell from which Python or Jupyter is started, with HEASOFT before it, as SAS asks for:
#
# ```
# . $HEADAS/headas-init.sh
# . /opt/xmmsas/setsas.sh
# export SAS_CCFPATH=/data/ccf
# daxa doctor
# ```
#
# `daxa doctor` says whether SAS is found, of which release, and what is missing. DAXA then takes it by itself, and says so
# at the first step; `DAXA_BACKEND=sas` insists on it, `DAXA_BACKEND=embedded` takes DAXA's own engine instead.

# %% [shown]
import os

os.environ["DAXA_BACKEND"] = "sas"

import daxa

mission = daxa.XMMPointed()
mission.filter_on_name("A907")
archive = daxa.Archive("A907_by_SAS", mission)
daxa.full_process_xmm(archive, num_cores=4)

# %% [markdown]
# Steps, archives, names of products and the report are the same. What differs is recorded with each run: the
# back-end and its release. Products of the other back-end, or of another release, are made again when a step is called:

# %% [shown]
run = archive.ledger.latest("xmm_pointed", "emchain", "0201903501M1S001")
run.versions

# %% [markdown]
# The two can be compared; each archive keeps its own products:
#
# ```
# daxa compare FILE_BY_SAS FILE_BY_THE_ENGINE
# ```
#
# More is on the pages [with ESA's SAS](../sas.md) and [comparing products](../compare.md).
