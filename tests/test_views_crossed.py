"""Paint between the views of what turns by more than flow follows, or comes back."""

import shutil

import numpy as np
import pytest

from nvd_core.editing.across_windows import Spread, across_windows
from nvd_core.editing.back_projection import paint_to_texture
from nvd_core.editing.paint_views import paint_across
from nvd_core.editing.render import render_frames
from nvd_core.editing.window_bridges import (
    Bridge,
    LayerFrames,
    best_pair,
    next_frame,
    share_seen,
)
from nvd_core.media.images import read_image, to_float, write_image
from nvd_core.priors.flow_size import grey
from nvd_core.priors.surface_match import features_of, field_of, matched_groups, refined
from nvd_core.runtime.errors import Cancelled
from nvd_core.runtime.progress import Progress
from nvd_core.shot.map_files import read_frame_maps
from nvd_core.shot.shot import Shot

PAINT = np.array([10, 250, 20]) / 255
ANGLES = (0, 2, 178, 180, 1, 16, 31, 46, 61, 76)
WINDOWS = ((0, 1), (2, 3), (4, 6), (7, 9))
"""a side, the back, the side again, and what is beside it"""
MARK, OTHER = (-50.0, -10.0), (-85.0, -60.0)
"""degrees around the drum of what is painted: it comes nearer as that turns"""


@pytest.fixture(scope="module")
def made(drum, tmp_path_factory) -> Shot:
    return drum.make_shot(tmp_path_factory.mktemp("drum") / "shot.nvd", ANGLES, WINDOWS)


@pytest.fixture
def shot(made, tmp_path) -> Shot:
    shutil.copytree(made.folder, tmp_path / "shot.nvd")
    return Shot.open(tmp_path / "shot.nvd")


def on_texture(shot: Shot, drum, frame: int, mark: tuple) -> np.ndarray:
    """The mark as `frame` shows it, on the texture of its window."""
    where = drum.painted(ANGLES[frame], mark)
    paint = np.dstack([np.broadcast_to(PAINT, (*where.shape, 3)), where]).astype(np.float32)
    record = shot.layer("drum")
    size = record.texture_width, record.texture_height
    return paint_to_texture(paint, read_frame_maps(shot, frame).layer(0), size)


def put(shot: Shot, paint: np.ndarray) -> None:
    """Paint lies on the edit then, as an artist leaves it."""
    edit = read_image(shot.edit_path("drum"))
    edit[paint[..., 3] > 0.5, :3] = (PAINT * 255).round()
    write_image(shot.edit_path("drum"), edit)


def scores(shot: Shot, drum, mark: tuple) -> list[tuple[float, float]]:
    """Of every frame: share of the mark's inside that is painted, and of what is away from it."""
    found = []
    for t, image in enumerate(render_frames(shot)):
        there = np.abs(to_float(image)[..., :3] - PAINT).max(-1) < 0.2
        side = drum.surface(ANGLES[t]) + ANGLES[t]
        side = np.abs((side + 180) % 360 - 180) < 55  # nearer to the rim it is a sliver
        inside = drum.painted(ANGLES[t], (mark[0] + 4, mark[1] - 4)) & side
        away = ~drum.painted(ANGLES[t], (mark[0] - 4, mark[1] + 4)) & side
        share = float(there[inside].mean()) if inside.sum() > 50 else np.nan
        found.append((share, float(there[away].mean())))
    return found


