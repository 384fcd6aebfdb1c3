"""What a second Blender does before a decomposition: render a scene, draw masks.

Run by batch.py with the plan that strip_job.py wrote.
"""

import json
from collections.abc import Callable
from pathlib import Path

import bpy

from ..blender import compat

Say = Callable[..., None]


def prepare(plan_file: Path, say: Say) -> dict:
    """Make all pictures of the plan; `say` is given one progress event a picture."""
    plan = json.loads(Path(plan_file).read_text("utf-8"))
    if plan["scene"]:
        bpy.ops.wm.open_mainfile(filepath=plan["file"], load_ui=False, use_scripts=False)
        masks = bpy.data.masks
    else:
        masks = _load_masks(plan["file"])
    size = None
    if plan["scene"]:
        scene = bpy.data.scenes[plan["scene"]["name"]]
        scene.render.use_sequencer = plan["scene"]["sequencer"]
        _render(scene, plan["scene"], "scene", "RGB", say)
        share = scene.render.resolution_percentage / 100
        size = [round(side * share) for side in _resolution(scene)]
    for part in plan["masks"]:
        like = part.get("like")  # a file beside which it is to lie, of the same size
        own = _size_of(like) if like else size or _size_of(plan["like"])
        scene = _mask_scene(masks[part["name"]], own)
        _render(scene, part, f"mask {part['name']}", "BW", say)
    return {"pictures": sum(len(part["frames"]) for part in plan["masks"])}


def _load_masks(file: str) -> dict[str, bpy.types.Mask]:
    """The masks of `file` by their names there; here they may have been given others."""
    with bpy.data.libraries.load(file) as (there, here):
        names = list(there.masks)
        here.masks = list(names)
    return dict(zip(names, here.masks, strict=True))


def _render(scene, part: dict, stage: str, colour: str, say: Say) -> None:
    """Render `part`'s frames of `scene` into its folder as 8-bit PNG."""
    for window in bpy.context.window_manager.windows:
        window.scene = scene  # of other scenes Blender does not bring animation up to date
    render = scene.render
    render.compositor_device = "CPU"  # a GPU may be missing in the background
    compat.output_kind(render.image_settings, "PNG")
    render.image_settings.color_mode, render.image_settings.color_depth = colour, "8"
    render.image_settings.compression = 15
    render.use_file_extension = True
    for done, (frame, name) in enumerate(part["frames"]):
        say("progress", stage=stage, done=done, total=len(part["frames"]))
        scene.frame_set(frame)
        render.filepath = str(Path(part["folder"]) / name)
        bpy.ops.render.render(write_still=True, scene=scene.name)
    say("progress", stage=stage, done=len(part["frames"]), total=len(part["frames"]))


def _mask_scene(mask: bpy.types.Mask, size) -> bpy.types.Scene:
    """A scene whose picture is the mask, white on black."""
    scene = bpy.data.scenes.new("mask")
    tree = compat.compositor_tree(scene)
    node = tree.nodes.new("CompositorNodeMask")
    node.mask = mask
    tree.links.new(node.outputs[0], compat.compositor_output(tree))
    scene.render.use_compositing = True
    scene.render.dither_intensity = 0
    scene.render.resolution_x, scene.render.resolution_y = size
    scene.render.resolution_percentage = 100
    scene.view_settings.view_transform = "Raw"
    return scene


def _size_of(path: str) -> tuple[int, int]:
    """Width and height of a movie or picture."""
    clip = bpy.data.movieclips.load(path)
    return tuple(clip.size)


def _resolution(scene) -> tuple[int, int]:
    return scene.render.resolution_x, scene.render.resolution_y
