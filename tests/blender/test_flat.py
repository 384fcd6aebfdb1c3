"""The flattened stack in nodes: equal to `nvd render`, renewed, undone, and said where it lacks."""

import json
import shutil

import bpy
import numpy as np
import pytest

from blender_addon.decompose import flattening, purging
from blender_addon.jobs.runner import runner
from blender_addon.shot import edge_nodes, finish, flat, flat_nodes, painting, shots, stack
from blender_addon.shot.folder import read_shot
from blender_addon.shot.stack_file import read_stack

pytestmark = pytest.mark.usefixtures("extension")


def write_picture(path, colour, size=(40, 30)):
    image = bpy.data.images.new("x", *size, alpha=True)
    image.pixels.foreach_set(np.tile(np.float32(colour), size[0] * size[1]))
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)


def fill(entry, place):
    """A picture in the last frame, one in the first with a fade, and an adjustment in all."""
    write_picture(place / "a.png", (0.1, 0.9, 0.2, 1))
    write_picture(place / "b.png", (0.9, 0.1, 0.2, 0.6))
    toy, leaf, background = entry.layers
    late = stack.add_file(entry, toy, "picture", place / "a.png")
    late.has_range, late.first, late.last = True, 2, 2
    stack.set_corners(late, ((0.2, 0.1), (0.9, 0.2), (0.8, 0.9), (0.1, 0.8)))
    early = stack.add_file(entry, leaf, "picture", place / "b.png")
    early.has_range, early.first, early.last, early.blend = True, 0, 0, "multiply"
    stack.add_plain(entry, background, "adjustment", hue=70.0, gain=1.2)
    painting.save_edits(entry)


def flatten(engine, folder):
    engine.run("-m", "nvd_core", "edits", "flatten", folder)


@pytest.fixture
def entry(folder, tmp_path, engine):
    made = shots.add_shot(folder, bpy.context.scene, own_scene=False)
    fill(made, tmp_path)
    flatten(engine, folder)
    assert flat_nodes.follow(made)
    return made


def rendered(engine, folder, place, mode="delta"):
    out = place / "engine"
    words = ["--out", out / "%05d.png", "--bits", "16", "--mode", mode]
    engine.run("-m", "nvd_core", "render", folder, *words)
    return out


@pytest.mark.parametrize("mode", ["delta", "full"])
def test_nodes_equal_the_engine_in_every_frame(entry, folder, tmp_path, engine, reference, mode):
    """Also in the frames before the first picture and behind the last, which have none."""
    shots.add_shot(folder, bpy.context.scene, own_scene=False, mode=mode)
    found = flat.read_flat(read_shot(folder)).layers
    assert (found["toy"].first, found["toy"].count) == (1, 2)
    assert (found["leaf-2"].first, found["leaf-2"].count) == (0, 2)
    assert found["background"].count == 1
    out = rendered(engine, folder, tmp_path, mode)
    for t in range(3):
        made = reference.render(tmp_path, t + 1)
        wanted = reference.load(out / f"{t:05d}.png")
        assert reference.psnr(made, wanted) > 60, t


@pytest.mark.parametrize("kind", ["made_linear", "made_other_sizes"])
def test_other_plates_and_sheets(kind, tmp_path, engine, reference, request):
    """Paint below the stack, on light above 1, and on sheets of another size than the textures."""
    source = request.getfixturevalue(kind)
    folder = shutil.copytree(source / "shot.nvd", tmp_path / "shot.nvd")
    made = shots.add_shot(folder, bpy.context.scene, own_scene=False)
    fill(made, tmp_path)
    is_linear = kind == "made_linear"
    suffix, bits = ("exr", "half") if is_linear else ("png", "16")
    out = tmp_path / f"engine/%05d.{suffix}"
    engine.run("-m", "nvd_core", "render", folder, "--out", out, "--bits", bits)
    flatten(engine, folder)
    plain = reference.render(tmp_path, 3, "OPEN_EXR" if is_linear else "PNG")
    assert flat_nodes.follow(made)
    for t in range(3):
        got = reference.render(tmp_path, t + 1, "OPEN_EXR" if is_linear else "PNG")
        space = "Linear Rec.709" if is_linear else "Non-Color"
        wanted = reference.load(out.parent / f"{t:05d}.{suffix}", space)
        if is_linear:
            got, wanted = reference.encode(got), reference.encode(wanted)
        # A sheet smaller than its texture is brought to that size also where no entry shows
        assert reference.psnr(got, wanted) > 50, (t, reference.psnr(got, wanted))
    assert reference.psnr(plain, got) < 40


