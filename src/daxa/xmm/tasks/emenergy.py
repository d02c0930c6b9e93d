"""The task emenergy: measure the amplitudes and energies of the events of one MOS CCD."""

from __future__ import annotations

from daxa.xmm.errors import TaskError
from daxa.xmm.instruments.mos import files
from daxa.xmm.instruments.mos.files import ccd_of_events
from daxa.xmm.instruments.mos.options import Options
from daxa.xmm.instruments.mos.reduce import ccd_keywords
from daxa.xmm.instruments.mos.steps.emenergy import emenergy as measure
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support_mos import camera_of, merged, of_header, refuse, values_of


@task(
    "emenergy",
    "8.10",
    merged(
        [
            Parameter("ineventset", "dataset", required=True),
            Parameter("outeventset", "dataset", "events.out"),
            Parameter("newoutput", "bool", False),
            Parameter("backgroundset", "dataset", "bkgccd.map"),
            Parameter("timebin", "real", 100.0),
            Parameter("writebackgroundset", "bool", False),
            Parameter("useccfdarkframe", "bool", False),
            Parameter("maskedccdset", "dataset", ""),
            Parameter("withmaskedccdset", "bool", False),
            Parameter("makepha", "bool", True),
            Parameter("ontimepha", "bool", False),
        ],
        "emenergy",
    ),
)
def emenergy(ctx: TaskContext, p: Parameters) -> None:
    """Measure the amplitudes and energies of the events of one MOS CCD."""
    refuse("emenergy", p, useccfdarkframe=False, withmaskedccdset=False, makepha=True, ontimepha=False)
    from astropy.io import fits

    path = ctx.path(p.ineventset)
    table = files.read_table(path, "EVENTS", "openEventsIn02")
    instrument, exp_id, number, node = of_header(table, "openEventsIn03")
    if not table.header.get("EMEVENTS"):
        raise TaskError("openEventsIn02", f"{table.where}: not the output of emevents")
    options = Options()
    options.change("emenergy", **values_of("emenergy", p, "emenergy"))
    camera = camera_of(ctx, instrument, exp_id, options)
    exposure = files.read_table(path, "EXPOSURE", "openEventsIn02")
    made, ccd = ccd_of_events(camera, table, number, node, exposure["TIME"])
    try:
        pixels = files.read_badpix(path, ccd.shape, "noBadPixels")
    except TaskError:
        ctx.info(" no BADPIX extension in input event file. Assume no bad pixel in EVFLAG.")
        pixels = None
    image = measure(camera, ccd, made, pixels, options.emenergy)
    columns = files.ccd_columns(made, ccd)
    if p.writebackgroundset:
        hdu = files.image_hdu(files.background_image(image, ccd.shape), ccd_keywords(camera, ccd))
        files.write(ctx, p.backgroundset, {}, hdu)
    with ctx.output(p.outeventset if p.newoutput else p.ineventset) as part, fits.open(path) as hdus:
        copies = fits.HDUList([hdu.copy() for hdu in hdus])
        data = copies["EVENTS"].data
        for name in ("PHA", "PI", "FLAG", "PERIPIX"):
            data[name] = columns[name]
        ctx.provenance(copies[0].header, 1)
        copies.writeto(part)
