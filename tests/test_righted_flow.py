"""Flow of an object with views is put right beside what was found, which stays as it is."""

import json
import shutil

import numpy as np
import pytest

from nvd_core.priors import garbage as garbage_stage
from nvd_core.priors import global_motion, righted_flow
from nvd_core.priors.flow import compute_flow
from nvd_core.priors.flow_parts import write_parts
from nvd_core.priors.global_motion import estimate_global_motion
from nvd_core.priors.righted_flow import about_righted
from nvd_core.runtime.progress import Progress
from nvd_core.work import (
    FLOW_BACKWARD,
    FLOW_FORWARD,
    FLOW_OK,
    GARBAGE,
    RIGHTED_BACKWARD,
    RIGHTED_FORWARD,
    RIGHTED_OK,
    ClipData,
)

FOUND = FLOW_FORWARD, FLOW_BACKWARD, FLOW_OK
RIGHTED = RIGHTED_FORWARD, RIGHTED_BACKWARD, RIGHTED_OK
DEGREES = 22.5


class Stopped(Exception):
    """As if the process had been killed."""


@pytest.fixture(scope="module")
def turning(tmp_path_factory, moving_clips):
    """Most of it seems to stand still, as spokes do."""
    folder = tmp_path_factory.mktemp("turning")
    moving_clips.turning_drum(folder, 6, DEGREES, repeats=16)
    return folder


@pytest.fixture
def work(turning, tmp_path):
    return shutil.copytree(turning, tmp_path / "work")


def told(work) -> list[bytes]:
    """All that the stage leaves behind, and what it read."""
    return [(work / name).read_bytes() for name in (*FOUND, *RIGHTED, "motion.npy", "motion.json")]


def arrays(work, names=RIGHTED) -> list[np.ndarray]:
    return [np.load(work / name) for name in names]


def right_share(flow, ok, mask) -> float:
    """Of the drum's places on some lines, those that flow takes where the drum does."""
    columns = np.flatnonzero(mask[0, 60])
    middle, half = columns.mean(), len(columns) / 2
    angles = np.arcsin((columns - middle) / half)
    ends = middle + half * np.sin(angles + np.radians(DEGREES))
    inner = (np.abs(angles) < 0.8) & (angles < 0.5)
    rows = np.array([30, 45, 60, 90])
    found = flow[:, rows][:, :, columns[inner], 0].astype(float)
    sure = ok[0][:, rows][:, :, columns[inner]] > 0
    return float(((np.abs(found - (ends - columns)[inner]) < 2) & sure).mean())


def test_flow_of_what_turns_is_put_right(turning, work):
    """Elsewhere it stays as it was, and so does all that was found; training reads the other."""
    mask = np.load(work / "masks.npy")[0] > 127
    estimate_global_motion(work, Progress(), windows=[2, 1])
    before, after = arrays(work, FOUND), arrays(work)
    assert right_share(before[0], before[2], mask) < 0.5
    assert right_share(after[0], after[2], mask) > 0.75
    for way, own in enumerate((mask[:-1], mask[1:])):
        np.testing.assert_array_equal(after[way][~own], before[way][~own])
        np.testing.assert_array_equal(after[2][way][~own], before[2][way][~own])
    for name in FOUND:
        assert (work / name).read_bytes() == (turning / name).read_bytes()
    data = ClipData(work)
    np.testing.assert_array_equal(data.flow[0], after[0])
    np.testing.assert_array_equal(data.flow_ok, after[2])
    assert data.righted == {0}
    fact = json.loads((work / "motion.json").read_text())[0]
    assert fact["righted"] == 5 and "between 5 of 5 pairs" in about_righted("drum", 5, 5)


def test_the_stage_says_the_same_when_it_is_run_again(work):
    estimate_global_motion(work, Progress(), windows=[2, 1])
    first = told(work)
    estimate_global_motion(work, Progress(), windows=[2, 1])
    assert told(work) == first


