"""Edits that another program writes, and references that are painted on: no paint is lost."""

import os
import shutil

import bpy
import numpy as np
import pytest

import blender_addon
from blender_addon.blender.pixels import read_pixels, write_pixels
from blender_addon.shot import edit_files, painting, shots
from blender_addon.shot.folder import ShotError


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made / "shot.nvd", tmp_path / "shot.nvd")


@pytest.fixture
def layer(folder, empty_file):
    blender_addon.register()
    entry = shots.add_shot(folder)
    yield entry.layers["toy"]
    blender_addon.unregister()


def entry_of(layer):
    return next(e for e in shots.all_shots() if layer.name in e.layers)


def paint(image, colour):
    """As a stroke does it: what is in memory is not what the file holds."""
    pixels = read_pixels(image)
    pixels[4:9, 5:12] = colour
    write_pixels(image, pixels)
    assert image.is_dirty
    return read_pixels(image)


def by_another_program(path, colour):
    """Write the file as Krita does; returns its pixels."""
    other = bpy.data.images.load(str(path), check_existing=False)
    other.colorspace_settings.name, other.alpha_mode = "Non-Color", "CHANNEL_PACKED"
    pixels = read_pixels(other)
    pixels[20:30, 10:30] = colour
    write_pixels(other, pixels)
    other.filepath_raw, other.file_format = str(path), "PNG"
    other.save()
    bpy.data.images.remove(other)
    return on_disk(path)


def on_disk(path):
    image = bpy.data.images.load(str(path), check_existing=False)
    image.colorspace_settings.name, image.alpha_mode = "Non-Color", "CHANNEL_PACKED"
    pixels = read_pixels(image)
    bpy.data.images.remove(image)
    return pixels


def save_all():
    """Blender's own Save All Images."""
    if bpy.ops.image.save_all_modified.poll():  # not where nothing is to be saved
        bpy.ops.image.save_all_modified()


def tick():
    """Twice: a file that is just being written is waited for."""
    edit_files.follow()
    edit_files.follow()


def test_a_file_that_was_changed_is_read_again(layer, folder):
    theirs = by_another_program(folder / "edits/toy.png", (1, 0, 0, 1))
    assert not np.array_equal(read_pixels(layer.edit), theirs)
    before = layer.edit.name
    tick()
    assert np.array_equal(read_pixels(layer.edit), theirs)
    assert layer.edit.name == f"{before}.001"  # or undoing a stroke would bring old pixels back
    assert not painting.is_unsaved(layer) and not edit_files.in_conflict(layer)


def test_a_look_that_fails_is_not_the_last(layer, folder, monkeypatch, capfd):
    assert bpy.app.timers.is_registered(edit_files._tick)
    monkeypatch.setattr(edit_files, "_take_notice", lambda _: 1 / 0)
    theirs = by_another_program(folder / "edits/toy.png", (1, 0, 0, 1))
    assert [edit_files._tick(), edit_files._tick()] == [edit_files.INTERVAL] * 2
    assert "ZeroDivisionError" in capfd.readouterr().err
    monkeypatch.undo()
    tick()
    assert np.array_equal(read_pixels(layer.edit), theirs)


def test_another_date_is_no_change(layer, folder):
    path = folder / "edits/toy.png"
    mine = paint(layer.edit, (0, 1, 0, 1))
    os.utime(path, (1, 1))
    tick()
    assert not edit_files.in_conflict(layer)
    painting.save_edits(entry_of(layer))
    assert np.array_equal(on_disk(path), mine)


class TestBothChanged:
    @pytest.fixture
    def both(self, layer, folder):
        path = folder / "edits/toy.png"
        mine = paint(layer.edit, (0, 1, 0, 1))
        return layer, path, mine, by_another_program(path, (1, 0, 0, 1))

    def test_saving_asks_first(self, both):
        """Also before the next tick; what else was painted is saved all the same."""
        layer, path, mine, theirs = both
        other = entry_of(layer).layers["background"]
        painted = paint(other.edit, (0, 0, 1, 1))
        with pytest.raises(ShotError, match="changed by another program"):
            painting.save_edits(entry_of(layer))
        assert np.array_equal(on_disk(path), theirs)
        assert np.array_equal(read_pixels(layer.edit), mine)
        assert np.array_equal(on_disk(path.with_name("background.png")), painted)

    def test_blenders_own_save_all_writes_nothing_over_it(self, both):
        layer, path, mine, theirs = both
        tick()
        assert edit_files.in_conflict(layer)
        save_all()
        assert np.array_equal(on_disk(path), theirs)
        assert np.array_equal(read_pixels(layer.edit), mine)

    def test_the_file_is_taken(self, both):
        layer, path, mine, theirs = both
        tick()
        edit_files.take_file(layer)
        assert np.array_equal(read_pixels(layer.edit), theirs)
        assert not edit_files.in_conflict(layer)
        painting.save_edits(entry_of(layer))
        assert np.array_equal(on_disk(path), theirs)
        painting.bring_back(layer)
        assert np.array_equal(read_pixels(layer.edit), mine)

    def test_the_paint_is_kept(self, both):
        layer, path, mine, theirs = both
        tick()
        edit_files.keep_paint(layer)
        painting.save_edits(entry_of(layer))
        assert np.array_equal(on_disk(path), mine)
        painting.bring_back(layer)
        assert np.array_equal(read_pixels(layer.edit), theirs)

    def test_it_is_known_when_the_blend_is_opened_again(self, both, tmp_path):
        layer, path, mine, theirs = both
        tick()
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
        assert np.array_equal(on_disk(path), theirs)
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
        layer = bpy.context.scene.nvd_shots[0].layers["toy"]
        assert np.array_equal(read_pixels(layer.edit), mine)
        tick()
        assert edit_files.in_conflict(layer)


def test_a_blend_whose_file_changed_while_it_was_closed(layer, folder, tmp_path):
    """Nothing was painted in Blender: the file is read, and nothing saved over it."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    theirs = by_another_program(folder / "edits/toy.png", (1, 0, 0, 1))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    tick()
    layer = bpy.context.scene.nvd_shots[0].layers["toy"]
    assert not edit_files.in_conflict(layer)
    assert np.array_equal(read_pixels(layer.edit), theirs)


@pytest.mark.parametrize("what", ["learned", "checker", "grid"])
def test_a_stroke_on_a_reference_is_taken_back(layer, folder, what):
    path = folder / "textures/toy.png"
    before = path.read_bytes()
    shown = painting.show(entry_of(layer), layer, what)
    pixels = read_pixels(shown)
    paint(shown, (1, 0, 1, 1))
    tick()
    assert np.array_equal(read_pixels(shown), pixels)
    save_all()
    assert path.read_bytes() == before


def test_half_a_file_is_waited_for(layer, folder):
    path = folder / "edits/toy.png"
    by_another_program(path, (1, 0, 0, 1))
    whole = path.read_bytes()
    mine = read_pixels(layer.edit)
    path.write_bytes(whole[: len(whole) // 2])
    edit_files.follow()
    assert np.array_equal(read_pixels(layer.edit), mine)
    path.write_bytes(whole)
    tick()
    assert np.array_equal(read_pixels(layer.edit), on_disk(path))
