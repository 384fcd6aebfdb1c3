"""Paint over one bridge: what of it is looked at, and holes in what is certain."""

import numpy as np
import pytest

from nvd_core.editing.over_bridge import (
    DARK,
    MOST_GAIN,
    Box,
    box_around,
    over_bridge,
    smooth_gain,
    without_holes,
)
from nvd_core.editing.window_bridges import Bridge, LayerFrames
from nvd_core.media.images import read_image, write_image
from nvd_core.priors.flow_size import pixel_grid

AT_REST = ((0, 1), (2, 3))
WHOLE = slice(0, 100), slice(0, 120)


def surface(shift: float = 12.0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A square that moved: places, all of them certain, and where either frame shows it."""
    own, its_own = np.zeros((2, 100, 120), bool)
    own[20:80, 20:80] = its_own[20:80, 20 + int(shift) : 80 + int(shift)] = True
    place = pixel_grid(100, 120) - np.float32((shift, 0))
    return place, its_own.copy(), own, its_own


def test_a_hole_lies_as_what_is_around_it():
    """Whatever was guessed there."""
    place, seen, own, its_own = surface()
    wanted = place.copy()
    seen[48:52, 60:64] = False
    place[48:52, 60:64] += 30
    found, sure = without_holes(place, seen, own, its_own, WHOLE)
    assert sure[its_own].all() and not sure[~its_own].any()
    np.testing.assert_allclose(found[its_own], wanted[its_own], atol=0.01)


def test_what_is_certain_stays_and_large_holes_too():
    """There is another surface, or none that both show."""
    place, seen, own, its_own = surface()
    seen[30:70, 60:92] = False
    found, sure = without_holes(place, seen, own, its_own, WHOLE)
    np.testing.assert_array_equal(found[seen], place[seen])
    assert not sure[35:65, 66:92].any()


def test_a_hole_that_the_first_frame_does_not_show_stays():
    place, seen, own, its_own = surface()
    seen[48:52, 60:64] = False
    own[46:54, 46:54] = False
    assert not without_holes(place, seen, own, its_own, WHOLE)[1][48:52, 60:64].any()


def test_a_box_holds_what_frames_show():
    bounds = np.array([[0.25, 0.5], [0.5, 0.75]])
    box = box_around([bounds, bounds + 0.1], (100, 40))
    assert (box.columns, box.rows) == (slice(23, 63), slice(4, 23))
    assert box_around([np.array([[0.0, 0.0], [1.0, 1.0]])], (10, 10)).size == (10, 10)


def test_the_box_of_what_shows_nothing_is_a_texel():
    nothing = np.array([[1.0, 1.0], [0.0, 0.0]])
    bounds = np.array([[0.25, 0.5], [0.5, 0.75]])
    assert box_around([nothing], (100, 80)).size == (1, 1)
    assert box_around([nothing, bounds], (100, 80)) == box_around([bounds], (100, 80))


@pytest.mark.parametrize("bare, its, wanted", [(0.05, 0.14, 1), (0.02, 0.9, 3), (0.9, 0.02, 1 / 3)])
def test_black_cloth_does_not_blow_up_paint(bare, its, wanted):
    ones, seen = np.ones((40, 40, 3), np.float32), np.ones((40, 40), bool)
    gain = smooth_gain(its * ones, bare * ones, seen, 2.0, DARK, MOST_GAIN)
    np.testing.assert_allclose(gain, wanted, rtol=1e-5)


@pytest.mark.slow
def test_only_the_boxes_are_looked_at_and_the_paint_is_the_same(drum, tmp_path):
    """As with the whole texture for a box."""
    shot = drum.make_shot(tmp_path / "shot.nvd", (0,) * 4, AT_REST)
    frames, record = LayerFrames(shot, "drum"), shot.layer("drum")
    size = record.texture_width, record.texture_height
    own = frames.maps(0).alpha > 0.5
    bridge = Bridge(0, 2, pixel_grid(*own.shape), own)
    paint = np.random.default_rng(0).random((size[1], size[0], 4), np.float32)
    whole = Box(slice(0, size[1]), slice(0, size[0]))
    all_of_it = over_bridge(frames, bridge, paint, (whole, whole), size)
    boxes = [box_around([frames.known(t).bounds], size) for t in (0, 2)]
    part = over_bridge(frames, bridge, boxes[0].of(paint), tuple(boxes), size)
    assert part.size < 0.5 * all_of_it.size and part[..., 3].mean() > 0.1
    np.testing.assert_allclose(boxes[1].of(all_of_it), part, atol=0.02)
    boxes[1].of(all_of_it)[...] = 0
    assert not all_of_it.any()


@pytest.mark.slow
def test_paint_is_lit_where_it_comes_to(drum, tmp_path):
    """In a view whose texture is half as bright paint is so too, whatever the light does there."""
    shot = drum.make_shot(tmp_path / "shot.nvd", (0,) * 4, AT_REST)
    path = shot.folder / "textures/drum.png"
    texture = read_image(path)
    half = texture.shape[1] // 2
    texture[:, half:] = (texture[:, half:] * 0.5).round().astype(texture.dtype)
    write_image(path, texture)
    frames, record = LayerFrames(shot, "drum"), shot.layer("drum")
    size = record.texture_width, record.texture_height
    frames.maps(2).residual[...] = 0.7  # in the shade, which the texture does not tell
    own = frames.maps(0).alpha > 0.5
    bridge = Bridge(0, 2, pixel_grid(*own.shape), own)
    boxes = [box_around([frames.known(t).bounds], size) for t in (0, 2)]
    paint = np.full((*boxes[0].size[::-1], 4), 0.8, np.float32)
    paint[..., 3] = 1
    came = over_bridge(frames, bridge, paint, tuple(boxes), size)
    assert np.median(came[came[..., 3] > 0.9][:, :3]) == pytest.approx(0.4, abs=0.02)
