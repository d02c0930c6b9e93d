"""Progress bars: one per step and mission, shown when its first job starts."""

from __future__ import annotations

import sys
from typing import Any


class Progress:
    """Bars that count jobs; the totals may change while observations reveal what they hold.

    Parameters
    ----------
    disable
        Whether nothing is shown.
    """

    def __init__(self, disable: bool) -> None:
        self.disable = disable
        self._bars: dict[str, Any] = {}
        self._totals: dict[str, int] = {}

    def expect(self, name: str, number: int) -> None:
        """Change the number of jobs of a bar.

        Parameters
        ----------
        name
            Text of the bar.
        number
            How many jobs come to those known; negative if some do not run.
        """
        self._totals[name] = self._totals.get(name, 0) + number
        if name in self._bars:
            self._bars[name].total = self._totals[name]
            self._bars[name].refresh()

    def begin(self, name: str) -> None:
        """Show a bar, if it is not there yet.

        Parameters
        ----------
        name
            Text of the bar.
        """
        if name not in self._bars:
            from tqdm.auto import tqdm

            self._bars[name] = tqdm(
                desc=name, total=self._totals.get(name, 0), disable=self.disable, position=len(self._bars)
            )

    def advance(self, name: str) -> None:
        """Count one more job as done.

        Parameters
        ----------
        name
            Text of the bar; shown now if it was not before.
        """
        self.begin(name)
        self._bars[name].update(1)

    def say(self, text: str) -> None:
        """Print a line without disturbing the bars, and as these do to standard error.

        Parameters
        ----------
        text
            The line.
        """
        if not self.disable:
            from tqdm.auto import tqdm

            tqdm.write(text, file=sys.stderr)

    def close(self) -> None:
        for bar in self._bars.values():
            bar.close()
