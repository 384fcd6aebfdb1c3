"""Masks by class: what is followed, what is left open, and clear words where it cannot work."""

import importlib.util

import numpy as np
import pytest
import torch

from nvd_core import prepare
from nvd_core.cli.main import main
from nvd_core.job import wanted_class
from nvd_core.media.images import read_image
from nvd_core.priors.mask_rcnn import choose, detect_masks, load_detector
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.settings import load_settings
from nvd_core.shot.shot import Shot


def disc(tiny_clip, x: float, y: float = 24, radius: float = 9) -> np.ndarray:
    ys, xs = np.mgrid[: tiny_clip.HEIGHT, : tiny_clip.WIDTH]
    return np.hypot(xs - x, ys - y) < radius


def arrays(tiny_clip, folder, objects: int):
    np.save(
        folder / "frames.npy",
        np.zeros((tiny_clip.FRAMES, tiny_clip.HEIGHT, tiny_clip.WIDTH, 3), np.uint8),
    )
    for name in ("masks", "mask_weight"):
        np.save(
            folder / f"{name}.npy",
            np.zeros((objects, tiny_clip.FRAMES, tiny_clip.HEIGHT, tiny_clip.WIDTH), np.uint8),
        )


def read(folder):
    return np.load(folder / "masks.npy") > 127, np.load(folder / "mask_weight.npy")


def detector(tiny_clip, scene):
    """Says what `scene(t)` has, frame by frame."""
    counter = iter(range(tiny_clip.FRAMES))
    return lambda frame: [(n, s, m.astype(np.float32) * 0.9) for n, s, m in scene(next(counter))]


class TestFollowing:
    def test_a_source_names_its_class(self):
        assert wanted_class("maskrcnn:potted plant") == "potted plant"
        assert wanted_class("masks/%04d.png") is None

    def test_it_follows_the_same_thing_past_a_larger_one(self, tmp_path, tiny_clip):
        arrays(tiny_clip, tmp_path, 1)

        def scene(t):
            found = [
                ("dog", 0.9, disc(tiny_clip, 20 + 4 * t)),
                ("cat", 0.99, disc(tiny_clip, 60, radius=20)),
            ]
            return found + [("dog", 0.95, disc(tiny_clip, 66, 40, 14))] * (t > 2)

        detect_masks(tmp_path, {0: "dog"}, detector(tiny_clip, scene), Progress())
        masks, weights = read(tmp_path)
        for t in range(tiny_clip.FRAMES):
            assert np.array_equal(masks[0, t], disc(tiny_clip, 20 + 4 * t))
        assert (weights == 255).all()

    def test_two_of_a_class_are_two_objects(self, tmp_path, tiny_clip):
        arrays(tiny_clip, tmp_path, 2)

        def scene(t):
            return [
                ("dog", 0.9, disc(tiny_clip, 20 + t, radius=8)),
                ("dog", 0.8, disc(tiny_clip, 60 - t, radius=12)),
            ]

        detect_masks(tmp_path, {0: "dog", 1: "dog"}, detector(tiny_clip, scene), Progress())
        masks, _ = read(tmp_path)
        assert np.array_equal(masks[0, 7], disc(tiny_clip, 53, radius=12))
        assert np.array_equal(masks[1, 7], disc(tiny_clip, 27, radius=8))

    def test_frames_without_it_are_left_open(self, tmp_path, tiny_clip):
        arrays(tiny_clip, tmp_path, 1)

        def scene(t):
            score = 0.3 if t in (0, 4) else 0.9
            return [("dog", score, disc(tiny_clip, 20))] + [("dog", 0.9, disc(tiny_clip, 70))] * (
                t == 4
            )

        detect_masks(tmp_path, {0: "dog"}, detector(tiny_clip, scene), Progress())
        masks, weights = read(tmp_path)
        assert not masks[0, [0, 4]].any() and not weights[0, [0, 4]].any()
        assert (weights[0, [1, 2, 3, 5]] == 255).all()

    def test_a_mask_that_was_given_is_not_taken_again(self, tiny_clip):
        assert choose([disc(tiny_clip, 20)], None, [disc(tiny_clip, 21)]) is None
        assert np.array_equal(
            choose([disc(tiny_clip, 20), disc(tiny_clip, 50)], None, [disc(tiny_clip, 21)]),
            disc(tiny_clip, 50),
        )

    def test_what_is_never_found_is_an_error(self, tmp_path, tiny_clip):
        arrays(tiny_clip, tmp_path, 1)
        with pytest.raises(NvdError, match="finds no zebra"):
            detect_masks(tmp_path, {0: "zebra"}, detector(tiny_clip, lambda t: []), Progress())


