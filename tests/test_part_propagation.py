"""Parts of an object carried together from the frames on which they are drawn."""

import cv2
import numpy as np
import pytest

from nvd_core.priors.part_masks import numbered
from nvd_core.priors.part_pose import Look, blurred, found
from nvd_core.priors.part_propagation import propagate_parts
from nvd_core.priors.part_shares import KnownPart, without_specks
from nvd_core.runtime.progress import Cancelled, Progress

FRAMES, HEIGHT, WIDTH = 9, 120, 160


def limb(angle: float, hip: tuple[float, float]) -> np.ndarray:
    """A mask of a limb of 14 x 50 pixels below a hip, bool [H, W]."""
    turn = np.radians(angle)
    middle = hip[0] + 25 * np.sin(turn), hip[1] + 25 * np.cos(turn)
    box = cv2.boxPoints((middle, (14, 50), -angle))
    canvas = np.zeros((HEIGHT, WIDTH), np.uint8)
    return cv2.fillConvexPoly(canvas, np.rint(box).astype(int), 255) > 0


def striped(mask: np.ndarray, angle: float, hip, colours) -> np.ndarray:
    """Stripes across a limb, which go with it."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    turn = np.radians(angle)
    along = (x - hip[0]) * np.sin(turn) + (y - hip[1]) * np.cos(turn)
    return np.array(colours, np.uint8)[(along // 7 % 2).astype(int)] * mask[..., None]


class Walker:
    """A trunk that moves on, and two legs that swing across each other."""

    def __init__(self, folder, alike: bool = False) -> None:
        self.work = folder
        wall = np.random.default_rng(0).integers(90, 130, (HEIGHT, WIDTH, 3), np.uint8)
        near, far = [(30, 40, 110), (60, 60, 160)], [(30, 140, 120), (90, 170, 150)]
        self.frames, self.labels = [], []
        for t in range(FRAMES):
            hip, swing = (50 + 7 * t, 60), 35 * np.cos(2 * np.pi * t / 8)
            trunk = np.zeros((HEIGHT, WIDTH), bool)
            trunk[20:66, hip[0] - 14 : hip[0] + 14] = True
            legs = limb(swing, hip), limb(-swing, hip)
            frame, label = wall.copy(), np.full((HEIGHT, WIDTH), 255, np.uint8)
            frame[trunk], label[trunk] = (170, 80, 60), 0
            for number, angle, colours in ((2, -swing, near if alike else far), (1, swing, near)):
                own = legs[number - 1]
                frame[own] = striped(own, angle, hip, colours)[own]
                label[own] = number
            self.frames.append(frame)
            self.labels.append(label)
        self._write()

    def _write(self) -> None:
        labels = np.array(self.labels)
        self.work.mkdir(exist_ok=True)
        flow = np.zeros((FRAMES - 1, HEIGHT, WIDTH, 2), np.float16)
        arrays = {
            "frames": np.array(self.frames),
            "masks": np.where(labels < 255, np.uint8(255), np.uint8(0))[None],
            "flow_forward": flow,
            "flow_backward": flow,
            "flow_ok": np.zeros((2, FRAMES - 1, HEIGHT, WIDTH), np.uint8),  # it is lost
            "part_masks": np.zeros((2, FRAMES, HEIGHT, WIDTH), np.uint8),
            "part_weight": np.zeros((2, FRAMES, HEIGHT, WIDTH), np.uint8),
        }
        for name, array in arrays.items():
            np.save(self.work / f"{name}.npy", array)

    def draw(self, row: int, frames: list[int]) -> None:
        masks = np.load(self.work / "part_masks.npy")
        for t in frames:
            masks[row, t] = np.where(self.labels[t] == row + 1, 255, 0)
        np.save(self.work / "part_masks.npy", masks)

    def right(self, t: int) -> float:
        """The share of the legs' pixels in frame t that are given to the right part."""
        masks = np.load(self.work / "part_masks.npy")[:, t] > 127
        seen = self.labels[t] < 255
        found = numbered(list(masks), seen)
        legs = seen & (self.labels[t] > 0)
        return float((found == self.labels[t])[legs].mean())


def test_legs_are_told_apart_by_one_drawing(tmp_path):
    """Where the flow says nothing: by their looks, turned, and by their colours."""
    walker = Walker(tmp_path / "work")
    for row in (0, 1):
        walker.draw(row, [0])
    doubted = propagate_parts(walker.work, 0, {0: [0], 1: [0]}, Progress())
    assert min(walker.right(t) for t in range(FRAMES)) > 0.85
    assert np.mean([walker.right(t) for t in range(FRAMES)]) > 0.93
    assert 0 not in doubted[0] and not set(doubted[0]) & {7, 8}


def test_a_leg_of_the_same_colours_is_followed_until_they_meet(tmp_path):
    walker = Walker(tmp_path / "work", alike=True)
    for row in (0, 1):
        walker.draw(row, [0, 4])
    propagate_parts(walker.work, 0, {0: [0, 4], 1: [0, 4]}, Progress())
    assert min(walker.right(t) for t in (0, 1, 3, 4, 5)) > 0.85


