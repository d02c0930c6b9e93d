"""From a node of the graph to a job: its tasks by plain names, and what its result depends on."""

from __future__ import annotations

from dataclasses import replace

from daxa.archive.run import Run
from daxa.backend.contract import Job
from daxa.backend.releases import calls_of
from daxa.process.graph import Node
from daxa.process.naming import Plain, plain
from daxa.process.recording import fingerprint, inputs_of, new_run, now, raw_folder
from daxa.process.settings import Settings
from daxa.process.step import Recipe


def run_of(node: Node, settings: Settings) -> Run:
    """The run that a node is about to become.

    Parameters
    ----------
    node
        The node.
    settings
        Settings of the call.
    """
    backend = node.step.backend or settings.backend
    notes = node.piece.records.notes
    key = ("config", node.step.name)
    if key not in notes:
        notes[key] = node.options.recorded()
    return new_run(
        node.step.name,
        node.piece,
        backend=backend,
        config=notes[key],
        versions=settings.versions[backend],
        started=now(),
    )


def prepare(node: Node, run: Run) -> Plain:
    """Work out what runs, and take it into the run with what its result depends on.

    Parameters
    ----------
    node
        The node; it gets its recipe.
    run
        Its run; it gets tasks, inputs, fingerprint and settings.

    Returns
    -------
    Plain
        The tasks with names of files that are the same wherever the archive is.

    Raises
    ------
    DAXANotDownloadedError
        The raw files are needed, and are not there.
    Exception
        Whatever keeps a step from being planned on this piece.
    """
    piece = node.piece
    piece.used.clear()
    recipe = node.recipe = _in_words_of(run, node.step.recipe(piece, node.options))
    named = plain(recipe.tasks, recipe.env, piece.used, raw_folder(piece), recipe.raw_name)
    run.tasks = [(t.name, t.parameters) for t in named.tasks]
    run.inputs = inputs_of(recipe, piece)
    run.fingerprint = fingerprint(named.tasks, recipe, run)
    run.extra = dict(recipe.settings)
    return named


def _in_words_of(run: Run, recipe: Recipe) -> Recipe:
    """A recipe as the back-end of a run understands it."""
    if run.backend != "sas":
        return recipe
    calls = calls_of(run.versions["sas"], run.ident, recipe.tasks, recipe.outputs, recipe.optional)
    return replace(
        recipe,
        tasks=calls.tasks,
        outputs=calls.outputs,
        optional=calls.optional,
        renames=calls.renames,
        notes=calls.notes,
    )


def job_of(node: Node, run: Run, named: Plain, settings: Settings) -> Job:
    """The job of a node that has been prepared.

    Parameters
    ----------
    node
        The node.
    run
        Its run.
    named
        What `prepare` gave.
    settings
        Settings of the call.
    """
    piece, recipe = node.piece, node.recipe
    assert recipe is not None
    folder = piece.folder
    return Job(
        piece.ident,
        named.tasks,
        {name: folder / path for name, path in recipe.outputs.items()},
        env=named.env,
        links=named.links,
        summary=named.summary,
        raw=raw_folder(piece),
        logs=piece.archive.logs(run),
        optional=recipe.optional,
        renames=recipe.renames,
        shared=recipe.shared,
        inputs=recipe.inputs,
        expected={path: sha for path, (_, sha) in piece.used.items() if sha},
        timeout_s=settings.limit_s,
        backend=run.backend,
        scratch=piece.archive.layout.scratch,
    )
