"""The first step of missions other than XMM-Newton: what an observation holds, told by its event lists."""

from __future__ import annotations

import json
from typing import Any

from daxa.archive import layout
from daxa.backend.contract import Task
from daxa.exceptions import DAXAError
from daxa.process.options import StepOptions
from daxa.process.step import Piece, Recipe, Step

#: Name of its file in the scratch folder.
_MADE = "contents.json"


def contents_step(name: str, mission: str) -> Step[Any]:
    """A step that looks through raw files and takes what they hold into the archive.

    Parameters
    ----------
    name
        Name of its public function.
    mission
        The mission, as the task obscontents names it.
    """

    def recipe(piece: Piece, options: StepOptions) -> Recipe:
        raw = str(piece.raw)
        kept = layout.contents(piece.obs_id)
        return Recipe(
            [Task("obscontents", indir=raw, mission=mission, outfile=_MADE)],
            {_MADE: kept},
            files={"contents": kept},
            settings={"raw_path": raw},
            raw_name=piece.obs_id,
        )

    def take(piece: Piece) -> None:
        path = piece.made(name, "contents")
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as failure:
            raise DAXAError(f"{path}: not a list of what {piece.obs_id} holds ({failure})") from None
        used = [inst for inst, about in found.items() if about["active"]]
        chosen = piece.mission.chosen_instruments
        if used and not set(used) & set(chosen):
            raise DAXAError(
                f"{piece.obs_id}: observed with {' and '.join(used)}, which is not among the chosen "
                f"instruments, {', '.join(chosen)}"
            )
        piece.archive.observation_summaries = {piece.mission.name: {piece.obs_id: found}}

    return Step(name, "Reading what was observed", "observation", recipe, done=take, backend="python")
