"""Carried parts put right by what their own sheets explain, and joined over frames in doubt."""

import cv2
import numpy as np
import pytest

from nvd_core.priors.flow import compute_flow
from nvd_core.priors.global_motion import object_motions
from nvd_core.priors.part_explained import explain_parts, explained
from nvd_core.priors.sheet_evidence import MOST_PIXELS, Sheets, evidence_scale
from nvd_core.runtime.progress import Progress
from nvd_core.work import FRAMES, MASKS, PART_MASKS, PART_WEIGHT, PARTS

FRAME = (120, 160)


class Boards:
    """Two boards with a pattern, of which the lower goes its own way."""

    def __init__(self, frames: int = 8) -> None:
        random = np.random.default_rng(0)
        self.pattern = cv2.resize(random.integers(0, 255, (20, 20, 3), np.uint8), (80, 80))
        self.frames = np.full((frames, *FRAME, 3), 90, np.uint8)
        self.labels = np.zeros((frames, *FRAME), np.uint8)
        self.shown = np.zeros((frames, *FRAME), bool)
        self.motions = np.tile(np.eye(3), (2, frames, 1, 1))
        for t in range(frames):
            for k, (x, y) in enumerate([(40 + t, 20), (40 + 4 * t, 60)]):
                place = np.s_[t, y : y + 40, x : x + 80]
                self.frames[place] = self.pattern[40 * k : 40 * k + 40]
                self.labels[place], self.shown[place] = k, True
                self.motions[k, t, 0, 2] = 40 - x

    def write(self, work) -> None:
        masks = np.where(self.shown, np.uint8(255), np.uint8(0))[None]
        for name, array in ((FRAMES, self.frames), (MASKS, masks)):
            np.save(work / name, array)


@pytest.fixture(scope="module")
def boards() -> Boards:
    return Boards()


def mean_error(sheets: Sheets) -> float:
    return float(np.concatenate(sheets.errors()).mean())


def test_each_board_is_told_by_its_own_sheet(boards):
    """By one sheet half of them is wrong, though it may bend."""
    apart = mean_error(Sheets(boards.frames, boards.shown, boards.labels, boards.motions))
    whole = mean_error(Sheets(boards.frames, boards.shown, 0 * boards.labels, boards.motions[:1]))
    assert apart < 3 and whole > 5 * apart


def test_a_frame_tells_nothing_of_itself(boards):
    """What one frame alone shows is told by the object's mean colour."""
    alone = Sheets(boards.frames[:1], boards.shown[:1], boards.labels[:1], boards.motions[:, :1])
    off = np.abs(boards.frames[0][boards.shown[0]] - alone.mean).mean(-1)
    assert np.allclose(alone.errors()[0], np.minimum(off, 60), atol=0.1)


def test_pixels_with_the_wrong_part_are_put_right(boards):
    wrong = boards.labels.copy()
    wrong[3, 45:60][boards.shown[3, 45:60]] = 1  # a strip of the upper board
    wrong[5, 60:80, 60:90] = 0
    right = explained(boards.frames, boards.shown, wrong, boards.motions, [0])
    for t in (3, 5):
        seen = boards.shown[t]
        before = (wrong[t] != boards.labels[t])[seen].mean()
        after = (right[t] != boards.labels[t])[seen].mean()
        assert before > 0.05 and after < 0.25 * before
    assert (right[0] == wrong[0]).all()


def test_parts_that_are_drawn_throughout_are_left_alone(boards, tmp_path):
    boards.write(tmp_path)
    wrong = np.where(boards.labels == 1, np.uint8(1), np.uint8(0))
    wrong[4, 40:60][boards.shown[4, 40:60]] = 1
    labels = np.stack([wrong, 0 * wrong])
    for name in (PART_MASKS, PART_WEIGHT):
        np.save(tmp_path / name, np.full((1, *wrong.shape), 255, np.uint8))
    np.save(tmp_path / PARTS, labels)
    explain_parts(tmp_path, 0, [0], boards.motions, Progress())
    assert (np.load(tmp_path / PARTS) == labels).all()
    weights = np.full((1, *wrong.shape), 255, np.uint8)
    weights[:, 1:, 0, 0] = 0  # carried from the first
    np.save(tmp_path / PART_WEIGHT, weights)
    explain_parts(tmp_path, 0, [0], boards.motions, Progress())
    after = np.load(tmp_path / PARTS)
    seen = boards.shown[4]
    assert (after[0, 4] != boards.labels[4])[seen].mean() < 0.05
    assert (after[1] == labels[1]).all()


def test_frames_in_doubt_are_bridged(tmp_path):
    """Where a part's mask lies wrong and is known to, its motion joins what is before and after."""
    boards = Boards(11)
    boards.write(tmp_path)
    labels = np.stack([boards.labels, 0 * boards.labels])
    labels[0, 3:7] = 1 - labels[0, 3:7]
    np.save(tmp_path / PARTS, labels)
    compute_flow(tmp_path, Progress())

    def off(doubted: list[int]) -> float:
        motions = object_motions(tmp_path, 0, Progress(), [doubted])[1]
        moved = np.linalg.inv(motions[10]) @ motions[0] @ np.array([80, 80, 1])
        return float(np.hypot(*(moved[:2] / moved[2] - (80 + 40, 80))))

    assert off([3, 4, 5, 6]) < 1.5 < off([])


def test_a_long_clip_is_looked_at_smaller():
    """What is held grows with the object's pixels in all frames."""
    assert evidence_scale((270, 480), 480, MOST_PIXELS) == 1
    assert evidence_scale((540, 960), 480, MOST_PIXELS) == 0.5
    scale = evidence_scale((1080, 1920), 480, 300 * 1080 * 1920 // 2)
    assert 300 * 1080 * 1920 / 2 * scale**2 <= MOST_PIXELS * 1.001 and scale < 0.25
