"""Views in time that are found by themselves: for what turns, and for nothing else."""

import gc
import json
import weakref
from pathlib import Path

import cv2
import numpy as np
import pytest

from nvd_core.begun import check_same
from nvd_core.job import Job
from nvd_core.pipeline import decompose
from nvd_core.priors.alike import share_alike
from nvd_core.priors.flow import compute_flow
from nvd_core.priors.global_motion import estimate_global_motion
from nvd_core.priors.motion_fit import apply
from nvd_core.priors.motion_matches import MatchedClip
from nvd_core.priors.parallax import LOOKED_AT
from nvd_core.priors.turning_part import outlines_of, turning_part
from nvd_core.priors.views import (
    LEAST_ALIKE,
    LEAST_ALIVE,
    LEAST_SLIP,
    _at,
    _best_cuts,
    _kept_within,
    about_views,
    wanted_views,
)
from nvd_core.runtime.errors import Cancelled, NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.time_windows import covers
from nvd_core.settings import fast, paper, save_settings, update_settings

pytestmark = pytest.mark.slow


def found(work: Path, windows: list[int | None]) -> tuple[np.ndarray, dict]:
    motions = estimate_global_motion(work, Progress(), windows=windows)
    return motions, json.loads((work / "motion.json").read_text())[0]


def test_a_drum_that_turns_has_views(tmp_path, moving_clips):
    """Fails where tracks are not asked, or never die at the rim."""
    moving_clips.turning_drum(tmp_path, 24, 9)
    _, fact = found(tmp_path, [None, 1])
    assert fact["evidence"]["alive"] < LEAST_ALIVE and fact["evidence"]["slip"] > LEAST_SLIP
    assert covers(fact["windows"], 24) and 3 <= len(fact["windows"]) <= 6
    assert all(4 <= last - first + 1 <= 10 for first, last in fact["windows"])
    said = about_views("drum", fact["evidence"], fact["windows"])
    assert "drum turns" in said and "--windows drum=1" in said


def test_a_pattern_that_repeats_hides_no_turn(tmp_path, moving_clips):
    """As a wheel's spokes in a film most of it looks still; fails where only the whole is asked."""
    moving_clips.turning_drum(tmp_path, 16, 22.5, repeats=16)
    clip = MatchedClip(tmp_path)
    part = turning_part(clip, 0, outlines_of(clip, 0))
    middle, rim = np.array([[80.0, 60.0]]), np.array([[80.0, 24.0]])
    assert part.holds(middle, 3).all() and not part.holds(rim, 3).any()
    motions, fact = found(tmp_path, [None, 1])
    assert covers(fact["windows"], 16) and 4 <= len(fact["windows"]) <= 8
    assert 0.2 < fact["evidence"]["part"] < 0.8 and fact["evidence"]["alive"] < LEAST_ALIVE
    assert "drum turns (" in about_views("drum", fact["evidence"], fact["windows"])
    for first, last in fact["windows"]:  # the band's motion, by 14 px a frame in its middle
        ends = apply(motions[0, [first, last]], middle)[:, 0, 0]
        assert ends[0] - ends[1] > 9 * (last - first)


def test_flow_that_follows_what_is_behind_is_no_turn(tmp_path, moving_clips):
    """It agrees with itself forward and back, but the picture is another one there."""
    places = [(20 + 5 * t, 40) for t in range(12)]
    moving_clips.warped_clip(tmp_path, moving_clips.camera(12), (40, places))
    clip = MatchedClip(tmp_path)
    assert share_alike(clip, 0, None) > LEAST_ALIKE + 0.1
    flow = np.load(tmp_path / "flow_forward.npy")
    np.save(tmp_path / "flow_forward.npy", np.zeros_like(flow))
    np.save(tmp_path / "flow_ok.npy", np.ones_like(np.load(tmp_path / "flow_ok.npy")))
    assert share_alike(MatchedClip(tmp_path), 0, None) < LEAST_ALIKE / 2


def test_a_clip_that_is_let_go_maps_no_file_any_more(tmp_path, moving_clips):
    """At once: Windows removes no file that is mapped."""
    moving_clips.turning_drum(tmp_path, 4, 9)
    gc.disable()
    try:
        clip = MatchedClip(tmp_path)
        assert clip.grey(0).shape == clip.size
        kept = weakref.ref(clip), weakref.ref(clip.frames)
        del clip
        assert [of() for of in kept] == [None, None]
    finally:
        gc.enable()


def test_by_hand_it_has_what_is_asked_for(tmp_path, moving_clips):
    moving_clips.turning_drum(tmp_path, 12, 9)
    assert found(tmp_path, [1, 1])[1]["windows"] == []
    assert found(tmp_path, [2, 1])[1]["windows"] == [[0, 5], [6, 11]]


