"""A folder or a .blend from a stranger: the extension stays in it, and asks before it reads."""

import json
import os
import shutil
import sys
from pathlib import Path

import bpy
import pytest

import blender_addon
from blender_addon.blender.inside import check_links, inside
from blender_addon.blender.problems import TEXTS, button_of
from blender_addon.decompose.job import resume_folder
from blender_addon.errors import AddonError, visible
from blender_addon.jobs.job import Job
from blender_addon.jobs.job_log import JobLog
from blender_addon.jobs.runner import runner
from blender_addon.paint.preview import Preview
from blender_addon.shot import painting
from blender_addon.shot.folder import ShotError, read_shot
from blender_addon.shot.scripting import open_shot
from blender_addon.shot.shots import add_shot, find_again
from blender_addon.strip.render_job import queue_render
from blender_addon.strip.strips import render_pattern
from blender_addon.ui import panel_decompose

pytestmark = [
    pytest.mark.slow,
    pytest.mark.once,
]

PARTS = (
    "manifest.json", "frames", "frames/00002.png", "maps", "maps/00001.exr", "textures",
    "textures/toy.png", "edits", "edits/toy.png", "render", "render/00000.png", "paint",
    "paint/canvas_00000.png", "paint/layers", "report", "work", "masks", "job.json",
)  # fmt: skip

NAMES = (
    "../x", "..", "/tmp/x", "a\\b", "..\\x", "C:x", "C:\\x", "\\\\host\\share", "a\0b", "a\nb",
    "\x1b[31mx", "con", "NUL", "Com1.png", "lpt9", "aux", "x\n", "", " ", "x ", ".", "x.",
)  # fmt: skip


@pytest.fixture(autouse=True)
def extension(tick_until):
    blender_addon.register()
    yield
    for job in runner.queue.jobs:
        job.cancel()
    tick_until(lambda: not runner.queue.busy, runner.tick)
    runner.queue.jobs.clear()
    blender_addon.unregister()


@pytest.fixture
def folder(made, tmp_path) -> Path:
    shutil.copytree(made / "shot.nvd", tmp_path / "shot.nvd")
    return tmp_path / "shot.nvd"


def state(folder: Path) -> dict[Path, tuple]:
    found = {}
    for path in sorted(folder.rglob("*")):
        at = path.lstat()
        whole = path.read_bytes() if path.is_file() else None
        found[path] = whole, None if path.is_dir() else at.st_mtime_ns
    return found


def lead_out(folder: Path, part: str) -> Path:
    """Make a part of the folder a link to the same outside, or to an empty folder there."""
    outside = folder.parent / "outside"
    outside.mkdir()
    target = outside / Path(part).name
    if (folder / part).exists():
        shutil.move(folder / part, target)
    else:
        (folder / part).parent.mkdir(exist_ok=True)
        target.mkdir()
    (folder / part).symlink_to(target)
    return target


@pytest.mark.parametrize("part", PARTS)
def test_no_link_out_is_opened(part, folder):
    target = lead_out(folder, part)
    before = state(target.parent)
    for opened in (read_shot, open_shot, add_shot):
        with pytest.raises(ShotError, match="outside itself") as caught:
            opened(folder)
        assert str(folder / part) in str(caught.value) and str(target) in str(caught.value)
        assert caught.value.remedy
    assert not bpy.data.images and not len(bpy.context.scene.nvd_shots)
    assert state(target.parent) == before


@pytest.mark.parametrize("part", PARTS)
def test_none_that_appears_later_is_followed(part, folder, engine):
    """Whatever an artist can press on a shot that was opened in good order."""
    entry = add_shot(folder)
    layer = entry.layers["toy"]
    target = lead_out(folder, part)
    before = state(target.parent)
    layer.edit.pixels[0] = 0.5
    layer.edit.update()
    pressed = [
        lambda: queue_render(entry, bpy.context.scene, engine.PYTHON),
        lambda: render_pattern(entry),
        lambda: Preview(entry),
        lambda: find_again(entry, folder),
        lambda: add_shot(folder),
    ]
    for press in pressed:
        with pytest.raises(AddonError, match="outside itself"):
            press()
    if part.startswith("edits"):
        with pytest.raises(ShotError, match="outside itself"):
            painting.save_edits(entry)
        assert painting.is_unsaved(layer)
    else:
        painting.save_edits(entry)
    assert state(target.parent) == before
    assert not runner.queue.jobs


