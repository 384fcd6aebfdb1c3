"""Only what an edit reaches is rendered, and the result is that of rendering everything."""

from contextlib import closing
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from nvd_core.editing import motion_blur, rendering
from nvd_core.editing.kernel_torch import composed, to_device
from nvd_core.editing.render import render, render_frames
from nvd_core.media.images import read_image, write_image
from nvd_core.runtime.progress import Progress
from nvd_core.shot.finish import PLAIN_FINISH
from nvd_core.shot.manifest import LayerRecord, Manifest, write_manifest
from nvd_core.shot.map_files import MapFiles
from nvd_core.shot.map_forms import compact
from nvd_core.shot.map_writer import MapWriter, write_maps
from nvd_core.shot.maps import FrameMaps, LayerMaps, read_maps
from nvd_core.shot.shot import Shot
from nvd_core.shot.tile_index import (
    NAME,
    TileIndex,
    changed_tiles,
    grid_of,
    looked_up,
    looked_up_where_shown,
)

pytestmark = pytest.mark.slow

FRAMES, WIDTH, HEIGHT = 6, 96, 64
TEXTURE = 600, 150  # width and height of the background's texture


@pytest.fixture(params=[8, 16, "half"])
def shot(request, tmp_path, synthetic):
    """An object that stands still before a background that pans by most of a frame each time."""
    folder = tmp_path / "shot.nvd"
    made = synthetic.make_shot(folder, FRAMES, WIDTH, HEIGHT, request.param)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    own = np.clip((20 - np.hypot(x - 40, y - 30)) / 4, 0, 1)
    light = np.full((HEIGHT, WIDTH, 3), 0.9, np.float16)
    with MapWriter(folder / "maps", ["dog", "background"]) as writer:
        for t in range(FRAMES):
            dog = LayerMaps(x / WIDTH, 1 - y / HEIGHT, own, light, (80, 70))
            u, v = (x + 90 * t + 0.5) / TEXTURE[0], 1 - (y + 40.3) / TEXTURE[1]
            writer.write(t, [dog, LayerMaps(u, v, 1 - own, light, TEXTURE)])
    records = []
    for name, (width, height) in {"dog": (80, 70), "background": TEXTURE}.items():
        image = np.full((height, width, 4), 255, np.uint8)
        image[..., :3] = np.random.default_rng(1).integers(50, 200, (height, width, 3))
        for kind in ("textures", "edits"):
            write_image(folder / f"{kind}/{name}.png", image)
        kind = "background" if name == "background" else "object"
        files = f"textures/{name}.png", f"edits/{name}.png"
        records.append(LayerRecord(name, kind, *files, width, height))
    manifest = made.manifest
    write_manifest(folder, Manifest(manifest.clip, tuple(records), frames=manifest.frames))
    return Shot.open(folder)


def paint(shot, name, box, colour=255, size=None):
    image = read_image(shot.texture_path(name))
    if size:
        image = cv2.resize(image, None, fx=size, fy=size, interpolation=cv2.INTER_LINEAR)
    image[box][..., :3] = colour
    write_image(shot.edit_path(name), image)


def without_index(shot, **options):
    """What rendering gives that reads all maps."""
    index = shot.folder / "maps" / NAME
    index.rename(index.with_suffix(".away"))
    try:
        return list(render_frames(shot, **options))
    finally:
        index.with_suffix(".away").rename(index)


@pytest.fixture
def maps_read(monkeypatch):
    """The numbers of the frames whose maps were read."""
    numbers, iter_maps = [], rendering.iter_maps

    def counted(shot, frames, *more):
        frames = list(frames)
        numbers.extend(frames)
        return iter_maps(shot, frames, *more)

    for module in (rendering, motion_blur):  # compact maps as they lie, and whatever else is read
        monkeypatch.setattr(module, "iter_maps", counted)
    return numbers


