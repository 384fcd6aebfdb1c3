"""Edges, holdouts and motion blur of what is painted, edits/finish.json: against plain formulas."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from nvd_core.cli.main import main
from nvd_core.editing.edges import choked, continued, edged, feathered, spilt
from nvd_core.editing.finishing import twin
from nvd_core.editing.holdout import write_carried_finish
from nvd_core.editing.kernel_torch import composed, lookup, to_device
from nvd_core.editing.layer_alone import LayerAlone
from nvd_core.editing.motion_blur import sample_times, steps_of
from nvd_core.editing.render import render, render_frames
from nvd_core.media.images import read_image, to_float, write_image
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.finish import (
    PLAIN_FINISH,
    Finish,
    LayerEdges,
    MotionBlur,
    finish_path,
    holdout_path,
    read_finish,
    write_finish,
)
from nvd_core.shot.manifest import write_manifest
from nvd_core.shot.map_writer import write_maps
from nvd_core.shot.maps import FrameMaps, read_maps
from nvd_core.shot.shot import Shot
from nvd_core.shot.stack import Entry, Stack, write_stack
from nvd_core.shot.values import LayerValues, Values, write_values

FRAMES = 5
EDGES = Finish(
    {
        "dog": LayerEdges(choke=1.5, feather=2.0),
        "cat": LayerEdges(choke=-2.0, feather=1.0),
        "background": LayerEdges(holdout="edits/holdout/background/%05d.png"),
    }
)
BLUR = Finish(motion_blur=MotionBlur(shutter=1.5, samples=5))
BOTH = replace(EDGES, motion_blur=BLUR.motion_blur)


@pytest.fixture(scope="module")
def painted(tmp_path_factory, synthetic) -> Shot:
    """A painted shot with a holdout matte that moves; not to be changed."""
    made = synthetic.make_shot(tmp_path_factory.mktemp("finish") / "shot.nvd", frames=FRAMES)
    for name in made.names:
        edit = read_image(made.edit_path(name)).copy()
        edit[3:, 2:, :3] = np.random.default_rng(4).integers(0, 256, (*edit[3:, 2:].shape[:2], 3))
        edit[10:14, :, 3] = 128
        write_image(made.edit_path(name), edit)
    for t in range(FRAMES):
        write_image(made.folder / f"edits/holdout/background/{t:05d}.png", holdout(t))
    write_values(made, Values({"cat": LayerValues(0.75, 0.5)}))
    return made


def holdout(t: int) -> np.ndarray:
    matte = np.zeros((36, 48, 1), np.uint8)
    matte[:, 20 + t : 26 + t] = 255
    matte[:, 26 + t] = 100
    return matte


def textures_of(shot: Shot, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The learned texture and what the edit adds to it, float64."""
    edit = to_float(read_image(shot.edit_path(name))).astype(np.float64)
    learned = to_float(read_image(shot.texture_path(name))).astype(np.float64)[..., :3]
    return learned, edit[..., 3:] * (edit[..., :3] - learned)


def plain_lookup(texture: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return lookup(torch.from_numpy(texture), torch.from_numpy(u), torch.from_numpy(v)).numpy()


def light_of(texture: np.ndarray) -> np.ndarray:
    """The display's curve undone, float64."""
    low = texture / 12.92
    return np.where(texture <= 0.04045, low, ((texture.clip(0) + 0.055) / 1.055) ** 2.4)


def display_of(light: np.ndarray) -> np.ndarray:
    high = 1.055 * light.clip(0) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, light * 12.92, high)


def base_of(shot: Shot, t: int, mode: str, values: Values) -> np.ndarray:
    """The frame, or in full mode the layers as they were learned, float64."""
    if mode == "delta":
        return to_float(read_image(shot.frame_path(t))).astype(np.float64)
    maps, total = read_maps(shot.map_path(t), shot.names), 0.0
    for n, name in enumerate(shot.names):
        visibility, light = values.at(name, t)
        residual = 1 + light * (maps.residual[n : n + 1].astype(np.float64) - 1)
        one = FrameMaps(maps.uva[n : n + 1], residual)
        texture = to_device({0: textures_of(shot, name)[0]}, "cpu", torch.float64)
        total = total + visibility * composed(one, texture).numpy()
    return total


