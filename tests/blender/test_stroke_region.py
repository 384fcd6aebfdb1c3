"""While somebody paints, the preview draws what strokes have changed, bit for bit what all of the
picture would be."""

import shutil

import bpy
import numpy as np
import pytest

from blender_addon.paint import damage, playback, preview
from blender_addon.shot import painting, shots, stack

pytestmark = pytest.mark.usefixtures("extension")


def all_of(rectangles):
    return sum((right - left) * (top - bottom) for left, bottom, right, top in rectangles)


class Pair:
    """A preview that draws what strokes have changed, and one that draws all, of one frame."""

    def __init__(self, entry, t=1, mode="delta", grid=0.0):
        self.entry, self.t = entry, t
        self.shown, self.whole = (preview.Preview(entry, mode) for _ in range(2))
        self.shown.by_strokes, self.whole.by_strokes = True, False
        self.shown.grid = self.whole.grid = grid
        self.pixels = entry.read().width * entry.read().height

    def look(self):
        """What was drawn of the picture, which is the right one."""
        pictures = []
        for one in (self.shown, self.whole):
            one.prepare(self.entry, self.t)
            pictures.append(one.render(self.entry).read())
        np.testing.assert_array_equal(*pictures)
        return self.shown.drawn

    def close(self):
        self.shown.close()
        self.whole.close()


@pytest.fixture
def pair():
    """`pair`(entry, ...): a Pair, closed with the test."""
    made = []

    def make(*arguments, **named):
        made.append(Pair(*arguments, **named))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def small_blocks(monkeypatch):
    """Of a small picture as many blocks and tiles as otherwise of a large one."""
    monkeypatch.setattr(damage, "BLOCK", 4)
    monkeypatch.setattr(damage, "TILE", 4)


def stroke(layer, random):
    stroke_on(layer.edit, random)


def stroke_on(image, random, largest=12):
    """A little of the image in another colour, or hardly another one, or rubbed out."""
    pixels = painting.read_pixels(image)
    height, width = pixels.shape[:2]
    wide, high = random.integers(1, largest, 2)
    x, y = random.integers(0, width - wide), random.integers(0, height - high)
    part = pixels[y : y + high, x : x + wide]
    kind = random.integers(3)
    if kind == 0:
        part[:] = random.random(4)
    elif kind == 1:
        part[..., random.integers(4)] += np.where(part[..., 0] < 0.5, 1, -1) / 255
    else:
        part[..., 3] = 0
    painting.write_pixels(image, pixels.clip(0, 1))


def opened(made, tmp_path):
    entry = shots.add_shot(shutil.copytree(made / "shot.nvd", tmp_path / "shot.nvd"))
    for layer in entry.layers:  # so that all of them show, and go on to
        stroke(layer, np.random.default_rng(9))
    return entry


def settle(looks):
    """Draw until there is nothing to draw.

    Blender's image of a plate is reloaded by the second of the previews, and is another one then.
    """
    for _ in range(3):
        looks.look()
    assert looks.look() == []


def plain(_entry):
    pass


def edges(entry):
    entry.layers[0].choke, entry.layers[0].feather = -9, 2
    entry.layers[1].choke, entry.layers[1].spill = 1.5, 0.7


def blur(entry):
    entry.motion_blur, entry.shutter, entry.blur_samples = True, 1.5, 5


def blurred_edges(entry):
    edges(entry)
    blur(entry)


def amounts(entry):
    entry.layers[0].visibility, entry.layers[1].light = 0.6, 0.3