@pytest.mark.parametrize("kind", ["slides", "rolls", "still"])
def test_what_one_sheet_serves_stays_as_it_is(tmp_path, moving_clips, kind):
    """Bit for bit, whatever moves."""
    if kind == "rolls":
        moving_clips.rolling_disc(tmp_path, 16, 24, 8)
    else:
        places = [(30 + 4 * t * (kind == "slides"), 40 + t * (kind == "slides")) for t in range(16)]
        moving_clips.warped_clip(tmp_path, moving_clips.camera(16), (40, places))
    motions, fact = found(tmp_path, [None, 1])
    assert fact["windows"] == [] and fact["evidence"]["slip"] < LEAST_SLIP
    np.testing.assert_array_equal(motions, found(tmp_path, [1, 1])[0])


def test_what_is_hidden_or_lost_on_the_way_is_no_turn(tmp_path, moving_clips):
    """Its mask shrinks to a third from one side, as behind a post that passes, and opens again."""
    places = np.array([[20 + 4 * t, 40] for t in range(16)])
    moving_clips.warped_clip(tmp_path, moving_clips.camera(16), (40, places))
    masks = np.load(tmp_path / "masks.npy")
    for t, hidden in zip(range(3, 13), (8, 16, 24, 30, 34, 34, 30, 24, 16, 8), strict=True):
        x = places[t, 0]
        if t < 8:  # from the right, and on the other side what comes out again
            masks[0, t, :, x + 40 - hidden :] = 0
        else:
            masks[0, t, :, : x + hidden] = 0
    np.save(tmp_path / "masks.npy", masks)
    _, fact = found(tmp_path, [None, 1])
    assert fact["windows"] == []


def test_cuts_are_where_the_view_changes():
    """Three views of unequal length, each of which knows nothing of the others."""
    alive = np.zeros((12, 12), np.float32)
    for first, end in ((0, 3), (3, 8), (8, 12)):
        alive[first:end, first:end] = 0.9
    np.fill_diagonal(alive, 1)
    kept = _kept_within(alive)
    assert kept[0, 3] == pytest.approx(0.9) and kept[0, 4] == 0
    worst, cuts = _best_cuts(kept, 3)
    assert worst == pytest.approx(0.9) and cuts == [3, 8]
    assert _best_cuts(kept, 2)[0] == 0


def test_how_many_are_wanted():
    settings = fast()
    assert wanted_views(settings, ["a"], "background") == {"a": None, "background": LOOKED_AT}
    settings.windows = {"a": 3, "background": 2}
    wanted = wanted_views(settings, ["a", "b"], "background")
    assert wanted == {"a": 3, "b": None, "background": 2}
    settings.windows = 2
    assert wanted_views(settings, ["a"], "background") == {"a": 2, "background": 1}
    assert wanted_views(paper(), ["a"], "background") == {"a": 1, "background": 1}
    settings = fast()
    settings.mapping.start = "identity"  # which knows no windows
    assert wanted_views(settings, ["a"], "background") == {"a": 1, "background": 1}


def test_a_job_begun_before_views_were_found_is_the_same(tmp_path):
    """Its settings say 1, which was the default."""
    settings, job = fast(), Job(source="clip", masks=[])
    settings.windows = 1
    save_settings(settings, tmp_path / "settings.yaml")
    job.save(tmp_path)
    check_same(tmp_path, job, fast())
    settings.windows = 3
    with pytest.raises(NvdError, match="another job"):
        check_same(tmp_path, job, settings)


def test_a_job_begun_before_views_were_found_goes_on_without(tmp_path, tiny_clip):
    """The same command, which asks for auto by now, gives what resuming it gives."""
    frames, masks = tiny_clip.write(tmp_path / "clip")
    job = Job(source=str(frames), masks=[["disc", str(masks)]])
    settings = update_settings(fast(), {"iterations": 2, "points": 200})
    settings.windows = 1
    folder = tmp_path / "shot.nvd"

    class StopAtMotion(Progress):
        def stage(self, name, total):
            super().stage(name, total)
            if name == "motion":
                self.cancel()

    with pytest.raises(Cancelled):
        decompose(folder, job, settings, StopAtMotion())
    settings.windows = "auto"
    decompose(folder, job, settings, Progress(), until="training")
    facts = json.loads((folder / "work/motion.json").read_text("utf-8"))
    assert not any(fact["evidence"] for fact in facts)


def test_points_of_many_key_frames_are_looked_up():
    """More than OpenCV takes as the lines of an image."""
    field = np.arange(60, dtype=np.float32).reshape(5, 12)
    points = np.tile(np.array([[3.0, 2.0], [11.0, 4.0]], np.float32), (20_000, 1))
    found = _at(field, points)
    assert found.shape == (40_000,) and set(found.tolist()) == {27.0, 59.0}


