"""Visibility and light of layers, edits/values.json: all that renders obeys it, frame by frame."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from nvd_core.cli.main import main
from nvd_core.editing import kernel as kernels
from nvd_core.editing.hand_over import hand_over
from nvd_core.editing.kernel_torch import composed, to_device
from nvd_core.editing.layer_alone import LayerAlone
from nvd_core.editing.paint_frame import paint_frame
from nvd_core.editing.render import render, render_frames
from nvd_core.media.images import read_image, to_float, write_image
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.maps import FrameMaps, read_maps
from nvd_core.shot.shot import Shot
from nvd_core.shot.values import (
    PLAIN,
    Keys,
    LayerValues,
    Values,
    lay_on_maps,
    read_values,
    values_path,
    write_values,
)

FRAMES = 6
MOVING = Values(
    {
        "dog": LayerValues(visibility=Keys(((0, 1.0), (2, 0.0), (4, 0.5)), "constant")),
        "cat": LayerValues(light=Keys(((1, 1.0), (4, 0.4)))),
        "background": LayerValues(visibility=True, light=0.4),
    }
)
"""hidden for two frames; a light that falls; a constant"""


def paint(shot: Shot) -> None:
    for name in shot.names:
        edit = read_image(shot.edit_path(name))
        edit[4:20, 3:15, :3] = (250, 20, 60)
        edit[10:14, :, 3] = 128
        write_image(shot.edit_path(name), edit)


@pytest.fixture
def shot(tmp_path, synthetic) -> Shot:
    made = synthetic.make_shot(tmp_path / "shot.nvd", frames=FRAMES)
    paint(made)
    return made


def expected(shot: Shot, t: int, mode: str, values: Values) -> np.ndarray:
    """The picture by the formulas of the reference, in float64, 0 to 1."""
    maps = read_maps(shot.map_path(t), shot.names)
    total = to_float(read_image(shot.frame_path(t))).astype(np.float64) * (mode == "delta")
    for n, name in enumerate(shot.names):
        visibility, light = values.at(name, t)
        edit = to_float(read_image(shot.edit_path(name))).astype(np.float64)
        learned = to_float(read_image(shot.texture_path(name))).astype(np.float64)[..., :3]
        texture = edit[..., 3:] * (edit[..., :3] - learned) + (learned if mode == "full" else 0)
        one = FrameMaps(maps.uva[n : n + 1], np.ones_like(maps.residual[n : n + 1]))
        shown = composed(one, to_device({0: texture}, "cpu", torch.float64)).numpy()
        residual = maps.residual[n].astype(np.float64)
        total = total + visibility * shown * (1 + light * (residual - 1))
    return total.clip(0, 1)


@pytest.mark.parametrize("mode", ["delta", "full"])
def test_every_frame_equals_the_formula(shot, mode):
    write_values(shot, MOVING)
    for t, frame in enumerate(render_frames(shot, mode=mode)):
        wanted = expected(shot, t, mode, MOVING)
        assert np.abs(frame / 255 - wanted).max() < 0.51 / 255
        assert np.abs(frame / 255 - expected(shot, t, mode, PLAIN)).max() > 4 / 255


def test_values_that_move():
    dog, cat = MOVING.layers["dog"].visibility, MOVING.layers["cat"].light
    assert [dog.at(t) for t in range(FRAMES)] == [1, 1, 0, 0, 0.5, 0.5]
    assert [cat.at(t) for t in range(FRAMES)] == pytest.approx([1, 1, 0.8, 0.6, 0.4, 0.4])
    assert MOVING.at("background", 3) == (1, 0.4)
    assert PLAIN.at("dog", 3) == (1, 1)


@pytest.mark.parametrize("which", ["numba", "torch", "triton"])
@pytest.mark.parametrize("mode", ["delta", "full"])
def test_every_kernel_obeys(which, mode, render_cases):
    """Against the twin in float64."""
    values = Values({"a": LayerValues(0.0, 0.3), "b": LayerValues(0.7, 0.25)})
    names, textures = ["a", "b", "c"], dict(enumerate(render_cases.random_deltas()[:3]))
    maps = render_cases.random_maps(height=20, width=31)
    total = np.zeros(maps.uva.shape[1:])
    for n, name in enumerate(names):
        visibility, light = values.at(name, 0)
        one = FrameMaps(maps.uva[n : n + 1], np.ones_like(maps.residual[n : n + 1]))
        shown = composed(one, to_device({0: textures[n]}, "cpu", torch.float64)).numpy()
        total += visibility * shown * (1 + light * (maps.residual[n].astype(np.float64) - 1))
    device = torch.device("cpu")
    if which == "triton":
        pytest.importorskip("triton", reason="Triton is not installed: its kernels are NOT tested")
        from nvd_core.editing import kernel_triton

        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        kernel = kernel_triton.make_kernel(textures, mode, False, device)
    elif which == "torch":
        kernel = kernels._cuda_kernel(textures, mode, False, device)
    else:
        kernel = kernels.make_kernel(textures, mode, False, "cpu")
    out = kernel(np.zeros(total.shape, np.float32), lay_on_maps(maps, names, values, 0))
    np.testing.assert_allclose(out, total, rtol=0, atol=2e-6)


def test_without_a_file_and_with_ones_nothing_changes(shot, tmp_path):
    """Neither a picture nor what is remembered of it: images rendered before stay."""
    render(shot, tmp_path / "%02d.png")
    before = [np.array(frame) for frame in render_frames(shot)]
    ones = {name: LayerValues(1.0, Keys(((0, 1.0), (3, 1.0)))) for name in shot.names}
    write_values(shot, Values(ones))
    for one, other in zip(before, render_frames(shot), strict=True):
        np.testing.assert_array_equal(one, other)
    assert render(shot, tmp_path / "%02d.png")["unchanged"] == FRAMES


def test_only_the_frames_that_a_value_touches_are_rendered_again(shot, tmp_path):
    write_values(shot, MOVING)
    pattern = tmp_path / "%02d.png"
    render(shot, pattern)
    kept = {t: (tmp_path / f"{t:02d}.png").stat().st_mtime_ns for t in range(FRAMES)}

    def rendered_anew() -> set[int]:
        render(shot, pattern)
        now = {t: (tmp_path / f"{t:02d}.png").stat().st_mtime_ns for t in range(FRAMES)}
        anew = {t for t in kept if now[t] != kept[t]}
        kept.update(now)
        return anew

    assert rendered_anew() == set()
    # In frames 2 and 3 the dog is hidden: what its light is does not matter there
    changed = MOVING.with_value("dog", "light", 0.2)
    write_values(shot, changed)
    assert rendered_anew() == {0, 1, 4, 5}
    changed = changed.with_value("cat", "light", 0.9, 3)  # its line bends in 2 as well
    write_values(shot, changed)
    assert rendered_anew() == {2, 3}
    for t, frame in enumerate(render_frames(shot)):
        np.testing.assert_array_equal(read_image(tmp_path / f"{t:02d}.png"), frame)


def test_hidden_everywhere_is_the_clip_as_shot(shot, tmp_path):
    hidden = Values({name: LayerValues(visibility=0.0) for name in shot.names})
    for t, frame in enumerate(render_frames(shot, values=hidden)):
        np.testing.assert_array_equal(frame, read_image(shot.frame_path(t)))
    render(shot, tmp_path / "%02d.png", values=hidden)
    assert (tmp_path / "01.png").read_bytes() == shot.frame_path(1).read_bytes()
    (shot.map_path(0).parent / "tiles.npz").unlink()
    for t, frame in enumerate(render_frames(shot, values=hidden)):
        np.testing.assert_array_equal(frame, read_image(shot.frame_path(t)))


def test_a_layer_alone(shot):
    values = Values({"cat": LayerValues(0.5, 0.0)})
    (plain,) = LayerAlone(shot, "cat", {}, 16).frames([1])
    (made,) = LayerAlone(shot, "cat", {}, 16, values).frames([1])
    half = np.abs(made[..., 3].astype(float) - plain[..., 3] / 2)
    assert half.max() <= 1
    maps = read_maps(shot.map_path(1), ["cat"])
    maps.residual[:] = 1
    texture = to_float(read_image(shot.edit_path("cat")))
    learned = to_float(read_image(shot.texture_path("cat")))[..., :3]
    texture = learned + texture[..., 3:] * (texture[..., :3] - learned)
    maps.uva[..., 2] = maps.uva[..., 2] > 0
    unlit = composed(maps, to_device({0: texture}, "cpu")).numpy()
    assert np.abs(made[..., :3] / 65535 - unlit.clip(0, 1)).max() < 2e-5


def test_what_is_handed_over_obeys(shot, tmp_path, node_programs):
    write_values(shot, MOVING)
    out = tmp_path / "out"
    hand_over(shot, out, ["nuke"], inverse=False)
    for number in range(FRAMES):
        made = node_programs.nuke(out / "shot.nk", number)["result"]
        wanted = read_image(out / f"result/result.{number:04d}.png")
        assert np.abs(made[..., :3] - to_float(wanted)).max() <= 0.5 / 255 + 1e-3
        (frame,) = render_frames(shot, frames=(number, number))
        np.testing.assert_array_equal(wanted, frame)


def test_paint_on_a_relit_frame_looks_there_as_it_was_painted(shot, tmp_path):
    write_values(shot, PLAIN.with_value("background", "light", 2.0))
    (frame,) = render_frames(shot, frames=(1, 1))
    picture = frame.copy()
    picture[28:34, 4:20] = (40, 90, 60)
    write_image(tmp_path / "painted.png", picture)
    paint_frame(shot, 1, tmp_path / "painted.png")
    (now,) = render_frames(shot, frames=(1, 1))
    assert np.abs(now[30:32, 7:17].astype(int) - (40, 90, 60)).max() <= 6


def test_a_hidden_layer_takes_no_paint(shot, tmp_path):
    write_values(shot, Values({name: LayerValues(visibility=0.0) for name in shot.names}))
    picture = read_image(shot.frame_path(1)).copy()
    picture[28:34, 4:20] = (40, 90, 60)
    write_image(tmp_path / "painted.png", picture)
    with pytest.raises(NvdError, match="reaches no layer that shows"):
        paint_frame(shot, 1, tmp_path / "painted.png")
    assert list(paint_frame(shot, 1, tmp_path / "painted.png", layers=["background"])["painted"])


def text_of(**layers) -> str:
    return json.dumps({"schema": "nvd.values", "version": 1, "layers": layers})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot read"),
        ("[]", "does not hold the values of layers"),
        ('{"schema": "nvd.values", "version": 0, "layers": {}}', "version is not valid"),
        ('{"schema": "nvd.values", "version": 2, "layers": {}}', "written by a newer program"),
        ('{"schema": "nvd.values", "version": 1}', "misses keys"),
        (text_of(dg={}), "layers.dg is not valid"),
        (text_of(dog={"lihgt": 1}), "unknown keys"),
        (text_of(dog={"visibility": 1.5}), "dog.visibility is not valid"),
        (text_of(dog={"light": -1}), "dog.light is not valid"),
        (text_of(dog={"light": 1e9}), "dog.light is not valid"),
        (text_of(dog={"light": True}), "dog.light is not valid"),
        (text_of(dog={"light": float("nan")}), "not a finite number"),
        (text_of(dog={"light": {"keys": []}}), "dog.light.keys is not valid"),
        (text_of(dog={"light": {"keys": [[0, 1], [0, 2]]}}), "expected frames that rise"),
        (text_of(dog={"light": {"keys": [[1.5, 1]]}}), "keys"),
        (text_of(dog={"light": {"keys": [[FRAMES, 1]]}}), "expected frames of the clip, 0 to 5"),
        (text_of(dog={"light": {"keys": [[0, 1]], "interpolation": "bezier"}}), "interpolation"),
    ],
)
def test_damage_is_named(shot, text, words):
    values_path(shot).write_text(text)
    with pytest.raises(NvdError, match=words) as caught:
        read_values(shot)
    assert caught.value.remedy
    with pytest.raises(NvdError, match=words):
        render_frames(shot)


def test_what_is_written_is_read(shot):
    write_values(shot, MOVING)
    assert read_values(shot).at("dog", 2) == (0, 1)
    assert json.loads(values_path(shot).read_text())["layers"] == {
        "dog": {
            "visibility": {"keys": [[0, 1.0], [2, 0.0], [4, 0.5]], "interpolation": "constant"}
        },
        "cat": {"light": {"keys": [[1, 1.0], [4, 0.4]], "interpolation": "linear"}},
        "background": {"light": 0.4},
    }
    with pytest.raises(NvdError, match=r"layers\.nobody"):
        write_values(shot, Values({"nobody": LayerValues(0.5)}))


def run(*words: str) -> int:
    return main([str(word) for word in words])


def test_the_command_line(shot, tmp_path, capsys):
    assert run("values", shot.folder, "--hide", "dog", "--light", "cat=0.5") == 0
    assert run("values", shot.folder, "--light", "cat=0.25", "--key", "3") == 0
    assert read_values(shot).layers == {
        "dog": LayerValues(visibility=0.0),
        "cat": LayerValues(light=Keys(((0, 0.5), (3, 0.25)))),
    }
    given = ["--visibility", "dog=0.5", "--hide", "cat", "--light", "background=0"]
    assert run("render", shot.folder, "--out", tmp_path / "%02d.png", *given) == 0
    wanted = Values(
        {
            "dog": LayerValues(0.5),
            "cat": LayerValues(0.0),
            "background": LayerValues(light=0.0),
        }
    )
    for t, frame in enumerate(render_frames(shot, values=wanted)):
        np.testing.assert_array_equal(read_image(tmp_path / f"{t:02d}.png"), frame)
    assert read_values(shot).layers["dog"] == LayerValues(visibility=0.0)  # they were for once
    assert run("values", shot.folder, "--reset", "dog", "--reset", "cat") == 0
    assert read_values(shot) == PLAIN
    capsys.readouterr()
    for words in (["--hide", "nobody"], ["--light", "dog"], ["--light", "dog=101"]):
        assert run("values", shot.folder, *words) == 2
        assert "what to do" in capsys.readouterr().err.lower()
    assert not list(Path(shot.folder, "edits").glob(".*"))


@pytest.mark.slow
def test_another_camera_obeys(trained, tmp_path):
    """From where the clip was shot it shows what a full rendering does."""
    from nvd_core.editing.camera import render_camera

    shot = trained()
    name = shot.names[0]
    values = Values(
        {
            name: LayerValues(visibility=Keys(((0, 1.0), (2, 0.25)))),
            "background": LayerValues(light=0.3),
        }
    )
    wanted = list(render_frames(shot, mode="full", bit_depth=16, frames=(0, 2), values=values))
    render_camera(shot, tmp_path / "%d.png", [], bit_depth=16, frames=(0, 2), values=values)
    for t in range(3):
        made = to_float(read_image(tmp_path / f"{t}.png"))
        error = np.mean((made - to_float(wanted[t])) ** 2)
        assert error < 1e-3, t
    plain = list(render_frames(shot, mode="full", bit_depth=16, frames=(2, 2)))
    assert np.mean((to_float(plain[0]) - to_float(wanted[2])) ** 2) > 4e-3
