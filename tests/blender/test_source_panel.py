"""The options on the source: what the panel has of them, what is told, and what comes of it."""

import json

import bpy
import numpy as np
import pytest

from blender_addon import headless
from blender_addon.blender import compat
from blender_addon.decompose.job import decompose_job
from blender_addon.decompose.mask_drawing import draw_mask
from blender_addon.decompose.opening import finished_jobs
from blender_addon.decompose.properties import source_options
from blender_addon.decompose.strip_job import decompose_strip
from blender_addon.errors import AddonError
from blender_addon.jobs.job import DONE
from blender_addon.jobs.runner import runner, timer
from blender_addon.strip import composite_strips
from blender_addon.strip.sources import read_strip

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("extension")]

NUMBERS = (1001, 1002, 1005, 1006, 1009)
"""files that are there"""


def words_of(job) -> list[str]:
    return [str(word) for word in job.plan["first_steps"][-1]["command"]]


def chosen(scene, tmp_path, strip) -> list[str]:
    """The words of the job that the button begins."""
    scene.sequence_editor.active_strip = strip
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "file.blend"), copy=True)
    strip.nvd_decompose.out = str(tmp_path / "out")
    assert bpy.ops.nvd.decompose() == {"FINISHED"}
    job = runner.jobs_of(scene)[-1]
    job.cancel()
    return words_of(job)


@pytest.fixture
def gaps(tmp_path):
    """A sequence whose pictures are as grey as their number's last digits times 20."""
    folder = tmp_path / "plate"
    folder.mkdir()
    for number in NUMBERS:
        image = bpy.data.images.new("grey", 32, 24)
        grey = (number - 1000) * 20 / 255
        image.pixels.foreach_set(np.tile(np.float32([grey, grey, grey, 1]), 32 * 24))
        image.filepath_raw, image.file_format = str(folder / f"shot.{number}.png"), "PNG"
        image.save()
        bpy.data.images.remove(image)
    return folder


def gap_strip(scene, folder, placeholders: bool):
    """As Blender's button adds the files, with a place for each that is missing or without."""
    numbers = range(NUMBERS[0], NUMBERS[-1] + 1) if placeholders else NUMBERS
    first, *others = [f"shot.{number}.png" for number in numbers]
    strip = compat.make_strips(scene).new_image(
        name="plate", filepath=str(folder / first), channel=1, frame_start=11
    )
    for name in others:
        strip.elements.append(name)
    compat.trim(strip, 0, 0)
    return strip


def test_a_strip_has_the_options_of_its_kind(scene, numbered_clip, timeline, tmp_path):
    image = timeline.added(scene, "image", numbered_clip)
    movie = compat.make_strips(scene).new_movie(
        name="movie", filepath=str(numbered_clip / "24.mkv"), channel=4, frame_start=1
    )
    assert source_options(image) == ["missing", "start", "shots", "garbage"]
    assert source_options(movie) == ["deinterlace", "shots", "garbage"]
    plain = {"--missing", "--start", "--deinterlace", "--shots", "--garbage"}
    for strip in (image, movie):
        assert not plain & set(chosen(scene, tmp_path, strip))
        own = strip.nvd_decompose
        own.missing, own.start, own.deinterlace = "hold", "source", True
        own.shots, own.garbage = True, "//rig"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "file.blend"))
    words = chosen(scene, tmp_path, image)
    assert words[words.index("--missing") + 1] == "hold"
    assert words[words.index("--start") + 1] == "source" and "--deinterlace" not in words
    assert words[words.index("--garbage") + 1] == str(tmp_path / "rig") and "--shots" in words
    words = chosen(scene, tmp_path, movie)
    assert "--deinterlace" in words and not {"--missing", "--start"} & set(words)
    movie.nvd_decompose.garbage = "auto"
    words = chosen(scene, tmp_path, movie)
    assert words[words.index("--garbage") + 1] == "auto"


@pytest.mark.parametrize("placeholders", [True, False])
def test_what_is_missing_is_held(scene, gaps, tmp_path, engine, placeholders):
    strip = gap_strip(scene, gaps, placeholders)
    with pytest.raises(AddonError, match=r"is missing|do not follow one another"):
        read_strip(strip)
    strip.nvd_decompose.missing = "hold"
    compat.trim(strip, 1, 1)
    source, (start, length) = read_strip(strip), compat.strip_span(strip)
    words = words_of(decompose_strip(strip, tmp_path / "a.nvd"))
    path = words[words.index("decompose") + 1]
    frames = words[words.index("--frames") + 1]
    assert path == str(gaps / "shot.%04d.png")
    assert frames == ("1002-1008" if placeholders else "1002-1006")
    code = (
        "import json, sys\n"
        "from nvd_core.cli.arguments import frame_range\n"
        "from nvd_core.media.clip import Reading, open_clip\n"
        "reading = Reading(missing='hold', start='source')\n"
        "clip = open_clip(sys.argv[1], frame_range(sys.argv[2]), reading=reading)\n"
        "print(json.dumps([int(frame[8, 16, 0]) // 20 for frame in clip]))\n"
    )
    taken = json.loads(engine.run("-c", code, path, frames).stdout)
    held = [2, 2, 2, 5, 6, 6, 6] if placeholders else [2, 2, 2, 5, 6]
    assert taken == held
    elements = [int(element.filename.split(".")[1]) for element in strip.elements]
    for frame in range(start, start + length):
        number = elements[frame - round(compat.strip_start(strip))]
        picture = source.picture_at(frame)
        assert int(source.number_of(picture)) == number
        file = 1000 + taken[picture - source.first]
        assert source.held(number) == file and (gaps / f"shot.{file}.png").is_file()


