"""The command line as users meet it: a whole decomposition, its interruption, and bad input."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest

from nvd_core.fields.inference import frame_layers
from nvd_core.fields.saved_model import load_model
from nvd_core.job import Job
from nvd_core.media.images import read_image, write_image
from nvd_core.pipeline import decompose, resume
from nvd_core.runtime.errors import Cancelled
from nvd_core.runtime.files import write_json
from nvd_core.runtime.progress import Progress
from nvd_core.settings import load_settings
from nvd_core.shot.map_files import iter_maps
from nvd_core.shot.maps import read_maps
from nvd_core.shot.node_maps import ALPHA_BITS
from nvd_core.shot.shot import Shot

pytestmark = pytest.mark.slow

STEPS = 150
SETTINGS = f"""
iterations: {STEPS}
points: 400
texture_grid: {{levels: 6, log2_table: 12}}
residual_grid: {{levels: 4, log2_table: 12}}
alpha_grid: {{levels: 4, log2_table: 12}}
"""


HOWS = ("interrupt", "close stdin")
SHORT = 60
"""steps of a job that is interrupted and compared, however well it has learned"""


def nvd(*words: object, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "nvd_core", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


def events(finished: subprocess.CompletedProcess) -> list[dict]:
    return [json.loads(line) for line in finished.stdout.splitlines()]


@pytest.fixture(scope="module")
def clip(tmp_path_factory, tiny_clip) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    tiny_clip.write(folder)
    (folder / "small.yaml").write_text(SETTINGS)
    (folder / "short.yaml").write_text(SETTINGS.replace(f": {STEPS}", f": {SHORT}"))
    return folder


@pytest.fixture(scope="module")
def decomposed(clip, tmp_path_factory) -> tuple[Path, list[dict]]:
    """A finished decomposition and what the command printed."""
    shot = tmp_path_factory.mktemp("shots") / "shot.nvd"
    finished = nvd(
        "decompose", clip / "frames", "--out", shot, "--mask", f"disc={clip / 'masks'}",
        "--settings", clip / "small.yaml", "--json",
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return shot, events(finished)


class TestDecompose:
    def test_it_prints_stages_and_a_result(self, decomposed):
        _, lines = decomposed
        stages = [line["stage"] for line in lines if line["event"] == "progress"]
        assert list(dict.fromkeys(stages)) == [
            "frames", "cuts", "flow", "garbage", "masks", "motion", "training", "survey", "maps",
            "textures", "fit", "exr",
        ]  # fmt: skip
        training = [line for line in lines if line.get("stage") == "training"]
        assert training[-1]["done"] == training[-1]["total"] == STEPS and "psnr" in training[-1]
        assert lines[-1]["event"] == "result" and lines[-1]["layers"] == ["disc", "background"]

    def test_the_folder_is_whole(self, decomposed, tiny_clip):
        shot = Shot.open(decomposed[0])
        shot.check()
        assert (shot.manifest.clip.frames, shot.manifest.clip.height) == (
            tiny_clip.FRAMES,
            tiny_clip.HEIGHT,
        )
        names = {path.name for path in decomposed[0].iterdir()}
        assert names == {
            "manifest.json", "job.json", "settings.yaml", "checkpoint.safetensors",
            "checkpoint.json", "preview.png", "frames", "textures", "edits", "maps", "masks",
            ".nvd.lock",
        }  # fmt: skip

    def test_the_networks_can_be_loaded_again(self, decomposed):
        model = load_model(decomposed[0])
        layers = frame_layers(model, 3)
        maps = read_maps(Shot.open(decomposed[0]).map_path(3), model.names)
        assert np.abs(maps.uva[..., 2] - layers.alpha).max() < 0.5 / 2**ALPHA_BITS + 1e-6

    def test_textures_hold_what_was_seen_and_are_filled_elsewhere(self, decomposed):
        texture = read_image(decomposed[0] / "textures" / "disc.png")
        assert texture.dtype == np.uint8 and texture.shape[2] == 4
        seen = texture[..., 3] == 255
        assert 0.3 < seen.mean() < 0.95 and set(np.unique(texture[..., 3])) == {0, 255}
        assert texture[~seen][:, :3].std() < texture[seen][:, :3].std()
        edit = read_image(decomposed[0] / "edits" / "disc.png")
        assert np.array_equal(texture, edit)

    def test_info_and_evaluate(self, decomposed, tiny_clip):
        info = events(nvd("info", decomposed[0], "--json"))[-1]
        assert (
            info["frames"] == tiny_clip.FRAMES
            and info["size"] == f"{tiny_clip.WIDTH}x{tiny_clip.HEIGHT}"
        )
        figures = events(nvd("evaluate", decomposed[0], "--json"))[-1]
        assert figures["psnr"] > 20 and figures["alpha_iou"]["disc"] > 0.8
        assert {"psnr_without_residual", "ssim", "folded", "psnr_per_frame"} <= figures.keys()
        assert (decomposed[0] / "report" / "report.json").exists()

    def test_an_unpainted_delta_render_is_the_clip(self, decomposed, clip, tmp_path, tiny_clip):
        assert nvd("render", decomposed[0], "--out", tmp_path / "%04d.png").returncode == 0
        for t in range(tiny_clip.FRAMES):
            rendered = read_image(tmp_path / f"{t:04d}.png")
            assert np.array_equal(rendered, read_image(clip / "frames" / f"{t:04d}.png"))

    def test_paint_follows_the_object(self, decomposed, tmp_path):
        edit = read_image(decomposed[0] / "edits" / "disc.png")
        edit[..., :3] = (0, 255, 0)
        write_image(tmp_path / "green.png", edit)
        finished = nvd(
            "render", decomposed[0], "--out", tmp_path / "%04d.png",
            "--edit", f"disc={tmp_path / 'green.png'}", "--frames", "2-6",
        )  # fmt: skip
        assert finished.returncode == 0, finished.stderr
        assert len(list(tmp_path.glob("0*.png"))) == 5
        for t in (2, 6):
            frame = read_image(tmp_path / f"{t:04d}.png").astype(int)
            x, y = 22 + 3 * t, 22 + t // 2
            assert frame[y, x, 1] > frame[y, x, 0] + 60
            before = read_image(decomposed[0] / "frames" / f"{t:05d}.png")
            assert np.array_equal(frame[:, :8], before[:, :8])

    def test_without_a_mask_the_moving_object_is_found(self, clip, tmp_path):
        shot = tmp_path / "shot.nvd"
        finished = nvd("decompose", clip / "frames", "--out", shot, "--settings",
                       clip / "small.yaml", "--json")  # fmt: skip
        assert finished.returncode == 0, finished.stdout
        assert events(finished)[-1]["layers"] == ["object", "background"]
        assert evaluate_alpha(shot, clip) > 0.3  # 24 pixels wide: too small to be found well

    def test_one_drawn_mask_and_part_of_the_frames(self, clip, tmp_path):
        shot = tmp_path / "shot.nvd"
        drawn = clip / "masks" / "0004.png"
        finished = nvd("decompose", clip / "frames", "--out", shot, "--mask", f"disc={drawn}",
                       "--settings", clip / "small.yaml", "--frames", "2-7", "--json")  # fmt: skip
        assert finished.returncode == 0, finished.stdout
        assert Shot.open(shot).manifest.clip.frames == 6
        assert evaluate_alpha(shot, clip, first=2) > 0.8


def same_pixels(path: Path, other: Path) -> bool:
    """Whether two images hold the same values in the same channels; EXR headers hold the time."""
    first, second = oiio.ImageBuf(str(path)), oiio.ImageBuf(str(other))
    return first.spec().channelnames == second.spec().channelnames and np.array_equal(
        first.get_pixels("float"), second.get_pixels("float")
    )


def evaluate_alpha(shot: Path, clip: Path, first: int = 0) -> float:
    """IoU of the first layer's alpha with the true masks."""
    opened = Shot.open(shot)
    both = either = 0
    for t, maps in enumerate(iter_maps(opened, range(opened.manifest.clip.frames))):
        alpha = maps.uva[0, ..., 2] > 0.5
        mask = read_image(clip / "masks" / f"{t + first:04d}.png")[..., 0] > 127
        both, either = both + (alpha & mask).sum(), either + (alpha | mask).sum()
    return both / either


