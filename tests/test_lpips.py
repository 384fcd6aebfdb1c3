"""LPIPS with weights by path: equal to torchmetrics on the same (random) backbone."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import learned_perceptual_image_patch_similarity, lpips

from nvd_core.evaluation.lpips import Lpips
from nvd_core.runtime.errors import NvdError


def alexnet_features() -> torch.nn.Sequential:
    """The layers of torchvision's alexnet up to the last activation used, with random weights."""
    torch.manual_seed(0)
    relu, pool = torch.nn.ReLU, lambda: torch.nn.MaxPool2d(3, 2)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 64, 11, 4, 2), relu(), pool(),
        torch.nn.Conv2d(64, 192, 5, 1, 2), relu(), pool(),
        torch.nn.Conv2d(192, 384, 3, 1, 1), relu(),
        torch.nn.Conv2d(384, 256, 3, 1, 1), relu(),
        torch.nn.Conv2d(256, 256, 3, 1, 1), relu(),
    )  # fmt: skip


@pytest.fixture
def weights(tmp_path):
    state = alexnet_features().state_dict()
    path = tmp_path / "alexnet.pth"
    torch.save({f"features.{name}": value for name, value in state.items()}, path)
    return path


def images():
    random = np.random.default_rng(0)
    image = random.random((80, 96, 3), np.float32)
    return image, (image + random.normal(0, 0.1, image.shape)).clip(0, 1).astype(np.float32)


def test_it_equals_torchmetrics(weights, monkeypatch):
    monkeypatch.setattr(lpips, "_get_tv_model_features", lambda *_, **__: alexnet_features())
    image, noisy = images()
    pair = [torch.from_numpy(a).permute(2, 0, 1)[None] for a in (image, noisy)]
    expected = learned_perceptual_image_patch_similarity(*pair, net_type="alex", normalize=True)
    assert Lpips(weights)(image, noisy) == pytest.approx(float(expected), rel=1e-5)
    assert expected > 1e-4


def test_equal_images_have_no_distance(weights):
    distance, (image, noisy) = Lpips(weights), images()
    assert distance(image, image) == 0 < distance(image, noisy)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text.pth").write_text("no weights")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    for name in ("text.pth", "other.pth", "absent.pth"):
        with pytest.raises(NvdError, match="AlexNet"):
            Lpips(tmp_path / name)


def test_weights_that_are_finite_but_overflow_are_refused(weights):
    """One weight of 2e38 made a distance of NaN, and a report that holds it."""
    state = torch.load(weights, weights_only=True)
    state["features.0.weight"][0, 0, 0, 0] = 2e38
    torch.save(state, weights)
    image, noisy = images()
    with pytest.raises(NvdError, match=r"alexnet\.pth.*too large to count with"):
        Lpips(weights)(image, noisy)
