"""Windows in time: an object's views, each with a part of its texture; paint that crosses them."""

import dataclasses
import json
import shutil
from itertools import pairwise

import numpy as np
import pytest

from nvd_core.editing.across_windows import across_windows
from nvd_core.editing.back_projection import paint_to_texture
from nvd_core.editing.camera import render_camera
from nvd_core.editing.camera_path import Key
from nvd_core.editing.motion_blur import iter_around
from nvd_core.editing.paint_frame import paint_frame
from nvd_core.editing.paint_views import paint_across
from nvd_core.editing.pin_places import bends_of
from nvd_core.editing.render import render_frames
from nvd_core.editing.stack_edit import add_entry, set_entry
from nvd_core.evaluation.truth.tracks import TrackMeter, Tracks
from nvd_core.evaluation.truth.view_changes import ViewChanges
from nvd_core.fields.saved_model import load_model
from nvd_core.media.images import read_image, to_float, write_image
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.time_windows import covers, regions, split_windows, window_of
from nvd_core.shot.manifest import read_manifest, write_manifest
from nvd_core.shot.map_files import read_frame_maps
from nvd_core.shot.pins import Pin
from nvd_core.shot.shot import Shot
from nvd_core.shot.stack import read_stack

pytestmark = pytest.mark.slow

WINDOWS = ((0, 3), (4, 7))
PAINT = (10, 250, 20)


def test_windows_have_equally_many_frames_that_show_the_object():
    areas = np.array([0, 5, 5, 0, 0, 5, 5, 5, 5, 0])
    assert split_windows(areas, 2) == [(0, 5), (6, 9)]
    assert split_windows(areas, 1) == [(0, 9)]
    assert split_windows(areas, 30) == [(0, 4), (5, 6), (7, 9)]  # two frames a window
    assert split_windows(np.zeros(4, int), 3) == [(0, 3)]


def test_windows_cover_all_frames_one_by_one():
    assert covers((), 5) and covers([(0, 4)], 5) and covers(WINDOWS, 8)
    for bad in ([(0, 3)], [(0, 3), (5, 7)], [(0, 3), (3, 7)], [(0, 3), (4, 8)], [(1, 7)]):
        assert not covers(bad, 8)
    assert window_of(WINDOWS, 8).tolist() == [0] * 4 + [1] * 4


@pytest.mark.parametrize("size", [(10, 10), (10, 24), (30, 4)])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9, 10])
def test_parts_of_the_square_do_not_meet(count, size):
    centres, side = regions(count, np.array(size, float))
    half = np.array(size) / side
    for k, centre in enumerate(centres):
        assert (np.abs(centre) + half <= 1 + 1e-9).all()
        assert all((np.abs(centre - other) >= 2 * half - 1e-9).any() for other in centres[:k])
    assert side <= max(count * max(size), 1)


def test_tall_parts_stand_side_by_side():
    centres, side = regions(3, np.array([1.0, 2.0]))
    assert side == 3 and centres[:, 1].tolist() == [0, 0, 0]


@pytest.fixture(scope="module")
def made(trained) -> Shot:
    """The tiny clip with two windows of its disc, which no test changes."""
    return trained(light=False, windows=2)


@pytest.fixture
def shot(made, tmp_path) -> Shot:
    shutil.copytree(made.folder, tmp_path / "shot.nvd")
    return Shot.open(tmp_path / "shot.nvd")


def places(shot: Shot, t: int) -> np.ndarray:
    """Texture coordinates [N, 2] of what frame t shows of the disc."""
    own = read_frame_maps(shot, t).layer(0)
    return np.stack([own.u, own.v], -1)[own.alpha > 0.5]


def test_each_window_has_its_part_of_the_texture(made, trained):
    assert made.layer("disc").windows == WINDOWS and made.layer("background").windows == ()
    boxes = [np.concatenate([places(made, t) for t in range(a, b + 1)]) for a, b in WINDOWS]
    (low, high), (other_low, other_high) = ((b.min(0), b.max(0)) for b in boxes)
    assert (high < other_low).any() or (other_high < low).any()
    assert load_model(made.folder).mappings[0].windows == WINDOWS
    whole = trained(light=False)
    assert whole.layer("disc").windows == ()
    assert "windows" not in (whole.folder / "manifest.json").read_text()
    assert "windows" not in (whole.folder / "checkpoint.json").read_text()


