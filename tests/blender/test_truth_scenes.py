"""Scenes with a known truth: what is claimed of them agrees with what Blender renders."""

import json

import bpy
import numpy as np
import pytest
from scenes.truth.folder import Look, encoded, times, write_truth
from scenes.truth.known import draw_points, flow, seen, track
from scenes.truth.materials import GREY
from scenes.truth.scenes import SCENES
from scenes.truth.stage import Stage
from scenes.truth.writing import write_picture

pytestmark = [
    pytest.mark.slow,
    pytest.mark.once,
]

WIDTH, HEIGHT = 96, 54


@pytest.fixture(scope="module")
def crossing():
    """The scene and, of three frames: what is seen, covers, unlit colours, points to track."""
    scene = SCENES["crossing"]()
    stage = Stage(scene, WIDTH, HEIGHT)
    random = np.random.default_rng(0)
    points = [draw_points(sheet, random) for sheet in scene.sheets]
    frames = []
    for s in (0.3, 0.4, 0.5):
        stage.pose(s)
        uvs = [stage.uv(sheet.name) for sheet in scene.sheets]
        tracked = track(scene, points, s, (WIDTH, HEIGHT), stage.sees)
        frames.append((s, uvs, stage.covers(64), stage.unlit(64), tracked))
    stage.close()
    return scene, points, frames


def test_coordinates_lie_under_their_pixels(crossing):
    scene, _, frames = crossing
    for s, uvs, *_ in frames:
        for sheet, uv in zip(scene.sheets, uvs, strict=True):
            y, x = np.nonzero(uv[..., 2] > 0.5)
            assert len(y) > 200
            world = sheet.place(uv[y, x, 0], uv[y, x, 1], s)
            pixels = scene.camera(s).project(world, WIDTH, HEIGHT)
            assert np.abs(pixels - np.stack([x, y], -1)).max() < 0.05, sheet.name


def test_covers_agree_with_what_is_in_front(crossing):
    scene, _, frames = crossing
    for s, uvs, covers, *_ in frames:
        np.testing.assert_allclose(covers.sum(-1), 1, atol=1e-4)
        sure = covers.max(-1) > 0.99
        assert sure.mean() > 0.7
        assert (seen(scene, uvs, s).layer == covers.argmax(-1))[sure].all()


def test_unlit_colours_are_the_textures(crossing):
    scene, _, frames = crossing
    s, uvs, covers, unlit, _ = frames[0]
    view = seen(scene, uvs, s)
    for n, sheet in enumerate(scene.sheets):
        at = (view.layer == n) & (covers[..., n] > 0.999)
        height, width = sheet.texture.shape[:2]
        column = (view.uv[at][:, 0] * width).astype(int).clip(0, width - 1)
        row = (view.uv[at][:, 1] * height).astype(int).clip(0, height - 1)
        looked_up = sheet.texture[row, column].ravel()
        shown = np.maximum(unlit[at], 0).ravel() ** (1 / 2.2)
        assert np.corrcoef(looked_up, shown)[0, 1] > 0.75, sheet.name


def test_light_on_grey_is_what_the_picture_has_over_its_colours():
    stage = Stage(SCENES["shadow"](), WIDTH, HEIGHT)
    stage.pose(0.5)
    lit, unlit = encoded(stage.lit(0, 64)), encoded(stage.unlit(256))
    light = encoded(stage.light(0, 64)) / encoded(np.array(GREY))
    stage.close()
    even = np.hypot(*np.gradient(unlit.mean(-1))) < 0.01  # within one colour
    shown = (unlit.min(-1) > 0.25) & (lit.max(-1) < 0.98) & even
    ratio = (lit / unlit)[shown] / light[shown]
    assert shown.mean() > 0.05
    assert np.abs(np.log(ratio)).mean() < 0.05
    assert light[shown].min() < 0.75 < 0.95 < light[shown].max()  # in shadow and in the sun


def test_flow_there_and_back_ends_where_it_began(crossing):
    scene, _, frames = crossing
    views = [seen(scene, uvs, s) for s, uvs, *_ in frames]
    there, free = flow(scene, views[0], frames[1][0], views[1])
    back, _ = flow(scene, views[1], frames[0][0], views[0])
    y, x = np.nonzero(free)
    target = np.stack([x, y], -1) + there[y, x]
    column, row = np.rint(target).astype(int).T
    returned = target + back[row, column]
    away = np.hypot(*(returned - np.stack([x, y], -1)).T)
    assert np.median(away) < 0.1 and np.percentile(away, 90) < 1
    assert np.abs(there[views[0].layer == 0]).max() > 3  # the ball moves
    assert np.abs(there[views[0].layer == 2]).max() < 0.05  # the room does not


def test_points_are_where_their_coordinates_are_seen(crossing):
    scene, points, frames = crossing
    layer = np.repeat(np.arange(3), [len(p) for p in points])
    places = np.concatenate(points)
    hidden_by_another = 0
    for s, uvs, covers, _, (pixels, occluded) in frames:
        view = seen(scene, uvs, s)
        column, row = np.rint(pixels).astype(int).T.clip(0, [[WIDTH - 1], [HEIGHT - 1]])
        sure = covers.max(-1)[row, column] > 0.99
        visible = ~occluded & sure
        assert (view.layer[row, column] == layer)[visible].all()
        assert np.abs(view.uv[row, column] - places)[visible].max() < 0.06
        inside = (pixels > 0).all(-1) & (pixels < (WIDTH - 1, HEIGHT - 1)).all(-1)
        in_front = (view.layer[row, column] < layer) & sure & inside
        assert occluded[in_front].all()
        hidden_by_another += in_front.sum()
    assert hidden_by_another > 5


def test_pictures_hold_the_values_given(tmp_path):
    bpy.context.scene.view_settings.view_transform = "Raw"
    random = np.random.default_rng(0)
    values = random.integers(0, 256, (20, 30, 3)) / 255
    write_picture(tmp_path / "a.png", values)
    np.testing.assert_allclose(read(tmp_path / "a.png", (20, 30)), values, atol=1e-6)
    write_picture(tmp_path / "a.exr", values * 3 - 1)
    np.testing.assert_allclose(read(tmp_path / "a.exr", (20, 30)), values * 3 - 1, atol=2e-4)


def read(path, size):
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    assert tuple(image.size) == size[::-1]
    return np.array(image.pixels[:]).reshape(*size, 4)[::-1, :, :3]


def test_a_folder_is_what_the_engine_reads(tmp_path, engine):
    look = Look(WIDTH, HEIGHT, 3, 4)
    write_truth(SCENES["turning"](), look, tmp_path / "turning", say=lambda *_, **__: None)
    code = """
import json, sys, numpy as np
from nvd_core.evaluation.truth.folder import Truth
truth = Truth.open(sys.argv[1])
flow, ok = truth.flow(0)
changed = np.abs(truth.edited(1) - truth.frame(1)).max(2) > 0.1
print(json.dumps({
    "parts": sorted(truth.files), "changed": float(changed.mean()),
    "painted": float((truth.painted(1).max(0) > 0.5).mean()),
    "light": float(np.median(truth.light(1))), "turned": float(np.abs(flow[ok]).max()),
    "points": len(truth.tracks().points),
}))
"""
    found = json.loads(engine.run("-c", code, tmp_path / "turning").stdout)
    assert {"uv", "flow", "light", "clean"} <= set(found["parts"])
    assert 0.3 < found["changed"] / found["painted"] < 2 and found["painted"] > 0.02
    assert 0.5 < found["light"] < 1.5 and 5 < found["turned"] < 30 and found["points"] > 60
    assert len(times(look)) == 3