def expected(shot: Shot, t: int, mode: str, finish: Finish, values: Values) -> np.ndarray:
    """The picture by the formulas of the reference, in float64, 0 to 1."""
    maps = read_maps(shot.map_path(t), shot.names)
    near = [
        read_maps(shot.map_path(n), shot.names) if 0 <= n < FRAMES else None for n in (t - 1, t + 1)
    ]
    to_add_to = base = base_of(shot, t, mode, values)
    still, moves, longest = 0.0, 0.0, np.zeros(base.shape[:2])
    for n, name in enumerate(shot.names):
        visibility, light = values.at(name, t)
        learned, delta = textures_of(shot, name)
        residual = 1 + light * (maps.residual[n : n + 1].astype(np.float64) - 1)
        one = FrameMaps(maps.uva[n : n + 1].copy(), residual)
        steps = steps_of(one.uva[0].copy(), *(None if s is None else s.uva[n] for s in near))
        own = finish.of(name)
        continued(one.uva[0], one.residual[0], 6)
        matte = None if own.holdout is None else to_float(holdout(t))[..., 0]
        before = one.uva[0, ..., 2].copy()
        edge = edged(before, own, matte)
        one.uva[0, ..., 2] = np.minimum(edge, before)
        still = still + visibility * twin(plain_lookup, delta, one, steps, np.zeros(1))
        change = light_of(learned + delta) - light_of(learned)
        lit = FrameMaps(one.uva, light_of(one.residual))
        times = sample_times(finish.motion_blur)
        moves = moves + visibility * twin(plain_lookup, change, lit, steps, times)
        # beyond the matte, paint is laid over
        opacity = to_float(read_image(shot.edit_path(name)))[..., 3:].astype(np.float64)
        opacity = np.repeat(opacity * (delta != 0).any(2, keepdims=True), 3, 2)
        beyond = FrameMaps(one.uva.copy(), one.residual)
        beyond.uva[0, ..., 2] = edge - one.uva[0, ..., 2]
        unlit = FrameMaps(beyond.uva, np.ones_like(beyond.residual))
        laid = twin(plain_lookup, delta + opacity * learned, beyond, steps, np.zeros(1))
        hides = twin(plain_lookup, opacity, unlit, steps, np.zeros(1))
        still = still + visibility * (laid - hides * to_add_to)
        straight = learned + delta / np.where(opacity > 0, opacity, 1)
        bright = FrameMaps(beyond.uva, lit.residual)
        laid = twin(plain_lookup, opacity * light_of(straight), bright, steps, times)
        hides = twin(plain_lookup, opacity, unlit, steps, times)
        moves = moves + visibility * (laid - hides * light_of(to_add_to))
        one.uva[0, ..., 2] = edge
        for step in steps:
            far = finish.motion_blur.shutter * np.hypot(*(step * delta.shape[1::-1]).T).T
            longest = np.maximum(longest, far * (one.uva[0, ..., 2] > 0))
    moves = display_of(light_of(base) + moves) - base
    share = longest.clip(0, 1)[..., None]
    return (base + still + share * (moves - still)).clip(0, 1)


@pytest.mark.parametrize("mode", ["delta", "full"])
@pytest.mark.parametrize("finish", [EDGES, BLUR, BOTH], ids=["edges", "blur", "both"])
def test_every_frame_equals_the_formula(painted, mode, finish):
    from nvd_core.shot.values import read_values

    values = read_values(painted)
    plain = render_frames(painted, mode=mode)
    for t, frame in enumerate(render_frames(painted, mode=mode, finish=finish)):
        wanted = expected(painted, t, mode, finish, values)
        assert np.abs(frame / 255 - wanted).max() < 0.51 / 255
        assert np.abs(next(plain) / 255 - wanted).max() > 20 / 255


