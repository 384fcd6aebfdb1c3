"""Limbs in an outline, and those that are found to be parts."""

import cv2
import numpy as np
import pytest

from nvd_core.job import Job
from nvd_core.media.images import write_image
from nvd_core.pipeline import decompose
from nvd_core.priors.found_parts import about_parts, search_parts
from nvd_core.priors.limbs import limbs_of, widest
from nvd_core.runtime.progress import Progress
from nvd_core.settings import fast, update_settings
from nvd_core.shot.shot import Shot
from nvd_core.work import FRAMES, MASKS

FRAME = (120, 160)


def canvas(*shapes) -> np.ndarray:
    """Filled polygons, bool [h, w]."""
    picture = np.zeros(FRAME, np.uint8)
    for shape in shapes:
        cv2.fillPoly(picture, [np.rint(shape).astype(int)], 1)
    return picture > 0


def box(x: float, y: float, wide: float, high: float) -> np.ndarray:
    return np.array([(x, y), (x + wide, y), (x + wide, y + high), (x, y + high)])


def leg(hip: tuple[float, float], degrees: float) -> np.ndarray:
    turn = np.radians(degrees)
    along, across = np.array([np.sin(turn), np.cos(turn)]), np.array([np.cos(turn), -np.sin(turn)])
    top, foot = np.array(hip), np.array(hip) + 46 * along
    return np.array([top - 5 * across, top + 5 * across, foot + 5 * across, foot - 5 * across])


def test_two_legs_stand_out_from_a_trunk():
    mask = canvas(box(60, 10, 36, 50), leg((68, 56), -30), leg((88, 56), 30))
    found = limbs_of(mask)
    assert found is not None and found.count == 2
    assert not (found.numbers[:40] > 0).any()
    assert {found.numbers[95, 48], found.numbers[95, 108]} == {1, 2}


def test_what_is_compact_has_no_limbs_and_a_strap_is_none():
    assert limbs_of(canvas(box(40, 20, 60, 60))) is None
    assert limbs_of(canvas(box(40, 20, 60, 60), box(60, 70, 2, 40))) is None
    assert limbs_of(canvas(box(40, 20, 8, 8))) is None


def test_the_widest_stance_is_taken():
    stances = [
        canvas(box(60, 10, 36, 50), leg((76, 56), -angle), leg((80, 56), angle))
        for angle in (8, 30, 2)
    ]
    assert widest(stances).frame == 1
    assert widest([canvas(box(40, 20, 60, 60))]) is None


class Swinging:
    """A trunk with a pattern on two legs that swing fast, or stand still."""

    def __init__(self, swings: bool, frames: int = 9) -> None:
        random = np.random.default_rng(1)
        fine = cv2.resize(random.integers(0, 255, (24, 24, 3), np.uint8), (144, 144))
        wall = np.full((*FRAME, 3), 120, np.uint8)
        self.frames, self.masks = [], []
        for t in range(frames):
            swing = 28 * np.cos(2 * np.pi * t / 8) if swings else 28.0
            x = 46 + 2 * t
            frame, mask = wall.copy(), np.zeros(FRAME, bool)
            for side, tint in ((-1, (220, 90, 40)), (1, (40, 120, 220))):
                hip = (x + 18 + 7 * side, 52)
                own = canvas(leg(hip, side * swing))
                still = cv2.getRotationMatrix2D((72, 72), side * swing, 1)
                still[:, 2] += np.array(hip) - 72
                pattern = cv2.warpAffine(fine, still, FRAME[::-1], borderMode=cv2.BORDER_WRAP)
                frame[own] = (0.5 * pattern[own] + 0.5 * np.array(tint)).astype(np.uint8)
                mask |= own
            trunk = canvas(box(x, 8, 36, 50))
            frame[8:59, x : x + 37] = fine[:51, :37]
            self.frames.append(frame)
            self.masks.append(mask | trunk)

    def write(self, work) -> None:
        masks = np.where(self.masks, np.uint8(255), np.uint8(0))[None]
        for name, array in ((FRAMES, np.array(self.frames)), (MASKS, masks)):
            np.save(work / name, array)


@pytest.mark.parametrize("swings", [True, False])
def test_legs_that_swing_are_found_and_those_that_stand_are_not(swings, tmp_path):
    Swinging(swings).write(tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    found = search_parts(tmp_path, [0], Progress())[0]
    assert {path.name for path in tmp_path.iterdir()} == before
    said = about_parts("man", found)
    if not swings:
        assert found is None and "stays in one piece" in said
        return
    assert found is not None and len(found.masks) == 2 and found.gain > 0.1
    assert [name for name, _ in found.named()] == ["limb_1", "limb_2"]
    assert f"frame {found.frame}" in said and "limb_1, limb_2" in said


@pytest.mark.slow
def test_found_parts_are_parts_of_the_layer_and_are_said(tmp_path):
    scene = Swinging(True)
    for t, (frame, mask) in enumerate(zip(scene.frames, scene.masks, strict=True)):
        write_image(tmp_path / f"frames/{t:04d}.png", frame)
        one = np.where(mask, np.uint8(255), np.uint8(0))[..., None]
        write_image(tmp_path / f"masks/{t:04d}.png", one)
    job = Job(str(tmp_path / "frames"), masks=[["man", str(tmp_path / "masks")]])
    folder = tmp_path / "man.nvd"
    small = {"iterations": 4, "points": 100, "find_parts": True}
    facts = decompose(folder, job, update_settings(fast(), small), Progress())
    record = Shot.open(folder).layer("man")
    assert [part.name for part in record.parts] == ["rest", "limb_1", "limb_2"]
    assert Job.load(folder).found_parts == ["man.limb_1", "man.limb_2"]
    assert len(list((folder / "masks/man.limb_1").iterdir())) == 1
    assert any("found by themselves" in caution for caution in facts["cautions"])