def test_a_file_s_edit_is_saved_in_its_folder_alone(folder, tmp_path):
    """A .blend from elsewhere may say that an edit lies anywhere."""
    entry = add_shot(folder)
    victim = tmp_path / "victim.png"
    victim.write_bytes(b"kept")
    layer = entry.layers["toy"]
    layer.edit["nvd_path"] = str(victim)
    layer.edit.pixels[0] = 0.5
    layer.edit.update()
    with pytest.raises(ShotError, match="does not lie in"):
        painting.save_edits(entry)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "one.blend"))
    assert victim.read_bytes() == b"kept"


def test_a_folder_that_is_named_by_a_link(folder, tmp_path):
    (tmp_path / "linked.nvd").symlink_to(folder)
    (folder / "frames/00002.png").unlink()
    (folder / "frames/00002.png").symlink_to("00001.png")
    assert read_shot(tmp_path / "linked.nvd").frames == 3
    add_shot(tmp_path / "linked.nvd")


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes there")
def test_a_pipe_is_not_opened(folder):
    (folder / "frames/00001.png").unlink()
    os.mkfifo(folder / "frames/00001.png")
    with pytest.raises(ShotError, match="neither a file nor a folder"):
        open_shot(folder)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", ["name", "texture", "edit", "frames", "maps"])
def test_names_of_a_manifest(key, name, folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    if key in ("frames", "maps"):
        manifest[key] = f"{name}/%05d.png" if name.strip(" .") else f"../{name}/%05d.png"
    else:
        manifest["layers"][0][key] = name
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ShotError) as caught:
        read_shot(folder)
    assert not set(str(caught.value)) & set("\x1b\0\n\r")


@pytest.mark.parametrize("name", NAMES)
def test_the_door(name, tmp_path):
    with pytest.raises(AddonError, match="outside itself"):
        inside(tmp_path, name)
    assert inside(tmp_path, "a/concert.png") == tmp_path / "a/concert.png"


# Jobs


def test_a_foreign_job_s_folder(tmp_path, script_job):
    """A .blend may name any folder as that of a job, and its log may be a link to anything."""
    job = script_job(tmp_path, "print('hello')")
    secret = tmp_path / "secret"
    secret.write_text("SECRET\n")
    (job.folder / "errors.txt").symlink_to(secret)
    record = bpy.context.scene.nvd_jobs.add()
    record.name, record.folder = "job", str(job.folder)
    runner.find_again()
    assert runner.queue.find(job.id) is None
    assert "outside itself" in str(runner.damaged[job.id])
    (job.folder / "errors.txt").unlink()
    (job.folder / "log.jsonl").write_text(
        json.dumps(
            {"event": "progress", "stage": "x", "done": 1, "total": 2, "preview": str(secret)}
        )
    )
    runner.find_again()
    found = runner.queue.find(job.id)
    found.log.preview = str(secret)
    assert job.id in runner.foreign and panel_decompose._picture(found) == 0
    runner.forget(found)


def log_of(tmp_path: Path, *events: dict) -> JobLog:
    path = tmp_path / "log.jsonl"
    path.write_text("")
    log = JobLog(path)
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    log.read()
    return log