def test_features_show_what_turned_too_far_for_flow(drum):
    """By 35 degrees: the field that agreeing features tell is within two pixels of the truth."""
    one, other = grey(drum.picture(0)), grey(drum.picture(35))
    own = np.isfinite(drum.surface(0))
    groups = matched_groups(features_of(one, own), features_of(other, own), np.sqrt(own.sum()))
    assert groups and len(groups[0].end) >= 30
    field, _ = field_of(groups[0], groups[1:], np.sqrt(own.sum()), other.shape)
    place, sure, same = refined(one, other, field)
    x = np.arange(drum.WIDTH)
    angle = np.degrees(np.arcsin(((x - drum.WIDTH / 2) / drum.HALF).clip(-1, 1))) - 35
    wanted = drum.WIDTH / 2 + drum.HALF * np.sin(np.radians(angle))
    middle = (angle > -60) & (angle < 10)
    off = np.abs(place[64, middle, 0] - wanted[middle])
    assert np.median(off) < 0.6 and (off < 2).mean() > 0.9
    seen = sure & (same > 0.5) & own
    assert seen[30:100, middle].mean() > 0.8


def test_features_of_other_sides_do_not_agree(drum):
    one, other = grey(drum.picture(0)), grey(drum.picture(180))
    own = np.isfinite(drum.surface(0))
    assert matched_groups(features_of(one, own), features_of(other, own), 100.0) == []
    nothing = features_of(one, np.zeros_like(own))
    assert len(nothing) == 0 and matched_groups(nothing, features_of(other, own), 1.0) == []


def test_a_view_that_comes_back_is_found_and_another_is_not(made):
    frames = LayerFrames(made, "drum")
    bridge = best_pair(frames, range(0, 2), range(4, 7))
    assert (bridge.frame, bridge.other) in {(0, 4), (1, 4)}
    assert share_seen(frames, bridge) > 0.9
    assert best_pair(frames, range(0, 2), range(2, 4)) is None


def test_a_border_that_flow_does_not_follow_is_crossed_by_features(drum, tmp_path):
    angles = (0, 5, 40, 45)
    shot = drum.make_shot(tmp_path / "shot.nvd", angles, ((0, 1), (2, 3)))
    bridge = next_frame(LayerFrames(shot, "drum"), 1, 1)
    place = drum.surface(5)[64, bridge.place[64, :, 0].round().astype(int).clip(0, 175)]
    seen = bridge.seen[64]
    off = np.abs(place - drum.surface(40)[64])[seen]
    off = off[np.isfinite(off)]  # a pixel at the rim may round to one beside it
    assert (
        seen.sum() > 50
        and len(off) > 0.97 * seen.sum()
        and np.median(off) < 1.5
        and (off < 4).mean() > 0.9
    )


def test_paint_on_a_frame_goes_on_from_a_view_that_came_back(shot, drum):
    """The last view is not the side painted on, and shows its mark all the same."""
    put(shot, across_windows(shot, "drum", 0, on_texture(shot, drum, 0, MARK)))
    for t, (share, astray) in enumerate(scores(shot, drum, MARK)):
        assert astray < 0.02, t
        assert np.isnan(share) == (t in (2, 3)) and not share < 0.9, (t, share)


def test_paint_on_the_texture_goes_on_from_there_too(shot, drum):
    """By `nvd across`, which let it end in the view that came back."""
    put(shot, on_texture(shot, drum, 0, MARK))
    before = scores(shot, drum, MARK)
    assert before[0][0] > 0.9 and not any(share > 0.1 for share, _ in before[4:])
    paint_across(shot)
    for t, (share, astray) in enumerate(scores(shot, drum, MARK)):
        assert astray < 0.02, t
        assert not share < 0.9, (t, share)


def test_several_painted_views_add_up(shot, drum):
    put(shot, on_texture(shot, drum, 0, MARK))
    put(shot, on_texture(shot, drum, 8, OTHER))
    paint_across(shot)
    both = [scores(shot, drum, mark) for mark in (MARK, OTHER)]
    assert not any(share < 0.9 for share, _ in both[0])
    assert sum(share > 0.9 for share, _ in both[1]) >= 4  # from where it comes over the rim


