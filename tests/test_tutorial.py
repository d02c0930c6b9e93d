"""The tutorial runs as it is written."""

import re
from pathlib import Path

import pytest

from daxa.mission import XMMPointed

PAGE = Path(__file__).resolve().parent.parent / "docs" / "tutorial.md"


@pytest.mark.slow
def test_tutorial(simulated, monkeypatch, capsys, tmp_path):
    """Every Python block of the page, in order, with the simulated field in place of the sky."""
    import daxa.mission

    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 6
    odf = Path(simulated.ccf).parent / "odf"
    monkeypatch.setattr(daxa.mission, "XMMPointed", lambda: XMMPointed(local=odf))
    monkeypatch.setattr(XMMPointed, "name_resolver", staticmethod(lambda name, parse=False: (149.59, -11.06)))
    monkeypatch.setenv("DAXA_CCFPATH", str(simulated.ccf))
    monkeypatch.setenv("DAXA_BACKEND", "embedded")
    names = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out
    assert "0800010101" in printed
    assert len(re.findall(r"finalevents.fits \d+ events in \d+ s", printed)) >= 9
    arch = names["arch"]
    assert all(all(idents.values()) for idents in arch.process_success["xmm_pointed"].values())
    assert not arch.get_failed_processes("emchain")["xmm_pointed"]