def test_what_a_log_says_is_visible(tmp_path):
    odd = "\x1b]0;owned\x07[/x]\u202e\x9b\ud800\0"
    log = log_of(
        tmp_path,
        {"event": "step", "number": 1, "of": 2, "title": odd},
        {"event": "caution", "text": odd},
        {"event": "message", "text": odd},
        {"event": "error", "problem": odd, "found": odd, "remedy": odd},
    )
    shown = "\\x1b]0;owned\\x07[/x]\\u202e\\x9b??"
    assert log.stage == shown and log.cautions == [shown] and log.message == shown
    assert log.error.problem == f"{shown} (found {shown})" and log.error.remedy == shown
    shown = shown.replace("??", "\\ud800\\x00")
    assert str(AddonError(odd, odd)) == f"{shown}: {shown}"
    assert visible("dog é 犬 [b]") == "dog é 犬 [b]"


def test_the_log_as_a_text_is_visible(tmp_path, script_job):
    job = script_job(tmp_path, "print()")
    (job.folder / "errors.txt").write_text("one\x1b[31m\ntwo\r\n")
    assert job.full_log() == "one\\x1b[31m\ntwo\n"


@pytest.mark.parametrize("reads", [None, [], "text", {"a": 1}, [1, None]])
def test_an_error_that_asks_nothing(reads, tmp_path):
    error = {"event": "error", "problem": "p", "remedy": "nvd resume x", "reads": reads}
    log = log_of(tmp_path, error)
    assert log.reads == [] and button_of(log.error) == "nvd.resume_job"


def test_a_question_is_a_button_that_names_the_files(tmp_path):
    reads = ["the source /private\x1b", "the mask of dog /x"] + ["more"] * 1000
    error = {"event": "error", "problem": "p", "remedy": "nvd resume --yes x", "reads": reads}
    log = log_of(tmp_path, error)
    assert log.reads[:2] == ["the source /private\\x1b", "the mask of dog /x"]
    assert len(log.reads) < 100
    assert button_of(log.error) == "nvd.resume_anyway" and "nvd.resume_anyway" in TEXTS


@pytest.fixture(scope="module")
def clip(tmp_path_factory, tiny_job) -> Path:
    return tiny_job.make_clip(tmp_path_factory.mktemp("clip"))


def stranger_s(clip: Path, out: Path) -> Path:
    """An unfinished folder as someone else's machine left it, which names a file of ours."""
    out.mkdir()
    job = {"schema": "nvd.job", "version": 1, "source": str(clip / "frames"), "device": "cpu"}
    (out / "job.json").write_text(json.dumps(job))
    shutil.copy(clip / "small.yaml", out / "settings.yaml")
    return out


def test_resume_anyway(clip, tmp_path, engine, tick_until, monkeypatch):
    """The engine asks, the panel shows it, and the button goes on; nothing is read before."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    out = stranger_s(clip, tmp_path / "shot.nvd")
    job = resume_folder(out, engine.PYTHON)
    tick_until(lambda: job.ended, runner.tick)
    assert job.state == "failed" and button_of(job.error) == "nvd.resume_anyway"
    assert job.log.reads == [f"the source {clip / 'frames'}"]
    assert not (out / "frames").exists()
    assert bpy.ops.nvd.resume_anyway(job=job.id) == {"FINISHED"}
    tick_until(lambda: job.ended, runner.tick)
    assert job.state == "done", job.full_log()
    assert "--yes" in job.plan["steps"][-1]["command"]
    assert Job(job.folder).state == "done"


def test_a_script_and_batch_say_yes(clip, tmp_path, engine, tick_until, monkeypatch):
    from blender_addon import headless

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("NVD_PYTHON", str(engine.PYTHON))
    out = stranger_s(clip, tmp_path / "shot.nvd")
    words = ["decompose", str(clip / "frames"), "--out", str(out)]
    assert headless.main(words) == 2 and not (out / "frames").exists()
    job = resume_folder(out, engine.PYTHON, yes=True)
    assert "--yes" in job.plan["first_steps"][-1]["command"]
    job.cancel()
    assert headless.parser().parse_args([*words, "--yes"]).yes


def test_links_of_a_folder_that_is_not_there(tmp_path):
    check_links(tmp_path / "gone")
