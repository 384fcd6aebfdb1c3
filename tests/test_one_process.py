"""One process a folder: real processes, two on one folder, each held or killed at a known point."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import nvd_core.pipeline as pipeline
from nvd_core.cli.main import main
from nvd_core.job import Job
from nvd_core.media.images import write_image
from nvd_core.pipeline import decompose, resume
from nvd_core.runtime import folder_lock
from nvd_core.runtime.errors import Cancelled, NvdError
from nvd_core.runtime.files import is_temporary
from nvd_core.runtime.folder_lock import LOCK, OWNER, writing
from nvd_core.runtime.progress import Progress
from nvd_core.settings import load_settings, settings_from

pytestmark = pytest.mark.slow

SETTINGS = """
iterations: 12
points: 200
texture_grid: {levels: 4, log2_table: 10}
residual_grid: {levels: 3, log2_table: 10}
alpha_grid: {levels: 3, log2_table: 10}
fit_textures: false
"""

# A process that runs one command and stops, holding the lock, where it first writes or reads
HELD = """
    import sys
    from contextlib import nullcontext
    from pathlib import Path
    from nvd_core.cli.main import main
    from nvd_core.runtime.folder_lock import writing
    from nvd_core.runtime.progress import Progress, JsonProgress

    class Held(JsonProgress):
        def stage(self, name, total, done=0):
            print("HELD", name, flush=True)
            sys.stdin.readline()
            raise KeyboardInterrupt

    import nvd_core.cli.main as cli
    cli.JsonProgress = Held
    cli._stop_on_closed_stdin = lambda progress: None
    also, words = Path(sys.argv[1]), sys.argv[2:]
    with writing(also, "nvd " + words[0], Progress()) if also.is_dir() else nullcontext():
        sys.exit(main(words))
"""


class StopAt(Progress):
    """Is cancelled where the stage `name` begins."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.cautions, self.messages = name, [], []

    def stage(self, name, total, done=0):
        if name == self.name:
            self.cancel()
        super().stage(name, total, done)

    def message(self, text):
        self.messages.append(text)

    def caution(self, text):
        self.cautions.append(text)


@pytest.fixture(scope="module")
def clip(tmp_path_factory, tiny_clip) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    tiny_clip.write(folder)
    (folder / "small.yaml").write_text(SETTINGS)
    write_image(folder / "paint.png", paint(tiny_clip.HEIGHT, tiny_clip.WIDTH))
    return folder


def paint(height: int, width: int) -> np.ndarray:
    image = np.zeros((height, width, 4), np.uint8)
    image[10:20, 40:60] = (0, 255, 0, 255)
    return image


def job(clip: Path) -> Job:
    return Job(str(clip / "frames"), masks=[["disc", str(clip / "masks")]])


@pytest.fixture(scope="module")
def finished(clip, tmp_path_factory) -> Path:
    """The one decomposition that these tests share."""
    shot = tmp_path_factory.mktemp("shots") / "shot.nvd"
    decompose(shot, job(clip), load_settings(clip / "small.yaml"), Progress())
    return shot


@pytest.fixture(scope="module")
def unfinished(clip, tmp_path_factory) -> Path:
    """One that was stopped where its training begins."""
    shot = tmp_path_factory.mktemp("begun") / "shot.nvd"
    with pytest.raises(Cancelled):
        decompose(shot, job(clip), load_settings(clip / "small.yaml"), StopAt("training"))
    return shot


def command(name: str, clip: Path, shot: Path) -> list[str]:
    words = {
        "decompose": ["decompose", clip / "frames", "--out", shot, "--settings",
                      clip / "small.yaml", "--mask", f"disc={clip / 'masks'}"],
        "resume": ["resume", shot],
        "paint": ["paint", shot, "--frame", 3, "--image", clip / "paint.png"],
        "evaluate": ["evaluate", shot],
    }  # fmt: skip
    return [str(word) for word in [*words[name], "--json"]]


def held(*words: str, also: Path | str = "-") -> subprocess.Popen:
    """A process that has got as far as its first stage, and holds the folder `also` besides."""
    program = [sys.executable, "-c", textwrap.dedent(HELD), str(also), *words]
    process = subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if line.startswith("HELD"):
            return process
    raise AssertionError(process.stderr.read())


def end(process: subprocess.Popen) -> None:
    process.kill()
    process.communicate()


