"""Raw files of the RGS as typed values, checked once.

Parameters
----------
file
    The raw file.
ccd
    Number of the CCD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.formats import odf as layout
from daxa.xmm.formats.rgs import IntArray
from daxa.xmm.instruments.rgs.frames import unwrap_counter
from daxa.xmm.instruments.rgs.geometry import BINNING, node_shape

if TYPE_CHECKING:
    from daxa.xmm.odf.file import OdfFile

#: Columns that make a frame the same as another.
SAME_FRAME = (
    "FTCOARSE", "FTFINE", "CCDID", "EOSCOARS", "EOSFINE", "FRMTIME", "SEQINDEX", "NREJECTC", "NACCEPTC",
    "NUPPERC", "NDPP", "NLOSTEVT", "ABORTFLG",
)  # fmt: skip


@dataclass(frozen=True)
class Telemetry:
    """Raw pixels of one CCD, in the order of the telemetry.

    Attributes
    ----------
    frame, node, rawx, rawy, energy, ser
        FRAME (a 16-bit counter), read-out node, place from 0, amplitude [chan] and code of the shape.
    window
        Its first column and row, from 0, and its size.
    ocb
        On-chip binning.
    where
        File and extension, for messages.
    """

    frame: IntArray
    node: npt.NDArray[Any]
    rawx: npt.NDArray[Any]
    rawy: npt.NDArray[Any]
    energy: npt.NDArray[Any]
    ser: npt.NDArray[Any]
    window: tuple[int, int, int, int]
    ocb: int
    where: str

    @classmethod
    def read(cls, file: OdfFile) -> Telemetry:
        """Read an event file (SPE).

        Raises
        ------
        TaskError
            It is damaged, names another CCD than its name (``illegalODF``), or has a window that is larger
            than the chip (``windowSize``).
        """
        table = file.read(1, layout.RGS_EVENTS)
        said = int(table.keyword("CCDID", file.name.ccd))
        if said != file.name.ccd:
            raise TaskError(
                "illegalODF", f"{table.where}: CCDID is {said}, but its name says CCD {file.name.ccd}"
            )
        ocb = int(table.keyword("CCDOCB", BINNING))
        n_columns, n_rows = node_shape(ocb)
        x0, y0, dx, dy = (int(table.keyword(f"WINDOW{k}")) for k in ("X0", "Y0", "DX", "DY"))
        if x0 < 0 or y0 < 0 or x0 + dx > 2 * n_columns or y0 + dy > n_rows:
            raise TaskError("windowSize", f"{table.where}: window {x0, y0, dx, dy} is larger than the chip")
        return cls(
            table["FRAME"], table["CCDNODE"], table["RAWX"], table["RAWY"], table["ENERGY"], table["SER"],
            (x0, y0, dx, dy), ocb, table.where,
        )  # fmt: skip


@dataclass(frozen=True)
class Readouts:
    """Read-outs of one CCD, as the auxiliary file lists them.

    Attributes
    ----------
    number
        Frame number of each, a counter that goes on.
    rows
        Columns of the file, of these read-outs: at least those of :data:`SAME_FRAME`.
    end_obt_s
        End of each, on-board time [s].
    first_number
        Number of the first frame of any CCD.
    cycle_s
        Length of a cycle of read-outs of all CCDs; 0 where there is but one.
    where
        File and extension, for messages.
    """

    number: IntArray
    rows: Mapping[str, npt.NDArray[Any]]
    end_obt_s: npt.NDArray[np.float64]
    first_number: int
    cycle_s: float
    where: str

    @classmethod
    def read(cls, file: OdfFile, ccd: int) -> Readouts:
        """Read an auxiliary file.

        Raises
        ------
        TaskError
            ``missingCCDinAUX2``, ``MissingData``: it does not know the CCD. ``sequenceIndexMismatch``: its
            two tables contradict each other.
        """
        frames = file.read(1, layout.RGS_AUXILIARY_FRAMES)
        sequence = file.read(2, layout.RGS_AUXILIARY_SEQUENCE)
        if ccd not in sequence["CCDID"]:
            raise TaskError("missingCCDinAUX2", f"{sequence.where}: no row of CCD {ccd}")
        counter = unwrap_counter(frames["FRAME"])
        mine = np.flatnonzero(frames["CCDID"] == ccd)
        if not len(mine):
            raise TaskError("MissingData", f"{frames.where}: no frames of CCD {ccd}")
        rows = {name: frames[name][mine] for name in SAME_FRAME}
        known = dict(zip(sequence["SEQINDEX"].tolist(), sequence["CCDID"].tolist(), strict=True))
        if any(known.get(i, ccd) != ccd for i in np.unique(rows["SEQINDEX"]).tolist()):
            raise TaskError(
                "sequenceIndexMismatch", f"{frames.where}: SEQINDEX of CCD {ccd} is another CCD's"
            )
        end = frames["EOSCOARS"] + layout.unsigned(frames["EOSFINE"]) * layout.RGS_FINE_UNIT_S
        slots = int((sequence["CCDID"] != 0).sum())
        cycle_s = float(np.median(np.diff(end))) * slots if len(end) > 1 else 0.0
        return cls(counter[mine], rows, end[mine], int(counter[0]), cycle_s, frames.where)
