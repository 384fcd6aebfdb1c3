"""Parts of a layer: one object, one texture, several motions; and tracks that tell them apart."""

import dataclasses

import cv2
import numpy as np
import pytest

from nvd_core.editing.camera_path import Hold
from nvd_core.editing.inverse_maps import inverse_map
from nvd_core.editing.motion_blur import steps_of
from nvd_core.editing.paint_frame import paint_frame
from nvd_core.editing.part_painting import paint_to_layer
from nvd_core.editing.render import render_frames
from nvd_core.evaluation.flicker import FlickerMeter
from nvd_core.evaluation.metrics import FoldMeter
from nvd_core.fields.saved_model import load_model
from nvd_core.job import Job
from nvd_core.media.images import to_float, write_image
from nvd_core.pipeline import decompose
from nvd_core.priors.part_masks import numbered, part_names
from nvd_core.priors.part_search import find_split
from nvd_core.priors.split_masks import motion_to_next, outline_motion
from nvd_core.priors.tracks import Tracks, chained
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.parts import check_parts, packed
from nvd_core.runtime.progress import Progress
from nvd_core.settings import fast, update_settings
from nvd_core.shot.manifest import LayerRecord, PartRecord, read_manifest
from nvd_core.shot.map_files import read_frame_maps
from nvd_core.shot.maps import FrameMaps, LayerMaps
from nvd_core.shot.part_places import part_borders, part_numbers
from nvd_core.shot.pins import Pin, Pins, check_pins
from nvd_core.shot.shot import Shot

FRAMES, HEIGHT, WIDTH = 8, 56, 88
PAINT = np.array([10, 250, 20])
HALVES = (
    PartRecord("rest", (0.0, 0.0, 0.45, 1.0)),
    PartRecord("leg", (0.55, 0.0, 1.0, 1.0)),
)


