"""The kernel of every frame, where the layers' sheets differ from frame to frame.

What stays of them from one frame to the next is neither flattened nor packed again.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from nvd_core.editing.kernel import Kernel, make_kernel
from nvd_core.editing.kernel_numba import Kept
from nvd_core.editing.stack_sheets import Sheets, State
from nvd_core.media.draft import Draft

WHOLE = ("full", "learned", "light_full")
"""what shows wherever a layer does; other textures are 0 where nothing lies"""


class Textures:
    """What a kernel is given of the layers `names`: the part of their sheets that `mode` names.

    "full" whole textures as they are painted, "learned" as they were learned, "delta" what paint
    adds to them, "paint" the paint alone, "cover" its opacity; all of them are parts of a `Sheet`.
    """

    def __init__(self, sheets: Sheets, names: Sequence[str], mode: str) -> None:
        self._sheets, self.names, self.mode = sheets, list(names), mode

    def state(self, name: str, t: int) -> State:
        """Equal where the texture is."""
        return self._sheets.state(name, t)

    def lies(self, name: str, t: int) -> bool:
        """Whether anything may show of the texture in frame `t`."""
        return self.mode in WHOLE or self._sheets.lies(name, t)

    def at(self, name: str, t: int) -> np.ndarray:
        """The texture of the layer in frame `t`, float32 [h, w, 3]; the same object while it is."""
        sheet: np.ndarray = getattr(self._sheets.at(name, t), self.mode)
        return sheet


class FrameKernels:
    """Kernels of these textures, numbered as `textures.names`."""

    def __init__(
        self, textures: Textures, linear: bool, device: str, draft: Draft | None = None
    ) -> None:
        self._textures = textures
        mode = "full" if textures.mode in ("full", "learned") else "delta"
        self._how = mode, linear, device
        self._kept, self._draft = Kept(), draft
        self._last: tuple[list[np.ndarray], Kernel] | None = None

    def at(self, t: int) -> Kernel:
        """The kernel of frame `t`; it serves until the next is asked for."""
        images = [self._textures.at(name, t) for name in self._textures.names]
        if self._last and all(a is b for a, b in zip(images, self._last[0], strict=True)):
            return self._last[1]
        kernel = make_kernel(dict(enumerate(images)), *self._how, self._kept, self._draft)
        self._last = images, kernel
        return kernel


def painted_names(sheets: Sheets, names: Iterable[str], numbers: Iterable[int]) -> list[str]:
    """Those of the layers on which something lies in one of the frames `numbers`."""
    numbers = list(numbers)

    def lies(name: str) -> bool:
        if not sheets.painted(name):
            return False
        if sheets.moves(name) and any(sheets.state(name, t) for t in numbers):
            return True
        return sheets.has_paint(name)

    return [name for name in names if lies(name)]
