"""Where jobs run: here, on an executor, on a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from typing import Any

from daxa.backend.software import OWN, SOFTWARE
from daxa.exceptions import DAXAError

#: Beginnings of addresses of Dask schedulers.
_ADDRESSES = ("tcp://", "tls://", "ucx://", "ws://", "wss://", "inproc://")
#: Beginnings of names of environment variables that tasks read.
_OF_TASKS = ("DAXA_", "SAS_")
#: What programs need beside them, wherever they run.
_OF_PROGRAMS = ("PATH", "LD_LIBRARY_PATH", "PERL5LIB", "PERLLIB", "HEADAS", "LHEASOFT", "LHEAPERL")


@contextmanager
def executor_of(given: Any, cores: int) -> Iterator[Executor | None]:
    """What runs jobs, for as long as it is needed.

    Parameters
    ----------
    given
        None for here; anything with the method ``submit`` of an executor of ``concurrent.futures``; a client
        of Dask; the address of a scheduler of Dask; or ``"dask"``: the client that there is in this process,
        else the scheduler that Dask's configuration (``DASK_SCHEDULER_ADDRESS``) names, else a cluster of
        processes on this machine, which ends with the call.
    cores
        Number of processes of such a cluster.

    Raises
    ------
    TypeError, ValueError
        It is not one of these.
    DAXAError
        Dask is not installed, or its scheduler is not reached.
    """
    with ExitStack() as stack:
        if isinstance(given, str):
            given = _dask(given, cores, stack)
        # A result that a cluster may still remember is not that of this call.
        yield given.get_executor(pure=False) if hasattr(given, "get_executor") else _checked(given)


def _checked(given: Any) -> Any:
    if given is not None and not callable(getattr(given, "submit", None)):
        raise TypeError(
            "executor: expected an executor, a client of Dask, 'dask' or the address of a scheduler, "
            f"got {given!r}"
        )
    return given


def check_name(given: str | None) -> None:
    """Refuse a name that is neither ``dask`` nor an address of a scheduler, before anything else is done.

    Parameters
    ----------
    given
        What was given.

    Raises
    ------
    ValueError
        It is not one.
    """
    if given not in (None, "dask") and not str(given).startswith(_ADDRESSES):
        raise ValueError(f"executor: expected 'dask' or an address such as tcp://host:8786, got {given!r}")


def _dask(given: str, cores: int, stack: ExitStack) -> Any:
    """The client of Dask that a name or an address stands for."""
    check_name(given)
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        raise DAXAError("executor: Dask is not installed: pip install dask distributed") from None
    if given == "dask":
        try:
            return Client.current()
        except ValueError:  # there is none yet
            given = dask.config.get("scheduler-address", "")
    if not given:
        cluster = LocalCluster(n_workers=cores, threads_per_worker=1, processes=True, dashboard_address=":0")
        return stack.enter_context(Client(stack.enter_context(cluster)))
    try:
        return stack.enter_context(Client(given))
    except OSError as failure:
        raise DAXAError(f"executor: no scheduler of Dask answers at {given} ({failure})") from failure


def carried(backend: str) -> dict[str, str]:
    """Environment variables of this process that the tasks of a job need wherever it runs.

    Parameters
    ----------
    backend
        The back-end of the job.
    """
    wanted = _OF_TASKS + (_OF_PROGRAMS if backend not in OWN else ())
    if backend in SOFTWARE:
        wanted += SOFTWARE[backend].carried
    return {name: value for name, value in os.environ.items() if name.startswith(wanted)}
