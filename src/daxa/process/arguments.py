"""Checks of what users hand to the steps."""

from __future__ import annotations

import math
import threading
from numbers import Integral
from typing import TYPE_CHECKING, Any

from daxa import config

if TYPE_CHECKING:
    from astropy.units import Quantity


def check_cores(num_cores: Any) -> int:
    """Number of jobs at once; the configured one for None.

    Parameters
    ----------
    num_cores
        What was given.

    Raises
    ------
    TypeError, ValueError
        It is not an integer, or below 1.
    """
    if num_cores is None:
        return config.num_cores()
    if isinstance(num_cores, bool) or not isinstance(num_cores, Integral):
        raise TypeError(f"num_cores: expected an integer, got {num_cores!r}")
    if num_cores < 1:
        raise ValueError(f"num_cores: expected at least 1, got {num_cores}")
    return int(num_cores)


def check_bool(name: str, value: Any) -> bool:
    """True or False, or a `TypeError` that names the argument.

    Parameters
    ----------
    name
        Name of the argument.
    value
        What was given.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name}: expected True or False, got {value!r}")
    return value


def check_quantity(name: str, value: Any, unit: str) -> float:
    """A scalar quantity in the unit.

    Parameters
    ----------
    name
        Name of the argument.
    value
        What was given.
    unit
        The unit.

    Raises
    ------
    TypeError, ValueError
        Not a quantity, not a scalar, or not a finite number.
    astropy.units.UnitConversionError
        A quantity of something else.

    Examples
    --------
    >>> from astropy.units import Quantity
    >>> check_quantity("timeout", Quantity(2, "min"), "s")
    120.0
    """
    from astropy.units import Quantity, Unit, UnitConversionError

    if not isinstance(value, Quantity) or not value.isscalar:
        raise TypeError(f"{name}: expected a quantity such as Quantity(1, {unit!r}), got {value!r}")
    try:
        found = float(value.to_value(Unit(unit)))
    except UnitConversionError:
        raise UnitConversionError(
            f"{name}: expected a unit that converts to {unit}, got {value.unit}"
        ) from None
    if not math.isfinite(found):
        raise ValueError(f"{name}: expected a finite number, got {value}")
    return found


def check_timeout(timeout: Quantity | None) -> float | None:
    """Time limit of a job in seconds.

    Parameters
    ----------
    timeout
        What was given.

    Raises
    ------
    TypeError, ValueError
        It is not a time, or not positive.
    """
    if timeout is None:
        return None
    seconds = check_quantity("timeout", timeout, "s")
    if not seconds > 0:
        raise ValueError(f"timeout: expected a positive time, got {timeout}")
    # Longer, the system cannot wait; it is some centuries.
    return min(seconds, threading.TIMEOUT_MAX)


def check_band(lo_en: Quantity | None, hi_en: Quantity | None) -> tuple[int, int] | None:
    """An energy band in eV; None for no limits.

    Parameters
    ----------
    lo_en, hi_en
        What was given: both, or none.

    Raises
    ------
    TypeError, ValueError
        One of them is missing or not an energy, or they are in the wrong order.

    Examples
    --------
    >>> from astropy.units import Quantity
    >>> check_band(Quantity(0.5, "keV"), Quantity(2, "keV"))
    (500, 2000)
    """
    if lo_en is None and hi_en is None:
        return None
    if lo_en is None or hi_en is None:
        raise ValueError("lo_en, hi_en: give both or none")
    lo, hi = check_quantity("lo_en", lo_en, "eV"), check_quantity("hi_en", hi_en, "eV")
    if not 0 <= lo < hi:
        raise ValueError(f"lo_en, hi_en: expected 0 <= lo_en < hi_en, got {lo_en} and {hi_en}")
    return round(lo), round(hi)


def check_bands(lo_en: Quantity, hi_en: Quantity) -> list[tuple[float, float]]:
    """Energy bands in keV, from two quantities of equal length (or scalars).

    Parameters
    ----------
    lo_en, hi_en
        What was given, shape (n,).

    Raises
    ------
    TypeError, ValueError
        They are not energies, differ in number, or a band is empty.

    Examples
    --------
    >>> from astropy.units import Quantity
    >>> check_bands(Quantity([0.5, 2.0], "keV"), Quantity([2.0, 10.0], "keV"))
    [(0.5, 2.0), (2.0, 10.0)]
    """
    import numpy as np
    from astropy.units import Quantity, Unit, UnitConversionError

    values = []
    for name, value in (("lo_en", lo_en), ("hi_en", hi_en)):
        if not isinstance(value, Quantity):
            raise TypeError(f"{name}: expected a quantity such as Quantity([0.5, 2], 'keV'), got {value!r}")
        try:
            values.append(np.atleast_1d(value.to_value(Unit("keV"))))
        except UnitConversionError:
            raise UnitConversionError(
                f"{name}: expected a unit that converts to keV, got {value.unit}"
            ) from None
    if values[0].shape != values[1].shape or values[0].ndim != 1:
        raise ValueError(f"lo_en, hi_en: expected the same number of energies, got {lo_en} and {hi_en}")
    bands = [(float(lo), float(hi)) for lo, hi in zip(*values, strict=True)]
    for lo, hi in bands:
        if not 0 <= lo < hi < math.inf:
            raise ValueError(
                f"lo_en, hi_en: expected 0 <= lo_en < hi_en in every band, got {lo} and {hi} keV"
            )
    return bands
