"""The configuration by which XGA finds what an archive holds of XMM-Newton.

Source: names of the entries in XGA 1.0.0. It finds images whose energies have one decimal, as here.
"""

from __future__ import annotations

from pathlib import Path

from daxa.archive import layout
from daxa.archive.layout import Layout

#: XGA's names of the cameras.
_CAMERAS = {"PN": "pn", "M1": "mos1", "M2": "mos2"}
_MISSION = "xmm_pointed"
#: What XGA puts in its place.
_ANY = "{obs_id}"


def xga_configuration(root: Path, save: Path) -> str:
    """Text of ``xga.cfg`` for an archive.

    Parameters
    ----------
    root
        Folder of the archive.
    save
        Where XGA is to write.

    Returns
    -------
    str
        With all energy bands of which there are images, and the regions of the archive, or else those of
        ``find_sources``.
    """
    root, save = root.resolve(), save.resolve()
    folder = Layout(root).processed(_MISSION, _ANY)
    regions = Layout(root).regions(_MISSION, _ANY)
    if not list(root.glob(str(regions.relative_to(root)).replace(_ANY, "*"))):
        regions = folder / layout.found_regions(_ANY)
    lines = ["[XGA_SETUP]", f"xga_save_path = {save}/", "", "[XMM_FILES]", f"root_xmm_dir = {folder.parent}/"]
    for inst, name in _CAMERAS.items():
        lines.append(f"clean_{name}_evts = {folder / layout.final_events(_ANY, inst)}")
    lines.append(f"attitude_file = {folder / layout.attitude(_ANY)}")
    bands = _bands(folder.parent)
    for k, name in enumerate(("lo_en", "hi_en")):
        lines.append(f"{name} = {[band[k] for band in bands]}")
    for kind in ("image", "expmap"):
        for inst, name in _CAMERAS.items():
            path = folder / layout.image_product(_ANY, inst, kind, 0.0, 1.0)
            lines.append(f"{name}_{kind} = {str(path).replace('en0.0_1.0keV', 'en{lo_en}_{hi_en}keV')}")
    return "\n".join([*lines, f"region_file = {regions}", ""])


def _bands(folder: Path) -> list[list[str]]:
    """Energy bands of the images that there are [keV], as in their names."""
    found: set[tuple[float, float]] = set()
    for path in folder.glob("*/images/*-image.fits"):
        named = layout.read_name(f"images/{path.name}")
        if named and named[0].band and named[1:] == ("image", None):
            found.add(named[0].band)
    texts = [layout.energy_text(*band).removesuffix("keV") for band in sorted(found or {(0.5, 2.0)})]
    return [text.split("_") for text in texts]
