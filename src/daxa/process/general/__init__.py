"""Processing that is the same for every mission."""

from __future__ import annotations

from daxa.process.general.preprocessed import preprocessed_in_archive

__all__ = ["preprocessed_in_archive"]