def test_the_folder_says_what_it_was_made_from(entry, folder):
    """The engine's list of files, sizes and dates is the one that the extension makes."""
    shot = read_shot(folder)
    entries = read_stack(shot)
    stored = json.loads((folder / "flat/flat.json").read_text("utf-8"))
    assert stored["sources"] == flat.sources_now(shot, entries) and flat.is_current(shot, entries)
    assert len(stored["sources"]) == 9  # the stack's file, two pictures, three sheets and textures
    (folder / "edits/toy.png").touch()
    assert not flat.is_current(shot, entries)


@pytest.mark.once
@pytest.mark.parametrize(
    "damage",
    [
        {"schema": "nvd.stack"},
        {"version": 2},
        {"layers": {"nobody": {"first": 0, "count": 1}}},
        {"layers": {"toy": {"first": -1, "count": 1}}},
        {"layers": {"toy": {"first": 0, "count": True}}},
        {"sources": []},
    ],
)
def test_what_is_damaged_is_made_again(entry, folder, damage):
    path = folder / "flat/flat.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | damage))
    assert flat.read_flat(read_shot(folder)) is None
    assert flat_nodes.follow(entry) and flat_nodes.state(entry) == flat_nodes.ABSENT
    assert shots.add_shot(folder, bpy.context.scene, own_scene=False)


def test_label_and_panel_tell_of_how_the_stack_shows(entry, folder, engine):
    node = entry.group_node()
    assert flat_nodes.state(entry) == flat_nodes.CURRENT
    assert flat_nodes.NOT_IN_NODES not in node.label and flat_nodes.OLD_IN_NODES not in node.label
    item = entry.stack[0]
    item.opacity = 0.5  # not saved
    assert flat_nodes.state(entry) == flat_nodes.OLD
    painting.save_edits(entry)
    flattening.follow()
    assert flat_nodes.state(entry) == flat_nodes.OLD
    assert node.label.endswith(flat_nodes.OLD_IN_NODES)
    flatten(engine, folder)
    flattening.follow()
    assert flat_nodes.state(entry) == flat_nodes.CURRENT
    shutil.rmtree(folder / "flat")
    flattening.follow()
    assert flat_nodes.state(entry) == flat_nodes.ABSENT
    assert node.label.endswith(flat_nodes.NOT_IN_NODES)
    for layer in entry.layers:
        assert flat_nodes.source_of(node, layer.name).image == layer.edit
    for one in entry.stack:
        one.on = False
    flattening.follow()
    assert flat_nodes.state(entry) == "" and "stack" not in node.label


@pytest.mark.slow
def test_a_job_renews_it_when_it_is_saved(entry, folder, tmp_path, reference, tick_until):
    """What the window's timer does: saved anew, flattened by a job, and nodes show the new one."""
    reference.render(tmp_path, 3)  # Blender keeps the old pictures
    flattening.follow()
    assert not [job for job in runner.queue.jobs if job.kind == flattening.KIND]
    entry.stack[0].opacity = 0.25
    flattening.follow()
    assert not runner.queue.jobs  # not before it is saved
    painting.save_edits(entry)
    flattening.follow()
    flattening.follow()
    (job,) = runner.queue.jobs
    tick_until(lambda: job.ended, runner.tick)
    assert job.error is None, job.full_log()
    assert flat_nodes.state(entry) == flat_nodes.CURRENT
    entry.flatten = False
    entry.stack[0].opacity = 0.75
    painting.save_edits(entry)
    flattening.follow()
    assert runner.queue.jobs == [job] and flat_nodes.state(entry) == flat_nodes.OLD
    assert bpy.ops.nvd.flatten_stack() == {"FINISHED"}
    newest = runner.queue.jobs[-1]
    tick_until(lambda: newest.ended, runner.tick)
    assert flat_nodes.state(entry) == flat_nodes.CURRENT and runner.queue.jobs == [newest]


@pytest.mark.slow
def test_what_failed_is_tried_again_only_after_a_change(entry, folder, tick_until):
    (folder / "edits/stack/a.png").unlink()
    flattening.follow()
    (job,) = runner.queue.jobs
    tick_until(lambda: job.ended, runner.tick)
    assert job.error is not None
    flattening.follow()
    assert runner.queue.jobs == [job] and flat_nodes.state(entry) == flat_nodes.OLD


