"""Moving objects found without any drawing: as many as there are, followed, in their order."""

import cv2
import numpy as np
import pytest

from nvd_core.priors.flow import compute_flow
from nvd_core.priors.found_objects import find_objects, no_masks
from nvd_core.priors.motion_evidence import against_background, usual_square
from nvd_core.runtime.progress import Progress
from nvd_core.work import MASKS, open_array

pytestmark = pytest.mark.slow


def two_squares(moving_clips, work, places):
    """A clip of two squares over a still texture; the second is in front. Returns their masks."""
    count = len(places[0])
    moving_clips.warped_clip(work, np.tile(np.eye(3), (count, 1, 1)))
    frames = np.load(work / "frames.npy")
    true = np.zeros((2, *frames.shape[:3]), bool)
    for n, side in enumerate((36, 30)):
        own = moving_clips.texture(100, 100, 3 + n)[:side, :side]
        own = (0.6 * own + ((90, 0, 0), (0, 0, 100))[n]).astype(np.uint8)
        for t, (x, y) in enumerate(places[n]):
            frames[t, y : y + side, x : x + side] = own
            true[:n, t, y : y + side, x : x + side] = False
            true[n, t, y : y + side, x : x + side] = True
    np.save(work / "frames.npy", frames)
    compute_flow(work, Progress())
    return true


def best(found, true):
    """The number of the found object that fits best, and its overlap."""
    masks = [np.asarray(one) > 127 for one in found]
    scores = [
        np.mean((mask & true).sum((1, 2)) / np.maximum((mask | true).sum((1, 2)), 1))
        for mask in masks
    ]
    return int(np.argmax(scores)), max(scores)


def test_near_posts_that_take_a_third_of_the_picture_move_by_themselves():
    """Fails where what flow usually misses the background by is taken from the posts themselves."""
    random = np.random.default_rng(0)
    flow = np.array([-6.0, 1.0]) + 0.15 * random.standard_normal((180, 320, 2))
    posts = (np.arange(320) % 80 < 30)[None].repeat(180, 0)
    flow[posts] += (-4, 0)
    evidence = against_background(
        flow.astype(np.float32), np.ones((180, 320), np.float32), crowded=True
    )
    assert np.median(evidence[posts]) > 1 and np.median(evidence[~posts]) < -0.5
    assert against_background(flow.astype(np.float32), np.ones((180, 320)))[posts].max() < 0
    noise = (random.standard_normal((9999, 2)) ** 2).sum(-1)
    assert usual_square(noise, True) == np.percentile(noise, 70)  # as without posts


def test_moving_square_is_found(tmp_path, moving_clips):
    places = np.array([[20 + 5 * t, 40 + t] for t in range(10)])
    moving_clips.warped_clip(tmp_path, moving_clips.camera(10), (40, places))
    true = np.load(tmp_path / "masks.npy")
    for name in ("masks.npy", "mask_weight.npy"):
        (tmp_path / name).unlink()
    found = find_objects(tmp_path, Progress())
    masks, weight = np.load(tmp_path / "masks.npy"), np.load(tmp_path / "mask_weight.npy")
    assert len(found) == 1 and found[0].confidence > 0.7 and not found[0].cautions
    assert masks.shape == true.shape == weight.shape and masks.dtype == weight.dtype == np.uint8
    assert moving_clips.overlap(masks[0], true[0]) > 0.85
    wrong = (masks > 127) != (true > 127)
    assert weight[wrong].mean() < weight[~wrong].mean()
    assert {p.name for p in tmp_path.iterdir()} == {
        *("frames.npy", "masks.npy", "mask_weight.npy"),
        *("flow_forward.npy", "flow_backward.npy", "flow_ok.npy"),
    }, "no scratch is left"


