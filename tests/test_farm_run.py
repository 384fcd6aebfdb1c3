"""`nvd farm run`: lists of shots, real schedulers and workers of Dask, one of which is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nvd_core.cli.main import main
from nvd_core.farm.shot_list import load_shots
from nvd_core.media.images import read_image, write_image
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.shot import Shot

pytest.importorskip("distributed")

SMALL = """
iterations: {steps}
points: 200
texture_grid: {{levels: 4, log2_table: 10}}
residual_grid: {{levels: 3, log2_table: 10}}
alpha_grid: {{levels: 3, log2_table: 10}}
"""
LIST = """
chunk: 4
retries: {retries}
shots:
  sh010: {{source: frames, masks: {{disc: masks}}, settings: small.yaml, out: out/sh010/%05d.png,
          movie: out/sh010.mov}}
  gone: {{source: nowhere/%04d.png, out: out/gone.mp4}}
  sh020: {{source: frames, frames: 0-5, settings: small.yaml, out: out/sh020.mp4}}
"""


@pytest.fixture
def show(tmp_path, tiny_clip) -> Path:
    tiny_clip.write(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL.format(steps=12))
    path = tmp_path / "show.yaml"
    path.write_text(LIST.format(retries=0))
    return path


def nvd(*words: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "nvd_core", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


class TestList:
    def test_what_a_shot_asks_for(self, show):
        found = load_shots(show)
        plan = found.shots[0]
        assert [p.name for p in found.shots] == ["sh010", "gone", "sh020"]
        assert plan.folder == show.parent / "sh010.nvd" and found.logs == show.parent / "show.logs"
        words = plan.train
        assert words[words.index("--mask") + 1] == f"disc={show.parent / 'masks'}"
        assert words[-2:] == ("--settings", str(show.parent / "small.yaml"))
        assert "--frames" in found.shots[2].train

    def test_parts_go_to_the_training(self, tmp_path):
        path = tmp_path / "show.yaml"
        line = "shots: {a: {source: x, masks: {man: m}, parts: {man.leg: l, background.post: p}}}"
        path.write_text(line)
        words = load_shots(path).shots[0].train
        parts = [words[n + 1] for n, word in enumerate(words) if word == "--part"]
        assert parts == [f"man.leg={tmp_path / 'l'}", f"background.post={tmp_path / 'p'}"]

    @pytest.mark.parametrize(
        "text",
        [
            "shots: {}",
            "shots: {a: {}}",
            "shots: {a: {source: x, colour: 3}}",
            "shots: {a: {source: x, frames: all}}",
            "shots: {a: {source: x, preset: fast, settings: y.yaml}}",
            "shots: {a: {source: x}, A: {source: y}}",
            "shots: {a: {source: x, parts: {man.leg: l}}}",
            "shots: {a: {source: x, masks: {man: m}, parts: {man.rest: l}}}",
            "shots: {a: {source: x, shot: s.nvd}, b: {source: y, shot: s.nvd}}",
            "shots: {a: {source: x, out: o.mp4}, b: {source: y, out: o.mp4}}",
            "shots: {a: {source: x, movie: m.mov}}",
            "shots: {a: {source: x, out: o.mp4, movie: m.mov}}",
            "chunk: 0\nshots: {a: {source: x}}",
            "shots: {a: {source: x, sections: {frames: 9, overlap: 4}}}",
            "shots: {a: {source: x, sections: {}, out: o.mp4}}",
            "shots: [a]",
            "{",
        ],
    )
    def test_bad_lists_are_refused_before_anything_runs(self, text, tmp_path, capsys):
        path = tmp_path / "bad.yaml"
        path.write_text(text)
        with pytest.raises(NvdError):
            load_shots(path)
        assert main(["farm", "run", str(path)]) == 2
        assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.yaml"]


def test_no_scheduler_answers(show, monkeypatch):
    monkeypatch.setattr("nvd_core.farm.run.CONNECT", 1.0)
    assert main(["farm", "run", str(show), "--scheduler", "tcp://127.0.0.1:9"]) == 2


@pytest.mark.long
def test_a_bad_shot_stops_no_other_and_what_is_done_is_left(show, capsys):
    assert main(["farm", "run", str(show), "-j", "2"]) == 2
    said = capsys.readouterr().err
    assert "1 of 3 shots failed: gone" in said and "nowhere" in said
    made = sorted(p.name for p in (show.parent / "out" / "sh010").glob("*.png"))
    assert made == [f"{t:05d}.png" for t in range(8)]
    assert (show.parent / "out" / "sh020.mp4").stat().st_size > 1000
    table = (show.parent / "show.logs" / "table.txt").read_text()
    states = {line.split()[0]: line.split()[1] for line in table.splitlines()[1:]}
    assert states == {"sh010": "done", "gone": "failed", "sh020": "done"}
    logs = {p.name for p in (show.parent / "show.logs" / "sh010").iterdir()}
    assert logs == {
        "train.log", "bake-0-3.log", "bake-4-7.log", "fit.log", "render-0-3.log", "render-4-7.log",
        "encode.log",
    }  # fmt: skip

    text = show.read_text().replace("nowhere/%04d.png", "frames").replace(
        "out: out/gone.mp4", "settings: small.yaml"
    )  # fmt: skip
    show.write_text(text)
    manifest = (show.parent / "sh010.nvd" / "manifest.json").stat().st_mtime_ns
    assert main(["farm", "run", str(show), "-j", "2"]) == 0
    assert (show.parent / "sh010.nvd" / "manifest.json").stat().st_mtime_ns == manifest
    assert (show.parent / "gone.nvd" / "manifest.json").is_file()


@pytest.mark.long
def test_a_long_clip_in_sections(tmp_path, tiny_clip, monkeypatch):
    """Trained beside each other, painted in one, carried on, rendered and made one movie."""
    monkeypatch.setattr(tiny_clip, "FRAMES", 14)
    tiny_clip.write(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL.format(steps=60))
    path = tmp_path / "show.yaml"
    path.write_text(
        "chunk: 4\nretries: 0\nshots:\n"
        "  a: {source: frames, masks: {disc: masks}, settings: small.yaml, movie: a.mkv,\n"
        "      out: out/%05d.png, sections: {frames: 8, overlap: 2}}\n"
    )
    assert main(["farm", "run", str(path), "-j", "2"]) == 0
    first, second = (Shot.open(tmp_path / "a.sections" / f"00{n}.nvd") for n in (1, 2))
    assert [s.manifest.clip.first_frame for s in (first, second)] == [0, 6]
    names = [f"{t:05d}.png" for t in range(14)]
    assert sorted(p.name for p in (tmp_path / "out").glob("*.png")) == names
    plain = {name: (tmp_path / "out" / name).read_bytes() for name in names}

    image = read_image(first.texture_path("background")).copy()
    image[..., :3] = 255, 0, 0
    write_image(first.edit_path("background"), image)
    assert main(["carry", str(first.folder), str(second.folder)]) == 0
    assert main(["farm", "run", str(path), "-j", "2"]) == 0
    for t, name in enumerate(names):
        picture = read_image(tmp_path / "out" / name).astype(float)
        assert (tmp_path / "out" / name).read_bytes() != plain[name]
        corner = picture[:8, :8].reshape(-1, 3).mean(0)  # the disc is never there
        assert corner[0] > 3 * corner[1:].max(), (t, corner)
    assert (tmp_path / "a.mkv").stat().st_size > 1000


@pytest.fixture
def dask(tmp_path):
    """A scheduler and two workers, each a process of its own: its address, and the workers."""
    place = tmp_path / "scheduler.json"
    words = ["-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard"]
    processes = [_start(*words, "--scheduler-file", place)]
    for _ in range(2):
        processes.append(
            _start(
                "-m", "distributed.cli.dask_worker", "--scheduler-file", place, "--no-nanny",
                "--nthreads", "1", "--no-dashboard", "--death-timeout", "60",
                "--local-directory", tmp_path,
            )
        )  # fmt: skip
    from distributed import Client

    with Client(scheduler_file=str(place), timeout=60) as client:
        client.wait_for_workers(2, timeout=60)
        pids = client.run(os.getpid)
        address = client.scheduler.address
    yield address, sorted(pids.values())
    for process in reversed(processes):
        process.kill()
        process.wait()


def _start(*words: object) -> subprocess.Popen:
    command = [sys.executable, *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _wait_for(condition, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="kills by a signal")
def test_a_killed_worker_costs_nothing(show, dask, tmp_path):
    """Its task goes to the other, and the result is bit for bit that of one machine."""
    address, pids = dask
    (tmp_path / "small.yaml").write_text(SMALL.format(steps=300))
    show.write_text(
        "retries: 3\nchunk: 4\nshots:\n"
        "  one: {source: frames, masks: {disc: masks}, settings: small.yaml, out: out/%05d.png}\n"
        "  two: {source: frames, masks: {disc: masks}, settings: small.yaml}\n"
    )
    run = nvd("farm", "run", show, "--scheduler", address)
    logs = tmp_path / "show.logs"
    _wait_for(lambda: all((logs / s / "train.log").is_file() for s in ("one", "two")))
    time.sleep(6)  # into the training, or shortly before it
    os.kill(pids[0], signal.SIGKILL)
    said = run.communicate(timeout=1500)[0]
    assert run.returncode == 0, said
    masks = ["--mask", f"disc={tmp_path / 'masks'}", "--settings", str(tmp_path / "small.yaml")]
    alone = tmp_path / "alone.nvd"
    assert main(["decompose", str(tmp_path / "frames"), "--out", str(alone), *masks]) == 0
    for name in ("one.nvd", "two.nvd"):
        for part in ("maps", "textures"):
            for path in sorted((alone / part).iterdir()):
                other = tmp_path / name / part / path.name
                assert other.read_bytes() == path.read_bytes(), other
    assert len(list((tmp_path / "out").glob("*.png"))) == 8


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="stops by a signal")
def test_called_off_its_tasks_end_and_it_goes_on_later(show, tmp_path):
    (tmp_path / "small.yaml").write_text(SMALL.format(steps=3000))
    show.write_text(
        show.read_text().replace("  gone: {source: nowhere/%04d.png, out: out/gone.mp4}\n", "")
    )
    run = nvd("farm", "run", show, "-j", "2")
    checkpoint = tmp_path / "sh010.nvd" / "settings.yaml"
    _wait_for(checkpoint.is_file)
    time.sleep(3)
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=120)
    assert run.returncode not in (0, 2)
    time.sleep(1)
    found = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True)
    assert found.stdout == ""
    (tmp_path / "small.yaml").write_text(SMALL.format(steps=3000))
    assert main(["farm", "run", str(show), "-j", "2"]) == 0
