"""What changes of the flow where an object's was put right, and the files that have it.

The flow that was found stays as it is: what an object's motion and its views rest on is read of it,
so that a stage that was stopped says the same when it is run again. What changes is kept beside it
until the stage ends, and is laid over it then in files of its own, which the training prefers.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nvd_core.runtime.files import written_beside
from nvd_core.runtime.mapped_arrays import new_array, release
from nvd_core.work import (
    FLOW_BACKWARD,
    FLOW_FORWARD,
    FLOW_OK,
    RIGHTED_BACKWARD,
    RIGHTED_FORWARD,
    RIGHTED_OK,
    open_array,
)


@dataclass(frozen=True)
class FlowPart:
    """What changes in one direction, where a frame shows the object."""

    rows: np.ndarray  # int32 [n]
    columns: np.ndarray
    flow: np.ndarray  # float16 [n, 2], in pixels of the frames
    ok: np.ndarray  # uint8 [n]

    def on_flow(self, flow: np.ndarray) -> np.ndarray:
        """A copy of the flow [h, w, 2], with this laid over it."""
        flow = np.array(flow)
        flow[self.rows, self.columns] = self.flow
        return flow

    def on_ok(self, ok: np.ndarray) -> np.ndarray:
        """The same of where it holds, [h, w]."""
        ok = np.array(ok)
        ok[self.rows, self.columns] = self.ok
        return ok


Parts = dict[tuple[int, int], FlowPart]
"""What changes for one object, by direction (0 forward, 1 backward) and pair of frames."""


def write_parts(work: Path, objects: Iterable[Parts], check: Callable[[], object]) -> None:
    """Write the flow with all `objects`' parts laid over it; nothing where there are none.

    No file has its name before it is complete. `check` may raise to end it.
    """
    objects = [parts for parts in objects if parts]
    if not objects:
        return
    with ExitStack() as stack:
        for name, other in (  # renamed in the opposite order
            (RIGHTED_OK, FLOW_OK), (RIGHTED_BACKWARD, FLOW_BACKWARD),
            (RIGHTED_FORWARD, FLOW_FORWARD),
        ):  # fmt: skip
            path = stack.enter_context(written_beside(work / name))
            _copy(open_array(work, other), path, objects, other, check)


def _copy(
    known: np.ndarray, path: Path, objects: list[Parts], name: str, check: Callable[[], object]
) -> None:
    """An array with all parts laid over it; none is mapped any more when this returns."""
    copy = new_array(path, known.shape, known.dtype.type)
    for t in range(known.shape[-3] if name == FLOW_OK else len(known)):
        check()
        ways = {FLOW_FORWARD: (0,), FLOW_BACKWARD: (1,), FLOW_OK: (0, 1)}[name]
        for way in ways:
            at: tuple[int, ...] = (way, t) if name == FLOW_OK else (t,)
            copy[at] = known[at]
            for part in (parts[way, t] for parts in objects if (way, t) in parts):
                copy[at] = part.on_ok(copy[at]) if name == FLOW_OK else part.on_flow(copy[at])
        release(copy, known)
    copy.flush()
