"""Make the tutorials: scripts beside them become notebooks, which are run and kept with their output.

``python docs/make_tutorials.py WORK [NAME...]`` runs the scripts ``docs/tutorials/NAME.py`` (all by default)
in the folder WORK, in the order of `ORDER`, as later ones use what earlier ones have made there. It needs
nbclient, nbformat and ipykernel from PyPI, DAXA and stingray, and no network.

In a script ``# %%`` begins a cell of code, ``# %% [markdown]`` one of text, whose lines begin with ``# ``.
Cells that begin with ``# %% [shown]`` are not run.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent / "tutorials"
ORDER = (
    "first_archive",
    "products",
    "step_by_step",
    "many_observations",
    "other_missions",
    "spectra",
    "with_sas",
)
#: Largest notebook [bytes].
LARGEST = 300_000
#: What a notebook says of the folder in which it was run.
FOLDER = "/home/you/tutorial"


def cells(script: str) -> list[tuple[str, str]]:
    """Kind (``code``, ``markdown`` or ``shown``) and text of the cells of a script.

    Parameters
    ----------
    script
        The script.
    """
    found = []
    for part in re.split(r"^# %%", script, flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        kind = head.strip().strip("[]") or "code"
        if kind == "markdown":
            body = "\n".join(re.sub(r"^# ?", "", line) for line in body.splitlines())
        found.append((kind, body.strip("\n")))
    return found


def source_of(notebook: dict) -> list[tuple[str, str]]:
    """The same of a notebook, to compare with its script.

    Parameters
    ----------
    notebook
        What its file holds.
    """
    return [
        (
            "shown" if "shown" in cell["metadata"].get("tags", []) else cell["cell_type"],
            "".join(cell["source"]),
        )
        for cell in notebook["cells"]
    ]


def together(outputs: list) -> list:
    """Outputs with what was printed in pieces in one, as it stood at last where lines were written over.

    Parameters
    ----------
    outputs
        Outputs of a cell.
    """
    found: list = []
    for output in outputs:
        before = found[-1] if found else None
        if before is not None and output.get("name") == before.get("name") == "stderr":
            before["text"] += output["text"]
        else:
            found.append(output)
    for output in found:
        if output["output_type"] == "stream":
            lines = output["text"].split("\n")
            output["text"] = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)
    return found


def make(name: str, work: Path) -> None:
    """Run one and write its notebook.

    Parameters
    ----------
    name
        Name of the script.
    work
        Folder in which it is run.
    """
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.v4.new_notebook()
    for number, (kind, text) in enumerate(cells((HERE / f"{name}.py").read_text(encoding="utf-8"))):
        cell = (nbformat.v4.new_markdown_cell if kind == "markdown" else nbformat.v4.new_code_cell)(text)
        cell.id = hashlib.sha256(f"{name} {number}".encode()).hexdigest()[:8]
        if kind == "shown":
            cell.metadata["tags"] = ["shown", "skip-execution"]
        book.cells.append(cell)
    NotebookClient(
        book, timeout=3600, kernel_name="python3", resources={"metadata": {"path": str(work)}}
    ).execute()
    for cell in book.cells:
        cell.metadata.pop("execution", None)  # when it was run
        if "outputs" in cell:
            cell.outputs = together(cell.outputs)
    book.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    text = nbformat.writes(book).replace(str(work), FOLDER)
    text = re.sub(r"http://127\.0\.0\.1:\d+", "http://127.0.0.1", text)
    if len(text) > LARGEST:
        raise SystemExit(f"{name}: {len(text)} bytes, more than {LARGEST}; make its pictures smaller")
    (HERE / f"{name}.ipynb").write_text(text + "\n", encoding="utf-8")
    print(f"{name}: {len(text)} bytes")


def main(work: str, *names: str) -> None:
    """Make tutorials.

    Parameters
    ----------
    work
        Folder in which they are run; what is there is used.
    *names
        Which ones.
    """
    folder = Path(work).resolve()
    for path in (folder, folder / ".config", folder / ".cache"):
        path.mkdir(parents=True, exist_ok=True)
    os.environ |= {"DAXA_OUTPUT": str(folder / "daxa_output"), "XDG_CONFIG_HOME": str(folder / ".config")}
    os.environ |= {"XDG_CACHE_HOME": str(folder / ".cache"), "DAXA_BACKEND": "embedded"}
    from stand_in_archive import start

    server = start()
    for key, path in {"HEASARC_TAP": "/heasarc/tap", "HEASARC_FTP": "/FTP"}.items():
        os.environ[f"DAXA_URL_{key}"] = server.url + path
    try:
        for name in names or [n for n in ORDER if (HERE / f"{n}.py").exists()]:
            make(name, folder)
    finally:
        server.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
