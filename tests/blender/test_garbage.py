"""A folder with a garbage matte: in full mode the frame shows where no layer covers it."""

import json
import shutil

import numpy as np
import pytest

from blender_addon.shot.folder import read_shot
from blender_addon.shot.scripting import open_shot

EXACT = 90.0  # dB; 16-bit PNG allows about 107
CLOSE = 80.0  # dB; maps round an alpha to 16 bits, and the frames go up to 2


@pytest.fixture
def with_matte(tmp_path):
    """`with_matte`(made): a copy of that folder whose manifest names a matte, and no background:
    where only that showed, no layer covers the frame."""

    def make(made):
        shutil.copytree(made / "shot.nvd", tmp_path / "shot.nvd")
        path = tmp_path / "shot.nvd" / "manifest.json"
        manifest = json.loads(path.read_text())
        manifest |= {"garbage": "masks/garbage.png", "layers": manifest["layers"][:-1]}
        path.write_text(json.dumps(manifest))
        return tmp_path / "shot.nvd"

    return make


def picture(truth, t, encode=None):
    """The full picture of all layers but the last, over the frame."""
    rest = truth.arrays["maps"][t, -1, ..., 2:3]
    assert (rest > 0.9).any() and (rest == 0).any(), "the folder shows nothing of this"
    frame = truth.frames[t]
    full = truth.picture(t, "full", visibility=(1, 1, 0), linear=encode is not None)
    return full + rest * (encode(frame) if encode else frame)


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "standard"])
def test_full_mode_shows_the_frame_in_the_matte(made, with_matte, tmp_path, raw, reference):
    open_shot(with_matte(made), "full", raw=raw)
    truth = reference.Truth(made)
    for t in range(3):
        expected = np.clip(picture(truth, t), 0, 1)
        assert reference.psnr(reference.render(tmp_path, t + 1), expected) > EXACT


def test_full_mode_of_linear_frames(made_linear, with_matte, tmp_path, reference):
    open_shot(with_matte(made_linear), "full")
    truth = reference.Truth(made_linear)
    shown = reference.encode(reference.render(tmp_path, 2, "OPEN_EXR"))
    assert reference.psnr(shown, picture(truth, 1, reference.encode)) > CLOSE


@pytest.mark.gpu
def test_the_live_preview_shows_the_frame_there(
    extension, gpu_ready, made, with_matte, preview_picture, reference
):
    folder = with_matte(made).parent
    shown = preview_picture(folder, 1, "full")[..., :3].clip(0, 1)
    assert reference.psnr(shown, picture(reference.Truth(made), 1).clip(0, 1)) > 45


def test_delta_mode_and_folders_without_one_are_as_they_were(made, with_matte):
    assert not read_shot(made / "shot.nvd").has_garbage
    assert "Frame" not in [
        item.name for item in open_shot(made / "shot.nvd", "full").interface.items_tree
    ]
    shot = with_matte(made)
    assert read_shot(shot).has_garbage
    labels = [node.label for node in open_shot(shot, "delta").nodes]
    assert "Left to the frame" not in labels
