"""Where the shots of a run stand, and the table of it: a text file that is whole at any moment."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from nvd_core.farm.tasks import STEPS, Plan
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import written_beside
from nvd_core.runtime.shown import visible

TABLE = "table.txt"
"""among the logs"""


@dataclass
class ShotState:
    """Where a shot stands."""

    plan: Plan
    step: str = STEPS[0]
    done: int = 0
    total: int = 0
    tries: int = 0
    """beyond the first of each task"""
    failed: str = ""
    """why, in words"""
    begun: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    @property
    def over(self) -> bool:
        """Whether nothing more is to be done."""
        return bool(self.failed) or self.step == ""

    @property
    def state(self) -> str:
        """In a word or two."""
        if self.failed:
            return f"failed in {self.step}"
        return f"{self.step} {self.done}/{self.total}" if self.step else "done"


def table(states: Sequence[ShotState], now: float) -> str:
    """A line a shot: its name, where it stands, tasks tried again, seconds, and why it failed."""
    rows = [("shot", "state", "again", "seconds", "")]
    for state in states:
        seconds = state.seconds if state.over else now - state.begun
        why = visible(state.failed.replace("\n", " "))
        rows.append((state.plan.name, state.state, str(state.tries), f"{seconds:.0f}", why))
    widths = [max(len(row[n]) for row in rows) for n in range(4)]
    lines = []
    for name, where, again, seconds, why in rows:
        cells = name.ljust(widths[0]), where.ljust(widths[1]), again.rjust(widths[2])
        lines.append("  ".join((*cells, seconds.rjust(widths[3]), why)).rstrip())
    return "\n".join(lines) + "\n"


def write_table(path: Path, states: Sequence[ShotState]) -> None:
    """Write the table beside `path` and rename it; a disk that refuses stops no shot."""
    with suppress(NvdError, OSError), written_beside(path) as temporary:
        temporary.write_text(table(states, time.monotonic()), "utf-8")
