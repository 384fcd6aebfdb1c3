"""batch.py as a user runs it: its own process, exit codes, progress, and the whole way at once."""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon import headless
from blender_addon.decompose.job import decompose_job
from blender_addon.errors import AddonError
from blender_addon.headless.words import _views

pytestmark = pytest.mark.slow


def batch(engine, *words, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, engine.ROOT / "blender_addon" / "batch.py", "--", *words]
    environment = {**os.environ, "NVD_PYTHON": str(engine.PYTHON), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=600, env=environment,
        **options,
    )  # fmt: skip


def events(done: subprocess.CompletedProcess) -> list[dict]:
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def clip(tmp_path_factory, tiny_job) -> Path:
    return tiny_job.make_clip(tmp_path_factory.mktemp("clip"))


def test_bad_input_says_what_to_do_and_ends_with_2(tmp_path, engine):
    done = batch(engine, "import", tmp_path)
    assert done.returncode == 2
    assert "holds no manifest.json" in done.stderr and "what to do: " in done.stderr
    done = batch(engine, "render", tmp_path, "--json")
    assert done.returncode == 2
    assert events(done)[-1]["event"] == "error" and "--out" in events(done)[-1]["problem"]


def test_import_saves_a_file_that_holds_the_shot(made, tmp_path, engine):
    file = tmp_path / "shot.blend"
    done = batch(engine, "import", made / "shot.nvd", "--save", file, "--json")
    assert done.returncode == 0, done.stderr
    assert events(done)[-1] == {"event": "result", "group": "NVD shot", "saved": str(file)}
    bpy.ops.wm.open_mainfile(filepath=str(file))
    assert bpy.data.node_groups["NVD shot"]


@pytest.mark.parametrize("beside", [True, False])
def test_an_imported_shot_is_listed(made, tmp_path, engine, beside, request):
    """In a Blender with the extension, whose list it is; found again where the folder has moved."""
    folder = shutil.copytree(made / "shot.nvd", tmp_path / "a" / "shot.nvd")
    file = (folder.parent if beside else tmp_path) / "shot.blend"
    assert batch(engine, "import", folder, "--mode", "full", "--save", file).returncode == 0
    if beside:
        folder = folder.parent.rename(tmp_path / "b") / "shot.nvd"
        file = folder.parent / "shot.blend"
    request.getfixturevalue("extension")
    bpy.ops.wm.open_mainfile(filepath=str(file))
    scene = bpy.context.scene
    (entry,) = scene.nvd_shots
    assert entry.path == folder and not entry.missing and entry.mode == "full"
    assert [layer.name for layer in entry.layers] == [layer.name for layer in entry.read().layers]
    assert all(layer.edit and layer.learned for layer in entry.layers)
    assert entry.scene == scene and entry.group_node() is not None


def test_render_through_engine_and_compositor_agree(made, tmp_path, monkeypatch, engine, reference):
    monkeypatch.setenv("NVD_PYTHON", str(engine.PYTHON))
    for way in ("engine", "compositor"):
        out = tmp_path / way / "%04d.png"
        words = ["render", str(made / "shot.nvd"), "--out", str(out), "--through", way]
        bpy.ops.wm.read_factory_settings(use_empty=True)
        assert headless.main(words) == 0
    for t in range(3):
        one, two = (
            reference.load(tmp_path / way / f"{t:04d}.png") for way in ("engine", "compositor")
        )
        assert reference.psnr(one, two) > 50


def test_an_unknown_layer_is_named(made, tmp_path, capsys):
    words = ["render", str(made / "shot.nvd"), "--out", "x.mp4", "--through", "compositor"]
    assert headless.main([*words, "--edit", "cat=cat.png"]) == 2
    assert "no layer 'cat'" in capsys.readouterr().err


