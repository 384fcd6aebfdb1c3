"""tools/bench/bench.py on a tiny clip: every figure is there, and they agree with each other.

No test depends on how fast the machine is: times are only compared with times of the same run, or
with sleeps that must be found in the right place.
"""

import dataclasses
import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from bench import bench
from bench.parts import iteration, machine, presets, quality, subject
from bench.parts.figures import Figure, shown, table
from bench.parts.run import run as run_parts

from nvd_core.fields.hash_grid.grid import HashGrid
from nvd_core.fields.networks import Mlp
from nvd_core.settings import PRESETS, Settings, paper

pytestmark = pytest.mark.slow

SMALL = """
points: 400
texture_grid: {levels: 6, log2_table: 12}
residual_grid: {levels: 4, log2_table: 12}
alpha_grid: {levels: 4, log2_table: 12}
"""
STEPS = (20, 60)
TINY = dataclasses.replace(
    subject.QUICK,
    iterations=STEPS,
    turns_seconds=2.5,
    slice_seconds=0.5,
    steps=8,
    sizes=((96, 64),),
    layers=(3,),
    rendered_frames=5,
)


@pytest.fixture(scope="module")
def clip(tmp_path_factory, tiny_clip) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    tiny_clip.write(folder)
    (folder / "small.yaml").write_text(SMALL)
    return folder


def light_paper() -> Settings:
    """The preset paper with fewer points, so that a test has some of its steps."""
    return dataclasses.replace(paper(), points=500)


def run(monkeypatch, *words: object) -> int:
    monkeypatch.setattr(subject, "QUICK", TINY)
    monkeypatch.setitem(PRESETS, "paper", light_paper)
    monkeypatch.setattr(sys, "argv", ["bench.py", "--quick", "--cpu", *map(str, words)])
    return run_parts(bench.parsed())


@pytest.fixture(scope="module")
def found(clip, tmp_path_factory) -> dict:
    """The JSON of a whole run."""
    out = tmp_path_factory.mktemp("out") / "bench.json"
    words = ["--clip", clip / "frames", "--mask", f"disc={clip / 'masks'}", "--levels", 5, 99]
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        begun = time.monotonic()
        code = run(monkeypatch, *words, "--settings", clip / "small.yaml", "--out", out)
        seconds = time.monotonic() - begun
    result = json.loads(out.read_text())
    assert code == 0, result["failed"]
    return result | {"wall": seconds}


@pytest.fixture(scope="module")
def values(found) -> dict[tuple[str, str, str], float]:
    return {(f["part"], f["case"], f["name"]): f["value"] for f in found["figures"]}


def of(values: dict, part: str, case: str) -> dict[str, float]:
    return {name: v for (p, c, name), v in values.items() if (p, c) == (part, case)}


@pytest.mark.long
@pytest.mark.long
def test_it_says_what_was_measured_on_what(found, tiny_clip):
    assert found["schema"] == "nvd.bench" and not found["failed"]
    assert found["clip"] == f"{Path(found['command'][4]).parent.name}, 80x48, 8 frames"
    assert (tiny_clip.FRAMES, tiny_clip.WIDTH, tiny_clip.HEIGHT) == (8, 80, 48)
    assert found["device"] == "cpu" and found["quick"] is True
    assert found["versions"]["torch"] == torch.__version__
    assert found["versions"]["numpy"] == np.__version__
    assert found["machine"]["processor"] and found["machine"]["cores"] >= 1
    assert found["commit"].keys() == {"hash", "dirty"}
    assert set(found["seconds_by_part"]) == set(bench.PARTS)
    assert sum(found["seconds_by_part"].values()) <= found["wall"] + 1


@pytest.mark.long
def test_every_figure_has_a_unit_and_stands_once(found, values):
    figures = found["figures"]
    assert len(values) == len(figures)
    bare = {"SSIM", "alpha IoU, disc", "iterations in it"}
    units = {"s", "ms", "h", "dB", "%", "x", "fps", "MB"}
    for figure in figures:
        assert figure["unit"] in ({""} if figure["name"] in bare else units)
        if figure["value"] is None:
            assert figure["name"] in ("time to 99 dB", "fast took", "speed-up at equal PSNR")
        else:
            assert np.isfinite(figure["value"]) and figure["value"] >= 0


