"""Global motion recovered from synthetic clips with known homographies, and its guards."""

import json

import numpy as np
import pytest

from nvd_core.priors.cautions import find_cautions
from nvd_core.priors.flow import compute_flow
from nvd_core.priors.flow_size import pixel_grid
from nvd_core.priors.global_motion import estimate_global_motion
from nvd_core.priors.motion_features import FOLLOWED
from nvd_core.priors.motion_fit import Matches, apply, chain, fit_pair, generators
from nvd_core.priors.motion_refine import refine
from nvd_core.runtime.progress import Progress

pytestmark = pytest.mark.slow


def gap(moving_clips, found: np.ndarray, true: np.ndarray) -> float:
    """Largest distance in px between two motions, relative to the middle frame."""
    points = pixel_grid(moving_clips.HEIGHT, moving_clips.WIDTH)[::10, ::10]
    points = points.reshape(-1, 2).astype(float)
    return float(np.abs(apply(found, points) - apply(true, points)).max())


class TestFit:
    @pytest.mark.parametrize("model", ["translation", "similarity", "affine", "homography"])
    def test_refine_undoes_noise(self, model):
        rng = np.random.default_rng(3)
        basis = generators(model)
        true = np.eye(3) + np.einsum("tp,pij->tij", 0.02 * rng.normal(size=(7, len(basis))), basis)
        true /= true[:, 2:, 2:]
        true[3] = np.eye(3)
        matches = []
        for i, j in [(k, k + gap) for k in range(7) for gap in (1, 3) if k + gap < 7]:
            start = rng.uniform(-1, 1, (60, 2))
            end = apply(np.linalg.inv(true[j]) @ true[i], start)
            end[:6] += rng.uniform(-1, 1, (6, 2))  # outliers
            matches.append(Matches(i, j, start, end))
        change = np.einsum("tp,pij->tij", 0.01 * rng.normal(size=(7, len(basis))), basis)
        noisy = true @ (np.eye(3) + change)
        noisy[3] = np.eye(3)
        found = refine(noisy, matches, model, 3, (0.05, 0.03, 0.02, 0.01, 0.01, 0.01))
        points = rng.uniform(-1, 1, (20, 2))
        assert np.abs(apply(found, points) - apply(true, points)).max() < 2e-3

    def test_chain_stands_still_where_a_step_is_missing(self):
        step = np.eye(3)
        step[0, 2] = 1.0
        motions = chain([step, None, step], 1)
        assert motions[:, 0, 2].tolist() == [1.0, 0.0, 0.0, -1.0]

    def test_too_few_points(self):
        assert fit_pair("affine", np.zeros((3, 2)), np.zeros((3, 2)), 1.0) is None


