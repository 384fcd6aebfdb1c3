"""A folder from a stranger stays in its folder: every command, every part of it as a link.

Nothing outside is created, changed, removed, or read into a result, and the refusal names the link
and where it leads.
"""

import json
import os
import shutil
import socket
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.editing.camera_path import Key
from nvd_core.evaluation.truth.folder import Truth
from nvd_core.job import Job
from nvd_core.media.images import read_image, write_image
from nvd_core.pipeline import decompose, resume
from nvd_core.runtime.errors import Cancelled, NvdError, Unconfirmed
from nvd_core.runtime.inside import NAME, check_links, inside, remove_folder
from nvd_core.runtime.progress import Progress, RichProgress
from nvd_core.runtime.shown import visible
from nvd_core.settings import load_settings, settings_from
from nvd_core.shot.shot import Shot
from nvd_core.shot.stack import Entry, Stack, write_stack
from nvd_core.shot.values import PLAIN, write_values

SMALL = {
    "iterations": 4,
    "points": 100,
    "texture_grid": {"levels": 4, "log2_table": 10},
    "residual_grid": {"levels": 3, "log2_table": 10},
    "alpha_grid": {"levels": 3, "log2_table": 10},
    "fit_textures": False,
}

COMMANDS = {
    "render to images": ["render", "SHOT", "--out", "OUT/%05d.png"],
    "render to a movie": ["render", "SHOT", "--out", "OUT/one.mp4"],
    "render into the folder": ["render", "SHOT", "--out", "SHOT/render/%05d.png"],
    "render in full": ["render", "SHOT", "--out", "OUT/%05d.png", "--mode", "full"],
    "camera": ["camera", "SHOT", "--out", "OUT/%05d.png", "--hold", "0"],
    "paint": ["paint", "SHOT", "--frame", "1", "--image", "PAINT"],
    "paint elsewhere": ["paint", "SHOT", "--frame", "1", "--image", "PAINT", "--out", "OUT"],
    "evaluate": ["evaluate", "SHOT"],
    "info": ["info", "SHOT"],
    "decompose": ["decompose", "PLATES", "--out", "SHOT"],
    "carry": ["carry", "SHOT", "SHOT", "--over"],
    "refine": ["refine", "SHOT", "--out", "OUT/finer.nvd", "--steps", "2"],
    "bake": ["bake", "SHOT", "--finish"],
    "edits": ["edits", "list", "SHOT"],
    "add an edit": ["edits", "add", "SHOT", "PAINT", "--layer", "dog", "--name", "new"],
    "purge edits": ["edits", "purge", "SHOT"],
    "flatten edits": ["edits", "flatten", "SHOT"],
    "purge": ["purge", "SHOT", "flat", "render"],
    "textures back": ["textures", "SHOT", "--back"],
    "textures": ["textures", "SHOT", "--size", "2"],
    "remove": ["render", "SHOT", "--out", "OUT/%05d.png", "--remove", "dog"],
}

PARTS = (
    "manifest.json", "job.json", "settings.yaml", "checkpoint.json", "checkpoint.safetensors",
    "preview.png", "frames", "frames/00001.png", "maps", "maps/00001.exr", "maps/tiles.npz",
    "textures", "textures/dog.png", "edits", "edits/cat.png", "masks", "masks/dog",
    "masks/dog/00001.png", "work", "work/frames.npy", "report", "report/report.json",
    "report/contact_sheet.png", "render", "render/00001.png", "render/.%05d.png.rendered.json",
    ".nvd.lock", ".nvd.owner.json", "nvd-error.log", "frames/.00001.99.tmp.png", "work/.x.9.tmp",
    "colour", "colour/to_rec709.ctf", "audio.mka", "edits/values.json", "edits/stack.json",
    "edits/stack", "edits/stack/a.png", "masks/garbage.png", "maps/errors.json",
    "report/index.html",
)  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory, synthetic) -> Path:
    """A finished folder that has every part; not to be changed."""
    folder = tmp_path_factory.mktemp("finished") / "shot.nvd"
    synthetic.make_shot(folder)
    Job(source="made by formula", done=["frames"]).save(folder)
    write_values(Shot.open(folder), PLAIN)
    write_image(folder / "edits/stack/a.png", np.full((4, 4, 4), 255, np.uint8))
    logo = Entry("logo", "dog", "picture", file="edits/stack/a.png")
    write_stack(Shot.open(folder), Stack((logo,)))
    for part in PARTS:
        path = folder / part
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.suffix and not path.name.startswith("."):
            path.mkdir(exist_ok=True)
        elif not path.exists():
            path.write_text("{}")
    write_image(folder / "masks/dog/00001.png", np.full((36, 48), 255, np.uint8))
    return folder


