"""A table of an ODF file, once read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.odf.times import is_date

_NO_DEFAULT = object()


@dataclass(frozen=True)
class OdfTable:
    """A binary table of an ODF file: its columns as native-endian arrays, and both headers.

    ``where`` names file and extension in messages.
    """

    where: str
    header: Any
    primary: Any
    columns: Mapping[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.columns:
            raise TaskError(
                "missingColumn", f"{self.where}: no column {name}; it has {', '.join(self.columns)}"
            )
        return self.columns[name]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def keyword(self, name: str, default: Any = _NO_DEFAULT) -> Any:
        """A keyword of the extension, else of the primary header.

        Parameters
        ----------
        name
            The keyword.
        default
            What to give where it is missing; without it that is an error.

        Raises
        ------
        TaskError
            ``missingKeyword``: there is none and no default was given. ``badKeyword``: the default is a
            number and the value is not, or a date that is not one.
        """
        for header in (self.header, self.primary):
            if name in header:
                value = header[name]
                number = isinstance(default, (int, float)) and not isinstance(default, bool)
                if number and (isinstance(value, bool) or not isinstance(value, (int, float))):
                    raise TaskError(
                        "badKeyword", f"{self.where}: keyword {name}: expected a number, got {value!r}"
                    )
                if name.startswith("DATE-") and not is_date(value):
                    raise TaskError("badKeyword", f"{self.where}: keyword {name}: {value!r} is not a date")
                return value
        if default is _NO_DEFAULT:
            raise TaskError("missingKeyword", f"{self.where}: no keyword {name}")
        return default