def test_new_pictures_of_the_same_name_are_read_again(entry, folder, tmp_path, engine, reference):
    before = reference.render(tmp_path, 3)
    entry.stack[0].on = False
    painting.save_edits(entry)
    flatten(engine, folder)
    flattening.follow()
    after = reference.render(tmp_path, 3)
    assert np.abs(after - before).max() > 0.2
    wanted = reference.load(rendered(engine, folder, tmp_path) / "00002.png")
    assert reference.psnr(after, wanted) > 60


def test_an_artists_own_picture_at_the_input_stays(entry, tmp_path):
    node = entry.group_node()
    write_picture(tmp_path / "own.png", (0, 0, 1, 1))
    own = bpy.data.images.load(str(tmp_path / "own.png"))
    source = flat_nodes.source_of(node, "toy")
    source.image = own
    flattening.follow()
    assert source.image == own and flat_nodes.state(entry) == flat_nodes.ABSENT
    painting.show(entry, entry.layers["leaf-2"], "checker")
    assert flat_nodes.source_of(node, "leaf-2").image == entry.layers["leaf-2"].shown
    painting.show(entry, entry.layers["leaf-2"], "edit")
    assert flat_nodes.source_of(node, "leaf-2").image == entry.layers["leaf-2"].flat


def test_undo_takes_the_stack_out_and_redo_brings_it_back(folder, tmp_path, engine):
    """After the undo nothing is put in by itself, which would end what can be redone."""
    shots.add_shot(folder, bpy.context.scene, own_scene=False)
    the_shot = lambda: bpy.context.scene.nvd_shots[0]  # noqa: E731
    fill(the_shot(), tmp_path)
    bpy.ops.ed.undo_push(message="filled")
    flatten(engine, folder)
    flattening.follow()
    bpy.ops.ed.undo_push(message="Flattened Stack")  # which a window's follow() does itself
    assert flat_nodes.state(the_shot()) == flat_nodes.CURRENT
    bpy.ops.ed.undo()
    assert flat_nodes.state(the_shot()) == flat_nodes.ABSENT
    flattening.follow()
    assert flat_nodes.state(the_shot()) == flat_nodes.ABSENT
    bpy.ops.ed.redo()
    assert flat_nodes.state(the_shot()) == flat_nodes.CURRENT
    bpy.ops.ed.undo()
    bpy.ops.nvd.flatten_stack()  # the button does it at once: nothing has to be made
    assert flat_nodes.state(the_shot()) == flat_nodes.CURRENT and not runner.queue.jobs


def test_a_saved_file_opens_with_the_stack(entry, folder, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    (again,) = bpy.context.scene.nvd_shots
    assert flat_nodes.state(again) == flat_nodes.CURRENT
    shutil.rmtree(folder / "flat")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    (again,) = bpy.context.scene.nvd_shots
    assert flat_nodes.state(again) == flat_nodes.ABSENT
    source = flat_nodes.source_of(again.group_node(), "toy")
    assert source.image == again.layers["toy"].edit


@pytest.mark.slow
def test_purge_says_how_large_it_is_and_leaves_nodes_with_the_sheet(entry, folder, tick_until):
    found = purging.sizes(entry)
    assert found["flat"] == flat.size_of(folder) > 1000 and found["render"] == 0
    assert bpy.ops.nvd.purge(flat=True) == {"FINISHED"}
    job = runner.queue.jobs[-1]
    tick_until(lambda: job.ended, runner.tick)
    assert job.error is None and not (folder / "flat").exists()
    flattening.follow()
    assert flat_nodes.state(entry) == flat_nodes.ABSENT
    assert runner.queue.jobs == [job], "it is not made again by itself"
    with pytest.raises(RuntimeError, match="nothing is chosen"):
        bpy.ops.nvd.purge()


def test_what_keeps_its_width_is_said_to_be_missing(entry):
    """It is on no sheet, so that the nodes have all others, and lack it."""
    toy = entry.layers[0]
    assert flat_nodes.state(entry) == flat_nodes.CURRENT and finish.lacks_of(entry) == []
    words = stack.add_plain(entry, toy, "text", text="here")
    words.keep_width = True
    assert finish.lacks_of(entry) == [(edge_nodes.KEPT, "toy")]
    words.on = False
    assert finish.lacks_of(entry) == []
    words.on, words.keep_width = True, False
    assert finish.lacks_of(entry) == [] and flat_nodes.state(entry) == flat_nodes.OLD