class TestErrors:
    def refused(self, tiny_clip, folder, capsys, *settings: str) -> str:
        frames, _ = tiny_clip.write(folder)
        (folder / "s.yaml").write_text("\n".join(settings))
        code = main(
            ["decompose", str(frames), "--out", str(folder / "shot.nvd"),
             "--mask", "man=maskrcnn:person", "--settings", str(folder / "s.yaml")]
        )  # fmt: skip
        assert code == 2 and not (folder / "shot.nvd").exists()
        return capsys.readouterr().err

    def test_without_weights(self, tmp_path, capsys, tiny_clip):
        said = self.refused(tiny_clip, tmp_path, capsys)
        assert "needs a file of weights" in said and "maskrcnn_weights" in said
        said = self.refused(tiny_clip, tmp_path, capsys, "maskrcnn_weights: /none/there.pth")
        assert "/none/there.pth" in said

    def test_without_torchvision(self, tmp_path, capsys, tiny_clip):
        if importlib.util.find_spec("torchvision"):
            pytest.skip("torchvision is installed here")
        (tmp_path / "w.pth").write_bytes(b"x")
        said = self.refused(tiny_clip, tmp_path, capsys, f"maskrcnn_weights: {tmp_path / 'w.pth'}")
        assert "needs torchvision" in said and torch.__version__ in said

    def test_with_a_torchvision_that_does_not_load(self, tmp_path, monkeypatch):
        """A wheel for another torch raises RuntimeError from its own import."""
        package = tmp_path / "torchvision"
        package.mkdir()
        (package / "__init__.py").write_text("raise RuntimeError('operator nms does not exist')")
        (tmp_path / "w.pth").write_bytes(b"x")
        monkeypatch.syspath_prepend(str(tmp_path))
        with pytest.raises(NvdError, match="needs torchvision") as caught:
            load_detector(tmp_path / "w.pth", ["person"])
        assert "operator nms does not exist" in caught.value.found

    def test_foreign_weights_and_unknown_classes(self, tmp_path):
        pytest.importorskip("torchvision")
        torch.save({"a": torch.zeros(1)}, tmp_path / "w.pth")
        with pytest.raises(NvdError, match="does not hold the weights"):
            load_detector(tmp_path / "w.pth", ["person"])
        with pytest.raises(NvdError, match="knows no dragon") as caught:
            load_detector(tmp_path / "w.pth", ["dragon"])
        assert "person" in caught.value.expected


def test_a_class_goes_the_whole_way(tmp_path, monkeypatch, tiny_clip):
    """From a class on the command line to a layer; the network itself is the only stand-in."""
    frames, _ = tiny_clip.write(tmp_path)
    (tmp_path / "s.yaml").write_text(
        "iterations: 60\npoints: 400\nmaskrcnn_weights: w.pth\n"
        "texture_grid: {levels: 6, log2_table: 12}\nalpha_grid: {levels: 4, log2_table: 12}"
    )
    asked = []

    def stand_in(weights, classes, device):
        asked.append((weights, classes))
        return detector(
            tiny_clip,
            lambda t: [("ball", 0.9, disc(tiny_clip, 22 + 3 * t, 22 + 0.5 * t, 12))] * (t != 5),
        )

    monkeypatch.setattr(prepare, "load_detector", stand_in)
    code = main(
        ["decompose", str(frames), "--out", str(tmp_path / "shot.nvd"), "--json",
         "--mask", "disc=maskrcnn:ball", "--settings", str(tmp_path / "s.yaml")]
    )  # fmt: skip
    assert code == 0 and asked[0] == ("w.pth", ["ball"])
    assert load_settings(tmp_path / "shot.nvd" / "settings.yaml").maskrcnn_weights == "w.pth"
    shot = Shot.open(tmp_path / "shot.nvd")
    assert shot.names == ["disc", "background"]
    assert np.array_equal(
        read_image(shot.mask_path("disc", 2))[..., 0] > 127, disc(tiny_clip, 28, 23, 12)
    )
    assert not shot.mask_path("disc", 5).exists()