class TestInterruption:
    @pytest.fixture(scope="class")
    def uninterrupted(self, clip, tmp_path_factory) -> Path:
        shot = tmp_path_factory.mktemp("whole") / "shot.nvd"
        job = Job(str(clip / "frames"), masks=[["disc", str(clip / "masks")]])
        decompose(shot, job, load_settings(clip / "short.yaml"), Progress())
        return shot

    @pytest.mark.parametrize(
        "how",
        ["terminate", *(pytest.param(h, marks=pytest.mark.long) for h in HOWS)],
    )
    def test_stopped_and_resumed_gives_the_same_result(self, how, uninterrupted, clip, tmp_path):
        shot = tmp_path / "shot.nvd"
        command = [
            sys.executable, "-m", "nvd_core", "decompose", str(clip / "frames"), "--out", str(shot),
            "--mask", f"disc={clip / 'masks'}", "--settings", str(clip / "short.yaml"), "--json",
            "--stop-with-stdin",
        ]  # fmt: skip
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for line in process.stdout:
            event = json.loads(line)
            if event.get("stage") == "training" and event["done"] > 0:
                break
        stopped = time.monotonic()
        if how == "close stdin":
            process.stdin.close()
        else:
            process.send_signal(signal.SIGTERM if how == "terminate" else signal.SIGINT)
        last = process.stdout.read().splitlines()[-1]
        assert process.wait() == 130
        print(f"stopped after {time.monotonic() - stopped:.1f} s")
        assert json.loads(last)["event"] == "cancelled" and "nvd resume" in last
        assert not (shot / "manifest.json").exists()
        resumed = nvd("resume", shot, "--json")
        assert resumed.returncode == 0, resumed.stdout
        for folder in ("textures", "maps"):
            for path in sorted((uninterrupted / folder).iterdir()):
                assert same_pixels(path, shot / folder / path.name), path.name

    def test_stopped_while_baking(self, uninterrupted, clip, tmp_path):
        class StopAtMaps(Progress):
            def update(self, done, **values):
                if self._stage == "maps" and done == 3:
                    self.cancel()
                super().update(done, **values)

        shot = tmp_path / "shot.nvd"
        job = Job(str(clip / "frames"), masks=[["disc", str(clip / "masks")]])
        with pytest.raises(Cancelled):
            decompose(shot, job, load_settings(clip / "short.yaml"), StopAtMaps())
        resume(shot, Progress())
        for name in ("disc", "background"):
            texture = f"textures/{name}.png"
            assert same_pixels(uninterrupted / texture, shot / texture)

    def test_dev_null_as_stdin_does_not_stop_it(self, decomposed):
        words = ["info", decomposed[0], "--json", "--stop-with-stdin"]
        assert nvd(*words, stdin=subprocess.DEVNULL).returncode == 0

    def test_a_shells_loop_keeps_what_it_reads(self, decomposed, tmp_path):
        """`while read` and nvd share standard input: nvd takes none of it, nor stops at its end."""
        (tmp_path / "list").write_text(f"{decomposed[0]}\n" * 3)
        command = f'"{sys.executable}" -m nvd_core info "$s" --json'
        loop = f'cat "{tmp_path}/list" | while read s; do {command}; done'
        done = subprocess.run(["bash", "-c", loop], capture_output=True, text=True, timeout=300)
        assert [event["event"] for event in events(done)] == ["result"] * 3, done.stderr