def test_what_is_drawn_stays_and_the_nearer_drawing_counts(tmp_path):
    walker = Walker(tmp_path / "work")
    walker.draw(0, [0, 8])
    walker.draw(1, [3])
    before = np.load(walker.work / "part_masks.npy")
    propagate_parts(walker.work, 0, {0: [0, 8], 1: [3]}, Progress())
    after = np.load(walker.work / "part_masks.npy")
    assert (after[0, [0, 8]] == before[0, [0, 8]]).all() and (after[1, 3] == before[1, 3]).all()
    assert min(walker.right(t) for t in range(FRAMES)) > 0.8
    assert set(np.unique(after)) == {0, 255} and not (after[0] & after[1]).any()


def test_a_leg_that_is_hidden_needs_an_eye(tmp_path):
    walker = Walker(tmp_path / "work", alike=True)
    for row in (0, 1):
        walker.draw(row, [0])
    doubted = propagate_parts(walker.work, 0, {0: [0], 1: [0]}, Progress())
    assert 2 in doubted[1]  # the near leg stands before the whole of it


def test_a_speck_goes_with_what_is_nearest():
    """A shoe's colours on the other leg; half of a leg beyond an arm stays."""
    shares = np.zeros((3, 40, 60), np.float32)
    shares[0, 10:30, 5:25] = shares[1, 10:30, 25:45] = 1
    shares[:, 12:15, 8:11] = np.array([0.2, 0.8, 0])[:, None, None]
    shares[:, 18:22, 25:45] = np.array([0, 0, 1.0])[:, None, None]  # cuts part 1 in two
    cleaned = without_specks(shares)
    assert (cleaned[0, 12:15, 8:11] == 1).all() and (cleaned[1, 12:15, 8:11] == 0).all()
    assert (cleaned[1, 10:18, 25:45] == 1).all() and (cleaned[1, 22:30, 25:45] == 1).all()
    assert (cleaned.sum(0) == shares.sum(0)).all()


def test_a_part_that_fits_badly_is_not_believed():
    look = np.zeros((2, 2))
    trusts = [KnownPart(look, [], 0, score=score).trust for score in (0.2, 0.55, 0.9)]
    assert trusts == [0.0, pytest.approx(0.5), 1.0]


def test_a_stop_is_answered(tmp_path):
    class StopsSoon(Progress):
        def update(self, done, **_):
            if done > 12:
                self.cancel()
            super().update(done)

    walker = Walker(tmp_path / "work")
    walker.draw(0, [0])
    with pytest.raises(Cancelled):
        propagate_parts(walker.work, 0, {0: [0]}, StopsSoon())
    propagate_parts(walker.work, 0, {0: [0]}, Progress())
    assert walker.right(0) > 0.45  # of one leg all; the other is the rest


def test_a_pose_is_found_with_its_turn(tmp_path):
    walker = Walker(tmp_path / "work")
    looks = [walker.labels[t] == 1 for t in (0, 1)]
    look = Look.of(blurred(walker.frames[0]), looks[0].astype(np.float32))
    assert look is not None
    score, place, turn = found(
        look, blurred(walker.frames[1]), looks[1].astype(np.float32), look.place, 0.0, 20.0
    )
    true = np.array([np.nonzero(looks[1])[1].mean(), np.nonzero(looks[1])[0].mean()])
    assert score > 0.7 and np.abs(place - true).max() < 3
    swing = 35 * (1 - np.cos(2 * np.pi / 8))
    assert abs(np.degrees(turn) - swing) < 5
    assert Look.of(blurred(walker.frames[0]), np.zeros((HEIGHT, WIDTH), np.float32)) is None


def test_a_part_that_is_seen_in_many_like_pieces_stays():
    """Behind railings: no piece is a speck beside the others."""
    shares = np.zeros((2, 60, 300), np.float32)
    shares[0] = 1
    for x in range(0, 240, 20):
        shares[1, 20:40, x : x + 10], shares[0, 20:40, x : x + 10] = 1, 0
    assert (without_specks(shares) == shares).all()


def test_a_part_drawn_empty_where_it_is_hidden_is_still_known_after(tmp_path):
    walker = Walker(tmp_path / "work")
    walker.draw(0, [0])
    walker.draw(1, [0])
    propagate_parts(walker.work, 0, {0: [0, 6], 1: [0]}, Progress())  # nothing is drawn in 6
    masks = np.load(walker.work / "part_masks.npy") > 127
    assert not masks[0, 6].any()
    for t in (7, 8):
        leg = walker.labels[t] == 1
        assert (masks[0, t] & leg).sum() > 0.5 * leg.sum()


def test_a_small_part_is_carried_and_frames_without_the_object_need_no_eye(tmp_path):
    walker = Walker(tmp_path / "work")
    for t, (frame, label) in enumerate(zip(walker.frames, walker.labels, strict=True)):
        label[label > 0] = 255
        x = 48 + 7 * t
        frame[30:33, x : x + 4], label[30:33, x : x + 4] = (255, 255, 255), 1
    walker.labels[4][:] = 255
    walker._write()
    walker.draw(0, [0])
    doubted = propagate_parts(walker.work, 0, {0: [0]}, Progress())
    masks = np.load(walker.work / "part_masks.npy") > 127
    assert masks[0, 1].sum() >= 6 and 4 not in doubted[0]
