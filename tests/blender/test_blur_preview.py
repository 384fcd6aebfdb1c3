"""Motion blur in the live preview, against `nvd render`."""

import json
import shutil

import numpy as np
import pytest

from blender_addon.paint import preview, streaks
from blender_addon.shot import painting, shots
from blender_addon.shot.folder import ShotError, read_shot

pytestmark = pytest.mark.usefixtures("extension")
STEP = 1 / 255


def shown(entry, t, mode="delta"):
    live = preview.Preview(entry, mode)
    live.prepare(entry, t)
    pixels = live.render(entry).read()
    live.close()
    return pixels


def rendered(engine, reference, folder, frames, *words):
    """Those frames of `nvd render`, display-encoded."""
    linear = (folder / "frames/00000.exr").is_file()
    out = folder.parent / ("out/%05d.exr" if linear else "out/%05d.png")
    words = ["--frames", f"{frames[0]}-{frames[-1]}", *words]
    engine.run("-m", "nvd_core", "render", folder, "--out", out, *words)
    paths = [out.parent / (out.name % t) for t in frames]
    if not linear:
        return [reference.load(path) for path in paths]
    return [reference.encode(reference.load(path, "Linear Rec.709")) for path in paths]


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("kind", "shutter", "samples"), [("made", 0.5, 16), ("made", 1.5, 5), ("made_linear", 1.0, 8)]
)
def test_it_is_what_the_engine_renders(
    gpu_ready, request, tmp_path, engine, reference, kind, shutter, samples
):
    """With visibility and light set; of the clip's first and last frame, too."""
    folder = request.getfixturevalue(kind) / "shot.nvd"
    folder = shutil.copytree(folder, tmp_path / "shot.nvd")
    entry = shots.add_shot(folder)
    entry.layers[0].visibility, entry.layers[1].light = 0.7, 0.3
    still = shown(entry, 1)
    entry.motion_blur, entry.shutter, entry.blur_samples = True, shutter, samples
    painting.save_edits(entry)
    assert np.abs(shown(entry, 1) - still).max() > 40 * STEP
    for t, wanted in enumerate(rendered(engine, reference, folder, range(3))):
        picture = shown(entry, t) if kind == "made_linear" else shown(entry, t).clip(0, 1)
        apart = np.abs(picture - wanted)
        assert reference.psnr(picture, wanted) > 55
        # what hides a bright plate is a small difference of two lights, of textures of 16 bits
        most = 3 * STEP if kind == "made_linear" else STEP
        assert np.quantile(apart, 0.999) < most and (apart > 2 * most).mean() < 1e-3


@pytest.mark.gpu
def test_beyond_the_matte_and_in_full(gpu_ready, made, tmp_path, engine, reference):
    """Paint that spreads and is softened is blurred too; in full mode all but the edges is."""
    folder = shutil.copytree(made / "shot.nvd", tmp_path / "shot.nvd")
    entry = shots.add_shot(folder)
    entry.motion_blur, entry.shutter = True, 1.0
    painting.save_edits(entry)
    whole = rendered(engine, reference, folder, [1], "--mode", "full")[0]
    apart = np.abs(shown(entry, 1, "full").clip(0, 1) - whole).max(-1)
    assert np.quantile(apart, 0.999) < 2 * STEP
    entry.layers[0].choke, entry.layers[0].feather = -3, 2
    painting.save_edits(entry)
    wanted = rendered(engine, reference, folder, [1])[0]
    apart = np.abs(shown(entry, 1).clip(0, 1) - wanted).max(-1)
    assert np.abs(wanted - whole).max() > 20 * STEP
    # pixels as far from two of the layer's may go on from either
    assert (
        np.quantile(apart, 0.995) <= 2 * STEP
        and reference.psnr(shown(entry, 1).clip(0, 1), wanted) > 45
    )


@pytest.mark.gpu
def test_what_stands_still_stays_as_it_is(gpu_ready, made, tmp_path):
    folder = shutil.copytree(made / "shot.nvd", tmp_path / "shot.nvd")
    for t in (0, 2):
        shutil.copy(folder / "maps/00001.exr", folder / f"maps/{t:05d}.exr")
    entry = shots.add_shot(folder)
    still = shown(entry, 1)
    entry.motion_blur = True
    np.testing.assert_allclose(shown(entry, 1), still, atol=1e-5)


@pytest.mark.gpu
def test_a_window_in_time_begins_without_the_frame_before(
    gpu_ready, made, tmp_path, engine, reference
):
    """There the layer has gone over to another part of its texture, which is no motion."""
    folder = shutil.copytree(made / "shot.nvd", tmp_path / "shot.nvd")
    set_windows(folder, [[0, 0], [1, 2]])
    entry = shots.add_shot(folder)
    entry.motion_blur, entry.shutter = True, 1.5
    painting.save_edits(entry)
    of_windows = shown(entry, 1)
    wanted = rendered(engine, reference, folder, [1])[0]
    assert np.quantile(np.abs(of_windows.clip(0, 1) - wanted), 0.999) < STEP
    set_windows(folder, [])
    assert np.abs(shown(shots.add_shot(folder), 1) - of_windows).max() > 10 * STEP


def set_windows(folder, windows):
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest["layers"][0]["windows"] = windows
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")


@pytest.mark.once
@pytest.mark.parametrize("windows", [[[0]], [[1, 2]], [[0, 0], [2, 2]], ["ab"], [[0, True]]])
def test_windows_that_are_none_are_refused(folder, windows):
    set_windows(folder, windows)
    with pytest.raises(ShotError, match="windows in time"):
        read_shot(folder)


@pytest.mark.once
def test_frames_of_one_window():
    windows = ((0, 3), (4, 9))
    assert streaks.shares_window((), 3, 4) and streaks.shares_window(windows, 4, 5)
    assert not streaks.shares_window(windows, 3, 4) and not streaks.shares_window(windows, 4, 3)


@pytest.mark.gpu
def test_it_follows_the_brush(gpu_ready, folder):
    """What is painted is made light anew while it is not saved, and kept when it is."""
    entry = shots.add_shot(folder)
    entry.motion_blur = True
    live = preview.Preview(entry)
    live.prepare(entry, 1)
    plain = live.render(entry).read()
    toy = entry.layers["toy"]
    seen = []
    for colour in (0.9, 0.1):
        pixels = painting.read_pixels(toy.edit)
        pixels[10:40, 10:60] = (colour, 0.2, 0.1, 1)
        painting.write_pixels(toy.edit, pixels)
        seen.append(live.render(entry).read())
    painting.save_edits(entry)
    seen.append(live.render(entry).read())
    kept = live._streaks._sheets["toy"]
    seen.append(live.render(entry).read())
    assert live._streaks._sheets["toy"] is kept
    live.close()
    assert np.abs(seen[0] - plain).max() > 0.1 and np.abs(seen[1] - seen[0]).max() > 0.1
    np.testing.assert_allclose(seen[2], seen[1], atol=1e-5)
    np.testing.assert_array_equal(seen[3], seen[2])


def test_frames_beside_are_read_ahead(folder):
    """So that a frame's neighbours are there when it is shown, while it plays with gaps too."""
    entry = shots.add_shot(folder)
    live = preview.Preview(entry)
    entry.motion_blur = True
    live.cache.prefetch(1, ["toy", ""], ahead=0, beside=1)
    live.cache.wait()
    assert set(live.cache._kept) == {(0, "toy"), (1, "toy"), (2, "toy"), (1, "")}
    live.close()
