"""What a script calls; the operators and panels call the same."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy

from ..blender.pixels import STORED, is_light, set_space
from ..blender.primaries import linear_space, space_called
from ..blender.undo import keep_packed
from ..errors import visible
from . import edge_nodes, finish, flat_nodes, layer_values, nodes, pass_nodes
from .finish_file import read_finish
from .flat import is_current
from .folder import CompactOnly, Layer, Shot, ShotError, is_file, read_shot
from .half_replaced import mend
from .image_header import check_image
from .placing import place
from .resample import learned_at
from .stack_file import read_stack
from .values_file import read_values

MODES = ("delta", "full")


def open_shot(
    folder: str | Path,
    mode: str = "delta",
    *,
    scene: bpy.types.Scene | None = None,
    raw: bool = False,
) -> bpy.types.NodeTree:
    """Open a decomposition folder in `scene` (the current one) and return its node group.

    "delta" adds what was painted to the frames as shot; "full" puts the picture together from the
    layers alone. Visibility and relight are as the folder has them, and its stack of edits, where
    that was flattened. Motion blur is not in the picture, nor are edges that nodes cannot show; the
    node's label says so where there are any. `raw` keeps the result display-encoded, for view
    transform Raw. What the scene's compositor held stays
    there. Opening the same folder again builds its group anew, in the node of the one before:
    values, keyframes and links of that stay (placing.py).
    """
    if mode not in MODES:
        raise ValueError(f"mode should be one of {MODES}, not {mode!r}")
    shot = read_shot(folder)
    if shot.is_compact:
        raise CompactOnly(shot.folder)
    values = read_values(shot)
    # damaged ones are refused before anything is opened
    stacked, finished = read_stack(shot), read_finish(shot)
    scene = scene or bpy.context.scene
    on = {entry.layer for entry in stacked or () if entry.on}
    with _undone_on_error():
        images = _load_images(shot)
        flats = flat_nodes.images_of(shot, on)
        group = nodes.build_group(
            f"NVD {shot.name}",
            [layer.name for layer in shot.layers],
            {layer.name: _compared(layer, images, flats) for layer in shot.layers},
            images[shot.map(0)],
            frames=shot.frames,
            mode=mode,
            linear_frames=shot.is_linear,
            raw=raw,
            alpha=shot.alpha,
            garbage=shot.has_garbage,
        )
        names = [layer.name for layer in shot.layers]
        pass_nodes.add_outputs(group, names, raw)
        group["nvd_mode"] = mode
        shown = edge_nodes.apply(group, shot.folder, names, finished, shot.frames)
    node = place(shot, scene, group, images)
    layer_values.put_on_new(node, shot.frames, values or {})
    flat_nodes.put(node, flats)
    flat_nodes.label(node, _how(shot, node, on, flats, stacked or []))
    finish.label(node, not shown)
    group.name = f"NVD {shot.name}"  # the old one may have held the name until now
    group["nvd_folder"] = str(shot.folder)
    _set_up_scene(shot, scene, raw)
    return group


def _compared(layer: Layer, images, flats) -> tuple[bpy.types.Image, bpy.types.Image]:
    """What was learned in the size of what shows, and that: the sheet, or the flattened stack."""
    shown, learned = flats.get(layer.name), images[layer.texture]
    if shown is not None and tuple(shown["nvd_size"]) == tuple(learned.size):
        return learned, shown
    return learned_at(learned, images[layer.edit].size), shown or images[layer.edit]


def _how(shot: Shot, node, on: set[str], flats: dict, stacked: list) -> str:
    """How the node shows the stack, as flat_nodes.state says it of a shot that is listed."""
    if not on:
        return ""
    sources = {name: flat_nodes.source_of(node, name) for name in on}
    if any(flats.get(n) is None or s is None or s.image != flats[n] for n, s in sources.items()):
        return flat_nodes.ABSENT
    return flat_nodes.CURRENT if is_current(shot, stacked) else flat_nodes.OLD


def open_without_nodes(shot: Shot, scene: bpy.types.Scene) -> None:
    """Load what is painted on, of a shot whose nodes cannot be built yet."""
    with _undone_on_error():
        _load_images(shot)
    _set_up_scene(shot, scene, raw=False)


@contextmanager
def _undone_on_error() -> Iterator[None]:
    """Where a ShotError comes out, remove the images and node groups made in between."""
    kept = {block.as_pointer() for block in (*bpy.data.images, *bpy.data.node_groups)}
    try:
        yield
    except ShotError:
        for blocks in (bpy.data.node_groups, bpy.data.images):
            for block in [block for block in blocks if block.as_pointer() not in kept]:
                blocks.remove(block)
        raise


def _load_images(shot: Shot) -> dict[Path, bpy.types.Image]:
    images = {}
    mend(shot)
    size = shot.width, shot.height
    for index in range(shot.frames):
        if not shot.is_compact:
            check_image(shot.map(index), ShotError, size)
        check_image(shot.frame(index), ShotError, size)
    for layer in shot.layers:
        check_image(layer.texture, ShotError)
        if not is_file(layer.edit):
            _start_edit(layer)
        check_image(layer.edit, ShotError)
        images[layer.texture] = _load(layer.texture, f"{shot.name} {layer.name} learned")
        images[layer.edit] = _load(layer.edit, f"{shot.name} {layer.name} edit")
    if not shot.is_compact:
        images[shot.map(0)] = _load(shot.map(0), f"{shot.name} maps", STORED, layered=True)
    images[shot.frame(0)] = _load(shot.frame(0), f"{shot.name} frames", frames_space(shot))
    return images


def frames_space(shot: Shot) -> str:
    """The colour space of the frames' image; ShotError where Blender lacks it."""
    if shot.space:
        space = space_called(shot.space)
        if space is None:
            raise ShotError(
                f"this Blender has no colour space {visible(shot.space)}, which the plate is in",
                "render with `nvd render`, or start Blender with the configuration that has it "
                "(the variable OCIO)",
            )
        return space
    if shot.encoding != "linear":
        return STORED
    space = linear_space(shot.primaries)
    if space is None:
        numbers = ", ".join(f"{value:g}" for value in shot.primaries)
        raise ShotError(
            f"this Blender has no colour space of the plate's primaries ({numbers})",
            "render with `nvd render`, or decompose the plate in ACEScg or Linear Rec.709",
        )
    return space