def painted_share(shot: Shot, t: int, opaque: float = 0.9) -> float:
    """Of the middle of the disc in frame t, what is painted."""
    (image,) = render_frames(shot, frames=(t, t))
    ys, xs = np.mgrid[: image.shape[0], : image.shape[1]]
    middle = np.hypot(xs - 22 - 3 * t, ys - 22 - 0.5 * t) < 6
    apart = np.abs(to_float(image)[..., :3] - np.array(PAINT) / 255).max(-1)
    return float((apart[middle] < 0.15).mean())


@pytest.mark.parametrize("frame", [1, 6])
def test_paint_on_a_frame_crosses(shot, tmp_path, frame):
    """Fails where the paint stays in the window of the frame that was painted."""
    ys, xs = np.mgrid[:48, :80]
    paint = np.zeros((48, 80, 4), np.uint8)
    paint[np.hypot(xs - 22 - 3 * frame, ys - 22 - 0.5 * frame) < 9] = (*PAINT, 255)
    write_image(tmp_path / "paint.png", paint)
    assert max(painted_share(shot, t) for t in range(8)) < 0.1
    paint_frame(shot, frame, tmp_path / "paint.png", layers=["disc"])
    assert [t for t in range(8) if painted_share(shot, t) < 0.9] == []


def test_a_layer_without_windows_keeps_its_paint_as_it_is(trained):
    shot = trained(light=False)
    paint = np.zeros((20, 20, 4), np.float32)
    assert across_windows(shot, "disc", 0, paint) is paint


def test_what_was_not_painted_stays_free(made):
    """No ghost: paint beside the disc's middle comes to no other place of it."""
    own = read_frame_maps(made, 3).layer(0)
    ys, xs = np.mgrid[:48, :80]
    paint = np.zeros((48, 80, 4), np.float32)
    paint[(np.hypot(xs - 31, ys - 23.5) < 9) & (xs < 31)] = (*np.array(PAINT) / 255, 1)
    record = made.layer("disc")
    size = record.texture_width, record.texture_height
    crossed = across_windows(made, "disc", 3, paint_to_texture(paint, own, size))
    there = read_frame_maps(made, 4).layer(0)
    x = np.clip((there.u * size[0]).astype(int), 0, size[0] - 1)
    y = np.clip(((1 - there.v) * size[1]).astype(int), 0, size[1] - 1)
    shown = crossed[y, x, 3] * (there.alpha > 0.5)
    right = np.hypot(xs - 34, ys - 24) < 9
    assert shown[right & (xs < 31)].mean() > 0.8 and shown[right & (xs > 37)].max() < 0.1


def test_motion_blur_takes_no_other_window_for_motion(made):
    names = list(made.names)
    (around,) = iter_around(made, [3], names, blurs=True)
    assert around.after[0, ..., 2].max() == 0 and around.after[1, ..., 2].max() > 0
    assert around.before[0, ..., 2].max() > 0


def test_a_pin_stays_in_its_window(made):
    at = tuple(map(float, places(made, 1).mean(0)))
    pin = Pin("p", "disc", at, ((1, 25.0, 22.0), (3, 31.0, 23.0)))
    bend = bends_of(made, [pin])["disc"]
    assert bend.at(2).moves and not bend.at(5).moves
    with pytest.raises(NvdError, match="several windows"):
        bends_of(made, [dataclasses.replace(pin, to=((1, 25.0, 22.0), (6, 40.0, 25.0)))])


def test_a_manifest_with_windows_that_leave_frames_out_is_refused(shot):
    manifest = read_manifest(shot.folder)
    bad = dataclasses.replace(manifest.layers[0], windows=((0, 3), (5, 7)))
    with pytest.raises(NvdError, match="windows"):
        write_manifest(shot.folder, dataclasses.replace(manifest, layers=(bad, manifest.layers[1])))
    path = shot.folder / "checkpoint.json"
    facts = json.loads(path.read_text())
    facts["layers"][0]["windows"] = [[0, 3], [5, 7]]
    path.write_text(json.dumps(facts))
    with pytest.raises(NvdError, match="windows"):
        load_model(shot.folder)


