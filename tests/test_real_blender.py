"""The extension in a real Blender: a program with a window, its command line, its own validation.

Where such a Blender cannot be set up (tools/tour/window.py), these are skipped with the reason.
"""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from build_extension import build
from gui_tour import tour
from tour import window

from nvd_core import PROTOCOL
from nvd_core.cli.main import main as nvd
from nvd_core.evaluation.metrics import psnr, squared_error
from nvd_core.media.images import encode_srgb, read_image, to_float, write_image

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.long


@pytest.fixture(scope="module", autouse=True)
def real_blender():
    try:
        return window.ensure()
    except window.NoWindow as error:
        pytest.skip(str(error))


def run(work: Path, *arguments) -> subprocess.CompletedProcess:
    """Run Blender with its settings in `work`, and wait."""
    process = window.start_blender(
        arguments, work, Path(sys.executable), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        output, _ = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        raise
    return subprocess.CompletedProcess(arguments, process.returncode, output)


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """A folder with the extension's zip, installed into a Blender whose settings are there."""
    folder = tmp_path_factory.mktemp("blender")
    package = build(folder)
    words = ["--command", "extension", "install-file", "-r", "user_default", "-e", package]
    done = run(folder, *words)
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture(scope="module")
def clip(work, tiny_clip) -> Path:
    return tiny_clip.write_with_settings(work / "clip")


def results(done: subprocess.CompletedProcess) -> list[dict]:
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == "result"]


def test_blender_validates_the_zip(work):
    (package,) = work.glob("*.zip")
    done = run(work, "--command", "extension", "validate", package)
    assert done.returncode == 0, done.stdout
    assert package.stat().st_size < 1_500_000


@pytest.mark.parametrize(
    ("language", "save", "strip"),
    [
        ("de_DE", "Farbe sichern", "a: 8 Bilder ab 11"),
        ("ja_JP", "ペイントを保存", "a: 11 から 8 フレーム"),
    ],
)
def test_blender_speaks_the_language_of_its_preferences(work, language, save, strip):
    """bpy as a module knows no languages; a Blender with a window does."""
    code = (
        "import bpy, sys\n"
        "view = bpy.context.preferences.view\n"
        f"view.language = {language!r}\n"
        "view.use_translate_interface = view.use_translate_tooltips = True\n"
        "from bl_ext.user_default.neural_video_layers.blender.words import translated\n"
        "interface = bpy.app.translations.pgettext_iface\n"
        "words = dict(strip='a', count=8, start=11)\n"
        "said = [interface('Save Paint', 'Operator'),\n"
        "        translated('{strip}: {count} frames from {start}', **words)]\n"
        "sys.stdout.buffer.write(('SAID ' + '|'.join(said) + '\\n').encode())\n"
    )
    done = run(work, "-b", "--python-exit-code", 3, "--python-expr", code)
    assert f"SAID {save}|{strip}" in done.stdout, done.stdout


def test_the_whole_batch_is_one_command(work, clip):
    """`blender --command nvd all`; then `blender -b FILE --python batch.py` as `nvd render`."""
    shot, painted = work / "shot.nvd", work / "painted.png"
    words = ["all", clip / "frames", "--out", shot, "--mask", f"disc={clip / 'masks'}", "--json"]
    words += ["--settings", clip / "small.yaml", "--movie", work / "result.mp4"]
    done = run(work, "--command", "nvd", *words, "--save", work / "shot.blend")
    assert done.returncode == 0, done.stdout
    assert results(done)[-1]["out"] == str(work / "result.mp4")
    assert (work / "result.mp4").stat().st_size > 1000

    texture = read_image(shot / "textures" / "disc.png")
    _write_green(painted, texture)
    edit = ["--edit", f"disc={painted}"]
    batch = ROOT / "blender_addon" / "batch.py"
    render = ["render", shot, "--out", work / "composited" / "%05d.png", "--through", "compositor"]
    start = ["-b", work / "shot.blend", "--python-exit-code", "3", "--python", batch]
    done = run(work, *start, "--", *render, *edit)
    assert done.returncode == 0, done.stdout
    ours = ["render", str(shot), "--out", str(work / "rendered" / "%05d.png")]
    assert nvd([*ours, *edit]) == 0
    files = sorted((work / "rendered").glob("*.png"))
    assert len(files) == 8
    for path in files:
        pair = [to_float(read_image(p)) for p in (path, work / "composited" / path.name)]
        assert psnr(squared_error(*pair)) > 50
    done = run(work, *start, "--", "render", work / "nowhere.nvd", "--out", work / "x" / "%05d.png")
    assert done.returncode == 2 and "nvd: " in done.stdout


