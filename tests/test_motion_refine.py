"""The joint refinement of motions, stacked: what point by point and match by match gives."""

import json
from pathlib import Path

import numpy as np
import pytest

from nvd_core.priors import motion_refine, window_motion
from nvd_core.priors.global_motion import estimate_global_motion
from nvd_core.priors.motion_fit import MODELS, Matches, apply, generators
from nvd_core.priors.motion_refine import refine
from nvd_core.runtime.errors import Cancelled
from nvd_core.runtime.progress import Progress

pytestmark = pytest.mark.slow


def case(model: str, frames: int, seed: int = 3) -> tuple:
    """Noisy motions, and matches of neighbours and of frames farther apart, some of them wrong."""
    rng = np.random.default_rng(seed)
    basis = generators(model)
    change = np.einsum("tp,pij->tij", 0.02 * rng.normal(size=(frames, len(basis))), basis)
    true = np.eye(3) + change
    true /= true[:, 2:, 2:]
    true[frames // 2] = np.eye(3)
    pairs = [(t, t + 1) for t in range(frames - 1) if t != 7]  # one frame is not tied to the next
    pairs += [
        (t, t + gap) for gap, every in ((4, 2), (12, 4)) for t in range(0, frames - gap, every)
    ]
    matches = []
    for i, j in pairs:
        start = rng.uniform(-1, 1, (rng.integers(12, 30), 2))
        end = apply(np.linalg.inv(true[j]) @ true[i], start)
        end[:3] += rng.uniform(-1, 1, (3, 2))
        matches.append(Matches(i, j, start, end))
    noise = np.einsum("tp,pij->tij", 0.01 * rng.normal(size=(frames, len(basis))), basis)
    return true @ (np.eye(3) + noise), matches, model, frames // 2, (0.05, 0.03, 0.02, 0.02), true


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("pull", [0.0, 0.1])
@pytest.mark.parametrize("most", [1, 100, 8192])
def test_it_gives_what_the_plain_loop_does(model, pull, most, monkeypatch, motion_reference):
    arguments = *case(model, 40), pull
    found = refine(*arguments)
    wanted = motion_reference.refine(*arguments)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-13)
    assert np.abs(wanted - arguments[0]).max() > 1e-3
    monkeypatch.setattr(motion_refine, "MOST_POINTS", most)
    np.testing.assert_array_equal(refine(*arguments), found)


def test_no_matches_at_all(motion_reference):
    motions = np.tile(np.eye(3), (5, 1, 1))
    arguments = motions, [], "affine", 2, (1.0, 1.0)
    np.testing.assert_array_equal(refine(*arguments), motion_reference.refine(*arguments))


def test_it_tells_of_every_part_of_its_work():
    done = []
    refine(*case("homography", 40), tick=done.append)
    assert 0.7 * 4 < sum(done) < 1.3 * 4  # iterations
    assert max(done) < 0.3


class Heard(Progress):
    """Keeps what is told; is cancelled after `most` updates."""

    def __init__(self, most: float = float("inf")) -> None:
        super().__init__()
        self.most, self.told, self.total = most, [], 0

    def stage(self, name, total, done=0):
        self.total = total
        super().stage(name, total, done)

    def update(self, done, **values):
        self.told.append(done)
        if len(self.told) >= self.most:
            self.cancel()
        super().update(done, **values)


@pytest.fixture(scope="module")
def work(tmp_path_factory, moving_clips) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    places = np.stack([np.linspace(20, 80, 14), np.full(14, 40)], axis=1)
    moving_clips.warped_clip(folder, moving_clips.camera(14), (40, places))
    return folder


def test_the_whole_stage_gives_what_the_plain_loop_does(work, monkeypatch, motion_reference):
    found = estimate_global_motion(work, Progress())
    facts = json.loads((work / "motion.json").read_text())

    def plain(motions, stacks, *rest):
        return motion_reference.refine(motions, stacks.matches, *rest[:5])

    monkeypatch.setattr(window_motion, "refine", plain)
    again = estimate_global_motion(work, Progress())
    np.testing.assert_allclose(again, found, rtol=1e-9, atol=1e-9)  # pixels
    assert json.loads((work / "motion.json").read_text()) == facts


def test_progress_goes_on_through_the_whole_stage(work):
    heard = Heard()
    estimate_global_motion(work, heard)
    told = np.array(heard.told)
    assert (np.diff(told) >= 0).all() and told[-1] == heard.total
    for part in range(5):  # formerly all was told before the refinement began
        low, high = (heard.total * edge / 5 for edge in (part, part + 1))
        assert ((told >= low) & (told <= high)).any()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_it_can_be_stopped_anywhere(work, share):
    heard = Heard()
    estimate_global_motion(work, heard)
    with pytest.raises(Cancelled):
        estimate_global_motion(work, Heard(share * len(heard.told)))
