"""Writing Observation Data Files: science tables, their auxiliary files, the archive's packing.

Nothing here knows how photons become counts: arrays in the units of the telemetry go in, files with the
names, tables and keywords of a real ODF come out. Times are seconds since MJDREF 50814 (TT).

Source: XMM-Newton Data Files Handbook.

Parameters
----------
instrument
    Two-letter code, e.g. ``M1``.
exp_id
    Identifier of the exposure, e.g. ``S001``.
ccd
    Number of the CCD.
events
    Columns of the list, each of shape (n,).
frames
    Columns of the frame table.
start_s, stop_s
    Start and end of the exposure [s].
window
    First column and row that are read, and their numbers.
frame_time_s
    Frame time [s].
file_type
    Type of the file.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daxa.simulate.odf.commands import CommandWriter
from daxa.writing import replacing_file
from daxa.xmm.fits.schema import Column, make_table
from daxa.xmm.formats import odf as layout
from daxa.xmm.formats.instruments import DATA_MODES

#: Frame time of diagnostic exposures and how long they last [s].
_DIAGNOSTIC_FRAME_S, _DIAGNOSTIC_S = 2.7, 240.0
#: CCD -> event detection unit, as the headers of both real MOS cameras have it.
MOS_EDU = {1: 0, 2: 2, 3: 6, 4: 4, 5: 3, 6: 7, 7: 5}


class OdfWriter(CommandWriter):
    """Writes all components of one ODF into a folder and remembers their names."""

    # --- EPIC MOS ----------------------------------------------------------------------------------

    def mos_events(
        self,
        instrument: str,
        exp_id: str,
        ccd: int,
        events: Mapping[str, np.ndarray],
        start_s: float,
        stop_s: float,
        *,
        window: tuple[int, int, int, int],
        frame_time_s: float,
        threshold_adu: float,
        offsets: Mapping[str, np.ndarray] | None = None,
        node: int = 0,
        file_type: str = "IME",
    ) -> None:
        """Event list of one CCD (imaging, or timing: TIE), and the offset table that goes with it.

        Parameters
        ----------
        threshold_adu
            Threshold of a pixel [adu].
        offsets
            Columns of the offset table; None: there is no such file.
        node
            Read-out node.
        """
        timing = file_type == "TIE"
        header = {
            "DATATYPE": (layout.DATATYPES[file_type], "Type of the data"),
            "CCDID": (ccd, "CCD"),
            "CCDNODE": (node, "Read-out node"),
            **_window(window),
            "FRMTIME": (round(frame_time_s * 10), "[0.1 s] Frame time"),
            "EDUID": (MOS_EDU[ccd], "Event detection unit"),
            "EDUTHR": (round(threshold_adu), "[adu] Threshold of the event detection unit"),
            "EDUMODE": (1, "Mode of the event detection unit: timing")
            if timing
            else (3, "Mode of the event detection unit: imaging"),
            "EMDHLOW": (0, "[adu] Lower limit of event data handling"),
            "EMDHUPP": (4095, "[adu] Upper limit of event data handling"),
        }
        schema = layout.MOS_TIMING if timing else layout.MOS_IMAGING
        table = make_table(schema, events, layout.extension(instrument, file_type), header)
        content = f"EPIC MOS {DATA_MODES[file_type]} MODE EVENT LIST"
        self.write(instrument, file_type, [table], content, start_s, stop_s, exp_id, ccd)
        if offsets is not None:
            for key in ("EDUTHR", "EMDHLOW", "EMDHUPP"):
                header.pop(key)
            header["DATATYPE"] = ("OFFVAR.EL", "Type of the data")
            table = make_table(layout.MOS_OFFSETS, offsets, layout.extension(instrument, "OVE"), header)
            self.write(
                instrument, "OVE", [table], "EPIC MOS OFFSETS AND VARIANCES", start_s, stop_s, exp_id, ccd
            )

    def mos_auxiliary(
        self, instrument: str, exp_id: str, frames: Mapping[str, np.ndarray], start_s: float, stop_s: float
    ) -> None:
        """Frames of all CCDs of an exposure; counters as non-negative numbers."""
        columns = dict(frames)
        for name in ("FTCOARSE", "FTFINE", "NVALID", "NBELOW", "NABOVE"):
            columns[name] = layout.as_signed(columns[name])
        header = {"DATATYPE": (layout.DATATYPES["AUX"], "Type of the data")}
        table = make_table(layout.MOS_AUXILIARY, columns, layout.extension(instrument, "AUX"), header)
        self.write(instrument, "AUX", [table], "EPIC MOS AUXILIARY FILE", start_s, stop_s, exp_id)

    def mos_diagnostic(
        self, instrument: str, exp_id: str, ccd: int, start_s: float, image: np.ndarray
    ) -> None:
        """Image (610, 602) of all pixels of a CCD, read while it was set up: a frame of a short exposure.

        Parameters
        ----------
        image
            The image [adu].
        """
        from astropy.io import fits

        frame, shape = 14, image.shape
        stamp = frame * _DIAGNOSTIC_FRAME_S
        hdu = fits.ImageHDU(image.T.astype(np.int16), name=layout.extension(instrument, "DII"))
        for key, value in {
            "CCDID": ccd,
            "CCDNODE": 0,
            **_window((0, 0, *shape)),
            "EDUID": MOS_EDU[ccd],
            "EDUMODE": 0,
            "EDUTHR": 0,
            "FRMTIME": round(_DIAGNOSTIC_FRAME_S * 10),
            "FRAME": frame,
            "FTCRSE": int(stamp),
            "FTFINE": round((stamp % 1) / layout.MOS_FTFINE_UNIT_S),
            "NPIXEL": shape[0] * shape[1],
            "FIFOOVF": 0,
        }.items():
            hdu.header[key] = value
        stop_s = start_s + _DIAGNOSTIC_S
        self.write(instrument, "DII", [hdu], "EPIC MOS DIAGNOSTIC IMAGE", start_s, stop_s, exp_id, ccd)

    # --- EPIC pn -----------------------------------------------------------------------------------

    def pn_events(
        self,
        exp_id: str,
        ccd: int,
        events: Mapping[str, np.ndarray],
        start_s: float,
        stop_s: float,
        *,
        window: tuple[int, int, int, int],
        frame_time_s: float,
        ccd_mode: int,
        discarded: np.ndarray | None = None,
        file_type: str = "IME",
    ) -> None:
        """Event list of one CCD (coordinates from 0), and its count of columns discarded on board, if any.

        Imaging, timing (``file_type`` TIE) and burst (BUE) lists have the same columns.

        Parameters
        ----------
        ccd_mode
            CCDMODE.
        discarded
            The count, one per column.
        """
        from astropy.io import fits

        quadrant, position = divmod(ccd - 1, 3)
        header = {
            "DATATYPE": (layout.DATATYPES[file_type], "Type of the data"),
            "QUADRANT": (quadrant, "Quadrant"),
            "CCDID": (position, "CCD in the quadrant"),
            "CCDMODE": (ccd_mode, "Read-out mode"),
            **_window(window),
            "FRMTIME": (round(frame_time_s * 1000), "[ms] Frame time"),
        }
        table = make_table(layout.PN_EVENTS, events, layout.extension("PN", file_type), header)
        content = f"EPIC PN {DATA_MODES[file_type]} MODE EVENT LIST"
        self.write("PN", file_type, [table], content, start_s, stop_s, exp_id, ccd)
        if discarded is not None:
            image = fits.ImageHDU(np.asarray(discarded, np.int32), name=layout.extension("PN", "DLI"))
            header["DATATYPE"] = ("DISCLIN.IM", "Type of the data")
            for key, value in header.items():
                image.header[key] = value
            self.write("PN", "DLI", [image], "EPIC PN DISCARDED LINES", start_s, stop_s, exp_id, ccd)

    def pn_offset_map(
        self, exp_id: str, ccd: int, offsets: np.ndarray, start_s: float, stop_s: float, ccd_mode: int
    ) -> None:
        """Dark levels [adu] subtracted on board from the pixels (64, 200) of a CCD.

        Parameters
        ----------
        offsets
            The levels.
        ccd_mode
            CCDMODE.
        """
        from astropy.io import fits

        quadrant, position = divmod(ccd - 1, 3)
        image = fits.ImageHDU(np.rint(offsets).T.astype(np.int16), name=layout.extension("PN", "ODI"))
        image.header["QUADRANT"], image.header["CCDID"] = quadrant, position
        image.header["CCDMODE"] = ccd_mode
        self.write("PN", "ODI", [image], "EPIC PN OFFSET MAP", start_s, stop_s, exp_id, ccd)

    def pn_auxiliary(
        self,
        exp_id: str,
        frames: Mapping[str, np.ndarray],
        cycles: Mapping[str, np.ndarray],
        start_s: float,
        stop_s: float,
    ) -> None:
        """Listed frames and counter records; counters as non-negative numbers.

        Parameters
        ----------
        cycles
            Columns of the counter records.
        """
        frames, cycles = dict(frames), dict(cycles)
        for table, names in (
            (frames, ("FTCOARSE", "FTFINE")),
            (cycles, ("NABOVE", "NEPDH", "NDISCLIN", "MCOMMODE")),
        ):
            for name in names:
                table[name] = layout.as_signed(table[name])
        header = {"DATATYPE": (layout.DATATYPES["AUX"], "Type of the data")}
        hdus = [
            make_table(schema, data, layout.extension("PN", "AUX", number), header)
            for number, schema, data in (
                (1, layout.PN_AUXILIARY_FRAMES, frames),
                (2, layout.PN_AUXILIARY_CYCLES, cycles),
            )
        ]
        self.write("PN", "AUX", hdus, "EPIC PN AUXILIARY FILE", start_s, stop_s, exp_id)

    # --- RGS ---------------------------------------------------------------------------------------

    def rgs_events(
        self,
        instrument: str,
        exp_id: str,
        ccd: int,
        events: Mapping[str, np.ndarray],
        start_s: float,
        stop_s: float,
        *,
        window: tuple[int, int, int, int],
    ) -> None:
        """Spectroscopy event list of one CCD (binned pixels from 0)."""
        header = {
            "DATATYPE": (layout.DATATYPES["SPE"], "Type of the data"),
            "TMEXP_ID": (10 * int(exp_id[1:]), "Exposure in the packets"),
            "CCDID": (ccd, "CCD"),
            "CCDOCB": (3, "On-chip binning"),
            **_window(window),
            "SCITYPE": (4, "Type of the data: spectroscopy"),
            "PSCHEME": (2, "Packing scheme"),
        }
        table = make_table(layout.RGS_EVENTS, events, layout.extension(instrument, "SPE"), header)
        content = "RGS SPECTROSCOPY MODE EVENT LIST"
        self.write(instrument, "SPE", [table], content, start_s, stop_s, exp_id, ccd)

    def rgs_auxiliary(
        self,
        instrument: str,
        exp_id: str,
        frames: Mapping[str, np.ndarray],
        sequence: Mapping[str, np.ndarray],
        start_s: float,
        stop_s: float,
    ) -> None:
        """Frames of all CCDs, and the read-out sequence; counters as non-negative numbers.

        Parameters
        ----------
        sequence
            Columns of the read-out sequence.
        """
        header = {"DATATYPE": (layout.DATATYPES["AUX"], "Type of the data")}
        hdus = [
            make_table(schema, data, layout.extension(instrument, "AUX", number), header)
            for number, schema, data in (
                (1, layout.RGS_AUXILIARY_FRAMES, frames),
                (2, layout.RGS_AUXILIARY_SEQUENCE, sequence),
            )
        ]
        self.write(instrument, "AUX", hdus, "RGS AUXILIARY FILE", start_s, stop_s, exp_id)


def _window(window: tuple[int, int, int, int]) -> dict[str, tuple[int, str]]:
    keys = ("WINDOWX0", "WINDOWY0", "WINDOWDX", "WINDOWDY")
    return {key: (int(value), "[pixel] Read-out window") for key, value in zip(keys, window, strict=True)}


def pack_odf(folder: Path, archive: Path, revolution: int, obs_id: str, request: int = 276294) -> Path:
    """Pack an ODF as the science archive sends it: a ``.tar.gz`` with a tar of the files and a manifest.

    Parameters
    ----------
    folder
        Folder of the raw files.
    archive
        The file to write.
    revolution
        The revolution.
    obs_id
        The observation.
    request
        Number that names of files in it have.
    """
    files = sorted(path for path in Path(folder).iterdir() if path.is_file())
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in files:
            _add(tar, path.name.upper(), path.read_bytes())
    manifest = "".join(f"{path.name.upper()}\n" for path in files)
    archive = Path(archive)
    # No time stamps and the fastest compression: the same input gives the same bytes, soon.
    with (
        replacing_file(archive) as part,
        part.open("wb") as raw,
        gzip.GzipFile("", "wb", 1, raw, 0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        _add(tar, f"{revolution:04d}_{obs_id}.TAR", inner.getvalue())
        _add(tar, f"MANIFEST.{request:06d}", manifest.encode())
    return archive


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def write_table(path: Path, schema: Sequence[Column], data: Mapping[str, Any], extname: str) -> None:
    """Write a single table, such as a truth table.

    Parameters
    ----------
    path
        The file.
    schema
        Its columns.
    data
        Column -> values.
    extname
        Name of the table.
    """
    from astropy.io import fits

    fits.HDUList([fits.PrimaryHDU(), make_table(schema, data, extname)]).writeto(path, overwrite=True)
