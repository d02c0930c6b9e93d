"""Rare ways to read a MOS CCD, made of the files of an exposure that was read in the usual way.

Each function changes the files of one CCD in a folder with a simulated ODF, so that the reduction of the
usual files says what must come out: both nodes instead of one, single pixels instead of events (reduced
imaging), timing without columns (compressed), and a flipped bit in the table of offsets.

Parameters
----------
odf
    Folder of the raw files; changed.
instrument
    ``M1`` or ``M2``.
exp_id
    Identifier of the exposure, e.g. ``S001``.
ccd
    Number of the CCD.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from daxa.simulate.calibration.constituents import pattern_roles
from daxa.simulate.numbers import cameras as numbers
from daxa.xmm.fits.schema import Column, make_table
from daxa.xmm.formats import odf as layout

_COSMIC = 30


def _shapes() -> dict[int, list[tuple[int, int]]]:
    """Pixels above threshold of each pattern, relative to the main one, which comes first."""
    result = {}
    for number, role in pattern_roles().items():
        if number < _COSMIC:
            y, x = np.nonzero(np.asarray(role) == 1)
            result[number] = sorted(
                ((int(i) - 2, int(j) - 2) for i, j in zip(x, y, strict=True)), key=lambda p: p != (0, 0)
            )
    return result


def _file(odf: Path, label: str) -> Path:
    return next(p for p in odf.iterdir() if label in p.name)


def _load(path: Path) -> tuple[Any, Any, dict[str, np.ndarray]]:
    """Primary header, header and columns of a file's table."""
    from astropy.io import fits

    with fits.open(path) as hdus:
        data = hdus[1].data
        columns = {n: np.array(data[n]).astype(np.int64) for n in data.dtype.names}
        return hdus[0].header.copy(), hdus[1].header.copy(), columns


def _store(
    path: Path,
    primary: Any,
    header: Any,
    schema: tuple[Column, ...],
    columns: Mapping[str, Any],
    **cards: Any,
) -> None:
    from astropy.io import fits

    structure = ("XTENSION", "BITPIX", "NAXIS", "PCOUNT", "GCOUNT", "TFIELDS", "TTYPE", "TFORM", "TUNIT")
    kept = {k: v for k, v in header.items() if k != "EXTNAME" and not k.startswith(structure)}
    table = make_table(schema, columns, header["EXTNAME"], {**kept, **cards})
    fits.HDUList([fits.PrimaryHDU(header=primary), table]).writeto(path, overwrite=True)


def _pixels(
    columns: Mapping[str, np.ndarray], row: int | np.integer, shape: list[tuple[int, int]]
) -> list[list[int]]:
    """RAWX, RAWY and amplitude of the pixels of one event; E2 in equal parts."""
    n = len(shape) - 1
    shares = [int(columns["ENERGYE1"][row])]
    if n:
        part, rest = divmod(int(columns["ENERGYE2"][row]), n)
        shares += [part + (i < rest) for i in range(n)]
    x, y = int(columns["RAWX"][row]), int(columns["RAWY"][row])
    return [[x + dx, y + dy, adu] for (dx, dy), adu in zip(shape, shares, strict=True)]


def _mirrored(shapes: dict[int, list[tuple[int, int]]]) -> np.ndarray:
    """Number of each pattern seen from the other side."""
    by_shape = {frozenset(pixels): number for number, pixels in reversed(shapes.items())}
    result = np.arange(256)
    for number, pixels in shapes.items():
        # What the library does not hold is a track.
        result[number] = by_shape.get(frozenset((-x, y) for x, y in pixels), _COSMIC + 1)
    return result


