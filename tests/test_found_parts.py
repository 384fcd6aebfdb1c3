"""Limbs in an outline, and those that are found to be parts."""

from typing import ClassVar

import numpy as np
import pytest

from nvd_core.job import Job
from nvd_core.pipeline import decompose
from nvd_core.prepare import _parts, check_wanted_parts
from nvd_core.priors.found_parts import about_parts, best_parts, parts_wanted, search_parts
from nvd_core.priors.limbs import limbs_of, widest
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.settings import fast, update_settings
from nvd_core.shot.shot import Shot


def test_two_legs_stand_out_from_a_trunk(swinging):
    canvas, box, leg = swinging.canvas, swinging.box, swinging.leg
    mask = canvas(box(60, 10, 36, 50), leg((68, 56), -30), leg((88, 56), 30))
    found = limbs_of(mask)
    assert found is not None and found.count == 2
    assert not (found.numbers[:40] > 0).any()
    assert {found.numbers[95, 48], found.numbers[95, 108]} == {1, 2}


def test_what_is_compact_has_no_limbs_and_a_strap_is_none(swinging):
    canvas, box = swinging.canvas, swinging.box
    assert limbs_of(canvas(box(40, 20, 60, 60))) is None
    assert limbs_of(canvas(box(40, 20, 60, 60), box(60, 70, 2, 40))) is None
    assert limbs_of(canvas(box(40, 20, 8, 8))) is None


def test_the_widest_stance_is_taken(swinging):
    canvas, box, leg = swinging.canvas, swinging.box, swinging.leg
    stances = [
        canvas(box(60, 10, 36, 50), leg((76, 56), -angle), leg((80, 56), angle))
        for angle in (8, 30, 2)
    ]
    assert widest(stances).frame == 1
    assert widest([canvas(box(40, 20, 60, 60))]) is None


@pytest.mark.parametrize("swings", [True, False])
def test_legs_that_swing_are_found_and_those_that_stand_are_not(swings, tmp_path, swinging):
    swinging.Swinging(swings).write_work(tmp_path)
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


class Told:
    """Four limbs of which the third, carried wrongly, spoils the others; the last tells nothing."""

    MASKS: ClassVar = [np.full((2, 2), k) for k in range(4)]
    ERRORS: ClassVar = {0: 5.0, 1: 5.0, 2: 6.0, 3: 10.0}

    def __init__(self, spoils: float) -> None:
        self.spoils, self.tried = spoils, []

    def errors_whole(self):
        return [np.full(100, 10.0)]

    def errors_apart(self, frame, masks):
        numbers = [int(mask[0, 0]) for mask in masks]
        self.tried.append(numbers)
        labels = np.repeat(np.arange(5), 20)
        errors = np.full(100, 10.0)
        for k, number in enumerate(numbers, 1):
            spoilt = self.spoils if 2 in numbers and number != 2 else 0.0
            errors[labels == k] = self.ERRORS[number] + spoilt
        labels[labels > len(numbers)] = 0
        doubted = [[1, 2, 3, 4] if number == 2 else [1] for number in numbers]
        return doubted, [labels], [errors]


@pytest.mark.parametrize(("spoils", "kept"), [(0.0, [0, 1, 2]), (3.0, [0, 1])])
def test_a_limb_in_doubt_goes_where_the_others_are_better_without(spoils, kept):
    told = Told(spoils)
    found = best_parts(told, 7, told.MASKS)
    assert [int(mask[0, 0]) for mask in found.masks] == kept and found.frame == 7
    assert told.tried == [[0, 1, 2, 3], [0, 1, 2], [0, 1]]  # none that is not in doubt


@pytest.mark.slow
def test_found_parts_are_parts_of_the_layer_and_are_said(tmp_path, swinging):
    swinging.Swinging(True).write(tmp_path)
    job = Job(str(tmp_path / "frames"), masks=[["man", str(tmp_path / "masks")]])
    folder = tmp_path / "man.nvd"
    small = {"iterations": 4, "points": 100, "find_parts": {"man": True}}
    facts = decompose(folder, job, update_settings(fast(), small), Progress())
    record = Shot.open(folder).layer("man")
    assert [part.name for part in record.parts] == ["rest", "limb_1", "limb_2"]
    assert Job.load(folder).found_parts == ["man.limb_1", "man.limb_2"]
    assert len(list((folder / "masks/man.limb_1").iterdir())) == 1
    assert any("found by themselves" in caution for caution in facts["cautions"])


def test_parts_are_wanted_of_all_or_of_those_named():
    settings = fast()
    assert parts_wanted(settings, ["man", "dog"]) == []
    assert parts_wanted(update_settings(settings, {"find_parts": True}), ["man"]) == ["man"]
    by_name = update_settings(fast(), {"find_parts": {"man": False, "dog": True}})
    assert parts_wanted(by_name, ["man", "dog", "cat"]) == ["dog"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"find_parts": {"cat": True}}, "an object that there is not"),
        ({"find_parts": {"background": True}}, "an object that there is not"),
        ({"find_parts": {"man": True}, "windows": {"man": 3}}, "parts and windows in time"),
        ({"find_parts": {"man": True}, "mapping": {"start": "identity"}}, "start at the motion"),
    ],
)
def test_parts_that_cannot_be_found_are_refused(asked, said):
    job = Job("frames", masks=[["man", "masks"]])
    check_wanted_parts(job, update_settings(fast(), {"find_parts": {"cat": False}}))
    with pytest.raises(NvdError, match=said):
        check_wanted_parts(job, update_settings(fast(), asked))


def test_parts_that_nothing_would_be_looked_for_are_refused():
    """Of an object that has parts of its own, and where the background is decomposed alone."""
    asked = update_settings(fast(), {"find_parts": {"man": True}})
    with pytest.raises(NvdError, match="man has parts that are given"):
        check_wanted_parts(Job("frames", masks=[["man", "m"]], parts=[["man.leg", "l"]]), asked)
    asked = update_settings(fast(), {"find_parts": {"object": True}})
    check_wanted_parts(Job("frames"), asked)
    with pytest.raises(NvdError, match="the background is decomposed alone"):
        check_wanted_parts(Job("frames", background_alone=True), asked)


@pytest.mark.parametrize(("found", "said"), [(["object"], "only object was"), ([], "nothing was")])
def test_an_object_that_was_not_found_is_named(tmp_path, found, said):
    job = Job("frames")
    job.found = found
    asked = update_settings(fast(), {"find_parts": {"object-6": True, "object": False}})
    _parts(job, asked, None, tmp_path, Progress())
    (text,) = job.said
    assert "parts were to be found of object-6" in text and said in text
    assert "object-6" in text.split("--mask", 1)[1]