def test_two_that_pass_each_other_are_two_and_in_order(tmp_path, moving_clips):
    """In the middle they are one region; the one in front is known from what it hides."""
    behind = [(10 + 6 * t, 40) for t in range(16)]
    front = [(120 - 6 * t, 46) for t in range(16)]
    true = two_squares(moving_clips, tmp_path, (behind, front))
    found = find_objects(tmp_path, Progress())
    masks = open_array(tmp_path, MASKS)
    assert len(found) == 2
    of_behind, of_front = best(masks, true[0]), best(masks, true[1])
    assert of_front[0] == 0 and of_behind[0] == 1, "front to back"
    assert of_front[1] > 0.75 and of_behind[1] > 0.75
    assert found[0].in_front_of == [1] and found[1].in_front_of == []


def test_one_that_stands_still_in_the_end_keeps_its_mask(tmp_path, moving_clips):
    count, side = 26, 40
    places = np.array([[10 + 5 * min(t, 10), 40] for t in range(count)])
    moving_clips.warped_clip(tmp_path, np.tile(np.eye(3), (count, 1, 1)), (side, places))
    true = np.load(tmp_path / "masks.npy")
    found = find_objects(tmp_path, Progress())
    masks = np.load(tmp_path / "masks.npy")
    assert len(found) == 1 and len(found[0].seen) == count
    assert len(found[0].moves) < count, "the last frames show no motion"
    assert moving_clips.overlap(masks[0, -5:], true[0, -5:]) > 0.8


@pytest.mark.parametrize("moving", [False, True])
def test_nothing_moves_by_itself(tmp_path, moving, moving_clips):
    moving_clips.warped_clip(
        tmp_path, moving_clips.camera(5) if moving else np.tile(np.eye(3), (5, 1, 1))
    )
    assert find_objects(tmp_path, Progress()) == []
    assert open_array(tmp_path, MASKS).shape[0] == 0


def test_a_clear_sky_is_no_object(tmp_path, moving_clips):
    """It has nothing to follow the camera by, so it seems to move against it."""
    moving_clips.warped_clip(tmp_path, moving_clips.camera(12))
    frames = np.load(tmp_path / "frames.npy")
    frames[:, :45] = (150, 180, 220)
    np.save(tmp_path / "frames.npy", frames)
    compute_flow(tmp_path, Progress())
    assert find_objects(tmp_path, Progress()) == []


def test_no_masks_is_a_form_that_the_stages_read(tmp_path, moving_clips):
    moving_clips.warped_clip(tmp_path, moving_clips.camera(3))
    no_masks(tmp_path)
    assert open_array(tmp_path, MASKS).shape == (0, 3, moving_clips.HEIGHT, moving_clips.WIDTH)


def test_the_truth_scene_with_two_objects(tmp_path):
    """The sample scene `crossing`: a ball in front of a toy."""
    from pathlib import Path

    from nvd_core.job import Job
    from nvd_core.object_folder import load_objects
    from nvd_core.objects import objects_of

    scene = Path(__file__).parents[1] / "samples/truth/crossing"
    folder = tmp_path / "objects"
    objects_of(Job(str(scene / "frames")), folder, Progress())
    known = load_objects(folder)
    assert known.names == ["object-1", "object-2"]
    assert known.objects[0].in_front_of == ["object-2"]
    for name, true in zip(known.names, ("ball", "toy"), strict=True):
        scores = []
        for path in sorted((scene / "masks" / true).glob("*.png")):
            a = cv2.imread(str(folder / "masks" / name / path.name), 0) > 127
            b = cv2.imread(str(path), 0) > 127
            scores.append((a & b).sum() / (a | b).sum())
        assert np.mean(scores) > 0.85


@pytest.mark.clips
@pytest.mark.parametrize("name, least", [("car-turn", 0.75), ("lucia", 0.8)])
def test_real_clip(tmp_path, name, least, moving_clips):
    true = moving_clips.clip_arrays(tmp_path, name, range(20, 60), 320)
    compute_flow(tmp_path, Progress())
    find_objects(tmp_path, Progress())
    assert max(moving_clips.overlap(m, true[0]) for m in np.load(tmp_path / "masks.npy")) > least