def contents(folder: Path) -> dict[str, bytes]:
    """What the folder holds, the record of who writes aside: a killed run leaves its own."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != OWNER
    }


def last_event(capsys) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize("first", ["decompose", "resume", "paint", "evaluate"])
def test_a_second_writer_is_told_who_writes(first, clip, finished, unfinished, capsys):
    """Every pair of writing commands. The first is a real process, stopped while it works."""
    begun = first in ("decompose", "resume")
    shot, other = (unfinished, finished) if begun else (finished, unfinished)
    process = held(*command(first, clip, shot), also=other)
    before = contents(shot), contents(other)
    try:
        for second in ("decompose", "resume", "paint", "evaluate"):
            # paint and evaluate refuse what is unfinished, resume what is finished: before they
            # would write. They meet the first one in the folder that they do write into
            folder = unfinished if second in ("decompose", "resume") else finished
            assert main(command(second, clip, folder)) == 2, second
            event = last_event(capsys)
            assert event["event"] == "error" and str(folder) in event["problem"], event
            assert f"nvd {first} (process {process.pid} on " in event["found"]
            assert "since 20" in event["found"] and "wait until it has ended" in event["remedy"]
            assert "nvd resume" not in event["remedy"]  # the panel would offer it as a button
        assert (contents(shot), contents(other)) == before
        assert process.poll() is None
    finally:
        end(process)


def test_a_killed_holder_blocks_nobody(clip, finished, capsys):
    process = held(*command("paint", clip, finished))
    end(process)
    assert json.loads((finished / OWNER).read_text())["pid"] == process.pid
    assert main(command("evaluate", clip, finished)) == 0
    assert not (finished / OWNER).exists()


def test_two_renders_and_an_edit_made_elsewhere_need_no_lock(clip, finished, tmp_path, capsys):
    with writing(finished, "nvd evaluate", Progress()):
        before = contents(finished)
        out = str(tmp_path / "%04d.png")
        assert main(["render", str(finished), "--out", out, "--frames", "0-1", "--json"]) == 0
        words = command("paint", clip, finished)
        assert main([*words, "--out", str(tmp_path / "edits")]) == 0
        assert main(["info", str(finished), "--json"]) == 0
        assert contents(finished) == before


def test_a_render_into_the_folder_writes_there(clip, finished, capsys):
    inside = str(finished / "renders" / "%04d.png")
    words = ["render", str(finished), "--out", inside, "--frames", "0-1", "--json"]
    with writing(finished, "nvd paint", Progress()):
        assert main(words) == 2 and "nvd paint" in last_event(capsys)["found"]
    assert main(words) == 0
    shutil.rmtree(finished / "renders")


def test_a_copied_folder_is_free(clip, finished, tmp_path, capsys):
    with writing(finished, "nvd evaluate", Progress()):
        shutil.copytree(finished, tmp_path / "copy.nvd")
        assert main(command("paint", clip, tmp_path / "copy.nvd")) == 0


def test_a_file_system_without_locks_is_a_caution(finished, monkeypatch):
    def no_locks(*_, **__):
        raise OSError(folder_lock.errno.ENOLCK, "No locks available")

    monkeypatch.setattr(folder_lock.FileLock, "acquire", no_locks)
    progress = StopAt("")
    with writing(finished, "nvd evaluate", progress):
        pass
    assert "knows no locks" in progress.cautions[0]


def test_a_folder_that_cannot_be_written_is_said(finished, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(folder_lock.errno.EACCES, "Permission denied")

    monkeypatch.setattr(folder_lock.FileLock, "acquire", refused)
    with pytest.raises(NvdError, match="cannot write"), writing(finished, "x", Progress()):
        pass


class TestTheSameJobAgain:
    def test_finished_it_does_nothing(self, clip, finished, capsys):
        before = contents(finished)
        assert main([*command("decompose", clip, finished), "--device", "cpu"]) == 0
        events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert "finished already" in events[0]["text"]
        assert events[-1]["layers"] == ["disc", "background"] and events[-1]["finished_before"]
        assert contents(finished) == before

    def test_another_job_is_named(self, clip, finished, unfinished, tmp_path):
        settings = settings_from({"iterations": 13, "losses": {"flow": 0.25}})
        asked = Job(str(clip / "frames"), frames=[0, 5], seed=4)
        for shot in (finished, unfinished):
            before = contents(shot)
            with pytest.raises(NvdError, match="of another job") as told:
                decompose(shot, asked, settings, Progress())
            found = told.value.found
            assert "seed: 0 there, 4 asked for" in found
            assert "frames: none there, [0, 5] asked for" in found
            assert f"disc={clip / 'masks'}"[-60:] in found and "more" in found
            assert ("nvd resume" in told.value.remedy) == (shot is unfinished)
            assert contents(shot) == before

    def test_one_setting_alone_is_named_with_both_values(self, clip, finished):
        settings = load_settings(clip / "small.yaml")
        before, settings.losses.flow = settings.losses.flow, 0.25
        with pytest.raises(NvdError) as told:
            decompose(finished, job(clip), settings, Progress())
        assert told.value.found == f"losses.flow: {before} there, 0.25 asked for"

    def test_unfinished_it_goes_on(self, clip, unfinished, tmp_path):
        shot = tmp_path / "shot.nvd"
        shutil.copytree(unfinished, shot)
        asked = job(clip)
        asked.device = "cpu"
        progress = StopAt("maps")
        with pytest.raises(Cancelled):
            decompose(shot, asked, load_settings(clip / "small.yaml"), progress)
        assert "going on" in progress.messages[0]
        known = Job.load(shot)
        assert known.done[-1] == "training" and known.device == "cpu"


class TestWithoutTheSource:
    def test_imported_frames_are_enough(self, clip, tmp_path):
        """The clip and, once they are read, the masks; also for a mask of one numbered frame."""
        source, shot = tmp_path / "source", tmp_path / "shot.nvd"
        shutil.copytree(clip, source)
        one = Job(
            str(source / "frames"), masks=[["disc", str(source / "masks/0004.png")]], frames=[1, 7]
        )
        settings = load_settings(clip / "small.yaml")
        with pytest.raises(Cancelled):
            decompose(shot, one, settings, StopAt("flow"))
        shutil.rmtree(source / "frames")
        with pytest.raises(Cancelled):
            resume(shot, StopAt("motion"))
        assert (shot / "masks/disc/00003.png").is_file()
        shutil.rmtree(source)
        facts = resume(shot, Progress())
        assert facts["layers"] == ["disc", "background"]
        assert json.loads((shot / "manifest.json").read_text())["clip"]["first_frame"] == 1

    def test_a_job_of_an_earlier_version_opens_its_source(self, clip, unfinished, tmp_path):
        shot = tmp_path / "shot.nvd"
        shutil.copytree(unfinished, shot)
        values = json.loads((shot / "job.json").read_text())
        del values["clip"], values["mask_frames"]
        (shot / "job.json").write_text(json.dumps(values))
        with pytest.raises(Cancelled):
            resume(shot, StopAt("training"))
        values["source"] = str(tmp_path / "gone")
        (shot / "job.json").write_text(json.dumps(values))
        with pytest.raises(NvdError, match="gone"):
            resume(shot, Progress())

    def test_a_damaged_clip_in_the_job_is_an_error(self, unfinished, tmp_path):
        shot = tmp_path / "shot.nvd"
        shutil.copytree(unfinished, shot)
        values = json.loads((shot / "job.json").read_text())
        values["clip"]["rate"] = [25, 0]
        (shot / "job.json").write_text(json.dumps(values))
        with pytest.raises(NvdError, match="what clip was imported"):
            resume(shot, Progress())


# Forks once for every moment at which a begin may be killed, before and after each rename
KILLED = """
    import os, signal, sys
    from pathlib import Path
    from nvd_core.job import Job
    from nvd_core.pipeline import decompose
    from nvd_core.runtime import files
    from nvd_core.runtime.progress import Progress
    from nvd_core.settings import load_settings

    clip, out = Path(sys.argv[1]), Path(sys.argv[2])
    real = os.replace
    for moment in range(8):
        child = os.fork()
        if child:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
            continue
        count = 0
        def killing(source, target):
            global count
            for _ in range(2):
                if count == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
                if count % 2 == 0:
                    real(source, target)
                count += 1
        os.replace = killing
        job = Job(str(clip / "frames"), masks=[["disc", str(clip / "masks")]])
        decompose(out / str(moment), job, load_settings(clip / "small.yaml"), Progress())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills its own forks")