@pytest.mark.long
def test_time_to_a_quality_is_the_shortest_of_the_runs_that_have_it(values):
    runs = {n: of(values, "quality", f"{n} iterations") for n in STEPS}
    for figures in runs.values():
        stages = sum(v for name, v in figures.items() if name.startswith("stage"))
        baking = figures["stage baking"]
        assert stages <= figures["to the finished folder"]
        assert figures["to the trained model"] <= figures["to the finished folder"] - baking + 0.1
        assert figures["stage training"] < figures["to the trained model"]
        assert 5 < figures["PSNR"] < 60 and 0 <= figures["alpha IoU, disc"] <= 1
    assert runs[60]["PSNR"] > runs[20]["PSNR"]
    shortest = of(values, "quality", "shortest run")
    assert shortest["time to 99 dB"] is None
    assert shortest["time to 5 dB"] == min(r["to the trained model"] for r in runs.values())


def test_a_run_that_is_not_good_enough_does_not_count():
    class Run:
        def __init__(self, steps, seconds):
            self.steps, self.trained_seconds = steps, seconds

    rows = [
        quality.Row(Run(10, 1.0), {"psnr": 20.0}),
        quality.Row(Run(20, 3.0), {"psnr": 25.0}),
        quality.Row(Run(30, 2.0), {"psnr": 26.0}),
    ]
    assert quality.time_to(20.0, rows).value == 1.0
    assert quality.time_to(24.0, rows).value == 2.0
    assert quality.time_to(26.1, rows).value is None


@pytest.mark.long
def test_the_presets_clocks_run_in_turns(found, values):
    curves = found["curves"]
    for curve in curves.values():
        assert curve["seconds"][0] == 0 and curve["steps"][0] == 0
        assert np.all(np.diff(curve["seconds"]) > 0) and np.all(np.diff(curve["steps"]) > 0)
        assert curve["seconds"][-1] >= TINY.turns_seconds
    total = sum(curve["seconds"][-1] for curve in curves.values())
    assert total < found["seconds_by_part"]["presets"]
    level = max(curves["paper"]["psnr"])
    at = {name: presets.Curve(**curve).first_at(level) for name, curve in curves.items()}
    figures = of(values, "presets", f"at {level:.2f} dB, paper's best")
    assert (figures["paper took"], figures["fast took"]) == (at["paper"], at["fast"])
    ratio = pytest.approx(at["paper"] / at["fast"]) if at["fast"] else None
    assert figures["speed-up at equal PSNR"] == ratio
    hours = values["extrapolated", "paper's whole schedule", "on this machine"]
    milliseconds = values["iteration", "preset paper", "mean of its schedule"]
    assert hours == pytest.approx(50_000 * milliseconds / 3.6e6)


def test_a_curve_says_when_it_was_first_that_good():
    curve = presets.Curve([0.0, 1.0, 2.0, 3.0], [0, 5, 9, 14], [10.0, 15.0, 14.0, 16.0])
    assert [curve.first_at(level) for level in (9, 14.5, 15.5, 17)] == [0.0, 1.0, 3.0, None]


@pytest.mark.long
def test_the_parts_of_an_iteration_add_up(values):
    parts = of(values, "iteration", "its parts")
    whole = parts.pop("all parts")
    assert sum(parts.values()) == pytest.approx(whole)
    assert all(value > 0 for value in parts.values())


@pytest.mark.long
def test_rendering_and_storage_are_complete(values, tiny_clip):
    assert len(of(values, "render", "kernel alone, 96x64, 3 layers")) == 4
    whole = of(values, "render", "nvd render, 96x64, 3 layers")
    assert set(whole) == {"small edit, to H.264", "small edit, to PNG"}
    assert of(values, "storage", "nvd decompose")["peak memory"] > 100
    on_disk = of(values, "storage", "on disk")
    assert {"maps", "frames", "checkpoint.safetensors"} <= set(on_disk)
    whole = on_disk.pop("the whole folder")
    assert sum(on_disk.values()) == pytest.approx(whole)
    maps = of(values, "storage", "maps, 80x48, 2 layers")
    assert maps["a frame, EXR"] > maps["a frame, compact"] > 0
    frames = (maps["a frame, EXR"] + maps["a frame, compact"]) * tiny_clip.FRAMES
    # Beside them lies the index of what they look up, some kB
    assert 0 < on_disk["maps"] - frames < 0.01