def _start_edit(layer: Layer) -> None:
    """Nothing is painted on the layer yet: give it the copy of its texture to paint on."""
    try:
        layer.edit.parent.mkdir(exist_ok=True)
        shutil.copyfile(layer.texture, layer.edit)
    except OSError as error:
        raise ShotError(
            f"{layer.edit} is missing and cannot be made ({error.strerror})",
            f"copy {layer.texture} there, or copy the folder to where you may write",
        ) from error


def image_of(path: Path) -> bpy.types.Image | None:
    """The image that stands for a file of a shot: the first, as an artist's copy comes after it."""
    return next((i for i in bpy.data.images if i.get("nvd_path") == str(path)), None)


def _load(
    path: Path, name: str, sequence_space: str = "", layered: bool = False
) -> bpy.types.Image:
    """The image of `path`. One opened before is used again, with any paint not yet saved.

    sequence_space: it is the first of a sequence, in that colour space; else it is a texture.
    layered: it is an EXR with a layer for each of the shot's; else one picture.
    """
    image = _loaded(path, name, sequence_space)
    if (image.type == "MULTILAYER") != layered:
        found, expected = ("layers", "one picture") if not layered else ("no layers", "layers")
        raise ShotError(f"{path} holds {found}, not {expected}", "copy it again from where it was")
    return image


def _loaded(path: Path, name: str, sequence_space: str) -> bpy.types.Image:
    image = image_of(path)
    if image is not None:
        if not image.is_dirty and image.packed_file is None:
            image.reload()
        if not sequence_space and not image.is_float and not is_light(image):
            if image.is_dirty:  # an older version opened it, and Blender is to read it again
                keep_packed(image)
            set_space(image)
        if sequence_space and image.colorspace_settings.name != sequence_space:
            image.colorspace_settings.name = sequence_space  # an older version knew only Rec.709
        return image
    try:
        image = bpy.data.images.load(str(path))
    except RuntimeError as error:
        raise ShotError(
            f"Blender cannot read {path}", "copy it again; it may be damaged"
        ) from error
    if not image.size[0] and image.type != "MULTILAYER":  # asking for the size reads the file
        raise ShotError(f"Blender cannot read {path}", "copy it again; it may be damaged")
    image.name = name
    image["nvd_path"] = str(path)
    if sequence_space:
        image.source = "SEQUENCE"
        image.colorspace_settings.name = sequence_space
    else:
        set_space(image)
    image.alpha_mode = "CHANNEL_PACKED"
    return image


def _set_up_scene(shot: Shot, scene: bpy.types.Scene, raw: bool) -> None:
    """Size, rate, range and a view that shows the values as they are. Frame 0 is scene frame 1."""
    render = scene.render
    render.resolution_x, render.resolution_y = shot.width, shot.height
    render.resolution_percentage = 100
    across, down = shot.pixel_aspect  # of which Blender wants the lesser to be 1
    render.pixel_aspect_x = max(across / down, 1.0)
    render.pixel_aspect_y = max(down / across, 1.0)
    render.fps = max(1, round(shot.rate[0] / shot.rate[1]))
    render.fps_base = render.fps * shot.rate[1] / shot.rate[0]
    render.use_compositing = True
    render.dither_intensity = 0
    scene.frame_start, scene.frame_end = 1, shot.frames
    scene.display_settings.display_device = "sRGB"
    scene.view_settings.view_transform = "Raw" if raw else "Standard"
    scene.view_settings.look = "None"
    scene.view_settings.exposure, scene.view_settings.gamma = 0, 1
