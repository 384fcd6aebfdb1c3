"""The table of a run of many shots: a text file that is whole at any moment."""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from nvd_core.farm.shot_list import ShotPlan
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import written_beside
from nvd_core.runtime.shown import visible

TABLE = "table.txt"
"""among the logs"""


class State(Protocol):
    """What the table says of a shot."""

    plan: ShotPlan
    tries: int
    failed: str
    begun: float
    seconds: float
    over: bool

    @property
    def state(self) -> str:
        """Where it stands."""
        ...


def table(states: Sequence[State], now: float) -> str:
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


def write_table(path: Path, states: Sequence[State]) -> None:
    """Write the table beside `path` and rename it; a disk that refuses stops no shot."""
    with suppress(NvdError, OSError), written_beside(path) as temporary:
        temporary.write_text(table(states, time.monotonic()), "utf-8")
