"""An object that moves in a few frames of a long clip only is found all the same."""

import numpy as np

from nvd_core.priors.motion_masks import masks_from_motion
from nvd_core.runtime.progress import Progress

T = 60


def test_an_object_that_moves_in_a_thirtieth_of_the_clip(tmp_path, moving_clips):
    still = np.tile(np.eye(3), (T, 1, 1))
    places = np.array([[40 + 6 * min(max(t - 30, 0), 2), 40] for t in range(T)])
    moving_clips.warped_clip(tmp_path, still, (40, places))
    masks_from_motion(tmp_path, Progress())
    found = np.load(tmp_path / "masks.npy")[0]
    true = np.zeros(found.shape[1:], np.uint8)
    true[40:80, 46:86] = 255
    assert moving_clips.overlap(found[31:32], true[None]) > 0.5