@pytest.mark.parametrize("mode", ["delta", "full"])
@pytest.mark.parametrize("size", [None, 3])
def test_frames_equal_those_of_reading_all_maps(shot, mode, size, maps_read):
    box = np.s_[210:240, 900:930] if size else np.s_[70:80, 300:310]
    paint(shot, "background", box, size=size)
    some = list(render_frames(shot, mode=mode))
    assert maps_read == ([2, 3] if mode == "delta" else list(range(FRAMES)))
    for one, other in zip(some, without_index(shot, mode=mode), strict=True):
        np.testing.assert_array_equal(one, other)
    changed = [(a != b).any() for a, b in zip(some, render_frames(shot, {}), strict=True)]
    assert mode == "full" or not any(changed)


def test_an_edit_on_what_every_frame_shows(shot, maps_read):
    paint(shot, "dog", np.s_[30:34, 20:40])
    list(render_frames(shot))
    assert maps_read == list(range(FRAMES))


def pattern_of(shot, folder):
    linear = shot.manifest.clip.encoding == "linear"
    return folder / ("%03d.exr" if linear else "%03d.png")


def rendered_again(shot, pattern, **options):
    """The numbers of the images that were written anew; all are compared with a fresh render."""
    files = [pattern.with_name(pattern.name % t) for t in range(FRAMES)]
    before = [file.stat().st_mtime_ns if file.exists() else 0 for file in files]
    result = render(shot, pattern, **options)
    new = [t for t, file in enumerate(files) if file.stat().st_mtime_ns != before[t]]
    assert result["unchanged"] == FRAMES - len(new)
    fresh = pattern.parent.parent / "fresh" / pattern.name
    options.pop("again", None)
    index = shot.folder / "maps" / NAME
    index.rename(index.with_suffix(".away"))
    render(shot, fresh, again=True, **options)
    index.with_suffix(".away").rename(index)
    for file in files:
        np.testing.assert_array_equal(read_image(file), read_image(fresh.with_name(file.name)))
    return new


@pytest.mark.parametrize("mode", ["delta", "full"])
def test_only_images_that_an_edit_reaches_are_rendered_again(shot, tmp_path, mode):
    pattern = pattern_of(shot, tmp_path / "out")
    everything = list(range(FRAMES))
    assert rendered_again(shot, pattern, mode=mode) == everything
    assert rendered_again(shot, pattern, mode=mode) == []
    paint(shot, "background", np.s_[70:80, 300:310])
    assert rendered_again(shot, pattern, mode=mode) == [2, 3]
    paint(shot, "background", np.s_[70:80, 300:310], 20)
    assert rendered_again(shot, pattern, mode=mode) == [2, 3]
    paint(shot, "background", np.s_[70:80, 30:40])
    assert rendered_again(shot, pattern, mode=mode) == [0, 2, 3]
    assert rendered_again(shot, pattern, mode=mode, again=True) == everything


def test_what_else_differs_is_rendered_again(shot, tmp_path):
    pattern = pattern_of(shot, tmp_path / "out")
    paint(shot, "dog", np.s_[30:34, 20:40])
    assert rendered_again(shot, pattern) == list(range(FRAMES))
    image = pattern.with_name(pattern.name % 1)
    image.unlink()
    write_image(pattern.with_name(pattern.name % 2), read_image(shot.frame_path(2)))
    assert rendered_again(shot, pattern) == [1, 2]
    maps = read_maps(shot.map_path(4), shot.names)
    maps.residual[:] = 1.25
    write_maps(shot.map_path(4), shot.names, [maps.layer(n) for n in (0, 1)])
    assert rendered_again(shot, pattern) == [4]
    assert rendered_again(shot, pattern) == [4]  # the index knows nothing of these maps
    frame = read_image(shot.frame_path(3))
    frame[5, 5] = frame[6, 6]
    write_image(shot.frame_path(3), frame[::-1])
    assert rendered_again(shot, pattern) == [3, 4]
    assert rendered_again(shot, pattern, mode="full") == list(range(FRAMES))


