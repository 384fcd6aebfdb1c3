"""Delivering a shot from the panel: where it goes, as what, and a job that writes it."""

import json
import subprocess

import bpy
import pytest

from blender_addon import headless
from blender_addon.errors import AddonError
from blender_addon.jobs.lanes import lane_of
from blender_addon.jobs.runner import runner
from blender_addon.shot import delivery
from blender_addon.strip import deliver_job

pytestmark = pytest.mark.usefixtures("extension")


def deliver(entry, tiny_job, form: str, path, **values):
    """Press Deliver, and wait for its job."""
    entry.delivery.form, entry.delivery.path = form, str(path)
    for name, value in values.items():
        setattr(entry.delivery, name, value)
    assert bpy.ops.nvd.deliver() == {"FINISHED"}
    job = runner.queue.jobs[-1]
    tiny_job.tick_until(lambda: job.ended, runner.tick)
    assert job.state == "done", job.full_log()
    return job


def facts_of(engine, path) -> dict:
    """What PyAV says of a movie, in the engine's environment."""
    code = (
        "import av, json, sys\n"
        "with av.open(sys.argv[1]) as movie:\n"
        "    context = movie.streams.video[0].codec_context\n"
        "    size = [context.width, context.height]\n"
        "    count = sum(1 for _ in movie.decode(video=0))\n"
        "    print(json.dumps([context.name, context.pix_fmt, size, count]))\n"
    )
    done = subprocess.run(
        [engine.PYTHON, "-c", code, path], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


@pytest.mark.once
def test_a_movie_and_images_are_delivered_in_their_form(entry, tiny_job, engine, tmp_path):
    shot, out = entry.read(), tmp_path / "out"
    job = deliver(entry, tiny_job, "prores-4444", out / "take.mov", has_range=True)
    codec, planes, size, count = facts_of(engine, out / "take.mov")
    assert (codec, planes, size) == ("prores", "yuv444p12le", [shot.width, shot.height])
    assert count == shot.frames
    assert lane_of(job) == "render"  # it waits for no other clip's training
    assert deliver_job.delivered(job) == out / "take.mov" and deliver_job.delivery_of(entry) is job
    entry.delivery.from_frame = entry.delivery.to_frame = 2
    job = deliver(entry, tiny_job, "exr-float", out / "exr" / "take.###.exr")
    (image,) = (out / "exr").glob("*.exr")
    assert image.name == "take.001.exr" and job.title == "take.###.exr"
    assert deliver_job.delivered(job) == out / "exr"
    (out / "exr").rename(out / "moved")
    assert deliver_job.delivered(job) is None
    with pytest.raises(RuntimeError, match="not there any more"):
        bpy.ops.nvd.show_delivered(job=job.id)


def test_where_it_goes(entry, tmp_path):
    settings = entry.delivery
    with pytest.raises(AddonError, match="not been saved"):
        delivery.target(entry)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "work.blend"))
    assert delivery.target(entry) == tmp_path / "take_painted.mov"
    settings.form = "exr-half"
    assert delivery.target(entry) == tmp_path / "take_painted" / "take.%05d.exr"
    for said, name in (
        ("//a/b.####.exr", "a/b.%04d.exr"),
        ("//a/b.%03d.exr", "a/b.%03d.exr"),
        ("//a/b", "a/b.%05d.exr"),
        ("//a/b.v2", "a/b.v2.%05d.exr"),
        ("//a/", "a/take.%05d.exr"),
    ):
        settings.path = said
        assert delivery.target(entry) == tmp_path / name
    settings.path = "//a/b.mov"
    with pytest.raises(AddonError, match=r"b.mov is no file of OpenEXR, Half.*\.exr"):
        delivery.target(entry)
    settings.form = "h264"
    assert delivery.target(entry) == tmp_path / "a/b.mov"


def test_what_the_engine_is_told(entry):
    settings, (front, *_rest, back) = entry.delivery, [layer.name for layer in entry.layers]
    assert delivery.words(entry) == ["--codec", "prores-4444"]
    settings.draft, settings.sound = True, False
    assert delivery.words(entry) == ["--codec", "prores-4444", "--no-audio"]
    settings.form, settings.without = "h264", front
    assert delivery.words(entry)[2:] == ["--quality", "draft", "--no-audio", "--remove", front]
    settings.form, settings.has_range = "png-16", True
    assert (settings.from_frame, settings.to_frame) == (1, entry.frames)
    settings.from_frame, settings.to_frame = 3, 2
    assert delivery.words(entry)[2:] == ["--remove", front, "--frames", "1-2"]
    settings.without = back
    with pytest.raises(AddonError, match="no object"):
        delivery.words(entry)


@pytest.mark.once
def test_every_form_is_one_that_the_engine_writes(entry, engine):
    """Suffixes, codecs and bits are the engine's."""
    code = (
        "import json\nfrom nvd_core.media.codecs import CODECS, DEFAULTS\n"
        "print(json.dumps({n: [list(c.suffixes), c.draft is not None] for n, c in CODECS.items()}))"
    )
    done = subprocess.run(
        [engine.PYTHON, "-c", code], check=True, capture_output=True, text=True, cwd=engine.ROOT
    )
    known = json.loads(done.stdout)
    movies = {name: form for name, form in delivery.FORMS.items() if form.movie}
    assert set(movies) == set(known)
    for name, form in movies.items():
        suffixes, drafts = known[name]
        assert set(form.suffixes) <= set(suffixes) and form.drafts == drafts
        assert form.words == ("--codec", name)
    items = delivery.NVD_PG_delivery.bl_rna.properties["form"].enum_items
    assert [item.identifier for item in items] == list(delivery.FORMS)


def test_a_delivery_onto_the_plate_is_refused(entry, tiny_job):
    shot = entry.read()
    plate = shot.frame(0)
    before = plate.read_bytes()
    entry.delivery.form = "png-8"
    entry.delivery.path = str(plate.with_name("#####.png"))
    bpy.ops.nvd.deliver()
    job = runner.queue.jobs[-1]
    tiny_job.tick_until(lambda: job.ended, runner.tick)
    assert job.state == "failed" and plate.read_bytes() == before


@pytest.mark.once
def test_batch_delivers_in_a_form(entry, tmp_path, engine):
    out = tmp_path / "batch.mov"
    words = ["render", str(entry.path), "--out", str(out), "--codec", "prores-422-hq"]
    assert headless.main([*words, "--frames", "1-1"]) == 0
    assert facts_of(engine, out)[:2] == ["prores", "yuv422p10le"] and facts_of(engine, out)[3] == 1
    assert headless.main([*words, "--through", "compositor"]) == headless.BAD_INPUT