def test_without_a_file_nothing_changes(painted):
    for one, other in zip(
        render_frames(painted), render_frames(painted, finish=PLAIN_FINISH), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_choke_and_feather_are_what_they_say():
    """Against loops over all pixels, in float64."""
    alpha = np.random.default_rng(0).random((14, 17)).astype(np.float32)
    padded = np.pad(alpha.astype(np.float64), 3, mode="edge")
    for pixels, best in ((2.0, np.min), (-2.0, np.max), (1.25, np.min)):
        size = abs(pixels)
        wanted = np.zeros(alpha.shape)
        for radius, share in ((int(size), 1 - size % 1), (int(size) + 1, size % 1)):
            for y, x in np.ndindex(alpha.shape) if share else ():
                near = [
                    alpha[j, i]
                    for j, i in np.ndindex(alpha.shape)
                    if (j - y) ** 2 + (i - x) ** 2 <= radius**2
                ]
                wanted[y, x] += share * best(near)
        assert np.abs(choked(alpha, pixels) - wanted).max() < 1e-6
    line = np.exp(-0.5 * (np.arange(-3, 4) / (2.5 / 3)) ** 2)
    line /= line.sum()
    wanted = np.zeros(alpha.shape)
    for y, x in np.ndindex(alpha.shape):
        wanted[y, x] = line @ padded[y : y + 7, x : x + 7] @ line
    assert np.abs(feathered(alpha, 2.5) - wanted).max() < 1e-6


def test_places_go_on_beyond_the_matte():
    """Of places that are linear in the pixels, exactly; beyond the reach there stay none."""
    y, x = np.mgrid[0:40, 0:50].astype(np.float32)
    inner = np.hypot(x - 24, y - 20) < 12
    uva = np.dstack([x / 50, 1 - y / 40, np.ones_like(x)]) * inner[..., None]
    residual = np.where(inner[..., None], 0.5, 1).repeat(3, 2).astype(np.float32)
    continued(uva, residual, 4)
    ring = (np.hypot(x - 24, y - 20) < 15) & ~inner
    assert np.abs(uva[ring][:, :2] - np.stack([x / 50, 1 - y / 40], -1)[ring]).max() < 1e-6
    assert (residual[ring] == 0.5).all()
    assert (uva[..., 2] == inner).all()
    far = np.hypot(x - 24, y - 20) > 18
    assert not uva[far].any() and (residual[far] == 1).all()


def test_spill_finds_what_the_matte_missed():
    """A red disc before green: the matte is two pixels narrow, the plate knows better."""
    y, x = np.mgrid[0:60, 0:60]
    far = np.hypot(x - 30, y - 30)
    true = ((20 - far) / 4 + 0.5).clip(0, 1).astype(np.float32)
    narrow = ((18.5 - far) / 3 + 0.5).clip(0, 1).astype(np.float32)
    red, green = (np.full((60, 60, 3), c, np.float32) for c in ((0.8, 0.2, 0.1), (0.2, 0.6, 0.2)))
    plate = green + true[..., None] * (red - green)
    found = spilt(narrow, plate, red, green, 1.0)
    near = (far > 16) & (far < 20)
    assert np.abs(narrow - true)[near].max() > 0.4
    assert np.abs(found - true)[near].max() < 0.02
    half = spilt(narrow, plate, red, green, 0.5)
    assert np.abs(half - (narrow + true) / 2)[near].max() < 0.02
    assert (found[far > 26] == 0).all()
    alike = spilt(narrow, plate, red, red + 1e-3, 1.0)  # colours that cannot be told apart
    assert np.abs(alike - narrow).max() < 0.05


def test_motion_is_taken_from_where_the_layer_shows():
    """Constant motion, in a layer that is hidden before, after, or in both."""
    x = np.tile(np.arange(40, dtype=np.float32), (8, 1))
    maps = [np.dstack([(x - 3 * t) / 40, x * 0 + 0.5, np.ones_like(x)]) for t in (-1, 0, 1)]
    before, now, after = maps
    before[:, 10:20] = 0
    after[:, 15:25] = 0
    for side in steps_of(now, before, after):
        assert np.abs(side - [-3 / 40, 0]).max() < 1e-6
    for side in steps_of(now, None, after):
        assert np.abs(side - [-3 / 40, 0]).max() < 1e-6
    assert not np.any(steps_of(now, None, None))


def test_a_layer_alone_has_its_edges(painted):
    finish = Finish({"dog": LayerEdges(choke=2, feather=1)}, MotionBlur(1.0, 4))
    (made,) = LayerAlone(painted, "dog", {}, 16, finish=finish).frames([2])
    maps = read_maps(painted.map_path(2), ["dog"])
    wanted = edged(maps.uva[0, ..., 2], finish.of("dog"), None)
    assert np.abs(made[..., 3] / 65535 - wanted).max() < 1e-4
    learned, delta = textures_of(painted, "dog")
    places = maps.uva[0].copy()
    near = [read_maps(painted.map_path(n), ["dog"]).uva[0] for n in (1, 3)]
    steps = steps_of(places, *near)
    continued(maps.uva[0], maps.residual[0], 1)
    maps.uva[0, ..., 2] = wanted > 0
    still = twin(plain_lookup, learned + delta, maps, steps, np.zeros(1))
    maps.residual = light_of(maps.residual)
    times = sample_times(finish.motion_blur)
    moves = display_of(twin(plain_lookup, light_of(learned + delta), maps, steps, times))
    far = [np.hypot(*(step * delta.shape[1::-1]).T).T for step in steps]
    share = np.maximum(*far).clip(0, 1)[..., None]
    colours = still + share * (moves - still)
    assert np.abs(made[..., :3] / 65535 - colours.clip(0, 1))[wanted > 0].max() < 1e-4


def test_what_stands_still_is_not_touched(shot):
    """With motion blur, a clip of one frame over and over comes out as without, bit for bit."""
    for t in range(1, FRAMES):
        shutil.copy(shot.map_path(0), shot.map_path(t))
    for one, other in zip(render_frames(shot), render_frames(shot, finish=BLUR), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_frame_hangs_on_no_other_that_is_rendered(shot):
    """What is laid on another layer in other frames does not tell how long streaks are in this."""
    for name in ("dog", "background"):
        write_image(shot.edit_path(name), read_image(shot.texture_path(name)))
    warm = Entry("warm", "dog", "adjustment", gain=1.5, frames=(0, 0))
    write_stack(shot, Stack((warm,)))
    blur = Finish(motion_blur=MotionBlur(shutter=0.3, samples=4))
    *_, of_all = render_frames(shot, frames=(0, 3), finish=blur, bit_depth=16)
    (alone,) = render_frames(shot, frames=(3, 3), finish=blur, bit_depth=16)
    np.testing.assert_array_equal(of_all, alone)


@pytest.fixture
def shot(tmp_path, synthetic) -> Shot:
    made = synthetic.make_shot(tmp_path / "shot.nvd", frames=FRAMES)
    for name in made.names:
        edit = read_image(made.edit_path(name)).copy()
        edit[4:20, 3:15, :3] = (250, 20, 60)
        write_image(made.edit_path(name), edit)
    return made


def test_only_what_a_matte_touches_is_rendered_again(shot, tmp_path):
    for t in range(FRAMES):
        write_image(shot.folder / f"edits/holdout/background/{t:05d}.png", holdout(t))
    write_finish(shot, EDGES)
    pattern = tmp_path / "%02d.png"
    render(shot, pattern)
    assert render(shot, pattern)["unchanged"] == FRAMES
    write_image(shot.folder / "edits/holdout/background/00003.png", holdout(0))
    assert render(shot, pattern)["unchanged"] == FRAMES - 1
    write_finish(shot, BOTH)
    assert render(shot, pattern)["unchanged"] == 0
    assert render(shot, pattern)["unchanged"] == FRAMES
    for t, frame in enumerate(render_frames(shot)):
        np.testing.assert_array_equal(read_image(tmp_path / f"{t:02d}.png"), frame)


def test_paint_that_spreads_shows_where_the_index_has_none(shot):
    """A layer whose paint no frame looks up, until its edge is spread over it."""
    edit = read_image(shot.texture_path("dog")).copy()
    write_image(shot.edit_path("cat"), read_image(shot.texture_path("cat")))
    write_image(shot.edit_path("background"), read_image(shot.texture_path("background")))
    edit[:, :3, :3] = 255  # u below 0.08: beyond the disc's edge
    write_image(shot.edit_path("dog"), edit)
    plain = list(render_frames(shot))
    wide = list(render_frames(shot, finish=Finish({"dog": LayerEdges(choke=-6)})))
    assert sum(np.count_nonzero(a != b) for a, b in zip(plain, wide, strict=True)) > 100


def text_of(**layers) -> str:
    return json.dumps({"schema": "nvd.finish", "version": 1, "layers": layers})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot read"),
        ('{"schema": "nvd.values", "version": 1, "layers": {}}', "does not hold edges"),
        ('{"schema": "nvd.finish", "version": 2, "layers": {}}', "written by a newer program"),
        ('{"schema": "nvd.finish", "version": 1}', "misses keys"),
        (text_of(dg={}), "layers.dg is not valid"),
        (text_of(dog={"chok": 1}), "unknown keys"),
        (text_of(dog={"choke": 33}), "dog.choke is not valid"),
        (text_of(dog={"feather": -1}), "dog.feather is not valid"),
        (text_of(dog={"spill": 1.5}), "dog.spill is not valid"),
        (text_of(dog={"holdout": "../x.png"}), "dog.holdout is not valid"),
        (text_of(dog={"holdout": "edits/holdout/../x.png"}), "dog.holdout is not valid"),
        (text_of(dog={"holdout": "edits/holdout/dog.png"}), "there is no image"),
    ],
)
def test_damage_is_named(shot, text, words):
    finish_path(shot).write_text(text)
    with pytest.raises(NvdError, match=words) as caught:
        list(render_frames(shot))
    assert caught.value.remedy


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_the_command_line(shot, tmp_path, capsys):
    write_image(tmp_path / "post.png", np.repeat(holdout(0), 3, 2))
    given = [
        "--choke",
        "dog=1.5",
        "--feather",
        "dog=2",
        "--holdout",
        f"background={tmp_path}/post.png",
    ]
    assert run("finish", shot.folder, *given, "--shutter") == 0
    made = read_finish(shot)
    assert made.of("dog") == LayerEdges(1.5, 2.0)
    assert made.motion_blur == MotionBlur(0.5, 16)
    np.testing.assert_array_equal(
        read_image(shot.folder / made.of("background").holdout), holdout(0)
    )
    for t in range(FRAMES):
        write_image(tmp_path / f"posts/{t:04d}.png", 255 - holdout(t))
    assert run("finish", shot.folder, "--holdout", f"background=!{tmp_path}/posts") == 0
    again = read_finish(shot).of("background").holdout
    for t in range(FRAMES):
        np.testing.assert_array_equal(read_image(shot.folder / (again % t)), holdout(t))
    assert not (shot.folder / made.of("background").holdout).exists()
    assert run("render", shot.folder, "--out", tmp_path / "%02d.png", "--shutter", "0") == 0
    wanted = replace(read_finish(shot), motion_blur=MotionBlur())
    for t, frame in enumerate(render_frames(shot, finish=wanted)):
        np.testing.assert_array_equal(read_image(tmp_path / f"{t:02d}.png"), frame)
    reset = ["--reset", "dog", "--reset", "background", "--shutter", "0", "--samples"]
    assert run("finish", shot.folder, *reset[:-1]) == 0
    assert read_finish(shot) == PLAIN_FINISH
    assert not list((shot.folder / "edits/holdout").iterdir())
    capsys.readouterr()
    for words in (
        ["--choke", "nobody=1"],
        ["--choke", "dog"],
        ["--choke", "dog=33"],
        ["--shutter", "3"],
        ["--samples", "8"],
        ["--holdout", "dog=nowhere.png"],
    ):
        assert run("finish", shot.folder, *words) == 2, words
        assert "what to do" in capsys.readouterr().err.lower()


