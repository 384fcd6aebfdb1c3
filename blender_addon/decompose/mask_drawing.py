"""Drawing an object's mask over the picture of a strip, with Blender's own mask tools.

    draw_mask(thing, strip, space)      # thing: an object of the panel; space: an Image Editor

The editor shows the picture that the strip shows at the playhead, at any rate and speed: an image
of the strip's own source, whose frame is set whenever the timeline's changes.
"""

import bpy
from bpy.app.handlers import persistent

from ..blender import compat, editors
from ..blender.handlers import register_handlers_factory
from ..blender.strip_identity import identity, strip_by
from ..errors import AddonError
from ..shot.painting import image_editors
from ..strip.sources import Source, first_file, holds_missing, read_strip
from ..strip.timing import known_pictures, signature
from . import eye
from .properties import NVD_PG_object

STRIP = "nvd_strip"  # of an image: the identity of the strip whose picture it shows
_known: dict[str, tuple[tuple, Source]] = {}  # by identity: what decides on a source, and that


def draw_mask(
    thing: NVD_PG_object, strip, space: bpy.types.SpaceImageEditor | None = None
) -> bpy.types.Mask:
    """Give `thing` a mask where it has none, and open it over the strip's picture.

    The picture is what the strip shows at the playhead, and follows it. To a mask of one frame the
    playhead goes. Without an Image Editor only the mask is made. AddonError for a strip that has no
    pictures of its own.
    """
    source = read_strip(strip)
    if source.kind == "SCENE":
        raise AddonError(
            "a scene strip has no pictures to draw on", "render it, and draw on what was rendered"
        )
    scene = strip.id_data
    if thing.mask is None:
        thing.mask = bpy.data.masks.new(thing.name)
        thing.mask.layers.new(name=thing.name)
        thing.frame = min(max(scene.frame_current, min(source.shows)), max(source.shows))
        thing.kind = "MASK"
    if thing.when == "ONE" and scene.frame_current != thing.frame:
        scene.frame_set(thing.frame)
    _show(thing.mask, strip, source, space)
    return thing.mask


def draw_key(
    thing: NVD_PG_object, strip, space: bpy.types.SpaceImageEditor | None = None
) -> bpy.types.Mask:
    """A further mask of `thing`, for the frame at the playhead, opened over the strip's picture.

    AddonError for an animated mask, which fits everywhere, for masks that are no folder of images,
    and for a scene strip.
    """
    source = read_strip(strip)
    if source.kind == "SCENE":
        raise AddonError(
            "a scene strip has no pictures to draw on", "render it, and draw on what was rendered"
        )
    if thing.kind == "STRIP" or (thing.kind == "MASK" and thing.when == "ALL"):
        raise AddonError(
            f"the mask of {thing.name} is given on every frame", "change it on this one"
        )
    scene = strip.id_data
    frame = min(max(scene.frame_current, min(source.shows)), max(source.shows))
    if scene.frame_current != frame:
        scene.frame_set(frame)
    mask = eye.add_key(thing, frame)
    _show(mask, strip, source, space)
    return mask


def _show(
    mask: bpy.types.Mask, strip, source: Source, space: bpy.types.SpaceImageEditor | None
) -> None:
    """Open a mask over the strip's picture, where there is an editor for it."""
    if space is None:
        return
    _known[identity(strip)] = _state(strip), source
    editors.show(_image(strip, source), space)
    space.ui_mode = "MASK"
    space.mask = mask
    _follow(space, strip)


def _image(strip, source: Source) -> bpy.types.Image:
    """The image of the strip's pictures: its own, as another strip of the file shows another."""
    path = source.path if source.kind == "MOVIE" else str(first_file(strip))
    for image in bpy.data.images:
        if image.get(STRIP) == identity(strip) and bpy.path.abspath(image.filepath) == path:
            break
    else:
        image = bpy.data.images.load(path)
        image.name = f"{strip.name} source"
        image[STRIP] = identity(strip)
    image.source = "MOVIE" if source.kind == "MOVIE" else "SEQUENCE"
    image.colorspace_settings.name = strip.colorspace_settings.name
    return image


def _follow(space: bpy.types.SpaceImageEditor, strip) -> None:
    """Show in the editor what the strip shows at its playhead; nothing may be rendered for it."""
    source = _source(strip)
    frame = strip.id_data.frame_current
    picture = source.picture_at(frame)
    user = space.image_user
    # A sequence counts by the numbers in its files' names, a movie from 0; Blender begins at 1.
    # One frame long it stays at that, whatever scene's playhead the editor goes by.
    user.frame_start, user.frame_duration = frame, 1
    if source.kind == "MOVIE":
        user.frame_offset = picture
    else:
        user.frame_offset = source.held(int(source.number_of(picture))) - 1
    user.use_auto_refresh = True


def _state(strip) -> tuple:
    return signature(strip), holds_missing(strip)


def _source(strip) -> Source:
    """What `read_strip` says, from memory where nothing has changed since."""
    key, known = identity(strip), _state(strip)
    if _known.get(key, (None,))[0] != known:
        _known[key] = known, read_strip(strip, known_pictures)
    return _known[key][1]


@persistent
def _follow_playhead(scene, _depsgraph=None) -> None:
    """Every editor over a strip of the scene; one whose speed has changed stays until Draw."""
    if bpy.app.is_job_running("RENDER"):
        return
    for space in image_editors().values():
        shown = space.image.get(STRIP) if space.image is not None else None
        strip = strip_by(scene, shown, "") if shown else None
        if strip is None or space.ui_mode != "MASK":
            continue
        try:
            _follow(space, strip)
        except AddonError:
            continue


@persistent
def _after_load(_path) -> None:
    _known.clear()
    for scene in bpy.data.scenes:
        if len(compat.strips(scene)):
            _follow_playhead(scene)


register, unregister = register_handlers_factory(
    (
        (bpy.app.handlers.frame_change_post, _follow_playhead),
        (bpy.app.handlers.load_post, _after_load),
    )
)
