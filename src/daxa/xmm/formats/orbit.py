"""Records of the orbit file (``*SC*ROS.ASC``): blocks of lines, each a state of the spacecraft.

Source: the document of the mission's orbit files (XMM-MOC-ICD-0021-OAD) is not public; this is the layout
that a public program of 2002 reads them with. No file was at hand. The program does not say what the
polynomials are; assumed:

- state: position and velocity at the epoch, mean equator and equinox of J2000, about the centre of the Earth;
  it moves along a Kepler ellipse of the given semi-major axis;
- polynomials: coefficients of Chebyshev's, from that of degree 0 on, over the block from its first day to its
  last; their sum is added to the place on the ellipse;
- days count from 2000-01-01T00:00:00 UTC.

Lines of a block: who made it and for when; days, epoch and size of the ellipse; state; up to five lines of
coefficients. Fields have fixed widths, and may touch.
"""

from __future__ import annotations

import re

#: First line of a block: number of the spacecraft, R (reconstructed) or P (predicted), three dates.
HEAD = re.compile(r"\s*\d{1,3}\s+([RP])\s+(\d{4}-\S+)\s+(\d{4}-\S+)\s+(\d{4}-\S+)\s*$")
#: Number of the spacecraft.
SPACECRAFT = 60
#: Width and decimals of the fields behind the number of a record, which has three digits.
ELLIPSE = ((12, 6), (12, 6), (15, 9), (11, 3), (13, 5), (13, 5))
ELLIPSE_NAMES = ("first_day", "last_day", "epoch_day", "revolution", "semi_major_axis_km", "inverse_motion_s")
STATE = ((11, 3), (11, 3), (11, 3), (11, 7), (11, 7), (11, 7), (11, 3))
POLYNOMIAL = STATE[:6]
#: Where days count from.
FIRST_DAY = "2000-01-01T00:00:00"
