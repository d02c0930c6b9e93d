"""Settings: where things go, how many cores, which back-end, where calibration files are.

Read, in rising order of precedence, from the defaults, the user's configuration file
(``$XDG_CONFIG_HOME/daxa/daxa.cfg`` or the platform's equivalent, an INI file with the section
``[DAXA_SETUP]``; without it the one that DAXA 0.3 wrote) and the environment:

======================  ==================  =================================================
configuration key       environment         meaning
======================  ==================  =================================================
``daxa_save_path``      ``DAXA_OUTPUT``     folder for raw data and archives (``daxa_output``)
``num_cores``           ``DAXA_NUM_CORES``  processes to use (-1: 90 % of the cores, rounded up)
``backend``             ``DAXA_BACKEND``    ``auto``, ``sas`` or ``embedded``
``calibration_path``    ``DAXA_CCFPATH``    colon-separated folders of calibration files
``pfiles_path``                             what ``PFILES_PATH`` gives to scripts (``~/pfiles``)
======================  ==================  =================================================

Nothing is cached: a changed environment is seen at the next call. Nothing is written. ``OUTPUT``,
``NUM_CORES``, ``BACKEND``, ``PFILES_PATH``, ``CONFIG_FILE``, ``CONFIG_PATH`` and ``daxa_conf`` are the
settings as they are when these names are imported.
"""

from __future__ import annotations

import configparser
import math
import os
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from daxa.exceptions import DAXAConfigError

SECTION = "DAXA_SETUP"
BACKENDS = ("auto", "sas", "embedded")
_ENVIRONMENT = {
    "daxa_save_path": "DAXA_OUTPUT",
    "num_cores": "DAXA_NUM_CORES",
    "backend": "DAXA_BACKEND",
    "calibration_path": "DAXA_CCFPATH",
}
_DEFAULTS = {
    "daxa_save_path": "daxa_output",
    "num_cores": "-1",
    "backend": "auto",
    "calibration_path": "",
    "pfiles_path": "",
}


def config_file() -> Path:
    """Path of the user's configuration file, which need not exist."""
    from platformdirs import user_config_path

    return user_config_path("daxa") / "daxa.cfg"


def former_config_file() -> Path:
    """Where DAXA 0.3 keeps its configuration file, on all platforms."""
    folder = os.environ.get("XDG_CONFIG_HOME")
    return Path(folder) / "daxa.cfg" if folder else Path.home() / ".config" / "daxa" / "daxa.cfg"


@cache
def _note_former(former: Path, own: Path) -> None:
    warnings.warn(
        f"settings are read from {former}, where DAXA 0.3 had them; their place is {own}", stacklevel=4
    )


def cache_path() -> Path:
    """Folder for what can be fetched again: catalogues and calibration files."""
    from platformdirs import user_cache_path

    return user_cache_path("daxa")


def as_dict() -> dict[str, dict[str, str]]:
    """Every setting in force, by section, as text."""
    values = dict(_DEFAULTS)
    path, former = config_file(), former_config_file()
    if not path.is_file() and former.is_file():
        _note_former(former, path)
        path = former
    if path.is_file():
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as err:
            raise DAXAConfigError(f"{path}: not a readable INI file ({err})") from err
        if parser.has_section(SECTION):
            values.update({k: v for k, v in parser[SECTION].items() if k in values})
    for key, variable in _ENVIRONMENT.items():
        if os.environ.get(variable):
            values[key] = os.environ[variable]
    return {SECTION: values}


def _setting(key: str) -> str:
    return as_dict()[SECTION][key].strip()


def available_cores() -> int:
    """Number of processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def num_cores() -> int:
    """Number of processes to use by default.

    Raises
    ------
    DAXAConfigError
        The setting is not an integer, is zero or below -1, or exceeds the machine.
    """
    text = _setting("num_cores")
    try:
        number = int(text)
    except ValueError:
        raise DAXAConfigError(f"num_cores: expected an integer, got {text!r}") from None
    cores = available_cores()
    if number == -1:
        return max(1, math.ceil(0.9 * cores))
    if not 1 <= number <= cores:
        raise DAXAConfigError(f"num_cores: expected -1 or 1 to {cores} (this machine's cores), got {number}")
    return number


def output_path() -> str:
    """Absolute path, with a trailing slash, under which raw data and archives live."""
    return os.path.join(os.path.abspath(os.path.expanduser(_setting("daxa_save_path"))), "")


def backend() -> str:
    """The back-end asked for: ``auto``, ``sas`` or ``embedded``."""
    value = _setting("backend").lower()
    if value not in BACKENDS:
        raise DAXAConfigError(f"backend: expected one of {', '.join(BACKENDS)}, got {value!r}")
    return value


def calibration_path() -> str:
    """Colon-separated search path of calibration files.

    ``SAS_CCFPATH`` of the environment if it is set, then the configured folders, then the cache.
    """
    paths = [os.environ.get("SAS_CCFPATH", ""), _setting("calibration_path"), str(cache_path() / "ccf")]
    # A blank between two separators would mean the folder in which one happens to be.
    return os.pathsep.join(folder for path in paths for folder in path.split(os.pathsep) if folder)


def absent_calibration() -> list[str]:
    """Configured folders of calibration files that are not there; the cache need not be."""
    return [f for f in _setting("calibration_path").split(os.pathsep) if f and not os.path.isdir(f)]


def pfiles_path() -> str:
    """Folder of HEASoft's parameter files, for scripts; it need only be there if it was configured.

    Jobs have parameter files of their own.

    Raises
    ------
    FileNotFoundError
        The configured folder is not there.
    """
    configured = _setting("pfiles_path")
    if configured and not os.path.isdir(os.path.expanduser(configured)):
        raise FileNotFoundError(f"pfiles_path: no such folder {configured}")
    return os.path.abspath(os.path.expanduser(configured or "~/pfiles"))


def _sb_rate() -> Any:
    from astropy import units

    return units.def_unit("sb_rate", units.ct / (units.deg**2 * units.s))


def _calpv_table() -> Any:
    from importlib import resources

    import pandas as pd

    with resources.files("daxa.mission").joinpath("data/erosita_calpv.csv").open(encoding="utf-8") as table:
        return pd.read_csv(table, dtype={"ObsID": str}, comment="#")


#: Names that give a setting or a table as it is when they are imported.
_VALUES: dict[str, Callable[[], Any]] = {
    "OUTPUT": output_path,
    "NUM_CORES": num_cores,
    "BACKEND": backend,
    "PFILES_PATH": pfiles_path,
    "CONFIG_FILE": lambda: str(config_file()),
    "CONFIG_PATH": lambda: str(config_file().parent),
    "daxa_conf": as_dict,
    "sb_rate": _sb_rate,
    "EROSITA_CALPV_INFO": _calpv_table,
}


def __getattr__(name: str) -> Any:
    if name in _VALUES:
        return _VALUES[name]()
    raise AttributeError(f"module 'daxa.config' has no attribute {name!r}")