def test_killed_at_any_moment_of_its_beginning_it_begins_anew_or_goes_on(clip, tmp_path):
    program = [sys.executable, "-c", textwrap.dedent(KILLED), str(clip), str(tmp_path)]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    stood = []
    for moment in range(8):
        shot = tmp_path / str(moment)
        stood.append({path.name for path in shot.iterdir()})
        with pytest.raises(Cancelled):
            decompose(shot, job(clip), load_settings(clip / "small.yaml"), StopAt("flow"))
        assert Job.load(shot).done == ["frames"]
        assert not [path for path in shot.rglob("*") if is_temporary(path.name)]
    assert any("settings.yaml" in names and "job.json" not in names for names in stood)
    assert any(any(map(is_temporary, names)) for names in stood)


def test_settings_of_somebody_else_are_kept(clip, tmp_path):
    (tmp_path / "settings.yaml").write_text("iterations: 5")
    with pytest.raises(NvdError, match="not empty"):
        decompose(tmp_path, job(clip), load_settings(clip / "small.yaml"), Progress())
    assert [path.name for path in tmp_path.iterdir()] == ["settings.yaml"]


# Is killed in the middle of writing an edit
HALF = """
    import os, signal, sys
    from nvd_core.cli.main import main
    from nvd_core.media import image_writing

    def half(path, *rest):
        path.write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)

    image_writing.write_pixels = half
    main(sys.argv[1:])
"""