def test_parts_are_found_and_said(tmp_path, engine, tiny_job):
    """By the tick's own word for the engine, to the shot that names its parts."""
    clip, shot = tiny_job.make_swinging(tmp_path), tmp_path / "man.nvd"
    words = ["decompose", clip / "frames", "--out", shot, "--mask", f"man={clip / 'masks'}"]
    done = batch(
        engine, *words, "--settings", clip / "small.yaml", "--find-parts-of", "man", "--json"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    manifest = json.loads((shot / "manifest.json").read_text())
    (man, _) = manifest["layers"]
    assert [part["name"] for part in man["parts"]] == ["rest", "limb_1", "limb_2"]
    (said,) = [caution for caution in manifest["cautions"] if "found by themselves" in caution]
    assert "man has parts" in said and "Find Parts" in said


ENGINE = """
import json, sys
from nvd_core.cli.decompose import _windows
from nvd_core.runtime.errors import NvdError
from nvd_core.settings import fast, update_settings
taken = []
for words in json.loads(sys.argv[1]):
    try:
        windows = update_settings(fast(), {"windows": _windows(words)}).windows
        taken.append(windows if isinstance(windows, dict) else {"": windows})
    except NvdError:
        taken.append(None)
print(json.dumps(taken))
"""


def test_views_are_asked_for_as_the_engine_has_it(engine):
    """Each word that the one takes the other takes, for the same."""
    words = [
        *("4", "auto", "toy=4", "toy=auto", "background=auto", "a=b=2", "64", "toy=64"),
        *("0", "toy=0", "65", "toy=65", "toy", "toy=", "toy=-1", "toy=1.5", "toy=12345", ""),
    ]
    command = [engine.PYTHON, "-c", ENGINE, json.dumps([[word] for word in words])]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, cwd=engine.ROOT, timeout=120
    )
    assert done.returncode == 0, done.stderr
    ours = []
    for word in words:
        try:
            ours.append(dict([_views(word)]))
        except argparse.ArgumentTypeError:
            ours.append(None)
    assert ours == json.loads(done.stdout)
    assert ours[:2] == [{"": 4}, {"": "auto"}] and ours[8:] == [None] * 10


def test_views_reach_the_engine_as_they_were_said(tmp_path, engine):
    say = {"toy": 4, "background": "auto"}
    told = decompose_job("a.mp4", tmp_path / "a.nvd", windows=say, python=engine.PYTHON)
    for_all = decompose_job("a.mp4", tmp_path / "a.nvd", windows={"": 3}, python=engine.PYTHON)
    every = [list(map(str, job.plan["steps"][-1]["command"])) for job in (told, for_all)]
    said = [[words[n + 1] for n, w in enumerate(words) if w == "--windows"] for words in every]
    assert said == [["toy=4", "background=auto"], ["3"]]
    with pytest.raises(AddonError, match="parts and views"):
        decompose_job(
            "a.mp4", tmp_path / "a.nvd", windows={"": 3}, find_parts=["toy"], python=engine.PYTHON
        )


@pytest.mark.long
def test_everything_in_one_command(clip, tmp_path, engine, reference):
    from blender_addon.shot.painting import read_pixels

    shot, movie = tmp_path / "shot.nvd", tmp_path / "result.mp4"
    green = tmp_path / "green.png"
    words = [
        "all", clip / "frames", "--out", shot, "--mask", f"disc={clip / 'masks'}",
        "--settings", clip / "small.yaml", "--movie", movie, "--save", tmp_path / "a.blend",
        "--json",
    ]  # fmt: skip
    first = batch(engine, *words)
    assert first.returncode == 0, first.stdout + first.stderr
    stages = {event["stage"] for event in events(first) if event["event"] == "progress"}
    assert {"training", "composite"} <= stages
    assert movie.is_file() and (tmp_path / "a.blend").is_file()
    texture = bpy.data.images.load(str(shot / "textures" / "disc.png"))
    pixels = read_pixels(texture)
    pixels[...] = (0, 1, 0, 1)
    texture.pixels.foreach_set(np.ravel(pixels))
    texture.filepath_raw, texture.file_format = str(green), "PNG"
    texture.save()
    words[words.index(movie)] = tmp_path / "%04d.png"
    again = batch(engine, *words, "--edit", f"disc={green}")
    assert again.returncode == 0, again.stderr
    picture = reference.load(tmp_path / "0004.png")
    greener = (picture - reference.load(shot / "frames" / "00004.png"))[24, 34]
    assert greener[1] - greener[0] > 0.2, greener
    moving = bpy.data.movieclips.load(str(movie))
    assert (moving.frame_duration, tuple(moving.size)) == (8, (80, 48))