@pytest.mark.parametrize("case", ["another side", "the same", "a mask that was lost"])
def test_what_comes_back_another_side_to_has_two_views(tmp_path, drum, moving_clips, case):
    """And nothing else has, in particular nothing whose mask was carried and lost for a while."""
    turn = 9 if case == "the same" else 140
    angles = [0, 3, 6, None, None, None, turn, turn + 3, turn + 6]
    plain = moving_clips.texture(drum.HEIGHT, drum.WIDTH, 1)
    frames = [plain if angle is None else drum.picture(angle) for angle in angles]
    masks = [np.isfinite(drum.surface(angle or 0)) & (angle is not None) for angle in angles]
    np.save(tmp_path / "frames.npy", np.stack(frames))
    masks = np.stack(masks)[None].astype(np.uint8) * 255
    np.save(tmp_path / "masks.npy", masks)
    weights = np.full_like(masks, 255)
    weights[0, 3:6] = 0 if case == "a mask that was lost" else 255
    np.save(tmp_path / "mask_weight.npy", weights)
    compute_flow(tmp_path, Progress())
    _, fact = found(tmp_path, [None, 1])
    if case == "another side":
        assert fact["windows"] == [[0, 5], [6, 8]] and fact["evidence"]["hidden"] == 1
        said = about_views("drum", fact["evidence"], fact["windows"])
        assert "comes back" in said and "--windows drum=1" in said
    else:
        assert fact["windows"] == [] and "hidden" not in fact["evidence"]


def _fine(height: int, width: int, seed: int) -> np.ndarray:  # uint8 [H, W, 3]
    """A pattern with many features, as cloth has."""
    noise = np.random.default_rng(seed).uniform(0, 1, (height, width, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 1.5)
    return ((soft - soft.mean()) / soft.std() * 45 + 128).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("blank", [(6,), (5, 6, 7, 8)])
def test_what_bends_and_is_hidden_keeps_one_view(tmp_path, moving_clips, blank):
    """As cloth, a person or an animal does, behind a post, or where one mask was left out."""
    height, width, count = 200, 320, 14
    behind, cloth = _fine(height, width + 26, 7), _fine(140, 120, 4)
    frames, masks = [], np.zeros((1, count, height, width), np.uint8)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    for t in range(count):
        bent, left = 5 * np.sin(2 * np.pi * t / 7), 30 + 8 * t
        columns = x - left + bent * np.sin(y / 22)
        rows = y - 30 + bent * np.cos((x - left) / 19)
        there = (columns >= 0) & (columns < 119) & (rows >= 0) & (rows < 139)
        shown = cv2.remap(cloth, columns.astype(np.float32), rows.astype(np.float32), 1)
        frames.append(np.where(there[..., None], shown, behind[:, 2 * t : 2 * t + width]))
        masks[0, t][there & (t not in blank)] = 255
    np.save(tmp_path / "frames.npy", np.stack(frames))
    np.save(tmp_path / "masks.npy", masks)
    np.save(tmp_path / "mask_weight.npy", np.full_like(masks, 255))
    compute_flow(tmp_path, Progress())
    _, fact = found(tmp_path, [None, 1])
    assert fact["windows"] == [] and "hidden" not in fact["evidence"]


def test_views_by_hand_follow_the_part_that_turns(tmp_path, moving_clips):
    """As those found do; most of the drum seems to stand still, and told its motion."""
    moving_clips.turning_drum(tmp_path, 16, 22.5, repeats=16)
    motions, fact = found(tmp_path, [5, 1])
    assert len(fact["windows"]) == 5
    middle = np.array([[80.0, 60.0]])
    for first, last in fact["windows"]:
        ends = apply(motions[0, [first, last]], middle)[:, 0, 0]
        assert ends[0] - ends[1] > 4 * (last - first)


def test_fields_are_looked_up_as_if_they_were_read_whole():
    """Bit for bit, within, at the edge and beyond it, whatever is read of them."""
    random = np.random.default_rng(0)
    flow = random.normal(0, 9, (54, 96, 2)).astype(np.float16)
    mask = random.integers(0, 256, (54, 96), np.uint8)
    scale = np.array([2.0, 2.003], np.float32)
    for _ in range(100):
        near = random.uniform(-1, 1, (random.integers(1, 40), 2)) * random.choice([0, 3, 60])
        points = (random.uniform(-30, 110, 2) + near).astype(np.float32)
        x, y = (np.ascontiguousarray(points[:, k : k + 1]) for k in (0, 1))
        for field, by in ((flow, scale), (mask, None)):
            whole = field.astype(np.float32) if by is None else field.astype(np.float32) / by
            wanted = cv2.remap(whole, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
            np.testing.assert_array_equal(_at(field, points, by), wanted[:, 0])