def test_a_damaged_index_or_memory_of_renders_is_none(shot, tmp_path):
    pattern = pattern_of(shot, tmp_path / "out")
    render(shot, pattern)
    (pattern.parent / f".{pattern.name}.rendered.json").write_text("{[")
    assert rendered_again(shot, pattern) == list(range(FRAMES))
    index = shot.folder / "maps" / NAME
    for damage in (index.read_bytes()[:200], b"nothing", b""):
        index.write_bytes(damage)
        assert TileIndex.load(index.parent, shot.names, FRAMES) is None
    assert rendered_again(shot, pattern) == list(range(FRAMES))


@pytest.mark.parametrize("edit", [(150, 600), (75, 300), (37, 1201), (450, 1800), (1, 1)])
def test_no_change_is_missed(edit):
    """Wherever the renderer shows a changed texel, its place lies in one of the tiles found."""
    random = np.random.default_rng(0)
    grid = grid_of(TEXTURE)
    u, v = random.random((2, 300, 300))
    u[:20], v[:20] = random.integers(0, 11, (2, 20, 300)) / 10  # the tiles' borders
    u[:, :9], v[9:20] = 1.0, 0.0
    uva = np.stack([u, v, np.ones_like(u)], -1).astype(np.float32)[None]
    maps = FrameMaps(uva, np.ones_like(uva))
    for _ in range(20):
        delta = np.zeros((*edit, 3), np.float32)
        delta[tuple(random.integers(0, side) for side in edit)] = 1
        shown = composed(maps, to_device({0: delta}, "cpu", torch.float64)).numpy().any(2)
        tiles = changed_tiles(delta.any(2), grid)
        places = uva[0][shown]
        assert not (looked_up(places[:, 0], places[:, 1], grid) & ~tiles).any()
        if min(edit) > 30:
            assert tiles.sum() <= 9


def test_tiles_of_a_layer_are_those_of_its_shown_places():
    random = np.random.default_rng(2)
    u, v, alpha = random.random((3, 50, 70)).astype(np.float32)
    alpha[alpha < 0.7] = 0
    alpha[:40] = 0
    u *= 0.4
    u[45], v[46] = 1.0, 0.0
    grid, bits = grid_of(TEXTURE), (14, 12)
    shown = alpha > 0
    rounded = (np.rint(p[shown] * 2**b) / 2**b for p, b in zip((u, v), bits, strict=True))
    found = looked_up_where_shown(u, v, alpha, bits, grid)
    np.testing.assert_array_equal(found, looked_up(*rounded, grid))
    assert 0 < found.sum() < found.size


def test_the_first_frame_waits_for_no_look_at_all_maps(tmp_path, synthetic, monkeypatch):
    """What an edit reaches is found frame by frame: of a long clip the first is there at once."""
    shot = synthetic.make_shot(tmp_path / "shot.nvd", frames=24)
    paint(shot, "background", np.s_[:])
    looked_at, own = [], MapFiles.checksum

    def noted(self, t):
        looked_at.append(t)
        return own(self, t)

    monkeypatch.setattr(MapFiles, "checksum", noted)
    with closing(render_frames(shot)) as frames:
        next(frames)
        assert 0 in looked_at and 23 not in looked_at
        assert len(list(frames)) == 23
    assert sorted(looked_at) == list(range(24)), "each once"


def test_blurred_frames_of_a_compact_folder(tmp_path, synthetic):
    """Their neighbours' maps are told apart by what lies there, EXR or not."""
    folder = tmp_path / "shot.nvd"
    shot = synthetic.make_shot(folder, FRAMES, WIDTH, HEIGHT)
    for name in shot.names:
        write_image(shot.edit_path(name), 255 - read_image(shot.texture_path(name)))
    compact(shot, Progress())
    shot = Shot.open(folder)
    assert not list((folder / "maps").glob("*.exr"))
    finish = replace(PLAIN_FINISH, motion_blur=replace(PLAIN_FINISH.motion_blur, shutter=0.5))
    out = tmp_path / "out" / "%05d.png"
    assert render(shot, out, finish=finish)["unchanged"] == 0
    assert render(shot, out, finish=finish)["unchanged"] == FRAMES