def read_two_nodes(odf: Path, instrument: str, exp_id: str, ccd: int, last_column: int = 300) -> int:
    """Read a CCD through both nodes, every event recognised in its own half.

    Parameters
    ----------
    last_column
        Last RAWX of the primary node. The other one counts columns from its own side of the CCD.

    Returns
    -------
    int
        Number of events that the line between the halves has cut.
    """
    label = f"_{instrument}{exp_id}{ccd}"
    path = _file(odf, f"{label}0IME")
    primary, header, columns = _load(path)
    shapes = _shapes()
    by_shape = {frozenset(pixels): number for number, pixels in reversed(shapes.items())}
    # The place of a column is this much more than its RAWX, counted from either side.
    more = numbers.MOS_SCAN["UNDER_X"] + numbers.MOS_EVENT_OFFSET - 1 - int(header["WINDOWX0"])
    boundary = last_column + more
    # Noise beside the first and the last column belongs to no half.
    inside = (columns["RAWX"] > more) & (columns["RAWX"] <= 600 + more)
    columns = {name: values[inside] for name, values in columns.items()}
    rows = {name: [values] for name, values in columns.items()}
    node = [(columns["RAWX"] > boundary).astype(int)]
    cut = np.zeros(len(columns["FRAME"]), bool)
    near = np.abs(columns["RAWX"] - boundary - 0.5) < 3
    for row in np.flatnonzero(near & (columns["PATTERN"] < _COSMIC)):
        pixels = _pixels(columns, row, shapes[int(columns["PATTERN"][row])])
        halves = [[p for p in pixels if (p[0] > boundary) == side] for side in (False, True)]
        if not all(halves):
            continue
        pieces = []
        for half in halves:
            x, y, e1 = max(half, key=lambda p: p[2])
            turn = -1 if x > boundary else 1
            pattern = by_shape.get(frozenset((turn * (p[0] - x), p[1] - y) for p in half))
            if pattern is not None:
                pieces.append((x, y, e1, sum(p[2] for p in half) - e1, pattern))
        if len(pieces) < 2:
            continue
        cut[row] = True
        for side, (x, y, e1, e2, found) in enumerate(pieces):
            # Patterns are turned round with the columns below, all at once.
            number = int(_mirrored(shapes)[found]) if side else found
            own = (x > boundary) == (columns["RAWX"][row] > boundary)
            piece = {name: int(columns[name][row]) for name in columns}
            piece |= {"RAWX": x, "RAWY": y, "ENERGYE1": e1, "ENERGYE2": e2, "PATTERN": number}
            if not own:
                piece |= {"ENERGYE3": 0, "ENERGYE4": 0}
            for name, value in piece.items():
                rows[name].append(np.array([value]))
            node.append(np.array([side]))
    keep = np.concatenate([~cut, np.ones(2 * int(cut.sum()), bool)])
    table = {name: np.concatenate(values)[keep] for name, values in rows.items()}
    side = np.concatenate(node)[keep]
    order = np.lexsort((table["RAWX"], table["RAWY"], table["FRAME"]))
    table, side = {name: values[order] for name, values in table.items()}, side[order]
    scan = numbers.MOS_SCAN["UNDER_X"]
    for number, width in ((0, last_column + scan), (1, 600 - last_column + scan)):
        mine = {name: values[side == number] for name, values in table.items()}
        if number == 1:
            mine["RAWX"] = 601 + 2 * more - mine["RAWX"]
            mine["PATTERN"] = _mirrored(shapes)[mine["PATTERN"]]
        _store(
            path.with_name(path.name.replace("0IME", f"{number}IME")), primary, header, layout.MOS_IMAGING,
            mine, CCDNODE=number, WINDOWDX=width,
        )  # fmt: skip
    offsets = [p for p in odf.iterdir() if f"{label}0OVE" in p.name]
    for old in offsets:
        old_primary, old_header, values = _load(old)
        _store(
            old.with_name(old.name.replace("0OVE", "1OVE")), old_primary, old_header, layout.MOS_OFFSETS,
            values, CCDNODE=1,
        )  # fmt: skip
    sizes = np.zeros(256, np.int64)
    for number, shape in shapes.items():
        sizes[number] = len(shape)
    parts = [{k: values[side == number] for k, values in table.items()} for number in (0, 1)]
    share = last_column / 600
    _count(
        odf, instrument, exp_id, ccd, [p["FRAME"] for p in parts], [sizes[p["PATTERN"]] for p in parts],
        [share, 1 - share],
    )  # fmt: skip
    return int(cut.sum())


def send_single_pixels(odf: Path, instrument: str, exp_id: str, ccd: int) -> int:
    """Send the pixels of a CCD's events one by one (reduced imaging); tracks of cosmic rays stay on board.

    Returns
    -------
    int
        Number of events whose pixels are sent.
    """
    path = _file(odf, f"_{instrument}{exp_id}{ccd}0IME")
    primary, header, columns = _load(path)
    shapes = _shapes()
    events = np.flatnonzero(columns["PATTERN"] < _COSMIC)
    sent = [
        [int(columns["FRAME"][row]), *pixel]
        for row in events
        for pixel in _pixels(columns, row, shapes[int(columns["PATTERN"][row])])
    ]
    values = np.array(sorted(sent, key=lambda p: (p[0], p[2], p[1])), np.int64).reshape(-1, 4)
    table = dict(zip(("FRAME", "RAWX", "RAWY", "ENGYE1E2"), values.T, strict=True))
    _store(
        path.with_name(path.name.replace("IME", "RIE")), primary, header, layout.MOS_REDUCED_IMAGING, table,
        DATATYPE=layout.DATATYPES["RIE"], EDUMODE=2,
    )  # fmt: skip
    path.unlink()
    _count(odf, instrument, exp_id, ccd, [table["FRAME"]])
    return len(events)


