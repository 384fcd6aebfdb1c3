"""The compositor without a window: edits replaced, frames written, with progress."""

from pathlib import Path

import bpy

from ..blender import compat
from ..blender.pixels import set_space
from ..errors import AddonError
from ..shot.folder import read_shot
from ..shot.nodes import set_texture
from ..shot.resample import learned_at
from ..shot.scripting import image_of
from .say import Say

MOVIES = (".mp4", ".mov", ".mkv")


def replace_edits(group: bpy.types.NodeTree, edits: list[tuple[str, str]]) -> None:
    """Show the image file of each (layer, path) in the place of what is painted on the layer of
    the shot that `group` composites.

    The files may be of any size. The folder's own edit file stays as it is.
    """
    layers = {layer.name: layer for layer in read_shot(group["nvd_folder"]).layers}
    for name, path in edits:
        if name not in layers:
            raise AddonError(f"the shot has no layer {name!r}", f"choose one of {sorted(layers)}")
        if not Path(path).is_file():
            raise AddonError(f"{path} is missing", "correct the path after --edit")
        edit, learned = map(image_of, (layers[name].edit, layers[name].texture))
        edit.filepath = str(Path(path).resolve())
        edit.reload()
        if not edit.size[0]:
            raise AddonError(f"Blender cannot read {path}", "choose a picture after --edit")
        set_space(edit)
        set_texture(group, name, learned_at(learned, edit.size), edit)


def composite(out: Path, say: Say) -> None:
    """Render the scene's range through the compositor: a movie, or pictures such as %05d.png."""
    scene = bpy.context.scene
    settings = scene.render
    settings.use_sequencer = False
    if bpy.app.background:
        settings.compositor_device = "CPU"
    out.parent.mkdir(parents=True, exist_ok=True)
    total = scene.frame_end - scene.frame_start + 1
    say("progress", stage="composite", done=0, total=total)
    if out.suffix.lower() in MOVIES:
        _movie(scene, out, total, say)
        return
    if "%" not in out.name:
        raise AddonError(f"{out.name} is neither a movie nor a pattern", "name it .mp4 or %05d.png")
    kinds = {".png": "PNG", ".exr": "OPEN_EXR", ".tif": "TIFF", ".tiff": "TIFF", ".jpg": "JPEG"}
    if out.suffix.lower() not in kinds:
        raise AddonError(f"{out.suffix} is no format to render to", "choose .png, .exr or .tif")
    compat.output_kind(settings.image_settings, kinds[out.suffix.lower()])
    settings.image_settings.color_mode = "RGB"
    for index in range(total):
        scene.frame_set(scene.frame_start + index)
        settings.filepath = str(out.parent / (out.name % index))
        bpy.ops.render.render(write_still=True, scene=scene.name)
        say("progress", stage="composite", done=index + 1, total=total)


def _movie(scene, out: Path, total: int, say: Say) -> None:
    settings = scene.render
    compat.output_kind(settings.image_settings, "FFMPEG")
    ffmpeg = settings.ffmpeg
    ffmpeg.format = {".mp4": "MPEG4", ".mov": "QUICKTIME", ".mkv": "MKV"}[out.suffix.lower()]
    ffmpeg.codec, ffmpeg.constant_rate_factor, ffmpeg.gopsize = "H264", "HIGH", 12
    settings.image_settings.color_mode = "RGB"
    settings.filepath = str(out)
    settings.use_file_extension = True

    def tell(*_) -> None:
        done = scene.frame_current - scene.frame_start + 1
        say("progress", stage="composite", done=done, total=total)

    bpy.app.handlers.render_write.append(tell)
    try:
        bpy.ops.render.render(animation=True, scene=scene.name)
    finally:
        bpy.app.handlers.render_write.remove(tell)