@pytest.fixture
def tiny(clip, tmp_path) -> subject.Bench:
    masks = [f"disc={clip / 'masks'}"]
    chosen = subject.choose_subject(str(clip / "frames"), masks, None, "cpu", TINY)
    changes = {"points": 300, "mapping": {"mlp": {"width": 16}}}
    return subject.Bench(chosen, TINY, tmp_path, changes)


def test_the_sampled_psnr_is_that_of_the_networks_picture(tiny, monkeypatch):
    trainer = tiny.trainer("one", tiny.settings("fast"))
    iteration.run(trainer, iteration.Laps(1, 99, lambda: None))  # to tell frame from frame
    frames, height, width = trainer.data.shape
    t, y, x = (torch.from_numpy(a.ravel()) for a in np.mgrid[:frames, :height, :width])
    with torch.no_grad():
        image = trainer.model.composite(torch.stack([x, y], -1).float(), t).clamp(0, 1)
    true = torch.from_numpy(np.array(trainer.data.frames)).reshape(-1, 3) / 255
    expected = -10 * torch.log10((image - true).square().mean()).item()
    assert presets.sampled_psnr(trainer) == pytest.approx(expected, abs=0.01)
    monkeypatch.setattr(presets, "SAMPLE", 2000)
    assert presets.sample_stride(trainer) == 4
    assert presets.sampled_psnr(trainer) == pytest.approx(expected, abs=0.5)


class Clock:
    """Stands still but for what takes its time on purpose: no other program can disturb it."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


class Slow(torch.autograd.Function):
    """Changes nothing and takes 5 ms forward and 15 ms backward."""

    @staticmethod
    def forward(ctx, x, clock):
        ctx.clock = clock
        clock.now += 0.005
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        ctx.clock.now += 0.015
        return grad, None


@pytest.mark.parametrize(("kind", "name"), [(HashGrid, "encodings"), (Mlp, "networks")])
def test_time_is_found_where_it_is_spent(tiny, monkeypatch, kind, name):
    forward, calls, clock = kind.forward, [], Clock()
    monkeypatch.setattr(iteration, "time", clock)

    def slow(self, *arguments):
        calls.append(torch.is_grad_enabled())
        return Slow.apply(forward(self, *arguments), clock)

    monkeypatch.setattr(kind, "forward", slow)
    figures = iteration.split(tiny, tiny.settings("fast"), 4)
    found = {figure.name: figure.value for figure in figures}
    least = sum(calls) / (iteration.WARM_UP + 4) * 0.9  # calls a step, the odd one left out
    spent = {f"forward, {name}": 5 * least, f"backward, {name}": 15 * least}
    found.pop("all parts")
    for part, milliseconds in found.items():
        if part in spent:
            assert milliseconds > spent[part], part
        else:
            assert abs(milliseconds) < 1e-6, part


def test_bad_input_and_failing_parts_are_said(clip, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert run(monkeypatch, "--clip", tmp_path / "nowhere") == 2
    assert "what to do" in capsys.readouterr().err
    out = tmp_path / "bench.json"
    words = ["--clip", clip / "frames", "--mask", "disc=/nowhere", "--only", "storage"]
    assert run(monkeypatch, *words, "--out", out) == 1
    assert "/nowhere" in json.loads(out.read_text())["failed"]["storage"]
    assert "FAILED: storage: nvd decompose" in capsys.readouterr().out


def test_the_table_is_aligned_and_notes_stand_once():
    figures = [
        Figure("part", "a case", "a name", 12.3456, "ms", "a note"),
        Figure("part", "a case", "another name", None, "s", "a note"),
    ]
    first, second = table(figures).splitlines()[1:]
    assert first.endswith("ms   a note") and "a note" not in second
    assert first.index(" ms ") == len(second) - len(" s")
    assert [shown(v) for v in (0.1234, 3.14159, 271.828, 31415.9, 42, None)] == [
        "0.123", "3.14", "271.8", "31416", "42", "-",
    ]  # fmt: skip
    assert machine.processor()
    assert PRESETS["paper"]().iterations == 50_000
