"""Where a training stands in its schedule, and what its checkpoint says of that."""

import json
from itertools import pairwise

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from nvd_core.runtime.errors import NvdError
from nvd_core.training.checkpoint import (
    checkpoint_step,
    copy_checkpoint,
    load_predictions,
    save_checkpoint,
)
from nvd_core.training.progression import LOOKS, OVER, Progression, read_progression
from nvd_core.training.trainer import rate_factor


def gone_through(gains: list[float], least: float = 0.1, planned: int = 1000) -> Progression:
    """After looks of which each found so much less error."""
    progression = Progression(planned, least)
    figure = 20.0
    for gain in gains:
        figure -= gain
        if progression.look(progression.next_look, figure):
            break
    return progression


def test_a_training_that_gains_is_gone_through():
    progression = gone_through([0.06] * (LOOKS - 1))
    assert progression.steps == 1000 and progression.hurried is None and progression.why is None
    assert not progression.looking and progression.place(777) == 777


@pytest.mark.parametrize(("schedule", "last"), [("one-cycle", 0.011), ("linear", 0.016)])
def test_one_that_stands_still_hurries_through_the_rest(schedule, last):
    progression = gone_through([1.0] * 5 + [0.02] * 10)
    assert progression.hurried == 350, "the fifth look but one is the last that brought enough"
    assert progression.steps == 350 + 650 // 5
    places = [progression.place(step) for step in range(progression.steps + 1)]
    assert places[350] == 350 and places[351] == 355 and places[-1] == 1000
    rates = [rate_factor(schedule, place, 1000) for place in places[:-1]]
    assert rates[-1] < last and max(abs(a - b) for a, b in pairwise(rates[60:])) < 0.01
    assert "480 steps of training in place of 1000" in progression.why
    assert "only 0.04/255 nearer" in progression.why


def test_the_first_looks_say_nothing():
    assert gone_through([0.0] * OVER).hurried is None
    assert gone_through([0.0] * (OVER + 1)).hurried == 150


EASY = (
    "20.3 31.2 33.6 36.0 36.4 36.8 37.0 37.3 37.5 37.7 37.9 38.0 38.4 38.6 38.6 38.6 38.8 38.8 38.8"
)
HARD = (
    "21.5 27.6 28.9 29.6 30.4 30.4 30.6 30.9 31.2 31.4 31.8 32.1 32.3 32.5 32.6 32.6 32.7 32.6 32.7"
)
"""dB at the looks of a default training of the scene bending, and of the clip bear"""


@pytest.mark.parametrize(("found", "steps"), [(EASY, 600 + 80), (HARD, 800 + 40)])
def test_an_easy_clip_stops_sooner_than_one_with_detail(found, steps):
    progression = Progression(1000, 0.2, since=500)
    for decibels in found.split():
        if progression.look(progression.next_look, 255 * 10 ** (-float(decibels) / 20)):
            break
    assert progression.steps == steps


def test_what_came_before_the_masks_were_let_go_does_not_count():
    progression = Progression(1000, 0.1, since=500)
    while not progression.look(progression.next_look, 20.0):
        assert progression.looking
    assert progression.hurried == 600


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint between two looks, with its progression and predictions."""
    path = tmp_path / "checkpoint.safetensors"
    progression, seen = Progression(1200, 0.1, 600, [20.25, 1 / 3], None, 3), torch.rand(7, 3)
    save_checkpoint(path, torch.nn.Linear(2, 2), [], 170, progression, seen)
    return path, progression, seen


def test_a_checkpoint_keeps_it_to_the_last_bit(checkpoint):
    path, progression, seen = checkpoint
    assert read_progression(path) == progression
    assert torch.equal(load_predictions(path), seen) and checkpoint_step(path) == 170


def test_an_older_checkpoint_says_nothing(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, torch.nn.Linear(2, 2), [], 7)
    assert read_progression(path) is None and load_predictions(path) is None


def test_what_goes_on_from_one_begins_anew(checkpoint, tmp_path):
    copy_checkpoint(checkpoint[0], tmp_path / "copy.safetensors", 60)
    assert read_progression(tmp_path / "copy.safetensors") is None
    assert load_predictions(tmp_path / "copy.safetensors") is None


@pytest.mark.parametrize(
    "change",
    [
        {"planned": 0},
        {"planned": "many"},
        {"figures": [1e400]},
        {"figures": [0.0] * 1000},
        {"hurried": 1200},
        {"unknown": 1},
        "[]",
        "{",
    ],
)
def test_a_damaged_one_is_an_error(checkpoint, change):
    path, progression, _ = checkpoint
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    text = change if isinstance(change, str) else json.dumps(vars(progression) | change)
    save_file(tensors, path, metadata | {"progression": text})
    with pytest.raises(NvdError, match="cannot read the checkpoint"):
        read_progression(path)