@pytest.mark.parametrize("where", ["part_that_turns", "write_parts", "write_json", "renaming"])
def test_a_stop_on_the_way_changes_nothing(turning, work, monkeypatch, where):
    whole = shutil.copytree(turning, work.parent / "whole")
    estimate_global_motion(whole, Progress(), windows=[2, 1])

    def stop(*_):
        raise Stopped

    def write_and_stop(*given):
        write_parts(*given)
        (work / RIGHTED_OK).unlink()  # as if it had not been renamed yet
        raise Stopped

    with monkeypatch.context() as changed:
        if where == "renaming":
            changed.setattr(global_motion, "write_parts", write_and_stop)
        else:
            changed.setattr(global_motion, where, stop)
        with pytest.raises(Stopped):
            estimate_global_motion(work, Progress(), windows=[2, 1])
    estimate_global_motion(work, Progress(), windows=[2, 1])
    assert told(work) == told(whole)


def test_another_run_without_views_leaves_nothing_of_it(work):
    estimate_global_motion(work, Progress(), windows=[2, 1])
    estimate_global_motion(work, Progress(), windows=[1, 1])
    assert not any((work / name).exists() for name in RIGHTED)
    data = ClipData(work)
    assert not data.righted
    np.testing.assert_array_equal(data.flow[0], np.load(work / FLOW_FORWARD))


def test_what_a_renderer_says_stays(work):
    """Its vectors are exact, and count as flow that was looked at."""
    estimate_global_motion(work, Progress(), windows=[2, 1], source="files")
    assert not any((work / name).exists() for name in RIGHTED)
    assert json.loads((work / "motion.json").read_text())[0]["righted"] == 0
    assert ClipData(work).righted == {0}


def test_what_an_earlier_version_left_is_no_flow_put_right(work):
    """So that what is resumed does not weigh it as such."""
    estimate_global_motion(work, Progress(), windows=[2, 1])
    facts = json.loads((work / "motion.json").read_text())
    for fact in facts:
        del fact["righted"]
    (work / "motion.json").write_text(json.dumps(facts))
    assert not ClipData(work).righted


def test_flow_that_follows_is_not_looked_at(work, monkeypatch):
    """RAFT that agrees with itself is right."""
    ok = np.load(work / FLOW_OK)
    ok[...] = 1
    np.save(work / FLOW_OK, ok)
    asked = []
    monkeypatch.setattr(righted_flow, "turns_of", lambda *_: asked.append(1) or [])
    estimate_global_motion(work, Progress(), windows=[2, 1], source="raft")
    assert not asked


def test_flow_of_what_does_not_turn_stays(tmp_path, moving_clips, monkeypatch):
    """Bit for bit, though it was asked whether it turns."""
    places = [(30 + 4 * t, 40 + t) for t in range(8)]
    moving_clips.warped_clip(tmp_path, moving_clips.camera(8), (40, places))
    monkeypatch.setitem(righted_flow.RIGHT_FROM, "dis", 2.0)
    answers, real = [], righted_flow.turns_of

    def turns_of(*given):
        answers.append(real(*given))
        return answers[-1]

    monkeypatch.setattr(righted_flow, "turns_of", turns_of)
    estimate_global_motion(tmp_path, Progress(), windows=[2, 1])
    assert len(answers) == 7 and not any(answers)
    assert not any((tmp_path / name).exists() for name in RIGHTED)


def test_garbage_stays_out_of_it(work):
    """A logo that stands still over what turns: no flow begins or ends in it."""
    frames = np.load(work / "frames.npy")
    matte = np.zeros((1, *frames.shape[1:3]), np.uint8)
    matte[0, 40:64, 60:100] = 255
    frames[:, matte[0] > 0] = 200
    np.save(work / "frames.npy", frames)
    compute_flow(work, Progress())
    np.save(work / GARBAGE, matte)
    garbage_stage._distrust_flow(work)
    estimate_global_motion(work, Progress(), windows=[2, 1])
    forward, _, ok = arrays(work)
    assert not ok[:, :, matte[0] > 0].any()
    t, y, x = np.nonzero(ok[0])
    ends = np.stack([y, x], -1) + forward[t, y, x].astype(float)[:, ::-1]
    row, column = ends.round().astype(int).T
    assert not (matte[0, row.clip(0, 119), column.clip(0, 159)] > 0).any()
