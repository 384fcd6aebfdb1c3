"""The edited shot back in the sequencer, above the strip that it was made from.

    pattern = render_to_strip(entry, scene, python)      # `nvd render`, waits
    add_strip(entry, scene, pattern)                     # what it does once the frames are there
    add_scene_strip(entry, scene)                        # Blender's compositor instead
    add_modifier(entry, scene)                           # the same, on the strip itself (5.1)

A rendered strip lists a file for every frame of the timeline, the one whose picture the source
strip shows there, so it follows the source's rate and speeds (timing.py); its place, trims, look
and colour space are those of the source, so that without paint nothing changes. Of a plate with
alpha the source is muted, which would shine through.
"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import bpy

from ..blender import compat
from ..blender.inside import inside
from ..blender.strip_elements import give_sizes
from ..jobs.process import clean_environment, engine_command, hidden
from ..shot import flat_nodes, layer_values, nodes
from ..shot.folder import CompactOnly, Shot, ShotError
from ..shot.painting import save_edits
from ..shot.scripting import frames_space
from ..shot.shots import NVD_PG_shot, strip_of
from .sources import image_files, read_around, read_strip
from .timing import check_kind, is_plain, known_pictures

# What makes a strip look as it does, where both have it
_LOOK = (
    "blend_type",
    "blend_alpha",
    "color_saturation",
    "color_multiply",
    "use_flip_x",
    "use_flip_y",
    "use_float",
)
_TRANSFORM = ("filter", "offset_x", "offset_y", "rotation", "origin")
AGAIN = "open the shot again"
_CROP = ("min_x", "max_x", "min_y", "max_y")


def strip_named(scene: bpy.types.Scene, name: str):
    """The strip `name` of the scene, or None."""
    return next((strip for strip in compat.strips(scene) if strip.name == name), None)


def source_frame(strip, frame: int) -> int:
    """The picture of the strip's source that the timeline's `frame` shows, counted from 0; less
    than 0 where the strip is not there. AddonError where only rendering could tell.
    """
    return read_strip(strip, known_pictures).shows.get(frame, -1)


def render_command(
    python: str | Path,
    shot: Shot,
    pattern: str,
    mode: str = "delta",
    without: str = "",
    overlay: str = "",
) -> list[str]:
    """The engine's command line that renders the shot to numbered images, `without` an object, or
    with an `overlay`, "grid" or "doubt".
    """
    words = ["render", shot.folder, "--out", pattern, "--mode", mode, "--start", "0"]
    words += ["--remove", without] if without else []
    words += ["--overlay", overlay] if overlay else []
    return engine_command(python, *words)


def render_pattern(entry: NVD_PG_shot, without: str = "", overlay: str = "") -> str:
    """Where the rendered frames go: a folder `render` beside the decomposition's files."""
    shot = entry.read()
    folder = f"render/without_{without}" if without else "render"
    folder = f"render/overlay_{overlay}" if overlay else folder
    return str(inside(shot.folder, f"{folder}/%05d.{shot.suffix}", ShotError))


def render_to_strip(
    entry: NVD_PG_shot,
    scene: bpy.types.Scene,
    python: str | Path,
    *,
    mode: str = "delta",
    progress: Callable[[int, int], None] = lambda done, total: None,
):
    """Save the paint, render the shot with the engine, and add the strip, which is returned.

    `progress` is called with frames done and in all. ShotError where the engine fails.
    """
    source = strip_named(scene, entry.strip)
    if source is not None:
        alignment(entry, entry.read(), source)  # keys lie where the strip shows the shot
    save_edits(entry)
    shot, pattern = entry.read(), render_pattern(entry)
    process = subprocess.Popen(
        render_command(python, shot, pattern, mode),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.PIPE,  # the engine stops when it is closed: with us
        text=True,
        env=clean_environment(),
        **hidden(),
    )
    problem, remedy = "", ""
    with process:
        for line in process.stdout:
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("event") == "progress":
                progress(event["done"], event["total"])
            elif event.get("event") == "error":
                problem, remedy = event["problem"], event["remedy"]
    if process.returncode:
        problem = problem or f"the engine ended with code {process.returncode}"
        raise ShotError(problem, remedy or "test the engine in the preferences")
    return add_strip(entry, scene, pattern)