def send_no_columns(odf: Path, instrument: str, exp_id: str, ccd: int = 1) -> None:
    """Leave columns and patterns out of a timing list (compressed timing)."""
    path = _file(odf, f"_{instrument}{exp_id}{ccd}0TIE")
    primary, header, columns = _load(path)
    _store(
        path.with_name(path.name.replace("TIE", "CTE")), primary, header, layout.MOS_COMPRESSED_TIMING,
        columns, DATATYPE=layout.DATATYPES["CTE"],
    )  # fmt: skip
    path.unlink()


def flip_offset(odf: Path, instrument: str, exp_id: str, ccd: int, rawy: int, adu: int) -> int:
    """Raise the offset of a row on board: its pixels, and what surrounds events near it, are read lower.

    Parameters
    ----------
    rawy
        The row.
    adu
        How much is subtracted more [adu].

    Returns
    -------
    int
        Number of events left on that row.
    """
    path = _file(odf, f"_{instrument}{exp_id}{ccd}0IME")
    primary, header, columns = _load(path)
    row = rawy - 1 + numbers.MOS_SCAN["UNDER_Y"] + numbers.MOS_EVENT_OFFSET - int(header["WINDOWY0"])
    distance = np.abs(columns["RAWY"] - row)
    box, ring = (np.select([distance == d for d in range(3)], pixels, 0) for pixels in ((2, 3, 0), (2, 2, 5)))
    for name, amount in (("ENERGYE1", (distance == 0).astype(int)), ("ENERGYE3", box), ("ENERGYE4", ring)):
        columns[name] = columns[name] - amount * adu
    seen = (distance != 0) | (columns["ENERGYE1"] >= int(header["EDUTHR"]))
    # The other pixels of an event may lie on the row: singles are enough here.
    seen &= (distance > 1) | (columns["PATTERN"] == 0)
    table = {name: values[seen] for name, values in columns.items()}
    _store(path, primary, header, layout.MOS_IMAGING, table)
    _count(odf, instrument, exp_id, ccd, [table["FRAME"]])
    return int((distance[seen] == 0).sum())


def _count(
    odf: Path,
    instrument: str,
    exp_id: str,
    ccd: int,
    frames: list[np.ndarray],
    sizes: list[np.ndarray] | None = None,
    shares: list[float] | None = None,
) -> None:
    """Put the counters of each node into the auxiliary file.

    Parameters
    ----------
    frames, sizes
        Per node: frame and number of pixels of each event.
    shares
        Part of the CCD that each node reads; it gets as much of what stayed on board.
    """
    path = _file(odf, f"_{instrument}{exp_id}00AUX")
    primary, header, columns = _load(path)
    mine = (columns["CCDID"] == ccd) & (columns["CCDNODE"] == 0)
    parts = [{name: values[~mine] for name, values in columns.items()}]
    for node, of_node in enumerate(frames):
        part = {name: values[mine].copy() for name, values in columns.items()}
        part["CCDNODE"][:] = node
        count = np.bincount(of_node, minlength=int(part["FRAME"].max()) + 1)
        part["NVALID"] = count[part["FRAME"]]
        if sizes is not None and shares is not None:
            all_frames, all_sizes = np.concatenate(frames), np.concatenate(sizes)
            length = len(count)
            in_all = np.bincount(all_frames, weights=all_sizes, minlength=length)[part["FRAME"]]
            own = np.bincount(of_node, weights=sizes[node], minlength=length)[part["FRAME"]]
            part["NPIXEL"] = np.rint(own + shares[node] * (part["NPIXEL"] - in_all)).astype(np.int64)
            for name in ("NABOVE", "NBELOW"):
                part[name] = np.rint(shares[node] * part[name]).astype(np.int64)
        parts.append(part)
    table = {name: np.concatenate([p[name] for p in parts]) for name in columns}
    order = np.lexsort((table["CCDNODE"], table["CCDID"], table["FRAME"]))
    _store(path, primary, header, layout.MOS_AUXILIARY, {n: v[order] for n, v in table.items()})