def stacked(entry):
    item = stack.add_paint(entry, entry.layers["background"])
    pixels = np.random.default_rng(1).random((*tuple(item.image.size)[::-1], 4), np.float32)
    pixels[len(pixels) // 3 :, :, 3] = 0
    painting.write_pixels(item.image, pixels)
    painting.save_edits(entry)
    return item


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("kind", "mode", "change", "grid"),
    [
        ("made", "delta", plain, 0.0),
        ("made", "full", plain, 0.0),
        ("made", "delta", edges, 0.0),
        ("made", "delta", blurred_edges, 0.4),
        ("made", "full", blur, 0.0),
        ("made", "delta", amounts, 0.7),
        ("made_linear", "delta", blur, 0.0),
        ("made_other_sizes", "delta", plain, 0.0),
    ],
)
def test_it_is_what_all_would_be(
    gpu_ready, small_blocks, pair, request, tmp_path, kind, mode, change, grid
):
    entry = opened(request.getfixturevalue(kind), tmp_path)
    change(entry)
    looks = pair(entry, mode=mode, grid=grid)
    settle(looks)
    random, parts = np.random.default_rng(3), []
    for n in range(12):
        for layer in random.choice(3, 1 + n % 2, replace=False):
            stroke(entry.layers[int(layer)], random)
        parts.append(all_of(looks.look()) / looks.pixels)
    seen = [part for part in parts if part]  # some lie where the frame does not look
    assert len(seen) > 8 and min(seen) < 0.1 and max(seen) < 0.7
    assert looks.look() == []


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("kind", "change", "passes"),
    [
        ("made", plain, 1),
        ("made", blur, 2),
        ("made", edges, 2),
        ("made_other_sizes", plain, 2),
        ("made_other_sizes", blur, 3),
    ],
)
def test_under_a_stack_and_on_it(
    gpu_ready, small_blocks, pair, request, tmp_path, kind, change, passes
):
    """Strokes on a layer with a stack, on what lies in the stack, and beside them."""
    entry = opened(request.getfixturevalue(kind), tmp_path)
    change(entry)
    background = entry.layers["background"]
    for n in range(passes):
        item = stacked(entry) if n != 1 else stack.add_plain(entry, background, "adjustment")
        item.opacity = 0.6
        item.blend = ("multiply", "normal", "screen")[n]
    entry.stack[1 % passes].hue = 40 if passes > 1 else 0
    painting.save_edits(entry)
    looks, random = pair(entry), np.random.default_rng(5)
    settle(looks)
    painted = [entry.layers["toy"].edit, background.edit, entry.stack[0].image]
    for image in painted * 4:
        stroke_on(image, random)
        drawn = looks.look()
        assert drawn is not None and all_of(drawn) < 0.7 * looks.pixels
    entry.stack[0].opacity = 0.3
    assert looks.look() is None
    painting.save_edits(entry)
    settle(looks)


@pytest.mark.gpu
def test_maps_that_the_card_evaluates(gpu_ready, pair, made, tmp_path, engine):
    folder = shutil.copytree(made / "shot.nvd", tmp_path / "copy/shot.nvd")
    engine.run("-m", "nvd_core", "maps", folder, "--compact")
    entry, random = opened(tmp_path / "copy", tmp_path), np.random.default_rng(6)
    looks = pair(entry)
    looks.shown.by_nodes = looks.whole.by_nodes = True
    settle(looks)
    assert looks.shown.cache.get(1, "toy").nbytes < looks.pixels * 24  # nodes, and no maps
    for _ in range(3):
        stroke(entry.layers["toy"], random)
        assert looks.look() is not None


@pytest.mark.gpu
@pytest.mark.parametrize("change", ["float", "half", "space", "alpha", "size"])
def test_images_that_are_kept_in_other_ways(gpu_ready, pair, made, tmp_path, change):
    """Of 16 bits they are followed too; what only Blender can hand on is drawn whole."""
    entry = opened(made, tmp_path)
    layer, looks, random = entry.layers["background"], pair(entry), np.random.default_rng(8)
    if change in ("float", "half"):
        size = layer.edit.size
        image = bpy.data.images.new("deep", *size, alpha=True, float_buffer=True)
        image.colorspace_settings.name, image.alpha_mode = "Non-Color", "CHANNEL_PACKED"
        image.use_half_precision = change == "half"
        image["nvd_path"] = layer.edit["nvd_path"]
        pixels = random.random((size[1], size[0], 4), np.float32) * 1.5 - 0.2
        image.pixels.foreach_set(pixels.ravel())
        image.update()
        layer.edit = image
    elif change == "space":
        layer.edit.colorspace_settings.name = "Linear Rec.709"
    elif change == "alpha":
        layer.edit.alpha_mode = "PREMUL"
    looks.look()
    if change == "size":
        layer.edit.scale(100, 60)
        looks.look()
        return
    looks.look()
    stroke(layer, random)
    assert (looks.look() is None) == (change in ("space", "alpha"))


@pytest.mark.gpu
def test_all_is_drawn_where_anything_else_has_changed(gpu_ready, pair, made, tmp_path):
    entry = opened(made, tmp_path)
    looks, random = pair(entry), np.random.default_rng(7)
    toy = entry.layers["toy"]
    changes = [
        lambda: setattr(looks, "t", 2),
        lambda: setattr(toy, "visibility", 0.5),
        lambda: setattr(toy, "light", 0.2),
        lambda: setattr(toy, "choke", 2),
        lambda: setattr(toy, "feather", 1),
        lambda: setattr(toy, "spill", 1),
        lambda: setattr(entry, "motion_blur", True),
        lambda: setattr(entry, "shutter", 1.2),
        lambda: setattr(entry, "blur_samples", 4),
        lambda: stacked(entry),
        lambda: setattr(entry.stack[0], "opacity", 0.4),
        lambda: setattr(looks.shown, "grid", 0.5) or setattr(looks.whole, "grid", 0.5),
        lambda: setattr(looks.shown, "grid", 0.2) or setattr(looks.whole, "grid", 0.2),
        looks.shown.forget_frame,
    ]
    for change in changes:
        settle(looks)
        change()
        stroke(toy, random)
        assert looks.look() is None
    settle(looks)
    painting.write_pixels(toy.learned, painting.read_pixels(toy.learned) * 0.9)
    assert looks.look() is None and looks.look() is None  # nobody says how it changes


