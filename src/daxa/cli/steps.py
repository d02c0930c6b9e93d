"""The steps of a reduction in the shell: ``daxa steps``, and the options that choose some of them."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from daxa.cli import complete
from daxa.cli.output import Json, print_table

StepsOption = Annotated[
    str | None,
    typer.Option(
        "--steps",
        metavar="STEP,...",
        help="Run only these steps, e.g. espfilt,cleaned_evt_lists; daxa steps lists them.",
        autocompletion=complete.steps,
    ),
]
FirstStep = Annotated[
    str | None,
    typer.Option("--from", metavar="STEP", help="Begin with this step.", autocompletion=complete.steps),
]
LastStep = Annotated[
    str | None,
    typer.Option("--until", metavar="STEP", help="End with this step.", autocompletion=complete.steps),
]
#: Steps that have a command of their own.
_COMMANDS = {
    "generate_lightcurves": "lightcurves",
    "generate_matrices": "spectra",
    "generate_mosaics": "mosaic",
    "generate_spectra": "spectra",
    "find_sources": "sources",
}


def chosen_steps(names: str | None, first: str | None, last: str | None) -> list[str] | None:
    """The steps that options choose, in the order of a reduction; None for all.

    Parameters
    ----------
    names, first, last
        What was given for ``--steps``, ``--from`` and ``--until``.
    """
    from daxa.process.simple import ON_REQUEST, REDUCTION, check_steps

    if names is None and first is None and last is None:
        return None
    if names is not None and (first is not None or last is not None):
        raise typer.BadParameter("--steps: give it, or --from and --until")
    known = [step.name for step in REDUCTION]
    wanted = None if names is None else [name.strip() for name in names.split(",")]
    for option, given in (("--steps", wanted), ("--from", first), ("--until", last)):
        if given is not None:
            _refuse_others(option, [given] if isinstance(given, str) else given)
            try:
                check_steps([given] if isinstance(given, str) else given)
            except ValueError as wrong:
                raise typer.BadParameter(str(wrong).replace("steps:", f"{option}:", 1)) from None
    if wanted is not None:
        return [name for name in known if name in wanted]
    begin = 0 if first is None else known.index(first)
    end = len(known) if last is None else known.index(last) + 1
    if begin >= end:
        raise typer.BadParameter(f"--from, --until: {first} comes after {last}")
    return [n for n in known[begin:end] if n not in ON_REQUEST or n in (first, last)]


def _refuse_others(option: str, names: list[str]) -> None:
    """Refuse steps that are no part of a whole reduction; the message names the command that runs them."""
    for name in names:
        if name in _COMMANDS:
            raise typer.BadParameter(
                f"{option}: {name} is no part of a whole reduction; it is run by daxa {_COMMANDS[name]}"
            )


def list_steps(ctx: typer.Context, as_json: Json = False) -> None:
    """List the steps of XMM-Newton reductions in their order, and what each does."""
    from daxa.process import xmm
    from daxa.process.simple import ON_REQUEST, REDUCTION

    there = getattr(ctx.find_root().command, "commands", {})
    rows = []
    for name in [*(step.name for step in REDUCTION), *(set(xmm.__all__) - {s.name for s in REDUCTION})]:
        about = (getattr(xmm, name).__doc__ or "").strip().splitlines()[0].replace("`", "")
        own = _COMMANDS.get(name)
        run = f"daxa {own}" if own in there else "Python"
        if name in {step.name for step in REDUCTION}:
            run = "daxa process"
        if name in ON_REQUEST:
            run += " --steps"
        rows.append({"step": name, "run by": run, "does": about})
    reduction = [row for row in rows if row["run by"].startswith("daxa process")]
    rows = reduction + sorted((r for r in rows if r not in reduction), key=lambda row: str(row["step"]))
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    print_table(rows)