class TestBackground:
    @pytest.mark.parametrize("perspective", [0.0, 4e-5])
    def test_known_motion(self, tmp_path, perspective, moving_clips):
        true = moving_clips.camera(12, perspective)
        moving_clips.warped_clip(tmp_path, true)
        found = estimate_global_motion(tmp_path, Progress())
        facts = json.loads((tmp_path / "motion.json").read_text())
        assert found.shape == (1, 12, 3, 3)
        assert gap(moving_clips, found[0], true) < 0.5
        assert facts[-1]["kind"] == "background" and facts[-1]["reference"] == 6
        assert facts[-1]["model"] == ("homography" if perspective else "similarity")
        assert facts[-1]["inlier_share"] > 0.95

    def test_still_camera_stays_simple(self, tmp_path, moving_clips):
        moving_clips.warped_clip(tmp_path, np.tile(np.eye(3), (5, 1, 1)))
        found = estimate_global_motion(tmp_path, Progress())
        assert gap(moving_clips, found[0], np.tile(np.eye(3), (5, 1, 1))) < 0.2
        assert json.loads((tmp_path / "motion.json").read_text())[0]["model"] == "translation"

    def test_guard_against_perspective_drift(self, tmp_path, moving_clips):
        """Flow whose chained homographies would fold: a strong constant perspective each frame."""
        step = np.eye(3)
        step[2, 0] = 1 / 500
        count, points = (
            16,
            pixel_grid(moving_clips.HEIGHT, moving_clips.WIDTH).reshape(-1, 2).astype(float),
        )
        there = (apply(step, points) - points).reshape(moving_clips.HEIGHT, moving_clips.WIDTH, 2)
        back = (apply(np.linalg.inv(step), points) - points).reshape(
            moving_clips.HEIGHT, moving_clips.WIDTH, 2
        )
        np.save(
            tmp_path / "frames.npy",
            np.stack([moving_clips.texture(moving_clips.HEIGHT, moving_clips.WIDTH)] * count),
        )
        np.save(
            tmp_path / "masks.npy",
            np.zeros((0, count, moving_clips.HEIGHT, moving_clips.WIDTH), np.uint8),
        )
        np.save(tmp_path / "flow_forward.npy", np.stack([there] * (count - 1)).astype(np.float16))
        np.save(tmp_path / "flow_backward.npy", np.stack([back] * (count - 1)).astype(np.float16))
        np.save(
            tmp_path / "flow_ok.npy",
            np.ones((2, count - 1, moving_clips.HEIGHT, moving_clips.WIDTH), np.uint8),
        )
        found = estimate_global_motion(tmp_path, Progress())
        corners = np.array(
            [
                [0, 0],
                [moving_clips.WIDTH, 0],
                [0, moving_clips.HEIGHT],
                [moving_clips.WIDTH, moving_clips.HEIGHT],
            ],
            float,
        )
        assert np.isfinite(found).all()
        assert np.ptp(apply(found[0], corners), axis=(0, 1)).max() < 6 * moving_clips.WIDTH