def run(shot: Path, words: list[str]) -> int:
    """One command of COMMANDS about `shot`, with what it needs beside it."""
    place = shot.parent
    paint = place / "paint.png"
    if not paint.exists():
        write_image(paint, np.full((36, 48, 4), 128, np.uint8))
    for t in range(2):
        write_image(place / f"plates/{t:04d}.png", np.full((36, 48, 3), 99, np.uint8))
    named = {"SHOT": shot, "OUT": place / "out", "PAINT": paint, "PLATES": place / "plates"}
    for name, path in named.items():
        words = [word.replace(name, str(path)) for word in words]
    return main(words)


def state(folder: Path) -> dict[str, object]:
    """Everything in a folder: names, contents, times of change, where links lead."""
    found: dict[str, object] = {}
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            path = Path(parent, name)
            at = path.lstat()
            if path.is_symlink():
                content: object = os.readlink(path)
            else:
                content = path.read_bytes() if path.is_file() else None
            times = None if path.is_dir() else at.st_mtime_ns
            found[str(path.relative_to(folder))] = content, times
    return found


def lead_out(shot: Path, part: str, outside: Path, dangling: bool = False) -> Path:
    """Make a part of the folder a link to the same outside; returns where it leads."""
    target = outside / Path(part).name
    outside.mkdir(exist_ok=True)
    if dangling:
        path = shot / part
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    else:
        shutil.move(shot / part, target)
    (shot / part).symlink_to(target)
    return target


@pytest.mark.parametrize("dangling", [False, True], ids=["to a copy", "to nothing"])
@pytest.mark.parametrize("part", PARTS)
def test_no_command_follows_a_link_out(part, dangling, finished, tmp_path, capsys):
    shot, outside = tmp_path / "shot.nvd", tmp_path / "outside"
    shutil.copytree(finished, shot)
    target = lead_out(shot, part, outside, dangling)
    (outside / "kept.txt").write_text("kept")
    before, inner = state(outside), state(shot)
    for what, words in COMMANDS.items():
        assert run(shot, words) == 2, what
        said = capsys.readouterr().err
        if (what, dangling, part) not in {("decompose", True, "manifest.json")}:
            assert str(shot / part) in said and str(target) in said, said
        assert "\nwhat to do: " in said, said
        assert state(outside) == before, what
        assert not list(tmp_path.glob("out/*")), what
        assert state(shot) == inner, what


def test_a_relative_link_and_a_chain_of_links(finished, tmp_path, capsys):
    shot = tmp_path / "shot.nvd"
    shutil.copytree(finished, shot)
    secret = tmp_path / "secret.png"
    write_image(secret, np.zeros((36, 48, 3), np.uint8))
    frame = shot / "frames/00002.png"
    for links in (["../../secret.png"], ["../edits/a", "../maps/b", str(secret)]):
        frame.unlink()
        places = [frame, *(shot / link[3:] for link in links[:-1])]
        for place, link in zip(places, links, strict=True):
            place.symlink_to(link)
        assert run(shot, COMMANDS["render to images"]) == 2
        assert str(secret) in capsys.readouterr().err
        assert not (tmp_path / "out").exists()