def test_a_mask_is_drawn_over_what_is_held(scene, gaps):
    strip = gap_strip(scene, gaps, placeholders=True)
    strip.nvd_decompose.missing = "hold"
    area = bpy.context.window.screen.areas[1]
    area.type = "IMAGE_EDITOR"
    thing = strip.nvd_decompose.objects.add()
    thing.name = "dog"
    scene.frame_set(14)  # 1004, which is missing
    draw_mask(thing, strip, area.spaces.active)
    assert area.spaces.active.image_user.frame_offset + 1 == 1002


def test_a_settings_file_that_names_a_preset_counts(tmp_path, engine):
    plain, named = tmp_path / "plain.yaml", tmp_path / "named.yaml"
    plain.write_text("points: 900\n")
    named.write_text("points: 900\npreset: fine\n")
    for settings, expected in ((plain, True), (named, False)):
        job = decompose_job(
            "in.mov", tmp_path / "a.nvd", settings=settings, preset="draft", python=engine.PYTHON
        )
        assert ("--preset" in words_of(job)) == expected


def test_the_command_line_takes_them_too(tmp_path, monkeypatch):
    jobs = []
    monkeypatch.setattr("blender_addon.headless.tasks.run", lambda job, say: jobs.append(job))
    words = ["decompose", "in.%04d.png", "--out", str(tmp_path / "a"), "--shots", "--deinterlace"]
    words += ["--start", "source", "--missing", "hold", "--frames=-5-20", "--garbage", "auto"]
    assert headless.main(words) == 0
    found = words_of(jobs[0])
    for pair in (("--start", "source"), ("--missing", "hold"), ("--garbage", "auto")):
        assert found[found.index(pair[0]) + 1] == pair[1]
    assert {"--shots", "--deinterlace", "--frames=-5-20"} <= set(found)
    assert headless.main([*words[:4], "--start", "last"]) == 2


@pytest.fixture(scope="module")
def two_shots(tmp_path_factory, engine, tiny_job):
    """The tiny clip, and behind a cut the same in other colours; and small.yaml."""
    folder = tiny_job.make_clip(tmp_path_factory.mktemp("cut"))
    code = (
        "import sys\n"
        "from nvd_core.media.images import read_image, write_image\n"
        "folder = sys.argv[1]\n"
        "for t in range(8):\n"
        "    picture = read_image(f'{folder}/frames/{t:04d}.png')[..., :3]\n"
        "    write_image(f'{folder}/frames/{t + 8:04d}.png', (255 - picture)[::-1].copy())\n"
    )
    engine.run("-c", code, folder)
    return folder


def test_every_shot_of_a_clip_is_listed_when_the_job_is_done(
    scene, two_shots, tmp_path, tiny_job, timeline
):
    strip = compat.make_strips(scene).new_image(
        name="cut", filepath=str(two_shots / "frames/0000.png"), channel=1, frame_start=101
    )
    for t in range(1, 16):
        strip.elements.append(f"{t:04d}.png")
    compat.trim(strip, 1, 0)
    scene.sequence_editor.active_strip = strip
    strip.nvd_decompose.shots, strip.nvd_decompose.out = True, str(tmp_path / "cut")
    settings = scene.nvd_decompose
    settings.device, settings.settings = "cpu", str(two_shots / "small.yaml")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "file.blend"))
    assert bpy.ops.nvd.decompose() == {"FINISHED"}
    (job,) = runner.jobs_of(scene)
    strip.name, scene.name = "hero", "edit"
    tiny_job.tick_until(lambda: job.ended, timer)
    assert job.state == DONE, job.full_log()
    one, two = scene.nvd_shots
    assert [entry.name for entry in (one, two)] == ["cut shot-01", "cut shot-02"]
    assert [entry.first_frame for entry in (one, two)] == [1, 8]
    assert one.strip == two.strip == "hero" and one.scene != two.scene
    spans = [
        compat.strip_span(composite_strips.add_scene_strip(entry, scene)) for entry in (one, two)
    ]
    assert spans == [(102, 7), (109, 8)]
    assert finished_jobs(scene) == [job]
    assert bpy.ops.nvd.open_job(job=job.id) == {"FINISHED"} and len(scene.nvd_shots) == 2
    assert bpy.ops.nvd.clear_jobs() == {"FINISHED"} and not runner.jobs_of(scene)


def test_a_finished_job_folds_away_once_it_is_opened(scene, folder, script_job, tmp_path):
    job = script_job(tmp_path / "jobs", "print('{}')", kind="decompose", out=folder)
    other = script_job(tmp_path / "jobs", "print('{}')", kind="strip", out=tmp_path / "x")
    for one in (job, other):
        runner.queue_job(one, scene)
        one.state = DONE
    assert finished_jobs(scene) == [other]
    assert bpy.ops.nvd.open_job(job=job.id) == {"FINISHED"}
    assert finished_jobs(scene) == [job, other]
    assert bpy.ops.nvd.clear_jobs() == {"FINISHED"} and not runner.jobs_of(scene)


def test_what_shots_json_names_is_not_believed(scene, tmp_path, script_job):
    out = tmp_path / "cut"
    out.mkdir()
    job = script_job(tmp_path / "jobs", "print('{}')", kind="decompose", out=out)
    job.plan["about"]["shots"], job.state = True, DONE
    runner.queue_job(job, scene)
    for shots in ([{"name": "../../x", "first": 0}], [{"name": "a", "first": "b"}], "c", None):
        text = json.dumps({"schema": "nvd.shots", "version": 1, "shots": shots})
        (out / "shots.json").write_text(text)
        with pytest.raises(RuntimeError, match="is damaged"):
            bpy.ops.nvd.open_job(job=job.id)
    assert not scene.nvd_shots
    runner.queue.jobs.clear()