class TestObject:
    def test_follows_its_own_motion(self, tmp_path, moving_clips):
        places = np.array([[20 + 4 * t, 40 + 2 * t] for t in range(10)])
        moving_clips.warped_clip(tmp_path, moving_clips.camera(10), (40, places))
        found = estimate_global_motion(tmp_path, Progress())
        facts = json.loads((tmp_path / "motion.json").read_text())
        assert [fact["kind"] for fact in facts] == ["object", "background"]
        assert gap(moving_clips, found[1], moving_clips.camera(10)) < 0.5
        reference = facts[0]["reference"]
        for t, (x, y) in enumerate(places):
            centre = np.array([[x + 20.0, y + 20.0]])
            assert np.abs(apply(found[0, t], centre) - places[reference] - 20).max() < 0.5

    def test_a_rolling_disc_is_followed_all_the_way(self, tmp_path, moving_clips):
        """22 turns of 15 degrees. Coarse flow loses a fifth of them: the rim slides by 18 px."""
        true = moving_clips.rolling_disc(tmp_path, 22, 20, 15)
        found = estimate_global_motion(tmp_path, Progress())
        reference = json.loads((tmp_path / "motion.json").read_text())[0]["reference"]
        rim = np.array([50, 50]) + 16 * np.array(
            [[1, 0], [0, 1], [-1, 0], [0, -1]]
        )  # of the texture
        for t in range(22):
            here = apply(np.linalg.inv(true[t]), rim)
            there = apply(np.linalg.inv(true[reference]), rim)
            assert np.linalg.norm(apply(found[0, t], here) - there, axis=1).max() < 1

    def test_a_disc_too_fast_for_flow_is_found_by_its_features(self, tmp_path, moving_clips):
        """55 degrees and 29 pixels a frame: flow agrees with itself on less than half of it."""
        true = moving_clips.rolling_disc(tmp_path, 5, 30, 55)
        covered = np.load(tmp_path / "masks.npy")[0, :4] > 127
        assert (np.load(tmp_path / "flow_ok.npy")[0, :4] > 0)[covered].mean() < FOLLOWED
        found = estimate_global_motion(tmp_path, Progress())
        reference = json.loads((tmp_path / "motion.json").read_text())[0]["reference"]
        rim = np.array([50, 50]) + 20 * np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
        for t in range(5):
            here = apply(np.linalg.inv(true[t]), rim)
            there = apply(np.linalg.inv(true[reference]), rim)
            assert np.linalg.norm(apply(found[0, t], here) - there, axis=1).max() < 1

    @pytest.mark.parametrize("most", ["before", "behind"])
    def test_what_comes_back_is_where_it_was(self, tmp_path, moving_clips, most):
        """Hidden for four frames while it goes on; it shows most on either side of the gap."""
        places = np.array([[8 + 8 * t, 30 + 3 * t] for t in range(14)])
        moving_clips.warped_clip(tmp_path, moving_clips.camera(14), (40, places))
        masks = np.load(tmp_path / "masks.npy")
        masks[0, 5:9] = 0
        for t in range(14):
            if (t < 7) != (most == "before"):
                masks[0, t, : places[t, 1] + 4] = 0
        np.save(tmp_path / "masks.npy", masks)
        found = estimate_global_motion(tmp_path, Progress())
        fact = json.loads((tmp_path / "motion.json").read_text())[0]
        assert fact["frames_carried"] == 4
        assert (fact["reference"] < 5) == (most == "before")
        for t in (*range(5), *range(9, 14)):
            centre = places[t] + 20.0
            assert (
                np.abs(apply(found[0, t], centre[None]) - places[fact["reference"]] - 20).max() < 1
            )

    def test_absent_object_is_carried(self, tmp_path, moving_clips):
        places = np.array([[20 + 4 * t, 40] for t in range(8)])
        moving_clips.warped_clip(tmp_path, moving_clips.camera(8), (40, places))
        masks = np.load(tmp_path / "masks.npy")
        masks[0, 5:] = 0
        np.save(tmp_path / "masks.npy", masks)
        found = estimate_global_motion(tmp_path, Progress())
        assert np.allclose(found[0, 5], found[0, 4]) and np.allclose(found[0, 7], found[0, 4])
        facts = json.loads((tmp_path / "motion.json").read_text())
        assert facts[0]["frames_carried"] == 3
        cautions = find_cautions(tmp_path, facts)
        assert any("no mask in 3 of 8 frames (5-7)" in text for text in cautions), cautions


class TestCautions:
    def test_quiet_clip(self, tmp_path, moving_clips):
        places = np.array([[20 + 4 * t, 40] for t in range(6)])
        moving_clips.warped_clip(tmp_path, moving_clips.camera(6), (40, places))
        estimate_global_motion(tmp_path, Progress())
        assert find_cautions(tmp_path, json.loads((tmp_path / "motion.json").read_text())) == []

    def test_small_object_and_light(self, tmp_path, moving_clips):
        places = np.array([[20 + 2 * t, 40] for t in range(8)])
        moving_clips.warped_clip(tmp_path, moving_clips.camera(8), (8, places))
        frames = np.load(tmp_path / "frames.npy")
        frames[4:] = 255 - frames[4:, ::-1] // 3
        np.save(tmp_path / "frames.npy", frames)
        compute_flow(tmp_path, Progress())
        text = "\n".join(find_cautions(tmp_path, []))
        assert "very small" in text
        assert "brightness jumps between frames 3 and 4" in text


@pytest.mark.clips
def test_wide_pan_stays_flat(tmp_path, moving_clips):
    """car-turn: freely chained homographies fold there."""
    moving_clips.clip_arrays(tmp_path, "car-turn", range(0, 80, 2), 200)
    compute_flow(tmp_path, Progress())
    found = estimate_global_motion(tmp_path, Progress())
    facts = json.loads((tmp_path / "motion.json").read_text())
    assert np.isfinite(found).all()
    assert 1.5 < facts[-1]["extent_widths"] < 4
    assert facts[-1]["inlier_share"] > 0.8
