"""Masks that are drawn loosely: where they are doubted, and that the picture decides there."""

import cv2
import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.media.images import read_image, write_image
from nvd_core.priors.mask_margin import doubt_edges
from nvd_core.shot.map_files import iter_maps
from nvd_core.shot.shot import Shot

pytestmark = pytest.mark.slow


def weights_of(folder, mask: np.ndarray, margin: float) -> np.ndarray:
    """What doubt_edges leaves of full weights for the one mask [H, W]."""
    np.save(folder / "masks.npy", mask[None, None])
    np.save(folder / "mask_weight.npy", np.full((1, 1, *mask.shape), 255, np.uint8))
    doubt_edges(folder, margin)
    return np.load(folder / "mask_weight.npy")[0, 0]


def disc(radius: int, size: int = 101) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    return cv2.circle(mask, (size // 2, size // 2), radius, 255, -1)


def test_a_ring_around_the_outline_is_doubted(tmp_path):
    weight = weights_of(tmp_path, disc(30), 5)
    row = weight[50, 50:]  # from the middle to the right
    assert set(np.unique(weight)) == {0, 255}
    assert (row[:25] == 255).all() and (row[27:35] == 0).all() and (row[37:] == 255).all()


@pytest.mark.parametrize("radius", [2, 4])
def test_a_small_object_keeps_its_core(tmp_path, radius):
    weight = weights_of(tmp_path, disc(radius), 20)
    assert weight[50, 50] == 255
    assert (weight[50, 53 + radius : 65] == 0).all()


@pytest.mark.parametrize("value", [0, 255])
def test_a_mask_without_an_outline_is_believed(tmp_path, value):
    assert (weights_of(tmp_path, np.full((20, 30), value, np.uint8), 5) == 255).all()


@pytest.mark.long
def test_a_mask_that_is_too_wide_is_corrected_by_the_picture(tmp_path, tiny_clip):
    frames, masks = tiny_clip.write(tmp_path)
    true = [read_image(path)[..., 0] for path in sorted(masks.iterdir())]
    widened = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    for t, mask in enumerate(true):
        write_image(tmp_path / "wide" / f"{t:04d}.png", cv2.dilate(mask, widened)[..., None])
    settings = tmp_path / "small.yaml"
    settings.write_text("iterations: 400\npoints: 800\n")
    overlaps = []
    for margin in ("0", "6"):
        out = tmp_path / f"margin{margin}.nvd"
        words = ["decompose", str(frames), "--out", str(out), "--mask-margin", margin]
        words += ["--mask", f"disc={tmp_path / 'wide'}", "--settings", str(settings)]
        assert main([*words, "--device", "cpu"]) == 0
        shot, inside, either = Shot.open(out), 0, 0
        for maps, mask in zip(iter_maps(shot, range(tiny_clip.FRAMES)), true, strict=True):
            ours = maps.uva[0, ..., 2] > 0.5
            inside += np.count_nonzero(ours & (mask > 127))
            either += np.count_nonzero(ours | (mask > 127))
        overlaps.append(inside / either)
    assert overlaps[1] > overlaps[0] + 0.1, overlaps
