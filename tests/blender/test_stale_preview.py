"""What the live preview keeps is made anew where what it was made of changes."""

import shutil

import bpy
import numpy as np
import pytest

from blender_addon.paint import damage, preview
from blender_addon.shot import painting, shots, stack

pytestmark = [pytest.mark.usefixtures("extension"), pytest.mark.gpu, pytest.mark.once]

FRAME = 1


@pytest.fixture
def entry(gpu_ready, made, tmp_path):
    entry = shots.add_shot(shutil.copytree(made / "shot.nvd", tmp_path / "shot.nvd"))
    for layer in entry.layers:
        paint(layer.edit, np.s_[4:30, 4:60], (0.9, 0.2, 0.1, 1))
    painting.save_edits(entry)
    return entry


@pytest.fixture
def live(entry):
    live = preview.Preview(entry)
    live.by_strokes = True
    yield live
    live.close()


def paint(image, where, colour):
    pixels = painting.read_pixels(image)
    pixels[where] = colour
    painting.write_pixels(image, pixels)


def see(live, entry, t=FRAME):
    live.prepare(entry, t)
    return live.render(entry).read()


def is_as_anew(live, entry, t=FRAME):
    """Whether the picture is the one that a preview shows that was just switched on."""
    shown = see(live, entry, t)
    fresh = preview.Preview(entry)
    fresh.by_strokes = False
    picture = see(fresh, entry, t)
    fresh.close()
    return bool((shown == picture).all())


def put_mattes(entry, half):
    """Mattes of the toy whose one half, columns, is black."""
    shot = entry.read()
    folder = shot.folder / "edits/holdout/toy"
    folder.mkdir(parents=True, exist_ok=True)
    for t in range(shot.frames):
        image = bpy.data.images.new("matte", shot.width, shot.height)
        pixels = np.ones((shot.height, shot.width, 4), np.float32)
        pixels[:, half, :3] = 0
        image.pixels.foreach_set(pixels.ravel())
        image.filepath_raw, image.file_format = str(folder / f"{t:05d}.png"), "PNG"
        image.save()
        bpy.data.images.remove(image)
    entry.layers["toy"].holdout = "edits/holdout/toy/%05d.png"


def test_paint_that_the_frame_does_not_show_is_blurred_in_others(entry, live, monkeypatch):
    monkeypatch.setattr(damage, "BLOCK", 4)
    monkeypatch.setattr(damage, "TILE", 4)
    entry.motion_blur, entry.shutter, entry.blur_samples = True, 1.5, 5
    back = entry.layers["background"].edit
    for _ in range(3):
        see(live, entry, 0)
    random, unseen = np.random.default_rng(0), 0
    height, width = painting.read_pixels(back).shape[:2]
    for _ in range(400):
        before = painting.read_pixels(back)
        x, y = random.integers(0, width - 6), random.integers(0, height - 6)
        paint(back, np.s_[y : y + 6, x : x + 6], (*random.random(3), 1))
        see(live, entry, 0)
        if live.drawn == []:
            unseen += 1
        else:
            painting.write_pixels(back, before)
            see(live, entry, 0)
        if unseen > 8:
            break
    assert unseen > 8
    painting.save_edits(entry)
    see(live, entry, 0)
    paint(entry.layers["toy"].edit, np.s_[10:20, 10:20], (0.1, 0.9, 0.2, 1))
    see(live, entry, 0)
    assert is_as_anew(live, entry, 2)


def test_a_holdout_is_shown_in_the_frame_in_which_it_is_given(entry, live):
    before = see(live, entry)
    put_mattes(entry, np.s_[: entry.read().width // 2])
    live.render(entry)  # a redraw comes before the matte is read
    assert is_as_anew(live, entry)
    assert (see(live, entry) != before).any()


def test_a_holdout_of_the_same_name_is_read_anew(entry, live):
    middle = entry.read().width // 2
    put_mattes(entry, np.s_[:middle])
    first = see(live, entry)
    put_mattes(entry, np.s_[middle:])
    second = see(live, entry)
    assert (first != second).any() and is_as_anew(live, entry)


def blurred(entry):
    entry.motion_blur, entry.shutter, entry.blur_samples = True, 1.5, 5


def stacked(entry):
    item = stack.add_paint(entry, entry.layers["background"])
    paint(item.image, np.s_[:20, :40], (0.2, 0.3, 0.9, 1))
    painting.save_edits(entry)


@pytest.mark.parametrize("change", [blurred, stacked])
def test_a_colour_space_that_changes_is_seen(entry, live, change):
    change(entry)
    first = see(live, entry)
    entry.layers["background"].edit.colorspace_settings.name = "Linear Rec.709"
    assert is_as_anew(live, entry)
    assert (see(live, entry) != first).any()


def test_spill_follows_a_texture_of_another_size(entry, live):
    entry.layers["background"].spill = 1
    see(live, entry)
    edit = entry.layers["background"].edit
    edit.scale(edit.size[0] // 2, edit.size[1] // 2)
    shots.follow_sizes(entry)
    assert is_as_anew(live, entry)


def test_purging_unused_images_takes_no_plate_away(entry, live):
    first = see(live, entry)
    bpy.data.orphans_purge(do_recursive=True)
    assert (see(live, entry) == first).all()
