"""Real and made-up files are kept apart, unless the user joins them on purpose.

Simulated raw files and synthetic calibration files name the simulator, each in its own way; products made
with synthetic calibration carry a keyword. A task notes what it opens, and two things that do not belong
together end it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Value of CREATOR (calibration files) and ORIGIN (raw files) in what the simulator writes; its text
#: summaries hold it too.
SIMULATOR = "daxa.simulate"
#: Environment variable that allows made-up and real files together, and its value.
SWITCH, ALLOW = "DAXA_SYNTHETIC_CALIBRATION", "allow"
#: Keyword of products made with synthetic calibration files.
KEYWORD = "SYNTHCAL"
CARD = (True, "made with synthetic calibration files")


def allowed(env: Mapping[str, str] | None = None) -> bool:
    """Whether the switch allows made-up and real files together, in an environment or this process's own.

    Parameters
    ----------
    env
        An environment to ask besides this process's.
    """
    return ALLOW in ((env or {}).get(SWITCH), os.environ.get(SWITCH))


def mixture(first: str, second: str) -> str:
    """The message on two things that do not belong together.

    Parameters
    ----------
    first, second
        What is said of the two.
    """
    return f"{first}, but {second}; set {SWITCH}={ALLOW} (option --allow-synthetic) to use them together"


def of_raw_files(simulated: bool, folder: object) -> str:
    """What is said of the raw files of a folder.

    Parameters
    ----------
    simulated
        Whether they are simulated.
    folder
        The folder.
    """
    return f"the raw files in {folder} are {'simulated' if simulated else 'real'}"


def of_calibration(synthetic: bool, what: str) -> str:
    """What is said of a calibration set; ``what``: the file or files at fault, or the index.

    Parameters
    ----------
    synthetic
        Whether it is synthetic.
    what
        The file or files at fault, or the index.
    """
    return f"the calibration is {'synthetic' if synthetic else 'real'} ({what})"


def is_marked(header: Mapping[str, Any]) -> bool:
    """Whether a product says that it was made with synthetic calibration files.

    Parameters
    ----------
    header
        Its header.
    """
    return header.get(KEYWORD) is True


@dataclass
class Origins:
    """What a task and those inside it have seen.

    Attributes
    ----------
    seen
        Made up or not -> what is said of the first such thing.
    synthetic
        Whether synthetic calibration went into what is made.
    raw_files
        Whether any raw files were among them.
    """

    seen: dict[bool, str] = field(default_factory=dict)
    synthetic: bool = False
    raw_files: bool = False

    def note(self, made_up: bool, said: str) -> str:
        """Remember one thing; what contradicts it, or nothing.

        Parameters
        ----------
        made_up
            Whether it is made up.
        said
            What is said of it.
        """
        self.seen.setdefault(made_up, said)
        other = self.seen.get(not made_up)
        return mixture(said, other) if other else ""