def _write_green(path: Path, texture: np.ndarray) -> None:
    green = texture.copy()
    green[..., :3] = np.array([0.1, 0.8, 0.2]) * np.iinfo(texture.dtype).max
    write_image(path, green)


def walked_through(out: Path, steps: int, walk: str) -> dict:
    """The facts of a walk through Blender that came to its end."""
    facts, wrong = tour(out, steps=steps, walk=walk)
    assert facts.get("finished") and not wrong, wrong
    return facts


@pytest.fixture(scope="module")
def walked(tmp_path_factory) -> tuple[dict, Path]:
    out = tmp_path_factory.mktemp("tour")
    facts, wrong = tour(out, steps=300)
    assert facts.get("finished") and not wrong, wrong
    return facts, out


class TestTour:
    """What was seen when the extension was used with a mouse, see tools/gui_tour.py."""

    def test_decomposed_from_a_mask_drawn_in_blender(self, walked):
        assert walked[0]["engine"]["protocol"] == PROTOCOL
        assert walked[0]["decompose"]["state"] == "done"

    def test_a_stroke_is_seen_on_the_shot(self, walked):
        stroke = walked[0]["stroke"]
        assert stroke["texels"] > 500 and stroke["unsaved"]
        # From 5.0 on a brush's colour is light; it is stored as it looks
        assert np.abs(stroke["colour"] - encode_srgb([0.02, 0.75, 0.05])).max() < 0.01
        for editor in ("SEQUENCE_EDITOR", "IMAGE_EDITOR"):
            assert stroke["painted_pixels_before"][editor] == 0
            assert stroke["painted_pixels_after"][editor] > 500
        assert walked[0]["painted_pixels_without_preview"] == 0

    def test_the_rendered_strip_looks_as_the_preview_did(self, walked):
        strip = walked[0]["strip"]
        assert strip["state"] == "done"
        assert [s[1:] for s in strip["strips"]] == [[1, "IMAGE"], [2, "IMAGE"]]
        # Nothing but Blender's icon over the picture, which may be lit or not
        assert strip["differs_from_live_preview"]["share"] < 0.015

    def test_the_modifier_shows_the_same(self, walked):
        modifier = walked[0]["modifier"]
        assert modifier["modifiers"] == ["COMPOSITOR"]
        assert modifier["differs_from_rendered"]["largest"] <= 2

    def test_a_stroke_on_a_frame_reaches_the_layers(self, walked):
        frame = walked[0]["frame"]
        assert frame["state"] == "done" and frame["closed"], frame["error"]
        canvas = frame["canvas"]
        assert canvas["differs_from_sequencer"] < 10  # unmanaged about 70
        assert canvas["size"] == [384, 216] and canvas["unsaved"]
        assert frame["painted_pixels_after"] > frame["painted_pixels_before"] + 500

    def test_a_picture_of_every_step(self, walked):
        names = ("install", "decompose", "job", "paint", "stroke", "strip", "modifier", "frame")
        pictures = [walked[1] / f"blender-{name}.jpg" for name in (*names, "to-layers")]
        assert all(picture.stat().st_size > 30_000 for picture in pictures)


@pytest.fixture(scope="module")
def delivered(tmp_path_factory) -> tuple[dict, Path]:
    out = tmp_path_factory.mktemp("delivery")
    return walked_through(out, 250, "delivery"), out


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> dict:
    return walked_through(tmp_path_factory.mktemp("finishing"), 250, "finishing")


class TestFinishing:
    """A mask drawn, blur in the preview and files dropped, see tools/tour/finishing.py."""

    def test_a_better_mask_begins_with_the_outline_and_is_pulled(self, finished):
        mask = finished["better_mask"]
        assert mask["frame"] == 19 and mask["points"] > 15 and mask["area"] == "MASK"
        assert mask["pulled"][0] < -0.005 and abs(mask["pulled"][1]) < 0.005

    def test_the_preview_blurs_as_the_engine_does(self, finished):
        blur = finished["blur"]
        assert blur["db"] > 55 and blur["blurred_pixels"] > 100

    def test_a_dropped_file_is_pinned(self, finished):
        assert finished["dropped"] == {"entries": 1, "job": "done", "pinned": True}