def places(t: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Top left corners of two boards of 18 x 30 pixels that slide past each other."""
    return (24 + 2 * t, 4 + 2 * t), (42 + 2 * t, 20 - 2 * t)


@pytest.fixture(scope="module")
def clip(tmp_path_factory, tiny_clip):
    """Frames, the masks of both boards together, and one mask of the right one alone."""
    folder = tmp_path_factory.mktemp("boards")
    wall = tiny_clip.noise(1, HEIGHT, WIDTH, 2.0)
    boards = [tiny_clip.noise(seed, 30, 18, 1.2) for seed in (2, 3)]
    for t in range(FRAMES):
        frame, mask = wall * 0.5, np.zeros((HEIGHT, WIDTH, 1), np.uint8)
        for (x, y), board in zip(places(t), boards, strict=True):
            frame[y : y + 30, x : x + 18] = 0.3 + 0.7 * board
            mask[y : y + 30, x : x + 18] = 255
        write_image(folder / f"frames/{t:04d}.png", (frame * 255 + 0.5).astype(np.uint8))
        write_image(folder / f"masks/{t:04d}.png", mask)
        one = np.zeros_like(mask)
        x, y = places(t)[1]
        one[y : y + 30, x : x + 18] = 255
        write_image(folder / f"right/{t:04d}.png", one)
    return folder


SMALL = {
    "iterations": 250,
    "points": 500,
    "texture_grid": {"levels": 6, "log2_table": 12},
    "residual_grid": {"levels": 4, "log2_table": 12},
    "alpha_grid": {"levels": 4, "log2_table": 12},
}


@pytest.fixture(scope="module")
def made(clip):
    """The boards as one object, `made`(with parts or without)."""
    known = {}

    def make(parts: bool) -> Shot:
        if parts not in known:
            given = [["boards.right", str(clip / "right")]] if parts else []
            job = Job(str(clip / "frames"), masks=[["boards", str(clip / "masks")]], parts=given)
            folder = clip / f"{parts}.nvd"
            decompose(folder, job, update_settings(fast(), SMALL), Progress())
            known[parts] = Shot.open(folder)
        return known[parts]

    return make


def test_cells_of_parts_do_not_meet():
    random = np.random.default_rng(0)
    for count in (1, 2, 5, 16):
        sizes = random.uniform(1, 40, (count, 2))
        centres, side = packed(sizes)
        half = sizes / side
        assert (np.abs(centres) + half <= 1 + 1e-9).all()
        for k in range(count):
            for other in range(k):
                apart = np.abs(centres[k] - centres[other]) - half[k] - half[other]
                assert apart.max() > -1e-9
        assert side**2 < 3 * sizes.prod(1).sum() + 40**2  # no waste of many times the area


def test_pixels_beside_the_layer_go_with_the_nearest_part():
    seen = np.zeros((20, 30), bool)
    seen[5:15, 5:25] = True
    right, front = np.zeros_like(seen), np.zeros_like(seen)
    right[5:15, 15:30] = True
    front[8:12, 13:18] = True
    numbers = numbered([front, right], seen)
    assert numbers[9, 14] == 1 and numbers[6, 20] == 2 and numbers[6, 8] == 0
    assert numbers[10, 29] == 2 and numbers[10, 0] == 0 and numbers[19, 28] == 2
    assert not numbered([right], np.zeros_like(seen)).any()  # a layer that does not show


def test_slivers_beside_parts_are_no_rest():
    seen = np.zeros((30, 40), bool)
    seen[5:25, 5:35] = True
    leg = np.zeros_like(seen)
    leg[5:25, 20:34] = True  # the mask ends a pixel before the object does
    numbers = numbered([leg], seen)
    assert (numbers[5:25, 34] == 1).all() and (numbers[5:25, 6:19] == 0).all()


def limb(angle: float, x: float, y: float) -> np.ndarray:
    """A mask of a limb of 8 x 30 pixels around a place."""
    box = cv2.boxPoints(((x, y), (8, 30), angle))
    return cv2.fillConvexPoly(np.zeros((90, 120), np.uint8), np.rint(box).astype(int), 255)


def test_masks_tell_how_a_limb_swings():
    motion = outline_motion(limb(10, 40, 40), limb(50, 52, 44))
    turn = np.degrees(np.arctan2(motion[1, 0], motion[0, 0]))
    assert abs(turn - 40) < 5  # of so few pixels
    assert np.abs(motion @ (40, 40, 1) - (52, 44, 1)).max() < 1
    assert outline_motion(limb(0, 40, 40), np.zeros((90, 120), np.uint8)) is None


def test_a_hidden_limb_goes_on_where_it_is_seen_again():
    masks = [limb(0, 30, 40), limb(0, 34, 40), None, None, limb(20, 60, 42), None]
    masks = [np.zeros((90, 120), np.uint8) if mask is None else mask for mask in masks]
    motion, shown = motion_to_next(masks.__getitem__, 0, 6)
    assert shown and np.abs(motion @ (30, 40, 1) - (34, 40, 1)).max() < 1
    motion, shown = motion_to_next(masks.__getitem__, 1, 6)
    assert not shown and np.abs(motion @ (34, 40, 1) - (60, 42, 1)).max() < 1
    for t in (2, 4):
        motion, shown = motion_to_next(masks.__getitem__, t, 6)
        assert not shown and (motion == np.eye(3)).all()


def test_parts_are_named_by_layer():
    given = [["man.arm", "a"], ["background.post", "b"], ["man.leg", "c"]]
    layers = ["man", "dog", "background"]
    check_parts(given, layers)
    assert part_names(given, layers) == [["rest", "arm", "leg"], [], ["rest", "post"]]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["leg"], "no part of a layer"),
        (["cat.leg"], "no part of a layer"),
        (["man.a.b"], "no part of a layer"),
        (["man.l g"], "cannot be the name"),
        (["man.Rest"], "no part can be called rest"),
        (["man.leg", "man.Leg"], "two parts are called"),
        ([f"man.n{k}" for k in range(16)], "too many parts"),
    ],
)
def test_parts_that_cannot_be_are_refused(names, said):
    with pytest.raises(NvdError, match=said):
        check_parts([[name, "x.png"] for name in names], ["man", "background"])


@pytest.mark.slow
def test_each_part_has_its_cell_of_one_texture(made):
    shot = made(True)
    record = shot.layer("boards")
    assert [part.name for part in record.parts] == ["rest", "right"]
    assert not shot.layer("background").parts
    model = load_model(shot.folder)
    assert [part.name for part in model.mappings[0].parts] == ["rest", "right"]
    for t in range(FRAMES):
        own = read_frame_maps(shot, t).layer(0)
        numbers = part_numbers(record.parts, own.u, own.v)
        for number, (x, y) in enumerate(places(t)):
            inner = np.s_[y + 3 : y + 27, x + 3 : x + 15]
            assert (numbers[inner] == number).mean() > 0.97
            left, top, right, bottom = record.parts[number].box
            assert (own.u[inner] > left).all() and (own.u[inner] < right).all()
            assert (1 - own.v[inner] > top).all() and (1 - own.v[inner] < bottom).all()
    assert read_manifest(shot.folder).layers == shot.manifest.layers
    whole = made(False)
    assert "parts" not in (whole.folder / "manifest.json").read_text()
    assert "parts" not in (whole.folder / "checkpoint.json").read_text()
    assert "parts" not in (whole.folder / "job.json").read_text()


def painted(shot: Shot, folder, frame: int) -> list[tuple[float, float]]:
    """Paint over the border of the boards in a frame; by frame the share that has it where it
    belongs, and where it does not."""
    copy = folder / "painted.nvd"
    if not copy.exists():
        import shutil

        shutil.copytree(shot.folder, copy)
    shot = Shot.open(copy)
    (left_x, left_y), (right_x, right_y) = places(frame)
    paint = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    rows = np.s_[max(left_y, right_y) + 4 : max(left_y, right_y) + 12]
    paint[rows, left_x + 6 : right_x + 12] = (*PAINT, 255)
    write_image(folder / "paint.png", paint)
    paint_frame(shot, frame, folder / "paint.png", layers=["boards"])
    found = []
    for t, image in enumerate(render_frames(shot)):
        has = np.abs(to_float(image)[..., :3] - PAINT / 255).max(-1) < 0.2
        wanted = np.zeros(has.shape, bool)
        for (x, y), (x0, y0) in zip(places(t), places(frame), strict=True):
            band = np.s_[rows.start - y0 + y : rows.stop - y0 + y]
            first = 6 if x0 == left_x else 0
            last = 18 if x0 == left_x else 12
            wanted[band, x + first : x + last] = True
        core = cv2.erode(wanted.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        beside = cv2.dilate(wanted.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
        found.append((float(has[core].mean()), float(has[beside].sum() / wanted.sum())))
    return found


@pytest.mark.slow
def test_paint_goes_with_each_part(made, tmp_path):
    """One stroke over both boards; as one sheet it cannot follow them apart."""
    with_parts = painted(made(True), tmp_path / "parts", 4)
    assert min(share for share, _ in with_parts) > 0.8
    assert max(astray for _, astray in with_parts) < 0.1
    whole = painted(made(False), tmp_path / "whole", 4)
    assert min(share for share, _ in whole) < 0.6


@pytest.mark.slow
def test_a_mask_of_one_frame_is_carried(clip, tmp_path):
    job = Job(
        str(clip / "frames"),
        masks=[["boards", str(clip / "masks")]],
        parts=[["boards.right", str(clip / "right" / "0003.png")]],
    )
    settings = update_settings(fast(), SMALL | {"iterations": 4})
    decompose(tmp_path / "one.nvd", job, settings, Progress())
    labels = load_model(tmp_path / "one.nvd").mappings[0].labels.numpy()
    for t in range(FRAMES):
        for number, (x, y) in enumerate(places(t)):
            assert (labels[t, y + 3 : y + 27, x + 3 : x + 15] == number).mean() > 0.85


@pytest.mark.slow
def test_a_part_beside_its_object_is_refused(clip, tmp_path):
    """Before anything is trained: it would be a part that no frame shows."""
    mask = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    mask[:3, :8] = 255
    write_image(tmp_path / "0003.png", mask)
    job = Job(
        str(clip / "frames"),
        masks=[["boards", str(clip / "masks")]],
        parts=[["boards.right", str(tmp_path / "0003.png")]],
    )
    with pytest.raises(NvdError, match="right shows nothing of boards"):
        decompose(tmp_path / "one.nvd", job, update_settings(fast(), SMALL), Progress())
    assert "masks" not in Job.load(tmp_path / "one.nvd").done


def halves(shift: float = 0.0) -> LayerMaps:
    """Two parts beside each other, one pixel a texel of 100 x 40; the right one is moved down."""
    y, x = np.mgrid[:40, :60].astype(np.float32)
    u = np.where(x < 30, (x + 0.5) / 100, (x + 40.5) / 100)
    v = 1 - (y + 0.5 + np.where(x < 30, 0, shift)) / 40
    ones = np.ones_like(u)
    return LayerMaps(u, v, ones, np.ones((40, 60, 3), np.float16))


@pytest.mark.slow
def test_the_background_has_parts_where_objects_find_themselves(clip, tmp_path):
    job = Job(str(clip / "frames"), parts=[["background.right", str(clip / "right")]])
    settings = update_settings(fast(), SMALL | {"iterations": 3})
    decompose(tmp_path / "shot.nvd", job, settings, Progress())
    manifest = read_manifest(tmp_path / "shot.nvd")
    assert [part.name for part in manifest.layers[-1].parts] == ["rest", "right"]


def test_paint_has_no_seam_between_parts():
    """Fails where cells between two parts are left out, or taken for surface."""
    maps = halves()
    layer = LayerRecord("man", "object", "t.png", "e.png", 100, 40, parts=HALVES)
    paint = np.zeros((40, 60, 4), np.float32)
    paint[10:30, 20:40] = (1, 0.5, 0, 1)
    edit = paint_to_layer(paint, maps, layer, (100, 40))
    assert edit[12:28, 22:30, 3].min() > 0.99 and edit[12:28, 70:78, 3].min() > 0.99
    assert edit[:, 32:68, 3].max() == 0  # nothing on what lies between
    assert np.abs(edit[12:28, 22:30, :3] - (1, 0.5, 0)).max() < 1e-3
    whole = paint_to_layer(paint, maps, dataclasses.replace(layer, parts=()), (100, 40))
    assert whole[12:28, 32:68, 3].max() > 0.9


def test_another_part_tells_nothing_of_motion():
    first, second = halves(), halves(2.0)
    uva, other = (np.stack([m.u, m.v, m.alpha], -1) for m in (first, second))
    other = np.roll(other, 5, 1)  # by five pixels the left part covers the right one
    _, forward = steps_of(uva, None, other, HALVES)
    assert np.abs(forward[:, 10:28, 0] + 0.05).max() < 1e-5
    assert np.abs(forward[..., 0]).max() < 0.06
    _, forward = steps_of(uva, None, other)
    assert np.abs(forward[..., 0]).max() > 0.3


def test_measures_leave_borders_out():
    frames = [FrameMaps(np.stack([m.u, m.v, m.alpha], -1)[None], m.residual[None]) for m in
              (halves(), halves(), halves())]  # fmt: skip
    numbers = part_numbers(HALVES, frames[0].uva[0, ..., 0], frames[0].uva[0, ..., 1])
    assert part_borders(numbers).sum() == 80
    mirrored = FrameMaps(frames[0].uva[:, :, ::-1].copy(), frames[0].residual)
    meter = FoldMeter(parts=HALVES)
    meter.add(mirrored, 0)
    assert meter.folded == 0
    plain = FoldMeter()
    plain.add(mirrored, 0)
    assert plain.total > meter.total
    moving = [FrameMaps(np.roll(f.uva, 3 * k * k, 2), f.residual) for k, f in enumerate(frames)]
    with_parts, without = FlickerMeter((100, 40), parts=HALVES), FlickerMeter((100, 40))
    for frame in moving:
        with_parts.add(frame, 0)
        without.add(frame, 0)
    assert max(with_parts.value, without.value) < 0.01  # it follows texels, which end at a border


def test_a_turned_map_has_nothing_between_parts():
    out = inverse_map(halves(), 100, 40, HALVES)
    assert out[5:35, 2:29, 2].min() == 1 and out[:, 31:69, 2].max() == 0
    assert inverse_map(halves(), 100, 40)[:, 31:69, 2].max() == 1


@pytest.mark.slow
def test_what_does_not_know_parts_says_so(made, clip, tmp_path):
    shot = made(True)
    x, y = places(2)[0]
    pin = Pin("p", "boards", (0.5, 0.5), ((2, x + 9.0, y + 15.0),))
    with pytest.raises(NvdError, match="layer") as refused:
        check_pins(shot, Pins((pin,)), "pins")
    assert "without parts" in str(refused.value)
    model = load_model(shot.folder)
    model.mappings[-1] = model.mappings[0]
    with pytest.raises(NvdError, match="cannot be held still"):
        Hold(model, 0)
    settings = update_settings(fast(), SMALL)
    settings.windows = {"boards": 2}
    job = Job(
        str(clip / "frames"),
        masks=[["boards", str(clip / "masks")]],
        parts=[["boards.right", str(clip / "right")]],
    )
    with pytest.raises(NvdError, match="parts and windows in time"):
        decompose(tmp_path / "both.nvd", job, settings, Progress())
    assert not (tmp_path / "both.nvd").exists()


def swinging(apart: float, noise: float = 0.2) -> Tracks:
    """300 tracks of 24 frames: a trunk that walks, and a leg below it that swings by `apart`."""
    random = np.random.default_rng(1)
    start = random.uniform((200, 100), (260, 400), (300, 2))
    leg = start[:, 1] > 260
    frames = np.arange(24)
    points = np.repeat(start[:, None], 24, 1)
    swing = apart * np.sin(frames / 4)
    cos, sin = np.cos(swing), np.sin(swing)
    x, y = np.moveaxis(points - np.array([230, 260]), -1, 0)
    turned = np.stack([cos * x - sin * y + 230, sin * x + cos * y + 260], -1)
    points = np.where(leg[:, None, None], turned, points)
    points[..., 0] += 3 * frames
    points += noise * random.standard_normal(points.shape)
    first = random.integers(0, 10, 300)
    last = first + random.integers(12, 20, 300)
    seen = (frames >= first[:, None]) & (frames < last[:, None])
    return Tracks(points.astype(np.float32), seen)


def test_a_leg_that_swings_is_found():
    tracks = swinging(0.5)
    split = find_split(tracks, 480)
    assert split is not None and split.count == 2 and split.gain > 0.1
    leg = np.flatnonzero(tracks.points[np.arange(300), tracks.seen.argmax(1), 1] > 275)
    trunk = np.flatnonzero(tracks.points[np.arange(300), tracks.seen.argmax(1), 1] < 245)
    other = 1 - np.bincount(split.number[trunk]).argmax()
    assert (split.number[leg] == other).mean() > 0.95
    assert (split.number[trunk] != other).mean() > 0.95


def test_what_moves_as_one_is_not_split():
    assert find_split(swinging(0.0), 480) is None
    assert find_split(swinging(0.0, noise=1.0), 480) is None
    few = swinging(0.5)
    assert find_split(Tracks(few.points[:10], few.seen[:10]), 480) is None


def test_tracks_end_where_flow_is_lost_and_begin_anew():
    inside = [np.zeros((64, 96), bool) for _ in range(6)]
    for t, frame in enumerate(inside):
        frame[20:40, 10 + 4 * t : 40 + 4 * t] = True

    def step(t, points):
        return points + np.array([4, 0]), (points[:, 1] < 30) | (t != 2)

    tracks = chained(inside, step)
    length = tracks.seen.sum(1)
    upper = tracks.points[np.arange(len(tracks)), tracks.seen.argmax(1), 1] < 30
    assert length[upper].max() == 6 and length[~upper].max() == 3
    whole = tracks.points[length == 6]
    assert np.allclose(np.diff(whole[..., 0], axis=1), 4)
    assert len(tracks.longer_than(3)) == (length > 3).sum()
    assert tracks.seen[:, 5].sum() > 20  # those that ended were begun again
