"""A turn about a surface's own axis: found in the picture, and by it the flow put right."""

import cv2
import numpy as np
import pytest

from nvd_core.priors.flow import consistent, dis_flow
from nvd_core.priors.flow_size import grey, pixel_grid
from nvd_core.priors.spun_surface import Shown, Turn, chords_of, spun_places, turns_between
from nvd_core.priors.surface_places import places_of, surface_of, turns_of


def views(drum, *angles: float) -> list[np.ndarray]:
    """Of each angle the picture and where it shows the drum."""
    return [image for a in angles for image in (grey(drum.picture(a)), own(drum, a))]


def own(drum, angle: float) -> np.ndarray:
    return np.isfinite(drum.surface(angle))


def true_x(drum, turned: float) -> tuple[np.ndarray, np.ndarray]:
    """Where a drum that turned so far shows what each column showed before, and which it does."""
    side = (np.arange(drum.WIDTH) - drum.WIDTH / 2) / drum.HALF
    before = np.degrees(np.arcsin(side.clip(-1, 1))) - turned
    x = drum.WIDTH / 2 + drum.HALF * np.sin(np.radians(before))
    return x, (np.abs(side) < 0.97) & (np.abs(before) < 75)


@pytest.mark.parametrize("turned", [-60, 25, 50])
@pytest.mark.parametrize("lying", [False, True])
def test_a_turn_is_seen_as_far_as_it_goes(drum, turned, lying):
    """Its axis upright or lying, to either side; the places are right to two pixels."""
    frames = views(drum, 0, turned)
    if lying:
        frames = [np.ascontiguousarray(image.T) for image in frames]
    one, other = Shown(*frames[:2]), Shown(*frames[2:])
    (turn,) = turns_between(one, other)
    assert turn.lying == lying and abs(turn.angle - turned) < 5
    assert turn.back == Turn(lying, -turn.angle)
    place, shown = spun_places(one, other, turn)
    if lying:
        place, shown = place.transpose(1, 0, 2)[..., ::-1], shown.T
    wanted, known = true_x(drum, turned)
    row = 64
    assert shown[row, known].mean() > 0.9
    off = np.abs(place[row, :, 0] - wanted)[known & shown[row]]
    assert np.median(off) < 3 and np.abs(place[row, known & shown[row], 1] - row).max() < 1


def test_what_moves_or_tilts_does_not_turn(drum):
    picture, shown = views(drum, 0)
    for matrix in (
        np.float32([[1, 0, 25], [0, 1, 6]]),
        cv2.getRotationMatrix2D((88, 64), 12, 0.9).astype(np.float32),
    ):
        moved = [
            cv2.warpAffine(image, matrix, image.shape[::-1])
            for image in (picture, shown.astype(np.uint8))
        ]
        assert turns_between(Shown(picture, shown), Shown(moved[0], moved[1] > 0)) == []
    assert turns_between(Shown(picture, shown), Shown(picture, np.zeros_like(shown))) == []


def test_another_side_is_no_turn(drum):
    frames = views(drum, 0, 180)
    assert turns_between(Shown(*frames[:2]), Shown(*frames[2:])) == []


def test_lines_that_the_frame_cuts_off_tell_nothing(drum):
    frames = views(drum, 0, 30)
    left = [np.ascontiguousarray(image[:, 40:]) for image in frames]  # cuts into the drum
    _, shown = spun_places(Shown(*left[:2]), Shown(*left[2:]), Turn(False, 30.0))
    assert not shown.any()


def test_a_highlight_that_stands_still_is_no_guide(drum):
    """Nor is a pattern that seems to: flow keeps both where they are, the turn takes them along."""
    turned = 24
    pictures, shown = views(drum, 0, turned)[::2], own(drum, 0)
    for picture in pictures:
        picture[20:108, 84:92] = 250
    back, forth = dis_flow(pictures[1], pictures[0]), dis_flow(*pictures)
    assert np.abs(back[64, 86:90, 0]).max() < 2  # flow is caught by it
    one, two = (surface_of(picture, shown) for picture in pictures)
    by_flow = pixel_grid(*shown.shape) + back, consistent(back, forth) & shown
    place, seen = places_of(one, two, by_flow, groups=[])
    wanted, known = true_x(drum, turned)
    off = np.abs(place[64, :, 0] - wanted)
    sure = seen[64] & known
    assert sure[known].mean() > 0.6 and np.percentile(off[sure], 90) < 3
    assert seen[30:100, 86:90].mean() < 0.2  # and where it stands, little is certain