def test_half_written_files_of_a_killed_run_go(clip, finished, tmp_path, capsys):
    shot = tmp_path / "shot.nvd"
    shutil.copytree(finished, shot)
    program = [sys.executable, "-c", textwrap.dedent(HALF), *command("paint", clip, shot)]
    assert subprocess.run(program, capture_output=True).returncode == -signal.SIGKILL
    left = [path.name for path in (shot / "edits").iterdir() if is_temporary(path.name)]
    # half of the new edit, and the old one under a second name
    assert {re.sub(r"\.\d+\.tmp", "", name) for name in left} == {
        ".background.png",
        ".background.kept.png",
    }
    assert len(left) == 2
    mine = shot / "edits" / ".disc.backup.png"
    mine.write_bytes(b"mine")
    (shot / "work" / ".motion.77.tmp.x").mkdir(parents=True)
    (shot / "work" / ".motion.77.tmp.x" / "own.npy").write_bytes(b"")
    assert main(command("evaluate", clip, shot)) == 0
    assert mine.exists() and not [p for p in shot.rglob("*") if is_temporary(p.name)]
    # what was killed between the manifest and the removal of work/ is tidied up too
    decompose(shot, job(clip), load_settings(clip / "small.yaml"), Progress())
    assert not (shot / "work").exists()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="asks Linux what is mapped")
@pytest.mark.parametrize("mask", ["sequence", "drawn", "none"])
def test_no_file_is_renamed_or_removed_while_it_is_mapped(mask, clip, tmp_path, monkeypatch):
    """Windows refuses both."""
    shot = tmp_path / "shot.nvd"
    renamed, removed = [], []

    def mapped() -> list[str]:
        lines = Path("/proc/self/maps").read_text().splitlines()
        return [line for line in lines if str(shot) in line]

    def replace(source, target, real=os.replace):
        assert not [line for line in mapped() if line.endswith(str(source))], source
        renamed.append(Path(target).name)
        real(source, target)

    def remove(folder, real=pipeline.remove_work):
        monkeypatch.setattr(
            shutil, "rmtree", lambda *a, real=shutil.rmtree, **k: (removed.append(mapped()),
                                                                   real(*a, **k))
        )  # fmt: skip
        real(folder)

    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(pipeline, "remove_work", remove)
    masks = {"sequence": clip / "masks", "drawn": clip / "masks/0004.png", "none": None}[mask]
    asked = Job(str(clip / "frames"), masks=[["disc", str(masks)]] if masks else [])
    settings = load_settings(clip / "small.yaml")
    settings.fit_textures = True
    decompose(shot, asked, settings, Progress())
    assert {"frames.npy", "flow_ok.npy", "masks.npy", "flow_forward.npy"} <= set(renamed)
    assert removed == [[]] and not (shot / "work").exists()
    assert (shot / LOCK).exists() and not (shot / OWNER).exists()
