"""A turn about a surface's own axis: found in the picture, and by it the flow put right."""

import cv2
import numpy as np
import pytest

from nvd_core.priors.flow import consistent, dis_flow
from nvd_core.priors.flow_size import grey, pixel_grid
from nvd_core.priors.spun_surface import Turn, spun_places, turns_between
from nvd_core.priors.surface_places import places_of, surface_of


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
    (turn,) = turns_between(*frames)
    assert turn.lying == lying and abs(turn.angle - turned) < 5
    assert turn.back == Turn(lying, -turn.angle)
    place, shown = spun_places(frames[1], frames[3], turn)
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
        assert turns_between(picture, shown, moved[0], moved[1] > 0) == []
    assert turns_between(picture, shown, picture, np.zeros_like(shown)) == []


def test_another_side_is_no_turn(drum):
    assert turns_between(*views(drum, 0, 180)) == []


def test_lines_that_the_frame_cuts_off_tell_nothing(drum):
    frames = views(drum, 0, 30)
    left = [np.ascontiguousarray(image[:, 40:]) for image in frames]  # cuts into the drum
    _, shown = spun_places(left[1], left[3], Turn(False, 30.0))
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