def test_a_link_within_the_folder_and_the_folder_as_a_link(finished, tmp_path, capsys):
    shot, named = tmp_path / "shot.nvd", tmp_path / "linked.nvd"
    shutil.copytree(finished, shot)
    (shot / "frames/00002.png").unlink()
    (shot / "frames/00002.png").symlink_to("00001.png")
    named.symlink_to(shot)
    for folder in (shot, named):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        assert run(folder, COMMANDS["render to images"]) == 0, capsys.readouterr().err
        assert (tmp_path / "out/00002.png").is_file()
    assert run(named, COMMANDS["evaluate"]) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no such files")
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_what_never_ends_is_not_opened(kind, finished, tmp_path, capsys):
    shot = tmp_path / "s.nvd"
    shutil.copytree(finished, shot)
    frame = shot / "frames/00001.png"
    frame.unlink()
    if kind == "pipe":
        os.mkfifo(frame)
    else:
        bound = socket.socket(socket.AF_UNIX)
        here = os.getcwd()
        os.chdir(frame.parent)  # a socket's path may not be long
        bound.bind(frame.name)
        os.chdir(here)
    for words in COMMANDS.values():
        assert run(shot, words) == 2
        assert "neither a file nor a folder" in capsys.readouterr().err or words[0] == "decompose"


# An unfinished folder


class StopAt(Progress):
    """Is cancelled where the stage `name` begins."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def stage(self, name, total, done=0):
        if name == self.name:
            self.cancel()
        super().stage(name, total, done)


@pytest.fixture(scope="module")
def clip(tmp_path_factory, tiny_clip) -> Path:
    """frames/ and masks/ of a tiny clip."""
    folder = tmp_path_factory.mktemp("clip")
    tiny_clip.write(folder)
    return folder


def begin(shot: Path, clip: Path, stage: str = "flow") -> Path:
    """Decompose the clip into `shot` as far as the stage."""
    job = Job(str(clip / "frames"), masks=[["disc", str(clip / "masks")]])
    with pytest.raises(Cancelled):
        decompose(shot, job, settings_from(SMALL), StopAt(stage))
    return shot


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory, clip) -> Path:
    """A folder with its frames, before the flow, begun by this user."""
    return begin(tmp_path_factory.mktemp("unfinished") / "shot.nvd", clip)


UNFINISHED = (
    "job.json", "settings.yaml", "frames", "frames/00001.png", "work", "work/frames.npy", "masks",
    "masks/disc", "maps", "textures", "edits", "checkpoint.json", "checkpoint.safetensors",
    "preview.png", "report", ".nvd.lock", ".nvd.owner.json", "nvd-error.log", "manifest.json",
    "work/flow_forward.npy", "work/masks.npy", "work/motion.json", "work/.motion.9.tmp.frames",
)  # fmt: skip


@pytest.mark.parametrize("part", UNFINISHED)
@pytest.mark.parametrize("command", ["resume", "resume --yes", "decompose"])
def test_nothing_goes_on_in_a_folder_that_leads_out(
    command, part, unfinished, clip, tmp_path, capsys
):
    shot, outside = tmp_path / "shot.nvd", tmp_path / "outside"
    shutil.copytree(unfinished, shot)
    if (shot / part).exists():
        lead_out(shot, part, outside)
    else:
        (shot / part).parent.mkdir(exist_ok=True)
        outside.mkdir()
        (shot / part).symlink_to(outside / Path(part).name)
        if not Path(part).suffix:
            (outside / Path(part).name).mkdir()
            (outside / Path(part).name / "00001.png").write_text("kept")
    before, inner = state(outside), state(shot)
    words = [*command.split(), str(shot)]
    if command == "decompose":
        words = ["decompose", str(clip / "frames"), "--mask", f"disc={clip / 'masks'}"]
        words += ["--out", str(shot)]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "outside itself" in said and str(outside) in said, said
    assert state(outside) == before and state(shot) == inner


def test_the_import_begins_again_within_the_folder(clip, tmp_path, capsys):
    """frames/ as a link, before anything is imported: the old frames there are not removed."""
    shot = tmp_path / "shot.nvd"
    begin(shot, clip, "frames")
    victim = tmp_path / "victim"
    write_image(victim / "00000.png", np.zeros((48, 80, 3), np.uint8))
    shutil.rmtree(shot / "frames", ignore_errors=True)
    (shot / "frames").symlink_to(victim)
    before = state(victim)
    assert main(["resume", str(shot)]) == 2
    assert state(victim) == before and str(victim) in capsys.readouterr().err


NAMES = (
    "../x", "..", "../../x", "/tmp/x", "a/b", "a\\b", "..\\x", "C:x", "C:\\x", "\\\\host\\share",
    "a\0b", "a\nb", "\x1b[31mx", "con", "NUL", "Com1", "lpt9", "aux", "x\n", "", " ", "x ", ".",
    "x.",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_of_a_job(name, unfinished, tmp_path, capsys):
    """A mask's name becomes a folder, also where "masks" is done already."""
    shot = tmp_path / "deep/deeper/shot.nvd"
    shutil.copytree(unfinished, shot)
    values = json.loads((shot / "job.json").read_text())
    for done in (values["done"], ["frames", "flow", "masks", "motion", "training"]):
        job = values | {"done": done, "masks": [[name, values["masks"][0][1]]]}
        (shot / "job.json").write_text(json.dumps(job))
        before = state(tmp_path)
        assert main(["resume", "--yes", str(shot)]) == 2
        assert "\x1b" not in capsys.readouterr().err
        assert state(tmp_path) == before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", ["name", "texture", "edit", "maps", "frames"])
