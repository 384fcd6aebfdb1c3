"""A virtual camera over the tiny clip: places, opacity carried along, pictures, and bad input."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.editing.camera import carried_opacity, render_camera
from nvd_core.editing.camera_path import Hold, Key, camera_points, key_at, load_keys
from nvd_core.editing.render import render_frames
from nvd_core.fields.inference import frame_layers
from nvd_core.fields.saved_model import load_model
from nvd_core.media.images import read_image, to_float, write_image
from nvd_core.runtime.errors import Cancelled, NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.shot.shot import Shot

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shot(trained) -> Shot:
    return trained()


@pytest.fixture(scope="module")
def steady(trained) -> Shot:
    """The same clip without its changes of light."""
    return trained(light=False)


def pictures(shot: Shot, folder: Path, keys: list[Key], **options) -> list[np.ndarray]:
    """What `nvd camera` would render as 16-bit images, as float32."""
    render_camera(shot, folder / "%02d.png", keys, bit_depth=16, **options)
    return [to_float(read_image(path)) for path in sorted(folder.glob("*.png"))]


def composed(shot: Shot) -> list[np.ndarray]:
    return [to_float(f) for f in render_frames(shot, mode="full", bit_depth=16)]


class TestPath:
    def test_the_clips_own_camera(self, tiny_clip):
        points = camera_points(
            Key(0), tiny_clip.WIDTH, tiny_clip.HEIGHT, tiny_clip.WIDTH, tiny_clip.HEIGHT
        )
        x, y = np.meshgrid(np.arange(tiny_clip.WIDTH), np.arange(tiny_clip.HEIGHT))
        assert np.array_equal(points, np.stack([x, y], -1))

    def test_scale_shift_and_rotation(self, tiny_clip):
        right = camera_points(
            Key(0, x=3, y=-2), tiny_clip.WIDTH, tiny_clip.HEIGHT, tiny_clip.WIDTH, tiny_clip.HEIGHT
        )
        assert np.array_equal(right[5, 7], [10, 3])
        near = camera_points(
            Key(0, scale=2), tiny_clip.WIDTH, tiny_clip.HEIGHT, tiny_clip.WIDTH, tiny_clip.HEIGHT
        )
        assert np.allclose(near[0, 0], [(tiny_clip.WIDTH - 1) / 4, (tiny_clip.HEIGHT - 1) / 4])
        turned = camera_points(Key(0, rotation=90), 11, 11, 11, 11)
        assert np.allclose(turned[5, 10], [5, 10], atol=1e-5)  # its right is the clip's below
        wide = camera_points(
            Key(0), tiny_clip.WIDTH + 20, tiny_clip.HEIGHT, tiny_clip.WIDTH, tiny_clip.HEIGHT
        )
        assert np.array_equal(wide[0, 0], [-10, 0])

    def test_between_keys_it_is_smooth_and_does_not_overshoot(self):
        keys = [Key(0), Key(10, scale=4, x=50), Key(20, scale=4, x=50), Key(30, x=-10, rotation=90)]
        for key in keys:
            at = key_at(keys, key.frame)
            assert (at.scale, at.x, at.rotation) == pytest.approx(
                (key.scale, key.x, key.rotation), abs=1e-9
            )
        way = np.array([key_at(keys, t).x for t in range(31)])
        assert way.max() <= 50 + 1e-9 and way.min() >= -10 - 1e-9
        assert np.allclose(way[10:21], 50)
        assert np.abs(np.diff(way, 2)).max() < 8  # a corner would be 5 a frame and more
        assert key_at(keys, 99) == dataclasses.replace(key_at(keys, 30), frame=99)
        assert key_at(keys[1:], 2).x == pytest.approx(50)

    def test_a_zoom_is_even(self):
        keys = [Key(0, scale=1), Key(10, scale=4)]
        assert key_at(keys, 5).scale == pytest.approx(2)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("keys: [", "YAML"),
            ("- 1", "a list of keys"),
            ("keys: []", "a list of keys"),
            ("keys: [{frame: 0}]\nmore: 1", "a list of keys"),
            ("keys: [{scale: 2}]", "a key with a frame"),
            ("keys: [{frame: 0, zoom: 2}]", "scale, x, y, rotation"),
            ("keys: [{frame: 0, x: far}]", "a number for x"),
            ("keys: [{frame: 0, x: .nan}]", "a number for x"),
            ("keys: [{frame: 0, x: true}]", "a number for x"),
            ("keys: [{frame: 8}]", "0 to 7"),
            ("keys: [{frame: 1.5}]", "0 to 7"),
            ("keys: [{frame: 0, scale: 0}]", "scale"),
            ("keys: [{frame: 3}, {frame: 1}]", "rise"),
            ("keys: [{frame: 1}, {frame: 1}]", "rise"),
        ],
    )
    def test_bad_keys_say_what_is_wrong(self, text, words, tmp_path, tiny_clip):
        (tmp_path / "keys.yaml").write_text(text)
        with pytest.raises(NvdError, match=r"keys\.yaml") as caught:
            load_keys(tmp_path / "keys.yaml", tiny_clip.FRAMES)
        assert words in str(caught.value)

    def test_good_keys(self, tmp_path, tiny_clip):
        (tmp_path / "keys.yaml").write_text("keys: [{frame: 0}, {frame: 7, scale: 2, y: 1.5}]")
        keys = load_keys(tmp_path / "keys.yaml", tiny_clip.FRAMES)
        assert keys == [Key(0), Key(7, scale=2, y=1.5)]


class TestOpacity:
    def test_at_the_pixels_it_is_the_networks_own(self, shot, tiny_clip):
        model = load_model(shot.folder)
        points = camera_points(
            Key(0), tiny_clip.WIDTH, tiny_clip.HEIGHT, tiny_clip.WIDTH, tiny_clip.HEIGHT
        )
        carried = carried_opacity(model, 0, 3, points)
        assert np.abs(carried - frame_layers(model, 3).alpha[0]).max() < 0.002

    def test_between_pixels_it_is_between_theirs(self, shot, tiny_clip):
        model = load_model(shot.folder)
        alpha = frame_layers(model, 3).alpha[0]
        points = camera_points(
            Key(0, x=0.5), tiny_clip.WIDTH, tiny_clip.HEIGHT, tiny_clip.WIDTH, tiny_clip.HEIGHT
        )
        carried = carried_opacity(model, 0, 3, points)[:, :-1]
        assert np.abs(carried - (alpha[:, 1:] + alpha[:, :-1]) / 2).mean() < 0.01
        assert np.ptp(carried) > 0.9

    def test_out_of_the_frame_there_is_none(self, shot, tiny_clip):
        model = load_model(shot.folder)
        points = camera_points(
            Key(0, x=tiny_clip.WIDTH),
            tiny_clip.WIDTH,
            tiny_clip.HEIGHT,
            tiny_clip.WIDTH,
            tiny_clip.HEIGHT,
        )
        assert not carried_opacity(model, 0, 3, points).any()


def assert_alike(ours: np.ndarray, full: np.ndarray) -> None:
    """All but the one in a thousand whose alpha bends most between pixels within .015."""
    off = np.abs(ours - full)
    assert np.quantile(off, 0.999) < 0.015 and off.max() < 0.04 and off.mean() < 0.001


class TestPictures:
    def test_the_clips_own_camera_is_the_full_render(self, shot, tmp_path):
        for ours, full in zip(pictures(shot, tmp_path, [Key(0)]), composed(shot), strict=True):
            assert_alike(ours, full)

    def test_a_shifted_camera_shows_the_shifted_picture(self, shot, tmp_path):
        shifted = pictures(shot, tmp_path, [Key(0, x=5, y=-4)])
        for ours, full in zip(shifted, composed(shot), strict=True):
            assert_alike(ours[4:, :-5], full[:-4, 5:])

    def test_an_additive_shot_keeps_its_light(self, tmp_path, trained):
        shot = trained(residual="additive")
        ours = pictures(shot, tmp_path, [Key(0)])
        for picture, full in zip(ours, composed(shot), strict=True):
            assert np.abs(picture - full).mean() < 0.001

    def test_paint_is_seen(self, shot, tmp_path):
        edit = read_image(shot.texture_path("disc"))
        edit[..., :3] = (0, 255, 0)
        write_image(tmp_path / "green.png", edit)
        (tmp_path / "out").mkdir()
        paths = {"disc": tmp_path / "green.png"}
        painted = pictures(shot, tmp_path / "out", [Key(0, x=5)], edits=paths, frames=(2, 2))
        x, y = 22 + 3 * 2 - 5, 22 + 1
        assert painted[0][y, x, 1] > painted[0][y, x, 0] + 0.3

    def test_a_larger_picture_shows_what_other_frames_saw(self, shot, tmp_path, tiny_clip):
        wide = pictures(
            shot, tmp_path, [], hold=0, size=(tiny_clip.WIDTH + 40, tiny_clip.HEIGHT + 20)
        )
        full = composed(shot)
        middle = wide[0][10:-10, 20:-20]
        assert np.abs(middle - full[0]).max() < 0.03
        # the pan shows FRAMES - 1 more columns on the right, and nothing on the left
        later = full[-1][5:-5, -(tiny_clip.FRAMES - 1) + 1 : -1]
        right = wide[-1][
            15:-15, 20 + tiny_clip.WIDTH + 1 : 20 + tiny_clip.WIDTH + tiny_clip.FRAMES - 2
        ]
        assert right.shape == later.shape and np.abs(right - later).mean() < 0.04
        assert not wide[0][:, :16].any() and not wide[0][:6].any()
        assert not wide[0][:, 20 + tiny_clip.WIDTH + tiny_clip.FRAMES + 3 :].any()


class TestHold:
    @pytest.mark.long
    def test_places_undo_the_pan(self, steady, tiny_clip):
        hold = Hold(load_model(steady.folder), 3)
        points = camera_points(
            Key(0), tiny_clip.WIDTH, tiny_clip.HEIGHT, tiny_clip.WIDTH, tiny_clip.HEIGHT
        )
        uv = hold.texture_places(points)
        for t in (0, 3, 7):
            moved = hold.places(uv, t)[10:-10, 10:-10] - points[10:-10, 10:-10]
            assert np.abs(moved - [3 - t, 0]).mean() < 0.5, t

    def test_places_have_the_held_texture_coordinates(self, shot, tiny_clip):
        model = load_model(shot.folder)
        hold = Hold(model, 3)
        uv = hold.texture_places(
            camera_points(
                Key(0), tiny_clip.WIDTH, tiny_clip.HEIGHT, tiny_clip.WIDTH, tiny_clip.HEIGHT
            )
        )
        again = hold._mapped(hold.places(uv, 6).reshape(-1, 2), 6).reshape(uv.shape)
        inside = slice(8, -8)
        error = np.abs(again - uv)[inside, inside] * model.mappings[-1].pixels_per_unit
        assert error.max() < 0.02  # pixels

    def test_the_background_stands_still_and_the_object_moves(self, steady, tmp_path):
        held, shot = pictures(steady, tmp_path, [], hold=3), composed(steady)
        corner = np.s_[36:, :20]  # never covered by the disc
        change = max(np.abs(p[corner] - held[3][corner]).mean() for p in held)
        shot_change = max(np.abs(f[corner] - shot[3][corner]).mean() for f in shot)
        assert change < 0.01 and shot_change > 0.05
        middle = np.s_[20:26, 24:30]  # the disc is here at first, then leaves
        assert np.abs(held[-1][middle] - held[0][middle]).mean() > 0.1


class TestCommand:
    def test_keys_and_hold_to_a_movie(self, shot, tmp_path, capsys):
        (tmp_path / "keys.yaml").write_text("keys: [{frame: 0}, {frame: 7, scale: 1.5}]")
        code = main(
            ["camera", str(shot.folder), "--keys", str(tmp_path / "keys.yaml"), "--hold", "2",
             "--size", "96x64", "--frames", "1-4", "--out", str(tmp_path / "a.mp4"), "--json"]
        )  # fmt: skip
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert code == 0 and lines[-1]["frames"] == 4
        assert {line.get("stage") for line in lines} >= {"camera"}
        assert (tmp_path / "a.mp4").stat().st_size > 500

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ([], "neither --keys nor --hold"),
            (["--hold", "8"], "8-8"),
            (["--hold", "0", "--size", "20"], "WIDTHxHEIGHT"),
            (["--hold", "0", "--edit", "cat=x.png"], "cat"),
            (["--keys", "none.yaml"], "none.yaml"),
        ],
    )
    def test_bad_input(self, words, said, shot, tmp_path, capsys):
        out = tmp_path / "%02d.png"
        assert main(["camera", str(shot.folder), "--out", str(out), *words]) == 2
        assert said in capsys.readouterr().err
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("name", ["checkpoint.safetensors", "checkpoint.json", "settings.yaml"])
    def test_without_its_networks(self, name, shot, tmp_path):
        shutil.copytree(shot.folder, tmp_path / "shot.nvd")
        (tmp_path / "shot.nvd" / name).unlink()
        with pytest.raises(NvdError, match="without its trained networks") as caught:
            render_camera(Shot.open(tmp_path / "shot.nvd"), tmp_path / "a.mp4", [Key(0)])
        assert name in caught.value.found
        assert not (tmp_path / "a.mp4").exists()

    @pytest.mark.parametrize(
        ("textures", "words"),
        [
            (None, "does not say how its textures lie"),
            ([[[0, 0], [0, 1]]] * 2, "does not say how its textures lie"),
            ([[[0, 0], [1, 1]]], "another decomposition"),
        ],
    )
    def test_without_where_the_textures_lie(self, textures, words, shot, tmp_path):
        shutil.copytree(shot.folder, tmp_path / "shot.nvd")
        path = tmp_path / "shot.nvd" / "checkpoint.json"
        facts = json.loads(path.read_text())
        facts.pop("textures")
        path.write_text(json.dumps(facts | ({"textures": textures} if textures else {})))
        with pytest.raises(NvdError, match=words):
            render_camera(Shot.open(tmp_path / "shot.nvd"), tmp_path / "a.mp4", [Key(0)])

    def test_cancelled_it_leaves_no_movie(self, shot, tmp_path):
        class StopAt(Progress):
            def update(self, done, **values):
                if self._stage == "camera" and done == 2:
                    self.cancel()
                super().update(done, **values)

        with pytest.raises(Cancelled):
            render_camera(shot, tmp_path / "a.mp4", [Key(0)], progress=StopAt())
        assert not list(tmp_path.iterdir())