class Ways(Spread):
    """Real frames of a drum at rest, with bridges of our own between windows 0, 1 and 2: shares by
    (how, from, to), and which of them show what is painted."""

    def __init__(self, shot: Shot, shares: dict[tuple[str, int, int], float], blind: set) -> None:
        super().__init__(LayerFrames(shot, "drum"), AT_REST)
        self.shares, self.blind = shares, blind

    def _rated(self, how: str, one: int, at: int):
        key = how, one, at
        if key not in self.shares:
            return None
        frame, other = AT_REST[one][0], AT_REST[at][0]
        own = self._frames.maps(frame).alpha > 0.5
        place = np.moveaxis(np.mgrid[: own.shape[0], : own.shape[1]][::-1], 0, -1)
        seen = own & (key not in self.blind)
        bridge = Bridge(frame, other, np.ascontiguousarray(place, np.float32), seen)
        return self._once(key, lambda: bridge, self.shares[key])

    def _once(self, key, find, share=None):
        rated = super()._once(key, find)
        rated.share = share
        return rated

    def _border(self, one, at):
        return self._rated("border", one, at)

    def _again(self, some, at):
        return self._rated("frame" if len(some) == 1 else "pair", some[0] // 2, at)


AT_REST = ((0, 1), (2, 3), (4, 5))


@pytest.fixture(scope="module")
def at_rest(drum, tmp_path_factory) -> Shot:
    return drum.make_shot(tmp_path_factory.mktemp("rest") / "shot.nvd", (0,) * 6, AT_REST)


@pytest.mark.parametrize(
    ("shares", "blind"),
    [
        # the border's frames show more of the drum than the painted one does, but not the paint
        ({("border", 0, 1): 0.97, ("frame", 0, 1): 0.6}, [("border", 0, 1)]),
        ({("border", 0, 1): 0.97, ("pair", 0, 1): 0.5}, [("border", 0, 1)]),
        # nothing comes into the nearest window but over another, which is reached behind it
        (
            {("border", 0, 1): 0.97, ("frame", 0, 2): 0.6, ("border", 2, 1): 0.5},
            [("border", 0, 1)],
        ),
    ],
    ids=["painted frame", "any pair", "later"],
)
def test_where_the_best_bridge_brings_nothing_another_does(at_rest, drum, shares, blind):
    """And the window is asked again when another has been reached."""
    paint = np.zeros((*read_image(at_rest.edit_path("drum")).shape[:2], 4), np.float32)
    mark = drum.painted(0, MARK)
    flat = np.dstack([np.broadcast_to(PAINT, (*mark.shape, 3)), mark]).astype(np.float32)
    size = paint.shape[1], paint.shape[0]
    paint = paint_to_texture(flat, read_frame_maps(at_rest, 0).layer(0), size)
    came = Ways(at_rest, shares, set(blind)).came_of(0, paint)
    own = read_frame_maps(at_rest, 2).layer(0)
    row = ((1 - own.v) * size[1]).astype(int).clip(0, size[1] - 1)
    column = (own.u * size[0]).astype(int).clip(0, size[0] - 1)
    assert (came[row, column, 3] > 0.5)[mark & (own.alpha > 0.5)].mean() > 0.9


def test_windows_reached_are_told(at_rest):
    ways = Ways(at_rest, {("border", 0, 1): 0.9, ("border", 1, 2): 0.9}, set())
    paint = np.ones((*read_image(at_rest.edit_path("drum")).shape[:2], 4), np.float32)
    told = []
    ways.came_of(0, paint, told.append)
    assert told == [1, 2]


def test_a_stop_is_heard_while_bridges_are_looked_for(shot, drum):
    """Which takes long: between one and the next, and nothing of it is left."""
    progress, asked = Progress(), []
    paint = on_texture(shot, drum, 0, MARK)

    def check():
        asked.append(len(asked))
        if len(asked) == 3:
            raise Cancelled

    progress.check = check
    with pytest.raises(Cancelled):
        across_windows(shot, "drum", 0, paint, progress)
    assert len(asked) == 3
