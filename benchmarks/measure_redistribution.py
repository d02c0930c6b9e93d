"""Measure the law of redistribution of a camera on a real matrix, and write the package's table.

Usage::

    python benchmarks/measure_redistribution.py MATRIX TABLE "WHAT MATRIX IT IS"
    python benchmarks/measure_redistribution.py --widths TABLE MODE DATE MATRIX [MODE DATE MATRIX ...]

The law is that of :mod:`daxa.xmm.spectra.redistribution`; at each energy its numbers are those with the least
squares of the differences of cumulated shares. With ``--widths`` only the widths and the shift of lines are
measured, in matrices of the pn of other modes and dates; all else is that of the package's table.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from daxa.xmm.spectra.ogip import read_matrix
from daxa.xmm.spectra.redistribution import SILICON_EDGE_EV, Line, measured_law

ENERGIES = (
    60, 80, 100, 130, 160, 200, 250, 300, 350, 400, 425, 450, 475, 500, 515, 530, 545, 560, 580, 600, 630,
    665, 700, 800, 900, 1000, 1150, 1300, 1450, 1600, 1750, 1836, 1843, 1850, 1860, 1875, 1900, 1950, 2010,
    2100, 2250, 2400, 2600, 2800, 3100, 3500, 4000, 4500, 5200, 5900, 6400, 7000, 7800, 9000, 10500, 11900,
)  # fmt: skip
NAMES = (
    "core",
    "tail",
    "high",
    "low",
    "escape",
    "tail_ev",
    "edge",
    "narrow_ev",
    "wide_ev",
    "wide",
    "shift_ev",
)


#: Below, lines are lost in what shelves and tail are, and tell no widths [eV].
WIDTHS_FROM_EV = 480.0


def line_of(numbers: np.ndarray, escapes: bool) -> Line:
    """Numbers without limits as those of a line."""
    shares = np.exp(np.append([0.0], numbers[:3]))
    escape = np.exp(numbers[3]) if escapes else 0.0
    shares = np.append(shares, escape)
    shares /= shares.sum()
    sizes = np.exp(numbers[4]), 1 / (1 + np.exp(-numbers[5])), np.exp(numbers[6]), np.exp(numbers[7])
    return Line(*map(float, (*shares, *sizes, 1 / (1 + np.exp(-numbers[8])), numbers[9])))


def measure(energy: float, limits: np.ndarray, row: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The numbers that describe a row best."""
    seen = np.concatenate([[0.0], np.cumsum(row)])

    def difference(numbers: np.ndarray) -> np.ndarray:
        below = line_of(numbers, energy > SILICON_EDGE_EV).below(energy, limits)
        below -= below[0]
        # Weak parts count, too; a weak pull keeps what the row does not tell where it was.
        gone = np.concatenate([30 * (below / below[-1] - seen), 1e-3 * (numbers - start)])
        return gone

    low = np.array([-12, -12, -12, -12, np.log(5), -5, np.log(12), np.log(15), -4, -90])
    high = np.array([4, 8, 8, -1, np.log(500), 3, np.log(160), np.log(260), 4, 90])
    return least_squares(
        difference, np.clip(start, low + 1e-3, high - 1e-3), bounds=(low, high), max_nfev=150
    ).x


def measure_widths(energy: float, limits: np.ndarray, row: np.ndarray, line: Line) -> Line:
    """The line with the widths and the shift that describe a row best."""
    seen = np.concatenate([[0.0], np.cumsum(row)])
    start = np.array([np.log(line.narrow_ev), np.log(line.wide_ev), line.wide, line.shift_ev])

    def with_numbers(numbers: np.ndarray) -> Line:
        narrow, wide = np.exp(numbers[:2])
        return replace(
            line,
            narrow_ev=float(narrow),
            wide_ev=float(wide),
            wide=float(numbers[2]),
            shift_ev=float(numbers[3]),
        )

    def difference(numbers: np.ndarray) -> np.ndarray:
        below = with_numbers(numbers).below(energy, limits)
        below -= below[0]
        # A weak pull keeps what the row does not tell where it was.
        return np.concatenate([30 * (below / below[-1] - seen), 1e-2 * (numbers - start)])

    low, high = np.array([2.0, 2.0, 0.0, -90.0]), np.array([5.6, 5.6, 1.0, 90.0])
    return with_numbers(
        least_squares(difference, np.clip(start, low + 1e-3, high - 1e-3), bounds=(low, high)).x
    )


def write_widths(table: Path, matrices: list[tuple[str, str, Path]]) -> int:
    """Measure widths in matrices of the pn, and write the package's table."""
    law = measured_law("EPN")
    names = ("narrow_ev", "wide_ev", "wide", "shift_ev")
    lines = [
        "# Widths and shifts of lines in matrices that rmfgen (SAS 11 to 20) made for other modes and dates",
        "# of the pn than those of redistribution_epn.csv, whose other numbers hold. Energies in eV.",
        f"mode,date,energy,{','.join(names)}",
    ]
    for mode, date, path in matrices:
        bins, limits, rows = read_matrix(path)
        middles = 0.5 * (bins[1:] + bins[:-1])
        for energy in law.energy_ev:
            k = int(np.argmin(np.abs(middles - energy)))
            line = law.line(float(energy))
            if energy > WIDTHS_FROM_EV:
                line = measure_widths(middles[k], limits, rows[k], line)
            text = ",".join(f"{getattr(line, name):.4g}" for name in names)
            lines.append(f"{mode},{date},{energy:g},{text}")
            print(lines[-1], flush=True)
    table.write_text("\n".join(lines) + "\n", encoding="ascii")
    return 0


def main() -> int:
    if sys.argv[1:2] == ["--widths"] and len(sys.argv) > 5 and len(sys.argv) % 3 == 0:
        given = sys.argv[3:]
        return write_widths(
            Path(sys.argv[2]),
            [(given[k], given[k + 1], Path(given[k + 2])) for k in range(0, len(given), 3)],
        )
    if len(sys.argv) != 4:
        print(__doc__)
        return 2
    bins, limits, rows = read_matrix(Path(sys.argv[1]))
    middles = 0.5 * (bins[1:] + bins[:-1])
    lines = [f"# What describes {sys.argv[3]}.", "# Energies in eV.", f"energy,{','.join(NAMES)}"]
    start = np.array([-3, -2.5, -3.5, -4, np.log(60), 0, np.log(40), np.log(55), -0.8, 0.0])
    found = {}
    at = int(np.argmin(np.abs(np.array(ENERGIES) - 1000)))
    # From the middle outwards: each begins where its neighbour ended.
    for way in (ENERGIES[at:], ENERGIES[at - 1 :: -1]):
        numbers = found.get(ENERGIES[at], start)
        for wanted in way:
            k = int(np.argmin(np.abs(middles - wanted)))
            numbers = measure(middles[k], limits, rows[k], numbers)
            found[wanted] = numbers
            line = line_of(numbers, middles[k] > SILICON_EDGE_EV)
            below = line.below(middles[k], limits)
            off = np.abs(
                (below - below[0]) / (below[-1] - below[0]) - np.concatenate([[0], np.cumsum(rows[k])])
            ).max()
            text = ",".join(f"{getattr(line, name):.4g}" for name in NAMES)
            lines.append(f"{middles[k]:.1f},{text}")
            print(f"{middles[k]:8.1f} eV: cumulated shares differ by at most {off:.4f}   {text}", flush=True)
    head, table = lines[:3], sorted(lines[3:], key=lambda text: float(text.split(",")[0]))
    Path(sys.argv[2]).write_text("\n".join([*head, *table]) + "\n", encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
