"""Every task on the simulated sets: no product changes without notice.

The hashes of ``product_hashes.txt`` are those of ``benchmarks/product_hashes.py``, which also says what they
cover and how two versions of the code are compared column by column. Floating-point numbers are hashed to the
last bit. Rounding them first would only move the edge: of a million numbers some lie on it, and energies and
positions are rounded and drawn at random further down. So the list names the versions of the libraries and
the arithmetic of the machine that it was made with; elsewhere only the names of the products are compared.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_name("product_hashes.txt")


def _benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("product_hashes", ROOT / "benchmarks" / "product_hashes.py")
    module = importlib.util.module_from_spec(spec)
    # Its classes are looked up by the name of the module.
    sys.modules["product_hashes"] = module
    spec.loader.exec_module(module)
    return module


benchmark = _benchmark()
pytestmark = pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
QUICK = [name for name, run in benchmark.RUNS.items() if run.quick]


@pytest.fixture
def sets(request, tmp_path: Path) -> Path:
    """A folder with the simulated set that a run needs, under its name."""
    size = benchmark.RUNS[request.getfixturevalue("name")].size
    fixture = {"small": "simulated"}.get(size, f"simulated_{size}")
    folder = tmp_path / "sets"
    folder.mkdir()
    (folder / size).symlink_to(request.getfixturevalue(fixture).folder, target_is_directory=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_products_are_what_they_were(name: str, sets: Path, tmp_path: Path):
    found = benchmark.run_tasks(name, sets, tmp_path / "runs")
    wanted, said = benchmark.read(LIST)
    wanted = {product: value for product, value in wanted.items() if product.startswith(f"{name}/")}
    assert sorted(found) == sorted(wanted), f"other products than in {LIST.name}; {benchmark.ACCEPT}"
    if said["machine"] != (here := benchmark.machine()):
        pytest.skip(f"the hashes were made with {said['machine']}; this is {here}")
    changed = benchmark.compared(wanted, found)["differ"]
    assert not changed, f"these products have changed: {', '.join(changed)}; {benchmark.ACCEPT}"


def test_every_task_is_run(capsys):
    """A new task gets a line in ``RUNS`` of the benchmark."""
    from daxa.xmm.__main__ import main

    assert main(["--help"]) == 0
    listed = capsys.readouterr().out.split("tasks:\n")[1].split("\n\n")[0]
    tasks = {line.split()[0] for line in listed.splitlines() if line.strip()}
    runs = {name: {words[0] for words in run.calls()} for name, run in benchmark.RUNS.items()}
    assert tasks - set().union(*runs.values()) == set()
    assert tasks - set().union(*(runs[name] for name in QUICK)) <= {"emproc", "epproc"}
    products = {line.split("/")[0] for line in benchmark.read(LIST)[0]}
    assert products == set(QUICK)


def _table(path: Path, **changes) -> Path:
    """A small list with one card or column changed."""
    import numpy as np
    from astropy.io import fits

    values = {"TIME": [1.0, 2.0], "PI": [500, 600], "DATE": "2020-01-01", "LOG": "/a/list.fits"}
    values |= {"XPROC0": "cifbuild analysisdate=2026-11-29T12:07:07", **changes}
    columns = [fits.Column(n, f, array=np.array(values[n])) for n, f in (("TIME", "D"), ("PI", "J"))]
    table = fits.BinTableHDU.from_columns(columns, name="EVENTS")
    table.header.update({key: values[key] for key in ("DATE", "LOG", "XPROC0")})
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    return path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"DATE": "2026-11-29"}, None),
        ({"LOG": "/other/list.fits"}, None),
        ({"XPROC0": "cifbuild analysisdate=2026-11-30T00:00:00"}, None),
        ({"LOG": "/a/lists.fits"}, ["EVENTS: LOG = '<folder>/list.fits' /  became '<folder>/lists.fits' / "]),
        ({"PI": [500, 601]}, ["EVENTS: column PI: 1 of 2 rows, first 1: 600 became 601"]),
        ({"TIME": [1.0, -0.0]}, ["EVENTS: column TIME: 1 of 2 rows, first 1: 2.0 became -0.0"]),
    ],
)
def test_what_counts_as_a_change(changes, said, tmp_path: Path):
    old, new = _table(tmp_path / "old"), _table(tmp_path / "new", **changes)
    folders = benchmark.Folders(Path("/a"), Path("/other"))
    assert (benchmark.hash_of(old, folders) == benchmark.hash_of(new, folders)) == (said is None)
    assert benchmark.differences(old, new, folders) == (said or [])


def test_dates_and_folders_of_texts_do_not_count(tmp_path: Path):
    text = "// By daxa-0.1.0 on 2026-11-29T11:31:10.000\nPATH {0}/odf/\n2016-11-13T17:19:20.000 / Start\n"
    (tmp_path / "old").write_text(text.format("/a"))
    (tmp_path / "new").write_text(text.replace("2026", "2027").replace("0.1.0", "0.2.0").format("/other"))
    (tmp_path / "third").write_text(text.replace("2016", "2017").format("/a"))
    folders = benchmark.Folders(Path("/a"), Path("/other"))
    old, new, third = (benchmark.hash_of(tmp_path / name, folders) for name in ("old", "new", "third"))
    assert old == new != third


def test_environment_is_put_back(tmp_path: Path):
    before = dict(os.environ), os.getcwd(), sys.argv
    with pytest.raises(RuntimeError, match="exit status 2"):
        benchmark.call_task(tmp_path, ["gtibuild", "nonsense"])
    assert (dict(os.environ), os.getcwd(), sys.argv) == before
