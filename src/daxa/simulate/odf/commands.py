"""The files of an ODF that tell what was commanded, and what a MOS camera counted instead of sending it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from daxa.simulate.odf.clock import utc_text
from daxa.simulate.odf.housekeeping import HousekeepingWriter
from daxa.xmm.fits.schema import Column, make_table
from daxa.xmm.formats import odf as layout
from daxa.xmm.formats import records

#: Seconds before an exposure at which its commands take effect (real files).
_IDLE_S, _THRESHOLDS_S, _ACTIVE_S = 120.0, 63.0, 17.0
#: Seconds before an exposure of a spectrometer: windows of CCDs 1 to 4, of the others, read-out.
_FIRST_CCDS_S, _OTHER_CCDS_S, _READOUT_S = 90.0, 85.0, 34.0
_FIRST_CCDS = 4
_TICKS = 65536


class CommandWriter(HousekeepingWriter):
    """Writes command records and counting cycles."""

    def mos_commands(self, instrument: str, exposures: Sequence[tuple[float, Mapping[int, int]]]) -> None:
        """Thresholds and use of the event units.

        Parameters
        ----------
        instrument
            ``M1`` or ``M2``.
        exposures
            Start of each exposure [s], and what its units do
            (:data:`~daxa.xmm.formats.records.MOS_PROCESSES`).
        """
        units = np.arange(1, records.MOS_UNITS + 1)
        ccds = units < records.MOS_UNITS
        thresholds = [
            (
                start - _THRESHOLDS_S,
                {
                    "HBRID": units,
                    "LTHRESH": units * 0,
                    "UTHRESH": np.where(ccds, 4095, 0),
                    "PATTERN": np.where(ccds, 3, 0),
                },
            )
            for start, _ in exposures
        ]
        self._commands(instrument, "HTH", records.MOS_THRESHOLDS, thresholds, "EVENT THRESHOLDS")
        blocks = []
        for start, processes in exposures:
            for before, doing in ((_IDLE_S, {}), (_ACTIVE_S, processes)):
                process = np.array([doing.get(int(unit), 0) for unit in units])
                blocks.append(
                    (start - before, {"HBRID": units, "HBRACTIV": (process > 0) * 1, "HBRPROC": process})
                )
        self._commands(instrument, "HCH", records.MOS_CONFIGURATION, blocks, "EVENT CONFIGURATION")

    def pn_commands(self, exposures: Sequence[tuple[float, int, Sequence[int]]]) -> None:
        """Use of the quadrants: start [s], CCDMODE and CCDs of each exposure.

        Parameters
        ----------
        exposures
            The exposures.
        """
        units, blocks = np.arange(1, records.PN_UNITS + 1), []
        for start, mode, ccds in exposures:
            read = {(ccd - 1) for ccd in ccds}
            used = np.array([[3 * (unit % 4) + place in read for place in range(3)] for unit in units])
            active = used.any(axis=1)
            block = {"HBRID": units, "HBRACTIV": active * 1, "HBRPROC": active * mode}
            blocks.append(
                (start - _ACTIVE_S, block | {f"CCD{place}MODE": used[:, place] * mode for place in range(3)})
            )
        self._commands("PN", "HCH", records.PN_CONFIGURATION, blocks, "EVENT CONFIGURATION")

    def rgs_commands(
        self, instrument: str, exposures: Sequence[tuple[float, Mapping[str, np.ndarray]]]
    ) -> None:
        """Windows, thresholds and read-out: start [s] and read-out sequence of each exposure.

        Parameters
        ----------
        instrument
            ``R1`` or ``R2``.
        exposures
            The exposures.
        """
        windows, readouts = [], []
        for start, sequence in exposures:
            place = {int(ccd): i for i, ccd in enumerate(sequence["CCDID"]) if ccd}
            for ccds, before in (
                (range(1, _FIRST_CCDS + 1), _FIRST_CCDS_S),
                (range(_FIRST_CCDS + 1, 10), _OTHER_CCDS_S),
            ):
                # CCDs that are not read keep the values of the first one.
                slots = [place.get(ccd, 0) for ccd in ccds]
                names = ["WINDOWX0", "WINDOWY0", "WINDOWDX", "WINDOWDY"]
                names += ["ATHRESHC", "ATHRESHD", "UTHRESHC", "UTHRESHD"]
                fixed = {"SCITYPE": records.RGS_SPECTROSCOPY, "HOTSTUFF": 3, "REALX0": 0, "REALXE": 0}
                fixed |= {"HOTCOL": 3, "CCDNODES": int(sequence["CCDNODES"][0])}
                block = {"CCDID": np.array(ccds)} | {name: sequence[name][slots] for name in names}
                windows.append(
                    (start - before, block | {k: np.full(len(slots), v) for k, v in fixed.items()})
                )
            used = sequence["CCDID"] > 0
            readouts.append(
                (
                    start - _READOUT_S,
                    {
                        "RDOUTSEQ": sequence["CCDID"],
                        "CCDSNUM": np.full(len(used), used.sum()),
                        "OCBMODE": np.full(len(used), sequence["CCDOCB"][0]),
                        "READOUT": np.full(len(used), sequence["CCDNODES"][0]),
                        "REJTHRC": np.where(used, sequence["RTHRESHC"], 0),
                        "REJTHRD": np.where(used, sequence["RTHRESHD"], 0),
                        "CSGPATT": sequence["CCDCSG"],
                    },
                )
            )
        self._commands(instrument, "D1H", records.RGS_WINDOWS, windows, "CCD WINDOWS AND THRESHOLDS")
        self._commands(instrument, "D2H", records.RGS_READOUT, readouts, "READOUT SEQUENCE")

    def _commands(
        self,
        instrument: str,
        file_type: str,
        schema: Sequence[Column],
        blocks: Sequence[tuple[float, Mapping[str, np.ndarray]]],
        content: str,
    ) -> None:
        """Write blocks of rows, each with the time at which it was commanded."""
        blocks = sorted(blocks, key=lambda block: block[0])
        data: dict[str, Any] = {
            "TIME": [utc_text(time) for time, block in blocks for _ in range(len(next(iter(block.values()))))]
        }
        for column in schema[1:]:
            data[column.name] = np.concatenate([block[column.name] for _, block in blocks])
        table = make_table(schema, data, layout.extension(instrument, file_type))
        p = self.pointing
        self.write(instrument, file_type, [table], f"COMMANDED {content}", p.start_s, p.stop_s)

    def mos_counting(
        self, instrument: str, exp_id: str, cycles: Mapping[str, np.ndarray], start_s: float, stop_s: float
    ) -> None:
        """Cycles of the units that counted.

        Parameters
        ----------
        instrument
            ``M1`` or ``M2``.
        exp_id
            Identifier of the exposure, e.g. ``S001``.
        cycles
            ``CCD``, ``START``, ``STOP`` (full on-board time [s]), and numbers of events ``VALID``, ``BELOW``,
            ``ABOVE``, and of ``FRAMES``.
        start_s, stop_s
            Its start and end [s].
        """
        data: dict[str, np.ndarray] = {"HBRID": cycles["CCD"]}
        for side, name in (("S", "START"), ("E", "STOP")):
            ticks = np.floor(np.asarray(cycles[name]) * _TICKS).astype(np.int64)
            data |= {f"{side}TCOARSE": ticks // _TICKS, f"{side}TFINE": ticks % _TICKS}
        for counter, name in (("VE", "VALID"), ("RELT", "BELOW"), ("REUT", "ABOVE"), ("FRAM", "FRAMES")):
            data[f"{counter}CNTR"] = np.minimum(cycles[name], records.COUNTER_MAXIMUM)
            data[f"{counter}OVF"] = (cycles[name] > records.COUNTER_MAXIMUM) * 1
        table = make_table(records.MOS_COUNTING, data, layout.extension(instrument, "CCX"))
        self.write(instrument, "CCX", [table], "EPIC MOS COUNTING CYCLE REPORTS", start_s, stop_s, exp_id)
