"""An object that is followed through a few frames of a long clip only has its mask all the same."""

import numpy as np

from nvd_core.priors import motion_masks
from nvd_core.runtime.progress import Progress


def test_an_object_that_moves_in_a_twentieth_of_the_clip(tmp_path, moving_clips):
    """Frames 3 and 5 of 44: every second one is looked at for its colours, from 0 on."""
    count, seen = 44, (3, 5)
    places = np.array([[40, 40]] * count)
    moving_clips.warped_clip(tmp_path, np.tile(np.eye(3), (count, 1, 1)), (40, places))
    clip = motion_masks._Clip(tmp_path)
    chosen = np.zeros((count, 120, 160), np.uint8)
    chosen[list(seen), 40:80, 40:80] = 1
    evidence = np.where(chosen, 4, -4).astype(np.float16)
    motion_masks._write(clip, evidence, chosen, Progress())
    found = np.load(tmp_path / "masks.npy")[0] > 127
    assert [t for t in range(count) if found[t].any()] == list(seen)
    assert moving_clips.overlap(255 * found[3:4].astype(np.uint8), 255 * chosen[3:4]) > 0.8