def over(below: np.ndarray, paint: np.ndarray) -> np.ndarray:
    return paint[..., 3:] * paint[..., :3] + (1 - paint[..., 3:]) * below


def test_passes_put_the_picture_together(tmp_path, synthetic):
    """Linear paint of all layers over the plate, and matte, light and uv against the maps."""
    shot = synthetic.make_shot(tmp_path / "shot.nvd", frames=2, bit_depth="float")
    edit = read_image(shot.edit_path("background")).copy()
    edit[10:40, 5:50, :3] = (240, 40, 30)
    write_image(shot.edit_path("background"), edit)
    finish = Finish({"background": LayerEdges(feather=1)})
    out = tmp_path / "out/%04d.exr"
    kinds = ["matte", "uv", "light", "paint"]
    render(shot, out, finish=finish, passes=kinds, bit_depth="float", start=7)
    made = {k: read_image(tmp_path / f"out/passes/background/{k}/00008.exr") for k in kinds}
    assert {k: (v.shape[2], str(v.dtype)) for k, v in made.items()} == {
        "matte": (1, "float16"),
        "uv": (3, "float32"),
        "light": (3, "float16"),
        "paint": (4, "float16"),
    }
    maps = read_maps(shot.map_path(1), ["background"])
    alpha = edged(maps.uva[0, ..., 2], finish.of("background"), None)
    assert np.abs(made["matte"][..., 0] - alpha).max() < 1e-3
    shows = maps.uva[0, ..., 2] > 0
    assert np.abs(made["uv"][shows][:, :2] - maps.uva[0][shows][:, :2]).max() < 1e-6
    assert np.abs(made["light"][shows] - maps.residual[0][shows]).max() < 1e-3
    whole = maps.uva[0, ..., 2] == 1
    plate = read_image(shot.frame_path(1))
    rendered = read_image(tmp_path / "out/0008.exr")
    paint = made["paint"].astype(np.float32)  # straight: `read_image` divides by the alpha
    assert paint[..., 3].max() > 0.99
    solid = whole & (paint[..., 3] > 0.999)
    assert solid.sum() > 50
    assert np.abs(over(plate, paint) - rendered)[solid].max() < 4e-3
    assert np.abs(rendered - plate)[solid].max() > 0.1
    dog = read_image(tmp_path / "out/passes/dog/paint/00008.exr")
    assert not dog.any()
    assert main(["render", str(shot.folder), "--out", str(tmp_path / "o/%d.png"), "--layer", "dog",
                 "--passes", "matte", "--passes-to", str(tmp_path / "p")]) == 0  # fmt: skip
    assert sorted(p.name for p in tmp_path.glob("p/*/*/*")) == ["00000.exr", "00001.exr"]
    with pytest.raises(NvdError, match="none are asked for"):
        render(shot, out, passes_to=tmp_path)