def refused(finished: subprocess.CompletedProcess, *words: str) -> None:
    """Two lines on stderr, exit code 2, no traceback, and the words are said."""
    assert finished.returncode == 2, finished.stdout + finished.stderr
    lines = finished.stderr.strip().splitlines()[-2:]  # progress may stand above them
    assert "Traceback" not in finished.stderr, finished.stderr
    assert lines[0].startswith("nvd: ") and lines[1].startswith("what to do: ")
    for word in words:
        assert word in finished.stderr, finished.stderr


class TestBadInput:
    @pytest.fixture
    def sequence(self, clip, tmp_path, tiny_clip):
        """A copy of the clip that a test may break."""
        frames, masks = tiny_clip.write(tmp_path / "broken")
        return frames, masks

    def decompose(self, tmp_path, source, *words):
        out = tmp_path / "shot.nvd"
        finished = nvd("decompose", source, "--out", out, *words)
        assert not (out / "manifest.json").exists()
        return finished

    def test_missing_source(self, tmp_path):
        refused(self.decompose(tmp_path, tmp_path / "none.mp4"), "none.mp4")

    def test_margin_below_nothing(self, sequence, tmp_path):
        for value in ("-1", "wide", "inf"):
            finished = self.decompose(tmp_path, sequence[0], f"--mask-margin={value}")
            refused(finished, "--mask-margin", value)

    def test_missing_frame(self, sequence, tmp_path):
        (sequence[0] / "0003.png").unlink()
        refused(self.decompose(tmp_path, sequence[0]), "3")

    def test_clip_of_one_frame(self, sequence, tmp_path):
        refused(self.decompose(tmp_path, sequence[0] / "0000.png"), "2 frames")

    def test_undecodable_frame(self, sequence, tmp_path):
        (sequence[0] / "0005.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
        refused(self.decompose(tmp_path, sequence[0]), "0005.png")

    def test_masks_of_other_frames(self, sequence, tmp_path):
        (sequence[1] / "0007.png").unlink()
        for path in sequence[1].iterdir():
            path.rename(path.with_name(f"1{path.name}"))
        words = "the masks of disc are of other frames", "10000-10006"
        refused(self.decompose(tmp_path, sequence[0], "--mask", f"disc={sequence[1]}"), *words)

    def test_mask_of_another_size(self, sequence, tmp_path):
        for path in sequence[1].iterdir():
            write_image(path, np.full((48, 200, 1), 255, np.uint8))
        refused(self.decompose(tmp_path, sequence[0], "--mask", f"disc={sequence[1]}"), "200")

    @pytest.mark.parametrize(("value", "word"), [(0, "empty"), (255, "white everywhere")])
    def test_mask_that_says_nothing(self, value, word, sequence, tmp_path, tiny_clip):
        for path in sequence[1].iterdir():
            write_image(path, np.full((tiny_clip.HEIGHT, tiny_clip.WIDTH, 1), value, np.uint8))
        refused(self.decompose(tmp_path, sequence[0], "--mask", f"disc={sequence[1]}"), word)

    def test_frames_out_of_range(self, clip, tmp_path):
        refused(self.decompose(tmp_path, clip / "frames", "--frames", "3-99"), "99")

    def test_unknown_option_setting_and_command(self, clip, tmp_path):
        refused(self.decompose(tmp_path, clip / "frames", "--fast"), "--fast")
        (tmp_path / "bad.yaml").write_text("itertions: 3")
        refused(self.decompose(tmp_path, clip / "frames", "--settings", tmp_path / "bad.yaml"),
                "itertions")  # fmt: skip
        refused(nvd("paint"), "paint")
        refused(nvd("decompose", clip / "frames"), "--out")

    def test_not_a_decomposition(self, clip):
        for command in ("info", "evaluate", "resume"):
            refused(nvd(command, clip))
        refused(nvd("render", clip, "--out", "x.mp4"))

    def test_newer_schema(self, decomposed, tmp_path):
        shot = tmp_path / "newer.nvd"
        shot.mkdir()
        manifest = json.loads((decomposed[0] / "manifest.json").read_text())
        write_json(shot / "manifest.json", manifest | {"version": 99})
        refused(nvd("info", shot), "99")

    def test_unknown_layer(self, decomposed, tmp_path):
        edit = decomposed[0] / "edits" / "disc.png"
        finished = nvd(
            "render", decomposed[0], "--out", tmp_path / "x.mp4", "--edit", f"cat={edit}"
        )
        refused(finished, "cat", "disc")

    def test_what_stood_there_is_kept(self, decomposed, clip, tmp_path):
        before = (decomposed[0] / "manifest.json").read_bytes()
        refused(nvd("decompose", clip / "frames", "--out", decomposed[0]), "finished")
        assert (decomposed[0] / "manifest.json").read_bytes() == before
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "letter.txt").write_text("dear")
        refused(nvd("decompose", clip / "frames", "--out", tmp_path / "mine"), "not empty")
        assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"

    def test_a_folder_that_cannot_be_written(self, clip):
        refused(nvd("decompose", clip / "frames", "--out", "/proc/shot.nvd"), "cannot write")

    def test_a_full_disk(self, decomposed):
        if not os.path.exists("/dev/full"):
            pytest.skip("no /dev/full on this machine")
        refused(nvd("render", decomposed[0], "--out", "/dev/full/%04d.png"), "cannot write")

    def test_what_is_printed_into_a_full_disk(self, decomposed):
        if not os.path.exists("/dev/full"):
            pytest.skip("no /dev/full on this machine")
        command = [sys.executable, "-m", "nvd_core", "info", str(decomposed[0])]
        with open("/dev/full", "w") as full:
            buffered = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
            done = subprocess.run(
                command, stdout=full, stderr=subprocess.PIPE, text=True, env=buffered
            )
        assert done.returncode == 2 and "No space left" in done.stderr

    def test_cuda_where_there_is_none(self, clip, tmp_path):
        import torch

        if torch.cuda.is_available():
            pytest.skip("this machine has CUDA")
        refused(self.decompose(tmp_path, clip / "frames", "--device", "cuda"), "device cpu")

    def test_errors_are_one_json_line_on_request(self, tmp_path):
        finished = nvd("info", tmp_path / "none.nvd", "--json")
        assert finished.returncode == 2 and len(finished.stdout.splitlines()) == 1
        event = events(finished)[0]
        assert event["event"] == "error" and event["problem"] and event["remedy"]