def add_strip(
    entry: NVD_PG_shot,
    scene: bpy.types.Scene,
    pattern: str,
    without: str = "",
    overlay: str = "",
):
    """Add the rendered frames above the source strip, or as a strip of their own without one.

    Where the shot has such a strip already, that shows them, in its place and with its look.
    `without` names the object that was left out of them, `overlay` what was laid over them: these
    have strips of their own.
    """
    shot, source = entry.read(), strip_of(scene, entry)
    if source is None:
        start, shown = scene.frame_current, [0, shot.frames]
        pictures = list(range(shot.frames))
    else:
        start, shown, pictures = alignment(entry, shot, source)
    files = [Path(pattern % picture) for picture in pictures]
    missing = next((path for path in files if not path.is_file()), None)
    if missing is not None:
        raise ShotError(f"the rendered frame {missing} is missing", "render the shot again")
    made, fresh = _made_before(entry, scene, "IMAGE", without, overlay), False
    if made is None:
        fresh = True
        channel = _free_channel(scene, source, start + shown[0], shown[1])
        _mute_below(scene, source, shot)
        made = compat.make_strips(scene).new_image(
            name=_strip_name(entry, without, overlay),
            filepath=str(files[0]),
            channel=channel,
            frame_start=start,
            fit_method="ORIGINAL",
        )
    elif source is None:
        start = round(compat.strip_start(made))
    compat.trim(made, 0, 0)
    _list_files(made, files)
    give_sizes(made, shot.width, shot.height)
    compat.move(made, start - round(compat.strip_start(made)))
    compat.trim(made, shown[0], len(files) - shown[0] - shown[1])
    made.colorspace_settings.name = _colour_space(shot, source)
    made.alpha_mode = _alpha_mode(shot, source)
    _sign(made, entry)
    if without:
        made["nvd_without"] = without
    if overlay:
        made["nvd_overlay"] = overlay
    if source is not None and fresh:
        _take_look(made, source, shot)
    made.invalidate_cache("RAW")
    return made


def _strip_name(entry: NVD_PG_shot, without: str, overlay: str) -> str:
    if overlay:
        return f"{entry.name} {overlay}"
    return f"{entry.name} without {without}" if without else f"{entry.name} painted"


def _list_files(strip, files: list[Path]) -> None:
    """Let an image strip show `files`, which lie in one folder."""
    while len(strip.elements) > len(files):
        strip.elements.pop(index=len(strip.elements) - 1)
    for element, path in zip(strip.elements, files, strict=False):
        element.filename = path.name
    for path in files[len(strip.elements) :]:
        strip.elements.append(path.name)
    strip.directory = _directory(files[0].parent)


def _made_before(
    entry: NVD_PG_shot, scene: bpy.types.Scene, kind: str, without: str = "", overlay: str = ""
):
    """The strip of a kind that was made for the shot before, `without` an object or with an
    `overlay`, or None.
    """
    found = [
        strip
        for strip in compat.strips(scene)
        if strip.type == kind
        and strip.get("nvd_without", "") == without
        and strip.get("nvd_overlay", "") == overlay
        and (
            strip.get("nvd_shot") == entry.id
            if "nvd_shot" in strip
            else strip.get("nvd_folder") == str(entry.path)  # of an older version
        )
    ]
    return min(found, key=lambda strip: (len(strip.name), strip.name), default=None)


def _sign(strip, entry: NVD_PG_shot) -> None:
    """Let the strip be known for one that was made for the shot."""
    strip["nvd_folder"], strip["nvd_shot"] = str(entry.path), entry.id


def add_scene_strip(entry: NVD_PG_shot, scene: bpy.types.Scene):
    """Add the scene that composites the shot as a strip above the source: always up to date.

    Where the shot has such a strip already, that is brought to its place.
    """
    shot, source = entry.read(), strip_of(scene, entry)
    if entry.scene is None:
        raise ShotError(f"the scene that composites {entry.name} was deleted", AGAIN)
    if shot.is_compact:
        raise CompactOnly(shot.folder)
    start, shown = scene.frame_current, [0, shot.frames]
    if source is not None:
        _check_plain(source)
        start, shown, _ = alignment(entry, shot, source)
    made, fresh = _made_before(entry, scene, "SCENE"), False
    if made is None:
        fresh = True
        channel = _free_channel(scene, source, start + shown[0], shown[1])
        _mute_below(scene, source, shot)
        made = compat.make_strips(scene).new_scene(
            name=f"{entry.name} composite", scene=entry.scene, channel=channel, frame_start=start
        )
    elif source is None:
        start = round(compat.strip_start(made))
    compat.trim(made, 0, 0)
    made.scene = entry.scene
    compat.move(made, start - round(compat.strip_start(made)))
    compat.trim(made, shown[0], shot.frames - shown[0] - shown[1])
    _sign(made, entry)
    if source is not None and fresh:
        _take_look(made, source, shot)
    return made