def figure(skin, deg: float, contrast: float) -> tuple[np.ndarray, np.ndarray]:
    """A head that turns, on a torso that is flat and stands: luma and where they show."""
    wall = np.random.default_rng(3).integers(0, 255, (40, 60), np.uint8)
    picture, rng = cv2.resize(wall, (360, 240)), np.random.default_rng(int(deg) + 7)
    shown = np.zeros(picture.shape, bool)
    torso = cv2.resize(np.random.default_rng(5).normal(0, 40, (40, 50)), (180, 130))
    picture[110:240, 90:270] = 128 + contrast * torso
    across = np.arange(-40, 41)
    columns = (np.arcsin(across / 40.5) - np.radians(deg)) / (2 * np.pi) * 600 % 600
    places = (
        np.broadcast_to(columns, (100, 81)),
        np.broadcast_to(np.arange(100)[:, None], (100, 81)),
    )
    maps = [np.ascontiguousarray(a, np.float32) for a in places]
    picture[10:110, 140:221] = cv2.remap(skin, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    shown[110:240, 90:270] = shown[10:110, 140:221] = True
    noisy = picture + rng.normal(0, 1.5, picture.shape)
    return noisy.clip(0, 255).round().astype(np.uint8), shown


@pytest.mark.parametrize("deg", [15, 25])
def test_plain_shoulders_do_not_turn_with_the_head(deg):
    """Nothing shows on them that could differ; flow, as far as it goes, says that they stand."""
    skin = np.random.default_rng(2).integers(0, 255, (55, 300), np.uint8)
    skin = cv2.resize(skin, (600, 110), None, 0, 0, cv2.INTER_LINEAR)
    (before, shown), (after, _) = figure(skin, 0, 0.0), figure(skin, deg, 0.0)
    one, two = surface_of(before, shown), surface_of(after, shown)
    (turn,) = turns_of(one, two)
    assert abs(turn.angle - deg) < 5
    back, forth = dis_flow(after, before), dis_flow(before, after)
    grid = pixel_grid(*shown.shape)
    by_flow = grid + back, consistent(back, forth) & shown
    torso, head = (np.zeros_like(shown) for _ in range(2))
    torso[115:, 90:270], head[20:100, 150:211] = True, True
    astray = ((np.linalg.norm(back, axis=-1) > 3) & by_flow[1])[torso].mean()
    for flow in (by_flow, None):
        place, seen = places_of(one, two, flow, turns=[turn])
        off = np.linalg.norm(place - grid, axis=-1)
        assert ((off > 3) & seen)[torso].mean() < astray + 0.02
        assert seen[head].mean() > 0.6


def test_no_place_is_half_way_to_nowhere(drum):
    """Where the turn shows a pixel and not the one beside it, nothing between them is certain."""
    frames = views(drum, 0, 40)
    one, two = surface_of(*frames[:2]), surface_of(*frames[2:])
    place, seen = places_of(one, two, None, groups=[], turns=[Turn(False, 40.0)])
    assert seen.any() and (place[seen] > 0).all()


def test_what_is_nearer_shortens_no_chord(drum):
    """A line that ends at it is not seen from edge to edge."""
    own_ = own(drum, 0)
    rows, columns = np.nonzero(own_)
    hidden = np.zeros_like(own_)
    hidden[rows.min() : rows.min() + 30, : columns.min() + 20] = True
    chords = chords_of(own_ & ~hidden, hidden)
    assert np.isnan(chords.middle[rows.min() + 5 : rows.min() + 25]).all()
    assert np.isfinite(chords.middle[rows.min() + 40 : rows.max() - 2]).all()
    assert chords.top is None and chords.bottom is not None
    free = chords_of(own_ & ~hidden)
    assert np.isfinite(free.middle[rows.min() + 10])
