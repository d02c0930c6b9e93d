"""The task emenergy: measure the amplitudes and energies of the events of one MOS CCD."""

from __future__ import annotations

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.hdus import hdu_list, open_hdus
from daxa.xmm.instruments.mos import files
from daxa.xmm.instruments.mos.content import ccd_columns, ccd_keywords, step_keywords
from daxa.xmm.instruments.mos.files import ccd_of_events
from daxa.xmm.instruments.mos.options import Emenergy, Options
from daxa.xmm.instruments.mos.reduce import measure
from daxa.xmm.parameters import Parameter, Parameters, options_of, parameters_of
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support_mos import camera_of, of_header

LOCAL = "the background is measured beside the events"


@task(
    "emenergy",
    "8.10",
    [
        Parameter("ineventset", "dataset", required=True, text="events that emevents has written"),
        Parameter("outeventset", "dataset", "events.out", text="events to write, with newoutput"),
        Parameter("newoutput", "bool", False, text="write a new file; else ineventset is changed"),
        Parameter("backgroundset", "dataset", "bkgccd.map", text="map of the local background to write"),
        Parameter(
            "timebin",
            "real",
            100.0,
            text="bin of the background's variation",
            unit="s",
            without_effect="only the map is written",
        ),
        Parameter("writebackgroundset", "bool", False, text="write backgroundset"),
        Parameter("useccfdarkframe", "bool", False, text="use dark frames of the calibration", only=LOCAL),
        Parameter("maskedccdset", "dataset", "", text="diagnostic image of the CCD", without_effect=LOCAL),
        Parameter("withmaskedccdset", "bool", False, text="use maskedccdset", only=LOCAL),
        Parameter("makepha", "bool", True, text="work out PHA", only="energies come from it"),
        Parameter(
            "ontimepha",
            "bool",
            False,
            text="PHA in a way of which no public text tells",
            only="PHA is worked out in the documented way",
        ),
        *parameters_of(Emenergy),
    ],
)
def emenergy(ctx: TaskContext, p: Parameters) -> None:
    """Measure the amplitudes and energies of the events of one MOS CCD."""
    path = ctx.path(p.ineventset)
    table = files.read_table(path, "EVENTS", "openEventsIn02")
    instrument, exp_id, number, node = of_header(table, "openEventsIn03")
    if not table.header.get("EMEVENTS"):
        raise TaskError("openEventsIn02", f"{table.where}: not the output of emevents")
    if "MAKEPHA" in table.header:
        raise TaskError(
            "alreadyMeasured",
            f"{table.where}: already went through emenergy, which adds to PERIPIX and FLAG; take the output "
            "of emevents again",
        )
    options = Options(emenergy=options_of(Emenergy, p))
    camera = camera_of(ctx, instrument, exp_id, options)
    exposure = files.read_table(path, "EXPOSURE", "openEventsIn02")
    made, ccd = ccd_of_events(camera, table, number, node, exposure["TIME"])
    try:
        pixels = files.read_badpix(path, ccd.shape, "noBadPixels")
    except TaskError as error:
        if error.code != "noBadPixels":
            raise
        ctx.info(" no BADPIX extension in input event file. Assume no bad pixel in EVFLAG.")
        pixels = None
    image = measure(camera, ccd, made, pixels, options.emenergy, camera.context(number, node))
    columns = ccd_columns(made, ccd)
    if p.writebackgroundset:
        cards = ccd_keywords(camera, ccd, ("emenergy",)) | files.said_before(table, ("emframes", "emevents"))
        hdu = files.image_hdu(files.background_image(image, ccd.shape), cards)
        files.write(ctx, p.backgroundset, {}, hdu)
    with ctx.output(p.outeventset if p.newoutput else p.ineventset) as part, open_hdus(path) as hdus:
        copies = hdu_list(hdu.copy() for hdu in hdus)
        data = copies["EVENTS"].data
        for name in ("PHA", "PI", "FLAG", "PERIPIX"):
            data[name] = columns[name]
        for key, card in step_keywords(options, ("emenergy",)).items():
            copies["EVENTS"].header[key] = card
        ctx.provenance(copies[0].header, 1)
        copies.writeto(part)
