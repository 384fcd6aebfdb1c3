"""Drawing an object's mask over the picture of a strip, with Blender's own mask tools.

draw_mask(thing, strip, space)      # thing: an object of the panel; space: an Image Editor
"""

import bpy

from ..errors import AddonError
from ..strip.sources import image_files, read_strip
from .properties import NVD_PG_object


def draw_mask(
    thing: NVD_PG_object, strip, space: bpy.types.SpaceImageEditor | None = None
) -> bpy.types.Mask:
    """Give `thing` a mask where it has none, and open it over the strip's picture.

    The picture follows the timeline where the strip plays at normal speed. Without an Image Editor
    only the mask is made. AddonError for a strip that has no pictures of its own.
    """
    source = read_strip(strip)
    if source.kind == "SCENE":
        raise AddonError(
            "a scene strip has no pictures to draw on", "render it, and draw on what was rendered"
        )
    if thing.mask is None:
        thing.mask = bpy.data.masks.new(thing.name)
        thing.mask.layers.new(name=thing.name)
        thing.frame = strip.id_data.frame_current
    thing.kind = "MASK"
    if space is not None:
        _show(space, thing.mask, strip, source)
    return thing.mask


def _show(space, mask: bpy.types.Mask, strip, source) -> None:
    """Open `mask` in the Image Editor `space`, over the pictures of the strip."""
    movie = source.kind == "MOVIE"
    path = source.path if movie else str(image_files(strip)[0])
    image = bpy.data.images.load(path, check_existing=True)
    image.source = "MOVIE" if movie else "SEQUENCE"
    space.image = image
    space.ui_mode = "MASK"
    space.mask = mask
    user = space.image_user
    user.frame_start, user.frame_duration = source.start, source.count
    # A sequence counts by the numbers in its files' names, a movie from 0; Blender begins at 1
    user.frame_offset = source.first if movie else int(source.number_of(source.first)) - 1
    user.use_auto_refresh = True
