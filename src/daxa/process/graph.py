"""The graph of a call: every step on every piece of data, and what each needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from daxa.archive.run import Run
from daxa.process.options import StepOptions
from daxa.process.step import Piece, Recipe, Step


@dataclass
class Node:
    """A step on a piece of data."""

    step: Step[Any]
    options: StepOptions
    piece: Piece
    order: tuple[int, int]
    needs: list[Node] = field(default_factory=list)
    dependents: list[Node] = field(default_factory=list)
    state: str = "waiting"
    why: str = ""
    run: Run | None = None
    recipe: Recipe | None = None

    @property
    def place(self) -> tuple[str, str]:
        """Mission and observation."""
        return self.piece.mission.name, self.piece.obs_id

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in ("done", "skipped", "failed", "blocked")

    @property
    def good(self) -> bool:
        """Whether its products are there, made now or before."""
        return self.state in ("done", "skipped")


def related(need: Piece, piece: Piece) -> bool:
    """Whether a piece that is needed covers, or is part of, the one that needs it.

    Parameters
    ----------
    need
        What is needed.
    piece
        What needs it; both are of the same observation.
    """
    if need.inst is None or piece.inst is None:
        return True
    return need.inst == piece.inst and (
        need.exp_id is None or piece.exp_id is None or need.exp_id == piece.exp_id
    )
