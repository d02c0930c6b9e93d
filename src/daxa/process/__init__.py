"""Processing: which task runs on which piece of data, in which order.

``PROC_LOOKUP`` has the processing functions, by mission and name.
"""

from __future__ import annotations

from typing import Any

__all__ = ["PROC_LOOKUP", "redoing", "use_executor"]


def __getattr__(name: str) -> Any:
    if name in ("redoing", "use_executor"):
        from daxa.process import settings

        return getattr(settings, name)
    if name == "PROC_LOOKUP":
        from daxa.process.xmm import FUNCTIONS

        return {"xmm_pointed": FUNCTIONS}
    raise AttributeError(f"module 'daxa.process' has no attribute {name!r}")