def add_modifier(entry: NVD_PG_shot, scene: bpy.types.Scene):
    """Composite the shot on the source strip itself, by a strip modifier of Blender 5.1 and later.

    The edits show live in the sequencer, whatever the layers show just now. One that the strip has
    of the shot already is built anew. ShotError where this
    Blender has none, and where the shot's nodes are not as they were opened.
    """
    if not compat.STRIP_COMPOSITOR:
        raise ShotError("this Blender has no compositor for strips", "use Composite Strip")
    shot, source = entry.read(), strip_of(scene, entry)
    if source is None:
        raise ShotError("the strip of the shot is not in this scene", "choose it in the panel")
    if shot.is_compact:
        raise CompactOnly(shot.folder)
    _check_plain(source)
    start, _shown, _pictures = alignment(entry, shot, source)
    old = entry.group_node()
    if old is None:
        raise ShotError(f"the compositor has no node of the shot {entry.name}", AGAIN)
    images = _images(entry, old)
    tree = bpy.data.node_groups.new(f"{old.node_tree.name} strip", "CompositorNodeTree")
    for way in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Image", in_out=way, socket_type="NodeSocketColor")
    node = tree.nodes.new("CompositorNodeGroup")
    node.node_tree = old.node_tree.copy()
    node.location = (320, 0)
    for socket in old.inputs:
        image = images.get(socket.name)
        if image is None:
            node.inputs[socket.name].default_value = socket.default_value
            continue
        frames = image.get("nvd_count", shot.frames) if image.source == "SEQUENCE" else 0
        made = nodes.image_node(
            tree, image, socket.name, (0, -260 * len(tree.nodes)), frames=frames
        )
        tree.links.new(made.outputs["Image"], node.inputs[socket.name])
    for part in (*tree.nodes, *node.node_tree.nodes):
        if part.bl_idname == "CompositorNodeImage" and part.image.source == "SEQUENCE":
            part.frame_start = start + part.image.get("nvd_first", 0)
    output = tree.nodes.new("NodeGroupOutput")
    output.location = (640, 0)
    filling = compat.scale_to_fill(tree, node.outputs[0])  # the shot may be smaller than the source
    filling.node.location = (480, 0)
    tree.links.new(filling, output.inputs[0])
    modifier = next((known for known in source.modifiers if _is_of(known, entry)), None)
    if modifier is None:
        modifier = source.modifiers.new("Painted", "COMPOSITOR")
    before, modifier.node_group = modifier.node_group, tree
    if before is not None and not before.users:
        bpy.data.node_groups.remove(before)
    layer_values.follow(entry)
    for layer in entry.layers:  # the scene may show another image of it
        flat_nodes.feed(entry, layer, anew=True)
    return modifier


def _is_of(modifier, entry: NVD_PG_shot) -> bool:
    """Whether a strip's modifier composites the shot."""
    tree = getattr(modifier, "node_group", None)
    groups = [getattr(node, "node_tree", None) for node in tree.nodes] if tree else []
    return any(group and group.get("nvd_folder") == str(entry.path) for group in groups)


def _images(entry: NVD_PG_shot, node) -> dict[str, bpy.types.Image]:
    """The images at the inputs of the shot's node: a layer's edit, with the stack where that is
    flattened, though another one may show.
    """
    images = {}
    for socket in node.inputs:
        if not socket.links:
            continue
        feeds = socket.links[0].from_node
        while feeds.bl_idname == "NodeReroute" and feeds.inputs[0].links:
            feeds = feeds.inputs[0].links[0].from_node
        if feeds.bl_idname != "CompositorNodeImage":
            raise ShotError(
                f"{feeds.name} feeds {socket.name} in the shot's compositor, and a strip's has no "
                "place for it",
                "use Composite Strip, or link the image itself",
            )
        images[socket.name] = feeds.image
    for layer in entry.layers:
        if f"{layer.name} Edit" in images:
            images[f"{layer.name} Edit"] = layer.flat or layer.edit
    gone = next((name for name, image in images.items() if image is None), None)
    if gone is not None:
        raise ShotError(f"the image of {gone} was deleted", AGAIN)
    return images


