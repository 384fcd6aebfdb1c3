"""Clicks on an object become its drawn mask, by a job of the engine."""

import json
from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon.decompose import clicking
from blender_addon.decompose.strip_job import Object, decompose_strip
from blender_addon.errors import AddonError
from blender_addon.jobs.checked_json import Odd
from blender_addon.jobs.job import DONE
from blender_addon.jobs.lanes import lane_of
from blender_addon.jobs.runner import runner

pytestmark = pytest.mark.usefixtures("extension")
CROSSING = Path(__file__).parents[2] / "samples/truth/crossing"


@pytest.fixture
def strip(crossing_strip):
    """It, with its picture 8 at the playhead."""
    crossing_strip.id_data.frame_set(19)
    return crossing_strip


@pytest.fixture
def thing(strip):
    thing = strip.nvd_decompose.objects.add()
    thing.name = "ball"
    return thing


def read(path) -> np.ndarray:  # [H, W], top row first
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    wide, high = image.size
    pixels = np.empty(4 * wide * high, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(high, wide, 4)[::-1, :, 0]


def middle(true) -> tuple[float, float]:
    rows, columns = np.nonzero(true)
    return float(columns.mean()), float(rows.mean())


def drawn(strip, mask, tmp_path, tick_until) -> np.ndarray:
    """The mask as Blender draws it for the engine."""
    job = decompose_strip(strip, tmp_path / "out.nvd", [Object("ball", mask=mask, frame=19)])
    job.plan["first_steps"] = [s for s in job.plan["first_steps"] if s["title"] == "preparing"]
    job.start()
    tick_until(lambda: job.ended, job.poll)
    assert job.state == DONE, job.full_log()
    return read(job.folder / "masks/ball/mask_00008.png")


def test_lines_are_drawn_where_they_were_found_with_their_holes(strip, tmp_path, tick_until):
    high, wide = read(CROSSING / "frames/00008.png").shape
    mask = bpy.data.masks.new("square")
    outer = [(20, 10), (80, 10), (80, 60), (20, 60)]
    inner = [(40, 50), (60, 50), (60, 30), (40, 30)]  # the other way round
    for _ in range(2):  # the second time they take the place of the first
        clicking.put_lines(mask, wide, high, [outer, inner])
    assert len(mask.layers[0].splines) == 2
    found = drawn(strip, mask, tmp_path, tick_until) > 0.5
    expected = np.zeros((high, wide), bool)
    expected[10:61, 20:81] = True
    expected[31:50, 41:60] = False
    # Blender 4 takes in a pixel more where a line runs through the middles of pixels
    assert (found != expected).sum() < 0.05 * expected.sum()


def test_a_strip_that_runs_backwards_is_clicked_on_as_well(strip, thing):
    """Which picture it shows is not known before it was measured."""
    strip.use_reverse_frames = True
    mask = clicking.begin(thing, strip)
    assert mask is not None and thing.mask == mask and thing.when == "ONE"


def test_a_mask_is_no_longer_animated_once_it_is_clicked(strip, thing):
    thing.when = "ALL"
    clicking.begin(thing, strip)
    assert thing.when == "ONE"


@pytest.mark.long
def test_a_click_becomes_a_mask_and_clicks_add_up(strip, thing, tmp_path, tick_until):
    true = read(CROSSING / "masks/ball/00008.png") > 0.5
    x, y = middle(true)
    assert bpy.ops.nvd.click_mask(x=x, y=y) == {"FINISHED"}
    (first,) = runner.queue.jobs
    assert lane_of(first) == "mask" and clicking.job_of(thing, strip) == first
    assert bpy.ops.nvd.click_mask(x=5, y=5, inside=False) == {"FINISHED"}
    second = runner.queue.jobs[-1]
    words = [word for word in second.plan["first_steps"][-1]["command"] if "--click" in word]
    assert [word[:9] for word in words] == [f"--click={x:.2f}"[:9], "--click=-"]
    tick_until(lambda: first.ended and second.ended, runner.tick, 300)
    assert second.state == DONE, second.full_log()
    assert thing.kind == "MASK" and thing.frame == 19 and not runner.queue.jobs
    found = drawn(strip, thing.mask, tmp_path, tick_until) > 0.5
    assert (found & true).sum() / (found | true).sum() > 0.75


def test_clicks_of_another_frame_are_a_further_key_frame(strip, thing, tmp_path):
    clicking.begin(thing, strip)
    assert thing.mask is not None and thing.frame == 19
    bpy.context.scene.frame_set(22)
    clicking.begin(thing, strip)
    assert [key.frame for key in thing.keys_drawn] == [22]
    bpy.ops.nvd.click_mask(x=30, y=20)
    (job,) = runner.queue.jobs
    words = job.plan["first_steps"][-1]["command"]
    assert "--frame=11" in words and [p.frame for p in thing.clicks] == [22]
    job.cancel()
    square = {"width": 100, "height": 50, "lines": [[[10, 10], [50, 10], [50, 40]]]}
    noted = {"schema": "nvd.outline", "version": 1, **square}
    (job.folder / clicking.OUTLINE).write_text(json.dumps(noted))
    clicking._take(job, strip)
    assert len(thing.keys_drawn[0].mask.layers[0].splines) == 1
    assert not thing.mask.layers[0].splines
    bpy.ops.nvd.remove_key(frame=22)
    assert not thing.keys_drawn and not thing.clicks


def test_a_click_beside_the_object_is_not_the_first(strip, thing):
    with pytest.raises(RuntimeError, match="click on it first"):
        bpy.ops.nvd.click_mask(x=3, y=3, inside=False)
    thing.kind = "STRIP"
    with pytest.raises(AddonError, match="given on every frame"):
        clicking.begin(thing, strip)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"schema": "nvd.outline", "version": 2}',
        '{"schema": "nvd.outline", "version": 1, "width": 9, "height": 0, "lines": []}',
        '{"schema": "nvd.outline", "version": 1, "width": 9, "height": 9, "lines": [[[1, 2]]]}',
        '{"schema": "nvd.outline", "version": 1, "width": 9, "height": 9,'
        ' "lines": [[[1, 2], [1, "x"], [3, 4]]]}',
    ],
)
def test_a_damaged_outline_is_refused(text, tmp_path):
    (tmp_path / "outline.json").write_text(text)
    with pytest.raises(Odd):
        clicking.read_lines(tmp_path / "outline.json")
