"""The file in which the chain keeps the raw stage of an exposure between two runs."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.epic.pn.badpixels import BadPixel
from daxa.xmm.epic.pn.raw import RawCcd
from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.notes import fallbacks_noted, note_fallbacks

#: Changes of the stage's content or meaning.
_VERSION = 3
_ARRAYS = [
    "time_s",
    "stamp_s",
    "fraction",
    "good",
    "frame",
    "rawx",
    "rawy",
    "pha",
    "sequence",
    "flag",
    "label",
    "main",
    "size",
    "code",
    "number",
    "dli_odf",
    "dli_sas",
    "off_cor",
]


def save_raw(path: Path, ccds: Mapping[int, RawCcd], identity: Mapping[str, Any]) -> None:
    """Keep the raw stage of an exposure, and what stood in for calibration, in one file.

    Parameters
    ----------
    identity
        What the stage belongs to and was made with; :func:`load_raw` compares it.
    """
    content: dict[str, npt.NDArray[Any]] = {}
    about: dict[str, Any] = {
        "version": _VERSION,
        "identity": dict(identity),
        "fallbacks": fallbacks_noted(),
        "ccds": {},
    }
    for ccd, raw in ccds.items():
        for name in _ARRAYS:
            if getattr(raw, name) is not None:
                content[f"{ccd}/{name}"] = getattr(raw, name)
        content[f"{ccd}/gti"] = np.stack([raw.gti.start, raw.gti.stop])
        for name, values in raw.counters.items():
            content[f"{ccd}/counters/{name}"] = values
        content[f"{ccd}/badpix"] = np.array(raw.badpix, np.int64).reshape(-1, 5)
        about["ccds"][ccd] = {
            "rows": raw.rows,
            "offsets": raw.offsets,
            "lowest_ev": raw.lowest_ev,
            "header": raw.header,
            "n_raw": raw.n_raw,
        }
    content["about"] = np.array(json.dumps(about))
    with path.open("wb") as handle:
        np.savez(handle, **content)  # type: ignore[arg-type]


def load_raw(path: Path, identity: Mapping[str, Any]) -> dict[int, RawCcd]:
    """Read what :func:`save_raw` kept.

    Raises
    ------
    TaskError
        ``rawevents``: no such file, damaged, or made from other data or with other settings.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            about = json.loads(str(content["about"]))
            if about["version"] != _VERSION or about["identity"] != json.loads(json.dumps(dict(identity))):
                raise TaskError(
                    "rawevents", f"{path.name} belongs to other data or settings; run with runepframes=yes"
                )
            ccds = {}
            for text, notes in about["ccds"].items():
                ccd = int(text)
                arrays = {n: content[f"{ccd}/{n}"] for n in _ARRAYS if f"{ccd}/{n}" in content}
                for name in ("dli_odf", "off_cor"):
                    arrays.setdefault(name, None)
                inner = f"{ccd}/counters/"
                counters = {n.removeprefix(inner): content[n] for n in content.files if n.startswith(inner)}
                ccds[ccd] = RawCcd(
                    ccd=ccd,
                    gti=GTI(*content[f"{ccd}/gti"]),
                    badpix=[BadPixel(*map(int, p)) for p in content[f"{ccd}/badpix"]],
                    rows=tuple(notes["rows"]),
                    offsets={int(k): v for k, v in notes["offsets"].items()},
                    lowest_ev=notes["lowest_ev"],
                    header={k: tuple(v) if isinstance(v, list) else v for k, v in notes["header"].items()},
                    counters=counters,
                    n_raw=notes["n_raw"],
                    **arrays,
                )
            note_fallbacks(about["fallbacks"])
            return ccds
    except FileNotFoundError:
        raise TaskError(
            "rawevents",
            f"runepframes=no needs {path.name} of an earlier run with keepintermediate=raw in this folder",
        ) from None
    except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise TaskError("rawevents", f"{path.name}: cannot be read: {error}") from error