def test_names_of_a_manifest(key, name, finished, tmp_path, capsys):
    shot = tmp_path / "shot.nvd"
    shutil.copytree(finished, shot)
    manifest = json.loads((shot / "manifest.json").read_text())
    if key in ("maps", "frames"):
        manifest[key] = f"{name}/%05d.png"
        if name in ("", ".", " "):
            manifest[key] = f"../{manifest[key]}"
    else:
        manifest["layers"][0][key] = name
        if key != "name" and name == "a/b":
            pytest.skip("a path")
    (shot / "manifest.json").write_text(json.dumps(manifest))
    before = state(shot)
    if key in ("maps", "frames") and name == "a/b":
        pytest.skip("a path")
    assert run(shot, COMMANDS["evaluate"]) == 2
    assert "\x1b" not in capsys.readouterr().err
    assert state(shot) == before


@pytest.mark.parametrize("name", NAMES)
def test_names_of_a_list(name, tmp_path, capsys):
    listed = {"clips": {name: {"source": "plates"}}}
    (tmp_path / "list.yaml").write_text(json.dumps(listed))
    before = state(tmp_path)
    assert main(["reproduce", str(tmp_path / "list.yaml"), "--out", str(tmp_path / "out")]) == 2
    assert state(tmp_path) == before and "\x1b" not in capsys.readouterr().err


class TestReproduce:
    @pytest.fixture
    def listed(self, clip, tmp_path) -> Path:
        values = {"clips": {"one": {"source": str(clip / "frames")}}}
        (tmp_path / "list.yaml").write_text(json.dumps(values))
        return tmp_path / "list.yaml"

    @pytest.mark.parametrize("part", ["one", "one/default.nvd", "one/default.json", "report.html"])
    def test_its_folder(self, part, listed, tmp_path, capsys):
        out, outside = tmp_path / "out", tmp_path / "outside"
        (outside / "one").mkdir(parents=True)
        (out / part).parent.mkdir(parents=True)
        (out / part).symlink_to(outside / part)
        before = state(tmp_path)
        assert main(["reproduce", str(listed), "--out", str(out)]) == 2
        assert str(out / part) in capsys.readouterr().err
        assert state(tmp_path) == before

    def test_a_stranger_s_unfinished_run_is_not_gone_on_with(self, listed, clip, tmp_path):
        """Its job may name any source; only the list's own is read."""
        run = tmp_path / "out/one/default.nvd"
        run.mkdir(parents=True)
        Job(source=str(tmp_path / "private")).save(run)
        (run / "settings.yaml").write_text("{}")
        before = state(run)
        assert main(["reproduce", str(listed), "--out", str(tmp_path / "out"), "--json"]) == 0
        assert state(run) == before
        record = json.loads((tmp_path / "out/one/default.json").read_text())
        assert record["state"] == "failed" and "another job" in record["problem"]["problem"]


