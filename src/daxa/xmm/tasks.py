"""SAS task name -> the module that declares it; imported only when the task is run."""

from __future__ import annotations

TASKS: dict[str, str] = {
    # calibration and observation set-up
    "cifbuild": "daxa.xmm.ccf.tasks",
    "odfingest": "daxa.xmm.odf.ingest",
    # geometry
    "atthkgen": "daxa.xmm.sky.tasks",
    "attcalc": "daxa.xmm.sky.tasks",
    "ecoordconv": "daxa.xmm.sky.tasks",
    # chains
    "emchain": "daxa.xmm.epic.mos.chain",
    "emproc": "daxa.xmm.epic.mos.chain",
    "emframes": "daxa.xmm.epic.mos.tasks",
    "emevents": "daxa.xmm.epic.mos.tasks",
    "emenergy": "daxa.xmm.epic.mos.tasks",
    "emeventsproj": "daxa.xmm.epic.mos.tasks",
    "embadpixfind": "daxa.xmm.epic.mos.tasks",
    "epchain": "daxa.xmm.epic.pn.chain",
    "epproc": "daxa.xmm.epic.pn.chain",
    "epframes": "daxa.xmm.epic.pn.subtasks",
    "epreject": "daxa.xmm.epic.pn.subtasks",
    "badpixfind": "daxa.xmm.epic.pn.subtasks",
    "badpix": "daxa.xmm.epic.pn.subtasks",
    "epevents": "daxa.xmm.epic.pn.subtasks",
    "epexposure": "daxa.xmm.epic.pn.subtasks",
    "epfast": "daxa.xmm.epic.pn.epfast",
    # grating spectrometers
    "rgsframes": "daxa.xmm.rgs.frames",
    "rgsenergy": "daxa.xmm.rgs.energy",
    "rgsbadpix": "daxa.xmm.rgs.badpix",
    "rgsevents": "daxa.xmm.rgs.events",
    "evlistcomb": "daxa.xmm.rgs.combine",
    "attfilter": "daxa.xmm.rgs.attfilter",
    "rgssources": "daxa.xmm.rgs.sources",
    "rgsangles": "daxa.xmm.rgs.angles",
    "rgsfilter": "daxa.xmm.rgs.filter",
    "rgsproc": "daxa.xmm.rgs.chain",
    # selection
    "evselect": "daxa.xmm.select.tasks",
    "tabgtigen": "daxa.xmm.select.gtitasks",
    "gtibuild": "daxa.xmm.select.gtitasks",
    "gtimerge": "daxa.xmm.select.gtitasks",
    "gtialign": "daxa.xmm.select.gtitasks",
    "hkgtigen": "daxa.xmm.select.hkgtigen",
    "merge": "daxa.xmm.select.merge",
    # screening
    "espfilt": "daxa.xmm.screen.espfilt",
    "emanom": "daxa.xmm.screen.emanom",
    # images
    "eexpmap": "daxa.xmm.image.eexpmap",
    "emosaic": "daxa.xmm.image.emosaic",
}