@pytest.mark.gpu
def test_what_is_shown_in_place_of_the_paint(gpu_ready, pair, made, tmp_path):
    """A pattern, what was learned, the paint again, saved, and all of it taken off and put on."""
    entry = opened(made, tmp_path)
    looks = pair(entry)
    settle(looks)
    for what in ("checker", "learned", "grid", "edit"):
        painting.show(entry, entry.layers["background"], what)
        looks.look()
        looks.look()
    painting.save_edits(entry)
    looks.look()
    entry.layers["background"].edit.reload()
    looks.look()
    painting.restore_learned(entry.layers["background"])
    looks.look()
    painting.bring_back(entry.layers["background"])
    looks.look()
    painting.save_edits(entry)
    assert looks.look() is not None


@pytest.mark.gpu
def test_while_it_plays_no_texel_is_asked_for(gpu_ready, pair, made, tmp_path):
    entry = opened(made, tmp_path)
    looks = pair(entry)
    settle(looks)
    playback.begin(bpy.context.scene)
    try:
        for _ in range(3):
            assert looks.look() is None
    finally:
        playback.forget()
    settle(looks)


@pytest.mark.gpu
def test_a_program_draws_strokes_alone(gpu_ready, made):
    """A graphics card draws all in less time than its texels take to come back."""
    entry = shots.add_shot(made / "shot.nvd")
    live = preview.Preview(entry)
    live.prepare(entry, 0)
    live.render(entry)
    assert live.by_strokes is preview.shader.is_software()
    live.close()


@pytest.mark.once
@pytest.mark.parametrize("width", [70, 97, 32])
def test_tiles_that_have_changed(width):
    random, height = np.random.default_rng(0), 65
    before = random.random((height, width * 4), np.float32)
    for count in (0, 1, 5):
        after, wanted = before.copy(), np.zeros((3, -(-width // damage.TILE)), bool)
        for y, x in zip(*(random.integers(0, n, count) for n in (height, width)), strict=True):
            after[y, 4 * x + random.integers(4)] *= 1.01
            wanted[y // damage.TILE, x // damage.TILE] = True
        np.testing.assert_array_equal(damage.changed_tiles(before, after, width), wanted)
    assert damage.all_tiles((width, height)).shape == wanted.shape


@pytest.mark.once
def test_blocks_that_are_reached():
    """Each pixel looks at four texels, at the texture's edges at those that are there."""
    random, size = np.random.default_rng(1), (150, 90)
    tiles = random.random((3, 5)) < 0.2
    low = random.uniform(-0.2, 1.1, (20, 30, 2))
    bounds = np.concatenate([low, low + random.uniform(0, 0.3, low.shape)], -1).astype(np.float32)
    bounds[0] = 1e9, 1e9, -1e9, -1e9
    found = damage.reached_blocks(tiles, bounds, size)
    assert not found[0].any() and 0 < found.mean() < 0.9
    for row, column in np.ndindex(found.shape):
        for _ in range(20):
            box = bounds[row, column]
            at = random.uniform(box[:2], np.maximum(box[2:], box[:2])) * size - 0.5
            texels = np.floor(at)[:, None] + [0, 1]
            x, y = (np.clip(texels[axis], 0, size[axis] - 1).astype(int) for axis in (0, 1))
            looks = tiles[y // damage.TILE][:, x // damage.TILE].any()
            assert found[row, column] or row == 0 or not looks


@pytest.mark.once
def test_rectangles_lie_apart_and_hold_what_is_marked():
    random = np.random.default_rng(2)
    for share in (0, 0.1, 0.5, 0.9, 1):
        marked, count = random.random((5, 8)) < share, np.zeros((150, 250), int)
        found = damage.rectangles(marked, 32, (250, 150))
        for left, bottom, right, top in found:
            count[bottom:top, left:right] += 1
        wanted = np.repeat(np.repeat(marked, 32, 0), 32, 1)[:150, :250]
        np.testing.assert_array_equal(count, wanted)
        assert len(found) <= marked.sum() and (share < 1 or len(found) == 1)
