"""Work on an archive: by one process at a time, recorded, and cleaned up after."""

from __future__ import annotations

import contextlib
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

from daxa.archive.layout import Layout, log_name
from daxa.archive.ledger import Ledger
from daxa.archive.lock import hold, is_held
from daxa.archive.places import Places
from daxa.archive.run import Run
from daxa.exceptions import DAXAError


class Work(Places):
    """What those who process an archive do with it."""

    layout: Layout
    ledger: Ledger
    _name: str

    @contextlib.contextmanager
    def processing(self) -> Iterator[None]:
        """Keep other processes from processing this archive at the same time.

        Raises
        ------
        DAXAError
            One does.
        """
        self.check_there()
        with hold(self.layout.lock, f"the archive {self._name} is being processed"):
            self.check_there()
            self.interrupt()
            shutil.rmtree(self.layout.scratch, ignore_errors=True)
            if os.path.lexists(self.layout.scratch):
                raise DAXAError(
                    f"{self.layout.scratch}: is in the way of the scratch folder of jobs; please remove it"
                )
            try:
                yield
            finally:
                self._leave()

    def _leave(self) -> None:
        """Clean up, and keep a copy of the ledger once something has been recorded."""
        try:
            self.check_there()
        except DAXAError:  # moved, or another in its place: nothing there is of this call
            return
        shutil.rmtree(self.layout.scratch, ignore_errors=True)
        if self.ledger.changed:
            try:
                self.ledger.back_up(self.layout.backup)
            except DAXAError as failure:
                warnings.warn(str(failure), stacklevel=5)

    def interrupt(self) -> None:
        """Note that runs have not ended, and remove what was being published; only for who may run jobs."""
        unfinished = self.ledger.unfinished()
        folders = [self.obs_folder(*place) for place in unfinished if place[0] in self._missions]
        for folder in [*folders, self.layout.mosaics] if unfinished else []:
            for path in folder.rglob(".*.part"):
                path.unlink(missing_ok=True)
        # Of copies of the ledger and of states, which are written in transactions or by who may run jobs.
        with self.ledger.at_once():
            for path in self.layout.save_info.glob(".*.part*"):
                path.unlink(missing_ok=True)
        # Last: as long as they are not noted, a call that is killed here is followed by one that does it.
        self.ledger.interrupt_all()

    def check_there(self) -> None:
        """Make sure that the archive is where it was opened, and the one that was opened.

        Raises
        ------
        DAXAError
            It is not.
        """
        if not self.layout.save_info.is_dir():
            raise DAXAError(
                f"the archive {self._name} is no longer in {self.layout.root.parent}; has it been renamed or "
                "removed? Nothing more is done; open it by its new name to go on"
            )
        self.ledger.check_same()

    @property
    def in_work(self) -> bool:
        """Whether a process works on this archive."""
        return is_held(self.layout.lock)

    @property
    def read_only(self) -> bool:
        """Whether the archive can be looked at only: that of a colleague, or one on a read-only disk."""
        return self.ledger.read_only

    def logs(self, run: Run) -> dict[str, Path]:
        """Where the output of a run is kept: ``stdout`` and ``stderr`` -> file.

        Parameters
        ----------
        run
            A run of this archive.
        """
        folder = self.obs_folder(run.mission, run.obs_id)
        return {s: folder / log_name(run.process, run.ident, s) for s in ("stdout", "stderr")}

    def record(self, run: Run, write_logs: bool = True) -> None:
        """Record a finished run, and write its logs beside the data unless they are there.

        Parameters
        ----------
        run
            The run, ended.
        write_logs
            Whether its output is still to be written to files.

        Raises
        ------
        DAXAError
            The ledger cannot be written.

        Warns
        -----
        UserWarning
            A log cannot be written; the ledger has its text.
        """
        self.ledger.finish(run)
        if not write_logs:
            return
        for stream, path in self.logs(run).items():
            text = getattr(run, stream)
            try:
                if text or stream == "stdout":
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(text, encoding="utf-8")
                else:
                    path.unlink(missing_ok=True)
            except OSError as failure:  # e.g. a full disk; the ledger has the text
                warnings.warn(f"cannot write the log {path}: {failure}", stacklevel=2)
