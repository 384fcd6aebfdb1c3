"""Where a background may deform: not where a shadow passes, but where something moves or slides."""

import cv2
import numpy as np
import pytest
import torch

from nvd_core.fields.networks import MotionMapping, VideoCoordinates
from nvd_core.priors.mapping_start import layer_starts
from nvd_core.priors.still_background import CELLS, deformation_mask, stands_still
from nvd_core.settings import MappingSettings, MlpSettings
from nvd_core.work import ClipData

FRAMES, HEIGHT, WIDTH = 24, 72, 128


def clip(moving_clips, work, change) -> ClipData:
    """A textured wall, frame t changed by `change`(t, luma), and an object in one corner."""
    wall = moving_clips.texture(HEIGHT, WIDTH)[..., 0].astype(np.float32)
    frames = np.stack([np.repeat(change(t, wall)[..., None], 3, 2) for t in range(FRAMES)])
    masks = np.zeros((1, FRAMES, HEIGHT, WIDTH), np.uint8)
    masks[0, :, -12:, :12] = 255
    flow = np.zeros((FRAMES - 1, HEIGHT, WIDTH, 2), np.float16)
    arrays = {
        "frames": frames.clip(0, 255).astype(np.uint8),
        "masks": masks,
        "mask_weight": np.full_like(masks, 255),
        "flow_forward": flow,
        "flow_backward": flow,
        "flow_ok": np.ones((2, *flow.shape[:3]), np.uint8),
    }
    for name, array in arrays.items():
        np.save(work / f"{name}.npy", array)
    return ClipData(work)


def still() -> tuple[np.ndarray, float]:
    """A camera that does not move: the frame fills the texture square's width."""
    scale = 2 / WIDTH
    matrix = np.array([[scale, 0, -1], [0, scale, -HEIGHT / WIDTH], [0, 0, 1]])
    return np.tile(matrix, (FRAMES, 1, 1)), 1 / scale


def seen(free: np.ndarray) -> np.ndarray:
    """The cells over the frame."""
    half = round(CELLS / 2 * HEIGHT / WIDTH)
    return free[CELLS // 2 - half : CELLS // 2 + half]


def shifted(image: np.ndarray, x: float) -> np.ndarray:
    matrix = np.array([[1, 0, x], [0, 1, 0]], np.float64)
    return cv2.warpAffine(image, matrix, image.shape[::-1], borderMode=cv2.BORDER_REFLECT)


def test_a_shadow_that_passes_gives_no_blank_mask(tmp_path, moving_clips):
    def shaded(t: int, wall: np.ndarray) -> np.ndarray:
        wall = wall.copy()
        wall[:, max(0, 6 * t - 30) : 6 * t] *= 0.4
        return wall

    free = deformation_mask(clip(moving_clips, tmp_path, shaded), still()[0])
    assert free.shape == (CELLS, CELLS) and seen(free).max() < 0.2 and seen(free).mean() < 0.01


@pytest.mark.parametrize("motion", [lambda t: 3 * np.sin(t), lambda t: 0.4 * t])
def test_what_moves_by_itself_is_free(motion, tmp_path, moving_clips):
    def moved(t: int, wall: np.ndarray) -> np.ndarray:
        return np.where(np.arange(WIDTH) < 64, wall, shifted(wall, motion(t)))

    free = seen(deformation_mask(clip(moving_clips, tmp_path, moved), still()[0]))
    middle = CELLS // 2
    assert free[:, : middle - 2].max() < 0.2 and free[:, middle + 2 :].mean() > 0.5


def test_what_is_not_seen_is_as_what_is_around(tmp_path, moving_clips):
    def moved(t: int, wall: np.ndarray) -> np.ndarray:
        return np.where(np.arange(WIDTH) < 64, wall, shifted(wall, 3 * np.sin(t)))

    free = deformation_mask(clip(moving_clips, tmp_path, moved), still()[0])
    assert free[CELLS // 2 + 7, 1] < 0.05  # behind the object
    assert free[4, 4] < 0.05 and free[4, -4] > 0.5  # above the frame


def test_only_a_camera_that_stands_still_holds_its_background(tmp_path, moving_clips):
    data = clip(moving_clips, tmp_path, lambda t, wall: wall)
    matrices, pixels_per_unit = still()
    assert stands_still(data, matrices, pixels_per_unit)
    shaken = matrices.copy()
    shaken[3] = shaken[3] @ np.array([[1, 0, 1.5], [0, 1, 0], [0, 0, 1]])
    assert not stands_still(data, shaken, pixels_per_unit)
    motion = np.tile(np.eye(3), (2, FRAMES, 1, 1))
    held = layer_starts(data, motion, [False, False], True)
    assert held[0].deformation_mask is None and held[1].deformation_mask.max() < 0.2
    motion[1, 3, 0, 2] = 1.5
    assert layer_starts(data, motion, [False, False], True)[1].deformation_mask is None
    assert layer_starts(data, motion * 0 + np.eye(3), [False, False])[1].deformation_mask is None


def test_where_nothing_is_known_all_is_free(tmp_path, moving_clips):
    data = clip(moving_clips, tmp_path, lambda t, wall: 0 * wall + 100)
    assert (deformation_mask(data, still()[0]) == 1).all()


def test_the_mapping_deforms_by_its_blank_mask():
    matrices, pixels_per_unit = still()
    free = np.zeros((CELLS, CELLS), np.float32)
    free[:, CELLS // 2 :] = 1
    settings = MappingSettings(mlp=MlpSettings(2, 8), grid=None)
    coordinates = VideoCoordinates(FRAMES, HEIGHT, WIDTH)
    args = coordinates, settings, torch.from_numpy(matrices), pixels_per_unit, False
    torch.manual_seed(0)
    whole = MotionMapping(*args)
    held = MotionMapping(*args, torch.from_numpy(free))
    held.load_state_dict(whole.state_dict() | {"deformation_mask": held.deformation_mask})
    torch.nn.init.constant_(held.mlp[-1].bias, 1)
    torch.nn.init.constant_(whole.mlp[-1].bias, 1)
    xy = torch.tensor([[10.0, 30.0], [50.0, 60.0], [80.0, 5.0], [120.0, 40.0]])
    t = torch.tensor([0, 5, 9, 20])
    start, moved = held.start(xy, t), held(xy, t)
    assert torch.equal(moved[:2], start[:2])
    assert torch.allclose(moved[2:], whole(xy, t)[2:]) and (moved[2:] - start[2:]).min() > 0.05