def test_a_truth_folder(tmp_path, truth_shots):
    folder = tmp_path / "truth"
    folder.mkdir()
    (tmp_path / "elsewhere.json").write_text("{}")
    (folder / "truth.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(NvdError, match="outside itself"):
        Truth.open(folder)
    (folder / "truth.json").unlink()
    (folder / "frames").symlink_to(tmp_path)
    with pytest.raises(NvdError, match="outside itself"):
        Truth.open(folder)


# Whose folder it is


def unread(clip: Path, tmp_path: Path) -> tuple[Path, dict]:
    """A folder that this user began, before its source is imported, and its job."""
    shot = begin(tmp_path / "shot.nvd", clip, "frames")
    return shot, json.loads((shot / "job.json").read_text())


def test_ones_own_folder_is_gone_on_with_wherever_it_is(clip, tmp_path):
    shot, _ = unread(clip, tmp_path)
    moved = tmp_path / "elsewhere" / "moved.nvd"
    moved.parent.mkdir()
    shutil.move(shot, moved)
    with pytest.raises(Cancelled):
        resume(moved, StopAt("flow"))
    assert len(list((moved / "frames").iterdir())) == 8


@pytest.mark.parametrize("change", ["source", "masks", "no id", "another id", "flow", "weights"])
def test_a_stranger_s_folder_asks(change, clip, tmp_path, capsys):
    shot, job = unread(clip, tmp_path)
    private = tmp_path / "private"
    shutil.copytree(clip / "frames", private)
    settings = load_settings(shot / "settings.yaml")
    named = private
    if change == "source":
        job["source"] = str(private)
    elif change == "masks":
        job["masks"] = [["disc", str(private)]]
    elif change == "flow":
        settings.flow_path, settings.flow_method = str(private), "files"
    elif change == "weights":
        settings.maskrcnn_weights = str(private)
        job["masks"] = [["disc", "maskrcnn:dog"]]
    else:
        named = clip / "frames"
        job.pop("id")
        if change == "another id":
            job["id"] = "0123456789abcdef" * 2
    (shot / "job.json").write_text(json.dumps(job))
    from nvd_core.settings import save_settings

    save_settings(settings, shot / "settings.yaml")
    before = state(shot)
    assert main(["resume", str(shot)]) == 2
    said = capsys.readouterr().err
    assert str(named) in said and f"nvd resume --yes {shot}" in said
    assert state(shot) == before
    assert main(["resume", "--json", str(shot)]) == 2
    event = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert event["event"] == "error" and any(str(named) in line for line in event["reads"])
    with pytest.raises(Unconfirmed):
        resume(shot, Progress())
    if change in ("source", "no id"):
        with pytest.raises(Cancelled):
            resume(shot, StopAt("flow"), yes=True)
        with pytest.raises(Cancelled):  # and it is not asked again
            resume(shot, StopAt("masks"))


def test_nothing_to_read_is_no_question(unfinished, tmp_path):
    """A folder from before there were ids, all of whose inputs are imported."""
    shot = tmp_path / "shot.nvd"
    shutil.copytree(unfinished, shot)
    job = json.loads((shot / "job.json").read_text())
    job.pop("id")
    job["masks"], job["mask_frames"] = [], []
    (shot / "job.json").write_text(json.dumps(job))
    with pytest.raises(Cancelled):
        resume(shot, StopAt("motion"))


def test_what_lies_in_the_folder_is_no_question(clip, tmp_path):
    shot, job = unread(clip, tmp_path)
    job.pop("id")
    shutil.copytree(clip / "frames", shot / "plates")
    job |= {"source": str(shot / "plates"), "masks": []}
    (shot / "job.json").write_text(json.dumps(job))
    with pytest.raises(Cancelled):
        resume(shot, StopAt("flow"))
    job["source"] = str(shot / "plates/../../private")
    (shot / "job.json").write_text(json.dumps(job | {"done": [], "clip": None}))
    with pytest.raises(Unconfirmed, match="private"):
        resume(shot, StopAt("flow"))


@pytest.mark.slow
def test_the_clip_that_a_job_notes_names_no_other_source(unfinished, tmp_path):
    shot = tmp_path / "shot.nvd"
    shutil.copytree(unfinished, shot)
    job = json.loads((shot / "job.json").read_text())
    job["clip"]["source"] = str(tmp_path / "private")
    job["masks"] = []
    (shot / "job.json").write_text(json.dumps(job))
    resume(shot, Progress(), yes=True)
    assert Shot.open(shot).manifest.clip.source == job["source"]


def test_the_same_command_again_is_no_question(clip, tmp_path):
    shot, job = unread(clip, tmp_path)
    job.pop("id")
    (shot / "job.json").write_text(json.dumps(job))
    same = Job(job["source"], masks=job["masks"])
    with pytest.raises(Cancelled):
        decompose(shot, same, settings_from(SMALL), StopAt("flow"))
    with pytest.raises(Cancelled):
        resume(shot, StopAt("masks"))


def test_a_home_that_cannot_be_written(clip, tmp_path, monkeypatch, capsys):
    """As on a farm: it begins, asks to be gone on with, and goes on by --yes or the command."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "file"))
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    shot, _ = unread(clip, tmp_path)
    assert main(["resume", str(shot)]) == 2
    assert "--yes" in capsys.readouterr().err
    with pytest.raises(Cancelled):
        resume(shot, StopAt("flow"), yes=True)


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "code"), [("y\n", 130), ("n\n", 2), ("\n", 2), ("", 2)])
def test_a_terminal_is_asked(answer, code, clip, tmp_path, monkeypatch, capsys):
    import nvd_core.cli.main as cli

    class Stopped(StopAt, RichProgress):
        def __init__(self):
            RichProgress.__init__(self)
            self.name = "flow"

    shot, job = unread(clip, tmp_path)
    job.pop("id")
    (shot / "job.json").write_text(json.dumps(job))
    err = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setattr(cli, "RichProgress", Stopped)
    assert main(["resume", str(shot)]) == code
    assert f"the source {clip / 'frames'}" in err.getvalue() and "[y/N]" in err.getvalue()
    assert main(["resume", "--json", str(shot)]) == (2 if code == 2 else 0) or code == 130


# What is printed


ODD = "\x1b]0;owned\x07\x1b[31m[/x][bold]\u202e\x9b31m\r\n\ud800"


def test_odd_names_are_shown_and_are_no_markup(finished, tmp_path, capsys):
    shot = tmp_path / "shot.nvd"
    shutil.copytree(finished, shot)
    manifest = json.loads((shot / "manifest.json").read_text())
    manifest["cautions"] = ["[/x] " + ODD[:-1], "[red]:smile:"]
    manifest["clip"]["source"] = ODD[:-1]
    manifest["program"] = ODD[:-1]
    (shot / "manifest.json").write_text(json.dumps(manifest))
    folder = tmp_path / "[/x]\x1b[31m"
    folder.mkdir(parents=True)
    shutil.move(shot, folder / "shot.nvd")
    shot = folder / "shot.nvd"
    assert main(["info", str(shot)]) == 0
    assert main(["evaluate", str(shot)]) == 0
    assert main(["render", str(shot), "--out", str(folder / "%05d.png")]) == 0
    (shot / "frames/00001.png").unlink()
    assert main(["render", str(shot), "--out", str(folder / "a/%05d.png")]) == 2
    captured = capsys.readouterr()
    for text in (captured.out, captured.err):
        assert not set(text) & set("\x1b\x07\x9b\r\u202e"), ascii(text)
        assert "[/x]" in text and "\\x1b" in text


@pytest.mark.parametrize(
    "show", [Progress.caution, Progress.message, lambda progress, text: progress.stage(text, 2)]
)
def test_a_terminal_is_told_nothing_but_text(show, monkeypatch):
    import rich.progress

    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(rich.progress.Progress, "start", lambda self: None)
    progress = RichProgress()
    getattr(progress, getattr(show, "__name__", ""), lambda text: show(progress, text))(ODD)
    progress._bars.console.print(progress._bars.get_renderable())
    said = stream.getvalue()
    assert "owned" not in said or "\\x1b]0;owned\\x07" in said
    assert "\x1b]0;" not in said and "\x07" not in said


def test_visible():
    assert visible("dog é 犬 [b] \\x1b") == "dog é 犬 [b] \\x1b"
    assert visible("a\x1b\x00\x7f\x9b\n\r\t") == "a\\x1b\\x00\\x7f\\x9b\\n\\r\\t"
    assert visible("\u202e\u2028\ud800") == "\\u202e\\u2028\\ud800"


# The door itself


class TestInside:
    def test_what_may_be_named(self, tmp_path):
        for good in (
            "a",
            "a/b.png",
            "frames/%05d.exr",
            "./a",
            "maps//x",
            "a.b.c",
            "concert",
        ):
            assert inside(tmp_path, good) == tmp_path / good

    @pytest.mark.parametrize("name", [name for name in NAMES if name not in ("a/b",)])
    def test_what_may_not(self, name, tmp_path):
        with pytest.raises(NvdError, match="outside itself") as caught:
            inside(tmp_path, name)
        assert caught.value.remedy

    def test_a_path_on_the_way(self, tmp_path):
        (tmp_path / "in").mkdir()
        (tmp_path / "in/a").symlink_to("b")
        assert inside(tmp_path / "in", "a/c") == tmp_path / "in/a/c"
        (tmp_path / "in/b").symlink_to("..")
        with pytest.raises(NvdError, match="outside itself") as caught:
            inside(tmp_path / "in", "a/c/d")
        assert str(tmp_path / "in/a") in str(caught.value) and str(tmp_path) in caught.value.found

    def test_links_that_go_round(self, tmp_path):
        (tmp_path / "a").symlink_to("b")
        (tmp_path / "b").symlink_to("a")
        (tmp_path / "self").symlink_to(tmp_path)
        check_links(tmp_path)

    def test_removing_follows_nothing(self, tmp_path):
        (tmp_path / "shot/work/deep").mkdir(parents=True)
        (tmp_path / "kept").mkdir()
        (tmp_path / "kept/file").write_text("kept")
        (tmp_path / "shot/work/deep/link").symlink_to(tmp_path / "kept")
        remove_folder(tmp_path / "shot", "work")
        assert not (tmp_path / "shot/work").exists() and (tmp_path / "kept/file").exists()
        (tmp_path / "shot/work").symlink_to(tmp_path / "kept")
        with pytest.raises(NvdError):
            remove_folder(tmp_path / "shot", "work")
        assert (tmp_path / "kept/file").exists()

    def test_a_junction_of_windows(self, tmp_path, monkeypatch):
        """Its system calls are faked: a folder's own state says that it leads on."""
        import nvd_core.runtime.inside as door

        (tmp_path / "in/frames").mkdir(parents=True)
        told = door.os.lstat

        class Junction:
            st_mode, st_file_attributes = told(tmp_path).st_mode, 0x410

        monkeypatch.setattr(door.os, "lstat", lambda path: Junction)
        monkeypatch.setattr(door.os.path, "realpath", lambda path: str(path).replace("/in/", "/o/"))
        with pytest.raises(NvdError, match="outside itself"):
            inside(tmp_path / "in", "frames/00001.png")

    @pytest.mark.parametrize("name", ["con", "COM1", "a b", "é", "a.b", "", "a\n"])
    def test_names(self, name):
        import re

        assert not re.fullmatch(NAME, name)
        assert re.fullmatch(NAME, "concrete") and re.fullmatch(NAME, "left-hand_2")


# The user's own files


@pytest.mark.parametrize("name", ["12:30.mp4", "12:30.mov", "file:x.mp4", "concat:a.mp4", "-x.mp4"])
def test_a_movie_of_any_name(name, finished, tmp_path, monkeypatch):
    from nvd_core.editing.render import render
    from nvd_core.media.movies import Movie

    shot = tmp_path / "shot.nvd"
    shutil.copytree(finished, shot)
    monkeypatch.chdir(tmp_path)
    render(Shot.open(shot), name)
    assert Movie(name).frames == 3 and (tmp_path / name).is_file()


@pytest.mark.slow
def test_a_camera_s_movie_of_any_name(trained, tmp_path, monkeypatch):
    from nvd_core.editing.camera import render_camera
    from nvd_core.media.movies import Movie

    monkeypatch.chdir(tmp_path)
    render_camera(trained(), "12:30.mp4", [Key(0)], frames=(0, 1))
    assert Movie("12:30.mp4").frames == 2


def test_read_images_are_whole_after_all(finished):
    """The folder that the tests above begin with is a good one."""
    assert read_image(finished / "frames/00001.png").shape == (36, 48, 3)
    Shot.open(finished).check()
