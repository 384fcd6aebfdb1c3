"""A mapping asked in one frame, as baking asks, against points of many frames."""

import numpy as np
import pytest
import torch

from nvd_core.fields.networks import MotionMapping, VideoCoordinates
from nvd_core.settings import MappingSettings, MlpSettings

FRAMES = 6


@pytest.mark.parametrize("projective", [False, True])
def test_one_frame_is_asked_by_its_matrix(projective):
    random = np.random.default_rng(1)
    matrices = np.eye(3) * [0.02, 0.03, 1] + 1e-3 * random.normal(size=(FRAMES, 3, 3))
    settings = MappingSettings(mlp=MlpSettings(2, 8), grid=None)
    coordinates = VideoCoordinates(FRAMES, 40, 60)
    made = MotionMapping(coordinates, settings, torch.from_numpy(matrices), 50.0, projective)
    with torch.no_grad():
        made.correction.copy_(1e-2 * torch.randn(made.correction.shape))
    xy = 60 * torch.rand(500, 2)
    for t in (0, FRAMES - 1):
        when = torch.full((len(xy),), t)
        exact = made(xy, when).detach()  # with gradients: point by point
        with torch.inference_mode():
            torch.testing.assert_close(made(xy, when), exact, rtol=1e-5, atol=1e-6)
    mixed = torch.arange(500) % FRAMES
    exact = made(xy, mixed).detach()
    with torch.inference_mode():
        torch.testing.assert_close(made(xy, mixed), exact, rtol=1e-5, atol=1e-6)
        assert made(xy[:0], mixed[:0]).shape == (0, 2)