def _check_plain(source) -> None:
    check_kind(source)
    if not is_plain(source):
        raise ShotError(f"{source.name} does not play at normal speed", "use Render to Strip")


def alignment(entry: NVD_PG_shot, shot: Shot, source_strip):
    """Where the shot stands on the timeline: its first frame, (frames cut off before, shown), and
    the shot's picture at every frame from there, also behind the trims. May render (timing.py).
    """
    left, length = compat.strip_span(source_strip)
    of_shot = range(entry.first_frame, entry.first_frame + shot.frames)
    shows = read_around(source_strip, of_shot).shows
    pictures = {frame: picture - entry.first_frame for frame, picture in shows.items()}
    inside = [frame for frame in sorted(shows) if 0 <= pictures[frame] < shot.frames]
    shown = [frame for frame in inside if left <= frame < left + length]
    if not shown:
        raise ShotError(
            f"the strip {source_strip.name} shows no frame of the shot",
            "choose the strip that the shot was made from",
        )
    return inside[0], [shown[0] - inside[0], len(shown)], [pictures[frame] for frame in inside]


def _free_channel(scene, source, start: int, length: int) -> int:
    """The lowest channel above the source with room for `length` frames."""
    channel = source.channel + 1 if source is not None else 1
    taken = set()
    for strip in compat.strips(scene):
        left, frames = compat.strip_span(strip)
        if left < start + length and start < left + frames:
            taken.add(strip.channel)
    while channel in taken:
        channel += 1
    return channel


def _mute_below(scene, source, shot: Shot) -> None:
    """Of a plate with alpha, mute what the new strip stands for: it would shine through."""
    if not shot.has_alpha:
        return
    for strip in compat.strips(scene):
        if strip == source or strip.get("nvd_folder") == str(shot.folder):
            strip.mute = True


def _is_alike(shot: Shot, source) -> bool:
    """Whether the source's files hold what the rendered ones do: light, or display values."""
    if source is None or source.type != "IMAGE":
        return False
    suffix = image_files(source)[0].suffix.lower()
    return (suffix in (".exr", ".hdr")) == (shot.encoding == "linear")


def _colour_space(shot: Shot, source) -> str:
    """That of the source, whose values the rendered files hold; a movie's are sRGB or Rec.709."""
    if _is_alike(shot, source):
        return source.colorspace_settings.name
    return frames_space(shot) if shot.is_linear else "sRGB"


def _alpha_mode(shot: Shot, source) -> str:
    """That of the source, or what the rendered files hold: EXR premultiplied, PNG straight."""
    if _is_alike(shot, source):
        return source.alpha_mode
    return "PREMUL" if shot.encoding == "linear" else "STRAIGHT"


def _take_look(made, source, shot: Shot) -> None:
    for name in _LOOK:
        if hasattr(made, name) and hasattr(source, name):
            setattr(made, name, getattr(source, name))
    for name in _TRANSFORM:
        setattr(made.transform, name, getattr(source.transform, name))
    across, down = _source_size(source, shot)
    made.transform.scale_x = source.transform.scale_x * across / shot.width
    made.transform.scale_y = source.transform.scale_y * down / shot.height
    for name in _CROP:
        factor = shot.width / across if name.endswith("x") else shot.height / down
        setattr(made.crop, name, round(getattr(source.crop, name) * factor))


def _source_size(source, shot: Shot) -> tuple[int, int]:
    """The source's pixels; Blender knows them once it has read a picture, before that 0."""
    if source.type == "SCENE":
        render = source.scene.render
        share = render.resolution_percentage / 100
        return round(render.resolution_x * share), round(render.resolution_y * share)
    first = source.elements[0] if len(source.elements) else None
    if first is None or not first.orig_width:
        return shot.width, shot.height
    return first.orig_width, first.orig_height


def _directory(folder: Path) -> str:
    from ..shot.shots import stored_path

    return stored_path(folder)