def test_it_is_carried_to_another_decomposition(shot, tmp_path, synthetic):
    """With the holdout's frames where they were, and what has no layer said."""
    new = synthetic.make_shot(tmp_path / "new.nvd", frames=3)
    clip = replace(new.manifest.clip, first_frame=2)
    write_manifest(new.folder, replace(new.manifest, clip=clip))
    new = Shot.open(new.folder)
    for t in range(FRAMES):
        write_image(shot.folder / f"edits/holdout/background/{t:05d}.png", holdout(t))
    write_finish(shot, BOTH)
    assert write_carried_finish(shot, new) == []
    assert read_finish(new) == BOTH
    for t in range(3):
        path = holdout_path(new, BOTH.of("background").holdout, t)
        np.testing.assert_array_equal(read_image(path), holdout(t + 2))


def test_mattes_are_not_rendered_over(shot):
    for t in range(FRAMES):
        write_image(shot.folder / f"edits/holdout/background/{t:05d}.png", holdout(t))
    with pytest.raises(NvdError, match="belongs to the decomposition"):
        render(shot, shot.folder / "edits/holdout/background/%05d.png")


@pytest.mark.parametrize("mode", ["delta", "full"])
def test_spill_mends_a_matte_that_is_too_narrow(tmp_path, synthetic, mode):
    """Against the same paint by the matte that the frames were made with."""
    shots = [synthetic.make_shot(tmp_path / name, frames=2) for name in ("true", "narrow")]
    soft = []
    for t in range(2):
        path = shots[1].map_path(t)
        maps = read_maps(path, shots[1].names)
        alpha = maps.uva[0, ..., 2].copy()
        maps.uva[0, ..., 2] = (2 * alpha - 1).clip(0, 1)
        maps.uva[2, ..., 2] += alpha - maps.uva[0, ..., 2]
        write_maps(path, shots[1].names, [maps.layer(n) for n in range(3)])
        soft.append((alpha > 0.05) & (alpha < 0.95) & (maps.uva[1, ..., 2] == 0))
    for shot in shots:
        edit = read_image(shot.edit_path("dog")).copy()
        edit[..., :3], edit[..., 3] = (20, 230, 250), 255
        write_image(shot.edit_path("dog"), edit)
    wanted, plain = ([*render_frames(shot)] for shot in shots)
    mended = [*render_frames(shots[1], mode=mode, finish=Finish({"dog": LayerEdges(spill=1.0)}))]
    if mode == "full":
        plain = [*render_frames(shots[1], mode=mode)]
        wanted = [*render_frames(shots[0], mode=mode)]

    def off(pictures: list) -> float:
        apart = [
            np.abs(a.astype(float) - b)[where].mean()
            for a, b, where in zip(pictures, wanted, soft, strict=True)
        ]
        return float(np.mean(apart))

    assert off(mended) < off(plain) / 2