def paint_texture(shot: Shot, frame: int) -> np.ndarray:
    """Paint the disc's middle on its texture, where `frame` shows it, and nowhere else."""
    ys, xs = np.mgrid[:48, :80]
    paint = np.zeros((48, 80, 4), np.float32)
    paint[np.hypot(xs - 22 - 3 * frame, ys - 22 - 0.5 * frame) < 9] = (*np.array(PAINT) / 255, 1)
    path = shot.edit_path("disc")
    edit = read_image(path if path.is_file() else shot.texture_path("disc"))
    own = read_frame_maps(shot, frame).layer(0)
    found = paint_to_texture(paint, own, (edit.shape[1], edit.shape[0]))
    most = np.iinfo(edit.dtype).max
    edit[found[..., 3] > 0.5] = [round(c / 255 * most) for c in (*PAINT, 255)][: edit.shape[2]]
    write_image(path, edit)
    return edit


def test_paint_on_the_texture_comes_into_the_other_view(shot):
    """And is taken back; fails where paint stays in the part of the texture where it was put."""
    edit = paint_texture(shot, 6)
    before = [painted_share(shot, t) for t in range(8)]
    assert max(before[:4]) < 0.1 and min(before[4:]) > 0.9
    facts = paint_across(shot)
    assert facts["entries"] == {"disc": "disc across"} and facts["crossed"]["disc"] > 0.01
    assert [t for t in range(8) if painted_share(shot, t) < 0.9] == []
    np.testing.assert_array_equal(read_image(shot.edit_path("disc")), edit)  # the artist's own
    paint_across(shot)  # once more it is the same, and not twice
    assert [entry.name for entry in read_stack(shot).entries] == ["disc across"]
    assert paint_across(shot, back=True) == {"removed": ["disc across"]}
    assert [painted_share(shot, t) for t in range(8)] == before


def test_paint_across_again_keeps_what_was_set_on_its_entry(shot):
    paint_texture(shot, 6)
    paint_across(shot)
    said = {"on": False, "opacity": 0.5, "blend": "multiply", "frames": [1, 3]}
    old = set_entry(shot, "disc across", said)
    paint_across(shot)
    (entry,) = read_stack(shot).entries
    assert entry.file != old.file and entry == dataclasses.replace(old, file=entry.file)


def test_paint_across_leaves_an_artists_entry_of_that_name(shot, tmp_path):
    paint_texture(shot, 6)
    write_image(tmp_path / "logo.png", np.full((8, 8, 4), 255, np.uint8))
    keys = {"name": "disc across", "layer": "disc", "kind": "picture"}
    own = add_entry(shot, keys, {"file": tmp_path / "logo.png"})
    for _ in range(2):
        assert paint_across(shot)["entries"] == {"disc": "disc across 2"}
    assert paint_across(shot, back=True) == {"removed": ["disc across 2"]}
    assert read_stack(shot).entries == (own,)


def test_paint_that_is_gone_goes_from_the_other_views_too(shot, monkeypatch):
    paint_texture(shot, 6)
    paint_across(shot)
    shot.edit_path("disc").unlink()
    progress, said = Progress(), []
    monkeypatch.setattr(progress, "message", said.append)
    facts = paint_across(shot, progress=progress)
    assert facts == {"crossed": {}, "entries": {}, "removed": ["disc across"]}
    assert read_stack(shot).entries == () and len(said) == 1 and "disc across" in said[0]
    with pytest.raises(NvdError, match="nothing is painted"):
        paint_across(shot)


def test_what_was_painted_by_hand_stays(shot):
    """Where both views are painted nothing comes on top, nor as a fringe around it."""
    for frame in (1, 6):
        paint_texture(shot, frame)
    facts = paint_across(shot)
    assert facts["entries"] == {} and read_stack(shot).entries == ()


def test_other_entries_of_the_stack_are_named(shot, tmp_path, monkeypatch):
    paint_texture(shot, 6)
    write_image(tmp_path / "logo.png", np.full((8, 8, 4), 255, np.uint8))
    keys = {"name": "logo", "layer": "disc", "kind": "picture"}
    add_entry(shot, keys, {"file": tmp_path / "logo.png"})
    progress, said = Progress(), []
    monkeypatch.setattr(progress, "caution", said.append)
    paint_across(shot, progress=progress)
    assert [entry.name for entry in read_stack(shot).entries] == ["disc across", "logo"]
    assert len(said) == 1 and "logo" in said[0]


