"""The moving object found without any drawing."""

import numpy as np
import pytest

from nvd_core.priors.flow import compute_flow
from nvd_core.priors.motion_masks import masks_from_motion
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress

pytestmark = pytest.mark.slow


def test_moving_square_is_found(tmp_path, moving_clips):
    places = np.array([[20 + 5 * t, 40 + t] for t in range(10)])
    moving_clips.warped_clip(tmp_path, moving_clips.camera(10), (40, places))
    true = np.load(tmp_path / "masks.npy")
    for name in ("masks.npy", "mask_weight.npy"):
        (tmp_path / name).unlink()
    masks_from_motion(tmp_path, Progress())
    masks, weight = np.load(tmp_path / "masks.npy"), np.load(tmp_path / "mask_weight.npy")
    assert masks.shape == true.shape == weight.shape and masks.dtype == weight.dtype == np.uint8
    assert moving_clips.overlap(masks[0], true[0]) > 0.8
    wrong = (masks > 127) != (true > 127)
    assert weight[wrong].mean() < weight[~wrong].mean()
    assert {p.name for p in tmp_path.iterdir()} == {
        *("frames.npy", "masks.npy", "mask_weight.npy"),
        *("flow_forward.npy", "flow_backward.npy", "flow_ok.npy"),
    }, "no scratch is left"


@pytest.mark.parametrize("moving", [False, True])
def test_nothing_moves_by_itself(tmp_path, moving, moving_clips):
    moving_clips.warped_clip(
        tmp_path, moving_clips.camera(5) if moving else np.tile(np.eye(3), (5, 1, 1))
    )
    with pytest.raises(NvdError) as caught:
        masks_from_motion(tmp_path, Progress())
    assert "--mask" in caught.value.remedy


@pytest.mark.clips
@pytest.mark.parametrize("name", ["car-turn", "lucia"])
def test_real_clip(tmp_path, name, moving_clips):
    true = moving_clips.clip_arrays(tmp_path, name, range(20, 60), 320)
    compute_flow(tmp_path, Progress())
    masks_from_motion(tmp_path, Progress())
    assert moving_clips.overlap(np.load(tmp_path / "masks.npy")[0], true[0]) > 0.55
