"""What a strip that was made for a shot takes over from its source: place, look, colour space."""

from ..shot.folder import Shot
from ..shot.scripting import frames_space
from .sources import image_files

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
_CROP = ("min_x", "max_x", "min_y", "max_y")


def _is_alike(shot: Shot, source) -> bool:
    """Whether the source's files hold what the rendered ones do: light, or display values."""
    if source is None or source.type != "IMAGE":
        return False
    suffix = image_files(source)[0].suffix.lower()
    return (suffix in (".exr", ".hdr")) == (shot.encoding == "linear")


def colour_space(shot: Shot, source) -> str:
    """That of the source, whose values the rendered files hold; a movie's are sRGB or Rec.709."""
    if _is_alike(shot, source):
        return source.colorspace_settings.name
    return frames_space(shot) if shot.is_linear else "sRGB"


def alpha_mode(shot: Shot, source) -> str:
    """That of the source, or what the rendered files hold: EXR premultiplied, PNG straight."""
    if _is_alike(shot, source):
        return source.alpha_mode
    return "PREMUL" if shot.encoding == "linear" else "STRAIGHT"


def take_look(made, source, shot: Shot) -> None:
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
