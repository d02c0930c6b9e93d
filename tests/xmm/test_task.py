"""What a task hands on to those inside it."""

import io
from pathlib import Path

import pytest

from daxa.xmm.task import TaskContext


@pytest.mark.parametrize(
    ("cwd", "text", "seen"),
    [
        ("/data", "/data/a.fits:EVENTS", "a.fits:EVENTS"),
        ("/data", "/data/a.fits /data/b.fits", "a.fits b.fits"),
        ("/data", "(PI>1) && GTI(/data/gti.fits,TIME)", "(PI>1) && GTI(gti.fits,TIME)"),
        ("/data", "/mnt/data/a.fits", "/mnt/data/a.fits"),
        (".", "../a.fits", "../a.fits"),
        (".", "./a.fits", "./a.fits"),
    ],
)
def test_only_files_of_the_folder_lose_it(cwd, text, seen, monkeypatch):
    handed = {}
    monkeypatch.setattr("daxa.xmm.task.run_task", lambda name, arguments, **_: handed.update(arguments))
    TaskContext("espfilt", Path(cwd), {}, out=io.StringIO(), err=io.StringIO()).call(
        "evselect", table=text, n=3
    )
    assert handed == {"table": seen, "n": 3}