def test_paint_across_needs_views_and_paint(shot, trained):
    with pytest.raises(NvdError, match="nothing is painted"):
        paint_across(shot)
    with pytest.raises(NvdError, match="one view"):
        paint_across(shot, ["background"])
    with pytest.raises(NvdError, match="several views"):
        paint_across(trained(light=False))


def test_points_are_followed_over_a_border(made):
    """Fails where a point keeps its place on the texture: there another window begins."""
    points = np.zeros((3, 8, 2))
    for k, (dx, dy) in enumerate([(0, 0), (4, -3), (-5, 2)]):
        points[k] = [(22 + 3 * t + dx, 22 + 0.5 * t + dy) for t in range(8)]
    tracks = Tracks(points, np.zeros((3, 8), bool), np.zeros(3, int))
    record = made.layer("disc")
    sizes = [(record.texture_width, record.texture_height), (1, 1)]
    scores = []
    for views in (ViewChanges(made), None):
        meter = TrackMeter(tracks, sizes, views)
        for t in range(8):
            meter.add(read_frame_maps(made, t))
        apart = np.linalg.norm(meter.predicted - points, axis=2)
        scores.append(apart[:, 4:].max())
        assert apart[:, :4].max() < 1.5
        assert meter.hidden[:, 4:].any() == (views is None)
    assert scores[0] < 2 < scores[1]


def camera_pictures(shot: Shot, folder, keys, **options) -> tuple[list[np.ndarray], list[str]]:
    progress, said = Progress(), []
    progress.caution = said.append
    render_camera(shot, folder / "%02d.png", keys, bit_depth=16, progress=progress, **options)
    return [to_float(read_image(path)) for path in sorted(folder.glob("*.png"))], said


@pytest.fixture(scope="module")
def two_walls(trained) -> Shot:
    """The tiny clip with two windows of its background, which no test changes."""
    return trained(light=False, windows={"background": 2})


def test_a_camera_moves_over_a_background_with_windows(two_walls, tmp_path):
    assert two_walls.layer("background").windows == WINDOWS
    own, said = camera_pictures(two_walls, tmp_path / "own", [Key(0)])
    whole = [to_float(f) for f in render_frames(two_walls, mode="full", bit_depth=16)]
    assert not said and max(np.abs(a - b).mean() for a, b in zip(own, whole, strict=True)) < 0.002
    near, said = camera_pictures(two_walls, tmp_path / "near", [Key(0, scale=1.5, rotation=5)])
    assert not said and min(picture.mean() for picture in near) > 0.2


def test_beyond_its_window_a_background_is_not_known(two_walls, tmp_path):
    """Fails where a camera that looks far out shows the texture of the other window there."""
    far, said = camera_pictures(two_walls, tmp_path / "far", [Key(0, scale=0.25)])
    assert len(said) == 1 and "--windows background=1" in said[0]
    for picture in far:
        shown = picture.max(-1) > 0.02
        ys, xs = np.nonzero(shown)
        assert np.ptp(xs) < 30 and np.ptp(ys) < 18  # 20 x 12 of the frame, and what others saw
    part, again = camera_pictures(two_walls, tmp_path / "p", [Key(0, scale=0.25)], frames=(0, 3))
    assert again == said and len(part) == 4  # the next piece begins in another window
    inside = [Key(3), Key(4, scale=0.25)]  # in the first window never beyond the frame
    _, said = camera_pictures(two_walls, tmp_path / "q", inside, frames=(4, 5))
    assert not said


def test_a_background_is_held_in_one_window(two_walls, tmp_path):
    with pytest.raises(NvdError, match="frame 1, from 0, can be held in its own alone") as refused:
        render_camera(two_walls, tmp_path / "%05d.png", [], hold=1)
    assert refused.value.expected == "frames 0 to 3, counted from 0"
    with pytest.raises(NvdError) as refused:
        render_camera(two_walls, tmp_path / "%05d.png", [], hold=1, start=1001)
    assert refused.value.expected == "frames 1001 to 1004, as --start counts"
    assert refused.value.found == "1001 to 1008"
    held, said = camera_pictures(two_walls, tmp_path / "held", [], hold=1, frames=(0, 3))
    assert not said
    corner = [picture[:, 62:76] for picture in held]  # where the disc does not come
    assert max(np.abs(a - b).mean() for a, b in pairwise(corner)) < 0.02
