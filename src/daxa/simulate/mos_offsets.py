"""Offsets that a MOS camera subtracts on board."""

from __future__ import annotations

import numpy as np

from daxa.simulate import instrument_numbers as numbers

#: Offsets subtracted on board from every column and row, and their read noise squared [adu].
COLUMN_OFFSET, ROW_OFFSET, VARIANCE = 100, 6, 23.0


def offset_tables(ccd: int) -> tuple[np.ndarray, np.ndarray]:
    """Offsets subtracted on board, per column (610) and row (602) of the read-out [adu]."""
    columns = np.full(610, COLUMN_OFFSET)
    # One column far off the others, as the real MOS1 CCD 1 has.
    columns[(97 + 31 * ccd) % 600 + numbers.MOS_SCAN["UNDER_X"]] += 13
    return columns, np.full(602, ROW_OFFSET)
