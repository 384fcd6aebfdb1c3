"""The masks of a clip with parts, as motion is found of them: each part is an object by itself."""

from collections.abc import Sequence

import numpy as np

from nvd_core.runtime.mapped_arrays import release


class SplitMasks:
    """The masks of objects and parts, as if each part were an object before its layer.

    Reads as work/masks.npy does, uint8 [V, T, H, W]: the parts of the first object, that object
    itself, those of the second, and so on; those of the background last.
    """

    def __init__(self, masks: np.ndarray, labels: np.ndarray, counts: Sequence[int]) -> None:
        """counts: parts of each layer beside the rest, the background's last."""
        self._masks, self._labels = masks, labels
        self.order = [
            (n, number) for n, count in enumerate(counts) for number in (*range(1, count + 1), 0)
        ]
        """(layer, number of its part) of each row, and of the background's rest"""

    def __len__(self) -> int:
        return len(self.order) - 1

    def __getitem__(self, place: tuple[int, int]) -> np.ndarray:  # row and frame
        (n, number), t = self.order[place[0]], place[1]
        mask = self._masks[n, t] if n < len(self._masks) else np.uint8(255)
        return np.where(self._labels[n, t] == number, mask, np.uint8(0))

    def release(self) -> None:
        """Give the memory of the arrays back."""
        release(self._masks, self._labels)