class TestDelivery:
    """What was delivered when a whole shot was walked through, see tools/tour/delivery.py."""

    def test_the_clip_was_looked_at_small_and_delivered_on_its_plate(self, delivered):
        facts = delivered[0]
        checked = facts["checked"]
        assert facts["opened"]["plate"] == checked["plate"]["size"] == [384, 216]
        for what in ("movie", "exr", "clean"):
            assert checked[what]["size"] == [384, 216] and checked[what]["frames"] == 48

    def test_prores_4444_and_half_float_exr(self, delivered):
        checked = delivered[0]["checked"]
        movie, exr = checked["movie"], checked["exr"]
        assert movie["codec"] == "prores" and movie["profile"] == "4444"
        assert movie["planes"].startswith("yuv444p1") and movie["rate"] == 24
        assert (exr["format"], exr["depth"], exr["channels"]) == ("openexr", "half", list("RGB"))
        assert exr["names"] == ["shot.0000.exr", "shot.0047.exr"]

    def test_it_is_what_the_engine_renders_of_the_folder(self, delivered):
        checked = delivered[0]["checked"]
        assert checked["movie"]["db"] > 45
        assert checked["exr"]["db"] > 60 and checked["clean"]["db"] > 60

    def test_every_edit_is_seen_where_it_has_to_be(self, delivered):
        seen = delivered[0]["checked"]["seen"]
        assert seen["paint"] > 300 and seen["paint_after_its_range"] < 20
        assert seen["later_paint"] > 300 and seen["later_paint_before_its_range"] < 20
        assert seen["logo"] > 400 and seen["logo_in_the_clean_plate"] > 400
        assert seen["removed_pixels"] > 3000 and seen["removed_differ"] > 0.8
        assert seen["pinned_pixels_moved"] > 100
        # 5 pixels at the pin itself, less and less around it; how far on average is the draft's
        assert 0.3 < math.hypot(*seen["pinned_shift"]) < 6, seen["pinned_shift"]
        assert seen["untouched_differ"] < 0.01

    def test_the_logo_is_pinned_and_came_along_with_the_refinement(self, delivered):
        facts = delivered[0]
        assert facts["logo"]["pinned"] and facts["refined"]["folder"] == "clip_v2.nvd"
        assert facts["refined"]["stack"] >= 3

    def test_the_point_is_where_it_was_pinned(self, delivered):
        assert all(off < 0.5 for off in delivered[0]["pins"]["off"].values())

    def test_a_picture_of_every_step(self, delivered):
        pictures = sorted(delivered[1].glob("blender-delivery-*.jpg"))
        assert len(pictures) > 20 and all(p.stat().st_size > 30_000 for p in pictures)


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> dict:
    return walked_through(tmp_path_factory.mktemp("playing"), 100, "playing")


class TestPlaying:
    """What was drawn when a painted shot was played, see tools/tour/playing.py."""

    def test_what_was_rendered_ahead_is_what_is_drawn(self, played):
        playing = played["playing"]
        assert playing["without"]["ahead"] == 0
        assert playing["with"]["ahead"] == playing["with"]["shown"] > 0
        for frames in (played["frames"], played["stroke"]["frames"], played["undone"]["frames"]):
            assert frames["drawn"] == frames["compared"] > 0 and frames["db"] > 60

    def test_the_screen_shows_it(self, played):
        screen = played["screen"]
        assert screen["was_rendered"] and screen["differs_from_live"]["share"] < 0.015

    def test_a_stroke_and_its_undo_show_no_old_frame(self, played):
        stroke, undone = played["stroke"], played["undone"]
        assert played["old"] == 0 and not stroke["unsaved"]
        assert undone["texels"] > 500 and undone["as_before"]

    def test_the_blend_that_was_saved_meanwhile_knows_nothing_of_it(self, played):
        wanted = {"jobs": 0, "running": False, "images": [], "sync": "NONE"}
        assert played["opened"] == wanted
